/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* fuzz_nats_json - what a NATS server says, as any bytes: the INFO line and the answers of its API.
 *
 * Nothing may be read beyond the bytes, what is handed out lies inside them, a text that does not
 * fit is "", and a text that was understood survives being quoted and understood again.
 */

#include <stdbool.h>
#include <string.h>

#include "fuzz.h"
#include "transport/nats_tools.h"

#define TEXT_BYTES 96u

static bool is_inside(struct dray_slice json, struct dray_slice part)
{
    return part.at == NULL || (part.at >= json.at && part.len <= json.len &&
                               (size_t)(part.at - json.at) <= json.len - part.len);
}

/* Control bytes and quotes come back; what is cut by a NUL is another text. */
static void quote_try(const char *text)
{
    char quoted[6 * TEXT_BYTES + 16];
    char again[TEXT_BYTES];

    FUZZ_CHECK(dri_nats_json_quote(text, quoted, sizeof(quoted)));
    FUZZ_CHECK(dri_nats_json_unescape(dray_slice_text(quoted), again, sizeof(again)));
    FUZZ_CHECK(strcmp(text, again) == 0);
    for (size_t bytes = 0; bytes < 12; bytes++) {
        if (dri_nats_json_quote(text, quoted, bytes)) {
            FUZZ_CHECK(strlen(quoted) < bytes);
        }
    }
}

static void text_try(struct dray_slice json, const char *path)
{
    char text[TEXT_BYTES];
    char small[4];

    memset(text, 'x', sizeof(text));
    if (dri_nats_json_text(json, path, text, sizeof(text))) {
        FUZZ_CHECK(strlen(text) < sizeof(text));
        quote_try(text);
    } else {
        FUZZ_CHECK(text[0] == '\0');
    }
    if (!dri_nats_json_text(json, path, small, sizeof(small))) {
        FUZZ_CHECK(small[0] == '\0');
    }
}

static void path_try(struct dray_slice json, const char *path)
{
    struct dray_slice found = dri_nats_json_find(json, path);
    uint64_t number = dri_nats_json_uint(json, path, 7);

    FUZZ_CHECK(is_inside(json, found));
    FUZZ_CHECK(found.at == NULL || found.len > 0);
    FUZZ_CHECK(found.at != NULL || number == 7);
    FUZZ_CHECK(found.at != NULL || dri_nats_json_int(json, path, -7) == -7);
    FUZZ_CHECK(!dri_nats_json_bool(json, path) || dray_slice_equal_text(found, "true"));
    (void)dri_nats_json_int(json, path, -7);
    text_try(json, path);
}

/* An array ends, and each item is behind the one before it. */
static void items_try(struct dray_slice array)
{
    const uint8_t *end = array.at;
    struct dray_slice item;
    size_t at = 0;

    while (dri_nats_json_next(array, &at, &item)) {
        char text[TEXT_BYTES];

        FUZZ_CHECK(is_inside(array, item) && item.len > 0 && at <= array.len);
        FUZZ_CHECK(item.at > end);
        end = item.at + item.len - 1;
        (void)dri_nats_json_unescape(item, text, sizeof(text));
        path_try(item, "name");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* of the INFO line, of an error, of a stream, of a consumer */
    static const char *const paths[] = {
        "version", "max_payload",  "tls_required",    "error.description", "error.err_code",
        "seq",     "config.name",  "state.last_seq",  "config.ack_wait",   "a.b.c",
        "",        "connect_urls", "config.subjects",
    };
    struct dray_slice json = dray_slice_of(data, size);

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        path_try(json, paths[i]);
        items_try(dri_nats_json_find(json, paths[i]));
    }
    items_try(json);
    return 0;
}

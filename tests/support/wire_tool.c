/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* wire_tool - our decoders and encoders as a filter, so that other languages can be held against
 * them.
 *
 *   wire_tool json            msgpack on stdin, JSON on stdout
 *   wire_tool msgpack         JSON on stdin, msgpack on stdout
 *   wire_tool recode FORMAT   a message on stdin, the same as we would write it on stdout
 *
 * Exit codes: 0 done, 1 refused (the reason on stderr), 2 usage.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/wire_recode.h"
#include "wire/json.h"

#define INPUT_BYTES_MAX (4u * 1024u * 1024u)

static int refuse(enum dray_status status, const struct dri_wire_error *error)
{
    (void)fprintf(stderr, "%s: \"%s\" %s at byte %u\n", dray_status_name(status), error->field,
                  error->text, (unsigned)error->offset);
    return 1;
}

static int output(const void *bytes, size_t len)
{
    return fwrite(bytes, 1, len, stdout) == len && fflush(stdout) == 0 ? 0 : 1;
}

static int json_print(struct dray_slice input)
{
    const struct dri_wire_error error = {"", "is not msgpack", 0};
    struct dri_text text;
    enum dray_status status;
    int code;

    dri_text_init(&text);
    status = dri_msgpack_to_json(input, &wire_limits, false, &text);
    code = status == DRAY_OK ? output(text.at, text.len) : refuse(status, &error);
    dri_text_fini(&text);
    return code;
}

static int json_read(struct dray_slice input)
{
    struct dri_wire_error error;
    uint8_t *bytes;
    size_t len;
    enum dray_status status = dri_json_to_msgpack(input, &wire_limits, &bytes, &len, &error);
    int code;

    if (status != DRAY_OK) {
        return refuse(status, &error);
    }
    code = output(bytes, len);
    dri_text_fini(&(struct dri_text){.at = (char *)bytes});
    return code;
}

static int recode(wire_recode_fn *format, struct dray_slice input)
{
    struct dri_wire_error error = {"", "", 0};
    size_t size = 2 * input.len + WIRE_RECODE_GROWTH;
    uint8_t *buffer = malloc(size);
    size_t len = 0;
    enum dray_status status =
        buffer == NULL ? DRAY_ENOMEM : format(input, buffer, size, &len, &error);
    int code = status == DRAY_OK ? output(buffer, len) : refuse(status, &error);

    free(buffer);
    return code;
}

int main(int argc, char **argv)
{
    uint8_t *bytes = malloc(INPUT_BYTES_MAX);
    size_t len = bytes == NULL ? 0 : fread(bytes, 1, INPUT_BYTES_MAX, stdin);
    struct dray_slice input = dray_slice_of(bytes, len);
    int code = 2;

    if (bytes != NULL && argc == 2 && strcmp(argv[1], "json") == 0) {
        code = json_print(input);
    } else if (bytes != NULL && argc == 2 && strcmp(argv[1], "msgpack") == 0) {
        code = json_read(input);
    } else if (bytes != NULL && argc == 3 && strcmp(argv[1], "recode") == 0 &&
               wire_recode_find(argv[2]) != NULL) {
        code = recode(wire_recode_find(argv[2]), input);
    } else {
        (void)fprintf(stderr, "usage: wire_tool json|msgpack|recode FORMAT\n");
    }
    free(bytes);
    return code;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* fuzz_registry - routes under any bytes as namespace, name and version are put, replaced, removed
 * and looked for.
 *
 * What is accepted is a key that can be shown and typed, and is found under exactly its bytes; what
 * is refused leaves everything as it was and says why; in the end nothing is left.
 */

#include "fuzz_registry.h"

#include <stdbool.h>
#include <string.h>

#include "base/mem.h"
#include "fuzz.h"
#include "run/registry.h"

#define ROUTE_MAX 4096u
#define KEY_MAX   2048u

struct fuzz_registry_seen fuzz_registry_seen;

struct input {
    const uint8_t *at;
    size_t left;
};

struct step {
    enum fuzz_step what;
    struct dray_slice ns, name, version;
};

struct desk {
    struct dri_registry *registry;
    struct dri_reader *reader;
    uint64_t revision;
    char text[256];
};

static struct dray_slice take(struct input *input, size_t len)
{
    len = len < input->left ? len : input->left;
    struct dray_slice taken = dray_slice_of(input->at, len);
    input->at += len;
    input->left -= len;
    return taken;
}

static bool step_take(struct input *input, struct step *ret_step)
{
    if (input->left < FUZZ_STEP_HEAD) {
        return false;
    }
    const uint8_t *head = take(input, FUZZ_STEP_HEAD).at;
    ret_step->what = (enum fuzz_step)(head[0] % FUZZ_STEPS);
    ret_step->ns = take(input, head[1]);
    ret_step->name = take(input, (size_t)(head[2] | head[3] << 8) % FUZZ_NAME_MAX);
    ret_step->version = take(input, head[4]);
    return true;
}

/* ---- a rule of our own for what a key may be ---- */

/** The length of the character that begins here, 0: it is none. */
static size_t character(const uint8_t *at, size_t left)
{
    static const struct {
        uint8_t low, high, from, to; /* of the first byte, of the second */
        size_t len;
    } rows[] = {{0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
                {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3},
                {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
                {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};
    if (at[0] < 0x80) {
        return at[0] < 0x20 || at[0] == 0x7f ? 0 : 1;
    }
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        bool fits = at[0] >= rows[i].low && at[0] <= rows[i].high && left >= rows[i].len &&
                    at[1] >= rows[i].from && at[1] <= rows[i].to;
        for (size_t k = 2; fits && k < rows[i].len; k++) {
            fits = (at[k] & 0xc0) == 0x80;
        }
        if (fits) {
            return rows[i].len;
        }
    }
    return 0;
}

static bool is_shown(struct dray_slice text)
{
    size_t at = 0;
    if (text.len == 0 || text.len > 64) {
        return false;
    }
    while (at < text.len) {
        size_t len = character(text.at + at, text.len - at);
        if (len == 0 || text.at[at] == '/' || text.at[at] == '@') {
            return false;
        }
        at += len;
    }
    return true;
}

/** Letters and digits only: nothing speaks against such a name. */
static bool is_simple(struct dray_slice text)
{
    bool is_so = text.len > 0 && text.len <= 64;
    for (size_t i = 0; is_so && i < text.len; i++) {
        is_so =
            (text.at[i] >= 'a' && text.at[i] <= 'z') || (text.at[i] >= '0' && text.at[i] <= '9');
    }
    return is_so;
}

/* ---- the steps ---- */

static size_t str_put(uint8_t *buffer, size_t at, struct dray_slice text)
{
    buffer[at++] = 0xda;
    buffer[at++] = (uint8_t)(text.len >> 8);
    buffer[at++] = (uint8_t)text.len;
    if (text.len != 0) {
        memcpy(buffer + at, text.at, text.len);
    }
    return at + text.len;
}

/** By hand: an encoder of ours might refuse what a record in the log can have. */
static struct dray_slice route_of(const struct step *step, uint8_t buffer[ROUTE_MAX])
{
    const struct dray_slice pairs[] = {
        dray_slice_text("ns"),      step->ns,
        dray_slice_text("name"),    step->name,
        dray_slice_text("version"), step->version,
        dray_slice_text("module"),  dray_slice_text("m.so"),
        dray_slice_text("handler"), dray_slice_text("h"),
    };
    size_t len = 0;
    buffer[len++] = 0x85;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        len = str_put(buffer, len, pairs[i]);
    }
    return dray_slice_of(buffer, len);
}

static struct dray_slice key_of(const struct step *step, uint8_t buffer[KEY_MAX])
{
    const struct dray_slice parts[] = {step->ns, dray_slice_text("/"), step->name,
                                       dray_slice_text("@"), step->version};
    size_t len = 0;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (parts[i].len != 0) {
            memcpy(buffer + len, parts[i].at, parts[i].len);
        }
        len += parts[i].len;
    }
    return dray_slice_of(buffer, len);
}

/** Its route by every way there is; NULL: there is none. */
static const struct dri_route *find(struct desk *desk, const struct step *step)
{
    uint8_t buffer[KEY_MAX];
    const struct dri_route *route = NULL;
    const struct dri_route *by_key = dri_registry_find_key(desk->registry, key_of(step, buffer));
    struct dri_query query = {.ns = step->ns, .name = step->name, .version = step->version};
    enum dray_status status = dri_registry_pin(desk->reader, &query, &route);
    if (status != DRAY_OK) {
        FUZZ_CHECK(status == DRAY_ENOTFOUND || status == DRAY_ECONFLICT);
        FUZZ_CHECK(by_key == NULL);
        fuzz_registry_seen.missed++;
        return NULL;
    }
    FUZZ_CHECK(dray_slice_equal(route->view.ns, step->ns));
    FUZZ_CHECK(dray_slice_equal(route->view.name, step->name));
    dri_registry_unpin(desk->reader, route);
    fuzz_registry_seen.found++;
    if (by_key != NULL) {
        FUZZ_CHECK(dray_slice_equal(by_key->view.version, step->version));
        query = (struct dri_query){.ns = step->ns, .fid = by_key->fid, .has_fid = true};
        FUZZ_CHECK(dri_registry_pin(desk->reader, &query, &route) == DRAY_OK);
        FUZZ_CHECK(route == by_key);
        dri_registry_unpin(desk->reader, route);
    }
    return by_key;
}

static void put(struct desk *desk, const struct step *step)
{
    uint8_t buffer[ROUTE_MAX];
    const struct dri_route *there = find(desk, step);
    bool is_there = there != NULL;
    size_t count = dri_registry_count(desk->registry);
    uint64_t base = step->what == FUZZ_STEP_REPLACE && is_there ? there->revision : 0;
    desk->text[0] = '\0';
    enum dray_status status =
        dri_registry_put(desk->registry, base, ++desk->revision, route_of(step, buffer), NULL,
                         desk->text, sizeof(desk->text));
    if (status == DRAY_OK) {
        FUZZ_CHECK(is_shown(step->ns) && is_shown(step->name) && is_shown(step->version));
        FUZZ_CHECK(dri_registry_count(desk->registry) == count + !is_there);
        there = find(desk, step);
        FUZZ_CHECK(there != NULL && there->revision == desk->revision);
        fuzz_registry_seen.put++;
        return;
    }
    FUZZ_CHECK(dri_registry_count(desk->registry) == count);
    if (status == DRAY_ECONFLICT) {
        FUZZ_CHECK(is_there && base == 0);
        fuzz_registry_seen.conflicts++;
        return;
    }
    FUZZ_CHECK(status == DRAY_EINVALID || status == DRAY_ELIMIT);
    FUZZ_CHECK(desk->text[0] != '\0');
    FUZZ_CHECK(!is_simple(step->ns) || !is_simple(step->name) ||
               !dray_slice_equal_text(step->version, "1.0.0"));
    fuzz_registry_seen.refused++;
}

static void remove_it(struct desk *desk, const struct step *step)
{
    uint8_t buffer[KEY_MAX];
    const struct dri_route *there = find(desk, step);
    size_t count = dri_registry_count(desk->registry);
    uint64_t base = there == NULL ? 0 : there->revision;
    enum dray_status status =
        dri_registry_remove(desk->registry, key_of(step, buffer), base, ++desk->revision, NULL);
    FUZZ_CHECK(there == NULL || status == DRAY_OK);
    FUZZ_CHECK(dri_registry_count(desk->registry) == count - (there != NULL));
    FUZZ_CHECK(find(desk, step) == NULL);
    fuzz_registry_seen.removed += there != NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct dri_registry_config config = {.readers_max = 1};
    const size_t live = dri_mem_live();
    struct input input = {data, size};
    struct desk desk = {.revision = 0};
    struct step step;

    FUZZ_CHECK(dri_registry_create(&config, &desk.registry) == DRAY_OK);
    FUZZ_CHECK(dri_reader_register(desk.registry, &desk.reader) == DRAY_OK);
    while (step_take(&input, &step)) {
        if (step.what == FUZZ_STEP_REMOVE) {
            remove_it(&desk, &step);
        } else if (step.what == FUZZ_STEP_FIND) {
            (void)find(&desk, &step);
        } else {
            put(&desk, &step);
        }
        dri_reader_quiescent(desk.reader);
    }
    dri_reader_unregister(desk.reader);
    dri_registry_destroy(desk.registry);
    FUZZ_CHECK(dri_mem_live() == live);
    return 0;
}

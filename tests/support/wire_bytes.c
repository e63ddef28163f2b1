/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

#include "wire_bytes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/json.h"

#define KEPT_MAX 512

static void *g_kept[KEPT_MAX];
static size_t g_kept_count;

static struct dray_slice keep(const void *bytes, size_t len)
{
    uint8_t *copy = malloc(len + 1);

    if (copy == NULL || g_kept_count == KEPT_MAX) {
        abort();
    }
    memcpy(copy, bytes, len);
    g_kept[g_kept_count++] = copy;
    return dray_slice_of(copy, len);
}

struct dray_slice wire_json(const char *json)
{
    const struct dri_wire_limits limits = {UINT32_MAX, 64, UINT32_MAX};
    struct dri_wire_error error;
    struct dray_slice kept;
    uint8_t *bytes;
    size_t len;

    if (dri_json_to_msgpack(dray_slice_text(json), &limits, &bytes, &len, &error) != DRAY_OK) {
        (void)fprintf(stderr, "%s: %s at %u\n", json, error.text, (unsigned)error.offset);
        abort();
    }
    kept = keep(bytes, len);
    dri_text_fini(&(struct dri_text){.at = (char *)bytes});
    return kept;
}

struct dray_slice wire_golden(const char *name)
{
    static uint8_t bytes[65536];
    char path[512];
    size_t len;
    FILE *file;

    (void)snprintf(path, sizeof(path), "%s/unit/golden/%s", DRAY_TEST_SOURCE_DIR, name);
    file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        abort();
    }
    len = fread(bytes, 1, sizeof(bytes), file);
    (void)fclose(file);
    return keep(bytes, len);
}

void wire_bytes_free(void)
{
    while (g_kept_count > 0) {
        free(g_kept[--g_kept_count]);
    }
}

static void exact_try(const uint8_t *bytes, size_t len, void (*try_one)(struct dray_slice damaged))
{
    uint8_t *copy = malloc(len == 0 ? 1 : len);

    if (copy == NULL) {
        abort();
    }
    memcpy(copy, bytes, len);
    try_one(dray_slice_of(copy, len));
    free(copy);
}

void wire_damage(struct dray_slice bytes, void (*try_one)(struct dray_slice damaged))
{
    uint8_t *copy = malloc(bytes.len + 1);

    if (copy == NULL) {
        abort();
    }
    memcpy(copy, bytes.at, bytes.len);
    for (size_t len = 0; len < bytes.len; len++) {
        exact_try(copy, len, try_one);
    }
    for (size_t at = 0; at < bytes.len; at++) {
        uint8_t byte = copy[at];

        for (unsigned way = 0; way < 9; way++) {
            copy[at] = (uint8_t)(byte ^ (way == 8 ? 0xffu : 1u << way));
            exact_try(copy, bytes.len, try_one);
        }
        copy[at] = byte;
    }
    free(copy);
}

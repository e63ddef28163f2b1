/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* config_table.c - the table of keys as data: types, bounds, words, and how a text becomes a value.
 *
 * A value is told what it has to be, never only that it is wrong. Words are the enum's values in
 * their order, so a new value is one line here.
 */
#include "config_table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "assert.h"
#include "config_private.h"
#include "nearest.h"

const struct dri_config_row dri_config_rows[] = {
#define DRI_CONFIG_ROW(key_, member, type_, standard_, low_, high_, reload_, help_)                \
    {.key = (key_),                                                                                \
     .at = offsetof(struct dri_settings, member),                                                  \
     .type = DRI_CONFIG_##type_,                                                                   \
     .standard = (standard_),                                                                      \
     .low = (low_),                                                                                \
     .high = (high_),                                                                              \
     .reload = (enum dri_config_reload)(reload_),                                                  \
     .help = (help_)},
    DRI_CONFIG_TABLE(DRI_CONFIG_ROW)
#undef DRI_CONFIG_ROW
};
const size_t dri_config_rows_count = DRI_ARRAY_LEN(dri_config_rows);

/* The words of a type are the enum's values in their order. */
static const char *const order_words[] = {
    [DRI_ORDER_KEY] = "key", [DRI_ORDER_PARTITION] = "partition", [DRI_ORDER_NONE] = "none"};
static const char *const start_words[] = {
    [DRI_START_EARLIEST] = "earliest", [DRI_START_LATEST] = "latest", [DRI_START_FAIL] = "fail"};
static const char *const delivery_words[] = {"at_least_once", "exactly_once"};
static const char *const format_words[] = {[DRI_LOG_LOGFMT] = "logfmt", [DRI_LOG_JSON] = "json"};
static const char *const level_words[] = {[DRI_LOG_DEBUG] = "debug",
                                          [DRI_LOG_INFO] = "info",
                                          [DRI_LOG_WARN] = "warn",
                                          [DRI_LOG_ERROR] = "error"};

static const char *const require_words[] = {
    [DRI_REQUIRE_AUTO] = "auto", [DRI_REQUIRE_TRUE] = "true", [DRI_REQUIRE_FALSE] = "false"};

struct words {
    const char *const *at;
    size_t count;
};

static struct words words_of(enum dri_config_type type)
{
    switch (type) {
    case DRI_CONFIG_ORDER:
        return (struct words){order_words, DRI_ARRAY_LEN(order_words)};
    case DRI_CONFIG_START:
        return (struct words){start_words, DRI_ARRAY_LEN(start_words)};
    case DRI_CONFIG_DELIVERY:
        return (struct words){delivery_words, DRI_ARRAY_LEN(delivery_words)};
    case DRI_CONFIG_FORMAT:
        return (struct words){format_words, DRI_ARRAY_LEN(format_words)};
    case DRI_CONFIG_LEVEL:
        return (struct words){level_words, DRI_ARRAY_LEN(level_words)};
    case DRI_CONFIG_REQUIRE:
        return (struct words){require_words, DRI_ARRAY_LEN(require_words)};
    case DRI_CONFIG_TEXT:
    case DRI_CONFIG_NAME:
    case DRI_CONFIG_LIST:
    case DRI_CONFIG_SIGNERS:
    case DRI_CONFIG_U32:
    case DRI_CONFIG_SIZE:
    case DRI_CONFIG_SIZE32:
    case DRI_CONFIG_BOOL:
    default:
        return (struct words){NULL, 0};
    }
}

static void words_format(struct words words, char *ret_text, size_t text_bytes)
{
    size_t len = 0;
    ret_text[0] = '\0';
    for (size_t i = 0; i < words.count && len < text_bytes; i++) {
        const char *between = i == 0 ? "" : i + 1 == words.count ? " or " : ", ";
        len += (size_t)snprintf(ret_text + len, text_bytes - len, "%s%s", between, words.at[i]);
    }
}

size_t dri_config_find(const char *key)
{
    size_t i = 0;
    while (i < dri_config_rows_count && strcmp(dri_config_rows[i].key, key) != 0) {
        i++;
    }
    return i;
}

static const char *last_part(const char *key)
{
    const char *dot = strrchr(key, '.');
    return dot == NULL ? key : dot + 1;
}

/* The first part of a key: a section, or all of a key without a dot. */
static size_t section_len(const char *key)
{
    return strcspn(key, ".");
}

static bool is_section_of(const char *known, const char *key)
{
    size_t len = section_len(known);
    if (strchr(key, '.') == NULL) {
        return known[len] == '\0';
    }
    return known[len] == '.' && strncmp(known, key, len + 1) == 0;
}

bool dri_config_is_section(const char *key)
{
    size_t len = strlen(key);
    for (size_t i = 0; i < dri_config_rows_count; i++) {
        const char *known = dri_config_rows[i].key;
        if (strncmp(known, key, len) == 0 && known[len] == '.') {
            return true;
        }
    }
    return strcmp(key, "kafka") == 0 || strcmp(key, "nats") == 0;
}

/* The nearest key; *ret_near: it may have been meant. */
static const char *nearest_key(const char *key, bool is_file, bool *ret_near)
{
    static const char *const sections[] = {"topics", "worker", "control", "replay", "admin",
                                           "log",    "kafka",  "nats",    "routes"};
    struct dri_nearest inside;
    struct dri_nearest whole;
    dri_nearest_init(&inside, last_part(key));
    dri_nearest_init(&whole, key);
    for (size_t i = 0; i < dri_config_rows_count; i++) {
        const char *known = dri_config_rows[i].key;
        /* The right word in the wrong place beats a word that only looks alike. */
        if (strcmp(last_part(known), last_part(key)) == 0) {
            *ret_near = true;
            return known;
        }
        if (is_file && is_section_of(known, key)) {
            dri_nearest_show(&inside, last_part(known));
        }
        dri_nearest_show(&whole, known);
    }
    for (size_t i = 0; is_file && strchr(key, '.') == NULL && i < DRI_ARRAY_LEN(sections); i++) {
        dri_nearest_show(&inside, sections[i]);
    }
    bool is_inside = inside.word != NULL && inside.edits <= whole.edits;
    *ret_near = dri_nearest_is_near(is_inside ? &inside : &whole);
    return is_inside ? inside.word : whole.word;
}

enum dray_status dri_config_unknown(const char *source, const char *key, bool is_file,
                                    char *ret_text, size_t text_bytes)
{
    bool is_near = false;
    const char *nearest = nearest_key(key, is_file, &is_near);
    snprintf(ret_text, text_bytes,
             is_near ? "%s: unknown key \"%s\"; did you mean \"%s\"?"
                     : "%s: unknown key \"%s\"; the nearest known one is \"%s\"",
             source, is_file ? last_part(key) : key, nearest);
    return DRAY_EINVALID;
}

static enum dray_status number_parse(const char *text, uint64_t *ret_number)
{
    char *end = NULL;
    if (text[0] < '0' || text[0] > '9') {
        return DRAY_EINVALID;
    }
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0') {
        return DRAY_EINVALID;
    }
    *ret_number = number;
    return DRAY_OK;
}

enum dray_status dri_size_parse(const char *text, uint64_t *ret_bytes)
{
    static const struct {
        const char *unit;
        uint64_t factor;
    } units[] = {
        {"", 1},
        {"B", 1},
        {"KiB", UINT64_C(1) << 10},
        {"MiB", UINT64_C(1) << 20},
        {"GiB", UINT64_C(1) << 30},
        {"TiB", UINT64_C(1) << 40},
        {"kB", 1000},
        {"KB", 1000},
        {"MB", 1000000},
        {"GB", 1000000000},
        {"TB", UINT64_C(1000000000000)},
    };
    size_t len = strspn(text, "0123456789");
    const char *unit = text + len + strspn(text + len, " ");
    uint64_t number = 0;
    if (len == 0 || len > 19) {
        return DRAY_EINVALID;
    }
    for (size_t i = 0; i < len; i++) {
        number = number * 10 + (uint64_t)(text[i] - '0');
    }
    for (size_t i = 0; i < DRI_ARRAY_LEN(units); i++) {
        if (strcmp(unit, units[i].unit) == 0) {
            if (number > UINT64_MAX / units[i].factor) {
                return DRAY_EINVALID;
            }
            *ret_bytes = number * units[i].factor;
            return DRAY_OK;
        }
    }
    return DRAY_EINVALID;
}

static void size_format(uint64_t bytes, char *ret_text, size_t text_bytes)
{
    static const char *const units[] = {"", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    while (unit + 1 < DRI_ARRAY_LEN(units) && bytes >= 1024 && bytes % 1024 == 0) {
        bytes /= 1024;
        unit++;
    }
    snprintf(ret_text, text_bytes, "%" PRIu64 "%s", bytes, units[unit]);
}

static void type_format(const struct dri_config_row *row, char *ret_text, size_t text_bytes)
{
    struct words words = words_of(row->type);
    char low[32];
    char high[32];
    char all[96];
    switch (row->type) {
    case DRI_CONFIG_U32:
        snprintf(ret_text, text_bytes, "number from %" PRIu64 " to %" PRIu64, row->low, row->high);
        return;
    case DRI_CONFIG_SIZE:
    case DRI_CONFIG_SIZE32:
        size_format(row->low, low, sizeof(low));
        size_format(row->high, high, sizeof(high));
        snprintf(ret_text, text_bytes, "size from %s to %s, as 64MiB", low, high);
        return;
    case DRI_CONFIG_BOOL:
        snprintf(ret_text, text_bytes, "true or false");
        return;
    case DRI_CONFIG_LIST:
        snprintf(ret_text, text_bytes, "list, or text with commas");
        return;
    case DRI_CONFIG_NAME:
        snprintf(ret_text, text_bytes, "name of 1 to 64 letters, digits, _ and -");
        return;
    case DRI_CONFIG_TEXT:
        snprintf(ret_text, text_bytes, "text");
        return;
    case DRI_CONFIG_SIGNERS:
        snprintf(ret_text, text_bytes, "list of maps: kid, key, namespaces, from, until");
        return;
    case DRI_CONFIG_ORDER:
    case DRI_CONFIG_START:
    case DRI_CONFIG_DELIVERY:
    case DRI_CONFIG_FORMAT:
    case DRI_CONFIG_LEVEL:
    case DRI_CONFIG_REQUIRE:
    default:
        words_format(words, all, sizeof(all));
        snprintf(ret_text, text_bytes, "%s%s", words.count > 1 ? "one of " : "", all);
        return;
    }
}

static const char *const reload_words[] = {
    [DRI_CONFIG_RESTART] = "restart",
    [DRI_CONFIG_APPLIED] = "applied",
    [DRI_CONFIG_UP_TO_START] = "up to the start's",
};

bool dri_config_key(size_t n, struct dri_config_key *ret_key, char *ret_type_text,
                    size_t type_text_bytes)
{
    if (n >= dri_config_rows_count) {
        return false;
    }
    const struct dri_config_row *row = &dri_config_rows[n];
    type_format(row, ret_type_text, type_text_bytes);
    *ret_key = (struct dri_config_key){.key = row->key,
                                       .type = ret_type_text,
                                       .standard = row->standard,
                                       .help = row->help,
                                       .reload = reload_words[row->reload]};
    return true;
}

static bool is_name(const char *text)
{
    size_t len = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-");
    return len >= 1 && len <= 64 && text[len] == '\0';
}

static enum dray_status wrong(const struct dri_config_row *row, const char *text, char *ret_text,
                              size_t text_bytes)
{
    char type[160];
    type_format(row, type, sizeof(type));
    snprintf(ret_text, text_bytes, "has to be a %s, not \"%s\"", type, text);
    if (words_of(row->type).count > 0 || row->type == DRI_CONFIG_BOOL) {
        snprintf(ret_text, text_bytes, "has to be %s, not \"%s\"", type, text);
    }
    return DRAY_EINVALID;
}

static enum dray_status store_number(const struct dri_config_row *row, const char *text,
                                     void *member, char *ret_text, size_t text_bytes)
{
    uint64_t number = 0;
    bool is_size = row->type != DRI_CONFIG_U32;
    enum dray_status status = is_size ? dri_size_parse(text, &number) : number_parse(text, &number);
    if (status != DRAY_OK || number < row->low || number > row->high) {
        return wrong(row, text, ret_text, text_bytes);
    }
    if (row->type == DRI_CONFIG_SIZE) {
        *(uint64_t *)member = number;
    } else {
        *(uint32_t *)member = (uint32_t)number;
    }
    return DRAY_OK;
}

static enum dray_status store_word(const struct dri_config_row *row, const char *text, void *member,
                                   char *ret_text, size_t text_bytes)
{
    struct words words = words_of(row->type);
    size_t i = 0;
    while (i < words.count && strcmp(words.at[i], text) != 0) {
        i++;
    }
    if (i == words.count) {
        return wrong(row, text, ret_text, text_bytes);
    }
    switch (row->type) {
    case DRI_CONFIG_ORDER:
        *(enum dri_order *)member = (enum dri_order)i;
        break;
    case DRI_CONFIG_START:
        *(enum dri_start *)member = (enum dri_start)i;
        break;
    case DRI_CONFIG_FORMAT:
        *(enum dri_log_format *)member = (enum dri_log_format)i;
        break;
    case DRI_CONFIG_LEVEL:
        *(enum dri_log_level *)member = (enum dri_log_level)i;
        break;
    case DRI_CONFIG_REQUIRE:
        *(enum dri_require *)member = (enum dri_require)i;
        break;
    default:
        *(const char **)member = words.at[i];
        break;
    }
    return DRAY_OK;
}

/* What it means is read again where it is used. */
static enum dray_status store_signers(const char *text, void *member, char *ret_text,
                                      size_t text_bytes)
{
    struct dri_signers signers;
    char what[160];
    if (text[0] == '\0') { /* a template that was given no keys would switch off every check */
        snprintf(ret_text, text_bytes,
                 "is empty: name the keys that may sign, or leave it out when nobody has to");
        return DRAY_EINVALID;
    }
    if (strlen(text) >= DRI_SIGNERS_TEXT_MAX) {
        snprintf(ret_text, text_bytes, "is too long");
        return DRAY_EINVALID;
    }
    if (dri_signers_parse(text, &signers, what, sizeof(what)) != DRAY_OK) {
        snprintf(ret_text, text_bytes, "%s", what);
        return DRAY_EINVALID;
    }
    *(const char **)member = text;
    return DRAY_OK;
}

enum dray_status dri_config_store(const struct dri_config_row *row, const char *text,
                                  struct dri_settings *settings, char *ret_text, size_t text_bytes)
{
    void *member = (char *)settings + row->at;
    switch (row->type) {
    case DRI_CONFIG_NAME:
        if (!is_name(text)) {
            return wrong(row, text, ret_text, text_bytes);
        }
        *(const char **)member = text;
        return DRAY_OK;
    case DRI_CONFIG_TEXT:
        /* Only the admin port is switched off by nothing. */
        if (text[0] == '\0' && strcmp(row->key, "admin.listen") != 0) {
            snprintf(ret_text, text_bytes, "must not be empty");
            return DRAY_EINVALID;
        }
        *(const char **)member = text;
        return DRAY_OK;
    case DRI_CONFIG_LIST:
        *(const char **)member = text[0] == '\0' ? NULL : text;
        return DRAY_OK;
    case DRI_CONFIG_SIGNERS:
        return store_signers(text, member, ret_text, text_bytes);
    case DRI_CONFIG_U32:
    case DRI_CONFIG_SIZE:
    case DRI_CONFIG_SIZE32:
        return store_number(row, text, member, ret_text, text_bytes);
    case DRI_CONFIG_BOOL:
        if (strcasecmp(text, "true") != 0 && strcasecmp(text, "false") != 0) {
            return wrong(row, text, ret_text, text_bytes);
        }
        *(bool *)member = text[0] == 't' || text[0] == 'T';
        return DRAY_OK;
    case DRI_CONFIG_ORDER:
    case DRI_CONFIG_START:
    case DRI_CONFIG_DELIVERY:
    case DRI_CONFIG_FORMAT:
    case DRI_CONFIG_LEVEL:
    case DRI_CONFIG_REQUIRE:
    default:
        return store_word(row, text, member, ret_text, text_bytes);
    }
}

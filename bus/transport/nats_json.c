/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <stdlib.h>
#include <string.h>

#include "nats_tools.h"

/* Just enough JSON to read the answers of the JetStream API: finds a value by its path and hands
 * out the raw bytes. No tree, no allocation, and no recursion: nesting is counted, so hostile bytes
 * cost one pass and give "absent". Numbers beyond 64 bits and invalid escapes are "absent" too. */

static size_t skip_space(struct dray_slice json, size_t at)
{
    while (at < json.len && (json.at[at] == ' ' || json.at[at] == '\t' || json.at[at] == '\n' ||
                             json.at[at] == '\r')) {
        at++;
    }
    return at;
}

/** The index after the string that begins at `at`, or SIZE_MAX. */
static size_t skip_string(struct dray_slice json, size_t at)
{
    for (at++; at < json.len; at++) {
        if (json.at[at] == '\\') {
            at++;
        } else if (json.at[at] == '"') {
            return at + 1;
        }
    }
    return SIZE_MAX;
}

static size_t skip_value(struct dray_slice json, size_t at)
{
    size_t depth = 0;
    while (at < json.len) {
        uint8_t byte = json.at[at];
        if (byte == '"') {
            at = skip_string(json, at);
            if (at == SIZE_MAX) {
                return SIZE_MAX;
            }
        } else if (byte == '{' || byte == '[') {
            depth++;
            at++;
        } else if (byte == '}' || byte == ']') {
            if (depth == 0) {
                return at;
            }
            depth--;
            at++;
        } else if (byte == ',' && depth == 0) {
            return at;
        } else {
            at++;
            /* A number or a word ends where the next sign of structure begins. */
            if (depth == 0 && at < json.len && strchr(",]} \t\r\n", json.at[at]) != NULL) {
                return at;
            }
            continue;
        }
        if (depth == 0) {
            return at;
        }
    }
    return depth == 0 ? at : SIZE_MAX;
}

/** The value of one key of the object; `json` begins at its brace. */
static struct dray_slice member(struct dray_slice json, const char *key, size_t key_len)
{
    const struct dray_slice absent = {NULL, 0};
    size_t at = skip_space(json, 0);
    if (at >= json.len || json.at[at] != '{') {
        return absent;
    }
    at++;
    for (;;) {
        at = skip_space(json, at);
        if (at >= json.len || json.at[at] != '"') {
            return absent;
        }
        size_t name_end = skip_string(json, at);
        if (name_end == SIZE_MAX) {
            return absent;
        }
        bool is_it = name_end - at - 2 == key_len && memcmp(json.at + at + 1, key, key_len) == 0;
        at = skip_space(json, name_end);
        if (at >= json.len || json.at[at] != ':') {
            return absent;
        }
        at = skip_space(json, at + 1);
        size_t end = skip_value(json, at);
        if (end == SIZE_MAX || end == at) {
            return absent;
        }
        if (is_it) {
            return dray_slice_of(json.at + at, end - at);
        }
        at = skip_space(json, end);
        if (at >= json.len || json.at[at] != ',') {
            return absent;
        }
        at++;
    }
}

struct dray_slice dri_nats_json_find(struct dray_slice json, const char *path)
{
    while (json.at != NULL) {
        const char *dot = strchr(path, '.');
        json = member(json, path, dot == NULL ? strlen(path) : (size_t)(dot - path));
        if (dot == NULL) {
            break;
        }
        path = dot + 1;
    }
    return json;
}

bool dri_nats_json_next(struct dray_slice array, size_t *at, struct dray_slice *ret_item)
{
    size_t here = *at;
    if (array.at == NULL) {
        return false;
    }
    if (here == 0) {
        here = skip_space(array, 0);
        if (here >= array.len || array.at[here] != '[') {
            return false;
        }
        here++;
    }
    here = skip_space(array, here);
    if (here >= array.len || array.at[here] == ']') {
        return false;
    }
    size_t end = skip_value(array, here);
    if (end == SIZE_MAX || end == here) {
        return false;
    }
    *ret_item = dray_slice_of(array.at + here, end - here);
    end = skip_space(array, end);
    *at = end < array.len && array.at[end] == ',' ? end + 1 : array.len;
    return true;
}

static bool number_text(struct dray_slice value, char text[32])
{
    if (value.at == NULL || value.len == 0 || value.len >= 32) {
        return false;
    }
    memcpy(text, value.at, value.len);
    text[value.len] = '\0';
    return strspn(text, "-0123456789") == value.len;
}

uint64_t dri_nats_json_uint(struct dray_slice json, const char *path, uint64_t otherwise)
{
    char text[32];
    if (!number_text(dri_nats_json_find(json, path), text) || text[0] == '-') {
        return otherwise;
    }
    return strtoull(text, NULL, 10);
}

int64_t dri_nats_json_int(struct dray_slice json, const char *path, int64_t otherwise)
{
    char text[32];
    if (!number_text(dri_nats_json_find(json, path), text)) {
        return otherwise;
    }
    return strtoll(text, NULL, 10);
}

bool dri_nats_json_bool(struct dray_slice json, const char *path)
{
    return dray_slice_equal_text(dri_nats_json_find(json, path), "true");
}

static int hex_digit(uint8_t byte)
{
    if (byte >= '0' && byte <= '9') {
        return byte - '0';
    }
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/** One \uXXXX at `at` (of the 'u'), as UTF-8; surrogates become '?'. Returns the bytes put, 0: bad.
 */
static size_t unescape_unit(struct dray_slice value, size_t at, char put[3])
{
    uint32_t unit = 0;
    if (at + 4 >= value.len) {
        return 0;
    }
    for (size_t i = 1; i <= 4; i++) {
        int digit = hex_digit(value.at[at + i]);
        if (digit < 0) {
            return 0;
        }
        unit = unit << 4 | (uint32_t)digit;
    }
    if (unit >= 0xd800 && unit <= 0xdfff) {
        unit = '?';
    }
    if (unit < 0x80) {
        put[0] = (char)unit;
        return 1;
    }
    if (unit < 0x800) {
        put[0] = (char)(0xc0 | unit >> 6);
        put[1] = (char)(0x80 | (unit & 0x3f));
        return 2;
    }
    put[0] = (char)(0xe0 | unit >> 12);
    put[1] = (char)(0x80 | (unit >> 6 & 0x3f));
    put[2] = (char)(0x80 | (unit & 0x3f));
    return 3;
}

/** One escape at `at` (after the backslash). Returns the bytes put, 0: bad; *ret_taken of the
 * input. */
static size_t unescape_one(struct dray_slice value, size_t at, char put[3], size_t *ret_taken)
{
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    if (value.at[at] == 'u') {
        *ret_taken = 5;
        return unescape_unit(value, at, put);
    }
    const char *found = value.at[at] == '\0' ? NULL : strchr(from, value.at[at]);
    if (found == NULL) {
        return 0;
    }
    put[0] = to[found - from];
    *ret_taken = 1;
    return 1;
}

bool dri_nats_json_unescape(struct dray_slice value, char *ret_text, size_t bytes)
{
    size_t len = 0;
    ret_text[0] = '\0';
    if (value.at == NULL || value.len < 2 || value.at[0] != '"' || value.at[value.len - 1] != '"') {
        return false;
    }
    for (size_t at = 1; at + 1 < value.len;) {
        char put[3] = {(char)value.at[at], 0, 0};
        size_t put_len = 1, taken = 1;
        if (value.at[at] == '\\') {
            put_len = unescape_one(value, at + 1, put, &taken);
            taken++;
        }
        if (put_len == 0 || len + put_len >= bytes) {
            ret_text[0] = '\0';
            return false;
        }
        memcpy(ret_text + len, put, put_len);
        len += put_len;
        at += taken;
    }
    ret_text[len] = '\0';
    return true;
}

bool dri_nats_json_text(struct dray_slice json, const char *path, char *ret_text, size_t bytes)
{
    return dri_nats_json_unescape(dri_nats_json_find(json, path), ret_text, bytes);
}

bool dri_nats_json_quote(const char *text, char *ret_json, size_t bytes)
{
    static const char hex[] = "0123456789abcdef";
    size_t len = 0;
    if (bytes < 3) {
        return false;
    }
    ret_json[len++] = '"';
    for (; *text != '\0'; text++) {
        uint8_t byte = (uint8_t)*text;
        if (len + 8 > bytes) {
            return false;
        }
        if (byte < 0x20) {
            memcpy(ret_json + len, "\\u00", 4);
            ret_json[len + 4] = hex[byte >> 4];
            ret_json[len + 5] = hex[byte & 15];
            len += 6;
            continue;
        }
        if (byte == '"' || byte == '\\') {
            ret_json[len++] = '\\';
        }
        ret_json[len++] = (char)byte;
    }
    ret_json[len++] = '"';
    ret_json[len] = '\0';
    return true;
}

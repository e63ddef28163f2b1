/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* text.c - growing text, JSON strings and base64.
 *
 * A text keeps its first failure and ignores what comes after it, so that a printer of many small
 * pieces checks once, at the end. base64 is libsodium's: strict, and constant in time for those who
 * care.
 */

#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "json.h"
#include "scanner.h"

#define TEXT_BYTES_MIN 256u

void dri_text_init(struct dri_text *text)
{
    *text = (struct dri_text){.at = NULL, .len = 0, .capacity = 0, .status = DRAY_OK};
}

void dri_text_fini(struct dri_text *text)
{
    dri_free(text->at);
    dri_text_init(text);
}

/* Room for `more` bytes and a NUL behind the text. */
static bool text_grow(struct dri_text *text, size_t more)
{
    size_t capacity = text->capacity < TEXT_BYTES_MIN ? TEXT_BYTES_MIN : text->capacity;
    char *at;

    if (text->status != DRAY_OK) {
        return false;
    }
    if (more < text->capacity - text->len) {
        return true;
    }
    if (more > SIZE_MAX / 4 - text->len) {
        text->status = DRAY_ENOMEM;
        return false;
    }
    while (capacity <= text->len + more) {
        capacity *= 2;
    }
    at = dri_zalloc(capacity);
    if (at == NULL) {
        text->status = DRAY_ENOMEM;
        return false;
    }
    if (text->len > 0) {
        memcpy(at, text->at, text->len);
    }
    dri_free(text->at);
    text->at = at;
    text->capacity = capacity;
    return true;
}

void dri_text_add(struct dri_text *text, const char *bytes, size_t len)
{
    if (!text_grow(text, len)) {
        return;
    }
    if (len > 0) {
        memcpy(text->at + text->len, bytes, len);
    }
    text->len += len;
    text->at[text->len] = '\0';
}

void dri_text_addf(struct dri_text *text, const char *format, ...)
{
    va_list arguments;
    va_list again;
    int len;

    va_start(arguments, format);
    va_copy(again, arguments);
    len = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (len >= 0 && text_grow(text, (size_t)len)) {
        (void)vsnprintf(text->at + text->len, (size_t)len + 1, format, again);
        text->len += (size_t)len;
    }
    va_end(again);
}

static void escape_add(struct dri_text *text, uint8_t byte)
{
    switch (byte) {
    case '"':
        dri_text_add(text, "\\\"", 2);
        return;
    case '\\':
        dri_text_add(text, "\\\\", 2);
        return;
    case '\n':
        dri_text_add(text, "\\n", 2);
        return;
    case '\r':
        dri_text_add(text, "\\r", 2);
        return;
    case '\t':
        dri_text_add(text, "\\t", 2);
        return;
    default:
        dri_text_addf(text, "\\u%04x", (unsigned)byte);
        return;
    }
}

static void bytes_add(struct dri_text *text, struct dray_slice value)
{
    char *base64 = dri_base64_encode(value);

    if (base64 == NULL) {
        text->status = text->status == DRAY_OK ? DRAY_ENOMEM : text->status;
        return;
    }
    dri_text_addf(text, "{\"$bin\":\"%s\"}", base64);
    dri_free(base64);
}

void dri_text_add_json_string(struct dri_text *text, struct dray_slice value)
{
    size_t from = 0;

    if (!dri_utf8_is_valid(value)) {
        bytes_add(text, value);
        return;
    }
    dri_text_add(text, "\"", 1);
    for (size_t i = 0; i < value.len; i++) {
        uint8_t byte = value.at[i];
        bool is_c1 = byte == 0xc2 && value.at[i + 1] < 0xa0; /* UTF-8: there is another byte */

        if (byte >= 0x20 && byte != '"' && byte != '\\' && byte != 0x7f && !is_c1) {
            continue;
        }
        dri_text_add(text, (const char *)value.at + from, i - from);
        i += is_c1;
        escape_add(text, value.at[i]);
        from = i + 1;
    }
    if (value.len > from) {
        dri_text_add(text, (const char *)value.at + from, value.len - from);
    }
    dri_text_add(text, "\"", 1);
}

char *dri_base64_encode(struct dray_slice bytes)
{
    size_t size = sodium_base64_ENCODED_LEN(bytes.len, sodium_base64_VARIANT_ORIGINAL);
    char *text = bytes.len > SIZE_MAX / 4 ? NULL : dri_zalloc(size);

    if (text != NULL) {
        (void)sodium_bin2base64(text, size, bytes.at, bytes.len, sodium_base64_VARIANT_ORIGINAL);
    }
    return text;
}

enum dray_status dri_base64_decode(struct dray_slice text, uint8_t **ret_bytes, size_t *ret_len)
{
    size_t size = text.len / 4 * 3 + 1;
    uint8_t *bytes = dri_zalloc(size);
    size_t len = 0;

    if (bytes == NULL) {
        return DRAY_ENOMEM;
    }
    if (text.len > 0 && sodium_base642bin(bytes, size, (const char *)text.at, text.len, NULL, &len,
                                          NULL, sodium_base64_VARIANT_ORIGINAL) != 0) {
        dri_free(bytes);
        return DRAY_EINVALID;
    }
    *ret_bytes = bytes;
    *ret_len = len;
    return DRAY_OK;
}

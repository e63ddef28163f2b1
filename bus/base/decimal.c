/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "decimal.h"

#include <string.h>

#include "assert.h"

#define DIGITS_MAX 20u /* of 2^64 - 1 */

size_t dri_decimal_after(char *ret_text, size_t bytes, const char *text, char separator,
                         uint64_t number)
{
    char digits[DIGITS_MAX];
    size_t first = DIGITS_MAX;
    DRI_ASSERT(bytes >= DIGITS_MAX + 2);
    do {
        digits[--first] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    size_t len = strnlen(text, bytes - DIGITS_MAX - 2);
    memcpy(ret_text, text, len);
    ret_text[len++] = separator;
    memcpy(ret_text + len, digits + first, DIGITS_MAX - first);
    len += DIGITS_MAX - first;
    ret_text[len] = '\0';
    return len;
}

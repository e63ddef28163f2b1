/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

#include <string.h>

#include <dray/reader.h>

/* Length of the well-formed sequence at `at`, 0 when there is none. Source: Unicode 15, table 3-7.
 */
static size_t sequence(const uint8_t *at, size_t left)
{
    uint8_t first = at[0];
    uint8_t low = 0x80;
    uint8_t high = 0xbf;
    size_t len;

    if (first < 0x80) {
        return 1;
    }
    if (first < 0xc2 || first > 0xf4) {
        return 0;
    }
    len = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (left < len) {
        return 0;
    }
    if (first == 0xe0) {
        low = 0xa0;
    } else if (first == 0xed) {
        high = 0x9f;
    } else if (first == 0xf0) {
        low = 0x90;
    } else if (first == 0xf4) {
        high = 0x8f;
    }
    if (at[1] < low || at[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < len; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return len;
}

bool dray_text_is_valid(struct dray_slice text)
{
    size_t i = 0;

    while (i < text.len) {
        size_t len;
        uint64_t word;

        if (text.len - i >= sizeof(word)) {
            memcpy(&word, text.at + i, sizeof(word));
            if ((word & UINT64_C(0x8080808080808080)) == 0) {
                i += sizeof(word);
                continue;
            }
        }
        len = sequence(text.at + i, text.len - i);
        if (len == 0) {
            return false;
        }
        i += len;
    }
    return true;
}

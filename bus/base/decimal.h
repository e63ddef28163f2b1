/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_DECIMAL_H
#define DRI_DECIMAL_H

#include <stddef.h>
#include <stdint.h>

/* decimal.h - names with a number at their end, made once or twice for each command: snprintf
 * takes 150 ns for what is a copy and a few divisions.
 */

/** "<text><separator><number>" and its end; returns the length without it. A text that does not fit
 * with the largest number is cut. Requires: bytes >= 22. */
size_t dri_decimal_after(char *ret_text, size_t bytes, const char *text, char separator,
                         uint64_t number);

#endif

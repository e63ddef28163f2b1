/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_URL_H
#define DRI_URL_H

#include <stddef.h>

/* url.h - the address of a bus as it may be shown. Pure; any thread. */

/** A bus URL without user and password, for logs and listings. ret_text is always a whole string.
 */
void dri_url_redact(const char *url, char *ret_text, size_t text_bytes);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "url.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

void dri_url_redact(const char *url, char *ret_text, size_t text_bytes)
{
    size_t len = 0;
    while (*url != '\0' && len + 1 < text_bytes) {
        /* One server of a comma list: scheme, then what stands behind its last '@'. */
        size_t end = strcspn(url, ",");
        const char *scheme = strstr(url, "://");
        size_t begin = scheme != NULL && scheme < url + end ? (size_t)(scheme - url) + 3 : 0;
        size_t host = begin;
        for (size_t i = begin; i < end; i++) {
            host = url[i] == '@' ? i + 1 : host;
        }
        bool is_last = url[end] == '\0';
        len += (size_t)snprintf(ret_text + len, text_bytes - len, "%.*s%.*s%s", (int)begin, url,
                                (int)(end - host), url + host, is_last ? "" : ",");
        url += end + (is_last ? 0 : 1);
    }
    if (len == 0) {
        ret_text[0] = '\0';
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "transport.h"

#include <stdio.h>
#include <string.h>

/* The table of transports: the one place that knows which there are. */

static const struct dri_transport_ops *const transports[] = {
    &dri_kafka_ops,
    &dri_nats_ops,
    &dri_sim_ops,
};

#define TRANSPORTS_COUNT (sizeof(transports) / sizeof(transports[0]))

enum dray_status dri_transport_for(const char *url, const struct dri_transport_ops **ret_ops,
                                   char *ret_text, size_t text_bytes)
{
    char names[128] = "";
    size_t scheme_len = strcspn(url, ":");
    bool is_url = strncmp(url + scheme_len, "://", 3) == 0;
    for (size_t i = 0; i < TRANSPORTS_COUNT; i++) {
        const char *scheme = transports[i]->scheme;
        if (is_url && strlen(scheme) == scheme_len && memcmp(scheme, url, scheme_len) == 0) {
            *ret_ops = transports[i];
            return DRAY_OK;
        }
        size_t len = strlen(names);
        (void)snprintf(names + len, sizeof(names) - len, "%s%s://",
                       len == 0                    ? ""
                       : i + 1 == TRANSPORTS_COUNT ? " or "
                                                   : ", ",
                       scheme);
    }
    (void)snprintf(ret_text, text_bytes, "bus \"%.*s%s\" is not known here: it begins with %s",
                   is_url ? (int)scheme_len : 40, url, is_url ? "://..." : "", names);
    return DRAY_EINVALID;
}

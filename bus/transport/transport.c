/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "transport.h"

#include <stdio.h>
#include <string.h>

#include "assert.h"

/* The table of transports: the one place that knows which there are. */

/* The last one runs inside the tests only: it is found, but offered to nobody. */
static const struct dri_transport_ops *const transports[] = {
    &dri_kafka_ops,
    &dri_nats_ops,
    &dri_sim_ops,
};

enum dray_status dri_transport_for(const char *url, const struct dri_transport_ops **ret_ops,
                                   char *ret_text, size_t text_bytes)
{
    size_t scheme_len = strcspn(url, ":");
    bool is_url = strncmp(url + scheme_len, "://", 3) == 0;
    for (size_t i = 0; i < DRI_ARRAY_LEN(transports); i++) {
        const char *scheme = transports[i]->scheme;
        if (is_url && strlen(scheme) == scheme_len && memcmp(scheme, url, scheme_len) == 0) {
            *ret_ops = transports[i];
            return DRAY_OK;
        }
    }
    (void)snprintf(ret_text, text_bytes,
                   "bus \"%.*s%s\" is not known here: it begins with kafka:// or nats://",
                   is_url ? (int)scheme_len : 40, url, is_url ? "://..." : "");
    return DRAY_EINVALID;
}

enum dray_status dri_transport_check_option(const char *scheme, const struct dri_option *option,
                                            char *ret_text, size_t text_bytes)
{
    size_t i = 0;
    while (i < DRI_ARRAY_LEN(transports) && strcmp(transports[i]->scheme, scheme) != 0) {
        i++;
    }
    DRI_ASSERT(i < DRI_ARRAY_LEN(transports));
    return transports[i]->check_option(option, ret_text, text_bytes);
}

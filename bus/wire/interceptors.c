/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "interceptors.h"

#include <string.h>

#include "fields.h"
#include "sha256.h"
#include "words.h"

bool dri_interceptor_parse(struct dray_slice text, struct dray_slice *ret_module,
                           struct dray_slice *ret_name, struct dray_slice *ret_sha256)
{
    const uint8_t *colon = text.len == 0 ? NULL : memchr(text.at, ':', text.len);
    if (colon == NULL) {
        return false;
    }
    const uint8_t *end = text.at + text.len;
    const uint8_t *name = colon + 1;
    const uint8_t *sign = name == end ? NULL : memchr(name, '@', (size_t)(end - name));
    struct dray_slice module = dray_slice_of(text.at, (size_t)(colon - text.at));
    struct dray_slice named = dray_slice_of(name, (size_t)((sign == NULL ? end : sign) - name));
    struct dray_slice sha256 = {NULL, 0};
    if (sign != NULL) {
        sha256 = dray_slice_of(sign + 1, (size_t)(end - sign - 1));
    }
    if (!dri_module_name_is_valid(module) || !dri_dependency_name_is_valid(named) ||
        (sign != NULL && !dri_sha256_is_hex(sha256))) {
        return false;
    }
    *ret_module = module;
    *ret_name = named;
    *ret_sha256 = sha256;
    return true;
}

bool dri_policy_next_interceptor(const struct dri_policy *policy, size_t *at,
                                 struct dray_slice *ret_text)
{
    struct dri_scanner scanner;
    struct dri_token token;
    if (policy->interceptors.at == NULL || !dri_array_element(policy->interceptors, at, &scanner) ||
        dri_scanner_next(&scanner, &token) != DRAY_OK || token.type != DRI_TOKEN_STR) {
        return false;
    }
    *at = dri_scanner_offset(&scanner);
    *ret_text = token.bytes;
    return true;
}

enum dray_status dri_interceptors_read(struct dray_slice route, struct dri_policy *policy,
                                       struct dri_wire_error *ret_error)
{
    struct dray_slice list = policy->interceptors;
    struct dray_slice text, module, name, sha256;
    const struct dri_wire_limits limits = DRI_WIRE_LIMITS_DEFAULT;
    struct dri_scanner scanner;
    struct dri_token array = {.count = 0};
    uint32_t count = 0;
    size_t at = 0;
    if (list.at == NULL) {
        return DRAY_OK;
    }
    dri_scanner_init_inside(&scanner, list, list, 1, &limits);
    bool is_good = dri_scanner_next(&scanner, &array) == DRAY_OK;
    while (is_good && dri_policy_next_interceptor(policy, &at, &text)) {
        is_good = dri_interceptor_parse(text, &module, &name, &sha256);
        count++;
    }
    if (!is_good || count != array.count || count > DRI_INTERCEPTORS_MAX) {
        *ret_error = (struct dri_wire_error){.field = "policy.interceptors",
                                             .text = count > DRI_INTERCEPTORS_MAX
                                                         ? "has more than 8 names"
                                                         : "is no list of \"module.so:name\", with "
                                                           "\"@\" and a SHA-256 where it is pinned",
                                             .offset = (uint32_t)(list.at - route.at)};
        return DRAY_EINVALID;
    }
    if (count == 0) {
        policy->interceptors = dray_slice_of(NULL, 0);
    }
    return DRAY_OK;
}

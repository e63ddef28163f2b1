/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "canary_rules.h"

#include "fields.h"

static const struct dri_field g_canary_fields[] = {
    {.name = "promote_after",
     .label = "policy.canary.promote_after",
     .at = offsetof(struct dri_policy, canary_promote_after),
     .type = DRI_FIELD_U32},
    {.name = "tolerance",
     .label = "policy.canary.tolerance",
     .at = offsetof(struct dri_policy, canary_tolerance),
     .type = DRI_FIELD_U32},
};

enum dray_status dri_canary_rules_read(struct dray_slice route, struct dray_slice map,
                                       const struct dri_wire_limits *limits,
                                       struct dri_policy *policy, struct dri_wire_error *ret_error)
{
    struct dri_scanner scanner;

    if (dray_slice_is_absent(map)) {
        return DRAY_OK;
    }
    policy->has_canary = true;
    policy->canary_promote_after = DRI_CANARY_PROMOTE_AFTER;
    policy->canary_tolerance = DRI_CANARY_TOLERANCE;
    dri_scanner_init_inside(&scanner, route, map, 2, limits);
    enum dray_status status =
        dri_fields_read(&scanner, g_canary_fields,
                        sizeof(g_canary_fields) / sizeof(g_canary_fields[0]), policy, ret_error);
    if (status != DRAY_OK) {
        ret_error->field = ret_error->field[0] == '\0' ? "policy.canary" : ret_error->field;
        return status;
    }
    if (policy->canary_tolerance == 0 || policy->canary_tolerance > 50) {
        *ret_error = (struct dri_wire_error){.field = "policy.canary.tolerance",
                                             .text = "is not 1 to 50 points",
                                             .offset = (uint32_t)(map.at - route.at)};
        return DRAY_EINVALID;
    }
    return DRAY_OK;
}

void dri_canary_rules_add(struct dri_packer *packer, const struct dri_policy *policy)
{
    if (policy->has_canary) {
        dri_packer_key(packer, "canary");
        (void)msgpack_pack_map(&packer->pack, 2);
        dri_packer_add_uint(packer, "promote_after", policy->canary_promote_after);
        dri_packer_add_uint(packer, "tolerance", policy->canary_tolerance);
    }
}

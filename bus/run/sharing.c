/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "sharing.h"

#include "log.h"

void dri_sharing_init(struct dri_sharing *sharing, const struct dri_registry *registry,
                      const char *worker, const char *group)
{
    sharing->registry = registry;
    dri_replicas_init(&sharing->replicas, worker, group);
}

bool dri_sharing_begin(struct dri_sharing *sharing)
{
    dri_replicas_begin(&sharing->replicas);
    sharing->is_reading = sharing->is_wanted && !sharing->is_off;
    return sharing->is_reading;
}

void dri_sharing_failed(struct dri_sharing *sharing, enum dray_status status, const char *topic,
                        const char *text)
{
    if (sharing->is_reading && dray_status_class(status) != DRAY_CLASS_TRANSIENT) {
        sharing->is_off = true;
        DRI_LOG(DRI_LOG_ERROR, "CTL-REPLICAS-UNKNOWN",
                "the status topic cannot be read: rates that are shared are kept very low",
                DRI_TEXT("topic", topic), DRI_TEXT("reason", text));
    }
}

bool dri_sharing_wants_more(const struct dri_sharing *sharing)
{
    return sharing->is_wanted && !sharing->is_reading && !sharing->is_off;
}

static void look_at_route(void *arg, const struct dri_route *route)
{
    bool *is_wanted = arg;
    *is_wanted = *is_wanted || route->view.policy.is_rate_shared;
}

bool dri_sharing_look(struct dri_sharing *sharing, bool is_checked, uint64_t now_ns)
{
    if (sharing->is_asking && is_checked) {
        sharing->is_asking = false;
        sharing->is_wanted = false;
        dri_registry_each(sharing->registry, look_at_route, &sharing->is_wanted);
    }
    if (!sharing->is_reading) {
        return false;
    }
    uint32_t count = dri_replicas_count(&sharing->replicas, now_ns);
    if (count == atomic_load(&sharing->count)) {
        return false;
    }
    atomic_store(&sharing->count, count);
    DRI_LOG(DRI_LOG_INFO, "CTL-REPLICAS", "rates that are shared are shared by so many now",
            DRI_UINT("replicas", count));
    return true;
}

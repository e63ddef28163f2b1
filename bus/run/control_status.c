/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "control_inside.h"
#include "log.h"
#include "mem.h"

#define BEATS_OUT_MAX 4u

void dri_control_note_counts(struct dri_control_thread *control)
{
    const uint64_t *counts = control->log.counts;
    dri_metrics_set(control->page, DRI_METRIC_CONTROL_APPLIED, counts[DRI_CONTROL_APPLIED]);
    dri_metrics_set(control->page, DRI_METRIC_CONTROL_CONFLICTS, counts[DRI_CONTROL_CONFLICT]);
    dri_metrics_set(control->page, DRI_METRIC_CONTROL_REFUSED, counts[DRI_CONTROL_REFUSED]);
    dri_metrics_set(control->page, DRI_METRIC_CONTROL_UNTRUSTED, control->log.untrusted);
    dri_metrics_set(control->page, DRI_METRIC_ROUTES, dri_registry_count(control->registry));
    dri_metrics_set(control->page, DRI_METRIC_ROUTES_FAILED, control->beat.failed);
}

static const char *state_text(const struct dri_control_thread *control)
{
    switch (atomic_load(&control->state)) {
    case DRI_WORKER_READY:
        return "ready";
    case DRI_WORKER_PAUSED:
        return "paused";
    case DRI_WORKER_DRAINING:
        return "draining";
    default:
        return "starting";
    }
}

static bool publish_beat(struct dri_control_thread *control, struct dri_now now, const char *state,
                         bool is_tombstone)
{
    static const uint8_t none;
    uint8_t *buffer = dri_zalloc(DRI_BEAT_BYTES_MAX);
    size_t len = 0;
    bool is_taken = false;
    dri_hot_set_take(&control->hot, now.mono_ns);
    if (buffer != NULL &&
        dri_beat_encode(&control->beat, state, now.wall_ms, buffer, &len) == DRAY_OK) {
        const struct dri_publish publish = {
            .token = TOKEN_BEAT + control->beat.said,
            .topic = dray_slice_text(control->settings->topics.status),
            .partition = -1,
            .key = dray_slice_text(control->worker),
            .value = is_tombstone ? dray_slice_of(NULL, 0) : dray_slice_of(buffer, len),
            .headers = dray_slice_of(&none, 0),
        };
        is_taken = control->ops->publish(control->transport, now, &publish, 1) == 1;
        if (is_taken && control->beats_out++ == 0) {
            control->beats_said = control->beat.said;
        }
        if (is_taken && !is_tombstone) {
            (void)dri_beat_handed(&control->beat);
        }
    }
    dri_free(buffer);
    return is_taken;
}

void dri_control_beat(struct dri_control_thread *control, struct dri_now now)
{
    bool is_due = control->beat.is_changed || now.mono_ns >= control->beat.due_ns;
    bool is_reading = !control->is_checked && now.mono_ns < control->beat.due_ns;
    if (!is_due || is_reading || control->beats_out >= BEATS_OUT_MAX) {
        return;
    }
    if (publish_beat(control, now, state_text(control), false)) {
        control->beat.is_changed = dri_beat_has_more(&control->beat);
        control->beat.due_ns = now.mono_ns + BEAT_NS;
        dri_control_note_counts(control);
    }
}

void dri_control_beat_ack(struct dri_control_thread *control, const struct dri_published *published)
{
    bool is_failing = published->ack == DRI_ACK_NOT_STORED;
    control->beats_out -= control->beats_out > 0;
    if (published->ack != DRI_ACK_STORED) {
        dri_beat_lost(&control->beat, published->token - TOKEN_BEAT);
    }
    if (is_failing && !control->is_beat_failing) {
        DRI_LOG(DRI_LOG_WARN, "CTL-STATUS", "the status topic does not take our records",
                DRI_TEXT("topic", control->settings->topics.status),
                DRI_TEXT("reason", dray_status_text(published->reason)));
    }
    control->is_beat_failing = is_failing;
}

void dri_control_beat_now(struct dri_control_thread *control, struct dri_now now)
{
    (void)publish_beat(control, now, state_text(control), false);
}

bool dri_control_beat_goodbye(struct dri_control_thread *control, struct dri_now now)
{
    return publish_beat(control, now, "gone", control->is_kafka);
}

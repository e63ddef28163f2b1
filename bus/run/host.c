/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* host.c - what a handler may ask while it runs, and how it is told to stop.
 *
 * Cancellation is cooperative: one bit beside the token of what runs, and at most one function that
 * the handler left to be called. That function runs under the lock `calls`, the one place where
 * dray calls out under a lock: it may only set flags, and the lock is what keeps its argument alive
 * until it has returned.
 *
 * Everything here works on the runner alone, never on its lane: a handler that does not return
 * keeps asking after its lane has become another's.
 */
#include <stdio.h>

#include "clock.h"
#include "executor_inside.h"
#include "log.h"

static const struct runner *runner_of(const struct dray_call *call)
{
    return (const struct runner *)(const void *)call;
}

static bool host_is_cancelled(const struct dray_call *call)
{
    const struct runner *runner = runner_of(call);
    uint64_t current = atomic_load_explicit(&runner->current, memory_order_relaxed);
    return (current & CANCELLED_BIT) != 0 ||
           (runner->deadline_ns != 0 && dri_clock_mono_ns() >= runner->deadline_ns);
}

static uint64_t host_remaining_ms(const struct dray_call *call)
{
    const struct runner *runner = runner_of(call);
    if (runner->deadline_ns == 0) {
        return UINT64_MAX;
    }
    uint64_t now = dri_clock_mono_ns();
    return now >= runner->deadline_ns ? 0 : (runner->deadline_ns - now) / 1000000u;
}

static enum dray_status host_on_cancel(struct dray_call *call, dray_cancel_fn *fn, void *arg)
{
    struct runner *runner = (struct runner *)(void *)call;
    struct lanes *lanes = runner->lanes;
    enum dray_status status = DRAY_OK;
    dri_lock_take(&lanes->calls);
    if (fn == NULL) { /* taken back; calls is held, so it does not run */
        runner->cancel = NULL;
        runner->cancel_ns = NEVER;
    } else if (runner->cancel != NULL) {
        status = DRAY_EEXISTS;
    } else if (host_is_cancelled(call)) {
        status = DRAY_ECLOSED;
    } else {
        runner->has_cancel = true;
        runner->cancel = fn;
        runner->cancel_arg = arg;
        runner->cancel_ns = runner->deadline_ns != 0 ? runner->deadline_ns : NEVER;
        dri_cond_broadcast(&lanes->changed);
    }
    dri_lock_drop(&lanes->calls);
    return status;
}

static enum dray_error_kind host_fail(struct dray_call *call, enum dray_error_kind kind,
                                      const char *code, const char *message,
                                      uint32_t retry_after_ms)
{
    struct runner *runner = (struct runner *)(void *)call;
    snprintf(runner->code, sizeof(runner->code), "%s", code != NULL ? code : "");
    snprintf(runner->text, sizeof(runner->text), "%s", message != NULL ? message : "");
    runner->retry_after_ms = retry_after_ms;
    return kind;
}

static void host_log(struct dray_call *call, int level, const char *text)
{
    enum dri_log_level levels[] = {DRI_LOG_DEBUG, DRI_LOG_INFO, DRI_LOG_WARN, DRI_LOG_ERROR};
    enum dri_log_level at = levels[level < 0 ? 0 : level > 3 ? 3 : level];
    DRI_LOG(at, "HANDLER", text, DRI_SLICE("command", call->command), DRI_SLICE("id", call->id),
            DRI_UINT("attempt", call->attempt));
}

static const void *host_payload_object(struct dray_call *call)
{
    struct runner *runner = (struct runner *)(void *)call;
    const void *object = NULL;
    if (runner->arena == NULL && dri_payload_arena_create(TREE_BYTES, &runner->arena) != DRAY_OK) {
        return NULL;
    }
    static const uint8_t nil = 0xc0;
    struct dray_slice payload = call->payload.at != NULL ? call->payload : dray_slice_of(&nil, 1);
    return dri_payload_unpack(runner->arena, payload, &object) == DRAY_OK ? object : NULL;
}

const struct dray_host dri_call_host = {
    .bytes = sizeof(struct dray_host),
    .is_cancelled = host_is_cancelled,
    .remaining_ms = host_remaining_ms,
    .on_cancel = host_on_cancel,
    .note_failure = host_fail,
    .log = host_log,
    .payload_object = host_payload_object,
};

void dri_runner_call_cancel(struct runner *runner)
{
    dri_lock_assert_held(&runner->lanes->calls);
    dray_cancel_fn *cancel = runner->cancel;
    if (cancel != NULL) {
        runner->cancel = NULL;
        runner->cancel_ns = NEVER;
        cancel(runner->cancel_arg);
    }
}

void dri_runner_cancel(struct runner *runner, uint64_t token)
{
    uint64_t expected = token;
    dri_lock_assert_held(&runner->lanes->calls);
    if (!atomic_compare_exchange_strong(&runner->current, &expected, token | CANCELLED_BIT)) {
        return;
    }
    runner->cancelled_token = token;
    runner->cancelled_ns = dri_clock_mono_ns();
    if (atomic_load(&runner->current) == (token | CANCELLED_BIT)) {
        dri_runner_call_cancel(runner);
    }
}

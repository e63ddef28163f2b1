/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "machine.h"

/* Whether most of what ends in this worker ends badly: a database is down that everything needs.
 *
 * Each end of a command by a run is counted in a window that slides in tenths, over all routes:
 * how many, and how many of them would become dead letters because something behind the handler is
 * not well. A run that is to be repeated is no end. When at least systemic_min ended and at least
 * systemic_share percent of them so, dead-lettering pauses: from then on a route whose command
 * fails that way has an open breaker, whether it was given one or not, and the command waits on
 * with its attempts unburnt. breaker.c has the rest: what waits, the probes, and that a command
 * may spoil DRI_PROBES_MAX of them. A route that goes on working is never touched, and what ends
 * in another way (rejected, invalid, ...) never waits for this.
 *
 * It is over when a probe of a route that it stopped ends well. The other routes then wait for
 * their own probes, as with any breaker; if they fail all the same, the window fills again. To end
 * it when the share sinks was rejected: where nothing runs but probes and what never needed the
 * database, the share sinks at once. When nothing is stopped any more and nobody knows better
 * (routes were changed, assignments lost), it lasts one window longer.
 */

#define PERCENT 100u

static bool is_on(const struct dri_core *core)
{
    const struct dri_systemic *systemic = &core->systemic;
    return systemic->is_on && (systemic->stopped > 0 || core->now.mono_ns < systemic->until_ns);
}

bool dri_core_is_systemic(const struct dri_core *core)
{
    return is_on(core);
}

static void forget_window(struct dri_systemic *systemic)
{
    for (uint32_t i = 0; i < DRI_SYSTEMIC_PARTS; i++) {
        systemic->parts[i] = (struct dri_systemic_part){0, 0};
    }
}

/* The part of the window for now; those between the last one and it are empty. */
static struct dri_systemic_part *part_now(struct dri_core *core)
{
    struct dri_systemic *systemic = &core->systemic;
    if (core->now.mono_ns < systemic->part_until_ns) { /* nearly always: once a run */
        return &systemic->parts[systemic->number % DRI_SYSTEMIC_PARTS];
    }
    uint64_t part_ns = (uint64_t)core->config.systemic_window_ms * 1000000u / DRI_SYSTEMIC_PARTS;
    uint64_t number = core->now.mono_ns / part_ns;
    if (number - systemic->number > DRI_SYSTEMIC_PARTS) {
        systemic->number = number - DRI_SYSTEMIC_PARTS;
    }
    while (systemic->number < number) {
        systemic->number++;
        systemic->parts[systemic->number % DRI_SYSTEMIC_PARTS] = (struct dri_systemic_part){0, 0};
    }
    systemic->part_until_ns = (number + 1) * part_ns;
    return &systemic->parts[number % DRI_SYSTEMIC_PARTS];
}

static bool is_exceeded(const struct dri_core *core)
{
    uint64_t ended = 0;
    uint64_t failed = 0;
    for (uint32_t i = 0; i < DRI_SYSTEMIC_PARTS; i++) {
        ended += core->systemic.parts[i].ended;
        failed += core->systemic.parts[i].failed;
    }
    return ended >= core->config.systemic_min &&
           failed * PERCENT >= ended * core->config.systemic_share;
}

static void begin(struct dri_core *core)
{
    struct dri_systemic *systemic = &core->systemic;
    systemic->is_on = true;
    systemic->step = core->steps;
    systemic->until_ns = dri_after_ms(core->now.mono_ns, core->config.systemic_window_ms);
    core->stats.systemic_pauses++;
}

bool dri_systemic_counts(const struct dri_core *core)
{
    return core->config.systemic_share != 0;
}

bool dri_systemic_sees(struct dri_core *core, const struct dri_flight *flight, bool is_unwell)
{
    struct dri_systemic *systemic = &core->systemic;
    if (!dri_systemic_counts(core) || (is_unwell && flight->is_cancelled) ||
        flight->state == DRI_FLIGHT_DROPPED) {
        return false;
    }
    if (is_on(core)) {
        return is_unwell && !flight->is_stuck;
    }
    if (systemic->is_on) {
        systemic->is_on = false; /* its time is over */
        forget_window(systemic);
    }
    if (flight->kind != DRAY_KIND_NONE && flight->verdict.is_retry) {
        return false;
    }
    struct dri_systemic_part *part = part_now(core);
    part->ended++;
    part->failed += is_unwell ? 1 : 0;
    if (!is_unwell || !is_exceeded(core)) {
        return false;
    }
    begin(core);
    return !flight->is_stuck;
}

bool dri_systemic_has_just_begun(const struct dri_core *core)
{
    return core->systemic.step == core->steps;
}

void dri_systemic_stops(struct dri_core *core, struct dri_group *group)
{
    if (!group->is_systemic) {
        group->is_systemic = true;
        core->systemic.stopped++;
    }
}

void dri_systemic_lets_go(struct dri_core *core, struct dri_group *group, bool is_well)
{
    struct dri_systemic *systemic = &core->systemic;
    if (!group->is_systemic) {
        return;
    }
    group->is_systemic = false;
    systemic->stopped--;
    systemic->until_ns = dri_after_ms(core->now.mono_ns, core->config.systemic_window_ms);
    if (is_well && systemic->is_on) {
        systemic->is_on = false;
        forget_window(systemic);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* engine_hold.c - park logs that are not read on, because there is no place for what is in them.
 *
 * There are two such places: the core's entries (worker.park_max), and the disk under the state
 * folder. When one is full the worker could end and be started again, and would find the same; so
 * it stops reading, and does all else. What it has in its hands then is kept, in the spare entries
 * and in memory, so that nothing that was read has to be read again in the right moment: at most
 * one poll of each log.
 *
 * Order needs nothing more. A log that was not read to its end is not caught up with, so the
 * transport hands up no command of its partition and the core brings none of it out; and of one
 * that was, a key stays parked until the copies of it that were stored are read back.
 *
 * What would be parked waits in memory meanwhile, as with more than park_max: a log that is written
 * and not read would have more in the end than can ever be read of it.
 *
 * A log is paused only after a record of it came in this assignment: a Kafka client that is paused
 * before takes its place from an earlier assignment. */

#include "engine_private.h"
#include "log.h"

#define LOOK_NS UINT64_C(1000000000)  /* until the disk is tried again */
#define SAY_NS  UINT64_C(60000000000) /* one that comes and goes is said once in this time */

enum {
    HAS_GIVEN = 1,
    IS_HELD = 2,
};

void dri_engine_hold_forget(struct dri_engine *engine, uint32_t slot)
{
    engine->hold.count -= dri_engine_is_held(engine, slot) ? 1 : 0;
    engine->hold.slots[slot] = 0;
    dri_core_hold_park(engine->core, slot, false);
}

void dri_engine_hold_note(struct dri_engine *engine, uint32_t slot)
{
    engine->hold.slots[slot] |= HAS_GIVEN;
    engine->hold.has_news = true;
}

bool dri_engine_is_held(const struct dri_engine *engine, uint32_t slot)
{
    return (engine->hold.slots[slot] & IS_HELD) != 0;
}

static void say(struct dri_engine *engine, struct dri_now now, uint32_t slot, bool is_disk)
{
    struct dri_hold *hold = &engine->hold;
    const char *folder = engine->config.spool_folder;
    if (hold->said_ns != 0 && now.mono_ns - hold->said_ns < SAY_NS) {
        return;
    }
    hold->said_ns = now.mono_ns;
    if (is_disk) {
        DRI_LOG(DRI_LOG_ERROR, "ENG-SPOOL",
                "the disk has no room for what is parked: park logs are not read on until the "
                "state folder's disk has some",
                DRI_TEXT("source", dri_intake_origin(engine->intake, slot)),
                DRI_TEXT("state", folder != NULL ? folder : ""));
    } else {
        DRI_LOG(DRI_LOG_ERROR, "ENG-PARK-FULL",
                "more is parked than there is place for: park logs are not read on until some of "
                "it has ended; raise worker.park_max, start more replicas, or release keys",
                DRI_TEXT("source", dri_intake_origin(engine->intake, slot)),
                DRI_UINT("park_max", engine->config.core.park_max));
    }
}

static void begin(struct dri_engine *engine, struct dri_now now, bool is_late)
{
    for (uint32_t slot = 0; slot < engine->config.core.slots_max; slot++) {
        if (engine->hold.slots[slot] != HAS_GIVEN ||
            (!is_late && dri_core_has_park_room(engine->core, slot, false))) {
            continue;
        }
        engine->hold.slots[slot] |= IS_HELD;
        dri_core_hold_park(engine->core, slot, true);
        engine->hold.count++;
        engine->stats.park_holds++;
        engine->hold.look_ns = now.mono_ns + LOOK_NS;
        engine->config.transport_ops->pause(engine->config.transport, slot, engine->epochs[slot]);
        say(engine, now, slot, is_late);
    }
}

static void end(struct dri_engine *engine)
{
    for (uint32_t slot = 0; slot < engine->config.core.slots_max; slot++) {
        if (!dri_engine_is_held(engine, slot) ||
            !dri_core_has_park_room(engine->core, slot, true)) {
            continue;
        }
        engine->hold.slots[slot] = HAS_GIVEN;
        engine->hold.count--;
        dri_core_hold_park(engine->core, slot, false);
        if (!engine->is_quiet && !dri_engine_is_strained(engine, slot)) {
            engine->config.transport_ops->resume(engine->config.transport, slot,
                                                 engine->epochs[slot]);
        }
        DRI_LOG(DRI_LOG_INFO, "ENG-PARK-ON", "a park log is read on",
                DRI_TEXT("source", dri_intake_origin(engine->intake, slot)));
    }
}

void dri_engine_hold_look(struct dri_engine *engine, struct dri_now now)
{
    struct dri_hold *hold = &engine->hold;
    bool is_late = dri_parking_is_late(engine->parking);
    if (is_late && now.mono_ns >= hold->look_ns) {
        is_late = !dri_parking_catch_up(engine->parking);
        hold->look_ns = now.mono_ns + LOOK_NS;
    }
    if (hold->count > 0 && !is_late) {
        end(engine);
    }
    if (hold->has_news && (is_late || dri_core_is_park_tight(engine->core, 0))) {
        begin(engine, now, is_late);
    }
    hold->has_news = false;
}

uint64_t dri_engine_hold_deadline(const struct dri_engine *engine)
{
    bool is_late = engine->parking != NULL && dri_parking_is_late(engine->parking);
    return is_late ? engine->hold.look_ns : UINT64_MAX;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <stdio.h>
#include <stdlib.h>

#include "assert.h"
#include "core/check.h"
#include "core/core.h"
#include "core/progress.h"
#include "mem.h"
#include "support/test.h"

/* A random walk over everything that can happen to a core, against a model that only keeps facts:
 * what was delivered, what was stored, who runs. It knows nothing of queues or timers.
 *
 * Checked at each step: dri_core_check; no two runs of a key overlap; in one assignment a key's
 * runs take effect in order; nothing is settled before its outcome is complete; every flight is
 * released exactly once, and not while it is out. At the end: everything in the logs has an
 * outcome.
 *
 * (The simulation under tests/sim does this with the transport and engine around; this is the small
 * one that stands beside the core and needs nothing else.)
 */

#define SLOTS      3u /* 0 and 1 by watermark, 2 each by itself */
#define EACH_SLOT  2u
#define LOG        400u
#define KEYS       6u
#define FLIGHTS    64u
#define LANES      3u
#define LANE_DEPTH 2u

enum progress {
    NOTHING,
    LETTER_STORED,
    COMPLETE
};

struct message {
    uint64_t offset;
    uint64_t key; /* 0: none */
    bool wants_result, is_bad;
    enum progress progress;
    uint32_t deliveries; /* EACH */
    bool is_acked;
    uint64_t invisible_until_ms;
};

struct source {
    struct message log[LOG];
    uint32_t epoch;
    bool is_assigned, is_ending;
    size_t next;        /* to deliver */
    uint64_t committed; /* position; by the broker */
    char metadata[DRI_PROGRESS_BYTES_MAX];
    size_t metadata_len;
    bool is_told[LOG]; /* finished, as the assignment was told */
    uint64_t last_effect[KEYS + 1];
};

struct pending_publish {
    struct dri_flight *flight;
    uint64_t token;
    enum dri_outcome outcome;
};

struct pending_settle {
    uint32_t slot, epoch;
    uint64_t position;
    char metadata[DRI_PROGRESS_BYTES_MAX];
    size_t metadata_len;
};

struct lane_queue {
    struct dri_flight *chains[LANE_DEPTH]; /* rest of each chain */
    bool has_failed;                       /* the rest of the first chain comes back unrun */
    size_t count;
    bool is_running; /* the first flight of the first chain */
};

struct world {
    struct dri_core *core;
    struct dri_core_config config;
    uint64_t limits_changed, quiet;
    struct dri_now now;
    uint64_t seed;
    struct source sources[SLOTS];
    struct lane_queue lanes[LANES];
    struct pending_publish publishes[FLIGHTS * 4];
    size_t publishes_count;
    struct pending_settle settles[256];
    size_t settles_count;
    bool is_out[FLIGHTS * 4]; /* by index of flight: between RECORD and RELEASE */
    bool is_key_running[KEYS + 1];
    bool is_calm, is_drained, is_clean;
    uint64_t released, recorded;
};

static uint64_t random_below(struct world *w, uint64_t below)
{
    w->seed ^= w->seed << 13;
    w->seed ^= w->seed >> 7;
    w->seed ^= w->seed << 17;
    return (w->seed >> 11) % below;
}

static bool happens(struct world *w, uint64_t percent)
{
    return random_below(w, 100) < percent;
}

static struct message *message_of(struct world *w, const struct dri_flight *flight)
{
    struct source *source = &w->sources[flight->slot];
    for (size_t i = 0; i < LOG; i++) {
        if (source->log[i].offset == flight->offset) {
            return &source->log[i];
        }
    }
    fail_msg("no such offset");
    return NULL;
}

/* --- actions --- */

static void on_start(struct world *w, const struct dri_core_action *action)
{
    struct lane_queue *lane = &w->lanes[action->as.run.lane];
    assert_true(action->as.run.lane < LANES);
    assert_true(lane->count < LANE_DEPTH);
    for (const struct dri_flight *f = action->as.run.flight; f != NULL; f = f->next) {
        const struct source *source = &w->sources[f->slot];
        assert_true(f->epoch != source->epoch || !source->is_told[message_of(w, f) - source->log]);
    }
    lane->chains[lane->count++] = action->as.run.flight;
}

/* Marks what a text says of a log; it may say nothing. */
static void mark(const struct source *source, struct dray_slice metadata, uint64_t position,
                 bool *ret_marks)
{
    struct dri_progress_reader reader;
    struct dri_progress_run run;
    if (dray_slice_is_absent(metadata) || !dri_progress_read(&reader, metadata, position)) {
        return;
    }
    while (dri_progress_next(&reader, &run)) {
        for (size_t i = 0; i < LOG; i++) {
            uint64_t offset = source->log[i].offset;
            ret_marks[i] = ret_marks[i] || (offset >= run.begin && offset < run.end);
        }
    }
}

/* What is said is true, and what was told is said again. */
static void check_metadata(const struct source *source, const struct dri_core_action *action)
{
    bool is_said[LOG] = {false};
    mark(source, action->as.settle.metadata, action->as.settle.position, is_said);
    for (size_t i = 0; i < LOG; i++) {
        assert_true(!is_said[i] || source->log[i].progress == COMPLETE);
        assert_true(is_said[i] || !source->is_told[i] ||
                    source->log[i].offset < action->as.settle.position);
    }
}

static void on_settle(struct world *w, const struct dri_core_action *action)
{
    struct source *source = &w->sources[action->slot];
    if (!action->as.settle.is_watermark) {
        uint64_t offset = action->as.settle.position;
        for (size_t i = 0; i < LOG; i++) {
            if (source->log[i].offset == offset) {
                assert_int_equal(COMPLETE, source->log[i].progress);
                source->log[i].is_acked = source->log[i].is_acked || happens(w, 90);
            }
        }
        return;
    }
    assert_int_equal(source->epoch, action->epoch);
    assert_true(source->is_assigned);
    for (size_t i = 0; i < LOG && source->log[i].offset < action->as.settle.position; i++) {
        assert_int_equal(COMPLETE, source->log[i].progress);
    }
    check_metadata(source, action);
    assert_true(w->settles_count < DRI_ARRAY_LEN(w->settles));
    struct pending_settle *settle = &w->settles[w->settles_count++];
    settle->slot = action->slot;
    settle->epoch = action->epoch;
    settle->position = action->as.settle.position;
    settle->metadata_len = action->as.settle.metadata.len;
    if (settle->metadata_len > 0) {
        memcpy(settle->metadata, action->as.settle.metadata.at, settle->metadata_len);
    }
}

static void on_publish(struct world *w, const struct dri_core_action *action)
{
    struct dri_flight *flight = action->as.run.flight;
    struct message *message = message_of(w, flight);
    bool is_letter = action->as.run.outcome == DRI_OUTCOME_LETTER ||
                     action->as.run.outcome == DRI_OUTCOME_LETTER_POINTER;
    bool is_delay = action->as.run.outcome == DRI_OUTCOME_DELAY;
    assert_true(is_letter || is_delay || message->wants_result);
    assert_true(!is_delay || flight->not_before_ms > w->now.wall_ms);
    assert_true(w->publishes_count < DRI_ARRAY_LEN(w->publishes));
    w->publishes[w->publishes_count++] = (struct pending_publish){
        .flight = flight, .token = dri_flight_token(flight), .outcome = action->as.run.outcome};
}

static void on_release(struct world *w, const struct dri_flight *flight)
{
    assert_true(w->is_out[flight->index]);
    w->is_out[flight->index] = false;
    w->released++;
    for (size_t i = 0; i < w->publishes_count; i++) {
        assert_ptr_not_equal(flight, w->publishes[i].flight);
    }
    for (size_t lane = 0; lane < LANES; lane++) {
        for (size_t i = 0; i < w->lanes[lane].count; i++) {
            for (const struct dri_flight *f = w->lanes[lane].chains[i]; f != NULL; f = f->next) {
                assert_ptr_not_equal(flight, f);
            }
        }
    }
}

static void on_action(struct world *w, const struct dri_core_action *action)
{
    switch (action->type) {
    case DRI_CA_START:
        on_start(w, action);
        return;
    case DRI_CA_PUBLISH:
        on_publish(w, action);
        return;
    case DRI_CA_SETTLE:
        on_settle(w, action);
        return;
    case DRI_CA_EXTEND:
        assert_int_equal(EACH_SLOT, action->slot);
        assert_true(w->is_out[action->as.run.flight->index]);
        message_of(w, action->as.run.flight)->invisible_until_ms = w->now.wall_ms + 3000;
        return;
    case DRI_CA_CANCEL:
        assert_true(w->is_out[action->as.run.flight->index]);
        return;
    case DRI_CA_UNASSIGN:
        if (w->sources[action->slot].epoch == action->epoch) {
            w->sources[action->slot].is_assigned = false;
        }
        return;
    case DRI_CA_RELEASE:
        on_release(w, action->as.run.flight);
        return;
    case DRI_CA_UNPARK:
    case DRI_CA_FORGET:
        break; /* this world parks nothing */
    case DRI_CA_DRAINED:
        assert_false(w->is_drained);
        w->is_drained = true;
        w->is_clean = action->as.is_clean;
        return;
    }
    fail_msg("unknown action");
}

static void check(const struct world *w)
{
    const char *fault = dri_core_check(w->core);
    if (fault != NULL) {
        fail_msg("%s", fault);
    }
}

static void feed(struct world *w, const struct dri_core_event *events, size_t count)
{
    struct dri_core_action actions[5];
    size_t got;
    dri_core_step(w->core, w->now, events, count);
    check(w);
    while ((got = dri_core_actions(w->core, actions, DRI_ARRAY_LEN(actions))) > 0) {
        for (size_t i = 0; i < got; i++) {
            on_action(w, &actions[i]);
        }
    }
    check(w);
}

/* --- events --- */

static void do_assign(struct world *w, uint32_t slot)
{
    struct source *source = &w->sources[slot];
    struct dri_core_event event = {.type = DRI_CE_ASSIGNED, .slot = slot};
    if (source->is_assigned) {
        return;
    }
    source->is_assigned = true;
    source->is_ending = false;
    event.epoch = ++source->epoch;
    event.as.assigned.is_watermark = slot != EACH_SLOT;
    event.as.assigned.committed = slot != EACH_SLOT ? (int64_t)source->committed : -1;
    event.as.assigned.lease_ns = slot != EACH_SLOT ? 0 : UINT64_C(3000000000);
    memset(source->is_told, 0, sizeof(source->is_told));
    if (slot != EACH_SLOT && source->metadata_len > 0 && happens(w, 80)) {
        event.as.assigned.metadata = dray_slice_of(source->metadata, source->metadata_len);
        if (happens(w, 10)) {
            source->metadata[random_below(w, source->metadata_len)] ^= 1;
        }
        mark(source, event.as.assigned.metadata, source->committed, source->is_told);
    }
    source->next = 0;
    while (slot != EACH_SLOT && source->next < LOG &&
           source->log[source->next].offset < source->committed) {
        source->next++;
    }
    memset(source->last_effect, 0, sizeof(source->last_effect));
    for (size_t i = 0; i < LOG; i++) {
        source->log[i].invisible_until_ms = 0;
    }
    feed(w, &event, 1);
}

static void do_end(struct world *w, uint32_t slot)
{
    struct source *source = &w->sources[slot];
    struct dri_core_event event = {.slot = slot, .epoch = source->epoch};
    if (!source->is_assigned || w->is_calm) {
        return;
    }
    event.type = happens(w, 50) ? DRI_CE_LOST : DRI_CE_REVOKED;
    source->is_ending = true;
    feed(w, &event, 1);
}

static struct message *next_message(struct world *w, uint32_t slot)
{
    struct source *source = &w->sources[slot];
    if (slot != EACH_SLOT) {
        return source->next < LOG ? &source->log[source->next++] : NULL;
    }
    for (size_t i = 0; i < LOG; i++) {
        if (!source->log[i].is_acked && source->log[i].invisible_until_ms <= w->now.wall_ms) {
            source->log[i].invisible_until_ms = w->now.wall_ms + 3000;
            return &source->log[i];
        }
    }
    return NULL;
}

static void fill(struct world *w, uint32_t slot, struct message *message, struct dri_flight *flight)
{
    flight->slot = slot;
    flight->epoch = w->sources[slot].epoch;
    flight->offset = message->offset;
    flight->deliveries = ++message->deliveries;
    flight->delivery = message->offset * 100 + message->deliveries;
    flight->received_ns = w->now.mono_ns;
    flight->has_key = message->key != 0;
    flight->key_hash = message->key;
    flight->has_id = true;
    flight->wants_result = message->wants_result;
    flight->invalid = message->is_bad ? DRAY_KIND_INVALID : DRAY_KIND_NONE;
    flight->bytes = 10;
    if (happens(w, 3)) {
        flight->not_before_ms = w->now.wall_ms + random_below(w, happens(w, 50) ? 200 : 20000);
    }
    if (happens(w, 3)) {
        flight->deadline_ms = w->now.wall_ms + random_below(w, 200);
    }
}

static void do_records(struct world *w, uint32_t slot)
{
    struct dri_core_event events[8];
    size_t count = 0;
    size_t room = dri_core_room(w->core);
    if (!w->sources[slot].is_assigned || (w->sources[slot].is_ending && happens(w, 80))) {
        return;
    }
    while (count < DRI_ARRAY_LEN(events) && count < room) {
        struct message *message = next_message(w, slot);
        if (message == NULL) {
            break;
        }
        struct dri_flight *flight = dri_core_take(w->core);
        assert_non_null(flight);
        fill(w, slot, message, flight);
        assert_false(w->is_out[flight->index]);
        w->is_out[flight->index] = true;
        w->recorded++;
        events[count] = (struct dri_core_event){.type = DRI_CE_RECORD};
        events[count++].as.flight = flight;
    }
    feed(w, events, count);
}

static void end_run(struct world *w, struct dri_flight *flight, struct lane_queue *lane)
{
    struct source *source = &w->sources[flight->slot];
    flight->was_run = true;
    flight->kind = DRAY_KIND_NONE;
    w->is_key_running[flight->key_hash] = false;
    if (!w->is_calm && happens(w, 25)) {
        flight->kind = happens(w, 50) ? DRAY_KIND_NETWORK : DRAY_KIND_REJECTED;
        flight->verdict.is_retry = flight->kind == DRAY_KIND_NETWORK && happens(w, 80);
        flight->verdict.delay_ms = (uint32_t)random_below(w, 100);
        lane->has_failed = true;
    }
    bool is_final = flight->kind == DRAY_KIND_NONE || !flight->verdict.is_retry;
    if (is_final && flight->has_key && flight->not_before_ms == 0 && flight->slot != EACH_SLOT &&
        flight->epoch == source->epoch) {
        assert_true(flight->offset >= source->last_effect[flight->key_hash]);
        source->last_effect[flight->key_hash] = flight->offset;
    }
    if (flight->kind == DRAY_KIND_NONE && !flight->wants_result) {
        message_of(w, flight)->progress = COMPLETE;
    }
}

static void do_lane(struct world *w, struct lane_queue *lane)
{
    if (lane->count == 0) {
        return;
    }
    struct dri_flight *flight = lane->chains[0];
    if (!lane->is_running && !lane->has_failed) {
        if (flight->has_key) {
            assert_false(w->is_key_running[flight->key_hash]);
            w->is_key_running[flight->key_hash] = true;
        }
        lane->is_running = true;
        return;
    }
    struct dri_core_event event = {.type = DRI_CE_DONE};
    event.as.flight = flight;
    lane->chains[0] = flight->next;
    if (lane->is_running) {
        lane->is_running = false;
        end_run(w, flight, lane);
    } else {
        flight->was_run = false;
    }
    if (lane->chains[0] == NULL) {
        lane->has_failed = false;
        lane->count--;
        memmove(&lane->chains[0], &lane->chains[1], lane->count * sizeof(lane->chains[0]));
    }
    feed(w, &event, 1);
}

static void store(struct world *w, const struct pending_publish *publish)
{
    struct message *message = message_of(w, publish->flight);
    bool is_letter =
        publish->outcome == DRI_OUTCOME_LETTER || publish->outcome == DRI_OUTCOME_LETTER_POINTER;
    if (!is_letter || !message->wants_result) {
        message->progress = COMPLETE;
    } else if (message->progress == NOTHING) {
        message->progress = LETTER_STORED;
    }
}

static void do_answer(struct world *w)
{
    static const enum dray_status reasons[] = {DRAY_ELIMIT, DRAY_EAUTH, DRAY_EBROKER,
                                               DRAY_ENOTFOUND, DRAY_EFATAL};
    if (w->publishes_count == 0) {
        return;
    }
    size_t at = random_below(w, w->publishes_count);
    struct pending_publish publish = w->publishes[at];
    w->publishes[at] = w->publishes[--w->publishes_count];
    struct dri_core_event events[2] = {{.type = DRI_CE_PUBLISHED}};
    events[0].as.published.token = publish.token;
    events[0].as.published.ack = DRI_CORE_STORED;
    if (!w->is_calm && happens(w, 30)) {
        bool is_unknown = happens(w, 50);
        events[0].as.published.ack = is_unknown ? DRI_CORE_UNKNOWN : DRI_CORE_NOT_STORED;
        events[0].as.published.reason = reasons[random_below(w, DRI_ARRAY_LEN(reasons))];
    } else {
        store(w, &publish);
    }
    events[1] = events[0]; /* now and then it comes twice */
    feed(w, events, happens(w, 10) ? 2 : 1);
}

static void do_settle_answer(struct world *w)
{
    if (w->settles_count == 0) {
        return;
    }
    struct pending_settle settle = w->settles[0];
    memmove(&w->settles[0], &w->settles[1], --w->settles_count * sizeof(w->settles[0]));
    struct source *source = &w->sources[settle.slot];
    struct dri_core_event event = {
        .type = DRI_CE_SETTLED, .slot = settle.slot, .epoch = settle.epoch};
    event.as.settled.position = settle.position;
    event.as.settled.status = DRAY_OK;
    if (!w->is_calm && happens(w, 20)) {
        event.as.settled.status = happens(w, 50) ? DRAY_EBROKER : DRAY_ESTALE;
    } else if (settle.epoch == source->epoch && settle.position >= source->committed) {
        source->committed = settle.position;
        source->metadata_len = settle.metadata_len;
        memcpy(source->metadata, settle.metadata, settle.metadata_len);
    }
    if (w->is_calm || happens(w, 90)) {
        feed(w, &event, 1);
    }
}

/* Any limits below those of the start, now and then none at all; all of them when it is calm. */
static void do_limits(struct world *w)
{
    struct dri_core_limits limits = {.in_flight_max = w->config.in_flight_max,
                                     .unacked_max = w->config.unacked_max,
                                     .bytes_max = w->config.bytes_max,
                                     .settle_ms = w->config.settle_ms,
                                     .revoke_ms = w->config.revoke_ms,
                                     .drain_ms = w->config.drain_ms};
    if (!w->is_calm) {
        limits.in_flight_max = (uint32_t)random_below(w, w->config.in_flight_max + 1);
        limits.unacked_max = 1 + (uint32_t)random_below(w, w->config.unacked_max);
        limits.bytes_max = 1 + random_below(w, 2 * w->config.bytes_max);
        limits.settle_ms = (uint32_t)random_below(w, 50);
        limits.revoke_ms = (uint32_t)random_below(w, 200);
        w->limits_changed++;
        w->quiet += limits.in_flight_max == 0 ? 1 : 0;
    }
    dri_core_set_limits(w->core, &limits);
}

static void one_step(struct world *w)
{
    uint32_t slot = (uint32_t)random_below(w, SLOTS);
    uint64_t ms = happens(w, 5) ? random_below(w, 500) : random_below(w, 3);
    w->now.mono_ns += ms * UINT64_C(1000000);
    w->now.wall_ms += ms;
    switch (random_below(w, 12)) {
    case 0:
        do_assign(w, slot);
        return;
    case 1:
        if (happens(w, 10)) {
            do_end(w, slot);
        } else if (w->is_calm || happens(w, 10)) {
            do_limits(w);
        }
        return;
    case 2:
    case 3:
        do_records(w, slot);
        return;
    case 4:
    case 5:
        do_answer(w);
        return;
    case 6:
        do_settle_answer(w);
        return;
    case 7:
        feed(w, NULL, 0);
        return;
    default:
        do_lane(w, &w->lanes[random_below(w, LANES)]);
        return;
    }
}

static void make_logs(struct world *w)
{
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        uint64_t offset = random_below(w, 5);
        w->sources[slot].committed = offset;
        for (size_t i = 0; i < LOG; i++) {
            w->sources[slot].log[i] = (struct message){
                .offset = offset,
                .key = random_below(w, KEYS + 1),
                .wants_result = happens(w, 80),
                .is_bad = happens(w, 5),
            };
            offset += happens(w, 20) ? 1 + random_below(w, 4) : 1;
        }
    }
}

/* Everything was delivered, has its outcome, and nothing is out. */
static bool is_all_complete(const struct world *w)
{
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        const struct source *source = &w->sources[slot];
        if (!source->is_assigned || source->is_ending ||
            (slot != EACH_SLOT && source->next < LOG)) {
            return false;
        }
        for (size_t i = 0; i < LOG; i++) {
            if (source->log[i].progress != COMPLETE) {
                return false;
            }
        }
    }
    return w->recorded == w->released;
}

static void open_world(struct world *w, uint64_t seed)
{
    struct dri_core_config config = {
        .bytes_max = 1000,
        .slots_max = SLOTS,
        .lanes = LANES,
        .lane_depth = LANE_DEPTH,
        .settle_ms = 20,
        .revoke_ms = 100,
        .drain_ms = 100000,
        .delay_after_ms = 8000,
        .republish_ms = 10,
    };
    memset(w, 0, sizeof(*w));
    w->seed = seed * 0x9e3779b97f4a7c15u + 1;
    w->now = (struct dri_now){.mono_ns = UINT64_C(1000000000), .wall_ms = UINT64_C(1700000000000)};
    config.in_flight_max = 1 + (uint32_t)random_below(w, FLIGHTS);
    config.unacked_max = 1 + (uint32_t)random_below(w, FLIGHTS);
    config.chain_max = 1 + (uint32_t)random_below(w, 5);
    make_logs(w);
    void *memory = dri_zalloc(dri_core_bytes(&config));
    assert_non_null(memory);
    w->core = dri_core_init(memory, &config);
    w->config = config;
}

static void drain(struct world *w)
{
    feed(w, &(struct dri_core_event){.type = DRI_CE_DRAIN}, 1);
    for (int i = 0; i < 200000 && !w->is_drained; i++) {
        one_step(w);
    }
    assert_true(w->is_drained);
    assert_true(w->is_clean);
    assert_int_equal(w->recorded, w->released);
}

static uint64_t skipped; /* over all walks: what was not run again */

static void walk(struct world *w, uint64_t seed)
{
    open_world(w, seed);
    for (int i = 0; i < 4000; i++) {
        one_step(w);
    }
    if (seed % 4 == 0) { /* a drain in the midst of it: only safety */
        drain(w);
        dri_free(w->core);
        return;
    }
    w->is_calm = true; /* no new faults: now everything has to end */
    for (int i = 0; i < 200000 && !is_all_complete(w); i++) {
        one_step(w);
    }
    assert_true(is_all_complete(w));
    drain(w);
    struct dri_core_stats stats;
    dri_core_stats(w->core, &stats);
    skipped += stats.skipped_finished;
    for (uint32_t slot = 0; slot < EACH_SLOT; slot++) {
        assert_int_equal(w->sources[slot].log[LOG - 1].offset + 1, w->sources[slot].committed);
    }
    dri_free(w->core);
}

static struct world world;

/* One number from the environment. A failing seed repeats with DRAY_WALK_SEED. */
static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

static void every_message_has_an_outcome_and_nothing_is_settled_before_it(void **state)
{
    uint64_t only = number_from("DRAY_WALK_SEED", 0);
    uint64_t last = only != 0 ? only : number_from("DRAY_WALK_SEEDS", 60);
    uint64_t limits_changed = 0;
    uint64_t quiet = 0;
    (void)state;
    for (uint64_t seed = only != 0 ? only : 1; seed <= last; seed++) {
        print_message("DRAY_WALK_SEED=%llu\n", (unsigned long long)seed);
        walk(&world, seed);
        limits_changed += world.limits_changed;
        quiet += world.quiet;
    }
    assert_true(only != 0 || skipped > 0);
    assert_true(only != 0 || (limits_changed > last && quiet > 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_has_an_outcome_and_nothing_is_settled_before_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* engine_publish.c - outcomes on their way out of an engine.
 *
 * The core says which outcome of which flight; the bytes are encoded here, right before
 * they are handed over, into one scratch arena a batch. What the transport does not take stays in
 * the backlog as (flight, outcome) and is encoded again: a flight keeps all it needs until its
 * RELEASE, so an unknown acknowledgement can always be answered by the same bytes again.
 */
#include "assert.h"
#include "engine_private.h"
#include "mem.h"
#include "prefetch.h"

#define BATCH_MAX 256u

void dri_engine_crash_point(const struct dri_engine *engine, const char *name)
{
    if (engine->config.on_crash_point != NULL) {
        engine->config.on_crash_point(name);
    }
}

bool dri_backlog_init(struct dri_backlog *backlog, const struct dri_core_config *core)
{
    backlog->capacity = dri_core_flights_max(core) + 1;
    backlog->jobs = dri_map(backlog->capacity * sizeof(*backlog->jobs));
    return backlog->jobs != NULL;
}

void dri_backlog_fini(struct dri_backlog *backlog)
{
    dri_unmap(backlog->jobs, backlog->capacity * sizeof(*backlog->jobs));
}

static const struct dri_job *backlog_at(const struct dri_backlog *backlog, size_t number)
{
    return &backlog->jobs[(backlog->head + number) % backlog->capacity];
}

static void backlog_drop(struct dri_backlog *backlog, size_t count)
{
    backlog->head = (backlog->head + count) % backlog->capacity;
    backlog->count -= count;
}

void dri_engine_backlog_put(struct dri_engine *engine, struct dri_flight *flight,
                            enum dri_outcome outcome)
{
    bool is_second = engine->transaction != NULL && flight->is_half_told;
    struct dri_backlog *backlog = is_second ? &engine->second : &engine->backlog;
    DRI_ASSERT(backlog->count < backlog->capacity);
    backlog->jobs[(backlog->head + backlog->count) % backlog->capacity] =
        (struct dri_job){flight, outcome};
    backlog->count++;
}

/* A command that was given up while its outcome waited is not told in a later transaction: it runs
 * again. Answered here, as if it had been lost on the way. */
static bool drop_given_up(struct dri_engine *engine, struct dri_now now,
                          struct dri_backlog *backlog)
{
    size_t dropped = 0;
    while (dropped < backlog->count && dropped < BATCH_MAX &&
           backlog_at(backlog, dropped)->flight->state == DRI_FLIGHT_DROPPED) {
        const struct dri_core_event event = {
            .type = DRI_CE_PUBLISHED,
            .as.published = {.token = dri_flight_token(backlog_at(backlog, dropped)->flight),
                             .ack = DRI_CORE_UNKNOWN,
                             .reason = DRAY_ESTALE}};
        dri_core_step(engine->core, now, &event, 1);
        dropped++;
    }
    backlog_drop(backlog, dropped);
    return dropped > 0;
}

/* Encode what is next in the backlog; returns how many jobs. */
static size_t fill_batch(struct dri_engine *engine, struct dri_now now,
                         const struct dri_backlog *backlog)
{
    size_t jobs = 0;
    dri_outcomes_begin(engine->outcomes);
    while (jobs < backlog->count && jobs < BATCH_MAX) {
        const struct dri_job *job = backlog_at(backlog, jobs);
        if (backlog->count - jobs > DRI_PREFETCH_NEAR) {
            const struct dri_job *next = backlog_at(backlog, jobs + DRI_PREFETCH_NEAR);
            dri_prefetch_slice(next->flight->result);
            dri_prefetch_slice(next->flight->key);
        }
        bool is_gone = engine->transaction != NULL && job->flight->state == DRI_FLIGHT_DROPPED;
        if (is_gone || !dri_outcomes_add(engine->outcomes, now, job->flight, job->outcome)) {
            break;
        }
        jobs++;
    }
    return jobs;
}

static void note_publish(struct dri_engine *engine, struct dri_now now,
                         const struct dri_publish *batch, size_t taken)
{
    uint64_t outcomes = 0;
    for (size_t i = 0; i < taken; i++) {
        outcomes += batch[i].is_courtesy ? 0 : 1;
    }
    dri_transaction_handed(engine->transaction, now, outcomes, dri_core_torn(engine->core));
}

static bool takes(const struct dri_engine *engine, const struct dri_backlog *backlog)
{
    const struct dri_transaction *transaction = engine->transaction;
    return transaction == NULL ||
           (backlog == &engine->second ? dri_transaction_takes_next(transaction)
                                       : dri_transaction_takes_first(transaction));
}

/* Hand over what waits, in order, until the transport is full. */
static bool pump(struct dri_engine *engine, struct dri_now now, struct dri_backlog *backlog)
{
    bool did_some = false;
    while (backlog->count > 0 && takes(engine, backlog)) {
        struct dri_publish *batch = NULL;
        if (engine->transaction != NULL && drop_given_up(engine, now, backlog)) {
            did_some = true;
            continue;
        }
        size_t jobs = fill_batch(engine, now, backlog);
        size_t count = dri_outcomes_batch(engine->outcomes, &batch);
        dri_engine_crash_point(engine, "before_publish");
        size_t taken =
            engine->config.transport_ops->publish(engine->config.transport, now, batch, count);
        size_t done = dri_outcomes_jobs_of(engine->outcomes, taken);
        engine->stats.publishes += taken;
        if (engine->transaction != NULL) {
            note_publish(engine, now, batch, taken);
        }
        backlog_drop(backlog, done);
        did_some = did_some || done > 0;
        if (done < jobs || jobs == 0) {
            break; /* full: the rest after the next acks */
        }
    }
    engine->stats.pointer_letters = dri_outcomes_pointers(engine->outcomes);
    return did_some;
}

bool dri_engine_publish(struct dri_engine *engine, struct dri_now now)
{
    bool did_some = pump(engine, now, &engine->second);
    return pump(engine, now, &engine->backlog) || did_some;
}

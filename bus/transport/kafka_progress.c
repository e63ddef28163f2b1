/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* kafka_progress.c - a partition that has messages and gives none (K17).
 *
 * Clients of this library have been seen to fetch nothing any more while everything looked well: a
 * metadata refresh that waits for a broker which is gone, a fetcher that spins. The cure is a new
 * client, and if that does not help, a new process. So: a partition that is ours and not paused,
 * whose end is ahead of what was fetched, and of which nothing came for progress_ms although the
 * owner took everything that there was, is stuck. Once, the consumer is made anew; when that
 * partition still does not move, the transport fails and the supervisor starts the worker again.
 *
 * What must not be taken for it decides where the numbers come from, which is the statistics:
 *  - the end is the last stable offset and the position is the fetcher's, not that of the last
 *    message: behind the last message there may be transaction markers and aborted records for
 *    ever, and an open transaction holds back what stands after it;
 *  - time counts only while some broker was heard in the last half of progress_ms. When all are
 *    down or silent nothing can move, a restart would not help, and we wait;
 *  - time counts only between looks in which the consumer came up empty for an owner that asked.
 *    Back-pressure is no fault, and neither is a process that was stopped meanwhile.
 * An end that is not known is no lag, and a new client knows none until it has fetched: so a
 * partition whose leader is gone costs a new client at most, and never the process. The price: a
 * fetcher that stopped when it had read everything is not noticed.
 *
 * Making the client anew rather than assigning or seeking: what is stuck may be the client's view
 * of the cluster, and a seek goes through the very same threads. The old one leaves the group
 * through its close queue, served by poll, for as long as a leave may take; then a thread destroys
 * it, because destroying waits for whatever hangs inside. Every slot is lost first: what is under
 * way then settles nothing and runs again.
 */

#include <inttypes.h>
#include <string.h>

#include "assert.h"
#include "kafka_private.h"
#include "log.h"

#define LEAVE_NS    5000000000u /* for the old client to leave the group */
#define FAREWELL_NS 1000000000u /* and when we end ourselves */
#define LOOK_MS     5000u       /* between two statistics, at most */
#define LOOK_MS_MIN 100u

uint32_t dri_kafka_progress_look_ms(uint32_t progress_ms)
{
    uint32_t ms = progress_ms / 8;
    return ms > LOOK_MS ? LOOK_MS : ms < LOOK_MS_MIN ? LOOK_MS_MIN : ms;
}

/* ---- looking ---- */

/* What one look is about. */
struct look {
    struct dri_kafka *kafka;
    uint64_t passed_ns; /* that counts against those who have not moved; 0: none */
};

static bool is_suspect(const struct dri_kafka_progress *progress, const struct dri_kafka_slot *slot)
{
    return progress->has_suspect && slot->source == progress->suspect_source &&
           slot->partition == progress->suspect_partition;
}

static bool has_moved(struct dri_kafka_slot *slot, const struct dri_kafka_seen_partition *seen)
{
    bool moved = slot->next_offset != slot->looked_next || seen->fetched != slot->looked_fetched;
    slot->looked_next = slot->next_offset;
    slot->looked_fetched = seen->fetched;
    return moved;
}

static void on_partition(void *arg, const struct dri_kafka_seen_partition *seen)
{
    struct look *look = arg;
    struct dri_kafka_progress *progress = &look->kafka->progress;
    char topic[256];
    if (seen->topic.len >= sizeof(topic)) {
        return;
    }
    memcpy(topic, seen->topic.at, seen->topic.len);
    topic[seen->topic.len] = '\0';
    struct dri_kafka_slot *slot = dri_kafka_slot_at(look->kafka, topic, seen->partition, false);
    if (slot == NULL || slot->state != DRI_KAFKA_SLOT_ASSIGNED) {
        return;
    }
    bool has_come = slot->next_offset >= 0 && slot->next_offset != slot->looked_next;
    bool has_lag = seen->queued > 0 || (seen->fetched >= 0 && seen->end > seen->fetched);
    bool moved = has_moved(slot, seen);
    if (is_suspect(progress, slot) && (has_come || (seen->end >= 0 && !has_lag))) {
        progress->has_suspect = false;
    }
    if (moved || !has_lag || slot->is_paused || slot->is_paused_by_owner || slot->is_gated) {
        slot->stalled_ns = 0;
        return;
    }
    slot->stalled_ns += look->passed_ns;
    if (slot->stalled_ns >= progress->limit_ns && progress->stuck_epoch == 0) {
        progress->stuck_epoch = slot->epoch;
        progress->stuck_slot = slot->index;
        progress->stuck_end = seen->end;
    }
}

static void forget_stalls(struct dri_kafka *kafka)
{
    for (uint32_t i = 0; i < kafka->slots_count; i++) {
        kafka->slots[i]->stalled_ns = 0;
    }
}

/* A suspect that the group has given to somebody else is his to watch. */
static void acquit_the_gone(struct dri_kafka *kafka)
{
    struct dri_kafka_progress *progress = &kafka->progress;
    bool is_settled = kafka->lookup.partitions == NULL && kafka->revoking == NULL &&
                      kafka->epoch != progress->renewed_epoch;
    if (progress->has_suspect && is_settled &&
        dri_kafka_slot_at(kafka, kafka->sources[progress->suspect_source].topic,
                          progress->suspect_partition, false) == NULL) {
        progress->has_suspect = false;
    }
}

/* Called inside rd_kafka_consumer_poll: only looks. */
int dri_kafka_progress_look(rd_kafka_t *rk, char *json, size_t len, void *opaque)
{
    struct dri_kafka *kafka = opaque;
    struct dri_kafka_progress *progress = &kafka->progress;
    if (rk != kafka->group || kafka->is_closing || progress->limit_ns == 0) {
        return 0;
    }
    uint64_t passed = progress->looked_ns == 0 ? 0 : kafka->now_ns - progress->looked_ns;
    uint64_t most = 2 * progress->look_ns; /* longer: we were stopped, not they */
    struct look look = {.kafka = kafka,
                        .passed_ns = !progress->came_up_empty ? 0
                                     : passed < most          ? passed
                                                              : most};
    struct dri_kafka_sight sight = {.on_partition = on_partition, .arg = &look};
    progress->looked_ns = kafka->now_ns;
    progress->came_up_empty = false;
    progress->stuck_epoch = 0;
    acquit_the_gone(kafka);
    dri_kafka_statistics_read(json, len, &sight);
    if (sight.heard_us < 0 || (uint64_t)sight.heard_us * 1000u > progress->limit_ns / 2) {
        progress->stuck_epoch = 0;
        forget_stalls(kafka);
    }
    return 0;
}

/* ---- the old client ---- */

static void *reap(void *arg)
{
    struct dri_kafka_progress *progress = arg;
    if (rd_kafka_consumer_closed(progress->old) == 0) {
        /* It may wait for the answer to a callback that nobody serves any more, and destroying it
         * would wait with it (K8). */
        (void)rd_kafka_assign(progress->old, NULL);
    }
    rd_kafka_destroy_flags(progress->old, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    /* Pairs with the acquire in is_old_gone. */
    atomic_store_explicit(&progress->is_reaper_done, true, memory_order_release);
    return NULL;
}

static void bury(struct dri_kafka_progress *progress)
{
    rd_kafka_queue_io_event_enable(progress->old_queue, -1, NULL, 0);
    rd_kafka_queue_destroy(progress->old_queue);
    progress->old_queue = NULL;
    atomic_store_explicit(&progress->is_reaper_done, false, memory_order_relaxed);
    progress->has_reaper = pthread_create(&progress->reaper, NULL, reap, progress) == 0;
    if (!progress->has_reaper) {
        (void)reap(progress); /* no thread to be had: then it costs the owner the time */
        progress->old = NULL;
    }
}

static void serve_farewell(struct dri_kafka_progress *progress, int wait_ms)
{
    rd_kafka_message_t *message;
    while ((message = rd_kafka_consume_queue(progress->old_queue, wait_ms)) != NULL) {
        rd_kafka_message_destroy(message);
    }
}

static void see_off(struct dri_kafka *kafka)
{
    struct dri_kafka_progress *progress = &kafka->progress;
    if (progress->old_queue == NULL) {
        return;
    }
    serve_farewell(progress, 0);
    if (rd_kafka_consumer_closed(progress->old) != 0 || kafka->now_ns >= progress->leave_ns) {
        bury(progress);
    }
}

/* The client in use begins to leave the group; nothing refers to it after. */
static void put_off(struct dri_kafka *kafka)
{
    static const uint64_t one = 1;
    struct dri_kafka_progress *progress = &kafka->progress;
    progress->old = kafka->group;
    progress->old_queue = rd_kafka_queue_new(kafka->group);
    progress->leave_ns = kafka->now_ns + LEAVE_NS;
    rd_kafka_queue_io_event_enable(progress->old_queue, kafka->efd, &one, sizeof(one));
    rd_kafka_error_t *error = rd_kafka_consumer_close_queue(kafka->group, progress->old_queue);
    if (error != NULL) {
        progress->leave_ns = kafka->now_ns;
        rd_kafka_error_destroy(error);
    }
    for (uint32_t i = 0; i < kafka->slots_count; i++) {
        if (!dri_kafka_is_log_slot(kafka, kafka->slots[i])) {
            kafka->slots[i]->is_paused = false; /* of a client that nobody asks any more */
        }
    }
    dri_kafka_group_lose(kafka);
    dri_kafka_group_put_down(kafka);
}

static bool is_old_gone(struct dri_kafka_progress *progress)
{
    return progress->old_queue == NULL &&
           (!progress->has_reaper ||
            atomic_load_explicit(&progress->is_reaper_done, memory_order_acquire));
}

/* ---- acting ---- */

static void renew(struct dri_kafka *kafka, const struct dri_kafka_slot *slot)
{
    struct dri_kafka_progress *progress = &kafka->progress;
    char text[256];
    dri_kafka_notice(kafka, DRAY_EBROKER,
                     "%s: no message for %" PRIu64 " s although the log goes on to %" PRId64
                     "; the consumer is made anew",
                     slot->origin, progress->limit_ns / 1000000000u, progress->stuck_end);
    DRI_LOG(DRI_LOG_WARN, "KAFKA-STUCK", "a partition does not move: the consumer is made anew",
            DRI_TEXT("source", slot->origin), DRI_INT("end", progress->stuck_end));
    progress->has_suspect = true;
    progress->suspect_source = slot->source;
    progress->suspect_partition = slot->partition;
    progress->renewed_epoch = kafka->epoch;
    progress->looked_ns = 0;
    kafka->stats.renewals++;
    put_off(kafka);
    if (dri_kafka_group_join(kafka, rd_kafka_conf_dup(progress->conf), text, sizeof(text)) !=
        DRAY_OK) {
        dri_kafka_notice(kafka, DRAY_EFATAL, "no new consumer: %s", text);
    }
}

void dri_kafka_progress_tick(struct dri_kafka *kafka)
{
    struct dri_kafka_progress *progress = &kafka->progress;
    see_off(kafka);
    dri_kafka_follow_look(kafka);
    if (progress->stuck_epoch == 0) {
        return;
    }
    const struct dri_kafka_slot *slot =
        dri_kafka_slot_find(kafka, progress->stuck_slot, progress->stuck_epoch);
    progress->stuck_epoch = 0;
    if (slot == NULL || slot->state != DRI_KAFKA_SLOT_ASSIGNED || kafka->is_closing) {
        return;
    }
    if (!progress->has_suspect && is_old_gone(progress)) {
        dri_kafka_progress_fini(kafka); /* of an earlier time */
        renew(kafka, slot);
        return;
    }
    forget_stalls(kafka);
    dri_kafka_notice(
        kafka, DRAY_EFATAL,
        "%s: still no message although the log goes on to %" PRId64
        " and the consumer was made anew: the worker ends, so that its supervisor "
        "starts it again. If that does not help, look at this partition on the brokers",
        slot->origin, progress->stuck_end);
}

uint64_t dri_kafka_progress_deadline(const struct dri_kafka *kafka)
{
    return kafka->progress.old_queue != NULL ? kafka->progress.leave_ns : UINT64_MAX;
}

void dri_kafka_progress_fini(struct dri_kafka *kafka)
{
    struct dri_kafka_progress *progress = &kafka->progress;
    uint64_t until = dri_kafka_now_ns() + FAREWELL_NS;
    while (progress->old_queue != NULL && rd_kafka_consumer_closed(progress->old) == 0 &&
           dri_kafka_now_ns() < until) {
        serve_farewell(progress, 20);
    }
    if (progress->old_queue != NULL) {
        bury(progress);
    }
    if (progress->has_reaper) {
        (void)pthread_join(progress->reaper, NULL);
    }
    progress->has_reaper = false;
    progress->old = NULL;
}

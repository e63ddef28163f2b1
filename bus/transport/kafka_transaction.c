/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* kafka_transaction.c - the producer's transactions (KIP-447), over a thread that may block.
 *
 * Calls that talk to the transaction coordinator block, some for as long as they are let. They run
 * on one thread of the transport, which has the request, the list and the handle between the
 * owner's write to request_fd and its own is_done; nothing else is shared. The owner sees the
 * answer in its next poll. While a call is out the producer is not destroyed.
 *
 *   STARTING    init_transactions, begin_transaction: nothing is taken
 *   OPEN        what is published is in the transaction; positions are kept in their slots
 *   COMMITTING  send_offsets_to_transaction, commit_transaction, begin_transaction
 *
 * There is one way out of everything that goes wrong (K23), time-outs included: the transaction is
 * broken, which means that the producer is purged and destroyed (kafka_publish.c), every partition
 * of the group is lost, the owner is told, and a new producer with the same id is made. Its
 * init_transactions returns when the coordinator has ended what was open, whichever way, and raised
 * the epoch. Only then are committed positions looked up, and the same partitions given again. A
 * commit whose end is not known is no special case: what became of it stands in the positions.
 *
 * The group's metadata is taken on the owner's thread, at the commit. Were it taken by the other
 * thread, the group could have moved on meanwhile, and the broker would take positions of
 * partitions that have another owner, because it checks the generation only (K1).
 *
 * A partition that is lost, or let go with a position that is still in the open transaction, breaks
 * it: its outcomes would be committed without, or for, a partition that is somebody else's. While a
 * commit is out nothing needs to be done: its positions carry the generation in which they were
 * right, and a new owner's lookup waits for the end of a transaction (require_stable).
 */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "assert.h"
#include "kafka_private.h"
#include "log.h"

#define CALL_MS 15000 /* each of the calls: a broker may restart meanwhile */

/* ---- the thread ---- */

static void crash_point(const struct dri_kafka_transaction *tx, const char *name)
{
    if (tx->on_crash_point != NULL) {
        tx->on_crash_point(name);
    }
}

/* Keeps the first error; false: it is one. */
static bool is_good(struct dri_kafka_transaction *tx, const char *call, rd_kafka_error_t *error)
{
    if (error == NULL) {
        return true;
    }
    tx->err = rd_kafka_error_code(error);
    (void)snprintf(tx->text, sizeof(tx->text), "%s: %s", call, rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    return false;
}

static void carry_out(struct dri_kafka_transaction *tx, enum dri_kafka_request request)
{
    rd_kafka_t *rk = tx->rk;
    tx->err = RD_KAFKA_RESP_ERR_NO_ERROR;
    tx->is_ended = false;
    if (request == DRI_KAFKA_REQUEST_INIT) {
        (void)(is_good(tx, "init_transactions", rd_kafka_init_transactions(rk, CALL_MS)) &&
               is_good(tx, "begin_transaction", rd_kafka_begin_transaction(rk)));
        return;
    }
    if (request == DRI_KAFKA_REQUEST_ABORT) {
        tx->is_ended =
            is_good(tx, "abort_transaction", rd_kafka_abort_transaction(rk, tx->abort_ms));
        return;
    }
    crash_point(tx, "before_offsets");
    if (tx->offsets != NULL && !is_good(tx, "send_offsets_to_transaction",
                                        rd_kafka_send_offsets_to_transaction(
                                            rk, tx->offsets, tx->group_metadata, CALL_MS))) {
        return;
    }
    crash_point(tx, "after_offsets");
    tx->is_ended = is_good(tx, "commit_transaction", rd_kafka_commit_transaction(rk, CALL_MS));
    crash_point(tx, "after_end");
    (void)(tx->is_ended && is_good(tx, "begin_transaction", rd_kafka_begin_transaction(rk)));
}

static void *serve(void *arg)
{
    struct dri_kafka *kafka = arg;
    struct dri_kafka_transaction *tx = &kafka->transaction;
    for (;;) {
        uint64_t count;
        if (read(tx->request_fd, &count, sizeof(count)) != (ssize_t)sizeof(count)) {
            DRI_ASSERT(errno == EINTR);
            continue;
        }
        int request = atomic_load_explicit(&tx->request, memory_order_acquire);
        if (request == DRI_KAFKA_REQUEST_QUIT) {
            return NULL;
        }
        carry_out(tx, (enum dri_kafka_request)request);
        /* Pairs with the acquire in is_answered. */
        atomic_store_explicit(&tx->is_done, true, memory_order_release);
        dri_kafka_wake(kafka);
    }
}

static void call(struct dri_kafka *kafka, enum dri_kafka_request request)
{
    static const uint64_t one = 1;
    struct dri_kafka_transaction *tx = &kafka->transaction;
    DRI_ASSERT(!tx->is_call_out);
    tx->is_call_out = request != DRI_KAFKA_REQUEST_QUIT;
    tx->rk = kafka->producer.rk;
    atomic_store_explicit(&tx->is_done, false, memory_order_relaxed);
    /* Pairs with the acquire in serve. */
    atomic_store_explicit(&tx->request, (int)request, memory_order_release);
    ssize_t written = write(tx->request_fd, &one, sizeof(one));
    DRI_ASSERT(written == (ssize_t)sizeof(one));
}

static bool is_answered(const struct dri_kafka_transaction *tx)
{
    return tx->is_call_out && atomic_load_explicit(&tx->is_done, memory_order_acquire);
}

/* Wait for the call that is out; false: not until then. Only while opening and closing. */
static bool await(struct dri_kafka *kafka, uint64_t deadline_ns)
{
    struct dri_kafka_transaction *tx = &kafka->transaction;
    while (tx->is_call_out && !is_answered(tx)) {
        uint64_t now = dri_kafka_now_ns();
        if (now >= deadline_ns) {
            return false;
        }
        struct pollfd wait = {.fd = kafka->efd, .events = POLLIN};
        uint64_t left_ms = (deadline_ns - now) / 1000000u;
        (void)poll(&wait, 1, left_ms > 50 ? 50 : (int)left_ms + 1);
        uint64_t drained;
        (void)!read(kafka->efd, &drained, sizeof(drained));
    }
    dri_kafka_wake(kafka); /* whatever else was told meanwhile */
    return true;
}

static enum dray_status thread_start(struct dri_kafka *kafka)
{
    struct dri_kafka_transaction *tx = &kafka->transaction;
    sigset_t all;
    sigset_t before;
    tx->request_fd = eventfd(0, EFD_CLOEXEC);
    if (tx->request_fd < 0) {
        return DRAY_EIO;
    }
    /* Signals are for the threads that wait for them. */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    tx->has_thread = pthread_create(&tx->thread, NULL, serve, kafka) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return tx->has_thread ? DRAY_OK : DRAY_EIO;
}

/* ---- the owner ---- */

bool dri_kafka_transaction_takes(const struct dri_kafka *kafka)
{
    const struct dri_kafka_transaction *tx = &kafka->transaction;
    /* What was lost must be told first: an outcome of it may stand in the owner's queue. */
    return !tx->is_on ||
           (tx->phase == DRI_KAFKA_TRANSACTION_OPEN && !tx->has_news && kafka->tell_first == NULL);
}

bool dri_kafka_transaction_is_ready(const struct dri_kafka *kafka)
{
    return !kafka->transaction.is_on ||
           (kafka->producer.state == DRI_KAFKA_PRODUCER_UP &&
            kafka->transaction.phase != DRI_KAFKA_TRANSACTION_STARTING);
}

static void tell(struct dri_kafka *kafka, enum dray_status status)
{
    kafka->transaction.has_news = true;
    kafka->transaction.news = status;
    dri_kafka_wake(kafka);
}

size_t dri_kafka_transaction_poll(struct dri_kafka *kafka, struct dri_transport_event *ret_events,
                                  size_t max)
{
    struct dri_kafka_transaction *tx = &kafka->transaction;
    if (max == 0 || !tx->has_news) {
        return 0;
    }
    tx->has_news = false;
    ret_events[0] = (struct dri_transport_event){.type = DRI_TE_TRANSACTION, .status = tx->news};
    return 1;
}

void dri_kafka_transaction_broken(struct dri_kafka *kafka)
{
    struct dri_kafka_transaction *tx = &kafka->transaction;
    if (tx->is_on) {
        tx->is_broken = true;
        dri_kafka_wake(kafka);
    }
}

void dri_kafka_transaction_break(struct dri_kafka *kafka, const char *format, ...)
{
    char reason[200];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(reason, sizeof(reason), format, args);
    va_end(args);
    if (kafka->transaction.is_on && !kafka->is_closing) {
        dri_kafka_producer_renew(kafka, DRAY_EBROKER, reason);
    }
}

static bool has_positions(const struct dri_kafka *kafka)
{
    for (uint32_t i = 0; i < kafka->slots_count; i++) {
        const struct dri_kafka_slot *slot = kafka->slots[i];
        if (slot->state != DRI_KAFKA_SLOT_FREE && slot->wanted >= 0) {
            return true;
        }
    }
    return false;
}

void dri_kafka_transaction_slot_gone(struct dri_kafka *kafka, const struct dri_kafka_slot *slot,
                                     bool is_lost)
{
    const struct dri_kafka_transaction *tx = &kafka->transaction;
    bool is_open = tx->is_on && tx->phase == DRI_KAFKA_TRANSACTION_OPEN;
    if (is_open &&
        (slot->wanted >= 0 || (is_lost && (tx->published > 0 || has_positions(kafka))))) {
        dri_kafka_transaction_break(
            kafka, "%s was %s before its transaction was committed; it is thrown away",
            slot->origin, is_lost ? "lost" : "let go");
    }
}

static void release(struct dri_kafka_transaction *tx)
{
    if (tx->offsets != NULL) {
        rd_kafka_topic_partition_list_destroy(tx->offsets);
    }
    if (tx->group_metadata != NULL) {
        rd_kafka_consumer_group_metadata_destroy(tx->group_metadata);
    }
    tx->offsets = NULL;
    tx->group_metadata = NULL;
}

void dri_kafka_transaction_begin(struct dri_kafka *kafka)
{
    struct dri_kafka_transaction *tx = &kafka->transaction;
    if (tx->is_on) {
        tx->phase = DRI_KAFKA_TRANSACTION_STARTING;
        tx->published = 0;
        call(kafka, DRI_KAFKA_REQUEST_INIT);
    }
}

void dri_kafka_transaction_commit(struct dri_kafka *kafka, bool is_void)
{
    struct dri_kafka_transaction *tx = &kafka->transaction;
    DRI_ASSERT(tx->is_on);
    if (kafka->producer.state != DRI_KAFKA_PRODUCER_UP || tx->phase != DRI_KAFKA_TRANSACTION_OPEN) {
        tell(kafka, DRAY_EAGAIN); /* it is gone already */
        return;
    }
    if (is_void) {
        dri_kafka_transaction_break(kafka, "the open transaction is thrown away");
        return;
    }
    DRI_ASSERT(kafka->producer.out == 0);
    tx->offsets = dri_kafka_commit_collect(kafka);
    if (tx->offsets == NULL && tx->published == 0) {
        tell(kafka, DRAY_OK);
        return;
    }
    tx->group_metadata =
        kafka->group == NULL ? NULL : rd_kafka_consumer_group_metadata(kafka->group);
    if (kafka->group != NULL && (tx->offsets == NULL || tx->group_metadata == NULL)) {
        release(tx);
        dri_kafka_transaction_break(kafka, "outcomes without a position: they are thrown away");
        return;
    }
    tx->epoch = kafka->epoch;
    tx->phase = DRI_KAFKA_TRANSACTION_COMMITTING;
    kafka->stats.commits++;
    call(kafka, DRI_KAFKA_REQUEST_COMMIT);
}

/* ---- answers ---- */

static void on_started(struct dri_kafka *kafka)
{
    struct dri_kafka_transaction *tx = &kafka->transaction;
    if (tx->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        dri_kafka_producer_renew(kafka, dri_kafka_status_of(tx->err), tx->text);
        return;
    }
    tx->phase = DRI_KAFKA_TRANSACTION_OPEN;
    DRI_LOG(DRI_LOG_INFO, "KAFKA-TXN", "transactions are open", DRI_TEXT("id", tx->id));
    dri_kafka_lookup_release(kafka);
}

static void on_committed(struct dri_kafka *kafka)
{
    struct dri_kafka_transaction *tx = &kafka->transaction;
    if (tx->is_ended) {
        tx->phase = DRI_KAFKA_TRANSACTION_OPEN;
        tx->published = 0;
        kafka->producer.revive_wait_ns = 0;
        tell(kafka, DRAY_OK);
    }
    dri_kafka_commit_answered(kafka, tx->offsets, tx->epoch, tx->is_ended);
    if (tx->err == RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE) {
        dri_kafka_notice(kafka, DRAY_EFATAL,
                         "the broker takes less than 3,900 bytes of metadata with an offset "
                         "(offset.metadata.max.bytes): worker.delivery exactly_once needs them");
    }
    if (tx->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        dri_kafka_transaction_break(kafka, "%s", tx->text);
    }
}

/* What broke is told, and the partitions are asked for anew. */
static void start_over(struct dri_kafka *kafka)
{
    kafka->transaction.is_broken = false;
    tell(kafka, DRAY_EAGAIN);
    dri_kafka_group_reset(kafka);
}

void dri_kafka_transaction_tick(struct dri_kafka *kafka)
{
    struct dri_kafka_transaction *tx = &kafka->transaction;
    if (is_answered(tx)) {
        tx->is_call_out = false;
        bool is_start = tx->phase == DRI_KAFKA_TRANSACTION_STARTING;
        /* Given up meanwhile: a commit may have gone through all the same, and the positions that
         * are looked up will show it. */
        if (kafka->producer.state == DRI_KAFKA_PRODUCER_UP) {
            (is_start ? on_started : on_committed)(kafka);
        }
        release(tx);
    }
    if (tx->is_broken) {
        start_over(kafka);
    }
}

/* ---- opening and closing ---- */

enum dray_status dri_kafka_transaction_open(struct dri_kafka *kafka, uint64_t deadline_ns,
                                            char *ret_text, size_t text_bytes)
{
    struct dri_kafka_transaction *tx = &kafka->transaction;
    if (!await(kafka, deadline_ns)) {
        (void)snprintf(ret_text, text_bytes,
                       "transactions \"%s\": the coordinator did not answer in time", tx->id);
        return DRAY_ETIMEOUT;
    }
    tx->is_call_out = false;
    if (tx->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        (void)snprintf(ret_text, text_bytes, "transactions \"%s\": %s", tx->id, tx->text);
        return dri_kafka_status_of(tx->err);
    }
    tx->phase = DRI_KAFKA_TRANSACTION_OPEN;
    return DRAY_OK;
}

enum dray_status dri_kafka_transaction_init(struct dri_kafka *kafka,
                                            const struct dri_transport_config *config)
{
    struct dri_kafka_transaction *tx = &kafka->transaction;
    tx->request_fd = -1;
    if (config->transactional_id == NULL || config->unacked_max == 0) {
        return DRAY_OK;
    }
    tx->is_on = true;
    tx->on_crash_point = config->on_crash_point;
    (void)snprintf(tx->id, sizeof(tx->id), "%s", config->transactional_id);
    return thread_start(kafka);
}

/* What is open is ended at once, or readers and the next owners would wait for its time-out. */
void dri_kafka_transaction_close(struct dri_kafka *kafka, uint64_t deadline_ns)
{
    struct dri_kafka_transaction *tx = &kafka->transaction;
    if (!tx->is_on || kafka->producer.state != DRI_KAFKA_PRODUCER_UP ||
        !await(kafka, deadline_ns)) {
        return;
    }
    if (tx->is_call_out) {
        tx->is_call_out = false;
        tx->phase = DRI_KAFKA_TRANSACTION_OPEN;
        tx->published = tx->is_ended ? 0 : tx->published;
        release(tx);
    }
    uint64_t now = dri_kafka_now_ns();
    if (tx->published == 0 || now >= deadline_ns) {
        return;
    }
    DRI_LOG(DRI_LOG_WARN, "KAFKA-TXN", "closed within a transaction: it is thrown away",
            DRI_UINT("outcomes", tx->published));
    tx->abort_ms = (int)((deadline_ns - now) / 1000000u) + 1;
    call(kafka, DRI_KAFKA_REQUEST_ABORT);
    (void)await(kafka, deadline_ns);
}

void dri_kafka_transaction_fini(struct dri_kafka *kafka)
{
    struct dri_kafka_transaction *tx = &kafka->transaction;
    if (tx->has_thread) {
        (void)await(kafka, UINT64_MAX); /* the call has its own limit */
        tx->is_call_out = false;
        call(kafka, DRI_KAFKA_REQUEST_QUIT);
        (void)pthread_join(tx->thread, NULL);
    }
    if (tx->is_on && tx->request_fd >= 0) {
        (void)close(tx->request_fd);
    }
    tx->has_thread = false;
    release(tx);
}

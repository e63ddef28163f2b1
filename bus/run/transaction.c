/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* transaction.c - one transaction of the transport at a time, ended where nothing is half told.
 *
 *   OPEN        outcomes are handed over as they come
 *   CLOSING     only what continues a half-told command is, until nothing is out; then the barrier
 *   COMMITTING  nothing is, until the transport has answered
 *
 * A transaction is exact when its settles cover exactly its outcomes. What would make it inexact
 * makes it void: a command that was given up although an outcome of it is in here (torn), a
 * metadata text that had to leave something out. Both are counted by the core; a transaction begins
 * with the count at its first outcome or settle. What was torn before belongs to one that is gone:
 * the transport takes nothing before all that it lost was told.
 *
 * That a text does not fit is kept from happening. Each gap in what is finished costs a few bits,
 * so the text of a slot grows with what is taken in behind something slow: when it is a third of
 * what may be committed, the slot is paused. What is in flight then can at worst finish every other
 * one, which takes a bit and a half a command. A slot of which nothing is in flight is not paused,
 * whatever its text: it was restored from a commit, and only reading on makes it shorter.
 */
#include "transaction.h"

#include "assert.h"
#include "log.h"
#include "mem.h"

#define OUTCOMES_MAX 5000u
#define CLOSING_NS   UINT64_C(10000000000)
#define TEXT_PAUSE   1300u
#define TEXT_RESUME  900u

enum phase {
    OPEN,
    CLOSING,
    COMMITTING
};

struct slot {
    uint64_t received_end; /* after the last message of this assignment; 0: none yet */
    bool is_strained;
};

struct dri_transaction {
    uint64_t interval_ns;
    enum phase phase;
    bool is_begun;                      /* something is in it */
    bool is_urgent;                     /* somebody waits for its end */
    bool is_next_begun, is_next_urgent; /* the same of the one after that which is committed */
    uint64_t due_ns; /* OPEN: when it is to be closed; CLOSING: when that has taken too long */
    uint64_t outcomes;
    uint64_t out; /* handed over, not answered; also of the one before, when that is gone */
    uint64_t torn;
    struct slot *slots; /* owned */
    uint32_t slots_max;
};

enum dray_status dri_transaction_create(uint32_t interval_ms, uint32_t slots_max,
                                        struct dri_transaction **ret_transaction)
{
    struct dri_transaction *transaction = dri_zalloc(sizeof(*transaction));
    struct slot *slots = dri_zalloc_array(slots_max, sizeof(*slots));
    if (transaction == NULL || slots == NULL) {
        dri_free(transaction);
        dri_free(slots);
        return DRAY_ENOMEM;
    }
    transaction->interval_ns = (uint64_t)interval_ms * 1000000u;
    transaction->slots = slots;
    transaction->slots_max = slots_max;
    *ret_transaction = transaction;
    return DRAY_OK;
}

void dri_transaction_destroy(struct dri_transaction *transaction)
{
    if (transaction != NULL) {
        dri_free(transaction->slots);
        dri_free(transaction);
    }
}

bool dri_transaction_takes_first(const struct dri_transaction *transaction)
{
    return transaction->phase == OPEN && transaction->outcomes < OUTCOMES_MAX;
}

bool dri_transaction_takes_next(const struct dri_transaction *transaction)
{
    return transaction->phase != COMMITTING;
}

static void begin(struct dri_transaction *transaction, struct dri_now now, uint64_t torn)
{
    if (!transaction->is_begun) {
        transaction->is_begun = true;
        transaction->torn = torn;
        transaction->due_ns = now.mono_ns + transaction->interval_ns;
    }
}

void dri_transaction_handed(struct dri_transaction *transaction, struct dri_now now,
                            uint64_t outcomes, uint64_t torn)
{
    if (outcomes > 0) {
        begin(transaction, now, torn);
        transaction->outcomes += outcomes;
        transaction->out += outcomes;
    }
}

void dri_transaction_answered(struct dri_transaction *transaction)
{
    DRI_ASSERT(transaction->out > 0);
    transaction->out--;
}

void dri_transaction_assigned(struct dri_transaction *transaction, uint32_t slot)
{
    DRI_ASSERT(slot < transaction->slots_max);
    transaction->slots[slot] = (struct slot){0};
}

void dri_transaction_received(struct dri_transaction *transaction, uint32_t slot, uint64_t offset)
{
    DRI_ASSERT(slot < transaction->slots_max);
    transaction->slots[slot].received_end = offset + 1;
}

enum dri_strain dri_transaction_settled(struct dri_transaction *transaction, struct dri_now now,
                                        const struct dri_settle *settle, uint64_t torn)
{
    DRI_ASSERT(settle->slot < transaction->slots_max);
    struct slot *slot = &transaction->slots[settle->slot];
    if (transaction->phase == COMMITTING) {
        transaction->is_next_begun = true;
        transaction->is_next_urgent = transaction->is_next_urgent || settle->is_final;
    } else {
        begin(transaction, now, torn);
        transaction->is_urgent = transaction->is_urgent || settle->is_final;
    }
    bool has_flights = settle->position < slot->received_end;
    if (!slot->is_strained && has_flights && settle->metadata.len > TEXT_PAUSE) {
        slot->is_strained = true;
        return DRI_STRAIN_PAUSE;
    }
    if (slot->is_strained && (!has_flights || settle->metadata.len < TEXT_RESUME)) {
        slot->is_strained = false;
        return DRI_STRAIN_RESUME;
    }
    return DRI_STRAIN_SAME;
}

bool dri_transaction_is_strained(const struct dri_transaction *transaction, uint32_t slot)
{
    return transaction->slots[slot].is_strained;
}

void dri_transaction_ended(struct dri_transaction *transaction, struct dri_now now, uint64_t torn)
{
    bool is_begun = transaction->is_next_begun;
    transaction->phase = OPEN;
    transaction->is_begun = false;
    transaction->is_urgent = transaction->is_next_urgent;
    transaction->is_next_begun = false;
    transaction->is_next_urgent = false;
    transaction->outcomes = 0;
    if (is_begun) {
        begin(transaction, now, torn);
    }
}

enum dri_transaction_step dri_transaction_due(struct dri_transaction *transaction,
                                              struct dri_now now, uint32_t half_told)
{
    if (transaction->phase == COMMITTING || !transaction->is_begun) {
        return DRI_TRANSACTION_GO_ON;
    }
    if (transaction->phase == OPEN &&
        (transaction->is_urgent || now.mono_ns >= transaction->due_ns ||
         transaction->outcomes >= OUTCOMES_MAX)) {
        transaction->phase = CLOSING;
        transaction->due_ns = now.mono_ns + CLOSING_NS;
    }
    if (transaction->phase == OPEN) {
        return DRI_TRANSACTION_GO_ON;
    }
    if (transaction->out == 0 && half_told == 0) {
        return DRI_TRANSACTION_BARRIER;
    }
    if (now.mono_ns < transaction->due_ns) {
        return DRI_TRANSACTION_GO_ON;
    }
    DRI_LOG(DRI_LOG_WARN, "TXN-SLOW", "a transaction could not be closed and is thrown away",
            DRI_UINT("unanswered", transaction->out), DRI_UINT("half_told", half_told));
    transaction->phase = COMMITTING;
    return DRI_TRANSACTION_GIVE_UP;
}

bool dri_transaction_close(struct dri_transaction *transaction, bool is_whole, uint64_t torn)
{
    DRI_ASSERT(transaction->phase == CLOSING && transaction->out == 0);
    bool is_torn = torn != transaction->torn;
    transaction->phase = COMMITTING;
    if (is_torn) {
        DRI_LOG(DRI_LOG_INFO, "TXN-TORN",
                "a command was given up whose outcome is in the transaction: it is thrown away",
                DRI_UINT("commands", torn - transaction->torn));
    } else if (!is_whole) {
        DRI_LOG(DRI_LOG_ERROR, "TXN-METADATA",
                "what is finished behind a waiting command does not fit into the commit: the "
                "transaction is thrown away. Keep waits short or worker.max_in_flight lower",
                DRI_UINT("outcomes", transaction->outcomes));
    }
    return is_whole && !is_torn;
}

uint64_t dri_transaction_deadline(const struct dri_transaction *transaction)
{
    bool waits_for_time = transaction->is_begun && transaction->phase != COMMITTING;
    return waits_for_time ? transaction->due_ns : UINT64_MAX;
}

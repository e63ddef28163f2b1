/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_TRANSACTION_H
#define DRI_TRANSACTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/status.h>

#include "clock.h"
#include "transport.h"

/* transaction.h - when the engine opens and closes the transport's transaction, and which slots may
 * take in more meanwhile. See transaction.c and docs/adr/0010-transactions.md.
 *
 * Threads: the engine's. It reads no clock.
 */

struct dri_transaction;

/** Closed so many milliseconds after its first outcome or settle. slots_max: slots numbered below.
 *  Errors: ENOMEM. Owns: *ret_transaction returned owned. */
DRAY_MUST_CHECK enum dray_status dri_transaction_create(uint32_t interval_ms, uint32_t slots_max,
                                                        struct dri_transaction **ret_transaction);
/** NULL is a no-op. */
void dri_transaction_destroy(struct dri_transaction *transaction);

/** Whether a first outcome of a command may be handed over now. */
bool dri_transaction_takes_first(const struct dri_transaction *transaction);
/** Whether what continues a half-told command may. */
bool dri_transaction_takes_next(const struct dri_transaction *transaction);

/** So many outcomes were handed over. torn: the core's count, now. */
void dri_transaction_handed(struct dri_transaction *transaction, struct dri_now now,
                            uint64_t outcomes, uint64_t torn);
/** One of them was answered. */
void dri_transaction_answered(struct dri_transaction *transaction);

/** What a settle means for its slot. */
enum dri_strain {
    DRI_STRAIN_SAME,
    DRI_STRAIN_PAUSE,  /* its metadata is near its bound: take in no more */
    DRI_STRAIN_RESUME, /* it is not any more */
};

void dri_transaction_assigned(struct dri_transaction *transaction, uint32_t slot);
void dri_transaction_received(struct dri_transaction *transaction, uint32_t slot, uint64_t offset);
/** A settle was handed over. torn: as above. */
DRAY_MUST_CHECK enum dri_strain dri_transaction_settled(struct dri_transaction *transaction,
                                                        struct dri_now now,
                                                        const struct dri_settle *settle,
                                                        uint64_t torn);
/** Whether this slot is paused for its metadata. */
bool dri_transaction_is_strained(const struct dri_transaction *transaction, uint32_t slot);

/** The transport's answer, or its word that what was open is gone. torn: as above. */
void dri_transaction_ended(struct dri_transaction *transaction, struct dri_now now, uint64_t torn);

enum dri_transaction_step {
    DRI_TRANSACTION_GO_ON,
    DRI_TRANSACTION_BARRIER, /* settle everything, then dri_transaction_close */
    DRI_TRANSACTION_GIVE_UP, /* tell the transport to throw it away; it is closed */
};

/** What is due. half_told: the core's. */
DRAY_MUST_CHECK enum dri_transaction_step
dri_transaction_due(struct dri_transaction *transaction, struct dri_now now, uint32_t half_told);
/** After the barrier: whether to commit (else throw away). Now it is closed. */
DRAY_MUST_CHECK bool dri_transaction_close(struct dri_transaction *transaction, bool is_whole,
                                           uint64_t torn);

/** UINT64_MAX: none. */
uint64_t dri_transaction_deadline(const struct dri_transaction *transaction);

#endif

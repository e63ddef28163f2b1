/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_CARD_H
#define DRI_CARD_H

#include <stdint.h>

#include <dray/slice.h>
#include <dray/status.h>

/* card.h - the fallback of a route as it was when a command was answered with it: shared by all
 * such commands, and there until the last of them is released, whatever becomes of the route.
 *
 * Threads: the engine's.
 */

struct dri_card {
    uint32_t shares;
    struct dray_slice version; /* of the route; in the card's own memory, as the value is */
    struct dray_slice value;   /* msgpack */
    struct dri_card *next, *prev;
};

/** All cards of an engine. */
struct dri_cards {
    struct dri_card *head;
};

/** Copies both. Owns: returns one share. Errors: ENOMEM. */
DRAY_MUST_CHECK enum dray_status dri_card_create(struct dri_cards *cards, struct dray_slice version,
                                                 struct dray_slice value,
                                                 struct dri_card **ret_card);
struct dri_card *dri_card_retain(struct dri_card *card);
/** NULL is a no-op. */
void dri_card_release(struct dri_cards *cards, struct dri_card *card);
/** Whoever still has one. */
void dri_cards_fini(struct dri_cards *cards);

#endif

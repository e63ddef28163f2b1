/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "card.h"

#include <string.h>

#include "assert.h"
#include "mem.h"

enum dray_status dri_card_create(struct dri_cards *cards, struct dray_slice version,
                                 struct dray_slice value, struct dri_card **ret_card)
{
    struct dri_card *card = dri_zalloc(sizeof(*card) + version.len + value.len);
    if (card == NULL) {
        return DRAY_ENOMEM;
    }
    uint8_t *at = (uint8_t *)(card + 1);
    memcpy(at, version.at, version.len);
    memcpy(at + version.len, value.at, value.len);
    card->shares = 1;
    card->version = dray_slice_of(at, version.len);
    card->value = dray_slice_of(at + version.len, value.len);
    card->next = cards->head;
    if (card->next != NULL) {
        card->next->prev = card;
    }
    cards->head = card;
    *ret_card = card;
    return DRAY_OK;
}

struct dri_card *dri_card_retain(struct dri_card *card)
{
    DRI_ASSERT(card->shares > 0 && card->shares < UINT32_MAX);
    card->shares++;
    return card;
}

void dri_card_release(struct dri_cards *cards, struct dri_card *card)
{
    if (card == NULL || --card->shares > 0) {
        return;
    }
    if (card->prev != NULL) {
        card->prev->next = card->next;
    } else {
        cards->head = card->next;
    }
    if (card->next != NULL) {
        card->next->prev = card->prev;
    }
    dri_free(card);
}

void dri_cards_fini(struct dri_cards *cards)
{
    while (cards->head != NULL) {
        struct dri_card *next = cards->head->next;
        dri_free(cards->head);
        cards->head = next;
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "live.h"

#include <stdio.h>
#include <string.h>

#include "mem.h"

/* The results topic is the start's: another one needs a restart, whatever the file says now. */
static char *default_reply_to(const struct dri_settings *start, bool has_inboxes)
{
    const char *results = start->topics.results;
    size_t bytes = 2 * strlen(results) + sizeof(",.*,_INBOX.>");
    char *text = dri_zalloc(bytes);
    if (text != NULL) {
        (void)snprintf(text, bytes, "%s,%s.*%s", results, results, has_inboxes ? ",_INBOX.>" : "");
    }
    return text;
}

static bool split_patterns(struct dri_live *live)
{
    size_t commas = 0;
    for (const char *at = live->reply_text; *at != '\0'; at++) {
        commas += *at == ',' ? 1 : 0;
    }
    live->reply_patterns = dri_zalloc_array(commas + 1, sizeof(*live->reply_patterns));
    if (live->reply_patterns == NULL) {
        return false;
    }
    for (char *rest = live->reply_text; rest != NULL;) {
        char *pattern = strsep(&rest, ",");
        if (*pattern != '\0') {
            live->reply_patterns[live->reply_patterns_count++] = pattern;
        }
    }
    return true;
}

static uint32_t less(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

enum dray_status dri_live_create(const struct dri_settings *start, const struct dri_settings *now,
                                 bool has_inboxes, struct dri_live **ret_live)
{
    struct dri_live *live = dri_zalloc(sizeof(*live));
    if (live == NULL) {
        return DRAY_ENOMEM;
    }
    live->max_in_flight = less(now->worker.max_in_flight, start->worker.max_in_flight);
    live->max_unacked = less(now->worker.max_unacked, start->worker.max_unacked);
    live->max_bytes = now->worker.max_bytes;
    live->timeout_ms = now->worker.timeout_ms;
    live->settle_ms = now->worker.settle_ms;
    live->revoke_ms = now->worker.revoke_ms;
    live->drain_ms = now->worker.drain_ms;
    live->close_ms = now->worker.close_ms;
    live->stall_ms = now->worker.stall_ms;
    live->reply_text = now->worker.reply_to != NULL ? dri_strdup(now->worker.reply_to)
                                                    : default_reply_to(start, has_inboxes);
    live->namespaces = now->worker.namespaces != NULL ? dri_strdup(now->worker.namespaces) : NULL;
    if (live->reply_text == NULL || (now->worker.namespaces != NULL && live->namespaces == NULL) ||
        !split_patterns(live)) {
        dri_live_destroy(live);
        return DRAY_ENOMEM;
    }
    *ret_live = live;
    return DRAY_OK;
}

void dri_live_destroy(struct dri_live *live)
{
    if (live != NULL) {
        dri_free(live->namespaces);
        dri_free(live->reply_patterns);
        dri_free(live->reply_text);
        dri_free(live);
    }
}

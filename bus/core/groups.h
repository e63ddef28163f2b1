/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_GROUPS_H
#define DRI_GROUPS_H

#include <stdbool.h>
#include <stdint.h>

#include <dray/kind.h>

#include "flight.h"

/* groups.h - limits that flights have together: a group is a route, or a dependency that several
 * routes share. Threads and ownership as in core.h.
 */

struct dri_core;

/** What holds for the flights of one route together. Zero: no such limit. */
struct dri_group_limits {
    uint32_t concurrency;     /* flights that run at once */
    uint32_t concurrency_min; /* 0: just so many; else from this to concurrency, as it goes */
    uint32_t rate;            /* starts a second */
    uint32_t burst;           /* of these, how many at once; 0: 1 */
    uint32_t share;           /* only one part in so many of rate and burst; 0: all of it */
    uint32_t failures;        /* in a row that open the breaker */
    uint32_t open_ms;         /* from then to the probe */
    uint32_t depends[DRI_DEPENDS_MAX]; /* groups whose breakers hold for it, too; 0: no more */
    uint32_t auth_ms;  /* a failure of kind auth opens it for so long; 0: is as any other */
    bool has_fallback; /* while a breaker is open, who wants a result is answered without a run */
    bool is_paused;    /* nothing is started; what waits is bounded, the rest becomes `held` */
};

enum dri_breaker {
    DRI_BREAKER_CLOSED,
    DRI_BREAKER_OPEN,
    DRI_BREAKER_HALF_OPEN, /* a probe is out, or may go */
};

/** So often a command may fail as the probe without that counting as an attempt. */
#define DRI_PROBES_MAX 60u

/** Configure a group; its breaker is closed. Takes effect in the next step. A dependency that
 * several routes share is a group without flights, with failures and open_ms.
 *  Requires: 1 <= number <= groups_max. */
void dri_core_group_set(struct dri_core *core, uint32_t number,
                        const struct dri_group_limits *limits);

/** Move a flight that the core has to another group. Takes effect in the next step. */
void dri_core_regroup(struct dri_core *core, struct dri_flight *flight, uint32_t number);

/** Change the share of its rate, and nothing else. */
void dri_core_group_share(struct dri_core *core, uint32_t number, uint32_t share);

/** Whether it waits for its time, and has not begun to run. */
bool dri_core_is_early(const struct dri_flight *flight);

/** It is not to run: it ends as a dead letter of this kind. Takes effect in the next step.
 *  Requires: dri_core_is_early. */
void dri_core_cancel(struct dri_core *core, struct dri_flight *flight, enum dray_error_kind kind);

/** How many of it may run at once now; 0: no limit. */
uint32_t dri_core_group_concurrency(const struct dri_core *core, uint32_t number);

enum dri_breaker dri_core_group_breaker(const struct dri_core *core, uint32_t number);

/** Grows whenever a breaker of any group opens or closes. */
uint64_t dri_core_breaker_changes(const struct dri_core *core);

/** Whether dead-lettering is paused because most commands of this core fail: a failure of kind
 * timeout, network, unavailable or internal opens the breaker of its group then, whatever the
 * group's limits say. */
bool dri_core_is_systemic(const struct dri_core *core);

/** Whether a failure of this kind says that something behind the handler is not well. Pure. */
bool dri_kind_is_unwell(enum dray_error_kind kind);

#endif

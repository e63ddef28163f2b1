/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef SIM_OPTIONS_H
#define SIM_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/core.h"
#include "core/groups.h"
#include "transport/sim.h"
#include "wire/control.h"

/* options.h - what one seed plays: every seed turns on its own mixture (swarm testing). */

#define SIM_WORKERS_MAX  4u
#define SIM_KEYS_MAX     24u
#define SIM_DEPENDS_MAX  2u
#define SIM_PARK_TOPIC   "park.g.commands"
#define SIM_WINDOW_TOPIC "window.g.commands"
#define SIM_ROUTES_MAX   3u /* that have limits */
#define SIM_BURST_MAX    3u
#define SIM_WINDOW_MS    86400000u /* longer than any play */

/** What happens to the world by itself. X(name, text): mean time between two in mean_ms, 0: never.
 */
#define SIM_NEMESIS_TABLE(X)                                                                       \
    X(KILL, "kill")       /* a worker's process dies, also in the middle of a turn */              \
    X(STOP, "stop")       /* a worker's process stands still and goes on (SIGSTOP, SIGCONT) */     \
    X(ISOLATE, "isolate") /* a worker and its coordinator do not hear each other */                \
    X(DRAIN, "drain")     /* a worker is drained, leaves, and a new one comes */                   \
    X(REVOKE, "revoke")   /* assignments are revoked for no reason */                              \
    X(LOSE, "lose")       /* assignments are lost for no reason */                                 \
    X(PAUSE, "pause")     /* the broker stands still */                                            \
    X(REFUSE, "refuse")   /* a target is refused for a while */                                    \
    X(JUMP, "jump")       /* the wall clock jumps */                                               \
    X(HOLD, "hold")       /* a route is paused, or resumes */

enum sim_nemesis {
#define SIM_NEMESIS_ENUM(name, text) SIM_NEMESIS_##name,
    SIM_NEMESIS_TABLE(SIM_NEMESIS_ENUM)
#undef SIM_NEMESIS_ENUM
    SIM_NEMESIS_COUNT
};

/** What holds for the commands of a route; commands of none have no limits. */
struct sim_route {
    struct dri_group_limits limits; /* is_paused changes in the world, not here */
    uint32_t depends;               /* bits */
    uint32_t key_concurrency;       /* with DRI_ORDER_NONE; 0: no bound */
    bool has_fallback;
    bool has_order;
    enum dri_order order;
};

struct sim_options {
    uint64_t seed;
    enum dri_settle_mode mode;
    enum dri_order order;
    bool is_quiet; /* nothing that explains a second run or a second outcome */
    uint32_t
        transaction_ms; /* transactions, closed after this; then no outcome comes twice. 0: none */
    uint32_t workers, partitions, commands, keys;
    uint32_t safety_ms;    /* faults and commands */
    uint32_t attempts_max; /* policy */
    uint32_t backoff_ms;
    uint32_t handler_us; /* typical */
    uint32_t slow_ms;    /* of a slow one */
    uint32_t turn_delay_us;
    /* one in so many commands; 0: none */
    uint32_t malformed, failing, slow, large, keyless, timed, replied, denied, replayed, deaf;
    enum dri_exhausted exhausted; /* of all routes, until the world heals */
    uint32_t mean_ms[SIM_NEMESIS_COUNT];
    uint32_t dependency_failures, dependency_open_ms; /* 0: nothing depends on anything */
    uint32_t outage_from, outage_to; /* commands between fail for good; nothing behind them works */
    uint32_t disk_full; /* so many percent of the time, until the world heals; 0: never */
    uint32_t twins; /* one in so many commands of a route has the id of an earlier one; 0: no route
                       has a window */
    uint32_t routes_count;
    struct sim_route routes[SIM_ROUTES_MAX];
    struct dri_sim_config broker;
    struct dri_core_config core;
};

void sim_options_draw(uint64_t seed, enum dri_settle_mode mode, struct sim_options *ret_options);
/** The route of a command; NULL: one without limits. */
const struct sim_route *sim_route_of(const struct sim_options *options, uint32_t index);
const char *sim_nemesis_text(enum sim_nemesis nemesis);

#endif

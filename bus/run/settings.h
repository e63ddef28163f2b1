/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_SETTINGS_H
#define DRI_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "control.h"
#include "delay.h"
#include "log.h"
#include "signers.h"
#include "transport.h"

/* settings.h - everything that a worker or a tool is told, in one checked struct.
 *
 * cli/config.c fills it from the table of keys (default < file < environment < --set); an embedder
 * may fill it by hand. Strings are owned by whoever filled it and outlive the worker.
 */

struct dri_settings {
    const char *bus;
    const char *group;
    const char *namespace_;
    struct {
        const char *commands;
        const char *results;
        const char *dead_letters; /* default "dlq.<group>.<commands>" */
        const char *control;
        const char *status;
        const char *replay;                  /* derived: "replay.<group>.<commands>" */
        const char *delay[DRI_DELAY_LEVELS]; /* derived: "delay.<level>.<group>.<commands>" */
        const char *park;                    /* derived: "park.<group>.<commands>" */
        const char *window;                  /* derived: "window.<group>.<commands>" */
        const char *ticks;                   /* derived: "ticks.<group>.<commands>" */
    } topics;
    const char *modules;
    const char *state;
    bool is_state_shared; /* another process uses the folder: how a run ends is not noted there */
    const char *cluster;  /* id in control changes; default "default" */

    struct {
        const char *id; /* NULL: made once and kept in state */
        uint32_t lanes;
        uint32_t pool; /* threads for run: pool */
        uint32_t max_in_flight;
        uint32_t key_max; /* 0: a quarter of max_in_flight */
        uint32_t max_unacked;
        uint64_t max_bytes;
        uint64_t memory;
        enum dri_order order;
        const char *delivery; /* "at_least_once", "exactly_once" */
        uint32_t transaction_ms;
        enum dri_start start;
        bool create_topics;
        uint32_t partitions;
        const char *namespaces; /* comma list; NULL: all */
        const char *reply_to;   /* comma list of patterns; NULL: the default */
        uint32_t drain_ms;
        uint32_t settle_ms;
        uint32_t revoke_ms;
        uint32_t delay_after_ms; /* 0: scheduled commands wait in memory */
        uint32_t fire_ahead_ms;  /* a schedule's command is sent so long before its tick */
        uint32_t message_bytes;  /* largest envelope that is decoded */
        uint32_t timeout_ms;     /* default of a route */
        uint32_t close_ms;       /* leaving, after everything was settled or given up */
        uint32_t stall_ms;       /* age of the loop's last turn from which on /livez says no */
        uint32_t ramp_ms;        /* from the start to max_in_flight; 0: at once */
        uint32_t progress_ms;    /* a source that has messages and gives none; 0: off */
        uint32_t stuck_ms;       /* after its limit a handler is deaf; 0: never */
        uint32_t stuck_max;      /* threads with deaf handlers, before the worker begins anew */
        uint32_t stuck_exit_ms;  /* for which one may hold a key, before it does */
        uint32_t trial_ms;       /* of a new module, in a child; 0: none */
        uint32_t retired_max;    /* modules that stay in memory, before the worker begins anew */
        uint32_t park_after_ms;  /* what waits longer leaves memory for the park log */
        uint32_t park_max;       /* commands in it at once; 0: nothing is parked */
        uint32_t dependency_failures; /* in a row that open its breaker; 0: never */
        uint32_t dependency_open_ms;
        uint32_t systemic_share; /* percent that fail, and dead-lettering pauses; 0: never */
        uint32_t systemic_min;   /* of so many that ended */
        uint32_t systemic_window_ms;
        uint32_t systemic_probe_ms;
        uint32_t window_ms; /* longest window of a route; 0: there are none here */
        uint32_t window_entries;
        uint64_t window_bytes;
        uint32_t hot_calls; /* within hot_window_ms, and a route is hot */
        uint32_t hot_window_ms;
    } worker;

    struct {
        const char *signers; /* dri_signers_parse; NULL: nobody signs */
        enum dri_require require_signature;
        uint32_t signed_from; /* revision; unsigned ones below it are taken */
        uint32_t max_age_ms;
        const char *key_file; /* of what this process signs; NULL: it does not */
    } control;

    struct {
        const char *allow_to; /* comma list of topics that a replay may be sent to; NULL: none */
    } replay;

    struct {
        const char *listen; /* "127.0.0.1:9464"; "": off; port 0: free, the log says which */
    } admin;

    struct {
        enum dri_log_format format;
        enum dri_log_level level;
    } log;

    const struct dri_option *options; /* of the bus's client library: kafka.* or nats.* */
    size_t options_count;

    /** Routes of the configuration file, each the msgpack bytes of a route map. */
    const struct dray_slice *routes;
    size_t routes_count;
};

/** In that mode no more commands have outcomes on their way: the names of all of them must fit into
 * a commit (docs/adr/0010-transactions.md). */
#define DRI_EXACTLY_ONCE_UNACKED_MAX 10000u

static inline bool dri_settings_is_exactly_once(const struct dri_settings *settings)
{
    return settings->worker.delivery != NULL &&
           strcmp(settings->worker.delivery, "exactly_once") == 0;
}

/* JetStream has a log that keeps the order of a key only where partitions have owners. */
static inline bool dri_settings_has_park_log(const struct dri_settings *settings)
{
    bool has_owners = strncmp(settings->bus, "kafka:", 6) == 0;
    for (size_t i = 0; i < settings->options_count; i++) {
        has_owners = has_owners || (strcmp(settings->options[i].name, "partitions") == 0 &&
                                    strtoul(settings->options[i].value, NULL, 10) > 1);
    }
    return settings->worker.park_max != 0 && has_owners;
}

#endif

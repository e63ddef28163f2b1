/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_CLI_BUS_H
#define DRI_CLI_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/status.h>

#include "cli.h"
#include "transport/transport.h"

/* bus.h - a transport for tools: waits for what a worker would do in turns.
 *
 * Threads: one. Every call may block up to the time it says; dri_cli_interrupted ends each wait
 * early.
 */

struct dri_bus;

/** Called for each event that a wait meets. Slices borrow for the call. */
typedef void dri_bus_event_fn(void *arg, const struct dri_transport_event *event);

/** What a tool wants of the broker. */
struct dri_bus_config {
    const char *group;                /* of sources with DRI_START_GROUP; it is not joined */
    const struct dri_source *sources; /* DRI_ROLE_LOG; they must exist */
    size_t sources_count;
    /** Checked first, and made when worker.create_topics says so: what the tool publishes to. */
    const struct dri_topic *topics;
    size_t topics_count;
};

/** Connect; prints nothing. Tools have no group.
 *  Errors: as the transport's open; ret_text says what to do. dri_exit_for_open gives the exit
 * code. */
DRAY_MUST_CHECK enum dray_status dri_bus_open(const struct dri_cli *cli,
                                              const struct dri_bus_config *config,
                                              struct dri_bus **ret_bus, char *ret_text,
                                              size_t text_bytes);
/** NULL is a no-op. */
void dri_bus_close(struct dri_bus *bus);

/** Turn until is_done(arg) says so, or timeout_ms passed (ETIMEOUT), or interrupted (ECLOSED), or
 * the transport failed (EBROKER, EFATAL). Every event goes to on_event first. */
DRAY_MUST_CHECK enum dray_status dri_bus_run(struct dri_bus *bus, uint64_t timeout_ms,
                                             dri_bus_event_fn *on_event, bool (*is_done)(void *arg),
                                             void *arg);

/** Hand over one publish, waiting for room; its ack comes as an event of a later run or publish.
 *  Errors: as dri_bus_run. */
DRAY_MUST_CHECK enum dray_status dri_bus_publish(struct dri_bus *bus,
                                                 const struct dri_publish *publish,
                                                 uint64_t timeout_ms, dri_bus_event_fn *on_event,
                                                 void *arg);

/** Another descriptor whose readiness ends waits: is_done is asked again. -1: none any more. */
void dri_bus_watch(struct dri_bus *bus, int fd);

/** Why a call gave EBROKER or EFATAL: the transport's last words, or "". */
const char *dri_bus_fault(const struct dri_bus *bus);

struct dri_transport *dri_bus_transport(struct dri_bus *bus);
const struct dri_transport_ops *dri_bus_ops(struct dri_bus *bus);

#endif

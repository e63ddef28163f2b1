/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_REGISTRY_H
#define DRI_REGISTRY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/handler.h>
#include <dray/slice.h>
#include <dray/status.h>

#include "control.h"
#include "heat.h"

/* registry.h - which handler runs a command: sharded, changed by revision, read without a lock.
 *
 * Every change carries the revision that made it and the base that its writer saw; the log decides,
 * by one rule for every replica: a change applies when each base matches. Readers see a route set
 * before a change or after it, never between.
 *
 * Threads: one writer at a time (the control thread; asserted by a lock), any number of readers. A
 * reader thread registers itself, and says when it goes offline (before it blocks).
 */

struct dri_registry;
struct dri_module;
struct dri_chain;

/** One route. Immutable once in the registry, but for its heat; freed after the last pin and a
 * grace period. */
struct dri_route {
    /* What a lane needs of every command comes first, in one cache line. */
    const struct dray_handler *handler; /* NULL when it cannot run here */
    struct dri_module *module;          /* owned count; NULL: refused, see failure */
    uint64_t revision;                  /* that put it */
    struct dri_chain *chain;            /* owned; NULL: nothing stands around its handler */
    uint32_t number;     /* small, for counters by route; reused after the route is freed */
    uint32_t calls_base; /* what the counters of this number were at when it got it */
    uint64_t fid;
    struct dri_route_view view; /* borrows from bytes */
    uint8_t *bytes;             /* owned: the route map as it came */
    uint32_t bytes_len;
    char *key;       /* owned: "ns/name@version" */
    char *name_text; /* owned: the name with a NUL, for labels */
    uint64_t
        fid_built;     /* by its handler's signature, when the route names none; 0: there is none */
    char failure[192]; /* why it cannot run here; "" when it can */
    struct dri_heat heat; /* the writer's */
};

/** Makes a route able to run: loads its module. Called by the writer, outside every lock. May leave
 *  handler NULL and fill failure. */
typedef void dri_route_bind_fn(void *arg, struct dri_route *route);
/** Undoes bind, when nobody can see the route any more, outside every lock.
 *  Threads: the writer's or the reclaimer's. */
typedef void dri_route_unbind_fn(void *arg, struct dri_route *route);

struct dri_registry_config {
    dri_route_bind_fn *bind; /* NULL: a copy that runs nothing (tools, tests): routes have no
                                handler, and what is odd in them is for the workers to log */
    dri_route_unbind_fn *unbind;
    void *arg;
    uint32_t readers_max; /* 0: 256 */
    uint32_t shards; /* of names: a power of two; 0: 16, the most. 1: one plain table, for a copy
                        that only its own thread reads */
};

/** Errors: ENOMEM. */
DRAY_MUST_CHECK enum dray_status dri_registry_create(const struct dri_registry_config *config,
                                                     struct dri_registry **ret_registry);
/** Requires: no reader is registered, no route is pinned. NULL is a no-op. */
void dri_registry_destroy(struct dri_registry *registry);

struct dri_registry_conflict {
    char key[200];
    uint64_t base;    /* that the writer saw */
    uint64_t present; /* that is there; 0: nothing */
};

/** Apply one change (all items or none) as revision. revision must be above every earlier one.
 *  Errors: ECONFLICT with *ret_conflict; EINVALID, ELIMIT for a bad item (nothing was applied, the
 *          revision counts as seen; ret_text says why); ENOMEM. */
DRAY_MUST_CHECK enum dray_status dri_registry_apply(struct dri_registry *registry,
                                                    uint64_t revision,
                                                    const struct dri_change *change,
                                                    struct dri_registry_conflict *ret_conflict,
                                                    char *ret_text, size_t text_bytes);

/** Single-key forms of the same rule, for embedders and tests. */
DRAY_MUST_CHECK enum dray_status dri_registry_put(struct dri_registry *registry, uint64_t base,
                                                  uint64_t revision, struct dray_slice route,
                                                  struct dri_registry_conflict *ret_conflict,
                                                  char *ret_text, size_t text_bytes);
DRAY_MUST_CHECK enum dray_status dri_registry_remove(struct dri_registry *registry,
                                                     struct dray_slice key, uint64_t base,
                                                     uint64_t revision,
                                                     struct dri_registry_conflict *ret_conflict);

/** Count a revision as seen that changed nothing: a record that was refused. No-op when it is not
 *  above every earlier one. */
void dri_registry_see(struct dri_registry *registry, uint64_t revision);

/** Try again to bind the routes that could not run here (a module was put into the folder). */
void dri_registry_rebind(struct dri_registry *registry);

/** Frees what readers have let go of; returns how many objects still wait. Every change does it
 * too; called from time to time it lets the last modules go. Threads: any. */
size_t dri_registry_reclaim(struct dri_registry *registry);

/** Routes that are there. Threads: the writer's. */
size_t dri_registry_count(const struct dri_registry *registry);

/** Highest revision seen, applied or not. Whoever sees it finds the routes of its change.
 *  Threads: any. */
uint64_t dri_registry_revision(const struct dri_registry *registry);

/** Whether any route is special (dri_route_is_special); as of the revision seen before.
 *  Threads: any. */
bool dri_registry_has_special(const struct dri_registry *registry);

/** SHA-256 over the accepted (key, revision, route bytes) sorted by key, in hex: key, NUL, revision
 * as decimal text, NUL, length of the bytes as decimal text, NUL, bytes. Threads: the writer's. */
void dri_registry_digest(const struct dri_registry *registry, char ret_hex[65]);

/** Called for each route in the order of keys. Threads: the writer's. */
typedef void dri_registry_visit_fn(void *arg, const struct dri_route *route);
void dri_registry_each(const struct dri_registry *registry, dri_registry_visit_fn *visit,
                       void *arg);
/** Threads: the writer's. NULL when there is none. */
const struct dri_route *dri_registry_find_key(const struct dri_registry *registry,
                                              struct dray_slice key);

/** A thread that reads. Each reader object belongs to one thread. */
struct dri_reader;
DRAY_MUST_CHECK enum dray_status dri_reader_register(struct dri_registry *registry,
                                                     struct dri_reader **ret_reader);
void dri_reader_unregister(struct dri_reader *reader);
/** Before the thread blocks or runs a handler, and after. Requires: no look-up under way. */
void dri_reader_offline(struct dri_reader *reader);
void dri_reader_online(struct dri_reader *reader);
/** Between two batches: lets grace periods end. */
void dri_reader_quiescent(struct dri_reader *reader);

struct dri_query {
    struct dray_slice ns;
    struct dray_slice name;    /* absent: by fid */
    struct dray_slice version; /* exact or a range (semver.h); absent: the router's choice */
    struct dray_slice tags;    /* of the envelope */
    uint64_t fid;
    bool has_fid;
    uint64_t key_hash; /* canary share */
};

/** Find and pin. A pin keeps the route and its module; it may be held while offline, and given back
 *  through any reader. A function id decides alone, without hashing the name; it is made from the
 *  route's signature, or, when it names none and the name is asked for too, from its handler's.
 *  Never falls back to another namespace; an absent one is "default". docs/guide/routing.md has the
 *  table of all of it.
 *  Errors: ENOTFOUND: no such command;
 *          ECONFLICT: the command is there, but not in a version (or for tags) that fits, or the
 *          function id is that of another version, signature or name. */
DRAY_MUST_CHECK enum dray_status dri_registry_pin(struct dri_reader *reader,
                                                  const struct dri_query *query,
                                                  const struct dri_route **ret_route);
void dri_registry_unpin(struct dri_reader *reader, const struct dri_route *route);

/** The route's handler is about to be called. Requires: it is pinned. Threads: the reader's. */
void dri_registry_note_call(const struct dri_reader *reader, const struct dri_route *route);

/** Take what the readers have counted into the heat of each route: it belongs to this part of time
 *  (see heat.h). A route that is put again takes over the heat of the one before, but not that it
 *  was called. Threads: the writer's. */
void dri_registry_take_calls(struct dri_registry *registry, uint64_t part);

#endif

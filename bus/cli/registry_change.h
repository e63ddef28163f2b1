/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_CLI_REGISTRY_CHANGE_H
#define DRI_CLI_REGISTRY_CHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cli.h"
#include "registry_tool.h"
#include "run/registry.h"
#include "wire/control.h"

/* registry_change.h - what all commands share that change the registry: one change, by compare and
 * set.
 *
 * Threads: one.
 */

/** Called with the log read, before each try: fills in the routes from what is there (a zero route
 *  removes). Returns an exit code. */
typedef int dri_registry_fill_fn(void *arg, const struct dri_registry *registry,
                                 struct dri_change_item *items, size_t count);

struct dri_registry_edit;
/** Called with the log read: sets edit->items and count, which stay plan's own and valid until it
 *  is called again or the edit is over. Called again when it has to be thought over, and once in
 *  the end to see whether anything is left to do. Returns an exit code. */
typedef int dri_registry_plan_fn(void *arg, const struct dri_registry_tool *tool,
                                 struct dri_registry_edit *edit);

/** What the writer does when somebody else was faster. The log knows one rule only: a change whose
 *  bases do not match is skipped whole. What is accepted later is another change, with the bases
 *  that are there then. */
enum dri_on_conflict {
    DRI_CONFLICT_REFUSE,
    DRI_CONFLICT_OVERRIDE, /* again with the new bases, and a warning that names who is overridden
                            */
    DRI_CONFLICT_MERGE     /* again with what both have changed; refuse when it is the same key */
};

/** Without "@version" it means the one version that there is. */
struct dri_registry_key {
    char text[DRI_ROUTE_KEY_BYTES_MAX + 1];
};

/** How an item got into the change. */
struct dri_registry_fate {
    uint64_t other;  /* the revision that it was written over or merged with; 0: none */
    bool is_done;    /* there is nothing to write: it is so already */
    uint8_t *merged; /* owned: the bytes of its route, when it was merged */
};

struct dri_registry_edit {
    const struct dri_cli *cli;
    struct dri_change_item *items; /* bases are filled in by run; route absent: removal */
    size_t count;
    bool has_base, is_create, is_waiting, is_dry_run, needs_history;
    enum dri_on_conflict on_conflict;
    uint64_t base, wait_ms;
    const char *note;
    struct dri_registry_key *keys; /* of items, as they were read; NULL: the items have theirs */
    dri_registry_fill_fn *fill;    /* NULL: the routes are there already */
    dri_registry_plan_fn *plan;    /* NULL: the items are there already */
    void *arg;                     /* of fill and plan */
    /* Of plan: the keys of all that it wants to be there, also of what is there already; a wait
     * looks at them. Borrowed, as the items are. Without a plan: those of the items. */
    const struct dray_slice *wanted;
    size_t wanted_count;
    /* Of run. */
    struct dri_registry_fate *fates; /* owned; one an item */
    uint64_t other;                  /* the latest revision that was overridden or merged with */
};

/** The options that take part in every change; for the tables. */
#define DRI_REGISTRY_ON_CONFLICT_OPTION                                                            \
    {                                                                                              \
        .name = "on-conflict", .argument = "RULE",                                                 \
        .help = "When somebody else was faster: `refuse` (default), `override_warn`, or `merge`."  \
    }
#define DRI_REGISTRY_FORCE_OPTION                                                                  \
    {                                                                                              \
        .name = "force", .help = "The same as --on-conflict override_warn."                        \
    }
#define DRI_REGISTRY_WAIT_OPTION                                                                   \
    {                                                                                              \
        .name = "wait", .argument = "[SECONDS]",                                                   \
        .help = "Wait until every live replica has applied it; 30 s when no time is given."        \
    }
#define DRI_REGISTRY_NOTE_OPTION                                                                   \
    {                                                                                              \
        .name = "note", .argument = "TEXT", .help = "Why; kept with the change."                   \
    }

extern const struct dri_cli_option dri_registry_rm_options[];

/** "[namespace/]name[@version]" as a key. Prints what is wrong; returns an exit code. */
int dri_registry_key_read(const struct dri_cli *cli, const char *wanted,
                          struct dri_registry_key *ret_key);

/** Read --base, --create, --force, --on-conflict, --wait and --note. Returns an exit code. */
int dri_registry_edit_options(struct dri_registry_edit *edit);

/** Read the log, publish, print what became of it, wait for the replicas. Returns an exit code. */
int dri_registry_edit_run(struct dri_registry_edit *edit);

/* registry_conflict.c */

/** Both sides of a conflict. */
struct dri_registry_dispute {
    const char *key;
    uint64_t base, present;
    const char *path; /* what both have changed, of a merge; NULL: not said */
};
/** The sentence on standard error, of a route, a schedule, or whatever the log decides by compare
 *  and set; and an exit code. */
int dri_registry_dispute_say(const struct dri_registry_tool *tool,
                             const struct dri_registry_dispute *dispute);
/** Print it: a sentence on standard error, the routes as JSON on standard output. Returns an exit
 *  code. */
int dri_registry_dispute_tell(const struct dri_registry_edit *edit,
                              const struct dri_registry_tool *tool,
                              const struct dri_registry_dispute *dispute);

/** Settle the items whose bases are not the present ones, by on_conflict. Returns an exit code. */
int dri_registry_edit_settle(struct dri_registry_edit *edit, const struct dri_registry_tool *tool);

#endif

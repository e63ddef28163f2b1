/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_CLI_REGISTRY_TOOL_H
#define DRI_CLI_REGISTRY_TOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus.h"
#include "cli.h"
#include "registry_history.h"
#include "run/control_log.h"
#include "run/schedules.h"
#include "run/signers.h"
#include "wire/cancel.h"
#include "wire/json.h"
#include "wire/schedule.h"

/* registry_tool.h - what the registry commands share: the control topic read to its end into a
 * registry of our own, by the workers' rule, and what the replicas say on the status topic.
 *
 * Threads: one.
 */

/** Who made a revision. */
struct dri_registry_maker {
    uint64_t revision, ts_ms;
    char *author, *note; /* owned */
};

/** A replica's last record. */
struct dri_replica {
    uint8_t *bytes;                  /* owned */
    struct dri_status_record record; /* borrows bytes */
    uint64_t heard_ms;               /* wall clock, by the broker's stamp or our own */
    bool is_gone;                    /* it has said goodbye */
    bool is_awaited;                 /* it was live at some time of a wait */
};

struct dri_registry_tool {
    const struct dri_cli *cli;
    struct dri_bus *bus; /* owned */
    struct dri_transport_info info;
    struct dri_registry *registry;   /* owned */
    struct dri_schedules *schedules; /* owned */
    struct dri_signers signers;
    struct dri_control_log log;

    uint32_t control_slot;
    uint32_t assigned[2], caught_up[2]; /* control, status */
    bool has_control, wants_status, keeps_history, is_broken;
    char broken_text[256];

    struct dri_registry_maker *makers; /* owned; rising */
    size_t makers_count, makers_capacity;
    struct dri_history history;   /* empty unless keeps_history */
    struct dri_replica *replicas; /* owned */
    size_t replicas_count;

    /* The record that we have published, until it is read back. */
    struct dray_slice own;
    bool is_own_back, is_own_refused, is_own_stored, is_own_unknown;
    enum dray_status own_reason;
    struct dri_control_outcome own_outcome; /* its change borrows from nothing: do not look */
};

/** Connect and read both topics to their ends. Prints what is wrong; returns an exit code. */
int dri_registry_tool_open(struct dri_registry_tool *tool, const struct dri_cli *cli,
                           bool wants_control, bool wants_status);
/** The same with every record of the control topic kept, in tool->history. */
int dri_registry_tool_open_history(struct dri_registry_tool *tool, const struct dri_cli *cli,
                                   bool wants_status);
/** Of a zeroed one a no-op. */
void dri_registry_tool_close(struct dri_registry_tool *tool);

/** Whether the command's arguments ask for this key: patterns of the whole key, and in one's own
 *  namespace also of name@version and of the name. Without arguments: any. */
bool dri_registry_key_is_wanted(const struct dri_cli *cli, struct dray_slice key);

/** A revision as an argument: a whole number. Prints what is wrong; returns an exit code. */
int dri_registry_revision_read(const struct dri_cli *cli, const char *text, uint64_t *ret_revision);

/** For dri_bus_run with the tool as argument. */
void dri_registry_tool_on_event(void *arg, const struct dri_transport_event *event);

/** NULL when not known. */
const struct dri_registry_maker *dri_registry_tool_maker(const struct dri_registry_tool *tool,
                                                         uint64_t revision);
/** Its last record is younger than 5 s, and it has not said goodbye. */
bool dri_replica_is_live(const struct dri_replica *replica);

/** Whether its routes are not those that the log leads to; false as long as it is not where we are.
 */
bool dri_registry_tool_differs(const struct dri_registry_tool *tool,
                               const struct dri_replica *replica);

/** {"key","revision","fid","author","ts","note","route"} of a route that is there. */
void dri_registry_tool_add_route(const struct dri_registry_tool *tool,
                                 const struct dri_route *route, bool is_pretty,
                                 struct dri_text *text);

/** Publish a change of these items until it was read back, signed when there is a key.
 *  Returns an exit code; at OK *ret_outcome says what the log has decided. A change that is not
 *  trusted is an error, DENIED. */
int dri_registry_tool_change(struct dri_registry_tool *tool, const struct dri_change_item *items,
                             size_t count, const char *note,
                             struct dri_control_outcome *ret_outcome);

/** The same for ids of scheduled commands that are not to run. */
int dri_registry_tool_cancel(struct dri_registry_tool *tool, const struct dri_cancel_item *items,
                             size_t count, const char *note,
                             struct dri_control_outcome *ret_outcome);

/** The same for schedules. */
int dri_registry_tool_schedule(struct dri_registry_tool *tool,
                               const struct dri_schedule_item *items, size_t count,
                               const char *note, struct dri_control_outcome *ret_outcome);

/** registry_sign.c: the key that changes are signed with; *ret_has: there is one, wipe it. Prints
 *  what is wrong, also when the change would be refused without one; returns an exit code. */
int dri_registry_sign_key(const struct dri_registry_tool *tool, struct dri_signing_key *ret_key,
                          bool *ret_has);
/** registry_sign.c: whether the replica trusts others than our configuration does. */
bool dri_registry_trusts_others(const struct dri_registry_tool *tool,
                                const struct dri_replica *replica);
/** registry_sign.c: says that its routes are not those that the log leads to; returns FAILED. */
int dri_registry_tell_differs(const struct dri_registry_tool *tool,
                              const struct dri_replica *replica);
/** registry_sign.c: whether the replicas would trust this record as the next one. Prints why not,
 *  and what to do; returns an exit code. */
int dri_registry_sign_foresee(const struct dri_registry_tool *tool, struct dray_slice record);
/** registry_sign.c: says why our record is not trusted, and what to do; returns DRI_EXIT_DENIED. */
int dri_registry_sign_refused(const struct dri_registry_tool *tool,
                              const struct dri_control_outcome *outcome);

/** ,"author","ts","note" of a revision, as far as they are known. */
void dri_registry_tool_add_maker(const struct dri_registry_tool *tool, uint64_t revision,
                                 struct dri_text *text);

/** Wait until every live replica has applied this revision; names those that have not, and those
 *  that cannot run one of the routes with these keys, and why. registry_wait.c. Returns an exit
 *  code. */
int dri_registry_tool_wait(struct dri_registry_tool *tool, const struct dray_slice *keys,
                           size_t count, uint64_t revision, uint64_t patience_ms);

#endif

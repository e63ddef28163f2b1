/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_METRICS_H
#define DRI_METRICS_H

#include <stddef.h>
#include <stdint.h>

#include <dray/status.h>

/* metrics.h - counters and histograms written by one thread each, summed when somebody reads.
 *
 * A *page* belongs to one thread and is written with plain relaxed stores; the reader sums all
 * pages with relaxed loads. Calls by route live in cells that a page hands out by the route's
 * number.
 *
 * Threads: each function says.
 */

/** X(NAME, exported name, type, help): process-wide values. type: counter | gauge. */
#define DRI_METRIC_TABLE(X)                                                                        \
    X(MESSAGES, "dray_messages_total", counter, "messages received from the broker")               \
    X(BYTES_IN, "dray_received_bytes_total", counter, "bytes of messages received")                \
    X(INVALID, "dray_invalid_messages_total", counter, "messages that could not be decoded")       \
    X(INTERCEPTED, "dray_intercepted_total", counter,                                              \
      "runs that an interceptor refused before the handler")                                       \
    X(ADMITTED, "dray_commands_admitted_total", counter, "commands taken in")                      \
    X(DUPLICATES, "dray_duplicates_in_flight_total", counter,                                      \
      "deliveries of a message that was in flight already")                                        \
    X(STALE_COMPLETIONS, "dray_stale_completions_total", counter,                                  \
      "completions of an assignment that was gone")                                                \
    X(STALE_RECORDS, "dray_stale_messages_total", counter,                                         \
      "messages of an assignment that was gone")                                                   \
    X(RETRIES, "dray_retries_total", counter, "runs that were put back to run again")              \
    X(REPUBLISHED, "dray_republished_total", counter,                                              \
      "outcomes published again after an unknown or refused acknowledgement")                      \
    X(RESULTS, "dray_results_stored_total", counter, "results acknowledged by the broker")         \
    X(LETTERS, "dray_dead_letters_total", counter, "dead letters acknowledged by the broker")      \
    X(HELD, "dray_held_commands_total", counter,                                                   \
      "commands of a paused route that were dead-lettered as held")                                \
    X(CANCELLED, "dray_cancelled_total", counter,                                                  \
      "scheduled commands that were cancelled before their time")                                  \
    X(DELAYED, "dray_delayed_total", counter,                                                      \
      "scheduled commands put into a delay log, or from one into the next")                        \
    X(PARKED, "dray_parked_total", counter, "commands stored in the park log, to wait there")      \
    X(UNPARKED, "dray_unparked_total", counter, "commands that came back from the park log")       \
    X(REWRITTEN, "dray_park_rewritten_total", counter,                                             \
      "commands of the park log that were stored there again, to wait on")                         \
    X(COPIES_DROPPED, "dray_park_copies_dropped_total", counter,                                   \
      "messages settled without a run because the park log has the same one")                      \
    X(PARK_OVERFLOWS, "dray_park_overflows_total", counter,                                        \
      "times that a park log was not read on, for want of place or of disk space")                 \
    X(PARKS_HELD, "dray_park_logs_held", gauge,                                                    \
      "park logs that are not read on, for want of place (worker.park_max) or of disk space")      \
    X(SPOOL_KEPT, "dray_park_spool_kept_bytes", gauge,                                             \
      "bytes of parked commands that are kept in the state folder")                                \
    X(SPOOL_BYTES, "dray_park_spool_bytes", gauge, "bytes of disk that they take there")           \
    X(FIRED, "dray_schedule_fired_total", counter,                                                 \
      "commands that ticks of recurring schedules became")                                         \
    X(FIRED_BEFORE, "dray_schedule_fired_before_total", counter,                                   \
      "ticks that another replica had fired already; the broker dropped the second command")       \
    X(TICKS_MISSED, "dray_schedule_missed_total", counter,                                         \
      "ticks that passed without a command and get none, by the schedule's rule")                  \
    X(TICKS_REFUSED, "dray_schedule_refused_total", counter,                                       \
      "commands of schedules that the broker refused")                                             \
    X(ADAPTIVE_SHRINKS, "dray_adaptive_shrinks_total", counter,                                    \
      "times that a route's adaptive limit shrank")                                                \
    X(BREAKER_OPENS, "dray_breaker_opens_total", counter, "times that a route's breaker opened")   \
    X(SYSTEMIC_PAUSES, "dray_systemic_pauses_total", counter,                                      \
      "times that dead-lettering paused because most commands failed")                             \
    X(SYSTEMIC_SPARED, "dray_systemic_spared_total", counter,                                      \
      "failed runs that were no attempt because most commands failed")                             \
    X(FALLBACKS, "dray_fallback_results_total", counter,                                           \
      "commands that were answered with their route's fallback result")                            \
    X(POINTER_LETTERS, "dray_pointer_letters_total", counter,                                      \
      "dead letters that had to leave their bytes out")                                            \
    X(ANSWERED, "dray_window_hits_total", counter,                                                 \
      "duplicates that got an earlier command's result, and were not run")                         \
    X(WINDOW_HELD, "dray_window_held_total", counter,                                              \
      "duplicates that waited for the first command of their id")                                  \
    X(WINDOW_STORED, "dray_window_records_total", counter,                                         \
      "records of finished commands in the window, acknowledged by the broker")                    \
    X(WINDOW_EVICTED, "dray_window_evicted_total", counter,                                        \
      "ends that were forgotten before their time, because the window was full")                   \
    X(WINDOW_REFUSED, "dray_window_refused_total", counter,                                        \
      "records of the window that could not be read")                                              \
    X(WINDOW_ENTRIES, "dray_window_entries", gauge, "ends of commands that the window remembers")  \
    X(WINDOW_BYTES, "dray_window_bytes", gauge, "bytes of their records")                          \
    X(SETTLED, "dray_commands_settled_total", counter, "commands settled")                         \
    X(DROPPED, "dray_dropped_on_revoke_total", counter,                                            \
      "flights given up because their assignment ended")                                           \
    X(TORN, "dray_torn_commands_total", counter,                                                   \
      "commands given up although an outcome of theirs is stored; they run again")                 \
    X(TRANSACTIONS, "dray_transactions_total", counter, "transactions committed")                  \
    X(TRANSACTIONS_VOID, "dray_transactions_void_total", counter,                                  \
      "transactions thrown away; their commands run again")                                        \
    X(METADATA_PAUSES, "dray_commit_metadata_pauses_total", counter,                               \
      "times that a source was paused because its commit had no room for more")                    \
    X(SETTLES_FAILED, "dray_settles_failed_total", counter, "settles that the broker refused")     \
    X(SKIPPED_FINISHED, "dray_skipped_finished_total", counter,                                    \
      "messages not run again: the commit said that they are finished")                            \
    X(METADATA_REFUSED, "dray_commit_metadata_refused_total", counter,                             \
      "commits whose metadata says nothing: damaged, foreign, or of elsewhere")                    \
    X(PUBLISHES, "dray_publishes_total", counter, "messages handed to the broker")                 \
    X(PUBLISH_UNKNOWN, "dray_publish_unknown_total", counter, "publishes whose fate is not known") \
    X(PUBLISH_REFUSED, "dray_publish_refused_total", counter, "publishes that the broker refused") \
    X(ASSIGNMENTS, "dray_assignments_total", counter, "sources assigned")                          \
    X(REVOCATIONS, "dray_revocations_total", counter, "sources revoked")                           \
    X(LOSSES, "dray_losses_total", counter, "sources lost")                                        \
    X(STALE_SETTLES, "dray_transport_stale_settles_total", counter,                                \
      "settles of an assignment that was gone")                                                    \
    X(STALE_FETCHED, "dray_transport_stale_messages_total", counter,                               \
      "fetched messages of an assignment that was gone")                                           \
    X(POSITIONS_BACK, "dray_transport_positions_back_total", counter,                              \
      "times that a log or our position in it went back: look at the broker")                      \
    X(METADATA_DROPPED, "dray_transport_metadata_dropped_total", counter,                          \
      "commits that had to leave their metadata out")                                              \
    X(LEASES_MISSED, "dray_transport_leases_missed_total", counter,                                \
      "deliveries whose lease had ended before they were handed up or renewed")                    \
    X(ARRIVALS_DROPPED, "dray_transport_arrivals_dropped_total", counter,                          \
      "messages that came in and could not be kept; the broker delivers again")                    \
    X(CLIENTS_MADE, "dray_transport_clients_made_total", counter,                                  \
      "client handles made after the first, because one failed or stood still")                    \
    X(MESSAGES_GIVEN_UP, "dray_transport_messages_given_up_total", counter,                        \
      "messages that a consumer's max_deliver had given up, and that became dead letters")         \
    X(HELD_BACK, "dray_transport_held_back_sources", gauge,                                        \
      "sources that wait for longer than worker.progress_ms for their park log or window")         \
    X(CANARY_PROMOTED, "dray_canaries_promoted_total", counter,                                    \
      "new versions that this replica found good enough to take all commands")                     \
    X(CANARY_ROLLED_BACK, "dray_canaries_rolled_back_total", counter,                              \
      "new versions that this replica found worse than the old one")                               \
    X(CONTROL_APPLIED, "dray_control_applied_total", counter, "control changes applied")           \
    X(CONTROL_CONFLICTS, "dray_control_conflicts_total", counter,                                  \
      "control changes skipped because of a conflict")                                             \
    X(CONTROL_REFUSED, "dray_control_refused_total", counter, "control records refused")           \
    X(CONTROL_UNTRUSTED, "dray_control_untrusted_total", counter,                                  \
      "of these: control records that are not signed as the configuration wants it")               \
    X(SUSPECTS, "dray_journal_suspects_total", counter,                                            \
      "commands that ran when an earlier process ended, by the journal")                           \
    X(STUCK, "dray_stuck_handlers", gauge,                                                         \
      "handlers that ignore their time limit and have not returned")                               \
    X(STUCK_TOTAL, "dray_stuck_handlers_total", counter,                                           \
      "handlers whose command was given up because they ignored their time limit")                 \
    X(LATE_RESULTS, "dray_late_results_total", counter,                                            \
      "answers that were dropped because the command had been given up")                           \
    X(MODULES, "dray_modules", gauge, "modules that routes use")                                   \
    X(MODULES_RETIRED, "dray_modules_retired", gauge,                                              \
      "modules that no route uses any more and that stay in memory")                               \
    X(MODULES_UNLOADED, "dray_modules_unloaded_total", counter,                                    \
      "modules that were taken out of memory after their last call")                               \
    X(TRIALS_FAILED, "dray_module_trials_failed_total", counter,                                   \
      "modules that were not loaded because they failed in a child")                               \
    X(IN_FLIGHT, "dray_in_flight_commands", gauge, "commands that wait or run")                    \
    X(IN_FLIGHT_LIMIT, "dray_in_flight_limit_commands", gauge,                                     \
      "commands that may wait or run now: the setting, less while ramping up, 0 while quiet")      \
    X(RUNNING, "dray_running_commands", gauge, "commands that run")                                \
    X(WAITING, "dray_waiting_commands", gauge, "commands that wait for a time")                    \
    X(WAITING_PAUSED, "dray_paused_commands", gauge,                                               \
      "commands that wait for a paused route, or behind one that does")                            \
    X(PARKED_NOW, "dray_parked_commands", gauge, "commands that wait in the park log")             \
    X(PARKED_KEYS, "dray_parked_keys", gauge, "keys of which something waits in the park log")     \
    X(STOPPED_KEYS, "dray_stopped_keys", gauge,                                                    \
      "keys that are stopped or held until dray dlq release lets them go")                         \
    X(BREAKERS_OPEN, "dray_breakers_open", gauge,                                                  \
      "routes and dependencies whose breaker is not closed")                                       \
    X(SYSTEMIC, "dray_systemic_failure", gauge,                                                    \
      "1 while dead-lettering is paused because most commands fail")                               \
    X(REPLICAS, "dray_sharing_replicas", gauge,                                                    \
      "replicas that share the rates that are shared, this one among them; 0: not known, or none " \
      "is")                                                                                        \
    X(UNACKED, "dray_unacked_commands", gauge, "commands whose outcome is on its way")             \
    X(IN_FLIGHT_BYTES, "dray_in_flight_bytes", gauge, "bytes of commands in flight")               \
    X(SETTLE_GAP, "dray_settle_gap_commands", gauge,                                               \
      "commands finished beyond the first unfinished one")                                         \
    X(SCHEDULES, "dray_schedules", gauge, "recurring schedules of this group")                     \
    X(FIRING, "dray_schedules_firing", gauge,                                                      \
      "1 while this replica fires the schedules of its group")                                     \
    X(SLOTS, "dray_assigned_sources", gauge, "sources assigned now")                               \
    X(ROUTES, "dray_routes", gauge, "routes in the registry")                                      \
    X(ROUTES_FAILED, "dray_routes_failed", gauge, "routes that cannot run here")                   \
    X(ROUTES_IDLE, "dray_routes_idle", gauge,                                                      \
      "routes that can run here and were never called, since they were put or this began")         \
    X(ROUTES_HOT, "dray_routes_hot", gauge,                                                        \
      "routes with at least worker.hot_calls calls here within worker.hot_window_ms")              \
    X(PRELOADED, "dray_preloaded_bytes", gauge,                                                    \
      "bytes of modules that are kept mapped because a route is hot or has policy.preload")        \
    X(REVISION, "dray_registry_revision", gauge, "revision of the registry")                       \
    X(READY, "dray_ready", gauge, "1 when the worker takes commands")                              \
    X(LOG_DROPPED, "dray_log_lines_dropped_total", counter, "log lines dropped by the rate limit")

/** What is shown by route, with the label `route`. */
#define DRI_METRIC_ADAPTIVE_LIMIT "dray_adaptive_limit_commands"
#define DRI_METRIC_ADAPTIVE_LIMIT_HELP                                                             \
    "commands of a route with concurrency_min that may run at once now"

#define DRI_METRIC_HOT_CALLS "dray_hot_calls"
#define DRI_METRIC_HOT_CALLS_HELP                                                                  \
    "calls of a hot route here within worker.hot_window_ms; of the 32 busiest"

/** Which of these a page shows. */
enum dri_metric_by_route {
    DRI_BY_ROUTE_LIMIT,
    DRI_BY_ROUTE_HOT,
    DRI_BY_ROUTE_COUNT,
};

enum dri_metric {
#define DRI_METRIC_ENUM(name, exported, type, help) DRI_METRIC_##name,
    DRI_METRIC_TABLE(DRI_METRIC_ENUM)
#undef DRI_METRIC_ENUM
    DRI_METRIC_COUNT
};

struct dri_metrics;
struct dri_metrics_page; /* one thread's */

struct dri_metrics_route {
    const char *key;
    uint64_t value;
};

/** service and version stand in labels. Errors: ENOMEM. */
DRAY_MUST_CHECK enum dray_status dri_metrics_create(const char *service, const char *worker,
                                                    const char *version,
                                                    struct dri_metrics **ret_metrics);
void dri_metrics_destroy(struct dri_metrics *metrics);

/** A page for the calling thread; lives as long as metrics. Errors: ENOMEM. Threads: any. */
DRAY_MUST_CHECK enum dray_status dri_metrics_page(struct dri_metrics *metrics,
                                                  struct dri_metrics_page **ret_page);

/** Threads: the page's. set is for values that the thread keeps itself (counters and gauges alike).
 */
void dri_metrics_add(struct dri_metrics_page *page, enum dri_metric metric, uint64_t n);
void dri_metrics_set(struct dri_metrics_page *page, enum dri_metric metric, uint64_t value);

/** One finished call of function (a route's name; unknown commands are "unknown"), with the status
 * word "ok" or an error kind, and its time. Finds the cell by pointer identity of function first,
 * then by text; at most 1,024 functions, the rest count as "other". Threads: the page's. */
void dri_metrics_call(struct dri_metrics_page *page, const char *function, unsigned kind,
                      uint64_t duration_ns);

/** What the page shows by route, in place of what it showed before; none without memory. A page
 * shows one metric of these. Owns: borrows routes and keys for the call. Threads: the page's. */
void dri_metrics_set_routes(struct dri_metrics_page *page, enum dri_metric_by_route metric,
                            const struct dri_metrics_route *routes, size_t count);

/** The whole exposition (text format 0.0.4). Owns: returns owned (dri_free); NULL: no memory.
 *  Threads: any. */
char *dri_metrics_text(struct dri_metrics *metrics, size_t *ret_len);

#endif

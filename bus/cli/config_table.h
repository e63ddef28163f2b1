/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_CLI_CONFIG_TABLE_H
#define DRI_CLI_CONFIG_TABLE_H

/* config_table.h - every key of the configuration, once: parsing, defaults, environment names, help
 * and docs/reference/configuration.md are made of it. What stands below `kafka` and `nats` is the
 * client library's and is passed through; `routes` is a list of its own.
 *
 * X(key, member of struct dri_settings, type, default (NULL: none), least, greatest, whether SIGHUP
 * applies it, help: one or two sentences)
 *
 * Whether SIGHUP applies it: false, a restart does; true, at once; DRI_CONFIG_UP_TO_START, at once
 * as far as it is not above what the worker was started with, because that much was laid out.
 */
#define DRI_CONFIG_TABLE(X)                                                                        \
    X("bus", bus, TEXT, NULL, 0, 0, false,                                                         \
      "The broker: `nats://host:port` or `kafka://host:port,host:port`. The only key without a "   \
      "default.")                                                                                  \
    X("group", group, NAME, "dray", 0, 0, false,                                                   \
      "Consumer group on Kafka, durable consumer on NATS: 1 to 64 of `A-Z a-z 0-9 _ -`.")          \
    X("namespace", namespace_, TEXT, "default", 0, 0, false,                                       \
      "Namespace of commands that name none.")                                                     \
    X("cluster", cluster, TEXT, "default", 0, 0, false,                                            \
      "Stands in control changes; a change for another cluster is not applied.")                   \
    X("topics.commands", topics.commands, TEXT, "commands", 0, 0, false,                           \
      "Topic or subject from which commands come.")                                                \
    X("topics.results", topics.results, TEXT, "results", 0, 0, false,                              \
      "Topic or subject for results.")                                                             \
    X("topics.dead_letters", topics.dead_letters, TEXT, NULL, 0, 0, false,                         \
      "Topic or subject for dead letters. Default: `dlq.<group>.<commands>`.")                     \
    X("topics.control", topics.control, TEXT, "dray.control", 0, 0, false,                         \
      "Topic or subject of registry changes.")                                                     \
    X("topics.status", topics.status, TEXT, "dray.status", 0, 0, false,                            \
      "Topic, or beginning of the subjects, of the replicas' status.")                             \
    X("modules", modules, TEXT, "./modules", 0, 0, false,                                          \
      "The one folder that handler modules are loaded from. A relative path counts from where "    \
      "the worker was started.")                                                                   \
    X("state", state, TEXT, "./state", 0, 0, false,                                                \
      "Folder for what outlives the process: worker id, journal, snapshot of the registry. One a " \
      "replica.")                                                                                  \
    X("worker.id", worker.id, TEXT, NULL, 0, 0, false,                                             \
      "Id of this replica. Default: `<host>-<8 hex digits>`, made once and kept in `state`.")      \
    X("worker.lanes", worker.lanes, U32, "2", 1, 1024, false, "Threads that run handlers.")        \
    X("worker.max_in_flight", worker.max_in_flight, U32, "10000", 1, 16777216,                     \
      DRI_CONFIG_UP_TO_START,                                                                      \
      "Commands that wait or run at once; beyond it nothing more is taken in.")                    \
    X("worker.key_max", worker.key_max, U32, "0", 0, 1048576, false,                               \
      "Commands that one key may have queued before the rest of them no longer counts against "    \
      "max_in_flight (up to as much again); 0: a quarter of it. So a key that sends more than it " \
      "can run does not stop the others.")                                                         \
    X("worker.max_unacked", worker.max_unacked, U32, "400000", 1, 33554432,                        \
      DRI_CONFIG_UP_TO_START, "Commands that ran and whose outcome is on its way to the broker.")  \
    X("worker.max_bytes", worker.max_bytes, SIZE, "64MiB", 4096, 1099511627776, true,              \
      "Bytes of all commands in flight.")                                                          \
    X("worker.memory", worker.memory, SIZE, "512MiB", 16777216, 1099511627776, false,              \
      "What the process may use; the client library's queues are sized from it.")                  \
    X("worker.order", worker.order, ORDER, "key", 0, 0, false,                                     \
      "What runs one after the other: commands of one `key`, all of one `partition`, or `none`.")  \
    X("worker.delivery", worker.delivery, DELIVERY, "at_least_once", 0, 0, false,                  \
      "`at_least_once`, or on Kafka `exactly_once`: results, dead letters and offsets are "        \
      "committed together in transactions, so that a reader of committed ones sees each outcome "  \
      "once. Handlers may still run again.")                                                       \
    X("worker.transaction_ms", worker.transaction_ms, U32, "100", 1, 10000, false,                 \
      "With `exactly_once`: a transaction is committed so long after its first outcome; nobody "   \
      "sees one before.")                                                                          \
    X("worker.start", worker.start, START, "earliest", 0, 0, false,                                \
      "Where a group without a committed position begins: `earliest`, `latest`, or `fail`.")       \
    X("worker.create_topics", worker.create_topics, BOOL, "true", 0, 0, false,                     \
      "Create missing topics and streams. `false`: a missing one is an error at start.")           \
    X("worker.partitions", worker.partitions, U32, "8", 1, 10000, false,                           \
      "Partitions of a commands topic that is created.")                                           \
    X("worker.namespaces", worker.namespaces, LIST, NULL, 0, 0, true,                              \
      "Namespaces that are served; commands of others become dead letters `auth`. Default: all.")  \
    X("worker.reply_to", worker.reply_to, LIST, NULL, 0, 0, true,                                  \
      "Patterns that a command's `reply_to` must match (`*` one token, `>` the rest). Default: "   \
      "the "                                                                                       \
      "results topic, `<results>.*`, and on NATS `_INBOX.>`.")                                     \
    X("worker.drain_ms", worker.drain_ms, U32, "30000", 0, 3600000, true,                          \
      "How long a drain waits for commands that run.")                                             \
    X("worker.settle_ms", worker.settle_ms, U32, "200", 1, 60000, true,                            \
      "Time between two commits of a partition. NATS acks each command by itself.")                \
    X("worker.revoke_ms", worker.revoke_ms, U32, "10000", 0, 60000, true,                          \
      "How long a partition that is being taken away waits for its commands.")                     \
    X("worker.delay_after_ms", worker.delay_after_ms, U32, "30000", 0, 86400000, false,            \
      "A scheduled command that is due later than this waits in a delay log of the broker, not "   \
      "in the worker; at least 7000. 0: all of them wait in the worker; no such log is made or "   \
      "read, so let those that wait there come out first.")                                        \
    X("worker.fire_ahead_ms", worker.fire_ahead_ms, U32, "60000", 0, 300000, false,                \
      "How long before its tick the command of a schedule is sent. The replica that fires may be " \
      "away for so long and no tick is late: more than kafka.session.timeout.ms hides its death.") \
    X("worker.message_bytes", worker.message_bytes, SIZE32, "1MiB", 1024, 1073741824, false,       \
      "Largest command that is decoded, and largest result.")                                      \
    X("worker.timeout_ms", worker.timeout_ms, U32, "30000", 1, 86400000, true,                     \
      "Time limit of a handler whose route sets none.")                                            \
    X("worker.close_ms", worker.close_ms, U32, "10000", 100, 600000, true,                         \
      "How long leaving the broker may take once the work is done; then the process ends anyway.") \
    X("worker.stall_ms", worker.stall_ms, U32, "30000", 100, 3600000, true,                        \
      "Time without a turn of the poll loop from which on `/livez` answers 503.")                  \
    X("worker.ramp_ms", worker.ramp_ms, U32, "0", 0, 3600000, false,                               \
      "After a start: time in which first the commands that run at once grow from 1 to "           \
      "`worker.lanes`, then those in flight to `worker.max_in_flight`. Four times as long after "  \
      "a run that did not end cleanly. 0: all at once.")                                           \
    X("worker.progress_ms", worker.progress_ms, U32, "60000", 0, 3600000, false,                   \
      "A source that has messages and gives none for so long: the client is made anew, then the "  \
      "worker ends. 0: nobody looks.")                                                             \
    X("worker.stuck_ms", worker.stuck_ms, U32, "5000", 0, 3600000, false,                          \
      "How long after its time limit, or after it was told to stop, a handler that has not "       \
      "returned counts as deaf: its command ends as `timeout`, its lane gets another thread. 0: "  \
      "never.")                                                                                    \
    X("worker.stuck_max", worker.stuck_max, U32, "4", 0, 1024, false,                              \
      "Threads that may be with deaf handlers at once. With more the worker drains and exits "     \
      "with 1, so that its supervisor starts it afresh.")                                          \
    X("worker.stuck_exit_ms", worker.stuck_exit_ms, U32, "60000", 0, 86400000, false,              \
      "How long a deaf handler may hold its key before the worker drains and exits with 1.")       \
    X("worker.trial_ms", worker.trial_ms, U32, "5000", 0, 600000, false,                           \
      "A module that was not loaded before is loaded, opened and closed in a child first. What "   \
      "crashes there, or takes longer than this, is not loaded; the route says why. 0: nothing "   \
      "is tried.")                                                                                 \
    X("worker.retired_max", worker.retired_max, U32, "64", 0, 100000, false,                       \
      "Modules that were replaced and stay in memory. With more, up to a quarter more by the "     \
      "worker's id, it drains and exits with 1, so that its supervisor starts it afresh. 0: "      \
      "never.")                                                                                    \
    X("worker.dependency_failures", worker.dependency_failures, U32, "20", 0, 1000000, false,      \
      "Failures in a row, over all routes that depend on it (`policy.depends`), that open the "    \
      "breaker of a dependency. 0: none do.")                                                      \
    X("worker.dependency_open_ms", worker.dependency_open_ms, U32, "60000", 1, 86400000, false,    \
      "From then on to the probe of the dependency.")                                              \
    X("worker.systemic_share", worker.systemic_share, U32, "50", 0, 100, false,                    \
      "When so many percent of the commands that end would become dead letters because "           \
      "something behind them is not well (`timeout`, `network`, `unavailable`, `internal`), none " \
      "does: their routes wait, and one command of each is tried from time to time. 0: never.")    \
    X("worker.systemic_min", worker.systemic_min, U32, "100", 1, 1000000, false,                   \
      "Commands that must have ended within the window before that is asked.")                     \
    X("worker.systemic_window_ms", worker.systemic_window_ms, U32, "10000", 100, 3600000, false,   \
      "The window: how far back the ends of commands count.")                                      \
    X("worker.systemic_probe_ms", worker.systemic_probe_ms, U32, "30000", 10, 3600000, false,      \
      "Time from one try to the next, for routes whose breaker has no `open_ms`.")                 \
    X("worker.park_after_ms", worker.park_after_ms, U32, "30000", 1, 86400000, false,              \
      "A retry that waits longer than this leaves memory: its command waits in the topic "         \
      "`park.<group>.<commands>`, and what follows of its key behind it, in order. NATS: only "    \
      "with `nats.partitions`.")                                                                   \
    X("worker.park_max", worker.park_max, U32, "100000", 0, 16777216, false,                       \
      "Commands of this replica's partitions that may wait there; some 400 bytes of memory "       \
      "each. What is more waits in flight. 0: nothing is parked.")                                 \
    X("worker.window_ms", worker.window_ms, U32, "0", 0, 2592000000, false,                        \
      "The longest time that a route may remember the ids of its commands "                        \
      "(`policy.idempotency`), and how long the window's topic keeps a record when it is "         \
      "created. 0: no windows; a route that wants one does not run here.")                         \
    X("worker.window_entries", worker.window_entries, U32, "100000", 1, 67108864, false,           \
      "Ends of commands that the windows of all partitions here remember, about 600 bytes each "   \
      "with a small result. Beyond it the oldest go first.")                                       \
    X("worker.window_bytes", worker.window_bytes, SIZE, "64MiB", 4096, 1099511627776, false,       \
      "Bytes of their records, which have the results.")                                           \
    X("worker.hot_calls", worker.hot_calls, U32, "200", 1, 4294967295, false,                      \
      "A route with so many calls on this replica within the window is hot: its module is kept "   \
      "mapped, and `dray registry status` and the metrics show it.")                               \
    X("worker.hot_window_ms", worker.hot_window_ms, U32, "300000", 1000, 86400000, false,          \
      "The window. It moves in tenths.")                                                           \
    X("control.signers", control.signers, SIGNERS, NULL, 0, 0, false,                              \
      "Public keys that control records may be signed with, and what they may change: `kid`, "     \
      "`key` (64 hex digits), `namespaces` (a list, or `*` for all), and `from` and `until`, the " \
      "first and the last revision that it may be the signer of (a signer that is added gets "     \
      "`from`: without it, it decides about all of the log). The same for all replicas and "       \
      "writers. In one line: `kid@from-until/key/ns/ns,...`. Default: nobody signs; empty is an "  \
      "error.")                                                                                    \
    X("control.require_signature", control.require_signature, REQUIRE, "auto", 0, 0, false,        \
      "Whether control records without a signature are refused. `auto`: when there are "           \
      "`control.signers`. `false`: they are taken, with a warning, while writers get their keys.") \
    X("control.signed_from", control.signed_from, U32, "1", 1, 4294967295, false,                  \
      "Records of revisions below this are taken without a signature: what was there when "        \
      "signing began.")                                                                            \
    X("control.max_age_ms", control.max_age_ms, U32, "300000", 60000, 604800000, false,            \
      "Longest time from a signed record's issue to its expiry; what our writers sign is valid "   \
      "for so long. Their clocks may differ from the broker's by as much.")                        \
    X("control.key_file", control.key_file, TEXT, NULL, 0, 0, false,                               \
      "Secret key that this process signs its control records with (`dray keys new`); only its "   \
      "owner may be able to read the file, and its group when it is root's. A worker needs one "   \
      "only to seed an empty registry.")                                                           \
    X("replay.allow_to", replay.allow_to, LIST, NULL, 0, 0, true,                                  \
      "Topics that `dray dlq replay --to` may write to. Default: none.")                           \
    X("admin.listen", admin.listen, TEXT, "127.0.0.1:9464", 0, 0, false,                           \
      "Address of /metrics, /livez, /readyz and /healthz. Port 0: a free one, which the log "      \
      "names; "                                                                                    \
      "empty: off.")                                                                               \
    X("log.format", log.format, FORMAT, "logfmt", 0, 0, true, "`logfmt` or `json`.")               \
    X("log.level", log.level, LEVEL, "info", 0, 0, true, "`debug`, `info`, `warn` or `error`.")

#endif

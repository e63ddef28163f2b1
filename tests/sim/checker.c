/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* checker.c - judges runs, settling and the whole run.
 *
 * It reads the broker's sights in the order in which they happened and the journal of runs between
 * them, so every commit is judged against what was stored at that moment, not at the end.
 *
 * An epoch counts as valid until its client was told otherwise. Order within an epoch is judged by
 * arrival: a broker that redelivers may give an older message later, and then later is its place.
 */
#include "checker.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/hash.h"
#include "base/mem.h"
#include "checker_inside.h"

#define NS_PER_MS UINT64_C(1000000)

static const char *const source_names[SIM_TOPIC_SOURCES] = {"commands", "replay.g.commands"};

/* --- words
 * ---------------------------------------------------------------------------------------- */

void sim_checker_fail(struct sim_checker *checker, const char *invariant, const char *format, ...)
{
    char text[SIM_FAILURE_BYTES / 2];
    va_list args;
    if (checker->failure[0] != '\0') {
        return;
    }
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    (void)snprintf(checker->failure, sizeof(checker->failure), "%s: %s (at %" PRIu64 " ms)",
                   invariant, text, checker->now.mono_ns / NS_PER_MS);
    sim_checker_trace(checker, "FAILED %s", checker->failure);
}

const char *sim_checker_failure(const struct sim_checker *checker)
{
    return checker->failure[0] == '\0' ? NULL : checker->failure;
}

void sim_checker_trace(struct sim_checker *checker, const char *format, ...)
{
    va_list args;
    if (!checker->is_tracing) {
        return;
    }
    (void)printf("%12.6f  ", (double)checker->now.mono_ns / 1e9);
    va_start(args, format);
    (void)vprintf(format, args);
    va_end(args);
    (void)printf("\n");
}

void sim_checker_now(struct sim_checker *checker, struct dri_now now)
{
    checker->now = now;
}

static void mix(struct sim_checker *checker, uint64_t value)
{
    checker->hash = (checker->hash ^ value) * UINT64_C(0x9fb21c651e98df25);
    checker->hash ^= checker->hash >> 29;
}

static void mix_bytes(struct sim_checker *checker, struct dray_slice bytes)
{
    mix(checker, bytes.at == NULL ? 1 : dri_hash64(bytes));
}

uint64_t sim_checker_hash(const struct sim_checker *checker)
{
    return checker->hash;
}

/* --- arrays
 * --------------------------------------------------------------------------------------- */

static void *grown(void *array, size_t *capacity, size_t count, size_t size)
{
    if (count < *capacity) {
        return array;
    }
    size_t wanted = count * 2 + 16;
    void *larger = dri_zalloc_array(wanted, size);
    DRI_ASSERT(larger != NULL);
    if (*capacity > 0) {
        memcpy(larger, array, *capacity * size);
    }
    dri_free(array);
    *capacity = wanted;
    return larger;
}

struct sim_run *sim_runs_put(struct sim_runs *runs)
{
    runs->runs = grown(runs->runs, &runs->capacity, runs->count, sizeof(*runs->runs));
    return &runs->runs[runs->count++];
}

struct sim_checker *sim_checker_create(const struct sim_options *options,
                                       struct dri_sim_broker *broker, bool is_tracing)
{
    struct sim_checker *checker = dri_zalloc(sizeof(*checker));
    const uint16_t *rates = options->broker.rates;
    DRI_ASSERT(checker != NULL && options->partitions <= SIM_PARTITIONS_MAX);
    checker->options = *options;
    checker->broker = broker;
    checker->is_tracing = is_tracing;
    for (int i = 0; i < SIM_NEMESIS_COUNT; i++) {
        checker->has_redelivery_reason |= options->mean_ms[i] != 0 && i != SIM_NEMESIS_REFUSE &&
                                          i != SIM_NEMESIS_JUMP && i != SIM_NEMESIS_HOLD;
    }
    checker->has_redelivery_reason |= options->mode == DRI_SETTLE_EACH &&
                                      (rates[DRI_SIM_DELIVERY_LOST] || rates[DRI_SIM_EXTEND_LOST] ||
                                       rates[DRI_SIM_SETTLE_LOST] || rates[DRI_SIM_SETTLE_LATE]);
    return checker;
}

void sim_checker_destroy(struct sim_checker *checker)
{
    if (checker == NULL) {
        return;
    }
    for (int topic = 0; topic < SIM_TOPIC_SOURCES; topic++) {
        for (size_t i = 0; i < SIM_PARTITIONS_MAX; i++) {
            dri_free(checker->logs[topic][i].commands);
        }
    }
    for (size_t i = 0; i < checker->epochs_count; i++) {
        dri_free(checker->epochs[i].arrivals);
        dri_free(checker->epochs[i].told.runs);
    }
    dri_free(checker->epochs);
    dri_free(checker->commands);
    dri_free(checker);
}

/* --- commands
 * ------------------------------------------------------------------------------------- */

void sim_checker_produced(struct sim_checker *checker, const struct sim_plan *plan, int topic,
                          int32_t partition, uint64_t offset)
{
    struct sim_log *log = &checker->logs[topic][partition];
    DRI_ASSERT(plan->index == checker->commands_count);
    checker->commands = grown(checker->commands, &checker->commands_capacity,
                              checker->commands_count, sizeof(*checker->commands));
    checker->commands[checker->commands_count++] = (struct sim_command){
        .plan = *plan, .topic = topic, .partition = partition, .offset = offset};
    log->commands = grown(log->commands, &log->capacity, log->count, sizeof(*log->commands));
    log->commands[log->count++] = plan->index;
    checker->tally.commands++;
    checker->tally.twins += plan->of != plan->index;
}

struct sim_command *sim_command_at(struct sim_checker *checker, int topic, int32_t partition,
                                   uint64_t offset)
{
    const struct sim_log *log = &checker->logs[topic][partition];
    size_t low = 0;
    size_t high = log->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (checker->commands[log->commands[middle]].offset < offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == log->count || checker->commands[log->commands[low]].offset != offset) {
        return NULL;
    }
    return &checker->commands[log->commands[low]];
}

/* What must run in order with each other has the same; -1: unordered. */
static int32_t order_key(const struct sim_checker *checker, const struct sim_command *command)
{
    const struct sim_route *route = sim_route_of(&checker->options, command->plan.index);
    switch (route != NULL && route->has_order ? route->order : checker->options.order) {
    case DRI_ORDER_PARTITION:
        return (int32_t)SIM_KEYS_MAX + command->topic * (int32_t)SIM_PARTITIONS_MAX +
               command->partition;
    case DRI_ORDER_NONE:
        return -1;
    case DRI_ORDER_KEY:
        break;
    }
    return command->plan.key;
}

static int source_of(const char *topic)
{
    for (int i = 0; i < SIM_TOPIC_SOURCES; i++) {
        if (strcmp(topic, source_names[i]) == 0) {
            return i;
        }
    }
    return -1;
}

/* --- what the broker saw
 * -------------------------------------------------------------------------- */

static struct sim_epoch *epoch_at(struct sim_checker *checker, uint32_t number)
{
    while (checker->epochs_count <= number) {
        checker->epochs = grown(checker->epochs, &checker->epochs_capacity, checker->epochs_count,
                                sizeof(*checker->epochs));
        checker->epochs[checker->epochs_count++] = (struct sim_epoch){.topic = -1};
    }
    return &checker->epochs[number];
}

static void see_appended(struct sim_checker *checker, const struct dri_sim_sight *sight)
{
    int source = source_of(sight->topic);
    mix_bytes(checker, sight->record->value);
    mix_bytes(checker, sight->record->headers);
    if (source >= 0) {
        struct sim_command *command =
            sim_command_at(checker, source, sight->partition, sight->offset);
        DRI_ASSERT(command != NULL);
        command->record = sight->record;
    } else if (strcmp(sight->topic, "dlq") == 0) {
        sim_judge_letter(checker, sight->record);
    } else if (strcmp(sight->topic, "window.g.commands") == 0) {
        sim_judge_window(checker, sight->record);
    } else {
        sim_judge_result(checker, sight->record);
    }
}

static struct sim_arrival *find_arrival(struct sim_epoch *epoch, uint32_t command)
{
    for (size_t i = epoch->count; i > 0; i--) {
        if (epoch->arrivals[i - 1].command == command) {
            return &epoch->arrivals[i - 1];
        }
    }
    return NULL;
}

/* Delivered again before it came to its end, a message keeps its place: the same flight goes on.
 * After its end it is a new arrival, which the worker may run or only settle again; delivered once
 * more, nobody can tell from outside which of the two it was, and its place is not judged. */
static void note_arrival(struct sim_epoch *epoch, uint32_t command)
{
    struct sim_arrival *before = find_arrival(epoch, command);
    if (before != NULL && !before->is_closed) {
        before->is_vague = before->is_repeated;
        return;
    }
    bool is_repeated = before != NULL;
    epoch->arrivals =
        grown(epoch->arrivals, &epoch->capacity, epoch->count, sizeof(*epoch->arrivals));
    epoch->arrivals[epoch->count++] =
        (struct sim_arrival){.command = command, .is_repeated = is_repeated};
}

void sim_note_held(struct sim_checker *checker, const struct sim_command *command)
{
    for (size_t i = 0; i < checker->epochs_count; i++) {
        struct sim_arrival *arrival = find_arrival(&checker->epochs[i], command->plan.index);
        if (arrival != NULL) {
            arrival->is_held = true;
        }
    }
}

static void see_delivered(struct sim_checker *checker, const struct dri_sim_sight *sight)
{
    int source = source_of(sight->topic);
    struct sim_epoch *epoch = epoch_at(checker, sight->epoch);
    if (source < 0) {
        return; /* a window is read by whoever has its commands, as often as that changes */
    }
    struct sim_command *command = sim_command_at(checker, source, sight->partition, sight->offset);
    DRI_ASSERT(command != NULL && !epoch->is_over);
    command->deliveries++;
    checker->tally.deliveries++;
    if (sim_progress_has(&epoch->told, sight->offset)) {
        command->skips++;
        checker->tally.skips++;
    }
    if (command->deliveries > 1) {
        checker->tally.redeliveries++;
        if (!checker->has_redelivery_reason) {
            sim_checker_fail(checker, "duplicates",
                             "command %u was delivered again and nothing explains it",
                             command->plan.index);
        }
    }
    note_arrival(epoch, command->plan.index);
    sim_judge_completion(checker, command); /* a twin whom nobody waits for needs no more */
}

/* A position is judged when it leaves the client, whether it arrives or not, and when it arrives.
 */
static void check_position(struct sim_checker *checker, const struct dri_sim_sight *sight)
{
    const struct sim_log *log = &checker->logs[source_of(sight->topic)][sight->partition];
    if (log->incomplete >= log->count) {
        return;
    }
    const struct sim_command *first = &checker->commands[log->commands[log->incomplete]];
    if (sight->offset > first->offset) {
        sim_checker_fail(checker, "settled",
                         "client %u committed %s/%d at %" PRIu64 ", but command %u at %" PRIu64
                         " has no outcome",
                         sight->client, sight->topic, (int)sight->partition, sight->offset,
                         first->plan.index, first->offset);
    }
}

static void see_settling(struct sim_checker *checker, const struct dri_sim_sight *sight)
{
    struct sim_epoch *epoch = epoch_at(checker, sight->epoch);
    check_position(checker, sight);
    sim_judge_progress(checker, sight, source_of(sight->topic));
    if (sight->offset < epoch->settled) {
        sim_checker_fail(
            checker, "settled", "client %u goes back from %" PRIu64 " to %" PRIu64 " in %s/%d",
            sight->client, epoch->settled, sight->offset, sight->topic, (int)sight->partition);
    }
    epoch->settled = sight->offset;
}

static void see_committed(struct sim_checker *checker, const struct dri_sim_sight *sight)
{
    struct sim_log *log = &checker->logs[source_of(sight->topic)][sight->partition];
    check_position(checker, sight);
    sim_judge_progress(checker, sight, source_of(sight->topic));
    log->committed = (int64_t)sight->offset;
    checker->tally.metadata += sight->metadata.len > 0;
    if (log->committed > log->committed_max) {
        log->committed_max = log->committed;
    }
}

static void see_assigned(struct sim_checker *checker, const struct dri_sim_sight *sight)
{
    struct sim_epoch *epoch = epoch_at(checker, sight->epoch);
    *epoch = (struct sim_epoch){.client = sight->client,
                                .topic = source_of(sight->topic),
                                .partition = sight->partition,
                                .began_at = checker->tally.events};
    if (sight->metadata.len > 0 && sight->offset != UINT64_MAX) {
        checker->tally.told += sim_progress_read(sight->metadata, sight->offset, &epoch->told);
    }
}

static void see_acked(struct sim_checker *checker, const struct dri_sim_sight *sight)
{
    const struct sim_command *command =
        sim_command_at(checker, source_of(sight->topic), sight->partition, sight->offset);
    if (command != NULL && !command->is_complete) {
        sim_checker_fail(checker, "settled",
                         "client %u acknowledged command %u, which has no outcome", sight->client,
                         command->plan.index);
    }
}

static void see(struct sim_checker *checker, const struct dri_sim_sight *sight)
{
    static const char *const names[] = {
        [DRI_SIM_APPENDED] = "append",   [DRI_SIM_ASSIGNED] = "assign",
        [DRI_SIM_ENDED] = "end",         [DRI_SIM_LET_GO] = "let go",
        [DRI_SIM_DELIVERED] = "deliver", [DRI_SIM_SETTLING] = "settle",
        [DRI_SIM_COMMITTED] = "commit",  [DRI_SIM_ACKED] = "ack",
    };
    mix(checker, sight->at_ns ^ ((uint64_t)sight->type << 56));
    mix(checker, sight->offset ^ ((uint64_t)sight->epoch << 32) ^ ((uint64_t)sight->client << 16));
    checker->tally.events++;
    mix_bytes(checker, sight->metadata);
    sim_checker_trace(checker,
                      "%-8s %s/%d @%" PRIu64 " client %u slot %u epoch %u (delivery %u) %.*s",
                      names[sight->type], sight->topic, (int)sight->partition, sight->offset,
                      sight->client, sight->slot, sight->epoch, sight->deliveries,
                      (int)sight->metadata.len, (const char *)sight->metadata.at);
    switch (sight->type) {
    case DRI_SIM_APPENDED:
        see_appended(checker, sight);
        break;
    case DRI_SIM_ASSIGNED:
        see_assigned(checker, sight);
        break;
    case DRI_SIM_ENDED:
    case DRI_SIM_LET_GO:
        epoch_at(checker, sight->epoch)->is_over = true;
        break;
    case DRI_SIM_DELIVERED:
        see_delivered(checker, sight);
        break;
    case DRI_SIM_SETTLING:
        see_settling(checker, sight);
        break;
    case DRI_SIM_COMMITTED:
        see_committed(checker, sight);
        break;
    case DRI_SIM_ACKED:
        see_acked(checker, sight);
        break;
    }
}

void sim_checker_watch(struct sim_checker *checker)
{
    const struct dri_sim_sight *sights = NULL;
    size_t count = dri_sim_sights(checker->broker, &sights);
    for (size_t i = 0; i < count; i++) {
        see(checker, &sights[i]);
    }
}

/* --- the journal of runs
 * -------------------------------------------------------------------------- */

const struct sim_plan *sim_checker_plan(struct sim_checker *checker,
                                        const struct dri_flight *flight)
{
    uint32_t index = sim_plan_of_payload(flight->envelope.payload);
    DRI_ASSERT(index < checker->commands_count); /* a handler was given what no producer made */
    return &checker->commands[index].plan;
}

static struct sim_command *command_of(struct sim_checker *checker, const struct dri_flight *flight)
{
    const struct sim_epoch *epoch = epoch_at(checker, flight->epoch);
    const struct sim_plan *plan = sim_checker_plan(checker, flight);
    struct sim_command *command = &checker->commands[plan->index];
    if (epoch->topic != command->topic || epoch->partition != command->partition ||
        flight->offset != command->offset) {
        sim_checker_fail(checker, "bytes", "command %u ran as what it is not", plan->index);
    }
    return command;
}

static struct sim_starts *starts_of(struct sim_checker *checker, uint32_t client)
{
    struct sim_starts *starts = &checker->starts[client % SIM_STARTS_MAX];
    if (starts->client != client) {
        *starts = (struct sim_starts){.client = client};
    }
    return starts;
}

/* Nothing of a paused route starts; and as many starts as the burst take at least as long as one
 * interval. */
static void check_start(struct sim_checker *checker, uint32_t client, const struct sim_plan *plan)
{
    const struct sim_route *route = sim_route_of(&checker->options, plan->index);
    if (route == NULL) {
        return;
    }
    size_t number = (size_t)(route - checker->options.routes);
    if (checker->is_paused[number]) {
        sim_checker_fail(checker, "limits", "command %u was started, and its route is paused",
                         plan->index);
    }
    if (route->limits.rate == 0) {
        return;
    }
    struct sim_starts *starts = starts_of(checker, client);
    uint64_t *before_ns = &starts->at_ns[number][starts->count[number] % route->limits.burst];
    if (starts->count[number] >= route->limits.burst &&
        checker->now.mono_ns - *before_ns < UINT64_C(1000000000) / route->limits.rate) {
        sim_checker_fail(checker, "limits", "command %u was started too early for its rate",
                         plan->index);
    }
    *before_ns = checker->now.mono_ns;
    starts->count[number]++;
}

void sim_checker_paused(struct sim_checker *checker, uint32_t route, bool is_paused)
{
    checker->is_paused[route] = is_paused;
    checker->was_paused[route] = checker->was_paused[route] || is_paused;
}

void sim_checker_submitted(struct sim_checker *checker, uint32_t client,
                           const struct dri_flight *chain, const struct dri_flight *flight)
{
    sim_checker_watch(checker);
    const struct sim_command *command = command_of(checker, flight);
    const struct sim_plan *plan = &command->plan;
    uint64_t wall_ms = checker->now.wall_ms;
    check_start(checker, client, plan);
    if (plan->not_before_ms > wall_ms) {
        sim_checker_fail(checker, "outcome", "command %u was started before its time", plan->index);
    } else if (plan->deadline_ms != 0 && wall_ms > plan->deadline_ms) {
        sim_checker_fail(checker, "outcome", "command %u was started too late", plan->index);
    } else if (plan->shape != SIM_SHAPE_SOUND) {
        sim_checker_fail(checker, "outcome", "command %u was run and must not be", plan->index);
    }
    int32_t key = order_key(checker, command);
    if (flight != chain && (key < 0 || key != order_key(checker, command_of(checker, chain)))) {
        sim_checker_fail(checker, "order", "command %u is in a chain of another key", plan->index);
    }
}

/* How many of its route run in this worker, this one among them. */
static void check_concurrency(struct sim_checker *checker, uint32_t client,
                              const struct sim_command *command)
{
    const struct sim_route *route = sim_route_of(&checker->options, command->plan.index);
    uint32_t running = 0;
    if (route == NULL || route->limits.concurrency == 0) {
        return;
    }
    for (size_t i = 0; i < checker->open_runs_count; i++) {
        const struct sim_open_run *open = &checker->open_runs[i];
        running +=
            open->client == client && sim_route_of(&checker->options, open->command) == route;
    }
    if (running > route->limits.concurrency) {
        sim_checker_fail(checker, "limits",
                         "command %u runs as one of %u of its route, of at most %u",
                         command->plan.index, running, route->limits.concurrency);
    }
    checker->tally.at_limit += running == route->limits.concurrency;
}

static void check_overlap(struct sim_checker *checker, uint32_t client,
                          const struct sim_command *command, uint32_t epoch)
{
    int32_t key = order_key(checker, command);
    for (size_t i = 0; i < checker->open_runs_count; i++) {
        const struct sim_open_run *open = &checker->open_runs[i];
        if (open->client == client && open->key >= 0 && open->key == key) {
            sim_checker_fail(checker, "overlap", "command %u runs while %u of its key runs",
                             command->plan.index, open->command);
        }
    }
    DRI_ASSERT(checker->open_runs_count < SIM_OPEN_RUNS_MAX);
    checker->open_runs[checker->open_runs_count++] =
        (struct sim_open_run){.client = client,
                              .command = command->plan.index,
                              .epoch = epoch,
                              .key = key,
                              .since_ns = checker->now.mono_ns};
}

/* Once paused, a command may have been given up to the dead letters, its followers run, and its
 * assignment lost before the letter was stored: then it comes again, and runs behind them. */
static bool may_have_been_held(const struct sim_checker *checker, const struct sim_command *command)
{
    const struct sim_route *route = sim_route_of(&checker->options, command->plan.index);
    return route != NULL && checker->was_paused[route - checker->options.routes];
}

/* Kafka: whoever reads a partition reads it in order, from where all before has its outcome. */
static void check_first_run(struct sim_checker *checker, const struct sim_command *command)
{
    struct sim_log *log = &checker->logs[command->topic][command->partition];
    int32_t key = order_key(checker, command);
    if (checker->options.mode == DRI_SETTLE_EACH || key < 0 || command->runs > 0) {
        return;
    }
    uint64_t *latest = &log->first_runs[key];
    if (*latest > command->offset && !command->is_complete &&
        !may_have_been_held(checker, command)) {
        sim_checker_fail(checker, "order", "command %u runs first after a later one of its key",
                         command->plan.index);
    }
    *latest = command->offset + 1 > *latest ? command->offset + 1 : *latest;
}

static void check_epoch(struct sim_checker *checker, struct sim_epoch *epoch,
                        const struct sim_command *command, uint32_t attempt)
{
    struct sim_arrival *arrival = find_arrival(epoch, command->plan.index);
    if (arrival == NULL) {
        sim_checker_fail(checker, "outcome", "command %u runs and was not delivered",
                         command->plan.index);
        return;
    }
    bool is_next = attempt == arrival->attempt + 1 ||
                   (command->spared_runs > 0 && attempt == arrival->attempt);
    if (!is_next || attempt > command->plan.attempts_max) {
        sim_checker_fail(checker, "attempts", "command %u: attempt %u after %u, of at most %u",
                         command->plan.index, attempt, arrival->attempt,
                         command->plan.attempts_max);
    }
    if (sim_progress_has(&epoch->told, command->offset)) {
        sim_checker_fail(checker, "progress",
                         "command %u runs again, and client %u was told that it is finished",
                         command->plan.index, epoch->client);
    }
    arrival->attempt = attempt;
    int32_t key = order_key(checker, command);
    if (key < 0 || epoch->is_over || arrival->is_vague || arrival->is_held) {
        return;
    }
    size_t place = (size_t)(arrival - epoch->arrivals) + 1;
    size_t *started = &epoch->started[key];
    if (*started > place) {
        sim_checker_fail(checker, "order", "command %u runs after command %u, which came after it",
                         command->plan.index, epoch->arrivals[*started - 1].command);
    }
    *started = place > *started ? place : *started;
}

/* Records of others may be on their way when a partition is taken; those that were there are known.
 * Two of an id at once are never right. */
static void check_window(struct sim_checker *checker, uint32_t client,
                         const struct sim_command *command, uint32_t epoch)
{
    struct sim_command *head = sim_head_of(checker, command);
    head->family_runs++;
    if (!sim_has_window(checker, command)) {
        return;
    }
    if (head->records > 0 &&
        (head->record_epoch == epoch || head->record_at < epoch_at(checker, epoch)->began_at)) {
        sim_checker_fail(checker, "window", "command %u runs, and the end of command %u is known",
                         command->plan.index, head->plan.index);
    }
    for (size_t i = 0; i < checker->open_runs_count; i++) {
        const struct sim_open_run *open = &checker->open_runs[i];
        if (open->client == client && open->command != command->plan.index &&
            open->epoch == epoch && checker->commands[open->command].plan.of == command->plan.of) {
            sim_checker_fail(checker, "window",
                             "command %u runs beside command %u, whose id it has",
                             command->plan.index, open->command);
        }
    }
}

void sim_checker_run_begins(struct sim_checker *checker, uint32_t client,
                            const struct dri_flight *flight, uint64_t at_ns)
{
    sim_checker_watch(checker);
    struct sim_command *command = command_of(checker, flight);
    mix(checker, at_ns ^ ((uint64_t)command->plan.index << 32) ^ flight->attempt);
    sim_checker_trace(checker, "run      command %u attempt %u client %u epoch %u",
                      command->plan.index, flight->attempt, client, flight->epoch);
    if (checker->is_drained[client]) {
        sim_checker_fail(checker, "drain", "command %u runs in a worker that has drained",
                         command->plan.index);
    }
    check_window(checker, client, command, flight->epoch);
    check_overlap(checker, client, command, flight->epoch);
    check_concurrency(checker, client, command);
    check_first_run(checker, command);
    check_epoch(checker, epoch_at(checker, flight->epoch), command, flight->attempt);
    command->runs++;
    checker->tally.runs++;
    checker->tally.retries += flight->attempt > 1;
    checker->tally.reruns += flight->attempt == 1 && command->runs > 1;
}

static void close_run(struct sim_checker *checker, uint32_t client, uint32_t command)
{
    for (size_t i = 0; i < checker->open_runs_count; i++) {
        if (checker->open_runs[i].client == client && checker->open_runs[i].command == command) {
            checker->open_runs[i] = checker->open_runs[--checker->open_runs_count];
            return;
        }
    }
    DRI_UNREACHABLE();
}

/* Such a run is no attempt, unless the breaker was closed by hand meanwhile; so it may be the last
 * one. */
static bool has_failed_as_probe(const struct dri_flight *flight)
{
    switch (flight->kind) {
    case DRAY_KIND_TIMEOUT:
    case DRAY_KIND_NETWORK:
    case DRAY_KIND_UNAVAILABLE:
    case DRAY_KIND_INTERNAL:
        return flight->is_probe && flight->probes < DRI_PROBES_MAX;
    default:
        return false;
    }
}

static void judge_run(struct sim_checker *checker, uint32_t client, const struct dri_flight *flight,
                      uint64_t at_ns)
{
    struct sim_command *command = command_of(checker, flight);
    const struct sim_plan *plan = &command->plan;
    bool is_final = flight->attempt == plan->runs && flight->kind == plan->kind;
    bool is_spared = !flight->is_stuck && has_failed_as_probe(flight);
    mix(checker, at_ns ^ ((uint64_t)plan->index << 32) ^ (uint64_t)flight->kind << 8);
    sim_checker_trace(checker, "ran      command %u attempt %u client %u: %s%s", plan->index,
                      flight->attempt, client,
                      flight->kind == DRAY_KIND_NONE ? "ok" : dray_kind_text(flight->kind),
                      is_final ? "" : ", to be retried");
    command->spared_runs += is_spared;
    checker->tally.probes += is_spared;
    if (!is_final || is_spared) {
        return;
    }
    struct sim_arrival *arrival =
        find_arrival(epoch_at(checker, flight->epoch), command->plan.index);
    if (arrival != NULL) {
        arrival->is_closed = true;
    }
    command->final_runs++;
    command->final_epoch = flight->epoch;
    command->ok_runs += flight->kind == DRAY_KIND_NONE;
    sim_head_of(checker, command)->family_ok_runs += flight->kind == DRAY_KIND_NONE;
    if (command->final_runs > command->deliveries) {
        sim_checker_fail(checker, "duplicates", "command %u came to its end %u times, delivered %u",
                         plan->index, command->final_runs, command->deliveries);
    }
    sim_judge_completion(checker, command);
}

void sim_checker_run_ends(struct sim_checker *checker, uint32_t client,
                          const struct dri_flight *flight, uint64_t at_ns)
{
    sim_checker_watch(checker);
    judge_run(checker, client, flight, at_ns);
    close_run(checker, client, sim_checker_plan(checker, flight)->index);
}

void sim_checker_run_is_given_up(struct sim_checker *checker, uint32_t client,
                                 const struct dri_flight *flight, uint64_t at_ns)
{
    sim_checker_watch(checker);
    checker->tally.deaf++;
    judge_run(checker, client, flight, at_ns);
}

void sim_checker_run_returns(struct sim_checker *checker, uint32_t client,
                             const struct dri_flight *flight, uint64_t at_ns)
{
    uint32_t command = sim_checker_plan(checker, flight)->index; /* its bytes must still be there */
    sim_checker_watch(checker);
    mix(checker, at_ns ^ command);
    sim_checker_trace(checker, "returned command %u client %u, given up before", command, client);
    close_run(checker, client, command);
}

void sim_checker_client_dies(struct sim_checker *checker, uint32_t client)
{
    sim_checker_watch(checker);
    for (size_t i = checker->open_runs_count; i > 0; i--) {
        if (checker->open_runs[i - 1].client == client) {
            checker->open_runs[i - 1] = checker->open_runs[--checker->open_runs_count];
        }
    }
    for (size_t i = 0; i < checker->epochs_count; i++) {
        if (checker->epochs[i].client == client) {
            checker->epochs[i].is_over = true;
        }
    }
}

/* Clean: what had come to its end, under an assignment that stands, has its outcome. */
void sim_checker_drained(struct sim_checker *checker, uint32_t client, bool is_clean)
{
    sim_checker_watch(checker);
    DRI_ASSERT(client < SIM_CLIENT_COUNT_MAX);
    checker->is_drained[client] = true;
    for (size_t e = 0; is_clean && e < checker->epochs_count; e++) {
        const struct sim_epoch *epoch = &checker->epochs[e];
        for (size_t i = 0; epoch->client == client && !epoch->is_over && i < epoch->count; i++) {
            const struct sim_command *command = &checker->commands[epoch->arrivals[i].command];
            if (epoch->arrivals[i].is_closed && !command->is_complete) {
                sim_checker_fail(checker, "drain",
                                 "client %u drained clean, but command %u has no outcome", client,
                                 command->plan.index);
            }
        }
    }
}

/* --- the whole
 * ------------------------------------------------------------------------------------ */

/* A late commit may have moved the position back behind the client's back; then the highest counts.
 */
static bool is_settled(struct sim_checker *checker, int topic, int32_t partition)
{
    const struct sim_log *log = &checker->logs[topic][partition];
    if (log->count == 0) {
        return true;
    }
    if (checker->options.mode == DRI_SETTLE_EACH) {
        return dri_sim_unacked(checker->broker, "g", source_names[topic]) == 0;
    }
    return log->committed_max > (int64_t)checker->commands[log->commands[log->count - 1]].offset;
}

static bool is_all_settled(struct sim_checker *checker)
{
    for (int topic = 0; topic < SIM_TOPIC_SOURCES; topic++) {
        for (uint32_t i = 0; i < checker->options.partitions; i++) {
            if (!is_settled(checker, topic, (int32_t)i)) {
                return false;
            }
        }
    }
    return true;
}

size_t sim_checker_complete(const struct sim_checker *checker)
{
    return checker->complete_count;
}

bool sim_checker_is_done(struct sim_checker *checker)
{
    return checker->complete_count == checker->commands_count && is_all_settled(checker);
}

/* Where answers never come, the last position of a quiet partition is settled by the drain only. */
bool sim_checker_may_drain(struct sim_checker *checker)
{
    return sim_checker_is_done(checker) ||
           (checker->complete_count == checker->commands_count &&
            checker->options.mode == DRI_SETTLE_WATERMARK &&
            checker->options.broker.rates[DRI_SIM_ANSWER_NEVER] != 0);
}

void sim_checker_fail_liveness(struct sim_checker *checker)
{
    for (size_t i = 0; i < checker->commands_count; i++) {
        const struct sim_command *command = &checker->commands[i];
        if (!command->is_complete) {
            sim_checker_fail(checker, "liveness",
                             "command %u (%s/%d at %" PRIu64 ") has no outcome: %u deliveries, %u "
                             "runs, %u letters; %zu of %zu are complete",
                             command->plan.index, source_names[command->topic],
                             (int)command->partition, command->offset, command->deliveries,
                             command->runs, command->letters, checker->complete_count,
                             checker->commands_count);
            return;
        }
    }
    for (int topic = 0; topic < SIM_TOPIC_SOURCES; topic++) {
        for (uint32_t i = 0; i < checker->options.partitions; i++) {
            if (!is_settled(checker, topic, (int32_t)i)) {
                sim_checker_fail(checker, "liveness",
                                 "%s/%u is not settled to its end: committed %" PRId64
                                 ", unacknowledged %zu",
                                 source_names[topic], i, checker->logs[topic][i].committed,
                                 dri_sim_unacked(checker->broker, "g", source_names[topic]));
            }
        }
    }
}

/* One outcome a delivery that was not to be skipped; more only where a publish was unknown. */
static uint64_t excess(const struct sim_command *command)
{
    const uint32_t counts[] = {command->results, command->errors, command->letters};
    uint32_t most = command->deliveries - command->skips;
    uint64_t sum = 0;
    for (size_t i = 0; i < DRI_ARRAY_LEN(counts); i++) {
        sum += counts[i] > most ? counts[i] - most : 0;
    }
    return sum;
}

static uint32_t spared_of_family(const struct sim_checker *checker, uint32_t of)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < checker->commands_count; i++) {
        sum += checker->commands[i].plan.of == of ? checker->commands[i].spared_runs : 0;
    }
    return sum;
}

static void check_quiet(struct sim_checker *checker, const struct sim_command *command)
{
    const struct sim_plan *plan = &command->plan;
    bool may_expire = plan->deadline_ms != 0;
    if (command->results > 1 || command->errors > 1 || command->letters > 1 ||
        command->results + command->letters > 1 || command->deliveries != 1) {
        sim_checker_fail(checker, "duplicates",
                         "command %u: %u results, %u errors, %u letters, %u deliveries, in peace",
                         plan->index, command->results, command->errors, command->letters,
                         command->deliveries);
    } else if (sim_has_window(checker, command) && sim_enters_window(plan)) {
        if (checker->options.mode == DRI_SETTLE_EACH && checker->options.workers > 1) {
            return; /* two workers may have begun with the same id before either had ended */
        }
        uint32_t runs = checker->commands[plan->of].family_runs;
        if (runs - spared_of_family(checker, plan->of) != plan->runs) {
            sim_checker_fail(checker, "window", "the id of command %u ran %u times, planned %u",
                             plan->of, runs, plan->runs);
        }
    } else if (plan->shape == SIM_SHAPE_SOUND && !may_expire &&
               command->runs - command->spared_runs != plan->runs) {
        sim_checker_fail(checker, "duplicates", "command %u ran %u times, planned %u", plan->index,
                         command->runs, plan->runs);
    }
}

void sim_checker_finish(struct sim_checker *checker)
{
    uint64_t counts[DRI_SIM_FAULT_COUNT];
    uint64_t sum = 0;
    sim_checker_watch(checker);
    dri_sim_counts(checker->broker, counts);
    for (size_t i = 0; i < checker->commands_count; i++) {
        const struct sim_command *command = &checker->commands[i];
        sum += excess(command);
        checker->tally.duplicates += command->results > 1 || command->letters > 1 ||
                                     (command->results > 0 && command->letters > 0);
        if (!command->is_complete) {
            sim_checker_fail(checker, "outcome", "command %u has no outcome", command->plan.index);
        }
        if (checker->options.is_quiet) {
            check_quiet(checker, command);
        }
    }
    uint64_t unknown = counts[DRI_SIM_PUBLISH_STORED_UNKNOWN] +
                       counts[DRI_SIM_PUBLISH_LATE_UNKNOWN] + counts[DRI_SIM_PUBLISH_TIMED_OUT];
    if (!is_all_settled(checker)) {
        sim_checker_fail_liveness(checker);
    }
    if (sum > unknown) {
        sim_checker_fail(checker, "duplicates",
                         "%" PRIu64 " outcomes more than deliveries, %" PRIu64 " unknown publishes",
                         sum, unknown);
    }
    if (!checker->has_redelivery_reason && counts[DRI_SIM_LEASE_EXPIRED] > 0) {
        sim_checker_fail(checker, "duplicates", "a lease expired and nothing explains it");
    }
}

void sim_checker_tally(const struct sim_checker *checker, struct sim_tally *ret_tally)
{
    *ret_tally = checker->tally;
}

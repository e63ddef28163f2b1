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
#include "groups.h"

#define NS_PER_MS UINT64_C(1000000)

#define DELAY_NAME(name, ms) "delay." name ".g.commands",
const char *const sim_source_names[SIM_TOPIC_SOURCES] = {"commands", "replay.g.commands",
                                                         DRI_DELAY_LEVEL_TABLE(DELAY_NAME)};
#undef DELAY_NAME

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
    checker->has_redelivery_reason |= options->transaction_ms != 0; /* one that is thrown away */
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
            dri_free(checker->logs[topic][i].places);
        }
    }
    for (size_t i = 0; i < SIM_PARTITIONS_MAX; i++) {
        dri_free(checker->parks[i].records);
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

static void place_add(struct sim_log *log, uint32_t command, uint64_t offset)
{
    log->places = grown(log->places, &log->capacity, log->count, sizeof(*log->places));
    log->places[log->count++] = (struct sim_place){.offset = offset, .command = command};
}

void sim_checker_produced(struct sim_checker *checker, const struct sim_plan *plan, int topic,
                          int32_t partition, uint64_t offset)
{
    struct sim_log *log = &checker->logs[topic][partition];
    DRI_ASSERT(plan->index == checker->commands_count);
    checker->commands = grown(checker->commands, &checker->commands_capacity,
                              checker->commands_count, sizeof(*checker->commands));
    checker->commands[checker->commands_count++] = (struct sim_command){
        .plan = *plan, .topic = topic, .partition = partition, .offset = offset};
    place_add(log, plan->index, offset);
    checker->tally.commands++;
    checker->tally.twins += plan->of != plan->index;
}

struct sim_place *sim_place_at(struct sim_checker *checker, int topic, int32_t partition,
                               uint64_t offset)
{
    const struct sim_log *log = &checker->logs[topic][partition];
    size_t low = 0;
    size_t high = log->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (log->places[middle].offset < offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low == log->count || log->places[low].offset != offset ? NULL : &log->places[low];
}

struct sim_command *sim_command_at(struct sim_checker *checker, int topic, int32_t partition,
                                   uint64_t offset)
{
    const struct sim_place *place = sim_place_at(checker, topic, partition, offset);
    return place == NULL ? NULL : &checker->commands[place->command];
}

bool sim_place_is_done(const struct sim_checker *checker, const struct sim_place *place)
{
    return place->is_moved || checker->commands[place->command].is_complete;
}

size_t sim_log_incomplete(const struct sim_checker *checker, struct sim_log *log)
{
    while (log->incomplete < log->count &&
           sim_place_is_done(checker, &log->places[log->incomplete])) {
        log->incomplete++;
    }
    return log->incomplete;
}

/* What came before it of this command, wherever it stands, need not be there any more: whichever of
 * them the copy is of, the command is in a log. */
void sim_judge_delayed(struct sim_checker *checker, const struct dri_sim_sight *sight, int topic)
{
    struct sim_command *command = sim_judge_copy(checker, sight->record);
    if (command == NULL) {
        return;
    }
    for (int i = 0; i < SIM_TOPIC_SOURCES; i++) {
        for (uint32_t j = 0; j < checker->options.partitions; j++) {
            struct sim_log *log = &checker->logs[i][j];
            for (size_t k = log->incomplete; k < log->count; k++) {
                struct sim_place *place = &log->places[k];
                place->is_moved = place->is_moved || place->command == command->plan.index;
            }
        }
    }
    place_add(&checker->logs[topic][sight->partition], command->plan.index, sight->offset);
    command->copies++;
    checker->tally.delayed++;
}

/* A scheduled command has no place in the order before its time; it only never overlaps. */
bool sim_has_place(const struct sim_command *command)
{
    return command->plan.not_before_ms == 0;
}

/* Of a place in the sources: what must run in order with each other has the same; -1: unordered. */
static int32_t order_key_at(const struct sim_checker *checker, const struct sim_command *command,
                            int topic, int32_t partition)
{
    const struct sim_route *route = sim_route_of(&checker->options, command->plan.index);
    switch (route != NULL && route->has_order ? route->order : checker->options.order) {
    case DRI_ORDER_PARTITION:
        return (int32_t)SIM_KEYS_MAX + topic * (int32_t)SIM_PARTITIONS_MAX + partition;
    case DRI_ORDER_NONE:
        return -1;
    case DRI_ORDER_KEY:
        break;
    }
    return command->plan.key;
}

int32_t sim_order_key(const struct sim_checker *checker, const struct sim_command *command)
{
    return order_key_at(checker, command, command->topic, command->partition);
}

/* As it was read in this epoch: what is parked has the order that it had. */
static int32_t order_key(const struct sim_checker *checker, const struct sim_command *command,
                         uint32_t epoch_number)
{
    const struct sim_epoch *epoch = &checker->epochs[epoch_number];
    return epoch->is_park ? sim_order_key(checker, command)
                          : order_key_at(checker, command, epoch->topic, epoch->partition);
}

static int source_of(const char *topic)
{
    for (int i = 0; i < SIM_TOPIC_SOURCES; i++) {
        if (strcmp(topic, sim_source_names[i]) == 0) {
            return i;
        }
    }
    return -1;
}

static bool is_park(const char *topic)
{
    return strcmp(topic, SIM_PARK_TOPIC) == 0;
}

/* --- what the broker saw
 * -------------------------------------------------------------------------- */

struct sim_epoch *sim_epoch_at(struct sim_checker *checker, uint32_t number)
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
    if (source >= SIM_TOPIC_DELAY) {
        sim_judge_delayed(checker, sight, source);
    } else if (source >= 0) {
        struct sim_command *command =
            sim_command_at(checker, source, sight->partition, sight->offset);
        DRI_ASSERT(command != NULL);
        command->record = sight->record;
    } else if (is_park(sight->topic)) {
        sim_park_appended(checker, sight);
    } else if (strcmp(sight->topic, "dlq") == 0) {
        sim_judge_letter(checker, sight->record);
    } else if (strcmp(sight->topic, SIM_WINDOW_TOPIC) == 0) {
        sim_judge_window(checker, sight->record);
    } else {
        sim_judge_result(checker, sight->record);
    }
}

static struct sim_arrival *find_arrival(struct sim_epoch *epoch, uint32_t command, uint64_t offset)
{
    for (size_t i = epoch->count; i > 0; i--) {
        if (epoch->arrivals[i - 1].command == command && epoch->arrivals[i - 1].offset == offset) {
            return &epoch->arrivals[i - 1];
        }
    }
    return NULL;
}

/* Once paused, a command may have been given up to the dead letters, its followers run, and its
 * assignment lost before the letter was stored: then it comes again, and runs behind them. */
bool sim_may_have_been_held(const struct sim_checker *checker, const struct sim_command *command)
{
    const struct sim_route *route = sim_route_of(&checker->options, command->plan.index);
    return route != NULL && checker->was_paused[route - checker->options.routes];
}

/* Delivered again before it came to its end, a message keeps its place: the same flight goes on.
 * After its end it is a new arrival, which the worker may run or only settle again; delivered once
 * more, nobody can tell from outside which of the two it was, and its place is not judged. The same
 * is true of one that has a letter already: if it was held, the broker took the held letter for
 * that one, and nothing of it is seen. */
static struct sim_arrival *note_arrival(const struct sim_checker *checker, struct sim_epoch *epoch,
                                        const struct sim_command *command, uint64_t offset)
{
    struct sim_arrival *before = find_arrival(epoch, command->plan.index, offset);
    if (before != NULL && !before->is_closed) {
        before->is_vague = before->is_repeated;
        before->is_held =
            before->is_held || (command->letters > 0 && sim_may_have_been_held(checker, command));
        return before;
    }
    bool is_repeated = before != NULL;
    epoch->arrivals =
        grown(epoch->arrivals, &epoch->capacity, epoch->count, sizeof(*epoch->arrivals));
    epoch->arrivals[epoch->count] = (struct sim_arrival){
        .command = command->plan.index, .offset = offset, .is_repeated = is_repeated};
    return &epoch->arrivals[epoch->count++];
}

void sim_note_held(struct sim_checker *checker, const struct sim_command *command)
{
    for (size_t i = 0; i < checker->epochs_count; i++) {
        struct sim_arrival *arrival =
            find_arrival(&checker->epochs[i], command->plan.index, command->offset);
        if (arrival != NULL) {
            arrival->is_held = true;
        }
    }
}

static void see_delivered(struct sim_checker *checker, const struct dri_sim_sight *sight)
{
    int source = source_of(sight->topic);
    struct sim_epoch *epoch = sim_epoch_at(checker, sight->epoch);
    if (is_park(sight->topic)) {
        uint32_t attempts = 0;
        struct sim_command *parked = sim_park_delivered(checker, sight, &attempts);
        if (parked == NULL) {
            return;
        }
        parked->deliveries++;
        parked->park_deliveries++;
        note_arrival(checker, epoch, parked, sight->offset)->attempt = attempts;
        return;
    }
    if (source < 0) {
        return; /* a window is read by whoever has its commands, as often as that changes */
    }
    struct sim_place *place = sim_place_at(checker, source, sight->partition, sight->offset);
    DRI_ASSERT(place != NULL && !epoch->is_over);
    struct sim_command *command = &checker->commands[place->command];
    command->deliveries++;
    place->deliveries++;
    checker->tally.deliveries++;
    if (sim_progress_has(&epoch->told, sight->offset)) {
        command->skips++;
        checker->tally.skips++;
    }
    if (place->deliveries > 1) {
        checker->tally.redeliveries++;
        if (!checker->has_redelivery_reason) {
            sim_checker_fail(checker, "duplicates",
                             "command %u was delivered again and nothing explains it",
                             command->plan.index);
        }
    }
    (void)note_arrival(checker, epoch, command, sight->offset);
    sim_judge_completion(checker, command); /* a twin whom nobody waits for needs no more */
}

/* It is parked, or done, or stands elsewhere. */
static bool is_safe(const struct sim_checker *checker, const struct sim_place *place)
{
    return sim_place_is_done(checker, place) || checker->commands[place->command].parks > 0;
}

static const struct sim_place *first_unsafe(const struct sim_checker *checker, struct sim_log *log)
{
    for (size_t i = sim_log_incomplete(checker, log); i < log->count; i++) {
        if (!is_safe(checker, &log->places[i])) {
            return &log->places[i];
        }
    }
    return NULL;
}

/* A position is judged when it leaves the client, whether it arrives or not, and when it arrives.
 */
static void check_position(struct sim_checker *checker, const struct dri_sim_sight *sight)
{
    struct sim_log *log = &checker->logs[source_of(sight->topic)][sight->partition];
    const struct sim_place *first = first_unsafe(checker, log);
    if (first != NULL && sight->offset > first->offset) {
        sim_checker_fail(checker, "settled",
                         "client %u committed %s/%d at %" PRIu64 ", but command %u at %" PRIu64
                         " has no outcome",
                         sight->client, sight->topic, (int)sight->partition, sight->offset,
                         first->command, first->offset);
    }
}

static void see_settling(struct sim_checker *checker, const struct dri_sim_sight *sight)
{
    struct sim_epoch *epoch = sim_epoch_at(checker, sight->epoch);
    if (is_park(sight->topic)) {
        sim_park_settled(checker, sight);
    } else {
        check_position(checker, sight);
        sim_judge_progress(checker, sight, source_of(sight->topic));
    }
    if (sight->offset < epoch->settled) {
        sim_checker_fail(
            checker, "settled", "client %u goes back from %" PRIu64 " to %" PRIu64 " in %s/%d",
            sight->client, epoch->settled, sight->offset, sight->topic, (int)sight->partition);
    }
    epoch->settled = sight->offset;
}

static void see_committed(struct sim_checker *checker, const struct dri_sim_sight *sight)
{
    if (is_park(sight->topic)) {
        sim_park_settled(checker, sight);
        return;
    }
    struct sim_log *log = &checker->logs[source_of(sight->topic)][sight->partition];
    check_position(checker, sight);
    sim_judge_progress(checker, sight, source_of(sight->topic));
    log->went_back = log->went_back || (int64_t)sight->offset < log->committed_max;
    log->committed = (int64_t)sight->offset;
    checker->tally.metadata += sight->metadata.len > 0;
    if (log->committed > log->committed_max) {
        log->committed_max = log->committed;
    }
}

static void see_assigned(struct sim_checker *checker, const struct dri_sim_sight *sight)
{
    struct sim_epoch *epoch = sim_epoch_at(checker, sight->epoch);
    *epoch = (struct sim_epoch){.client = sight->client,
                                .topic = source_of(sight->topic),
                                .is_park = is_park(sight->topic),
                                .partition = sight->partition,
                                .began_at = checker->tally.events};
    if (sight->metadata.len > 0 && sight->offset != UINT64_MAX) {
        checker->tally.told += sim_progress_read(sight->metadata, sight->offset, &epoch->told);
    }
    if (epoch->topic >= 0) {
        sim_progress_assigned(checker, sight, epoch);
    }
}

static void see_acked(struct sim_checker *checker, const struct dri_sim_sight *sight)
{
    const struct sim_place *place =
        sim_place_at(checker, source_of(sight->topic), sight->partition, sight->offset);
    if (place != NULL && !is_safe(checker, place)) {
        sim_checker_fail(checker, "settled",
                         "client %u acknowledged command %u, which has no outcome", sight->client,
                         place->command);
    }
}

static void see_taken(struct sim_checker *checker, const struct dri_sim_sight *sight)
{
    if (strcmp(sight->topic, "dlq") == 0) {
        sim_judge_taken_letter(checker, sight->metadata);
    }
}

static void see(struct sim_checker *checker, const struct dri_sim_sight *sight)
{
    if (sight->type == DRI_SIM_TAKEN) { /* nothing has happened yet that anybody could see */
        see_taken(checker, sight);
        return;
    }
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
        sim_epoch_at(checker, sight->epoch)->is_over = true;
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
    case DRI_SIM_TAKEN:
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
    const struct sim_epoch *epoch = sim_epoch_at(checker, flight->epoch);
    const struct sim_plan *plan = sim_checker_plan(checker, flight);
    struct sim_command *command = &checker->commands[plan->index];
    if (epoch->is_park) {
        const struct sim_park_record *record =
            sim_park_at(checker, epoch->partition, flight->offset);
        if (record == NULL || record->command != plan->index) {
            sim_checker_fail(checker, "bytes", "command %u ran as another that is parked",
                             plan->index);
        } else {
            sim_park_check_run(checker, record);
        }
    } else if (sim_command_at(checker, epoch->topic, epoch->partition, flight->offset) != command) {
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
    memset(checker->downs, 0, sizeof(checker->downs)); /* the core may have forgotten, too */
}

/* Of its key several may run at once, and those that took one place run one by one. */
static bool has_places(const struct sim_checker *checker, const struct sim_command *command)
{
    const struct sim_route *route = sim_route_of(&checker->options, command->plan.index);
    return route != NULL && route->key_concurrency != 0;
}

void sim_checker_submitted(struct sim_checker *checker, uint32_t client,
                           const struct dri_flight *chain, const struct dri_flight *flight)
{
    sim_checker_watch(checker);
    const struct sim_command *command = command_of(checker, flight);
    const struct sim_plan *plan = &command->plan;
    uint64_t wall_ms = checker->now.wall_ms;
    check_start(checker, client, plan);
    sim_judge_dependencies(checker, client, plan);
    if (plan->not_before_ms > wall_ms) {
        sim_checker_fail(checker, "outcome", "command %u was started before its time", plan->index);
    } else if (plan->deadline_ms != 0 && wall_ms > plan->deadline_ms) {
        sim_checker_fail(checker, "outcome", "command %u was started too late", plan->index);
    } else if (plan->shape != SIM_SHAPE_SOUND) {
        sim_checker_fail(checker, "outcome", "command %u was run and must not be", plan->index);
    }
    int32_t key = order_key(checker, command, flight->epoch);
    const struct sim_command *head = command_of(checker, chain);
    bool may_share = has_places(checker, command) && has_places(checker, head) && plan->key >= 0 &&
                     plan->key == head->plan.key;
    if (flight != chain && !may_share &&
        (key < 0 || key != order_key(checker, head, chain->epoch))) {
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

/* How many of its key run there, this one among them, where the route has a bound for that. */
static void check_key_concurrency(struct sim_checker *checker, uint32_t client,
                                  const struct sim_command *command)
{
    const struct sim_route *route = sim_route_of(&checker->options, command->plan.index);
    uint32_t running = 0;
    if (route == NULL || route->key_concurrency == 0 || command->plan.key < 0) {
        return;
    }
    for (size_t i = 0; i < checker->open_runs_count; i++) {
        const struct sim_open_run *open = &checker->open_runs[i];
        running += open->client == client &&
                   checker->commands[open->command].plan.key == command->plan.key &&
                   sim_route_of(&checker->options, open->command) == route;
    }
    if (running > route->key_concurrency) {
        sim_checker_fail(checker, "limits",
                         "command %u runs as one of %u of its key, of at most %u",
                         command->plan.index, running, route->key_concurrency);
    }
    checker->tally.at_key_limit += running == route->key_concurrency && running > 1;
}

static void check_overlap(struct sim_checker *checker, uint32_t client,
                          const struct sim_command *command, uint32_t epoch)
{
    int32_t key = order_key(checker, command, epoch);
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

/* One that was answered with a fallback may come again behind its followers in the same way; so may
 * one that got its letter as a member of a unit when this was being released. */
bool sim_may_be_overtaken(const struct sim_checker *checker, const struct sim_command *command)
{
    const struct sim_route *route = sim_route_of(&checker->options, command->plan.index);
    return sim_may_have_been_held(checker, command) || (route != NULL && route->has_fallback) ||
           command->is_member || command->is_member_taken;
}

/* Kafka: whoever reads a partition reads it in order, from where all before has its outcome. */
static void check_first_run(struct sim_checker *checker, const struct sim_command *command,
                            uint32_t epoch)
{
    struct sim_log *log = &checker->logs[command->topic][command->partition];
    int32_t key = order_key(checker, command, epoch);
    if (checker->options.mode == DRI_SETTLE_EACH || key < 0 || command->runs > 0 ||
        !sim_has_place(command)) {
        return;
    }
    uint64_t *latest = &log->first_runs[key];
    if (*latest > command->offset && !command->is_complete &&
        !sim_may_be_overtaken(checker, command)) {
        sim_checker_fail(checker, "order", "command %u runs first after a later one of its key",
                         command->plan.index);
    }
    *latest = command->offset + 1 > *latest ? command->offset + 1 : *latest;
}

static void check_epoch(struct sim_checker *checker, const struct dri_flight *flight,
                        const struct sim_command *command)
{
    struct sim_epoch *epoch = sim_epoch_at(checker, flight->epoch);
    uint32_t attempt = flight->attempt;
    struct sim_arrival *arrival = find_arrival(epoch, command->plan.index, flight->offset);
    if (arrival == NULL) {
        sim_checker_fail(checker, "outcome", "command %u runs and was not delivered",
                         command->plan.index);
        return;
    }
    /* A held letter ends it, too: what comes again because that was not settled begins anew. */
    bool is_next = attempt == arrival->attempt + 1 || (arrival->is_held && attempt == 1) ||
                   (attempt == 1 && command->stops > 0) ||
                   (command->spared_runs > 0 && attempt == arrival->attempt) ||
                   (command->vague_runs > 0 && attempt <= arrival->attempt) ||
                   command->copies > 0; /* two of its copies may be in one log */
    if (!is_next || attempt > command->plan.attempts_max) {
        sim_checker_fail(checker, "attempts", "command %u: attempt %u after %u, of at most %u",
                         command->plan.index, attempt, arrival->attempt,
                         command->plan.attempts_max);
    }
    if (sim_progress_has(&epoch->told, flight->offset)) {
        sim_checker_fail(checker, "progress",
                         "command %u runs again, and client %u was told that it is finished",
                         command->plan.index, epoch->client);
    }
    arrival->attempt = attempt;
    int32_t key = order_key(checker, command, flight->epoch);
    bool is_vague = arrival->is_vague || (command->vague_runs > 0 && command->deliveries > 1);
    if (key < 0 || !sim_has_place(command) || epoch->is_over || epoch->is_park || is_vague ||
        arrival->is_held) {
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
        (head->record_epoch == epoch || head->record_at < sim_epoch_at(checker, epoch)->began_at)) {
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
    check_key_concurrency(checker, client, command);
    check_first_run(checker, command, flight->epoch);
    sim_park_check_order(checker, command, order_key(checker, command, flight->epoch),
                         sim_epoch_at(checker, flight->epoch)->began_at);
    sim_park_check_again(checker, command, order_key(checker, command, flight->epoch),
                         sim_epoch_at(checker, flight->epoch));
    check_epoch(checker, flight, command);
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
    return sim_is_unwell(flight->kind) && flight->is_probe && flight->probes < DRI_PROBES_MAX;
}

static void judge_run(struct sim_checker *checker, uint32_t client, const struct dri_flight *flight,
                      uint64_t at_ns)
{
    struct sim_command *command = command_of(checker, flight);
    const struct sim_plan *plan = &command->plan;
    bool is_final = flight->attempt == plan->runs && flight->kind == plan->kind;
    bool is_of_dependency = sim_has_failed_for_dependency(flight);
    bool names_one = sim_plan_blames(&checker->options, plan) >= 0;
    bool is_spared =
        !flight->is_stuck && (has_failed_as_probe(flight) || (is_of_dependency && !names_one));
    mix(checker, at_ns ^ ((uint64_t)plan->index << 32) ^ (uint64_t)flight->kind << 8);
    sim_checker_trace(checker, "ran      command %u attempt %u client %u: %s%s", plan->index,
                      flight->attempt, client,
                      flight->kind == DRAY_KIND_NONE ? "ok" : dray_kind_text(flight->kind),
                      is_final ? "" : ", to be retried");
    bool is_vague = !is_spared && sim_judge_flood(checker, client, flight, command, at_ns);
    if (!is_spared && !is_vague && !flight->is_stuck && is_of_dependency) {
        command->vague_runs++;
        is_vague = true;
    }
    command->spared_runs += is_spared;
    checker->tally.probes += is_spared;
    if (!is_final || is_spared || is_vague) {
        return;
    }
    if (flight->verdict.exhausted == DRI_EXHAUSTED_STOP_KEY && flight->kind != DRAY_KIND_NONE &&
        sim_order_key(checker, command) >= 0) {
        command->stop_runs++; /* whatever becomes of it, it may come again */
        command->final_epoch = flight->epoch;
        sim_judge_completion(checker, command);
        return;
    }
    struct sim_arrival *arrival =
        find_arrival(sim_epoch_at(checker, flight->epoch), command->plan.index, flight->offset);
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
        return dri_sim_unacked(checker->broker, "g", sim_source_names[topic]) == 0;
    }
    return log->committed_max > (int64_t)log->places[log->count - 1].offset;
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
    for (uint32_t i = 0; i < checker->options.partitions; i++) {
        if (!sim_park_is_settled(checker, (int32_t)i)) {
            return false;
        }
    }
    return true;
}

void sim_checker_ends(struct sim_checker *checker)
{
    sim_checker_watch(checker);
    checker->is_ending = true;
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
                             command->plan.index, sim_source_names[command->topic],
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
                                 sim_source_names[topic], i, checker->logs[topic][i].committed,
                                 dri_sim_unacked(checker->broker, "g", sim_source_names[topic]));
            }
        }
    }
    for (uint32_t i = 0; i < checker->options.partitions; i++) {
        if (!sim_park_is_settled(checker, (int32_t)i)) {
            sim_checker_fail(checker, "liveness", "the park log %u is not settled to its end", i);
        }
    }
}

/* One outcome a delivery that was not to be skipped; more only where a publish was unknown. */
static uint64_t excess(const struct sim_command *command)
{
    const uint32_t counts[] = {command->results, command->errors, command->letters};
    /* What was parked came from a delivery that has no outcome. */
    uint32_t spent = command->skips + command->moves;
    uint32_t most = command->deliveries > spent ? command->deliveries - spent : 1;
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
        command->results + command->letters > 1 ||
        command->deliveries - command->park_deliveries != 1 + command->copies ||
        command->park_deliveries != command->parks) {
        sim_checker_fail(checker, "duplicates",
                         "command %u: %u results, %u errors, %u letters, %u deliveries, in peace",
                         plan->index, command->results, command->errors, command->letters,
                         command->deliveries);
    } else if (sim_has_window(checker, command) && sim_enters_window(plan)) {
        bool is_vague = checker->options.mode == DRI_SETTLE_EACH && checker->options.workers > 1;
        uint32_t runs = checker->commands[plan->of].family_runs;
        if (is_vague || checker->options.exhausted != DRI_EXHAUSTED_DEAD_LETTER) {
            return; /* two workers may have begun with the same id before either had ended */
        }
        if (runs - spared_of_family(checker, plan->of) != plan->runs) {
            sim_checker_fail(checker, "window", "the id of command %u ran %u times, planned %u",
                             plan->of, runs, plan->runs);
        }
    } else if (plan->shape == SIM_SHAPE_SOUND && !may_expire && !command->was_answered &&
               command->stops == 0 && !command->is_member &&
               (command->runs - command->spared_runs - command->vague_runs > plan->runs ||
                command->runs - command->spared_runs < plan->runs)) {
        sim_checker_fail(checker, "duplicates", "command %u ran %u times, planned %u", plan->index,
                         command->runs, plan->runs);
    }
}

/* Whatever went wrong: with transactions each outcome stands there once. */
static void check_exact(struct sim_checker *checker, const struct sim_command *command)
{
    if (command->results + command->errors > 1 || command->letters > 1 ||
        (command->results > 0 && command->letters > 0)) {
        sim_checker_fail(checker, "exactly once",
                         "command %u has %u results, %u error results and %u dead letters",
                         command->plan.index, command->results, command->errors, command->letters);
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
        if (excess(command) > 0) {
            sim_checker_trace(checker,
                              "excess   command %u: %u results, %u errors, %u letters, %u "
                              "deliveries, %u of them of %u copies, %u to be skipped",
                              command->plan.index, command->results, command->errors,
                              command->letters, command->deliveries, command->park_deliveries,
                              command->parks, command->skips);
        }
        checker->tally.duplicates += command->results > 1 || command->letters > 1 ||
                                     (command->results > 0 && command->letters > 0);
        if (!command->is_complete) {
            sim_checker_fail(checker, "outcome", "command %u has no outcome", command->plan.index);
        }
        if (checker->options.is_quiet) {
            check_quiet(checker, command);
        }
        if (checker->options.transaction_ms != 0) {
            check_exact(checker, command);
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

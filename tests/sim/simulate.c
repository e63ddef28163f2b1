/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* simulate.c - plays seeds of the simulator from the command line.
 *
 *   simulate --seed 12345 --mode each --trace    one seed, told
 *   simulate --seeds 1..5000                     many, in both modes
 *
 * Every seed is played twice, and both plays must come to the same hash. A seed that fails prints
 * one line that repeats it. An assertion in the product counts as a failure of the seed that ran.
 *
 * Built with a planted bug, --expect-failure turns the exit code round: the bug has to be caught.
 * With
 * --require-faults every kind of fault must have happened at least once in the whole range.
 */
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "core/planted.h"
#include "world.h"

#define EXIT_USAGE 2

struct arguments {
    uint64_t first, last;
    bool plays_watermark, plays_each;
    bool is_tracing, is_once, expects_failure, requires_faults;
};

struct totals {
    uint64_t plays, virtual_ms, turns, quiet;
    uint64_t faults[DRI_SIM_FAULT_COUNT];
    uint64_t nemesis[SIM_NEMESIS_COUNT];
    struct sim_tally tally;
};

/* What repeats a seed. */
static const char *runner = "tests/sim/run";

/* What to say when an assertion ends the process. */
static char last_words[1000];
static bool is_failure_wanted;

static void on_abort(int number)
{
    ssize_t written = write(STDOUT_FILENO, last_words, strlen(last_words));
    (void)written;
    (void)number;
    _exit(is_failure_wanted ? 0 : 1);
}

static const char *mode_text(enum dri_settle_mode mode)
{
    return mode == DRI_SETTLE_EACH ? "each" : "watermark";
}

static void discard_line(void *arg, const char *line, size_t len)
{
    (void)arg;
    (void)line;
    (void)len;
}

/* --- totals
 * --------------------------------------------------------------------------------------- */

static void add(struct totals *totals, const struct sim_options *options,
                const struct sim_outcome *outcome)
{
    const uint64_t *from = (const uint64_t *)&outcome->tally;
    uint64_t *to = (uint64_t *)&totals->tally;
    totals->plays++;
    totals->virtual_ms += outcome->virtual_ms;
    totals->turns += outcome->turns;
    totals->quiet += options->is_quiet;
    for (size_t i = 0; i < DRI_SIM_FAULT_COUNT; i++) {
        totals->faults[i] += outcome->faults[i];
    }
    for (size_t i = 0; i < SIM_NEMESIS_COUNT; i++) {
        totals->nemesis[i] += outcome->nemesis[i];
    }
    for (size_t i = 0; i < sizeof(outcome->tally) / sizeof(*from); i++) {
        to[i] += from[i];
    }
}

static void print_totals(const struct totals *totals, double seconds)
{
    const struct sim_tally *tally = &totals->tally;
    (void)printf("%" PRIu64 " plays (%" PRIu64 " in peace), %.1f virtual hours, %" PRIu64
                 " turns, %" PRIu64 " broker events in %.1f s\n",
                 totals->plays, totals->quiet, (double)totals->virtual_ms / 3600000.0,
                 totals->turns, tally->events, seconds);
    (void)printf("%" PRIu64 " commands: %" PRIu64 " runs (%" PRIu64 " retries, %" PRIu64
                 " again after a fault, %" PRIu64 " deaf), %" PRIu64 " deliveries (%" PRIu64
                 " again)\n",
                 tally->commands, tally->runs, tally->retries, tally->reruns, tally->deaf,
                 tally->deliveries, tally->redeliveries);
    (void)printf("outcomes: %" PRIu64 " results (%" PRIu64 " too large, %" PRIu64
                 " to the fallback), %" PRIu64 " letters (%" PRIu64 " pointers, %" PRIu64
                 " expired), %" PRIu64 " error results; %" PRIu64 " commands with more than one\n",
                 tally->results, tally->limits, tally->fallbacks, tally->letters, tally->pointers,
                 tally->expired, tally->errors, tally->duplicates);
    (void)printf("metadata: in %" PRIu64 " commits, taken up in %" PRIu64
                 " assignments, which spared %" PRIu64 " commands a second run; %" PRIu64
                 " ran behind what was parked, because it was lost\n",
                 tally->metadata, tally->told, tally->skips, tally->forgotten);
    (void)printf("routes: %" PRIu64 " runs at a limit, %" PRIu64 " probes that failed, %" PRIu64
                 " held letters\n",
                 tally->at_limit, tally->probes, tally->held);
    (void)printf("schedules: %" PRIu64 " copies in delay logs\n", tally->delayed);
    (void)printf("park logs: %" PRIu64 " records, %" PRIu64 " came out, %" PRIu64
                 " were stored again, %" PRIu64 " copies were dropped; %" PRIu64
                 " stopped, %" PRIu64 " held, %" PRIu64 " letters in units, %" PRIu64
                 " releases; %" PRIu64 " not read on for a full disk\n",
                 tally->parks, tally->unparks, tally->rewrites, tally->copies, tally->stops,
                 tally->holds, tally->members, tally->releases, tally->disk_holds);
    (void)printf("windows: %" PRIu64 " commands with the id of an earlier one, %" PRIu64
                 " ends recorded, %" PRIu64 " duplicates answered\n",
                 tally->twins, tally->windows, tally->answers);
    (void)printf("nemesis:");
    for (int i = 0; i < SIM_NEMESIS_COUNT; i++) {
        (void)printf(" %s %" PRIu64, sim_nemesis_text((enum sim_nemesis)i), totals->nemesis[i]);
    }
    (void)printf("\nfaults:\n");
    for (int i = 0; i < DRI_SIM_FAULT_COUNT; i++) {
        (void)printf("%10" PRIu64 "  %s\n", totals->faults[i],
                     dri_sim_fault_text((enum dri_sim_fault)i));
    }
}

/* A suite in which a fault never happened proves nothing about it. */
static int count_missing(const struct totals *totals)
{
    int missing = 0;
    if (totals->tally.skips == 0) {
        (void)printf("never happened: a command was finished and not run again\n");
        missing++;
    }
    for (int i = 0; i < DRI_SIM_FAULT_COUNT; i++) {
        if (totals->faults[i] == 0) {
            (void)printf("never happened: %s\n", dri_sim_fault_text((enum dri_sim_fault)i));
            missing++;
        }
    }
    for (int i = 0; i < SIM_NEMESIS_COUNT; i++) {
        if (totals->nemesis[i] == 0) {
            (void)printf("never happened: %s\n", sim_nemesis_text((enum sim_nemesis)i));
            missing++;
        }
    }
    if (totals->tally.deaf == 0) {
        (void)printf("never happened: a handler that ignores its time limit\n");
        missing++;
    }
    const struct {
        const char *text;
        uint64_t count;
    } limits[] = {
        {"a command that was parked", totals->tally.parks},
        {"a command that came out of a park log", totals->tally.unparks},
        {"a command that was parked again", totals->tally.rewrites},
        {"a copy of a parked command that was dropped", totals->tally.copies},
        {"a park log that was not read on because the disk was full", totals->tally.disk_holds},
        {"a key that was stopped", totals->tally.stops},
        {"a key that was held", totals->tally.holds},
        {"a letter in the unit of another", totals->tally.members},
        {"a key that was released", totals->tally.releases},
        {"a run at its route's limit", totals->tally.at_limit},
        {"a probe that failed", totals->tally.probes},
        {"a held letter", totals->tally.held},
        {"a duplicate that was answered", totals->tally.answers},
        {"a command in a delay log", totals->tally.delayed},
        {"a key with as many runs as may be", totals->tally.at_key_limit},
        {"an answer without a run", totals->tally.answered},
        {"a dependency that is down", totals->tally.downs},
        {"a failure when most had failed", totals->tally.outage_runs}};
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        if (limits[i].count == 0) {
            (void)printf("never happened: %s\n", limits[i].text);
            missing++;
        }
    }
    return missing;
}

/* --- playing
 * -------------------------------------------------------------------------------------- */

/* Whether the seed passes; else one line says why and how to see it again. */
static bool play(const struct arguments *arguments, uint64_t seed, enum dri_settle_mode mode,
                 struct totals *totals)
{
    struct sim_options options;
    struct sim_outcome outcome;
    sim_options_draw(seed, mode, &options);
    (void)snprintf(last_words, sizeof(last_words),
                   "FAIL  %s --seed %" PRIu64 " --mode %s  # an assertion\n", runner, seed,
                   mode_text(mode));
    sim_world_play(&options, arguments->is_tracing, &outcome);
    if (outcome.failure[0] == '\0' && !arguments->is_once) {
        struct sim_outcome again;
        sim_world_play(&options, false, &again);
        if (again.hash != outcome.hash) {
            (void)snprintf(outcome.failure, sizeof(outcome.failure),
                           "determinism: two plays gave %016" PRIx64 " and %016" PRIx64,
                           outcome.hash, again.hash);
        }
    }
    add(totals, &options, &outcome);
    if (outcome.failure[0] != '\0') {
        (void)printf("FAIL  %s --seed %" PRIu64 " --mode %s  # %s\n", runner, seed, mode_text(mode),
                     outcome.failure);
        (void)fflush(stdout);
        return false;
    }
    return true;
}

static int play_all(const struct arguments *arguments)
{
    static struct totals totals;
    int failures = 0;
    clock_t begin = clock();
    for (uint64_t seed = arguments->first; seed <= arguments->last && failures < 10; seed++) {
        failures +=
            arguments->plays_watermark && !play(arguments, seed, DRI_SETTLE_WATERMARK, &totals);
        failures += arguments->plays_each && !play(arguments, seed, DRI_SETTLE_EACH, &totals);
        if (arguments->expects_failure && failures > 0) {
            (void)printf("caught after %" PRIu64 " plays, as it should be\n", totals.plays);
            return 0;
        }
    }
    print_totals(&totals, (double)(clock() - begin) / CLOCKS_PER_SEC);
    if (arguments->expects_failure) {
        (void)printf("the planted bug %d was not caught\n", DRI_PLANTED);
        return 1;
    }
    if (arguments->requires_faults) {
        failures += count_missing(&totals);
    }
    return failures == 0 ? 0 : 1;
}

/* --- arguments
 * ------------------------------------------------------------------------------------ */

static bool parse_range(const char *text, struct arguments *arguments)
{
    char *end = NULL;
    arguments->first = strtoull(text, &end, 10);
    arguments->last = arguments->first;
    if (strncmp(end, "..", 2) == 0) {
        arguments->last = strtoull(end + 2, &end, 10);
    }
    return *end == '\0' && end != text && arguments->first <= arguments->last;
}

static bool parse_mode(const char *text, struct arguments *arguments)
{
    bool is_both = strcmp(text, "both") == 0;
    arguments->plays_watermark = is_both || strcmp(text, "watermark") == 0;
    arguments->plays_each = is_both || strcmp(text, "each") == 0;
    return arguments->plays_watermark || arguments->plays_each;
}

static bool parse_flag(const char *text, struct arguments *arguments)
{
    const struct {
        const char *name;
        bool *flag;
    } flags[] = {
        {"--trace", &arguments->is_tracing},
        {"--once", &arguments->is_once},
        {"--expect-failure", &arguments->expects_failure},
        {"--require-faults", &arguments->requires_faults},
    };
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        if (strcmp(text, flags[i].name) == 0) {
            *flags[i].flag = true;
            return true;
        }
    }
    return false;
}

static bool parse(int argc, char **argv, struct arguments *arguments)
{
    bool is_sound = true;
    *arguments =
        (struct arguments){.first = 1, .last = 100, .plays_watermark = true, .plays_each = true};
    for (int i = 1; i < argc && is_sound; i++) {
        bool has_value = i + 1 < argc;
        if (has_value && (strcmp(argv[i], "--seed") == 0 || strcmp(argv[i], "--seeds") == 0)) {
            is_sound = parse_range(argv[++i], arguments);
        } else if (has_value && strcmp(argv[i], "--mode") == 0) {
            is_sound = parse_mode(argv[++i], arguments);
        } else {
            is_sound = parse_flag(argv[i], arguments);
        }
    }
    /* The environment may ask for fewer seeds, or for more, of a suite; a planted bug needs its
     * own. */
    const char *seeds = getenv("DRAY_SIM_SEEDS");
    if (is_sound && seeds != NULL && arguments->last > arguments->first &&
        !arguments->expects_failure) {
        uint64_t wanted = strtoull(seeds, NULL, 10);
        is_sound = wanted > 0;
        arguments->last = arguments->first + wanted - 1;
    }
    return is_sound;
}

int main(int argc, char **argv)
{
    struct arguments arguments;
    if (!parse(argc, argv, &arguments)) {
        (void)fprintf(stderr, "usage: simulate [--seed N | --seeds FROM..TO] "
                              "[--mode watermark|each|both] [--trace] [--once]\n"
                              "                [--expect-failure] [--require-faults]\n");
        return EXIT_USAGE;
    }
    is_failure_wanted = arguments.expects_failure;
    runner = DRI_PLANTED == 0 ? runner : argv[0];
    (void)signal(SIGABRT, on_abort);
    dri_log_setup(DRI_LOG_LOGFMT, DRI_LOG_ERROR, discard_line, NULL);
    return play_all(&arguments);
}

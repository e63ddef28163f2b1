/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

/* bench_report.h - times by their size, medians of rounds, and where figures go: a line for people,
 * a line of JSON, a row of a Markdown table.
 */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- times: sixteen steps for each doubling, so a percentile is right to 6 % ---- */

#define TIMES_STEPS   16u
#define TIMES_BUCKETS (60u * TIMES_STEPS)

struct times {
    uint64_t count;
    uint64_t of[TIMES_BUCKETS];
};

static inline void times_add(struct times *times, uint64_t ns)
{
    unsigned power = ns < TIMES_STEPS ? 0 : 60u - (unsigned)__builtin_clzll(ns);
    uint64_t bucket = power * TIMES_STEPS + (power == 0 ? ns : (ns >> (power - 1)) - TIMES_STEPS);
    times->of[bucket < TIMES_BUCKETS ? bucket : TIMES_BUCKETS - 1]++;
    times->count++;
}

static inline void times_merge(struct times *times, const struct times *more)
{
    for (unsigned i = 0; i < TIMES_BUCKETS; i++) {
        times->of[i] += more->of[i];
    }
    times->count += more->count;
}

/** The least time of the bucket that the share falls into; share: of a thousand. */
static inline double times_at(const struct times *times, unsigned share)
{
    uint64_t left = times->count * share / 1000;
    for (unsigned i = 0; i < TIMES_BUCKETS; i++) {
        if (times->of[i] > left) {
            unsigned power = i / TIMES_STEPS;
            return power == 0 ? (double)i
                              : (double)((uint64_t)(i % TIMES_STEPS + TIMES_STEPS) << (power - 1));
        }
        left -= times->of[i];
    }
    return 0;
}

/* ---- rounds ---- */

static inline int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static inline double median(double *values, unsigned count)
{
    qsort(values, count, sizeof(values[0]), compare_doubles);
    return values[count / 2];
}

/* ---- out ---- */

struct report {
    FILE *json;     /* NULL: none */
    FILE *markdown; /* NULL: none */
};

/** One scheme in one cell. */
struct report_row {
    const char *scheme, *by;
    size_t routes;
    unsigned threads, rate;
    double ns, to_epoch;   /* CPU time of one */
    double p50, p99, p999; /* of one, as a batch had it by the clock: with what it waited */
    double update_us;
};

static inline void report_begin(const struct report *report)
{
    if (report->markdown != NULL) {
        (void)fprintf(
            report->markdown,
            "| routes | by | threads | updates/s | scheme | ns CPU | to epoch | p50 ns | "
            "p99 ns | p99.9 ns | us an update |\n|---|---|---|---|---|---|---|---|---|---|---|\n");
    }
}

static inline void report_row(const struct report *report, const struct report_row *row)
{
    if (report->json != NULL) {
        (void)fprintf(report->json,
                      "{\"bench\":\"registry\",\"scheme\":\"%s\",\"routes\":%zu,\"by\":\"%s\","
                      "\"threads\":%u,\"updates_per_s\":%u,\"ns\":%.2f,\"to_epoch\":%.3f,"
                      "\"p50_ns\":%.1f,\"p99_ns\":%.1f,\"p999_ns\":%.1f,\"update_us\":%.2f}\n",
                      row->scheme, row->routes, row->by, row->threads, row->rate, row->ns,
                      row->to_epoch, row->p50, row->p99, row->p999, row->update_us);
    }
    if (report->markdown != NULL) {
        (void)fprintf(report->markdown,
                      "| %zu | %s | %u | %u | %s | %.1f | %.2f | %.1f | %.1f | %.1f | %.2f |\n",
                      row->routes, row->by, row->threads, row->rate, row->scheme, row->ns,
                      row->to_epoch, row->p50, row->p99, row->p999, row->update_us);
    }
}

/** False when something was not written. */
static inline bool report_end(const struct report *report)
{
    bool is_whole = report->json == NULL || fclose(report->json) == 0;
    return (report->markdown == NULL || fclose(report->markdown) == 0) && is_whole;
}

#endif

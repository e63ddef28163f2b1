/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "adaptive.h"

#include "assert.h"
#include "planted.h"

/* The limit of a route that finds its own.
 *
 * As long as what is behind a route has room, a run takes as long whether few or many run. From
 * some number on, runs wait there for each other, and more of them at once do nothing but take
 * longer. The rule is that of TCP Vegas and of Netflix' gradient limits: with `base` how long a run
 * takes without waiting and `mean` how long the last ones took,
 *
 *     next = limit * clamp(5/4 * base / mean, 1/2, 1) + sqrt(limit)
 *
 * (without the root where the clamp is 1/2) and the limit goes half of the way there. So it grows
 * by half of its root while nothing waits, and comes to rest where what waits is a little more than
 * its root. It changes once in a window, of as many runs as may be out at once and at least
 * WINDOW_MIN; that is the only division.
 *
 * It begins at its minimum, and base is the least mean of a window. Base grows only while the limit
 * is the minimum: what a run takes then is not our doing. Were it a long average, as with Netflix,
 * a limit that stands too high would teach itself that slow is normal. What became much slower for
 * good brings the limit down to the minimum by itself. What became a little slower does not, so
 * after LOOK_WINDOWS windows in which runs waited the limit is the minimum for one, and what it was
 * again, with the base of now (as BBR does).
 *
 * It grows only when half of it ran at once: an idle route learns nothing of what is beyond. An
 * overload (the run timed out, or was told that the service is not available) takes a quarter, and
 * what was running then cannot take another: one outage is one step for each round of runs. Only
 * runs that succeed are measured, because failing is often fast.
 */

#define Q            256u
#define ROOT_OF_Q    16u
#define WINDOW_MIN   4u
#define LOOK_WINDOWS 256u

void dri_adaptive_reset(struct dri_adaptive *adaptive, uint32_t min, uint32_t max)
{
    DRI_ASSERT(min >= 1 && min <= max);
    *adaptive = (struct dri_adaptive){.min = min, .max = max, .limit_q = (uint64_t)min * Q};
}

uint32_t dri_adaptive_limit(const struct dri_adaptive *adaptive)
{
    return (uint32_t)(adaptive->limit_q / Q);
}

static void set_limit(struct dri_adaptive *adaptive, uint64_t limit_q)
{
    uint64_t min_q = (uint64_t)adaptive->min * Q;
    uint64_t max_q = (uint64_t)adaptive->max * Q;
    if (limit_q > max_q && !DRI_IS_PLANTED(ADAPTIVE_BEYOND)) {
        limit_q = max_q;
    }
    adaptive->limit_q = limit_q < min_q ? min_q : limit_q;
}

static void begin_window(struct dri_adaptive *adaptive)
{
    adaptive->sum_ns = 0;
    adaptive->count = 0;
    adaptive->peak = 0;
}

/* Rounded down, bit by bit. */
static uint64_t root_of(uint64_t number)
{
    uint64_t root = 0;
    for (uint64_t bit = UINT64_C(1) << 31; bit != 0; bit >>= 1) {
        if ((root + bit) * (root + bit) <= number) {
            root += bit;
        }
    }
    return root;
}

/* 5/4 * base / mean from 1/2 to 1, in 1/256. */
static uint64_t gradient_q(uint64_t base_ns, uint64_t mean_ns)
{
    uint64_t good_ns = base_ns + base_ns / 4;
    if (mean_ns <= good_ns) {
        return Q;
    }
    uint64_t part_ns = mean_ns / Q; /* not good_ns * Q: that might not fit */
    uint64_t gradient = part_ns != 0 ? good_ns / part_ns : Q;
    gradient = gradient < Q ? gradient : Q;
    return gradient > Q / 2 ? gradient : Q / 2;
}

/* One window at the minimum. */
static void look(struct dri_adaptive *adaptive, uint32_t running)
{
    adaptive->resume_q = adaptive->limit_q;
    adaptive->old_runs = running > 0 ? running - 1 : 0;
    set_limit(adaptive, 0);
}

static void end_window(struct dri_adaptive *adaptive, uint32_t running)
{
    uint64_t mean_ns = adaptive->sum_ns / adaptive->count;
    uint64_t limit_q = adaptive->limit_q;
    bool is_least = adaptive->base_ns == 0 || mean_ns < adaptive->base_ns;
    bool is_at_min = limit_q == (uint64_t)adaptive->min * Q && adaptive->peak <= adaptive->min;
    if (is_least || is_at_min) {
        adaptive->base_ns = mean_ns;
    }
    if (adaptive->resume_q != 0) {
        set_limit(adaptive, adaptive->resume_q);
        adaptive->resume_q = 0;
        adaptive->windows = 0;
        begin_window(adaptive);
        return;
    }
    uint64_t gradient = gradient_q(adaptive->base_ns, mean_ns);
    uint64_t room_q = gradient > Q / 2 ? root_of(limit_q) * ROOT_OF_Q : 0;
    uint64_t next_q = limit_q * gradient / Q + room_q;
    bool is_used = (uint64_t)adaptive->peak * 2 >= dri_adaptive_limit(adaptive);
    if (next_q < limit_q || is_used) {
        set_limit(adaptive, (limit_q + next_q) / 2);
    }
    adaptive->windows += gradient < Q ? 1 : 0;
    if (adaptive->windows >= LOOK_WINDOWS) {
        look(adaptive, running);
    }
    begin_window(adaptive);
}

static bool is_old(struct dri_adaptive *adaptive)
{
    bool is = adaptive->old_runs != 0;
    adaptive->old_runs -= is ? 1 : 0;
    return is;
}

bool dri_adaptive_took(struct dri_adaptive *adaptive, uint32_t running, uint64_t run_ns)
{
    uint64_t before_q = adaptive->limit_q;
    const uint64_t run_max_ns = UINT64_C(1) << 30 << 12; /* an hour and more: the sum fits */
    if (is_old(adaptive)) {
        return false;
    }
    adaptive->sum_ns += run_ns < run_max_ns ? run_ns : run_max_ns;
    adaptive->count++;
    adaptive->peak = running > adaptive->peak ? running : adaptive->peak;
    if (adaptive->count >= WINDOW_MIN && adaptive->count >= dri_adaptive_limit(adaptive)) {
        end_window(adaptive, running);
    }
    return adaptive->limit_q < before_q && adaptive->resume_q == 0;
}

bool dri_adaptive_overload(struct dri_adaptive *adaptive, uint32_t running)
{
    uint64_t before_q = adaptive->limit_q;
    if (is_old(adaptive)) {
        return false;
    }
    adaptive->resume_q -= adaptive->resume_q / 4;
    set_limit(adaptive, before_q - before_q / 4);
    begin_window(adaptive);
    adaptive->old_runs = running > 0 ? running - 1 : 0;
    return adaptive->limit_q < before_q;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_EXECUTOR_INSIDE_H
#define DRI_EXECUTOR_INSIDE_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include <dray/handler.h>

#include "executor.h"
#include "journal.h"
#include "lock.h"
#include "metrics.h"
#include "payload.h"
#include "queue.h"
#include "registry.h"

/* executor_inside.h - what the executor's files share; private to them.
 *
 *   executor.c   lanes, their queues, the engine's side, life
 *   runner.c     the thread of a lane: chains, what becomes of it when its lane is taken away
 *   call.c       one run: route, handler, result
 *   host.c       what a handler may ask while it runs, and cancelling
 *   block.c      the bytes that a run leaves behind
 *   watchdog.c   deadlines, and handlers that ignore them
 *   stack.c      where a thread stands
 *
 * A *lane* is a pair of queues and what belongs to them. A *runner* is a thread that serves one
 * lane, and all that a handler may still touch when the lane has been taken away from it. Fields
 * "of the holder" belong to the thread that holds the lane: its runner, or the keeper between two.
 */

#define BLOCK_BYTES    1024u /* of a recycled block, header included */
#define SPARE_MAX      1024u
#define CODE_BYTES     64u
#define TEXT_BYTES     1024u
#define SOURCE_BYTES   340u
#define TREE_BYTES     (32u * 1024u * 1024u) /* objects of one payload */
#define CHAINS_A_BATCH 64u
#define FRAMES_MAX     48u
#define STACK_BYTES    4096u /* of a stack as text */

#define NOTHING_RUNS  UINT64_MAX
#define CANCELLED_BIT (UINT64_C(1) << 31) /* of a token's index half, which never needs them */
#define TAKEN_BIT     (UINT64_C(1) << 30)
#define NEVER         UINT64_MAX

struct block;
struct lane;
struct lanes;

/** What the keeper has decided about a runner whose run it has marked TAKEN. */
enum fate {
    FATE_OPEN,  /* not yet */
    FATE_KEEPS, /* it was a mistake: go on as if nothing had been */
    FATE_LOST,  /* its lane has another runner: end */
};

/** Where a thread stands; see stack.c. */
struct stack {
    void *frames[FRAMES_MAX];
    _Atomic(int) count;
    sem_t is_there;
};

struct runner {
    struct dray_call call; /* first: the host functions get a pointer to it */
    struct lanes *lanes;   /* immutable */
    struct lane *lane;     /* immutable */
    uint32_t number;       /* of its line in the journal; immutable */
    pthread_t thread;      /* whoever joins */

    /* the runner's thread; the keeper reads some of it between TAKEN and its decision */
    struct dri_reader *reader;
    struct dri_payload_arena *arena; /* made when a handler first asks for a tree */
    struct dri_journal_line *line;   /* NULL: no journal */
    uint8_t *result_buffer;          /* owned */
    struct dri_flight *flight;       /* that runs; a name only, once it was taken away */
    const struct dri_route *route;   /* that runs; pinned */
    uint64_t deadline_ns;            /* 0: none */
    uint32_t retry_after_ms;
    bool has_cancel; /* the handler left a function */
    bool is_refused; /* an interceptor ended it */
    char code[CODE_BYTES];
    char text[TEXT_BYTES + 1];
    char source[SOURCE_BYTES];

    _Alignas(64) _Atomic(uint64_t)
        current; /* token of the running flight, with its bits; or NOTHING_RUNS */
    _Atomic(uint64_t)
        overdue_ns; /* when the watchdog takes the lane away; written before current */

    /* guarded by calls */
    struct runner *next;
    bool has_begun;
    enum dray_status begin_status;
    dray_cancel_fn *cancel;
    void *cancel_arg;
    uint64_t cancel_ns;       /* when the keeper calls it; NEVER: not by time */
    uint64_t cancelled_token; /* of the run that was cancelled last, and when */
    uint64_t cancelled_ns;
    enum fate fate;
    uint64_t stuck_ns; /* since when its lane is another's; 0: it is its own */
    bool has_key;      /* of the flight that was taken away */
    bool has_ended;

    struct stack stack;
};

struct lane {
    _Alignas(64) struct lanes *lanes; /* immutable */
    uint32_t index;                   /* immutable */
    struct dri_spsc *in;              /* chains from the engine */
    struct dri_spsc *out;             /* flights to the engine */
    struct dri_spsc *returned;        /* blocks from the engine */
    struct dri_wake wake;
    bool has_new; /* the engine's: something was put since the last flush */

    /* the holder's */
    struct dri_metrics_page *page;
    struct block *spare[SPARE_MAX];
    size_t spare_count;
    void *chains[CHAINS_A_BATCH]; /* taken from in and not begun: from chains_at on */
    size_t chains_at, chains_count;
    struct dri_flight *rest; /* of the chain that runs: not begun */
};

struct lanes {
    struct dri_executor_base base; /* first */
    struct dri_lanes_config config;
    struct lane *lane;            /* owned array */
    _Atomic(uint32_t) timeout_ms; /* of a route that says nothing */
    _Atomic(uint32_t) running;    /* runners whose threads have not ended */
    _Atomic(uint32_t) returned;   /* runners in back */
    _Atomic(bool) is_stopping;
    struct dri_lock calls;
    struct dri_cond changed; /* of what calls guards */
    pthread_t keeper;
    bool has_keeper;

    /* guarded by calls */
    struct runner *runners; /* owned: those with a thread */
    struct runner *back;    /* owned: those that were stuck and have ended, for the engine */
    uint64_t keeper_ns;     /* when the keeper was made: it may begin much later */
    bool is_keeper_stopping;
    struct dri_lanes_stats stats;
};

static inline struct lanes *lanes_of(struct dri_executor *executor)
{
    return (struct lanes *)(void *)executor;
}

/* runner.c */
/** A runner for the lane, with its thread; waits until it has begun. Errors: ENOMEM, EIO, ELIMIT.
 */
DRAY_MUST_CHECK enum dray_status dri_runner_start(struct lane *lane);
/** Free it. Requires: its thread was joined, or never begun. */
void dri_runner_destroy(struct runner *runner);
/** Put a flight into the lane's out. Threads: the holder. */
void dri_lane_put(struct lane *lane, struct dri_flight *flight);

/* call.c */
/** Run a flight. False: the lane was taken away meanwhile, and the flight with it. */
DRAY_MUST_CHECK bool dri_call_run(struct runner *runner, struct dri_flight *flight);
/** When a run failed last, and for the first time. */
void dri_call_stamp_failure(struct dri_flight *flight);
/** Its route may be on trial. */
void dri_call_note_canary(const struct runner *runner, const struct dri_flight *flight,
                          const struct dri_route *route);

/* host.c */
extern const struct dray_host dri_call_host;
/** Requires: calls is held. */
void dri_runner_call_cancel(struct runner *runner);
/** Cancel the run with this token, if it is the runner's. Requires: calls is held. */
void dri_runner_cancel(struct runner *runner, uint64_t token);

/* block.c */
struct outcome_texts {
    struct dray_slice result, code, text, backtrace;
};
/** Copy what the run left behind into a block of the flight. False: no memory. Threads: the
 *  lane's holder. */
DRAY_MUST_CHECK bool dri_block_keep(struct lane *lane, struct dri_flight *flight,
                                    const struct outcome_texts *texts,
                                    const struct dri_route *route);
/** The block of an earlier attempt goes. Threads: the lane's holder. */
void dri_block_drop(struct lane *lane, struct dri_flight *flight);
/** Threads: the engine's. */
void dri_block_release(struct dri_executor *executor, struct dri_flight *flight);
void dri_block_free_all(struct lane *lane);

/* watchdog.c */
/** The keeper's thread; its argument are the lanes. */
void *dri_watchdog_run(void *arg);
/** For a runner whose current had TAKEN_BIT when its handler returned: wait for the decision.
 *  Whether the lane is still its own. */
bool dri_watchdog_is_spared(struct runner *runner);

/* stack.c */
/** Once a process; safe to repeat. */
void dri_stack_setup(void);
/** For dri_stack_capture to find the calling thread's stack; NULL takes it back. */
void dri_stack_register(struct stack *stack);
/** Ask a thread where it stands; false when it does not answer within two seconds. A stack can be
 *  captured once. */
DRAY_MUST_CHECK bool dri_stack_capture(struct stack *stack, pthread_t thread);
/** One frame a line, the innermost first: module+offset, and a name where there is one. module_name
 *  stands for an image that was loaded from a descriptor. */
void dri_stack_format(const struct stack *stack, const char *module_name,
                      char ret_text[STACK_BYTES]);

#endif

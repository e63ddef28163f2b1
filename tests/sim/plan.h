/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef SIM_PLAN_H
#define SIM_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/kind.h>
#include <dray/slice.h>
#include <dray/status.h>

#include "chance.h"
#include "options.h"
#include "wire/control.h"

/* plan.h - what one command is and what its handler will do: all of it is known beforehand. */

enum sim_shape {
    SIM_SHAPE_SOUND,
    SIM_SHAPE_TRUNCATED,  /* id can be read, the end is missing */
    SIM_SHAPE_TRAILING,   /* a byte too many */
    SIM_SHAPE_NO_COMMAND, /* neither cmd nor fid */
    SIM_SHAPE_NOISE,      /* no map at all */
    SIM_SHAPE_DENIED,     /* a namespace that the worker does not serve */
};

enum sim_reply {
    SIM_REPLY_DEFAULT,   /* the results topic */
    SIM_REPLY_NONE,      /* "" */
    SIM_REPLY_SIDE,      /* another topic that is allowed and there */
    SIM_REPLY_MISSING,   /* allowed and not there (EACH: the results stream takes it) */
    SIM_REPLY_FORBIDDEN, /* allowed, there, refused by the broker */
    SIM_REPLY_ELSEWHERE, /* not allowed */
    SIM_REPLY_INBOX,     /* a courtesy */
};

struct sim_plan {
    uint32_t index;
    uint32_t of; /* whose id it has: its own index, or an earlier one's, whose twin it is */
    enum sim_shape shape;
    enum sim_reply reply;
    int32_t key;        /* -1: none */
    bool is_broker_key; /* only the broker's message carries it */
    bool is_replayed;   /* goes to the replay topic */
    uint32_t padding;   /* bytes in the payload */
    uint32_t failures;  /* runs that fail and are retried, before the last one */
    enum dray_error_kind retried_kind;
    enum dray_error_kind final_kind; /* of the last run; NONE: ok */
    uint32_t attempts_max;           /* policy */
    uint32_t runs;                   /* that it takes: failures and the last one */
    enum dray_error_kind kind;       /* that it comes to in the end; NONE: ok */
    bool is_limited;                 /* the executor says that the result is too large */
    uint32_t result_bytes;           /* beyond the broker's bound: it is refused there */
    bool is_slow;
    bool is_deaf;                        /* the handler of the last run ignores its time limit */
    uint64_t deadline_ms, not_before_ms; /* wall; 0: none */
};

#define SIM_BYTES_MAX 9000u

struct sim_bytes {
    uint8_t at[SIM_BYTES_MAX];
    size_t len;
};

void sim_plan_draw(const struct sim_options *options, struct chance *chance, uint32_t index,
                   uint64_t wall_ms, struct sim_plan *ret_plan);

/** The message's value as a producer would make it. */
void sim_plan_encode(const struct sim_plan *plan, struct sim_bytes *ret_value);
#define SIM_KEY_BYTES 16u
/** Bytes of the key; absent: none. */
struct dray_slice sim_plan_key(const struct sim_plan *plan, char ret_text[SIM_KEY_BYTES]);
/** What its handler answers: one msgpack value. */
void sim_plan_result(const struct sim_plan *plan, struct sim_bytes *ret_result);
/** Index in a payload, or in an id; UINT32_MAX: none of ours. */
uint32_t sim_plan_of_payload(struct dray_slice payload);
uint32_t sim_plan_of_id(struct dray_slice id);
const char *sim_reply_topic(enum sim_reply reply);

/** What its route answers while it cannot be asked: one msgpack value. */
#define SIM_FALLBACK "\xa4soon"

/** Which dependency its failures name; -1: none. */
int32_t sim_plan_blames(const struct sim_options *options, const struct sim_plan *plan);
extern const char *const sim_dependency_names[SIM_DEPENDS_MAX];

/** Of the attempt-th run: how it ends and how long it takes. */
enum dray_error_kind sim_plan_run(const struct sim_plan *plan, uint32_t attempt);
uint64_t sim_plan_run_ns(const struct sim_options *options, const struct sim_plan *plan,
                         uint32_t attempt);
/** Whether the handler goes on after its command was given up, and for how long. */
bool sim_plan_is_deaf(const struct sim_plan *plan, uint32_t attempt);
uint64_t sim_plan_deaf_ns(const struct sim_options *options, const struct sim_plan *plan);
void sim_plan_policy(const struct sim_options *options, const struct sim_plan *plan,
                     struct dri_policy *ret_policy);

#endif

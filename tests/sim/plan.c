/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* plan.c - draws commands and plays their handlers.
 *
 * A command carries its number in its id and in its payload; whoever meets one of the two can look
 * up what ought to become of it. A handler's answer depends on the command and the attempt only, so
 * that a second run of the same attempt, on another worker, comes to the same.
 */
#include "plan.h"

#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "wire/envelope.h"

#define PAYLOAD_MARK 0x51u
#define NS_PER_MS    UINT64_C(1000000)

/* What follows the number in an id. */
static const uint8_t id_rest[12] = {'s', 'i', 'm', '-', 'c', 'o', 'm', 'm', 'a', 'n', 'd', 's'};

static const enum dray_error_kind retried_kinds[] = {DRAY_KIND_TIMEOUT, DRAY_KIND_NETWORK,
                                                     DRAY_KIND_UNAVAILABLE, DRAY_KIND_CONFLICT,
                                                     DRAY_KIND_INTERNAL};
static const enum dray_error_kind final_kinds[] = {DRAY_KIND_REJECTED, DRAY_KIND_NOT_FOUND,
                                                   DRAY_KIND_UNKNOWN_COMMAND,
                                                   DRAY_KIND_VERSION_MISMATCH, DRAY_KIND_LIMIT};

static bool strikes(struct chance *chance, uint32_t one_in)
{
    return one_in != 0 && chance_one_in(chance, one_in);
}

const char *sim_reply_topic(enum sim_reply reply)
{
    static const char *const topics[] = {
        [SIM_REPLY_DEFAULT] = NULL,          [SIM_REPLY_NONE] = "",
        [SIM_REPLY_SIDE] = "side",           [SIM_REPLY_MISSING] = "results.missing",
        [SIM_REPLY_FORBIDDEN] = "forbidden", [SIM_REPLY_ELSEWHERE] = "elsewhere",
        [SIM_REPLY_INBOX] = "_INBOX.abc.1",
    };
    return topics[reply];
}

/* --- drawing
 * -------------------------------------------------------------------------------------- */

static void draw_outcome(const struct sim_options *options, struct chance *chance,
                         struct sim_plan *plan)
{
    plan->attempts_max = chance_between32(chance, 1, options->attempts_max);
    plan->retried_kind = retried_kinds[chance_next(chance) % DRI_ARRAY_LEN(retried_kinds)];
    if (strikes(chance, options->failing)) {
        plan->failures = chance_between32(chance, 0, plan->attempts_max + 1);
        plan->final_kind = chance_one_in(chance, 3)
                               ? final_kinds[chance_next(chance) % DRI_ARRAY_LEN(final_kinds)]
                               : DRAY_KIND_NONE;
    }
    bool gives_up = plan->failures >= plan->attempts_max;
    plan->runs = gives_up ? plan->attempts_max : plan->failures + 1;
    plan->kind = gives_up ? plan->retried_kind : plan->final_kind;
    plan->result_bytes = (uint32_t)chance_skewed(chance, 0, 300);
    if (strikes(chance, options->large)) {
        plan->is_limited = chance_one_in(chance, 2);
        plan->result_bytes = plan->is_limited ? 0 : options->broker.message_bytes_max;
    }
    plan->is_slow = strikes(chance, options->slow);
    if (strikes(chance, options->deaf) && !gives_up) {
        plan->is_deaf = true;
        plan->final_kind = plan->kind = DRAY_KIND_TIMEOUT;
    }
}

/* It fails as often as it may run. */
static void fail_for_good(struct sim_plan *plan)
{
    static const enum dray_error_kind kinds[] = {DRAY_KIND_TIMEOUT, DRAY_KIND_NETWORK,
                                                 DRAY_KIND_UNAVAILABLE, DRAY_KIND_INTERNAL};
    plan->failures = plan->attempts_max + 1;
    plan->retried_kind = plan->kind = kinds[plan->index % DRI_ARRAY_LEN(kinds)];
    plan->runs = plan->attempts_max;
    plan->is_deaf = false;
}

static void draw_times(const struct sim_options *options, struct chance *chance, uint64_t wall_ms,
                       struct sim_plan *plan)
{
    if (!strikes(chance, options->timed)) {
        return;
    }
    if (chance_one_in(chance, 2)) {
        plan->not_before_ms =
            wall_ms + chance_between(chance, 1, chance_one_in(chance, 2) ? 10000 : 90000);
    }
    if (plan->not_before_ms == 0 || chance_one_in(chance, 2)) {
        plan->deadline_ms = wall_ms + chance_skewed(chance, 1, 20000);
    }
}

void sim_plan_draw(const struct sim_options *options, struct chance *chance, uint32_t index,
                   uint64_t wall_ms, struct sim_plan *ret_plan)
{
    struct sim_plan *plan = ret_plan;
    *plan = (struct sim_plan){.index = index, .of = index, .key = -1};
    if (!strikes(chance, options->keyless)) {
        plan->key = (int32_t)chance_between(chance, 0, options->keys - 1);
        plan->is_broker_key = chance_one_in(chance, 4);
    }
    plan->is_replayed = strikes(chance, options->replayed);
    plan->padding = (uint32_t)chance_skewed(chance, 0, 200);
    if (strikes(chance, options->malformed)) {
        plan->shape = (enum sim_shape)chance_between(chance, SIM_SHAPE_TRUNCATED, SIM_SHAPE_NOISE);
    } else if (strikes(chance, options->denied)) {
        plan->shape = SIM_SHAPE_DENIED;
    }
    if (strikes(chance, options->replied)) {
        plan->reply = (enum sim_reply)chance_between(chance, SIM_REPLY_NONE, SIM_REPLY_INBOX);
    }
    draw_outcome(options, chance, plan);
    if (index >= options->outage_from && index < options->outage_to) {
        fail_for_good(plan);
    }
    draw_times(options, chance, wall_ms, plan);
    if (strikes(chance, options->large) && chance_one_in(chance, 4)) {
        plan->padding =
            options->broker.message_bytes_max - 200; /* no room for a letter's headers */
    }
}

/* --- bytes
 * ---------------------------------------------------------------------------------------- */

static void put_index(uint8_t *at, uint32_t index)
{
    at[0] = (uint8_t)(index >> 24);
    at[1] = (uint8_t)(index >> 16);
    at[2] = (uint8_t)(index >> 8);
    at[3] = (uint8_t)index;
}

static uint32_t get_index(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* [mark, index as uint 32, padding as bin 16] */
static size_t put_payload(const struct sim_plan *plan, uint8_t *at)
{
    at[0] = 0x93;
    at[1] = PAYLOAD_MARK;
    at[2] = 0xce;
    put_index(at + 3, plan->index);
    at[7] = 0xc5;
    at[8] = (uint8_t)(plan->padding >> 8);
    at[9] = (uint8_t)plan->padding;
    memset(at + 10, (int)(plan->index & 0xff), plan->padding);
    return 10 + plan->padding;
}

uint32_t sim_plan_of_payload(struct dray_slice payload)
{
    if (payload.len < 10 || payload.at[0] != 0x93 || payload.at[1] != PAYLOAD_MARK ||
        payload.at[2] != 0xce) {
        return UINT32_MAX;
    }
    return get_index(payload.at + 3);
}

uint32_t sim_plan_of_id(struct dray_slice id)
{
    if (id.len != 16 || memcmp(id.at + 4, id_rest, sizeof(id_rest)) != 0) {
        return UINT32_MAX;
    }
    return get_index(id.at);
}

struct dray_slice sim_plan_key(const struct sim_plan *plan, char ret_text[SIM_KEY_BYTES])
{
    if (plan->key < 0) {
        return (struct dray_slice){NULL, 0};
    }
    int len = snprintf(ret_text, SIM_KEY_BYTES, "key-%d", (int)plan->key);
    return dray_slice_of(ret_text, (size_t)len);
}

void sim_plan_encode(const struct sim_plan *plan, struct sim_bytes *ret_value)
{
    uint8_t payload[SIM_BYTES_MAX];
    uint8_t id[16] = {0};
    char key[SIM_KEY_BYTES];
    size_t payload_len = put_payload(plan, payload);
    put_index(id, plan->of);
    memcpy(id + 4, id_rest, sizeof(id_rest));
    struct dri_envelope envelope = {
        .id = dray_slice_of(id, sizeof(id)),
        .is_id_binary = true,
        .command = dray_slice_text("sim.run"),
        .payload = dray_slice_of(payload, payload_len),
        .reply_to = dray_slice_text(sim_reply_topic(plan->reply)),
        .deadline_ms = plan->deadline_ms,
        .not_before_ms = plan->not_before_ms,
    };
    if (!plan->is_broker_key) {
        envelope.key = sim_plan_key(plan, key);
    }
    if (plan->shape == SIM_SHAPE_DENIED) {
        envelope.namespace_ = dray_slice_text("strangers");
    }
    if (plan->shape == SIM_SHAPE_NO_COMMAND) {
        envelope.command = (struct dray_slice){NULL, 0};
    }
    enum dray_status status =
        dri_envelope_encode(&envelope, ret_value->at, SIM_BYTES_MAX - 1, &ret_value->len);
    DRI_ASSERT(status == DRAY_OK);
    if (plan->shape == SIM_SHAPE_TRUNCATED) {
        ret_value->len--;
    } else if (plan->shape == SIM_SHAPE_TRAILING) {
        ret_value->at[ret_value->len++] = 0xc0;
    } else if (plan->shape == SIM_SHAPE_NOISE) {
        put_index(ret_value->at, plan->index);
        ret_value->at[0] = 0xc1;
    }
}

/* bin 16 of a repeated byte. */
void sim_plan_result(const struct sim_plan *plan, struct sim_bytes *ret_result)
{
    ret_result->at[0] = 0xc5;
    ret_result->at[1] = (uint8_t)(plan->result_bytes >> 8);
    ret_result->at[2] = (uint8_t)plan->result_bytes;
    memset(ret_result->at + 3, (int)((plan->of + 7) & 0xff), plan->result_bytes);
    ret_result->len = 3 + plan->result_bytes;
}

const char *const sim_dependency_names[SIM_DEPENDS_MAX] = {"db", "smtp"};

int32_t sim_plan_blames(const struct sim_options *options, const struct sim_plan *plan)
{
    uint64_t drawn = chance_mix(options->seed ^ chance_mix(plan->index + UINT64_C(0x626c616d65)));
    bool names_one = options->dependency_failures != 0 && drawn % 3 == 0;
    return names_one ? (int32_t)(drawn / 3 % SIM_DEPENDS_MAX) : -1;
}

/* --- playing
 * -------------------------------------------------------------------------------------- */

enum dray_error_kind sim_plan_run(const struct sim_plan *plan, uint32_t attempt)
{
    return attempt <= plan->failures ? plan->retried_kind : plan->final_kind;
}

uint64_t sim_plan_run_ns(const struct sim_options *options, const struct sim_plan *plan,
                         uint32_t attempt)
{
    struct chance chance = {chance_mix(options->seed ^ ((uint64_t)plan->index << 32) ^ attempt)};
    if (plan->is_slow) {
        return chance_between(&chance, 1, options->slow_ms) * NS_PER_MS;
    }
    return chance_skewed(&chance, 0, (uint64_t)options->handler_us * 1000);
}

bool sim_plan_is_deaf(const struct sim_plan *plan, uint32_t attempt)
{
    return plan->is_deaf && attempt == plan->runs;
}

uint64_t sim_plan_deaf_ns(const struct sim_options *options, const struct sim_plan *plan)
{
    struct chance chance = {chance_mix(options->seed ^ ((uint64_t)plan->index << 32) ^ UINT32_MAX)};
    return chance_skewed(&chance, 0, options->slow_ms) * NS_PER_MS;
}

void sim_plan_policy(const struct sim_options *options, const struct sim_plan *plan,
                     struct dri_policy *ret_policy)
{
    *ret_policy = (struct dri_policy){
        .attempts = plan->attempts_max,
        .backoff_ms = {options->backoff_ms, options->backoff_ms * 3},
        .backoff_count = 2,
        .exhausted = options->exhausted,
    };
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <stdio.h>

#include "sim.h"
#include "transport_contract.h"

/* The contract on the simulated broker with all faults at 0: what the simulations stand on is what
 * the real brokers do. Arguments: watermark, each or partitioned; then url: found by its URL, on
 * real time, else in virtual time. */

#define START_NS UINT64_C(1000000000)
#define START_MS UINT64_C(1767225600000)

static uint64_t virtual_ns = START_NS;

static struct dri_now virtual_now(struct contract_subject *self)
{
    (void)self;
    return (struct dri_now){virtual_ns, START_MS + (virtual_ns - START_NS) / 1000000u};
}

static struct dri_now any_now(struct contract_subject *self)
{
    return self->now != NULL ? self->now(self) : dri_clock_now();
}

static struct dri_sim_broker *broker_of(struct contract_subject *self)
{
    struct dri_sim_broker *broker = self->sim;
    if (broker == NULL) { /* by its URL: it is there since the first open */
        test_ok(dri_sim_shared("contract", NULL, &broker));
    }
    return broker;
}

/** The next thing that anybody waits for happens now. */
static void virtual_wait(struct contract_subject *self, struct dri_transport *const *transports,
                         size_t count, uint64_t until_ns)
{
    uint64_t next_ns = until_ns;
    uint64_t broker_ns = dri_sim_next_deadline(broker_of(self));
    next_ns = broker_ns < next_ns ? broker_ns : next_ns;
    for (size_t i = 0; i < count; i++) {
        uint64_t deadline_ns = self->ops->next_deadline(transports[i]);
        next_ns = deadline_ns < next_ns ? deadline_ns : next_ns;
    }
    virtual_ns = next_ns > virtual_ns ? next_ns : virtual_ns + 100000;
    dri_sim_advance(broker_of(self), virtual_now(self));
}

static void produce(struct contract_subject *self, const struct dri_publish *message)
{
    int32_t partition = -1;
    uint64_t offset = 0;
    test_ok(dri_sim_append(broker_of(self), any_now(self), message, &partition, &offset));
}

/* Dead is: it does not answer, and it has all that it acknowledged when it is back. */
static void kill_broker(struct contract_subject *self)
{
    dri_sim_pause(broker_of(self), any_now(self), UINT64_MAX / 2);
}

static void start_broker(struct contract_subject *self)
{
    struct dri_now now = any_now(self);
    dri_sim_pause(broker_of(self), now, now.mono_ns);
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "watermark";
    bool is_partitioned = strcmp(mode, "partitioned") == 0;
    bool is_each = is_partitioned || strcmp(mode, "each") == 0;
    bool is_url = argc > 2 && strcmp(argv[2], "url") == 0;
    const char *filter = argc > (is_url ? 3 : 2) ? argv[is_url ? 3 : 2] : NULL;
    struct dri_sim_broker *broker = NULL;
    struct dri_sim_config config = {
        .seed = 1,
        .mode = is_each ? DRI_SETTLE_EACH : DRI_SETTLE_WATERMARK,
        .is_partitioned = is_partitioned,
        .latency_us = 200,
        .lease_ms = 3000,
        .publish_ms = 3000,
    };
    struct contract_subject subject = {
        .name = mode,
        .ops = &dri_sim_ops,
        .url = "sim://contract",
        .options = {{"mode", mode}, {"lease_ms", "3000"}},
        .options_count = 2,
        .mode = config.mode,
        .lease_ms = config.lease_ms,
        .partitions = is_each && !is_partitioned ? 1 : 4,
        .is_partitioned = is_partitioned,
        .has_null = true,
        .has_dedup = is_each,
        .has_options = true,
        .produce = produce,
        .broker_kill = kill_broker,
        .broker_start = start_broker,
    };
    if (!is_url) {
        subject.now = virtual_now;
        subject.wait = virtual_wait;
        if (dri_sim_create(&config, &broker) != DRAY_OK) {
            return 1;
        }
    }
    subject.sim = broker;
    int failed = contract_main(&subject, filter);
    dri_sim_destroy(broker);
    if (is_url) {
        dri_sim_forget("contract");
    }
    return failed == 0 ? 0 : 1;
}

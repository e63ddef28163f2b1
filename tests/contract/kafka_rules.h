/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRAY_KAFKA_RULES_H
#define DRAY_KAFKA_RULES_H

#include "kafka_peer.h"

/* kafka_rules.h - what the cases of test_kafka_rules share: the cluster that they run on, and short
 * words for what most of them do. */

extern const char *rules_real_url; /* NULL: the mock cluster */
extern bool rules_are_kafka4;
extern struct mock rules_mock; /* of the case that runs */
extern const char *rules_url;

int rules_start(void **state);
int rules_stop(void **state);

#define RULE(name) cmocka_unit_test_setup_teardown(name, rules_start, rules_stop)

#define NEEDS_BROKER()                                                                             \
    do {                                                                                           \
        if (rules_real_url == NULL) {                                                              \
            test_skip("the mock cluster cannot do this");                                          \
        }                                                                                          \
    } while (false)
#define NEEDS_MOCK()                                                                               \
    do {                                                                                           \
        if (rules_real_url != NULL) {                                                              \
            test_skip("needs the mock cluster's error injection");                                 \
        }                                                                                          \
    } while (false)

/** Topics come into being by the transport on a broker, and by hand on the mock. */
const char *make_topic(const char *prefix, int partitions);

/** A commands source from the beginning. */
void member_init(struct peer *peer, const char *group, const char *topic);
void member_open(struct peer *peer, const char *group, const char *topic);
void producer_open(struct peer *peer, const char *topic);
void log_open(struct peer *peer, const char *topic, enum dri_start from, uint64_t offset);

/** A copy of the n-th ASSIGNED event. */
struct dri_transport_event assigned(const struct peer *peer, size_t n);
/** The offset of the n-th message. */
uint64_t offset_of(const struct peer *peer, size_t n);

/** The committed position and metadata of partition 0, as the next member sees them. */
int64_t committed_now(const char *group, const char *topic, char *ret_metadata,
                      size_t metadata_bytes);

/* The cases, by file. */
extern const struct CMUnitTest rules_positions[], rules_rebalance[], rules_publish[], rules_read[],
    rules_progress[], rules_transaction[];
extern const size_t rules_positions_count, rules_rebalance_count, rules_publish_count,
    rules_read_count, rules_progress_count, rules_transaction_count;

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRAY_TRANSPORT_CONTRACT_H
#define DRAY_TRANSPORT_CONTRACT_H

#include "base/clock.h"
#include "support/test.h"
#include "transport/transport.h"

/* transport_contract.h - transport.h as executable code: one list of cases, run on every transport.
 *
 * An instance (test_contract_nats.c, ...) fills a struct contract_subject with what its transport
 * can do and how to reach its broker, and returns contract_main(). Everything that a case does, it
 * does through transport.h; the hooks are for what that interface does not have: another producer,
 * a broker that dies.
 *
 * Everything runs on the test's own thread. Waiting means: poll, wait for the descriptors until the
 * next deadline, look whether the condition holds, give up loudly after
 * contract_subject.patience_ms.
 */

#define CONTRACT_OPTIONS_MAX 24u
#define CONTRACT_SOURCES_MAX 4u
#define CONTRACT_TOPICS_MAX  8u

struct contract_subject {
    const char *name;
    const struct dri_transport_ops *ops;
    char url[256];
    void *sim;
    struct dri_option options[CONTRACT_OPTIONS_MAX]; /* of every open: what makes tests quick */
    size_t options_count;

    /* What the transport can do. */
    enum dri_settle_mode mode; /* of sources with a group */
    uint32_t lease_ms;         /* EACH: what the options make of it; short */
    uint32_t partitions;       /* of topics with commands and dead letters */
    bool is_partitioned; /* EACH: partitions of commands have owners; only the cases about it */
    bool has_null;       /* an absent value stays absent */
    bool has_dedup;      /* dedup_id is honoured */
    bool has_fd;
    bool has_options;          /* unknown options are refused */
    bool makes_any_topic;      /* the broker makes what is named: librdkafka's mock cluster */
    bool has_reserved_headers; /* Nats-* is carried as dray-orig-Nats-* */
    uint32_t patience_ms;      /* 0: 20,000 */
    uint32_t quiet_ms;         /* how long a case watches for what must not come; 0: 300 */

    /* Hooks; NULL: what is said there. self is the subject. */
    struct dri_now (*now)(struct contract_subject *self); /* the clock */
    /** Let time pass until until_ns or until one of the transports has news. NULL: poll(2). */
    void (*wait)(struct contract_subject *self, struct dri_transport *const *transports,
                 size_t count, uint64_t until_ns);
    /** The broker dies (kill -9). NULL: cannot, and the cases about it are skipped. */
    void (*broker_kill)(struct contract_subject *self);
    void (*broker_start)(struct contract_subject *self);
    /** Put a message there without the transport, headers as they are. NULL: by the transport. */
    void (*produce)(struct contract_subject *self, const struct dri_publish *message);
    void *state; /* of the instance */

    unsigned int part, parts; /* run only every parts-th case, from this one on; parts 0: all */
};

/** Runs the cases; returns what main should. filter may be NULL (cmocka's pattern, from argv). */
int contract_main(struct contract_subject *subject, const char *filter);

/* --- for the files of the suite ------------------------------------------------------------- */

/** The subject that this program is about. */
extern struct contract_subject *contract_it;

/** An event whose bytes are our own. */
struct contract_seen {
    struct dri_transport_event event;
    uint8_t *bytes;
};

/** One client: a configuration, a transport, and all that it has told. */
struct contract_client {
    struct dri_transport *transport;
    struct dri_transport_config config;
    struct dri_source sources[CONTRACT_SOURCES_MAX];
    struct dri_topic topics[CONTRACT_TOPICS_MAX];
    struct dri_option options[CONTRACT_OPTIONS_MAX];
    char text[512];
    struct contract_seen *seen;
    size_t seen_count, seen_max;
    size_t messages_max; /* of each poll */
    bool lets_go;        /* unassigns at once what is revoked; true */
};

/** "<word>_<pid>_<n>": topics and groups of real brokers are shared. */
const char *contract_name(const char *word);

/** group may be NULL. */
void contract_init(struct contract_client *client, const char *group);
void contract_source(struct contract_client *client, const char *topic, enum dri_source_role role,
                     enum dri_start start, uint64_t offset);
void contract_topic(struct contract_client *client, const char *topic, enum dri_topic_use use);
void contract_option(struct contract_client *client, const char *name, const char *value);
/** Fails the test with the transport's text when it does not open. */
void contract_open(struct contract_client *client);
/** init, one commands source from its beginning, and open. */
void contract_open_group(struct contract_client *client, const char *group, const char *topic);
/** init, no source, topic to publish to, and open. */
void contract_open_producer(struct contract_client *client, const char *topic);
/** init, one log source, and open. */
void contract_open_log(struct contract_client *client, const char *topic, enum dri_start start,
                       uint64_t offset);
void contract_close(struct contract_client *client);
/** Closes and frees all; also after a failed open. */
void contract_fini(struct contract_client *client);
void contract_forget(struct contract_client *client);

size_t contract_poll(struct contract_client *client);
size_t contract_count(const struct contract_client *client, enum dri_transport_event_type type);
/** The n-th of a type, from 0. Fails the test when there is none. */
const struct dri_transport_event *contract_event(const struct contract_client *client,
                                                 enum dri_transport_event_type type, size_t n);
/** Polls client (and other, if any) until client has seen count events of a type. */
void contract_await(struct contract_client *client, enum dri_transport_event_type type,
                    size_t count, struct contract_client *other);
/** Polls both until the condition holds. */
typedef bool contract_condition_fn(void *arg);
void contract_await_that(struct contract_client *client, struct contract_client *other,
                         contract_condition_fn *condition, void *arg, const char *what);
/** Polls for quiet_ms; for what must not come. */
void contract_watch(struct contract_client *client, struct contract_client *other);

void contract_publish(struct contract_client *client, const struct dri_publish *message);
/** Publishes texts "0" to "count - 1" with keys "k0".."k6", and waits until all are stored. */
void contract_fill(struct contract_client *client, const char *topic, size_t count);
/** Settles the first `count` messages seen (in order, for every slot), and lets the answer come. */
void contract_settle_first(struct contract_client *client, size_t count);
/** Settles one message event. */
void contract_settle(struct contract_client *client, const struct dri_transport_event *message);
/** The number in a message that contract_fill made. */
size_t contract_number(const struct dri_transport_event *message);

/** One header in the flat form, appended. Returns the new length. */
size_t contract_header(uint8_t *flat, size_t len, const char *name, const void *value,
                       size_t value_len);
/** The n-th header (from 0) with this name; absent: there is none. */
struct dray_slice contract_find_header(struct dray_slice flat, const char *name, size_t n);

/* The lists, by file. */
extern const struct CMUnitTest contract_bytes_cases[], contract_publish_cases[],
    contract_group_cases[], contract_log_cases[], contract_life_cases[], contract_follow_cases[];
extern const size_t contract_bytes_count, contract_publish_count, contract_group_count,
    contract_log_count, contract_life_count, contract_follow_count;

#endif

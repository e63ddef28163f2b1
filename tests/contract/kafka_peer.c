/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "kafka_peer.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "assert.h"
#include "clock.h"

#define PATIENCE_NS 90000000000u

void mock_start(struct mock *mock, int brokers)
{
    char reason[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    mock->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof(reason));
    assert_non_null(mock->rk);
    mock->cluster = rd_kafka_mock_cluster_new(mock->rk, brokers);
    assert_non_null(mock->cluster);
    (void)snprintf(mock->url, sizeof(mock->url), "kafka://%s",
                   rd_kafka_mock_cluster_bootstraps(mock->cluster));
}

void mock_topic(struct mock *mock, const char *topic, int partitions)
{
    assert_int_equal(rd_kafka_mock_topic_create(mock->cluster, topic, partitions, 1), 0);
}

void mock_stop(struct mock *mock)
{
    rd_kafka_mock_cluster_destroy(mock->cluster);
    rd_kafka_destroy(mock->rk);
}

void peer_init(struct peer *peer, const char *url, const char *group)
{
    *peer = (struct peer){.messages_max = 100, .lets_go = true};
    peer->config = (struct dri_transport_config){
        .url = url,
        .group = group,
        .client_id = "test",
        .sources = peer->sources,
        .topics = peer->topics,
        .partitions = 4,
        .timeout_ms = 15000,
        .unacked_max = 1000,
        .memory_bytes = 64u << 20,
        .options = peer->options,
    };
    peer_option(peer, "linger.ms", "0");
    if (group != NULL) {
        peer_option(peer, "session.timeout.ms", "6000");
        peer_option(peer, "heartbeat.interval.ms", "200");
        peer_option(peer, "fetch.wait.max.ms", "50");
    }
}

void peer_source(struct peer *peer, const char *topic, enum dri_source_role role,
                 enum dri_start start)
{
    assert_true(peer->config.sources_count < PEER_SOURCES_MAX);
    peer->sources[peer->config.sources_count++] =
        (struct dri_source){.topic = topic, .role = role, .start = start};
}

void peer_topic(struct peer *peer, const char *topic, enum dri_topic_use use)
{
    assert_true(peer->config.topics_count < DRI_ARRAY_LEN(peer->topics));
    peer->topics[peer->config.topics_count++] = (struct dri_topic){.topic = topic, .use = use};
}

void peer_option(struct peer *peer, const char *name, const char *value)
{
    assert_true(peer->config.options_count < PEER_OPTIONS_MAX);
    peer->options[peer->config.options_count++] = (struct dri_option){name, value};
}

void peer_open(struct peer *peer)
{
    enum dray_status status =
        dri_kafka_ops.open(&peer->config, &peer->transport, peer->text, sizeof(peer->text));
    if (status != DRAY_OK) {
        fail_msg("open: %s: %s", dray_status_name(status), peer->text);
    }
}

void peer_fini(struct peer *peer)
{
    if (peer->transport != NULL) {
        dri_kafka_ops.close(peer->transport, 5000);
        dri_kafka_ops.destroy(peer->transport);
    }
    peer_forget(peer);
    free(peer->seen);
    *peer = (struct peer){0};
}

struct dri_kafka *peer_kafka(struct peer *peer)
{
    return (struct dri_kafka *)(void *)peer->transport;
}

/* ---- events ---- */

static void keep(struct dray_slice *slice, char **at)
{
    if (slice->at != NULL) {
        memcpy(*at, slice->at, slice->len);
        slice->at = (const uint8_t *)*at;
        *at += slice->len + 1;
    }
}

static void remember(struct peer *peer, const struct dri_transport_event *event)
{
    if (peer->seen_count == peer->seen_max) {
        peer->seen_max = peer->seen_max * 2 + 256;
        peer->seen = realloc(peer->seen, peer->seen_max * sizeof(*peer->seen));
        assert_non_null(peer->seen);
    }
    struct seen *seen = &peer->seen[peer->seen_count++];
    *seen = (struct seen){.event = *event};
    struct dray_slice *slices[4] = {NULL, NULL, NULL, NULL};
    if (event->type == DRI_TE_MESSAGE) {
        slices[0] = &seen->event.as.message.subject;
        slices[1] = &seen->event.as.message.key;
        slices[2] = &seen->event.as.message.value;
        slices[3] = &seen->event.as.message.headers;
    } else if (event->type == DRI_TE_ASSIGNED) {
        slices[0] = &seen->event.as.assigned.topic;
        slices[1] = &seen->event.as.assigned.origin;
        slices[2] = &seen->event.as.assigned.metadata;
    } else if (event->type == DRI_TE_ERROR) {
        slices[0] = &seen->event.as.text;
    }
    size_t bytes = 0;
    for (size_t i = 0; i < DRI_ARRAY_LEN(slices); i++) {
        bytes += slices[i] == NULL ? 0 : slices[i]->len + 1;
    }
    seen->bytes = calloc(1, bytes + 1);
    assert_non_null(seen->bytes);
    char *at = seen->bytes;
    for (size_t i = 0; i < DRI_ARRAY_LEN(slices); i++) {
        if (slices[i] != NULL) {
            keep(slices[i], &at);
        }
    }
}

void peer_forget(struct peer *peer)
{
    for (size_t i = 0; i < peer->seen_count; i++) {
        free(peer->seen[i].bytes);
    }
    peer->seen_count = 0;
}

static size_t poll_once(struct peer *peer, bool *ret_more)
{
    struct dri_transport_event events[128];
    size_t count = dri_kafka_ops.poll(peer->transport, dri_clock_now(), peer->messages_max, events,
                                      DRI_ARRAY_LEN(events), ret_more);
    for (size_t i = 0; i < count; i++) {
        remember(peer, &events[i]);
    }
    for (size_t i = 0; i < count; i++) {
        if (events[i].type == DRI_TE_REVOKED && peer->lets_go) {
            peer_unassign(peer, &events[i]);
        }
    }
    return count;
}

size_t peer_poll(struct peer *peer)
{
    bool has_more = false;
    return poll_once(peer, &has_more);
}

size_t peer_count(const struct peer *peer, enum dri_transport_event_type type)
{
    size_t count = 0;
    for (size_t i = 0; i < peer->seen_count; i++) {
        count += peer->seen[i].event.type == type;
    }
    return count;
}

const struct dri_transport_event *peer_event(const struct peer *peer,
                                             enum dri_transport_event_type type, size_t n)
{
    for (size_t i = 0; i < peer->seen_count; i++) {
        if (peer->seen[i].event.type == type && n-- == 0) {
            return &peer->seen[i].event;
        }
    }
    fail_msg("no event of type %d", (int)type);
    return NULL;
}

/* Both sleep until one of them has news, but at most 100 ms. */
static void sleep_on(struct peer *peer, struct peer *other)
{
    struct pollfd fds[2];
    nfds_t count = 0;
    uint64_t now = dri_clock_mono_ns();
    uint64_t until = now + 100000000u;
    struct peer *both[2] = {peer, other};
    for (int i = 0; i < 2; i++) {
        if (both[i] != NULL) {
            fds[count++] =
                (struct pollfd){.fd = dri_kafka_ops.fd(both[i]->transport), .events = POLLIN};
            uint64_t deadline = dri_kafka_ops.next_deadline(both[i]->transport);
            until = deadline < until ? deadline : until;
        }
    }
    int ms = until <= now ? 0 : (int)((until - now) / 1000000u) + 1;
    (void)poll(fds, count, ms);
}

static void turn(struct peer *peer, struct peer *other)
{
    bool has_more = false;
    bool has_other_more = false;
    (void)poll_once(peer, &has_more);
    if (other != NULL) {
        (void)poll_once(other, &has_other_more);
    }
    if (!has_more && !has_other_more) {
        sleep_on(peer, other);
    }
}

void peer_await(struct peer *peer, enum dri_transport_event_type type, size_t count,
                struct peer *other)
{
    uint64_t deadline = dri_clock_mono_ns() + PATIENCE_NS;
    while (peer_count(peer, type) < count) {
        if (dri_clock_mono_ns() > deadline) {
            for (size_t i = 0; i < peer->seen_count; i++) {
                if (peer->seen[i].event.type == DRI_TE_ERROR) {
                    print_error("error event: %s\n", peer->seen[i].bytes);
                }
            }
            fail_msg("saw %zu events of type %d, waited for %zu", peer_count(peer, type), (int)type,
                     count);
        }
        turn(peer, other);
    }
}

void peer_watch(struct peer *peer, uint32_t ms, struct peer *other)
{
    uint64_t deadline = dri_clock_mono_ns() + (uint64_t)ms * 1000000u;
    while (dri_clock_mono_ns() < deadline) {
        turn(peer, other);
    }
}

/* ---- acting ---- */

void peer_publish(struct peer *peer, uint64_t token, const char *topic, int32_t partition,
                  const char *key, const char *value)
{
    struct dri_publish message = {
        .token = token,
        .topic = dray_slice_text(topic),
        .partition = partition,
        .key = dray_slice_text(key),
        .value = dray_slice_text(value),
    };
    assert_int_equal(dri_kafka_ops.publish(peer->transport, dri_clock_now(), &message, 1), 1);
}

void peer_fill(struct peer *peer, const char *topic, int32_t partition, size_t count)
{
    size_t before = peer_count(peer, DRI_TE_PUBLISHED);
    for (size_t i = 0; i < count; i++) {
        char value[24];
        (void)snprintf(value, sizeof(value), "%zu", i);
        peer_publish(peer, i, topic, partition, NULL, value);
    }
    peer_await(peer, DRI_TE_PUBLISHED, before + count, NULL);
    for (size_t i = before; i < before + count; i++) {
        assert_int_equal(peer_event(peer, DRI_TE_PUBLISHED, i)->as.published.ack, DRI_ACK_STORED);
    }
}

void peer_settle(struct peer *peer, const struct dri_transport_event *assigned, uint64_t position,
                 const char *metadata, bool is_final)
{
    struct dri_settle settle = {.slot = assigned->slot,
                                .epoch = assigned->epoch,
                                .position = position,
                                .metadata = dray_slice_text(metadata),
                                .is_final = is_final};
    dri_kafka_ops.settle(peer->transport, dri_clock_now(), &settle, 1);
}

void peer_unassign(struct peer *peer, const struct dri_transport_event *event)
{
    dri_kafka_ops.unassign(peer->transport, event->slot, event->epoch);
}

const char *fresh_name(const char *prefix)
{
    static char names[64][64];
    static unsigned next;
    char *name = names[next++ % 64];
    (void)snprintf(name, sizeof(names[0]), "%s-%d-%u-%lx", prefix, (int)getpid(), next,
                   (unsigned long)(dri_clock_wall_ms() & 0xffffff));
    return name;
}

/* ---- a broker of our own ---- */

static pid_t signalled;

bool broker_is_ours(void)
{
    return getenv("DRAY_TEST_BROKER_PIDFILE") != NULL;
}

/* 0: not now. */
static pid_t broker_pid(void)
{
    char line[32] = "";
    FILE *file = fopen(getenv("DRAY_TEST_BROKER_PIDFILE"), "re");
    if (file == NULL) {
        return 0;
    }
    bool has_line = fgets(line, sizeof(line), file) != NULL;
    (void)fclose(file);
    return has_line ? (pid_t)strtol(line, NULL, 10) : 0;
}

void broker_signal(int number)
{
    signalled = broker_pid();
    assert_true(signalled > 1);
    assert_int_equal(kill(signalled, number), 0);
}

void broker_await(void)
{
    uint64_t deadline = dri_clock_mono_ns() + 90000000000u;
    for (pid_t pid = broker_pid(); pid == 0 || pid == signalled; pid = broker_pid()) {
        assert_true(dri_clock_mono_ns() < deadline);
        (void)poll(NULL, 0, 50); /* between two looks at the file */
    }
}

/* ---- parts ---- */

#define PARTS_MAX 8u

static void start_part(unsigned part, unsigned parts, part_fn *run, void *arg, FILE *out)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)dup2(fileno(out), STDOUT_FILENO);
    (void)dup2(fileno(out), STDERR_FILENO);
    int code = run(part, parts, arg);
    (void)fflush(NULL);
    exit(code == 0 ? 0 : 1); /* not _exit: sanitizers report leaks on the way out */
}

static void print_out(FILE *out)
{
    char line[4096];
    rewind(out);
    while (fgets(line, sizeof(line), out) != NULL) {
        (void)fputs(line, stdout);
    }
    (void)fclose(out);
}

int run_parts(unsigned parts, part_fn *run, void *arg)
{
    pid_t pids[PARTS_MAX];
    FILE *outs[PARTS_MAX];
    int failed = 0;
    parts = parts > PARTS_MAX ? PARTS_MAX : parts;
    for (unsigned i = 0; i < parts; i++) {
        outs[i] = tmpfile();
        if (outs[i] == NULL) {
            return 1;
        }
        (void)fflush(NULL);
        pids[i] = fork();
        if (pids[i] == 0) {
            start_part(i, parts, run, arg, outs[i]);
        }
    }
    for (unsigned i = 0; i < parts; i++) {
        int status = 0;
        if (pids[i] < 0 || waitpid(pids[i], &status, 0) != pids[i] || status != 0) {
            (void)printf("part %u of %u failed (status %d)\n", i + 1, parts, status);
            failed = 1;
        }
        print_out(outs[i]);
    }
    return failed;
}

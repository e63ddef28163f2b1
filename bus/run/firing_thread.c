/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* firing_thread.c - from the ticks that are due to commands in the commands topic, once each.
 *
 * The replica fires that has partition 0 of the commands topic: on Kafka and with nats.partitions
 * that is one of the group, on JetStream otherwise every one. What was fired last of each schedule
 * stands in a topic of the group's own, ticks.<group>.<commands>, one record a schedule. A
 * *session* is one open transport: it begins by reading that topic to its end, and ends with the
 * first failure of any kind. So there is no state to be mended here: what is not known any more is
 * read.
 *
 * Kafka: a volley of commands and the records that say so are one transaction, and all replicas of
 * the group use the same transactional id. Opening a session ends what a predecessor had open, and
 * shuts it out, *before* the topic is read; a replica that only believes that it has the partition
 * still can store nothing any more. So a tick has one command, whoever was killed, asleep or cut
 * off. (Two that believe it at once shut each other out in turn, until one hears of its loss: no
 * tick is fired twice, some may be late.) Rejected: to rely on the partition's ownership alone, as
 * a broker takes records from anybody; and to keep the last tick in the control topic, which is
 * never compacted: one schedule for each second would add 31 million records a year, and every
 * start reads them all.
 *
 * JetStream has no transactions. There the id of the tick's command is the deduplication id, so of
 * many replicas that fire one, the server stores one, as long as the ids are in its window (ten
 * minutes in streams that we made). First the commands are stored, then the records. A tick that is
 * older than a minute is only fired right after the records were read: a replica that slept for
 * longer than the window would otherwise fire what others fired meanwhile.
 */
#include "firing_thread.h"

#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "assert.h"
#include "clock.h"
#include "firing.h"
#include "log.h"
#include "mem.h"
#include "queue.h"
#include "sha256.h"

#define NS_PER_MS     UINT64_C(1000000)
#define EVENTS_MAX    128u
#define OPEN_MS       10000u
#define CLOSE_MS      2000u
#define RETRY_NS      (1000u * NS_PER_MS)
#define SLEEP_MAX_NS  (1000u * NS_PER_MS)
#define AGAIN_NS      (20u * NS_PER_MS) /* the transport was full */
#define ANSWER_MS     60000u            /* must be shorter than any window of deduplication */
#define STALE_MS      60000u            /* a tick that is older needs a fresh session */
#define FRESH_NS      (10000u * NS_PER_MS)
#define VOLLEY_MAX    64u
#define UNACKED_MAX   (2u * VOLLEY_MAX)
#define MEMORY_BYTES  (UINT64_C(16) << 20)
#define RECORD_BYTES  1024u
#define HEADERS_BYTES 512u
#define TOPIC_BYTES   512u
#define TEXT_BYTES    512u
#define TOKEN_RECORD  1000u /* and above: records; below: commands */

enum phase {
    PHASE_READING,    /* the topic of last ticks, to its end */
    PHASE_IDLE,       /* nothing is out */
    PHASE_COMMANDS,   /* of a volley are being handed over and answered */
    PHASE_RECORDS,    /* that say so likewise */
    PHASE_COMMITTING, /* Kafka */
};

/* Shots that are out together. */
struct volley {
    struct dri_shot shots[VOLLEY_MAX];
    bool is_stored[VOLLEY_MAX];
    bool is_new[VOLLEY_MAX]; /* nobody had fired it before */
    size_t count;
    size_t handed, answered; /* of this phase */
    size_t records;          /* handed over */
};

struct dri_firing_thread {
    const struct dri_settings *settings;
    const struct dri_transport_ops *ops;
    struct dri_schedules *schedules;
    const char *worker;
    uint64_t answer_ns;
    bool is_kafka;
    pthread_t thread;
    bool has_thread;
    struct dri_wake wake;
    bool has_wake;
    _Atomic(bool) is_ours;
    _Atomic(bool) is_stopping;
    bool told_ours;        /* of dri_firing_own, its caller's */
    uint64_t told_version; /* likewise */

    /* All below: the thread's. */
    struct dri_metrics_page *page;
    struct dri_firing *firing;  /* owned */
    bool is_one_by_one;         /* since a volley was refused, until nothing is due */
    struct dri_option *options; /* owned; those of the settings that are for this client */
    size_t options_count;
    uint64_t version; /* of the schedules that firing has */
    bool has_set;     /* it has some */
    uint64_t fired, duplicates, refused;
    bool was_outage_told;

    struct dri_transport *transport; /* NULL: no session */
    bool is_broken;                  /* the session has to end */
    uint64_t message_bytes_max;
    uint64_t read_ns, phase_ns; /* the topic was read to its end; the phase began */
    uint32_t assigned, caught_up;
    enum phase phase;
    struct volley volley;
};

static void set_phase(struct dri_firing_thread *thread, enum phase phase)
{
    thread->phase = phase;
    thread->phase_ns = dri_clock_mono_ns();
    thread->volley.handed = 0;
    thread->volley.answered = 0;
}

static void show(struct dri_firing_thread *thread)
{
    struct dri_firing_stats stats;
    bool is_firing = thread->transport != NULL && thread->phase != PHASE_READING;
    dri_firing_stats(thread->firing, &stats);
    dri_metrics_set(thread->page, DRI_METRIC_SCHEDULES, dri_firing_count(thread->firing));
    dri_metrics_set(thread->page, DRI_METRIC_FIRING, is_firing ? 1 : 0);
    dri_metrics_set(thread->page, DRI_METRIC_FIRED, thread->fired);
    dri_metrics_set(thread->page, DRI_METRIC_FIRED_BEFORE, thread->duplicates);
    dri_metrics_set(thread->page, DRI_METRIC_TICKS_MISSED, stats.missed);
    dri_metrics_set(thread->page, DRI_METRIC_TICKS_REFUSED, thread->refused);
}

static void broken(struct dri_firing_thread *thread, const char *why)
{
    thread->is_broken = true;
    if (!thread->was_outage_told) {
        thread->was_outage_told = true;
        DRI_LOG(DRI_LOG_WARN, "SCH-AWAY", "schedules cannot be fired from here now; trying again",
                DRI_TEXT("topic", thread->settings->topics.ticks), DRI_TEXT("reason", why));
    }
}

/* ---- what comes back ---- */

static void on_record(struct dri_firing_thread *thread, const struct dri_message *message)
{
    const struct dri_wire_limits limits = DRI_WIRE_LIMITS_DEFAULT;
    struct dri_tick tick;
    struct dri_wire_error error = {.field = "", .text = "", .offset = 0};
    if (message->value.at == NULL) {
        return;
    }
    if (dri_tick_decode(message->value, &limits, &tick, &error) != DRAY_OK) {
        DRI_LOG(DRI_LOG_WARN, "SCH-FOREIGN", "a record of the last ticks is none of ours",
                DRI_TEXT("field", error.field), DRI_TEXT("reason", error.text));
        return;
    }
    if (dri_firing_learn(thread->firing, tick.key, tick.revision, tick.tick_ms,
                         dri_clock_wall_ms()) != DRAY_OK) {
        broken(thread, dray_status_text(DRAY_ENOMEM));
    }
}

static void refuse(struct dri_firing_thread *thread, const struct dri_shot *shot, const char *why)
{
    thread->refused++;
    DRI_LOG(DRI_LOG_ERROR, "SCH-REFUSED",
            "the broker does not take a schedule's command; it is not fired until it is changed",
            DRI_TEXT("schedule", shot->schedule->key),
            DRI_UINT("revision", shot->schedule->revision), DRI_TEXT("reason", why));
    dri_firing_refuse(thread->firing, shot->schedule);
}

/* The command is, and not its topic: that one is missing or not allowed can be mended. On Kafka all
 * that were sent together are refused with the one at fault, so that it is found by sending one at
 * a time. */
static bool is_at_fault(enum dray_status reason)
{
    return reason == DRAY_ELIMIT || reason == DRAY_EINVALID;
}

static void on_published(struct dri_firing_thread *thread, const struct dri_published *published)
{
    struct volley *volley = &thread->volley;
    bool is_command = published->token < TOKEN_RECORD;
    if (is_command != (thread->phase == PHASE_COMMANDS)) {
        return;
    }
    volley->answered++;
    if (published->ack == DRI_ACK_STORED) {
        if (is_command) {
            volley->is_stored[published->token] = true;
            volley->is_new[published->token] = !published->is_duplicate;
        }
        return;
    }
    bool is_refused = is_command && is_at_fault(published->reason);
    if (is_refused && (!thread->is_kafka || volley->count == 1)) {
        refuse(thread, &volley->shots[published->token], dray_status_text(published->reason));
    }
    if (!is_refused || thread->is_kafka) { /* a transaction is whole or not at all */
        thread->is_one_by_one = thread->is_one_by_one || is_refused;
        broken(thread, published->reason != DRAY_OK ? dray_status_text(published->reason)
                                                    : "nobody knows whether a record was stored");
    }
}

/* ---- a volley ---- */

static void finish(struct dri_firing_thread *thread)
{
    struct volley *volley = &thread->volley;
    for (size_t i = 0; i < volley->count; i++) {
        const struct dri_shot *shot = &volley->shots[i];
        if (!volley->is_stored[i]) {
            continue;
        }
        *(volley->is_new[i] ? &thread->fired : &thread->duplicates) += 1;
        if (dri_firing_learn(thread->firing, dray_slice_text(shot->schedule->key),
                             shot->schedule->revision, shot->tick_ms,
                             dri_clock_wall_ms()) != DRAY_OK) {
            broken(thread, dray_status_text(DRAY_ENOMEM));
        }
    }
    volley->count = 0;
    thread->was_outage_told = false;
    set_phase(thread, PHASE_IDLE);
}

/* What is due now. False: nothing, or the session has to be renewed first. */
static bool load(struct dri_firing_thread *thread, struct dri_now now)
{
    struct volley *volley = &thread->volley;
    struct dri_shot shot;
    bool is_fresh = now.mono_ns - thread->read_ns < FRESH_NS;
    *volley = (struct volley){.count = 0};
    size_t max = thread->is_one_by_one ? 1 : VOLLEY_MAX;
    while (volley->count < max && dri_firing_next(thread->firing, now.wall_ms, &shot)) {
        if (!is_fresh && shot.tick_ms + STALE_MS < now.wall_ms) {
            thread->is_broken = true;
            return false;
        }
        volley->shots[volley->count++] = shot;
    }
    thread->is_one_by_one = thread->is_one_by_one && volley->count > 0;
    return volley->count > 0;
}

/* Hand over one command. False: the transport is full. */
static bool hand_command(struct dri_firing_thread *thread, struct dri_now now, size_t at)
{
    const struct dri_shot *shot = &thread->volley.shots[at];
    uint8_t headers[HEADERS_BYTES];
    uint8_t id[16];
    char dedup_id[40] = "f:";
    uint8_t *bytes = NULL;
    size_t len = 0, headers_len = 0;
    enum dray_status status = dri_shot_headers(shot, headers, sizeof(headers), &headers_len);
    if (status == DRAY_OK) {
        status = dri_shot_encode(shot, now.wall_ms, &bytes, &len);
    }
    if (status != DRAY_OK) {
        broken(thread, dray_status_text(status));
        return false;
    }
    dri_schedule_id(dray_slice_text(shot->schedule->key), shot->schedule->revision, shot->tick_ms,
                    id);
    dri_hex(id, sizeof(id), dedup_id + 2);
    const struct dri_publish publish = {
        .token = at,
        .topic = dray_slice_text(thread->settings->topics.commands),
        .partition = -1,
        .key = shot->schedule->view.key,
        .value = dray_slice_of(bytes, len),
        .headers = dray_slice_of(headers, headers_len),
        .dedup_id = dray_slice_text(dedup_id),
    };
    bool is_taken = true;
    if (thread->message_bytes_max != 0 && len + headers_len > thread->message_bytes_max) {
        refuse(thread, shot, "it is larger than the broker's limit");
        thread->volley.answered++;
    } else {
        is_taken = thread->ops->publish(thread->transport, now, &publish, 1) == 1;
    }
    dri_free(bytes);
    return is_taken;
}

/* Whether a record has to be written for a shot: the last one of its schedule that is stored. */
static bool is_last(const struct volley *volley, size_t at)
{
    for (size_t i = at + 1; i < volley->count; i++) {
        if (volley->is_stored[i] && volley->shots[i].schedule == volley->shots[at].schedule) {
            return false;
        }
    }
    return volley->is_stored[at];
}

static bool hand_record(struct dri_firing_thread *thread, struct dri_now now, size_t at)
{
    const struct dri_shot *shot = &thread->volley.shots[at];
    struct dray_slice key = dray_slice_text(shot->schedule->key);
    const struct dri_tick tick = {
        .key = key,
        .revision = shot->schedule->revision,
        .tick_ms = shot->tick_ms,
        .ts_ms = now.wall_ms,
        .worker = dray_slice_text(thread->worker),
    };
    uint8_t bytes[RECORD_BYTES];
    size_t len = 0;
    if (dri_tick_encode(&tick, bytes, sizeof(bytes), &len) != DRAY_OK) {
        broken(thread, dray_status_text(DRAY_ELIMIT));
        return false;
    }
    const struct dri_publish publish = {
        .token = TOKEN_RECORD + at,
        .topic = dray_slice_text(thread->settings->topics.ticks),
        .partition = -1,
        .key = dri_schedule_key_name(key),
        .value = dray_slice_of(bytes, len),
        .headers = dray_slice_of("", 0),
    };
    bool is_taken = thread->ops->publish(thread->transport, now, &publish, 1) == 1;
    thread->volley.records += is_taken;
    return is_taken;
}

/* Hand over what is left of the phase. False: something is still to be handed over or answered. */
static bool is_through(struct dri_firing_thread *thread, struct dri_now now)
{
    struct volley *volley = &thread->volley;
    bool is_commands = thread->phase == PHASE_COMMANDS;
    while (!thread->is_broken && volley->handed < volley->count) {
        size_t at = volley->handed;
        bool is_wanted = is_commands || is_last(volley, at);
        if (is_wanted && !(is_commands ? hand_command : hand_record)(thread, now, at)) {
            break;
        }
        volley->handed++;
    }
    size_t expected = is_commands ? volley->count : volley->records;
    return !thread->is_broken && volley->handed == volley->count && volley->answered == expected;
}

/* Asked before anything is handed over: a process that was asleep in the middle of a volley would
 * otherwise send the rest of it, which others have fired meanwhile, and on JetStream longer ago
 * than the server remembers. Reading has no other limit: a partition without a leader says nothing.
 */
static bool is_overdue(const struct dri_firing_thread *thread, struct dri_now now)
{
    return thread->phase != PHASE_IDLE && now.mono_ns > thread->phase_ns + thread->answer_ns;
}

static void volley_step(struct dri_firing_thread *thread, struct dri_now now)
{
    if (is_overdue(thread, now)) {
        broken(thread, thread->phase == PHASE_READING
                           ? "the topic of the last ticks is not read to its end: the broker does "
                             "not answer, or one of its partitions has no leader"
                           : "the broker does not answer");
        return;
    }
    if (thread->phase == PHASE_IDLE && load(thread, now)) {
        set_phase(thread, PHASE_COMMANDS);
    }
    if (thread->phase == PHASE_COMMANDS && is_through(thread, now)) {
        set_phase(thread, PHASE_RECORDS);
    }
    if (thread->phase == PHASE_RECORDS && is_through(thread, now)) {
        if (!thread->is_kafka || thread->volley.records == 0) {
            finish(thread);
        } else {
            set_phase(thread, PHASE_COMMITTING);
            thread->ops->commit(thread->transport, now, false);
        }
    }
}

/* ---- a session ---- */

static void on_event(struct dri_firing_thread *thread, const struct dri_transport_event *event)
{
    bool is_of_topic = event->type == DRI_TE_ASSIGNED || event->type == DRI_TE_CAUGHT_UP ||
                       event->type == DRI_TE_MESSAGE;
    if (is_of_topic && thread->phase == PHASE_READING) {
        thread->phase_ns = dri_clock_mono_ns(); /* it goes on */
    }
    switch (event->type) {
    case DRI_TE_ASSIGNED:
        thread->assigned++;
        break;
    case DRI_TE_CAUGHT_UP:
        thread->caught_up++;
        break;
    case DRI_TE_MESSAGE:
        on_record(thread, &event->as.message);
        break;
    case DRI_TE_PUBLISHED:
        on_published(thread, &event->as.published);
        break;
    case DRI_TE_TRANSACTION:
        if (event->status != DRAY_OK) {
            broken(thread, "the transaction was thrown away");
        } else if (thread->phase == PHASE_COMMITTING) {
            finish(thread);
        }
        break;
    case DRI_TE_REVOKED:
    case DRI_TE_LOST:
        broken(thread, "the topic was taken away");
        break;
    case DRI_TE_ERROR:
        if (dray_status_class(event->status) != DRAY_CLASS_TRANSIENT) {
            char text[TEXT_BYTES];
            snprintf(text, sizeof(text), "%.*s", (int)event->as.text.len,
                     event->as.text.at == NULL ? "" : (const char *)event->as.text.at);
            broken(thread, text);
        }
        break;
    case DRI_TE_SETTLED:
    default:
        break;
    }
}

static enum dray_status session_open(struct dri_firing_thread *thread, char *ret_text,
                                     size_t text_bytes)
{
    const struct dri_settings *settings = thread->settings;
    struct dri_transport_info info = {.kind = ""};
    char source[TOPIC_BYTES];
    snprintf(source, sizeof(source), thread->is_kafka ? "%s" : "%s.>", settings->topics.ticks);
    const struct dri_source sources[] = {{source, DRI_ROLE_LOG, DRI_START_EARLIEST, 0, 0}};
    const struct dri_topic topics[] = {
        {settings->topics.commands, DRI_USE_COMMANDS},
        {settings->topics.ticks, DRI_USE_STATUS},
    };
    const struct dri_transport_config config = {
        .url = settings->bus,
        .client_id = thread->worker,
        .sources = sources,
        .sources_count = DRI_ARRAY_LEN(sources),
        .topics = topics,
        .topics_count = DRI_ARRAY_LEN(topics),
        .can_create = settings->worker.create_topics,
        .partitions = settings->worker.partitions,
        .timeout_ms = OPEN_MS,
        .unacked_max = UNACKED_MAX,
        .in_flight_max = UNACKED_MAX,
        .memory_bytes = MEMORY_BYTES,
        .transactional_id = thread->is_kafka ? settings->topics.ticks : NULL,
        .options = thread->options,
        .options_count = thread->options_count,
    };
    enum dray_status status = thread->ops->open(&config, &thread->transport, ret_text, text_bytes);
    if (status != DRAY_OK) {
        thread->transport = NULL;
        return status;
    }
    thread->ops->info(thread->transport, &info);
    thread->message_bytes_max = info.message_bytes_max;
    thread->assigned = thread->caught_up = 0;
    thread->is_broken = false;
    set_phase(thread, PHASE_READING);
    return DRAY_OK;
}

static void session_close(struct dri_firing_thread *thread)
{
    if (thread->transport != NULL) {
        thread->ops->close(thread->transport, CLOSE_MS);
        thread->ops->destroy(thread->transport);
        thread->transport = NULL;
        thread->volley.count = 0;
    }
}

static bool session_turn(struct dri_firing_thread *thread)
{
    struct dri_transport_event events[EVENTS_MAX];
    struct dri_now now = dri_clock_now();
    bool more = false;
    size_t count = thread->ops->poll(thread->transport, now, EVENTS_MAX, events, EVENTS_MAX, &more);
    for (size_t i = 0; i < count && !thread->is_broken; i++) {
        on_event(thread, &events[i]);
    }
    now = dri_clock_now(); /* we may have been asleep */
    if (thread->phase == PHASE_READING && thread->assigned > 0 &&
        thread->caught_up >= thread->assigned) {
        set_phase(thread, PHASE_IDLE);
        thread->read_ns = now.mono_ns;
        DRI_LOG(DRI_LOG_INFO, "SCH-FIRES", "fires the schedules of the group",
                DRI_UINT("schedules", dri_firing_count(thread->firing)));
    }
    if (!thread->is_broken) {
        volley_step(thread, now);
    }
    return more;
}

/* ---- the thread ---- */

/* Requires: no shot is out. */
static void take_schedules(struct dri_firing_thread *thread)
{
    struct dri_schedule **list = NULL;
    size_t count = 0;
    uint64_t version = dri_schedules_version(thread->schedules);
    if (thread->has_set && version == thread->version) {
        return;
    }
    thread->has_set =
        dri_schedules_hold(thread->schedules, thread->settings->group, &list, &count) == DRAY_OK &&
        dri_firing_set(thread->firing, list, count) == DRAY_OK;
    thread->version = version;
}

static bool is_wanted(const struct dri_firing_thread *thread)
{
    return atomic_load(&thread->is_ours) && !atomic_load(&thread->is_stopping);
}

static uint64_t next_due_ns(const struct dri_firing_thread *thread)
{
    struct dri_now now = dri_clock_now();
    uint64_t due_ns = thread->ops->next_deadline(thread->transport);
    const struct volley *volley = &thread->volley;
    if (thread->phase == PHASE_IDLE) {
        uint64_t due_ms = dri_firing_due_ms(thread->firing);
        uint64_t left_ms = due_ms > now.wall_ms ? due_ms - now.wall_ms : 0;
        uint64_t shot_ns = left_ms < 1000 ? now.mono_ns + left_ms * NS_PER_MS : UINT64_MAX;
        due_ns = shot_ns < due_ns ? shot_ns : due_ns;
    } else if (thread->phase != PHASE_COMMITTING && volley->handed < volley->count) {
        due_ns = now.mono_ns + AGAIN_NS;
    }
    return due_ns;
}

static bool has_work(const struct dri_firing_thread *thread)
{
    return is_wanted(thread) && dri_firing_count(thread->firing) > 0;
}

/* Whether what made us wait is not so any more. is_resting: no other wake than the end counts. */
static bool has_changed(const struct dri_firing_thread *thread, bool is_resting)
{
    bool has_news = dri_schedules_version(thread->schedules) != thread->version;
    if (thread->transport != NULL) {
        return !is_wanted(thread) || (thread->phase == PHASE_IDLE && has_news);
    }
    return atomic_load(&thread->is_stopping) || (!is_resting && (has_news || has_work(thread)));
}

/* Until something may have come, at most for a second: the wall clock may be set meanwhile. */
static void wait_turn(struct dri_firing_thread *thread, uint64_t until_ns)
{
    uint64_t now_ns = dri_clock_mono_ns();
    uint64_t wait_ns = until_ns > now_ns ? until_ns - now_ns : 0;
    wait_ns = wait_ns < SLEEP_MAX_NS ? wait_ns : SLEEP_MAX_NS;
    bool has_session = thread->transport != NULL;
    bool is_resting = until_ns != UINT64_MAX;
    struct pollfd fds[] = {
        {.fd = thread->wake.fd, .events = POLLIN},
        {.fd = has_session ? thread->ops->fd(thread->transport) : -1, .events = POLLIN},
    };
    struct timespec timeout = {(time_t)(wait_ns / 1000000000u), (long)(wait_ns % 1000000000u)};
    dri_wake_prepare(&thread->wake);
    if (!has_changed(thread, is_resting)) {
        (void)ppoll(fds, DRI_ARRAY_LEN(fds), &timeout, NULL); /* EINTR is as good as a wake */
    }
    dri_wake_cancel(&thread->wake);
}

static void session_run(struct dri_firing_thread *thread)
{
    while (has_work(thread) && !thread->is_broken) {
        if (thread->phase == PHASE_IDLE) {
            take_schedules(thread);
        }
        bool more = session_turn(thread);
        show(thread);
        if (!more && !thread->is_broken) {
            wait_turn(thread, next_due_ns(thread));
        }
    }
}

/* Until something goes wrong or there is nothing to be done here any more. */
static void session(struct dri_firing_thread *thread)
{
    char text[TEXT_BYTES] = "";
    dri_firing_reset(thread->firing);
    enum dray_status status = session_open(thread, text, sizeof(text));
    if (status == DRAY_OK) {
        session_run(thread);
    } else {
        broken(thread, text[0] == '\0' ? dray_status_text(status) : text);
    }
    session_close(thread);
}

static void *firing_run(void *arg)
{
    struct dri_firing_thread *thread = arg;
    while (!atomic_load(&thread->is_stopping)) {
        take_schedules(thread);
        thread->is_broken = false;
        if (has_work(thread)) {
            session(thread);
        }
        show(thread);
        if (!thread->is_broken) {
            wait_turn(thread, UINT64_MAX);
            continue;
        }
        uint64_t until_ns = dri_clock_mono_ns() + RETRY_NS;
        while (!atomic_load(&thread->is_stopping) && dri_clock_mono_ns() < until_ns) {
            wait_turn(thread, until_ns);
        }
    }
    return NULL;
}

/* ---- life ---- */

/* What is said of consumers in a group, or of a message's time, is not for a producer with
 * transactions and a reader without a group. */
static enum dray_status choose_options(struct dri_firing_thread *thread)
{
    static const char *const others[] = {"partition.assignment.strategy", "group.protocol",
                                         "group.instance.id", "message.timeout.ms",
                                         "delivery.timeout.ms"};
    const struct dri_settings *settings = thread->settings;
    thread->options = dri_zalloc_array(settings->options_count + 1, sizeof(*thread->options));
    if (thread->options == NULL) {
        return DRAY_ENOMEM;
    }
    for (size_t i = 0; i < settings->options_count; i++) {
        bool is_other = false;
        for (size_t k = 0; k < DRI_ARRAY_LEN(others); k++) {
            is_other = is_other || strcmp(settings->options[i].name, others[k]) == 0;
        }
        if (!is_other) {
            thread->options[thread->options_count++] = settings->options[i];
        }
    }
    return DRAY_OK;
}

static enum dray_status prepare(struct dri_firing_thread *thread,
                                const struct dri_firing_config *config)
{
    thread->settings = config->settings;
    thread->ops = config->ops;
    thread->schedules = config->schedules;
    thread->worker = config->worker;
    thread->answer_ns = (config->answer_ms == 0 ? ANSWER_MS : config->answer_ms) * NS_PER_MS;
    thread->is_kafka = strcmp(config->ops->scheme, "kafka") == 0;
    enum dray_status status = dri_wake_init(&thread->wake);
    thread->has_wake = status == DRAY_OK;
    if (status == DRAY_OK) {
        status = dri_metrics_page(config->metrics, &thread->page);
    }
    if (status == DRAY_OK) {
        status = dri_firing_create(config->settings->worker.fire_ahead_ms, &thread->firing);
    }
    if (status == DRAY_OK) {
        status = choose_options(thread);
    }
    if (status == DRAY_OK) {
        thread->has_thread = pthread_create(&thread->thread, NULL, firing_run, thread) == 0;
        status = thread->has_thread ? DRAY_OK : DRAY_ENOMEM;
    }
    return status;
}

enum dray_status dri_firing_start(const struct dri_firing_config *config,
                                  struct dri_firing_thread **ret_thread)
{
    struct dri_firing_thread *thread = dri_zalloc(sizeof(*thread));
    if (thread == NULL) {
        return DRAY_ENOMEM;
    }
    enum dray_status status = prepare(thread, config);
    if (status != DRAY_OK) {
        dri_firing_stop(thread);
        return status;
    }
    *ret_thread = thread;
    return DRAY_OK;
}

void dri_firing_own(struct dri_firing_thread *thread, bool is_ours)
{
    uint64_t version = dri_schedules_version(thread->schedules);
    if (is_ours == thread->told_ours && version == thread->told_version) {
        return;
    }
    thread->told_ours = is_ours;
    thread->told_version = version;
    atomic_store(&thread->is_ours, is_ours);
    dri_wake_notify(&thread->wake);
}

void dri_firing_leave(struct dri_firing_thread *thread)
{
    if (thread != NULL && thread->has_thread) {
        atomic_store(&thread->is_stopping, true);
        dri_wake_notify(&thread->wake);
    }
}

void dri_firing_stop(struct dri_firing_thread *thread)
{
    if (thread == NULL) {
        return;
    }
    dri_firing_leave(thread);
    if (thread->has_thread) {
        (void)pthread_join(thread->thread, NULL);
    }
    if (thread->has_wake) {
        dri_wake_fini(&thread->wake);
    }
    dri_firing_destroy(thread->firing);
    dri_free(thread->options);
    dri_free(thread);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* control_thread.c - the control topic into the registry, the registry's state onto the status
 * topic.
 *
 * A *session* is one open transport: the log is read from its start in each, and what was applied
 * before is passed over by its revision. So a lost connection, a new leader or a topic that was
 * away need no case of their own; reading thousands of records again costs milliseconds.
 *
 * A worker that cannot reach the topic within some seconds starts with its snapshot, says so, and
 * goes on trying. A log that has lost records is another thing: two replicas could then hold
 * different registries at the same revision, so at the start it is an error, and at run time the
 * worker keeps what it has, is not ready any more, and says so.
 *
 * The seed is one change with base 0 for every key, published by whoever finds that nothing was
 * ever put. Two may do so at once: the log takes the first, and the second one's bases do not match
 * any more. That is also why a seed whose fate is unknown may simply be sent again. A registry that
 * was emptied by hand is not seeded again.
 */
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "control_inside.h"
#include "log.h"
#include "mem.h"
#include "seed.h"
#include "snapshot.h"

#define EVENTS_MAX    128u
#define OPEN_MS       5000u
#define PATIENCE_NS   (5000u * NS_PER_MS)  /* then the snapshot */
#define START_NS      (30000u * NS_PER_MS) /* then give up */
#define RETRY_NS      (2000u * NS_PER_MS)
#define REFUSED_NS    (15000u * NS_PER_MS)
#define SETTLED_NS    (1000u * NS_PER_MS) /* without a change, then the snapshot is written */
#define REBIND_NS     (5000u * NS_PER_MS)
#define END_ASK_NS    (20u * NS_PER_MS)
#define END_WAIT_NS   (2000u * NS_PER_MS)
#define SEED_RETRY_NS (500u * NS_PER_MS)
#define SEED_TRIES    5u
#define GOODBYE_NS    (2000u * NS_PER_MS)
#define CLOSE_MS      2000u
#define SLEEP_MAX_NS  (1000u * NS_PER_MS)
#define MEMORY_BYTES  (UINT64_C(16) << 20)
#define UNACKED_MAX   64u

static void place_of(const struct dri_control_thread *control, struct dri_snapshot_place *ret_place)
{
    *ret_place = (struct dri_snapshot_place){.folder = control->settings->state,
                                             .bus = control->settings->bus,
                                             .cluster = control->settings->cluster,
                                             .topic = control->settings->topics.control,
                                             .signers = control->signers_hex};
}

/* ---- what others see ---- */

static void set_phase(struct dri_control_thread *control, enum phase phase, enum dray_status status,
                      const char *text)
{
    dri_lock_take(&control->lock);
    if (control->phase == PHASE_STARTING) {
        control->phase = phase;
        control->failure = status;
        snprintf(control->failure_text, sizeof(control->failure_text), "%s", text);
    }
    dri_lock_drop(&control->lock);
    dri_cond_broadcast(&control->cond);
}

static void set_fault(struct dri_control_thread *control, const char *text)
{
    dri_lock_take(&control->lock);
    snprintf(control->fault, sizeof(control->fault), "%s", text);
    dri_lock_drop(&control->lock);
}

static void serve(struct dri_control_thread *control)
{
    if (!control->is_serving) {
        control->is_serving = true;
        control->beat.is_changed = true;
        set_phase(control, PHASE_SERVING, DRAY_OK, "");
    }
}

/* Before the worker serves: it does not start. After: it goes on with what it has. */
static void fail(struct dri_control_thread *control, enum dray_status status, const char *text)
{
    if (!control->is_serving) {
        set_phase(control, PHASE_FAILED, status, text);
        return;
    }
    set_fault(control, text);
    DRI_LOG(DRI_LOG_ERROR, "CTL-REFUSED-LOG",
            "the control topic is refused; the routes stay as they are, the worker is not ready",
            DRI_TEXT("topic", control->settings->topics.control), DRI_TEXT("reason", text));
}

/* Reports go on; after a while the log is read again: it may have been mended. */
static void refuse_log(struct dri_control_thread *control, const char *text)
{
    control->refused_ns = dri_clock_mono_ns();
    fail(control, DRAY_EINVALID, text);
}

/* ---- the seed ---- */

static void seed_make(struct dri_control_thread *control)
{
    char text[TEXT_BYTES] = "";
    struct seed *seed = &control->seed;
    enum dray_status status = dri_seed_record(control->settings, &control->log, control->worker,
                                              &seed->bytes, &seed->len, text, sizeof(text));
    if (status == DRAY_EAUTH) {
        seed->is_impossible = true;
        DRI_LOG(DRI_LOG_WARN, "CTL-SEED-UNSIGNED",
                "the registry is empty, and the configuration's routes are not put",
                DRI_TEXT("reason", text));
        return;
    }
    if (status != DRAY_OK) {
        fail(control, status, text[0] == '\0' ? dray_status_text(status) : text);
        return;
    }
    snprintf(seed->dedup_id, sizeof(seed->dedup_id), "seed:%.24s:%016" PRIx64, control->worker,
             dri_clock_mono_ns());
    seed->due_ns = 0;
    DRI_LOG(DRI_LOG_INFO, "CTL-SEED", "the registry is empty: seeding it from the configuration",
            DRI_UINT("routes", control->settings->routes_count));
}

bool dri_control_write(struct dri_control_thread *control, struct dri_now now, uint64_t token,
                       struct dray_slice record, const char *dedup_id)
{
    const struct dri_publish publish = {
        .token = token,
        .topic = dray_slice_text(control->settings->topics.control),
        .partition = control->is_kafka ? 0 : -1,
        .value = record,
        .headers = dray_slice_of("", 0),
        .dedup_id = dray_slice_text(dedup_id),
    };
    return control->ops->publish(control->transport, now, &publish, 1) == 1;
}

static void seed_publish(struct dri_control_thread *control, struct dri_now now)
{
    struct seed *seed = &control->seed;
    if (seed->bytes == NULL || now.mono_ns < seed->due_ns) {
        return;
    }
    bool is_taken = dri_control_write(control, now, TOKEN_SEED,
                                      dray_slice_of(seed->bytes, seed->len), seed->dedup_id);
    seed->due_ns = is_taken ? UINT64_MAX : now.mono_ns + SEED_RETRY_NS;
}

static void on_seed_ack(struct dri_control_thread *control, const struct dri_published *published)
{
    if (published->ack == DRI_ACK_UNKNOWN) {
        control->seed.due_ns = dri_clock_mono_ns() + SEED_RETRY_NS;
    } else if (published->ack == DRI_ACK_NOT_STORED) {
        char text[TEXT_BYTES];
        snprintf(text, sizeof(text), "%s does not take the routes of the configuration: %s",
                 control->settings->topics.control, dray_status_text(published->reason));
        fail(control, published->reason, text);
    }
}

static bool was_ever_put(const struct dri_control_thread *control)
{
    return control->log.counts[DRI_CONTROL_APPLIED] > 0 || control->is_from_snapshot;
}

/* Somebody has signed with the same key meanwhile, or it lay about for too long: again, after a
 * while. One that had expired twice will do so for ever, and each try stays in the log. */
static bool is_worth_another(struct seed *seed, enum dri_distrust why)
{
    seed->replayed += why == DRI_DISTRUST_REPLAYED;
    seed->expired += why == DRI_DISTRUST_EXPIRED;
    return (why == DRI_DISTRUST_REPLAYED || why == DRI_DISTRUST_EXPIRED) &&
           seed->replayed < SEED_TRIES && seed->expired < 2;
}

static void on_seed_refused(struct dri_control_thread *control,
                            const struct dri_control_outcome *outcome)
{
    struct seed *seed = &control->seed;
    char text[TEXT_BYTES];
    if (is_worth_another(seed, outcome->distrust)) {
        if (!was_ever_put(control)) {
            dri_free(seed->bytes);
            seed->bytes = NULL;
            seed_make(control);
            seed->due_ns = dri_clock_mono_ns() + SEED_RETRY_NS;
        }
        return;
    }
    snprintf(text, sizeof(text), "the routes of the configuration are refused: %s%s", outcome->text,
             outcome->distrust == DRI_DISTRUST_EXPIRED
                 ? "; compare the clock here with the broker's"
                 : "");
    fail(control, DRAY_EINVALID, text);
}

/* ---- the log ---- */

static void tell_unfit(const struct dri_control_thread *control,
                       const struct dri_control_outcome *outcome)
{
    struct dri_change_item item;
    size_t at = 0;
    while (dri_change_next(&outcome->change, &at, &item)) {
        const struct dri_route *route = dri_registry_find_key(control->registry, item.key);
        if (route != NULL && route->failure[0] != '\0') {
            DRI_LOG(DRI_LOG_WARN, "REG-UNFIT", "a route cannot run here",
                    DRI_TEXT("route", route->key), DRI_TEXT("reason", route->failure));
        }
    }
}

static bool is_own_seed(const struct dri_control_thread *control, struct dray_slice value)
{
    const struct seed *seed = &control->seed;
    return seed->bytes != NULL && dray_slice_equal(value, dray_slice_of(seed->bytes, seed->len));
}

static void on_record(struct dri_control_thread *control, const struct dri_message *message)
{
    struct dri_control_outcome outcome;
    if (control->is_broken || control->refused_ns != 0) {
        return;
    }
    enum dray_status status = dri_control_log_take(&control->log, message, &outcome);
    if (status == DRAY_EFATAL) {
        refuse_log(control, outcome.text);
        return;
    }
    if (status != DRAY_OK) { /* no memory: read again from the start, later */
        control->is_broken = true;
        return;
    }
    if (outcome.verdict == DRI_CONTROL_SEEN) {
        return;
    }
    dri_control_outcome_tell(&outcome, control->is_checked);
    dri_beat_note(&control->beat, &outcome);
    control->beat.is_changed = true;
    control->changed_ns = dri_clock_mono_ns();
    bool is_routes = outcome.verdict == DRI_CONTROL_APPLIED;
    if (control->served != NULL && (is_routes || outcome.verdict == DRI_CONTROL_CANCELS ||
                                    outcome.verdict == DRI_CONTROL_SCHEDULES)) {
        dri_wake_notify(control->served);
    }
    if (is_routes) {
        control->sharing.is_asking = true;
        control->is_asking_canaries = true;
        tell_unfit(control, &outcome);
    } else if (outcome.verdict == DRI_CONTROL_REFUSED && is_own_seed(control, message->value)) {
        on_seed_refused(control, &outcome);
    }
    dri_control_note_counts(control);
}

/* ---- the end of the log ---- */

static void caught_up(struct dri_control_thread *control, uint64_t next_offset)
{
    char text[TEXT_BYTES] = "";
    enum dray_status status =
        dri_control_log_check_end(&control->log, next_offset, text, sizeof(text));
    if (status == DRAY_OK && control->log.end < control->snapshot_revision) {
        snprintf(text, sizeof(text),
                 "the log ends at revision %" PRIu64 ", but this worker has seen %" PRIu64
                 ": it was made anew or has lost its end; if that is meant, remove %s/%s",
                 control->log.end, control->snapshot_revision, control->settings->state,
                 DRI_SNAPSHOT_FILE);
        status = DRAY_EFATAL;
    }
    if (status != DRAY_OK) {
        refuse_log(control, text);
        return;
    }
    control->is_checked = true;
    control->snapshot_revision = 0; /* from here on the registry's own revision says it */
    set_fault(control, "");
    if (control->was_outage_told) {
        DRI_LOG(DRI_LOG_INFO, "CTL-BACK", "the control topic is read again",
                DRI_UINT("revision", dri_registry_revision(control->registry)));
        control->was_outage_told = false;
    }
    if (was_ever_put(control)) {
        if (!control->is_serving || control->is_from_snapshot) {
            dri_seed_tell_unused(control->settings, control->registry);
        }
    } else if (control->settings->routes_count > 0 && control->seed.bytes == NULL &&
               !control->seed.is_impossible) {
        seed_make(control);
    }
}

/* The broker's word on where the log ends matters only when nothing of it was there to be read. */
static void check_end(struct dri_control_thread *control, struct dri_now now)
{
    uint64_t next_offset = UINT64_MAX;
    if (!control->is_at_end || control->is_checked || control->refused_ns != 0) {
        return;
    }
    if (control->log.end == 0 &&
        control->ops->lag(control->transport, control->slot, control->epoch, &next_offset) !=
            DRAY_OK &&
        now.mono_ns - control->end_ns < END_WAIT_NS) {
        return;
    }
    caught_up(control, next_offset);
}

/* ---- a session ---- */

static void tell_outage(struct dri_control_thread *control, const char *text)
{
    if (!control->was_outage_told) {
        control->was_outage_told = true;
        DRI_LOG(control->is_serving ? DRI_LOG_ERROR : DRI_LOG_WARN, "CTL-AWAY",
                "the control topic cannot be read; trying on",
                DRI_TEXT("topic", control->settings->topics.control), DRI_TEXT("reason", text));
    }
}

static void on_event(struct dri_control_thread *control, const struct dri_transport_event *event)
{
    char text[TEXT_BYTES];
    switch (event->type) {
    case DRI_TE_ASSIGNED:
        if (dray_slice_equal_text(event->as.assigned.topic, control->settings->topics.control)) {
            control->slot = event->slot;
            control->epoch = event->epoch;
        }
        break;
    case DRI_TE_MESSAGE:
        if (event->slot == control->slot) {
            on_record(control, &event->as.message);
        } else {
            dri_replicas_take(&control->sharing.replicas, event->as.message.key,
                              event->as.message.value, dri_clock_mono_ns());
        }
        break;
    case DRI_TE_CAUGHT_UP:
        control->is_at_end = control->is_at_end || event->slot == control->slot;
        control->end_ns = dri_clock_mono_ns();
        break;
    case DRI_TE_PUBLISHED:
        if (event->as.published.token == TOKEN_SEED) {
            on_seed_ack(control, &event->as.published);
        } else if (event->as.published.token != TOKEN_VERDICT) { /* that one comes by the log */
            dri_control_beat_ack(control, &event->as.published);
        }
        break;
    case DRI_TE_REVOKED:
    case DRI_TE_LOST:
        tell_outage(control, "it was taken away");
        control->is_broken = true;
        break;
    case DRI_TE_ERROR:
        snprintf(text, sizeof(text), "%.*s", (int)event->as.text.len,
                 event->as.text.at == NULL ? "" : (const char *)event->as.text.at);
        if (dray_status_class(event->status) != DRAY_CLASS_TRANSIENT) {
            tell_outage(control, text);
            control->is_broken = true;
        }
        break;
    case DRI_TE_SETTLED:
    default:
        break;
    }
}

static enum dray_status session_open(struct dri_control_thread *control, char *ret_text,
                                     size_t text_bytes)
{
    const struct dri_settings *settings = control->settings;
    char status_topic[TEXT_BYTES];
    bool reads_status = dri_sharing_begin(&control->sharing);
    snprintf(status_topic, sizeof(status_topic),
             strcmp(control->ops->scheme, "nats") == 0 ? "%s.>" : "%s", settings->topics.status);
    const struct dri_source sources[] = {
        {settings->topics.control, DRI_ROLE_LOG, DRI_START_EARLIEST, 0, 0},
        {status_topic, DRI_ROLE_LOG, DRI_START_LATEST, 0, 0},
    };
    const struct dri_topic topics[] = {
        {settings->topics.control, DRI_USE_CONTROL},
        {settings->topics.status, DRI_USE_STATUS},
    };
    const struct dri_transport_config config = {
        .url = settings->bus,
        .client_id = control->worker,
        .sources = sources,
        .sources_count = reads_status ? 2 : 1,
        .topics = topics,
        .topics_count = 2,
        .can_create = settings->worker.create_topics,
        .wants_stamps = control->signers.count > 0,
        .partitions = 1,
        .timeout_ms = OPEN_MS,
        .unacked_max = UNACKED_MAX,
        .in_flight_max = UNACKED_MAX,
        .memory_bytes = MEMORY_BYTES,
        .options = settings->options,
        .options_count = settings->options_count,
    };
    struct dri_transport_info info = {.kind = ""};
    enum dray_status status =
        control->ops->open(&config, &control->transport, ret_text, text_bytes);
    if (status != DRAY_OK) {
        control->transport = NULL;
        dri_sharing_failed(&control->sharing, status, settings->topics.status, ret_text);
        return status;
    }
    control->ops->info(control->transport, &info);
    control->is_kafka = strcmp(info.kind, "kafka") == 0;
    control->is_at_end = false;
    control->is_checked = false;
    control->is_broken = false;
    if (control->beats_out > 0) { /* nobody knows of them */
        dri_beat_lost(&control->beat, control->beats_said);
    }
    control->beats_out = 0;
    control->refused_ns = 0;
    control->session_ns = dri_clock_mono_ns();
    if (control->seed.bytes != NULL) {
        control->seed.due_ns = was_ever_put(control) ? UINT64_MAX : 0;
    }
    dri_control_log_begin(&control->log, info.first_offset);
    return DRAY_OK;
}

static void session_close(struct dri_control_thread *control)
{
    if (control->transport != NULL) {
        control->ops->close(control->transport, CLOSE_MS);
        control->ops->destroy(control->transport);
        control->transport = NULL;
    }
}

static bool session_poll(struct dri_control_thread *control, struct dri_now now)
{
    struct dri_transport_event events[EVENTS_MAX];
    bool more = false;
    size_t count =
        control->ops->poll(control->transport, now, EVENTS_MAX, events, EVENTS_MAX, &more);
    for (size_t i = 0; i < count; i++) {
        on_event(control, &events[i]);
        if (control->is_checked && dri_beat_is_full(&control->beat)) {
            dri_control_beat_now(control, now);
        }
    }
    return more;
}

static void save_snapshot(struct dri_control_thread *control)
{
    struct dri_snapshot_place place;
    char text[TEXT_BYTES] = "";
    place_of(control, &place);
    control->changed_ns = 0;
    if (dri_snapshot_save(&place, control->registry, text, sizeof(text)) != DRAY_OK) {
        DRI_LOG(DRI_LOG_WARN, "CTL-SNAPSHOT", "the snapshot cannot be written; trying again later",
                DRI_TEXT("reason", text));
        control->changed_ns = dri_clock_mono_ns() + 10 * SETTLED_NS;
    }
}

/* What is due by time, in a session or without one. */
static void chores(struct dri_control_thread *control, struct dri_now now)
{
    if (control->is_checked && control->changed_ns != 0 &&
        now.mono_ns >= control->changed_ns + SETTLED_NS) {
        save_snapshot(control);
    }
    if (control->beat.failed > 0 && now.mono_ns >= control->rebind_ns) {
        dri_registry_rebind(control->registry);
        control->beat.is_changed = true;
        control->rebind_ns = now.mono_ns + REBIND_NS;
    }
    dri_hot_set_turn(&control->hot, now.mono_ns);
    (void)dri_registry_reclaim(control->registry);
}

static void session_turn(struct dri_control_thread *control, bool *ret_more)
{
    struct dri_now now = dri_clock_now();
    *ret_more = session_poll(control, now);
    check_end(control, now);
    if (dri_sharing_look(&control->sharing, control->is_checked, now.mono_ns) &&
        control->served != NULL) {
        dri_wake_notify(control->served);
    }
    seed_publish(control, now);
    dri_control_canary(control, now);
    if (control->is_checked && (was_ever_put(control) || control->settings->routes_count == 0 ||
                                control->seed.is_impossible)) {
        serve(control);
    }
    dri_control_beat(control, now);
    chores(control, now);
}

static void start_without_topic(struct dri_control_thread *control, enum dray_status status,
                                const char *text);

/* Until something may have come; state: as it was when we last looked. */
static void wait_turn(struct dri_control_thread *control, int state, uint64_t until_ns)
{
    uint64_t now_ns = dri_clock_mono_ns();
    uint64_t wait_ns = until_ns > now_ns ? until_ns - now_ns : 0;
    wait_ns = wait_ns < SLEEP_MAX_NS ? wait_ns : SLEEP_MAX_NS;
    struct dri_wake *canary = control->canary == NULL ? NULL : dri_canary_wake(control->canary);
    struct pollfd fds[] = {
        {.fd = control->wake.fd, .events = POLLIN},
        {.fd = control->transport == NULL ? -1 : control->ops->fd(control->transport),
         .events = POLLIN},
        {.fd = canary == NULL ? -1 : canary->fd, .events = POLLIN},
    };
    struct timespec timeout = {(time_t)(wait_ns / 1000000000u), (long)(wait_ns % 1000000000u)};
    dri_wake_prepare(&control->wake);
    if (canary != NULL) {
        dri_wake_prepare(canary);
    }
    if (!atomic_load(&control->is_stopping) && state == atomic_load(&control->state) &&
        !dri_control_has_verdict(control)) {
        (void)ppoll(fds, 3, &timeout, NULL); /* EINTR is as good as a wake */
    }
    dri_wake_cancel(&control->wake);
    if (canary != NULL) {
        dri_wake_cancel(canary);
    }
}

static uint64_t next_due(const struct dri_control_thread *control)
{
    uint64_t due = control->ops->next_deadline(control->transport);
    due = control->beat.due_ns < due ? control->beat.due_ns : due;
    due = control->seed.due_ns < due && control->seed.bytes != NULL ? control->seed.due_ns : due;
    if (control->is_at_end && !control->is_checked) { /* asks again where the log ends */
        uint64_t soon_ns = dri_clock_mono_ns() + END_ASK_NS;
        due = soon_ns < due ? soon_ns : due;
    }
    return due;
}

static void session_run(struct dri_control_thread *control)
{
    while (!atomic_load(&control->is_stopping) && !control->is_broken &&
           !dri_sharing_wants_more(&control->sharing) &&
           (control->refused_ns == 0 || dri_clock_mono_ns() - control->refused_ns < REFUSED_NS)) {
        bool more = false;
        int state = atomic_load(&control->state);
        session_turn(control, &more);
        if (!(control->is_checked && control->is_serving) && control->refused_ns == 0 &&
            dri_clock_mono_ns() - control->session_ns > PATIENCE_NS) {
            const char *text = control->is_checked ? "it does not take the configuration's routes"
                                                   : "its end is not reached";
            tell_outage(control, text);
            start_without_topic(control, DRAY_ETIMEOUT, text);
        }
        if (!more) {
            wait_turn(control, state, next_due(control));
        }
        if (state != atomic_load(&control->state)) {
            control->beat.is_changed = true;
        }
    }
}

/* ---- without the topic ---- */

static void start_without_topic(struct dri_control_thread *control, enum dray_status status,
                                const char *text)
{
    struct dri_snapshot_place place;
    char why[TEXT_BYTES] = "";
    bool is_hopeless = dray_status_class(status) != DRAY_CLASS_TRANSIENT;
    if (control->is_serving) {
        return;
    }
    place_of(control, &place);
    if (dri_registry_revision(control->registry) == 0) {
        if (dri_snapshot_load(&place, control->registry, why, sizeof(why)) == DRAY_OK) {
            DRI_LOG(DRI_LOG_WARN, "CTL-FROM-SNAPSHOT",
                    "starting with the local snapshot, which may be old; trying on to reach the "
                    "control topic",
                    DRI_UINT("revision", dri_registry_revision(control->registry)),
                    DRI_UINT("routes", dri_registry_count(control->registry)),
                    DRI_TEXT("reason", text));
            control->is_from_snapshot = true;
            serve(control);
            return;
        }
        if (dri_registry_revision(control->registry) != 0) {
            set_phase(control, PHASE_FAILED, DRAY_EINVALID, why);
            return;
        }
    }
    if (is_hopeless || dri_clock_mono_ns() - control->begun_ns >= START_NS) {
        set_phase(control, PHASE_FAILED, status, text);
    }
}

static void goodbye(struct dri_control_thread *control)
{
    uint64_t end_ns = dri_clock_mono_ns() + GOODBYE_NS;
    bool is_said = false;
    if (control->transport == NULL || control->is_broken) {
        return;
    }
    while (dri_clock_mono_ns() < end_ns && (!is_said || control->beats_out > 0)) {
        struct dri_now now = dri_clock_now();
        bool more = session_poll(control, now);
        bool is_late = dri_clock_mono_ns() + GOODBYE_NS / 2 > end_ns;
        if (!is_said && dri_beat_has_more(&control->beat)) { /* a tombstone does not say them */
            dri_control_beat_now(control, now);
        } else if (!is_said && (control->beats_out == 0 || is_late)) {
            is_said = dri_control_beat_goodbye(control, now);
        }
        if (!more) {
            struct pollfd fd = {.fd = control->ops->fd(control->transport), .events = POLLIN};
            (void)poll(&fd, 1, 20);
        }
    }
}

static void *control_run(void *arg)
{
    struct dri_control_thread *control = arg;
    while (!atomic_load(&control->is_stopping)) {
        char text[TEXT_BYTES] = "";
        enum dray_status status = session_open(control, text, sizeof(text));
        if (status == DRAY_OK) {
            session_run(control);
        } else {
            tell_outage(control, text);
            start_without_topic(control, status, text);
        }
        if (atomic_load(&control->is_stopping)) {
            break;
        }
        session_close(control);
        control->is_checked = false;
        uint64_t until_ns = dri_clock_mono_ns() + RETRY_NS;
        while (!atomic_load(&control->is_stopping) && dri_clock_mono_ns() < until_ns) {
            wait_turn(control, atomic_load(&control->state), until_ns);
            chores(control, dri_clock_now());
        }
        control->beat.is_changed = true;
    }
    if (control->is_checked && control->changed_ns != 0) {
        save_snapshot(control);
    }
    goodbye(control);
    session_close(control);
    return NULL;
}

/* ---- life ---- */

static enum dray_status prepare(struct dri_control_thread *control,
                                const struct dri_control_config *config)
{
    struct dri_snapshot_place place;
    control->settings = config->settings;
    control->ops = config->ops;
    control->registry = config->registry;
    control->worker = config->worker;
    control->served = config->served;
    control->canary = config->canary;
    control->is_asking_canaries = true;
    control->begun_ns = dri_clock_mono_ns();
    control->seed.due_ns = UINT64_MAX;
    dri_signers_init(&control->signers, config->settings);
    dri_signers_fingerprint(&control->signers, control->signers_hex);
    snprintf(control->admin, sizeof(control->admin), "%s", config->admin);
    control->beat = (struct dri_beat){.worker = config->worker,
                                      .group = config->settings->group,
                                      .version = config->version,
                                      .admin = control->admin,
                                      .signers = control->signers_hex,
                                      .registry = config->registry,
                                      .hot_calls = config->settings->worker.hot_calls,
                                      .hot_window_ms = config->settings->worker.hot_window_ms};
    dri_beat_init(&control->beat);
    dri_sharing_init(&control->sharing, config->registry, config->worker, config->settings->group);
    dri_control_log_init(&control->log, config->registry, config->settings->cluster,
                         config->settings->topics.control);
    control->log.cancelled = config->cancelled;
    control->log.schedules = config->schedules;
    control->log.signers = &control->signers;
    place_of(control, &place);
    control->snapshot_revision = dri_snapshot_revision(&place);
    dri_lock_init(&control->lock, DRI_LOCK_CONTROL);
    dri_cond_init(&control->cond);
    control->has_lock = true;
    enum dray_status status = dri_wake_init(&control->wake);
    control->has_wake = status == DRAY_OK;
    if (status == DRAY_OK) {
        status = dri_metrics_page(config->metrics, &control->page);
        dri_hot_set_init(&control->hot, config->registry, control->page,
                         config->settings->worker.hot_calls,
                         config->settings->worker.hot_window_ms);
    }
    if (status == DRAY_OK) {
        control->has_thread = pthread_create(&control->thread, NULL, control_run, control) == 0;
        status = control->has_thread ? DRAY_OK : DRAY_ENOMEM;
    }
    return status;
}

static enum dray_status wait_for_start(struct dri_control_thread *control, char *ret_text,
                                       size_t text_bytes)
{
    dri_lock_take(&control->lock);
    while (control->phase == PHASE_STARTING) {
        dri_cond_wait_until(&control->cond, &control->lock, dri_clock_mono_ns() + BEAT_NS);
    }
    enum dray_status status = control->phase == PHASE_SERVING ? DRAY_OK : control->failure;
    if (status != DRAY_OK) {
        snprintf(ret_text, text_bytes, "control topic %s: %s", control->settings->topics.control,
                 control->failure_text[0] == '\0' ? dray_status_text(status)
                                                  : control->failure_text);
    }
    dri_lock_drop(&control->lock);
    return status;
}

enum dray_status dri_control_start(const struct dri_control_config *config,
                                   struct dri_control_thread **ret_control, char *ret_text,
                                   size_t text_bytes)
{
    struct dri_control_thread *control = dri_zalloc(sizeof(*control));
    if (control == NULL) {
        return DRAY_ENOMEM;
    }
    enum dray_status status = prepare(control, config);
    if (status == DRAY_OK) {
        status = wait_for_start(control, ret_text, text_bytes);
    }
    if (status != DRAY_OK) {
        dri_control_stop(control);
        return status;
    }
    *ret_control = control;
    return DRAY_OK;
}

uint32_t dri_control_replicas(const struct dri_control_thread *control)
{
    return atomic_load(&control->sharing.count);
}

void dri_control_set_state(struct dri_control_thread *control, enum dri_worker_state state)
{
    atomic_store(&control->state, (int)state);
    dri_wake_notify(&control->wake);
}

bool dri_control_is_fit(struct dri_control_thread *control, char *ret_text, size_t text_bytes)
{
    dri_lock_take(&control->lock);
    bool is_fit = control->fault[0] == '\0';
    if (!is_fit) {
        snprintf(ret_text, text_bytes, "control topic: %s", control->fault);
    }
    dri_lock_drop(&control->lock);
    return is_fit;
}

void dri_control_stop(struct dri_control_thread *control)
{
    if (control == NULL) {
        return;
    }
    if (control->has_thread) {
        atomic_store(&control->is_stopping, true);
        dri_wake_notify(&control->wake);
        (void)pthread_join(control->thread, NULL);
    }
    if (control->has_wake) {
        dri_wake_fini(&control->wake);
    }
    if (control->has_lock) {
        dri_cond_fini(&control->cond);
        dri_lock_fini(&control->lock);
    }
    dri_free(control->seed.bytes);
    dri_free(control->verdict.bytes);
    dri_free(control);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "log.h"
#include "mem.h"
#include "nats_private.h"

/* Topics as subjects in streams: find the stream that holds a subject, check it, create what is
 * missing. A stream that already holds the subject is used as it is, whoever made it; only what
 * would break a guarantee is refused. Two replicas that create at once send the same configuration,
 * which the server takes as the same request; if somebody else's differs, we look again and use
 * theirs. */

#define REPLY_BYTES             (256u * 1024u)
#define DUPLICATE_WINDOW_NS     UINT64_C(600000000000) /* 10 minutes */
#define DUPLICATE_WINDOW_LOW_NS UINT64_C(120000000000)
#define WINDOW_ACK_WAITS        4u /* a crash, the redelivery, a retry and its publish */
#define CODE_STREAM_NAME_IN_USE 10058u
#define CODE_SUBJECT_OVERLAPS   10065u

bool dri_nats_is_inbox(const char *subject)
{
    return strncmp(subject, "_INBOX", 6) == 0; /* whatever inbox_prefix adds */
}

bool dri_nats_subject_is_publishable(struct dray_slice subject)
{
    bool is_start = true;
    if (subject.len == 0 || subject.len >= DRI_NATS_SUBJECT_BYTES) {
        return false;
    }
    for (size_t i = 0; i < subject.len; i++) {
        uint8_t byte = subject.at[i];
        if (byte <= ' ' || byte == 0x7f || byte == '*' || byte == '>' ||
            (byte == '.' && is_start)) {
            return false;
        }
        is_start = byte == '.';
    }
    return !is_start;
}

bool dri_nats_subject_covers(const char *pattern, const char *subject)
{
    for (;;) {
        size_t want = strcspn(pattern, "."), have = strcspn(subject, ".");
        if (want == 1 && pattern[0] == '>') {
            return have > 0;
        }
        bool is_any = want == 1 && pattern[0] == '*';
        bool is_rest = have == 1 && subject[0] == '>';
        if (is_rest || (!is_any && (want != have || memcmp(pattern, subject, want) != 0))) {
            return false;
        }
        pattern += want;
        subject += have;
        if (*pattern == '\0' || *subject == '\0') {
            return *pattern == *subject;
        }
        pattern++;
        subject++;
    }
}

static bool is_name_sign(char sign)
{
    return isalnum((unsigned char)sign) != 0 || sign == '-' || sign == '_';
}

/** "orders.eu.>" becomes "ORDERS_EU". */
static void stream_name_of(const char *subject, char *ret_name, size_t bytes)
{
    size_t len = 0;
    for (; *subject != '\0' && len + 1 < bytes; subject++) {
        char sign = is_name_sign(*subject) ? (char)toupper((unsigned char)*subject) : '_';
        if (sign != '_' || (len > 0 && ret_name[len - 1] != '_')) {
            ret_name[len++] = sign;
        }
    }
    while (len > 0 && ret_name[len - 1] == '_') {
        len--;
    }
    ret_name[len] = '\0';
    if (len == 0) {
        (void)snprintf(ret_name, bytes, "ALL");
    }
}

struct family {
    const char *prefix, *name, *subject;
};

/** Subjects that share one stream. */
static const struct family families[] = {
    {"dlq.", "DLQ", "dlq.>"},
    {"replay.", "REPLAY", "replay.>"},
    {"park.", "PARK", "park.>"},
    {"$JS.EVENT.ADVISORY.", "DRAY_ADVISORIES", "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>"},
    {"delay.", "DELAY", "delay.>"},
    {"window.", "WINDOW", "window.>"},
};

static bool plan_family(const char *topic, struct dri_nats_stream_plan *plan)
{
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        if (strncmp(topic, families[i].prefix, strlen(families[i].prefix)) == 0) {
            (void)snprintf(plan->name, sizeof(plan->name), "%s", families[i].name);
            (void)snprintf(plan->subjects[0], sizeof(plan->subjects[0]), "%s", families[i].subject);
            plan->subjects_count = 1;
            return true;
        }
    }
    return false;
}

static bool is_subject(const char *topic)
{
    char concrete[DRI_NATS_SUBJECT_BYTES];
    size_t len = strlen(topic);
    if (len >= sizeof(concrete) - 3) {
        return false;
    }
    for (size_t i = 0; i <= len; i++) {
        concrete[i] = topic[i] == '*' || topic[i] == '>' ? 'x' : topic[i];
    }
    return dri_nats_subject_is_publishable(dray_slice_of(concrete, len));
}

enum dray_status dri_nats_topic_plan(const struct dri_topic *topic,
                                     struct dri_nats_stream_plan *ret_plan,
                                     char ret_text[DRI_NATS_TEXT_BYTES])
{
    struct dri_nats_stream_plan *plan = ret_plan;
    memset(plan, 0, sizeof(*plan));
    if (!is_subject(topic->topic)) {
        dri_nats_say(ret_text, "\"%s\" is no NATS subject", topic->topic);
        return DRAY_EINVALID;
    }
    bool has_wildcard = strpbrk(topic->topic, "*>") != NULL;
    bool is_status = topic->use == DRI_USE_STATUS;
    bool has_rest = topic->use == DRI_USE_COMMANDS || topic->use == DRI_USE_RESULTS ||
                    topic->use == DRI_USE_PARK || topic->use == DRI_USE_WINDOW;
    (void)snprintf(plan->subject, sizeof(plan->subject), is_status && !has_wildcard ? "%s.>" : "%s",
                   topic->topic);
    plan->is_last_per_subject = is_status;
    if (plan_family(topic->topic, plan)) {
        return DRAY_OK;
    }
    stream_name_of(topic->topic, plan->name, sizeof(plan->name));
    (void)snprintf(plan->subjects[0], sizeof(plan->subjects[0]), "%s", plan->subject);
    plan->subjects_count = 1;
    if (has_rest && !has_wildcard) {
        (void)snprintf(plan->subjects[1], sizeof(plan->subjects[1]), "%s.>", topic->topic);
        plan->subjects_count = 2;
    }
    return DRAY_OK;
}

/** What an outcome that was stored may need until it is published again, after a crash. */
static uint64_t window_least_ns(const struct dri_nats_settings *settings)
{
    uint64_t waits_ns = WINDOW_ACK_WAITS * UINT64_C(1000000) * settings->ack_wait_ms;
    return waits_ns > DUPLICATE_WINDOW_LOW_NS ? waits_ns : DUPLICATE_WINDOW_LOW_NS;
}

/* --- asking --------------------------------------------------------------------------------- */

/** Whether one of the stream's subjects covers the wanted one. */
static bool stream_covers(struct dray_slice info, const char *subject)
{
    struct dray_slice subjects = dri_nats_json_find(info, "config.subjects"), item;
    size_t at = 0;
    char text[DRI_NATS_SUBJECT_BYTES];
    while (dri_nats_json_next(subjects, &at, &item)) {
        if (dri_nats_json_unescape(item, text, sizeof(text)) &&
            dri_nats_subject_covers(text, subject)) {
            return true;
        }
    }
    return false;
}

/** The first stream that the server names for a subject. ENOTFOUND: none. */
static enum dray_status find_stream(struct dri_nats_inquiry *inquiry, const char *subject,
                                    char ret_name[DRI_NATS_NAME_BYTES])
{
    char quoted[DRI_NATS_SUBJECT_BYTES + 16], body[DRI_NATS_SUBJECT_BYTES + 64];
    struct dray_slice name;
    size_t at = 0;
    if (!dri_nats_json_quote(subject, quoted, sizeof(quoted))) {
        return DRAY_EINVALID;
    }
    (void)snprintf(body, sizeof(body), "{\"subject\":%s}", quoted);
    dri_nats_inquire(inquiry, "STREAM.NAMES", body);
    if (inquiry->reply.status != DRAY_OK) {
        return inquiry->reply.status;
    }
    struct dray_slice streams = dri_nats_json_find(inquiry->reply.json, "streams");
    if (!dri_nats_json_next(streams, &at, &name) ||
        !dri_nats_json_unescape(name, ret_name, DRI_NATS_NAME_BYTES)) {
        return DRAY_ENOTFOUND;
    }
    return DRAY_OK;
}

static enum dray_status create_stream(struct dri_nats_inquiry *inquiry,
                                      const struct dri_nats_stream_plan *plan)
{
    char subject[DRI_NATS_SUBJECT_BYTES], body[4 * DRI_NATS_SUBJECT_BYTES];
    char first[DRI_NATS_SUBJECT_BYTES + 16], second[DRI_NATS_SUBJECT_BYTES + 16] = "";
    if (!dri_nats_json_quote(plan->subjects[0], first, sizeof(first)) ||
        (plan->subjects_count == 2 &&
         !dri_nats_json_quote(plan->subjects[1], second, sizeof(second)))) {
        return DRAY_EINVALID;
    }
    uint64_t least_ns = window_least_ns(&inquiry->self->settings);
    uint64_t duplicates_ns = least_ns > DUPLICATE_WINDOW_NS ? least_ns : DUPLICATE_WINDOW_NS;
    uint64_t age_ns = plan->age_ms * 1000000u;
    if (age_ns > 0 && duplicates_ns > age_ns) {
        duplicates_ns = age_ns; /* the server refuses more */
    }
    (void)snprintf(subject, sizeof(subject), "STREAM.CREATE.%s", plan->name);
    (void)snprintf(body, sizeof(body),
                   "{\"name\":\"%s\",\"subjects\":[%s%s%s],\"retention\":\"limits\","
                   "\"storage\":\"file\",\"discard\":\"old\",\"max_consumers\":-1,\"max_msgs\":-1,"
                   "\"max_bytes\":-1,\"max_age\":%llu,\"max_msg_size\":-1,\"num_replicas\":%u,"
                   "\"duplicate_window\":%llu,\"max_msgs_per_subject\":%d}",
                   plan->name, first, second[0] == '\0' ? "" : ",", second,
                   (unsigned long long)age_ns, inquiry->self->settings.replicas,
                   (unsigned long long)duplicates_ns, plan->is_last_per_subject ? 1 : -1);
    dri_nats_inquire(inquiry, subject, body);
    return inquiry->reply.status;
}

/** Whether messages go before their time. */
static bool is_short(struct dray_slice info, const struct dri_nats_stream_plan *plan)
{
    char text[24] = "";
    uint64_t age_ns = dri_nats_json_uint(info, "config.max_age", 0);
    bool is_bounded = false;
    const char *const bounds[] = {"config.max_msgs", "config.max_bytes"};
    for (size_t i = 0; i < 2; i++) {
        struct dray_slice value = dri_nats_json_find(info, bounds[i]);
        (void)snprintf(text, sizeof(text), "%.*s", (int)(value.len < 20 ? value.len : 20),
                       value.at == NULL ? "" : (const char *)value.at);
        is_bounded = is_bounded || (text[0] != '\0' && text[0] != '-' && text[0] != '0');
    }
    bool is_old = age_ns != 0 && (plan->age_ms == 0 || age_ns < plan->age_ms * 1000000u);
    return is_bounded || is_old;
}

/* Outcomes are deduplicated, and of the commands those that ticks become. */
static void say_window(const struct dri_topic *topic, const char *name, uint64_t window_ns,
                       uint64_t least_ns, char ret_text[DRI_NATS_TEXT_BYTES])
{
    dri_nats_say(
        ret_text, "stream %s has a duplicate window of %llu s: %s; it should be %llu s or more",
        name, (unsigned long long)window_ns / 1000000000u,
        topic->use == DRI_USE_COMMANDS ? "a tick of a recurring schedule may become two commands"
                                       : "after a crash a record may be stored twice",
        (unsigned long long)least_ns / 1000000000u);
}

/** A stream that is there: fit for its use? OK with a text: fit, but. */
static enum dray_status judge(const struct dri_nats_settings *settings,
                              const struct dri_topic *topic,
                              const struct dri_nats_stream_plan *plan, const char *name,
                              struct dray_slice info, char ret_text[DRI_NATS_TEXT_BYTES])
{
    char retention[32] = "limits";
    (void)dri_nats_json_text(info, "config.retention", retention, sizeof(retention));
    uint64_t window = dri_nats_json_uint(info, "config.duplicate_window", 0);
    bool is_output = topic->use == DRI_USE_RESULTS || topic->use == DRI_USE_DEAD_LETTERS ||
                     topic->use == DRI_USE_REPLAY || topic->use == DRI_USE_PARK ||
                     topic->use == DRI_USE_DELAY;
    bool is_kept = is_output || topic->use == DRI_USE_WINDOW;
    if (!stream_covers(info, plan->subject)) {
        dri_nats_say(ret_text,
                     "stream %s holds only a part of subject \"%s\"; add the subject to it", name,
                     plan->subject);
        return DRAY_EINVALID;
    }
    if (dri_nats_json_bool(info, "config.no_ack")) {
        dri_nats_say(ret_text,
                     "stream %s acknowledges nothing (no_ack); nothing would be safe there", name);
        return DRAY_EINVALID;
    }
    bool is_partitioned = topic->use == DRI_USE_COMMANDS || topic->use == DRI_USE_PARK ||
                          topic->use == DRI_USE_WINDOW;
    if (settings->partitions > 1 && is_partitioned) {
        char below[DRI_NATS_SUBJECT_BYTES + 8];
        (void)snprintf(below, sizeof(below), "%s.p.0", plan->subject);
        if (!stream_covers(info, below)) {
            dri_nats_say(ret_text,
                         "stream %s does not hold \"%s.>\", which nats.partitions needs; "
                         "add that subject to it",
                         name, plan->subject);
            return DRAY_EINVALID;
        }
    }
    if (strcmp(retention, "interest") == 0 || (is_kept && strcmp(retention, "limits") != 0)) {
        dri_nats_say(ret_text,
                     "stream %s has %s retention, which forgets what nobody reads; it must be "
                     "limits",
                     name, retention);
        return DRAY_EINVALID;
    }
    if ((topic->use == DRI_USE_PARK || topic->use == DRI_USE_WINDOW) && is_short(info, plan)) {
        dri_nats_say(ret_text,
                     "stream %s would forget %s: its max_age must be %s%llu s, and max_msgs and "
                     "max_bytes must be -1",
                     name, plan->age_ms == 0 ? "parked commands" : "ids of commands",
                     plan->age_ms == 0 ? "" : "0 or at least ",
                     (unsigned long long)plan->age_ms / 1000u);
        return DRAY_EINVALID;
    }
    if (topic->use == DRI_USE_PARK && settings->partitions > 1 &&
        dri_nats_json_bool(info, "config.deny_delete")) {
        dri_nats_say(ret_text,
                     "stream %s lets nobody delete messages (deny_delete); what is finished of a "
                     "park log has to go, or it runs again",
                     name);
        return DRAY_EINVALID;
    }
    uint64_t least_ns = is_output                        ? window_least_ns(settings)
                        : topic->use == DRI_USE_COMMANDS ? DUPLICATE_WINDOW_LOW_NS
                                                         : 0;
    if (window < least_ns) {
        say_window(topic, name, window, least_ns, ret_text);
    }
    return DRAY_OK;
}

static enum dray_status missing(const struct dri_nats_stream_plan *plan,
                                char ret_text[DRI_NATS_TEXT_BYTES])
{
    dri_nats_say(ret_text,
                 "no JetStream stream holds subject \"%s\": run dray doctor --fix, or set "
                 "worker.create_topics: true (stream %s would be created)",
                 plan->subject, plan->name);
    return DRAY_ENOTFOUND;
}

static enum dray_status refused(const struct dri_nats_inquiry *inquiry, const char *what,
                                const struct dri_nats_stream_plan *plan,
                                char ret_text[DRI_NATS_TEXT_BYTES])
{
    dri_nats_say(ret_text, "%s for subject \"%s\" failed: %s", what, plan->subject,
                 inquiry->reply.description[0] != '\0' ? inquiry->reply.description
                                                       : dray_status_text(inquiry->reply.status));
    return inquiry->reply.status;
}

/** Creates it; when somebody else's is in the way, the next look decides. */
static enum dray_status create(struct dri_nats_inquiry *inquiry,
                               const struct dri_nats_stream_plan *plan, bool *ret_created,
                               char ret_text[DRI_NATS_TEXT_BYTES])
{
    enum dray_status status = create_stream(inquiry, plan);
    uint32_t code = inquiry->reply.code;
    if (status == DRAY_OK) {
        *ret_created = true;
        DRI_LOG(DRI_LOG_INFO, "NATS-CREATED", "stream created", DRI_TEXT("stream", plan->name),
                DRI_TEXT("subject", plan->subject));
        return DRAY_OK;
    }
    if (code == CODE_STREAM_NAME_IN_USE || code == CODE_SUBJECT_OVERLAPS) {
        dri_nats_say(ret_text,
                     "stream %s for subject \"%s\" cannot be created: %s; give the subject to the "
                     "stream that is there",
                     plan->name, plan->subject, inquiry->reply.description);
        return DRAY_EEXISTS;
    }
    return refused(inquiry, "creating a stream", plan, ret_text);
}

static enum dray_status check(struct dri_nats_inquiry *inquiry, const struct dri_topic *topic,
                              bool can_create, bool *ret_created,
                              char ret_text[DRI_NATS_TEXT_BYTES])
{
    struct dri_nats_stream_plan plan;
    char name[DRI_NATS_NAME_BYTES], subject[DRI_NATS_NAME_BYTES + 32];
    enum dray_status status = dri_nats_topic_plan(topic, &plan, ret_text);
    if (status != DRAY_OK) {
        return status;
    }
    plan.age_ms = topic->use == DRI_USE_WINDOW ? inquiry->self->window_ms : 0;
    for (int look = 0;; look++) {
        status = find_stream(inquiry, plan.subject, name);
        if (status != DRAY_ENOTFOUND) {
            break;
        }
        if (!can_create || look == 2) {
            /* look 2: create said that it is in the way, yet it does not hold the subject */
            return look == 0 ? missing(&plan, ret_text) : DRAY_EINVALID;
        }
        status = create(inquiry, &plan, ret_created, ret_text);
        if (status != DRAY_OK && status != DRAY_EEXISTS) {
            return status;
        }
    }
    if (status == DRAY_OK) {
        (void)snprintf(subject, sizeof(subject), "STREAM.INFO.%s", name);
        dri_nats_inquire(inquiry, subject, NULL);
        status = inquiry->reply.status;
    }
    if (status != DRAY_OK) {
        return refused(inquiry, "looking for a stream", &plan, ret_text);
    }
    return judge(&inquiry->self->settings, topic, &plan, name, inquiry->reply.json, ret_text);
}

enum dray_status dri_nats_topic_check(struct dri_nats *self, const struct dri_topic *topic,
                                      bool can_create, uint64_t deadline_ns,
                                      struct dri_topic_report *ret_report,
                                      char ret_text[DRI_NATS_TEXT_BYTES])
{
    enum dray_status status = DRAY_OK;
    bool was_created = false;
    struct dri_nats_inquiry inquiry = {
        .self = self, .deadline_ns = deadline_ns, .buffer_bytes = REPLY_BYTES};
    ret_text[0] = '\0';
    if (!dri_nats_is_inbox(topic->topic)) {
        inquiry.buffer = dri_zalloc(REPLY_BYTES);
        status = inquiry.buffer == NULL
                     ? DRAY_ENOMEM
                     : check(&inquiry, topic, can_create, &was_created, ret_text);
        dri_free(inquiry.buffer);
    }
    if (ret_report == NULL && status == DRAY_OK && ret_text[0] != '\0') {
        DRI_LOG(DRI_LOG_WARN, "NATS-WINDOW", ret_text, DRI_TEXT("topic", topic->topic));
    }
    if (ret_report != NULL) {
        ret_report->topic = topic->topic;
        ret_report->status = status;
        uint32_t partitions = self->settings.partitions;
        bool has_some = partitions > 1 && topic->use == DRI_USE_COMMANDS;
        ret_report->partitions = status != DRAY_OK ? 0 : has_some ? partitions : 1;
        ret_report->was_created = was_created;
        (void)snprintf(ret_report->text, sizeof(ret_report->text), "%.159s", ret_text);
    }
    return status;
}

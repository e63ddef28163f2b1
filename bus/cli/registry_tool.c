/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* registry_tool.c - the control topic as a writer sees it.
 *
 * A writer publishes its change and then reads the log until its own bytes come back: what the rule
 * says about that very record is the answer, whatever became of the acknowledgement. The author
 * carries a random number, so that no two writers ever publish equal bytes. A publish that may be
 * lost is sent again: if both copies are stored, the first one counts and the bases of the second
 * do not match any more.
 */
#include "registry_tool.h"

#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "assert.h"
#include "clock.h"
#include "mem.h"

#define TEXT_BYTES   1024u
#define TOPIC_BYTES  260u
#define AUTHOR_BYTES 200u
#define OPEN_MS      20000u
#define CHANGE_MS    30000u
#define AGAIN_MS     2000u
#define LIVE_MS      5000u
#define CHANGE_BYTES 1024u
#define SIGN_TRIES   60u
#define ITEM_BYTES   64u
#define CONTROL      0
#define STATUS       1

/* ---- reading ---- */

static void broken(struct dri_registry_tool *tool, const char *text)
{
    tool->is_broken = true;
    snprintf(tool->broken_text, sizeof(tool->broken_text), "%s", text);
}

static void note_maker(struct dri_registry_tool *tool, const struct dri_control_outcome *outcome)
{
    if (tool->makers_count == tool->makers_capacity) {
        size_t capacity = tool->makers_capacity == 0 ? 64 : tool->makers_capacity * 2;
        struct dri_registry_maker *more = dri_zalloc_array(capacity, sizeof(*more));
        if (more == NULL) {
            return; /* it is only shown */
        }
        if (tool->makers_count > 0) {
            memcpy(more, tool->makers, tool->makers_count * sizeof(*more));
        }
        dri_free(tool->makers);
        tool->makers = more;
        tool->makers_capacity = capacity;
    }
    struct dray_slice author = dri_history_author(outcome->change.author);
    struct dray_slice note = outcome->change.note;
    tool->makers[tool->makers_count++] = (struct dri_registry_maker){
        .revision = outcome->revision,
        .ts_ms = outcome->change.ts_ms,
        .author = dri_strndup(author.at, author.len),
        .note = dri_strndup(note.at, note.len),
    };
}

static void on_control(struct dri_registry_tool *tool, const struct dri_message *message)
{
    struct dri_control_outcome outcome;
    if (tool->is_broken) {
        return;
    }
    enum dray_status status = dri_control_log_take(&tool->log, message, &outcome);
    if (status != DRAY_OK) {
        broken(tool, status == DRAY_EFATAL ? outcome.text : dray_status_text(status));
        return;
    }
    if (outcome.verdict == DRI_CONTROL_APPLIED || outcome.verdict == DRI_CONTROL_SCHEDULES) {
        note_maker(tool, &outcome);
    }
    if (tool->keeps_history &&
        dri_history_add(&tool->history, message->value, &outcome) != DRAY_OK) {
        broken(tool, dray_status_text(DRAY_ENOMEM));
    }
    if (tool->own.at != NULL && !tool->is_own_back && outcome.verdict != DRI_CONTROL_SEEN &&
        dray_slice_equal(message->value, tool->own)) {
        tool->is_own_back = true;
        tool->own_outcome = outcome;
    }
}

static struct dri_replica *replica_of(struct dri_registry_tool *tool, struct dray_slice worker)
{
    for (size_t i = 0; i < tool->replicas_count; i++) {
        if (dray_slice_equal(tool->replicas[i].record.worker, worker)) {
            return &tool->replicas[i];
        }
    }
    struct dri_replica *more = dri_zalloc_array(tool->replicas_count + 1, sizeof(*more));
    if (more == NULL) {
        return NULL;
    }
    if (tool->replicas_count > 0) {
        memcpy(more, tool->replicas, tool->replicas_count * sizeof(*more));
    }
    dri_free(tool->replicas);
    tool->replicas = more;
    return &tool->replicas[tool->replicas_count++];
}

static void on_status(struct dri_registry_tool *tool, const struct dri_message *message)
{
    const struct dri_wire_limits limits = DRI_WIRE_LIMITS_DEFAULT;
    struct dri_status_record record;
    struct dri_wire_error error;
    if (message->value.at == NULL) { /* a tombstone: it has said goodbye */
        for (size_t i = 0; i < tool->replicas_count; i++) {
            if (dray_slice_equal(tool->replicas[i].record.worker, message->key)) {
                tool->replicas[i].heard_ms = 0;
                tool->replicas[i].is_gone = true;
            }
        }
        return;
    }
    uint8_t *bytes = dri_zalloc(message->value.len);
    if (bytes == NULL) {
        return;
    }
    memcpy(bytes, message->value.at, message->value.len);
    struct dri_replica *replica = NULL;
    if (dri_status_decode(dray_slice_of(bytes, message->value.len), &limits, &record, &error) ==
        DRAY_OK) {
        replica = replica_of(tool, record.worker);
    }
    if (replica == NULL) {
        dri_free(bytes);
        return;
    }
    bool is_now = tool->caught_up[STATUS] >= tool->assigned[STATUS];
    uint64_t stamp_ms = message->timestamp_ms > 0 ? (uint64_t)message->timestamp_ms : record.ts_ms;
    dri_free(replica->bytes);
    replica->bytes = bytes;
    replica->record = record;
    replica->is_gone = dray_slice_equal_text(record.state, "gone");
    replica->heard_ms = is_now ? dri_clock_wall_ms() : stamp_ms;
}

void dri_registry_tool_on_event(void *arg, const struct dri_transport_event *event)
{
    struct dri_registry_tool *tool = arg;
    const char *control = tool->cli->settings.topics.control;
    bool is_control = tool->has_control && event->slot == tool->control_slot;
    switch (event->type) {
    case DRI_TE_ASSIGNED:
        is_control = dray_slice_equal_text(event->as.assigned.topic, control);
        tool->assigned[is_control ? CONTROL : STATUS]++;
        if (is_control) {
            tool->control_slot = event->slot;
            tool->has_control = true;
        }
        break;
    case DRI_TE_CAUGHT_UP:
        tool->caught_up[is_control ? CONTROL : STATUS]++;
        break;
    case DRI_TE_MESSAGE:
        if (is_control) {
            on_control(tool, &event->as.message);
        } else {
            on_status(tool, &event->as.message);
        }
        break;
    case DRI_TE_PUBLISHED:
        tool->is_own_stored = event->as.published.ack == DRI_ACK_STORED;
        tool->is_own_unknown = event->as.published.ack == DRI_ACK_UNKNOWN;
        tool->is_own_refused = event->as.published.ack == DRI_ACK_NOT_STORED;
        tool->own_reason = event->as.published.reason;
        break;
    case DRI_TE_REVOKED:
    case DRI_TE_LOST:
        broken(tool, "the topic was taken away while it was read");
        break;
    case DRI_TE_SETTLED:
    case DRI_TE_ERROR:
    default:
        break;
    }
}

static bool is_at_end(void *arg)
{
    const struct dri_registry_tool *tool = arg;
    for (size_t i = CONTROL; i <= STATUS; i++) {
        bool is_wanted = i == CONTROL ? tool->log.registry != NULL : tool->wants_status;
        if (is_wanted && (tool->assigned[i] == 0 || tool->caught_up[i] < tool->assigned[i])) {
            return tool->is_broken;
        }
    }
    return true;
}

static int read_to_end(struct dri_registry_tool *tool)
{
    char text[TEXT_BYTES] = "";
    uint64_t next_offset = UINT64_MAX;
    enum dray_status status =
        dri_bus_run(tool->bus, OPEN_MS, dri_registry_tool_on_event, is_at_end, tool);
    if (status == DRAY_ECLOSED) {
        return DRI_EXIT_FAILED;
    }
    if (status != DRAY_OK) {
        const char *fault = dri_bus_fault(tool->bus);
        return dri_cli_fail(tool->cli, (int)dri_exit_for_open(status),
                            "the control topic cannot be read: %s",
                            fault[0] != '\0' ? fault : dray_status_text(status));
    }
    if (!tool->is_broken && tool->has_control &&
        dri_control_log_check_end(&tool->log, next_offset, text, sizeof(text)) != DRAY_OK) {
        broken(tool, text);
    }
    if (tool->is_broken) {
        return dri_cli_fail(tool->cli, DRI_EXIT_FAILED, "control topic %s: %s",
                            tool->cli->settings.topics.control, tool->broken_text);
    }
    return DRI_EXIT_OK;
}

static int open_all(struct dri_registry_tool *tool, bool wants_control)
{
    const struct dri_cli *cli = tool->cli;
    const struct dri_settings *settings = &cli->settings;
    const struct dri_registry_config registry_config = {.readers_max = 1, .shards = 1};
    bool is_nats =
        strncmp(settings->bus, "nats:", 5) == 0 || strncmp(settings->bus, "tls:", 4) == 0;
    char status_topic[TOPIC_BYTES];
    char text[TEXT_BYTES] = "";
    struct dri_source sources[2];
    const struct dri_topic topics[] = {{settings->topics.control, DRI_USE_CONTROL},
                                       {settings->topics.status, DRI_USE_STATUS}};
    struct dri_bus_config config = {.sources = sources, .topics = topics, .topics_count = 2};
    if (wants_control) {
        if (dri_registry_create(&registry_config, &tool->registry) != DRAY_OK) {
            return dri_cli_fail(cli, DRI_EXIT_FAILED, "out of memory");
        }
        if (dri_schedules_create(settings->group, NULL, &tool->schedules) != DRAY_OK) {
            return dri_cli_fail(cli, DRI_EXIT_FAILED, "out of memory");
        }
        dri_control_log_init(&tool->log, tool->registry, settings->cluster,
                             settings->topics.control);
        tool->log.schedules = tool->schedules;
        dri_signers_init(&tool->signers, settings);
        tool->log.signers = &tool->signers;
        sources[config.sources_count++] = (struct dri_source){
            .topic = settings->topics.control, .role = DRI_ROLE_LOG, .start = DRI_START_EARLIEST};
    }
    snprintf(status_topic, sizeof(status_topic), is_nats ? "%s.>" : "%s", settings->topics.status);
    if (tool->wants_status) {
        sources[config.sources_count++] = (struct dri_source){
            .topic = status_topic, .role = DRI_ROLE_LOG, .start = DRI_START_EARLIEST};
    }
    enum dray_status status = dri_bus_open(cli, &config, &tool->bus, text, sizeof(text));
    if (status != DRAY_OK) {
        return dri_cli_fail(cli, (int)dri_exit_for_open(status), "%s", text);
    }
    dri_bus_ops(tool->bus)->info(dri_bus_transport(tool->bus), &tool->info);
    if (wants_control) {
        dri_control_log_begin(&tool->log, tool->info.first_offset);
    }
    return read_to_end(tool);
}

int dri_registry_tool_open(struct dri_registry_tool *tool, const struct dri_cli *cli,
                           bool wants_control, bool wants_status)
{
    *tool = (struct dri_registry_tool){.cli = cli, .wants_status = wants_status};
    return open_all(tool, wants_control);
}

int dri_registry_tool_open_history(struct dri_registry_tool *tool, const struct dri_cli *cli,
                                   bool wants_status)
{
    *tool =
        (struct dri_registry_tool){.cli = cli, .wants_status = wants_status, .keeps_history = true};
    return open_all(tool, true);
}

void dri_registry_tool_close(struct dri_registry_tool *tool)
{
    dri_bus_close(tool->bus);
    dri_registry_destroy(tool->registry);
    dri_schedules_destroy(tool->schedules);
    for (size_t i = 0; i < tool->makers_count; i++) {
        dri_free(tool->makers[i].author);
        dri_free(tool->makers[i].note);
    }
    for (size_t i = 0; i < tool->replicas_count; i++) {
        dri_free(tool->replicas[i].bytes);
    }
    dri_history_fini(&tool->history);
    dri_free(tool->makers);
    dri_free(tool->replicas);
    *tool = (struct dri_registry_tool){.cli = tool->cli};
}

/* ---- showing ---- */

const struct dri_registry_maker *dri_registry_tool_maker(const struct dri_registry_tool *tool,
                                                         uint64_t revision)
{
    for (size_t i = tool->makers_count; i > 0; i--) {
        if (tool->makers[i - 1].revision == revision) {
            return &tool->makers[i - 1];
        }
    }
    return NULL;
}

bool dri_replica_is_live(const struct dri_replica *replica)
{
    return replica->heard_ms + LIVE_MS > dri_clock_wall_ms() && !replica->is_gone;
}

bool dri_registry_key_is_wanted(const struct dri_cli *cli, struct dray_slice key)
{
    char whole[DRI_ROUTE_KEY_BYTES_MAX + 1];
    char name[DRI_ROUTE_KEY_BYTES_MAX + 1];
    snprintf(whole, sizeof(whole), "%.*s", (int)key.len, (const char *)key.at);
    const char *slash = strchr(whole, '/');
    bool is_ours =
        slash != NULL && dray_slice_equal_text(dray_slice_of(whole, (size_t)(slash - whole)),
                                               cli->settings.namespace_);
    snprintf(name, sizeof(name), "%s", slash == NULL ? whole : slash + 1);
    name[strcspn(name, "@")] = '\0';
    for (size_t i = 0; i < cli->arguments_count; i++) {
        const char *wanted = cli->arguments[i];
        if (fnmatch(wanted, whole, 0) == 0 ||
            (is_ours && (fnmatch(wanted, slash + 1, 0) == 0 || fnmatch(wanted, name, 0) == 0))) {
            return true;
        }
    }
    return cli->arguments_count == 0;
}

int dri_registry_revision_read(const struct dri_cli *cli, const char *text, uint64_t *ret_revision)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 19 || text[digits] != '\0') { /* 19 digits fit */
        return dri_cli_usage(cli, "\"%s\" is no revision: a whole number, as history shows", text);
    }
    *ret_revision = strtoull(text, NULL, 10);
    return DRI_EXIT_OK;
}

void dri_registry_tool_add_maker(const struct dri_registry_tool *tool, uint64_t revision,
                                 struct dri_text *text)
{
    const struct dri_registry_maker *maker = dri_registry_tool_maker(tool, revision);
    char when[DRI_CLOCK_TEXT_BYTES];
    if (maker == NULL) {
        return;
    }
    if (maker->author != NULL && maker->author[0] != '\0') {
        dri_text_addf(text, ",\"author\":");
        dri_text_add_json_string(text, dray_slice_text(maker->author));
    }
    if (maker->ts_ms != 0) {
        dri_clock_format(maker->ts_ms, when);
        dri_text_addf(text, ",\"ts\":\"%s\"", when);
    }
    if (maker->note != NULL && maker->note[0] != '\0') {
        dri_text_addf(text, ",\"note\":");
        dri_text_add_json_string(text, dray_slice_text(maker->note));
    }
}

void dri_registry_tool_add_route(const struct dri_registry_tool *tool,
                                 const struct dri_route *route, bool is_pretty,
                                 struct dri_text *text)
{
    const struct dri_wire_limits limits = DRI_WIRE_LIMITS_DEFAULT;
    dri_text_addf(text, "{\"key\":");
    dri_text_add_json_string(text, dray_slice_text(route->key));
    dri_text_addf(text, ",\"revision\":%" PRIu64 ",\"fid\":\"%016" PRIx64 "\"", route->revision,
                  route->fid);
    dri_registry_tool_add_maker(tool, route->revision, text);
    dri_text_addf(text, ",\"route\":%s", is_pretty ? "\n" : "");
    enum dray_status status = dri_msgpack_to_json(dray_slice_of(route->bytes, route->bytes_len),
                                                  &limits, is_pretty, text);
    dri_text_addf(text, "%s}", status == DRAY_OK ? "" : "null");
}

bool dri_registry_tool_differs(const struct dri_registry_tool *tool,
                               const struct dri_replica *replica)
{
    char digest[65];
    if (tool->registry == NULL || replica->record.revision != tool->log.end ||
        dray_slice_is_absent(replica->record.digest)) {
        return false;
    }
    dri_registry_digest(tool->registry, digest);
    return !dray_slice_equal_text(replica->record.digest, digest);
}

/* ---- changing ---- */

static void author_text(char ret_text[AUTHOR_BYTES])
{
    const char *user = getenv("USER"); /* NOLINT(concurrency-mt-unsafe): nobody sets it */
    char host[64] = "";
    uint64_t number = 0;
    if (gethostname(host, sizeof(host) - 1) != 0) {
        host[0] = '\0';
    }
    if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number)) {
        number = dri_clock_mono_ns() ^ (uint64_t)getpid() << 40;
    }
    if (user != NULL && user[0] != '\0' && dri_utf8_is_valid(dray_slice_text(user))) {
        snprintf(ret_text, AUTHOR_BYTES, "%.64s@%.63s#%016" PRIx64, user, host, number);
    } else {
        snprintf(ret_text, AUTHOR_BYTES, "uid-%u@%.63s#%016" PRIx64, (unsigned)getuid(), host,
                 number);
    }
}

/* What is put into a record: one of these. */
struct content {
    const struct dri_change_item *routes;
    const struct dri_cancel_item *cancels;
    const struct dri_schedule_item *schedules;
    size_t count;
    const char *note;
};

static size_t content_bytes(const struct content *content)
{
    size_t bytes = 0;
    DRI_ASSERT(content->count == 0 || content->cancels != NULL || content->routes != NULL ||
               content->schedules != NULL);
    for (size_t i = 0; i < content->count; i++) {
        bytes += ITEM_BYTES;
        if (content->cancels != NULL) {
            bytes += content->cancels[i].id.len;
        } else if (content->schedules != NULL) {
            bytes += content->schedules[i].key.len + content->schedules[i].schedule.len;
        } else {
            bytes += content->routes[i].key.len + content->routes[i].route.len;
        }
    }
    return bytes;
}

/* key NULL: unsigned. */
static enum dray_status make_record(const struct dri_registry_tool *tool,
                                    const struct dri_signing_key *key,
                                    const struct content *content, uint8_t **ret_bytes,
                                    size_t *ret_len)
{
    char author[AUTHOR_BYTES];
    const struct dri_settings *settings = &tool->cli->settings;
    size_t bytes_max = CHANGE_BYTES + strlen(settings->cluster) + strlen(settings->topics.control) +
                       (content->note == NULL ? 0 : strlen(content->note)) + content_bytes(content);
    size_t len = 0;
    author_text(author);
    struct dri_change change = {
        .kind = dray_slice_text("routes"),
        .cluster = dray_slice_text(settings->cluster),
        .topic = dray_slice_text(settings->topics.control),
        .author = dray_slice_text(author),
        .note = dray_slice_text(content->note),
        .ts_ms = dri_clock_wall_ms(),
    };
    if (key != NULL) {
        uint64_t last = dri_signers_seq(&tool->signers, &tool->log.seen, dray_slice_text(key->kid));
        dri_signing_fill(key, last, settings->control.max_age_ms, &change);
    }
    uint8_t *bytes = dri_zalloc(bytes_max);
    enum dray_status status = DRAY_ENOMEM;
    if (bytes != NULL && content->schedules != NULL) {
        status = dri_schedule_change_encode(&change, content->schedules, content->count, bytes,
                                            bytes_max, &len);
    } else if (bytes != NULL) {
        status = content->cancels != NULL
                     ? dri_cancel_encode(&change, content->cancels, content->count, bytes,
                                         bytes_max, &len)
                     : dri_change_encode(&change, content->routes, content->count, bytes, bytes_max,
                                         &len);
    }
    if (status == DRAY_OK) {
        status = dri_control_log_wrap(dray_slice_of(bytes, len), key, ret_bytes, ret_len);
    }
    dri_free(bytes);
    return status;
}

static bool is_answered(void *arg)
{
    const struct dri_registry_tool *tool = arg;
    return tool->is_own_back || tool->is_own_refused || tool->is_broken;
}

/* One copy out, and a while for it to come back. */
static enum dray_status publish_once(struct dri_registry_tool *tool, const char *dedup_id)
{
    const struct dri_publish publish = {
        .token = 1,
        .topic = dray_slice_text(tool->cli->settings.topics.control),
        .partition = strcmp(tool->info.kind, "kafka") == 0 ? 0 : -1,
        .value = tool->own,
        .headers = dray_slice_of("", 0),
        .dedup_id = dray_slice_text(dedup_id),
    };
    tool->is_own_unknown = false;
    enum dray_status status =
        dri_bus_publish(tool->bus, &publish, AGAIN_MS, dri_registry_tool_on_event, tool);
    if (status == DRAY_OK) {
        status = dri_bus_run(tool->bus, AGAIN_MS, dri_registry_tool_on_event, is_answered, tool);
    }
    return status;
}

static int publish_until_back(struct dri_registry_tool *tool)
{
    char dedup_id[64];
    uint64_t end_ns = dri_clock_mono_ns() + CHANGE_MS * UINT64_C(1000000);
    enum dray_status status = DRAY_OK;
    snprintf(dedup_id, sizeof(dedup_id), "c:%ld:%016" PRIx64, (long)getpid(), dri_clock_mono_ns());
    status = publish_once(tool, dedup_id);
    while (status == DRAY_ETIMEOUT && dri_clock_mono_ns() < end_ns) {
        status = tool->is_own_unknown ? publish_once(tool, dedup_id)
                                      : dri_bus_run(tool->bus, AGAIN_MS, dri_registry_tool_on_event,
                                                    is_answered, tool);
    }
    if (status == DRAY_OK && tool->is_own_back) {
        return DRI_EXIT_OK;
    }
    if (tool->is_broken) {
        return dri_cli_fail(tool->cli, DRI_EXIT_FAILED, "control topic: %s", tool->broken_text);
    }
    if (tool->is_own_refused) {
        return dri_cli_fail(tool->cli, (int)dri_exit_for(tool->own_reason),
                            "the broker does not take the change: %s",
                            dray_status_text(tool->own_reason));
    }
    return dri_cli_fail(tool->cli, DRI_EXIT_TIMEOUT,
                        "the change was sent and did not come back: it may still happen; "
                        "dray registry ls shows");
}

/* One record out and back. */
static int publish_record(struct dri_registry_tool *tool, const struct content *content,
                          struct dri_control_outcome *ret_outcome)
{
    struct dri_signing_key key;
    bool has_key = false;
    uint8_t *bytes = NULL;
    size_t len = 0;
    int signing = dri_registry_sign_key(tool, &key, &has_key);
    if (signing != DRI_EXIT_OK) {
        return signing;
    }
    enum dray_status status = make_record(tool, has_key ? &key : NULL, content, &bytes, &len);
    dri_signing_key_wipe(&key);
    if (status != DRAY_OK) {
        return dri_cli_fail(tool->cli, DRI_EXIT_FAILED, "%s", dray_status_text(status));
    }
    if (tool->info.message_bytes_max != 0 && len > tool->info.message_bytes_max) {
        dri_free(bytes);
        return dri_cli_fail(tool->cli, DRI_EXIT_FAILED,
                            "the change has %zu bytes, the broker takes %" PRIu64
                            ": put less into one",
                            len, tool->info.message_bytes_max);
    }
    int foreseen = dri_registry_sign_foresee(tool, dray_slice_of(bytes, len));
    if (foreseen != DRI_EXIT_OK) {
        dri_free(bytes);
        return foreseen;
    }
    tool->own = dray_slice_of(bytes, len);
    tool->is_own_back = tool->is_own_refused = tool->is_own_unknown = false;
    int code = publish_until_back(tool);
    *ret_outcome = tool->own_outcome;
    ret_outcome->has_change = false;
    tool->own = dray_slice_of(NULL, 0);
    dri_free(bytes);
    return code;
}

/* Of two writers with one key the later one in the log may have the earlier number: it takes
 * another one. */
static int publish_content(struct dri_registry_tool *tool, const struct content *content,
                           struct dri_control_outcome *ret_outcome)
{
    int code = publish_record(tool, content, ret_outcome);
    for (unsigned tries = 1; code == DRI_EXIT_OK && tries < SIGN_TRIES &&
                             ret_outcome->distrust == DRI_DISTRUST_REPLAYED;
         tries++) {
        code = publish_record(tool, content, ret_outcome);
    }
    return code == DRI_EXIT_OK && ret_outcome->distrust != DRI_TRUSTED
               ? dri_registry_sign_refused(tool, ret_outcome)
               : code;
}

int dri_registry_tool_change(struct dri_registry_tool *tool, const struct dri_change_item *items,
                             size_t count, const char *note,
                             struct dri_control_outcome *ret_outcome)
{
    const struct content content = {.routes = items, .count = count, .note = note};
    return publish_content(tool, &content, ret_outcome);
}

int dri_registry_tool_cancel(struct dri_registry_tool *tool, const struct dri_cancel_item *items,
                             size_t count, const char *note,
                             struct dri_control_outcome *ret_outcome)
{
    const struct content content = {.cancels = items, .count = count, .note = note};
    return publish_content(tool, &content, ret_outcome);
}

int dri_registry_tool_schedule(struct dri_registry_tool *tool,
                               const struct dri_schedule_item *items, size_t count,
                               const char *note, struct dri_control_outcome *ret_outcome)
{
    const struct content content = {.schedules = items, .count = count, .note = note};
    return publish_content(tool, &content, ret_outcome);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* cmd_send.c - dray send: commands out, acknowledgements (and results) back.
 *
 * Commands go out in a window; each stays there until it is acknowledged, or until its result came.
 * Lines are printed in the order of sending, results in the order of arrival. A publish whose fate
 * is unknown is repeated under the same deduplication id where the broker has such a thing
 * (JetStream); on Kafka the client library has retried already, and repeating it here could run the
 * command twice, so it is reported as what it is: exit code 75, it may still happen.
 *
 * --wait reads the end of the results before anything is sent, so no result can be missed. On NATS
 * it also has an inbox of its own as reply_to: whichever comes first counts, and a lost inbox
 * message costs nothing.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "assert.h"
#include "bus.h"
#include "cli.h"
#include "clock.h"
#include "mem.h"
#include "send_input.h"
#include "send_message.h"
#include "wire/envelope.h"
#include "wire/json.h"
#include "wire/result.h"
#include "wire/scanner.h"

#define WINDOW         4096u /* commands out at once */
#define WINDOW_WAITING 512u  /* with --wait: each result is looked for among them */
#define TEXT_BYTES     1024u
#define TOPIC_BYTES    64u
#define DEFAULT_MS     30000u
#define LETTER_BYTES   (16u << 10) /* room for the headers of a dead letter */
#define SPIN_MS_MAX    1000u
#define ID_TEXT_BYTES  129u
#define DEDUP_ID_BYTES 64u
#define SOURCES_MAX    2u

struct sent {
    struct dri_send_message message;
    uint64_t sent_ns;
    int32_t partition;
    uint64_t offset;
    bool is_stored, is_done, is_lost, must_repeat;
};

struct sender {
    const struct dri_cli *cli;
    struct dri_bus *bus;
    struct dri_transport_info info;
    struct dri_send_form form;
    struct dri_send_input input;
    bool has_input, is_raw, is_waiting, is_input_over, has_news;
    uint64_t count, rate, patience_ms, begun_ns;
    char inbox[TOPIC_BYTES];
    uint64_t run; /* random; tells the deduplication ids of this invocation from others */

    struct sent *window;               /* owned; ring of window_size */
    uint64_t window_size, first, next; /* tokens */
    uint64_t stored, finished, assigned, caught_up;
    struct dri_progress progress;
    int code;
};

static struct sent *sent_at(struct sender *sender, uint64_t token)
{
    return &sender->window[token % sender->window_size];
}

static bool is_kafka(const struct sender *sender)
{
    return strcmp(sender->info.kind, "kafka") == 0;
}

static void note_code(struct sender *sender, int code)
{
    /* A time-out is the more important word: something may still happen. */
    if (sender->code == DRI_EXIT_OK || code == DRI_EXIT_TIMEOUT) {
        sender->code = code;
    }
}

/* ---- printing ---- */

static void id_text(const struct dri_send_message *message, char ret_text[ID_TEXT_BYTES])
{
    ret_text[0] = '\0';
    if (message->id_len > 0) {
        dri_id_format(dray_slice_of(message->id, message->id_len), message->is_id_binary, ret_text);
    }
}

static void print_sent(struct sender *sender, const struct sent *sent)
{
    char id[ID_TEXT_BYTES];
    struct dri_text line;
    dri_progress_hide(&sender->progress);
    id_text(&sent->message, id);
    if (!sender->cli->is_json) {
        printf("%s\n", id[0] == '\0' ? "-" : id);
        return;
    }
    dri_text_init(&line);
    dri_text_addf(&line, "{\"id\":");
    if (id[0] == '\0') {
        dri_text_addf(&line, "null");
    } else {
        dri_text_add_json_string(&line, dray_slice_text(id));
    }
    dri_text_addf(&line, ",\"topic\":");
    dri_text_add_json_string(&line, dray_slice_text(sender->cli->settings.topics.commands));
    if (is_kafka(sender)) {
        dri_text_addf(&line, ",\"partition\":%" PRId32 ",\"offset\":%" PRIu64 "}", sent->partition,
                      sent->offset);
    } else {
        dri_text_addf(&line, ",\"sequence\":%" PRIu64 "}", sent->offset);
    }
    printf("%s\n", line.status == DRAY_OK ? line.at : id);
    dri_text_fini(&line);
}

/* The result map as JSON, its id in the form in which dray prints ids everywhere. */
static enum dray_status result_to_json(struct dray_slice map, const char *id, struct dri_text *json)
{
    const struct dri_wire_limits limits = {
        .message_bytes = UINT32_MAX, .depth = DRI_DEPTH_CEILING, .elements = UINT32_MAX};
    struct dri_scanner scanner;
    struct dri_token token;
    dri_scanner_init(&scanner, map, &limits);
    enum dray_status status = dri_scanner_next(&scanner, &token);
    uint32_t pairs = status == DRAY_OK && token.type == DRI_TOKEN_MAP ? token.count : 0;
    dri_text_addf(json, "{");
    for (uint32_t i = 0; status == DRAY_OK && i < pairs; i++) {
        struct dray_slice value;
        status = dri_scanner_next(&scanner, &token);
        if (status == DRAY_OK) {
            status = dri_scanner_skip_payload(&scanner, &value);
        }
        if (status != DRAY_OK) {
            return status;
        }
        dri_text_addf(json, "%s", i == 0 ? "" : ",");
        dri_text_add_json_string(json, token.bytes);
        dri_text_addf(json, ":");
        if (dray_slice_equal_text(token.bytes, "id")) {
            dri_text_add_json_string(json, dray_slice_text(id));
        } else {
            status = dri_msgpack_to_json(value, &limits, false, json);
        }
    }
    dri_text_addf(json, "}");
    return status == DRAY_OK ? json->status : status;
}

static void print_result(struct sender *sender, const struct sent *sent, struct dray_slice map)
{
    char id[ID_TEXT_BYTES];
    struct dri_text json;
    id_text(&sent->message, id);
    dri_text_init(&json);
    enum dray_status status = result_to_json(map, id, &json);
    if (status == DRAY_OK) {
        dri_progress_hide(&sender->progress);
        printf("%s\n", json.at);
        (void)fflush(stdout); /* a closed pipe shows at the end */
    } else {
        note_code(sender, dri_cli_fail(sender->cli, DRI_EXIT_FAILED,
                                       "the result of %s cannot be printed: %s", id,
                                       dray_status_text(status)));
    }
    dri_text_fini(&json);
}

/* ---- what comes back ---- */

static void on_published(struct sender *sender, const struct dri_published *published)
{
    if (published->token < sender->first || published->token >= sender->next) {
        return; /* its result was quicker */
    }
    struct sent *sent = sent_at(sender, published->token);
    sender->has_news = true;
    if (published->ack == DRI_ACK_STORED) {
        sent->partition = published->partition;
        sent->offset = published->offset;
        sender->stored += sent->is_stored ? 0 : 1;
        sent->is_stored = true;
        sent->is_done = sent->is_done || !sender->is_waiting;
    } else if (published->ack == DRI_ACK_NOT_STORED) {
        int code = published->reason == DRAY_EAUTH ? DRI_EXIT_DENIED : DRI_EXIT_FAILED;
        sent->is_lost = true;
        sent->is_done = true;
        note_code(sender,
                  dri_cli_fail(sender->cli, code, "the broker does not take the command: %s",
                               dray_status_text(published->reason)));
    } else if (!is_kafka(sender)) {
        sent->must_repeat = true;
    }
}

static void on_result(struct sender *sender, struct dray_slice message)
{
    const struct dri_wire_limits limits = {
        .message_bytes = UINT32_MAX, .depth = DRI_DEPTH_CEILING, .elements = UINT32_MAX};
    struct dri_result result;
    struct dri_wire_error error;
    if (dri_result_decode(message, &limits, &result, &error) != DRAY_OK) {
        return; /* somebody else's bytes in the results topic */
    }
    for (uint64_t token = sender->first; token < sender->next; token++) {
        struct sent *sent = sent_at(sender, token);
        struct dray_slice id = dray_slice_of(sent->message.id, sent->message.id_len);
        if (!sent->is_done && dray_slice_equal(id, result.id)) {
            sent->is_done = true;
            sender->has_news = true;
            print_result(sender, sent, message);
            note_code(sender, result.is_ok ? DRI_EXIT_OK : DRI_EXIT_FAILED);
            return;
        }
    }
}

static void on_event(void *arg, const struct dri_transport_event *event)
{
    struct sender *sender = arg;
    switch (event->type) {
    case DRI_TE_ASSIGNED:
        sender->assigned++;
        break;
    case DRI_TE_CAUGHT_UP:
        sender->caught_up++;
        break;
    case DRI_TE_PUBLISHED:
        on_published(sender, &event->as.published);
        break;
    case DRI_TE_MESSAGE:
        on_result(sender, event->as.message.value);
        break;
    case DRI_TE_REVOKED:
    case DRI_TE_LOST:
    case DRI_TE_SETTLED:
    case DRI_TE_ERROR:
    default:
        break;
    }
}

/* ---- sending ---- */

static void publish(struct sender *sender, uint64_t token)
{
    struct sent *sent = sent_at(sender, token);
    char dedup_id[DEDUP_ID_BYTES];
    snprintf(dedup_id, sizeof(dedup_id), "s:%016" PRIx64 ":%" PRIu64, sender->run, token);
    struct dri_publish message = {
        .token = token,
        .topic = dray_slice_text(sender->cli->settings.topics.commands),
        .partition = -1,
        .key = sent->message.key,
        .value = dray_slice_of(sent->message.bytes, sent->message.len),
        .headers = dray_slice_of("", 0),
        .dedup_id = dray_slice_text(dedup_id),
    };
    sent->must_repeat = false;
    enum dray_status status =
        dri_bus_publish(sender->bus, &message, sender->patience_ms, on_event, sender);
    if (status == DRAY_OK) {
        return;
    }
    sent->is_lost = true;
    sent->is_done = true;
    sender->is_input_over = true;
    if (status == DRAY_ECLOSED) {
        note_code(sender, DRI_EXIT_FAILED);
        return;
    }
    note_code(sender,
              dri_cli_fail(sender->cli, DRI_EXIT_UNREACHABLE, "the broker takes nothing: %s",
                           dri_bus_fault(sender->bus)[0] != '\0' ? dri_bus_fault(sender->bus)
                                                                 : dray_status_text(status)));
}

/* The next command, or why there is none. */
static enum dray_status make_next(struct sender *sender, struct dri_send_message *ret_message)
{
    char text[TEXT_BYTES] = "";
    struct dray_slice bytes = dray_slice_text(dri_cli_value(sender->cli, "payload"));
    enum dray_status status = DRAY_OK;
    if (sender->has_input) {
        status = dri_send_input_next(&sender->input, &bytes);
        snprintf(text, sizeof(text), "%s", dray_status_text(status));
    } else if (sender->next == sender->count) {
        return DRAY_ECLOSED;
    }
    if (status == DRAY_EAGAIN || status == DRAY_ECLOSED) {
        return status;
    }
    if (status == DRAY_OK) {
        status = sender->is_raw
                     ? dri_send_message_raw(&sender->form, bytes, ret_message, text, sizeof(text))
                     : dri_send_message_make(&sender->form, bytes, ret_message, text, sizeof(text));
    }
    if (status == DRAY_OK && sender->is_waiting && ret_message->id_len == 0) {
        snprintf(text, sizeof(text), "no id can be read in it, so there is no result to wait for");
        dri_send_message_fini(ret_message);
        status = DRAY_EINVALID;
    }
    if (status != DRAY_OK && sender->has_input) {
        note_code(sender, dri_cli_fail(sender->cli, DRI_EXIT_FAILED, "%s:%zu: %s",
                                       sender->input.name, sender->input.line, text));
    } else if (status != DRAY_OK) {
        bool is_usage = status == DRAY_EINVALID;
        note_code(sender, dri_cli_fail(sender->cli, is_usage ? DRI_EXIT_USAGE : DRI_EXIT_FAILED,
                                       "%s", text));
    }
    return status;
}

/* When the next command may go, by --rate. */
static uint64_t due_ns(const struct sender *sender)
{
    return sender->rate == 0
               ? 0
               : sender->begun_ns + sender->next * (UINT64_C(1000000000) / sender->rate);
}

static void produce(struct sender *sender)
{
    for (uint64_t token = sender->first; token < sender->next; token++) {
        if (sent_at(sender, token)->must_repeat) {
            publish(sender, token);
        }
    }
    while (!sender->is_input_over && sender->next - sender->first < sender->window_size &&
           dri_cli_interrupted == 0 && dri_clock_mono_ns() >= due_ns(sender)) {
        struct dri_send_message message;
        enum dray_status status = make_next(sender, &message);
        if (status == DRAY_EAGAIN) {
            return;
        }
        if (status != DRAY_OK) {
            sender->is_input_over = true;
            return;
        }
        *sent_at(sender, sender->next) =
            (struct sent){.message = message, .sent_ns = dri_clock_mono_ns(), .partition = -1};
        sender->next++;
        publish(sender, sender->next - 1);
        dri_progress_at(&sender->progress, sender->finished);
    }
}

static void give_up(struct sender *sender, struct sent *sent)
{
    char id[ID_TEXT_BYTES];
    id_text(&sent->message, id);
    sent->is_done = true;
    sent->is_lost = true;
    note_code(
        sender,
        dri_cli_fail(sender->cli, DRI_EXIT_TIMEOUT,
                     sent->is_stored
                         ? "%s: no result within %.3g s; the command is stored and may still run"
                         : "%s: not acknowledged within %.3g s; it may still be stored and run",
                     id[0] == '\0' ? "the command" : id, (double)sender->patience_ms / 1000));
}

/* Lets go of what is finished at the front of the window; gives up what took too long. */
static void advance(struct sender *sender)
{
    uint64_t now_ns = dri_clock_mono_ns();
    while (sender->first < sender->next) {
        struct sent *sent = sent_at(sender, sender->first);
        if (!sent->is_done && now_ns - sent->sent_ns >= sender->patience_ms * UINT64_C(1000000)) {
            give_up(sender, sent);
        }
        if (!sent->is_done) {
            return;
        }
        if (!sender->is_waiting && !sent->is_lost) {
            print_sent(sender, sent);
        }
        dri_send_message_fini(&sent->message);
        sender->first++;
        sender->finished++;
        dri_progress_at(&sender->progress, sender->finished);
    }
    (void)fflush(stdout); /* a closed pipe shows at the end */
}

static uint64_t pause_ms(struct sender *sender)
{
    uint64_t until_ns = UINT64_MAX;
    uint64_t now_ns = dri_clock_mono_ns();
    if (!sender->is_input_over && sender->rate > 0) {
        until_ns = due_ns(sender);
    }
    if (sender->first < sender->next) {
        uint64_t end_ns =
            sent_at(sender, sender->first)->sent_ns + sender->patience_ms * UINT64_C(1000000);
        until_ns = end_ns < until_ns ? end_ns : until_ns;
    }
    uint64_t ms = until_ns > now_ns ? (until_ns - now_ns + 999999) / 1000000 : 0;
    return ms < SPIN_MS_MAX ? ms : SPIN_MS_MAX;
}

static bool has_news(void *arg)
{
    struct sender *sender = arg;
    bool has_room = sender->next - sender->first < sender->window_size;
    bool may_read = sender->has_input && !sender->is_input_over && has_room &&
                    dri_clock_mono_ns() >= due_ns(sender);
    return sender->has_news || (may_read && dri_send_input_is_ready(&sender->input));
}

static bool is_at_end(void *arg)
{
    const struct sender *sender = arg;
    return sender->assigned > 0 && sender->caught_up >= sender->assigned;
}

static void interrupted(struct sender *sender)
{
    uint64_t unknown = 0;
    for (uint64_t token = sender->first; token < sender->next; token++) {
        unknown += sent_at(sender, token)->is_done ? 0 : 1;
    }
    dri_progress_end(&sender->progress, sender->finished);
    note_code(sender,
              dri_cli_fail(sender->cli, DRI_EXIT_FAILED,
                           "interrupted: %" PRIu64 " stored, %" PRIu64 " sent and not answered",
                           sender->stored, unknown));
}

static void send_all(struct sender *sender)
{
    sender->begun_ns = dri_clock_mono_ns();
    dri_progress_begin(&sender->progress, sender->cli, sender->is_waiting ? "answered" : "stored",
                       sender->has_input ? 0 : sender->count);
    sender->progress.is_on = sender->progress.is_on && sender->count != 1;
    for (;;) {
        sender->has_news = false;
        produce(sender);
        advance(sender);
        if (dri_cli_interrupted != 0) {
            interrupted(sender);
            return;
        }
        if (sender->is_input_over && sender->first == sender->next) {
            break;
        }
        bool is_reading = sender->has_input && !sender->is_input_over &&
                          sender->next - sender->first < sender->window_size &&
                          dri_clock_mono_ns() >= due_ns(sender);
        dri_bus_watch(sender->bus, is_reading ? sender->input.fd : -1);
        enum dray_status status =
            dri_bus_run(sender->bus, pause_ms(sender), on_event, has_news, sender);
        if (status != DRAY_OK && status != DRAY_ETIMEOUT && status != DRAY_ECLOSED) {
            note_code(sender, dri_cli_fail(sender->cli, (int)dri_exit_for(status), "%s",
                                           dri_bus_fault(sender->bus)));
            break;
        }
    }
    dri_progress_end(&sender->progress, sender->finished);
}

/* ---- the broker ---- */

static int bus_open(struct sender *sender)
{
    const struct dri_settings *settings = &sender->cli->settings;
    const char *results =
        sender->form.reply_to != NULL ? sender->form.reply_to : settings->topics.results;
    bool is_nats = strncmp(settings->bus, "kafka:", 6) != 0;
    struct dri_source sources[SOURCES_MAX] = {
        {.topic = results, .role = DRI_ROLE_LOG, .start = DRI_START_LATEST}};
    const struct dri_topic topics[] = {{settings->topics.commands, DRI_USE_COMMANDS},
                                       {results, DRI_USE_RESULTS}};
    struct dri_bus_config config = {.sources = sources, .topics = topics, .topics_count = 1};
    char text[TEXT_BYTES] = "";
    if (sender->is_waiting) {
        config.sources_count = 1;
        config.topics_count = 2;
    }
    if (sender->is_waiting && is_nats && sender->form.reply_to == NULL && !sender->is_raw) {
        snprintf(sender->inbox, sizeof(sender->inbox), "_INBOX.dray.%016" PRIx64, sender->run);
        sender->form.reply_to = sender->inbox;
        sources[config.sources_count++] = (struct dri_source){
            .topic = sender->inbox, .role = DRI_ROLE_LOG, .start = DRI_START_LATEST};
    }
    enum dray_status status = dri_bus_open(sender->cli, &config, &sender->bus, text, sizeof(text));
    if (status != DRAY_OK) {
        return dri_cli_fail(sender->cli, (int)dri_exit_for_open(status), "%s", text);
    }
    dri_bus_ops(sender->bus)->info(dri_bus_transport(sender->bus), &sender->info);
    uint64_t most = sender->info.message_bytes_max;
    if (most > LETTER_BYTES && most - LETTER_BYTES < sender->form.bytes_max) {
        sender->form.bytes_max = most - LETTER_BYTES;
    }
    return DRI_EXIT_OK;
}

static int wait_for_ends(struct sender *sender)
{
    if (!sender->is_waiting) {
        return DRI_EXIT_OK;
    }
    enum dray_status status =
        dri_bus_run(sender->bus, sender->patience_ms, on_event, is_at_end, sender);
    if (status == DRAY_OK) {
        return DRI_EXIT_OK;
    }
    return dri_cli_fail(sender->cli, (int)dri_exit_for_open(status),
                        "the results cannot be read, so nothing was sent: %s",
                        dri_bus_fault(sender->bus)[0] != '\0' ? dri_bus_fault(sender->bus)
                                                              : dray_status_text(status));
}

/* ---- options ---- */

static int check_arguments(const struct sender *sender)
{
    const struct dri_cli *cli = sender->cli;
    const char *reply_to = dri_cli_value(cli, "reply-to");
    bool is_dash =
        cli->arguments_count > 0 && strcmp(cli->arguments[cli->arguments_count - 1], "-") == 0;
    size_t words = cli->arguments_count - (is_dash ? 1 : 0);
    if (sender->is_raw && words > 0) {
        return dri_cli_usage(cli, "--raw sends bytes as they are: leave out the command");
    }
    if (sender->is_raw && !sender->has_input) {
        return dri_cli_usage(cli, "--raw wants -f FILE or -");
    }
    if (!sender->is_raw && words != 1) {
        return dri_cli_usage(cli, words == 0 ? "which command? as in: dray send order.create"
                                             : "only one command at a time");
    }
    if (is_dash && dri_cli_has(cli, "file")) {
        return dri_cli_usage(cli, "-f and - exclude each other");
    }
    if (sender->has_input && (dri_cli_has(cli, "payload") || dri_cli_has(cli, "count"))) {
        return dri_cli_usage(cli, "--payload and --count do not go with -f and -");
    }
    if (sender->has_input && dri_cli_has(cli, "cron")) {
        return dri_cli_usage(cli, "--cron does not go with -f and -");
    }
    if (dri_cli_has(cli, "id") && (sender->count != 1 || sender->has_input)) {
        return dri_cli_usage(cli, "--id is for one command");
    }
    if (sender->is_waiting && reply_to != NULL && reply_to[0] == '\0') {
        return dri_cli_usage(cli, "--wait has nothing to wait for when --reply-to is empty");
    }
    return DRI_EXIT_OK;
}

static int read_form(struct sender *sender)
{
    const struct dri_cli *cli = sender->cli;
    uint64_t wait_ms = DEFAULT_MS;
    uint64_t timeout_ms = DEFAULT_MS;
    size_t count = cli->arguments_count;
    bool is_dash = count > 0 && strcmp(cli->arguments[count - 1], "-") == 0;
    if (!dri_cli_uint(cli, "count", 1, UINT64_C(1000000000000), &sender->count) ||
        !dri_cli_uint(cli, "rate", 1, 10000000, &sender->rate) ||
        !dri_cli_patience(cli, "wait", &wait_ms) ||
        !dri_cli_patience(cli, "timeout", &timeout_ms)) {
        return DRI_EXIT_USAGE;
    }
    sender->is_raw = dri_cli_has(cli, "raw");
    sender->is_waiting = dri_cli_has(cli, "wait");
    sender->has_input = dri_cli_has(cli, "file") || is_dash;
    sender->patience_ms = sender->is_waiting ? wait_ms : timeout_ms;
    sender->window_size = sender->is_waiting ? WINDOW_WAITING : WINDOW;
    int code = check_arguments(sender);
    return code == DRI_EXIT_OK ? dri_send_form_init(&sender->form, cli) : code;
}

/* One command is made for a look, so that a payload that is none is told at once. */
static int send_check(const struct dri_cli *cli)
{
    struct sender sender = {.cli = cli, .count = 1};
    struct dri_send_message message = {.bytes = NULL};
    char text[TEXT_BYTES] = "";
    int code = read_form(&sender);
    if (code == DRI_EXIT_OK && !sender.has_input) {
        sender.form.bytes_max = UINT64_MAX; /* how much is too much says the configuration */
        enum dray_status status =
            dri_send_message_make(&sender.form, dray_slice_text(dri_cli_value(cli, "payload")),
                                  &message, text, sizeof(text));
        code = status == DRAY_EINVALID ? dri_cli_usage(cli, "%s", text)
               : status != DRAY_OK     ? dri_cli_fail(cli, DRI_EXIT_FAILED, "%s", text)
                                       : DRI_EXIT_OK;
        dri_send_message_fini(&message);
    }
    dri_send_form_fini(&sender.form);
    return code;
}

static int read_options(struct sender *sender)
{
    const struct dri_cli *cli = sender->cli;
    const char *file = dri_cli_value(cli, "file");
    const char *name = file != NULL ? file : "-";
    int code = read_form(sender);
    if (code != DRI_EXIT_OK) {
        return code;
    }
    enum dray_status status =
        sender->has_input ? dri_send_input_open(&sender->input, name, sender->is_raw) : DRAY_OK;
    if (status != DRAY_OK) {
        return dri_cli_fail(cli, DRI_EXIT_FAILED, "cannot read %s: %s", name,
                            status == DRAY_EINVALID ? "it is a folder" : dray_status_text(status));
    }
    return DRI_EXIT_OK;
}

static void sender_fini(struct sender *sender)
{
    for (; sender->first < sender->next; sender->first++) {
        dri_send_message_fini(&sent_at(sender, sender->first)->message);
    }
    dri_bus_close(sender->bus);
    dri_free(sender->window);
    dri_send_form_fini(&sender->form);
    if (sender->has_input) {
        dri_send_input_close(&sender->input);
    }
}

static int send_run(struct dri_cli *cli)
{
    struct sender sender = {.cli = cli, .count = 1, .input = {.fd = -1}};
    int code = read_options(&sender);
    dri_cli_catch_signals();
    if (code == DRI_EXIT_OK &&
        getrandom(&sender.run, sizeof(sender.run), 0) != (ssize_t)sizeof(sender.run)) {
        code = dri_cli_fail(cli, DRI_EXIT_FAILED, "no random bytes");
    }
    if (code == DRI_EXIT_OK) {
        sender.window = dri_zalloc_array(sender.window_size, sizeof(*sender.window));
        code = sender.window == NULL ? dri_cli_fail(cli, DRI_EXIT_FAILED, "out of memory")
                                     : bus_open(&sender);
    }
    if (code == DRI_EXIT_OK) {
        code = wait_for_ends(&sender);
    }
    if (code == DRI_EXIT_OK) {
        send_all(&sender);
        code = sender.code;
    }
    sender_fini(&sender);
    return code;
}

static const struct dri_cli_option options[] = {
    {.name = "payload",
     .argument = "JSON",
     .help = "The arguments. Integers stay integers; bytes are {\"$bin\":\"base64\"}."},
    {.name = "file",
     .letter = 'f',
     .argument = "FILE",
     .help = "One payload a line, as JSON; `-` as an argument reads standard input."},
    {.name = "raw", .help = "The file is one message that is sent as it is, byte for byte."},
    {.name = "key",
     .argument = "KEY",
     .help = "Commands of one key take effect in the order in which they were sent."},
    {.name = "wait",
     .argument = "[SECONDS]",
     .help = "Wait for the result and print it as JSON; 30 s when no time is given."},
    {.name = "count",
     .argument = "N",
     .help = "Send the same payload N times, each with its own id."},
    {.name = "rate", .argument = "R", .help = "At most R commands a second."},
    {.name = "ns", .argument = "NAME", .help = "Namespace; default: the worker's."},
    {.name = "cmd-version",
     .argument = "RANGE",
     .help = "Wanted version of the handler: 1.2.0, or a range as ^1.2."},
    {.name = "tag",
     .argument = "KEY=VALUE",
     .help = "A routing tag, as region=eu.",
     .is_repeatable = true},
    {.name = "meta",
     .argument = "KEY=VALUE",
     .help = "Metadata that the handler may read.",
     .is_repeatable = true},
    {.name = "id", .argument = "TEXT", .help = "The command's id; default: a new UUIDv7."},
    {.name = "reply-to",
     .argument = "TOPIC",
     .help =
         "Where the result goes; empty: nobody wants one. Default: the worker's results topic."},
    {.name = "deadline",
     .argument = "SECONDS",
     .help = "Not run any more when it has not begun by then; with --cron counted from its tick."},
    {.name = "delay", .argument = "SECONDS", .help = "Not run before then."},
    {.name = "at",
     .argument = "TIME",
     .help = "Not run before this time, as in 2026-12-24T18:00:00Z."},
    {.name = "cron",
     .argument = "EXPRESSION",
     .help = "One command for each of the next --count ticks (UTC), not run before its tick; see "
             "dray help schedule next."},
    {.name = "timeout",
     .argument = "SECONDS",
     .help = "How long to wait for the broker to store a command; default 30."},
    {.name = NULL},
};

static const struct dri_cli_example examples[] = {
    {"One command, and its result",
     "dray send text.digest --bus nats://127.0.0.1:4222 --payload '{\"text\":\"to be\"}' --wait"},
    {"In order with everything else of this customer",
     "dray send text.digest -c worker.yaml --key customer-7 --payload '{\"text\":\"or not\"}'"},
    {"A thousand a second, for ten seconds",
     "dray send text.digest -c worker.yaml --payload '{\"text\":\"x\"}' --count 10000 --rate 1000"},
    {"The next thirty working days at six, each only until seven",
     "dray send report.daily -c worker.yaml --cron '0 6 * * mon-fri' --count 30 --deadline 1h"},
    {"One command for each line",
     "jq -c '.orders[]' all.json | dray send order.create -c worker.yaml -"},
    {"Bytes as they are, to see what becomes of them",
     "printf '\\301' | dray send --raw -c worker.yaml -"},
    {NULL, NULL},
};

const struct dri_cli_command dri_send_command = {
    .name = "send",
    .summary = "send commands",
    .usage =
        "CMD [--payload JSON | -f FILE | -] [--key K] [--wait[=SECONDS]] [--count N] [--rate R]",
    .about = "Sends commands and prints one line for each that the broker has stored: its id, or "
             "with --json "
             "{\"id\",\"topic\",\"partition\",\"offset\"} (NATS: \"sequence\").\n\n"
             "With --wait it prints each result as JSON instead, as it comes.\n\n"
             "A command larger than the broker's limit less 16 KiB is refused: its dead letter "
             "would not fit.\n\n"
             "Exit code 0: stored; with --wait: the result is ok. 1: refused, or the result is an "
             "error. 69: the "
             "broker cannot be reached. 75: no answer in time; the command may still run.",
    .options = options,
    .examples = examples,
    .needs_settings = true,
    .check = send_check,
    .run = send_run,
};

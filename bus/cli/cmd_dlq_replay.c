/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* cmd_dlq_replay.c - dray dlq replay: copies of dead letters back to the workers.
 *
 * A copy is named by its letter and its generation (dray-replay-of, dray-replays). Three things
 * keep a command from running twice in one generation when a replay is killed between a copy and
 * its cursor, in the order in which they are met:
 *
 *   1. Before anything is copied the replay topic is read, and what lies there is not copied again.
 *   2. JetStream refuses a second copy for ten minutes by its Nats-Msg-Id, which is the name.
 *   3. The worker drops a copy whose name it has met in the same assignment (run/replayed.h).
 *
 * The first needs no clock and survives every restart; what it cannot see is a copy that a killed
 * process had handed to the broker and that is stored only after the next replay has read the
 * topic. That one the others meet.
 *
 * Letters go out in the order of their partition; the cursor moves over a letter only when its copy
 * is acknowledged and everything before it in its partition is done. Nothing is ever deleted.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bus.h"
#include "cli.h"
#include "clock.h"
#include "letters.h"
#include "mem.h"
#include "replay.h"
#include "replay_cursor.h"
#include "run/crash.h"
#include "run/replayed.h"
#include "wire/sha256.h"

#define WINDOW         1024u
#define WINDOW_BYTES   (32u << 20)
#define TEXT_BYTES     1024u
#define DEDUP_ID_BYTES 360u
#define PATIENCE_MS    30000u
#define SAVE_NS        UINT64_C(200000000)
#define REPLAYS_MAX    10u
#define KNOWN_MAX      (1u << 20) /* copies in the replay topic that are remembered */
#define PARTITION_NONE (-1)

struct copy {
    struct dri_found *found; /* owned */
    uint64_t sent_ns;
    bool is_done, is_lost, must_repeat, was_repeated;
};

struct counts {
    uint64_t replayed, already, refused, failed, behind;
};

struct replay {
    const struct dri_cli *cli;
    struct dri_letter_filter filter;
    struct dri_letters *letters; /* owned */
    struct dri_bus *bus;         /* owned; what is published */
    struct dri_replayed *known;  /* owned; copies in the replay topic */
    struct dri_replay_cursor cursor;
    dri_crash_point_fn *on_crash_point;
    const char *target;
    bool is_dry, is_forced, is_elsewhere, is_kafka, is_input_over, has_news, was_walked;
    bool is_part; /* of another command: tells only what goes wrong */
    uint64_t limit, rate, begun_ns, saved_ns;

    struct copy *window;  /* owned; ring of WINDOW */
    uint64_t first, next; /* tokens */
    size_t bytes_out;
    bool *blocked; /* owned; by partition: a letter of it failed */
    uint32_t blocked_count;
    uint64_t published;
    struct counts counts;
    struct dri_progress progress;
    int code;

    uint64_t scan_assigned, scan_caught_up;
    bool has_scan_failed;
};

static struct copy *copy_at(struct replay *replay, uint64_t token)
{
    return &replay->window[token % WINDOW];
}

static void note_code(struct replay *replay, int code)
{
    if (replay->code == DRI_EXIT_OK || code == DRI_EXIT_TIMEOUT) {
        replay->code = code;
    }
}

/* ---- what lies in the replay topic ---- */

static void on_scan_event(void *arg, const struct dri_transport_event *event)
{
    struct replay *replay = arg;
    struct dri_replay_name name;
    if (event->type == DRI_TE_ASSIGNED) {
        replay->scan_assigned++;
    } else if (event->type == DRI_TE_CAUGHT_UP) {
        replay->scan_caught_up++;
    } else if (event->type == DRI_TE_MESSAGE &&
               dri_replay_name_of(event->as.message.headers, &name)) {
        (void)dri_replayed_is_duplicate(replay->known, 0, &name, event->as.message.offset);
    }
}

static bool is_scanned(void *arg)
{
    const struct replay *replay = arg;
    return replay->scan_assigned > 0 && replay->scan_caught_up >= replay->scan_assigned;
}

static int scan(struct replay *replay)
{
    const struct dri_source source = {
        .topic = replay->target, .role = DRI_ROLE_LOG, .start = DRI_START_EARLIEST};
    const struct dri_bus_config config = {.sources = &source, .sources_count = 1};
    struct dri_bus *bus = NULL;
    char text[TEXT_BYTES] = "";
    enum dray_status status = dri_replayed_create(KNOWN_MAX, &replay->known);
    if (status != DRAY_OK) {
        return dri_cli_fail(replay->cli, DRI_EXIT_FAILED, "%s", dray_status_text(status));
    }
    if (replay->is_elsewhere) {
        return DRI_EXIT_OK; /* somebody else's topic may be of any size */
    }
    status = dri_bus_open(replay->cli, &config, &bus, text, sizeof(text));
    if (status == DRAY_ENOTFOUND) {
        return DRI_EXIT_OK; /* nothing was ever replayed */
    }
    if (status != DRAY_OK) {
        return dri_cli_fail(replay->cli, (int)dri_exit_for_open(status), "%s", text);
    }
    do {
        uint64_t before = replay->scan_caught_up;
        status = dri_bus_run(bus, PATIENCE_MS, on_scan_event, is_scanned, replay);
        if (status == DRAY_ETIMEOUT && replay->scan_caught_up == before) {
            break;
        }
    } while (status == DRAY_ETIMEOUT);
    int code = DRI_EXIT_OK;
    if (status != DRAY_OK) {
        code = dri_cli_fail(replay->cli, (int)dri_exit_for_open(status),
                            "%s cannot be read, so nothing was copied: %s", replay->target,
                            dri_bus_fault(bus)[0] != '\0' ? dri_bus_fault(bus)
                                                          : dray_status_text(status));
    }
    dri_bus_close(bus);
    return code;
}

/* ---- copies out ---- */

/* The partition of "topic/partition/offset". */
static int32_t source_partition(const struct dri_found *found)
{
    struct dray_slice source = found->letter.source;
    int64_t number = 0;
    size_t slashes = 0;
    size_t at = source.len;
    size_t end = 0;
    while (at > 0 && slashes < 2) {
        at--;
        if (source.at[at] == '/' && ++slashes == 1) {
            end = at;
        }
    }
    if (!found->has_partition || slashes < 2 || end - at < 2 || end - at > 10) {
        return PARTITION_NONE;
    }
    for (size_t i = at + 1; i < end; i++) {
        if (source.at[i] < '0' || source.at[i] > '9') {
            return PARTITION_NONE;
        }
        number = number * 10 + (source.at[i] - '0');
    }
    return number <= INT32_MAX ? (int32_t)number : PARTITION_NONE;
}

static void on_published(struct replay *replay, const struct dri_published *published)
{
    if (published->token < replay->first || published->token >= replay->next) {
        return;
    }
    struct copy *copy = copy_at(replay, published->token);
    if (copy->is_done) {
        return;
    }
    replay->has_news = true;
    if (published->ack == DRI_ACK_STORED) {
        copy->is_done = true;
        if (published->is_duplicate && !copy->was_repeated) {
            replay->counts.already++;
        } else {
            replay->counts.replayed++;
        }
        if (replay->on_crash_point != NULL) {
            replay->on_crash_point("replay_copied");
        }
    } else if (published->ack == DRI_ACK_NOT_STORED) {
        copy->is_done = true;
        copy->is_lost = true;
        note_code(replay,
                  dri_cli_fail(replay->cli,
                               published->reason == DRAY_EAUTH ? DRI_EXIT_DENIED : DRI_EXIT_FAILED,
                               "%s: the broker does not take the copy: %s", copy->found->position,
                               dray_status_text(published->reason)));
    } else {
        copy->must_repeat = true;
    }
}

static void on_event(void *arg, const struct dri_transport_event *event)
{
    struct replay *replay = arg;
    if (event->type == DRI_TE_PUBLISHED) {
        on_published(replay, &event->as.published);
    }
}

static void lose(struct replay *replay, struct copy *copy, int code, const char *why)
{
    copy->is_done = true;
    copy->is_lost = true;
    note_code(replay,
              dri_cli_fail(replay->cli, code, "%s: not copied: %s", copy->found->position, why));
}

static void publish(struct replay *replay, uint64_t token)
{
    struct copy *copy = copy_at(replay, token);
    const struct dri_found *found = copy->found;
    uint64_t replays = found->letter.replays + 1;
    struct dray_slice of = dray_slice_text(found->position);
    size_t bytes = dri_letter_replay_headers_max(found->headers, of);
    uint8_t *headers = dri_zalloc(bytes);
    char dedup_id[DEDUP_ID_BYTES];
    size_t len = 0;
    copy->must_repeat = false;
    enum dray_status status = headers == NULL ? DRAY_ENOMEM
                                              : dri_letter_replay_headers(found->headers, replays,
                                                                          of, headers, bytes, &len);
    if (status == DRAY_OK) {
        snprintf(dedup_id, sizeof(dedup_id), "p:%s:%" PRIu64, found->position, replays);
        /* "p:<stream>:<sequence>:<replays>": the position's last slash is a colon there. */
        *strrchr(dedup_id, '/') = ':';
        struct dri_publish message = {
            .token = token,
            .topic = dray_slice_text(replay->target),
            .partition = replay->is_elsewhere ? PARTITION_NONE : source_partition(found),
            .key = found->key,
            .value = found->value,
            .headers = dray_slice_of(headers, len),
            .dedup_id = dray_slice_text(dedup_id),
        };
        status = dri_bus_publish(replay->bus, &message, PATIENCE_MS, on_event, replay);
    }
    dri_free(headers);
    if (status != DRAY_OK) {
        const char *fault = dri_bus_fault(replay->bus);
        replay->is_input_over = true;
        lose(replay, copy,
             status == DRAY_ECLOSED ? DRI_EXIT_FAILED : (int)dri_exit_for_open(status),
             status == DRAY_ECLOSED ? "interrupted"
             : fault[0] != '\0'     ? fault
                                    : dray_status_text(status));
    }
}

/* ---- which letters ---- */

/* Why this letter cannot be copied, or NULL. */
static const char *refusal(const struct replay *replay, const struct dri_found *found)
{
    if (found->letter.is_pointer) {
        return "the letter is a pointer: the message did not fit, and its bytes are not in it";
    }
    if (found->letter.replays >= REPLAYS_MAX && !replay->is_forced) {
        return "replayed ten times already; --force does it once more";
    }
    return NULL;
}

static int show_dry(struct replay *replay, const struct dri_found *found)
{
    struct dri_text text;
    int code = DRI_EXIT_OK;
    dri_progress_hide(&replay->progress);
    dri_text_init(&text);
    if (replay->cli->is_json) {
        dri_letter_to_json(found, &text);
        dri_text_addf(&text, "}");
    } else {
        struct dray_slice command = found->letter.command;
        struct dray_slice message = found->letter.message;
        dri_text_addf(&text, "would replay %s ", found->position);
        dri_text_add_json_string(&text, command.at == NULL ? dray_slice_text("") : command);
        dri_text_addf(&text, " %.*s: ", (int)found->letter.reason_text.len,
                      (const char *)found->letter.reason_text.at);
        dri_text_add_json_string(&text, message.at == NULL ? dray_slice_text("") : message);
    }
    if (text.status != DRAY_OK || printf("%s\n", text.at) < 0) {
        code = DRI_EXIT_FAILED;
    }
    dri_text_fini(&text);
    return code;
}

/* Decides about one letter; keeps it in the window, so that the cursor moves in order. */
static void take(struct replay *replay, struct dri_found *found)
{
    if (found->offset < dri_replay_cursor_next(&replay->cursor, (uint32_t)found->partition)) {
        replay->counts.behind++;
        dri_free(found);
        return;
    }
    uint64_t token = replay->next++;
    struct copy *copy = copy_at(replay, token);
    *copy = (struct copy){.found = found, .sent_ns = dri_clock_mono_ns()};
    replay->bytes_out += found->value.len + found->headers.len;
    struct dri_replay_name name =
        dri_replay_name_make(dray_slice_text(found->position), found->letter.replays + 1);
    const char *why = refusal(replay, found);
    if (why != NULL) {
        replay->counts.refused++;
        copy->is_done = true;
        note_code(replay, dri_cli_fail(replay->cli, DRI_EXIT_FAILED, "%s: refused: %s",
                                       found->position, why));
    } else if (dri_replayed_has(replay->known, 0, &name)) {
        replay->counts.already++;
        copy->is_done = true;
    } else if (replay->is_dry) {
        replay->counts.replayed++;
        replay->published++;
        copy->is_done = true;
        note_code(replay, show_dry(replay, found));
    } else {
        replay->published++;
        publish(replay, token);
    }
}

static uint64_t due_ns(const struct replay *replay)
{
    return replay->rate == 0
               ? 0
               : replay->begun_ns + replay->published * (UINT64_C(1000000000) / replay->rate);
}

static bool has_room(const struct replay *replay)
{
    return replay->next - replay->first < WINDOW && replay->bytes_out < WINDOW_BYTES;
}

static void fill(struct replay *replay)
{
    for (uint64_t token = replay->first; token < replay->next; token++) {
        if (copy_at(replay, token)->must_repeat) {
            copy_at(replay, token)->was_repeated = true;
            publish(replay, token);
        }
    }
    while (!replay->is_input_over && has_room(replay) && dri_cli_interrupted == 0 &&
           dri_clock_mono_ns() >= due_ns(replay)) {
        struct dri_found *found = NULL;
        if (replay->published == replay->limit) {
            replay->is_input_over = true;
            return;
        }
        enum dray_status status = dri_letters_next(replay->letters, &found);
        if (status != DRAY_OK) {
            replay->is_input_over = true;
            if (status != DRAY_ECLOSED) {
                note_code(replay, dri_letters_end(replay->cli, replay->letters, status));
            }
            return;
        }
        take(replay, found);
    }
}

/* ---- the cursor ---- */

static bool is_blocked(const struct replay *replay, int32_t partition)
{
    return (uint32_t)partition < replay->blocked_count && replay->blocked[partition];
}

static enum dray_status block(struct replay *replay, int32_t partition)
{
    uint32_t at = (uint32_t)partition;
    if (at >= replay->blocked_count) {
        uint32_t count = at < 32 ? 64 : 2 * at;
        bool *larger = dri_zalloc_array(count, sizeof(*larger));
        if (larger == NULL) {
            return DRAY_ENOMEM;
        }
        if (replay->blocked_count > 0) {
            memcpy(larger, replay->blocked, replay->blocked_count * sizeof(*larger));
        }
        dri_free(replay->blocked);
        replay->blocked = larger;
        replay->blocked_count = count;
    }
    replay->blocked[at] = true;
    return DRAY_OK;
}

static void save(struct replay *replay)
{
    char text[TEXT_BYTES] = "";
    replay->saved_ns = dri_clock_mono_ns();
    if (replay->is_dry) {
        return;
    }
    if (dri_replay_cursor_save(&replay->cursor, text, sizeof(text)) != DRAY_OK) {
        replay->is_input_over = true; /* copies without a cursor would only pile up */
        note_code(replay, dri_cli_fail(replay->cli, DRI_EXIT_FAILED,
                                       "the cursor cannot be written: %s", text));
    }
}

static void pass(struct replay *replay, const struct copy *copy)
{
    const struct dri_found *found = copy->found;
    enum dray_status status = DRAY_OK;
    if (copy->is_lost) {
        replay->counts.failed++;
        status = block(replay, found->partition);
    } else if (!is_blocked(replay, found->partition) && !replay->is_dry) {
        status =
            dri_replay_cursor_move(&replay->cursor, (uint32_t)found->partition, found->offset + 1);
    }
    if (status != DRAY_OK) {
        replay->is_input_over = true;
        note_code(replay, dri_cli_fail(replay->cli, DRI_EXIT_FAILED, "the cursor cannot move: %s",
                                       dray_status_text(status)));
    }
}

/* Lets go of what is finished at the front; gives up what took too long. */
static void advance(struct replay *replay)
{
    uint64_t now_ns = dri_clock_mono_ns();
    while (replay->first < replay->next) {
        struct copy *copy = copy_at(replay, replay->first);
        if (!copy->is_done && now_ns - copy->sent_ns >= PATIENCE_MS * UINT64_C(1000000)) {
            lose(replay, copy, DRI_EXIT_TIMEOUT, "no acknowledgement; it may still be stored");
        }
        if (!copy->is_done) {
            break;
        }
        pass(replay, copy);
        replay->bytes_out -= copy->found->value.len + copy->found->headers.len;
        dri_free(copy->found);
        copy->found = NULL;
        replay->first++;
    }
    dri_progress_at(&replay->progress, replay->counts.replayed);
    if (now_ns - replay->saved_ns >= SAVE_NS) {
        save(replay);
    }
}

/* ---- all of it ---- */

static bool has_news(void *arg)
{
    const struct replay *replay = arg;
    return replay->has_news;
}

static uint64_t pause_ms(const struct replay *replay)
{
    uint64_t now_ns = dri_clock_mono_ns();
    uint64_t until_ns = now_ns + SAVE_NS;
    if (!replay->is_input_over && has_room(replay)) {
        uint64_t due = due_ns(replay);
        until_ns = due < until_ns ? due : until_ns;
    }
    return until_ns > now_ns ? (until_ns - now_ns + 999999) / 1000000 : 0;
}

static void walk(struct replay *replay)
{
    replay->begun_ns = replay->saved_ns = dri_clock_mono_ns();
    replay->was_walked = true;
    dri_progress_begin(&replay->progress, replay->cli,
                       replay->is_dry ? "would be replayed" : "replayed", 0);
    while (dri_cli_interrupted == 0) {
        replay->has_news = false;
        fill(replay);
        advance(replay);
        if (replay->is_input_over && replay->first == replay->next) {
            break;
        }
        if (replay->bus == NULL) {
            continue; /* a dry run */
        }
        enum dray_status status =
            dri_bus_run(replay->bus, pause_ms(replay), on_event, has_news, replay);
        if (status != DRAY_OK && status != DRAY_ETIMEOUT && status != DRAY_ECLOSED) {
            note_code(replay, dri_cli_fail(replay->cli, (int)dri_exit_for_open(status), "%s",
                                           dri_bus_fault(replay->bus)));
            break;
        }
    }
    advance(replay);
    save(replay);
    dri_progress_end(&replay->progress, replay->counts.replayed);
}

static void report(struct replay *replay)
{
    const struct counts *counts = &replay->counts;
    const char *verb = replay->is_dry ? "would be replayed" : "replayed";
    if (dri_cli_interrupted != 0) {
        note_code(replay, dri_cli_fail(replay->cli, DRI_EXIT_FAILED,
                                       "interrupted; the same command goes on where it stopped"));
    }
    uint64_t all = counts->replayed + counts->already + counts->refused + counts->failed;
    if (replay->is_part) {
        return;
    }
    if (replay->code == DRI_EXIT_OK && all == 0 && counts->behind > 0) {
        replay->code = dri_cli_fail(replay->cli, DRI_EXIT_NO_MATCH,
                                    "nothing new: what matches (%" PRIu64
                                    ") was seen by an earlier replay, says its cursor %.300s/%s",
                                    counts->behind, replay->cursor.folder, replay->cursor.name);
        return;
    }
    if (replay->code == DRI_EXIT_OK && all == 0) {
        replay->code = dri_cli_fail(replay->cli, DRI_EXIT_NO_MATCH, "no dead letter in %s matches",
                                    replay->cli->settings.topics.dead_letters);
        return;
    }
    if (dri_cli_has(replay->cli, "json") && !replay->is_dry) {
        printf("{\"replayed\":%" PRIu64 ",\"already_copied\":%" PRIu64 ",\"refused\":%" PRIu64
               ",\"failed\":%" PRIu64 ",\"behind_cursor\":%" PRIu64 "}\n",
               counts->replayed, counts->already, counts->refused, counts->failed, counts->behind);
        return;
    }
    fprintf(replay->is_dry ? stderr : stdout,
            "%" PRIu64 " %s to %s, %" PRIu64 " copied already, %" PRIu64 " refused, %" PRIu64
            " failed\n",
            counts->replayed, verb, replay->target, counts->already, counts->refused,
            counts->failed);
}

static bool is_allowed(const char *list, const char *topic)
{
    size_t len = strlen(topic);
    for (const char *at = list; at != NULL && *at != '\0';) {
        size_t word = strcspn(at, ",");
        if (word == len && strncmp(at, topic, len) == 0) {
            return true;
        }
        at += word + (at[word] == ',' ? 1 : 0);
    }
    return false;
}

static void add_part(struct dri_sha256 *sha, const char *text)
{
    dri_sha256_add(sha, dray_slice_text(text == NULL ? "0" : "1"));
    if (text != NULL) {
        dri_sha256_add(sha, dray_slice_of(text, strlen(text) + 1));
    }
}

/* What this replay asks, as a hash: its cursor belongs to no other question. */
static void question_of(const struct replay *replay, char ret_hex[65])
{
    static const char *const options[] = {"where", "command", "reason", "key", "since", "until"};
    const struct dri_cli *cli = replay->cli;
    struct dri_sha256 sha;
    uint8_t digest[32];
    dri_sha256_init(&sha);
    add_part(&sha, cli->settings.bus);
    add_part(&sha, cli->settings.topics.dead_letters);
    add_part(&sha, replay->target);
    add_part(&sha, replay->is_forced ? "force" : NULL);
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        add_part(&sha, dri_cli_value(cli, options[i]));
    }
    dri_sha256_end(&sha, digest);
    dri_hex(digest, sizeof(digest), ret_hex);
}

static int read_form(const struct dri_cli *cli, struct replay *replay)
{
    if (cli->arguments_count > 0) {
        return dri_cli_usage(cli, "dray dlq replay takes no arguments; which letters is said with "
                                  "--where, as in --where 'sequence = 17'");
    }
    if (!dri_cli_uint(cli, "limit", 1, UINT64_MAX - 1, &replay->limit) ||
        !dri_cli_uint(cli, "rate", 1, 10000000, &replay->rate)) {
        return DRI_EXIT_USAGE;
    }
    return dri_letter_filter_init(&replay->filter, cli);
}

static int replay_check(const struct dri_cli *cli)
{
    struct replay replay = {.cli = cli};
    int code = read_form(cli, &replay);
    dri_letter_filter_fini(&replay.filter);
    return code;
}

static int read_options(struct replay *replay)
{
    const struct dri_cli *cli = replay->cli;
    const char *to = dri_cli_value(cli, "to");
    const char *own = cli->settings.topics.replay;
    replay->is_dry = dri_cli_has(cli, "dry-run");
    replay->is_forced = dri_cli_has(cli, "force");
    replay->is_elsewhere = to != NULL && strcmp(to, own) != 0;
    replay->target = replay->is_elsewhere ? to : own;
    if (replay->is_elsewhere && !is_allowed(cli->settings.replay.allow_to, to)) {
        return dri_cli_fail(cli, DRI_EXIT_DENIED,
                            "--to %s: the configuration does not allow it; list it under "
                            "replay.allow_to",
                            to);
    }
    return read_form(cli, replay);
}

static int open_cursor(struct replay *replay)
{
    const struct dri_cli *cli = replay->cli;
    char hash[65];
    char text[TEXT_BYTES] = "";
    question_of(replay, hash);
    const struct dri_replay_question question = {
        .hash = hash,
        .folder = cli->settings.state,
        .file = dri_cli_value(cli, "cursor"),
        .is_fresh = dri_cli_has(cli, "from-start"),
    };
    enum dray_status status =
        dri_replay_cursor_open(&replay->cursor, &question, text, sizeof(text));
    return status == DRAY_OK
               ? DRI_EXIT_OK
               : dri_cli_fail(replay->cli, status == DRAY_EAUTH ? DRI_EXIT_DENIED : DRI_EXIT_FAILED,
                              "%s", text);
}

static int open_bus(struct replay *replay)
{
    const struct dri_settings *settings = &replay->cli->settings;
    const struct dri_topic topics[] = {
        {replay->is_elsewhere ? replay->target : settings->topics.commands, DRI_USE_COMMANDS},
        {settings->topics.replay, DRI_USE_REPLAY},
    };
    const struct dri_bus_config config = {.topics = topics,
                                          .topics_count = replay->is_elsewhere ? 1 : 2};
    char text[TEXT_BYTES] = "";
    if (replay->is_dry) {
        return DRI_EXIT_OK;
    }
    enum dray_status status = dri_bus_open(replay->cli, &config, &replay->bus, text, sizeof(text));
    return status == DRAY_OK
               ? DRI_EXIT_OK
               : dri_cli_fail(replay->cli, (int)dri_exit_for_open(status), "%s", text);
}

static void replay_fini(struct replay *replay)
{
    for (; replay->first < replay->next; replay->first++) {
        dri_free(copy_at(replay, replay->first)->found);
    }
    dri_letters_close(replay->letters);
    dri_bus_close(replay->bus);
    dri_replayed_destroy(replay->known);
    dri_replay_cursor_fini(&replay->cursor);
    dri_letter_filter_fini(&replay->filter);
    dri_free(replay->window);
    dri_free(replay->blocked);
}

/* A part that finds no topic has nothing to do. */
static int open_letters(struct replay *replay, bool *ret_is_empty)
{
    char text[TEXT_BYTES] = "";
    *ret_is_empty = false;
    if (!replay->is_part) {
        return dri_letters_begin(replay->cli, &replay->filter, &replay->letters);
    }
    enum dray_status status =
        dri_letters_open(replay->cli, &replay->filter, &replay->letters, text, sizeof(text));
    *ret_is_empty = status == DRAY_ENOTFOUND;
    return status == DRAY_OK || *ret_is_empty
               ? DRI_EXIT_OK
               : dri_cli_fail(replay->cli, (int)dri_exit_for_open(status), "%s", text);
}

static int replay_all(const struct dri_cli *cli, bool is_part, uint64_t *ret_count)
{
    struct replay replay = {.cli = cli,
                            .is_part = is_part,
                            .limit = UINT64_MAX,
                            .cursor = {.lock_fd = -1},
                            .on_crash_point = dri_crash_point_hook()};
    bool is_empty = false;
    int code = read_options(&replay);
    dri_cli_catch_signals();
    if (code == DRI_EXIT_OK) {
        replay.window = dri_zalloc_array(WINDOW, sizeof(*replay.window));
        code = replay.window == NULL ? dri_cli_fail(cli, DRI_EXIT_FAILED, "out of memory")
                                     : open_cursor(&replay);
    }
    if (code == DRI_EXIT_OK) {
        code = open_letters(&replay, &is_empty);
    }
    if (code == DRI_EXIT_OK && !is_empty) {
        code = scan(&replay);
    }
    if (code == DRI_EXIT_OK && !is_empty) {
        code = open_bus(&replay);
    }
    if (code == DRI_EXIT_OK && !is_empty) {
        walk(&replay);
        report(&replay);
        code = replay.code;
    }
    *ret_count = replay.counts.replayed;
    replay_fini(&replay);
    return code;
}

static int replay_run(struct dri_cli *cli)
{
    uint64_t count = 0;
    return replay_all(cli, false, &count);
}

int dri_dlq_replay_where(const struct dri_cli *cli, const char *where, uint64_t *ret_count)
{
    const struct dri_cli_given given = {"where", where};
    struct dri_cli part = *cli;
    part.command = &dri_dlq_replay_command;
    part.given = &given;
    part.given_count = 1;
    part.arguments_count = 0;
    return replay_all(&part, true, ret_count);
}

static const struct dri_cli_option options[] = {
    DRI_LETTER_FILTER_OPTIONS,
    {.name = "dry-run", .help = "Only list what would be replayed."},
    {.name = "limit", .argument = "N", .help = "Stop after N copies."},
    {.name = "rate", .argument = "R", .help = "At most R copies a second."},
    {.name = "to",
     .argument = "TOPIC",
     .help = "Copy to this topic instead of the workers' own replay topic; it must stand in "
             "replay.allow_to."},
    {.name = "cursor",
     .argument = "FILE",
     .help = "Where to remember how far the replay came. Default: a file in `state`, one for each "
             "broker, topic, filter and target."},
    {.name = "from-start",
     .help = "Ignore the cursor. What lies in the replay topic is not copied again all the same."},
    {.name = "force", .help = "Also replay what was replayed ten times."},
    {.name = NULL},
};

static const struct dri_cli_example examples[] = {
    {"What would be replayed", "dray dlq replay -c worker.yaml --reason timeout --dry-run"},
    {"Everything that failed since noon, gently",
     "dray dlq replay -c worker.yaml --since 2026-01-31T12:00:00Z --rate 50"},
    {"One letter", "dray dlq replay -c worker.yaml --where 'partition = 3 and offset = 17'"},
    {NULL, NULL},
};

const struct dri_cli_command dri_dlq_replay_command = {
    .name = "dlq replay",
    .summary = "run dead letters again",
    .usage = "[--where EXPR] [--dry-run] [--limit N] [--rate R] [--to TOPIC]",
    .about = "Copies dead letters to the replay topic of the workers' group, replay.<group>."
             "<commands>: original bytes, key, headers and (Kafka) partition. Nothing is deleted "
             "from the dead letters. A letter is copied once in each generation: when its copy "
             "fails again, the new letter counts one replay more. Killed and started again it goes "
             "on where it stopped.\n\nAn 11th replay is refused unless --force. Letters that "
             "arrive while it runs are left for the next time.\n\nExit code 0: all copied. 1: some "
             "were refused or failed. 3: nothing new matched. 75: no acknowledgement; the copy may "
             "still be stored.",
    .options = options,
    .examples = examples,
    .needs_settings = true,
    .is_listing = true,
    .check = replay_check,
    .run = replay_run,
};

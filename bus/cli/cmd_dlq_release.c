/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* cmd_dlq_release.c - dray dlq release: lets keys go that stand still.
 *
 * A key is let go by a RELEASE record in its part of the park log. Of a held key the letters of its
 * unit go there first, one by one, each acknowledged before the next, as commands that wait for the
 * release: so they run in their order and before everything that came later.
 *
 * Whoever holds the key learns of the release by reading the log. From the first letter that it
 * reads there on, it parks what comes of the key, and makes no more letters of it. What it made
 * letters of until then is looked for again and again until nothing new is found, for at least a
 * second after the first letter was stored; such a letter gets the first one's place in the order.
 * A letter that is found even after the release (its worker did not read for that long) stays one,
 * and is told: what came after it may have run.
 *
 * Killed in the middle, the same command goes on: what lies in the log is not written again, and a
 * record that was stored twice after all has the same source, so that the workers drop it. Nothing
 * of the unit runs before the release is stored, so nothing runs twice because of it. After it is
 * stored there is nothing left to be done.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bus.h"
#include "cli.h"
#include "clock.h"
#include "letters.h"
#include "mem.h"
#include "parked_list.h"
#include "rows.h"
#include "run/crash.h"

#define TEXT_BYTES     1024u
#define DEDUP_ID_BYTES 400u
#define PATIENCE_MS    30000u
#define SETTLE_MS      1000u
#define REPLAYS_MAX    10u
#define PARTITION_NONE (-1)

/* Letters that are in the log, by their position there. */
struct seen {
    char **at; /* owned, each owned */
    size_t count, capacity;
};

struct release {
    const struct dri_cli *cli;
    const struct dri_parked_list *list;
    const struct dri_parked_record *record; /* the stopper of the key that is let go */
    struct dri_bus *bus;                    /* owned; NULL: a dry run */
    dri_crash_point_fn *on_crash_point;
    struct seen seen;    /* positions of letters that are in the log */
    struct seen sources; /* sources of letters: a letter that was stored twice is one command */
    uint64_t first;      /* offset of the first letter in the log; UINT64_MAX: none yet */
    uint64_t first_ns;   /* when we stored it */
    uint64_t letters;    /* of the unit */
    bool is_dry, is_forced;

    uint64_t token;
    bool is_answered;
    struct dri_published answer;
};

/* ---- what is in the log ---- */

static bool seen_has(const struct seen *seen, struct dray_slice text)
{
    for (size_t i = 0; i < seen->count; i++) {
        if (dray_slice_equal_text(text, seen->at[i])) {
            return true;
        }
    }
    return false;
}

static enum dray_status seen_add(struct seen *seen, struct dray_slice text)
{
    if (seen->count == seen->capacity) {
        size_t capacity = seen->capacity == 0 ? 64 : 2 * seen->capacity;
        char **larger = dri_zalloc_array(capacity, sizeof(*larger));
        if (larger == NULL) {
            return DRAY_ENOMEM;
        }
        if (seen->count > 0) {
            memcpy(larger, seen->at, seen->count * sizeof(*larger));
        }
        dri_free(seen->at);
        seen->at = larger;
        seen->capacity = capacity;
    }
    seen->at[seen->count] = dri_strndup(text.at, text.len);
    if (seen->at[seen->count] == NULL) {
        return DRAY_ENOMEM;
    }
    seen->count++;
    return DRAY_OK;
}

static void seen_fini(struct seen *seen)
{
    for (size_t i = 0; i < seen->count; i++) {
        dri_free(seen->at[i]);
    }
    dri_free(seen->at);
    *seen = (struct seen){.at = NULL};
}

/* What an earlier release of this unit has written. */
static enum dray_status written_find(struct release *release)
{
    enum dray_status status = DRAY_OK;
    release->first = UINT64_MAX;
    for (size_t i = 0; i < release->list->count && status == DRAY_OK; i++) {
        const struct dri_parked_record *record = release->list->at[i];
        if (record->park.kind != DRI_PARK_COMMAND || record->park.unit.at == NULL ||
            !dray_slice_equal(record->park.unit, release->record->park.unit) ||
            !dri_parked_is_same_key(record, release->record)) {
            continue;
        }
        status = seen_add(&release->seen, record->park.source);
        release->first = record->order < release->first ? record->order : release->first;
    }
    return status;
}

/* ---- records out ---- */

static void on_event(void *arg, const struct dri_transport_event *event)
{
    struct release *release = arg;
    if (event->type == DRI_TE_PUBLISHED && event->as.published.token == release->token) {
        release->answer = event->as.published;
        release->is_answered = true;
    }
}

static bool is_answered(void *arg)
{
    const struct release *release = arg;
    return release->is_answered;
}

static int bus_fail(const struct release *release, enum dray_status status)
{
    const char *fault = dri_bus_fault(release->bus);
    if (status == DRAY_ECLOSED) {
        return dri_cli_fail(release->cli, DRI_EXIT_FAILED,
                            "interrupted; the same command goes on where it stopped");
    }
    if (status == DRAY_ETIMEOUT) {
        return dri_cli_fail(release->cli, DRI_EXIT_TIMEOUT,
                            "no acknowledgement; it may still be stored: run the same command "
                            "again");
    }
    return dri_cli_fail(release->cli, (int)dri_exit_for_open(status), "%s",
                        fault[0] != '\0' ? fault : dray_status_text(status));
}

/* One record to the part of the log in which the key's other records stand, acknowledged. */
static int store(struct release *release, struct dri_publish *message)
{
    const struct dri_log_place *place = &release->record->place;
    message->token = ++release->token;
    message->topic = release->record->topic;
    message->partition = place->has_partition ? place->partition : PARTITION_NONE;
    message->key = release->record->key;
    release->is_answered = false;
    enum dray_status status =
        dri_bus_publish(release->bus, message, PATIENCE_MS, on_event, release);
    if (status == DRAY_OK) {
        status = dri_bus_run(release->bus, PATIENCE_MS, on_event, is_answered, release);
    }
    if (status != DRAY_OK) {
        return bus_fail(release, status);
    }
    if (release->answer.ack == DRI_ACK_UNKNOWN) {
        return bus_fail(release, DRAY_ETIMEOUT);
    }
    if (release->answer.ack == DRI_ACK_NOT_STORED) {
        return dri_cli_fail(
            release->cli, release->answer.reason == DRAY_EAUTH ? DRI_EXIT_DENIED : DRI_EXIT_FAILED,
            "the broker does not take the record: %s", dray_status_text(release->answer.reason));
    }
    return DRI_EXIT_OK;
}

static void crash_point(const struct release *release, const char *name)
{
    if (release->on_crash_point != NULL) {
        release->on_crash_point(name);
    }
}

/* The headers of a letter as a command of the park log. Owns: returns owned; NULL: no memory. */
static uint8_t *letter_headers(const struct release *release, const struct dri_found *found,
                               size_t *ret_len)
{
    struct dray_slice position = dray_slice_text(found->position);
    const struct dri_park park = {
        .kind = DRI_PARK_COMMAND,
        .source = position,
        .unit = release->record->park.unit,
        .has_order = release->first != UINT64_MAX,
        .order = release->first,
    };
    size_t replay_bytes = dri_letter_replay_headers_max(found->headers, position);
    uint8_t *replay = dri_zalloc(replay_bytes);
    size_t bytes = dri_park_headers_max(&park, dray_slice_of(replay, replay_bytes));
    uint8_t *headers = dri_zalloc(bytes);
    size_t len = 0;
    bool is_whole =
        replay != NULL && headers != NULL &&
        dri_letter_replay_headers(found->headers, found->letter.replays + 1, position, replay,
                                  replay_bytes, &len) == DRAY_OK &&
        dri_park_headers(&park, dray_slice_of(replay, len), headers, bytes, ret_len) == DRAY_OK;
    dri_free(replay);
    if (!is_whole) {
        dri_free(headers);
        return NULL;
    }
    return headers;
}

static int letter_store(struct release *release, const struct dri_found *found)
{
    char dedup_id[DEDUP_ID_BYTES];
    size_t len = 0;
    uint8_t *headers = letter_headers(release, found, &len);
    if (headers == NULL) {
        return dri_cli_fail(release->cli, DRI_EXIT_FAILED, "out of memory");
    }
    snprintf(dedup_id, sizeof(dedup_id), "k:%s", found->position);
    struct dri_publish message = {
        .value = found->value,
        .headers = dray_slice_of(headers, len),
        .dedup_id = dray_slice_text(dedup_id),
    };
    crash_point(release, "release_before_letter");
    int code = store(release, &message);
    dri_free(headers);
    if (code == DRI_EXIT_OK) {
        if (release->first == UINT64_MAX) {
            release->first = release->answer.offset;
            release->first_ns = dri_clock_mono_ns();
        }
        crash_point(release, "release_after_letter");
    }
    return code;
}

static int release_store(struct release *release)
{
    const struct dri_park park = {
        .kind = DRI_PARK_RELEASE,
        .source = release->record->park.source,
        .unit = release->record->park.unit,
    };
    uint8_t headers[TEXT_BYTES];
    size_t len = 0;
    if (dri_park_headers(&park, dray_slice_of(NULL, 0), headers, sizeof(headers), &len) !=
        DRAY_OK) {
        return dri_cli_fail(release->cli, DRI_EXIT_FAILED, "%s: its source is too long",
                            release->record->position);
    }
    struct dri_publish message = {.value = dray_slice_of("", 0),
                                  .headers = dray_slice_of(headers, len)};
    crash_point(release, "release_before_release");
    int code = store(release, &message);
    if (code == DRI_EXIT_OK) {
        crash_point(release, "release_after_release");
    }
    return code;
}

/* ---- letters of a unit ---- */

static const char *refusal(const struct release *release, const struct dri_found *found)
{
    if (found->letter.is_pointer) {
        return "the letter is a pointer: the message did not fit, and its bytes are not in it; "
               "--force releases the others";
    }
    if (found->letter.replays >= REPLAYS_MAX && !release->is_forced) {
        return "replayed ten times already; --force does it once more";
    }
    return NULL;
}

static int letter_show(const struct release *release, const struct dri_found *found)
{
    struct dri_text text;
    dri_text_init(&text);
    if (release->cli->is_json) {
        dri_letter_to_json(found, &text);
        dri_text_addf(&text, "}");
    } else {
        dri_text_addf(&text, "  letter %s ", found->position);
        dri_text_add_json_string(&text, found->letter.command.at == NULL ? dray_slice_text("")
                                                                         : found->letter.command);
        dri_text_addf(&text, " %.*s", (int)found->letter.reason_text.len,
                      (const char *)found->letter.reason_text.at);
    }
    return dri_say_text(release->cli, &text);
}

static int letter_take(struct release *release, const struct dri_found *found, uint64_t *ret_new)
{
    struct dray_slice position = dray_slice_text(found->position);
    if (seen_has(&release->seen, position)) {
        return DRI_EXIT_OK;
    }
    (*ret_new)++;
    const char *why = refusal(release, found);
    if (why != NULL && !(found->letter.is_pointer && release->is_forced)) {
        return dri_cli_fail(release->cli, DRI_EXIT_FAILED, "%s: refused: %s", found->position, why);
    }
    int code = release->is_dry ? letter_show(release, found)
               : why != NULL   ? DRI_EXIT_OK
                               : letter_store(release, found);
    if (code == DRI_EXIT_OK && seen_add(&release->seen, position) != DRAY_OK) {
        code = dri_cli_fail(release->cli, DRI_EXIT_FAILED, "out of memory");
    }
    return code;
}

/* A letter that was stored twice is one command. */
static bool is_first_of_source(struct release *release, const struct dri_found *found,
                               enum dray_status *ret_status)
{
    if (found->letter.source.at == NULL) {
        return true;
    }
    if (seen_has(&release->sources, found->letter.source)) {
        return false;
    }
    *ret_status = seen_add(&release->sources, found->letter.source);
    return true;
}

/* Every letter of the unit that is not in the log yet goes there; how many there were. */
static int letters_walk(struct release *release, uint64_t *ret_new)
{
    struct dri_letter_filter filter = {.unit = release->record->park.unit};
    struct dri_letters *letters = NULL;
    struct dri_found *found = NULL;
    enum dray_status status = DRAY_OK;
    enum dray_status kept = DRAY_OK;
    uint64_t count = 0;
    char text[TEXT_BYTES] = "";
    *ret_new = 0;
    status = dri_letters_open(release->cli, &filter, &letters, text, sizeof(text));
    if (status == DRAY_ENOTFOUND) {
        return DRI_EXIT_OK;
    }
    if (status != DRAY_OK) {
        return dri_cli_fail(release->cli, (int)dri_exit_for_open(status), "%s", text);
    }
    int code = DRI_EXIT_OK;
    seen_fini(&release->sources);
    while (code == DRI_EXIT_OK && kept == DRAY_OK &&
           (status = dri_letters_next(letters, &found)) == DRAY_OK) {
        if (is_first_of_source(release, found, &kept)) {
            count++;
            code = letter_take(release, found, ret_new);
        }
        dri_free(found);
    }
    if (code == DRI_EXIT_OK) {
        code = kept != DRAY_OK ? dri_cli_fail(release->cli, DRI_EXIT_FAILED, "out of memory")
                               : dri_letters_end(release->cli, letters, status);
    }
    dri_letters_close(letters);
    release->letters = count;
    return code;
}

/* The workers that hold the key may make letters of it until they have read the first of ours. */
static int letters_store(struct release *release)
{
    uint64_t found = 0;
    uint64_t begun_ns = 0;
    int code = DRI_EXIT_OK;
    for (;;) {
        begun_ns = dri_clock_mono_ns();
        code = letters_walk(release, &found);
        if (code != DRI_EXIT_OK || release->is_dry || release->first == UINT64_MAX) {
            return code;
        }
        uint64_t settled_ns = release->first_ns + SETTLE_MS * UINT64_C(1000000);
        if (found == 0 && begun_ns >= settled_ns) {
            return code;
        }
        if (begun_ns < settled_ns) {
            enum dray_status status = dri_bus_run(
                release->bus, (settled_ns - begun_ns + 999999) / 1000000, on_event, NULL, release);
            if (status != DRAY_ETIMEOUT) {
                return bus_fail(release, status);
            }
        }
    }
}

/* ---- one key ---- */

static int report(const struct release *release)
{
    const struct dri_parked_record *record = release->record;
    struct dri_text text;
    dri_text_init(&text);
    if (release->cli->is_json) {
        dri_text_addf(&text, "{");
        dri_field_text(&text, release->is_dry ? "would_release" : "released", record->key);
        dri_field_text(&text, "state", dray_slice_text(dri_parked_state(record)));
        dri_field_text(&text, "source", record->park.source);
        dri_field_text(&text, "unit", record->park.unit);
        dri_field_number(&text, "letters", release->letters);
        dri_field_number(&text, "behind", record->behind);
        dri_text_addf(&text, "}");
    } else {
        dri_text_addf(&text, "%s key ", release->is_dry ? "would release" : "released");
        dri_text_add_json_string(&text, record->key);
        dri_text_addf(&text, " (%s at %.*s): %" PRIu64 " dead letters, %" PRIu64 " parked commands",
                      dri_parked_state(record), (int)record->park.source.len,
                      (const char *)record->park.source.at, release->letters, record->behind);
    }
    return dri_say_text(release->cli, &text);
}

static int release_one(struct release *release)
{
    bool is_unit = release->record->park.kind == DRI_PARK_HELD;
    uint64_t late = 0;
    int code = DRI_EXIT_OK;
    if (written_find(release) != DRAY_OK) {
        return dri_cli_fail(release->cli, DRI_EXIT_FAILED, "out of memory");
    }
    if (is_unit) {
        code = letters_store(release);
    }
    if (code == DRI_EXIT_OK && !release->is_dry) {
        code = release_store(release);
    }
    if (code == DRI_EXIT_OK) {
        code = report(release);
    }
    if (code == DRI_EXIT_OK && is_unit && !release->is_dry && release->first != UINT64_MAX) {
        release->is_dry = true; /* looks only, and shows what it finds */
        code = letters_walk(release, &late);
        if (code == DRI_EXIT_OK && late > 0) {
            code = dri_cli_fail(release->cli, DRI_EXIT_FAILED,
                                "%" PRIu64 " commands of the key became dead letters while it was "
                                "released, and still are; what came after them may have run",
                                late);
        }
    }
    return code;
}

static bool is_meant(const struct dri_cli *cli, const struct dri_parked_record *record)
{
    const char *key = dri_cli_value(cli, "key");
    if (!record->is_stopper) {
        return false;
    }
    if (key != NULL) {
        return dray_slice_equal_text(record->key, key);
    }
    const char *name = cli->arguments[0];
    return dray_slice_equal_text(record->park.unit, name) ||
           dray_slice_equal_text(record->park.source, name) ||
           strcmp(record->position, name) == 0 ||
           (record->id[0] != '\0' && strcmp(record->id, name) == 0);
}

static int release_each(const struct dri_cli *cli, const struct dri_parked_list *list,
                        struct dri_bus *bus)
{
    int code = DRI_EXIT_OK;
    size_t count = 0;
    for (size_t i = 0; i < list->count && code == DRI_EXIT_OK; i++) {
        if (!is_meant(cli, list->at[i])) {
            continue;
        }
        struct release release = {
            .cli = cli,
            .list = list,
            .record = list->at[i],
            .bus = bus,
            .on_crash_point = dri_crash_point_hook(),
            .is_dry = dri_cli_has(cli, "dry-run"),
            .is_forced = dri_cli_has(cli, "force"),
        };
        count++;
        code = release_one(&release);
        seen_fini(&release.seen);
        seen_fini(&release.sources);
    }
    if (code == DRI_EXIT_OK && count == 0) {
        code = dri_cli_fail(cli, DRI_EXIT_NO_MATCH,
                            "no such key in %s is stopped or held; dray dlq parked lists them",
                            cli->settings.topics.park);
    }
    return code;
}

static int release_check(const struct dri_cli *cli)
{
    size_t names = cli->arguments_count + (dri_cli_value(cli, "key") != NULL ? 1 : 0);
    return names == 1 ? DRI_EXIT_OK
                      : dri_cli_usage(cli, "which key? --key KEY, or the unit, source or position "
                                           "that dlq parked shows");
}

static int release_run(struct dri_cli *cli)
{
    struct dri_parked_list list;
    struct dri_bus *bus = NULL;
    char text[TEXT_BYTES] = "";
    dri_cli_catch_signals();
    int code = dri_parked_list_read(cli, &list);
    if (code == DRI_EXIT_OK && !dri_cli_has(cli, "dry-run")) {
        const struct dri_bus_config config = {.sources = NULL};
        enum dray_status status = dri_bus_open(cli, &config, &bus, text, sizeof(text));
        if (status != DRAY_OK) {
            code = dri_cli_fail(cli, (int)dri_exit_for_open(status), "%s", text);
        }
    }
    if (code == DRI_EXIT_OK) {
        code = release_each(cli, &list, bus);
    }
    dri_bus_close(bus);
    dri_parked_list_fini(&list);
    return code;
}

static const struct dri_cli_option options[] = {
    {.name = "key", .argument = "KEY", .help = "The key, as dlq parked shows it."},
    {.name = "dry-run", .help = "Only list what would be let go."},
    {.name = "force",
     .help = "Also what was replayed ten times; leave out letters whose bytes are lost."},
    {.name = NULL},
};

static const struct dri_cli_example examples[] = {
    {"What would run", "dray dlq release -c worker.yaml --key customer-17 --dry-run"},
    {"Let a key go", "dray dlq release -c worker.yaml --key customer-17"},
    {"By the unit that dlq ls shows", "dray dlq release -c worker.yaml commands/3/1234"},
    {NULL, NULL},
};

const struct dri_cli_command dri_dlq_release_command = {
    .name = "dlq release",
    .summary = "let a key go that is stopped or held",
    .usage = "--key KEY | UNIT|SOURCE|POSITION|ID [--dry-run] [--force]",
    .about =
        "Lets a key go on that stands still since a command of it failed for good. A stopped key "
        "(exhausted: stop_key) begins with that command, its attempts counted anew, and goes on "
        "with what waits behind it. Of a held key (exhausted: park_sequence) the dead letters of "
        "its unit run, in their order, before anything that comes later; they stay in the "
        "dead-letter topic, and count one replay.\n\nWhat a command needs to succeed is best "
        "mended "
        "first: one that fails again for good stops its key again.\n\nInterrupted or killed, the "
        "same command goes on where it stopped, and nothing runs twice for that. Exit code 0: let "
        "go. 1: a letter was refused (--force), or commands of the key became dead letters "
        "meanwhile. 3: no such key stands still. 75: no acknowledgement; run the same command "
        "again.",
    .options = options,
    .examples = examples,
    .needs_settings = true,
    .is_listing = true,
    .check = release_check,
    .run = release_run,
};

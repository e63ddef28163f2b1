/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_CLI_LETTERS_H
#define DRI_CLI_LETTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/slice.h>
#include <dray/status.h>

#include "bus.h"
#include "cli.h"
#include "log_walk.h"
#include "where.h"
#include "wire/json.h"
#include "wire/letter.h"

/* letters.h - the dead letters of a topic, one by one, from its begin to what was its end.
 *
 * Letters that arrive meanwhile are not read: a replay must not meet what itself has caused.
 * Threads: one.
 */

/** One dead letter and where it stands. Slices borrow from the record itself. */
struct dri_found {
    struct dri_found *next;            /* inside of letters.c */
    char position[DRI_POSITION_BYTES]; /* "topic/partition/offset" or "stream/sequence" */
    bool has_partition;                /* Kafka */
    int32_t partition;                 /* 0 without */
    uint64_t offset;                   /* or sequence */
    struct dray_slice topic, key, value, headers;
    struct dri_letter letter;
};

/** Which letters are meant: --where and its shortcuts. */
struct dri_letter_filter {
    struct dri_where *where; /* owned; NULL: all */
    const char *place;       /* a position or an id, of show; NULL: none */
    const char *command, *reason, *key;
    struct dray_slice unit;      /* letters of this one; absent: all */
    uint64_t since_ms, until_ms; /* of last_failed_at; 0: no bound */
};

/** From the options --where --command --reason --key --since --until. Returns an exit code;
 * anything but 0 was said. Owns: fini in every case. */
int dri_letter_filter_init(struct dri_letter_filter *filter, const struct dri_cli *cli);
void dri_letter_filter_fini(struct dri_letter_filter *filter);
bool dri_letter_filter_matches(const struct dri_letter_filter *filter,
                               const struct dri_found *found);

struct dri_letters;

/** The dead letters of the configured topic. filter is borrowed for life; it may be NULL.
 *  Errors: as dri_bus_open. */
DRAY_MUST_CHECK enum dray_status dri_letters_open(const struct dri_cli *cli,
                                                  const struct dri_letter_filter *filter,
                                                  struct dri_letters **ret_letters, char *ret_text,
                                                  size_t text_bytes);
/** The next letter that matches. Owns: *ret_found returned owned (dri_free).
 *  Errors: ENOTFOUND at the end; as dri_bus_run. */
DRAY_MUST_CHECK enum dray_status dri_letters_next(struct dri_letters *letters,
                                                  struct dri_found **ret_found);
/** Messages without a dray-dlq-reason: somebody else's. */
uint64_t dri_letters_foreign(const struct dri_letters *letters);
/** NULL is a no-op. */
void dri_letters_close(struct dri_letters *letters);

/** Open as above and say what is wrong. Returns an exit code. */
int dri_letters_begin(const struct dri_cli *cli, const struct dri_letter_filter *filter,
                      struct dri_letters **ret_letters);
/** The exit code for the status that ended the walk (ENOTFOUND: 0); says what is wrong. */
int dri_letters_end(const struct dri_cli *cli, const struct dri_letters *letters,
                    enum dray_status status);

/** One letter as the fields of `dlq ls --json`, without the closing brace. */
void dri_letter_to_json(const struct dri_found *found, struct dri_text *text);

/** The options that say which letters are meant, for the tables of commands. */
#define DRI_LETTER_FILTER_OPTIONS                                                                  \
    {.name = "where",                                                                              \
     .argument = "EXPR",                                                                           \
     .help = "Which letters: `reason = timeout and attempts > 1`, `message ~ \"not found\"`, "     \
             "`last_failed_at > -2h`. Fields are those of ls --json; = != < <= > >= ~ !~, and, "   \
             "or, not, parentheses."},                                                             \
        {.name = "command", .argument = "NAME", .help = "Only letters of this command."},          \
        {.name = "reason", .argument = "KIND", .help = "Only with this reason, as timeout."},      \
        {.name = "key", .argument = "KEY", .help = "Only with this message key."},                 \
        {.name = "since",                                                                          \
         .argument = "TIME",                                                                       \
         .help = "Only what failed last at this time or later: RFC 3339, a day, or -2h."},         \
    {                                                                                              \
        .name = "until", .argument = "TIME", .help = "Only what failed last before this time."     \
    }

#endif

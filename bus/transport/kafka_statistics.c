/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* kafka_statistics.c - the few numbers that we want of librdkafka's statistics.
 *
 * They come as JSON of some kilobytes every few seconds, and nowhere else does the library say up
 * to where transactions are finished (the last stable offset) or when a broker was last heard. One
 * pass, no tree, no allocation, no recursion: the keys that lead to a number are kept by depth, and
 * what is deeper than we look is skipped. What is missing stays -1; text that is no JSON ends the
 * pass (K14).
 */

#include <stdlib.h>
#include <string.h>

#include "kafka_private.h"

#define DEPTH_MAX 16u

struct pass {
    const char *at, *end;
    struct dray_slice keys[DEPTH_MAX + 1]; /* by depth, from 1 */
    size_t depth;
    struct dri_kafka_sight *sight;
    struct dri_kafka_seen_partition partition; /* the one that is being read */
};

static bool is_key(const struct pass *pass, size_t depth, const char *name)
{
    const struct dray_slice *key = &pass->keys[depth];
    return key->len == strlen(name) && memcmp(key->at, name, key->len) == 0;
}

static bool is_in_partition(const struct pass *pass)
{
    return pass->depth == 5 && is_key(pass, 1, "topics") && is_key(pass, 3, "partitions");
}

/* at stands on the quote. False: it does not end. */
static bool take_text(struct pass *pass)
{
    const char *begin = ++pass->at;
    while (pass->at < pass->end && *pass->at != '"') {
        pass->at += *pass->at == '\\' ? 2 : 1;
    }
    if (pass->at >= pass->end) {
        return false;
    }
    struct dray_slice text = dray_slice_of(begin, (size_t)(pass->at - begin));
    pass->at++;
    const char *next = pass->at;
    while (next < pass->end && *next == ' ') {
        next++;
    }
    if (next < pass->end && *next == ':') {
        pass->keys[pass->depth] = text;
    }
    return true;
}

static void on_number(struct pass *pass, int64_t value)
{
    if (pass->depth == 3 && is_key(pass, 1, "brokers") && is_key(pass, 3, "rxidle")) {
        int64_t *idle = &pass->sight->heard_us;
        *idle = value >= 0 && (*idle < 0 || value < *idle) ? value : *idle;
    } else if (is_in_partition(pass)) {
        if (is_key(pass, 5, "partition")) {
            pass->partition.partition = (int32_t)value;
        } else if (is_key(pass, 5, "fetchq_cnt")) {
            pass->partition.queued = value;
        } else if (is_key(pass, 5, "next_offset")) {
            pass->partition.fetched = value;
        } else if (is_key(pass, 5, "ls_offset")) {
            pass->partition.end = value;
        }
    }
}

static void take_number(struct pass *pass)
{
    char digits[24];
    size_t len = 0;
    while (pass->at < pass->end && strchr("-0123456789", *pass->at) != NULL && *pass->at != '\0') {
        if (len < sizeof(digits) - 1) {
            digits[len++] = *pass->at;
        }
        pass->at++;
    }
    digits[len] = '\0';
    on_number(pass, strtoll(digits, NULL, 10));
}

static const struct dri_kafka_seen_partition nothing_seen = {
    .partition = -1, .queued = -1, .fetched = -1, .end = -1};

static bool take_structure(struct pass *pass)
{
    char sign = *pass->at++;
    if (sign == '{' || sign == '[') {
        if (pass->depth == DEPTH_MAX) {
            return false;
        }
        pass->keys[++pass->depth] = (struct dray_slice){0};
        pass->partition = nothing_seen;
        return true;
    }
    if (pass->depth == 0) {
        return false;
    }
    if (is_in_partition(pass) && pass->partition.partition >= 0) {
        pass->partition.topic = pass->keys[2];
        pass->sight->on_partition(pass->sight->arg, &pass->partition);
    }
    pass->depth--;
    return true;
}

void dri_kafka_statistics_read(const char *json, size_t len, struct dri_kafka_sight *sight)
{
    struct pass pass = {.at = json, .end = json + len, .sight = sight, .partition = nothing_seen};
    sight->heard_us = -1;
    bool is_sound = true;
    while (is_sound && pass.at < pass.end) {
        switch (*pass.at) {
        case '"':
            is_sound = take_text(&pass);
            break;
        case '{':
        case '[':
        case '}':
        case ']':
            is_sound = take_structure(&pass);
            break;
        case '-':
        case '0':
        case '1':
        case '2':
        case '3':
        case '4':
        case '5':
        case '6':
        case '7':
        case '8':
        case '9':
            take_number(&pass);
            break;
        default:
            pass.at++;
        }
    }
}

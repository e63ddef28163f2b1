/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* log.c - one failure, one line.
 *
 * A line is built on the stack and handed to the sink in one call. What stands in it may come from
 * a stranger (names, messages of handlers), and somebody will read it on a terminal: control bytes,
 * also the C1 ones that hide in UTF-8, and bytes that are no UTF-8 never get through as they are.
 *
 * The limiter counts by id in a small table under a lock. What it dropped is said by the next line
 * of that id (field `dropped`), or, should none come, by a line of its own that any later line
 * brings along.
 */
#include "log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "hash.h"
#include "lock.h"

#define LINE_BYTES   4096u
#define TAIL_BYTES   32u /* kept free for the end of the value, "cut" and the newline */
#define RATE_MAX     20u
#define WINDOW_NS    1000000000u
#define LIMITER_IDS  256u
#define LIMITER_LOOK 8u

static const char *const level_names[] = {"debug", "info", "warn", "error"};

static void write_stderr(void *arg, const char *line, size_t len)
{
    (void)arg;
    size_t done = 0;
    while (done < len) {
        ssize_t n = write(STDERR_FILENO, line + done, len - done);
        if (n < 0 && errno != EINTR) {
            return; /* nobody is left to be told */
        }
        done += n < 0 ? 0 : (size_t)n;
    }
}

/* Set before there are threads; format and level may change later. */
static struct {
    _Atomic(int) format;
    _Atomic(int) level;
    dri_log_sink_fn *sink;
    void *arg;
} setup = {DRI_LOG_LOGFMT, DRI_LOG_INFO, write_stderr, NULL};

void dri_log_setup(enum dri_log_format format, enum dri_log_level level, dri_log_sink_fn *sink,
                   void *arg)
{
    dri_log_set_format(format);
    setup.sink = sink == NULL ? write_stderr : sink;
    setup.arg = arg;
    dri_log_set_level(level);
}

void dri_log_set_format(enum dri_log_format format)
{
    atomic_store_explicit(&setup.format, (int)format, memory_order_relaxed);
}

void dri_log_set_level(enum dri_log_level level)
{
    atomic_store_explicit(&setup.level, (int)level, memory_order_relaxed);
}

bool dri_log_is_on(enum dri_log_level level)
{
    return (int)level >= atomic_load_explicit(&setup.level, memory_order_relaxed);
}

/* ---- the limiter ---- */

struct limit {
    char id[32];
    uint64_t window_begin_ns;
    uint32_t lines;
    uint32_t dropped;
};

static struct {
    struct dri_lock lock;
    struct limit limits[LIMITER_IDS];
    uint32_t dropped_ids; /* limits with dropped > 0 */
} limiter = {.lock = {PTHREAD_MUTEX_INITIALIZER, DRI_LOCK_LOG}};

/** The entry of an id, or the one nearby that was quiet the longest made its own. NULL: all of
 * these have drops to tell; the line passes. */
static struct limit *limit_find(const char *id, uint64_t now_ns)
{
    char name[sizeof(limiter.limits[0].id)] = {0};
    size_t len = strlen(id);
    memcpy(name, id, len < sizeof(name) - 1 ? len : sizeof(name) - 1);
    uint64_t hash = dri_hash64(dray_slice_of(id, len));
    struct limit *oldest = NULL;
    for (uint32_t i = 0; i < LIMITER_LOOK; i++) {
        struct limit *limit = &limiter.limits[(hash + i) % LIMITER_IDS];
        if (memcmp(limit->id, name, sizeof(name)) == 0) {
            return limit;
        }
        if (limit->dropped == 0 &&
            (oldest == NULL || limit->window_begin_ns < oldest->window_begin_ns)) {
            oldest = limit;
        }
    }
    if (oldest != NULL) {
        *oldest = (struct limit){.window_begin_ns = now_ns};
        memcpy(oldest->id, name, sizeof(name));
    }
    return oldest;
}

/** Whether a line of this id may go out now, and how many did not since its last one. */
static bool limit_pass(const char *id, uint64_t now_ns, uint32_t *ret_dropped)
{
    bool may_pass = true;
    uint32_t dropped = 0;
    dri_lock_take(&limiter.lock);
    struct limit *limit = limit_find(id, now_ns);
    if (limit != NULL && now_ns - limit->window_begin_ns >= WINDOW_NS) {
        dropped = limit->dropped;
        limiter.dropped_ids -= dropped != 0;
        limit->window_begin_ns = now_ns;
        limit->lines = 0;
        limit->dropped = 0;
    }
    if (limit != NULL && limit->lines >= RATE_MAX) {
        limiter.dropped_ids += limit->dropped == 0;
        limit->dropped++;
        may_pass = false;
    } else if (limit != NULL) {
        limit->lines++;
    }
    dri_lock_drop(&limiter.lock);
    *ret_dropped = dropped;
    return may_pass;
}

/** Takes out one id whose drops nobody has told in its window. */
static bool limit_take_dropped(uint64_t now_ns, uint64_t min_age_ns, struct limit *ret_limit)
{
    bool has_one = false;
    dri_lock_take(&limiter.lock);
    for (uint32_t i = 0; i < LIMITER_IDS && limiter.dropped_ids != 0 && !has_one; i++) {
        struct limit *limit = &limiter.limits[i];
        if (limit->dropped != 0 && now_ns - limit->window_begin_ns >= min_age_ns) {
            *ret_limit = *limit;
            limit->dropped = 0;
            limiter.dropped_ids--;
            has_one = true;
        }
    }
    dri_lock_drop(&limiter.lock);
    return has_one;
}

/* ---- the line ---- */

struct line {
    char bytes[LINE_BYTES];
    size_t len;
    bool is_cut;
    bool is_json;
};

/** Appends all of it or, when there is no room, nothing more at all. */
static bool line_add(struct line *line, const char *at, size_t len)
{
    if (line->is_cut || len > LINE_BYTES - TAIL_BYTES - line->len) {
        line->is_cut = true;
        return false;
    }
    memcpy(line->bytes + line->len, at, len);
    line->len += len;
    return true;
}

static bool line_add_text(struct line *line, const char *text)
{
    return line_add(line, text, strlen(text));
}

/** Beyond the room: for the tail, which always has its place. */
static void line_end_with(struct line *line, const char *text)
{
    size_t len = strlen(text);
    memcpy(line->bytes + line->len, text, len);
    line->len += len;
}

/** Length of the well-formed UTF-8 sequence at at, 0 when it is none. */
static size_t utf8_len(const uint8_t *at, size_t left)
{
    uint8_t first = at[0];
    size_t len = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (len == 0 || first > 0xf4 || len > left) {
        return 0;
    }
    for (size_t i = 1; i < len; i++) {
        if ((at[i] & 0xc0u) != 0x80u) {
            return 0;
        }
    }
    if ((first == 0xe0 && at[1] < 0xa0) || (first == 0xed && at[1] > 0x9f) ||
        (first == 0xf0 && at[1] < 0x90) || (first == 0xf4 && at[1] > 0x8f)) {
        return 0;
    }
    return len;
}

static bool is_utf8(struct dray_slice bytes)
{
    size_t len = 0;
    for (size_t i = 0; i < bytes.len; i += len) {
        len = utf8_len(bytes.at + i, bytes.len - i);
        if (len == 0) {
            return false;
        }
    }
    return true;
}

static bool is_control(const uint8_t *at, size_t len)
{
    return (len == 1 && (at[0] < 0x20 || at[0] == 0x7f)) ||
           (len == 2 && at[0] == 0xc2 && at[1] < 0xa0);
}

/** One character, escaped when it has to be. */
static bool line_add_char(struct line *line, const uint8_t *at, size_t len)
{
    char escape[16];
    if (len == 1 && (at[0] == '"' || at[0] == '\\')) {
        (void)snprintf(escape, sizeof(escape), "\\%c", at[0]);
    } else if (len == 1 && at[0] == '\n') {
        (void)snprintf(escape, sizeof(escape), "\\n");
    } else if (len == 1 && at[0] == '\t') {
        (void)snprintf(escape, sizeof(escape), "\\t");
    } else if (is_control(at, len)) {
        (void)snprintf(escape, sizeof(escape), "\\u%04x", at[len - 1]);
    } else {
        return line_add(line, (const char *)at, len);
    }
    return line_add_text(line, escape);
}

static void line_add_quoted(struct line *line, struct dray_slice text)
{
    if (!line_add(line, "\"", 1)) {
        return;
    }
    for (size_t i = 0; i < text.len && !line->is_cut;) {
        size_t len = utf8_len(text.at + i, text.len - i);
        if (len == 0) {
            (void)line_add_text(line, "\xef\xbf\xbd"); /* the replacement character */
            i++;
        } else {
            (void)line_add_char(line, text.at + i, len);
            i += len;
        }
    }
    line_end_with(line, "\"");
}

/** Logfmt leaves quotes out around a plain word. */
static bool is_plain(struct dray_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.at[i];
        if (c <= ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '=') {
            return false;
        }
    }
    return text.len != 0;
}

static void line_add_value(struct line *line, struct dray_slice text)
{
    if (line->is_json || !is_plain(text)) {
        line_add_quoted(line, text);
    } else if (!line_add(line, (const char *)text.at, text.len)) {
        line->is_cut = false;
        (void)line_add(line, (const char *)text.at, LINE_BYTES - TAIL_BYTES - line->len);
        line->is_cut = true;
    }
}

static void line_add_hex(struct line *line, struct dray_slice bytes)
{
    static const char digits[] = "0123456789abcdef";
    if (line->is_json && !line_add(line, "\"", 1)) {
        return;
    }
    for (size_t i = 0; i < bytes.len && !line->is_cut; i++) {
        char pair[2] = {digits[bytes.at[i] >> 4], digits[bytes.at[i] & 15]};
        (void)line_add(line, pair, 2);
    }
    if (line->is_json) {
        line_end_with(line, "\"");
    }
}

/** Separator, key and what stands between key and value; all of it or nothing. */
static bool line_add_key(struct line *line, const char *key)
{
    char text[96];
    const char *separator = line->len == 0 ? (line->is_json ? "{" : "") : line->is_json ? "," : " ";
    int len = line->is_json ? snprintf(text, sizeof(text), "%s\"%s\":", separator, key)
                            : snprintf(text, sizeof(text), "%s%s=", separator, key);
    if (len < 0 || (size_t)len >= sizeof(text)) {
        return false;
    }
    /* 24 more: a number, or quotes around something. */
    if ((size_t)len + 24 > LINE_BYTES - TAIL_BYTES - line->len) {
        line->is_cut = true;
        return false;
    }
    return line_add(line, text, (size_t)len);
}

static void line_add_number(struct line *line, const struct dri_field *field)
{
    char number[24];
    if (field->type == DRI_FIELD_UINT) {
        (void)snprintf(number, sizeof(number), "%" PRIu64, field->value.u);
    } else {
        (void)snprintf(number, sizeof(number), "%" PRId64, field->value.i);
    }
    (void)line_add_text(line, number);
}

static void line_add_field(struct line *line, const struct dri_field *field)
{
    bool is_number = field->type == DRI_FIELD_UINT || field->type == DRI_FIELD_INT;
    struct dray_slice text = dray_slice_of(NULL, 0);
    if (field->type == DRI_FIELD_TEXT) {
        text = dray_slice_text(field->value.text);
    } else if (field->type == DRI_FIELD_SLICE) {
        text = field->value.slice;
    }
    if (line->is_cut || (!is_number && text.at == NULL) || !line_add_key(line, field->key)) {
        return;
    }
    if (is_number) {
        line_add_number(line, field);
    } else if (field->type == DRI_FIELD_TEXT || is_utf8(text)) {
        line_add_value(line, text);
    } else {
        line_add_hex(line, text);
    }
}

static void write_line(enum dri_log_level level, const char *id, const char *text,
                       const struct dri_field *fields, size_t fields_count, uint32_t dropped)
{
    struct line line;
    char time_text[DRI_CLOCK_TEXT_BYTES];
    dri_clock_format(dri_clock_wall_ms(), time_text);
    line.len = 0;
    line.is_cut = false;
    line.is_json = atomic_load_explicit(&setup.format, memory_order_relaxed) == (int)DRI_LOG_JSON;
    const struct dri_field head[] = {
        DRI_TEXT("ts", time_text),
        DRI_TEXT("level", level_names[level]),
        DRI_TEXT("id", id),
        DRI_TEXT("msg", text),
    };
    for (size_t i = 0; i < sizeof(head) / sizeof(head[0]); i++) {
        line_add_field(&line, &head[i]);
    }
    if (dropped != 0) {
        const struct dri_field field = DRI_UINT("dropped", dropped);
        line_add_field(&line, &field);
    }
    for (size_t i = 0; i < fields_count; i++) {
        line_add_field(&line, &fields[i]);
    }
    if (line.is_cut) {
        line_end_with(&line, line.is_json ? ",\"cut\":true" : " cut=true");
    }
    line_end_with(&line, line.is_json ? "}\n" : "\n");
    setup.sink(setup.arg, line.bytes, line.len);
}

static void tell_dropped(uint64_t min_age_ns)
{
    struct limit limit;
    uint64_t now_ns = dri_clock_mono_ns();
    while (limit_take_dropped(now_ns, min_age_ns, &limit)) {
        write_line(DRI_LOG_WARN, limit.id, "lines of this id were dropped: too many in one second",
                   NULL, 0, limit.dropped);
    }
}

void dri_log_last_word(enum dri_log_level level, const char *id, const char *text)
{
    if (dri_log_is_on(level)) {
        write_line(level, id, text, NULL, 0, 0);
    }
}

void dri_log_write(enum dri_log_level level, const char *id, const char *text,
                   const struct dri_field *fields, size_t fields_count)
{
    uint32_t dropped = 0;
    if (!dri_log_is_on(level)) {
        return;
    }
    if (!limit_pass(id, dri_clock_mono_ns(), &dropped)) {
        return;
    }
    tell_dropped(2 * (uint64_t)WINDOW_NS);
    write_line(level, id, text, fields, fields_count, dropped);
}

void dri_log_flush(void)
{
    tell_dropped(0);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_LOG_H
#define DRI_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/api.h>
#include <dray/slice.h>
#include <dray/status.h>

/* log.h - one failure, one line: level, a stable id to grep for, then key=value fields.
 *
 * Threads: all calls from any thread, except init. Lines are whole writes to the sink; control
 * bytes are escaped; a line is cut at 4 KiB. At most 20 lines a second of one id; what was dropped
 * is said.
 */

enum dri_log_level {
    DRI_LOG_DEBUG,
    DRI_LOG_INFO,
    DRI_LOG_WARN,
    DRI_LOG_ERROR
};
enum dri_log_format {
    DRI_LOG_LOGFMT,
    DRI_LOG_JSON
};

/** Where lines go. Threads: any. Must not log. */
typedef void dri_log_sink_fn(void *arg, const char *line, size_t len);

/** Default before any call: logfmt, info, standard error. sink NULL: standard error. */
void dri_log_setup(enum dri_log_format format, enum dri_log_level level, dri_log_sink_fn *sink,
                   void *arg);
/** Threads: any. */
void dri_log_set_level(enum dri_log_level level);
void dri_log_set_format(enum dri_log_format format);
bool dri_log_is_on(enum dri_log_level level);

enum dri_field_type {
    DRI_FIELD_TEXT,
    DRI_FIELD_UINT,
    DRI_FIELD_INT,
    DRI_FIELD_SLICE
};

struct dri_field {
    const char *key;
    enum dri_field_type type;
    union {
        const char *text; /* NULL: the field is left out */
        uint64_t u;
        int64_t i;
        struct dray_slice slice; /* printed as text if UTF-8, else hex; absent: left out */
    } value;
};

#define DRI_TEXT(key_, text_) ((struct dri_field){(key_), DRI_FIELD_TEXT, {.text = (text_)}})
#define DRI_UINT(key_, u_)    ((struct dri_field){(key_), DRI_FIELD_UINT, {.u = (u_)}})
#define DRI_INT(key_, i_)     ((struct dri_field){(key_), DRI_FIELD_INT, {.i = (i_)}})
#define DRI_SLICE(key_, s_)   ((struct dri_field){(key_), DRI_FIELD_SLICE, {.slice = (s_)}})

/** id: "SUBJECT-WORD", as CTL-CONFLICT; text: one sentence for a person. */
void dri_log_write(enum dri_log_level level, const char *id, const char *text,
                   const struct dri_field *fields, size_t fields_count);

/** The same past the rate limit and without any lock: for a thread that is about to end the process
 * while others may hang in a call. */
void dri_log_last_word(enum dri_log_level level, const char *id, const char *text);

/** Say now what was dropped and not yet said: at the end of the process. */
void dri_log_flush(void);

#define DRI_LOG_FIELDS_(...) ((const struct dri_field[]){__VA_ARGS__})
#define DRI_LOG(level, id, text, ...)                                                              \
    dri_log_write((level), (id), (text), DRI_LOG_FIELDS_(__VA_ARGS__),                             \
                  sizeof(DRI_LOG_FIELDS_(__VA_ARGS__)) / sizeof(struct dri_field))

#endif

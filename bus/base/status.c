/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* status.c - texts of both enums of the public headers, from their tables. */
#include <string.h>

#include <dray/kind.h>
#include <dray/status.h>

struct status_row {
    const char *name;
    const char *text;
    enum dray_status_class class_;
};

#define STATUS_ROW(name_, class_name, text_) {#name_, text_, DRAY_CLASS_##class_name},
static const struct status_row status_rows[DRAY_STATUS_COUNT] = {DRAY_STATUS_TABLE(STATUS_ROW)};
#undef STATUS_ROW

static const struct status_row unknown_status = {"EUNKNOWN", "unknown status", DRAY_CLASS_FATAL};

static const struct status_row *status_row(enum dray_status status)
{
    return (unsigned)status < DRAY_STATUS_COUNT ? &status_rows[status] : &unknown_status;
}

const char *dray_status_text(enum dray_status status)
{
    return status_row(status)->text;
}

const char *dray_status_name(enum dray_status status)
{
    return status_row(status)->name;
}

enum dray_status_class dray_status_class(enum dray_status status)
{
    return status_row(status)->class_;
}

struct kind_row {
    const char *text;
    bool is_retried;
};

#define KIND_ROW(name, text_, retried) {text_, retried},
static const struct kind_row kind_rows[DRAY_KIND_COUNT] = {DRAY_KIND_TABLE(KIND_ROW)};
#undef KIND_ROW

const char *dray_kind_text(enum dray_error_kind kind)
{
    return (unsigned)kind < DRAY_KIND_COUNT ? kind_rows[kind].text : "";
}

enum dray_error_kind dray_kind_parse(const char *text, size_t len)
{
    for (unsigned i = 0; i < DRAY_KIND_COUNT; i++) {
        if (strlen(kind_rows[i].text) == len &&
            (len == 0 || memcmp(kind_rows[i].text, text, len) == 0)) {
            return (enum dray_error_kind)i;
        }
    }
    return DRAY_KIND_COUNT;
}

bool dray_kind_is_retried(enum dray_error_kind kind)
{
    return (unsigned)kind < DRAY_KIND_COUNT && kind_rows[kind].is_retried;
}

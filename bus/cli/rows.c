/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "rows.h"

#include <inttypes.h>
#include <stdio.h>

#include "clock.h"

void dri_cell_text(struct dray_slice text, char ret_cell[DRI_CELL_BYTES])
{
    int len = (int)(text.len < DRI_CELL_BYTES - 1 ? text.len : DRI_CELL_BYTES - 1);
    snprintf(ret_cell, DRI_CELL_BYTES, "%.*s", text.at == NULL ? 0 : len,
             text.at == NULL ? "" : (const char *)text.at);
}

void dri_cell_time(uint64_t wall_ms, char ret_cell[DRI_CELL_BYTES])
{
    char text[DRI_CLOCK_TEXT_BYTES] = "";
    if (wall_ms != 0) {
        dri_clock_format(wall_ms, text);
    }
    snprintf(ret_cell, DRI_CELL_BYTES, "%s", text);
}

void dri_field_text(struct dri_text *text, const char *name, struct dray_slice value)
{
    dri_text_addf(text, "%s\"%s\":", text->len > 1 ? "," : "", name);
    if (value.at == NULL) {
        dri_text_addf(text, "null");
    } else {
        dri_text_add_json_string(text, value);
    }
}

void dri_field_number(struct dri_text *text, const char *name, uint64_t number)
{
    dri_text_addf(text, "%s\"%s\":%" PRIu64, text->len > 1 ? "," : "", name, number);
}

void dri_field_time(struct dri_text *text, const char *name, uint64_t wall_ms)
{
    char time[DRI_CLOCK_TEXT_BYTES];
    dri_clock_format(wall_ms, time);
    dri_field_text(text, name, wall_ms == 0 ? dray_slice_of(NULL, 0) : dray_slice_text(time));
}

int dri_say_text(const struct dri_cli *cli, struct dri_text *text)
{
    int code = DRI_EXIT_OK;
    if (text->status != DRAY_OK) {
        code = dri_cli_fail(cli, DRI_EXIT_FAILED, "%s", dray_status_text(text->status));
    } else if (printf("%s\n", text->at) < 0) {
        code = DRI_EXIT_FAILED; /* the reader went away */
    }
    dri_text_fini(text);
    return code;
}

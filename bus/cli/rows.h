/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_CLI_ROWS_H
#define DRI_CLI_ROWS_H

#include <stdint.h>

#include <dray/slice.h>

#include "cli.h"
#include "wire/json.h"

/* rows.h - one row of a listing: cells of a table, or fields of a JSON object.
 *
 * Threads: one.
 */

#define DRI_CELL_BYTES 256u

/** What does not fit is cut; absent: empty. */
void dri_cell_text(struct dray_slice text, char ret_cell[DRI_CELL_BYTES]);
/** 0: empty. */
void dri_cell_time(uint64_t wall_ms, char ret_cell[DRI_CELL_BYTES]);

/** ,"name":value with the comma when the text is longer than its opening brace. Absent, or 0 for a
 * time: null. */
void dri_field_text(struct dri_text *text, const char *name, struct dray_slice value);
void dri_field_number(struct dri_text *text, const char *name, uint64_t number);
void dri_field_time(struct dri_text *text, const char *name, uint64_t wall_ms);

/** Print the line and end the text. Returns an exit code. */
int dri_say_text(const struct dri_cli *cli, struct dri_text *text);

#endif

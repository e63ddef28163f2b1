/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_CLI_REPLAY_H
#define DRI_CLI_REPLAY_H

#include <stdint.h>

#include "cli.h"

/* replay.h - dray dlq replay as a part of another command. */

/** Replay the letters that an expression names, with a cursor of its own, and say only what goes
 *  wrong. No letter is no fault. Returns an exit code; *ret_count copies were stored. */
int dri_dlq_replay_where(const struct dri_cli *cli, const char *where, uint64_t *ret_count);

#endif

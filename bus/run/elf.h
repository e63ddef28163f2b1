/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_ELF_H
#define DRI_ELF_H

#include <stddef.h>

#include <dray/api.h>
#include <dray/slice.h>
#include <dray/status.h>

/* elf.h - what a shared object's bytes say before the loader sees them.
 *
 * The loader maps what the headers announce and does not ask whether the file is that long: a
 * module that was cut off while it was copied would end the process with SIGBUS, at the first touch
 * of a page that is not there. So the bounds are checked here. Pure; any thread.
 */

/** Of a build id in hex, with its NUL: 32 bytes at most. */
#define DRI_BUILD_ID_BYTES 65u

/** Whether the bytes are a whole shared object for this machine, and its build id ("" without one).
 *  Errors: EINVALID; *ret_text is a static sentence about the file. */
DRAY_MUST_CHECK enum dray_status
dri_elf_check(struct dray_slice file, char ret_build_id[DRI_BUILD_ID_BYTES], const char **ret_text);

#endif

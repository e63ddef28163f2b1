/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_MODULE_H
#define DRI_MODULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/handler.h>
#include <dray/slice.h>
#include <dray/status.h>

/* module.h - handler modules from the one folder they may come from.
 *
 * A module is named by its file name only ([a-z0-9][a-z0-9._-]{0,63}), opened without following
 * links out of the folder, hashed, copied into a sealed memfd and loaded from that copy: what runs
 * is what was hashed. The descriptor's ABI version, the handlers' names and signatures are checked
 * before any call. The same bytes are loaded once and shared by count.
 *
 * Threads: any; calls of one set are serialised inside (it may block on the disk and the loader).
 */

struct dri_modules; /* the folder and what was loaded from it */
struct dri_module;  /* one loaded image, counted */

/** folder and worker are copied. Errors: ENOMEM. (A folder that is not there shows at load.) */
DRAY_MUST_CHECK enum dray_status dri_modules_create(const char *folder, const char *worker,
                                                    struct dri_modules **ret_modules);
/** Requires: every module was released. NULL is a no-op. */
void dri_modules_destroy(struct dri_modules *modules);

/** Load (or share) a module. sha256: 64 hex digits that it must have, or absent.
 *  Owns:   *ret_module: one count, give it back with dri_module_release.
 *  Errors: EINVALID (name, not a module, ABI, bad descriptor), ENOTFOUND, EAUTH (hash differs, link
 * out of the folder), EIO, ENOMEM; ret_text says what and what to do. */
DRAY_MUST_CHECK enum dray_status dri_module_load(struct dri_modules *modules,
                                                 struct dray_slice name, struct dray_slice sha256,
                                                 struct dri_module **ret_module, char *ret_text,
                                                 size_t text_bytes);
void dri_module_retain(struct dri_module *module);
/** The last release runs the module's close; the image is retired, not unmapped. NULL is a no-op.
 */
void dri_module_release(struct dri_module *module);

/** The handler with this name, or NULL. Borrows until release. */
const struct dray_handler *dri_module_find(const struct dri_module *module, struct dray_slice name);
const struct dray_module *dri_module_descriptor(const struct dri_module *module);
void *dri_module_user(const struct dri_module *module);
/** 64 hex digits of the file's bytes. */
const char *dri_module_sha256(const struct dri_module *module);
const char *dri_module_name(const struct dri_module *module);
/** Build id of the image in hex, or "". */
const char *dri_module_build_id(const struct dri_module *module);

#endif

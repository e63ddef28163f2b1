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
 * before any call. The same bytes are loaded once and shared by count. Bytes that are new may be
 * tried in a child process first (module_probe.h).
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

/** From now on what was not loaded before is tried in a child first: `program probe-module ...`,
 *  with so much time. program is copied. Requires: before the first load. Errors: ENOMEM. */
DRAY_MUST_CHECK enum dray_status dri_modules_try_first(struct dri_modules *modules,
                                                       const char *program, uint32_t timeout_ms);

struct dri_modules_stats {
    uint32_t in_use;        /* images that somebody holds */
    uint32_t retired;       /* images that nobody holds and that stay in memory */
    uint64_t unloaded;      /* images that were taken out of memory, ever */
    uint64_t trials_failed; /* in a child, ever */
};
/** Threads: any. */
void dri_modules_stats(const struct dri_modules *modules, struct dri_modules_stats *ret_stats);

/** Load (or share) a module. sha256: 64 hex digits that it must have, or absent.
 *  Owns:   *ret_module: one count, give it back with dri_module_release.
 *  Errors: EINVALID (name, not a module, ABI, bad descriptor), ENOTFOUND, EAUTH (hash differs, link
 * out of the folder), EIO, ENOMEM; ret_text says what and what to do. */
DRAY_MUST_CHECK enum dray_status dri_module_load(struct dri_modules *modules,
                                                 struct dray_slice name, struct dray_slice sha256,
                                                 struct dri_module **ret_module, char *ret_text,
                                                 size_t text_bytes);
void dri_module_retain(struct dri_module *module);
/** The last release runs the module's close; then the image is unmapped, or retired if it cannot
 * be. NULL is a no-op. */
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

/* --- a trial ------------------------------------------------------------------------------- */

enum dri_module_step {
    DRI_MODULE_LOADS, /* constructors run */
    DRI_MODULE_OPENS,
    DRI_MODULE_CLOSES,
    DRI_MODULE_UNLOADS, /* destructors run */
};

/** Told before each; false to DRI_MODULE_UNLOADS: it stays. */
typedef bool dri_module_step_fn(void *arg, enum dri_module_step step);

struct dri_module_trial {
    int fd; /* the sealed copy */
    const char *name;
    const char *worker;
    dri_module_step_fn *on_step;
    void *arg;
};

/** Load the copy, open it, close it, and unmap it if it says that it may be: all that a worker does
 *  with a module but the calls. In a process of its own: whatever it does wrong happens here.
 *  Errors: as dri_module_load. *ret_unloadable: it is out of memory again. */
DRAY_MUST_CHECK enum dray_status dri_module_try(const struct dri_module_trial *trial,
                                                char *ret_text, size_t text_bytes,
                                                bool *ret_unloadable);

#endif

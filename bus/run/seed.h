/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_SEED_H
#define DRI_SEED_H

#include <stdint.h>

#include <dray/status.h>

#include "control_log.h"
#include "registry.h"
#include "settings.h"

/* seed.h - the routes of the configuration file as one control change that seeds an empty registry.
 */

/** Encodes a change; head says who makes it, and how it is signed. */
struct dri_seed_maker {
    enum dray_status (*make)(const void *arg, const struct dri_change *head, uint8_t **ret_bytes,
                             size_t *ret_len, char *ret_text, size_t text_bytes);
    const void *arg;
};
/** A record of a change of our own behind the end of the log, signed when settings name a key.
 *  Owns: *ret_bytes returned owned (dri_free). Errors: as dri_seed_record's, and the maker's. */
DRAY_MUST_CHECK enum dray_status dri_seed_own(const struct dri_settings *settings,
                                              const struct dri_control_log *log, const char *author,
                                              const struct dri_seed_maker *maker,
                                              uint8_t **ret_bytes, size_t *ret_len, char *ret_text,
                                              size_t text_bytes);

/** Build the record that puts them behind the end of the log: every route with base 0, signed when
 *  settings name a key. Owns: *ret_bytes returned owned (dri_free).
 *  Errors: ENOTFOUND when the file has no routes; EAUTH: it would have to be signed, and there is
 * no key, or the key's file is not to be used; EINVALID, EIO; ENOMEM, ELIMIT; ret_text. */
DRAY_MUST_CHECK enum dray_status dri_seed_record(const struct dri_settings *settings,
                                                 const struct dri_control_log *log,
                                                 const char *author, uint8_t **ret_bytes,
                                                 size_t *ret_len, char *ret_text,
                                                 size_t text_bytes);

/** Apply them to a registry of our own, as revision 1, where no control topic says otherwise.
 *  Errors: EINVALID with ret_text (a route that is none), ENOMEM. A route that cannot run here is
 * no error: it is logged. */
DRAY_MUST_CHECK enum dray_status dri_seed_apply(const struct dri_settings *settings,
                                                struct dri_registry *registry, char *ret_text,
                                                size_t text_bytes);

/** Log it when routes of the configuration differ from what the registry has. */
void dri_seed_tell_unused(const struct dri_settings *settings, const struct dri_registry *registry);

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_SNAPSHOT_H
#define DRI_SNAPSHOT_H

#include <stddef.h>
#include <stdint.h>

#include <dray/status.h>

#include "registry.h"

/* snapshot.h - the registry as a file of the state folder, for a start without the control topic.
 *
 * A map in the form of a control change (wire/control.h), so that one hardened decoder reads both:
 * `cluster` and `topic` of the log, `issuer`: the fingerprint of the rule by which its routes were
 * trusted (absent: nobody signs), `author`: the bus that it lies on (dri_snapshot_bus), `seq`:
 * the highest revision that was seen, `note`: the digest, `items`: every route with its `key` and,
 * as `base`, the revision that put it. Then the 32 bytes of SHA-256 over the map. The file is
 * hostile when read: whoever can write it can name handlers, but only those of modules in the
 * module folder.
 *
 * Threads: the registry's writer.
 */

#define DRI_SNAPSHOT_FILE "registry.snapshot"

struct dri_snapshot_place {
    const char *folder; /* the state folder */
    const char *bus;    /* URL; a snapshot of another bus, cluster or topic is not ours */
    const char *cluster;
    const char *topic;
    const char *signers; /* dri_signers_fingerprint; NULL and "": nobody signs */
};

/** Errors: EIO, ENOMEM, ELIMIT; ret_text says what. */
DRAY_MUST_CHECK enum dray_status dri_snapshot_save(const struct dri_snapshot_place *place,
                                                   const struct dri_registry *registry,
                                                   char *ret_text, size_t text_bytes);

/** Put the routes of the file into an empty registry.
 *  Requires: no revision was seen.
 *  Errors: ENOTFOUND (no file); EINVALID (damaged, or of another bus, cluster or topic, or made
 *          under other signers), EIO,
 * ELIMIT, ENOMEM: ret_text says what. ENOMEM and EINVALID of a route may leave part of them. */
DRAY_MUST_CHECK enum dray_status dri_snapshot_load(const struct dri_snapshot_place *place,
                                                   struct dri_registry *registry, char *ret_text,
                                                   size_t text_bytes);

/** The revision of the file, 0 when there is none that is ours and can be read: the log says why.
 */
uint64_t dri_snapshot_revision(const struct dri_snapshot_place *place);

/** How a snapshot names its bus: SHA-256 of the URL without user and password, in hex. A URL may be
 *  longer than any field of a change. Errors: ENOMEM. */
DRAY_MUST_CHECK enum dray_status dri_snapshot_bus(const char *url, char ret_hex[65]);

#endif

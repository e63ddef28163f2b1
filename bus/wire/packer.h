/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_WIRE_PACKER_H
#define DRI_WIRE_PACKER_H

#include <msgpack.h>
#include <stddef.h>
#include <stdint.h>

#include <dray/slice.h>
#include <dray/status.h>

#include "writer.h"

/* packer.h - msgpack-c's packer over a bounded buffer, for what is written rarely. Private to wire.
 *
 * Its functions return errors that are easy to drop; here a write that does not fit sticks, and
 * dri_packer_end says so once. The packer points into the struct: it may not be moved after init.
 */

struct dri_packer {
    msgpack_packer pack;
    struct dri_writer writer;
    const uint8_t *begin;
};

void dri_packer_init(struct dri_packer *packer, void *buffer, size_t buffer_bytes);
/** Errors: ELIMIT when something did not fit; *ret_len untouched. */
DRAY_MUST_CHECK enum dray_status dri_packer_end(const struct dri_packer *packer, size_t *ret_len);

void dri_packer_str(struct dri_packer *packer, struct dray_slice text);
void dri_packer_bin(struct dri_packer *packer, struct dray_slice bytes);
void dri_packer_key(struct dri_packer *packer, const char *key);
/** Key and value; nothing when the value is absent. raw: msgpack bytes as they are. */
void dri_packer_add_str(struct dri_packer *packer, const char *key, struct dray_slice text);
void dri_packer_add_raw(struct dri_packer *packer, const char *key, struct dray_slice value);
/** A value as it is. */
void dri_packer_raw(struct dri_packer *packer, struct dray_slice value);
void dri_packer_add_uint(struct dri_packer *packer, const char *key, uint64_t number);

#endif

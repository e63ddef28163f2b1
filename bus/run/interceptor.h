/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_INTERCEPTOR_H
#define DRI_INTERCEPTOR_H

#include <stddef.h>

#include <dray/handler.h>
#include <dray/status.h>

#include "control.h"

/* interceptor.h - what stands around a route's handler.
 *
 * A chain belongs to one route and lives as long: a command that has pinned its route has pinned
 * its chain, so that it sees the chain of before a change or that of after it, and nothing between.
 *
 * Threads: a chain is immutable; load and release as for modules.
 */

struct dri_chain;
struct dri_module;
struct dri_modules;

/** Of a descriptor that may be older than interceptors are. */
size_t dri_interceptors_count(const struct dray_module *descriptor);
/** What is wrong with its interceptors, or NULL. */
const char *dri_interceptors_check(const struct dray_module *descriptor);

/** The chain that a policy names: each module is loaded. *ret_chain is NULL when it names none.
 *  Errors: as dri_module_load; ENOTFOUND: a module has no such interceptor; ret_text says which. */
DRAY_MUST_CHECK enum dray_status dri_chain_load(struct dri_modules *modules,
                                                const struct dri_policy *policy,
                                                struct dri_chain **ret_chain, char *ret_text,
                                                size_t text_bytes);
/** NULL is a no-op. */
void dri_chain_release(struct dri_chain *chain);

/** NULL has none. */
size_t dri_chain_count(const struct dri_chain *chain);
const struct dri_module *dri_chain_module(const struct dri_chain *chain, size_t i);

/** In order, until one refuses. *ret_entered: how many went on. */
enum dray_error_kind dri_chain_before(const struct dri_chain *chain, struct dray_call *call,
                                      size_t *ret_entered);
/** Tell those that went on, the innermost first. */
void dri_chain_after(const struct dri_chain *chain, size_t entered, const struct dray_call *call,
                     const struct dray_end *end);

#endif

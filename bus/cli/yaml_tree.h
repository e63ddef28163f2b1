/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_CLI_YAML_TREE_H
#define DRI_CLI_YAML_TREE_H

#include <stdbool.h>
#include <stddef.h>

#include <dray/status.h>

#include "wire/json.h"

/* yaml_tree.h - a YAML file as a tree whose nodes know their lines. The only user of libyaml.
 *
 * Threads: one.
 */

struct dri_yaml;

/** A node is its number; 0 means none. */
typedef int dri_yaml_node;

enum dri_yaml_kind {
    DRI_YAML_NULL,
    DRI_YAML_SCALAR,
    DRI_YAML_LIST,
    DRI_YAML_MAP
};

/** Read a file of one document, at most 4 MiB.
 *  Errors: ENOTFOUND, EAUTH, EIO (the file), ELIMIT, EINVALID ("file:line: what"), ENOMEM. */
DRAY_MUST_CHECK enum dray_status dri_yaml_load(const char *file, struct dri_yaml **ret_yaml,
                                               char *ret_text, size_t text_bytes);
/** NULL is a no-op. */
void dri_yaml_destroy(struct dri_yaml *yaml);

/** As the user named it. */
const char *dri_yaml_file(const struct dri_yaml *yaml);
/** 0: an empty file. */
dri_yaml_node dri_yaml_root(const struct dri_yaml *yaml);
/** An unquoted null, ~ or nothing is DRI_YAML_NULL. */
enum dri_yaml_kind dri_yaml_kind(const struct dri_yaml *yaml, dri_yaml_node node);
/** From 1. */
size_t dri_yaml_line(const struct dri_yaml *yaml, dri_yaml_node node);
/** Text of a scalar. Requires: kind is SCALAR or NULL. */
const char *dri_yaml_text(const struct dri_yaml *yaml, dri_yaml_node node);
/** Elements of a list, pairs of a map, else 0. */
size_t dri_yaml_count(const struct dri_yaml *yaml, dri_yaml_node node);
dri_yaml_node dri_yaml_item(const struct dri_yaml *yaml, dri_yaml_node list, size_t n);
/** Returns the key. */
dri_yaml_node dri_yaml_pair(const struct dri_yaml *yaml, dri_yaml_node map, size_t n,
                            dri_yaml_node *ret_value);

/** Whether the scalar under this dotted path is text whatever it looks like ("version": 1.0 is
 * "1.0"). */
typedef bool dri_yaml_is_text_fn(const char *path);

/** A node as JSON: unquoted numbers, booleans and nulls are what they look like.
 *  Errors: EINVALID ("file:line: what": keys that are no text or stand there twice), ELIMIT,
 * ENOMEM. */
DRAY_MUST_CHECK enum dray_status dri_yaml_to_json(const struct dri_yaml *yaml, dri_yaml_node node,
                                                  dri_yaml_is_text_fn *is_text,
                                                  struct dri_text *json, char *ret_text,
                                                  size_t text_bytes);

#endif

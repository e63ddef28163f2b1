/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <string.h>

#include "registry_inside.h"

/* registry_tree.c - a treap by key: its links are in the entries, so a commit cannot run out of
 * memory, and priorities are hashes of the keys, so its shape depends on what is in it only. */

static int compare_keys(struct dray_slice a, struct dray_slice b)
{
    int order = memcmp(a.at, b.at, a.len < b.len ? a.len : b.len);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

static struct dray_slice key_of(const struct entry *entry)
{
    return dray_slice_of(entry->route.key, entry->key_len);
}

struct entry *tree_find(struct entry *root, struct dray_slice key)
{
    while (root != NULL) {
        int order = compare_keys(key, key_of(root));
        if (order == 0) {
            return root;
        }
        root = order < 0 ? root->left : root->right;
    }
    return NULL;
}

/** Splits root into what is below key and what is above. Requires: key is not in it. */
static void split(struct entry *root, struct dray_slice key, struct entry **ret_below,
                  struct entry **ret_above)
{
    while (root != NULL) {
        if (compare_keys(key, key_of(root)) < 0) {
            *ret_above = root;
            ret_above = &root->left;
            root = root->left;
        } else {
            *ret_below = root;
            ret_below = &root->right;
            root = root->right;
        }
    }
    *ret_below = NULL;
    *ret_above = NULL;
}

void tree_insert(struct entry **root, struct entry *entry)
{
    while (*root != NULL && (*root)->priority >= entry->priority) {
        root = compare_keys(key_of(entry), key_of(*root)) < 0 ? &(*root)->left : &(*root)->right;
    }
    struct entry *rest = *root;
    *root = entry;
    split(rest, key_of(entry), &entry->left, &entry->right);
}

static void join(struct entry *below, struct entry *above, struct entry **ret_root)
{
    while (below != NULL && above != NULL) {
        if (below->priority >= above->priority) {
            *ret_root = below;
            ret_root = &below->right;
            below = below->right;
        } else {
            *ret_root = above;
            ret_root = &above->left;
            above = above->left;
        }
    }
    *ret_root = below != NULL ? below : above;
}

void tree_remove(struct entry **root, struct entry *entry)
{
    while (*root != entry) {
        root = compare_keys(key_of(entry), key_of(*root)) < 0 ? &(*root)->left : &(*root)->right;
    }
    join(entry->left, entry->right, root);
    entry->left = NULL;
    entry->right = NULL;
}

/* The depth is that of a random tree: some 50 for a million routes. */
void tree_each(struct entry *root, tree_visit_fn *visit, void *arg)
{
    if (root == NULL) {
        return;
    }
    tree_each(root->left, visit, arg);
    visit(arg, root);
    tree_each(root->right, visit, arg);
}

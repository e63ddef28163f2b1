/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* interceptor.c - chains, and what a descriptor says of its interceptors.
 *
 * A chain is made when its route is bound, outside of every lock, and never changes: a swap is
 * another route with another chain, and a run that has pinned the old one ends in the old one.
 */
#include "interceptor.h"

#include <stdio.h>
#include <string.h>

#include "mem.h"
#include "module.h"

#define INTERCEPTORS_IN_MODULE 64u
#define INTERCEPTOR_MAX        4096u /* of one entry, whatever later SDKs add to it */

struct link {
    const struct dray_interceptor *of;
    void *user;
    struct dri_module *module; /* owned count */
};

struct dri_chain {
    size_t count;
    struct link links[DRI_INTERCEPTORS_MAX];
};

/* ---- the descriptor ---- */

size_t dri_interceptors_count(const struct dray_module *descriptor)
{
    size_t end = offsetof(struct dray_module, interceptor_bytes) + sizeof(size_t);
    return descriptor->bytes >= end ? descriptor->interceptors_count : 0;
}

static const struct dray_interceptor *interceptor_at(const struct dray_module *descriptor, size_t i)
{
    const void *at = (const char *)descriptor->interceptors + i * descriptor->interceptor_bytes;
    return at;
}

static const struct dray_interceptor *find(const struct dray_module *descriptor,
                                           struct dray_slice name, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct dray_interceptor *interceptor = interceptor_at(descriptor, i);
        if (dray_slice_equal_text(name, interceptor->name)) {
            return interceptor;
        }
    }
    return NULL;
}

const char *dri_interceptors_check(const struct dray_module *descriptor)
{
    size_t count = dri_interceptors_count(descriptor);
    if (count == 0) {
        return NULL;
    }
    if (descriptor->interceptors == NULL || count > INTERCEPTORS_IN_MODULE ||
        descriptor->interceptor_bytes < sizeof(struct dray_interceptor) ||
        descriptor->interceptor_bytes > INTERCEPTOR_MAX ||
        descriptor->interceptor_bytes % _Alignof(struct dray_interceptor) != 0) {
        return "its interceptors have impossible sizes, or are more than 64";
    }
    for (size_t i = 0; i < count; i++) {
        const char *name = interceptor_at(descriptor, i)->name;
        if (name == NULL || !dri_dependency_name_is_valid(dray_slice_text(name))) {
            return "an interceptor's name is not of the form [A-Za-z0-9][A-Za-z0-9._-]{0,62}";
        }
        if (find(descriptor, dray_slice_text(name), i) != NULL) {
            return "two interceptors have one name";
        }
    }
    return NULL;
}

/* ---- the chain ---- */

static enum dray_status link_load(struct dri_modules *modules, struct dray_slice text,
                                  struct link *ret_link, char *ret_text, size_t text_bytes)
{
    struct dray_slice file, name, sha256;
    struct dri_module *module = NULL;
    if (!dri_interceptor_parse(text, &file, &name, &sha256)) {
        snprintf(ret_text, text_bytes, "an interceptor is not named \"module.so:name\"");
        return DRAY_EINVALID;
    }
    enum dray_status status = dri_module_load(modules, file, sha256, &module, ret_text, text_bytes);
    if (status != DRAY_OK) {
        return status;
    }
    const struct dray_module *descriptor = dri_module_descriptor(module);
    const struct dray_interceptor *of = find(descriptor, name, dri_interceptors_count(descriptor));
    if (of == NULL) {
        snprintf(ret_text, text_bytes, "module %s has no interceptor \"%.*s\"",
                 dri_module_name(module), (int)name.len, (const char *)name.at);
        dri_module_release(module);
        return DRAY_ENOTFOUND;
    }
    *ret_link = (struct link){.of = of, .user = dri_module_user(module), .module = module};
    return DRAY_OK;
}

enum dray_status dri_chain_load(struct dri_modules *modules, const struct dri_policy *policy,
                                struct dri_chain **ret_chain, char *ret_text, size_t text_bytes)
{
    enum dray_status status = DRAY_OK;
    struct dray_slice text;
    size_t at = 0;
    *ret_chain = NULL;
    if (policy->interceptors.at == NULL) {
        return DRAY_OK;
    }
    struct dri_chain *chain = dri_zalloc(sizeof(*chain));
    if (chain == NULL) {
        snprintf(ret_text, text_bytes, "there is no memory for its interceptors");
        return DRAY_ENOMEM;
    }
    while (status == DRAY_OK && chain->count < DRI_INTERCEPTORS_MAX &&
           dri_policy_next_interceptor(policy, &at, &text)) {
        status = link_load(modules, text, &chain->links[chain->count], ret_text, text_bytes);
        chain->count += status == DRAY_OK;
    }
    if (status != DRAY_OK) {
        dri_chain_release(chain);
        return status;
    }
    *ret_chain = chain;
    return DRAY_OK;
}

void dri_chain_release(struct dri_chain *chain)
{
    for (size_t i = 0; chain != NULL && i < chain->count; i++) {
        dri_module_release(chain->links[i].module);
    }
    dri_free(chain);
}

size_t dri_chain_count(const struct dri_chain *chain)
{
    return chain == NULL ? 0 : chain->count;
}

const struct dri_module *dri_chain_module(const struct dri_chain *chain, size_t i)
{
    return chain->links[i].module;
}

enum dray_error_kind dri_chain_before(const struct dri_chain *chain, struct dray_call *call,
                                      size_t *ret_entered)
{
    size_t entered = 0;
    enum dray_error_kind kind = DRAY_KIND_NONE;
    while (entered < chain->count && kind == DRAY_KIND_NONE) {
        const struct link *link = &chain->links[entered];
        kind = link->of->before == NULL ? DRAY_KIND_NONE : link->of->before(call, link->user);
        entered += kind == DRAY_KIND_NONE;
    }
    *ret_entered = entered;
    return kind;
}

void dri_chain_after(const struct dri_chain *chain, size_t entered, const struct dray_call *call,
                     const struct dray_end *end)
{
    for (size_t i = entered; i > 0; i--) {
        const struct link *link = &chain->links[i - 1];
        if (end->kind == DRAY_KIND_NONE && link->of->after != NULL) {
            link->of->after(call, link->user, end);
        } else if (end->kind != DRAY_KIND_NONE && link->of->on_error != NULL) {
            link->of->on_error(call, link->user, end);
        }
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_REGISTRY_INSIDE_H
#define DRI_REGISTRY_INSIDE_H

#include <string.h>

#include "epoch.h"
#include "lock.h"
#include "registry.h"
#include "selection.h"

/* registry_inside.h - what the registry's files share; private to them.
 *
 *   registry.c         life, and what the writer asks
 *   registry_edit.c    a change: read, check, prepare, commit
 *   registry_reader.c  look-ups and pins
 *   registry_retire.c  what was taken out of sight, until it can be freed
 *   registry_table.c   tables and route sets: what readers walk
 *   registry_tree.c    all routes in the order of their keys, for the writer
 *
 * Readers walk: shard or fid table -> slot -> set or entry. All of these are immutable but for the
 * atomic pointers between them. Everything in struct writer is guarded by its lock.
 */

/* ---- what can be retired ---- */

enum retired_kind {
    RETIRED_MEMORY, /* a set or a table: freed after the grace period */
    RETIRED_ENTRY,  /* a route: also waits for its pins */
};

struct retired {
    struct retired *next;
    uint64_t epoch;
    void *object;
    enum retired_kind kind;
};

#define NEAR_BYTES 21u

/** First member of what a name leads to: the name, and which of the two it is. */
struct named {
    bool is_set; /* struct set, else struct entry */
    uint8_t ns_len;
    uint8_t name_len;
    /* Namespace and name when both fit, else a pointer to "namespace/name" (see named_far). */
    uint8_t near[NEAR_BYTES];
};

/** A route and what the registry keeps about it. Immutable once published, but for the tree. What
 * an ordinary look-up touches is one cache line: the name and the head of the route. */
struct entry {
    struct named named;
    struct dri_route route;
    struct dri_semver version; /* borrows from route.bytes */
    size_t key_len;
    bool is_bound;          /* bind was called, so unbind is owed */
    uint64_t priority;      /* in the tree: a hash of the key */
    struct entry *left;     /* guard: lock */
    struct entry *right;    /* guard: lock */
    struct retired retired; /* guard: lock */
};

/* ---- what readers walk ---- */

struct slot {
    uint64_t hash; /* written before item, then immutable */
    _Atomic(void *) item;
};

/** Open addressing, linear probing, at most three quarters full. */
struct table {
    size_t mask;
    size_t used; /* slots that are not empty; guard: lock */
    size_t live; /* of these, not removed; guard: lock */
    struct retired retired;
    struct slot slots[];
};

/** The routes of a name that is not simple: several, or one with tags. Immutable. A simple name's
 * slot leads to its entry. */
struct set {
    struct named named;
    const struct entry
        *plain; /* what any command without a version gets; NULL: it has to be chosen */
    uint32_t count;
    struct dri_candidate *candidates; /* count, in order */
    const struct entry **entries;     /* count, same order */
    struct retired retired;
};

static inline const uint8_t *named_far(const struct named *named)
{
    const uint8_t *far = NULL;
    memcpy(&far, named->near, sizeof(far));
    return far;
}

static inline bool named_is_near(const struct named *named)
{
    return (size_t)named->ns_len + named->name_len <= NEAR_BYTES;
}

static inline bool named_has_namespace(const struct named *named, struct dray_slice ns)
{
    const uint8_t *text = named_is_near(named) ? named->near : named_far(named);
    return named->ns_len == ns.len && (ns.len == 0 || memcmp(text, ns.at, ns.len) == 0);
}

static inline bool named_is(const struct named *named, struct dray_slice ns, struct dray_slice name)
{
    bool is_near = named_is_near(named);
    const uint8_t *text = is_near ? named->near : named_far(named);
    const uint8_t *name_text = text + named->ns_len + (is_near ? 0 : 1); /* behind the slash */
    return named->ns_len == ns.len && named->name_len == name.len &&
           (ns.len == 0 || memcmp(text, ns.at, ns.len) == 0) &&
           (name.len == 0 || memcmp(name_text, name.at, name.len) == 0);
}

static inline const struct entry *named_entry(const struct named *named)
{
    return (const struct entry *)(const void *)named;
}

static inline const struct set *named_set(const struct named *named)
{
    return (const struct set *)(const void *)named;
}

#define SHARD_BITS_MAX 4u
#define SHARD_COUNT    (1u << SHARD_BITS_MAX) /* the most; a registry may have fewer */

/** What stands in a slot whose item was removed. */
extern char registry_removed;

static inline void *table_first(const struct table *table, uint64_t hash, size_t *ret_at);

/** The next item with this hash from *at on, or NULL. */
static inline void *table_next(const struct table *table, uint64_t hash, size_t *at)
{
    for (size_t i = *at;; i++) {
        const struct slot *slot = &table->slots[i & table->mask];
        /* Acquire: pairs with the release in table_put; the item and the slot's hash. */
        void *item = atomic_load_explicit(&slot->item, memory_order_acquire);
        if (item == NULL) {
            return NULL;
        }
        if (slot->hash == hash && item != (void *)&registry_removed) {
            *at = i + 1;
            return item;
        }
    }
}

static inline void *table_first(const struct table *table, uint64_t hash, size_t *ret_at)
{
    *ret_at = (size_t)hash;
    return table_next(table, hash, ret_at);
}

/* ---- the registry ---- */

#define CHUNK_NUMBERS 1024u
#define CHUNK_COUNT   1024u
#define NUMBERS_MAX   (CHUNK_NUMBERS * CHUNK_COUNT)
#define ROUTES_MAX    (NUMBERS_MAX / 2) /* the rest: routes that are replaced and still pinned */

/** What a reader counts of a route: one store apart, so that a call touches no further line. */
struct seat {
    _Atomic(uint32_t) pins;
    _Atomic(uint32_t) calls; /* since ever, of all that had the number; wraps */
};

struct seats {
    struct seat of[CHUNK_NUMBERS];
};

/** A reader's pins by route number: written by its thread only, summed by the reclaimer. A pin may
 * be given back through another reader, so a counter alone may wrap; the sum does not. Its calls
 * likewise. */
struct dri_reader {
    struct dri_epoch_reader epoch;
    struct dri_registry *registry; /* immutable */
    struct dri_reader *next;       /* guard: lock */
    /* Each is set before a route with its numbers can be seen, then immutable. */
    struct seats *chunks[CHUNK_COUNT];
};

struct writer {
    struct dri_lock lock;
    struct entry *tree;
    size_t routes_count;
    struct retired *limbo; /* oldest first */
    struct retired **limbo_end;
    struct retired *draining; /* routes: grace has passed, pins are left */
    size_t retired_count;     /* in both */
    struct dri_reader *readers;
    uint32_t readers_count;
    size_t chunks_count;    /* numbers made so far, in chunks */
    uint32_t *free_numbers; /* room for all numbers made so far */
    size_t free_numbers_count;
    struct seats *orphans[CHUNK_COUNT]; /* counts of readers that are gone */
    char digest[65];                    /* "": to be made anew */
};

struct dri_registry {
    struct dri_registry_config config; /* immutable */
    struct writer *writer;             /* immutable pointer */
    _Atomic(uint64_t) revision;
    _Atomic(uint32_t) special; /* routes that are special */
    struct dri_epoch epoch;
    _Atomic(struct table *) fids;
    uint32_t shard_skip;                         /* immutable: of the hash's upper half */
    _Atomic(struct table *) shards[SHARD_COUNT]; /* as many as config.shards */
};

static inline uint64_t fold_hashes(uint64_t ns_hash, uint64_t name_hash)
{
    return name_hash ^ ns_hash * 0x9e3779b97f4a7c15u;
}

static inline uint32_t shard_skip_of(uint32_t shards)
{
    return 32 - (uint32_t)__builtin_ctz(shards);
}

/** The shard is the hash's top bits, the slot its bottom bits. Consistent: with twice the shards
 * the names of shard i are in 2i and 2i + 1. */
static inline size_t shard_of(const struct dri_registry *registry, uint64_t name_hash)
{
    return (size_t)(name_hash >> 32 >> registry->shard_skip);
}

/* Below: Threads: under the lock, when nothing else is said. */

/* registry_table.c */
DRAY_MUST_CHECK enum dray_status table_create(size_t items, struct table **ret_table);
/** Room for `more` items that come. The old table is retired. Errors: ENOMEM. */
DRAY_MUST_CHECK enum dray_status table_reserve(struct dri_registry *registry,
                                               _Atomic(struct table *) *holder, size_t more);
/** Puts item in the place of old; old NULL: a new place, item NULL: removes. Requires: room. */
void table_put(struct table *table, uint64_t hash, const void *old, void *item);
/** The writer's view of a holder. */
struct table *table_of(_Atomic(struct table *) *holder);
/** What a name with these routes leads to: an entry or a new set. entries in any order.
 *  Errors: ENOMEM. Threads: any. */
DRAY_MUST_CHECK enum dray_status named_create(const struct entry *const *entries, size_t count,
                                              struct named **ret_named);
/** Frees a set; an entry is the tree's. NULL is a no-op. */
void named_free(struct named *named);
struct named *named_find(const struct table *table, uint64_t hash, struct dray_slice ns,
                         struct dray_slice name);
/** Fills in the name of an entry, whose key is there. */
void named_init(struct named *named, struct dray_slice key, size_t ns_len, size_t name_len);

/* registry_tree.c */
struct entry *tree_find(struct entry *root, struct dray_slice key);
void tree_insert(struct entry **root, struct entry *entry);
void tree_remove(struct entry **root, struct entry *entry);
typedef void tree_visit_fn(void *arg, struct entry *entry);
void tree_each(struct entry *root, tree_visit_fn *visit, void *arg);

/* registry_retire.c */
/** To be freed when nobody can hold it; the epoch is advanced by retire_end. */
void retire(struct dri_registry *registry, struct retired *retired, enum retired_kind kind,
            void *object);
void retire_end(struct dri_registry *registry);
/** Room for `more` route numbers, in the readers too. Errors: ENOMEM. */
DRAY_MUST_CHECK enum dray_status numbers_reserve(struct writer *writer, size_t more);
void number_take(struct writer *writer, struct dri_route *route);
/** What the counters of a number are at. */
uint32_t calls_of(const struct writer *writer, uint32_t number);
/** Room for the numbers made so far. Errors: ENOMEM. */
DRAY_MUST_CHECK enum dray_status reader_make_chunks(struct dri_reader *reader, size_t chunks_count);
void reader_free(struct dri_reader *reader);
/** Unbinds and frees. Threads: outside every lock. NULL is a no-op. */
void entry_destroy(const struct dri_registry_config *config, struct entry *entry);

/* registry_edit.c: the writer's, outside every lock */
/** What a change is answered with; both may be NULL. */
struct answer {
    struct dri_registry_conflict *conflict;
    char *text;
    size_t text_bytes;
};
DRAY_MUST_CHECK enum dray_status edit_apply(struct dri_registry *registry, uint64_t revision,
                                            const struct dri_change_item *items, size_t count,
                                            const struct answer *answer);
/** Puts a copy of entry, bound anew, in its place when that changes what it can do. */
void edit_rebind(struct dri_registry *registry, struct entry *entry);
void answer_text(const struct answer *answer, const char *form, ...) DRAY_FORMAT(2, 3);
/** The revision counts as seen. */
void revision_seen(struct dri_registry *registry, uint64_t revision);

#endif

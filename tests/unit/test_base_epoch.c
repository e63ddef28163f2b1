/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <pthread.h>

#include "base/clock.h"
#include "base/epoch.h"
#include "base/lock.h"
#include "base/mem.h"
#include "support/test.h"

static void without_readers_everything_may_be_freed_at_once(void **state)
{
    (void)state;
    static struct dri_epoch epoch; /* static: ASan places no local on 64 bytes */
    dri_epoch_init(&epoch);
    for (int i = 0; i < 5; i++) {
        uint64_t retired = dri_epoch_advance(&epoch);
        assert_true(retired <= dri_epoch_oldest(&epoch));
    }
}

static void an_online_reader_holds_what_is_retired_until_it_is_quiescent(void **state)
{
    (void)state;
    static struct dri_epoch epoch; /* static: ASan places no local on 64 bytes */
    static struct dri_epoch_reader slow, quick;
    dri_epoch_init(&epoch);
    dri_epoch_add(&epoch, &slow);
    dri_epoch_add(&epoch, &quick);
    dri_epoch_online(&epoch, &slow);
    dri_epoch_online(&epoch, &quick);
    uint64_t first = dri_epoch_advance(&epoch);
    assert_true(first > dri_epoch_oldest(&epoch));
    dri_epoch_quiescent(&epoch, &quick);
    assert_true(first > dri_epoch_oldest(&epoch));
    uint64_t second = dri_epoch_advance(&epoch);
    dri_epoch_quiescent(&epoch, &slow);
    assert_true(first <= dri_epoch_oldest(&epoch));
    assert_true(second > dri_epoch_oldest(&epoch)); /* quick has not seen it */
    dri_epoch_quiescent(&epoch, &quick);
    assert_true(second <= dri_epoch_oldest(&epoch));
    dri_epoch_offline(&slow);
    dri_epoch_offline(&quick);
    dri_epoch_remove(&epoch, &slow);
    dri_epoch_remove(&epoch, &quick);
}

static void an_offline_reader_holds_nothing(void **state)
{
    (void)state;
    static struct dri_epoch epoch; /* static: ASan places no local on 64 bytes */
    static struct dri_epoch_reader reader;
    dri_epoch_init(&epoch);
    dri_epoch_add(&epoch, &reader);
    assert_false(dri_epoch_is_online(&reader));
    assert_true(dri_epoch_advance(&epoch) <= dri_epoch_oldest(&epoch));
    dri_epoch_online(&epoch, &reader);
    assert_true(dri_epoch_is_online(&reader));
    uint64_t retired = dri_epoch_advance(&epoch);
    assert_true(retired > dri_epoch_oldest(&epoch));
    dri_epoch_offline(&reader);
    assert_true(retired <= dri_epoch_oldest(&epoch));
    dri_epoch_online(&epoch, &reader); /* comes back later: what was retired before is not held */
    assert_true(retired <= dri_epoch_oldest(&epoch));
    dri_epoch_offline(&reader);
    dri_epoch_remove(&epoch, &reader);
}

/* ---- a writer that frees beside readers that look ---- */

struct cell {
    struct cell *next;
    uint64_t epoch;
    uint64_t value;
    uint64_t same_value; /* always value, in a cell that is alive */
};

struct race {
    struct dri_epoch epoch;
    struct dri_epoch_reader readers[2];
    int readers_count;    /* guarded by lock */
    struct dri_lock lock; /* of epoch's readers */
    _Atomic(struct cell *) shown;
    _Atomic(int) is_stopping;
    _Atomic(uint64_t) looks;
    _Atomic(uint64_t) torn;
};

static void *look_all_the_time(void *arg)
{
    struct race *race = (struct race *)arg;
    dri_lock_take(&race->lock);
    struct dri_epoch_reader *reader = &race->readers[race->readers_count++];
    dri_epoch_add(&race->epoch, reader);
    dri_lock_drop(&race->lock);
    dri_epoch_online(&race->epoch, reader);
    for (uint64_t turn = 1; atomic_load(&race->is_stopping) == 0; turn++) {
        const struct cell *cell = atomic_load_explicit(&race->shown, memory_order_acquire);
        atomic_fetch_add(&race->torn, cell->value != cell->same_value);
        atomic_fetch_add(&race->looks, 1);
        if (turn % 5 == 0) {
            dri_epoch_quiescent(&race->epoch, reader);
        }
        if (turn % 37 == 0) {
            dri_epoch_offline(reader);
            dri_epoch_online(&race->epoch, reader);
        }
    }
    dri_epoch_offline(reader);
    dri_lock_take(&race->lock);
    dri_epoch_remove(&race->epoch, reader);
    dri_lock_drop(&race->lock);
    return NULL;
}

/** Replaces the cell that is shown; the old one waits in the list, oldest first. */
static void show(struct race *race, uint64_t value, struct cell ***limbo_end)
{
    struct cell *cell = (struct cell *)dri_zalloc(sizeof(*cell));
    assert_non_null(cell);
    cell->value = value;
    cell->same_value = value;
    struct cell *old = atomic_exchange_explicit(&race->shown, cell, memory_order_acq_rel);
    if (old != NULL) {
        old->epoch = dri_epoch_advance(&race->epoch);
        **limbo_end = old;
        *limbo_end = &old->next;
    }
}

static void free_passed(struct race *race, struct cell **limbo, struct cell ***limbo_end)
{
    dri_lock_take(&race->lock);
    uint64_t oldest = dri_epoch_oldest(&race->epoch);
    dri_lock_drop(&race->lock);
    while (*limbo != NULL && (*limbo)->epoch <= oldest) {
        struct cell *cell = *limbo;
        *limbo = cell->next;
        cell->same_value = ~cell->value; /* so that a reader would see it */
        dri_free(cell);
    }
    if (*limbo == NULL) {
        *limbo_end = limbo;
    }
}

static void readers_never_see_what_was_freed(void **state)
{
    (void)state;
    size_t before = dri_mem_live();
    static struct race race; /* static: see above */
    struct cell *limbo = NULL;
    struct cell **limbo_end = &limbo;
    pthread_t threads[2];
    dri_epoch_init(&race.epoch);
    dri_lock_init(&race.lock, DRI_LOCK_TEST);
    show(&race, 0, &limbo_end);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, look_all_the_time, &race), 0);
    }
    uint64_t until_ns = dri_clock_mono_ns() + 300000000u;
    for (uint64_t value = 1; value < 1000 || dri_clock_mono_ns() < until_ns; value++) {
        show(&race, value, &limbo_end);
        free_passed(&race, &limbo, &limbo_end);
    }
    while (atomic_load(&race.looks) < 1000) {
        free_passed(&race, &limbo, &limbo_end);
    }
    atomic_store(&race.is_stopping, 1);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    free_passed(&race, &limbo, &limbo_end);
    assert_null(limbo);
    assert_int_equal(atomic_load(&race.torn), 0);
    dri_free(atomic_load(&race.shown));
    dri_lock_fini(&race.lock);
    assert_int_equal(dri_mem_live(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_readers_everything_may_be_freed_at_once),
        cmocka_unit_test(an_online_reader_holds_what_is_retired_until_it_is_quiescent),
        cmocka_unit_test(an_offline_reader_holds_nothing),
        cmocka_unit_test(readers_never_see_what_was_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

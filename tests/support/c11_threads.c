/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* c11_threads.c - C11 threads on top of POSIX threads, for ThreadSanitizer only.
 *
 * librdkafka starts its threads with thrd_create and locks with mtx_lock. ThreadSanitizer knows
 * neither: it crashes in the first interceptor that such a thread calls. A program that has these
 * functions itself takes the place of the C library's, the sanitizer sees a pthread_create and
 * every lock, and what is left of librdkafka's own accesses is left out by tests/support/tsan.supp.
 */

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>

#define EXPORT __attribute__((visibility("default")))

_Static_assert(sizeof(mtx_t) >= sizeof(pthread_mutex_t), "a mtx_t has to hold a mutex");
_Static_assert(sizeof(cnd_t) >= sizeof(pthread_cond_t), "a cnd_t has to hold a condition");

struct start {
    thrd_start_t fn;
    void *arg;
};

static void *run(void *arg)
{
    struct start start = *(struct start *)arg;
    free(arg);
    return (void *)(intptr_t)start.fn(start.arg);
}

static pthread_mutex_t *mutex_of(mtx_t *lock)
{
    return (pthread_mutex_t *)(void *)lock;
}

static pthread_cond_t *cond_of(cnd_t *cond)
{
    return (pthread_cond_t *)(void *)cond;
}

static int result_of(int error)
{
    switch (error) {
    case 0:
        return thrd_success;
    case EBUSY:
        return thrd_busy;
    case ETIMEDOUT:
        return thrd_timedout;
    default:
        return thrd_error;
    }
}

EXPORT int thrd_create(thrd_t *thread, thrd_start_t fn, void *arg)
{
    struct start *start = malloc(sizeof(*start));
    if (start == NULL) {
        return thrd_nomem;
    }
    *start = (struct start){fn, arg};
    int error = pthread_create(thread, NULL, run, start);
    if (error != 0) {
        free(start);
    }
    return result_of(error);
}

EXPORT int thrd_join(thrd_t thread, int *ret)
{
    void *value = NULL;
    int error = pthread_join(thread, &value);
    if (error == 0 && ret != NULL) {
        *ret = (int)(intptr_t)value;
    }
    return result_of(error);
}

EXPORT int thrd_detach(thrd_t thread)
{
    return result_of(pthread_detach(thread));
}

EXPORT _Noreturn void thrd_exit(int value)
{
    pthread_exit((void *)(intptr_t)value);
}

EXPORT int mtx_init(mtx_t *lock, int type)
{
    pthread_mutexattr_t attributes;
    (void)pthread_mutexattr_init(&attributes);
    if ((type & mtx_recursive) != 0) {
        (void)pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    }
    int error = pthread_mutex_init(mutex_of(lock), &attributes);
    (void)pthread_mutexattr_destroy(&attributes);
    return result_of(error);
}

EXPORT void mtx_destroy(mtx_t *lock)
{
    (void)pthread_mutex_destroy(mutex_of(lock));
}

EXPORT int mtx_lock(mtx_t *lock)
{
    return result_of(pthread_mutex_lock(mutex_of(lock)));
}

EXPORT int mtx_trylock(mtx_t *lock)
{
    return result_of(pthread_mutex_trylock(mutex_of(lock)));
}

EXPORT int mtx_unlock(mtx_t *lock)
{
    return result_of(pthread_mutex_unlock(mutex_of(lock)));
}

EXPORT int cnd_init(cnd_t *cond)
{
    return result_of(pthread_cond_init(cond_of(cond), NULL));
}

EXPORT void cnd_destroy(cnd_t *cond)
{
    (void)pthread_cond_destroy(cond_of(cond));
}

EXPORT int cnd_signal(cnd_t *cond)
{
    return result_of(pthread_cond_signal(cond_of(cond)));
}

EXPORT int cnd_broadcast(cnd_t *cond)
{
    return result_of(pthread_cond_broadcast(cond_of(cond)));
}

EXPORT int cnd_wait(cnd_t *cond, mtx_t *lock)
{
    return result_of(pthread_cond_wait(cond_of(cond), mutex_of(lock)));
}

EXPORT int cnd_timedwait(cnd_t *cond, mtx_t *lock, const struct timespec *until)
{
    return result_of(pthread_cond_timedwait(cond_of(cond), mutex_of(lock), until));
}

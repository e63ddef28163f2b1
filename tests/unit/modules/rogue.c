/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* rogue.c - modules that end or keep the process that loads them, or leave something behind in it;
 * one by macro. */

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <dray/handler.h>

#ifdef ROGUE_CRASH_CONSTRUCTOR
#define CONSTRUCTOR abort()
#elif defined(ROGUE_EXIT_CONSTRUCTOR)
#define CONSTRUCTOR _exit(3)
#elif defined(ROGUE_HANG_CONSTRUCTOR)
#define CONSTRUCTOR (void)pause()
#elif defined(ROGUE_CHILD_CONSTRUCTOR)
/* Who is left has the pipe of the trial, and would hold it open. */
#define CONSTRUCTOR                                                                                \
    if (fork() == 0) {                                                                             \
        (void)sleep(600);                                                                          \
        _exit(0);                                                                                  \
    } else                                                                                         \
        abort()
#elif defined(ROGUE_HANG_OPEN)
#define OPEN (void)pause()
#elif defined(ROGUE_CRASH_OPEN)
#define OPEN abort()
#elif defined(ROGUE_FILES_OPEN)
#define OPEN                                                                                       \
    if (env->is_trial && count_files() != 5) {                                                     \
        return DRAY_EUNSUPPORTED;                                                                  \
    }
#elif defined(ROGUE_CRASH_CLOSE)
#define CLOSE abort()
#elif defined(ROGUE_CRASH_DESTRUCTOR)
#define DESTRUCTOR abort()
#elif defined(ROGUE_LEFT_THREAD)
#define OPEN leave_thread()
#elif defined(ROGUE_LEFT_KEY)
#define OPEN (void)pthread_key_create(&key, free)
#elif defined(ROGUE_LEFT_SIGNAL)
#define OPEN (void)signal(SIGUSR2, on_signal)
#endif

#ifdef ROGUE_LEFT_THREAD
static void *stay(void *arg)
{
    (void)pause();
    return arg;
}

static void leave_thread(void)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, stay, NULL) == 0) {
        (void)pthread_detach(thread);
    }
}
#elif defined(ROGUE_LEFT_KEY)
static pthread_key_t key;
#elif defined(ROGUE_LEFT_SIGNAL)
static void on_signal(int number)
{
    (void)number;
}
#elif defined(ROGUE_FILES_OPEN)
/* Without the one that looks: 0, 1, 2, the copy and the answer. */
static int count_files(void)
{
    DIR *files = opendir("/proc/self/fd");
    int count = -1;

    if (files == NULL) {
        return -1;
    }
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): alone */
    for (const struct dirent *file = readdir(files); file != NULL; file = readdir(files)) {
        count += file->d_name[0] != '.';
    }
    (void)closedir(files);
    return count;
}
#endif

#ifdef CONSTRUCTOR
__attribute__((constructor)) static void construct(void)
{
    CONSTRUCTOR;
}
#endif

#ifdef DESTRUCTOR
__attribute__((destructor)) static void destruct(void)
{
    DESTRUCTOR;
}
#endif

#ifdef OPEN
static enum dray_status begin(const struct dray_module_env *env, void **ret_user)
{
    (void)env;
    (void)ret_user;
    OPEN;
    return DRAY_OK;
}
#endif

#ifdef CLOSE
static void end(void *user)
{
    (void)user;
    CLOSE;
}
#endif

static enum dray_error_kind run(struct dray_call *call)
{
    (void)call;
    return DRAY_KIND_NONE;
}

static const struct dray_handler handlers[] = {
    {.command = "rogue.run", .version = "1.0.0", .signature = "", .name = "rogue", .fn = run},
};

DRAY_MODULE = {
    DRAY_MODULE_HEAD,
    .name = "rogue",
    .handlers = handlers,
    .handlers_count = 1,
#ifdef OPEN
    .open = begin,
#endif
#ifdef CLOSE
    .close = end,
#endif
    .flags = DRAY_MODULE_UNLOADABLE,
};

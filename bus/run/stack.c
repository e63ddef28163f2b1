/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* stack.c - where a thread stands, asked by another.
 *
 * The thread is sent SIGURG, and its handler walks the stack into memory that was there before; the
 * asker turns addresses into text. SIGURG, because its default is to be ignored: one that comes
 * late, or from elsewhere, does no harm. When somebody else already has a handler for it (an
 * embedder) we leave it alone, and there are no stacks.
 *
 * In the handler only backtrace() is called. It is not on the list of what is safe there, for one
 * reason: its first call loads libgcc and allocates. That call is made in setup. What remains is
 * that it may wait for the loader's lock while another thread loads a module, which ends. Walking a
 * smashed stack can crash, as everything in that thread can.
 *
 * The answer may never come (the thread hangs in the kernel, or has blocked the signal): the asker
 * waits two seconds, and goes on without. The answer may then still come, so a stack is written by
 * at most one walk, and read only after its semaphore was posted; it lives as long as its thread.
 *
 * A blocking call of the handler may return EINTR: it is late, and was told to stop, by then.
 */
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "executor_inside.h"

#define ASK_SIGNAL SIGURG
#define WAIT_NS    UINT64_C(200000000)
#define WAITS      10 /* several, so that one moment in which nobody ran does not use all of it up */
#define OURS       2  /* frames of the signal itself: on_signal, and the kernel's trampoline */

static _Thread_local struct stack *mine;

static void on_signal(int number)
{
    (void)number;
    struct stack *stack = mine;
    int error = errno;
    if (stack != NULL && atomic_load_explicit(&stack->count, memory_order_relaxed) == 0) {
        int count = backtrace(stack->frames, FRAMES_MAX);
        /* Release: pairs with the acquire in format. */
        atomic_store_explicit(&stack->count, count, memory_order_release);
        (void)sem_post(&stack->is_there);
    }
    errno = error;
}

void dri_stack_setup(void)
{
    void *frames[2];
    struct sigaction old;
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART | SA_ONSTACK};
    (void)backtrace(frames, 2); /* loads libgcc, here and not in a signal */
    (void)sigemptyset(&action.sa_mask);
    if (sigaction(ASK_SIGNAL, NULL, &old) == 0 && (old.sa_flags & SA_SIGINFO) == 0 &&
        (old.sa_handler == SIG_DFL || old.sa_handler == SIG_IGN)) {
        (void)sigaction(ASK_SIGNAL, &action, NULL);
    }
}

void dri_stack_register(struct stack *stack)
{
    mine = stack;
}

bool dri_stack_capture(struct stack *stack, pthread_t thread)
{
    if (pthread_kill(thread, ASK_SIGNAL) != 0) {
        return false;
    }
    for (int i = 0; i < WAITS; i++) {
        uint64_t until_ns = dri_clock_mono_ns() + WAIT_NS;
        struct timespec until = {(time_t)(until_ns / 1000000000u), (long)(until_ns % 1000000000u)};
        if (sem_clockwait(&stack->is_there, CLOCK_MONOTONIC, &until) == 0) {
            return true;
        }
    }
    return false;
}

/* The last part of a path; images that were loaded from a descriptor have no name of their own. */
static const char *name_of(const char *path, const char *module_name)
{
    if (path == NULL || strncmp(path, "/proc/", 6) == 0 || strncmp(path, "/memfd", 6) == 0) {
        return module_name;
    }
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

static int format_frame(const void *frame, const char *module_name, char *ret_text, size_t bytes)
{
    Dl_info info;
    if (dladdr(frame, &info) == 0) {
        return snprintf(ret_text, bytes, "%p\n", frame);
    }
    const char *image = name_of(info.dli_fname, module_name);
    size_t offset = (size_t)((const char *)frame - (const char *)info.dli_fbase);
    return info.dli_sname != NULL
               ? snprintf(ret_text, bytes, "%s+0x%zx %s\n", image, offset, info.dli_sname)
               : snprintf(ret_text, bytes, "%s+0x%zx\n", image, offset);
}

void dri_stack_format(const struct stack *stack, const char *module_name,
                      char ret_text[STACK_BYTES])
{
    size_t len = 0;
    int count = atomic_load_explicit(&stack->count, memory_order_acquire);
    ret_text[0] = '\0';
    for (int i = count > OURS ? OURS : 0; i < count; i++) {
        int more = format_frame(stack->frames[i], module_name, ret_text + len, STACK_BYTES - len);
        if (more < 0 || (size_t)more >= STACK_BYTES - len) {
            ret_text[len] = '\0';
            return;
        }
        len += (size_t)more;
    }
}

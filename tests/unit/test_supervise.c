/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "run/supervise.h"
#include "support/test.h"

static void set(const char *name, const char *value)
{
    assert_int_equal(value == NULL ? unsetenv(name) : setenv(name, value, 1), 0);
}

static void the_pulse_comes_twice_in_the_time_of_the_watchdog(void **state)
{
    (void)state;
    char own[32];
    (void)snprintf(own, sizeof(own), "%ld", (long)getpid());
    set("WATCHDOG_PID", NULL);
    set("WATCHDOG_USEC", NULL);
    assert_int_equal(dri_supervise_interval_ns(), 0);
    set("WATCHDOG_USEC", "30000000");
    assert_int_equal(dri_supervise_interval_ns(), UINT64_C(15000000000));
    set("WATCHDOG_PID", own);
    assert_int_equal(dri_supervise_interval_ns(), UINT64_C(15000000000));
    set("WATCHDOG_PID", "1");
    assert_int_equal(dri_supervise_interval_ns(), 0);
    set("WATCHDOG_PID", own);
    static const char *const bad[] = {"", "-1", "soon", "10x", "99999999999999999999999"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        set("WATCHDOG_USEC", bad[i]);
        assert_int_equal(dri_supervise_interval_ns(), 0);
    }
}

/* Whoever does not read must not hold the sender: far more than a socket takes. */
static void telling_never_waits(void **state)
{
    (void)state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char name[64];
    char got[64] = "";
    int len = snprintf(name, sizeof(name), "@dray-test-supervise-%ld", (long)getpid());
    memcpy(address.sun_path, name, (size_t)len);
    address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)len)),
                     0);
    set("NOTIFY_SOCKET", name);
    dri_supervise_tell("READY=1");
    assert_int_equal(recv(fd, got, sizeof(got), 0), 7);
    assert_memory_equal(got, "READY=1", 7);
    for (int i = 0; i < 10000; i++) {
        dri_supervise_tell("WATCHDOG=1");
    }
    assert_int_equal(recv(fd, got, sizeof(got), 0), 10);
    assert_int_equal(close(fd), 0);
    dri_supervise_tell("STOPPING=1"); /* nobody is there any more */
    set("NOTIFY_SOCKET", "vsock:2:1");
    dri_supervise_tell("STOPPING=1");
    set("NOTIFY_SOCKET", NULL);
    dri_supervise_tell("STOPPING=1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_pulse_comes_twice_in_the_time_of_the_watchdog),
        cmocka_unit_test(telling_never_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

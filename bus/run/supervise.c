/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* supervise.c - a datagram to the socket that NOTIFY_SOCKET names.
 *
 * libsystemd was rejected: the protocol is one datagram, documented as stable, and the library
 * brings decompressors and a crypto library into a process that speaks to strangers. A socket is
 * made for each message, because messages are seconds apart and a descriptor that is kept is one
 * more to account for.
 *
 * Sending never waits: the poll loop pulses the watchdog, and a manager that does not read must
 * not be what makes the loop stand still.
 */
#include "supervise.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"

/* NOLINTBEGIN(concurrency-mt-unsafe): nobody sets the environment */

void dri_supervise_tell(const char *state)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = path == NULL ? 0 : strlen(path);
    if (len < 2 || len >= sizeof(address.sun_path) || (path[0] != '/' && path[0] != '@')) {
        return;
    }
    memcpy(address.sun_path, path, len);
    address.sun_path[0] = path[0] == '@' ? '\0' : path[0];
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return;
    }
    socklen_t address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    if (sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT,
               (const struct sockaddr *)&address, address_len) < 0) {
        DRI_LOG(DRI_LOG_WARN, "WRK-NOTIFY", "cannot tell the service manager",
                DRI_TEXT("socket", path), DRI_TEXT("reason", strerrordesc_np(errno)));
    }
    (void)close(fd);
}

void dri_supervise_tell_reloading(void)
{
    char text[96];
    (void)snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%llu",
                   (unsigned long long)(dri_clock_mono_ns() / 1000u));
    dri_supervise_tell(text);
}

static uint64_t number_of(const char *name)
{
    const char *text = getenv(name);
    char *end = NULL;
    if (text == NULL || text[0] < '0' || text[0] > '9') {
        return 0;
    }
    unsigned long long number = strtoull(text, &end, 10);
    return *end == '\0' ? number : 0;
}

uint64_t dri_supervise_interval_ns(void)
{
    uint64_t watched = number_of("WATCHDOG_PID");
    uint64_t usec = number_of("WATCHDOG_USEC");
    if ((watched != 0 && watched != (uint64_t)getpid()) || usec > UINT64_MAX / 1000u) {
        return 0;
    }
    return usec * 1000u / 2;
}

/* NOLINTEND(concurrency-mt-unsafe) */

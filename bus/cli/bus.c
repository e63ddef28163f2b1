/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* bus.c - a transport for tools, which wait where a worker turns.
 *
 * A wait ends by an event, by an interrupt (a descriptor of its own: a signal that comes between
 * the look at the flag and the sleep is not lost), by a watched descriptor, or by time. Transient
 * errors of the broker are remembered and waited out: the caller's own time-out decides.
 */
#include "bus.h"

#include <poll.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "mem.h"
#include "url.h"

#define CONNECT_MS   10000u
#define CLOSE_MS     3000u
#define EVENTS_MAX   128u
#define UNACKED_MAX  10000u
#define MEMORY_BYTES (UINT64_C(64) << 20)
#define FAULT_BYTES  512u

struct dri_bus {
    const struct dri_transport_ops *ops;
    struct dri_transport *transport; /* owned */
    int watched_fd;
    char fault[FAULT_BYTES];
};

/* A silent broker is named as the user has named it, with the question that mends it most often. */
static void say_why(const char *url, enum dray_status status, char *ret_text, size_t text_bytes)
{
    char why[FAULT_BYTES];
    char shown[FAULT_BYTES];
    snprintf(why, sizeof(why), "%s", ret_text[0] == '\0' ? dray_status_text(status) : ret_text);
    dri_url_redact(url, shown, sizeof(shown));
    if (status == DRAY_EBROKER || status == DRAY_ETIMEOUT) {
        snprintf(ret_text, text_bytes,
                 "%s cannot be reached: %s; does it run, and is `bus` (or --bus) its address?",
                 shown, why);
    } else {
        snprintf(ret_text, text_bytes, "%s", why);
    }
}

enum dray_status dri_bus_open(const struct dri_cli *cli, const struct dri_bus_config *config,
                              struct dri_bus **ret_bus, char *ret_text, size_t text_bytes)
{
    const struct dri_settings *settings = &cli->settings;
    struct dri_bus *bus = dri_zalloc(sizeof(*bus));
    char client_id[64];
    if (bus == NULL) {
        snprintf(ret_text, text_bytes, "%s", dray_status_text(DRAY_ENOMEM));
        return DRAY_ENOMEM;
    }
    bus->watched_fd = -1;
    snprintf(client_id, sizeof(client_id), "dray-cli-%ld", (long)getpid());
    struct dri_transport_config wanted = {
        .url = settings->bus,
        .group = config->group,
        .client_id = client_id,
        .sources = config->sources,
        .sources_count = config->sources_count,
        .topics = config->topics,
        .topics_count = config->topics_count,
        .can_create = settings->worker.create_topics,
        .partitions = settings->worker.partitions,
        .timeout_ms = CONNECT_MS,
        .unacked_max = UNACKED_MAX,
        .in_flight_max = UNACKED_MAX,
        .memory_bytes = MEMORY_BYTES,
        .options = settings->options,
        .options_count = settings->options_count,
    };
    ret_text[0] = '\0';
    enum dray_status status = dri_transport_for(settings->bus, &bus->ops, ret_text, text_bytes);
    if (status == DRAY_OK) {
        status = bus->ops->open(&wanted, &bus->transport, ret_text, text_bytes);
    }
    if (status != DRAY_OK) {
        say_why(settings->bus, status, ret_text, text_bytes);
        dri_free(bus);
        return status;
    }
    *ret_bus = bus;
    return DRAY_OK;
}

void dri_bus_close(struct dri_bus *bus)
{
    if (bus == NULL) {
        return;
    }
    bus->ops->close(bus->transport, CLOSE_MS);
    bus->ops->destroy(bus->transport);
    dri_free(bus);
}

static uint64_t deadline_of(uint64_t timeout_ms)
{
    uint64_t now_ns = dri_clock_mono_ns();
    return timeout_ms > (UINT64_MAX - now_ns) / 1000000u ? UINT64_MAX
                                                         : now_ns + timeout_ms * 1000000u;
}

/* Until something may have come, at most until deadline_ns. */
static void bus_wait(struct dri_bus *bus, uint64_t deadline_ns)
{
    uint64_t next_ns = bus->ops->next_deadline(bus->transport);
    uint64_t until_ns = next_ns < deadline_ns ? next_ns : deadline_ns;
    uint64_t now_ns = dri_clock_mono_ns();
    uint64_t wait_ns = until_ns > now_ns ? until_ns - now_ns : 0;
    wait_ns = wait_ns < UINT64_C(1000000000) ? wait_ns : UINT64_C(1000000000);
    struct pollfd fds[] = {
        {.fd = bus->ops->fd(bus->transport), .events = POLLIN},
        {.fd = dri_cli_interrupt_fd, .events = POLLIN},
        {.fd = bus->watched_fd, .events = POLLIN},
    };
    struct timespec timeout = {0, 0};
    timeout.tv_sec = (time_t)(wait_ns / 1000000000u);
    timeout.tv_nsec = (long)(wait_ns % 1000000000u);
    (void)ppoll(fds, 3, &timeout, NULL); /* EINTR is as good as an event */
}

/* One poll; the first fatal error counts, the rest of the events is shown all the same. */
static enum dray_status bus_turn(struct dri_bus *bus, dri_bus_event_fn *on_event, void *arg,
                                 bool *ret_more)
{
    struct dri_transport_event events[EVENTS_MAX];
    enum dray_status status = DRAY_OK;
    size_t count =
        bus->ops->poll(bus->transport, dri_clock_now(), EVENTS_MAX, events, EVENTS_MAX, ret_more);
    for (size_t i = 0; i < count; i++) {
        const struct dri_transport_event *event = &events[i];
        if (event->type == DRI_TE_ERROR) {
            snprintf(bus->fault, sizeof(bus->fault), "%.*s", (int)event->as.text.len,
                     event->as.text.at == NULL ? "" : (const char *)event->as.text.at);
            if (status == DRAY_OK && dray_status_class(event->status) != DRAY_CLASS_TRANSIENT) {
                status = event->status == DRAY_OK ? DRAY_EFATAL : event->status;
            }
        }
        if (on_event != NULL) {
            on_event(arg, event);
        }
    }
    return status;
}

enum dray_status dri_bus_run(struct dri_bus *bus, uint64_t timeout_ms, dri_bus_event_fn *on_event,
                             bool (*is_done)(void *arg), void *arg)
{
    uint64_t deadline_ns = deadline_of(timeout_ms);
    for (;;) {
        bool more = false;
        if (is_done != NULL && is_done(arg)) {
            return DRAY_OK;
        }
        if (dri_cli_interrupted != 0) {
            return DRAY_ECLOSED;
        }
        enum dray_status status = bus_turn(bus, on_event, arg, &more);
        if (status != DRAY_OK) {
            return status;
        }
        if (is_done != NULL && is_done(arg)) {
            return DRAY_OK;
        }
        if (dri_clock_mono_ns() >= deadline_ns) {
            return DRAY_ETIMEOUT;
        }
        if (!more) {
            bus_wait(bus, deadline_ns);
        }
    }
}

enum dray_status dri_bus_publish(struct dri_bus *bus, const struct dri_publish *publish,
                                 uint64_t timeout_ms, dri_bus_event_fn *on_event, void *arg)
{
    uint64_t deadline_ns = deadline_of(timeout_ms);
    while (bus->ops->publish(bus->transport, dri_clock_now(), publish, 1) == 0) {
        bool more = false;
        if (dri_cli_interrupted != 0) {
            return DRAY_ECLOSED;
        }
        enum dray_status status = bus_turn(bus, on_event, arg, &more);
        if (status != DRAY_OK) {
            return status;
        }
        if (dri_clock_mono_ns() >= deadline_ns) {
            return bus->fault[0] != '\0' ? DRAY_EBROKER : DRAY_ETIMEOUT;
        }
        if (!more) {
            bus_wait(bus, deadline_ns);
        }
    }
    return DRAY_OK;
}

void dri_bus_watch(struct dri_bus *bus, int fd)
{
    bus->watched_fd = fd;
}

const char *dri_bus_fault(const struct dri_bus *bus)
{
    return bus->fault;
}

struct dri_transport *dri_bus_transport(struct dri_bus *bus)
{
    return bus->transport;
}

const struct dri_transport_ops *dri_bus_ops(struct dri_bus *bus)
{
    return bus->ops;
}

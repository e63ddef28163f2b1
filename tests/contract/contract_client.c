/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "transport_contract.h"

#define EVENTS_MAX 512u
#define OPEN_MS    15000u
#define CLOSE_MS   5000u

struct contract_subject *contract_it;

static struct dri_now now(void)
{
    return contract_it->now != NULL ? contract_it->now(contract_it) : dri_clock_now();
}

const char *contract_name(const char *word)
{
    static char names[64][64];
    static unsigned int made;
    char *name = names[made % 64];
    (void)snprintf(name, 64, "%s_%d_%u", word, (int)getpid(), made);
    made++;
    return name;
}

/* --- life ----------------------------------------------------------------------------------- */

void contract_init(struct contract_client *client, const char *group)
{
    memset(client, 0, sizeof(*client));
    client->messages_max = EVENTS_MAX;
    client->lets_go = true;
    client->config = (struct dri_transport_config){
        .url = contract_it->url,
        .group = group,
        .client_id = "contract",
        .sources = client->sources,
        .topics = client->topics,
        .can_create = true,
        .partitions = contract_it->partitions,
        .timeout_ms = OPEN_MS,
        .unacked_max = 20000,
        .in_flight_max = 20000,
        .memory_bytes = 64u << 20,
        .options = client->options,
        .sim = contract_it->sim,
    };
    for (size_t i = 0; i < contract_it->options_count; i++) {
        contract_option(client, contract_it->options[i].name, contract_it->options[i].value);
    }
}

void contract_source(struct contract_client *client, const char *topic, enum dri_source_role role,
                     enum dri_start start, uint64_t offset)
{
    assert_in_range(client->config.sources_count, 0, CONTRACT_SOURCES_MAX - 1);
    client->sources[client->config.sources_count++] =
        (struct dri_source){topic, role, start, offset, 0};
}

void contract_topic(struct contract_client *client, const char *topic, enum dri_topic_use use)
{
    assert_in_range(client->config.topics_count, 0, CONTRACT_TOPICS_MAX - 1);
    client->topics[client->config.topics_count++] = (struct dri_topic){topic, use};
}

void contract_option(struct contract_client *client, const char *name, const char *value)
{
    assert_in_range(client->config.options_count, 0, CONTRACT_OPTIONS_MAX - 1);
    client->options[client->config.options_count++] = (struct dri_option){name, value};
}

void contract_open(struct contract_client *client)
{
    enum dray_status status = contract_it->ops->open(&client->config, &client->transport,
                                                     client->text, sizeof(client->text));
    if (status != DRAY_OK) {
        fail_msg("open: %s: %s", dray_status_name(status), client->text);
    }
}

void contract_open_group(struct contract_client *client, const char *group, const char *topic)
{
    contract_init(client, group);
    contract_source(client, topic, DRI_ROLE_COMMANDS, DRI_START_EARLIEST, 0);
    contract_topic(client, topic, DRI_USE_COMMANDS);
    contract_open(client);
}

void contract_open_producer(struct contract_client *client, const char *topic)
{
    contract_init(client, NULL);
    contract_topic(client, topic, DRI_USE_COMMANDS);
    contract_open(client);
}

void contract_open_log(struct contract_client *client, const char *topic, enum dri_start start,
                       uint64_t offset)
{
    contract_init(client, NULL);
    contract_source(client, topic, DRI_ROLE_LOG, start, offset);
    contract_topic(client, topic, DRI_USE_CONTROL);
    contract_open(client);
}

void contract_forget(struct contract_client *client)
{
    for (size_t i = 0; i < client->seen_count; i++) {
        free(client->seen[i].bytes);
    }
    client->seen_count = 0;
}

void contract_close(struct contract_client *client)
{
    if (client->transport != NULL) {
        contract_it->ops->close(client->transport, CLOSE_MS);
        contract_it->ops->destroy(client->transport);
        client->transport = NULL;
    }
}

void contract_fini(struct contract_client *client)
{
    contract_close(client);
    contract_forget(client);
    free(client->seen);
    client->seen = NULL;
    client->seen_max = 0;
}

/* --- events --------------------------------------------------------------------------------- */

static uint8_t *keep_slice(struct dray_slice *slice, uint8_t *put)
{
    if (slice->at == NULL) {
        return put;
    }
    memcpy(put, slice->at, slice->len);
    slice->at = put;
    return put + slice->len;
}

/** The slices of an event, copied into one block. */
static void keep(struct contract_seen *seen, const struct dri_transport_event *event)
{
    struct dray_slice *slices[4] = {NULL, NULL, NULL, NULL};
    size_t bytes = 1;
    seen->event = *event;
    switch (event->type) {
    case DRI_TE_ASSIGNED:
        slices[0] = &seen->event.as.assigned.metadata;
        slices[1] = &seen->event.as.assigned.origin;
        slices[2] = &seen->event.as.assigned.topic;
        break;
    case DRI_TE_MESSAGE:
        slices[0] = &seen->event.as.message.subject;
        slices[1] = &seen->event.as.message.key;
        slices[2] = &seen->event.as.message.value;
        slices[3] = &seen->event.as.message.headers;
        break;
    case DRI_TE_ERROR:
        slices[0] = &seen->event.as.text;
        break;
    default:
        break;
    }
    for (size_t i = 0; i < 4; i++) {
        bytes += slices[i] == NULL ? 0 : slices[i]->len;
    }
    seen->bytes = malloc(bytes);
    assert_non_null(seen->bytes);
    uint8_t *put = seen->bytes;
    for (size_t i = 0; i < 4 && slices[i] != NULL; i++) {
        put = keep_slice(slices[i], put);
    }
}

static void see(struct contract_client *client, const struct dri_transport_event *event)
{
    if (client->seen_count == client->seen_max) {
        client->seen_max = client->seen_max == 0 ? 64 : 2 * client->seen_max;
        client->seen = realloc(client->seen, client->seen_max * sizeof(client->seen[0]));
        assert_non_null(client->seen);
    }
    keep(&client->seen[client->seen_count++], event);
}

size_t contract_poll(struct contract_client *client)
{
    static struct dri_transport_event events[EVENTS_MAX];
    bool more = true;
    size_t total = 0;
    for (int i = 0; more && i < 16; i++) {
        size_t count = contract_it->ops->poll(client->transport, now(), client->messages_max,
                                              events, EVENTS_MAX, &more);
        for (size_t j = 0; j < count; j++) {
            see(client, &events[j]);
        }
        for (size_t j = 0; j < count && client->lets_go; j++) {
            if (events[j].type == DRI_TE_REVOKED) {
                contract_it->ops->unassign(client->transport, events[j].slot, events[j].epoch);
            }
        }
        total += count;
    }
    return total;
}

size_t contract_count(const struct contract_client *client, enum dri_transport_event_type type)
{
    size_t count = 0;
    for (size_t i = 0; i < client->seen_count; i++) {
        count += client->seen[i].event.type == type ? 1 : 0;
    }
    return count;
}

const struct dri_transport_event *contract_event(const struct contract_client *client,
                                                 enum dri_transport_event_type type, size_t n)
{
    for (size_t i = 0; i < client->seen_count; i++) {
        if (client->seen[i].event.type == type && n-- == 0) {
            return &client->seen[i].event;
        }
    }
    fail_msg("no such event of type %d", (int)type);
    return NULL;
}

/* --- waiting -------------------------------------------------------------------------------- */

static void wait_for_news(struct dri_transport *const *transports, size_t count, uint64_t until_ns)
{
    struct pollfd fds[2];
    uint64_t next_ns = until_ns, now_ns = dri_clock_mono_ns();
    nfds_t fds_count = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t deadline_ns = contract_it->ops->next_deadline(transports[i]);
        int fd = contract_it->ops->fd(transports[i]);
        next_ns = deadline_ns < next_ns ? deadline_ns : next_ns;
        if (fd >= 0) {
            fds[fds_count++] = (struct pollfd){fd, POLLIN, 0};
        }
    }
    if (next_ns > now_ns) {
        (void)poll(fds, fds_count, (int)((next_ns - now_ns) / 1000000u) + 1);
    }
}

static void wait_both(const struct contract_client *client, const struct contract_client *other,
                      uint64_t until_ns)
{
    struct dri_transport *transports[2] = {client->transport, NULL};
    size_t count = 1;
    if (other != NULL && other->transport != NULL) {
        transports[count++] = other->transport;
    }
    if (contract_it->wait != NULL) {
        contract_it->wait(contract_it, transports, count, until_ns);
    } else {
        wait_for_news(transports, count, until_ns);
    }
}

/** One round. False: the time is over. */
static bool turn(struct contract_client *client, struct contract_client *other, uint64_t until_ns)
{
    size_t got = contract_poll(client);
    if (other != NULL && other->transport != NULL) {
        got += contract_poll(other);
    }
    if (now().mono_ns >= until_ns) {
        return false;
    }
    if (got == 0) {
        wait_both(client, other, until_ns);
    }
    return true;
}

void contract_await_that(struct contract_client *client, struct contract_client *other,
                         contract_condition_fn *condition, void *arg, const char *what)
{
    uint64_t patience = contract_it->patience_ms == 0 ? 90000 : contract_it->patience_ms;
    uint64_t until_ns = now().mono_ns + patience * 1000000u;
    while (!condition(arg)) {
        if (!turn(client, other, until_ns) && !condition(arg)) {
            for (size_t i = 0; i < client->seen_count; i++) {
                const struct dri_transport_event *event = &client->seen[i].event;
                if (event->type == DRI_TE_ERROR) {
                    print_error("error event: %.*s\n", (int)event->as.text.len,
                                (const char *)event->as.text.at);
                }
            }
            fail_msg("waited %u ms for %s", (unsigned int)patience, what);
        }
    }
}

struct wanted {
    const struct contract_client *client;
    enum dri_transport_event_type type;
    size_t count;
};

static bool has_wanted(void *arg)
{
    const struct wanted *wanted = arg;
    return contract_count(wanted->client, wanted->type) >= wanted->count;
}

void contract_await(struct contract_client *client, enum dri_transport_event_type type,
                    size_t count, struct contract_client *other)
{
    static const char *const words[] = {
        [DRI_TE_ASSIGNED] = "ASSIGNED",   [DRI_TE_REVOKED] = "REVOKED",
        [DRI_TE_LOST] = "LOST",           [DRI_TE_MESSAGE] = "MESSAGE",
        [DRI_TE_CAUGHT_UP] = "CAUGHT_UP", [DRI_TE_PUBLISHED] = "PUBLISHED",
        [DRI_TE_SETTLED] = "SETTLED",     [DRI_TE_ERROR] = "ERROR",
    };
    struct wanted wanted = {client, type, count};
    char what[64];
    (void)snprintf(what, sizeof(what), "%zu of %s", count, words[type]);
    contract_await_that(client, other, has_wanted, &wanted, what);
}

void contract_watch(struct contract_client *client, struct contract_client *other)
{
    uint64_t quiet = contract_it->quiet_ms == 0 ? 300 : contract_it->quiet_ms;
    uint64_t until_ns = now().mono_ns + quiet * 1000000u;
    while (turn(client, other, until_ns)) {
    }
}

/* --- publish and settle --------------------------------------------------------------------- */

struct handing {
    struct contract_client *client;
    const struct dri_publish *message;
};

static bool is_taken(void *arg)
{
    struct handing *handing = arg;
    return contract_it->ops->publish(handing->client->transport, now(), handing->message, 1) == 1;
}

void contract_publish(struct contract_client *client, const struct dri_publish *message)
{
    struct handing handing = {client, message};
    contract_await_that(client, NULL, is_taken, &handing, "room for a publish");
}

void contract_fill(struct contract_client *client, const char *topic, size_t count)
{
    size_t before = contract_count(client, DRI_TE_PUBLISHED);
    for (size_t i = 0; i < count; i++) {
        char value[24], key[8];
        (void)snprintf(value, sizeof(value), "%zu", i);
        (void)snprintf(key, sizeof(key), "k%zu", i % 7);
        struct dri_publish message = {
            .token = i,
            .topic = dray_slice_text(topic),
            .partition = -1,
            .key = dray_slice_text(key),
            .value = dray_slice_text(value),
        };
        contract_publish(client, &message);
    }
    contract_await(client, DRI_TE_PUBLISHED, before + count, NULL);
    for (size_t i = 0; i < count; i++) {
        const struct dri_transport_event *event =
            contract_event(client, DRI_TE_PUBLISHED, before + i);
        assert_int_equal(event->as.published.ack, DRI_ACK_STORED);
        if (count > 1000) {
            break; /* contract_event walks: the big case looks for itself */
        }
    }
}

void contract_settle(struct contract_client *client, const struct dri_transport_event *message)
{
    struct dri_settle settle = {
        .slot = message->slot,
        .epoch = message->epoch,
        .position = message->as.message.offset + 1,
        .delivery = message->as.message.delivery,
    };
    contract_it->ops->settle(client->transport, now(), &settle, 1);
}

struct answer {
    const struct contract_client *client;
    uint32_t slot;
    uint64_t position;
};

static bool is_answered(void *arg)
{
    const struct answer *answer = arg;
    for (size_t i = 0; i < answer->client->seen_count; i++) {
        const struct dri_transport_event *event = &answer->client->seen[i].event;
        if (event->type == DRI_TE_SETTLED && event->slot == answer->slot &&
            event->as.position >= answer->position) {
            return true;
        }
    }
    return false;
}

void contract_settle_first(struct contract_client *client, size_t count)
{
    struct answer answer = {client, 0, 0};
    size_t seen_count = client->seen_count;
    for (size_t i = 0; i < seen_count && count > 0; i++) {
        struct dri_transport_event event = client->seen[i].event;
        if (event.type != DRI_TE_MESSAGE) {
            continue;
        }
        contract_settle(client, &event);
        count--;
        answer.slot = event.slot;
        answer.position = event.as.message.offset + 1;
        if (contract_it->mode == DRI_SETTLE_WATERMARK) {
            contract_await_that(client, NULL, is_answered, &answer, "the answer to a settle");
        }
    }
    assert_int_equal(count, 0);
}

size_t contract_number(const struct dri_transport_event *message)
{
    char text[24] = "";
    struct dray_slice value = message->as.message.value;
    assert_in_range(value.len, 1, sizeof(text) - 1);
    memcpy(text, value.at, value.len);
    return (size_t)strtoul(text, NULL, 10);
}

/* --- headers -------------------------------------------------------------------------------- */

size_t contract_header(uint8_t *flat, size_t len, const char *name, const void *value,
                       size_t value_len)
{
    size_t name_len = strlen(name);
    flat[len] = (uint8_t)name_len;
    flat[len + 1] = (uint8_t)(name_len >> 8);
    for (size_t i = 0; i < name_len; i++) {
        flat[len + 2 + i] = (uint8_t)name[i];
    }
    len += 2 + name_len;
    for (int i = 0; i < 4; i++) {
        flat[len++] = (uint8_t)(value_len >> (8 * i));
    }
    memcpy(flat + len, value, value_len);
    return len + value_len;
}

struct dray_slice contract_find_header(struct dray_slice flat, const char *name, size_t n)
{
    size_t at = 0;
    while (flat.at != NULL && at + 6 <= flat.len) {
        size_t name_len = (size_t)(flat.at[at] | flat.at[at + 1] << 8);
        const uint8_t *size = flat.at + at + 2 + name_len;
        uint32_t value_len = 0;
        for (int i = 3; i >= 0; i--) {
            value_len = value_len << 8 | size[i];
        }
        value_len = value_len == UINT32_MAX ? 0 : value_len;
        if (strlen(name) == name_len && memcmp(flat.at + at + 2, name, name_len) == 0 && n-- == 0) {
            return dray_slice_of(size + 4, value_len);
        }
        at += 6 + name_len + value_len;
    }
    return (struct dray_slice){NULL, 0};
}

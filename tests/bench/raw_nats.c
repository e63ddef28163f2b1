/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* raw_nats.c - the limit on JetStream: pulls, publishes with acknowledgement, acks, nothing else.
 *
 * raw_nats URL STREAM CONSUMER RESULTS COUNT: pulls in windows through an inbox of its own (the
 * library's fetch of 3.4.1 overruns its heap), publishes one 100-byte result for each command and
 * acks the command when the result was acknowledged. At most WINDOW results are on the way.
 */
#include <nats/nats.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define WINDOW       1000
#define PULL         500
#define RESULT_BYTES 100
#define SECOND       1000000000ull

static unsigned long long now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (unsigned long long)now.tv_sec * SECOND + (unsigned long long)now.tv_nsec;
}

static void check(natsStatus status, const char *what)
{
    if (status != NATS_OK) {
        fprintf(stderr, "raw_nats: %s: %s\n", what, natsStatus_GetText(status));
        exit(1);
    }
}

struct loop {
    natsConnection *connection;
    natsSubscription *pulled, *acked;
    char pulled_inbox[64], acked_inbox[64], next_subject[256];
    natsMsg *pending[WINDOW]; /* command by number of its result */
    size_t sent, done, pulls_open;
};

static void pull(struct loop *loop)
{
    char request[96];
    int len = snprintf(request, sizeof(request), "{\"batch\":%d,\"expires\":5000000000}", PULL);
    check(natsConnection_PublishRequest(loop->connection, loop->next_subject, loop->pulled_inbox,
                                        request, len),
          "pull");
    loop->pulls_open += PULL;
}

static void send_result(struct loop *loop, natsMsg *command, const char *results)
{
    static char result[RESULT_BYTES];
    char reply[96];
    snprintf(reply, sizeof(reply), "%s.%zu", loop->acked_inbox, loop->sent);
    check(natsConnection_PublishRequest(loop->connection, results, reply, result, sizeof(result)),
          "publish");
    loop->pending[loop->sent % WINDOW] = command;
    loop->sent++;
}

/* Take acknowledgements of results; ack their commands. */
static void take_acks(struct loop *loop, int64_t timeout_ms)
{
    natsMsg *ack = NULL;
    while (natsSubscription_NextMsg(&ack, loop->acked, timeout_ms) == NATS_OK) {
        size_t number = strtoul(strrchr(natsMsg_GetSubject(ack), '.') + 1, NULL, 10);
        if (strstr(natsMsg_GetData(ack), "\"error\"") != NULL || natsMsg_IsNoResponders(ack)) {
            fprintf(stderr, "raw_nats: result refused: %s\n", natsMsg_GetData(ack));
            exit(1);
        }
        natsMsg *command = loop->pending[number % WINDOW];
        check(natsConnection_Publish(loop->connection, natsMsg_GetReply(command), "+ACK", 4),
              "ack");
        natsMsg_Destroy(command);
        natsMsg_Destroy(ack);
        loop->done++;
        timeout_ms = 0;
    }
}

static void open_loop(struct loop *loop, char **argv)
{
    natsOptions *options = NULL;
    natsInbox *inbox = NULL;
    check(natsOptions_Create(&options), "options");
    check(natsOptions_SetURL(options, argv[1]), "url");
    check(natsConnection_Connect(&loop->connection, options), "connect");
    natsOptions_Destroy(options);
    check(natsInbox_Create(&inbox), "inbox");
    snprintf(loop->pulled_inbox, sizeof(loop->pulled_inbox), "%s", inbox);
    natsInbox_Destroy(inbox);
    check(natsInbox_Create(&inbox), "inbox");
    snprintf(loop->acked_inbox, sizeof(loop->acked_inbox), "%s", inbox);
    natsInbox_Destroy(inbox);
    char wild[80];
    snprintf(wild, sizeof(wild), "%s.*", loop->acked_inbox);
    check(natsConnection_SubscribeSync(&loop->pulled, loop->connection, loop->pulled_inbox),
          "subscribe");
    check(natsConnection_SubscribeSync(&loop->acked, loop->connection, wild), "subscribe");
    snprintf(loop->next_subject, sizeof(loop->next_subject), "$JS.API.CONSUMER.MSG.NEXT.%s.%s",
             argv[2], argv[3]);
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: raw_nats URL STREAM CONSUMER RESULTS COUNT\n");
        return 2;
    }
    static struct loop loop;
    size_t count = strtoul(argv[5], NULL, 10);
    unsigned long long first = 0;
    open_loop(&loop, argv);
    while (loop.done < count) {
        if (loop.pulls_open < PULL) {
            pull(&loop);
        }
        natsMsg *message = NULL;
        int64_t wait_ms = first == 0 ? 1000 : 0;
        while (loop.sent - loop.done < WINDOW &&
               natsSubscription_NextMsg(&message, loop.pulled, wait_ms) == NATS_OK) {
            if (natsMsg_GetReply(message) == NULL) { /* a status: this pull has ended */
                loop.pulls_open = 0;
                natsMsg_Destroy(message);
                break;
            }
            first = first == 0 ? now_ns() : first;
            loop.pulls_open -= loop.pulls_open > 0 ? 1 : 0;
            send_result(&loop, message, argv[4]);
            wait_ms = 0;
        }
        take_acks(&loop, loop.sent > loop.done ? 1 : 0);
    }
    check(natsConnection_FlushTimeout(loop.connection, 10000), "flush");
    double seconds = (double)(now_ns() - first) / 1e9;
    printf("{\"loop\":\"raw_nats\",\"commands\":%zu,\"seconds\":%.3f,\"per_second\":%.0f}\n",
           loop.done, seconds, (double)loop.done / seconds);
    natsSubscription_Destroy(loop.pulled);
    natsSubscription_Destroy(loop.acked);
    natsConnection_Destroy(loop.connection);
    nats_Close();
    return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* bench_wire - what reading an envelope and writing a result cost, beside msgpack-c on the same
 * bytes.
 *
 * Text for people on stderr, one JSON line on stdout. Each figure is the best of several rounds:
 * the other rounds measure the machine.
 */

#include <msgpack.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "wire/envelope.h"
#include "wire/json.h"
#include "wire/payload.h"
#include "wire/result.h"
#include "wire/scanner.h"

#define ROUNDS 9
#define CALLS  200000

/* Envelopes in turn, so that branches are not learned from one message. */
#define MESSAGES 64

struct bench {
    uint8_t bytes[MESSAGES][512];
    struct dray_slice messages[MESSAGES];
    struct dri_result result;
    struct dri_payload_arena *arena;
    uint64_t sink;
};

typedef void bench_fn(struct bench *bench, unsigned i);

static void envelope_decode(struct bench *bench, unsigned i)
{
    const struct dri_wire_limits limits = DRI_WIRE_LIMITS_DEFAULT;
    struct dri_envelope envelope;
    struct dri_wire_error error;

    if (dri_envelope_decode(bench->messages[i % MESSAGES], &limits, &envelope, &error) != DRAY_OK) {
        (void)fprintf(stderr, "\"%s\" %s\n", error.field, error.text);
        exit(1);
    }
    bench->sink += envelope.id.len + envelope.deadline_ms;
}

static void envelope_scan(struct bench *bench, unsigned i)
{
    const struct dri_wire_limits limits = DRI_WIRE_LIMITS_DEFAULT;
    struct dri_scanner scanner;
    struct dray_slice value;

    dri_scanner_init(&scanner, bench->messages[i % MESSAGES], &limits);
    if (dri_scanner_skip(&scanner, &value) != DRAY_OK) {
        exit(1);
    }
    bench->sink += value.len;
}

static void envelope_objects(struct bench *bench, unsigned i)
{
    struct dray_slice message = bench->messages[i % MESSAGES];
    msgpack_unpacked unpacked;

    msgpack_unpacked_init(&unpacked);
    if (msgpack_unpack_next(&unpacked, (const char *)message.at, message.len, NULL) !=
        MSGPACK_UNPACK_SUCCESS) {
        exit(1);
    }
    bench->sink += unpacked.data.via.map.size;
    msgpack_unpacked_destroy(&unpacked);
}

static void envelope_arena(struct bench *bench, unsigned i)
{
    const void *object;

    if (dri_payload_unpack(bench->arena, bench->messages[i % MESSAGES], &object) != DRAY_OK) {
        exit(1);
    }
    bench->sink += ((const msgpack_object *)object)->via.map.size;
}

static void envelope_encode(struct bench *bench, unsigned i)
{
    const struct dri_envelope envelope = {.id = dray_slice_of(bench->bytes[i % MESSAGES], 16),
                                          .is_id_binary = true,
                                          .command = dray_slice_text("order.create"),
                                          .key = dray_slice_text("customer-17"),
                                          .created_ms = UINT64_C(1767225600000),
                                          .deadline_ms = UINT64_C(1767225660000),
                                          .payload = dray_slice_text("\x81\xa1x\x01")};
    uint8_t buffer[512];
    size_t len;

    if (dri_envelope_encode(&envelope, buffer, sizeof(buffer), &len) != DRAY_OK) {
        exit(1);
    }
    bench->sink += len + buffer[len - 1];
}

static void result_encode(struct bench *bench, unsigned i)
{
    uint8_t buffer[512];
    size_t len;

    bench->result.ts_ms = UINT64_C(1767225600000) + i;
    if (dri_result_encode(&bench->result, buffer, sizeof(buffer), &len) != DRAY_OK) {
        exit(1);
    }
    bench->sink += len + buffer[len - 1];
}

struct sink_buffer {
    char bytes[512];
    size_t len;
};

static int sink_write(void *data, const char *bytes, size_t len)
{
    struct sink_buffer *sink = (struct sink_buffer *)data;

    if (len > sizeof(sink->bytes) - sink->len) {
        return -1;
    }
    memcpy(sink->bytes + sink->len, bytes, len);
    sink->len += len;
    return 0;
}

static void pack_text(msgpack_packer *pack, const char *text)
{
    (void)msgpack_pack_str(pack, strlen(text));
    (void)msgpack_pack_str_body(pack, text, strlen(text));
}

static void pack_slice(msgpack_packer *pack, struct dray_slice text)
{
    (void)msgpack_pack_str(pack, text.len);
    (void)msgpack_pack_str_body(pack, text.at, text.len);
}

/* The same bytes as result_encode. */
static void result_pack(struct bench *bench, unsigned i)
{
    struct sink_buffer sink = {.len = 0};
    msgpack_packer pack;

    msgpack_packer_init(&pack, &sink, sink_write);
    (void)msgpack_pack_map(&pack, 10);
    pack_text(&pack, "v");
    (void)msgpack_pack_uint64(&pack, 1);
    pack_text(&pack, "id");
    (void)msgpack_pack_bin(&pack, 16);
    (void)msgpack_pack_bin_body(&pack, bench->result.id.at, 16);
    pack_text(&pack, "cmd");
    pack_slice(&pack, bench->result.command);
    pack_text(&pack, "ver");
    pack_slice(&pack, bench->result.version);
    pack_text(&pack, "status");
    pack_text(&pack, "ok");
    pack_text(&pack, "result");
    (void)sink_write(&sink, (const char *)bench->result.result.at, bench->result.result.len);
    pack_text(&pack, "attempt");
    (void)msgpack_pack_uint64(&pack, 1);
    pack_text(&pack, "worker");
    pack_slice(&pack, bench->result.worker);
    pack_text(&pack, "ts");
    (void)msgpack_pack_uint64(&pack, UINT64_C(1767225600000) + i);
    pack_text(&pack, "us");
    (void)msgpack_pack_uint64(&pack, bench->result.us);
    bench->sink += sink.len + (uint8_t)sink.bytes[sink.len - 1];
}

static double best_ns(struct bench *bench, bench_fn *function)
{
    double best = 0;

    for (int round = 0; round < ROUNDS; round++) {
        uint64_t begin = dri_clock_mono_ns();
        double ns;

        for (unsigned i = 0; i < CALLS; i++) {
            function(bench, i);
        }
        ns = (double)(dri_clock_mono_ns() - begin) / CALLS;
        if (round == 0 || ns < best) {
            best = ns;
        }
    }
    return best;
}

/* Typical envelopes of about 200 bytes. Their lengths, keys and payloads differ a little. */
static void messages_make(struct bench *bench)
{
    for (unsigned i = 0; i < MESSAGES; i++) {
        const struct dri_wire_limits limits = DRI_WIRE_LIMITS_DEFAULT;
        struct dri_envelope envelope;
        struct dri_wire_error error;
        uint8_t random[10] = {(uint8_t)i, 2, 3, 4, 5, 6, 7, 8, 9, 10};
        uint8_t id[16];
        char key[32];
        char json[256];
        uint8_t *payload = NULL;
        size_t len = 0;

        memset(&envelope, 0, sizeof(envelope));
        dri_uuid7(UINT64_C(1767225600000) + i, random, id);
        (void)snprintf(key, sizeof(key), "customer-%u", i * 37);
        (void)snprintf(
            json, sizeof(json),
            "{\"order\":%u,\"items\":[{\"sku\":\"A-%u\",\"n\":2},{\"sku\":\"B-7\",\"n\":1}],"
            "\"total\":%u.5,\"express\":%s,\"note\":\"leave at the back door\"}",
            i * 1000, i, i * 3, i % 3 == 0 ? "true" : "false");
        if (dri_json_to_msgpack(dray_slice_text(json), &limits, &payload, &len, &error) !=
            DRAY_OK) {
            exit(1);
        }
        envelope.id = dray_slice_of(id, sizeof(id));
        envelope.is_id_binary = true;
        envelope.command = dray_slice_text("order.create");
        envelope.key = dray_slice_text(key);
        envelope.created_ms = UINT64_C(1767225600000) + i;
        envelope.deadline_ms = UINT64_C(1767225660000) + i;
        envelope.reply_to = dray_slice_text("results.shop");
        envelope.payload = dray_slice_of(payload, len);
        if (dri_envelope_encode(&envelope, bench->bytes[i], sizeof(bench->bytes[i]), &len) !=
            DRAY_OK) {
            exit(1);
        }
        bench->messages[i] = dray_slice_of(bench->bytes[i], len);
        dri_text_fini(&(struct dri_text){.at = (char *)payload});
    }
}

int main(void)
{
    static struct bench bench;
    static const struct {
        const char *name;
        const char *text;
        bench_fn *function;
    } benches[] = {
        {"envelope_decode_ns", "envelope, our cursor", envelope_decode},
        {"envelope_msgpack_c_ns", "envelope, msgpack_unpack_next", envelope_objects},
        {"envelope_arena_ns", "envelope as objects, scanner + arena", envelope_arena},
        {"envelope_scan_ns", "envelope, scanner only", envelope_scan},
        {"envelope_encode_ns", "envelope written, direct", envelope_encode},
        {"result_encode_ns", "result written, direct", result_encode},
        {"result_msgpack_c_ns", "result written, msgpack_packer", result_pack},
    };

    messages_make(&bench);
    bench.result = (struct dri_result){.id = dray_slice_of(bench.bytes[0], 16),
                                       .is_id_binary = true,
                                       .command = dray_slice_text("order.create"),
                                       .version = dray_slice_text("1.0.0"),
                                       .is_ok = true,
                                       .result = dray_slice_text("\x81\xa5total\xcd\x01\x2c"),
                                       .attempt = 1,
                                       .worker = dray_slice_text("host-1a2b3c4d"),
                                       .us = 42};
    if (dri_payload_arena_create(65536, &bench.arena) != DRAY_OK) {
        return 1;
    }
    (void)fprintf(stderr, "envelope of %zu bytes\n", bench.messages[0].len);
    (void)printf("{\"bench\":\"wire\",\"envelope_bytes\":%zu", bench.messages[0].len);
    for (size_t i = 0; i < sizeof(benches) / sizeof(benches[0]); i++) {
        double ns = best_ns(&bench, benches[i].function);

        (void)fprintf(stderr, "%-38s %7.1f ns\n", benches[i].text, ns);
        (void)printf(",\"%s\":%.1f", benches[i].name, ns);
    }
    (void)printf(",\"sink\":%llu}\n", (unsigned long long)bench.sink);
    dri_payload_arena_destroy(bench.arena);
    return 0;
}

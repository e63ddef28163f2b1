/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* text.c - text.digest: counts the words of a text and hashes it; a job that takes real processor
 * time.
 *
 * Words are runs of ASCII letters and digits and of anything beyond ASCII. They are sorted, not
 * hashed into a table: the text comes from a stranger, and sorting has no bad case that he could
 * choose. `rounds` is the dial for processor time: a million take a good part of a second. Between
 * portions of work the handler asks whether to stop, so that it ends soon after its deadline. A
 * sample for: processor work, cooperative cancellation, memory by the call, a library in a module.
 */

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include <dray/handler.h>
#include <dray/reader.h>
#include <dray/writer.h>

#include "signatures.h"

#define TEXT_MAX         1000000
#define TOP_MAX          100
#define ROUNDS_A_PORTION 4096
#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

struct job {
    struct dray_slice text;
    uint64_t top;
    uint64_t rounds;
};

static const struct dray_field job_fields[] = {
    DRAY_REQUIRED(struct job, text, TEXT, 0, TEXT_MAX),
    DRAY_OPTIONAL(struct job, top, UINT, 0, TOP_MAX),
    DRAY_OPTIONAL(struct job, rounds, UINT, 0, 100000000),
};

struct word {
    struct dray_slice text;
    uint64_t count;
};

struct count {
    uint64_t words;
    uint64_t distinct;
    struct word top[TOP_MAX];
    size_t top_len;
};

/* ---- words ---- */

static bool is_word(uint8_t c)
{
    return c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static void fold(uint8_t *to, struct dray_slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.at[i];

        to[i] = c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
    }
}

/* The words of a text into words, in order; NULL counts only. */
static size_t split(struct dray_slice text, struct dray_slice *words)
{
    size_t count = 0;
    size_t i = 0;

    while (i < text.len) {
        size_t begin;

        while (i < text.len && !is_word(text.at[i])) {
            i++;
        }
        begin = i;
        while (i < text.len && is_word(text.at[i])) {
            i++;
        }
        if (i > begin) {
            if (words != NULL) {
                words[count] = dray_slice_of(text.at + begin, i - begin);
            }
            count++;
        }
    }
    return count;
}

static int compare(const void *left, const void *right)
{
    const struct dray_slice *a = left;
    const struct dray_slice *b = right;
    int order = memcmp(a->at, b->at, a->len < b->len ? a->len : b->len);

    return order != 0 ? order : (a->len > b->len) - (a->len < b->len);
}

/* Words come in the order of their bytes, so of equal counts the first stays first. */
static void offer(struct count *count, size_t top_max, struct word word)
{
    size_t at = count->top_len;

    count->distinct++;
    if (at == top_max) {
        if (at == 0 || count->top[at - 1].count >= word.count) {
            return;
        }
        at--;
    } else {
        count->top_len++;
    }
    while (at > 0 && count->top[at - 1].count < word.count) {
        count->top[at] = count->top[at - 1];
        at--;
    }
    count->top[at] = word;
}

static void count_sorted(const struct dray_slice *words, size_t words_len, size_t top_max,
                         struct count *ret_count)
{
    size_t i = 0;

    ret_count->words = words_len;
    while (i < words_len) {
        struct word word = {words[i], 0};

        while (i < words_len && dray_slice_equal(words[i], word.text)) {
            word.count++;
            i++;
        }
        offer(ret_count, top_max, word);
    }
}

/* ---- the digest ---- */

static bool hash(struct dray_call *call, const struct job *job,
                 uint8_t digest[crypto_hash_sha256_BYTES])
{
    (void)crypto_hash_sha256(digest, job->text.at, job->text.len);
    for (uint64_t i = 0; i < job->rounds; i++) {
        if (i % ROUNDS_A_PORTION == 0 && dray_call_is_cancelled(call)) {
            return false;
        }
        (void)crypto_hash_sha256(digest, digest, crypto_hash_sha256_BYTES);
    }
    return true;
}

static void write_result(struct dray_writer *result, const struct job *job,
                         const struct count *count, const uint8_t digest[crypto_hash_sha256_BYTES])
{
    char hex[2 * crypto_hash_sha256_BYTES + 1];

    dray_write_map(result, 5);
    dray_write_text(result, "bytes");
    dray_write_uint(result, job->text.len);
    dray_write_text(result, "words");
    dray_write_uint(result, count->words);
    dray_write_text(result, "distinct");
    dray_write_uint(result, count->distinct);
    dray_write_text(result, "top");
    dray_write_array(result, (uint32_t)count->top_len);
    for (size_t i = 0; i < count->top_len; i++) {
        dray_write_map(result, 2);
        dray_write_text(result, "word");
        dray_write_slice(result, count->top[i].text);
        dray_write_text(result, "count");
        dray_write_uint(result, count->top[i].count);
    }
    dray_write_text(result, "sha256");
    dray_write_text(result, sodium_bin2hex(hex, sizeof(hex), digest, crypto_hash_sha256_BYTES));
}

static enum dray_error_kind digest_text(struct dray_call *call)
{
    struct job job = {.top = 10, .rounds = 1000};
    struct count count = {.words = 0};
    uint8_t digest[crypto_hash_sha256_BYTES];
    struct dray_reader reader;
    struct dray_slice folded;
    struct dray_slice *words;
    uint8_t *copy;
    size_t words_len;
    bool is_done;

    dray_reader_init(&reader, call->payload);
    if (dray_read_fields(&reader, job_fields, ARRAY_LEN(job_fields), &job) != DRAY_OK) {
        return dray_call_fail(call, DRAY_KIND_INVALID, "payload", dray_reader_error(&reader));
    }
    words_len = split(job.text, NULL);
    copy = malloc(job.text.len + 1);
    words = calloc(words_len + 1, sizeof(*words));
    if (copy == NULL || words == NULL) {
        free(copy);
        free(words);
        return dray_call_fail(call, DRAY_KIND_UNAVAILABLE, "memory", "out of memory");
    }
    fold(copy, job.text);
    folded = dray_slice_of(copy, job.text.len);
    (void)split(folded, words);
    qsort(words, words_len, sizeof(*words), compare);
    count_sorted(words, words_len, (size_t)job.top, &count);
    is_done = hash(call, &job, digest);
    if (is_done) {
        write_result(&call->result, &job, &count, digest);
    }
    free(copy);
    free(words);
    return is_done ? DRAY_KIND_NONE
                   : dray_call_fail(call, DRAY_KIND_TIMEOUT, "", "stopped before the last round");
}

/* ---- the module ---- */

static enum dray_status begin(const struct dray_module_env *env, void **ret_user)
{
    (void)ret_user;
    if (sodium_init() < 0) {
        env->log(3, "libsodium cannot be used here");
        return DRAY_EUNSUPPORTED;
    }
    return DRAY_OK;
}

static const struct dray_handler handlers[] = {
    {
        .command = "text.digest",
        .version = "1.0.0",
        .signature = DRAY_SIGNATURE_TEXT_DIGEST_1_0_0,
        .name = "text_digest",
        .fn = digest_text,
        .run = DRAY_RUN_LANE,
    },
};

DRAY_MODULE = {
    DRAY_MODULE_HEAD,     .name = "text",      .build = "1.0.0",
    .handlers = handlers, .handlers_count = 1, .open = begin,
};

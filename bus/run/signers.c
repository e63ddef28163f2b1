/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* signers.c - the rule by which a signed control record is judged.
 *
 * All replicas have to come to one registry, whenever they read. So nothing is compared with a
 * clock: a record has expired when the broker stored it after its time, and the broker's stamp is
 * stored with it. A stamp that the writer could choose is none, for who replays a record would
 * choose it. What a signer may sign is bound to revisions, not to the day on which a configuration
 * was changed: a key that is taken out of use keeps what it has signed.
 *
 * A sequence number is used up by every record that is authentic, fresh and here, whatever else is
 * said of it: one that lost a race (base 0, and somebody had been faster) must not come back when
 * its bases happen to match again. Rejected: windows of numbers that may come out of order; a
 * writer who finds his number passed by signs again, he still has the key.
 */
#include "signers.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "assert.h"
#include "clock.h"
#include "settings.h"
#include "sha256.h"

_Static_assert(DRI_SIGN_KEY_BYTES == crypto_sign_PUBLICKEYBYTES, "keys of Ed25519");
_Static_assert(DRI_SIGNATURE_BYTES == crypto_sign_BYTES, "signatures of Ed25519");

static const char *const distrust_texts[] = {[DRI_TRUSTED] = "",
#define DISTRUST_TEXT(name, text) [DRI_DISTRUST_##name] = (text),
                                             DRI_DISTRUST_TABLE(DISTRUST_TEXT)
#undef DISTRUST_TEXT
};

const char *dri_distrust_text(enum dri_distrust distrust)
{
    return distrust_texts[distrust];
}

static bool is_kid_sign(char sign)
{
    return (sign >= 'a' && sign <= 'z') || (sign >= 'A' && sign <= 'Z') ||
           (sign >= '0' && sign <= '9') || (sign != '\0' && strchr("_.-", sign) != NULL);
}

bool dri_kid_is_valid(struct dray_slice kid)
{
    const char *at = (const char *)kid.at;
    bool is_valid = kid.len >= 1 && kid.len <= DRI_KID_BYTES_MAX;
    for (size_t i = 0; is_valid && i < kid.len; i++) {
        is_valid = is_kid_sign(at[i]);
    }
    return is_valid;
}

const struct dri_signer *dri_signers_find(const struct dri_signers *signers, struct dray_slice kid)
{
    for (size_t i = 0; i < signers->count; i++) {
        if (dray_slice_equal_text(kid, signers->items[i].kid)) {
            return &signers->items[i];
        }
    }
    return NULL;
}

bool dri_signers_wants_signature(const struct dri_signers *signers, uint64_t revision)
{
    return signers->count > 0 && signers->is_required && revision >= signers->signed_from;
}

uint64_t dri_signers_seq(const struct dri_signers *signers, const struct dri_signers_seen *seen,
                         struct dray_slice kid)
{
    const struct dri_signer *signer = dri_signers_find(signers, kid);
    return signer == NULL ? 0 : seen->seqs[signer - signers->items];
}

/* ---- the text ---- */

/* Up to the separator or the end; moves *at behind it. */
static struct dray_slice take_part(struct dray_slice *rest, char separator)
{
    const char *begin = (const char *)rest->at;
    const char *end = rest->len == 0 ? NULL : memchr(begin, separator, rest->len);
    size_t len = end == NULL ? rest->len : (size_t)(end - begin);
    size_t used = end == NULL ? len : len + 1;
    *rest = dray_slice_of(begin + used, rest->len - used);
    return dray_slice_of(begin, len);
}

/* At most 19 digits, which fit. */
static bool read_number(struct dray_slice text, uint64_t *ret_number)
{
    const char *at = (const char *)text.at;
    uint64_t number = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (at[i] < '0' || at[i] > '9') {
            return false;
        }
        number = number * 10 + (uint64_t)(at[i] - '0');
    }
    *ret_number = number;
    return text.len >= 1 && text.len <= 19;
}

/* "5-", "5-17": from 1 on. */
static bool read_range(struct dray_slice text, struct dri_signer *signer)
{
    struct dray_slice from = take_part(&text, '-');
    return read_number(from, &signer->from) && signer->from >= 1 &&
           (text.len == 0 || (read_number(text, &signer->until) && signer->until >= signer->from));
}

static const char *check_namespaces(struct dray_slice namespaces)
{
    if (namespaces.len == 0) {
        return "names no namespace; * stands for any";
    }
    if (dray_slice_equal_text(namespaces, "*")) {
        return NULL;
    }
    for (struct dray_slice rest = namespaces; rest.len > 0;) {
        struct dray_slice part = take_part(&rest, '/');
        if (!dri_route_name_is_valid(part) || dray_slice_equal_text(part, "*")) {
            return "has a namespace that is no name, or * beside others";
        }
    }
    return NULL;
}

/* What is wrong with one signer, or NULL. */
static const char *read_signer(struct dray_slice text, struct dri_signer *signer)
{
    size_t got = 0;
    struct dray_slice head = take_part(&text, '/');
    bool has_range = head.len > 0 && memchr(head.at, '@', head.len) != NULL;
    struct dray_slice kid = take_part(&head, '@');
    struct dray_slice key = take_part(&text, '/');
    *signer = (struct dri_signer){.namespaces = text, .from = 1, .until = UINT64_MAX};
    if (!dri_kid_is_valid(kid)) {
        return "has no kid of 1 to 64 letters, digits, _ . -";
    }
    memcpy(signer->kid, kid.at, kid.len);
    if (has_range && !read_range(head, signer)) {
        return "has no range of revisions, as 1-17 or 18-";
    }
    if (key.len != 2 * (size_t)DRI_SIGN_KEY_BYTES ||
        sodium_hex2bin(signer->key, sizeof(signer->key), (const char *)key.at, key.len, NULL, &got,
                       NULL) != 0 ||
        got != sizeof(signer->key)) {
        return "has no public key of 64 hex digits (dray keys show prints it)";
    }
    return check_namespaces(text);
}

enum dray_status dri_signers_parse(const char *text, struct dri_signers *ret_signers,
                                   char *ret_text, size_t text_bytes)
{
    struct dray_slice rest = dray_slice_text(text);
    ret_signers->count = 0;
    while (rest.len > 0) {
        struct dray_slice one = take_part(&rest, ',');
        if (ret_signers->count == DRI_SIGNERS_MAX) {
            snprintf(ret_text, text_bytes, "are more than %u", DRI_SIGNERS_MAX);
            return DRAY_EINVALID;
        }
        struct dri_signer signer;
        const char *wrong = read_signer(one, &signer);
        if (wrong == NULL && dri_signers_find(ret_signers, dray_slice_text(signer.kid)) != NULL) {
            wrong = "has the kid of another one";
        }
        if (wrong != NULL) {
            snprintf(ret_text, text_bytes, "number %zu %s", ret_signers->count + 1, wrong);
            return DRAY_EINVALID;
        }
        ret_signers->items[ret_signers->count++] = signer;
    }
    return DRAY_OK;
}

void dri_signers_init(struct dri_signers *ret_signers, const struct dri_settings *settings)
{
    char text[160] = "";
    *ret_signers = (struct dri_signers){.count = 0};
    if (settings->control.signers != NULL) {
        enum dray_status status =
            dri_signers_parse(settings->control.signers, ret_signers, text, sizeof(text));
        DRI_ASSERT(status == DRAY_OK);
    }
    ret_signers->is_required = settings->control.require_signature != DRI_REQUIRE_FALSE;
    ret_signers->signed_from = settings->control.signed_from;
    ret_signers->age_max_ms = settings->control.max_age_ms;
}

static int compare_by_kid(const void *a, const void *b)
{
    const struct dri_signer *const *left = a;
    const struct dri_signer *const *right = b;
    return strcmp((*left)->kid, (*right)->kid);
}

static int compare_names(struct dray_slice a, struct dray_slice b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = memcmp(a.at, b.at, len);
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/* In order and each once, however they were written. The least one above the last, again and again:
 * there are few. */
static void add_namespaces(struct dri_sha256 *sha, struct dray_slice namespaces)
{
    struct dray_slice last = dray_slice_of(NULL, 0);
    for (;;) {
        struct dray_slice next = dray_slice_of(NULL, 0);
        for (struct dray_slice rest = namespaces; rest.len > 0;) {
            struct dray_slice part = take_part(&rest, '/');
            bool is_above = last.at == NULL || compare_names(part, last) > 0;
            if (is_above && (next.at == NULL || compare_names(part, next) < 0)) {
                next = part;
            }
        }
        if (next.at == NULL) {
            return;
        }
        dri_sha256_add(sha, next);
        dri_sha256_add(sha, dray_slice_text("/"));
        last = next;
    }
}

void dri_signers_fingerprint(const struct dri_signers *signers, char ret_hex[DRI_FINGERPRINT_HEX])
{
    const struct dri_signer *order[DRI_SIGNERS_MAX];
    struct dri_sha256 sha;
    char text[128];
    uint8_t digest[32];
    ret_hex[0] = '\0';
    if (signers->count == 0) {
        return;
    }
    for (size_t i = 0; i < signers->count; i++) {
        order[i] = &signers->items[i];
    }
    qsort((void *)order, signers->count, sizeof(order[0]), compare_by_kid);
    dri_sha256_init(&sha);
    snprintf(text, sizeof(text), "%d %" PRIu64 " %" PRIu64 "\n", signers->is_required,
             signers->signed_from, signers->age_max_ms);
    dri_sha256_add(&sha, dray_slice_text(text));
    for (size_t i = 0; i < signers->count; i++) {
        snprintf(text, sizeof(text), "%s %" PRIu64 " %" PRIu64 " ", order[i]->kid, order[i]->from,
                 order[i]->until);
        dri_sha256_add(&sha, dray_slice_text(text));
        dri_sha256_add(&sha, dray_slice_of(order[i]->key, sizeof(order[i]->key)));
        add_namespaces(&sha, order[i]->namespaces);
        dri_sha256_add(&sha, dray_slice_text("\n"));
    }
    dri_sha256_end(&sha, digest);
    dri_hex(digest, sizeof(digest), ret_hex);
}

/* ---- the rule ---- */

static bool may_change(const struct dri_signer *signer, struct dray_slice ns)
{
    for (struct dray_slice rest = signer->namespaces; rest.len > 0;) {
        struct dray_slice part = take_part(&rest, '/');
        if (dray_slice_equal(part, ns)) {
            return true;
        }
    }
    return false;
}

/* Schedules and cancelled ids belong to a group and not to a namespace: only who may change all of
 * them may change these. */
static enum dri_distrust judge_namespaces(const struct dri_signer *signer,
                                          const struct dri_change *change, char *ret_text,
                                          size_t text_bytes)
{
    struct dri_change_item item;
    size_t at = 0;
    if (dray_slice_equal_text(signer->namespaces, "*")) {
        return DRI_TRUSTED;
    }
    if (!dray_slice_equal_text(change->kind, "routes")) {
        snprintf(ret_text, text_bytes,
                 "kid %s may change only routes of its namespaces; schedules and cancels need a "
                 "signer of all (*)",
                 signer->kid);
        return DRI_DISTRUST_FOREIGN;
    }
    while (dri_change_next(change, &at, &item)) {
        struct dray_slice rest = item.key;
        struct dray_slice ns = take_part(&rest, '/');
        if (!may_change(signer, ns)) {
            snprintf(ret_text, text_bytes, "kid %s may not change namespace %.*s", signer->kid,
                     (int)ns.len, (const char *)ns.at);
            return DRI_DISTRUST_FOREIGN;
        }
    }
    return DRI_TRUSTED;
}

static enum dri_distrust judge_times(const struct dri_signers *signers,
                                     const struct dri_signed *what, char *ret_text,
                                     size_t text_bytes)
{
    const struct dri_change *change = what->change;
    uint64_t stored_ms = what->stamp_ms < 0 ? 0 : (uint64_t)what->stamp_ms;
    char stored[DRI_CLOCK_TEXT_BYTES];
    char said[DRI_CLOCK_TEXT_BYTES];
    if (change->ts_ms == 0 || change->expires_ms < change->ts_ms ||
        change->expires_ms - change->ts_ms > signers->age_max_ms) {
        return DRI_DISTRUST_TIMES;
    }
    if (!what->is_broker_stamp) {
        return DRI_DISTRUST_STAMP;
    }
    dri_clock_format(stored_ms, stored);
    if (stored_ms > change->expires_ms) {
        dri_clock_format(change->expires_ms, said);
        snprintf(ret_text, text_bytes, "it was stored at %s and had expired at %s", stored, said);
        return DRI_DISTRUST_EXPIRED;
    }
    if (change->ts_ms > stored_ms && change->ts_ms - stored_ms > signers->age_max_ms) {
        dri_clock_format(change->ts_ms, said);
        snprintf(ret_text, text_bytes, "it was stored at %s and is issued at %s: set the clock",
                 stored, said);
        return DRI_DISTRUST_EARLY;
    }
    return DRI_TRUSTED;
}

static enum dri_distrust judge_key(const struct dri_signer *signer, const struct dri_signed *what,
                                   char *ret_text, size_t text_bytes)
{
    const struct dri_control_record *record = what->record;
    if (signer == NULL) {
        snprintf(ret_text, text_bytes, "kid %.*s is none of control.signers", (int)record->kid.len,
                 (const char *)record->kid.at);
        return DRI_DISTRUST_UNKNOWN;
    }
    if (what->revision < signer->from || what->revision > signer->until) {
        snprintf(ret_text, text_bytes,
                 "kid %s may sign revisions from %" PRIu64 " to %" PRIu64 " only", signer->kid,
                 signer->from, signer->until);
        return DRI_DISTRUST_NOT_IN_FORCE;
    }
    if (record->sig.len != DRI_SIGNATURE_BYTES ||
        crypto_sign_verify_detached(record->sig.at, record->change.at, record->change.len,
                                    signer->key) != 0) {
        snprintf(ret_text, text_bytes, "its signature does not fit kid %s", signer->kid);
        return DRI_DISTRUST_FORGED;
    }
    return DRI_TRUSTED;
}

static enum dri_distrust judge_signed(const struct dri_signers *signers,
                                      struct dri_signers_seen *seen, const struct dri_signed *what,
                                      char *ret_text, size_t text_bytes)
{
    const struct dri_change *change = what->change;
    const struct dri_signer *signer = dri_signers_find(signers, what->record->kid);
    enum dri_distrust distrust = judge_key(signer, what, ret_text, text_bytes);
    if (distrust != DRI_TRUSTED) {
        return distrust;
    }
    if (change->cluster.len == 0 || change->topic.len == 0) {
        return DRI_DISTRUST_ELSEWHERE;
    }
    if (!dray_slice_equal(change->issuer, what->record->kid)) {
        return DRI_DISTRUST_ISSUER;
    }
    distrust = judge_times(signers, what, ret_text, text_bytes);
    if (distrust != DRI_TRUSTED) {
        return distrust;
    }
    uint64_t *last = &seen->seqs[signer - signers->items];
    if (*last == UINT64_MAX) {
        snprintf(ret_text, text_bytes, "the sequence numbers of kid %s are used up", signer->kid);
        return DRI_DISTRUST_REPLAYED;
    }
    if (change->seq <= *last) {
        snprintf(ret_text, text_bytes,
                 "its sequence number %" PRIu64 " is not above %" PRIu64
                 ": it, or a later one of kid %s, was there before",
                 change->seq, *last, signer->kid);
        return DRI_DISTRUST_REPLAYED;
    }
    *last = change->seq;
    return judge_namespaces(signer, change, ret_text, text_bytes);
}

enum dri_distrust dri_signers_judge(const struct dri_signers *signers,
                                    struct dri_signers_seen *seen, const struct dri_signed *what,
                                    char *ret_text, size_t text_bytes)
{
    enum dri_distrust distrust = DRI_TRUSTED;
    if (signers->count == 0) {
        return DRI_TRUSTED;
    }
    ret_text[0] = '\0';
    if (!dray_slice_is_absent(what->record->sig)) {
        distrust = judge_signed(signers, seen, what, ret_text, text_bytes);
    } else if (dri_signers_wants_signature(signers, what->revision)) {
        distrust = DRI_DISTRUST_UNSIGNED;
    }
    if (distrust != DRI_TRUSTED && ret_text[0] == '\0') {
        snprintf(ret_text, text_bytes, "%s", dri_distrust_text(distrust));
    }
    return distrust;
}

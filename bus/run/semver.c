/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* semver.c - versions are read as views, ranges are turned into plain comparators.
 *
 * "^1.2", "~1.2", "1.x" and "1.2" become ">=" and "<" when they are parsed, so that there is one
 * way to look whether a version is in a range. The upper ends need no "-0" (2.0.0-0 as the lowest
 * of all 2.0.0): a pre-release is only let in by a comparator that names one of its triple.
 */
#include "semver.h"

#include <string.h>

/* One reader for both: a range's comparator may leave parts out, a version may not. */
struct reader {
    const uint8_t *at;
    const uint8_t *end;
};

static bool is_at(const struct reader *reader, char c)
{
    return reader->at < reader->end && *reader->at == (uint8_t)c;
}

static bool take(struct reader *reader, char c)
{
    if (!is_at(reader, c)) {
        return false;
    }
    reader->at++;
    return true;
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static bool is_word(uint8_t c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
}

static bool read_number(struct reader *reader, uint64_t *ret_number)
{
    uint64_t number = 0;
    const uint8_t *begin = reader->at;
    for (; reader->at < reader->end && is_digit(*reader->at); reader->at++) {
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, (uint64_t)(*reader->at - '0'), &number)) {
            return false;
        }
    }
    bool has_leading_zero = reader->at - begin > 1 && *begin == '0';
    *ret_number = number;
    return reader->at != begin && !has_leading_zero;
}

static bool is_number(const uint8_t *at, const uint8_t *end)
{
    for (; at < end; at++) {
        if (!is_digit(*at)) {
            return false;
        }
    }
    return true;
}

/** Identifiers with dots between them; numbers without leading zeros when is_strict. */
static bool read_identifiers(struct reader *reader, bool is_strict, struct dray_slice *ret_text)
{
    const uint8_t *begin = reader->at;
    do {
        const uint8_t *word = reader->at;
        while (reader->at < reader->end && is_word(*reader->at)) {
            reader->at++;
        }
        if (reader->at == word ||
            (is_strict && *word == '0' && reader->at - word > 1 && is_number(word, reader->at))) {
            return false;
        }
    } while (take(reader, '.'));
    *ret_text = dray_slice_of(begin, (size_t)(reader->at - begin));
    return true;
}

/** What may follow the three numbers. */
static bool read_labels(struct reader *reader, struct dri_semver *version)
{
    if (take(reader, '-') && !read_identifiers(reader, true, &version->pre)) {
        return false;
    }
    return !take(reader, '+') || read_identifiers(reader, false, &version->build);
}

enum dray_status dri_semver_parse(struct dray_slice text, struct dri_semver *ret_version)
{
    if (text.len == 0) {
        return DRAY_EINVALID;
    }
    struct reader reader = {text.at, text.at + text.len};
    struct dri_semver version = {0};
    if (!read_number(&reader, &version.major) || !take(&reader, '.') ||
        !read_number(&reader, &version.minor) || !take(&reader, '.') ||
        !read_number(&reader, &version.patch) || !read_labels(&reader, &version) ||
        reader.at != reader.end) {
        return DRAY_EINVALID;
    }
    *ret_version = version;
    return DRAY_OK;
}

/* ---- order ---- */

static int compare_numbers(uint64_t a, uint64_t b)
{
    return a < b ? -1 : a > b;
}

static struct dray_slice take_identifier(struct reader *reader)
{
    const uint8_t *begin = reader->at;
    while (reader->at < reader->end && *reader->at != '.') {
        reader->at++;
    }
    struct dray_slice word = dray_slice_of(begin, (size_t)(reader->at - begin));
    (void)take(reader, '.');
    return word;
}

/** Numbers come before words; numbers by value (no leading zeros: length, then digits), words by
 * bytes. */
static int compare_identifiers(struct dray_slice a, struct dray_slice b)
{
    bool is_a_number = is_number(a.at, a.at + a.len);
    bool is_b_number = is_number(b.at, b.at + b.len);
    if (is_a_number != is_b_number) {
        return is_a_number ? -1 : 1;
    }
    if (is_a_number && a.len != b.len) {
        return a.len < b.len ? -1 : 1;
    }
    int order = memcmp(a.at, b.at, a.len < b.len ? a.len : b.len);
    return order != 0 ? order : compare_numbers(a.len, b.len);
}

static int compare_pre(struct dray_slice a, struct dray_slice b)
{
    if (a.at == NULL || b.at == NULL) {
        return (a.at == NULL) - (b.at == NULL); /* the release is the higher one */
    }
    struct reader left = {a.at, a.at + a.len};
    struct reader right = {b.at, b.at + b.len};
    while (left.at < left.end && right.at < right.end) {
        int order = compare_identifiers(take_identifier(&left), take_identifier(&right));
        if (order != 0) {
            return order;
        }
    }
    return (left.at < left.end) - (right.at < right.end);
}

static int compare_triples(const struct dri_semver *a, const struct dri_semver *b)
{
    int order = compare_numbers(a->major, b->major);
    order = order != 0 ? order : compare_numbers(a->minor, b->minor);
    return order != 0 ? order : compare_numbers(a->patch, b->patch);
}

int dri_semver_compare(const struct dri_semver *a, const struct dri_semver *b)
{
    int order = compare_triples(a, b);
    return order != 0 ? order : compare_pre(a->pre, b->pre);
}

/* ---- ranges ---- */

/** What stands behind an operator: a version of which parts may be missing. */
struct partial {
    struct dri_semver version; /* missing parts are zero */
    unsigned parts;            /* 0 ("*") .. 3 */
};

static bool take_wildcard(struct reader *reader)
{
    return take(reader, '*') || take(reader, 'x') || take(reader, 'X');
}

static bool read_partial(struct reader *reader, struct partial *ret_partial)
{
    struct partial partial = {.parts = 0};
    uint64_t *const parts[] = {&partial.version.major, &partial.version.minor,
                               &partial.version.patch};
    bool is_open = false;
    for (unsigned i = 0; i < 3 && (i == 0 || take(reader, '.')); i++) {
        if (take_wildcard(reader)) {
            is_open = true;
        } else if (is_open || !read_number(reader, parts[i])) {
            return false; /* also "1.x.3", which nobody can mean */
        } else {
            partial.parts = i + 1;
        }
    }
    if (partial.parts == 3 && !read_labels(reader, &partial.version)) {
        return false;
    }
    *ret_partial = partial;
    return true;
}

static bool range_add(struct dri_semver_range *range, enum dri_semver_op op,
                      struct dri_semver version)
{
    if (range->count == DRI_SEMVER_COMPARATORS_MAX) {
        return false;
    }
    range->comparators[range->count] = (struct dri_semver_comparator){op, version};
    range->count++;
    return true;
}

/** The first version above all that share the first `parts` parts with this one. */
static struct dri_semver next_after(struct dri_semver version, unsigned parts)
{
    struct dri_semver next = {.major = version.major};
    uint64_t *last = &next.major;
    if (parts >= 2) {
        next.minor = version.minor;
        last = &next.minor;
    }
    if (parts == 3) {
        next.patch = version.patch;
        last = &next.patch;
    }
    *last += *last == UINT64_MAX ? 0 : 1;
    return next;
}

/** How many leading parts a caret keeps: up to the first that is not zero. */
static unsigned caret_parts(const struct partial *partial)
{
    if (partial->version.major != 0 || partial->parts < 2) {
        return 1;
    }
    return partial->version.minor != 0 || partial->parts < 3 ? 2 : 3;
}

static bool range_add_between(struct dri_semver_range *range, const struct partial *partial,
                              unsigned parts)
{
    return range_add(range, DRI_SEMVER_GE, partial->version) &&
           range_add(range, DRI_SEMVER_LT, next_after(partial->version, parts));
}

enum word_op {
    WORD_CARET,
    WORD_TILDE,
    WORD_EQ,
    WORD_GE,
    WORD_GT,
    WORD_LT,
    WORD_LE
};

static enum word_op read_op(struct reader *reader)
{
    if (take(reader, '^')) {
        return WORD_CARET;
    }
    if (take(reader, '~')) {
        return WORD_TILDE;
    }
    if (take(reader, '>')) {
        return take(reader, '=') ? WORD_GE : WORD_GT;
    }
    if (take(reader, '<')) {
        return take(reader, '=') ? WORD_LE : WORD_LT;
    }
    (void)take(reader, '=');
    return WORD_EQ;
}

/** "Anything" behind an operator: fine where it holds for all versions, else nobody can mean it. */
static enum dray_status add_any(enum word_op op)
{
    return op == WORD_GT || op == WORD_LT ? DRAY_EINVALID : DRAY_OK;
}

static enum dray_status add_comparator(struct dri_semver_range *range, enum word_op op,
                                       const struct partial *partial)
{
    struct dri_semver version = partial->version;
    bool is_whole = partial->parts == 3;
    bool has_room = false;
    if (partial->parts == 0) {
        return add_any(op);
    }
    switch (op) {
    case WORD_CARET:
        has_room = range_add_between(range, partial, caret_parts(partial));
        break;
    case WORD_TILDE:
        has_room = range_add_between(range, partial, partial->parts < 2 ? 1 : 2);
        break;
    case WORD_EQ:
        has_room = is_whole ? range_add(range, DRI_SEMVER_EQ, version)
                            : range_add_between(range, partial, partial->parts);
        break;
    case WORD_GE:
        has_room = range_add(range, DRI_SEMVER_GE, version);
        break;
    case WORD_GT:
        has_room = is_whole ? range_add(range, DRI_SEMVER_GT, version)
                            : range_add(range, DRI_SEMVER_GE, next_after(version, partial->parts));
        break;
    case WORD_LT:
        has_room = range_add(range, DRI_SEMVER_LT, version);
        break;
    case WORD_LE:
        has_room = is_whole ? range_add(range, DRI_SEMVER_LE, version)
                            : range_add(range, DRI_SEMVER_LT, next_after(version, partial->parts));
        break;
    }
    return has_room ? DRAY_OK : DRAY_ELIMIT;
}

static void skip_spaces(struct reader *reader)
{
    while (take(reader, ' ')) {
    }
}

enum dray_status dri_semver_range_parse(struct dray_slice text, struct dri_semver_range *ret_range)
{
    if (text.len == 0) {
        return DRAY_EINVALID;
    }
    struct reader reader = {text.at, text.at + text.len};
    struct dri_semver_range range = {.count = 0};
    skip_spaces(&reader);
    do {
        struct partial partial;
        enum word_op op = read_op(&reader);
        skip_spaces(&reader);
        if (!read_partial(&reader, &partial)) {
            return DRAY_EINVALID;
        }
        enum dray_status status = add_comparator(&range, op, &partial);
        if (status != DRAY_OK) {
            return status;
        }
        const uint8_t *end = reader.at;
        skip_spaces(&reader);
        bool has_comma = take(&reader, ',');
        skip_spaces(&reader);
        bool is_end = reader.at == reader.end;
        bool has_separator = reader.at != end;
        if (is_end ? has_comma : !has_separator) {
            return DRAY_EINVALID;
        }
    } while (reader.at != reader.end);
    *ret_range = range;
    return DRAY_OK;
}

static bool holds(const struct dri_semver_comparator *comparator, const struct dri_semver *version)
{
    int order = dri_semver_compare(version, &comparator->version);
    switch (comparator->op) {
    case DRI_SEMVER_EQ:
        return order == 0 && (comparator->version.build.at == NULL ||
                              dray_slice_equal(comparator->version.build, version->build));
    case DRI_SEMVER_GE:
        return order >= 0;
    case DRI_SEMVER_GT:
        return order > 0;
    case DRI_SEMVER_LT:
        return order < 0;
    case DRI_SEMVER_LE:
        return order <= 0;
    }
    return false;
}

bool dri_semver_range_has(const struct dri_semver_range *range, const struct dri_semver *version)
{
    bool is_named = version->pre.at == NULL;
    for (size_t i = 0; i < range->count; i++) {
        const struct dri_semver_comparator *comparator = &range->comparators[i];
        if (!holds(comparator, version)) {
            return false;
        }
        is_named = is_named || (comparator->version.pre.at != NULL &&
                                compare_triples(&comparator->version, version) == 0);
    }
    return is_named;
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* reader.c - the cursor behind reader.h.
 *
 * The worker's scanner has walked over every payload before a handler sees it. This reader checks
 * all lengths again nevertheless: it also reads what a handler fetched elsewhere and it runs in
 * tests and tools without a worker, and a check costs a comparison where a trusted length costs the
 * process.
 *
 * The containers that are open form a stack of levels. A level ends lazily, when the next value
 * begins, so that the place of the value that was read last is still known when somebody refuses
 * it. Rejected: an error buffer of the caller's (every call site would carry it), errors by number
 * (the sentence is what reaches the person who sent the command).
 */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <dray/reader.h>

#define INTEGER_OF_DOUBLE_MAX (INT64_C(1) << 53)

struct token {
    enum dray_type type;
    bool is_negative; /* of an integer: i holds it, else u */
    bool is_true;
    struct dray_slice bytes; /* content of text, bin, ext */
    uint64_t u;
    int64_t i;
    double real;
    uint32_t count; /* of a container */
    size_t len;     /* of the head and the content */
};

static const char *type_text(enum dray_type type)
{
    switch (type) {
    case DRAY_TYPE_NIL:
        return "nil";
    case DRAY_TYPE_BOOL:
        return "a boolean";
    case DRAY_TYPE_INTEGER:
        return "an integer";
    case DRAY_TYPE_DOUBLE:
        return "a fraction";
    case DRAY_TYPE_TEXT:
        return "text";
    case DRAY_TYPE_BIN:
        return "bytes";
    case DRAY_TYPE_ARRAY:
        return "an array";
    case DRAY_TYPE_MAP:
        return "a map";
    case DRAY_TYPE_EXT:
        return "an extension";
    case DRAY_TYPE_NONE:
    default:
        return "nothing";
    }
}

/* ---- where we are ---- */

struct path {
    char *at;
    size_t left; /* with room for the NUL */
};

static void path_add(struct path *path, const char *text, size_t len)
{
    size_t take = len < path->left ? len : path->left - 1;

    memcpy(path->at, text, take);
    path->at += take;
    path->left -= take;
    *path->at = '\0';
}

/* A key comes from outside: what is not plain is not repeated. */
static void path_add_key(struct path *path, struct dray_slice key)
{
    size_t len = key.len < 32 ? key.len : 32;

    path_add(path, ".", 1);
    for (size_t i = 0; i < len; i++) {
        char c = (char)key.at[i];

        path_add(path, c > ' ' && c < 0x7f ? &c : "?", 1);
    }
}

/* key_of_last: whether the key that the innermost map has read belongs to the place. */
static void path_format(const struct dray_reader *reader, bool key_of_last, char *ret_text,
                        size_t text_bytes)
{
    struct path path = {ret_text, text_bytes};

    path_add(&path, reader->name, strlen(reader->name));
    for (uint32_t i = 0; i < reader->depth; i++) {
        const struct dray_reader_level *level = &reader->levels[i];

        if (!level->is_map) {
            char index[32];
            int len = snprintf(index, sizeof(index), "[%llu]",
                               (unsigned long long)(level->begun == 0 ? 0 : level->begun - 1));

            path_add(&path, index, len < 0 ? 0 : (size_t)len);
        } else if (level->begun % 2 == 0 && level->begun > 0 && !dray_slice_is_absent(level->key) &&
                   (key_of_last || i + 1 < reader->depth)) {
            path_add_key(&path, level->key);
        }
    }
}

static enum dray_status fail(struct dray_reader *reader, enum dray_status status,
                             const char *format, ...) DRAY_FORMAT(3, 4);

static enum dray_status fail(struct dray_reader *reader, enum dray_status status,
                             const char *format, ...)
{
    char place[112];
    int len;

    if (reader->status != DRAY_OK) {
        return reader->status;
    }
    reader->status = status;
    path_format(reader, true, place, sizeof(place));
    len = snprintf(reader->error, sizeof(reader->error), "%s: ", place);
    if (len > 0 && (size_t)len < sizeof(reader->error)) {
        va_list arguments;

        va_start(arguments, format);
        (void)vsnprintf(reader->error + len, sizeof(reader->error) - (size_t)len, format,
                        arguments);
        va_end(arguments);
    }
    return status;
}

static enum dray_status fail_found(struct dray_reader *reader, const char *expected,
                                   enum dray_type found)
{
    return fail(reader, DRAY_EINVALID, "expected %s, found %s", expected, type_text(found));
}

/* ---- life ---- */

void dray_reader_init(struct dray_reader *reader, struct dray_slice value)
{
    static const uint8_t nil[] = {0xc0};

    if (dray_slice_is_absent(value)) {
        value = dray_slice_of(nil, sizeof(nil));
    }
    reader->begin = value.at;
    reader->at = value.at;
    reader->end = value.at + value.len;
    reader->status = DRAY_OK;
    reader->depth = 0;
    reader->is_root_begun = false;
    memcpy(reader->name, "payload", sizeof("payload"));
    reader->error[0] = '\0';
}

void dray_reader_init_inside(struct dray_reader *reader, const struct dray_reader *parent,
                             const char *name, struct dray_slice value)
{
    struct path path;
    size_t len;

    dray_reader_init(reader, value);
    path_format(parent, false, reader->name, sizeof(reader->name));
    len = strlen(reader->name);
    path.at = reader->name + len;
    path.left = sizeof(reader->name) - len;
    path_add(&path, ".", 1);
    path_add(&path, name, strlen(name));
}

enum dray_status dray_reader_status(const struct dray_reader *reader)
{
    return reader->status;
}

const char *dray_reader_error(const struct dray_reader *reader)
{
    return reader->error;
}

enum dray_status dray_reader_refuse(struct dray_reader *reader, const char *text)
{
    return fail(reader, DRAY_EINVALID, "%s", text);
}

/* ---- one token ---- */

static uint64_t load(const uint8_t *at, size_t bytes)
{
    uint64_t value = 0;

    for (size_t i = 0; i < bytes; i++) {
        value = value << 8 | at[i];
    }
    return value;
}

static void token_float(struct token *token, const uint8_t *at, size_t bytes)
{
    uint64_t bits = load(at, bytes);

    token->type = DRAY_TYPE_DOUBLE;
    if (bytes == 4) {
        uint32_t half = (uint32_t)bits;
        float single;

        memcpy(&single, &half, sizeof(single));
        token->real = (double)single;
    } else {
        memcpy(&token->real, &bits, sizeof(token->real));
    }
}

static void token_signed(struct token *token, const uint8_t *at, size_t bytes)
{
    uint64_t bits = load(at, bytes);

    token->type = DRAY_TYPE_INTEGER;
    if (at[0] & 0x80) {
        uint64_t above = bytes == 8 ? 0 : UINT64_MAX << (8 * bytes);

        bits |= above;
        memcpy(&token->i, &bits, sizeof(token->i));
        token->is_negative = true;
    } else {
        token->u = bits;
    }
}

/* What the first byte says: the type, the width of the number that follows it, and what the number
 * is. */
enum number {
    NUMBER_NONE,
    NUMBER_UINT,
    NUMBER_INT,
    NUMBER_FLOAT,
    NUMBER_LEN,
    NUMBER_COUNT
};

struct head {
    uint8_t type;
    uint8_t number;
    uint8_t bytes; /* of the number */
    uint8_t extra; /* between the number and the content: the type byte of an ext */
};

/* 0xc0 .. 0xdf */
static const struct head heads[32] = {
    {DRAY_TYPE_NIL, NUMBER_NONE, 0, 0},     {DRAY_TYPE_NONE, NUMBER_NONE, 0, 0},
    {DRAY_TYPE_BOOL, NUMBER_NONE, 0, 0},    {DRAY_TYPE_BOOL, NUMBER_NONE, 0, 0},
    {DRAY_TYPE_BIN, NUMBER_LEN, 1, 0},      {DRAY_TYPE_BIN, NUMBER_LEN, 2, 0},
    {DRAY_TYPE_BIN, NUMBER_LEN, 4, 0},      {DRAY_TYPE_EXT, NUMBER_LEN, 1, 1},
    {DRAY_TYPE_EXT, NUMBER_LEN, 2, 1},      {DRAY_TYPE_EXT, NUMBER_LEN, 4, 1},
    {DRAY_TYPE_DOUBLE, NUMBER_FLOAT, 4, 0}, {DRAY_TYPE_DOUBLE, NUMBER_FLOAT, 8, 0},
    {DRAY_TYPE_INTEGER, NUMBER_UINT, 1, 0}, {DRAY_TYPE_INTEGER, NUMBER_UINT, 2, 0},
    {DRAY_TYPE_INTEGER, NUMBER_UINT, 4, 0}, {DRAY_TYPE_INTEGER, NUMBER_UINT, 8, 0},
    {DRAY_TYPE_INTEGER, NUMBER_INT, 1, 0},  {DRAY_TYPE_INTEGER, NUMBER_INT, 2, 0},
    {DRAY_TYPE_INTEGER, NUMBER_INT, 4, 0},  {DRAY_TYPE_INTEGER, NUMBER_INT, 8, 0},
    {DRAY_TYPE_EXT, NUMBER_NONE, 0, 2},     {DRAY_TYPE_EXT, NUMBER_NONE, 0, 3},
    {DRAY_TYPE_EXT, NUMBER_NONE, 0, 5},     {DRAY_TYPE_EXT, NUMBER_NONE, 0, 9},
    {DRAY_TYPE_EXT, NUMBER_NONE, 0, 17},    {DRAY_TYPE_TEXT, NUMBER_LEN, 1, 0},
    {DRAY_TYPE_TEXT, NUMBER_LEN, 2, 0},     {DRAY_TYPE_TEXT, NUMBER_LEN, 4, 0},
    {DRAY_TYPE_ARRAY, NUMBER_COUNT, 2, 0},  {DRAY_TYPE_ARRAY, NUMBER_COUNT, 4, 0},
    {DRAY_TYPE_MAP, NUMBER_COUNT, 2, 0},    {DRAY_TYPE_MAP, NUMBER_COUNT, 4, 0},
};

/* The forms that are one byte and, for text, its content. */
static bool token_short(struct token *token, uint8_t first)
{
    if (first < 0x80) {
        token->type = DRAY_TYPE_INTEGER;
        token->u = first;
    } else if (first < 0x90) {
        token->type = DRAY_TYPE_MAP;
        token->count = first & 0x0f;
    } else if (first < 0xa0) {
        token->type = DRAY_TYPE_ARRAY;
        token->count = first & 0x0f;
    } else if (first < 0xc0) {
        token->type = DRAY_TYPE_TEXT;
        token->bytes.len = first & 0x1f;
    } else if (first >= 0xe0) {
        token->type = DRAY_TYPE_INTEGER;
        token->i = (int64_t)first - 256;
        token->is_negative = true;
    } else {
        return false;
    }
    return true;
}

/* The long forms, 0xc0 .. 0xdf. Returns what is wrong, or NULL. */
static const char *token_long(struct token *token, const uint8_t *at, size_t left)
{
    const struct head *head = &heads[at[0] - 0xc0];

    token->type = (enum dray_type)head->type;
    if (token->type == DRAY_TYPE_NONE) {
        return "the byte 0xc1, which is not msgpack";
    }
    token->len = 1 + (size_t)head->bytes + head->extra;
    if (left < token->len) {
        return "bytes that end too early";
    }
    token->is_true = at[0] == 0xc3;
    switch ((enum number)head->number) {
    case NUMBER_UINT:
        token->u = load(at + 1, head->bytes);
        break;
    case NUMBER_INT:
        token_signed(token, at + 1, head->bytes);
        break;
    case NUMBER_FLOAT:
        token_float(token, at + 1, head->bytes);
        break;
    case NUMBER_LEN:
        token->bytes.len = (size_t)load(at + 1, head->bytes);
        break;
    case NUMBER_COUNT:
        token->count = (uint32_t)load(at + 1, head->bytes);
        break;
    case NUMBER_NONE:
    default:
        break;
    }
    return NULL;
}

/* Decodes the token at `at`, moving nothing. Returns what is wrong, or NULL. */
static const char *token_decode(struct token *token, const uint8_t *at, size_t left)
{
    uint64_t values;

    memset(token, 0, sizeof(*token));
    if (left == 0) {
        return "nothing";
    }
    token->len = 1;
    if (!token_short(token, at[0])) {
        const char *wrong = token_long(token, at, left);

        if (wrong != NULL) {
            return wrong;
        }
    }
    if (left - token->len < token->bytes.len) {
        return "bytes that end too early";
    }
    token->bytes.at = at + token->len;
    token->len += token->bytes.len;
    values = (uint64_t)token->count * (token->type == DRAY_TYPE_MAP ? 2 : 1);
    if (values > left - token->len) {
        return "a container that announces more than there is";
    }
    return NULL;
}

/* ---- begin and end of a value ---- */

static enum dray_status begin(struct dray_reader *reader, const char *expected)
{
    struct dray_reader_level *level;

    if (reader->status != DRAY_OK) {
        return reader->status;
    }
    while (reader->depth > 0 && reader->levels[reader->depth - 1].left == 0) {
        reader->depth--;
    }
    if (reader->depth == 0) {
        if (reader->is_root_begun) {
            return fail(reader, DRAY_EINVALID, "expected %s, found nothing more", expected);
        }
        reader->is_root_begun = true;
        return DRAY_OK;
    }
    level = &reader->levels[reader->depth - 1];
    level->left--;
    level->begun++;
    return DRAY_OK;
}

/* Begins a value and decodes its token. `at` is moved by take. */
static enum dray_status begin_token(struct dray_reader *reader, const char *expected,
                                    struct token *ret_token)
{
    enum dray_status status = begin(reader, expected);
    const char *wrong;

    if (status != DRAY_OK) {
        return status;
    }
    wrong = token_decode(ret_token, reader->at, (size_t)(reader->end - reader->at));
    if (wrong != NULL) {
        return fail(reader, DRAY_EINVALID, "expected %s, found %s", expected, wrong);
    }
    return DRAY_OK;
}

static enum dray_status begin_type(struct dray_reader *reader, const char *expected,
                                   enum dray_type type, struct token *ret_token)
{
    enum dray_status status = begin_token(reader, expected, ret_token);

    if (status != DRAY_OK) {
        return status;
    }
    if (ret_token->type != type) {
        return fail_found(reader, expected, ret_token->type);
    }
    reader->at += ret_token->len;
    return DRAY_OK;
}

/* A text in the place of a key names the value that follows. */
static void note_key(struct dray_reader *reader, struct dray_slice text)
{
    if (reader->depth > 0) {
        struct dray_reader_level *level = &reader->levels[reader->depth - 1];

        if (level->is_map && level->begun % 2 == 1) {
            level->key = text;
        }
    }
}

static enum dray_status open_container(struct dray_reader *reader, enum dray_type type,
                                       const char *expected, uint32_t *ret_count)
{
    struct token token;
    enum dray_status status = begin_type(reader, expected, type, &token);
    struct dray_reader_level *level;

    if (status != DRAY_OK) {
        return status;
    }
    if (reader->depth == DRAY_READER_DEPTH) {
        return fail(reader, DRAY_ELIMIT, "nested deeper than %u", DRAY_READER_DEPTH);
    }
    level = &reader->levels[reader->depth++];
    level->key = dray_slice_of(NULL, 0);
    level->is_map = type == DRAY_TYPE_MAP;
    level->left = (uint64_t)token.count * (level->is_map ? 2 : 1);
    level->begun = 0;
    *ret_count = token.count;
    return DRAY_OK;
}

/* ---- the readers ---- */

enum dray_type dray_reader_peek(const struct dray_reader *reader)
{
    struct token token;
    uint32_t depth = reader->depth;

    while (depth > 0 && reader->levels[depth - 1].left == 0) {
        depth--;
    }
    if (reader->status != DRAY_OK || (depth == 0 && reader->is_root_begun) ||
        token_decode(&token, reader->at, (size_t)(reader->end - reader->at)) != NULL) {
        return DRAY_TYPE_NONE;
    }
    return token.type;
}

enum dray_status dray_reader_finish(struct dray_reader *reader)
{
    if (reader->status == DRAY_OK && reader->at != reader->end) {
        return fail(reader, DRAY_EINVALID, "expected the end, found %zu bytes more",
                    (size_t)(reader->end - reader->at));
    }
    if (reader->status == DRAY_OK && !reader->is_root_begun) {
        return fail(reader, DRAY_EINVALID, "expected a value, found nothing");
    }
    return reader->status;
}

enum dray_status dray_read_nil(struct dray_reader *reader)
{
    struct token token;

    return begin_type(reader, "nil", DRAY_TYPE_NIL, &token);
}

enum dray_status dray_read_bool(struct dray_reader *reader, bool *ret_value)
{
    struct token token;
    enum dray_status status = begin_type(reader, "a boolean", DRAY_TYPE_BOOL, &token);

    if (status == DRAY_OK) {
        *ret_value = token.is_true;
    }
    return status;
}

enum dray_status dray_read_uint(struct dray_reader *reader, uint64_t *ret_value)
{
    struct token token;
    enum dray_status status = begin_type(reader, "an integer", DRAY_TYPE_INTEGER, &token);

    if (status != DRAY_OK) {
        return status;
    }
    if (token.is_negative) {
        return fail(reader, DRAY_EINVALID, "expected an integer from 0, found %lld",
                    (long long)token.i);
    }
    *ret_value = token.u;
    return DRAY_OK;
}

enum dray_status dray_read_int(struct dray_reader *reader, int64_t *ret_value)
{
    struct token token;
    enum dray_status status = begin_type(reader, "an integer", DRAY_TYPE_INTEGER, &token);

    if (status != DRAY_OK) {
        return status;
    }
    if (!token.is_negative && token.u > INT64_MAX) {
        return fail(reader, DRAY_EINVALID, "expected an integer of 63 bits, found %llu",
                    (unsigned long long)token.u);
    }
    *ret_value = token.is_negative ? token.i : (int64_t)token.u;
    return DRAY_OK;
}

enum dray_status dray_read_double(struct dray_reader *reader, double *ret_value)
{
    struct token token;
    enum dray_status status = begin_token(reader, "a number", &token);

    if (status != DRAY_OK) {
        return status;
    }
    if (token.type == DRAY_TYPE_INTEGER) {
        if (token.is_negative ? token.i < -INTEGER_OF_DOUBLE_MAX
                              : token.u > (uint64_t)INTEGER_OF_DOUBLE_MAX) {
            return fail(reader, DRAY_EINVALID, "expected a number, found an integer over 53 bits");
        }
        token.real = token.is_negative ? (double)token.i : (double)token.u;
    } else if (token.type != DRAY_TYPE_DOUBLE) {
        return fail_found(reader, "a number", token.type);
    }
    reader->at += token.len;
    *ret_value = token.real;
    return DRAY_OK;
}

enum dray_status dray_read_text(struct dray_reader *reader, struct dray_slice *ret_text)
{
    struct token token;
    enum dray_status status = begin_type(reader, "text", DRAY_TYPE_TEXT, &token);

    if (status != DRAY_OK) {
        return status;
    }
    if (!dray_text_is_valid(token.bytes)) {
        return fail(reader, DRAY_EINVALID, "expected text, found text that is not UTF-8");
    }
    note_key(reader, token.bytes);
    *ret_text = token.bytes;
    return DRAY_OK;
}

enum dray_status dray_read_bin(struct dray_reader *reader, struct dray_slice *ret_bytes)
{
    struct token token;
    enum dray_status status = begin_type(reader, "bytes", DRAY_TYPE_BIN, &token);

    if (status == DRAY_OK) {
        *ret_bytes = token.bytes;
    }
    return status;
}

enum dray_status dray_read_array(struct dray_reader *reader, uint32_t *ret_count)
{
    return open_container(reader, DRAY_TYPE_ARRAY, "an array", ret_count);
}

enum dray_status dray_read_map(struct dray_reader *reader, uint32_t *ret_pairs)
{
    return open_container(reader, DRAY_TYPE_MAP, "a map", ret_pairs);
}

enum dray_status dray_read_value(struct dray_reader *reader, struct dray_slice *ret_value)
{
    const uint8_t *at = reader->at;
    const uint8_t *first = at;
    enum dray_status status = begin(reader, "a value");
    uint64_t pending = 1;

    if (status != DRAY_OK) {
        return status;
    }
    while (pending > 0) {
        struct token token;
        const char *wrong = token_decode(&token, at, (size_t)(reader->end - at));

        if (wrong != NULL) {
            return fail(reader, DRAY_EINVALID, "expected a value, found %s", wrong);
        }
        if (token.type == DRAY_TYPE_TEXT && at == first) {
            note_key(reader, token.bytes);
        }
        at += token.len;
        pending += (uint64_t)token.count * (token.type == DRAY_TYPE_MAP ? 2 : 1);
        pending--;
        if (pending > (uint64_t)(reader->end - at)) {
            return fail(reader, DRAY_EINVALID, "expected a value, found %s",
                        "a container that announces more than there is");
        }
    }
    reader->at = at;
    *ret_value = dray_slice_of(first, (size_t)(at - first));
    return DRAY_OK;
}

enum dray_status dray_read_skip(struct dray_reader *reader)
{
    struct dray_slice value;

    return dray_read_value(reader, &value);
}

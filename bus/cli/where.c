/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* where.c - a filter expression: parsed once into a small tree, asked once a letter.
 *
 * ~ is "contains", not a regular expression: a message full of dots and brackets is what people
 * paste here, and it has to mean itself. Nodes lie in one array and refer to each other by index;
 * their number and the nesting are bounded, so an expression from a script cannot exhaust anything.
 */
#include "where.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "clock.h"
#include "mem.h"
#include "nearest.h"

#define NODES_MAX  256u
#define DEPTH_MAX  32u
#define WORD_BYTES 1024u
#define NONE       UINT16_MAX

enum type {
    TEXT,
    NUMBER,
    TIME
};
enum node_kind {
    NODE_OR,
    NODE_AND,
    NODE_NOT,
    NODE_TEST
};
enum relation {
    OP_EQUAL,
    OP_UNEQUAL,
    OP_LESS,
    OP_AT_MOST,
    OP_MORE,
    OP_AT_LEAST,
    OP_HAS,
    OP_LACKS
};

struct node {
    enum node_kind kind;
    uint16_t left, right; /* OR, AND; NOT has left only */
    enum dri_where_field field;
    enum relation op;
    char *text; /* owned; of a TEXT test */
    size_t text_len;
    uint64_t number;
};

struct dri_where {
    struct node nodes[NODES_MAX];
    uint16_t count;
    uint16_t root;
};

static const struct {
    const char *name;
    enum type type;
} fields[] = {
#define FIELD_ROW(name, type) {#name, type},
    DRI_WHERE_FIELD_TABLE(FIELD_ROW)
#undef FIELD_ROW
};

struct parser {
    const char *text;
    size_t at;
    uint64_t now_ms;
    struct dri_where *where;
    struct dri_where_error *error;
    enum dray_status status; /* the first failure sticks */
    unsigned depth;
};

/* ---- words ---- */

static uint16_t fail(struct parser *parser, size_t column, const char *text)
{
    if (parser->status == DRAY_OK) {
        parser->status = DRAY_EINVALID;
        parser->error->column = column;
        snprintf(parser->error->text, sizeof(parser->error->text), "%s", text);
    }
    return NONE;
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           strchr("_.:/@+-*$#%,;{}[]", c) != NULL || ((unsigned char)c & 0x80) != 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void skip_blanks(struct parser *parser)
{
    while (is_blank(parser->text[parser->at])) {
        parser->at++;
    }
}

static size_t word_len(const struct parser *parser)
{
    size_t len = 0;
    while (parser->text[parser->at + len] != '\0' && is_word(parser->text[parser->at + len])) {
        len++;
    }
    return len;
}

/* Takes a word of the grammar when it stands here. */
static bool take_word(struct parser *parser, const char *word)
{
    skip_blanks(parser);
    size_t len = strlen(word);
    if (word_len(parser) == len && strncasecmp(parser->text + parser->at, word, len) == 0) {
        parser->at += len;
        return true;
    }
    return false;
}

static bool take_sign(struct parser *parser, char sign)
{
    skip_blanks(parser);
    if (parser->text[parser->at] == sign) {
        parser->at++;
        return true;
    }
    return false;
}

static uint16_t add_node(struct parser *parser, struct node node)
{
    if (parser->where->count == NODES_MAX) {
        return fail(parser, parser->at, "the expression is too long");
    }
    parser->where->nodes[parser->where->count] = node;
    return parser->where->count++;
}

/* ---- tests ---- */

static bool take_field(struct parser *parser, enum dri_where_field *ret_field)
{
    struct dri_nearest nearest;
    char word[64];
    char text[160];
    skip_blanks(parser);
    size_t len = word_len(parser);
    snprintf(word, sizeof(word), "%.*s", (int)len, parser->text + parser->at);
    if (len == 0) {
        (void)fail(parser, parser->at, "a field is missing here, as in: reason = timeout");
        return false;
    }
    dri_nearest_init(&nearest, word);
    for (size_t i = 0; i < DRI_WHERE_FIELDS; i++) {
        if (strcmp(fields[i].name, word) == 0) {
            *ret_field = (enum dri_where_field)i;
            parser->at += len;
            return true;
        }
        dri_nearest_show(&nearest, fields[i].name);
    }
    bool is_near = dri_nearest_is_near(&nearest);
    snprintf(text, sizeof(text), "unknown field \"%s\"%s%s%s", word,
             is_near ? "; did you mean \"" : "", is_near ? nearest.word : "", is_near ? "\"?" : "");
    (void)fail(parser, parser->at, text);
    return false;
}

static bool take_operator(struct parser *parser, enum relation *ret_op)
{
    static const struct {
        const char *sign;
        enum relation op;
    } signs[] = {{"==", OP_EQUAL},    {"!=", OP_UNEQUAL}, {"<=", OP_AT_MOST},
                 {">=", OP_AT_LEAST}, {"!~", OP_LACKS},   {"=", OP_EQUAL},
                 {"<", OP_LESS},      {">", OP_MORE},     {"~", OP_HAS}};
    skip_blanks(parser);
    for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
        size_t len = strlen(signs[i].sign);
        if (strncmp(parser->text + parser->at, signs[i].sign, len) == 0) {
            *ret_op = signs[i].op;
            parser->at += len;
            return true;
        }
    }
    (void)fail(parser, parser->at, "an operator is missing here: = != < <= > >= ~ !~");
    return false;
}

/* A quoted or bare value, unescaped. False: failed. */
static bool take_value(struct parser *parser, char ret_word[WORD_BYTES], size_t *ret_len)
{
    size_t len = 0;
    skip_blanks(parser);
    size_t begin = parser->at;
    char quote = parser->text[parser->at];
    bool is_quoted = quote == '"' || quote == '\'';
    parser->at += is_quoted ? 1 : 0;
    for (;; parser->at++) {
        char c = parser->text[parser->at];
        if (is_quoted && c == quote) {
            parser->at++;
            break;
        }
        if (is_quoted && c == '\0') {
            (void)fail(parser, begin, "this quote is never closed");
            return false;
        }
        if (!is_quoted && (c == '\0' || !is_word(c))) {
            break;
        }
        if (is_quoted && c == '\\' && parser->text[parser->at + 1] != '\0') {
            c = parser->text[++parser->at];
        }
        if (len + 1 == WORD_BYTES) {
            (void)fail(parser, begin, "this value is too long");
            return false;
        }
        ret_word[len++] = c;
    }
    if (!is_quoted && len == 0) {
        (void)fail(parser, begin, "a value is missing here");
        return false;
    }
    ret_word[len] = '\0';
    *ret_len = len;
    return true;
}

static bool number_parse(const char *text, size_t len, uint64_t *ret_number)
{
    uint64_t number = 0;
    if (len == 0 || len > 19) {
        return false;
    }
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        number = number * 10 + (uint64_t)(text[i] - '0');
    }
    *ret_number = number;
    return true;
}

bool dri_where_time(const char *text, size_t len, uint64_t now_ms, uint64_t *ret_ms)
{
    static const struct {
        char unit;
        uint64_t ms;
    } units[] = {{'s', 1000}, {'m', 60000}, {'h', 3600000}, {'d', 86400000}, {'w', 604800000}};
    char day[DRI_CLOCK_TEXT_BYTES];
    uint64_t number = 0;
    if (len == 3 && memcmp(text, "now", 3) == 0) {
        *ret_ms = now_ms;
        return true;
    }
    if (len >= 3 && text[0] == '-' && number_parse(text + 1, len - 2, &number)) {
        for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
            if (text[len - 1] == units[i].unit && number <= now_ms / units[i].ms) {
                *ret_ms = now_ms - number * units[i].ms;
                return true;
            }
        }
        return false;
    }
    if (len == 10) {
        snprintf(day, sizeof(day), "%.10sT00:00:00Z", text);
        *ret_ms = dri_clock_parse(day, strlen(day));
    } else {
        *ret_ms = dri_clock_parse(text, len);
    }
    return *ret_ms != 0;
}

static uint16_t parse_test(struct parser *parser)
{
    struct node node = {.kind = NODE_TEST, .left = NONE, .right = NONE};
    char word[WORD_BYTES];
    size_t len = 0;
    if (!take_field(parser, &node.field)) {
        return NONE;
    }
    skip_blanks(parser);
    size_t op_at = parser->at;
    if (!take_operator(parser, &node.op)) {
        return NONE;
    }
    skip_blanks(parser);
    size_t value_at = parser->at;
    if (!take_value(parser, word, &len)) {
        return NONE;
    }
    enum type type = fields[node.field].type;
    if (type != TEXT && (node.op == OP_HAS || node.op == OP_LACKS)) {
        return fail(parser, op_at, "~ and !~ are for texts");
    }
    if (type == NUMBER && !number_parse(word, len, &node.number)) {
        return fail(parser, value_at, "a number has to stand here");
    }
    if (type == TIME && !dri_where_time(word, len, parser->now_ms, &node.number)) {
        return fail(parser, value_at,
                    "a time has to stand here: 2026-01-31T12:00:00Z, 2026-01-31 or -2h");
    }
    if (type == TEXT) {
        node.text = dri_strndup(word, len);
        node.text_len = len;
        if (node.text == NULL) {
            parser->status = DRAY_ENOMEM;
            return NONE;
        }
    }
    uint16_t at = add_node(parser, node);
    if (at == NONE) {
        dri_free(node.text);
    }
    return at;
}

/* ---- the grammar ---- */

static uint16_t parse_or(struct parser *parser);

static uint16_t parse_not(struct parser *parser)
{
    uint16_t inner = NONE;
    if (parser->depth == DEPTH_MAX) {
        return fail(parser, parser->at, "nested too deeply");
    }
    parser->depth++;
    if (take_word(parser, "not")) {
        inner = parse_not(parser);
        if (inner != NONE) {
            inner = add_node(parser, (struct node){.kind = NODE_NOT, .left = inner, .right = NONE});
        }
    } else if (take_sign(parser, '(')) {
        size_t open_at = parser->at - 1;
        inner = parse_or(parser);
        if (inner != NONE && !take_sign(parser, ')')) {
            bool is_end = parser->text[parser->at] == '\0';
            inner = fail(parser, is_end ? open_at : parser->at,
                         is_end ? "this ( is never closed" : "and, or or ) has to stand here");
        }
    } else {
        inner = parse_test(parser);
    }
    parser->depth--;
    return inner;
}

static uint16_t parse_and(struct parser *parser)
{
    uint16_t left = parse_not(parser);
    while (left != NONE && take_word(parser, "and")) {
        uint16_t right = parse_not(parser);
        left = right == NONE
                   ? NONE
                   : add_node(parser, (struct node){NODE_AND, left, right, 0, 0, NULL, 0, 0});
    }
    return left;
}

static uint16_t parse_or(struct parser *parser)
{
    uint16_t left = parse_and(parser);
    while (left != NONE && take_word(parser, "or")) {
        uint16_t right = parse_and(parser);
        left = right == NONE
                   ? NONE
                   : add_node(parser, (struct node){NODE_OR, left, right, 0, 0, NULL, 0, 0});
    }
    return left;
}

enum dray_status dri_where_parse(const char *text, uint64_t now_ms, struct dri_where **ret_where,
                                 struct dri_where_error *ret_error)
{
    struct parser parser = {.text = text, .now_ms = now_ms, .error = ret_error};
    parser.where = dri_zalloc(sizeof(*parser.where));
    if (parser.where == NULL) {
        return DRAY_ENOMEM;
    }
    parser.where->root = parse_or(&parser);
    skip_blanks(&parser);
    if (parser.status == DRAY_OK && text[parser.at] != '\0') {
        (void)fail(&parser, parser.at, "and or or has to stand here");
    }
    if (parser.status != DRAY_OK) {
        dri_where_destroy(parser.where);
        return parser.status;
    }
    *ret_where = parser.where;
    return DRAY_OK;
}

void dri_where_destroy(struct dri_where *where)
{
    for (size_t i = 0; where != NULL && i < where->count; i++) {
        dri_free(where->nodes[i].text);
    }
    dri_free(where);
}

/* ---- asking ---- */

static bool contains(struct dray_slice text, const char *what, size_t len)
{
    return len == 0 || (text.len >= len && memmem(text.at, text.len, what, len) != NULL);
}

static int compare_texts(struct dray_slice text, const char *other, size_t len)
{
    size_t common = text.len < len ? text.len : len;
    int order = common == 0 ? 0 : memcmp(text.at, other, common);
    return order != 0 ? order : (text.len > len) - (text.len < len);
}

static bool is_in_order(enum relation op, int order)
{
    switch (op) {
    case OP_EQUAL:
        return order == 0;
    case OP_UNEQUAL:
        return order != 0;
    case OP_LESS:
        return order < 0;
    case OP_AT_MOST:
        return order <= 0;
    case OP_MORE:
        return order > 0;
    case OP_AT_LEAST:
        return order >= 0;
    case OP_HAS:
    case OP_LACKS:
    default:
        return false;
    }
}

static bool test(const struct node *node, const struct dri_where_row *row)
{
    if (fields[node->field].type != TEXT) {
        uint64_t number = row->number[node->field];
        return is_in_order(node->op, (number > node->number) - (number < node->number));
    }
    struct dray_slice text = row->text[node->field];
    if (node->op == OP_HAS || node->op == OP_LACKS) {
        return contains(text, node->text, node->text_len) == (node->op == OP_HAS);
    }
    return is_in_order(node->op, compare_texts(text, node->text, node->text_len));
}

/* Children stand before their parents, so one walk over the array is enough. */
bool dri_where_matches(const struct dri_where *where, const struct dri_where_row *row)
{
    bool truth[NODES_MAX];
    if (where == NULL) {
        return true;
    }
    for (uint16_t i = 0; i < where->count; i++) {
        const struct node *node = &where->nodes[i];
        switch (node->kind) {
        case NODE_OR:
            truth[i] = truth[node->left] || truth[node->right];
            break;
        case NODE_AND:
            truth[i] = truth[node->left] && truth[node->right];
            break;
        case NODE_NOT:
            truth[i] = !truth[node->left];
            break;
        case NODE_TEST:
        default:
            truth[i] = test(node, row);
            break;
        }
    }
    return truth[where->root];
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* yaml_tree.c - a YAML file as a tree whose nodes know their lines.
 *
 * libyaml's document loader is used, not its events: it resolves anchors and bounds nesting, and a
 * configuration is small. What it does not do is done here: duplicate keys are errors, a second
 * document is an error, and unquoted words mean what they mean in YAML 1.2's core schema (no "yes",
 * no "on", no octal by a leading zero: a version such as 1.10 or a group called `no` must not
 * change its meaning).
 */
#include "yaml_tree.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "mem.h"

#define FILE_BYTES_MAX (4u << 20)
#define JSON_BYTES_MAX (1u << 20)
#define DEPTH_MAX      32u
#define PAIRS_MAX      10000u
#define PATH_BYTES     256u

struct dri_yaml {
    yaml_document_t document;
    bool has_document;
    char *file; /* owned */
};

static const char *file_fault(int error)
{
    return strerrordesc_np(error);
}

static enum dray_status file_read(const char *file, char **ret_bytes, size_t *ret_len,
                                  char *ret_text, size_t text_bytes)
{
    errno = 0;
    FILE *stream = fopen(file, "re");
    if (stream == NULL) {
        int error = errno;
        snprintf(ret_text, text_bytes, "cannot read %s: %s", file, file_fault(error));
        return error == ENOENT ? DRAY_ENOTFOUND : error == EACCES ? DRAY_EAUTH : DRAY_EIO;
    }
    char *bytes = dri_zalloc(FILE_BYTES_MAX + 1);
    size_t len = bytes == NULL ? 0 : fread(bytes, 1, FILE_BYTES_MAX + 1, stream);
    enum dray_status status = bytes == NULL ? DRAY_ENOMEM : DRAY_OK;
    if (status == DRAY_OK && ferror(stream) != 0) {
        snprintf(ret_text, text_bytes, "cannot read %s: %s", file, file_fault(errno));
        status = DRAY_EIO;
    } else if (len > FILE_BYTES_MAX) {
        snprintf(ret_text, text_bytes, "%s is larger than %u MiB", file, FILE_BYTES_MAX >> 20);
        status = DRAY_ELIMIT;
    }
    (void)fclose(stream); /* it was only read */
    if (status != DRAY_OK) {
        dri_free(bytes);
        return status;
    }
    *ret_bytes = bytes;
    *ret_len = len;
    return DRAY_OK;
}

static enum dray_status parse_fault(const yaml_parser_t *parser, const char *file, char *ret_text,
                                    size_t text_bytes)
{
    if (parser->error == YAML_MEMORY_ERROR) {
        return DRAY_ENOMEM;
    }
    size_t line =
        parser->error == YAML_READER_ERROR ? parser->mark.line : parser->problem_mark.line;
    snprintf(ret_text, text_bytes, "%s:%zu: %s%s%s", file, line + 1,
             parser->problem == NULL ? "is no YAML" : parser->problem,
             parser->context == NULL ? "" : " ", parser->context == NULL ? "" : parser->context);
    return DRAY_EINVALID;
}

/* Only one document may stand in a file: what follows would be ignored in silence. */
static enum dray_status end_check(yaml_parser_t *parser, const char *file, char *ret_text,
                                  size_t text_bytes)
{
    yaml_document_t next;
    if (yaml_parser_load(parser, &next) == 0) {
        return parse_fault(parser, file, ret_text, text_bytes);
    }
    const yaml_node_t *root = yaml_document_get_root_node(&next);
    enum dray_status status = root == NULL ? DRAY_OK : DRAY_EINVALID;
    if (root != NULL) {
        snprintf(ret_text, text_bytes, "%s:%zu: a second document begins; one is all that is read",
                 file, root->start_mark.line + 1);
    }
    yaml_document_delete(&next);
    return status;
}

static const yaml_node_t *node_of(const struct dri_yaml *yaml, dri_yaml_node node)
{
    /* libyaml's getter wants the document without const, and does not change it. */
    return yaml->document.nodes.start + (node - 1);
}

static enum dray_status duplicates_check(const struct dri_yaml *yaml, char *ret_text,
                                         size_t text_bytes)
{
    dri_yaml_node end = (dri_yaml_node)(yaml->document.nodes.top - yaml->document.nodes.start);
    for (dri_yaml_node map = 1; map <= end; map++) {
        size_t count =
            node_of(yaml, map)->type == YAML_MAPPING_NODE ? dri_yaml_count(yaml, map) : 0;
        if (count > PAIRS_MAX) {
            snprintf(ret_text, text_bytes, "%s:%zu: has more than %u keys", yaml->file,
                     dri_yaml_line(yaml, map), PAIRS_MAX);
            return DRAY_ELIMIT;
        }
        for (size_t i = 0; i < count; i++) {
            dri_yaml_node value;
            dri_yaml_node key = dri_yaml_pair(yaml, map, i, &value);
            if (node_of(yaml, key)->type != YAML_SCALAR_NODE) {
                snprintf(ret_text, text_bytes, "%s:%zu: a key has to be text", yaml->file,
                         dri_yaml_line(yaml, key));
                return DRAY_EINVALID;
            }
            for (size_t j = 0; j < i; j++) {
                dri_yaml_node before = dri_yaml_pair(yaml, map, j, &value);
                if (strcmp(dri_yaml_text(yaml, before), dri_yaml_text(yaml, key)) == 0) {
                    snprintf(ret_text, text_bytes,
                             "%s:%zu: key \"%s\" stands there twice, first in line %zu", yaml->file,
                             dri_yaml_line(yaml, key), dri_yaml_text(yaml, key),
                             dri_yaml_line(yaml, before));
                    return DRAY_EINVALID;
                }
            }
        }
    }
    return DRAY_OK;
}

static enum dray_status document_load(struct dri_yaml *yaml, const char *bytes, size_t len,
                                      char *ret_text, size_t text_bytes)
{
    yaml_parser_t parser;
    if (yaml_parser_initialize(&parser) == 0) {
        return DRAY_ENOMEM;
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)bytes, len);
    enum dray_status status = DRAY_OK;
    if (yaml_parser_load(&parser, &yaml->document) == 0) {
        status = parse_fault(&parser, yaml->file, ret_text, text_bytes);
    } else {
        yaml->has_document = true;
        status = dri_yaml_root(yaml) == 0 ? DRAY_OK
                                          : end_check(&parser, yaml->file, ret_text, text_bytes);
    }
    yaml_parser_delete(&parser);
    return status == DRAY_OK ? duplicates_check(yaml, ret_text, text_bytes) : status;
}

enum dray_status dri_yaml_load(const char *file, struct dri_yaml **ret_yaml, char *ret_text,
                               size_t text_bytes)
{
    char *bytes = NULL;
    size_t len = 0;
    enum dray_status status = file_read(file, &bytes, &len, ret_text, text_bytes);
    if (status != DRAY_OK) {
        return status;
    }
    struct dri_yaml *yaml = dri_zalloc(sizeof(*yaml));
    if (yaml != NULL) {
        yaml->file = dri_strdup(file);
    }
    status = yaml == NULL || yaml->file == NULL
                 ? DRAY_ENOMEM
                 : document_load(yaml, bytes, len, ret_text, text_bytes);
    dri_free(bytes);
    if (status != DRAY_OK) {
        dri_yaml_destroy(yaml);
        return status;
    }
    *ret_yaml = yaml;
    return DRAY_OK;
}

void dri_yaml_destroy(struct dri_yaml *yaml)
{
    if (yaml == NULL) {
        return;
    }
    if (yaml->has_document) {
        yaml_document_delete(&yaml->document);
    }
    dri_free(yaml->file);
    dri_free(yaml);
}

const char *dri_yaml_file(const struct dri_yaml *yaml)
{
    return yaml->file;
}

dri_yaml_node dri_yaml_root(const struct dri_yaml *yaml)
{
    return yaml->document.nodes.top > yaml->document.nodes.start ? 1 : 0;
}

static bool is_null_word(const char *text)
{
    return text[0] == '\0' || strcmp(text, "~") == 0 || strcmp(text, "null") == 0 ||
           strcmp(text, "Null") == 0 || strcmp(text, "NULL") == 0;
}

static bool is_plain(const yaml_node_t *node)
{
    return node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
}

enum dri_yaml_kind dri_yaml_kind(const struct dri_yaml *yaml, dri_yaml_node node)
{
    const yaml_node_t *at = node_of(yaml, node);
    switch (at->type) {
    case YAML_SEQUENCE_NODE:
        return DRI_YAML_LIST;
    case YAML_MAPPING_NODE:
        return DRI_YAML_MAP;
    case YAML_SCALAR_NODE:
    case YAML_NO_NODE:
    default:
        return is_plain(at) && is_null_word(dri_yaml_text(yaml, node)) ? DRI_YAML_NULL
                                                                       : DRI_YAML_SCALAR;
    }
}

size_t dri_yaml_line(const struct dri_yaml *yaml, dri_yaml_node node)
{
    return node_of(yaml, node)->start_mark.line + 1;
}

const char *dri_yaml_text(const struct dri_yaml *yaml, dri_yaml_node node)
{
    return (const char *)node_of(yaml, node)->data.scalar.value;
}

size_t dri_yaml_count(const struct dri_yaml *yaml, dri_yaml_node node)
{
    const yaml_node_t *at = node_of(yaml, node);
    if (at->type == YAML_SEQUENCE_NODE) {
        return (size_t)(at->data.sequence.items.top - at->data.sequence.items.start);
    }
    if (at->type == YAML_MAPPING_NODE) {
        return (size_t)(at->data.mapping.pairs.top - at->data.mapping.pairs.start);
    }
    return 0;
}

dri_yaml_node dri_yaml_item(const struct dri_yaml *yaml, dri_yaml_node list, size_t n)
{
    return node_of(yaml, list)->data.sequence.items.start[n];
}

dri_yaml_node dri_yaml_pair(const struct dri_yaml *yaml, dri_yaml_node map, size_t n,
                            dri_yaml_node *ret_value)
{
    const yaml_node_pair_t *pair = &node_of(yaml, map)->data.mapping.pairs.start[n];
    *ret_value = pair->value;
    return pair->key;
}

/* ---- to JSON ---- */

struct printer {
    const struct dri_yaml *yaml;
    dri_yaml_is_text_fn *is_text;
    struct dri_text *json;
    char *text;
    size_t text_bytes;
    char path[PATH_BYTES];
};

static bool is_bool_word(const char *text, bool *ret_value)
{
    static const char *const words[] = {"false", "False", "FALSE", "true", "True", "TRUE"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(text, words[i]) == 0) {
            *ret_value = i >= 3;
            return true;
        }
    }
    return false;
}

static size_t digits(const char *text)
{
    return strspn(text, "0123456789");
}

/* A number that JSON writes likewise. Hex, octal, infinity and the like stay text: no key of ours
 * takes them. */
static bool is_number(const char *text)
{
    text += *text == '-' ? 1 : 0;
    size_t whole = digits(text);
    if (whole == 0 || (whole > 1 && text[0] == '0')) {
        return false;
    }
    text += whole;
    if (*text == '.') {
        size_t part = digits(text + 1);
        if (part == 0) {
            return false;
        }
        text += 1 + part;
    }
    if (*text == 'e' || *text == 'E') {
        text += text[1] == '-' || text[1] == '+' ? 2 : 1;
        size_t part = digits(text);
        if (part == 0) {
            return false;
        }
        text += part;
    }
    return *text == '\0';
}

static void print_scalar(struct printer *printer, dri_yaml_node node)
{
    const yaml_node_t *at = node_of(printer->yaml, node);
    const char *text = dri_yaml_text(printer->yaml, node);
    bool value = false;
    bool is_text = !is_plain(at) || (printer->is_text != NULL && printer->is_text(printer->path));
    if (!is_text && is_null_word(text)) {
        dri_text_add(printer->json, "null", 4);
    } else if (!is_text && is_bool_word(text, &value)) {
        dri_text_addf(printer->json, "%s", value ? "true" : "false");
    } else if (!is_text && is_number(text)) {
        dri_text_addf(printer->json, "%s", text);
    } else {
        dri_text_add_json_string(printer->json, dray_slice_of(text, at->data.scalar.length));
    }
}

static enum dray_status print_node(struct printer *printer, dri_yaml_node node, uint32_t depth);

static enum dray_status print_list(struct printer *printer, dri_yaml_node list, uint32_t depth)
{
    enum dray_status status = DRAY_OK;
    for (size_t i = 0; status == DRAY_OK && i < dri_yaml_count(printer->yaml, list); i++) {
        dri_text_addf(printer->json, "%s", i == 0 ? "[" : ",");
        status = print_node(printer, dri_yaml_item(printer->yaml, list, i), depth + 1);
    }
    dri_text_addf(printer->json, "%s", dri_yaml_count(printer->yaml, list) == 0 ? "[]" : "]");
    return status;
}

static enum dray_status print_map(struct printer *printer, dri_yaml_node map, uint32_t depth)
{
    enum dray_status status = DRAY_OK;
    size_t len = strlen(printer->path);
    dri_text_addf(printer->json, "{");
    for (size_t i = 0; status == DRAY_OK && i < dri_yaml_count(printer->yaml, map); i++) {
        dri_yaml_node value;
        dri_yaml_node key = dri_yaml_pair(printer->yaml, map, i, &value);
        const char *name = dri_yaml_text(printer->yaml, key);
        dri_text_addf(printer->json, "%s", i == 0 ? "" : ",");
        dri_text_add_json_string(printer->json, dray_slice_text(name));
        dri_text_addf(printer->json, ":");
        (void)snprintf(printer->path + len, sizeof(printer->path) - len, "%s%s",
                       len == 0 ? "" : ".", name); /* cut: then it is no path of ours */
        status = print_node(printer, value, depth + 1);
        printer->path[len] = '\0';
    }
    dri_text_addf(printer->json, "}");
    return status;
}

static enum dray_status print_node(struct printer *printer, dri_yaml_node node, uint32_t depth)
{
    /* An anchor may be used many times, and inside itself: size and depth bound what comes of it.
     */
    if (depth > DEPTH_MAX || printer->json->len > JSON_BYTES_MAX) {
        snprintf(printer->text, printer->text_bytes, "%s:%zu: %s", printer->yaml->file,
                 dri_yaml_line(printer->yaml, node),
                 depth > DEPTH_MAX ? "is nested too deep" : "grows over 1 MiB");
        return DRAY_ELIMIT;
    }
    switch (dri_yaml_kind(printer->yaml, node)) {
    case DRI_YAML_LIST:
        return print_list(printer, node, depth);
    case DRI_YAML_MAP:
        return print_map(printer, node, depth);
    case DRI_YAML_NULL:
    case DRI_YAML_SCALAR:
    default:
        print_scalar(printer, node);
        return printer->json->status;
    }
}

enum dray_status dri_yaml_to_json(const struct dri_yaml *yaml, dri_yaml_node node,
                                  dri_yaml_is_text_fn *is_text, struct dri_text *json,
                                  char *ret_text, size_t text_bytes)
{
    struct printer printer = {.yaml = yaml,
                              .is_text = is_text,
                              .json = json,
                              .text = ret_text,
                              .text_bytes = text_bytes,
                              .path = ""};
    return print_node(&printer, node, 0);
}

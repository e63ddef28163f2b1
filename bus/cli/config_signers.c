/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* config_signers.c - the maps of control.signers as the one line that every source may say.
 *
 * One form for the file, the environment and --set: what it means is judged in one place
 * (run/signers.c), and what differs after SIGHUP is seen by comparing texts.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "assert.h"
#include "config_private.h"
#include "run/signers.h"

struct line {
    const struct dri_yaml *yaml;
    char *at;
    size_t bytes, len;
    char *text;
    size_t text_bytes;
};

static enum dray_status wrong(const struct line *line, dri_yaml_node node, const char *what)
{
    snprintf(line->text, line->text_bytes, "%s:%zu: control.signers: %s", dri_yaml_file(line->yaml),
             dri_yaml_line(line->yaml, node), what);
    return DRAY_EINVALID;
}

static void add(struct line *line, const char *format, ...) DRAY_FORMAT(2, 3);

static void add(struct line *line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    size_t room = line->len < line->bytes ? line->bytes - line->len : 0;
    int len = vsnprintf(room == 0 ? NULL : line->at + line->len, room, format, arguments);
    line->len += len < 0 ? 0 : (size_t)len;
    va_end(arguments);
}

/* The members of one map, 0 where there is none. */
struct members {
    dri_yaml_node kid, key, namespaces, from, until;
};

static enum dray_status find_members(const struct line *line, dri_yaml_node map,
                                     struct members *ret_members)
{
    struct members members = {0, 0, 0, 0, 0};
    const struct {
        const char *name;
        dri_yaml_node *node;
    } known[] = {{"kid", &members.kid},
                 {"key", &members.key},
                 {"namespaces", &members.namespaces},
                 {"from", &members.from},
                 {"until", &members.until}};
    for (size_t i = 0; i < dri_yaml_count(line->yaml, map); i++) {
        dri_yaml_node value;
        dri_yaml_node key = dri_yaml_pair(line->yaml, map, i, &value);
        size_t k = 0;
        while (k < DRI_ARRAY_LEN(known) &&
               strcmp(known[k].name, dri_yaml_text(line->yaml, key)) != 0) {
            k++;
        }
        if (k == DRI_ARRAY_LEN(known)) {
            return wrong(line, key, "a signer has kid, key, namespaces, from and until");
        }
        if (dri_yaml_kind(line->yaml, value) == DRI_YAML_MAP ||
            (dri_yaml_kind(line->yaml, value) == DRI_YAML_LIST &&
             known[k].node != &members.namespaces)) {
            return wrong(line, key, "its value has to be plain");
        }
        *known[k].node = value;
    }
    if (members.kid == 0 || members.key == 0 || members.namespaces == 0) {
        return wrong(line, map, "a signer needs kid, key and namespaces (\"*\": all)");
    }
    *ret_members = members;
    return DRAY_OK;
}

/* A word cannot carry what separates the words. */
static enum dray_status add_word(struct line *line, dri_yaml_node node, const char *before)
{
    const char *word = dri_yaml_text(line->yaml, node);
    if (word[0] == '\0' || strpbrk(word, ",/@") != NULL) {
        return wrong(line, node, "a value is empty, or has one of , / @");
    }
    add(line, "%s%s", before, word);
    return DRAY_OK;
}

static enum dray_status add_namespaces(struct line *line, dri_yaml_node node)
{
    if (dri_yaml_kind(line->yaml, node) != DRI_YAML_LIST) {
        return add_word(line, node, "/");
    }
    enum dray_status status = dri_yaml_count(line->yaml, node) == 0
                                  ? wrong(line, node, "a signer of no namespace signs nothing")
                                  : DRAY_OK;
    for (size_t i = 0; status == DRAY_OK && i < dri_yaml_count(line->yaml, node); i++) {
        dri_yaml_node item = dri_yaml_item(line->yaml, node, i);
        status = dri_yaml_kind(line->yaml, item) == DRI_YAML_SCALAR
                     ? add_word(line, item, "/")
                     : wrong(line, item, "namespaces are a list of names");
    }
    return status;
}

static enum dray_status add_signer(struct line *line, dri_yaml_node map)
{
    struct members members;
    enum dray_status status = find_members(line, map, &members);
    if (status == DRAY_OK) {
        status = add_word(line, members.kid, "");
    }
    if (status == DRAY_OK && (members.from != 0 || members.until != 0)) {
        add(line, "@%s", members.from == 0 ? "1" : dri_yaml_text(line->yaml, members.from));
        add(line, "-%s", members.until == 0 ? "" : dri_yaml_text(line->yaml, members.until));
    }
    if (status == DRAY_OK) {
        status = add_word(line, members.key, "/");
    }
    return status == DRAY_OK ? add_namespaces(line, members.namespaces) : status;
}

enum dray_status dri_config_signers_read(const struct dri_yaml *yaml, dri_yaml_node list,
                                         char *ret_line, size_t line_bytes, char *ret_text,
                                         size_t text_bytes)
{
    struct line line = {.yaml = yaml,
                        .at = ret_line,
                        .bytes = line_bytes,
                        .text = ret_text,
                        .text_bytes = text_bytes};
    enum dray_status status = DRAY_OK;
    ret_line[0] = '\0';
    for (size_t i = 0; status == DRAY_OK && i < dri_yaml_count(yaml, list); i++) {
        dri_yaml_node item = dri_yaml_item(yaml, list, i);
        if (i > 0) {
            add(&line, ",");
        }
        if (dri_yaml_kind(yaml, item) == DRI_YAML_MAP) {
            status = add_signer(&line, item);
        } else if (dri_yaml_kind(yaml, item) == DRI_YAML_SCALAR) {
            add(&line, "%s", dri_yaml_text(yaml, item));
        } else {
            status = wrong(&line, item, "a signer is a map: {kid: ..., key: ..., namespaces: ...}");
        }
    }
    return status == DRAY_OK && line.len >= line_bytes ? wrong(&line, list, "is too long") : status;
}

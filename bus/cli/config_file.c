/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* config_file.c - the YAML file of a configuration: nested maps become dotted keys.
 *
 * A key may stand in a section or be written with its dots at once; both are the same key, so a
 * second one is refused. Below `kafka` and `nats` the depth does not matter, librdkafka's names
 * have dots; whether there is such a name is for its transport to say.
 */
#include <stdio.h>
#include <string.h>

#include "config_private.h"
#include "mem.h"

#define KEY_BYTES    256u
#define SOURCE_BYTES 512u
#define LIST_BYTES   4096u
#define DEPTH_MAX    8u

struct reader {
    struct dri_config *config;
    const struct dri_yaml *yaml;
    char *text;
    size_t text_bytes;
};

static enum dray_status fault(const struct reader *reader, dri_yaml_node node, const char *what,
                              const char *key)
{
    snprintf(reader->text, reader->text_bytes, "%s:%zu: \"%s\" %s", dri_yaml_file(reader->yaml),
             dri_yaml_line(reader->yaml, node), key, what);
    return DRAY_EINVALID;
}

static bool is_option(const char *key)
{
    return strncmp(key, "kafka.", 6) == 0 || strncmp(key, "nats.", 5) == 0;
}

static enum dray_status unknown(const struct reader *reader, dri_yaml_node node, const char *key)
{
    char source[SOURCE_BYTES];
    snprintf(source, sizeof(source), "%s:%zu", dri_yaml_file(reader->yaml),
             dri_yaml_line(reader->yaml, node));
    return dri_config_unknown(source, key, true, reader->text, reader->text_bytes);
}

static enum dray_status put(const struct reader *reader, dri_yaml_node node, const char *key,
                            const char *text)
{
    char source[SOURCE_BYTES];
    snprintf(source, sizeof(source), "%s:%zu", dri_yaml_file(reader->yaml),
             dri_yaml_line(reader->yaml, node));
    struct dri_config_input input = {
        .key = key, .text = text, .source = source, .origin = DRI_ORIGIN_FILE};
    return dri_config_put(reader->config, &input, reader->text, reader->text_bytes);
}

static enum dray_status put_list(const struct reader *reader, dri_yaml_node at, const char *key,
                                 dri_yaml_node list)
{
    char text[LIST_BYTES];
    size_t len = 0;
    text[0] = '\0';
    for (size_t i = 0; i < dri_yaml_count(reader->yaml, list); i++) {
        dri_yaml_node item = dri_yaml_item(reader->yaml, list, i);
        if (dri_yaml_kind(reader->yaml, item) != DRI_YAML_SCALAR) {
            return fault(reader, item, "has to be a list of plain values", key);
        }
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", i == 0 ? "" : ",",
                                dri_yaml_text(reader->yaml, item));
        if (len >= sizeof(text)) {
            return fault(reader, item, "is too long", key);
        }
    }
    return put(reader, at, key, text);
}

static enum dray_status put_signers(const struct reader *reader, dri_yaml_node at, const char *key,
                                    dri_yaml_node list)
{
    char text[DRI_SIGNERS_TEXT_MAX];
    enum dray_status status = dri_config_signers_read(reader->yaml, list, text, sizeof(text),
                                                      reader->text, reader->text_bytes);
    return status == DRAY_OK ? put(reader, at, key, text) : status;
}

static enum dray_status read_map(const struct reader *reader, dri_yaml_node map, const char *prefix,
                                 uint32_t depth);

static enum dray_status read_value(const struct reader *reader, dri_yaml_node at, const char *key,
                                   dri_yaml_node value, uint32_t depth)
{
    size_t row = dri_config_find(key);
    bool is_known = row < dri_config_rows_count;
    enum dri_yaml_kind kind = dri_yaml_kind(reader->yaml, value);
    if (strcmp(key, "routes") == 0) {
        return dri_routes_read(reader->yaml, value, &reader->config->routes, reader->text,
                               reader->text_bytes);
    }
    if (!is_known && !dri_config_is_section(key) && !is_option(key)) {
        return unknown(reader, at, key);
    }
    switch (kind) {
    case DRI_YAML_NULL:
        return is_known && dri_config_rows[row].type == DRI_CONFIG_SIGNERS
                   ? put(reader, at, key, "")
                   : DRAY_OK;
    case DRI_YAML_MAP:
        return is_known ? fault(reader, at, "is a value, not a section", key)
                        : read_map(reader, value, key, depth + 1);
    case DRI_YAML_LIST:
        if (is_option(key) || (is_known && dri_config_rows[row].type == DRI_CONFIG_LIST)) {
            return put_list(reader, at, key, value);
        }
        if (is_known && dri_config_rows[row].type == DRI_CONFIG_SIGNERS) {
            return put_signers(reader, at, key, value);
        }
        return fault(reader, at, "takes no list", key);
    case DRI_YAML_SCALAR:
    default:
        if (!is_known && !is_option(key)) {
            return fault(reader, at, "is a section: its keys stand below it", key);
        }
        return put(reader, at, key, dri_yaml_text(reader->yaml, value));
    }
}

static enum dray_status read_map(const struct reader *reader, dri_yaml_node map, const char *prefix,
                                 uint32_t depth)
{
    enum dray_status status = DRAY_OK;
    for (size_t i = 0; status == DRAY_OK && i < dri_yaml_count(reader->yaml, map); i++) {
        dri_yaml_node value;
        dri_yaml_node at = dri_yaml_pair(reader->yaml, map, i, &value);
        char key[KEY_BYTES];
        int len = snprintf(key, sizeof(key), "%s%s%s", prefix, prefix[0] == '\0' ? "" : ".",
                           dri_yaml_text(reader->yaml, at));
        if (len >= (int)sizeof(key) || depth > DEPTH_MAX) {
            return unknown(reader, at, dri_yaml_text(reader->yaml, at));
        }
        status = read_value(reader, at, key, value, depth);
    }
    return status;
}

enum dray_status dri_config_read_file(struct dri_config *config, const char *file, char *ret_text,
                                      size_t text_bytes)
{
    struct dri_yaml *yaml = NULL;
    enum dray_status status = dri_yaml_load(file, &yaml, ret_text, text_bytes);
    if (status != DRAY_OK) {
        return status;
    }
    struct reader reader = {
        .config = config, .yaml = yaml, .text = ret_text, .text_bytes = text_bytes};
    dri_yaml_node root = dri_yaml_root(yaml);
    if (root != 0 && dri_yaml_kind(yaml, root) == DRI_YAML_MAP) {
        status = read_map(&reader, root, "", 0);
    } else if (root != 0 && dri_yaml_kind(yaml, root) != DRI_YAML_NULL) {
        snprintf(ret_text, text_bytes,
                 "%s:%zu: a configuration is a map of keys, as `bus: nats://...`", file,
                 dri_yaml_line(yaml, root));
        status = DRAY_EINVALID;
    }
    dri_yaml_destroy(yaml);
    return status;
}

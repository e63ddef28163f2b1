/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_CLI_CONFIG_PRIVATE_H
#define DRI_CLI_CONFIG_PRIVATE_H

#include "config.h"
#include "delay.h"
#include "yaml_tree.h"

/* config_private.h - what the files config*.c share.
 *
 * Every value is kept as text with its source until all sources were read; then the texts are
 * checked and put into the settings, so that the file and the environment are judged by the same
 * code and an error names the source that won.
 */

enum dri_config_type {
    DRI_CONFIG_TEXT,
    DRI_CONFIG_NAME, /* [A-Za-z0-9_-]{1,64} */
    DRI_CONFIG_LIST, /* comma list; in YAML also a sequence */
    DRI_CONFIG_U32,
    DRI_CONFIG_SIZE,   /* uint64_t of bytes */
    DRI_CONFIG_SIZE32, /* uint32_t of bytes */
    DRI_CONFIG_BOOL,
    DRI_CONFIG_ORDER,
    DRI_CONFIG_START,
    DRI_CONFIG_DELIVERY,
    DRI_CONFIG_FORMAT,
    DRI_CONFIG_LEVEL,
    DRI_CONFIG_REQUIRE,
    DRI_CONFIG_SIGNERS, /* dri_signers_parse; in YAML a list of maps */
};

/** What SIGHUP does with a key. The first two are what false and true say in the table. */
enum dri_config_reload {
    DRI_CONFIG_RESTART,
    DRI_CONFIG_APPLIED,
    DRI_CONFIG_UP_TO_START
};

struct dri_config_row {
    const char *key;
    size_t at; /* offset in struct dri_settings */
    enum dri_config_type type;
    const char *standard;
    uint64_t low, high;
    enum dri_config_reload reload;
    const char *help;
};

extern const struct dri_config_row dri_config_rows[];
extern const size_t dri_config_rows_count;

/** The row of a key, or the count. */
size_t dri_config_find(const char *key);

enum dri_origin {
    DRI_ORIGIN_DEFAULT,
    DRI_ORIGIN_DERIVED,
    DRI_ORIGIN_FILE,
    DRI_ORIGIN_ENVIRONMENT,
    DRI_ORIGIN_OPTION, /* --set, --bus ... */
};

struct dri_config_entry {
    char *key;    /* owned; of options only */
    char *text;   /* owned; NULL: not set */
    char *source; /* owned; NULL: default */
    enum dri_origin origin;
};

struct dri_config {
    struct dri_config_entry *rows;    /* owned; one a row of the table */
    struct dri_config_entry *options; /* owned; key "kafka.x" or "nats.x" */
    size_t options_count, options_capacity;
    struct dri_option *passed; /* owned; of the bus's own client library */
    size_t passed_count;
    struct dri_routes routes; /* with their warnings */
    char **warnings;          /* owned, each owned */
    size_t warnings_count;
    char *replay;                  /* owned; derived topics */
    char *park;                    /* owned */
    char *ticks;                   /* owned */
    char *delay[DRI_DELAY_LEVELS]; /* owned */
    char *window;                  /* owned */
};

/** A value on its way in. Borrows. */
struct dri_config_input {
    const char *key;
    const char *text;
    const char *source; /* "worker.yaml:12", "environment DRAY_BUS", "--set" */
    enum dri_origin origin;
};

/** Check and keep a value of a table row, or an option below kafka and nats.
 *  Errors: EINVALID, EUNSUPPORTED: ret_text is "source: what is wrong and what to do"; ENOMEM. */
DRAY_MUST_CHECK enum dray_status dri_config_put(struct dri_config *config,
                                                const struct dri_config_input *input,
                                                char *ret_text, size_t text_bytes);
/** Formats one more warning. Errors: ENOMEM. */
DRAY_MUST_CHECK enum dray_status dri_config_warn(struct dri_config *config, const char *format, ...)
    DRAY_FORMAT(2, 3);
/** Whether keys stand below this one: "worker", "kafka". */
bool dri_config_is_section(const char *key);
/** "source: unknown key ..., did you mean ...?" is_file: within its section the last part only, as
 * it stands in a file, and sections too. Returns EINVALID. */
enum dray_status dri_config_unknown(const char *source, const char *key, bool is_file,
                                    char *ret_text, size_t text_bytes);

/** config_file.c: everything in a YAML file. */
DRAY_MUST_CHECK enum dray_status dri_config_read_file(struct dri_config *config, const char *file,
                                                      char *ret_text, size_t text_bytes);
/** config_routes.c: the routes of a node, a list or one map. */
DRAY_MUST_CHECK enum dray_status dri_routes_read(const struct dri_yaml *yaml, dri_yaml_node node,
                                                 struct dri_routes *routes, char *ret_text,
                                                 size_t text_bytes);
/** config_signers.c: a list of signers as their one-line form. Errors: EINVALID. */
DRAY_MUST_CHECK enum dray_status dri_config_signers_read(const struct dri_yaml *yaml,
                                                         dri_yaml_node list, char *ret_line,
                                                         size_t line_bytes, char *ret_text,
                                                         size_t text_bytes);
/** config_table.c: check a text and put it into its member. Borrows text.
 *  Errors: EINVALID, EUNSUPPORTED: ret_text is the half sentence behind "key". */
DRAY_MUST_CHECK enum dray_status dri_config_store(const struct dri_config_row *row,
                                                  const char *text, struct dri_settings *settings,
                                                  char *ret_text, size_t text_bytes);

#endif

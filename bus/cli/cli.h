/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_CLI_H
#define DRI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <dray/status.h>

#include "run/settings.h"

/* cli.h - what the subcommands share: the table of commands and options, exit codes, output.
 *
 * The table is the one source: it parses the command line, prints help, makes the man pages, the
 * shell completion and the reference (dray help --man | --completion | --reference).
 */

enum dri_exit {
    DRI_EXIT_OK = 0,
    DRI_EXIT_FAILED = 1,
    DRI_EXIT_USAGE = 2,
    DRI_EXIT_NO_MATCH = 3,
    DRI_EXIT_UNREACHABLE = 69,
    DRI_EXIT_TIMEOUT = 75, /* it may still happen */
    DRI_EXIT_DENIED = 77,
    DRI_EXIT_CONFIG = 78,
};

/** The exit code that fits a status. */
enum dri_exit dri_exit_for(enum dray_status status);

struct dri_cli_option {
    const char *name;     /* "payload" for --payload; NULL ends a list */
    char letter;          /* 'f', or 0 */
    const char *argument; /* "JSON"; NULL: a flag; "[SECONDS]": may be left out (--wait=5) */
    const char *help;     /* one sentence */
    bool is_repeatable;
};

struct dri_cli_example {
    const char *text;    /* what it does */
    const char *command; /* whole command line */
};

struct dri_cli;
struct dri_config;

struct dri_cli_command {
    const char *name;                       /* "dlq ls" */
    const char *summary;                    /* half a sentence, for the list */
    const char *usage;                      /* "CMD [--payload JSON | -f FILE | -]" */
    const char *about;                      /* paragraphs */
    const struct dri_cli_option *options;   /* beside the common ones */
    const struct dri_cli_example *examples; /* ends with text NULL */
    bool needs_settings;                    /* false: runs without configuration (help) */
    bool takes_configuration; /* loads the settings itself; has the common options all the same */
    bool is_listing;          /* JSON lines are its default when stdout is no terminal */
    bool has_own_log;         /* sets the log up itself (worker); others show errors only */
    /** Arguments and the form of the options, before any configuration is read; prints what is
     * wrong and returns an exit code. NULL: there is nothing to look at. */
    int (*check)(const struct dri_cli *cli);
    int (*run)(struct dri_cli *cli);
};

/** An option as it was given; value is "" for a flag and for an optional argument left out. */
struct dri_cli_given {
    const char *name;
    const char *value;
};

/** One invocation, parsed. Threads: main's. */
struct dri_cli {
    const struct dri_cli_command *command;
    struct dri_settings settings; /* filled when command->needs_settings */
    struct dri_config *config;    /* owned; what settings borrow from */
    const char *const *arguments; /* positional, borrowed from argv */
    size_t arguments_count;
    const struct dri_cli_given *given;
    size_t given_count;
    const char *const *environment;
    const char *file; /* of the configuration, or NULL */
    bool is_json;     /* --json, or stdout is no terminal and the command is a listing */
    bool is_tty;      /* stdout is one */
    bool has_colour;  /* stdout is a terminal, NO_COLOR is not set, TERM is not dumb */
    bool is_progress; /* stderr is a terminal */
};

/** Value of an option: the last one given, NULL when it was not. A flag gives "". */
const char *dri_cli_value(const struct dri_cli *cli, const char *name);
/** The n-th value of a repeatable option, NULL past the end. */
const char *dri_cli_value_at(const struct dri_cli *cli, const char *name, size_t n);
bool dri_cli_has(const struct dri_cli *cli, const char *name);
/** A number with bounds; prints what is wrong and returns false. Leaves *ret_value when not given.
 */
bool dri_cli_uint(const struct dri_cli *cli, const char *name, uint64_t min, uint64_t max,
                  uint64_t *ret_value);

/** A time: seconds ("30", "1.5") or with a unit ("500ms", "30s", "5m", "2h"). Prints what is wrong
 * and returns false. Leaves *ret_ms when not given or given without a value. */
bool dri_cli_duration(const struct dri_cli *cli, const char *name, uint64_t *ret_ms);

/** The same for a time that something waits for: nothing at all is refused. */
bool dri_cli_patience(const struct dri_cli *cli, const char *name, uint64_t *ret_ms);

/** For dri_cli_command.check of a command that takes no arguments. */
int dri_cli_no_arguments(const struct dri_cli *cli);

/** "dray: <text>" on standard error; red on a terminal. Returns code. */
int dri_cli_fail(const struct dri_cli *cli, int code, const char *format, ...) DRAY_FORMAT(3, 4);

/** "dray: warning: <text>" on standard error. */
void dri_cli_warn(const char *format, ...) DRAY_FORMAT(1, 2);
/** A line on standard output, for people. */
void dri_cli_print(const char *format, ...) DRAY_FORMAT(1, 2);
/** Replaces each control byte by '?', and mends what is no UTF-8: for whatever a stranger wrote and
 *  a terminal would obey. The functions here that print do so themselves. */
void dri_cli_clean(char *text);

/** The exit code of a broker that could not be opened: a time-out there means "unreachable". */
enum dri_exit dri_exit_for_open(enum dray_status status);

/** A usage error: prints it and where to read on, returns DRI_EXIT_USAGE. */
int dri_cli_usage(const struct dri_cli *cli, const char *format, ...) DRAY_FORMAT(2, 3);

/** A table: columns fitted to their content; the last one is cut at the terminal's edge. Control
 * bytes in cells show as '?'. Cells are copied; NULL is an empty one. Out of memory: what came so
 * far is printed, and print returns false. */
struct dri_table;
struct dri_table *dri_table_create(const char *const *columns, size_t count);
void dri_table_row(struct dri_table *table, const char *const *cells);
bool dri_table_print(struct dri_table *table, FILE *to, bool has_colour);
void dri_table_destroy(struct dri_table *table);

/** A progress line on standard error, only on a terminal, at most ten times a second. */
struct dri_progress {
    const char *what; /* "sent" */
    uint64_t total;   /* 0: not known */
    uint64_t begun_ns, shown_ns;
    bool is_on, was_shown;
    bool is_shared; /* lines of standard output go to the same terminal */
    bool is_there;  /* it stands in the line where the cursor is */
};
void dri_progress_begin(struct dri_progress *progress, const struct dri_cli *cli, const char *what,
                        uint64_t total);
void dri_progress_at(struct dri_progress *progress, uint64_t done);
/** Before a line is printed to standard output: makes room for it. */
void dri_progress_hide(struct dri_progress *progress);
void dri_progress_end(struct dri_progress *progress, uint64_t done);

/** Set by SIGINT and SIGTERM in tools that run long; look at it in every turn. A second signal ends
 * the process. dri_cli_interrupt_fd is readable from then on (-1 before dri_cli_catch_signals). */
extern volatile int dri_cli_interrupted;
extern int dri_cli_interrupt_fd;
void dri_cli_catch_signals(void);

/** All of it: parse, load the configuration, run, flush. environment ends with NULL. */
int dri_cli_main(int argc, const char *const *argv, const char *const *environment);

/** Load the configuration again as this invocation did: for SIGHUP and doctor. */
DRAY_MUST_CHECK enum dray_status dri_cli_load(const struct dri_cli *cli, bool needs_bus,
                                              struct dri_config **ret_config,
                                              struct dri_settings *ret_settings, char *ret_text,
                                              size_t text_bytes);

/** The table: cli_table.c. Ends with NULL. */
extern const struct dri_cli_command *const dri_cli_commands[];
/** Options that every command takes; ends with a NULL name. */
extern const struct dri_cli_option dri_cli_common_options[];

/* One per subcommand; a file that adds one names it here and in the table of cli_table.c. */
extern const struct dri_cli_command dri_registry_ls_command, dri_registry_show_command,
    dri_registry_put_command, dri_registry_pause_command, dri_registry_resume_command,
    dri_registry_rm_command, dri_registry_status_command, dri_registry_history_command,
    dri_registry_diff_command, dri_registry_rollback_command, dri_registry_apply_command;
extern const struct dri_cli_command dri_keys_new_command, dri_keys_show_command,
    dri_keys_verify_command;
extern const struct dri_cli_command dri_help_command, dri_worker_command, dri_send_command,
    dri_doctor_command, dri_dlq_ls_command, dri_dlq_show_command, dri_dlq_groups_command,
    dri_dlq_replay_command, dri_dlq_parked_command, dri_dlq_release_command,
    dri_schedule_cancel_command, dri_schedule_next_command, dri_schedule_put_command,
    dri_schedule_rm_command, dri_schedule_ls_command, dri_schedule_show_command;

#endif

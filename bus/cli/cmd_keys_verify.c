/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* cmd_keys_verify.c - dray keys verify: what the configuration's signers make of a log, or of a
 * record in a file.
 *
 * The rule is the replicas' own. A record in a file has no place and no stamp, so that part of the
 * rule is left out of it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "mem.h"
#include "registry_tool.h"

#define TEXT_BYTES     512u
#define FILE_BYTES_MAX ((size_t)16 << 20)
#define COLUMNS        6u

/* What is said of one record. */
struct finding {
    uint64_t revision; /* 0: it is of a file */
    const char *file;
    bool has_record, has_change;
    struct dri_control_record record;
    struct dri_change change;
    const char *verdict, *reason;
};

static void add_time(struct dri_text *line, const char *name, uint64_t ms)
{
    char when[DRI_CLOCK_TEXT_BYTES];
    if (ms != 0) {
        dri_clock_format(ms, when);
        dri_text_addf(line, ",\"%s\":\"%s\"", name, when);
    }
}

static void print_json(const struct finding *finding)
{
    struct dri_text line;
    dri_text_init(&line);
    if (finding->file == NULL) {
        dri_text_addf(&line, "{\"revision\":%" PRIu64, finding->revision);
    } else {
        dri_text_addf(&line, "{\"file\":");
        dri_text_add_json_string(&line, dray_slice_text(finding->file));
    }
    dri_text_addf(&line, ",\"verdict\":\"%s\"", finding->verdict);
    if (finding->has_record && !dray_slice_is_absent(finding->record.kid)) {
        dri_text_addf(&line, ",\"kid\":");
        dri_text_add_json_string(&line, finding->record.kid);
    }
    if (finding->has_change) {
        dri_text_addf(&line, ",\"seq\":%" PRIu64, finding->change.seq);
        add_time(&line, "ts", finding->change.ts_ms);
        add_time(&line, "expires", finding->change.expires_ms);
    }
    if (finding->reason != NULL && finding->reason[0] != '\0') {
        dri_text_addf(&line, ",\"reason\":");
        dri_text_add_json_string(&line, dray_slice_text(finding->reason));
    }
    dri_text_addf(&line, "}");
    if (line.status == DRAY_OK) {
        printf("%s\n", line.at);
    }
    dri_text_fini(&line);
}

static void add_row(struct dri_table *table, const struct finding *finding)
{
    char revision[24];
    char kid[DRI_KID_BYTES_MAX + 1] = "";
    char seq[24] = "";
    char when[DRI_CLOCK_TEXT_BYTES] = "";
    snprintf(revision, sizeof(revision), "%" PRIu64, finding->revision);
    if (finding->has_record && !dray_slice_is_absent(finding->record.kid)) {
        snprintf(kid, sizeof(kid), "%.*s", (int)finding->record.kid.len,
                 (const char *)finding->record.kid.at);
    }
    if (finding->has_change) {
        snprintf(seq, sizeof(seq), "%" PRIu64, finding->change.seq);
        dri_clock_format(finding->change.ts_ms, when);
    }
    const char *cells[COLUMNS] = {finding->file == NULL ? revision : finding->file,
                                  finding->verdict,
                                  kid,
                                  seq,
                                  when,
                                  finding->reason};
    dri_table_row(table, cells);
}

static const char *const columns[COLUMNS] = {"REVISION", "VERDICT", "KID", "SEQ", "TIME", "REASON"};
static const struct dri_wire_limits limits = {
    .message_bytes = UINT32_MAX, .depth = 16, .elements = UINT32_MAX};

/* Prints a finding, or puts it into the table. */
static void tell(struct dri_table *table, const struct finding *finding)
{
    if (table == NULL) {
        print_json(finding);
    } else {
        add_row(table, finding);
    }
}

/* ---- files ---- */

static enum dray_status read_file(const char *file, uint8_t *bytes, size_t *ret_len)
{
    bool is_stdin = strcmp(file, "-") == 0;
    FILE *from = is_stdin ? stdin : fopen(file, "re");
    if (from == NULL) {
        return errno == ENOENT ? DRAY_ENOTFOUND : errno == EACCES ? DRAY_EAUTH : DRAY_EIO;
    }
    *ret_len = fread(bytes, 1, FILE_BYTES_MAX, from);
    enum dray_status status = ferror(from) != 0 ? DRAY_EIO : DRAY_OK;
    if (!is_stdin) {
        (void)fclose(from);
    }
    return status;
}

/* As at the revision from which its key is in force, stored when it was issued. */
static bool judge_file(const struct dri_settings *settings, const struct dri_signers *signers,
                       struct dray_slice bytes, struct finding *finding, char *ret_text,
                       size_t text_bytes)
{
    struct dri_control_record *record = &finding->record;
    struct dri_change *change = &finding->change;
    struct dri_wire_error error = {.field = "", .text = "is invalid", .offset = 0};
    struct dri_signers_seen seen = {.seqs = {0}};
    enum dri_distrust distrust = DRI_DISTRUST_ELSEWHERE;
    if (dri_control_decode(bytes, &limits, record, &error) != DRAY_OK ||
        dri_change_decode(record->change, &limits, change, &error) != DRAY_OK) {
        snprintf(ret_text, text_bytes, "%s %s", error.field, error.text);
        finding->verdict = "invalid";
        return false;
    }
    finding->has_record = finding->has_change = true;
    const struct dri_signer *signer = dri_signers_find(signers, record->kid);
    const struct dri_signed what = {.record = record,
                                    .change = change,
                                    .revision =
                                        signer == NULL ? signers->signed_from : signer->from,
                                    .stamp_ms = (int64_t)change->ts_ms,
                                    .is_broker_stamp = true};
    if (dray_slice_equal_text(change->cluster, settings->cluster) &&
        dray_slice_equal_text(change->topic, settings->topics.control)) {
        distrust = dri_signers_judge(signers, &seen, &what, ret_text, text_bytes);
    } else {
        snprintf(ret_text, text_bytes, "%s", dri_distrust_text(distrust));
    }
    bool is_unsigned = dray_slice_is_absent(record->sig);
    finding->verdict = distrust != DRI_TRUSTED ? "untrusted" : is_unsigned ? "unsigned" : "trusted";
    return distrust == DRI_TRUSTED;
}

static int verify_file(const struct dri_cli *cli, const struct dri_signers *signers,
                       const char *file, struct dri_table *table)
{
    char text[TEXT_BYTES] = "";
    size_t len = 0;
    uint8_t *bytes = dri_zalloc(FILE_BYTES_MAX);
    enum dray_status status = bytes == NULL ? DRAY_ENOMEM : read_file(file, bytes, &len);
    int code = DRI_EXIT_OK;
    if (status != DRAY_OK) {
        code = dri_cli_fail(cli,
                            status == DRAY_EAUTH       ? DRI_EXIT_DENIED
                            : status == DRAY_ENOTFOUND ? DRI_EXIT_NO_MATCH
                                                       : DRI_EXIT_FAILED,
                            "%s: %s", file, dray_status_text(status));
    } else {
        struct finding finding = {.file = file, .reason = text};
        if (!judge_file(&cli->settings, signers, dray_slice_of(bytes, len), &finding, text,
                        sizeof(text))) {
            code = DRI_EXIT_FAILED;
        }
        tell(table, &finding);
    }
    dri_free(bytes);
    return code;
}

/* ---- the log ---- */

static const char *verdict_of(const struct dri_history_record *record)
{
    return record->distrust != DRI_TRUSTED ? "untrusted"
           : !record->has_change           ? "invalid"
           : record->is_unsigned           ? "unsigned"
                                           : "trusted";
}

static int verify_log(const struct dri_cli *cli, struct dri_table *table)
{
    struct dri_registry_tool tool;
    size_t untrusted = 0;
    dri_cli_catch_signals();
    int code = dri_registry_tool_open_history(&tool, cli, false);
    for (size_t i = 0; code == DRI_EXIT_OK && i < tool.history.count; i++) {
        const struct dri_history_record *record = &tool.history.records[i];
        struct dri_wire_error error;
        bool has_reason = record->distrust != DRI_TRUSTED || !record->has_change;
        struct finding finding = {.revision = record->revision,
                                  .has_change = record->has_change,
                                  .change = record->change,
                                  .verdict = verdict_of(record),
                                  .reason = has_reason ? record->text : NULL};
        finding.has_record = dri_control_decode(dray_slice_of(record->bytes, record->bytes_len),
                                                &limits, &finding.record, &error) == DRAY_OK;
        untrusted += record->distrust != DRI_TRUSTED;
        tell(table, &finding);
    }
    dri_registry_tool_close(&tool);
    return code == DRI_EXIT_OK && untrusted > 0 ? DRI_EXIT_FAILED : code;
}

static int run(struct dri_cli *cli)
{
    struct dri_signers signers;
    char text[TEXT_BYTES] = "";
    bool has_files = cli->arguments_count > 0;
    if (dri_cli_load(cli, !has_files, &cli->config, &cli->settings, text, sizeof(text)) !=
        DRAY_OK) {
        return dri_cli_fail(cli, DRI_EXIT_CONFIG, "%s", text);
    }
    dri_log_setup(cli->settings.log.format, DRI_LOG_ERROR, NULL, NULL);
    dri_signers_init(&signers, &cli->settings);
    if (signers.count == 0) {
        return dri_cli_fail(cli, DRI_EXIT_CONFIG,
                            "there are no control.signers, so nothing can be checked: use the "
                            "configuration of the workers (-c)");
    }
    struct dri_table *table = cli->is_json ? NULL : dri_table_create(columns, COLUMNS);
    int code = has_files ? DRI_EXIT_OK : verify_log(cli, table);
    for (size_t i = 0; i < cli->arguments_count; i++) {
        int of_file = verify_file(cli, &signers, cli->arguments[i], table);
        code = code == DRI_EXIT_OK ? of_file : code;
    }
    if (table != NULL && !dri_table_print(table, stdout, cli->has_colour)) {
        code = dri_cli_fail(cli, DRI_EXIT_FAILED, "out of memory");
    }
    dri_table_destroy(table);
    return code;
}

static const struct dri_cli_option options[] = {{.name = NULL}};

static const struct dri_cli_example examples[] = {
    {"Every record of the control topic", "dray keys verify -c worker.yaml"},
    {"Only those that are refused", "dray keys verify -c worker.yaml --json | grep untrusted"},
    {"A record from elsewhere", "dray keys verify record.msgpack -c worker.yaml"},
    {NULL, NULL},
};

const struct dri_cli_command dri_keys_verify_command = {
    .name = "keys verify",
    .summary = "check the signatures of control records",
    .usage = "[FILE... | -]",
    .about =
        "Reads the whole control topic and says of each record what control.signers of the "
        "configuration make of it, by the rule that the replicas follow: trusted, unsigned (and "
        "taken, as the configuration allows), untrusted with the reason, or invalid. One object a "
        "line with {\"revision\",\"verdict\",\"kid\",\"seq\",\"ts\",\"expires\",\"reason\"}; a "
        "table on a terminal.\n\n"
        "With files (- is standard input) each is one record as it stands in the topic, and only "
        "the record itself is looked at: not its place in the log, nor when it was stored.\n\n"
        "Exit code 1: at least one of them is not trusted.",
    .options = options,
    .examples = examples,
    .takes_configuration = true,
    .is_listing = true,
    .run = run,
};

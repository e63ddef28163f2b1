/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* registry_sign.c - the key that a writer of control records signs with, and what he is told when
 * it does not do.
 *
 * What would be refused for certain is not written: a log keeps each refusal for ever.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "registry_tool.h"
#include "run/signing.h"

#define TEXT_BYTES 512u

static int without_key(const struct dri_registry_tool *tool)
{
    if (!dri_signers_wants_signature(&tool->signers, tool->log.end + 1)) {
        return DRI_EXIT_OK;
    }
    return dri_cli_fail(tool->cli, DRI_EXIT_DENIED,
                        "changes have to be signed (control.signers), and control.key_file names "
                        "no key: make one with dray keys new, and have its public half put into "
                        "control.signers of every replica");
}

int dri_registry_sign_key(const struct dri_registry_tool *tool, struct dri_signing_key *ret_key,
                          bool *ret_has)
{
    const char *path = tool->cli->settings.control.key_file;
    char text[TEXT_BYTES] = "";
    *ret_has = false;
    memset(ret_key, 0, sizeof(*ret_key));
    if (path == NULL) {
        return without_key(tool);
    }
    enum dray_status status = dri_signing_key_load(path, ret_key, text, sizeof(text));
    if (status != DRAY_OK) {
        return dri_cli_fail(tool->cli, status == DRAY_EAUTH ? DRI_EXIT_DENIED : DRI_EXIT_CONFIG,
                            "%s", text);
    }
    if (tool->signers.count > 0 &&
        dri_signers_find(&tool->signers, dray_slice_text(ret_key->kid)) == NULL) {
        snprintf(text, sizeof(text), "%s", ret_key->kid);
        dri_signing_key_wipe(ret_key);
        return dri_cli_fail(tool->cli, DRI_EXIT_DENIED,
                            "%s is the key of %s, who is none of control.signers: put what dray "
                            "keys show prints there, on every replica",
                            path, text);
    }
    *ret_has = true;
    return DRI_EXIT_OK;
}

static const char *advice(enum dri_distrust distrust)
{
    switch (distrust) {
    case DRI_DISTRUST_UNSIGNED:
        return "set control.key_file";
    case DRI_DISTRUST_UNKNOWN:
    case DRI_DISTRUST_FORGED:
        return "control.signers has to have what dray keys show prints of control.key_file";
    case DRI_DISTRUST_NOT_IN_FORCE:
        return "sign with a key that is in force now";
    case DRI_DISTRUST_TIMES:
        return "control.max_age_ms has to be the same here and on the replicas";
    case DRI_DISTRUST_EXPIRED:
    case DRI_DISTRUST_EARLY:
        return "compare the clock here with the broker's";
    case DRI_DISTRUST_REPLAYED:
        return "others write with the same key: once more, or another kid for each writer";
    case DRI_DISTRUST_FOREIGN:
        return "sign with a key that may; to let this one, end its kid with until and begin a new "
               "kid with from and the namespace (a namespace that is added to this kid would also "
               "change what its old records do)";
    case DRI_DISTRUST_STAMP:
        return "kafka-configs.sh --alter --entity-type topics does it; earlier records stay as "
               "they are";
    case DRI_TRUSTED:
    case DRI_DISTRUST_ELSEWHERE:
    case DRI_DISTRUST_ISSUER:
    case DRI_DISTRUST_COUNT:
    default:
        return "see docs/guide/signed-changes.md";
    }
}

bool dri_registry_trusts_others(const struct dri_registry_tool *tool,
                                const struct dri_replica *replica)
{
    char hex[DRI_FINGERPRINT_HEX];
    struct dray_slice theirs = replica->record.signers;
    dri_signers_fingerprint(&tool->signers, hex);
    return !dray_slice_equal_text(theirs.at == NULL ? dray_slice_text("") : theirs, hex);
}

int dri_registry_tell_differs(const struct dri_registry_tool *tool,
                              const struct dri_replica *replica)
{
    bool trusts_others = dri_registry_trusts_others(tool, replica);
    return dri_cli_fail(tool->cli, DRI_EXIT_FAILED,
                        "%.*s is at revision %" PRIu64 ", but its routes are not those that the "
                        "log leads to: %s",
                        (int)replica->record.worker.len, (const char *)replica->record.worker.at,
                        replica->record.revision,
                        trusts_others ? "it trusts other control.signers than this configuration "
                                        "does; use the same everywhere"
                                      : "restart it, and see its log");
}

int dri_registry_sign_foresee(const struct dri_registry_tool *tool, struct dray_slice record)
{
    char text[TEXT_BYTES] = "";
    enum dri_distrust distrust = dri_control_log_foresee(&tool->log, record, text, sizeof(text));
    return distrust == DRI_TRUSTED
               ? DRI_EXIT_OK
               : dri_cli_fail(tool->cli, DRI_EXIT_DENIED,
                              "the change is not written, every replica would refuse it: %s. %s",
                              text, advice(distrust));
}

int dri_registry_sign_refused(const struct dri_registry_tool *tool,
                              const struct dri_control_outcome *outcome)
{
    return dri_cli_fail(tool->cli, DRI_EXIT_DENIED,
                        "the change is refused by every replica (revision %" PRIu64 "): %s. %s",
                        outcome->revision, outcome->text, advice(outcome->distrust));
}

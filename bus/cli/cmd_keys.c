/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* cmd_keys.c - dray keys new and show: the keys that control records are signed with.
 *
 * A secret key goes into a file and nowhere else; what is printed is for everybody to read.
 */
#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "config.h"
#include "run/signing.h"
#include "wire/json.h"
#include "wire/sha256.h"

#define TEXT_BYTES 512u
#define PATH_BYTES 4096u
#define KEY_HEX    (2u * DRI_SIGN_KEY_BYTES + 1u)

/* file: where the secret is. The line for control.signers is not valid before its `from` was filled
 * in: without one a key decides about all of the log, also about what was refused of it before. */
static void print_key(const struct dri_cli *cli, const struct dri_signing_key *key,
                      const char *file)
{
    char hex[KEY_HEX];
    struct dri_text line;
    dri_hex(key->public_key, sizeof(key->public_key), hex);
    if (!cli->is_json) {
        printf("kid:   %s\nkey:   %s\nfile:  %s\n\nFor control.signers of every replica and "
               "writer:\n\n  - {kid: %s, key: %s, namespaces: [\"*\"], from: REVISION}\n\n"
               "REVISION: the one after the last that the log has (dray registry history --limit "
               "1), 1 for an empty log.\n",
               key->kid, hex, file, key->kid, hex);
        return;
    }
    dri_text_init(&line);
    dri_text_addf(&line, "{\"kid\":\"%s\",\"key\":\"%s\",\"file\":", key->kid, hex);
    dri_text_add_json_string(&line, dray_slice_text(file));
    dri_text_addf(&line, "}");
    if (line.status == DRAY_OK) {
        printf("%s\n", line.at);
    }
    dri_text_fini(&line);
}

/* ---- new ---- */

static int new_check(const struct dri_cli *cli)
{
    const char *kid = dri_cli_value(cli, "kid");
    if (cli->arguments_count > 0) {
        return dri_cli_usage(cli, "dray keys new takes no arguments: --out FILE, --kid NAME");
    }
    if (kid != NULL && !dri_kid_is_valid(dray_slice_text(kid))) {
        return dri_cli_usage(cli, "--kid: \"%.80s\" is no name of 1 to 64 letters, digits, _ . -",
                             kid);
    }
    return DRI_EXIT_OK;
}

static int new_run(struct dri_cli *cli)
{
    struct dri_signing_key key;
    char path[PATH_BYTES];
    char text[TEXT_BYTES] = "";
    const char *out = dri_cli_value(cli, "out");
    enum dray_status status = dri_signing_key_make(dri_cli_value(cli, "kid"), &key);
    if (status != DRAY_OK) {
        return dri_cli_fail(cli, DRI_EXIT_FAILED, "no key can be made: %s",
                            dray_status_text(status));
    }
    int len = out == NULL ? snprintf(path, sizeof(path), "%s.key", key.kid)
                          : snprintf(path, sizeof(path), "%s", out);
    int code = DRI_EXIT_OK;
    if (len >= (int)sizeof(path)) {
        code = dri_cli_usage(cli, "--out is too long");
    } else {
        status = dri_signing_key_save(&key, path, text, sizeof(text));
        if (status == DRAY_EEXISTS) {
            code = dri_cli_fail(cli, DRI_EXIT_FAILED,
                                "%s is there already and stays as it is: choose another file with "
                                "--out",
                                path);
        } else if (status != DRAY_OK) {
            code = dri_cli_fail(cli, (int)dri_exit_for(status), "%s", text);
        }
    }
    if (code == DRI_EXIT_OK) {
        print_key(cli, &key, path);
    }
    dri_signing_key_wipe(&key);
    return code;
}

static const struct dri_cli_option new_options[] = {
    {.name = "out",
     .argument = "FILE",
     .help = "Where the secret key goes; default: <kid>.key, here. A file that is there is left "
             "alone."},
    {.name = "kid",
     .argument = "NAME",
     .help = "How the key is called in records and in control.signers; default: 16 hex digits of "
             "its hash."},
    {.name = NULL},
};

static const struct dri_cli_example new_examples[] = {
    {"A key for the deploy job", "dray keys new --kid deploy-2026 --out deploy.key"},
    {"Only its public half, for a script", "dray keys new --kid ci --json | jq -r .key"},
    {NULL, NULL},
};

const struct dri_cli_command dri_keys_new_command = {
    .name = "keys new",
    .summary = "make a key that control records are signed with",
    .usage = "[--out FILE] [--kid NAME]",
    .about =
        "Makes a key of Ed25519, writes its secret half into a new file that only you can read, "
        "and prints the public half: as the line for control.signers, or as "
        "{\"kid\",\"key\",\"file\"}. Name the file in control.key_file (or DRAY_CONTROL_KEY_FILE) "
        "where changes are made. The secret is never printed.\n\n"
        "Who has the file may change what control.signers lets its kid change. A key that is lost "
        "is replaced: make another, put it beside the old one in control.signers with from, the "
        "revision after the last one, and end the old one with until. So is one that is to have "
        "other namespaces.",
    .options = new_options,
    .examples = new_examples,
    .is_listing = true,
    .check = new_check,
    .run = new_run,
};

/* ---- show ---- */

static int show_check(const struct dri_cli *cli)
{
    return cli->arguments_count > 1 ? dri_cli_usage(cli, "one file at a time") : DRI_EXIT_OK;
}

static int show_file(const struct dri_cli *cli, const char *file)
{
    struct dri_signing_key key;
    char text[TEXT_BYTES] = "";
    enum dray_status status = dri_signing_key_load(file, &key, text, sizeof(text));
    if (status != DRAY_OK) {
        return dri_cli_fail(cli,
                            status == DRAY_EAUTH       ? DRI_EXIT_DENIED
                            : status == DRAY_ENOTFOUND ? DRI_EXIT_NO_MATCH
                                                       : DRI_EXIT_FAILED,
                            "%s", text);
    }
    print_key(cli, &key, file);
    dri_signing_key_wipe(&key);
    return DRI_EXIT_OK;
}

static int show_run(struct dri_cli *cli)
{
    char text[TEXT_BYTES] = "";
    if (cli->arguments_count == 1) {
        return show_file(cli, cli->arguments[0]);
    }
    if (dri_cli_load(cli, false, &cli->config, &cli->settings, text, sizeof(text)) != DRAY_OK) {
        return dri_cli_fail(cli, DRI_EXIT_CONFIG, "%s", text);
    }
    if (cli->settings.control.key_file == NULL) {
        return dri_cli_fail(cli, DRI_EXIT_USAGE,
                            "which key? name its file, or set control.key_file");
    }
    return show_file(cli, cli->settings.control.key_file);
}

static const struct dri_cli_option no_options[] = {{.name = NULL}};

static const struct dri_cli_example show_examples[] = {
    {"The line for control.signers", "dray keys show deploy.key"},
    {"The key that this configuration signs with", "dray keys show -c worker.yaml"},
    {NULL, NULL},
};

const struct dri_cli_command dri_keys_show_command = {
    .name = "keys show",
    .summary = "show the public half of a key",
    .usage = "[FILE]",
    .about = "Prints what dray keys new printed of the key in the file, or in control.key_file. "
             "Exit codes: 3 there is no such file, 77 others than its owner (and, of a file "
             "of root's, its group) may read or write it.",
    .options = no_options,
    .examples = show_examples,
    .takes_configuration = true,
    .is_listing = true,
    .check = show_check,
    .run = show_run,
};

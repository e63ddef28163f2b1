/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/config.h"
#include "run/signers.h"
#include "support/test.h"

#define KEY   "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
#define OTHER "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
#define BUS   "bus: kafka://h:1\n"

struct loaded {
    struct dri_config *config;
    struct dri_settings settings;
    char file[64], text[1024];
};

static enum dray_status load(struct loaded *loaded, const char *yaml, const char *set)
{
    *loaded = (struct loaded){.config = NULL};
    snprintf(loaded->file, sizeof(loaded->file), "/tmp/dray-test-config-XXXXXX");
    int fd = mkstemp(loaded->file);
    assert_true(fd >= 0);
    assert_int_equal(strlen(yaml), write(fd, yaml, strlen(yaml)));
    assert_int_equal(0, close(fd));
    const struct dri_config_request request = {
        .file = loaded->file, .sets = &set, .sets_count = set == NULL ? 0 : 1};
    enum dray_status status = dri_config_load(&request, &loaded->config, &loaded->settings,
                                              loaded->text, sizeof(loaded->text));
    assert_int_equal(0, unlink(loaded->file));
    return status;
}

static void nobody_signs_unless_it_is_said(void **state)
{
    struct loaded loaded;
    struct dri_signers signers;
    (void)state;
    test_ok(load(&loaded, BUS, NULL));
    dri_signers_init(&signers, &loaded.settings);
    assert_int_equal(0, signers.count);
    assert_null(loaded.settings.control.key_file);
    dri_config_destroy(loaded.config);
}

static void signers_are_a_list_of_maps_or_one_line(void **state)
{
    static const char *const files[] = {
        BUS "control:\n  signers:\n    - {kid: ann, key: " KEY
            ", namespaces: [acme, beta], from: 3}\n"
            "    - {kid: ben, key: " OTHER ", namespaces: '*', until: 9}\n",
        BUS "control: {signers: ['ann@3-/" KEY "/acme/beta', 'ben@1-9/" OTHER "/*']}\n",
        BUS "control.signers: ann@3-/" KEY "/acme/beta,ben@1-9/" OTHER "/*\n",
        BUS,
    };
    static const char set[] = "control.signers=ann@3-/" KEY "/acme/beta,ben@1-9/" OTHER "/*";
    char first[DRI_FINGERPRINT_HEX] = "";
    (void)state;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        struct loaded loaded;
        struct dri_signers signers;
        char hex[DRI_FINGERPRINT_HEX];
        test_ok(load(&loaded, files[i], i == 3 ? set : NULL));
        dri_signers_init(&signers, &loaded.settings);
        assert_int_equal(2, signers.count);
        assert_true(signers.is_required);
        assert_string_equal("ann", signers.items[0].kid);
        assert_int_equal(0xd7, signers.items[0].key[0]);
        test_slice("acme/beta", signers.items[0].namespaces);
        assert_int_equal(3, signers.items[0].from);
        assert_true(signers.items[0].until == UINT64_MAX);
        test_slice("*", signers.items[1].namespaces);
        assert_true(signers.items[1].from == 1 && signers.items[1].until == 9);
        dri_signers_fingerprint(&signers, hex);
        assert_true(i == 0 || strcmp(first, hex) == 0);
        memcpy(first, hex, sizeof(first));
        dri_config_destroy(loaded.config);
    }
}

static void a_transition_is_said_in_words(void **state)
{
    struct loaded loaded;
    struct dri_signers signers;
    (void)state;
    test_ok(load(&loaded,
                 BUS "control: {signers: [{kid: a, key: " KEY ", namespaces: '*'}], "
                     "require_signature: false, signed_from: 17, max_age_ms: 60000}\n",
                 NULL));
    dri_signers_init(&signers, &loaded.settings);
    assert_false(signers.is_required);
    assert_int_equal(17, signers.signed_from);
    assert_int_equal(60000, signers.age_max_ms);
    dri_config_destroy(loaded.config);
}

static void a_wrong_signer_names_its_line_and_what_is_missing(void **state)
{
    static const struct {
        const char *yaml, *text;
    } rows[] = {
        {"control: {signers: [{kid: a, key: " KEY "}]}\n", ":1: control.signers: a signer needs"},
        {"control:\n  signers:\n    - kid: a\n      key: " KEY "\n      nspaces: x\n",
         ":5: control.signers: a signer has kid, key, namespaces, from and until"},
        {"control: {signers: [{kid: a, key: " KEY ", namespaces: []}]}\n",
         ":1: control.signers: a signer of no namespace"},
        {"control: {signers: [{kid: a, key: " KEY ", namespaces: [a/b]}]}\n",
         ":1: control.signers: a value is empty, or has one of , / @"},
        {"control: {signers: [{kid: [a], key: " KEY ", namespaces: a}]}\n",
         ":1: control.signers: its value has to be plain"},
        {"control: {signers: [[a]]}\n", ":1: control.signers: a signer is a map"},
        {"control: {signers: [{kid: a, key: 12, namespaces: a}]}\n",
         ":1: control.signers number 1 has no public key"},
        {"control: {signers: [{kid: a, key: " KEY ", namespaces: a, from: x}]}\n",
         ":1: control.signers number 1 has no range of revisions"},
        {"control: {signers: [{kid: a, key: " KEY ", namespaces: a}, {kid: a, key: " OTHER
         ", namespaces: b}]}\n",
         ":1: control.signers number 2 has the kid of another one"},
        {"control: {require_signature: maybe}\n",
         ":1: control.require_signature has to be one of auto, true or false"},
        {"control: {require_signature: true}\n" BUS, "no change could ever be accepted"},
        {"control: {max_age_ms: 1}\n", ":1: control.max_age_ms has to be a number from 60000"},
        {"control: {signer: x}\n", "did you mean \"signers\"?"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct loaded loaded;
        test_status(DRAY_EINVALID, load(&loaded, rows[i].yaml, NULL));
        if (strstr(loaded.text, rows[i].text) == NULL) {
            fail_msg("%s\nis not in\n%s", rows[i].text, loaded.text);
        }
    }
}

/* A template that was given no keys must not switch off what it is there to switch on. */
static void no_signers_at_all_is_not_said_by_an_empty_list(void **state)
{
    static const char *const files[] = {
        BUS "control:\n  signers:\n",
        BUS "control: {signers: []}\n",
        BUS "control: {signers: ''}\n",
        BUS "control.signers: ~\n",
        BUS "control: {signers: [{kid: a, key: " KEY ", namespaces: '*'}]}\n",
    };
    struct loaded loaded;
    (void)state;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        test_status(DRAY_EINVALID, load(&loaded, files[i], i == 4 ? "control.signers=" : NULL));
        if (strstr(loaded.text, "control.signers is empty") == NULL) {
            fail_msg("%zu: %s", i, loaded.text);
        }
    }
    test_ok(load(&loaded, BUS "control:\n", NULL)); /* a section without keys says nothing */
    dri_config_destroy(loaded.config);
}

static void what_is_said_of_signing_without_signers_is_warned_of(void **state)
{
    static const char *const keys[] = {"key_file: a.key", "signed_from: 2",
                                       "require_signature: false", "signed_from: 1",
                                       "require_signature: auto"};
    (void)state;
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        struct loaded loaded;
        char yaml[256];
        snprintf(yaml, sizeof(yaml), BUS "control: {%s}\n", keys[i]);
        test_ok(load(&loaded, yaml, NULL));
        const char *warning = dri_config_warning(loaded.config, 0);
        bool is_told = warning != NULL && strstr(warning, "no control.signers") != NULL;
        assert_int_equal(i < 3, is_told);
        assert_int_equal(is_told, warning != NULL);
        dri_config_destroy(loaded.config);
        snprintf(yaml, sizeof(yaml),
                 BUS "control: {%s, signers: [{kid: a, key: " KEY ", namespaces: '*'}]}\n",
                 keys[i]);
        test_ok(load(&loaded, yaml, NULL));
        assert_null(dri_config_warning(loaded.config, 0));
        dri_config_destroy(loaded.config);
    }
}

static void more_signers_than_fit_are_refused(void **state)
{
    static char yaml[64 * 1024];
    struct loaded loaded;
    size_t len = (size_t)snprintf(yaml, sizeof(yaml), BUS "control:\n  signers:\n");
    (void)state;
    for (unsigned i = 0; i <= DRI_SIGNERS_MAX; i++) {
        len += (size_t)snprintf(yaml + len, sizeof(yaml) - len,
                                "    - {kid: k%u, key: " KEY ", namespaces: '*'}\n", i);
    }
    test_status(DRAY_EINVALID, load(&loaded, yaml, NULL));
    assert_non_null(strstr(loaded.text, "are more than 32"));
    for (unsigned i = 0; i < 200; i++) {
        len += (size_t)snprintf(yaml + len, sizeof(yaml) - len,
                                "    - {kid: m%u, key: " KEY ", namespaces: '*'}\n", i);
    }
    test_status(DRAY_EINVALID, load(&loaded, yaml, NULL));
    assert_non_null(strstr(loaded.text, "is too long"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_signs_unless_it_is_said),
        cmocka_unit_test(signers_are_a_list_of_maps_or_one_line),
        cmocka_unit_test(a_transition_is_said_in_words),
        cmocka_unit_test(a_wrong_signer_names_its_line_and_what_is_missing),
        cmocka_unit_test(no_signers_at_all_is_not_said_by_an_empty_list),
        cmocka_unit_test(what_is_said_of_signing_without_signers_is_warned_of),
        cmocka_unit_test(more_signers_than_fit_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

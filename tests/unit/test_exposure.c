/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "assert.h"
#include "cli/exposure.h"
#include "support/test.h"

static bool is_exposed(const char *bus, const struct dri_option *options, size_t count)
{
    char text[512] = "";
    const struct dri_settings settings = {.bus = bus, .options = options, .options_count = count};
    bool is_found = dri_exposure_find(&settings, text, sizeof(text));
    assert_int_equal(is_found, text[0] != '\0');
    return is_found;
}

static void what_stays_on_this_machine_is_not_exposed(void **state)
{
    static const char *const near[] = {
        "kafka://127.0.0.1:9092", "kafka://localhost:9092,127.0.0.2:9093", "kafka://[::1]:9092",
        "nats://127.0.0.1:4222",  "nats://user:p@ss@localhost:4222",       "nats://localhost",
    };
    (void)state;
    for (size_t i = 0; i < DRI_ARRAY_LEN(near); i++) {
        if (is_exposed(near[i], NULL, 0)) {
            fail_msg("%s", near[i]);
        }
    }
}

static void plain_text_to_another_machine_is_exposed(void **state)
{
    static const char *const far[] = {
        "kafka://kafka-1:9092",       "kafka://127.0.0.1:9092,10.0.0.7:9092",
        "kafka://[fd00::1]:9092",     "nats://nats.example:4222",
        "nats://localhost@evil:4222", "nats://1270.example",
    };
    (void)state;
    for (size_t i = 0; i < DRI_ARRAY_LEN(far); i++) {
        if (!is_exposed(far[i], NULL, 0)) {
            fail_msg("%s", far[i]);
        }
    }
}

static void encryption_ends_the_exposure_and_passwords_alone_do_not(void **state)
{
    const struct dri_option ssl[] = {{"security.protocol", "SSL"}};
    const struct dri_option sasl_ssl[] = {{"security.protocol", "sasl_ssl"}};
    const struct dri_option sasl[] = {{"security.protocol", "sasl_plaintext"}};
    const struct dri_option tls[] = {{"tls", "true"}};
    const struct dri_option by_file[] = {{"tls_ca", "ca.pem"}};
    const struct dri_option user[] = {{"user", "u"}, {"password", "p"}};
    (void)state;
    assert_false(is_exposed("kafka://kafka-1:9093", ssl, 1));
    assert_false(is_exposed("kafka://kafka-1:9093", sasl_ssl, 1));
    assert_true(is_exposed("kafka://kafka-1:9093", sasl, 1));
    assert_false(is_exposed("nats://nats.example", tls, 1));
    assert_false(is_exposed("nats://nats.example", by_file, 1));
    assert_true(is_exposed("nats://nats.example", user, 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_stays_on_this_machine_is_not_exposed),
        cmocka_unit_test(plain_text_to_another_machine_is_exposed),
        cmocka_unit_test(encryption_ends_the_exposure_and_passwords_alone_do_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

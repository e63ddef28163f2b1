/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <fcntl.h>
#include <nats/nats.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "nats_jwt.h"
#include "nats_server.h"
#include "transport_contract.h"

/* Logging in to servers that are set up in each way, TLS on both sides of its guard, and servers
 * that do not let us do what we need. Each case has a server of its own. */

static struct nats_server server;
static struct contract_subject subject;

static int start_case(void **state)
{
    (void)state;
    nats_server_init(&server);
    memset(&subject, 0, sizeof(subject));
    subject.ops = &dri_nats_ops;
    subject.mode = DRI_SETTLE_EACH;
    subject.partitions = 1;
    (void)snprintf(subject.url, sizeof(subject.url), "%s", server.url);
    contract_it = &subject;
    return 0;
}

static int end_case(void **state)
{
    (void)state;
    nats_server_fini(&server);
    return 0;
}

static void write_file(const char *name, const char *content, char ret_path[128])
{
    (void)snprintf(ret_path, 128, "%s/%s", server.folder, name);
    FILE *file = fopen(ret_path, "we");
    assert_non_null(file);
    assert_true(fputs(content, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/** The whole way: open, publish, read, settle. */
static void assert_works(const struct dri_option *options, size_t count)
{
    struct contract_client client;
    const char *topic = contract_name("login");
    contract_init(&client, "g");
    for (size_t i = 0; i < count; i++) {
        contract_option(&client, options[i].name, options[i].value);
    }
    contract_source(&client, topic, DRI_ROLE_COMMANDS, DRI_START_EARLIEST, 0);
    contract_topic(&client, topic, DRI_USE_COMMANDS);
    contract_open(&client);
    contract_fill(&client, topic, 50);
    contract_await(&client, DRI_TE_MESSAGE, 50, NULL);
    contract_settle_first(&client, 50);
    contract_fini(&client);
}

/** Open fails so, and its text holds the word. */
static void assert_refused(enum dray_status want, const struct dri_option *options, size_t count,
                           const char *word)
{
    struct contract_client client;
    const char *topic = contract_name("login");
    contract_init(&client, "g");
    for (size_t i = 0; i < count; i++) {
        contract_option(&client, options[i].name, options[i].value);
    }
    contract_source(&client, topic, DRI_ROLE_COMMANDS, DRI_START_EARLIEST, 0);
    contract_topic(&client, topic, DRI_USE_COMMANDS);
    client.config.timeout_ms = 4000;
    enum dray_status status =
        subject.ops->open(&client.config, &client.transport, client.text, sizeof(client.text));
    if (status != want || strstr(client.text, word) == NULL) {
        fail_msg("gave %s: %s; wants %s: ...%s...", dray_status_name(status), client.text,
                 dray_status_name(want), word);
    }
    contract_fini(&client);
}

static void user_and_password_let_in(void **state)
{
    const struct dri_option right[] = {{"user", "dray"}, {"password", "s3cret"}};
    const struct dri_option wrong[] = {{"user", "dray"}, {"password", "other"}};
    (void)state;
    (void)snprintf(server.config, sizeof(server.config),
                   "authorization { user: dray, password: s3cret }");
    nats_server_start(&server);
    assert_works(right, 2);
    assert_refused(DRAY_EAUTH, wrong, 2, "refused the login");
    assert_refused(DRAY_EAUTH, NULL, 0, "refused the login");
    (void)snprintf(subject.url, sizeof(subject.url), "nats://dray:s3cret@127.0.0.1:%d",
                   server.port);
    assert_works(NULL, 0);
    (void)snprintf(subject.url, sizeof(subject.url), "nats://dray:wrong@127.0.0.1:%d", server.port);
    assert_refused(DRAY_EAUTH, NULL, 0, "refused the login");
}

static void a_token_lets_in(void **state)
{
    const struct dri_option right[] = {{"token", "tok"}};
    (void)state;
    (void)snprintf(server.config, sizeof(server.config), "authorization { token: tok }");
    nats_server_start(&server);
    assert_works(right, 1);
    assert_refused(DRAY_EAUTH, NULL, 0, "refused the login");
    (void)snprintf(subject.url, sizeof(subject.url), "nats://tok@127.0.0.1:%d", server.port);
    assert_works(NULL, 0);
}

static void an_nkey_lets_in_every_time(void **state)
{
    struct nats_nkey right, wrong;
    char path[128], wrong_path[128];
    (void)state;
    nats_nkey_make(&right, 'U');
    nats_nkey_make(&wrong, 'U');
    (void)snprintf(server.config, sizeof(server.config),
                   "authorization { users: [ { nkey: %s } ] }", right.key);
    nats_server_start(&server);
    write_file("user.nk", right.seed, path);
    write_file("wrong.nk", wrong.seed, wrong_path);
    const struct dri_option option = {"nkey", path}, other = {"nkey", wrong_path};
    const struct dri_option missing = {"nkey", "/nowhere/user.nk"};
    assert_works(&option, 1);
    assert_refused(DRAY_EAUTH, &other, 1, "refused the login");
    assert_refused(DRAY_EIO, &missing, 1, "/nowhere/user.nk");
    /* nats.c below 3.8 fails one login in 256; each is tried again. */
    for (int i = 0; i < 300; i++) {
        struct contract_client client;
        contract_init(&client, NULL);
        contract_option(&client, "nkey", path);
        contract_open(&client);
        contract_fini(&client);
    }
}

static void creds_let_in(void **state)
{
    static char creds[4096];
    char path[128];
    (void)state;
    nats_operator_make(server.config, sizeof(server.config), creds, sizeof(creds));
    nats_server_start(&server);
    write_file("user.creds", creds, path);
    const struct dri_option option = {"creds", path};
    const struct dri_option missing = {"creds", "/nowhere/user.creds"};
    assert_works(&option, 1);
    assert_refused(DRAY_EIO, &missing, 1, "/nowhere/user.creds");
    assert_refused(DRAY_EAUTH, NULL, 0, "refused the login");
}

/* --- TLS ------------------------------------------------------------------------------------- */

/** A certificate authority and a server certificate for 127.0.0.1's other name. */
static bool make_certificates(void)
{
    char command[2048];
    (void)snprintf(
        command, sizeof(command),
        "cd '%s' && exec >/dev/null 2>&1 && "
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
        "-subj /CN=dray-test-ca -keyout ca.key -out ca.pem && "
        "for n in server client; do "
        "openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=$n "
        "-keyout $n.key -out $n.csr && "
        "printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\\n' > $n.ext && "
        "openssl x509 -req -in $n.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 "
        "-extfile $n.ext -out $n.pem || exit 1; done",
        server.folder);
    return system(command) == 0; /* NOLINT(cert-env33-c): a test, and our own words */
}

static void configure_tls(bool is_mutual)
{
    (void)snprintf(server.config, sizeof(server.config),
                   "tls { cert_file: \"%s/server.pem\", key_file: \"%s/server.key\", "
                   "ca_file: \"%s/ca.pem\", verify: %s, timeout: 5 }",
                   server.folder, server.folder, server.folder, is_mutual ? "true" : "false");
    (void)snprintf(subject.url, sizeof(subject.url), "nats://localhost:%d", server.port);
}

static bool is_old(void)
{
    return nats_GetVersionNumber() < 0x030b00;
}

static void tls_with_an_old_client_needs_the_risk_to_be_accepted(void **state)
{
    char ca[128];
    (void)state;
    if (!make_certificates()) {
        test_skip("there is no openssl");
    }
    configure_tls(false);
    nats_server_start(&server);
    (void)snprintf(ca, sizeof(ca), "%s/ca.pem", server.folder);
    const struct dri_option options[] = {
        {"tls", "true"}, {"tls_ca", ca}, {"tls_on_old_client", "accept-risk"}};
    assert_works(options, 3);
    if (is_old()) {
        assert_refused(DRAY_EUNSUPPORTED, options, 2, "tls_on_old_client: accept-risk");
        /* also when it is the server that wants TLS */
        assert_refused(DRAY_EUNSUPPORTED, NULL, 0, "3.11");
    } else {
        assert_works(options, 2);
    }
}

static void tls_verifies_the_chain_and_the_name(void **state)
{
    char ca[128];
    (void)state;
    if (!make_certificates()) {
        test_skip("there is no openssl");
    }
    configure_tls(false);
    nats_server_start(&server);
    (void)snprintf(ca, sizeof(ca), "%s/ca.pem", server.folder);
    const struct dri_option no_ca[] = {{"tls", "true"}, {"tls_on_old_client", "accept-risk"}};
    const struct dri_option other_name[] = {{"tls_ca", ca},
                                            {"tls_on_old_client", "accept-risk"},
                                            {"tls_hostname", "elsewhere.example"}};
    assert_refused(DRAY_EINVALID, no_ca, 2, "cannot connect");
    assert_refused(DRAY_EINVALID, other_name, 3, "cannot connect");
}

static void tls_uses_the_ciphers_that_are_given(void **state)
{
    char ca[128];
    (void)state;
    if (!make_certificates()) {
        test_skip("there is no openssl");
    }
    configure_tls(false);
    nats_server_start(&server);
    (void)snprintf(ca, sizeof(ca), "%s/ca.pem", server.folder);
    const struct dri_option right[] = {{"tls_ca", ca},
                                       {"tls_on_old_client", "accept-risk"},
                                       {"tls_ciphers", "ECDHE-RSA-AES256-GCM-SHA384"},
                                       {"tls_ciphersuites", "TLS_AES_256_GCM_SHA384"}};
    /* the server is in Go, which has no CCM */
    const struct dri_option not_there[] = {{"tls_ca", ca},
                                           {"tls_on_old_client", "accept-risk"},
                                           {"tls_ciphersuites", "TLS_AES_128_CCM_SHA256"}};
    const struct dri_option nonsense[] = {
        {"tls_ca", ca}, {"tls_on_old_client", "accept-risk"}, {"tls_ciphers", "NO-SUCH-CIPHER"}};
    assert_works(right, 4);
    assert_refused(DRAY_EINVALID, not_there, 3, "cannot connect");
    assert_refused(DRAY_EINVALID, nonsense, 3, "cannot connect");
}

static void tls_with_a_client_certificate_lets_in(void **state)
{
    char ca[128], cert[128], key[128];
    (void)state;
    if (!make_certificates()) {
        test_skip("there is no openssl");
    }
    configure_tls(true);
    nats_server_start(&server);
    (void)snprintf(ca, sizeof(ca), "%s/ca.pem", server.folder);
    (void)snprintf(cert, sizeof(cert), "%s/client.pem", server.folder);
    (void)snprintf(key, sizeof(key), "%s/client.key", server.folder);
    const struct dri_option options[] = {
        {"tls_ca", ca}, {"tls_on_old_client", "accept-risk"}, {"tls_cert", cert}, {"tls_key", key}};
    assert_works(options, 4);
}

static void a_megabyte_goes_through_tls(void **state)
{
    enum {
        COUNT = 40,
        BYTES = 700000
    };
    struct contract_client client;
    const char *topic = contract_name("tls");
    char ca[128];
    (void)state;
    if (!make_certificates()) {
        test_skip("there is no openssl");
    }
    configure_tls(false);
    nats_server_start(&server);
    (void)snprintf(ca, sizeof(ca), "%s/ca.pem", server.folder);
    contract_init(&client, "g");
    contract_option(&client, "tls_ca", ca);
    contract_option(&client, "tls_on_old_client", "accept-risk");
    contract_source(&client, topic, DRI_ROLE_COMMANDS, DRI_START_EARLIEST, 0);
    contract_topic(&client, topic, DRI_USE_COMMANDS);
    contract_open(&client);
    uint8_t *bytes = calloc(1, BYTES);
    assert_non_null(bytes);
    for (uint64_t i = 0; i < COUNT; i++) {
        struct dri_publish message = {.token = i,
                                      .topic = dray_slice_text(topic),
                                      .partition = -1,
                                      .value = dray_slice_of(bytes, BYTES)};
        contract_publish(&client, &message);
    }
    free(bytes);
    contract_await(&client, DRI_TE_PUBLISHED, COUNT, NULL);
    contract_await(&client, DRI_TE_MESSAGE, COUNT, NULL);
    contract_fini(&client);
}

/* --- permissions ----------------------------------------------------------------------------- */

static void a_publish_that_is_not_permitted_is_refused_for_good(void **state)
{
    struct contract_client client;
    const char *topic = contract_name("perm");
    (void)state;
    (void)snprintf(server.config, sizeof(server.config),
                   "authorization { users: [ { user: a, password: b, permissions: "
                   "{ publish: { deny: [\"secret.>\"] } } } ] }");
    nats_server_start(&server);
    (void)snprintf(subject.url, sizeof(subject.url), "nats://a:b@127.0.0.1:%d", server.port);
    contract_init(&client, NULL);
    contract_topic(&client, topic, DRI_USE_COMMANDS);
    contract_option(&client, "publish_timeout_ms", "700");
    contract_open(&client);
    struct dri_publish message = {.token = 1,
                                  .topic = dray_slice_text("secret.x"),
                                  .partition = -1,
                                  .value = dray_slice_text("x")};
    contract_publish(&client, &message);
    contract_await(&client, DRI_TE_PUBLISHED, 1, NULL);
    const struct dri_published *ack = &contract_event(&client, DRI_TE_PUBLISHED, 0)->as.published;
    assert_int_equal(ack->ack, DRI_ACK_NOT_STORED);
    assert_int_equal(ack->reason, DRAY_EAUTH);
    contract_forget(&client);
    contract_fill(&client, topic, 3);
    contract_fini(&client);
}

static void an_api_that_is_not_permitted_is_named(void **state)
{
    const struct dri_option quick = {"api_timeout_ms", "700"};
    (void)state;
    (void)snprintf(server.config, sizeof(server.config),
                   "authorization { users: [ { user: a, password: b, permissions: "
                   "{ publish: { deny: [\"$JS.API.STREAM.CREATE.>\"] } } } ] }");
    nats_server_start(&server);
    (void)snprintf(subject.url, sizeof(subject.url), "nats://a:b@127.0.0.1:%d", server.port);
    assert_refused(DRAY_EAUTH, &quick, 1, "$JS.API.STREAM.CREATE.");
}

static void a_pull_that_is_not_permitted_is_told(void **state)
{
    struct contract_client client, producer;
    const char *topic = contract_name("pull");
    (void)state;
    (void)snprintf(server.config, sizeof(server.config),
                   "authorization { users: [ { user: a, password: b, permissions: "
                   "{ publish: { deny: [\"$JS.API.CONSUMER.MSG.NEXT.>\"] } } }, "
                   "{ user: c, password: d } ] }");
    nats_server_start(&server);
    (void)snprintf(subject.url, sizeof(subject.url), "nats://c:d@127.0.0.1:%d", server.port);
    contract_open_producer(&producer, topic);
    contract_fill(&producer, topic, 3);
    contract_fini(&producer);
    (void)snprintf(subject.url, sizeof(subject.url), "nats://a:b@127.0.0.1:%d", server.port);
    contract_init(&client, "g");
    client.config.progress_ms = 1000;
    contract_source(&client, topic, DRI_ROLE_COMMANDS, DRI_START_EARLIEST, 0);
    contract_topic(&client, topic, DRI_USE_COMMANDS);
    contract_open(&client);
    contract_await(&client, DRI_TE_ERROR, 1, NULL);
    char text[256];
    struct dray_slice told = contract_event(&client, DRI_TE_ERROR, 0)->as.text;
    (void)snprintf(text, sizeof(text), "%.*s", (int)told.len, (const char *)told.at);
    assert_non_null(strstr(text, "CONSUMER.MSG.NEXT."));
    assert_int_equal(contract_count(&client, DRI_TE_MESSAGE), 0);
    contract_fini(&client);
}

static void a_private_inbox_is_enough(void **state)
{
    const struct dri_option option = {"inbox_prefix", "_INBOX_orders"};
    (void)state;
    (void)snprintf(server.config, sizeof(server.config),
                   "authorization { users: [ { user: a, password: b, permissions: "
                   "{ subscribe: [\"_INBOX_orders.>\"] } } ] }");
    nats_server_start(&server);
    (void)snprintf(subject.url, sizeof(subject.url), "nats://a:b@127.0.0.1:%d", server.port);
    assert_works(&option, 1);
}

static void a_server_without_jetstream_is_told(void **state)
{
    (void)state;
    server.has_no_jetstream = true;
    nats_server_start(&server);
    assert_refused(DRAY_EUNSUPPORTED, NULL, 0, "-js");
}

static void what_does_not_greet_is_told(void **state)
{
    (void)state;
    nats_server_start(&server); /* its monitor speaks HTTP */
    (void)snprintf(subject.url, sizeof(subject.url), "nats://127.0.0.1:%d", server.http_port);
    const struct dri_option quick = {"connect_timeout_ms", "300"};
    assert_refused(DRAY_EBROKER, &quick, 1, "does not greet");
    (void)snprintf(subject.url, sizeof(subject.url), "nats://no.such.host.invalid:4222");
    assert_refused(DRAY_EBROKER, &quick, 1, "no.such.host.invalid");
}

static void the_next_server_of_the_list_is_tried(void **state)
{
    (void)state;
    nats_server_start(&server);
    (void)snprintf(subject.url, sizeof(subject.url), "nats://127.0.0.1:1,127.0.0.1:2,127.0.0.1:%d",
                   server.port);
    assert_works(NULL, 0);
}

static void a_password_that_changes_is_an_outage_and_not_the_end(void **state)
{
    struct contract_client client;
    const char *topic = contract_name("rotate");
    (void)state;
    (void)snprintf(server.config, sizeof(server.config),
                   "authorization { user: a, password: one }");
    nats_server_start(&server);
    (void)snprintf(subject.url, sizeof(subject.url), "nats://a:one@127.0.0.1:%d", server.port);
    contract_open_group(&client, "g", topic);
    contract_fill(&client, topic, 5);
    nats_server_kill(&server);
    (void)snprintf(server.config, sizeof(server.config),
                   "authorization { user: a, password: two }");
    nats_server_start(&server);
    subject.quiet_ms = 1500;
    contract_watch(&client, NULL); /* refused again and again: more often than nats.c would bear */
    struct dri_publish message = {.topic = dray_slice_text(topic), .value = dray_slice_text("5")};
    assert_int_equal(subject.ops->publish(client.transport, dri_clock_now(), &message, 1), 0);
    nats_server_kill(&server);
    (void)snprintf(server.config, sizeof(server.config),
                   "authorization { user: a, password: one }");
    nats_server_start(&server);
    contract_forget(&client);
    contract_fill(&client, topic, 5);
    contract_fini(&client);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, start_case, end_case)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        CASE(user_and_password_let_in),
        CASE(a_token_lets_in),
        CASE(an_nkey_lets_in_every_time),
        CASE(creds_let_in),
        CASE(tls_with_an_old_client_needs_the_risk_to_be_accepted),
        CASE(tls_verifies_the_chain_and_the_name),
        CASE(tls_uses_the_ciphers_that_are_given),
        CASE(tls_with_a_client_certificate_lets_in),
        CASE(a_megabyte_goes_through_tls),
        CASE(a_publish_that_is_not_permitted_is_refused_for_good),
        CASE(an_api_that_is_not_permitted_is_named),
        CASE(a_pull_that_is_not_permitted_is_told),
        CASE(a_private_inbox_is_enough),
        CASE(a_server_without_jetstream_is_told),
        CASE(what_does_not_greet_is_told),
        CASE(the_next_server_of_the_list_is_tried),
        CASE(a_password_that_changes_is_an_outage_and_not_the_end),
    };
    int skipped = nats_server_begin(argc, argv);
    return skipped != 0 ? skipped : cmocka_run_group_tests(tests, NULL, NULL);
}

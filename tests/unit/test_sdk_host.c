/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* test_sdk_host.c - the test kit itself: a kit that lets a bad handler pass is worse than none.
 *
 * The handlers here misbehave on purpose: half a value, two values, an odd kind, text that is none.
 */

#include <dray/reader.h>
#include <dray/writer.h>

#include "support/handler.h"
#include "testing/json.h"

/* ---- handlers that behave, and some that do not ---- */

struct flag {
    _Atomic(bool) is_set;
};

static void set_flag(void *arg)
{
    struct flag *flag = arg;

    flag->is_set = true;
}

static enum dray_error_kind give_call(struct dray_call *call)
{
    dray_write_array(&call->result, 8);
    dray_write_slice(&call->result, call->is_id_binary ? dray_slice_text("bin") : call->id);
    dray_write_slice(&call->result, call->key);
    dray_write_slice(&call->result, call->command);
    dray_write_slice(&call->result, call->version);
    dray_write_slice(&call->result, dray_find_text(call->meta, "user"));
    dray_write_uint(&call->result, call->attempt);
    dray_write_bool(&call->result, dray_call_remaining_ms(call) == UINT64_MAX);
    dray_write_raw(&call->result, call->payload);
    return DRAY_KIND_NONE;
}

static enum dray_error_kind write_two(struct dray_call *call)
{
    dray_write_nil(&call->result);
    dray_write_nil(&call->result);
    return DRAY_KIND_NONE;
}

static enum dray_error_kind write_half(struct dray_call *call)
{
    dray_write_map(&call->result, 1);
    dray_write_text(&call->result, "key");
    return DRAY_KIND_NONE;
}

static enum dray_error_kind write_nothing(struct dray_call *call)
{
    dray_call_log(call, 1, "nothing to say");
    return DRAY_KIND_NONE;
}

static enum dray_error_kind write_no_text(struct dray_call *call)
{
    dray_write_slice(&call->result, dray_slice_of("\xff", 1));
    return DRAY_KIND_NONE;
}

static enum dray_error_kind leave_cancel(struct dray_call *call)
{
    static struct flag flag;

    return dray_call_on_cancel(call, set_flag, &flag) == DRAY_OK ? DRAY_KIND_NONE
                                                                 : DRAY_KIND_INTERNAL;
}

static enum dray_error_kind return_odd(struct dray_call *call)
{
    (void)call;
    return (enum dray_error_kind)77;
}

static enum dray_error_kind fail_late(struct dray_call *call)
{
    dray_write_nil(&call->result);
    return dray_call_fail_after(call, DRAY_KIND_UNAVAILABLE, "busy", "come back", 1500);
}

/* Walks through the life of a cancel function; gives the statuses. */
static enum dray_error_kind use_cancel(struct dray_call *call)
{
    struct flag first = {false};
    struct flag second = {false};
    enum dray_status statuses[3];

    statuses[0] = dray_call_on_cancel(call, set_flag, &first);
    statuses[1] = dray_call_on_cancel(call, set_flag, &second);
    dray_call_off_cancel(call);
    statuses[2] = dray_call_on_cancel(call, set_flag, &second);
    while (!dray_call_is_cancelled(call)) {
    }
    dray_call_off_cancel(call); /* waits while it runs */
    dray_write_array(&call->result, 6);
    for (unsigned i = 0; i < 3; i++) {
        dray_write_text(&call->result, dray_status_name(statuses[i]));
    }
    dray_write_bool(&call->result, first.is_set);
    dray_write_bool(&call->result, second.is_set);
    dray_write_text(&call->result, dray_status_name(dray_call_on_cancel(call, set_flag, &first)));
    return DRAY_KIND_NONE;
}

#define HANDLER(name_, fn_)                                                                        \
    {                                                                                              \
        .command = "kit." name_, .version = "1.0.0", .signature = "", .name = (name_), .fn = (fn_) \
    }

static const struct dray_handler handlers[] = {
    HANDLER("call", give_call),        HANDLER("two", write_two),
    HANDLER("half", write_half),       HANDLER("nothing", write_nothing),
    HANDLER("no_text", write_no_text), HANDLER("odd", return_odd),
    HANDLER("fail_late", fail_late),   HANDLER("cancel", use_cancel),
    HANDLER("leave", leave_cancel),
};

static const struct dray_module module = {
    DRAY_MODULE_HEAD,
    .name = "kit",
    .handlers = handlers,
    .handlers_count = sizeof(handlers) / sizeof(handlers[0]),
};

static int setup(void **state)
{
    struct dray_test_host *host = NULL;

    if (dray_test_host_open(&module, &host) != DRAY_OK) {
        return -1;
    }
    *state = host;
    return 0;
}

static int teardown(void **state)
{
    dray_test_host_close(*state);
    return 0;
}

/* ---- cases ---- */

static void a_call_is_what_the_test_asked_for(void **state)
{
    const struct dray_test_call call = {.payload = "{\"a\":[true]}",
                                        .meta = "{\"user\":\"ada\"}",
                                        .id = "id-1",
                                        .key = "k",
                                        .attempt = 4};
    struct dray_test_outcome *outcome = check_run(*state, &call);

    assert_string_equal("[\"id-1\",\"k\",\"kit.call\",\"1.0.0\",\"ada\",4,true,{\"a\":[true]}]",
                        outcome->json);
    dray_test_outcome_destroy(outcome);
    check_gives(*state, NULL, "[\"bin\",null,\"kit.call\",\"1.0.0\",null,1,true,null]");
}

static void a_result_that_is_not_one_value_is_internal(void **state)
{
    static const char *const names[] = {"two", "half", "no_text", "odd"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const struct dray_test_call call = {.handler = names[i]};

        check_outcome(check_run(*state, &call), DRAY_KIND_INTERNAL, "", "", __FILE__, __LINE__);
    }
}

static void nothing_written_is_no_result_and_the_log_is_kept(void **state)
{
    const struct dray_test_call call = {.handler = "nothing"};
    struct dray_test_outcome *outcome = check_run(*state, &call);

    assert_int_equal(DRAY_KIND_NONE, outcome->kind);
    assert_null(outcome->json);
    assert_true(dray_slice_is_absent(outcome->result));
    assert_string_equal("1 nothing to say", outcome->log);
    dray_test_outcome_destroy(outcome);
}

static void a_failure_carries_code_message_and_delay_and_no_result(void **state)
{
    const struct dray_test_call call = {.handler = "fail_late"};
    struct dray_test_outcome *outcome = check_run(*state, &call);

    assert_int_equal(1500, outcome->retry_after_ms);
    assert_null(outcome->json);
    check_outcome(outcome, DRAY_KIND_UNAVAILABLE, "busy", "come back", __FILE__, __LINE__);
}

static void a_cancel_function_is_set_once_taken_back_and_called(void **state)
{
    const struct dray_test_call call = {.handler = "cancel", .timeout_ms = 20};
    struct dray_test_outcome *outcome = check_run(*state, &call);

    assert_string_equal("[\"OK\",\"EEXISTS\",\"OK\",false,true,\"ECLOSED\"]", outcome->json);
    dray_test_outcome_destroy(outcome);
}

static void a_cancel_function_that_is_left_behind_shows(void **state)
{
    const struct dray_test_call call = {.handler = "leave"};
    const struct dray_test_call other = {.handler = "cancel", .timeout_ms = 1};
    struct dray_test_outcome *outcome = check_run(*state, &call);

    assert_true(outcome->is_cancel_left);
    dray_test_outcome_destroy(outcome);
    outcome = check_run(*state, &other);
    assert_false(outcome->is_cancel_left);
    dray_test_outcome_destroy(outcome);
}

static void what_cannot_be_run_is_answered(void **state)
{
    struct dray_test_outcome *outcome = NULL;
    struct dray_test_call call = {.handler = "none"};
    static const char *const bad[] = {
        "",    "{",  "[1,]",  "{\"a\"}", "{\"a\":1,}", "tru",   "1 2",         "\"\\x\"",
        "\"a", "+1", "1e999", "[1}",     "01x",        "{1:2}", "\"\\ud800\"", "{\"$bin\":\"*\"}",
        "nul"};

    test_status(DRAY_ENOTFOUND, dray_test_host_run(*state, &call, &outcome));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        call.handler = "call";
        call.payload = bad[i];
        test_status(DRAY_EINVALID, dray_test_host_run(*state, &call, &outcome));
    }
    assert_null(outcome);
}

static void json_comes_back_as_it_was(void **state)
{
    static const char *const texts[] = {
        "null",
        "[true,false,0,1,127,128,255,256,65535,65536,4294967295,4294967296]",
        "[-1,-32,-33,-128,-129,-32768,-32769,-2147483648,-2147483649,-9223372036854775808]",
        "18446744073709551615",
        "[0.5,-1.25]",
        "\"caf\xc3\xa9 \\\" \\\\ \\u0001\"",
        "{\"a\":{},\"b\":[],\"c\":{\"d\":[[]]}}",
        "[{\"$bin\":\"\"},{\"$bin\":\"AA==\"},{\"$bin\":\"AAE=\"},{\"$bin\":\"AAEC\"}]",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct dray_test_buffer bytes = {NULL, 0, 0};
        struct dray_test_buffer text = {NULL, 0, 0};
        size_t offset = 0;

        test_ok(dray_test_json_decode(texts[i], &bytes, &offset));
        test_ok(dray_test_json_encode(dray_slice_of(bytes.at, bytes.len), &text));
        assert_string_equal(texts[i], text.at);
        dray_test_buffer_fini(&bytes);
        dray_test_buffer_fini(&text);
    }
}

static void escapes_and_blanks_are_read(void **state)
{
    struct dray_test_buffer bytes = {NULL, 0, 0};
    struct dray_test_buffer text = {NULL, 0, 0};
    size_t offset = 0;

    (void)state;
    test_ok(dray_test_json_decode(" [ \"\\u00e9\\ud83d\\ude00\\n\\/\" , { \"$bin\" : \"AA==\" } ] ",
                                  &bytes, &offset));
    test_ok(dray_test_json_encode(dray_slice_of(bytes.at, bytes.len), &text));
    assert_string_equal("[\"\xc3\xa9\xf0\x9f\x98\x80\\u000a/\",{\"$bin\":\"AA==\"}]", text.at);
    dray_test_buffer_fini(&bytes);
    dray_test_buffer_fini(&text);
}

static void a_descriptor_of_another_sdk_is_refused(void **state)
{
    struct dray_module other = module;
    struct dray_test_host *host = NULL;

    (void)state;
    other.abi++;
    test_status(DRAY_EINVALID, dray_test_host_open(&other, &host));
    test_status(DRAY_EINVALID, dray_test_host_load("/nonexistent.so", &host));
    assert_null(host);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_call_is_what_the_test_asked_for),
        CASE(a_result_that_is_not_one_value_is_internal),
        CASE(nothing_written_is_no_result_and_the_log_is_kept),
        CASE(a_failure_carries_code_message_and_delay_and_no_result),
        CASE(a_cancel_function_is_set_once_taken_back_and_called),
        CASE(a_cancel_function_that_is_left_behind_shows),
        CASE(what_cannot_be_run_is_answered),
        CASE(json_comes_back_as_it_was),
        CASE(escapes_and_blanks_are_read),
        CASE(a_descriptor_of_another_sdk_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

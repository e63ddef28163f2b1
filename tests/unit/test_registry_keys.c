/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <stdlib.h>

#include "base/assert.h"
#include "fuzz/fuzz.h"
#include "fuzz/fuzz_registry.h"
#include "support/test.h"

/* Millions of keys through the checks of fuzz_registry.c, made from what has gone wrong elsewhere:
 * empty, NUL, 1025 bytes, broken UTF-8, and look-alikes. DRAY_KEYS says how many thousands. */

#define KEYS_DEFAULT 2000u /* thousands */
#define STEPS        100u
#define BYTES_MAX    (STEPS * (FUZZ_STEP_HEAD + 2 * 255u + FUZZ_NAME_MAX))

static uint64_t random_state;

static unsigned random_below(unsigned n)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)((random_state >> 33) % n);
}

struct text {
    const char *at;
    size_t len;
};

#define TEXT(literal)                                                                              \
    {                                                                                              \
        literal, sizeof(literal) - 1                                                               \
    }

static const struct text names[] = {
    TEXT("order.create"),
    TEXT("order.crea\0te"),
    TEXT("order.create\0"),
    TEXT("order.create "),
    TEXT("Order.create"),
    TEXT("\xd0\xberder.create"), /* a Cyrillic o */
    TEXT("order.cre\xe2\x80\x8b"
         "ate"),         /* a space without width */
    TEXT("caf\xc3\xa9"), /* one character, and the same as two */
    TEXT("cafe\xcc\x81"),
    TEXT("\xe2\x84\xaa"), /* the sign of kelvin, and the letter */
    TEXT("K"),
    TEXT("\xc0\xafx"),        /* a slash in too many bytes */
    TEXT("\xed\xa0\x80"),     /* half a pair */
    TEXT("\xf4\x90\x80\x80"), /* beyond the last character */
    TEXT("\xff"),
    TEXT("x\xe2\x82"), /* cut */
    TEXT("a/b"),
    TEXT("a@b"),
    TEXT("a\nb"),
    TEXT("\x7f"),
    TEXT("."),
    TEXT(".."),
    TEXT(""),
};
static const struct text spaces[] = {
    TEXT("default"),
    TEXT("Default"),
    TEXT("default."),
    TEXT("d\xd0\xb5"
         "fault"),
    TEXT(""),
    TEXT("\0"),
    TEXT("a/b"),
    TEXT("\xc3"),
};
static const struct text versions[] = {
    TEXT("1.0.0"),
    TEXT("1.0.0"),
    TEXT("1.0.0"),
    TEXT("1.0.0+a"),
    TEXT("1.0.0-rc.1"),
    TEXT("01.0.0"),
    TEXT("1.0"),
    TEXT(""),
    TEXT("v1.0.0"),
    TEXT("1.0.0\0"),
    TEXT("99999999999999999999.0.0"),
};

/** A name that is listed, one of any length, or one of any bytes. */
static size_t make_name(uint8_t *at)
{
    static const size_t lengths[] = {1, 2, 63, 64, 65, 255, 256, 1024, 1025};
    unsigned kind = random_below(4);
    if (kind < 2) {
        const struct text *name = &names[random_below(DRI_ARRAY_LEN(names))];
        memcpy(at, name->at, name->len);
        return name->len;
    }
    size_t len = kind == 2 ? lengths[random_below(DRI_ARRAY_LEN(lengths))] : random_below(24);
    for (size_t i = 0; i < len; i++) {
        at[i] = (uint8_t)(kind == 2 ? 'a' + random_below(2) : random_below(256));
    }
    return len;
}

static size_t make_step(uint8_t *at)
{
    const struct text *ns = &spaces[random_below(2) * random_below(DRI_ARRAY_LEN(spaces))];
    const struct text *version = &versions[random_below(DRI_ARRAY_LEN(versions))];
    size_t len = FUZZ_STEP_HEAD;
    memcpy(at + len, ns->at, ns->len);
    len += ns->len;
    size_t name_len = make_name(at + len);
    len += name_len;
    memcpy(at + len, version->at, version->len);
    at[0] = (uint8_t)random_below(FUZZ_STEPS);
    at[1] = (uint8_t)ns->len;
    at[2] = (uint8_t)name_len;
    at[3] = (uint8_t)(name_len >> 8);
    at[4] = (uint8_t)version->len;
    return len + version->len;
}

static void keys_of_every_kind_are_refused_or_found_and_nothing_is_left(void **state)
{
    static uint8_t bytes[BYTES_MAX];
    const char *text = getenv("DRAY_KEYS");
    unsigned thousands = text == NULL ? KEYS_DEFAULT : (unsigned)strtoul(text, NULL, 10);
    const struct fuzz_registry_seen *seen = &fuzz_registry_seen;
    (void)state;
    random_state = 11;
    for (unsigned i = 0; i < thousands * 1000 / STEPS; i++) {
        size_t len = 0;
        for (unsigned step = 0; step < STEPS; step++) {
            len += make_step(bytes + len);
        }
        (void)LLVMFuzzerTestOneInput(bytes, len);
    }
    print_message("%llu put, %llu refused, %llu conflicts, %llu removed\n",
                  (unsigned long long)seen->put, (unsigned long long)seen->refused,
                  (unsigned long long)seen->conflicts, (unsigned long long)seen->removed);
    assert_true(seen->put > 20ull * thousands && seen->refused > 100ull * thousands &&
                seen->conflicts > 0 && seen->removed > 0 && seen->found > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_of_every_kind_are_refused_or_found_and_nothing_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

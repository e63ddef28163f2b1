/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* Loading modules: the real ones, bad ones, and files that change while they are looked at. */

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <dray/reader.h>
#include <dray/writer.h>

#include "base/log.h"
#include "base/mem.h"
#include "module_fixture.h"
#include "run/elf.h"
#include "wire/sha256.h"

/* What the spy says of itself. */
static void spy_counts(const struct dri_module *module, uint64_t opens, uint64_t closes)
{
    uint8_t bytes[32];
    struct dray_call call = {.bytes = sizeof(call)};
    struct dray_reader reader;
    uint32_t count = 0;
    uint64_t number = 0;
    bool is_its_user = false;

    call.user = dri_module_user(module);
    dray_writer_init(&call.result, bytes, sizeof(bytes));
    assert_int_equal(DRAY_KIND_NONE, dri_module_find(module, dray_slice_text("count"))->fn(&call));
    dray_reader_init(&reader, dray_writer_bytes(&call.result));
    test_ok(dray_read_array(&reader, &count));
    test_ok(dray_read_uint(&reader, &number));
    assert_int_equal(opens, number);
    test_ok(dray_read_uint(&reader, &number));
    assert_int_equal(closes, number);
    test_ok(dray_read_bool(&reader, &is_its_user));
    assert_true(is_its_user);
}

/* ---- good ones ---- */

static void a_module_is_loaded_and_knows_itself(void **state)
{
    struct fixture *fixture = *state;
    struct dri_module *module = NULL;
    char hex[65];
    size_t len = 0;
    uint8_t *bytes = read_file(ORDERS, &len);

    dri_sha256_hex(dray_slice_of(bytes, len), hex);
    free(bytes);
    put(fixture, ORDERS, "orders.so");
    test_ok(load(fixture, "orders.so", dray_slice_text(hex), &module));
    assert_string_equal("orders.so", dri_module_name(module));
    assert_string_equal(hex, dri_module_sha256(module));
    assert_int_equal(40, strlen(dri_module_build_id(module)));
    assert_int_equal(40, strspn(dri_module_build_id(module), "0123456789abcdef"));
    assert_string_equal("orders", dri_module_descriptor(module)->name);
    assert_non_null(dri_module_find(module, dray_slice_text("order_create")));
    assert_string_equal("order.create",
                        dri_module_find(module, dray_slice_text("order_create"))->command);
    assert_int_equal(64,
                     strlen(dri_module_find(module, dray_slice_text("order_create"))->signature));
    assert_null(dri_module_find(module, dray_slice_text("order_creat")));
    assert_null(dri_module_find(module, dray_slice_text("order_create2")));
    assert_null(dri_module_find(module, any_hash));
    dri_module_release(module);
}

static void the_same_bytes_are_loaded_once_and_shared_by_count(void **state)
{
    struct fixture *fixture = *state;
    struct dri_module *first = NULL;
    struct dri_module *second = NULL;
    struct dri_module *third = NULL;

    put(fixture, SPY, "spy.so");
    put(fixture, SPY, "spy-copy.so");
    test_ok(load(fixture, "spy.so", any_hash, &first));
    test_ok(load(fixture, "spy.so", any_hash, &second));
    test_ok(load(fixture, "spy-copy.so", any_hash, &third));
    assert_ptr_equal(first, second);
    assert_ptr_equal(first, third);
    dri_module_retain(first);
    spy_counts(first, 1, 0);
    dri_module_release(first);
    dri_module_release(first);
    dri_module_release(first);
    spy_counts(first, 1, 0);
    dri_module_release(first);
}

static void the_last_release_closes_and_a_later_load_opens_the_same_image_again(void **state)
{
    struct fixture *fixture = *state;
    struct dri_module *module = NULL;

    put(fixture, SPY, "spy.so");
    for (unsigned i = 1; i <= 3; i++) {
        test_ok(load(fixture, "spy.so", any_hash, &module));
        spy_counts(module, i, i - 1);
        dri_module_release(module);
        module = NULL;
    }
}

static void another_module_never_gets_the_image_of_one_before(void **state)
{
    struct fixture *fixture = *state;
    struct dri_module *module = NULL;

    put(fixture, SPY, "one.so");
    put(fixture, ORDERS, "two.so");
    put(fixture, PROBE, "three.so");
    (void)setenv("DRAY_TEST_SPY_OPEN", "permanent", 1);
    test_status(DRAY_EINVALID, load(fixture, "one.so", any_hash, &module));
    test_ok(load(fixture, "two.so", any_hash, &module));
    assert_string_equal("orders", dri_module_descriptor(module)->name);
    dri_module_release(module);
    test_ok(load(fixture, "three.so", any_hash, &module));
    assert_string_equal("probe", dri_module_descriptor(module)->name);
    dri_module_release(module);
}

static void a_failed_open_says_so_and_can_be_tried_again(void **state)
{
    struct fixture *fixture = *state;
    struct dri_module *module = NULL;

    put(fixture, SPY, "spy.so");
    (void)setenv("DRAY_TEST_SPY_OPEN", "permanent", 1);
    refuses(fixture, "spy.so", DRAY_EINVALID, "spy.so: its open failed: not supported here");
    (void)setenv("DRAY_TEST_SPY_OPEN", "transient", 1);
    refuses(fixture, "spy.so", DRAY_EIO, "its open failed: timed out");
    (void)unsetenv("DRAY_TEST_SPY_OPEN");
    test_ok(load(fixture, "spy.so", any_hash, &module));
    spy_counts(module, 1, 0);
    dri_module_release(module);
}

/* ---- names and files ---- */

static void a_name_that_is_a_path_is_refused(void **state)
{
    static const char *const names[] = {
        "../orders.so",
        "/etc/passwd",
        "a/b.so",
        "",
        ".so",
        "-a.so",
        "Orders.so",
        "orders so",
        "orders.so/",
        "..",
        ".",
        "a123456789a123456789a123456789a123456789a123456789a123456789a1234"};
    struct fixture *fixture = *state;
    struct dri_module *module = NULL;

    put(fixture, ORDERS, "orders.so");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        refuses(fixture, names[i], DRAY_EINVALID, "file name only");
    }
    test_status(DRAY_EINVALID,
                dri_module_load(fixture->modules, dray_slice_of("orders.so\0x", 11), any_hash,
                                &module, fixture->text, sizeof(fixture->text)));
}

static void a_module_that_is_not_there_names_the_folder(void **state)
{
    struct fixture *fixture = *state;
    struct dri_modules *nowhere = NULL;
    struct dri_module *module = NULL;

    refuses(fixture, "none.so", DRAY_ENOTFOUND, "none.so: is not in the module folder /tmp/dray-");
    test_ok(dri_modules_create("/nonexistent/folder", "w", &nowhere));
    test_status(DRAY_ENOTFOUND, dri_module_load(nowhere, dray_slice_text("a.so"), any_hash, &module,
                                                fixture->text, sizeof(fixture->text)));
    says(fixture, "the module folder /nonexistent/folder: No such file or directory");
    dri_modules_destroy(nowhere);
}

static void a_link_is_not_followed_wherever_it_leads(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_BYTES];

    put(fixture, ORDERS, "orders.so");
    path_in(fixture, "outside.so", path);
    assert_int_equal(0, symlink(ORDERS, path));
    refuses(fixture, "outside.so", DRAY_EAUTH, "is a link");
    path_in(fixture, "inside.so", path);
    assert_int_equal(0, symlink("orders.so", path));
    refuses(fixture, "inside.so", DRAY_EAUTH, "is a link");
}

/* From here on openat2 answers `error`, as on an older kernel or behind a filter that does not know
 * it. */
static bool forbid_openat2(int error)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0 &&
           syscall(SYS_openat2, -1, "", NULL, 0) < 0 && errno == error;
}

/* In a child: the filter cannot be taken off again. The number of the first check that fails, or 0.
 */
static int check_without_openat2(struct fixture *fixture, int error)
{
    struct dri_module *module = NULL;

    if (!forbid_openat2(error)) {
        return 77;
    }
    if (load(fixture, "orders.so", any_hash, &module) != DRAY_OK) {
        return 1;
    }
    dri_module_release(module);
    if (load(fixture, "link.so", any_hash, &module) != DRAY_EAUTH ||
        strstr(fixture->text, "is a link") == NULL) {
        return 2;
    }
    return load(fixture, "none.so", any_hash, &module) == DRAY_ENOTFOUND ? 0 : 3;
}

static void a_kernel_without_openat2_gets_the_same_answers(void **state)
{
    static const int errors[] = {ENOSYS, EPERM};
    struct fixture *fixture = *state;
    char path[PATH_BYTES];

    put(fixture, ORDERS, "orders.so");
    path_in(fixture, "link.so", path);
    assert_int_equal(0, symlink(ORDERS, path));
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        int status = 0;
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
            _exit(check_without_openat2(fixture, errors[i]));
        }
        assert_int_equal(pid, waitpid(pid, &status, 0));
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) == 77) {
            test_skip("no seccomp filter can be set here");
        }
        assert_int_equal(0, WEXITSTATUS(status));
    }
}

static void what_is_no_file_is_refused_without_waiting(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_BYTES];

    path_in(fixture, "folder.so", path);
    assert_int_equal(0, mkdir(path, 0755));
    refuses(fixture, "folder.so", DRAY_EINVALID, "is not a regular file");
    path_in(fixture, "pipe.so", path);
    assert_int_equal(0, mkfifo(path, 0644));
    refuses(fixture, "pipe.so", DRAY_EINVALID, "is not a regular file");
}

static void what_is_no_shared_object_is_refused(void **state)
{
    struct fixture *fixture = *state;
    char path[PATH_BYTES];

    path_in(fixture, "empty.so", path);
    write_file(path, "", 0);
    refuses(fixture, "empty.so", DRAY_EINVALID, "is empty");
    path_in(fixture, "text.so", path);
    write_file(path, "#!/bin/sh\n", 10);
    refuses(fixture, "text.so", DRAY_EINVALID, "is not a shared object (ELF)");
    put(fixture, "/proc/self/exe", "program.so"); /* a PIE is ET_DYN: only the loader can tell */
    refuses(fixture, "program.so", DRAY_EINVALID, "program.so: ");
}

/* A copy of orders.so with one byte of its header set. */
static void patched(const struct fixture *fixture, const char *name, size_t at, uint8_t byte)
{
    char path[PATH_BYTES];
    size_t len = 0;
    uint8_t *bytes = read_file(ORDERS, &len);

    bytes[at] = byte;
    path_in(fixture, name, path);
    write_file(path, bytes, len);
    free(bytes);
}

static void a_header_that_is_not_ours_is_refused_before_the_loader(void **state)
{
    struct fixture *fixture = *state;

    patched(fixture, "class.so", EI_CLASS, ELFCLASS32);
    refuses(fixture, "class.so", DRAY_EINVALID, "another kind of machine");
    patched(fixture, "machine.so", offsetof(Elf64_Ehdr, e_machine), EM_MIPS);
    refuses(fixture, "machine.so", DRAY_EINVALID, "another kind of machine");
    patched(fixture, "type.so", offsetof(Elf64_Ehdr, e_type), ET_EXEC);
    refuses(fixture, "type.so", DRAY_EINVALID, "link it with -shared");
    patched(fixture, "count.so", offsetof(Elf64_Ehdr, e_phnum) + 1, 0xff);
    refuses(fixture, "count.so", DRAY_EINVALID, "it is damaged");
    patched(fixture, "offset.so", offsetof(Elf64_Ehdr, e_phoff) + 7, 0xff);
    refuses(fixture, "offset.so", DRAY_EINVALID, "is cut off");
}

static void a_file_that_is_cut_off_never_reaches_the_loader(void **state)
{
    char build_id[DRI_BUILD_ID_BYTES] = "";
    const char *wrong = NULL;
    size_t len = 0;
    size_t whole;
    uint8_t *bytes = read_file(ORDERS, &len);
    Elf64_Ehdr header;

    (void)state;
    /* What the loader needs ends with the last segment. */
    memcpy(&header, bytes, sizeof(header));
    whole = 0;
    for (unsigned i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr segment;

        memcpy(&segment, bytes + header.e_phoff + i * sizeof(segment), sizeof(segment));
        whole = segment.p_offset + segment.p_filesz > whole ? segment.p_offset + segment.p_filesz
                                                            : whole;
    }
    assert_true(whole > 4096);
    for (size_t cut = 0; cut < whole; cut += cut < 1024 ? 1 : 97) {
        uint8_t *exact = malloc(cut + (cut == 0)); /* so that ASan sees one byte too many */

        assert_non_null(exact);
        memcpy(exact, bytes, cut);
        test_status(DRAY_EINVALID, dri_elf_check(dray_slice_of(exact, cut), build_id, &wrong));
        assert_non_null(wrong);
        assert_string_equal("", build_id);
        free(exact);
    }
    test_ok(dri_elf_check(dray_slice_of(bytes, whole), build_id, &wrong));
    assert_int_equal(40, strlen(build_id));
    free(bytes);
}

static void notes_that_lie_about_their_size_are_not_followed(void **state)
{
    size_t len = 0;
    uint8_t *bytes = read_file(ORDERS, &len);
    Elf64_Ehdr header;
    unsigned notes = 0;

    (void)state;
    memcpy(&header, bytes, sizeof(header));
    for (unsigned i = 0; i < header.e_phnum; i++) {
        Elf64_Phdr segment;
        char build_id[DRI_BUILD_ID_BYTES] = "";
        const char *wrong = NULL;

        memcpy(&segment, bytes + header.e_phoff + i * sizeof(segment), sizeof(segment));
        if (segment.p_type != PT_NOTE) {
            continue;
        }
        notes++;
        memset(bytes + segment.p_offset, 0xff, 8); /* sizes of name and content */
        test_ok(dri_elf_check(dray_slice_of(bytes, len), build_id, &wrong));
    }
    assert_true(notes > 0);
    free(bytes);
}

static void a_note_whose_name_is_behind_the_end_of_the_file_is_not_read(void **state)
{
    static const Elf64_Nhdr note = {4, 20, NT_GNU_BUILD_ID};
    size_t len = 0;
    uint8_t *bytes = read_file(ORDERS, &len);
    uint8_t *exact = malloc(len + sizeof(note)); /* so that ASan sees one byte too many */
    char build_id[DRI_BUILD_ID_BYTES] = "";
    const char *wrong = NULL;
    Elf64_Ehdr header;
    unsigned notes = 0;

    (void)state;
    assert_non_null(exact);
    memcpy(exact, bytes, len);
    memcpy(exact + len, &note, sizeof(note));
    memcpy(&header, bytes, sizeof(header));
    for (unsigned i = 0; i < header.e_phnum; i++) {
        uint8_t *at = exact + header.e_phoff + i * sizeof(Elf64_Phdr);
        Elf64_Phdr segment;

        memcpy(&segment, at, sizeof(segment));
        if (segment.p_type == PT_NOTE) {
            notes++;
            segment.p_offset = len;
            segment.p_filesz = sizeof(note);
            memcpy(at, &segment, sizeof(segment));
        }
    }
    assert_true(notes > 0);
    test_ok(dri_elf_check(dray_slice_of(exact, len + sizeof(note)), build_id, &wrong));
    assert_string_equal("", build_id);
    free(exact);
    free(bytes);
}

/* ---- hashes, and files that change ---- */

static void another_hash_than_the_route_names_is_refused(void **state)
{
    static const char other[] = "0000000000000000000000000000000000000000000000000000000000000000";
    struct fixture *fixture = *state;
    struct dri_module *module = NULL;

    put(fixture, ORDERS, "orders.so");
    test_status(DRAY_EAUTH, load(fixture, "orders.so", dray_slice_text(other), &module));
    says(fixture, "orders.so: has sha256 ");
    says(fixture, "not the one that the route names");
    test_status(DRAY_EAUTH, load(fixture, "orders.so", dray_slice_text("00"), &module));
    /* Loaded already does not help either. */
    test_ok(load(fixture, "orders.so", any_hash, &module));
    test_status(DRAY_EAUTH, load(fixture, "orders.so", dray_slice_text(other), &module));
    dri_module_release(module);
}

static void a_file_that_is_overwritten_does_not_touch_what_runs(void **state)
{
    struct fixture *fixture = *state;
    struct dri_module *module = NULL;
    struct dri_module *again = NULL;
    char path[PATH_BYTES];
    char zeros[4096] = {0};

    put(fixture, SPY, "spy.so");
    test_ok(load(fixture, "spy.so", any_hash, &module));
    path_in(fixture, "spy.so", path);
    write_file(path, zeros, sizeof(zeros)); /* in place: the same inode, shorter */
    spy_counts(module, 1, 0);
    refuses(fixture, "spy.so", DRAY_EINVALID, "is not a shared object");
    put(fixture, ORDERS, "spy.so");
    test_ok(load(fixture, "spy.so", any_hash, &again));
    assert_string_equal("orders", dri_module_descriptor(again)->name);
    spy_counts(module, 1, 0);
    dri_module_release(again);
    dri_module_release(module);
}

struct swapper {
    const struct fixture *fixture;
    _Atomic(bool) is_over;
    unsigned swaps;
};

/* Puts the one file and the other in turn under one name, by rename. */
static void *swap(void *arg)
{
    struct swapper *swapper = arg;
    char from[2][PATH_BYTES];
    char spare[PATH_BYTES];
    char to[PATH_BYTES];

    (void)snprintf(from[0], PATH_BYTES, "%s/a", swapper->fixture->folder);
    (void)snprintf(from[1], PATH_BYTES, "%s/b", swapper->fixture->folder);
    (void)snprintf(spare, PATH_BYTES, "%s/spare", swapper->fixture->folder);
    (void)snprintf(to, PATH_BYTES, "%s/swapped.so", swapper->fixture->folder);
    while (!atomic_load(&swapper->is_over)) {
        if (link(from[swapper->swaps % 2], spare) != 0 || rename(spare, to) != 0) {
            break;
        }
        swapper->swaps++;
        /* rename of two names of one file does nothing and leaves both */
        (void)unlink(spare);
    }
    return NULL;
}

static void a_file_that_is_swapped_all_the_time_is_only_ever_the_one_with_the_hash(void **state)
{
    struct fixture *fixture = *state;
    struct swapper swapper = {.fixture = fixture};
    char hex[65];
    size_t len = 0;
    uint8_t *bytes = read_file(ORDERS, &len);
    pthread_t thread;
    unsigned wrong = 0;
    unsigned right = 0;
    unsigned refused = 0;

    dri_sha256_hex(dray_slice_of(bytes, len), hex);
    free(bytes);
    put(fixture, ORDERS, "a");
    put(fixture, PROBE, "b");
    put(fixture, PROBE, "swapped.so");
    assert_int_equal(0, pthread_create(&thread, NULL, swap, &swapper));
    for (unsigned i = 0; i < 5000 && (i < 200 || right == 0 || refused == 0); i++) {
        struct dri_module *module = NULL;
        enum dray_status status = load(fixture, "swapped.so", dray_slice_text(hex), &module);

        if (status == DRAY_OK) {
            right += strcmp(dri_module_descriptor(module)->name, "orders") == 0;
            wrong += strcmp(dri_module_descriptor(module)->name, "orders") != 0;
            dri_module_release(module);
        } else {
            refused += status == DRAY_EAUTH;
            wrong += status != DRAY_EAUTH;
        }
    }
    atomic_store(&swapper.is_over, true);
    assert_int_equal(0, pthread_join(thread, NULL));
    assert_int_equal(0, wrong);
    assert_true(right > 0);
    assert_true(refused > 0);
    assert_true(swapper.swaps > 2);
}

/* ---- descriptors ---- */

static void a_bad_descriptor_is_refused_with_what_to_do(void **state)
{
    static const struct {
        const char *file;
        const char *says;
    } bad[] = {
        {"symbol", "does not export dray_module: define it with DRAY_MODULE"},
        {"abi", "was built for ABI 99 of dray, this worker has 1: build it again"},
        {"size", "impossible sizes: begin it with DRAY_MODULE_HEAD"},
        {"stride", "impossible sizes: begin it with DRAY_MODULE_HEAD"},
        {"version", "a handler's version is not of the form 1.2.3"},
        {"signature", "a handler's signature is neither"},
        {"command", "a handler's command is missing or not a name"},
        {"name", "a handler's name is missing"},
        {"function", "a handler has no function"},
        {"count", "its descriptor has no handlers"},
        {"twice", "two handlers have one name"},
        {"undefined", "undefined symbol: a_function_that_is_nowhere; link the library that has it"},
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char from[PATH_BYTES];
        char name[64];

        (void)snprintf(from, sizeof(from), TESTED "bad_%s.so", bad[i].file);
        (void)snprintf(name, sizeof(name), "bad-%s.so", bad[i].file);
        put(fixture, from, name);
        refuses(fixture, name, DRAY_EINVALID, bad[i].says);
        refuses(fixture, name, DRAY_EINVALID, bad[i].says); /* the second time as the first */
    }
}

/* ---- threads and memory ---- */

struct crowd {
    struct fixture *fixture;
    unsigned failures;
};

static void *load_and_release(void *arg)
{
    struct crowd *crowd = arg;

    for (unsigned i = 0; i < 50; i++) {
        struct dri_module *module = NULL;
        char text[TEXT_BYTES];

        if (dri_module_load(crowd->fixture->modules, dray_slice_text("spy.so"), any_hash, &module,
                            text, sizeof(text)) != DRAY_OK) {
            crowd->failures++;
            continue;
        }
        crowd->failures += dri_module_user(module) == NULL;
        dri_module_retain(module);
        dri_module_release(module);
        dri_module_release(module);
    }
    return NULL;
}

static void many_threads_load_and_release_one_module(void **state)
{
    struct fixture *fixture = *state;
    struct crowd crowds[4];
    pthread_t threads[4];
    struct dri_module *module = NULL;
    uint8_t bytes[32];
    struct dray_call call = {.bytes = sizeof(call)};
    struct dray_reader reader;
    uint64_t opens = 0;
    uint64_t closes = 0;
    uint32_t count = 0;

    put(fixture, SPY, "spy.so");
    for (unsigned i = 0; i < 4; i++) {
        crowds[i] = (struct crowd){fixture, 0};
        assert_int_equal(0, pthread_create(&threads[i], NULL, load_and_release, &crowds[i]));
    }
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(0, pthread_join(threads[i], NULL));
        assert_int_equal(0, crowds[i].failures);
    }
    test_ok(load(fixture, "spy.so", any_hash, &module));
    dray_writer_init(&call.result, bytes, sizeof(bytes));
    (void)dri_module_find(module, dray_slice_text("count"))->fn(&call);
    dray_reader_init(&reader, dray_writer_bytes(&call.result));
    test_ok(dray_read_array(&reader, &count));
    test_ok(dray_read_uint(&reader, &opens));
    test_ok(dray_read_uint(&reader, &closes));
    assert_int_equal(opens, closes + 1); /* each open was closed but for this one */
    dri_module_release(module);
}

static void every_failed_allocation_is_answered_and_leaks_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct dri_modules *modules = NULL;
    struct dri_module *module = NULL;
    size_t live = dri_mem_live();
    enum dray_status status;

    put(fixture, ORDERS, "orders.so");
    for (uint64_t n = 1;; n++) {
        dri_mem_fail_at(n);
        status = dri_modules_create(fixture->folder, "w", &modules);
        if (status == DRAY_OK) {
            break;
        }
        test_status(DRAY_ENOMEM, status);
        assert_int_equal(live, dri_mem_live());
        assert_true(n < 100);
    }
    live = dri_mem_live();
    for (uint64_t n = 1;; n++) {
        dri_mem_fail_at(n);
        status = dri_module_load(modules, dray_slice_text("orders.so"), any_hash, &module,
                                 fixture->text, sizeof(fixture->text));
        if (status == DRAY_OK) {
            break;
        }
        test_status(DRAY_ENOMEM, status);
        assert_int_equal(live, dri_mem_live());
        assert_true(n < 100);
    }
    dri_mem_fail_at(0);
    dri_module_release(module);
    dri_modules_destroy(modules);
}

static void nothing_is_a_no_op(void **state)
{
    (void)state;
    dri_module_release(NULL);
    dri_modules_destroy(NULL);
}

static void discard_line(void *arg, const char *line, size_t len)
{
    (void)arg;
    (void)line;
    (void)len;
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_module_is_loaded_and_knows_itself),
        CASE(the_same_bytes_are_loaded_once_and_shared_by_count),
        CASE(the_last_release_closes_and_a_later_load_opens_the_same_image_again),
        CASE(another_module_never_gets_the_image_of_one_before),
        CASE(a_failed_open_says_so_and_can_be_tried_again),
        CASE(a_name_that_is_a_path_is_refused),
        CASE(a_module_that_is_not_there_names_the_folder),
        CASE(a_link_is_not_followed_wherever_it_leads),
        CASE(a_kernel_without_openat2_gets_the_same_answers),
        CASE(what_is_no_file_is_refused_without_waiting),
        CASE(what_is_no_shared_object_is_refused),
        CASE(a_header_that_is_not_ours_is_refused_before_the_loader),
        CASE(a_file_that_is_cut_off_never_reaches_the_loader),
        CASE(notes_that_lie_about_their_size_are_not_followed),
        CASE(a_note_whose_name_is_behind_the_end_of_the_file_is_not_read),
        CASE(another_hash_than_the_route_names_is_refused),
        CASE(a_file_that_is_overwritten_does_not_touch_what_runs),
        CASE(a_file_that_is_swapped_all_the_time_is_only_ever_the_one_with_the_hash),
        CASE(a_bad_descriptor_is_refused_with_what_to_do),
        CASE(many_threads_load_and_release_one_module),
        CASE(every_failed_allocation_is_answered_and_leaks_nothing),
        cmocka_unit_test(nothing_is_a_no_op),
    };

    dri_log_setup(DRI_LOG_LOGFMT, DRI_LOG_INFO, discard_line, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "journal.h"
#include "mem.h"
#include "support/test.h"

#define LINES      3u
#define FILE_BYTES ((LINES + 1u) * 512u)

struct seen {
    unsigned count;
    char id[80], command[80], handler[80], source[300], worker[100];
    uint64_t started_ms;
    uint32_t attempt, epoch, pid;
    bool is_id_binary, has_rebooted;
};

struct place {
    char folder[64];
    char file[128];
    char text[512];
    struct seen seen; /* the last suspect */
    struct dri_journal_report report;
};

static void keep(char *to, size_t bytes, struct dray_slice text)
{
    (void)snprintf(to, bytes, "%.*s", (int)text.len, (const char *)text.at);
}

static void on_suspect(void *arg, const struct dri_suspect *suspect)
{
    struct seen *seen = arg;
    seen->count++;
    keep(seen->id, sizeof(seen->id), suspect->id);
    keep(seen->command, sizeof(seen->command), suspect->command);
    keep(seen->handler, sizeof(seen->handler), suspect->handler);
    keep(seen->source, sizeof(seen->source), suspect->source);
    keep(seen->worker, sizeof(seen->worker), suspect->worker);
    seen->started_ms = suspect->started_ms;
    seen->attempt = suspect->attempt;
    seen->epoch = suspect->epoch;
    seen->pid = suspect->pid;
    seen->is_id_binary = suspect->is_id_binary;
    seen->has_rebooted = suspect->has_rebooted;
}

static int set_up(void **state)
{
    struct place *place = calloc(1, sizeof(*place));
    assert_non_null(place);
    (void)snprintf(place->folder, sizeof(place->folder), "/tmp/dray-journal-XXXXXX");
    assert_non_null(mkdtemp(place->folder));
    (void)snprintf(place->file, sizeof(place->file), "%s/" DRI_JOURNAL_FILE, place->folder);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct place *place = *state;
    (void)unlink(place->file);
    assert_int_equal(rmdir(place->folder), 0);
    free(place);
    assert_int_equal(dri_mem_live(), 0);
    return 0;
}

static enum dray_status open_journal(struct place *place, struct dri_journal **ret_journal)
{
    struct dri_journal_config config = {
        .folder = place->folder,
        .worker = "w-1",
        .lines = LINES,
        .on_suspect = on_suspect,
        .arg = &place->seen,
    };
    memset(&place->seen, 0, sizeof(place->seen));
    place->text[0] = '\0';
    return dri_journal_open(&config, ret_journal, &place->report, place->text, sizeof(place->text));
}

static const struct dri_journal_entry *entry_of(const char *id)
{
    static struct dri_journal_entry entry;
    entry = (struct dri_journal_entry){
        .id = dray_slice_text(id),
        .command = dray_slice_text("order.create"),
        .handler = dray_slice_text("order_create"),
        .source = dray_slice_text("commands/3/1234"),
        .started_ns = dri_clock_mono_ns(),
        .attempt = 2,
        .epoch = 7,
    };
    return &entry;
}

/* A process that ended without closing is one that unmapped and let its lock go: so is close. */
static void open_and_close(struct place *place)
{
    struct dri_journal *journal = NULL;
    test_ok(open_journal(place, &journal));
    dri_journal_close(journal);
}

static void what_ran_when_the_process_ended_is_told_to_the_next_once(void **state)
{
    struct place *place = *state;
    struct dri_journal *journal = NULL;
    test_ok(open_journal(place, &journal));
    assert_int_equal(place->seen.count, 0);
    uint64_t before_ms = dri_clock_wall_ms();
    dri_journal_begin(dri_journal_line(journal, 0), entry_of("id-0"));
    dri_journal_end(dri_journal_line(journal, 0));
    dri_journal_begin(dri_journal_line(journal, 1), entry_of("id-1"));
    dri_journal_close(journal);

    test_ok(open_journal(place, &journal));
    assert_int_equal(place->seen.count, 1);
    assert_true(place->report.suspects == 1 && place->report.torn == 0);
    assert_string_equal(place->seen.id, "id-1");
    assert_string_equal(place->seen.command, "order.create");
    assert_string_equal(place->seen.handler, "order_create");
    assert_string_equal(place->seen.source, "commands/3/1234");
    assert_string_equal(place->seen.worker, "w-1");
    assert_int_equal(place->seen.attempt, 2);
    assert_int_equal(place->seen.epoch, 7);
    assert_int_equal(place->seen.pid, getpid());
    assert_true(place->seen.started_ms + 2 >= before_ms);
    assert_true(place->seen.started_ms <= dri_clock_wall_ms() + 2);
    assert_false(place->seen.has_rebooted);
    dri_journal_close(journal);

    open_and_close(place);
    assert_int_equal(place->seen.count, 0);
}

static void a_process_that_is_killed_leaves_its_suspect(void **state)
{
    struct place *place = *state;
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct dri_journal *journal = NULL;
        if (open_journal(place, &journal) == DRAY_OK) {
            dri_journal_begin(dri_journal_line(journal, 2), entry_of("killed"));
            (void)raise(SIGKILL);
        }
        _exit(1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    open_and_close(place);
    assert_int_equal(place->seen.count, 1);
    assert_string_equal(place->seen.id, "killed");
    assert_int_equal(place->seen.pid, child);
}

static void long_texts_are_cut_where_it_costs_least(void **state)
{
    struct place *place = *state;
    struct dri_journal *journal = NULL;
    char name[257];
    char source[400];
    memset(name, 'n', sizeof(name));
    memset(source, 's', sizeof(source));
    static const uint8_t offset[] = {'/', '1', '/', '4', '2'};
    memcpy(source + sizeof(source) - sizeof(offset), offset, sizeof(offset));
    struct dri_journal_entry entry = *entry_of("id");
    entry.id = entry.command = entry.handler = dray_slice_of(name, sizeof(name));
    entry.source = dray_slice_of(source, sizeof(source));
    test_ok(open_journal(place, &journal));
    dri_journal_begin(dri_journal_line(journal, 0), &entry);
    dri_journal_close(journal);
    open_and_close(place);
    assert_int_equal(place->seen.count, 1);
    assert_int_equal(strlen(place->seen.id), 64);
    assert_int_equal(strlen(place->seen.command), 64);
    assert_int_equal(strlen(place->seen.handler), 40);
    assert_int_equal(strlen(place->seen.source), 288);
    assert_string_equal(place->seen.source + 283, "/1/42");
}

/* --- files as they should not be --- */

static void change_byte(const struct place *place, off_t at, uint8_t value)
{
    int fd = open(place->file, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, &value, 1, at), 1);
    (void)close(fd);
}

static void leave_a_suspect(struct place *place)
{
    struct dri_journal *journal = NULL;
    test_ok(open_journal(place, &journal));
    dri_journal_begin(dri_journal_line(journal, 0), entry_of("id-0"));
    dri_journal_close(journal);
}

/* Every byte of a line's head, and the number behind the texts: it is told, or torn, or idle, and
 * never read beyond its end (ASan looks on). */
static void a_line_that_was_not_written_to_its_end_accuses_nobody(void **state)
{
    struct place *place = *state;
    const off_t mark = 512;
    const off_t behind = 512 + 48 + 4 + 15 + 12 + 12; /* the texts of entry_of */
    unsigned torn = 0;
    for (off_t at = mark; at < mark + 48; at++) {
        leave_a_suspect(place);
        change_byte(place, at, 0xff);
        open_and_close(place);
        assert_true(place->report.suspects + place->report.torn <= 1);
        torn += place->report.torn == 1;
    }
    assert_true(torn >= 8 + 8 + 6); /* mark, run, and the lengths beyond the bounds */
    leave_a_suspect(place);
    change_byte(place, behind, 0x55);
    open_and_close(place);
    assert_true(place->report.torn == 1 && place->seen.count == 0);
}

static void a_line_that_is_being_written_is_no_suspect(void **state)
{
    struct place *place = *state;
    leave_a_suspect(place);
    for (off_t at = 512; at < 520; at++) {
        change_byte(place, at, 0xff); /* the mark says WRITING */
    }
    open_and_close(place);
    assert_true(place->report.torn == 1 && place->report.suspects == 0);
}

static void a_suspect_from_before_a_restart_of_the_machine_says_so(void **state)
{
    struct place *place = *state;
    leave_a_suspect(place);
    change_byte(place, 40, 'x'); /* first letter of the boot's id */
    open_and_close(place);
    assert_int_equal(place->seen.count, 1);
    assert_true(place->seen.has_rebooted);
}

static void write_file(const struct place *place, const void *bytes, size_t len)
{
    int fd = open(place->file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), (ssize_t)len);
    (void)close(fd);
}

static void a_foreign_or_short_file_is_ignored_and_replaced(void **state)
{
    struct place *place = *state;
    static uint8_t noise[FILE_BYTES];
    static const size_t lens[] = {1, 7, 511, 512, 513, FILE_BYTES};
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        memset(noise, 0xa5, sizeof(noise));
        write_file(place, noise, lens[i]);
        open_and_close(place);
        assert_true(place->report.is_foreign);
        assert_int_equal(place->seen.count, 0);
    }
    leave_a_suspect(place);
    assert_int_equal(truncate(place->file, FILE_BYTES - 1), 0);
    open_and_close(place);
    assert_true(place->report.is_foreign);
    leave_a_suspect(place);
    assert_int_equal(truncate(place->file, (off_t)1 << 40), 0); /* a hole: nothing is read */
    open_and_close(place);
    assert_true(place->report.is_foreign);
    open_and_close(place);
    assert_false(place->report.is_foreign);
}

/* --- what the system refuses --- */

static void two_processes_do_not_share_a_journal(void **state)
{
    struct place *place = *state;
    struct dri_journal *first = NULL;
    struct dri_journal *second = NULL;
    test_ok(open_journal(place, &first));
    dri_journal_begin(dri_journal_line(first, 0), entry_of("id-0"));
    assert_int_equal(open_journal(place, &second), DRAY_EEXISTS);
    assert_null(second);
    assert_int_equal(place->seen.count, 0);
    dri_journal_close(first);
    open_and_close(place);
    assert_int_equal(place->seen.count, 1); /* the second did not touch it */
}

static void what_is_no_file_of_ours_is_not_opened(void **state)
{
    struct place *place = *state;
    struct dri_journal *journal = NULL;
    assert_int_equal(mkdir(place->file, 0700), 0);
    assert_int_equal(open_journal(place, &journal), DRAY_EIO);
    assert_non_null(strstr(place->text, place->file));
    assert_int_equal(rmdir(place->file), 0);
    assert_int_equal(symlink("/etc/passwd", place->file), 0);
    assert_int_equal(open_journal(place, &journal), DRAY_EIO);
    assert_int_equal(unlink(place->file), 0);
    assert_int_equal(mkfifo(place->file, 0600), 0);
    assert_int_equal(open_journal(place, &journal), DRAY_EIO);
    assert_int_equal(unlink(place->file), 0);
    struct place missing = *place;
    (void)snprintf(missing.folder, sizeof(missing.folder), "/nonexistent");
    assert_int_equal(open_journal(&missing, &journal), DRAY_EIO);
    assert_null(journal);
}

static void a_disk_that_takes_no_more_is_an_error_and_no_signal_later(void **state)
{
    struct place *place = *state;
    struct dri_journal *journal = NULL;
    struct rlimit old;
    struct rlimit small = {700, 0};
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small.rlim_max = old.rlim_max;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    enum dray_status status = open_journal(place, &journal);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    (void)signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(status, DRAY_EIO);
    assert_null(journal);
    assert_non_null(strstr(place->text, "cannot write"));
    open_and_close(place); /* what is half written is none of ours, and replaced */
    assert_true(place->report.is_foreign);
}

static void every_allocation_may_fail(void **state)
{
    struct place *place = *state;
    struct dri_journal *journal = NULL;
    enum dray_status status = DRAY_ENOMEM;
    uint64_t n = 0;
    while (status == DRAY_ENOMEM) {
        dri_mem_fail_at(++n);
        status = open_journal(place, &journal);
    }
    dri_mem_fail_at(0);
    test_ok(status);
    assert_true(n > 3);
    dri_journal_close(journal);
}

static void without_a_journal_there_is_no_line(void **state)
{
    struct place *place = *state;
    struct dri_journal *journal = NULL;
    assert_null(dri_journal_line(NULL, 0));
    test_ok(open_journal(place, &journal));
    assert_non_null(dri_journal_line(journal, LINES - 1));
    assert_null(dri_journal_line(journal, LINES));
    assert_int_equal((uintptr_t)dri_journal_line(journal, 1) % 64, 0);
    dri_journal_close(journal);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_ran_when_the_process_ended_is_told_to_the_next_once),
        CASE(a_process_that_is_killed_leaves_its_suspect),
        CASE(long_texts_are_cut_where_it_costs_least),
        CASE(a_line_that_was_not_written_to_its_end_accuses_nobody),
        CASE(a_line_that_is_being_written_is_no_suspect),
        CASE(a_suspect_from_before_a_restart_of_the_machine_says_so),
        CASE(a_foreign_or_short_file_is_ignored_and_replaced),
        CASE(two_processes_do_not_share_a_journal),
        CASE(what_is_no_file_of_ours_is_not_opened),
        CASE(a_disk_that_takes_no_more_is_an_error_and_no_signal_later),
        CASE(every_allocation_may_fail),
        CASE(without_a_journal_there_is_no_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

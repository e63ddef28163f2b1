/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* journal.c - a mapped file with one line for each thread that runs handlers.
 *
 * What for: when a process dies in a handler (SIGSEGV, SIGKILL, abort), the only witness is what
 * was written before. A store into a shared mapping is the kernel's as soon as it was executed, so
 * it survives the process without fsync, and costs what a store costs. It does not survive the
 * machine, and need not: a power cut is not a command's fault, which is why the file has the boot's
 * id and a suspect from before a restart of the machine says so.
 *
 * A line: `mark` is 0 (idle), WRITING, or the number of the run. It is WRITING while the line is
 * filled and gets its number last, with release; the number stands once more behind the texts. So
 * a line is believed only when it was written to its end, and by one run. Texts are packed, because
 * then an ordinary command touches two cache lines of the eight; a checksum over them was rejected:
 * it would cost more than the stores, and what it finds (bit rot) costs a wrong log line.
 *
 * Time: no clock is read for a line. The header has both clocks of one moment, and a line has the
 * monotonic time that the lane read anyway.
 *
 * Storage is allocated, by writing it, before it is mapped: a store into a hole of a full disk is
 * SIGBUS. The pages are kept in memory (mlock, best effort), so that no fault waits for the disk.
 * A lock on the file keeps a second worker in the same folder away; it goes on without a journal.
 *
 * What is read back is somebody else's: bounded, checked, and used for nothing but log lines and a
 * count in this build. Quarantine of a command that killed its worker again and again is not here.
 */
#include "journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "assert.h"
#include "clock.h"
#include "mem.h"

#define MAGIC        "DRAYJRNL"
#define VERSION      1u
#define LINE_BYTES   512u
#define LINES_MAX    4096u
#define WRITING      UINT64_MAX
#define ID_MAX       64u
#define SOURCE_MAX   288u
#define COMMAND_MAX  64u
#define HANDLER_MAX  40u
#define BOOT_BYTES   40u
#define WORKER_BYTES 96u
#define PATH_BYTES   4096u
#define BOOT_PATH    "/proc/sys/kernel/random/boot_id"

struct header {
    char magic[8];
    uint32_t version;
    uint32_t line_bytes;
    uint32_t lines;
    uint32_t pid;
    uint64_t mono_ns; /* of one moment: */
    uint64_t wall_ms;
    char boot[BOOT_BYTES];
    char worker[WORKER_BYTES];
    uint8_t unused[LINE_BYTES - 8 - 16 - 16 - BOOT_BYTES - WORKER_BYTES];
};

struct dri_journal_line {
    _Alignas(64) _Atomic(uint64_t) mark;
    uint64_t run; /* number of the latest run */
    uint64_t started_ns;
    uint32_t attempt;
    uint32_t epoch;
    uint16_t id_len, source_len, command_len, handler_len;
    uint64_t is_id_binary;
    uint8_t texts[ID_MAX + SOURCE_MAX + COMMAND_MAX + HANDLER_MAX + sizeof(uint64_t)];
};

_Static_assert(sizeof(struct header) == LINE_BYTES, "the header takes the place of one line");
_Static_assert(sizeof(struct dri_journal_line) == LINE_BYTES, "lines share no cache line");

struct dri_journal {
    int fd;         /* holds the lock */
    uint8_t *bytes; /* mapped: header, then lines */
    size_t len;
    uint32_t lines;
};

/* --- while commands run
 * ----------------------------------------------------------------------------- */

struct dri_journal_line *dri_journal_line(struct dri_journal *journal, uint32_t number)
{
    if (journal == NULL || number >= journal->lines) {
        return NULL;
    }
    return (struct dri_journal_line *)(void *)(journal->bytes + LINE_BYTES * (number + 1u));
}

static uint16_t put_head(uint8_t **at, struct dray_slice text, size_t most)
{
    size_t len = text.at == NULL ? 0 : text.len < most ? text.len : most;
    if (len > 0) {
        memcpy(*at, text.at, len);
        *at += len;
    }
    return (uint16_t)len;
}

static uint16_t put_tail(uint8_t **at, struct dray_slice text, size_t most)
{
    if (text.at != NULL && text.len > most) {
        text = dray_slice_of(text.at + (text.len - most), most);
    }
    return put_head(at, text, most);
}

void dri_journal_begin(struct dri_journal_line *line, const struct dri_journal_entry *entry)
{
    uint8_t *at = line->texts;
    uint64_t run = line->run + 1;
    /* The order is the processor's own as another process sees it after this one was killed; the
     * fence and the release keep the compiler from changing it. */
    atomic_store_explicit(&line->mark, WRITING, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    line->run = run;
    line->started_ns = entry->started_ns;
    line->attempt = entry->attempt;
    line->epoch = entry->epoch;
    line->is_id_binary = entry->is_id_binary;
    line->id_len = put_head(&at, entry->id, ID_MAX);
    line->source_len = put_tail(&at, entry->source, SOURCE_MAX);
    line->command_len = put_head(&at, entry->command, COMMAND_MAX);
    line->handler_len = put_head(&at, entry->handler, HANDLER_MAX);
    memcpy(at, &run, sizeof(run));
    atomic_store_explicit(&line->mark, run, memory_order_release);
}

void dri_journal_end(struct dri_journal_line *line)
{
    atomic_store_explicit(&line->mark, 0, memory_order_release);
}

/* --- what an earlier process left
 * ------------------------------------------------------------------- */

static void read_boot(char ret_boot[BOOT_BYTES])
{
    memset(ret_boot, 0, BOOT_BYTES);
    int fd = open(BOOT_PATH, O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? 0 : read(fd, ret_boot, BOOT_BYTES - 1);
    if (fd >= 0) {
        (void)close(fd);
    }
    ret_boot[got > 0 ? got : 0] = '\0';
    ret_boot[strcspn(ret_boot, "\n")] = '\0';
}

static bool is_ours(const struct header *header, size_t len)
{
    return memcmp(header->magic, MAGIC, sizeof(header->magic)) == 0 && header->version == VERSION &&
           header->line_bytes == LINE_BYTES && header->lines <= LINES_MAX &&
           len == LINE_BYTES * ((size_t)header->lines + 1u) &&
           memchr(header->boot, '\0', BOOT_BYTES) != NULL &&
           memchr(header->worker, '\0', WORKER_BYTES) != NULL;
}

/* Whether the line was written to its end, by one run. */
static bool is_whole(const struct dri_journal_line *line, uint64_t mark)
{
    uint64_t again;
    if (line->id_len > ID_MAX || line->source_len > SOURCE_MAX || line->command_len > COMMAND_MAX ||
        line->handler_len > HANDLER_MAX || line->run != mark) {
        return false;
    }
    size_t len = (size_t)line->id_len + line->source_len + line->command_len + line->handler_len;
    memcpy(&again, line->texts + len, sizeof(again));
    return again == mark;
}

static struct dray_slice next_text(const uint8_t **at, uint16_t len)
{
    struct dray_slice text = dray_slice_of(*at, len);
    *at += len;
    return text;
}

static void tell(const struct dri_journal_config *config, const struct header *header,
                 const struct dri_journal_line *line, const char *boot)
{
    const uint8_t *at = line->texts;
    uint64_t ran_ms =
        line->started_ns > header->mono_ns ? (line->started_ns - header->mono_ns) / 1000000u : 0;
    struct dri_suspect suspect = {
        .worker = dray_slice_text(header->worker),
        .started_ms = header->wall_ms + ran_ms,
        .attempt = line->attempt,
        .epoch = line->epoch,
        .pid = header->pid,
        .is_id_binary = line->is_id_binary != 0,
        .has_rebooted = strcmp(boot, header->boot) != 0,
    };
    suspect.id = next_text(&at, line->id_len);
    suspect.source = next_text(&at, line->source_len);
    suspect.command = next_text(&at, line->command_len);
    suspect.handler = next_text(&at, line->handler_len);
    if (config->on_suspect != NULL) {
        config->on_suspect(config->arg, &suspect);
    }
}

static void report(const struct dri_journal_config *config, const uint8_t *bytes, size_t len,
                   struct dri_journal_report *ret_report)
{
    const struct header *header = (const struct header *)(const void *)bytes;
    char boot[BOOT_BYTES];
    if (len == 0) {
        return; /* it was just made */
    }
    if (len < LINE_BYTES || !is_ours(header, len)) {
        ret_report->is_foreign = true;
        return;
    }
    read_boot(boot);
    for (uint32_t i = 0; i < header->lines; i++) {
        const struct dri_journal_line *line =
            (const struct dri_journal_line *)(const void *)(bytes + LINE_BYTES * (i + 1u));
        uint64_t mark = atomic_load_explicit(&line->mark, memory_order_relaxed);
        if (mark == 0) {
            continue;
        }
        if (mark == WRITING || !is_whole(line, mark)) {
            ret_report->torn++;
            continue;
        }
        ret_report->suspects++;
        tell(config, header, line, boot);
    }
}

/* --- life
 * ------------------------------------------------------------------------------------------- */

static enum dray_status fail(const char *what, const char *path, char *ret_text, size_t text_bytes)
{
    int error = errno;
    snprintf(ret_text, text_bytes, "cannot %s %s: %s", what, path, strerrordesc_np(error));
    return error == EACCES || error == EPERM || error == EROFS ? DRAY_EAUTH : DRAY_EIO;
}

static bool write_at(int fd, const void *bytes, size_t len, off_t at)
{
    const uint8_t *from = bytes;
    while (len > 0) {
        ssize_t put = pwrite(fd, from, len, at);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            errno = put == 0 ? EIO : errno;
            return false;
        }
        from += put;
        at += put;
        len -= (size_t)put;
    }
    return true;
}

/* Reads at most the largest journal that there can be; longer files are none of ours. */
static enum dray_status read_old(int fd, const struct dri_journal_config *config,
                                 struct dri_journal_report *ret_report)
{
    struct stat facts;
    if (fstat(fd, &facts) != 0 || !S_ISREG(facts.st_mode)) {
        errno = errno != 0 ? errno : EINVAL;
        return DRAY_EIO;
    }
    if (facts.st_size > (off_t)(LINE_BYTES * (LINES_MAX + 1u))) {
        ret_report->is_foreign = true;
        return DRAY_OK;
    }
    size_t len = (size_t)facts.st_size;
    uint8_t *bytes = dri_zalloc(len + 1); /* aligned to 64, as the lines are */
    if (bytes == NULL) {
        return DRAY_ENOMEM;
    }
    size_t got = 0;
    ssize_t more = 1;
    while (got < len && more > 0) {
        more = pread(fd, bytes + got, len - got, (off_t)got);
        more = more < 0 && errno == EINTR ? 1 : more;
        got += more > 0 ? (size_t)more : 0;
    }
    if (more >= 0) {
        report(config, bytes, got, ret_report);
    }
    dri_free(bytes);
    return more < 0 ? DRAY_EIO : DRAY_OK;
}

/* The header comes last: a file that was not written to its end is none of ours. */
static bool begin_anew(int fd, const struct dri_journal_config *config, uint8_t *zeros, size_t len)
{
    struct dri_now now = dri_clock_now();
    struct header header = {
        .version = VERSION,
        .line_bytes = LINE_BYTES,
        .lines = config->lines,
        .pid = (uint32_t)getpid(),
        .mono_ns = now.mono_ns,
        .wall_ms = now.wall_ms,
    };
    memcpy(header.magic, MAGIC, sizeof(header.magic));
    read_boot(header.boot);
    snprintf(header.worker, sizeof(header.worker), "%s", config->worker);
    return ftruncate(fd, 0) == 0 && write_at(fd, zeros, len, 0) && fsync(fd) == 0 &&
           write_at(fd, &header, sizeof(header), 0) && fsync(fd) == 0;
}

static enum dray_status map_lines(struct dri_journal *journal, const char *path, char *ret_text,
                                  size_t text_bytes)
{
    void *bytes = mmap(NULL, journal->len, PROT_READ | PROT_WRITE, MAP_SHARED, journal->fd, 0);
    if (bytes == MAP_FAILED) {
        return fail("map", path, ret_text, text_bytes);
    }
    journal->bytes = bytes;
    (void)madvise(bytes, journal->len, MADV_DONTFORK); /* a child's stores are not ours */
    (void)mlock(bytes, journal->len);
    return DRAY_OK;
}

static enum dray_status take_over(struct dri_journal *journal,
                                  const struct dri_journal_config *config, const char *path,
                                  struct dri_journal_report *ret_report, char *ret_text,
                                  size_t text_bytes)
{
    errno = 0;
    if (flock(journal->fd, LOCK_EX | LOCK_NB) != 0) {
        enum dray_status status = fail("lock", path, ret_text, text_bytes);
        return errno == EWOULDBLOCK ? DRAY_EEXISTS : status;
    }
    enum dray_status status = read_old(journal->fd, config, ret_report);
    if (status != DRAY_OK) {
        (void)fail("read", path, ret_text, text_bytes);
        return status;
    }
    uint8_t *zeros = dri_zalloc(journal->len);
    if (zeros == NULL) {
        return DRAY_ENOMEM;
    }
    status = begin_anew(journal->fd, config, zeros, journal->len)
                 ? DRAY_OK
                 : fail("write", path, ret_text, text_bytes);
    dri_free(zeros);
    return status == DRAY_OK ? map_lines(journal, path, ret_text, text_bytes) : status;
}

enum dray_status dri_journal_open(const struct dri_journal_config *config,
                                  struct dri_journal **ret_journal,
                                  struct dri_journal_report *ret_report, char *ret_text,
                                  size_t text_bytes)
{
    char path[PATH_BYTES];
    DRI_ASSERT(config->lines > 0 && config->lines <= LINES_MAX);
    *ret_report = (struct dri_journal_report){0, 0, false};
    snprintf(ret_text, text_bytes, "no memory for the journal");
    struct dri_journal *journal = dri_zalloc(sizeof(*journal));
    if (journal == NULL) {
        return DRAY_ENOMEM;
    }
    journal->lines = config->lines;
    journal->len = LINE_BYTES * ((size_t)config->lines + 1u);
    journal->fd = -1;
    errno = ENAMETOOLONG;
    if (snprintf(path, sizeof(path), "%s/" DRI_JOURNAL_FILE, config->folder) < (int)sizeof(path)) {
        /* Non-blocking: a pipe of this name would make open wait for its other end. */
        journal->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    }
    enum dray_status status =
        journal->fd < 0 ? fail("open", path, ret_text, text_bytes)
                        : take_over(journal, config, path, ret_report, ret_text, text_bytes);
    if (status != DRAY_OK) {
        dri_journal_close(journal);
        return status;
    }
    *ret_journal = journal;
    return DRAY_OK;
}

void dri_journal_close(struct dri_journal *journal)
{
    if (journal == NULL) {
        return;
    }
    if (journal->bytes != NULL) {
        (void)munmap(journal->bytes, journal->len);
    }
    if (journal->fd >= 0) {
        (void)close(journal->fd);
    }
    dri_free(journal);
}

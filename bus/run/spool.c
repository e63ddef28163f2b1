/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* spool.c - messages that wait outside memory.
 *
 * Parked commands come and go in no order, each stays for seconds or days, and a hundred thousand
 * of them must not cost memory. So their bytes stand in one file, cut into segments; what is put
 * goes behind what was put before, in the segment that is being filled. A segment only counts what
 * of it is still kept: when that is nothing it is given back to the file system (its pages are
 * punched out) and is the next to be filled. Space of a message that is gone while its neighbours
 * stay is not used again until they are gone, too; when less than a sixteenth of a segment is kept
 * (a key that is stopped stays for days where all others went), that moves to the segment that is
 * being filled, a few messages a call. So the file is at most sixteen times as large as what is
 * kept, and two segments.
 *
 * A place is a number in a table that says where a message stands now, and which others stand in
 * its segment; what stands there begins with the lengths. Rejected: a file a message (an inode
 * each), a mapping (a full disk is SIGBUS), and a search for holes (the bookkeeping that this is to
 * save).
 *
 * The file has no name, so that nothing is left of a worker that was killed; a second worker in the
 * folder has a file of its own. Without a folder the segments are memory: the simulator's.
 *
 * A write that fails moves no segment's end: the message is kept in memory instead, in a segment of
 * its own that is *late*, and so is what is put after it. The owner sees that (dri_spool_is_late),
 * stops reading, and asks for the late ones to be written from time to time: they have their place
 * in the file already, so no place that was given changes. Refusing the message was rejected: it
 * has been read from its log, and is in the broker's order before what comes after it.
 *
 * Commands of ordinary size are a write each, which costs microseconds in the page cache; nothing
 * is synced, because what is here is with the broker, too.
 */

#include "spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "assert.h"
#include "log.h"
#include "mem.h"

#define SEGMENT_BYTES 16777216u
#define LATE_BYTES    1048576u
#define PARTS         4u
#define ABSENT        UINT32_MAX
#define SEGMENTS_MAX  (UINT32_MAX - 1)
#define SPARSE        16u /* less than one part in so many is kept */
#define MOVES_MAX     16u /* in one call */
#define PATH_BYTES    4096u

/* Stands before the parts of a message. */
struct head {
    uint32_t lens[PARTS]; /* ABSENT, or bytes */
    int64_t timestamp_ms;
};

struct segment {
    uint8_t *bytes;    /* without a file, and of a late one: owned; NULL: nothing is kept there */
    uint64_t base;     /* in the file */
    uint64_t capacity; /* segment_bytes, or more for a message that is larger */
    uint64_t end;      /* filled so far */
    uint64_t kept_bytes;
    uint32_t kept; /* messages */
    uint32_t head; /* of them, by place */
    bool is_late;  /* in memory until it can be written */
};

/* Where the message of a place is; places begin with 1. */
struct spot {
    uint64_t offset, bytes;
    uint32_t segment;    /* number + 1; 0: free */
    uint32_t next, prev; /* in its segment, or free: places; 0: none */
};

struct dri_spool {
    int fd; /* -1: in memory */
    uint64_t segment_bytes;
    uint64_t bytes;           /* of all segments: where the next one begins */
    struct segment *segments; /* owned */
    uint32_t count, room;
    uint32_t filling;   /* segment that is being filled, once there is one */
    uint32_t late;      /* segments that are */
    uint32_t sparse;    /* segment that is being emptied, + 1; 0: none */
    struct spot *spots; /* owned; by place - 1 */
    uint32_t spots_fresh, spots_room, spots_free;
    dri_spool_full_fn *is_full; /* a test's; NULL: the disk alone says */
    void *arg;
    uint8_t *message; /* owned; of the latest get */
    size_t message_room;
};

/* What write has still to do after some bytes of it went out. */
static int parts_skip(struct iovec **parts, int count, size_t bytes)
{
    while (count > 0 && bytes >= (*parts)->iov_len) {
        bytes -= (*parts)->iov_len;
        (*parts)++;
        count--;
    }
    if (count > 0) {
        (*parts)->iov_base = (uint8_t *)(*parts)->iov_base + bytes;
        (*parts)->iov_len -= bytes;
    }
    return count;
}

static enum dray_status trouble_say(const char *what, int error)
{
    DRI_LOG(DRI_LOG_ERROR, "SPOOL-FILE", what, DRI_TEXT("cause", strerrordesc_np(error)));
    return DRAY_EIO;
}

/* 0, or the cause. */
static int file_write(int fd, struct iovec *parts, int count, uint64_t at)
{
    while ((count = parts_skip(&parts, count, 0)) > 0) {
        ssize_t wrote = pwritev(fd, parts, count, (off_t)at);
        if (wrote < 0 && errno == EINTR) {
            continue;
        }
        if (wrote <= 0) {
            return wrote < 0 ? errno : ENOSPC;
        }
        at += (uint64_t)wrote;
        count = parts_skip(&parts, count, (size_t)wrote);
    }
    return 0;
}

static enum dray_status file_read(int fd, uint8_t *bytes, size_t len, uint64_t at)
{
    while (len > 0) {
        ssize_t got = pread(fd, bytes, len, (off_t)at);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return trouble_say("parked bytes cannot be read back", got < 0 ? errno : ENODATA);
        }
        bytes += got;
        at += (uint64_t)got;
        len -= (size_t)got;
    }
    return DRAY_OK;
}

static int file_open(const char *folder)
{
    char path[PATH_BYTES];
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != ENOENT)) {
        return fd;
    }
    if (snprintf(path, sizeof(path), "%s/spool-XXXXXX", folder) >= (int)sizeof(path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0) {
        (void)unlink(path);
    }
    return fd;
}

enum dray_status dri_spool_create(const char *folder, size_t segment_bytes,
                                  struct dri_spool **ret_spool)
{
    struct dri_spool *spool = dri_zalloc(sizeof(*spool));
    if (spool == NULL) {
        return DRAY_ENOMEM;
    }
    spool->fd = -1;
    spool->segment_bytes = segment_bytes != 0 ? segment_bytes : SEGMENT_BYTES;
    if (folder != NULL) {
        spool->fd = file_open(folder);
        if (spool->fd < 0) {
            DRI_LOG(DRI_LOG_ERROR, "SPOOL-FILE", "a file for parked bytes cannot be made",
                    DRI_TEXT("folder", folder), DRI_TEXT("cause", strerrordesc_np(errno)));
            dri_free(spool);
            return DRAY_EIO;
        }
    }
    *ret_spool = spool;
    return DRAY_OK;
}

void dri_spool_destroy(struct dri_spool *spool)
{
    if (spool == NULL) {
        return;
    }
    for (uint32_t i = 0; i < spool->count; i++) {
        dri_free(spool->segments[i].bytes);
    }
    if (spool->fd >= 0) {
        (void)close(spool->fd);
    }
    dri_free(spool->segments);
    dri_free(spool->spots);
    dri_free(spool->message);
    dri_free(spool);
}

void dri_spool_set_full(struct dri_spool *spool, dri_spool_full_fn *is_full, void *arg)
{
    spool->is_full = is_full;
    spool->arg = arg;
}

static bool is_sparse(const struct dri_spool *spool, uint32_t number)
{
    const struct segment *segment = &spool->segments[number];
    return segment->kept > 0 && !segment->is_late && number != spool->filling &&
           segment->kept_bytes < segment->capacity / SPARSE;
}

/* This segment from now on; the one before may be nearly empty. */
static void fill(struct dri_spool *spool, uint32_t number)
{
    uint32_t before = spool->filling;
    spool->filling = number;
    if (spool->sparse == 0 && is_sparse(spool, before)) {
        spool->sparse = before + 1;
    }
}

static enum dray_status segment_add(struct dri_spool *spool, uint64_t capacity)
{
    if (spool->count == SEGMENTS_MAX) {
        return trouble_say("parked bytes cannot be kept", EFBIG);
    }
    if (spool->count == spool->room) {
        uint32_t room = spool->room == 0 ? 16 : spool->room * 2;
        struct segment *segments = dri_zalloc_array(room, sizeof(*segments));
        if (segments == NULL) {
            return DRAY_ENOMEM;
        }
        if (spool->count > 0) {
            memcpy(segments, spool->segments, spool->count * sizeof(*segments));
        }
        dri_free(spool->segments);
        spool->segments = segments;
        spool->room = room;
    }
    struct segment *added = &spool->segments[spool->count];
    memset(added, 0, sizeof(*added));
    added->capacity = capacity;
    added->base = spool->bytes;
    spool->bytes += added->capacity;
    fill(spool, spool->count++);
    return DRAY_OK;
}

static bool has_room(const struct segment *segment, uint64_t bytes)
{
    return segment->capacity - segment->end >= bytes;
}

/* A segment with room for so much becomes the one that is filled. */
static enum dray_status room_find(struct dri_spool *spool, uint64_t bytes)
{
    if (spool->count > 0 && has_room(&spool->segments[spool->filling], bytes)) {
        return DRAY_OK;
    }
    for (uint32_t i = 0; i < spool->count && spool->late == 0; i++) {
        if (spool->segments[i].kept == 0 && spool->segments[i].capacity >= bytes) {
            fill(spool, i);
            return DRAY_OK;
        }
    }
    uint64_t least = spool->late > 0 ? LATE_BYTES : spool->segment_bytes;
    enum dray_status status = segment_add(spool, bytes > least ? bytes : least);
    if (status == DRAY_OK && spool->late > 0) {
        spool->segments[spool->filling].is_late = true;
        spool->late++;
    }
    return status;
}

static enum dray_status memory_write(struct segment *segment, const struct iovec *parts, int count)
{
    if (segment->bytes == NULL) {
        segment->bytes = dri_zalloc(segment->capacity);
        if (segment->bytes == NULL) {
            return DRAY_ENOMEM;
        }
    }
    uint8_t *at = segment->bytes + segment->end;
    for (int i = 0; i < count; i++) {
        if (parts[i].iov_len > 0) {
            memcpy(at, parts[i].iov_base, parts[i].iov_len);
            at += parts[i].iov_len;
        }
    }
    return DRAY_OK;
}

/* 0, or the cause. */
static int disk_write(const struct dri_spool *spool, const struct segment *segment,
                      const struct iovec *parts, int count)
{
    struct iovec left[PARTS + 1];
    if (spool->is_full != NULL && spool->is_full(spool->arg)) {
        return ENOSPC;
    }
    memcpy(left, parts, (size_t)count * sizeof(*parts));
    return spool->fd < 0 ? 0 : file_write(spool->fd, left, count, segment->base + segment->end);
}

/* To the segment that is filled; when that is the file's and cannot be written, to a late one. */
static enum dray_status parts_write(struct dri_spool *spool, const struct iovec *parts, int count,
                                    uint64_t bytes)
{
    struct segment *segment = &spool->segments[spool->filling];
    int error = segment->is_late ? 0 : disk_write(spool, segment, parts, count);
    if (error != 0) {
        (void)trouble_say("parked bytes cannot be written, and stay in memory", error);
        enum dray_status status = segment_add(spool, bytes > LATE_BYTES ? bytes : LATE_BYTES);
        if (status != DRAY_OK) {
            return status;
        }
        segment = &spool->segments[spool->filling];
        segment->is_late = true;
        spool->late++;
    }
    return segment->is_late || spool->fd < 0 ? memory_write(segment, parts, count) : DRAY_OK;
}

/* --- places --- */

static struct spot *spot_at(const struct dri_spool *spool, uint64_t place)
{
    DRI_ASSERT(place >= 1 && place <= spool->spots_fresh);
    return &spool->spots[place - 1];
}

static struct segment *segment_of(const struct dri_spool *spool, const struct spot *spot)
{
    DRI_ASSERT(spot->segment >= 1 && spot->segment <= spool->count);
    return &spool->segments[spot->segment - 1];
}

static enum dray_status spots_grow(struct dri_spool *spool)
{
    uint32_t room = spool->spots_room == 0 ? 64 : spool->spots_room * 2;
    struct spot *spots = room > spool->spots_room ? dri_zalloc_array(room, sizeof(*spots)) : NULL;
    if (spots == NULL) {
        return DRAY_ENOMEM;
    }
    if (spool->spots_fresh > 0) {
        memcpy(spots, spool->spots, spool->spots_fresh * sizeof(*spots));
    }
    dri_free(spool->spots);
    spool->spots = spots;
    spool->spots_room = room;
    return DRAY_OK;
}

static enum dray_status spot_take(struct dri_spool *spool, uint32_t *ret_place)
{
    if (spool->spots_free != 0) {
        *ret_place = spool->spots_free;
        spool->spots_free = spot_at(spool, *ret_place)->next;
        return DRAY_OK;
    }
    if (spool->spots_fresh == spool->spots_room) {
        enum dray_status status = spots_grow(spool);
        if (status != DRAY_OK) {
            return status;
        }
    }
    *ret_place = ++spool->spots_fresh;
    return DRAY_OK;
}

/* 0 is none. */
static void spot_give(struct dri_spool *spool, uint32_t place)
{
    if (place != 0) {
        *spot_at(spool, place) = (struct spot){.next = spool->spots_free};
        spool->spots_free = place;
    }
}

/* Its bytes are the last ones of the segment that is filled. */
static void spot_link(struct dri_spool *spool, uint32_t place, uint64_t bytes)
{
    struct segment *segment = &spool->segments[spool->filling];
    struct spot *spot = spot_at(spool, place);
    *spot = (struct spot){.offset = segment->end,
                          .bytes = bytes,
                          .segment = spool->filling + 1,
                          .next = segment->head};
    if (segment->head != 0) {
        spot_at(spool, segment->head)->prev = place;
    }
    segment->head = place;
    segment->end += bytes;
    segment->kept_bytes += bytes;
    segment->kept++;
}

static void spot_unlink(struct dri_spool *spool, uint32_t place)
{
    const struct spot *spot = spot_at(spool, place);
    struct segment *segment = segment_of(spool, spot);
    if (spot->prev != 0) {
        spot_at(spool, spot->prev)->next = spot->next;
    } else {
        segment->head = spot->next;
    }
    if (spot->next != 0) {
        spot_at(spool, spot->next)->prev = spot->prev;
    }
    segment->kept_bytes -= spot->bytes;
    segment->kept--;
}

static enum dray_status segment_read(const struct dri_spool *spool, const struct segment *segment,
                                     uint64_t offset, void *bytes, size_t len)
{
    if (segment->bytes == NULL) {
        return file_read(spool->fd, bytes, len, segment->base + offset);
    }
    if (len > 0) {
        memcpy(bytes, segment->bytes + offset, len);
    }
    return DRAY_OK;
}

static uint64_t head_bytes(const struct head *head)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < PARTS; i++) {
        bytes += head->lens[i] == ABSENT ? 0 : head->lens[i];
    }
    return bytes;
}

static enum dray_status message_grow(struct dri_spool *spool, uint64_t bytes)
{
    if (bytes <= spool->message_room) {
        return DRAY_OK;
    }
    uint8_t *message = dri_zalloc(bytes);
    if (message == NULL) {
        return DRAY_ENOMEM;
    }
    dri_free(spool->message);
    spool->message = message;
    spool->message_room = bytes;
    return DRAY_OK;
}

/* Nothing of it is kept: its space is the file system's again. One that cannot take it back only
 * keeps the file larger. */
static void segment_empty(struct dri_spool *spool, struct segment *segment)
{
    if (segment->is_late) {
        segment->is_late = false;
        spool->late--;
    }
    if (spool->fd >= 0) {
        (void)fallocate(spool->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)segment->base,
                        (off_t)segment->capacity);
    }
    dri_free(segment->bytes);
    segment->bytes = NULL;
    segment->end = 0;
    segment->kept_bytes = 0;
}

/* --- segments of which little is kept --- */

static void sparse_find(struct dri_spool *spool)
{
    spool->sparse = 0;
    for (uint32_t i = 0; i < spool->count && spool->sparse == 0; i++) {
        spool->sparse = is_sparse(spool, i) ? i + 1 : 0;
    }
}

/* To the segment that is filled. Nothing is late when it cannot be done: it just stays. */
static bool move(struct dri_spool *spool, uint32_t place)
{
    uint64_t bytes = spot_at(spool, place)->bytes;
    if (message_grow(spool, bytes) != DRAY_OK || room_find(spool, bytes) != DRAY_OK) {
        return false;
    }
    const struct spot *spot = spot_at(spool, place);
    const struct iovec all = {spool->message, bytes};
    struct segment *segment = &spool->segments[spool->filling];
    if (segment_read(spool, segment_of(spool, spot), spot->offset, spool->message, bytes) !=
            DRAY_OK ||
        disk_write(spool, segment, &all, 1) != 0 ||
        (spool->fd < 0 && memory_write(segment, &all, 1) != DRAY_OK)) {
        return false;
    }
    spot_unlink(spool, place);
    spot_link(spool, place, bytes);
    return true;
}

/* A few of those that keep a segment alone. */
static void tidy(struct dri_spool *spool)
{
    for (uint32_t i = 0; i < MOVES_MAX && spool->sparse != 0 && spool->late == 0; i++) {
        uint32_t number = spool->sparse - 1;
        if (!is_sparse(spool, number)) {
            sparse_find(spool);
            continue;
        }
        if (!move(spool, spool->segments[number].head)) {
            spool->sparse = 0; /* until something else of it goes */
            return;
        }
        if (spool->segments[number].kept == 0) {
            segment_empty(spool, &spool->segments[number]);
            sparse_find(spool);
        }
    }
}

enum dray_status dri_spool_put(struct dri_spool *spool, const struct dri_spooled *message,
                               uint64_t *ret_place)
{
    const struct dray_slice *slices[PARTS] = {&message->key, &message->value, &message->headers,
                                              &message->subject};
    struct head head = {.timestamp_ms = message->timestamp_ms};
    struct iovec parts[PARTS + 1] = {{&head, sizeof(head)}};
    uint64_t bytes = sizeof(head);
    for (size_t i = 0; i < PARTS; i++) {
        size_t len = slices[i]->at == NULL ? 0 : slices[i]->len;
        DRI_ASSERT(len < ABSENT);
        head.lens[i] = slices[i]->at == NULL ? ABSENT : (uint32_t)len;
        /* pwritev reads only */
        parts[i + 1] = (struct iovec){(void *)(uintptr_t)slices[i]->at, len};
        bytes += len;
    }
    uint32_t place = 0;
    enum dray_status status = spot_take(spool, &place);
    if (status == DRAY_OK) {
        status = room_find(spool, bytes);
    }
    if (status == DRAY_OK) {
        status = parts_write(spool, parts, PARTS + 1, bytes);
    }
    if (status != DRAY_OK) {
        spot_give(spool, place);
        return status;
    }
    spot_link(spool, place, bytes);
    tidy(spool);
    *ret_place = place;
    return DRAY_OK;
}

enum dray_status dri_spool_get(struct dri_spool *spool, uint64_t place,
                               struct dri_spooled *ret_message)
{
    const struct spot *spot = spot_at(spool, place);
    const struct segment *segment = segment_of(spool, spot);
    uint64_t offset = spot->offset;
    struct head head;
    enum dray_status status = segment_read(spool, segment, offset, &head, sizeof(head));
    if (status != DRAY_OK) {
        return status;
    }
    uint64_t bytes = head_bytes(&head);
    /* One more, so that a part that is empty, not absent, has an address. */
    status = message_grow(spool, bytes + 1);
    if (status == DRAY_OK) {
        status = segment_read(spool, segment, offset + sizeof(head), spool->message, bytes);
    }
    if (status != DRAY_OK) {
        return status;
    }
    struct dray_slice *slices[PARTS] = {&ret_message->key, &ret_message->value,
                                        &ret_message->headers, &ret_message->subject};
    const uint8_t *at = spool->message;
    for (size_t i = 0; i < PARTS; i++) {
        bool is_absent = head.lens[i] == ABSENT;
        *slices[i] = is_absent ? dray_slice_of(NULL, 0) : dray_slice_of(at, head.lens[i]);
        at += is_absent ? 0 : head.lens[i];
    }
    ret_message->timestamp_ms = head.timestamp_ms;
    return DRAY_OK;
}

void dri_spool_drop(struct dri_spool *spool, uint64_t place)
{
    uint32_t number = spot_at(spool, place)->segment - 1;
    struct segment *segment = segment_of(spool, spot_at(spool, place));
    spot_unlink(spool, (uint32_t)place);
    spot_give(spool, (uint32_t)place);
    if (segment->kept == 0) {
        segment_empty(spool, segment);
    } else if (spool->sparse == 0 && is_sparse(spool, number)) {
        spool->sparse = number + 1;
    }
    tidy(spool);
}

bool dri_spool_is_late(const struct dri_spool *spool)
{
    return spool->late > 0;
}

bool dri_spool_catch_up(struct dri_spool *spool)
{
    for (uint32_t i = 0; i < spool->count && spool->late > 0; i++) {
        struct segment *segment = &spool->segments[i];
        struct iovec all = {segment->bytes, segment->end};
        if (!segment->is_late) {
            continue;
        }
        uint64_t end = segment->end;
        segment->end = 0;
        int error = disk_write(spool, segment, &all, 1);
        segment->end = end;
        if (error != 0) {
            return false;
        }
        if (spool->fd >= 0) {
            dri_free(segment->bytes);
            segment->bytes = NULL;
        }
        segment->is_late = false;
        spool->late--;
    }
    return true;
}

void dri_spool_stats(const struct dri_spool *spool, uint64_t *ret_kept, uint64_t *ret_file)
{
    struct stat file = {.st_blocks = 0};
    uint64_t memory = 0;
    *ret_kept = 0;
    for (uint32_t i = 0; i < spool->count; i++) {
        *ret_kept += spool->segments[i].kept_bytes;
        memory += spool->segments[i].bytes == NULL ? 0 : spool->segments[i].capacity;
    }
    *ret_file = memory;
    if (spool->fd >= 0 && fstat(spool->fd, &file) == 0) {
        *ret_file = (uint64_t)file.st_blocks * 512;
    }
}

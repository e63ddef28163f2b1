/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* state.c - files that outlive the process, replaced whole.
 *
 * A file is written beside its place, synced, and renamed over it; the folder is synced after. A
 * crash at any point leaves the old file or the new one. What is read back is treated as somebody
 * else's: bounded and checked.
 */
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mem.h"

#define ID_FILE    "worker-id"
#define PATH_BYTES 4096u

static enum dray_status fail(const char *what, const char *path, char *ret_text, size_t text_bytes)
{
    int error = errno;
    snprintf(ret_text, text_bytes,
             "%s %s: %s; choose another folder with `state:` or mend its rights", what, path,
             strerrordesc_np(error));
    return error == EACCES || error == EPERM || error == EROFS ? DRAY_EAUTH : DRAY_EIO;
}

enum dray_status dri_state_open(const char *folder, char *ret_text, size_t text_bytes)
{
    if (mkdir(folder, 0700) != 0 && errno != EEXIST) {
        return fail("cannot make the state folder", folder, ret_text, text_bytes);
    }
    if (access(folder, R_OK | W_OK | X_OK) != 0) {
        return fail("cannot use the state folder", folder, ret_text, text_bytes);
    }
    return DRAY_OK;
}

static enum dray_status write_all(int fd, const uint8_t *at, size_t len)
{
    while (len > 0) {
        ssize_t put = write(fd, at, len);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            return DRAY_EIO;
        }
        at += put;
        len -= (size_t)put;
    }
    return fsync(fd) == 0 ? DRAY_OK : DRAY_EIO;
}

static void sync_folder(const char *folder)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd); /* best effort: the rename is atomic without it, only not yet durable */
        (void)close(fd);
    }
}

enum dray_status dri_state_write(const char *folder, const char *name, const void *bytes,
                                 size_t len, char *ret_text, size_t text_bytes)
{
    char path[PATH_BYTES];
    char beside[PATH_BYTES];
    if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path) ||
        snprintf(beside, sizeof(beside), "%s/.%s.%ld", folder, name, (long)getpid()) >=
            (int)sizeof(beside)) {
        errno = ENAMETOOLONG;
        return fail("cannot write", name, ret_text, text_bytes);
    }
    int fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return fail("cannot write", beside, ret_text, text_bytes);
    }
    enum dray_status status = write_all(fd, bytes, len);
    if (close(fd) != 0 || status != DRAY_OK || rename(beside, path) != 0) {
        status = fail("cannot write", path, ret_text, text_bytes);
        (void)unlink(beside);
        return status;
    }
    sync_folder(folder);
    return DRAY_OK;
}

enum dray_status dri_state_read(const char *folder, const char *name, size_t bytes_max,
                                void **ret_bytes, size_t *ret_len)
{
    char path[PATH_BYTES];
    struct stat facts;
    if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path)) {
        return DRAY_EIO;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ? DRAY_ENOTFOUND : DRAY_EIO;
    }
    enum dray_status status = DRAY_EIO;
    uint8_t *bytes = NULL;
    if (fstat(fd, &facts) == 0 && S_ISREG(facts.st_mode)) {
        size_t len = (size_t)facts.st_size;
        status = len > bytes_max ? DRAY_ELIMIT : DRAY_OK;
        bytes = status == DRAY_OK ? dri_zalloc(len + 1) : NULL;
        if (status == DRAY_OK) {
            status = bytes == NULL ? DRAY_ENOMEM : DRAY_OK;
        }
        size_t got = 0;
        while (status == DRAY_OK && got < len) {
            ssize_t n = read(fd, bytes + got, len - got);
            status = n > 0 || (n < 0 && errno == EINTR) ? DRAY_OK : DRAY_EIO;
            got += n > 0 ? (size_t)n : 0;
        }
        *ret_len = status == DRAY_OK ? len : *ret_len;
    }
    (void)close(fd);
    if (status != DRAY_OK) {
        dri_free(bytes);
        return status;
    }
    *ret_bytes = bytes;
    return DRAY_OK;
}

static bool is_id(const char *text)
{
    size_t len = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
    return len > 0 && text[len] == '\0' && len < DRI_WORKER_ID_BYTES;
}

static void make_id(char ret_id[DRI_WORKER_ID_BYTES])
{
    char host[64] = "";
    uint32_t number = (uint32_t)getpid();
    if (gethostname(host, sizeof(host) - 1) != 0 || !is_id(host)) {
        snprintf(host, sizeof(host), "worker");
    }
    if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number)) {
        number ^= (uint32_t)(uintptr_t)&number; /* only has to differ from the neighbours' */
    }
    snprintf(ret_id, DRI_WORKER_ID_BYTES, "%s-%08x", host, number);
}

enum dray_status dri_state_worker_id(const char *folder, const char *wanted,
                                     char ret_id[DRI_WORKER_ID_BYTES], char *ret_text,
                                     size_t text_bytes)
{
    if (wanted != NULL && wanted[0] != '\0') {
        if (!is_id(wanted)) {
            snprintf(ret_text, text_bytes,
                     "worker.id \"%s\" may hold letters, digits, '.', '_' and '-', at most %u",
                     wanted, DRI_WORKER_ID_BYTES - 1);
            return DRAY_EINVALID;
        }
        snprintf(ret_id, DRI_WORKER_ID_BYTES, "%s", wanted);
        return DRAY_OK;
    }
    void *bytes = NULL;
    size_t len = 0;
    if (dri_state_read(folder, ID_FILE, DRI_WORKER_ID_BYTES, &bytes, &len) == DRAY_OK) {
        char *text = bytes;
        text[strcspn(text, "\n")] = '\0';
        bool is_good = is_id(text);
        if (is_good) {
            snprintf(ret_id, DRI_WORKER_ID_BYTES, "%s", text);
        }
        dri_free(bytes);
        if (is_good) {
            return DRAY_OK;
        }
    }
    make_id(ret_id);
    return dri_state_write(folder, ID_FILE, ret_id, strlen(ret_id), ret_text, text_bytes);
}

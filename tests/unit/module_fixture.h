/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef MODULE_FIXTURE_H
#define MODULE_FIXTURE_H

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "run/module.h"
#include "support/test.h"

/* module_fixture.h - a folder of modules, and the modules that are built for tests. */

#define TEXT_BYTES 256
#define PATH_BYTES 512

static const struct dray_slice any_hash = {NULL, 0};

/* A folder of its own for each case. */
struct fixture {
    char folder[64];
    struct dri_modules *modules;
    char text[TEXT_BYTES];
};

static inline void path_in(const struct fixture *fixture, const char *name, char path[PATH_BYTES])
{
    assert_true(snprintf(path, PATH_BYTES, "%s/%s", fixture->folder, name) < PATH_BYTES);
}

/* The file's bytes; *ret_len of them. */
static inline uint8_t *read_file(const char *path, size_t *ret_len)
{
    struct stat stat;
    uint8_t *bytes;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(0, fstat(fd, &stat));
    bytes = malloc((size_t)stat.st_size + 1);
    assert_non_null(bytes);
    assert_int_equal(stat.st_size, read(fd, bytes, (size_t)stat.st_size));
    (void)close(fd);
    *ret_len = (size_t)stat.st_size;
    return bytes;
}

static inline void write_file(const char *path, const void *bytes, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(len, write(fd, bytes, len));
    assert_int_equal(0, close(fd));
}

/* Puts a built module into the case's folder. */
static inline void put(const struct fixture *fixture, const char *from, const char *name)
{
    char path[PATH_BYTES];
    size_t len = 0;
    uint8_t *bytes = read_file(from, &len);

    path_in(fixture, name, path);
    write_file(path, bytes, len);
    free(bytes);
}

#define ORDERS DRAY_TEST_MODULE_DIR "/orders.so"
#define PROBE  DRAY_TEST_MODULE_DIR "/probe.so"
#define TESTED DRAY_TEST_BUILD_DIR "/tests/modules/"
#define SPY    TESTED "spy.so"

static inline enum dray_status load(struct fixture *fixture, const char *name,
                                    struct dray_slice sha256, struct dri_module **ret_module)
{
    fixture->text[0] = '\0';
    return dri_module_load(fixture->modules, dray_slice_text(name), sha256, ret_module,
                           fixture->text, sizeof(fixture->text));
}

static inline void says(const struct fixture *fixture, const char *part)
{
    if (strstr(fixture->text, part) == NULL) {
        print_error("says  \"%s\"\nwants \"%s\"\n", fixture->text, part);
        fail();
    }
}

static inline void refuses(struct fixture *fixture, const char *name, enum dray_status status,
                           const char *part)
{
    struct dri_module *module = NULL;

    test_status(status, load(fixture, name, any_hash, &module));
    assert_null(module);
    says(fixture, part);
}

static inline int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    if (fixture == NULL) {
        return -1;
    }
    (void)unsetenv("DRAY_TEST_SPY_OPEN");
    (void)snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/dray-module-XXXXXX");
    if (mkdtemp(fixture->folder) == NULL) {
        return -1;
    }
    if (dri_modules_create(fixture->folder, "worker-1", &fixture->modules) != DRAY_OK) {
        return -1;
    }
    *state = fixture;
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *fixture = *state;
    char command[128];

    dri_modules_destroy(fixture->modules);
    (void)snprintf(command, sizeof(command), "rm -rf %s", fixture->folder);
    if (system(command) != 0) { /* NOLINT(cert-env33-c,concurrency-mt-unsafe): one thread */
        return -1;
    }
    free(fixture);
    return dri_mem_live() == 0 ? 0 : -1;
}

#endif

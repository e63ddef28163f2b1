/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* registry_files.c - routes of a folder.
 *
 * The files are read in the order of their names and their routes sorted by key, so that one folder
 * makes one change, wherever and by whom it is applied. A key in two files is an error that names
 * both: which of them counts would be decided by a file's name. Links are followed, since a folder
 * that is mounted into a container consists of them; what begins with a dot is not looked at.
 */
#include "registry_files.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "assert.h"
#include "mem.h"
#include "run/binding.h"

#define TEXT_BYTES 1024u
#define PATH_BYTES 4096u
#define DEPTH_MAX  16u
#define FILES_MAX  10000u

int dri_registry_route_check(const struct dri_cli *cli, const char *file, struct dray_slice route,
                             struct dri_registry_key *ret_key)
{
    const struct dri_wire_limits limits = DRI_WIRE_LIMITS_DEFAULT;
    struct dri_route_view view;
    struct dri_wire_error error = {.field = "", .text = "is invalid", .offset = 0};
    char what[TEXT_BYTES] = "";
    if (file != NULL) {
        snprintf(what, sizeof(what), "%s: ", file);
    }
    if (dri_route_decode(route, &limits, &view, &error) != DRAY_OK ||
        dri_route_key_format(&view, ret_key->text, sizeof(ret_key->text)) != DRAY_OK) {
        const char *between = error.field[0] == '\0' ? "" : " ";
        return file == NULL ? dri_cli_usage(cli, "route: %s%s%s", error.field, between, error.text)
                            : dri_cli_fail(cli, DRI_EXIT_FAILED, "%sroute: %s%s%s", what,
                                           error.field, between, error.text);
    }
    const char *reason = dri_binding_unsupported(&view);
    if (reason != NULL) {
        return dri_cli_fail(cli, DRI_EXIT_FAILED, "%s%s: %s", what, ret_key->text, reason);
    }
    if (!view.has_version) {
        dri_cli_warn("%s%s: no version is given, it counts as 0.0.0", what, ret_key->text);
    }
    return DRI_EXIT_OK;
}

/* ---- the files ---- */

static int no_memory(const struct dri_cli *cli)
{
    return dri_cli_fail(cli, DRI_EXIT_FAILED, "out of memory");
}

static int add_file(const struct dri_cli *cli, struct dri_route_files *files, const char *path)
{
    if (files->files_count == FILES_MAX) {
        return dri_cli_fail(cli, DRI_EXIT_FAILED, "there are more than %u files", FILES_MAX);
    }
    if (files->files_count == files->files_capacity) {
        size_t capacity = files->files_capacity == 0 ? 16 : files->files_capacity * 2;
        char **more = dri_zalloc_array(capacity, sizeof(*more));
        if (more == NULL) {
            return no_memory(cli);
        }
        for (size_t i = 0; i < files->files_count; i++) {
            more[i] = files->files[i];
        }
        dri_free((void *)files->files);
        files->files = more;
        files->files_capacity = capacity;
    }
    files->files[files->files_count] = dri_strdup(path);
    if (files->files[files->files_count] == NULL) {
        return no_memory(cli);
    }
    files->files_count++;
    return DRI_EXIT_OK;
}

static int cannot_read(const struct dri_cli *cli, const char *path)
{
    const char *why = strerrordesc_np(errno);
    return dri_cli_fail(cli, DRI_EXIT_FAILED, "%s: %s", path, why == NULL ? "unknown error" : why);
}

static bool is_yaml(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot != NULL && (strcmp(dot, ".yaml") == 0 || strcmp(dot, ".yml") == 0);
}

static int find_files(const struct dri_cli *cli, struct dri_route_files *files, const char *folder,
                      unsigned depth);

static int look_at(const struct dri_cli *cli, struct dri_route_files *files, const char *path,
                   unsigned depth)
{
    struct stat info;
    if (stat(path, &info) != 0) {
        return cannot_read(cli, path);
    }
    if (S_ISDIR(info.st_mode)) {
        return depth == DEPTH_MAX
                   ? dri_cli_fail(cli, DRI_EXIT_FAILED, "%s: is nested too deep", path)
                   : find_files(cli, files, path, depth + 1);
    }
    return depth == 0 || is_yaml(path) ? add_file(cli, files, path) : DRI_EXIT_OK;
}

static int find_files(const struct dri_cli *cli, struct dri_route_files *files, const char *folder,
                      unsigned depth)
{
    char path[PATH_BYTES];
    int code = DRI_EXIT_OK;
    const struct dirent *entry = NULL;
    DIR *dir = opendir(folder);
    if (dir == NULL) {
        return cannot_read(cli, folder);
    }
    /* NOLINTNEXTLINE(concurrency-mt-unsafe): a stream of our own */
    while (code == DRI_EXIT_OK && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        int len = snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        code = len < (int)sizeof(path)
                   ? look_at(cli, files, path, depth)
                   : dri_cli_fail(cli, DRI_EXIT_FAILED, "%s: the path is too long", folder);
    }
    (void)closedir(dir);
    return code;
}

static int compare_files(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* ---- their routes ---- */

static int load_files(const struct dri_cli *cli, struct dri_route_files *files)
{
    size_t count = 0;
    char text[TEXT_BYTES] = "";
    DRI_ASSERT(files->files_count > 0);
    files->loaded = dri_zalloc_array(files->files_count, sizeof(*files->loaded));
    if (files->loaded == NULL) {
        return no_memory(cli);
    }
    for (size_t i = 0; i < files->files_count; i++) {
        if (dri_routes_load(files->files[i], &files->loaded[i], text, sizeof(text)) != DRAY_OK) {
            return dri_cli_fail(cli, DRI_EXIT_FAILED, "%s", text);
        }
        for (size_t k = 0; k < files->loaded[i].warnings_count; k++) {
            dri_cli_warn("%s", files->loaded[i].warnings[k]);
        }
        count += files->loaded[i].count;
    }
    files->routes = dri_zalloc_array(count, sizeof(*files->routes));
    return files->routes == NULL ? no_memory(cli) : DRI_EXIT_OK;
}

static int compare_routes(const void *a, const void *b)
{
    return strcmp(((const struct dri_file_route *)a)->key.text,
                  ((const struct dri_file_route *)b)->key.text);
}

static int gather(const struct dri_cli *cli, struct dri_route_files *files)
{
    int code = DRI_EXIT_OK;
    DRI_ASSERT(files->loaded != NULL && files->routes != NULL);
    for (size_t i = 0; code == DRI_EXIT_OK && i < files->files_count; i++) {
        const struct dri_routes *loaded = &files->loaded[i];
        for (size_t k = 0; code == DRI_EXIT_OK && k < loaded->count; k++) {
            struct dri_file_route *route = &files->routes[files->count];
            *route = (struct dri_file_route){.route = loaded->items[k], .file = files->files[i]};
            code = dri_registry_route_check(cli, files->files[i], route->route, &route->key);
            files->count += code == DRI_EXIT_OK;
        }
    }
    if (code == DRI_EXIT_OK) {
        qsort(files->routes, files->count, sizeof(*files->routes), compare_routes);
    }
    for (size_t i = 1; code == DRI_EXIT_OK && i < files->count; i++) {
        if (compare_routes(&files->routes[i - 1], &files->routes[i]) == 0) {
            code = dri_cli_fail(cli, DRI_EXIT_FAILED, "%s stands there twice: in %s and in %s",
                                files->routes[i].key.text, files->routes[i - 1].file,
                                files->routes[i].file);
        }
    }
    return code;
}

int dri_route_files_load(const struct dri_cli *cli, const char *path,
                         struct dri_route_files *ret_files)
{
    struct dri_route_files files = {.files = NULL};
    int code = look_at(cli, &files, path, 0);
    if (code == DRI_EXIT_OK && files.files_count == 0) {
        code =
            dri_cli_fail(cli, DRI_EXIT_FAILED, "%s: there is no *.yaml and no *.yml in it", path);
    }
    if (code == DRI_EXIT_OK) {
        DRI_ASSERT(files.files != NULL);
        qsort((void *)files.files, files.files_count, sizeof(*files.files), compare_files);
        code = load_files(cli, &files);
    }
    if (code == DRI_EXIT_OK) {
        code = gather(cli, &files);
    }
    if (code != DRI_EXIT_OK) {
        dri_route_files_fini(&files);
        return code;
    }
    *ret_files = files;
    return DRI_EXIT_OK;
}

void dri_route_files_fini(struct dri_route_files *files)
{
    for (size_t i = 0; i < files->files_count; i++) {
        if (files->loaded != NULL) {
            dri_routes_fini(&files->loaded[i]);
        }
        dri_free(files->files[i]);
    }
    dri_free(files->loaded);
    dri_free((void *)files->files);
    dri_free(files->routes);
    *files = (struct dri_route_files){.files = NULL};
}

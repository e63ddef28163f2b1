/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* replay_main - runs a fuzz target over committed inputs, in builds without libFuzzer.
 *
 * usage: <target> FILE|FOLDER...
 */

#include <dirent.h>
#include <stdbool.h>
#include <string.h>

#include "fuzz.h"

#define INPUT_BYTES_MAX (1024u * 1024u)

static unsigned g_count;

static bool file_run(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = malloc(INPUT_BYTES_MAX);
    uint8_t *exact;
    size_t len;

    if (file == NULL || bytes == NULL) {
        perror(path);
        exit(1);
    }
    len = fread(bytes, 1, INPUT_BYTES_MAX, file);
    if (ferror(file)) {
        (void)fclose(file);
        free(bytes);
        return false;
    }
    (void)fclose(file);
    /* exactly as long as the input, so that a sanitizer sees one byte too far */
    exact = malloc(len == 0 ? 1 : len);
    if (exact == NULL) {
        exit(1);
    }
    memcpy(exact, bytes, len);
    (void)LLVMFuzzerTestOneInput(exact, len);
    free(exact);
    free(bytes);
    g_count++;
    return true;
}

static void folder_run(const char *path)
{
    DIR *folder = opendir(path);
    const struct dirent *entry;

    if (folder == NULL) {
        if (!file_run(path)) {
            perror(path);
            exit(1);
        }
        return;
    }
    while ((entry = readdir(folder)) != NULL) { // NOLINT(concurrency-mt-unsafe): one thread
        char file[4096];

        if (entry->d_name[0] != '.') {
            (void)snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
            (void)file_run(file);
        }
    }
    (void)closedir(folder);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        folder_run(argv[i]);
    }
    (void)printf("%u inputs\n", g_count);
    return g_count > 0 ? 0 : 1;
}

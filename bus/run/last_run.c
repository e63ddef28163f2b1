/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "last_run.h"

#include <string.h>

#include "log.h"
#include "mem.h"
#include "state.h"

#define FILE_NAME  "last-run"
#define BYTES_MAX  64u
#define RUNNING    "running\n"
#define CLEAN      "clean\n"
#define TEXT_BYTES 512u

enum dri_last_run dri_last_run_read(const char *folder)
{
    void *bytes = NULL;
    size_t len = 0;
    enum dray_status status = dri_state_read(folder, FILE_NAME, BYTES_MAX, &bytes, &len);
    if (status != DRAY_OK) {
        return status == DRAY_ENOTFOUND ? DRI_LAST_RUN_NONE : DRI_LAST_RUN_UNCLEAN;
    }
    bool is_clean = len == strlen(CLEAN) && memcmp(bytes, CLEAN, len) == 0;
    dri_free(bytes);
    return is_clean ? DRI_LAST_RUN_CLEAN : DRI_LAST_RUN_UNCLEAN;
}

static void mark(const char *folder, const char *word)
{
    char text[TEXT_BYTES] = "";
    if (dri_state_write(folder, FILE_NAME, word, strlen(word), text, sizeof(text)) != DRAY_OK) {
        DRI_LOG(DRI_LOG_WARN, "WRK-MARK", "how this run ends will not be known to the next one",
                DRI_TEXT("reason", text));
    }
}

void dri_last_run_begin(const char *folder)
{
    mark(folder, RUNNING);
}

void dri_last_run_end(const char *folder)
{
    mark(folder, CLEAN);
}

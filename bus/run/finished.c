/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "finished.h"

void dri_finished_init(struct dri_finished *finished, uint64_t position, struct dray_slice metadata)
{
    *finished = (struct dri_finished){.position = position};
    finished->has_run = dri_progress_read(&finished->reader, metadata, position) &&
                        dri_progress_next(&finished->reader, &finished->run);
}

bool dri_finished_has(struct dri_finished *finished, uint64_t offset)
{
    while (finished->has_run && finished->run.end <= offset) {
        finished->has_run = dri_progress_next(&finished->reader, &finished->run);
    }
    return offset < finished->position || (finished->has_run && offset >= finished->run.begin);
}

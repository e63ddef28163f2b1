/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "sources.h"

#include "assert.h"

static void add_topic(struct dri_sources *sources, const char *topic, enum dri_topic_use use)
{
    DRI_ASSERT(sources->topics_count < DRI_TOPICS_MAX);
    sources->topics[sources->topics_count++] = (struct dri_topic){topic, use};
}

static void add_source(struct dri_sources *sources, struct dri_source source,
                       enum dri_topic_use use)
{
    DRI_ASSERT(sources->sources_count < DRI_SOURCES_MAX);
    sources->sources[sources->sources_count++] = source;
    add_topic(sources, source.topic, use);
}

void dri_sources_of(const struct dri_settings *settings, struct dri_sources *ret_sources)
{
    *ret_sources = (struct dri_sources){.sources_count = 0};
    add_source(ret_sources,
               (struct dri_source){.topic = settings->topics.commands,
                                   .role = DRI_ROLE_COMMANDS,
                                   .start = settings->worker.start},
               DRI_USE_COMMANDS);
    add_topic(ret_sources, settings->topics.results, DRI_USE_RESULTS);
    add_topic(ret_sources, settings->topics.dead_letters, DRI_USE_DEAD_LETTERS);
    add_source(ret_sources,
               (struct dri_source){.topic = settings->topics.replay,
                                   .role = DRI_ROLE_REPLAY,
                                   .start = DRI_START_EARLIEST},
               DRI_USE_REPLAY);
    if (dri_settings_has_park_log(settings)) {
        add_source(ret_sources,
                   (struct dri_source){.topic = settings->topics.park,
                                       .role = DRI_ROLE_PARK,
                                       .start = DRI_START_EARLIEST},
                   DRI_USE_PARK);
    }
    if (settings->worker.window_ms != 0) {
        add_source(ret_sources,
                   (struct dri_source){.topic = settings->topics.window,
                                       .role = DRI_ROLE_WINDOW,
                                       .start = DRI_START_EARLIEST},
                   DRI_USE_WINDOW);
    }
    uint32_t levels = settings->worker.delay_after_ms != 0 ? DRI_DELAY_LEVELS : 0;
    for (uint32_t i = 0; i < levels; i++) {
        add_source(ret_sources,
                   (struct dri_source){.topic = settings->topics.delay[i],
                                       .role = DRI_ROLE_DELAY,
                                       .start = DRI_START_EARLIEST,
                                       .delay_ms = dri_delay_level_ms(i)},
                   DRI_USE_DELAY);
    }
}

/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include <string.h>

#include "mem.h"
#include "nats_tools.h"

/* Messages of nats.c: where their headers lie, and how ours get into one; and the memory that goes
 * with them.
 *
 * nats.c's own header calls are not used on what was received, because they change it: 3.4.1 takes
 * the next header for the value of an empty one, every version forgets the order of names and looks
 * for the colon past the end of the block. The block as it came lies in the message between the
 * reply subject and the body (so in every version from 3.4.1 to 3.14); the bounds are taken from
 * three public pointers, and what lies there has to look like a block.
 *
 * What is sent goes out as one header whose name holds all lines but the last value.
 * natsMsgHeader_Add for each would lose their order too, and cost four allocations a header. */

/* --- arena ---------------------------------------------------------------------------------- */

#define ARENA_BLOCK_BYTES (64u * 1024u)

struct dri_nats_arena_block {
    struct dri_nats_arena_block *next;
    size_t used, capacity;
    uint8_t bytes[];
};

void *dri_nats_arena_take(struct dri_nats_arena *arena, size_t bytes)
{
    struct dri_nats_arena_block *block = arena->blocks;
    bytes = (bytes + 15) & ~(size_t)15;
    if (block == NULL || block->capacity - block->used < bytes) {
        size_t capacity = bytes > ARENA_BLOCK_BYTES ? bytes : ARENA_BLOCK_BYTES;
        block = dri_zalloc(sizeof(*block) + capacity);
        if (block == NULL) {
            return NULL;
        }
        block->capacity = capacity;
        block->next = arena->blocks;
        arena->blocks = block;
    }
    void *at = block->bytes + block->used;
    block->used += bytes;
    return at;
}

void dri_nats_arena_reset(struct dri_nats_arena *arena)
{
    struct dri_nats_arena_block *block = arena->blocks;
    while (block != NULL && block->next != NULL) {
        struct dri_nats_arena_block *next = block->next;
        dri_free(block);
        block = next;
    }
    if (block != NULL && block->capacity > ARENA_BLOCK_BYTES) {
        dri_free(block);
        block = NULL;
    }
    if (block != NULL) {
        block->used = 0;
    }
    arena->blocks = block;
}

void dri_nats_arena_fini(struct dri_nats_arena *arena)
{
    while (arena->blocks != NULL) {
        struct dri_nats_arena_block *next = arena->blocks->next;
        dri_free(arena->blocks);
        arena->blocks = next;
    }
}

/* --- what was received ---------------------------------------------------------------------- */

/** The header block as it came, version line included; absent: none. */
static struct dray_slice block_of(natsMsg *message)
{
    const struct dray_slice absent = {NULL, 0};
    const char *last = natsMsg_GetReply(message);
    const char *body = natsMsg_GetData(message);
    if (last == NULL) {
        last = natsMsg_GetSubject(message);
    }
    if (last == NULL || body == NULL) {
        return absent;
    }
    const char *start = last + strlen(last) + 1;
    uintptr_t from = (uintptr_t)start, to = (uintptr_t)body;
    if (to <= from || to - from > INT32_MAX) {
        return absent;
    }
    return dri_nats_header_sound(dray_slice_of(start, to - from - 1));
}

struct dri_nats_status_line dri_nats_header_status(natsMsg *message)
{
    struct dri_nats_status_line line = {0, ""};
    struct dray_slice block = block_of(message);
    size_t at = sizeof(DRI_NATS_VERSION_LINE) - 1;
    if (block.at == NULL || block.len < at + 4 || block.at[at] != ' ') {
        return line;
    }
    at++;
    for (int i = 0; i < 3; i++, at++) {
        if (at >= block.len || block.at[at] < '0' || block.at[at] > '9') {
            line.code = 0;
            return line;
        }
        line.code = line.code * 10 + (uint32_t)(block.at[at] - '0');
    }
    while (at < block.len && block.at[at] == ' ') {
        at++;
    }
    size_t len = 0;
    while (at < block.len && block.at[at] != '\r' && len + 1 < sizeof(line.text)) {
        line.text[len++] = (char)block.at[at++];
    }
    line.text[len] = '\0';
    return line;
}

enum dray_status dri_nats_header_decode(natsMsg *message, bool is_ours,
                                        struct dri_nats_arena *arena, struct dray_slice *ret_key,
                                        struct dray_slice *ret_headers)
{
    return dri_nats_header_decode_block(block_of(message), is_ours, arena, ret_key, ret_headers);
}

/* --- what is sent --------------------------------------------------------------------------- */

enum dray_status dri_nats_header_attach(natsMsg *message, struct dray_slice block)
{
    /* "A: 1\r\nB: 2\r\n": the name is "A: 1\r\nB", the value "2"; nats.c adds ": " and the line
     * end. */
    char *text = (char *)(uintptr_t)block.at; /* of our arena: ours to cut */
    size_t last = block.len - 2;
    text[last] = '\0';
    while (last > 0 && text[last - 1] != '\n') {
        last--;
    }
    char *colon = strchr(text + last, ':');
    *colon = '\0';
    natsStatus status = natsMsgHeader_Set(message, text, colon + 2);
    *colon = ':';
    text[block.len - 2] = '\r';
    return status == NATS_OK ? DRAY_OK : DRAY_ENOMEM;
}

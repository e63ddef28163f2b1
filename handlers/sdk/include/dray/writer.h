/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRAY_WRITER_H
#define DRAY_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include <dray/api.h>
#include <dray/handler.h>
#include <dray/slice.h>
#include <dray/status.h>

/* writer.h - writes a handler's result: one msgpack value, into memory that is there already.
 *
 * Nothing is answered by the calls, because the first failure sticks: what comes after it is not
 * written, and dray_writer_status says what it was. A container only announces how many values
 * follow; writing that many is the handler's part (a map of 2 is followed by 4 values).
 *
 *     dray_write_map(&call->result, 2);
 *     dray_write_text(&call->result, "order");
 *     dray_write_slice(&call->result, order.id);
 *     dray_write_text(&call->result, "total_cents");
 *     dray_write_uint(&call->result, total);
 *
 * Every number takes the fewest bytes that hold it; a double always takes nine.
 * Threads: one at a time for each writer.
 */

DRAY_BEGIN

/** Write into bytes[0..len). Workers and tests do this; a handler gets a writer that is ready. */
void dray_writer_init(struct dray_writer *writer, void *bytes, size_t len);

/** OK; ELIMIT: it did not fit; EINVALID: a text was not UTF-8. */
enum dray_status dray_writer_status(const struct dray_writer *writer);

/** What was written so far. Borrows until the writer's memory ends. */
struct dray_slice dray_writer_bytes(const struct dray_writer *writer);

void dray_write_nil(struct dray_writer *writer);
void dray_write_bool(struct dray_writer *writer, bool value);
void dray_write_uint(struct dray_writer *writer, uint64_t value);
void dray_write_int(struct dray_writer *writer, int64_t value);
void dray_write_double(struct dray_writer *writer, double value);

/** Text that ends in a NUL; NULL writes nil. */
void dray_write_text(struct dray_writer *writer, const char *text);
/** Text of a length; absent writes nil. */
void dray_write_slice(struct dray_writer *writer, struct dray_slice text);
/** Bytes that are no text; absent writes nil. */
void dray_write_bin(struct dray_writer *writer, struct dray_slice bytes);

void dray_write_array(struct dray_writer *writer, uint32_t count);
void dray_write_map(struct dray_writer *writer, uint32_t pairs);

/** A value that is msgpack already, as the reader's dray_read_value gives it; absent writes nil.
 *  Requires: exactly one well-formed value (not checked). */
void dray_write_raw(struct dray_writer *writer, struct dray_slice value);

DRAY_END

#endif

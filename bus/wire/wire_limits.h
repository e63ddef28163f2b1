/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#ifndef DRI_WIRE_LIMITS_H
#define DRI_WIRE_LIMITS_H

#include <stdint.h>

/* wire_limits.h - what a decoder accepts; every bound that hostile bytes can meet stands here.
 *
 * Not named limits.h: gcc's own <limits.h> goes on to the next one by #include_next, and would find
 * it on our -iquote path instead of the C library's.
 */

struct dri_wire_limits {
    uint32_t message_bytes; /* whole message */
    uint32_t depth;         /* nesting, the outer map is 1 */
    uint32_t elements;      /* keys and values outside the payload */
};

/* As an initializer, also of statics, and as a value. */
#define DRI_WIRE_LIMITS_INIT                                                                       \
    {                                                                                              \
        .message_bytes = 1024u * 1024u, .depth = 16, .elements = 4096                              \
    }
#define DRI_WIRE_LIMITS_DEFAULT ((struct dri_wire_limits)DRI_WIRE_LIMITS_INIT)

#define DRI_ID_BYTES_MAX      64u
#define DRI_COMMAND_BYTES_MAX 256u
#define DRI_ERROR_TEXT_MAX    1024u /* message of a result's error */

/** What is wrong with bytes and where. field and text are static strings. */
struct dri_wire_error {
    const char *field; /* "id", "payload", "" for the message itself */
    const char *text;  /* "is not a string", "ends inside a value", ... */
    uint32_t offset;   /* of the offending byte in the message */
};

#endif

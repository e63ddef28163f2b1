/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */

/* bad.c - modules that a worker has to refuse, one by macro. */

#include <dray/handler.h>

#define VERSION   "1.0.0"
#define SIGNATURE ""
#define COMMAND   "bad.run"
#define NAME      "bad"
#define FN        run
#define COUNT     1
#define HANDLERS  handlers
#define ABI       DRAY_ABI_VERSION
#define BYTES     sizeof(struct dray_module)
#define STRIDE    sizeof(struct dray_handler)

#if defined(BAD_ABI)
#undef ABI
#define ABI 99u
/* Behind a foreign ABI nothing may be read. */
#undef HANDLERS
#define HANDLERS ((const struct dray_handler *)8)
#elif defined(BAD_SIZE)
#undef BYTES
#define BYTES 8
#elif defined(BAD_STRIDE)
#undef STRIDE
#define STRIDE 0
#elif defined(BAD_VERSION)
#undef VERSION
#define VERSION "one"
#elif defined(BAD_SIGNATURE)
#undef SIGNATURE
#define SIGNATURE "ABCDEF"
#elif defined(BAD_COMMAND)
#undef COMMAND
#define COMMAND "bad/run"
#elif defined(BAD_NAME)
#undef NAME
#define NAME ""
#elif defined(BAD_FUNCTION)
#undef FN
#define FN NULL
#elif defined(BAD_COUNT)
#undef COUNT
#define COUNT 0
#elif defined(BAD_TWICE)
#undef COUNT
#define COUNT 2
#endif

#ifdef BAD_UNDEFINED
enum dray_error_kind a_function_that_is_nowhere(struct dray_call *call);
#endif

#ifndef BAD_FUNCTION
static enum dray_error_kind run(struct dray_call *call)
{
#ifdef BAD_UNDEFINED
    return a_function_that_is_nowhere(call);
#else
    (void)call;
    return DRAY_KIND_NONE;
#endif
}
#endif

#ifndef BAD_SYMBOL

#ifndef BAD_ABI
static const struct dray_handler handlers[] = {
    {.command = COMMAND, .version = VERSION, .signature = SIGNATURE, .name = NAME, .fn = FN},
    {.command = COMMAND, .version = VERSION, .signature = SIGNATURE, .name = NAME, .fn = FN},
};
#else
dray_handler_fn *bad_uses_run(void);
dray_handler_fn *bad_uses_run(void)
{
    return run;
}
#endif

DRAY_MODULE = {
    .abi = ABI,
    .bytes = (uint32_t)BYTES,
    .handler_bytes = STRIDE,
    .name = "bad",
    .handlers = HANDLERS,
    .handlers_count = COUNT,
};

#else

dray_handler_fn *dray_modul(void);
dray_handler_fn *dray_modul(void)
{
    return run;
}

#endif

/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* module.c - what runs is what was hashed.
 *
 * The file is copied into a memfd, the memfd is sealed, and only then its bytes are hashed, checked
 * and loaded. So a file that is swapped or overwritten at any moment is either seen whole in its
 * old form, whole in its new form, or refused by its hash; and an image that runs cannot be pulled
 * away (writing to a mapped file ends a process with SIGBUS). Rejected: loading the file itself
 * (the loader opens it a second time), and hashing while copying (the copy could still be changed
 * through /proc).
 *
 * Bytes that were not loaded before are tried in a child first (module_probe.c).
 *
 * The last release runs the module's close. Then the image is unmapped if its descriptor says that
 * it may be, the trial found nothing against it, and the loader really lets go of it; a thread or a
 * destructor of thread data may be in any other, so it is retired: left behind, and counted. The
 * same bytes asked for again take a retired image up again. The memfds stay open as long as their
 * images: the loader knows an image by its path, and "/proc/self/fd/7" of a second memfd would
 * silently give the first image.
 *
 * Loads and closes are one at a time: whoever is busy has the flag, not the lock, because the disk,
 * the loader and the module's own code are not called under a lock.
 */
#include "module.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "assert.h"
#include "control.h"
#include "elf.h"
#include "interceptor.h"
#include "lock.h"
#include "log.h"
#include "mem.h"
#include "module_probe.h"
#include "sha256.h"

#define FILE_BYTES_MAX (256u * 1024u * 1024u)
#define HANDLERS_MAX   1024u
#define HANDLER_MAX    4096u /* of one entry, whatever later SDKs add to it */
#define DESCRIPTOR_MAX 4096u
#define DESCRIPTOR_MIN offsetof(struct dray_module, interceptors) /* of the first SDK */
#define REASON_BYTES   224u
#define SHA_BYTES      65u
#define PATH_BYTES     64u
#define COPY_PATH      "/proc/self/fd/%d"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U /* Linux 6.3; Debian 12 headers do not have it */
#endif

struct dri_module {
    struct dri_modules *modules;          /* immutable */
    struct dri_module *next;              /* immutable once listed */
    const struct dray_module *descriptor; /* NULL: refused, for ever, because of reason */
    struct dray_module_env env;           /* immutable; the module may keep it until close */
    void *user;                           /* set while is_open */
    void *handle;                         /* the loader's */
    unsigned holders;                     /* guarded by lock */
    bool is_open;                         /* who is busy */
    bool is_unloadable;                   /* immutable once listed */
    int fd;                               /* sealed copy, open as long as the image */
    char name[DRI_NAME_BYTES_MAX + 1];
    char sha256[SHA_BYTES];
    char build_id[DRI_BUILD_ID_BYTES];
    char reason[REASON_BYTES];
};

struct dri_modules {
    struct dri_lock lock;
    struct dri_cond idle;
    bool is_busy;              /* guarded by lock */
    struct dri_module *images; /* owned; the list is of who is busy, holders is guarded */
    char *folder;              /* owned, immutable */
    char *worker;              /* owned, immutable */
    struct dri_prober *prober; /* owned, who is busy; NULL: nothing is tried first */
    _Atomic(uint32_t) mapped;
    _Atomic(uint32_t) in_use; /* of those */
    _Atomic(uint64_t) unloaded;
};

/* What a load says for itself. */
struct answer {
    const char *name;
    char *text;
    size_t bytes;
};

static enum dray_status say(const struct answer *answer, enum dray_status status,
                            const char *format, ...) DRAY_FORMAT(3, 4);

static enum dray_status say(const struct answer *answer, enum dray_status status,
                            const char *format, ...)
{
    char sentence[REASON_BYTES];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(sentence, sizeof(sentence), format, arguments);
    va_end(arguments);
    (void)snprintf(answer->text, answer->bytes, "module %s: %s", answer->name, sentence);
    return status;
}

/* strerror is not for threads; %m would need errno to survive the way. */
static const char *error_text(int error)
{
    const char *text = strerrordesc_np(error);

    return text == NULL ? "unknown error" : text;
}

/* --- one at a time
 * ---------------------------------------------------------------------------------- */

/* Requires: lock is held. */
static void become_busy(struct dri_modules *modules)
{
    while (modules->is_busy) {
        dri_cond_wait_until(&modules->idle, &modules->lock, UINT64_MAX);
    }
    modules->is_busy = true;
}

/* Requires: lock is held. */
static void become_idle(struct dri_modules *modules)
{
    modules->is_busy = false;
    dri_cond_signal(&modules->idle);
}

/* --- life
 * ------------------------------------------------------------------------------------------- */

enum dray_status dri_modules_create(const char *folder, const char *worker,
                                    struct dri_modules **ret_modules)
{
    struct dri_modules *modules = dri_zalloc(sizeof(*modules));

    if (modules == NULL) {
        return DRAY_ENOMEM;
    }
    modules->folder = dri_strdup(folder);
    modules->worker = dri_strdup(worker);
    if (modules->folder == NULL || modules->worker == NULL) {
        dri_free(modules->folder);
        dri_free(modules->worker);
        dri_free(modules);
        return DRAY_ENOMEM;
    }
    dri_lock_init(&modules->lock, DRI_LOCK_MODULES);
    dri_cond_init(&modules->idle);
    *ret_modules = modules;
    return DRAY_OK;
}

void dri_modules_destroy(struct dri_modules *modules)
{
    if (modules == NULL) {
        return;
    }
    while (modules->images != NULL) {
        struct dri_module *image = modules->images;

        DRI_ASSERT(image->holders == 0 && !image->is_open);
        modules->images = image->next;
        dri_free(image); /* the image stays mapped, and its memfd open */
    }
    dri_cond_fini(&modules->idle);
    dri_lock_fini(&modules->lock);
    dri_prober_destroy(modules->prober);
    dri_free(modules->folder);
    dri_free(modules->worker);
    dri_free(modules);
}

enum dray_status dri_modules_try_first(struct dri_modules *modules, const char *program,
                                       uint32_t timeout_ms)
{
    DRI_ASSERT(modules->prober == NULL);
    return dri_prober_create(program, modules->worker, timeout_ms, &modules->prober);
}

void dri_modules_stats(const struct dri_modules *modules, struct dri_modules_stats *ret_stats)
{
    uint32_t in_use = atomic_load(&modules->in_use);
    uint32_t mapped = atomic_load(&modules->mapped);

    *ret_stats = (struct dri_modules_stats){
        .in_use = in_use,
        .retired = mapped > in_use ? mapped - in_use : 0,
        .unloaded = atomic_load(&modules->unloaded),
        .trials_failed = modules->prober != NULL ? dri_prober_failed(modules->prober) : 0,
    };
}

/* --- from the folder into a sealed copy
 * ------------------------------------------------------------- */

/* No link is followed: neither the file may be one, nor anything on the way (there is no way: the
 * name has no slash). Kernels before 5.6, and filters that do not know the call, get the older
 * form. */
static int open_beneath(int folder, const char *name)
{
    static const int flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    struct open_how how = {
        .flags = (uint64_t)flags,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
    };
    long fd = syscall(SYS_openat2, folder, name, &how, sizeof(how));

    if (fd < 0 && (errno == ENOSYS || errno == EPERM)) {
        return openat(folder, name, flags | O_NOFOLLOW);
    }
    return (int)fd;
}

static enum dray_status open_file(const struct dri_modules *modules, const struct answer *answer,
                                  int *ret_fd)
{
    int folder = open(modules->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct stat stat;
    int error;
    int fd;

    if (folder < 0) {
        error = errno;
        return say(answer, error == ENOENT ? DRAY_ENOTFOUND : DRAY_EIO,
                   "the module folder %.100s: %s; set `modules`", modules->folder,
                   error_text(error));
    }
    fd = open_beneath(folder, answer->name);
    error = errno;
    (void)close(folder);
    if (fd < 0 && (error == ELOOP || error == EXDEV)) {
        return say(answer, DRAY_EAUTH, "is a link; put the file itself into the module folder");
    }
    if (fd < 0 && error == ENOENT) {
        return say(answer, DRAY_ENOTFOUND, "is not in the module folder %.100s", modules->folder);
    }
    if (fd < 0) {
        return say(answer, error == EACCES ? DRAY_EAUTH : DRAY_EIO, "cannot be opened: %s",
                   error_text(error));
    }
    if (fstat(fd, &stat) != 0 || !S_ISREG(stat.st_mode)) {
        (void)close(fd);
        return say(answer, DRAY_EINVALID, "is not a regular file");
    }
    *ret_fd = fd;
    return DRAY_OK;
}

static bool write_all(int fd, const char *at, size_t len)
{
    while (len > 0) {
        ssize_t done = write(fd, at, len);

        if (done < 0 && errno != EINTR) {
            return false;
        }
        at += done < 0 ? 0 : done;
        len -= done < 0 ? 0 : (size_t)done;
    }
    return true;
}

static enum dray_status copy_file(const struct answer *answer, int from, int to, size_t *ret_len)
{
    size_t total = 0;

    for (;;) {
        char block[16384];
        ssize_t got = read(from, block, sizeof(block));

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0 || (got > 0 && !write_all(to, block, (size_t)got))) {
            return say(answer, errno == ENOSPC || errno == ENOMEM ? DRAY_ENOMEM : DRAY_EIO,
                       "cannot be copied into memory: %s", error_text(errno));
        }
        if (got == 0) {
            *ret_len = total;
            return DRAY_OK;
        }
        total += (size_t)got;
        if (total > FILE_BYTES_MAX) {
            return say(answer, DRAY_EINVALID, "is over 256 MiB");
        }
    }
}

static int create_memfd(const char *name)
{
    /* NOLINTNEXTLINE(android-cloexec-memfd-create): it is there */
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);

    if (fd < 0 && errno == EINVAL) { /* a kernel before 6.3 */
        fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    }
    return fd;
}

/* The file as a sealed memfd, of which nobody can change a byte any more. */
static enum dray_status seal_copy(const struct dri_modules *modules, const struct answer *answer,
                                  int *ret_fd, size_t *ret_len)
{
    static const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
    enum dray_status status;
    int file = -1;
    int fd;

    status = open_file(modules, answer, &file);
    if (status != DRAY_OK) {
        return status;
    }
    fd = create_memfd(answer->name);
    if (fd < 0) {
        status = say(answer, DRAY_EIO,
                     "no memory file can be made: %s; a system call filter must allow memfd_create",
                     error_text(errno));
    } else {
        status = copy_file(answer, file, fd, ret_len);
    }
    if (status == DRAY_OK && fcntl(fd, F_ADD_SEALS, seals) != 0) {
        status = say(answer, DRAY_EIO, "its copy cannot be sealed: %s", error_text(errno));
    }
    (void)close(file);
    if (status != DRAY_OK && fd >= 0) {
        (void)close(fd);
    }
    if (status == DRAY_OK) {
        *ret_fd = fd;
    }
    return status;
}

/* Hash, hash as asked for, shape, build id. */
static enum dray_status inspect(const struct answer *answer, int fd, size_t len,
                                struct dray_slice wanted, struct dri_module *image)
{
    const char *wrong = NULL;
    enum dray_status status = DRAY_OK;
    void *bytes;

    if (len == 0) {
        return say(answer, DRAY_EINVALID, "is empty");
    }
    /* Private: kernels before 6.7 refuse a shared mapping of what is sealed against writing. */
    bytes = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED) {
        return say(answer, DRAY_ENOMEM, "cannot be mapped: %s", error_text(errno));
    }
    dri_sha256_hex(dray_slice_of(bytes, len), image->sha256);
    if (!dray_slice_is_absent(wanted) && wanted.len > 0 &&
        !dray_slice_equal_text(wanted, image->sha256)) {
        status = say(answer, DRAY_EAUTH,
                     "has sha256 %s, not the one that the route names: install the right file, or "
                     "put the route with this hash",
                     image->sha256);
    } else if (dri_elf_check(dray_slice_of(bytes, len), image->build_id, &wrong) != DRAY_OK) {
        status = say(answer, DRAY_EINVALID, "%s", wrong);
    }
    (void)munmap(bytes, len);
    return status;
}

/* --- the descriptor
 * --------------------------------------------------------------------------------- */

static bool is_text(const char *text, size_t max)
{
    return text != NULL && text[0] != '\0' && strnlen(text, max + 1) <= max;
}

static bool is_signature(const char *text)
{
    return text != NULL &&
           (text[0] == '\0' || (strnlen(text, 65) == 64 && strspn(text, "0123456789abcdef") == 64));
}

static const struct dray_handler *handler_at(const struct dray_module *descriptor, size_t i)
{
    const void *at = (const char *)descriptor->handlers + i * descriptor->handler_bytes;

    return at;
}

static const char *check_handler(const struct dray_module *descriptor, size_t number)
{
    const struct dray_handler *handler = handler_at(descriptor, number);

    if (!is_text(handler->command, DRI_NAME_BYTES_MAX) ||
        !dri_route_name_is_valid(dray_slice_text(handler->command))) {
        return "a handler's command is missing or not a name of 1 to 64 bytes";
    }
    if (!is_text(handler->version, DRI_NAME_BYTES_MAX) ||
        !dri_version_is_semver(dray_slice_text(handler->version))) {
        return "a handler's version is not of the form 1.2.3";
    }
    if (!is_signature(handler->signature)) {
        return "a handler's signature is neither \"\" nor 64 hex digits";
    }
    if (!is_text(handler->name, DRI_HANDLER_BYTES_MAX)) {
        return "a handler's name is missing or longer than 128 bytes";
    }
    if (handler->fn == NULL) {
        return "a handler has no function";
    }
    if ((unsigned)handler->run > DRAY_RUN_POOL) {
        return "a handler's run is none of lane, inline and pool";
    }
    for (size_t i = 0; i < number; i++) {
        const struct dray_handler *other = handler_at(descriptor, i);

        if (strcmp(other->name, handler->name) == 0) {
            return "two handlers have one name";
        }
        if (strcmp(other->command, handler->command) == 0 &&
            strcmp(other->version, handler->version) == 0) {
            return "two handlers have one command and version";
        }
    }
    return NULL;
}

/* Checks everything behind `abi`, which is checked already. What is wrong, or NULL. */
static const char *check_descriptor(const struct dray_module *descriptor)
{
    if (descriptor->bytes < DESCRIPTOR_MIN || descriptor->bytes > DESCRIPTOR_MAX ||
        descriptor->handler_bytes < sizeof(struct dray_handler) ||
        descriptor->handler_bytes > HANDLER_MAX ||
        descriptor->handler_bytes % _Alignof(struct dray_handler) != 0) {
        return "its descriptor has impossible sizes: begin it with DRAY_MODULE_HEAD";
    }
    if (!is_text(descriptor->name, DRI_HANDLER_BYTES_MAX)) {
        return "its descriptor has no name";
    }
    size_t interceptors = dri_interceptors_count(descriptor);
    if (descriptor->handlers_count > HANDLERS_MAX ||
        (descriptor->handlers == NULL && descriptor->handlers_count != 0) ||
        (descriptor->handlers_count == 0 && interceptors == 0)) {
        return "its descriptor has no handlers, or more than 1024";
    }
    for (size_t i = 0; i < descriptor->handlers_count; i++) {
        const char *wrong = check_handler(descriptor, i);

        if (wrong != NULL) {
            return wrong;
        }
    }
    return dri_interceptors_check(descriptor);
}

/* --- the loader
 * ------------------------------------------------------------------------------------- */

/* What to do about the loader's word, where that is known. */
static const char *advice(const char *word)
{
    if (strstr(word, "static TLS") != NULL) {
        return "; compile it with -ftls-model=global-dynamic";
    }
    if (strstr(word, "undefined symbol") != NULL) {
        return "; link the library that has it (libdray.a for dray_...)";
    }
    if (strstr(word, "cannot open shared object") != NULL) {
        return "; install the library that it needs";
    }
    if (strstr(word, "version `") != NULL) {
        return "; build it on a system as old as this one";
    }
    return "";
}

/* An SDK before flags made descriptors without. */
static bool may_be_unloaded(const struct dray_module *descriptor)
{
    return descriptor->bytes >= offsetof(struct dray_module, flags) + sizeof(descriptor->flags) &&
           (descriptor->flags & DRAY_MODULE_UNLOADABLE) != 0;
}

/* Maps the copy. From here on the image and its fd stay, until the loader lets go of it. */
static enum dray_status map_image(const struct answer *answer, struct dri_module *image)
{
    char path[PATH_BYTES];
    const uint32_t *abi;
    const void *symbol;
    void *handle;

    (void)snprintf(path, sizeof(path), COPY_PATH, image->fd);
    handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        /* NOLINTNEXTLINE(concurrency-mt-unsafe): glibc keeps it by thread */
        const char *word = dlerror();

        word = word == NULL ? "unknown error" : word;
        if (strncmp(word, path, strlen(path)) ==
            0) { /* the path of the copy tells nobody anything */
            word += strlen(path);
            word += strspn(word, ": ");
        }
        return say(answer, DRAY_EINVALID, "the loader refuses it: %.120s%s", word, advice(word));
    }
    image->handle = handle;
    symbol = dlsym(handle, "dray_module");
    abi = symbol;
    if (symbol == NULL) {
        (void)snprintf(image->reason, sizeof(image->reason),
                       "does not export dray_module: define it with DRAY_MODULE");
    } else if (*abi != DRAY_ABI_VERSION) {
        (void)snprintf(image->reason, sizeof(image->reason),
                       "was built for ABI %u of dray, this worker has %u: build it again with the "
                       "SDK of this version",
                       *abi, DRAY_ABI_VERSION);
    } else {
        const char *wrong = check_descriptor(symbol);

        if (wrong == NULL) {
            image->descriptor = symbol;
            image->is_unloadable = may_be_unloaded(symbol);
        } else {
            (void)snprintf(image->reason, sizeof(image->reason), "%s", wrong);
        }
    }
    return DRAY_OK;
}

/* Whose open or close runs on this thread: the module's log function is told no more than the text.
 */
static _Thread_local const char *speaker;

static void log_for_module(int level, const char *text)
{
    static const enum dri_log_level levels[] = {DRI_LOG_DEBUG, DRI_LOG_INFO, DRI_LOG_WARN,
                                                DRI_LOG_ERROR};

    DRI_LOG(levels[level < 0   ? 0
                   : level > 3 ? 3
                               : level],
            "MOD-SAYS", text, DRI_TEXT("module", speaker));
}

static enum dray_status open_module(const struct answer *answer, struct dri_module *image)
{
    void *user = NULL;
    enum dray_status status = DRAY_OK;

    if (image->descriptor == NULL) {
        return say(answer, DRAY_EINVALID, "%s", image->reason);
    }
    if (image->is_open) {
        return DRAY_OK;
    }
    if (image->descriptor->open != NULL) {
        speaker = image->name;
        status = image->descriptor->open(&image->env, &user);
        speaker = NULL;
    }
    if (status != DRAY_OK) {
        bool is_transient = dray_status_class(status) == DRAY_CLASS_TRANSIENT;

        return say(answer,
                   status == DRAY_ENOMEM ? DRAY_ENOMEM
                   : is_transient        ? DRAY_EIO
                                         : DRAY_EINVALID,
                   "its open failed: %s; the log may say why", dray_status_text(status));
    }
    image->user = user;
    image->is_open = true;
    return DRAY_OK;
}

static void close_module(struct dri_module *image)
{
    if (image->descriptor->close != NULL) {
        speaker = image->name;
        image->descriptor->close(image->user);
        speaker = NULL;
    }
    image->user = NULL;
    image->is_open = false;
}

/* Whether it is out of memory now. Many an image stays after dlclose: with a symbol that is unique
 * in the process, a mark that says so, a destructor of thread data; only the loader knows. */
static bool unmap_image(struct dri_module *image)
{
    char path[PATH_BYTES];
    void *still;

    (void)snprintf(path, sizeof(path), COPY_PATH, image->fd);
    (void)dlclose(image->handle);
    still = dlopen(path, RTLD_LAZY | RTLD_NOLOAD);
    image->handle = still; /* the count that dlclose took is here again */
    return still == NULL;
}

static void init_image(struct dri_module *image, const char *name, const char *worker)
{
    (void)snprintf(image->name, sizeof(image->name), "%s", name);
    image->env.bytes = sizeof(image->env);
    image->env.worker = worker;
    image->env.module = image->name;
    image->env.log = log_for_module;
}

enum dray_status dri_module_try(const struct dri_module_trial *trial, char *ret_text,
                                size_t text_bytes, bool *ret_unloadable)
{
    struct dri_module image = {.fd = trial->fd};
    struct answer answer = {image.name, ret_text, text_bytes};
    enum dray_status status;

    init_image(&image, trial->name, trial->worker);
    image.env.is_trial = true;
    (void)trial->on_step(trial->arg, DRI_MODULE_LOADS);
    status = map_image(&answer, &image);
    if (status == DRAY_OK) {
        (void)trial->on_step(trial->arg, DRI_MODULE_OPENS);
        status = open_module(&answer, &image);
    }
    if (status != DRAY_OK) {
        return status;
    }
    (void)trial->on_step(trial->arg, DRI_MODULE_CLOSES);
    close_module(&image);
    *ret_unloadable = image.is_unloadable && trial->on_step(trial->arg, DRI_MODULE_UNLOADS) &&
                      unmap_image(&image);
    return DRAY_OK;
}

/* --- load, share, release
 * --------------------------------------------------------------------------- */

static struct dri_module *find_image(const struct dri_modules *modules, const char *sha256)
{
    struct dri_module *image = modules->images;

    while (image != NULL && strcmp(image->sha256, sha256) != 0) {
        image = image->next;
    }
    return image;
}

/* Tries it in a child, and then takes it into this process. */
static enum dray_status try_and_map(struct dri_modules *modules, const struct answer *answer,
                                    struct dri_module *image)
{
    bool is_unloadable = true;
    enum dray_status status = DRAY_OK;

    image->modules = modules;
    init_image(image, answer->name, modules->worker);
    if (modules->prober != NULL) {
        char text[REASON_BYTES] = "";
        const struct dri_prober_copy copy = {image->fd, image->sha256, image->name};

        status = dri_prober_try(modules->prober, &copy, &is_unloadable, text, sizeof(text));
        if (status != DRAY_OK) {
            (void)snprintf(answer->text, answer->bytes, "%s", text);
            return status;
        }
    }
    status = map_image(answer, image);
    image->is_unloadable = image->is_unloadable && is_unloadable;
    return status;
}

/* A new image out of the file, or the one that has the same bytes. Threads: who is busy. */
static enum dray_status get_image(struct dri_modules *modules, const struct answer *answer,
                                  struct dray_slice sha256, struct dri_module **ret_image)
{
    struct dri_module *image = dri_zalloc(sizeof(*image));
    struct dri_module *same;
    enum dray_status status;
    size_t len = 0;

    if (image == NULL) {
        return say(answer, DRAY_ENOMEM, "out of memory");
    }
    status = seal_copy(modules, answer, &image->fd, &len);
    if (status != DRAY_OK) {
        dri_free(image);
        return status;
    }
    status = inspect(answer, image->fd, len, sha256, image);
    same = status == DRAY_OK ? find_image(modules, image->sha256) : NULL;
    if (status == DRAY_OK && same == NULL) {
        status = try_and_map(modules, answer, image);
    }
    if (status != DRAY_OK || same != NULL) {
        (void)close(image->fd);
        dri_free(image);
        image = same;
    } else {
        image->next = modules->images;
        modules->images = image;
        atomic_fetch_add(&modules->mapped, 1);
    }
    if (status == DRAY_OK) {
        *ret_image = image;
    }
    return status;
}

/* Nobody holds it: out of memory with it, if that can be. Threads: who is busy. */
static void let_go(struct dri_modules *modules, struct dri_module *image)
{
    struct dri_module **at = &modules->images;

    if (!image->is_unloadable) {
        return;
    }
    if (!unmap_image(image)) {
        image->is_unloadable = false;
        DRI_LOG(DRI_LOG_WARN, "MOD-STAYS",
                "a module that says it can be unloaded stays in memory; it is retired",
                DRI_TEXT("module", image->name), DRI_TEXT("sha256", image->sha256));
        return;
    }
    while (*at != image) {
        at = &(*at)->next;
    }
    *at = image->next;
    (void)close(image->fd);
    dri_free(image);
    atomic_fetch_sub(&modules->mapped, 1);
    atomic_fetch_add(&modules->unloaded, 1);
}

enum dray_status dri_module_load(struct dri_modules *modules, struct dray_slice name,
                                 struct dray_slice sha256, struct dri_module **ret_module,
                                 char *ret_text, size_t text_bytes)
{
    char file_name[DRI_NAME_BYTES_MAX + 1];
    struct answer answer = {file_name, ret_text, text_bytes};
    struct dri_module *image = NULL;
    enum dray_status status;

    if (!dri_module_name_is_valid(name)) {
        (void)snprintf(ret_text, text_bytes,
                       "a module is named by its file name only: [a-z0-9][a-z0-9._-]{0,63}");
        return DRAY_EINVALID;
    }
    memcpy(file_name, name.at, name.len);
    file_name[name.len] = '\0';

    dri_lock_take(&modules->lock);
    become_busy(modules);
    dri_lock_drop(&modules->lock);
    status = get_image(modules, &answer, sha256, &image);
    if (status == DRAY_OK) {
        DRI_ASSERT(image != NULL);
        status = open_module(&answer, image);
        if (status != DRAY_OK && !image->is_open) {
            let_go(modules, image);
        }
    }
    dri_lock_take(&modules->lock);
    if (status == DRAY_OK) {
        atomic_fetch_add(&modules->in_use, image->holders == 0 ? 1 : 0);
        image->holders++;
        *ret_module = image;
    }
    become_idle(modules);
    dri_lock_drop(&modules->lock);
    return status;
}

void dri_module_retain(struct dri_module *module)
{
    struct dri_modules *modules = module->modules;

    dri_lock_take(&modules->lock);
    DRI_ASSERT(module->holders > 0);
    module->holders++;
    dri_lock_drop(&modules->lock);
}

void dri_module_release(struct dri_module *module)
{
    struct dri_modules *modules;

    if (module == NULL) {
        return;
    }
    modules = module->modules;
    dri_lock_take(&modules->lock);
    DRI_ASSERT(module->holders > 0);
    if (module->holders > 1) {
        module->holders--;
        dri_lock_drop(&modules->lock);
        return;
    }
    become_busy(modules); /* a load may be about to share it */
    module->holders--;
    if (module->holders == 0) {
        dri_lock_drop(&modules->lock);
        close_module(module);
        atomic_fetch_sub(&modules->in_use, 1);
        let_go(modules, module);
        dri_lock_take(&modules->lock);
    }
    become_idle(modules);
    dri_lock_drop(&modules->lock);
}

/* --- what it is
 * ------------------------------------------------------------------------------------- */

const struct dray_handler *dri_module_find(const struct dri_module *module, struct dray_slice name)
{
    for (size_t i = 0; i < module->descriptor->handlers_count; i++) {
        const struct dray_handler *handler = handler_at(module->descriptor, i);

        if (dray_slice_equal_text(name, handler->name)) {
            return handler;
        }
    }
    return NULL;
}

const struct dray_module *dri_module_descriptor(const struct dri_module *module)
{
    return module->descriptor;
}

void *dri_module_user(const struct dri_module *module)
{
    return module->user;
}

const char *dri_module_sha256(const struct dri_module *module)
{
    return module->sha256;
}

const char *dri_module_name(const struct dri_module *module)
{
    return module->name;
}

const char *dri_module_build_id(const struct dri_module *module)
{
    return module->build_id;
}

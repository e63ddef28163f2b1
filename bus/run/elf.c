/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
#include "elf.h"

#include <elf.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "sha256.h"

#if defined(__x86_64__)
#define MACHINE EM_X86_64
#elif defined(__aarch64__)
#define MACHINE EM_AARCH64
#elif defined(__riscv)
#define MACHINE EM_RISCV
#endif

#if __ELF_NATIVE_CLASS == 64
#define CLASS ELFCLASS64
#else
#define CLASS ELFCLASS32
#endif

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define DATA ELFDATA2LSB
#else
#define DATA ELFDATA2MSB
#endif

#define NOTE_NAME    "GNU"
#define BUILD_ID_MAX ((DRI_BUILD_ID_BYTES - 1) / 2)
#define HEADERS_MAX  1024u

/* Whether [offset, offset + len) lies in the file. */
static bool is_inside(struct dray_slice file, uint64_t offset, uint64_t len)
{
    return offset <= file.len && len <= file.len - offset;
}

static const char *check_header(struct dray_slice file, ElfW(Ehdr) * ret_header)
{
    if (file.len < sizeof(*ret_header) || memcmp(file.at, ELFMAG, SELFMAG) != 0) {
        return "is not a shared object (ELF)";
    }
    memcpy(ret_header, file.at, sizeof(*ret_header));
    if (ret_header->e_ident[EI_CLASS] != CLASS || ret_header->e_ident[EI_DATA] != DATA) {
        return "was built for another kind of machine: build it for this one";
    }
#ifdef MACHINE
    if (ret_header->e_machine != MACHINE) {
        return "was built for another kind of machine: build it for this one";
    }
#endif
    if (ret_header->e_type != ET_DYN) {
        return "is not a shared object: link it with -shared";
    }
    if (ret_header->e_phentsize != sizeof(ElfW(Phdr)) || ret_header->e_phnum == 0 ||
        ret_header->e_phnum > HEADERS_MAX) {
        return "has no program headers: it is damaged";
    }
    if (!is_inside(file, ret_header->e_phoff, (uint64_t)ret_header->e_phnum * sizeof(ElfW(Phdr)))) {
        return "is cut off: copy it again, to another name, and rename it";
    }
    return NULL;
}

static ElfW(Phdr) segment_at(struct dray_slice file, const ElfW(Ehdr) * header, unsigned i)
{
    ElfW(Phdr) segment;

    memcpy(&segment, file.at + header->e_phoff + i * sizeof(segment), sizeof(segment));
    return segment;
}

/* Looks for the build id in one segment of notes: (namesz, descsz, type, name, desc) with both
 * padded to four bytes. */
static void find_build_id(struct dray_slice notes, char ret_build_id[DRI_BUILD_ID_BYTES])
{
    size_t at = 0;

    while (notes.len - at >= sizeof(ElfW(Nhdr))) {
        ElfW(Nhdr) note;
        uint64_t name;
        uint64_t content;

        memcpy(&note, notes.at + at, sizeof(note));
        name = at + sizeof(note);
        content = name + (((uint64_t)note.n_namesz + 3) & ~UINT64_C(3));
        if (content > notes.len || note.n_descsz > notes.len - content) {
            return;
        }
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == sizeof(NOTE_NAME) &&
            memcmp(notes.at + name, NOTE_NAME, sizeof(NOTE_NAME)) == 0) {
            size_t len = note.n_descsz < BUILD_ID_MAX ? note.n_descsz : BUILD_ID_MAX;

            dri_hex(notes.at + content, len, ret_build_id);
            return;
        }
        content += ((uint64_t)note.n_descsz + 3) & ~UINT64_C(3);
        at = content < notes.len ? (size_t)content : notes.len;
    }
}

enum dray_status dri_elf_check(struct dray_slice file, char ret_build_id[DRI_BUILD_ID_BYTES],
                               const char **ret_text)
{
    char build_id[DRI_BUILD_ID_BYTES] = "";
    ElfW(Ehdr) header;
    const char *text = check_header(file, &header);

    for (unsigned i = 0; text == NULL && i < header.e_phnum; i++) {
        ElfW(Phdr) segment = segment_at(file, &header, i);

        if (!is_inside(file, segment.p_offset, segment.p_filesz)) {
            text = "is cut off: copy it again, to another name, and rename it";
        } else if (segment.p_type == PT_NOTE && build_id[0] == '\0') {
            find_build_id(dray_slice_of(file.at + segment.p_offset, (size_t)segment.p_filesz),
                          build_id);
        }
    }
    if (text != NULL) {
        *ret_text = text;
        return DRAY_EINVALID;
    }
    memcpy(ret_build_id, build_id, sizeof(build_id));
    return DRAY_OK;
}

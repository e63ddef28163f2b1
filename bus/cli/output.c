/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* output.c - what people see: errors, tables, progress.
 *
 * Whatever stands in a cell or an error may come from a stranger (a command's name, a handler's
 * message), and it goes to a terminal: control bytes, also the C1 ones that hide in UTF-8, never
 * get through.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli.h"
#include "clock.h"
#include "mem.h"
#include "wire/scanner.h"

#define GAP               2u
#define WIDTH_MAX         4096u
#define PROGRESS_EVERY_NS UINT64_C(100000000)

void dri_cli_clean(char *text)
{
    uint8_t *at = (uint8_t *)text;
    size_t len = strlen(text);
    dri_utf8_mend(at, len);
    for (size_t i = 0; i < len; i++) {
        bool is_c1 = at[i] == 0xc2 && i + 1 < len && at[i + 1] < 0xa0;
        if (at[i] < 0x20 || at[i] == 0x7f) {
            at[i] = '?';
        } else if (is_c1) {
            at[i] = '?';
            at[i + 1] = '?';
        }
    }
}

/* Columns on a terminal: code points, which is right for all but wide and combining ones. */
static size_t width_of(const char *text)
{
    size_t width = 0;
    for (; *text != '\0'; text++) {
        width += ((unsigned char)*text & 0xc0) != 0x80 ? 1 : 0;
    }
    return width;
}

/* Bytes of the first `width` code points. */
static size_t bytes_of(const char *text, size_t width)
{
    size_t at = 0;
    while (text[at] != '\0') {
        if (((unsigned char)text[at] & 0xc0) != 0x80) {
            if (width == 0) {
                break;
            }
            width--;
        }
        at++;
    }
    return at;
}

static bool has_stderr_colour(void)
{
    const char *no_colour = getenv("NO_COLOR"); /* NOLINT(concurrency-mt-unsafe): nobody sets it */
    return isatty(STDERR_FILENO) == 1 && (no_colour == NULL || no_colour[0] == '\0');
}

static void say(const char *what, const char *format, va_list arguments) DRAY_FORMAT(2, 0);

/* what: in front of the first line, "warning: ". */
static void say(const char *what, const char *format, va_list arguments)
{
    char text[2048];
    (void)vsnprintf(text, sizeof(text), format, arguments);
    for (char *line = text; line != NULL;) {
        char *end = strchr(line, '\n');
        if (end != NULL) {
            *end = '\0';
        }
        dri_cli_clean(line);
        const char *begin = has_stderr_colour() ? "\033[31mdray:\033[0m " : "dray: ";
        bool is_first = line == text;
        fprintf(stderr, "%s%s%s\n", is_first ? begin : "      ", is_first ? what : "", line);
        line = end == NULL ? NULL : end + 1;
    }
}

int dri_cli_fail(const struct dri_cli *cli, int code, const char *format, ...)
{
    va_list arguments;
    (void)cli;
    va_start(arguments, format);
    say("", format, arguments);
    va_end(arguments);
    return code;
}

void dri_cli_warn(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say("warning: ", format, arguments);
    va_end(arguments);
}

void dri_cli_print(const char *format, ...)
{
    char text[2048];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    dri_cli_clean(text);
    printf("%s\n", text);
}

int dri_cli_usage(const struct dri_cli *cli, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say("", format, arguments);
    va_end(arguments);
    if (cli != NULL && cli->command != NULL) {
        fprintf(stderr, "      dray help %s shows how it is used\n", cli->command->name);
    } else {
        fprintf(stderr, "      dray help lists the commands\n");
    }
    return DRI_EXIT_USAGE;
}

/* ---- tables ---- */

struct dri_table {
    size_t columns;
    size_t rows;
    size_t capacity; /* cells */
    char **cells;    /* owned, each owned; row 0 is the head */
    bool is_cut;     /* out of memory */
};

struct dri_table *dri_table_create(const char *const *columns, size_t count)
{
    struct dri_table *table = dri_zalloc(sizeof(*table));
    if (table != NULL) {
        table->columns = count;
        dri_table_row(table, columns);
    }
    return table;
}

static bool table_grow(struct dri_table *table)
{
    size_t used = table->rows * table->columns;
    if (used + table->columns <= table->capacity) {
        return true;
    }
    size_t capacity = 2 * table->capacity + 16 * table->columns;
    char **cells = dri_zalloc_array(capacity, sizeof(*cells));
    if (cells == NULL) {
        return false;
    }
    for (size_t i = 0; i < used; i++) {
        cells[i] = table->cells[i];
    }
    dri_free(table->cells);
    table->cells = cells;
    table->capacity = capacity;
    return true;
}

void dri_table_row(struct dri_table *table, const char *const *cells)
{
    if (table == NULL || table->is_cut || !table_grow(table)) {
        if (table != NULL) {
            table->is_cut = true;
        }
        return;
    }
    char **row = &table->cells[table->rows * table->columns];
    for (size_t i = 0; i < table->columns; i++) {
        row[i] = dri_strdup(cells[i] == NULL ? "" : cells[i]);
        if (row[i] == NULL) {
            table->is_cut = true;
            return; /* destroy finds what was copied: the row counts */
        }
        dri_cli_clean(row[i]);
    }
    table->rows++;
}

static size_t terminal_width(FILE *to)
{
    struct winsize size;
    int fd = fileno(to);
    if (fd < 0 || isatty(fd) != 1 || ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) {
        return WIDTH_MAX;
    }
    return size.ws_col;
}

static void print_row(const struct dri_table *table, size_t row, const size_t *widths, FILE *to)
{
    size_t edge = terminal_width(to);
    size_t at = 0;
    for (size_t i = 0; i < table->columns; i++) {
        const char *cell = table->cells[row * table->columns + i];
        bool is_last = i + 1 == table->columns;
        size_t width = width_of(cell);
        if (is_last && at + width > edge && edge > at + 1) {
            fprintf(to, "%.*s~", (int)bytes_of(cell, edge - at - 1), cell);
        } else {
            fprintf(to, "%s", cell);
        }
        if (!is_last) {
            fprintf(to, "%*s", (int)(widths[i] - width + GAP), "");
        }
        at += widths[i] + GAP;
    }
}

bool dri_table_print(struct dri_table *table, FILE *to, bool has_colour)
{
    if (table == NULL) {
        return false;
    }
    size_t *widths = dri_zalloc_array(table->columns, sizeof(*widths));
    if (widths == NULL) {
        return false;
    }
    for (size_t i = 0; i < table->rows * table->columns; i++) {
        size_t width = width_of(table->cells[i]);
        size_t *widest = &widths[i % table->columns];
        *widest = width > *widest ? width : *widest;
    }
    for (size_t row = 0; row < table->rows; row++) {
        bool is_head = row == 0 && has_colour;
        fprintf(to, "%s", is_head ? "\033[1m" : "");
        print_row(table, row, widths, to);
        fprintf(to, "%s\n", is_head ? "\033[0m" : "");
    }
    dri_free(widths);
    return !table->is_cut;
}

void dri_table_destroy(struct dri_table *table)
{
    if (table == NULL) {
        return;
    }
    for (size_t i = 0; i < table->capacity; i++) {
        dri_free(table->cells[i]);
    }
    dri_free(table->cells);
    dri_free(table);
}

/* ---- progress ---- */

void dri_progress_begin(struct dri_progress *progress, const struct dri_cli *cli, const char *what,
                        uint64_t total)
{
    *progress = (struct dri_progress){.what = what,
                                      .total = total,
                                      .begun_ns = dri_clock_mono_ns(),
                                      .is_on = cli->is_progress,
                                      .is_shared = cli->is_tty};
}

static void progress_show(struct dri_progress *progress, uint64_t done, uint64_t now_ns)
{
    enum {
        BAR = 30
    };
    double seconds = (double)(now_ns - progress->begun_ns) / 1e9;
    char rate[32] = "";
    char bar[BAR + 1];
    size_t full = progress->total == 0 ? 0 : (size_t)(done * BAR / progress->total);
    for (size_t i = 0; i < BAR; i++) {
        bar[i] = i < full ? '#' : '.';
    }
    bar[BAR] = '\0';
    if (seconds > 0.05) { /* sooner it says nothing */
        snprintf(rate, sizeof(rate), ", %.0f/s", (double)done / seconds);
    }
    if (progress->total > 0) {
        fprintf(stderr, "\r[%s] %llu of %llu %s%s\033[K", bar, (unsigned long long)done,
                (unsigned long long)progress->total, progress->what, rate);
    } else {
        fprintf(stderr, "\r%llu %s%s\033[K", (unsigned long long)done, progress->what, rate);
    }
    (void)fflush(stderr);
    progress->was_shown = true;
    progress->is_there = true;
    progress->shown_ns = now_ns;
}

void dri_progress_at(struct dri_progress *progress, uint64_t done)
{
    uint64_t now_ns = progress->is_on ? dri_clock_mono_ns() : 0;
    if (progress->is_on && now_ns - progress->shown_ns >= PROGRESS_EVERY_NS) {
        progress_show(progress, done, now_ns);
    }
}

void dri_progress_hide(struct dri_progress *progress)
{
    if (progress->is_there && progress->is_shared) {
        fprintf(stderr, "\r\033[K");
        (void)fflush(stderr);
        progress->is_there = false;
    }
}

void dri_progress_end(struct dri_progress *progress, uint64_t done)
{
    if (progress->was_shown) {
        progress_show(progress, done, dri_clock_mono_ns());
        fprintf(stderr, "\n");
        progress->was_shown = false;
    }
}

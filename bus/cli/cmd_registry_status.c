/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright 2026 The dray authors */
/* cmd_registry_status.c - dray registry status: the replicas, and who can run which route.
 *
 * What a replica says of itself is laid beside what the log leads to: a digest at the log's end
 * that differs is a fault, and a route that every replica refuses is one that nobody runs.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "heat.h"
#include "mem.h"
#include "registry_replica.h"
#include "registry_tool.h"
#include "rows.h"

#define DIGEST_SHOWN  12
#define MODULES_SHOWN 60u

static void add_text(struct dri_text *line, const char *name, struct dray_slice value)
{
    dri_text_addf(line, "\"%s\":", name);
    dri_text_add_json_string(line, value.at == NULL ? dray_slice_text("") : value);
}

static void print_line(struct dri_text *line)
{
    if (line->status == DRAY_OK) {
        printf("%s\n", line->at);
    }
    dri_text_fini(line);
}

/* ---- a replica as JSON ---- */

static void add_failures(struct dri_text *line, const struct dri_status_record *record)
{
    struct dri_status_failure failure;
    size_t at = 0;
    dri_text_addf(line, ",\"failed\":[");
    for (size_t i = 0; dri_status_next_failure(record, &at, &failure); i++) {
        dri_text_addf(line, "%s{", i == 0 ? "" : ",");
        add_text(line, "key", failure.key);
        dri_text_addf(line, ",\"revision\":%" PRIu64 ",", failure.revision);
        add_text(line, "reason", failure.reason);
        dri_text_addf(line, "}");
    }
    dri_text_addf(line, "],\"failed_all\":%" PRIu64, dri_replica_failed_all(record));
}

static void add_modules(struct dri_text *line, const struct dri_status_record *record)
{
    struct dri_status_module module;
    size_t at = 0;
    dri_text_addf(line, ",\"modules\":[");
    for (size_t i = 0; dri_status_next_module(record, &at, &module); i++) {
        dri_text_addf(line, "%s{", i == 0 ? "" : ",");
        add_text(line, "name", module.name);
        dri_text_addf(line, ",");
        add_text(line, "sha256", module.sha256);
        dri_text_addf(line, ",\"routes\":%" PRIu64 "}", module.routes);
    }
    dri_text_addf(line, "]");
}

static void add_refusals(struct dri_text *line, const struct dri_status_record *record)
{
    struct dri_status_refusal refusal;
    size_t at = 0;
    dri_text_addf(line, ",\"refusals\":[");
    for (size_t i = 0; dri_status_next_refusal(record, &at, &refusal); i++) {
        dri_text_addf(line, "%s{\"revision\":%" PRIu64 ",", i == 0 ? "" : ",", refusal.revision);
        add_text(line, "verdict", refusal.verdict);
        dri_text_addf(line, ",");
        add_text(line, "author", dri_history_author(refusal.author));
        if (refusal.key.at != NULL) {
            dri_text_addf(line, ",");
            add_text(line, "key", refusal.key);
            dri_text_addf(line, ",\"base\":%" PRIu64 ",\"present\":%" PRIu64, refusal.base,
                          refusal.present);
        } else {
            dri_text_addf(line, ",");
            add_text(line, "reason", refusal.reason);
        }
        dri_text_addf(line, "}");
    }
    dri_text_addf(line, "]");
}

static void add_idle(struct dri_text *line, const struct dri_status_record *record)
{
    struct dri_status_idle idle;
    size_t at = 0;
    if (dray_slice_is_absent(record->idle)) { /* an older release: it is not said */
        dri_text_addf(line, ",\"idle\":null,\"idle_all\":null");
        return;
    }
    dri_text_addf(line, ",\"idle\":[");
    for (size_t i = 0; dri_status_next_idle(record, &at, &idle); i++) {
        dri_text_addf(line, "%s", i == 0 ? "" : ",");
        dri_text_add_json_string(line, idle.key);
    }
    dri_text_addf(line, "],\"idle_all\":%" PRIu64, record->idle_all);
}

/* [1,2,...]: calls in each part of the window, the oldest first. */
static void add_parts(struct dri_text *line, const uint64_t parts[DRI_HEAT_PARTS])
{
    for (uint32_t i = 0; i < DRI_HEAT_PARTS; i++) {
        dri_text_addf(line, "%c%" PRIu64, i == 0 ? '[' : ',', parts[i]);
    }
    dri_text_addf(line, "]");
}

static void add_heat(struct dri_text *line, const struct dri_status_record *record)
{
    struct dri_status_heat heat;
    size_t at = 0;
    if (dray_slice_is_absent(record->heat)) { /* an older release: it is not said */
        dri_text_addf(line, ",\"heat\":null,\"heat_all\":null,\"hot_all\":null");
        return;
    }
    dri_text_addf(line, ",\"heat\":[");
    for (size_t i = 0; dri_status_next_heat(record, &at, &heat); i++) {
        uint64_t parts[DRI_HEAT_PARTS];
        for (uint32_t part = 0; part < DRI_HEAT_PARTS; part++) {
            parts[part] = dri_status_heat_part(&heat, part);
        }
        dri_text_addf(line, "%s{", i == 0 ? "" : ",");
        add_text(line, "key", heat.key);
        dri_text_addf(line, ",\"calls\":%" PRIu64 ",\"hot\":%s,\"parts\":", heat.calls,
                      heat.is_hot ? "true" : "false");
        add_parts(line, parts);
        dri_text_addf(line, "}");
    }
    dri_text_addf(line,
                  "],\"heat_all\":%" PRIu64 ",\"hot_all\":%" PRIu64 ",\"heat_window_ms\":%" PRIu64,
                  record->heat_all, record->hot_all, record->heat_window_ms);
}

static void print_replica(const struct dri_registry_tool *tool, const struct dri_replica *replica)
{
    const struct dri_status_record *record = &replica->record;
    struct dri_text line;
    char when[DRI_CLOCK_TEXT_BYTES];
    uint64_t now_ms = dri_clock_wall_ms();
    const struct {
        const char *name;
        struct dray_slice value;
    } texts[] = {{"worker", record->worker},   {"group", record->group}, {"host", record->host},
                 {"version", record->version}, {"state", record->state}, {"digest", record->digest},
                 {"signers", record->signers}, {"admin", record->admin}};
    dri_text_init(&line);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        dri_text_addf(&line, "%c", i == 0 ? '{' : ',');
        add_text(&line, texts[i].name, texts[i].value);
    }
    dri_clock_format(record->ts_ms, when);
    dri_text_addf(&line, ",\"pid\":%" PRIu64 ",\"revision\":%" PRIu64 ",\"ts\":\"%s\"", record->pid,
                  record->revision, when);
    dri_text_addf(&line, ",\"age_ms\":%" PRIu64 ",\"live\":%s,\"differs\":%s",
                  now_ms > replica->heard_ms ? now_ms - replica->heard_ms : 0,
                  dri_replica_is_live(replica) ? "true" : "false",
                  dri_registry_tool_differs(tool, replica) ? "true" : "false");
    add_failures(&line, record);
    add_modules(&line, record);
    dri_text_addf(&line, ",\"conflicts\":%" PRIu64 ",\"refused\":%" PRIu64, record->conflicts,
                  record->refused);
    add_refusals(&line, record);
    add_idle(&line, record);
    add_heat(&line, record);
    dri_text_addf(&line, "}");
    print_line(&line);
}

/* ---- a replica for people ---- */

static void modules_cell(const struct dri_status_record *record, char ret_cell[DRI_CELL_BYTES])
{
    struct dri_status_module module;
    size_t at = 0;
    size_t len = 0;
    ret_cell[0] = '\0';
    while (dri_status_next_module(record, &at, &module)) {
        if (len + module.name.len > MODULES_SHOWN) {
            snprintf(ret_cell + len, DRI_CELL_BYTES - len, " ...");
            return;
        }
        snprintf(ret_cell + len, DRI_CELL_BYTES - len, "%s%.*s", len == 0 ? "" : " ",
                 (int)module.name.len, (const char *)module.name.at);
        len = strlen(ret_cell);
    }
}

static void add_replica(struct dri_table *table, const struct dri_replica *replica)
{
    const struct dri_status_record *record = &replica->record;
    char cells[7][DRI_CELL_BYTES];
    char revision[24];
    char failed[96];
    char hot[24] = "?";
    struct dri_status_failure failure;
    size_t at = 0;
    dri_cell_text(record->worker, cells[0]);
    dri_cell_text(record->group, cells[1]);
    dri_cell_text(record->host, cells[2]);
    dri_cell_text(record->admin, cells[5]);
    modules_cell(record, cells[6]);
    snprintf(cells[3], DRI_CELL_BYTES, "%.*s%s", (int)record->state.len,
             (const char *)record->state.at, dri_replica_is_live(replica) ? "" : " (silent)");
    snprintf(cells[4], DRI_CELL_BYTES, "%.*s",
             record->digest.at == NULL                   ? 0
             : record->digest.len < (size_t)DIGEST_SHOWN ? (int)record->digest.len
                                                         : DIGEST_SHOWN,
             record->digest.at == NULL ? "" : (const char *)record->digest.at);
    snprintf(revision, sizeof(revision), "%" PRIu64, record->revision);
    snprintf(failed, sizeof(failed), "%" PRIu64, dri_replica_failed_all(record));
    if (!dray_slice_is_absent(record->heat)) {
        snprintf(hot, sizeof(hot), "%" PRIu64, record->hot_all);
    }
    const char *row[] = {cells[0], cells[1], cells[2], cells[3], revision,
                         cells[4], cells[5], cells[6], hot,      failed};
    dri_table_row(table, row);
    while (dri_status_next_failure(record, &at, &failure)) {
        char reason[DRI_CELL_BYTES];
        snprintf(reason, sizeof(reason), "%.*s: %.*s", (int)failure.key.len,
                 (const char *)failure.key.at, (int)failure.reason.len,
                 failure.reason.at == NULL ? "" : (const char *)failure.reason.at);
        const char *more[] = {"", "", "", "", "", "", "", "", "", reason};
        dri_table_row(table, more);
    }
    if (dri_replica_failed_all(record) > record->failed_count) {
        char rest[64];
        snprintf(rest, sizeof(rest), "and %" PRIu64 " more",
                 dri_replica_failed_all(record) - record->failed_count);
        const char *more[] = {"", "", "", "", "", "", "", "", "", rest};
        dri_table_row(table, more);
    }
}

/* "2 live replicas, all at revision 5" or who is not. */
static void print_summary(const struct dri_registry_tool *tool)
{
    const struct dri_replica *first = NULL;
    size_t live = 0;
    bool is_same = true;
    for (size_t i = 0; i < tool->replicas_count; i++) {
        const struct dri_replica *replica = &tool->replicas[i];
        if (!dri_replica_is_live(replica)) {
            continue;
        }
        live++;
        first = first == NULL ? replica : first;
        is_same = is_same && replica->record.revision == first->record.revision &&
                  dray_slice_equal(replica->record.digest, first->record.digest);
    }
    if (is_same && live > 0) {
        printf("%zu live replica%s, at revision %" PRIu64 " with the same routes\n", live,
               live == 1 ? "" : "s", first->record.revision);
    } else if (live > 0) {
        printf("%zu live replicas, not all with the same routes; the log is at revision %" PRIu64
               "\n",
               live, tool->log.end);
    }
}

/* ---- who can run a route ---- */

struct routes {
    const struct dri_registry_tool *tool;
    struct dri_table *table; /* NULL: JSON, or only those that nobody runs are told */
    bool is_all;             /* every route, else those that nobody runs */
    size_t shown;
    size_t unknown; /* it is not known whether anybody runs them */
};

struct ability {
    size_t live, able, unknown;
    enum dri_called called;                /* the best of all who can */
    uint64_t calls, parts[DRI_HEAT_PARTS]; /* lately, of all that list it */
    size_t hot;                            /* replicas where it is hot */
    bool is_heat_unknown;                  /* of one that does not list all that were called */
    struct dray_slice worker, reason;      /* of the first that cannot, or may not be able to */
};

/* What is printed of those who cannot run a route. */
struct others {
    struct dri_text unable;  /* [{"worker","reason"}], without the brackets */
    struct dri_text unknown; /* [worker] likewise */
};

static void add_unable(struct dri_text *text, struct dray_slice worker, struct dray_slice reason)
{
    dri_text_addf(text, "%s{", text->len == 0 ? "" : ",");
    add_text(text, "worker", worker);
    dri_text_addf(text, ",");
    add_text(text, "reason", reason);
    dri_text_addf(text, "}");
}

static void look_at_heat(const struct dri_status_record *record, const struct dri_route *route,
                         struct ability *ability)
{
    struct dri_status_heat heat;
    struct dray_slice key = dray_slice_text(route->key);
    size_t at = 0;
    while (dri_status_next_heat(record, &at, &heat)) {
        if (heat.revision == route->revision && dray_slice_equal(heat.key, key)) {
            ability->calls += heat.calls;
            ability->hot += heat.is_hot;
            for (uint32_t part = 0; part < DRI_HEAT_PARTS; part++) {
                ability->parts[part] += dri_status_heat_part(&heat, part);
            }
            return;
        }
    }
    ability->is_heat_unknown = ability->is_heat_unknown || dray_slice_is_absent(record->heat) ||
                               record->heat_all > record->heat_count;
}

static void look_at(const struct dri_status_record *record, const struct dri_route *route,
                    struct ability *ability, struct others *others)
{
    struct dray_slice key = dray_slice_text(route->key);
    struct dray_slice reason = dray_slice_of(NULL, 0);
    enum dri_called called = DRI_CALLED_NEVER;
    switch (dri_replica_ability(record, key, route->revision, &reason)) {
    case DRI_ABILITY_RUNS:
        called = dri_replica_called(record, key, route->revision);
        ability->able++;
        break;
    case DRI_ABILITY_UNKNOWN:
        called = DRI_CALLED_UNKNOWN;
        ability->unknown++;
        dri_text_addf(&others->unknown, "%s", others->unknown.len == 0 ? "" : ",");
        dri_text_add_json_string(&others->unknown, record->worker);
        break;
    case DRI_ABILITY_NONE:
    default:
        add_unable(&others->unable, record->worker, reason);
        break;
    }
    ability->called = called > ability->called ? called : ability->called;
    if (reason.at != NULL && ability->worker.at == NULL) {
        ability->worker = record->worker;
        ability->reason = reason;
    }
}

static struct ability ability_of(const struct dri_registry_tool *tool,
                                 const struct dri_route *route, struct others *others)
{
    struct ability ability = {.live = 0};
    for (size_t i = 0; i < tool->replicas_count; i++) {
        const struct dri_replica *replica = &tool->replicas[i];
        if (dri_replica_is_live(replica)) {
            ability.live++;
            look_at(&replica->record, route, &ability, others);
            look_at_heat(&replica->record, route, &ability);
        }
    }
    return ability;
}

static void print_route(const struct dri_route *route, const struct ability *ability,
                        const struct others *others)
{
    struct dri_text line;
    dri_text_init(&line);
    dri_text_addf(&line, "{");
    add_text(&line, "key", dray_slice_text(route->key));
    dri_text_addf(&line,
                  ",\"revision\":%" PRIu64 ",\"live\":%zu,\"able\":%zu,\"called\":%s,"
                  "\"unable\":[%s],\"unknown\":[%s]",
                  route->revision, ability->live, ability->able,
                  ability->called == DRI_CALLED_YES     ? "true"
                  : ability->called == DRI_CALLED_NEVER ? "false"
                                                        : "null",
                  others->unable.len == 0 ? "" : others->unable.at,
                  others->unknown.len == 0 ? "" : others->unknown.at);
    dri_text_addf(&line, ",\"hot\":%zu,", ability->hot);
    if (ability->is_heat_unknown) {
        dri_text_addf(&line, "\"calls\":null,\"parts\":null}");
    } else {
        dri_text_addf(&line, "\"calls\":%" PRIu64 ",\"parts\":", ability->calls);
        add_parts(&line, ability->parts);
        dri_text_addf(&line, "}");
    }
    print_line(&line);
}

static void add_route(struct dri_table *table, const struct dri_route *route,
                      const struct ability *ability)
{
    char revision[24];
    char able[96];
    char calls[48];
    char why[DRI_CELL_BYTES] = "";
    snprintf(revision, sizeof(revision), "%" PRIu64, route->revision);
    if (ability->unknown == 0) {
        snprintf(able, sizeof(able), "%zu of %zu", ability->able, ability->live);
    } else {
        snprintf(able, sizeof(able), "%zu to %zu of %zu", ability->able,
                 ability->able + ability->unknown, ability->live);
    }
    snprintf(calls, sizeof(calls), "%s%" PRIu64 "%s", ability->is_heat_unknown ? ">= " : "",
             ability->calls, ability->hot > 0 ? " hot" : "");
    if (ability->worker.at != NULL) {
        snprintf(why, sizeof(why), "%.*s: %.*s", (int)ability->worker.len,
                 (const char *)ability->worker.at, (int)ability->reason.len,
                 (const char *)ability->reason.at);
    }
    const char *row[] = {route->key,
                         revision,
                         able,
                         ability->called == DRI_CALLED_YES     ? "yes"
                         : ability->called == DRI_CALLED_NEVER ? "never"
                                                               : "?",
                         calls,
                         why};
    dri_table_row(table, row);
}

static void show_route(void *arg, const struct dri_route *route)
{
    struct routes *routes = arg;
    struct others others;
    dri_text_init(&others.unable);
    dri_text_init(&others.unknown);
    struct ability ability = ability_of(routes->tool, route, &others);
    bool is_unserved = ability.able == 0 && ability.unknown == 0;
    bool has_text = others.unable.status == DRAY_OK && others.unknown.status == DRAY_OK;
    routes->unknown += ability.able == 0 && ability.unknown > 0;
    if (has_text && (routes->is_all || is_unserved)) {
        routes->shown++;
        if (routes->table != NULL) {
            add_route(routes->table, route, &ability);
        } else if (routes->is_all) {
            print_route(route, &ability, &others);
        } else {
            dri_cli_print("no live replica runs %s%s%.*s", route->key,
                          ability.reason.at == NULL ? "" : ": ", (int)ability.reason.len,
                          ability.reason.at == NULL ? "" : (const char *)ability.reason.at);
        }
    }
    dri_text_fini(&others.unable);
    dri_text_fini(&others.unknown);
}

static int print_routes(const struct dri_registry_tool *tool)
{
    static const char *const columns[] = {"KEY",    "REVISION", "RUNS ON",
                                          "CALLED", "LATELY",   "WHY NOT"};
    struct routes routes = {.tool = tool, .is_all = true};
    if (!tool->cli->is_json) {
        routes.table = dri_table_create(columns, sizeof(columns) / sizeof(columns[0]));
    }
    dri_registry_each(tool->registry, show_route, &routes);
    if (routes.table != NULL) {
        (void)dri_table_print(routes.table, stdout, tool->cli->has_colour);
    }
    dri_table_destroy(routes.table);
    return routes.shown > 0 ? DRI_EXIT_OK
                            : dri_cli_fail(tool->cli, DRI_EXIT_NO_MATCH, "there is no route");
}

/* ---- all of it ---- */

static int compare_workers(const void *a, const void *b)
{
    struct dray_slice left = ((const struct dri_replica *)a)->record.worker;
    struct dray_slice right = ((const struct dri_replica *)b)->record.worker;
    int order = memcmp(left.at, right.at, left.len < right.len ? left.len : right.len);
    return order != 0 ? order : (left.len > right.len) - (left.len < right.len);
}

/* --group: the other groups on this broker are not asked for. */
static void keep_group(struct dri_registry_tool *tool, const char *group)
{
    size_t kept = 0;
    for (size_t i = 0; group != NULL && i < tool->replicas_count; i++) {
        if (dray_slice_equal_text(tool->replicas[i].record.group, group)) {
            tool->replicas[kept++] = tool->replicas[i];
        } else {
            dri_free(tool->replicas[i].bytes);
        }
    }
    tool->replicas_count = group == NULL ? tool->replicas_count : kept;
    if (tool->replicas_count > 0) {
        qsort(tool->replicas, tool->replicas_count, sizeof(*tool->replicas), compare_workers);
    }
}

/* Those whose routes are not what the log leads to: an exit code that says so. */
static int tell_different(const struct dri_registry_tool *tool)
{
    int code = DRI_EXIT_OK;
    for (size_t i = 0; i < tool->replicas_count; i++) {
        const struct dri_replica *replica = &tool->replicas[i];
        if (!dri_replica_is_live(replica)) {
            continue;
        }
        if (dri_registry_tool_differs(tool, replica)) {
            code = dri_registry_tell_differs(tool, replica);
        } else if (dri_registry_trusts_others(tool, replica)) {
            (void)dri_cli_fail(tool->cli, 0,
                               "warning: %.*s trusts other control.signers than this "
                               "configuration does: what is refused here may count there",
                               (int)replica->record.worker.len,
                               (const char *)replica->record.worker.at);
        }
    }
    return code;
}

static int print_status(const struct dri_registry_tool *tool)
{
    static const char *const columns[] = {"WORKER", "GROUP", "HOST",    "STATE", "REVISION",
                                          "DIGEST", "ADMIN", "MODULES", "HOT",   "FAILED"};
    const struct dri_cli *cli = tool->cli;
    const char *group = dri_cli_value(cli, "group");
    struct routes unserved = {.tool = tool};
    bool is_all = dri_cli_has(cli, "all");
    size_t shown = 0;
    struct dri_table *table =
        cli->is_json ? NULL : dri_table_create(columns, sizeof(columns) / sizeof(columns[0]));
    for (size_t i = 0; i < tool->replicas_count; i++) {
        const struct dri_replica *replica = &tool->replicas[i];
        if (!is_all && !dri_replica_is_live(replica)) {
            continue;
        }
        shown++;
        if (table == NULL) {
            print_replica(tool, replica);
        } else {
            add_replica(table, replica);
        }
    }
    if (table != NULL && shown > 0) {
        (void)dri_table_print(table, stdout, cli->has_colour);
        print_summary(tool);
        if (tool->registry != NULL) {
            dri_registry_each(tool->registry, show_route, &unserved);
        }
        if (unserved.unknown > 0) {
            dri_cli_print("of %zu more it is not known: more fail than the replicas list",
                          unserved.unknown);
        }
    }
    dri_table_destroy(table);
    return shown > 0 ? tell_different(tool)
                     : dri_cli_fail(cli, DRI_EXIT_NO_MATCH, "no live replica%s%s on %s",
                                    group == NULL ? "" : " of group ", group == NULL ? "" : group,
                                    cli->settings.topics.status);
}

static int status_run(struct dri_cli *cli)
{
    struct dri_registry_tool tool;
    dri_cli_catch_signals();
    bool is_of_routes = dri_cli_has(cli, "routes");
    int fault = dri_registry_tool_open(&tool, cli, true, true);
    int code = fault;
    if (fault == DRI_EXIT_FAILED && !is_of_routes && dri_cli_interrupted == 0) {
        /* a log that is refused: what the replicas say is needed all the more */
        dri_registry_tool_close(&tool);
        code = dri_registry_tool_open(&tool, cli, false, true);
    }
    if (code == DRI_EXIT_OK) {
        keep_group(&tool, dri_cli_value(cli, "group"));
        code = is_of_routes ? print_routes(&tool) : print_status(&tool);
    }
    dri_registry_tool_close(&tool);
    return fault == DRI_EXIT_OK ? code : fault;
}

/* ---- the table ---- */

static const struct dri_cli_option status_options[] = {
    {.name = "all", .help = "Also those that have been silent for more than 5 s."},
    {.name = "routes",
     .help = "The routes instead: on how many live replicas each can run, and was it ever called."},
    {.name = NULL},
};

static const struct dri_cli_example status_examples[] = {
    {"Do all replicas have the same routes?", "dray registry status -c worker.yaml"},
    {"Is there a route that nobody can run?", "dray registry status --routes -c worker.yaml"},
    {NULL, NULL},
};

const struct dri_cli_command dri_registry_status_command = {
    .name = "registry status",
    .summary = "show what each replica has applied, and who can run which route",
    .usage = "[--group NAME] [--all] [--routes]",
    .about =
        "Lists the live replicas: their state, the revision up to which they have read the "
        "control topic, the digest of their routes, the modules that these run in, and the routes "
        "that they cannot run, with the reason. Replicas with one revision have one digest, that "
        "of the log; one that has another is told of, and one that trusts other signers. Then the "
        "routes that no live replica runs. "
        "With --group only the replicas of that group.\n\n"
        "With --json, or in a pipe, one line for each: {\"worker\",\"group\",\"host\","
        "\"version\",\"state\",\"digest\",\"signers\",\"admin\",\"pid\",\"revision\",\"ts\","
        "\"age_ms\",\"live\",\"differs\",\"failed\":[{\"key\",\"revision\",\"reason\"}],"
        "\"failed_all\","
        "\"modules\":"
        "[{\"name\",\"sha256\",\"routes\"}],\"conflicts\",\"refused\",\"refusals\":[{\"revision\","
        "\"verdict\",\"author\",\"key\",\"base\",\"present\",\"reason\"}],\"idle\":[key],"
        "\"idle_all\",\"heat\":[{\"key\",\"calls\",\"hot\",\"parts\"}],\"heat_all\",\"hot_all\","
        "\"heat_window_ms\"}. Refusals are the last records of the log that changed nothing; idle "
        "are "
        "the first of the routes that were never called there, failed the latest 64 that cannot "
        "run; idle_all and failed_all count them. Heat are the 32 busiest routes of the window "
        "(worker.hot_window_ms): their calls there, in each tenth of it too (the oldest first), "
        "and "
        "whether these are enough to be hot (worker.hot_calls); heat_all counts all that were "
        "called, hot_all those that are hot.\n\n"
        "With --routes one line for each route: {\"key\",\"revision\",\"live\",\"able\",\"called\","
        "\"unable\":[{\"worker\",\"reason\"}],\"unknown\":[worker],\"hot\",\"calls\",\"parts\"}, "
        "with the numbers of live "
        "replicas and of those that can run it; unknown are those where more routes fail than they "
        "list, so that this may be one of them. \"called\" is false when no command has called it "
        "on any of them since "
        "it "
        "was put or they were started; null when they cannot tell. \"hot\" is the number of "
        "replicas "
        "where it is hot, \"calls\" and \"parts\" are the sums over the live replicas; null when "
        "one "
        "has more routes that were called than it lists.\n\n"
        "Exit code 1: the routes of a replica are not those of the log. 3: no replica is live, or "
        "with --routes there is no route.",
    .options = status_options,
    .examples = status_examples,
    .needs_settings = true,
    .is_listing = true,
    .check = dri_cli_no_arguments,
    .run = status_run,
};

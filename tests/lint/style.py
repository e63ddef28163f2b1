#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""What compilers and clang-tidy do not see: licence lines, essays, sizes, forbidden calls, and
sources that no CMakeLists.txt lists. A line is exempt when it ends in `/* lint: <reason> */`."""

import os
import re
import tempfile

import lintlib

LICENCE = ["SPDX-License-Identifier: Apache-2.0", "Copyright 2026 The dray authors"]
C_MAX, H_MAX, ESSAY_FROM = 900, 350, 150
SUITE_MAX = 1800  # a suite of tests is a list of cases: it may be longer than what somebody must hold in mind
BELOW_CLI = r"bus/(?!cli/)|handlers/(?!.*(^|/)test)"

# (where, calls, why)
FORBIDDEN = [
    (r"", r"strcpy|strcat|sprintf|vsprintf|gets", "has no bound: use snprintf or memcpy with a length"),
    (r"", r"atoi|atol|atoll|atof", "reports no error: use strtol and check"),
    (r"", r"strtok", "keeps global state: walk the slice"),
    (r"", r"natsSubscription_Fetch", "overflows the heap in nats.c 3.4.1"),
    (r"bus/", r"rd_kafka_consume_batch\w*", "skips messages around pause and rebalance before librdkafka 2.1"),
    (r"bus/", r"rd_kafka_offsets?_store", "loses metadata, and is a second way to commit"),
    (r"bus/", r"rd_kafka_query_watermark_offsets", "may never time out before librdkafka 2.12"),
    (r"bus/", r"v?fork|posix_spawnp|popen|system", "client libraries do not survive it"),
    (r"bus/(?!run/module_probe\.c)", r"posix_spawn", "a child would hold sockets: docs/adr/0018 has the one exception"),
    (BELOW_CLI, r"printf|vprintf|puts|putchar", "nothing below cli prints: log it or return it"),
    (r"bus/(?!base/)", r"malloc|calloc|realloc|strdup|strndup|aligned_alloc", "the door to the heap is base/mem.h"),
    (r"bus/(?!base/)", r"pthread_(?:mutex|cond|rwlock)_\w+", "locks are ranked: base/lock.h"),
    (r"bus/", r"sleep|usleep", "wait for a condition with a deadline"),
]


def find_calls(path, code, lines):
    faults = []
    for where, calls, why in FORBIDDEN:
        if not re.match(where, path):
            continue
        for match in re.finditer(rf"(?<![\w.>])({calls})\s*\(", code):
            at = code.count("\n", 0, match.start()) + 1
            if "/* lint: " not in lines[at - 1]:
                faults.append(f"{path}:{at}: {match.group(1)}: {why}")
    if re.match(BELOW_CLI, path):
        for match in re.finditer(r"\bstdout\b", code):
            faults.append(f"{path}:{code.count(chr(10), 0, match.start()) + 1}: stdout: nothing below cli prints")
    return faults


def has_essay(text):
    """A comment of three lines or more before the first code that is not #include or #define."""
    rest = "\n".join(text.split("\n")[2:])
    while True:
        rest = rest.lstrip()
        comment = re.match(r"/\*.*?\*/", rest, re.S)
        if comment:
            if comment.group().count("\n") >= 2:
                return True
            rest = rest[comment.end():]
            continue
        directive = re.match(r"#(?:\\\n|[^\n])*", rest)
        if not directive:
            return False
        rest = rest[directive.end():]


def check_c(path, text, root):
    lines = text.split("\n")
    faults = []
    if lines[:2] != [f"/* {line} */" for line in LICENCE]:
        faults.append(f"{path}:1: does not begin with the two licence lines")
    count, limit = text.count("\n"), (SUITE_MAX if path.startswith("tests/") else C_MAX) if path.endswith(
        ".c") else H_MAX
    if count > limit:
        faults.append(f"{path}:{limit}: {count} lines; over {limit} a file is split")
    if path.endswith(".c") and not path.startswith("tests/") and count > ESSAY_FROM and not has_essay(text):
        faults.append(f"{path}:3: over {ESSAY_FROM} lines, and no opening comment says what it is for")
    if path.startswith("bus/") and path.endswith(".c"):
        folder, name = os.path.split(path)
        cmake = os.path.join(root, folder, "CMakeLists.txt")
        listed = os.path.exists(cmake) and re.search(
            rf"(^|[\s\"(/]){re.escape(name)}\b", lintlib.read(cmake, root="/"), re.M)
        if not listed:
            faults.append(f"{path}:1: is not listed in {folder}/CMakeLists.txt")
    return faults + find_calls(path, lintlib.strip(text), lines)


def check(root):
    faults = []
    sources = lintlib.files(".c", ".h", root=root)
    for path in sources:
        faults += check_c(path, lintlib.read(path, root), root)
    scripts = lintlib.files(".py", ".sh", ".cmake", "CMakeLists.txt", root=root)
    for path in scripts:
        head = lintlib.read(path, root).split("\n")[:4]
        if not all(f"# {line}" in head for line in LICENCE):
            faults.append(f"{path}:1: does not begin with the two licence lines")
    return faults, len(sources)


def self_test():
    head = "".join(f"/* {line} */\n" for line in LICENCE)
    cases = []

    def case(what, path, text, pattern, cmake="set(SOURCES\n    a.c\n)"):
        with tempfile.TemporaryDirectory() as root:
            folder = os.path.join(root, os.path.dirname(path))
            os.makedirs(folder)
            for name, body in (("CMakeLists.txt", "".join(f"# {x}\n" for x in LICENCE) + cmake),
                               (os.path.basename(path), text)):
                with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                    file.write(body)
            cases.append((what, check(root)[0], pattern))

    long = "int x;\n" * 160
    case("clean", "bus/run/a.c", head + "int f(void) { return 1; } /* strcpy(a) */\n", None)
    case("licence", "bus/run/a.c", "int x;\n", "licence")
    case("strcpy", "tests/unit/a.c", head + "void f(void)\n{\n    strcpy(a, b);\n}\n", r"a\.c:5: strcpy")
    case("atoi", "handlers/x/a.c", head + "int y = atoi(s);\n", "atoi")
    case("fetch", "tests/unit/a.c", head + "int y = natsSubscription_Fetch(l);\n", "overflows")
    case("batch", "bus/transport/a.c", head + "int y = rd_kafka_consume_batch_queue(q);\n", "skips")
    case("batch in a bench", "tests/bench/a.c", head + "int y = rd_kafka_consume_batch_queue(q);\n", None)
    case("fork", "bus/run/a.c", head + "int y = fork();\n", "survive")
    case("spawn", "bus/run/a.c", head + "int y = posix_spawn(p);\n", "sockets")
    case("spawn of a trial", "bus/run/module_probe.c", head + "int y = posix_spawn(p);\n", None,
         "set(SOURCES\n    module_probe.c\n)")
    case("fork of a trial", "bus/run/module_probe.c", head + "int y = fork();\n", "survive")
    case("no fork", "bus/run/a.c", head + "int y = my_fork() + a.system(b);\n", None)
    case("printf in run", "bus/run/a.c", head + 'int y = printf("x");\n', "below cli")
    case("stdout in run", "bus/run/a.c", head + 'int y = fputs("x", stdout);\n', "below cli")
    case("snprintf", "bus/run/a.c", head + 'int y = snprintf(a, 1, "printf(");\n', None)
    case("printf in cli", "bus/cli/a.c", head + 'int y = printf("x");\n', None)
    case("malloc", "bus/run/a.c", head + "void *y = malloc(1);\n", "heap")
    case("malloc in base", "bus/base/a.c", head + "void *y = malloc(1);\n", None)
    case("mutex", "bus/run/a.c", head + "int y = pthread_mutex_lock(m);\n", "ranked")
    case("exempt", "bus/run/a.c", head + "int y = pthread_mutex_lock(m); /* lint: a callback's own */\n", None)
    case("no essay", "bus/run/a.c", head + '#include "a.h"\n/* short */\n' + long, "opening comment")
    case("essay", "bus/run/a.c", head + "\n/* a.c - x.\n *\n * y\n */\n" + long, None)
    case("size", "bus/run/a.h", head + long * 3, "is split")
    case("unlisted", "bus/run/a.c", head, "not listed", cmake="set(SOURCES\n    data.c\n)")
    case("script", "tests/lint/a.py", "print(1)\n", "licence")
    return lintlib.expect("style", cases)


lintlib.main("style", check, self_test)

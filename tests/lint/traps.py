#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""What docs promise names a file or a test: is it there? In docs/client-libraries.md every trap has its line,
and each line names the files that keep its rule and the tests that show it; in docs/guarantees.md each promise
names its test."""

import fnmatch
import os
import re
import tempfile

import lintlib

TRAPS = "docs/client-libraries.md"
PROMISES = "docs/guarantees.md"
NUMBERS = [f"{letter}{n}" for letter, count in (("K", 25), ("N", 14), ("D", 6)) for n in range(1, count + 1)]
NOWHERE = re.compile(r"not in this build|every suite")


def cells(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def rows(text):
    """(line number, cells) of table rows, without heads and rulers."""
    lines = text.split("\n")
    for at, line in enumerate(lines):
        is_head = at + 1 < len(lines) and lines[at + 1].startswith("|---")
        if line.startswith("|") and not line.startswith("|---") and not is_head:
            yield at + 1, cells(line)


def names_of_tests(root):
    """Cases (functions in tests) and names that ctest knows."""
    found = set()
    for path in lintlib.files(".c", ".py", ".sh", root=root, folders=("tests", "handlers")):
        text = lintlib.read(path, root)
        found.update(re.findall(r"^static void\s+(\w+)\(\s*void \*\*\w+\)", text, re.M))
        found.update(re.findall(r"^def (\w+)\(", text, re.M))
        stem = os.path.splitext(os.path.basename(path))[0]
        found.add(f"lint_{stem}" if path.startswith("tests/lint/") else stem)
    for path in lintlib.files("CMakeLists.txt", root=root, folders=("tests",)):
        text = lintlib.read(path, root)
        found.update(re.findall(r"dray_(?:test|e2e)\((\w+)", text))
        found.update(re.findall(r"add_test\(NAME (\w+)", text))
        found.update("fuzz_" + name for name in re.findall(r"dray_fuzz\((\w+)", text))
        for variable, words, body in re.findall(r"foreach\((\w+) IN ITEMS ([^)]*)\)(.*?)endforeach", text, re.S):
            for pattern in re.findall(r"(?:add_test\(NAME|dray_test\(|dray_e2e\(|dray_fuzz\() ?(\S+)", body):
                prefix = "fuzz_" if f"dray_fuzz({pattern}" in body else ""
                found.update(prefix + pattern.replace(f"${{{variable}}}", word) for word in words.split())
    planted = os.path.join(root, "bus/core/planted.h")
    if os.path.exists(planted):
        text = lintlib.read("bus/core/planted.h", root)
        found.update(f"sim_planted_{number}_{name}" for name, number in re.findall(r"X\((\w+), (\d+),", text))
    return found


def check_files(cell, root):
    for path in re.findall(r"`([^`]+)`", cell):
        if not any(os.path.exists(os.path.join(root, base, path)) for base in ("bus", "")):
            yield f"there is no file {path}"


def check_tests(cell, tests):
    for name in re.findall(r"`([\w*]+)`", cell):
        if not fnmatch.filter(tests, name):
            yield f"there is no test {name}"


def check_traps(root, tests):
    faults, seen = [], []
    for line, row in rows(lintlib.read(TRAPS, root)):
        def fault(text, line=line):
            faults.append(f"{TRAPS}:{line}: {text}")
        if len(row) != 5 or not all(row):
            fault(f"{row[0]}: wants five cells that say something")
            continue
        seen.append(row[0])
        for text in [*check_files(row[3], root), *check_tests(row[4], tests)]:
            fault(f"{row[0]}: {text}")
        if "`" not in row[4] and not NOWHERE.search(row[4]):
            fault(f"{row[0]}: names no test")
    if seen != NUMBERS:
        faults.append(f"{TRAPS}: lines are missing, doubled or out of order: "
                      f"{sorted(set(NUMBERS) ^ set(seen)) or seen}")
    return faults


def check(root):
    tests = names_of_tests(root)
    faults = check_traps(root, tests)
    for line, row in rows(lintlib.read(PROMISES, root)):
        if len(row) == 3 and row[1] in ("both", "Kafka", "NATS", "-"):
            faults += [f"{PROMISES}:{line}: {text}" for text in check_tests(row[2], tests)]
    return faults, len(tests)


def self_test():
    cases = []
    head = "| # | a | b | c | d |\n|---|---|---|---|---|\n"
    good = {number: f"| {number} | x | y | `run/a.c`, `tests/b.c` | `it_works`, `e2e_one_*` |" for number in NUMBERS}
    tests = {"bus/run/a.c": "", "tests/b.c": "static void it_works(void **state)\n{\n",
             "tests/CMakeLists.txt": "dray_e2e(e2e_one_nats x.py)\nforeach(n IN ITEMS a b)\n"
                                     "    add_test(NAME loop_${n} COMMAND x)\nendforeach()\n",
             "bus/core/planted.h": "X(SO, 3, \"\")\n"}

    def case(what, changes, pattern, promise="| p | both | `loop_b`, `sim_planted_3_SO` |\n"):
        with tempfile.TemporaryDirectory() as root:
            table = head + "\n".join({**good, **changes}.values()) + "\n"
            for path, text in {**tests, TRAPS: table, PROMISES: "| a | on | b |\n|---|---|---|\n" + promise}.items():
                os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
                with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                    file.write(text)
            cases.append((what, check(root)[0], pattern))

    case("clean", {}, None)
    case("no such file", {"K3": "| K3 | x | y | `run/z.c` | `it_works` |"}, "K3: there is no file run/z.c")
    case("no such test", {"N2": "| N2 | x | y | `run/a.c` | `it_fails` |"}, "N2: there is no test it_fails")
    case("no test at all", {"D1": "| D1 | x | y | `run/a.c` | surely |"}, "D1: names no test")
    case("said to be missing", {"D1": "| D1 | x | y | `run/a.c` | not in this build |"}, None)
    case("an empty cell", {"D2": "| D2 | x | | `run/a.c` | `it_works` |"}, "D2: wants five")
    case("a trap is forgotten", {"K9": "| K8 | x | y | `run/a.c` | `it_works` |"}, "missing.*K9")
    case("a promise without its test", {}, "guarantees.md:3: there is no test loop_c", "| p | both | `loop_c` |\n")
    return lintlib.expect("traps", cases)


lintlib.main("traps", check, self_test)

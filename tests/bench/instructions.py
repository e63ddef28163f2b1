#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""How many instructions a command takes of the engine's thread, which unlike time is the same each time.

tests/bench/instructions.py [--build build/release] [--check | --write]

Runs bench_engine (a command taken in, decoded, through the core, its result encoded, settled; no broker, no client
library, no handler) under valgrind's callgrind with some commands and with twice as many: the difference is what
they took, without whatever a start takes. One JSON object a line for each window, which is how many results wait
for their acknowledgement. Likewise bench_call: a command handed to a lane and back, the look-up of its route, a
handler (one small number as its result), and no or three interceptors that do nothing.

--check compares with the table beside this file, tests/bench/instructions.json, and fails when a figure is more
than 2 % above it; --write writes the table. What is counted depends on the compiler, so the table names it, and
another one is not compared. Needs valgrind (apt-get install valgrind) and the release build:
cmake --preset release && cmake --build build/release --target bench_engine bench_call
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
TABLE = os.path.join(HERE, "instructions.json")
WINDOWS = (256, 4096)
INTERCEPTORS = (0, 3)
COMMANDS = 20000
SLACK = 1.02


def collected(program, *arguments):
    """Instructions of one run."""
    done = subprocess.run(
        ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", program, *map(str, arguments)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or found is None:
        sys.exit(f"instructions: {program} {arguments} ended with {done.returncode}: {done.stderr[-500:]}")
    return int(found.group(1))


def compiler(build):
    """Name and version of what made it, and for which machine."""
    with open(os.path.join(build, "CMakeCache.txt"), encoding="utf-8") as file:
        path = re.search(r"^CMAKE_C_COMPILER:\w+=(.*)$", file.read(), re.MULTILINE).group(1)
    version = subprocess.run([path, "-dumpfullversion", "-dumpversion"], stdout=subprocess.PIPE, text=True,
                             check=True).stdout.split()[0]
    machine = subprocess.run([path, "-dumpmachine"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    return f"{os.path.basename(path)} {version} {machine}"


def program_of(build, name):
    program = os.path.join(build, "tests", name)
    if not os.path.exists(program):
        sys.exit(f"instructions: there is no {program}; make it: cmake --build {build} --target {name}")
    return program


def count_calls(build):
    program, modules = program_of(build, "bench_call"), os.path.join(build, "tests", "modules")
    figures = {}
    for interceptors in INTERCEPTORS:
        once, twice = (collected(program, modules, commands, interceptors)
                       for commands in (COMMANDS // 10, COMMANDS // 5))
        figures[f"call, {interceptors} interceptors"] = round((twice - once) / (COMMANDS // 10))
    return figures


def count(build):
    program = program_of(build, "bench_engine")
    figures = count_calls(build)
    for window in WINDOWS:
        once, twice = (collected(program, commands, window) for commands in (COMMANDS, 2 * COMMANDS))
        figures[f"engine, window {window}"] = round((twice - once) / COMMANDS)
    return figures


def compare(figures, table):
    """The exit code."""
    code = 0
    for name, most in table["instructions_per_command"].items():
        is_more = figures[name] > most * SLACK
        print(json.dumps({"name": name, "instructions_per_command": figures[name], "table": most,
                          "ratio": round(figures[name] / most, 3), "is_more": is_more}))
        if is_more:
            print(f"instructions: {name}: {figures[name]} a command, more than 2 % above {most}: find out why, or "
                  "say in the commit why it is worth it and write the table anew (--write)", file=sys.stderr)
            code = 1
    return code


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build/release")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true")
    what.add_argument("--write", action="store_true")
    options = parser.parse_args()
    if shutil.which("valgrind") is None:
        sys.exit("instructions: valgrind is not installed: apt-get install valgrind")
    by = compiler(options.build)
    figures = count(options.build)
    if options.check:
        with open(TABLE, encoding="utf-8") as file:
            table = json.load(file)
        if table["compiler"] != by:
            print(f"instructions: the table is of {table['compiler']}, this build of {by}: not compared",
                  file=sys.stderr)
            return 0
        return compare(figures, table)
    for name, value in figures.items():
        print(json.dumps({"name": name, "instructions_per_command": value, "compiler": by}))
    if options.write:
        with open(TABLE, "w", encoding="utf-8") as file:
            json.dump({"compiler": by, "instructions_per_command": figures}, file, indent=2)
            file.write("\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

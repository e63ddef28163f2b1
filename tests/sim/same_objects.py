#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""The simulator links the same object files of the core and the engine as the binary does.

Asks the build tool what goes into each program, compares the lists, and hashes the files. Called as
same_objects.py <ninja> <build folder> <program>..."""

import hashlib
import os
import re
import subprocess
import sys

WANTED = re.compile(r"/dri_(core|engine)\.dir/.*\.o$")


def objects(ninja, build, program):
    target = os.path.relpath(program, build)
    run = subprocess.run([ninja, "-C", build, "-t", "inputs", target], check=True,
                         capture_output=True, text=True)
    found = {}
    for line in run.stdout.splitlines():
        if WANTED.search(line):
            path = os.path.join(build, line)
            with open(path, "rb") as file:
                found[line] = hashlib.sha256(file.read()).hexdigest()
    return found


def main():
    ninja, build, *programs = sys.argv[1:]
    lists = {program: objects(ninja, build, program) for program in programs}
    reference = lists[programs[0]]
    for path in sorted(reference):
        print(reference[path], path)
    if not reference:
        sys.exit(f"{programs[0]} has no objects of the core: the test looks at the wrong names")
    for program, found in lists.items():
        if found != reference:
            different = sorted(set(found.items()) ^ set(reference.items()))
            sys.exit(f"{program} does not link the same objects as {programs[0]}: {different}")


main()

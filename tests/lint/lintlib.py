# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""What the lints share: the list of our files, C without its comments, and the way to report."""

import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FOLDERS = ("bus", "handlers", "tests", "schemas", "compose", "cmake")
NEVER = {"build", ".git", ".venv", "__pycache__", "node_modules"}

TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def files(*endings, root=ROOT, folders=FOLDERS):
    """Every file of ours that ends so, as a path below root."""
    found = []
    for folder in folders:
        for at, dirs, names in os.walk(os.path.join(root, folder)):
            dirs[:] = sorted(d for d in dirs if d not in NEVER)
            found += [os.path.relpath(os.path.join(at, n), root) for n in sorted(names)
                      if n.endswith(endings)]
    return found


def read(path, root=ROOT):
    with open(os.path.join(root, path), encoding="utf-8") as file:
        return file.read()


def strip(text, strings=True):
    """C with comments (and the inside of strings) blanked; line numbers stay."""
    def blank(match):
        token = match.group()
        if token[0] == "/":
            return re.sub(r"[^\n]", " ", token)
        return token[0] + " " * (len(token) - 2) + token[0] if strings else token
    return TOKEN.sub(blank, text)


def report(name, faults, seen):
    """Prints the faults and gives the exit code. A lint that met no file has lost its way."""
    for fault in faults:
        print(fault)
    if seen == 0:
        print(f"{name}: met no file at all; is it looking in the right place?")
        return 1
    print(f"{name}: {seen} files, {len(faults)} faults")
    return 1 if faults else 0


def expect(name, cases):
    """Self-test: cases are (what, faults, pattern or None). None means: must be clean."""
    bad = 0
    for what, faults, pattern in cases:
        text = "\n".join(faults)
        good = not faults if pattern is None else re.search(pattern, text) is not None
        if not good:
            bad += 1
            print(f"{name} self-test: {what}: wanted {pattern or 'no fault'}, got:\n{text}")
    print(f"{name} self-test: {len(cases)} cases, {bad} wrong")
    return 1 if bad else 0


def main(name, check, self_test):
    if sys.argv[1:] == ["--self-test"]:
        sys.exit(self_test())
    if len(sys.argv) > 1:
        sys.exit(f"usage: {name} [--self-test]")
    faults, seen = check(ROOT)
    sys.exit(report(name, faults, seen))

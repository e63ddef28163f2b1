#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""clang-tidy 14 over what a build directory compiles, two at a time. A file that was clean is not
looked at again until it, a header, its command or .clang-tidy changes.

usage: tidy.py BUILD_DIR [FILE...]      or      tidy.py --self-test"""

import concurrent.futures
import hashlib
import json
import os
import subprocess
import sys
import tempfile

import lintlib

TIDY = os.environ.get("CLANG_TIDY", "clang-tidy-14")
# The commands are gcc's; clang does not know each of its warnings.
EXTRA = ["--quiet", "--extra-arg=-Wno-unknown-warning-option", "--extra-arg=-Wno-unused-command-line-argument"]


def tidy(path, build):
    run = subprocess.run([TIDY, *EXTRA, "-p", build, path], capture_output=True, text=True, check=False)
    return run.returncode, run.stdout.strip() or run.stderr.strip()


def self_test():
    with tempfile.TemporaryDirectory(dir=os.path.join(lintlib.ROOT, "build")) as root:
        source = os.path.join(root, "planted.c")
        results = []
        for text in ("int f(const char *s);\nint f(const char *s) { if (s) return 1; return 0; }\n",
                     "int f(int n);\nint f(int n)\n{\n    return n;\n}\n"):
            with open(source, "w", encoding="utf-8") as file:
                file.write(text)
            with open(os.path.join(root, "compile_commands.json"), "w", encoding="utf-8") as file:
                json.dump([{"directory": root, "file": source, "command": f"cc -c {source}"}], file)
            code, out = tidy(source, root)
            results.append([] if code == 0 else [out])
    return lintlib.expect("tidy", [("no braces", results[0], "braces"), ("clean", results[1], None)])


def digest(paths):
    whole = hashlib.sha256()
    for path in paths:
        whole.update(path.encode() + b"\0" + lintlib.read(path).encode() + b"\0")
    return whole


def main():
    build, wanted = os.path.abspath(sys.argv[1]), [os.path.abspath(f) for f in sys.argv[2:]]
    stamps = os.path.join(build, "tidy")
    os.makedirs(stamps, exist_ok=True)
    common = digest([".clang-tidy"] + lintlib.files(".h"))
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        commands = json.load(file)
    todo, seen = {}, set()
    for entry in commands:
        path = os.path.normpath(os.path.join(entry["directory"], entry["file"]))
        ours = path.endswith(".c") and path.startswith(lintlib.ROOT + "/") and not path.startswith(build)
        if not ours or path in seen or wanted and path not in wanted:
            continue
        seen.add(path)
        key = common.copy()
        key.update(digest([path]).digest() + entry["command"].encode())
        stamp = os.path.join(stamps, key.hexdigest())
        if not os.path.exists(stamp):
            todo[path] = stamp
    faults = []
    with concurrent.futures.ThreadPoolExecutor(int(os.environ.get("TIDY_JOBS", "2"))) as pool:
        for path, (code, out) in zip(todo, pool.map(lambda p: tidy(p, build), todo)):
            if code == 0:
                open(todo[path], "w", encoding="utf-8").close()
            else:
                faults.append(out or f"{path}: clang-tidy failed")
    have_sources = lintlib.files(".c", folders=("bus", "handlers"))
    return lintlib.report("tidy", faults, len(seen) or (0 if have_sources else 1))


sys.exit(self_test() if sys.argv[1:] == ["--self-test"] else main())

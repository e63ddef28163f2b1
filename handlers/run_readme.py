#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""Does what handlers/README.md says, in a copy of the sources, and compares what it shows.

Blocks by their info string: `file=PATH` is written, `append=PATH` is appended, `sh` is run (exit code 0,
or `exit=N`), and a `text` block behind it must be the last lines of its output. Other blocks are only
read by people.
usage: run_readme.py SOURCE_DIR"""

import os
import re
import shutil
import subprocess
import sys
import tempfile

BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.M | re.S)


def blocks(text):
    for match in BLOCK.finditer(text):
        words = match.group(1).split()
        options = dict(word.split("=", 1) for word in words[1:])
        yield words[0] if words else "", options, match.group(2), text.count("\n", 0, match.start()) + 1


def write(root, path, mode, text):
    full = os.path.join(root, path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, mode, encoding="utf-8") as file:
        file.write(text)


def run(root, script, line):
    done = subprocess.run(["bash", "-euc", script], cwd=root, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    print(f"--- README.md:{line}\n{script}{done.stdout}--- exit {done.returncode}", flush=True)
    return done


def follow(root, text):
    faults, output, counts = [], None, {"sh": 0, "text": 0, "file": 0}
    for kind, options, body, line in blocks(text):
        if "file" in options:
            write(root, options["file"], "w", body)
            counts["file"] += 1
        elif "append" in options:
            write(root, options["append"], "a", "\n" + body)
        elif kind == "sh":
            done = run(root, body, line)
            output = done.stdout
            counts["sh"] += 1
            if done.returncode != int(options.get("exit", "0")):
                faults.append(f"README.md:{line}: exit code {done.returncode}")
                break
        elif kind == "text":
            counts["text"] += 1
            if output is None or not output.endswith(body):
                faults.append(f"README.md:{line}: shows\n{body}but the commands print\n{output}")
    if min(counts.values()) < 2:
        faults.append(f"README.md: hardly anything was found to run: {counts}")
    return faults


def main():
    source = sys.argv[1]
    with open(os.path.join(source, "handlers", "README.md"), encoding="utf-8") as file:
        text = file.read()
    with tempfile.TemporaryDirectory(prefix="dray-readme-") as folder:
        root = os.path.join(folder, "dray")
        shutil.copytree(source, root, symlinks=True, ignore=lambda at, names: [
            n for n in names if at == source and n in ("build", ".git") or n == "__pycache__"])
        faults = follow(root, text)
    for fault in faults:
        print(fault)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""The first commands of a newcomer who is not root: what is missing is told as one apt line, exit code 77.

The scripts run in a copy of their folders, in front of tools that play a machine without packages, without
root and without sudo; apt-get leaves a mark, and must never be called.
"""

import os
import shutil
import stat
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SCRIPTS = ("tests/install-deps", "tests/run", "tests/requirements.txt", "compose/quickstart")
TOOLS = {
    "id": 'if [ "$*" = -u ]; then echo 1000; else exec /usr/bin/id "$@"; fi',
    "sudo": 'echo "sudo: a password is required" >&2; exit 1',
    "dpkg-query": "exit 1",
    "apt-get": 'touch "$(dirname "$0")/apt-was-called"; exit 99',
}


def make(folder):
    for script in SCRIPTS:
        path = os.path.join(folder, script)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        shutil.copy(os.path.join(ROOT, script), path)
    tools = os.path.join(folder, "tools")
    os.mkdir(tools)
    for name, body in TOOLS.items():
        path = os.path.join(tools, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\n{body}\n")
        os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)
    return tools


def main():
    with tempfile.TemporaryDirectory(prefix="dray-first-steps-") as folder:
        tools = make(folder)
        # Not what a run that this test is part of keeps there for itself.
        env = {name: value for name, value in os.environ.items() if not name.startswith("DRAY_")}
        env["PATH"] = f"{tools}:{os.environ['PATH']}"
        for command, package in ((["tests/install-deps"], "cmake"), (["tests/install-deps", "build"], "gcc"),
                                 (["tests/install-deps", "--check", "test"], "python3-venv"),
                                 (["compose/quickstart"], "librdkafka-dev"),
                                 (["compose/quickstart", "--kafka"], "librdkafka-dev"),
                                 (["tests/run"], "libcmocka-dev"), (["tests/run", "--quick"], "libcmocka-dev")):
            done = subprocess.run([os.path.join(folder, command[0]), *command[1:]], capture_output=True, text=True,
                                  check=False, timeout=60, env=env, stdin=subprocess.DEVNULL, cwd=folder)
            said = done.stdout + done.stderr
            assert done.returncode == 77, f"{command}: {done.returncode}\n{said}"
            lines = [line for line in said.splitlines() if "apt-get" in line]
            assert len(lines) == 1, f"{command}: one line to copy, not {lines}\n{said}"
            assert "apt-get update && apt-get install -y" in lines[0] and f" {package}" in lines[0], lines
            assert not os.path.exists(os.path.join(tools, "apt-was-called")), f"{command} installs without root"
            print(f"ok    {' '.join(command)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""A sanitizer's report fails a scenario, whatever becomes of the process's exit code.

test_reports.py address|thread     the sanitizer of this build
"""

import os
import subprocess
import sys

import workers

FAULTY = os.path.join(workers.BUILD, "tests", "faulty")
FAULTS = {"address": ("address", "leak", "undefined"), "thread": ("thread",)}


def is_seen(fault):
    """Whether a scenario fails in which only the program with this fault ran."""
    folder = workers.Folder("reports")
    try:
        with folder as path, open(os.path.join(path, "faulty.log"), "wb") as log:
            subprocess.run([FAULTY, fault], check=False, stdout=log, stderr=log, timeout=120)
    except AssertionError:
        subprocess.run(["rm", "-r", folder.path], check=True)
        return True
    return False


def main():
    assert not is_seen("none"), "a program without a fault was reported"
    for fault in FAULTS[sys.argv[1]]:
        assert is_seen(fault), f"nobody saw the fault {fault}"
    return 0


if __name__ == "__main__":
    sys.exit(main())

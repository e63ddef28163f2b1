#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""The README's first command: it ends well, shows what it says, and leaves nothing behind.

test_quickstart.py --bus nats|kafka
"""

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile

import workers
from workers import brokers

QUICKSTART = os.path.join(workers.ROOT, "compose", "quickstart")
TIMEOUT_S = 240


def mentioning(text):
    """Processes whose command line holds the text."""
    found = []
    for name in os.listdir("/proc"):
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                line = file.read()
        except OSError:
            continue
        if name.isdigit() and int(name) != os.getpid() and text.encode() in line:
            found.append(line.replace(b"\0", b" ").decode(errors="replace"))
    return found


def start(folder, bus, *arguments):
    env = {k: v for k, v in os.environ.items() if not k.startswith("DRAY_")}
    return subprocess.Popen(
        [QUICKSTART, f"--{bus}", "--build", workers.BUILD, *arguments], stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=dict(env, TMPDIR=folder))


def nothing_is_left(folder):
    brokers.wait_for(lambda: not mentioning(folder), 30, f"no process of {folder}: {mentioning(folder)}")
    assert os.listdir(folder) == [], os.listdir(folder)


def it_shows_every_kind_and_leaves_nothing_behind(folder, bus):
    with start(folder, bus) as process:
        said = process.communicate(timeout=TIMEOUT_S)[0]
    assert process.returncode == 0, said
    for text in ("order.create@1.0.0", '"total_cents": 1710', "text.digest: unknown_command",
                 "probe.run@1.0.0: rejected", "kept as a dead letter"):
        assert text in said, f"{text!r} is missing in:\n{said}"
    assert re.search(r"invalid +-", said) and "0xc1" in said, said
    assert re.search(r'function_calls_total{.*text.digest.*"ok"} 1', said), said
    nothing_is_left(folder)


def kept_it_goes_on_and_ends_as_it_says(folder, bus):
    with start(folder, bus, "--keep") as process:
        said = process.communicate(timeout=TIMEOUT_S)[0]
    assert process.returncode == 0, said
    lines = said.splitlines()
    exports = next(line for line in lines if "export DRAY_BUS=" in line)
    send = next(line for line in lines if line.startswith("  dray send order.create"))
    end = lines[lines.index("To end it:") + 1]
    run = subprocess.run(["bash", "-c", f"{exports}\n{send}"], capture_output=True, text=True, check=False,
                         timeout=60)
    assert run.returncode == 0 and '"status":"ok"' in run.stdout, run
    subprocess.run(["bash", "-c", end], check=True, timeout=60)
    nothing_is_left(folder)


def interrupted_it_leaves_nothing_behind(folder, bus):
    process = start(folder, bus)
    said = ""
    for line in process.stdout:
        said += line
        if line.startswith("worker "):
            break
    process.send_signal(signal.SIGTERM)
    said += process.communicate(timeout=60)[0]
    assert process.returncode == 143, f"{process.returncode}:\n{said}"
    nothing_is_left(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bus", default="nats", choices=["nats", "kafka"])
    bus = parser.parse_args().bus
    cases = [it_shows_every_kind_and_leaves_nothing_behind, kept_it_goes_on_and_ends_as_it_says]
    if bus == "nats":
        cases.append(interrupted_it_leaves_nothing_behind)
    for function in cases:
        with tempfile.TemporaryDirectory(prefix="dray-quickstart-test-") as folder:
            function(folder, bus)
        print(f"ok    {function.__name__}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

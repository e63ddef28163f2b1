# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""What the scenarios of the registry share: a broker, a folder, replicas, the command line."""

import argparse
import json
import os
import pty
import subprocess
import time

import workers
from workers import brokers

TOPICS = {"commands": "commands", "results": "results", "dead_letters": "dlq.reg.commands"}
PUT_PROBE = ["--module", "probe.so", "--handler", "probe"]


def start_broker(name):
    if name == "nats":
        return brokers.Nats()
    return brokers.Kafka(name.partition(":")[2] or "3.9.1")


class Bench:
    """A broker, a folder and the command line."""

    def __init__(self, folder, broker):
        self.folder = folder
        self.broker = broker
        self.replicas = []

    def configuration(self, **changes):
        config = workers.configuration(self.broker.url, "reg", TOPICS, settle_ms=200)
        config.update(changes)
        return config

    def replica(self, name, **changes):
        worker = workers.Worker(self.folder, name, self.configuration(**changes))
        self.replicas.append(worker)
        return worker

    def start(self, name, **changes):
        worker = self.replica(name, **changes)
        return worker.start().wait_ready()

    def popen(self, *arguments):
        return subprocess.Popen([workers.DRAY, *arguments, "--bus", self.broker.url],
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    def dray(self, *arguments, code=0):
        """Runs dray; returns (objects on stdout, text on stderr). code None: whatever it gives."""
        process = self.popen(*arguments)
        out, err = process.communicate(timeout=90)
        assert code in (None, process.returncode), f"dray {arguments} gave {process.returncode}:\n{out}{err}"
        return [json.loads(line) for line in out.splitlines()], err

    def on_terminal(self, *arguments):
        """What dray prints for people: standard output is a terminal."""
        ours, theirs = pty.openpty()
        process = subprocess.Popen([workers.DRAY, *arguments, "--bus", self.broker.url], stdin=subprocess.DEVNULL,
                                   stdout=theirs, stderr=subprocess.DEVNULL)
        os.close(theirs)
        shown = b""
        try:
            while True:
                shown += os.read(ours, 65536)
        except OSError:  # the other end is closed
            pass
        os.close(ours)
        process.wait(timeout=90)
        return shown.decode(errors="replace").replace("\r\n", "\n")

    def routes(self):
        return {route["key"]: route for route in self.dray("registry", "ls")[0]}

    def status(self):
        process = self.popen("registry", "status")
        out, err = process.communicate(timeout=90)
        assert process.returncode in (0, 3), f"status gave {process.returncode}: {err}"
        return {replica["worker"]: replica for replica in map(json.loads, out.splitlines())}

    def agreed(self, names, revision):
        """Waits until these replicas, and no others, are live at this revision; returns the digest."""
        seen = {}

        def is_so():
            seen.clear()
            seen.update(self.status())
            return set(seen) == set(names) and all(
                replica["revision"] == revision for replica in seen.values())

        try:
            workers.settle_down(is_so, 90, f"{names} at revision {revision}")
        except AssertionError as error:
            raise AssertionError(f"{error}: {seen}") from None
        digests = {replica["digest"] for replica in seen.values()}
        assert len(digests) == 1, f"one revision, but digests {digests}"
        return digests.pop()

    def send(self, command, code=0):
        return self.dray("send", command, "--topic", "commands", "--payload", '{"do": "ok"}',
                         "--wait=30", "--timeout", "30", code=code)[0]

    def end(self):
        for replica in self.replicas:
            if replica.is_running():
                replica.kill()


def main(description, cases):
    """One broker, folder and set of replicas for each case."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--bus", default="nats")
    parser.add_argument("--only")
    arguments = parser.parse_args()
    for case in cases:
        kind = arguments.bus.partition(":")[0]
        if arguments.only not in (None, case.__name__) or getattr(case, "only", kind) != kind:
            continue
        begun = time.monotonic()
        with workers.Folder("registry") as folder, start_broker(arguments.bus) as broker:
            bench = Bench(folder, broker)
            try:
                case(bench)
            finally:
                bench.end()
        print(f"{case.__name__}: ok, {time.monotonic() - begun:.1f} s", flush=True)
    return 0

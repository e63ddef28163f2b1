#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""New versions on trial: a bad one is paused by itself within the stated calls, a good one takes all.

Which version ran is known from outside: the old one is the probe, which logs each call; the bad new one is
another handler, which refuses what the probe takes.

test_canary.py --bus nats|kafka[:VERSION] [--only CASE]
"""

import sys

import msgpack

import clients
import registry_bench
import workers
from registry_bench import PUT_PROBE
from test_registry_changes import Log

OLD, NEW = "default/a.run@1.0.0", "default/a.run@2.0.0"
STATED = 10  # docs/guide/canary.md: calls of a version that always fails
BAD = ["--module", "text.so", "--handler", "text_digest"]


class Traffic:
    """Commands in waves; a wave is over when each of its commands has an end."""

    def __init__(self, bench, keys):
        self.client = clients.connect(bench.broker.url)
        self.keys = keys
        self.sent = []

    def ended(self, topic):
        return self.client.read(topic)

    def wave(self, count):
        messages = []
        for _ in range(count):
            number = len(self.sent)
            key = f"k{number % self.keys}"
            self.sent.append((f"c{number}", key))
            messages.append((key, msgpack.packb({"v": 1, "id": f"c{number}", "cmd": "a.run", "key": key,
                                                 "payload": {"do": "ok"}}), []))
        self.client.publish("commands", messages)
        workers.settle_down(lambda: len(self.ended("results")) >= len(self.sent), 60, "each command has an end")

    def letters(self):
        return len(self.ended(registry_bench.TOPICS["dead_letters"]))


def started(bench, new, policy):
    worker = bench.start("one")
    bench.dray("registry", "put", "a.run@1.0.0", *PUT_PROBE, "--wait=30")
    bench.dray("registry", "put", "a.run@2.0.0", *new, "--wait=30", *policy)
    return worker


def a_bad_version_is_stopped(bench):
    """At 5 % it fails every call: it is paused within the stated calls, and never called again."""
    # A policy that has the word, but no rules: they are added all the same.
    worker = started(bench, BAD, ["--canary", "5%", "--policy", '{"fallback": "canary"}'])
    traffic = Traffic(bench, 10**9)
    after, wave = None, 20
    for _ in range(40):
        before = traffic.letters()
        traffic.wave(wave)
        if Log(bench).route(NEW).get("state") == "paused":
            after = traffic.letters()
            break
    assert after is not None, worker.log()
    # Up to the last wave but one there was no verdict; what came in that one may have been under way.
    assert before < STATED and after <= STATED + (after - before), (before, after)
    log = Log(bench)
    change = log.changes[log.present[NEW][0]]
    assert change["author"] == "canary@one" and change["note"].startswith("rolled back: errors"), change
    assert Log(bench).accepted, "the change was accepted"
    workers.settle_down(lambda: worker.metric("dray_registry_revision") == log.end, 30, "it is applied")
    traffic.wave(200)
    assert traffic.letters() == after, "it was called again"
    assert len(workers.runs(worker.probe_log)) == len(traffic.sent) - after
    assert worker.metric("dray_canaries_rolled_back_total") == 1 and "CANARY-WORSE" in worker.log()


def a_good_version_takes_all(bench):
    """It is promoted by itself, and each key's commands run in their order, before and after."""
    policy = ["--canary", "50%", "--policy", '{"canary": {"promote_after": 40, "tolerance": 20}}']
    worker = started(bench, PUT_PROBE, policy)
    traffic = Traffic(bench, 40)
    for _ in range(40):
        traffic.wave(80)
        if "weight" not in Log(bench).route(NEW):
            break
    log = Log(bench)
    assert "weight" not in log.route(NEW) and "weight" not in log.route(OLD), worker.log()
    change = log.changes[log.present[NEW][0]]
    assert change["author"] == "canary@one" and change["note"].startswith("promoted: errors 0 of"), change
    traffic.wave(80)
    assert traffic.letters() == 0
    runs = workers.runs(worker.probe_log)
    of_key = {}
    for run in sorted(runs, key=lambda run: run.start_ns):
        of_key.setdefault(bytes.fromhex(run.key).decode(), []).append(bytes.fromhex(run.id).decode())
    sent = {}
    for name, key in traffic.sent:
        sent.setdefault(key, []).append(name)
    assert of_key == sent, "a key's commands ran in another order, or not once"


if __name__ == "__main__":
    sys.exit(registry_bench.main(__doc__, (a_bad_version_is_stopped, a_good_version_takes_all)))

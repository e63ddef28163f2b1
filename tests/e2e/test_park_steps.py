#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""Keys that come to stand still and are let go, with a kill at each step: of the worker that stops or holds the
key, of the release, and of a worker that runs what was released.

test_park_steps.py stop_key|park_sequence --bus nats|kafka[:VERSION]

Each scene: the first replica has one key alone, so that each passing of a point is one step, and dies at it.
The next one finishes that, and more keys come to stand. The first comes back and gets a part of them; the gate
opens, a release is killed at one of its steps and repeated while both run, and the first dies once more, in the
middle of what was released. Nothing is lost, no follower runs before its head has succeeded, and no more
commands run again than can have been in flight. On NATS with nats.partitions.
"""

import argparse
import collections
import signal
import sys
import time

import msgpack
import workers
from test_park import Scene, some_at_once
from workers import brokers

EACH = 2  # followers of each key

# The key's head waits once in the park log, so its records are: 1 the head, 2 and 3 its followers; then, with
# stop_key, 4 the head again, stopped; with park_sequence 4 its letter, 5 its result, 6 that the key is held,
# 7 and 8 letter and result of the first follower. The second handler call is that of the head's last attempt.
SCENES = {
    # (kill of who stops the key, kill of the release, kill of who runs what was released)
    "stop_key": (
        ("after_handler:2", "release_before_release", "before_handler:1"),
        ("before_publish:4", "release_after_release", "after_handler:1"),
        ("after_publish:4", "release_before_release", "before_publish:1"),
        ("before_settle:4", "release_after_release", "after_publish:1"),
        ("after_settle:4", "release_before_release", "before_settle:1"),
        ("before_settle:3", "release_after_release", "after_settle:1")),
    "park_sequence": (
        ("after_handler:2", "release_before_letter:1", "before_handler:1"),
        ("after_publish:4", "release_after_letter:1", "after_handler:1"),
        ("after_publish:5", "release_before_letter:2", "before_publish:1"),
        ("before_publish:6", "release_after_letter:2", "after_publish:1"),
        ("after_publish:6", "release_after_letter:3", "before_settle:1"),
        ("before_settle:4", "release_before_release", "after_settle:1"),
        ("after_settle:4", "release_after_release", "after_handler:3"),
        ("after_publish:7", "release_after_letter:1", "after_publish:3"))}


class Stand:
    """One scene."""

    def __init__(self, folder, url, exhausted, number):
        self.is_unit = exhausted == "park_sequence"
        self.kills = SCENES[exhausted][number]
        self.scene = Scene(folder, url, f"{exhausted.replace('_', '-')}-{number}",
                           {"attempts": 2, "backoff_ms": [300], "exhausted": exhausted})
        self.keys = self.scene.keys_of_each_partition()
        self.standing = len(self.keys) * (1 + EACH)

    def die(self, worker, point):
        workers.settle_down(lambda: not worker.is_running(), 90, f"{self.scene.name}: a death at {point}")
        assert worker.process.returncode == -signal.SIGKILL, worker.log()[-2000:]

    def what_is_there(self):
        """How far the first key had come."""
        scene = self.scene
        kinds = collections.Counter(record.header("dray-park-state") or "parked" for record in scene.parked())
        kinds["letters"] = len(scene.client.read(scene.topics["dead_letters"]))
        kinds["results"] = len(scene.client.read(scene.topics["results"]))
        if scene.is_kafka:  # where nothing goes from the log, but is committed as finished
            for log, name in ((scene.topics["commands"], "settled"), (scene.park, "park settled")):
                kinds[name] = sum(max(at, 0) for at in scene.client.committed(scene.name, log).values())
        return {kind: count for kind, count in sorted(kinds.items()) if count}

    def rows(self):
        """The keys that stand still by now; of none the command says so by its exit code."""
        return self.scene.dray("parked", code=(0, 3))

    def stand_still(self):
        """All keys stand: every command of them is in the park log, or is a letter."""
        scene = self.scene
        if self.is_unit:
            workers.settle_down(
                lambda: len({letter.value for letter in scene.client.read(scene.topics["dead_letters"])})
                == self.standing, 90, f"{scene.name}: every command of the held keys as a letter")
            workers.settle_down(lambda: len(self.rows()) == len(self.keys), 60, "four keys held")
        else:
            workers.settle_down(
                lambda: sum(1 + row["behind"] for row in self.rows()) == self.standing, 90,
                f"{scene.name}: every command of the stopped keys in the park log")
        state = "held" if self.is_unit else "stopped"
        rows = self.rows()
        assert [row["state"] for row in rows] == [state] * len(self.keys), rows
        ran = {run.id for run in scene.runs()}
        assert len(ran) == len(self.keys), f"{len(ran)} commands ran of keys that stand still"

    def release(self):
        """Each key; the first one is killed at its point, and let go a second time if that was too early."""
        scene, point = self.scene, self.kills[1]
        for at, key in enumerate(self.keys):
            key = key.decode()
            if at == 0:
                scene.dray("release", "--key", key, code=-signal.SIGKILL, env={"DRAY_CRASH_AT": point})
                if point == "release_after_release":
                    scene.dray("release", "--key", key, code=3)
                    continue
            [told] = scene.dray("release", "--key", key)
            assert told["letters"] == (1 + EACH if self.is_unit else 0), told

    def succeeded(self):
        scene = self.scene
        return {result["id"] for result in
                (msgpack.unpackb(message.value) for message in scene.client.read(scene.topics["results"]))
                if result["status"] == "ok"}

    def check_stands(self, gate_ns):
        """Until the gate opens the head of each key has its two attempts and nothing else runs: what stands still
        does not run when it is read from the log again. Of the first key one was cut off, or was not settled."""
        counts = collections.Counter(run.id for run in self.scene.runs() if run.start_ns < gate_ns)
        for key in self.keys:
            [head, *followers] = [command.id.encode().hex() for command in self.scene.commands if command.key == key]
            most = 3 if key == self.keys[0] else 2
            assert 2 <= counts[head] <= most, f"{key}, which stands still, ran {counts[head]} times"
            assert not any(counts[id_] for id_ in followers), f"a follower of {key} ran"

    def check_runs(self, gate_ns):
        """Returns how many runs there were beyond one that succeeded of each. Of a key that the replica which died
        never had there are none: neither the release that was killed nor the other's death repeat anything."""
        by_key = collections.defaultdict(list)
        number_of = {c.id.encode().hex(): c for c in self.scene.commands}
        good = [run for run in self.scene.runs() if run.start_ns > gate_ns]
        for run in good:
            by_key[number_of[run.id].key].append((run.start_ns, run.end_ns, number_of[run.id].number))
        of_one = {number_of[run.id].key for run in good if run.worker != self.scene.replicas["two"].name}
        for key, ran in by_key.items():
            ran.sort()
            first = []
            for _, _, number in ran:
                if number not in first:
                    first.append(number)
            assert first == sorted(first) and len(first) == 1 + EACH, f"{key} ran in the order {ran}"
            overlaps = [(a, b) for a, b in zip(ran, ran[1:]) if b[0] < a[1]]
            assert not overlaps, f"{key}: two runs at once: {overlaps}"
            assert key in of_one or len(ran) == 1 + EACH, f"{key} ran {len(ran)} times with the one that lived"
        assert len(by_key) == len(self.keys)
        return len(good) - self.standing

    def play(self):
        scene, (first_kill, _, last_kill) = self.scene, self.kills
        gate = {"do": "gate", "kind": "network"}
        try:
            one = scene.replica("one").start({"DRAY_CRASH_AT": first_kill}).wait_ready()
            scene.send(self.keys[:1], EACH, gate)
            self.die(one, first_kill)
            there = self.what_is_there()
            two = scene.replica("two").start().wait_ready()
            scene.send(self.keys[1:], EACH, gate)
            self.stand_still()
            one.start({"DRAY_CRASH_AT": last_kill}).wait_ready()
            workers.settle_down(lambda: (one.metric("dray_stopped_keys") or 0) > 0, 60,
                                "keys that stand still with the first replica")
            gate_ns = time.monotonic_ns()
            self.check_stands(gate_ns)
            with open(scene.probe_log + ".gate", "wb"):
                pass
            self.release()
            self.die(one, last_kill)
            one.start().wait_ready()
            workers.settle_down(lambda: len(self.succeeded()) == self.standing, 120,
                                f"{scene.name}: a good result of every command")
            again = self.check_runs(gate_ns)
            # On its way at the kill was, of each of its keys, one that ran and what had no confirmed settle.
            most = len(self.keys) * (1 + EACH) // 2
            assert again <= most, f"{scene.name}: {again} runs again, {most} may have been in flight"
            scene.dray("parked", code=3)
            for worker in (one, two):
                assert worker.stop() == 0, "a drain is clean"
            scene.check_park_is_empty()
            return there, again
        finally:
            scene.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("exhausted", choices=sorted(SCENES))
    parser.add_argument("--bus", default="nats")
    options = parser.parse_args()
    name, _, version = options.bus.partition(":")
    scenes = SCENES[options.exhausted]
    with workers.Folder(f"park-{options.exhausted}") as folder, (
            brokers.Nats() if name == "nats" else brokers.Kafka(version or "3.9.1")) as broker:
        told = some_at_once(lambda at: Stand(folder, broker.url, options.exhausted, at).play(), range(len(scenes)))
    for kills, (there, again) in zip(scenes, told):
        print(f"{', '.join(kills)}: {there} at the first kill, {again} runs again")
    steps = {tuple(there.items()) for there, _ in told}
    assert len(steps) >= 3, f"the kills were all at one step: {steps}"
    return 0


if __name__ == "__main__":
    sys.exit(main())

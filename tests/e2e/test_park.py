#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""Retries that wait longer than a worker keeps them in memory: they are parked, come back in the order of
their keys, on another replica, after kills at each step, and end as their route says.

test_park.py waits|killed|moved|released --bus nats|kafka[:VERSION]

On NATS with nats.partitions. Every part asserts that commands were parked and came back, by the workers'
metrics or by the park log itself; the order comes from the probe's log.
"""

import argparse
import concurrent.futures
import json
import os
import signal
import subprocess
import sys
import traceback

import clients
import msgpack
import reconcile
import workers
from test_nats_partitions import murmur2
from workers import brokers

PARTITIONS = 4
PARK_AFTER_MS = 150
SESSION_MS = 3000
AT_ONCE = 3  # scenes with kills, which mostly wait until somebody is missed


def policy(attempts, backoff_ms):
    """For commands that fail as the checker expects it of failing ones: as rejected."""
    return {"retry": {"rejected": {"attempts": attempts}}, "backoff_ms": [backoff_ms]}


class Scene:
    """A broker, a group with its topics and workers, an independent client and the command line."""

    def __init__(self, folder, url, name, rules):
        self.folder, self.name = folder, name
        self.client = clients.connect(url)
        self.is_kafka = self.client.kind == "kafka"
        self.topics = {"commands": f"commands.{name}", "results": f"results.{name}",
                       "dead_letters": f"dlq.{name}.commands.{name}",
                       "control": f"control.{name}", "status": f"status.{name}"}  # routes of its own
        self.park = f"park.{name}.commands.{name}"
        self.config = workers.configuration(
            url, name, self.topics, settle_ms=20, partitions=PARTITIONS, park_after_ms=PARK_AFTER_MS)
        self.config["routes"] = [dict(workers.PROBE, policy=rules)]
        if self.is_kafka:
            self.config["kafka"] = {"session.timeout.ms": SESSION_MS, "heartbeat.interval.ms": 300}
            self.client.create(self.topics["commands"], PARTITIONS)
            self.client.begin_group(name, self.topics["commands"], PARTITIONS)
        else:
            self.config["nats"] = {"partitions": PARTITIONS, "lease_ms": 2000, "ack_wait_ms": 4000}
            self.client.create(self.topics["commands"], PARTITIONS)
        self.commands = []
        self.probe_log = os.path.join(folder, f"{name}.probe")
        self.replicas = {}

    def replica(self, name):
        worker = workers.Worker(self.folder, f"{self.name}-{name}", self.config)
        worker.probe_log = self.probe_log
        worker.env["DRAY_PROBE_LOG"] = self.probe_log
        self.replicas[name] = worker
        return worker

    def stop(self):
        for worker in self.replicas.values():
            if worker.is_running():
                worker.kill()
        self.client.close()

    def keys_of_each_partition(self, count=1):
        """So many keys of the first partition, then of the next."""
        keys = [[] for _ in range(PARTITIONS)]
        for number in range(1000):
            key = f"{self.name}-{number}".encode()
            keys[murmur2(key) % PARTITIONS].append(key)
        return [key for of_one in keys for key in of_one[:count]]

    def send(self, keys, each, head):
        """For each key (or so many) one command that does as `head` says, and `each` followers that succeed."""
        first = len(self.commands)
        if isinstance(keys, int):
            keys = [f"{self.name}-{number}".encode() for number in range(keys)]
        for turn in range(1 + each):
            for key in keys:
                payload = head if turn == 0 else {"do": "ok"}
                kind = reconcile.FAILING if payload["do"] == "fail" else reconcile.OK
                id_ = f"{self.name}-{len(self.commands)}"
                value = msgpack.packb({"v": 1, "id": id_, "cmd": "probe.run", "key": key.decode(),
                                       "payload": dict(payload, echo=len(self.commands))})
                self.commands.append(reconcile.Command(len(self.commands), kind, key, id_, value))
        self.publish(self.commands[first:])

    def publish(self, commands):
        if self.is_kafka:
            positions = self.client.publish(
                self.topics["commands"], [(c.key, c.value, None) for c in commands])
            for command, position in zip(commands, positions):
                command.position = position
            return
        for partition in range(PARTITIONS):
            here = [c for c in commands if murmur2(c.key) % PARTITIONS == partition]
            positions = self.client.publish(f"{self.topics['commands']}.p.{partition}",
                                            [(c.key, c.value, None) for c in here])
            for command, position in zip(here, positions):
                command.position = position

    def parked(self):
        """Records of the park log that are there (NATS: that are not finished)."""
        if self.is_kafka:
            return self.client.read(self.park)
        return [record for partition in range(PARTITIONS)
                for record in self.client.read(f"{self.park}.p.{partition}")]

    def runs(self):
        return workers.runs(self.probe_log)

    def metric(self, name):
        """Over all replicas that answer."""
        return sum(worker.metric(name) or 0 for worker in self.replicas.values() if worker.is_running())

    def wait_complete(self, timeout_s=180):
        workers.settle_down(
            lambda: reconcile.is_complete(self.commands, self.client.read(self.topics["results"]),
                                          self.client.read(self.topics["dead_letters"])),
            timeout_s, f"{self.name}: an outcome for every command")

    def wait_metric(self, name, least, timeout_s=90):
        workers.settle_down(lambda: self.metric(name) >= least, timeout_s, f"{name} at {least}")

    def check_order(self, final_attempt=None):
        """No follower first ran before the head of its key had ended for good: with its final attempt, or, where
        it succeeds in the end and nobody is killed, with its last run."""
        problems = reconcile.order(self.commands, self.runs())
        number_of = {c.id.encode().hex(): c for c in self.commands}
        by_key = {}
        for run in self.runs():
            command = number_of[run.id]
            by_key.setdefault(command.key, {}).setdefault(command.number, []).append(run)
        for key, ran in by_key.items():
            head = ran.pop(min(ran))
            finals = [run.end_ns for run in head if final_attempt in (None, run.attempt)]
            ended = max(finals) if final_attempt is None else min(finals, default=None)
            followers = [run.start_ns for of_one in ran.values() for run in of_one]
            if followers and (ended is None or min(followers) < ended):
                problems.append(f"{key}: a follower ran before its head had ended")
        assert not problems, problems[:5]

    def check_outcomes(self, has_kills):
        report = reconcile.outcomes(self.commands, self.client.read(self.topics["results"]),
                                    self.client.read(self.topics["dead_letters"]))
        assert not report.problems, str(report)
        assert has_kills or not report.duplicate_results + report.duplicate_letters, str(report)

    def check_park_is_empty(self):
        """Everything of the park log is finished, and the broker knows."""
        def is_empty():
            if self.is_kafka:
                return self.client.is_settled(self.name, self.park)
            return not self.parked()
        workers.settle_down(is_empty, 60, f"{self.name}: an empty park log")

    def dray(self, *arguments, code=0, env=None):
        path = next(iter(self.replicas.values())).config_path
        done = subprocess.run([workers.DRAY, "dlq", *arguments, "-c", path], capture_output=True,
                              timeout=120, env=dict(os.environ, **(env or {})), check=False)
        codes = code if isinstance(code, tuple) else (code,)
        assert done.returncode in codes, (arguments, done.returncode, done.stdout, done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith(b"{")]


def attempts_of_heads(scene, heads):
    ids = {c.id.encode().hex() for c in scene.commands[:heads]}
    return {run.id: run.attempt for run in scene.runs() if run.id in ids}


def waits(folder, url):
    """Two replicas; keys whose first command fails three times, and others that are not held up by them."""
    scene = Scene(folder, url, "waits", policy(3, 1500))
    try:
        for name in ("one", "two"):
            scene.replica(name).start().wait_ready()
        scene.send(12, 3, {"do": "fail", "kind": "rejected"})
        scene.send(12, 3, {"do": "ok"})  # more of the same keys, behind them
        calm = len(scene.commands)
        for number in range(100):
            key = f"calm-{number}".encode()
            id_ = f"calm-{number}"
            value = msgpack.packb({"v": 1, "id": id_, "cmd": "probe.run", "key": key.decode(),
                                   "payload": {"do": "ok", "echo": calm + number}})
            scene.commands.append(reconcile.Command(calm + number, reconcile.OK, key, id_, value))
        scene.publish(scene.commands[calm:])
        scene.wait_complete()
        parked, unparked = scene.metric("dray_parked_total"), scene.metric("dray_unparked_total")
        rewritten = scene.metric("dray_park_rewritten_total")
        assert parked >= 12 and unparked >= 12 and rewritten >= 1, (parked, unparked, rewritten)
        assert max(attempts_of_heads(scene, 12).values()) == 3
        scene.check_order(3)
        scene.check_outcomes(has_kills=False)
        for worker in scene.replicas.values():
            assert worker.stop() == 0, "a drain is clean"
        scene.check_park_is_empty()
        print(f"{parked:.0f} parked, {unparked:.0f} came back, {rewritten:.0f} written again")
    finally:
        scene.stop()


# Which passing of a point: the first publishes are park records, the first settles their sources; a handler
# that is entered for the 13th time has what came out of the log; later publishes write it again.
KILLS = (("before_publish", 1), ("after_publish", 1), ("before_settle", 1), ("after_settle", 1),
         ("before_handler", 13), ("after_handler", 13), ("after_handler", 25), ("before_publish", 20),
         ("after_publish", 20), ("before_settle", 12), ("after_settle", 12))


def killed_at(folder, url, point, at):
    name = f"{point}-{at}".replace("_", "-")
    scene = Scene(folder, url, name, policy(3, 600))
    try:
        doomed = scene.replica("one").start({"DRAY_CRASH_AT": f"{point}:{at}"}).wait_ready()
        scene.send(12, 2, {"do": "fail", "kind": "rejected"})
        workers.settle_down(lambda: not doomed.is_running(), 90, f"{point}:{at}: a death")
        assert doomed.process.returncode == -signal.SIGKILL, doomed.log()[-2000:]
        at_death = len(scene.parked())
        scene.replica("two").start().wait_ready()
        doomed.start().wait_ready()
        scene.wait_complete()
        scene.check_order(3)
        scene.check_outcomes(has_kills=True)
        for worker in scene.replicas.values():
            assert worker.stop() == 0, "a drain is clean"
        scene.check_park_is_empty()
        return at_death, len(scene.runs())
    finally:
        scene.stop()


def some_at_once(play, scenes):
    """What play makes of each scene, in their order; all are played also when one fails."""
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        futures = [pool.submit(play, scene) for scene in scenes]
    for future in futures:
        if future.exception() is not None:
            traceback.print_exception(future.exception(), limit=-2)
    return [future.result() for future in futures]


def killed(folder, url):
    at_deaths = []
    scenes = some_at_once(lambda kill: killed_at(folder, url, *kill), KILLS)
    for (point, at), (records, ran) in zip(KILLS, scenes):
        at_deaths.append(records)
        print(f"{point}:{at}: {records} records lay in the park log at the kill; {ran} runs in all")
    assert at_deaths[0] == 0, "before the first publish nothing is parked"
    assert sum(1 for records in at_deaths if records > 0) >= len(KILLS) // 2, at_deaths


def moved(folder, url):
    """Partitions move while keys are parked: once to a second replica, once by a kill; followers stay behind."""
    scene = Scene(folder, url, "moved", policy(4, 4000))
    try:
        one = scene.replica("one").start().wait_ready()
        scene.send(12, 2, {"do": "fail", "kind": "rejected"})
        scene.wait_metric("dray_parked_total", 36)
        ran = {run.id for run in scene.runs()}
        assert len(ran) == 12, f"{len(ran)} commands ran while their keys were parked"
        two = scene.replica("two").start().wait_ready()
        workers.settle_down(lambda: (two.metric("dray_parked_commands") or 0) > 0, 60,
                            "parked commands with the second replica")
        revoked = one.metric("dray_revocations_total") + one.metric("dray_losses_total")
        assert revoked > 0, "no partition moved"
        scene.send(12, 1, {"do": "ok"})  # followers of parked keys, taken in by whoever has them now
        here = two.metric("dray_parked_commands")
        one.kill()
        workers.settle_down(lambda: two.metric("dray_parked_commands") > here, 90,
                            "the parked commands of the dead one with the second replica")
        one.start().wait_ready()
        scene.wait_complete()
        scene.check_order(4)
        scene.check_outcomes(has_kills=True)
        unparked = scene.metric("dray_unparked_total")
        assert unparked > 0, "nothing came back"
        for worker in scene.replicas.values():
            assert worker.stop() == 0, "a drain is clean"
        scene.check_park_is_empty()
        print(f"{revoked:.0f} sources moved; {here:.0f} commands were parked with the second replica")
    finally:
        scene.stop()


def released_by(folder, url, exhausted):
    """A key that stands still stays so over a restart and for what comes later; a release lets it go."""
    name = exhausted.replace("_", "-")
    scene = Scene(folder, url, name, {"attempts": 2, "backoff_ms": [20], "exhausted": exhausted})
    is_unit = exhausted == "park_sequence"
    try:
        for replica in ("one", "two"):
            scene.replica(replica).start().wait_ready()
        scene.send(4, 2, {"do": "gate", "kind": "network"})
        workers.settle_down(lambda: len(scene.dray("parked", code=0)) == 4 if scene.parked() else False, 90,
                            "four keys that stand still")
        scene.replicas["one"].kill()
        scene.replicas["one"].start().wait_ready()
        scene.send(4, 1, {"do": "ok"})
        standing = 4 * (3 + 2)
        if is_unit:
            workers.settle_down(
                lambda: len({letter.value for letter in
                             scene.client.read(scene.topics["dead_letters"])}) == standing,
                90, "every command of the held keys as a letter")
            letters = scene.dray("ls")
            units = {letter["key"]: set() for letter in letters}
            for letter in letters:
                units[letter["key"]].add(letter["unit"])
            assert all(len(names) == 1 and None not in names for names in units.values()), units
        else:
            workers.settle_down(lambda: sum(row["behind"] for row in scene.dray("parked")) == standing - 4,
                                90, "every command of the stopped keys in the park log")
            assert not scene.client.read(scene.topics["dead_letters"]), "a stopped key makes no letters"
        ran = {run.id for run in scene.runs()}
        assert len(ran) == 4, f"{len(ran)} commands ran of keys that stand still"
        workers.settle_down(lambda: scene.metric("dray_stopped_keys") == 4, 90, "four keys in dray_stopped_keys")
        with open(scene.probe_log + ".gate", "wb"):
            pass
        state = "held" if is_unit else "stopped"
        for row in scene.dray("parked"):
            assert row["state"] == state, row
            [told] = scene.dray("release", "--key", row["key"])
            assert told["letters"] == (5 if is_unit else 0), told
        workers.settle_down(
            lambda: len({run.id for run in scene.runs()}) == standing, 120, "every command of the keys")
        scene.dray("parked", code=3)
        workers.settle_down(
            lambda: len({msgpack.unpackb(m.value)["id"] for m in scene.client.read(scene.topics["results"])
                         if msgpack.unpackb(m.value)["status"] == "ok"}) == standing,
            90, "a result of every command")
        scene.check_order()
        ok_runs = [run for run in scene.runs() if run.id not in ran]
        assert len(ok_runs) == standing - 4, f"{len(ok_runs)} runs of {standing - 4} followers"
        for worker in scene.replicas.values():
            assert worker.stop() == 0, "a drain is clean"
        scene.check_park_is_empty()
        print(f"{exhausted}: {standing} commands of 4 keys stood still, and ran after their release")
    finally:
        scene.stop()


def released(folder, url):
    released_by(folder, url, "stop_key")
    released_by(folder, url, "park_sequence")


def main():
    parts = {"waits": waits, "killed": killed, "moved": moved, "released": released}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=sorted(parts))
    parser.add_argument("--bus", default="nats")
    options = parser.parse_args()
    name, _, version = options.bus.partition(":")
    with workers.Folder(f"park-{options.part}") as folder, (
            brokers.Nats() if name == "nats" else brokers.Kafka(version or "3.9.1")) as broker:
        parts[options.part](folder, broker.url)
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""SIGKILL at each named point of a command's way, then a restart: every command still has its outcome.

The points are those of DRI_CRASH_POINT_TABLE (bus/run/engine.h), read from there so that none is missed.
After each kill the brokers and the probe's log must show what that point is about: that a handler ran whose
result is nowhere, or that an outcome is stored whose command is not settled. And never is a command settled
whose outcome is not stored. A build without crash points is skipped: the worker would never die.
"""

import argparse
import os
import random
import re
import signal
import sys
import time

import msgpack

import clients
import reconcile
import workers
from test_reconcile import start_broker

COUNT = 300
WORK_MS = 5


def points():
    path = os.path.join(workers.ROOT, "bus", "run", "engine.h")
    with open(path, encoding="utf-8") as file:
        table = file.read().split("#define DRI_CRASH_POINT_TABLE", 1)[1].split("\n\n", 1)[0]
    # Nothing is in hand any more when a worker closes; test_life.py kills it there.
    found = [name for name in re.findall(r"X\((\w+)\)", table) if name != "before_close"]
    assert len(found) >= 7, f"{path}: only {found}"
    return found


def wait_for_death(worker, point):
    """The worker must die by SIGKILL at the point, not in some other way."""
    deadline = time.monotonic() + 180
    while worker.process.poll() is None:
        assert time.monotonic() < deadline, f"{point} was never passed"
        time.sleep(0.02)
    assert worker.process.returncode == -signal.SIGKILL, (
        f"{point}: ended with {worker.process.returncode}\n{worker.log()[-2000:]}")


class Remains:
    """What is to be seen after the kill: which numbers a handler ran, and which outcomes are stored in part
    or as a whole, and which are settled."""

    def __init__(self, client, name, topics, commands, probe_log):
        ids = {msgpack.unpackb(message.value)["id"] for message in client.read(topics["results"])}
        values = {letter.value for letter in client.read(topics["dead_letters"])}
        ran = {run.id for run in workers.runs(probe_log)}
        self.ran, self.begun, self.complete, self.answered = set(), set(), set(), set()
        for command in commands:
            raw = command.id.encode() if isinstance(command.id, str) else command.id
            has_result = (command.id if raw else f"bad-{command.number}") in ids
            has_letter = command.value in values
            for members, belongs in (
                    (self.ran, raw is not None and raw.hex() in ran),
                    (self.answered, has_result), (self.begun, has_result or has_letter),
                    (self.complete, (has_result or raw is None) and (
                        has_letter or command.kind == reconcile.OK))):
                if belongs:
                    members.add(command.number)
        if client.kind == "kafka":
            committed = client.committed(name, topics["commands"])
            self.settled = {c.number for c in commands if c.position[1] < committed.get(c.position[0], -1)}
        else:
            acknowledged = client.settled(topics["commands"])
            self.settled = {c.number for c in commands if c.position in acknowledged}
        ahead = self.settled - self.complete
        assert not ahead, f"settled, but the outcome is not stored: {ahead}; {self}"

    def __str__(self):
        return (f"{len(self.ran)} ran, {len(self.begun)} outcomes stored, {len(self.complete)} of them whole, "
                f"{len(self.settled)} settled")

    def check(self, point, at, is_kafka):
        """The kill hit what the point is about."""
        unfit = {
            "after_receive": self.ran or self.begun or self.settled,
            "before_handler": len(self.ran) >= at,
            "after_handler": len(self.ran) < at or not self.ran - self.answered,
            # the first batch: nothing before it; a later one: of commands that ran
            "before_publish": self.begun if at == 1 else not self.ran - self.answered,
            "after_publish": len(self.begun) <= len(self.settled),
            "before_settle": len(self.complete) <= len(self.settled),
            # an acknowledgement on JetStream may die with the worker; Kafka has answered
            "after_settle": not self.complete or (is_kafka and not self.settled),
        }
        assert not unfit[point], f"{point}:{at}: the kill did not hit its point: {self}"
        assert len(self.complete) < COUNT, f"{point}:{at}: nothing was unfinished: {self}"


def prepare(client, name, topics):
    """A Kafka group with positions: the first settle of a new one is only its first position."""
    if client.kind == "kafka":
        for topic in (topics["commands"], f"replay.{topics['commands'].partition('.')[2]}.commands"):
            client.create(topic, 8)
            client.begin_group(name, topic, 8)


def one_point(broker, client, folder, scene, seed):
    """Produces, lets the worker die at the n-th passing, restarts it, reconciles."""
    point, at, share = scene
    name = f"{point}-{at}".replace("_", "-")
    topics = {"commands": f"commands.{name}", "results": f"results.{name}",
              "dead_letters": f"dlq.{name}.commands"}
    config = workers.configuration(broker.url, name, topics, settle_ms=20)
    if client.kind == "nats":
        config["nats"] = {"ack_wait_ms": 3000}
    else:
        config["kafka"] = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 500}
    worker = workers.Worker(folder, name, config)
    worker.probe_log = os.path.join(folder, f"{name}.probe")
    worker.env["DRAY_PROBE_LOG"] = worker.probe_log
    prepare(client, name, topics)
    try:
        worker.start({"DRAY_CRASH_AT": f"{point}:{at}"}).wait_ready()
        if client.kind == "nats":
            client.watch_settled(topics["commands"])
        commands = reconcile.make(COUNT, seed, share=share, keys=20, work_ms=WORK_MS)
        positions = client.publish(topics["commands"], [(c.key, c.value, None) for c in commands])
        for command, position in zip(commands, positions):
            command.position = position
        wait_for_death(worker, point)
        remains = Remains(client, name, topics, commands, worker.probe_log)
        remains.check(point, at, client.kind == "kafka")
        worker.start().wait_ready()
        workers.settle_down(
            lambda: reconcile.is_complete(commands, client.read(topics["results"]),
                                          client.read(topics["dead_letters"])),
            120, f"{point}:{at}: an outcome for every command")
        code = worker.stop()
        report = reconcile.outcomes(commands, client.read(topics["results"]),
                                    client.read(topics["dead_letters"]))
        order = reconcile.order(commands, workers.runs(worker.probe_log),
                                across_lives=client.kind == "kafka")
        assert not report.problems, f"{point}:{at}: {report}"
        assert not order, f"{point}:{at}: {order[:5]}"
        assert code == 0, f"{point}:{at}: drained with {code}"
        if client.kind == "kafka":
            behind = reconcile.lag(client, name, topics["commands"], commands)
            assert not behind, f"{point}:{at}: {behind}"
        else:
            workers.settle_down(
                lambda: client.settled(topics["commands"]) >= set(positions),
                30, f"{point}:{at}: every command acknowledged")
        return remains, report.duplicate_results + report.duplicate_letters
    finally:
        if worker.is_running():
            worker.kill()


def scenes(dice):
    """(point, at, share of the commands that end in a letter, of each kind): what is passed once a command
    may come late, what is passed once a batch only early."""
    at = {"after_receive": 1, "before_publish": dice.randrange(2, 5), "before_settle": dice.randrange(2, 5),
          "after_settle": dice.randrange(4, 9)}
    for point in points():
        # a batch of commands that ran, and one whose outcomes are letters
        share = 0 if point in ("before_publish", "after_settle") else 0.05
        yield point, at.get(point) or dice.randrange(2, 60), share
    yield "before_publish", 1, 1 / 3


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bus", default="nats")
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    seed = reconcile.seed()
    print(f"seed {seed} (DRAY_TEST_SEED={seed} repeats it)")
    dice = random.Random(seed)
    with workers.Folder("crash") as folder, start_broker(arguments.bus) as broker:
        client = clients.connect(broker.url)
        for number in range(arguments.rounds):
            for scene in scenes(dice):
                remains, again = one_point(broker, client, folder, scene, seed + number)
                print(f"{scene[0]}:{scene[1]}: at the kill {remains}; later {again} came twice")
        client.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())

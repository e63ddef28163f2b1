#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""SIGKILL at each named point of a command's way, then a restart: every command still has its outcome.

The points are those of DRI_CRASH_POINT_TABLE (bus/run/engine.h), read from there so that none is missed.
A build without crash points is skipped: the worker would never die.
"""

import argparse
import os
import random
import re
import signal
import sys
import time

import clients
import reconcile
import workers
from test_reconcile import start_broker

COUNT = 300


def points():
    path = os.path.join(workers.ROOT, "bus", "run", "engine.h")
    with open(path, encoding="utf-8") as file:
        table = file.read().split("#define DRI_CRASH_POINT_TABLE", 1)[1].split("\n\n", 1)[0]
    found = re.findall(r"X\((\w+)\)", table)
    assert len(found) >= 7, f"{path}: only {found}"
    return found


def wait_for_death(worker, point):
    """The worker must die by SIGKILL at the point, not in some other way."""
    deadline = time.monotonic() + 60
    while worker.process.poll() is None:
        assert time.monotonic() < deadline, f"{point} was never passed"
        time.sleep(0.02)
    assert worker.process.returncode == -signal.SIGKILL, (
        f"{point}: ended with {worker.process.returncode}\n{worker.log()[-2000:]}")


def one_point(broker, client, folder, point, at, seed):
    """Produces, lets the worker die at the n-th passing, restarts it, reconciles."""
    name = f"{point}-{at}".replace("_", "-")
    topics = {"commands": f"commands.{name}", "results": f"results.{name}",
              "dead_letters": f"dlq.{name}.commands"}
    config = workers.configuration(broker.url, name, topics, settle_ms=100)
    if client.kind == "nats":
        config["nats"] = {"ack_wait_ms": 3000}
    else:
        config["kafka"] = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 500}
    worker = workers.Worker(folder, name, config)
    worker.probe_log = os.path.join(folder, f"{name}.probe")
    worker.env["DRAY_PROBE_LOG"] = worker.probe_log
    try:
        worker.start({"DRAY_CRASH_AT": f"{point}:{at}"}).wait_ready()
        commands = reconcile.make(COUNT, seed, keys=20)
        positions = client.publish(topics["commands"], [(c.key, c.value, None) for c in commands])
        for command, position in zip(commands, positions):
            command.position = position
        wait_for_death(worker, point)
        before = reconcile.outcomes(commands, client.read(topics["results"]),
                                    client.read(topics["dead_letters"]))
        unfinished = sum(1 for text in before.problems if text.startswith("no "))
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
        return unfinished, report.duplicate_results + report.duplicate_letters
    finally:
        if worker.is_running():
            worker.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bus", default="nats")
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    seed = reconcile.seed()
    print(f"seed {seed} (DRAY_TEST_SEED={seed} repeats it)")
    dice = random.Random(seed)
    unfinished = 0
    with workers.Folder("crash") as folder, start_broker(arguments.bus) as broker:
        client = clients.connect(broker.url)
        for number in range(arguments.rounds):
            for point in points():
                # these are passed once a command, the others once a batch
                often = point in ("before_handler", "after_handler", "after_publish")
                at = dice.randrange(2, 60) if often else 1
                left, again = one_point(broker, client, folder, point, at, seed + number)
                unfinished += left
                print(f"{point}:{at}: {left} outcomes were missing at the kill, {again} came twice")
        client.close()
    assert unfinished > 0, "no kill hit work in flight: the scenario proves nothing"
    return 0


if __name__ == "__main__":
    sys.exit(main())

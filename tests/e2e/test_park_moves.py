#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""Partitions that move at each step of parking: one replica is stopped at a step (SIGSTOP), the other one comes,
goes, or takes over, and then the first goes on.

test_park_moves.py --bus nats|kafka[:VERSION]

join    it has everything; another replica joins while it stands at the step, and gets a part
leave   another replica is asked to go while it stands there, and it gets the whole
sleep   it stands there for longer than its session or leases, so that the other one takes over, and is woken

Nothing is lost, and no follower runs before its head has ended, but for what a sleeper had begun, which it ends
beside the new owner. Each scene asserts that partitions were taken away. On NATS with nats.partitions.
"""

import argparse
import re
import signal
import sys
import time

import workers
from test_park import PARTITIONS, Scene, policy, some_at_once
from test_zombie import is_zombies
from workers import brokers

KEYS_OF_PARTITION, EACH = 3, 2
ALL = PARTITIONS * KEYS_OF_PARTITION  # keys of a replica alone; of two each has half

# A replica parks its heads and their followers, settles their sources, gets a head back from the log, runs it
# again, and writes it to the log once more.
PARKED_ALL = ALL * (1 + EACH)
SCENES = (
    ("join", "before_publish:1"), ("join", "before_settle:1"), ("join", f"before_handler:{ALL + 1}"),
    ("join", f"after_publish:{PARKED_ALL + 1}"),
    ("leave", "after_publish:1"), ("leave", "after_settle:1"), ("leave", f"after_handler:{ALL // 2 + 1}"),
    ("leave", "after_settle:9"),
    ("sleep", "before_publish:1"), ("sleep", "after_publish:1"), ("sleep", "before_settle:1"),
    ("sleep", "after_settle:1"), ("sleep", f"before_handler:{ALL // 2 + 1}"),
    ("sleep", f"after_handler:{ALL // 2 + 1}"), ("sleep", f"after_publish:{PARKED_ALL // 2 + 1}"),
    ("sleep", "before_settle:9"))


class MovedScene(Scene):
    """What a sleeper ended after its time counts for no order; it is looked at by itself."""

    zombie_ns = None  # from its stop until it knew of its loss

    def all_runs(self):
        return super().runs()

    def runs(self):
        if self.zombie_ns is None:
            return self.all_runs()
        return [run for run in self.all_runs()
                if not is_zombies(run, f"{self.name}-one", *self.zombie_ns)]


def has_stopped(worker):
    assert worker.is_running(), worker.log()[-2000:]
    with open(f"/proc/{worker.process.pid}/stat", encoding="ascii") as file:
        return file.read().rpartition(")")[2].split()[0] == "T"


def partitions(worker):
    """How many park logs it has now, by what it said since it was started for the only time."""
    change = {"ENG-ASSIGNED": 1, "ENG-REVOKED": -1, "ENG-LOST": -1}
    return sum(change[id_] for id_, source in re.findall(r"id=(ENG-[A-Z]+) .* source=(\S+)", worker.log())
               if id_ in change and source.lower().startswith("park"))


def wait_parts(scene, one, two):
    workers.settle_down(lambda: partitions(one) == partitions(two) == PARTITIONS // 2, 60,
                        f"{scene.name}: half of the partitions with each")


def wait_all(scene, worker):
    workers.settle_down(lambda: partitions(worker) == PARTITIONS, 60, f"{scene.name}: all with one replica")


def wait_stopped(scene, worker, point):
    workers.settle_down(lambda: has_stopped(worker), 60, f"{scene.name}: a stop at {point}")
    return time.monotonic_ns()


def start(scene, point, count):
    """So many replicas with their parts; the first will stop at the point."""
    one = scene.replica("one").start({"DRAY_STOP_AT": point}).wait_ready()
    wait_all(scene, one)
    if count == 1:
        return one
    two = scene.replica("two").start().wait_ready()
    wait_parts(scene, one, two)
    return one, two


def join(scene, point, send):
    one = start(scene, point, 1)
    send()
    wait_stopped(scene, one, point)
    two = scene.replica("two").start()
    one.process.send_signal(signal.SIGCONT)
    wait_parts(scene, one, two)
    return PARTITIONS - partitions(one)


def leave(scene, point, send):
    one, two = start(scene, point, 2)
    before = partitions(one)
    send()
    wait_stopped(scene, one, point)
    two.process.send_signal(signal.SIGTERM)
    one.process.send_signal(signal.SIGCONT)
    code = two.process.wait(60)
    assert code == 0, f"{scene.name}: drained with {code}:\n{two.log()[-1500:]}"
    wait_all(scene, one)
    return partitions(one) - before


def sleep(scene, point, send):
    one, two = start(scene, point, 2)
    before = one.metric("dray_losses_total")
    send()
    stop_ns = wait_stopped(scene, one, point)
    wait_all(scene, two)
    one.process.send_signal(signal.SIGCONT)
    workers.settle_down(lambda: (one.metric("dray_losses_total") or 0) > before, 60,
                        f"{scene.name}: that it knows of its loss")
    scene.zombie_ns = stop_ns, time.monotonic_ns()
    return one.metric("dray_losses_total") - before


def play(folder, url, number):
    how, point = SCENES[number]
    scene = MovedScene(folder, url, f"{how}-{number}", policy(3, 600))
    keys = scene.keys_of_each_partition(KEYS_OF_PARTITION)
    try:
        count = {"join": join, "leave": leave, "sleep": sleep}[how](
            scene, point, lambda: scene.send(keys, EACH, {"do": "fail", "kind": "rejected"}))
        assert count > 0, f"{how} at {point}: nothing was rebalanced"
        scene.wait_complete()
        scene.check_order(3)
        scene.check_outcomes(has_kills=how == "sleep")
        runs, late = scene.all_runs(), len(scene.all_runs()) - len(scene.runs())
        more = len(runs) - ALL * (3 + EACH)
        again = max(more - late, 0)  # what a sleeper runs may be its own again: it has joined anew by then
        assert more >= 0 and again <= ALL // 2, \
            f"{scene.name}: {more} runs more, {late} of a sleeper: more than was in flight where it stood"
        for worker in scene.replicas.values():
            assert worker.process.returncode is not None or worker.stop() == 0, "a drain is clean"
        scene.check_park_is_empty()
        return count, again, late
    finally:
        scene.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bus", default="nats")
    parser.add_argument("--only", type=int, help="the scene of this number")
    options = parser.parse_args()
    name, _, version = options.bus.partition(":")
    numbers = range(len(SCENES)) if options.only is None else [options.only]
    with workers.Folder("park-moves") as folder, (
            brokers.Nats() if name == "nats" else brokers.Kafka(version or "3.9.1")) as broker:
        told = some_at_once(lambda number: play(folder, broker.url, number), numbers)
    for number, (count, again, late) in zip(numbers, told):
        print(f"{' at '.join(SCENES[number])}: {count:.0f} sources moved, {again} runs again, {late} of a sleeper")
    return 0


if __name__ == "__main__":
    sys.exit(main())

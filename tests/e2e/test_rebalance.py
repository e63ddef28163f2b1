#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""Scaling 1 -> 4 -> 2 under load with slow handlers, and a rolling restart at four replicas.

test_rebalance.py [classic|consumer|nats]: Kafka with the one group protocol or the other; nats.partitions

Order of each key holds and nothing is lost. What a replica had been given of a partition that moves must not
run there any more: the new owner runs it. So no two runs of a key overlap. What was finished behind an
unfinished command of its partition runs again: the committed offset says no more than where the first
unfinished one stands. And the world does not stop: replicas that leave say so, so that nobody waits until a
session is over.
"""

import sys

import clients
import load as loads
import reconcile
import workers

KEYS, WORK_MS, LANES, PER_SECOND, SESSION_MS = 40, 50, 2, 60, 30000
TOPICS = {"commands": "commands", "results": "results", "dead_letters": "dlq.scale.commands"}


class Fleet:
    """Replicas by name, and what each life of them said before it ended."""

    def __init__(self, folder, url, more):
        config = workers.configuration(url, "scale", TOPICS, settle_ms=200, lanes=LANES)
        config.update(more)
        self.replicas = [workers.Worker(folder, name, config) for name in ("one", "two", "three", "four")]
        self.probe_log = self.replicas[0].probe_log
        self.codes, self.revocations = [], 0

    def runs(self):
        return workers.runs(self.probe_log)

    def start(self, replica):
        """It counts once it has run something."""
        begin = sum(run.worker == replica.name for run in self.runs())
        replica.start().wait_ready()
        workers.settle_down(lambda: sum(r.worker == replica.name for r in self.runs()) >= begin + 5, 120,
                            f"{replica.name} takes its part")

    def stop(self, replica):
        self.revocations += replica.metric("dray_revocations_total") or 0
        self.codes.append(replica.stop())

    def kill(self):
        for replica in self.replicas:
            if replica.is_running():
                replica.kill()


def longest_rest_s(runs):
    """The longest time in which nobody ran anything."""
    ends = sorted(runs, key=lambda r: r.start_ns)
    rest, last_end = 0, ends[0].end_ns
    for run in ends:
        rest = max(rest, run.start_ns - last_end)
        last_end = max(last_end, run.end_ns)
    return rest / 1e9


def scale(fleet, load):
    one, two, three, four = fleet.replicas
    fleet.start(one)
    for replica in (two, three, four):
        fleet.start(replica)
    for replica in fleet.replicas:
        fleet.stop(replica)
        fleet.start(replica)
    fleet.stop(three)
    fleet.stop(four)
    ran = len(fleet.runs())
    workers.settle_down(lambda: len(fleet.runs()) >= ran + 50, 120, "two go on")
    return load.stop()


def scenario(protocol):
    broker, more = workers.group_broker(protocol, SESSION_MS)
    with workers.Folder("rebalance") as folder, broker:
        client = clients.connect(broker.url)
        client.create("commands", 8)
        fleet = Fleet(folder, broker.url, more)
        load = loads.Load(broker.url, KEYS, WORK_MS, PER_SECOND,
                          partitions=workers.PARTITIONS if protocol == "nats" else 0)
        try:
            load.start()
            commands = scale(fleet, load)
            workers.settle_down(
                lambda: reconcile.is_complete(commands, client.read("results"), []), 180,
                "a result for every command")
            for replica in fleet.replicas[:2]:
                fleet.stop(replica)
            runs = fleet.runs()
            report = reconcile.outcomes(commands, client.read("results"), [])
            order = reconcile.order(commands, runs)
            again = len(runs) - len({run.id for run in runs})
            rest_s = longest_rest_s(runs)
            print(report)
            print(f"{len(commands)} commands, {len(runs)} runs, {again} of them again, "
                  f"{fleet.revocations:.0f} sources revoked, at most {rest_s:.1f} s without a run")
            assert not report.problems, "outcomes do not fit"
            assert not order, f"order of keys: {len(order)} problems, {order[:5]}"
            assert fleet.codes == [0] * 8, f"drains are clean, not {fleet.codes}"
            assert fleet.revocations > 0, "nothing was rebalanced: the scenario proves nothing"
            assert again <= len(commands) // 5, f"{again} commands ran twice: the old owner went on running"
            assert rest_s < SESSION_MS / 2000, f"the world stood still for {rest_s:.1f} s"
            if client.kind == "kafka":
                behind = reconcile.lag(client, "scale", "commands", commands)
                assert not behind, f"after a drain everything is committed, but {behind}"
        finally:
            load.end()
            fleet.kill()
            client.close()


if __name__ == "__main__":
    scenario(sys.argv[1] if len(sys.argv) > 1 else "classic")
    sys.exit(0)

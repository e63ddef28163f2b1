#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""Scaling 1 -> 2 -> 1 under load with slow handlers on Kafka: order of each key holds, nothing is lost.

What a replica had been given of a partition that moves must not run there any more: the new owner runs
it. So no two runs of a key overlap. What was finished behind an unfinished command of its partition runs
again: the committed offset says no more than where the first unfinished one stands.
"""

import sys

import clients
import msgpack
import reconcile
import workers
from workers import brokers

COUNT, KEYS, WORK_MS, LANES = 500, 20, 50, 2


def make():
    commands = []
    for number in range(COUNT):
        key = f"key-{number % KEYS}"
        value = msgpack.packb({"v": 1, "id": f"c-{number}", "cmd": "probe.run", "key": key,
                               "payload": {"do": "sleep", "ms": WORK_MS, "echo": number}})
        commands.append(reconcile.Command(number, reconcile.OK, key.encode(), f"c-{number}", value))
    return commands


def scenario():
    topics = {"commands": "commands", "results": "results", "dead_letters": "dlq.scale.commands"}
    with workers.Folder("rebalance") as folder, brokers.Kafka() as broker:
        client = clients.connect(broker.url)
        config = workers.configuration(broker.url, "scale", topics, settle_ms=200, lanes=LANES)
        config["kafka"] = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 500}
        one, two = (workers.Worker(folder, name, config) for name in ("one", "two"))
        try:
            one.start().wait_ready()
            commands = make()
            positions = client.publish("commands", [(c.key, c.value, None) for c in commands])
            for command, position in zip(commands, positions):
                command.position = position
            workers.settle_down(lambda: len(workers.runs(one.probe_log)) >= 20, 60, "20 runs")
            two.start().wait_ready()
            ran_by_two = lambda: sum(r.worker == "two" for r in workers.runs(one.probe_log))
            workers.settle_down(lambda: ran_by_two() >= 40, 120, "40 runs by the second replica")
            revocations = one.metric("dray_revocations_total")
            code_of_two = two.stop()
            workers.settle_down(
                lambda: reconcile.is_complete(commands, client.read("results"), []), 180,
                "a result for every command")
            code_of_one = one.stop()
            runs = workers.runs(one.probe_log)
            report = reconcile.outcomes(commands, client.read("results"), [])
            order = reconcile.order(commands, runs)
            again = len(runs) - len({run.id for run in runs})
            print(report)
            print(f"{len(runs)} runs, {again} of them again, {revocations:.0f} sources revoked")
            assert not report.problems, "outcomes do not fit"
            assert not order, f"order of keys: {len(order)} problems, {order[:5]}"
            assert (code_of_one, code_of_two) == (0, 0), "drains are clean"
            assert revocations > 0, "nothing was rebalanced: the scenario proves nothing"
            assert again <= COUNT // 5, f"{again} commands ran twice: the old owner went on running"
        finally:
            for replica in (one, two):
                if replica.is_running():
                    replica.kill()
            client.close()


if __name__ == "__main__":
    scenario()
    sys.exit(0)

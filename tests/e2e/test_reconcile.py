#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""10,000 commands through two replicas, reconciled one by one; with --kills, while they are killed.

test_reconcile.py --bus nats|kafka[:VERSION] [--kills N] [--count N]
"""

import argparse
import random
import sys
import threading
import time

import clients
import reconcile
import workers
from workers import brokers


def start_broker(name):
    if name == "nats":
        return brokers.Nats()
    return brokers.Kafka(name.partition(":")[2] or "3.9.1")


def kill_in_flight(replicas, kills, dice, is_over):
    """SIGKILLs a replica while it has commands in flight, starts it again; returns how many hit."""
    hits = 0
    for _ in range(kills):
        victim = dice.choice(replicas)
        in_flight = 0
        deadline = time.monotonic() + 30
        while in_flight == 0 and time.monotonic() < deadline and not is_over.is_set():
            in_flight = (victim.metric("dray_in_flight_commands") or 0) + (
                victim.metric("dray_unacked_commands") or 0)
        victim.kill()
        hits += 1 if in_flight else 0
        victim.start()
        victim.wait_ready()
    return hits


def produce(client, topic, commands, is_slow):
    """In portions, so that replicas work (and die) meanwhile."""
    portion = 100 if is_slow else 2000
    for at in range(0, len(commands), portion):
        part = commands[at:at + portion]
        positions = client.publish(topic, [(c.key, c.value, None) for c in part])
        for command, position in zip(part, positions):
            command.position = position


def scenario(bus, count, kills, seed):
    print(f"seed {seed} (DRAY_TEST_SEED={seed} repeats it)")
    dice = random.Random(seed)
    topics = {"commands": "commands", "results": "results", "dead_letters": "dlq.rec.commands"}
    with workers.Folder("reconcile") as folder, start_broker(bus) as broker:
        client = clients.connect(broker.url)
        config = workers.configuration(broker.url, "rec", topics, settle_ms=200)
        if client.kind == "nats":
            config["nats"] = {"ack_wait_ms": 5000}
        else:
            config["kafka"] = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 500}
        replicas = [workers.Worker(folder, name, config) for name in ("one", "two")]
        try:
            for replica in replicas:
                replica.start().wait_ready()
            commands = reconcile.make(count, seed, work_ms=2 if kills else 0)
            is_over = threading.Event()
            producer = threading.Thread(
                target=lambda: (produce(client, "commands", commands, kills > 0), is_over.set()))
            producer.start()
            hits = kill_in_flight(replicas, kills, dice, is_over) if kills else 0
            producer.join()

            def is_done():
                return reconcile.is_complete(commands, client.read(topics["results"]),
                                             client.read(topics["dead_letters"]))

            workers.settle_down(is_done, 180, "an outcome for every command")
            codes = [replica.stop() for replica in replicas]
            report = reconcile.outcomes(commands, client.read(topics["results"]),
                                        client.read(topics["dead_letters"]))
            runs = workers.runs(replicas[0].probe_log)
            # Without partitioned subjects JetStream shares one consumer: order holds in a replica only.
            order = reconcile.order(commands, runs, client.kind == "kafka")
            print(report)
            print(f"{len(runs)} runs, {kills} kills of which {hits} hit commands in flight, "
                  f"drained with {codes}")
            assert not report.problems, "outcomes do not fit"
            assert not order, f"order of keys: {order[:10]}"
            assert codes == [0, 0], "a drain is clean"
            used = {run.worker for run in runs}
            assert used == {"one", "two"}, f"both replicas must have worked, only {used} did"
            if client.kind == "kafka":
                behind = reconcile.lag(client, "rec", "commands", commands)
                assert not behind, f"after a drain everything is committed, but {behind}"
            if kills:
                assert hits >= kills * 7 // 10, f"only {hits} of {kills} kills hit work in flight"
            else:
                again = report.duplicate_results + report.duplicate_letters
                assert again == 0, f"{again} outcomes twice although nothing failed"
        finally:
            for replica in replicas:
                if replica.is_running():
                    replica.kill()
            client.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bus", default="nats")
    parser.add_argument("--count", type=int, default=10000)
    parser.add_argument("--kills", type=int, default=0)
    arguments = parser.parse_args()
    scenario(arguments.bus, arguments.count, arguments.kills, reconcile.seed())
    return 0


if __name__ == "__main__":
    sys.exit(main())

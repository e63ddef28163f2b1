#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""10,000 commands through two replicas, reconciled one by one; with --kills, while they are killed.

test_reconcile.py --bus nats[:current]|kafka[:VERSION] [--kills N] [--count N]
"""

import argparse
import random
import sys

import clients
import reconcile
import workers
from workers import brokers


def start_broker(name):
    kind, _, version = name.partition(":")
    if kind == "kafka":
        return brokers.Kafka(version or "3.9.1")
    binary = brokers.nats_current() if version == "current" else None
    if version and binary is None:
        print("skipped: no current nats-server here (tests/support/fetch-nats)")
        sys.exit(77)
    return brokers.Nats(binary=binary)


def moves(replicas):
    """How often sources were taken from a replica: what may run commands again although nobody died."""
    return sum((replica.metric("dray_revocations_total") or 0)
               + (replica.metric("dray_losses_total") or 0) for replica in replicas)


def in_flight(replica):
    return (replica.metric("dray_in_flight_commands") or 0) + (
        replica.metric("dray_unacked_commands") or 0)


def kill_in_flight(victim):
    """SIGKILLs a replica once it says that it has commands in flight, starts it again."""
    workers.settle_down(lambda: in_flight(victim) > 0, 60, f"{victim.name} with commands in flight")
    victim.kill()
    victim.start()
    victim.wait_ready()


def produce(client, topic, commands):
    positions = client.publish(topic, [(c.key, c.value, None) for c in commands])
    for command, position in zip(commands, positions):
        command.position = position


def work(client, topic, commands, replicas, kills, dice):
    """Produces in one portion a kill, and kills while the portion is being worked on."""
    portion = len(commands) // max(kills, 1)
    for at in range(0, len(commands), portion):
        produce(client, topic, commands[at:at + portion])
        if at // portion < kills:
            kill_in_flight(dice.choice(replicas))


def scenario(bus, count, kills, seed):
    print(f"seed {seed} (DRAY_TEST_SEED={seed} repeats it)")
    dice = random.Random(seed)
    topics = {"commands": "commands", "results": "results", "dead_letters": "dlq.rec.commands"}
    with workers.Folder("reconcile") as folder, start_broker(bus) as broker:
        client = clients.connect(broker.url)
        config = workers.configuration(broker.url, "rec", topics, settle_ms=200)
        if client.kind == "nats":
            # What a killed replica held comes back soon; where nobody is killed nothing may come back,
            # however slow the machine.
            config["nats"] = {"ack_wait_ms": 5000 if kills else 60000}
        else:
            config["kafka"] = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 500}
        replicas = [workers.Worker(folder, name, config) for name in ("one", "two")]
        try:
            for replica in replicas:
                replica.start().wait_ready()
            workers.settle_down(
                lambda: all((r.metric("dray_assigned_sources") or 0) > 0 for r in replicas), 120,
                "sources assigned to both replicas")
            moved = moves(replicas)
            commands = reconcile.make(count, seed, work_ms=5 if kills else 0)
            work(client, topics["commands"], commands, replicas, kills, dice)

            def is_done():
                return reconcile.is_complete(commands, client.read(topics["results"]),
                                             client.read(topics["dead_letters"]))

            workers.settle_down(is_done, 180, "an outcome for every command")
            moved = moves(replicas) - moved
            codes = [replica.stop() for replica in replicas]
            report = reconcile.outcomes(commands, client.read(topics["results"]),
                                        client.read(topics["dead_letters"]))
            runs = workers.runs(replicas[0].probe_log)
            # Without partitioned subjects JetStream shares one consumer: order holds in a replica only.
            is_kafka = client.kind == "kafka"
            order = reconcile.order(commands, runs, is_kafka, is_kafka or not kills)
            print(report)
            again = len(runs) - len({run.id for run in runs})
            print(f"{len(runs)} runs, {again} of them again, {kills} kills, drained with {codes}")
            assert not report.problems, "outcomes do not fit"
            assert not order, f"order of keys: {order[:10]}"
            assert codes == [0, 0], "a drain is clean"
            used = {run.worker for run in runs}
            assert used == {"one", "two"}, f"both replicas must have worked, only {used} did"
            if client.kind == "kafka":
                behind = reconcile.lag(client, "rec", "commands", commands)
                assert not behind, f"after a drain everything is committed, but {behind}"
            if kills:
                assert again > 0, "no kill hit a command between its run and its settle"
            elif moved == 0:
                twice = report.duplicate_results + report.duplicate_letters
                assert twice + again == 0, f"{twice} outcomes, {again} runs twice, but nothing failed"
            else:
                print(f"the group moved {moved:.0f} sources meanwhile, so what ran twice is explained")
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

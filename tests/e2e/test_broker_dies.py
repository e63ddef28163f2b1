#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""The broker is killed by SIGKILL under load and started again; every hundredth message is poison.

test_broker_dies.py --bus nats|kafka [--deaths N]

Two replicas live through it without a restart of their own. Nothing that was acknowledged may be lost, a
poisoned message costs only itself, and on Kafka the order of each key holds.
"""

import argparse
import sys

import clients
import load as loads
import reconcile
import workers
from workers import brokers

KEYS, WORK_MS, PORTION, POISON_EVERY = 40, 20, 600, 100
TOPICS = {"commands": "commands", "results": "results", "dead_letters": "dlq.dies.commands"}


def configuration(broker, bus):
    config = workers.configuration(broker.url, "dies", TOPICS, settle_ms=100)
    if bus == "nats":
        config["nats"] = {"ack_wait_ms": 5000}
    else:
        config["kafka"] = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 500,
                           "reconnect.backoff.max.ms": 1000}
    return config


def in_hand(replicas):
    return sum((replica.metric("dray_in_flight_commands") or 0)
               + (replica.metric("dray_unacked_commands") or 0) for replica in replicas)


def die_under_load(broker, load, replicas):
    """One more portion, and in the middle of it the broker's death; a client only while there is a broker."""
    ran = len(workers.runs(replicas[0].probe_log))
    client = clients.connect(broker.url)
    try:
        load.send(client, PORTION)
    finally:
        client.close()
    held = []

    def is_at_work():
        held.append(in_hand(replicas))
        return len(workers.runs(replicas[0].probe_log)) > ran + 20 and held[-1] > 0

    workers.settle_down(is_at_work, 120, "commands in hand")
    broker.restart()
    return held[-1]


def scenario(bus, deaths, seed):
    broker = brokers.Nats() if bus == "nats" else brokers.Kafka()
    print(f"seed {seed} (DRAY_TEST_SEED={seed} repeats it)")
    with workers.Folder("dies") as folder, broker:
        config = configuration(broker, bus)
        replicas = [workers.Worker(folder, name, config) for name in ("one", "two")]
        load = loads.Load(broker.url, KEYS, WORK_MS, 1, POISON_EVERY)
        client = None
        try:
            for replica in replicas:
                replica.start().wait_ready()
            workers.settle_down(lambda: all((r.metric("dray_assigned_sources") or 0) > 0 for r in replicas),
                                120, "sources assigned to both replicas")
            held = [die_under_load(broker, load, replicas) for _ in range(deaths)]
            client = clients.connect(broker.url)
            workers.settle_down(
                lambda: reconcile.is_complete(load.commands, client.read("results"),
                                              client.read(TOPICS["dead_letters"])), 240,
                "an outcome for every command")
            assert all(replica.is_running() for replica in replicas), "a replica ended with its broker"
            redelivered = workers.redeliveries(replicas, load.commands)
            codes = [replica.stop() for replica in replicas]
            runs = workers.runs(replicas[0].probe_log)
            report = reconcile.outcomes(load.commands, client.read("results"),
                                        client.read(TOPICS["dead_letters"]))
            order = reconcile.order(load.commands, runs, bus == "kafka", bus == "kafka")
            again = len(runs) - len({run.id for run in runs})
            print(report)
            print(f"{len(load.commands)} commands, {len(runs)} runs, {again} of them again; "
                  f"{redelivered} redeliveries, {deaths} deaths, with {held} commands in hand")
            assert not report.problems, "outcomes do not fit"
            assert report.letters["invalid"] > 0, "no message was poison"
            assert not order, f"order of keys: {len(order)} problems, {order[:5]}"
            assert codes == [0, 0], f"drained with {codes}"
            assert {run.worker for run in runs} == {"one", "two"}, "both replicas must have worked"
            # A Kafka client that stays up goes on where it was, and only a rebalance would repeat anything.
            assert redelivered > 0 or bus != "nats", "nothing was delivered twice: no death has hit anything"
            assert all(held), f"the broker died when nobody had anything in hand: {held}"
        finally:
            for replica in replicas:
                if replica.is_running():
                    replica.kill()
            if client is not None:
                client.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bus", choices=("nats", "kafka"), default="nats")
    parser.add_argument("--deaths", type=int, default=2)
    arguments = parser.parse_args()
    scenario(arguments.bus, arguments.deaths, reconcile.seed())
    return 0


if __name__ == "__main__":
    sys.exit(main())

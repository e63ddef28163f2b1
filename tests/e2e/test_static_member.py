#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""Static membership on Kafka: a replica that is back in time keeps its partitions; one id twice ends one.

The second part is the mistake of two replicas with one `group.instance.id`: the broker fences the first,
which must say so and end, not hang and not go on; the other one does all the work.
"""

import sys

import clients
import msgpack
import reconcile
import workers
from workers import brokers

KEYS, SESSION_MS = 16, 45000
TOPICS = {"commands": "commands", "results": "results", "dead_letters": "dlq.static.commands"}


def produce(client, commands, count):
    new = []
    for number in range(len(commands), len(commands) + count):
        key = f"key-{number % KEYS}"
        value = msgpack.packb({"v": 1, "id": f"c-{number}", "cmd": "probe.run", "key": key,
                               "payload": {"do": "sleep", "ms": 5, "echo": number}})
        new.append(reconcile.Command(number, reconcile.OK, key.encode(), f"c-{number}", value))
    positions = client.publish("commands", [(c.key, c.value, None) for c in new])
    for command, position in zip(new, positions):
        command.position = position
    commands += new
    workers.settle_down(lambda: reconcile.is_complete(commands, client.read("results"), []), 120,
                        f"a result for each of {len(commands)} commands")


def member(folder, url, name, instance):
    config = workers.configuration(url, "static", TOPICS, settle_ms=100)
    config["kafka"] = {"session.timeout.ms": SESSION_MS, "heartbeat.interval.ms": 300,
                       "group.instance.id": instance}
    return workers.Worker(folder, name, config)


def has_sources(worker):
    return (worker.metric("dray_assigned_sources") or 0) > 0


def restart_without_rebalance(client, commands, one, two):
    """A clean restart: the other replica does not notice."""
    before = two.metric("dray_revocations_total"), two.metric("dray_assignments_total")
    assert one.stop() == 0, "a drain is clean"
    one.start().wait_ready()
    workers.settle_down(lambda: has_sources(one), 60, "it has its sources again")
    produce(client, commands, 200)
    after = two.metric("dray_revocations_total"), two.metric("dray_assignments_total")
    assert before == after, f"static members were rebalanced: {before} became {after}"


def same_id_twice(client, commands, folder, url, one):
    twin = member(folder, url, "twin", "the-one")
    try:
        twin.start()
        workers.settle_down(lambda: not one.is_running(), 90, "the fenced replica ends")
        code = one.process.wait()
        print(f"the fenced replica exited with {code}")
        assert code not in (0, -6, -9, -11), f"a fenced replica exits with an error, not {code}"
        assert "fenced" in one.log().lower(), one.log()[-2000:]
        workers.settle_down(lambda: has_sources(twin), 120, "its twin has its sources")
        produce(client, commands, 200)
        assert twin.stop() == 0, "a drain is clean"
    finally:
        if twin.is_running():
            twin.kill()


def scenario():
    with workers.Folder("static") as folder, brokers.Kafka() as broker:
        client = clients.connect(broker.url)
        one, two = member(folder, broker.url, "one", "the-one"), member(folder, broker.url, "two", "other")
        commands = []
        try:
            for replica in (one, two):
                replica.start().wait_ready()
            workers.settle_down(lambda: has_sources(one) and has_sources(two), 120, "sources for both")
            produce(client, commands, 200)
            restart_without_rebalance(client, commands, one, two)
            same_id_twice(client, commands, folder, broker.url, one)
            assert two.stop() == 0, "a drain is clean"
            report = reconcile.outcomes(commands, client.read("results"), [])
            print(report)
            assert not report.problems, "outcomes do not fit"
        finally:
            for replica in (one, two):
                if replica.is_running():
                    replica.kill()
            client.close()


if __name__ == "__main__":
    scenario()
    sys.exit(0)

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""Static membership on Kafka: a replica that is back in time keeps its partitions; one id twice ends one.

The second part is the mistake of two replicas with one `group.instance.id`: the broker fences one of them, the
first, or with the protocol of KIP-848 the one that came second. It must say so and end, not hang and not go on;
the other one does all the work.
"""

import sys

import clients
import msgpack
import reconcile
import workers

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


def member(folder, url, more, name, instance):
    config = workers.configuration(url, "static", TOPICS, settle_ms=100)
    config["kafka"] = dict(more["kafka"], **{"group.instance.id": instance})
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


def same_id_twice(client, commands, one, twin, is_second_fenced):
    twin.start()
    fenced, other = (twin, one) if is_second_fenced else (one, twin)
    workers.settle_down(lambda: not fenced.is_running(), 90, "the fenced replica ends")
    code = fenced.process.wait()
    print(f"the fenced replica exited with {code}")
    assert code not in (0, -6, -9, -11), f"a fenced replica exits with an error, not {code}"
    assert "fenced" in fenced.log().lower() or "instance" in fenced.log().lower(), fenced.log()[-2000:]
    workers.settle_down(lambda: has_sources(other), 120, "its twin has its sources")
    produce(client, commands, 200)
    assert other.stop() == 0, "a drain is clean"


def scenario(protocol):
    broker, more = workers.group_broker(protocol, SESSION_MS)
    with workers.Folder("static") as folder, broker:
        client = clients.connect(broker.url)
        one, two, twin = (member(folder, broker.url, more, name, instance)
                          for name, instance in (("one", "the-one"), ("two", "other"), ("twin", "the-one")))
        commands = []
        try:
            for replica in (one, two):
                replica.start().wait_ready()
            workers.settle_down(lambda: has_sources(one) and has_sources(two), 120, "sources for both")
            produce(client, commands, 200)
            restart_without_rebalance(client, commands, one, two)
            same_id_twice(client, commands, one, twin, protocol != "classic")
            assert two.stop() == 0, "a drain is clean"
            report = reconcile.outcomes(commands, client.read("results"), [])
            print(report)
            assert not report.problems, "outcomes do not fit"
        finally:
            for replica in (one, two, twin):
                if replica.is_running():
                    replica.kill()
            client.close()


if __name__ == "__main__":
    scenario(sys.argv[1] if len(sys.argv) > 1 else "classic")
    sys.exit(0)

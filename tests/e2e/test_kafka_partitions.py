#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""Partitions are added to a commands topic: a replica that runs says what it waits for, and the next start adds
them to the park log, the window and the replay topic.

test_kafka_partitions.py [VERSION]
"""

import subprocess
import sys

import clients
import confluent_kafka.admin
import msgpack
import reconcile
import workers
from workers import brokers

BEFORE, AFTER = 2, 6
GROUP = "grown"
TOPICS = {"commands": "commands.grown", "results": "results.grown", "dead_letters": "dlq.grown",
          "control": "control.grown", "status": "status.grown"}
FOLLOWERS = [f"{what}.{GROUP}.{TOPICS['commands']}" for what in ("park", "window", "replay")]


def send(client, commands, keys):
    first = len(commands)
    for number in range(first, first + keys):
        id_ = f"grown-{number}"
        key = f"key-{number}"
        value = msgpack.packb({"v": 1, "id": id_, "cmd": "probe.run", "key": key,
                               "payload": {"do": "ok", "echo": number}})
        commands.append(reconcile.Command(number, reconcile.OK, key.encode(), id_, value))
    positions = client.publish(TOPICS["commands"], [(c.key, c.value, None) for c in commands[first:]])
    for command, position in zip(commands[first:], positions):
        command.position = position


def play(folder, url):
    client = clients.connect(url)
    admin = confluent_kafka.admin.AdminClient({"bootstrap.servers": client.servers})
    config = workers.configuration(url, GROUP, TOPICS, partitions=BEFORE, progress_ms=3000,
                                   window_ms=3600000)
    config["kafka"] = {"session.timeout.ms": 6000, "topic.metadata.refresh.interval.ms": 500}
    client.create(TOPICS["commands"], BEFORE)

    def partitions(topic):
        return len(admin.list_topics(topic, timeout=30).topics[topic].partitions)

    def done(wanted):
        """How many of them have a result."""
        ids = {msgpack.unpackb(m.value)["id"] for m in client.read(TOPICS["results"])}
        return sum(1 for command in wanted if command.id in ids)

    replicas = [workers.Worker(folder, name, config) for name in ("one", "two")]
    commands = []
    try:
        one = replicas[0].start().wait_ready()
        send(client, commands, 20)
        workers.settle_down(lambda: done(commands) == len(commands), 60, "the first commands")
        more = confluent_kafka.admin.NewPartitions(TOPICS["commands"], AFTER)
        admin.create_partitions([more])[TOPICS["commands"]].result(60)
        workers.settle_down(lambda: partitions(TOPICS["commands"]) == AFTER, 60, "more partitions")
        workers.settle_down(
            lambda: (one.metric("dray_transport_held_back_sources") or 0) >= AFTER - BEFORE, 90,
            "the new partitions among what is held back")
        assert "wait for a park log" in one.get("/readyz")[1], one.get("/readyz")
        assert "KAFKA-GATED" in one.log()
        client.close()
        client = clients.connect(url)  # the other one knows of the old partitions
        send(client, commands, 60)
        new = [c for c in commands if c.position[0] >= BEFORE]
        old = [c for c in commands if c.position[0] < BEFORE]
        workers.settle_down(lambda: done(old) == len(old), 60, "the old partitions")
        assert new and done(new) == 0, "commands ran without the park log of their partition"
        two = replicas[1].start().wait_ready()
        assert two.log().count("KAFKA-PARTITIONS") == len(FOLLOWERS), two.log()[-3000:]
        assert [partitions(topic) for topic in FOLLOWERS] == [AFTER] * len(FOLLOWERS)
        workers.settle_down(lambda: done(commands) == len(commands), 90, "every command")
        workers.settle_down(
            lambda: not any(r.metric("dray_transport_held_back_sources") for r in replicas), 60, "no more gates")
        report = reconcile.outcomes(commands, client.read(TOPICS["results"]), client.read(TOPICS["dead_letters"]))
        assert not report.problems, str(report)
        done = subprocess.run([workers.DRAY, "doctor", "-c", one.config_path], capture_output=True, timeout=60,
                              check=False)
        assert done.returncode == 0, done.stdout
        for replica in replicas:
            assert replica.stop() == 0, "a drain is clean"
        print(f"{len(commands)} commands, {len(new)} of them in new partitions")
    finally:
        for replica in replicas:
            if replica.is_running():
                replica.kill()
        client.close()


def main():
    version = sys.argv[1] if len(sys.argv) > 1 else "3.9.1"
    with workers.Folder("kafka-partitions") as folder, brokers.Kafka(version) as broker:
        play(folder, broker.url)
    return 0


if __name__ == "__main__":
    sys.exit(main())

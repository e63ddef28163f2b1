#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""nats.partitions: the order of a key holds across replicas that come, go and are killed, and nothing is lost.

One replica, then four, one of them is killed by SIGKILL in the middle of its work, one drains away: 1 -> 4
-> 2. Commands are produced all the time, by a client that shares no code. What was settled above the
acknowledgement floor of a partition when its replica died runs again, and nothing else may.
"""

import collections
import json
import subprocess
import sys

import clients
import msgpack
import reconcile
import workers
from workers import brokers

PARTITIONS, KEYS, WORK_MS, LANES = 8, 40, 20, 4
BATCH = 240
LEASE_MS = 8000
TOPICS = {"commands": "commands", "results": "results", "dead_letters": "dlq.parts.commands"}


def murmur2(data):
    """As Kafka's Java client has it, positive."""
    mask, multiply = 0xffffffff, 0x5bd1e995
    hash_ = (0x9747b28c ^ len(data)) & mask
    whole = len(data) // 4 * 4
    for at in range(0, whole, 4):
        part = int.from_bytes(data[at:at + 4], "little") * multiply & mask
        part = (part ^ part >> 24) * multiply & mask
        hash_ = hash_ * multiply & mask ^ part
    rest = data[whole:]
    if rest:
        hash_ = (hash_ ^ int.from_bytes(rest, "little")) * multiply & mask
    hash_ = (hash_ ^ hash_ >> 13) * multiply & mask
    return (hash_ ^ hash_ >> 15) & 0x7fffffff


class Producer:
    """Commands with rising numbers, each into the partition of its key."""

    def __init__(self, client):
        self.client = client
        self.commands = []

    def send(self, count):
        new = []
        for number in range(len(self.commands), len(self.commands) + count):
            key = f"key-{number % KEYS}"
            value = msgpack.packb({"v": 1, "id": f"c-{number}", "cmd": "probe.run", "key": key,
                                   "payload": {"do": "sleep", "ms": WORK_MS, "echo": number}})
            new.append(reconcile.Command(number, reconcile.OK, key.encode(), f"c-{number}", value))
        by_partition = collections.defaultdict(list)
        for command in new:
            by_partition[murmur2(command.key) % PARTITIONS].append(command)
        assert len(by_partition) == PARTITIONS, "keys do not reach every partition"
        for partition, commands in by_partition.items():
            positions = self.client.publish(
                f"commands.p.{partition}", [(c.key, c.value, None) for c in commands])
            for command, position in zip(commands, positions):
                command.position = position
        self.commands += new


class Scene:
    def __init__(self, folder, url, client):
        config = workers.configuration(url, "parts", TOPICS, lanes=LANES, revoke_ms=5000)
        config["nats"] = {"partitions": PARTITIONS, "lease_ms": LEASE_MS, "ack_wait_ms": 20000}
        self.client = client
        self.replicas = {name: workers.Worker(folder, name, config)
                         for name in ("one", "two", "three", "four")}
        self.probe_log = self.replicas["one"].probe_log

    def runs(self):
        return workers.runs(self.probe_log)

    def by(self, name):
        return sum(run.worker == name for run in self.runs())

    def wait_runs(self, producer, name, more):
        """Produces until this replica has had its part of it."""
        wanted = self.by(name) + more

        def has_run():
            if self.by(name) >= wanted:
                return True
            producer.send(KEYS)
            return False
        workers.settle_down(has_run, 120, f"{more} more runs by {name}")

    def wait_busy(self, producer, name):
        """Produces until this replica has something in flight; returns how much."""
        found = []

        def is_busy():
            producer.send(BATCH)
            found.append(self.replicas[name].metric("dray_in_flight_commands"))
            return found[-1] > 0
        workers.settle_down(is_busy, 120, f"{name} at work")
        return found[-1]

    def has_taken(self, name):
        return self.replicas[name].log().count("id=NATS-LEASE msg")

    def wait_all(self, commands):
        workers.settle_down(
            lambda: reconcile.is_complete(commands, self.client.read("results"), []), 180,
            "a result for every command")


def scenario():
    with workers.Folder("partitions") as folder, brokers.Nats() as broker:
        client = clients.connect(broker.url)
        scene = Scene(folder, broker.url, client)
        producer = Producer(client)
        replicas = scene.replicas
        try:
            replicas["one"].start().wait_ready()
            workers.settle_down(lambda: scene.has_taken("one") == PARTITIONS, 60, "all partitions")
            scene.wait_runs(producer, "one", 20)
            for name in ("two", "three", "four"):
                replicas[name].start().wait_ready()
            for name in ("two", "three", "four"):
                scene.wait_runs(producer, name, 10)
            revoked = replicas["one"].metric("dray_revocations_total")
            taken_before = sum(scene.has_taken(name) for name in ("one", "three", "four"))
            in_flight = scene.wait_busy(producer, "two")
            replicas["two"].kill()
            producer.send(BATCH)
            workers.settle_down(
                lambda: sum(scene.has_taken(name) for name in ("one", "three", "four"))
                >= taken_before + PARTITIONS // 4, 120, "the partitions of the dead one elsewhere")
            scene.wait_all(producer.commands)
            killed_runs = scene.runs()
            scene.wait_busy(producer, "three")
            code = replicas["three"].stop()
            producer.send(BATCH)
            sent = subprocess.run(
                [workers.DRAY, "send", "probe.run", "--json", "--key", "key-3", "--wait=60", "--payload",
                 json.dumps({"do": "ok", "echo": "sent"}), "-c", replicas["one"].config_path],
                capture_output=True, timeout=120, check=False)
            scene.wait_all(producer.commands)
            codes = [code, replicas["one"].stop(), replicas["four"].stop()]

            runs = scene.runs()
            report = reconcile.outcomes(producer.commands, [
                m for m in client.read("results") if str(msgpack.unpackb(m.value)["id"]).startswith("c-")], [])
            order = reconcile.order(producer.commands, runs)
            again = len(runs) - len({run.id for run in runs})
            again_after_kill = len(killed_runs) - len({run.id for run in killed_runs})
            print(report)
            print(f"{len(runs)} runs, {again} of them again ({again_after_kill} until the kill was mended), "
                  f"{in_flight:.0f} in flight at the kill, {revoked:.0f} partitions revoked at the first")
            assert not report.problems, "outcomes do not fit"
            assert not order, f"order of keys: {len(order)} problems, {order[:5]}"
            assert codes == [0, 0, 0], f"drains are clean: {codes}"
            assert sent.returncode == 0 and json.loads(sent.stdout)["result"] is not None, sent
            subject = f"commands.p.{murmur2(b'key-3') % PARTITIONS}"
            assert any(b"sent" in m.value for m in client.read(subject)), "dray send chose another partition"
            assert revoked >= PARTITIONS // 2, "partitions did not move: the scenario proves nothing"
            assert again - again_after_kill <= BATCH // 4, "clean hand-overs made commands run again"
            for name in replicas:
                assert "id=NATS-LEASE-LOST" not in replicas[name].log(), f"{name} lost a lease while it lived"
        finally:
            for replica in replicas.values():
                if replica.is_running():
                    replica.kill()
            client.close()


if __name__ == "__main__":
    scenario()
    sys.exit(0)

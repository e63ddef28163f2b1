#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""A command that is sent again does not run again: each id has one run and one end, whoever answers.

Every id is sent twice at once, once with the same key and once with another one of the same partition,
then again after the worker was killed, after a second replica came (with partitions, half
of them go to it), and after the first one was killed while the second lives. One command's worker dies between the
record of its end and its result and is started again; of another one's the second replica takes the partition over.
"""

import argparse
import collections
import re
import signal
import sys

import clients
import msgpack
import workers
from test_nats_partitions import murmur2
from test_reconcile import start_broker

COUNT, PARTITIONS, WINDOW_MS = 40, 4, 3600000
TOPICS = {"commands": "commands", "results": "results", "dead_letters": "dlq.once.commands"}


class Sender:
    """Remembers how often each id was sent."""

    def __init__(self, client, has_partitions):
        self.client = client
        self.has_partitions = has_partitions  # of JetStream; Kafka has them always
        self.sent = collections.Counter()
        self.keys = {}  # partition -> keys that go there

    def publish(self, messages):
        """Positions, in order; by partition on JetStream, as its producers do."""
        if not self.has_partitions:
            return self.client.publish("commands", messages)
        for message in messages:
            self.client.publish(f"commands.p.{murmur2(message[0]) % PARTITIONS}", [message])
        return [(murmur2(message[0]) % PARTITIONS, 0) for message in messages]

    def find_keys(self):
        names = [f"key-{n}" for n in range(12 * PARTITIONS)]
        messages = [self.message(f"scout-{name}", name, {"do": "ok"}) for name in names]
        for at, (name, position) in enumerate(zip(names, self.publish(messages))):
            partition = position[0] if isinstance(position, tuple) else at % PARTITIONS
            self.keys.setdefault(partition, []).append(name)
        assert len(self.keys) == PARTITIONS and all(len(keys) > 1 for keys in self.keys.values())

    def message(self, name, key, payload):
        self.sent[name] += 1
        value = msgpack.packb({"v": 1, "id": name, "cmd": "probe.run", "key": key, "payload": payload})
        return key.encode(), value, None

    def send_all(self, times, shift):
        """Each id so many times, each time by another key of its partition; the same payload."""
        messages = []
        for number in range(COUNT):
            keys = self.keys[number % PARTITIONS]
            # every fourth says no, every third takes its time, so that twins meet in flight
            payload = ({"do": "fail", "kind": "rejected"} if number % 4 == 3 else
                       {"do": "sleep", "ms": 400} if number % 3 == 0 else {"do": "ok", "echo": number})
            for turn in range(times):
                key = keys[(number + (shift + turn) // 2) % len(keys)]
                messages.append(self.message(f"id-{number}", key, payload))
        self.publish(messages)

    def ends(self):
        """id -> its results."""
        found = collections.defaultdict(list)
        for message in self.client.read("results"):
            result = msgpack.unpackb(message.value)
            found[result["id"]].append(result)
        return found

    def wait(self, what):
        def is_there():
            ends = self.ends()
            return all(len(ends[name]) >= count for name, count in self.sent.items())

        workers.settle_down(is_there, 180, what)


def check(sender, probe_log, may_be_many=()):
    """One run, one end; as many results as were sent, all but the first marked."""
    runs = collections.Counter(run.id for run in workers.runs(probe_log))
    letters = collections.Counter(message.header("dray-dlq-id")
                                  for message in sender.client.read(TOPICS["dead_letters"]))
    marked = 0
    for name, results in sender.ends().items():
        assert runs[name.encode().hex()] == 1, f"{name} ran {runs[name.encode().hex()]} times"
        whole = [{key: value for key, value in result.items() if key != "duplicate"}
                 for result in results]
        assert all(result == whole[0] for result in whole), f"{name} ended in several ways: {results}"
        assert "ns" not in whole[0] and "source" not in whole[0], whole[0]
        if name not in may_be_many:
            assert len(results) == sender.sent[name], f"{name}: {len(results)} results"
        first = [result for result in results if not result.get("duplicate")]
        assert len(first) >= 1, f"{name}: only duplicates"
        marked += len(results) - len(first)
        is_failure = whole[0]["status"] == "error"
        assert letters[name] == (1 if is_failure else 0), f"{name}: {letters[name]} letters"
    return marked


def dies_behind_a_record(sender, one, two):
    """The first replica comes back, gets a part, and dies behind the record of a command: the second one, which
    takes its partition, publishes the result and does not run it."""
    def parts():  # the other one may have had it, or nobody yet
        return len(re.findall(r"id=ENG-ASSIGNED .* source=park", one.log(), re.IGNORECASE))
    had = parts()
    one.start(env={"DRAY_CRASH_AT": "after_publish:1"}).wait_ready()
    workers.settle_down(lambda: parts() > had, 60, "a part for the first one again")
    for partition, keys in sorted(sender.keys.items()):
        name = f"torn-{partition}"
        sender.publish([sender.message(name, keys[0], {"do": "ok"})])
        workers.settle_down(lambda: not one.is_running() or sender.ends()[name], 90, "an end or a death")
        if not one.is_running():
            break
    assert one.process.returncode == -signal.SIGKILL, one.log()[-2000:]
    sender.wait("the result of what another one's record says")
    [run] = [run for run in workers.runs(one.probe_log) if run.id == name.encode().hex()]
    [result] = sender.ends()[name]
    assert run.worker == "one" and not result.get("duplicate"), (run.worker, result)


def scenario(bus, has_partitions):
    with workers.Folder("window") as folder, start_broker(bus) as broker:
        client = clients.connect(broker.url)
        config = workers.configuration(broker.url, "once", TOPICS, window_ms=WINDOW_MS, lanes=8,
                                       partitions=PARTITIONS)
        config["routes"][0]["policy"] = {"attempts": 1, "idempotency": {"window_ms": WINDOW_MS}}
        if client.kind == "kafka":
            config["kafka"] = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 500}
        if has_partitions:
            config["nats"] = {"partitions": PARTITIONS, "lease_ms": 3000, "ack_wait_ms": 20000}
        one, two = (workers.Worker(folder, name, config) for name in ("one", "two"))
        is_parted = has_partitions or client.kind == "kafka"
        sender = Sender(client, has_partitions)
        try:
            one.start().wait_ready()
            sender.find_keys()
            sender.send_all(4, 0)
            sender.wait("a result for each of four")
            workers.settle_down(lambda: one.metric("dray_window_hits_total") == 3 * COUNT, 60,
                                "three answers of four")
            assert one.metric("dray_window_held_total") > 0, "no duplicate has met the first one in flight"
            check(sender, one.probe_log)

            one.kill()
            sender.send_all(2, 1)
            one.start().wait_ready()
            sender.wait("answers after a kill")
            again = {name for name in sender.sent}  # what was not committed is answered again
            check(sender, one.probe_log, again)

            one.stop()
            one.start(env={"DRAY_CRASH_AT": "after_publish:1"})
            sender.publish([sender.message("torn", sender.keys[0][0], {"do": "ok"})])
            workers.settle_down(lambda: not one.is_running(), 120, "the crash behind the record")
            assert not sender.ends()["torn"], "it died too late"
            assert [run for run in workers.runs(one.probe_log) if run.id == b"torn".hex()], "it did not run"
            one.start().wait_ready()
            sender.wait("the result of what died behind its record")
            assert not any("duplicate" in result for result in sender.ends()["torn"])
            check(sender, one.probe_log, again)

            had = one.metric("dray_revocations_total")
            two.start().wait_ready()
            workers.settle_down(lambda: two.metric("dray_assigned_sources") and (
                not is_parted or one.metric("dray_revocations_total") > had), 120, "sources of the second replica")
            before = two.metric("dray_window_hits_total")
            sender.send_all(2, 2)
            sender.wait("answers of two replicas")
            workers.settle_down(lambda: two.metric("dray_window_hits_total") > before, 60,
                                "an answer of the second replica")
            if is_parted:
                assert one.stop() == 0
                dies_behind_a_record(sender, one, two)
            else:
                one.kill()
            hits = two.metric("dray_window_hits_total")
            sender.send_all(1, 3)
            sender.wait("answers of the one that is left")
            check(sender, one.probe_log, again)
            workers.settle_down(lambda: two.metric("dray_window_hits_total") >= hits + COUNT, 60, "answers of the second")
            assert two.metric("dray_window_evicted_total") == 0
            assert two.stop() == 0
            torn = {f"torn-{partition}".encode().hex() for partition in range(PARTITIONS)}
            ran = {run.worker for run in workers.runs(one.probe_log) if run.id not in torn}
            assert ran == {"one"}, "the second one ran something"
        finally:
            for replica in (one, two):
                if replica.is_running():
                    replica.kill()
            client.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--bus", default="kafka")
    parser.add_argument("--partitions", action="store_true", help="of JetStream")
    arguments = parser.parse_args()
    scenario(arguments.bus, arguments.partitions)
    sys.exit(0)

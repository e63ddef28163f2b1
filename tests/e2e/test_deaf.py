#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""Handlers that ignore their time limit: their commands end, their keys are held, everything else goes on.

One that returns at last: its followers run then, in order. One that never returns: the worker ends by itself,
and the next one finishes the rest. With a second replica, which takes over what the first one could not end; on
NATS with nats.partitions then.
"""

import argparse
import re
import sys

import msgpack

import clients
import workers
from test_nats_partitions import murmur2
from test_reconcile import start_broker

LIMIT_MS, STUCK_MS, LONG_MS, SPIN_MS = 300, 500, 30000, 8000
FOLLOWERS, OTHERS, PARTITIONS = 4, 200, 4


class Scenario:
    """One worker with two lanes, or replicas, and topics of its own."""

    def __init__(self, folder, broker, client, name, has_partitions=False, **settings):
        self.client = client
        self.has_partitions = has_partitions and client.kind == "nats"
        self.topics = {"commands": f"commands.{name}", "results": f"results.{name}",
                       "dead_letters": f"dlq.{name}.commands"}
        config = workers.configuration(
            broker.url, name, self.topics, lanes=2, settle_ms=100, timeout_ms=LIMIT_MS,
            stuck_ms=STUCK_MS, partitions=PARTITIONS, **settings)
        if client.kind == "nats":
            config["nats"] = {"ack_wait_ms": 3000}
            if has_partitions:
                config["nats"].update(partitions=PARTITIONS, lease_ms=2000)
        else:
            config["kafka"] = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 500}
        self.folder, self.name, self.config = folder, name, config
        self.worker = self.replica(name)

    def replica(self, name):
        worker = workers.Worker(self.folder, name, self.config)
        worker.probe_log = f"{self.folder}/{self.name}.probe"
        worker.env["DRAY_PROBE_LOG"] = worker.probe_log
        return worker

    def send(self, *commands):
        """(id, key or None, payload) each."""
        messages = []
        for id_, key, payload in commands:
            envelope = {"v": 1, "id": id_, "cmd": "probe.run", "payload": payload}
            if key is not None:
                envelope["key"] = key
            messages.append((key and key.encode(), msgpack.packb(envelope), None))
        if not self.has_partitions:
            self.client.publish(self.topics["commands"], messages)
            return
        for message in messages:
            partition = murmur2(message[0]) % PARTITIONS
            self.client.publish(f"{self.topics['commands']}.p.{partition}", [message])

    def results(self):
        """id -> [result map]"""
        found = {}
        for message in self.client.read(self.topics["results"]):
            result = msgpack.unpackb(message.value)
            found.setdefault(result["id"], []).append(result)
        return found

    def succeeded(self, ids):
        results = self.results()
        return all(any(r["status"] == "ok" for r in results.get(id_, [])) for id_ in ids)

    def letters(self):
        return {message.header("dray-dlq-id"): message
                for message in self.client.read(self.topics["dead_letters"])}

    def runs(self):
        """id -> the runs that came to their end"""
        found = {}
        for run in workers.runs(self.worker.probe_log):
            found.setdefault(bytes.fromhex(run.id).decode(), []).append(run)
        return found

    def wait(self, condition, seconds, what):
        try:
            workers.settle_down(condition, seconds, what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.worker.log()[-3000:]}") from None


def followers(key):
    return [(f"{key}-follower-{n}", key, {"do": "ok"}) for n in range(FOLLOWERS)]


def ids(commands):
    return [command[0] for command in commands]


def check_letter(scenario, id_):
    """The command's one letter, with the stack, and one error result."""
    letter = scenario.letters()[id_]
    assert letter.header("dray-dlq-reason") == "timeout", letter.headers
    assert "unknown" in letter.header("dray-dlq-message"), letter.headers
    assert letter.header("dray-dlq-attempts") == "1", letter.headers
    backtrace = letter.header("dray-dlq-backtrace")
    assert backtrace and re.search(r"probe(\.so)?\+0x", backtrace), backtrace
    results = scenario.results()[id_]
    assert [(r["status"], r["error"]["kind"], r["error"]["dead_letter"]) for r in results] == [
        ("error", "timeout", True)], results
    copies = [m for m in scenario.client.read(scenario.topics["dead_letters"])
              if m.header("dray-dlq-id") == id_]
    assert len(copies) == 1, len(copies)


def others_go_on(scenario):
    """Both lanes lose their threads; commands of other keys succeed meanwhile, followers wait."""
    slept, spun = followers("slept"), followers("spun")
    scenario.send(("deaf-slept", "slept", {"do": "sleep", "ms": LONG_MS, "deaf": True}),
                  ("deaf-spun", "spun", {"do": "spin", "ms": SPIN_MS, "deaf": True}))
    scenario.send(*slept, *spun)
    scenario.wait(lambda: len(scenario.letters()) == 2, 60, "the letters of two deaf handlers")
    others = [(f"other-{n}", f"key-{n % 20}" if n % 3 else None, {"do": "ok"}) for n in range(OTHERS)]
    scenario.send(*others)
    scenario.wait(lambda: scenario.succeeded(ids(others)), 60, "other keys' results meanwhile")
    run_meanwhile = scenario.runs()
    out = scenario.worker.metric("dray_stuck_handlers")
    assert out >= 1 and "deaf-slept" not in run_meanwhile, "the handler returned before it was looked at"
    assert not set(ids(slept)) & set(run_meanwhile), "a follower ran beside the handler of its key"
    return slept, spun


def they_run_after_its_return(scenario, slept, spun):
    scenario.wait(lambda: scenario.succeeded(ids(slept + spun)), 120, "the followers' results")
    runs = scenario.runs()
    for name, behind in (("deaf-slept", slept), ("deaf-spun", spun)):
        assert len(runs[name]) == 1, f"{name} ran {len(runs[name])} times"
        last = runs[name][0].end_ns
        for id_ in ids(behind):
            assert len(runs[id_]) == 1 and runs[id_][0].start_ns >= last, f"{id_} was not behind the one before"
            last = runs[id_][0].end_ns
        check_letter(scenario, name)
    worker = scenario.worker
    scenario.wait(lambda: worker.metric("dray_stuck_handlers") == 0, 30, "no stuck handler in the metrics")
    assert worker.metric("dray_stuck_handlers_total") == 2
    assert worker.metric("dray_late_results_total") == 2
    assert worker.log().count("LANE-STUCK") == 2


def returns_at_last(folder, broker, client):
    scenario = Scenario(folder, broker, client, "late", stuck_exit_ms=600000)
    try:
        scenario.worker.start().wait_ready()
        they_run_after_its_return(scenario, *others_go_on(scenario))
        assert scenario.worker.stop() == 0
    finally:
        if scenario.worker.is_running():
            scenario.worker.kill()


def never_returns(folder, broker, client, name, key, **settings):
    """The worker ends by itself, not cleanly; the next one finishes what waited, and not the deaf one."""
    scenario = Scenario(folder, broker, client, name, **settings)
    worker, behind = scenario.worker, followers("held")
    try:
        worker.start().wait_ready()
        scenario.send(("deaf", key, {"do": "sleep", "ms": 3600000, "deaf": True}))
        scenario.wait(lambda: "deaf" in scenario.letters(), 60, "the letter of a deaf handler")
        scenario.send(*behind)
        scenario.wait(lambda: not worker.is_running(), 120, "a worker that ends by itself")
        assert worker.process.returncode == 1, worker.process.returncode
        log = worker.log()
        assert "WRK-DEAF" in log, log[-2000:]
        if key is not None:
            assert not scenario.runs(), "a follower ran beside the handler of its key"
        worker.start().wait_ready()
        assert "JNL-SUSPECT" in worker.log()[len(log):], "the journal did not name the deaf one"
        scenario.wait(lambda: scenario.succeeded(ids(behind)), 120, "the followers' results")
        starts = [scenario.runs()[id_][-1].start_ns for id_ in ids(behind)]
        assert starts == sorted(starts), starts
        assert worker.metric("dray_stuck_handlers_total") == 0
        assert worker.stop() == 0
        check_letter(scenario, "deaf")
    finally:
        if worker.is_running():
            worker.kill()


def another_takes_over(folder, broker, client):
    """Of two replicas one has a handler that never returns: both go on, it ends, the other has the rest."""
    scenario = Scenario(folder, broker, client, "pair", has_partitions=True, stuck_exit_ms=5000)
    replicas = [scenario.worker, scenario.replica("pair-two")]
    behind = followers("held")
    try:
        replicas[0].start().wait_ready()
        alone = replicas[0].metric("dray_revocations_total")
        replicas[1].start().wait_ready()
        scenario.wait(lambda: replicas[0].metric("dray_revocations_total") > alone, 60, "a part for the second")
        scenario.send(("deaf", "held", {"do": "sleep", "ms": 3600000, "deaf": True}))
        scenario.wait(lambda: any(replica.metric("dray_stuck_handlers") for replica in replicas), 60,
                      "a stuck handler")
        deaf, other = sorted(replicas, key=lambda replica: -replica.metric("dray_stuck_handlers"))
        assigned = other.metric("dray_assignments_total")
        others = [(f"other-{n}", f"key-{n % 20}", {"do": "ok"}) for n in range(OTHERS // 2)]
        scenario.send(*behind, *others)
        scenario.wait(lambda: scenario.succeeded(ids(others)), 60, "other keys' results")
        scenario.wait(lambda: not deaf.is_running(), 120, "the end of the one with the deaf handler")
        assert deaf.process.returncode == 1, deaf.process.returncode
        scenario.wait(lambda: scenario.succeeded(ids(behind)), 120, "the followers' results")
        assert other.metric("dray_assignments_total") > assigned, "no partition has moved"
        runs = scenario.runs()
        assert "deaf" not in runs, "the deaf one was run a second time"
        assert {run.worker for id_ in ids(others) for run in runs[id_]} == {"pair", "pair-two"}
        assert {run.worker for id_ in ids(behind) for run in runs[id_]} == {other.name}
        starts = [runs[id_][0].start_ns for id_ in ids(behind)]
        assert starts == sorted(starts), starts
        assert other.stop() == 0
        check_letter(scenario, "deaf")
    finally:
        for replica in replicas:
            if replica.is_running():
                replica.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bus", default="nats")
    arguments = parser.parse_args()
    with workers.Folder("deaf") as folder, start_broker(arguments.bus) as broker:
        client = clients.connect(broker.url)
        try:
            returns_at_last(folder, broker, client)
            never_returns(folder, broker, client, "held", "held", stuck_exit_ms=2000)
            never_returns(folder, broker, client, "many", None, stuck_max=0)
            another_takes_over(folder, broker, client)
        finally:
            client.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())

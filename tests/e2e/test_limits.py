#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""Limits of a route with a real worker on a real broker: concurrency, rate, order, breaker, pause and resume.

What ran when is read from the probe's own log. test_limits.py --bus nats|kafka[:VERSION] [--only CASE]
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys

import clients
import msgpack
import workers
from workers import brokers

GROUP = "lim"
IN_FLIGHT = 40  # a quarter may wait for paused routes
OPEN_MS = 2000
MOST = 16  # of a limit that finds itself


def start_broker(name):
    if name == "nats":
        return brokers.Nats()
    return brokers.Kafka(name.partition(":")[2] or "3.9.1")


def route(name, **policy):
    return dict(workers.PROBE, name=name, policy=policy)


ROUTES = [
    route("probe.run", attempts=2, backoff_ms=[20]),
    route("one.run", concurrency=1),
    route("two.run", concurrency=2),
    route("slow.run", rate=10, burst=1),
    route("free.run", order="none"),
    route("strict.run", order="partition"),
    route("adapts.run", concurrency=MOST, concurrency_min=1),
    route("pair.run", key_concurrency=2),
    route("breaks.run", attempts=3, backoff_ms=[20000], breaker={"failures": 3, "open_ms": OPEN_MS}),
    route("denied.run", attempts=3),
]


class Scene:
    """One worker with topics of its own, and the command line."""

    def __init__(self, folder, url, client, case, routes=None, env=None, **settings):
        self.client = client
        self.topics = {"commands": case, "results": f"results.{case}", "dead_letters": f"dlq.{GROUP}.{case}",
                       "control": f"control.{case}", "status": f"status.{case}"}
        settings = dict({"settle_ms": 50, "partitions": 1, "lanes": 6, "max_in_flight": IN_FLIGHT}, **settings)
        config = workers.configuration(url, GROUP, self.topics, **settings)
        config["routes"] = ROUTES if routes is None else routes
        self.room_path = os.path.join(folder, "room")
        self.worker = workers.Worker(folder, "one", config, dict({"DRAY_PROBE_ROOM": self.room_path}, **env or {}))
        self.worker.start().wait_ready()

    def dray(self, *arguments):
        """Runs the command line; returns the objects that it printed."""
        done = subprocess.run([workers.DRAY, *arguments, "-c", self.worker.config_path],
                              capture_output=True, timeout=120, check=False)
        assert done.returncode == 0, f"dray {arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return [json.loads(line) for line in done.stdout.splitlines()]

    def send(self, name, count, key=None, first=0, reply_to=None, **payload):
        """Commands <name>-<number>; returns their ids in order. key: a function of the number."""
        ids, messages = [], []
        for number in range(first, first + count):
            ids.append(f"{name}-{number:03d}")
            command = {"v": 1, "id": ids[-1], "cmd": name, "payload": dict({"do": "ok"}, **payload)}
            if reply_to is not None:
                command["reply_to"] = reply_to
            message_key = None
            if key is not None:
                command["key"] = message_key = key(number)
            messages.append((message_key, msgpack.packb(command), []))
        self.client.publish(self.topics["commands"], messages)
        return ids

    def runs(self, name):
        """What the probe's log says of a command, in the order of the log."""
        found = []
        for run in workers.runs(self.worker.probe_log):
            run.id = bytes.fromhex(run.id).decode()
            if run.id.rpartition("-")[0] == name:
                found.append(run)
        return found

    def wait_runs(self, name, count, timeout_s=120):
        workers.settle_down(lambda: len(self.runs(name)) >= count, timeout_s, f"{count} runs of {name}")
        return self.runs(name)

    def wait_metric(self, name, value, timeout_s=60):
        workers.settle_down(lambda: self.worker.metric(name) == value, timeout_s, f"{name} is {value}")

    def make_room(self, count):
        """From now on what sleeps as one of more than so many takes as many times longer; 0: there is room for all."""
        with open(self.room_path + ".new", "w", encoding="ascii") as file:
            file.write(f"{count}\n")
        os.rename(self.room_path + ".new", self.room_path)

    def limit(self, key):
        """Where the limit of a route is that finds its own; 0: that is not shown."""
        line = rf'^dray_adaptive_limit_commands{{route="{re.escape(key)}"}} (\d+)$'
        found = re.search(line, self.worker.get("/metrics")[1], re.MULTILINE)
        return int(found.group(1)) if found else 0

    def letters(self):
        return self.client.read(self.topics["dead_letters"])

    def results(self):
        """Ids of the commands that succeeded."""
        values = [msgpack.unpackb(record.value) for record in self.client.read(self.topics["results"])]
        return {value["id"] for value in values if value["status"] == "ok"}

    def close(self):
        code = self.worker.stop()
        assert code == 0, f"the worker ended with {code}:\n{self.worker.log()[-3000:]}"


def most_at_once(runs):
    edges = sorted([(run.start_ns, 1) for run in runs] + [(run.end_ns, -1) for run in runs],
                   key=lambda edge: (edge[0], edge[1]))
    most = now = 0
    for _, step in edges:
        now += step
        most = max(most, now)
    return most


def concurrency(scene):
    """A route's limit holds over keys and the keyless, and another route is not held by it."""
    scene.send("one.run", 12, key=lambda n: f"k{n}", do="sleep", ms=100)
    scene.send("two.run", 12, do="sleep", ms=300)
    scene.send("probe.run", 10)
    one, two = scene.wait_runs("one.run", 12), scene.wait_runs("two.run", 12)
    probe = scene.wait_runs("probe.run", 10)
    assert most_at_once(one) == 1, most_at_once(one)
    assert most_at_once(two) == 2, most_at_once(two)
    assert max(run.end_ns for run in probe) < max(run.start_ns for run in two), "the others waited"


class Load:
    """Commands of a route keep coming, more than its limit lets run, while somebody looks where that is."""

    def __init__(self, scene, name):
        self.scene, self.name = scene, name
        self.ids, self.limits = [], []

    def until(self, condition, what):
        """Waits until it holds for the limits that were seen since now; returns these."""
        first = len(self.limits)

        def look():
            missing = 200 + len(self.scene.runs(self.name)) - len(self.ids)
            if missing > 0:
                self.ids += self.scene.send(self.name, missing, first=len(self.ids), do="sleep", ms=50)
            self.limits.append(self.scene.limit(f"default/{self.name}@1.0.0"))
            return condition(self.limits[first:])

        workers.settle_down(look, 120, what)
        return self.limits[first:]


def adaptive(scene):
    """A limit that finds itself: it is where runs begin to wait for each other, and follows when that moves."""
    load = Load(scene, "adapts.run")
    load.until(lambda limits: limits[-1] == MOST, "all that may while there is room for all")
    shrinks = scene.worker.metric("dray_adaptive_shrinks_total")
    scene.make_room(4)
    load.until(lambda limits: limits[-1] <= 10, "fewer when they wait")
    before = len(scene.runs("adapts.run"))
    stayed = load.until(lambda limits: len(limits) == 25, "where they begin to wait")
    runs = scene.runs("adapts.run")[before:]
    assert 4 <= statistics.median(stayed) <= 10, stayed
    assert most_at_once(runs) < MOST, "as many as ever ran at once"
    assert scene.worker.metric("dray_adaptive_shrinks_total") > shrinks
    scene.make_room(1)
    load.until(lambda limits: limits[-1] <= 4, "fewer still")
    scene.make_room(0)
    load.until(lambda limits: limits[-1] == MOST, "all again")
    runs = scene.wait_runs("adapts.run", len(load.ids))
    assert sorted(run.id for run in runs) == sorted(load.ids)
    assert most_at_once(runs) <= MOST, most_at_once(runs)
    shown = load.limits[load.limits.count(0):]  # from the first command of the route on
    assert 1 <= min(shown) and max(shown) <= MOST, load.limits
    print(f"with room for 4: {stayed}; all: {load.limits}")


def rate(scene):
    """Twenty commands at ten a second begin over some two seconds."""
    scene.send("slow.run", 20)
    starts = sorted(run.start_ns for run in scene.wait_runs("slow.run", 20))
    assert (starts[-1] - starts[0]) / 1e9 > 1.5, starts


def order(scene):
    """A route's own order: commands of one key at once, or all of a partition one by one."""
    scene.send("free.run", 8, key=lambda n: "same", do="sleep", ms=1000)
    free = scene.wait_runs("free.run", 8)
    assert most_at_once(free) > 1, "none ran beside another of its key"
    ids = scene.send("strict.run", 12, key=lambda n: f"k{n}", do="sleep", ms=20)
    strict = scene.wait_runs("strict.run", 12)
    assert most_at_once(strict) == 1
    assert [run.id for run in strict] == ids


def key_concurrency(scene):
    """Two of a key at once, whatever waits of it; keys do not hold each other, and the keyless have no bound."""
    ids = scene.send("pair.run", 12, key=lambda n: "same", do="sleep", ms=300)
    ids += scene.send("pair.run", 4, first=20, do="sleep", ms=300)
    ids += scene.send("pair.run", 6, first=40, key=lambda n: f"k{n}", do="sleep", ms=300)
    runs = scene.wait_runs("pair.run", 22)
    assert sorted(run.id for run in runs) == sorted(ids)
    assert most_at_once([run for run in runs if run.key == b"same".hex()]) == 2
    assert most_at_once(runs) > 3, "the others waited for the key"


def pause_and_resume(scene):
    """Nothing of a paused route runs, others do; then all of it, in order."""
    scene.dray("registry", "pause", "one.run@1.0.0", "--wait=30")
    scene.send("one.run", 8, key=lambda n: f"k{n % 2}")
    scene.wait_metric("dray_paused_commands", 8)
    scene.send("probe.run", 20, key=lambda n: f"k{n % 2 + 2}")
    scene.wait_runs("probe.run", 20)
    assert scene.runs("one.run") == []
    (changed, replayed) = scene.dray("registry", "resume", "one.run@1.0.0")
    assert changed["key"] == replayed["key"] == "default/one.run@1.0.0", changed
    assert replayed["replayed"] == 0, replayed
    runs = scene.wait_runs("one.run", 8)
    for key in range(2):
        mine = [run.id for run in runs if run.key == f"k{key}".encode().hex()]
        assert mine == [f"one.run-{n:03d}" for n in range(key, 8, 2)], mine
    assert scene.letters() == []


def pause_beyond_the_bound(scene):
    """What does not fit becomes held letters, in order, and resume brings them back."""
    scene.dray("registry", "pause", "one.run@1.0.0", "--wait=30")
    ids = scene.send("one.run", 30, key=lambda n: "k")
    scene.wait_metric("dray_dead_letters_total", 20)
    letters = scene.letters()
    assert {letter.header("dray-dlq-reason") for letter in letters} == {"held"}
    assert scene.worker.metric("dray_held_commands_total") == 20
    assert scene.worker.metric("dray_paused_commands") == 10
    scene.send("probe.run", 10, key=lambda n: "other")
    scene.wait_runs("probe.run", 10)
    assert scene.runs("one.run") == []
    (_, replayed) = scene.dray("registry", "resume", "one.run@1.0.0")
    assert replayed["replayed"] == 20, replayed
    assert [run.id for run in scene.wait_runs("one.run", 30)] == ids
    (_, replayed) = scene.dray("registry", "resume", "one.run@1.0.0")
    assert replayed["replayed"] == 0, "a letter was replayed twice"


def drain_while_paused(scene):
    """A worker that drains gives back what waits for a paused route, and the next one has it."""
    scene.dray("registry", "pause", "one.run@1.0.0", "--drain", "--wait=30")
    scene.send("one.run", 6, key=lambda n: "k")
    scene.wait_metric("dray_paused_commands", 6)
    assert scene.worker.stop() == 0
    assert scene.runs("one.run") == [] and scene.letters() == []
    scene.worker.start().wait_ready()
    scene.dray("registry", "resume", "one.run@1.0.0")
    runs = scene.wait_runs("one.run", 6)
    assert {run.id for run in runs} == {f"one.run-{n:03d}" for n in range(6)}


def breaker(scene):
    """Failures open it: nothing runs and nothing is dead-lettered, until a probe succeeds."""
    scene.send("breaks.run", 3, do="fail", kind="unavailable")
    scene.wait_metric("dray_breaker_opens_total", 1)
    failed = scene.runs("breaks.run")
    assert len(failed) == 3, [run.id for run in failed]
    scene.send("breaks.run", 8, first=10, key=lambda n: f"k{n}")
    scene.send("probe.run", 5)
    scene.wait_runs("probe.run", 5)
    runs = scene.wait_runs("breaks.run", 3 + 8)[3:3 + 8]
    assert {run.id for run in runs} == {f"breaks.run-{n:03d}" for n in range(10, 18)}
    opened_ns = max(run.end_ns for run in failed)
    first = min(runs, key=lambda run: run.start_ns)
    assert first.start_ns - opened_ns >= OPEN_MS * 1_000_000 * 0.9, "it ran while the breaker was open"
    others = [run for run in runs if run is not first]
    assert min(run.start_ns for run in others) >= first.end_ns, "the probe was not alone"
    scene.wait_metric("dray_breakers_open", 0)
    assert scene.letters() == []
    assert "ENG-BREAKER " in scene.worker.log() and "ENG-BREAKER-CLOSED" in scene.worker.log()


def auth(scene):
    """A failure of kind auth pauses its route; a change of the route lets it try again."""
    scene.send("denied.run", 1, do="fail", kind="auth")
    scene.wait_metric("dray_breakers_open", 1)
    scene.send("denied.run", 4, first=1)
    scene.send("probe.run", 5)
    scene.wait_runs("probe.run", 5)
    assert len(scene.runs("denied.run")) == 1 and scene.letters() == []
    # Its first command is tried again, no attempt was counted, and still it is no dead letter.
    scene.dray("registry", "resume", "denied.run@1.0.0")
    scene.wait_runs("denied.run", 2)
    assert scene.letters() == []


SETTINGS = {adaptive: {"lanes": MOST + 2}}
CASES = [concurrency, adaptive, rate, order, key_concurrency, pause_and_resume, pause_beyond_the_bound, drain_while_paused,
         breaker, auth]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bus", required=True)
    parser.add_argument("--only")
    arguments = parser.parse_args()
    with start_broker(arguments.bus) as broker:
        client = clients.connect(broker.url)
        for case in CASES:
            if arguments.only not in (None, case.__name__):
                continue
            with workers.Folder(f"limits-{case.__name__}") as folder:
                scene = Scene(folder, broker.url, client, case.__name__.replace("_", "-"), **SETTINGS.get(case, {}))
                try:
                    case(scene)
                finally:
                    scene.close()
            print(f"{case.__name__}: ok", flush=True)
        client.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())

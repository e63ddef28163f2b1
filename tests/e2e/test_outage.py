#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""What is behind the handlers goes down and comes back, with a real worker on a real broker.

Which command needs what stands in a file that the probe reads (DRAY_PROBE_DOWN): while a command is named there, it
fails. What ran when is read from the probe's own log. test_outage.py --bus nats|kafka[:VERSION] [--only CASE]
"""

import argparse
import os
import sys

import clients
import msgpack
import workers
from test_limits import Scene, route, start_broker

PROBE_MS = 1000
MIN = 20
FAILURES = 6
KEYS = 30


class Outage(Scene):
    """A scene with something behind it that can go down."""

    def __init__(self, folder, url, client, case, routes, **settings):
        self.down_path = os.path.join(folder, "down")
        super().__init__(folder, url, client, case, routes, {"DRAY_PROBE_DOWN": self.down_path}, **settings)

    def down(self, *commands, kind="unavailable", code="probe"):
        """From now on these fail, and no others."""
        new = self.down_path + ".new"
        with open(new, "w", encoding="utf-8") as file:
            file.write("".join(f"{command} {kind} {code}\n" for command in commands))
        os.rename(new, self.down_path)

    def up(self):
        os.remove(self.down_path)

    def answers(self, ids, wait=False):
        """Results of these commands."""
        def found():
            values = [msgpack.unpackb(record.value) for record in self.client.read(self.topics["results"])]
            return [value for value in values if value["id"] in ids and value["status"] == "ok"]
        if wait:
            workers.settle_down(lambda: len(found()) >= len(ids), 60, f"results of {ids}")
        return found()

    def reasons(self):
        return [(letter.header("dray-dlq-id"), letter.header("dray-dlq-reason")) for letter in self.letters()]


def systemic(folder, url, client):
    """A database that two routes need is down: no letters but the first few, and all is done when it is back."""
    scene = Outage(folder, url, client, "systemic",
                   [route("db.read", attempts=1), route("db.write", attempts=1), route("mail.send", attempts=1)],
                   max_in_flight=200, systemic_min=MIN, systemic_probe_ms=PROBE_MS)
    scene.down("db.read", "db.write")
    ids = (scene.send("db.read", 150, key=lambda n: f"k{n % KEYS}")
           + scene.send("db.write", 150, key=lambda n: f"k{n % KEYS}"))
    scene.wait_metric("dray_systemic_failure", 1)
    # More than may be in flight: the broker has the rest.
    workers.settle_down(lambda: scene.worker.metric("dray_in_flight_commands") >= 150, 60, "the budget is full")
    scene.wait_metric("dray_unacked_commands", 0)
    first = {name for name, _ in scene.reasons()}
    assert len(first) < MIN, first
    assert "ENG-SYSTEMIC " in scene.worker.log()
    status, text = scene.worker.get("/readyz")
    assert status == 200 and "most fail" in text, (status, text)
    # Probes go, fail, and count for nothing.
    before = len(scene.runs("db.read") + scene.runs("db.write"))
    workers.settle_down(lambda: len(scene.runs("db.read") + scene.runs("db.write")) >= before + 4, 60, "four probes")
    assert {name for name, _ in scene.reasons()} == first
    assert scene.worker.metric("dray_commands_admitted_total") <= 200 + MIN
    scene.up()
    scene.wait_metric("dray_systemic_failure", 0)
    done = set(ids) - first
    workers.settle_down(lambda: scene.results() >= done, 120, "every command has its result")
    assert {name for name, _ in scene.reasons()} == first and not scene.results() & first
    for name in ("db.read", "db.write"):
        for key in range(KEYS):
            runs = [run.id for run in scene.runs(name) if run.key == f"k{key}".encode().hex() and run.id in done]
            last = list(dict.fromkeys(reversed(runs)))[::-1]  # by the last run of each, the one that succeeded
            assert last == sorted(last), (name, key, last)
    assert {run.attempt for run in scene.runs("db.read")} == {1}, "an attempt was burnt"
    assert "ENG-SYSTEMIC-OVER" in scene.worker.log()
    return scene


def systemic_spares_the_healthy(folder, url, client):
    """Routes that work go on meanwhile; what they reject, and what nobody knows, is dead-lettered at once."""
    scene = Outage(folder, url, client, "healthy",
                   [route("db.read", attempts=1), route("mail.send", attempts=1)],
                   max_in_flight=200, systemic_min=MIN, systemic_probe_ms=60000)
    scene.down("db.read")
    scene.send("db.read", 60)
    scene.wait_metric("dray_systemic_failure", 1)
    scene.wait_metric("dray_breakers_open", 1)
    scene.wait_metric("dray_unacked_commands", 0)
    letters = len(scene.letters())
    assert letters < MIN
    good = scene.send("mail.send", 40, key=lambda n: f"m{n % 3}")
    bad = scene.send("mail.send", 5, first=100, do="fail", kind="rejected") + scene.send("no.such", 5)
    workers.settle_down(lambda: scene.results() >= set(good), 60, "the healthy route's results")
    workers.settle_down(lambda: len(scene.letters()) >= letters + 10, 60, "letters of what is not held")
    assert {name for name, reason in scene.reasons() if reason in ("rejected", "unknown_command")} == set(bad)
    assert len(scene.letters()) == letters + 10
    assert scene.worker.metric("dray_systemic_failure") == 1, "it was over too early"
    scene.up()
    scene.dray("registry", "resume", "db.read@1.0.0")  # nobody waits a minute for the probe
    workers.settle_down(lambda: len(scene.results()) == 40 + 60 - letters, 60, "the others' results")
    return scene


def dependency(folder, url, client):
    """A database behind two routes goes down: both wait, with few failures and no letters, and others go on."""
    retried = {"attempts": 3, "backoff_ms": [60000]}
    scene = Outage(folder, url, client, "dependency",
                   [route("db.read", depends=["billing-db"], **retried),
                    route("db.write", depends=["billing-db", "smtp"], **retried),
                    route("mail.send", depends=["smtp"], **retried)],
                   max_in_flight=200, dependency_failures=FAILURES, dependency_open_ms=PROBE_MS, lanes=2)
    # Both routes' failures name the database, alone or with what it said.
    scene.down("db.read", "db.write", kind="network", code="billing-db:57P03")
    scene.send("db.read", FAILURES // 2)
    scene.wait_runs("db.read", FAILURES // 2)
    assert scene.worker.metric("dray_breakers_open") == 0
    scene.send("db.write", FAILURES - FAILURES // 2)
    scene.wait_metric("dray_breakers_open", 1)
    ran = len(scene.runs("db.read") + scene.runs("db.write"))
    assert ran == FAILURES, ran
    ids = (scene.send("db.read", 30, first=100, key=lambda n: f"k{n % 5}")
           + scene.send("db.write", 30, first=100, key=lambda n: f"k{n % 5}"))
    mails = scene.send("mail.send", 20)
    workers.settle_down(lambda: scene.results() >= set(mails), 60, "what depends on something else goes on")

    def probes():
        return [run for name in ("db.read", "db.write") for run in scene.runs(name) if run.id in ids]
    workers.settle_down(lambda: len(probes()) >= 3, 60, "three probes")
    starts = sorted(run.start_ns for run in probes())
    assert all(b - a >= PROBE_MS * 1_000_000 * 0.9 for a, b in zip(starts, starts[1:])), starts
    assert scene.letters() == [] and scene.results() == set(mails)
    log = scene.worker.log()
    assert "ENG-DEPENDENCY " in log and "dependency=billing-db" in log and "dependency=smtp" not in log
    scene.up()
    scene.wait_metric("dray_breakers_open", 0)
    workers.settle_down(lambda: scene.results() >= set(ids), 120, "all of it is done")
    for name in ("db.read", "db.write"):
        for key in range(5):
            runs = [run.id for run in scene.runs(name) if run.key == f"k{key}".encode().hex()]
            last = list(dict.fromkeys(reversed(runs)))[::-1]
            assert last == sorted(last), (name, key, last)
    assert {run.attempt for run in probes()} == {1}, "a probe burnt an attempt"
    assert scene.letters() == [] and "ENG-DEPENDENCY-CLOSED" in scene.worker.log()
    return scene


def fallback(folder, url, client):
    """While its breaker is open a route answers with its fallback; who wants no answer waits for the real run."""
    scene = Outage(folder, url, client, "fallback",
                   [route("price.read", attempts=1, depends=["price-db"], fallback={"prices": [], "stale": True}),
                    route("other.run", attempts=1)],
                   max_in_flight=200, dependency_failures=3, dependency_open_ms=3000)
    scene.down("price.read")
    for number in range(3):
        scene.send("price.read", 1, first=number)
    scene.wait_metric("dray_breakers_open", 1)
    letters = {name for name, _ in scene.reasons()}
    assert len(letters) == 3, letters
    asked = scene.send("price.read", 20, first=100, key=lambda n: f"k{n % 3}")
    workers.settle_down(lambda: len(scene.answers(asked)) >= 19, 60, "answers without a run")
    for answer in scene.answers(asked):
        assert answer["status"] == "ok" and answer["result"] == {"prices": [], "stale": True}, answer
        assert answer["fallback"] is True and answer["ver"] == "1.0.0" and answer["us"] == 0, answer
    # A follower of a command that wants no answer is not answered before that one has run.
    quiet = scene.send("price.read", 2, first=200, key=lambda n: "q", reply_to="")
    behind = scene.send("price.read", 1, first=300, key=lambda n: "q")
    later = scene.send("price.read", 3, first=400, key=lambda n: "z")
    workers.settle_down(lambda: len(scene.answers(later)) >= 2, 60, "other keys are answered")
    assert scene.answers(behind) == []
    workers.settle_down(lambda: scene.worker.metric("dray_fallback_results_total") >= 19, 60, "they are counted")
    scene.up()
    scene.wait_metric("dray_breakers_open", 0)
    workers.settle_down(lambda: len(scene.answers(behind)) == 1, 60, "the follower")
    ran = [run.id for run in scene.runs("price.read") if run.id in quiet + behind]
    assert list(dict.fromkeys(ran))[:2] == quiet, ran
    (answer,) = scene.answers(scene.send("price.read", 1, first=500), wait=True)
    assert "fallback" not in answer and answer["result"] == {"echo": None}, answer
    assert {name for name, _ in scene.reasons()} == letters
    return scene


CASES = [systemic, systemic_spares_the_healthy, dependency, fallback]


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
            with workers.Folder(f"outage-{case.__name__}") as folder:
                case(folder, broker.url, client).close()
            print(f"{case.__name__}: ok", flush=True)
        client.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""Schedules on the control topic: one command for each tick in the whole group, while the replica that fires is
killed, put to sleep past its session, and drained, while schedules are changed and removed, and after all were away.

The client knows the schedules from the control topic alone, works out their ticks and the ids of the commands by
itself, and looks into the commands topic for exactly one of each (on Kafka as a reader of committed transactions).
"""

import argparse
import collections
import hashlib
import json
import signal
import subprocess
import sys
import time

import msgpack

import clients
import workers
from test_exactly_once import read as read_kafka
from test_reconcile import start_broker

GROUP = "plan"
TOPICS = {"commands": "commands", "results": "results", "dead_letters": "dlq.plan.commands"}
AHEAD_MS = 4000
AWAY_S = 14  # all replicas; longer than AHEAD_MS, and than what counts as missed
LATE_MS = 5000  # a tick that is older when it is looked at was missed
EVERY = "* * * * * *"


def now_ms():
    return time.time_ns() // 1000000


def seconds_of(cron):
    """The seconds of a minute that an expression of this test names; its other fields are all `*`."""
    first, *rest = cron.split()
    assert rest == ["*"] * 5, cron
    if first == "*":
        return set(range(60))
    area, _, step = first.partition("/")
    low, _, high = ("0-59" if area == "*" else area).partition("-")
    return set(range(int(low), int(high or low) + 1, int(step or 1)))


class Revision:
    """A schedule as one control record has put it; until: the time of the record that ended it."""

    def __init__(self, key, number, since_ms, fields):
        self.key, self.number, self.since_ms, self.fields = key, number, since_ms, fields
        self.until_ms = None

    def ticks(self, until_ms):
        """Its ticks up to a time, or up to when it ended."""
        until_ms = min(until_ms, self.until_ms or until_ms)
        wanted = seconds_of(self.fields["cron"])
        seconds = range(self.since_ms // 1000 + 1, until_ms // 1000 + 1)
        return [second * 1000 for second in seconds if second % 60 in wanted]

    def id(self, tick):
        digest = bytearray(hashlib.sha256(f"dray-schedule:{self.key}@{self.number}#{tick}".encode()).digest()[:16])
        digest[6] = digest[6] & 0x0f | 0x80
        digest[8] = digest[8] & 0x3f | 0x80
        return bytes(digest)


class Scenario:
    def __init__(self, folder, broker):
        self.client = clients.connect(broker.url)
        self.is_kafka = self.client.kind == "kafka"
        config = workers.configuration(broker.url, GROUP, TOPICS, lanes=2, settle_ms=100, partitions=3,
                                       fire_ahead_ms=AHEAD_MS)
        if self.is_kafka:
            config["kafka"] = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 500}
        else:
            config["nats"] = {"ack_wait_ms": 3000}
        self.workers = [workers.Worker(folder, f"w{n}", config) for n in range(3)]

    def close(self):
        for worker in self.workers:
            if worker.is_running():
                worker.process.send_signal(signal.SIGCONT)
                worker.kill()
        self.client.close()

    def dray(self, *arguments, code=0):
        done = subprocess.run([workers.DRAY, *arguments, "-c", self.workers[0].config_path], capture_output=True,
                              text=True, check=False)
        assert done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()] if code == 0 else done.stderr

    def put(self, name, cron, *options):
        line, = self.dray("schedule", "put", name, "probe.run", "--payload", '{"do": "ok"}', "--cron", cron,
                          "--wait", *options)
        assert line["key"] == f"{GROUP}/{name}" and line["next"], line
        return line["revision"]

    def firing(self):
        """The workers that fire, by their own word."""
        return [w for w in self.workers if w.is_running() and w.metric("dray_schedules_firing") == 1]

    def wait_firing(self, what, among=None):
        def found():
            firing = [w for w in self.firing() if among is None or w in among]
            return firing and (not self.is_kafka or len(firing) == 1)
        workers.settle_down(found, 60, what)
        return [w for w in self.firing() if among is None or w in among][0]

    def revisions(self):
        """Every revision of every schedule, from the control topic."""
        found, present = [], {}
        for message in self.client.read("dray.control"):
            change = msgpack.unpackb(msgpack.unpackb(message.value)["change"])
            if change["kind"] != "schedule":
                continue
            number = message.position[1] + 1 if self.is_kafka else message.position
            item, = change["items"]
            before = present.get(item["key"])
            if item["base"] != (before.number if before else 0):
                continue  # somebody was faster
            if before is not None:
                before.until_ms = change["ts"]
                del present[item["key"]]
            if item["schedule"] is not None:
                revision = Revision(item["key"], number, change["ts"], item["schedule"])
                found.append(revision)
                present[item["key"]] = revision
        return found

    def fired(self):
        """header `dray-schedule` -> [envelope] of all commands"""
        if self.is_kafka:
            messages = read_kafka(self.client.servers, TOPICS["commands"], "read_committed")
        else:
            messages = self.client.read(TOPICS["commands"])
        found = collections.defaultdict(list)
        for message in messages:
            found[message.header("dray-schedule")].append(msgpack.unpackb(message.value))
        return found

    def last_fired(self, name):
        ticks = [int(header.split("#")[1]) for header in self.fired() if header.startswith(f"{GROUP}/{name}@")]
        return max(ticks, default=0)

    def wait_fired(self, name, until_ms, what):
        workers.settle_down(lambda: self.last_fired(name) > until_ms, 90, what)

    def runs(self):
        """id in hex -> how often the probe ran it"""
        return collections.Counter(run.id for run in workers.runs(self.workers[0].probe_log))


def compare_and_set(scenario):
    """What may be put, and what is refused with the reason."""
    first = scenario.put("pair", "*/2 * * * * *", "--note", "a test", "--create", "--missed", "all")
    error = scenario.dray("schedule", "put", "pair", "probe.run", "--cron", EVERY, "--create", code=1)
    assert "is there already" in error and f"revision {first}, put by " in error, error
    error = scenario.dray("schedule", "put", "pair", "probe.run", "--cron", EVERY, "--deadline", "87601h", code=2)
    assert "--deadline" in error and "3650 days" in error, error
    error = scenario.dray("schedule", "put", "pair", "probe.run", "--cron", EVERY, "--base", str(first + 99), code=1)
    assert "conflict" in error, error
    error = scenario.dray("schedule", "put", "pair", "probe.run", "--cron", "61 * * * * *", code=2)
    assert "--cron" in error, error
    error = scenario.dray("schedule", "rm", "nobody", code=3)
    assert "there is no schedule" in error, error
    line, = scenario.dray("schedule", "ls", "--json")
    assert line["key"] == f"{GROUP}/pair" and line["revision"] == first and line["note"] == "a test", line
    assert line["schedule"]["cron"] == "*/2 * * * * *" and line["next"] > time.strftime("%Y-%m-%d"), line


def faults(scenario):
    """The replica that fires is killed; then the next one sleeps past its session; then one is drained."""
    victim = scenario.wait_firing("somebody fires")
    scenario.wait_fired("all", now_ms(), "ticks before the faults")
    victim.kill()
    others = [w for w in scenario.workers if w is not victim]
    heir = scenario.wait_firing("another one fires after the kill", others)
    scenario.wait_fired("all", now_ms() + AHEAD_MS, "ticks after the kill")
    victim.start().wait_ready()

    heir = scenario.wait_firing("somebody fires when the killed one is back")
    heir.process.send_signal(signal.SIGSTOP)
    awake = [w for w in scenario.workers if w is not heir]
    scenario.wait_firing("another one fires while one sleeps", awake)
    asleep_until = now_ms() + AHEAD_MS
    scenario.wait_fired("all", asleep_until, "ticks while one sleeps")
    heir.process.send_signal(signal.SIGCONT)
    scenario.wait_fired("all", now_ms() + AHEAD_MS, "ticks after it woke")

    heir = scenario.wait_firing("somebody fires after the sleep")
    assert heir.stop() == 0
    scenario.wait_firing("another one fires after the drain")
    scenario.wait_fired("all", now_ms() + AHEAD_MS, "ticks after the drain")
    heir.start().wait_ready()
    moved = [w.name for w in scenario.workers if "SCH-FIRES" in w.log()]
    assert len(moved) >= 2, f"only {moved} ever fired"


def changes(scenario):
    """While they tick: one gets another expression, one is removed. Returns when each replica knew of it."""
    scenario.put("pair", "1-59/2 * * * * *", "--missed", "all")
    known_change = now_ms()
    line, = scenario.dray("schedule", "rm", "gone", "--wait")
    assert line["key"] == f"{GROUP}/gone", line
    known_removal = now_ms()
    scenario.wait_fired("pair", known_change + 2 * AHEAD_MS, "ticks of the changed one")
    lines = {line["key"]: line for line in scenario.dray("schedule", "ls")}
    keys = sorted(lines)
    pair = lines[f"{GROUP}/pair"]
    assert pair["last_revision"] == pair["revision"], pair
    assert keys == [f"{GROUP}/{name}" for name in ("all", "one", "pair", "skip")], keys
    return known_change, known_removal


def all_away(scenario):
    """Nobody lives for a while. Returns the time between which ticks were missed."""
    assert [worker.stop() for worker in scenario.workers] == [0, 0, 0]
    begin = scenario.last_fired("all")
    workers.settle_down(lambda: now_ms() > begin + AWAY_S * 1000, 60, "time passes")
    for worker in scenario.workers:
        worker.start()
    for worker in scenario.workers:
        worker.wait_ready()
    back = now_ms()
    for name in ("all", "one", "skip"):
        scenario.wait_fired(name, back + AHEAD_MS, f"ticks of {name} after the outage")
    return begin, back


def check_commands(scenario, revisions, fired, end_ms, outage):
    """Exactly one command for each tick, with what the schedule says; for the missed ones, by its rule."""
    away_from, away_to = outage
    expected = {}
    for revision in revisions:
        for tick in revision.ticks(end_ms):
            expected[f"{revision.key}@{revision.number}#{tick}"] = (revision, tick)
    for header, envelopes in fired.items():
        number = int(header.split("@")[1].split("#")[0])
        revision, = [r for r in revisions if r.number == number]
        tick = int(header.split("#")[1])
        assert len(envelopes) == 1, f"{header}: {len(envelopes)} commands"
        envelope, = envelopes
        assert (tick // 1000) % 60 in seconds_of(revision.fields["cron"]), header
        assert tick > revision.since_ms, f"{header} is older than its schedule"
        assert envelope["not_before"] == tick and envelope["id"] == revision.id(tick), (header, envelope)
        assert envelope["cmd"] == "probe.run" and envelope["payload"] == {"do": "ok"}, envelope
    missing = sorted(tick for header, (revision, tick) in expected.items() if header not in fired
                     and revision.fields["missed"] == "all")
    assert not missing, f"{len(missing)} ticks have no command: {missing[:5]}"
    gaps = {}
    for header, (revision, tick) in expected.items():
        if header not in fired:
            assert away_from < tick <= away_to, f"{header} has no command, and somebody was there"
            gaps.setdefault(revision.key.split("/")[1], []).append(tick)
    late = [tick for tick in range(away_from + 1000, away_to - 2 * LATE_MS, 1000)]
    assert late and set(late) <= set(gaps["skip"]), (late, gaps)
    made_up = set(gaps["skip"]) - set(gaps["one"])
    assert 1 <= len(made_up) <= 3, f"one: {sorted(made_up)} were made up for"
    return len(expected), {name: len(ticks) for name, ticks in gaps.items()}


def check_runs(scenario, revisions, fired, end_ms, known):
    """Each tick ran; none that was cancelled by a change or a removal did."""
    runs = scenario.runs()
    letters = {m.header("dray-dlq-id"): m for m in scenario.client.read(TOPICS["dead_letters"])}
    cancelled = 0
    for revision in revisions:
        knew = known.get(revision.number)
        for header in fired:
            tick = int(header.split("#")[1])
            if not header.startswith(f"{revision.key}@{revision.number}#") or tick > end_ms:
                continue
            name = revision.id(tick).hex()
            if knew is None or tick <= revision.until_ms:
                assert runs[name] >= 1, f"{header} did not run"
            elif tick > knew:
                assert runs[name] == 0, f"{header} ran although every replica knew that it is not to"
                assert letters[name].header("dray-dlq-reason") == "rejected", letters[name].headers
                cancelled += 1
    assert cancelled > 0, "nothing had been sent ahead when a schedule was changed"
    return cancelled, sum(count > 1 for count in runs.values())


def finish(scenario, outage, known_change, known_removal):
    revisions = scenario.revisions()
    removed = max(r.until_ms for r in revisions)
    workers.settle_down(lambda: now_ms() > removed + AHEAD_MS + 3000, 60, "the last ticks pass")
    fired = scenario.fired()
    end_ms = min(r.until_ms for r in revisions if r.key.endswith(("/all", "/one", "/skip")))
    known = {}
    for revision in revisions:
        if revision.key == f"{GROUP}/gone":
            known[revision.number] = known_removal
        elif revision.key == f"{GROUP}/pair" and revision.until_ms < known_change:
            known[revision.number] = known_change
    ticks, gaps = check_commands(scenario, revisions, fired, end_ms, outage)
    cancelled, again = check_runs(scenario, revisions, fired, end_ms, known)
    before = sum(worker.metric("dray_schedule_fired_before_total") for worker in scenario.workers)
    if not scenario.is_kafka:
        assert before > 0, "the server never had a tick to drop"
    late = max(int(header.split("#")[1]) for header in fired)
    assert late <= removed + AHEAD_MS + 1000, "something is fired although nothing is there to fire"
    print(f"{ticks} ticks, one command each; missed by rule {gaps}; {cancelled} cancelled, {again} ran twice; "
          f"{before:.0f} dropped by the server")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bus", default="nats")
    arguments = parser.parse_args()
    with workers.Folder("recurring") as folder, start_broker(arguments.bus) as broker:
        scenario = Scenario(folder, broker)
        try:
            for worker in scenario.workers:
                worker.start()
            for worker in scenario.workers:
                worker.wait_ready()
            compare_and_set(scenario)
            scenario.put("all", EVERY, "--missed", "all")
            scenario.put("gone", EVERY, "--missed", "all")
            faults(scenario)
            scenario.put("one", EVERY)  # only now: ticks that are missed in the faults are theirs to leave out
            scenario.put("skip", EVERY, "--missed", "skip")
            scenario.wait_fired("skip", now_ms(), "ticks of all schedules")
            known = changes(scenario)
            outage = all_away(scenario)
            lasts = {line["key"]: line for line in scenario.dray("schedule", "ls")}
            assert lasts[f"{GROUP}/all"]["last"], lasts
            assert lasts[f"{GROUP}/all"]["worker"] in [w.name for w in scenario.workers], lasts
            for name in ("all", "one", "pair", "skip"):
                scenario.dray("schedule", "rm", name, "--wait")
            finish(scenario, outage, *known)
            assert [worker.stop() for worker in scenario.workers] == [0, 0, 0]
        finally:
            scenario.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())

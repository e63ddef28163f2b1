#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""Scheduled commands: none runs before its time, far ones wait in the broker and not in the worker, and all of
them run although a replica is killed while they wait.

The client makes the envelopes, reads the delay logs, and judges by the probe's own log when each command ran.
"""

import argparse
import json
import subprocess
import sys
import time

import msgpack

import clients
import workers
from test_reconcile import start_broker

GROUP = "plan"
TOPICS = {"commands": "commands", "results": "results", "dead_letters": "dlq.plan.commands"}
LEVELS = ("5s", "30s", "3m", "20m", "2h", "1d")
NEAR, FAR, LATE = 30, 400, 20
TICKS, TICK_MS = 20, 2000  # longer than AFTER_MS: the last ones wait in a delay log
AFTER_MS = 20000
FAR_MS = (45000, 70000)  # through the levels of 30 s and of 5 s
YEAR_MS = 365 * 86400000
SLACK_MS = 3  # between the two ways to read the clock


def now_ms():
    return time.time_ns() // 1000000


def command(name, not_before, key=None, **fields):
    envelope = {"v": 1, "id": name, "cmd": "probe.run", "payload": {"do": "ok"}, **fields}
    if not_before is not None:
        envelope["not_before"] = not_before
    if key is not None:
        envelope["key"] = key
    of = name.hex() if isinstance(name, bytes) else name
    return (key and key.encode(), msgpack.packb(envelope), [("x-of", of.encode())])


def delay_log(level):
    return f"delay.{level}.{GROUP}.{TOPICS['commands']}"


class Scenario:
    def __init__(self, folder, broker):
        self.client = clients.connect(broker.url)
        config = workers.configuration(broker.url, GROUP, TOPICS, lanes=2, settle_ms=100, partitions=3,
                                       delay_after_ms=AFTER_MS)
        if self.client.kind == "nats":
            config["nats"] = {"ack_wait_ms": 3000}
        else:
            config["kafka"] = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 500}
        self.workers = [workers.Worker(folder, f"w{n}", config) for n in range(2)]
        self.probe_log = self.workers[0].probe_log
        self.due = {}
        # the probe's clock is the monotonic one, of this machine
        self.wall_of_mono_ns = time.time_ns() - time.monotonic_ns()

    def close(self):
        for worker in self.workers:
            if worker.is_running():
                worker.kill()
        self.client.close()

    def publish(self, messages):
        if self.client.kind == "nats":
            messages = [(key, value, [(n, v.decode()) for n, v in headers])
                        for key, value, headers in messages]
        return self.client.publish(TOPICS["commands"], messages)

    def starts(self):
        """id -> wall ms of each run's start"""
        found = {}
        for run in workers.runs(self.probe_log):
            wall_ms = (run.start_ns + self.wall_of_mono_ns) // 1000000
            found.setdefault(bytes.fromhex(run.id).decode(errors="replace"), []).append(wall_ms)
        return found

    def outcomes(self):
        """id -> [result map]"""
        found = {}
        for message in self.client.read(TOPICS["results"]):
            result = msgpack.unpackb(message.value)
            found.setdefault(result["id"], []).append(result)
        return found

    def has_succeeded(self, names):
        outcomes = self.outcomes()
        return all(any(r["status"] == "ok" for r in outcomes.get(name, [])) for name in names)

    def copies(self):
        """id -> [(level, message)] of all that is or was in the delay logs"""
        found = {}
        for level in LEVELS:
            for message in self.client.read(delay_log(level)):
                found.setdefault(msgpack.unpackb(message.value)["id"], []).append((level, message))
        return found

    def letters(self):
        """id -> [message]"""
        found = {}
        for message in self.client.read(TOPICS["dead_letters"]):
            found.setdefault(message.header("dray-dlq-id"), []).append(message)
        return found

    def cancel(self, *names, options=("--wait",)):
        done = subprocess.run([workers.DRAY, "schedule", "cancel", *names, *options, "-c",
                               self.workers[0].config_path], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert [line["id"] for line in lines] == list(names) and lines[0]["revision"] > 0, done.stdout

    def metric(self, name):
        return sum(worker.metric(name) or 0 for worker in self.workers if worker.is_running())


def check_copies(scenario, sent, positions):
    """What stands in a delay log is the original: bytes, key, headers, and where it came from."""
    copies = scenario.copies()
    for (key, value, _), position in zip(sent, positions):
        name = msgpack.unpackb(value)["id"]
        assert copies.get(name), f"{name} never was in a delay log"
        source = (f"{TOPICS['commands']}/{position[0]}/{position[1]}"
                  if scenario.client.kind == "kafka" else f"COMMANDS/{position}")
        for level, message in copies[name]:
            assert message.value == value, (name, level)
            assert (message.key and bytes(message.key, "utf-8") if isinstance(message.key, str)
                    else message.key) == key, (name, level, message.key)
            assert message.header("x-of") == name, message.headers
            assert message.header("dray-delay-source") == source, (message.headers, source)
            assert message.header("dray-delay-due"), message.headers
    return copies


def near(scenario, tries):
    """They begin when they are due, and nothing of their keys waits for them."""
    begin = now_ms()
    due = {f"near-{tries}-{n}": begin + 4000 + 40 * n for n in range(NEAR)}
    at_once = [f"at-once-{tries}-{n}" for n in range(10)]
    scenario.publish([command(name, at, f"key-{n % 5}") for n, (name, at) in enumerate(due.items())])
    scenario.publish([command(name, None, f"key-{n % 5}") for n, name in enumerate(at_once)])
    workers.settle_down(lambda: scenario.has_succeeded(at_once), 60, "commands without a time")
    early = set(due) & set(scenario.starts())
    is_shown = now_ms() < min(due.values())
    assert not is_shown or not early, "a scheduled command ran at once"
    workers.settle_down(lambda: scenario.has_succeeded(due), 60, "near commands")
    starts = scenario.starts()
    late = sorted(starts[name][0] - at for name, at in due.items())
    assert late[0] >= -SLACK_MS, f"one ran {-late[0]} ms before its time"
    print(f"near: late by {late[0]} to {late[-1]} ms, half of them by at most {late[len(late) // 2]} ms")
    if not is_shown:  # it took so long that the scheduled ones were due meanwhile
        assert tries < 10, "commands without a time never came before scheduled ones of their keys"
        near(scenario, tries + 1)


def cancelled(scenario):
    """Cancelled while they wait in a worker, while they wait in a log, before they came; and too late."""
    begin = now_ms()
    near_at, far_at = begin + AFTER_MS - 2000, begin + AFTER_MS + 8000
    gone = {"gone-near": near_at, "gone-to-come": near_at, "gone-far": far_at}
    stays = {"stays-near": near_at, "stays-far": far_at}
    uuid = bytes.fromhex("019b6f3a0c7e7d1f8a4b2c3d4e5f6071")
    scenario.publish([command(name, at, "cancelled") for name, at in (gone | stays).items()
                      if name != "gone-to-come"])
    scenario.publish([command(uuid, far_at)])
    scenario.cancel("nobody-knows-it", options=())
    scenario.cancel(*gone, uuid.hex())
    assert now_ms() < near_at - 1000, "the cancel came too late to show anything"
    scenario.publish([command("gone-to-come", gone["gone-to-come"], "cancelled")])
    ends = dict(gone, **{uuid.hex(): far_at})
    workers.settle_down(lambda: all(name in scenario.letters() for name in ends), 60, "letters of the cancelled")
    workers.settle_down(lambda: scenario.has_succeeded(stays), 60, "those that were not cancelled")
    letters, outcomes = scenario.letters(), scenario.outcomes()
    for name, at in ends.items():
        letter, = letters[name]
        assert letter.header("dray-dlq-reason") == "rejected", letter.headers
        assert "cancelled" in letter.header("dray-dlq-message"), letter.headers
        assert letter.stamp_ms < at, f"{name} ended only when it was due"
        result, = outcomes[uuid if name == uuid.hex() else name]
        assert (result["error"]["kind"], result["error"]["code"]) == ("rejected", "cancelled"), result
        assert result["error"]["dead_letter"] is True
    ran = set(scenario.starts())
    assert not ran & set(gone), f"ran although cancelled: {ran & set(gone)}"
    assert set(stays) <= ran
    scenario.cancel("stays-near")  # it has run
    assert not set(scenario.letters()) & set(stays)
    workers.settle_down(lambda: scenario.metric("dray_cancelled_total") == len(ends), 60, "they are counted")

    # what was replayed is meant to run
    done = subprocess.run([workers.DRAY, "dlq", "replay", "--where", "id = gone-near", "-c",
                           scenario.workers[0].config_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    workers.settle_down(lambda: scenario.has_succeeded(["gone-near"]), 60, "the replay of a cancelled one")

    # a worker that is started anew knows what was cancelled before
    scenario.cancel("gone-later")
    assert scenario.workers[1].stop() == 0
    scenario.workers[1].start().wait_ready()
    assert scenario.workers[0].stop() == 0
    scenario.publish([command("gone-later", now_ms() + 4000)])
    workers.settle_down(lambda: "gone-later" in scenario.letters(), 60, "a cancel from before the start")
    scenario.workers[0].start().wait_ready()
    return set(ends) | {"gone-later"}


def far(scenario, letters_before):
    begin = now_ms()
    step = (FAR_MS[1] - FAR_MS[0]) // FAR
    due = {f"far-{n}": begin + FAR_MS[0] + step * n for n in range(FAR)}
    sent = [command(name, at, f"key-{n % 7}" if n % 3 else None)
            for n, (name, at) in enumerate(due.items())]
    too_late = {f"late-{n}": begin + 65000 for n in range(LATE)}
    sent += [command(name, at, deadline=begin + 30000) for name, at in too_late.items()]
    sent += [command("in-a-year", begin + YEAR_MS)]
    positions = scenario.publish(sent)
    client = scenario.client

    def is_out_of_the_way():
        settled = client.is_settled(GROUP, TOPICS["commands"])
        return settled and scenario.metric("dray_delayed_total") >= len(sent)
    workers.settle_down(is_out_of_the_way, 24, "the commands topic settled, the far ones in delay logs")
    assert not set(due) & set(scenario.starts()), "a far command ran already"
    waiting = scenario.metric("dray_waiting_commands")
    assert waiting < FAR / 4, f"{waiting} of {FAR} wait in the workers"

    victim = scenario.workers[0]
    victim.kill()  # they wait: some in its hands
    assert not set(due) & set(scenario.starts()), "the kill came too late to show anything"
    victim.start().wait_ready()
    workers.settle_down(lambda: scenario.has_succeeded(due), 180, "far commands")
    starts = scenario.starts()
    late = sorted(min(starts[name]) - at for name, at in due.items())
    assert late[0] >= -SLACK_MS, f"one ran {-late[0]} ms before its time"
    print(f"far: late by {late[0]} to {late[-1]} ms, half of them by at most {late[len(late) // 2]} ms; "
          f"{sum(len(times) > 1 for times in starts.values())} ran twice after the kill")
    copies = check_copies(scenario, sent, positions)
    assert [level for level, _ in copies["in-a-year"]][-1] == "1d", copies["in-a-year"]
    levels = {level for name in due for level, _ in copies[name]}
    assert levels == {"5s", "30s"}, levels

    workers.settle_down(lambda: all(name in scenario.outcomes() for name in too_late), 60,
                        "the end of those with a deadline")
    letters = {}
    for message in client.read(TOPICS["dead_letters"]):
        letters.setdefault(message.header("dray-dlq-id"), message)
    for name, at in too_late.items():
        letter = letters[name]
        assert letter.header("dray-dlq-reason") == "expired", letter.headers
        assert name not in starts, f"{name} ran after its deadline"
        assert letter.stamp_ms < at, f"{name} expired only when it was due"
    assert set(letters) == set(too_late) | letters_before, set(letters)


def ticking(scenario):
    """One command for each tick of a cron expression, although a replica is killed between two of them."""
    begin = now_ms()
    done = subprocess.run([workers.DRAY, "send", "probe.run", "--payload", '{"do": "ok"}', "--cron",
                           f"*/{TICK_MS // 1000} * * * * *", "--count", str(TICKS), "--deadline", "10m", "-c",
                           scenario.workers[0].config_path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    end = now_ms()
    names = done.stdout.split()
    assert len(set(names)) == TICKS, done.stdout
    sent = {}
    for message in scenario.client.read(TOPICS["commands"]):
        envelope = msgpack.unpackb(message.value)
        if isinstance(envelope["id"], bytes) and envelope["id"].hex() in names:
            sent[envelope["id"].hex()] = envelope
    due = {name: sent[name]["not_before"] for name in names}
    first = due[names[0]]
    assert begin < first <= end + TICK_MS and first % TICK_MS == 0, (begin, first, end)
    assert list(due.values()) == [first + TICK_MS * n for n in range(TICKS)], due
    assert all(sent[name]["deadline"] == at + 600000 for name, at in due.items()), sent

    def starts():
        found = {}
        for run in workers.runs(scenario.probe_log):
            found.setdefault(run.id, []).append((run.start_ns + scenario.wall_of_mono_ns) // 1000000)
        return {name: found[name] for name in names if name in found}
    workers.settle_down(lambda: len(starts()) >= TICKS // 4, 120, "the first ticks")
    killed_at = now_ms()
    assert len(starts()) < TICKS, "the kill came too late to show anything"
    victim = scenario.workers[1]
    victim.kill()
    victim.start().wait_ready()
    as_sent = [bytes.fromhex(name) for name in names]
    workers.settle_down(lambda: scenario.has_succeeded(as_sent), 180, "a command for each tick")
    ran = starts()
    for name, at in due.items():
        assert min(ran[name]) >= at - SLACK_MS, f"{name} ran {at - min(ran[name])} ms before its tick"
        assert len(ran[name]) == 1 or max(ran[name]) >= killed_at, f"{name} ran twice before the kill"
    assert not set(names) & set(scenario.letters())
    print(f"ticks: {TICKS} ran, {sum(len(times) > 1 for times in ran.values())} twice after the kill")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bus", default="nats")
    arguments = parser.parse_args()
    with workers.Folder("schedule") as folder, start_broker(arguments.bus) as broker:
        scenario = Scenario(folder, broker)
        try:
            for worker in scenario.workers:
                worker.start()
            for worker in scenario.workers:
                worker.wait_ready()
            near(scenario, 0)
            far(scenario, cancelled(scenario))
            ticking(scenario)
            assert [worker.stop() for worker in scenario.workers] == [0, 0]
        finally:
            scenario.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())

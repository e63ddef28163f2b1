#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""dray dlq parked and release against park logs and dead letters that were written by hand: no worker runs,
so every record is where it was put. On NATS with nats.partitions.

test_park_cli.py --bus nats|kafka[:VERSION]
"""

import argparse
import datetime
import json
import os
import subprocess

import clients
import msgpack
import workers
from workers import brokers

GROUP = "shop"
COMMANDS = "commands"
DLQ = "dlq.shop.commands"
PARK = "park.shop.commands"
PARTITIONS = 4
DUE = "2100-01-01T00:00:00.000Z"


def envelope(id_, key):
    return msgpack.packb({"v": 1, "id": id_, "cmd": "probe.run", "key": key, "payload": {"do": "echo"}})


class Scene:
    """A broker, the command line, and an independent client that writes what workers would."""

    def __init__(self, folder, url):
        self.client = clients.connect(url)
        self.is_kafka = self.client.kind == "kafka"
        config = workers.configuration(url, GROUP, {"commands": COMMANDS, "dead_letters": DLQ},
                                       partitions=PARTITIONS)
        config["state"] = os.path.join(folder, "state")
        if not self.is_kafka:
            config["nats"] = {"partitions": PARTITIONS}
        self.path = os.path.join(folder, "worker.yaml")
        with open(self.path, "w", encoding="utf-8") as file:
            json.dump(config, file)
        for topic in (COMMANDS, DLQ, PARK):
            self.client.create(topic, PARTITIONS if self.is_kafka else 1)

    def dray(self, *arguments, code=0, env=None):
        done = subprocess.run([workers.DRAY, "dlq", *arguments, "-c", self.path], capture_output=True,
                              timeout=120, env=dict(os.environ, **(env or {})), check=False)
        assert done.returncode == code, (
            f"dray dlq {' '.join(arguments)}: {done.returncode}, not {code}\n"
            f"{done.stdout.decode(errors='replace')}\n{done.stderr.decode(errors='replace')}")
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith(b"{")]

    def put(self, key, value, headers, topic=PARK):
        """One record where a worker puts it; its position."""
        if topic == PARK and not self.is_kafka:
            topic = f"{PARK}.p.0"
        return self.client.publish(topic, [(key.encode(), value, headers)])[0]

    def place(self, topic, position):
        """A position in the words of the wire."""
        if self.is_kafka:
            return f"{topic}/{position[0]}/{position[1]}"
        return f"{topic.split('.')[0].upper()}/{position}"

    def parked(self):
        """What lies in the park log, in order."""
        return self.client.read(PARK if self.is_kafka else f"{PARK}.p.0")

    def letter(self, unit, key, number):
        """A letter of a unit; its position in the words of the wire."""
        position = self.put(key, envelope(f"{key}-{number}", key), [
            ("mine", str(number)), ("dray-dlq-reason", "network"), ("dray-dlq-id", f"{key}-{number}"),
            ("dray-dlq-source", f"commands/1/{number}"), ("dray-dlq-worker", "w"),
            ("dray-dlq-attempts", "4"), ("dray-dlq-first-failed-at", "2026-01-01T00:00:00.000Z"),
            ("dray-dlq-last-failed-at", "2026-01-01T00:00:09.000Z"), ("dray-dlq-sequence", unit)], DLQ)
        return self.place(DLQ, position)


def check_nothing(scene):
    assert scene.dray("parked", code=3) == []
    assert scene.dray("parked", "--all", code=3) == []
    assert scene.dray("release", "--key", "k", code=3) == []
    scene.dray("release", code=2)
    scene.dray("release", "--key", "k", "other", code=2)


def check_waiting(scene):
    """What waits for its time stands still for nobody to release."""
    scene.put("calm", envelope("calm-1", "calm"),
              [("dray-park-source", "commands/1/1"), ("dray-park-attempts", "2"), ("dray-park-due", DUE)])
    again = scene.put("calm", envelope("calm-1", "calm"),
                      [("dray-park-source", "commands/1/1"), ("dray-park-attempts", "3"),
                       ("dray-park-due", DUE), ("dray-park-order", "0")])
    scene.put("calm", envelope("calm-2", "calm"), [("dray-park-source", "commands/1/2"),
                                                  ("dray-park-attempts", "0")])
    assert scene.dray("parked", code=3) == []
    rows = scene.dray("parked", "--all", "--key", "calm")
    assert [(row["id"], row["attempts"], row["state"]) for row in rows] == [
        ("calm-1", 3, "waiting"), ("calm-2", 0, "waiting")], rows
    assert rows[0]["due"] == DUE and rows[1]["due"] is None
    assert rows[0]["position"] == scene.place(PARK, again), rows[0]
    since = datetime.datetime.fromisoformat(rows[0]["since"].replace("Z", "+00:00"))
    assert abs((datetime.datetime.now(datetime.timezone.utc) - since).total_seconds()) < 3600
    scene.dray("release", "--key", "calm", code=3)


def check_stopped(scene):
    """A key that is stopped is let go by one record in its own part of the log."""
    scene.put("halt", envelope("halt-1", "halt"),
              [("mine", "x"), ("dray-park-source", "commands/1/10"), ("dray-park-attempts", "4"),
               ("dray-park-first-failed-at", "2026-01-01T00:00:00.000Z"), ("dray-park-state", "stopped")])
    for number in (2, 3):
        scene.put("halt", envelope(f"halt-{number}", "halt"),
                  [("dray-park-source", f"commands/1/1{number}"), ("dray-park-attempts", "0")])
    [row] = scene.dray("parked")
    assert row["state"] == "stopped" and row["key"] == "halt" and row["command"] == "probe.run", row
    assert row["id"] == "halt-1" and row["attempts"] == 4 and row["behind"] == 2, row
    assert row["source"] == "commands/1/10" and row["first_failed_at"] == "2026-01-01T00:00:00.000Z"
    before = scene.parked()
    [told] = scene.dray("release", "--key", "halt", "--dry-run")
    assert told["would_release"] == "halt" and told["behind"] == 2, told
    assert len(scene.parked()) == len(before), "a dry run has written"
    [told] = scene.dray("release", "commands/1/10")
    assert told["released"] == "halt" and told["state"] == "stopped" and told["letters"] == 0, told
    added = [record for record in scene.parked() if record.position not in
             {other.position for other in before}]
    assert [record.header("dray-park-state") for record in added] == ["release"], added
    assert added[0].key in ("halt", b"halt") and not added[0].value
    if scene.is_kafka:
        halt = [r.position[0] for r in before if r.key == b"halt"]
        assert {added[0].position[0]} == set(halt), "the release went to another partition"
    scene.dray("parked", code=3)
    rows = scene.dray("parked", "--all", "--key", "halt")
    assert [row["state"] for row in rows] == ["waiting"] * 3, rows
    scene.dray("release", "--key", "halt", code=3)


def check_unit(scene):
    """Letters of a unit go to the log in order, killed or not, each once, and the release after them."""
    unit = "commands/1/21"
    places = [scene.letter(unit, "many", number) for number in (21, 22, 23)]
    scene.letter(unit, "many", 22)  # stored twice: one command all the same
    scene.letter("commands/1/99", "other", 99)
    scene.put("many", b"", [("dray-park-source", unit), ("dray-park-attempts", "4"),
                            ("dray-park-state", "held"), ("dray-park-unit", unit)])
    [row] = scene.dray("parked")
    assert row["state"] == "held" and row["unit"] == unit and row["command"] is None, row
    letters = scene.dray("ls", "--where", f"unit = '{unit}'")
    assert [letter["id"] for letter in letters] == ["many-21", "many-22", "many-23", "many-22"], letters
    before = {record.position for record in scene.parked()}
    told = scene.dray("release", "--key", "many", "--dry-run")
    assert [line.get("id") for line in told] == ["many-21", "many-22", "many-23", None], told
    assert told[-1]["letters"] == 3, told
    for point, stored in (("release_before_letter", 0), ("release_after_letter:2", 2),
                          ("release_before_release", 3)):
        scene.dray("release", unit, code=-9, env={"DRAY_CRASH_AT": point})
        assert len([r for r in scene.parked() if r.position not in before]) == stored, point
    [told] = scene.dray("release", unit)
    assert told["released"] == "many" and told["letters"] == 3, told
    added = [record for record in scene.parked() if record.position not in before]
    assert [record.header("dray-park-state") for record in added] == [None, None, None, "release"]
    for number, (record, place) in enumerate(zip(added, places), 21):
        assert record.value == envelope(f"many-{number}", "many")
        assert record.header("dray-park-source") == place, record.headers
        assert record.header("dray-park-unit") == unit
        assert record.header("dray-park-attempts") == "0" and record.header("dray-park-due") is None
        assert record.header("dray-replay-of") == place and record.header("dray-replays") == "1"
        assert record.header("dray-first-failed-at") == "2026-01-01T00:00:00.000Z"
        assert record.header("mine") == str(number)
        assert not [name for name, _ in record.headers if name.startswith("dray-dlq-")]
    assert scene.dray("parked", code=3) == []
    scene.dray("release", unit, code=3)
    return before


def check_refusals(scene):
    """What cannot be run again, or was too often, is said before anything of it is let go."""
    unit = "commands/1/41"
    scene.put("old", envelope("old-41", "old"), [
        ("dray-replays", "10"), ("dray-dlq-reason", "network"), ("dray-dlq-source", "commands/1/41"),
        ("dray-dlq-sequence", unit)], DLQ)
    scene.put("old", b"", [("dray-dlq-reason", "network"), ("dray-dlq-source", "commands/1/42"),
                           ("dray-dlq-pointer", "1"), ("dray-dlq-sequence", unit)], DLQ)
    scene.put("old", b"", [("dray-park-source", unit), ("dray-park-state", "held"),
                           ("dray-park-unit", unit)])
    before = {record.position for record in scene.parked()}
    scene.dray("release", "--key", "old", code=1)
    assert {record.position for record in scene.parked()} == before
    scene.dray("release", "--key", "old", "--force")
    added = [record for record in scene.parked() if record.position not in before]
    assert [record.header("dray-replays") for record in added] == ["11", None], added
    assert added[1].header("dray-park-state") == "release"


def check_finished(scene):
    """Kafka: what the group has committed as finished is not listed."""
    at = [record.position for record in scene.parked() if record.key == b"calm"]
    scene.client.commit(GROUP, PARK, {at[0][0]: at[1][1] + 1})
    rows = scene.dray("parked", "--all", "--key", "calm")
    assert [row["id"] for row in rows] == ["calm-2"], rows


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bus", default="nats")
    options = parser.parse_args()
    name, _, version = options.bus.partition(":")
    with workers.Folder("park-cli") as folder, (
            brokers.Nats() if name == "nats" else brokers.Kafka(version or "3.9.1")) as broker:
        scene = Scene(folder, broker.url)
        check_nothing(scene)
        check_waiting(scene)
        check_stopped(scene)
        check_unit(scene)
        check_refusals(scene)
        if scene.is_kafka:
            check_finished(scene)
        scene.client.close()
    print("parked, stopped and held keys are listed and let go; releases were killed 3 times")


if __name__ == "__main__":
    main()

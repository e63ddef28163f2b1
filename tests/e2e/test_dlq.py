#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""Dead letters with a real worker on a real broker: what they hold, and dray dlq ls, show and replay.

test_dlq.py --bus nats|kafka[:VERSION]
"""

import argparse
import base64
import collections
import json
import os
import re
import signal
import subprocess
import sys

import clients
import msgpack
import workers
from workers import brokers

GROUP = "shop"
TOPICS = {"commands": "commands", "results": "results", "dead_letters": "dlq.shop.commands"}
REPLAY = "replay.shop.commands"
ALWAYS = ("reason", "source", "worker", "attempts", "first-failed-at", "last-failed-at")
TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
LS_FIELDS = ["topic", "partition", "offset", "key", "id", "command", "namespace", "reason", "message",
             "attempts", "first_failed_at", "last_failed_at", "source", "worker", "fingerprint",
             "unit", "replays", "size"]


def start_broker(name):
    if name == "nats":
        return brokers.Nats()
    return brokers.Kafka(name.partition(":")[2] or "3.9.1")


def envelope(id_, do, key=None, **payload):
    command = {"v": 1, "id": id_, "cmd": "probe.run", "payload": dict(payload, do=do)}
    if key is not None:
        command["key"] = key
    return msgpack.packb(command)


class Scene:
    """One broker, one worker, an independent client and the command line."""

    def __init__(self, folder, url):
        self.folder = folder
        self.client = clients.connect(url)
        config = workers.configuration(url, GROUP, TOPICS, settle_ms=50, partitions=4)
        config["replay"] = {"allow_to": ["dlq.shop.elsewhere"]}
        if self.client.kind == "kafka":
            config["kafka"] = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 500}
        self.worker = workers.Worker(folder, "one", config)
        self.is_kafka = self.client.kind == "kafka"

    def dray(self, *arguments, code=0, env=None):
        """Runs the command line; returns its output."""
        done = subprocess.run(
            [workers.DRAY, *arguments, "-c", self.worker.config_path], capture_output=True,
            timeout=120, env=dict(os.environ, **(env or {})), check=False)
        assert done.returncode == code, (
            f"dray {' '.join(arguments)}: {done.returncode}, not {code}\n"
            f"{done.stdout.decode(errors='replace')}\n{done.stderr.decode(errors='replace')}")
        return done

    def ls(self, *arguments, code=0):
        return [json.loads(line)
                for line in self.dray("dlq", "ls", *arguments, code=code).stdout.splitlines()]

    def replay(self, *arguments, code=0, env=None):
        done = self.dray("dlq", "replay", "--json", *arguments, code=code, env=env)
        return json.loads(done.stdout) if done.stdout else None

    def letters(self):
        return self.client.read(TOPICS["dead_letters"])

    def wait_letters(self, count):
        workers.settle_down(lambda: len(self.letters()) >= count, 60, f"{count} dead letters")
        letters = self.letters()
        assert len(letters) == count, f"{len(letters)} dead letters, not {count}"
        return letters

    def calls(self):
        """Calls of the handler by id."""
        return collections.Counter(run.id for run in workers.runs(self.worker.probe_log))

    def wait_idle(self):
        """Until everything that was replayed is settled: the worker has nothing in flight and took all."""
        def is_idle():
            return (self.worker.metric("dray_in_flight_commands") == 0
                    and self.worker.metric("dray_unacked_commands") == 0)
        workers.settle_down(is_idle, 60, "an idle worker")


def position_text(scene, topic, position):
    """A position in the words of the wire."""
    if scene.is_kafka:
        return f"{topic}/{position[0]}/{position[1]}"
    return f"{topic.split('.')[0].upper()}/{position}"


def check_letters_are_whole(scene):
    """Original bytes, key and headers; every header that the format promises."""
    mine = [("x-shop", b"north" if scene.is_kafka else "north"),
            ("X-Odd", b"a: b" if scene.is_kafka else "a: b")]
    sent = {
        "rejected": (b"k-1", envelope("l-1", "fail", key="k-1", kind="rejected")),
        "unknown_command": (b"k-2", msgpack.packb({"v": 1, "id": "l-2", "cmd": "no.such"})),
        "invalid": (b"k-3", b"\x82\xa1v\x01\xa2id"),
    }
    if not scene.is_kafka:
        mine.append(("Nats-Msg-Id", "shop-{}"))  # the producer's own, one for each message
    positions = scene.client.publish(
        TOPICS["commands"],
        [(key, value, [(name, text.format(number) if name == "Nats-Msg-Id" else text)
                       for name, text in mine])
         for number, (key, value) in enumerate(sent.values())])
    letters = {letter.header("dray-dlq-reason"): letter for letter in scene.wait_letters(3)}
    for (reason, (key, value)), position in zip(sent.items(), positions):
        letter = letters[reason]
        assert letter.value == value, f"{reason}: bytes changed"
        assert letter.key in (key, key.decode()), f"{reason}: key {letter.key}"
        named = {name: text for name, text in letter.headers}
        assert named["x-shop"] == b"north" and named["X-Odd"] == b"a: b", named
        for name in ALWAYS:
            assert letter.header(f"dray-dlq-{name}"), f"{reason}: no dray-dlq-{name}"
        assert letter.header("dray-dlq-source") == position_text(scene, "commands", position)
        assert letter.header("dray-dlq-worker") == "one"
        for name in ("first-failed-at", "last-failed-at"):
            assert TIME.match(letter.header(f"dray-dlq-{name}")), letter.header(f"dray-dlq-{name}")
        assert all(name == name.lower() for name, _ in letter.headers if name.startswith("dray-dlq"))
    assert letters["rejected"].header("dray-dlq-command") == "probe.run"
    assert letters["rejected"].header("dray-dlq-id") == "l-1"
    assert letters["rejected"].header("dray-dlq-namespace") == "default"
    assert letters["rejected"].header("dray-dlq-attempts") == "1"
    assert len(letters["rejected"].header("dray-dlq-fingerprint")) == 16
    assert letters["invalid"].header("dray-dlq-message"), "what is wrong with the bytes, and where"
    assert letters["invalid"].header("dray-dlq-attempts") == "0"
    return letters


def check_ls_and_show(scene, letters):
    """ls prints what the letters say, field for field; filters choose; show keeps the bytes."""
    rows = {row["reason"]: row for row in scene.ls()}
    fields = LS_FIELDS if scene.is_kafka else [
        "sequence" if name == "offset" else name for name in LS_FIELDS if name != "partition"]
    assert set(rows) == set(letters)
    for reason, letter in letters.items():
        row = rows[reason]
        assert list(row) == fields, list(row)
        assert row["size"] == len(letter.value) and row["replays"] == 0
        assert row["attempts"] == int(letter.header("dray-dlq-attempts"))
        for name in ("id", "command", "namespace", "message", "source", "worker", "fingerprint"):
            assert row[name] == letter.header(f"dray-dlq-{name}"), (name, row[name])
        for name in ("first_failed_at", "last_failed_at"):
            assert row[name] == letter.header(f"dray-dlq-{name.replace('_', '-')}")
        where = (row["partition"], row["offset"]) if scene.is_kafka else row["sequence"]
        assert where == letter.position
    for arguments, reasons in (
            (["--reason", "invalid"], {"invalid"}),
            (["--command", "probe.run"], {"rejected"}),
            (["--key", "k-2"], {"unknown_command"}),
            (["--since", "-1h"], set(letters)),
            (["--where", "attempts = 1 and not (key = k-2)"], {"rejected"}),
            (["--where", "reason = invalid or command ~ 'o.suc'"], {"invalid", "unknown_command"})):
        found = {row["reason"] for row in scene.ls(*arguments)}
        assert found == reasons, (arguments, found)
    assert len(scene.ls("--limit", "2")) == 2
    assert scene.ls("--until", "-1h", code=3) == []
    wrong = scene.dray("dlq", "ls", "--where", "reason = x and comand = y", code=2).stderr.decode()
    assert "did you mean \"command\"" in wrong and "column 16" in wrong, wrong

    place = position_text(scene, "dlq.shop.commands" if scene.is_kafka else "dlq",
                          letters["rejected"].position)
    shown = json.loads(scene.dray("dlq", "show", place, "--json").stdout)
    assert base64.b64decode(shown["bytes"]["$bin"]) == letters["rejected"].value
    assert shown["envelope"]["payload"] == {"do": "fail", "kind": "rejected"}
    assert {"name": "x-shop", "value": "north"} in shown["headers"]
    assert scene.dray("dlq", "show", "l-1", "--raw").stdout == letters["rejected"].value
    text = scene.dray("dlq", "show", place).stdout.decode()
    assert "rejected" in text and "x-shop: north" in text and '"do": "fail"' in text, text
    scene.dray("dlq", "show", "nobody", code=3)
    groups = [json.loads(line) for line in scene.dray("dlq", "groups").stdout.splitlines()]
    assert sorted(group["count"] for group in groups) == [1, 1, 1], groups


def check_second_failure(scene, letters):
    """A replayed command that fails again: replays count, first-failed-at stays, the partition too."""
    assert scene.ls("--reason", "rejected")[0]["replays"] == 0
    dry = scene.dray("dlq", "replay", "--dry-run", "--reason", "rejected").stdout.splitlines()
    assert [json.loads(line)["id"] for line in dry] == ["l-1"]
    assert scene.client.read(REPLAY) == [], "a dry run copies nothing"
    assert scene.replay("--reason", "rejected")["replayed"] == 1
    again = [letter for letter in scene.wait_letters(4) if letter.header("dray-replays")]
    copies = scene.client.read(REPLAY)
    old = letters["rejected"]
    assert len(again) == 1 and len(copies) == 1
    copy, new = copies[0], again[0]
    assert copy.value == old.value and new.value == old.value
    assert copy.key == old.key and new.key == old.key
    assert not [name for name, _ in copy.headers if name.startswith("dray-dlq-")]
    assert copy.header("x-shop") == "north" and copy.header("dray-replays") == "1"
    place = position_text(scene, "dlq.shop.commands" if scene.is_kafka else "dlq", old.position)
    assert copy.header("dray-replay-of") == place, copy.header("dray-replay-of")
    assert new.header("dray-replays") == "1"
    assert new.header("dray-dlq-first-failed-at") == old.header("dray-dlq-first-failed-at")
    assert new.header("dray-dlq-last-failed-at") > old.header("dray-dlq-last-failed-at")
    source = position_text(scene, REPLAY if scene.is_kafka else "replay", copy.position)
    assert new.header("dray-dlq-source") == source
    if scene.is_kafka:
        assert copy.position[0] == int(old.header("dray-dlq-source").split("/")[1])
    assert scene.calls()["l-1".encode().hex()] == 2, scene.calls()
    # The same question again goes on behind the cursor: the new letter is another generation.
    assert scene.replay("--reason", "rejected")["replayed"] == 1
    scene.wait_letters(5)
    check_headers_do_not_grow(scene, old)
    rows = scene.ls("--reason", "rejected")
    assert sorted(row["replays"] for row in rows) == [0, 1, 2]


def check_headers_do_not_grow(scene, old):
    """Every copy has the original's headers, each once, and the three of a replay: no more in each
    generation."""
    # Nats-Msg-Id of what dray stores is dray's; the producer's goes along under another name.
    kept = sorted((name, value) for name, value in old.headers
                  if not name.startswith("dray-dlq-") and name != "Nats-Msg-Id")
    assert scene.is_kafka or ("dray-orig-Nats-Msg-Id", b"shop-0") in kept, kept
    copies = scene.client.read(REPLAY)
    assert len(copies) == 2
    for number, copy in enumerate(copies, 1):
        theirs = [(name, value) for name, value in copy.headers if name != "Nats-Msg-Id"]
        added = {"dray-replays", "dray-replay-of", "dray-first-failed-at"}
        assert sorted(pair for pair in theirs if pair[0] not in added) == kept, theirs
        assert sorted(name for name, _ in theirs if name in added) == sorted(added), theirs
        assert copy.header("dray-replays") == str(number)


def check_loop_cap(scene):
    """An eleventh replay is refused, unless --force."""
    value = envelope("loop", "fail", kind="rejected")
    text = (lambda v: v.encode()) if scene.is_kafka else (lambda v: v)
    scene.client.publish(TOPICS["commands"], [
        (b"loop", value, [("dray-replays", text("10"))])])
    workers.settle_down(lambda: any(l.header("dray-dlq-id") == "loop" for l in scene.letters()), 60,
                        "the letter of the loop")
    assert scene.ls("--where", "id = loop")[0]["replays"] == 10
    assert scene.replay("--where", "id = loop", code=1)["refused"] == 1
    assert scene.replay("--where", "id = loop", "--force")["replayed"] == 1
    workers.settle_down(lambda: len([l for l in scene.letters()
                                     if l.header("dray-dlq-id") == "loop"]) == 2, 60,
                        "the second letter of the loop")
    assert max(row["replays"] for row in scene.ls("--where", "id = loop")) == 11


def check_elsewhere(scene):
    """--to only where the configuration allows it."""
    scene.dray("dlq", "replay", "--where", "id = l-2", "--to", "dlq.shop.forbidden", code=77)
    assert scene.replay("--where", "id = l-2", "--to", "dlq.shop.elsewhere")["replayed"] == 1
    copies = scene.client.read("dlq.shop.elsewhere")
    assert [copy.header("dray-replays") for copy in copies] == ["1"]


def check_killed_replay(scene, count=160):
    """SIGKILL between a copy and its cursor, several times: each runs once in each generation."""
    before = len(scene.letters())
    ids = [f"kill-{number}" for number in range(count)]
    scene.client.publish(TOPICS["commands"], [
        (f"kk-{number % 7}".encode(), envelope(id_, "fail", kind="rejected"), None)
        for number, id_ in enumerate(ids)])
    scene.wait_letters(before + count)
    question = ["--where", "id ~ kill- and replays = 0"]
    for at in (1, 7, 12):  # of 160: a slow broker lets each of them copy some thirty more
        scene.replay(*question, "--rate", "50", code=-signal.SIGKILL,
                     env={"DRAY_CRASH_AT": f"replay_copied:{at}"})
    copied = len(scene.client.read(REPLAY))
    assert copied > 0, "the kills came before any copy"
    # The worker dies as well, so that nothing of what it remembers helps.
    scene.worker.kill()
    scene.worker.start()
    scene.worker.wait_ready()
    last = scene.replay(*question)
    assert last["already_copied"] > 0, f"no kill hit a copy without its cursor: {last}"
    scene.wait_letters(before + 2 * count)
    scene.wait_idle()
    scene.wait_letters(before + 2 * count)
    calls = scene.calls()
    wrong = {id_: calls[id_.encode().hex()] for id_ in ids if calls[id_.encode().hex()] != 2}
    assert not wrong, f"once as a command and once as a replay, but {wrong}"
    copies = [c for c in scene.client.read(REPLAY)
              if msgpack.unpackb(c.value)["id"].startswith("kill-")]
    assert len(copies) == count, f"{len(copies)} copies"
    scene.replay(*question, code=3)
    assert scene.replay(*question, "--from-start")["already_copied"] == count


def check_copies_made_twice(scene):
    """The same generation twice in the replay topic, whoever put it there, reaches the handler once."""
    text = (lambda v: v.encode()) if scene.is_kafka else (lambda v: v)
    names = [("dray-replays", text("1")), ("dray-replay-of", text("dlq.shop.commands/0/4711"))]
    other = [("dray-replays", text("2")), ("dray-replay-of", text("dlq.shop.commands/0/4711"))]
    value = envelope("twice", "ok")
    scene.client.publish(REPLAY, [(b"t", value, names), (b"t", value, names), (b"t", value, other)])
    last = envelope("last", "ok")
    scene.client.publish(REPLAY, [(b"t", last, None)])
    workers.settle_down(lambda: scene.calls()["last".encode().hex()] > 0, 60, "the last of the key")
    scene.wait_idle()
    assert scene.calls()["twice".encode().hex()] == 2, "once for each of two generations"
    results = [r for r in scene.client.read(TOPICS["results"])
               if msgpack.unpackb(r.value)["id"] == "twice"]
    assert len(results) == 2, f"{len(results)} results"


def check_what_cannot_be_replayed(scene):
    """A pointer (its bytes are not in it) is refused, somebody else's message is left out; both are said."""
    def as_sent(value):
        return value.encode() if scene.is_kafka else value
    pointer = {"dray-dlq-reason": "limit", "dray-dlq-pointer": "1", "dray-dlq-size": "2000000",
               "dray-dlq-id": "huge", "dray-dlq-source": "commands/0/9",
               "dray-dlq-sha256": "0" * 64, "dray-dlq-attempts": "1"}
    scene.client.publish(TOPICS["dead_letters"], [
        (b"p", b"", [(name, as_sent(value)) for name, value in pointer.items()]),
        (b"p", b"not a letter", None)])
    done = scene.dray("dlq", "ls", "--where", "id = huge")
    assert json.loads(done.stdout)["size"] == 2000000
    assert b"1 messages" in done.stderr, done.stderr
    before = len(scene.client.read(REPLAY))
    done = scene.dray("dlq", "replay", "--where", "id = huge", code=1)
    assert b"pointer" in done.stderr, done.stderr
    assert len(scene.client.read(REPLAY)) == before


def orders_to_the_server(scene):
    """Each header by which a publisher orders the server about, as the commands' stream obeys it and the
    dead letters' would refuse it: (name, what makes its value of the last sequence)."""
    yield "Nats-Msg-Id", lambda last: "again"
    yield "Nats-Expected-Last-Msg-Id", lambda last: "again"
    yield "Nats-Expected-Stream", lambda last: "COMMANDS"
    yield "Nats-Expected-Last-Sequence", str
    yield "Nats-Expected-Last-Subject-Sequence", str
    if scene.client.connection.connected_server_version.minor < 11:
        yield "Nats-TTL", lambda last: "1s"  # newer servers refuse it on a stream without TTLs
    yield "Nats-Rollup", lambda last: "sub"  # the last: it deletes what stood before


def allow_rollup(scene):
    async def update():
        stream = scene.client.connection.jetstream()
        info = await stream.stream_info("COMMANDS")
        info.config.allow_rollup_hdrs = True
        info.config.deny_purge = False
        await stream.update_stream(info.config)
    scene.client._run(update())  # pylint: disable=protected-access


def check_orders_to_the_server(scene):
    """A malformed command that carries an order to the server: the letter arrives, the order does not."""
    allow_rollup(scene)
    last = 0
    sent = {}
    for name, value_of in orders_to_the_server(scene):
        before = len(scene.letters())
        value, order = b"\xc1" + name.encode(), value_of(last)
        last = scene.client.publish(TOPICS["commands"], [(None, value, [(name, order)])])[0]
        sent[value] = (name, order)
        scene.wait_letters(before + 1)
    letters = {letter.value: letter for letter in scene.letters() if letter.value in sent}
    assert len(letters) == len(sent) >= 6
    for value, (name, order) in sent.items():
        letter = letters[value]
        assert letter.header(f"dray-orig-{name.lower()}") == order, letter.headers
        orders = [n for n, _ in letter.headers if n.startswith("Nats-") and n != "Nats-Msg-Id"]
        assert not orders, orders
        assert letter.header("nats-msg-id").startswith("d:COMMANDS:"), letter.header("nats-msg-id")


def scenario(bus):
    with workers.Folder("dlq") as folder, start_broker(bus) as broker:
        scene = Scene(folder, broker.url)
        try:
            scene.dray("dlq", "ls", code=3)
            scene.worker.start()
            scene.worker.wait_ready()
            letters = check_letters_are_whole(scene)
            check_ls_and_show(scene, letters)
            check_second_failure(scene, letters)
            check_loop_cap(scene)
            check_elsewhere(scene)
            check_copies_made_twice(scene)
            check_killed_replay(scene)
            check_what_cannot_be_replayed(scene)
            if not scene.is_kafka:
                check_orders_to_the_server(scene)
            assert scene.worker.stop() == 0, "a drain is clean"
        finally:
            if scene.worker.is_running():
                scene.worker.kill()
            scene.client.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bus", default="nats")
    scenario(parser.parse_args().bus)
    return 0


if __name__ == "__main__":
    sys.exit(main())

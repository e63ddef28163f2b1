# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""Reconciles every command with its outcomes: the independent checker of the scenarios on real brokers.

It reads only what any client can read: the topics, the probe's log and the committed positions. It knows
the envelope from its description alone and shares no code with dray.
"""

import collections
import os
import random
import uuid

import msgpack

OK, UNKNOWN, FAILING, MALFORMED = "ok", "unknown", "failing", "malformed"


class Command:
    """One message as it was produced, and what must become of it."""

    def __init__(self, number, kind, key, id_, value):
        self.number = number
        self.kind = kind
        self.key = key
        self.id = id_
        self.value = value
        self.position = None


def _malformed(number, seed):
    """Bytes that are no envelope, each a different one."""
    dice = random.Random(seed * 1000003 + number)
    good = msgpack.packb({"v": 1, "id": f"bad-{number}", "cmd": "probe.run", "payload": {"do": "ok"}})
    tag = number.to_bytes(4, "big")
    return dice.choice([
        good[:dice.randrange(good.index(b"cmd"), len(good))],           # ends inside a value
        b"\xdd\x10\x00\x00\x00" + tag,                                  # six bytes that claim 256 M elements
        b"\x91" * 40 + tag,                                             # too deep
        msgpack.packb({"v": 2, "id": f"bad-{number}", "cmd": "probe.run"}),
        msgpack.packb({"v": 1, "cmd": "probe.run", "n": number}),       # no id
        msgpack.packb({"v": 1, "id": f"bad-{number}", "cmd": 7}),
        b"not msgpack " + tag,
        good + tag,                                                     # trailing bytes
        b"\x82\xa1v\x01\xa1v\x01" + tag,                                # a key twice
    ])


def make(count, seed, share=0.05, keys=200, work_ms=0):
    """count commands: share of them malformed, unknown, and failing each; the rest succeeds."""
    dice = random.Random(seed)
    commands = []
    for number in range(count):
        draw = dice.random()
        kind = (MALFORMED if draw < share else UNKNOWN if draw < 2 * share
                else FAILING if draw < 3 * share else OK)
        key = f"key-{dice.randrange(keys)}".encode() if dice.random() < 0.9 else None
        if kind == MALFORMED:
            commands.append(Command(number, kind, key, None, _malformed(number, seed)))
            continue
        id_ = uuid.UUID(int=dice.getrandbits(128)).bytes if number % 2 else f"c-{seed}-{number}"
        payload = {"do": "fail", "kind": "rejected", "echo": number} if kind == FAILING else (
            {"do": "sleep", "ms": work_ms, "echo": number} if work_ms else {"do": "ok", "echo": number})
        envelope = {"v": 1, "id": id_, "cmd": "no.such.command" if kind == UNKNOWN else "probe.run",
                    "payload": payload}
        if key is not None:
            envelope["key"] = key.decode()
        commands.append(Command(number, kind, key, id_, msgpack.packb(envelope)))
    return commands


def _hex(id_):
    return id_.hex() if isinstance(id_, bytes) else id_


class Report:
    """What was found; problems is empty when everything fits."""

    def __init__(self):
        self.problems = []
        self.results = collections.Counter()
        self.letters = collections.Counter()
        self.duplicate_results = 0
        self.duplicate_letters = 0

    def problem(self, text):
        self.problems.append(text)

    def __str__(self):
        lines = [f"results {dict(self.results)}, letters {dict(self.letters)}, "
                 f"{self.duplicate_results} results and {self.duplicate_letters} letters twice"]
        lines += [f"  {text}" for text in self.problems[:20]]
        if len(self.problems) > 20:
            lines.append(f"  ... and {len(self.problems) - 20} more")
        return "\n".join(lines)


def _check_results(report, commands, results):
    by_id = {command.id: command for command in commands if command.id is not None}
    bad_ids = {f"bad-{command.number}" for command in commands if command.kind == MALFORMED}
    seen = collections.Counter()
    for message in results:
        result = msgpack.unpackb(message.value)
        if result["id"] in bad_ids:
            if result["status"] != "error" or result["error"]["kind"] != "invalid":
                report.problem(f"{result['id']} was malformed, but has the result {result}")
            continue
        command = by_id.get(result["id"])
        if command is None:
            report.problem(f"a result for an id that was never sent: {_hex(result['id'])}")
            continue
        seen[command.id] += 1
        report.results[f"{command.kind}:{result['status']}"] += 1
        if command.kind == OK:
            if result["status"] != "ok" or result["result"]["echo"] != command.number:
                report.problem(f"{_hex(command.id)} must succeed with its echo, has {result}")
        else:
            kind = "rejected" if command.kind == FAILING else "unknown_command"
            error = result.get("error") or {}
            if result["status"] != "error" or error.get("kind") != kind or not error.get("dead_letter"):
                report.problem(f"{_hex(command.id)} must end as {kind} with a letter, has {result}")
        if (message.key or None) != command.key:
            report.problem(f"{_hex(command.id)}: key {message.key} instead of {command.key}")
    for command in commands:
        if command.id is not None and seen[command.id] == 0:
            report.problem(f"no result: {command.kind} {_hex(command.id)} at {command.position}")
    report.duplicate_results = sum(count - 1 for count in seen.values() if count > 1)


def _check_letters(report, commands, letters):
    due = {command.value: command for command in commands if command.kind != OK}
    reasons = {MALFORMED: "invalid", UNKNOWN: "unknown_command", FAILING: "rejected"}
    seen = collections.Counter()
    for letter in letters:
        command = due.get(letter.value)
        if command is None:
            report.problem(f"a dead letter for bytes that need none: {letter.headers}")
            continue
        seen[command.number] += 1
        report.letters[letter.header("dray-dlq-reason")] += 1
        if letter.header("dray-dlq-reason") != reasons[command.kind]:
            report.problem(f"number {command.number}: reason {letter.header('dray-dlq-reason')} "
                           f"({letter.header('dray-dlq-message')}), not {reasons[command.kind]}")
        if (letter.key or None) != command.key:
            report.problem(f"number {command.number}: letter with key {letter.key}, not {command.key}")
        source = letter.header("dray-dlq-source") or ""
        position = command.position
        tail = f"/{position[0]}/{position[1]}" if isinstance(position, tuple) else f"/{position}"
        if not source.endswith(tail):
            report.problem(f"number {command.number}: source {source}, produced at {position}")
        for name in ("worker", "attempts", "first-failed-at", "last-failed-at"):
            if not letter.header(f"dray-dlq-{name}"):
                report.problem(f"number {command.number}: no dray-dlq-{name}")
    for command in due.values():
        if seen[command.number] == 0:
            report.problem(f"no dead letter: {command.kind} number {command.number} at {command.position}")
    report.duplicate_letters = sum(count - 1 for count in seen.values() if count > 1)


def outcomes(commands, results, letters):
    """Every command has its outcome, and no outcome is without its command."""
    report = Report()
    _check_results(report, commands, results)
    _check_letters(report, commands, letters)
    return report


def is_complete(commands, results, letters):
    """Whether every command has an outcome by now: what the scenarios wait for."""
    ids = {msgpack.unpackb(message.value)["id"] for message in results}
    values = {letter.value for letter in letters}
    return all((c.id is None or c.id in ids) and (c.kind == OK or c.value in values) for c in commands)


def order(commands, runs, across_workers=True, across_lives=True):
    """Problems with the order of a key: first runs as produced, no two runs of one key at once.

    across_workers: the domain of order is the key in all replicas (Kafka), else in each by itself
    (JetStream without partitions). across_lives: order also holds over a kill; on JetStream it does not,
    for what a dead replica had been given comes back only after its ack wait.
    """
    problems = []
    number_of = {}
    for command in commands:
        if command.id is not None and command.kind in (OK, FAILING) and command.key is not None:
            raw = command.id if isinstance(command.id, bytes) else command.id.encode()
            number_of[raw.hex()] = command
    by_domain = collections.defaultdict(list)
    for run in runs:
        command = number_of.get(run.id)
        if command is not None:
            domain = (command.key, None if across_workers else run.worker)
            by_domain[domain].append((run.start_ns, run.end_ns, command.number))
    for (key, _), key_runs in by_domain.items():
        key_runs.sort()
        last_end, highest, seen = 0, -1, set()
        for start, end, number in key_runs:
            if start < last_end:
                problems.append(f"{key}: number {number} began before its predecessor ended")
            last_end = max(last_end, end)
            if number not in seen and number < highest and across_lives:
                problems.append(f"{key}: number {number} first ran after number {highest}")
            seen.add(number)
            highest = max(highest, number)
    assert by_domain, "no run to look at: the probe wrote no log"
    return problems


def lag(client, group, topic, commands):
    """On Kafka: offsets that are committed ahead of the produced end, or behind it after a drain."""
    ends = collections.Counter()
    for command in commands:
        partition, offset = command.position
        ends[partition] = max(ends[partition], offset + 1)
    committed = client.committed(group, topic)
    return {p: (committed.get(p, -1), end) for p, end in ends.items() if committed.get(p, -1) != end}


def seed():
    """The seed of this run; DRAY_TEST_SEED repeats one."""
    return int(os.environ.get("DRAY_TEST_SEED", random.randrange(1 << 30)))

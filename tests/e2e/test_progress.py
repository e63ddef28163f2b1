#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""What finished behind a slow command does not run again, on Kafka: after SIGKILL, and when its partition moves.

One command sleeps at the head of a partition and holds its watermark; hundreds behind it finish. The
committed offset does not move, its metadata does. It is read here by a client and a reader of their own,
written from the format's description. Whatever it named when the worker died, or before the second
replica came, has exactly one run and one result in the end.
"""

import argparse
import collections
import struct
import sys
import zlib

import clients
import msgpack
import reconcile
import workers
from workers import brokers

COUNT, KEYS, LANES, SLOW_MS = 400, 80, 8, 30000
DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
TOPICS = {"commands": "commands", "results": "results", "dead_letters": "dlq.ahead.commands"}


def decode(text, position):
    """The offsets that the metadata of a position names."""
    if not text:
        return set()
    assert text[0] == "1" and len(text) <= 3900, text
    seal = 0
    for character in text[1:7]:
        seal = seal * 64 + DIGITS.index(character)
    assert seal == zlib.crc32(position.to_bytes(8, "little") + (text[0] + text[7:]).encode()), text
    bits = "".join(f"{DIGITS.index(character):06b}" for character in text[7:])
    numbers = []
    while "1" in bits:
        zeros = bits.index("1")
        numbers.append(int(bits[zeros:2 * zeros + 1], 2))
        bits = bits[2 * zeros + 1:]
    assert len(numbers) % 2 == 0 and len(bits) < 6, text
    numbers[0] -= 1
    named, at = set(), position
    for unfinished, finished in zip(numbers[::2], numbers[1::2]):
        named |= set(range(at + unfinished, at + unfinished + finished))
        at += unfinished + finished
    return named


def text_at(data, at):
    """A string with its length before it, and where it ends."""
    end = at + 2 + struct.unpack_from(">h", data, at)[0]
    return data[at + 2:end].decode(), end


def committed(client, group):
    """partition -> (position, the offsets beyond it that are finished).

    Read from the broker's own log of positions: confluent-kafka's committed() takes metadata for a C
    string, which it is not, and reads beyond its end.
    """
    found = {}
    for message in client.read("__consumer_offsets"):
        if struct.unpack_from(">h", message.key)[0] > 1:
            continue  # what a group looks like
        owner, at = text_at(message.key, 2)
        topic, at = text_at(message.key, at)
        if owner != group or topic != "commands":
            continue
        partition = struct.unpack_from(">i", message.key, at)[0]
        version, position = struct.unpack_from(">hq", message.value)
        text, _ = text_at(message.value, 14 if version >= 3 else 10)
        found[partition] = (position, decode(text, position))
    return found


def command(number, key, payload):
    value = msgpack.packb({"v": 1, "id": f"c-{number}", "cmd": "probe.run", "key": key,
                           "payload": dict(payload, echo=number)})
    return reconcile.Command(number, reconcile.OK, key.encode(), f"c-{number}", value)


def publish(client, commands):
    positions = client.publish("commands", [(c.key, c.value, None) for c in commands])
    for each, position in zip(commands, positions):
        each.position = position


def fill(client, partitions):
    """A slow command at the head of every partition, and quick ones on other keys behind them."""
    names = [f"key-{n}" for n in range(KEYS)]
    scouts = [command(n, name, {"do": "ok"}) for n, name in enumerate(names)]
    publish(client, scouts)
    slow = []
    for partition in range(partitions):
        name = next(names[n] for n, c in enumerate(scouts) if c.position[0] == partition)
        slow.append(command(len(scouts) + partition, name, {"do": "sleep", "ms": SLOW_MS}))
    publish(client, slow)
    slow_keys = {c.key.decode() for c in slow}
    others = [name for name in names if name not in slow_keys]
    first = len(scouts) + len(slow)
    quick = [command(first + n, others[n % len(others)], {"do": "ok"}) for n in range(COUNT)]
    publish(client, quick)
    return scouts + slow + quick, slow


def named_of(client, group, commands):
    """The commands that are named now."""
    now = committed(client, group)
    return [c for c in commands if c.position[1] in now.get(c.position[0], (0, set()))[1]]


def wait_named(client, group, commands, slow):
    """Until a good part of what is behind each slow command is named, and those hold their partitions."""
    def enough():
        named = collections.Counter(c.position[0] for c in named_of(client, group, commands))
        return all(named[c.position[0]] >= COUNT // len(slow) // 3 for c in slow)

    workers.settle_down(enough, SLOW_MS / 1000, "metadata that names what is finished")
    now = committed(client, group)
    positions = [now[c.position[0]][0] for c in slow]
    assert all(at <= c.position[1] for at, c in zip(positions, slow)), (
        f"the slow ones do not hold their partitions, they are at {positions}")


def check_once(client, commands, named, probe_log):
    """What was named has run once and has one result; the rest has an outcome."""
    results = client.read("results")
    report = reconcile.outcomes(commands, results, [])
    runs = collections.Counter(run.id for run in workers.runs(probe_log))
    answers = collections.Counter(msgpack.unpackb(m.value)["id"] for m in results)
    again = sum(count - 1 for count in runs.values())
    print(report)
    print(f"{len(named)} of {len(commands)} commands were named as finished; {again} others ran again")
    assert not report.problems, "outcomes do not fit"
    for each in named:
        assert runs[each.id.encode().hex()] == 1, f"{each.id} was named, and ran again"
        assert answers[each.id] == 1, f"{each.id} was named, and was published again"
    assert not reconcile.order(commands, workers.runs(probe_log)), "order of keys"


def ending(client, group, replica, commands):
    """After a clean end the positions say everything, and nothing is left to name."""
    code = replica.stop()
    assert code == 0, f"{replica.name} drained with {code}"
    assert not reconcile.lag(client, group, "commands", commands), "not settled to the end"
    assert all(not named for _, named in committed(client, group).values()), "something is named still"


def killed(client, one):
    commands, slow = fill(client, 1)
    wait_named(client, "ahead", commands, slow)
    one.kill()
    named = named_of(client, "ahead", commands)
    assert len(workers.runs(one.probe_log)) >= len(named), "more is named than has run"
    assert slow[0] not in named and slow[0].id.encode().hex() not in {
        run.id for run in workers.runs(one.probe_log)}, "the slow command was over before the kill"
    one.start().wait_ready()
    workers.settle_down(lambda: reconcile.is_complete(commands, client.read("results"), []), 240,
                        "a result for every command")
    skipped = one.metric("dray_skipped_finished_total")
    assert skipped >= len(named), f"{skipped} were skipped, {len(named)} were named"
    assert one.metric("dray_commit_metadata_refused_total") == 0
    check_once(client, commands, named, one.probe_log)
    ending(client, "ahead", one, commands)


def rebalanced(client, one, two):
    commands, slow = fill(client, 2)
    wait_named(client, "ahead", commands, slow)
    named = named_of(client, "ahead", commands)
    two.start().wait_ready()
    workers.settle_down(lambda: two.metric("dray_assigned_sources"), 120, "sources of the second replica")
    workers.settle_down(lambda: reconcile.is_complete(commands, client.read("results"), []), 240,
                        "a result for every command")
    assert one.metric("dray_revocations_total") > 0, "nothing was rebalanced"
    assert two.metric("dray_skipped_finished_total") > 0, "the second replica was told nothing"
    assert any(run.worker == "two" for run in workers.runs(one.probe_log)), "the second replica ran nothing"
    check_once(client, commands, named, one.probe_log)
    assert two.stop() == 0
    ending(client, "ahead", one, commands)


def scenario(how, version):
    partitions = 1 if how == "killed" else 2
    with workers.Folder("progress") as folder, brokers.Kafka(version) as broker:
        client = clients.connect(broker.url)
        config = workers.configuration(broker.url, "ahead", TOPICS, settle_ms=200, lanes=LANES,
                                       partitions=partitions)
        config["routes"][0]["policy"]["timeout_ms"] = 10 * SLOW_MS
        config["kafka"] = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 500}
        one, two = (workers.Worker(folder, name, config) for name in ("one", "two"))
        try:
            one.start().wait_ready()
            if how == "killed":
                killed(client, one)
            else:
                rebalanced(client, one, two)
        finally:
            for replica in (one, two):
                if replica.is_running():
                    replica.kill()
            client.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("how", choices=("killed", "rebalanced"))
    parser.add_argument("--kafka", default="3.9.1")
    arguments = parser.parse_args()
    scenario(arguments.how, arguments.kafka)
    sys.exit(0)

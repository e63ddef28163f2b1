#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""worker.delivery exactly_once: workers and the broker are killed, and committed readers see each outcome once.

test_exactly_once.py points|parked|moves|broker [--kafka VERSION]

points   SIGKILL at each named point of a command's way and of a transaction's, then a restart
parked   the same while keys are parked, come back and end: the park log is in the transactions, too
moves    two replicas; one is killed within a transaction and stays away, then one stands still past its session
         and is woken, then one drains: their partitions move
broker   the broker is killed under load and started again

A reader of this file's own reads results and dead letters once as a consumer with isolation level
read_committed, which must find exactly one outcome of each command, and once with read_uncommitted: what it
finds beyond that was in transactions that were thrown away, so the faults did hit some.
"""

import argparse
import collections
import os
import random
import re
import signal
import sys
import time

import confluent_kafka
import msgpack

import clients
import load as loads
import reconcile
import workers
from test_crash_points import wait_for_death
from test_park import Scene, policy, some_at_once
from workers import brokers

COUNT, WORK_MS, PARTITIONS = 240, 5, 4
# Within these something is in the open transaction, and nothing has ended it.
INSIDE = ("after_publish", "before_settle", "before_commit", "before_offsets", "after_offsets")


def points():
    """Every named point, but the one that is passed when nothing is in hand any more."""
    path = os.path.join(workers.ROOT, "bus", "run", "engine.h")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    found = []
    for table in ("DRI_CRASH_POINT_TABLE", "DRI_TRANSACTION_CRASH_POINT_TABLE"):
        names = re.findall(r"X\((\w+)\)", text.split(f"#define {table}(X)", 1)[1].split("\n\n", 1)[0])
        assert len(names) >= 5, f"{path}: {table}: only {names}"
        found += names
    return [name for name in found if name != "before_close"]


def read(servers, topic, isolation):
    """Everything that a reader of this isolation level is given up to the end that it is shown."""
    consumer = confluent_kafka.Consumer({
        "bootstrap.servers": servers, "group.id": "exactly-once-reader", "enable.auto.commit": False,
        "auto.offset.reset": "earliest", "isolation.level": isolation, "enable.partition.eof": True})
    try:
        known = consumer.list_topics(topic, timeout=30).topics[topic]
        if known.error is not None:
            return []
        open_ = set(known.partitions)
        consumer.assign([confluent_kafka.TopicPartition(topic, n, 0) for n in open_])
        messages = []
        deadline = time.monotonic() + clients.TIMEOUT_S
        while open_:
            assert time.monotonic() < deadline, f"{topic}: partitions {open_} never ended"
            for message in consumer.consume(1000, timeout=1):
                if message.error() is not None:
                    if message.error().code() == confluent_kafka.KafkaError._PARTITION_EOF:
                        open_.discard(message.partition())
                        continue
                    raise AssertionError(message.error())
                messages.append(clients.Message(
                    (message.partition(), message.offset()), message.key(), message.value(),
                    [(n, v) for n, v in message.headers() or []], message.timestamp()[1]))
        return messages
    finally:
        consumer.close()


class Outcomes:
    """What stands in the two topics now."""

    def __init__(self, servers, topics, isolation="read_committed"):
        self.results = read(servers, topics["results"], isolation)
        self.letters = read(servers, topics["dead_letters"], isolation)

    def __len__(self):
        return len(self.results) + len(self.letters)

    def check(self, commands, what):
        """Each command has exactly what it must have, once."""
        report = reconcile.outcomes(commands, self.results, self.letters)
        ids = collections.Counter(msgpack.unpackb(m.value)["id"] for m in self.results)
        again = [id_ for id_, count in ids.items() if count > 1]
        assert not report.problems, f"{what}: {report}"
        assert not again, f"{what}: {len(again)} results twice: {again[:5]}"
        assert report.duplicate_letters == 0, f"{what}: {report}"
        return report


def configuration(broker, name, topics, **kafka):
    config = workers.configuration(broker.url, name, topics, delivery="exactly_once", transaction_ms=20,
                                   partitions=PARTITIONS, drain_ms=180000)
    config["kafka"] = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 500,
                       "reconnect.backoff.max.ms": 1000, **kafka}
    return config


def topics_of(name):
    return {"commands": f"commands.{name}", "results": f"results.{name}",
            "dead_letters": f"dlq.{name}.commands"}


def wait_complete(broker, topics, commands, what):
    """Until a committed reader finds an outcome of every command."""
    def is_complete():
        seen = Outcomes(broker.bootstrap, topics)
        return reconcile.is_complete(commands, seen.results, seen.letters)

    workers.settle_down(is_complete, 240, f"{what}: an outcome for every command")


def one_point(broker, client, folder, scene, seed):
    point, at = scene
    what = f"{point}:{at}"
    name = f"{point}-{at}".replace("_", "-")
    topics = topics_of(name)
    worker = workers.Worker(folder, name, configuration(broker, name, topics))
    worker.probe_log = os.path.join(folder, f"{name}.probe")
    worker.env["DRAY_PROBE_LOG"] = worker.probe_log
    try:
        worker.start({"DRAY_CRASH_AT": f"{point}:{at}"}).wait_ready()
        commands = reconcile.make(COUNT, seed, share=0.05, keys=20, work_ms=WORK_MS)
        positions = client.publish(topics["commands"], [(c.key, c.value, None) for c in commands])
        for command, position in zip(commands, positions):
            command.position = position
        wait_for_death(worker, point)
        worker.start().wait_ready()
        wait_complete(broker, topics, commands, what)
        code = worker.stop(timeout_s=240)
        committed = Outcomes(broker.bootstrap, topics)
        committed.check(commands, what)
        aborted = len(Outcomes(broker.bootstrap, topics, "read_uncommitted")) - len(committed)
        assert code == 0, f"{what}: drained with {code}"
        assert aborted > 0 or point not in INSIDE, f"{what}: nothing was in the transaction that died"
        return aborted
    finally:
        if worker.is_running():
            worker.kill()


def test_points(broker, folder, dice, seed):
    client = clients.connect(broker.url)
    # The first record of each partition settles a bare position: the transactions come behind those.
    early = {"after_receive": 1, "before_publish": 3, "before_settle": PARTITIONS + 3,
             "after_settle": 3, "after_commit": 2, "before_commit": 2, "before_offsets": 2,
             "after_offsets": 2, "after_end": 2}
    for number, point in enumerate(points()):
        at = early.get(point) or dice.randrange(20, 60)
        aborted = one_point(broker, client, folder, (point, at), seed + number)
        print(f"{point}:{at}: {aborted} outcomes were in transactions that were thrown away", flush=True)
    client.close()


# Of the transactions the first park the keys; then heads come out, are written again, come out, and end.
PARKED = (("after_publish", 1), ("before_offsets", 1), ("after_offsets", 2), ("after_end", 2),
          ("after_handler", 13), ("before_commit", 4), ("after_offsets", 5))


def one_parked(broker, folder, point, at):
    scene = Scene(folder, broker.url, f"parked-{point}-{at}".replace("_", "-"), policy(3, 600))
    scene.config["worker"].update(delivery="exactly_once", transaction_ms=20, drain_ms=180000)
    topics = dict(scene.topics)
    try:
        worker = scene.replica("one").start({"DRAY_CRASH_AT": f"{point}:{at}"}).wait_ready()
        scene.send(12, 2, {"do": "fail", "kind": "rejected"})
        wait_for_death(worker, point)
        worker.start().wait_ready()
        wait_complete(broker, topics, scene.commands, scene.name)
        assert worker.metric("dray_unparked_total") > 0, "nothing came out of the park log"
        assert worker.stop(timeout_s=240) == 0, "a drain is clean"
        committed = Outcomes(broker.bootstrap, topics)
        committed.check(scene.commands, scene.name)
        scene.check_order(3)
        scene.dray("parked", "--all", code=3)
        parked = [len(read(broker.bootstrap, scene.park, level))
                  for level in ("read_committed", "read_uncommitted")]
        aborted = len(Outcomes(broker.bootstrap, topics, "read_uncommitted")) - len(committed)
        aborted += parked[1] - parked[0]
        assert aborted > 0 or point not in INSIDE, f"{scene.name}: nothing was in the transaction that died"
        return aborted
    finally:
        scene.stop()


def test_parked(broker, folder, dice, seed):
    del dice, seed
    told = some_at_once(lambda kill: one_parked(broker, folder, *kill), PARKED)
    for (point, at), aborted in zip(PARKED, told):
        print(f"{point}:{at}: {aborted} records were in transactions that were thrown away")


def metric(replicas, name):
    return sum(replica.metric(name) or 0 for replica in replicas)


def at_work(load, client, count, replica):
    """Sends so many more once the replica has partitions; returns when it is in the middle of them."""
    workers.settle_down(lambda: (replica.metric("dray_assigned_sources") or 0) > 0, 120,
                        f"{replica.name} with partitions")
    done = replica.metric("dray_transactions_total")
    load.send(client, count)

    def is_in_the_middle():
        has_begun = (replica.metric("dray_transactions_total") or 0) > done
        is_busy = (replica.metric("dray_in_flight_commands") or 0) > 0
        if has_begun and not is_busy:  # looked too late: once more
            load.send(client, count)
        return has_begun and is_busy

    workers.settle_down(is_in_the_middle, 120, f"{replica.name} at work")


def test_moves(broker, folder, dice, seed):
    del dice, seed
    topics = topics_of("moves")
    # short: the heirs of one that does not come back wait for the time-out of what it left open
    config = configuration(broker, "moves", topics, **{"transaction.timeout.ms": 10000})
    one, two, three = (workers.Worker(folder, name, config) for name in ("one", "two", "three"))
    load = loads.Load(broker.url, 40, 20, 1, 50, topics["commands"])
    client = clients.connect(broker.url)
    try:
        one.start({"DRAY_CRASH_AT": "after_offsets:6"}).wait_ready()
        two.start().wait_ready()
        load.send(client, 1500)
        wait_for_death(one, "after_offsets")
        three.start().wait_ready()
        at_work(load, client, 900, three)
        at_work(load, client, 900, two)
        had = three.metric("dray_assigned_sources")
        two.process.send_signal(signal.SIGSTOP)
        workers.settle_down(lambda: (three.metric("dray_assigned_sources") or 0) > had, 120,
                            "the other replica takes over")
        two.process.send_signal(signal.SIGCONT)
        workers.settle_down(lambda: (two.metric("dray_losses_total") or 0) > 0, 120, "the sleeper is told")
        one.start().wait_ready()
        at_work(load, client, 900, one)
        assert three.stop(timeout_s=240) == 0, "a replica did not drain"
        wait_complete(broker, topics, load.commands, "moves")
        void = metric((one, two), "dray_transactions_void_total")
        codes = [worker.stop(timeout_s=240) for worker in (one, two)]
        committed = Outcomes(broker.bootstrap, topics)
        print(committed.check(load.commands, "moves"))
        aborted = len(Outcomes(broker.bootstrap, topics, "read_uncommitted")) - len(committed)
        print(f"{aborted} outcomes were in transactions that were thrown away; {void} told by the survivors")
        assert codes == [0, 0], codes
        assert aborted > 0, "no fault hit a transaction"
    finally:
        for replica in (one, two, three):
            if replica.is_running():
                replica.process.send_signal(signal.SIGCONT)
                replica.kill()
        client.close()


def test_broker(broker, folder, dice, seed):
    del dice, seed
    topics = topics_of("dies")
    config = configuration(broker, "dies", topics)
    replicas = [workers.Worker(folder, name, config) for name in ("one", "two")]
    load = loads.Load(broker.url, 40, 20, 1, 50, topics["commands"])
    try:
        for replica in replicas:
            replica.start().wait_ready()
        for _ in range(2):
            client = clients.connect(broker.url)
            for replica in replicas:
                at_work(load, client, 600, replica)
            client.close()
            broker.restart()
        wait_complete(broker, topics, load.commands, "broker")
        assert all(replica.is_running() for replica in replicas), "a replica ended with its broker"
        void = metric(replicas, "dray_transactions_void_total")
        codes = [replica.stop() for replica in replicas]
        committed = Outcomes(broker.bootstrap, topics)
        print(committed.check(load.commands, "broker"))
        aborted = len(Outcomes(broker.bootstrap, topics, "read_uncommitted")) - len(committed)
        print(f"{aborted} outcomes were in transactions that were thrown away; {void} told")
        assert codes == [0, 0], codes
    finally:
        for replica in replicas:
            if replica.is_running():
                replica.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("points", "parked", "moves", "broker"))
    parser.add_argument("--kafka", default="3.9.1")
    arguments = parser.parse_args()
    seed = reconcile.seed()
    print(f"seed {seed} (DRAY_TEST_SEED={seed} repeats it)")
    what = {"points": test_points, "parked": test_parked, "moves": test_moves, "broker": test_broker}[arguments.what]
    with workers.Folder("exactly-once") as folder, brokers.Kafka(arguments.kafka) as broker:
        what(broker, folder, random.Random(seed), seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())

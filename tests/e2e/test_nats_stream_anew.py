#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""The commands stream is deleted and made anew while the streams of outcomes stay: no outcome is lost.

Sequences begin at 1 again, and so do the deduplication ids that are made of them, within the duplicate
window of RESULTS and DLQ. Every command of the new stream must have its own outcome all the same, also
those that have the id of a command of the old one, also when the worker is killed in the middle.
"""

import collections
import sys

import clients
import msgpack
import workers
from workers import brokers

TOPICS = {"commands": "commands", "results": "results", "dead_letters": "dlq.anew.commands"}
COUNT = 60
ROUNDS = 3


def make(round_):
    """A third ends as a dead letter with an error result; every fifth id is the same in each round."""
    commands = []
    for number in range(COUNT):
        id_ = f"same-{number}" if number % 5 == 0 else f"r{round_}-{number}"
        do = {"do": "fail", "kind": "rejected"} if number % 3 == 0 else {"do": "ok", "echo": round_}
        value = msgpack.packb({"v": 1, "id": id_, "cmd": "probe.run", "payload": do})
        commands.append((id_, number % 3 == 0, value))
    return commands


def counts(client):
    """Results and dead letters by id."""
    results = collections.Counter(msgpack.unpackb(m.value)["id"] for m in client.read("results"))
    letters = collections.Counter(
        m.header("dray-dlq-id") for m in client.read(TOPICS["dead_letters"]))
    return results, letters


def scenario():
    with workers.Folder("anew") as folder, brokers.Nats() as broker:
        client = clients.connect(broker.url)
        config = workers.configuration(broker.url, "anew", TOPICS, lanes=2)
        config["nats"] = {"ack_wait_ms": 2000}
        worker = workers.Worker(folder, "one", config)
        wanted_results, wanted_letters = collections.Counter(), collections.Counter()
        try:
            worker.start().wait_ready()
            for round_ in range(ROUNDS):
                if round_ > 0:
                    client.delete_stream("COMMANDS")
                    client.create("commands", 1)
                commands = make(round_)
                positions = client.publish("commands", [(None, c[2], None) for c in commands])
                assert positions[0] == 1, f"round {round_} begins at {positions[0]}"
                for id_, is_letter, _ in commands:
                    wanted_results[id_] += 1
                    wanted_letters[id_] += is_letter
                if round_ == ROUNDS - 1:
                    workers.settle_down(lambda: len(counts(client)[0]) > len(wanted_results) - COUNT // 2,
                                        60, "some outcomes of the last round")
                    worker.kill()
                    worker.start().wait_ready()

                def is_complete():
                    results, letters = counts(client)
                    return (all(results[id_] >= n for id_, n in wanted_results.items())
                            and all(letters[id_] >= n for id_, n in wanted_letters.items()))
                workers.settle_down(is_complete, 90, f"every outcome of round {round_}")
            code = worker.stop()
            results, letters = counts(client)
            taken = [m for m in client.read("results")
                     if (m.header("nats-msg-id") or "").count(":") == 3]
            print(f"{results.total()} results and {letters.total()} letters of {ROUNDS * COUNT} commands; "
                  f"{len(taken)} results under a longer id")
            assert code == 0, "the drain is clean"
            assert len(taken) >= (ROUNDS - 1) * COUNT // 2, "no id was taken: the scenario proves nothing"
            assert set(results) == set(wanted_results), "results of commands that nobody sent"
        finally:
            if worker.is_running():
                worker.kill()
            client.close()


if __name__ == "__main__":
    scenario()
    sys.exit(0)

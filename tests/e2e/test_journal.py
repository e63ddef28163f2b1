#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""The journal: a worker that is killed while handlers run is accused by its next start, of exactly those commands."""

import argparse
import os
import re
import sys

import msgpack

import clients
import workers
from test_reconcile import start_broker

TOPICS = {"commands": "commands.journal", "results": "results.journal",
          "dead_letters": "dlq.journal.commands"}
LONG_MS = 15000


def command(id_, action, ms=0):
    return msgpack.packb({"v": 1, "id": id_, "cmd": "probe.run", "key": f"key-{id_}",
                          "payload": {"do": action, "ms": ms}})


def publish(client, *commands):
    return client.publish(TOPICS["commands"], [(f"key-{id_}".encode(), value, None) for id_, value in commands])


def outcomes(client):
    return list(client.read(TOPICS["results"]))


def journal(worker):
    with open(os.path.join(worker.config["state"], "journal"), "rb") as file:
        return file.read()


def suspects(text):
    """(id, source, attempt) of each line that accuses a command."""
    return sorted((re.search(r' command_id="?([^ "]+)', line).group(1),
                   re.search(r' source="?([^ "]+)', line).group(1),
                   int(re.search(r' attempt=(\d+)', line).group(1)))
                  for line in text.splitlines() if "JNL-SUSPECT" in line)


def restart(worker):
    """Starts it again; what it says of the life before."""
    begin = len(worker.log())
    worker.start().wait_ready()
    return suspects(worker.log()[begin:]), worker.metric("dray_journal_suspects_total")


def source_of(position):
    return "/".join(str(part) for part in position) if isinstance(position, (tuple, list)) else str(position)


def killed_in_two_handlers(worker, client):
    """Two handlers run, others have ended; the kill leaves exactly the two."""
    publish(client, *[(f"quick-{n}", command(f"quick-{n}", "ok")) for n in range(20)])
    workers.settle_down(lambda: len(outcomes(client)) == 20, 60, "results of the quick ones")
    positions = publish(client, ("slow-1", command("slow-1", "sleep", LONG_MS)),
                        ("slow-2", command("slow-2", "sleep", LONG_MS)))
    workers.settle_down(lambda: b"slow-1" in journal(worker) and b"slow-2" in journal(worker)
                        and worker.metric("dray_running_commands") == 2, 60, "two handlers that run")
    worker.kill()
    found, counted = restart(worker)
    assert [s[0] for s in found] == ["slow-1", "slow-2"], found
    for (_, source, attempt), position in zip(found, positions):
        assert attempt == 1, found
        assert source.endswith("/" + source_of(position)), (found, positions)
    assert counted == 2, counted


def killed_again_and_drained(worker, client):
    """The commands came again: a second kill accuses them again. What was ended by a drain accuses nobody."""
    workers.settle_down(lambda: b"slow-1" in journal(worker) and b"slow-2" in journal(worker), 60,
                        "the two came again")
    worker.kill()
    found, _ = restart(worker)
    assert [s[0] for s in found] == ["slow-1", "slow-2"], found
    workers.settle_down(lambda: len(outcomes(client)) == 22, 120, "every outcome")
    assert worker.stop() == 0
    found, counted = restart(worker)
    assert not found and counted == 0, (found, counted)


def a_journal_that_is_none(worker):
    """Foreign bytes, then a folder in its place: the worker says so, and works."""
    path = os.path.join(worker.config["state"], "journal")
    assert worker.stop() == 0
    with open(path, "wb") as file:
        file.write(os.urandom(5000))
    begin = len(worker.log())
    assert restart(worker)[0] == []
    assert "JNL-FOREIGN" in worker.log()[begin:]
    assert worker.stop() == 0
    os.unlink(path)
    os.mkdir(path)
    begin = len(worker.log())
    assert restart(worker)[0] == []
    assert "JNL-OFF" in worker.log()[begin:]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bus", default="nats")
    arguments = parser.parse_args()
    with workers.Folder("journal") as folder, start_broker(arguments.bus) as broker:
        client = clients.connect(broker.url)
        config = workers.configuration(broker.url, "journal", TOPICS, settle_ms=100)
        if client.kind == "nats":
            config["nats"] = {"ack_wait_ms": 3000}
        else:
            config["kafka"] = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 500}
        worker = workers.Worker(folder, "journal", config)
        try:
            worker.start().wait_ready()
            killed_in_two_handlers(worker, client)
            killed_again_and_drained(worker, client)
            a_journal_that_is_none(worker)
            publish(client, ("last", command("last", "ok")))
            workers.settle_down(lambda: len(outcomes(client)) == 23, 60, "a worker without a journal works")
            assert worker.stop() == 0
        finally:
            if worker.is_running():
                worker.kill()
            client.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())

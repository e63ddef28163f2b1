#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""Park logs for which a worker has no place: it goes on, reads them no further, and loses and overtakes nothing.

test_park_full.py --bus nats|kafka[:VERSION]

First the disk under `state` is full (a limit on the size of files, set on the running worker and lifted again)
while commands are parked; then a replica with a tiny worker.park_max gets what another one had parked, and after it
one that has place for it. On NATS with nats.partitions.
"""

import argparse
import resource
import sys

import msgpack
import reconcile
import workers
from test_park import Scene, policy
from workers import brokers

KEYS = 12
PADDING = "x" * 20000
FILE_MAX = 150000  # of which nearly nothing is needed by anything but parked commands


def send(scene, names, payload):
    first = len(scene.commands)
    for name in names:
        number = len(scene.commands)
        kind = reconcile.FAILING if payload["do"] == "fail" else reconcile.OK
        id_ = f"{scene.name}-{number}"
        value = msgpack.packb({"v": 1, "id": id_, "cmd": "probe.run", "key": name,
                               "payload": dict(payload, echo=number, padding=PADDING)})
        scene.commands.append(reconcile.Command(number, kind, name.encode(), id_, value))
    scene.publish(scene.commands[first:])


def set_file_max(worker, limit):
    _, hard = resource.prlimit(worker.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(worker.process.pid, resource.RLIMIT_FSIZE, (limit or hard, hard))


def has_result(scene, commands):
    done = {msgpack.unpackb(m.value)["id"] for m in scene.client.read(scene.topics["results"])}
    return all(c.id in done for c in commands)


def disk(scene, worker):
    """Keys whose commands are parked do not move; others do."""
    names = [f"disk-{number}" for number in range(KEYS)]
    set_file_max(worker, FILE_MAX)
    send(scene, names, {"do": "fail", "kind": "rejected"})
    send(scene, names * 2, {"do": "ok"})
    scene.wait_metric("dray_park_logs_held", 1)
    calm = len(scene.commands)
    send(scene, [f"calm-{number}" for number in range(50)], {"do": "ok"})
    workers.settle_down(lambda: has_result(scene, scene.commands[calm:]), 90, "other keys while the disk is full")
    workers.settle_down(  # as long as something is in memory; when that has ended it goes on a little
        lambda: worker.get("/readyz")[0] == 200 and "wait for a park log" in worker.get("/readyz")[1], 60,
        "a word of it in /readyz")
    assert worker.is_running()
    assert "ENG-SPOOL" in worker.log() and "File too large" in worker.log()
    set_file_max(worker, None)
    scene.wait_complete()
    workers.settle_down(lambda: scene.metric("dray_park_logs_held") == 0, 60, "no log that is held")
    assert "ENG-PARK-ON" in worker.log()


def entries(scene, roomy):
    """What one replica had parked is more than the next one has place for."""
    names = [f"many-{number}" for number in range(4 * KEYS)]
    parked = scene.metric("dray_parked_total")
    send(scene, names, {"do": "fail", "kind": "rejected"})
    scene.wait_metric("dray_parked_total", parked + len(names))
    roomy.kill()
    scene.config["worker"]["park_max"] = 1
    narrow = scene.replica("narrow").start().wait_ready()
    scene.wait_metric("dray_park_logs_held", 1)
    behind = len(scene.commands)
    send(scene, names, {"do": "ok"})
    assert "ENG-PARK-FULL" in narrow.log()
    assert narrow.is_running() and scene.metric("dray_park_logs_held") >= 1
    roomy.start().wait_ready()
    workers.settle_down(
        lambda: (roomy.metric("dray_assignments_total") or 0) > (roomy.metric("dray_revocations_total") or 0), 90,
        "sources of the roomy one")
    narrow.kill()
    scene.wait_complete()
    return len(scene.commands) - behind


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bus", default="nats")
    options = parser.parse_args()
    name, _, version = options.bus.partition(":")
    with workers.Folder("park-full") as folder, (
            brokers.Nats() if name == "nats" else brokers.Kafka(version or "3.9.1")) as broker:
        scene = Scene(folder, broker.url, "full", policy(3, 2000))
        try:
            roomy = scene.replica("roomy").start().wait_ready()
            disk(scene, roomy)
            behind = entries(scene, roomy)
            scene.check_order(3)
            scene.check_outcomes(has_kills=True)
            assert roomy.stop() == 0, "a drain is clean"
            scene.check_park_is_empty()
            print(f"{len(scene.commands)} commands, {behind} of them behind what was too much")
        finally:
            scene.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""A rate that all replicas share: three replicas together, then one of them killed and one drained.

What began when is read from the probe's own log, which the replicas share. test_shared_rate.py --bus nats|kafka
"""

import argparse
import sys

import clients
import msgpack
import workers
from test_limits import route, start_broker

RATE = 10
TOPICS = {"commands": "shared", "results": "results.shared", "dead_letters": "dlq.sha.shared",
          "control": "control.shared", "status": "status.shared"}


def send(client, first, count):
    messages = []
    for number in range(first, first + count):
        command = {"v": 1, "id": f"c{number:04d}", "cmd": "slow.run", "payload": {"do": "ok"}}
        messages.append((f"k{number}", msgpack.packb(command), []))
    client.publish(TOPICS["commands"], messages)


def check_rate(runs):
    """In no two seconds did more begin than the rate lets, and one burst of each replica."""
    starts = sorted(run.start_ns for run in runs)
    for at, begin in enumerate(starts):
        within = [start for start in starts[at:] if start < begin + 2_000_000_000]
        assert len(within) <= 2 * RATE + 3 + 1, [start - begin for start in within]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bus", required=True)
    arguments = parser.parse_args()
    with start_broker(arguments.bus) as broker, workers.Folder("shared-rate") as folder:
        client = clients.connect(broker.url)
        config = workers.configuration(broker.url, "sha", TOPICS, settle_ms=50, partitions=6, lanes=2)
        config["routes"] = [route("slow.run", rate=RATE, burst=1, rate_shared=True)]
        replicas = [workers.Worker(folder, name, config) for name in ("one", "two", "three")]
        for replica in replicas:
            replica.start().wait_ready()

        def shared_by(count, among):
            workers.settle_down(lambda: all(r.metric("dray_sharing_replicas") == count for r in among), 60,
                                f"{count} replicas know of each other")

        def runs():
            return workers.runs(replicas[0].probe_log)

        shared_by(3, replicas)
        send(client, 0, 100)
        workers.settle_down(lambda: len(runs()) >= 100, 120, "a hundred runs")
        first = runs()
        check_rate(first)
        assert len({run.worker for run in first}) == 3, "a replica had nothing to do"

        # Who is killed is missed after some seconds, who leaves at once; what is left has the whole rate.
        replicas[2].kill()
        shared_by(2, replicas[:2])
        assert replicas[1].stop() == 0
        shared_by(1, replicas[:1])
        ran = len(runs())
        send(client, 200, 40)
        workers.settle_down(lambda: len(runs()) >= ran + 40, 120, "forty more")
        last = runs()[ran:]
        check_rate(last)
        starts = sorted(run.start_ns for run in last)
        assert min(b - a for a, b in zip(starts, starts[1:])) < 1.5e9 / RATE, "it does not have the whole rate"
        # One that comes is noticed at once, and begins with little.
        replicas[1].start().wait_ready()
        shared_by(2, replicas[:2])
        assert "CTL-REPLICAS " in replicas[0].log()
        assert not client.read(TOPICS["dead_letters"])
        for replica in replicas[:2]:
            assert replica.stop() == 0, replica.log()[-3000:]
        client.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""How long a change of the registry takes to be in effect on all replicas: figures, never assertions.

tests/bench/control.py [--bus kafka|nats|both] [--replicas N] [--routes N] [--changes N] [--smoke]

A client of its own publishes changes of one route to the control topic, one after the other, while ROUTES others
are there, and listens to the status topic. A change counts as in effect when every replica has said there that it
has applied that revision, so the figure holds the way there, the change itself, and the way back: an upper bound.
What the broker took to acknowledge the record is told apart. One clock, that of this process.

--smoke does it with few replicas and changes and asserts no figure, but that there are some.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))

import msgpack  # noqa: E402
import clients  # noqa: E402
import registry_bench  # noqa: E402
import workers  # noqa: E402

KEY = "default/bench.run@1.0.0"


class Watch:
    """When each replica said first that it has a revision."""

    def __init__(self, client):
        self.seen = {}  # worker -> (revision, when)
        self.changed = threading.Condition()
        self.client = client
        self.is_over = False
        if client.kind == "nats":
            client.listen("dray.status.>", lambda _, value: self.hear(value))
        else:
            self.consumer = client.tail("dray.status")
            self.thread = threading.Thread(target=self.follow)
            self.thread.start()

    def hear(self, value):
        now = time.monotonic()
        if not value:
            return
        record = msgpack.unpackb(value)
        with self.changed:
            if self.seen.get(record["worker"], (-1,))[0] < record["revision"]:
                self.seen[record["worker"]] = (record["revision"], now)
                self.changed.notify()

    def follow(self):
        while not self.is_over:
            message = self.consumer.poll(0.1)
            if message is not None and message.error() is None:
                self.hear(message.value())

    def wait(self, names, revision):
        """When the last of them was there."""
        def are_there():
            return all(self.seen.get(name, (-1,))[0] >= revision for name in names)

        with self.changed:
            assert self.changed.wait_for(are_there, 60), f"not all at revision {revision}: {self.seen}"
            return max(self.seen[name][1] for name in names)

    def close(self):
        self.is_over = True
        if self.client.kind != "nats":
            self.thread.join()
            self.consumer.close()


def record(items):
    change = {"kind": "routes", "topic": "dray.control", "author": "bench", "items": items}
    return msgpack.packb({"v": 1, "change": msgpack.packb(change)})


def item(key, base, **more):
    name, _, version = key.partition("/")[2].partition("@")
    route = {"name": name, "version": version, "runtime": "native", "module": "probe.so", "handler": "probe"}
    return {"key": key, "base": base, "route": dict(route, **more)}


def spread(times):
    times = sorted(times)
    return {"p50": round(1000 * statistics.median(times), 2),
            "p95": round(1000 * times[min(len(times) - 1, int(len(times) * 0.95))], 2),
            "max": round(1000 * times[-1], 2)}


def bench(bus, replicas, routes, changes):
    with workers.Folder("bench-control") as folder, registry_bench.start_broker(bus) as broker:
        stage = registry_bench.Bench(folder, broker)
        client = clients.connect(broker.url)
        names = [f"replica-{n}" for n in range(replicas)]
        try:
            for name in names:
                stage.replica(name).start()
            for replica in stage.replicas:
                replica.wait_ready()
            watch = Watch(client)
            revision = len(client.read("dray.control"))
            for first in range(0, routes, 500):
                client.publish("dray.control", [(None, record(
                    [item(f"default/other.n{n}@1.0.0", 0) for n in range(first, min(first + 500, routes))]), None)])
                revision += 1
            acked, applied = [], []
            base = 0
            for n in range(changes):
                revision += 1
                value = record([item(KEY, base, weight=n % 100 + 1)])
                begun = time.monotonic()
                client.publish("dray.control", [(None, value, None)])
                acked.append(time.monotonic() - begun)
                applied.append(watch.wait(names, revision) - begun)
                base = revision
            watch.close()
            (route,) = stage.dray("registry", "show", "bench.run")[0]
            assert route["revision"] == revision and route["route"]["weight"] == (changes - 1) % 100 + 1, route
        finally:
            client.close()
            stage.end()
    return {"bus": bus, "replicas": replicas, "routes": routes, "changes": changes,
            "machine": f"{os.cpu_count()} cores, {platform.release()}",
            "acknowledged_ms": spread(acked), "in_effect_on_all_ms": spread(applied)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bus", choices=("kafka", "nats", "both"), default="both")
    parser.add_argument("--replicas", type=int, default=4)
    parser.add_argument("--routes", type=int, default=1000)
    parser.add_argument("--changes", type=int, default=300)
    parser.add_argument("--smoke", action="store_true")
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.replicas, arguments.routes, arguments.changes = 2, 20, 5
    for bus in ("kafka", "nats") if arguments.bus == "both" else (arguments.bus,):
        figures = bench(bus, arguments.replicas, arguments.routes, arguments.changes)
        print(json.dumps(figures), flush=True)
        assert not arguments.smoke or figures["in_effect_on_all_ms"]["p50"] > 0, figures
    return 0


if __name__ == "__main__":
    sys.exit(main())

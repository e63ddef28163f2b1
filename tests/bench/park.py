#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""What keys that fail for ever cost the healthy ones: figures, never assertions.

tests/bench/park.py [--bus kafka|nats|both] [--count N] [--pairs N] [--lanes N]

Loads COUNT commands of 10,000 keys twice: once all of them succeed, once every command of each tenth key
fails, with retries without end that wait longer than a worker keeps them in memory, so that those keys are
parked. A worker consumes one, then the other (A B A B), each time in a group of its own. Measured from outside
is the throughput of the healthy keys' commands: how many of them, by the time between the first and the last
result that the broker holds. The ratio is taken pair by pair; its median is what counts. Figures mean something in
the release build only, see bus.py. NATS with nats.partitions.

--smoke runs it with a few commands in the build at hand and asserts only that commands were parked and that
there are figures.
"""

import argparse
import json
import os
import statistics
import sys

import bus  # puts tests/e2e into the path
import msgpack
import workers
from test_nats_partitions import murmur2
from workers import brokers

PARTITIONS = 8
FAILING_EVERY = 10
POLICY = {"attempts": 1000000, "backoff_ms": [2000]}


def load(client, topic, count, has_failing):
    """The commands' results that are to come."""
    results = 0
    portions = {}
    client.create(topic, PARTITIONS)
    for number in range(count):
        key = f"key-{number % 10000:05}"
        fails = has_failing and number % 10000 % FAILING_EVERY == 0
        results += not fails
        value = msgpack.packb({"v": 1, "id": number.to_bytes(16, "big"), "cmd": "probe.run", "key": key,
                               "payload": {"do": "fail" if fails else "ok", "kind": "network"}})
        target = topic if client.kind == "kafka" else f"{topic}.p.{murmur2(key.encode()) % PARTITIONS}"
        portions.setdefault(target, []).append((key.encode(), value, None))
    for target, messages in portions.items():
        for at in range(0, len(messages), 20000):
            client.publish(target, messages[at:at + 20000])
    return results


def run(side, folder, name, topic, results, healthy, options):
    """Healthy commands a second, and how many commands were parked meanwhile."""
    target = f"res-{name}"
    side.prepare(target, name)
    topics = {"commands": topic, "results": target, "dead_letters": f"dlq.{name}.{topic}"}
    config = workers.configuration(side.broker.url, name, topics, lanes=options.lanes, park_after_ms=1000)
    config["routes"] = [dict(workers.PROBE, policy=POLICY)]
    if side.client.kind == "nats":
        config["nats"] = {"partitions": PARTITIONS}
    worker = workers.Worker(folder, name, config)
    del worker.env["DRAY_PROBE_LOG"]
    worker.start()
    try:
        seconds = bus.watch(side, target, results, worker.is_running)
        if results == healthy:  # all others fail; a small load may have ended before any of it was parked
            workers.settle_down(lambda: worker.metric("dray_parked_total") > 0, 60, "something is parked")
        parked = worker.metric("dray_parked_total")
    finally:
        if worker.is_running():
            worker.kill()  # what fails for ever is never finished
    return healthy / seconds, parked


def bench(name, options):
    broker = brokers.Nats() if name == "nats" else brokers.Kafka("3.9.1", heap_mb=1024)
    with broker, workers.Folder("bench-park") as folder:
        side = (bus.NatsSide if name == "nats" else bus.KafkaSide)(broker)
        healthy = load(side.client, "failing", options.count, True)
        everything = load(side.client, "calm", options.count, False)
        rows = []
        for number in range(options.pairs):
            calm, _ = run(side, folder, f"calm{number}", "calm", everything, healthy, options)
            failing, parked = run(side, folder, f"failing{number}", "failing", healthy, healthy, options)
            rows.append((calm, failing, parked))
            print(f"{name} pair {number + 1}: none fails {calm:,.0f}/s  each tenth key fails "
                  f"{failing:,.0f}/s  ratio {failing / calm:.3f}  {parked:.0f} parked", file=sys.stderr)
        side.client.close()
    ratios = [failing / calm for calm, failing, _ in rows]
    return {
        "bus": name, "commands": options.count, "pairs": options.pairs, "lanes": options.lanes,
        "machine": f"{os.cpu_count()} cores",
        "none_fails_per_second": round(statistics.median(row[0] for row in rows)),
        "tenth_fails_per_second": round(statistics.median(row[1] for row in rows)),
        "ratio": round(statistics.median(ratios), 3),
        "ratio_min": round(min(ratios), 3), "ratio_max": round(max(ratios), 3),
        "parked_min": min(row[2] for row in rows),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bus", choices=("kafka", "nats", "both"), default="kafka")
    parser.add_argument("--count", type=int, default=500000)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--lanes", type=int, default=2)
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args()
    if options.smoke:
        options.count, options.pairs = 2000, 1
    for name in ("kafka", "nats") if options.bus == "both" else (options.bus,):
        figures = bench(name, options)
        print(json.dumps(figures), flush=True)
        if options.smoke:
            assert figures["ratio"] > 0 and figures["parked_min"] > 0, figures
    return 0


if __name__ == "__main__":
    sys.exit(main())

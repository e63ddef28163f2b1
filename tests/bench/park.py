#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""What keys that fail for ever cost the healthy ones: figures, never assertions.

tests/bench/park.py [--bus kafka|nats|both] [--count N] [--pairs N] [--lanes N] [--rate N]

Loads COUNT commands of 10,000 keys twice: once all of them succeed, once every command of each tenth key
fails, with retries without end that wait longer than a worker keeps them in memory, so that those keys are
parked. A worker consumes one, then the other (A B A B), each time in a group of its own. Measured from outside
is the throughput of the healthy keys' commands: how many of them, by the time between the first and the last
result that the broker holds. The ratio is taken pair by pair; its median is what counts. Figures mean something in
the release build only, see bus.py. NATS with nats.partitions.

With --rate the commands are not there before: they are sent while the worker runs, so many a second, which must be
less than it could do. What is shown then is whether the healthy ones keep up, and how long each took from its
making to its result (the two times that the messages themselves bear, in whole milliseconds).

--smoke runs it with a few commands in the build at hand and asserts only that commands were parked and that
there are figures.
"""

import argparse
import json
import os
import statistics
import sys
import time

import bus  # puts tests/e2e into the path
import msgpack
import workers
from test_nats_partitions import murmur2
from workers import brokers

PARTITIONS = 8
WARM = 1000  # commands before the first that counts: the worker has its partitions then
FAILING_EVERY = 10
POLICY = {"attempts": 1000000, "backoff_ms": [2000]}


def is_failing(number):
    return number % 10000 % FAILING_EVERY == 0


def send(client, topic, numbers, has_failing):
    """Send the commands with these numbers."""
    portions = {}
    now_ms = time.time_ns() // 1000000
    for number in numbers:
        key = f"key-{number % 10000:05}"
        do = "fail" if has_failing and is_failing(number) else "ok"
        value = msgpack.packb({"v": 1, "id": number.to_bytes(16, "big"), "cmd": "probe.run", "key": key,
                               "ts": now_ms, "payload": {"do": do, "kind": "network"}})
        target = topic if client.kind == "kafka" else f"{topic}.p.{murmur2(key.encode()) % PARTITIONS}"
        portions.setdefault(target, []).append((key.encode(), value, None))
    for target, messages in portions.items():
        for at in range(0, len(messages), 20000):
            client.publish(target, messages[at:at + 20000])
    return now_ms


def load(client, topic, count, has_failing):
    """The commands' results that are to come."""
    client.create(topic, PARTITIONS)
    send(client, topic, range(count), has_failing)
    return sum(not (has_failing and is_failing(number)) for number in range(count))


def offer(client, topic, options, has_failing):
    """Sends at a rate; when each command was made, by its number, and the seconds that it took to send them."""
    made = {}
    portion = max(options.rate // 20, 1)
    begin = time.monotonic()
    for at in range(0, options.count, portion):
        time.sleep(max(begin + at / options.rate - time.monotonic(), 0))
        numbers = range(at, min(at + portion, options.count))
        made.update(dict.fromkeys(numbers, send(client, topic, numbers, has_failing)))
    seconds = time.monotonic() - begin
    print(f"  offered {options.count / seconds:,.0f}/s", file=sys.stderr)
    return made, seconds


def latencies(client, target, made):
    """Milliseconds that the healthy commands took, sorted."""
    took = []
    for message in client.read(target):
        result = msgpack.unpackb(message.value)
        number = int.from_bytes(result["id"], "big")
        if number in made and not is_failing(number):
            took.append(result["ts"] - made[number])
    return sorted(took)


def start(side, folder, name, topic, options):
    """A worker with a group of its own, and where its results go."""
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
    return worker, target


def parked_by(worker, has_failing):
    """How many it has parked; a small load may have ended before any of it was."""
    if has_failing:
        workers.settle_down(lambda: worker.metric("dray_parked_total") > 0, 60, "something is parked")
    return worker.metric("dray_parked_total")


def run(side, folder, name, topic, results, healthy, options):
    """Healthy commands a second, and how many commands were parked meanwhile."""
    worker, target = start(side, folder, name, topic, options)
    try:
        seconds = bus.watch(side, target, results, worker.is_running)
        parked = parked_by(worker, results == healthy)
    finally:
        if worker.is_running():
            worker.kill()  # what fails for ever is never finished
    return healthy / seconds, parked


def run_offered(side, folder, name, has_failing, healthy, options):
    """Of commands that come while it runs: the rate of the healthy ones as a share of that at which they were sent
    (a sender may fall behind, too), what was parked, median and 99th percentile of what they took."""
    side.client.create(f"offered-{name}", PARTITIONS)
    worker, target = start(side, folder, name, f"offered-{name}", options)
    try:
        worker.wait_ready()
        send(side.client, f"offered-{name}", range(options.count, options.count + WARM), False)
        bus.watch(side, target, WARM, worker.is_running)
        begin = time.monotonic()
        made, sending = offer(side.client, f"offered-{name}", options, has_failing)
        bus.watch(side, target, WARM + (healthy if has_failing else options.count), worker.is_running)
        seconds = time.monotonic() - begin
        parked = parked_by(worker, has_failing)
        took = latencies(side.client, target, made)
    finally:
        if worker.is_running():
            worker.kill()
    assert len(took) == healthy, f"{len(took)} of {healthy}"
    return sending / seconds, parked, took[len(took) // 2], took[len(took) * 99 // 100]


def bench_offered(name, side, folder, options):
    healthy = sum(not is_failing(number) for number in range(options.count))
    rows = []
    for number in range(options.pairs):
        calm = run_offered(side, folder, f"calm{number}", False, healthy, options)
        failing = run_offered(side, folder, f"failing{number}", True, healthy, options)
        rows.append((calm, failing))
        for title, row in (("none fails", calm), ("each tenth key fails", failing)):
            print(f"{name} pair {number + 1}: {title}: {row[0]:.3f} of what was sent  p50 {row[2]} ms  p99 {row[3]} ms  "
                  f"{row[1]:.0f} parked", file=sys.stderr)
    ratios = [failing[0] / calm[0] for calm, failing in rows]
    middle = [[statistics.median(row[side][at] for row in rows) for at in range(4)] for side in (0, 1)]
    return {
        "bus": name, "commands": options.count, "pairs": options.pairs, "lanes": options.lanes,
        "machine": f"{os.cpu_count()} cores", "offered_per_second": options.rate,
        "none_fails_share": round(middle[0][0], 3), "tenth_fails_share": round(middle[1][0], 3),
        "ratio": round(statistics.median(ratios), 3),
        "ratio_min": round(min(ratios), 3), "ratio_max": round(max(ratios), 3),
        "none_fails_p50_ms": middle[0][2], "none_fails_p99_ms": middle[0][3],
        "tenth_fails_p50_ms": middle[1][2], "tenth_fails_p99_ms": middle[1][3],
        "parked_min": min(failing[1] for _, failing in rows),
    }


def bench(name, options):
    broker = brokers.Nats() if name == "nats" else brokers.Kafka("3.9.1", heap_mb=1024)
    with broker, workers.Folder("bench-park") as folder:
        side = (bus.NatsSide if name == "nats" else bus.KafkaSide)(broker)
        if options.rate:
            figures = bench_offered(name, side, folder, options)
            side.client.close()
            return figures
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
    parser.add_argument("--rate", type=int, default=0, help="commands a second, sent while the worker runs")
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args()
    if options.smoke:
        options.count, options.pairs = 2000, 1
    names = ("kafka", "nats") if options.bus == "both" else (options.bus,)
    for name, options.rate in [(name, rate) for name in names
                               for rate in ((0, 1000) if options.smoke else (options.rate,))]:
        figures = bench(name, options)
        print(json.dumps(figures), flush=True)
        if options.smoke:
            assert figures["ratio"] > 0 and figures["parked_min"] > 0, figures
    return 0


if __name__ == "__main__":
    sys.exit(main())

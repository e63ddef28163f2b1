#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""A whole worker beside a raw client loop, on a real broker, in one run: figures, never assertions.

tests/bench/bus.py [--bus kafka|nats|both] [--count N] [--pairs N] [--lanes N] [--json]

Loads COUNT envelopes of 200 bytes, then lets the raw loop and dray consume all of them in turn (A B A B),
each under a group of its own. Both are measured from outside in the same way: the time between the first
and the last result that the broker holds. The ratio is taken pair by pair; its median is what counts, for
these machines drift. Figures mean something in the release build only: cmake --preset release, cmake --build
--preset release-all, and DRAY_TEST_BUILD=build/release in the environment.

--smoke runs it with a few commands in the build at hand and asserts no figure, but that there are some: a
benchmark that nobody runs is broken when it is needed.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))

import msgpack  # noqa: E402
import clients  # noqa: E402
import workers  # noqa: E402
from workers import brokers  # noqa: E402

RAW = os.path.join(workers.BUILD, "tests")
PARTITIONS = 8


def envelopes(count):
    """Messages of 200 bytes with 10,000 keys."""
    for number in range(count):
        key = f"key-{number % 10000:05}"
        envelope = {"v": 1, "id": number.to_bytes(16, "big"), "cmd": "probe.run", "key": key,
                    "ts": 1700000000000 + number, "payload": {"do": "ok", "pad": ""}}
        short = 200 - len(msgpack.packb(envelope))
        envelope["payload"]["pad"] = "x" * (short - 1)  # str 8 takes one byte more than fixstr
        yield key.encode(), msgpack.packb(envelope)


class KafkaSide:
    """Loading, counting results and the raw command line on Kafka."""

    def __init__(self, broker):
        import confluent_kafka

        self.broker = broker
        self.client = clients.Kafka(broker.url)
        self._watch = confluent_kafka.Consumer(
            {"bootstrap.servers": self.client.servers, "group.id": "bench-watch"})
        self._part = confluent_kafka.TopicPartition
        self._error = confluent_kafka.KafkaException

    def load(self, count):
        self.client.create("commands", PARTITIONS)
        portion = []
        for key, value in envelopes(count):
            portion.append((key, value, None))
            if len(portion) == 50000:
                self.client.publish("commands", portion)
                portion = []
        self.client.publish("commands", portion)

    def prepare(self, results, _group):
        self.client.create(results, PARTITIONS)

    def stored(self, results):
        try:
            return sum(self._watch.get_watermark_offsets(self._part(results, n), timeout=10)[1]
                       for n in range(PARTITIONS))
        except self._error:  # a topic that was just made has no leader for a moment
            return 0

    def raw(self, group, results, count):
        return [os.path.join(RAW, "raw_kafka"), self.client.servers, group, "commands", results,
                str(count)]


class NatsSide:
    """The same on JetStream."""

    def __init__(self, broker):
        self.broker = broker
        self.client = clients.Nats(broker.url)

    def load(self, count):
        self.client.create("commands", 1)
        portion = []
        for key, value in envelopes(count):
            portion.append((key, value, None))
            if len(portion) == 5000:
                self.client.publish("commands", portion)
                portion = []
        if portion:
            self.client.publish("commands", portion)

    def prepare(self, results, group):
        import nats.js.api

        async def make():
            js = self.client._stream
            await js.add_stream(name=results.upper(), subjects=[results], duplicate_window=600)
            if group.startswith("raw"):
                await js.add_consumer("COMMANDS", nats.js.api.ConsumerConfig(
                    durable_name=group, ack_policy=nats.js.api.AckPolicy.EXPLICIT,
                    deliver_policy=nats.js.api.DeliverPolicy.ALL, ack_wait=30,
                    max_ack_pending=20000))
        self.client._run(make())

    def stored(self, results):
        return self.client._run(self.client._stream.stream_info(results.upper())).state.messages

    def raw(self, group, results, count):
        return [os.path.join(RAW, "raw_nats"), self.broker.url, "COMMANDS", group, results,
                str(count)]


def watch(side, results, count, is_alive):
    """Seconds between the first and the last stored result."""
    first = None
    before = 0
    deadline = time.monotonic() + 600
    while True:
        stored = side.stored(results)
        now = time.monotonic()
        if stored > 0 and first is None:
            first, before = now, stored
        if stored >= count:
            # All of a small load may be there at the first look: then it took less than a look.
            return max(now - first, 0.02) * count / max(count - before, 1)
        assert now < deadline and is_alive(), f"{results}: only {stored} of {count}"
        time.sleep(0.02)


def usage_of(pid):
    """CPU seconds and peak resident MiB of a process; 0 MiB when it has just ended."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        peak = next((line.split()[1] for line in file if line.startswith("VmHWM")), 0)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"), int(peak) / 1024


def run_raw(side, number, count):
    group, results = f"raw{number}", f"resraw{number}"
    side.prepare(results, group)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with subprocess.Popen(side.raw(group, results, count), stdout=subprocess.PIPE) as process:
        seconds = watch(side, results, count, lambda: process.poll() in (None, 0))
        _, peak = usage_of(process.pid) if process.poll() is None else (0, 0)
        process.communicate()
        assert process.returncode == 0, f"raw loop ended with {process.returncode}"
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"per_second": count / seconds, "cpu_us": cpu / count * 1e6, "peak_mib": peak}


def run_dray(side, folder, number, count, lanes):
    group, results = f"dray{number}", f"resdray{number}"
    side.prepare(results, group)
    topics = {"commands": "commands", "results": results, "dead_letters": f"dlq.{group}.commands"}
    config = workers.configuration(side.broker.url, group, topics, lanes=lanes)
    worker = workers.Worker(folder, group, config)
    del worker.env["DRAY_PROBE_LOG"]
    worker.start()
    try:
        seconds = watch(side, results, count, worker.is_running)
        cpu, peak = usage_of(worker.process.pid)
        code = worker.stop(120)
        assert code == 0, f"the worker ended with {code}"
    finally:
        if worker.is_running():
            worker.kill()
    return {"per_second": count / seconds, "cpu_us": cpu / count * 1e6, "peak_mib": peak}


def bench(bus, count, pairs, lanes):
    broker = brokers.Nats() if bus == "nats" else brokers.Kafka("3.9.1", heap_mb=1024)
    with broker, workers.Folder("bench") as folder:
        side = (NatsSide if bus == "nats" else KafkaSide)(broker)
        side.load(count)
        rows = []
        for number in range(pairs):
            raw = run_raw(side, number, count)
            dray = run_dray(side, folder, number, count, lanes)
            rows.append({"raw": raw, "dray": dray, "ratio": dray["per_second"] / raw["per_second"]})
            print(f"{bus} pair {number + 1}: raw {raw['per_second']:,.0f}/s  dray "
                  f"{dray['per_second']:,.0f}/s  ratio {rows[-1]['ratio']:.2f}", file=sys.stderr)
        side.client.close()
    ratios = [row["ratio"] for row in rows]
    return {
        "bus": bus, "commands": count, "pairs": pairs, "lanes": lanes,
        "machine": f"{os.cpu_count()} cores, {platform.release()}",
        "raw_per_second": round(statistics.median(r["raw"]["per_second"] for r in rows)),
        "dray_per_second": round(statistics.median(r["dray"]["per_second"] for r in rows)),
        "ratio": round(statistics.median(ratios), 3),
        "ratio_min": round(min(ratios), 3), "ratio_max": round(max(ratios), 3),
        "raw_cpu_us": round(statistics.median(r["raw"]["cpu_us"] for r in rows), 2),
        "dray_cpu_us": round(statistics.median(r["dray"]["cpu_us"] for r in rows), 2),
        "dray_peak_mib": round(max(r["dray"]["peak_mib"] for r in rows)),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bus", choices=("kafka", "nats", "both"), default="both")
    parser.add_argument("--count", type=int, default=1000000)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--lanes", type=int, default=2)
    parser.add_argument("--smoke", action="store_true")
    arguments = parser.parse_args()
    if arguments.smoke:
        arguments.count, arguments.pairs = 2000, 1
    for bus in ("kafka", "nats") if arguments.bus == "both" else (arguments.bus,):
        figures = bench(bus, arguments.count, arguments.pairs, arguments.lanes)
        print(json.dumps(figures), flush=True)
        if arguments.smoke:
            missing = [name for name in ("raw_per_second", "dray_per_second", "ratio", "dray_cpu_us",
                                         "dray_peak_mib") if not figures[name] > 0]
            assert not missing, f"{bus}: no figure for {missing}"
    return 0


if __name__ == "__main__":
    sys.exit(main())

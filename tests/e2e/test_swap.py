#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""A module is replaced, again and again, while its commands come in.

test_swap.py [--bus nats|kafka[:VERSION]] [--swaps N] [--only CASE]

Each swap is a record of the control topic that the client writes itself, by the rule of docs/guide/registry.md; each
batch of them brings bytes that the worker has never seen. Then modules that crash or hang, which the worker must
outlive, and modules that stay in memory until the worker begins anew.
"""

import argparse
import hashlib
import os
import shutil
import sys

import msgpack

import clients
import load as loads
import reconcile
import registry_bench
import workers

KEYS, WORK_MS, PER_SECOND, BATCH, RETIRED_MAX = 40, 1, 200, 50, 4
GROWTH_KIB = 16 * 1024


class Swaps:
    """The one who writes the control topic, and the folder that it names modules of."""

    def __init__(self, client, folder, topic):
        self.client, self.folder, self.topic = client, folder, topic
        os.mkdir(folder)
        self.revision, self.made = 0, 0

    def module(self, name, of="probe.so"):
        """A number behind the end of a shared object is no part of it, but of its hash. Returns the hash."""
        with open(os.path.join(workers.MODULES, of), "rb") as file:
            content = file.read()
        self.made += 1
        content += self.made.to_bytes(8, "big")
        with open(os.path.join(self.folder, "new"), "wb") as file:
            file.write(content)
        os.rename(os.path.join(self.folder, "new"), os.path.join(self.folder, name))
        return hashlib.sha256(content).hexdigest()

    def put(self, changes):
        """One record for each list of (route, base), one behind the other."""
        for items in changes:
            change = {"kind": "routes", "cluster": "default", "topic": self.topic, "author": "test", "note": "",
                      "items": [{"key": f"default/{route['name']}@{route['version']}", "base": base, "route": route}
                                for route, base in items]}
            self.client.publish(self.topic, [(None, msgpack.packb({"v": 1, "change": msgpack.packb(change)}), None)])
            self.revision += 1
        return self.revision

    def applied(self, worker):
        workers.settle_down(lambda: worker.metric("dray_registry_revision") == self.revision, 60,
                            f"revision {self.revision}, not {worker.metric('dray_registry_revision')}")


class Bench:
    """A worker whose routes come from the control topic only, under load."""

    def __init__(self, folder, broker, name):
        self.client = clients.connect(broker.url)
        self.topics = {"commands": f"commands.{name}", "results": f"results.{name}",
                       "dead_letters": f"dlq.{name}.commands", "control": f"control.{name}", "status": f"status.{name}"}
        self.client.create(self.topics["commands"], 4)
        self.swaps = Swaps(self.client, os.path.join(folder, "modules"), self.topics["control"])
        config = workers.configuration(broker.url, f"swap-{name}", self.topics, settle_ms=200, lanes=4,
                                       retired_max=RETIRED_MAX, trial_ms=5000)
        config.update(modules=self.swaps.folder, routes=[])
        self.worker = workers.Worker(folder, name, config)
        self.load = loads.Load(broker.url, KEYS, WORK_MS, PER_SECOND, topic=self.topics["commands"])

    def begin(self):
        self.route, self.base = dict(workers.PROBE, module="probe-1.so", sha256=self.swaps.module("probe-1.so")), 0
        self.worker.start().wait_ready()  # it makes the control topic
        self.base = self.swaps.put([[(self.route, 0)]])
        self.swaps.applied(self.worker)
        self.load.start()

    def swap(self, count):
        """So many at once, to and fro between two modules, of which one is new."""
        hashes = {name: self.swaps.module(name) for name in ("probe-2.so",)}
        hashes["probe-1.so"] = self.route["sha256"] if self.route["module"] == "probe-1.so" else \
            self.swaps.module("probe-1.so")
        changes = []
        for n in range(count):
            name = f"probe-{2 - n % 2}.so"
            changes.append([(dict(self.route, module=name, sha256=hashes[name]), self.base)])
            self.base = self.swaps.revision + n + 1
        self.swaps.put(changes)
        self.route = changes[-1][0][0]
        self.swaps.applied(self.worker)

    def finish(self):
        """Each command ran once, in its place, and has one result."""
        commands = self.load.stop()
        workers.settle_down(
            lambda: reconcile.is_complete(commands, self.client.read(self.topics["results"]), []), 120,
            "a result for every command")
        assert self.worker.stop() == 0, self.worker.log()[-2000:]
        report = reconcile.outcomes(commands, self.client.read(self.topics["results"]), [])
        runs = workers.runs(self.worker.probe_log)
        problems = reconcile.order(commands, runs, across_lives=self.client.kind == "kafka")
        assert not report.problems, report
        assert not problems, problems[:5]
        assert len(runs) == len(commands) == len({run.id for run in runs}), f"{len(runs)} runs of {len(commands)}"
        return len(commands)

    def end(self):
        self.load.end()
        if self.worker.is_running():
            self.worker.kill()
        self.client.close()


def size(worker):
    """Resident KiB, mapped images, open files."""
    proc = f"/proc/{worker.process.pid}"
    with open(f"{proc}/status", encoding="ascii") as file:
        resident = next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))
    with open(f"{proc}/maps", encoding="utf-8", errors="replace") as file:
        images = len({line.split()[4] for line in file if "/memfd:" in line})
    return resident, images, len(os.listdir(f"{proc}/fd"))


def many_swaps(bench, swaps):
    """Nothing lost, nothing doubled, and nothing grows."""
    bench.begin()
    done, before = 0, None
    while done < swaps:
        bench.swap(BATCH)
        done += BATCH
        if before is None and done >= swaps // 5:
            before = size(bench.worker)
    worker = bench.worker
    workers.settle_down(lambda: worker.metric("dray_modules") == 1, 30, "the last one but one to be let go")
    after = size(worker)
    unloaded = worker.metric("dray_modules_unloaded_total")
    assert worker.metric("dray_modules_retired") == 0
    assert unloaded >= swaps // BATCH, unloaded
    assert worker.metric("dray_module_trials_failed_total") == 0
    assert worker.metric("dray_control_applied_total") == swaps + 1
    commands = bench.finish()
    print(f"{swaps} swaps, {commands} commands, {unloaded:.0f} unloaded; resident KiB, images, files: {before} "
          f"-> {after}", flush=True)
    if os.path.basename(workers.BUILD) not in ("asan", "tsan"):  # which keep what was freed
        assert after[0] < before[0] + GROWTH_KIB, "resident memory grows"
    assert after[1] <= 2 and after[2] <= before[2] + 2, "images or their files are left behind"


def bad_modules(bench, rogues):
    """The worker outlives them, and says of each what is wrong with it."""
    bench.begin()
    for n, (rogue, reason) in enumerate(rogues):
        shutil.copy(os.path.join(workers.BUILD, "tests", "modules", f"{rogue}.so"),
                    os.path.join(bench.swaps.folder, f"rogue-{n}.so"))
        route = {"name": f"rogue.{n}", "version": "1.0.0", "runtime": "native", "module": f"rogue-{n}.so",
                 "handler": "rogue"}
        bench.swaps.put([[(route, 0)]])
        bench.swaps.applied(bench.worker)
        assert reason in bench.worker.log(), f"{reason} is not in\n{bench.worker.log()[-2000:]}"
    assert bench.worker.metric("dray_routes_failed") == len(rogues)
    return bench.finish()


def retired(bench):
    """Modules that do not say that they can be unloaded; with too many the worker drains, and the next one goes on."""
    bench.begin()
    base, worker = 0, bench.worker
    for n in range(RETIRED_MAX + 4):
        route = {"name": "order.create", "version": "1.0.0", "runtime": "native", "handler": "order_create",
                 "module": "orders.so", "sha256": bench.swaps.module("orders.so", of="orders.so")}
        base = bench.swaps.put([[(route, base)]])
        workers.settle_down(lambda: not worker.is_running() or
                            worker.metric("dray_registry_revision") == bench.swaps.revision, 60, f"swap {n}")
    assert worker.process.wait(60) == 1
    assert "WRK-RETIRED" in worker.log(), worker.log()[-2000:]
    worker.start().wait_ready()
    assert "WRK-UNCLEAN" not in worker.log(), "a recycled worker has left nothing unfinished"
    assert worker.metric("dray_modules_retired") == 0
    return bench.finish()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bus", default="nats")
    parser.add_argument("--swaps", type=int, default=1000)
    parser.add_argument("--only", choices=("many", "bad", "retired"))
    arguments = parser.parse_args()
    cases = (
        ("many", lambda bench: many_swaps(bench, arguments.swaps)),
        ("bad", lambda bench: bad_modules(bench, (
            ("rogue_crash_open", "its open ended its process by SIGABRT"),
            ("rogue_hang_constructor", "did not return within 5000 ms"),
            ("bad_abi", "was built for ABI 99")))),
        ("retired", retired),
    )
    with registry_bench.start_broker(arguments.bus) as broker:
        for name, case in cases:
            if arguments.only not in (None, name):
                continue
            with workers.Folder(f"swap-{name}") as folder:
                bench = Bench(folder, broker, name)
                try:
                    case(bench)
                finally:
                    bench.end()
            print(f"{name}: ok", flush=True)


if __name__ == "__main__":
    sys.exit(main())

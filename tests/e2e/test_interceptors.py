#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""Interceptors are replaced through the registry while commands run: each command sees one chain, wholly; none is lost."""

import json
import os
import shutil
import sys

import msgpack

import clients
import load as loads
import registry_bench
import workers
from registry_bench import PUT_PROBE

CHAINS = (["gates.so:a1", "gates.so:b1"], ["gates.so:a2", "gates.so:b2"])
SWAPS = 4


def modules(bench):
    """A folder with the handlers, the sample and the gates of the tests."""
    folder = os.path.join(bench.folder, "modules")
    os.mkdir(folder)
    for path in (os.path.join(workers.MODULES, "probe.so"), os.path.join(workers.MODULES, "audit.so"),
                 os.path.join(os.path.dirname(workers.MODULES), "tests", "modules", "gates.so")):
        shutil.copy(path, folder)
    os.environ["DRAY_TEST_GATES_LOG"] = os.path.join(bench.folder, "gates.log")
    os.environ["DRAY_AUDIT_LOG"] = os.path.join(bench.folder, "audit.log")
    return folder


def put(bench, name, *interceptors, wait=True):
    policy = json.dumps({"attempts": 2, "backoff_ms": [20], "interceptors": interceptors})
    return bench.dray("registry", "put", f"{name}@1.0.0", *PUT_PROBE, "--policy", policy, *(["--wait=30"] if wait else []))


def gates():
    """What the interceptors said of each command, in order."""
    said = {}
    with open(os.environ["DRAY_TEST_GATES_LOG"], encoding="utf-8") as file:
        for line in file:
            id_, _, what = line.strip().partition(" ")
            said.setdefault(id_, []).append(what)
    return said


def audited():
    with open(os.environ["DRAY_AUDIT_LOG"], encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def whole(chain):
    names = [name.partition(":")[2] for name in chain]
    return [f"{name} before" for name in names] + [f"{name} after" for name in reversed(names)]


def swapped_under_load(bench):
    """Two replicas under load, the chain of their route replaced again and again, by put and by apply."""
    folder = modules(bench)
    for name in ("one", "two"):
        bench.start(name, modules=folder)
    put(bench, "probe.run", *CHAINS[0])
    load = loads.Load(bench.broker.url, 40, 2, 100)
    load.start()
    try:
        for swap in range(1, SWAPS + 1):
            seen = len(load.commands)
            workers.settle_down(lambda: len(load.commands) > seen + 20, 60, "commands meanwhile")
            if swap % 2:
                put(bench, "probe.run", *CHAINS[swap % 2])
            else:
                path = os.path.join(bench.folder, "routes")
                os.makedirs(path, exist_ok=True)
                with open(os.path.join(path, "all.yaml"), "w", encoding="utf-8") as file:
                    policy = {"attempts": 2, "backoff_ms": [20], "interceptors": CHAINS[swap % 2]}
                    json.dump({"routes": [dict(workers.PROBE, policy=policy)]}, file)
                bench.dray("registry", "apply", path, "--wait=30")
    finally:
        load.end()
    commands = load.stop()
    client = clients.connect(bench.broker.url)

    def results():
        return [msgpack.unpackb(message.value) for message in client.read("results")]

    workers.settle_down(lambda: len({result["id"] for result in results()}) == len(commands), 120, "every result")
    client.close()
    said = gates()
    assert set(said) == {command.id for command in commands}, "each command went through a chain"
    kinds = [whole(chain) for chain in CHAINS]
    chains = [kinds.index(lines) if lines in kinds else lines for lines in said.values()]
    mixed = [chain for chain in chains if chain not in (0, 1)]
    assert not mixed and {0, 1} == set(chains), mixed[:5]
    assert len(workers.runs(bench.replicas[0].probe_log)) == len(commands), "none ran twice"


def refused_audited_and_crashed(bench):
    """A gate that refuses, with the audit around it; one that is missing; one that crashes, replaced while its worker is down."""
    folder = modules(bench)
    one = bench.start("one", modules=folder)
    put(bench, "deny.run", "audit.so:log", "gates.so:deny")
    put(bench, "open.run", "audit.so:log")
    answer, err = bench.dray("send", "deny.run", "--topic", "commands", "--wait=30", code=None)
    assert answer, err
    result = answer[0]
    assert result["error"]["kind"] == "rejected" and result["error"]["code"] == "denied", result
    assert not workers.runs(one.probe_log) and one.metric("dray_intercepted_total") == 1
    assert bench.send("open.run")[0]["status"] == "ok"
    lines = [(line["command"], line["outcome"], line.get("refused", False)) for line in audited()]
    assert lines == [("deny.run", "rejected", True), ("open.run", "ok", False)], lines
    (replica,) = bench.status().values()
    assert {module["name"] for module in replica["modules"]} == {"probe.so", "audit.so", "gates.so"}, replica

    # What was to guard the route is not there: it does not run without.
    policy = json.dumps({"interceptors": ["authz.so:check"]})
    _, err = bench.dray("registry", "put", "lost.run@1.0.0", *PUT_PROBE, "--policy", policy, "--wait=30", code=1)
    assert "authz.so: is not in the module folder" in err, err
    for bad in ("gates.so", "../gates.so:a1"):
        _, err = bench.dray("registry", "put", "bad.run@1.0.0", *PUT_PROBE, "--policy",
                            json.dumps({"interceptors": [bad]}), code=None)
        assert "policy.interceptors" in err, err

    put(bench, "crash.run", "gates.so:crash")
    send = bench.popen("send", "crash.run", "--topic", "commands", "--payload", '{"do": "ok"}', "--id", "c-crash")
    assert send.communicate(timeout=60)[0].strip() and send.returncode == 0
    workers.settle_down(lambda: not one.is_running(), 60, "the crash")
    put(bench, "crash.run", "gates.so:a1", wait=False)
    one.start().wait_ready()
    assert one.metric("dray_journal_suspects_total") == 1 and "c-crash" in one.log()
    workers.settle_down(lambda: gates().get("c-crash") == whole(["gates.so:a1"]), 60, "the command under the new chain")


# What the worker makes of a chain; the broker has no part in that.
refused_audited_and_crashed.only = "nats"

CASES = (swapped_under_load, refused_audited_and_crashed)


if __name__ == "__main__":
    sys.exit(registry_bench.main(__doc__, CASES))

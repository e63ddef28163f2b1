#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""The registry, changed live: two replicas, one control topic, the command line in between.

test_registry.py --bus nats|kafka[:VERSION] [--only CASE]
"""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys

import msgpack

import clients
import registry_bench
import workers
from registry_bench import PUT_PROBE


def function_id(name, version, signature):
    """As design says: the first 8 bytes of SHA-256 over the text."""
    text = f"default.{name}@{version}:{signature}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def signature_of(schema):
    """SHA-256 over both files of a schema, with a NUL between."""
    parts = []
    for side in ("request", "result"):
        with open(os.path.join(workers.ROOT, "schemas", f"{schema}.{side}.json"), "rb") as file:
            parts.append(file.read())
    return hashlib.sha256(b"\0".join(parts)).hexdigest()


def by_function_id(bench):
    """live.run is put without a signature, and probe's handler was built with that of probe.run@1.0.0."""
    plain = function_id("live.run", "1.0.0", "")
    built = function_id("live.run", "1.0.0", signature_of("probe.run@1.0.0"))
    other = function_id("live.run", "1.1.0", "")
    commands = {  # id: (how it names its function, the kind of its error)
        "alone": ({"fid": plain}, None),
        "both": ({"fid": plain, "cmd": "live.run"}, None),
        "both-and-range": ({"fid": plain, "cmd": "live.run", "ver": "^1"}, None),
        "built": ({"fid": built, "cmd": "live.run"}, None),
        "other-version": ({"fid": other, "cmd": "live.run"}, "version_mismatch"),
        "other-signature": ({"fid": function_id("live.run", "1.0.0", "0" * 64), "cmd": "live.run"},
                            "version_mismatch"),
        "other-name": ({"fid": plain, "cmd": "probe.run"}, "version_mismatch"),
        "other-range": ({"fid": plain, "ver": "^2"}, "version_mismatch"),
        "unknown": ({"fid": other}, "unknown_command"),
        "other-namespace": ({"fid": plain, "ns": "elsewhere"}, "unknown_command"),
    }
    client = clients.connect(bench.broker.url)
    client.publish("commands", [
        (name.encode(), msgpack.packb({"v": 1, "id": f"fid-{name}", "payload": {"do": "ok"}, **how}), None)
        for name, (how, _) in commands.items()])
    found = {}

    def all_are_there():
        for message in client.read("results"):
            result = msgpack.unpackb(message.value)
            found[result["id"]] = result
        return all(f"fid-{name}" in found for name in commands)

    try:
        workers.settle_down(all_are_there, 60, "results of commands with a function id")
    finally:
        client.close()
    for name, (_, kind) in commands.items():
        result = found[f"fid-{name}"]
        assert result.get("error", {}).get("kind") == kind, f"{name}: {result}"
    for name, says in (("other-version", "make it anew"), ("unknown", "send cmd, too")):
        message = found[f"fid-{name}"]["error"]["message"]
        assert says in message, f"{name}: {message}"


def live_changes(bench):
    """Put, conflict and removal reach both replicas while they run."""
    for name in ("one", "two"):
        bench.replica(name).start()
    for replica in bench.replicas:
        replica.wait_ready()
    routes = bench.routes()
    assert set(routes) == {"default/probe.run@1.0.0"}, f"seeded once, by whoever came first: {routes}"
    seeded = routes["default/probe.run@1.0.0"]["revision"]
    assert seeded in (1, 2), routes
    applied = [replica.metric("dray_control_applied_total") for replica in bench.replicas]
    assert applied == [1, 1], f"changes applied: {applied}"
    assert bench.send("probe.run")[0]["status"] == "ok"

    # Live: a command that nobody knew runs on both replicas, without a restart.
    assert bench.send("live.run", code=1)[0]["error"]["kind"] == "unknown_command"
    (put,), _ = bench.dray("registry", "put", "live.run@1.0.0", *PUT_PROBE, "--wait=30", "--note", "new")
    assert put["key"] == "default/live.run@1.0.0" and put["revision"] > seeded, put
    digest = bench.agreed(("one", "two"), put["revision"])
    assert bench.send("live.run")[0]["status"] == "ok"
    (shown,), _ = bench.dray("registry", "show", "live.run")
    assert shown["revision"] == put["revision"] and shown["note"] == "new", shown
    assert shown["route"]["module"] == "probe.so" and shown["author"] and shown["ts"], shown
    by_function_id(bench)

    # A conflict shows both sides and changes nothing.
    for extra in (["--base", str(seeded)], ["--create"]):
        (conflict,), err = bench.dray("registry", "put", "live.run@1.0.0", *PUT_PROBE, "--policy",
                                      '{"attempts": 9}', *extra, code=1)
        assert conflict["conflict"] and conflict["present"] == put["revision"], conflict
        assert conflict["yours"]["policy"] == {"attempts": 9}, conflict
        assert "policy" not in conflict["theirs"], conflict
        assert "conflict" in err and str(put["revision"]) in err, err
    assert bench.agreed(("one", "two"), put["revision"]) == digest

    # A record that the rule refuses is refused everywhere, and counts as seen.
    client = clients.connect(bench.broker.url)
    client.publish("dray.control", [(None, b"\xc1 no record", None)])
    client.close()
    assert bench.agreed(("one", "two"), put["revision"] + 1) == digest
    for replica in bench.replicas:
        assert replica.metric("dray_control_refused_total") == 1
        assert "CTL-REFUSED" in replica.log()

    (gone,), _ = bench.dray("registry", "rm", "live.run@1.0.0", "--wait=30")
    assert bench.agreed(("one", "two"), gone["revision"]) != digest
    assert bench.send("live.run", code=1)[0]["error"]["kind"] == "unknown_command"
    assert "default/live.run@1.0.0" not in bench.routes()
    bench.dray("registry", "rm", "live.run@1.0.0", code=3)
    bench.dray("registry", "show", "live.run", code=3)

    # A clean leave is told at once; a restart comes to the same registry.
    assert bench.replicas[1].stop() == 0
    digest = bench.agreed(("one",), gone["revision"])
    bench.replicas[1].start().wait_ready()
    assert bench.agreed(("one", "two"), gone["revision"]) == digest


def missing_module(bench):
    """A replica that cannot run a route says why, and --wait names it."""
    folder = os.path.join(bench.folder, "modules")
    shutil.copytree(workers.MODULES, folder)
    bench.start("full")
    bench.start("bare", modules=folder)
    os.remove(os.path.join(folder, "text.so"))
    put = ["registry", "put", "text.digest@1.0.0", "--module", "text.so", "--handler", "text_digest"]
    (accepted,), err = bench.dray(*put, "--wait=30", code=1)
    assert "bare cannot run it" in err and "text.so" in err, err
    assert "full" not in err, err
    bench.agreed(("bare", "full"), accepted["revision"])
    status = bench.status()
    assert status["full"]["failed"] == [], status
    (failed,) = status["bare"]["failed"]
    assert failed["key"] == "default/text.digest@1.0.0" and "text.so" in failed["reason"], failed
    assert bench.replicas[1].metric("dray_routes_failed") == 1

    # Once the module is there the route runs, without a restart.
    shutil.copy(os.path.join(workers.MODULES, "text.so"), folder)
    workers.settle_down(lambda: bench.status()["bare"]["failed"] == [], 30, "the module to be found")

    # What no build can run is not even put.
    path = os.path.join(bench.folder, "exec.yaml")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(dict(workers.PROBE, name="exec.run", runtime="exec"), file)
    _, err = bench.dray("registry", "put", "-f", path, code=1)
    assert "runtime exec is not in this build" in err, err


def writers_race(bench):
    """Eight writers at once: each is told once whether it was accepted, and all replicas agree."""
    for name in ("one", "two"):
        bench.start(name)
    before = max(replica["revision"] for replica in bench.status().values())
    race = [bench.popen("registry", "put", "race.run@1.0.0", *PUT_PROBE, "--create", "--note", str(n))
            for n in range(8)]
    force = [bench.popen("registry", "put", "many.run@1.0.0", *PUT_PROBE, "--force", "--note", str(n))
             for n in range(3)]
    accepted, refused = [], 0
    for process in race:
        out, err = process.communicate(timeout=90)
        assert process.returncode in (0, 1), f"{process.returncode}: {out}{err}"
        (line,) = [json.loads(line) for line in out.splitlines()]
        if process.returncode == 0:
            accepted.append(line["revision"])
        else:
            refused += 1
            assert line["conflict"] and "conflict" in err, f"{out}{err}"
    assert len(accepted) == 1 and refused == 7, f"accepted {accepted}, refused {refused}"
    revisions = []
    for process in force:
        out, err = process.communicate(timeout=90)
        assert process.returncode == 0, f"{process.returncode}: {out}{err}"
        revisions.append(json.loads(out)["revision"])
    assert len(set(revisions)) == 3, f"every forced change has a revision of its own: {revisions}"
    routes = bench.routes()
    assert routes["default/race.run@1.0.0"]["revision"] == accepted[0], routes
    assert routes["default/many.run@1.0.0"]["revision"] == max(revisions), routes
    client = clients.connect(bench.broker.url)
    end = len(client.read("dray.control"))
    client.close()
    assert end > before
    bench.agreed(("one", "two"), end)
    shown = {n: bench.dray("registry", "show", n)[0][0] for n in ("race.run", "many.run")}
    assert shown["race.run"]["note"] in map(str, range(8)), shown


def digest_by_hand(bench):
    """The digest is what the format says, and the revision is the place in the log."""
    bench.start("one")
    for n in range(3):
        bench.dray("registry", "put", f"hand.{n}@1.0.0", *PUT_PROBE, "--ns", f"ns{n % 2}")
    bench.dray("registry", "rm", "ns0/hand.0@1.0.0", "--wait=30")
    import msgpack

    client = clients.connect(bench.broker.url)
    present = {}
    for revision, message in enumerate(client.read("dray.control"), 1):
        change = msgpack.unpackb(msgpack.unpackb(message.value)["change"])
        assert change["kind"] == "routes" and change["topic"] == "dray.control", change
        for item in change["items"]:
            assert item["base"] == present.get(item["key"], (0,))[0], item
            if item["route"] is None:
                del present[item["key"]]
            else:
                present[item["key"]] = (revision, msgpack.packb(item["route"]))
    client.close()
    digest = hashlib.sha256()
    for key in sorted(present):
        revision, route = present[key]
        digest.update(key.encode() + b"\0" + str(revision).encode() + b"\0"
                      + str(len(route)).encode() + b"\0" + route)
    assert bench.agreed(("one",), 5) == digest.hexdigest()


def snapshot_start(bench):
    """A worker that may not read the control topic starts with its snapshot, and says so."""
    worker = bench.start("one")
    (put,), _ = bench.dray("registry", "put", "snap.run@1.0.0", *PUT_PROBE, "--wait=30")
    bench.agreed(("one",), put["revision"])
    assert worker.stop() == 0
    assert os.path.exists(os.path.join(bench.folder, "state-one", "registry.snapshot"))

    # A control topic that is not there and may not be made: what was seen is on disk.
    hide_control(bench)
    with open(worker.config_path, "w", encoding="utf-8") as file:
        config = dict(worker.config)
        config["worker"] = dict(config["worker"], create_topics=False)
        json.dump(config, file)
    worker.start().wait_ready()
    assert "CTL-FROM-SNAPSHOT" in worker.log()
    workers.settle_down(lambda: worker.metric("dray_registry_revision") == put["revision"], 10,
                        "the snapshot's revision")
    assert bench.send("snap.run")[0]["status"] == "ok"
    assert worker.stop() == 0

    # Without a snapshot it does not start, and says what is wrong.
    os.remove(os.path.join(bench.folder, "state-one", "registry.snapshot"))
    done = subprocess.run([workers.DRAY, "worker", "-c", worker.config_path], capture_output=True,
                          text=True, timeout=90, check=False)
    assert done.returncode == 78, f"{done.returncode}: {done.stderr}"
    assert "dray.control" in done.stderr, done.stderr


def hide_control(bench):
    """Deletes the control topic behind everybody's back."""
    client = clients.connect(bench.broker.url)
    if client.kind == "kafka":
        for future in client._admin.delete_topics(["dray.control"]).values():
            future.result(60)
        workers.settle_down(lambda: not client.exists("dray.control"), 30, "the topic to go")
    else:
        client._run(client._stream.delete_stream("DRAY_CONTROL"))
    client.close()


def lost_log(bench):
    """A log that was made anew is refused, by a worker at its start and by one that runs."""
    runs, starts = bench.start("runs"), bench.start("starts")
    for n in range(3):
        bench.dray("registry", "put", f"lost.{n}@1.0.0", *PUT_PROBE, "--wait=30")
    bench.agreed(("runs", "starts"), 4)
    assert starts.stop() == 0
    hide_control(bench)
    # Made anew: a topic of the same name whose log begins again.
    bench.dray("registry", "put", "other.run@1.0.0", *PUT_PROBE)
    done = subprocess.run([workers.DRAY, "worker", "-c", starts.config_path], capture_output=True,
                          text=True, timeout=90, check=False)
    assert done.returncode == 78, f"{done.returncode}: {done.stderr}"
    assert "made anew" in done.stderr, done.stderr
    workers.settle_down(lambda: runs.get("/readyz")[0] == 503, 60, "the one that runs not to be ready")
    assert "CTL-REFUSED-LOG" in runs.log()
    assert bench.send("lost.1")[0]["status"] == "ok", "it goes on with what it has"


def stalled_replica(bench):
    """A replica that does not move is named, and stops counting when it has been silent for long."""
    bench.start("moves")
    stalled = bench.start("stalled")
    bench.agreed(("moves", "stalled"), 1)
    stalled.process.send_signal(signal.SIGSTOP)
    try:
        (put,), err = bench.dray("registry", "put", "stall.run@1.0.0", *PUT_PROBE, "--wait=2", code=75)
        assert "stalled is at revision 1, not yet at 2" in err and "moves" not in err, err
        workers.settle_down(lambda: set(bench.status()) == {"moves"}, 30, "the stalled one to be silent")
        bench.dray("registry", "put", "stall.run@2.0.0", *PUT_PROBE, "--wait=10")
    finally:
        stalled.process.send_signal(signal.SIGCONT)
    bench.agreed(("moves", "stalled"), put["revision"] + 1)


def broker_away(bench):
    """The broker dies and comes back: the replicas go on where they were."""
    for name in ("one", "two"):
        bench.start(name)
    (put,), _ = bench.dray("registry", "put", "away.run@1.0.0", *PUT_PROBE, "--wait=30")
    bench.agreed(("one", "two"), put["revision"])
    bench.broker.kill()
    bench.dray("registry", "ls", code=69)
    bench.broker.start()
    (put,), _ = bench.dray("registry", "put", "away.run@2.0.0", *PUT_PROBE)
    bench.agreed(("one", "two"), put["revision"])
    for replica in bench.replicas:
        applied = replica.metric("dray_control_applied_total")
        assert applied == 3, f"what was applied is not applied again: {applied}"
        assert replica.stop() == 0
    assert bench.status() == {}, "both have said goodbye"


def as_a_person_says_it(bench):
    """Keys without a version, warnings that belong to the call, one group's replicas."""
    bench.start("one")
    bench.start("other", group="elsewhere")
    put = ["registry", "put"]
    _, err = bench.dray(*put, "plain.run", *PUT_PROBE)
    assert "no version is given" in err and "REG-" not in err, err
    workers.settle_down(lambda: all("REG-NO-VERSION" in replica.log() for replica in bench.replicas), 30,
                        "each worker to warn of a route without a version")
    _, err = bench.dray(*put, "typo.run@1.0.0", *PUT_PROBE, "--policy", '{"timeout_msx": 5}')
    assert 'a route\'s key "timeout_msx" is unknown here and kept; did you mean "timeout_ms"?' in err, err
    assert "plain.run" not in err, err
    for arguments in (["ls"], ["show", "typo.run"], ["rm", "plain.run"]):
        _, err = bench.dray("registry", *arguments)
        assert err == "", f"{arguments}: {err}"
    assert "default/plain.run@0.0.0" not in bench.routes(), "its only version is gone"
    bench.dray("registry", "rm", "plain.run", code=3)

    for version in ("1.1.0", "2.0.0"):
        bench.dray(*put, f"typo.run@{version}", *PUT_PROBE)
    before = bench.routes()
    _, err = bench.dray("registry", "rm", "typo.run", code=2)
    assert "default/typo.run has 3 versions; which one?" in err, err
    assert all(f"default/typo.run@{version}" in err for version in ("1.0.0", "1.1.0", "2.0.0")), err
    bench.dray("registry", "rm", "typo.run@1.0.0", "typo.run@1.0.0", code=2)
    assert bench.routes() == before, "nothing was removed"
    for name in ("a..b@1.0.0", " @1.0.0", "a.@1.0.0"):
        _, err = bench.dray(*put, name, *PUT_PROBE, code=2)
        assert "a blank at an edge or an empty part" in err, err

    bench.agreed(("one", "other"), max(route["revision"] for route in before.values()))
    found, _ = bench.dray("registry", "status", "--group", "elsewhere")
    assert [replica["worker"] for replica in found] == ["other"], found
    _, err = bench.dray("registry", "status", "--group", "nobody", code=3)
    assert "no live replica of group nobody" in err, err


CASES = (live_changes, as_a_person_says_it, missing_module, writers_race, digest_by_hand, snapshot_start, lost_log,
         stalled_replica, broker_away)


if __name__ == "__main__":
    sys.exit(registry_bench.main(__doc__, CASES))

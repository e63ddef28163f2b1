#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""Changes of the registry: their history, the way back, whole sets from files, and writers at once.

What the log says is found out by a reader of its own (the class Log), in Python, by the documented rule.

test_registry_changes.py --bus nats|kafka[:VERSION] [--only CASE]
"""

import hashlib
import json
import os
import re
import shutil
import signal
import sys

import msgpack

import clients
import registry_bench
import workers
from registry_bench import PUT_PROBE


class Log:
    """The control topic, read by the rule of docs/guide/registry.md."""

    def __init__(self, bench):
        client = clients.connect(bench.broker.url)
        messages = client.read("dray.control")
        client.close()
        self.present = {}  # key -> (revision, bytes of the route)
        self.changes = {}  # revision -> the change
        self.accepted = set()
        for revision, message in enumerate(messages, 1):
            self.take(revision, message.value)
        self.end = len(messages)

    def take(self, revision, value):
        try:
            change = msgpack.unpackb(msgpack.unpackb(value)["change"])
        except (ValueError, TypeError, KeyError):
            return
        self.changes[revision] = change
        if change["kind"] != "routes":
            return
        if any(item["base"] != self.present.get(item["key"], (0,))[0] for item in change["items"]):
            return
        self.accepted.add(revision)
        for item in change["items"]:
            if item["route"] is None:
                self.present.pop(item["key"], None)
            else:
                self.present[item["key"]] = (revision, msgpack.packb(item["route"]))

    def route(self, key):
        return msgpack.unpackb(self.present[key][1])

    def digest(self):
        digest = hashlib.sha256()
        for key in sorted(self.present):
            revision, route = self.present[key]
            digest.update(key.encode() + b"\0" + str(revision).encode() + b"\0"
                          + str(len(route)).encode() + b"\0" + route)
        return digest.hexdigest()


def history_and_rollback(bench):
    """Every change is there with author, time, note and verdict; any revision comes back as a new one."""
    for name in ("one", "two"):
        bench.start(name)
    bench.dray("registry", "put", "a.run@1.0.0", *PUT_PROBE, "--policy", '{"attempts": 3}', "--note", "first")
    bench.dray("registry", "put", "b.run@1.0.0", *PUT_PROBE)
    (third,), _ = bench.dray("registry", "put", "a.run@1.0.0", *PUT_PROBE, "--policy", '{"attempts": 9}')
    client = clients.connect(bench.broker.url)
    client.publish("dray.control", [(None, b"\xc1 no record", None)])
    stale = msgpack.packb({"kind": "routes", "author": "eve#1", "note": "late", "items": [
        {"key": "default/a.run@1.0.0", "base": 1, "route": None}]})
    client.publish("dray.control", [(None, msgpack.packb({"v": 1, "change": stale}), None)])
    client.close()
    (gone,), _ = bench.dray("registry", "rm", "b.run@1.0.0")
    log = Log(bench)

    history, _ = bench.dray("registry", "history", "--diff")
    assert [change["revision"] for change in history] == list(range(1, log.end + 1)), history
    by_revision = {change["revision"]: change for change in history}
    for revision, change in by_revision.items():
        accepted = revision in log.accepted
        assert (change["verdict"] == "accepted") == accepted, change
        if revision in log.changes:
            said = log.changes[revision]
            assert change["author"] == said["author"].partition("#")[0] and "ts" in change or not accepted
            assert change.get("note", "") == (said.get("note") or ""), change
    put, refused, conflict = (by_revision[third["revision"] + n] for n in range(3))
    assert put["items"] == [{"key": "default/a.run@1.0.0", "change": "update", "base": put["revision"] - 2, "diff": [
        {"path": "policy.attempts", "from": 3, "to": 9}]}], put
    assert refused["verdict"] == "refused" and refused["reason"] and "items" not in refused, refused
    assert conflict["verdict"] == "conflict" and conflict["author"] == "eve" and conflict["conflict"] == {
        "key": "default/a.run@1.0.0", "base": 1, "present": put["revision"]}, conflict
    assert by_revision[gone["revision"]]["items"][0]["change"] == "remove"
    of_b, _ = bench.dray("registry", "history", "b.run")
    assert [change["items"][0]["change"] for change in of_b] == ["add", "remove"], of_b
    last, _ = bench.dray("registry", "history", "--limit", "1")
    assert [change["revision"] for change in last] == [gone["revision"]], last
    bench.dray("registry", "history", "nobody.ran", code=3)
    for replica in bench.replicas:
        assert replica.metric("dray_control_conflicts_total") == 1 and "CTL-CONFLICT" in replica.log()

    # Back to when both were there and the first had three attempts.
    before = third["revision"] - 1
    differing, _ = bench.dray("registry", "diff", str(before))
    assert [(d["key"], d["change"]) for d in differing] == [
        ("default/a.run@1.0.0", "update"), ("default/b.run@1.0.0", "remove")], differing
    planned, _ = bench.dray("registry", "rollback", str(before), "--dry-run")
    assert [(d["key"], d["change"]) for d in planned] == [
        ("default/a.run@1.0.0", "update"), ("default/b.run@1.0.0", "add")], planned
    assert Log(bench).end == log.end, "a dry run writes nothing"
    back, _ = bench.dray("registry", "rollback", str(before), "--wait=30", "--note", "it leaks")
    assert len({line["revision"] for line in back}) == 1 and len(back) == 2, back
    after = Log(bench)
    assert after.end == log.end + 1 and after.end in after.accepted, "one new change"
    assert after.changes[after.end]["note"] == f"rollback to revision {before}: it leaks"
    assert after.route("default/a.run@1.0.0")["policy"] == {"attempts": 3}
    assert bench.agreed(("one", "two"), after.end) == after.digest()
    _, err = bench.dray("registry", "diff", str(before))
    assert "no route is different" in err, err
    _, err = bench.dray("registry", "rollback", str(before))
    assert "nothing to do" in err and Log(bench).end == after.end, err

    # One route only, and to where it was not there yet; a rollback of a rollback.
    bench.dray("registry", "rollback", "1", "a.run@1.0.0")
    assert set(bench.routes()) == {"default/probe.run@1.0.0", "default/b.run@1.0.0"}
    bench.dray("registry", "rollback", str(after.end), "--wait=30")
    assert Log(bench).route("default/a.run@1.0.0")["policy"] == {"attempts": 3}
    assert bench.send("a.run")[0]["status"] == "ok"

    # A long history: each of them is there, and the way back from the last to the first.
    client = clients.connect(bench.broker.url)
    base, revision = 0, Log(bench).end
    for n in range(150):
        client.publish("dray.control", [(None, record("long.run", base, weight=n % 100 + 1), None)])
        revision += 1
        base = revision
    client.close()
    history, _ = bench.dray("registry", "history", "long.run", "--diff")
    assert [change["revision"] for change in history] == list(range(revision - 149, revision + 1)), history
    assert history[149]["items"][0]["diff"] == [{"path": "weight", "from": 49, "to": 50}], history[149]
    bench.dray("registry", "rollback", str(revision - 149))
    assert Log(bench).route("default/long.run@1.0.0")["weight"] == 1

    # Schedules are in it by their keys, too, and are followed likewise.
    base = Log(bench).end
    schedule = ["schedule", "put", "night", "a.run", "--group", "reg", "--cron", "@daily"]
    bench.dray(*schedule)
    bench.dray(*schedule, "--deadline", "1h")
    bench.dray("schedule", "rm", "night", "--group", "reg")
    history, _ = bench.dray("registry", "history", "reg/night", "--diff")
    assert [change["revision"] for change in history] == [base + 1, base + 2, base + 3], history
    items = [item for change in history for item in change["items"]]
    assert [(item["key"], item["change"], item["base"]) for item in items] == [
        ("reg/night", "add", 0), ("reg/night", "update", base + 1), ("reg/night", "remove", base + 2)], items
    assert items[0]["schedule"]["cron"] == "@daily" and items[2]["was"]["deadline_ms"] == 3600000, items
    assert items[1]["diff"] == [{"path": "deadline_ms", "from": None, "to": 3600000}], items
    of_name, _ = bench.dray("registry", "history", "night", "--group", "reg")
    assert len(of_name) == 3 and not any("diff" in item for change in of_name for item in change["items"]), of_name
    shown = bench.on_terminal("registry", "history", "--limit", "2")
    assert "(schedule) ~reg/night" in shown and "(schedule) -reg/night" in shown, shown

    # What a stranger wrote does nothing to a terminal: not in a list, a difference, or a warning.
    bad = "eve\x1b]0;x\x07\x9b2J"
    client = clients.connect(bench.broker.url)
    present = Log(bench).present["default/long.run@1.0.0"][0]
    client.publish("dray.control", [(None, record("long.run", present, {"author": bad, "note": bad, }, **{
        "z\x1b\x9b": bad}), None)])
    client.close()
    for arguments in (["history"], ["history", "--diff"], ["diff", str(present)], ["show", "long.run"], ["ls"], [
            "rollback", str(present), "--dry-run"]):
        shown = bench.on_terminal("registry", *arguments)
        assert not re.search("[\x00-\x09\x0b-\x1a\x1c-\x1f\x7f-\x9f]", re.sub("\x1b\\[[01]m", "", shown)), repr(shown)
        assert "\x1b" not in re.sub("\x1b\\[[01]m", "", shown), repr(shown)
    _, err = bench.dray("registry", "put", "long.run@1.0.0", *PUT_PROBE, "--base", str(present), "--on-conflict",
                        "override_warn")
    assert "is overridden" in err and "eve" in err and not re.search("[\x1b\x07\x9b]", err), repr(err)

    bench.dray("registry", "rollback", "999", code=3)
    bench.dray("registry", "rollback", "1", "nobody.ran", code=3)
    bench.dray("registry", "rollback", "0", code=2)


def record(name, base, head=None, **more):
    """The bytes of a control record that puts one route; head: more of the change, more: of the route."""
    route = {"name": name, "version": "1.0.0", "runtime": "native", "module": "probe.so", "handler": "probe", **more}
    change = {"kind": "routes", "items": [{"key": f"default/{name}@1.0.0", "base": base, "route": route}], **(head or {})}
    return msgpack.packb({"v": 1, "change": msgpack.packb(change)})


def write(folder, name, routes):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(routes, file)
    return path


def files_of_git(bench):
    """A folder of files is one change; nothing to do is said; conflicts show both sides."""
    bench.start("one")
    folder = os.path.join(bench.folder, "routes")
    a = dict(workers.PROBE, name="a.run", policy={"attempts": 3})
    b = dict(workers.PROBE, name="b.run")
    write(folder, "team/a.yaml", [a])
    write(folder, "b.yml", b)
    write(folder, ".hidden.yaml", {"no": "route"})
    write(folder, "README.md", "none of this is read")
    planned, _ = bench.dray("registry", "apply", folder, "--dry-run")
    assert [(d["key"], d["change"]) for d in planned] == [
        ("default/a.run@1.0.0", "add"), ("default/b.run@1.0.0", "add")], planned
    assert Log(bench).end == 1
    lines, _ = bench.dray("registry", "apply", folder, "--wait=30", "--note", "from git")
    log = Log(bench)
    assert log.end == 2 and {line["revision"] for line in lines} == {2}, lines
    assert [item["key"] for item in log.changes[2]["items"]] == [
        "default/a.run@1.0.0", "default/b.run@1.0.0"], "one change"
    for arguments in ((), ("--dry-run",), ("--wait=30",)):
        lines, err = bench.dray("registry", "apply", folder, *arguments)
        assert lines == [] and "nothing to do" in err, err
    assert Log(bench).end == 2

    # What is paused stays so, another order of the keys is no change, and only what differs is written.
    bench.dray("registry", "pause", "b.run@1.0.0")
    write(folder, "b.yml", dict(reversed(b.items())))
    write(folder, "team/a.yaml", [dict(a, policy={"attempts": 5})])
    planned, _ = bench.dray("registry", "apply", folder, "--dry-run")
    assert planned == [{"key": "default/a.run@1.0.0", "change": "update", "diff": [
        {"path": "policy.attempts", "from": 3, "to": 5}]}], planned
    bench.dray("registry", "apply", folder)
    log = Log(bench)
    assert log.route("default/b.run@1.0.0")["state"] == "paused"
    assert [item["key"] for item in log.changes[log.end]["items"]] == ["default/a.run@1.0.0"]

    # Pruning takes out the rest, of one namespace or of all.
    bench.dray("registry", "put", "other/c.run@1.0.0", *PUT_PROBE)
    planned, _ = bench.dray("registry", "apply", folder, "--prune", "--ns", "default", "--dry-run")
    assert [(d["key"], d["change"]) for d in planned] == [("default/probe.run@1.0.0", "remove")], planned
    _, err = bench.dray("registry", "apply", folder, "--ns", "other", code=1)
    assert "is not of namespace other" in err, err
    bench.dray("registry", "apply", folder, "--prune", "--wait=30")
    assert set(bench.routes()) == {"default/a.run@1.0.0", "default/b.run@1.0.0"}

    # All or nothing: a route that no build runs, one that is there twice, a folder without files.
    end = Log(bench).end
    path = write(folder, "bad.yaml", [dict(a, name="new.run"), dict(a, name="exec.run", runtime="exec")])
    _, err = bench.dray("registry", "apply", folder, code=1)
    assert "bad.yaml" in err and "runtime exec is not in this build" in err, err
    write(folder, "bad.yaml", [dict(a, name="new.run"), dict(a, policy={"attempts": 7})])
    _, err = bench.dray("registry", "apply", folder, code=1)
    assert "a.run@1.0.0 stands there twice" in err and "bad.yaml" in err and "team/a.yaml" in err, err
    write(folder, "bad.yaml", [dict(a, name="no/name")])
    for arguments in (("apply", folder), ("put", "-f", path)):
        _, err = bench.dray("registry", *arguments, code=1)
        assert "bad.yaml:1: route: name" in err, err
    os.remove(path)
    empty = os.path.join(bench.folder, "empty")
    os.makedirs(empty)
    bench.dray("registry", "apply", empty, "--prune", code=1)
    assert Log(bench).end == end
    bench.agreed(("one",), end)


def rules_of_a_writer(bench):
    """refuse, override_warn and merge, by the writer; the log has the one rule."""
    for name in ("one", "two"):
        bench.start(name)
    put = ["registry", "put", "a.run@1.0.0", *PUT_PROBE]
    (first,), _ = bench.dray(*put, "--policy", '{"attempts": 3, "timeout_ms": 1000}')
    (second,), _ = bench.dray(*put, "--policy", '{"attempts": 4, "timeout_ms": 1000}', "--note", "theirs")
    base = ["--base", str(first["revision"])]

    # Another key of the route: both changes are in it.
    (merged,), err = bench.dray(*put, *base, "--policy", '{"attempts": 3, "timeout_ms": 2000}',
                                "--on-conflict", "merge", "--note", "mine")
    assert merged["merged"] == second["revision"] and "is merged with yours" in err, (merged, err)
    log = Log(bench)
    assert log.route("default/a.run@1.0.0")["policy"] == {"attempts": 4, "timeout_ms": 2000}
    assert log.changes[log.end]["note"] == f"mine (merged with revision {second['revision']})"

    # The same key: both sides and which key it is; nothing is written.
    (conflict,), err = bench.dray(*put, *base, "--policy", '{"attempts": 9, "timeout_ms": 1000}',
                                  "--on-conflict", "merge", code=1)
    assert conflict["path"] == "policy.attempts" and conflict["present"] == merged["revision"], conflict
    assert conflict["yours"]["policy"]["attempts"] == 9 and conflict["theirs"]["policy"]["attempts"] == 4
    assert "both have changed policy.attempts" in err, err
    for rule in ([], ["--on-conflict", "refuse"]):
        (conflict,), err = bench.dray(*put, *base, *rule, code=1)
        assert conflict["conflict"] and "path" not in conflict, conflict
    assert Log(bench).end == log.end

    # Overridden, with a warning that says whom.
    (over,), err = bench.dray(*put, *base, "--policy", '{"attempts": 9}', "--on-conflict", "override_warn")
    assert over["over"] == merged["revision"] and "is overridden" in err, (over, err)
    log = Log(bench)
    assert log.route("default/a.run@1.0.0")["policy"] == {"attempts": 9}
    assert log.changes[log.end]["note"] == f"(over revision {merged['revision']})"
    bench.dray("registry", "rm", "a.run@1.0.0", "--base", str(over["revision"]), "--on-conflict", "merge")
    (conflict,), _ = bench.dray(*put, "--base", str(over["revision"]), "--on-conflict", "merge", code=1)
    assert conflict["theirs"] is None, "a removal and a change do not merge"
    bench.dray(*put, "--on-conflict", "sometimes", code=2)
    bench.dray(*put, "--force", "--on-conflict", "merge", code=2)

    # Ten at once, each with a key of its own: all of them are in the route.
    bench.dray(*put)
    path = os.path.join(bench.folder, "tag")
    race = []
    (start,), _ = bench.dray("registry", "show", "a.run")
    for n in range(10):
        route = dict(start["route"], tags={f"t{n}": str(n)})
        race.append(bench.popen("registry", "put", "-f", write(bench.folder, f"{path}{n}.yaml", route), "--base",
                                str(start["revision"]), "--on-conflict", "merge"))
    for process in race:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, f"{process.returncode}: {out}{err}"
    log = Log(bench)
    assert log.route("default/a.run@1.0.0")["tags"] == {f"t{n}": str(n) for n in range(10)}
    assert bench.agreed(("one", "two"), log.end) == log.digest()


class Status:
    """Everything that is said on the status topic from now on, by replica."""

    def __init__(self, bench):
        self.client = clients.connect(bench.broker.url)
        self.begun = 0
        self.heard = []
        if self.client.kind == "nats":  # the stream keeps the last record of each only
            self.client.listen("dray.status.>", lambda _, value: self.heard.append(value))
        else:
            self.begun = len(self.client.read("dray.status"))

    def refusals(self):
        """worker -> verdicts by revision, of all records."""
        if self.client.kind != "nats":
            self.heard = [message.value for message in self.client.read("dray.status")][self.begun:]
        seen = {}
        for record in map(msgpack.unpackb, filter(None, self.heard)):
            for refusal in record.get("refusals", []):
                seen.setdefault(record["worker"], {})[refusal["revision"]] = refusal["verdict"]
        return seen

    def close(self):
        self.client.close()


def said(replica, name):
    """The revisions in lines of this id, in their order, and how many more lines were dropped, over 20 in a second."""
    lines = [line for line in replica.log().splitlines() if f"id={name} " in line]
    revisions = [int(found) for line in lines for found in re.findall(r" revision=(\d+)", line)]
    return revisions, sum(int(found) for line in lines for found in re.findall(r" dropped=(\d+)", line))


def fifty_writers(bench):
    """Each change is accepted exactly once or refused, in one order on all replicas; every refusal is seen."""
    for name in ("one", "two", "three"):
        bench.start(name)
    (shared,), _ = bench.dray("registry", "put", "shared.run@1.0.0", *PUT_PROBE, "--wait=30")
    status = Status(bench)
    base = ["--base", str(shared["revision"])]
    rules = [["shared.run@1.0.0", *PUT_PROBE, *base]] * 24
    rules += [["new.run@1.0.0", *PUT_PROBE, "--create"]] * 8
    rules += [[f"own{n}.run@1.0.0", *PUT_PROBE] for n in range(8)]
    rules += [["forced.run@1.0.0", *PUT_PROBE, "--on-conflict", "override_warn"]] * 10
    assert len(rules) == 50
    writers = [bench.popen("registry", "put", *rule, "--note", f"writer-{n}") for n, rule in enumerate(rules)]
    told = {}
    for n, process in enumerate(writers):
        out, err = process.communicate(timeout=240)
        (line,) = map(json.loads, out.splitlines())
        assert process.returncode == (1 if line.get("conflict") else 0), f"{process.returncode}: {out}{err}"
        assert "conflict" in err or process.returncode == 0, err
        told[n] = line["revision"] if process.returncode == 0 else None

    # And many at once that are too late, more than one record of a replica can list.
    client = clients.connect(bench.broker.url)
    client.publish("dray.control", [(None, record("shared.run", 1), None) for _ in range(200)])
    client.close()
    log = Log(bench)
    by_writer = {}
    for revision, change in log.changes.items():
        note = (change.get("note") or "").split(" ")[0]
        if note.startswith("writer-"):
            by_writer.setdefault(int(note[7:]), []).append(revision)
    for n, revision in told.items():
        accepted = [r for r in by_writer.get(n, []) if r in log.accepted]
        assert accepted == ([] if revision is None else [revision]), f"writer {n} was told {revision}: {accepted}"
    won = [n for n, revision in told.items() if revision is not None]
    assert len([n for n in won if n < 24]) == 1 and len([n for n in won if 24 <= n < 32]) == 1, told
    assert len([n for n in won if n >= 32]) == 18, told

    digest = log.digest()
    assert bench.agreed(("one", "two", "three"), log.end) == digest
    refused = set(log.changes) - log.accepted
    assert refused, "somebody was too slow"
    workers.settle_down(lambda: all(set(status.refusals().get(replica.name, ())) >= refused
                                    for replica in bench.replicas), 30, "every refusal on the status topic")
    status.close()
    for replica in bench.status().values():
        assert replica["conflicts"] == len(refused) and replica["refused"] == 0, replica
        assert [r["revision"] for r in replica["refusals"]] == sorted(refused)[-16:], replica
        assert all(r["verdict"] == "conflict" and r["key"] and r["base"] == 1 for r in replica["refusals"]), replica
    history, _ = bench.dray("registry", "history")
    assert {c["revision"] for c in history if c["verdict"] == "conflict"} == refused
    for replica in bench.replicas:
        assert replica.metric("dray_control_conflicts_total") == len(refused)
        assert replica.metric("dray_control_applied_total") == len(log.accepted)
        assert replica.stop() == 0  # then it says how many lines it has not written
        revisions, dropped = said(replica, "CTL-APPLIED")
        assert revisions == sorted(set(revisions) & log.accepted), f"{replica.name}: {revisions}: not in the order"
        conflicts, more = said(replica, "CTL-CONFLICT")
        assert conflicts == sorted(set(conflicts) & refused), f"{replica.name}: {conflicts}"
        assert len(conflicts) + more == len(refused) and len(conflicts) >= 20, f"{replica.name}: {more} more"
        assert len(revisions) + dropped <= len(log.accepted), f"{replica.name}: {dropped} more"


def sha256_of(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def who_has_not(bench):
    """--wait names each replica that cannot run it, and why; status says the same later."""
    text = os.path.join(workers.MODULES, "text.so")
    digest = sha256_of(text)
    folders = {name: os.path.join(bench.folder, f"modules-{name}") for name in ("bare", "other", "broken")}
    bench.start("full")
    for name, folder in folders.items():
        shutil.copytree(workers.MODULES, folder)
        bench.start(name, modules=folder)
    os.remove(os.path.join(folders["bare"], "text.so"))
    with open(os.path.join(folders["other"], "text.so"), "ab") as file:
        file.write(b"\0")
    with open(os.path.join(folders["broken"], "text.so"), "wb") as file:
        file.write(b"this is no module")
    route = {"name": "text.digest", "version": "1.0.0", "runtime": "native", "module": "text.so",
             "handler": "text_digest"}

    def lines(err, name):
        return [line for line in err.splitlines() if line.startswith(f"dray: {name} ")]

    # Loaded, missing, and two that are no such file.
    pinned = write(bench.folder, "pinned.yaml", dict(route, sha256=digest))
    (put,), err = bench.dray("registry", "put", "-f", pinned, "--wait=30", code=1)
    assert not lines(err, "full"), err
    for name, word in (("bare", "is not in the module folder"), ("other", "sha256"), ("broken", "sha256")):
        (line,) = lines(err, name)
        assert "cannot run it: default/text.digest@1.0.0: " in line and word in line, line
    status = bench.status()
    (loaded,) = [module for module in status["full"]["modules"] if module["name"] == "text.so"]
    assert loaded == {"name": "text.so", "sha256": digest, "routes": 1}, status["full"]
    assert all(module["name"] != "text.so" for name in folders for module in status[name]["modules"]), status
    by_key = {line["key"]: line for line in bench.dray("registry", "status", "--routes")[0]}
    assert by_key["default/probe.run@1.0.0"]["able"] == 4, by_key
    digest_route = by_key["default/text.digest@1.0.0"]
    assert (digest_route["live"], digest_route["able"]) == (4, 1), digest_route
    assert {entry["worker"] for entry in digest_route["unable"]} == set(folders), digest_route

    # Without the pin a file that the loader takes is good; by apply and by rollback it is the same wait.
    _, err = bench.dray("registry", "apply", write(bench.folder, "free.yaml", route), "--wait=30", code=1)
    assert lines(err, "bare") and lines(err, "broken") and not lines(err, "other") + lines(err, "full"), err
    _, err = bench.dray("registry", "rollback", str(put["revision"]), "--wait=30", code=1)
    assert lines(err, "other") and "sha256" in lines(err, "other")[0], err

    # So is one that has nothing to write, or something else: what is there already is looked at.
    for arguments in (["rollback", str(put["revision"])], ["apply", pinned]):
        lines_out, err = bench.dray("registry", *arguments, "--wait=30", code=1)
        assert lines_out == [] and "nothing to do" in err, (lines_out, err)
        assert not lines(err, "full") and all(len(lines(err, name)) == 1 for name in folders), err
    both = write(bench.folder, "both.yaml", [dict(route, sha256=digest), dict(workers.PROBE, name="new.run")])
    (wrote,), err = bench.dray("registry", "apply", both, "--wait=30", code=1)
    assert wrote["key"] == "default/new.run@1.0.0" and all(len(lines(err, name)) == 1 for name in folders), err
    _, err = bench.dray("registry", "rollback", str(wrote["revision"]), "new.run@1.0.0", "--wait=30")
    assert not any(lines(err, name) for name in folders), err

    # Built for another signature: nobody runs it.
    wrong = write(bench.folder, "wrong.yaml", dict(route, name="text.wrong", signature="0" * 64))
    _, err = bench.dray("registry", "put", "-f", wrong, "--wait=30", code=1)
    for name in ("full", "other"):
        (line,) = lines(err, name)
        assert "another signature" in line, line
    by_key = {line["key"]: line for line in bench.dray("registry", "status", "--routes")[0]}
    assert by_key["default/text.wrong@1.0.0"]["able"] == 0, by_key

    # A replica that is where the log ends, with other routes than the log leads to.
    assert not any(replica["differs"] for replica in bench.status().values())
    lie = {"v": 1, "worker": "liar", "group": "reg", "state": "ready", "revision": Log(bench).end,
           "digest": "0" * 64, "failed": []}
    client = clients.connect(bench.broker.url)
    topic = "dray.status.liar" if client.kind == "nats" else "dray.status"
    client.publish(topic, [(b"liar", msgpack.packb(lie), None)])
    client.close()
    said, err = bench.dray("registry", "status", code=1)
    assert [replica["worker"] for replica in said if replica["differs"]] == ["liar"], said
    assert "liar is at revision" in err and "not those that the log leads to" in err, err


def never_called(bench):
    """A route that no command has called on any replica is told from one that was called on one of them."""
    bench.start("one")
    bench.start("two")
    bench.dray("registry", "put", "idle.run@1.0.0", *PUT_PROBE)
    bench.dray("registry", "put", "busy.run@1.0.0", *PUT_PROBE, "--wait=30")
    bench.dray("registry", "put", "lost.run@1.0.0", "--module", "none.so", "--handler", "h", "--wait=30", code=1)

    def called():
        return {line["key"].partition("/")[2]: line["called"] for line in bench.dray("registry", "status", "--routes")[0]}

    names = [f"{name}.run@1.0.0" for name in ("probe", "idle", "busy", "lost")]
    assert called() == dict.fromkeys(names, False)
    assert bench.send("busy.run")[0]["status"] == "ok"
    workers.settle_down(lambda: called() == {**dict.fromkeys(names, False), "busy.run@1.0.0": True}, 30, "a call to show")
    idle = [replica["idle"] for replica in bench.status().values()]
    assert sorted(map(len, idle)) == [2, 3] and all("default/idle.run@1.0.0" in keys for keys in idle), idle

    # A change of the route begins anew; more than a replica lists, and nobody knows.
    bench.dray("registry", "put", "busy.run@1.0.0", *PUT_PROBE, "--policy", '{"attempts": 2}', "--wait=30")
    assert called()["busy.run@1.0.0"] is False
    routes = [dict(workers.PROBE, name=f"a.n{n}") for n in range(80)]
    bench.dray("registry", "apply", write(bench.folder, "many.yaml", routes), "--wait=30")
    assert called()["probe.run@1.0.0"] is None and called()["a.n0@1.0.0"] is False
    assert all(replica["idle_all"] == 83 and len(replica["idle"]) == 64 for replica in bench.status().values())


def hot_routes(bench):
    """A route that is called often enough shows as hot, on the replica that was called and in the sum; a quiet one does not."""
    config = bench.configuration()["worker"]
    one = bench.start("one", worker=dict(config, hot_calls=4, hot_window_ms=60000))
    bench.dray("registry", "put", "busy.run@1.0.0", *PUT_PROBE, "--wait=30")
    bench.dray("registry", "put", "idle.run@1.0.0", *PUT_PROBE, "--wait=30")

    def send(times):
        for _ in range(times):
            assert bench.send("busy.run")[0]["status"] == "ok"

    def route(key):
        return {line["key"]: line for line in bench.dray("registry", "status", "--routes")[0]}[f"default/{key}@1.0.0"]

    def called(times):
        workers.settle_down(lambda: route("busy.run")["calls"] == times, 30, f"{times} calls to show")
        assert sum(route("busy.run")["parts"]) == times and route("idle.run")["calls"] == 0
        workers.settle_down(lambda: one.metric("dray_routes_idle") == 2, 30, "the metrics to follow")
        return one.metric("dray_routes_hot")

    send(3)
    assert called(3) == 0 and route("busy.run")["hot"] == 0
    send(1)
    called(4)
    workers.settle_down(lambda: one.metric("dray_routes_hot") == 1, 30, "the metrics to follow")
    assert 'dray_hot_calls{route="default/busy.run@1.0.0"} 4\n' in one.get("/metrics")[1]
    assert one.metric("dray_preloaded_bytes") > 4096
    (replica,) = bench.status().values()
    assert replica["hot_all"] == 1 and replica["heat_window_ms"] == 60000, replica
    (heat,) = replica["heat"]
    assert heat["key"] == "default/busy.run@1.0.0" and heat["calls"] == 4 and heat["hot"], heat

    # A change of the route leaves it as warm as it was, though it was not called since.
    bench.dray("registry", "put", "busy.run@1.0.0", *PUT_PROBE, "--policy", '{"attempts": 2}', "--wait=30")
    line = route("busy.run")
    assert line["hot"] == 1 and line["calls"] == 4 and line["called"] is False, line
    assert " 4 hot" in bench.on_terminal("registry", "status", "--routes") and "LATELY" in bench.on_terminal("registry", "status", "--routes")


def more_than_is_listed(bench):
    """A replica lists 64 routes that fail: of more it says how many, and nobody takes the rest for able."""
    bench.start("one")
    lost = {"runtime": "native", "module": "none.so", "handler": "h", "version": "1.0.0"}
    folder = os.path.join(bench.folder, "lost")
    write(folder, "lost.yaml", [dict(lost, name=f"lost.n{n:02}") for n in range(70)])
    _, err = bench.dray("registry", "apply", folder, "--wait=30", code=1)
    assert "one cannot run it: default/lost.n00@1.0.0" in err and "one: and 62 more routes" in err, err
    (one,) = bench.status().values()
    assert len(one["failed"]) == 64 and one["failed_all"] == 70, one
    listed = {failed["key"] for failed in one["failed"]}
    routes = {line["key"]: line for line in bench.dray("registry", "status", "--routes")[0]}
    for key, line in routes.items():
        is_lost = "/lost." in key
        assert line["able"] == 0, line  # of what is older than the change nothing is known
        assert bool(line["unable"]) == (key in listed) and (line["unknown"] == ["one"]) == (key not in listed), line
        assert line["called"] is (False if key in listed else None), line
        assert is_lost or key == "default/probe.run@1.0.0", key
    shown = bench.on_terminal("registry", "status")
    assert "and 6 more" in shown and "of 7 more it is not known" in shown, shown
    shown = bench.on_terminal("registry", "status", "--routes")
    assert re.search(r"probe.run@1.0.0 +1 +0 to 1 of 1 +[?] ", shown), shown
    bench.dray("registry", "put", "new.run@1.0.0", *PUT_PROBE, "--wait=30")
    routes = {line["key"]: line for line in bench.dray("registry", "status", "--routes")[0]}
    assert routes["default/new.run@1.0.0"]["able"] == 1, "it is younger than what is listed"

    # A replica of an older release, which says neither how many fail nor what is idle.
    client = clients.connect(bench.broker.url)
    topic = "dray.status.old" if client.kind == "nats" else "dray.status"
    end = Log(bench).end
    old = {"v": 1, "worker": "old", "group": "reg", "state": "ready", "revision": end, "failed": []}
    client.publish(topic, [(b"old", msgpack.packb(old), None)])
    client.close()
    assert bench.replicas[0].stop() == 0
    routes = {line["key"]: line for line in bench.dray("registry", "status", "--routes")[0]}
    line = routes["default/new.run@1.0.0"]
    assert (line["live"], line["able"], line["called"]) == (1, 1, None), line
    assert bench.status()["old"]["idle"] is None


def somebody_else_meanwhile(bench):
    """A set that is not as it should be in the end is told, and whom --force has written over."""
    client = clients.connect(bench.broker.url)
    topic = "dray.status.slow" if client.kind == "nats" else "dray.status"

    def slow(revision):
        """A replica that is as far as we want: so a wait is not over before."""
        status = {"v": 1, "worker": "slow", "group": "reg", "state": "ready", "revision": revision, "failed": []}
        client.publish(topic, [(b"slow", msgpack.packb(status), None)])

    bench.dray("registry", "put", "a.run@1.0.0", *PUT_PROBE)
    bench.dray("registry", "put", "b.run@1.0.0", *PUT_PROBE)
    folder = os.path.join(bench.folder, "routes")
    a, b = (dict(workers.PROBE, name=f"{name}.run", policy={"attempts": 3}) for name in "ab")
    write(folder, "a.yaml", [a])
    write(folder, "b.yaml", [dict(workers.PROBE, name="b.run")])
    for command in ("apply", "rollback"):
        before = Log(bench).end
        if command == "rollback":
            bench.dray("registry", "put", "a.run@1.0.0", *PUT_PROBE)
        slow(Log(bench).end)
        process = bench.popen("registry", command, folder if command == "apply" else str(before), "--wait=60")
        wrote = json.loads(process.stdout.readline())
        assert wrote["key"] == "default/a.run@1.0.0", wrote
        client.publish("dray.control", [(None, record("b.run", Log(bench).present["default/b.run@1.0.0"][0], {
            "author": "eve"}, weight=len(command)), None)])
        slow(Log(bench).end)
        out, err = process.communicate(timeout=90)
        assert process.returncode == 1 and out == "", (process.returncode, out, err)
        assert "default/b.run@1.0.0 was changed by somebody else meanwhile" in err and "a.run" not in err, err
    client.close()

    # Writers at once: whoever wrote over somebody says over whom, as his note does.
    seen = 0
    for turn in range(10):
        begun = Log(bench).end
        files = [write(bench.folder, f"force{n}.yaml", [dict(a, weight=1 + n + 10 * turn), dict(b, weight=1 + n)])
                 for n in range(6)]
        race = [bench.popen("registry", "apply", path, "--force", "--note", f"w{n}") for n, path in enumerate(files)]
        said = {}
        for n, process in enumerate(race):
            out, err = process.communicate(timeout=240)
            assert process.returncode in (0, 1), err
            for line in map(json.loads, out.splitlines()):
                said.setdefault(f"w{n}", []).append(line.get("over"))
        log = Log(bench)
        for revision in log.accepted:
            writer, _, over = (log.changes[revision].get("note") or "").partition(" ")
            if revision > begun and over:
                assert f"(over revision {max(filter(None, said[writer]))})" == over, (revision, over, said)
                seen += 1
        if seen >= 2:
            break
    assert seen, "nobody was too slow in ten races"


def who_hangs(bench):
    """A replica that is stopped in its tracks is named, also when it has been silent for too long to be live."""
    bench.start("moves")
    stalled = bench.start("stalled")
    leaves = bench.start("leaves")
    bench.agreed(("moves", "stalled", "leaves"), 1)
    assert leaves.stop() == 0
    stalled.process.send_signal(signal.SIGSTOP)
    try:
        (put,), err = bench.dray("registry", "put", "hang.run@1.0.0", *PUT_PROBE, "--wait", code=75)
        assert "stalled has been silent for" in err and "at revision 1, not yet at 2" in err, err
        assert "moves" not in err and "leaves" not in err, err
    finally:
        stalled.process.send_signal(signal.SIGCONT)
    bench.agreed(("moves", "stalled"), put["revision"])
    _, err = bench.dray("registry", "rollback", "1", "--wait")
    assert "stalled" not in err, err


def log_without_its_beginning(bench):
    """A control topic that has lost records: nothing is changed by it, and status shows the replicas all the same."""
    bench.start("one")
    (put,), _ = bench.dray("registry", "put", "cut.run@1.0.0", *PUT_PROBE, "--wait=30")
    client = clients.connect(bench.broker.url)
    client.cut("dray.control", 1)
    client.close()
    for arguments in (["history"], ["rollback", "1"], ["put", "more.run@1.0.0", *PUT_PROBE], ["status", "--routes"]):
        _, err = bench.dray("registry", *arguments, code=1)
        assert "its first records are gone" in err, err
    (one,), err = bench.dray("registry", "status", code=1)
    assert one["worker"] == "one" and one["revision"] == put["revision"], one
    assert "its first records are gone" in err, err


# What the replica lists and the command line makes of it; the broker has no part in that.
more_than_is_listed.only = "nats"

CASES = (history_and_rollback, files_of_git, rules_of_a_writer, fifty_writers, who_has_not, never_called, hot_routes,
         more_than_is_listed, somebody_else_meanwhile, who_hangs, log_without_its_beginning)


if __name__ == "__main__":
    sys.exit(registry_bench.main(__doc__, CASES))

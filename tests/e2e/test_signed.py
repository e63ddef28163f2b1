#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""Signed control records: what is signed counts, and every attack is refused by every replica alike.

Records are made and judged here by PyNaCl and the documented rule; nothing is shared with dray.

test_signed.py --bus nats|kafka[:VERSION] [--only CASE]
"""

import json
import os
import sys
import time

import msgpack
import nacl.exceptions
import nacl.signing

import clients
import registry_bench
import workers
from registry_bench import PUT_PROBE

TOPIC = "dray.control"
AGE_MS = 60000


class Key:
    """A key, its file, and the records that it signs."""

    def __init__(self, folder, kid, namespaces, signing=None, **limits):
        self.kid = kid
        self.signing = signing or nacl.signing.SigningKey.generate()
        self.signer = {"kid": kid, "key": bytes(self.signing.verify_key).hex(), "namespaces": namespaces, **limits}
        self.file = os.path.join(folder, f"{kid}.key")
        self.seq = 0  # our own records; dray's numbers are times, far above
        with open(os.open(self.file, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as file:
            file.write(f"kid: {kid}\nsecret: {bytes(self.signing).hex()}\n")

    def record(self, name, base=0, signing=None, kid=None, cut=64, module="probe.so", **change):
        """The bytes of a record that puts a route; what is given replaces what would be said."""
        self.seq += 1
        now = int(time.time() * 1000)
        ns = change.pop("ns", "default")
        said = {"kind": "routes", "cluster": "blue", "topic": TOPIC, "author": "test", "ts": now, "note": "",
                "issuer": self.kid, "seq": self.seq, "expires": now + AGE_MS}
        said.update(change)
        said["items"] = [{"key": f"{ns}/{name}@1.0.0", "base": base, "route": {
            "ns": ns, "name": name, "version": "1.0.0", "runtime": "native", "module": module, "handler": "probe"}}]
        packed = msgpack.packb({key: value for key, value in said.items() if value is not None})
        signature = (signing or self.signing).sign(packed).signature
        return msgpack.packb({"v": 1, "change": packed, "kid": kid or self.kid, "sig": signature[:cut]})


def control(*keys, **more):
    return {"signers": [key.signer for key in keys], "max_age_ms": AGE_MS, **more}


def use(bench, **section):
    """The configuration of the command line from here on."""
    path = os.path.join(bench.folder, "cli.yaml")
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"bus": bench.broker.url, "group": "reg", "topics": registry_bench.TOPICS, **section}, file)
    os.environ["DRAY_CONFIG"] = path


def publish(client, value):
    client.publish(TOPIC, [(None, value, None)])


def stored(bench):
    client = clients.connect(bench.broker.url)
    values = [message.value for message in client.read(TOPIC)]
    client.close()
    return values


def refused_of(replica):
    """Revision -> reason, from what the replica has logged."""
    return [line for line in replica.log().splitlines() if "CTL-UNTRUSTED" in line]


def every_replica_refuses_the_same(bench):
    """Attack after attack: none changes a route, all replicas agree, also one that reads it all much later."""
    ann, ben = Key(bench.folder, "ann", ["*"]), Key(bench.folder, "ben", ["acme"])
    eve = nacl.signing.SigningKey.generate()
    section = control(ann, ben)
    use(bench, cluster="blue", control=section)
    for name in ("one", "two"):
        bench.start(name, cluster="blue", control=section)
        assert "CTL-SEED-UNSIGNED" in bench.replicas[-1].log(), "it has no key to seed with"
    client = clients.connect(bench.broker.url)

    soon = int(time.time() * 1000) + 3000
    first = ann.record("a.run", expires=soon)  # in time now, and long past for who reads it later
    publish(client, first)
    publish(client, ben.record("a.run", ns="acme"))
    sent = stored(bench)
    assert len(sent) == 2, sent
    good = bench.agreed(("one", "two"), 2)
    assert set(bench.routes()) == {"default/a.run@1.0.0", "acme/a.run@1.0.0"}

    unsigned = msgpack.packb({"v": 1, "change": msgpack.unpackb(ann.record("b.run"))["change"]})
    changed = bytearray(ann.record("b.run"))
    changed[changed.index(b"b.run")] ^= 1
    past = int(time.time() * 1000) - 2 * AGE_MS
    attacks = [
        (unsigned, "it is not signed"),
        (ann.record("b.run", signing=eve), "its signature does not fit kid ann"),
        (bytes(changed), "its signature does not fit kid ann"),
        (ann.record("b.run", signing=eve, kid="eve"), "kid eve is none of control.signers"),
        (ann.record("b.run", kid="ben"), "its signature does not fit kid ben"),
        (ben.record("b.run", ns="acme", issuer="ann"), "its issuer is not its kid"),
        (first, "its sequence number 1 is not above"),
        (ann.record("b.run", seq=1), "its sequence number 1 is not above"),
        (ann.record("b.run", topic="another"), "topic is another one"),
        (ann.record("b.run", cluster="green"), "cluster is another one"),
        (ann.record("b.run", cluster=None, topic=None), "of another cluster or topic, or does not say"),
        (ann.record("b.run", ts=past, expires=past + AGE_MS), "and had expired at"),
        (ann.record("b.run", ts=past + 4 * AGE_MS, expires=past + 5 * AGE_MS), "and is issued at"),
        (ann.record("b.run", expires=soon + 100 * AGE_MS), "valid for too long"),
        (ann.record("b.run", ts=None, expires=None), "when it was issued"),
        (ben.record("b.run"), "kid ben may not change namespace default"),
    ]
    for value, _ in attacks:
        publish(client, value)
    local = ["../modules/probe.so", "/tmp/probe.so", "sub/probe.so", "http://h/probe.so", ".probe.so"]
    for module in local:  # what is signed names files of the folder, and nothing else
        publish(client, ann.record("b.run", module=module))
    publish(client, ann.record("b.run", cut=63))  # no record at all
    publish(client, ann.record("c.run"))  # and the honest writer goes on
    client.close()

    end = 2 + len(attacks) + len(local) + 2
    digest = bench.agreed(("one", "two"), end)
    assert digest != good, "the last change counts"
    assert set(bench.routes()) == {"default/a.run@1.0.0", "acme/a.run@1.0.0", "default/c.run@1.0.0"}
    history, _ = bench.dray("registry", "history")
    by_revision = {change["revision"]: change for change in history}
    for revision, (_, reason) in enumerate(attacks, 3):
        assert by_revision[revision]["verdict"] == "refused", by_revision[revision]
        assert reason in by_revision[revision]["reason"], (reason, by_revision[revision])
    for revision in range(3 + len(attacks), end - 1):
        assert "file name" in by_revision[revision]["reason"], by_revision[revision]
    for replica in bench.replicas:
        assert replica.metric("dray_control_untrusted_total") == len(attacks), replica.name
        assert replica.metric("dray_control_refused_total") == len(attacks) + len(local) + 1, replica.name
        lines = refused_of(replica)
        assert len(lines) == len(attacks), lines
        for (_, reason), line in zip(attacks, lines):
            assert reason in line, (reason, line)
    refusals = bench.status()["one"]["refusals"]
    assert len(refusals) == 16 and any("ben may not change namespace default" in refusal.get("reason", "") for refusal in refusals), refusals

    # Long after the first record has expired a replica reads all of it for the first time, another again.
    workers.wait_for(lambda: time.time() * 1000 > soon + 1000, 30, "the first record to expire")
    bench.replicas[0].kill()
    bench.start("three", cluster="blue", control=section)
    bench.replicas[1].stop()
    bench.replicas[1].start().wait_ready()
    assert bench.agreed(("two", "three"), end) == digest
    found, _ = bench.dray("keys", "verify", code=1)
    assert [record["verdict"] for record in found] == [
        "trusted", "trusted", *["untrusted"] * len(attacks), *["trusted"] * len(local), "invalid", "trusted"], found
    assert found[0]["kid"] == "ann" and found[0]["seq"] == 1 and "expires" in found[0], found[0]

    # Who trusts another set of signers comes to other routes, and status shows it.
    odd = control(ann, Key(bench.folder, "eve", ["*"], eve))
    bench.start("odd", cluster="blue", control=odd)
    process = bench.popen("registry", "status")
    out, err = process.communicate(timeout=90)
    replicas = {replica["worker"]: replica for replica in map(json.loads, out.splitlines())}
    assert process.returncode == 1 and replicas["odd"]["digest"] != replicas["two"]["digest"], (out, err)
    assert "odd is at revision" in err and "it trusts other control.signers" in err and "two" not in err, err
    assert replicas["odd"]["signers"] != replicas["two"]["signers"] == replicas["three"]["signers"]


def check(record, signer, last):
    """An independent look at a record that dray has signed; returns its change."""
    outer = msgpack.unpackb(record)
    assert outer["kid"] == signer["kid"], outer
    nacl.signing.VerifyKey(bytes.fromhex(signer["key"])).verify(outer["change"], outer["sig"])
    change = msgpack.unpackb(outer["change"])
    assert (change["cluster"], change["topic"], change["issuer"]) == ("blue", TOPIC, signer["kid"]), change
    assert change["seq"] > last and change["expires"] == change["ts"] + AGE_MS, change
    try:
        nacl.signing.VerifyKey(bytes.fromhex(signer["key"])).verify(outer["change"] + b"\0", outer["sig"])
        raise AssertionError("the checker checks nothing")
    except nacl.exceptions.BadSignatureError:
        return change


def writers_sign(bench):
    """dray keys, and every command that writes: signed, or refused with 77 and what to do."""
    path = os.path.join(bench.folder, "cli.key")
    (made,), _ = bench.dray("keys", "new", "--kid", "cli", "--out", path)
    assert made["kid"] == "cli" and made["file"] == path and len(made["key"]) == 64, made
    assert os.stat(path).st_mode & 0o777 == 0o600
    _, err = bench.dray("keys", "new", "--kid", "cli", "--out", path, code=1)
    assert "there already" in err, err
    assert bench.dray("keys", "show", path)[0] == [made]
    with open(path, encoding="ascii") as file:
        secret = file.read().split("secret: ")[1].strip()
    signer = {"kid": "cli", "key": made["key"], "namespaces": "*"}
    ben = Key(bench.folder, "ben", ["acme"])
    eve = Key(bench.folder, "eve", ["*"])
    section = {"signers": [signer, ben.signer], "max_age_ms": AGE_MS}

    # The seed is signed by the replica that has the key.
    bench.start("one", cluster="blue", control={**section, "key_file": path})
    bench.start("two", cluster="blue", control=section)
    use(bench, cluster="blue", control={**section, "key_file": path})
    bench.dray("registry", "put", "a.run@1.0.0", *PUT_PROBE, "--wait=30")
    bench.dray("registry", "put", "a.run@1.0.0", *PUT_PROBE, "--weight", "5", "--wait=30")
    bench.dray("registry", "pause", "a.run", "--wait=30")
    bench.dray("schedule", "put", "daily", "probe.run", "--cron", "@daily", "--wait=30")
    bench.dray("schedule", "cancel", "someone", "--wait=30")
    last = 0
    for record in stored(bench):
        last = check(record, signer, last)["seq"]

    # Four at once with one key: whoever comes second signs again.
    running = [bench.popen("registry", "put", f"w{n}.run@1.0.0", *PUT_PROBE) for n in range(4)]
    for process in running:
        out, err = process.communicate(timeout=90)
        assert process.returncode == 0, (out, err)
    assert {f"default/w{n}.run@1.0.0" for n in range(4)} < set(bench.routes())
    found, _ = bench.dray("keys", "verify", code=None)
    assert {record["verdict"] for record in found} <= {"trusted", "untrusted"}, found
    assert all("sequence number" in record["reason"] for record in found if record["verdict"] == "untrusted"), found

    # The doctor looks at the key, and warns of a cluster without a name.
    def signing(code):
        found, _ = bench.dray("doctor", "--json", code=code)
        return [(line["status"], line["text"]) for line in found if line["check"] == "signing"]

    assert [mark for mark, _ in signing(None)] == ["ok", "ok"], signing(None)
    use(bench, control={**section, "key_file": eve.file})
    assert [mark for mark, _ in signing(78)] == ["ok", "warn", "fail"], signing(78)
    use(bench, cluster="blue", control={**section, "key_file": path, "signed_from": 1000})
    assert [mark for mark, _ in signing(None)] == ["ok", "warn", "ok"], signing(None)
    assert f"ends at revision {len(stored(bench))} " in signing(None)[1][1], signing(None)
    assert "until revision 999;" in signing(None)[1][1], signing(None)
    use(bench, cluster="blue", control={**section, "key_file": path, "signed_from": len(stored(bench)) + 1})
    assert [mark for mark, _ in signing(None)] == ["ok", "ok"], signing(None)
    use(bench, cluster="blue", control={**section, "key_file": path})

    # Without a key, with nobody's key, with a key that others may read: nothing is written.
    end = len(stored(bench))
    put = ("registry", "put", "z.run@1.0.0", *PUT_PROBE)
    os.chmod(path, 0o640)
    _, err = bench.dray(*put, code=77)
    assert "chmod 600" in err and secret not in err, err
    os.chmod(path, 0o600)
    use(bench, cluster="blue", control=section)
    for command in (put, ("registry", "rm", "a.run"), ("schedule", "rm", "daily"), ("schedule", "cancel", "x")):
        _, err = bench.dray(*command, code=77)
        assert "dray keys new" in err, err
    use(bench, cluster="blue", control={**section, "key_file": eve.file})
    _, err = bench.dray(*put, code=77)
    assert "none of control.signers" in err, err
    assert len(stored(bench)) == end, "a record that would be refused was written"

    # What may be written only elsewhere is not written either; what somebody without the rule writes is refused.
    use(bench, cluster="blue", control={**section, "key_file": ben.file})
    _, err = bench.dray(*put, code=77)
    assert "ben may not change namespace default" in err and "not written" in err, err
    _, err = bench.dray("schedule", "cancel", "x", code=77)
    assert "signer of all" in err, err
    assert len(stored(bench)) == end, "a record that would be refused was written"
    client = clients.connect(bench.broker.url)
    publish(client, ben.record("z.run"))
    client.close()
    bench.dray("registry", "put", "acme/z.run@1.0.0", *PUT_PROBE, "--wait=30")
    use(bench, cluster="blue", control=section)
    assert "default/z.run@1.0.0" not in bench.routes() and "acme/z.run@1.0.0" in bench.routes()
    value = stored(bench)[end]
    file = os.path.join(bench.folder, "record")
    with open(file, "wb") as out:
        out.write(value)
    (found,), _ = bench.dray("keys", "verify", file, code=1)
    assert found["verdict"] == "untrusted" and found["kid"] == "ben" and "namespace default" in found["reason"], found
    for replica in bench.replicas:
        assert secret not in replica.log()


def keys_come_and_go(bench):
    """Signing begins on a log that has a history, through a transition; a key is replaced; routes stay the same."""
    old, new = Key(bench.folder, "old", ["*"]), Key(bench.folder, "new", ["*"])
    use(bench, cluster="blue")
    bench.start("one", cluster="blue")
    bench.start("two", cluster="blue")
    (before,), _ = bench.dray("registry", "put", "a.run@1.0.0", *PUT_PROBE, "--wait=30")

    def restart(name, section):
        replica = next(replica for replica in bench.replicas if replica.name == name)
        replica.stop()
        bench.replicas.remove(replica)
        bench.start(name, cluster="blue", control=section)

    # Replica by replica: unsigned ones are still taken, signed ones already checked.
    loose = control(old, require_signature=False)
    restart("one", loose)
    bench.dray("registry", "put", "b.run@1.0.0", *PUT_PROBE, "--wait=30")
    restart("two", loose)
    use(bench, cluster="blue", control={**loose, "key_file": old.file})
    (signed,), _ = bench.dray("registry", "put", "c.run@1.0.0", *PUT_PROBE, "--wait=30")
    digest = bench.agreed(("one", "two"), signed["revision"])
    assert "CTL-UNSIGNED" in bench.replicas[0].log(), "it says what it takes"

    # From the next revision on all have to be.
    strict = control(old, signed_from=signed["revision"] + 1)
    use(bench, cluster="blue", control=strict)
    restart("one", strict)
    restart("two", strict)
    assert bench.agreed(("one", "two"), signed["revision"]) == digest
    client = clients.connect(bench.broker.url)
    bare = msgpack.packb({"v": 1, "change": msgpack.unpackb(old.record("d.run"))["change"]})
    publish(client, bare)
    client.close()
    end = signed["revision"] + 1
    assert bench.agreed(("one", "two"), end) == digest

    # The old key ends there; what it has signed stays, what it signs now does not.
    old.signer["until"], new.signer["from"] = end, end + 1
    rotated = control(old, new, signed_from=signed["revision"] + 1)
    use(bench, cluster="blue", control=rotated)
    restart("one", rotated)
    restart("two", rotated)
    assert bench.agreed(("one", "two"), end) == digest
    use(bench, cluster="blue", control={**rotated, "key_file": old.file})
    _, err = bench.dray("registry", "put", "e.run@1.0.0", *PUT_PROBE, code=77)
    assert "kid old may sign revisions from 1 to" in err, err
    use(bench, cluster="blue", control={**rotated, "key_file": new.file})
    (after,), _ = bench.dray("registry", "put", "e.run@1.0.0", *PUT_PROBE, "--wait=30")
    assert bench.agreed(("one", "two"), after["revision"]) != digest
    assert set(bench.routes()) == {f"default/{name}.run@1.0.0" for name in ("probe", "a", "b", "c", "e")}
    assert before["revision"] < signed["revision"]


def a_cluster_gets_its_name_with_signing(bench):
    """A log that says "default" all over keeps its routes when signing begins and the cluster gets a name."""
    ann = Key(bench.folder, "ann", ["*"])
    use(bench)
    bench.start("one")
    (before,), _ = bench.dray("registry", "put", "a.run@1.0.0", *PUT_PROBE, "--wait=30")
    digest = bench.agreed(("one",), before["revision"])
    bench.replicas.pop().stop()

    # What would become of it is seen before anything is restarted.
    use(bench, cluster="blue", control=control(ann))
    found, _ = bench.dray("keys", "verify", code=1)
    assert {record["verdict"] for record in found} == {"untrusted"}, found
    section = control(ann, signed_from=before["revision"] + 1)
    use(bench, cluster="blue", control={**section, "key_file": ann.file})
    found, _ = bench.dray("keys", "verify")
    assert {record["verdict"] for record in found} == {"unsigned"}, found

    bench.start("two", cluster="blue", control=section)
    assert bench.agreed(("two",), before["revision"]) == digest
    bench.dray("registry", "put", "b.run@1.0.0", *PUT_PROBE, "--wait=30")
    assert set(bench.routes()) == {f"default/{name}.run@1.0.0" for name in ("probe", "a", "b")}


def the_stamp_is_the_brokers(bench):
    """Kafka: where writers stamp their records themselves nothing that is signed counts, and it is said how to mend."""
    if bench.broker.url.startswith("nats"):
        return
    import confluent_kafka.admin as admin  # pylint: disable=import-outside-toplevel
    ann = Key(bench.folder, "ann", ["*"])
    section = control(ann)
    client = clients.connect(bench.broker.url)
    servers = bench.broker.url.removeprefix("kafka://")
    operator = admin.AdminClient({"bootstrap.servers": servers})
    kept = {"retention.ms": "-1", "retention.bytes": "-1", "cleanup.policy": "delete"}
    operator.create_topics([admin.NewTopic(TOPIC, 1, 1, config=kept)])[TOPIC].result(60)
    bench.start("one", cluster="blue", control=section)
    told = [line for line in bench.replicas[0].log().splitlines() if "KAFKA-TOPIC" in line and TOPIC in line]
    assert len(told) == 1 and "message.timestamp.type=LogAppendTime" in told[0], told

    def warned():
        found, _ = bench.dray("doctor", "--json", code=None)
        return [line["text"] for line in found if line["status"] == "warn" and "nothing signed counts" in line["text"]]

    use(bench, cluster="blue")
    assert warned() == [], "without signers nobody looks at it"
    use(bench, cluster="blue", control={**section, "key_file": ann.file})
    assert len(warned()) == 1, warned()
    _, err = bench.dray("registry", "put", "a.run@1.0.0", *PUT_PROBE, code=77)
    assert "message.timestamp.type=LogAppendTime" in err, err
    entry = admin.ConfigEntry("message.timestamp.type", "LogAppendTime",
                              incremental_operation=admin.AlterConfigOpType.SET)
    resource = admin.ConfigResource(admin.ConfigResource.Type.TOPIC, TOPIC, incremental_configs=[entry])
    for done in operator.incremental_alter_configs([resource]).values():
        done.result(60)
    bench.dray("registry", "put", "a.run@1.0.0", *PUT_PROBE, "--wait=30")
    assert warned() == []
    client.close()


if __name__ == "__main__":
    sys.exit(registry_bench.main(__doc__, [every_replica_refuses_the_same, writers_sign, keys_come_and_go,
                                           a_cluster_gets_its_name_with_signing, the_stamp_is_the_brokers]))

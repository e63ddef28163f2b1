#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""The command line as a user meets it, wrong inputs included, against a real broker.

test_cli.py --bus nats|kafka[:VERSION] [case...]
"""

import argparse
import base64
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import time
import traceback

import msgpack

import clients
import workers
from workers import DRAY, brokers

ORDERS = {"name": "text.digest", "version": "1.0.0", "runtime": "native", "module": "text.so",
          "handler": "text_digest"}


class Said:
    """One finished invocation."""

    def __init__(self, process):
        self.code = process.returncode
        self.out = process.stdout.decode()
        self.err = process.stderr.decode()
        self.lines = self.out.splitlines()

    def json(self):
        return [json.loads(line) for line in self.lines]

    def __repr__(self):
        return f"code {self.code}\n--- out\n{self.out}--- err\n{self.err}"


class Scene:
    """A broker, a folder, and how dray is called there."""

    def __init__(self, folder, broker, client):
        self.folder, self.broker, self.client = folder, broker, client
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("DRAY_")}
        self.env["DRAY_BUS"] = broker.url
        self.env["DRAY_AUDIT_LOG"] = os.path.join(self.folder, "audit.log")  # audit.so does not open without
        self.worker = None

    def dray(self, *arguments, code=0, stdin=None, env=None, timeout_s=60):
        stdin = stdin.encode() if isinstance(stdin, str) else stdin
        said = Said(subprocess.run([DRAY, *arguments], input=stdin if stdin is not None else b"",
                                   capture_output=True, timeout=timeout_s, check=False, cwd=self.folder,
                                   env={**self.env, **(env or {})}))
        if code is not None:
            assert said.code == code, f"dray {' '.join(arguments)[:200]}\nwants code {code}: {said}"
        return said

    def on_terminal(self, *arguments, code=0, env=None):
        """Runs dray on a terminal of its own; returns all that it shows there."""
        master, slave = pty.openpty()
        shown = b""
        with subprocess.Popen([DRAY, *arguments], stdin=subprocess.DEVNULL, stdout=slave, stderr=slave,
                              cwd=self.folder, env={**self.env, "TERM": "xterm", **(env or {})}) as process:
            os.close(slave)
            while True:
                try:
                    part = os.read(master, 65536)
                except OSError:  # EIO: nobody has the other end any more
                    break
                if not part:
                    break
                shown += part
            os.close(master)
            assert process.wait(60) == code, f"dray {' '.join(arguments)}: {process.returncode}\n{shown!r}"
        return shown.decode()

    def messages(self, topic, count):
        """What a topic holds, once it is at least so many."""
        def look():
            try:
                found = self.client.read(topic)
            except Exception as error:  # pylint: disable=broad-except
                print(f"      {topic}: not yet: {error}")  # a new topic's leader is not known everywhere
                return None
            return found if len(found) >= count else None
        return brokers.wait_for(look, 30, f"{count} messages in {topic}", 0.2)

    def start_worker(self, name="one", env=None, topic="served", **worker):
        config = workers.configuration(self.broker.url, "cli", {"commands": topic}, **worker)
        config["routes"].append(ORDERS)
        replica = workers.Worker(self.folder, name, config, dict(self.env, **(env or {})))
        return replica.start().wait_ready()


CASES = []


def case(function):
    CASES.append(function)
    return function


# --- send, nobody serving ---------------------------------------------------------------------------

@case
def a_command_is_stored_as_it_was_asked_for(scene):
    said = scene.dray(
        "send", "order.create", "--topic", "asked", "--key", "käse", "--ns", "shop", "--cmd-version", "^1.2",
        "--tag", "region=eu", "--tag", "tier=1", "--meta", "user=42", "--deadline", "1h", "--delay", "90s",
        "--reply-to", "results.mine", "--payload",
        '{"big":18446744073709551615,"neg":-5,"f":2.5,"bin":{"$bin":"AAH/"},"nil":null,"deep":[[{}]]}')
    assert re.fullmatch(r"[0-9a-f]{32}\n", said.out), said
    stored = scene.messages("asked", 1)[0]
    got = msgpack.unpackb(stored.value)
    now = time.time() * 1000
    assert stored.key == "käse".encode()
    assert got["v"] == 1 and got["id"].hex() == said.lines[0] and got["cmd"] == "order.create"
    assert got["id"][6] >> 4 == 7 and got["id"][8] >> 6 == 2, "a UUID of version 7"
    assert abs(int.from_bytes(got["id"][:6], "big") - now) < 60000
    assert (got["ns"], got["ver"], got["key"]) == ("shop", "^1.2", "käse")
    assert got["tags"] == {"region": "eu", "tier": "1"} and got["meta"] == {"user": "42"}
    assert abs(got["ts"] - now) < 60000
    assert got["deadline"] - got["ts"] == 3600000 and got["not_before"] - got["ts"] == 90000
    assert got["reply_to"] == "results.mine"
    assert got["payload"] == {"big": 2**64 - 1, "neg": -5, "f": 2.5, "bin": b"\0\1\xff", "nil": None,
                              "deep": [[{}]]}


@case
def the_position_is_told_in_json(scene):
    said = scene.dray("send", "a", "--topic", "positions", "--json").json()[0]
    position = scene.messages("positions", 1)[0].position
    if scene.client.kind == "kafka":
        assert said == {"id": said["id"], "topic": "positions", "partition": position[0],
                        "offset": position[1]}
    else:
        assert said == {"id": said["id"], "topic": "positions", "sequence": position}


@case
def every_line_of_a_file_is_one_payload(scene):
    path = os.path.join(scene.folder, "lines.json")
    with open(path, "w", encoding="utf-8") as file:
        file.write('{"n":1}\n\n  \r\n[2]\r\n"three"')
    for arguments, stdin in ((["-f", path], None), (["-"], open(path, "rb").read())):
        topic = "lines" + arguments[0].strip("-")
        said = scene.dray("send", "a", "--topic", topic, "--key", "k", *arguments, stdin=stdin)
        assert len(said.lines) == 3
        payloads = [msgpack.unpackb(m.value)["payload"] for m in scene.messages(topic, 3)]
        assert payloads == [{"n": 1}, [2], "three"]


@case
def a_bad_line_stops_there_and_is_named(scene):
    said = scene.dray("send", "a", "--topic", "badline", "-", stdin='1\n{bad}\n3\n', code=1)
    assert len(said.lines) == 1 and "standard input:2: " in said.err, said
    assert len(scene.messages("badline", 1)) == 1


@case
def lines_of_a_slow_pipe_are_sent_as_they_come(scene):
    with subprocess.Popen([DRAY, "send", "a", "--topic", "slow", "-"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, cwd=scene.folder, env=scene.env) as process:
        for n in range(3):
            process.stdin.write(b"%d\n" % n)
            process.stdin.flush()
            assert len(process.stdout.readline()) == 33, "stored before the next line comes"
        process.stdin.close()
        assert process.wait(30) == 0


@case
def raw_bytes_travel_unchanged(scene):
    sound = msgpack.packb({"v": 1, "id": "raw-1", "cmd": "a", "key": b"\xff\0", "zzz": [1]})
    for value in (b"\xc1 oops", sound, b"\0" * 100):
        said = scene.dray("send", "--raw", "--topic", "raw", "-", stdin=value)
        assert said.out == ("raw-1\n" if value is sound else "-\n")
    stored = scene.messages("raw", 3)
    assert sorted(m.value for m in stored) == sorted([b"\xc1 oops", sound, b"\0" * 100])
    if scene.client.kind == "kafka":
        assert [m.key for m in stored if m.value == sound] == [b"\xff\0"], "the broker's key is the envelope's"


@case
def count_and_rate_are_kept(scene):
    begin = time.monotonic()
    said = scene.dray("send", "a", "--topic", "rated", "--count", "40", "--rate", "20", "--payload", "7")
    took = time.monotonic() - begin
    assert len(set(said.lines)) == 40, "each has an id of its own"
    assert 1.8 < took < 10, f"39 pauses of 50 ms took {took}"
    assert len(scene.messages("rated", 40)) == 40
    many = scene.dray("send", "a", "--topic", "many", "--count", "20000")
    assert len(set(many.lines)) == 20000
    assert len(scene.messages("many", 20000)) == 20000


@case
def what_no_worker_would_take_is_not_sent(scene):
    for arguments, stdin, code, text in (
            (["a", "-"], json.dumps("x" * 1040000), 1, "16 KiB"),
            (["a", "--payload", "[" * 40 + "]" * 40], None, 2, "JSON"),
            (["a", "--payload", '{"a":1,"a":2}'], None, 2, "JSON"),
            (["a", "--payload", "{"], None, 2, "JSON"),
            (["a" * 300], None, 2, "cmd"),
            ([""], None, 2, "cmd")):
        said = scene.dray("send", "--topic", "refused", *arguments, stdin=stdin, code=None)
        assert said.code == code and text in said.err and said.out == "", (arguments[0][:10], said)
    assert not scene.client.read("refused")


@case
def waiting_in_vain_ends_with_75(scene):
    begin = time.monotonic()
    said = scene.dray("send", "a", "--topic", "unserved", "--wait=1.5", code=75)
    assert 1.4 < time.monotonic() - begin < 15
    assert "within 1.5 s" in said.err and "may still run" in said.err and said.out == ""


@case
def an_unreachable_broker_is_69(scene):
    for url in (f"nats://127.0.0.1:{brokers.free_port()}", f"kafka://127.0.0.1:{brokers.free_port()}"):
        said = scene.dray("send", "a", "--bus", url.replace("nats://", "nats://me:pass@"), code=69)
        assert said.err.startswith(f"dray: {url} cannot be reached: "), "one sentence, and no log before it"
        assert "is `bus` (or --bus) its address?" in said.err and "pass" not in said.err, said


@case
def a_wrong_configuration_is_78(scene):
    path = os.path.join(scene.folder, "wrong.yaml")
    with open(path, "w", encoding="utf-8") as file:
        file.write("group: a\nworker:\n  lane: 2\n")
    for command in (["send", "a"], ["worker"], ["doctor"]):
        said = scene.dray(*command, "-c", path, code=78)
        assert f'{path}:3: unknown key "lane"; did you mean "lanes"?' in said.out + said.err, said
    said = scene.dray("worker", "--set", "worker.create_topics=false", "--group", "nothere",
                      "--topic", "not.there", "--set", "admin.listen=127.0.0.1:0", code=78)
    assert "--fix" in said.err and "worker.create_topics" in said.err, said
    said = scene.dray("worker", "--bus", "nats://127.0.0.1:1", "--set", "worker.delivery=exactly_once",
                      code=78)
    assert "exactly_once is not possible on NATS" in said.err
    for section, line, text in (
            ("kafka: {linger.msx: 1}", 2, 'did you mean "linger.ms"?'), ("nats: {bogus: 1}", 2, '"bogus"'),
            ("kafka:\n  acks: 1", 3, "is refused: an outcome counts as stored")):
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"group: a\n{section}\n")
        for command in (["send", "a"], ["worker"], ["doctor"], ["dlq", "ls"], ["registry", "ls"]):
            said = scene.dray(*command, "-c", path, code=78)
            assert f"{path}:{line}: " in said.out + said.err and text in said.out + said.err, said
    two = ["--set", "nats.creds=a", "--set", "nats.nkey=b", "--bus", "nats://127.0.0.1:1"]
    said = scene.dray("worker", "--set", "admin.listen=127.0.0.1:0", *two, code=78)
    assert "give one of" in said.err and "ADM-LISTEN" not in said.err and "CTL-" not in said.err, said
    option = "kafka.enable.auto.commit=true" if scene.client.kind == "kafka" else "nats.reconnect_buffer=1"
    said = scene.dray("worker", "--set", option, "--set", "admin.listen=127.0.0.1:0", code=78)
    assert option.split("=")[0].split(".", 1)[1] in said.err, said


@case
def a_terminal_sees_progress_and_colours_and_a_pipe_none(scene):
    send = ["send", "a", "--topic", "bars", "--count", "600", "--rate", "600"]
    shown = scene.on_terminal(*send)
    steps = [int(n) for n in re.findall(r"\r\[[#.]{30}\] (\d+) of 600 stored", shown)]
    assert len(steps) >= 3 and steps == sorted(steps) and steps[-1] == 600, steps
    assert f"\r[{'#' * 30}] 600 of 600 stored, " in shown, shown[-300:]
    ids = re.findall(r"^(?:.*\r\033\[K)?([0-9a-f]{32})\r$", shown, re.MULTILINE)
    assert len(set(ids)) == 600, "each id has a line of its own"
    piped = scene.dray(*send)
    assert piped.err == "" and not set("\r\033[") & set(piped.out), piped

    worker = scene.start_worker("letters", topic="lettered")
    try:
        for _ in range(3):
            scene.dray("send", "nobody.knows", "--topic", "lettered", "--wait", code=1)
    finally:
        assert worker.stop() == 0
    where = ["--topic", "lettered", "--group", "cli"]
    assert "\033[1mLAST FAILED" in scene.on_terminal("dlq", "ls", *where)
    for unmoved in (scene.on_terminal("dlq", "ls", *where, env={"NO_COLOR": "1"}),
                    scene.on_terminal("dlq", "ls", *where, env={"TERM": "dumb"}),
                    scene.dray("dlq", "ls", *where).out, scene.dray("dlq", "groups", *where).out):
        assert "\033" not in unmoved, unmoved
    assert "\033[31mdray:" in scene.on_terminal("send", "--nothing", code=2)
    assert "\033" not in scene.dray("send", "--nothing", code=2).err

    dry = scene.on_terminal("dlq", "replay", *where, "--dry-run")
    assert "3 would be replayed" in dry and not re.search(r"\d replayed", dry), dry
    done = scene.on_terminal("dlq", "replay", *where, "--rate", "10")
    assert re.search(r"\r3 replayed(, \d+/s)?\033\[K\r\n", done), done
    assert "3 replayed to replay.cli.lettered" in done, done


# --- with a worker ----------------------------------------------------------------------------------

@case
def results_come_back(scene):
    worker = scene.start_worker()
    try:
        ok = scene.dray("send", "text.digest", "--topic", "served", "--payload",
                        '{"text":"to be or not to be","top":1}', "--wait").json()[0]
        assert ok["status"] == "ok" and ok["result"]["words"] == 6, ok
        assert re.fullmatch("[0-9a-f]{32}", ok["id"]) and ok["worker"] == "one"
        bad = scene.dray("send", "nobody.knows", "--topic", "served", "--wait", code=1).json()[0]
        assert bad["error"]["kind"] == "unknown_command" and bad["error"]["dead_letter"] is True
        echo = scene.dray("send", "probe.run", "--topic", "served", "--wait", "--id", "mine", "--payload",
                          '{"echo":[18446744073709551615,{"$bin":"AAH/"},1.5]}').json()[0]
        assert echo["id"] == "mine"
        assert echo["result"]["echo"] == [2**64 - 1, {"$bin": base64.b64encode(b"\0\1\xff").decode()}, 1.5]
        many = scene.dray("send", "probe.run", "--topic", "served", "--wait", "-",
                          stdin="".join(f'{{"echo":{n}}}\n' for n in range(1500))).json()
        assert sorted(r["result"]["echo"] for r in many) == list(range(1500))
        other = scene.dray("send", "probe.run", "--topic", "served", "--wait", "--reply-to",
                           "results.mine").json()[0]
        assert other["status"] == "ok"
        slow = scene.dray("send", "probe.run", "--topic", "served", "--wait=0.5", "--payload",
                          '{"do":"sleep","ms":3000}', code=75)
        assert "is stored and may still run" in slow.err
        assert worker.stop() == 0, worker.log()
    finally:
        if worker.is_running():
            worker.kill()


@case
def every_pattern_of_reply_to_counts(scene):
    patterns = [f"results.n{n}" for n in range(40)]
    worker = scene.start_worker("patterns", topic="patterned", reply_to=patterns)
    try:
        for last in ("results.n0", "results.n39"):
            said = scene.dray("send", "probe.run", "--topic", "patterned", "--wait", "--reply-to",
                              last).json()[0]
            assert said["status"] == "ok" and "reply_failed" not in said, said
            assert len(scene.messages(last, 1)) == 1
    finally:
        assert worker.stop() == 0


@case
def the_second_signal_stops_at_once(scene):
    worker = scene.start_worker("two", topic="sleepy", drain_ms=60000)
    scene.dray("send", "probe.run", "--topic", "sleepy", "--payload", '{"do":"sleep","ms":30000}')
    workers.settle_down(lambda: (worker.metric("dray_running_commands") or 0) >= 1, 30, "a run")
    worker.process.send_signal(signal.SIGTERM)
    workers.settle_down(lambda: "WRK-DRAIN" in worker.log(), 30, "the drain")
    begin = time.monotonic()
    worker.process.send_signal(signal.SIGINT)
    assert worker.process.wait(30) == 1
    assert time.monotonic() - begin < 15 and "WRK-STOP" in worker.log()


@case
def a_signal_before_the_broker_answers_ends_the_worker(scene):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(1)
        url = f"nats://127.0.0.1:{silent.getsockname()[1]}"
        with subprocess.Popen([DRAY, "worker", "--bus", url, "--set", "admin.listen=127.0.0.1:0"],
                              stderr=subprocess.PIPE, cwd=scene.folder, env=scene.env) as process:
            assert b"ADM-LISTEN" in process.stderr.readline()
            process.terminate()
            assert process.wait(10) == -signal.SIGTERM


@case
def hup_applies_the_level_and_lists_the_rest(scene):
    worker = scene.start_worker("hup")
    try:
        def read_again(change):
            config = json.load(open(worker.config_path, encoding="utf-8"))
            change(config)
            json.dump(config, open(worker.config_path, "w", encoding="utf-8"))
            before = len(re.findall("CFG-(READ|REFUSED)", worker.log()))
            worker.process.send_signal(signal.SIGHUP)
            workers.settle_down(
                lambda: len(re.findall("CFG-(READ|REFUSED)", worker.log())) > before, 30, "HUP")

        read_again(lambda c: c.update(log={"level": "debug"}) or c["worker"].update(lanes=9))
        log = worker.log()
        assert re.search("id=CFG-APPLIED .*key=log.level", log), log
        assert re.search("id=CFG-RESTART .*key=worker.lanes", log), log
        read_again(lambda c: c["worker"].update(lanes="many"))
        assert re.search("id=CFG-REFUSED .*worker.lanes has to be a number", worker.log())
        assert worker.is_running() and worker.get("/readyz")[0] == 200
        assert worker.stop() == 0
    finally:
        if worker.is_running():
            worker.kill()


@case
def systemd_is_told(scene):
    path = os.path.join(scene.folder, "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        manager.settimeout(30)
        worker = scene.start_worker("notified", {"NOTIFY_SOCKET": path})
        assert manager.recv(100) == b"READY=1\nSTATUS=takes commands"
        worker.process.send_signal(signal.SIGHUP)
        assert re.fullmatch(rb"RELOADING=1\nMONOTONIC_USEC=\d+", manager.recv(100))
        assert manager.recv(100) == b"READY=1"
        assert worker.stop() == 0
        assert manager.recv(100) == b"STOPPING=1\nSTATUS=drains"


@case
def two_replicas_in_one_state_folder_have_two_ids(scene):
    def start():
        process = subprocess.Popen(  # pylint: disable=consider-using-with
            [DRAY, "worker", "--topic", "shared", "--set", "admin.listen=127.0.0.1:0", "--set", "state=same"],
            stderr=subprocess.PIPE, text=True, cwd=scene.folder, env=scene.env)
        seen = ""
        for line in process.stderr:
            seen += line
            found = re.search(r"id=WRK-START .*worker=(\S+)", line)
            if found:
                return process, found.group(1), seen
        raise AssertionError(seen)

    first, second = start(), start()
    try:
        assert first[1] != second[1]
        assert "WRK-SHARED" not in first[2] and "WRK-SHARED" in second[2]
    finally:
        for process, _, _ in (first, second):
            process.terminate()
            process.communicate(timeout=60)
    third = start()
    assert third[1] == first[1], "the id is kept"
    third[0].terminate()
    third[0].communicate(timeout=60)


# --- doctor -----------------------------------------------------------------------------------------

def findings(said):
    return {(f["check"], f["status"]) for f in said.json() if "check" in f}


@case
def the_doctor_says_what_is_wrong(scene):
    base = ["doctor", "--json", "--group", "doc", "--topic", "doc.commands", "--set",
            f"modules={workers.MODULES}", "--set", "admin.listen=127.0.0.1:0"]
    missing = scene.dray(*base, "--set", "worker.create_topics=false", code=1)
    assert ("topic", "fail") in findings(missing) and ("broker", "ok") in findings(missing)
    assert not scene.client.read("doc.commands"), "nothing is changed without --fix"
    later = scene.dray(*base, "--set", "state=doc-state")
    assert ("topic", "warn") in findings(later) and ("state", "warn") in findings(later)
    fixed = scene.dray(*base, "--fix", "--set", "state=doc-state")
    assert all(status == "ok" for _, status in findings(fixed)), fixed
    assert os.path.isdir(os.path.join(scene.folder, "doc-state"))
    again = scene.dray(*base, "--set", "worker.create_topics=false", "--set", "state=doc-state")
    assert all(status == "ok" for _, status in findings(again)), again

    path = os.path.join(scene.folder, "doctor.yaml")
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"modules": workers.MODULES, "routes": [
            dict(ORDERS), dict(ORDERS, name="b", module="nothere.so"), dict(ORDERS, name="c", handler="no"),
            dict(ORDERS, name="d", runtime="wasm")]}, file)
    routes = scene.dray(*base[:6], "-c", path, "--set", "admin.listen=127.0.0.1:0", code=1)
    text = routes.out
    assert "default/text.digest@1.0.0: handler text_digest of text.so" in text, text
    assert "nothere.so" in text and 'no handler \\"no\\"' in text and "wasm is not in this build" in text, text

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        busy = scene.dray(*base, "--set", f"admin.listen=127.0.0.1:{taken.getsockname()[1]}")
        assert ("admin", "warn") in findings(busy)
    away = scene.dray(*base, "--bus", f"{scene.client.kind}://127.0.0.1:{brokers.free_port()}", code=69)
    assert ("broker", "fail") in findings(away)
    settings = {f["setting"]: f for f in scene.dray(*base, "--settings").json() if "setting" in f}
    assert settings["group"] == {"setting": "group", "value": "doc", "from": "--group"}
    assert settings["bus"]["from"] == "environment DRAY_BUS"


@case
def what_is_not_permitted_is_77(scene):
    if scene.client.kind != "nats":
        return  # test_kafka_security.py has a broker for it
    users = 'authorization { users: [{user: "a", password: "right"}] }'
    with brokers.Nats(config=users) as locked:
        host = locked.url.removeprefix("nats://")
        for command in (["send", "a"], ["doctor"]):
            said = scene.dray(*command, "--bus", f"nats://a:wrong@{host}", code=77)
            assert "wrong" not in said.out + said.err, "no password is printed"
        scene.dray("send", "a", "--bus", f"nats://a:right@{host}")
        scene.dray("send", "a", "--bus", locked.url, "--set", "nats.user=a", "--set", "nats.password=right")
        shown = scene.dray("doctor", "--settings", "--bus", f"nats://a:right@{host}", "--set",
                           "admin.listen=127.0.0.1:0", "--set", f"modules={workers.MODULES}")
        assert "right" not in shown.out


# --- pages ------------------------------------------------------------------------------------------

@case
def man_pages_pass_the_lint(scene):
    names = scene.dray("help", "--names").lines
    assert "dray" in names and "dray-send" in names
    for name in names:
        page = scene.dray("help", "--man", *name.removeprefix("dray").replace("-", " ").split()).out
        assert page.startswith(".\\\"") and ".SH SYNOPSIS" in page
        lint = subprocess.run(["mandoc", "-Tlint", "-Wwarning"], input=page.encode(), capture_output=True,
                              check=False)
        assert lint.returncode == 0, f"{name}: {lint.stdout.decode()}"


@case
def bash_completes(scene):
    script = scene.dray("help", "--completion").out

    def complete(*words):
        lines = [script, f"COMP_WORDS=({' '.join(repr(w) for w in words)})",
                 f"COMP_CWORD={len(words) - 1}", "_dray", 'printf "%s\\n" "${COMPREPLY[@]}"']
        run = subprocess.run(["bash", "--norc", "-uc", "\n".join(lines)], capture_output=True, text=True,
                             check=False, cwd=scene.folder)
        assert run.stderr == "", run.stderr
        return [w for w in run.stdout.split("\n") if w]

    assert complete("dray", "wor") == ["worker"]
    assert {"worker", "send", "doctor", "help"} <= set(complete("dray", ""))
    assert complete("dray", "send", "--pay") == ["--payload"]
    assert complete("dray", "--bus", "nats", ":", "//h", ":", "1", "send", "--pay") == ["--payload"]
    assert complete("dray", "send", "--wait", "=", "5", "--cou") == ["--count"]
    assert complete("dray", "--group", "=", "g", "doctor", "--fi") == ["--fix"]
    assert "worker.lanes=" in complete("dray", "worker", "--set", "worker.l")
    with open(os.path.join(scene.folder, "completed.yaml"), "w", encoding="utf-8"):
        pass
    assert complete("dray", "worker", "-c", "complet") == ["completed.yaml"]
    assert complete("dray", "help", "se") == ["send"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bus", default="nats")
    parser.add_argument("cases", nargs="*", help="names of cases; default: all")
    arguments = parser.parse_args()
    broker = brokers.Nats() if arguments.bus == "nats" else brokers.Kafka(
        arguments.bus.partition(":")[2] or "3.9.1")
    failed = 0
    with workers.Folder("cli") as folder, broker:
        client = clients.connect(broker.url)
        scene = Scene(folder, broker, client)
        for function in CASES:
            if arguments.cases and function.__name__ not in arguments.cases:
                continue
            begin = time.monotonic()
            try:
                function(scene)
                print(f"ok    {function.__name__} ({time.monotonic() - begin:.1f} s)", flush=True)
            except Exception as error:  # pylint: disable=broad-except
                failed += 1
                where = traceback.extract_tb(error.__traceback__)
                lines = [f"{f.lineno}: {f.line}" for f in where if f.filename == __file__]
                print(f"FAILED {function.__name__}: {type(error).__name__}: {error}", *lines, sep="\n  ",
                      flush=True)
        client.close()
        assert failed == 0, f"{failed} cases failed"
    return 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""The life of a worker process, against a real broker: what the service manager is told, a loop that
hangs, leaving when nobody answers, what the next run knows of it, settings that change, quiet, the ramp.

test_life.py --bus nats|kafka[:VERSION] [case...]
"""

import argparse
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
import traceback

import msgpack

import clients
import workers
from workers import brokers

PULSE_S = 0.2  # half of what WATCHDOG_USEC says below


class Scene:
    """A broker and its independent client; each case has topics and a group of its own."""

    def __init__(self, folder, broker, client):
        self.folder, self.broker, self.client = folder, broker, client
        self.started = []

    def worker(self, name, env=None, **worker):
        topics = {"commands": f"{name}.in", "results": f"{name}.out"}
        config = workers.configuration(self.broker.url, name, topics, **worker)
        if self.client.kind == "kafka":
            config["kafka"] = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 500}
        replica = workers.Worker(self.folder, name, config, env)
        replica.probe_log = replica.env["DRAY_PROBE_LOG"] = os.path.join(self.folder, f"{name}.probe")
        self.started.append(replica)
        return replica

    def send(self, replica, ids, **payload):
        self.client.publish(f"{replica.name}.in", [
            (f"k-{i}".encode(), msgpack.packb({"v": 1, "id": i, "cmd": "probe.run", "key": f"k-{i}",
                                               "payload": payload}), None) for i in ids])

    def results(self, replica):
        return sorted(msgpack.unpackb(m.value)["id"] for m in self.client.read(f"{replica.name}.out"))

    def wait_results(self, replica, ids):
        workers.settle_down(lambda: self.results(replica) == sorted(ids), 120, f"results of {sorted(ids)[:3]}")

    def wait_settled(self, replica):
        workers.settle_down(lambda: self.client.is_settled(replica.name, f"{replica.name}.in"), 120,
                            "everything settled")


class Manager:
    """What systemd is for a worker: a datagram socket."""

    def __init__(self, folder, name, **env):
        path = os.path.join(folder, f"{name}.notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.env = {"NOTIFY_SOCKET": path, **env}

    def next(self, timeout_s=60):
        """The next datagram, or None."""
        if not select.select([self.socket], [], [], timeout_s)[0]:
            return None
        return self.socket.recv(1000).decode()

    def wait(self, state):
        """Reads up to the datagram that says so; returns those before it."""
        before = []
        while True:
            got = self.next()
            assert got is not None, f"never told {state}; {before[-5:]}"
            if state in got.split("\n"):
                return before
            before.append(got)

    def drain(self):
        while self.next(0) is not None:
            pass

    def is_silent(self):
        """Nothing for ten pulses, after what was on its way."""
        self.drain()
        return self.next(10 * PULSE_S) is None


CASES = []
WATCHED = {"WATCHDOG_USEC": str(int(2e6 * PULSE_S))}
PULSE = "WATCHDOG=1"


def case(function):
    CASES.append(function)
    return function


@case
def the_watchdog_is_fed_at_half_of_its_time(scene):
    manager = Manager(scene.folder, "fed", **WATCHED)
    worker = scene.worker("fed", manager.env).start()
    assert manager.wait("READY=1") == [], "no pulse before it is ready"
    manager.wait(PULSE)
    begin = time.monotonic()
    for _ in range(10):
        assert manager.next() == PULSE
    assert time.monotonic() - begin > 8 * PULSE_S, "no more often than half of the time"
    # Stopped, it pulses no more; going on, it does.
    worker.process.send_signal(signal.SIGSTOP)
    assert manager.is_silent()
    worker.process.send_signal(signal.SIGCONT)
    manager.wait(PULSE)
    worker.process.terminate()
    manager.wait("STOPPING=1")
    assert worker.process.wait(60) == 0, worker.log()


@case
def a_watchdog_that_means_another_process_is_not_fed(scene):
    manager = Manager(scene.folder, "other", WATCHDOG_PID="1", **WATCHED)
    worker = scene.worker("other", manager.env).start().wait_ready()
    manager.wait("READY=1")
    assert manager.is_silent()
    assert worker.stop() == 0
    assert not any(PULSE in told for told in manager.wait("STOPPING=1"))


@case
def a_loop_that_hangs_is_noticed_though_all_else_lives(scene):
    manager = Manager(scene.folder, "hangs", **WATCHED)
    worker = scene.worker("hangs", manager.env, stall_ms=2000)
    worker.start({"DRAY_HANG_AT": "after_receive"}).wait_ready()
    manager.wait(PULSE)
    assert worker.get("/livez")[0] == 200
    scene.send(worker, ["first"])
    workers.settle_down(lambda: worker.get("/livez")[0] == 503, 60, "/livez says no")
    assert "not ok: last turn " in worker.get("/livez")[1]
    assert manager.is_silent(), "the watchdog of the manager would end it"
    assert worker.get("/metrics")[0] == 200, "the admin port still answers"
    assert workers.runs(worker.probe_log) == []
    worker.kill()
    worker.start().wait_ready()
    assert "WRK-UNCLEAN" in worker.log()
    scene.wait_results(worker, ["first"])
    assert worker.stop() == 0


@case
def leaving_that_hangs_ends_in_time_and_well(scene):
    worker = scene.worker("late", close_ms=1500)
    worker.start({"DRAY_HANG_AT": "before_close"}).wait_ready()
    scene.send(worker, ["a", "b"])
    scene.wait_results(worker, ["a", "b"])
    worker.process.terminate()
    assert worker.process.wait(60) == 0, worker.log()
    assert "id=WRK-LATE" in worker.log() and "everything is settled" in worker.log()
    worker.start().wait_ready()
    assert "WRK-UNCLEAN" not in worker.log()
    assert worker.stop() == 0
    assert len(workers.runs(worker.probe_log)) == 2, "nothing ran again"


@case
def leaving_that_hangs_with_work_unfinished_is_a_failure(scene):
    worker = scene.worker("torn", close_ms=1500, drain_ms=600000)
    worker.start({"DRAY_HANG_AT": "before_close"}).wait_ready()
    scene.send(worker, ["a"], do="sleep", ms=600000)
    workers.settle_down(lambda: (worker.metric("dray_running_commands") or 0) == 1, 60, "a run")
    worker.process.terminate()
    workers.settle_down(lambda: "WRK-DRAIN" in worker.log(), 60, "the drain")
    worker.process.terminate()
    assert worker.process.wait(60) == 1, worker.log()
    assert "id=WRK-LATE" in worker.log() and "comes again" in worker.log()
    worker.start().wait_ready()
    assert worker.log().count("WRK-UNCLEAN") == 1
    worker.kill()


@case
def a_drain_ends_at_its_limit(scene):
    worker = scene.worker("limit", drain_ms=1500, timeout_ms=3600000).start().wait_ready()
    scene.send(worker, ["quick"])
    scene.wait_results(worker, ["quick"])
    scene.send(worker, ["endless"], do="sleep", ms=600000)
    workers.settle_down(lambda: worker.metric("dray_running_commands") == 1, 60, "a run")
    begin = time.monotonic()
    worker.process.terminate()
    assert worker.process.wait(60) == 1, worker.log()
    assert 1.4 < time.monotonic() - begin < 1.5 + 30
    worker.start().wait_ready()
    assert worker.log().count("WRK-UNCLEAN") == 1
    workers.settle_down(lambda: worker.metric("dray_running_commands") == 1, 120, "it comes again")
    assert scene.results(worker) == ["quick"]
    assert sum(run.id == "quick".encode().hex() for run in workers.runs(worker.probe_log)) == 1
    worker.kill()


@case
def a_crash_while_leaving_costs_nothing(scene):
    worker = scene.worker("crash")
    worker.start({"DRAY_CRASH_AT": "before_close"}).wait_ready()
    assert "WRK-UNCLEAN" not in worker.log(), "the first run has none before it"
    scene.send(worker, ["a", "b", "c"])
    scene.wait_results(worker, ["a", "b", "c"])
    scene.wait_settled(worker)
    worker.process.terminate()
    assert worker.process.wait(60) == -signal.SIGKILL
    worker.start().wait_ready()
    assert "WRK-UNCLEAN" not in worker.log()
    scene.send(worker, ["d"])
    scene.wait_results(worker, ["a", "b", "c", "d"])
    assert worker.stop() == 0
    assert len(workers.runs(worker.probe_log)) == 4, "nothing ran again"


@case
def a_broker_that_is_silent_at_the_end_does_not_hold_it(scene):
    worker = scene.worker("silent", close_ms=4000).start().wait_ready()
    scene.send(worker, ["a", "b"])
    scene.wait_results(worker, ["a", "b"])
    scene.wait_settled(worker)
    scene.broker.pause()
    try:
        begin = time.monotonic()
        worker.process.terminate()
        assert worker.process.wait(60) == 0, worker.log()
        assert time.monotonic() - begin < 4 + 20, "well after worker.close_ms"
    finally:
        scene.broker.resume()
    worker.start().wait_ready()
    assert "WRK-UNCLEAN" not in worker.log()
    assert worker.stop() == 0
    assert len(workers.runs(worker.probe_log)) == 2, "nothing ran again"


def read_again(replica, text=None, **changes):
    """HUP with a changed file; returns the lines that it was answered with."""
    if text is None:
        config = json.load(open(replica.config_path, encoding="utf-8"))
        for section, values in changes.items():
            config.setdefault(section, {}).update(values)
        text = json.dumps(config, indent=1)
    with open(replica.config_path, "w", encoding="utf-8") as file:
        file.write(text)
    begin = len(replica.log())
    replica.process.send_signal(signal.SIGHUP)
    workers.settle_down(lambda: re.search("CFG-(READ|REFUSED)[^\\n]*\\n", replica.log()[begin:]), 60, "HUP")
    return replica.log()[begin:]


def errors(scene, worker):
    """Command id -> kind of its error result."""
    found = (msgpack.unpackb(m.value) for m in scene.client.read(f"{worker.name}.out"))
    return {r["id"]: r["error"]["kind"] for r in found if r["status"] == "error"}


@case
def hup_takes_up_limits_and_defaults(scene):
    worker = scene.worker("reload", max_in_flight=100).start().wait_ready()
    limit = lambda: worker.metric("dray_in_flight_limit_commands")
    workers.settle_down(lambda: limit() == 100, 60, "the limit of the start")
    log = read_again(worker, worker={"max_in_flight": 7, "lanes": 9, "timeout_ms": 1000}, log={"level": "debug"})
    for key in ("worker.max_in_flight", "worker.timeout_ms", "log.level"):
        assert re.search(f"id=CFG-APPLIED .*key={key}\\n", log), log
    assert re.search("id=CFG-RESTART .*key=worker.lanes\\n", log), log
    assert re.search("id=CFG-READ .*applied=3 need_restart=1\\n", log), log
    workers.settle_down(lambda: limit() == 7, 60, "the new limit")

    ids = [f"c-{n}" for n in range(40)]
    scene.send(worker, ids, do="sleep", ms=200)
    seen = set()

    def done():
        seen.add(worker.metric("dray_in_flight_commands"))
        return (worker.metric("dray_results_stored_total") or 0) >= 40
    workers.settle_down(done, 120, "forty results")
    assert max(seen) <= 7 and max(seen) >= 1, seen
    scene.wait_results(worker, ids)

    scene.send(worker, ["slow"], do="sleep", ms=600000)
    workers.settle_down(lambda: errors(scene, worker) == {"slow": "timeout"}, 120, "the new time limit")
    read_again(worker, worker={"namespaces": "elsewhere"})
    scene.send(worker, ["foreign"])
    workers.settle_down(lambda: errors(scene, worker).get("foreign") == "auth", 120, "the new namespaces")
    assert worker.stop() == 0


@case
def hup_says_once_what_needs_a_restart(scene):
    worker = scene.worker("again", max_in_flight=100).start().wait_ready()
    good = open(worker.config_path, encoding="utf-8").read()
    assert "key=worker.max_in_flight" in read_again(worker, worker={"max_in_flight": 101})
    log = read_again(worker)
    assert "CFG-RESTART" not in log and re.search("applied=0 need_restart=0\\n", log), log
    log = read_again(worker, worker={"max_in_flight": 100})
    assert re.search("id=CFG-APPLIED .*key=worker.max_in_flight\\n", log), "again what it runs with"

    bad = good.replace('"lanes": 4', '"lanse": 4').replace('"max_in_flight": 100', '"max_in_flight": 3')
    assert bad.count('"lanse"') == 1 and bad.count('"max_in_flight": 3') == 1
    line = bad[:bad.index('"lanse"')].count("\n") + 1
    log = read_again(worker, text=bad)
    assert re.search(f"id=CFG-REFUSED .*{worker.config_path}:{line}: unknown key", log), log
    assert "CFG-APPLIED" not in log
    workers.settle_down(lambda: worker.metric("dray_in_flight_limit_commands") == 100, 60, "the old limit")
    scene.send(worker, ["a"])
    scene.wait_results(worker, ["a"])
    assert worker.metric("dray_in_flight_limit_commands") == 100, "nothing of a broken file counts"

    log = read_again(worker, text=good.replace('"admin"', '"log": {"format": "json"}, "admin"'))
    assert json.loads(log.splitlines()[-1])["id"] == "CFG-READ"
    begin = len(worker.log())
    assert worker.stop() == 0
    behind = worker.log()[begin:].splitlines()  # a client may have a last word after the end
    assert "WRK-END" in [json.loads(line)["id"] for line in behind], behind


def status_of(scene, worker):
    said = subprocess.run([workers.DRAY, "registry", "status", "--json", "-c", worker.config_path],
                          capture_output=True, text=True, check=False, timeout=60)
    states = [json.loads(line) for line in said.stdout.splitlines()]
    return [s["state"] for s in states if s["worker"] == worker.name]


@case
def a_quiet_worker_finishes_and_takes_nothing_new(scene):
    worker = scene.worker("quiet").start().wait_ready()
    ran = lambda: {run.id for run in workers.runs(worker.probe_log)}
    scene.send(worker, ["slow"], do="sleep", ms=3000)
    workers.settle_down(lambda: worker.metric("dray_running_commands") == 1, 60, "a run")
    sources = worker.metric("dray_assigned_sources")
    worker.process.send_signal(signal.SIGUSR1)
    workers.settle_down(lambda: worker.get("/readyz")[0] == 503, 60, "quiet")
    assert "paused" in worker.get("/readyz")[1] and worker.get("/livez")[0] == 200
    workers.settle_down(lambda: status_of(scene, worker) == ["paused"], 60, "the status says so")
    scene.wait_results(worker, ["slow"])
    scene.wait_settled(worker)

    ids = [f"c-{n}" for n in range(50)]
    scene.send(worker, ids)
    # Longer than the session: a member that did not speak would be gone by then.
    begin = worker.metric("dray_messages_total")
    until = time.monotonic() + 9
    while time.monotonic() < until:
        assert len(ran()) == 1, "something new ran"
        time.sleep(0.2)
    assert worker.metric("dray_messages_total") == begin
    assert worker.metric("dray_in_flight_limit_commands") == 0
    assert worker.metric("dray_assigned_sources") == sources > 0
    assert worker.metric("dray_revocations_total") == worker.metric("dray_losses_total") == 0
    assert not scene.client.is_settled(worker.name, f"{worker.name}.in"), "they wait at the broker"

    worker.process.send_signal(signal.SIGUSR1)  # twice is once
    worker.process.send_signal(signal.SIGUSR2)
    worker.wait_ready()
    scene.wait_results(worker, ids + ["slow"])
    assert len(workers.runs(worker.probe_log)) == 51, "each ran once"
    assert (worker.metric("dray_revocations_total"), worker.metric("dray_losses_total")) == (0, 0)
    worker.process.send_signal(signal.SIGUSR1)
    workers.settle_down(lambda: worker.get("/readyz")[0] == 503, 60, "quiet again")
    assert worker.stop() == 0, "a quiet worker drains like any other"


@case
def a_signal_while_it_starts_is_kept(scene):
    worker = scene.worker("early", max_in_flight=100).start()
    worker.process.send_signal(signal.SIGUSR1)
    worker.process.send_signal(signal.SIGHUP)
    workers.settle_down(lambda: "paused" in worker.get("/readyz")[1], 60, "quiet from the start")
    workers.settle_down(lambda: "CFG-READ" in worker.log(), 60, "the file read again")
    scene.send(worker, ["a"])
    worker.process.send_signal(signal.SIGUSR2)
    scene.wait_results(worker, ["a"])
    assert worker.stop() == 0


@case
def a_ramp_lets_in_more_from_step_to_step(scene):
    worker = scene.worker("ramp", ramp_ms=4000, max_in_flight=1000).start()
    seen = []

    def is_up():
        limit = worker.metric("dray_in_flight_limit_commands")
        if limit is not None and worker.get("/readyz")[0] == 200:
            seen.append(limit)
        return seen and seen[-1] == 1000
    workers.settle_down(is_up, 120, "the whole limit")
    assert seen == sorted(seen) and seen[0] < 1000 and len(set(seen)) > 3, seen
    assert re.search("id=WRK-RAMP .*ramp_ms=4000 from=1 to=1000\\n", worker.log()), worker.log()
    worker.kill()
    worker.start().wait_ready()
    assert re.search("id=WRK-RAMP .*ramp_ms=16000 from=1 to=1000\\n", worker.log()), "longer after a crash"
    scene.send(worker, ["a", "b", "c"])
    scene.wait_results(worker, ["a", "b", "c"])
    assert worker.stop() == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bus", default="nats")
    parser.add_argument("cases", nargs="*", help="names of cases; default: all")
    arguments = parser.parse_args()
    broker = brokers.Nats() if arguments.bus == "nats" else brokers.Kafka(
        arguments.bus.partition(":")[2] or "3.9.1")
    failed = 0
    with workers.Folder("life") as folder, broker:
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
            for replica in scene.started:
                if replica.is_running():
                    replica.kill()
        client.close()
        assert failed == 0, f"{failed} cases failed"
    return 0


if __name__ == "__main__":
    sys.exit(main())

# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""Worker processes under test: started from the built binary, watched through their own admin port."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))

import brokers  # noqa: E402  pylint: disable=wrong-import-position

BUILD = os.environ.get("DRAY_TEST_BUILD", os.path.join(ROOT, "build", "dev"))
DRAY = os.path.join(BUILD, "bin", "dray")
MODULES = os.path.join(BUILD, "modules")
wait_for = brokers.wait_for

PARTITIONS = 8  # where nothing else is said
PROBE = {"name": "probe.run", "version": "1.0.0", "runtime": "native", "module": "probe.so",
         "handler": "probe"}


class Folder:
    """A temporary folder for one scenario; kept when the scenario failed.

    In a sanitizer's build every process that is started inside writes its reports there, a worker that is
    killed as well as a command whose exit code nobody looks at; the scenario fails when there is one.
    """

    SANITIZERS = ("ASAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS")

    def __init__(self, name):
        self.path = tempfile.mkdtemp(prefix=f"dray-{name}-")
        self._before = {}

    def __enter__(self):
        self._before = {name: os.environ.get(name, "") for name in self.SANITIZERS}
        for name, options in self._before.items():
            os.environ[name] = f"{options}:log_path={self.path}/sanitizer".lstrip(":")
        return self.path

    def reports(self):
        """What sanitizers have reported; UBSan beside ASan knows no log_path and writes to the log."""
        texts = []
        for name in sorted(os.listdir(self.path)):
            if not name.startswith("sanitizer.") and not name.endswith(".log"):
                continue
            with open(os.path.join(self.path, name), encoding="utf-8", errors="replace") as file:
                text = file.read()
            if name.startswith("sanitizer."):
                texts.append(f"{name}:\n{text}")
            elif ": runtime error: " in text:
                texts.append(f"{name}:\n{text[max(0, text.index(': runtime error: ') - 200):][:4000]}")
        return "\n".join(texts)

    def __exit__(self, kind, *_):
        os.environ.update(self._before)
        reports = self.reports()
        if kind is None and not reports:
            shutil.rmtree(self.path, ignore_errors=True)
            return
        print(f"what it left behind: {self.path}", file=sys.stderr)
        if reports:
            print(reports[:20000], file=sys.stderr)
            raise AssertionError("a sanitizer reports a fault")


def configuration(url, group, topics, **worker):
    """A configuration as a dict; YAML is a superset of JSON, so it is written as JSON."""
    return {
        "bus": url, "group": group, "modules": MODULES,
        "topics": topics,
        "routes": [dict(PROBE, policy={"attempts": 2, "backoff_ms": [20]})],
        "worker": dict({"create_topics": True, "partitions": PARTITIONS, "lanes": 4}, **worker),
        "admin": {"listen": "127.0.0.1:0"},
    }


def group_broker(protocol, session_ms):
    """A broker, and what a worker's configuration has besides, for a group of this protocol: "classic" of Kafka,
    "consumer", that of KIP-848, whose times are the broker's, or "nats" with partitions and leases."""
    if protocol == "nats":
        return brokers.Nats(), {"nats": {"partitions": PARTITIONS, "lease_ms": session_ms,
                                         "ack_wait_ms": 2 * session_ms}}
    if protocol == "classic":
        return brokers.Kafka(), {"kafka": {"session.timeout.ms": session_ms, "heartbeat.interval.ms": 300}}
    return (brokers.Kafka("4.0.0", {"group.consumer.session.timeout.ms": session_ms}),
            {"kafka": {"group.protocol": protocol}})


class Worker:
    """One replica."""

    def __init__(self, folder, name, config, env=None):
        self.name = name
        self.config = dict(config, state=os.path.join(folder, f"state-{name}"))
        self.config["worker"] = dict(config.get("worker", {}), id=name)
        self.config_path = os.path.join(folder, f"{name}.yaml")
        self.log_path = os.path.join(folder, f"{name}.log")
        self.probe_log = os.path.join(folder, "probe.log")
        self.env = dict(os.environ, DRAY_PROBE_LOG=self.probe_log, **(env or {}))
        self.process = None
        self.admin = None
        with open(self.config_path, "w", encoding="utf-8") as file:
            json.dump(self.config, file, indent=1)

    def start(self, env=None):
        begin = os.path.getsize(self.log_path) if os.path.exists(self.log_path) else 0
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(  # pylint: disable=consider-using-with,subprocess-popen-preexec-fn
                [DRAY, "worker", "-c", self.config_path], stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, env=dict(self.env, **(env or {})), preexec_fn=brokers.before_exec)

        def address():
            if self.process.poll() is not None:
                raise brokers.BrokerError(f"{self.name} ended with {self.process.returncode}:\n"
                                          + self.log()[-3000:])
            with open(self.log_path, "rb") as file:
                file.seek(begin)
                found = re.search(rb"ADM-LISTEN.*address=\"?([0-9.]+:\d+)", file.read())
            return found and found.group(1).decode()

        self.admin = wait_for(address, 60, f"{self.name}: an admin address")
        return self

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def get(self, path):
        """Status and body of an admin path; (0, "") when nobody answers."""
        try:
            with urllib.request.urlopen(f"http://{self.admin}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def metric(self, name):
        """A value without labels, or None."""
        found = re.search(rf"^{name} ([0-9.e+]+)$", self.get("/metrics")[1], re.MULTILINE)
        return float(found.group(1)) if found else None

    def wait_ready(self, timeout_s=60):
        wait_for(lambda: self.get("/readyz")[0] == 200, timeout_s, f"{self.name} ready")
        return self

    def kill(self):
        """SIGKILL."""
        self.process.kill()
        self.process.wait()

    def stop(self, timeout_s=60):
        """SIGTERM; returns the exit code."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{self.name} did not drain in {timeout_s} s:\n{self.log()[-3000:]}") from None


class Run:
    """One line of the probe's log."""

    def __init__(self, line):
        fields = line.split()
        self.id, self.key = fields[0], fields[1]
        self.attempt, self.worker = int(fields[2]), fields[3]
        self.start_ns, self.end_ns = int(fields[4]), int(fields[5])


def runs(path):
    """Every call that the probe has logged."""
    if not os.path.exists(path):
        return []
    with open(path, encoding="ascii") as file:
        return [Run(line) for line in file if line.endswith("\n")]


def redeliveries(replicas, commands):
    """How many messages replicas, of which none has ended yet, were given beyond one of each command."""
    return int(sum(replica.metric("dray_messages_total") for replica in replicas)) - len(commands)


def settle_down(condition, timeout_s, what):
    """Waits for a condition that the brokers and workers must reach by themselves."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {timeout_s} s"
        time.sleep(0.2)

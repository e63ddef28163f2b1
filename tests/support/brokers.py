#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""Real brokers for tests: nats-server with JetStream, and one Kafka node in KRaft mode.

    with brokers.Nats() as nats, brokers.Kafka("3.9.1") as kafka:
        ...nats.url, kafka.url...           # nats://127.0.0.1:PORT, kafka://127.0.0.1:PORT
        kafka.kill(); kafka.start()         # SIGKILL, then the same ports and the same data
        nats.pause(); nats.resume()         # SIGSTOP, SIGCONT

Each has a temporary folder and free ports of its own, is signalled by its own pid only, and dies with
the process that started it (with its *thread*: start brokers from the main one). Standard library only.

    brokers.py run [--nats] [--kafka VERSION]... [--keep] [--dir DIR] -- COMMAND...

runs COMMAND with DRAY_TEST_NATS, DRAY_TEST_NATS_MONITOR, DRAY_TEST_KAFKA (the first --kafka) and
DRAY_TEST_KAFKA4 (the first 4.x) in its environment, stops all after, and exits as COMMAND did.
"""

import argparse
import base64
import ctypes
import os
import random
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HOST = "127.0.0.1"
BIND_ERRORS = ("address already in use", "Address already in use", "Socket server failed to bind")
START_TRIES = 5

_libc = ctypes.CDLL(None, use_errno=True)
_handed_out = set()


class BrokerError(Exception):
    """A broker did not come up; the text ends in the tail of its log."""


def free_port():
    """A port that nobody listens on, below the range that outgoing connections take theirs from."""
    for _ in range(1000):
        port = random.randint(15000, 32000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        if port not in _handed_out:
            _handed_out.add(port)
            return port
    raise BrokerError("found no free port")


def wait_for(condition, timeout_s, what, every_s=0.02):
    """Returns the first true value of condition(); BrokerError when the time is over."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise BrokerError(f"{what}: not within {timeout_s} s")
        time.sleep(every_s)


def before_exec(death_signal=signal.SIGKILL):
    """For preexec_fn: the child ends when its parent does, so that a killed test leaves nothing behind."""
    _libc.prctl(1, death_signal, 0, 0, 0)  # PR_SET_PDEATHSIG
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


class Broker:
    """What both have in common: one process, a folder, ports that survive a restart."""

    name = "broker"
    ready_timeout_s = 60

    def __init__(self, directory=None, keep=False):
        self.keep = keep or directory is not None
        self.dir = directory or tempfile.mkdtemp(prefix=f"dray-{self.name}-")
        os.makedirs(self.dir, exist_ok=True)
        self.log_path = os.path.join(self.dir, "log")
        self.process = None
        self._log_from = 0
        self._fixed = False  # ports stay once the first start has succeeded

    # What the two kinds fill in.
    def _choose_ports(self):
        raise NotImplementedError

    def _command(self):
        raise NotImplementedError

    def _is_ready(self):
        raise NotImplementedError

    @property
    def pid(self):
        return self.process.pid if self.process else None

    def log(self):
        """What this life has logged so far."""
        try:
            with open(self.log_path, "rb") as file:
                file.seek(self._log_from)
                return file.read().decode(errors="replace")
        except FileNotFoundError:
            return ""

    def launch(self):
        """Starts the process without waiting for it; wait_ready follows."""
        assert self.process is None, f"{self.name} runs already"
        if not self._fixed:
            self._choose_ports()
        command = self._command()
        self._log_from = os.path.getsize(self.log_path) if os.path.exists(self.log_path) else 0
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(  # pylint: disable=consider-using-with,subprocess-popen-preexec-fn
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.dir,
                start_new_session=True, preexec_fn=before_exec)
        return self

    def wait_ready(self):
        """Waits until clients are served. A port taken meanwhile costs another try with new ones."""
        for attempt in range(START_TRIES):
            try:
                wait_for(self._ready_or_dead, self.ready_timeout_s, f"{self.name} ready")
                self._fixed = True
                return self
            except BrokerError as error:
                text = self.log()
                self.kill()
                if attempt + 1 < START_TRIES and any(e in text for e in BIND_ERRORS):
                    self.launch()
                    continue
                tail = "\n".join(text.splitlines()[-25:])
                raise BrokerError(f"{error}\n{tail}") from None
        raise AssertionError

    def _ready_or_dead(self):
        code = self.process.poll()
        if code is not None:
            raise BrokerError(f"{self.name} ended with {code} before it was ready")
        return self._is_ready()

    def start(self):
        return self.launch().wait_ready()

    def stop(self, timeout_s=30):
        """SIGTERM, as an operator would; data and ports stay."""
        if self.process is None:
            return
        self.resume()
        self.process.terminate()
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def kill(self):
        """SIGKILL; data and ports stay."""
        if self.process is None:
            return
        self.process.kill()
        self.process.wait()
        self.process = None

    def restart(self, graceful=False):
        if graceful:
            self.stop()
        else:
            self.kill()
        return self.start()

    def pause(self):
        """SIGSTOP; returns when every thread of it has stopped."""
        self.process.send_signal(signal.SIGSTOP)
        wait_for(self._has_stopped, 30, f"{self.name} stopped")

    def _has_stopped(self):
        states = []
        for task in os.listdir(f"/proc/{self.pid}/task"):
            with open(f"/proc/{self.pid}/task/{task}/stat", encoding="ascii", errors="replace") as file:
                states.append(file.read().rsplit(")", 1)[1].split()[0])
        return all(state == "T" for state in states)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def remove(self):
        """The end: the process and, unless it is to be kept, the folder."""
        self.kill()
        if not self.keep:
            shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        if self.process is None:
            try:
                self.start()
            except BaseException:
                self.remove()
                raise
        return self

    def __exit__(self, *_):
        self.remove()


def nats_current():
    """The path of the current nats-server that tests/support/fetch-nats brings, or None."""
    with open(os.path.join(ROOT, "tests", "support", "nats", "version"), encoding="ascii") as file:
        path = os.path.join(ROOT, "build", "nats", file.read().strip(), "nats-server")
    return path if os.access(path, os.X_OK) else None


class Nats(Broker):
    """nats-server with JetStream. `config` is text of its configuration language, put at the end:
    authorization, tls, max_payload and so on."""

    name = "nats"
    ready_timeout_s = 20

    def __init__(self, config="", binary=None, directory=None, keep=False):
        super().__init__(directory, keep)
        self.config = config
        self.binary = binary or os.environ.get("DRAY_NATS_SERVER") or "nats-server"
        self.port = self.monitor_port = None

    @property
    def url(self):
        return f"nats://{HOST}:{self.port}"

    @property
    def monitor_url(self):
        return f"http://{HOST}:{self.monitor_port}"

    def _choose_ports(self):
        self.port, self.monitor_port = free_port(), free_port()

    def _command(self):
        path = os.path.join(self.dir, "nats.conf")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f'listen: "{HOST}:{self.port}"\nhttp: "{HOST}:{self.monitor_port}"\n'
                       f'server_name: dray-test-{self.port}\n'
                       f'jetstream {{ store_dir: "{self.dir}/store", max_mem: 256MB, max_file: 8GB }}\n'
                       f"{self.config}\n")
        return [self.binary, "-c", path]

    def _is_ready(self):
        try:
            with urllib.request.urlopen(f"{self.monitor_url}/healthz", timeout=2) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False


class Kafka(Broker):
    """One Kafka node, broker and controller, from the jars that tests/support/fetch-kafka brought.

    properties: dict, or lines of server.properties, that replace or add to ours.
    listeners:  {name: protocol}, besides PLAINTEXT, each on a free port: {"TLS": "SSL"};
                their address is address("TLS").
    format_args: more arguments for the storage tool, such as ["--add-scram", "..."].
    Topics are not made by asking for them; properties can switch that on.
    """

    name = "kafka"
    ready_timeout_s = 90

    def __init__(self, version="3.9.1", properties=None, listeners=None, format_args=(), heap_mb=512,
                 java_args=(), directory=None, keep=False):
        super().__init__(directory, keep)
        self.version = version
        self.libs = os.path.join(ROOT, "build", "kafka", version, "libs")
        if not os.path.isdir(self.libs):
            raise BrokerError(f"no Kafka {version} in {self.libs}: run tests/support/fetch-kafka {version}")
        if isinstance(properties, str):
            lines = [line for line in properties.splitlines() if line.strip() and line.strip()[0] != "#"]
            properties = {k.strip(): v.strip() for k, v in (line.split("=", 1) for line in lines)}
        self.properties = properties or {}
        self.protocols = {"PLAINTEXT": "PLAINTEXT", **(listeners or {}), "CONTROLLER": "PLAINTEXT"}
        self.format_args = list(format_args)
        self.heap_mb = heap_mb
        self.java_args = list(java_args)
        # Not random in its first bits: the storage tool takes an id that begins with "-" for an option.
        self.cluster_id = base64.urlsafe_b64encode(b"dray" + uuid.uuid4().bytes[4:]).decode().rstrip("=")
        self.ports = {}

    @property
    def bootstrap(self):
        return self.address("PLAINTEXT")

    @property
    def url(self):
        return f"kafka://{self.bootstrap}"

    def address(self, listener):
        return f"{HOST}:{self.ports[listener]}"

    def _choose_ports(self):
        self.ports = {name: free_port() for name in self.protocols}

    def _server_properties(self):
        at = {name: f"{name}://{HOST}:{port}" for name, port in self.ports.items()}
        public = [text for name, text in at.items() if name != "CONTROLLER"]
        return {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@{HOST}:{self.ports['CONTROLLER']}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "listeners": ",".join(at.values()),
            "advertised.listeners": ",".join(public),
            "listener.security.protocol.map": ",".join(f"{n}:{p}" for n, p in self.protocols.items()),
            "log.dirs": os.path.join(self.dir, "data"),
            "auto.create.topics.enable": "false",
            "default.replication.factor": "1",
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "5",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "transaction.state.log.num.partitions": "5",
            "group.initial.rebalance.delay.ms": "0",
            "group.min.session.timeout.ms": "1000",
            # After kill -9 the controller refuses the broker until its old session is over.
            "broker.session.timeout.ms": "3000",
            "broker.heartbeat.interval.ms": "500",
            "log.cleaner.dedupe.buffer.size": "16777216",
            **(self._new_groups() if self.has_new_groups else {}),
            **self.properties,
        }

    @property
    def has_new_groups(self):
        """Whether it knows the group protocol of KIP-848, where the broker has the times of the group."""
        return int(self.version.split(".")[0]) >= 4

    @staticmethod
    def _new_groups():
        return {
            "group.consumer.min.session.timeout.ms": "1000",
            "group.consumer.session.timeout.ms": "6000",
            "group.consumer.min.heartbeat.interval.ms": "100",
            "group.consumer.heartbeat.interval.ms": "300",
        }

    def _command(self):
        config = os.path.join(self.dir, "server.properties")
        with open(config, "w", encoding="utf-8") as file:
            file.writelines(f"{key}={value}\n" for key, value in self._server_properties().items())
        # Performance data would be a file in /tmp that a killed JVM leaves.
        java = ["java", "-XX:-UsePerfData", "-cp", f"{self.libs}/*",
                "-Dorg.slf4j.simpleLogger.showDateTime=true",
                "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS"]
        serve = [*java, f"-Xmx{self.heap_mb}m", f"-Xms{min(self.heap_mb, 256)}m", "-XX:+UseSerialGC",
                 *self.java_args, "kafka.Kafka", config]
        if os.path.exists(os.path.join(self.dir, "data", "meta.properties")):
            return serve
        format_ = [*java, "-XX:TieredStopAtLevel=1", "kafka.tools.StorageTool", "format", "-t",
                   self.cluster_id, "-c", config, *self.format_args]
        # One child with one pid: the shell becomes the broker.
        return ["sh", "-c", f"{shlex.join(format_)} && exec {shlex.join(serve)}"]

    def _is_ready(self):
        # Written after the broker was unfenced; until then metadata names no broker.
        if "Kafka Server started" not in self.log():
            return False
        try:
            socket.create_connection((HOST, self.ports["PLAINTEXT"]), 1).close()
            return True
        except OSError:
            return False


class _Ended(BaseException):
    """A signal came before the command ran."""


def _run_command(command, env):
    child = subprocess.Popen(  # pylint: disable=consider-using-with,subprocess-popen-preexec-fn
        command, env=env, preexec_fn=lambda: before_exec(signal.SIGTERM))
    seen = []

    def forward(number, _):
        # The second signal does not ask any more.
        child.send_signal(signal.SIGKILL if seen else number)
        seen.append(number)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, forward)
    code = child.wait()
    return 128 - code if code < 0 else code


def _raise_ended(number, _):
    raise _Ended(number)


def _start_all(args):
    todo = []
    if args.nats:
        todo.append(Nats(directory=args.dir and os.path.join(args.dir, "nats"), keep=args.keep))
    for version in args.kafka:  # nobody kills these, and a machine with much to do can keep them silent for long
        todo.append(Kafka(version, keep=args.keep, heap_mb=args.heap,
                          properties={"broker.session.timeout.ms": "60000"},
                          directory=args.dir and os.path.join(args.dir, f"kafka-{version}")))
    return todo


def _environment(started):
    env = dict(os.environ)
    for broker in started:
        if isinstance(broker, Nats):
            env.update(DRAY_TEST_NATS=broker.url, DRAY_TEST_NATS_MONITOR=broker.monitor_url)
        else:
            env.setdefault("DRAY_TEST_KAFKA", broker.url)
            if broker.version.startswith("4"):
                env.setdefault("DRAY_TEST_KAFKA4", broker.url)
    return env


def main():
    parser = argparse.ArgumentParser(description="Runs a command with real brokers around it.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    run = verbs.add_parser("run")
    run.add_argument("--nats", action="store_true", help="start a nats-server")
    run.add_argument("--kafka", action="append", default=[], metavar="VERSION", help="start a Kafka node")
    run.add_argument("--heap", type=int, default=512, metavar="MB", help="heap of each Kafka node")
    run.add_argument("--keep", action="store_true", help="leave the folders of the brokers")
    run.add_argument("--dir", help="put the folders there (and leave them)")
    run.add_argument("--quiet", action="store_true")
    run.add_argument("command", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    if not command:
        parser.error("no command")
    for name in ("DRAY_TEST_NATS", "DRAY_TEST_NATS_MONITOR", "DRAY_TEST_KAFKA", "DRAY_TEST_KAFKA4"):
        os.environ.pop(name, None)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _raise_ended)

    started, begin = [], time.monotonic()
    try:
        started = _start_all(args)
        for broker in started:
            broker.launch()
        for broker in started:
            broker.wait_ready()
        if not args.quiet:
            urls = " ".join(b.url for b in started)
            print(f"brokers ready in {time.monotonic() - begin:.1f} s: {urls}", flush=True)
        return _run_command(command, _environment(started))
    except BrokerError as error:
        print(f"brokers.py: {error}", file=sys.stderr)
        return 1
    except _Ended as ended:
        return 128 + ended.args[0]
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        for broker in started:
            broker.remove()


if __name__ == "__main__":
    sys.exit(main())

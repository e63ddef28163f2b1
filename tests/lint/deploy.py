#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""Checks compose/ without a container engine: what the files say must fit each other, the tree and dray.

compose.yaml   docker-compose reads it, where it is installed (Debian 12: tests/install-deps); keys known;
               services, volumes, mounts, dependencies fit; a healthcheck runs what its image has; a
               broker writes into its volume
Dockerfile     instructions known, every COPY source there, the build folder kept out by .dockerignore
*.service      systemd-analyze verify, and its exposure score is at most EXPOSURE_MAX
worker.yaml    the built dray reads it by every command line of compose.yaml, the Dockerfile and the unit,
               and gets as far as the bus: unknown options and keys are found
prometheus.yml its targets are services
"""

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

import yaml

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
COMPOSE = os.path.join(ROOT, "compose")
SERVICE_KEYS = {"image", "build", "command", "environment", "volumes", "ports", "expose", "depends_on",
                "healthcheck", "stop_grace_period", "restart", "deploy"}
EXPOSURE_MAX = 1.5  # systemd's own scale: 0 is closed, 10 is open
INSTRUCTIONS = {"FROM", "WORKDIR", "COPY", "RUN", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL",
                "ENTRYPOINT", "CMD", "ENV", "ARG", "LABEL", "HEALTHCHECK"}


def check_service(name, service, document, problems):
    unknown = set(service) - SERVICE_KEYS
    if unknown:
        problems.append(f"{name}: unknown keys {sorted(unknown)}")
    if ("image" in service) == ("build" in service):
        problems.append(f"{name}: wants exactly one of image and build")
    if "build" in service:
        context = os.path.normpath(os.path.join(COMPOSE, service["build"]["context"]))
        if not os.path.exists(os.path.join(context, service["build"]["dockerfile"])):
            problems.append(f"{name}: no {service['build']['dockerfile']}")
    for other in service.get("depends_on", {}):
        if other not in document["services"]:
            problems.append(f"{name}: depends on {other}, which is no service")
        elif "healthcheck" not in document["services"][other]:
            problems.append(f"{name}: waits for {other} to be healthy, which has no healthcheck")
    for mount in service.get("volumes", []):
        source = mount.split(":")[0]
        if source.startswith("."):
            if not os.path.exists(os.path.join(COMPOSE, source)):
                problems.append(f"{name}: mounts {source}, which is not there")
        elif source not in document.get("volumes", {}):
            problems.append(f"{name}: volume {source} is not declared")


def check_image(name, service, problems):
    """What is known of the images of brokers."""
    image, environment = service.get("image", ""), service.get("environment", {})
    if image.startswith("nats:") and "healthcheck" in service and "-alpine" not in image:
        problems.append(f"{name}: {image} has no shell and no wget: its healthcheck cannot run")
    targets = [mount.split(":")[1] for mount in service.get("volumes", [])]
    if "kafka" in image and environment.get("KAFKA_LOG_DIRS") not in targets:
        problems.append(f"{name}: KAFKA_LOG_DIRS is in no volume, its data would be lost")
    if image.startswith("nats:") and not set(targets) & set(service.get("command", [])):
        problems.append(f"{name}: its store directory is in no volume, its data would be lost")


def check_compose(text, problems):
    document = yaml.safe_load(text)
    for name, service in document["services"].items():
        check_service(name, service, document, problems)
        check_image(name, service, problems)
        for bus in re.findall(r"(?:nats|kafka)://([\w-]+):", " ".join(service.get("command", []))):
            if bus not in document["services"]:
                problems.append(f"{name}: its bus {bus} is no service")


def check_by_compose(text, problems):
    """docker-compose's own schema; it needs no engine for that. Version 1 does not know the key `name`."""
    if shutil.which("docker-compose") is None:
        print("compose.yaml: not read by docker-compose, which is not here")
        return
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "compose.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(re.sub(r"(?m)^name:.*\n", "", text))
        ran = subprocess.run(["docker-compose", "-f", path, "config", "-q"], capture_output=True, text=True,
                             check=False)
        if ran.returncode != 0:
            problems.append(f"compose.yaml: {ran.stderr.strip()}")


def check_dockerfile(text, problems):
    text = text.replace("\\\n", " ")
    stages = set()
    for line in text.splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        word, _, rest = line.partition(" ")
        if word not in INSTRUCTIONS:
            problems.append(f"Dockerfile: unknown instruction {word}")
        if word == "FROM" and " AS " in rest:
            stages.add(rest.split(" AS ")[1])
        if word == "COPY" and not rest.startswith("--from="):
            for source in rest.split()[:-1]:
                if not os.path.exists(os.path.join(ROOT, source)):
                    problems.append(f"Dockerfile: copies {source}, which is not there")
        elif word == "COPY" and rest.split()[0].removeprefix("--from=") not in stages:
            problems.append(f"Dockerfile: copies from an unknown stage: {rest}")


def check_ignored(text, problems):
    """A build folder that is copied brings a CMake cache of other paths."""
    if "build" not in (line.strip().strip("/") for line in text.splitlines()):
        problems.append(".dockerignore: build is not in it")


def check_unit(path, problems):
    if shutil.which("systemd-analyze") is None:
        problems.append("systemd-analyze is missing: apt-get install systemd")
        return
    name = os.path.basename(path)
    with tempfile.TemporaryDirectory() as folder:
        unit = os.path.join(folder, name.replace("@.", "@1."))
        with open(path, encoding="utf-8") as file:
            text = file.read().replace("/usr/bin/dray", "/bin/true")  # not installed here
        with open(unit, "w", encoding="utf-8") as file:
            file.write(text)
        ran = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True,
                             text=True, check=False)
        problems += [f"{name}: {line}" for line in ran.stderr.splitlines() if os.path.basename(unit) in line]
        ran = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", unit],
                             capture_output=True, text=True, check=False)
        score = re.search(r"exposure level for \S+: ([0-9.]+)", ran.stdout)
        if score is None or float(score.group(1)) > EXPOSURE_MAX:
            problems.append(f"{name}: exposure {score and score.group(1)}, not at most {EXPOSURE_MAX}: "
                            f"{ran.stderr.strip()}")


def command_lines():
    """Every command line of dray in compose/, without the program."""
    services = yaml.safe_load(read("compose.yaml"))["services"]
    for name, service in services.items():
        if "build" in service:
            yield name, service["command"]
    yield "Dockerfile", json.loads(re.search(r"^CMD (\[.*\])$", read("Dockerfile"), re.MULTILINE).group(1))
    unit = read(os.path.join("systemd", "dray@.service"))
    for line in re.findall(r"^ExecStart=/usr/bin/dray (.*)$", unit, re.MULTILINE):
        yield "dray@.service", shlex.split(line.replace("%i", "1").replace("%H", "host"))


def check_worker(dray, problems):
    """Each command line and the configuration must be fine but for the bus, which is none here."""
    for where, words in command_lines():
        words = [os.path.join(COMPOSE, "worker.yaml") if word == "/etc/dray/worker.yaml" else word
                 for word in words]
        ran = subprocess.run([dray, *words, "--bus", "nonsense://x"], capture_output=True, text=True,
                             check=False, timeout=60)
        if "nonsense" not in ran.stderr:
            problems.append(f"{where}: {ran.stderr.strip()}")


def self_test():
    problems = []
    check_compose("services: {a: {image: x, depends_on: {b: {}}, volumes: ['v:/v'], colour: red}}",
                  problems)
    assert len(problems) == 3, problems
    problems = []
    check_dockerfile("FRUM x\nCOPY no-such-file /x\nCOPY --from=nobody /a /b", problems)
    assert len(problems) == 3, problems
    problems = []
    check_image("n", {"image": "nats:2.10", "healthcheck": {}, "command": ["-sd", "/data"]}, problems)
    check_image("k", {"image": "apache/kafka:1", "volumes": ["kafka:/var"]}, problems)
    check_ignored("builds\n", problems)
    assert len(problems) == 4, problems
    problems = []
    check_by_compose("services: {a: {image: x, restrat: always}}", problems)
    assert len(problems) == (shutil.which("docker-compose") is not None), problems
    print("deploy.py finds what it must find")


def read(name):
    with open(os.path.join(COMPOSE, name), encoding="utf-8") as file:
        return file.read()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("--dray")
    arguments = parser.parse_args()
    if arguments.self_test:
        self_test()
        return 0
    problems = []
    check_by_compose(read("compose.yaml"), problems)
    check_compose(read("compose.yaml"), problems)
    check_dockerfile(read("Dockerfile"), problems)
    check_ignored(read(os.path.join("..", ".dockerignore")), problems)
    scrape = yaml.safe_load(read("prometheus.yml"))["scrape_configs"]
    services = yaml.safe_load(read("compose.yaml"))["services"]
    for name in (n for job in scrape for sd in job["dns_sd_configs"] for n in sd["names"]):
        if name not in services:
            problems.append(f"prometheus.yml: scrapes {name}, which is no service")
    check_unit(os.path.join(COMPOSE, "systemd", "dray@.service"), problems)
    if arguments.dray:
        check_worker(arguments.dray, problems)
    print("\n".join(problems) if problems else "compose/ is sound")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""The cases of the Kafka transport in which its broker dies or falls silent, on a broker of their own.

usage: test_kafka_broker_dies.py [KAFKA_VERSION]

The C programs kill the broker by its pid; this one starts it again, on the same ports and data, and
writes the new pid where they look for it."""

import os
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
import brokers  # noqa: E402  pylint: disable=wrong-import-position

BUILD = os.environ.get("DRAY_TEST_BUILD", os.path.join(ROOT, "build", "dev"))
CASES = (("test_contract_kafka", "a_broker_that_dies_loses_nothing_that_it_acknowledged"),
         ("test_contract_kafka", "a_log_goes_on_where_it_was_when_the_broker_comes_back"),
         ("test_kafka_rules", "a_broker_that_is_silent_for_long_costs_nothing_but_time"),
         ("test_kafka_rules", "a_silent_broker_is_waited_for"))


def write_pid(path, pid):
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(f"{pid}\n")
    os.rename(path + ".new", path)


def run(program, case, kafka, pidfile):
    env = dict(os.environ, DRAY_TEST_KAFKA=kafka.url, DRAY_TEST_BROKER_PIDFILE=pidfile)
    path = os.path.join(BUILD, "tests", program)
    with tempfile.TemporaryFile() as log:
        child = subprocess.Popen([path, "kafka", case], env=env, stdout=log, stderr=log)
        deaths = 0
        while child.poll() is None:
            if kafka.process.poll() is not None:
                deaths += 1
                kafka.process = None
                kafka.start()
                write_pid(pidfile, kafka.pid)
            time.sleep(0.02)
        log.seek(0)
        text = log.read().decode(errors="replace")
    ran = f"[       OK ] {case}" in text
    print(f"{'ok  ' if child.returncode == 0 and ran else 'FAIL'} {case} ({deaths} deaths)", flush=True)
    if child.returncode != 0 or not ran:
        print(text[-8000:])
    return 0 if child.returncode == 0 and ran else 1


def main():
    version = sys.argv[1] if len(sys.argv) > 1 else "3.9.1"
    if not os.path.exists(os.path.join(BUILD, "tests", CASES[0][0])):
        print(f"skipped: nothing is built in {BUILD}")
        return 77
    faults = 0
    with tempfile.TemporaryDirectory(prefix="dray-dies-") as folder, brokers.Kafka(version) as kafka:
        pidfile = os.path.join(folder, "pid")
        write_pid(pidfile, kafka.pid)
        for program, case in CASES:
            faults += run(program, case, kafka, pidfile)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

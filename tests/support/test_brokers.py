#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""The brokers that the other tests trust: kill -9 and restart keep ports and data, a pause is silent,
a taken port is replaced, options arrive, and nothing stays behind.

usage: test_brokers.py [KAFKA_VERSION...]"""

import os
import socket
import subprocess
import sys
import urllib.request

import brokers


def kcat(kafka, *args, text=None):
    return subprocess.run(["kcat", "-b", kafka.bootstrap, *args], input=text, capture_output=True,
                          text=True, timeout=60, check=True).stdout


def check(what, holds):
    print(f"{'ok  ' if holds else 'FAIL'} {what}", flush=True)
    return 0 if holds else 1


def kafka_keeps_data(version):
    faults = 0
    with brokers.Kafka(version, properties="auto.create.topics.enable=true\nnum.partitions=3",
                       listeners={"SECOND": "PLAINTEXT"}) as kafka:
        directory, address, pid = kafka.dir, kafka.bootstrap, kafka.pid
        kcat(kafka, "-P", "-t", "t", "-p", "1", text="before\n")
        faults += check("a property arrives", "with 3 partitions" in kcat(kafka, "-L", "-t", "t"))
        socket.create_connection((brokers.HOST, kafka.ports["SECOND"]), 5).close()
        kafka.restart()
        faults += check("another process on the same port", kafka.pid != pid and kafka.bootstrap == address)
        got = kcat(kafka, "-C", "-t", "t", "-p", "1", "-o", "0", "-c", "1", "-e")
        faults += check("what was acknowledged survives kill -9", got == "before\n")
    return faults + check("the folder is gone", not os.path.exists(directory))


def nats_keeps_port():
    faults = 0
    with brokers.Nats(config="max_payload: 2MB") as nats:
        url = nats.url
        with socket.create_connection((brokers.HOST, nats.port), 5) as client:
            faults += check("an option arrives", b'"max_payload":2097152' in client.recv(4096))
        nats.pause()
        try:
            urllib.request.urlopen(f"{nats.monitor_url}/healthz", timeout=0.3).close()
            silent = False
        except OSError:
            silent = True
        faults += check("a paused server is silent", silent)
        nats.restart()
        faults += check("the same address after kill -9", nats.url == url)
        nats.restart(graceful=True)
    return faults


def taken_port_is_replaced():
    with socket.socket() as thief:
        thief.bind((brokers.HOST, 0))
        thief.listen()
        taken, fresh = thief.getsockname()[1], brokers.free_port
        answers = iter([taken])
        brokers.free_port = lambda: next(answers, None) or fresh()
        try:
            with brokers.Nats() as nats:
                return check("a taken port is replaced", nats.port != taken)
        finally:
            brokers.free_port = fresh


def main():
    faults = nats_keeps_port() + taken_port_is_replaced()
    versions = sys.argv[1:]
    for version in versions:
        if not os.path.isdir(os.path.join(brokers.ROOT, "build", "kafka", version, "libs")):
            print(f"skipped: Kafka {version} is not here; run tests/support/fetch-kafka")
            return 1 if faults else 77
        faults += kafka_keeps_data(version)
    return 1 if faults else 0


sys.exit(main())

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""Two replicas behind a network that delays, drips, falls silent one way and cuts connections in a request.

test_proxy.py --bus nats|kafka [--seconds N]

Only the replicas go through the proxy; who produces and who checks is connected directly. Nothing may be
lost; on Kafka the order of each key holds over both replicas.
"""

import argparse
import sys

import clients
import load as loads
import proxy as proxies
import reconcile
import workers
from workers import brokers

KEYS, WORK_MS, PER_SECOND, POISON_EVERY = 40, 5, 100, 100
TOPICS = {"commands": "commands", "results": "results", "dead_letters": "dlq.wire.commands"}


class ProxiedKafka(brokers.Kafka):
    """A broker that tells those who come through the proxy that it lives there."""

    def __init__(self, proxy):
        super().__init__(listeners={"PROXY": "PLAINTEXT"})
        self.proxy = proxy

    def _server_properties(self):
        found = super()._server_properties()
        real, told = f"PROXY://{self.address('PROXY')}", f"PROXY://{proxies.HOST}:{self.proxy.port}"
        found["advertised.listeners"] = found["advertised.listeners"].replace(real, told)
        return found


def open_broker(bus, proxy):
    return brokers.Nats() if bus == "nats" else ProxiedKafka(proxy)


def configuration(bus, proxy):
    config = workers.configuration(f"{bus}://{proxies.HOST}:{proxy.port}", "wire", TOPICS, settle_ms=100)
    if bus == "nats":
        config["nats"] = {"ack_wait_ms": 5000}
    else:
        config["kafka"] = {"session.timeout.ms": 6000, "heartbeat.interval.ms": 500,
                           "reconnect.backoff.max.ms": 1000}
    return config


def judge(client, load, replicas, proxy, codes, redelivered):
    commands, runs = load.commands, workers.runs(replicas[0].probe_log)
    report = reconcile.outcomes(commands, client.read("results"), client.read(TOPICS["dead_letters"]))
    is_kafka = client.kind == "kafka"
    order = reconcile.order(commands, runs, is_kafka, is_kafka)
    again = len(runs) - len({run.id for run in runs})
    print(report)
    print(f"{len(commands)} commands, {len(runs)} runs, {again} of them again; {redelivered} redeliveries, "
          f"{proxy.accepted} connections, faults {dict(proxy.counts)}")
    assert not report.problems, "outcomes do not fit"
    assert not order, f"order of keys: {len(order)} problems, {order[:5]}"
    assert codes == [0, 0], f"drained with {codes}"
    assert {run.worker for run in runs} == {"one", "two"}, "both replicas must have worked"
    for kind in proxies.KINDS:
        assert proxy.counts[kind] > 0, f"no fault of kind {kind} happened"
    assert proxy.cuts() >= 10, f"only {proxy.cuts()} connections were cut"
    if is_kafka:
        behind = reconcile.lag(client, "wire", "commands", commands)
        assert not behind, f"after a drain everything is committed, but {behind}"


def scenario(bus, seconds, seed):
    print(f"seed {seed} (DRAY_TEST_SEED={seed} repeats it)")
    proxy = proxies.Proxy(seed)
    with workers.Folder("proxy") as folder, open_broker(bus, proxy) as broker:
        proxy.target = (proxies.HOST, broker.port if bus == "nats" else broker.ports["PROXY"])
        proxy.start()
        client = clients.connect(broker.url)
        config = configuration(bus, proxy)
        replicas = [workers.Worker(folder, name, config) for name in ("one", "two")]
        load = loads.Load(broker.url, KEYS, WORK_MS, PER_SECOND, POISON_EVERY)
        try:
            for replica in replicas:
                replica.start().wait_ready()
            load.start()
            workers.settle_down(lambda: len(workers.runs(replicas[0].probe_log)) > 20, 120, "20 runs")
            proxy.spoil(seconds)
            commands = load.stop()
            proxy.heal()
            workers.settle_down(
                lambda: reconcile.is_complete(commands, client.read("results"),
                                              client.read(TOPICS["dead_letters"])), 240,
                "an outcome for every command")
            assert all(replica.is_running() for replica in replicas), "a replica ended by itself"
            redelivered = workers.redeliveries(replicas, commands)
            codes = [replica.stop() for replica in replicas]
            judge(client, load, replicas, proxy, codes, redelivered)
        finally:
            load.end()
            for replica in replicas:
                if replica.is_running():
                    replica.kill()
            client.close()
            proxy.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bus", choices=("nats", "kafka"), default="nats")
    parser.add_argument("--seconds", type=float, default=20)
    arguments = parser.parse_args()
    scenario(arguments.bus, arguments.seconds, reconcile.seed())
    return 0


if __name__ == "__main__":
    sys.exit(main())

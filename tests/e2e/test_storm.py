#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""A storm of rebalances on Kafka, or on nats.partitions: four replicas come and go, by TERM and by SIGKILL, under load.

Every half second to three seconds one is ended or started, drawn from the seed, while commands come in.
Then all are started, the backlog empties and they drain. Nothing may be lost, and each key keeps its order
in the runs of replicas that lived. What ran more than once is explained by what was taken from replicas:
a replica that was killed or had to let go took its unfinished work, and what was finished behind it in the
same partition but not committed, with it.

A replica that was killed is unknown to the group until its session is over, so its runs cannot overlap
those of the next owner; one that is asked to drain must be gone within DRAIN_S and exit 0.
"""

import random
import signal
import sys
import time

import clients
import load as loads
import reconcile
import workers

REPLICAS, ROUNDS, KEYS, WORK_MS, LANES, SESSION_MS, DRAIN_S = 4, 16, 40, 20, 4, 3000, 40
PER_SECOND, IN_FLIGHT = 100, 50
TOPICS = {"commands": "commands", "results": "results", "dead_letters": "dlq.storm.commands"}


class Storm:
    """What was done to the replicas, and what they said of it before they went."""

    def __init__(self, replicas, dice):
        self.replicas, self.dice = replicas, dice
        self.kills = self.drains = self.starts = 0
        self.slowest_s = self.taken = self.moved = 0

    def note(self, replica):
        """What this life had taken from it; asked before it ends."""
        self.moved += (replica.metric("dray_revocations_total") or 0) + (
            replica.metric("dray_losses_total") or 0)

    def end(self, replica):
        """One of the two ends; the work that it had in hand may run again."""
        self.note(replica)
        self.taken += (replica.metric("dray_in_flight_commands") or 0) + (
            replica.metric("dray_unacked_commands") or 0) + (replica.metric("dray_settle_gap_commands") or 0)
        is_kill = self.dice.random() < 0.4
        if self.kills == 1 or (self.drains > 0 and is_kill):
            replica.kill()
            self.kills += 1
            return
        begin = time.monotonic()
        was_ready = replica.metric("dray_ready") == 1
        code = replica.stop(DRAIN_S)
        if not was_ready and code == -signal.SIGTERM:
            return  # it was still starting and had taken nothing: that ends at once
        self.drains += 1
        self.slowest_s = max(self.slowest_s, time.monotonic() - begin)
        assert code == 0, f"{replica.name} drained with {code}:\n{replica.log()[-2000:]}"

    def start(self, replica):
        replica.start()
        self.starts += 1

    def begin(self):
        """The first one dies behind a run whose outcome nobody has: that one is delivered again."""
        doomed = self.replicas[0]
        workers.settle_down(lambda: not doomed.is_running(), 120, "the death of the first one")
        assert doomed.process.returncode == -signal.SIGKILL, doomed.log()[-2000:]
        self.kills += 1
        self.taken += 1

    def blow(self):
        for _ in range(ROUNDS):
            time.sleep(self.dice.uniform(0.5, 3))  # the storm's own pace
            replica = self.dice.choice(self.replicas)
            if not replica.is_running():
                self.start(replica)
            elif sum(r.is_running() for r in self.replicas) > 1:
                self.end(replica)

    def heal(self):
        for replica in self.replicas:
            if not replica.is_running():
                self.start(replica)
        for replica in self.replicas:
            replica.wait_ready(120)

    def calm(self):
        for replica in self.replicas:
            self.note(replica)
        return [replica.stop(DRAIN_S) for replica in self.replicas]


def judge(storm, load, runs, results, codes):
    report = reconcile.outcomes(load.commands, results, [])
    order = reconcile.order(load.commands, runs)
    ran = {}
    for run in runs:
        ran[run.id] = ran.get(run.id, 0) + 1
    again = sum(count - 1 for count in ran.values())
    print(report)
    print(f"{len(load.commands)} commands, {len(runs)} runs, {again} of them again; {storm.starts} starts, "
          f"{storm.kills} kills, {storm.drains} drains (the longest {storm.slowest_s:.1f} s), "
          f"{storm.moved:.0f} sources moved, {storm.taken:.0f} commands in hand at an end")
    assert not report.problems, "outcomes do not fit"
    assert not order, f"order of keys: {len(order)} problems, {order[:5]}"
    assert codes == [0] * REPLICAS, f"drained with {codes}"
    assert storm.kills > 1 and storm.drains > 0 and storm.moved > 0, "that was no storm"
    assert again > 0, "nothing was delivered twice, although one died behind a run"
    # At each of them every replica may have had its whole budget in hand; mostly it is far less.
    explained = IN_FLIGHT * (storm.kills + storm.drains + storm.starts)
    assert again <= explained, f"{again} runs again, {explained} can be explained"
    assert report.duplicate_results <= again, "more results twice than runs"


def scenario(protocol, seed):
    print(f"seed {seed} (DRAY_TEST_SEED={seed} repeats it)")
    dice = random.Random(seed)
    broker, more = workers.group_broker(protocol, SESSION_MS)
    with workers.Folder("storm") as folder, broker:
        client = clients.connect(broker.url)
        config = workers.configuration(broker.url, "storm", TOPICS, settle_ms=100, lanes=LANES,
                                       max_in_flight=IN_FLIGHT)
        config.update(more)
        replicas = [workers.Worker(folder, f"w{n}", config) for n in range(REPLICAS)]
        storm, load = Storm(replicas, dice), None
        try:
            for replica in replicas:
                replica.start({"DRAY_CRASH_AT": "after_handler:10"} if replica is replicas[0] else None)
            for replica in replicas:
                replica.wait_ready(120)
            load = loads.Load(broker.url, KEYS, WORK_MS, PER_SECOND,
                              partitions=workers.PARTITIONS if protocol == "nats" else 0)
            load.start()
            storm.begin()
            storm.blow()
            load.stop()
            storm.heal()
            workers.settle_down(
                lambda: reconcile.is_complete(load.commands, client.read("results"), []), 240,
                "a result for every command")
            codes = storm.calm()
            judge(storm, load, workers.runs(replicas[0].probe_log), client.read("results"), codes)
            if client.kind == "kafka":
                behind = reconcile.lag(client, "storm", "commands", load.commands)
                assert not behind, f"after a drain everything is committed, but {behind}"
        finally:
            if load is not None:
                load.end()
            for replica in replicas:
                if replica.is_running():
                    replica.kill()
            client.close()


if __name__ == "__main__":
    scenario(sys.argv[1] if len(sys.argv) > 1 else "classic", reconcile.seed())
    sys.exit(0)

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""A replica that is stopped for longer than its session, while another takes over, and then goes on.

Kafka takes a commit of any member for any partition. So the replica that wakes up could put the group's
position back to what it knew; and what it had begun it ends beside the new owner, which has begun it anew.
An independent client reads the committed positions ten times a second: they never go back. The probe's log
shows which runs are the zombie's: no more than its lanes can have begun before it was told.
"""

import signal
import sys
import threading
import time

import clients
import msgpack
import reconcile
import workers

KEYS, WORK_MS, SLOW_MS, LANES, SESSION_MS = 16, 100, 12000, 4, 3000
TOPICS = {"commands": "commands", "results": "results", "dead_letters": "dlq.zombie.commands"}


class Producer:
    """Numbers commands and remembers them."""

    def __init__(self, client):
        self.client = client
        self.commands = []

    def send(self, keys, work_ms, deaf=False):
        new = []
        for key in keys:
            number = len(self.commands) + len(new)
            payload = {"do": "sleep", "ms": work_ms, "echo": number, "deaf": deaf}
            value = msgpack.packb({"v": 1, "id": f"c-{number}", "cmd": "probe.run", "key": key,
                                   "payload": payload})
            new.append(reconcile.Command(number, reconcile.OK, key.encode(), f"c-{number}", value))
        positions = self.client.publish("commands", [(c.key, c.value, None) for c in new])
        for command, position in zip(new, positions):
            command.position = position
        self.commands += new


class Sampler(threading.Thread):
    """Reads the committed positions for as long as the scenario lasts."""

    def __init__(self, url):
        super().__init__(daemon=True)
        import confluent_kafka

        self.kafka = confluent_kafka
        # Only asks; it never joins the group.
        self.consumer = confluent_kafka.Consumer(
            {"bootstrap.servers": url.removeprefix("kafka://"), "group.id": "zombie"})
        parts = self.consumer.list_topics("commands", timeout=60).topics["commands"].partitions
        self.asked = [confluent_kafka.TopicPartition("commands", number) for number in parts]
        self.highest, self.steps_back, self.samples, self.is_over = {}, [], 0, False

    def run(self):
        while not self.is_over:
            try:
                got = self.consumer.committed(self.asked, timeout=10)
            except self.kafka.KafkaException:
                continue  # the coordinator is busy: the next look sees as much
            self.samples += 1
            for part in got:
                if part.error is not None:
                    continue
                now = max(part.offset, -1)  # -1: none yet
                before = self.highest.get(part.partition, -1)
                if now < before:
                    self.steps_back.append((part.partition, before, now))
                self.highest[part.partition] = max(before, now)
            time.sleep(0.1)  # the rate of the samples

    def stop(self):
        self.is_over = True
        self.join(60)
        self.consumer.close()


def keys_of(worker, runs, commands):
    """The keys that this worker ran last."""
    owner = {}
    for run in sorted(runs, key=lambda r: r.start_ns):
        owner[commands[int(bytes.fromhex(run.id).decode()[2:])].key.decode()] = run.worker
    return sorted(key for key, name in owner.items() if name == worker)


def is_zombies(run, worker, stop_ns, lost_ns):
    """A run of this replica that it was in, or began, while its assignment was lost unknown to it."""
    return run.worker == worker and run.end_ns > stop_ns and run.start_ns < lost_ns


def stop_in_the_middle(one, two, producer):
    """Slow commands run on the first, others wait behind and beside them; it is stopped; returns when."""
    mine = keys_of("one", workers.runs(one.probe_log), producer.commands)
    assert len(mine) > 3, f"the first replica has only the keys {mine}"
    producer.send(mine[:2], SLOW_MS, deaf=True)
    workers.settle_down(lambda: one.metric("dray_running_commands") == 2, 60, "two slow commands run")
    producer.send([f"key-{n % KEYS}" for n in range(200)], WORK_MS)
    workers.settle_down(lambda: one.metric("dray_running_commands") > 2, 60, "others run beside them")
    had = two.metric("dray_assigned_sources")
    one.process.send_signal(signal.SIGSTOP)
    stop_ns = time.monotonic_ns()
    workers.settle_down(lambda: two.metric("dray_assigned_sources") > had, 60, "the other takes over")
    ran = lambda: sum(r.worker == "two" and r.start_ns > stop_ns
                      and producer.commands[int(bytes.fromhex(r.id).decode()[2:])].key.decode() in mine
                      for r in workers.runs(one.probe_log))
    workers.settle_down(lambda: ran() >= 20, 60, "20 runs of what was the first one's")
    return stop_ns


def wake_up(one):
    """SIGCONT; returns when it was, and when the replica knew of its loss."""
    one.process.send_signal(signal.SIGCONT)
    wake_ns = time.monotonic_ns()
    workers.settle_down(lambda: (one.metric("dray_losses_total") or 0) > 0, 60, "it knows of its loss")
    lost_ns = time.monotonic_ns()
    return wake_ns, lost_ns


def judge(producer, runs, times, results):
    """Order without the zombie's runs, which are few and explained; returns the zombie's runs."""
    stop_ns, wake_ns, lost_ns = times
    zombies = [run for run in runs if is_zombies(run, "one", stop_ns, lost_ns)]
    for run in zombies:
        print(f"  zombie: {bytes.fromhex(run.id).decode()} key {run.key} from "
              f"{(run.start_ns - stop_ns) / 1e6:.0f} to {(run.end_ns - stop_ns) / 1e6:.0f} ms after the stop")
    most = LANES * (2 + (lost_ns - wake_ns) / 1e6 / WORK_MS)
    assert zombies, "nothing was under way when the replica was stopped: the scenario proves nothing"
    assert len(zombies) <= most, f"{len(zombies)} runs of the zombie, {most:.0f} can be explained"
    order = reconcile.order(producer.commands, [run for run in runs if run not in zombies])
    assert not order, f"order of keys: {len(order)} problems, {order[:5]}"
    again = {run.id for run in runs if sum(r.id == run.id for r in runs) > 1}
    twice = [bytes(msgpack.unpackb(m.value)["id"], "ascii").hex() for m in results]
    unexplained = {id_ for id_ in twice if twice.count(id_) > 1} - again
    assert not unexplained, f"results twice of commands that ran once: {unexplained}"
    return zombies, again


def scenario(protocol):
    broker, more = workers.group_broker(protocol, SESSION_MS)
    with workers.Folder("zombie") as folder, broker:
        client = clients.connect(broker.url)
        config = workers.configuration(broker.url, "zombie", TOPICS, settle_ms=100, lanes=LANES,
                                       revoke_ms=30000, stuck_ms=60000)  # slow is not given up here
        config.update(more)
        one, two = (workers.Worker(folder, name, config) for name in ("one", "two"))
        sampler = None
        try:
            for replica in (one, two):
                replica.start().wait_ready()
            workers.settle_down(lambda: all((r.metric("dray_assigned_sources") or 0) > 0 for r in (one, two)),
                                120, "sources assigned to both replicas")
            sampler = Sampler(broker.url)
            sampler.start()
            producer = Producer(client)
            producer.send([f"key-{n % KEYS}" for n in range(4 * KEYS)], 1)
            workers.settle_down(lambda: len(workers.runs(one.probe_log)) >= 4 * KEYS, 120, "the first runs")
            stop_ns = stop_in_the_middle(one, two, producer)
            wake_ns, lost_ns = wake_up(one)
            workers.settle_down(lambda: (one.metric("dray_assigned_sources") or 0) > 0, 60, "it is back")
            workers.settle_down(lambda: (one.metric("dray_stale_completions_total") or 0) > 0, 60,
                                "a completion of the assignment that was lost")
            producer.send([f"key-{n % KEYS}" for n in range(4 * KEYS)], 10)
            workers.settle_down(lambda: reconcile.is_complete(producer.commands, client.read("results"), []),
                                180, "a result for every command")
            stale = one.metric("dray_stale_completions_total")
            codes = [replica.stop() for replica in (one, two)]
            sampler.stop()
            runs, results = workers.runs(one.probe_log), client.read("results")
            report = reconcile.outcomes(producer.commands, results, [])
            print(report)
            zombies, again = judge(producer, runs, (stop_ns, wake_ns, lost_ns), results)
            print(f"{len(runs)} runs, {len(zombies)} the zombie's, {len(again)} commands more than once, "
                  f"{stale:.0f} stale completions, {sampler.samples} looks at the positions; it slept for "
                  f"{(wake_ns - stop_ns) / 1e6:.0f} ms and knew after {(lost_ns - wake_ns) / 1e6:.0f}")
            assert not report.problems, "outcomes do not fit"
            assert not sampler.steps_back, f"committed positions went back: {sampler.steps_back[:5]}"
            assert sampler.samples >= 50, "too few looks at the positions"
            assert stale > 0 and codes == [0, 0], (stale, codes)
            behind = reconcile.lag(client, "zombie", "commands", producer.commands)
            assert not behind, f"after a drain everything is committed, but {behind}"
        finally:
            for replica in (one, two):
                if replica.is_running():
                    replica.process.send_signal(signal.SIGCONT)
                    replica.kill()
            client.close()


if __name__ == "__main__":
    scenario(sys.argv[1] if len(sys.argv) > 1 else "classic")
    sys.exit(0)

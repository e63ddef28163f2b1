# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""Commands at an even rate from a thread of its own, for scenarios in which something happens meanwhile."""

import threading

import clients
import msgpack
import reconcile
from test_nats_partitions import murmur2

PORTION_S = 0.2


class Load(threading.Thread):
    """Produces probe commands that sleep for work_ms, over so many keys, until it is told to stop.

    Every poison_every-th has bytes that are no envelope. client: of the commands' topic, made on the thread.
    partitions: of JetStream, whose producers choose them.
    """

    def __init__(self, url, keys, work_ms, per_second, poison_every=0, topic="commands", partitions=0):
        super().__init__(daemon=True)
        self.partitions = partitions
        self.url, self.keys, self.work_ms, self.topic = url, keys, work_ms, topic
        self.portion, self.poison_every = max(1, int(per_second * PORTION_S)), poison_every
        self.commands, self.error = [], None
        self._is_over = threading.Event()

    def _make(self, number):
        key = f"key-{number * 7 % self.keys}"
        if self.poison_every and number % self.poison_every == self.poison_every - 1:
            return reconcile.Command(number, reconcile.MALFORMED, key.encode(), None,
                                     b"not msgpack " + number.to_bytes(4, "big"))
        value = msgpack.packb({"v": 1, "id": f"c-{number}", "cmd": "probe.run", "key": key,
                               "payload": {"do": "sleep", "ms": self.work_ms, "echo": number}})
        return reconcile.Command(number, reconcile.OK, key.encode(), f"c-{number}", value)

    def send(self, client, count):
        """Stores count more; they count as sent once the broker has them all."""
        begin = len(self.commands)
        new = [self._make(number) for number in range(begin, begin + count)]
        portions = {}
        for command in new:
            topic = f"{self.topic}.p.{murmur2(command.key) % self.partitions}" if self.partitions else self.topic
            portions.setdefault(topic, []).append(command)
        for topic, commands in portions.items():
            positions = client.publish(topic, [(c.key, c.value, None) for c in commands])
            for command, position in zip(commands, positions):
                command.position = position
        self.commands += new

    def run(self):
        client = clients.connect(self.url)
        try:
            while not self._is_over.wait(PORTION_S):
                self.send(client, self.portion)
        except Exception as error:  # pylint: disable=broad-exception-caught
            self.error = error
        finally:
            client.close()

    def end(self):
        """Stops; for the way out of a scenario."""
        self._is_over.set()

    def stop(self):
        """Stops, and checks that all went well."""
        self.end()
        self.join(180)
        assert self.error is None and not self.is_alive(), f"the load broke off: {self.error!r}"
        return self.commands

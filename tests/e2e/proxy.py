# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""A TCP proxy that does to connections what networks do, drawn from a seed.

    proxy = Proxy(seed); proxy.target = ("127.0.0.1", port)     # before the first client comes
    proxy.start(); proxy.spoil(seconds); proxy.heal(); proxy.close()

delay: each piece comes late. drip: one byte a segment. rst: both sides are reset. mid: a piece is sent to its
half, then both sides are reset. hole: one way falls silent, the other goes on, until both are reset: nothing
is ever lost from the middle of a stream, as it never is in TCP.
"""

import collections
import random
import socket
import struct
import threading
import time

HOST = "127.0.0.1"
KINDS = ("delay", "drip", "rst", "mid", "hole")
TICK_S = 0.1


class Pair:
    """A client's connection and its other half."""

    def __init__(self, proxy, client, server):
        self.proxy, self.ends = proxy, (client, server)
        self.is_over = False
        self.delay_s, self.drip_bytes, self.is_mid = 0, 0, False
        self.holes = [False, False]  # by the end that is not listened to any more
        for end in self.ends:
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            end.settimeout(TICK_S)
        for at in (0, 1):
            threading.Thread(target=self._pump, args=(at,), daemon=True).start()

    def reset(self):
        """RST to both: closed with a linger of nothing."""
        self.is_over = True
        for end in self.ends:
            try:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            except OSError:
                pass
            end.close()

    def _pump(self, at):
        source, sink = self.ends[at], self.ends[1 - at]
        try:
            while not self.is_over:
                if self.holes[at]:
                    time.sleep(TICK_S)
                    continue
                try:
                    piece = source.recv(65536)
                except TimeoutError:
                    continue
                if not piece:
                    break
                self._pass_on(piece, sink)
        except OSError:
            pass
        finally:
            self._end()

    def _pass_on(self, piece, sink):
        if self.delay_s:
            time.sleep(self.delay_s)
        if self.is_mid and len(piece) > 1:
            self._send(sink, piece[:len(piece) // 2])
            self.proxy.counts["mid"] += 1
            self.reset()
            return
        dripped = min(self.drip_bytes, len(piece))
        self.drip_bytes -= dripped
        for one in range(dripped):
            self._send(sink, piece[one:one + 1])
        self._send(sink, piece[dripped:])

    def _send(self, sink, piece):
        while piece and not self.is_over:
            try:
                piece = piece[sink.send(piece):]
            except TimeoutError:
                continue

    def _end(self):
        self.is_over = True
        for end in self.ends:
            end.close()
        self.proxy.forget(self)


class Proxy:
    """Accepts for one target."""

    def __init__(self, seed):
        self.dice, self.target = random.Random(seed), None
        self.counts = collections.Counter()
        self.accepted = 0
        self._pairs, self._lock = [], threading.Lock()
        self._listener = socket.create_server((HOST, 0))
        self._listener.settimeout(TICK_S)
        self._is_over = False
        self._thread = threading.Thread(target=self._accept, daemon=True)

    @property
    def port(self):
        return self._listener.getsockname()[1]

    def start(self):
        self._thread.start()
        return self

    def _accept(self):
        while not self._is_over:
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            try:
                server = socket.create_connection(self.target, 10)
            except OSError:
                client.close()
                continue
            self.accepted += 1
            with self._lock:
                self._pairs.append(Pair(self, client, server))

    def forget(self, pair):
        with self._lock:
            if pair in self._pairs:
                self._pairs.remove(pair)

    def pairs(self):
        with self._lock:
            return list(self._pairs)

    def _do(self, kind, pair):
        if kind == "delay":
            pair.delay_s = self.dice.uniform(0.02, 0.2)
        elif kind == "drip":
            pair.drip_bytes = self.dice.randrange(500, 3000)
        elif kind == "mid":
            pair.is_mid = True
            return  # counted when it has happened
        elif kind == "hole":
            pair.holes[self.dice.randrange(2)] = True
            threading.Timer(self.dice.uniform(1, 3), pair.reset).start()
        else:
            pair.reset()
        self.counts[kind] += 1

    def spoil(self, seconds):
        """One fault after the other, to connections that there are; each kind in turn, each pair by chance."""
        until = time.monotonic() + seconds
        turn = 0
        while time.monotonic() < until:
            pairs = self.pairs()
            if pairs:
                self._do(KINDS[turn % len(KINDS)], self.dice.choice(pairs))
                turn += 1
            time.sleep(self.dice.uniform(0.1, 0.6))  # the pace of the faults

    def heal(self):
        """New connections are good; the old ones go."""
        for pair in self.pairs():
            pair.reset()

    def cuts(self):
        return self.counts["rst"] + self.counts["mid"] + self.counts["hole"]

    def close(self):
        self._is_over = True
        self._listener.close()
        self.heal()

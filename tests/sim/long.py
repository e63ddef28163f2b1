#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Copyright 2026 The dray authors
"""Plays a long range of seeds on all processors.

The range is cut into pieces, and each piece is a process of its own: an assertion in the product ends one,
and the piece goes on behind the seed that failed. Every seed that fails is one line, told at once, that
repeats it. At the end the counts of all pieces are added up, line by line as `simulate` prints them; a fault
that never happened in 1,000 seeds or more is a failure, since nothing was proven about it.

usage: long.py PROGRAM FROM..TO [arguments of simulate]      usually by tests/sim/run --long
"""

import concurrent.futures
import os
import re
import subprocess
import sys
import threading

PIECE = 500
ENOUGH_FOR_ALL_FAULTS = 1000
NUMBER = re.compile(r"\d+(?:\.\d+)?")
FAILED = re.compile(r"^FAIL  .* --seed (\d+) ")


class Totals:
    """Sums of lines that differ in their numbers only, in the order in which the first process told them."""

    def __init__(self):
        self.lines = {}

    def add(self, line):
        numbers = [float(n) for n in NUMBER.findall(line)]
        form = NUMBER.sub("#", line).strip()
        before = self.lines.setdefault(form, [0.0] * len(numbers))
        self.lines[form] = [one + two for one, two in zip(before, numbers)]

    def text(self):
        for form, numbers in self.lines.items():
            left = iter(numbers)
            is_fault = form.startswith("# ") and len(numbers) == 1
            line = re.sub("#", lambda _: f"{next(left):,.0f}", form)
            yield "{:>16}  {}".format(*line.split(None, 1)) if is_fault else line

    def missing(self):
        """Faults, and what the nemesis does, that never happened."""
        for form, numbers in self.lines.items():
            if form.startswith("# ") and len(numbers) == 1:
                if numbers[0] == 0:
                    yield form[2:].strip()
            elif form.startswith("nemesis:"):
                names = form.replace("nemesis:", "").replace("#", "").split()
                yield from (name for name, count in zip(names, numbers) if count == 0)


class Run:
    def __init__(self, program, rest, count):
        self.program, self.rest, self.count = program, rest, count
        self.lock = threading.Lock()
        self.totals, self.failures, self.done = Totals(), [], 0

    def take(self, line):
        """A line of a process. Gives the seed when it is one that failed."""
        failed = FAILED.match(line)
        with self.lock:
            if failed:
                self.failures.append(line)
                print(line, flush=True)
                return int(failed[1])
            if not line.startswith(("faults:", "never happened:")):
                self.totals.add(line)
        return None

    def play(self, first, last):
        """One piece. A process that stopped early, by an assertion or at ten failures, is followed by another."""
        begin = first
        while begin <= last:
            command = ["nice", "-n", "19", self.program, "--seeds", f"{begin}..{last}", *self.rest]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
            seeds = [seed for seed in map(self.take, done.stdout.splitlines()) if seed is not None]
            if done.returncode not in (0, 1) or (done.returncode == 1 and not seeds):
                raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stdout[-500:]}")
            stopped = done.returncode == 1 and (len(seeds) >= 10 or " plays (" not in done.stdout)
            begin = seeds[-1] + 1 if stopped else last + 1
        with self.lock:
            self.done += last - first + 1
            if self.done % (20 * PIECE) == 0:
                print(f"{self.done:,} of {self.count:,} seeds, {len(self.failures)} failures", flush=True)


def main():
    if len(sys.argv) < 3 or not re.fullmatch(r"\d+\.\.\d+", sys.argv[2]):
        sys.exit(__doc__)
    first, last = map(int, sys.argv[2].split(".."))
    os.environ.pop("DRAY_SIM_SEEDS", None)
    run = Run(sys.argv[1], sys.argv[3:], last - first + 1)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        pieces = [pool.submit(run.play, begin, min(begin + PIECE - 1, last))
                  for begin in range(first, last + 1, PIECE)]
        for piece in pieces:
            piece.result()
    print("\n".join(run.totals.text()))
    missing = list(run.totals.missing()) if run.count >= ENOUGH_FOR_ALL_FAULTS else []
    for what in missing:
        print(f"never happened: {what}")
    print(f"{run.count:,} seeds, {len(run.failures)} failures", flush=True)
    return 1 if run.failures or missing else 0


if __name__ == "__main__":
    sys.exit(main())

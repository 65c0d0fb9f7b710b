#!/usr/bin/python3
"""Lets an octroi serve for long, below what it holds, and looks whether it grows.

    OCTROI_BUILD=build tests/soak/soak.py [--minutes 60] [--share 0.7] [--rate N]      # make soak

First it finds how many calls per second are answered when the clients of tests/history ask as fast as they are answered.
Then they ask at that share of it, whether they are answered or not, the same mix: holds, settlements, charges,
adjustments, reading, repetitions.  Every --interval seconds a sample of octroi is taken: resident memory, threads,
descriptors, and the database's connections.  Every --round minutes the clients are replaced, on new accounts, and what
they were answered is held against the ledger's tables while the next ones ask.  At the end the ledger is audited.

The verdict compares the last quarter of the samples with the second one: what is kept after each request shows there,
and what grows at first, and then no more, does not.
"""

import argparse
import collections
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / name) for name in ("lib", "model", "history")]

from client import Load  # noqa: E402
from octroi import Octroi  # noqa: E402

CHECKER = TESTS / "history" / "checker.py"
AUDIT_SECONDS = 3600
CONNECTIONS = 16  # of each client
WARM = 500  # answers before anything is measured

Sample = collections.namedtuple("Sample", "seconds answers memory_kib threads descriptors connections")

# How much more the median of the last quarter may be than that of the second one: a share of it, or so many.
SLACK = {"memory_kib": (0.05, 2048), "threads": (0, 0), "descriptors": (0, 5), "connections": (0, 2)}


def growth(samples):
    """Growth, in words; empty when all is flat."""
    quarter = len(samples) // 4
    assert quarter >= 3, f"{len(samples)} samples say nothing"
    found = []
    for name, (share, least) in SLACK.items():
        before, after = (statistics.median(getattr(sample, name) for sample in part)
                         for part in (samples[quarter:2 * quarter], samples[-quarter:]))
        if after > before + max(before * share, least):
            found.append(f"{name} grew from {before:.0f} to {after:.0f}")
    return found


class Soak:
    """problems: what the checks of the histories said; samples; counts of operations by their fate."""

    def __init__(self, o, say=lambda text: None):
        self.o, self.say = o, say
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="octroi-soak-"))
        self.samples, self.problems, self.counts = [], [], collections.Counter()
        self._began = time.monotonic()
        self._answered = 0  # by the clients before these
        self._checks = []  # (process, its output, directory of the history)
        self._loads = 0

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        for process, output, _ in self._checks:
            process.kill()
            process.wait()
            output.close()
        shutil.rmtree(self.directory)

    def throughput(self, seconds):
        """Calls per second that are answered when nobody waits."""
        load = self._load(0)
        try:
            load.wait_for(WARM)
            began, before = time.monotonic(), load.answers()
            time.sleep(seconds)
            return (load.answers() - before) / (time.monotonic() - began)
        finally:
            self._end(load)

    def run(self, rate, count, per_round, wait):
        """Takes so many samples, wait(load) before each, with new clients after each per_round of them."""
        load = self._load(rate)
        try:
            for n in range(count):
                if n > 0 and n % per_round == 0:
                    before, load = load, self._load(rate)
                    self._end(before)
                wait(load)
                self.samples.append(self._sample(load))
                self.say(self.line(n))
        finally:
            self._end(load)
        self._collect()
        self.say("audit …")
        done = self.o.ctl("audit", check=False, timeout=AUDIT_SECONDS)
        if done.returncode != 0:
            self.problems.append(f"octroictl audit: {done.stdout}{done.stderr}")

    def _load(self, rate):
        self._loads += 1
        directory = self.directory / str(self._loads)
        directory.mkdir()
        return Load(self.o, directory, connections=CONNECTIONS, seed=self._loads, rate=rate).start()

    def _end(self, load):
        """Ends these clients, and begins to check what they were answered."""
        load.stop()
        self._answered += load.answers()
        output = open(load.directory / "check", "w+", encoding="utf-8")
        self._checks.append((subprocess.Popen(
            ["nice", sys.executable, CHECKER, "--socket", self.o.env["OCTROI_DB_SOCKET"], "--name", self.o.env["OCTROI_DB_NAME"],
             *load.files], stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT), output, load.directory))

    def _collect(self):
        """The checks' results; the histories are not needed any more."""
        while self._checks:
            process, output, directory = self._checks[0]
            status = process.wait()
            output.seek(0)
            lines = output.read().splitlines()
            for number, what in re.findall(r"(\d+) (\w+)", lines[-1] if lines else ""):
                self.counts[what] += int(number)
            if status != 0:
                self.problems += lines[:50] or [f"the checker ended with {status}"]
            output.close()
            self._checks.pop(0)
            shutil.rmtree(directory)

    def _sample(self, load):
        process = pathlib.Path(f"/proc/{self.o.pid}")
        status = (process / "status").read_text()
        (_, connections), = self.o.sql("SHOW STATUS LIKE 'Threads_connected'")
        return Sample(time.monotonic() - self._began, self._answered + load.answers(),
                      *(int(re.search(rf"^{field}:\s+(\d+)", status, re.M)[1]) for field in ("VmRSS", "Threads")),
                      sum(1 for _ in (process / "fd").iterdir()), int(connections))

    HEAD = f"{'minutes':>8} {'answers':>10} {'per second':>10} {'MiB':>7} {'threads':>7} {'descriptors':>11} {'connections':>11}"

    def line(self, n, since=1):
        """A sample as a line; how many were answered per second since the since-th before it."""
        now, before = self.samples[n], self.samples[n - since] if n >= since else Sample(0, 0, 0, 0, 0, 0)
        speed = (now.answers - before.answers) / (now.seconds - before.seconds)
        return (f"{now.seconds / 60:8.1f} {now.answers:10} {speed:10.0f} {now.memory_kib / 1024:7.1f} {now.threads:7}"
                f" {now.descriptors:11} {now.connections:11}")

    def verdict(self):
        """Findings; empty when there are none."""
        return growth(self.samples) + self.problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--interval", type=float, default=30, help="seconds between two samples (default 30)")
    parser.add_argument("--round", type=float, default=10, help="minutes of the same clients (default 10)")
    parser.add_argument("--share", type=float, default=0.7, help="of what is held (default 0.7)")
    parser.add_argument("--rate", type=float, help="calls per second, instead of a share")
    options = parser.parse_args()
    with Octroi("nginx", audit=False) as o, Soak(o, lambda text: print(text, flush=True)) as soak:
        rate = options.rate
        if not rate:
            held = soak.throughput(10)
            rate = held * options.share
            print(f"{held:.0f} calls per second are held; {rate:.0f} are asked", flush=True)
        print(soak.HEAD)
        began, turns = time.monotonic(), iter(range(1, 1 << 30))

        def wait(load):
            time.sleep(max(0, began + next(turns) * options.interval - time.monotonic()))
            assert load.failed() == 0, "a client has failed"
        soak.run(rate, round(options.minutes * 60 / options.interval), round(options.round * 60 / options.interval), wait)
        verdict = soak.verdict()
        each = max(1, round(300 / options.interval))
        print("\n".join(["", soak.HEAD, *(soak.line(n, each) for n in range(each - 1, len(soak.samples), each))]))
        print("; ".join(f"{count} {what}" for what, count in sorted(soak.counts.items())))
        print("\n".join(verdict) or "flat; the histories and the audit have no problem")
    return 1 if verdict else 0


if __name__ == "__main__":
    sys.exit(main())

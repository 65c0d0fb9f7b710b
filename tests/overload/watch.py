"""Costs of a process while something is done to it, and how long the calls of a history took."""

import pathlib
import re
import threading

from client import UNKNOWN

EVERY_SECONDS = 0.05


def resident_kib(pid):
    return int(re.search(r"^VmRSS:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)[1])


def descriptors(pid):
    """0 for who may not look: octroi shows them to root only."""
    try:
        return sum(1 for _ in pathlib.Path(f"/proc/{pid}/fd").iterdir())
    except PermissionError:
        return 0


class Watch:
    """Looks at a process again and again, between entering and leaving."""

    def __init__(self, pid):
        self.pid = pid
        self.resident_max = self.descriptors_max = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def now(self):
        resident, count = resident_kib(self.pid), descriptors(self.pid)
        self.resident_max = max(self.resident_max, resident)
        self.descriptors_max = max(self.descriptors_max, count)
        return resident, count

    def _run(self):
        while not self._stop.wait(EVERY_SECONDS):
            self.now()

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exception):
        self._stop.set()
        self._thread.join()


class Calls:
    """(sent, seconds, status) of every call of some history files that has come to an end."""

    def __init__(self, files):
        self.calls = []
        for path in files:
            sent = {}
            with open(path, encoding="ascii") as file:
                for line in file:
                    what, ns, name, attempt, _, status, _ = line.split("\t", 6)
                    if what == "C":
                        sent[attempt] = int(ns)
                    else:
                        begun = sent.pop(attempt)
                        self.calls.append((begun, (int(ns) - begun) / 1e9, int(status)))

    def between(self, window):
        return [call for call in self.calls if window[0] <= call[0] < window[1]]

    def p99(self, window):
        """Of what was answered; None when nothing was."""
        seconds = sorted(taken for _, taken, status in self.between(window) if status not in UNKNOWN)
        return seconds[min(len(seconds) - 1, len(seconds) * 99 // 100)] if seconds else None

    def longest(self, window):
        return max((taken for _, taken, _ in self.between(window)), default=0.0)

    def without_answer(self):
        return sum(status in UNKNOWN for _, _, status in self.calls)

#!/usr/bin/python3
"""How much of what a FastCGI responder that does nothing holds does the guard hold?

    OCTROI_BUILD=build tests/bench/bench.py [--seconds 2] [--rounds 3] [--accounts 100000] [--connections 16,64,256]

Both stand behind nginx with the same configuration, and one thread of wrk asks both the same: to
authorize, then to settle what was granted.  Everything runs on this one machine, so wrk, nginx and the
database take their share of it; compare the ratio, not the figures, with another machine's.  What is compared is
measured in turn, several times, and the medians are shown, because a machine is seldom at rest.  The database is
durable (innodb_flush_log_at_trx_commit = 1).  Prints a table; the exit status says whether all was answered as it
should be and the ledger is sound.
"""

import argparse
import pathlib
import shutil
import statistics
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

from octroi import Octroi, build_dir, wait_until  # noqa: E402
from second import Second  # noqa: E402
from swarm import Swarm  # noqa: E402

SCRIPT = pathlib.Path(__file__).with_name("guard.lua")
NULL_THREADS = 400


class Null(Second):
    """The responder that does nothing, behind an nginx with octroi's configuration."""

    def _start_octroi(self, state):
        program = shutil.copy(build_dir() / "tests" / "bench" / "null_responder", self.home)
        process = self._launch("null", [program, str(self.run / "internal.sock"), str(NULL_THREADS)])
        wait_until(lambda: (self.run / "internal.sock").exists(), 10, "the null responder")
        return process.pid


def fund(o, accounts):
    """Makes bench:1 to bench:N, each with plenty."""
    with Swarm([o.internal_url], 64) as swarm:
        for first in range(1, accounts + 1, 10_000):
            answers = swarm.run(swarm.request("POST", f"/api/accounts/bench:{i}/transactions", o.keys["admin"], {
                "type": "ADJUSTMENT", "amountMicros": 10**15, "description": "bench", "requestId": "bench"})
                for i in range(first, min(first + 10_000, accounts + 1)))
            assert {a.status for a in answers} <= {200, 201}, answers[0]


def wrk(url, connections, seconds, key, accounts, mode):
    """Requests per second, p50 and p99 in ms, answers that were no success, and broken connections."""
    done = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(SCRIPT), url, "--",
                           key, str(accounts), mode], stdout=subprocess.PIPE, text=True, check=True, timeout=seconds + 60)
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT"))
    requests, micros, p50, p99, refused, broken = map(int, line.split()[1:])
    return requests * 1e6 / micros, p50 / 1000, p99 / 1000, refused, broken


def measure(o, null, options, connections):
    """Prints the rows of one number of connections; how many answers were not as they should be."""
    kinds = {"null": (null.internal_url, 1, "null"), "many": (o.internal_url, options.accounts, "octroi"),
             "one": (o.internal_url, 1, "octroi")}
    found = {kind: [] for kind in kinds}
    for _ in range(options.rounds):
        for kind, (url, accounts, mode) in kinds.items():
            found[kind].append(wrk(url, connections, options.seconds, o.keys["guard"], accounts, mode))
    bad = 0
    for kind in ("many", "one"):
        rate, p50, p99 = (statistics.median(column) for column in list(zip(*found[kind]))[:3])
        ceiling, _, null_p99 = (statistics.median(column) for column in list(zip(*found["null"]))[:3])
        ratio = statistics.median(ours[0] / nulls[0] for ours, nulls in zip(found[kind], found["null"]))
        refused, broken = (sum(column) for column in list(zip(*found[kind]))[3:])
        bad += refused + broken
        print(f"{connections:11} {kinds[kind][1]:9} {rate:11.0f} {p50:8.2f} {p99:8.2f} {ceiling:8.0f} {null_p99:8.2f} {ratio:6.2f}"
              + (f"  {refused} refused, {broken} broken" if refused + broken else ""), flush=True)
    return bad


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=2, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each kind")
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--connections", default="16,64,256")
    parser.add_argument("--threads", type=int, default=0, help="octroi's workers (its default otherwise)")
    options = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("wrk is missing: apt-get install wrk")
    failures = 0
    with Octroi("nginx", settings={"threads": options.threads, "log_level": "warning"}) as o, Null(o) as null:
        fund(o, options.accounts)
        print(f"{'connections':>11} {'accounts':>9} {'requests/s':>11} {'p50 ms':>8} {'p99 ms':>8} {'null/s':>8}"
              f" {'p99 ms':>8} {'ratio':>6}")
        for connections in map(int, options.connections.split(",")):
            failures += measure(o, null, options, connections)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

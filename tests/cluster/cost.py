#!/usr/bin/python3
"""Processor time and rate of a guard call, on one server and on several.

    make bench-cluster
    OCTROI_BUILD=build tests/cluster/cost.py [--seconds 5] [--rounds 3] [--sides single,pair,galera,parts-2]

Each topology of docs/many-machines.md runs on this one machine, in network namespaces, and is loaded by wrk in turn, round
after round.  Half of the calls authorize, half settle.  A rate on one machine says little of several, because all servers
share its cores.  The processor time of octroi and of all databases together, for each call, says what the machines pay.
Each part has a wrk of its own.  At the end every call was answered 200 and every ledger passes the audit, or the exit
status is 1.  Needs root, for network namespaces, and wrk.
"""

import argparse
import concurrent.futures
import contextlib
import pathlib
import shutil
import statistics
import sys

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / name) for name in ("lib", "bench", "cluster")]

import growth  # noqa: E402
import load  # noqa: E402
from nodes import Base, Network, Nodes, why_no_galera, why_no_namespaces  # noqa: E402
from spider import Spider, why_no_spider  # noqa: E402

ACCOUNTS = 10_000
# Large enough that no server waits for its checkpoint.
LARGE = "innodb_buffer_pool_size = 256M\ninnodb_log_file_size = 512M\n"
# Kind, servers and octroi.
SIDES = {"single": ("single", 1, 1), "pair": ("replication", 2, 1), "galera": ("galera", 3, 1),
         "parts-2": ("single", 1, 2), "parts-4": ("single", 1, 4), "spider": ("spider", 3, 1), "spider-xa": ("spider-xa", 3, 1)}


class Part:
    """An octroi with its servers, as tests/bench/load.py wants it."""

    mode = "octroi"

    def __init__(self, base, topology, count, number, stack):
        more = {"namespaces": True, "first": number, "more": LARGE}
        if topology.startswith("spider"):
            self.nodes = stack.enter_context(Spider(base, count, xa=int(topology == "spider-xa"), **more))
        else:
            self.nodes = stack.enter_context(Nodes(base, count, topology, **more))
        self.nodes.start()
        if topology == "replication":
            self.nodes.take_over()
        octroi = stack.enter_context(self.nodes.octroi(log_level="warning"))
        self.url, self.keys = octroi.internal_url, base.first.keys
        self.parts = {"octroi": octroi.pid, "nginx": octroi.server_pid,
                      **{f"database {node.number}": node.process.pid for node in self.nodes}}

    def audit(self):
        done = self.nodes.ctl("audit", check=False)
        if done.returncode != 0:
            print(done.stdout, file=sys.stderr)
        return done.returncode == 0


class Side:
    """Parts that are loaded at once."""

    def __init__(self, base, topology, count, parts, number, stack):
        self.parts = [Part(base, topology, count, number + n * count, stack) for n in range(parts)]

    def run(self, options):
        """A Run of all parts together."""
        with concurrent.futures.ThreadPoolExecutor(len(self.parts)) as pool:
            runs = list(pool.map(lambda part: load.wrk(part, options.connections, options.seconds,
                                                       part.keys["guard"], ACCOUNTS), self.parts))
        requests = sum(run.requests for run in runs)
        cpu = {"octroi": 0.0, "databases": 0.0, "nginx": 0.0}
        for run in runs:
            for part, us in run.cpu_us.items():
                name = "databases" if part.startswith("database") else part
                if name in cpu:
                    cpu[name] += us * run.requests / requests
        return load.Run(sum(run.rate for run in runs), 0, max(run.p99_ms for run in runs), requests,
                        sum(run.refused for run in runs), sum(run.broken for run in runs), cpu)


def show(found):
    first = next(iter(found.values()))
    print("| | requests a second | of the first | octroi, µs | databases, µs | together, of the first | p99, ms |\n|---|---|---|---|---|---|---|")

    def middle(values):
        return statistics.median(list(values))

    def together(run):
        return run.cpu_us["octroi"] + run.cpu_us["databases"]
    for name, runs in found.items():
        print(f"| {name} | {middle(run.rate for run in runs):,.0f} | {load.ratio(runs, first):.2f} | "
              f"{middle(run.cpu_us['octroi'] for run in runs):.0f} | {middle(run.cpu_us['databases'] for run in runs):.0f} | "
              f"{middle(together(a) / together(b) for a, b in zip(runs, first)):.2f} | {middle(run.p99_ms for run in runs):.0f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=5, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=64, help="of each part")
    parser.add_argument("--sides", default="single,pair,galera,parts-2,parts-4", help=", ".join(SIDES))
    options = parser.parse_args()
    sides = options.sides.split(",")
    missing = (why_no_namespaces() or ("galera" in sides and why_no_galera()) or
               (any(side.startswith("spider") for side in sides) and why_no_spider()) or (not shutil.which("wrk") and "there is no wrk"))
    if missing:
        sys.exit(missing)
    if set(sides) - set(SIDES):
        parser.error(f"unknown: {', '.join(set(sides) - set(SIDES))}")
    Network.enter()
    with contextlib.ExitStack() as stack:
        base = stack.enter_context(Base(fill=lambda octroi: growth.grow(octroi, ACCOUNTS, load.BALANCE_MICROS, 0, 0)))
        made, number = {}, 1
        for name in sides:
            topology, count, parts = SIDES[name]
            made[name] = Side(base, topology, count, parts, number, stack)
            number += count * parts
        for name, side in made.items():  # everything is in memory
            side.run(options)
        found = load.in_turn(options.rounds, {name: lambda side=side: side.run(options) for name, side in made.items()})
        show(found)
        bad = sum(run.refused + run.broken for runs in found.values() for run in runs)
        clean = [part.audit() for side in made.values() for part in side.parts]
    print(f"{bad} calls were not answered 200; {clean.count(True)} of {len(clean)} ledgers are clean")
    return 1 if bad or not all(clean) else 0


if __name__ == "__main__":
    sys.exit(main())

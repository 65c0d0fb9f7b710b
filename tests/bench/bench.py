#!/usr/bin/python3
"""How much of what a FastCGI responder that does nothing holds does the guard hold, and what does it cost?

    make bench                          the short form, a few minutes
    make bench-all                      everything that BENCHMARKS.md shows
    OCTROI_BUILD=build tests/bench/bench.py --only guard --connections 64 --sides null,octroi

Compared side by side, behind nginx with the same configuration and on the same durable MariaDB
(innodb_flush_log_at_trx_commit = 1): a responder that does nothing (null), octroi with batches of one ("one by one"),
the same guard in PHP, and octroi.  wrk, nginx and the database take their share of this one machine, so compare
ratios, not figures, with another machine's.  What is compared is measured in turn, several times, and the medians are
shown.

Each measurement leaves BUILD/bench/NAME.json; publish.py makes BENCHMARKS.md's tables and pictures of these.  The exit
status says whether all was answered as it should be; the ledgers are audited at the end.
"""

import argparse
import contextlib
import json
import os
import pathlib
import shutil
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

import growth  # noqa: E402
import instructions  # noqa: E402
import load  # noqa: E402
import machine  # noqa: E402
import measures  # noqa: E402
import sides  # noqa: E402
from octroi import Octroi, build_dir  # noqa: E402

MEASUREMENTS = {
    "guard": measures.guard,
    "credits": measures.credits,
    "one-connection": measures.one_connection,
    "conditions": measures.conditions,
    "alerts": measures.alerts,
    "pages": measures.pages,
    "memory": measures.memory,
    "instructions": instructions.measure,
    "growth": growth.measure,
}
SIDES = {
    "null": lambda o, options: sides.Null(o),
    "one by one": lambda o, options: sides.OneByOne(o),
    "php": lambda o, options: sides.Php(o, options.accounts, load.BALANCE_MICROS, options.php_children),
    "octroi": lambda o, options: contextlib.nullcontext(sides.Reference(o)),
}
# The grown ledger fits into the buffer pool where the machine has 24 GiB; of a smaller one it is a quarter.
BUFFER_POOL_MIB = min(6144, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4 >> 20)
DB_SETTINGS = {"max_connections": 400, "innodb_buffer_pool_size": f"{BUFFER_POOL_MIB}M", "innodb_log_file_size": "1G"}


class Bench:
    """The options, octroi and what it is compared with, all running; bad counts what was not answered as it should be."""

    def __init__(self, options, o, stack):
        self.options, self.o, self.bad, self.machine = options, o, 0, machine.shape(o)
        self.sides = {name: stack.enter_context(SIDES[name](o, options)) for name in options.sides}

    def load(self, side, connections, accounts, work="guard", key="guard"):
        run = load.wrk(side, connections, self.options.seconds, side.keys[key], accounts, work)
        self.bad += run.refused + run.broken
        return run

    def another(self):
        """One more octroi, with a database of its own."""
        return start_octroi(self.options, audit=False)

    def keep(self, name, found):
        """Leaves a measurement's data as JSON."""
        directory = build_dir() / "bench"
        directory.mkdir(exist_ok=True)
        (directory / f"{name}.json").write_text(json.dumps({
            "machine": self.machine, "options": vars(self.options), **found}, indent=1) + "\n")


def start_octroi(options, **more):
    """An octroi as all measurements have it."""
    return Octroi("nginx", settings={"threads": options.threads, "log_level": "warning"}, db_settings=DB_SETTINGS, **more)


def parse(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="guard,credits,one-connection", help=", ".join(MEASUREMENTS) + ", or all")
    parser.add_argument("--sides", default="null,one by one,php,octroi")
    parser.add_argument("--seconds", type=int, default=2, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each kind")
    parser.add_argument("--accounts", type=int, default=100_000)
    parser.add_argument("--connections", default="16,64,256")
    parser.add_argument("--singles", type=int, default=300, help="requests of each kind and round, one after the other")
    parser.add_argument("--pages", type=int, default=1000, help="billing pages that are open")
    parser.add_argument("--memory-requests", type=int, default=2_000_000)
    parser.add_argument("--instruction-requests", type=int, default=300)
    parser.add_argument("--grown-accounts", type=int, default=1_000_000)
    parser.add_argument("--grown-usages", type=int, default=8, help="of each of these accounts")
    parser.add_argument("--grown-depth", type=int, default=1_000_000, help="transactions of one account")
    parser.add_argument("--threads", type=int, default=0, help="octroi's workers (its default otherwise)")
    parser.add_argument("--php-children", type=int, default=sides.PHP_CHILDREN)
    options = parser.parse_args(arguments)
    options.only = list(MEASUREMENTS) if options.only == "all" else options.only.split(",")
    options.sides = options.sides.split(",")
    options.connections = [int(text) for text in options.connections.split(",")]
    for name, known in ((options.only, MEASUREMENTS), (options.sides, SIDES)):
        if set(name) - set(known):
            parser.error(f"unknown: {', '.join(set(name) - set(known))}")
    return options


def check_tools(options):
    try:
        build = build_dir()
    except RuntimeError as missing:
        sys.exit(str(missing))
    for program in ("grow", "null_responder"):
        if not (build / "tests" / "bench" / program).is_file():
            sys.exit(f"tests/bench/{program} is missing: make -C {build} check-programs")
    needed = {"wrk": "wrk"}
    if "instructions" in options.only:
        needed["valgrind"] = "valgrind"
    for command, package in needed.items():
        if not shutil.which(command):
            sys.exit(f"{command} is missing: apt-get install {package}")
    if "php" in options.sides and sides.php_fpm() is None:
        sys.exit("PHP-FPM with PDO is missing: apt-get install php-fpm php-mysql (or leave php out of --sides)")


def main():
    options = parse()
    check_tools(options)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # everything that was started is stopped
    with start_octroi(options) as o:
        growth.grow(o, options.accounts, load.BALANCE_MICROS)
        with contextlib.ExitStack() as stack:
            bench = Bench(options, o, stack)
            for name in options.only:
                MEASUREMENTS[name](bench)
    if bench.bad:
        print(f"{bench.bad} requests were not answered as they should be")
    return 1 if bench.bad else 0


if __name__ == "__main__":
    sys.exit(main())

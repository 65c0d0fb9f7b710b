#!/usr/bin/python3
"""Kills, stops and cuts parts of an octroi under load, and looks whether anything was lost, done twice or invented.

    OCTROI_BUILD=build tests/crash/crash.py [--octroi N] [--mariadbd N] [--pauses N] [--nginx N] [--cuts N] [--orders N]

Cycles of all kinds are mixed by --seed.  After every --round cycles the load is ended, everything that was called and
answered is held against the ledger's tables (tests/history) and `octroictl audit` is run; then it goes on with
new accounts.  The end is a table of how long it took, from the fault until something was answered that had been
asked after it (of a pause: after its end), and the number of operations and of problems.

  octroi    kill -9: half of them at any time, half while the database is made to wait at one of POINTS
  orders    kill -9 of octroi between an order and Stripe, before or after Stripe has the customer or the session
  mariadbd  kill -9
  pauses    SIGSTOP of octroi or mariadbd for up to --pause seconds
  nginx     reloaded, restarted in an orderly way, or killed
  cuts      of the line to the database before, during and after each of STATEMENTS
"""

import argparse
import collections
import contextlib
import http.client
import itertools
import os
import pathlib
import random
import shutil
import signal
import statistics
import sys
import tempfile
import threading
import time

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / name) for name in ("lib", "model", "history")] + [str(TESTS)]

from checker import check  # noqa: E402
from client import Load  # noqa: E402
from fake_stripe import FakeStripe  # noqa: E402
from guard import key_of  # noqa: E402
from interposer import AFTER, BEFORE, DURING, Interposer  # noqa: E402
from octroi import Octroi, wait_until  # noqa: E402

KINDS = ("octroi", "orders", "mariadbd", "pauses", "nginx", "cuts")
LOCK, GRANTS, COMMIT = b"FOR UPDATE", b"remaining_micros>0", b"COMMIT"
POINTS = {  # of octroi: name: (statement, moment)
    "prefetched": (LOCK, AFTER),
    "before commit": (COMMIT, BEFORE),
    "in commit": (COMMIT, DURING),
    "committed, not answered": (COMMIT, AFTER),
}
STATEMENTS = {"lock": LOCK, "grants": GRANTS, "commit": COMMIT, "any": b""}
CUTS = [(name, moment) for name in STATEMENTS for moment in (BEFORE, DURING, AFTER)]
STRIPE_POINTS = list(itertools.product((r"/v1/customers", r"/v1/checkout/sessions"), ("before", "after")))
# Time for whoever is answered too early to be answered, before octroi is killed.
HELD_SECONDS = 0.1
SETTINGS = {"request_timeout_ms": 5000, "db_timeout_ms": 2500}


class Trial:
    def __init__(self, o, between, stripe, seed, pause_max):
        self.o, self.between, self.stripe = o, between, stripe
        self.random = random.Random(seed)
        self.pause_max = pause_max
        self.seconds = collections.defaultdict(list)  # what was done: how long until it was answered again
        self.counts = collections.Counter()
        self.problems = []
        self.turns = collections.defaultdict(itertools.count)

    def turn(self, what, choices):
        """Each of them in turn."""
        return choices[next(self.turns[what]) % len(choices)]

    def run(self, kinds, per_round=10, say=lambda text: None):
        """kinds: how many cycles of each."""
        cycles = [kind for kind, count in kinds.items() for _ in range(count)]
        self.random.shuffle(cycles)
        for first in range(0, len(cycles), per_round):
            self.round(cycles[first:first + per_round])
            say(f"{self.counts['cycles']} of {len(cycles)} cycles, {self.counts['acknowledged']} operations acknowledged,"
                f" {len(self.problems)} problems")
        return self

    def round(self, cycles):
        directory = tempfile.mkdtemp(prefix="octroi-crash-")
        try:
            self.o.disconnect()  # nginx may have been reloaded since
            self.load = Load(self.o, directory, connections=8, seed=self.random.randrange(10**6))
            with self.load:
                for kind in cycles:
                    self.load.wait_for(self.random.randrange(1, 200), 120)
                    getattr(self, "cycle_" + kind)()
                    self.counts["cycles"] += 1
            self.problems += check(self.o, self.load.files, self.counts)
            done = self.o.ctl("audit", check=False)
            if done.returncode != 0:
                self.problems.append(f"octroictl audit: {done.stdout}{done.stderr}")
        finally:
            shutil.rmtree(directory)

    def recovered(self, what, since_ns):
        wait_until(lambda: self.load.served_since(since_ns), 90, f"an answer after {what}")
        self.seconds[what].append((time.monotonic_ns() - since_ns) / 1e9)

    # -- kinds of cycles ------------------------------------------------------------------------------

    def cycle_octroi(self):
        if self.turn("octroi", (True, False)):
            self.kill_at(self.turn("points", list(POINTS)))
            return
        since = time.monotonic_ns()
        self.o.kill("octroi")
        self.o.start()
        self.recovered("octroi killed at any time", since)

    def kill_at(self, point):
        statement, moment = POINTS[point]
        killed, pid = threading.Event(), self.o.pid

        def kill():
            time.sleep(HELD_SECONDS)
            os.kill(pid, signal.SIGKILL)
            killed.set()
        self.between.plan([None] * self.random.randrange(20) + [moment], statement, kill)
        wait_until(killed.is_set, 60, f"octroi at the point '{point}'")
        since = time.monotonic_ns()
        self.o.start()
        self.recovered(f"octroi killed: {point}", since)

    def cycle_mariadbd(self):
        since = time.monotonic_ns()
        self.o.kill("db")
        self.o.start()
        self.recovered("mariadbd killed", since)

    def cycle_pauses(self):
        part = self.turn("pauses", ("octroi", "db"))
        seconds = min(self.pause_max, self.random.choice((1, 1, 2, 3, 8, 30)) * (0.5 + self.random.random()))
        self.o.kill(part, signal.SIGSTOP)
        try:
            end = time.monotonic() + seconds
            wait_until(lambda: time.monotonic() >= end, seconds + 5)
        finally:
            since = time.monotonic_ns()
            self.o.kill(part, signal.SIGCONT)
        self.recovered(f"{'mariadbd' if part == 'db' else part} stopped for a while", since)

    def cycle_nginx(self):
        how = self.turn("nginx", (signal.SIGHUP, signal.SIGQUIT, signal.SIGKILL))
        since = time.monotonic_ns()
        self.o.kill("server", how)
        if how != signal.SIGHUP:
            self.o.start()
        self.recovered({signal.SIGHUP: "nginx reloaded", signal.SIGQUIT: "nginx restarted", signal.SIGKILL: "nginx killed"}[how], since)

    def cycle_cuts(self):
        name, moment = self.turn("cuts", CUTS)
        self.between.plan([None] * self.random.randrange(5) + [moment], STATEMENTS[name])
        wait_until(lambda: self.between.left() == 0, 60, f"a statement '{name}'")
        since = time.monotonic_ns()
        self.recovered("line to the database cut", since)
        self.counts[f"cut {moment} {name}"] += 1

    def cycle_orders(self):
        """A top-up that octroi does not survive, at first, is repeated, paid and credited once."""
        path, moment = self.turn("orders", STRIPE_POINTS)
        self.o.disconnect()
        account, id = self.o.account(), f"order-{self.random.randrange(10**12)}"
        stop = self.stripe.stop_at(path, moment)
        killed = threading.Event()
        thread = threading.Thread(target=wait_until, args=(lambda: self.topup(account, id) or killed.is_set(), 60))
        thread.start()
        stop.wait_reached()
        since = time.monotonic_ns()
        self.o.kill("octroi")
        killed.set()
        stop.release()
        thread.join(60)
        self.o.start()
        self.recovered("octroi killed: order made, Stripe asked", since)
        session = wait_until(lambda: self.topup(account, id), 60, "the top-up")
        self.stripe.pay(session)
        self.stripe.deliver(order=lambda events: events * 2)
        orders = self.o.sql(f"SELECT state FROM topups WHERE account_id = {key_of(account)}")
        credits = self.o.sql(f"SELECT type, amount_micros FROM transactions WHERE account_id = {key_of(account)}")
        if orders != [("4",)] or credits != [("0", "20000000")] or self.o.balance(account)[0] != 20_000_000:
            self.problems.append(f"order of {account}: {orders}, {credits}")

    def topup(self, account, id):
        """The session, or None when it was not served."""
        try:
            answer = self.o.post(f"/api/credits/topup?account={account}", {"amount": 2000, "requestId": id})
        except (OSError, http.client.HTTPException):
            return None
        return answer.json["url"].rsplit("/", 1)[1] if answer.status == 200 else None

    # -- the end --------------------------------------------------------------------------------------

    def table(self):
        lines = [f"{'recovery, in seconds':44} {'cycles':>6} {'median':>7} {'p99':>7} {'longest':>7}"]
        for what, seconds in sorted(self.seconds.items()):
            seconds.sort()
            p99 = seconds[min(len(seconds) - 1, len(seconds) * 99 // 100)]
            lines.append(f"{what:44} {len(seconds):6} {statistics.median(seconds):7.2f} {p99:7.2f} {seconds[-1]:7.2f}")
        operations = ", ".join(f"{self.counts[fate]} {fate}" for fate in ("acknowledged", "refused", "unknown"))
        lines.append(f"{self.counts['cycles']} cycles; operations: {operations}; {len(self.problems)} lost, duplicated or invented")
        return "\n".join(lines)


@contextlib.contextmanager
def trial(seed=1, pause_max=30.0, db_settings=None):
    """A Trial with an octroi of its own."""
    with FakeStripe() as stripe, Octroi("nginx", settings={**SETTINGS, **stripe.settings()}, db_settings=db_settings,
                                        audit=False) as o, Interposer(o.env["OCTROI_DB_SOCKET"]) as between:
        stripe.webhook_url = o.url + "/api/webhooks/stripe"
        o.start(db_socket=between.path)
        yield Trial(o, between, stripe, seed, pause_max)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for kind, count in zip(KINDS, (20, 4, 10, 4, 6, 12)):
        parser.add_argument(f"--{kind}", type=int, default=count, metavar="N", help=f"cycles (default {count})")
    parser.add_argument("--pause", type=float, default=30, help="longest pause in seconds (default 30)")
    parser.add_argument("--round", type=int, default=25, help="cycles between two checks (default 25)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--db-set", action="append", default=[], metavar="KEY=VALUE", help="of my.cnf, to see that it matters")
    options = parser.parse_args()
    with trial(options.seed, options.pause, dict(setting.split("=", 1) for setting in options.db_set)) as t:
        try:
            t.run({kind: getattr(options, kind) for kind in KINDS}, options.round, lambda text: print(text, file=sys.stderr))
        finally:
            for problem in t.problems[:50]:
                print(problem)
            print(t.table())
    return 1 if t.problems else 0


if __name__ == "__main__":
    sys.exit(main())

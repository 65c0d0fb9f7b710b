#!/usr/bin/python3
"""The cost of one customer's flood of the dearest reads to all others.

    make bench-greedy        or: OCTROI_BUILD=build tests/bench/greedy.py [--usages 2000000] [--seconds 10]

One token asks for sums, comparisons, filtered lists and diagnoses of an account with a long history, over so many
connections (wrk, as fast as it is answered).  Meanwhile one guard client authorizes and settles, another customer asks
for its credits, and something asks /healthz.  Prints their times in milliseconds and what was not a 200.
"""

import argparse
import collections
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))

import grown  # noqa: E402
from octroi import Octroi  # noqa: E402

LUA = """
local paths = {"summary?from=2020-01-01T00:00:00.000Z&by=member", "diagnosis", "usages?limit=100&action=none",
               "compare?models=gpt-4o,gpt-3.5-turbo&from=2026-06-01T00:00:00.000Z", "transactions?limit=100"}
local n = 0
request = function()
    n = n + 1
    return wrk.format("GET", "/api/credits/" .. paths[1 + n % #paths])
end
"""


class Clients:
    """Threads that call, each its own thing, and note how long it took and what it was answered."""

    def __init__(self):
        self.over = threading.Event()
        self.times, self.statuses = collections.defaultdict(list), collections.defaultdict(collections.Counter)
        self.threads = []

    def start(self, o, name, call):
        def run():
            while not self.over.is_set():
                began = time.monotonic()
                for status in call():
                    self.statuses[name][status] += 1
                    self.times[name].append(1000 * (time.monotonic() - began))
                    began = time.monotonic()
                self.over.wait(0.005)
            o.disconnect()
        self.threads.append(threading.Thread(target=run))
        self.threads[-1].start()

    def end(self):
        self.over.set()
        for thread in self.threads:
            thread.join()


def quantile(values, q):
    return sorted(values)[min(len(values) - 1, int(q * len(values)))]


def measure(o, accounts, token, connections, seconds, lua):
    payer, other = accounts
    clients = Clients()

    def guard():
        held = o.post("/api/guard/authorize", {"account": payer, "model": "gpt-4o"})
        yield held.status
        if held.status == 200:
            yield o.post("/api/guard/settle", {"hold": held.json["hold"], "inputTokens": 1, "outputTokens": 1}).status

    flood = connections and subprocess.Popen(
        ["wrk", "-t", "1", "-c", str(connections), "-d", str(seconds + 3), "-s", lua, "-H", "Authorization: Bearer " + token, o.url],
        stdout=subprocess.PIPE, text=True)
    time.sleep(1 if connections else 0)  # the flood is under way; what comes is measured for a time, not waited for
    clients.start(o, "guard", guard)
    clients.start(o, "GET /api/credits", lambda: [o.get("/api/credits", key=other, public=True).status])
    clients.start(o, "/healthz", lambda: [o.get("/healthz", key=None, public=True).status])
    time.sleep(seconds)
    clients.end()
    said = flood.communicate()[0] if flood else ""
    for name, times in clients.times.items():
        bad = {status: count for status, count in clients.statuses[name].items() if status != 200}
        print(f"{connections:5} connections  {name:18} {len(times):6} answers  p50 {quantile(times, .5):7.1f}  "
              f"p99 {quantile(times, .99):7.1f}  longest {max(times):7.1f} ms  not 200: {bad or 'none'}", flush=True)
    for line in said.splitlines():
        if "Requests/sec" in line or "Non-2xx" in line:
            print(f"{'':18} flood: {line.strip()}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--usages", type=int, default=2_000_000)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--connections", type=int, nargs="*", default=[0, 24, 80, 300])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home, Octroi(
            "nginx", settings={"token_secret": "a token secret that only the bench uses, 2b7e"}, audit=False,
            db_settings={"innodb_buffer_pool_size": "2G"}) as o:
        lua = os.path.join(home, "greedy.lua")
        pathlib.Path(lua).write_text(LUA)
        rich, payer, small = o.account("rich", funds_micros=10**9), o.account(funds_micros=10**12), o.account(funds_micros=10**6)
        grown.usages(o, rich, options.usages)
        token = {account: o.post("/api/tokens", {"account": account}, key="app").json["token"] for account in (rich, small)}
        for connections in options.connections:
            measure(o, (payer, token[small]), token[rich], connections, options.seconds, lua)


if __name__ == "__main__":
    main()

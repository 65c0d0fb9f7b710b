"""Measurements.  Each function takes a Bench (bench.py), prints what it finds and keeps it as JSON."""

import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import costs
import load
import single
from pages import USED_SECONDS

HERE = pathlib.Path(__file__).resolve().parent
CREDITS_CONNECTIONS = 64
ALERTING_CONNECTIONS = 64
ALERTING_ACCOUNTS = 2_000  # each is used a few times in a measurement
CONDITIONS_CONNECTIONS = 64
HOLD_US, HOUR_US = 600 * 10**6, 3600 * 10**6
PAGES_CONNECTIONS = 64
PAGES_ALONE_SECONDS = 10
PAGES_FEW = 10
PAGES_USAGES = 10  # of each account: as many as GET /api/credits shows
MEMORY_CONNECTIONS = 256
MEMORY_STEP = 100_000  # requests between two looks
PARTS = ("octroi", "php", "null", "mariadbd", "nginx", "wrk")

COLUMNS = (("side", 10), ("accounts", 9), ("conns", 5), ("req/s", 7), ("p50 ms", 7), ("p99 ms", 8), ("to null", 7),
           ("to php", 6), ("CPU to null", 11), ("bad", 4), ("CPU µs a request", 0))


def show_head(title):
    print(f"\n{title}\n" + " ".join(f"{name:>{width}}" for name, width in COLUMNS), flush=True)


def show_row(row):
    ratios = ["" if row.get(name) is None else f"{row[name]:.2f}" for name in ("to_null", "to_php", "processor_to_null")]
    cpu = ", ".join(f"{part} {row['cpu_us'][part]:.0f}" for part in PARTS if part in row["cpu_us"])
    cells = (row["side"], row["accounts"] or "-", row["connections"], f"{row['rate']:.0f}", f"{row['p50_ms']:.2f}",
             f"{row['p99_ms']:.2f}", *ratios, row["refused"] + row["broken"], cpu)
    print(" ".join(f"{cell:>{width}}" for cell, (_, width) in zip(cells, COLUMNS)), flush=True)


def processor_ratio(found, runs, null):
    """The cost of null to the cost of these, in processor time: what the ratio of rates is where that is all that is short.  It
    hardly depends on what else the machine does."""
    if null not in found:
        return None
    ours, theirs = (sum(load.summary(each)["cpu_us"].values()) for each in (runs, found[null]))
    return theirs / ours if ours else None


def row_of(name, accounts, connections, found, runs, null, php):
    """A row of figures; null and php: the keys in found of what it is compared with."""
    return {"side": name, "accounts": accounts, "connections": connections, **load.summary(runs),
            "to_null": load.ratio(runs, found.get(null)), "to_php": load.ratio(runs, found.get(php)),
            "processor_to_null": processor_ratio(found, runs, null)}


def guard(bench):
    """authorize and settle, by number of connections, over many accounts and on one."""
    rows = []
    show_head("authorize and settle")
    for connections in bench.options.connections:
        cases = {}
        for side in bench.sides.values():
            for accounts in (0,) if side.name == "null" else dict.fromkeys((bench.options.accounts, 1)):
                cases[side.name, accounts] = lambda s=side, a=accounts: bench.load(s, connections, max(a, 1))
        found = load.in_turn(bench.options.rounds, cases)
        for (name, accounts), runs in found.items():
            rows.append(row_of(name, accounts, connections, found, runs, ("null", 0), ("php", accounts)))
            show_row(rows[-1])
    bench.keep("guard", {"rows": rows})


def credits(bench):
    """GET /api/credits of many accounts."""
    found = load.in_turn(bench.options.rounds, {
        (side.name, 0): lambda s=side: bench.load(s, CREDITS_CONNECTIONS, bench.options.accounts, "credits", "app")
        for side in bench.sides.values() if side.name in ("null", "octroi")})
    rows = [row_of(name, bench.options.accounts * (name != "null"), CREDITS_CONNECTIONS, found, runs, ("null", 0), None)
            for (name, _), runs in found.items()]
    show_head("GET /api/credits")
    for row in rows:
        show_row(row)
    bench.keep("credits", {"rows": rows})


def arm_accounts(o, accounts, crossed):
    """Gives each account a threshold of its own: the balance, which its next use crosses, or none."""
    threshold = "CONCAT('o0;0:1,', balance_micros, ':1')" if crossed else "'o0;0:1'"
    names = ",".join(f"'bench:{i}'" for i in range(1, accounts + 1))
    o.sql(f"DELETE FROM alerts; UPDATE accounts SET alerts = {threshold} WHERE external_id IN ({names})")


def alerts(bench):
    """authorize and settle while the balance of each account falls below a threshold, and while that of none does."""
    side, accounts = bench.sides["octroi"], min(ALERTING_ACCOUNTS, bench.options.accounts)
    told = []

    def run(crossed):
        arm_accounts(bench.o, accounts, crossed)
        done = bench.load(side, ALERTING_CONNECTIONS, accounts)
        told.append(int(bench.o.sql("SELECT COUNT(*) FROM alerts")[0][0]))
        if told[-1] < accounts * crossed * 0.95:  # few are not used at all
            bench.bad += 1
        return done

    found = load.in_turn(bench.options.rounds, {"none": lambda: run(False), "each": lambda: run(True)})
    rows = [row_of(name, accounts, ALERTING_CONNECTIONS, found, runs, None, None) for name, runs in found.items()]
    ratio, processor = load.ratio(found["each"], found["none"]), processor_ratio(found, found["each"], "none")
    show_head(f"authorize and settle, an alert of no account and of each ({max(told)} alerts a run)")
    for row in rows:
        show_row(row)
    print(f"rate {ratio:.2f}, processor time {processor:.2f} of that without alerts", flush=True)
    bench.keep("alerts", {"rows": rows, "alerts": max(told), "ratio": ratio, "processor_ratio": processor})


def conditions(bench):
    """authorize and settle as `guard` has it, with a requestId, and where the last use of each account was an hour ago."""
    side, accounts = bench.sides["octroi"], bench.options.accounts

    def run(due_in_us, work="guard"):
        """due_in_us: from now to the time at which the last hold of each account would have expired."""
        bench.o.sql("UPDATE accounts SET holds_due_at_us = CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)"
                    f" + {due_in_us} WHERE open_holds = 0")
        return bench.load(side, CONDITIONS_CONNECTIONS, accounts, work)

    found = load.in_turn(bench.options.rounds, {
        "as above": lambda: run(HOLD_US), "with request ids": lambda: run(HOLD_US, "guard_ids"),
        "an hour later": lambda: run(HOLD_US - HOUR_US)})
    bench.bad += int(bench.o.sql("SELECT COUNT(*) FROM requests")[0][0]) == 0  # they would be figures of no use
    rows = [{**row_of(name, accounts, CONDITIONS_CONNECTIONS, found, runs, None, None),
             "ratio": load.ratio(runs, found["as above"]), "processor_ratio": processor_ratio(found, runs, "as above")}
            for name, runs in found.items()]
    show_head("authorize and settle, with request ids, and an hour later")
    for row in rows:
        show_row(row)
        print(f"{'':>10} rate {row['ratio']:.2f}, processor time {1 / row['processor_ratio']:.2f} of those above", flush=True)
    bench.keep("conditions", {"rows": rows})


def tokens_of(o, accounts):
    return [o.post("/api/tokens", {"account": f"bench:{i}", "ttlSeconds": 900}, key="app").json["token"] for i in accounts]


@contextlib.contextmanager
def open_pages(bench, tokens, found, used=False):
    """While the billing page of each token is open (pages.py); what the pages asked is added to found."""
    with subprocess.Popen([sys.executable, str(HERE / "pages.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        print(json.dumps({"url": bench.o.url, "tokens": tokens, "used": used}), file=process.stdin, flush=True)
        assert process.stdout.readline() == "open\n"
        yield
        process.stdin.close()
        found.append(json.loads(process.stdout.read()))
    follow = found[-1]["seconds"] * len(tokens) / USED_SECONDS
    bench.bad += sum(count for status, count in found[-1]["statuses"].items() if status not in ("200", "429"))
    bench.bad += used and follow > PAGES_FEW and found[-1]["changes"] == 0  # it would be a figure of no use


def pages(bench):
    """authorize and settle beside open billing pages: of accounts at rest, and of those that are being used."""
    side, count = bench.sides["octroi"], min(bench.options.pages, bench.options.accounts // 2)
    served, asked = 0, {"at rest": [], "in use": []}
    while served < 2 * count * PAGES_USAGES * 2:  # two requests each
        served += bench.load(side, PAGES_CONNECTIONS, 2 * count).requests

    tokens = tokens_of(bench.o, range(1, 2 * count + 1))

    def run(name, shown, used):
        with open_pages(bench, shown, asked[name], used):
            return bench.load(side, PAGES_CONNECTIONS, count)

    alone = pages_alone(bench, side, tokens[count:])
    found = load.in_turn(bench.options.rounds, {
        "none": lambda: bench.load(side, PAGES_CONNECTIONS, count),
        "at rest": lambda: run("at rest", tokens[count:], False), "in use": lambda: run("in use", tokens[:count], True)})
    rows = [{**row_of(name, count, PAGES_CONNECTIONS, found, runs, None, None), "pages": count * (name != "none"),
             "ratio": load.ratio(runs, found["none"]), "processor_ratio": processor_ratio(found, runs, "none"),
             **polled(asked.get(name, ()))} for name, runs in found.items()]
    show_head(f"authorize and settle beside {count} open billing pages")
    for row in rows:
        show_row(row)
        print(f"{'':>10} rate {row['ratio']:.2f}, processor time {row['processor_ratio']:.2f} of that without pages;"
              f" pages ask {row['asked']:.1f} a second, p50 {row['asked_p50_ms']:.1f} ms", flush=True)
    print(f"without the guard's load the pages take {alone['processor']:.1%} of the processors for {alone['asked']:.1f} requests a second", flush=True)
    bench.keep("pages", {"rows": rows, "pages": asked, "alone": alone})


def pages_alone(bench, side, tokens):
    """The share of all processors' time that open pages of accounts at rest take, beyond that without; not the pages' own."""
    def share():
        began, spent = time.monotonic(), costs.cpu_seconds(side.parts)
        time.sleep(PAGES_ALONE_SECONDS)
        taken = sum(costs.cpu_seconds(side.parts).values()) - sum(spent.values())
        return taken / (time.monotonic() - began) / os.cpu_count()

    found, idle = [], share()
    with open_pages(bench, tokens, found):
        beside = share()
    return {"processor": beside - idle, "idle": idle, **polled(found)}


def polled(runs):
    """Requests of open pages: how many a second, and how long they take."""
    asked = sum(sum(run["asked"].values()) for run in runs)
    return {"asked": round(asked / (sum(run["seconds"] for run in runs) or 1), 1),
            "asked_p50_ms": statistics.median(run["p50_ms"] for run in runs) if runs else 0.0}


def data_directory(o):
    return pathlib.Path(o.env["OCTROI_DB_SOCKET"]).parents[1] / "db"


def one_connection(bench):
    """Request after request: the median authorize beside that of null and an fdatasync."""
    pairs = {side.name: [] for side in bench.sides.values()}
    syncs = []
    count = bench.options.singles
    for _ in range(bench.options.rounds):
        syncs.append(single.append_us(data_directory(bench.o), count))
        for side in bench.sides.values():
            with single.Connection(side.url, bench.o.keys["guard"]) as connection:
                pairs[side.name] += [single.guard(connection, f"bench:{i % bench.options.accounts + 1}") for i in range(count)]
    found = {"fdatasync_us": round(statistics.median(syncs), 1),
             "sides": {name: {"authorize": single.percentiles([asked for asked, _ in taken]),
                              "settle": single.percentiles([settled for _, settled in taken])}
                       for name, taken in pairs.items()}}
    print(f"\none connection; appending 4 KiB and fdatasync take {found['fdatasync_us']:.0f} µs")
    for name, row in found["sides"].items():
        print(f"{name:>10}  authorize {row['authorize']['p50_us']:.0f} µs (p99 {row['authorize']['p99_us']:.0f})"
              f", settle {row['settle']['p50_us']:.0f} µs (p99 {row['settle']['p99_us']:.0f})", flush=True)
    bench.keep("one-connection", found)


def memory(bench):
    """octroi's resident memory under 256 connections, every so many requests."""
    side, done, samples = bench.sides["octroi"], 0, []
    pid = side.parts["octroi"]
    print(f"\noctroi's resident memory, {MEMORY_CONNECTIONS} connections", flush=True)
    while done < bench.options.memory_requests:
        began = done
        while done < min(began + MEMORY_STEP, bench.options.memory_requests):
            done += bench.load(side, MEMORY_CONNECTIONS, bench.options.accounts).requests
        samples.append({"requests": done, "kib": costs.resident_kib(pid)})
        print(f"{done:>10} requests  {samples[-1]['kib'] / 1024:.1f} MiB", flush=True)
    bench.keep("memory", {"connections": MEMORY_CONNECTIONS, "samples": samples,
                          "most_kib": costs.resident_kib(pid, "VmHWM")})

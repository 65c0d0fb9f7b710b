"""Load by wrk, and what it costs: one thread of wrk, a number of connections, for some seconds, in rounds.

What is compared is measured in turn, round after round, because a machine is seldom at rest; the medians count,
and ratios are taken within a round.
"""

import dataclasses
import pathlib
import resource
import statistics
import subprocess

import costs
import single

HERE = pathlib.Path(__file__).resolve().parent
BALANCE_MICROS = 10**15


@dataclasses.dataclass
class Run:
    """One measurement: rates in requests a second, latencies in ms, CPU in µs a request by part."""

    rate: float
    p50_ms: float
    p99_ms: float
    requests: int
    refused: int  # answers that were no success
    broken: int  # connections that broke, answers that did not come
    cpu_us: dict


def _drain(side, key, work):
    """Waits until what wrk left unanswered is done with: it would be the next measurement's burden.  Requests are served
    in the order of their coming, and nginx goes on with those whose client has gone."""
    with single.Connection(side.url, key) as connection:
        if work != "credits":
            connection.send("POST", "/api/guard/authorize", {"account": "bench:1", "model": "none"})  # decided, and refused
        else:
            connection.send("GET", "/api/credits?account=bench:1")


def wrk(side, connections, seconds, key, accounts, work="guard"):
    """A Run of `work`: guard (authorize, then settle what was granted), guard_ids (with a requestId) or credits
    (GET /api/credits)."""
    began, own = costs.cpu_seconds(side.parts), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", f"{work}.lua", side.url,
         "--", key, str(accounts), side.mode],
        cwd=HERE, stdout=subprocess.PIPE, text=True, check=True, timeout=seconds + 60)
    _drain(side, key, work)
    spent = costs.cpu_seconds(side.parts)
    line = next(line for line in done.stdout.splitlines() if line.startswith("RESULT"))
    requests, micros, p50, p99, refused, broken = map(int, line.split()[1:])
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = {part: spent[part] - began[part] for part in spent}
    cpu["wrk"] = now.ru_utime + now.ru_stime - own.ru_utime - own.ru_stime
    # Beside those that wrk counts each connection had one under way at the end.
    cpu = {part: seconds * 1e6 / (requests + connections) for part, seconds in cpu.items()}
    return Run(requests * 1e6 / micros, p50 / 1000, p99 / 1000, requests, refused, broken, cpu)


def in_turn(rounds, cases):
    """cases: name to a function that makes a Run.  Each is run once a round, in every second round from the last to the
    first, since a case may leave work for the one behind it; name to its Runs."""
    found = {name: [] for name in cases}
    for i in range(rounds):
        for name, case in list(cases.items())[::-1 if i % 2 else 1]:
            found[name].append(case())
    return found


def ratio(ours, theirs):
    """The median, over the rounds, of our rate to theirs in the same round."""
    return statistics.median(a.rate / b.rate for a, b in zip(ours, theirs) if b.rate) if ours and theirs else None


def summary(runs):
    """Medians of Runs as a dictionary for JSON."""
    medians = {name: round(statistics.median(getattr(run, name) for run in runs), 3) for name in ("rate", "p50_ms", "p99_ms")}
    sums = {name: sum(getattr(run, name) for run in runs) for name in ("requests", "refused", "broken")}
    return {**medians, **sums, "rates": [round(run.rate, 1) for run in runs],
            "cpu_us": {part: round(statistics.median(run.cpu_us[part] for run in runs), 1) for part in runs[0].cpu_us}}

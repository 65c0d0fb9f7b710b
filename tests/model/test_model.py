"""octroi against the naive ledger, by seed.

SEEDS in the environment says which: "7", "1-50" or a list of such, by default as many from FIRST on as fit
the time of make check.  STEPS is the number of steps of each.  A failure prints how to play its seed again;
SERIAL=1 sends one command at a time, so that a run is the same each time.
"""

import collections
import os
import pathlib
import sys
import time

import pytest

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "lib"), str(TESTS / "model")]

import driver  # noqa: E402
from octroi import Octroi  # noqa: E402
from swarm import Swarm  # noqa: E402

FIRST = 1
STEPS = int(os.environ.get("STEPS", "150"))
SERIAL = os.environ.get("SERIAL") == "1"
SECONDS = float(os.environ.get("SECONDS_PER_RULE", "25"))


def seeds():
    text = os.environ.get("SEEDS")
    if not text:
        return None
    found = []
    for part in text.replace(",", " ").split():
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


def play(o, swarm, sql, seed, capture):
    run = driver.Run(o, swarm, sql, seed, capture, serial=SERIAL)
    try:
        for _ in range(STEPS):
            run.step()
        run.finish()
    except Exception:
        print("\n".join(run.trace[-25:]))
        print(f"\nto play it again: SEEDS={seed} STEPS={STEPS} tests/run --suite model"
              f" -k {'capture' if capture else 'release'}   (SERIAL=1: one command at a time)")
        raise
    return run.ends


@pytest.mark.parametrize("expiry", ["release", "capture"])
def test_naive_ledger(expiry, capsys):
    ends, played, started = collections.Counter(), 0, time.monotonic()
    with Octroi("nginx", settings={**driver.SETTINGS, "hold_expiry": expiry}) as o:
        sql = driver.Sql(o)
        try:
            with Swarm([o.internal_url], 9) as swarm:
                for seed in seeds() or range(FIRST, 10**6):
                    if seeds() is None and time.monotonic() - started > SECONDS:
                        break
                    ends += play(o, swarm, sql, seed, expiry == "capture")
                    played += 1
        finally:
            sql.close()
    with capsys.disabled():
        print(f"\n{expiry}: {played} seeds, {ends.total()} commands in {time.monotonic() - started:.0f} s")
        if os.environ.get("ENDS"):
            for end, count in sorted(ends.items()):
                print(count, *end)

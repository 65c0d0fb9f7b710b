"""Auto-recharge against the naive account, by seed.

SEEDS says which: "7", "1-50" or a list of such, by default as many from 1 on as fit the time of make check (make
recharge-long plays more).  STEPS is the number of steps of each.  A failure prints how to play its seed again.
"""

import os
import pathlib
import sys
import time

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "lib"), str(TESTS / "model")]

import recharge_player  # noqa: E402
from fake_stripe import FakeStripe  # noqa: E402
from octroi import Octroi  # noqa: E402
from test_model import seeds  # noqa: E402
from timetravel import Clock  # noqa: E402

STEPS = int(os.environ.get("STEPS", "60"))
SECONDS = float(os.environ.get("RECHARGE_SECONDS", "22"))


def play(o, stripe, clock, seed, serial):
    trace = []
    try:
        game = recharge_player.Game(o, stripe, clock, seed, serial, trace)
        for _ in range(STEPS):
            game.step()
        game.finish()
    except Exception:
        print("\n".join(trace[-25:]))
        print(f"\nto play it again: SEEDS={seed} STEPS={STEPS} tests/run --suite model -k recharge")
        raise
    return sum(len(c.asked) for c in game.customers)


def test_naive_recharge(capsys):
    played, asked, started = 0, 0, time.monotonic()
    with FakeStripe() as stripe, Octroi("nginx", settings=stripe.settings(**recharge_player.SETTINGS)) as o:
        stripe.webhook_url = o.url + "/api/webhooks/stripe"
        clock = Clock(o)
        for seed in seeds() or range(1, 10**6):
            if seeds() is None and time.monotonic() - started > SECONDS:
                break
            asked += play(o, stripe, clock, seed, played)
            played += 1
    with capsys.disabled():
        print(f"\nrecharge: {played} seeds, {asked} attempts to charge in {time.monotonic() - started:.0f} s")

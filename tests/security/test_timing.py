"""Signatures and tokens: no time tells how much of a forgery is right (dudect's t-test).

TIMING_SAMPLES: of each; 10,000,000 take a minute.  What a test of this kind cannot see is smaller than
the noise of the machine allows; keys of applications need none, for they are looked up by their SHA-256."""

import os
import subprocess

import pytest

from octroi import build_dir

SAMPLES = int(os.environ.get("TIMING_SAMPLES", "300000"))
T_SQUARED_MAX = 10**2


def t_squared(what, samples=SAMPLES, seed=1):
    driver = build_dir() / "tests" / "security" / "driver"
    done = subprocess.run([driver, "timing", what, str(samples), str(seed)], stdout=subprocess.PIPE, text=True, timeout=600, check=True)
    return float(done.stdout.split()[-1])


def test_a_careless_comparison_is_found_out():
    assert t_squared("careless") > 100 * T_SQUARED_MAX


@pytest.mark.parametrize("what", ["equal", "stripe", "svix", "token"])
def test_forgeries_take_as_long(what):
    # Another program may disturb one measurement; a leak is there each time.
    assert min(t_squared(what, seed=seed) for seed in (1, 2)) < T_SQUARED_MAX

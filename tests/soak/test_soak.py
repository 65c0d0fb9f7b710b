"""The short form of `make soak`, and that its verdict finds what it is for."""

import os
import random

import pytest

from octroi import Octroi
from soak import Sample, Soak, growth

SAMPLES = 24
ANSWERS = 500  # between two samples
SHARE = 0.7
SEEDS = range(50)


def hour(leak_kib=0.0, descriptors=0.0, threads=0.0, warm_kib=3000, seed=1):
    """Samples of an hour at 500 requests per second: noise, growth at first, and what is kept of each request."""
    r, answers = random.Random(seed), 0
    for n in range(120):
        answers += 15_000
        memory = 22_000 + warm_kib * min(1, n / 40) + r.randrange(-400, 400) + answers * leak_kib
        yield Sample(30 * n, answers, int(memory), 70 + int(answers * threads), r.randrange(105, 118) + int(answers * descriptors),
                     r.randrange(9, 12))


def test_an_hour_that_is_flat():
    for seed in SEEDS:
        assert growth(list(hour(seed=seed))) == []


@pytest.mark.parametrize("what, grows", [
    ({"leak_kib": 64 / 1024}, "memory_kib"), ({"leak_kib": 8 / 1024}, "memory_kib"),
    ({"descriptors": 1 / 1000}, "descriptors"), ({"descriptors": 1 / 50_000}, "descriptors"), ({"threads": 1 / 300_000}, "threads")])
def test_an_hour_that_is_not(what, grows):
    for seed in SEEDS:
        found = growth(list(hour(**what, seed=seed)))
        assert len(found) == 1 and found[0].startswith(grows + " grew"), found


def test_some_seconds():
    """Counted in answers, so that a slow machine looks at as many."""
    with Octroi("nginx", audit=False) as o, Soak(o) as soak:
        soak.run(SHARE * soak.throughput(2), SAMPLES, SAMPLES, lambda load: load.wait_for(ANSWERS))
        print("\n".join([soak.HEAD, *map(soak.line, range(SAMPLES))]))
        verdict = soak.verdict()
        if "OCTROI_SANITIZER" in os.environ:  # which keeps what was freed for a while
            verdict = [found for found in verdict if not found.startswith("memory_kib")]
        assert verdict == []
        assert soak.counts["acknowledged"] > SAMPLES * ANSWERS * 0.7, soak.counts

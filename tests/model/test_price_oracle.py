"""LiteLLM's list and its uses, against a second oracle (price_oracle.py).

A failure names the seed: OCTROI_SEED=N repeats the run; OCTROI_PRICE_CASES=100000 for a long one.
"""

import json
import os
import pathlib
import random
import sys
from fractions import Fraction

import pytest

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / "lib"), str(pathlib.Path(__file__).resolve().parent)]

import price_oracle as oracle  # noqa: E402
from test_cost import LITELLM, SEED, answers_to  # noqa: E402

TERMS = ((1_050_000, 1_080_000), (1_000_000, 1_000_000), (1_250_000, 1))


@pytest.fixture(scope="module")
def models():
    """{name: (its lines as the oracle reads them, as octroi does)}, without those that list tiered_pricing, or whose
    variants stand in other names."""
    if not LITELLM.exists():
        pytest.skip("no copy of LiteLLM's price list beside the project")
    raw = json.loads(LITELLM.read_text(), parse_float=str, parse_int=str)
    listed = (json.loads(line) for line in answers_to([f"list {LITELLM}"]) if line.startswith("{"))
    return {entry["item"]: (oracle.lines_of(raw[entry["item"]]), entry["lines"]) for entry in listed
            if entry["reason"] == "accepted" and not entry.get("made") and "tiered_pricing" not in raw[entry["item"]]
            and not has_sizes(entry["lines"])}


def has_sizes(lines):
    return any("x" in variant for _, _, _, variant, _, _ in lines)


def test_lines_are_those_of_the_list(models):
    assert len(models) > 2700
    for name, (wanted, found) in models.items():
        exact = {(d, t, a, v): Fraction(m, 10**s) for d, t, a, v, m, s in found}
        wanted = {(d, t, a, v): price for d, lines in wanted.items() for t, a, v, price in lines}
        assert wanted.items() <= exact.items(), name
        # More are multiples for regions and speeds.
        assert all("=" in v for *_, v in exact.keys() - wanted.keys()), name


def draw(r, lines):
    chosen = r.sample(list(lines), min(len(lines), r.choice((1, 1, 2, 3)))) + r.sample(oracle.DIMENSIONS, r.choice((0, 0, 0, 1, 2)))
    borders = [above for of in lines.values() for _, above, _, _ in of]
    counts = {}
    for name in chosen:
        high = r.choice((10, 10**4, 10**6, 10**8))
        counts[name] = Fraction(r.randrange(high * 10), 10) if name in oracle.DECIMAL else \
            Fraction(r.choice((r.randrange(high), *(above + r.choice((0, 1)) for above in borders))))
    variants = sorted({variant for of in lines.values() for _, _, variant, _ in of}) + ["", "other"]
    return {name: count for name, count in counts.items() if count > 0}, r.choice(oracle.TIERS), r.choice(variants)


def test_uses_cost_exactly(models):
    r, order = random.Random(SEED + 5), answers_to(["dimensions"])[0].split()
    names, questions, wanted = list(models), [], []
    for i in range(int(os.environ.get("OCTROI_PRICE_CASES", "6000"))):
        lines, listed = models[names[i % len(names)] if i < len(names) else r.choice(names)]
        counts, tier, variant = draw(r, lines)
        margin, rate = r.choice(TERMS)
        said = ",".join(f"{n}={float(counts[n]) if counts[n].denominator > 1 else counts[n]}" for n in order if n in counts)
        questions.append(f"use money {margin} {rate} 10000 {json.dumps(listed, separators=(',', ':'))} {tier} {variant or '-'} {said or '-'}")
        dollars, unpriced, flagged = oracle.cost(lines, counts, tier, variant)
        wanted.append((-(-dollars * 10**6 * margin / rate // 1), bool(unpriced), flagged or bool(unpriced)))
    for question, answer, (cost, unpriced, flagged) in zip(questions, answers_to(questions), wanted, strict=True):
        if answer == "none":
            assert cost > 10**13, f"seed {SEED}: {question}"
            continue
        assert answer == f"{cost}{' incomplete' if flagged else ''}{' unpriced' if unpriced else ''}", f"seed {SEED}: {question}"

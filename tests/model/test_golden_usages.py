"""Usage objects as providers send them (golden_usages.json, each with its source): the counts that octroi reads, and the
cost by LiteLLM's list, which each case works out by hand."""

import fractions
import json
import pathlib
import sys

import pytest

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / "lib"), str(pathlib.Path(__file__).resolve().parent)]

from test_cost import LITELLM, answers_to  # noqa: E402

CASES = json.loads((pathlib.Path(__file__).resolve().parent / "golden_usages.json").read_text())
TAKEN = [case for case in CASES if case["refused"] is None]
TERMS = "1000000 1000000 10000"  # no margin, a dollar for a unit
PICO = 10**12


@pytest.fixture(scope="module")
def readings():
    return dict(zip((c["name"] for c in CASES), answers_to([f"usage {json.dumps(c['usage'])}" for c in CASES]), strict=True))


def test_there_are_many():
    assert len(CASES) >= 230 and len(CASES) - len(TAKEN) >= 40
    assert len({case["name"] for case in CASES}) == len(CASES)
    for bug in ("bifrost#3451", "LibreChat#13795", "langfuse#10592", "langfuse#13811", "new-api#6144", "litellm#9812",
                "litellm#11364", "litellm#31837", "litellm#38802", "litellm#15227", "PR#36914", "PR#37056"):
        assert any(bug in case["name"] + case["source"] for case in CASES), bug


def test_contradictions_are_refused_by_name(readings):
    for case in CASES:
        if case["refused"] is not None:
            assert readings[case["name"]] == f"refused {case['refused']}", case["name"]


def test_counts_are_those_of_the_provider(readings):
    for case in TAKEN:
        read = json.loads(readings[case["name"]])
        wanted = {name: str(count) for name, count in case["counts"].items() if str(count) != "0"}
        assert read["counts"] == wanted, case["name"]
        assert (read["tier"] or None, read["variant"] or None) == (case["serviceTier"], case["variant"]), case["name"]
        assert read["nothing"] == (not wanted), case["name"]
        cost = case.get("provider_cost")
        assert read["costPico"] == (-1 if cost is None else fractions.Fraction(cost) * PICO), case["name"]


def test_costs_are_those_worked_out_by_hand():
    if not LITELLM.exists():
        pytest.skip("no copy of LiteLLM's price list beside the project")
    listed = [json.loads(line) for line in answers_to([f"list {LITELLM}"]) if line.startswith("{")]
    lines = {entry["item"]: json.dumps(entry["lines"], separators=(",", ":")) for entry in listed if "lines" in entry}
    questions = []
    priced = [case for case in TAKEN if case["cost_dollars"] is not None]
    assert all(not case["counts"] for case in TAKEN if case not in priced)
    for case in priced:
        counts = ",".join(f"{name}={count}" for name, count in in_order(case["counts"]))
        questions.append(f"use money {TERMS} {lines[case['model']]} {case['serviceTier'] or 'standard'} "
                         f"{case['variant'] or '-'} {counts or '-'}")
    for case, answer in zip(priced, answers_to(questions), strict=True):
        micros, *words = answer.split()
        exact = fractions.Fraction(case["cost_dollars"]) * 10**6
        assert int(micros) == -(-exact.numerator // exact.denominator), (case["name"], answer)
        flagged = bool(case.get("flagged") or case.get("unpriced"))
        assert ("incomplete" in words, "unpriced" in words) == (flagged, bool(case.get("unpriced"))), (case["name"], answer)


def in_order(counts):
    order = answers_to(["dimensions"])[0].split()
    return sorted(((n, c) for n, c in counts.items() if str(c) != "0"), key=lambda pair: order.index(pair[0]))

"""What tokens cost, how usage objects are read, and how LiteLLM's price list is read: octroi's C code
(through tests/unit/price_driver) against fractions and decimals, on cases drawn anew each time.

A failure names the seed: OCTROI_SEED=N repeats the run.  LiteLLM's list is not part of octroi; the test
that needs it looks for ../shared/data/litellm_prices.json and is skipped where there is none.
"""

import decimal
import fractions
import json
import os
import pathlib
import random
import re
import subprocess
import sys

import pytest

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / "lib"), str(pathlib.Path(__file__).resolve().parent)]

import oracle  # noqa: E402
from octroi import TOP, build_dir  # noqa: E402

SEED = int(os.environ.get("OCTROI_SEED") or random.SystemRandom().randrange(2**32))
CASES = 10_000
LITELLM = TOP.parent / "shared" / "data" / "litellm_prices.json"


def drive(lines):
    """What the driver answers to each line."""
    done = subprocess.run([str(build_dir() / "tests/unit/price_driver")], input="\n".join(lines) + "\n",
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120)
    assert done.returncode == 0, f"seed {SEED}: {done.stderr[-2000:]}"
    return done.stdout.splitlines()


def magnitude(r, high):
    """0 to high, each order of magnitude as likely as any other, the borders more so."""
    if r.random() < 0.05:
        return r.choice((0, 1, high - 1, high))
    return r.randrange(int(10 ** r.uniform(0, len(str(high)))) + 1) % (high + 1)


# ---- prices ------------------------------------------------------------------------------------------


def draw_terms(r):
    if r.random() < 0.5:
        return 1_050_000, 1_080_000, 10_000
    return 1 + magnitude(r, 10**9 - 1), 1 + magnitude(r, 10**12 - 1), 1 + magnitude(r, 10**12 - 1)


def draw_tiers(r):
    above = sorted({0} | {1 + magnitude(r, 2 * 10**9) for _ in range(r.choice((0, 0, 1, 2, 7)))})
    high = r.choice((10**12, 10**8))
    return [[a] + [magnitude(r, high) for _ in range(5)] for a in above]


def price_of(terms, tiers):
    margin, rate, credit_value = (fractions.Fraction(t, 10**6) for t in terms)
    return oracle.ModelPrice(version=1, provider="p", terms=oracle.Terms(margin, rate, credit_value),
                             tiers=tuple((t[0], tuple(t[1:])) for t in tiers))


def price_words(unit, terms, tiers):
    return f"{unit} {terms[0]} {terms[1]} {terms[2]} {json.dumps(tiers, separators=(',', ':'))}"


def draw_tokens(r, tiers):
    """Counts; often with an input of exactly a threshold, or one beside it."""
    tokens = [magnitude(r, oracle.TOKENS_MAX) if r.random() < 0.7 else 0 for _ in range(5)]
    if r.random() < 0.4:
        wanted = max(0, r.choice(tiers)[0] + r.choice((-1, 0, 1)))
        parts = sorted(r.randrange(wanted + 1) for _ in range(3))
        split = [parts[0], parts[1] - parts[0], parts[2] - parts[1], wanted - parts[2]]
        if max(split) <= oracle.TOKENS_MAX:
            tokens[:4] = split
    if r.random() < 0.02:
        tokens[r.randrange(5)] = r.choice((-1, oracle.TOKENS_MAX + 1, 2**63 - 1, -2**63))
    return tokens


def test_tokens_cost_exactly():
    r = random.Random(SEED)
    lines, expected = [], []
    for _ in range(CASES):
        unit, terms, tiers = r.choice(("money", "credit")), draw_terms(r), draw_tiers(r)
        tokens = draw_tokens(r, tiers)
        lines.append(f"tokens {price_words(unit, terms, tiers)} {' '.join(map(str, tokens))}")
        cost = price_of(terms, tiers).cost(tokens, unit)
        expected.append("none" if cost is None else str(cost))
    assert expected.count("none") < CASES / 2, "the cases say too little"
    for line, answer, cost in zip(lines, drive(lines), expected, strict=True):
        assert answer == cost, f"seed {SEED}: {line}"


def test_fit_is_the_largest_affordable_output():
    r = random.Random(SEED + 1)
    lines, expected = [], []
    for _ in range(CASES // 2):
        unit, terms, tiers = r.choice(("money", "credit")), draw_terms(r), draw_tiers(r)
        price = price_of(terms, tiers)
        input = magnitude(r, oracle.TOKENS_MAX)
        wanted = magnitude(r, oracle.TOKENS_MAX)
        available = magnitude(r, oracle.AMOUNT_MAX)
        if r.random() < 0.7:  # near what some output costs, where one micro matters
            near = price.cost((input, 0, 0, 0, r.randrange(wanted + 1)), unit)
            available = min((near or 0) + r.choice((-1, 0, 1)), oracle.AMOUNT_MAX)
        lines.append(f"fit {price_words(unit, terms, tiers)} {input} {wanted} {available}")
        expected.append(oracle.fitting(price, unit, input, wanted, available))
    for line, answer, output in zip(lines, drive(lines), expected, strict=True):
        assert answer == str(output), f"seed {SEED}: {line}"


def test_actions_cost_exactly():
    r = random.Random(SEED + 2)
    lines, expected = [], []
    for _ in range(CASES // 5):
        unit, terms = r.choice(("money", "credit")), draw_terms(r)
        credits, quantity = magnitude(r, oracle.AMOUNT_MAX), 1 + magnitude(r, 2**62)
        lines.append(f"action {unit} {terms[0]} {terms[1]} {terms[2]} {credits} {quantity}")
        price = oracle.ActionPrice(1, oracle.Terms(*(fractions.Fraction(t, 10**6) for t in terms)), credits)
        cost = price.cost(quantity, unit)
        expected.append("none" if cost is None else str(cost))
    for line, answer, cost in zip(lines, drive(lines), expected, strict=True):
        assert answer == cost, f"seed {SEED}: {line}"


def test_published_figures():
    """gpt-4o at 2.50 and 10.00 dollars per million, margin 5 %, 1.08 dollars to the euro."""
    words = price_words("money", (1_050_000, 1_080_000, 10_000),
                        [[0, 2_500_000, 1_250_000, 2_500_000, 2_500_000, 10_000_000]])
    assert drive([f"tokens {words} 1000000 0 0 0 0", f"tokens {words} 0 0 0 0 1000000",
                  f"tokens {words} 500 0 0 0 2000"]) == ["2430556", "9722223", "20660"]


# ---- usage -------------------------------------------------------------------------------------------
# Each object is made from the disjoint counts that it has to be read back as.


def sometimes(r, record, key, value):
    """Puts the value; a zero may be absent or null instead."""
    form = r.choice(("value", "null", "absent")) if value in (0, {}) else "value"
    if form != "absent":
        record[key] = value if form == "value" else None


def openai(r, t, names):
    usage = {}
    details = {}
    sometimes(r, details, "cached_tokens", t[1])
    sometimes(r, details, "cache_write_tokens", t[2])
    if r.random() < 0.5:
        details["audio_tokens"] = r.randrange(t[0] + 1)
    usage[names[0]] = t[0] + t[1] + t[2]
    usage[names[1]] = t[4]
    sometimes(r, usage, names[2], details)
    if r.random() < 0.7:
        usage[names[3]] = {"reasoning_tokens": r.randrange(t[4] + 1)}
    if r.random() < 0.7:
        usage["total_tokens"] = t[0] + t[1] + t[2] + t[4]
    return usage


def openai_chat(r, t):
    t[3] = 0
    return openai(r, t, ("prompt_tokens", "completion_tokens", "prompt_tokens_details", "completion_tokens_details"))


def openai_responses(r, t):
    t[3] = 0
    return openai(r, t, ("input_tokens", "output_tokens", "input_tokens_details", "output_tokens_details"))


def anthropic(r, t):
    usage = {"input_tokens": t[0], "output_tokens": t[4]}
    sometimes(r, usage, "cache_read_input_tokens", t[1])
    form = r.choice(("whole", "parts", "both", "both"))
    if form == "whole":
        t[3] = 0
    if form != "parts":
        usage["cache_creation_input_tokens"] = t[2] + t[3]
    if form != "whole":
        usage["cache_creation"] = {}
        sometimes(r, usage["cache_creation"], "ephemeral_5m_input_tokens", t[2])
        sometimes(r, usage["cache_creation"], "ephemeral_1h_input_tokens", t[3])
    if r.random() < 0.5:
        usage["server_tool_use"] = {"web_search_requests": 1}
        usage["service_tier"] = "standard"
    return usage


def gemini(r, t):
    t[2] = t[3] = 0
    tools = r.choice((0, r.randrange(t[0] + 1)))
    thoughts = r.choice((0, r.randrange(t[4] + 1)))
    usage = {"promptTokenCount": t[0] - tools + t[1]}
    sometimes(r, usage, "toolUsePromptTokenCount", tools)
    sometimes(r, usage, "cachedContentTokenCount", t[1])
    sometimes(r, usage, "candidatesTokenCount", t[4] - thoughts)
    sometimes(r, usage, "thoughtsTokenCount", thoughts)
    usage["totalTokenCount"] = t[0] + t[1] + t[4]
    usage["promptTokensDetails"] = [{"modality": "TEXT", "tokenCount": t[0]}]
    return usage


def draw_usage(r):
    while True:
        tokens = [magnitude(r, 10**8) if r.random() < 0.7 else 0 for _ in range(5)]
        usage = r.choice((openai_chat, openai_responses, anthropic, gemini))(r, tokens)
        items = list(usage.items())
        r.shuffle(items)
        # A provider's object without any of the fields that tell it apart says nothing.
        if any(usage.get(k) is not None for k in ("prompt_tokens", "input_tokens", "promptTokenCount")):
            return dict(items), tokens


def test_usage_is_read_back():
    r = random.Random(SEED + 3)
    cases = [draw_usage(r) for _ in range(CASES)]
    answers = drive([f"usage {json.dumps(usage)}" for usage, _ in cases])
    for (usage, tokens), answer in zip(cases, answers, strict=True):
        nothing = "" if any(tokens) else " nothing"
        assert answer == " ".join(map(str, tokens)) + nothing + " rest=0", f"seed {SEED}: {usage}"


BAD_COUNTS = ("-1", "1.0", "1e3", "0.5", "1000000001", "9223372036854775807", "true", "false", '"5"', "[]", "{}")


def test_usage_that_is_no_count_is_refused():
    lines = []
    for bad in BAD_COUNTS:
        for field in ("prompt_tokens", "completion_tokens"):
            rest = {"prompt_tokens": 9, "completion_tokens": 9}
            del rest[field]
            lines.append(f'{{"{field}": {bad}, {json.dumps(rest)[1:]}')
        for field in ("cached_tokens", "cache_write_tokens"):
            lines.append(f'{{"prompt_tokens": 9, "prompt_tokens_details": {{"{field}": {bad}}}}}')
            lines.append(f'{{"input_tokens": 9, "input_tokens_details": {{"{field}": {bad}}}}}')
        for field in ("cache_read_input_tokens", "cache_creation_input_tokens"):
            lines.append(f'{{"input_tokens": 9, "output_tokens": 9, "{field}": {bad}}}')
        for field in ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"):
            lines.append(f'{{"input_tokens": 9, "output_tokens": 9, "cache_creation": {{"{field}": {bad}}}}}')
        for field in ("toolUsePromptTokenCount", "cachedContentTokenCount", "candidatesTokenCount",
                      "thoughtsTokenCount"):
            lines.append(f'{{"promptTokenCount": 9, "{field}": {bad}}}')
        lines.append(f'{{"input_tokens": {bad}, "output_tokens": 9}}')
        lines.append(f'{{"input_tokens": 9, "output_tokens": {bad}}}')
    for line, answer in zip(lines, drive([f"usage {line}" for line in lines]), strict=True):
        assert answer.startswith("refused "), f"{line}: {answer}"


def test_parts_larger_than_their_whole_are_refused():
    usages = [
        {"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 10}},
        {"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 5}},
        {"input_tokens": 9, "input_tokens_details": {"cached_tokens": 9, "cache_write_tokens": 1}},
        {"input_tokens": 9, "cache_creation_input_tokens": 9,
         "cache_creation": {"ephemeral_5m_input_tokens": 9, "ephemeral_1h_input_tokens": 1}},
        {"promptTokenCount": 9, "toolUsePromptTokenCount": 9, "cachedContentTokenCount": 10},
    ]
    assert all(answer.startswith("refused ") for answer in drive([f"usage {json.dumps(u)}" for u in usages]))


def test_usage_of_no_known_shape_is_refused():
    shapes = ["[]", "null", "5", '"prompt_tokens"', '{"tokens": 5}', '{"something": "else"}',
              '{"usage": {"prompt_tokens": 5}}', '{"prompt_tokens_details": {"cached_tokens": 1}}',
              '{"prompt_tokens": 5, "prompt_tokens_details": 5}', '{"input_tokens": 5, "cache_creation": []}',
              # The one says that reads are part of the input, the other that they are not.
              '{"input_tokens": 5, "input_tokens_details": {"cached_tokens": 1}, "cache_read_input_tokens": 1}']
    for shape, answer in zip(shapes, drive([f"usage {s}" for s in shapes]), strict=True):
        assert answer.startswith("refused "), shape


def test_bare_and_streamed_usage():
    assert drive(['usage {"input_tokens": 5, "output_tokens": 7}', 'usage {"output_tokens": 7}',
                  'usage {"prompt_tokens": 5, "total_tokens": 5}',
                  'usage {"input_tokens": null, "output_tokens": 7, "cache_read_input_tokens": null}',
                  'usage {"input_tokens": 5, "output_tokens": 7, "cache_creation_input_tokens": 9, '
                  '"cache_creation": {"ephemeral_1h_input_tokens": 4}}',
                  ]) == ["5 0 0 0 7 rest=0", "0 0 0 0 7 noinput rest=0", "5 0 0 0 0 rest=0", "0 0 0 0 7 noinput rest=0",
                      "5 0 5 4 7 rest=0"]


# ---- LiteLLM -----------------------------------------------------------------------------------------

FIELDS = ("input_cost_per_token", "cache_read_input_token_cost", "cache_creation_input_token_cost",
          "cache_creation_input_token_cost_above_1hr", "output_cost_per_token")
REASONING = "output_cost_per_reasoning_token"
THRESHOLD = re.compile(f"({'|'.join(FIELDS)})_above_([0-9]+)k_tokens")
TOKEN_MODES = ("chat", "completion", "responses", "embedding")


def pico(text):
    return int((decimal.Decimal(text) * 10**12).quantize(1, rounding=decimal.ROUND_HALF_UP))


def in_classes(listed, base, generates):
    """Five prices from what a tier and the base list; a string says why there are none."""
    both = {**base, **listed}
    if FIELDS[0] not in both:
        return "no_input_price"
    if FIELDS[4] not in both and generates:
        return "no_output_price"
    input, output = pico(both[FIELDS[0]]), pico(both.get(FIELDS[4], "0"))
    if input == 0 and output == 0:
        return "free"
    if input == 0 or (output == 0 and generates):
        return "half_free"
    if pico(listed.get(REASONING, both.get(FIELDS[4], "0"))) != output:
        return "reasoning_price"
    write = pico(both.get(FIELDS[2], both[FIELDS[0]]))
    hour = pico(both[FIELDS[3]]) if FIELDS[3] in both else write
    return [input, pico(both.get(FIELDS[1], both[FIELDS[0]])), write, hour, output]


def expected_entry(entry):
    """The tiers, or the reason of the refusal."""
    if entry.get("mode") not in TOKEN_MODES:
        return "mode"
    generates = entry["mode"] != "embedding"
    base = {f: entry[f] for f in (*FIELDS, REASONING) if f in entry}
    tiers = {0: in_classes(base, {}, generates)}
    for key in entry:
        found = THRESHOLD.fullmatch(key)
        if found:
            above = int(found[2]) * 1000 - (entry["litellm_provider"] == "xai")
            end = f"_above_{found[2]}k_tokens"
            listed = {f: entry[f + end] for f in FIELDS if f + end in entry}
            without = {f: v for f, v in base.items() if f != REASONING}
            tiers[above] = in_classes(listed, without, generates)
    if "tiered_pricing" in entry:
        output = {f: v for f, v in base.items() if f == FIELDS[4]}
        tiers = {int(decimal.Decimal(t["range"][0])): in_classes(t, output, generates) for t in entry["tiered_pricing"]}
    refused = [t for t in tiers.values() if isinstance(t, str)]
    return refused[0] if refused else [[above, *tiers[above]] for above in sorted(tiers)]


@pytest.mark.skipif(not LITELLM.exists(), reason="no copy of LiteLLM's price list beside the project")
def test_litellm_is_read_exactly_or_refused():
    listed = json.loads(LITELLM.read_text(), parse_float=str, parse_int=str)
    entries = {k: v for k, v in listed.items() if k not in ("sample_spec", "fallback_generalizations")}
    *lines, end = drive([f"list {LITELLM}"])
    assert end == f"end {len(entries)}"
    answers = [json.loads(line) for line in lines]
    assert [a["item"] for a in answers] == list(entries)
    accepted = 0
    for answer in answers:
        expected = expected_entry(entries[answer["item"]])
        assert (answer["tiers"] if answer["reason"] == "accepted" else answer["reason"]) == expected, answer
        if answer["reason"] == "accepted":
            accepted += 1
            assert answer["provider"] == entries[answer["item"]]["litellm_provider"]
            assert all(tier[1] > 0 for tier in answer["tiers"])
    assert accepted > 2000, "most of the list is priced per token"

"""Costs of tokens, how usage objects are read, and how LiteLLM's price list is read: octroi's C code
(through tests/unit/price_driver) against fractions and decimals, on cases drawn anew each time.

A failure names the seed: OCTROI_SEED=N repeats the run.  LiteLLM's list is not part of octroi; the test
that needs it looks for ../shared/data/litellm_prices.json and is skipped where there is none.
"""

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
import pricelist_oracle  # noqa: E402
from octroi import TOP, build_dir  # noqa: E402

SEED = int(os.environ.get("OCTROI_SEED") or random.SystemRandom().randrange(2**32))
CASES = 10_000
LITELLM = TOP.parent / "shared" / "data" / "litellm_prices.json"


SIDES = (("inputTokens", "audioInputTokens", "imageInputTokens"), ("cacheReadTokens", "audioCacheReadTokens"),
         ("cacheWriteTokens", "audioCacheWriteTokens"), ("cacheWrite1hTokens",),
         ("outputTokens", "reasoningTokens", "audioOutputTokens", "imageOutputTokens", "videoOutputTokens"))


def flat(answer):
    """A reading of a usage object in words: five sums, each with its modalities, and what else is said of it."""
    if not answer.startswith("{"):
        return answer
    said = json.loads(answer)
    counts = {name: int(count) for name, count in said["counts"].items() if "." not in count}
    return " ".join([*(str(sum(counts.get(name, 0) for name in names)) for names in SIDES), *(["nothing"] if said["nothing"] else []),
                     *(["noinput"] if said["noinput"] else []), f"rest={said['rest']}"])


def drive(lines):
    """The driver's answers to each line."""
    return [flat(answer) if line.startswith("usage ") else answer for line, answer in zip(lines, answers_to(lines), strict=False)]


def answers_to(lines):
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
        usage["server_tool_use"] = {"web_search_requests": 0}
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
        {"promptTokenCount": 9, "toolUsePromptTokenCount": 9, "cachedContentTokenCount": 19},
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


@pytest.fixture(scope="module")
def listed():
    """The list as octroi reads it: an answer for each entry, and for each model that is made of its variants."""
    if not LITELLM.exists():
        pytest.skip("no copy of LiteLLM's price list beside the project")
    *answers, end = answers_to([f"list {LITELLM}"])
    assert end == "end 2984"
    return [json.loads(answer) for answer in answers]


def test_litellm_s_list_is_read_exactly(listed):
    """Every line of every entry, against another reading of the list."""
    wanted, refused = pricelist_oracle.read_list(LITELLM.read_text())
    found = {entry["item"]: sorted(map(tuple, entry["lines"])) for entry in listed if entry["reason"] == "accepted"}
    assert {entry["item"]: entry["reason"] for entry in listed if entry["reason"] != "accepted"} == refused
    assert (len(wanted) - len([e for e in listed if e.get("made")]), len(refused)) == (2774, 210)
    assert found.keys() == wanted.keys()
    for item, lines in wanted.items():
        exact = sorted((d, t, a, v, fractions.Fraction(m, 10**s)) for d, t, a, v, m, s in found[item])
        assert exact == lines, item
    assert not any(entry.get("unused") for entry in listed)


def draw_use(r, lines):
    """Counts of what the price has lines for, and now and then of what it has not; a tier; a variant."""
    dimensions = sorted({line[0] for line in lines})
    chosen = r.sample(dimensions, min(len(dimensions), r.choice((1, 1, 2, 3))))
    chosen += r.sample(sorted(pricelist_oracle.DIMENSIONS), r.choice((0, 0, 0, 1, 2)))
    counts = {}
    for name in chosen:
        high = r.choice((10, 10**4, 10**6, 10**8))
        counts[name] = fractions.Fraction(r.randrange(high * 10), 10) if name in pricelist_oracle.DECIMAL else \
            fractions.Fraction(r.choice((r.randrange(high), *(line[2] + r.choice((0, 1)) for line in lines))))
    variants = sorted({line[3] for line in lines}) + ["", "other"]
    return {n: c for n, c in counts.items() if c > 0}, r.choice(pricelist_oracle.TIERS), r.choice(variants)


def test_any_use_of_litellm_s_list_costs_exactly(listed):
    """Every entry in every dimension, tier, threshold and variant; OCTROI_PRICE_CASES=100000 for a long run."""
    r = random.Random(SEED + 4)
    entries = [entry for entry in listed if entry["reason"] == "accepted"]
    lines, expected = [], []
    for i in range(int(os.environ.get("OCTROI_PRICE_CASES", "6000"))):
        entry = entries[i % len(entries)] if i < len(entries) else r.choice(entries)
        price = [(d, t, a, v, fractions.Fraction(m, 10**s)) for d, t, a, v, m, s in entry["lines"]]
        counts, tier, variant = draw_use(r, price)
        terms, unit = draw_terms(r), r.choice(("money", "credit"))
        lines.append(f"use {price_words(unit, terms, entry['lines'])} {tier} {variant or '-'} {pricelist_oracle.words(counts)}")
        expected.append(pricelist_oracle.charge(price, counts, tier, variant, terms, unit))
    for line, answer, (cost, incomplete, unpriced) in zip(lines, answers_to(lines), expected, strict=True):
        if answer == "none":  # beyond the largest amount, or beyond 128 bits on the way there
            assert cost > 10**13, f"seed {SEED}: {line}"
            continue
        wanted = f"{cost}{' incomplete' if incomplete else ''}{' unpriced' if unpriced else ''}"
        assert answer == wanted, f"seed {SEED}: {line}"


def each_use(r, lines, order):
    """Each dimension once by its least and once by an ordinary count, in a tier and a variant that are drawn."""
    variants = sorted({line[3] for line in lines}) + ["", "other"]
    for name in order:
        for count in ("0.000001" if name in pricelist_oracle.DECIMAL else "1", "1000"):
            yield f"{r.choice(('standard', *pricelist_oracle.TIERS, 'other'))} {r.choice(variants) or '-'} {name}={count}"


def test_nothing_used_is_ever_free_or_refused(listed):
    """Each entry of the list, with each dimension, whether it is priced or not: it is booked, and above 0."""
    r, order = random.Random(SEED + 6), answers_to(["dimensions"])[0].split()
    uses = []
    for entry in listed:
        if entry["reason"] == "accepted":
            words = json.dumps(entry["lines"], separators=(",", ":"))
            uses += [f"{r.choice(('money', 'credit'))} 1050000 1080000 10000 {words} {use}" for use in each_use(r, entry["lines"], order)]
    assert len(uses) > 150_000
    answers = answers_to([f"booked {r.choice((0, 0, 700))} {use}" for use in uses])
    for use, answer in zip(uses, answers, strict=True):
        assert answer != "none" and int(answer.split()[0]) > 0, f"seed {SEED}: {use}: {answer}"
    assert sum("bound" in answer for answer in answers) > 10_000 and sum(answer.isdigit() for answer in answers) > 5_000


def draw_lines(r, order):
    """Lines as a person may set them: some of them 0, but not all."""
    lines = {}
    for _ in range(r.choice((1, 1, 2, 3, 6))):
        where = (order.index(r.choice(order)), r.choice((0, 0, 0, 1, 2, 3)), r.choice(("", "", "a", "b")), r.choice((0, 0, 1000, 200_000)))
        lines[where] = (r.choice((0, 0, 1, 7, 1000)), r.choice((0, 6, 12, 18)))
    if not any(mantissa for mantissa, _ in lines.values()):
        lines[where] = (1, 18)
    return [[order[d], pricelist_oracle.TIERS[t], above, variant, *price] for (d, t, variant, above), price in sorted(lines.items())]


def test_no_price_that_a_person_sets_makes_a_use_free():
    r, order = random.Random(SEED + 8), answers_to(["dimensions"])[0].split()
    uses = []
    for _ in range(3000):
        lines = draw_lines(r, order)
        words = json.dumps(lines, separators=(",", ":"))
        uses += [f"money 1050000 1080000 10000 {words} {use}" for use in r.sample(list(each_use(r, lines, order)), 8)]
    for use, answer in zip(uses, answers_to([f"booked 0 {use}" for use in uses]), strict=True):
        assert answer != "none" and int(answer.split()[0]) > 0, f"seed {SEED}: {use}: {answer}"


def test_no_request_is_let_in_for_nothing(listed):
    """Each entry of the list, whatever single count is announced: something is reserved."""
    r, order = random.Random(SEED + 7), answers_to(["dimensions"])[0].split()
    uses = []
    for entry in listed:
        if entry["reason"] == "accepted":
            words = json.dumps(entry["lines"], separators=(",", ":"))
            uses += [f"money 1050000 1080000 10000 {words} {use}" for use in each_use(r, entry["lines"], order)]
            uses.append(f"money 1050000 1080000 10000 {words} standard - -")
    for use, answer in zip(uses, answers_to([f"reserved {use}" for use in uses]), strict=True):
        assert answer != "none" and int(answer) > 0, f"seed {SEED}: {use}: {answer}"


# ---- the page ----------------------------------------------------------------------------------------


def test_worked_examples_of_the_page():
    """docs/prices.md has one for each dimension, in their order."""
    rows = re.findall(r"^\| `(\w+)` \| ([\d.]+) × ([\d.]+) \| ([\d.]+) \|$", (TOP / "docs/prices.md").read_text(), re.M)
    assert [name for name, *_ in rows] == answers_to(["dimensions"])[0].split()
    for name, count, price, dollars in rows:
        exact = fractions.Fraction(count) * fractions.Fraction(price)
        assert exact == fractions.Fraction(dollars), name
        mantissa, scale = int(price.replace(".", "")), len(price.partition(".")[2])
        use = f'use money 1000000 1000000 1000000 [["{name}","standard",0,"",{mantissa},{scale}]] standard - {name}={count}'
        assert answers_to([use]) == [str(-(-exact * 10**6 // 1))], name

"""Usage objects that say anything: octroi's reading (tests/unit/price_driver) against one of the contract's
(usage_oracle.py), and against what must hold of any.

A failure names the seed: OCTROI_SEED=N repeats the run.
"""

import json
import pathlib
import random
import sys

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / "lib"), str(pathlib.Path(__file__).resolve().parent)]

import usage_oracle as oracle  # noqa: E402
from test_cost import SEED, draw_usage, drive  # noqa: E402

CASES = 20_000
PATHS = (*oracle.INPUT, *oracle.OUTPUT, *oracle.TOTAL, *oracle.READ_INSIDE, *oracle.READ_BESIDE, *oracle.WRITE_INSIDE,
         *oracle.WRITE_BESIDE, *oracle.FIVE_MINUTES, *oracle.HOUR, *oracle.TOOL, *oracle.THOUGHTS, *oracle.REASONING,
         "prompt_cache_miss_tokens", "unknown_tokens", "unknown_tokens_of_video",
         *(f"{d}.{p}" for d in oracle.INPUT_DETAILS for p in oracle.PARTS_OF_INPUT),
         *(f"{d}.{p}" for d in oracle.OUTPUT_DETAILS for p in oracle.PARTS_OF_OUTPUT))
# Fields that an object mostly has, so that not all of them are refused.
USUAL = (("prompt_tokens", "completion_tokens", "total_tokens"), ("input_tokens", "output_tokens", "total_tokens"),
         ("input_tokens", "output_tokens"), ("promptTokenCount", "candidatesTokenCount", "totalTokenCount"),
         ("promptTokenCount", "responseTokenCount", "totalTokenCount"), ("inputTokens", "outputTokens", "totalTokens"),
         ("output_tokens",), ("prompt_eval_count", "eval_count"), ("billed_units.input_tokens", "billed_units.output_tokens"))


def put(usage, path, value):
    *outer, name = path.split(".")
    for part in outer:
        usage = usage.setdefault(part, {})
    usage[name] = value


def draw_value(r):
    """Small, so that sums meet; now and then what is no count."""
    form = r.random()
    if form < 0.03:
        return r.choice((-1, 1.0, True, "5", 10**9, 10**9 + 1, 2**63 - 1, 5 * 10**9 + 1))
    return None if form < 0.1 else r.choice((0, 1, 2, 3, 4, 5, 6, 8, 10))


def draw(r):
    usage = {}
    for path in r.choice(USUAL):
        put(usage, path, r.choice((0, 1, 2, 3, 4, 6)) if path not in oracle.TOTAL else r.choice((2, 3, 5, 8, 9, 12, 20)))
    for path in r.sample(PATHS, r.choice((0, 1, 1, 2, 2, 3, 5))):
        put(usage, path, draw_value(r))
    items = list(usage.items())
    r.shuffle(items)
    return dict(items)


def unlisted_is_number(usage):
    """The oracle takes integers only for counts of unknown names; other kinds are in tests/unit/test_usage.c."""
    return all(v is None or type(v) is int for n, v in usage.items() if n.startswith("unknown"))


def readings(r, count, drawn=draw):
    usages = [u for u in (drawn(r) for _ in range(count)) if unlisted_is_number(u)]
    return zip(usages, drive([f"usage {json.dumps(u)}" for u in usages]), strict=True)


def taken(answer):
    """(counts, counted, no_input, rest), or None."""
    words = answer.split()
    if words[0] == "refused":
        return None
    return tuple(map(int, words[:5])), "nothing" not in words, "noinput" in words, int(words[-1].removeprefix("rest="))


def test_any_object_is_read_as_the_contract_says():
    r = random.Random(SEED + 10)
    seen = {"taken": 0, "refused": 0, "rest": 0, "nothing": 0, "noinput": 0}
    for usage, answer in readings(r, CASES):
        said, expected = taken(answer), oracle.read(usage)
        assert said == expected, f"seed {SEED}: {json.dumps(usage)}: {answer}, not {expected}"
        seen["refused" if said is None else "taken"] += 1
        seen["noinput"] += said is not None and said[2]
        seen["rest"] += said is not None and said[3] > 0
        seen["nothing"] += said is not None and not said[1]
    assert min(seen.values()) > 20 and seen["taken"] > CASES / 10, seen


def flatten(usage, prefix=""):
    for name, value in usage.items():
        if isinstance(value, dict):
            yield from flatten(value, f"{prefix}{name}.")
        elif type(value) is int:
            yield prefix + name, value


def test_no_count_is_free():
    """Of an object that is taken: each of its counts is within what is charged, and so are its sums."""
    r = random.Random(SEED + 11)
    for usage, answer in readings(r, CASES):
        said = taken(answer)
        if said is None or oracle.is_billed(usage):  # Cohere's other counts are of what it does not bill
            continue
        new, read, write, hour, output = said[0]
        input = new + read + write + hour
        about = f"seed {SEED}: {json.dumps(usage)}: {answer}"
        counts = dict(flatten(usage))
        for path, count in counts.items():
            side = (output if path in oracle.OUTPUT or path in oracle.REASONING or path.split(".")[0] in oracle.OUTPUT_DETAILS
                    else input if path in oracle.INPUT or path.split(".")[0] in oracle.INPUT_DETAILS else input + output)
            assert count <= side, (path, about)
        assert input + output >= max((counts.get(p, 0) for p in oracle.TOTAL)), about
        for names in USUAL:
            assert sum(counts.get(n, 0) for n in names[:2]) <= input + output, about
        # A discount needs a count that says so.
        assert read <= max([counts.get(p, 0) for p in (*oracle.READ_INSIDE, *oracle.READ_BESIDE)] + [0]), about


def test_what_a_member_more_can_do():
    """No member that is added to an object of a provider's makes it cheaper, but a cache's count, which says so, and the
    thoughts, which may turn out to be among the candidates.  The input in a spelling that includes the cache says so."""
    r = random.Random(SEED + 12)
    before, after = [], []
    for _ in range(CASES // 4):
        usage, _ = draw_usage(r)
        path = r.choice([p for p in PATHS if at_top(usage, p) and not may_discount(p)])
        more = json.loads(json.dumps(usage))
        value = r.choice((0, 1, 5, 1000, 10**8))
        if path in oracle.WHOLE and value in usage.values():
            continue
        put(more, path, value)
        before.append(usage)
        after.append(more)
    answers = drive([f"usage {json.dumps(u)}" for u in before + after])
    for usage, more, was, now in zip(before, after, answers[:len(before)], answers[len(before):], strict=True):
        said, later = taken(was), taken(now)
        assert said is not None, usage
        if later is not None:
            assert weigh(later[0]) >= weigh(said[0]), f"seed {SEED}: {usage} -> {more}: {was} -> {now}"


def at_top(usage, path):
    """Whether the member can be added: it is not there, and what it would stand in is a record or absent."""
    outer, _, name = path.rpartition(".")
    inside = usage.get(outer) if outer else usage
    return isinstance(inside, dict) and name not in inside or bool(outer) and outer not in usage


def may_discount(path):
    return path in (*oracle.READ_INSIDE, *oracle.READ_BESIDE, *oracle.THOUGHTS)


def weigh(counts):
    """The dearest class is the output, then an hour, then five minutes; as in Anthropic's prices."""
    return sum(a * b for a, b in zip(counts, (300, 30, 375, 600, 1500)))

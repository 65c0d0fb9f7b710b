"""The deciding half of the ledger against a naive account with a plan, by seed.

HISTORIES in the environment is how many, FIRST the first seed (1).  A failure prints the history's last lines and how
to play it again.  Each history is played a second time with idle looks in between, which must change nothing.
"""

import os
import pathlib
import subprocess
import sys

import pytest

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / "model"))

from periods_histories import History  # noqa: E402

BUILD = pathlib.Path(os.environ.get("OCTROI_BUILD", "."))
FIRST = int(os.environ.get("FIRST", "1"))
HISTORIES = int(os.environ.get("HISTORIES", "1500"))
PART = 100  # histories that one process of the driver plays


def drive(lines):
    program = BUILD / "tests/model/periods_driver"
    done = subprocess.run([program], input="\n".join(lines) + "\n", capture_output=True, text=True, check=False)
    return done.stdout.split("\n")[:-1], done.returncode, done.stderr


def describe(history, number, found):
    told = "\n".join(f"{line}\n        {answer}" for line, answer in history.expected[max(0, number - 12):number])
    plans = "\n".join(line for line in history.lines if line.startswith("plan "))
    line, expected = history.expected[number] if number < len(history.expected) else ("dump", "")
    return (f"seed {history.seed}: {history.lines[0]}\n{plans}\n{told}\n{line}\n    expected {expected}\n"
            f"    found    {found}\nto play it again: FIRST={history.seed} HISTORIES=1 tests/run --suite model -k periods")


def compare(history, found):
    """found: the driver's lines for this history, taken off."""
    for number, (_, expected) in enumerate(history.expected):
        answer = found.pop(0) if found else "nothing: it stopped"
        if answer != expected:
            return describe(history, number, answer)
    return compare_dump(history, take_dump(found), history.account.dump())


def take_dump(found):
    end = found.index("end") if "end" in found else len(found)
    dump, found[:end + 1] = found[:end], []
    return dump


def compare_dump(history, dump, expected):
    for found, wanted in zip(dump + ["nothing"] * len(expected), expected):
        if found != wanted:
            return describe(history, len(history.expected), f"{found}\n    instead of {wanted}")
    if len(dump) > len(expected):
        return describe(history, len(history.expected), f"more: {dump[len(expected)]}")
    return check_sense(history, dump)


def check_sense(history, dump):
    """Rules that hold whatever the naive account says."""
    a = history.account
    rows = [line.split() for line in dump]
    periods = [(r[1], int(r[3]), int(r[4])) for r in rows if r[0] == "allowance" and r[5] == "0"]
    for (_, start, end), (_, following, _) in zip(periods, periods[1:]):
        if not start < end:
            return describe(history, len(history.expected), f"a period from {start} to {end}")
        if following == start:
            return describe(history, len(history.expected), f"two periods begin at {start}")
    entries = [int(r[1]) for r in rows if r[0] == "entry"]
    if sum(entries) != a.balance():
        return describe(history, len(history.expected), "the journal does not come to the balance")
    return None


def play(part):
    histories = [History(seed) for seed in part]
    found, status, errors = drive([line for h in histories for line in (*h.lines, "dump")])
    for h in histories:
        wrong = compare(h, found)
        if wrong:
            return wrong + (f"\nthe driver ended with {status}: {errors}" if status else "")
    if status:
        return f"the driver ended with {status}: {errors}"
    return play_idle(histories)


def play_idle(histories):
    played = [h.idle_lines() for h in histories]
    found, status, errors = drive([line for lines in played for line in (*lines, "dump")])
    if status:
        return f"the driver ended with {status}: {errors}"
    for h, lines in zip(histories, played):
        del found[:sum(line[0].isdigit() for line in lines)]
        wrong = compare_dump(h, take_dump(found), h.account.dump())
        if wrong:
            return f"looked at more often: {wrong}"
    return None


def test_a_plan_adds_to_one_period_twice():
    """Another has overtaken it in between, and more people have come since."""
    lines = ["history UTC", "plan a scope=0 pool=10", "plan b version=2 scope=2 pool=100 member=50",
             "plan c version=3 scope=0 pool=250", "1700000000000000 account unit=credit"]
    for step in ("account plan=a", "member x role=0", "member y role=0", "account plan=b", "account plan=c",
                 "member v role=0", "member w role=0", "account plan=b"):
        lines.append(f"{1700000000000000 + len(lines)} {step}")
    found, status, errors = drive([*lines, "dump"])
    assert status == 0, errors
    assert [line.split()[7] for line in found if line.startswith("allowance")] == ["10", "190", "50", "50"]
    assert not [line for line in found if "broken" in line], found


def parts():
    last = FIRST + HISTORIES
    return [range(first, min(first + PART, last)) for first in range(FIRST, last, PART)]


@pytest.mark.parametrize("part", parts(), ids=lambda p: f"{p.start}-{p.stop - 1}")
def test_naive_periods(part):
    wrong = play(part)
    assert wrong is None, wrong

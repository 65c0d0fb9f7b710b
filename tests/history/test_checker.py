"""The checker itself: a history with its tables that is right, and every way to be wrong is found."""

import itertools
import json
import sys

import pytest

import checker
from checker import (DEFECT, DUPLICATED, FIGURES, INVENTED, LOST, ORDER, REFUSED, SUM, Account, AccountCheck, Entry, Hold, Request,
                     Tables, Transaction, Usage, by_account, request_key)
from client import History
from guard import public_id

NAME = "forged:1"


class Story:
    """Writes a history and the tables that belong to it, as octroi would have."""

    def __init__(self):
        self.lines, self.now, self.attempts = [], 0, 0
        self.requests, self.usages, self.holds, self.transactions, self.entries = {}, {}, {}, {}, []
        self.balance = self.held = self.hold_seq = 0
        self.account = None

    def call(self, name, kind, **asked):
        self.now += 10
        self.attempts += 1
        self.lines.append(f"C\t{self.now}\t{name}\t{self.attempts}\t{NAME}\t{kind}\t{json.dumps(asked)}\n")
        return self.attempts

    def answer(self, name, attempt, status, **said):
        self.now += 10
        self.lines.append(f"A\t{self.now}\t{name}\t{attempt}\t{NAME}\t{status}\t{json.dumps(said)}\n")

    # Effects of each operation on the tables.

    def enter(self, amount, usage=0, transaction=0):
        self.entries.append(Entry(len(self.entries) + 1, amount, self.balance, self.balance + amount, usage, transaction))
        self.balance += amount

    def remember(self, id, command, seq, amount):
        self.requests[request_key(id)] = Request(command, seq, amount, self.balance, self.balance - self.held)

    def figures(self):
        return {"balanceMicros": self.balance, "availableMicros": self.balance - self.held, "replayed": False}

    def do_move(self, id, amount):
        seq, before = len(self.entries) + 1, self.balance
        self.enter(amount, transaction=seq)
        self.transactions[seq] = Transaction(amount, before, self.balance)
        self.remember(id, 6, seq, amount)
        return {"transaction": public_id(NAME, seq), "amountMicros": amount, **self.figures()}

    def do_charge(self, id, micros):
        self.hold_seq += 1
        self.enter(-micros, usage=self.hold_seq)
        self.usages[self.hold_seq] = Usage(0, 0, 0, micros, micros, self.balance, self.balance - self.held)
        self.remember(id, 4, self.hold_seq, micros)
        return {"usage": public_id(NAME, self.hold_seq), "costMicros": micros, **self.figures()}

    def do_hold(self, id, micros):
        self.hold_seq += 1
        self.held += micros
        self.holds[self.hold_seq] = Hold(micros)
        self.remember(id, 0, self.hold_seq, micros)
        return {"hold": public_id(NAME, self.hold_seq), "reservedMicros": micros, **self.figures()}

    def do_end(self, seq, state, tokens=(0, 0), micros=0):
        reserved = self.holds.pop(seq).reserved
        self.held -= reserved
        if micros:
            self.enter(-micros, usage=seq)
        self.usages[seq] = Usage(state, *tokens, micros, reserved, self.balance, self.balance - self.held)
        return {"hold": public_id(NAME, seq), "costMicros": micros, **self.figures()}

    # Operations, asked and answered.

    def simple(self, name, kind, does, status=200, **asked):
        attempt = self.call(name, kind, **asked)
        self.answer(name, attempt, status, **(does() if does else {"error": "NO"}))

    def tables(self):
        self.account = self.account or Account(self.balance, self.held, len(self.holds), self.hold_seq, len(self.entries))
        return Tables(self.account, self.requests, self.usages, self.holds, self.transactions, self.entries)

    def problems(self):
        return AccountCheck(NAME, self.lines, self.tables()).run()


def hold_named(seq):
    return {"hold": public_id(NAME, seq)}


def settling(tokens, seq, micros):
    return {**hold_named(seq), "inputTokens": tokens[0], "outputTokens": tokens[1], "micros": micros}


def story():
    s = Story()
    s.simple("t1", "transaction", lambda: s.do_move("t1", 1000), requestId="t1", micros=1000)
    s.simple("h1", "authorize", lambda: s.do_hold("h1", 100), requestId="h1", micros=100)
    s.simple("s1", "settle", lambda: s.do_end(1, 0, (3, 4), 130), **settling((3, 4), 1, 130))
    s.simple("s1b", "settle", None, 409, **settling((5, 5), 1, 200))
    s.simple("c1", "charge", lambda: s.do_charge("c1", 50), requestId="c1", micros=50)
    s.simple("c2", "charge", None, 402, requestId="c2", micros=5000)
    s.simple("h2", "authorize", lambda: s.do_hold("h2", 200), requestId="h2", micros=200)
    s.simple("r2", "release", lambda: s.do_end(3, 1), **hold_named(3), micros=0)
    s.simple("read1", "read", lambda: s.figures(), micros=0)
    s.call("c3", "charge", requestId="c3", micros=20)  # no answer, and took effect
    s.do_charge("c3", 20)
    s.answer("c4", s.call("c4", "charge", requestId="c4", micros=30), 503)  # and this one did not
    s.simple("h3", "authorize", lambda: s.do_hold("h3", 70), requestId="h3", micros=70)
    s.simple("e3", "extend", lambda: s.holds.update({5: Hold(90)}) or setattr(s, "held", s.held + 20) or {
        "hold": public_id(NAME, 5), "reservedMicros": 90}, **hold_named(5), maxOutputTokens=9, micros=90)
    s.simple("h4", "authorize", lambda: s.do_hold("h4", 60), requestId="h4", micros=60)
    s.do_end(6, 2)  # expires
    s.simple("h5", "authorize", lambda: s.do_hold("h5", 60), requestId="h5", micros=60)
    s.call("s5", "settle", **settling((1, 1), 7, 15))
    s.do_end(7, 0, (1, 1), 15)
    s.simple("t2", "transaction", lambda: s.do_move("t2", -300), requestId="t2", micros=-300)
    return s


def test_the_story_is_right():
    assert story().problems() == []


def found(s):
    return {problem.what for problem in s.problems()}


def drop(rows, key):
    def forge(s):
        del getattr(s, rows)[key]
    return forge


def replace(rows, key, **changed):
    def forge(s):
        table = getattr(s, rows)
        table[key] = table[key]._replace(**changed)
    return forge


def charged_again(s):
    """One charge is booked a second time, everything else consistent."""
    request = s.requests[request_key("c1")]
    s.do_charge("c1", 50)
    s.requests[request_key("c1")] = request


def charge_of_nobody(s):
    s.do_charge("nobody", 50)


def settled_again(s):
    s.enter(-130, usage=1)


def settled_otherwise(s):
    """The second settlement, which was refused, stands instead of the first."""
    s.usages[1] = s.usages[1]._replace(input=5, output=5)


def refused_and_charged(s):
    s.do_charge("c2", 5000)


def lost_altogether(s):
    """The last transaction, of which the tables know nothing at all."""
    del s.requests[request_key("t2")]
    del s.transactions[s.entries[-1].seq]
    s.balance -= s.entries.pop().amount


def hold_lost(s):
    del s.requests[request_key("h3")]
    s.held -= s.holds.pop(5).reserved
    s.hold_seq -= 1


def settlement_lost(s):
    """The hold is open again, as if it had never been settled."""
    row = s.usages.pop(1)
    s.holds[1] = Hold(row.reserved)
    s.held += row.reserved


def settled_by_nobody(s):
    s.do_end(5, 0, (8, 8), 10)


def released_by_nobody(s):
    s.do_end(5, 1)


def expiry_that_costs(s):
    s.usages[6] = s.usages[6]._replace(cost=7)
    s.enter(-7, usage=6)


def entry_about_nothing(s):
    s.enter(-7, usage=99)


def entries_swapped(s):
    """The books are right, but say that what was asked later was done first."""
    i, j = (next(n for n, e in enumerate(s.entries) if e.usage == usage) for usage in (1, 2))
    moved = [(s.entries[j].amount, s.entries[j].usage), (s.entries[i].amount, s.entries[i].usage)]
    before = s.entries[i].before
    for at, (amount, usage) in zip((i, j), moved):
        s.entries[at] = s.entries[at]._replace(amount=amount, usage=usage, before=before, after=before + amount)
        before += amount


def wrong_price(s):
    """Charged and answered alike, but not what the client knows it has to cost."""
    s.lines = [line.replace('"requestId": "c1", "micros": 50', '"requestId": "c1", "micros": 49') for line in s.lines]


def old_balance(s):
    s.lines = [line.replace(f'"balanceMicros": {1000 - 130 - 50}', '"balanceMicros": 1000') if "\tread1\t" in line else line
               for line in s.lines]


def balance_of_nobody(s):
    s.lines = [line.replace(f'"balanceMicros": {1000 - 130 - 50}', '"balanceMicros": 821') if "\tread1\t" in line else line
               for line in s.lines]


def done_twice_by_the_answers(s):
    attempt = s.call("c1", "charge", requestId="c1", micros=50)
    said = next(line for line in s.lines if line.startswith("A") and "\tc1\t" in line).split("\t")[6]
    s.answer("c1", attempt, 200, **json.loads(said))


def fingerprint_ignored(s):
    """Another charge under a known request id was given the first one's answer."""
    attempt = s.call("c1x", "charge", requestId="c1", micros=70)
    said = json.loads(next(line for line in s.lines if line.startswith("A") and "\tc1\t" in line).split("\t")[6])
    s.answer("c1x", attempt, 200, **{**said, "replayed": True})


def internal_error(s):
    s.answer("c9", s.call("c9", "charge", requestId="c9", micros=1), 500)


def no_account(s):
    s.tables()
    s.tables = lambda: Tables()


@pytest.mark.parametrize("forge, what", [
    (lost_altogether, LOST), (hold_lost, LOST), (settlement_lost, LOST), (no_account, LOST),
    (drop("requests", request_key("c1")), LOST), (drop("requests", request_key("h1")), LOST),
    (drop("usages", 2), LOST), (drop("usages", 3), LOST), (drop("holds", 5), LOST),
    (replace("holds", 5, reserved=70), LOST),
    (charged_again, INVENTED), (settled_again, SUM), (done_twice_by_the_answers, DUPLICATED),
    (lambda s: s.holds.update({1: Hold(100)}), DUPLICATED),
    (replace("requests", request_key("c3"), seq=2), DUPLICATED),
    (charge_of_nobody, INVENTED), (settled_by_nobody, INVENTED), (released_by_nobody, INVENTED), (expiry_that_costs, INVENTED),
    (entry_about_nothing, INVENTED), (balance_of_nobody, INVENTED), (lambda s: s.holds.update({8: Hold(0)}), INVENTED),
    (refused_and_charged, REFUSED), (settled_otherwise, REFUSED),
    (replace("usages", 1, cost=131), FIGURES), (replace("usages", 2, cost=51), FIGURES), (replace("usages", 1, balance=1), FIGURES),
    (replace("requests", request_key("c1"), amount=51), FIGURES), (replace("requests", request_key("c3"), amount=21), FIGURES),
    (replace("requests", request_key("h1"), balance=1), FIGURES), (replace("requests", request_key("h1"), available=-1), FIGURES),
    (replace("transactions", 1, amount=1001), FIGURES), (replace("requests", request_key("t1"), command=4), FIGURES),
    (wrong_price, FIGURES), (fingerprint_ignored, FIGURES),
    (replace("entries", 0, amount=1001), SUM), (replace("entries", 1, before=999), SUM), (lambda s: s.entries.pop(), SUM),
    (lambda s: setattr(s, "account", s.tables().account._replace(balance=s.balance + 1)), SUM),
    (lambda s: setattr(s, "account", s.tables().account._replace(held=s.held - 1)), SUM),
    (lambda s: setattr(s, "account", s.tables().account._replace(hold_seq=99)), SUM),
    (entries_swapped, ORDER), (old_balance, ORDER),
    (internal_error, DEFECT),
])
def test_what_is_wrong_is_found(forge, what):
    s = story()
    forge(s)
    assert what in found(s)


def test_unknown_may_be_there_or_not():
    s = story()
    s.do_charge("c4", 30)  # the one that was answered 503 took effect after all
    assert s.problems() == []


def test_a_file_per_account(tmp_path, monkeypatch):
    """However the lines are spread over files and buckets, each account's come together."""
    monkeypatch.setattr(checker, "BUCKET_BYTES", 1000)
    files = [tmp_path / "a", tmp_path / "b"]
    histories = [History(path) for path in files]
    for n in range(300):
        attempt = histories[n % 2].call(f"o{n}", f"account{n % 7}", "charge", {"micros": n})
        histories[n % 2].answer(f"o{n}", attempt, f"account{n % 7}", 402, {"error": "NO"})
    for history in histories:
        history.close()
    seen = dict(by_account(files, tmp_path))
    assert sorted(seen) == [f"account{n}" for n in range(7)] and sum(map(len, seen.values())) == 600
    assert all(f"\taccount{n}\t" in line for n in range(7) for line in seen[f"account{n}"])


def test_work_grows_with_the_history_and_no_more():
    """Eight times the history takes eight times the calls of functions; seconds would tell of the machine."""
    def calls(operations):
        s, count = Story(), itertools.count()
        s.simple("t0", "transaction", lambda: s.do_move("t0", 10**9), requestId="t0", micros=10**9)
        for n in range(operations):
            s.simple(f"c{n}", "charge", lambda n=n: s.do_charge(f"c{n}", 5), requestId=f"c{n}", micros=5)
        sys.setprofile(lambda *_: next(count))
        try:
            problems = s.problems()
        finally:
            sys.setprofile(None)
        assert problems == []
        return next(count)
    assert calls(8000) < calls(1000) * 8 * 1.05

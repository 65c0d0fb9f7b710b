"""Graces: what a place may use while octroi does not answer, and how such uses are booked.

The attacks of the second half have a guard key, every grace that was ever answered, and time: they get an account no
further below zero than the operator's amount.  STEPS=20000 for an hour of them.
"""

import contextlib
import os
import random

import pytest

import guard
from conftest import TOKEN_SECRET
from octroi import Octroi
from second import Second
from timetravel import Clock

GRACE = 1_000_000
SECONDS = 3600
DAY = 86400
P, Q = "0123456789abcdef" * 2, "fedcba9876543210" * 2
ASKED = {"model": "gpt-4o", "inputTokens": 1000, "maxOutputTokens": 1000}
COST = guard.cost("gpt-4o", input=1000, output=1000)
STEPS = int(os.environ.get("STEPS", 400))
SETTINGS = {"outage_grace": "1", "outage_grace_seconds": SECONDS, "token_secret": TOKEN_SECRET}


@pytest.fixture(scope="module")
def o():
    with Octroi("nginx", settings=SETTINGS) as made:
        yield made


@pytest.fixture
def clock(o):
    with contextlib.closing(Clocked(o)) as clock:
        yield clock


class Clocked(Clock):
    close = Clock.release


def ask(o, account, place=P, **more):
    return o.post("/api/guard/authorize", {"account": account, **ASKED, "grace": {"place": place}, **more})


def given(o, account, place=P):
    """The grace of a new hold, with the version of its prices."""
    answer = ask(o, account, place)
    assert answer.status == 200, answer
    guard.release(o, answer.json["hold"])
    return answer.json["grace"] and {**answer.json["grace"], "priceVersion": answer.json["priceVersion"]}


def use(o, account, grace, place=P, micros=COST, rid=None, key="guard", **more):
    """Books a use of the grace."""
    used = {name: grace[name] for name in ("serial", "limitMicros", "endsAt", "signature", "priceVersion")}
    body = {"account": account, **ASKED, "requestId": rid or guard.request_id(), **more,
            "grace": {"place": place, "used": {**used, "micros": micros}}}
    return o.post("/api/guard/authorize", body, key=key)


def refused(answer):
    return (answer.status, answer.json["error"]) == (409, "GRACE_REFUSED")


def spend(o, account):
    """All that the account may spend, by other ways."""
    o.fund(account, -o.balance(account)[2])


# ---- what is given ------------------------------------------------------------------------------------------


def test_grace_is_answered_where_it_is_asked_for(o):
    account = o.account(funds_micros=10 * GRACE)
    assert "grace" not in guard.authorize(o, account).json
    grace = given(o, account)
    assert (grace["limitMicros"], grace["bookedMicros"]) == (GRACE, 0) and SECONDS - 5 < grace["seconds"] <= SECONDS
    assert given(o, account) == {**grace, "seconds": pytest.approx(grace["seconds"], abs=5)}
    assert given(o, account, Q) is None
    rid = guard.request_id()
    assert "grace" in ask(o, account, requestId=rid).json
    again = ask(o, account, requestId=rid).json
    assert again["replayed"] and "grace" not in again


def test_grace_is_not_more_than_the_account_has(o):
    account = o.account(funds_micros=COST + 300_000)
    answer = ask(o, account).json
    assert answer["grace"]["limitMicros"] == answer["availableMicros"] == 300_000
    account = o.account(funds_micros=COST)
    answer = ask(o, account)
    assert answer.status == 200 and answer.json["grace"] is None


def test_grace_is_off_by_default():
    with Octroi("nginx") as plain:
        account = plain.account(funds_micros=10 * GRACE)
        assert given(plain, account) is None
        forged = {"serial": 1, "limitMicros": GRACE, "endsAt": 2_000_000_000, "signature": "A" * 43, "priceVersion": 0}
        assert refused(use(plain, account, forged))
        assert plain.sql("SELECT COUNT(*) FROM graces") == [("0",)]


def test_browsers_get_none(o):
    account = o.account(funds_micros=10 * GRACE)
    token = o.post("/api/tokens", {"account": account}, key="app").json["token"]
    body = {"account": account, **ASKED, "grace": {"place": P}}
    for key in (None, "report"):
        assert o.post("/api/guard/authorize", body, key=key).status in (401, 403)
    answer = o.call("POST", "/api/guard/authorize", json=body, key=None, headers={"Authorization": f"Bearer {token}"})
    assert answer.status in (401, 403)
    assert o.call("POST", "/api/guard/authorize", json=body, public=True).status == 404
    assert o.sql(f"SELECT COUNT(*) FROM graces WHERE account_id = {guard.key_of(account)}") == [("0",)]


# ---- what is booked -----------------------------------------------------------------------------------------


def test_use_is_booked_once_and_becomes_debt(o):
    account = o.account(funds_micros=10 * GRACE)
    grace = given(o, account)
    spend(o, account)
    assert guard.authorize(o, account).status == 402
    rid = guard.request_id()
    uses, micros = o.metric("octroi_grace_uses_total"), o.metric("octroi_grace_used_micros_total")
    first = use(o, account, grace, rid=rid)
    assert first.status == 200 and first.json["reservedMicros"] == COST and "grace" not in first.json, first
    again = use(o, account, grace, rid=rid)
    assert again.json["replayed"] and again.json["hold"] == first.json["hold"]
    assert use(o, account, grace, rid=rid, inputTokens=999).json["error"] == "CONFLICT"
    assert guard.settle(o, first.json["hold"], inputTokens=1000, outputTokens=1000).status == 200
    assert o.balance(account)[0] == -COST
    assert o.metric("octroi_grace_uses_total") == uses + 1
    assert o.metric("octroi_grace_used_micros_total") == micros + COST
    o.fund(account, 10 * GRACE)
    renewed = given(o, account)
    assert (renewed["limitMicros"], renewed["bookedMicros"]) == (GRACE + COST, COST)


def test_uses_are_refused_beyond_the_amount(o):
    account = o.account(funds_micros=10 * GRACE)
    grace = given(o, account)
    spend(o, account)
    answers = [use(o, account, grace) for _ in range(GRACE // COST + 3)]
    assert [answer.status for answer in answers] == [200] * (GRACE // COST) + [409] * 3
    assert all(map(refused, answers[GRACE // COST:]))
    # A use reserves at most what the place counted for it, and a greater count does not fit any more.
    assert refused(use(o, account, grace, micros=COST - 1)) and refused(use(o, account, grace, micros=GRACE))
    assert o.balance(account)[2] == -COST * (GRACE // COST) >= -GRACE


def test_request_that_took_effect_is_not_booked_twice(o):
    account = o.account(funds_micros=10 * GRACE)
    grace = given(o, account)
    rid = guard.request_id()
    lost = ask(o, account, requestId=rid).json  # as if its answer never came
    answer = use(o, account, grace, rid=rid)
    assert answer.json["hold"] == lost["hold"] and answer.json["replayed"]
    assert guard.settle(o, lost["hold"], inputTokens=1000, outputTokens=1000).status == 200
    assert o.balance(account) == (10 * GRACE - COST, 0, 10 * GRACE - COST)
    assert given(o, account)["bookedMicros"] == 0


def test_use_is_paid_whatever_key_the_customer_has_given_since(o):
    """The use went out by the platform's key: a hold of the customer's own key would make it free."""
    account = o.account(funds_micros=10 * GRACE)
    grace = given(o, account)
    assert o.call("PUT", f"/api/accounts/{account}", json={"byok": ["openai"]}).status == 200
    assert ask(o, account).json["source"] == "byok"
    answer = use(o, account, grace)
    assert answer.status == 200 and (answer.json["source"], answer.json["reservedMicros"]) == ("platform", COST)
    assert guard.settle(o, answer.json["hold"], inputTokens=1000, outputTokens=1000).json["costMicros"] == COST


def test_each_member_is_signed(o):
    account, other = o.account(funds_micros=10 * GRACE), o.account(funds_micros=10 * GRACE)
    grace, others = given(o, account), given(o, other)
    a = "A" if grace["signature"][0] != "A" else "B"
    forged = [{"serial": grace["serial"] + 1}, {"limitMicros": 2 * GRACE}, {"limitMicros": 0}, {"endsAt": grace["endsAt"] + 1},
              {"endsAt": 0}, {"signature": a + grace["signature"][1:]}, {"signature": others["signature"]}]
    for change in forged:
        assert refused(use(o, account, {**grace, **change})), change
    assert refused(use(o, account, grace, place=Q)) and refused(use(o, other, grace)) and refused(use(o, account, others))
    assert refused(use(o, f"{account}.new", grace))
    assert use(o, account, grace).status == 200


def test_malformed_graces(o):
    account = o.account(funds_micros=10 * GRACE)
    grace = {k: v for k, v in given(o, account).items() if k not in ("seconds", "bookedMicros")}
    used = {**grace, "micros": 1}
    wrong = {
        "grace": [1, [], "x"], "grace.place": [{}, {"place": None}, {"place": "g" * 32}, {"place": "é" * 32}, {"place": P[1:]}],
        "grace.more": [{"place": P, "more": 1}], "grace.used": [{"place": P, "used": 1}],
        "grace.used.more": [{"place": P, "used": {**used, "more": 1}}],
        **{f"grace.used.{name}": [{"place": P, "used": {**used, name: value}} for value in (None, -1, "x", [], 1.5)]
           for name in used},
    }
    for field, values in wrong.items():
        for value in values:
            answer = o.post("/api/guard/authorize", {"account": account, **ASKED, "requestId": "r", "grace": value})
            assert (answer.status, answer.json["field"]) == (400, field), (value, answer)
    answer = o.post("/api/guard/authorize", {"account": account, **ASKED, "grace": {"place": P, "used": used}})
    assert (answer.status, answer.json["field"]) == (400, "requestId"), "without an id, a repetition would be a second use"
    assert o.sql(f"SELECT booked_micros FROM graces WHERE account_id = {guard.key_of(account)}") == [("0",)]


def test_two_octroi_share_the_key_and_the_amount(o):
    account = o.account(funds_micros=10 * GRACE)
    grace = given(o, account)
    with Second(o) as second:
        def asked_there(body):
            here, o.env["OCTROI_INTERNAL_URL"] = o.env["OCTROI_INTERNAL_URL"], second.internal_url
            try:
                return body()
            finally:
                o.env["OCTROI_INTERNAL_URL"] = here
        assert asked_there(lambda: given(o, account))["signature"] == grace["signature"]
        spend(o, account)
        answers = [asked_there(lambda: use(o, account, grace)) if i % 2 else use(o, account, grace)
                   for i in range(GRACE // COST + 4)]
        assert sum(answer.status == 200 for answer in answers) == GRACE // COST


# ---- time ---------------------------------------------------------------------------------------------------


def test_old_graces(o, clock):
    account = o.account(funds_micros=10 * GRACE)
    grace = given(o, account)
    clock.forward(seconds=SECONDS + DAY - 60)
    assert use(o, account, grace).status == 200, "what was used in time is booked within a day"
    assert given(o, account, Q) is None, "and may still be, so nobody else has a grace"
    clock.forward(seconds=120)
    assert refused(use(o, account, grace))
    moved = given(o, account, Q)
    assert (moved["limitMicros"], moved["bookedMicros"]) == (GRACE, 0)
    assert refused(use(o, account, grace)) and use(o, account, moved, place=Q).status == 200
    assert given(o, account) is None


def test_clock_that_jumps(o, clock):
    """A grace that was answered in the future, or the past, covers no more than any other."""
    account = o.account(funds_micros=10 * GRACE)
    graces = []
    for days in (0, 400, -399, 5, -5):
        clock.forward(days=days)
        graces += filter(None, [given(o, account), given(o, account, Q)])
    spend(o, account)
    for _ in range(3):
        for grace in graces:
            for place in (P, Q):
                for micros in (GRACE, GRACE // 2, COST):
                    use(o, account, grace, place=place, micros=micros)
    assert -GRACE <= o.balance(account)[2] < 0


def test_restored_database(o):
    """An older state knows no later grace, and no later use: no more is booked than it had given."""
    account = o.account(funds_micros=10 * GRACE)
    before = given(o, account)
    dump = o.dir / "before.sql"
    o.ctl("backup", dump)
    while use(o, account, before, micros=GRACE // 10).status == 200:
        pass
    after = given(o, account)
    assert after["limitMicros"] == 2 * GRACE
    tables = o.sql("SELECT table_name FROM information_schema.TABLES WHERE table_schema = 'octroi'")
    o.sql("SET FOREIGN_KEY_CHECKS = 0; " + "; ".join(f"DROP TABLE octroi.`{name}`" for (name,) in tables))
    o.ctl("restore", dump)
    spend(o, account)
    assert refused(use(o, account, after)), "its serial was never given here"
    while use(o, account, before).status == 200:
        pass
    assert -GRACE <= o.balance(account)[2] < COST - GRACE


# ---- the operator sees it -----------------------------------------------------------------------------------


def test_metrics_and_octroictl_say_how_much_is_out():
    with Octroi("nginx", settings=SETTINGS) as own:
        money, credit = own.account(funds_micros=10 * GRACE), own.account(funds_micros=10**9, unit="credit")
        grace = given(own, money)
        given(own, credit)
        use(own, money, grace, micros=400_000)
        shown = own.get("/metrics", key="report").text
        for line in ('octroi_grace_accounts{unit="money"} 1', 'octroi_grace_accounts{unit="credit"} 1',
                     'octroi_grace_out_micros{unit="money"} 600000', 'octroi_grace_out_micros{unit="credit"} 1000000',
                     "octroi_grace_uses_total 1", "octroi_grace_used_micros_total 400000"):
            assert f"\n{line}\n" in shown, line
        status = own.ctl("status", "--json")
        assert '"graceAccounts":2' in status.stdout.replace(" ", "") and '"graceOutMoneyMicros":600000' in status.stdout.replace(" ", "")
        assert "grace out, credits" in own.ctl("status").stdout
        text = own.ctl("account", "show", money).stdout
        assert "grace for outages:" in text and P in text and "0.60" in text and "0.40" in text
        assert "grace" not in own.ctl("account", "show", own.account()).stdout


# ---- for nothing --------------------------------------------------------------------------------------------


class Attacker:
    """Knows the guard key and every grace that was ever answered."""

    def __init__(self, o, clock, seed):
        self.o, self.clock, self.chance = o, clock, random.Random(seed)
        self.accounts = [o.account(funds_micros=self.chance.randrange(3 * GRACE)) for _ in range(3)]
        self.places = [P, Q, "00" * 16]
        self.graces, self.ids, self.booked, self.refused = [], [], 0, 0

    def account(self):
        return self.chance.choice(self.accounts)

    def ask(self):
        place, account = self.chance.choice(self.places), self.account()
        answer = ask(self.o, account, place)
        if answer.status == 200:
            guard.settle(self.o, answer.json["hold"], inputTokens=self.chance.randrange(1001), outputTokens=1000)
            if answer.json["grace"]:
                self.graces.append((account, place, {**answer.json["grace"], "priceVersion": answer.json["priceVersion"]}))

    def book(self):
        if not self.graces:
            return
        account, place, grace = self.chance.choice(self.graces)
        for rate, change in ((0.05, {"limitMicros": 10 * GRACE}), (0.05, {"serial": grace["serial"] + 1})):
            grace = {**grace, **change} if self.chance.random() < rate else grace
        account = self.account() if self.chance.random() < 0.05 else account
        place = self.chance.choice(self.places) if self.chance.random() < 0.05 else place
        rid = self.chance.choice(self.ids) if self.ids and self.chance.random() < 0.1 else guard.request_id()
        answer = use(self.o, account, grace, place, self.chance.choice((COST, GRACE // 3, GRACE, 1, 0)), rid)
        self.ids.append(rid)
        self.booked += answer.status == 200
        self.refused += answer.status == 409
        if answer.status == 200 and self.chance.random() < 0.7:
            guard.settle(self.o, answer.json["hold"], inputTokens=1000, outputTokens=self.chance.randrange(1001))

    def spend(self):
        account = self.account()
        available = self.o.balance(account)[2]
        if available > 0:
            self.o.fund(account, -self.chance.randrange(available + 1))

    def fund(self):
        self.o.fund(self.account(), self.chance.randrange(GRACE))

    def move_clock(self):
        self.clock.forward(seconds=self.chance.choice((10, SECONDS // 2, SECONDS, DAY, -DAY, -SECONDS)))

    def kill(self):
        self.o.kill()
        self.o.start()

    def step(self):
        kinds = {self.ask: 30, self.book: 45, self.spend: 12, self.fund: 8, self.move_clock: 4, self.kill: 1}
        self.chance.choices(list(kinds), kinds.values())[0]()


def test_nothing_for_nothing(o, clock):
    attacker = Attacker(o, clock, seed=STEPS)
    for n in range(STEPS):
        attacker.step()
        if n % 10 == 0:
            for account in attacker.accounts:
                assert o.balance(account)[2] >= -GRACE, (n, account)
    for account in attacker.accounts:
        assert o.balance(account)[2] >= -GRACE
    assert attacker.booked > STEPS // 20 and attacker.refused > STEPS // 20, vars(attacker)

"""Hundreds of people of one workspace spend at once, through nginx and two octroi processes: never a credit over what
is there, over a person's limit, a day's or a month's, and each refusal says which of them it was.

The workspaces live in time zones where it is about noon, so that no day ends while they are looked at.
"""

import collections
import datetime
import random

import pytest

import guard
from guard import key_of
from octroi import Octroi, wait_until
from second import Second
from swarm import Swarm
from timetravel import Clock

PEOPLE = 500
CREDIT = 1_000_000
NAMES = [f"user:{i:03}" for i in range(PEOPLE)]
BEHIND = datetime.datetime.now(datetime.timezone.utc).hour - 12  # hours behind Greenwich; the same for all tests


@pytest.fixture(scope="module")
def o():
    with Octroi("nginx") as o:
        o.ctl("plan", "set", "pool", "--unit", "credit", "--scope", "pool", "--pool", "700")
        o.ctl("plan", "set", "seats", "--unit", "credit", "--scope", "mixed", "--pool", "200", "--member", "2")
        yield o


@pytest.fixture(scope="module")
def swarm(o):
    with Second(o) as second, Swarm([o.internal_url, second.internal_url], PEOPLE) as swarm:
        swarm.connect()
        yield swarm


def noon_zone():
    """Etc/GMT+5 is five hours behind Greenwich."""
    return f"Etc/GMT{BEHIND:+d}" if BEHIND else "Etc/GMT"


def ends(window):
    """When this day or month ends in that zone, as answers say it."""
    zone = datetime.timezone(datetime.timedelta(hours=-BEHIND))
    today = datetime.datetime.now(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    after = today + datetime.timedelta(days=1) if window == "daily" else \
        (today.replace(day=1) + datetime.timedelta(days=32)).replace(day=1)
    return after.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def people(o, swarm, account, names=NAMES, **limits):
    """All join at once; limits: credits by period."""
    for fields in [{"limitMicros": credits * CREDIT, "period": period} for period, credits in limits.items()] or [{}]:
        joined = swarm.run(swarm.request("PUT", f"/api/accounts/{account}/members/{name}", o.keys["app"],
                                         {"role": "member", **fields}) for name in names)
        assert {a.status for a in joined} == {200}, [a for a in joined if a.status != 200][:1]


def spend(o, swarm, account, wanted):
    """Charges of (member, credits), all at once in no order; what each member paid, and the refusals."""
    wanted = list(wanted)
    random.shuffle(wanted)
    answers = swarm.run(swarm.request("POST", "/api/guard/charge", o.keys["guard"], {
        "account": account, "member": member, "action": "page", "quantity": credits}) for member, credits in wanted)
    assert {a.status for a in answers} <= {200, 402}, collections.Counter(a.status for a in answers)
    paid, refused = collections.Counter(), []
    for (member, credits), answer in zip(wanted, answers):
        if answer.status == 200:
            paid[member] += credits
        else:
            refused.append((member, credits, answer.json))
    return paid, refused


def booked(o, account):
    """The journal, the balance and the usages of each member say one thing."""
    key = key_of(account)
    by_member = {m or "": int(c) for m, c in o.sql(
        f"SELECT member, SUM(cost_micros) FROM usages WHERE account_id = {key} GROUP BY member")}
    assert guard.journal_sum(o, account) == o.balance(account)[0]
    return by_member


def says(refusal, kind, error, limit, used, resets, member=None):
    assert refusal["error"] == error, refusal
    assert refusal["limit"] == {"kind": kind, "limitMicros": limit * CREDIT, "usedMicros": used * CREDIT,
                                "resetsAt": resets, **({"member": member} if member else {})}


def test_never_more_than_the_plan_pool(o, swarm):
    account = o.account("pool", unit="credit", timeZone=noon_zone(), plan="pool")
    people(o, swarm, account)
    paid, refused = spend(o, swarm, account, [(name, 1) for name in NAMES] * 3)
    assert sum(paid.values()) == 700 and len(refused) == 800
    for _, _, refusal in refused:
        says(refusal, "balance", "INSUFFICIENT_CREDITS", 0, 0, ends("monthly"))
        assert refusal["availableMicros"] == 0 and refusal["shortfallMicros"] == CREDIT
    assert booked(o, account) == {m: c * CREDIT for m, c in paid.items()}
    assert o.balance(account) == (0, 0, 0)


def test_never_more_than_each_limit_of_a_person(o, swarm):
    """100 people each with a limit for the month, the day, the period, several of them, and none."""
    account = o.account("people", unit="credit", funds_micros=10_000 * CREDIT, timeZone=noon_zone())
    kinds = {0: {"period": 5}, 1: {"day": 3}, 2: {"month": 4}, 3: {"period": 6, "day": 7, "month": 2}, 4: {}}
    expected = {0: ("member", 5, "monthly"), 1: ("daily", 3, "daily"), 2: ("monthly", 4, "monthly"),
                3: ("monthly", 2, "monthly")}
    for kind, limits in kinds.items():
        people(o, swarm, account, NAMES[kind::5], **limits)
    paid, refused = spend(o, swarm, account, [(name, 1) for name in NAMES] * 8)
    for i, name in enumerate(NAMES):
        assert paid[name] == (expected[i % 5][1] if i % 5 in expected else 8), name
    for name, _, refusal in refused:
        kind, limit, window = expected[NAMES.index(name) % 5]
        says(refusal, kind, "MEMBER_LIMIT_REACHED" if kind == "member" else "SPENDING_LIMIT_REACHED",
             limit, limit, ends(window), member=name)
        assert refusal["neededMicros"] == refusal["shortfallMicros"] == CREDIT
    assert len(refused) == 100 * (3 + 5 + 4 + 6)
    assert booked(o, account) == {m: c * CREDIT for m, c in paid.items()}
    counted = o.sql("SELECT member_id, held_micros, day_micros, month_micros, period_micros FROM members"
                    f" WHERE account_id = {key_of(account)}")
    assert {row[0]: set(row[1:]) for row in counted} == {m: {"0", str(c * CREDIT)} for m, c in paid.items()}
    assert o.sql(f"SELECT day_micros, month_micros FROM workspaces WHERE account_id = {key_of(account)}") == [
        (str(sum(paid.values()) * CREDIT),) * 2]


@pytest.mark.parametrize("window", ["daily", "monthly"])
def test_never_more_than_the_limit_of_all(o, swarm, window):
    """People of different appetites; what the named limit leaves is less than each of those refused asked for."""
    account = o.account(window, unit="credit", funds_micros=10_000 * CREDIT, timeZone=noon_zone(),
                        **{f"{window}LimitMicros": 900 * CREDIT})
    people(o, swarm, account)
    random.seed(window)
    wanted = [(name, random.randrange(1, 6)) for name in NAMES * 2]
    paid, refused = spend(o, swarm, account, wanted)
    took = sum(paid.values())
    assert 900 - 5 < took <= 900 and refused
    for _, credits, refusal in refused:
        used = refusal["limit"]["usedMicros"] // CREDIT
        assert used <= 900 < used + credits
        says(refusal, window, "SPENDING_LIMIT_REACHED", 900, used, ends(window))
    assert sum(booked(o, account).values()) == took * CREDIT
    # The remainder is served to any member that asks for no more than that.
    paid, refused = spend(o, swarm, account, [(name, 1) for name in NAMES])
    assert sum(paid.values()) == 900 - took and len(refused) == PEOPLE - (900 - took)


def test_nobody_uses_the_share_of_another(o, swarm):
    """500 seats of 2 credits and 200 for all: greedy people get the 200 between them, and all others their own."""
    account = o.account("shares", unit="credit", timeZone=noon_zone())
    people(o, swarm, account)
    assert o.call("PUT", f"/api/accounts/{account}", json={"plan": "seats"}, key="app").status == 200
    assert o.balance(account)[0] == (200 + 2 * PEOPLE) * CREDIT
    greedy, modest = NAMES[:100], NAMES[100:]
    paid, refused = spend(o, swarm, account, [(name, 1) for name in greedy + ["stranger"]] * 8)
    assert sum(paid.values()) == 200 + 2 * len(greedy)
    assert all(2 <= paid[name] for name in greedy)
    for name, _, refusal in refused:
        own, used = (2, paid[name]) if name in greedy else (0, 0)
        says(refusal, "member", "MEMBER_LIMIT_REACHED", own, used, ends("monthly"), member=name)
        assert refusal["availableMicros"] == 0
    paid, refused = spend(o, swarm, account, [(name, 1) for name in modest] * 2)
    assert not refused and set(paid.values()) == {2} and len(paid) == len(modest)
    assert o.balance(account) == (0, 0, 0)
    _, refused = spend(o, swarm, account, [(modest[0], 1)])
    says(refused[0][2], "balance", "INSUFFICIENT_CREDITS", 0, 0, ends("monthly"))


def test_what_is_held_counts(o, swarm):
    """Holds of people with a limit: as many as it allows; released ones make room, settled ones do not."""
    account = o.account("holds", unit="credit", funds_micros=10_000 * CREDIT, timeZone=noon_zone(),
                        dailyLimitMicros=1200 * CREDIT)
    people(o, swarm, account, period=3)

    def hold_all(times):
        wanted = NAMES * times
        answers = swarm.run(swarm.request("POST", "/api/guard/authorize", o.keys["guard"], {
            "account": account, "member": name, "action": "page", "quantity": 1}) for name in wanted)
        assert {a.status for a in answers} <= {200, 402}
        for name, answer in zip(wanted, answers):
            if answer.status == 402:
                kind = answer.json["limit"]["kind"]
                assert kind in ("member", "daily")
                says(answer.json, kind, {"member": "MEMBER_LIMIT_REACHED", "daily": "SPENDING_LIMIT_REACHED"}[kind],
                     *((3, 3, ends("monthly"), name) if kind == "member" else (1200, 1200, ends("daily"))))
        return [(name, a.json["hold"]) for name, a in zip(wanted, answers) if a.status == 200]

    def end_all(holds, way):
        answers = swarm.run(swarm.request("POST", f"/api/guard/{way}", o.keys["guard"], {"hold": hold})
                            for _, hold in holds)
        assert {a.status for a in answers} == {200}

    holds = hold_all(4)
    assert len(holds) == 1200 and max(collections.Counter(name for name, _ in holds).values()) == 3
    assert o.balance(account)[1] == 1200 * CREDIT
    end_all(holds[:600], "settle")
    end_all(holds[600:], "release")
    used = collections.Counter(name for name, _ in holds[:600])
    again = hold_all(4)
    assert len(again) == 600
    assert all(used[name] + n <= 3 for name, n in collections.Counter(name for name, _ in again).items())
    end_all(again, "settle")
    assert sum(booked(o, account).values()) == 1200 * CREDIT
    assert hold_all(1) == []
    assert o.balance(account)[1] == 0


@pytest.mark.parametrize("way", ["api", "octroictl"])
def test_a_limit_counts_what_was_used_before_it(o, swarm, way):
    """Before there was a workspace, and since."""
    account = o.account(f"late-{way}", unit="credit", funds_micros=100 * CREDIT, timeZone=noon_zone())
    assert sum(spend(o, swarm, account, [("stranger", 1)] * 20)[0].values()) == 20
    people(o, swarm, account, NAMES[:10])
    assert sum(spend(o, swarm, account, [(name, 1) for name in NAMES[:10]])[0].values()) == 10
    if way == "api":
        assert o.call("PUT", f"/api/accounts/{account}", json={"dailyLimitMicros": 40 * CREDIT}).status == 200
    else:
        o.ctl("account", "set", account, "--daily-limit", "40")
    paid, refused = spend(o, swarm, account, [("stranger", 1)] * 20)
    assert sum(paid.values()) == 10 and len(refused) == 10
    for _, _, refusal in refused:
        says(refusal, "daily", "SPENDING_LIMIT_REACHED", 40, 40, ends("daily"))


def test_everything_at_once(o, swarm):
    """People join, leave, change roles and limits, plans come and go, while all spend; the audit adds it up."""
    random.seed(20)
    accounts = [o.account(f"busy-{i}", unit="credit", funds_micros=funds * CREDIT, timeZone=noon_zone())
                for i, funds in enumerate((200, 3_000, 50_000))]
    names = NAMES[:12]
    holds = []

    def credits(most, none=True):
        return random.choice([random.randrange(1, most) * CREDIT] + [None, None] * none)

    def a_hold():
        return holds.pop() if random.random() < 0.9 else random.choice(holds)

    def request():
        account, name = random.choice(accounts), random.choice(names)
        ways = [
            ("PUT", f"/api/accounts/{account}/members/{name}", "app", lambda: {
                "role": random.choice(("manager", "member")),
                **random.choice(({}, {"limitMicros": credits(60),
                                      "period": random.choice(("period", "day", "month"))}))}),
            ("DELETE", f"/api/accounts/{account}/members/{name}", "app", lambda: None),
            ("PUT", f"/api/accounts/{account}", "app", lambda: random.choice((
                {"plan": random.choice(("seats", "pool", None))}, {"dailyLimitMicros": credits(4000)},
                {"monthlyLimitMicros": credits(6000)}, {"mode": random.choice(("prepaid", "postpaid"))},
                {"hardLimitMicros": credits(90, none=False), "softLimitMicros": credits(90, none=False)}))),
            ("POST", "/api/guard/charge", "guard", lambda: {
                "account": account, "member": name, "action": "page", "quantity": random.randrange(1, 4)}),
            ("POST", "/api/guard/authorize", "guard", lambda: {
                "account": account, "member": name, "model": "gpt-4o", "inputTokens": random.randrange(100_000),
                "maxOutputTokens": random.randrange(1, 50_000), "fit": random.random() < 0.3, "ttlSeconds": 10}),
            ("POST", "/api/guard/settle", "guard", lambda: {
                "hold": a_hold(), "inputTokens": random.randrange(200_000), "outputTokens": random.randrange(90_000)}),
            ("POST", "/api/guard/release", "guard", lambda: {"hold": a_hold()}),
            ("POST", "/api/guard/extend", "guard", lambda: {
                "hold": random.choice(holds), "maxOutputTokens": random.randrange(1, 90_000)}),
        ]
        some = len(holds) > 9
        way = random.choices(range(len(ways)), (3, 1, 1, 6, 6, 4 * some, some, some))[0]
        method, path, key, body = ways[way]
        body = body()
        return swarm.request(method, path, o.keys[key], body)

    seen = collections.Counter()
    for _ in range(12):
        for answer in swarm.run(request() for _ in range(PEOPLE)):
            seen[answer.status, answer.json.get("error")] += 1
            holds += [answer.json["hold"]] if answer.status == 200 and answer.json.get("decision") == "allow" else []
    assert not [said for said in seen if said[0] not in (200, 402, 404, 409) and said[1] != "MEMBER_REMOVED"], seen
    errors = {error for _, error in seen}
    assert errors >= {"MEMBER_LIMIT_REACHED", "SPENDING_LIMIT_REACHED", "MEMBER_REMOVED", None}, seen
    assert errors & {"INSUFFICIENT_CREDITS", "HARD_LIMIT_REACHED"}, seen
    # Holds run out by themselves.
    wait_until(lambda: all(o.balance(account)[1] == 0 for account in accounts), 30, "the end of the holds")
    assert o.sql("SELECT SUM(held_micros) FROM members") == [("0",)]
    o.audit()


def test_a_period_turns_for_as_many_people_as_there_can_be():
    """In one transaction; those who have left beside them."""
    most, left = 50_000, 20_000
    with Octroi("nginx", settings={"request_timeout_ms": 29_000, "db_timeout_ms": 28_000}) as o:  # a sanitizer takes its time
        clock = Clock(o)
        clock.set("2027-01-10 12:00:00")
        o.ctl("plan", "set", "seats", "--unit", "credit", "--scope", "mixed", "--pool", "200", "--member", "2")
        o.account("crowd", unit="credit")
        assert o.call("PUT", "/api/accounts/crowd/members/first", json={"role": "manager"}).status == 200
        key = key_of("crowd")
        o.sql(f"INSERT INTO members (account_id, member_id, created_at_us) SELECT {key}, CONCAT('user:', seq), 1"
              f" FROM seq_1_to_{most - 2}; UPDATE workspaces SET members = {most - 2} WHERE account_id = {key};"
              "INSERT INTO members (account_id, member_id, created_at_us, removed_at_us)"
              f" SELECT {key}, CONCAT('former:', seq), 1, 2 FROM seq_1_to_{left}")
        assert o.call("PUT", "/api/accounts/crowd", json={"plan": "seats"}).status == 200
        assert o.call("PUT", "/api/accounts/crowd/members/last", json={"role": "member"}).status == 200
        for name in ("more", "former:1"):
            full = o.call("PUT", f"/api/accounts/crowd/members/{name}", json={"role": "manager"})
            assert full.status == 409 and full.json["error"] == "SEATS_TAKEN", full
        assert guard.charge(o, "crowd", "page", member="last").status == 200
        for month in ("2027-02-10", "2027-03-10"):
            clock.set(month + " 12:00:00")
            assert o.balance("crowd")[0] == (200 + 2 * (most - 1)) * CREDIT
        assert o.sql("SELECT SUM(quota_micros), MIN(IF(removed_at_us = 0 AND role = 0, quota_micros, NULL))"
                     f" FROM members WHERE account_id = {key}") == [(str(2 * (most - 1) * CREDIT), str(2 * CREDIT))]

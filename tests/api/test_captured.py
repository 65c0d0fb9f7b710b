"""hold_expiry = capture: a hold that nobody settled was charged its estimate.  Settled late for less, what was too much
goes back to where it came from: to the grants that paid, with the expiry that they have, and out of the day, month and
period that counted it.  Elsewhere it would be credits that never expire, or room under another day's limit.
"""

import datetime

import pytest

import guard
import plans
from conftest import SETTINGS
from guard import charge, hold, pass_time, request_id, settle
from octroi import Octroi
from timetravel import Clock

CREDIT = EURO = 1_000_000
HELD = guard.cost("gpt-4o", 1000, 1000)   # what hold() below reserves
USED = guard.cost("gpt-4o", 100, 100)
BACK = HELD - USED


@pytest.fixture(scope="module")
def o():
    with Octroi("nginx", settings={**SETTINGS, "hold_expiry": "capture"}) as o:
        yield o


@pytest.fixture
def clock(o):
    clock = Clock(o)
    yield clock
    clock.release()


def place(o, account, **fields):
    return hold(o, account, inputTokens=1000, maxOutputTokens=1000, ttlSeconds=60, **fields)


def late(o, held, tokens=100):
    answer = settle(o, held, inputTokens=tokens, outputTokens=tokens)
    assert answer.status == 200 and answer.json["settlement"] == "late", answer
    return answer.json


def grants(o, account):
    """(type, what remains, whether it expires), the oldest first."""
    rows = o.sql(f"SELECT type, remaining_micros, expires_at_us <> 0 FROM {guard.GRANTS} WHERE account_id = {guard.key_of(account)}"
                 " ORDER BY seq")
    return [(int(t), int(left), expires == "1") for t, left, expires in rows]


def limit(o, account, **fields):
    assert o.call("PUT", f"/api/credits/settings?account={account}", json=fields).status == 200


def entries(o, account):
    rows = o.sql(f"SELECT kind, amount_micros, grant_seq FROM entries WHERE account_id = {guard.key_of(account)} ORDER BY seq")
    return [tuple(map(int, row)) for row in rows]


def touched(o, account):
    """The hold's expiry is booked, in a transaction of its own."""
    o.get(f"/api/credits?account={account}")


@pytest.mark.parametrize("before", [True, False], ids=["booked before", "booked with it"])
def test_it_goes_back_to_the_grant_that_paid(o, before):
    account = o.account()
    o.fund(account, HELD, expiresAt="2099-01-01T00:00:00Z")
    held = place(o, account)
    pass_time(o, account, 61)
    if before:
        touched(o, account)
        assert grants(o, account) == [(8, 0, True)]
    assert late(o, held)["costMicros"] == USED
    assert grants(o, account) == [(8, BACK, True)], "no new grant, and it expires as before"
    assert entries(o, account)[-2:] == [(0, -HELD, 1), (3, BACK, 1)]


@pytest.mark.parametrize("before", [True, False], ids=["booked before", "booked with it"])
def test_it_goes_back_in_the_reverse_order(o, before):
    """Of what the grants paid, the last is given back first."""
    account = o.account()
    o.fund(account, USED // 2, expiresAt="2098-01-01T00:00:00Z")
    o.fund(account, USED // 2 + BACK // 2, expiresAt="2099-01-01T00:00:00Z")
    o.fund(account, 10 * HELD)
    held = place(o, account)
    pass_time(o, account, 61)
    if before:
        touched(o, account)
    late(o, held)
    # The first two have paid for more than was used, and the first pays before the second.
    expected = [0, USED // 2 + BACK // 2 - (USED - USED // 2), 10 * HELD]
    assert [left for _, left, _ in grants(o, account)] == expected
    assert o.balance(account)[0] == USED // 2 * 2 + BACK // 2 + 10 * HELD - USED


@pytest.mark.parametrize("before", [True, False], ids=["booked before", "booked with it"])
def test_what_has_expired_since_expires_with_its_grant(o, before):
    account = o.account()
    in_an_hour = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
    o.fund(account, HELD, expiresAt=in_an_hour.strftime("%Y-%m-%dT%H:%M:%SZ"))
    held = place(o, account)
    pass_time(o, account, 61)
    if before:
        touched(o, account)
    pass_time(o, account, 3600)  # the hold expired before its grant
    late(o, held)
    assert grants(o, account) == [(8, 0, True)] and o.balance(account)[0] == 0
    assert entries(o, account)[-2:] == [(3, BACK, 1), (1, -BACK, 1)]
    kinds = o.get(f"/api/credits/transactions?account={account}").json["items"]
    assert [(t["type"], t["amountMicros"]) for t in kinds][0] == ("ALLOWANCE_EXPIRY", -BACK)


def test_a_plan_s_allowance_is_not_turned_into_credits_for_ever(o, clock):
    clock.set("2027-03-10 12:00:00")
    plan = request_id("plan")
    plans.add(o, plan, unit=0, pool_micros=HELD)
    account = o.account(plan=plan)
    held = place(o, account)
    clock.forward(minutes=2)
    touched(o, account)
    late(o, held)
    assert o.balance(account)[0] == BACK
    clock.set("2027-04-01 00:00:00")
    touched(o, account)
    assert o.balance(account)[0] == HELD, "the new allowance, and nothing of the old one"


def test_what_was_debt_repays_it(o):
    account = o.account()
    o.fund(account, HELD)
    held = place(o, account)
    pass_time(o, account, 61)
    o.fund(account, -HELD // 2)
    owed = -o.balance(account)[0]
    assert owed == HELD // 2 or owed == HELD - HELD // 2
    late(o, held)
    assert o.balance(account)[0] == BACK - owed
    assert [expires for _, left, expires in grants(o, account)] == [False]


def test_a_debt_that_an_allowance_paid_goes_back_to_it(o, clock):
    """Otherwise a debt paid by credits that expire would come back as credits that do not."""
    clock.set("2027-03-10 12:00:00")
    plan = request_id("plan")
    plans.add(o, plan, unit=0, pool_micros=2 * HELD)
    account = o.account()
    o.fund(account, HELD)
    held = place(o, account)
    other = hold(o, account, inputTokens=0, maxOutputTokens=0)
    assert settle(o, other, inputTokens=1000, outputTokens=1000).status == 200  # takes what the hold counted on
    clock.forward(minutes=2)
    touched(o, account)
    assert o.balance(account)[0] == -HELD
    assert o.call("PUT", f"/api/accounts/{account}", json={"plan": plan}).status == 200
    assert o.balance(account)[0] == HELD
    late(o, held)
    assert o.balance(account)[0] == HELD + BACK and len(grants(o, account)) == 2
    clock.set("2027-04-01 00:00:00")
    touched(o, account)
    assert o.balance(account)[0] == 2 * HELD, "all that was left of the old allowance has expired"


@pytest.mark.parametrize("before", [True, False], ids=["booked before", "booked with it"])
def test_it_opens_no_other_day_s_limit(o, clock, before):
    clock.set("2027-03-10 12:00:00")
    account = o.account(funds_micros=100 * HELD)
    o.call("PUT", f"/api/accounts/{account}/members/ann", json={"role": "member"})
    o.call("PUT", f"/api/accounts/{account}/members/ann", json={"limitMicros": 3 * HELD, "period": "day"})
    limit(o, account, dailyLimitMicros=3 * HELD, monthlyLimitMicros=50 * HELD)
    held = place(o, account, member="ann")
    clock.forward(minutes=2)
    if before:
        touched(o, account)
    clock.set("2027-03-11 12:00:00")
    used = settle(o, hold(o, account, member="ann"), inputTokens=1000, outputTokens=1000)
    assert used.status == 200
    late(o, held)
    shown = o.get(f"/api/credits?account={account}").json["limits"]
    assert shown["dailyUsedMicros"] == HELD, "what was given back was used yesterday"
    assert shown["monthlyUsedMicros"] == HELD + USED
    member = o.get(f"/api/accounts/{account}/members/ann").json
    assert member["usedMicros"] == HELD + USED
    over = guard.authorize(o, account, member="ann", inputTokens=2000, maxOutputTokens=2001)
    assert over.status == 402 and over.json["limit"]["usedMicros"] == HELD, over
    assert guard.authorize(o, account, member="ann", inputTokens=2000, maxOutputTokens=2000).status == 200


def test_it_leaves_the_day_that_counted_it(o, clock):
    clock.set("2027-03-10 12:00:00")
    account = o.account(funds_micros=100 * HELD)
    limit(o, account, dailyLimitMicros=3 * HELD)
    held = place(o, account)
    clock.forward(minutes=2)
    touched(o, account)
    late(o, held)
    assert o.get(f"/api/credits?account={account}").json["limits"]["dailyUsedMicros"] == USED


def test_a_limit_that_never_counted_it_is_not_opened(o, clock):
    """The payment was captured before the member joined."""
    clock.set("2027-03-10 12:00:00")
    account = o.account(funds_micros=100 * HELD)
    held = place(o, account, member="ann")
    clock.forward(minutes=2)
    touched(o, account)
    put = lambda **fields: o.call("PUT", f"/api/accounts/{account}/members/ann", json=fields)
    assert put(limitMicros=3 * HELD, period="day").status == 200
    assert settle(o, hold(o, account, member="ann"), inputTokens=1000, outputTokens=1000).status == 200
    late(o, held)
    assert o.get(f"/api/accounts/{account}/members/ann").json["usedMicros"] == HELD


def test_settled_late_for_more_is_charged_today(o, clock):
    clock.set("2027-03-10 12:00:00")
    account = o.account(funds_micros=100 * HELD)
    limit(o, account, dailyLimitMicros=50 * HELD)
    held = place(o, account)
    clock.set("2027-03-11 12:00:00")
    touched(o, account)
    assert late(o, held, tokens=3000)["costMicros"] == guard.cost("gpt-4o", 3000, 3000)
    used = o.get(f"/api/credits?account={account}").json["limits"]["dailyUsedMicros"]
    assert used == guard.cost("gpt-4o", 3000, 3000) - HELD


def test_many_at_once_and_twice(o):
    """In one transaction: each gets its own back, and a repeated settlement moves nothing."""
    account = o.account()
    for n in range(10):
        o.fund(account, HELD, expiresAt=f"20{80 + n}-01-01T00:00:00Z")
    o.fund(account, 20 * HELD)
    holds = [place(o, account) for _ in range(15)]
    pass_time(o, account, 61)
    batch = {"settlements": [{"hold": h, "inputTokens": 100, "outputTokens": 100} for h in holds[:8]]}
    for replayed in (False, True):
        answer = o.post("/api/guard/settle", batch)
        assert [(r["status"], r["replayed"]) for r in answer.json["results"]] == [(200, replayed)] * 8, answer
    for h in holds[8:]:
        late(o, h)
    left = grants(o, account)
    assert len(left) == 11 and o.balance(account)[0] == 30 * HELD - 15 * USED
    assert [g[1] for g in left[:10]] == [BACK] * 10 and left[10][1] == 15 * HELD + 5 * BACK
    o.audit()


def test_failed_gives_all_of_it_back(o):
    account = o.account()
    o.fund(account, HELD, expiresAt="2099-01-01T00:00:00Z")
    held = place(o, account)
    pass_time(o, account, 61)
    touched(o, account)
    answer = settle(o, held, outcome="failed")
    assert answer.status == 200 and answer.json["costMicros"] == 0, answer
    assert grants(o, account) == [(8, HELD, True)]
    assert charge(o, account, "debrief").status in (200, 402)


def test_one_that_was_captured_before_the_update(o):
    """Of which nothing was noted: it comes back as a grant of its own, as it did."""
    account = o.account()
    o.fund(account, HELD, expiresAt="2099-01-01T00:00:00Z")
    held = place(o, account)
    pass_time(o, account, 61)
    touched(o, account)
    assert o.sql(f"DELETE FROM captures WHERE account_id = {guard.key_of(account)}; SELECT ROW_COUNT()") == [("1",)]
    late(o, held)
    assert o.balance(account)[0] == BACK and len(grants(o, account)) == 2


@pytest.mark.parametrize("column", ["amount_micros", "debt_micros", "entry_first", "entry_last", "seq"])
def test_the_audit_finds_a_capture_that_was_changed(o, column):
    """By whoever wants to have something given back by other grants than paid."""
    account = o.account(funds_micros=2 * HELD)
    first, _ = place(o, account), place(o, account)
    pass_time(o, account, 61)
    touched(o, account)
    where = f"WHERE account_id = {guard.key_of(account)} AND seq = "
    o.sql(f"UPDATE captures SET {column} = {column} + 10 {where} 1")
    done = o.ctl("audit", "--account", account, check=False)
    changed = 11 if column == "seq" else 1
    assert done.returncode == 1 and f"capture: captures account {account} seq {changed}:" in done.stdout, done.stdout
    o.sql(f"UPDATE captures SET {column} = {column} - 10 {where} {changed}")
    assert o.ctl("audit", "--account", account, check=False).returncode == 0
    late(o, first)

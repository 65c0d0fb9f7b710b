"""Reasons that keep a hold from being placed keep it from being extended: else an open one outlasts every refusal."""

import pytest

import guard
import plans
from guard import extend, hold, release, request_id, settle

EURO = 1_000_000
CREDIT = 1_000_000
LONGER, LARGER = {"ttlSeconds": 86_400}, {"maxOutputTokens": 1_000_000}


def said(answer):
    return answer.status, answer.json["error"], answer.json.get("limit", {}).get("kind")


def put(o, account, member=None, **fields):
    answer = o.call("PUT", f"/api/accounts/{account}" + (f"/members/{member}" if member else ""), json=fields)
    assert answer.status == 200, answer


def limit(o, account, **fields):
    assert o.call("PUT", f"/api/credits/settings?account={account}", json=fields).status == 200


def state_of(o, account):
    key = guard.key_of(account)
    return o.balance(account), o.sql(f"SELECT seq, reserved_micros, expires_at_us, max_output_tokens FROM {guard.HOLDS}"
                                     f" WHERE account_id = {key}")


@pytest.mark.parametrize("fields", [LONGER, LARGER, {**LONGER, **LARGER}, {"maxOutputTokens": 1}])
def test_nothing_is_extended_on_a_suspended_account(server, fields):
    account = server.account(funds_micros=50 * EURO)
    held = hold(server, account)
    put(server, account, status="suspended")
    before = state_of(server, account)
    assert said(extend(server, held, **fields)) == (402, "ACCOUNT_SUSPENDED", "suspended")
    assert state_of(server, account) == before
    put(server, account, status="active")
    assert extend(server, held, **fields).status == 200


def test_a_customer_s_own_key_is_no_way_round_it(nginx):
    account = nginx.account()
    held = hold(nginx, account, byok=["openai"])
    put(nginx, account, status="suspended")
    assert said(extend(nginx, held, **LONGER)) == (402, "ACCOUNT_SUSPENDED", "suspended")
    put(nginx, account, status="active")
    assert extend(nginx, held, **LONGER, **LARGER).json["reservedMicros"] == 0


def limited_by_balance(o, account):
    o.fund(account, -60 * EURO)


def limited_by_day(o, account):
    limit(o, account, dailyLimitMicros=1)


def limited_by_month(o, account):
    limit(o, account, monthlyLimitMicros=1)


def limited_member(o, account):
    put(o, account, "ann", limitMicros=1)


def limited_member_by_day(o, account):
    put(o, account, "ann", limitMicros=1, period="day")


@pytest.mark.parametrize("tighten, refusal", [
    (limited_by_balance, ("INSUFFICIENT_CREDITS", "balance")),
    (limited_by_day, ("SPENDING_LIMIT_REACHED", "daily")),
    (limited_by_month, ("SPENDING_LIMIT_REACHED", "monthly")),
    (limited_member, ("MEMBER_LIMIT_REACHED", "member")),
    (limited_member_by_day, ("SPENDING_LIMIT_REACHED", "daily")),
])
def test_a_limit_that_was_tightened_since(nginx, tighten, refusal):
    """A hold that the limit does not cover any more is neither made larger nor longer; making it smaller is free."""
    account = nginx.account(funds_micros=50 * EURO)
    put(nginx, account, "ann", role="member")
    held = hold(nginx, account, member="ann")
    tighten(nginx, account)
    before = state_of(nginx, account)
    for fields in (LONGER, LARGER, {**LONGER, "maxOutputTokens": 1900}):
        answer = extend(nginx, held, **fields)
        assert said(answer) == (402, *refusal), (fields, answer)
        assert answer.json["neededMicros"] >= 0 > answer.json["availableMicros"]
        assert state_of(nginx, account) == before
    assert extend(nginx, held, maxOutputTokens=1).status == 200
    assert settle(nginx, held, inputTokens=1, outputTokens=1).status == 200


def test_the_hard_limit(nginx):
    account = nginx.account(mode="postpaid", hardLimitMicros=50 * EURO)
    held = hold(nginx, account)
    assert extend(nginx, held, **LONGER).status == 200
    assert said(extend(nginx, held, maxOutputTokens=10_000_000)) == (402, "HARD_LIMIT_REACHED", "hard_limit")
    put(nginx, account, hardLimitMicros=1)
    assert said(extend(nginx, held, **LONGER)) == (402, "HARD_LIMIT_REACHED", "hard_limit")
    assert release(nginx, held).status == 200


def test_a_model_that_the_plan_does_not_have(nginx):
    plan = request_id("plan")
    plans.add(nginx, plan, pool_micros=500 * CREDIT, models='["gpt-3.5-turbo"]')
    account = nginx.account(unit="credit", funds_micros=5000 * CREDIT)
    held, cheap = hold(nginx, account), hold(nginx, account, "gpt-3.5-turbo")
    own = hold(nginx, account, byok=["openai"])
    put(nginx, account, plan=plan)
    for fields in (LONGER, LARGER):
        assert said(extend(nginx, held, **fields))[:2] == (403, "MODEL_NOT_IN_PLAN"), fields
    assert extend(nginx, cheap, **LONGER).status == extend(nginx, own, **LONGER).status == 200
    assert settle(nginx, held, inputTokens=1, outputTokens=1).status == 200


def test_an_ended_hold_comes_first(nginx):
    account = nginx.account(funds_micros=50 * EURO)
    held = hold(nginx, account)
    release(nginx, held)
    put(nginx, account, status="suspended")
    assert said(extend(nginx, held, **LONGER))[:2] == (409, "HOLD_ENDED")

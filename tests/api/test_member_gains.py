"""Gains that a plain member of an account could have, and has not."""

import base64
import json

import pytest

import guard
import plans
from guard import charge, request_id

CREDIT = 1_000_000


def token(o, account, member=None):
    body = {"account": account, **({"member": member} if member else {})}
    return o.post("/api/tokens", body, key="app").json["token"]


def put(o, account, member, **fields):
    answer = o.call("PUT", f"/api/accounts/{account}/members/{member}", json=fields)
    assert answer.status == 200, answer


def remove(o, account, member):
    assert o.call("DELETE", f"/api/accounts/{account}/members/{member}").status == 200


def member_of(o, account, member):
    return o.get(f"/api/accounts/{account}/members/{member}").json


def team(o, unit="credit", **fields):
    account = o.account(request_id("ws"), unit=unit, funds_micros=100 * CREDIT, **fields)
    put(o, account, "boss", role="manager")
    put(o, account, "ann", role="member")
    return account


def test_leaving_and_joining_again_is_no_second_seat(nginx):
    """A member who comes back has no second share of the period's allowance, and no use is forgotten."""
    plan = plans.add(nginx, request_id("plan"), scope=1, member_micros=10 * CREDIT, seats_to=2)
    account = nginx.account(request_id("ws"), unit="credit", plan=plan)
    put(nginx, account, "ann", role="member")
    before = nginx.balance(account)[0]
    assert before == 10 * CREDIT
    assert charge(nginx, account, "debrief", quantity=10, member="ann").status == 200
    for _ in range(3):
        remove(nginx, account, "ann")
        put(nginx, account, "ann", role="member")
    assert nginx.balance(account)[0] == 0
    assert charge(nginx, account, "debrief", member="ann").status == 402
    assert member_of(nginx, account, "ann")["usedMicros"] == 10 * CREDIT


def test_changing_roles_is_no_second_seat(nginx):
    plan = plans.add(nginx, request_id("plan"), scope=1, member_micros=10 * CREDIT, manager_micros=10 * CREDIT,
                     seats_to=2, managers_to=2)
    account = nginx.account(request_id("ws"), unit="credit", plan=plan)
    put(nginx, account, "ann", role="member")
    for role in ("manager", "member", "manager", "member"):
        put(nginx, account, "ann", role=role)
    assert nginx.balance(account)[0] == 10 * CREDIT


def test_a_limit_outlives_leaving(nginx):
    account = team(nginx)
    put(nginx, account, "ann", limitMicros=2 * CREDIT)
    assert charge(nginx, account, "debrief", quantity=2, member="ann").status == 200
    remove(nginx, account, "ann")
    put(nginx, account, "ann", role="member")
    refused = charge(nginx, account, "debrief", member="ann")
    assert (refused.status, refused.json["error"]) == (402, "MEMBER_LIMIT_REACHED")


@pytest.mark.parametrize("other", ["Ann", "ANN", "ann.", "ann-", "a.nn", "ann:ann"])
def test_another_spelling_is_another_person(nginx, other):
    """A removed member is served as a stranger is, and has no part in what ann may or has."""
    account = team(nginx)
    remove(nginx, account, "ann")
    assert charge(nginx, account, "debrief", member="ann").json["error"] == "MEMBER_REMOVED"
    assert charge(nginx, account, "debrief", member=other).status == 200
    assert nginx.get(f"/api/accounts/{account}/members/{other}").status == 404
    assert member_of(nginx, account, "ann")["usedMicros"] == 0


@pytest.mark.parametrize("other", ["ann ", " ann", "ａｎｎ", "ann\u200b", "anń", "ann\u0000", "ann%00", "ann/", ""])
def test_spellings_that_are_no_id(nginx, other):
    account = team(nginx)
    for path, body in (("/api/guard/charge", {"account": account, "action": "debrief", "member": other}),
                       ("/api/guard/authorize", {"account": account, "model": "gpt-4o", "member": other})):
        answer = nginx.post(path, body)
        assert (answer.status, answer.json["error"]) == (400, "INVALID_REQUEST"), (path, answer)
    assert nginx.post("/api/tokens", {"account": account, "member": other}, key="app").status == 400


def test_a_token_names_its_own_member_only(nginx):
    """A parameter, a header or a claim of its own does not make a member another."""
    account = team(nginx)
    key = token(nginx, account, "ann")
    charge(nginx, account, "debrief", member="boss")
    for path in ("/api/credits/usages", "/api/credits/summary"):
        answer = nginx.get(path + "?member=boss", key=key, public=True)
        assert (answer.status, answer.json["error"]) == (403, "FORBIDDEN"), answer
        for header in ("OCTROI_MEMBER", "Octroi-Member", "X-Octroi-Member"):
            answer = nginx.get(path, key=key, public=True, headers={header: "boss"})
            assert answer.status == 400 or answer.json.get("items") == [], (header, answer)
    head, claims, mac = key.split(".")
    changed = json.loads(base64.urlsafe_b64decode(claims + "=="))
    for edit in ({"member": "boss"}, {"member": ""}, {"sub": "other"}):
        forged = base64.urlsafe_b64encode(json.dumps({**changed, **edit}).encode()).decode().rstrip("=")
        assert nginx.get("/api/credits", key=f"{head}.{forged}.{mac}", public=True).status == 401


@pytest.mark.parametrize("method, path, body", [
    ("PUT", "/api/accounts/{a}", {"hardLimitMicros": 10**12}), ("GET", "/api/accounts/{a}", None),
    ("PUT", "/api/accounts/{a}/members/ann", {"role": "manager"}), ("GET", "/api/accounts/{a}/members", None),
    ("DELETE", "/api/accounts/{a}/members/boss", None), ("GET", "/api/accounts/{a}/members/boss", None),
    ("POST", "/api/accounts/{a}/transactions", {"type": "TOP_UP", "amountMicros": 1, "description": "x", "requestId": "x"}),
    ("POST", "/api/tokens", {"account": "{a}", "member": "boss"}),
    ("POST", "/api/guard/authorize", {"account": "{a}", "model": "gpt-4o"}),
    ("POST", "/api/guard/charge", {"account": "{a}", "action": "debrief", "member": "boss"}),
])
def test_a_member_s_token_opens_no_route_of_the_application(nginx, method, path, body):
    account = team(nginx)
    filled = json.loads(json.dumps(body).replace("{a}", account)) if body else None
    answer = nginx.call(method, path.replace("{a}", account), json=filled, key=token(nginx, account, "ann"))
    assert (answer.status, answer.json["error"]) == (403, "FORBIDDEN"), answer
    assert member_of(nginx, account, "ann")["role"] == "member"


def test_a_plain_member_changes_no_setting(nginx):
    """A member changes no limit, of the account, of another or its own, and does not see the others'."""
    account = team(nginx)
    put(nginx, account, "ann", limitMicros=CREDIT)
    key = token(nginx, account, "ann")
    for fields in ({"dailyLimitMicros": 10**12}, {"members": {"ann": {"limitMicros": None}}}, {"members": {"boss": {"limitMicros": 0}}}):
        answer = nginx.call("PUT", "/api/credits/settings", json=fields, key=key, public=True)
        assert (answer.status, answer.json["error"]) == (403, "FORBIDDEN"), answer
    seen = nginx.get("/api/credits/settings?cursor=a", key=key, public=True).json
    assert [m["member"] for m in seen["members"]] == ["ann"] and "limits" not in seen
    assert member_of(nginx, account, "ann")["limitMicros"] == CREDIT


def test_a_cursor_of_another_account_leads_nowhere(nginx):
    account, other = team(nginx), team(nginx)
    for n in range(3):
        charge(nginx, other, "debrief", member="boss")
        nginx.fund(other, CREDIT)
    for path in ("/api/credits/usages", "/api/credits/transactions"):
        cursor = nginx.get(path + "?limit=1", key=token(nginx, other), public=True).json["nextCursor"]
        assert cursor
        answer = nginx.get(f"{path}?cursor={cursor}", key=token(nginx, account, "ann"), public=True)
        assert (answer.status, answer.json["field"]) == (400, "cursor"), answer


def test_a_cursor_of_the_owner_shows_a_member_its_own(nginx):
    account = team(nginx)
    for member in ("ann", "boss", "boss", "ann"):
        charge(nginx, account, "debrief", member=member)
    cursor = nginx.get("/api/credits/usages?limit=1", key=token(nginx, account), public=True).json["nextCursor"]
    seen = nginx.get(f"/api/credits/usages?cursor={cursor}", key=token(nginx, account, "ann"), public=True).json["items"]
    assert [u["member"] for u in seen] == ["ann"]


def test_removing_the_last_manager_makes_nobody_one(nginx):
    account = team(nginx)
    remove(nginx, account, "boss")
    answer = nginx.call("PUT", "/api/credits/settings", json={"dailyLimitMicros": 5}, key=token(nginx, account, "ann"), public=True)
    assert answer.status == 403
    assert nginx.call("PUT", "/api/credits/settings", json={"dailyLimitMicros": 5}, key=token(nginx, account, "boss2"),
                      public=True).status == 403


def test_a_hold_of_a_member_is_not_moved_by_who_names_it(nginx):
    """Settled, whatever member is named or none: it counts for the member that placed it."""
    account = team(nginx, unit="money")
    put(nginx, account, "ann", limitMicros=CREDIT // 2)
    held = guard.hold(nginx, account, member="ann", inputTokens=100, maxOutputTokens=100)
    assert nginx.post("/api/guard/settle", {"hold": held, "member": "boss", "inputTokens": 1, "outputTokens": 1}).status == 400
    assert guard.settle(nginx, held, inputTokens=100, outputTokens=100).status == 200
    assert member_of(nginx, account, "ann")["usedMicros"] == guard.cost("gpt-4o", 100, 100)


def test_a_removed_member_s_share_serves_the_others(nginx):
    """A share is not kept for a member who cannot spend it."""
    plan = plans.add(nginx, request_id("plan"), scope=1, member_micros=10 * CREDIT, seats_to=2)
    account = nginx.account(request_id("ws"), unit="credit", plan=plan)
    for member in ("ann", "bob"):
        put(nginx, account, member, role="member")
    assert charge(nginx, account, "debrief", quantity=15, member="bob").status == 402
    remove(nginx, account, "ann")
    assert charge(nginx, account, "debrief", quantity=15, member="bob").status == 200
    put(nginx, account, "ann", role="member")
    assert charge(nginx, account, "debrief", quantity=6, member="ann").status == 402

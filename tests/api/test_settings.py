"""Spending limits as an account's owner, its managers and its other members see and set them (/api/credits/settings)."""

import pytest

import guard
from guard import charge, request_id

CREDIT = 1_000_000
PATH = "/api/credits/settings"


def token(o, account, member=None):
    made = o.post("/api/tokens", {"account": account, **({"member": member} if member else {})}, key="app")
    assert made.status == 200, made
    return made.json["token"]


def team(o):
    account = o.account(request_id("ws"), unit="credit", funds_micros=100 * CREDIT)
    for member, role in (("user:1", "manager"), ("user:2", "member"), ("user:3", "member")):
        assert o.call("PUT", f"/api/accounts/{account}/members/{member}", json={"role": role}).status == 200
    return account


def change(o, key, query="", **fields):
    return o.call("PUT", PATH + query, json=fields, key=key, public=True)


def settings(o, key, query=""):
    answer = o.get(PATH + query, key=key, public=True)
    assert answer.status == 200, answer
    return answer.json


@pytest.mark.parametrize("member", [None, "user:1"])
def test_owner_and_manager_set_limits(server, member):
    account = team(server)
    key = token(server, account, member)
    answer = change(server, key, dailyLimitMicros=50 * CREDIT, monthlyLimitMicros=70 * CREDIT, members={
        "user:2": {"limitMicros": 5 * CREDIT, "dailyLimitMicros": 2 * CREDIT},
        "user:3": {"monthlyLimitMicros": 9 * CREDIT},
    })
    assert answer.status == 200, answer
    assert answer.json == {"account": account, "results": [
        {"status": 200}, {"status": 200, "member": "user:2"}, {"status": 200, "member": "user:3"}]}
    seen = settings(server, key)
    assert seen["mayChange"] is True
    assert (seen["limits"]["dailyLimitMicros"], seen["limits"]["monthlyLimitMicros"]) == (50 * CREDIT, 70 * CREDIT)
    assert [(m["member"], m["limitMicros"], m["dailyLimitMicros"], m["monthlyLimitMicros"]) for m in seen["members"]] == [
        ("user:1", None, None, None), ("user:2", 5 * CREDIT, 2 * CREDIT, None), ("user:3", None, None, 9 * CREDIT)]
    assert charge(server, account, "debrief", quantity=3, member="user:2").json["limit"]["kind"] == "daily"
    assert change(server, key, dailyLimitMicros=None, members={"user:2": {"dailyLimitMicros": None}}).status == 200
    seen = settings(server, key)
    assert (seen["limits"]["dailyLimitMicros"], seen["limits"]["monthlyLimitMicros"]) == (None, 70 * CREDIT)
    assert (seen["members"][1]["limitMicros"], seen["members"][1]["dailyLimitMicros"]) == (5 * CREDIT, None)
    assert charge(server, account, "debrief", quantity=3, member="user:2").status == 200


def test_a_member_sees_its_own_and_changes_nothing(server):
    account = team(server)
    owner, member = token(server, account), token(server, account, "user:2")
    change(server, owner, dailyLimitMicros=50 * CREDIT, members={"user:2": {"limitMicros": CREDIT}, "user:3": {"limitMicros": 7}})
    seen = settings(server, member)
    assert seen["mayChange"] is False and "limits" not in seen and seen["nextCursor"] is None
    assert [(m["member"], m["limitMicros"]) for m in seen["members"]] == [("user:2", CREDIT)]
    for fields in ({}, {"dailyLimitMicros": None}, {"members": {"user:2": {"limitMicros": None}}}, {"nonsense": 1}):
        answer = change(server, member, **fields)
        assert (answer.status, answer.json["error"]) == (403, "FORBIDDEN"), answer
    assert settings(server, member) == seen
    assert settings(server, token(server, account, "user:stranger"))["members"] == []
    assert change(server, token(server, account, "user:stranger"), dailyLimitMicros=1).status == 403


def test_a_manager_that_was_removed_or_is_none_any_more(nginx):
    account = team(nginx)
    key = token(nginx, account, "user:1")
    assert change(nginx, key, dailyLimitMicros=1).status == 200
    nginx.call("PUT", f"/api/accounts/{account}/members/user:1", json={"role": "member"})
    assert change(nginx, key, dailyLimitMicros=2).status == 403
    nginx.call("PUT", f"/api/accounts/{account}/members/user:1", json={"role": "manager"})
    assert change(nginx, key, dailyLimitMicros=3).status == 200
    nginx.call("DELETE", f"/api/accounts/{account}/members/user:1")
    assert change(nginx, key, dailyLimitMicros=4).status == 403
    assert settings(nginx, token(nginx, account))["limits"]["dailyLimitMicros"] == 3


def test_each_change_is_made_or_refused_by_itself(nginx):
    account = team(nginx)
    answer = change(nginx, token(nginx, account), monthlyLimitMicros=5, members={
        "user:none": {"limitMicros": 1}, "user:2": {"limitMicros": 2}})
    assert answer.status == 200, answer
    account_, none, second = answer.json["results"]
    assert account_ == {"status": 200} and second == {"status": 200, "member": "user:2"}
    assert (none["status"], none["error"], none["member"]) == (404, "NOT_FOUND", "user:none")
    assert [m["member"] for m in settings(nginx, token(nginx, account))["members"]] == ["user:1", "user:2", "user:3"]
    nginx.call("DELETE", f"/api/accounts/{account}/members/user:3")
    answer = change(nginx, token(nginx, account), members={"user:3": {"limitMicros": 1}})
    assert answer.json["results"][0]["status"] == 404  # nobody joins again by a limit


@pytest.mark.parametrize("fields, field", [
    ({"dailyLimitMicros": -1}, "dailyLimitMicros"), ({"monthlyLimitMicros": "5"}, "monthlyLimitMicros"), ({"members": []}, "members"),
    ({"members": {"a b": {}}}, "members"), ({"members": {"user:2": 5}}, "members"), ({"members": {"user:2": None}}, "members"),
    ({"members": {"user:2": {"limitMicros": -1}}}, "members.user:2.limitMicros"),
    ({"members": {"user:2": {"role": "manager"}}}, "members.user:2.role"),
    ({"members": {f"user:{n}": {"limitMicros": 5} for n in range(101)}}, "members"), ({"plan": "starter"}, "plan"),
    ({"hardLimitMicros": 5}, "hardLimitMicros"), ({"dailyLimitMicros": 5, "members": {"user:2": {"limitMicros": 1.5}}}, "members.user:2.limitMicros"),
])
def test_what_cannot_be_set(nginx, fields, field):
    account = team(nginx)
    key = token(nginx, account)
    before = settings(nginx, key)
    answer = change(nginx, key, **fields)
    assert (answer.status, answer.json.get("field")) == (400, field), answer
    assert settings(nginx, key) == before


def test_a_hundred_members_at_once(nginx):
    account = nginx.account(unit="credit")
    names = sorted(f"user:{n}" for n in range(100))
    for name in names:
        nginx.call("PUT", f"/api/accounts/{account}/members/{name}", json={})
    answer = change(nginx, token(nginx, account), dailyLimitMicros=7, members={name: {"limitMicros": 5} for name in names})
    assert [r["status"] for r in answer.json["results"]] == [200] * 101
    seen = settings(nginx, token(nginx, account), "?limit=100")
    assert [(m["member"], m["limitMicros"]) for m in seen["members"]] == [(name, 5) for name in names]
    page = settings(nginx, token(nginx, account), "?limit=99")
    assert page["nextCursor"] == names[98]
    assert [m["member"] for m in settings(nginx, token(nginx, account), f"?cursor={page['nextCursor']}")["members"]] == names[99:]


def test_keys(nginx):
    account = team(nginx)
    for scope in ("app", "admin"):
        answer = nginx.call("PUT", f"{PATH}?account={account}", json={"dailyLimitMicros": 5}, key=scope)
        assert answer.status == 200, answer
    assert nginx.call("PUT", f"{PATH}?account={account}", json={"dailyLimitMicros": 6}, key="report").status == 403
    seen = nginx.get(f"{PATH}?account={account}", key="report").json
    assert (seen["mayChange"], seen["limits"]["dailyLimitMicros"], len(seen["members"])) == (False, 5, 3)
    nobody = request_id("nobody")
    assert nginx.get(f"{PATH}?account={nobody}", key="report").status == 404
    assert nginx.sql(f"SELECT COUNT(*) FROM accounts WHERE id = {guard.key_of(nobody)}") == [("0",)]
    assert nginx.get(PATH, key="app").json["field"] == "account"

"""Accounts, members, movements and tokens, as the application manages them."""

import urllib.parse

import pytest

import guard
from guard import authorize, charge, hold, request_id, settle
from octroi import wait_until


def put(o, account, key="app", **fields):
    return o.call("PUT", f"/api/accounts/{account}", json=fields, key=key)


def show(o, account):
    answer = o.get(f"/api/accounts/{account}")
    assert answer.status == 200, answer
    return answer.json


def book(o, account, key="admin", **fields):
    body = {"type": "ADJUSTMENT", "amountMicros": 1_000_000, "description": "test", "requestId": request_id(), **fields}
    return o.post(f"/api/accounts/{account}/transactions", body, key=key)


def test_made_shown_changed(server):
    account = request_id("acc")
    assert server.get(f"/api/accounts/{account}").status == 404
    made = put(server, account, mode="prepaid", unit="credit", email="a@example.org", name="Équipe « A »", locale="fr",
               timeZone="Europe/Paris", byok=["openai", "anthropic"])
    assert made.status in (200, 201), made
    said = show(server, account)
    for field, value in dict(mode="prepaid", unit="credit", email="a@example.org", name="Équipe « A »", locale="fr",
                             timeZone="Europe/Paris").items():
        assert said[field] == value, field
    assert sorted(said["byok"]) == ["anthropic", "openai"]
    assert put(server, account, name="B").status == 200  # what is not given stays
    said = show(server, account)
    assert (said["name"], said["email"], said["unit"]) == ("B", "a@example.org", "credit")
    assert put(server, account, byok=[]).status == 200
    assert show(server, account)["byok"] == []


@pytest.mark.parametrize("fields, field", [
    ({"unit": "dollars"}, "unit"), ({"mode": "free"}, "mode"), ({"email": 5}, "email"), ({"email": "x" * 300}, "email"),
    ({"name": "x" * 201}, "name"), ({"byok": ["nobody"]}, "byok"), ({"byok": "openai"}, "byok"),
    ({"hardLimitMicros": -1}, "hardLimitMicros"), ({"hardLimitMicros": 1.5}, "hardLimitMicros"),
    ({"email": "a@b\r\nBcc: c@d"}, "email"), ({"name": "a\u0000b"}, None), ({"locale": "x" * 17}, "locale"),
    ({"timeZone": "Mars/Base"}, "timeZone"), ({"timeZone": "../../etc/passwd"}, "timeZone"), ({"timeZone": "/etc/passwd"}, "timeZone"),
    ({"plan": ""}, "plan"), ({"plan": 5}, "plan"), ({"plan": "x" * 64}, "plan"), ({"parent": "ws:other"}, "parent"),
    ({"dailyLimitMicros": -1}, "dailyLimitMicros"), ({"monthlyLimitMicros": "5"}, "monthlyLimitMicros"),
    ({"status": "past_due"}, "status"),
])
def test_a_field_that_is_none(nginx, fields, field):
    account = request_id("acc")
    answer = put(nginx, account, **fields)
    assert answer.status == 400 and answer.json["error"] == "INVALID_REQUEST", answer
    if field:
        assert answer.json["field"] == field, answer
    assert nginx.get(f"/api/accounts/{account}").status == 404


@pytest.mark.parametrize("name", ["a b", "é", "x" * 129, "a%2Fb", "a%00b", "%zz", "a;b", "a'b"])
def test_ids_that_are_none(nginx, name):
    answer = nginx.call("PUT", "/api/accounts/" + (name if "%" in name else urllib.parse.quote(name)), json={})
    assert answer.status in (400, 404), answer


@pytest.mark.parametrize("name", ["a", "x" * 128, "ws:acme", "u@example.org", "A-b_c.d:e@f", "0"])
def test_ids_that_are_good(nginx, name):
    name = f"{name[:100]}{request_id('.')}"[:128] if len(name) < 128 else name
    assert put(nginx, name).status in (200, 201)
    assert show(nginx, name)["account"] == name
    assert nginx.get(f"/api/credits?account={name}").json["account"] == name


def test_names_differ_by_case(nginx):
    name = request_id("Case")
    lower, upper = nginx.account(name.lower()), nginx.account(name.upper())
    nginx.fund(lower, 1_000_000)
    assert nginx.balance(lower)[0] == 1_000_000 and nginx.balance(upper)[0] == 0


def test_unit_cannot_change_once_money_has_moved(nginx):
    account = nginx.account()
    assert put(nginx, account, unit="credit").status == 200
    nginx.fund(account, 1_000_000)
    answer = put(nginx, account, unit="money")
    assert answer.status == 409 and answer.json["error"] == "ACCOUNT_CONFLICT", answer
    assert show(nginx, account)["unit"] == "credit"
    assert put(nginx, account, unit="credit").status == 200


def test_suspended_account(nginx):
    account = nginx.account(funds_micros=10_000_000)
    held = hold(nginx, account)
    nginx.ctl("account", "set", account, "--status", "suspended")
    for answer in (authorize(nginx, account), charge(nginx, account, "debrief")):
        assert answer.status == 402 and answer.json["error"] == "ACCOUNT_SUSPENDED", answer
        assert answer.json["limit"]["kind"] == "suspended"
    assert settle(nginx, held, inputTokens=1, outputTokens=1).status == 200  # what was used is booked
    nginx.ctl("account", "set", account, "--status", "active")
    assert authorize(nginx, account).status == 200


def test_hard_limit_of_a_postpaid_account(nginx):
    account = nginx.account(mode="postpaid", hardLimitMicros=50_000)
    each = guard.cost("gpt-4o", input=500, output=2000)
    first = authorize(nginx, account)
    assert first.status == 200 and first.json["availableMicros"] == 50_000 - each, first
    assert settle(nginx, first.json["hold"], inputTokens=500, outputTokens=2000).json["balanceMicros"] == -each
    hold(nginx, account)
    answer = authorize(nginx, account)
    assert answer.status == 402, answer
    assert (answer.json["error"], answer.json["code"]) == ("HARD_LIMIT_REACHED", "billing_hard_limit_reached")
    limit = answer.json["limit"]
    assert (limit["kind"], limit["limitMicros"], limit["usedMicros"]) == ("hard_limit", 50_000, 2 * each)
    put(nginx, account, hardLimitMicros=3 * each)  # raising it works at once
    assert authorize(nginx, account).status == 200
    assert authorize(nginx, account).status == 402


# ---- movements ----------------------------------------------------------------------------------------


TYPES = {"TOP_UP": 1, "SIGNUP_BONUS": 1, "PROMO_BONUS": 1, "REFERRAL_BONUS": 1, "PLAN_ALLOWANCE": 1, "REFUND": 0,
         "DISPUTE": 0, "ADJUSTMENT": 0, "PAYMENT": 1, "TOP_UP_BONUS": 0}


@pytest.mark.parametrize("type", TYPES)
def test_each_type_of_movement_and_its_sign(nginx, type):
    account = nginx.account(funds_micros=5_000_000)
    balance = 5_000_000
    for sign in (1, -1):
        answer = book(nginx, account, type=type, amountMicros=sign * 1_000_000)
        if TYPES[type] in (0, sign):
            balance += sign * 1_000_000
            assert answer.status in (200, 201), answer
            newest = nginx.get(f"/api/credits/transactions?account={account}&limit=1").json["items"][0]
            assert (newest["type"], newest["amountMicros"]) == (type, sign * 1_000_000)
        else:
            assert answer.status == 400 and answer.json["field"] == "amountMicros", answer
    assert nginx.balance(account)[0] == balance == guard.journal_sum(nginx, account)


@pytest.mark.parametrize("fields, field", [
    ({"type": "GIFT"}, "type"), ({"type": "ALLOWANCE_EXPIRY", "amountMicros": -1}, "type"), ({"amountMicros": 0}, "amountMicros"), ({"amountMicros": "5"}, "amountMicros"),
    ({"amountMicros": 1.5}, "amountMicros"), ({"amountMicros": 2**63}, "body"),
    ({"amountMicros": 10**18 + 1}, "amountMicros"), ({"description": None}, "description"),
    ({"description": "x" * 256}, "description"), ({"requestId": None}, "requestId"),
    ({"expiresAt": "tomorrow"}, "expiresAt"), ({"priority": -1}, "priority"), ({"priority": "1"}, "priority"),
])
def test_movements_that_are_none(nginx, fields, field):
    account = nginx.account(funds_micros=5_000_000)
    body = {"type": "ADJUSTMENT", "amountMicros": 1_000_000, "description": "test", "requestId": request_id(), **fields}
    answer = nginx.post(f"/api/accounts/{account}/transactions", key="admin",
                        json={k: v for k, v in body.items() if v is not None})
    assert answer.status == 400 and answer.json["field"] == field, answer
    assert nginx.balance(account)[0] == 5_000_000


def test_only_an_administrator_moves_money(nginx):
    account = nginx.account()
    for scope in ("guard", "app", "report"):
        assert book(nginx, account, key=scope).status == 403, scope
    assert book(nginx, account, key=None).status == 401
    assert nginx.balance(account)[0] == 0


def test_a_balance_that_would_overflow_is_refused(nginx):
    account = nginx.account()
    statuses = [book(nginx, account, amountMicros=10**18).status for _ in range(12)]
    assert set(statuses) <= {200, 201, 400} and statuses[0] in (200, 201) and statuses[-1] == 400, statuses
    booked = sum(s in (200, 201) for s in statuses)
    assert nginx.balance(account)[0] == booked * 10**18 == guard.journal_sum(nginx, account)


# ---- members ------------------------------------------------------------------------------------------


def test_members_come_and_go(server):
    account = server.account()
    path = f"/api/accounts/{account}/members/user:1"
    assert server.call("PUT", path, json={"role": "manager"}).status in (200, 201)
    assert server.call("PUT", path, json={"role": "member"}).status == 200
    key = guard.key_of(account)
    assert server.sql(f"SELECT member_id, role, removed_at_us FROM members WHERE account_id = {key}") == [
        ("user:1", "0", "0")]
    assert server.call("DELETE", path).status in (200, 204)
    assert server.sql(f"SELECT removed_at_us > 0 FROM members WHERE account_id = {key}") == [("1",)]
    assert server.call("PUT", path, json={"role": "manager"}).status in (200, 201)
    assert server.sql(f"SELECT role, removed_at_us FROM members WHERE account_id = {key}") == [("1", "0")]
    answer = server.call("PUT", path, json={"role": "king"})
    assert answer.status == 400 and answer.json["field"] == "role", answer


def test_a_member_of_no_account(nginx):
    nobody = request_id("nobody")
    assert nginx.call("DELETE", f"/api/accounts/{nobody}/members/user:1").status == 404


# ---- tokens -------------------------------------------------------------------------------------------


def test_token_names_account_and_member(server):
    account = server.account(funds_micros=1_000_000)
    answer = server.post("/api/tokens", {"account": account, "member": "user:1", "ttlSeconds": 60}, key="app")
    assert answer.status == 200 and answer.json["expiresAt"], answer
    assert answer.headers["cache-control"] == "no-store"
    seen = server.get("/api/credits", key=answer.json["token"], public=True)
    assert seen.status == 200 and seen.json["account"] == account


def test_token_comes_with_the_address_of_a_page(server):
    account = server.account(funds_micros=1_000_000)
    answer = server.post("/api/tokens", {"account": account, "page": "billing", "ttlSeconds": 60}, key="app")
    assert answer.status == 200, answer
    assert answer.json["url"] == f"{server.url}/billing#token={answer.json['token']}"
    assert "url" not in server.post("/api/tokens", {"account": account}, key="app").json


def test_page_without_an_address(restartable):
    restartable.start(public_url="")
    try:
        body = {"account": restartable.account(), "page": "billing"}
        assert restartable.post("/api/tokens", body, key="app").status == 404
        assert restartable.post("/api/tokens", {"account": body["account"]}, key="app").status == 200
    finally:
        restartable.start(public_url=restartable.url)


@pytest.mark.parametrize("fields, field", [
    ({"ttlSeconds": 901}, "ttlSeconds"), ({"ttlSeconds": 0}, "ttlSeconds"), ({"ttlSeconds": "60"}, "ttlSeconds"),
    ({"account": "a b"}, "account"), ({"account": None}, "account"), ({"member": ""}, "member"),
    ({"page": "admin"}, "page"), ({"page": ""}, "page"), ({"page": 1}, "page"), ({"page": "https://evil.example"}, "page"),
])
def test_tokens_that_are_none(nginx, fields, field):
    body = {"account": nginx.account(), **fields}
    answer = nginx.post("/api/tokens", {k: v for k, v in body.items() if v is not None}, key="app")
    assert answer.status == 400 and answer.json["field"] == field, answer


def test_guard_and_report_keys_issue_no_tokens(nginx):
    for scope in ("guard", "report"):
        assert nginx.post("/api/tokens", {"account": "x"}, key=scope).status == 403


def test_a_revoked_key_is_refused_once_revoke_has_returned(nginx):
    made = nginx.ctl("key", "create", "--scope", "guard", "--label", "revoked", "--json")
    key = next(word for word in made.stdout.replace('"', " ").split() if word.startswith("oct_guard_"))
    id = nginx.sql("SELECT MAX(id) FROM api_keys WHERE label = 'revoked'")[0][0]
    account = nginx.account(funds_micros=1_000_000)
    body = {"account": account, "model": "gpt-4o", "inputTokens": 1, "maxOutputTokens": 1}
    wait_until(lambda: nginx.post("/api/guard/authorize", body, key=key).status == 200, 5, "the new key")
    nginx.ctl("key", "revoke", id)
    for _ in range(20):
        assert nginx.post("/api/guard/authorize", body, key=key).status == 401

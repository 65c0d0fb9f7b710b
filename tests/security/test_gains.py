"""Tries to have money, credit, service or data for nothing.  GAINS.md lists them all; these are the tries that no
other file makes.  One octroi behind nginx, with a Stripe of its own; each try has accounts of its own."""

import concurrent.futures
import datetime
import json
import pathlib
import sys

import pytest

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "lib")]

import guard  # noqa: E402
from fake_stripe import FakeStripe  # noqa: E402
from guard import authorize, hold, request_id  # noqa: E402
from octroi import Octroi  # noqa: E402
from timetravel import Clock  # noqa: E402

CREDIT = EURO = 1_000_000
TOKEN_SECRET = "a token secret that only the tests use, 2b7e1516"


@pytest.fixture(scope="module")
def stripe():
    with FakeStripe() as fake:
        yield fake


@pytest.fixture(scope="module")
def o(stripe):
    with Octroi("nginx", settings=stripe.settings(token_secret=TOKEN_SECRET)) as o:
        stripe.webhook_url = o.url + "/api/webhooks/stripe"
        yield o


@pytest.fixture
def clock(o):
    """The database's clock in the test's hands, released afterwards."""
    c = Clock(o)
    yield c
    c.release()


def put(o, account, **fields):
    answer = o.call("PUT", f"/api/accounts/{account}", json=fields)
    assert answer.status == 200, answer
    return answer


def browser(o, account, **more):
    made = o.post("/api/tokens", {"account": account, **more}, key="app")
    assert made.status == 200, made
    return made.json["token"]


def use(o, account, credits):
    """Spends so many credits; the status."""
    return o.post("/api/guard/charge", {"account": account, "action": "debrief", "quantity": credits}).status


def given(o, account, kind):
    """The sum of an account's transactions of a type."""
    seen = o.get(f"/api/credits/transactions?account={account}&limit=100").json["items"]
    return sum(t["amountMicros"] for t in seen if t["type"] == kind)


def spare(o, account):
    return o.balance(account)[2]


# ---- plans and months ----------------------------------------------------------------------------------


def test_a_plan_left_and_taken_again_gives_nothing_more(o):
    account = o.account(unit="credit")
    put(o, account, plan="Starter")
    assert use(o, account, 500) == 200
    for _ in range(3):
        put(o, account, plan=None)
        put(o, account, plan="Starter")
    assert given(o, account, "PLAN_ALLOWANCE") == 500 * CREDIT
    assert use(o, account, 1) == 402


def test_plans_up_and_down_give_the_greater_one_once(o):
    account = o.account(unit="credit")
    for plan in ("Starter", "Professional", "Starter", "Professional", "Starter", "Professional"):
        put(o, account, plan=plan)
    assert given(o, account, "PLAN_ALLOWANCE") == 1500 * CREDIT


def test_time_zones_back_and_forth_make_no_second_period(o, clock):
    clock.set("2027-03-10 12:00")
    account = o.account(unit="credit", timeZone="Europe/Paris")
    put(o, account, plan="Starter")
    for day in range(31 * 2):
        clock.forward(days=1)
        put(o, account, timeZone="Pacific/Kiritimati" if day % 2 else "Pacific/Pago_Pago")
    clock.set("2027-05-12 12:00")
    put(o, account, timeZone="Europe/Paris")
    assert given(o, account, "PLAN_ALLOWANCE") == 3 * 500 * CREDIT  # from 10 March, 10 April and 10 May


def test_time_zones_back_and_forth_make_no_second_day(o):
    account = o.account(unit="credit", funds_micros=100 * CREDIT, timeZone="Europe/Paris")
    limited = o.call("PUT", f"/api/credits/settings?account={account}", json={"dailyLimitMicros": 10 * CREDIT})
    assert limited.status == 200, limited
    spent = 0
    for zone in ("Europe/Paris", "Pacific/Kiritimati", "Pacific/Pago_Pago", "Asia/Tokyo", "America/New_York") * 2:
        put(o, account, timeZone=zone)
        spent += 10 if use(o, account, 10) == 200 else 0
    # A zone in which it is another day already may begin that day, as it does for everybody there; never a third one.
    assert spent <= 20


# ---- what a browser may set ----------------------------------------------------------------------------


@pytest.mark.parametrize("fields", [
    {"byok": ["openai"]}, {"mode": "postpaid"}, {"hardLimitMicros": 10**12}, {"unit": "credit"}, {"status": "active"},
    {"plan": "Professional"}, {"timeZone": "Asia/Tokyo"}, {"balanceMicros": 10**9}], ids=lambda fields: next(iter(fields)))
def test_a_browser_sets_no_terms(o, fields):
    account = o.account()
    before = o.get(f"/api/accounts/{account}").json
    answer = o.call("PUT", "/api/credits/settings", json=fields, key=browser(o, account), public=True)
    assert (answer.status, answer.json["error"]) == (400, "INVALID_REQUEST"), answer
    assert o.get(f"/api/accounts/{account}").json == before


@pytest.mark.parametrize("path, body", [
    ("topup", {"amount": 2000}), ("claim-bonus", {}), ("redeem", {"code": "WELCOME"}), ("pay", {}), ("portal", {})],
    ids=lambda value: value if isinstance(value, str) else "")
def test_a_browser_names_no_other_account(o, path, body):
    """A foreign account in the query or in the body moves nothing: only the caller's own account does."""
    own, other = o.account(), o.account(funds_micros=EURO)
    before = o.balance(other)
    for query, more in ((f"?account={other}", {}), ("", {"account": other})):
        answer = o.call("POST", f"/api/credits/{path}{query}", json={**body, **more}, key=browser(o, own), public=True)
        assert answer.status in (400, 403), answer
    assert o.balance(other) == before and given(o, own, "SIGNUP_BONUS") == 0


@pytest.mark.parametrize("header", ["X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method", "_method"])
def test_a_read_is_not_made_a_write(o, header):
    account = o.account()
    key = browser(o, account)
    for path in ("/api/credits/claim-bonus", "/api/credits/settings"):
        answer = o.call("GET", path + "?_method=PUT", key=key, public=True, headers={header: "POST"})
        assert answer.status in (200, 405), answer
    assert given(o, account, "SIGNUP_BONUS") == 0


def test_head_moves_nothing(o):
    account = o.account()
    for path in ("claim-bonus", "pay", "portal", "topup"):
        assert o.call("HEAD", f"/api/credits/{path}", key=browser(o, account), public=True).status == 405
    assert o.balance(account) == (0, 0, 0)


# ---- others' papers ------------------------------------------------------------------------------------


def test_without_a_customer_there_are_no_invoices(o, stripe):
    """Stripe lists everybody's invoices to whoever names no customer."""
    other = o.account()
    assert o.post(f"/api/credits/topup?account={other}", {"amount": 2000}).status == 200
    account, asked = o.account(), len(stripe.requests)
    answer = o.get("/api/credits/invoices", key=browser(o, account), public=True)
    assert (answer.status, answer.json["items"]) == (200, [])
    assert not [r for r in stripe.requests[asked:] if "invoices" in r["path"] and account not in str(r)]


def test_without_a_customer_there_is_no_portal_of_anybody(o, stripe):
    other = o.account()
    assert o.post(f"/api/credits/topup?account={other}", {"amount": 2000}).status == 200
    taken = set(stripe.objects["customer"])
    answer = o.call("POST", "/api/credits/portal", json={}, key=browser(o, o.account()), public=True)
    opened = [r for r in stripe.requests if r["path"].endswith("billing_portal/sessions")]
    assert answer.status >= 400 or opened[-1]["form"]["customer"] not in taken, answer


@pytest.mark.parametrize("path", ["transactions", "usages"])
def test_a_number_of_another_accounts_list_opens_nothing(o, path):
    """A cursor made of a guessed number under one's own name shows one's own rows, or none."""
    rich, poor = o.account(funds_micros=EURO), o.account()
    for i in range(3):
        o.fund(rich, EURO, request_id=f"{rich}-{i}")
        assert o.post("/api/guard/charge", {"account": rich, "action": "debrief"}).status == 200
    page = o.get(f"/api/credits/{path}?account={rich}&limit=1").json
    answer = o.get(f"/api/credits/{path}?limit=100&cursor={page['nextCursor']}", key=browser(o, poor), public=True)
    assert answer.status == 400 or answer.json["items"] == [], answer


# ---- rounding, many at once ----------------------------------------------------------------------------


def test_a_request_cut_into_pieces_costs_no_less(o):
    """Each piece is rounded up, never down."""
    whole, pieces = o.account(funds_micros=EURO), o.account(funds_micros=EURO)
    for account, times, tokens in ((whole, 1, 300), (pieces, 300, 1)):
        for _ in range(times):
            held = hold(o, account, inputTokens=1, maxOutputTokens=tokens)
            settled = o.post("/api/guard/settle", {"hold": held, "inputTokens": 0, "outputTokens": tokens})
            assert settled.status == 200 and settled.json["costMicros"] > 0, settled
    assert o.balance(pieces)[0] <= o.balance(whole)[0] == EURO - guard.cost("gpt-4o", output=300)


def test_one_hold_many_times_in_a_settlement_of_many(o):
    account = o.account(funds_micros=EURO)
    held = hold(o, account)
    one = {"hold": held, "inputTokens": 100, "outputTokens": 100}
    less = {"hold": held, "inputTokens": 1, "outputTokens": 1}
    answer = o.post("/api/guard/settle", {"settlements": [one, less, one] + [less] * 97})
    assert answer.status == 200, answer
    assert [r["status"] for r in answer.json["results"]] == [200, 409, 200] + [409] * 97
    assert o.balance(account) == (EURO - guard.cost("gpt-4o", input=100, output=100), 0,
                                  EURO - guard.cost("gpt-4o", input=100, output=100))


def test_holds_at_once_reserve_no_more_than_there_is(o):
    account = o.account(funds_micros=100_000)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: authorize(o, account, inputTokens=500, maxOutputTokens=2000), range(64)))
    reserved = [a.json["reservedMicros"] for a in answers if a.status == 200]
    assert {a.status for a in answers} == {200, 402} and 0 < sum(reserved) <= 100_000
    assert o.balance(account)[1] == sum(reserved)


# ---- credits that end, debts ---------------------------------------------------------------------------


def test_credits_that_end_pay_for_no_hold_that_outlives_them(o, clock):
    """Use after the credits ended is owed, and owed first when credits come again."""
    account = o.account()
    ends = datetime.datetime.fromtimestamp(clock.now_us // 10**6 + 3600, datetime.timezone.utc)
    o.fund(account, EURO, expiresAt=ends.strftime("%Y-%m-%dT%H:%M:%S.000Z"))
    held = hold(o, account, ttlSeconds=86400)
    clock.forward(hours=2)
    settled = o.post("/api/guard/settle", {"hold": held, "inputTokens": 1000, "outputTokens": 1000})
    cost = guard.cost("gpt-4o", input=1000, output=1000)
    assert (settled.status, settled.json["costMicros"]) == (200, cost)
    assert o.balance(account)[0] == -cost
    o.fund(account, EURO)
    assert o.balance(account)[0] == EURO - cost


def test_prepaid_again_leaves_the_debt(o):
    account = o.account(mode="postpaid", hardLimitMicros=10 * EURO)
    assert o.post("/api/guard/charge", {"account": account, "action": "debrief", "quantity": 500}).status == 200
    owed = o.balance(account)[0]
    assert owed == -5 * EURO
    for mode in ("prepaid", "postpaid", "prepaid"):
        put(o, account, mode=mode)
        assert o.balance(account)[0] == owed
    assert o.post("/api/guard/charge", {"account": account, "action": "debrief"}).status == 402
    o.fund(account, 6 * EURO)
    assert o.balance(account)[0] == EURO


def test_a_lower_hard_limit_works_at_once(o):
    account = o.account(mode="postpaid", hardLimitMicros=10 * EURO)
    assert o.post("/api/guard/charge", {"account": account, "action": "debrief", "quantity": 500}).status == 200
    put(o, account, hardLimitMicros=4 * EURO)
    refused = o.post("/api/guard/charge", {"account": account, "action": "debrief"})
    assert (refused.status, refused.json["error"]) == (402, "HARD_LIMIT_REACHED")


def test_a_suspended_account_passes_no_gate(o):
    account = o.account(funds_micros=EURO)
    o.ctl("account", "set", account, "--status", "suspended")
    gate = o.get(f"/api/guard/check?account={account}&model=gpt-4o")
    assert (gate.status, gate.headers["x-octroi-error"]) == (403, "ACCOUNT_SUSPENDED")
    assert o.post("/api/guard/charge", {"account": account, "action": "debrief"}).status == 402
    assert authorize(o, account).status == 402


# ---- keys and tokens -----------------------------------------------------------------------------------


def test_a_revoked_key_opens_nothing_at_once(o):
    made = json.loads(o.ctl("key", "create", "--scope", "guard", "--label", "gone", "--json").stdout)
    account = o.account(funds_micros=EURO)
    body = {"account": account, "action": "debrief"}
    assert o.post("/api/guard/charge", body, key=made["key"]).status == 200
    o.ctl("key", "revoke", made["prefix"])
    assert [o.post("/api/guard/charge", body, key=made["key"]).status for _ in range(20)] == [401] * 20


@pytest.mark.parametrize("seconds", [0, -1, 901, 10**6, 2**63 - 1])
def test_a_token_lives_no_longer_than_it_may(o, seconds):
    made = o.post("/api/tokens", {"account": o.account(), "ttlSeconds": seconds}, key="app")
    assert (made.status, made.json["error"], made.json["field"]) == (400, "INVALID_REQUEST", "ttlSeconds"), made


def test_a_token_makes_no_token(o):
    account = o.account()
    answer = o.post("/api/tokens", {"account": account}, key=browser(o, account))
    assert answer.status in (401, 403), answer


@pytest.mark.parametrize("amount", [-500, 0, 499, 100001, "500", 500.0, 1e3, None, [500], 2**63])
def test_amounts_that_are_none(o, stripe, amount):
    account, asked = o.account(), len(stripe.requests)
    answer = o.post(f"/api/credits/topup?account={account}", body=json.dumps({"amount": amount}),
                    headers={"Content-Type": "application/json"})
    assert answer.status == 400, answer
    assert len(stripe.requests) == asked


def test_an_order_takes_no_price_of_the_browsers(o, stripe):
    account, asked = o.account(), len(stripe.requests)
    for more in ({"currency": "jpy"}, {"price": "price_1"}, {"amountMicros": 10**9}, {"success_url": "https://evil.example"},
                 {"metadata": {"topup_id": "x"}}, {"customer": "cus_1"}):
        answer = o.call("POST", "/api/credits/topup", json={"amount": 2000, **more}, key=browser(o, account), public=True)
        assert (answer.status, answer.json["error"]) == (400, "INVALID_REQUEST"), answer
    assert len(stripe.requests) == asked


@pytest.mark.parametrize("quantity", [0, -1, 1_000_001, 2**63, "1", 1.5])
def test_quantities_that_would_give_credit(o, quantity):
    account = o.account(funds_micros=EURO)
    for path in ("charge", "authorize"):
        answer = o.post(f"/api/guard/{path}", {"account": account, "action": "debrief", "quantity": quantity})
        assert answer.status == 400, answer
    assert o.balance(account) == (EURO, 0, EURO)


def test_an_old_body_under_a_new_account(o):
    """A request id belongs to its account: another account's answer is not to be had by it."""
    rich, poor, name = o.account(funds_micros=EURO), o.account(), request_id("shared")
    assert authorize(o, rich, requestId=name).status == 200
    assert authorize(o, poor, requestId=name).status == 402

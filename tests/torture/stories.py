"""Stories for a tortured octroi: every guard and money route, and most of the others.

A story is given a Play, calls its step() for each request and says in the end what the accounts have to have, by
arithmetic of its own.  It may be played again and again: its names are new each time.
"""

import time

import clerk
import guard as figures
from fake_stripe import sign

CENT = 10_000
EURO = 1_000_000
FUNDS = 10 * EURO
# Of a request's JSON the first 4 KiB lie in the request's arena (ARENA_ROOM in src/base/json.c).  What follows these
# values is allocated, and may fail.
MORE_THAN_THE_ARENA = {f"k{i:02}": i for i in range(60)}


def _account(t, account, funds=0, /, **fields):
    t.step("PUT", "/api/accounts/{account}", fields, key="app", uri=f"/api/accounts/{account}")
    if funds:
        t.step("POST", "/api/accounts/{account}/transactions", {
            "type": "ADJUSTMENT", "amountMicros": funds, "description": "torture", "requestId": account + "-fund"},
            key="admin", uri=f"/api/accounts/{account}/transactions")
    return account


def guard(t):
    """Reserve, settle, release, extend, charge, and be refused."""
    account = _account(t, t.name("g"), FUNDS, mode="prepaid", unit="money", email="anna@example.org")
    poor = _account(t, t.name("poor"), mode="prepaid", unit="money")
    t.step("GET", "/api/guard/check", uri=f"/api/guard/check?account={account}&model=gpt-4o", status=204)
    spent = figures.cost("gpt-4o", input=1000, output=100)
    held = t.step("POST", "/api/guard/authorize", {
        "metadata": MORE_THAN_THE_ARENA,
        "conversationId": "talk",  # jansson's buffer for strings grows at the closing quote of this name
        "account": account, "model": "gpt-4o", "inputTokens": 1000, "maxOutputTokens": 500, "requestId": account + "-1"})["hold"]
    t.step("POST", "/api/guard/extend", {"hold": held, "ttlSeconds": 900})
    t.step("POST", "/api/guard/settle", {"hold": held, "inputTokens": 1000, "outputTokens": 100})
    held = t.step("POST", "/api/guard/authorize", {
        "account": account, "models": ["claude-sonnet-4-20250514", "gpt-4o"], "fit": True, "inputBytes": 3000,
        "requestId": account + "-2"})["hold"]
    t.step("POST", "/api/guard/release", {"hold": held})
    t.step("POST", "/api/guard/charge", {"account": account, "action": "report", "quantity": 3, "requestId": account + "-3"})
    spent += 3 * CENT
    holds = [t.step("POST", "/api/guard/authorize", {
        "account": account, "model": "gpt-3.5-turbo", "requestId": f"{account}-m{i}"})["hold"] for i in range(2)]
    t.step("POST", "/api/guard/settle", {"settlements": [
        {"hold": hold, "usage": {"prompt_tokens": 10, "completion_tokens": 20, "total_tokens": 30}} for hold in holds]})
    spent += 2 * figures.cost("gpt-3.5-turbo", input=10, output=20)
    t.step("POST", "/api/guard/authorize", {"account": poor, "model": "gpt-4o", "requestId": poor + "-1"}, status=402)
    t.step("POST", "/api/guard/charge", {"account": poor, "action": "report", "requestId": poor + "-2"}, status=402)
    t.step("POST", "/api/guard/authorize", {"account": account, "model": "no-such-model", "requestId": account + "-4"}, status=422)
    t.step("POST", "/api/guard/authorize", {"account": account, "requestId": account + "-5"}, status=400)
    t.expect(account, FUNDS - spent)
    t.expect(poor, 0)


def reading(t):
    """All that shows, and what a caller is told who may not see it."""
    account = _account(t, t.name("r"), FUNDS, mode="prepaid", unit="money", name="Anna")
    for action in ("letter", "report"):
        t.step("POST", "/api/guard/charge", {"account": account, "action": action, "requestId": f"{account}-{action}"})
    token = t.step("POST", "/api/tokens", {"account": account}, key="app")["token"]
    t.step("GET", "/api/credits", key=token, public=True)
    for route in ("", "/transactions", "/usages", "/summary", "/diagnosis", "/settings", "/grants", "/invoices"):
        t.step("GET", "/api/credits" + route, key="app", uri=f"/api/credits{route}?account={account}")
    t.step("GET", "/api/credits/usages", key=token, uri="/api/credits/usages?limit=1", public=True)
    t.step("GET", "/api/credits/compare", key="app", uri=f"/api/credits/compare?account={account}&models=gpt-4o,gpt-3.5-turbo")
    t.step("GET", "/api/accounts/{account}", key="app", uri=f"/api/accounts/{account}")
    t.step("GET", "/api/pricing", key=None, uri="/api/pricing?limit=3", public=True)
    t.step("POST", "/api/pricing/estimate", {"model": "gpt-4o", "inputTokens": 100}, key=None)
    t.step("GET", "/api/credits", key=None, uri=f"/api/credits?account={account}", status=401)
    t.step("GET", "/api/credits", key=token[:-6] + "AAAAAA", public=True, status=401)
    t.step("GET", "/api/credits", key="app", uri="/api/credits?account=nobody-knows-them")
    t.step("GET", "/api/credits", key="oct_a-key-that-there-is-not", uri=f"/api/credits?account={account}",
           status=401)
    for report in ("capacity", "margin"):
        t.step("GET", "/api/admin/reports/" + report, key="report", only_status=True)
    t.step("GET", "/api/admin/providers", key="report")
    for path in ("accounts", "charges", "outbox", "events", "alerts", "prices", "reports/accounts", "reports/holds", "reports/settlements"):
        t.step("GET", "/api/admin/" + path, key="report", only_status=True)
    for route in ("", "/transactions", "/usages", "/diagnosis"):
        t.step("GET", "/api/admin/accounts/{account}" + route, key="report", uri=f"/api/admin/accounts/{account}{route}")
    t.step("GET", "/metrics", key="report", only_status=True)
    t.step("GET", "/healthz", key=None, only_status=True)
    t.step("GET", "/readyz", key=None, only_status=True)
    t.step("GET", "/api/openapi.json", key=None, only_status=True)
    t.expect(account, FUNDS - 2 * CENT)


def team(t):
    """A workspace with members, their limits, and what they use."""
    account = _account(t, t.name("w"), FUNDS, mode="prepaid", unit="credit")
    member = f"/api/accounts/{account}/members/anna"
    route = "/api/accounts/{account}/members/{member}"
    t.step("PUT", route, {"role": "member"}, key="app", uri=member)
    token = t.step("POST", "/api/tokens", {"account": account}, key="app")["token"]
    t.step("PUT", "/api/credits/settings", {"monthlyLimitMicros": 8 * EURO, "members": {"anna": {"dailyLimitMicros": 5 * EURO}}},
           key=token, public=True)
    t.step("GET", route, key="app", uri=member)
    t.step("GET", "/api/accounts/{account}/members", key="app", uri=f"/api/accounts/{account}/members")
    t.step("POST", "/api/guard/charge", {"account": account, "member": "anna", "action": "report", "requestId": account + "-1"})
    t.step("POST", "/api/guard/charge", {
        "account": account, "member": "anna", "action": "report", "quantity": 6, "requestId": account + "-2"}, status=402)
    t.step("GET", "/api/admin/reports/members", key="report", uri=f"/api/admin/reports/members?account={account}")
    token = t.step("POST", "/api/tokens", {"account": account, "member": "anna"}, key="app")["token"]
    t.step("GET", "/api/credits", key=token, public=True)
    t.step("DELETE", route, key="app", uri=member, afterwards=404)
    t.expect(account, FUNDS - EURO)


def money(t):
    """Money in: Stripe's page, its events, a bonus, a code, a person who signs up at Clerk."""
    name = t.name("m")  # an address has a bonus once
    account = _account(t, name, mode="prepaid", unit="money", email=name.replace(":", ".") + "@example.org", name="Anna")
    opened = t.step("POST", "/api/credits/topup", {"amount": 2000, "requestId": account + "-1"}, key="app",
                    uri=f"/api/credits/topup?account={account}")
    t.stripe.pay(t.stripe.session_of(opened["url"]))
    for event in t.stripe.lose():
        body = t.stripe.body_of(event)
        t.step("POST", "/api/webhooks/stripe", body=body, key=None, public=True,
               headers={"Stripe-Signature": sign(t.stripe.webhook_secret, body)})
    t.step("POST", "/api/webhooks/stripe", body=b"{}", key=None, public=True, headers={"Stripe-Signature": f"t={int(time.time())},v1=00"},
           status=400)
    t.step("POST", "/api/credits/claim-bonus", {"requestId": account + "-2"}, key="app",
           uri=f"/api/credits/claim-bonus?account={account}")
    t.step("POST", "/api/credits/redeem", {"code": t.code(), "requestId": account + "-3"}, key="app",
           uri=f"/api/credits/redeem?account={account}")
    t.step("POST", "/api/credits/portal", {}, key="app", uri=f"/api/credits/portal?account={account}")
    t.step("GET", "/api/credits/invoices", key="app", uri=f"/api/credits/invoices?account={account}")
    t.step("PUT", "/api/credits/settings", {"dailyLimitMicros": 50 * EURO}, key="app", uri=f"/api/credits/settings?account={account}")
    t.step("POST", "/api/credits/pay", {}, key="app", uri=f"/api/credits/pay?account={account}")
    person = clerk.person(email=None)
    body = clerk.event(person)
    t.step("POST", "/api/webhooks/clerk", body=body, key=None, public=True, headers=clerk.signed_headers(t.clerk_secret, body))
    t.expect(account, 20 * EURO + 10 * EURO + 5 * EURO)
    t.expect(person["id"], 10 * EURO)


def cold(t):
    """The first request after the database has hung up, and after prices have changed."""
    account = _account(t, t.name("c"), FUNDS, mode="prepaid", unit="money")
    t.hang_up()
    t.step("POST", "/api/guard/charge", {"account": account, "action": "report", "requestId": account + "-1"})
    t.new_prices()
    t.step("POST", "/api/guard/charge", {"account": account, "action": "report", "requestId": account + "-2"})
    t.hang_up()
    t.step("GET", "/api/credits", key="app", uri=f"/api/credits?account={account}")
    t.expect(account, FUNDS - 2 * CENT)


ALL = (guard, reading, team, money, cold)

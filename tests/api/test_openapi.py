"""Whether octroi keeps its contract: every route, every status, every field.

The document is held against routes.def and outcomes.def; the answers of a running octroi are held
against the document, until each status and each field that it promises has been seen.
"""

import concurrent.futures
import json
import pathlib
import sys
import time
import urllib.parse

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import clerk  # noqa: E402
import guard  # noqa: E402
import plans  # noqa: E402
import rowlock  # noqa: E402
from chain import forget_records  # noqa: E402
from conftest import CLERK_WEBHOOK_SECRET, SETTINGS, STRIPE_WEBHOOK_SECRET  # noqa: E402
from contract import DOCUMENT, Contract, outcomes, routes  # noqa: E402
from fake_stripe import FakeStripe, sign  # noqa: E402
from octroi import Octroi, wait_until  # noqa: E402
from saver import Saver  # noqa: E402

# Which callers a route has, as routes.def and as the document say it.
SCOPES = {
    "NOBODY": set(), "GUARD": {"guard", "app", "admin"}, "APP": {"app", "admin"}, "ADMIN": {"admin"},
    "REPORT": {"report", "admin"}, "OPERATOR": {"report", "admin", "operator"}, "OWNER": {"app", "admin", "report", "browser"}, "GATE": {"guard", "app", "admin"},
    "SIGNED": set(),
}
READ_BY_REPORT = {("GET", "/api/accounts/{account}"), ("GET", "/api/accounts/{account}/members"),
                  ("GET", "/api/accounts/{account}/members/{member}")}
# Objects that other people send, and may add to.
OF_OTHERS = {"StripeEvent", "ClerkEvent"}
FUNDS = 10_000_000
NOBODY = "oct_guard_" + "0" * 43


def contract_of_source():
    return Contract(json.loads(DOCUMENT.read_text()))


# ---- the document ---------------------------------------------------------------------------------------


def test_every_route_is_in_the_document_and_nothing_else():
    documented = {(method, path): operation for method, path, operation in contract_of_source().operations()}
    listed = {(method, path): (caller, handler) for method, path, caller, _, handler in routes()}
    assert set(documented) == set(listed)
    for place, operation in documented.items():
        caller, handler = listed[place]
        assert operation["operationId"] == handler
        allowed = {name for entry in operation["security"] for scheme, roles in entry.items()
                   for name in (roles or [scheme])}
        may = SCOPES[caller] | ({"report"} if place in READ_BY_REPORT else set())
        if caller == "OWNER" and place[0] != "GET":
            may = may - {"report"}
        assert allowed == may, place
        assert ("403" in operation["responses"]) == (caller not in ("NOBODY", "SIGNED"))
        assert "400" in operation["responses"] or caller == "GATE"


def test_every_outcome_is_in_the_document():
    contract = contract_of_source()
    schemas = contract.document["components"]["schemas"]
    money = set(schemas["MoneyRefusal"]["properties"]["error"]["enum"]) | {schemas["PaymentDeclined"]["properties"]["error"]["const"]}
    others = set(schemas["Error"]["properties"]["error"]["enum"]) | {schemas["InvalidRequest"]["properties"]["error"]["const"]}
    assert money == {name for name, status in outcomes().items() if status == 402}
    assert others == {name for name, status in outcomes().items() if status not in (200, 402)}
    refusals = contract.document["components"]["responses"].values()
    assert len(refusals) - 1 == len({status for status in outcomes().values() if status != 200})  # and NotModified


def test_every_route_is_asked_for():
    """By its path, below: test_every_status_and_every_field_is_answered_as_promised says the same, but takes longer."""
    written = pathlib.Path(__file__).read_text()
    for _, path, _ in contract_of_source().operations():
        assert f'"{path}"' in written, f"no request for {path}"


def test_every_reference_leads_somewhere_and_every_component_is_used():
    contract, used = contract_of_source(), set()

    def walk(value):
        if isinstance(value, dict):
            if "$ref" in value:
                contract.at(value["$ref"])
                used.add(value["$ref"])
            for member in value.values():
                walk(member)
        elif isinstance(value, list):
            for member in value:
                walk(member)

    walk(contract.document)
    for kind in ("schemas", "parameters", "responses"):
        for name in contract.document["components"][kind]:
            assert f"#/components/{kind}/{name}" in used or name == "MethodNotAllowed", name


def test_every_example_is_one():
    contract = contract_of_source()
    for pointer, schema in contract.records():
        for name, member in schema["properties"].items():
            for example in member.get("examples", []):
                errors = contract.errors(example, member, f"{pointer}/properties/{name}")
                assert not errors, (pointer, errors)


def test_every_record_says_what_else_it_may_have():
    for pointer, schema in contract_of_source().records():
        if pointer.split("/")[3] in OF_OTHERS:
            continue
        assert schema["additionalProperties"] is False, pointer
        assert set(schema["required"]) <= set(schema["properties"]), pointer


def test_the_document_is_served(server):
    answer = contract_of_source().hold(server.get("/api/openapi.json", key=None, public=True), "GET", "/api/openapi.json")
    assert answer.json == json.loads(DOCUMENT.read_text())


# ---- requests -------------------------------------------------------------------------------------------


def bodies(o, account):
    """{handler: (method, path, scope, a body that is accepted)}; bodies that name a hold name a new one."""
    def held():
        return guard.hold(o, account)

    at = "/api/accounts/" + account
    return {
        "guard_authorize": ("POST", "/api/guard/authorize", "guard", lambda: {"account": account, "model": "gpt-4o"}),
        "guard_settle": ("POST", "/api/guard/settle", "guard", lambda: {"hold": held()}),
        "guard_release": ("POST", "/api/guard/release", "guard", lambda: {"hold": held()}),
        "guard_extend": ("POST", "/api/guard/extend", "guard", lambda: {"hold": held()}),
        "guard_charge": ("POST", "/api/guard/charge", "guard", lambda: {"account": account, "action": "debrief"}),
        "pricing_estimate": ("POST", "/api/pricing/estimate", None, lambda: {"model": "gpt-4o"}),
        "accounts_put": ("PUT", at, "app", lambda: {}),
        "accounts_member_put": ("PUT", at + "/members/user:1", "app", lambda: {"role": "member"}),
        "pay_now": ("POST", f"/api/credits/pay?account={account}", "app", lambda: {}),
        "settings_put": ("PUT", f"/api/credits/settings?account={account}", "app", lambda: {}),
        "alerts_put": ("PUT", f"/api/credits/alerts?account={account}", "app", lambda: {"thresholdsMicros": None}),
        "recharge_put": ("PUT", f"/api/credits/recharge?account={account}", "app", lambda: {"enabled": False}),
        "accounts_transaction": ("POST", at + "/transactions", "admin", lambda: {
            "type": "ADJUSTMENT", "amountMicros": 1, "description": "d", "requestId": guard.request_id()}),
        "tokens_issue": ("POST", "/api/tokens", "app", lambda: {"account": account}),
        "topups_open": ("POST", f"/api/credits/topup?account={account}", "app", lambda: {"amount": 500}),
        "topups_portal": ("POST", f"/api/credits/portal?account={account}", "app", lambda: {}),
        "bonuses_claim": ("POST", f"/api/credits/claim-bonus?account={account}", "app", lambda: {}),
        "bonuses_redeem": ("POST", f"/api/credits/redeem?account={account}", "app", lambda: {"code": "ABCD-EFGH"}),
    }


def signed():
    """The handlers of what other services sign."""
    return {handler for _, _, caller, _, handler in routes() if caller == "SIGNED"}


# Members that take the place of others.
INSTEAD = {("guard_authorize", "models"): ["model"], ("guard_authorize", "action"): ["model"],
           ("guard_authorize", "quantity"): ["model"], ("pricing_estimate", "action"): ["model"],
           ("pricing_estimate", "quantity"): ["model"]}
BESIDE = {("accounts_member_put", "period"): {"limitMicros": 5_000_000},
          ("guard_authorize", "quantity"): {"action": "debrief"}, ("pricing_estimate", "quantity"): {"action": "debrief"}}


def request_schema(contract, handler):
    for _, _, operation in contract.operations():
        if operation["operationId"] == handler:
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            schema, _ = contract.resolve(schema, "")
            return contract.resolve(schema["anyOf"][0], "")[0] if "properties" not in schema else schema
    raise AssertionError(handler)


def test_every_documented_member_is_taken_and_no_other(nginx):
    contract = contract_of_source()
    account = nginx.account(funds_micros=1_000_000_000)
    handlers = bodies(nginx, account)
    assert set(handlers) | signed() == {op["operationId"] for _, _, op in contract.operations() if "requestBody" in op}
    for handler, (method, path, scope, body) in handlers.items():
        for name, member in request_schema(contract, handler)["properties"].items():
            for example in member.get("examples", []):
                if name in ("account", "unit"):
                    continue  # another account's, or one that has moved
                sent = {**body(), **BESIDE.get((handler, name), {}), name: example}
                if name == "requestId":
                    sent[name] = guard.request_id()
                for other in INSTEAD.get((handler, name), ()):
                    del sent[other]
                answer = nginx.call(method, path, json=sent, key=scope)
                assert answer.status == 200, (handler, sent, answer)
            misspelt = nginx.call(method, path, json={**body(), name + "s": 1}, key=scope)
            if (handler, name + "s") != ("guard_authorize", "models"):
                assert (misspelt.status, misspelt.json["field"]) == (400, name + "s"), (handler, misspelt)


def test_what_is_required_is_required(nginx):
    contract = contract_of_source()
    account = nginx.account(funds_micros=1_000_000_000)
    for handler, (method, path, scope, body) in bodies(nginx, account).items():
        for name in request_schema(contract, handler)["required"]:
            for missing in ({}, {name: None}):
                sent = {k: v for k, v in body().items() if k != name}
                answer = nginx.call(method, path, json={**sent, **missing}, key=scope)
                assert (answer.status, answer.json["field"]) == (400, name), (handler, answer)


# ---- answers --------------------------------------------------------------------------------------------


class Asker:
    """Asks an octroi and holds each answer against the contract."""

    def __init__(self, o, contract):
        self.o, self.contract = o, contract

    def __call__(self, method, path, key="admin", status=None, query="", account=None, member=None, usage=None, **more):
        filled = path.replace("{account}", urllib.parse.quote(account or "a")).replace("{member}", member or "m")
        filled = filled.replace("{id}", usage or "A" * 32)
        answer = self.o.call(method, filled + query, key=key, **more)
        self.contract.hold(answer, method, path)
        assert status in (None, answer.status), (method, filled, answer)
        return answer


def ask_guard(ask, o):
    account = o.account(funds_micros=FUNDS)
    poor = o.account()
    postpaid = o.account(mode="postpaid", hardLimitMicros=1)
    credit = o.account(unit="credit", funds_micros=5_000_000)
    suspended = o.account(status="suspended")
    model = {"account": account, "model": "gpt-4o"}

    def authorize(body, status=200):
        return ask("POST", "/api/guard/authorize", "guard", status, json=body)

    def settle(body, status=200):
        return ask("POST", "/api/guard/settle", "guard", status, json=body)

    rid = guard.request_id()
    first, second, third, fourth = (authorize({**model, "requestId": rid if i == 0 else guard.request_id()}).json["hold"]
                                    for i in range(4))
    authorize({**model, "requestId": rid, "inputTokens": 1}, 409)
    assert authorize({**model, "requestId": rid}).json["holdState"] == "open"
    authorize({**model, "byok": ["openai"]})
    place = "0123456789abcdef" * 2
    grace = authorize({**model, "grace": {"place": place}}).json["grace"]
    used = {**{name: grace[name] for name in ("serial", "limitMicros", "endsAt", "signature")}, "micros": 10**6, "priceVersion": 0}
    for status, change in ((409, {"serial": 9}), (200, {}), (409, {})):
        authorize({**model, "requestId": guard.request_id(), "grace": {"place": place, "used": {**used, **change}}}, status)
    key = o.ctl("key", "create", "--scope", "meter", "--account", account, "--member", "ann", "--json").stdout
    authorize({"meterKey": json.loads(key)["key"], "model": "gpt-4o"})
    action = authorize({"account": credit, "action": "debrief"}).json["hold"]
    authorize({"account": account, "model": "unheard-of"}, 422)
    for refused, kind in ((poor, "balance"), (postpaid, "hard_limit"), (suspended, "suspended")):
        assert authorize({"account": refused, "model": "gpt-4o"}, 402).json["limit"]["kind"] == kind
    ask("POST", "/api/guard/extend", "guard", 200, json={"hold": action})
    ask("POST", "/api/guard/extend", "guard", 200, json={"hold": second, "maxOutputTokens": 3000})
    ask("POST", "/api/guard/extend", "guard", 402, json={"hold": second, "maxOutputTokens": 10**9})
    settle({"hold": first, "inputTokens": 10, "outputTokens": 1})
    settle({"hold": first, "inputTokens": 11, "outputTokens": 1}, 409)
    settle({"hold": guard.public_id(account, 999)}, 404)
    settle({"hold": third, "outcome": "failed"})
    settle({"settlements": [{"hold": second}, {"hold": first}, {"hold": guard.public_id(account, 999)}, 5]})
    ask("POST", "/api/guard/release", "guard", 200, json={"hold": fourth})
    ask("POST", "/api/guard/release", "guard", 409, json={"hold": second})
    ask("POST", "/api/guard/release", "guard", 404, json={"hold": guard.public_id(account, 999)})
    ask("POST", "/api/guard/extend", "guard", 409, json={"hold": first})
    ask("POST", "/api/guard/extend", "guard", 404, json={"hold": guard.public_id(account, 999)})
    charge = {"account": credit, "action": "debrief", "requestId": guard.request_id()}
    ask("POST", "/api/guard/charge", "guard", 200, json=charge)
    ask("POST", "/api/guard/charge", "guard", 409, json={**charge, "quantity": 2})
    ask("POST", "/api/guard/charge", "guard", 402, json={"account": poor, "action": "debrief"})
    ask("GET", "/api/guard/check", "guard", 204, query=f"?account={account}&model=gpt-4o")
    for query, code in ((f"?account={poor}", 402), ("", 400), (f"?account={account}&model=unheard-of", 422)):
        refused = ask("GET", "/api/guard/check", "guard", 403, query=query)
        assert refused.headers["x-octroi-status"] == str(code)


def ask_lines(ask, o, account):
    """Uses everything that can be counted, on a model with a price for a part of it."""
    o.ctl("price", "set", "all-counts", "--provider", "openai", "--input", "1", "--output", "2", "--line", "images:big=0.1",
          "--line", "inputTokens@batch>10=0.00001")
    counts = {name: 2 for name in ask.contract.at("#/components/schemas/CountsOf")["properties"]}
    used = {name: 2 for name in ask.contract.at("#/components/schemas/CountsUsed")["properties"]}
    more = {"variant": "big", "serviceTier": "batch"}
    body = {"account": account, "model": "all-counts", "counts": counts, **more}
    wait_until(lambda: o.post("/api/guard/authorize", body).status == 200, 10, "the new price")
    settled = {"hold": ask("POST", "/api/guard/authorize", "guard", 200, json=body).json["hold"], "counts": used, **more}
    assert ask("POST", "/api/guard/settle", "guard", 200, json=settled).json["usageIncomplete"] is True
    ask("POST", "/api/guard/settle", "guard", 200, json={"settlements": [settled]})
    body = {"model": "all-counts", "counts": {name: n for name, n in used.items() if name not in ("inputTokens", "outputTokens")}, **more}
    ask("POST", "/api/pricing/estimate", None, 200, json=body)
    ask("GET", "/api/credits/estimate", "app", 200, query=f"?account={account}&model=all-counts&counts=images=2&variant=big")
    ask("GET", "/api/credits/estimate", "app", 422, query=f"?account={account}&model=unheard-of")
    ask("GET", "/api/credits/estimate", "app", 400, query=f"?account={account}&model=all-counts&counts=beads=2")
    ask("GET", "/api/pricing", None, 200, query="?model=all-counts")


def ask_credits(ask, o):
    account = o.account(funds_micros=FUNDS)
    postpaid = o.account(mode="postpaid", hardLimitMicros=5, softLimitMicros=4)
    held = guard.hold(o, account, member="user:1", conversationId="c", messageId="m")
    guard.settle(o, held, usage={"input_tokens": 5, "output_tokens": 5, "cache_read_input_tokens": 5})
    guard.charge(o, account, "debrief")
    o.fund(account, 5, metadata={"n": 1})
    o.sql(f"UPDATE transactions SET reference = 'cs_test_1' WHERE account_id = {guard.key_of(account)} AND metadata = ''")
    forget_records(o, f"account_id = {guard.key_of(account)}")
    for who in (account, postpaid):
        ask("GET", "/api/credits", "app", 200, query=f"?account={who}")
    ask("GET", "/api/credits", "report", 404, query="?account=" + guard.request_id("nobody"))
    ask_lines(ask, o, account)
    for usage in ask("GET", "/api/credits/usages", "app", 200, query=f"?account={account}").json["items"]:
        ask("GET", "/api/credits/usages/{id}", "app", 200, query=f"?account={account}", usage=usage["id"])
    ask("GET", "/api/credits/usages", "app", 200, query=f"?account={account}&lines=1")
    ask("GET", "/api/credits/usages/{id}", "app", 404, query=f"?account={account}")
    for path in ("/api/credits/transactions", "/api/credits/usages"):
        assert ask("GET", path, "app", 200, query=f"?account={account}&limit=1").json["nextCursor"]
        assert ask("GET", path, "app", 200, query=f"?account={account}").json["nextCursor"] is None
    for by in ("day", "hour", "model", "member", "action"):
        ask("GET", "/api/credits/summary", "report", 200, query=f"?account={account}&by={by}")


def ask_bonuses(ask, o):
    def claim(account, status, **more):
        return ask("POST", "/api/credits/claim-bonus", "app", status, query=f"?account={account}", json={}, **more)

    def redeem(account, code, status, **more):
        return ask("POST", "/api/credits/redeem", "app", status, query=f"?account={account}", json={"code": code}, **more)

    account, other = o.account(), o.account()
    claim(account, 200)
    claim(account, 409)
    code = json.loads(o.ctl("--json", "code", "create", "--amount", "1", "--reason", "r", "--actor", "a").stdout)["items"][0]
    redeem(account, code["code"], 200)
    redeem(account, code["code"], 409)
    redeem(account, "WRONG-CODE", 404)
    referral = ask("GET", "/api/credits", "app", 200, query=f"?account={account}").json["referralCode"]
    redeem(other, referral, 200)
    for n in range(10):
        redeem(other, f"WRONG-{n}", 404)
    redeem(other, "WRONG-10", 429)
    body = clerk.event(clerk.person())
    ask("POST", "/api/webhooks/clerk", None, 200, body=body, headers=clerk.signed_headers(CLERK_WEBHOOK_SECRET, body))


def ask_payments(ask, o, stripe):
    account, other = o.account(), o.account()
    body = {"amount": 500, "requestId": guard.request_id()}
    url = ask("POST", "/api/credits/topup", "app", 200, query=f"?account={account}", json=body).json["url"]
    ask("POST", "/api/credits/topup", "app", 409, query=f"?account={account}", json={**body, "amount": 600})
    stripe.pay(stripe.session_of(url))
    url = ask("POST", "/api/credits/topup", "app", 200, query=f"?account={account}", json={"amount": 700}).json["url"]
    stripe.pay(stripe.session_of(url))
    stripe.deliver()
    for n in range(11):
        ask("POST", "/api/credits/topup", "app", 200 if n < 10 else 429, query=f"?account={other}", json={"amount": 500})
    other = o.account()
    ask("POST", "/api/credits/portal", "app", 200, query=f"?account={account}", json={})
    ask("POST", "/api/credits/portal", "app", 404, query=f"?account={other}", json={})
    ask("GET", "/api/credits/invoices", "app", 200, query=f"?account={other}")
    assert ask("GET", "/api/credits/invoices", "app", 200, query=f"?account={account}&limit=1").json["nextCursor"]
    assert ask("GET", "/api/credits/invoices", "app", 200, query=f"?account={account}").json["nextCursor"] is None
    event = {"id": "evt_contract", "object": "event", "type": "charge.updated", "created": int(time.time()),
             "livemode": False, "data": {"object": {"id": "ch_1", "object": "charge"}}}
    body = json.dumps(event).encode()
    ask("POST", "/api/webhooks/stripe", None, 200, body=body, headers=stripe_headers(body))
    stripe.emit("customer.subscription.created", stripe.new(
        "subscription", "sub", customer="cus_other", status="active", metadata={"user_id": account},
        items={"object": "list", "data": [{"id": "si_1", "price": {"id": "price_1"}, "current_period_start": 1,
                                           "current_period_end": 2}]}))
    stripe.deliver()
    assert ask("GET", "/api/credits", "app", 200, query=f"?account={account}").json["plan"] == "pro"
    assert ask("GET", "/api/accounts/{account}", "app", 200, account=account).json["plan"] == "pro"


def ask_pay(ask, o, stripe):
    """A debt, which is not paid without a card, and is with one."""
    account = o.account(mode="postpaid", hardLimitMicros=FUNDS)
    o.fund(account, -5_000_000)
    declined = ask("POST", "/api/credits/pay", "app", 402, query=f"?account={account}", json={})
    assert declined.json["invoiceUrl"]
    [(customer,)] = o.sql(f"SELECT customer_id FROM billing WHERE account_id = {guard.key_of(account)}")
    stripe.save_card(customer, default=True)
    paid = ask("POST", "/api/credits/pay", "app", 200, query=f"?account={account}", json={})
    assert (paid.json["amountMicros"], paid.json["balanceMicros"], len(paid.json["statements"])) == (5_000_000, 0, 1)
    stripe.deliver()


def ask_recharge(ask, o, stripe):
    recharge = "/api/credits/recharge"
    c = Saver(o, stripe, declines="processing")
    query = f"?account={c.id}"
    assert ask("GET", recharge, "app", 200, query=query).json["consent"] is None
    ask("PUT", recharge, "app", 422, query=query, json=c.settings(consent=False))
    ask("PUT", recharge, "app", 200, query=query, json=c.settings())
    c.spend(15_000_000)
    c.wait_state("pending")
    shown = ask("GET", recharge, "app", 200, query=query).json
    assert shown["pending"]["amount"] == 2000 and shown["consent"]["locale"] == "en"
    ask("PUT", recharge, "app", 200, query=query, json={"enabled": False})
    owing = o.account(mode="postpaid")
    ask("PUT", recharge, "app", 409, query=f"?account={owing}", json=c.settings())
    ask("PUT", "/api/accounts/{account}/members/{member}", "app", 200, account=c.id, member="a", json={})
    token = o.post("/api/tokens", {"account": c.id, "member": "a"}, key="app").json["token"]
    ask("GET", recharge, token, 403)
    ask("PUT", recharge, token, 403, json={"enabled": False})
    ask("GET", recharge, "report", 404, query="?account=" + guard.request_id("nobody"))


def stripe_headers(body):
    return {"Stripe-Signature": sign(STRIPE_WEBHOOK_SECRET, body), "Content-Type": "application/json"}


def ask_accounts(ask, o):
    account = o.account()
    profile = {"email": "ada@example.com", "name": "Ada", "locale": "fr-FR", "timeZone": "Europe/Paris", "byok": ["openai"]}
    ask("PUT", "/api/accounts/{account}", "app", 200, account=account, json=profile)
    ask("GET", "/api/accounts/{account}", "report", 200, account=account)
    ask("GET", "/api/accounts/{account}", "app", 404, account=guard.request_id("nobody"))
    members = "/api/accounts/{account}/members/{member}"
    ask("PUT", members, "app", 200, account=account, member="user:1", json={"role": "manager"})
    ask("DELETE", members, "app", 200, account=account, member="user:1")
    ask("DELETE", members, "app", 404, account=account, member="user:1")
    body = {"type": "TOP_UP", "amountMicros": FUNDS, "description": "d", "requestId": guard.request_id()}
    ask("POST", "/api/accounts/{account}/transactions", "admin", 200, account=account, json=body)
    ask("POST", "/api/accounts/{account}/transactions", "admin", 409, account=account, json={**body, "amountMicros": 1})
    ask("PUT", "/api/accounts/{account}", "app", 409, account=account, json={"unit": "credit"})
    ask("POST", "/api/tokens", "app", 200, json={"account": account})
    ask("POST", "/api/tokens", "app", 200, json={"account": account, "page": "billing"})


def ask_alerts(ask, o, account, token):
    """account has a member whose token that is."""
    alerts, query = "/api/credits/alerts", f"?account={account}"
    changed = ask("PUT", alerts, "app", 200, query=query, json={
        "thresholdsMicros": [7_000_000, 2_000_000], "thresholdsPercent": [50], "addresses": ["a@example.org"], "language": "fr"}).json
    assert (changed["standard"], changed["thresholdsMicros"]) == (False, [7_000_000, 2_000_000])
    o.ctl("plan", "set", "Percents", "--scope", "pool", "--unit", "credit", "--pool", "10", "--action", "other=5")
    using = o.account(unit="credit", plan="Percents")
    ask("PUT", alerts, "app", 200, query=f"?account={using}", json={"thresholdsPercent": [50]})
    guard.charge(o, using, "other")
    ask("GET", alerts, "app", 200, query=f"?account={using}")
    expiring = o.account()
    o.fund(expiring, 1_000_000, type="PROMO_BONUS", expiresAt=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 8 * 86_400)))
    guard.pass_time(o, expiring, 2 * 86_400)
    ask("GET", alerts, "app", 200, query=f"?account={expiring}")
    ask("PUT", "/api/accounts/{account}/members/{member}", "app", 200, account=account, member="a",
        json={"limitMicros": 1_000_000})
    ask("PUT", "/api/credits/settings", "app", 200, query=query, json={"monthlyLimitMicros": None})
    o.fund(account, 7_500_000 - o.balance(account)[0])
    ask("POST", "/api/guard/charge", "guard", 200, json={"account": account, "member": "a", "action": "debrief"})
    page = ask("GET", alerts, "app", 200, query=query + "&limit=1").json
    assert page["items"][0]["kind"] == "balance_low", page
    rest = ask("GET", alerts, "app", 200, query=query + f"&limit=100&cursor={page['nextCursor']}").json
    assert rest["nextCursor"] is None and ("limit_reached", "a") in {
        (item["kind"], item.get("member")) for item in rest["items"]}
    ask("PUT", alerts, token, 403, json={"thresholdsMicros": None})
    ask("GET", alerts, token, 403)
    ask("GET", alerts, "report", 404, query="?account=" + guard.request_id("nobody"))


def ask_workspaces(ask, o):
    """Members that plans, members, limits and statements add to answers."""
    plans.add(o, "contract", pool_micros=9_000_000, seats_to=2)
    plans.add(o, "lesser", pool_micros=1_000_000)
    plans.add(o, "of money", unit=0, pool_micros=1)
    account = o.account(unit="credit", funds_micros=FUNDS)
    at, members, member = "/api/accounts/{account}", "/api/accounts/{account}/members", "/api/accounts/{account}/members/{member}"
    credits, settings = "/api/credits", "/api/credits/settings"
    ask("PUT", at, "app", 422, account=account, json={"plan": "unheard-of"})
    ask("PUT", at, "app", 409, account=account, json={"plan": "of money"})
    ask("PUT", at, "app", 200, account=account, json={"plan": "contract", "timeZone": "Europe/Paris", "dailyLimitMicros": 8_000_000})
    assert ask("PUT", at, "app", 200, account=account, json={"plan": "lesser"}).json["nextPlan"] == "lesser"
    for name, limit in (("a", 1_000_000), ("b", None)):
        ask("PUT", member, "app", 200, account=account, member=name, json={"limitMicros": limit})
    ask("PUT", member, "app", 409, account=account, member="c", json={})
    ask("PUT", member, "app", 200, account=account, member="c", json={"role": "manager"})
    ask("DELETE", member, "app", 200, account=account, member="b")
    assert ask("GET", member, "app", 200, account=account, member="b").json["removedAt"]
    ask("GET", member, "app", 404, account=account, member="z")
    assert ask("GET", members, "app", 200, query="?limit=2", account=account).json["nextCursor"] == "b"
    assert ask("GET", members, "report", 200, account=account).json["nextCursor"] is None
    ask("GET", members, "app", 404, account=guard.request_id("nobody"))
    charge = {"account": account, "member": "a", "action": "debrief", "quantity": 2}
    assert ask("POST", "/api/guard/charge", "guard", 402, json=charge).json["limit"]["member"] == "a"
    ask("PUT", settings, "app", 200, query=f"?account={account}", json={"monthlyLimitMicros": 5, "members": {
        "a": {"limitMicros": None}, "z": {"limitMicros": 5}}})
    assert ask("GET", settings, "app", 200, query=f"?account={account}&limit=1").json["nextCursor"] == "a"
    ask("GET", settings, "report", 404, query="?account=" + guard.request_id("nobody"))
    token = o.post("/api/tokens", {"account": account, "member": "a"}, key="app").json["token"]
    assert ask("GET", credits, token, 200).json["member"]["member"] == "a"
    ask("PUT", settings, token, 403, json={})
    ask_alerts(ask, o, account, token)
    owing = o.account(mode="postpaid", status="suspended")
    ask("GET", credits, "app", 200, query=f"?account={owing}")
    where = f"WHERE account_id = {guard.key_of(owing)}"
    o.sql(f"UPDATE workspaces SET past_due_at_us = 1, suspend_at_us = 4102444800000000 {where}")
    for path, query in ((credits, f"?account={owing}"), (at, "")):
        assert ask("GET", path, "app", 200, query=query, account=owing).json["statement"]["suspendsAt"]
    o.sql(f"UPDATE workspaces SET past_due_at_us = 0, suspend_at_us = 0 {where}")


def ask_insight(ask, o):
    """Diagnosis, comparison and reports, of accounts that the others have left."""
    diagnosis, compare, members = "/api/credits/diagnosis", "/api/credits/compare", "/api/admin/reports/members"

    def account_where(condition):
        return o.sql(f"SELECT external_id FROM accounts WHERE id IN (SELECT account_id FROM {condition}) LIMIT 1")[0][0]

    paid, planned = account_where("transactions WHERE type = 9"), account_where("workspaces WHERE plan = 'contract'")
    used, poor = o.account(funds_micros=FUNDS), o.account()
    guard.charge(o, used, "debrief")
    guard.settle(o, guard.hold(o, used, member="user:1"), inputTokens=5, outputTokens=5)
    plans.add(o, "titled", title="A title", pool_micros=1)
    acted = o.account(funds_micros=FUNDS)
    guard.charge(o, acted, "debrief")
    for account in (paid, planned, used, acted, poor):
        ask("GET", diagnosis, "app", 200, query=f"?account={account}")
    ask("GET", diagnosis, "report", 404, query="?account=" + guard.request_id("nobody"))
    ask("GET", compare, "report", 200, query=f"?account={used}&models=gpt-4o,gpt-3.5-turbo")
    ask("GET", compare, "report", 422, query=f"?account={used}&models=unheard-of")
    ask("GET", "/api/admin/reports/capacity", "report", 200)
    guard.charge(o, planned, "debrief", member="a")
    for account in (used, planned):
        ask("GET", members, "report", 200, query=f"?account={account}")
    ask("GET", members, "report", 404, query="?account=" + guard.request_id("nobody"))
    for by in ("plan", "workspace", "model", "day"):
        ask("GET", "/api/admin/reports/margin", "report", 200, query=f"?by={by}")


def ask_operator(ask, o):
    """Pages of an operator, about what the others have left."""
    at, nobody = "/api/admin/accounts/{account}", guard.request_id("nobody")
    transactions, diagnosis = "/api/admin/accounts/{account}/transactions", "/api/admin/accounts/{account}/diagnosis"
    usages, usage = "/api/admin/accounts/{account}/usages", "/api/admin/accounts/{account}/usages/{id}"
    account = o.account("ws:operator", funds_micros=FUNDS)
    o.call("PUT", "/api/accounts/" + account, json={"email": "eve@example.com", "name": "Eve"})
    me = guard.key_of(account)
    guard.hold(o, account, member="user:1")
    o.post("/api/guard/authorize", {"account": account, "action": "debrief"})
    guard.charge(o, account, "debrief")
    o.sql(f"INSERT INTO topups (account_id, seq, state, amount_minor, currency, created_at_us)"
          f" SELECT {me}, seq, seq - 1, 500, 'eur', 1000 FROM seq_1_to_5;"
          f"INSERT INTO statements (account_id, seq, state, amount_minor, currency, failures, failure, invoice_url,"
          f" created_at_us) VALUES ({me}, 1, 2, 700, 'eur', 1, 'card_declined', 'https://pay.example/1', 1000);"
          f"INSERT INTO alerts (account_id, seq, kind, threshold_micros, arming, limit_kind, member, balance_micros, created_at_us)"
          f" VALUES ({me}, 1, 3, 5, 1, 3, 'user:1', 1, 1000);"
          f"INSERT INTO operator_alerts (kind, subject, arming, detail, created_at_us) VALUES (2, 'openai', 1, 'healthy -> permission', 1000);"
          f"INSERT INTO outbox (account_id, seq, kind, subject_seq, state, attempts, error, created_at_us)"
          f" VALUES ({me}, 1, 0, 1, 2, 3, 'card_declined', 1000);"
          f"INSERT INTO webhook_events (event_key, account_id, provider, event_id, type, subject, state, note, body, created_at_us,"
          f" received_at_us) VALUES ('{'e' * 16}', {me}, 0, 'evt_parked', 'charge.refunded', '', 2, 'unknown', '', 1, 1000)")
    o.sql(f"INSERT INTO price_versions SELECT MAX(id) + 1, 1, 1050000, 1080000, 10000, 'a note', 1000 FROM price_versions")
    ask("GET", "/api/credits/grants", "app", 200, query=f"?account={account}")
    ask("GET", "/api/credits/grants", "report", 404, query="?account=" + nobody)
    assert ask("GET", "/api/admin/accounts", "report", 200, query="?limit=1").json["nextCursor"]
    for query in ("?match=ws:operator", "?match=eve@example", "?match=Eve"):
        assert [item["account"] for item in ask("GET", "/api/admin/accounts", "report", 200, query=query).json["items"]] == [account]
    for query in ("?state=suspended", "?limit=200"):
        ask("GET", "/api/admin/accounts", "report", 200, query=query)
    ask("GET", at, "report", 200, account=account)
    ask("GET", at, "report", 404, account=nobody)
    ask("GET", diagnosis, "report", 200, account=account)
    ask("GET", diagnosis, "report", 404, account=nobody)
    ask("GET", transactions, "report", 200, account=account)
    [used] = ask("GET", usages, "report", 200, account=account).json["items"]
    ask("GET", usage, "report", 200, account=account, usage=used["id"])
    ask("GET", usage, "report", 404, account=account)
    ask("GET", at, "report", 400, account="a b")
    for path in ("/api/admin/charges", "/api/admin/outbox", "/api/admin/events", "/api/admin/alerts", "/api/admin/operator-alerts", "/api/admin/prices",
                 "/api/admin/reports/accounts", "/api/admin/reports/holds", "/api/admin/reports/settlements"):
        assert ask("GET", path, "report", 200).json["items"], path
    for path in ("/api/admin/charges", "/api/admin/outbox", "/api/admin/events", "/api/admin/alerts",
                 "/api/admin/operator-alerts", "/api/admin/prices"):
        ask("GET", path, "report", 400, query="?limit=0")
    ask("GET", "/api/admin/reports/settlements", "report", 400, query="?from=x")
    for table in ("topups", "statements", "alerts", "outbox", "webhook_events"):  # which no command made
        o.sql(f"DELETE FROM {table} WHERE account_id = {me}")


def ask_others(ask, o):
    o.ctl("price", "set", "--action", "transcript", "2.5")
    wait_until(lambda: o.get("/api/pricing", key=None).json["actions"], 10, "the new price")
    ask("GET", "/api/pricing", None, 200)
    assert ask("GET", "/api/pricing", None, 200, query="?limit=1").json["nextCursor"]
    ask("POST", "/api/pricing/estimate", None, 200, json={"model": "gpt-4o"})
    ask("POST", "/api/pricing/estimate", None, 200, json={"action": "transcript", "quantity": 2, "unit": "credit"})
    ask("POST", "/api/pricing/estimate", None, 422, json={"model": "unheard-of"})
    for path in ("/healthz", "/readyz", "/api/openapi.json"):
        ask("GET", path, None, 200)
    for path in ("/api/pricing", "/api/openapi.json"):
        ask("GET", path, None, 304, headers={"If-None-Match": ask("GET", path, None, 200).headers["etag"]})
    ask("GET", "/metrics", "report", 200)
    ask("GET", "/api/admin/providers", "report", 200)


def ask_what_any_request_can_be(ask, o):
    """400, 401, 403, 413 and 415, wherever they can be."""
    for method, path, operation in ask.contract.operations():
        scopes = {role for entry in operation["security"] for roles in entry.values() for role in roles}
        key = sorted(scopes)[0] if scopes else None
        wrong = next((s for s in ("report", "guard", "app") if s not in scopes), None)
        if "400" in operation["responses"]:
            ask(method, path, key, 400, query="?%zz")
        if "401" in operation["responses"]:
            ask(method, path, None, 401, json={} if "requestBody" in operation else None)
            ask(method, path, NOBODY, 401, query="?account=a")
        if "403" in operation["responses"]:
            ask(method, path, wrong, 403, query="?account=a")
        if "requestBody" in operation:
            about = "?account=a" if operation["operationId"] not in signed() else ""
            ask(method, path, key, 413, about, body="{" + " " * (128 * 1024) + "}",
                headers={"Content-Type": "application/json"})
            if "415" in operation["responses"]:
                ask(method, path, key, 415, about, body="{}", headers={"Content-Type": "text/plain"})
            ask(method, path, key, 400, about, body="{", headers={"Content-Type": "application/json"})
            ask(method, path, key, 400, about, json=[])


def ask_with_other_settings(ask, o):
    """Answers that the usual settings do not give."""
    o.kill("octroi")
    o.start(action_price="0", holds_max="1", token_secret="")
    account = o.account(funds_micros=FUNDS)
    body = {"account": account, "model": "gpt-4o"}
    ask("POST", "/api/guard/authorize", "guard", 200, json=body)
    ask("POST", "/api/guard/authorize", "guard", 429, json=body)
    ask("POST", "/api/guard/charge", "guard", 422, json={"account": account, "action": "debrief"})
    ask("POST", "/api/tokens", "app", 404, json={"account": account})


def ask_without_a_database(ask, o):
    o.kill("db")
    unseen = "oct_admin_" + "1" * 43  # what octroi has seen, it believes a while longer
    wait_until(lambda: o.get("/metrics", key=unseen).status == 503, what="no answer about an unknown key")
    for method, path, operation in ask.contract.operations():
        if "503" not in operation["responses"]:
            continue
        scopes = {role for entry in operation["security"] for roles in entry.values() for role in roles}
        handler = operation["operationId"]
        if handler in signed():
            continue
        sample = bodies(Unasked(), "a").get(handler)
        ask(method, path, unseen if scopes else None, 503, query="?account=a",
            json=sample[3]() if sample else None)
    body = clerk.event(clerk.person())
    ask("POST", "/api/webhooks/clerk", None, 503, body=body, headers=clerk.signed_headers(CLERK_WEBHOOK_SECRET, body))
    body = json.dumps({"id": "evt_down", "object": "event", "type": "charge.updated", "created": int(time.time()),
                       "livemode": False, "data": {"object": {"id": "ch_1", "object": "charge"}}}).encode()
    ask("POST", "/api/webhooks/stripe", None, 503, body=body, headers=stripe_headers(body))


# Where a request has to find a place before it is served (routes.def), and what takes the places while the database does
# not answer: path, which of the accounts.
CROWDS = {"READ": ("GET", "/api/credits/transactions?account={}", [0] * 12),
          "SPAN": ("GET", "/api/credits/summary?account={}", range(8)),
          "REPORT": ("GET", "/api/admin/reports/capacity", range(4)),
          "SLOW": ("POST", "/api/credits/topup?account={}", [0] * 4)}


def ask_when_it_is_too_much(contract, stripe):
    """Of each route that says so: all places are taken, and nobody is asked to wait for one."""
    with Octroi("nginx", settings=stripe.settings(threads="48")) as o:
        ask = Asker(o, contract)
        accounts = [o.account(name) for name in ["a"] + [f"crowd{i}" for i in range(9)]]
        refused = [(method, path, operation) for method, path, operation in contract.operations()
                   if "429" in operation["responses"] and not path.startswith("/api/guard") and "redeem" not in path]
        for scope in ("app", "report", "admin"):
            o.get("/metrics", key=scope)
        session = rowlock.Session(o)
        assert session.ask("LOCK TABLES accounts WRITE; SELECT 'held';") == "held"
        with concurrent.futures.ThreadPoolExecutor(80) as pool:
            try:
                crowds = {name: [pool.submit(o.call, method, path.format(accounts[i % len(accounts)]), key="admin", timeout=60,
                                             json={"amount": 2000} if method == "POST" else None) for i in which]
                          for name, (method, path, which) in CROWDS.items()}
                for name, crowd in crowds.items():
                    wait_until(lambda: any(one.done() and one.result().status == 429 for one in crowd), 8, f"a crowd of {name}")
                asked = [pool.submit(ask, method, path, "admin", 429, query="?account=a", account="a",
                                     json=bodies(Unasked(), "a")[operation["operationId"]][3]()
                                     if operation["operationId"] in bodies(Unasked(), "a") else None)
                         for method, path, operation in refused]
                answers = [one.result() for one in asked]
            finally:
                session.close()
        assert len(answers) >= 12
        assert {answer.json["error"] for answer in answers} == {"RATE_LIMITED"}


class Unasked:
    """Stands in for an octroi where a body must name some hold."""

    def post(self, path, json):
        return type("Answer", (), {"status": 200, "json": {"hold": guard.public_id("a", 1)}})


def promised(contract):
    """Every field of an answer that the document promises: (pointer of the record, member)."""
    fields = set()
    for pointer, schema in contract.records():
        name = pointer.split("/")[3]
        if pointer.startswith("#/components/schemas/") and name not in REQUESTS:
            fields |= {(pointer, member) for member in schema["properties"]}
    return fields


REQUESTS = {"Authorize", "Settlement", "Settle", "Settlements", "Release", "Extend", "Charge", "EstimateOf",
            "AccountChange", "MemberChange", "SettingsChange", "AlertsChange", "RechargeChange", "TransactionByHand", "TokenFor", "TopUpOf", "Nothing", "ClaimOf", "RedeemOf",
            "StripeEvent", "ClerkEvent", "CountsOf", "CountsUsed"}


def test_every_status_and_every_field_is_answered_as_promised():
    contract = contract_of_source()
    with FakeStripe() as stripe, \
            Octroi("nginx", settings={**SETTINGS, **stripe.settings(), "referral_amount": "5", "topup_bonus": "700:5%", "outage_grace": "1",
                                      "plan_prices": "price_1=pro",
                                      "stripe_webhook_secret": f"{stripe.webhook_secret} {STRIPE_WEBHOOK_SECRET}"},
                   audit=False) as o:
        stripe.webhook_url = o.url + "/api/webhooks/stripe"
        ask = Asker(o, contract)
        ask_guard(ask, o)
        ask_credits(ask, o)
        ask_bonuses(ask, o)
        ask_payments(ask, o, stripe)
        ask_pay(ask, o, stripe)
        ask_recharge(ask, o, stripe)
        ask_accounts(ask, o)
        ask_workspaces(ask, o)
        ask_operator(ask, o)
        ask_insight(ask, o)
        ask_others(ask, o)
        ask_what_any_request_can_be(ask, o)
        ask_with_other_settings(ask, o)
        o.audit()
        ask_without_a_database(ask, o)
        ask_when_it_is_too_much(contract, stripe)
    documented = {(method, path, int(status)) for method, path, operation in contract.operations()
                  for status in operation["responses"]}
    assert documented - contract.answered == set()
    assert promised(contract) - contract.shown == set()


@pytest.mark.parametrize("path, others", [("/healthz", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"]),
                                          ("/api/guard/authorize", ["GET", "PUT", "DELETE", "HEAD"]),
                                          ("/api/accounts/a", ["POST", "DELETE", "PATCH"])])
def test_other_methods(server, path, others):
    contract = contract_of_source()
    for method in others:
        answer = server.call(method, path, key=None)
        assert answer.status == 405, (method, answer)
        assert answer.headers["allow"]
        if method != "HEAD":
            contract.keep(answer, contract.document["components"]["responses"]["MethodNotAllowed"],
                          "#/components/responses/MethodNotAllowed")


def test_other_paths(server):
    contract = contract_of_source()
    for path in ("/api/", "/api/guard", "/api/guard/authorize/", "/api/credits/none", "/api/accounts/a/b", "/api/Pricing"):
        answer = server.get(path, key=None)
        assert answer.status == 404, answer
        contract.keep(answer, contract.document["components"]["responses"]["NotFound"], "#/components/responses/NotFound")


def test_head_is_get_without_the_body(server):
    for path in ("/healthz", "/api/pricing", "/api/openapi.json"):
        answer = server.call("HEAD", path, key=None)
        assert (answer.status, answer.body) == (200, b""), answer

"""Top-ups: from the browser's click to the credits, and what happens when Stripe does not play along.

Stripe is played by tests/fake_stripe.py, which refuses what Stripe refuses; tests/peers hold it and octroi
against Stripe's own SDK and description.
"""

import base64
import concurrent.futures
import hashlib
import http.client
import json
import pathlib
import re
import sys
import threading
import time
import urllib.parse

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from conftest import TOKEN_SECRET  # noqa: E402
from fake_stripe import FakeStripe  # noqa: E402
from guard import authorize, request_id  # noqa: E402
from octroi import Octroi, wait_until  # noqa: E402

EURO = 1_000_000


@pytest.fixture(scope="module")
def stripe():
    with FakeStripe() as fake:
        yield fake


@pytest.fixture(autouse=True)
def calm(stripe):
    yield
    stripe.calm()


def shop_behind(server, stripe, **settings):
    o = Octroi(server, settings=stripe.settings(token_secret=TOKEN_SECRET, **settings))
    stripe.webhook_url = o.url + "/api/webhooks/stripe"
    return o


@pytest.fixture
def own_stripe():
    """For an octroi of one's own."""
    with FakeStripe() as fake:
        yield fake


@pytest.fixture(scope="module")
def shop(stripe):
    with shop_behind("nginx", stripe, orders_open_max="100") as o:
        yield o


def token(o, account, **more):
    made = o.post("/api/tokens", {"account": account, **more}, key="app")
    assert made.status == 200, made
    return made.json["token"]


def topup(o, account, amount=2000, **more):
    body = {"amount": amount}
    if "requestId" in more:
        body["requestId"] = more.pop("requestId")
    return o.post(f"/api/credits/topup?account={account}", body, **more)


def asked(stripe, path, since=0):
    return [r for r in stripe.requests[since:] if re.fullmatch(path, r["path"])]


# -- the whole story --------------------------------------------------------------------------------


@pytest.mark.parametrize("server", ["nginx", "apache", "apache-fcgid"])
def test_from_the_browser_to_the_credits(server, own_stripe):
    """Browser → top-up → Checkout → webhook → GET /api/credits shows it."""
    stripe = own_stripe
    with shop_behind(server, stripe) as o:
        account = o.account(email="anna@example.org")
        assert o.call("PUT", f"/api/accounts/{account}", json={"name": "Anna"}).status == 200
        browser = token(o, account)
        opened = o.call("POST", "/api/credits/topup", json={"amount": 2500}, key=browser, public=True)
        assert opened.status == 200 and set(opened.json) == {"url", "topup"}, opened
        # The customer pays on Stripe's page and is led back; Stripe tells octroi.
        page = urllib.parse.urlsplit(opened.json["url"])
        assert f"{page.scheme}://{page.netloc}" == stripe.url
        connection = http.client.HTTPConnection(page.hostname, page.port, timeout=30)
        connection.request("POST", page.path)
        back = connection.getresponse()
        assert (back.status, back.getheader("Location")) == (303, "https://app.example/billing?topup=success")
        connection.close()

        def shown():
            seen = o.call("GET", "/api/credits", key=browser, public=True)
            assert seen.status == 200, seen
            return seen.json if seen.json["balanceMicros"] > 0 else None
        seen = wait_until(shown, 30, "the credits")
        assert (seen["balance"], seen["balanceMicros"]) == (2500, 25 * EURO)
        [transaction] = seen["transactions"]
        assert (transaction["type"], transaction["amount"]) == ("TOP_UP", 2500)
        assert transaction["stripeSessionId"] == stripe.session_of(opened.json["url"])
        customer = stripe.objects["customer"][stripe.get("checkout.session", transaction["stripeSessionId"])["customer"]]
        assert (customer["email"], customer["name"], customer["metadata"]["user_id"]) == (
            "anna@example.org", "Anna", account)
        stripe.deliver()


def test_what_stripe_is_asked(shop, stripe):
    account = shop.account()
    since = len(stripe.requests)
    opened = topup(shop, account, 1234)
    session = stripe.get("checkout.session", stripe.session_of(opened.json["url"]))
    [customer] = asked(stripe, "/v1/customers", since)
    assert customer["params"] == {"metadata": {"user_id": account}}
    [request] = asked(stripe, "/v1/checkout/sessions", since)
    order = opened.json["topup"]
    assert request["params"] == {
        "mode": "payment", "customer": session["customer"], "client_reference_id": order,
        "success_url": "https://app.example/billing?topup=success",
        "cancel_url": "https://app.example/billing?topup=canceled",
        "line_items": [{"quantity": "1", "price_data": {
            "currency": "eur", "unit_amount": "1234", "product_data": {"name": "Credits"}}}],
        "metadata": {"user_id": account, "topup_id": order},
        "payment_intent_data": {"metadata": {"user_id": account, "topup_id": order}},
        "invoice_creation": {"enabled": "true", "invoice_data": {"metadata": {"topup_id": order}}}}
    for sent in stripe.requests[since:]:
        assert sent["headers"]["stripe-version"] == "2026-07-29.dahlia"
        assert sent["headers"]["authorization"] == "Bearer " + stripe.key
    keys = [sent["headers"]["idempotency-key"] for sent in stripe.requests[since:]]
    assert len(set(keys)) == len(keys) and all(len(key) > 30 for key in keys)
    # Both ids were in the database before: the order's row and the account's have them.
    assert (keys[0],) in shop.sql("SELECT customer_key FROM billing")
    derived = {"octroi-" + base64.urlsafe_b64encode(hashlib.sha256(f"{key} {session['customer']}".encode()).digest()[:24])
               .decode() for key, in shop.sql("SELECT session_key FROM topups")}
    assert request["headers"]["idempotency-key"] in derived
    assert stripe.key not in shop.log() and all(key not in shop.log() for key in keys)


def test_the_second_topup_finds_the_customer(shop, stripe):
    account = shop.account()
    assert topup(shop, account).status == 200
    since = len(stripe.requests)
    assert topup(shop, account).status == 200
    assert [r["path"] for r in stripe.requests[since:]] == ["/v1/checkout/sessions"]


def test_a_credit_account_gets_credits(shop, stripe):
    account = shop.account(unit="credit")
    stripe.pay(stripe.session_of(topup(shop, account, 2000).json["url"]))
    stripe.deliver()
    assert shop.balance(account)[0] == 2000 * EURO  # at 0.01 € each


# -- what may be asked -----------------------------------------------------------------------------


@pytest.mark.parametrize("amount, language, message", [
    (499, None, "Minimum top-up is 5€"), (0, None, "Minimum top-up is 5€"), (-500, None, "Minimum top-up is 5€"),
    (100_001, None, "Maximum top-up is 1000€"), (2**63 - 1, None, "Maximum top-up is 1000€"),
    (499, "fr", "Le montant minimum d'une recharge est de 5 €"),
    (100_001, "fr", "Le montant maximum d'une recharge est de 1000 €"),
])
def test_limits(shop, stripe, amount, language, message):
    since = len(stripe.requests)
    refused = topup(shop, shop.account(), amount, headers={"Accept-Language": language} if language else {})
    assert (refused.status, refused.json["error"], refused.json["field"], refused.json["message"]) == (
        400, "INVALID_REQUEST", "amount", message)
    assert len(stripe.requests) == since


def test_the_limits_themselves_pass(shop):
    assert topup(shop, shop.account(), 500).status == 200
    assert topup(shop, shop.account(), 100_000).status == 200


@pytest.mark.parametrize("body", [
    '{}', '{"amount":"500"}', '{"amount":500.0}', '{"amount":5e2}', '{"amount":null}', '{"amount":true}',
    '{"amount":9223372036854775808}', '{"amount":500,"amount":600}', '{"amount":500,"success_url":"https://evil.example"}',
    '{"amount":500,"requestId":""}', '[500]', '', '{"amount":500}x'])
def test_what_is_no_amount(shop, stripe, body):
    since = len(stripe.requests)
    refused = shop.call("POST", f"/api/credits/topup?account={shop.account()}", body=body,
                        headers={"Content-Type": "application/json"})
    assert (refused.status, refused.json["error"]) == (400, "INVALID_REQUEST"), refused
    assert len(stripe.requests) == since


def test_only_for_ones_own_account(shop):
    browser = token(shop, shop.account())
    foreign = shop.account()
    for path in ("/api/credits/topup", "/api/credits/portal"):
        assert shop.post(f"{path}?account={foreign}", {"amount": 500} if "topup" in path else {}, key=browser).status == 403
        assert shop.post(f"{path}?account={foreign}", {}, key="report").status == 403
        assert shop.post(f"{path}?account={foreign}", {}, key="guard").status == 403
        assert shop.post(path, {}, key=None).status == 401
    assert shop.get(f"/api/credits/invoices?account={foreign}", key=browser).status == 403


# -- once ------------------------------------------------------------------------------------------


def test_the_same_request_id_finds_the_same_session(shop, stripe):
    account, id = shop.account(), request_id("top")
    first, again = topup(shop, account, requestId=id), topup(shop, account, headers={"Idempotency-Key": id})
    assert (first.status, first.json) == (200, again.json)
    assert topup(shop, account, 2001, requestId=id).json["error"] == "CONFLICT"
    assert len([s for s in stripe.sessions() if s["metadata"]["user_id"] == account]) == 1
    stripe.pay(stripe.session_of(first.json["url"]))
    ended = topup(shop, account, requestId=id)
    assert (ended.status, ended.json["error"]) == (409, "CONFLICT")
    stripe.deliver()
    ended = topup(shop, account, requestId=id)
    assert (ended.status, ended.json["message"]) == (409, "This top-up has ended; ask for a new one.")
    assert shop.balance(account)[0] == 20 * EURO


def test_fifty_first_topups_at_once_make_one_customer(shop, stripe):
    account = shop.account(email="crowd@example.org")
    rule = stripe.trouble("/v1/customers", delay=0.3, times=20)
    since = len(stripe.requests)
    ids = [request_id("crowd") for _ in range(50)]

    def until_served(id):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            answer = topup(shop, account, requestId=id)
            if answer.status == 200:
                return answer
            assert answer.status in (429, 503) and answer.headers["retry-after"] == "1", answer  # its share is taken
            time.sleep(0.05)
        raise AssertionError(answer)
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(until_served, ids))
    assert rule.seen > 1, "nothing was parallel"
    customers = [c for c in stripe.objects["customer"].values() if c["metadata"]["user_id"] == account]
    assert len(customers) == 1 and customers[0]["email"] == "crowd@example.org"
    assert len({r["headers"]["idempotency-key"] for r in asked(stripe, "/v1/customers", since)}) == 1
    assert len({answer.json["url"] for answer in answers}) == len({answer.json["topup"] for answer in answers}) == 50
    assert len([s for s in stripe.sessions() if s["customer"] == customers[0]["id"]]) == 50


def test_a_customer_that_stripe_does_not_know_any_more(shop, stripe):
    """Deleted there, or of the test mode: another one, again only one however many ask."""
    account = shop.account(email="again@example.org")
    first = stripe.session_of(topup(shop, account).json["url"])
    gone = stripe.get("checkout.session", first)["customer"]
    del stripe.objects["customer"][gone]
    ids = [request_id("gone") for _ in range(8)]

    def until_served(id):
        return wait_until(lambda: (lambda a: a if a.status == 200 else None)(topup(shop, account, requestId=id)), 30)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(until_served, ids))
    [customer] = [c for c in stripe.objects["customer"].values() if c["metadata"]["user_id"] == account]
    assert customer["id"] != gone and customer["email"] == "again@example.org"
    for answer in answers:
        session = stripe.get("checkout.session", stripe.session_of(answer.json["url"]))
        assert session["customer"] == customer["id"]
        stripe.pay(session["id"])
    stripe.deliver()
    assert shop.balance(account)[0] == 8 * 20 * EURO
    assert shop.post(f"/api/credits/portal?account={account}", {}).status == 200
    # A session that is gone has ended.
    id = request_id("gone")
    del stripe.objects["checkout.session"][stripe.session_of(topup(shop, account, requestId=id).json["url"])]
    assert topup(shop, account, requestId=id).status == 409


def test_an_order_without_a_session_is_not_taken_up_after_a_day(shop, stripe):
    account, id = shop.account(), request_id("old")
    stripe.trouble("/v1/checkout/sessions", status=500)
    assert topup(shop, account, requestId=id).status == 503
    stripe.calm()
    shop.sql("UPDATE topups t JOIN accounts a ON a.id = t.account_id JOIN billing b ON b.account_id = t.account_id SET "
             f"t.created_at_us = t.created_at_us - 86400000000, b.open_orders = '' WHERE a.external_id = '{account}'")
    assert topup(shop, account, requestId=id).status == 409
    assert [s for s in stripe.sessions() if s["metadata"]["user_id"] == account] == []


# -- Stripe in trouble -------------------------------------------------------------------------------


TROUBLES = {
    "down": {"drop": True},
    "failing": {"status": 500},
    "limiting": {"status": 429, "error": {"type": "invalid_request_error", "code": "rate_limit"}},
    "refusing": {"status": 400, "error": {"type": "invalid_request_error", "param": "line_items"}},
    "not letting in": {"status": 401, "error": {"type": "invalid_request_error", "message": "Invalid API Key: sk_x"}},
    "busy with it": {"status": 409, "error": {"type": "idempotency_error", "code": "idempotency_key_in_use"}},
    "hanging": {"hang": True},
    "redirecting": {"status": 302, "headers": {"Location": "http://127.0.0.1:1/"}},
    "answering without a body": {"status": 204},
}


@pytest.mark.parametrize("path", ["/v1/customers", "/v1/checkout/sessions"])
@pytest.mark.parametrize("name", TROUBLES)
def test_stripe_in_trouble(shop, stripe, name, path):
    """A clear answer in bounded time; the same request goes on once Stripe is well."""
    account, id = shop.account(), request_id("trouble")
    rule = stripe.trouble(path, **TROUBLES[name])
    began = time.monotonic()
    refused = topup(shop, account, requestId=id)
    assert time.monotonic() - began < 10.5
    assert (refused.status, refused.json["error"]) == (503, "UNAVAILABLE"), refused
    assert refused.headers["retry-after"] == "1" and "Nothing was charged" in refused.json["message"]
    assert stripe.key not in refused.text and "sk_x" not in refused.text + shop.log()
    retried = name not in ("limiting", "refusing", "not letting in", "redirecting")
    assert (rule.seen > 1) == retried, rule.seen
    assert rule.seen <= 3
    keys = {r["headers"]["idempotency-key"] for r in asked(stripe, path)[-rule.seen:]}
    assert len(keys) == 1, "a repeat had another key"
    stripe.calm()
    served = topup(shop, account, requestId=id)
    assert served.status == 200, served
    assert asked(stripe, path)[-1]["headers"]["idempotency-key"] in keys
    assert len([s for s in stripe.sessions() if s["metadata"]["user_id"] == account]) == 1
    assert len([c for c in stripe.objects["customer"].values() if c["metadata"]["user_id"] == account]) == 1


def test_one_failure_is_not_seen(shop, stripe):
    for what in ({"status": 500}, {"drop": True}, {"status": 409}):
        rule = stripe.trouble("/v1/checkout/sessions", times=1, **what)
        assert topup(shop, shop.account()).status == 200
        assert rule.seen == 1


@pytest.mark.parametrize("status, told, attempts", [(500, "false", 1), (400, "true", 3), (429, "true", 3), (429, None, 1)])
def test_stripe_should_retry(shop, stripe, status, told, attempts):
    rule = stripe.trouble("/v1/checkout/sessions", status=status, headers={"Stripe-Should-Retry": told} if told else {})
    assert topup(shop, shop.account()).status == 503
    assert rule.seen == attempts


def test_an_answer_that_was_lost(shop, stripe):
    """The session was made, the answer did not come: the repeat within the call gets the same one."""
    account = shop.account()
    assert topup(shop, account).status == 200
    stop = stripe.stop_at("/v1/checkout/sessions", "after")
    answers = []
    worker = threading.Thread(target=lambda: answers.append(topup(shop, account)))
    worker.start()
    stop.wait_reached()  # and never answers; octroi asks again
    worker.join(15)
    stop.release()
    assert answers[0].status == 200, answers
    assert len([s for s in stripe.sessions() if s["metadata"]["user_id"] == account]) == 2


def test_a_customer_without_e_mail_for_a_while(shop, stripe):
    """Naming the customer is no condition."""
    stripe.trouble(r"/v1/customers/\w+", status=500)
    assert topup(shop, shop.account(email="x@example.org")).status == 200


def test_the_guard_does_not_wait_for_stripe(own_stripe):
    """Stripe hangs on every place of the slow routes: the guard is answered, all the while."""
    stripe = own_stripe
    with shop_behind("nginx", stripe, slow_max="8", request_timeout_ms="40000", stripe_timeout_ms="30000",
                     threads="16") as o:
        account = o.account(funds_micros=1000 * EURO)
        rule = stripe.trouble("/v1/checkout/sessions", hang=True)
        threads = [threading.Thread(target=topup, args=(o, f"hung:{i}"), kwargs={"timeout": 60}) for i in range(8)]
        for thread in threads:
            thread.start()
        wait_until(lambda: rule.seen >= 8, 20, "eight hanging requests")
        # No place is left: the next one is told so, on every slow route.
        full = [topup(o, "full:1"), o.post("/api/credits/portal?account=full:1", {}),
                o.get("/api/credits/invoices?account=full:1")]
        assert [answer.status for answer in full] == [429] * 3, full
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(lambda _: authorize(o, account, maxOutputTokens=10).status, range(400)))
        assert set(answers) == {200}
        assert all(thread.is_alive() for thread in threads)
        # Those that hang end in bounded time.
        stripe.calm()
        wait_until(lambda: topup(o, "full:1").status == 200, 45, "a free place")
        for thread in threads:
            thread.join(45)
        assert not any(thread.is_alive() for thread in threads)


# -- configuration -----------------------------------------------------------------------------------


def test_without_a_secret_key(nginx):
    refused = [topup(nginx, "nobody"), nginx.post("/api/credits/portal?account=nobody", {}),
               nginx.get("/api/credits/invoices?account=nobody")]
    for answer in refused:
        assert (answer.status, answer.json["message"]) == (503, "Payments are not set up on this server."), answer
    assert nginx.sql("SELECT COUNT(*) FROM topups") == [("0",)]


def test_other_limits_pages_and_money(own_stripe):
    stripe = own_stripe
    with shop_behind("nginx", stripe, topup_min="1000", topup_max="5050", currency="JPY", topup_product="Crédits IA",
                     topup_success_url="https://shop.example/ok?s={CHECKOUT_SESSION_ID}",
                     topup_url="https://shop.example/pay?lang=fr") as o:
        account = o.account()
        assert topup(o, account, 999).json["message"] == "Minimum top-up is 10 JPY"
        assert topup(o, account, 5051).json["message"] == "Maximum top-up is 50.5 JPY"
        odd = topup(o, account, 1050)
        assert (odd.status, odd.json["field"]) == (400, "amount")
        stripe.trouble("/v1/checkout/sessions", status=400)  # the fake's minimum is of euros
        assert topup(o, account, 5000).status == 503
        sent = asked(stripe, "/v1/checkout/sessions")[-1]["pairs"]
        assert dict(sent)["line_items[0][price_data][unit_amount]"] == "50"
        assert dict(sent)["line_items[0][price_data][product_data][name]"] == "Crédits IA"
        assert dict(sent)["success_url"] == "https://shop.example/ok?s={CHECKOUT_SESSION_ID}"
        assert dict(sent)["cancel_url"] == "https://shop.example/pay?lang=fr&topup=canceled"


# -- portal and invoices ------------------------------------------------------------------------------


def test_portal(shop, stripe):
    account = shop.account()
    none = shop.post(f"/api/credits/portal?account={account}", {})
    assert (none.status, none.json["error"]) == (404, "NOT_FOUND")
    assert topup(shop, account).status == 200
    opened = shop.post("/api/credits/portal", {}, key=token(shop, account))
    assert opened.status == 200 and opened.json["url"].startswith(stripe.url + "/p/session/"), opened
    params = asked(stripe, "/v1/billing_portal/sessions")[-1]["params"]
    assert stripe.objects["customer"][params["customer"]]["metadata"]["user_id"] == account
    assert params["return_url"] == "https://app.example/billing"


def test_members_and_managers(shop):
    account = shop.account()
    assert topup(shop, account).status == 200
    for member, role in (("user:1", "member"), ("user:2", "manager")):
        assert shop.call("PUT", f"/api/accounts/{account}/members/{member}", json={"role": role}).status == 200
    for member, status in (("user:1", 403), ("user:2", 200), ("user:3", 403)):
        key = token(shop, account, member=member)
        assert shop.post("/api/credits/portal", {}, key=key).status == status
        assert shop.get("/api/credits/invoices", key=key).status == status
        assert shop.post("/api/credits/topup", {"amount": 500}, key=key).status == 200


def test_invoices(shop, stripe):
    account = shop.account()
    assert shop.get(f"/api/credits/invoices?account={account}").json == {"items": [], "nextCursor": None}
    for amount in (500, 600, 700, 800, 900):
        stripe.pay(stripe.session_of(topup(shop, account, amount).json["url"]))
    stripe.deliver()
    seen, cursor = [], ""
    while cursor is not None:
        page = shop.get(f"/api/credits/invoices?account={account}&limit=2" + (f"&cursor={cursor}" if cursor else ""))
        assert page.status == 200 and len(page.json["items"]) <= 2, page
        seen += page.json["items"]
        cursor = page.json["nextCursor"]
    assert sorted(item["amount"] for item in seen) == [500, 600, 700, 800, 900] and len({i["id"] for i in seen}) == 5
    first = seen[0]
    invoice = stripe.objects["invoice"][first["id"]]
    assert (first["url"], first["pdfUrl"]) == (invoice["hosted_invoice_url"], invoice["invoice_pdf"])
    assert (first["number"], first["status"], first["currency"], first["amountPaid"]) == (
        invoice["number"], "paid", "eur", invoice["amount_paid"])
    assert invoice["metadata"]["topup_id"] and re.fullmatch(r"20..-..-..T..:..:..\.000Z", first["createdAt"])
    # A foreign cursor shows nothing foreign.
    other = shop.account()
    assert topup(shop, other).status == 200
    foreign = shop.get(f"/api/credits/invoices?account={other}&cursor={first['id']}")
    assert foreign.status in (200, 503) and first["url"] not in foreign.text
    for bad in ("x", "in_", "in_/../customers", "cus_1", "in_" + "a" * 300):
        assert shop.get(f"/api/credits/invoices?account={account}&cursor=" + urllib.parse.quote(bad, safe="")).status == 400
    assert json.dumps(first)

"""Stripe's side of what octroi asks for: its own description of the requests, and its own SDK as a client.

The fake Stripe of the tests shares its author's assumptions with octroi.  Here Stripe's description (where
../shared/data has it) judges octroi's requests with unknown names refused, and Stripe's SDK judges the fake.
"""

import json
import pathlib
import re

import pytest

from fake_stripe import VERSION_NEW, VERSION_OLD, FakeStripe, sign
from octroi import Octroi
from peer import PeerError
from saver import Saver

TOP = pathlib.Path(__file__).resolve().parents[2]
SCHEMA = TOP.parent / "shared" / "data" / "stripe_requests_2023-08-16.json"
EURO = 1_000_000


@pytest.fixture(scope="module", params=[VERSION_OLD, VERSION_NEW])
def stripe(request):
    with FakeStripe(api_version=request.param) as fake:
        yield fake


@pytest.fixture(scope="module")
def shop(stripe):
    with Octroi("nginx", settings=stripe.settings()) as o:
        stripe.webhook_url = o.url + "/api/webhooks/stripe"
        yield o


class Sdk:
    def __init__(self, peer, stripe, key=None):
        self.peer, self.stripe, self.key = peer, stripe, key or stripe.key

    def __call__(self, method, *args):
        return self.peer.ask("stripe.call", url=self.stripe.url, key=self.key, method=method.split("."), args=args)

    def all(self, method, *args):
        return self.peer.ask("stripe.all", url=self.stripe.url, key=self.key, method=method.split("."), args=args)

    def event(self, event):
        """Signs with the fake's hand, verifies with the SDK's."""
        body = self.stripe.body_of(event)
        self.peer.ask("stripe.verify", secret=self.stripe.webhook_secret, body=body.decode(), now=event["created"],
                      header=sign(self.stripe.webhook_secret, body, event["created"]))


@pytest.fixture
def sdk(peer, stripe):
    return Sdk(peer, stripe)


# -- stories -----------------------------------------------------------------------------------------


def bought(shop, stripe, cents=2000):
    account = shop.account(email="anna@example.org")
    opened = shop.post(f"/api/credits/topup?account={account}", {"amount": cents, "saveCard": True})
    assert opened.status == 200, opened
    return account, opened.json["topup"], stripe.session_of(opened.json["url"])


def test_customer_session_paid_credited_refunded(shop, stripe, sdk):
    """octroi and the SDK see the same Stripe; the SDK refunds, octroi takes the credits back."""
    account, order, session_id = bought(shop, stripe)
    session = sdk("checkout.sessions.retrieve", session_id)
    assert (session["status"], session["payment_status"], session["amount_total"]) == ("open", "unpaid", 2000)
    assert session["client_reference_id"] == session["metadata"]["topup_id"] == order
    customer = sdk("customers.retrieve", session["customer"])
    assert (customer["email"], customer["metadata"]["user_id"]) == ("anna@example.org", account)
    stripe.pay(session_id)
    for event in stripe.undelivered:
        sdk.event(event)
    stripe.deliver()
    assert shop.balance(account)[0] == 20 * EURO
    session = sdk("checkout.sessions.retrieve", session_id)
    intent = sdk("paymentIntents.retrieve", session["payment_intent"], {"expand": ["latest_charge"]})
    assert (intent["status"], intent["latest_charge"]["amount_refunded"]) == ("succeeded", 0)
    assert intent["metadata"] == {"user_id": account, "topup_id": order}
    [invoice] = sdk.all("invoices", {"customer": customer["id"]})
    assert invoice["metadata"] == {"topup_id": order}
    [shown] = shop.get(f"/api/credits/invoices?account={account}").json["items"]
    assert (shown["id"], shown["url"], shown["pdfUrl"]) == (
        invoice["id"], invoice["hosted_invoice_url"], invoice["invoice_pdf"])
    refund = sdk("refunds.create", {"payment_intent": intent["id"], "amount": 500})
    assert refund["status"] == "succeeded"
    stripe.deliver()
    assert shop.balance(account)[0] == 15 * EURO
    sdk("refunds.create", {"payment_intent": intent["id"]})
    stripe.deliver()
    assert shop.balance(account)[0] == 0
    assert shop.ctl("stripe", "reconcile").returncode == 0


def test_the_lists_page_as_the_sdk_expects(shop, stripe, sdk):
    for _ in range(12):
        _, _, session = bought(shop, stripe, 500)
        stripe.pay(session)
    stripe.deliver()
    intents = sdk.all("paymentIntents", {"limit": 5})
    assert len(intents) == len(stripe.objects["payment_intent"]) > 12
    assert {event["id"] for event in sdk.all("events", {"limit": 100})} == set(stripe.objects["event"])
    assert json.loads(shop.ctl("stripe", "reconcile", "--json").stdout)["sums"]["payments"] == len(intents)


def in_debt(shop, stripe, cents):
    """An account whose customer saved a card with a top-up, and who owes so much by now; its customer."""
    account, _, session = bought(shop, stripe)
    customer = stripe.pay(session)["customer"]
    stripe.deliver()
    shop.fund(account, -shop.balance(account)[0] - cents * 10_000)
    return account, customer


def test_a_statement_is_paid_with_the_saved_card(shop, stripe, sdk):
    """octroi and the SDK see the same invoice; where the card is declined, the SDK pays it, and octroi books that once."""
    account, customer = in_debt(shop, stripe, 1250)
    paid = shop.post(f"/api/credits/pay?account={account}", {})
    assert (paid.status, paid.json["amount"], paid.json["balanceMicros"]) == (200, 1250, 0)
    [invoice] = [i for i in sdk.all("invoices", {"customer": customer}) if "statement" in i["metadata"]]
    assert (invoice["status"], invoice["total"], invoice["amount_paid"]) == ("paid", 1250, 1250)
    assert invoice["metadata"] == {"statement": paid.json["statements"][0]["id"], "account": account}
    account, customer = in_debt(shop, stripe, 900)
    stripe.cards(customer)[0]["_declines"] = "expired_card"
    declined = shop.post(f"/api/credits/pay?account={account}", {})
    assert (declined.status, declined.json["code"]) == (402, "expired_card")
    [invoice] = [i for i in sdk.all("invoices", {"customer": customer}) if "statement" in i["metadata"]]
    assert invoice["status"] == "open" and invoice["hosted_invoice_url"] == declined.json["invoiceUrl"]
    card = stripe.save_card(customer)
    assert sdk("invoices.pay", invoice["id"], {"payment_method": card["id"]})["status"] == "paid"
    for event in stripe.undelivered:
        sdk.event(event)
    stripe.deliver()
    assert shop.balance(account)[0] == 0
    again = shop.post(f"/api/credits/pay?account={account}", {})
    assert (again.status, again.json["amount"]) == (200, 0)


def test_the_fake_refuses_as_stripe_does(shop, stripe, sdk, peer):
    with pytest.raises(PeerError, match="StripeAuthenticationError"):
        Sdk(peer, stripe, "sk_test_wrong")("customers.create", {})
    with pytest.raises(PeerError, match="StripeInvalidRequestError: No such customer"):
        sdk("customers.retrieve", "cus_none")
    with pytest.raises(PeerError, match="StripeInvalidRequestError.*unknown parameter"):
        sdk("customers.create", {"emali": "x"})
    sdk("customers.create", {"email": "a@example.org"}, {"idempotencyKey": "one"})
    with pytest.raises(PeerError, match="StripeIdempotencyError"):
        sdk("customers.create", {"email": "b@example.org"}, {"idempotencyKey": "one"})
    for status, kind in ((429, "StripeRateLimitError"), (500, "StripeAPIError")):
        stripe.trouble("/v1/customers", status=status, times=1)
        with pytest.raises(PeerError, match=kind):
            sdk("customers.create", {})


# -- requests -----------------------------------------------------------------------------------------


def described():
    if not SCHEMA.is_file():
        pytest.skip("Stripe's description of its requests is not here")
    return json.loads(SCHEMA.read_text())


def schema_of(description, method, path):
    """The schema of a form or of a query; None when the description has none."""
    for pattern, item in description.items():
        if re.fullmatch(re.sub(r"\{\w+\}", r"\\w+", pattern), path) and method.lower() in item:
            found = item[method.lower()]
            if method == "POST":
                return found["content"]["application/x-www-form-urlencoded"]["schema"]
            return {"type": "object", "properties": {p["name"]: p["schema"] for p in found if p["in"] == "query"},
                    "additionalProperties": False}
    return None


def test_every_request_keeps_to_the_description(shop, stripe, peer):
    description = described()
    account, _, session = bought(shop, stripe)
    stripe.pay(session)
    stripe.deliver()
    assert shop.post(f"/api/credits/portal?account={account}", {}).status == 200
    assert shop.get(f"/api/credits/invoices?account={account}&limit=1").status == 200
    id = {"requestId": "described-" + account}
    for _ in range(2):  # the second reads the session again
        assert shop.post(f"/api/credits/topup?account={account}", {"amount": 700, **id}).status == 200
    assert shop.ctl("stripe", "reconcile").returncode == 0
    shop.ctl("doctor", check=False)
    owing, _ = in_debt(shop, stripe, 1000)
    assert shop.post(f"/api/credits/pay?account={owing}", {}).status == 200
    saver = Saver(shop, stripe)
    saver.on()
    saver.spend(15 * EURO)
    saver.wait_charged([2000])
    seen, without = set(), set()
    for request in stripe.requests:
        if "octroi" not in request["headers"].get("idempotency-key", "octroi"):
            continue  # the SDK's own
        if "user-agent" in request["headers"] and "Stripe/" in request["headers"]["user-agent"]:
            continue
        schema = schema_of(description, request["method"], request["path"])
        place = (request["method"], re.sub(r"\b(cus|cs|pi|in)_\w+", "…", request["path"]))
        if schema is None:
            without.add(place)
            continue
        peer.ask("form.validate", schema=schema, text=request["text"])
        seen.add(place)
    assert seen >= {("POST", "/v1/customers"), ("POST", "/v1/customers/…"), ("POST", "/v1/checkout/sessions"),
                    ("GET", "/v1/checkout/sessions/…"), ("POST", "/v1/billing_portal/sessions"), ("GET", "/v1/invoices"),
                    ("GET", "/v1/payment_intents"), ("GET", "/v1/refunds"), ("GET", "/v1/events"),
                    ("POST", "/v1/invoices"), ("POST", "/v1/invoiceitems"), ("POST", "/v1/invoices/…/finalize"),
                    ("POST", "/v1/invoices/…/pay"), ("POST", "/v1/payment_intents")}
    assert without <= {("GET", "/v1/disputes"), ("GET", "/v1/customers/…"), ("GET", "/v1/invoices/…"),
                       ("GET", "/v1/customers/…/payment_methods"), ("GET", "/v1/webhook_endpoints")}, without


@pytest.mark.parametrize("text", [
    "emali=x", "metadata[a][b]=1", "invoice_settings[default]=x", "address[cty]=Lyon", "email[0]=x"])
def test_the_judge_refuses_what_is_wrong(peer, text):
    """Positive control."""
    schema = schema_of(described(), "POST", "/v1/customers")
    assert not peer.accepts("form.validate", schema=schema, text=text)
    assert peer.accepts("form.validate", schema=schema, text="email=x&metadata[a]=1")


@pytest.mark.parametrize("old, new", [
    ("unit_amount", "unit_amunt"), ("product_data", "product"), ("invoice_data", "data"), ("mode=payment", "mode=pay"),
    ("quantity%5D=1", "quantity%5D=1.5"), ("setup_future_usage", "setup_usage"), ("success_url", "succes_url")])
def test_the_judge_refuses_a_session_that_is_wrong(shop, stripe, peer, old, new):
    """Positive control."""
    schema = schema_of(described(), "POST", "/v1/checkout/sessions")
    bought(shop, stripe)
    text = [r["text"] for r in stripe.requests if r["path"] == "/v1/checkout/sessions" and r["method"] == "POST"
            and "octroi" in r["headers"]["idempotency-key"]][-1]
    assert old in text
    assert peer.accepts("form.validate", schema=schema, text=text)
    assert not peer.accepts("form.validate", schema=schema, text=text.replace(old, new))

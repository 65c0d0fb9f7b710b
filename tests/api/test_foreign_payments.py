"""Payments of other things that the same merchant sells: whatever their buyers write into them, they pay no top-up.

What the buyer of a Payment Link may choose is `client_reference_id`; the metadata are set with the merchant's key.
Stripe is played by tests/fake_stripe.py; octroi is behind nginx."""

import json
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import guard  # noqa: E402
from fake_stripe import FakeStripe  # noqa: E402
from octroi import Octroi  # noqa: E402

EURO = 1_000_000
OPEN, PENDING, EXPIRED, FAILED, PAID = "0", "1", "2", "3", "4"


@pytest.fixture(scope="module")
def stripe():
    with FakeStripe() as fake:
        yield fake


@pytest.fixture(scope="module")
def shop(stripe):
    with Octroi("nginx", settings=stripe.settings()) as o:
        stripe.webhook_url = o.url + "/api/webhooks/stripe"
        yield o


@pytest.fixture(autouse=True)
def calm(stripe):
    yield
    stripe.calm()
    stripe.lose()


def order(shop, account, cents=1000):
    """(the order's name, its session's id)"""
    opened = shop.post(f"/api/credits/topup?account={account}", {"amount": cents})
    assert opened.status == 200, opened
    return opened.json["topup"], opened.json["url"].rsplit("/", 1)[1]


def balance(shop, account):
    return shop.balance(account)[0]


def states(shop, account):
    return [state for state, in shop.sql(
        f"SELECT state FROM topups WHERE account_id = {guard.key_of(account)} ORDER BY seq")]


def note_of(shop, event):
    """(state, note) of an event that was delivered."""
    [(state, note)] = shop.sql(f"SELECT state, note FROM webhook_events WHERE event_id = '{event['id']}'")
    return ("applied", "ignored", "parked")[int(state)], note


def deliver(stripe):
    """All that waits; the events of sessions."""
    sent = list(stripe.undelivered)
    stripe.deliver()
    return [e for e in sent if e["type"].startswith("checkout.session.")]


def customer_of(stripe, session):
    return stripe.get("checkout.session", session)["customer"]


@pytest.mark.parametrize("who", ["nobody", "the same customer", "another customer"])
def test_a_payment_link_with_the_orders_name_pays_no_order(shop, stripe, who):
    account = shop.account()
    name, session = order(shop, account)
    other = order(shop, shop.account())[1]
    customer = {"nobody": None, "the same customer": customer_of(stripe, session),
                "another customer": customer_of(stripe, other)}[who]
    stripe.buy_by_link(1000, reference=name, customer=customer)
    [event] = deliver(stripe)
    assert balance(shop, account) == 0, "one payment gave goods and credit"
    assert states(shop, account) == [OPEN]
    assert note_of(shop, event) == ("parked", "another session than the order's")
    # The order itself can still be paid, once.
    stripe.pay(session)
    stripe.deliver()
    assert balance(shop, account) == 10 * EURO and states(shop, account) == [PAID]
    shop.audit()


def test_a_link_before_the_session_is_noted(shop, stripe):
    """The order is in the ledger before Stripe's answer is; its name can be guessed, for orders are counted."""
    account = shop.account()
    name = guard.public_id(account, 1)
    stripe.trouble("/v1/checkout/sessions", status=400)
    assert shop.post(f"/api/credits/topup?account={account}", {"amount": 1000, "requestId": "r"}).status == 503
    stripe.calm()
    stripe.buy_by_link(1000, reference=name)
    [event] = deliver(stripe)
    assert balance(shop, account) == 0 and states(shop, account) == [OPEN]
    assert note_of(shop, event) == ("parked", "nothing but the buyer's word says that it is the order's")


def test_its_own_session_before_it_is_noted(shop, stripe):
    """The webhook is faster than the note, or the note was lost: the metadata that octroi set name the order."""
    account = shop.account()
    stripe.trouble("/v1/checkout/sessions", lose=True)
    assert shop.post(f"/api/credits/topup?account={account}", {"amount": 1000, "requestId": "r"}).status == 503
    stripe.calm()
    [session] = [s for s in stripe.sessions() if s["metadata"].get("user_id") == account]
    stripe.pay(session["id"])
    stripe.deliver(order=lambda events: [e for e in events if e["type"] == "checkout.session.completed"])
    assert balance(shop, account) == 10 * EURO and states(shop, account) == [PAID]
    [(noted,)] = shop.sql(f"SELECT session_id FROM topups WHERE account_id = {guard.key_of(account)}")
    assert noted == session["id"]
    shop.audit()


def test_a_session_that_is_not_the_orders_ends_nothing(shop, stripe):
    """Somebody else's session that expires, or whose delayed payment fails, leaves the order open."""
    account = shop.account()
    name, session = order(shop, account)
    for kind in ("checkout.session.expired", "checkout.session.async_payment_failed", "checkout.session.completed"):
        foreign = {**stripe.get("checkout.session", session), "id": f"cs_test_foreign{kind[-4:]}", "metadata": {},
                   "payment_intent": None, "payment_status": "unpaid"}
        event = stripe.emit(kind, foreign)
        stripe.deliver()
        assert note_of(shop, event) == ("parked", "another session than the order's")
    assert states(shop, account) == [OPEN]


def test_merchants_own_metadata_of_the_same_names(shop, stripe):
    """A merchant has a user_id, or even a topup_id, in metadata of its own."""
    account = shop.account()
    name, session = order(shop, account)
    for metadata in ({"user_id": account}, {"user_id": account, "topup_id": "17"}, {"topup_id": name[:-1]},
                     {"user_id": account, "topup_id": name}):
        stripe.buy_by_link(1000, reference=name, customer=customer_of(stripe, session), metadata=metadata)
        stripe.deliver(order=lambda events: [e for e in events if e["type"] == "checkout.session.completed"])
        stripe.lose()
    assert balance(shop, account) == 0 and states(shop, account) == [OPEN]


@pytest.mark.parametrize("changes", [{"payment_status": "no_payment_required"}, {"payment_status": "unpaid"},
                                     {"mode": "setup"}, {"mode": "subscription"}, {"currency": "usd"},
                                     {"amount_total": 1}, {"amount_total": 1200}])
def test_own_session_that_brought_no_such_money(shop, stripe, changes):
    """Discounts, taxes, another currency, another mode, and what needs no payment: no credit."""
    account = shop.account()
    _, session = order(shop, account)
    stripe.pay(session)
    [event] = [e for e in stripe.lose() if e["type"] == "checkout.session.completed"]
    made = json.loads(stripe.body_of(event))
    made["data"]["object"].update(amount_subtotal=1000, **changes)
    assert stripe.send(made) == 200
    assert balance(shop, account) == 0


@pytest.mark.parametrize("mode", ["subscription", "setup"])
def test_links_of_other_modes(shop, stripe, mode):
    account = shop.account()
    name, _ = order(shop, account)
    stripe.buy_by_link(1000, reference=name, mode=mode)
    stripe.buy_by_link(1000, reference=account, mode=mode)
    events = deliver(stripe)
    assert [note_of(shop, e) for e in events] == [("ignored", "a session that is no payment")] * 2
    assert balance(shop, account) == 0 and states(shop, account) == [OPEN]


def test_a_refund_of_another_payment_takes_nothing(shop, stripe):
    """A charge of the merchant's own that names the order is not what paid it."""
    account = shop.account()
    name, session = order(shop, account)
    stripe.pay(session)
    stripe.deliver()
    foreign = stripe.buy_by_link(700, metadata={"topup_id": name, "user_id": account})
    stripe.lose()
    stripe.refund(foreign["payment_intent"])
    sent = list(stripe.undelivered)
    stripe.deliver()
    assert balance(shop, account) == 10 * EURO
    assert {note_of(shop, e)[0] for e in sent} == {"parked"}
    shop.audit()


def test_reconcile_credits_no_foreign_payment(shop, stripe):
    account = shop.account()
    name, session = order(shop, account)
    stripe.buy_by_link(1000, reference=name, customer=customer_of(stripe, session))
    stripe.lose()
    done = shop.ctl("stripe", "reconcile", "--json", check=False)
    assert done.returncode in (0, 1), done
    assert balance(shop, account) == 0 and states(shop, account) == [OPEN]
    # Its own payment, of which every webhook was lost, is found.
    stripe.pay(session)
    stripe.lose()
    shop.ctl("stripe", "reconcile", check=False)
    assert balance(shop, account) == 10 * EURO
    shop.audit()

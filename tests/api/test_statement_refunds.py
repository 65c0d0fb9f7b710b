"""A payment of a statement can be refunded and disputed like a top-up: it is owed again, the account is past due and
then suspended until it is paid, and what comes back comes back.  Stripe is tests/fake_stripe.py; time is the database's,
set by the test."""

import itertools
import json
import pathlib
import sys
import threading
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import guard  # noqa: E402
from fake_stripe import VERSION_NEW, VERSION_OLD  # noqa: E402
from octroi import wait_until  # noqa: E402
from shop import clock, shop, stripe  # noqa: E402, F401
from test_postpaid import CENT, EURO, FAILED, PAID, Customer, next_month  # noqa: E402


@pytest.fixture(autouse=True)
def calm(shop, stripe):
    stripe.api_version = VERSION_NEW
    yield
    stripe.calm()
    stripe.lose()
    stripe.api_version = VERSION_NEW
    shop.audit()


def paid(shop, stripe, cents=5000, by="card", **fields):
    """A customer who owed that much and has paid it: (customer, payment intent's id).  by: card, or page for Stripe's
    own page, of which only webhooks tell."""
    c = Customer(shop, stripe, cents=cents, card=by == "card", **fields)
    answer = c.pay()
    assert answer.status == (200 if by == "card" else 402), answer
    [invoice] = c.invoices()
    if by == "page":
        stripe.pay_invoice(invoice["id"])
        c.customer = invoice["customer"]
    return c, stripe.objects["invoice"][invoice["id"]]["_payment_intent"]


def moved(c):
    """(type, cents) of refunds, disputes and payments, oldest first."""
    names = {"6": "REFUND", "7": "DISPUTE", "9": "PAYMENT"}
    return [(names[type], int(amount) // CENT) for type, amount in c.shop.sql(
        f"SELECT type, amount_micros FROM transactions WHERE type IN (6, 7, 9) AND account_id = {guard.key_of(c.id)} "
        "ORDER BY seq")]


def overdue(c):
    [(micros,)] = c.shop.sql(f"SELECT overdue_micros FROM workspaces WHERE account_id = {guard.key_of(c.id)}")
    return int(micros) // CENT


def parked(shop):
    return {event["id"] for event in json.loads(shop.ctl("webhook", "list", "--json").stdout)["items"]}


@pytest.mark.parametrize("version", [VERSION_OLD, VERSION_NEW])
@pytest.mark.parametrize("by", ["card", "page"])
def test_a_refund_is_owed_again(shop, stripe, clock, version, by):
    stripe.api_version = version
    c, intent = paid(shop, stripe, by=by)
    stripe.deliver()
    assert c.balance() == 0 and c.status() == "active"
    stripe.refund(intent)
    stripe.deliver()
    assert c.balance() == -50 * EURO and moved(c) == [("PAYMENT", 5000), ("REFUND", -5000)]
    assert c.status() == "past_due" and c.authorize().status == 200
    said = shop.get(f"/api/credits/diagnosis?account={c.id}").json
    assert said["case"] == "payment_taken_back" and said["figures"]["unpaidMicros"] == 50 * EURO
    assert {step["id"]: step["done"] for step in said["checklist"]}["debt_paid"] is False
    clock.forward(days=3, seconds=1)
    assert c.authorize().json["error"] == "ACCOUNT_SUSPENDED" and c.status() == "suspended"


def test_a_dispute_then_won(shop, stripe, clock):
    c, intent = paid(shop, stripe)
    stripe.deliver()
    dispute = stripe.dispute(intent)
    stripe.deliver()
    assert c.balance() == -50 * EURO and c.status() == "past_due"
    clock.forward(days=4)
    assert c.authorize().status == 402
    stripe.close_dispute(dispute["id"], "won")
    stripe.deliver()
    assert c.balance() == 0 and c.status() == "active" and c.authorize().status == 200
    assert moved(c) == [("PAYMENT", 5000), ("DISPUTE", -5000), ("DISPUTE", 5000)]


def test_a_refund_that_fails_gives_back(shop, stripe, clock):
    c, intent = paid(shop, stripe)
    stripe.deliver()
    refund = stripe.refund(intent, 2000, status="pending")
    stripe.deliver()
    assert c.balance() == -20 * EURO and c.status() == "past_due"
    stripe.fail_refund(refund["id"])
    stripe.deliver()
    assert c.balance() == 0 and c.status() == "active"


@pytest.mark.parametrize("order", list(itertools.permutations(range(3)))[1:])
def test_any_order_any_number(shop, stripe, clock, order):
    """Two refunds and a dispute, each event twice, in every order, and before the payment is known."""
    c, intent = paid(shop, stripe, by="page")
    told = stripe.lose()
    groups = []
    for act in (lambda: stripe.refund(intent, 1000), lambda: stripe.refund(intent, 500),
                lambda: stripe.dispute(intent, amount=3500)):
        act()
        groups.append(stripe.lose())
    waiting = [event for at in order for event in groups[at]]
    for event in waiting[:len(waiting) // 2]:
        assert stripe.send(event) == 200
    # The worker looks at the invoice too, and may have found the payment by now.
    assert c.balance() == -50 * EURO or moved(c)[0] == ("PAYMENT", 5000)
    for event in told + waiting + waiting:
        assert stripe.send(event) == 200
    assert c.balance() == -50 * EURO
    assert sum(cents for kind, cents in moved(c) if kind == "REFUND") == -1500
    assert sum(cents for kind, cents in moved(c) if kind == "DISPUTE") == -3500
    assert not parked(shop) & {event["id"] for event in waiting}


def test_nothing_is_charged_by_itself_again(shop, stripe, clock):
    """A payment that a bank took back is not taken from the card at the month's end; use since then is."""
    c, intent = paid(shop, stripe)
    stripe.deliver()
    stripe.dispute(intent)
    stripe.deliver()
    shop.fund(c.id, -300 * CENT)
    next_month(clock)
    wait_until(lambda: c.charged() == [5000, 300], 30, "the month's charge")
    shop.ctl("tick")
    assert c.balance() == -50 * EURO and c.status() != "active", "paying the month does not pay what was taken back"
    answer = c.pay()
    assert (answer.status, answer.json["amount"]) == (200, 5000), answer
    assert c.charged() == [5000, 300, 5000] and c.balance() == 0 and c.status() == "active"


def test_pay_that_is_declined_stays_past_due(shop, stripe, clock):
    c, intent = paid(shop, stripe)
    stripe.deliver()
    stripe.dispute(intent)
    stripe.deliver()
    c.replace_card("card_declined")
    assert c.pay().status == 402 and c.status() == "past_due"
    assert c.statements()[-1][:2] == (FAILED, 5000)
    clock.forward(days=4)
    assert c.authorize().status == 402 and c.status() == "suspended"
    c.replace_card()
    assert c.pay().status == 200 and c.status() == "active" and c.balance() == 0


def test_a_top_up_pays_what_is_overdue_first(shop, stripe, clock):
    c, intent = paid(shop, stripe)
    stripe.deliver()
    stripe.refund(intent)
    stripe.deliver()
    shop.fund(c.id, -100 * CENT)
    clock.forward(days=4)
    assert c.authorize().status == 402
    opened = shop.post(f"/api/credits/topup?account={c.id}", {"amount": 2000})
    stripe.pay(stripe.session_of(opened.json["url"]))
    stripe.deliver()
    assert c.authorize().status == 402, "30 of 50 are still overdue"
    opened = shop.post(f"/api/credits/topup?account={c.id}", {"amount": 3000})
    stripe.pay(stripe.session_of(opened.json["url"]))
    stripe.deliver()
    assert c.balance() == -1 * EURO and c.status() == "active" and c.authorize().status == 200


def test_a_little_is_no_reason_to_suspend(shop, stripe, clock):
    """Less than can be charged joins the next month's statement."""
    c, intent = paid(shop, stripe)
    stripe.deliver()
    stripe.refund(intent, 30)
    stripe.deliver()
    assert c.balance() == -30 * CENT and c.status() == "active" and overdue(c) == 0


def test_what_a_person_suspended_stays_so(shop, stripe, clock):
    c, intent = paid(shop, stripe)
    stripe.deliver()
    assert shop.ctl("account", "set", c.id, "--status", "suspended").returncode == 0
    dispute = stripe.dispute(intent)
    stripe.deliver()
    stripe.close_dispute(dispute["id"], "won")
    stripe.deliver()
    assert c.balance() == 0 and c.status() == "suspended"


def test_a_prepaid_debt_that_was_paid(shop, stripe, clock):
    account = shop.account()
    shop.fund(account, -3 * EURO)
    assert shop.post(f"/api/credits/pay?account={account}", {}).status == 402
    [customer] = [x for x in stripe.objects["customer"].values() if x["metadata"].get("user_id") == account]
    stripe.save_card(customer["id"], default=True)
    assert shop.post(f"/api/credits/pay?account={account}", {}).status == 200
    [invoice] = [i for i in stripe.objects["invoice"].values() if i["metadata"].get("account") == account]
    stripe.deliver()
    stripe.refund(invoice["_payment_intent"])
    stripe.deliver()
    assert shop.balance(account)[0] == -3 * EURO
    assert shop.get(f"/api/accounts/{account}").json["status"] == "past_due"


def test_reconcile_finds_lost_refunds(shop, stripe, clock):
    """All webhooks but invoice.paid were lost, and that one does not say what paid it."""
    stripe.clock_skew = clock.now_us // 10**6 - time.time()
    c, intent = paid(shop, stripe, by="page")
    told = stripe.lose()
    for event in told:
        if event["type"] == "invoice.paid":
            assert stripe.send(event) == 200
    assert c.balance() == 0
    stripe.refund(intent, 1200)
    stripe.dispute(intent, amount=3800)
    stripe.lose()
    shop.ctl("stripe", "reconcile", "--dry-run", check=False)
    assert c.balance() == 0
    shop.ctl("stripe", "reconcile", check=False)
    assert c.balance() == -50 * EURO and c.status() == "past_due"
    again = shop.ctl("stripe", "reconcile", "--json", check=False)
    assert json.loads(again.stdout)["sums"]["takenBack"] == 0
    stripe.clock_skew = 0
    assert c.balance() == -50 * EURO


def refunded_while_charged(shop, stripe):
    """A refund comes while the charge is made but its answer is not read yet: whether it had to wait for the payment.  It
    does not when the worker makes the charge and the customer's request reads in the meantime that it was made."""
    c = Customer(shop, stripe, cents=4000)
    stop = stripe.stop_at("/v1/invoices/.*/pay", "after")
    asking = threading.Thread(target=c.pay)
    asking.start()
    stop.wait_reached()
    [invoice] = c.invoices()
    stripe.lose()
    stripe.refund(invoice["_payment_intent"], 1500)
    waiting = {event["id"] for event in stripe.undelivered}
    stripe.deliver()
    waited = waiting <= parked(shop) and c.balance() == -40 * EURO
    stop.release()
    asking.join()
    wait_until(lambda: moved(c) == [("PAYMENT", 4000), ("REFUND", -1500)], 30, "the refund")
    assert c.balance() == -15 * EURO and not waiting & parked(shop)
    return waited


def test_the_worker_takes_up_what_waits(shop, stripe, clock):
    wait_until(lambda: refunded_while_charged(shop, stripe), 60, "a refund that had to wait")


def test_a_payment_belongs_to_one(shop, stripe, clock):
    """An invoice that says another's payment is no reason to move anything."""
    c, intent = paid(shop, stripe)
    stripe.deliver()
    other = Customer(shop, stripe, cents=5000, card=False)
    assert other.pay().status == 402
    [invoice] = other.invoices()
    stripe.pay_invoice(invoice["id"])
    stripe.api_version = VERSION_OLD
    stripe.lose()
    stolen = stripe.emit("invoice.paid", {**stripe.objects["invoice"][invoice["id"]], "_payment_intent": intent})
    stripe.deliver()
    [(note,)] = shop.sql(f"SELECT note FROM webhook_events WHERE event_id = '{stolen['id']}' AND state = 2")
    assert note == "this payment belongs to another order"
    # The worker may have asked Stripe by itself, which knows the invoice's own payment.
    assert (other.balance(), moved(other)) in [(-50 * EURO, []), (0, [("PAYMENT", 5000)])]
    assert [s[0] for s in c.statements()] == [PAID]

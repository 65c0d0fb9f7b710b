"""Refunds and disputes take back the very grant that the payment made; what is spent already becomes debt,
and what comes back comes back.  Stripe is played by tests/fake_stripe.py; octroi is behind nginx."""

import json
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import guard  # noqa: E402
from fake_stripe import FakeStripe  # noqa: E402
from octroi import Octroi  # noqa: E402

EURO = 1_000_000


@pytest.fixture(scope="module")
def stripe():
    with FakeStripe() as fake:
        yield fake


@pytest.fixture(scope="module")
def shop(stripe):
    with Octroi("nginx", settings=stripe.settings()) as o:
        stripe.webhook_url = o.url + "/api/webhooks/stripe"
        yield o


def order(shop, stripe, account, cents):
    """An order that is not paid yet; the session's id."""
    opened = shop.post(f"/api/credits/topup?account={account}", {"amount": cents})
    assert opened.status == 200, opened
    return stripe.session_of(opened.json["url"])


def bought(shop, stripe, cents=2000, **fields):
    """A new account that paid: (account, payment intent's id)."""
    account = shop.account(**fields)
    intent = stripe.pay(order(shop, stripe, account, cents))
    stripe.deliver()
    return account, intent["id"]


def balance(shop, account):
    return shop.balance(account)[0]


def transactions(shop, account):
    """(type, amountMicros) from the oldest on."""
    items = shop.get(f"/api/credits/transactions?account={account}&limit=100").json["items"]
    return [(item["type"], item["amountMicros"]) for item in reversed(items)]


def grants(shop, account):
    rows = shop.sql(f"SELECT g.type, g.remaining_micros FROM {guard.GRANTS} JOIN accounts a ON a.id = g.account_id"
                    f" WHERE a.external_id = '{account}' ORDER BY g.seq")
    return [(int(type), int(left)) for type, left in rows]


def parked(shop):
    """Ids of the events that wait."""
    listed = json.loads(shop.ctl("webhook", "list", "--json").stdout)
    return {event["id"] for event in listed["items"]}


def spend(shop, account, micros):
    """Uses exactly that much."""
    shop.fund(account, -micros)


def test_paid_is_credited_once_with_its_session(shop, stripe):
    account, _ = bought(shop, stripe)
    assert balance(shop, account) == 20 * EURO
    shown = shop.get(f"/api/credits?account={account}").json["transactions"]
    assert [(t["type"], t["amount"]) for t in shown] == [("TOP_UP", 2000)]
    assert shown[0]["stripeSessionId"].startswith("cs_test_")


def test_full_refund_takes_it_all_back(shop, stripe):
    account, intent = bought(shop, stripe)
    stripe.refund(intent)
    stripe.deliver()
    assert balance(shop, account) == 0
    assert transactions(shop, account) == [("TOP_UP", 20 * EURO), ("REFUND", -20 * EURO)]


def test_partial_refunds_add_up(shop, stripe):
    account, intent = bought(shop, stripe)
    for cents in (1, 499, 500, 1000):
        stripe.refund(intent, cents)
        stripe.deliver()
    assert balance(shop, account) == 0
    assert transactions(shop, account)[1:] == [
        ("REFUND", -10_000), ("REFUND", -4_990_000), ("REFUND", -5 * EURO), ("REFUND", -10 * EURO)]


def test_a_charge_that_says_so_is_enough(shop, stripe):
    """charge.refunded alone: the refund's own events were lost."""
    account, intent = bought(shop, stripe)
    stripe.refund(intent, 700)
    stripe.deliver(order=lambda events: [e for e in events if e["type"] == "charge.refunded"])
    assert balance(shop, account) == 13 * EURO
    # The next refund's own events count once beside it.
    stripe.refund(intent, 300)
    stripe.deliver()
    assert balance(shop, account) == 10 * EURO


def test_a_failed_refund_gives_back(shop, stripe):
    account, intent = bought(shop, stripe)
    refund = stripe.refund(intent, 800, status="pending")
    stripe.deliver()
    assert balance(shop, account) == 12 * EURO
    stripe.fail_refund(refund["id"])
    stripe.deliver()
    assert balance(shop, account) == 20 * EURO
    assert transactions(shop, account)[-1] == ("REFUND", 8 * EURO)


def test_a_refund_known_to_have_failed_never_counts(shop, stripe):
    account, intent = bought(shop, stripe)
    refund = stripe.refund(intent, 800)
    stripe.fail_refund(refund["id"])
    stripe.deliver(order=lambda events: list(reversed(events)))
    assert balance(shop, account) == 20 * EURO


def test_the_very_grant_is_taken_first(shop, stripe):
    """A bonus is spent before it, but the refund leaves the bonus alone."""
    account, intent = bought(shop, stripe)
    bonus = shop.call("POST", f"/api/accounts/{account}/transactions", key="admin",
                      json={"type": "PROMO_BONUS", "amountMicros": 3 * EURO, "description": "x", "requestId": "b1"})
    assert bonus.status in (200, 201), bonus
    stripe.refund(intent, 1500)
    stripe.deliver()
    assert grants(shop, account) == [(0, 5 * EURO), (2, 3 * EURO)]


def test_spent_money_is_taken_from_other_grants_then_owed(shop, stripe):
    account, intent = bought(shop, stripe)
    spend(shop, account, 19 * EURO)
    shop.fund(account, 4 * EURO)
    stripe.refund(intent)
    stripe.deliver()
    assert balance(shop, account) == -15 * EURO
    assert all(left == 0 for _, left in grants(shop, account))
    refused = guard.authorize(shop, account)
    assert refused.status == 402 and refused.json["error"] == "INSUFFICIENT_CREDITS"
    # The next top-up pays the debt first.
    stripe.pay(order(shop, stripe, account, 1600))
    stripe.deliver()
    assert balance(shop, account) == 1 * EURO


def test_an_inquiry_moves_nothing(shop, stripe):
    account, intent = bought(shop, stripe)
    dispute = stripe.dispute(intent, inquiry=True)
    stripe.deliver()
    assert balance(shop, account) == 20 * EURO
    stripe.close_dispute(dispute["id"], "warning_closed")
    stripe.deliver()
    assert transactions(shop, account) == [("TOP_UP", 20 * EURO)]


def test_a_dispute_withdraws_and_a_won_one_gives_back(shop, stripe):
    account, intent = bought(shop, stripe)
    spend(shop, account, 5 * EURO)
    dispute = stripe.dispute(intent)
    stripe.deliver()
    assert balance(shop, account) == -5 * EURO
    stripe.close_dispute(dispute["id"], "won")
    stripe.deliver()
    assert balance(shop, account) == 15 * EURO
    assert transactions(shop, account)[-2:] == [("DISPUTE", -20 * EURO), ("DISPUTE", 20 * EURO)]


def test_a_lost_dispute_stays_taken_even_if_the_withdrawal_was_never_told(shop, stripe):
    account, intent = bought(shop, stripe)
    dispute = stripe.dispute(intent, amount=1234)
    stripe.lose()
    stripe.close_dispute(dispute["id"], "lost")
    stripe.deliver()
    assert balance(shop, account) == 20 * EURO - 12_340_000


def test_refunded_and_disputed(shop, stripe):
    """Both took Stripe's money, so both take the credits."""
    account, intent = bought(shop, stripe)
    stripe.refund(intent, 500)
    stripe.dispute(intent, amount=1500)
    stripe.deliver()
    assert balance(shop, account) == 0


@pytest.mark.parametrize("backwards", [False, True])
def test_before_the_payment_is_known(shop, stripe, backwards):
    """Refund and dispute come before the payment: they wait, and are applied with it."""
    account = shop.account()
    session = order(shop, stripe, account, 2000)
    intent = stripe.pay(session)["id"]
    paid = stripe.lose()
    stripe.refund(intent, 600)
    dispute = stripe.dispute(intent, amount=1400)
    stripe.deliver(order=lambda events: events[::-1] if backwards else events)
    waiting = parked(shop)
    assert balance(shop, account) == 0 and transactions(shop, account) == []
    for event in paid:
        assert stripe.send(event) == 200
    assert balance(shop, account) == 0
    assert [amount for _, amount in transactions(shop, account)][0] == 20 * EURO
    left = parked(shop)
    assert not left & waiting, left
    stripe.close_dispute(dispute["id"], "won")
    stripe.deliver()
    assert balance(shop, account) == 14 * EURO


def test_credit_accounts_lose_credits_in_proportion(shop, stripe):
    account, intent = bought(shop, stripe, cents=1000, unit="credit")
    assert balance(shop, account) == 1000 * EURO  # a credit is worth 0.01
    stripe.refund(intent, 333)
    stripe.deliver()
    assert balance(shop, account) == 667 * EURO
    stripe.refund(intent)
    stripe.deliver()
    assert balance(shop, account) == 0


def test_delayed_methods(shop, stripe):
    account = shop.account()
    session = order(shop, stripe, account, 700)
    stripe.pay(session, delayed=True)
    stripe.deliver()
    assert balance(shop, account) == 0
    stripe.settle_delayed(session)
    stripe.deliver()
    assert balance(shop, account) == 7 * EURO
    failed = order(shop, stripe, account, 900)
    stripe.pay(failed, delayed=True)
    stripe.settle_delayed(failed, succeeds=False)
    stripe.deliver()
    expired = order(shop, stripe, account, 1100)
    stripe.expire(expired)
    stripe.deliver()
    assert balance(shop, account) == 7 * EURO
    states = shop.sql("SELECT t.state FROM topups t JOIN accounts a ON a.id = t.account_id "
                      f"WHERE a.external_id = '{account}' ORDER BY t.seq")
    assert states == [("4",), ("3",), ("2",)]

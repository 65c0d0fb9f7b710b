"""Volume bonus: larger top-ups get more credits, as a grant of their own, which refunds and disputes take back in
proportion.  Stripe is played by tests/fake_stripe.py; octroi is behind nginx."""

import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from fake_stripe import FakeStripe  # noqa: E402
from octroi import Octroi, build_dir  # noqa: E402
from second import Second  # noqa: E402

EURO = 1_000_000


@pytest.fixture(scope="module")
def stripe():
    with FakeStripe() as fake:
        yield fake


@pytest.fixture(scope="module")
def shop(stripe):
    with Octroi("nginx", settings=stripe.settings(topup_bonus="5000:5%, 10000:10%")) as o:
        stripe.webhook_url = o.url + "/api/webhooks/stripe"
        yield o


def bought(shop, stripe, cents, **fields):
    """A new account that paid: (account, payment intent's id)."""
    account = shop.account(**fields)
    opened = shop.post(f"/api/credits/topup?account={account}", {"amount": cents})
    assert opened.status == 200, opened
    intent = stripe.pay(stripe.session_of(opened.json["url"]))
    stripe.deliver()
    return account, intent["id"]


def transactions(shop, account):
    """(type, amountMicros, description) from the oldest on."""
    items = shop.get(f"/api/credits/transactions?account={account}&limit=100").json["items"]
    return [(item["type"], item["amountMicros"], item["description"]) for item in reversed(items)]


def of_account(account):
    return f"account_id = (SELECT id FROM accounts WHERE external_id = '{account}')"


@pytest.mark.parametrize("cents, percent", [(4999, 0), (5000, 5), (9999, 5), (10000, 10), (100000, 10)])
def test_a_tier_gives_a_grant_of_its_own(shop, stripe, cents, percent):
    account, _ = bought(shop, stripe, cents)
    paid, bonus = cents * 10_000, cents * 10_000 * percent // 100
    assert shop.balance(account)[0] == paid + bonus
    given = [("TOP_UP", paid, "top-up")] + ([("TOP_UP_BONUS", bonus, "top-up bonus")] if bonus else [])
    assert transactions(shop, account) == given
    grants = shop.sql(f"SELECT type, priority, amount_micros FROM grants WHERE {of_account(account)} ORDER BY seq")
    assert grants == [("0", "50", str(paid))] + ([("10", "20", str(bonus))] if bonus else [])


def test_the_bonus_names_the_session_of_its_payment(shop, stripe):
    account, _ = bought(shop, stripe, 5000)
    shown = shop.get(f"/api/credits?account={account}").json["transactions"]
    assert [t["type"] for t in shown] == ["TOP_UP_BONUS", "TOP_UP"]
    assert shown[0]["stripeSessionId"] == shown[1]["stripeSessionId"]
    printed = shop.ctl("account", "show", account).stdout
    assert "TOP_UP_BONUS" in printed, printed


def test_the_tiers_are_shown_for_the_page(shop, stripe):
    account = shop.account()
    tiers = [{"amount": 5000, "percent": 5}, {"amount": 10000, "percent": 10}]
    assert shop.get(f"/api/credits?account={account}").json["topupBonus"] == tiers


def test_a_refund_takes_it_back_in_proportion(shop, stripe):
    account, intent = bought(shop, stripe, 10000)
    stripe.refund(intent, 3333)
    stripe.deliver()
    assert shop.balance(account)[0] == 110 * EURO - 33_330_000 - 3_333_000
    stripe.refund(intent)
    stripe.deliver()
    assert shop.balance(account)[0] == 0
    assert transactions(shop, account)[2:] == [
        ("REFUND", -33_330_000, "refund"), ("TOP_UP_BONUS", -3_333_000, "bonus taken back"),
        ("REFUND", -66_670_000, "refund"), ("TOP_UP_BONUS", -6_667_000, "bonus taken back")]


def test_a_failed_refund_gives_it_back(shop, stripe):
    account, intent = bought(shop, stripe, 10000)
    refund = stripe.refund(intent, 5000, status="pending")
    stripe.deliver()
    assert shop.balance(account)[0] == 55 * EURO
    stripe.fail_refund(refund["id"])
    stripe.deliver()
    assert shop.balance(account)[0] == 110 * EURO
    assert transactions(shop, account)[-1] == ("TOP_UP_BONUS", 5 * EURO, "bonus given back")


def test_a_dispute_takes_it_back_and_a_won_one_gives_it_back(shop, stripe):
    account, intent = bought(shop, stripe, 10000)
    shop.fund(account, -105 * EURO)
    dispute = stripe.dispute(intent)
    stripe.deliver()
    assert shop.balance(account)[0] == -105 * EURO
    stripe.close_dispute(dispute["id"], "won")
    stripe.deliver()
    assert shop.balance(account)[0] == 5 * EURO


def test_refunded_and_disputed_takes_it_back_once(shop, stripe):
    account, intent = bought(shop, stripe, 10000)
    dispute = stripe.dispute(intent, amount=10000)
    stripe.refund(intent, 10000)
    stripe.deliver()
    assert shop.balance(account)[0] == -100 * EURO
    stripe.close_dispute(dispute["id"], "won")
    stripe.deliver()
    assert shop.balance(account)[0] == 0


def test_delivered_again_it_is_given_once(shop, stripe):
    account = shop.account()
    opened = shop.post(f"/api/credits/topup?account={account}", {"amount": 5000})
    stripe.pay(stripe.session_of(opened.json["url"]))
    events = stripe.lose()
    for event in events + events[::-1]:
        assert stripe.send(event) == 200
    assert shop.balance(account)[0] == 52_500_000


def test_credit_accounts_get_credits(shop, stripe):
    account, _ = bought(shop, stripe, 5000, unit="credit")
    assert shop.balance(account)[0] == 5250 * EURO  # a credit is worth 0.01


def test_an_order_keeps_what_it_was_promised(shop, stripe):
    """The setting changes between the order and its payment."""
    account = shop.account()
    opened = shop.post(f"/api/credits/topup?account={account}", {"amount": 5000})
    with Second(shop, settings={"topup_bonus": ""}) as other:
        here, stripe.webhook_url = stripe.webhook_url, other.internal_url + "/api/webhooks/stripe"
        stripe.pay(stripe.session_of(opened.json["url"]))
        stripe.deliver()
        stripe.webhook_url = here
    assert shop.balance(account)[0] == 52_500_000


@pytest.mark.parametrize("text", ["5000", "5000:5", "10000:10%,5000:5%", "5000:0%", "5000:101%", "5000:2.5%", "x"])
def test_other_texts_do_not_start(shop, text, tmp_path):
    settings = tmp_path / "octroi.conf"
    settings.write_text(f"topup_bonus = {text}\n")
    refused = subprocess.run([build_dir() / "octroi", "-t", "-c", settings], capture_output=True, text=True)
    assert refused.returncode != 0 and "topup_bonus" in refused.stderr, refused

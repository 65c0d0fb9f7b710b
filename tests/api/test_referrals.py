"""Referrals from the code to the reward: both sides get it with the referred account's first payment, in its
transaction, once, whatever is delivered how often and in which order.  Stripe is played by tests/fake_stripe.py."""

import concurrent.futures
import hashlib
import json
import pathlib
import random
import sys
import urllib.request

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from fake_stripe import FakeStripe  # noqa: E402
from octroi import Octroi  # noqa: E402
from second import Second  # noqa: E402

REWARD = 5_000_000


@pytest.fixture(scope="module")
def stripe():
    with FakeStripe() as fake:
        yield fake


@pytest.fixture(scope="module")
def shop(stripe):
    with Octroi("nginx", settings=stripe.settings(referral_amount="5")) as o:
        stripe.webhook_url = o.url + "/api/webhooks/stripe"
        yield o


def code_of(shop, account):
    return shop.get(f"/api/credits?account={account}").json["referralCode"]


def enter(shop, account, code):
    return shop.post(f"/api/credits/redeem?account={account}", {"code": code})


def pay(shop, stripe, account, cents=1000):
    """Orders and pays; what Stripe tells of it is still to be delivered.  The payment intent's id."""
    opened = shop.post(f"/api/credits/topup?account={account}", {"amount": cents})
    assert opened.status == 200, opened
    return stripe.pay(stripe.session_of(opened.json["url"]))


def rewards(shop, account):
    shown = shop.get(f"/api/credits?account={account}").json
    return [t["amountMicros"] for t in shown["transactions"] if t["type"] == "REFERRAL_BONUS"]


def test_both_sides_with_the_first_payment(shop, stripe):
    referrer, referred = shop.account(), shop.account()
    assert enter(shop, referred, code_of(shop, referrer)).status == 200
    assert (shop.balance(referrer)[0], shop.balance(referred)[0]) == (0, 0)
    for _ in range(2):
        pay(shop, stripe, referred)
        stripe.deliver()
    assert rewards(shop, referrer) == [REWARD] and rewards(shop, referred) == [REWARD]
    assert (shop.balance(referrer)[0], shop.balance(referred)[0]) == (REWARD, 20_000_000 + REWARD)


def test_order_that_was_opened_before_the_code(shop, stripe):
    referrer, referred = shop.account(), shop.account()
    pay(shop, stripe, referred)
    assert enter(shop, referred, code_of(shop, referrer)).status == 200
    stripe.deliver()
    assert rewards(shop, referrer) == rewards(shop, referred) == [REWARD]


def test_unpaid_order_rewards_nobody(shop, stripe):
    referrer, referred = shop.account(), shop.account()
    enter(shop, referred, code_of(shop, referrer))
    opened = shop.post(f"/api/credits/topup?account={referred}", {"amount": 1000})
    stripe.expire(stripe.session_of(opened.json["url"]))
    stripe.deliver()
    assert rewards(shop, referrer) == rewards(shop, referred) == []


def test_rewards_are_settled_when_the_code_is_entered(stripe):
    with FakeStripe() as own, Octroi("nginx", settings=own.settings(referral_amount="5")) as o:
        own.webhook_url = o.url + "/api/webhooks/stripe"
        referrer, referred = o.account(), o.account()
        assert enter(o, referred, code_of(o, referrer)).status == 200
        o.stop()
        o.start(referral_amount="50")
        own.webhook_url = o.url + "/api/webhooks/stripe"
        pay(o, own, referred)
        own.deliver()
        assert rewards(o, referrer) == rewards(o, referred) == [REWARD]


def test_a_crowd_in_any_order(shop, stripe):
    """40 accounts that refer each other, each paying twice; every event four times, shuffled, 16 in parallel."""
    accounts = [shop.account() for _ in range(40)]
    codes = {account: code_of(shop, account) for account in accounts}
    for n, account in enumerate(accounts):
        assert enter(shop, account, codes[accounts[(n * 7 + 1) % 40]]).status == (200 if (n * 7 + 1) % 40 != n else 409)
    for _ in range(2):
        for account in accounts:
            pay(shop, stripe, account)
    events = [event for event in stripe.lose() for _ in range(4)]
    random.Random(3).shuffle(events)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert set(pool.map(stripe.send, events)) == {200}
    expected = {account: 0 for account in accounts}
    for n, account in enumerate(accounts):
        other = accounts[(n * 7 + 1) % 40]
        if other != account:
            expected[account] += REWARD
            expected[other] += REWARD
    assert {account: sum(rewards(shop, account)) for account in accounts} == expected
    assert all(shop.balance(a)[0] == 20_000_000 + expected[a] for a in accounts)
    shop.audit()


def test_audit_sees_what_is_too_much(stripe):
    with FakeStripe() as own, Octroi("nginx", settings=own.settings(referral_amount="5", bonus_needs_email="off"), audit=False) as o:
        own.webhook_url = o.url + "/api/webhooks/stripe"
        referrer, referred = o.account(), o.account()
        enter(o, referred, code_of(o, referrer))
        pay(o, own, referred)
        own.deliver()
        assert o.post(f"/api/credits/claim-bonus?account={referrer}").status == 200
        o.audit()
        for broken, repaired, said in (
                ("UPDATE signups SET rewarded_at_us = 0", "UPDATE signups SET rewarded_at_us = 1", "referral"),
                ("UPDATE signups SET reward_micros = 4", f"UPDATE signups SET reward_micros = {REWARD}", "referral"),
                ("UPDATE campaigns SET grants = 2", "UPDATE campaigns SET grants = 1", "bonus"),
                ("UPDATE claims SET transaction_seq = 99", "UPDATE claims SET transaction_seq = 2", "bonus")):
            o.sql(broken)
            done = o.ctl("audit", check=False)
            assert done.returncode == 1 and said in done.stdout, (broken, done.stdout)
            o.sql(repaired)
            o.audit()


# ---- what a code tells ----------------------------------------------------------------------------------

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def plain_code(account):
    """The code that an account had before schema version 4: anybody who knows its id can make it."""
    bits = int.from_bytes(hashlib.sha256(account.encode()).digest()[:8], "big") >> 4
    return "R" + "".join(ALPHABET[bits >> 5 * (11 - i) & 31] for i in range(12))


def test_a_code_cannot_be_made_of_an_id(shop):
    """A refusal does not say whose the code is, or whether there is an account of that id."""
    referrer, guesser = shop.account(), shop.account()
    own = code_of(shop, referrer)
    assert own.replace("-", "") != plain_code(referrer)
    unknown = enter(shop, guesser, plain_code(referrer))
    nobody = enter(shop, guesser, plain_code("nobody at all"))
    assert unknown.status == nobody.status == 404 and unknown.json["error"] == nobody.json["error"], (unknown, nobody)
    assert enter(shop, guesser, own).status == 200


def test_codes_of_several_octroi_are_the_same(shop):
    """Also of one that starts at the same moment: the database has the key."""
    referrer = shop.account()
    with Second(shop) as second:
        asked = urllib.request.Request(f"{second.internal_url}/api/credits?account={referrer}",
                                       headers={"Authorization": "Bearer " + shop.keys["app"]})
        with urllib.request.urlopen(asked, timeout=30) as answer:
            assert json.load(answer)["referralCode"] == code_of(shop, referrer)
    assert shop.sql("SELECT name, LENGTH(value) FROM secrets") == [("referral", "32")]


def test_codes_of_before(shop):
    """Codes of before are taken for 90 days, and of accounts that were there before only."""
    old, young, one, two = (shop.account() for _ in range(4))
    applied, = shop.sql("SELECT applied_at FROM schema_versions WHERE version = 4")
    try:
        shop.sql(f"UPDATE accounts SET created_at_us = created_at_us - 86400000000 * 80 WHERE external_id = '{old}';"
                 "UPDATE schema_versions SET applied_at = NOW() - INTERVAL 79 DAY WHERE version = 4")
        assert enter(shop, one, plain_code(young)).status == 404
        assert enter(shop, one, plain_code(old)).status == 200
        shop.sql("UPDATE schema_versions SET applied_at = NOW() - INTERVAL 91 DAY WHERE version = 4;"
                 f"UPDATE accounts SET created_at_us = created_at_us - 86400000000 * 80 WHERE external_id = '{old}'")
        assert enter(shop, two, plain_code(old)).status == 404
        assert enter(shop, two, code_of(shop, old)).status == 200
    finally:
        shop.sql(f"UPDATE schema_versions SET applied_at = '{applied[0]}' WHERE version = 4")


def test_guesses_of_codes_are_bounded(shop):
    guesser = shop.account()
    answers = [enter(shop, guesser, plain_code(f"guess-{n}")).status for n in range(30)]
    assert answers[0] == 404 and answers[-1] == 429 and set(answers) == {404, 429}


def test_a_code_outlives_a_restart(shop):
    referrer = shop.account()
    before = code_of(shop, referrer)
    shop.kill("octroi")
    shop.start()
    assert code_of(shop, referrer) == before

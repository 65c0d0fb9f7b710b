"""octroictl stripe reconcile: what a lost webhook left out comes in, once, and the difference is printed."""

import concurrent.futures
import json
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import guard  # noqa: E402
from fake_stripe import FakeStripe  # noqa: E402
from octroi import Octroi  # noqa: E402

EURO = 1_000_000


@pytest.fixture
def stripe():
    with FakeStripe() as fake:
        yield fake


@pytest.fixture
def shop(stripe):
    with Octroi("nginx", settings=stripe.settings(plan_prices="price_pro=pro")) as o:
        stripe.webhook_url = o.url + "/api/webhooks/stripe"
        yield o


def opened(shop, stripe, account, cents=2000):
    answer = shop.post(f"/api/credits/topup?account={account}", {"amount": cents})
    assert answer.status == 200, answer
    return stripe.session_of(answer.json["url"])


def reconcile(shop, *options, status=0):
    done = shop.ctl("stripe", "reconcile", "--json", *options, check=False)
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    return json.loads(done.stdout) if status < 2 else done


def balance(shop, account):
    return shop.balance(account)[0]


def test_nothing_is_missing(shop, stripe):
    assert reconcile(shop)["sums"]["payments"] == 0
    account = shop.account()
    intent = stripe.pay(opened(shop, stripe, account))
    stripe.deliver()
    said = reconcile(shop)
    assert said["findings"] == [] and said["sums"]["payments"] == 1
    assert (said["sums"]["stripeMinor"], said["sums"]["ledgerMinor"], said["sums"]["differenceMinor"]) == (2000, 2000, 0)
    stripe.refund(intent["id"], 500)
    stripe.deliver()
    assert reconcile(shop)["sums"]["stripeMinor"] == 1500 and balance(shop, account) == 15 * EURO


def test_lost_webhooks(shop, stripe):
    """Paid, refunded, disputed and won back: every webhook lost, and more pages than one."""
    accounts = [shop.account() for _ in range(12)]
    intents = {a: stripe.pay(opened(shop, stripe, a), lost=True)["id"] for a in accounts for _ in range(10)}
    stripe.refund(intents[accounts[1]], 2000, lost=True)
    stripe.refund(intents[accounts[2]], 333, lost=True)
    stripe.fail_refund(stripe.refund(intents[accounts[3]], 700, lost=True)["id"], lost=True)
    stripe.dispute(intents[accounts[4]], lost=True)
    stripe.close_dispute(stripe.dispute(intents[accounts[5]], lost=True)["id"], "won", lost=True)
    stripe.dispute(intents[accounts[6]], inquiry=True, lost=True)
    stripe.lose()
    assert all(balance(shop, a) == 0 for a in accounts)
    # Looking alone changes nothing, and says no.
    dry = reconcile(shop, "--dry-run", status=1)
    assert dry["sums"]["differences"] == 120 and len(dry["findings"]) == 120
    assert dry["sums"]["differenceMinor"] == 240_000 - 2000 - 333 - 2000 and dry["sums"]["ledgerMinor"] == 0
    assert all(balance(shop, a) == 0 for a in accounts)
    said = reconcile(shop)
    assert said["sums"]["credited"] == 120 and said["sums"]["takenBack"] == 3
    assert said["sums"]["differenceMinor"] == 0 == said["sums"]["differences"]
    lost = {accounts[1]: 20 * EURO, accounts[2]: 3_330_000, accounts[4]: 20 * EURO}
    expected = {a: 200 * EURO - lost.get(a, 0) for a in accounts}
    assert {a: balance(shop, a) for a in accounts} == expected
    # Again, and the webhooks after all: nothing more.
    again = reconcile(shop)
    assert again["findings"] == [] and again["sums"]["credited"] == 0 == again["sums"]["takenBack"]
    for event in list(stripe.objects["event"].values()):
        assert stripe.send(event) == 200
    assert {a: balance(shop, a) for a in accounts} == expected
    assert reconcile(shop)["sums"]["differenceMinor"] == 0


def test_several_at_once_and_webhooks_meanwhile(shop, stripe):
    accounts = [shop.account() for _ in range(20)]
    for account in accounts:
        stripe.pay(opened(shop, stripe, account))
    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        runs = [pool.submit(reconcile, shop) for _ in range(4)] + [pool.submit(stripe.deliver)]
        for run in runs:
            run.result()
    assert {balance(shop, a) for a in accounts} == {20 * EURO}


def test_delayed_payments(shop, stripe):
    account = shop.account()
    session = opened(shop, stripe, account)
    stripe.pay(session, delayed=True, lost=True)
    assert reconcile(shop)["sums"]["payments"] == 0 and balance(shop, account) == 0
    stripe.settle_delayed(session, lost=True)
    assert reconcile(shop)["sums"]["credited"] == 1 and balance(shop, account) == 20 * EURO


def test_orders_that_nobody_paid(shop, stripe):
    """Sessions live a day; then their orders are given up, unless they were paid: also those without session."""
    waiting, expired, paid, cut = (shop.account() for _ in range(4))
    sessions = {a: opened(shop, stripe, a) for a in (waiting, expired, paid, cut)}
    stripe.expire(sessions[expired], lost=True)
    stripe.pay(sessions[paid], lost=True)
    shop.sql(f"UPDATE topups SET session_id = '' WHERE account_id = {guard.key_of(cut)}")
    assert reconcile(shop, "--since", "2030-01-01")["sums"]["expired"] == 0
    shop.sql("UPDATE topups SET created_at_us = created_at_us - 90000000000")  # 25 hours
    shop.sql("UPDATE billing SET open_orders = ''")
    said = reconcile(shop, "--since", "2030-01-01")
    assert said["sums"]["expired"] == 2 and said["sums"]["credited"] == 1
    states = dict(shop.sql("SELECT a.external_id, t.state FROM topups t JOIN accounts a ON a.id = t.account_id"))
    assert (states[waiting], states[expired], states[paid], states[cut]) == ("0", "2", "4", "2")
    assert balance(shop, paid) == 20 * EURO
    # Given up, and paid after all: the money counts.
    stripe.pay(sessions[cut], lost=True)
    assert reconcile(shop)["sums"]["credited"] == 1 and balance(shop, cut) == 20 * EURO


def test_what_needs_a_person(shop, stripe):
    account = shop.account()
    intent = stripe.pay(opened(shop, stripe, account), lost=True)
    wrong = stripe.pay(opened(shop, stripe, shop.account()), lost=True)
    wrong.update(amount_received=1)
    nowhere = stripe.pay(opened(shop, stripe, shop.account()), lost=True)
    nowhere["metadata"] = {"topup_id": guard.public_id("nobody", 7)}
    foreign = stripe.pay(opened(shop, stripe, shop.account()), lost=True)
    foreign["metadata"] = {}
    said = reconcile(shop, status=1)
    assert said["sums"]["credited"] == 1 and said["sums"]["foreign"] == 1 and said["sums"]["differences"] == 2
    findings = {row["object"]: (row["finding"], row["done"]) for row in said["findings"]}
    assert findings[intent["id"]][1] == "credited"
    assert findings[wrong["id"]] == ("another amount than the order's", "")
    assert findings[nowhere["id"]] == ("paid, but there is no such order here", "")
    # A payment that vanished at Stripe.
    del stripe.objects["payment_intent"][intent["id"]]
    said = reconcile(shop, status=1)
    assert ("credited, but there is no such payment at Stripe", "") in [
        (row["finding"], row["done"]) for row in said["findings"] if row["object"] == intent["id"]]


def test_since_leaves_out_what_is_older(shop, stripe):
    account = shop.account()
    intent = stripe.pay(opened(shop, stripe, account), lost=True)
    intent["created"] -= 8 * 86400
    assert reconcile(shop)["sums"]["payments"] == 0
    said = reconcile(shop, "--since", "2020-01-01")
    assert said["sums"]["credited"] == 1 and balance(shop, account) == 20 * EURO
    # Begun before, paid since: looked at one by one.
    assert reconcile(shop)["sums"]["payments"] == 1
    # A refund of it is found although its payment is not in the list.
    stripe.refund(intent["id"], 100, lost=True)
    assert reconcile(shop)["sums"]["takenBack"] == 1 and balance(shop, account) == 19 * EURO


def test_stripe_in_trouble(shop, stripe):
    account = shop.account()
    stripe.pay(opened(shop, stripe, account), lost=True)
    for path in ("payment_intents", "refunds", "disputes", "events"):
        stripe.trouble(f"/v1/{path}", status=500)
        done = reconcile(shop, status=2)
        assert f"/v1/{path}: Stripe answers 500" in done.stderr and stripe.key not in done.stderr
        stripe.calm()
    assert balance(shop, account) == 20 * EURO  # what came before was done, and is not done again
    limited = stripe.trouble("/v1/.*", status=429, times=3)
    assert reconcile(shop)["sums"]["credited"] == 0 and limited.seen == 3


def test_arguments(shop, stripe, nginx):
    assert "since" in reconcile(shop, "--since", "yesterday", status=2).stderr
    assert reconcile(shop, "more", status=2)
    assert "stripe_secret_key" in reconcile(nginx, status=2).stderr
    stripe.pay(opened(shop, stripe, shop.account()), lost=True)
    text = shop.ctl("stripe", "reconcile").stdout
    assert "credited now" in text and "paid, not credited" in text


@pytest.mark.parametrize("change, check, state, words", [
    ({}, "stripe", "ok", "the test key"),
    ({}, "stripe webhook secret", "ok", "set"),
    ({}, "stripe clock", "ok", "0 s"),
    ({"stripe_secret_key": "sk_test_other"}, "stripe", "problem", "401"),
    ({"stripe_secret_key": ""}, "stripe", "skipped", "no top-ups"),
    ({"stripe_api_base": "http://127.0.0.1:1"}, "stripe", "problem", "127.0.0.1:1"),
    ({"public_url": ""}, "stripe return page", "problem", "no top-ups"),
])
def test_doctor(shop, stripe, tmp_path, change, check, state, words):
    path = pathlib.Path(shop.env["OCTROI_CONF"])
    original = path.read_text()
    lines = [line for line in original.splitlines() if line.split("=")[0].strip() not in change]
    try:
        path.write_text("\n".join(lines + [f"{key} = {value}" for key, value in change.items()]) + "\n")
        done = shop.ctl("doctor", "--json", check=False)
    finally:
        path.write_text(original)
    [found] = [row for row in json.loads(done.stdout)["checks"] if row["check"] == check]
    assert found["state"] == state and words in found["found"], found
    assert stripe.key not in done.stdout + done.stderr


@pytest.mark.parametrize("skew, state", [(60, "warning"), (-60, "warning"), (400, "problem"), (-400, "problem")])
def test_doctor_and_the_clock(shop, stripe, skew, state):
    stripe.clock_skew = skew
    done = shop.ctl("doctor", "--json", check=False)
    [found] = [row for row in json.loads(done.stdout)["checks"] if row["check"] == "stripe clock"]
    assert found["state"] == state, found

"""Postpaid accounts: what a month came to is charged at its end, once, and what becomes of an account whose card does
not pay.  Time is the database's, set by the test; Stripe is tests/fake_stripe.py, which counts what it really charged.
"""

import datetime
import json
import pathlib
import re
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import guard  # noqa: E402
import plans  # noqa: E402
from fake_stripe import FakeStripe  # noqa: E402
from octroi import Octroi, wait_until  # noqa: E402
from timetravel import Clock, instant_us  # noqa: E402

EURO = 1_000_000
CENT = 10_000
OPEN, SENT, FAILED, PAID, VOID, CARRIED = "0", "1", "2", "3", "4", "5"
FIRST = 500  # cents of the top-up with which a customer saved a card


@pytest.fixture(scope="module")
def stripe():
    with FakeStripe() as fake:
        yield fake


@pytest.fixture(scope="module")
def shop(stripe):
    with Octroi("nginx", settings=stripe.settings()) as o:
        stripe.webhook_url = o.url + "/api/webhooks/stripe"
        yield o


@pytest.fixture(scope="module")
def clock(shop):
    clock = Clock(shop)
    clock.set("2027-01-10 12:00:00")
    return clock


@pytest.fixture(autouse=True)
def calm(stripe):
    yield
    stripe.calm()
    stripe.lose()


class Customer:
    """A postpaid account that owes `cents`, with a card saved by a top-up (declines: the bank's answer to it), or none."""

    def __init__(self, shop, stripe, cents=0, declines="", card=True, unit="money", micros=None, **fields):
        self.shop, self.stripe = shop, stripe
        self.id = shop.account(mode="postpaid", unit=unit, hardLimitMicros=1_000_000 * EURO, **fields)
        self.customer = None
        if card:
            opened = shop.post(f"/api/credits/topup?account={self.id}", {"amount": FIRST})
            assert opened.status == 200, opened
            session = stripe.session_of(opened.json["url"])
            self.customer = stripe.pay(session)["customer"]
            stripe.deliver()
            stripe.cards(self.customer)[0]["_declines"] = declines
            shop.fund(self.id, -shop.balance(self.id)[0])
        if cents or micros:
            shop.fund(self.id, -(micros or cents * CENT))

    def statements(self):
        """(state, amount in minor units, failures, failure), oldest first."""
        return [(state, int(amount), int(failures), failure) for state, amount, failures, failure in self.shop.sql(
            "SELECT state, amount_minor, failures, failure FROM statements "
            f"WHERE account_id = {guard.key_of(self.id)} ORDER BY seq")]

    def wait(self, state, count=1):
        def reached():
            found = self.statements()
            return found if len(found) == count and found[-1][0] == state else None
        try:
            return wait_until(reached, 30)
        except AssertionError:
            raise AssertionError(f"{self.statements()} is not {state}: {self.outbox()}") from None

    def outbox(self):
        return self.shop.sql("SELECT kind, state, attempts, error FROM outbox "
                             f"WHERE account_id = {guard.key_of(self.id)} ORDER BY seq")

    def payments(self):
        return [int(amount) for amount, in self.shop.sql(
            f"SELECT amount_micros FROM transactions WHERE type = 9 AND account_id = {guard.key_of(self.id)}")]

    def charged(self):
        """Cents that Stripe took beyond the top-up with which the card was saved."""
        amounts = [charge["amount"] for charge in self.stripe.charges(self.customer)] if self.customer else []
        return amounts[1:]

    def invoices(self):
        return [i for i in self.stripe.objects["invoice"].values() if i["metadata"].get("account") == self.id]

    def status(self):
        return self.shop.get(f"/api/accounts/{self.id}").json["status"]

    def balance(self):
        return self.shop.balance(self.id)[0]

    def pay(self, **more):
        return self.shop.post(f"/api/credits/pay?account={self.id}", {}, **more)

    def authorize(self):
        return guard.authorize(self.shop, self.id)

    def replace_card(self, declines=""):
        for card in self.stripe.cards(self.customer):
            self.stripe.remove_card(card["id"])
        return self.stripe.save_card(self.customer, declines)


def next_month(clock):
    """A second after the month's end, in UTC."""
    now = datetime.datetime.fromtimestamp(clock.now_us // 10**6, datetime.timezone.utc)
    year, month = (now.year + 1, 1) if now.month == 12 else (now.year, now.month + 1)
    return clock.set(f"{year}-{month:02d}-01 00:00:01")


# -- a month ------------------------------------------------------------------------------------------------


def test_a_month_is_charged_at_its_end(shop, stripe, clock):
    c = Customer(shop, stripe, email="anna@example.org")
    hold = guard.hold(shop, c.id, inputTokens=1_000_000, maxOutputTokens=1000)
    settled = shop.post("/api/guard/settle", {"hold": hold, "inputTokens": 1_000_000, "outputTokens": 0})
    assert settled.status == 200, settled
    owed = -c.balance()
    assert owed > 0 and c.statements() == []
    next_month(clock)
    cents = owed // CENT
    assert c.wait(PAID) == [(PAID, cents, 0, "")]
    assert c.balance() == -(owed % CENT), "what is less than a cent stays owed"
    assert c.payments() == [cents * CENT] and c.charged() == [cents]
    [invoice] = c.invoices()
    assert (invoice["total"], invoice["currency"], invoice["customer"], invoice["status"]) == (
        cents, "eur", c.customer, "paid")
    assert invoice["metadata"] == {"statement": guard.public_id(c.id, 1), "account": c.id}
    # Stripe says so too, which changes nothing; nor does its word of the payment intent.
    stripe.deliver()
    assert c.payments() == [cents * CENT] and c.status() == "active"
    parked = shop.ctl("webhook", "list", "--json").stdout
    assert invoice["_payment_intent"] not in parked, parked
    shown = shop.get(f"/api/credits?account={c.id}").json["transactions"][0]
    assert (shown["type"], shown["amountMicros"]) == ("PAYMENT", cents * CENT)


def test_months_end_where_the_account_is(shop, stripe, clock):
    """One instant is in February in Auckland, and in January in Los Angeles."""
    clock.set("2027-03-30 12:00:00")
    east = Customer(shop, stripe, cents=700, timeZone="Pacific/Auckland")
    west = Customer(shop, stripe, cents=800, timeZone="America/Los_Angeles")
    clock.set("2027-04-01 00:01:00", "Pacific/Auckland")
    east.wait(PAID)
    shop.ctl("tick")
    assert west.statements() == []
    clock.set("2027-04-01 00:01:00", "America/Los_Angeles")
    west.wait(PAID)
    [(came, ended)] = shop.sql(f"SELECT from_us, to_us FROM statements WHERE account_id = {guard.key_of(west.id)}")
    assert int(ended) == instant_us("2027-04-01 00:00:00", "America/Los_Angeles")
    assert int(came) == instant_us("2027-03-30 12:00:00")
    assert east.charged() == [700] and west.charged() == [800]


def test_months_that_nobody_looked_at(shop, stripe, clock):
    c = Customer(shop, stripe, cents=900)
    next_month(clock), next_month(clock)
    c.wait(PAID)
    shop.fund(c.id, -250 * CENT)
    next_month(clock)
    assert c.wait(PAID, 2) == [(PAID, 900, 0, ""), (PAID, 250, 0, "")]
    assert c.charged() == [900, 250]


def test_credits_are_charged_at_their_value(shop, stripe, clock):
    c = Customer(shop, stripe, unit="credit", micros=1234 * EURO + 567_890)
    next_month(clock)
    assert c.wait(PAID) == [(PAID, 1234, 0, "")]
    assert c.charged() == [1234] and c.balance() == -567_890


def test_too_little_is_carried_over(shop, stripe, clock):
    c = Customer(shop, stripe, cents=30)
    next_month(clock)
    assert c.wait(CARRIED) == [(CARRIED, 30, 0, "")]
    shop.fund(c.id, -40 * CENT)
    next_month(clock)
    assert c.wait(PAID, 2)[-1] == (PAID, 70, 0, "")
    assert c.charged() == [70] and c.balance() == 0


def test_nothing_owed_is_nothing_stated(shop, stripe, clock):
    c, rich = Customer(shop, stripe), Customer(shop, stripe)
    shop.fund(rich.id, 5 * EURO)
    next_month(clock)
    shop.ctl("tick")
    assert c.statements() == rich.statements() == []


# -- what is not paid ------------------------------------------------------------------------------------------


def test_declined_then_paid_when_asked(shop, stripe, clock):
    c = Customer(shop, stripe, cents=1500, declines="card_declined")
    next_month(clock)
    assert c.wait(FAILED) == [(FAILED, 1500, 1, "card_declined")]
    assert c.status() == "past_due" and c.balance() == -15 * EURO
    assert c.authorize().status == 200, "past due is not suspended"
    refused = c.pay()
    assert (refused.status, refused.json["error"], refused.json["code"]) == (402, "PAYMENT_DECLINED", "card_declined")
    assert refused.json["invoiceUrl"] == c.invoices()[0]["hosted_invoice_url"]
    assert c.statements() == [(FAILED, 1500, 2, "card_declined")]
    c.replace_card()
    shop.fund(c.id, -200 * CENT)
    paid = c.pay()
    assert paid.status == 200, paid
    assert {name: paid.json[name] for name in ("paid", "amount", "amountMicros", "balanceMicros")} == {
        "paid": True, "amount": 1700, "amountMicros": 17 * EURO, "balanceMicros": 0}
    assert paid.json["statements"] == [
        {"id": guard.public_id(c.id, 1), "amount": 1500, "amountMicros": 15 * EURO},
        {"id": guard.public_id(c.id, 2), "amount": 200, "amountMicros": 2 * EURO}]
    assert c.status() == "active" and c.charged() == [1500, 200]
    again = c.pay()
    assert (again.status, again.json["amount"], again.json["statements"]) == (200, 0, [])
    assert c.charged() == [1500, 200]
    wait_until(lambda: {state for _, state, _, _ in c.outbox()} == {"1"}, 30, "the end of what is to be done")


def test_expired_then_replaced(shop, stripe, clock):
    c = Customer(shop, stripe, cents=1600, declines="expired_card")
    next_month(clock)
    c.wait(FAILED)
    c.replace_card()
    shop.ctl("tick")
    assert c.charged() == [], "not before its time"
    clock.forward(days=1, seconds=1)
    assert c.wait(PAID) == [(PAID, 1600, 1, "expired_card")]
    assert c.charged() == [1600] and c.status() == "active"


def test_retries_after_1_3_5_and_7_days_then_it_is_left_to_the_customer(shop, stripe, clock):
    c = Customer(shop, stripe, cents=1700, declines="insufficient_funds")
    next_month(clock)
    for failures, days in enumerate((1, 3, 5, 7), 1):
        wait_until(lambda: c.statements()[0:1] == [(FAILED, 1700, failures, "insufficient_funds")], 30)
        wait_until(lambda: c.outbox()[0][1:3] == ("0", "0"), 30, "the next attempt")
        clock.forward(days=days, seconds=-60)
        shop.ctl("tick")
        assert c.statements()[0][2] == failures
        clock.forward(seconds=120)
    wait_until(lambda: c.outbox()[0][1:] == ("2", "0", "declined: insufficient_funds"), 30, "giving up")
    assert c.statements()[0][2] == 5
    [listed] = [row for row in json.loads(shop.ctl("outbox", "list", "--json").stdout)["items"]
                if row["id"] == f"{c.id}/1"]
    assert (listed["kind"], listed["state"], listed["error"]) == (
        "statement", "parked", "declined: insufficient_funds")
    c.replace_card()
    assert shop.ctl("outbox", "retry", f"{c.id}/7", check=False).returncode == 1
    shop.ctl("outbox", "retry", f"{c.id}/1")
    c.wait(PAID)
    assert c.charged() == [1700]
    wait_until(lambda: c.outbox()[0][1] == "1", 30, "the end of what is to be done")
    assert f"{c.id}/1" not in shop.ctl("outbox", "list").stdout
    assert f"{c.id}/1" in shop.ctl("outbox", "list", "--all").stdout


def test_without_a_card_on_the_invoices_page(shop, stripe, clock):
    c = Customer(shop, stripe, cents=1800, card=False)
    next_month(clock)
    assert c.wait(FAILED) == [(FAILED, 1800, 1, "no_payment_method")]
    refused = c.pay()
    assert (refused.status, refused.json["code"]) == (402, "no_payment_method")
    [invoice] = c.invoices()
    assert refused.json["invoiceUrl"] == invoice["hosted_invoice_url"]
    assert not [r for r in stripe.requests if r["path"] == f"/v1/invoices/{invoice['id']}/pay"]
    stripe.pay_invoice(invoice["id"])
    stripe.deliver()
    assert c.statements()[0][0] == PAID and c.balance() == 0 and c.status() == "active"
    for event in [e for e in stripe.objects["event"].values() if e["data"]["object"]["id"] == invoice["id"]]:
        assert stripe.send(event) == 200
    assert c.payments() == [18 * EURO]
    assert len([i for i in stripe.charges(invoice["customer"])]) == 1
    wait_until(lambda: c.outbox()[0][1] == "1", 30, "the end of what is to be done")


def test_one_customer_however_it_is_made(shop, stripe, clock):
    c = Customer(shop, stripe, cents=1900, card=False, email="b@example.org")
    assert shop.call("PUT", f"/api/accounts/{c.id}", json={"name": "Berta"}).status == 200
    assert c.pay().status == 402
    [made] = [x for x in stripe.objects["customer"].values() if x["metadata"].get("user_id") == c.id]
    assert (made["email"], made["name"]) == ("b@example.org", "Berta")
    opened = shop.post(f"/api/credits/topup?account={c.id}", {"amount": 500})
    session = stripe.get("checkout.session", stripe.session_of(opened.json["url"]))
    assert session["customer"] == made["id"]


def test_grace_then_suspension_until_it_pays(shop, stripe, clock):
    c = Customer(shop, stripe, cents=2000, declines="card_declined")
    next_month(clock)
    c.wait(FAILED)
    clock.forward(days=2, hours=23)
    assert c.authorize().status == 200
    clock.forward(hours=2)
    refused = c.authorize()
    assert (refused.status, refused.json["error"]) == (402, "ACCOUNT_SUSPENDED")
    assert c.status() == "suspended"
    c.replace_card()
    assert c.pay().status == 200
    assert c.status() == "active" and c.authorize().status == 200


def test_what_a_person_suspended_a_payment_does_not_restore(shop, stripe, clock):
    c = Customer(shop, stripe, cents=2100, declines="card_declined")
    next_month(clock)
    c.wait(FAILED)
    assert shop.ctl("account", "set", c.id, "--status", "suspended").returncode == 0
    c.replace_card()
    assert c.pay().status == 200 and c.balance() == 0
    assert c.status() == "suspended" and c.authorize().json["error"] == "ACCOUNT_SUSPENDED"


def test_prepaid_debt_is_paid_when_asked(shop, stripe, clock):
    account = shop.account()
    assert shop.post(f"/api/credits/pay?account={account}", {}).json == {
        "paid": True, "amount": 0, "amountMicros": 0, "balanceMicros": 0, "statements": []}
    shop.fund(account, -3 * EURO)
    refused = shop.post(f"/api/credits/pay?account={account}", {})
    assert (refused.status, refused.json["code"]) == (402, "no_payment_method")
    [customer] = [x for x in stripe.objects["customer"].values() if x["metadata"].get("user_id") == account]
    stripe.save_card(customer["id"], default=True)
    paid = shop.post(f"/api/credits/pay?account={account}", {})
    assert (paid.status, paid.json["amount"], paid.json["balanceMicros"]) == (200, 300, 0)
    assert [charge["amount"] for charge in stripe.charges(customer["id"])] == [300]


# -- what others do meanwhile ------------------------------------------------------------------------------------


@pytest.mark.parametrize("topup, left", [(500, 700), (1200, 0), (2000, 0), (1180, 20)])
def test_a_topup_before_the_charge_makes_it_smaller(shop, stripe, clock, topup, left):
    c = Customer(shop, stripe, cents=1200)
    stripe.trouble("/v1/invoices", status=500)
    next_month(clock)
    wait_until(lambda: c.outbox() and c.outbox()[0][3] != "", 30, "a charge that fails")
    assert c.statements() == [(OPEN, 1200, 0, "")]
    shop.fund(c.id, topup * CENT)
    stripe.calm()
    clock.forward(minutes=10)
    if left >= 50:
        assert c.wait(PAID) == [(PAID, left, 0, "")]
        assert c.charged() == [left] and c.balance() == 0
    else:
        c.wait(CARRIED if left else VOID)
        assert c.charged() == [] and c.balance() == (topup - 1200) * CENT


@pytest.mark.parametrize("topup, charged", [(2500, []), (1000, [1500])])
def test_a_topup_after_a_decline_voids_the_invoice(shop, stripe, clock, topup, charged):
    """A customer who pays another way is not charged for the same debt, and is restored without being asked again."""
    c = Customer(shop, stripe, cents=2500, declines="card_declined")
    next_month(clock)
    c.wait(FAILED)
    [invoice] = c.invoices()
    c.replace_card()
    shop.fund(c.id, topup * CENT)
    c.wait(PAID if charged else VOID)
    assert stripe.get("invoice", invoice["id"])["status"] == "void"
    assert c.status() == "active" and c.charged() == charged and c.balance() == 0


def test_an_invoice_with_another_line_is_not_paid(shop, stripe, clock):
    c = Customer(shop, stripe, cents=2600)
    stop = stripe.stop_at("/v1/invoices/in_[^/]+/finalize", "before")
    next_month(clock)
    stop.wait_reached()
    [invoice] = c.invoices()
    stripe.add_line(invoice, 2600)
    stop.release()
    wait_until(lambda: c.outbox()[0][1] == "2", 30, "giving up")
    assert "amount" in c.outbox()[0][3] and invoice["status"] == "void"
    assert c.charged() == [] and c.balance() == -26 * EURO


def test_what_does_not_fit_is_not_booked(shop, stripe, clock):
    c = Customer(shop, stripe, cents=2700, card=False)
    assert c.pay().status == 402
    # The worker tries, too, and would find an invoice that is paid meanwhile.
    wait_until(lambda: c.outbox()[0][3].startswith("declined"), 30, "the worker's attempt")
    [invoice] = c.invoices()
    stripe.pay_invoice(invoice["id"])
    [paid] = [e for e in stripe.undelivered if e["type"] == "invoice.paid"]
    for wrong in ({"total": 2701}, {"currency": "usd"}, {"id": "in_other"}, {"metadata": {"statement": "x"}},
                  {"metadata": {"statement": guard.public_id(c.id, 9), "account": c.id}},
                  {"metadata": {"statement": guard.public_id(c.id, 1), "account": "somebody-else"}}):
        other = {**paid, "id": f"{paid['id']}{len(str(wrong))}", "data": {"object": {**paid["data"]["object"], **wrong}}}
        assert stripe.send(other) == 200
        assert c.balance() == -27 * EURO, wrong
        assert other["id"] in shop.ctl("webhook", "list", "--json").stdout
    assert stripe.send({**paid, "livemode": True, "id": paid["id"] + "live"}) == 200
    assert c.balance() == -27 * EURO
    stripe.deliver()
    assert c.balance() == 0 and c.payments() == [27 * EURO]


# -- limits --------------------------------------------------------------------------------------------------------


def test_hard_limit_hit_and_raised_on_the_next_request(shop, stripe, clock):
    c = Customer(shop, stripe, cents=1000)
    assert shop.call("PUT", f"/api/accounts/{c.id}", json={"hardLimitMicros": 10 * EURO}).status == 200
    refused = c.authorize()
    assert (refused.status, refused.json["error"], refused.json["code"]) == (
        402, "HARD_LIMIT_REACHED", "billing_hard_limit_reached")
    assert shop.call("PUT", f"/api/accounts/{c.id}", json={"hardLimitMicros": 20 * EURO}).status == 200
    assert c.authorize().status == 200


def test_soft_limit_once_per_crossing(shop, stripe, clock):
    c = Customer(shop, stripe, softLimitMicros=5 * EURO)

    def told():
        return len(re.findall(rf'soft_limit_reached.*{re.escape(c.id)}\b', shop.log()))

    def owes(euros, times):
        shop.fund(c.id, -euros * EURO - c.balance())
        wait_until(lambda: len([1 for kind, state, _, _ in c.outbox() if (kind, state) == ("1", "1")]) == times, 30)
        wait_until(lambda: told() == times, 30, "the log")
        assert len(c.outbox()) == times
    owes(5, 0)
    owes(6, 1)
    owes(9, 1)
    owes(4, 1)
    owes(7, 2)
    metrics = shop.get("/metrics", key="report").text
    assert int(re.search(r"^octroi_soft_limits_total (\d+)$", metrics, re.M)[1]) >= 2


def test_who_may_pay(shop, stripe):
    account = shop.account()
    for key, status in (("guard", 403), ("report", 403), ("app", 200), (None, 401)):
        assert shop.post(f"/api/credits/pay?account={account}", {}, key=key).status == status
    assert shop.post(f"/api/credits/pay?account={account}", {"amount": 5}).status == 400


# -- with a plan ------------------------------------------------------------------------------------------------


def test_an_allowance_does_not_pay_what_the_month_came_to(shop, stripe, clock):
    """Month and period end at the same instant, and somebody looks only later."""
    plans.add(shop, "team", pool_micros=500 * EURO)
    clock.set("2031-01-10 12:00:00")
    c = Customer(shop, stripe, unit="credit", plan="team")
    shop.fund(c.id, -shop.balance(c.id)[0] - 800 * EURO)
    next_month(clock)
    assert c.wait(PAID) == [(PAID, 800, 0, "")]
    assert c.charged() == [800] and c.balance() == 500 * EURO
    shop.audit()
    # So it is while it is not paid yet.
    c.replace_card("card_declined")
    shop.fund(c.id, -1300 * EURO)
    next_month(clock)
    assert c.wait(FAILED, 2)[-1][:2] == (FAILED, 800)
    assert c.balance() == -300 * EURO and c.status() == "past_due"
    assert shop.get(f"/api/credits?account={c.id}").json["statement"]["owedMicros"] == 800 * EURO
    shop.audit()
    c.replace_card()
    paid = c.pay()
    assert (paid.status, paid.json["amount"], paid.json["balanceMicros"]) == (200, 800, 500 * EURO), paid
    assert c.charged() == [800, 800] and c.status() == "active"
    shop.audit()


def test_under_mod_fcgid():
    """A process that serves one request at a time and may be gone the next moment does the work as well."""
    with FakeStripe() as stripe, Octroi("apache-fcgid", settings=stripe.settings()) as o:
        stripe.webhook_url = o.url + "/api/webhooks/stripe"
        c = Customer(o, stripe, cents=2800)
        clock = Clock(o)
        clock.forward(days=31)

        def paid():
            assert o.get(f"/api/credits?account={c.id}").status == 200
            return c.statements() == [(PAID, 2800, 0, "")]
        wait_until(paid, 60, "the charge")
        assert c.charged() == [2800]


def test_without_stripe(nginx):
    assert nginx.post("/api/credits/pay?account=nobody", {}).status == 503

"""Auto-recharge under attack: nobody is charged twice, without consent, beyond the caps, or with another's card.

Written from the contract (src/routes/openapi.json, docs/recharge.md) alone.  What counts are the payments that
tests/fake_stripe.py took, not octroi's word.  Time is the database's, set by the test.
"""

import concurrent.futures
import copy
import itertools
import json
import pathlib
import random
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import guard  # noqa: E402
from conftest import TOKEN_SECRET  # noqa: E402
from fake_stripe import FakeStripe  # noqa: E402
from octroi import Octroi, wait_until  # noqa: E402
from second import Second  # noqa: E402
from swarm import Swarm  # noqa: E402
from timetravel import Clock  # noqa: E402

EURO = 1_000_000
CENT = 10_000
PATH = "/api/credits/recharge"
POST = "/v1/payment_intents"
FIRST = 500  # cents of the top-up that saved the card
TERMS = "the terms' version"
DEEP = 10**12  # a threshold that no charge reaches
SERIAL = itertools.count(1)


@pytest.fixture(scope="module")
def stripe():
    with FakeStripe() as fake:
        yield fake


@pytest.fixture(scope="module")
def shop(stripe):
    settings = stripe.settings(token_secret=TOKEN_SECRET, low_balance="0", stripe_timeout_ms="4000")
    with Octroi("nginx", settings=settings) as o:
        stripe.webhook_url = o.url + "/api/webhooks/stripe"
        yield o


@pytest.fixture(scope="module")
def clock(shop, stripe):
    clock = Clock(shop)
    set_time(clock, stripe, "2027-01-10 12:00:00")
    return clock


@pytest.fixture(autouse=True)
def calm(stripe):
    yield
    stripe.calm()
    stripe.stops.clear()
    stripe.lose()


def set_time(clock, stripe, local, zone="UTC"):
    clock.set(local, zone)
    stripe.time = clock.now_us // 10**6


def forward(clock, stripe, **of_timedelta):
    clock.forward(**of_timedelta)
    stripe.time = clock.now_us // 10**6


class Payer:
    """An account with 10 units, whose customer saved a card, and perhaps auto-recharge below 5 units."""

    def __init__(self, shop, stripe, declines="", on=True, card=True, amount=2000, cap=10_000, below=5 * EURO, **fields):
        self.shop, self.stripe = shop, stripe
        self.id = shop.account(f"abuse:{next(SERIAL)}", **fields)
        if card:
            opened = shop.post(f"/api/credits/topup?account={self.id}", {"amount": FIRST, "saveCard": True})
            assert opened.status == 200, opened
            stripe.pay(stripe.session_of(opened.json["url"]))
            stripe.deliver()
            stripe.cards(self.customer)[0]["_declines"] = declines
        self.set_balance(10 * EURO)
        if on:
            self.on(below, amount, cap)

    @property
    def customer(self):
        [found] = [c["id"] for c in self.stripe.objects["customer"].values() if c["metadata"].get("user_id") == self.id]
        return found

    @property
    def says(self):
        """The pattern of the parameters of a POST for a charge of this customer."""
        return f"(?=.*{self.customer})(?=.*off_session)"

    # -- what the customer does ----------------------------------------------------------------------

    def put(self, body, **more):
        return self.shop.call("PUT", f"{PATH}?account={self.id}", json=body, **more)

    def body(self, below=5 * EURO, amount=2000, cap=10_000):
        return {"enabled": True, "belowMicros": below, "amount": amount, "monthlyCap": cap,
                "consent": {"version": self.show()["terms"]["version"], "locale": "en"}}

    def on(self, below=5 * EURO, amount=2000, cap=10_000):
        answer = self.put(self.body(below, amount, cap))
        assert answer.status == 200, answer
        return answer.json

    def off(self):
        answer = self.put({"enabled": False})
        assert answer.status == 200, answer
        return answer.json

    def set_balance(self, micros):
        change = micros - self.balance()
        if change:
            self.shop.fund(self.id, change)

    def cross(self):
        """The balance falls to 4 units."""
        self.set_balance(4 * EURO)

    # -- what there is -------------------------------------------------------------------------------

    def show(self):
        answer = self.shop.get(f"{PATH}?account={self.id}")
        assert answer.status == 200, answer
        return answer.json

    def state(self):
        shown = self.show()
        return shown["state"], shown["reason"]

    def balance(self):
        return self.shop.balance(self.id)[0]

    def taken(self):
        """Cents of each payment that Stripe took by auto-recharge."""
        return [i["amount"] for i in self.intents() if i["status"] == "succeeded"]

    def intents(self):
        return [i for i in list(self.stripe.objects["payment_intent"].values())
                if i["customer"] == self.customer and "payment_method" in i]

    def posts(self):
        """Parameters of all POSTs, and their keys."""
        return [(dict(r["pairs"]), r["headers"]["idempotency-key"]) for r in list(self.stripe.requests)
                if (r["method"], r["path"]) == ("POST", POST) and self.customer in r["text"]]

    def booked(self):
        """Cents of each top-up but the first."""
        rows = self.shop.sql("SELECT amount_micros FROM transactions WHERE type = 0"
                             f" AND account_id = {guard.key_of(self.id)} ORDER BY seq")
        return [int(amount) // CENT for amount, in rows][1:]

    def alerts(self):
        items = self.shop.get(f"/api/credits/alerts?account={self.id}&limit=100").json["items"]
        return [i["kind"].removeprefix("recharge_") for i in reversed(items) if i["kind"].startswith("recharge_")]

    # -- what must come --------------------------------------------------------------------------------

    def wait(self, state, reason=None, seconds=30):
        try:
            return wait_until(lambda: self.state() == (state, reason), seconds)
        except AssertionError:
            raise AssertionError(f"{self.show()} is not {state}, {reason}") from None

    def charged(self, *cents):
        """Waits until that was charged, then until nothing is under way; it is booked, and all that Stripe took."""
        wait_until(lambda: self.booked() == list(cents) and self.show()["pending"] is None, 30,
                   f"{cents} booked for {self.id}, not {self.booked()}: {self.show()}")
        self.shop.ctl("tick")
        assert self.booked() == list(cents) == self.taken(), (self.booked(), self.taken())
        keys = {key: pairs for pairs, key in self.posts()}
        assert all(keys[key] == pairs for pairs, key in self.posts()), "a key with other parameters"
        assert len({pairs["metadata[topup_id]"] for pairs in keys.values()}) == len(keys), "an order under two keys"


def age(shop, stripe, clock, minutes=10, times=6, until=lambda: False):
    """Time goes on in steps, so that everything that waits is tried again."""
    for _ in range(times):
        if until():
            return
        forward(clock, stripe, minutes=minutes)
        shop.ctl("tick")


# -- when, and how much ---------------------------------------------------------------------------------


def test_just_at_the_threshold_nothing_is_charged(shop, stripe, clock):
    c = Payer(shop, stripe)
    c.set_balance(5 * EURO)
    shop.ctl("tick")
    assert c.state() == ("ready", None) and c.taken() == []
    shop.fund(c.id, -1)
    c.charged(2000)
    assert c.balance() == 25 * EURO - 1 and c.state() == ("ready", None)


def test_held_credits_do_not_count(shop, stripe, clock):
    c = Payer(shop, stripe)
    guard.hold(shop, c.id, inputTokens=3_000_000, maxOutputTokens=1)
    shop.ctl("tick")
    assert c.state() == ("ready", None) and c.taken() == []


def test_the_request_is_as_agreed(shop, stripe, clock):
    c = Payer(shop, stripe, amount=1234)
    c.cross()
    c.charged(1234)
    [(pairs, _)] = c.posts()
    [card] = stripe.cards(c.customer)
    order, description = pairs.pop("metadata[topup_id]"), pairs.pop("description", "")
    assert pairs == {"amount": "1234", "currency": "eur", "customer": c.customer, "payment_method": card["id"],
                     "payment_method_types[0]": "card", "off_session": "true", "confirm": "true",
                     "error_on_requires_action": "true", "metadata[user_id]": c.id}
    assert order and c.id not in description and c.alerts() == ["done"]


def test_64_settlements_that_all_cross_charge_once(shop, stripe, clock):
    each = guard.cost("gpt-4o", input=100_000)
    c = Payer(shop, stripe, amount=5000, cap=20_000)
    c.set_balance(64 * each + 5 * EURO)
    holds = [guard.hold(shop, c.id, inputTokens=100_000, maxOutputTokens=1) for _ in range(64)]
    c.set_balance(5 * EURO + each // 2)
    stop = stripe.stop_at(POST, "after", says=c.says)
    with Swarm([shop.internal_url], 64) as swarm:
        settled = swarm.run(swarm.request("POST", "/api/guard/settle", shop.keys["guard"], {
            "hold": hold, "inputTokens": 100_000, "outputTokens": 0}) for hold in holds)
        assert {a.status for a in settled} == {200}
        stop.wait_reached()
        shown = c.show()
        assert (shown["state"], shown["pending"]["amount"], shown["spentThisMonth"], shown["chargesToday"]) == (
            "pending", 5000, 5000, 1)
        stop.release()
        c.charged(5000)
        again = swarm.run(swarm.request("POST", "/api/guard/settle", shop.keys["guard"], {
            "hold": hold, "inputTokens": 100_000, "outputTokens": 0}) for hold in holds)
        assert {a.status for a in again} == {200}
    c.charged(5000)
    assert c.balance() == 5 * EURO + each // 2 - 64 * each + 50 * EURO


def test_64_crossings_of_two_processes(shop, stripe, clock):
    """Both have workers; the settlements fall on either."""
    each = guard.cost("gpt-4o", input=100_000)
    c = Payer(shop, stripe, amount=5000, cap=20_000)
    c.set_balance(64 * each + 5 * EURO)
    holds = [guard.hold(shop, c.id, inputTokens=100_000, maxOutputTokens=1) for _ in range(64)]
    c.set_balance(5 * EURO + each // 2)
    with Second(shop) as second, Swarm([shop.internal_url, second.internal_url], 64) as swarm:
        settled = swarm.run(swarm.request("POST", "/api/guard/settle", shop.keys["guard"], {
            "hold": hold, "inputTokens": 100_000, "outputTokens": 0}) for hold in holds)
        assert {a.status for a in settled} == {200}
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda _: shop.ctl("tick", check=False), range(3)))
        c.charged(5000)


# -- consent -----------------------------------------------------------------------------------------------


def test_a_saved_card_is_no_consent(shop, stripe, clock):
    c = Payer(shop, stripe, on=False)
    c.set_balance(-5 * EURO)
    shop.ctl("tick")
    shown = c.show()
    assert (shown["enabled"], shown["state"], shown["consent"], shown["amount"]) == (False, "off", None, None)
    assert c.posts() == []


@pytest.mark.parametrize("spoil", [
    lambda body: body.pop("consent"), lambda body: body.update(consent=None),
    lambda body: body["consent"].update(version="1999-01-01"),
    lambda body: body["consent"].update(version=body["consent"]["version"] + " "),
    lambda body: body["consent"].update(version=body["consent"]["version"].replace("-", "/"))],
    ids=["none", "null", "old", "blank", "other"])
def test_without_consent_nothing_is_switched_on(shop, stripe, clock, spoil):
    c = Payer(shop, stripe, on=False)
    c.cross()
    body = c.body()
    spoil(body)
    refused = c.put(body)
    assert (refused.status, refused.json["error"]) == (422, "CONSENT_NEEDED"), refused
    shop.ctl("tick")
    assert c.state() == ("off", None) and c.show()["belowMicros"] is None and c.posts() == []


@pytest.mark.parametrize("body, field", [
    ({"belowMicros": 0}, "belowMicros"), ({"belowMicros": -1}, "belowMicros"),
    ({"belowMicros": 10**18 + 1}, "belowMicros"),
    ({"belowMicros": 2**63}, "body"), ({"belowMicros": "5000000"}, "belowMicros"), ({"belowMicros": 5.5}, "belowMicros"),
    ({"amount": 499}, "amount"), ({"amount": 100_001, "monthlyCap": 200_000}, "amount"),
    ({"amount": -2000}, "amount"),
    ({"amount": 2000.5}, "amount"), ({"amount": 2**64 + 2000}, "body"),
    ({"amount": 2**32 + 2000, "monthlyCap": 2**32 + 2000}, None), ({"monthlyCap": 1999}, "monthlyCap"),
    ({"monthlyCap": 100_000_001}, "monthlyCap"), ({"monthlyCap": 2**63}, "body"), ({"amount": None}, "amount"),
    ({"enabled": "true"}, "enabled"), ({"enabled": None}, "enabled"), ({"enabled": 1}, "enabled"),
    ({"enabled": False}, None), ({"account": "user:2"}, "account"), ({"charge": True}, "charge")])
def test_bad_settings_change_nothing(shop, stripe, clock, body, field):
    c = Payer(shop, stripe)
    before = c.show()
    refused = c.put({**c.body(), **body})
    assert refused.status == 400, refused
    assert field is None or refused.json["field"] == field, refused
    assert c.show() == before


@pytest.mark.parametrize("consent", [
    {"version": "x"}, {"locale": "en"}, {}, {"version": None, "locale": "en"}, {"version": "", "locale": "en"},
    {"version": "1" * 33, "locale": "en"}, {"version": 1, "locale": "en"}, {"version": TERMS, "locale": "de"},
    {"version": TERMS, "locale": "EN"}, {"version": TERMS, "locale": "en", "text": "mine"}, "yes", True, []], ids=json.dumps)
def test_bad_consents_change_nothing(shop, stripe, clock, consent):
    c = Payer(shop, stripe, on=False)
    body = c.body()
    named = isinstance(consent, dict) and consent.get("version") == TERMS
    body["consent"] = {**consent, "version": body["consent"]["version"]} if named else consent
    refused = c.put(body)
    assert refused.status == 400, refused
    assert c.state() == ("off", None)


def test_more_than_agreed_needs_consent(shop, stripe, clock):
    c = Payer(shop, stripe)
    for change in ({"amount": 2001}, {"amount": 1999}, {"cap": 10_001}):
        body = c.body(**change)
        del body["consent"]
        refused = c.put(body)
        assert (refused.status, refused.json["error"]) == (422, "CONSENT_NEEDED"), (change, refused)
    for change in ({"below": 6 * EURO}, {"cap": 9000}, {"below": EURO, "cap": 8000}):
        body = {**c.body(), **c.body(**change)}
        del body["consent"]
        assert c.put(body).status == 200, change
    body = c.body(cap=10_000)
    del body["consent"]
    assert c.put(body).status == 422, "raised again"
    shown = c.show()
    assert (shown["amount"], shown["monthlyCap"], shown["belowMicros"]) == (2000, 8000, EURO)


def test_switched_on_again_needs_a_new_consent(shop, stripe, clock):
    c = Payer(shop, stripe)
    old = c.off()["consent"]
    assert old is not None
    body = c.body()
    del body["consent"]
    assert c.put(body).status == 422
    c.cross()
    shop.ctl("tick")
    assert c.posts() == [] and c.state() == ("off", None)
    forward(clock, stripe, minutes=1)
    assert c.on()["consent"]["at"] > old["at"]
    c.charged(2000)


def test_others_may_not(shop, stripe, clock):
    c, other = Payer(shop, stripe, on=False), Payer(shop, stripe, on=False)
    shop.call("PUT", f"/api/accounts/{c.id}/members/user:m", json={"role": "member"})
    shop.call("PUT", f"/api/accounts/{c.id}/members/user:b", json={"role": "manager"})

    def token(**body):
        return shop.post("/api/tokens", body).json["token"]
    member, manager = (token(account=c.id, member=m) for m in ("user:m", "user:b"))
    c.cross()
    for key in ("guard", "report", member, token(account=other.id), token(account=c.id, member="user:nobody")):
        assert c.put(c.body(), key=key).status == 403, key
    for key in ("guard", member):
        assert shop.get(f"{PATH}?account={c.id}", key=key).status == 403, key
    assert shop.get(f"{PATH}?account={c.id}", key="report").status == 200
    assert c.put(c.body(), key=None).status == 401
    assert c.posts() == other.posts() == []
    answer = c.put(c.body(), key=manager)
    assert answer.status == 200 and answer.json["consent"]["actor"], answer
    c.charged(2000)


def test_reading_is_no_switch(shop, stripe, clock):
    """openai/codex#31987: it switched itself on again."""
    c = Payer(shop, stripe)
    c.off()
    c.cross()
    opened = shop.post(f"/api/credits/topup?account={c.id}", {"amount": 500, "saveCard": True})
    stripe.attach_card(c.customer)
    stripe.pay(stripe.session_of(opened.json["url"]))
    stripe.deliver()
    c.set_balance(EURO)
    age(shop, stripe, clock, minutes=24 * 60, times=2)
    assert c.state() == ("off", None) and c.posts() == []


def test_a_postpaid_account_is_not_recharged(shop, stripe, clock):
    c = Payer(shop, stripe)
    assert shop.call("PUT", f"/api/accounts/{c.id}", json={"mode": "postpaid", "hardLimitMicros": 50 * EURO}).status == 200
    c.cross()
    c.wait("waiting", "not_prepaid")
    refused = c.put(c.body())
    assert (refused.status, refused.json["error"]) == (409, "RECHARGE_NOT_PREPAID"), refused
    assert c.off()["enabled"] is False
    assert c.posts() == []


def test_another_currency_needs_consent(stripe):
    with FakeStripe() as own, Octroi("nginx", settings=own.settings(low_balance="0")) as o:
        own.webhook_url = o.url + "/api/webhooks/stripe"
        c = Payer(o, own)
        o.stop()
        o.start(currency="USD")
        c.cross()
        c.wait("paused", "currency_changed")
        body = c.body()
        consent = body.pop("consent")
        own.attach_card(c.customer)
        own.deliver()
        assert c.put(body).status == 422 and c.state() == ("paused", "currency_changed")
        assert c.posts() == []
        assert c.put({**body, "consent": consent}).status == 200
        wait_until(lambda: c.taken() == [2000], 30)
        assert c.posts()[0][0]["currency"] == "usd"


def test_another_unit_needs_consent(shop, stripe, clock):
    """Five units of money are not five credits."""
    c = Payer(shop, stripe, card=False, on=False)
    c.id = shop.account(f"abuse:{next(SERIAL)}")
    c.on()
    wait_until(lambda: c.state() == ("paused", "no_card"), 30)
    assert shop.call("PUT", f"/api/accounts/{c.id}", json={"unit": "credit"}).status == 200
    opened = shop.post(f"/api/credits/topup?account={c.id}", {"amount": 500, "saveCard": True})
    stripe.pay(stripe.session_of(opened.json["url"]))
    stripe.deliver()
    c.cross()
    c.wait("paused", "unit_changed")
    body = c.body()
    del body["consent"]
    assert c.put(body).status == 422 and c.posts() == []
    assert c.put(c.body()).status == 200
    wait_until(lambda: c.taken() == [2000], 30)


# -- caps --------------------------------------------------------------------------------------------------


def test_two_charges_a_day_however_deep_it_falls(shop, stripe, clock):
    set_time(clock, stripe, "2027-02-10 12:00:00")
    c = Payer(shop, stripe, below=DEEP, cap=100_000, timeZone="America/New_York")
    c.wait("waiting", "daily_cap")
    c.charged(2000, 2000)
    shown = c.show()
    assert (shown["spentThisMonth"], shown["chargesToday"], shown["nextAttemptAt"]) == (4000, 2, "2027-02-11T05:00:00.000Z")
    for _ in range(3):
        shop.fund(c.id, -EURO)
        assert c.put(c.body(DEEP, 2000, 100_000)).status == 200
    c.charged(2000, 2000)
    set_time(clock, stripe, "2027-02-11 04:59:59")
    c.charged(2000, 2000)
    set_time(clock, stripe, "2027-02-11 05:00:00")
    c.charged(2000, 2000, 2000, 2000)
    c.wait("waiting", "daily_cap")
    c.off()


def test_the_largest_threshold(shop, stripe, clock):
    """The account is charged like any other, and holds up nobody else."""
    c, other = Payer(shop, stripe), Payer(shop, stripe)
    c.on(10**18, 2000, 100_000)
    try:
        other.cross()
        other.charged(2000)
        c.charged(2000, 2000)
    finally:
        c.off()


def test_the_month_is_never_exceeded(shop, stripe, clock):
    set_time(clock, stripe, "2027-03-28 12:00:00")
    c = Payer(shop, stripe, amount=2000, cap=5999, timeZone="Europe/Paris")
    c.cross()
    c.charged(2000)
    c.cross()
    c.charged(2000, 2000)
    set_time(clock, stripe, "2027-03-29 12:00:00")
    c.cross()
    c.wait("waiting", "monthly_cap")
    shown = c.show()
    assert (shown["spentThisMonth"], shown["nextAttemptAt"]) == (4000, "2027-03-31T22:00:00.000Z")
    refused = c.put({**c.body(cap=6000), "consent": None})
    assert refused.status == 422
    c.charged(2000, 2000)
    assert c.put(c.body(cap=6000)).status == 200
    c.charged(2000, 2000, 2000)
    c.cross()
    c.wait("waiting", "monthly_cap")
    set_time(clock, stripe, "2027-03-31 21:59:59")
    c.charged(2000, 2000, 2000)
    set_time(clock, stripe, "2027-03-31 22:00:00")
    c.charged(2000, 2000, 2000, 2000)


def test_refunds_do_not_make_room(shop, stripe, clock):
    set_time(clock, stripe, "2027-05-10 12:00:00")
    c = Payer(shop, stripe, amount=2000, cap=4000)
    c.cross()
    c.charged(2000)
    c.cross()
    c.charged(2000, 2000)
    for intent in c.intents():
        stripe.refund(intent["id"])
        stripe.deliver()
    assert c.state() == ("paused", "charge_returned") and c.balance() < 0
    set_time(clock, stripe, "2027-05-12 12:00:00")
    body = c.body(cap=4000)
    del body["consent"]
    assert c.put(body).status == 200
    c.wait("waiting", "monthly_cap")
    shop.ctl("tick")
    assert c.show()["spentThisMonth"] == 4000
    c.charged(2000, 2000)


def test_off_and_on_is_no_way_around_the_caps(shop, stripe, clock):
    set_time(clock, stripe, "2027-05-20 12:00:00")
    c = Payer(shop, stripe, below=DEEP, cap=100_000)
    c.charged(2000, 2000)
    for _ in range(3):
        c.off()
        c.on(DEEP, 500, 100_000)
    c.wait("waiting", "daily_cap")
    c.charged(2000, 2000)
    c.off()


def test_a_new_time_zone_makes_no_new_day(shop, stripe, clock):
    """An application that sends the browser's time zone does so with each visit."""
    set_time(clock, stripe, "2027-05-21 12:00:00")
    c = Payer(shop, stripe, below=DEEP, cap=100_000, timeZone="Pacific/Kiritimati")  # the 22nd, 2 o'clock
    c.charged(2000, 2000)
    for zone in ("Pacific/Pago_Pago", "UTC", "Pacific/Kiritimati"):
        assert shop.call("PUT", f"/api/accounts/{c.id}", json={"timeZone": zone}).status == 200
        shop.fund(c.id, -EURO)
        shop.ctl("tick")
    c.charged(2000, 2000)
    c.off()


def test_a_declined_charge_counts_neither_in_the_month_nor_the_day(shop, stripe, clock):
    set_time(clock, stripe, "2027-06-10 12:00:00")
    c = Payer(shop, stripe, declines="insufficient_funds", amount=2000, cap=2000)
    c.cross()
    c.wait("waiting", "backing_off")
    shown = c.show()
    assert (shown["spentThisMonth"], shown["chargesToday"]) == (0, 0)
    stripe.cards(c.customer)[0]["_declines"] = ""
    forward(clock, stripe, hours=1)
    c.charged(2000)
    assert c.alerts() == ["failed", "done"]


# -- declines ----------------------------------------------------------------------------------------------


def test_a_decline_starts_nothing_but_its_wait(shop, stripe, clock):
    """recoupable/app#1960: a session for each refusal, 2,779 of them."""
    set_time(clock, stripe, "2027-06-12 12:00:00")
    c = Payer(shop, stripe, declines="insufficient_funds")
    c.cross()
    for number, hours in enumerate((1, 6, 24), 1):
        wait_until(lambda: len(c.intents()) == number and c.state() == ("waiting", "backing_off"), 30, f"decline {number}")
        sessions = len(stripe.sessions())
        for _ in range(5):
            shop.fund(c.id, -CENT)
            guard.authorize(shop, c.id)
        body = c.body()
        del body["consent"]
        c.put(body)
        forward(clock, stripe, hours=hours, seconds=-1)
        shop.ctl("tick")
        assert len(c.intents()) == number and len(stripe.sessions()) == sessions, c.show()
        forward(clock, stripe, seconds=1)
    c.wait("paused", "card_declined")
    age(shop, stripe, clock, minutes=24 * 60, times=3)
    shop.fund(c.id, -EURO)
    shop.ctl("tick")
    assert len(c.intents()) == 4 and c.taken() == [] and c.state() == ("paused", "card_declined")
    assert c.alerts() in (["failed"] * 3 + ["paused"], ["failed"] * 4 + ["paused"])
    stripe.attach_card(c.customer)
    stripe.deliver()
    c.charged(2000)


@pytest.mark.parametrize("code, reason", [
    ("stolen_card", "card_declined"), ("lost_card", "card_declined"), ("pickup_card", "card_declined"),
    ("expired_card", "card_declined"), ("restricted_card", "card_declined"), ("authentication_required", "action_needed")])
def test_a_hard_no_is_not_asked_again(shop, stripe, clock, code, reason):
    """akash-network/console PR#3809: 3DS was asked for each hour."""
    c = Payer(shop, stripe, declines=code)
    c.cross()
    c.wait("paused", reason)
    for _ in range(3):
        forward(clock, stripe, hours=25)
        shop.fund(c.id, -CENT)
        shop.ctl("tick")
    assert len(c.posts()) == 1 and c.state() == ("paused", reason)
    assert [a for a in c.alerts() if a != "failed"] == ["action_needed" if reason == "action_needed" else "paused"]
    opened = shop.post(f"/api/credits/topup?account={c.id}", {"amount": 500, "saveCard": True})
    stripe.pay(stripe.session_of(opened.json["url"]))
    stripe.deliver()
    assert c.state() == ("ready", None)
    c.cross()
    wait_until(lambda: (c.booked(), c.taken()) == ([500, 2000], [2000]), 30, "the charge of the new card")


def test_do_not_honor_twice(shop, stripe, clock):
    c = Payer(shop, stripe, declines="do_not_honor")
    c.cross()
    c.wait("waiting", "backing_off")
    forward(clock, stripe, hours=1)
    c.wait("paused", "card_declined")
    assert len(c.intents()) == 2


# -- off ---------------------------------------------------------------------------------------------------


def test_off_before_the_card_is_chosen_charges_nothing(shop, stripe, clock):
    c = Payer(shop, stripe)
    stop = stripe.stop_at(rf"/v1/customers/{c.customer}.*", "before")
    c.cross()
    stop.wait_reached()
    c.off()
    stop.release()
    wait_until(lambda: c.show()["pending"] is None, 30, "the end of the order")
    age(shop, stripe, clock, minutes=60, times=2)
    shown = c.show()
    assert c.posts() == [] and c.booked() == [] and c.balance() == 4 * EURO
    assert (shown["state"], shown["spentThisMonth"], shown["chargesToday"]) == ("off", 0, 0)


@pytest.mark.parametrize("point", ["before", "after"])
def test_off_while_stripe_charges(shop, stripe, clock, point):
    c = Payer(shop, stripe)
    stop = stripe.stop_at(POST, point, says=c.says)
    c.cross()
    stop.wait_reached()
    shown = c.off()
    assert (shown["enabled"], shown["state"], shown["pending"]["amount"]) == (False, "pending", 2000)
    stop.release()
    c.charged(2000)
    shown = c.show()
    assert (shown["state"], shown["spentThisMonth"]) == ("off", 2000)
    c.cross()
    age(shop, stripe, clock, times=2)
    c.charged(2000)


@pytest.mark.parametrize("again", [False, True], ids=["off", "off-and-on"])
@pytest.mark.parametrize("what", [{"drop": True}, {"status": 500}, {"status": 429}, {"status": 409}], ids=str)
def test_off_after_a_post_that_never_arrived(shop, stripe, clock, what, again):
    """The POST is not sent again: the consent is gone.  Switched on again, at most one charge of the new consent is made."""
    c = Payer(shop, stripe)
    trouble = stripe.trouble(POST, says=c.says, **what)
    c.cross()
    wait_until(lambda: trouble.seen > 0, 30, "the POST")
    c.off()
    if again:
        c.on(amount=1000)
    stripe.calm()
    age(shop, stripe, clock, until=lambda: c.show()["pending"] is None)
    assert c.show()["pending"] is None, c.show()
    if again:
        wait_until(lambda: c.taken() and c.show()["pending"] is None, 30, "the new charge")
        assert c.taken() == [1000], "the amount of a consent that was taken back"
        c.charged(1000)
    else:
        c.charged()
        shown = c.show()
        assert (shown["state"], shown["spentThisMonth"], shown["chargesToday"]) == ("off", 0, 0)
        stripe.deliver()
        assert c.balance() == 4 * EURO


@pytest.mark.parametrize("told", [False, True], ids=["asked", "told"])
def test_off_after_a_post_whose_answer_was_lost(shop, stripe, clock, told):
    c = Payer(shop, stripe)
    stripe.trouble(POST, says=c.says, lose=True)
    c.cross()
    wait_until(c.taken, 30, "the payment")
    c.off()
    if told:
        stripe.deliver()
    else:
        stripe.lose()
    age(shop, stripe, clock, until=lambda: c.show()["pending"] is None)
    c.charged(2000)
    assert c.state() == ("off", None)


def test_a_post_that_arrives_after_it_was_given_up(shop, stripe, clock):
    """Money that came is booked, or it would be taken for nothing."""
    c = Payer(shop, stripe)
    stop = stripe.stop_at(POST, "before", says=c.says)
    c.cross()
    stop.wait_reached()
    c.off()
    stripe.trouble(POST, says=c.says, drop=True)
    age(shop, stripe, clock, until=lambda: c.show()["pending"] is None, times=20)
    assert c.show()["pending"] is None and c.taken() == []
    stop.release()
    wait_until(lambda: c.taken() == [2000], 30)
    stripe.deliver()
    c.charged(2000)
    stripe.deliver()
    shown = c.show()
    assert (shown["state"], shown["spentThisMonth"]) == ("off", 2000)


def test_off_races_the_worker(shop, stripe, clock):
    """Both orders of the race: money that Stripe took is booked once, and nothing is taken later."""
    rng = random.Random(31987)
    payers = [Payer(shop, stripe) for _ in range(12)]
    rng.shuffle(payers)
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        def race(c):
            crossing = pool.submit(c.cross)
            if rng.random() < 0.7:
                crossing.result()
            c.off()
            return crossing
        for crossing in [race(c) for c in payers]:
            crossing.result()
    for c in payers:
        wait_until(lambda: c.state() == ("off", None), 30, c.id)
    age(shop, stripe, clock, times=2)
    for c in payers:
        c.charged(*c.taken())
        assert len(c.taken()) <= 1 and c.show()["spentThisMonth"] == sum(c.taken())


def test_many_switches_at_once(shop, stripe, clock):
    """16 threads switch on and off while the balance is low; each charge is booked, the caps hold."""
    c = Payer(shop, stripe, amount=500, cap=1000)
    c.set_balance(-100 * EURO)
    on, off = c.body(amount=500, cap=1000), {"enabled": False}
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda i: c.put(on if i % 2 else off).status, range(64)))
    assert set(answers) <= {200, 429}, set(answers)
    c.off()
    wait_until(lambda: c.show()["pending"] is None, 30)
    age(shop, stripe, clock, times=2)
    c.charged(*c.taken())
    assert len(c.taken()) <= 2 and c.show()["spentThisMonth"] == sum(c.taken()) <= 1000


# -- amount and card -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [r"/v1/customers/.*", POST], ids=["card", "post"])
@pytest.mark.parametrize("amount", [500, 6000])
def test_the_amount_changes_under_way(shop, stripe, clock, at, amount):
    """The new consent holds until the card is chosen; then the order is as it was.  What is shown is what is taken."""
    c = Payer(shop, stripe)
    stop, sent = stripe.stop_at(at, "before", says=c.says if at == POST else ""), None
    c.cross()
    stop.wait_reached()
    if at != POST:
        sent = stripe.stop_at(POST, "before", says=c.says)
    assert c.put(c.body(amount=amount, cap=20_000)).status == 200
    if sent:
        stop.release()
        sent.wait_reached()
    taken = 2000 if at == POST else amount
    shown = c.show()
    assert (shown["pending"]["amount"], shown["spentThisMonth"], shown["amount"]) == (taken, taken, amount)
    (sent or stop).release()
    c.charged(taken)
    assert c.show()["spentThisMonth"] == taken
    c.cross()
    c.charged(taken, amount)


def test_the_cap_is_lowered_before_the_card_is_chosen(shop, stripe, clock):
    set_time(clock, stripe, "2027-07-10 12:00:00")
    c = Payer(shop, stripe)
    c.cross()
    c.charged(2000)
    stop = stripe.stop_at(r"/v1/customers/.*", "before")
    c.cross()
    stop.wait_reached()
    body = c.body(cap=3999)
    del body["consent"]
    assert c.put(body).status == 200
    stop.release()
    wait_until(lambda: c.show()["pending"] is None, 30)
    assert c.taken() == [2000], "beyond the cap that held before Stripe was asked"
    assert c.state() == ("waiting", "monthly_cap") and c.show()["spentThisMonth"] == 2000


def test_a_greater_amount_under_way_keeps_the_cap(shop, stripe, clock):
    set_time(clock, stripe, "2027-07-20 12:00:00")
    c = Payer(shop, stripe, cap=4500)
    c.cross()
    c.charged(2000)
    stop = stripe.stop_at(r"/v1/customers/.*", "before")
    c.cross()
    stop.wait_reached()
    assert c.put(c.body(amount=4500, cap=4500)).status == 200
    stop.release()
    wait_until(lambda: c.show()["pending"] is None, 30)
    assert sum(c.taken()) <= 4500, c.taken()


def test_the_balance_recovers_before_the_card_is_chosen(shop, stripe, clock):
    c = Payer(shop, stripe)
    stop = stripe.stop_at(r"/v1/customers/.*", "before")
    c.cross()
    stop.wait_reached()
    c.set_balance(50 * EURO)
    stop.release()
    wait_until(lambda: c.show()["pending"] is None, 30)
    assert c.taken() == [], "the balance had recovered before Stripe was asked"
    assert c.state() == ("ready", None)


def test_the_cap_is_lowered_under_way(shop, stripe, clock):
    """A charge that was begun counts; the next charge keeps the new cap."""
    set_time(clock, stripe, "2027-08-10 12:00:00")
    c = Payer(shop, stripe)
    stop = stripe.stop_at(POST, "before", says=c.says)
    c.cross()
    stop.wait_reached()
    body = c.body(cap=2000)
    del body["consent"]
    assert c.put(body).status == 200
    stop.release()
    c.charged(2000)
    c.cross()
    c.wait("waiting", "monthly_cap")
    c.charged(2000)


def test_the_card_of_another_is_not_charged(shop, stripe, clock):
    c, other = Payer(shop, stripe), Payer(shop, stripe)
    [theirs], [own] = stripe.cards(other.customer), stripe.cards(c.customer)
    stripe.get("customer", c.customer)["invoice_settings"]["default_payment_method"] = theirs["id"]
    c.cross()
    c.charged(2000)
    assert [pairs["payment_method"] for pairs, _ in c.posts()] == [own["id"]]
    stripe.remove_card(own["id"])
    c.cross()
    c.wait("paused", "no_card")
    stripe.get("customer", c.customer)["invoice_settings"]["default_payment_method"] = None
    assert len(c.posts()) == 1 and other.taken() == []


def test_default_then_newest(shop, stripe, clock):
    c = Payer(shop, stripe)
    default = stripe.save_card(c.customer, default=True)
    newest = stripe.save_card(c.customer)
    c.cross()
    c.charged(2000)
    stripe.remove_card(default["id"])
    c.cross()
    c.charged(2000, 2000)
    assert [pairs["payment_method"] for pairs, _ in c.posts()] == [default["id"], newest["id"]]


def test_a_card_is_attached_to_another(shop, stripe, clock):
    """The card resumes the account of its customer alone; of nobody, it does nothing."""
    c, other = (Payer(shop, stripe, declines="stolen_card") for _ in range(2))
    for payer in (c, other):
        payer.cross()
        payer.wait("paused", "card_declined")
    stripe.attach_card(other.customer)
    stripe.deliver()
    other.charged(2000)
    stripe.lose()
    nobody = stripe.attach_card(c.customer)
    stripe.remove_card(nobody["id"])
    [event] = stripe.lose()
    for customer in (None, "cus_unknown", other.customer):
        told = copy.deepcopy(event)
        told["id"] += f"x{customer}"
        told["data"]["object"]["customer"] = customer
        assert stripe.send(told) == 200
    shop.ctl("tick")
    assert c.state() == ("paused", "card_declined") and len(c.posts()) == 1


# -- Stripe's words --------------------------------------------------------------------------------------------


def test_the_webhook_is_first_and_comes_again(shop, stripe, clock):
    c = Payer(shop, stripe)
    stop = stripe.stop_at(POST, "after", says=c.says)
    c.cross()
    stop.wait_reached()
    events = list(stripe.undelivered)
    stripe.deliver()
    assert c.booked() == [2000] and c.show()["pending"] is None
    stop.release()
    c.charged(2000)
    for event in events:
        assert stripe.send(event) == 200
        assert stripe.send({**event, "id": event["id"] + "again"}) == 200
    c.charged(2000)
    assert c.balance() == 24 * EURO and c.alerts() == ["done"]


def succeeded(stripe, intent):
    [event] = [e for e in stripe.objects["event"].values()
               if e["type"] == "payment_intent.succeeded" and e["data"]["object"]["id"] == intent["id"]]
    return event


def test_events_of_another_account_book_nothing(shop, stripe, clock):
    """A payment that names c's pending order, but is of other money, another customer or another account."""
    c, other = Payer(shop, stripe), Payer(shop, stripe)
    other.cross()
    other.charged(2000)
    theirs = succeeded(stripe, other.intents()[0])
    stripe.lose()
    stripe.trouble(POST, says=c.says, drop=True)
    c.cross()
    wait_until(c.posts, 30)
    order = c.posts()[0][0]["metadata[topup_id]"]
    own = {"metadata": {"user_id": c.id, "topup_id": order}, "customer": c.customer}
    wrongs = [{**own, "amount": 1, "amount_received": 1}, {**own, "currency": "usd"}, {**own, "customer": other.customer},
              {**own, "metadata": {"user_id": other.id, "topup_id": order}},
              {**own, "amount_received": 0, "status": "processing"}, {**own, "amount": 200_000, "amount_received": 200_000}]
    for number, wrong in enumerate(wrongs):
        event = copy.deepcopy(theirs)
        event["id"] += f"w{number}"
        event["data"]["object"].update(id=f"pi_wrong{number}", **wrong)
        assert stripe.send(event) == 200
        assert (c.booked(), other.booked()) == ([], [2000]), wrong
    stripe.calm()
    age(shop, stripe, clock, until=lambda: c.show()["pending"] is None)
    c.charged(2000)
    other.charged(2000)


def test_a_decline_is_told_twice(shop, stripe, clock):
    """By the answer and by the event, in either order: it counts once."""
    set_time(clock, stripe, "2027-09-10 12:00:00")
    c = Payer(shop, stripe, declines="insufficient_funds")
    stop = stripe.stop_at(POST, "after", says=c.says)
    c.cross()
    stop.wait_reached()
    stripe.deliver()
    stop.release()
    c.wait("waiting", "backing_off")
    assert c.show()["nextAttemptAt"] == "2027-09-10T13:00:00.000Z" and c.alerts() == ["failed"]
    forward(clock, stripe, hours=1)
    wait_until(lambda: len(c.intents()) == 2, 30)
    c.wait("waiting", "backing_off")
    stripe.deliver()
    assert c.show()["nextAttemptAt"] == "2027-09-10T19:00:00.000Z" and c.alerts() == ["failed"] * 2


def test_a_late_event_of_an_earlier_attempt(shop, stripe, clock):
    """The first attempt's decline is told while the second one is under way, and does not end it."""
    c = Payer(shop, stripe, declines="insufficient_funds")
    c.cross()
    c.wait("waiting", "backing_off")
    stripe.cards(c.customer)[0]["_declines"] = ""
    stop = stripe.stop_at(POST, "before", says=c.says)
    forward(clock, stripe, hours=1)
    stop.wait_reached()
    stripe.deliver()
    assert c.show()["pending"] is not None
    stop.release()
    c.charged(2000)
    assert c.alerts() == ["failed", "done"]


def test_a_declined_payment_succeeds_after_all(shop, stripe, clock):
    """The customer authenticates on Stripe's side: the money came, and is booked once."""
    c = Payer(shop, stripe, declines="authentication_required")
    c.cross()
    c.wait("paused", "action_needed")
    stripe.lose()
    [intent] = c.intents()
    with stripe.lock:
        charge = stripe.new("charge", "ch", amount=2000, amount_refunded=0, currency="eur", customer=c.customer,
                            payment_intent=intent["id"], paid=True, refunded=False, disputed=False, status="succeeded",
                            metadata=dict(intent["metadata"]), receipt_url=None)
        intent.update(status="succeeded", amount_received=2000, latest_charge=charge["id"])
        stripe.emit("payment_intent.succeeded", intent)
    stripe.deliver()
    c.charged(2000)
    stripe.send({**succeeded(stripe, intent), "id": "evt_again" + intent["id"]})
    c.charged(2000)
    assert c.show()["spentThisMonth"] == 2000


@pytest.mark.parametrize("what", [{"status": 500}, {"lose": True}, {"status": 429}, {"status": 409}], ids=str)
def test_a_key_is_older_than_stripe_remembers(shop, stripe, clock, what):
    """Stripe forgets a key after a day: the same POST would be another charge."""
    c = Payer(shop, stripe)
    stripe.trouble(POST, says=c.says, **what)
    c.cross()
    wait_until(c.posts, 30)
    wait_until(lambda: what.get("lose") is None or c.taken(), 30)
    forward(clock, stripe, hours=23)
    shop.ctl("tick")
    forward(clock, stripe, hours=3)
    with stripe.lock:
        stripe.keys.clear()
    stripe.calm()
    stripe.lose()
    shop.ctl("tick")
    age(shop, stripe, clock, until=lambda: c.taken() and c.show()["pending"] is None, minutes=60, times=30)
    assert c.taken() == [2000], "charged twice" if c.taken() else c.show()
    c.charged(2000)


def test_killed_and_the_key_is_forgotten(shop, stripe, clock):
    """octroi dies after its POST, and comes back a day later."""
    c = Payer(shop, stripe)
    stop = stripe.stop_at(POST, "after", says=c.says)
    c.cross()
    stop.wait_reached()
    shop.kill()
    forward(clock, stripe, hours=26)
    with stripe.lock:
        stripe.keys.clear()
    stop.release()
    stripe.lose()
    shop.start()
    forward(clock, stripe, minutes=10)
    age(shop, stripe, clock, until=lambda: c.show()["pending"] is None, minutes=60, times=30)
    c.charged(2000)


@pytest.mark.parametrize("point", ["before", "after"])
@pytest.mark.parametrize("path", [r"/v1/customers/.*", POST], ids=["card", "post"])
def test_killed_while_it_charges(shop, stripe, clock, path, point):
    c = Payer(shop, stripe)
    stop = stripe.stop_at(path, point)
    c.cross()
    stop.wait_reached()
    shop.kill()
    shop.start()
    forward(clock, stripe, minutes=10)
    stop.release()
    age(shop, stripe, clock, until=lambda: c.booked() != [])
    c.charged(2000)


# -- other ways ------------------------------------------------------------------------------------------------


def test_open_orders_do_not_hold_it_up_unsaid(shop, stripe, clock):
    """Ten pages that nobody pays: it charges all the same, or says why not."""
    c = Payer(shop, stripe)
    for _ in range(10):
        assert shop.post(f"/api/credits/topup?account={c.id}", {"amount": 500}).status == 200
    c.cross()
    wait_until(lambda: c.booked() == [2000] or c.state()[1] is not None, 30, "a charge or a reason")
    assert c.booked() == [2000], c.show()


def test_suspended_then_restored(shop, stripe, clock):
    c = Payer(shop, stripe)
    shop.ctl("account", "set", c.id, "--status", "suspended")
    c.cross()
    c.wait("waiting", "account_suspended")
    shop.ctl("tick")
    assert c.posts() == []
    shop.ctl("account", "set", c.id, "--status", "active")
    age(shop, stripe, clock, until=lambda: c.booked() != [])
    c.charged(2000)


def test_an_order_of_auto_recharge_is_nobody_elses(shop, stripe, clock):
    """POST topup with the id of its order, or the key of its POST, is a top-up of its own."""
    c = Payer(shop, stripe)
    stop = stripe.stop_at(POST, "after", says=c.says)
    c.cross()
    stop.wait_reached()
    order = c.show()["pending"]["topup"]
    [(pairs, key)] = c.posts()
    assert order in (pairs["metadata[topup_id]"], *pairs.values())
    for request in (order, key, pairs["metadata[topup_id]"]):
        opened = shop.post(f"/api/credits/topup?account={c.id}", {"amount": 700, "requestId": request})
        assert opened.status == 200 and opened.json["url"].startswith("http"), opened
    stop.release()
    c.charged(2000)


def test_a_chargeback_is_not_answered_with_a_charge(shop, stripe, clock):
    """The cardholder says that the charge was none of theirs; another one would be the next chargeback."""
    c = Payer(shop, stripe)
    c.cross()
    c.charged(2000)
    c.set_balance(10 * EURO)
    stripe.dispute(c.intents()[0]["id"])
    stripe.deliver()
    shop.ctl("tick")
    assert c.taken() == [2000], c.show()


def test_reconcile_books_nothing_twice(shop, stripe, clock):
    c, lost = Payer(shop, stripe), Payer(shop, stripe)
    c.cross()
    c.charged(2000)
    stripe.trouble(POST, says=lost.says, lose=True)
    lost.cross()
    wait_until(lost.taken, 30)
    stripe.lose()
    shop.ctl("stripe", "reconcile", check=False)
    shop.ctl("stripe", "reconcile", check=False)
    assert c.booked() == [2000] and lost.booked() in ([], [2000])
    stripe.calm()
    age(shop, stripe, clock, until=lambda: lost.show()["pending"] is None)
    c.charged(2000)
    lost.charged(2000)


def test_without_stripe(nginx):
    account = nginx.account()
    shown = nginx.get(f"{PATH}?account={account}")
    assert shown.status == 200 and shown.json["state"] == "off", shown
    body = {"enabled": True, "belowMicros": EURO, "amount": 2000, "monthlyCap": 2000,
            "consent": {"version": shown.json["terms"]["version"], "locale": "fr"}}
    assert nginx.call("PUT", f"{PATH}?account={account}", json=body).status == 503
    assert nginx.call("PUT", f"{PATH}?account={account}", json={"enabled": False}).status == 200
    assert json.loads(nginx.get(f"{PATH}?account={account}").body)["enabled"] is False

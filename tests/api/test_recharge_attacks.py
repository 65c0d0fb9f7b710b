"""Attempts to get something for nothing out of auto-recharge, or to charge somebody who did not agree: credit twice,
charges without consent, beyond the caps, against a switch that was turned off, by forged or contradicting payments.
"""

import concurrent.futures
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import guard  # noqa: E402
from fake_stripe import FakeStripe  # noqa: E402
from octroi import Octroi  # noqa: E402
from saver import EURO, Saver  # noqa: E402
from shop import *  # noqa: E402, F403
from timetravel import Clock  # noqa: E402

CARDS, PAYMENTS = "/v1/customers/cus_[^/]+/payment_methods", "/v1/payment_intents"
SETTINGS = {"stripe_timeout_ms": 40000, "orders_open_max": "100"}


def posts(c):
    """Requests for a payment that reached Stripe."""
    return [r for r in c.stripe.requests if r["method"] == "POST" and r["path"] == PAYMENTS
            and dict(r["pairs"])["customer"] == c.customer]


# -- off means off -----------------------------------------------------------------------------------------------


def test_off_before_the_card_is_chosen(shop, stripe, clock):
    c = Saver(shop, stripe)
    c.on()
    stop = stripe.stop_at(CARDS, "after")
    c.spend(11 * EURO)
    stop.wait_reached()
    assert c.off()["state"] == "pending"
    stop.release()
    c.wait_state("off")
    assert posts(c) == [] and c.orders() == [("3", 2000)] and c.show()["spentThisMonth"] == 0
    shop.audit()


def test_off_and_on_with_less_before_the_card_is_chosen(shop, stripe, clock):
    """The order of the first consent is given up; the second one's amount is charged."""
    c = Saver(shop, stripe)
    c.on()
    stop = stripe.stop_at(CARDS, "after")
    c.spend(11 * EURO)
    stop.wait_reached()
    c.off()
    c.on(amount=500, cap=500)
    stop.release()
    c.wait_charged([500])
    assert c.orders() == [("3", 2000), ("4", 500)]
    clock.forward(hours=1)
    shop.ctl("tick")
    assert c.charged() == [500]


def test_off_while_the_answer_is_lost(shop, stripe, clock):
    """The request never reached Stripe; after the switch it is not sent again, but looked for."""
    c = Saver(shop, stripe)
    c.on()
    trouble = stripe.trouble(PAYMENTS, drop=True)
    c.spend(11 * EURO)
    c.wait(lambda: c.tasks() and c.tasks()[0][2] != "", "a charge that fails")
    assert trouble.seen > 0
    c.off()
    stripe.calm()
    before = len(posts(c))
    clock.forward(minutes=10)
    c.wait_state("off")
    assert c.charged() == [] and len(posts(c)) == before and c.orders() == [("3", 2000)]


def test_off_while_the_answer_to_a_charge_is_lost(shop, stripe, clock):
    """The card was charged before the switch: the customer gets the credits, once."""
    c = Saver(shop, stripe)
    c.on()
    stripe.trouble(PAYMENTS, lose=True)
    c.spend(11 * EURO)
    c.wait(lambda: c.tasks() and c.tasks()[0][2] != "", "a charge that fails")
    c.off()
    stripe.calm()
    before = len(posts(c))
    clock.forward(minutes=10)
    c.wait_charged([2000])
    stripe.deliver()
    assert c.balance() == 29 * EURO and c.show()["state"] == "off" and len(posts(c)) == before


def test_the_switch_against_the_worker(shop, stripe, clock):
    """An account that reads "off" and nothing pending is never charged afterwards."""
    customers = [Saver(shop, stripe, balance=10 * EURO) for _ in range(12)]

    def race(c):
        c.on()
        c.spend(1)
        shown = c.off()
        return shown["state"], len(c.charged())

    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        seen = list(pool.map(race, customers))
    for c, (state, charges) in zip(customers, seen):
        c.wait_state("off")
        assert len(c.charged()) <= 1 and c.balance() == 10 * EURO - 1 + sum(c.charged()) * 10_000
        assert state == "pending" or len(c.charged()) == charges, c.orders()
    shop.audit()


def test_off_during_the_pause_after_a_decline(shop, stripe, clock):
    c = Saver(shop, stripe, declines="insufficient_funds")
    c.on()
    c.spend(11 * EURO)
    c.wait_state("waiting", "backing_off")
    c.off()
    c.card()["_declines"] = ""
    clock.forward(days=2)
    shop.ctl("tick")
    assert c.charged() == [] and len(posts(c)) == 1


# -- who may agree ---------------------------------------------------------------------------------------------


def test_only_owner_and_managers(shop, stripe, clock):
    c = Saver(shop, stripe)
    for member, role in (("plain", "member"), ("boss", "manager")):
        assert shop.call("PUT", f"/api/accounts/{c.id}/members/{member}", json={"role": role}, key="app").status == 200

    def put(member, **more):
        token = shop.post("/api/tokens", {"account": c.id, "member": member}, key="app").json["token"]
        return shop.call("PUT", "/api/credits/recharge", json=c.settings(**more), key=token, public=True)

    assert put("plain").status == 403 and c.show()["state"] == "off"
    for scope in ("guard", "report"):
        assert shop.call("PUT", c.path, json=c.settings(), key=scope).status == 403
    token = shop.post("/api/tokens", {"account": c.id, "member": "boss"}, key="app").json["token"]
    assert put("boss").json["consent"]["actor"] == "member:boss"
    assert shop.call("DELETE", f"/api/accounts/{c.id}/members/boss", key="app").status == 200
    gone = shop.call("PUT", "/api/credits/recharge", json=c.settings(amount=90_000, cap=90_000), key=token, public=True)
    assert gone.status == 403 and c.show()["amount"] == 2000


def test_another_accounts_card_is_out_of_reach(shop, stripe, clock):
    """A browser names only its own account, and a body names none."""
    victim, thief = Saver(shop, stripe), Saver(shop, stripe, card=False)
    token = shop.post("/api/tokens", {"account": thief.id}, key="app").json["token"]
    assert shop.call("PUT", victim.path, json=victim.settings(), key=token, public=True).status == 403
    assert shop.call("PUT", "/api/credits/recharge", json=victim.settings() | {"account": victim.id}, key=token,
                     public=True).status == 400
    assert victim.show()["state"] == "off"


# -- caps ------------------------------------------------------------------------------------------------------


def test_switching_gives_no_room(shop, stripe, clock):
    """Off and on, other amounts, and declines between: never more than two a day, nor more than a month's maximum."""
    clock.set("2027-05-10 12:00:00")
    c = Saver(shop, stripe)
    c.on(cap=5000)
    for _ in range(2):
        c.spend(c.balance() - 9 * EURO)
        c.wait(lambda: c.show()["state"] != "pending" and c.balance() > 10 * EURO, "a charge")
    c.spend(c.balance() - 9 * EURO)
    c.wait_state("waiting", "monthly_cap")
    c.off()
    c.on(amount=500, cap=5000)
    c.wait_state("waiting", "daily_cap")
    clock.set("2027-05-11 00:00:01")
    c.wait_charged([2000, 2000, 500])
    c.off()
    c.on(amount=600, cap=5000)
    c.spend(c.balance() - 9 * EURO)
    c.wait_state("waiting", "monthly_cap")
    shop.call("PUT", f"/api/accounts/{c.id}", json={"timeZone": "Pacific/Kiritimati"}, key="app")
    c.on(consent=False, amount=600, cap=5000, below=11 * EURO)
    c.wait_state("waiting", "monthly_cap")
    assert c.charged() == [2000, 2000, 500]


def test_a_lowered_maximum_stops_the_next_charge(shop, stripe, clock):
    """Lowered while the charge is under way, and before its card is chosen."""
    clock.set("2027-09-10 12:00:00")
    c = Saver(shop, stripe)
    c.on()
    c.spend(11 * EURO)
    c.wait_charged([2000])
    stop = stripe.stop_at(CARDS, "after")
    c.spend(c.balance() - 9 * EURO)
    stop.wait_reached()
    c.on(consent=False, cap=3000)
    stop.release()
    c.wait_state("waiting", "monthly_cap")
    assert c.charged() == [2000] and len(posts(c)) == 1 and c.show()["spentThisMonth"] == 2000


def test_a_charge_that_is_paid_late_counts(shop, stripe, clock):
    """Declined, then confirmed by a person at Stripe: credited, counted, and not charged again beyond two a day."""
    clock.set("2027-08-10 01:00:00")
    c = Saver(shop, stripe, declines="insufficient_funds")
    c.on()
    c.spend(11 * EURO)
    c.wait_state("waiting", "backing_off")
    stripe.confirm(c.intents()[0]["id"])
    stripe.deliver()
    assert c.balance() == 29 * EURO
    assert (c.show()["spentThisMonth"], c.show()["chargesToday"]) == (2000, 1)
    c.card()["_declines"] = ""
    c.spend(20 * EURO)
    clock.forward(hours=2)
    c.wait(lambda: len(c.charged()) == 2, "the second charge")
    c.wait_state("ready")
    c.spend(20 * EURO)
    c.wait_state("waiting", "daily_cap")
    assert c.charged() == [2000, 2000]


# -- payments that are not what they say -----------------------------------------------------------------------


def test_everybody_books_at_once(shop, stripe, clock):
    """The worker's answer, the event eight times over, and reconciliation."""
    c = Saver(shop, stripe)
    c.on()
    stop = stripe.stop_at(PAYMENTS, "after")
    c.spend(11 * EURO)
    stop.wait_reached()
    events = [e for e in stripe.lose() if e["type"] == "payment_intent.succeeded"]
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        sent = [pool.submit(stripe.send, e) for e in events * 8]
        reconciled = pool.submit(shop.ctl, "stripe", "reconcile", check=False)
        stop.release()
        assert {call.result() for call in sent} == {200} and reconciled.result() is not None
    c.wait_charged([2000])
    assert c.balance() == 29 * EURO
    shop.audit()


def test_an_order_is_not_paid_by_the_buyers_word(shop, stripe, clock):
    """Somebody buys something else for the amount of a pending charge, and writes its name behind the link."""
    c = Saver(shop, stripe)
    c.on()
    stop = stripe.stop_at(CARDS, "before")
    c.spend(11 * EURO)
    stop.wait_reached()
    stripe.buy_by_link(2000, reference=guard.public_id(c.id, 2))
    stripe.deliver()
    assert c.balance() == 9 * EURO and c.orders() == [("0", 2000)]
    stop.release()
    c.wait_charged([2000])
    assert c.balance() == 29 * EURO


@pytest.mark.parametrize("change", [{"amount_received": 1}, {"currency": "usd"}, {"livemode": True}, {"customer": "cus_other"}],
                         ids=str)
def test_an_answer_that_contradicts_the_order(shop, stripe, clock, change):
    """The answer credits nothing and is left to a person; no other charge is made meanwhile."""
    c = Saver(shop, stripe)
    c.on()
    charge = stripe._charge

    def forged(intent, lost=False):
        charge(intent, lost)
        intent.update(change)

    stripe._charge = forged
    try:
        c.spend(11 * EURO)
        c.wait(lambda: [state for state, _, _ in c.tasks()] == ["2"], "a parked task")
    finally:
        del stripe._charge
    assert c.balance() == 9 * EURO and c.show()["state"] == "pending"
    clock.forward(days=2)
    shop.ctl("tick")
    assert len(posts(c)) == 1 and "outbox_parked" in shop.log()


def test_refunded_before_it_is_booked(shop, stripe, clock):
    """No credit remains, and the refund does not charge the card again."""
    c = Saver(shop, stripe)
    c.on()
    stop = stripe.stop_at(PAYMENTS, "after")
    c.spend(11 * EURO)
    stop.wait_reached()
    stripe.lose()
    stripe.refund(c.intents()[0]["id"])
    stripe.deliver()
    stop.release()
    c.wait_state("paused", "charge_returned")
    assert c.balance() == 9 * EURO and c.charged() == [2000]
    shop.audit()


def test_settings_of_another_currency(stripe):
    """The operator changes the currency: nothing is charged in it without consent."""
    with FakeStripe() as own, Octroi("nginx", settings=own.settings()) as o:
        own.webhook_url = o.url + "/api/webhooks/stripe"
        c = Saver(o, own)
        c.on()
        o.stop()
        o.start(currency="USD")
        c.spend(11 * EURO)
        c.wait_state("paused", "currency_changed")
        assert c.put(c.settings(consent=False)).status == 422 and c.charged() == []
        c.on()
        c.wait_charged([2000])
        assert c.intents()[0]["currency"] == "usd" and c.show()["currency"] == "USD"


def test_a_setting_that_changes_the_request(stripe):
    """An answer is lost, and the description changes before the repetition: the payment is looked for, not made again."""
    with FakeStripe() as own, Octroi("nginx", settings=own.settings()) as o:
        own.webhook_url = o.url + "/api/webhooks/stripe"
        clock = Clock(o)
        c = Saver(o, own)
        c.on()
        own.trouble(PAYMENTS, lose=True)
        c.spend(11 * EURO)
        c.wait(lambda: c.tasks() and c.tasks()[0][2] != "", "a charge that fails")
        own.calm()
        o.stop()
        o.start(topup_product="Something else")
        clock.forward(minutes=10)
        c.wait_charged([2000])
        assert len(c.intents()) == 1


def test_a_processed_payment_that_fails_in_the_end(shop, stripe, clock):
    """A charge that failed gave no credit, and gives its part of the limits back."""
    c = Saver(shop, stripe, declines="processing")
    c.on()
    c.spend(11 * EURO)
    c.wait(lambda: c.orders() == [("1", 2000)], "pending at Stripe")
    [intent] = c.intents()
    intent.update(status="requires_payment_method", last_payment_error={"code": "card_declined", "decline_code": "lost_card"})
    clock.forward(hours=1)
    shown = c.wait_state("paused", "card_declined")
    assert c.balance() == 9 * EURO and (shown["spentThisMonth"], shown["chargesToday"]) == (0, 0)


def test_a_thousand_changes(shop, stripe, clock):
    """Settings that are put again and again make one consent, one task and one charge."""
    c = Saver(shop, stripe)
    c.on()
    stop = stripe.stop_at(CARDS, "before")
    c.spend(11 * EURO)
    stop.wait_reached()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert {answer.status for answer in pool.map(lambda _: c.put(c.settings()), range(200))} <= {200, 429}
    stop.release()
    c.wait_charged([2000])
    assert len(c.tasks()) == 1
    assert shop.sql(f"SELECT COUNT(*) FROM recharge_consents WHERE account_id = {guard.key_of(c.id)}") == [("1",)]


def test_the_customer_was_deleted_at_stripe(shop, stripe, clock):
    c = Saver(shop, stripe)
    c.on()
    del stripe.objects["customer"][c.customer]
    c.spend(11 * EURO)
    c.wait_state("paused", "no_card")
    assert posts(c) == []

"""Auto-recharge: a saved card is charged when the balance is low, within what the customer agreed to.  Each test of the
second part is named after what went wrong elsewhere.  Time is the database's; Stripe is tests/fake_stripe.py.
"""

import datetime
import json
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import guard  # noqa: E402
from fake_stripe import FakeStripe  # noqa: E402
from mailserver import Mailbox, part  # noqa: E402
from octroi import Octroi, wait_until  # noqa: E402
from saver import CENT, EURO, Saver  # noqa: E402
from shop import *  # noqa: E402, F403

SETTINGS = {"orders_open_max": "100"}


def test_a_card_is_charged_below_the_threshold(shop, stripe, clock):
    c = Saver(shop, stripe)
    shown = c.on()
    assert (shown["state"], shown["belowMicros"], shown["amount"], shown["monthlyCap"], shown["currency"]) == (
        "ready", 10 * EURO, 2000, 10000, "EUR")
    c.spend(10 * EURO)
    assert c.show()["state"] == "ready" and c.charged() == [], "10 is not below 10"
    c.spend(1)
    c.wait_charged([2000])
    assert c.balance() == 30 * EURO - 1
    [intent] = c.intents()
    assert intent["metadata"] == {"user_id": c.id, "topup_id": guard.public_id(c.id, 2)}
    [asked] = [r for r in stripe.requests if r["path"] == "/v1/payment_intents" and r["method"] == "POST"
               and r["params"]["customer"] == c.customer]
    assert asked["params"] | {"metadata": None, "description": None} == {
        "amount": "2000", "currency": "eur", "customer": c.customer, "payment_method": c.card()["id"],
        "payment_method_types": ["card"], "off_session": "true", "confirm": "true", "error_on_requires_action": "true",
        "metadata": None, "description": None}
    stripe.deliver()
    shown = c.show()
    assert c.balance() == 30 * EURO - 1, "the event of a payment that is booked changes nothing"
    assert (shown["state"], shown["spentThisMonth"], shown["chargesToday"], shown["pending"]) == ("ready", 2000, 1, None)
    assert c.alerts() == ["recharge_done"]
    shop.audit()


def test_every_field_of_the_charge_is_in_the_account(shop, stripe, clock):
    """A credit account: the amount is money, the threshold is credits, and the volume bonus is given."""
    c = Saver(shop, stripe, unit="credit", balance=100 * EURO)
    c.on(below=50 * EURO, amount=1000, cap=1000)
    c.spend(60 * EURO)
    c.wait_charged([1000])
    assert c.balance() == 40 * EURO + 1000 * EURO, "a credit is a cent"
    shown = shop.get(f"/api/credits?account={c.id}").json["transactions"][0]
    assert (shown["type"], shown["amountMicros"]) == ("TOP_UP", 1000 * EURO)


def test_consent_is_kept(shop, stripe, clock):
    c = Saver(shop, stripe)
    french = c.show(headers={"Accept-Language": "fr"})["terms"]
    english = c.show()["terms"]
    assert (french["version"], french["locale"], english["locale"]) == (english["version"], "fr", "en")
    settings = c.settings(consent=False) | {"consent": {"version": french["version"], "locale": "fr"}}
    assert c.put(settings).status == 200
    shown = c.show()["consent"]
    assert (shown["version"], shown["locale"], shown["text"]) == (french["version"], "fr", french["text"])
    assert shown["actor"].startswith("key:")
    token = shop.post("/api/tokens", {"account": c.id}, key="app").json["token"]
    again = shop.call("PUT", "/api/credits/recharge", json=c.settings(amount=3000), key=token, public=True)
    assert (again.status, again.json["consent"]["actor"]) == (200, "owner"), again
    rows = shop.sql("SELECT seq, locale, charge_micros, cap_micros, below_micros, currency, actor, address FROM recharge_consents "
                    f"WHERE account_id = {guard.key_of(c.id)} ORDER BY seq")
    assert [row[:6] for row in rows] == [("1", "fr", "20000000", "100000000", "10000000", "eur"),
                                         ("2", "en", "30000000", "100000000", "10000000", "eur")]
    assert rows[0][6].startswith("key:") and rows[1][6:] == ("owner", "127.0.0.1")


@pytest.mark.parametrize("change, field", [
    ({"belowMicros": 0}, "belowMicros"), ({"belowMicros": None}, "belowMicros"), ({"belowMicros": 10**18 + 1}, "belowMicros"),
    ({"amount": 499}, "amount"), ({"amount": 100_001, "monthlyCap": 200_000}, "amount"), ({"amount": "2000"}, "amount"),
    ({"monthlyCap": 1999}, "monthlyCap"), ({"monthlyCap": 100_000_001}, "monthlyCap"), ({"monthlyCap": 0}, "monthlyCap"),
    ({"enabled": None}, "enabled"), ({"enabled": 1}, "enabled"), ({"enabled": False}, "belowMicros"), ({"card": "pm_1"}, "card"),
    ({"consent": {"version": "2026-11-24"}}, "consent.locale"), ({"consent": {"locale": "fr"}}, "consent.version"),
    ({"consent": {"version": "2026-11-24", "locale": "de"}}, "consent.locale"), ({"consent": "yes"}, "consent"),
    ({"consent": {"version": "2026-11-24", "locale": "fr", "text": "mine"}}, "consent.text")])
def test_wrong_settings_change_nothing(shop, stripe, clock, change, field):
    c = Saver(shop, stripe, card=False)
    refused = c.put(c.settings() | change)
    assert (refused.status, refused.json["error"], refused.json.get("field")) == (400, "INVALID_REQUEST", field), refused
    assert c.show()["belowMicros"] is None


def test_consent_is_asked_for(shop, stripe, clock):
    c = Saver(shop, stripe, card=False)

    def refused(**settings):
        answer = c.put(c.settings(consent=False, **settings))
        assert (answer.status, answer.json["error"]) == (422, "CONSENT_NEEDED"), answer

    refused()
    assert c.put(c.settings(consent=False) | {"consent": {"version": "2020-01-01", "locale": "en"}}).status == 422
    assert c.show()["state"] == "off"
    c.on()
    refused(amount=2001)
    refused(amount=1999)
    refused(cap=10001)
    c.on(consent=False, below=9 * EURO), c.on(consent=False, cap=9000)
    refused(cap=10000)
    assert c.put(c.settings(cap=9000) | {"consent": {"version": "2020-01-01", "locale": "en"}}).status == 422
    shown = c.off()
    assert (shown["state"], shown["belowMicros"], shown["amount"], shown["monthlyCap"]) == ("off", 10 * EURO, 2000, 9000)
    refused(cap=9000)
    owing = Saver(shop, stripe, card=False, balance=0, mode="postpaid")
    answer = owing.put(c.settings())
    assert (answer.status, answer.json["error"]) == (409, "RECHARGE_NOT_PREPAID"), answer


# -- what went wrong for others ------------------------------------------------------------------------------


def test_3ds_is_neither_waited_for_nor_repeated(shop, stripe, clock):
    """The bank demands that the customer confirms: paused at once, told, and charged again only when the customer acts."""
    c = Saver(shop, stripe, declines="authentication_required")
    c.on()
    c.spend(11 * EURO)
    shown = c.wait_state("paused", "action_needed")
    assert shown["enabled"] and shown["reasonText"] and c.alerts() == ["recharge_action_needed"]
    clock.forward(days=2)
    c.spend(EURO)
    shop.ctl("tick")
    assert len(c.intents()) == 1 and c.show()["state"] == "paused"
    c.stripe.cards(c.customer)[0]["_declines"] = ""
    c.top_up(700)
    c.wait_charged([])
    assert c.show()["state"] == "ready" and c.charged() == [], "the customer's top-up was enough"


def test_a_refusal_starts_nothing(shop, stripe, clock):
    """A hundred refused requests make no order, no task and no request to Stripe."""
    c = Saver(shop, stripe, balance=9 * EURO, declines="stolen_card")
    c.on()
    c.wait_state("paused", "card_declined")
    before = len(stripe.requests), c.orders(), c.tasks()
    for _ in range(100):
        answer = guard.authorize(shop, c.id, inputTokens=10_000_000)
        assert answer.status == 402, answer
    shop.ctl("tick")
    assert (len(stripe.requests), c.orders(), c.tasks()) == before


def test_nothing_but_a_person_switches_it_on(shop, stripe, clock):
    """Off stays off: whatever the balance, the card or the operator do.  A saved card is no consent."""
    c = Saver(shop, stripe)
    c.on()
    c.off()
    c.spend(15 * EURO)
    stripe.attach_card(c.customer, default=True)
    c.top_up(500, saveCard=True), c.spend(5 * EURO)
    clock.forward(days=40)
    shop.ctl("tick")
    assert c.show()["state"] == "off" and c.charged() == [] and c.tasks() == []
    shop.ctl("recharge", "on", c.id, check=False)
    assert c.show()["state"] == "off"
    c.on()
    c.wait_charged([2000])
    done = shop.ctl("recharge", "off", c.id)
    assert "off" in done.stdout and c.show()["state"] == "off"
    assert json.loads(shop.ctl("recharge", "show", c.id, "--json").stdout)["state"] == "off"
    assert shop.ctl("recharge", "show", "nobody-at-all", check=False).returncode == 1


def test_every_charge_is_told(shop, stripe, clock):
    clock.set("2027-06-01 12:00:00")
    c = Saver(shop, stripe)
    c.on()
    for charges in (1, 2):
        c.spend(c.balance() - 9 * EURO)
        c.wait_charged([2000] * charges)
        assert c.alerts() == ["recharge_done"] * charges
    c.spend(c.balance() - 9 * EURO)
    shown = c.wait_state("waiting", "daily_cap")
    assert shown["nextAttemptAt"] == "2027-06-02T00:00:00.000Z" and shown["chargesToday"] == 2
    clock.set("2027-06-02 00:00:01")
    c.wait_charged([2000] * 3)
    assert c.show()["chargesToday"] == 1


def test_the_monthly_maximum(shop, stripe, clock):
    """In the account's time zone; a charge that would pass it is not made, not even in part."""
    clock.set("2027-07-31 12:00:00", "Europe/Paris")
    c = Saver(shop, stripe, timeZone="Europe/Paris")
    c.on(cap=3900)
    c.spend(15 * EURO)
    c.wait_charged([2000])
    c.spend(20 * EURO)
    shown = c.wait_state("waiting", "monthly_cap")
    assert (shown["nextAttemptAt"], shown["spentThisMonth"]) == ("2027-07-31T22:00:00.000Z", 2000)
    shop.ctl("tick")
    assert c.charged() == [2000]
    clock.set("2027-08-01 00:00:01", "Europe/Paris")
    c.wait_charged([2000, 2000])
    assert c.show()["spentThisMonth"] == 2000


def test_a_threshold_that_is_met_is_acted_upon(shop, stripe, clock):
    """Below already when it is switched on; by an expired grant; by a charge without a worker's task; each without a
    request that crosses."""
    c = Saver(shop, stripe, balance=5 * EURO)
    c.on()
    c.wait_charged([2000])
    d = Saver(shop, stripe, balance=0)
    shop.fund(d.id, 20 * EURO, type="PROMO_BONUS", expiresAt=datetime.datetime.fromtimestamp(
        clock.now_us // 10**6 + 60, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"))
    d.on()
    assert d.show()["state"] == "ready"
    clock.forward(minutes=2)
    shop.ctl("tick")
    d.wait_charged([2000])
    e = Saver(shop, stripe)
    stop = stripe.stop_at("/v1/customers/[^/]+/payment_methods", "before")
    e.on()
    e.spend(15 * EURO)
    stop.wait_reached()
    shop.kill()
    stop.release()
    shop.sql(f"DELETE FROM outbox WHERE account_id = {guard.key_of(e.id)}")
    shop.start()
    shop.ctl("tick")
    e.wait_charged([2000])


def test_each_reason_is_shown(shop, stripe, clock):
    c = Saver(shop, stripe, card=False)
    c.on()
    c.spend(15 * EURO)
    shown = c.wait_state("paused", "no_card")
    assert shown["reasonText"] == "There is no saved card."
    assert c.show(headers={"Accept-Language": "fr"})["reasonText"] == "Aucune carte n'est enregistrée."
    d = Saver(shop, stripe)
    d.on()
    shop.call("PUT", f"/api/accounts/{d.id}", json={"status": "suspended"}, key="app")
    d.spend(15 * EURO)
    d.wait_state("waiting", "account_suspended")
    shop.call("PUT", f"/api/accounts/{d.id}", json={"status": "active"}, key="app")
    clock.forward(hours=1, seconds=1)
    d.wait_charged([2000])
    shop.call("PUT", f"/api/accounts/{d.id}", json={"mode": "postpaid"}, key="app")
    assert (d.show()["state"], d.show()["reason"]) == ("waiting", "not_prepaid")


def test_one_at_a_time(shop, stripe, clock):
    """While a charge is under way nothing else is charged, however far the balance falls."""
    c = Saver(shop, stripe)
    c.on()
    stop = stripe.stop_at("/v1/payment_intents", "after")
    c.spend(11 * EURO)
    stop.wait_reached()
    shown = c.show()
    assert (shown["state"], shown["pending"], shown["spentThisMonth"], shown["chargesToday"]) == (
        "pending", {"topup": guard.public_id(c.id, 2), "amount": 2000}, 2000, 1)
    for _ in range(5):
        c.spend(EURO)
    shop.ctl("tick")
    assert len(c.intents()) == 1 and len(c.orders()) == 1 and len(c.tasks()) == 1
    stop.release()
    c.wait_charged([2000])


def test_no_more_than_agreed(shop, stripe, clock):
    """The amount of the charge is that of the settings when it begins; a change before that counts."""
    c = Saver(shop, stripe)
    c.on()
    trouble = stripe.trouble("/v1/customers/[^/]+/payment_methods", status=500)
    c.spend(11 * EURO)
    c.wait(lambda: c.tasks() and c.tasks()[0][2] != "", "a charge that has not begun")
    assert c.orders() == [("0", 2000)] and trouble.seen > 0
    c.on(amount=1000)
    stripe.calm()
    clock.forward(minutes=10)
    c.wait_charged([1000])
    assert c.orders() == [("3", 2000), ("4", 1000)] and len(c.intents()) == 1


def test_refunds_and_disputes_of_a_charge(shop, stripe, clock):
    """Credits are taken back, and auto-recharge is paused: the refund charges nothing again."""
    for returned in ("refund", "dispute"):
        c = Saver(shop, stripe)
        c.on()
        c.spend(11 * EURO)
        c.wait_charged([2000])
        stripe.deliver()
        [intent] = c.intents()
        getattr(stripe, returned)(intent["id"])
        stripe.deliver()
        assert c.balance() == 9 * EURO
        c.wait_state("paused", "charge_returned")
        stripe.attach_card(c.customer), stripe.deliver()
        shop.ctl("tick")
        assert c.show()["state"] == "paused" and c.charged() == [2000]
    shop.audit()


# -- declined cards -------------------------------------------------------------------------------------------


def test_a_declined_card_is_tried_again(shop, stripe, clock):
    c = Saver(shop, stripe, declines="insufficient_funds")
    c.on()
    c.spend(11 * EURO)
    for attempts, hours in ((1, 1), (2, 6), (3, 24)):
        shown = c.wait_state("waiting", "backing_off")
        assert len(c.intents()) == attempts and shown["spentThisMonth"] == 0 and shown["chargesToday"] == 0
        c.on()
        clock.forward(hours=hours, minutes=-1)
        shop.ctl("tick")
        assert len(c.intents()) == attempts, "neither a PUT nor time makes it earlier"
        clock.forward(minutes=2)
        c.wait(lambda: len(c.intents()) == attempts + 1, "the next attempt")
    c.wait_state("paused", "card_declined")
    assert c.alerts() == ["recharge_failed"] * 3 + ["recharge_paused"] and c.charged() == []
    assert [state for state, _ in c.orders()] == ["3"] * 4
    c.replace_card()
    stripe.emit("payment_method.attached", c.card())
    stripe.deliver()
    c.wait_charged([2000])


@pytest.mark.parametrize("code, attempts", [("stolen_card", 1), ("expired_card", 1), ("do_not_honor", 2)])
def test_a_hard_code_pauses(shop, stripe, clock, code, attempts):
    c = Saver(shop, stripe, declines=code)
    c.on()
    c.spend(11 * EURO)
    if attempts == 2:
        c.wait_state("waiting", "backing_off")
        clock.forward(hours=1, seconds=1)
    c.wait_state("paused", "card_declined")
    assert len(c.intents()) == attempts and c.alerts()[-1] == "recharge_paused"
    c.card()["_declines"] = ""
    c.on(consent=False)
    c.wait_charged([2000])


def test_a_card_that_was_removed(shop, stripe, clock):
    c = Saver(shop, stripe)
    for card in stripe.cards(c.customer):
        stripe.remove_card(card["id"])
    c.on()
    c.spend(11 * EURO)
    c.wait_state("paused", "no_card")
    c.top_up(500, saveCard=True)
    c.spend(5 * EURO)
    c.wait_charged([2000])


def test_the_default_card_is_charged(shop, stripe, clock):
    c = Saver(shop, stripe)
    chosen = stripe.save_card(c.customer, default=True)
    stripe.save_card(c.customer)
    c.on()
    c.spend(11 * EURO)
    c.wait_charged([2000])
    assert c.intents()[0]["payment_method"] == chosen["id"]


def test_stripe_refuses(shop, stripe, clock):
    """An amount below Stripe's minimum, as an example of what is neither a decline nor a fault."""
    c = Saver(shop, stripe)
    c.on()
    stripe.trouble("/v1/payment_intents", status=400, times=1,
                   error={"type": "invalid_request_error", "code": "amount_too_small"})
    c.spend(11 * EURO)
    c.wait_state("paused", "charge_refused")
    assert c.charged() == [] and "recharge_refused" in shop.log()


def test_a_payment_that_is_processed_later(shop, stripe, clock):
    c = Saver(shop, stripe, declines="processing")
    c.on()
    c.spend(11 * EURO)
    c.wait_state("pending")
    c.wait(lambda: c.orders() == [("1", 2000)], "pending at Stripe")
    stripe.confirm(c.intents()[0]["id"])
    stripe.lose()
    clock.forward(hours=1)
    c.wait_charged([2000])


# -- the card of a top-up --------------------------------------------------------------------------------------


def test_checkout_keeps_the_card_only_where_it_is_asked_to(shop, stripe, clock):
    def keeps(account, **more):
        opened = shop.post(f"/api/credits/topup?account={account}", {"amount": 500, **more})
        session = stripe.objects["checkout.session"][stripe.session_of(opened.json["url"])]
        return session["_payment_intent_data"].get("setup_future_usage") == "off_session"

    c = Saver(shop, stripe, card=False)
    assert not keeps(c.id) and not keeps(c.id, saveCard=False) and keeps(c.id, saveCard=True)
    c.on()
    assert keeps(c.id)
    c.off()
    assert not keeps(c.id)
    assert keeps(shop.account(mode="postpaid"))
    body = {"amount": 500, "saveCard": True, "requestId": guard.request_id()}
    assert shop.post(f"/api/credits/topup?account={c.id}", body).status == 200
    assert shop.post(f"/api/credits/topup?account={c.id}", body).status == 200
    assert shop.post(f"/api/credits/topup?account={c.id}", body | {"saveCard": False}).status == 409


def test_without_stripe(shop, stripe, clock):
    with Octroi("nginx") as o:
        account = o.account()
        path = f"/api/credits/recharge?account={account}"
        terms = o.get(path).json["terms"]
        body = {"enabled": True, "belowMicros": EURO, "amount": 500, "monthlyCap": 500,
                "consent": {"version": terms["version"], "locale": "en"}}
        assert o.call("PUT", path, json=body, key="app").status == 503
        assert o.call("PUT", path, json={"enabled": False}, key="app").json["state"] == "off"


# -- who is told -----------------------------------------------------------------------------------------------


def test_a_mail_for_each_charge():
    """A mail names the credits; one that asks the customer to confirm has the address of the page."""
    with FakeStripe() as own, Mailbox(starttls=True) as box, \
            Octroi("nginx", settings=own.settings(**box.settings())) as o:
        own.webhook_url = o.url + "/api/webhooks/stripe"
        c = Saver(o, own, email="anna@example.org", locale="en")
        c.on()
        c.spend(11 * EURO)
        c.wait_charged([2000])
        asked = Saver(o, own, declines="authentication_required", email="emile@example.org", locale="fr")
        asked.on()
        asked.spend(11 * EURO)

        def mail(address, subject):
            wait_until(lambda: [m for m in box.of(address) if m["Subject"].startswith(subject)], 30, subject)
            return next(part(m, "plain") for m in box.of(address) if m["Subject"].startswith(subject))
        assert "balance 29.00 EUR, added 20.00 EUR" in mail("anna@example.org", "Your card was charged")
        assert "https://app.example/billing" in mail("emile@example.org", "Votre banque demande une confirmation")


def test_the_operator_sees_it(shop, stripe, clock):
    c = Saver(shop, stripe)
    before = shop.metric("octroi_recharges_total")
    c.on()
    c.spend(11 * EURO)
    c.wait_charged([2000])
    assert shop.metric("octroi_recharges_total") == before + 1
    assert any(row["id"].startswith(c.id) and row["kind"] == "recharge" for row in
               json.loads(shop.ctl("outbox", "list", "--all", "--json").stdout)["items"])

    def webhook():
        checks = json.loads(shop.ctl("doctor", "--json", check=False).stdout)["checks"]
        return next((check["state"], check["found"]) for check in checks if check["check"] == "stripe webhook")
    stripe.webhook_events = ["checkout.session.*", "checkout.session.completed", "checkout.session.async_payment_succeeded",
                             "charge.refunded", "charge.dispute.funds_withdrawn", "charge.dispute.funds_reinstated",
                             "invoice.paid"]
    try:
        assert webhook() == ("problem", "it is not told of payment_method.attached")
    finally:
        stripe.webhook_events = ["*"]
    assert webhook()[0] == "ok"


def test_the_audit_finds_what_is_wrong():
    """A charge without its consent, an amount that was not agreed to, and two charges under way."""
    with FakeStripe() as own, Octroi("nginx", settings=own.settings(), audit=False) as o:
        own.webhook_url = o.url + "/api/webhooks/stripe"
        c = Saver(o, own)
        c.on()
        c.spend(11 * EURO)
        c.wait_charged([2000])
        where = f"WHERE account_id = {guard.key_of(c.id)}"
        for wrong, right, found in (
                ("UPDATE recharge_consents SET charge_micros = 1", "UPDATE recharge_consents SET charge_micros = 20000000", "consent"),
                ("UPDATE recharge_consents SET seq = 7", "UPDATE recharge_consents SET seq = 1", "consent"),
                ("UPDATE recharges SET cap_micros = 900000000", "UPDATE recharges SET cap_micros = 100000000", "consent"),
                ("UPDATE recharges SET pending_seq = 9", "UPDATE recharges SET pending_seq = 0", "recharge"),
                ("UPDATE outbox SET account_id = UNHEX(REPEAT('01', 16))",
                 f"UPDATE outbox SET account_id = {guard.key_of(c.id)} WHERE kind = 2", "recharge")):
            o.audit()
            o.sql(f"{wrong} {where}")
            done = o.ctl("audit", check=False)
            assert done.returncode != 0 and found in done.stdout, (wrong, done.stdout)
            o.sql(right if "WHERE" in right else f"{right} {where}")
        o.audit()

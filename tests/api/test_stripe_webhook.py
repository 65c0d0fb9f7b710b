"""Stripe's webhook: whose word it takes, what it does with events in any order and number, what it parks.

Stripe is played by tests/fake_stripe.py; octroi is behind nginx.  The storm is 200 payments long here and 1,000
with OCTROI_STORM=1000 (make storm)."""

import copy
import hashlib
import hmac
import json
import os
import pathlib
import random
import sys
import threading
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import guard  # noqa: E402
from fake_stripe import VERSION_OLD, FakeStripe, sign  # noqa: E402
from octroi import Octroi  # noqa: E402
from second import Second  # noqa: E402
from swarm import Swarm  # noqa: E402

EURO = 1_000_000
ROUTE = "/api/webhooks/stripe"
ROLLED = "whsec_" + "r" * 40
STORM_PAYMENTS = int(os.environ.get("OCTROI_STORM", "200"))
STORM_COPIES = 20
STORM_PARALLEL = 32
FORGERIES = 10_000
HEX = "0123456789abcdef"


@pytest.fixture(scope="module")
def stripe():
    with FakeStripe() as fake:
        yield fake


@pytest.fixture(scope="module")
def shop(stripe):
    settings = stripe.settings(plan_prices="price_start=starter price_pro=professional")
    settings["stripe_webhook_secret"] = f"{stripe.webhook_secret} {ROLLED}"
    with Octroi("nginx", settings=settings) as o:
        stripe.webhook_url = o.url + ROUTE
        yield o


def order(shop, stripe, account, cents=500):
    opened = shop.post(f"/api/credits/topup?account={account}", {"amount": cents})
    assert opened.status == 200, opened
    return stripe.session_of(opened.json["url"])


def balance(shop, account):
    return shop.balance(account)[0]


def send(shop, body, signature, **headers):
    given = {"Content-Type": "application/json", **headers}
    if signature is not None:
        given["Stripe-Signature"] = signature
    return shop.call("POST", ROUTE, body=body, key=None, headers=given, public=True)


def event_row(shop, event):
    """(state, note) of the event, None when it was never noted."""
    rows = shop.sql(f"SELECT state, note FROM webhook_events WHERE event_id = '{event['id']}'")
    return (("applied", "ignored", "parked")[int(rows[0][0])], rows[0][1]) if rows else None


def digest(secret, text):
    return hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()


# ---- whose word ------------------------------------------------------------------------------------


def harmless(stripe):
    """The body of an event that moves nothing."""
    return stripe.body_of(stripe.emit("product.created", stripe.new("customer", "prod"), lost=True))


def test_signed_is_received(shop, stripe):
    body = harmless(stripe)
    answer = send(shop, body, sign(stripe.webhook_secret, body))
    assert (answer.status, answer.json) == (200, {"received": True})


def test_rolled_secrets(shop, stripe):
    for secrets in (ROLLED, [stripe.webhook_secret, ROLLED], ["whsec_" + "x" * 40, ROLLED]):
        body = harmless(stripe)
        assert send(shop, body, sign(secrets, body)).status == 200
    body = harmless(stripe)
    good = sign(stripe.webhook_secret, body)
    assert send(shop, body, good.replace(",", ",v1=potato,v0=" + "0" * 64 + ",", 1)).status == 200


def test_clock(shop, stripe):
    for skew, status in ((-290, 200), (290, 200), (-310, 400), (310, 400), (-86400, 400), (86400, 400)):
        body = harmless(stripe)
        assert send(shop, body, sign(stripe.webhook_secret, body, int(time.time()) + skew)).status == status, skew


def test_malformed_headers(shop, stripe):
    body = harmless(stripe)
    now = int(time.time())
    good = digest(stripe.webhook_secret, b"%d." % now + body)
    headers = [
        None, "", ",", ",,", "t", "t,,", "v1,t=1", "bad_header", "t=,v1=" + good, "t,v1=,v0=", "t,v1=,v0", "t,v1=,",
        f"v1={good}", f"t={now}", f"t={now},v0={good}", f"t={now},v1=", f"t={now},v1={good[:-1]}",
        f"t={now},v1={good}0", f"t={now},v1={good.upper()}", f"t={now}.0,v1={good}", f"t=+{now},v1={good}",
        f"t=0{now},v1={good}", f"t= {now},v1={good}", f"t={now}x,v1={good}", f"T={now},V1={good}",
        f"t={now},t={now},v1={good}", f"t={now};v1={good}", f"t={now},v1 ={good}", f"t={now},v2={good}",
        f"t=-{now},v1={good}", f"t=99999999999999999999,v1={good}", f"t={now + 1},v1={good}",
    ]
    for header in headers:
        answer = send(shop, body, header)
        assert answer.status == 400, (header, answer)
        assert answer.json["error"] == "INVALID_REQUEST", header
    # The secret without its prefix, and other people's secrets.
    for secret in (stripe.webhook_secret.removeprefix("whsec_"), "", "whsec_", "whsec_" + "0" * 48):
        assert send(shop, body, sign(secret, body)).status == 400
    assert send(shop, body, f"t={now},v1={good}").status == 200


def test_bodies(shop, stripe):
    def signed(body):
        return send(shop, body, sign(stripe.webhook_secret, body)).status

    assert signed(b"") == 400
    assert signed(b"{") == 400
    assert signed(b"not json") == 400
    assert signed(b"[]") == 400
    assert signed(b"{}") == 400
    for name in ("id", "type", "created", "livemode", "data", "object"):
        event = json.loads(harmless(stripe))
        del event[name]
        assert signed(json.dumps(event).encode()) == 400, name
    event = json.loads(harmless(stripe))
    assert signed(json.dumps({**event, "object": "v2.core.event"}).encode()) == 400
    assert signed(json.dumps({**event, "id": "e" * 300}).encode()) == 400
    assert signed(json.dumps({**event, "created": "now"}).encode()) == 400
    assert signed(json.dumps(event).encode()) == 200


def test_methods_and_twice_signed(shop, stripe):
    assert shop.call("GET", ROUTE, key=None, public=True).status == 405
    body = harmless(stripe)
    header = sign(stripe.webhook_secret, body)
    answer = send(shop, body, header, **{"X-Request-Id": "from-stripe"})
    assert answer.status == 200


def forgery(choose, secret, body, now):
    """A header and a body that Stripe did not sign, in one of many ways."""
    good = digest(secret, b"%d." % now + body)
    kind = choose.randrange(10)
    if kind == 0:  # random
        return f"t={now},v1=" + "".join(choose.choice(HEX) for _ in range(64)), body
    if kind == 1:  # truncated
        return f"t={now},v1={good[:choose.randrange(64)]}", body
    if kind == 2:  # one digit off
        at = choose.randrange(64)
        return f"t={now},v1={good[:at]}{HEX[(HEX.index(good[at]) + 1 + choose.randrange(15)) % 16]}{good[at + 1:]}", body
    if kind == 3:  # replayed later
        old = now - 301 - choose.randrange(10**6)
        return f"t={old},v1={digest(secret, b'%d.' % old + body)}", body
    if kind == 4:  # an old signature under a new time
        old = now - 1 - choose.randrange(10**6)
        return f"t={now},v1={digest(secret, b'%d.' % old + body)}", body
    if kind == 5:  # serialised again
        ways = (lambda e: json.dumps(e), lambda e: json.dumps(e, separators=(",", ":")),
                lambda e: json.dumps(e, indent=2, sort_keys=True), lambda e: json.dumps(e, indent=3))
        return f"t={now},v1={good}", choose.choice(ways)(json.loads(body)).encode()
    if kind == 6:  # one byte of the body
        at = choose.randrange(len(body))
        changed = bytes([(body[at] + 1 + choose.randrange(94)) % 127 or 1])
        changed = changed if changed != body[at:at + 1] else b"~"
        return f"t={now},v1={good}", body[:at] + changed + body[at + 1:]
    if kind == 7:  # another scheme
        return f"t={now},v0={good}", body
    if kind == 8:  # a guessable secret
        guess = choose.choice(("", "whsec_", "secret", "0" * 64, secret[6:], secret[:-1], secret + " "))
        return f"t={now},v1={digest(guess, b'%d.' % now + body)}", body
    return f"t={now},v1={digest(secret, b'%d' % now + body)}", body  # without the dot


def test_no_forgery_is_accepted(shop, stripe):
    """10,000 forged, truncated, replayed and re-serialised signatures: none accepted, nothing noted."""
    choose = random.Random(20261121)
    before = shop.sql("SELECT COUNT(*), MAX(received_at_us) FROM webhook_events")
    bodies = [stripe.body_of(stripe.emit("checkout.session.completed", stripe.new(
        "checkout.session", "cs_test", mode="payment", payment_status="paid", amount_total=500, currency="eur",
        payment_intent=f"pi_forged{i}", metadata={})), ) for i in range(50)]
    stripe.lose()
    with Swarm([shop.url], connections=16) as swarm:
        forged = []
        for i in range(FORGERIES):
            header, body = forgery(choose, stripe.webhook_secret, bodies[i % len(bodies)], int(time.time()))
            forged.append((header, body))
        answers = swarm.run([swarm.request("POST", ROUTE, body=body, headers={
            "Content-Type": "application/json", "Stripe-Signature": header}) for header, body in forged])
    assert len(answers) == FORGERIES
    wrong = [(forged[i], answer) for i, answer in enumerate(answers)
             if answer.status != 400 or answer.json["field"] != "Stripe-Signature"]
    assert not wrong, (len(wrong), wrong[0])
    assert shop.sql("SELECT COUNT(*), MAX(received_at_us) FROM webhook_events") == before


def test_without_a_secret_nothing_is_believed(stripe):
    settings = stripe.settings(stripe_secret_key="", stripe_webhook_secret="")
    with Octroi("nginx", settings=settings) as o:
        body = harmless(stripe)
        for secret in ("", "whsec_", stripe.webhook_secret):
            answer = send(o, body, sign(secret, body))
            assert answer.status == 503, answer
        assert o.sql("SELECT COUNT(*) FROM webhook_events") == [("0",)]


# ---- what is applied, ignored, parked ----------------------------------------------------------------


def test_once_whatever_comes_how_often(shop, stripe):
    account = shop.account()
    session = order(shop, stripe, account, 1000)
    stripe.pay(session)
    events = stripe.lose()
    for _ in range(3):
        for event in events:
            assert stripe.send(event) == 200
    # Stripe can make two events of one fact.
    for event in events:
        assert stripe.send({**event, "id": event["id"] + "_again"}) == 200
    assert balance(shop, account) == 10 * EURO
    states = {event["type"]: event_row(shop, event)[0] for event in events}
    assert sorted(states[t] for t in ("payment_intent.succeeded", "checkout.session.completed")) == [
        "applied", "ignored"]
    assert states["charge.succeeded"] == states["invoice.paid"] == "ignored"


def mutated(stripe, event, **changes):
    """The event with another id and with changes to its object."""
    made = json.loads(stripe.body_of(event))
    made["id"] += "_changed"
    made["data"]["object"].update(changes)
    return made


@pytest.mark.parametrize("changes, note", [
    ({"amount_total": 999}, "another amount"),
    ({"amount_total": 1001}, "another amount"),
    ({"amount_total": None}, "another amount"),
    ({"amount_total": "1000"}, "another amount"),
    ({"currency": "usd"}, "another currency"),
    ({"currency": None}, "another currency"),
    ({"customer": "cus_somebody_else"}, "another customer"),
    ({"client_reference_id": "A" * 32}, "two orders"),
    ({"metadata": {"user_id": "somebody-else"}}, "another account"),
    ({"metadata": {}, "client_reference_id": None, "payment_intent": "pi_of_nobody"}, "fits no order"),
    ({"metadata": {"topup_id": guard.public_id("nobody", 1)}, "client_reference_id": None}, "no such order"),
])
def test_what_does_not_fit_is_parked(shop, stripe, changes, note):
    account = shop.account()
    stripe.pay(order(shop, stripe, account, 1000))
    event = next(e for e in stripe.lose() if e["type"] == "checkout.session.completed")
    if "metadata" in changes and "user_id" in changes["metadata"]:
        changes = {"metadata": {**event["data"]["object"]["metadata"], **changes["metadata"]}}
    parked = mutated(stripe, event, **changes)
    assert stripe.send(parked) == 200
    state, why = event_row(shop, parked)
    assert state == "parked" and note in why, why
    assert balance(shop, account) == 0
    listed = json.loads(shop.ctl("webhook", "list", "--json").stdout)["items"]
    assert any(e["id"] == parked["id"] and note in e["note"] for e in listed)


def test_another_mode_or_a_connected_account_is_parked(shop, stripe):
    account = shop.account()
    stripe.pay(order(shop, stripe, account))
    event = next(e for e in stripe.lose() if e["type"] == "payment_intent.succeeded")
    live = {**event, "id": event["id"] + "_live", "livemode": True}
    connected = {**event, "id": event["id"] + "_connected", "account": "acct_other"}
    for wrong, note in ((live, "another mode"), (connected, "connected account")):
        assert stripe.send(wrong) == 200
        state, why = event_row(shop, wrong)
        assert state == "parked" and note in why
    assert balance(shop, account) == 0


def test_a_payment_of_another_order_is_parked(shop, stripe):
    account = shop.account()
    intent = stripe.pay(order(shop, stripe, account, 1000))
    stripe.deliver()
    stripe.pay(order(shop, stripe, account, 1000))
    event = next(e for e in stripe.lose() if e["type"] == "checkout.session.completed")
    stolen = mutated(stripe, event, payment_intent=intent["id"])
    assert stripe.send(stolen) == 200
    assert event_row(shop, stolen) == ("parked", "this payment belongs to another order")
    assert balance(shop, account) == 10 * EURO


def test_list_and_replay(shop, stripe):
    """A subscription whose price has no plan yet waits; configured, it is taken up again."""
    account = shop.account()
    order(shop, stripe, account)
    event = subscription_event(stripe, shop, account, "created", "price_new")
    assert stripe.send(event) == 200
    assert event_row(shop, event)[0] == "parked"
    assert shop.ctl("webhook", "replay", event["id"], check=False).returncode == 1
    assert shop.ctl("webhook", "replay", "evt_unknown", check=False).returncode == 1
    assert shop.ctl("webhook", "replay", check=False).returncode == 2
    prices = "price_start=starter price_pro=professional price_new=fresh"
    shop.kill("octroi", 15)
    shop.start(plan_prices=prices)
    replayed = shop.ctl("webhook", "replay", event["id"], "--json")
    assert json.loads(replayed.stdout)["items"][0]["state"] == "applied"
    assert plan(shop, account) == "fresh"
    assert event_row(shop, event)[0] == "applied"
    assert stripe.send(event) == 200
    assert shop.ctl("webhook", "replay", event["id"], check=False).returncode == 1
    assert "applied" in shop.ctl("webhook", "list", "--all").stdout


ODD = [None, True, False, 0, -1, 1.5, 2**31, 2**63 - 1, 10**12, "", " ", "x" * 255, "x" * 256, "x" * 5000, "é" * 200,
       "\u2028", "0x", "'; DROP TABLE topups; --", [], {}, [[]], {"id": "x" * 300}, {"id": 5}, {"object": {}}]


def paths(value, at=()):
    """Every place in a document."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in inner:
        yield at + (key,)
        yield from paths(below, at + (key,))


def test_signed_nonsense(shop, stripe):
    """Events that Stripe signed but that are not as it describes them: never a 5xx; what they may move is audited."""
    choose = random.Random(3)
    account = shop.account()
    stripe.pay(order(shop, stripe, account))
    intent = stripe.pay(order(shop, stripe, account))["id"]
    stripe.refund(intent, 100)
    stripe.close_dispute(stripe.dispute(intent, 50)["id"], "won")
    shop.ctl("plan", "set", "starter", "--unit", "money", "--scope", "pool", "--pool", "5")
    stripe.prices = {"price_start": (500, "month"), "price_pro": (900, "month")}
    sub = stripe.subscribe(customer(shop, account), "price_start")
    stripe.change(sub, "price_pro")
    stripe.refund(stripe.objects["invoice"][sub["latest_invoice"]]["_payment_intent"], 100)
    events = stripe.lose() + [subscription_event(stripe, shop, account, what, "price_start", "active")
                              for what in ("created", "deleted")]
    bodies = []
    for i in range(2000):
        event = json.loads(stripe.body_of(choose.choice(events)))
        event["id"] = f"evt_odd_{i}"
        for _ in range(choose.randrange(1, 4)):
            path = choose.choice(list(paths(event)))
            at = event
            for key in path[:-1]:
                at = at[key]
            if choose.random() < 0.2 and isinstance(at, dict):
                del at[path[-1]]
            else:
                at[path[-1]] = copy.deepcopy(choose.choice(ODD))  # it may be changed, too
        bodies.append(json.dumps(event).encode())
    with Swarm([shop.url], connections=16) as swarm:
        answers = swarm.run([swarm.request("POST", ROUTE, body=body, headers={
            "Content-Type": "application/json", "Stripe-Signature": sign(stripe.webhook_secret, body)})
            for body in bodies])
    wrong = [(bodies[i], answer) for i, answer in enumerate(answers) if answer.status not in (200, 400)]
    assert not wrong, (len(wrong), wrong[0])
    assert {200, 400} == {answer.status for answer in answers}
    assert balance(shop, account) <= 15 * EURO
    shop.audit()


# ---- subscriptions ---------------------------------------------------------------------------------


def customer(shop, account):
    return shop.sql("SELECT b.customer_id FROM billing b JOIN accounts a ON a.id = b.account_id "
                    f"WHERE a.external_id = '{account}'")[0][0]


def plan(shop, account):
    return shop.sql("SELECT b.plan FROM billing b JOIN accounts a ON a.id = b.account_id "
                    f"WHERE a.external_id = '{account}'")[0][0]


def subscription_event(stripe, shop, account, what, price, status="active", created=None, id=None,
                       began=1_800_000_000):
    made = stripe.new("subscription", "sub", customer=customer(shop, account), status=status, metadata={}, items={
        "object": "list", "data": [{"id": "si_1", "object": "subscription_item", "price": {"id": price},
                                    "current_period_start": began, "current_period_end": 1_802_592_000}]})
    if id:
        made["id"] = id
    event = stripe.emit(f"customer.subscription.{what}", made, lost=True)
    if created is not None:
        event["created"] = created
    return event


@pytest.mark.parametrize("version", [None, VERSION_OLD])
def test_the_plan_follows_the_subscription(shop, stripe, version):
    account = shop.account()
    order(shop, stripe, account)
    kept = stripe.api_version
    stripe.api_version = version or kept
    sub, now = f"sub_follows_{account}", stripe.now()
    told = [("created", "price_start", "active", "starter"), ("updated", "price_pro", "active", "professional"),
            ("updated", "price_pro", "past_due", "professional"), ("deleted", "price_pro", "canceled", "")]
    for i, (what, price, status, expected) in enumerate(told):
        event = subscription_event(stripe, shop, account, what, price, status, now + i, sub)
        assert stripe.send(event) == 200
        assert plan(shop, account) == expected
        for path in (f"/api/credits?account={account}", f"/api/accounts/{account}"):
            assert shop.get(path).json.get("plan", "") == expected
    stripe.api_version = kept
    ends = shop.sql(f"SELECT period_end_at_us FROM subscriptions WHERE subscription_id = '{sub}'")
    assert ends == [("1802592000000000",)]


def test_a_plan_of_another_unit_is_parked(shop, stripe):
    shop.ctl("plan", "set", "starter", "--unit", "money", "--scope", "pool", "--pool", "5")
    account = shop.account(unit="credit")
    order(shop, stripe, account)
    assert stripe.send(subscription_event(stripe, shop, account, "created", "price_start")) == 200
    assert "allowance" not in shop.get(f"/api/credits?account={account}").json
    notes = shop.sql("SELECT note FROM webhook_events e JOIN accounts a ON a.id = e.account_id"
                     f" WHERE a.external_id = '{account}' AND e.state = 2")
    assert notes == [("the plan is for accounts of another unit",)]


def test_the_older_event_never_wins(shop, stripe):
    """Every order of the same events ends in the same plan."""
    choose = random.Random(7)
    for i in range(12):
        account = shop.account()
        order(shop, stripe, account)
        now, sub = stripe.now(), f"sub_old_{account}"
        events = [subscription_event(stripe, shop, account, what, price, status, now + at, sub)
                  for what, price, status, at in (
                      ("created", "price_start", "incomplete", 0), ("updated", "price_start", "active", 0),
                      ("updated", "price_pro", "active", 5), ("updated", "price_start", "past_due", 9))]
        if i % 2:
            events.append(subscription_event(stripe, shop, account, "deleted", "price_start", "canceled", now + 9, sub))
        choose.shuffle(events)
        for event in events:
            assert stripe.send(event) == 200
        assert plan(shop, account) == ("" if i % 2 else "starter")


def test_the_end_of_a_replaced_subscription_changes_nothing(shop, stripe):
    account = shop.account()
    order(shop, stripe, account)
    now = stripe.now()
    told = [("created", "price_start", "active", now, "sub_a" + account),
            ("created", "price_pro", "active", now + 3, "sub_b" + account),
            ("deleted", "price_start", "canceled", now + 5, "sub_a" + account)]
    for what, price, status, at, id in told:
        assert stripe.send(subscription_event(stripe, shop, account, what, price, status, at, id)) == 200
    assert plan(shop, account) == "professional"


def test_a_subscription_of_nobody_is_parked(shop, stripe):
    account = shop.account()
    order(shop, stripe, account)
    event = subscription_event(stripe, shop, account, "created", "price_start")
    event["data"]["object"]["customer"] = "cus_nobody"
    assert stripe.send(event) == 200
    assert event_row(shop, event) == ("parked", "its customer has no account")
    assert plan(shop, account) == ""


# ---- the storm -------------------------------------------------------------------------------------


def story(stripe, session, kind):
    """Events of the order of that session; the cents that remain, and the order's state."""
    if kind == 0:
        stripe.expire(session)
        return 0, 2
    if kind == 1:
        stripe.pay(session, delayed=True)
        stripe.settle_delayed(session, succeeds=False)
        return 0, 3
    if kind == 2:
        stripe.pay(session, delayed=True)
        return 0, 1
    delayed = kind in (3, 7)
    intent = stripe.pay(session, delayed=delayed)["id"]
    if delayed:
        stripe.settle_delayed(session)
    paid = stripe.objects["payment_intent"][intent]["amount"]
    if kind in (4, 7):
        stripe.refund(intent, 123)
        stripe.refund(intent, 77)
        return paid - 200, 4
    if kind == 5:
        failed = stripe.refund(intent, 150, status="pending")
        stripe.refund(intent, 50)
        stripe.fail_refund(failed["id"])
        return paid - 50, 4
    if kind == 6:
        dispute = stripe.dispute(intent)
        stripe.close_dispute(dispute["id"], "lost")
        return 0, 4
    if kind == 8:
        dispute = stripe.dispute(intent, amount=301)
        stripe.close_dispute(dispute["id"], "won")
        stripe.refund(intent)
        return 0, 4
    if kind == 9:
        stripe.refund(intent, 99)
        dispute = stripe.dispute(intent, amount=101)
        return paid - 200, 4
    return paid, 4


def ends(shop, accounts):
    """account -> (balance, order's state, refunded, disputed), from the database."""
    names = ",".join(f"'{account}'" for account in accounts)
    rows = shop.sql("SELECT a.external_id, a.balance_micros, t.state, t.refunded_micros, t.disputed_micros FROM "
                    f"accounts a JOIN topups t ON t.account_id = a.id WHERE a.external_id IN ({names})")
    return {row[0]: tuple(int(n) for n in row[1:]) for row in rows}


def deliver(shop, swarm, stripe, events):
    """Each event as often as it is in the list, signed when its turn comes, again until 2xx."""
    bodies = {event["id"]: stripe.body_of(event) for event in events}
    for start in range(0, len(events), 5000):
        requests = [swarm.request("POST", ROUTE, body=bodies[event["id"]], headers={
            "Content-Type": "application/json", "Stripe-Signature": sign(stripe.webhook_secret, bodies[event["id"]])})
            for event in events[start:start + 5000]]
        answers, _ = swarm.run_until_known(requests)
        assert {answer.status for answer in answers} == {200}


@pytest.mark.parametrize("seed", [1, 2])
def test_storm(shop, stripe, seed):
    """Payments of every kind, each event 20 times, all orders mixed, 32 at once: the same end for each kind,
    to the micro, and nothing left parked."""
    choose = random.Random(seed)
    expected, events = {}, []
    for i in range(STORM_PAYMENTS):
        account = shop.account()
        cents = 500 + choose.randrange(9500)
        left, state = story(stripe, order(shop, stripe, account, cents), i % 11)
        expected[account] = (left * 10_000, state)
        events += stripe.lose()
    copies = [event for event in events for _ in range(STORM_COPIES)]
    choose.shuffle(copies)
    with Swarm([shop.url], connections=STORM_PARALLEL) as swarm:
        deliver(shop, swarm, stripe, copies)
    found = ends(shop, expected)
    assert {a: found[a][:2] for a in found} == expected
    named = ",".join(f"'{event['id']}'" for event in events)
    states = shop.sql(f"SELECT state, COUNT(*) FROM webhook_events WHERE event_id IN ({named}) GROUP BY state")
    assert "2" not in {state for state, _ in states}, states
    credits = shop.sql("SELECT COUNT(*), COUNT(DISTINCT account_id, reference) FROM transactions WHERE type = 0")
    assert credits[0][0] == credits[0][1]


def test_storm_over_two_processes(shop, stripe):
    """Two octroi on one database, each given half of the copies at the same moments."""
    choose = random.Random(9)
    expected, events = {}, []
    for i in range(44):
        account = shop.account()
        left, state = story(stripe, order(shop, stripe, account, 1000), i % 11)
        expected[account] = (left * 10_000, state)
        events += stripe.lose()
    copies = [event for event in events for _ in range(8)]
    choose.shuffle(copies)
    with Second(shop) as second, Swarm([shop.internal_url, second.internal_url], connections=16) as swarm:
        deliver(shop, swarm, stripe, copies)
    found = ends(shop, expected)
    assert {a: found[a][:2] for a in found} == expected
    named = ",".join(f"'{event['id']}'" for event in events)
    assert shop.sql(f"SELECT COUNT(*) FROM webhook_events WHERE state = 2 AND event_id IN ({named})") == [("0",)]


def test_killed_in_the_storm(shop, stripe):
    """octroi dies of SIGKILL again and again while events come, refunds and disputes before their payments; Stripe
    repeats what was not answered."""
    choose = random.Random(10)
    expected, events = {}, []
    for i in range(60):
        account = shop.account()
        left, state = story(stripe, order(shop, stripe, account, 1000), 4 + i % 6)
        expected[account] = (left * 10_000, state)
        events += stripe.lose()
    waiting = [event for event in events for _ in range(3)]
    choose.shuffle(waiting)
    kills = 0
    with Swarm([shop.url], connections=8) as swarm:
        while waiting:
            died = threading.Thread(target=lambda: (time.sleep(choose.uniform(0.02, 0.2)), shop.kill("octroi")))
            if kills < 6:
                died.start()
            answers = swarm.run([swarm.request("POST", ROUTE, body=body, headers={
                "Content-Type": "application/json", "Stripe-Signature": sign(stripe.webhook_secret, body)})
                for body in map(stripe.body_of, waiting)])
            waiting = [event for event, answer in zip(waiting, answers) if answer.status != 200]
            if kills < 6:
                died.join()
                shop.start()
                kills += 1
    found = ends(shop, expected)
    assert {a: found[a][:2] for a in found} == expected
    named = ",".join(f"'{event['id']}'" for event in events)
    assert shop.sql(f"SELECT COUNT(*) FROM webhook_events WHERE state = 2 AND event_id IN ({named})") == [("0",)]
    assert kills >= 1
    shop.audit()

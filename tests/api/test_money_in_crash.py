"""kill -9 of octroi between order, customer, session, event and credit: after a restart and the senders'
repeats there is one credit, and no order that leads nowhere.

octroi has no hooks for this: the Stripe of the tests stops a request before or after it took effect, and a
lock held in the database stops a transaction before it.
"""

import http.client
import pathlib
import random
import sys
import threading

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import guard  # noqa: E402
from fake_stripe import FakeStripe  # noqa: E402
from octroi import Octroi, wait_until  # noqa: E402
from rowlock import Lock, wait_for_waiting  # noqa: E402

EURO = 1_000_000
CENTS = 2000
OPEN, EXPIRED, PAID = "0", "2", "4"


@pytest.fixture(scope="module")
def stripe():
    with FakeStripe() as fake:
        yield fake


@pytest.fixture(scope="module")
def shop(stripe):
    with Octroi("nginx", settings=stripe.settings()) as o:
        stripe.webhook_url = o.url + "/api/webhooks/stripe"
        yield o


def topup(shop, account, id=None):
    body = {"amount": CENTS, **({"requestId": id} if id else {})}
    return shop.post(f"/api/credits/topup?account={account}", body)


def in_background(call):
    """The call in a thread; what becomes of its answer does not matter."""
    def run():
        try:
            call()
        except (OSError, http.client.HTTPException):
            pass
    thread = threading.Thread(target=run)
    thread.start()
    return thread


def repeated(shop, account, id, seconds=30):
    """A caller without an answer sends the same again until it is served; the session."""
    def served():
        try:
            answer = topup(shop, account, id)
        except (OSError, http.client.HTTPException):
            return None
        assert answer.status in (200, 429, 502, 503), answer
        return answer.json["url"] if answer.status == 200 else None
    return wait_until(served, seconds, "the top-up").rsplit("/", 1)[1]


def orders(shop, account):
    return [state for state, in shop.sql(f"SELECT state FROM topups WHERE account_id = {guard.key_of(account)}")]


def credits(shop, account):
    """The account's credits from payments: amounts in micros."""
    rows = shop.sql("SELECT amount_micros FROM transactions WHERE type = 0 AND "
                    f"account_id = {guard.key_of(account)}")
    return [int(amount) for amount, in rows]


def locked(shop, account):
    return Lock(shop, f"accounts WHERE id = {guard.key_of(account)}")


@pytest.mark.parametrize("path, point", [
    ("/v1/customers", "before"),            # after the order, before the customer
    ("/v1/customers", "after"),             # the customer is made, octroi has not heard of it
    (r"/v1/customers/\w+", "after"),        # the customer is noted and named
    ("/v1/checkout/sessions", "before"),    # after the customer, before the session
    ("/v1/checkout/sessions", "after"),     # the session is made, octroi has not heard of it
])
def test_killed_while_it_talks_to_stripe(shop, stripe, path, point):
    account, id = shop.account(email="k@example.org"), guard.request_id("kill")
    stop = stripe.stop_at(path, point)
    thread = in_background(lambda: topup(shop, account, id))
    stop.wait_reached()
    assert orders(shop, account) == [OPEN]
    shop.kill()
    stop.release()
    thread.join(30)
    shop.start()
    session = repeated(shop, account, id)
    assert len([c for c in stripe.objects["customer"].values() if c["metadata"]["user_id"] == account]) == 1
    assert [s["id"] for s in stripe.sessions() if s["metadata"]["user_id"] == account] == [session]
    stripe.pay(session)
    stripe.deliver()
    assert orders(shop, account) == [PAID] and credits(shop, account) == [20 * EURO]
    assert shop.balance(account)[0] == 20 * EURO


@pytest.mark.parametrize("point", ["before", "after"])
def test_a_caller_that_does_not_repeat(shop, stripe, point):
    """The order is given up by the reconciliation once nobody can pay it any more; or it is paid, and counts."""
    account = shop.account()
    stop = stripe.stop_at("/v1/checkout/sessions", point)
    thread = in_background(lambda: topup(shop, account))
    stop.wait_reached()
    shop.kill()
    stop.release()
    thread.join(30)
    shop.start()
    if point == "after":  # octroi never heard of the session, the customer got to it all the same
        [session] = [s["id"] for s in stripe.sessions() if s["metadata"]["user_id"] == account]
        stripe.pay(session)
        stripe.deliver()
        assert orders(shop, account) == [PAID] and credits(shop, account) == [20 * EURO]
        return
    shop.sql("UPDATE topups t JOIN billing b ON b.account_id = t.account_id SET t.created_at_us = t.created_at_us - "
             f"90000000000, b.open_orders = '' WHERE t.account_id = {guard.key_of(account)}")
    assert shop.ctl("stripe", "reconcile").returncode == 0
    assert orders(shop, account) == [EXPIRED] and credits(shop, account) == []


def test_killed_before_the_order(shop, stripe):
    account, id = shop.account(), guard.request_id("kill")
    with locked(shop, account):
        thread = in_background(lambda: topup(shop, account, id))
        wait_for_waiting(shop)
        shop.kill()
    thread.join(30)
    shop.start()
    session = repeated(shop, account, id)
    assert len(orders(shop, account)) == 1
    stripe.pay(session)
    stripe.deliver()
    assert orders(shop, account) == [PAID] and credits(shop, account) == [20 * EURO]


@pytest.mark.parametrize("type", ["payment_intent.succeeded", "checkout.session.completed"])
def test_killed_between_event_and_credit(shop, stripe, type):
    account = shop.account()
    session = topup(shop, account).json["url"].rsplit("/", 1)[1]
    stripe.pay(session)
    [event] = [e for e in stripe.undelivered if e["type"] == type]
    sent = []
    thread = threading.Thread(target=lambda: sent.append(stripe.send(event)))
    with locked(shop, account):
        thread.start()
        wait_for_waiting(shop)
        shop.kill()
    thread.join(30)
    assert sent != [200], "answered before it was committed"
    shop.start()
    # Either both are there or neither is.
    noted = shop.sql(f"SELECT COUNT(*) FROM webhook_events WHERE event_id = '{event['id']}'")
    assert len(credits(shop, account)) == int(noted[0][0])
    stripe.deliver()
    stripe.send(event)
    assert orders(shop, account) == [PAID] and credits(shop, account) == [20 * EURO]
    assert shop.balance(account)[0] == 20 * EURO


def test_killed_at_any_time(shop, stripe):
    """Ten customers at a time pay while octroi is killed again and again; every event is sent three times."""
    chosen = random.Random(20261121)
    accounts = [shop.account() for _ in range(150)]
    waiting, used, failures = list(accounts), [], []
    enough = threading.Event()

    def customer():
        try:
            while not enough.is_set() and waiting:
                account = waiting.pop()
                used.append(account)
                stripe.pay(repeated(shop, account, guard.request_id("storm"), 120))
                stripe.deliver(120, order=lambda events: events * 3)
        except BaseException as e:
            failures.append(e)
    threads = [threading.Thread(target=customer) for _ in range(10)]
    for thread in threads:
        thread.start()
    for _ in range(6):
        busy = len(used) + chosen.randrange(3)
        wait_until(lambda: len(used) > busy or not waiting, 60, "customers")
        shop.kill()
        shop.start()
    enough.set()
    for thread in threads:
        thread.join(180)
    stripe.deliver(60)
    assert not failures and len(used) > 20, (failures, len(used))
    for account in used:
        assert orders(shop, account) == [PAID] and credits(shop, account) == [20 * EURO], account
        assert len([c for c in stripe.objects["customer"].values() if c["metadata"]["user_id"] == account]) == 1
    said = shop.ctl("stripe", "reconcile", check=False)
    assert said.returncode == 0, said.stdout
    shop.audit()

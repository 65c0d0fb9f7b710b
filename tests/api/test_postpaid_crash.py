"""A statement is charged exactly once, wherever octroi is killed (kill -9) while it charges, whatever answer of Stripe's is
lost, and however many charge at once.  What counts is what the Stripe of the tests really took.
"""

import concurrent.futures
import http.client
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import guard  # noqa: E402
from fake_stripe import FakeStripe  # noqa: E402
from octroi import Octroi, wait_until  # noqa: E402
from rowlock import Lock, wait_for_waiting  # noqa: E402
from second import Second  # noqa: E402
from shop import *  # noqa: E402, F403
from test_postpaid import PAID, Customer, next_month  # noqa: E402
from timetravel import Clock  # noqa: E402

# In the order in which they come.
STEPS = {"customer": "/v1/customers/cus_[^/]+", "invoice": "/v1/invoices", "line": "/v1/invoiceitems",
         "finalize": "/v1/invoices/in_[^/]+/finalize", "pay": "/v1/invoices/in_[^/]+/pay"}
# Patient, so that a request that is stopped for a moment is not sent again meanwhile.
SETTINGS = {"stripe_timeout_ms": 40000}


def assert_once(c, cents):
    assert c.wait(PAID)[0][:2] == (PAID, cents)
    assert c.charged() == [cents] and c.payments() == [cents * 10_000] and c.balance() == 0
    wait_until(lambda: [row[1] for row in c.outbox()] == ["1"], 30, "the end of what is to be done")
    assert len([i for i in c.invoices() if i["status"] == "paid"]) == 1
    c.shop.audit()


def kill_and_restart(shop, clock):
    shop.kill()
    shop.start()
    clock.forward(minutes=5)  # the dead one's claim runs out


@pytest.mark.parametrize("point", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_killed_at_a_request(shop, stripe, clock, step, point):
    c = Customer(shop, stripe, cents=1000 + len(step))
    stop = stripe.stop_at(STEPS[step], point)
    next_month(clock)
    stop.wait_reached()
    kill_and_restart(shop, clock)
    stop.release()
    assert_once(c, 1000 + len(step))


@pytest.mark.parametrize("rows, after", [("outbox WHERE account_id", "/v1/invoices/in_[^/]+/pay"),
                                         ("accounts WHERE id", "/v1/invoices"),
                                         ("accounts WHERE id", "/v1/invoices/in_[^/]+/finalize"),
                                         ("accounts WHERE id", "/v1/invoices/in_[^/]+/pay")])
def test_killed_between_an_answer_and_the_note_of_it(shop, stripe, clock, rows, after):
    """A lock in the database stops what follows the answer; that of a statement first needs its account."""
    c = Customer(shop, stripe, cents=1300)
    stop = stripe.stop_at(after, "after")
    next_month(clock)
    stop.wait_reached()
    with Lock(shop, f"{rows} = {guard.key_of(c.id)}"):
        stop.release()
        wait_for_waiting(shop)
        shop.kill()
    shop.start()
    clock.forward(minutes=5)
    assert_once(c, 1300)


@pytest.mark.parametrize("step", STEPS)
def test_lost_answers(shop, stripe, clock, step):
    """The connection is cut after the request took effect: it is sent again under its key."""
    c = Customer(shop, stripe, cents=1400)
    lost = stripe.trouble(STEPS[step], lose=True, times=1)
    next_month(clock)
    assert_once(c, 1400)
    assert lost.seen == 1


@pytest.mark.parametrize("what", [{"status": 500}, {"lose": True}, {"drop": True}], ids=lambda what: next(iter(what)))
@pytest.mark.parametrize("step", ["invoice", "line", "finalize", "pay"])
def test_answers_that_never_come(shop, stripe, clock, step, what):
    """None of a charge's attempts is answered, whether it took effect or not; then Stripe is there again."""
    c = Customer(shop, stripe, cents=1500)
    trouble = stripe.trouble(STEPS[step], **what)
    next_month(clock)
    wait_until(lambda: c.outbox() and c.outbox()[0][3] != "", 60, "a charge that fails")
    assert trouble.seen > 0 and c.charged() == ([1500] if (step, what) == ("pay", {"lose": True}) else [])
    assert c.payments() == []
    stripe.calm()
    clock.forward(minutes=10)
    assert_once(c, 1500)


def test_killed_after_a_decline(shop, stripe, clock):
    """Stripe's no is not noted; the same attempt is not made a second time, and counts once."""
    c = Customer(shop, stripe, cents=1600, declines="card_declined")
    stop = stripe.stop_at(STEPS["pay"], "after")
    next_month(clock)
    stop.wait_reached()
    kill_and_restart(shop, clock)
    stop.release()
    assert c.wait("2") == [("2", 1600, 1, "card_declined")]
    c.replace_card()
    assert c.pay().status == 200
    assert c.charged() == [1600]


def test_many_pay_at_once(shop, stripe, clock):
    """The worker, a second octroi, octroictl and impatient customers."""
    c = Customer(shop, stripe, cents=1700)
    with Second(shop) as second, concurrent.futures.ThreadPoolExecutor(12) as pool:
        port = int(second.internal_url.rsplit(":", 1)[1])

        def elsewhere():
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            connection.request("POST", f"/api/credits/pay?account={c.id}", body="{}", headers={
                "Content-Type": "application/json", "Authorization": "Bearer " + shop.keys["app"]})
            return connection.getresponse().status
        next_month(clock)
        asked = [pool.submit(elsewhere) for _ in range(4)] + [pool.submit(lambda: c.pay(timeout=60).status) for _ in range(4)]
        ticks = [pool.submit(shop.ctl, "tick", check=False) for _ in range(2)]
        assert all(call.result() in (200, 429, 503) for call in asked)  # 429: the account has its share
        assert all(tick.result() is not None for tick in ticks)
    assert_once(c, 1700)


def test_the_webhook_is_first(shop, stripe, clock):
    """Stripe's event comes before its answer."""
    c = Customer(shop, stripe, cents=1800)
    stop = stripe.stop_at(STEPS["pay"], "after")
    next_month(clock)
    stop.wait_reached()
    stripe.deliver()
    assert c.balance() == 0
    stop.release()
    assert_once(c, 1800)


def test_ticks_alone(stripe):
    """Without a thread that works: octroictl tick from cron, killed in the middle, then run again."""
    with FakeStripe() as own, Octroi("nginx", settings=own.settings()) as o:
        own.webhook_url = o.url + "/api/webhooks/stripe"
        c = Customer(o, own, cents=1900)
        clock = Clock(o)
        o.kill()
        clock.forward(days=31)
        stop = own.stop_at(STEPS["pay"], "after")
        process = subprocess.Popen([o.env["OCTROI_CTL"], "tick"])
        stop.wait_reached()
        process.kill()
        process.wait()
        stop.release()
        clock.forward(minutes=5)
        o.ctl("tick")
        o.start()
        assert_once(c, 1900)

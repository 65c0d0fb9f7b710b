"""A due recharge is charged exactly once, wherever octroi is killed (kill -9) while it charges, whatever answer of
Stripe's is lost, and however many charge at once.  What counts is what the Stripe of the tests really took.
"""

import concurrent.futures
import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import guard  # noqa: E402
from fake_stripe import FakeStripe  # noqa: E402
from octroi import Octroi  # noqa: E402
from rowlock import Lock, wait_for_waiting  # noqa: E402
from saver import EURO, Saver  # noqa: E402
from second import Second  # noqa: E402
from shop import *  # noqa: E402, F403
from timetravel import Clock  # noqa: E402

# In the order in which they come.
STEPS = {"cards": "/v1/customers/cus_[^/]+/payment_methods", "default": "/v1/customers/cus_[^/]+",
         "payment": "/v1/payment_intents"}
# Patient, so that a request that is stopped for a moment is not sent again meanwhile.
SETTINGS = {"stripe_timeout_ms": 40000, "orders_open_max": "100"}


def due(shop, stripe, **more):
    """A customer of two cards whose next charge is due as soon as 11 are spent."""
    c = Saver(shop, stripe, **more)
    stripe.save_card(c.customer)["_declines"] = more.get("declines", "")
    c.on()
    return c


def assert_once(c, cents=2000, today=1):
    c.wait_charged([cents])
    assert c.balance() == 9 * EURO + cents * 10_000
    c.stripe.deliver()
    c.wait(lambda: all(state == "1" for state, _, _ in c.tasks()), "the end of what is to be done")
    assert c.balance() == 9 * EURO + cents * 10_000 and c.charged() == [cents]
    assert c.alerts() == ["recharge_done"] and (c.show()["spentThisMonth"], c.show()["chargesToday"]) == (cents, today)
    c.shop.audit()


def kill_and_restart(shop, clock):
    shop.kill()
    shop.start()
    clock.forward(minutes=5)  # the dead one's claim runs out


@pytest.mark.parametrize("point", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_killed_at_a_request(shop, stripe, clock, step, point):
    c = due(shop, stripe)
    stop = stripe.stop_at(STEPS[step], point)
    c.spend(11 * EURO)
    stop.wait_reached()
    kill_and_restart(shop, clock)
    stop.release()
    assert_once(c)


@pytest.mark.parametrize("rows, after", [("accounts WHERE id", "default"), ("accounts WHERE id", "payment"),
                                         ("outbox WHERE account_id", "payment")])
def test_killed_between_an_answer_and_the_note_of_it(shop, stripe, clock, rows, after):
    """A lock in the database stops what follows the answer: the note of the card, the booking, the end of the task."""
    c = due(shop, stripe)
    stop = stripe.stop_at(STEPS[after], "after")
    c.spend(11 * EURO)
    stop.wait_reached()
    with Lock(shop, f"{rows} = {guard.key_of(c.id)}"):
        stop.release()
        wait_for_waiting(shop)
        shop.kill()
    shop.start()
    clock.forward(minutes=5)
    assert_once(c)


@pytest.mark.parametrize("step", STEPS)
def test_lost_answers(shop, stripe, clock, step):
    """The connection is cut after the request took effect: it is sent again under its key, a charge by the next task."""
    c = due(shop, stripe)
    lost = stripe.trouble(STEPS[step], lose=True, times=1)
    c.spend(11 * EURO)
    if step == "payment":
        c.wait(lambda: c.tasks() and c.tasks()[0][2] != "", "a charge that fails")
        clock.forward(minutes=5)
    assert_once(c)
    assert lost.seen == 1


@pytest.mark.parametrize("what", [{"status": 500}, {"status": 429}, {"status": 409}, {"lose": True}, {"drop": True},
                                  {"status": 401}], ids=str)
@pytest.mark.parametrize("step", ["cards", "payment"])
def test_answers_that_never_come(shop, stripe, clock, step, what):
    """None of a charge's attempts is answered, whether it took effect or not; then Stripe is there again."""
    c = due(shop, stripe)
    trouble = stripe.trouble(STEPS[step], **what)
    c.spend(11 * EURO)
    c.wait(lambda: c.tasks() and c.tasks()[0][2] != "", "a charge that fails")
    assert trouble.seen > 0 and c.charged() == ([2000] if (step, what) == ("payment", {"lose": True}) else [])
    assert c.paid() == [] and c.show()["state"] == "pending"
    stripe.calm()
    clock.forward(minutes=10)
    assert_once(c)
    keys = {r["headers"]["idempotency-key"] for r in stripe.requests if r["method"] == "POST"
            and r["path"] == "/v1/payment_intents" and dict(r["pairs"])["customer"] == c.customer}
    assert len(keys) == 1


@pytest.mark.parametrize("took_effect", [True, False])
def test_a_key_that_stripe_may_have_forgotten(shop, stripe, clock, took_effect):
    """After a day without an answer the payment is looked for; only where there is none, another order is made."""
    c = due(shop, stripe)
    stripe.trouble(STEPS["payment"], **({"lose": True} if took_effect else {"drop": True}))
    c.spend(11 * EURO)
    c.wait(lambda: c.tasks() and c.tasks()[0][2] != "", "a charge that fails")
    stripe.keys.clear()
    stripe.calm()
    clock.forward(days=2)
    assert_once(c, today=0 if took_effect else 1)
    assert [state for state, _ in c.orders()] == (["4"] if took_effect else ["3", "4"]) and len(c.intents()) == 1


def test_killed_after_a_decline(shop, stripe, clock):
    """Stripe's no is not noted; the same attempt is not made a second time, and counts once."""
    c = due(shop, stripe, declines="insufficient_funds")
    stop = stripe.stop_at(STEPS["payment"], "after")
    c.spend(11 * EURO)
    stop.wait_reached()
    kill_and_restart(shop, clock)
    stop.release()
    c.wait_state("waiting", "backing_off")
    assert len(c.intents()) == 1 and c.alerts() == ["recharge_failed"]
    c.replace_card()
    clock.forward(hours=2)
    c.wait_charged([2000])


def test_the_webhook_is_first(shop, stripe, clock):
    """Stripe's event comes before its answer."""
    c = due(shop, stripe)
    stop = stripe.stop_at(STEPS["payment"], "after")
    c.spend(11 * EURO)
    stop.wait_reached()
    stripe.deliver()
    assert c.balance() == 29 * EURO
    stop.release()
    assert_once(c)


def test_only_the_webhook_comes(shop, stripe, clock):
    """octroi dies in the charge, and the event books it before any worker looks again."""
    c = due(shop, stripe)
    stop = stripe.stop_at(STEPS["payment"], "after")
    c.spend(11 * EURO)
    stop.wait_reached()
    shop.kill()
    stop.release()
    shop.start()
    stripe.deliver()
    assert c.balance() == 29 * EURO
    clock.forward(minutes=5)
    assert_once(c)


def test_only_reconciliation_comes(shop, stripe, clock):
    c = due(shop, stripe)
    stop = stripe.stop_at(STEPS["payment"], "after")
    c.spend(11 * EURO)
    stop.wait_reached()
    shop.kill()
    stop.release()
    stripe.lose()
    shop.ctl("stripe", "reconcile", "--since", "2026-01-01T00:00:00Z")
    assert c.paid() == [2000]
    shop.start()
    clock.forward(minutes=5)
    assert_once(c)


def test_many_charge_at_once(shop, stripe, clock):
    """The worker, a second octroi, octroictl, and 64 settlements that all cross."""
    c = due(shop, stripe)
    c.set_balance(200 * EURO)
    holds = [guard.hold(shop, c.id, inputTokens=1000, maxOutputTokens=100_000) for _ in range(64)]
    c.set_balance(10 * EURO)
    with Second(shop), concurrent.futures.ThreadPoolExecutor(32) as pool:
        settled = [pool.submit(shop.post, "/api/guard/settle", {"hold": hold, "inputTokens": 1000, "outputTokens": 100_000})
                   for hold in holds]
        ticks = [pool.submit(shop.ctl, "tick", check=False) for _ in range(2)]
        assert all(call.result().status == 200 for call in settled) and all(tick.result() is not None for tick in ticks)
        # The debt is far larger than two charges.
        c.wait(lambda: c.show()["state"] == "waiting" and c.show()["reason"] == "daily_cap", "the day's maximum")
    assert c.charged() == [2000, 2000] and c.paid() == [2000, 2000] and c.show()["spentThisMonth"] == 4000
    shop.audit()


def test_ticks_alone():
    """Without a thread that works: octroictl tick from cron, killed in the middle, then run again."""
    with FakeStripe() as own, Octroi("nginx", settings=own.settings()) as o:
        own.webhook_url = o.url + "/api/webhooks/stripe"
        clock = Clock(o)
        clock.set("2027-01-10 12:00:00")
        c = due(o, own)
        stop = own.stop_at(STEPS["cards"], "before")
        c.spend(11 * EURO)
        stop.wait_reached()
        o.kill()
        stop.release()
        clock.forward(minutes=5)
        stop = own.stop_at(STEPS["payment"], "after")
        process = subprocess.Popen([o.env["OCTROI_CTL"], "tick"])
        stop.wait_reached()
        process.kill()
        process.wait()
        stop.release()
        clock.forward(minutes=5)
        o.ctl("tick")
        o.start()
        assert_once(c)

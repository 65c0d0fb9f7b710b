"""Stripe repeats an event until it is told that it was received; so that must not be said before it is stored."""

import signal

import pytest

from fake_stripe import FakeStripe
from guard import key_of
from octroi import Octroi

@pytest.fixture(scope="module")
def stripe():
    with FakeStripe() as fake:
        yield fake


@pytest.fixture(scope="module")
def shop(stripe):
    with Octroi("nginx", settings={**stripe.settings(), "request_timeout_ms": 2000, "db_timeout_ms": 1000}) as o:
        stripe.webhook_url = o.url + "/api/webhooks/stripe"
        yield o


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP])
def test_not_received_while_the_database_is_away(shop, stripe, how):
    account = shop.account()
    session = shop.post(f"/api/credits/topup?account={account}", {"amount": 2000}).json["url"].rsplit("/", 1)[1]
    stripe.pay(session)
    [event] = [event for event in stripe.undelivered if event["type"] == "checkout.session.completed"]
    shop.kill("db", how)
    try:
        assert stripe.send(event) == 503
    finally:
        if how == signal.SIGSTOP:
            shop.kill("db", signal.SIGCONT)
        shop.start()
    stripe.deliver()
    assert shop.sql(f"SELECT type, amount_micros FROM transactions WHERE account_id = {key_of(account)}") == [("0", "20000000")]
    assert shop.balance(account)[0] == 20_000_000

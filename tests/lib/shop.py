"""Fixtures of a file whose tests need octroi and a Stripe: stripe, shop, clock and, for each test, calm.

    from shop import *  # noqa: F403
    SETTINGS = {"orders_open_max": "100"}  # of octroi, besides those of the Stripe

clock sets the database's time, which begins in January 2027.  calm ends the trouble that a test has made.
"""

import pytest
from fake_stripe import FakeStripe
from octroi import Octroi
from timetravel import Clock

__all__ = ["calm", "clock", "shop", "stripe"]


@pytest.fixture(scope="module")
def stripe():
    with FakeStripe() as fake:
        yield fake


@pytest.fixture(scope="module")
def shop(request, stripe):
    with Octroi("nginx", settings=stripe.settings(**getattr(request.module, "SETTINGS", {}))) as o:
        stripe.webhook_url = o.url + "/api/webhooks/stripe"
        yield o


@pytest.fixture(scope="module")
def clock(shop):
    clock = Clock(shop)
    clock.set("2027-01-10 12:00:00")
    return clock


@pytest.fixture(autouse=True)
def calm(stripe, clock):
    yield
    stripe.calm()
    stripe.lose()

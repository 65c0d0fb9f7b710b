"""Fixtures of the tests that look at octroi's pages in Chromium.

site: octroi behind each web server in turn, with a Stripe of the tests.  browser: the session's Chromium, in which
nothing is left of the tests before.
Without Chromium, its driver or selenium the tests are skipped.
"""

import contextlib
import pathlib
import shutil
import sys

import pytest

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "lib"), str(TESTS)]

from fake_stripe import FakeStripe  # noqa: E402
from octroi import SERVERS, Octroi  # noqa: E402

TOKEN_SECRET = "a token secret that only the tests use, 2b7e1516"


@contextlib.contextmanager
def _site(server):
    with FakeStripe() as stripe:
        settings = stripe.settings(token_secret=TOKEN_SECRET, bonus_needs_email="off")
        del settings["public_url"]  # quickstart's own
        with Octroi(server, settings=settings) as o:
            stripe.webhook_url = o.url + "/api/webhooks/stripe"
            o.stripe = stripe
            yield o


@pytest.fixture(scope="session")
def nginx():
    with _site("nginx") as o:
        yield o


@pytest.fixture(scope="session")
def apache():
    with _site("apache") as o:
        yield o


@pytest.fixture(scope="session")
def fcgid():
    with _site("apache-fcgid") as o:
        yield o


@pytest.fixture(params=SERVERS)
def site(request):
    return request.getfixturevalue({"apache-fcgid": "fcgid"}.get(request.param, request.param))


@pytest.fixture(scope="session")
def chromium():
    if not shutil.which("chromium") or not shutil.which("chromedriver"):
        pytest.skip("chromium and chromium-driver are not here")
    pytest.importorskip("selenium", reason="python3-selenium is not here")
    from browser import Browser
    with Browser() as b:
        yield b


@pytest.fixture
def browser(chromium):
    chromium.fresh()
    return chromium

"""Fixtures of the tests that talk to octroi through a web server.

nginx, apache, fcgid: one octroi behind that server for the whole session, shared by all tests; each
test works on accounts of its own (octroi.Octroi.account) and leaves settings as they are.  A test
that needs other settings, or that kills things, starts an Octroi of its own.  server: each of the
three in turn.  At the session's end each ledger is audited; an unclean one is an error.
"""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

from octroi import Octroi  # noqa: E402

# More than 32 characters, as octroi demands; anybody may know it.
TOKEN_SECRET = "a token secret that only the tests use, 2b7e1516"
STRIPE_WEBHOOK_SECRET = "whsec_" + "c3RyaXBlLXRlc3RzLW9ubHktc2VjcmV0LTAxMjM0NTY3"
CLERK_WEBHOOK_SECRET = "whsec_" + "Y2xlcmstdGVzdHMtb25seS1zZWNyZXQtMDEyMzQ1Njc4"

SETTINGS = {
    "token_secret": TOKEN_SECRET,
    "stripe_webhook_secret": STRIPE_WEBHOOK_SECRET,
    "clerk_webhook_secret": CLERK_WEBHOOK_SECRET,
    # Most tests care for the bonus, not for who may have it; test_bonus.py has octroi of their own as they come.
    "bonus_needs_email": "off",
    "bonus_campaign_cap": "0",
}


def _octroi(server):
    with Octroi(server, settings=SETTINGS) as o:
        yield o


@pytest.fixture(scope="session")
def nginx():
    """octroi behind nginx."""
    yield from _octroi("nginx")


@pytest.fixture(scope="session")
def apache():
    """octroi behind Apache's mod_proxy_fcgi."""
    yield from _octroi("apache")


@pytest.fixture(scope="session")
def fcgid():
    """octroi started by Apache's mod_fcgid, as on shared hosting."""
    yield from _octroi("apache-fcgid")


@pytest.fixture(scope="session")
def restartable():
    """octroi behind nginx, for tests that kill and restart its parts and leave it running."""
    yield from _octroi("nginx")


@pytest.fixture(scope="session", params=["nginx", "apache", "fcgid"])
def server(request):
    """Each of the three in turn."""
    return request.getfixturevalue(request.param)

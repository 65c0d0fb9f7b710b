"""One octroi to torture for the whole session, with a Stripe of its own."""

import collections
import json
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lib"), str(HERE.parent)]

import torture  # noqa: E402
from fake_stripe import FakeStripe  # noqa: E402
from octroi import Octroi, wait_until  # noqa: E402

TOKEN_SECRET = "a token secret that only the tests use, 2b7e1516"
CLERK_SECRET = "whsec_" + "Y2xlcmstdGVzdHMtb25seS1zZWNyZXQtMDEyMzQ1Njc4"


class Stage(torture.Tortured):
    """With what the stories need besides."""

    def __init__(self, o, stripe):
        self.stripe = stripe
        self.codes = iter(())
        self.prices = 1
        super().__init__(o)

    def code(self):
        """One that nobody has redeemed."""
        found = next(self.codes, None)
        if found is None:
            made = self.o.ctl("--json", "code", "create", "--count", "200", "--amount", "5", "--reason", "torture",
                              "--actor", "pytest")
            self.codes = iter([code["code"] for code in json.loads(made.stdout)["items"]])
            found = next(self.codes)
        return found

    def hang_up(self):
        """The database closes octroi's connections."""
        others = "FROM information_schema.PROCESSLIST WHERE USER NOT IN ('root', 'system user', 'event_scheduler')"
        for (id,) in self.o.sql(f"SELECT ID {others}"):
            try:
                self.o.sql(f"KILL CONNECTION {id}")
            except RuntimeError:
                pass  # it is gone by itself
        wait_until(lambda: self.o.sql(f"SELECT COUNT(*) {others} AND COMMAND = 'Killed'") == [("0",)], 10, "the end of them")


    def new_prices(self):
        """A new version of the price list."""
        self.prices += 1
        self.o.ctl("price", "set", "--action", "nobody-does-it", str(self.prices))


class Play(torture.Play):
    """A story on that stage."""

    stripe = property(lambda self: self.v.stripe)
    clerk_secret = CLERK_SECRET

    def code(self):
        return self.v.code()

    def hang_up(self):
        self.v.hang_up()

    def new_prices(self):
        self.v.new_prices()


@pytest.fixture(scope="session")
def stage():
    with FakeStripe() as stripe:
        settings = stripe.settings(token_secret=TOKEN_SECRET, clerk_webhook_secret=CLERK_SECRET, code_guesses_max=1000,
                                   bonus_needs_email="off", bonus_campaign_cap=0)
        with Octroi("nginx", settings=settings) as o, Stage(o, stripe) as stage:
            yield stage


_tallies = collections.defaultdict(torture.Tally)


@pytest.fixture(scope="session")
def tallies():
    """Results of the faults, by way; shown in the end."""
    return _tallies


def pytest_terminal_summary(terminalreporter):
    for way, tally in _tallies.items():
        terminalreporter.write_line(f"torture: {way:34} " + ", ".join(
            f"{tally[name]} {name}" for name in ("injected", "right", "unavailable", "closed", "ended", "repeated")))

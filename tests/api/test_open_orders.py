"""How many top-ups of an account can be open: each is a row and a call to Stripe, and fixes the account's unit.
Stripe is tests/fake_stripe.py; time is the database's, set by the test."""

import concurrent.futures
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import guard  # noqa: E402
from fake_stripe import FakeStripe  # noqa: E402
from octroi import Octroi, wait_until  # noqa: E402
from timetravel import Clock  # noqa: E402

EURO = 1_000_000
MAX = 10
TOKEN_SECRET = "t" * 32


@pytest.fixture(scope="module")
def stripe():
    with FakeStripe() as fake:
        yield fake


@pytest.fixture(scope="module")
def shop(stripe):
    with Octroi("nginx", settings=stripe.settings(token_secret=TOKEN_SECRET)) as o:
        stripe.webhook_url = o.url + "/api/webhooks/stripe"
        yield o


@pytest.fixture(scope="module")
def clock(shop):
    return Clock(shop)


@pytest.fixture(autouse=True)
def calm(shop, stripe):
    yield
    stripe.calm()
    stripe.lose()
    shop.audit()


def topup(shop, account, cents=1000, **more):
    return shop.post(f"/api/credits/topup?account={account}", {"amount": cents, **more})


def opened(shop, account, count=MAX):
    """Sessions of so many orders."""
    answers = [topup(shop, account, 1000 + i) for i in range(count)]
    assert [a.status for a in answers] == [200] * count, answers
    return [a.json["url"].rsplit("/", 1)[1] for a in answers]


def rows(shop, account):
    [(count,)] = shop.sql(f"SELECT COUNT(*) FROM topups WHERE account_id = {guard.key_of(account)}")
    return int(count)


def refused(answer):
    return answer.status == 429 and answer.json["error"] == "RATE_LIMITED" and int(answer.headers["retry-after"]) > 0


def test_an_account_opens_so_many(shop, stripe):
    account = shop.account()
    opened(shop, account)
    calls = len(stripe.requests)
    answers = [topup(shop, account, 2000 + i) for i in range(50)]
    assert all(refused(a) for a in answers), answers
    assert 85_000 < int(answers[0].headers["retry-after"]) <= 87_300
    assert rows(shop, account) == MAX and len(stripe.requests) == calls, "each was a row and a call to Stripe"
    assert topup(shop, shop.account()).status == 200, "somebody else's are not counted"


def test_exactly_so_many_at_once(shop, stripe):
    """By one browser's token, in parallel, as often as it likes."""
    account = shop.account()
    token = shop.post("/api/tokens", {"account": account}, key="app").json["token"]

    def one(number):
        return shop.call("POST", "/api/credits/topup", json={"amount": 500 + number}, key=None, public=True,
                         headers={"Authorization": f"Bearer {token}"})
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        statuses = [a.status for a in pool.map(one, range(400))]
    assert set(statuses) <= {200, 429, 503} and 429 in statuses
    assert rows(shop, account) <= MAX
    # On a slow machine most were refused because others were on their way.
    wait_until(lambda: one(0).status == 429 and rows(shop, account) >= MAX, 60, "all that may be open")
    assert rows(shop, account) == MAX
    assert len([s for s in stripe.sessions() if s["metadata"]["user_id"] == account]) <= MAX


def test_the_same_request_is_answered_again(shop, stripe):
    account = shop.account()
    first = topup(shop, account, requestId="first")
    opened(shop, account, MAX - 1)
    assert refused(topup(shop, account))
    again = topup(shop, account, requestId="first")
    assert (again.status, again.json) == (200, first.json)


@pytest.mark.parametrize("how", ["paid", "expired", "failed"])
def test_what_has_ended_is_not_open(shop, stripe, how):
    account = shop.account()
    sessions = opened(shop, account)
    if how == "paid":
        stripe.pay(sessions[3])
    elif how == "expired":
        stripe.expire(sessions[3])
    else:
        stripe.pay(sessions[3], delayed=True)
        stripe.settle_delayed(sessions[3], succeeds=False)
    assert refused(topup(shop, account))
    stripe.deliver()
    assert topup(shop, account).status == 200 and refused(topup(shop, account))


def test_without_any_webhook(shop, stripe, clock):
    """Sessions live a day; an order that never got one lapses soon, and is not taken up again."""
    account, other = shop.account(), shop.account()
    opened(shop, account)
    stripe.trouble("/v1/checkout/sessions", status=500)
    answers = [topup(shop, other, 1000 + i, requestId=f"r{i}") for i in range(MAX + 5)]
    assert [a.status for a in answers] == [503] * MAX + [429] * 5
    assert 0 < int(answers[-1].headers["retry-after"]) <= 900
    stripe.calm()
    clock.forward(minutes=16)
    assert refused(topup(shop, account))
    late = topup(shop, other, 1000, requestId="r0")
    assert late.status == 409, "else all of them could still get a session"
    opened(shop, other)
    assert refused(topup(shop, other))
    clock.forward(hours=24)
    opened(shop, account)
    assert refused(topup(shop, account))


def test_the_setting(stripe):
    with FakeStripe() as own, Octroi("nginx", settings=own.settings(orders_open_max="1")) as o:
        account = o.account()
        assert topup(o, account).status == 200 and refused(topup(o, account))
        o.audit()


# -- the unit ----------------------------------------------------------------------------------------------------


def put(shop, account, **fields):
    return shop.call("PUT", f"/api/accounts/{account}", json=fields)


def test_an_order_fixes_the_unit(shop, stripe):
    """The application's first word about an account comes after its customer has opened a top-up."""
    account = shop.account()
    [session] = opened(shop, account, 1)
    refused = put(shop, account, unit="credit")
    assert (refused.status, refused.json["error"]) == (409, "ACCOUNT_CONFLICT")
    assert put(shop, account, unit="money", mode="postpaid", email="a@example.org").status == 200
    stripe.pay(session)
    stripe.deliver()
    assert shop.balance(account)[0] == 10 * EURO, "what was paid was parked"
    assert put(shop, account, unit="credit").status == 409


def test_an_order_that_nobody_can_pay_does_not(shop, stripe):
    account = shop.account()
    [session] = opened(shop, account, 1)
    stripe.expire(session)
    stripe.deliver()
    assert put(shop, account, unit="credit").status == 200
    [session] = opened(shop, account, 1)
    stripe.pay(session)
    stripe.deliver()
    assert shop.balance(account)[0] == 1000 * EURO


def test_unit_and_order_at_once(shop, stripe):
    """Whichever comes first: what is paid is credited in the account's unit."""
    for _ in range(20):
        account = f"race:{guard.request_id('u')}"
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            ordering = pool.submit(topup, shop, account)
            putting = pool.submit(put, shop, account, unit="credit")
            order, change = ordering.result(), putting.result()
        assert order.status == 200 and change.status in (200, 409), (order, change)
        stripe.pay(order.json["url"].rsplit("/", 1)[1])
        stripe.deliver()
        assert shop.balance(account)[0] == (1000 if change.status == 200 else 10) * EURO


def test_orders_of_before_the_upgrade_count_for_the_unit(shop, stripe):
    account = shop.account()
    opened(shop, account, 1)
    shop.sql(f"UPDATE billing SET orders_live = 0, open_orders = '' WHERE account_id = {guard.key_of(account)}")
    migration = (pathlib.Path(__file__).resolve().parents[2] / "sql" / "004_paid_periods.sql").read_text()
    [statement] = [s for s in migration.split(";") if "UPDATE billing" in s]
    shop.sql(statement)
    assert put(shop, account, unit="credit").status == 409

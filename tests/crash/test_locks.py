"""Two octroi at the same moment, made sure of: somebody holds the row that both need until both wait for it.

Whoever decided on what it read without the lock has read it by then, and would write what is no longer true.
"""

import concurrent.futures

import pytest

import guard
from octroi import Octroi
from rowlock import Lock, wait_for_waiting
from second import Second
from swarm import Swarm

EURO = 1_000_000


@pytest.fixture(scope="module")
def o():
    with Octroi("nginx", settings={"bonus_amount": "1", "bonus_campaign_cap": "2", "bonus_needs_email": "off"}) as octroi:
        yield octroi


@pytest.fixture(scope="module")
def both(o):
    with Second(o) as second:
        yield o.internal_url, second.internal_url


def at_once(o, urls, rows, requests):
    """The answers to the requests (path, key, body), each through its octroi, both under way at the same moment."""
    def ask(url, path, key, body, method="POST"):
        with Swarm([url], 1) as swarm:
            return swarm.run([swarm.request(method, path, o.keys[key], body)])[0]

    with Lock(o, rows) as lock, concurrent.futures.ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(ask, url, *request) for url, request in zip(urls, requests)]
        wait_for_waiting(o, 2)
        lock.release()
        return [answer.result(30) for answer in asked]


def test_the_last_of_a_campaign(o, both):
    first, *others = (o.account() for _ in range(3))
    assert o.post(f"/api/credits/claim-bonus?account={first}").status == 200
    answers = at_once(o, both, "campaigns", [(f"/api/credits/claim-bonus?account={account}", "app", {}) for account in others])
    assert sorted(answer.status for answer in answers) == [200, 409], answers
    assert o.sql("SELECT granted_micros, grants FROM campaigns") == [("2000000", "2")]
    assert sorted(o.balance(account)[0] for account in others) == [0, EURO]


def test_two_holds_end(o, both):
    account = o.account(funds_micros=EURO)
    holds = [guard.hold(o, account) for _ in range(2)]
    answers = at_once(o, both, f"accounts WHERE id = {guard.key_of(account)}",
                      [("/api/guard/release", "guard", {"hold": hold}) for hold in holds])
    assert [answer.status for answer in answers] == [200, 200], answers
    assert o.balance(account) == (EURO, 0, EURO)


def test_two_changes_of_an_account(o, both):
    """The commands add no row whose key would stop the second one: the lock alone does."""
    account = o.account(mode="postpaid")
    answers = at_once(o, both, f"accounts WHERE id = {guard.key_of(account)}",
                      [(f"/api/accounts/{account}", "app", {field: 7 * EURO}, "PUT") for field in ("hardLimitMicros", "softLimitMicros")])
    assert [answer.status for answer in answers] == [200, 200], answers
    shown = o.get(f"/api/accounts/{account}", key="app").json
    assert (shown["hardLimitMicros"], shown["softLimitMicros"]) == (7 * EURO, 7 * EURO)


def test_the_last_credit(o, both):
    account = o.account(funds_micros=guard.cost("gpt-4o", input=500, output=2000))
    answers = at_once(o, both, f"accounts WHERE id = {guard.key_of(account)}",
                      [("/api/guard/authorize", "guard", {"account": account, "model": "gpt-4o"})] * 2)
    assert sorted(answer.status for answer in answers) == [200, 402], answers


def test_two_charges(o, both):
    account = o.account(funds_micros=EURO)
    answers = at_once(o, both, f"accounts WHERE id = {guard.key_of(account)}",
                      [("/api/guard/charge", "guard", {"account": account, "action": "a"})] * 2)
    assert [answer.status for answer in answers] == [200, 200], answers
    assert o.balance(account)[0] == EURO - sum(answer.json["costMicros"] for answer in answers)


def test_holds_end_while_another_is_written(o, both):
    """A caller that ends a hold waits for its account and for nobody else's holds."""
    mine, others = (o.account(funds_micros=EURO) for _ in range(2))
    ending, open_ones = guard.hold(o, mine), [guard.hold(o, others) for _ in range(4)]  # the fourth is a row of holds
    with Lock(o, f"holds WHERE account_id = {guard.key_of(others)}"):
        assert o.post("/api/guard/settle", {"hold": ending, "inputTokens": 10}).status == 200
    for hold in open_ones:
        assert o.post("/api/guard/release", {"hold": hold}).status == 200

"""Random histories of accounts, by two octroi that are killed again and again, against an oracle that was written from
docs/alerts.md: each crossing has one alert, and no other alert is there.

HISTORIES in the environment is how many, FIRST the first seed (1).  make alerts-long plays 10,000.
"""

import collections
import concurrent.futures
import http.client
import json
import os
import pathlib
import random
import sys
import threading
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from alerts_oracle import EURO, TERMS, Account  # noqa: E402
from guard import pass_time  # noqa: E402
from octroi import Octroi, wait_until  # noqa: E402
from second import Second  # noqa: E402

FIRST = int(os.environ.get("FIRST", "1"))
HISTORIES = int(os.environ.get("HISTORIES", "200"))
CLIENTS = 12
DAY = 86_400
KINDS = {0: "balance_low", 1: "balance_depleted", 2: "balance_recovered", 3: "limit_reached", 17: "grant_expiring"}
# Never a whole number of tenths of a day from a term, so that the seconds which pass in earnest decide nothing.
GIVEN_DAYS = (None, None, 0.55, 3.05, 7.95, 9.05, 20.05)
PASSED_DAYS = (0.3, 0.9, 1.7, 2.4, 6.6, 12.2)


class Client:
    """Requests to either octroi, repeated with the same request id until one is answered."""

    def __init__(self, o, second):
        self.o, self.second, self.connections = o, second, {}

    def _ask(self, url, method, path, body, scope):
        connection = self.connections.get(url)
        if connection is None:
            connection = self.connections[url] = http.client.HTTPConnection(url.split("//")[1], timeout=15)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), {
                "Authorization": "Bearer " + self.o.keys[scope], "Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            del self.connections[url]
            return 503, b""

    def ask(self, r, method, path, body=None, scope="app", wanted=(200, 201)):
        until = time.monotonic() + 90
        while time.monotonic() < until:
            url = r.choice((self.o.internal_url, self.second.internal_url))
            status, text = self._ask(url, method, path, body, scope)
            if status in wanted:
                return status
            assert status in (502, 503, 504), (method, path, body, status, text)
            time.sleep(0.01)  # the one that answers is away, and starts
        raise AssertionError(f"{method} {path}: not answered")


class History:
    def __init__(self, seed):
        self.seed, self.r = seed, random.Random(seed)
        self.name = f"history:{seed}"
        self.limited = self.r.random() < 0.25
        self.account = Account(() if self.limited else (2 * EURO,))
        self.steps, self.said = 0, []

    def id(self):
        self.steps += 1
        return f"{self.name}.{self.steps}"

    def play(self, client):
        unit = "credit" if self.limited else "money"
        client.ask(self.r, "PUT", f"/api/accounts/{self.name}", {"unit": unit})
        steps = ((self.limit, 2), (self.charge, 5), (self.give, 1)) if self.limited else (
            (self.give, 4), (self.take, 6), (self.set_thresholds, 1), (self.wait, 3))
        kinds = [step for step, weight in steps for _ in range(weight)]
        self.give(client)
        for _ in range(self.r.randrange(4, 14)):
            self.r.choice(kinds)(client)

    def _book(self, client, amount, **more):
        body = {"type": "PROMO_BONUS" if amount > 0 else "ADJUSTMENT", "amountMicros": amount, "description": "x", "requestId": self.id(), **more}
        client.ask(self.r, "POST", f"/api/accounts/{self.name}/transactions", body, "admin")

    def give(self, client):
        amount, days = self.r.randrange(1, 5 * EURO), None if self.limited else self.r.choice(GIVEN_DAYS)
        self.said.append(f"give {amount} {days}")
        if days is None:
            self._book(client, amount)
        else:
            ends = time.gmtime(time.time() + days * DAY)
            self._book(client, amount, expiresAt=time.strftime("%Y-%m-%dT%H:%M:%SZ", ends))
        self.account.give(amount, days)

    def take(self, client):
        amount = self.r.randrange(1, 4 * EURO)
        self.said.append(f"take {amount}")
        self._book(client, -amount)
        self.account.take(amount)

    def set_thresholds(self, client):
        thresholds = self.r.choice((None, self.r.sample([EURO, 2 * EURO, 4 * EURO, 8 * EURO], self.r.randrange(0, 4))))
        self.said.append(f"thresholds {thresholds}")
        client.ask(self.r, "PUT", f"/api/credits/alerts?account={self.name}", {"thresholdsMicros": thresholds})
        self.account.set_thresholds(thresholds)

    def wait(self, client):
        """octroi looks before the next step, or nobody asks, and the sweeper does."""
        days = self.r.choice(PASSED_DAYS)
        asked = self.r.random() < 0.8
        self.said.append(f"wait {days} {'asked' if asked else 'swept'}")
        pass_time(client.o, self.name, days * DAY)
        if asked:
            client.ask(self.r, "GET", f"/api/credits?account={self.name}")
        else:
            swept(client.o, f"external_id = '{self.name}'")
        self.account.wait(days)

    def limit(self, client):
        limit = self.r.choice((None, *(n * EURO for n in range(1, 8))))
        self.said.append(f"limit {limit}")
        client.ask(self.r, "PUT", f"/api/accounts/{self.name}", {"monthlyLimitMicros": limit})
        self.account.limit = limit

    def charge(self, client):
        self.said.append("charge")
        status = client.ask(self.r, "POST", "/api/guard/charge", {"account": self.name, "action": "other", "requestId": self.id()}, "guard", (200, 402))
        assert (status == 200) == (self.account.may_charge(EURO) and self.account.balance >= EURO), (self.seed, self.said)
        if status == 200:
            self.account.charge(EURO)


def swept(o, condition="TRUE"):
    due = f"SELECT COUNT(*) FROM accounts WHERE due_at_us <= CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 AS SIGNED) AND {condition}"
    wait_until(lambda: o.sql(due) == [("0",)], 60, "the sweeper")


def kill_both(o, second, stop, problems):
    """One after the other, so that the other one answers meanwhile."""
    r, kills = random.Random(FIRST), 0
    try:
        while not stop.wait(r.uniform(0.1, 0.8)):
            if kills % 3 == 0:  # which takes longer
                o.kill("octroi")
                o.start()
            else:
                second.kill_and_start()
            kills += 1
    except Exception as e:  # noqa: BLE001 (shown by the test)
        problems.append(repr(e))
    return kills


def alerts_of(o):
    told = collections.defaultdict(list)
    for name, kind, threshold, days, amount in o.sql(
            "SELECT a.external_id, l.kind, l.threshold_micros, l.days, l.amount_micros FROM alerts l"
            " JOIN accounts a ON a.id = l.account_id ORDER BY a.external_id, l.seq"):
        kind = KINDS.get(int(kind), kind)
        told[name].append((kind, int(days), int(amount)) if kind == "grant_expiring" else (kind, int(threshold)))
    return told


def play_all(o, second):
    clients = threading.local()

    def play(seed):
        if not hasattr(clients, "client"):
            clients.client = Client(o, second)
        history = History(seed)
        history.play(clients.client)
        return history

    stop, problems = threading.Event(), []
    with concurrent.futures.ThreadPoolExecutor(CLIENTS + 1) as pool:
        killing = pool.submit(kill_both, o, second, stop, problems)
        try:
            histories = list(pool.map(play, range(FIRST, FIRST + HISTORIES)))
        finally:
            stop.set()
        assert not problems, problems
        return histories, killing.result()


def test_each_crossing_has_one_alert():
    with Octroi("nginx") as o, Second(o) as second:
        histories, kills = play_all(o, second)
        swept(o)
        told = alerts_of(o)
        for h in histories:
            assert collections.Counter(told[h.name]) == collections.Counter(h.account.told), (
                f"seed {h.seed}: told {told[h.name]}, wanted {h.account.told}; {h.said}\n"
                f"to play it again: FIRST={h.seed} HISTORIES=1 tests/run --suite model -k each_crossing")
        seen = collections.Counter(alert[0] for h in histories for alert in h.account.told)
        if HISTORIES >= 200:
            assert kills >= 2 and set(seen) == set(KINDS.values()) and min(seen.values()) >= 5, (kills, seen)
        print(kills, dict(seen))
        o.audit()


# ---- the oracle itself --------------------------------------------------------------------------------


@pytest.mark.parametrize("days, passed, wanted", [
    (9, [3], [7]), (9, [3, 3, 2.5], [7, 1]), (9, [8.5], [1]), (9, [10], []), (6, [5.5], [1]), (0.5, [0.4], []), (None, [100], [])])
def test_the_oracle_knows_the_terms(days, passed, wanted):
    account = Account()
    account.give(EURO, days)
    for some in passed:
        account.wait(some)
    assert [alert[1] for alert in account.told if alert[0] == "grant_expiring"] == wanted
    assert TERMS == (7, 1)

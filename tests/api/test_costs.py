"""Every read costs what routes.def says: rows are counted by the database, on an account with a long history."""

import concurrent.futures
import datetime
import pathlib
import re
import sys
import threading
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import grown  # noqa: E402
from conftest import TOKEN_SECRET  # noqa: E402
from fake_stripe import FakeStripe  # noqa: E402
from octroi import TOP, Octroi, wait_until  # noqa: E402

USAGES = 200_000
DAYS = 100
OTHERS = 2_000  # transactions, members, grants and orders each
SPAN_HOURS = 6
IN_SPAN = USAGES * SPAN_HOURS // (DAYS * 24)  # usages of the time that is asked for

ROUTES = [dict(zip(("method", "path", "caller", "listener", "handler", "cost", "rows"), re.split(r", ?", match[1])))
          for match in re.finditer(r"^ROUTE\((.*)\)$", (TOP / "src/routes/routes.def").read_text(), re.M)]
READS = [route for route in ROUTES if route["method"] == "GET"]


@pytest.fixture(scope="module")
def stripe():
    with FakeStripe() as fake:
        yield fake


@pytest.fixture(scope="module")
def o(stripe):
    # No web server's words, so that a path may say who asks; the rows were not made by octroi, so they are not audited.
    with Octroi("nginx", settings=stripe.settings(token_secret=TOKEN_SECRET), audit=False) as o:
        stripe.webhook_url = o.url + "/api/webhooks/stripe"
        yield o


@pytest.fixture(scope="module")
def rich(o):
    """An account with 200,000 usages, and thousands of everything else."""
    account = o.account("ws:rich", funds_micros=10**9)
    assert o.post(f"/api/credits/topup?account={account}", {"amount": 2000}).status == 200
    member = o.call("PUT", f"/api/accounts/{account}/members/ann", json={"role": "manager"})
    assert member.status == 200, member
    grown.usages(o, account, USAGES, DAYS)
    me = grown.key(account)
    for statement in (
            f"INSERT INTO transactions (account_id, seq, type, amount_micros) SELECT {me}, 1000 + seq, 1, 1 FROM seq_1_to_{OTHERS}",
            f"INSERT INTO grants (account_id, seq, type, amount_micros) SELECT {me}, 1000 + seq, 1, 1 FROM seq_1_to_{OTHERS}",
            f"UPDATE accounts SET current_grant_seq = 0 WHERE id = {me}",
            f"INSERT INTO members (account_id, member_id) SELECT {me}, CONCAT('m', seq) FROM seq_1_to_{OTHERS}",
            f"INSERT INTO topups (account_id, seq) SELECT {me}, 1000 + seq FROM seq_1_to_{OTHERS}"):
        o.sql(statement)
    o.sql("ANALYZE TABLE transactions, grants, members, topups")
    return account


def rows_of(o, ask):
    """The fewest of a few tries: the housekeeper and the status itself read rows, too."""
    idle, costs = [], []
    for _ in range(4):
        before = grown.rows_read(o)
        between = grown.rows_read(o)
        ask()
        costs.append(grown.rows_read(o) - between)
        idle.append(between - before)
    return min(costs) - min(idle)


# The dearest requests of each GET route: what follows its path, and the key.  A path's {} are {account} and {member}, or a usage.
PAGE = "?account={account}&limit=100"
SPAN = "?account={account}{span}"
DEAREST = {
    "/api/guard/check": [("?account={account}&model=gpt-4o", "guard")],
    "/api/credits": [("?account={account}", "app")],
    "/api/credits/transactions": [(PAGE, "app")],
    "/api/credits/usages": [(PAGE + more, "app") for more in ("", "&lines=1", "&model=none", "&member=nobody", "&action=none")],
    "/api/credits/usages/{}": [("?account={account}", "app")],
    "/api/credits/summary": [(f"{SPAN}&by={by}", "app") for by in ("day", "hour", "model", "member", "action")],
    "/api/credits/estimate": [("?account={account}&model=gpt-4o", "app")],
    "/api/credits/compare": [(SPAN + "&models=gpt-4o,gpt-3.5-turbo", "app")],
    "/api/credits/diagnosis": [("?account={account}", "app")],
    "/api/credits/invoices": [("?account={account}", "app")],
    "/api/credits/settings": [("?account={account}", "app")],
    "/api/credits/grants": [("?account={account}", "app")],
    "/api/credits/alerts": [(PAGE, "app")],
    "/api/credits/recharge": [("?account={account}", "app")],
    "/api/pricing": [("", None)],
    "/api/accounts/{}": [("", "app")],
    "/api/accounts/{}/members": [("?limit=100", "app")],
    "/api/accounts/{}/members/{}": [("", "app")],
    "/api/admin/providers": [("", "report")],
    "/api/admin/accounts": [("?limit=200", "report"), ("?match=none", "report")],
    "/api/admin/accounts/{}": [("", "report")],
    "/api/admin/accounts/{}/transactions": [("?limit=100", "report")],
    "/api/admin/accounts/{}/usages": [("?limit=100" + more, "report") for more in ("", "&model=none", "&member=nobody", "&action=none")],
    "/api/admin/accounts/{}/usages/{}": [("", "report")],
    "/api/admin/accounts/{}/diagnosis": [("", "report")],
    "/api/admin/charges": [("?limit=200", "report")],
    "/api/admin/outbox": [("?limit=200", "report")],
    "/api/admin/events": [("?limit=200", "report")],
    "/api/admin/alerts": [("?limit=200", "report")],
    "/api/admin/operator-alerts": [("?limit=200", "report")],
    "/api/admin/prices": [("?limit=200", "report")],
    "/api/admin/reports/accounts": [("", "report")],
    "/api/admin/reports/holds": [("", "report")],
    "/api/admin/reports/settlements": [("", "report")],
    "/api/admin/reports/capacity": [("", "report")],
    "/api/admin/reports/members": [(SPAN, "report")],
    "/api/admin/reports/margin": [("", "report")],
    "/api/openapi.json": [("", None)],
    "/healthz": [("", None)],
    "/readyz": [("", None)],
    "/metrics": [("", "report")],
}


def queries(route, account, usage):
    now = datetime.datetime.now(datetime.timezone.utc)
    span = "&from=" + (now - datetime.timedelta(hours=SPAN_HOURS)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    path = route["path"].strip('"')
    first = usage if path == "/api/credits/usages/{}" else account
    filled = path.replace("{}", first, 1).replace("{}", usage if path.endswith("/usages/{}") else "ann")
    return [(filled + more.format(account=account, span=span), key) for more, key in DEAREST[path]]


def test_every_read_has_its_dearest_request():
    assert [route["path"].strip('"') for route in READS] == list(DEAREST)


@pytest.mark.parametrize("route", READS, ids=lambda route: route["path"].strip('"'))
def test_a_read_costs_what_its_line_says(o, rich, route):
    bound = int(route["rows"])
    spans = route["cost"] == "SPAN"
    usage = o.get(f"/api/credits/usages?account={rich}&limit=1").json["items"][0]["id"]
    for query, key in queries(route, rich, usage):
        answers = []
        read = rows_of(o, lambda: answers.append(o.get(query, key=key)))
        assert {a.status for a in answers} <= {200, 204}, (query, answers[-1])
        if bound == 0:
            continue  # the ledger's own business, or an operator's
        # The index and the row it leads to, for each pass over the time that was asked for.
        allowed = bound + (6 * IN_SPAN if spans else 0)
        if "diagnosis" in query:
            allowed += 2 * 2 * USAGES * 31 // DAYS  # of this month, twice
        if "summary" in query:
            allowed += 2 * USAGES * 70 // DAYS  # the forecast looks back over whole weeks
        assert read <= allowed, f"{query} read {read} rows of {allowed}"


def test_every_line_says_what_it_costs():
    costs = {"FREE", "GUARD", "READ", "SPAN", "REPORT", "SLOW", "EVENT"}
    assert len(READS) >= 20 and {route["cost"] for route in ROUTES} == costs


def test_a_list_goes_on_where_nothing_was_found(o, rich):
    """A filter that nothing meets is looked for a thousand holds at a time; each page says where the next begins."""
    cursor, pages, found = "", 0, []
    while cursor is not None:
        page = o.get(f"/api/credits/usages?account={rich}&limit=100&action=none{cursor}", key="app").json
        found += page["items"]
        cursor = page["nextCursor"] and "&cursor=" + page["nextCursor"]
        pages += 1
    assert found == [] and pages == USAGES // 1000
    o.sql(f"UPDATE usages SET item = 'rare' WHERE account_id = {grown.key(rich)} AND seq IN (3, 60001, 60002, 199998)")
    cursor, found = "", []
    while cursor is not None:
        page = o.get(f"/api/credits/usages?account={rich}&limit=1&model=rare{cursor}", key="app").json
        found += page["items"]
        cursor = page["nextCursor"] and "&cursor=" + page["nextCursor"]
    assert len(found) == 4 and len({usage["id"] for usage in found}) == 4


def test_sums_are_those_of_the_time_that_was_asked_for(o, rich):
    """By the index or not, and with or without a sum of their own."""
    whole = o.get(f"/api/credits/summary?account={rich}&from=2020-01-01T00:00:00.000Z&by=model", key="app").json
    used = int(o.sql(f"SELECT SUM(cost_micros) FROM usages WHERE account_id = {grown.key(rich)} AND settlement <> 0")[0][0])
    assert whole["totalMicros"] == used == sum(item["costMicros"] for item in whole["items"])


# ---- one customer's flood --------------------------------------------------------------------------------


class Flood:
    """Connections of one token that ask for the dearest reads, again and again, until it is left."""

    PATHS = ("summary?from=2020-01-01T00:00:00.000Z&by=member", "diagnosis", "usages?limit=100&action=none",
             "compare?models=gpt-4o,gpt-3.5-turbo&from=2025-12-01T00:00:00.000Z", "transactions?limit=100")

    def __init__(self, o, token, connections):
        self.o, self.token, self.over, self.statuses = o, token, threading.Event(), []
        self.pool = concurrent.futures.ThreadPoolExecutor(connections)
        self.threads = [self.pool.submit(self.ask, i) for i in range(connections)]

    def ask(self, i):
        while not self.over.is_set():
            answer = self.o.get("/api/credits/" + self.PATHS[i % len(self.PATHS)], key=self.token, public=True, timeout=60)
            self.statuses.append(answer.status)
            if answer.status == 429:
                assert answer.json["error"] == "RATE_LIMITED" and int(answer.headers["retry-after"]) >= 1
                self.over.wait(0.05)  # a flood that spins measures its own client
        self.o.disconnect()

    def __enter__(self):
        wait_until(lambda: len(self.statuses) >= 5, 60, "the flood")
        return self

    def __exit__(self, *failed):
        self.over.set()
        for thread in self.threads:
            thread.result(timeout=90)
        self.pool.shutdown()


def token(o, account):
    return o.post("/api/tokens", {"account": account}, key="app").json["token"]


@pytest.mark.parametrize("connections", [24, 80])
def test_one_customers_flood_refuses_nobody_else(o, rich, connections):
    account, other = o.account(funds_micros=10**9), token(o, o.account(funds_micros=10**6))
    with Flood(o, token(o, rich), connections) as flood:
        for _ in range(60):
            held = o.post("/api/guard/authorize", {"account": account, "model": "gpt-4o"})
            assert held.status == 200, held
            settled = o.post("/api/guard/settle", {"hold": held.json["hold"], "inputTokens": 1, "outputTokens": 1})
            assert settled.status == 200, settled
            shown = o.get("/api/credits", key=other, public=True)
            assert shown.status == 200, shown
            assert o.get("/healthz", key=None, public=True).status == 200
    assert set(flood.statuses) <= {200, 429} and 429 in flood.statuses and 200 in flood.statuses


def test_an_account_has_one_sum_at_once_and_others_have_theirs(o, rich):
    """While a sum of one account waits for the database, its next one is refused, and another account's is not."""
    one, other = token(o, rich), token(o, o.account(funds_micros=1))
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        together = [pool.submit(o.get, "/api/credits/summary?from=2020-01-01T00:00:00.000Z", key=one, public=True) for _ in range(8)]
        statuses = sorted(future.result().status for future in together)
        assert statuses.count(200) >= 1 and set(statuses) <= {200, 429}
    wait_until(lambda: o.get("/api/credits/summary", key=other, public=True).status == 200, 10, "the other's sum")


def test_made_up_keys_do_not_keep_true_ones_waiting(o):
    """Unknown keys make octroi look for new ones; that has a connection of its own, and a pace."""
    account, over = o.account(funds_micros=10**8), threading.Event()

    def guess(i):
        statuses = set()
        while not over.is_set():
            statuses.add(o.post("/api/guard/charge", {"account": account, "action": "debrief"},
                                key=f"oct_guard_{i:05}{time.monotonic_ns():038}").status)
        o.disconnect()
        return statuses

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        guesses = [pool.submit(guess, i) for i in range(16)]
        try:
            statuses = {o.post("/api/guard/charge", {"account": account, "action": "debrief"}).status for _ in range(100)}
        finally:
            over.set()
        assert statuses == {200}
        assert set().union(*(g.result() for g in guesses)) <= {401, 503}


MANY_KEYS = 50_000


def test_made_up_keys_do_not_keep_the_database_reading(o):
    """Each look for a new key reads all keys; with many of them the looks come further apart."""
    account = o.account(funds_micros=10**8)
    o.sql("INSERT INTO api_keys (digest, scope, account, label, created_at_us) SELECT UNHEX(SHA2(CONCAT('k', seq), 256)), 'meter', 'user:k', 'k', 1"
          f" FROM seq_1_to_{MANY_KEYS}")
    over = threading.Event()

    def guess(i):
        while not over.is_set():
            assert o.get("/metrics", key=f"oct_admin_{i:05}{time.monotonic_ns():038}").status in (401, 503)
        o.disconnect()

    try:
        assert o.post("/api/guard/charge", {"account": account, "action": "debrief"}).status == 200
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            guesses = [pool.submit(guess, i) for i in range(2)]
            began, before = time.monotonic(), grown.rows_read(o)
            wait_until(lambda: grown.rows_read(o) - before > 10 * MANY_KEYS, 60, "ten looks")
            took = time.monotonic() - began
            over.set()
            for each in guesses:
                each.result()
    finally:
        over.set()
        o.sql("DELETE FROM api_keys WHERE label = 'k'")
    assert took > 1.5, f"ten looks at {MANY_KEYS} keys within {took:.2f} s"

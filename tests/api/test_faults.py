"""Parts die in the middle of a load: whatever was answered is in the ledger, whatever was not is repeated
with its id and ends there once.

A load authorizes, settles what was granted and charges actions, over many connections; every request
is repeated, as it was, until its fate is known.  At the end the books must show what was answered and
nothing else.
"""

import collections
import random
import signal
import threading
import time

import pytest

import guard
from conftest import SETTINGS
from guard import cost, key_of, public_id, request_id
from interposer import AFTER, BEFORE, DURING, Interposer
from octroi import Octroi, alive, wait_until
from second import Second
from swarm import Swarm

UNKNOWN = (0, 429, 500, 502, 503, 504)
FUNDS = 10**12


@pytest.fixture(scope="module")
def o():
    """With little patience, so that what cannot be served is said soon."""
    with Octroi("nginx", settings={**SETTINGS, "request_timeout_ms": 3000, "db_timeout_ms": 1500}) as octroi:
        yield octroi


class Load:
    """Runs in a thread of its own between start() and finish()."""

    def __init__(self, o, connections=32, accounts=3, ids=True):
        """ids=False: without request ids, for faults that nobody but octroi must have to deal with."""
        self.o = o
        self.ids = ids
        self.accounts = [o.account(funds_micros=FUNDS) for _ in range(accounts)]
        self.random = random.Random(connections)
        self.swarm = Swarm([o.internal_url], connections, timeout=20)
        self.operations = []  # in the order of the swarm's requests
        self.spent = collections.Counter()
        self.settled, self.charged, self.open = {}, set(), set()
        self.repeated = 0
        self.wrong = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(connections,), daemon=True)

    def start(self):
        self._thread.start()
        return self

    def answered(self):
        return len(self.settled) + len(self.charged)

    def wait_for(self, more):
        """Until that many further requests took effect."""
        wanted = self.answered() + more
        wait_until(lambda: self.answered() >= wanted or not self._thread.is_alive(), 60, f"{more} more effects")

    def _run(self, connections):
        first = [self._begin() for _ in range(connections)]
        self.swarm.run(first, self._came)

    def _begin(self):
        account = self.random.choice(self.accounts)
        named = {"account": account, **({"requestId": request_id("l")} if self.ids else {})}
        if self.random.random() < 0.3:
            return self._request("charge", account, {**named, "action": "a"})
        return self._request("authorize", account, {**named, "model": "gpt-4o", "inputTokens": 10, "maxOutputTokens": 10})

    def _request(self, what, account, body):
        self.operations.append((what, account, body))
        return self.swarm.request("POST", f"/api/guard/{what}", self.o.keys["guard"], body)

    def _came(self, index, answer):
        what, account, body = self.operations[index]
        if answer.status in UNKNOWN:
            self.repeated += 1
            time.sleep(0.002)
            return [self._request(what, account, body)]
        if answer.status != 200:
            self.wrong.append((what, body, answer))
            return []
        return self._took_effect(what, account, body, answer.json)

    def _took_effect(self, what, account, body, said):
        if what == "authorize":
            self.open.add(said["hold"])
            tokens = {"inputTokens": self.random.randrange(50), "outputTokens": self.random.randrange(50)}
            return [self._request("settle", account, {"hold": said["hold"], **tokens})]
        if what == "settle":
            expected = cost("gpt-4o", input=body["inputTokens"], output=body["outputTokens"])
            if said["costMicros"] != expected or body["hold"] in self.settled:
                self.wrong.append((what, body, said))
            self.settled[body["hold"]] = expected
            self.open.discard(body["hold"])
        else:
            self.charged.add(said["usage"])
        self.spent[account] += said["costMicros"]
        return [] if self._stop.is_set() else [self._begin()]

    def finish(self):
        """Stops, and compares the books with what was answered."""
        self._stop.set()
        self._thread.join(90)
        assert not self._thread.is_alive(), "some request is never answered"
        self.swarm.close()
        assert not self.wrong, self.wrong[:3]
        assert not self.open
        ended = {}
        for account in self.accounts:
            left = FUNDS - self.spent[account]
            assert self.o.balance(account) == (left, 0, left), account
            assert guard.journal_sum(self.o, account) == left
            for seq, took in self.o.sql(f"SELECT seq, cost_micros FROM usages WHERE account_id = {key_of(account)}"):
                ended[public_id(account, int(seq))] = int(took)
            self.o.ctl("audit", "--account", account)
        assert {usage: took for usage, took in ended.items() if usage not in self.charged} == self.settled
        assert self.charged <= set(ended)
        return self


@pytest.mark.parametrize("how", ["killed", "orderly"])
def test_the_database_is_restarted(o, how):
    octroi = o.pid
    load = Load(o).start()
    for i in range(4 if how == "killed" else 2):
        load.wait_for(300)
        o.kill("db", signal.SIGKILL if how == "killed" else signal.SIGTERM)
        wait_until(lambda: o.call("GET", "/readyz", key=None).status == 503, 10, "/readyz saying so")
        assert o.call("GET", "/healthz", key=None).status == 200
        if i == 0:  # for longer than a request lives; otherwise octroi may be back before anybody is refused
            wait_until(lambda: load.repeated > 0, 10, "a request that is refused")
        o.start()
        wait_until(lambda: o.call("GET", "/readyz", key=None).status == 200, 10, "octroi connected again")
    load.wait_for(300)
    load.finish()
    assert o.pid == octroi and alive(octroi)


def test_octroi_is_killed(o):
    load = Load(o).start()
    for _ in range(4):
        load.wait_for(300)
        o.kill("octroi", signal.SIGKILL)
        o.start()
    load.wait_for(300)
    load.finish()


def test_octroi_is_told_to_end(o):
    """octroi answers the requests that it took and ends within 5 s; a request without an answer has no effect."""
    for _ in range(3):
        load = Load(o)
        account = load.accounts[0]
        bodies = [{"account": account, "model": "gpt-4o", "inputTokens": 1, "maxOutputTokens": 1, "requestId": f"s{i}"}
                  for i in range(4000)]
        requests = [load.swarm.request("POST", "/api/guard/authorize", o.keys["guard"], body) for body in bodies]
        answers, seen = [], threading.Event()
        thread = threading.Thread(target=lambda: answers.extend(
            load.swarm.run(requests, lambda index, _: seen.set() if index > 1000 else None)))
        thread.start()
        assert seen.wait(30)
        began = time.monotonic()
        o.kill("octroi", signal.SIGTERM)  # returns when it has ended
        took = time.monotonic() - began
        thread.join(60)
        granted = {f"s{i}" for i, answer in enumerate(answers) if answer.status == 200}
        assert {answer.status for answer in answers} <= {200, *UNKNOWN}
        assert 1000 < len(granted) < 4000
        o.start()
        stored = o.sql(f"SELECT COUNT(*) FROM requests WHERE command = 0 AND account_id = {key_of(account)}")
        assert stored == [(str(len(granted)),)], "committed and not answered"
        again = load.swarm.run(requests)
        assert {answer.status for answer in again} == {200}
        assert {f"s{i}" for i, answer in enumerate(again) if answer.json["replayed"]} == granted
        assert all(first.json["hold"] == second.json["hold"] for first, second in zip(answers, again) if first.status == 200)
        load.swarm.close()
        assert took < 5, f"{took:.1f} s"


def test_octroi_is_told_to_end_in_mid_load(o):
    load = Load(o).start()
    for _ in range(3):
        load.wait_for(300)
        o.kill("octroi", signal.SIGTERM)
        o.start()
    load.wait_for(300)
    load.finish()


def test_the_database_stalls(o):
    """The database stops answering for longer than a request lives, then goes on where it was."""
    load = Load(o).start()
    for seconds in (1, 5):
        load.wait_for(300)
        o.kill("db", signal.SIGSTOP)
        began = time.monotonic()
        try:
            if seconds > 3:
                answer = o.post("/api/guard/authorize", {"account": load.accounts[0], "model": "gpt-4o"})
                assert answer.status == 503 and answer.headers["retry-after"], answer
                assert answer.json["error"] == "UNAVAILABLE"
                assert time.monotonic() - began < 5
            wait_until(lambda: time.monotonic() - began > seconds, 10)
        finally:
            o.kill("db", signal.SIGCONT)
    load.wait_for(300)
    load.finish()


@pytest.mark.parametrize("ask", (lambda o, account: o.get(f"/api/credits?account={account}"),
                                 lambda o, account: o.post("/api/guard/charge", {"account": account, "action": "a"})),
                         ids=("credits", "charge"))
def test_nobody_waits_twice_for_a_silent_database(ask):
    """Once for what it was asked, and no more: neither again over another connection, nor for the next question."""
    with Octroi("nginx", settings={**SETTINGS, "request_timeout_ms": 6000, "db_timeout_ms": 6000}) as o:
        account = o.account(funds_micros=FUNDS)
        assert ask(o, account).status == 200
        o.kill("db", signal.SIGSTOP)
        try:
            began = time.monotonic()
            answer = ask(o, account)
            seconds = time.monotonic() - began
        finally:
            o.kill("db", signal.SIGCONT)
        assert answer.status == 503 and seconds < 11, (answer, seconds)


def test_a_full_queue_refuses_at_once():
    """Bounded: with the database stalled, what does not fit is told so and not kept waiting."""
    with Octroi("nginx", settings={**SETTINGS, "queue_max": 8, "threads": 64, "request_timeout_ms": 4000,
                                   "db_timeout_ms": 6000}) as o:
        account = o.account(funds_micros=FUNDS)
        o.kill("db", signal.SIGSTOP)
        refused_after = []
        began = time.monotonic()
        with Swarm([o.internal_url], 48) as swarm:
            try:
                requests = [swarm.request("POST", "/api/guard/charge", o.keys["guard"], {
                    "account": account, "action": "a", "requestId": f"q{i}"}) for i in range(48)]

                def came(_, answer):
                    refused_after.append((answer.status, time.monotonic() - began))
                    if len(refused_after) == 30:
                        o.kill("db", signal.SIGCONT)

                answers = swarm.run(requests, came)
            finally:
                o.kill("db", signal.SIGCONT)
            assert {status for status, _ in refused_after[:30]} == {503}
            assert refused_after[29][1] < 3, refused_after[29]
            answers, _ = swarm.run_until_known([r for r, a in zip(requests, answers) if a.status == 503])
            assert {a.status for a in answers} == {200}
        assert o.balance(account)[0] == FUNDS - 48 * 10_000


def test_commits_whose_answer_is_lost(o):
    """The line to the database is cut at every kind of moment of a COMMIT; octroi finds out what happened."""
    with Interposer(o.env["OCTROI_DB_SOCKET"]) as between:
        socket = o.env["OCTROI_DB_SOCKET"]
        o.start(db_socket=between.path)
        try:
            load = Load(o, ids=False).start()
            load.wait_for(50)
            between.plan(random.Random(1).choices((None, None, None, BEFORE, AFTER, DURING), k=200))
            wait_until(lambda: between.left() == 0, 60, "all COMMITs that are to be cut")
            load.finish()
            assert min(between.cut.values()) > 15, between.cut
            assert o.metric("octroi_unknown_commits_total") >= 40
            # octroi itself found out: nobody had to ask again.
            assert load.repeated == 0
        finally:
            o.start(db_socket=socket)


def test_two_processes_meet_on_the_same_rows(o):
    """Deadlocks and lock waits between processes are tried again, unseen by callers."""

    account = o.account(funds_micros=FUNDS)
    accounts = [request_id("d") for _ in range(40)]
    with Second(o) as second, Swarm([o.internal_url, second.internal_url], 64) as swarm:
        requests = []
        for i in range(3000):
            name = account if i % 3 else random.choice(accounts)
            requests.append(swarm.request("POST", "/api/guard/authorize", o.keys["guard"], {
                "account": name, "model": "gpt-4o", "inputTokens": 1, "maxOutputTokens": 1, "byok": ["openai"]}))
        answers = swarm.run(requests)
    assert {a.status for a in answers} == {200}
    assert len({a.json["hold"] for a in answers}) == 3000


@pytest.mark.parametrize("change,back", [("balance_micros = balance_micros + 1", "balance_micros = balance_micros - 1"),
                                         ("held_micros = -1", "held_micros = 0"), ("hold_1 = 'x'", "hold_1 = ''"),
                                         ("hold_3 = '1\\t'", "hold_3 = ''")])
def test_rows_that_contradict_each_other_move_no_money(o, change, back):
    """Somebody has changed them: nothing is decided by them, nobody else is held up, and it works again once they agree."""
    wrong, right = o.account(funds_micros=FUNDS), o.account(funds_micros=FUNDS)
    o.sql(f"UPDATE accounts SET {change} WHERE external_id = '{wrong}'")
    try:
        for _ in range(3):
            refused = o.post("/api/guard/charge", {"account": wrong, "action": "debrief"})
            assert refused.status == 503 and refused.json["error"] == "UNAVAILABLE", refused
            assert o.post("/api/guard/charge", {"account": right, "action": "debrief"}).status == 200
        assert o.sql(f"SELECT COUNT(*) FROM usages WHERE account_id = {key_of(wrong)}") == [("0",)]
    finally:
        o.sql(f"UPDATE accounts SET {back} WHERE external_id = '{wrong}'")
    assert f'event=account_inconsistent account="{wrong}"' in o.log()
    assert o.post("/api/guard/charge", {"account": wrong, "action": "debrief"}).status == 200


@pytest.mark.parametrize("first,second", [(1, -1), (-1, 10), (1, 1)])
def test_amounts_of_one_micro(o, first, second):
    """A row that an error of one unit leaves out of a sum is seen by nobody else: the audit of an account without a workspace takes a
    grant beside a debt."""
    account = o.account()
    o.fund(account, first)
    o.fund(account, second)
    assert o.balance(account)[0] == first + second
    rest = o.sql(f"SELECT SUM(remaining_micros) FROM {guard.GRANTS} WHERE account_id = {key_of(account)}")
    assert rest == [(str(max(first + second, 0)),)]
    o.fund(account, -max(first + second, 1))  # also the rest of a grant that is not the current one
    assert o.balance(account)[0] == min(first + second, 0) - (first + second <= 0)

"""octroi, and its database, are killed while people sign up, claim bonuses and redeem codes: after the repeats
of whoever was not answered, everybody has what is theirs once, and campaigns and codes stay within their limits."""

import itertools
import json
import random
import threading
import time

import pytest

import clerk
from chain import forget_records
from conftest import CLERK_WEBHOOK_SECRET, SETTINGS
from octroi import Octroi, wait_until

PEOPLE = 90
KILLS = 8
ANSWERED_BY_S = 60  # by time: a web server without octroi behind it answers 502 thousands of times a second


@pytest.fixture(scope="module")
def o():
    settings = {**SETTINGS, "bonus_amount": "2", "bonus_campaign_cap": "160", "request_timeout_ms": 3000,
                "db_timeout_ms": 1500}
    with Octroi("nginx", settings=settings) as made:
        yield made


class Crowd:
    """Threads that repeat each of their requests until it is answered for good."""

    def __init__(self, o, code):
        self.o, self.code = o, code
        self.people = [clerk.person() for _ in range(PEOPLE)]
        self.done, self.wrong = itertools.count(), []
        self.count = 0
        self.work = list(range(PEOPLE)) * 2
        random.Random(9).shuffle(self.work)
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(16)]

    def until_known(self, ask, expected):
        deadline = time.monotonic() + ANSWERED_BY_S
        while time.monotonic() < deadline:
            try:
                answer = ask()
            except OSError:
                self.o.disconnect()
                continue
            if answer.status in (200, *expected):
                return
            if answer.status not in (0, 502, 503, 504):
                self.wrong.append(answer)
                return
        self.wrong.append("never answered")

    def run(self):
        while True:
            with self.lock:
                if not self.work:
                    return
                n = self.work.pop()
                self.count += 1
            body, user = clerk.event(self.people[n]), self.people[n]["id"]
            self.until_known(lambda: self.o.call(
                "POST", "/api/webhooks/clerk", body=body, key=None, public=True,
                headers=clerk.signed_headers(CLERK_WEBHOOK_SECRET, body, f"msg_{user}")), ())
            self.until_known(lambda: self.o.post(f"/api/credits/claim-bonus?account={user}"), (409,))
            self.until_known(lambda: self.o.post(f"/api/credits/redeem?account={user}", {"code": self.code}), (409,))


@pytest.mark.parametrize("part", ["octroi", "db"])
def test_killed_again_and_again(o, part):
    o.sql("DELETE FROM claims; DELETE FROM campaigns; UPDATE transactions SET actor = 'test' WHERE type = 1")
    forget_records(o)
    code = json.loads(o.ctl("--json", "code", "create", "--amount", "1", "--uses", "60", "--reason", "r",
                            "--actor", "a").stdout)["items"][0]["code"]
    crowd = Crowd(o, code)
    for thread in crowd.threads:
        thread.start()
    step = len(crowd.work) // (KILLS + 2)
    for _ in range(KILLS):
        wanted = crowd.count + step
        wait_until(lambda: crowd.count >= wanted or not crowd.work, 60, "progress")
        o.kill(part)
        o.start()
    for thread in crowd.threads:
        thread.join(120)
        assert not thread.is_alive()
    assert not crowd.wrong, crowd.wrong[:3]
    users = "','".join(p["id"] for p in crowd.people)
    rows = o.sql("SELECT a.external_id, SUM(t.type = 1), SUM(t.type = 2), a.balance_micros FROM accounts a JOIN transactions t"
                 f" ON t.account_id = a.id WHERE a.external_id IN ('{users}') GROUP BY a.id")
    assert sum(int(bonus) for _, bonus, _, _ in rows) == 80  # the cap, exactly
    assert sum(int(code) for _, _, code, _ in rows) == 60
    assert all(int(bonus) <= 1 and int(code) <= 1 and int(balance) == 2_000_000 * int(bonus) + 1_000_000 * int(code)
               for _, bonus, code, balance in rows)
    assert o.sql("SELECT granted_micros, grants FROM campaigns") == [("160000000", "80")]
    assert o.sql("SELECT COUNT(DISTINCT event_id), COUNT(*) FROM webhook_events WHERE event_id IN ('msg_" +
                 users.replace("','", "','msg_") + "')") == [(str(PEOPLE), str(PEOPLE))]
    o.audit()

"""Alerts: an account is told once of each crossing, in the transaction that crosses.  An oracle of its own counts the
crossings of the journal."""

import calendar
import http.client
import itertools
import json
import random
import threading
import time

import pytest

from guard import key_of, pass_time, request_id
from octroi import Octroi, wait_until
from second import Second

EURO = 1_000_000
PATH = "/api/credits/alerts"
SEQUENCE = itertools.count()


def crossings(movements, thresholds):
    """[(kind, threshold)] of an account from its birth on.  movements: (amount, whether a grant was given) of each
    transaction.  Written from the rule in words, not from octroi's code."""
    balance, told = 0, []
    fired = dict.fromkeys((0, *thresholds), False)
    for amount, granted in movements:
        before, balance = balance, balance + amount
        for threshold in fired:
            high = max(before, balance)
            if fired[threshold] and (5 * high > 6 * threshold or (granted and threshold)):
                fired[threshold] = False
                if threshold == 0:
                    told.append(("balance_recovered", 0))
            down = before > 0 >= balance if threshold == 0 else before >= threshold > balance
            if down and not fired[threshold]:
                fired[threshold] = True
                told.append(("balance_low" if threshold else "balance_depleted", threshold))
    return told


def movements(o, account):
    """Events of the journal, a transaction or a usage at a time."""
    rows = o.sql("SELECT transaction_seq, usage_seq, amount_micros, kind, grant_seq FROM entries "
                 f"WHERE account_id = {key_of(account)} ORDER BY seq")
    for _, entries in itertools.groupby(rows, key=lambda row: row[:2]):
        entries = list(entries)
        yield sum(int(entry[2]) for entry in entries), int(entries[0][2]) > 0 and int(entries[0][4]) > 0


def told(o, account):
    rows = o.sql(f"SELECT kind, threshold_micros FROM alerts WHERE account_id = {key_of(account)} ORDER BY seq")
    names = ("balance_low", "balance_depleted", "balance_recovered")
    return [(names[int(kind)], int(threshold)) for kind, threshold in rows]


def alerts(o, account, query="", **more):
    answer = o.get(f"{PATH}?account={account}{query}", **more)
    assert answer.status == 200, answer
    return answer.json


def put(o, account, thresholds, **more):
    return o.call("PUT", f"{PATH}?account={account}", json={"thresholdsMicros": thresholds}, **more)


def kinds(o, account):
    return [item["kind"] for item in reversed(alerts(o, account)["items"])]


# ---- what is told --------------------------------------------------------------------------------------


def test_low_is_told_once(nginx):
    """litellm#3738 told it with each request, litellm#16185 once and never again."""
    account = nginx.account(funds_micros=3 * EURO)
    assert alerts(nginx, account) == {"account": account, "standard": True, "thresholdsMicros": [2 * EURO], "thresholdsPercent": [],
                                      "addresses": None, "language": None, "items": [], "nextCursor": None}
    for _ in range(5):
        nginx.fund(account, -300_000)
    [alert] = alerts(nginx, account)["items"]
    assert (alert["kind"], alert["thresholdMicros"], alert["balanceMicros"]) == ("balance_low", 2 * EURO, 1_800_000)
    nginx.fund(account, 5 * EURO)
    nginx.fund(account, -5 * EURO)
    assert kinds(nginx, account) == ["balance_low"] * 2


def test_depleted_and_recovered(nginx):
    account = nginx.account(funds_micros=EURO)
    nginx.fund(account, -EURO)
    nginx.fund(account, -EURO)
    nginx.fund(account, EURO)
    nginx.fund(account, 1)
    assert kinds(nginx, account) == ["balance_depleted", "balance_recovered"]


def test_a_refused_request_tells_nothing(nginx):
    account = nginx.account(funds_micros=1)
    for _ in range(3):
        refused = nginx.post("/api/guard/authorize", {"account": account, "model": "gpt-4o"}, key="guard")
        assert refused.status == 402
    assert kinds(nginx, account) == []


def test_a_settlement_that_crosses_tells_it(nginx):
    account = nginx.account(funds_micros=2 * EURO)
    held = nginx.post("/api/guard/authorize", {"account": account, "model": "gpt-4o"}, key="guard")
    assert kinds(nginx, account) == []
    for _ in range(2):  # and a repeated one does not
        assert nginx.post("/api/guard/settle", {"hold": held.json["hold"], "inputTokens": 500, "outputTokens": 100},
                          key="guard").status == 200
    assert kinds(nginx, account) == ["balance_low"]


def test_suspended_and_restored_by_hand(nginx):
    account = nginx.account()
    for status in ("suspended", "active"):
        nginx.ctl("account", "set", account, "--status", status)
    assert kinds(nginx, account) == ["suspended", "restored"]


def test_a_daily_limit(nginx):
    account = nginx.account(unit="credit", funds_micros=100 * EURO, dailyLimitMicros=2 * EURO)
    for status in (200, 200, 402):
        assert nginx.post("/api/guard/charge", {"account": account, "action": "other"}, key="guard").status == status
    [alert] = alerts(nginx, account)["items"]
    assert (alert["kind"], alert["limit"], alert["thresholdMicros"]) == ("limit_reached", "daily", 2 * EURO)


def test_far_from_a_threshold_no_statement_is_for_alerts(nginx):
    """The rows of alerts are written by who crosses, and read by nobody who moves money.  Handing them on (told) is not
    of a request."""
    statements = ("SELECT COUNT(*) FROM mysql.general_log WHERE CONVERT(argument USING utf8mb4) RLIKE "
                  "'(INTO|FROM|UPDATE|JOIN) alerts' AND argument NOT LIKE '%general_log%' AND argument NOT LIKE '%told=%'")
    account = nginx.account(funds_micros=100 * EURO)
    nginx.sql("SET GLOBAL log_output = 'TABLE'; SET GLOBAL general_log = ON")
    try:
        for _ in range(10):
            held = nginx.post("/api/guard/authorize", {"account": account, "model": "gpt-4o"}, key="guard").json["hold"]
            nginx.post("/api/guard/settle", {"hold": held, "inputTokens": 500, "outputTokens": 100}, key="guard")
        [(far,)] = nginx.sql(statements)
        nginx.fund(account, 1 - nginx.balance(account)[0])
        [(crossed,)] = nginx.sql(statements)
    finally:
        nginx.sql("SET GLOBAL general_log = OFF; TRUNCATE TABLE mysql.general_log")
    assert (int(far), int(crossed)) == (0, 1)


# ---- thresholds ----------------------------------------------------------------------------------------


def test_thresholds_of_its_own(nginx):
    account = nginx.account(funds_micros=20 * EURO)
    changed = put(nginx, account, [10 * EURO, 5 * EURO])
    assert changed.status == 200 and changed.json["thresholdsMicros"] == [10 * EURO, 5 * EURO]
    nginx.fund(account, -16 * EURO)
    assert told(nginx, account) == [("balance_low", 10 * EURO), ("balance_low", 5 * EURO)]
    assert put(nginx, account, None).json["thresholdsMicros"] == [2 * EURO]
    nginx.fund(account, -3 * EURO)
    assert told(nginx, account)[2:] == [("balance_low", 2 * EURO)]


@pytest.mark.parametrize("thresholds", [[0], [-1], [5, 5], [1, 2, 3, 4, 5], "5", [5.0], ["5"], [10**18 + 1], {}])
def test_thresholds_that_are_none(nginx, thresholds):
    account = nginx.account()
    refused = put(nginx, account, thresholds)
    assert refused.status == 400 and refused.json["field"] == "thresholdsMicros", refused
    assert alerts(nginx, account)["standard"]


def test_nothing_is_the_configured_threshold(nginx):
    account = nginx.account()
    put(nginx, account, [5])
    assert nginx.call("PUT", f"{PATH}?account={account}", json={}).json["thresholdsMicros"] == [2 * EURO]


def test_managers_only(nginx):
    account = nginx.account()
    for member, role in (("boss", "manager"), ("ann", "member")):
        nginx.call("PUT", f"/api/accounts/{account}/members/{member}", json={"role": role})
        token = nginx.post("/api/tokens", {"account": account, "member": member}, key="app").json["token"]
        wanted = 200 if role == "manager" else 403
        assert nginx.get(PATH, key=token, public=True).status == wanted
        assert nginx.call("PUT", PATH, json={"thresholdsMicros": []}, key=token, public=True).status == wanted


def test_pages(nginx):
    account = nginx.account()
    for _ in range(3):
        nginx.fund(account, EURO)
        nginx.fund(account, -EURO)
    seen, cursor = [], ""
    while cursor is not None:
        page = alerts(nginx, account, "&limit=2" + cursor)
        seen += [item["id"] for item in page["items"]]
        cursor = page["nextCursor"] and "&cursor=" + page["nextCursor"]
    assert len(seen) == len(set(seen)) == 5
    assert nginx.get(f"{PATH}?account={account}&cursor=x").status == 400


def test_octroictl_lists_them(nginx):
    account = nginx.account(funds_micros=3 * EURO)
    nginx.fund(account, -2 * EURO)
    [listed] = json.loads(nginx.ctl("alert", "list", account, "--json").stdout)["items"]
    assert listed["id"] == alerts(nginx, account)["items"][0]["id"]
    assert (listed["account"], listed["kind"], listed["thresholdMicros"]) == (account, "balance_low", 2 * EURO)
    everybodys = json.loads(nginx.ctl("alert", "list", "--limit", "1000", "--json").stdout)["items"]
    assert listed in everybodys
    assert "no alerts" in nginx.ctl("alert", "list", nginx.account()).stdout


# ---- percentages of a plan's credits ---------------------------------------------------------------------


def put_percents(o, account, percents):
    return o.call("PUT", f"{PATH}?account={account}", json={"thresholdsPercent": percents})


def test_a_share_of_a_plans_credits(nginx):
    nginx.ctl("plan", "set", "Percents", "--scope", "pool", "--unit", "credit", "--pool", "10", "--action", "other=1")
    account = nginx.account(unit="credit", plan="Percents")
    assert alerts(nginx, account)["thresholdsPercent"] == []
    changed = put_percents(nginx, account, [50, 100])
    assert changed.status == 200 and changed.json["thresholdsPercent"] == [50, 100] and changed.json["standard"]
    for _ in range(7):
        assert nginx.post("/api/guard/charge", {"account": account, "action": "other"}, key="guard").status == 200
    [alert] = [item for item in alerts(nginx, account)["items"] if item["kind"] == "balance_low"]
    assert (alert["thresholdPercent"], alert["amountMicros"], "thresholdMicros" in alert) == (50, 5 * EURO, False)
    assert put_percents(nginx, account, None).json["thresholdsPercent"] == []
    nginx.audit()


@pytest.mark.parametrize("percents", [[0], [101], [-1], [50, 50], [1, 2, 3, 4, 5], "50", [50.5], ["50"], {}])
def test_percentages_that_are_none(nginx, percents):
    account = nginx.account()
    assert put_percents(nginx, account, [50]).status == 200
    refused = put_percents(nginx, account, percents)
    assert refused.status == 400 and refused.json["field"] == "thresholdsPercent", refused
    assert alerts(nginx, account)["thresholdsPercent"] == [50]


# ---- grants that expire --------------------------------------------------------------------------------

DAY = 86_400


def grant(o, account, days, micros=EURO):
    """Credits that expire after so many days; when, as the API writes it."""
    us = time.time_ns() // 1000 + round(days * DAY * 1_000_000)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(us // 1_000_000)) + f".{us // 1000 % 1000:03}Z"
    o.fund(account, micros, type="PROMO_BONUS", expiresAt=text)
    return text


def expiring(o, account):
    """(seq of the grant, days, amount) of each alert, the oldest first, without touching the account."""
    return [tuple(map(int, row)) for row in o.sql("SELECT arming, days, amount_micros FROM alerts WHERE account_id ="
                                                  f" {key_of(account)} AND kind = 17 ORDER BY seq")]


def test_an_expiry_is_told_though_nobody_asks(nginx):
    account = nginx.account()
    grant(nginx, account, 7.5)
    grant(nginx, account, 6, 2 * EURO)
    assert alerts(nginx, account)["items"] == []
    pass_time(nginx, account, DAY)
    wait_until(lambda: expiring(nginx, account) == [(1, 7, EURO)], 20, "the sweeper")
    [alert] = alerts(nginx, account)["items"]
    ends = nginx.sql(f"SELECT FROM_UNIXTIME(expires_at_us DIV 1000000) FROM grants WHERE account_id = {key_of(account)} AND seq = 1")
    assert (alert["kind"], alert["days"], alert["amountMicros"], alert["balanceMicros"]) == ("grant_expiring", 7, EURO, 3 * EURO)
    assert nginx.sql(f"SELECT FROM_UNIXTIME({calendar.timegm(time.strptime(alert['expiresAt'][:19], '%Y-%m-%dT%H:%M:%S'))})") == ends
    pass_time(nginx, account, 4.5 * DAY)
    wait_until(lambda: expiring(nginx, account) == [(1, 7, EURO), (2, 1, 2 * EURO)], 20, "the sweeper")
    nginx.audit()


def test_an_expiry_costs_the_guard_no_statement(nginx):
    """The only grant lies in the account's row, with the terms that are behind."""
    statements = ("SELECT COUNT(*) FROM mysql.general_log WHERE CONVERT(argument USING utf8mb4) RLIKE "
                  "'(INTO|FROM|UPDATE|JOIN) (grants|alerts)' AND argument NOT LIKE '%general_log%' AND argument NOT LIKE '%told=%'")
    account = nginx.account()
    grant(nginx, account, 8, 50 * EURO)
    nginx.sql("SET GLOBAL log_output = 'TABLE'; SET GLOBAL general_log = ON")
    try:
        for _ in range(5):
            held = nginx.post("/api/guard/authorize", {"account": account, "model": "gpt-4o"}, key="guard").json["hold"]
            nginx.post("/api/guard/settle", {"hold": held, "inputTokens": 500, "outputTokens": 100}, key="guard")
        [(count,)] = nginx.sql(statements)
    finally:
        nginx.sql("SET GLOBAL general_log = OFF; TRUNCATE TABLE mysql.general_log")
    assert int(count) == 0


def test_the_audit_sees_a_term_that_is_forgotten(nginx):
    account = nginx.account()
    grant(nginx, account, 20)
    nginx.audit()
    before = nginx.sql(f"SELECT due_at_us FROM accounts WHERE id = {key_of(account)}")[0][0]
    nginx.sql(f"UPDATE accounts SET due_at_us = current_expires_at_us WHERE id = {key_of(account)}")
    found = nginx.ctl("audit", "--account", account, check=False)
    assert found.returncode == 1 and "due_at_us is" in found.stdout
    nginx.sql(f"UPDATE accounts SET due_at_us = {before}, current_warned = 3 WHERE id = {key_of(account)}")
    found = nginx.ctl("audit", "--account", account, check=False)
    assert found.returncode == 1 and "warned is 3" in found.stdout
    nginx.sql(f"UPDATE accounts SET current_warned = 0 WHERE id = {key_of(account)}")
    nginx.audit()


def test_each_term_once_over_kills_and_two_octroi():
    """Both sweep at once, and one is killed meanwhile.  All have a grant that is spent now, and one beside it."""
    with Octroi("nginx") as o, Second(o):
        accounts = [o.account() for _ in range(12)]
        for account in accounts:
            grant(o, account, 9)
            grant(o, account, 9.5, 2 * EURO)
        for term, passed in ((7, 3), (1, 5.6)):
            for i, account in enumerate(accounts):
                pass_time(o, account, passed * DAY)
                if i % 4 == 0:
                    o.kill("octroi")
                    o.start()
            wait_until(lambda: all((2, term, 2 * EURO) in expiring(o, account) for account in accounts), 60, "the sweepers")  # noqa: B023
        wanted = [(1, 7, EURO), (2, 7, 2 * EURO), (1, 1, EURO), (2, 1, 2 * EURO)]
        assert {account: expiring(o, account) for account in accounts} == dict.fromkeys(accounts, wanted)
        o.audit()


# ---- pruning -------------------------------------------------------------------------------------------

YEARS_US = 500 * DAY * 10**6


def aged(o, account, condition="TRUE"):
    o.sql(f"UPDATE alerts SET told = 1, created_at_us = created_at_us - {YEARS_US} WHERE account_id = {key_of(account)} AND {condition}")


def seqs(o, account):
    return [int(seq) for (seq,) in o.sql(f"SELECT seq FROM alerts WHERE account_id = {key_of(account)} ORDER BY seq")]


def many_alerts(o, count):
    account = o.account()
    for _ in range(count // 2):
        o.fund(account, EURO)
        o.fund(account, -EURO)
    wait_until(lambda: o.sql(f"SELECT COUNT(*) FROM alerts WHERE told = 0 AND account_id = {key_of(account)}") == [("0",)], 20, "the courier")
    return account


def test_old_alerts_are_deleted(nginx):
    """All but the last of an account, and those that are not old."""
    old, half, young = (many_alerts(nginx, 6) for _ in range(3))
    aged(nginx, old)
    aged(nginx, half, "seq <= 2")
    count = len(seqs(nginx, young))
    pruned = json.loads(nginx.ctl("tick", "--json").stdout)["pruned"]
    assert (seqs(nginx, old), seqs(nginx, half), len(seqs(nginx, young))) == ([5], [3, 4, 5], count) and pruned == 4 + 2
    nginx.audit()
    assert kinds(nginx, old) == ["balance_depleted"]
    nginx.fund(old, EURO)
    assert seqs(nginx, old) == [5, 6]


@pytest.mark.parametrize("way", ["delivery", "mail"])
def test_none_that_is_on_its_way_is_deleted(nginx, way):
    """The alerts behind it stay too, so that the numbers have no gap.  The endpoint is switched off; the mail is for later."""
    account = many_alerts(nginx, 6)
    key = key_of(account)
    aged(nginx, account)
    nginx.sql("INSERT INTO endpoints (id, url, state, secret, created_at_us) VALUES (99, 'https://x.example', 1, '', 1)")
    nginx.sql(f"INSERT INTO deliveries (endpoint_id, account_id, alert_seq, state) VALUES (99, {key}, 3, 0)" if way == "delivery" else
              f"INSERT INTO mails (account_id, kind, number, from_seq, upto_seq, state, next_at_us) VALUES ({key}, 1, 1, 2, 3, 0, 1 << 62)")
    nginx.ctl("tick")
    assert seqs(nginx, account) == [3, 4, 5]
    nginx.sql(f"UPDATE deliveries SET state = 1 WHERE account_id = {key}; UPDATE mails SET state = 1, next_at_us = 1 WHERE account_id = {key}")
    nginx.ctl("tick")
    assert seqs(nginx, account) == [5]
    assert nginx.sql(f"SELECT (SELECT COUNT(*) FROM deliveries WHERE account_id = {key}), (SELECT COUNT(*) FROM mails WHERE account_id = {key})") == [("0", "0")]
    nginx.sql("DELETE FROM endpoints WHERE id = 99")
    nginx.audit()


def test_old_alerts_go_in_batches(nginx):
    """More than a batch has, of one moment, and at a place that the round must find again."""
    accounts = [nginx.account() for _ in range(3)]
    for account in accounts:
        nginx.sql(f"INSERT INTO alerts (account_id, seq, kind, threshold_micros, arming, balance_micros, created_at_us, told)"
                  f" SELECT {key_of(account)}, seq, 1, 0, seq, 0, 1000 + seq, 1 FROM seq_1_to_700;"
                  f"UPDATE accounts SET alerts = '700;0:701' WHERE id = {key_of(account)}")
    assert json.loads(nginx.ctl("tick", "--json").stdout)["pruned"] == 3 * 699
    assert [seqs(nginx, account) for account in accounts] == [[700]] * 3
    nginx.audit()


# ---- exactly once --------------------------------------------------------------------------------------


class Histories:
    """Random movements of some accounts, each repeated with its request id until it is answered."""

    def __init__(self, o, accounts, seed):
        self.o, self.accounts = o, accounts
        self.stop = threading.Event()
        self.done = 0
        self.problems = []
        self.threads = [threading.Thread(target=self._work, args=(random.Random(seed + i), i)) for i in range(6)]

    def _work(self, r, index):
        try:
            while not self.stop.is_set():
                self._move(r, r.choice(self.accounts))
                self.done += 1
        except Exception as e:  # noqa: BLE001 (shown by the test)
            self.problems.append(repr(e))

    def _move(self, r, account):
        amount = r.choice((-1, 1)) * r.randrange(1, 5 * EURO)
        body = {"type": "ADJUSTMENT", "amountMicros": amount, "description": "x", "requestId": f"h{next(SEQUENCE)}"}
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                answer = self.o.post(f"/api/accounts/{account}/transactions", body, key="admin", timeout=10)
            except OSError:
                self.o.disconnect()
                continue
            if answer.status in (200, 201, 400):  # 400: the balance would leave its range
                return
            assert answer.status in (502, 503, 504), answer
            time.sleep(0.01)
        raise AssertionError("not answered within a minute")

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *exception):
        self.stop.set()
        for thread in self.threads:
            thread.join(90)


def hold_against_the_oracle(o, accounts, thresholds):
    wrong, count = {}, 0
    for account in accounts:
        wanted = crossings(movements(o, account), thresholds[account])
        count += len(wanted)
        if told(o, account) != wanted:
            wrong[account] = (told(o, account), wanted)
    assert not wrong, wrong
    return count


def test_exactly_once_over_kills():
    """kill -9 of octroi at any time: each crossing of the journal has one alert, in its order, and no other is there."""
    with Octroi("nginx") as o:
        accounts = [o.account() for _ in range(12)]
        thresholds = {account: (2 * EURO,) if i % 2 else (4 * EURO, EURO) for i, account in enumerate(accounts)}
        for account in accounts:
            if len(thresholds[account]) > 1:
                assert put(o, account, list(thresholds[account])).status == 200
        r = random.Random(7)
        with Histories(o, accounts, 7) as load:
            for _ in range(6):
                reached = load.done + 150
                until = time.monotonic() + 60
                while load.done < reached and time.monotonic() < until and not load.problems:
                    time.sleep(r.random() * 0.05)
                o.kill("octroi")
                o.start()
        assert not load.problems, load.problems[:3]
        assert load.done > 900
        assert hold_against_the_oracle(o, accounts, thresholds) > 40


def test_exactly_once_by_two_octroi(nginx):
    """Both processes move the same accounts at once."""
    accounts = [nginx.account() for _ in range(4)]
    with Second(nginx) as second:
        urls = itertools.cycle((nginx.internal_url, second.internal_url))
        failed = []

        def work(url, seed):
            r = random.Random(seed)
            for _ in range(60):
                body = {"type": "ADJUSTMENT", "amountMicros": r.choice((-1, 1)) * r.randrange(1, 4 * EURO),
                        "description": "x", "requestId": request_id()}
                answer = ask(url, f"/api/accounts/{r.choice(accounts)}/transactions", body)
                if answer not in (200, 201, 400):
                    failed.append(answer)

        def ask(url, path, body):
            connection = http.client.HTTPConnection(url.split("//")[1], timeout=30)
            connection.request("POST", path, json.dumps(body), {
                "Authorization": "Bearer " + nginx.keys["admin"], "Content-Type": "application/json"})
            status = connection.getresponse().status
            connection.close()
            return status

        threads = [threading.Thread(target=work, args=(next(urls), seed)) for seed in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(90)
        assert not failed, failed[:5]
    assert hold_against_the_oracle(nginx, accounts, {account: (2 * EURO,) for account in accounts}) > 10

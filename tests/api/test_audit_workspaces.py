"""`octroictl audit` finds what is wrong with plans, people, limits and statements: each row is tampered with behind
octroi's back, found, and put back."""

import json

import pytest

from octroi import Octroi
from timetravel import Clock, instant_us

# A manager, two members, a pool beside their quotas; what is left of it may stay.
PLAN = ("plan", "set", "studio", "--unit", "credit", "--scope", "mixed", "--pool", "100", "--manager", "20",
        "--member", "10", "--seats", "1-3", "--rollover", "50")


def put(o, path, body):
    done = o.call("PUT", "/api/accounts/" + path, json=body, key="app")
    assert done.status in (200, 201), done


def spend(o, account, member, credits):
    body = {"account": account, "action": "debrief", "quantity": credits, **({"member": member} if member else {})}
    done = o.post("/api/guard/charge", body)
    assert done.status == 200, done


@pytest.fixture(scope="module")
def ledger():
    """Accounts with a plan in its third period, with a statement of a month, and with neither."""
    with Octroi("nginx") as o:
        clock = Clock(o)
        clock.set("2027-01-10 12:00:00", "Europe/Paris")
        o.ctl(*PLAN)
        o.account("plain", unit="credit", funds_micros=1_000_000)
        o.account("team", unit="credit", timeZone="Europe/Paris", plan="studio")
        put(o, "team/members/ann", {"role": "manager"})
        put(o, "team/members/bob", {"role": "member", "limitMicros": 9_000_000, "period": "day"})
        put(o, "team/members/eve", {"role": "member"})
        assert o.call("DELETE", "/api/accounts/team/members/eve", key="app").status == 200
        put(o, "team", {"monthlyLimitMicros": 90_000_000})
        o.account("debtor", unit="credit", mode="postpaid", hardLimitMicros=500_000_000, timeZone="America/New_York")
        spend(o, "debtor", "", 200)
        spend(o, "team", "bob", 3)
        clock.set("2027-02-02 12:00:00", "Europe/Paris")
        spend(o, "team", "ann", 2)
        clock.set("2027-03-05 12:00:00", "Europe/Paris")
        spend(o, "team", "bob", 1)
        held = o.post("/api/guard/authorize", {"account": "team", "member": "bob", "action": "debrief", "quantity": 2,
                                               "ttlSeconds": 86400})
        assert held.status == 200, held
        assert o.balance("debtor")[0] == -200_000_000
        yield o


def of(name):
    return f"account_id = (SELECT id FROM accounts WHERE external_id = '{name}')"


TEAM, DEBTOR, PLAIN = of("team"), of("debtor"), of("plain")
BOB = f"{TEAM} AND member_id = 'bob'"
FEBRUARY = instant_us("2027-02-01", "Europe/Paris")
DAYS = 100 * 86400 * 10**6


def moved(sign):
    return (f"UPDATE allowances SET period_start_us = period_start_us {sign} {DAYS},"
            f" period_end_us = period_end_us {sign} {DAYS} WHERE {TEAM} AND created_at_us = {FEBRUARY}")


def more(check, table, change_in, column, where, by=1):
    """A number that is one off."""
    return (check, table, f"UPDATE {change_in} SET {column} = {column} + {by} WHERE {where}",
            f"UPDATE {change_in} SET {column} = {column} - {by} WHERE {where}")


def other(check, table, change_in, column, where, wrong, right):
    return (check, table, f"UPDATE {change_in} SET {column} = {wrong} WHERE {where}",
            f"UPDATE {change_in} SET {column} = {right} WHERE {where}")


# check, table, what is changed, how it is put back
TAMPERED = [
    other("workspace", "accounts", "accounts", "workspace", "external_id = 'plain'", 1, 0),
    other("workspace", "workspaces", "accounts", "workspace", "external_id = 'team'", 0, 1),
    more("workspace", "workspaces", "workspaces", "managers", TEAM),
    more("workspace", "workspaces", "workspaces", "members", TEAM),
    more("workspace", "workspaces", "members", "removed_at_us", BOB),
    more("reserved", "workspaces", "workspaces", "reserved_micros", TEAM),
    more("reserved", "workspaces", "members", "quota_micros", BOB),
    more("reserved", "workspaces", "members", "period_micros", BOB),
    other("due", "accounts", "workspaces", "suspend_at_us", TEAM, 1, 0),
    more("due", "accounts", "workspaces", "statement_at_us", DEBTOR, -10_000_000_000_000),
    more("member", "members", "members", "held_micros", BOB),
    other("member", "members", "members", "role", BOB, 2, 0),
    other("member", "members", "members", "quota_micros", f"{TEAM} AND member_id = 'eve'", 1, 0),
    other("limit", "members", "members", "limit_micros", BOB, -2, -1),
    other("limit", "workspaces", "workspaces", "daily_limit_micros", TEAM, -2, -1),
    more("window", "workspaces", "workspaces", "day_micros", TEAM),
    more("window", "workspaces", "workspaces", "month_micros", TEAM, 10_000_000),
    more("window", "members", "members", "day_micros", BOB),
    more("window", "members", "members", "month_micros", BOB),
    more("window", "members", "members", "period_micros", BOB),
    more("allowance", "allowances", "allowances", "amount_micros", f"{TEAM} AND seq = 1"),
    more("allowance", "allowances", "allowances", "grant_seq", f"{TEAM} AND seq = 1", 100),
    more("allowance", "allowances", "allowances", "transaction_seq", f"{TEAM} AND seq = 1", 100),
    more("allowance", "allowances", "grants", "expires_at_us", f"{TEAM} AND seq = 1"),
    more("allowance", "grants", "allowances", "transaction_seq", f"{TEAM} AND seq = 1", 100),
    more("allowance", "workspaces", "workspaces", "granted_micros", TEAM),
    more("allowance", "workspaces", "workspaces", "carried_micros", TEAM),
    more("allowance", "workspaces", "workspaces", "allowance_seq", TEAM),
    more("period", "workspaces", "workspaces", "period_end_us", TEAM),
    other("period", "workspaces", "workspaces", "plan", TEAM, "'other'", "'studio'"),
    more("period", "workspaces", "workspaces", "plan_version", TEAM),
    other("period", "allowances", "allowances", "reason", f"{TEAM} AND seq = 1", 2, 0),
    more("period", "allowances", "allowances", "period_start_us", f"{TEAM} AND seq = 1"),
    # The middle one of three periods is not where it was.
    ("period", "allowances", moved("-"), moved("+")),
    other("statement", "statements", "statements", "state", f"{DEBTOR} AND seq = 1", 3, 0),
    other("statement", "statements", "statements", "state", f"{DEBTOR} AND seq = 1", 9, 0),
    other("statement", "statements", "statements", "transaction_seq", f"{DEBTOR} AND seq = 1", 1, 0),
    ("statement", "transactions",
     f"UPDATE transactions SET type = 9, reference = actor, actor = 'stripe' WHERE {PLAIN} AND seq = 1",
     f"UPDATE transactions SET type = 8, actor = reference, reference = '' WHERE {PLAIN} AND seq = 1"),
    more("statement", "workspaces", "statements", "amount_micros", f"{DEBTOR} AND seq = 1"),
    more("statement", "workspaces", "workspaces", "stated_micros", DEBTOR),
    more("statement", "workspaces", "workspaces", "statement_seq", DEBTOR),
    more("statement", "workspaces", "workspaces", "failed_statements", DEBTOR),
    other("statement", "accounts", "accounts", "status", "external_id = 'debtor'", 2, 0),
    more("statement", "outbox", "outbox", "subject_seq", f"{DEBTOR} AND kind = 0", 100),
    more("outbox", "outbox", "outbox", "subject_seq", f"{DEBTOR} AND kind = 0", 100),
    more("outbox", "outbox", "workspaces", "outbox_seq", DEBTOR, -1),
    other("outbox", "outbox", "outbox", "state", f"{DEBTOR} AND kind = 0", 7, 0),
    ("orphan", "workspaces", f"UPDATE outbox SET account_id = REPEAT('x', 16) WHERE {DEBTOR}",
     f"UPDATE outbox SET account_id = (SELECT id FROM accounts WHERE external_id = 'debtor')"
     " WHERE account_id = REPEAT('x', 16)"),
]


def findings(o):
    done = o.ctl("audit", "--json", check=False)
    found = json.loads(done.stdout)
    assert done.returncode == (1 if found["findings"] else 0)
    return {(f["check"], f["table"]) for f in found["findings"]}


def test_sound(ledger):
    assert findings(ledger) == set()


@pytest.mark.parametrize("check, table, change, undo", TAMPERED)
def test_tampered(ledger, check, table, change, undo):
    ledger.sql(change)
    found = findings(ledger)
    ledger.sql(undo)
    assert (check, table) in found, found
    assert findings(ledger) == set(), "not put back"


def test_one_account(ledger):
    ledger.sql(f"UPDATE workspaces SET reserved_micros = reserved_micros + 1 WHERE {TEAM}")
    clean = ledger.ctl("audit", "--account", "debtor", check=False)
    wrong = ledger.ctl("audit", "--account", "team", check=False)
    ledger.sql(f"UPDATE workspaces SET reserved_micros = reserved_micros - 1 WHERE {TEAM}")
    assert clean.returncode == 0 and wrong.returncode == 1
    assert "account team reserved" in wrong.stdout

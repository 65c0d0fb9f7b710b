"""A database of an earlier schema version is brought up to date, also when the migration was interrupted after any
of its statements, and octroi does not serve before that; what was there goes on, and gets what is new."""

import json
import pathlib
import re

import pytest

import guard
from chain import chain_anew
from octroi import Octroi, wait_until
from timetravel import Clock

SQL = pathlib.Path(__file__).resolve().parents[2] / "sql"
FILES = {2: "002_money_in.sql", 3: "003_workspaces.sql", 4: "004_paid_periods.sql", 5: "005_epochs.sql"}
NEVER = 2**63 - 1  # nothing of an account is due
HOLD = {"model": "gpt-4o", "inputTokens": 500, "maxOutputTokens": 2000, "ttlSeconds": 86400}


def statements(version):
    text = re.sub(r"^--.*$", "", (SQL / FILES[version]).read_text(), flags=re.M)
    return [statement.strip() for statement in text.split(";") if statement.strip()]


def undo(o, version):
    """Tables and columns that a file has made are taken away again."""
    for statement in statements(version):
        created = re.match(r"CREATE TABLE IF NOT EXISTS (\w+)", statement)
        altered = re.match(r"ALTER TABLE (\w+)", statement)
        if created:
            o.sql(f"DROP TABLE IF EXISTS {created[1]}")
        elif altered:
            added = re.findall(r"ADD (COLUMN|INDEX|KEY) IF NOT EXISTS (\w+)", statement)
            assert added, f"this test does not know how to undo {statement}"
            # FORCE: a column that is dropped in an instant goes on to count among the bytes of a row.
            o.sql(f"ALTER TABLE {altered[1]} " + ", ".join(f"DROP {what} IF EXISTS {name}" for what, name in added) + ", FORCE")
        else:
            assert re.match(r"INSERT |UPDATE ", statement), statement
    o.sql(f"DELETE FROM schema_versions WHERE version = {version}")


COLUMNS = ("inputTokens", "cacheReadTokens", "cacheWriteTokens", "cacheWrite1hTokens", "outputTokens")
STAND_IN = {"cacheReadTokens": "inputTokens", "cacheWriteTokens": "inputTokens", "cacheWrite1hTokens": "cacheWriteTokens"}


def tiers_of(lines):
    """The five prices in pico-dollars, at each threshold, as version 3 kept them."""
    def price(name, above):
        found = [line for line in lines if line[:2] == [name, "standard"] and line[3] == "" and line[2] <= above]
        if not found:
            return price(STAND_IN[name], above) if name in STAND_IN else 0
        _, _, _, _, mantissa, scale = max(found, key=lambda line: line[2])
        return mantissa * 10 ** (12 - scale)
    return [[above, *(price(name, above) for name in COLUMNS)] for above in sorted({0} | {line[2] for line in lines})]


def price_as_before(o):
    """Prices by lines become prices by tiers."""
    if o.sql("SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'prices'"
             " AND column_name = 'price_lines'") == [("0",)]:
        return
    for item, version, lines in o.sql("SELECT item, version, price_lines FROM prices WHERE price_lines <> ''"):
        text = json.dumps(tiers_of(json.loads(lines)), separators=(",", ":"))
        o.sql(f"UPDATE prices SET tiers = '{text}' WHERE kind = 0 AND item = '{item}' AND version = {version}")


def rests_as_before(o):
    """The row of a grant had its rest, also while the grant was current."""
    if o.sql("SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'accounts'"
             " AND column_name IN ('current_grant_seq', 'current_remaining_micros')") == [("2",)]:
        o.sql("UPDATE grants JOIN accounts ON id = account_id AND seq = current_grant_seq"
              " SET remaining_micros = current_remaining_micros")


def holds_as_before(o):
    """All open holds were in holds."""
    if o.sql("SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'accounts'"
             " AND column_name LIKE 'hold\\__'") != [(str(len(guard.PLACES)),)]:
        return
    for place in guard.PLACES:
        o.sql(f"INSERT INTO holds (account_id, {', '.join(guard.HOLD_COLUMNS)}) SELECT id,"
              f" {', '.join(guard.packed(place, column) for column in guard.HOLD_COLUMNS)} FROM accounts WHERE {place} <> ''")


def downgrade(o, version):
    """To a database of that version: what came later is undone, the last first."""
    price_as_before(o)
    rests_as_before(o)
    holds_as_before(o)
    for later in sorted(FILES, reverse=True):
        if later > version:
            undo(o, later)
    for statement in chain_anew(o, recorded=False):
        o.sql(statement)


def upgrade(o):
    assert o.call("GET", "/readyz", key=None).status == 503
    done = o.ctl("init", "--sql", SQL, "--admin-user", "root", "--grants")
    assert str(max(FILES)) in done.stdout
    assert o.sql("SELECT MAX(version) FROM schema_versions") == [(str(max(FILES)),)]
    wait_until(lambda: o.call("GET", "/readyz", key=None).status == 200, 10, "ready")


@pytest.fixture(scope="module")
def old():
    """octroi on a database that has moved money; the tests make it an old one."""
    with Octroi("nginx") as o:
        o.account("kept", funds_micros=5_000_000)
        yield o


# Every third of the second file; of the third, every one.
@pytest.mark.parametrize("version, done", [(2, n) for n in range(0, len(statements(2)), 3)] +
                         [(version, n) for version in (3, 4) for n in range(len(statements(version)))])
def test_upgrade_after_an_interruption(old, version, done):
    downgrade(old, version - 1)
    for statement in statements(version)[:done]:
        old.sql(statement)
    upgrade(old)
    assert old.balance("kept")[0] == 5_000_000
    old.audit()


# ---- a database of version 2 with all that it could have -----------------------------------------------


def column(o, account, name):
    (value,), = o.sql(f"SELECT {name} FROM accounts WHERE external_id = '{account}'")
    return int(value)


def charge(o, account):
    charged = o.post("/api/guard/charge", {"account": account, "action": "debrief"})
    assert charged.status == 200, charged


@pytest.fixture(scope="module")
def upgraded():
    """Accounts with people, open holds, debt and an order, made, and brought from version 2 to the newest."""
    with Octroi("nginx", settings={"bonus_amount": "10"}) as o:
        o.account("plain", funds_micros=5_000_000)
        o.account("team", funds_micros=5_000_000, timeZone="Europe/Paris")
        o.account("debtor", mode="postpaid", hardLimitMicros=50_000_000, timeZone="America/New_York")
        for member, role in (("ann", "manager"), ("bob", "member"), ("gone", "member")):
            assert o.call("PUT", f"/api/accounts/team/members/{member}", json={"role": role}, key="app").status == 200
        o.holds = {}
        for account, member in (("plain", None), ("team", "bob"), ("team", "gone"), ("debtor", None)):
            body = {"account": account, **HOLD, **({"member": member} if member else {})}
            allowed = o.post("/api/guard/authorize", body)
            assert allowed.status == 200, allowed
            o.holds[account, member] = allowed.json["hold"]
        assert o.call("DELETE", "/api/accounts/team/members/gone", key="app").status == 200
        charge(o, "debtor")
        o.account("granted", unit="credit", funds_micros=1_500_000)
        o.fund("granted", 2_000_000, type="PROMO_BONUS")
        o.fund("granted", 10_000_000)
        for _ in range(3):
            charge(o, "granted")
        downgrade(o, 2)
        # As version 2 left them: a row is due when its holds are.
        o.sql(f"UPDATE accounts SET due_at_us = COALESCE((SELECT MIN(expires_at_us) FROM holds"
              f" WHERE account_id = accounts.id), {NEVER})")
        upgrade(o)
        yield o


def settle(o, key):
    settled = o.post("/api/guard/settle", {"hold": o.holds[key], "inputTokens": 100, "outputTokens": 100})
    assert settled.status == 200, settled
    return settled.json["costMicros"]


def test_holds_go_on(upgraded):
    for key in (("plain", None), ("team", "gone")):
        before = upgraded.balance(key[0])[0]
        cost = settle(upgraded, key)
        assert cost > 0 and upgraded.balance(key[0])[0] == before - cost
    upgraded.audit()


def test_an_account_without_is_as_before(upgraded):
    assert column(upgraded, "plain", "workspace") == 0
    allowed = upgraded.post("/api/guard/authorize", {"account": "plain", **HOLD})
    assert allowed.status == 200
    assert column(upgraded, "plain", "workspace") == 0
    assert upgraded.post("/api/guard/release", {"hold": allowed.json["hold"]}).status == 200


def rests(o, account):
    return [int(left) for (left,) in o.sql(f"SELECT remaining_micros FROM {guard.GRANTS}"
                                           f" WHERE account_id = {guard.key_of(account)} ORDER BY seq")]


def test_grants_go_on(upgraded):
    """The row of an account gets its copy when a command that spends touches the account first."""
    assert column(upgraded, "granted", "current_grant_seq") == 0
    before = rests(upgraded, "granted")
    assert [left > 0 for left in before] == [True, False, True] and sum(before) == 10_500_000
    charge(upgraded, "granted")
    assert rests(upgraded, "granted") == [0, 0, 9_500_000]
    assert column(upgraded, "granted", "current_grant_seq") == 3
    assert column(upgraded, "granted", "grants_beside") == 0
    upgraded.audit()
    for left in (8_500_000, 7_500_000):
        charge(upgraded, "granted")
        assert rests(upgraded, "granted") == [0, 0, left] and upgraded.balance("granted")[0] == left
    upgraded.audit()


def test_version_before_makes_no_account(upgraded):
    """Its INSERT, which is also its UPDATE, does not name the columns of the copy."""
    columns = upgraded.sql("SELECT GROUP_CONCAT(column_name) FROM information_schema.columns WHERE table_schema = DATABASE()"
                           " AND table_name = 'accounts' AND column_name NOT LIKE 'current%'")[0][0]
    before = upgraded.sql("CHECKSUM TABLE accounts EXTENDED")
    with pytest.raises(RuntimeError, match="'current_grant_seq' doesn't have a default value"):
        upgraded.sql(f"SET sql_mode = 'STRICT_ALL_TABLES'; INSERT INTO accounts ({columns}) SELECT {columns} FROM accounts"
                     " WHERE external_id = 'granted' ON DUPLICATE KEY UPDATE balance_micros = 1")
    assert upgraded.sql("CHECKSUM TABLE accounts EXTENDED") == before


def test_people_get_limits(upgraded):
    """Also one who has a hold from before, which then ends."""
    put = upgraded.call("PUT", "/api/accounts/team/members/bob", json={"limitMicros": 1_000, "period": "day"}, key="app")
    assert put.status == 200, put
    refused = upgraded.post("/api/guard/authorize", {"account": "team", "member": "bob", **HOLD})
    assert (refused.status, refused.json["error"]) == (402, "SPENDING_LIMIT_REACHED")
    upgraded.audit()
    settle(upgraded, ("team", "bob"))
    upgraded.audit()
    assert upgraded.sql("SELECT managers, members FROM workspaces w JOIN accounts a ON a.id = w.account_id"
                        " WHERE a.external_id = 'team'") == [("1", "1")]
    other = upgraded.post("/api/guard/authorize", {"account": "team", "member": "ann", **HOLD})
    assert other.status == 200
    assert upgraded.post("/api/guard/release", {"hold": other.json["hold"]}).status == 200


def test_who_owes_gets_a_month(upgraded):
    """A postpaid account gets the day of its first statement when it is next touched, or swept."""
    assert column(upgraded, "debtor", "due_at_us") == 0 or column(upgraded, "debtor", "workspace") == 1
    settle(upgraded, ("debtor", None))
    assert column(upgraded, "debtor", "workspace") == 1
    (statement_at, now), = upgraded.sql(
        "SELECT statement_at_us, CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED) FROM workspaces w"
        " JOIN accounts a ON a.id = w.account_id WHERE a.external_id = 'debtor'")
    assert int(now) < int(statement_at) < int(now) + 32 * 86400 * 10**6
    assert column(upgraded, "debtor", "due_at_us") <= int(statement_at)
    upgraded.audit()


def test_a_plan(upgraded):
    """New features can be had by an account that is old."""
    upgraded.account("credits", unit="credit")
    made = upgraded.ctl("plan", "set", "studio", "--scope", "pool", "--pool", "500", "--unit", "credit", check=False)
    assert made.returncode == 0, made.stdout + made.stderr
    put = upgraded.call("PUT", "/api/accounts/credits", json={"plan": "studio"}, key="app")
    assert put.status == 200, put
    assert upgraded.balance("credits")[0] == 500_000_000
    shown = json.loads(upgraded.ctl("audit", "--json").stdout)
    assert shown["findings"] == []


def test_a_subscriptions_period_goes_on(clean):
    """A plan that a subscription brought keeps the period that runs, and of what was paid for longer the months that
    follow; after that it begins anew when it is paid.  One that a person has set goes on by itself."""
    o = clean
    o.ctl("plan", "set", "solo", "--scope", "pool", "--pool", "500", "--unit", "credit")
    for account in ("month", "year", "late", "person"):
        o.account(account, unit="credit", plan="solo")
    downgrade(o, 3)
    for account, status, days in (("month", "active", 20), ("year", "active", 100), ("late", "past_due", 100)):
        key = f"LEFT(UNHEX(SHA2('{account}', 256)), 16)"
        o.sql(f"INSERT INTO billing (account_id, customer_id, plan, subscription_id, subscription_live) VALUES ({key},"
              f" 'cus_{account}', 'solo', 'sub_{account}', 1) ON DUPLICATE KEY UPDATE plan = 'solo'")
        o.sql("INSERT INTO subscriptions (account_id, subscription_key, subscription_id, status, plan, period_end_at_us)"
              f" VALUES ({key}, LEFT(UNHEX(SHA2('sub_{account}', 256)), 16), 'sub_{account}', '{status}', 'solo',"
              f" CAST(UNIX_TIMESTAMP(NOW() + INTERVAL {days} DAY) * 1000000 AS SIGNED))")
    o.sql("UPDATE subscriptions s JOIN workspaces w ON w.account_id = s.account_id"
          " SET s.period_end_at_us = w.period_end_us WHERE s.subscription_id = 'sub_month'")
    upgrade(o)
    o.audit()
    clock = Clock(o)
    assert [o.balance(a)[0] for a in ("month", "year", "late", "person")] == [500_000_000] * 4
    clock.forward(days=32)
    for account in ("month", "year", "late", "person"):
        assert o.get(f"/api/credits?account={account}").status == 200
        o.post("/api/guard/check", {"account": account})
    assert [o.balance(a)[0] for a in ("month", "year", "late", "person")] == [0, 500_000_000, 0, 500_000_000]
    clock.forward(days=100)
    assert [o.balance(a)[0] for a in ("year", "person")] == [0, 500_000_000]
    clock.release()
    shown = json.loads(o.ctl("audit", "--json").stdout)
    assert shown["findings"] == []


@pytest.fixture
def clean():
    with Octroi("nginx") as o:
        yield o

"""octroictl audit finds whatever is changed behind octroi's back, and names the row.

One octroi of its own; every test changes rows as the database's root, looks at what the audit says, and
puts everything back.
"""

import hashlib
import json
import os
import pathlib
import re
import subprocess
import threading

import pytest

import guard
from chain import chain_anew
from octroi import TOP, Octroi

TABLES = ("accounts", "grants", "holds", "usages", "entries", "transactions", "requests", "price_versions", "prices")


@pytest.fixture(scope="module")
def o():
    with Octroi("nginx", audit=False) as octroi:
        yield octroi


@pytest.fixture(scope="module")
def ledger(o):
    """An account with everything in it, and others beside it; copies of all tables."""
    for name in ("audit:before", "audit:one", "audit:zz"):
        live(o, name)
    o.sql("CREATE DATABASE saved")
    for table in TABLES:
        o.sql(f"CREATE TABLE saved.{table} AS SELECT * FROM {table}")
    o.audit()
    return o


def live(o, account):
    """Grants, debts, settled, released, open and byok holds, charges."""
    o.account(account, funds_micros=1_000_000)
    o.fund(account, 500_000, type="PROMO_BONUS")
    o.fund(account, -200_000)

    def authorize(**more):
        priced = {} if "action" in more else {"model": "gpt-4o"}
        answer = o.post("/api/guard/authorize", {"account": account, **priced, **more})
        assert answer.status == 200, answer
        return answer.json["hold"]

    def settle(hold, **more):
        answer = o.post("/api/guard/settle", {"hold": hold, **more})
        assert answer.status == 200, answer

    settle(authorize(requestId=account + ":first"), inputTokens=500, outputTokens=2000)
    settle(authorize(), inputTokens=100, outputTokens=90_000)
    settle(authorize())
    settle(authorize(byok=["openai"]), inputTokens=7, outputTokens=8)
    assert o.post("/api/guard/release", {"hold": authorize()}).status == 200
    # Far more than there is: the balance ends below zero, and what comes next pays the debt first.
    settle(authorize(), inputTokens=10, outputTokens=500_000)
    o.fund(account, 9_000_000, expiresAt="2090-01-01T00:00:00Z")
    charged = o.post("/api/guard/charge", {"account": account, "action": "debrief", "requestId": account + ":charge"})
    assert charged.status == 200, charged
    authorize(inputTokens=1000, maxOutputTokens=10)
    authorize(action="debrief", quantity=3)


def changed(o, *changes):
    """Makes the changes, audits, puts everything back; the audit with --json and without."""
    try:
        for change in changes:
            o.sql(change)
        return o.ctl("audit", "--json", check=False), o.ctl("audit", check=False)
    finally:
        for table in TABLES:
            o.sql(f"DELETE FROM {table}; INSERT INTO {table} SELECT * FROM saved.{table}")


def is_clean(o, *changes):
    done, plain = changed(o, *changes)
    return done.returncode == plain.returncode == 0 and json.loads(done.stdout)["findings"] == []


def find(o, *changes):
    """The findings of the audit after the changes."""
    done, plain = changed(o, *changes)
    assert done.returncode == 1, (done.returncode, done.stdout, done.stderr)
    answer = json.loads(done.stdout)
    findings = answer["findings"]
    assert len(findings) == answer["report"]["findings"] > 0
    assert plain.returncode == 1
    for finding in findings:
        assert f"{finding['table']} {finding['row']}" in plain.stdout
        assert "audit:one" in finding["row"], finding
    return findings


def names(findings, table, row):
    """Whether a finding names the row: its seq, "" for the account's own, or a pattern."""
    pattern = "account audit:one" if row == "" else f"account audit:one {row}"
    return any(f["table"] == table and re.fullmatch(pattern, f["row"]) for f in findings)


def checks(findings):
    return {f["check"] for f in findings}


ONE = "0x" + hashlib.sha256(b"audit:one").hexdigest()[:32]
MINE = f"account_id = {ONE}"
ROW = f"id = {ONE}"


def last_entry(o):
    return int(o.sql(f"SELECT MAX(seq) FROM entries WHERE {MINE}")[0][0])


def one(o, text):
    return int(o.sql(text)[0][0])


def test_clean_ledger_is_clean(ledger):
    done = ledger.ctl("audit", "--json")
    report = json.loads(done.stdout)["report"]
    for table, key in (("accounts", "accounts"), ("entries", "entries"), ("grants", "grants"), ("holds", "holds"),
                       ("usages", "usages"), ("transactions", "transactions"), ("requests", "requests")):
        assert report[key] == one(ledger, f"SELECT COUNT(*) FROM {guard.HOLDS if table == 'holds' else table}") > 0
    assert report["findings"] == 0
    assert re.fullmatch("[0-9a-f]{64}", report["head"])


def test_head_is_that_of_all_chains(ledger):
    """So that a copy of the head, kept elsewhere, shows when journals were cut and chained anew."""
    head = bytes(32)
    for account, chain in ledger.sql("SELECT HEX(id), HEX(chain_head) FROM accounts ORDER BY id"):
        head = hashlib.sha256(head + bytes.fromhex(account) + bytes.fromhex(chain)).digest()
    assert json.loads(ledger.ctl("audit", "--json").stdout)["report"]["head"] == head.hex()


def test_one_account(ledger):
    report = json.loads(ledger.ctl("audit", "--account", "audit:one", "--json").stdout)["report"]
    assert report["accounts"] == 1
    assert report["entries"] == one(ledger, f"SELECT COUNT(*) FROM entries WHERE {MINE}")
    assert ledger.ctl("audit", "--account", "audit:none", check=False).returncode == 2


def test_unreachable_database_is_no_clean_ledger(ledger, tmp_path):
    conf = tmp_path / "octroi.conf"
    conf.write_text(f"db_socket = {tmp_path}/none.sock\n")
    assert ledger.ctl("-c", conf, "audit", check=False).returncode == 2


ENTRY_FIELDS = ("kind", "counterpart", "amount_micros", "balance_before_micros", "balance_after_micros", "grant_seq",
                "usage_seq", "transaction_seq", "created_at_us", "record")

# A usage's figures that repeat the answer to its settlement; nobody is charged by them.
ANSWERS = {"balance_micros", "available_micros"}


def columns(table):
    """(type, name) of each column but the key."""
    text = (TOP / "src/ledger/rows/columns.def").read_text()
    lines = text.split(f"#define {table.upper()}_COLUMNS(")[1].split("\n\n")[0]
    rows = re.findall(r"^\t(INT|TEXT|BYTES)\((\w+)(?:, \d+)?, (?!KEY)\w+\)", lines, re.M)
    assert len(rows) > 5
    return rows


@pytest.mark.parametrize("field", ENTRY_FIELDS)
def test_entry_changed(ledger, field):
    change = "CONCAT('x', SUBSTRING(record, 2))" if field == "record" else f"{field} + 1"
    found = find(ledger, f"UPDATE entries SET {field} = {change} WHERE {MINE} AND seq = 3")
    assert names(found, "entries", "seq 3")
    assert "chain" in checks(found)


def test_entry_hash_changed(ledger):
    found = find(ledger, f"UPDATE entries SET hash = 0x{'00' * 32} WHERE {MINE} AND seq = 3")
    assert names(found, "entries", "seq 3") and names(found, "entries", "seq 4")


def test_entry_changed_and_hashed_anew(ledger):
    """A forger who knows how the hash is made still breaks the chain at the next entry."""
    statement, = [s for s in chain_anew(ledger, f"{MINE} AND seq <= 3") if s.endswith("seq = 3")]
    assert ledger.sql(f"SELECT LOWER(HEX(hash)) FROM entries WHERE {MINE} AND seq = 3")[0][0] in statement
    changed, = [s for s in chain_anew(ledger, f"{MINE} AND seq <= 3", {"created_at_us": "created_at_us + (seq = 3)"})
                if s.endswith("seq = 3")]
    found = find(ledger, f"UPDATE entries SET created_at_us = created_at_us + 1 WHERE {MINE} AND seq = 3", changed)
    assert not any(f["check"] == "chain" and f["row"].endswith("seq 3") for f in found)
    assert any(f["check"] == "chain" and f["row"].endswith("seq 4") for f in found)


@pytest.mark.parametrize("which", ["first", "middle", "last"])
def test_entry_removed(ledger, which):
    seq = {"first": 1, "middle": 4, "last": last_entry(ledger)}[which]
    found = find(ledger, f"DELETE FROM entries WHERE {MINE} AND seq = {seq}")
    assert any(f["check"] == "sequence" and f["row"].endswith(f"seq {seq}") for f in found)


def test_journal_removed(ledger):
    found = find(ledger, f"DELETE FROM entries WHERE {MINE}")
    assert any(f["check"] == "sequence" and f["row"].endswith("seq 1") for f in found)


def test_entry_added(ledger):
    seq = last_entry(ledger) + 1
    found = find(ledger, f"INSERT INTO entries SELECT account_id, seq + 1, kind, counterpart, amount_micros,"
                         f" balance_after_micros, balance_after_micros + amount_micros, grant_seq, usage_seq,"
                         f" transaction_seq, created_at_us, hash, record FROM entries WHERE {MINE} AND seq = {seq - 1}")
    assert names(found, "entries", f"seq {seq}")


ACCOUNT_FIELDS = {"balance_micros": "balance", "held_micros": "held", "open_holds": "held", "entry_seq": "sequence",
                  "grant_seq": "grant", "hold_seq": "hold", "unit": None, "mode": None}


@pytest.mark.parametrize("field", ACCOUNT_FIELDS)
def test_account_changed(ledger, field):
    found = find(ledger, f"UPDATE accounts SET {field} = {field} + 2 WHERE {ROW}")
    assert ACCOUNT_FIELDS[field] is None or ACCOUNT_FIELDS[field] in checks(found)


def test_hold_seq_lowered(ledger):
    assert names(find(ledger, f"UPDATE accounts SET hold_seq = hold_seq - 1 WHERE {ROW}"), "holds", r"seq \d+")


@pytest.mark.parametrize("value", [2**63 - 1, -(2**63)])
def test_account_of_absurd_figures(ledger, value):
    """The audit itself is not thrown by any figure."""
    found = find(ledger, f"UPDATE accounts SET balance_micros = {value}, held_micros = {value}, hold_seq = {value},"
                         f" entry_seq = {value}, grant_seq = {value} WHERE {ROW}",
                 f"UPDATE entries SET amount_micros = {value} WHERE {MINE} AND seq = 2",
                 f"UPDATE usages SET cost_micros = {value} WHERE {MINE} AND seq = 1",
                 f"UPDATE grants SET remaining_micros = {value} WHERE {MINE}",
                 f"UPDATE accounts SET current_remaining_micros = {value} WHERE {ROW}")
    assert {"balance", "held", "chain", "cost", "grant"} <= checks(found)


def test_chain_head_changed(ledger):
    assert names(find(ledger, f"UPDATE accounts SET chain_head = 0x{'11' * 32} WHERE {ROW}"), "accounts", "")


@pytest.mark.parametrize("column", ["due_at_us", "holds_due_at_us"])
def test_due_time_changed(ledger, column):
    """The account would not be touched when its grants or holds expire."""
    found = find(ledger, f"UPDATE accounts SET {column} = {2**63 - 1} WHERE {ROW}")
    assert "due" in checks(found)


@pytest.mark.parametrize("change", ["amount_micros = amount_micros + 1", "type = type + 1",
                                    "created_at_us = created_at_us + 1"])
def test_grant_changed(ledger, change):
    seq = one(ledger, f"SELECT current_grant_seq FROM accounts WHERE {ROW}")
    found = find(ledger, f"UPDATE grants SET {change} WHERE {MINE} AND seq = {seq}")
    assert names(found, "grants", f"seq {seq}") and names(found, "accounts", "")


@pytest.mark.parametrize("seq", ["MIN(seq)", "current_grant_seq"])
@pytest.mark.parametrize("change", ["+ 1", "- 1"])
def test_rest_of_a_grant_changed(ledger, seq, change):
    """The account's row has the rest of the current grant; what the row in grants says of that counts for nothing."""
    seq = one(ledger, f"SELECT {seq} FROM grants JOIN accounts ON id = account_id WHERE {MINE} GROUP BY id")
    found = find(ledger, f"UPDATE grants SET remaining_micros = remaining_micros {change} WHERE {MINE} AND seq = {seq}",
                 f"UPDATE accounts SET current_remaining_micros = current_remaining_micros {change}"
                 f" WHERE {ROW} AND current_grant_seq = {seq}")
    assert names(found, "grants", f"seq {seq}")


@pytest.mark.parametrize("change", ["current_type = current_type + 1", "current_priority = current_priority + 1",
                                    "current_expires_at_us = 1", "current_amount_micros = current_amount_micros - 1",
                                    "current_created_at_us = 1", "grants_beside = grants_beside + 1"])
def test_copy_of_the_current_grant_changed(ledger, change):
    assert names(find(ledger, f"UPDATE accounts SET {change} WHERE {ROW}"), "accounts", "")


@pytest.mark.parametrize("seq, beside", [(-1, 0), (-1, 1), (1, 0), (1, 1), (99, 0), (99, 1)])
def test_current_grant_is_another(ledger, seq, beside):
    found = find(ledger, f"UPDATE accounts SET current_grant_seq = {seq}, grants_beside = {beside} WHERE {ROW}")
    assert names(found, "accounts", "") or names(found, "grants", r"seq \d+")


def test_row_of_the_current_grant(ledger):
    """Its rest is old, and counts for nothing as long as there is one: readers look for grants with a rest."""
    row = f"{MINE} AND seq = (SELECT current_grant_seq FROM accounts WHERE {ROW})"
    assert is_clean(ledger, f"UPDATE grants SET remaining_micros = amount_micros WHERE {row}")
    assert names(find(ledger, f"UPDATE grants SET remaining_micros = 0 WHERE {row}"), "accounts", "")


def test_account_without_a_copy(ledger):
    """As an older version leaves one: the rows in grants are true."""
    put = ("UPDATE grants JOIN accounts ON id = account_id AND seq = current_grant_seq"
           " SET remaining_micros = current_remaining_micros")
    assert is_clean(ledger, put, "UPDATE accounts SET current_grant_seq = 0, grants_beside = 0")
    found = find(ledger, put, f"UPDATE accounts SET current_grant_seq = 0 WHERE {ROW}",
                 f"UPDATE grants SET remaining_micros = remaining_micros + 1 WHERE {MINE} AND seq = 2")
    assert names(found, "grants", "seq 2") and "balance" in checks(found)


def test_grants_swapped(ledger):
    """Sums stay as they are; the rows do not."""
    found = find(ledger, f"UPDATE grants SET remaining_micros = remaining_micros + 5, amount_micros = amount_micros + 5"
                         f" WHERE {MINE} AND seq = 1",
                 f"UPDATE accounts SET current_remaining_micros = current_remaining_micros - 5 WHERE {ROW}")
    assert names(found, "grants", "seq 1") and "balance" not in checks(found)


def test_grant_removed(ledger):
    seq = one(ledger, f"SELECT MAX(seq) FROM grants WHERE {MINE}")
    found = find(ledger, f"DELETE FROM grants WHERE {MINE} AND seq = {seq}")
    assert names(found, "entries", r"seq \d+") and "grant" in checks(found)


def test_grant_added(ledger):
    found = find(ledger, f"INSERT INTO grants SELECT account_id, seq + 1, type, priority, expires_at_us, 5, 5,"
                         f" created_at_us, 0 FROM saved.grants WHERE {MINE} ORDER BY seq DESC LIMIT 1",
                 f"UPDATE accounts SET grant_seq = grant_seq + 1, balance_micros = balance_micros + 5 WHERE {ROW}")
    assert names(found, "grants", r"seq \d+") and "balance" in checks(found)


USAGE_CHANGES = ["input_tokens = input_tokens + 1", "output_tokens = output_tokens + 1",
                 "cache_read_tokens = cache_read_tokens + 1", "cache_write_tokens = 1000",
                 "cache_write_1h_tokens = 1000", "cost_micros = cost_micros + 1", "cost_micros = 0",
                 "price_version = price_version + 1", "item = 'gpt-3.5-turbo'", "state = 1", "source = 1",
                 "input_tokens = -1"]


@pytest.mark.parametrize("change", USAGE_CHANGES)
def test_usage_changed(ledger, change):
    assert names(find(ledger, f"UPDATE usages SET {change} WHERE {MINE} AND seq = 1"), "usages", "seq 1")


def test_estimate_changed(ledger):
    """A settlement without figures costs what was reserved."""
    seq = one(ledger, f"SELECT MIN(seq) FROM usages WHERE {MINE} AND settlement = 3")
    found = find(ledger, f"UPDATE usages SET reserved_micros = reserved_micros + 1 WHERE {MINE} AND seq = {seq}")
    assert names(found, "usages", f"seq {seq}")


def test_charge_changed(ledger):
    seq = one(ledger, f"SELECT seq FROM usages WHERE {MINE} AND kind = 1")
    found = find(ledger, f"UPDATE usages SET cost_micros = cost_micros + 1, reserved_micros = reserved_micros + 1"
                         f" WHERE {MINE} AND seq = {seq}")
    assert names(found, "usages", f"seq {seq}")
    assert names(found, "requests", "request_key [0-9a-f]{32}")


@pytest.mark.parametrize("kind,name", [column for column in columns("usages") if column[1] not in ANSWERS])
@pytest.mark.parametrize("state", ["settled", "released"])
def test_any_column_of_a_usage_changed(ledger, state, kind, name):
    """Each use has its member, its object and its time, also where nothing was charged."""
    seq = one(ledger, f"SELECT MIN(seq) FROM usages WHERE {MINE} AND state = {0 if state == 'settled' else 1}")
    change = f"IF({name} = 0, 1, 0)" if kind == "INT" else f"CONCAT({name}, 'x')"
    found = find(ledger, f"UPDATE usages SET {name} = {change} WHERE {MINE} AND seq = {seq}")
    assert names(found, "usages", f"seq {seq}")


@pytest.mark.parametrize("kind,name", columns("transactions"))
def test_any_column_of_a_transaction_changed(ledger, kind, name):
    seq = one(ledger, f"SELECT MIN(seq) FROM transactions WHERE {MINE}")
    change = f"{name} + 1" if kind == "INT" else f"CONCAT({name}, 'x')"
    found = find(ledger, f"UPDATE transactions SET {name} = {change} WHERE {MINE} AND seq = {seq}")
    assert names(found, "transactions", f"seq {seq}")


def test_a_usage_changed_with_its_flag(ledger):
    """A forger who says that the row is none of those that entries record has to explain the entries."""
    found = find(ledger, f"UPDATE usages SET member = 'other', recorded = 0 WHERE {MINE} AND seq = 1")
    assert names(found, "usages", "seq 1")


def test_usages_exchanged(ledger):
    """Two usages of one cost exchange who used them."""
    first, second = [row[0] for row in ledger.sql(f"SELECT seq FROM usages WHERE {MINE} AND cost_micros = 0 ORDER BY seq LIMIT 2")]
    found = find(ledger, f"UPDATE usages SET item = CASE seq WHEN {first} THEN (SELECT item FROM saved.usages WHERE {MINE} AND"
                         f" seq = {second}) ELSE (SELECT item FROM saved.usages WHERE {MINE} AND seq = {first}) END,"
                         f" created_at_us = IF(seq = {first}, created_at_us + 1, created_at_us - 1)"
                         f" WHERE {MINE} AND seq IN ({first}, {second})")
    assert names(found, "usages", f"seq {first}") and names(found, "usages", f"seq {second}")


@pytest.mark.parametrize("change", ["member = 'other'", "item = 'o1'", "created_at_us = 1", "recorded = 0", "metadata = ''",
                                    "reserved_micros = 0"])
def test_octroi_itself_cannot_change_who_used_what(ledger, change):
    """Its database user has no right to."""
    conf = dict(line.split(" = ", 1) for line in pathlib.Path(ledger.env["OCTROI_CONF"]).read_text().splitlines() if " = " in line)
    done = subprocess.run(["mariadb", "--no-defaults", "--socket", ledger.env["OCTROI_DB_SOCKET"], "-u", conf["db_user"],
                           conf["db_name"]], input=f"UPDATE usages SET {change} WHERE {MINE} AND seq = 1", text=True, timeout=60,
                          env={"PATH": os.environ["PATH"], "MYSQL_PWD": conf["db_password"]}, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1 and "UPDATE command denied" in done.stderr, done


def test_usage_removed(ledger):
    found = find(ledger, f"DELETE FROM usages WHERE {MINE} AND seq = 1")
    assert any(f["table"] == "usages" and "lost" in f["detail"] and f["row"].endswith("seq 1") for f in found)


def test_usage_made_up(ledger):
    found = find(ledger, f"INSERT INTO usages (account_id, seq, state) VALUES ({ONE}, 999, 1)")
    assert names(found, "usages", "seq 999")


def test_costs_swapped(ledger):
    """Two usages whose costs were exchanged, tokens and all: only the journal tells."""
    found = find(ledger, f"UPDATE usages u JOIN saved.usages s ON s.account_id = u.account_id AND s.seq = 3 - u.seq"
                         f" SET u.cost_micros = s.cost_micros, u.input_tokens = s.input_tokens,"
                         f" u.output_tokens = s.output_tokens WHERE u.{MINE} AND u.seq IN (1, 2)")
    assert names(found, "usages", "seq 1") and names(found, "usages", "seq 2")


def test_price_of_a_settled_hold_changed(ledger):
    version = one(ledger, f"SELECT price_version FROM usages WHERE {MINE} AND seq = 1")
    ledger.sql(f"UPDATE prices SET price_lines = REPLACE(price_lines, ',25,7]', ',26,7]') WHERE item = 'gpt-4o'"
               f" AND version = {version}")
    try:
        done = ledger.ctl("audit", "--account", "audit:one", "--json", check=False)
    finally:
        ledger.sql("DELETE FROM prices; INSERT INTO prices SELECT * FROM saved.prices")
    found = json.loads(done.stdout)["findings"]
    assert done.returncode == 1 and names(found, "usages", "seq 1") and checks(found) == {"cost"}


def test_terms_of_a_settled_hold_changed(ledger):
    ledger.sql("UPDATE price_versions SET margin_ppm = margin_ppm + 1000")
    try:
        done = ledger.ctl("audit", "--account", "audit:one", "--json", check=False)
    finally:
        ledger.sql("DELETE FROM price_versions; INSERT INTO price_versions SELECT * FROM saved.price_versions")
    found = json.loads(done.stdout)["findings"]
    assert done.returncode == 1 and names(found, "usages", "seq 1")


def test_hold_changed(ledger):
    seq = one(ledger, f"SELECT MIN(seq) FROM {guard.HOLDS} WHERE {MINE}")
    found = find(ledger, guard.change_holds("reserved_micros", "{0} + 1", ONE, seq))
    assert names(found, "holds", f"seq {seq}") and "held" in checks(found)


def test_hold_removed(ledger):
    seq = one(ledger, f"SELECT MIN(seq) FROM {guard.HOLDS} WHERE {MINE}")
    found = find(ledger, f"DELETE FROM holds WHERE {MINE} AND seq = {seq};" + ";".join(
        f"UPDATE accounts SET {place} = '' WHERE {ROW} AND {place} LIKE '{seq}\t%'" for place in guard.PLACES))
    assert any("lost" in f["detail"] and f["row"].endswith(f"seq {seq}") for f in found)


@pytest.mark.parametrize("change, detail", [
    ("hold_2 = '7'", "cannot be read"), ("hold_2 = 'x\t'", "cannot be read"), ("hold_3 = ' 1\t'", "cannot be read"),
    ("hold_1 = IF(hold_1 <> '', hold_1, IF(hold_2 <> '', hold_2, hold_3)), hold_2 = hold_1", "twice"),
    ("open_holds = 0", "open_holds is less")])
def test_hold_in_the_account_changed(ledger, change, detail):
    found = find(ledger, f"UPDATE accounts SET {change} WHERE {ROW}")
    assert any(detail in f["detail"] and f["table"] == "accounts" and "audit:one" in f["row"] for f in found), found


def test_hold_in_both_places(ledger):
    seq = one(ledger, f"SELECT MIN(seq) FROM {guard.HOLDS} WHERE {MINE}")
    found = find(ledger, f"INSERT INTO holds (account_id, seq, expires_at_us) VALUES ({ONE}, {seq}, {2**62})")
    assert "held" in checks(found)


def test_hold_ended_and_open(ledger):
    found = find(ledger, f"INSERT INTO holds (account_id, seq, expires_at_us) VALUES ({ONE}, 1, {2**62})")
    assert names(found, "holds", "seq 1")


@pytest.mark.parametrize("change", ["amount_micros = amount_micros + 1", "type = 2", "type = 99",
                                    "balance_before_micros = balance_before_micros + 1",
                                    "balance_after_micros = balance_after_micros + 1",
                                    "created_at_us = created_at_us + 1"])
def test_transaction_changed(ledger, change):
    seq = one(ledger, f"SELECT MAX(seq) FROM transactions WHERE {MINE}")
    found = find(ledger, f"UPDATE transactions SET {change} WHERE {MINE} AND seq = {seq}")
    assert names(found, "transactions", f"seq {seq}")


def test_transaction_removed(ledger):
    seq = one(ledger, f"SELECT MAX(seq) FROM transactions WHERE {MINE}")
    found = find(ledger, f"DELETE FROM transactions WHERE {MINE} AND seq = {seq}")
    assert names(found, "entries", f"seq {seq}") and names(found, "requests", "request_key [0-9a-f]{32}")


def test_transaction_made_up(ledger):
    found = find(ledger, f"INSERT INTO transactions (account_id, seq, amount_micros) VALUES ({ONE}, 999, 7)")
    assert names(found, "transactions", "seq 999")


def test_request_points_elsewhere(ledger):
    found = find(ledger, f"UPDATE requests SET seq = 999 WHERE {MINE}")
    assert names(found, "requests", "request_key [0-9a-f]{32}")


def test_account_removed(ledger):
    """Its rows are still there, and the audit says whose they were."""
    try:
        ledger.sql(f"INSERT INTO holds (account_id, seq, expires_at_us) VALUES ({ONE}, 998, {2**62});"
                   f" DELETE FROM accounts WHERE {ROW}")
        done = ledger.ctl("audit", "--json", check=False)
    finally:
        for table in ("holds", "accounts"):
            ledger.sql(f"DELETE FROM {table}; INSERT INTO {table} SELECT * FROM saved.{table}")
    found = json.loads(done.stdout)["findings"]
    assert done.returncode == 1
    assert {f["table"] for f in found} >= {"entries", "grants", "holds", "usages", "transactions", "requests"}
    assert all(f["check"] == "orphan" and ONE in f["row"] for f in found)


def test_account_renamed(ledger):
    found_row = f"UPDATE accounts SET external_id = 'audit:one-other' WHERE {ROW}"
    assert "account" in checks(find(ledger, found_row))


# ---- heads that were kept elsewhere ------------------------------------------------------------------------


@pytest.fixture
def heads(ledger, tmp_path):
    path = tmp_path / "heads"
    done = ledger.ctl("audit", "--heads", path)
    assert f"{path} has today's heads" in done.stdout and path.stat().st_mode & 0o777 == 0o600
    return path


def against(o, heads, *changes):
    """Findings of a comparison after the changes, which are undone."""
    try:
        for change in changes:
            o.sql(change)
        done = o.ctl("audit", "--against", heads, "--json", check=False)
    finally:
        for table in TABLES if changes else ():
            o.sql(f"DELETE FROM {table}; INSERT INTO {table} SELECT * FROM saved.{table}")
    answer = json.loads(done.stdout)
    assert (done.returncode == 1) == bool(answer["findings"]) and done.returncode in (0, 1), done
    return answer["findings"], answer["report"]


def test_heads_are_found_again(ledger, heads):
    found, report = against(ledger, heads)
    assert not found and report["headsCompared"] == report["accounts"] >= 3
    text = heads.read_text().splitlines()
    assert text[0] == "octroi heads 1" and len(text) == report["accounts"] + 2


def test_heads_hold_while_the_ledger_lives(ledger, tmp_path):
    """The head of one day does not change by entries that come later."""
    with Octroi("nginx", audit=False) as o:
        live(o, "heads:a")
        o.account("heads:none")
        path = tmp_path / "heads"
        o.ctl("audit", "--heads", path)
        live(o, "heads:b")
        o.fund("heads:a", 5)
        found, report = against(o, path)
        assert not found and report["headsCompared"] == 2 < report["accounts"]
        o.ctl("audit", "--against", path, "--heads", path)
        assert against(o, path)[1]["headsCompared"] == 3


def test_a_journal_cut_with_balances_put_right(ledger, heads):
    """By root, who leaves a ledger in which nothing contradicts anything: the audit alone is clean."""
    cut = [f"DELETE FROM {table} WHERE {MINE}" for table in ("usages", "holds", "requests", "transactions", "grants", "entries")]
    nothing = (f"UPDATE accounts SET balance_micros = 0, held_micros = 0, open_holds = 0, hold_seq = 0, grant_seq = 0,"
               f" hold_1 = '', hold_2 = '', hold_3 = '', entry_seq = 0, chain_head = 0x{'00' * 32}, current_grant_seq = -1, grants_beside = 0 WHERE {ROW}")
    try:
        for change in (*cut, nothing):
            ledger.sql(change)
        assert ledger.ctl("audit", "--account", "audit:one").returncode == 0
        done = ledger.ctl("audit", "--against", heads, "--json", check=False)
    finally:
        for table in TABLES:
            ledger.sql(f"DELETE FROM {table}; INSERT INTO {table} SELECT * FROM saved.{table}")
    found = json.loads(done.stdout)["findings"]
    assert done.returncode == 1 and checks(found) == {"head"}
    said = " ".join(f["detail"] for f in found)
    assert all(name in said for name in ("entry_seq is 0", "hold_seq is 0", "grant_seq is 0", "is missing"))


def test_a_journal_written_anew(ledger, heads):
    """As long as before, each hash right: only the hash of then tells."""
    changes = chain_anew(ledger, MINE, {"created_at_us": "created_at_us + 1"})
    changes.insert(0, f"UPDATE entries SET created_at_us = created_at_us + 1 WHERE {MINE}")
    found, _ = against(ledger, heads, *changes)
    assert "chain" not in checks(found)
    assert [f["row"] for f in found if f["check"] == "head"] == [f"account audit:one seq {last_entry(ledger)}"]


def test_an_account_that_is_gone(ledger, heads):
    found, _ = against(ledger, heads, f"DELETE FROM accounts WHERE {ROW}")
    assert any(f["check"] == "head" and f["row"] == "account id 0x" + ONE[2:] for f in found)


def test_no_heads_of_a_ledger_that_is_not_clean(ledger, heads, tmp_path):
    was = heads.read_text()
    try:
        ledger.sql(f"UPDATE accounts SET balance_micros = balance_micros + 1 WHERE {ROW}")
        done = ledger.ctl("audit", "--heads", heads, check=False)
    finally:
        ledger.sql("DELETE FROM accounts; INSERT INTO accounts SELECT * FROM saved.accounts")
    assert done.returncode == 1 and f"{heads} was not written" in done.stdout
    assert heads.read_text() == was and [path.name for path in tmp_path.iterdir()] == ["heads"]


def spoil(text, how):
    lines = text.splitlines(keepends=True)
    if how == "cut off":
        return "".join(lines[:-1])
    if how == "a line less":
        return "".join(lines[:1] + lines[2:])
    if how == "a digit":
        return text.replace(lines[1], lines[1].replace(" ", " 9", 1))
    if how == "more":
        return text + lines[1]
    if how == "exchanged":
        return "".join([lines[0], lines[2], lines[1], *lines[3:]])
    if how == "long":
        return lines[0] + "0" * 5000 + "\n"
    return {"empty": "", "another": "octroi heads 2\n", "letters": lines[0] + "zz\n"}[how]


@pytest.mark.parametrize("how", ["cut off", "a line less", "a digit", "more", "exchanged", "long", "empty", "another", "letters"])
def test_a_file_of_heads_that_is_not_whole(ledger, heads, how):
    heads.write_text(spoil(heads.read_text(), how))
    done = ledger.ctl("audit", "--against", heads, check=False)
    assert done.returncode == 2 and re.search(r"heads: line \d+: ", done.stderr), done


def test_heads_are_of_all_accounts(ledger, heads, tmp_path):
    assert "without --account" in ledger.ctl("audit", "--account", "audit:one", "--against", heads, check=False).stderr
    for option, path in (("--against", tmp_path / "none"), ("--heads", tmp_path / "no" / "heads")):
        done = ledger.ctl("audit", option, path, check=False)
        assert done.returncode == 2 and "No such file" in done.stderr


def test_everything_was_put_back(ledger):
    ledger.audit()


def test_audit_of_a_living_ledger(ledger):
    """One snapshot: whatever is under way, the audit sees a ledger that adds up."""
    stop = threading.Event()
    failed = []

    def work(account):
        while not stop.is_set():
            held = ledger.post("/api/guard/authorize", {"account": account, "model": "gpt-4o"})
            if held.status == 402:
                ledger.fund(account, 1_000_000)
            elif held.status != 200 or ledger.post("/api/guard/settle", {
                    "hold": held.json["hold"], "inputTokens": 100, "outputTokens": 3000}).status != 200:
                failed.append(held)

    names = [ledger.account(funds_micros=100_000) for _ in range(3)]
    threads = [threading.Thread(target=work, args=(name,)) for name in names * 2]
    for thread in threads:
        thread.start()
    try:
        entries = [json.loads(ledger.ctl("audit", "--json").stdout)["report"]["entries"] for _ in range(10)]
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failed
    assert entries == sorted(entries) and entries[-1] > entries[0] + 10  # it did live
    ledger.audit()

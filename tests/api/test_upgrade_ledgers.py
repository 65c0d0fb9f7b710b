"""Ledgers that the version before wrote are upgraded, audit clean, go on, and audit clean again.

ledgers/<schema version>_<content>.sql.gz were dumped from the databases of that version's own tests: one INSERT a row,
texts and keys in hexadecimal.
"""

import gzip
import pathlib
import urllib.parse

import pytest

from octroi import Octroi, wait_until
from timetravel import Clock

HERE = pathlib.Path(__file__).resolve().parent
SQL = HERE.parents[1] / "sql"
LEDGERS = sorted((HERE / "ledgers").glob("*.sql.gz"))
NEWEST = max(int(path.name[:3]) for path in SQL.glob("[0-9]*.sql"))
KEPT = ("api_keys",)  # the keys of the quickstart, so that the tests can call


def load(o, path):
    """The database as that version left it: its migrations, then its rows."""
    version = int(path.name.split("_")[0])
    o.sql("".join(f"DROP TABLE {table};" for table, in o.sql("SHOW TABLES") if table not in KEPT))
    for file in sorted(SQL.glob("[0-9]*.sql")):
        if int(file.name[:3]) <= version:
            o.sql(file.read_text())
    # In one transaction: the sweeper of the running octroi must not meet an account without its holds.
    o.sql("BEGIN;\n" + gzip.decompress(path.read_bytes()).decode("ascii") + "COMMIT;")
    return version


def upgrade(o):
    o.ctl("init", "--sql", SQL, "--admin-user", "root", "--grants")
    wait_until(lambda: o.call("GET", "/readyz", key=None).status == 200, 10, "ready")


@pytest.fixture(scope="module")
def old():
    with Octroi("nginx", settings={"token_secret": "a token secret that only this test uses, 2b7e"}, audit=False) as o:
        yield o


@pytest.mark.parametrize("path", LEDGERS, ids=lambda path: path.name.split(".")[0])
def test_a_ledger_of_the_version_before(old, path):
    assert load(old, path) < NEWEST
    assert old.call("GET", "/readyz", key=None).status == 503
    balances = dict(old.sql("SELECT external_id, balance_micros FROM accounts"))
    assert balances
    # Some were dumped from tests that travel: the clock must not go back behind the rows.
    (last,), = old.sql("SELECT GREATEST((SELECT MAX(created_at_us) FROM entries),"
                       " (SELECT COALESCE(MAX(ended_at_us), 0) FROM usages), UNIX_TIMESTAMP(NOW()) * 1000000)")
    Clock(old).set_us(int(float(last)) + 10**6)
    upgrade(old)
    assert dict(old.sql("SELECT external_id, balance_micros FROM accounts")) == balances
    old.audit()

    for account in balances:
        shown = old.get("/api/credits?account=" + urllib.parse.quote(account, safe=""))
        assert shown.status == 200, shown
        booked = old.post(f"/api/accounts/{urllib.parse.quote(account, safe='')}/transactions", key="admin", json={
            "type": "ADJUSTMENT", "amountMicros": 50_000_000, "description": "after", "requestId": "after-the-upgrade"})
        assert booked.status == 200, booked
        old.post("/api/guard/charge", {"account": account, "action": "debrief", "requestId": "charge-after"})
        held = old.post("/api/guard/authorize", {"account": account, "model": "gpt-4o", "requestId": "hold-after"})
        if held.status == 200:
            settled = old.post("/api/guard/settle", {"hold": held.json["hold"], "inputTokens": 10, "outputTokens": 10})
            assert settled.status == 200, settled
    assert old.sql(f"SELECT COUNT(*) > 0 FROM usages WHERE created_at_us > {last}") == [("1",)]
    old.audit()

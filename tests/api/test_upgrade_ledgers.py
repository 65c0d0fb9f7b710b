"""Ledgers that the version before wrote are upgraded, audit clean, go on, and audit clean again.

ledgers/<schema version>_<content>.sql.gz were dumped from the databases of that version's own tests: one INSERT a row,
texts and keys in hexadecimal.
"""

import base64
import fractions
import gzip
import itertools
import json
import math
import pathlib
import re
import threading
import time
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
    # A few ledgers were dumped from tests that travel: the clock must not go back behind the rows.
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


def pinned_cost(tiers, terms, credit, tokens):
    """As version 3 charged: five prices in pico-dollars above the highest threshold that the input exceeds."""
    input, output = tokens
    _, new, *_, out = [tier for tier in tiers if tier[0] == 0 or input > tier[0]][-1]
    margin, rate, credit_value = terms
    micros = fractions.Fraction(input * new + output * out, 10**6) * margin / rate
    return math.ceil(micros / credit_value * 10**6 if credit else micros)


def test_holds_of_before_keep_their_price(old):
    """Each open hold settles at the tiers of the version that it was given, whatever has become of its model since."""
    [path] = [path for path in LEDGERS if "guard" in path.name]
    load(old, path)
    tiers = {(item, version): json.loads(text) for item, version, text in
             old.sql("SELECT item, version, tiers FROM prices WHERE kind = 0")}
    terms = {version: tuple(map(int, rest)) for version, *rest in
             old.sql("SELECT id, margin_ppm, rate_ppm, credit_value_ppm FROM price_versions")}
    holds = old.sql("SELECT HEX(h.account_id), h.seq, h.item, h.price_version, a.unit FROM holds h"
                    " JOIN accounts a ON a.id = h.account_id WHERE h.kind = 0 AND h.source = 0")
    assert len(holds) >= 10 and len({item for _, _, item, _, _ in holds}) >= 1
    upgrade(old)
    for item in {item for item, _ in tiers}:
        old.ctl("price", "set", item, "--provider", "openai", "--line", "inputTokens=0.5", "--line", "outputTokens=0.5")
    for i, (key, seq, item, version, unit) in enumerate(holds):
        hold = base64.urlsafe_b64encode(bytes.fromhex(key) + int(seq).to_bytes(8, "big")).decode().rstrip("=")
        tokens = (1000 + i, 7 * i) if i % 2 else (200_001 + i, 10)
        said = old.post("/api/guard/settle", {"hold": hold, "inputTokens": tokens[0], "outputTokens": tokens[1]})
        assert said.status == 200, said
        assert said.json["costMicros"] == pinned_cost(tiers[item, version], terms[version], unit == "1", tokens), hold
    old.audit()


# ---- while requests run --------------------------------------------------------------------------------------


def spend(o, accounts, stop, wrong, settled):
    """Holds and settlements until told to stop; the answers that may not be, and what was acknowledged."""
    for turn in itertools.count():
        if stop.is_set():
            o.disconnect()
            return
        account = accounts[turn % len(accounts)]
        held = o.post("/api/guard/authorize", {"account": account, "model": "gpt-4o", "maxOutputTokens": 10})
        if held.status not in (200, 402, 403, 429, 503):
            wrong.append(held)
        if held.status != 200:
            continue
        body = {"hold": held.json["hold"], "inputTokens": 10, "outputTokens": 10}
        deadline = time.monotonic() + 60
        answer = o.post("/api/guard/settle", body)
        while answer.status == 503 and time.monotonic() < deadline:
            answer = o.post("/api/guard/settle", body)
        if answer.status == 200:
            settled.append((held.json["hold"], answer.json["costMicros"]))
        else:
            wrong.append(answer)


def test_requests_while_it_is_upgraded(old):
    """Each is served or refused with 503, and whatever was acknowledged is in the ledger, once."""
    [path] = [path for path in LEDGERS if "guard" in path.name]
    load(old, path)
    accounts = [name for name, in old.sql("SELECT external_id FROM accounts WHERE balance_micros > 1000000 AND status = 0"
                                          " ORDER BY id LIMIT 20")]
    assert len(accounts) > 5
    stop, wrong, settled = threading.Event(), [], []
    threads = [threading.Thread(target=spend, args=(old, accounts[n:] + accounts[:n], stop, wrong, settled))
               for n in range(6)]
    for thread in threads:
        thread.start()
    try:
        refused = old.post("/api/guard/authorize", {"account": accounts[0], "model": "gpt-4o"})
        assert refused.status == 503, refused
        assert not settled
        upgrade(old)
        wait_until(lambda: len(settled) > 200 or wrong, 60, "service after the upgrade")
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    assert not wrong, wrong[:3]
    costs = dict(settled)
    assert len(costs) == len(settled)
    old.audit()
    for hold, cost in settled[:50]:
        shown = old.get(f"/api/credits/usages/{hold}?account={urllib.parse.quote(account_of(old, hold), safe='')}")
        assert shown.status == 200 and shown.json["costMicros"] == cost, shown


def account_of(o, hold):
    """The account of a public name: its first sixteen bytes (sql/README.md)."""
    key = base64.urlsafe_b64decode(hold + "=" * (-len(hold) % 4))[:16]
    return o.sql(f"SELECT external_id FROM accounts WHERE id = 0x{key.hex()}")[0][0]


def checksums(o):
    return dict(o.sql("CHECKSUM TABLE " + ", ".join(sorted(name for name, in o.sql("SHOW TABLES")))))


@pytest.mark.parametrize("done", [0, 3, 9])
def test_a_failed_upgrade_is_backed_out(old, done):
    """The backup of before is put back, to the last row, and the upgrade works the next time."""
    load(old, LEDGERS[0])
    before = checksums(old)
    dump = old.dir / f"before-{done}.sql"
    said = old.ctl("backup", dump)
    assert "no audit, no heads" in said.stderr
    text = re.sub(r"^--.*$", "", (SQL / "004_paid_periods.sql").read_text(), flags=re.M)
    for statement in [statement for statement in text.split(";") if statement.strip()][:done]:
        old.sql(statement)
    assert done == 0 or checksums(old).keys() != before.keys() or checksums(old) != before
    old.sql("".join(f"DROP TABLE {table};" for table, in old.sql("SHOW TABLES")))
    said = old.ctl("restore", dump)
    assert "the dump has schema version 3" in said.stdout
    assert checksums(old) == before
    upgrade(old)
    old.audit()

"""That the added things work, in a copy of the sources that has them (test_additions.py)."""

import subprocess
import sys
import urllib.parse

import pytest

sys.path.insert(0, "tests/lib")  # the copy's

import guard  # noqa: E402
from contract import Contract  # noqa: E402
from octroi import Octroi, build_dir  # noqa: E402

FUNDS = 10_000_000


@pytest.fixture(scope="module")
def o():
    with Octroi("nginx", settings={"shelf_size": "42"}) as octroi:
        octroi.sql("SET GLOBAL log_output = 'TABLE'; SET GLOBAL general_log = ON")
        yield octroi


def sent(o, pattern):
    """Whether the database was sent a statement like that."""
    return o.sql("SELECT COUNT(*) > 0 FROM mysql.general_log WHERE CONVERT(argument USING utf8mb4)"
                 f" LIKE '{pattern}' AND argument NOT LIKE '%general_log%'") == [("1",)]


def extend(o, account, **fields):
    """A refusal of this has the added outcome: 4242 tokens of output."""
    hold = guard.hold(o, account)
    return o.call("POST", "/api/guard/extend", json={"hold": hold, **fields}, key="guard",
                  headers={"Accept-Language": "fr"}), hold


def test_setting(o, tmp_path):
    assert o.metric("octroi_shelf_size") == 42
    conf = tmp_path / "octroi.conf"
    conf.write_text("shelf_size = 100\n")
    refused = subprocess.run([build_dir() / "octroi", "-t", "-c", conf], stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, env={"PATH": "/usr/bin:/bin"}, check=False)
    assert refused.returncode != 0 and "shelf_size" in refused.stdout


def test_column(o):
    guard.hold(o, o.account(funds_micros=FUNDS))
    assert sent(o, "%SELECT id,%,shelf_count FROM accounts%")
    assert sent(o, "%INSERT INTO accounts(%,shelf_count)%")
    assert sent(o, "%INSERT INTO accounts(%shelf_count=VALUES(shelf_count)%")


def test_column_of_usages(o):
    guard.settle(o, guard.hold(o, o.account(funds_micros=FUNDS)))
    assert sent(o, "%INSERT INTO usages(%,shelf_number)%")


def test_table_of_named_rows(o):
    answer, _ = extend(o, o.account(funds_micros=FUNDS))
    assert answer.status == 200, answer
    assert sent(o, "%SELECT account_id,books FROM shelves %")


def test_table_of_all_rows(o):
    account = o.account(funds_micros=FUNDS)
    o.sql(f"INSERT INTO labels VALUES ({guard.key_of(account)}, 1, 'é'), ({guard.key_of(account)}, 2, 'b')")
    guard.hold(o, account)
    assert sent(o, "%SELECT account_id,seq,label FROM labels %")


def test_outcome_of_a_command(o):
    answer, hold = extend(o, o.account(funds_micros=FUNDS), maxOutputTokens=4242)
    assert (answer.status, answer.json["error"]) == (409, "SHELF_FULL")
    assert answer.json["message"] == "Cette étagère est pleine."
    answer = o.post("/api/guard/extend", {"hold": hold, "maxOutputTokens": 4242})
    assert answer.json["message"] == "This shelf is full."


def test_outcome_of_a_handler(o):
    path = "/api/accounts/" + urllib.parse.quote("shelf:closed", safe="")
    for language, message in (("fr", "Cette étagère est fermée."), ("en", "This shelf is closed.")):
        answer = o.get(path, headers={"Accept-Language": language})
        assert (answer.status, answer.json["error"], answer.json["message"]) == (404, "SHELF_CLOSED", message)
        Contract().hold(answer, "GET", "/api/accounts/{account}")


def test_route(o):
    answer = Contract().hold(o.get("/api/shelf?account=a", key="app", public=True), "GET", "/api/shelf")
    assert (answer.status, answer.json) == (200, {"books": 3})
    assert o.get("/api/shelf?account=a", key=None).status == 401

"""A database of an earlier schema version is brought up to date, also when the migration was interrupted after any
of its statements, and octroi does not serve before that."""

import pathlib
import re

import pytest

from octroi import Octroi, wait_until

SQL = pathlib.Path(__file__).resolve().parents[2] / "sql"


def statements(path):
    text = re.sub(r"^--.*$", "", path.read_text(), flags=re.M)
    return [statement.strip() for statement in text.split(";") if statement.strip()]


NEW = statements(SQL / "002_money_in.sql")


def tables(o):
    return {row[0] for row in o.sql("SHOW TABLES")}


@pytest.fixture(scope="module")
def old():
    """octroi on a database of version 1 that has moved money."""
    with Octroi("nginx") as o:
        o.account("kept", funds_micros=5_000_000)
        yield o


def downgrade(o):
    for name in re.findall(r"CREATE TABLE IF NOT EXISTS (\w+)", (SQL / "002_money_in.sql").read_text()):
        o.sql(f"DROP TABLE IF EXISTS {name}")
    o.sql("DELETE FROM schema_versions WHERE version = 2")


@pytest.mark.parametrize("done", range(0, len(NEW), 3))
def test_upgrade_after_an_interruption(old, done):
    downgrade(old)
    for statement in NEW[:done]:
        old.sql(statement)
    assert old.call("GET", "/readyz", key=None).status == 503
    upgraded = old.ctl("init", "--sql", SQL, "--admin-user", "root", "--grants")
    assert "2" in upgraded.stdout
    assert old.sql("SELECT MAX(version) FROM schema_versions") == [("2",)]
    wait_until(lambda: old.call("GET", "/readyz", key=None).status == 200, 10, "ready")
    assert old.balance("kept")[0] == 5_000_000
    old.audit()

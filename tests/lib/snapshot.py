"""The whole database as a checksum of each table: to show that nothing was changed."""

import guard
from octroi import wait_until

NOW_US = "CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)"


def let_expire(o):
    """Ends the holds that earlier tests have left open, or one might fall due between two snapshots."""
    o.sql("BEGIN; SELECT 1 FROM accounts WHERE open_holds > 0 FOR UPDATE;"
          f"{guard.change_holds('expires_at_us', f'LEAST({{0}}, {NOW_US})')};"
          f"UPDATE accounts SET holds_due_at_us = LEAST(holds_due_at_us, {NOW_US}) WHERE open_holds > 0; COMMIT")

    def ended():
        o.ctl("tick")
        return o.sql(f"SELECT COUNT(*) FROM {guard.HOLDS}") == [("0",)]
    wait_until(ended, 60, "the end of all holds")


def snapshot(o):
    """{table: checksum} of octroi's database."""
    tables = [name for (name,) in o.sql("SHOW TABLES")]
    assert "entries" in tables and "accounts" in tables, tables
    rows = o.sql("CHECKSUM TABLE " + ",".join(tables) + " EXTENDED")
    found = {name.split(".")[-1]: value for name, value in rows}
    assert set(found) == set(tables) and None not in found.values(), rows
    return found


def changes(before, after):
    """The tables that differ."""
    return sorted(table for table in before | after if before.get(table) != after.get(table))

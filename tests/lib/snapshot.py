"""What the whole database holds, as a checksum of each table: to show that nothing was changed."""


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

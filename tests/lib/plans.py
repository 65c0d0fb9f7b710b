"""Plans, as rows of the database."""


def add(o, name, **fields):
    """A plan, or a new version of it, in a price version of its own; its name.  Fields are columns of plans."""
    row = {"unit": 1, "scope": 0, "actions": "{}", "models": "[]", **fields}
    # In one transaction: octroi may read the book in between, and reads it again for a newer version alone.
    o.sql("START TRANSACTION; INSERT INTO price_versions (id, starts_at_us, margin_ppm, rate_ppm, credit_value_ppm, note, created_at_us)"
          " SELECT id + 1, starts_at_us, margin_ppm, rate_ppm, credit_value_ppm, 'plan', created_at_us FROM price_versions"
          " ORDER BY id DESC LIMIT 1;"
          f"INSERT INTO plans (name, version, {', '.join(row)}) SELECT '{name}', MAX(id), "
          + ", ".join(repr(value) for value in row.values()) + " FROM price_versions; COMMIT")
    return name

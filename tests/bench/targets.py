"""Targets of octroi, and whether what was measured reaches them."""

NOT_MEASURED = "not measured"
GROWN_ENTRIES, GROWN_ACCOUNTS = 10_000_000, 1_000_000
MEMORY_REQUESTS = 2_000_000
PAGES = 1_000


def _guard(data, side, connections, one):
    """The row of guard.json, KeyError when there is none."""
    for row in data["guard"]["rows"]:
        if row["side"] == side and row["connections"] == connections and (row["accounts"] == 1) == one:
            return row
    raise KeyError(side)


def _ratio(side, connections, one, figure):
    def find(data):
        value = _guard(data, side, connections, one)[figure]
        if value is None:
            raise KeyError(figure)
        return value

    return find


def _mariadb_us(data):
    return _guard(data, "octroi", 64, False)["cpu_us"]["mariadbd"]


def _condition(data, name):
    """The row of conditions.json, KeyError when there is none."""
    for row in data["conditions"]["rows"]:
        if row["side"] == name and row["connections"] == 64:
            return row
    raise KeyError(name)


def _p99_to_null(one):
    return lambda data: _guard(data, "octroi", 64, one)["p99_ms"] / _guard(data, "null", 64, False)["p99_ms"]


def _authorize_beyond_null(data):
    found = data["one-connection"]
    asked = {name: found["sides"][name]["authorize"]["p50_us"] for name in ("octroi", "null")}
    return (asked["octroi"] - asked["null"] - found["fdatasync_us"]) / 1000


def _credits(data):
    return next(row["to_null"] for row in data["credits"]["rows"] if row["side"] == "octroi" and row["to_null"] is not None)


def _grown(data):
    """growth.json, KeyError when that ledger was no large one."""
    found = data["growth"]
    if found["rows"]["entries"] < GROWN_ENTRIES or found["rows"]["accounts"] < GROWN_ACCOUNTS:
        raise KeyError("rows")
    return found


def _least_of_growth(data):
    return min(figure["ratio"] for figure in _grown(data)["figures"])


def _depth(data):
    pages = _grown(data)["cursors"]
    return pages["deep_us"] / pages["first_us"]


def _memory_growth(data):
    """Additions after the first tenth, as a share."""
    samples = data["memory"]["samples"]
    if samples[-1]["requests"] < MEMORY_REQUESTS:
        raise KeyError("samples")
    return samples[-1]["kib"] / samples[len(samples) // 10]["kib"] - 1


def _beside_pages(data):
    found = data["pages"]["rows"]
    if found[-1]["pages"] < PAGES:
        raise KeyError("pages")
    return min(row["ratio"] for row in found)


# Figure, least or most, bound, how it is written, where it is found.
TARGETS = (
    ("64 connections, many accounts, to null", "least", 0.60, "{:.2f}", _ratio("octroi", 64, False, "to_null")),
    ("64 connections, one account, to null", "least", 0.65, "{:.2f}", _ratio("octroi", 64, True, "to_null")),
    ("256 connections, many accounts, to null", "least", 0.65, "{:.2f}", _ratio("octroi", 256, False, "to_null")),
    ("256 connections, one account, to null", "least", 0.75, "{:.2f}", _ratio("octroi", 256, True, "to_null")),
    ("16 connections, many accounts, to null", "least", 0.30, "{:.2f}", _ratio("octroi", 16, False, "to_null")),
    ("16 connections, one account, to null", "least", 0.33, "{:.2f}", _ratio("octroi", 16, True, "to_null")),
    ("MariaDB's processor time a request, 64 connections, many accounts", "most", 25, "{:.0f} µs", _mariadb_us),
    ("the same with request ids", "most", 30, "{:.0f} µs", lambda data: _condition(data, "with request ids")["cpu_us"]["mariadbd"]),
    ("accounts last used an hour ago, to accounts in use", "least", 0.95, "{:.2f}", lambda data: _condition(data, "an hour later")["ratio"]),
    ("64 connections, many accounts, to PHP", "least", 5, "{:.1f}", _ratio("octroi", 64, False, "to_php")),
    ("64 connections, one account, to PHP", "least", 8, "{:.1f}", _ratio("octroi", 64, True, "to_php")),
    ("16 connections, many accounts, to PHP", "least", 2.5, "{:.1f}", _ratio("octroi", 16, False, "to_php")),
    ("16 connections, one account, to PHP", "least", 2.5, "{:.1f}", _ratio("octroi", 16, True, "to_php")),
    ("batches of one, 64 connections, many accounts, to PHP", "least", 1, "{:.2f}", _ratio("one by one", 64, False, "to_php")),
    ("batches of one, 64 connections, one account, to PHP", "least", 1, "{:.2f}", _ratio("one by one", 64, True, "to_php")),
    ("p99 at 64 connections, many accounts, to that of null", "most", 3, "{:.1f}", _p99_to_null(False)),
    ("p99 at 64 connections, one account, to that of null", "most", 3, "{:.1f}", _p99_to_null(True)),
    ("one connection: authorize beyond null and an fdatasync", "most", 1.5, "{:.2f} ms", _authorize_beyond_null),
    ("GET /api/credits, 64 connections, to null", "least", 0.39, "{:.2f}", _credits),
    ("the least figure of a grown ledger, to a small one's", "least", 0.85, "{:.2f}", _least_of_growth),
    ("a page at depth 1,000,000, to page one", "most", 1.1, "{:.2f}", _depth),
    ("authorize and settle beside 1,000 open billing pages, to none", "least", 0.95, "{:.2f}", _beside_pages),
    ("resident memory, 256 connections", "most", 48, "{:.1f} MiB", lambda data: data["memory"]["most_kib"] / 1024),
    ("its growth over 2 million requests, after the first tenth", "most", 0.02, "{:.1%}", _memory_growth),
)


def met(sense, bound, value):
    return value >= bound if sense == "least" else value <= bound


def judge(data):
    """Rows of text: figure, to reach, reached, met.  data: name of a measurement to its JSON."""
    rows = []
    for figure, sense, bound, shown, find in TARGETS:
        wanted = f"at {sense} " + shown.format(bound)
        try:
            value = find(data)
        except (KeyError, StopIteration):
            rows.append((figure, wanted, NOT_MEASURED, ""))
            continue
        rows.append((figure, wanted, shown.format(value), "yes" if met(sense, bound, value) else "**no**"))
    return rows

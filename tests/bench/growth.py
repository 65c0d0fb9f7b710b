"""A ledger as use would have left it: rows of bench/grow, loaded in bulk in the order of the primary keys.

What is loaded stands the audit: every entry is chained, every usage costs what its price says.
"""

import base64
import concurrent.futures
import json
import statistics
import subprocess
import time
import urllib.parse

import load as loads
import sides
import single
from octroi import build_dir

TABLES = ("entries", "usages", "accounts", "transactions", "grants")  # the longest first
AT_ONCE = 2
MODEL = "gpt-4o"


def price(o):
    """octroi's newest price of the model: version, pico-dollars of an input and an output token, margin and rate in ppm."""
    version, lines, tiers, margin, rate = o.sql(f"""
        SELECT version, price_lines, tiers, margin_ppm, rate_ppm FROM prices JOIN price_versions ON id = version
        WHERE item = '{MODEL}' ORDER BY version DESC LIMIT 1""")[0]
    if lines:
        found = {line[0]: line[4] * 10**12 // 10**line[5] for line in json.loads(lines) if line[1:4] == ["standard", 0, ""]}
        pico_input, pico_output = found["inputTokens"], found["outputTokens"]
    else:
        _, pico_input, *_, pico_output = json.loads(tiers)[0]
    return int(version), pico_input, pico_output, int(margin), int(rate)


def cost(priced, tokens_in, tokens_out):
    """Micros, rounded up."""
    _, pico_input, pico_output, margin, rate = priced
    return -(-(tokens_in * pico_input + tokens_out * pico_output) * margin // (rate * 10**6))


def grow(o, accounts, amount_micros, usages=0, deep=0):
    """Fills an octroi whose ledger is empty: accounts bench:1 to bench:N with amount_micros given and `usages` usages
    each, and bench:deep with `deep` transactions.  Returns the seconds that it took."""
    priced = price(o)
    program = build_dir() / "tests" / "bench" / "grow"
    figures = [1, accounts, usages, deep, amount_micros, priced[0], cost(priced, 500, 200), cost(priced, 480, 150),
               int(time.time() * 10**6)]
    began = time.monotonic()

    def fill(table):
        columns = subprocess.run([str(program), table], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
        load(o, table, columns, [str(program), table, *map(str, figures)])

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(fill, TABLES))
    return round(time.monotonic() - began, 1)


def load(o, table, columns, command):
    """The command's output goes into the table.  Without checks of uniqueness an empty table is filled in bulk."""
    statement = (f"SET unique_checks = 0, foreign_key_checks = 0; LOAD DATA LOCAL INFILE '/dev/stdin' INTO TABLE {table}"
                 f" CHARACTER SET binary ({columns})")
    with subprocess.Popen(command, stdout=subprocess.PIPE) as rows:
        done = subprocess.run(["mariadb", "--no-defaults", "--local-infile=1", "--show-warnings", "--socket",
                               o.env["OCTROI_DB_SOCKET"], "-u", "root", o.env["OCTROI_DB_NAME"], "-e", statement],
                              stdin=rows.stdout, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        rows.stdout.close()
    assert rows.returncode == 0 and done.returncode == 0 and not done.stdout, f"{table}: {done.stdout}"


# ---- what it costs to have grown ---------------------------------------------------------------------

PAGE = 100
PAGES_TIMED = 50


def cursors(o, depth, page=PAGE, timed=PAGES_TIMED):
    """Pages of bench:deep's transactions: the median µs of the first ones, and of those at the depth."""
    with single.Connection(o.internal_url, o.keys["app"]) as connection:
        def ask(cursor):
            more = "&cursor=" + urllib.parse.quote(cursor) if cursor else ""
            return connection.ask("GET", f"/api/credits/transactions?account=bench:deep&limit={page}{more}")

        def walk(cursor, pages):
            """µs of each page from there, the place of the first page's first transaction, and the cursor after them."""
            taken, first = [], None
            for _ in range(pages):
                micros, answer = ask(cursor)
                assert len(answer["items"]) == page, answer
                first = first or _place(answer["items"][0]["id"])
                taken.append(micros)
                cursor = answer["nextCursor"]
            return taken, first, cursor

        first, newest, _ = walk(None, timed)
        _, _, below = walk(None, depth // page)
        deep, place, _ = walk(below, timed)
    assert newest - place == depth, (newest, place)
    return {"depth": depth, "page": page, "first_us": statistics.median(first), "deep_us": statistics.median(deep)}


def _place(name):
    """The number of a transaction in its account: the second half of its public name."""
    return int.from_bytes(base64.urlsafe_b64decode(name + "=" * (-len(name) % 4))[16:], "big")


def audit(o):
    """octroictl audit of a ledger however large; the seconds that it took."""
    began = time.monotonic()
    done = subprocess.run([o.env["OCTROI_CTL"], "audit"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout
    print(done.stdout, flush=True)
    return round(time.monotonic() - began, 1)


def compare(bench, small, grown):
    """The figures of both, round by round."""
    rows = []
    accounts = bench.options.accounts
    cases = [(f"authorize and settle, {n} accounts", c, n, "guard", "guard")
             for c in bench.options.connections for n in dict.fromkeys((accounts, 1))]
    cases.append((f"GET /api/credits, {accounts} accounts", 64, accounts, "credits", "app"))
    for what, connections, n, work, key in cases:
        found = loads.in_turn(bench.options.rounds, {
            side: lambda s=side: bench.load(s, connections, n, work, key) for side in (small, grown)})
        rows.append({"what": what, "connections": connections, "small": loads.summary(found[small]),
                     "grown": loads.summary(found[grown]), "ratio": loads.ratio(found[grown], found[small])})
        print(f"{what}, {connections} connections: {rows[-1]['small']['rate']:.0f} and {rows[-1]['grown']['rate']:.0f}"
              f" requests/s, {rows[-1]['ratio']:.2f}", flush=True)
    return rows


def measure(bench):
    """A ledger of millions of rows beside the small one."""
    options = bench.options
    small = sides.Reference(bench.o)
    with bench.another() as o:
        print("\nfilling a ledger", flush=True)
        seconds = grow(o, options.grown_accounts, loads.BALANCE_MICROS, options.grown_usages, options.grown_depth + PAGE * PAGES_TIMED)
        rows = {table: int(o.sql(f"SELECT COUNT(*) FROM {table}")[0][0]) for table in TABLES}
        print(f"{rows} in {seconds:.0f} s", flush=True)
        figures = compare(bench, small, sides.Reference(o))
        pages = cursors(o, options.grown_depth)
        print(f"transactions, page one {pages['first_us']:.0f} µs, at depth {pages['depth']} {pages['deep_us']:.0f} µs", flush=True)
        bench.keep("growth", {"rows": rows, "seconds": seconds, "figures": figures, "cursors": pages,
                              "buffer_pool_mib": int(o.sql("SELECT @@innodb_buffer_pool_size")[0][0]) >> 20,
                              "audit_seconds": audit(o)})

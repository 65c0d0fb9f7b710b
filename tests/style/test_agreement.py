"""Lists that say the same in several places say the same."""

import json
import re
import subprocess
import sys

from source import TOP, definitions, files, over, sources, text

# ---- settings ------------------------------------------------------------------------------------------

KEYS = [(type, name, fallback.strip('"'), help.strip('"'))
        for type, name, fallback, low, high, help in definitions("src/config.def", "KEY")]


def shown_default(type, fallback):
    return {"0": "off", "1": "on"}[fallback] if type == "SWITCH" else fallback


def test_config_def_is_read():
    assert len(KEYS) > 30
    assert len(KEYS) == len(re.findall(r"^KEY\(", text("src/config.def"), re.M))


@over(KEYS)
def test_setting_is_in_the_manual(type, name, fallback, help):
    manual = text("man/octroi.conf.5")
    entry = re.search(rf"^\.It Ic {name}\n(.*?)(?=^\.It|^\.El)", manual, re.M | re.S)
    assert entry, f"octroi.conf(5) lacks {name}"
    assert help.lower() + "." in entry[1].lower(), f"octroi.conf(5) says something else of {name}"
    default = shown_default(type, fallback)
    assert (f"default \\(lq{default}\\(rq." if default else "default empty.") in entry[1]


def test_settings_page_is_made_of_the_list():
    done = subprocess.run(["/usr/bin/python3", str(TOP / "docs/settings.py")], stdout=subprocess.PIPE, text=True, check=True)
    assert done.stdout == text("docs/settings.md"), "run make settings"
    for type, name, fallback, help in KEYS:
        default = shown_default(type, fallback)
        assert f"| `{name}` | {f'`{default}`' if default else ''} | {help} |\n" in done.stdout, name


def test_no_setting_is_made_up():
    names = {name for _, name, _, _ in KEYS}
    assert set(re.findall(r"^\.It Ic (\w+)$", text("man/octroi.conf.5"), re.M)) == names
    assert set(re.findall(r"^\| `(\w+)` \|", text("docs/settings.md"), re.M)) == names


@over(KEYS)
def test_setting_is_used(type, name, fallback, help):
    """A key that nothing reads says so in its help."""
    used = any(re.search(rf"(->|\.){name}\b", text(source)) for source in sources(".c"))
    assert used or "accepted today" in help or "as above" in help, name


METER_KEYS = [(type, name, fallback.strip('"'), help.strip('"'))
              for type, name, fallback, low, high, help in definitions("src/meter/meter_config.def", "KEY")]


@over(METER_KEYS)
def test_setting_of_the_meter_is_in_its_manual_and_used(type, name, fallback, help):
    entry = re.search(rf"^\.It Ic {name}\n(.*?)(?=^\.It|^\.El)", text("man/octroi-meter.8"), re.M | re.S)
    assert entry and help.lower() + "." in entry[1].lower(), f"octroi-meter(8): {name}"
    default = shown_default(type, fallback)
    assert (f"default \\(lq{default}\\(rq." if default else "default empty.") in entry[1], name
    assert any(re.search(rf"(->|\.){name}\b", text(source)) for source in sources(".c", under="src/meter/")), name


def test_no_setting_of_the_meter_is_made_up():
    assert len(METER_KEYS) > 30
    assert re.findall(r"^\.It Ic (\w+)$", text("man/octroi-meter.8"), re.M) == [name for _, name, _, _ in METER_KEYS]
    for name in re.findall(r"^#?(\w+) =", text("debian/octroi-meter.conf"), re.M):
        assert name.removesuffix("_file") in {name for _, name, _, _ in METER_KEYS}, name


# ---- routes --------------------------------------------------------------------------------------------

ROUTES = [(method, pattern.strip('"')) for method, pattern, *_ in definitions("src/routes/routes.def", "ROUTE")]
OPENAPI = json.loads(text("src/routes/openapi.json"))


def plain(path):
    return re.sub(r"\{\w*\}", "{}", path)


def test_routes_are_those_of_openapi():
    described = {(method.upper(), plain(path)) for path, item in OPENAPI["paths"].items() for method in item
                 if method in ("get", "put", "post", "delete", "patch", "head")}
    assert described == set(ROUTES) and len(ROUTES) > 15


# Routes of both listeners that only the internal server passes on.
NOT_FOR_BROWSERS = {"/api/guard/check", "/readyz"}


def test_web_servers_pass_on_the_public_routes():
    locations = re.findall(r"^location (=|\^~) (\S+) ", text("nginx/public.conf"), re.M)
    [matched] = re.findall(r'<LocationMatch "(.*)">', text("apache/public.conf"))
    for _, pattern, _, listener, *_ in definitions("src/routes/routes.def", "ROUTE"):
        path = pattern.strip('"').replace("{}", "x")
        public = listener == "ANY" and path not in NOT_FOR_BROWSERS
        nginx = any(path == place or (kind == "^~" and path.startswith(place)) for kind, place in locations)
        assert nginx == public, f"nginx/public.conf: {path}"
        assert (re.search(matched, path) is not None) == public, f"apache/public.conf: {path}"


def test_openapi_knows_every_outcome():
    described = json.dumps(OPENAPI)
    for name, status, *_ in definitions("src/ledger/outcomes.def", "OUTCOME"):
        assert name == "OK" or f'"{name}"' in described, name


PAGES = [name for name in files() if re.fullmatch(r"docs/[a-z]+\.md", name)]


def test_readme_is_short_and_names_every_page():
    assert text("README.md").count("\n") <= 200 and len(PAGES) > 5
    for page in PAGES:
        assert page in text("README.md"), page


@over(["README.md", "DESIGN.md", "src/README.md", "sql/README.md", "man/octroi.8", "man/octroictl.8", *PAGES])
def test_documents_name_routes_that_exist(document):
    patterns = {pattern for _, pattern in ROUTES}
    prefixes = {pattern[:i] for pattern in patterns for i in range(len(pattern)) if pattern[i] == "/"}
    for path in re.findall(r"(?<![\w./-])(/api/[\w/{}.-]*[\w}]|/(?:healthz|readyz|metrics)\b)", text(document)):
        assert plain(path) in patterns or plain(path).rstrip("/") in prefixes, f"{document}: {path}"


# ---- outcomes ------------------------------------------------------------------------------------------

OUTCOMES = [name for name, *_ in definitions("src/ledger/outcomes.def", "OUTCOME")]


def test_outcomes_are_read():
    assert len(OUTCOMES) == len(re.findall(r"^OUTCOME\(", text("src/ledger/outcomes.def"), re.M)) > 15


# Statuses that only one outcome has: a test may ask for these instead of the name.
STATUSES = [status for _, status, *_ in definitions("src/ledger/outcomes.def", "OUTCOME")]
OWN_STATUS = {name: status for name, status, *_ in definitions("src/ledger/outcomes.def", "OUTCOME")
              if STATUSES.count(status) == 1}


@over(OUTCOMES)
def test_outcome_is_given_and_tested(outcome):
    given = [name for name in sources(".c") if re.search(rf"\bOUTCOME_{outcome}\b", text(name))]
    # A limit of members or of spending is refused once there are such limits.
    assert given or outcome in ("MEMBER_LIMIT_REACHED", "SPENDING_LIMIT_REACHED"), f"nothing answers {outcome}"
    tests = [name for name in files() if name.startswith("tests/") and not name.startswith("tests/style/")
             and name.endswith((".py", ".c", ".def", ".h", ".txt", ".table"))]
    expected = rf"\b(OUTCOME_)?{outcome}\b"
    if outcome in OWN_STATUS:
        expected += rf"|\b{OWN_STATUS[outcome]}\b"
    assert not given or any(re.search(expected, text(name)) for name in tests), f"no test expects {outcome}"


# ---- commands ------------------------------------------------------------------------------------------

CTL = [[part.strip('"') for part in row] for row in definitions("src/ctl/ctl_commands.def", "CTL")]


def words_of_manual():
    """octroictl(8) without macros: "account set id --mode prepaid | postpaid …"."""
    manual = re.sub(r"^\.(It|Cm|Op|Oo|Oc|Xo|Xc|Fl|Ar)\b", r"\1", text("man/octroictl.8"), flags=re.M)
    manual = re.sub(r"\bFl -", "--", re.sub(r"\b(Cm|Op|Oo|Oc|Ar|It|Xo|Xc) ", "", manual))
    return re.sub(r"\s+", " ", manual)


def test_commands_are_read():
    assert len(CTL) == len(re.findall(r"^CTL\(", text("src/ctl/ctl_commands.def"), re.M)) > 10


@over(CTL)
def test_command_is_in_the_manual(words, handler, synopsis, help):
    manual = words_of_manual()
    assert f" {words} " in manual, f"octroictl(8) lacks {words}"
    section = " ".join(manual[at.start():at.start() + 3000] for at in re.finditer(rf" {words} ", manual))
    for option in re.findall(r"--[\w-]+", synopsis):
        assert re.search(rf"{option}\b", section), f"octroictl(8) does not say {words} {option}"


@over(CTL)
def test_options_of_a_command_are_in_its_synopsis(words, handler, synopsis, help):
    """The file whose first word is the command's knows exactly the options that the table shows."""
    first = words.split()[0]
    shown = {option for other, _, s, _ in CTL if other.split()[0] == first for option in re.findall(r"--[\w-]+", s)}
    shown.discard("--csv")  # ctl_arguments takes it for each command whose synopsis has it
    [path] = [name for name in sources(".c", under="src/ctl/") if name.endswith(f"/ctl_{first}.c")]
    taken = set(re.findall(r'= "(--[\w-]+)"', text(path)))
    if first == "setup":
        taken |= {option.strip('"') for _, option, *_ in definitions("src/ctl/setup/answers.def", "ANSWER")}
    assert taken == shown, f"{first}: {sorted(taken ^ shown)}"


def test_transaction_types_are_in_the_manual():
    for name, *_ in definitions("src/ledger/transactions.def", "TRANSACTION"):
        assert re.search(rf"\b{name}\b", text("man/octroictl.8")), name


def test_audit_checks_are_in_the_manual():
    checks = set()
    for name in sources(".c", under="src/audit/"):
        if "/audit" in name:
            for match in re.finditer(r'\b(?:audit_find|audit_find_row|find_entry)\(A, "(\w+)"', text(name)):
                checks.add(match[1])
    for name in ("src/audit/audit_orders.c", "src/audit/audit_workspaces.c"):
        checks |= set(re.findall(r'^\t\{"(\w+)", (?:"\w+"|table),', text(name), re.M))
    assert len(checks) > 10
    manual = text("man/octroictl.8").split(".Sh WHAT THE AUDIT PROVES")[1].split(".Sh ENV")[0]
    described = set(re.findall(r"\w+", " ".join(re.findall(r"^\.It (.*)$", manual, re.M))))
    # "sum" is for a difference that no single row explains.
    assert checks - {"sum"} == described


# ---- database ------------------------------------------------------------------------------------------

MIGRATIONS = sorted(name for name in sources(".sql", under="sql/") if re.match(r"sql/\d{3}_", name))


def test_schema_version_is_that_of_the_newest_file():
    version = int(re.search(r"#define SCHEMA_VERSION (\d+)", text("src/db/schema.h"))[1])
    numbers = [int(name[4:7]) for name in MIGRATIONS]
    assert numbers == list(range(1, version + 1))
    for number, name in zip(numbers, MIGRATIONS):
        assert re.search(rf"INSERT (IGNORE )?INTO schema_versions .*\({number}\)", text(name)), name


def columns_of_sql():
    """Table: columns, after all migrations."""
    tables = {}
    for name in MIGRATIONS:
        for match in re.finditer(r"CREATE TABLE (?:IF NOT EXISTS )?(\w+) \((.*?)\n\)", text(name), re.S):
            tables[match[1]] = [line.split()[0] for line in match[2].strip().splitlines()
                                if not line.strip().startswith(("PRIMARY", "KEY", "UNIQUE"))]
        for match in re.finditer(r"ALTER TABLE (\w+)\s+(.*?);", text(name), re.S):
            tables[match[1]] += re.findall(r"ADD COLUMN IF NOT EXISTS (\w+) ", match[2])
    return tables


LEDGER_TABLES = [name for _, name, _ in definitions("src/ledger/rows/tables.def", "TABLE")]


def roles(table):
    """(column, role) of a table of the ledger."""
    lists = re.findall(rf"^#define {table.upper()}_COLUMNS\(INT, TEXT, BYTES\) \\\n((?:\t.*\\\n)*\t.*\n)",
                       text("src/ledger/rows/columns.def"), re.M)
    assert len(lists) == 1, table
    rows = re.findall(r"^\t(?:INT|TEXT|BYTES)\((\w+)(?:, \d+)?, (\w+)\)", lists[0], re.M)
    assert len(rows) == len(re.findall(r"\b(INT|TEXT|BYTES)\(", lists[0]))
    return rows


@over(LEDGER_TABLES)
def test_table_is_that_of_the_schema(table):
    assert [name for name, _ in roles(table)] == columns_of_sql()[table]


def test_tables_are_those_of_the_manual():
    described = set(re.findall(r"`(\w+)`", " ".join(
        line.split("|")[1] for line in text("sql/README.md").splitlines() if line.startswith("| `"))))
    assert described == set(columns_of_sql())


def granted():
    """table: rights beyond SELECT and INSERT, which hold for all."""
    rights = {}
    for verb, privileges, table in re.findall(r"^(GRANT|REVOKE) ([A-Z, ]+)(?: \([a-z0-9_, ]+\))? ON octroi\.(\S+)"
                                              r" (?:TO|FROM) 'octroi'@'localhost';$", text("sql/grants.sql"), re.M):
        if verb == "GRANT":
            rights.setdefault(table, set()).update(privileges.split(", "))
        else:
            rights[table] -= set(privileges.split(", "))
    return rights


def test_grants():
    """Everything is read and added to; what changes may be changed, what ends deleted; the journal only grows."""
    rights = granted()
    assert rights.pop("*") == {"SELECT", "INSERT"}
    wanted = {table: {"UPDATE"} for table in LEDGER_TABLES if any(role.endswith("VARYING") for _, role in roles(table))}
    wanted["holds"].add("DELETE")
    wanted["batches"] = {"DELETE"}
    wanted["api_keys"] = {"UPDATE"}
    wanted["probes"] = {"UPDATE"}
    for table in ("outbox", "alerts", "operator_alerts", "endpoints", "deliveries", "mails"):  # the worker's; of an alert, whether it was told
        wanted[table] = {"UPDATE"}
    for table in ("alerts", "operator_alerts", "deliveries", "mails", "hours"):  # the pruner's
        wanted.setdefault(table, set()).add("DELETE")
    assert rights == wanted
    columns = re.search(r"GRANT UPDATE \((.*)\) ON octroi\.usages", text("sql/grants.sql"))[1]
    assert columns.split(", ") == [name for name, role in roles("usages") if not role.endswith("FIXED")]
    assert not {"entries", "transactions", "requests", "prices", "price_versions"} & set(rights)
    assert set(rights) <= set(columns_of_sql())


def test_no_statement_for_which_there_is_no_right():
    """DELETE and UPDATE in the source name tables for which they are granted."""
    rights = granted()
    for name in sources(".c"):
        for verb, table in re.findall(r"\b(DELETE FROM|UPDATE) (\w+)\b", re.sub(r'"\s*"', "", text(name))):
            if re.search(rf'"[^"]*\b{verb} {table}\b', re.sub(r'"\s*"', "", text(name))):
                assert verb.split()[0] in rights.get(table, set()), f"{name}: {verb} {table}"


# ---- events of the log ---------------------------------------------------------------------------------

def logged():
    """The names of all events: after a level, and those that db.c and schema.c hand on."""
    found = set()
    for name in sources(".c"):
        for call in re.findall(r"\blog_event\((.*?)(?:LOG_TEXT|LOG_NUMBER)", text(name), re.S):
            found |= set(re.findall(r'"([a-z]+(?:_[a-z]+)*)",', call))
        found |= set(re.findall(r'\b(?:log_seldom|log_failure|report_version)\([^;]*?"((?:database|schema)_\w+)"', text(name), re.S))
        found |= set(re.findall(r'"(database_\w+)" : "database_\w+"', text(name)))
        found |= set(re.findall(r'"database_\w+" : "(database_\w+)"', text(name)))
    return found


def test_every_event_of_the_log_is_explained():
    explained = re.findall(r"^\| `(\w+)` \|", text("docs/log.md"), re.M)
    assert len(explained) == len(set(explained)) and set(explained) == logged()


# ---- statements ----------------------------------------------------------------------------------------

# Exceptions: the names of a site's database and user, checked letter by letter before (plain() in ctl_init.c).
BUILT = {"src/ctl/ctl_init.c"}
# A character; the tables' own descriptions, and what write_update puts before them: literals of the source.
HARMLESS = re.compile(r"'[^']+'|before|t->(name|column_list|columns\[i\]\.name)|table_of\(\w+\)->column_list"
                      r"|first->name|key->name|table_of\(table\)->columns\[0\]\.name|query->sql")


# Columns whose numbers are those of an enum; other numbers are amounts, times, flags.
ENUMERATED = "state|status|kind|type|settlement|outcome|reason|source|mode|unit|role|command|scope|provider"


def digits_of_enums(statement):
    return re.findall(rf"\b(?:{ENUMERATED})\)?\s*(?:=|<>|<=?|>=?|(?:NOT )?IN ?\(|(?:NOT )?BETWEEN)\s*\d", statement)


def test_digits_are_found():
    for wrong in ("t.state = 4", "u.source=0", "type IN (0, 6)", "state NOT BETWEEN 0 AND 5", "MAX(reason) > 4", "x.type <> 9"):
        assert digits_of_enums(wrong), wrong
    for right in ("state = ", "failures = 0", "arrears_micros < 0", "running = 1", "state IN (", "kind=item"):
        assert not digits_of_enums(right), right


@over(sources(".c", ".h"))
def test_no_number_of_an_enum_in_a_statement(name):
    """Numbers of states are SQL(NAME), which the compiler holds to the enum (ledger/sql_numbers.h), or sql_int of it."""
    for literal in re.findall(r'"((?:[^"\\\n]|\\.)*)"', re.sub(r'"\s*"', "", text(name))):
        assert not digits_of_enums(literal), f"{name}: {literal}"


def rests_beside_the_copy(statement):
    """A grant's own rest in a statement.  Compared with 0 it is right: a rest of 0 is always written back."""
    return re.findall(r"(?<!\w)remaining_micros(?! ?[>=] ?0\b)", statement) if "FROM grants" in statement else []


def test_rests_beside_the_copy_are_found():
    assert rests_beside_the_copy("SELECT seq, remaining_micros FROM grants WHERE 1")
    assert rests_beside_the_copy("SELECT SUM(g.remaining_micros) FROM grants g")
    assert not rests_beside_the_copy("SELECT seq FROM grants WHERE remaining_micros > 0 AND remaining_micros>0")


@over(sources(".c", ".h"))
def test_rests_of_grants_are_those_of_the_copy(name):
    """GRANT_SQL_REMAINING: the account's row has the rest of the grant that is spent now (ledger/grant_sql.h)."""
    for literal in re.findall(r'"((?:[^"\\\n]|\\.)*)"', re.sub(r'"\s*(?:GRANT_SQL_REMAINING\s*)?"', "", text(name))):
        assert not rests_beside_the_copy(literal), f"{name}: {literal}"


@over(sources(".c", ".h"))
def test_open_holds_are_those_of_both_places(name):
    """HOLD_SQL_OPEN: the account's row has open holds, too (ledger/hold_sql.h)."""
    if name != "src/ledger/hold_sql.h":
        assert not re.search(r"(?<!DELETE )(?:FROM|JOIN) holds\b", text(name)), name


def test_packed_holds_are_read_by_their_columns():
    """In SQL a column of a packed hold is found by its place among the columns of holds."""
    sys.path.insert(0, str(TOP / "tests/lib"))
    import guard
    columns = [name for name, _ in roles("holds")]
    read = re.findall(r'HOLD_SQL_(?:INT|TEXT)\("(\d+)"\)', text("src/ledger/hold_sql.h"))
    [names] = re.findall(r'"\(SELECT account_id,([\w,]+) FROM holds"', text("src/ledger/hold_sql.h"))
    assert [columns[int(at)] for at in read] == names.split(",") and columns[0] == "account_id"
    assert list(guard.HOLD_COLUMNS) == columns[1:]
    texts = re.findall(r"^#define HOLDS_COLUMNS.*?\n\n", text("src/ledger/rows/columns.def"), re.M | re.S)
    assert guard.HOLD_TEXTS == set(re.findall(r"TEXT\((\w+)", texts[0].replace("(INT, TEXT, BYTES)", "")))
    places = [name for name, _ in roles("accounts") if re.fullmatch(r"hold_\d", name)]
    assert list(guard.PLACES) == places and f"#define PACKED_HOLDS {len(places)}\n" in text("src/ledger/rows/packed_hold.h")


@over(sources(".c"))
def test_no_statement_is_built_from_input(name):
    if name in BUILT or name == "src/db/sql.c":
        return
    content = text(name)
    for match in re.finditer(r'\b(?:s?n?printf|buf_printf|buf_add_text|buf_add)\((?:[^;"]*)"([^"]*)"', content):
        assert not re.search(r"\b(SELECT|INSERT INTO|UPDATE \w+ SET|DELETE FROM|GRANT|CREATE TABLE)\b", match[1]), \
            f"{name}: {match[0]}"
    for buffer, what in re.findall(r"\bbuf_(?:add_text|printf|add_char|add)\(&?((?:\w+->)?\w*sql\w*), ?([^;]*)\);", content):
        assert HARMLESS.fullmatch(what.strip()), f"{name}: {what} goes into a statement ({buffer})"


def test_statements_are_only_sent_by_db():
    for name in sources(".c"):
        assert name == "src/db/db.c" or "mysql_" not in text(name), name


# The steps of a batch, and statements with several results of one row each.
ROW_BY_ROW = {"src/ledger/prefetch.c", "src/ledger/ledger.c", "src/prices/book.c", "src/prices/pricestore.c"}


def test_rows_are_read_by_the_helpers():
    """db_read, db_each and db_read_int for one statement; struct ask for questions with texts in an arena."""
    users = {name for name in sources(".c") if re.search(r"\bdb_row\(", text(name)) and not name.startswith("src/db/")}
    assert users == ROW_BY_ROW


def test_sql_literal_takes_literals_only():
    assert re.search(r'#define sql_literal\(b, text\) buf_add\(\(b\), "" text "", sizeof\(text\) - 1\)',
                     re.sub(r"\s*\\\n\s*", " ", text("src/db/sql.h")))


# ---- attacks -------------------------------------------------------------------------------------------

def attack_rows(table):
    return re.findall(r"^\| (.*?) \| (.*?) \| (.*) \|$", table, re.M)[1:]


GAINS = attack_rows(text("tests/security/GAINS.md"))
ATTACKS = attack_rows(text("tests/README.md").split("\n## Attacks\n")[1].split("\n## ")[0]) + GAINS
ATTACK_TESTS = sorted({(attack, test) for attack, _, tests in ATTACKS for test in tests.split(", ")})


def test_attacks_are_read():
    assert len(ATTACKS) >= 25 and len(ATTACK_TESTS) > 80


@over(ATTACK_TESTS)
def test_the_test_of_an_attack_exists(attack, test):
    found = re.fullmatch(r"`([\w/]+\.(?:py|c))::(test_\w+)`", test)
    assert found, f"{attack}: {test}"
    file, name = "tests/" + found[1], found[2]
    assert file in files(), f"{attack}: there is no {file}"
    defined = rf"^def {name}\(" if file.endswith(".py") else rf"^(static void )?{name}\("
    assert re.search(defined, text(file), re.M), f"{attack}: {file} has no {name}"
    assert file.endswith(".py") or re.search(rf"(cmocka_unit_test\w*|TEST)\({name}\b", text(file)), f"{file} does not run {name}"


# ---- what must not be published ------------------------------------------------------------------------

def test_no_path_of_a_machine_and_no_secret():
    secret = re.compile(r"/work/|/home/\w+/|/root/|\bsk_(live|test)_(?!canary)\w{10}|-----BEGIN [A-Z ]*PRIVATE KEY|\bAKIA[A-Z0-9]{16}\b"
                        r"|\bgh[pousr]_\w{30}|\boct_(guard|app|admin|report)_(?!canary|(\w)\3{9})[A-Za-z0-9_-]{43}\b")
    for name in files():
        if name.endswith((".png", ".woff2", ".gz")) or name.startswith("tests/style/"):
            continue
        try:
            content = text(name)
        except UnicodeDecodeError:
            continue
        found = secret.search(content)
        assert not found, f"{name}: {found[0]}"


def test_files_exist_that_documents_name():
    for document in ("README.md", "DESIGN.md", "src/README.md", "sql/README.md", "tests/README.md", *PAGES):
        if document not in files():
            continue
        for path in re.findall(r"`((?:src|sql|tests|man|nginx|apache|demo)/[\w./-]*\w)`", text(document)):
            folder = (TOP / document).parent
            if "thing" in path:  # an example
                continue
            assert (TOP / path).exists() or (folder / path).exists(), f"{document}: {path}"

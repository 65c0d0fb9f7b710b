"""octroictl: every command against a running octroi."""

import contextlib
import csv
import io
import json
import os
import pathlib
import random
import re
import select
import signal
import subprocess
import threading
import time

import pytest

import guard
from octroi import TOP, Octroi, wait_until


@pytest.fixture(scope="module")
def o():
    with Octroi("nginx") as octroi:
        yield octroi


def ctl_json(o, *arguments):
    return json.loads(o.ctl(*arguments, "--json").stdout)


def refused(o, *arguments, status=2):
    """The command must end so; what it said on stderr."""
    done = o.ctl(*arguments, check=False)
    assert done.returncode == status, (arguments, done.returncode, done.stdout, done.stderr)
    assert done.stderr.strip()
    return done.stderr


# ---- the command line --------------------------------------------------------------------------------

COMMANDS = re.findall(r'^CTL\("([^"]+)"', (TOP / "src/ctl/ctl_commands.def").read_text(), re.M)


def test_help_lists_every_command(o):
    shown = o.ctl("--help").stdout
    for command in COMMANDS:
        assert re.search(rf"^  {command}\b", shown, re.M), command


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_one_command(o, command):
    shown = o.ctl(*command.split(), "--help").stdout
    assert re.search(rf"^  {command}\b", shown, re.M)
    assert shown.count("\n  ") < len(COMMANDS) * 2


@pytest.mark.parametrize("command", COMMANDS)
def test_unknown_option_is_refused(o, command):
    assert "no option --nonsense" in refused(o, *command.split(), "--nonsense")


@pytest.mark.parametrize("arguments", [[], ["nonsense"], ["key"], ["key", "nonsense"], ["--nonsense"], ["-c"],
                                       ["account", "show"], ["account", "show", "a", "b"], ["key", "create"],
                                       ["key", "create", "--scope"], ["key", "create", "--scope", "root"],
                                       ["tick", "now"], ["account", "list", "--limit", "many"],
                                       ["account", "list", "--limit", "0"], ["account", "show", "no spaces"]])
def test_bad_arguments_are_refused(o, arguments):
    refused(o, *arguments)


@pytest.mark.parametrize("said,nearest", [(["acount", "show"], "account show"), (["account", "shwo", "x"], "account show"),
                                          (["prise", "list"], "price list"), (["doktor"], "doctor"),
                                          (["key", "revok", "1"], "key revoke"), (["statsu"], "status")])
def test_unknown_command_is_named_with_the_nearest(o, said, nearest):
    told = refused(o, *said)
    assert f"no command '{' '.join(said[:2])}'" in told and f"the nearest is '{nearest}'" in told
    assert json.loads(refused(o, "--json", *said))["error"] == "INVALID_REQUEST"


@pytest.mark.parametrize("arguments,error,status", [
    (["nonsense"], "INVALID_REQUEST", 2), (["account", "show"], "INVALID_REQUEST", 2), (["--nonsense"], "INVALID_REQUEST", 2),
    (["account", "show", "ctl:nobody"], "NOT_FOUND", 1), (["account", "history", "ctl:nobody"], "NOT_FOUND", 1),
    (["price", "show", "nonsense"], "NOT_FOUND", 1), (["member", "list", "no blank"], "INVALID_REQUEST", 2),
    (["report", "margin", "--by", "colour"], "INVALID_REQUEST", 2), (["report", "margin", "--csv"], "INVALID_REQUEST", 2),
    (["-c", "/nonexistent/octroi.conf", "status"], "FAILED", 2)])
def test_errors_are_json_with_json(o, arguments, error, status):
    told = json.loads(refused(o, "--json", *arguments, status=status))
    assert told["error"] == error and len(told["message"]) > 10
    assert o.ctl("--json", *arguments, check=False).stdout == ""


def test_reader_that_has_read_enough_is_no_error(o):
    """As with `price list | head -1`."""
    done = subprocess.run(["bash", "-o", "pipefail", "-c", '"$0" price list | head -1', o.env["OCTROI_CTL"]],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("kind")
    # The reader is gone before the first byte.
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([o.env["OCTROI_CTL"], "account", "list"], stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("arguments,none", [(["webhook", "list"], "no events"), (["outbox", "list"], "no tasks"),
                                            (["plan", "list"], "no plans"), (["price", "list", "no-such-*"], "no prices"),
                                            (["account", "list", "--match", "nobody-is-called-so"], "no accounts"),
                                            (["code", "list", "--batch", "none"], "no codes"),
                                            (["report", "margin"], "no usages")])
def test_empty_lists_say_so(arguments, none):
    with Octroi("nginx") as fresh:
        if arguments[0] == "plan":
            fresh.sql("DELETE FROM plans")
        assert fresh.ctl(*arguments).stdout.strip() == none
        assert ctl_json(fresh, *arguments)["items"] == []


def complete(o, *words):
    """Bash's offers for the last word."""
    script = ('eval "$("$0" completion bash)"; COMP_WORDS=(octroictl "$@"); COMP_CWORD=$#; _octroictl; '
              'printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "-c", script, o.env["OCTROI_CTL"], *words], stdout=subprocess.PIPE, check=True, text=True,
                          timeout=60, cwd=o.dir)
    return set(done.stdout.split())


def test_completion(o):
    assert {"account", "key", "doctor", "report"} <= complete(o, "")
    assert complete(o, "acc") == {"account"} and complete(o, "account", "cr") == {"create", "credit"}
    assert complete(o, "-c", "octroi.conf", "--json", "report", "") == {"capacity", "members", "margin"}
    assert complete(o, "account", "usages", "someone", "--m") == {"--member", "--model"}
    assert {"--limit", "--cursor", "--csv", "--json"} <= complete(o, "account", "list", "--")
    assert complete(o, "nonsense", "") == set()
    refused(o, "completion", "fish")


def test_completion_needs_no_configuration(o):
    done = subprocess.run([o.env["OCTROI_CTL"], "completion", "bash"], env={"OCTROI_CONF": "/nonexistent"}, stdout=subprocess.PIPE,
                          text=True, timeout=60)
    assert done.returncode == 0 and "complete -F" in done.stdout


def test_version(o):
    assert re.fullmatch(r"octroictl \S+\n", o.ctl("--version").stdout)


def test_bad_configuration_is_named(o, tmp_path):
    conf = tmp_path / "octroi.conf"
    conf.write_text("thraeds = 4\n")
    assert "thraeds" in refused(o, "-c", conf, "status")


def test_full_stdout_is_a_failure(o):
    with open("/dev/full", "w") as full:
        done = subprocess.run([o.env["OCTROI_CTL"], "status"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 2 and "stdout" in done.stderr


def test_a_name_that_nobody_has_is_given_nothing(o):
    """A mistyped name gets no money; the message says how an account is made."""
    said = refused(o, "account", "credit", "user:nobody", "5", "--type", "ADJUSTMENT", "--reason", "r", "--actor", "a", status=1)
    assert "there is no account user:nobody" in said and "octroictl account create user:nobody" in said
    assert o.sql("SELECT COUNT(*) FROM accounts WHERE external_id = 'user:nobody'") == [("0",)]


# ---- init --------------------------------------------------------------------------------------------

def test_init_is_safe_to_repeat(o):
    before = o.sql("SELECT * FROM price_versions")
    done = ctl_json(o, "init", "--sql", TOP / "sql", "--admin-user", "root", "--grants")
    assert done["schemaVersion"] == done["schemaVersionBefore"] >= 1
    assert done["terms"] == "unchanged" and o.sql("SELECT * FROM price_versions") == before


def test_init_prints_grants_of_this_site(o):
    text = o.ctl("init", "--sql", TOP / "sql", "--print-grants").stdout
    statements = [line for line in text.splitlines() if line and not line.startswith("--")]
    name = o.env["OCTROI_DB_NAME"]
    assert statements
    for statement in statements:
        assert re.fullmatch(rf"(GRANT|REVOKE) [A-Z, ]+( \([a-z0-9_, ]+\))? ON `{name}`\.(\*|\w+) (TO|FROM) '{o.env['OCTROI_DB_USER']}'@'localhost';", statement)
    o.sql("\n".join(statements))  # the database takes them


def test_init_without_files(o, tmp_path):
    assert "sql" in refused(o, "init", "--sql", tmp_path / "none", "--print-grants")


def test_init_refuses_a_newer_database(o):
    o.sql("INSERT INTO schema_versions (version) VALUES (9000)")
    try:
        assert "9000" in refused(o, "init", "--sql", TOP / "sql", "--admin-user", "root")
    finally:
        o.sql("DELETE FROM schema_versions WHERE version = 9000")


def test_init_does_not_make_a_user(o):
    """GRANT would, without a password."""
    refused(o, "init", "--sql", TOP / "sql", "--admin-user", "root", "--grants", "--grant-host", "elsewhere.example")
    assert o.sql("SELECT COUNT(*) FROM mysql.user WHERE Host = 'elsewhere.example'") == [("0",)]


def test_init_stores_changed_terms(o):
    version = o.sql("SELECT MAX(id) FROM price_versions")
    conf = pathlib.Path(o.dir) / "terms.conf"
    conf.write_text(re.sub(r"(?m)^margin\b.*\n?", "", pathlib.Path(o.env["OCTROI_CONF"]).read_text()) + "\nmargin = 1.25\n")
    conf.chmod(0o600)
    try:
        done = ctl_json(o, "-c", conf, "init", "--sql", TOP / "sql", "--admin-user", "root")
        assert done["terms"].startswith("stored")
        assert o.sql("SELECT MAX(id) FROM price_versions") > version
        assert o.sql("SELECT margin_ppm FROM price_versions ORDER BY id DESC LIMIT 1") == [("1250000",)]
    finally:
        conf.unlink()
        o.ctl("init", "--sql", TOP / "sql", "--admin-user", "root")
    assert o.sql("SELECT margin_ppm FROM price_versions ORDER BY id DESC LIMIT 1") == [("1050000",)]


# ---- keys --------------------------------------------------------------------------------------------

WHAT = {"guard": ("POST", "/api/guard/release"), "app": ("POST", "/api/tokens"),
        "admin": ("POST", "/api/accounts/x/transactions"), "report": ("GET", "/metrics")}


def accepted(o, key, scope):
    """Whether octroi lets the key through to a route of the scope."""
    method, path = WHAT[scope]
    return o.call(method, path, json={} if method == "POST" else None, key=key).status not in (401, 403)


@pytest.mark.parametrize("scope", WHAT)
def test_key_works_at_once(o, scope):
    made = ctl_json(o, "key", "create", "--scope", scope, "--label", "éà \x1b[31m")
    assert re.fullmatch(rf"oct_{scope}_[A-Za-z0-9_-]{{43}}", made["key"])
    assert made["key"].startswith(made["prefix"]) and len(made["prefix"]) < len(made["key"]) - 30
    assert accepted(o, made["key"], scope)


def test_key_is_stored_as_a_digest_only(o):
    made = ctl_json(o, "key", "create", "--scope", "guard")
    assert o.sql(f"SELECT HEX(digest) = UPPER(SHA2('{made['key']}', 256)) FROM api_keys WHERE id = {made['id']}") == [("1",)]
    assert made["key"] not in str(o.sql("SELECT id, scope, label, prefix FROM api_keys"))
    assert made["key"] not in o.ctl("key", "list").stdout + o.ctl("key", "list", "--json").stdout


def test_key_list(o):
    made = ctl_json(o, "key", "create", "--scope", "report", "--label", "prometheus")
    listed = {key["id"]: key for key in ctl_json(o, "key", "list")["items"]}
    assert listed[made["id"]]["label"] == "prometheus" and listed[made["id"]]["revokedAt"] is None
    assert "\x1b" not in o.ctl("key", "list").stdout  # a label cannot reach the terminal's controls


@pytest.mark.parametrize("by", ["id", "prefix", "key"])
def test_revoked_key_is_refused_once_the_command_has_ended(o, by):
    made = ctl_json(o, "key", "create", "--scope", "guard")
    assert accepted(o, made["key"], "guard")
    stop = threading.Event()

    def use():  # keeps the key in octroi's copy of the keys
        while not stop.is_set():
            o.call("POST", "/api/guard/release", json={}, key=made["key"])

    user = threading.Thread(target=use)
    user.start()
    try:
        o.ctl("key", "revoke", made[by])
        for _ in range(20):
            assert o.call("POST", "/api/guard/release", json={}, key=made["key"]).status == 401
    finally:
        stop.set()
        user.join()
    assert "no key" in refused(o, "key", "revoke", made[by], status=1)


def test_ambiguous_prefix_revokes_nothing(o):
    ctl_json(o, "key", "create", "--scope", "report")
    ctl_json(o, "key", "create", "--scope", "report")
    before = o.sql("SELECT COUNT(*) FROM api_keys WHERE revoked_at_us = 0")
    assert "more than one" in refused(o, "key", "revoke", "oct_report_", status=1)
    assert o.sql("SELECT COUNT(*) FROM api_keys WHERE revoked_at_us = 0") == before


# ---- accounts ----------------------------------------------------------------------------------------

def test_account_create_show_list(o):
    o.ctl("account", "create", "ctl:one", "--unit", "credit", "--mode", "postpaid")
    shown = ctl_json(o, "account", "show", "ctl:one")
    assert shown["account"]["unit"] == "credit" and shown["account"]["mode"] == "postpaid"
    assert shown["account"]["balanceMicros"] == 0 and shown["grants"] == [] and shown["holds"] == []
    assert "exists" in refused(o, "account", "create", "ctl:one", status=1)
    listed = ctl_json(o, "account", "list")["items"]
    assert "ctl:one" in [account["account"] for account in listed]
    seen = []
    while True:
        page = ctl_json(o, "account", "list", "--limit", "1", *(["--cursor", seen[-1]] if seen else []))["items"]
        if not page:
            break
        seen.append(page[0]["account"])
    assert seen == [account["account"] for account in listed]


def test_account_set(o):
    name = o.account(funds_micros=5_000_000)
    o.ctl("account", "set", name, "--mode", "postpaid", "--hard-limit", "12.5", "--soft-limit", "10",
          "--byok", "anthropic,openai")
    account = ctl_json(o, "account", "show", name)["account"]
    assert (account["mode"], account["hardLimitMicros"], account["softLimitMicros"]) == ("postpaid", 12_500_000, 10_000_000)
    assert account["byok"] == ["anthropic", "openai"] and account["balanceMicros"] == 5_000_000
    o.ctl("account", "set", name, "--byok", "none", "--status", "suspended")
    account = ctl_json(o, "account", "show", name)["account"]
    assert account["byok"] == [] and account["status"] == "suspended" and account["mode"] == "postpaid"
    answer = o.post("/api/guard/authorize", {"account": name, "model": "gpt-4o"})
    assert answer.status == 402 and answer.json["error"] == "ACCOUNT_SUSPENDED"
    o.ctl("account", "set", name, "--status", "active")
    assert o.post("/api/guard/authorize", {"account": name, "model": "gpt-4o"}).status == 200


@pytest.mark.parametrize("arguments", [["--mode", "nonsense"], ["--status", "gone"], ["--hard-limit", "-1"],
                                       ["--hard-limit", "1.0000001"], ["--byok", "nobody"], ["--byok", "openai,,"]])
def test_account_set_refuses(o, arguments):
    name = o.account()
    refused(o, "account", "set", name, *arguments)


@pytest.mark.parametrize("command", [["show"], ["set"], ["credit"]])
def test_no_account_is_made_by_a_mistyped_name(o, command):
    more = ["5", "--type", "PROMO_BONUS", "--reason", "x", "--actor", "x"] if command == ["credit"] else []
    assert "no account" in refused(o, "account", *command, "ctl:mistyped", *more, status=1)
    assert o.sql("SELECT COUNT(*) FROM accounts WHERE external_id = 'ctl:mistyped'") == [("0",)]


def test_credit(o):
    name = o.account()
    arguments = ["account", "credit", name, "12.34", "--type", "PROMO_BONUS", "--reason", "Bienvenue à tous",
                 "--actor", "claire", "--request-id", name + "-1"]
    booked = ctl_json(o, *arguments)
    assert booked["amountMicros"] == booked["balanceMicros"] == 12_340_000 and booked["replayed"] is False
    again = ctl_json(o, *arguments)
    assert again["id"] == booked["id"] and again["replayed"] is True
    assert o.balance(name)[0] == 12_340_000
    shown = o.get(f"/api/credits/transactions?account={name}").json["items"]
    assert [(t["id"], t["type"], t["description"]) for t in shown] == [(booked["id"], "PROMO_BONUS", "Bienvenue à tous")]
    assert o.sql(f"SELECT actor FROM transactions WHERE reference = '' AND description LIKE 'Bienvenue%'") == [("claire",)]
    refused(o, *arguments[:3], "12.35", *arguments[4:], status=1)
    o.ctl("account", "credit", name, "-2.34", "--type", "ADJUSTMENT", "--reason", "correction", "--actor", "claire")
    assert o.balance(name)[0] == 10_000_000


def test_credit_that_expires(o):
    name = o.account()
    o.ctl("account", "credit", name, "1", "--type", "PROMO_BONUS", "--reason", "x", "--actor", "x",
          "--expires", "2090-01-31")
    grants = ctl_json(o, "account", "show", name)["grants"]
    assert [(g["type"], g["remainingMicros"], g["expiresAt"]) for g in grants] == [
        ("PROMO_BONUS", 1_000_000, "2090-01-31T00:00:00.000Z")]


@pytest.mark.parametrize("amount,more", [("1", ["--type", "NONSENSE"]), ("1", []), ("x", ["--type", "PROMO_BONUS"]),
                                         ("1.0000001", ["--type", "PROMO_BONUS"]),
                                         ("9" * 30, ["--type", "PROMO_BONUS"]),
                                         ("1", ["--type", "PROMO_BONUS", "--expires", "soon"]),
                                         ("1", ["--type", "PROMO_BONUS", "--reason", ""]),
                                         ("1", ["--type", "PROMO_BONUS", "--actor", ""]),
                                         ("1", ["--type", "PROMO_BONUS", "--request-id", "with blank"])])
def test_credit_refuses(o, amount, more):
    name = o.account()
    refused(o, "account", "credit", name, amount, "--reason", "x", "--actor", "x", *more)
    assert o.balance(name)[0] == 0


@pytest.mark.parametrize("amount,type", [("-1", "PROMO_BONUS"), ("0", "ADJUSTMENT"), ("5", "ALLOWANCE_EXPIRY")])
def test_ledger_refuses(o, amount, type):
    """A refusal of the ledger is exit status 1."""
    name = o.account()
    refused(o, "account", "credit", name, amount, "--type", type, "--reason", "x", "--actor", "x", status=1)
    assert o.balance(name)[0] == 0


# ---- history, usages, filters, CSV ---------------------------------------------------------------------

def by_csv(o, *arguments):
    return list(csv.DictReader(io.StringIO(o.ctl(*arguments, "--csv").stdout)))


@pytest.fixture(scope="module")
def busy(o):
    """An account with a history and usages of two members."""
    name = o.account(funds_micros=50_000_000)
    for i in range(7):
        o.ctl("account", "credit", name, "1.5", "--type", "PROMO_BONUS", "--reason", f'=1+{i}, "x"', "--actor", "claire")
    for i in range(6):
        hold = o.post("/api/guard/authorize", {"account": name, "model": ("gpt-4o", "gpt-4o-mini")[i % 2],
                                               "member": f"user:{i % 3}"}).json["hold"]
        assert o.post("/api/guard/settle", {"hold": hold, "inputTokens": 1000 + i, "outputTokens": 7}).status == 200
    return name


LISTS = {"history": "transactions", "usages": "usages"}


@pytest.mark.parametrize("command", LISTS)
def test_lists_of_an_account_are_those_of_the_api(o, busy, command):
    path = f"/api/credits/{LISTS[command]}?account={busy}"
    assert ctl_json(o, "account", command, busy) == o.get(path).json
    page = ctl_json(o, "account", command, busy, "--limit", "4")
    assert page == o.get(path + "&limit=4").json and page["nextCursor"]
    text = o.ctl("account", command, busy, "--limit", "4")
    assert f"--cursor {page['nextCursor']}" in text.stderr and len(text.stdout.splitlines()) == 5
    more = ctl_json(o, "account", command, busy, "--limit", "4", "--cursor", page["nextCursor"])
    whole = ctl_json(o, "account", command, busy, "--all", "--limit", "2")
    assert whole["items"][:8] == page["items"] + more["items"] and whole["nextCursor"] is None
    rows = by_csv(o, "account", command, busy, "--all")
    assert [row["id"] for row in rows] == [item["id"] for item in whole["items"]]
    name = "amountMicros" if command == "history" else "costMicros"
    assert [int(row[name]) for row in rows] == [item[name] for item in whole["items"]]
    refused(o, "account", command, busy, "--limit", "0")
    refused(o, "account", command, busy, "--cursor", "nonsense")


def test_history_in_csv_is_no_formula(o, busy):
    assert {row["description"] for row in by_csv(o, "account", "history", busy)} >= {f'\'=1+{i}, "x"' for i in range(7)}


def test_usages_are_filtered(o, busy):
    for option, name, value in (("--member", "member", "user:1"), ("--model", "model", "gpt-4o-mini")):
        items = ctl_json(o, "account", "usages", busy, option, value)["items"]
        assert items and {item[name] for item in items} == {value}
    assert ctl_json(o, "account", "usages", busy, "--action", "debrief")["items"] == []


def test_a_usage_shows_its_lines(o, busy):
    usage = o.get(f"/api/credits/usages?account={busy}").json["items"][0]
    shown = ctl_json(o, "account", "usage", busy, usage["id"])
    assert shown == o.get(f"/api/credits/usages/{usage['id']}?account={busy}").json
    rows = by_csv(o, "account", "usage", busy, usage["id"])
    assert sum(int(row["costMicros"]) for row in rows) == usage["costMicros"] > 0
    assert {"inputTokens", "outputTokens"} <= {row["dimension"] for row in rows}
    text = o.ctl("account", "usage", busy, usage["id"]).stdout
    assert usage["id"] in text and "outputTokens" in text
    other = o.account(funds_micros=1)
    refused(o, "account", "usage", other, usage["id"], status=1)
    refused(o, "account", "usage", busy, "../settings", status=1)
    refused(o, "account", "usage", busy)


def test_account_list_is_filtered(o, busy):
    o.ctl("account", "create", "ctl:filter%credit", "--unit", "credit", check=False)
    o.ctl("account", "create", "ctl:filter-credit", "--unit", "credit")
    o.ctl("account", "create", "ctl:filter-postpaid", "--mode", "postpaid")
    o.ctl("account", "set", "ctl:filter-postpaid", "--status", "suspended")
    o.fund("ctl:filter-credit", 5_000_000)

    def found(*filters):
        return {row["account"] for row in ctl_json(o, "account", "list", "--match", "ctl:filter", *filters)["items"]}

    assert found() == {"ctl:filter-credit", "ctl:filter-postpaid"}
    assert found("--unit", "credit") == found("--status", "active") == found("--mode", "prepaid") == {"ctl:filter-credit"}
    assert found("--status", "suspended") == found("--below", "1") == {"ctl:filter-postpaid"}
    assert found("--below", "5.000001") == {"ctl:filter-credit", "ctl:filter-postpaid"} and found("--plan", "none") == set()
    assert len(ctl_json(o, "account", "list", "--match", "' OR 1=1 -- ")["items"]) == 0
    assert {row["account"] for row in by_csv(o, "account", "list", "--match", "ctl:filter")} == found()
    for wrong in (("--unit", "beads"), ("--mode", "x"), ("--status", "x"), ("--below", "x"), ("--cursor", "a b")):
        refused(o, "account", "list", *wrong)


def test_price_list_by_pattern_and_price_show(o):
    def names(*pattern):
        return {row["item"] for row in ctl_json(o, "price", "list", *pattern)["items"]}

    assert {"gpt-4o", "gpt-4o-mini"} <= names("gpt-4o") < names()
    assert names("gpt-4?") == {"gpt-4o"} and names("*-mini") == {name for name in names() if name.endswith("-mini")}
    o.ctl("price", "set", "ctl-priced", "--provider", "openai", "--input", "1", "--output", "2")
    o.ctl("price", "set", "ctl-priced", "--provider", "openai", "--input", "3", "--output", "4", "--starts", "2090-01-01")
    def dollars(*words):
        return {(row["dimension"], row["dollars"]) for row in ctl_json(o, "price", *words)["items"]}

    now, then = {("inputTokens", "1"), ("outputTokens", "2")}, {("inputTokens", "3"), ("outputTokens", "4")}
    assert dollars("show", "ctl-priced") == now | then
    assert dollars("list", "ctl-priced") == dollars("show", "ctl-priced", "--at", "2089-12-31T23:59:59Z") == now
    assert dollars("show", "ctl-priced", "--at", "2090-01-01") == then
    refused(o, "price", "show", "ctl-priced", "--at", "1990-01-01", status=1)
    refused(o, "price", "show", "ctl-priced", "--at", "yesterday")
    assert "ctl-priced" in o.ctl("price", "show", "ctl-priced").stdout


def test_account_show_lists_holds(o):
    name = o.account(funds_micros=5_000_000)
    hold = o.post("/api/guard/authorize", {"account": name, "model": "gpt-4o", "member": "user:1"}).json["hold"]
    holds = ctl_json(o, "account", "show", name)["holds"]
    assert [(h["hold"], h["item"], h["member"]) for h in holds] == [(hold, "gpt-4o", "user:1")]
    plain = o.ctl("account", "show", name).stdout
    assert hold in plain and "5.00" in plain


# ---- tick, status ------------------------------------------------------------------------------------

def test_tick_ends_what_is_due(o):
    """With octroi itself stopped: cron alone is enough."""
    names = [o.account(funds_micros=1_000_000) for _ in range(5)]
    for name in names:
        assert o.post("/api/guard/authorize", {"account": name, "model": "gpt-4o", "ttlSeconds": 10}).status == 200
        o.fund(name, 1_000_000, type="PROMO_BONUS", expiresAt="2090-01-01T00:00:00Z")
    quoted = ",".join(f"'{name}'" for name in names)
    # Time passes: everything of these accounts was due a second ago.
    now = "CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)"
    o.sql(f"UPDATE grants SET expires_at_us = {now} - 1000000 WHERE expires_at_us > 0 AND account_id IN"
          f" (SELECT id FROM accounts WHERE external_id IN ({quoted}))")
    o.sql(guard.change_holds("expires_at_us", f"{now} - 1000000", ",".join(map(guard.key_of, names))))
    o.sql(f"INSERT INTO batches (id) VALUES (0x{'00' * 16})")
    o.kill("octroi")
    o.sql("UPDATE accounts SET " + ", ".join(f"{column} = {now} - 1000000" for column in ("due_at_us", "holds_due_at_us"))
          + f", current_expires_at_us = IF(current_expires_at_us > 0, {now} - 1000000, 0) WHERE external_id IN ({quoted})")
    ticked = ctl_json(o, "tick")
    assert ticked["accounts"] >= 5 and ticked["batches"] >= 1
    assert o.sql(f"SELECT balance_micros, held_micros, open_holds FROM accounts WHERE external_id IN ({quoted})") == [
        ("1000000", "0", "0")] * 5
    assert ctl_json(o, "tick") == {"accounts": 0, "batches": 0, "outbox": 0, "told": 0, "probes": 0, "pruned": 0}
    o.start()
    o.audit()


def test_tick_removes_markers_of_more_than_an_hour(o):
    """By the database's clock, with which they begin."""
    o.account()
    ms = "CAST(UNIX_TIMESTAMP(NOW(6)) * 1000 AS SIGNED)"
    assert o.sql(f"SELECT {ms} - CONV(HEX(LEFT(MAX(id), 8)), 16, 10) BETWEEN 0 AND 60000 FROM batches") == [("1",)]
    o.kill("octroi")  # it removes them, too
    for minutes in (61, 59):
        o.sql(f"INSERT INTO batches (id) SELECT UNHEX(CONCAT(LPAD(HEX({ms} - {minutes} * 60000), 16, '0'), REPEAT('{minutes}', 8)))")
    assert ctl_json(o, "tick")["batches"] >= 1
    assert o.sql("SELECT HEX(RIGHT(id, 8)) FROM batches ORDER BY id LIMIT 1") == [("59" * 8,)]
    o.sql("DELETE FROM batches WHERE RIGHT(id, 8) = UNHEX(REPEAT('59', 8))")
    o.start()


def test_status(o):
    o.account()
    status = ctl_json(o, "status")
    assert status["schemaVersion"] == status["schemaVersionWanted"]
    assert status["accounts"] == int(o.sql("SELECT COUNT(*) FROM accounts")[0][0]) > 0
    assert status["openHolds"] == int(o.sql(f"SELECT COUNT(*) FROM {guard.HOLDS}")[0][0])
    assert status["priceVersion"] == int(o.sql("SELECT MAX(id) FROM price_versions")[0][0])
    assert status["flushLogAtCommit"] == "1" and status["databaseVersion"]


def test_status_of_an_empty_database(o, tmp_path):
    o.sql("CREATE DATABASE empty")
    conf = tmp_path / "octroi.conf"
    conf.write_text(f"db_socket = {o.env['OCTROI_DB_SOCKET']}\ndb_user = root\ndb_name = empty\n")
    assert ctl_json(o, "-c", conf, "status")["schemaVersion"] == 0


# ---- gate --------------------------------------------------------------------------------------------

class Gate:
    """octroictl gate, as a web server talks to it."""

    def __init__(self, o):
        self.process = subprocess.Popen([o.env["OCTROI_CTL"], "gate"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(BrokenPipeError):
                stream.close()

    def ask(self, line, seconds=10):
        self.process.stdin.write(line.encode() if isinstance(line, str) else line)
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()
        answer = b""
        while not answer.endswith(b"\n"):
            assert select.select([self.process.stdout], [], [], seconds)[0], f"no answer to {line!r}"
            more = os.read(self.process.stdout.fileno(), 4096)
            assert more, f"ended at {line!r}"
            answer += more
        return answer.decode().removesuffix("\n")


def test_gate_answers(o):
    rich, poor = o.account(funds_micros=1_000_000), o.account()
    suspended = o.account(funds_micros=1_000_000)
    o.ctl("account", "set", suspended, "--status", "suspended")
    accounts = o.sql("SELECT COUNT(*) FROM accounts")
    with Gate(o) as gate:
        for line, answer in ((f"{rich},,", "204"), (f"{rich},,gpt-4o", "204"), (f"{rich},user:1,gpt-4o", "204"),
                             (f"{poor},,", "402 INSUFFICIENT_CREDITS"), (f"{poor},m,gpt-4o", "402 INSUFFICIENT_CREDITS"),
                             (f"{suspended},,", "402 ACCOUNT_SUSPENDED"),
                             ("never:seen,,", "402 INSUFFICIENT_CREDITS"),
                             (f"{rich},,no-such-model", "422 UNKNOWN_MODEL")):
            assert gate.ask(line) == answer, line
        o.fund(poor, 1_000_000)
        assert gate.ask(f"{poor},,gpt-4o") == "204"
        o.fund(poor, -1_000_000)
        assert gate.ask(f"{poor},,gpt-4o") == "402 INSUFFICIENT_CREDITS"
    assert o.balance(rich) == (1_000_000, 0, 1_000_000)
    assert o.sql("SELECT COUNT(*) FROM accounts") == accounts


def test_gate_checks_the_configured_estimates(o):
    """500 and 2000 tokens of gpt-4o: more than 2 cents, with margin and exchange rate less than 3."""
    with Gate(o) as gate:
        assert gate.ask(f"{o.account(funds_micros=20_000)},,gpt-4o") == "402 INSUFFICIENT_CREDITS"
        assert gate.ask(f"{o.account(funds_micros=30_000)},,gpt-4o") == "204"


def test_gate_survives_what_is_no_question(o):
    account = o.account(funds_micros=1_000_000)
    good = account.encode()
    longest = b"a" * 128 + b"," + b"b" * 128 + b"," + b"c" * 159
    bad = [b"", b",", b",,", b",,,", good, good + b",", good + b",,,", good + b",m,gpt-4o,", b" " + good + b",,",
           good + b" ,,", good + b"\r,,", good + b",,\r", good + b"\0,,", b"\0,,", good + b",,gpt\x004o", good + b",,\x7f",
           good + b",no blanks,", good + b",\xc3\xa9,", b"\xff\xfe,,", b"a" * 129 + b",,", good + b"," + b"b" * 129 + b",",
           good + b",," + b"c" * 160, longest + b"c", b"x" * 100_000, b"," * 100_000, good + b"|gpt-4o", good + b"||",
           b"'; DROP TABLE accounts; --,,", b"%s%n%s,,", b"\\,,"]
    with Gate(o) as gate:
        for line in bad:
            assert gate.ask(line) == "403 INVALID_REQUEST", line[:200]
            assert gate.ask(good + b",,") == "204", line[:200]
        assert gate.ask(longest) == "422 UNKNOWN_MODEL"
        assert gate.ask(good + b",," + "modèle".encode()) == "422 UNKNOWN_MODEL"
        assert gate.ask(good + b",,\xff\xfe") == "422 UNKNOWN_MODEL"
        source = random.Random(1)
        for _ in range(500):
            line = bytes(source.choice(b"aZ09._:@-,, |\0\xff\x1b%{}$") for _ in range(source.randrange(0, 600)))
            assert gate.ask(line).split(" ")[0] in ("402", "403", "422"), line


def test_gate_answers_line_by_line_what_comes_at_once(o):
    account = o.account(funds_micros=1_000_000)
    done = o.ctl("gate", input=f"{account},,\nnonsense\n{account},,gpt-4o\n{account},,")
    assert done.stdout == "204\n403 INVALID_REQUEST\n204\n"  # a line that was not ended is no question


@pytest.mark.parametrize("how", ["EOF", "SIGTERM", "nobody reads"])
def test_gate_ends(o, how):
    account = o.account(funds_micros=1_000_000)
    with Gate(o) as gate:
        assert gate.ask(f"{account},,") == "204"
        if how == "EOF":
            gate.process.stdin.close()
        elif how == "SIGTERM":
            gate.process.send_signal(signal.SIGTERM)
        else:
            gate.process.stdout.close()
            gate.process.stdin.write(b"x\n")
            gate.process.stdin.flush()
        assert gate.process.wait(10) == {"EOF": 0, "SIGTERM": -signal.SIGTERM, "nobody reads": 2}[how]


def test_gate_connects_again(o):
    account = o.account(funds_micros=1_000_000)
    with Gate(o) as gate:
        assert gate.ask(f"{account},,") == "204"
        pid = next(row[0] for row in o.sql("SELECT id FROM information_schema.processlist WHERE user = 'octroi' "
                                           "ORDER BY id DESC"))
        o.sql(f"KILL {pid}")
        assert gate.ask(f"{account},,") == "204"


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_gate_answers_in_time_without_a_database(o, how):
    account = o.account(funds_micros=1_000_000)
    with Gate(o) as gate:
        assert gate.ask(f"{account},,") == "204"
        o.kill("db", how)
        try:
            began = time.monotonic()
            assert gate.ask(f"{account},,") == "503 UNAVAILABLE"
            assert time.monotonic() - began < 4
            began = time.monotonic()
            for _ in range(100):  # nor does everybody wait who stands in line
                assert gate.ask(f"{account},,") == "503 UNAVAILABLE"
            assert time.monotonic() - began < 4
            assert gate.ask("nonsense") == "403 INVALID_REQUEST"
        finally:
            if how == signal.SIGSTOP:
                o.kill("db", signal.SIGCONT)
            o.start()
        wait_until(lambda: gate.ask(f"{account},,") == "204", 10, "the gate is open again")


# ---- without a database --------------------------------------------------------------------------------

def test_database_away(o):
    o.kill("db")
    try:
        for command in (["status"], ["key", "list"], ["account", "list"], ["tick"], ["audit"],
                        ["account", "show", "x"], ["init", "--sql", TOP / "sql"]):
            refused(o, *command)
    finally:
        o.start()
    o.audit()

"""Both sides of `make bench` do the same, and its programs work.  No time is measured here."""

import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "lib"), str(HERE)]

import growth  # noqa: E402
import load  # noqa: E402
import publish  # noqa: E402
import sides  # noqa: E402
import targets  # noqa: E402
from octroi import Octroi, build_dir  # noqa: E402

ACCOUNTS, USAGES, DEEP = 6, 4, 250
FUNDS_MICROS = 40_000  # a dozen requests
needs_php = pytest.mark.skipif(sides.php_fpm() is None, reason="php-fpm and php-mysql are not here")
needs_wrk = pytest.mark.skipif(not shutil.which("wrk"), reason="wrk is not here")


@pytest.fixture(scope="module")
def o():
    """Accounts that have been used, and FUNDS_MICROS are left of each; what was written stands the audit at the end."""
    with Octroi("nginx") as octroi:
        used = USAGES * growth.cost(growth.price(octroi), 480, 150)
        growth.grow(octroi, ACCOUNTS, FUNDS_MICROS + used, USAGES, DEEP)
        yield octroi


def test_octroi_goes_on_with_a_grown_ledger(o):
    assert o.sql("SELECT COUNT(*) FROM entries WHERE seq <= 5") == [(str(ACCOUNTS * (1 + USAGES) + 5),)]
    assert o.balance("bench:2") == (FUNDS_MICROS, 0, FUNDS_MICROS)
    assert growth.cursors(o, 100, page=20, timed=2)["depth"] == 100
    granted = o.post("/api/guard/authorize", {"account": "bench:2", "model": "gpt-4o", "inputTokens": 480, "maxOutputTokens": 150})
    done = o.post("/api/guard/settle", {"hold": granted.json["hold"], "inputTokens": 480, "outputTokens": 150})
    cost = growth.cost(growth.price(o), 480, 150)
    assert done.json["costMicros"] == cost
    assert o.balance("bench:2")[0] == FUNDS_MICROS - cost
    o.fund("bench:2", cost)


class Both:
    """One request to octroi and to PHP.  Each names its holds in its own way: a hold is a pair of names."""

    SAME = ("decision", "reservedMicros", "costMicros", "balanceMicros", "availableMicros", "replayed")

    def __init__(self, octroi, php):
        self.octroi, self.url = octroi, {"octroi": octroi.internal_url, "php": php.url}

    def ask(self, path, body, key="guard"):
        """(status, JSON, pair of holds) of an answer that both gave."""
        answers = []
        for place, url in enumerate(self.url.values()):
            self.octroi.internal_url = url
            own = {**body, "hold": body["hold"][place]} if "hold" in body else body
            answers.append(self.octroi.post(path, own, key=key))
        self.octroi.internal_url = self.url["octroi"]
        ours, theirs = answers
        assert ours.status == theirs.status, (body, answers)
        said = [{name: answer.json.get(name) for name in (self.SAME if ours.status == 200 else ("error",))} for answer in answers]
        assert said[0] == said[1], (body, answers)
        return ours.status, ours.json, tuple(answer.json.get("hold") for answer in answers)

    def authorize(self, **fields):
        return self.ask("/api/guard/authorize", {"model": "gpt-4o", "inputTokens": 500, "maxOutputTokens": 200, **fields})

    def settle(self, hold, **fields):
        return self.ask("/api/guard/settle", {"hold": hold, "inputTokens": 480, "outputTokens": 150, **fields})


@needs_php
def test_php_does_what_octroi_does(o):
    rng = random.Random(5)
    with sides.Php(o, ACCOUNTS, FUNDS_MICROS, children=2) as php:
        both = Both(o, php)
        open_holds, ended, seen = [], [], set()
        for step in range(90):
            account = f"bench:{rng.randint(1, ACCOUNTS)}"
            if open_holds and rng.random() < 0.45:
                hold = open_holds.pop(rng.randrange(len(open_holds)))
                tokens = {"inputTokens": rng.randint(1, 900), "outputTokens": rng.randint(0, 400)}
                assert both.settle(hold, **tokens)[0] == 200
                ended.append((hold, tokens))
                continue
            status, _, hold = both.authorize(account=account, inputTokens=rng.randint(0, 900),
                                             maxOutputTokens=rng.randint(1, 900), requestId=f"r{step}")
            seen.add(status)
            if status == 200:
                open_holds.append(hold)
        assert seen == {200, 402}
        hold, tokens = ended[0]
        assert both.settle(hold, **tokens)[1]["replayed"]
        assert both.settle(hold, inputTokens=1, outputTokens=1)[0] == 409
        for hold in open_holds:
            both.settle(hold)
        balances = dict(php.sql("SELECT name, balance_micros FROM accounts"))
        for i in range(1, ACCOUNTS + 1):
            assert o.balance(f"bench:{i}")[:2] == (int(balances[f"bench:{i}"]), 0)
        assert php.sql("SELECT COUNT(*) FROM holds") == [("0",)]
        sums = php.sql(f"SELECT a.id FROM accounts a LEFT JOIN entries e ON e.account_id = a.id GROUP BY a.id"
                       f" HAVING MAX(a.balance_micros) <> {FUNDS_MICROS} + COALESCE(SUM(e.amount_micros), 0)")
        assert sums == []


@needs_php
def test_php_refuses_what_octroi_refuses(o):
    o.fund("bench:1", 50_000)
    with sides.Php(o, 1, o.balance("bench:1")[0], children=2) as php:
        both = Both(o, php)
        status, _, hold = both.authorize(account="bench:1", requestId="once")
        assert status == 200
        assert both.authorize(account="bench:1", requestId="once")[1]["replayed"]
        assert both.authorize(account="bench:1", requestId="once", inputTokens=7)[0] == 409
        assert both.authorize(account="bench:1", model="no-such-model")[0] == 422
        assert both.authorize(account="nobody")[0] == 402
        for key, status in (("wrong", 401), ("report", 403)):
            body = {"account": "bench:1", "model": "gpt-4o"}
            assert both.ask("/api/guard/authorize", body, key=key)[0] == status
        for wrong in (-1, "5", 1.5, 10**9 + 1):
            assert both.authorize(account="bench:1", inputTokens=wrong)[0] == 400
        assert both.settle(hold)[0] == 200


@needs_wrk
def test_refused_requests_are_counted(o):
    run = load.wrk(sides.Reference(o), 4, 1, "wrong-key", ACCOUNTS)
    assert run.requests > 0 and run.refused == run.requests


def build_beside(directory):
    """The build in another place: the figures of a real run are left alone."""
    build = directory / "build"
    build.mkdir()
    for path in build_dir().iterdir():
        if path.name != "bench":
            (build / path.name).symlink_to(path)
    return build


@needs_wrk
def test_short_run(tmp_path):
    """Each measurement but those that take longest, and the page that is made of them."""
    build = build_beside(tmp_path)
    environment = {**os.environ, "OCTROI_BUILD": str(build)}
    names = ("null", "one by one", "octroi", *(("php",) if sides.php_fpm() else ()))
    subprocess.run([str(HERE / "bench.py"), "--only", "guard,credits,one-connection,conditions,alerts,pages,memory", "--sides", ",".join(names),
                    "--seconds", "1", "--rounds", "1", "--accounts", "50", "--connections", "4", "--singles", "5",
                    "--memory-requests", "1"], env=environment, check=True, timeout=300)
    rows = json.loads((build / "bench" / "guard.json").read_text())["rows"]
    assert {row["side"] for row in rows} == set(names)
    assert all(row["requests"] > 0 and row["refused"] == row["broken"] == 0 for row in rows)
    conditions = json.loads((build / "bench" / "conditions.json").read_text())["rows"]
    assert [(row["side"], row["requests"] > 0, row["ratio"] > 0) for row in conditions] == [
        ("as above", True, True), ("with request ids", True, True), ("an hour later", True, True)]
    alerts = json.loads((build / "bench" / "alerts.json").read_text())
    assert alerts["alerts"] == 50 and alerts["ratio"] > 0
    found = json.loads((build / "bench" / "pages.json").read_text())
    assert [(row["side"], row["pages"], row["ratio"] > 0) for row in found["rows"]] == [("none", 0, True), ("at rest", 25, True), ("in use", 25, True)]
    for name, runs in found["pages"].items():
        assert all(run["pages"] == 25 and set(run["statuses"]) == {"200"} and set(run["asked"]) >= {"/api/credits"} for run in runs), name
    page = tmp_path / "BENCHMARKS.md"
    shutil.copy(HERE.parents[1] / "BENCHMARKS.md", page)
    subprocess.run([str(HERE / "publish.py"), "--into", str(page)], env=environment, check=True, timeout=60)
    assert f"| null |  | 4 | {rows[0]['rate']:,.0f} |" in page.read_text()
    xml.etree.ElementTree.parse(tmp_path / "benchmarks.svg")


@needs_wrk
def test_short_run_of_the_meter(tmp_path):
    """Beside its provider alone; `make bench-meter` fetches LiteLLM."""
    build = build_beside(tmp_path)
    subprocess.run([str(HERE / "meter.py"), "--alone", "--rounds", "1", "--seconds", "1", "--connections", "4"],
                   env={**os.environ, "OCTROI_BUILD": str(build)}, check=True, timeout=120)
    found = json.loads((build / "bench" / "meter.json").read_text())
    assert [(row["side"], row["stream"]) for row in found["rows"]] == [(side, stream) for stream in (False, True)
                                                                       for side in ("provider", "octroi-meter")]
    assert all(row["rate"] > 0 and row["failed"] == 0 for row in found["rows"])
    assert found["booked"] > 0 and found["cut"] <= 2 * 4
    assert "| octroi-meter | streams | 4 |" in publish.show_meter({"meter": found})


def test_figures_that_were_not_measured_are_kept():
    before = "| figure | to reach | reached | met |\n|---|---|---|---|\n| one | at least 1 | 2 | yes |\n| two | at least 1 | 3 | yes |\n"
    made = "| figure | to reach | reached | met |\n|---|---|---|---|\n| one | at least 1 | not measured |  |\n| two | at least 1 | 0 | **no** |"
    assert publish.kept(made, before).splitlines()[2:] == ["| one | at least 1 | 2 | yes |", "| two | at least 1 | 0 | **no** |"]


def test_first_byte_is_measured():
    """A short run; and one whose limit no meter can keep."""
    def measured(limit_ms):
        done = subprocess.run([str(HERE / "first_byte.py"), "--connections", "4", "--seconds", "0.5", "--rounds", "1", "--pause-ms", "1",
                               "--limit-ms", limit_ms], stdout=subprocess.PIPE, text=True, timeout=120, check=False)
        return done.returncode, re.findall(r"^\| (direct|through nginx and octroi-meter) \| ([\d,]+) \| [\d.]+ \|", done.stdout, re.M)

    status, rows = measured("60000")
    assert status == 0 and [name for name, _ in rows] == ["direct", "through nginx and octroi-meter"]
    assert all(int(requests.replace(",", "")) > 4 for _, requests in rows)
    assert measured("0.000001")[0] == 1


def test_missing_programs_are_named(tmp_path):
    def complaint():
        done = subprocess.run([sys.executable, str(HERE / "bench.py")], env={"OCTROI_BUILD": str(tmp_path), "PATH": str(tmp_path)},
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
        assert done.returncode == 1 and done.stdout == ""
        return done.stderr

    assert complaint() == f"no octroi in {tmp_path}: set OCTROI_BUILD to a build directory, or run ./quickstart\n"
    (tmp_path / "octroi").touch()
    for program in ("grow", "null_responder"):
        assert complaint() == f"tests/bench/{program} is missing: make -C {tmp_path} check-programs\n"
        (tmp_path / "tests" / "bench").mkdir(parents=True, exist_ok=True)
        (tmp_path / "tests" / "bench" / program).touch()
    assert complaint() == "wrk is missing: apt-get install wrk\n"


def test_every_second_round_is_reversed():
    order = []
    assert load.in_turn(3, {name: lambda name=name: order.append(name) or len(order) for name in "ab"}) == {"a": [1, 4, 5], "b": [2, 3, 6]}
    assert order == ["a", "b", "b", "a", "a", "b"]


def test_targets_are_judged():
    def row(side, accounts, connections, to_null, p99):
        return {"side": side, "accounts": accounts, "connections": connections, "to_null": to_null, "to_php": None, "p99_ms": p99}

    data = {"guard": {"rows": [row("null", 0, 64, 1, 2), row("octroi", 1000, 64, 0.60, 6.1), row("octroi", 1, 64, 0.64, 5)]}}
    judged = {figure: (reached, met) for figure, _, reached, met in targets.judge(data)}
    assert judged["64 connections, many accounts, to null"] == ("0.60", "yes")
    assert judged["64 connections, one account, to null"] == ("0.64", "**no**")
    assert judged["p99 at 64 connections, many accounts, to that of null"] == ("3.0", "**no**")
    assert judged["64 connections, one account, to PHP"] == (targets.NOT_MEASURED, "")
    assert len(judged) == len(targets.TARGETS)

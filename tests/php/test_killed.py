"""octroi is killed between authorize and settle: what was used is charged, and nothing twice.

KILLS=1000 for the long form (make php-long).
"""

import json
import os
import pathlib
import random
import subprocess

import pytest

import guard
from octroi import Octroi

TOP = pathlib.Path(__file__).resolve().parents[2]
CLIENT = TOP / "clients" / "php" / "octroi.php"
REPLAY = TOP / "clients" / "php" / "octroi-replay"
SPEND = pathlib.Path(__file__).with_name("spend.php")
KILLS = int(os.environ.get("KILLS", 50))


def environment(o, **more):
    return {"PATH": os.environ["PATH"], "OCTROI_INTERNAL_URL": o.internal_url, "OCTROI_GUARD_KEY": o.keys["guard"], **more}


class Spender:
    """spend.php, step by step."""

    def __init__(self, o, spool, account, count):
        self.process = subprocess.Popen(
            ["php", str(SPEND), str(CLIENT), str(spool), account, str(count)], env=environment(o), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def line(self):
        said = self.process.stdout.readline()
        return json.loads(said) if said else None

    def go_on(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def replay(o, spool):
    return subprocess.run(["php", str(REPLAY), str(spool)], env=environment(o), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=120)


@pytest.fixture(scope="module")
def o():
    with Octroi("nginx") as o:
        yield o


def used_by(o, account):
    """Settled usages of an account, and their sum."""
    (row,) = o.sql(f"SELECT COUNT(*), COALESCE(SUM(cost_micros), 0) FROM usages u JOIN accounts a ON a.id = u.account_id "
                   f"WHERE a.external_id = '{account}'")
    return tuple(map(int, row))


def test_killed_between_authorize_and_settle(o, tmp_path):
    chance = random.Random(7)
    account = o.account(funds_micros=1_000_000_000)
    spool = tmp_path / "spool"
    cost, holds, away = 0, set(), 0
    with Spender(o, spool, account, KILLS) as spender:
        for _ in range(KILLS):
            spender.go_on()
            hold = spender.line()
            assert "hold" in hold, hold
            o.kill()
            restarted = chance.random() < 0.5
            if restarted:
                o.start()
            spender.go_on()
            used = spender.line()
            assert used["hold"] == hold["hold"] and (used["delivered"] or not restarted), used
            away += not used["delivered"]
            if not restarted:
                o.start()
            holds.add(hold["hold"])
            cost += guard.cost("gpt-4o", input=used["input"], output=used["output"])
    done = replay(o, spool)
    assert done.returncode == 0 and not spool.exists(), done.stderr
    assert away > KILLS // 5 and len(holds) == KILLS
    assert used_by(o, account) == (KILLS, cost)
    assert o.balance(account) == (1_000_000_000 - cost, 0, 1_000_000_000 - cost)


def test_killed_at_any_moment(o, tmp_path):
    """Also within authorize and settle: holds without an answer stay open until they expire, and cost nothing."""
    chance = random.Random(11)
    account = o.account(funds_micros=1_000_000_000)
    spool = tmp_path / "spool"
    spend = ["php", str(SPEND), str(CLIENT), str(spool), account, str(40 * KILLS)]
    with subprocess.Popen(spend, env=environment(o), text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL) as process:
        kills = 0
        while kills < KILLS // 2 and process.poll() is None:
            try:
                process.wait(chance.uniform(0, 0.3))
            except subprocess.TimeoutExpired:
                o.kill()
                o.start()
                kills += 1
        lines = [json.loads(line) for line in process.stdout]
    assert replay(o, spool).returncode == 0
    used = [line for line in lines if "input" in line]
    assert kills > KILLS // 4 and len(used) > KILLS and len({line["hold"] for line in used}) == len(used)
    cost = sum(guard.cost("gpt-4o", input=line["input"], output=line["output"]) for line in used)
    assert used_by(o, account) == (len(used), cost)
    assert o.balance(account)[0] == 1_000_000_000 - cost


def test_next_success_replays(o, tmp_path):
    account = o.account(funds_micros=1_000_000_000)
    spool = tmp_path / "spool"
    with Spender(o, spool, account, 2) as spender:
        spender.go_on()
        spender.line()
        o.kill()
        spender.go_on()
        assert spender.line()["delivered"] is False and spool.exists()
        o.start()
        spender.go_on()
        spender.line()
        spender.go_on()
        last = spender.line()
        assert last["delivered"] and spender.line() is None, last
    assert not spool.exists() and not pathlib.Path(f"{spool}.work").exists()
    assert o.balance(account)[1] == 0


def test_line_behind_half_a_line(o, tmp_path):
    """A killed writer, or a full disk, leaves a part of a line; the next settlement is not lost with it."""
    account = o.account(funds_micros=1_000_000_000)
    spool = tmp_path / "spool"
    spool.write_text('{"at":2000000000,"settlement":{"hold":"h')
    with Spender(o, spool, account, 1) as spender:
        spender.go_on()
        spender.line()
        o.kill()
        spender.go_on()
        assert spender.line()["delivered"] is False
        assert len(spool.read_text().splitlines()) == 2
        o.start()
    done = replay(o, spool)
    assert done.returncode == 0 and not spool.exists(), done.stderr
    assert used_by(o, account)[0] == 1 and o.balance(account)[1] == 0


def test_replay_twice_has_one_effect(o, tmp_path):
    account = o.account(funds_micros=1_000_000_000)
    hold = o.post("/api/guard/authorize", {"account": account, "model": "gpt-4o"}).json["hold"]
    line = json.dumps({"at": 2_000_000_000, "settlement": {"hold": hold, "usage": {"prompt_tokens": 7, "completion_tokens": 9}}})
    for _ in range(2):
        spool = tmp_path / "spool"
        spool.write_text(line + "\n" + line + "\n")
        assert replay(o, spool).returncode == 0 and not spool.exists()
    left = 1_000_000_000 - guard.cost("gpt-4o", input=7, output=9)
    assert o.balance(account) == (left, 0, left)


def test_replay_of_refused_lines(o, tmp_path):
    """A contradicting usage object is charged as the reservation; an unknown hold is logged and dropped."""
    account = o.account(funds_micros=1_000_000_000)
    authorized = o.post("/api/guard/authorize", {"account": account, "model": "gpt-4o"}).json
    spool = tmp_path / "spool"
    usage = {"prompt_tokens": 7, "completion_tokens": 9, "total_tokens": 1}
    settlements = [{"hold": authorized["hold"], "usage": usage}, {"hold": "x" * 32}, {"nothing": 1}]
    spool.write_text("".join(json.dumps({"at": 2_000_000_000, "settlement": s}) + "\n" for s in settlements) + "no JSON\n")
    done = replay(o, spool)
    assert done.returncode == 0 and not spool.exists(), done.stderr
    assert "refused" in done.stderr and done.stderr.count("dropped") == 2, done.stderr
    assert o.balance(account)[0] == 1_000_000_000 - authorized["reservedMicros"]


def test_replay_keeps_the_rest_while_octroi_is_away(tmp_path):
    spool = tmp_path / "spool"
    lines = [json.dumps({"at": 2_000_000_000, "settlement": {"hold": f"h{i}"}}) for i in range(60)]
    spool.write_text("\n".join(lines) + "\n")
    done = subprocess.run(["php", str(REPLAY), str(spool)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env={"PATH": os.environ["PATH"], "OCTROI_INTERNAL_URL": "http://127.0.0.1:1", "OCTROI_GUARD_KEY": "k"})
    assert done.returncode == 1 and "60 settlements are left" in done.stderr, done.stderr
    kept = (tmp_path / "spool.work").read_text().splitlines()
    assert sorted(json.loads(line)["settlement"]["hold"] for line in kept) == sorted(f"h{i}" for i in range(60))


APPEND = """require $argv[1]; $spool = new Octroi\\Spool($argv[2]);
for ($i = 0; $i < 200; $i++) { $spool->add(['hold' => "$argv[3]-$i", 'usage' => ['n' => str_repeat('x', 700)]]) || exit(1); }"""


def test_writers_at_once_lose_no_line(tmp_path):
    spool = tmp_path / "spool"
    writers = [subprocess.Popen(["php", "-r", APPEND, str(CLIENT), str(spool), str(n)]) for n in range(6)]
    moved = []
    while any(writer.poll() is None for writer in writers):  # as a replay does
        if spool.exists() and not moved:
            take = "require $argv[1]; (function () { $this->takeOver(); })->call(new Octroi\\Spool($argv[2]));"
            subprocess.run(["php", "-r", take, str(CLIENT), str(spool)], check=True)
            moved = pathlib.Path(f"{spool}.work").read_text().splitlines()
    assert all(writer.returncode == 0 for writer in writers)
    lines = moved + (spool.read_text().splitlines() if spool.exists() else [])
    assert sorted(json.loads(line)["settlement"]["hold"] for line in lines) == sorted(f"{n}-{i}" for n in range(6) for i in range(200))
    assert all(len(line) < 4096 for line in lines)


def test_bounds_of_the_spool(tmp_path):
    """A long usage object is spooled as the reservation; a full file takes nothing; an old line is dropped."""
    run = lambda code, *more: subprocess.run(["php", "-r", f"require $argv[1]; $s = new Octroi\\Spool($argv[2]); {code}",
                                              str(CLIENT), str(tmp_path / "spool"), *more], stdout=subprocess.PIPE, text=True).stdout
    assert run("var_dump($s->add(['hold' => 'h', 'usage' => ['n' => str_repeat('x', 5000)]]));") == "bool(true)\n"
    (line,) = (tmp_path / "spool").read_text().splitlines()
    assert json.loads(line)["settlement"] == {"hold": "h", "outcome": "partial"}
    with open(tmp_path / "spool", "a") as spool:
        spool.truncate(16 * 1024 * 1024 - 10)
    assert run("var_dump($s->add(['hold' => 'h']));") == "bool(false)\n"
    (tmp_path / "spool").write_text('{"at":1,"settlement":{"hold":"h"}}\n')
    done = subprocess.run(["php", str(REPLAY), str(tmp_path / "spool")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env={"PATH": os.environ["PATH"], "OCTROI_INTERNAL_URL": "http://127.0.0.1:1", "OCTROI_GUARD_KEY": "k"})
    assert done.returncode == 0 and "dropped" in done.stderr, done.stderr
    assert run("var_dump((new Octroi\\Spool('/nonexistent/spool'))->add(['hold' => 'h']));") == "bool(false)\n"

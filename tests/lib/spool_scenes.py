"""Scenes of octroi killed between a client's authorize and settle: what was used is charged, and nothing twice.

The tests of each language import them, and give the fixtures o, an Octroi, and client, a Driver.
"""

import json
import os
import pathlib
import random
import stat
import subprocess
import time

import faults
import guard
from octroi import wait_until

FUNDS = 1_000_000_000
USED = {"prompt_tokens": 7, "completion_tokens": 9}
USED_COST = guard.cost("gpt-4o", input=7, output=9)
SETTLED_STATE = 0  # of a usage
LATER = 2_000_000_000  # no line of then is old
AWAY = {"OCTROI_INTERNAL_URL": "http://127.0.0.1:1", "OCTROI_GUARD_KEY": "k"}


class Driver:
    """A client in one language.  Each method returns a command."""

    kills = int(os.environ.get("KILLS", 15))
    replays_at_once = True  # when it begins; otherwise when it ends

    def environment(self, **more):
        return {"PATH": os.environ["PATH"], **more}

    def spend(self, spool, account, count):
        """Spends on the account: a line of JSON for each authorize and each settle, before which it awaits a line."""
        raise NotImplementedError

    def replay(self, spool):
        """Settles what the spool has."""
        raise NotImplementedError

    def add(self, spool, settlement):
        """Adds the settlement, and prints True or False."""
        raise NotImplementedError

    def write(self, spool, name):
        """Adds 200 settlements, NAME-0 to NAME-199, with usage objects of 700 bytes."""
        raise NotImplementedError

    def take_over(self, spool):
        """Begins a replay, and stops."""
        raise NotImplementedError

    def begin(self, spool):
        """Makes a client, and ends with standard input."""
        raise NotImplementedError

    # -- what the scenes do with these --------------------------------------------------------------

    def environment_of(self, o):
        return self.environment(OCTROI_INTERNAL_URL=o.internal_url, OCTROI_GUARD_KEY=o.keys["guard"])

    def replays(self, spool, o=None):
        """Runs a replay to octroi, or to none."""
        return subprocess.run(self.replay(spool), env=self.environment_of(o) if o else self.environment(**AWAY), text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)

    def adds(self, spool, settlement):
        done = subprocess.run(self.add(spool, settlement), env=self.environment(), stdout=subprocess.PIPE, text=True, check=True)
        return {"True": True, "False": False}[done.stdout.strip()]

    def spender(self, o, spool, account, count):
        return Spender(self.spend(spool, account, count), self.environment_of(o))


class Spender:
    """A program that spends, step by step."""

    def __init__(self, command, environment):
        self.process = subprocess.Popen(command, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL)

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


def used_by(o, account):
    """Settled usages of an account, and their sum; not the holds that expired, of answers that nobody read."""
    (row,) = o.sql(f"SELECT COUNT(*), COALESCE(SUM(cost_micros), 0) FROM usages u JOIN accounts a ON a.id = u.account_id "
                   f"WHERE a.external_id = '{account}' AND u.state = {SETTLED_STATE}")
    return tuple(map(int, row))


def spooled(*settlements):
    return "".join(json.dumps({"at": LATER, "settlement": settlement}) + "\n" for settlement in settlements)


def settlements_of(lines):
    return sorted(json.loads(line)["settlement"]["hold"] for line in lines)


def test_killed_between_authorize_and_settle(o, client, tmp_path):
    chance = random.Random(7)
    account = o.account(funds_micros=FUNDS)
    spool = tmp_path / "spool"
    cost, holds, away = 0, set(), 0
    with client.spender(o, spool, account, client.kills) as spender:
        for _ in range(client.kills):
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
    done = client.replays(spool, o)
    assert done.returncode == 0 and not spool.exists(), done.stderr
    assert away > client.kills // 6 and len(holds) == client.kills
    assert used_by(o, account) == (client.kills, cost)
    assert o.balance(account) == (FUNDS - cost, 0, FUNDS - cost)


def test_killed_at_any_moment(o, client, tmp_path):
    """Also within authorize and settle: holds without an answer stay open until they expire, and cost nothing."""
    chance = random.Random(11)
    account = o.account(funds_micros=FUNDS)
    spool = tmp_path / "spool"
    with subprocess.Popen(client.spend(spool, account, 40 * client.kills), env=client.environment_of(o), text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        kills = 0
        while kills < client.kills // 2 and process.poll() is None:
            try:
                process.wait(chance.uniform(0, 0.3))
            except subprocess.TimeoutExpired:
                o.kill()
                o.start()
                kills += 1
        lines = [json.loads(line) for line in process.stdout]
    assert client.replays(spool, o).returncode == 0
    used = [line for line in lines if "input" in line]
    assert kills > client.kills // 4 and len(used) > client.kills and len({line["hold"] for line in used}) == len(used)
    cost = sum(guard.cost("gpt-4o", input=line["input"], output=line["output"]) for line in used)
    assert used_by(o, account) == (len(used), cost)
    assert o.balance(account)[0] == FUNDS - cost


def test_next_success_replays(o, client, tmp_path):
    account = o.account(funds_micros=FUNDS)
    spool = tmp_path / "spool"
    with client.spender(o, spool, account, 2) as spender:
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


def test_line_behind_half_a_line(o, client, tmp_path):
    """A killed writer, or a full disk, leaves a part of a line; the next settlement is not lost with it."""
    account = o.account(funds_micros=FUNDS)
    spool = tmp_path / "spool"
    with client.spender(o, spool, account, 2) as spender:  # at its end it would try to send, and move the file
        spender.go_on()
        spender.line()
        spool.write_text('{"at":2000000000,"settlement":{"hold":"h')
        o.kill()
        spender.go_on()
        assert spender.line()["delivered"] is False
        assert len(spool.read_text().splitlines()) == 2
        o.start()
    done = client.replays(spool, o)
    assert done.returncode == 0 and not spool.exists(), done.stderr
    assert used_by(o, account)[0] == 1 and o.balance(account)[1] == 0


def begun(client, o, spool, seconds=60):
    """A program that uses the spool begins, and ends after its beginning's replay, or after so many seconds."""
    environment = client.environment_of(o) if o else client.environment(**AWAY)
    with subprocess.Popen(client.begin(spool), env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE) as process:
        assert process.stdout.readline() == "made\n", "the program did not wait for the replay"
        if o and client.replays_at_once:
            wait_until(lambda: not spool.exists() and not pathlib.Path(f"{spool}.work").exists(), seconds, "the replay")
        _, errors = process.communicate(timeout=seconds)
        return process.returncode, errors


def test_beginning_replays(o, client, tmp_path):
    account = o.account(funds_micros=FUNDS)
    hold = o.post("/api/guard/authorize", {"account": account, "model": "gpt-4o"}).json["hold"]
    spool = tmp_path / "spool"
    spool.write_text(spooled({"hold": hold, "usage": USED}))
    assert begun(client, o, spool) == (0, "")
    assert not spool.exists() and not pathlib.Path(f"{spool}.work").exists()
    assert o.balance(account) == (FUNDS - USED_COST, 0, FUNDS - USED_COST)


def test_beginning_without_octroi(client, tmp_path):
    """Nothing is lost and nobody waits, whether octroi is away or hangs."""
    spool = tmp_path / "spool"
    spool.write_text(spooled({"hold": "h1"}, {"hold": "h2"}))
    began = time.monotonic()
    code, _ = begun(client, None, spool)
    assert code == 0 and time.monotonic() - began < 5
    hanging = faults.Server("hang")
    try:
        os.utime(f"{spool}.lock", (0, 0))  # the last trial was long ago
        began = time.monotonic()
        with subprocess.Popen(client.begin(spool), env=client.environment(OCTROI_INTERNAL_URL=hanging.url, OCTROI_GUARD_KEY="k"),
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
            assert process.wait(60) == 0
        assert time.monotonic() - began < 8
    finally:
        hanging.stop()
    lines = [line for end in (".work", "") for path in [pathlib.Path(f"{spool}{end}")] if path.exists()
             for line in path.read_text().splitlines()]
    assert settlements_of(lines) == ["h1", "h2"]


def test_replay_twice_has_one_effect(o, client, tmp_path):
    account = o.account(funds_micros=FUNDS)
    hold = o.post("/api/guard/authorize", {"account": account, "model": "gpt-4o"}).json["hold"]
    for _ in range(2):
        spool = tmp_path / "spool"
        spool.write_text(2 * spooled({"hold": hold, "usage": USED}))
        assert client.replays(spool, o).returncode == 0 and not spool.exists()
    assert o.balance(account) == (FUNDS - USED_COST, 0, FUNDS - USED_COST)


def test_replay_of_refused_lines(o, client, tmp_path):
    """A contradicting usage object is charged as the reservation; an unknown hold is logged and dropped."""
    account = o.account(funds_micros=FUNDS)
    authorized = o.post("/api/guard/authorize", {"account": account, "model": "gpt-4o"}).json
    spool = tmp_path / "spool"
    contradicting = {"hold": authorized["hold"], "usage": {**USED, "total_tokens": 1}}
    spool.write_text(spooled(contradicting, {"hold": "x" * 32}, {"nothing": 1}) + "no JSON\n")
    done = client.replays(spool, o)
    assert done.returncode == 0 and not spool.exists(), done.stderr
    assert "refused" in done.stderr and done.stderr.count("dropped") == 2, done.stderr
    assert o.balance(account)[0] == FUNDS - authorized["reservedMicros"]


def test_replay_keeps_the_rest_while_octroi_is_away(client, tmp_path):
    spool = tmp_path / "spool"
    spool.write_text(spooled(*({"hold": f"h{i}"} for i in range(60))))
    done = client.replays(spool)
    assert done.returncode == 1 and "60 settlements are left" in done.stderr, done.stderr
    kept = (tmp_path / "spool.work").read_text().splitlines()
    assert settlements_of(kept) == sorted(f"h{i}" for i in range(60))


def test_writers_at_once_lose_no_line(client, tmp_path):
    spool = tmp_path / "spool"
    writers = [subprocess.Popen(client.write(spool, str(n)), env=client.environment()) for n in range(6)]
    moved = []
    while any(writer.poll() is None for writer in writers):  # as a replay does
        if spool.exists() and not moved:
            subprocess.run(client.take_over(spool), env=client.environment(), check=True)
            moved = pathlib.Path(f"{spool}.work").read_text().splitlines()
    assert all(writer.returncode == 0 for writer in writers)
    lines = moved + (spool.read_text().splitlines() if spool.exists() else [])
    assert settlements_of(lines) == sorted(f"{n}-{i}" for n in range(6) for i in range(200))
    assert all(len(line) < 4096 for line in lines)


def test_bounds_of_the_spool(client, tmp_path):
    """A long usage object is spooled as the reservation; a full file takes nothing; an old line is dropped.  Nobody else
    reads the file: it names accounts."""
    spool = tmp_path / "spool"
    assert client.adds(spool, {"hold": "h", "usage": {"n": "x" * 5000}})
    assert stat.S_IMODE(spool.stat().st_mode) == 0o600
    (line,) = spool.read_text().splitlines()
    assert json.loads(line)["settlement"] == {"hold": "h", "outcome": "partial"}
    spool.write_bytes(b'{"at":1')  # a writer was killed
    assert client.adds(spool, {"hold": "h2"}) and json.loads(spool.read_text().splitlines()[1])["settlement"] == {"hold": "h2"}
    with open(spool, "a") as file:
        file.truncate(16 * 1024 * 1024 - 10)
    assert not client.adds(spool, {"hold": "h"})
    spool.write_text('{"at":1,"settlement":{"hold":"h"}}\n')
    done = client.replays(spool)
    assert done.returncode == 0 and "dropped" in done.stderr, done.stderr
    assert not client.adds("/nonexistent/spool", {"hold": "h"})

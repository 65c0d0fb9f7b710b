"""Scenes of graces: while octroi is away a request goes out only where a grace covers it, and then it is counted and booked.

The tests of each language import them, and give fixtures: any_graced, a way of calling the client; graced, which plays
worlds: graced(mode, {name: (url, provider, spool, seconds)}) is the report of each; client, the Driver of spool_scenes
with graces.
"""

import concurrent.futures
import contextlib
import json
import pathlib
import shutil
import time

import pytest

import faults as f
import guard
from fault_scenes import SETTLED, Story, check, patience, seen_of
from octroi import Octroi
from spool_scenes import used_by

FUNDS = 1_000_000_000
COST = guard.cost("gpt-4o", input=100, output=100)
USES = 6
GRACE_SETTINGS = {"outage_grace": f"{(USES * COST + COST // 2) / 10**6:.6f}"}
# No answer, or that of a web server whose octroi is away.  All else is an answer, if a strange one.
OUTAGES = ("refusing", "hanging", "slow", "closing", "resetting", "half an answer", "a half header", "no HTTP", "endless",
           "wrong certificate", "502", "503", "504")
STRANGE = ("a half header", "no HTTP", "endless")  # a client may take these for an answer
GIVEN = {"serial": 1, "limitMicros": 50_000, "bookedMicros": 0, "endsAt": 2_000_000_000, "seconds": 3600, "signature": "A" * 43}


@pytest.fixture(scope="module")
def o():
    with Octroi("nginx", settings=GRACE_SETTINGS) as o:
        yield o


def lines_of(spool):
    """Also those that a replay has begun with."""
    files = [pathlib.Path(f"{spool}{end}") for end in (".work", "")]
    return [json.loads(line) for file in files if file.exists() for line in file.read_text().splitlines()]


@pytest.fixture(scope="module")
def graced_faults(tmp_path_factory, graced):
    """By mode: reports of each fault after a grace was given, and without one."""
    def play(mode):
        home = tmp_path_factory.mktemp("graced")
        with contextlib.ExitStack() as stack:
            giving = stack.enter_context(f.Faults(None))
            giver = f.Server(Story(authorize=[f.hold(grace=GIVEN)], settle=[SETTLED]))
            stack.callback(giver.stop)
            spools = {fault: str(home / fault.replace(" ", "-")) for fault in f.FAULTS}
            first = graced(mode, {fault: (giver.url, giving.provider.url, spool, 5) for fault, spool in spools.items()})
            assert all(happened["exception"] is None for happened in first.values()), first
            happened = {}
            for given in (True, False):
                worlds = {}
                for fault in f.FAULTS:
                    directory = home / f"{fault}-{given}".replace(" ", "-")
                    directory.mkdir()
                    worlds[fault] = stack.enter_context(f.Faults(directory))
                asked = {fault: (world.url(fault), world.provider.url, spools[fault] if given else f"{spools[fault]}-none",
                                 patience(fault)) for fault, world in worlds.items()}
                for fault, told in graced(mode, asked).items():
                    happened[fault, given] = {**told, **seen_of(worlds[fault], fault), "lines": lines_of(asked[fault][2])}
            return happened
    made = {}
    return lambda mode: made.setdefault(mode, made.get(mode) or play(mode))


def test_outages_are_of_the_table():
    assert set(OUTAGES) < set(f.FAULTS)


@pytest.mark.parametrize("fault", list(f.FAULTS))
def test_request_goes_out_only_if_a_grace_covers_it(graced_faults, any_graced, fault):
    without = graced_faults(any_graced)[fault, False]
    check(without, fault)
    assert without["lines"] == []
    happened = graced_faults(any_graced)[fault, True]
    if fault not in OUTAGES or (fault in STRANGE and happened["exception"]):
        check(happened, fault)
        assert happened["lines"] == []
        return
    assert happened["exception"] is None and len(happened["asked"]) == 1, happened
    assert 77 in happened["asked"][0].values(), "the bound of output is that of the counted cost"
    use, settlement = happened["lines"]
    assert use["authorization"] == settlement["authorization"] and "settlement" not in use
    used = {**{name: GIVEN[name] for name in ("serial", "limitMicros", "endsAt", "signature")}, "micros": 20_000, "priceVersion": 1}
    assert use["authorization"]["grace"]["used"] == used
    ids = {body["requestId"] for path, body in happened["seen"] if path == "/api/guard/authorize"}
    assert ids <= {use["authorization"]["requestId"]}, "it may have taken effect, and is booked under its own id"
    assert settlement["settlement"] == {"usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}}
    assert "canary" not in json.dumps(happened), happened


# ---- with octroi --------------------------------------------------------------------------------------------


def spent(client, o, spool, account, count):
    """Requests of one process; the lines of those that went out, and the number of refusals."""
    with client.spender(o, spool, account, count) as spender:
        for _ in range(2 * count):
            spender.go_on()
        lines = [spender.line() for _ in range(2 * count)]
    lines = [line for line in lines if line]
    return [line for line in lines if "input" in line], sum("refused" in line for line in lines)


def cost_of(used):
    return sum(guard.cost("gpt-4o", input=line["input"], output=line["output"]) for line in used)


def entries_of(spool):
    """The entries of graces, and their files."""
    return {path: json.loads(path.read_text()) for path in pathlib.Path(f"{spool}.grace").iterdir()}


def change(spool, **members):
    for path, entries in entries_of(spool).items():
        path.write_text(json.dumps([{**entry, **members} for entry in entries]))


def is_replayed(spool):
    return not spool.exists() and not pathlib.Path(f"{spool}.work").exists()


@pytest.fixture
def account(o):
    return o.account(funds_micros=FUNDS)


@contextlib.contextmanager
def outage(o):
    o.kill()
    try:
        yield
    finally:
        o.start()


def test_processes_of_a_place_share_one_amount(o, client, account, tmp_path):
    """And all that went out is settled, once."""
    spool = tmp_path / "spool"
    first, _ = spent(client, o, spool, account, 1)
    with outage(o), concurrent.futures.ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: spent(client, o, spool, account, 2), range(5)))
    used = [line for lines, _ in done for line in lines]
    assert len(used) == USES and sum(refused for _, refused in done) == 10 - USES, done
    assert not any(line["delivered"] for line in used)
    for _ in range(2):
        replayed = client.replays(spool, o)
        assert replayed.returncode == 0 and is_replayed(spool), replayed.stderr
    assert used_by(o, account) == (1 + USES, cost_of(first + used))
    assert o.balance(account) == (FUNDS - cost_of(first + used), 0, FUNDS - cost_of(first + used))
    # The next outage has an amount of its own.
    spent(client, o, spool, account, 1)
    with outage(o):
        used, refused = spent(client, o, spool, account, 1)
    assert len(used) == 1 and refused == 0


def test_octroi_is_back_before_the_settlement(o, client, account, tmp_path):
    spool = tmp_path / "spool"
    first, _ = spent(client, o, spool, account, 1)
    with client.spender(o, spool, account, 1) as spender:
        with outage(o):
            spender.go_on()
            assert "hold" in spender.line()
        spender.go_on()
        used = spender.line()
    assert used["delivered"], used
    assert client.replays(spool, o).returncode == 0 and is_replayed(spool)
    assert used_by(o, account) == (2, cost_of([*first, used])) and o.balance(account)[1] == 0


def test_account_below_zero_has_no_grace(o, client, account, tmp_path):
    """The operator's amount is the most that can be lost: it is debt, and there is no second one."""
    spool = tmp_path / "spool"
    first, _ = spent(client, o, spool, account, 1)
    o.fund(account, cost_of(first) - FUNDS)
    with outage(o):
        used, _ = spent(client, o, spool, account, USES + 1)
    assert len(used) == USES and client.replays(spool, o).returncode == 0
    assert o.balance(account)[0] == -cost_of(used)
    assert spent(client, o, spool, account, 1) == ([], 1)
    with outage(o):
        assert spent(client, o, spool, account, 1) == ([], 1)


def test_copies_and_old_graces_are_none(o, client, account, tmp_path):
    spool, copy = tmp_path / "spool", tmp_path / "copy"
    spent(client, o, spool, account, 1)
    shutil.copytree(f"{spool}.grace", f"{copy}.grace")
    (path, (entry,)), = entries_of(spool).items()
    with outage(o):
        assert spent(client, o, copy, account, 1) == ([], 1), "another inode is another place"
        for wrong in ({"until": time.time() - 1}, {"seen": time.time() + 60}, {"grace": None}, {"used": entry["grace"]["limitMicros"]},
                      {"nonce": 7}, {"costs": "none"}, {"costs": [{}]}):
            change(spool, **{**entry, **wrong})
            assert spent(client, o, spool, account, 1) == ([], 1), wrong
        for text in ("", "[", "{}", "[7]", "null", "[" * 5000, json.dumps([entry] * 400)):
            path.write_text(text)
            assert spent(client, o, spool, account, 1) == ([], 1), text[:20]
        path.write_text(json.dumps([entry]))
        assert len(spent(client, o, spool, account, 1)[0]) == 1
    assert client.replays(spool, o).returncode == 0


def test_refusal_takes_the_grace_back(o, client, account, tmp_path):
    spool = tmp_path / "spool"
    spent(client, o, spool, account, 1)
    o.fund(account, -o.balance(account)[0])
    assert spent(client, o, spool, account, 1) == ([], 1)
    with outage(o):
        assert spent(client, o, spool, account, 1) == ([], 1)


def test_killed_processes_lose_no_use(o, client, account, tmp_path):
    """A use is in the spool before its request goes out: whoever is killed behind it, its reservation is held at least."""
    spool = tmp_path / "spool"
    spent(client, o, spool, account, 1)
    with outage(o):
        for n in range(3):
            with client.spender(o, spool, account, 1) as spender:
                spender.go_on()
                assert "hold" in spender.line()
            assert len(lines_of(spool)) == n + 1
    assert client.replays(spool, o).returncode == 0 and is_replayed(spool)
    assert o.balance(account)[1] == 3 * COST and o.sql(
        f"SELECT booked_micros FROM graces WHERE account_id = {guard.key_of(account)}") == [(str(3 * COST),)]

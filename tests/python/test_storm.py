"""octroi, the web server and the database are killed at random under guarded chats of both clients: the sum that the provider
billed is the sum that was settled, the spools are empty in the end, and nothing is charged twice.  So it is with graces.

CHATS=2000 for the long form (make python-long).
"""

import collections
import itertools
import json
import os
import random
import subprocess
import threading

import pytest

import faults as f
import guard
import pythons
from octroi import Octroi, wait_until

CHATS = int(os.environ.get("CHATS", 100))
FUNDS = 10_000_000_000
KILLS_LEAST = 3
STORM_WAIT_SECONDS = 60
CLIENTS = ("php", "sync", "async", "wrapped")


class Provider:
    """Bills each request another number of tokens, to the account whose server it is."""

    def __init__(self):
        self.billed, self.serial = [], itertools.count(1)
        self.kills, self.killed = 0, threading.Condition()
        self.server = f.Server(self._answer)

    def _answer(self, handler):
        serial = next(self.serial)
        with self.killed:  # on a fast machine all would be over before the first kill
            self.killed.wait_for(lambda: serial <= CHATS * (self.kills + 1) // (KILLS_LEAST + 1), STORM_WAIT_SECONDS)
        used = {"prompt_tokens": 10 + serial % 80, "completion_tokens": 5}
        used["total_tokens"] = sum(used.values())
        self.billed.append(guard.cost("gpt-4o", input=used["prompt_tokens"], output=5))
        choice = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
        handler.say(200, f.JSON, json.dumps({"id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4o",
                                             "choices": [choice], "usage": used}))

    def note_kill(self):
        with self.killed:
            self.kills += 1
            self.killed.notify_all()


def command(client, provider, spool, account):
    arguments = [provider.server.url, str(spool), account, str(CHATS)]
    if client == "php":
        return ["php", str(pythons.TOP / "tests" / "php" / "chats.php"), str(pythons.TOP / "clients" / "php" / "octroi.php"), *arguments]
    interpreter = pythons.PLAIN if client == "sync" else pythons.packages()
    return [interpreter, str(pythons.HERE / "chats.py"), client, *arguments]


def has_uses(spools):
    """Whether a client has used a grace that is not booked yet."""
    files = [path.with_name(path.name + end) for path in spools for end in ("", ".work")]
    return any(path.exists() and '"authorization"' in path.read_text(errors="replace") for path in files)


def kill_at_random(o, processes, providers, chance, spools=()):
    """Until all of them have ended; how often each part was killed.  With spools, octroi is away until a grace was used."""
    killed = collections.Counter()
    wait_until(lambda: all(provider.billed for provider in providers), 60, "a chat of each client")
    while any(process.poll() is None for process in processes):
        try:
            next(process for process in processes if process.poll() is None).wait(chance.uniform(0.2, 1.5))
        except subprocess.TimeoutExpired:
            part = chance.choice(("octroi", "server", "db"))
            o.kill(part)
            killed[part] += 1
            for provider in providers:
                provider.note_kill()
            if spools and part != "server":  # nginx's workers outlive its master, and go on
                wait_until(lambda: has_uses(spools) or all(process.poll() is not None for process in processes), 60, "a grace")
            o.start()
    return killed


def used_by(o, account):
    (row,) = o.sql(f"SELECT COUNT(*), COALESCE(SUM(cost_micros), 0) FROM usages u JOIN accounts a ON a.id = u.account_id "
                   f"WHERE a.external_id = '{account}' AND cost_micros > 0")
    return tuple(map(int, row))


def replay(o, spool):
    return subprocess.run([pythons.PLAIN, "-m", "octroi.replay", str(spool)], env=environment(o), stderr=subprocess.PIPE, text=True)


def environment(o, on_outage="refuse"):
    return pythons.environment(OCTROI_INTERNAL_URL=o.internal_url, OCTROI_GUARD_KEY=o.keys["guard"], OCTROI_ON_OUTAGE=on_outage)


def booked_by(o, account):
    """The uses of the account's grace, in micros."""
    rows = o.sql(f"SELECT booked_micros FROM graces WHERE account_id = {guard.key_of(account)}")
    return int(rows[0][0]) if rows else 0


@pytest.mark.parametrize("on_outage", ("refuse", "grace"))
def test_storm(o, tmp_path, on_outage):
    providers = {client: Provider() for client in CLIENTS}
    accounts = {client: o.account(funds_micros=FUNDS) for client in CLIENTS}
    processes = [subprocess.Popen(command(client, providers[client], tmp_path / client, accounts[client]), env=environment(o, on_outage),
                                  stderr=open(tmp_path / f"{client}.log", "w")) for client in CLIENTS]
    try:
        killed = kill_at_random(o, processes, providers.values(), random.Random(CHATS),
                                [tmp_path / client for client in CLIENTS] if on_outage == "grace" else ())
    finally:
        for process in processes:
            process.kill()
            process.wait()
    logs = {client: (tmp_path / f"{client}.log").read_text() for client in CLIENTS}
    assert all(process.returncode == 0 for process in processes), logs
    assert sum(killed.values()) >= KILLS_LEAST, killed
    for client in CLIENTS:
        providers[client].server.stop()
        spool = tmp_path / client
        done = replay(o, spool)
        assert done.returncode == 0 and not spool.exists() and not (tmp_path / f"{client}.work").exists(), done.stderr
        billed = providers[client].billed
        assert len(billed) >= CHATS and used_by(o, accounts[client]) == (len(billed), sum(billed)), (client, killed, logs[client])
        assert FUNDS - o.balance(accounts[client])[0] == sum(billed)
    booked = sum(booked_by(o, account) for account in accounts.values())
    assert (booked > 0) == (on_outage == "grace"), (booked, killed)


@pytest.fixture(scope="module")
def o():
    with Octroi("nginx", settings={"outage_grace": "0.1"}) as o:
        yield o

"""octroi, the web server and the database are killed at random under guarded chats of both clients: the sum that the provider
billed is the sum that was settled, the spools are empty in the end, and nothing is charged twice.

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
from octroi import Octroi

CHATS = int(os.environ.get("CHATS", 100))
FUNDS = 10_000_000_000
KILLS_LEAST = 3
STORM_WAIT_SECONDS = 60
CLIENTS = ("php", "sync", "async", "wrapped")


class Provider:
    """Bills each request another number of tokens, to the account whose server it is."""

    def __init__(self):
        self.billed, self.serial = [], itertools.count(1)
        self.stormy = threading.Event()
        self.server = f.Server(self._answer)

    def _answer(self, handler):
        serial = next(self.serial)
        if serial > CHATS // 2:  # on a fast machine all would be over before the first kill
            self.stormy.wait(STORM_WAIT_SECONDS)
        used = {"prompt_tokens": 10 + serial % 80, "completion_tokens": 5}
        used["total_tokens"] = sum(used.values())
        self.billed.append(guard.cost("gpt-4o", input=used["prompt_tokens"], output=5))
        choice = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
        handler.say(200, f.JSON, json.dumps({"id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4o",
                                             "choices": [choice], "usage": used}))


def command(client, provider, spool, account):
    arguments = [provider.server.url, str(spool), account, str(CHATS)]
    if client == "php":
        return ["php", str(pythons.TOP / "tests" / "php" / "chats.php"), str(pythons.TOP / "clients" / "php" / "octroi.php"), *arguments]
    interpreter = pythons.PLAIN if client == "sync" else pythons.packages()
    return [interpreter, str(pythons.HERE / "chats.py"), client, *arguments]


def kill_at_random(o, processes, providers, chance):
    """Until all of them have ended; how often each part was killed."""
    killed = collections.Counter()
    while any(process.poll() is None for process in processes):
        try:
            next(process for process in processes if process.poll() is None).wait(chance.uniform(0.2, 1.5))
        except subprocess.TimeoutExpired:
            part = chance.choice(("octroi", "server", "db"))
            o.kill(part)
            o.start()
            killed[part] += 1
            if sum(killed.values()) == KILLS_LEAST:
                for provider in providers:
                    provider.stormy.set()
    return killed


def used_by(o, account):
    (row,) = o.sql(f"SELECT COUNT(*), COALESCE(SUM(cost_micros), 0) FROM usages u JOIN accounts a ON a.id = u.account_id "
                   f"WHERE a.external_id = '{account}' AND cost_micros > 0")
    return tuple(map(int, row))


def replay(o, spool):
    return subprocess.run([pythons.PLAIN, "-m", "octroi.replay", str(spool)], env=environment(o), stderr=subprocess.PIPE, text=True)


def environment(o):
    return pythons.environment(OCTROI_INTERNAL_URL=o.internal_url, OCTROI_GUARD_KEY=o.keys["guard"])


def test_storm(o, tmp_path):
    providers = {client: Provider() for client in CLIENTS}
    accounts = {client: o.account(funds_micros=FUNDS) for client in CLIENTS}
    processes = [subprocess.Popen(command(client, providers[client], tmp_path / client, accounts[client]), env=environment(o),
                                  stderr=open(tmp_path / f"{client}.log", "w")) for client in CLIENTS]
    try:
        killed = kill_at_random(o, processes, providers.values(), random.Random(CHATS))
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


@pytest.fixture(scope="module")
def o():
    with Octroi("nginx") as o:
        yield o

"""octroi is killed between authorize and settle: the scenes of tests/lib/spool_scenes.py in Python, sync and async.

KILLS=1000 for the long form (make python-long).
"""

import json
import pathlib
import subprocess

import pytest

import pythons
from octroi import Octroi
from spool_scenes import *  # noqa: F403  the tests
from spool_scenes import FUNDS, USED, USED_COST, Driver

SPEND = pathlib.Path(__file__).with_name("spend.py")
PHP_REPLAY = pythons.TOP / "clients" / "php" / "octroi-replay"
SPOOL = "import json, sys, threading, octroi._spool as s; spool = s.Spool(sys.argv[1], print)\n"
ADD = SPOOL + "print(spool.add(json.loads(sys.argv[2])))"
WRITE = SPOOL + """
def add(thread):
    for i in range(50 * thread, 50 * thread + 50):
        assert spool.add({"hold": f"{sys.argv[2]}-{i}", "usage": {"n": "x" * 700}})
threads = [threading.Thread(target=add, args=(n,)) for n in range(4)]
[t.start() for t in threads]; [t.join() for t in threads]"""
TAKE_OVER = SPOOL + "spool._take_over()"
BEGIN = """import sys, octroi
client = getattr(octroi, sys.argv[2]).from_environment(spool=sys.argv[1])
print("made", flush=True)
sys.stdin.read()"""


class Python(Driver):
    def __init__(self, mode):
        self.mode = mode

    def environment(self, **more):
        return pythons.environment(**more)

    def spend(self, spool, account, count):
        interpreter = pythons.packages() if self.mode == "async" else pythons.PLAIN
        return [interpreter, str(SPEND), self.mode, str(spool), account, str(count)]

    def replay(self, spool):
        return [pythons.PLAIN, "-m", "octroi.replay", str(spool)]

    def add(self, spool, settlement):
        return [pythons.PLAIN, "-c", ADD, str(spool), json.dumps(settlement)]

    def write(self, spool, name):
        return [pythons.PLAIN, "-c", WRITE, str(spool), name]

    def take_over(self, spool):
        return [pythons.PLAIN, "-c", TAKE_OVER, str(spool)]

    def begin(self, spool):
        return [pythons.PLAIN, "-c", BEGIN, str(spool), "AsyncOctroi" if self.mode == "async" else "Octroi"]


@pytest.fixture(scope="module")
def o():
    with Octroi("nginx") as o:
        yield o


@pytest.fixture(params=("sync", "async"))
def client(request):
    return Python(request.param)


def test_php_replays_the_spool_of_python(o, tmp_path):
    """One file format: an application in both languages has one spool."""
    account = o.account(funds_micros=FUNDS)
    hold = o.post("/api/guard/authorize", {"account": account, "model": "gpt-4o"}).json["hold"]
    spool = tmp_path / "spool"
    python = Python("sync")
    assert python.adds(spool, {"hold": hold, "usage": USED})
    done = subprocess.run(["php", str(PHP_REPLAY), str(spool)], env=python.environment_of(o), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=120)
    assert done.returncode == 0 and not spool.exists(), done.stderr
    assert o.balance(account) == (FUNDS - USED_COST, 0, FUNDS - USED_COST)


def test_spool_is_its_users_own(client, tmp_path):
    assert client.adds(tmp_path / "spool", {"hold": "h"})
    assert (tmp_path / "spool").stat().st_mode & 0o077 == 0

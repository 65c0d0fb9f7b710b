"""Many connections: idle ones cost a descriptor, never a worker; and how much memory all of it takes."""

import os
import pathlib
import re
import threading
import time

import pytest

import fastcgi
import guard
from conftest import SETTINGS
from octroi import Octroi, wait_until
from swarm import Swarm, raise_descriptor_limit

IDLE = 10_000
ACTIVE = 200
RESIDENT_KIB_MAX = 48 * 1024


@pytest.fixture(scope="module")
def wide():
    """An octroi with 200 workers."""
    raise_descriptor_limit(IDLE + 4096)
    with Octroi("nginx", settings={**SETTINGS, "threads": 200}) as o:
        yield o


def conf(o, key):
    """A key of its octroi.conf."""
    return re.search(rf"^\s*{key}\s*=\s*(.*?)\s*$", pathlib.Path(o.env["OCTROI_CONF"]).read_text(), re.M)[1]


def socket_path(o, key="listen"):
    return conf(o, key).removeprefix("unix:")


def resident_kib(pid):
    return int(re.search(r"^VmRSS:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)[1])


def threads_of(pid):
    return int(re.search(r"^Threads:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)[1])


def test_idle_connections_do_not_keep_active_ones_from_being_served(wide, capsys):
    o, path = wide, socket_path(wide)
    account = o.account(funds_micros=1_000_000_000)
    idle = []
    try:
        for _ in range(IDLE):
            connection = fastcgi.connect(path)
            connection.sendall(fastcgi.request("GET", "/healthz"))
            idle.append(connection)
        for connection in idle:
            assert fastcgi.read_response(connection).status == 200
        with Swarm([o.internal_url], ACTIVE) as swarm:
            swarm.connect()
            started = time.monotonic()
            for _ in range(10):
                granted = swarm.run([swarm.request("POST", "/api/guard/authorize", o.keys["guard"], {
                    "account": account, "model": "gpt-4o", "inputTokens": 1, "maxOutputTokens": 1})] * ACTIVE)
                assert {a.status for a in granted} == {200}
                settled = swarm.run(swarm.request("POST", "/api/guard/settle", o.keys["guard"], {
                    "hold": a.json["hold"], "inputTokens": 1, "outputTokens": 1}) for a in granted)
                assert {a.status for a in settled} == {200}
            seconds = time.monotonic() - started
        resident = resident_kib(o.pid)
        for connection in idle[::101]:  # and the idle ones are still there
            connection.sendall(fastcgi.request("GET", "/healthz"))
            assert fastcgi.read_response(connection).status == 200
        threads = threads_of(o.pid)
    finally:
        for connection in idle:
            connection.close()
    with capsys.disabled():
        print(f"\n{IDLE} idle, {ACTIVE} active: {20 * ACTIVE / seconds:.0f} requests/s, {threads} threads, "
              f"{resident / 1024:.1f} MiB resident")
    assert threads >= 200
    assert resident < RESIDENT_KIB_MAX or "OCTROI_SANITIZER" in os.environ  # which has memory of its own
    took = 10 * ACTIVE * guard.cost("gpt-4o", input=1, output=1)
    assert o.balance(account) == (1_000_000_000 - took, 0, 1_000_000_000 - took)


def test_connections_come_and_go(wide):
    """Five storms of 2,000 connections, each with one request, none left behind."""
    path = socket_path(wide)
    before = len(list(pathlib.Path(f"/proc/{wide.pid}/fd").iterdir()))
    for _ in range(5):
        storm = [fastcgi.connect(path) for _ in range(2000)]
        for connection in storm:
            connection.sendall(fastcgi.request("GET", "/healthz", keep=False))
        for connection in storm:
            assert fastcgi.read_response(connection).status == 200
            connection.close()
    wait_until(lambda: len(list(pathlib.Path(f"/proc/{wide.pid}/fd").iterdir())) <= before + 8,
               what="descriptors back to what they were")


def test_slow_and_silent_clients_do_not_hold_workers(wide):
    """More half-sent requests than there are workers: the next one is served all the same."""
    path = socket_path(wide)
    whole = fastcgi.request("GET", "/healthz")
    slow = []
    try:
        for i in range(500):
            connection = fastcgi.connect(path)
            connection.sendall(whole[:i % len(whole)])
            slow.append(connection)
        started = time.monotonic()
        for _ in range(20):
            assert fastcgi.call(path, "GET", "/healthz").status == 200
        assert time.monotonic() - started < 5
        for i, connection in enumerate(slow[:300]):  # and each is served once the rest has come
            connection.sendall(whole[i % len(whole):])
            assert fastcgi.read_response(connection).status == 200
    finally:
        for connection in slow:
            connection.close()


def test_reads_and_writes_from_many_threads_at_once(wide):
    """Readers never wait for the ledger's connection, nor it for them."""
    account = wide.account(funds_micros=1_000_000_000)
    stop = threading.Event()
    failures = []

    def read():
        while not stop.is_set():
            answer = wide.get(f"/api/credits?account={account}")
            if answer.status != 200:
                failures.append(answer)
        wide.disconnect()

    readers = [threading.Thread(target=read) for _ in range(8)]
    for reader in readers:
        reader.start()
    try:
        with Swarm([wide.internal_url], 64) as swarm:
            answers = swarm.run([swarm.request("POST", "/api/guard/charge", wide.keys["guard"], {
                "account": account, "action": "debrief"})] * 2000)
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    assert {a.status for a in answers} == {200} and not failures
    assert wide.balance(account)[0] == 1_000_000_000 - 2000 * 10_000

"""The bad disk, clock and links that scenes.py gives to a server are as bad as they say."""

import os
import socket
import struct
import subprocess
import sys
import time

import pytest

from nodes import MACHINE, NETS, PEERS, Network, Node, run, why_no_namespaces

PROBE = "import os, time; t = time.monotonic(); os.fsync(1); os.fdatasync(1); print(time.monotonic() - t, time.time())"


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    path = tmp_path_factory.mktemp("machine") / "machine.so"
    run("cc", "-O1", "-shared", "-fPIC", "-Wall", "-Werror", "-o", str(path), str(MACHINE))
    return path


@pytest.mark.parametrize("disk_us, clock_us", [(0, 0), (150_000, -60_000_000), (0, 60_000_000)])
def test_disk_and_clock(library, tmp_path, disk_us, clock_us):
    page, said = tmp_path / "page", tmp_path / "said"
    page.write_bytes(struct.pack("=qq", disk_us, clock_us))
    with open(said, "wb") as out:
        subprocess.run([sys.executable, "-c", PROBE], stdout=out, check=True,
                       env={**os.environ, "LD_PRELOAD": str(library), "CLUSTER_MACHINE": str(page)})
    took, now = map(float, said.read_text().split())
    assert took >= 2 * disk_us / 1e6, took
    assert abs(now - time.time() - clock_us / 1e6) < 20, now


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    if why_no_namespaces():
        pytest.skip(why_no_namespaces())
    Network.enter()
    made = Node(tmp_path_factory.mktemp("node"), 9, namespaces=True)
    yield made
    made.close()


ECHO = "import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.bind(('0.0.0.0', 7777)); print(flush=True)\nwhile 1:\n d, a = s.recvfrom(99); print(flush=True); s.sendto(d, a)"


def exchange(node, seconds):
    """Whether a datagram has reached the node, and how long its echo took (None: lost)."""
    echo = subprocess.Popen([*node._inside(), sys.executable, "-c", ECHO], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    with socket.socket(type=socket.SOCK_DGRAM) as s:
        try:
            echo.stdout.readline()
            os.set_blocking(echo.stdout.fileno(), False)
            s.settimeout(seconds)
            began, took = time.monotonic(), None
            s.sendto(b"x", (f"{NETS[PEERS]}.9", 7777))
            try:
                s.recvfrom(99)
                took = time.monotonic() - began
            except TimeoutError:
                pass
            return bool(echo.stdout.read()), took
        finally:
            echo.kill()
            echo.wait()
            echo.stdout.close()


@pytest.mark.parametrize("how, arrives, comes_back", [
    ({"delay_ms": 50}, True, True), ({"loss_to": 1}, False, False), ({"loss_from": 1}, True, False)])
def test_bad_link(node, how, arrives, comes_back):
    assert None not in exchange(node, 20)  # each has the other's address from here on
    node.disturb(PEERS, **how)
    arrived, took = exchange(node, 20 if comes_back else 2)
    assert (arrived, took is not None) == (arrives, comes_back)
    assert took is None or took > 0.09
    node.heal()
    arrived, took = exchange(node, 20)
    assert arrived and took is not None

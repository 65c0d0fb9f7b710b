"""Each fault of octroi, of the network and of servers in between: the scenes of tests/lib/fault_scenes.py in PHP."""

import concurrent.futures
import json
import pathlib
import subprocess

import pytest

import faults as f
from fault_scenes import *  # noqa: F403  the tests
from fault_scenes import patience, seen_of

TOP = pathlib.Path(__file__).resolve().parents[2]
CLIENT = TOP / "clients" / "php" / "octroi.php"
GUARDED = pathlib.Path(__file__).with_name("guarded.php")
TRANSPORTS = ("curl", "socket", "stream")


def guard(transport, url, provider, options):
    done = subprocess.run(["php", "-d", "display_errors=stderr", str(GUARDED), str(CLIENT), url, provider, transport,
                           json.dumps(options or {"locale": "en"})], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return {**json.loads(done.stdout), "log": done.stderr}


@pytest.fixture
def guarded():
    return guard


@pytest.fixture(params=TRANSPORTS)
def any_mode(request):
    return request.param


@pytest.fixture(params=TRANSPORTS)
def mode(request):
    return request.param


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """All faults at once, because some take as long as the client waits."""
    home = tmp_path_factory.mktemp("faults")
    for transport in TRANSPORTS:
        (home / transport).mkdir()

    def play(pair):
        transport, fault = pair
        with f.Faults(home / transport) as world:
            happened = guard(transport, world.url(fault), world.provider.url, {"answerSeconds": patience(fault)})
            return {**happened, **seen_of(world, fault)}

    worlds = [(transport, fault) for transport in TRANSPORTS for fault in f.FAULTS]
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        happened = dict(zip(worlds, pool.map(play, worlds)))
    return lambda transport: {fault: happened[transport, fault] for fault in f.FAULTS}

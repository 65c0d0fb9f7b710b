"""1,000 streams at once, below 64 MiB; METER_STREAMS: another number."""

import os
import resource
import selectors
import time

import pytest

import guard
from octroi import wait_until
from recorded import RECORDINGS
from stage import Stage, address_of, body_of, cost

STREAMS = int(os.environ.get("METER_STREAMS", "1000"))
NAMES = ["openai-chat", "anthropic", "gemini", "openai-responses"]
MEMORY_KB = 64 << 10


@pytest.fixture(scope="module")
def stage():
    low, high = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(high, 16384), high))
    with Stage({"holds_max": "2000"}) as made:
        yield made
    resource.setrlimit(resource.RLIMIT_NOFILE, (low, high))


def test_a_thousand_streams_at_once(stage):
    payers = [stage.payer() for _ in range(20)]
    reading = selectors.DefaultSelector()
    heads = {}
    for n in range(STREAMS):
        name, payer = NAMES[n % len(NAMES)], payers[n % len(payers)]
        connection = stage.send("POST", "/close" + address_of(name), payer.key, body_of(name, {"id": "many", "wait_at": 3}))
        connection.setblocking(False)
        heads[connection] = b""
        reading.register(connection, selectors.EVENT_READ)
    read_until(reading, heads, lambda: all(b"data:" in got for got in heads.values()), "the first event of each")
    stage.wait_waiting(STREAMS)
    stage.go()
    read_until(reading, heads, lambda: not reading.get_map(), "the end of each")
    assert stage.memory_peak_kb() < MEMORY_KB, stage.memory_peak_kb()
    wait_until(lambda: stage.o.sql(f"SELECT COUNT(*) FROM {guard.HOLDS}") == [("0",)], 60, "the end of all holds", every=0.2)
    expected = sum(cost(RECORDINGS[NAMES[n % len(NAMES)]][2], RECORDINGS[NAMES[n % len(NAMES)]][3]) for n in range(STREAMS))
    used = [use for payer in payers for use in stage.usages(payer).values()]
    assert len(used) == STREAMS and {use["settlement"] for use in used} == {"exact"}
    assert sum(use["cost"] for use in used) == expected == sum(stage.spent(payer) for payer in payers)


def read_until(reading, heads, done, what):
    deadline = time.monotonic() + 120
    while not done():
        assert time.monotonic() < deadline, what
        for key, _ in reading.select(1):
            got = key.fileobj.recv(65536)
            heads[key.fileobj] += got
            if not got:
                reading.unregister(key.fileobj)
                key.fileobj.close()


def sent(stage):
    return [record["sent"] for record in stage.books("slow")]


def test_slow_client_holds_back_its_provider(stage):
    """Back-pressure: a client that does not read costs the meter no memory."""
    payer, before = stage.payer(), stage.memory_peak_kb()
    connections = [stage.send("POST", "/drain" + address_of("openai-chat"), payer.key, body_of("openai-chat", {"id": "slow", "line_mb": 10}))
                   for _ in range(8)]
    wait_until(lambda: len(sent(stage)) == 8 and sent(stage) == sent(stage), 60, "a provider that waits for the meter", every=1)
    assert max(sent(stage)) > 1 << 20 and not any(record["ended"] for record in stage.books("slow"))
    assert stage.memory_peak_kb() - before < 16 << 10
    for connection in connections:
        while connection.recv(1 << 20):
            continue
        connection.close()
    used = stage.wait_settled(payer, 8)
    assert {use["settlement"] for use in used.values()} == {"exact"}

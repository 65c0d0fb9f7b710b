"""Streams of five providers through octroi-meter: whole, cut at any byte, left at any event, and told in any form.

The provider's books say what it billed, octroi's usages what was settled.  Where the provider says what a stream used,
the two are equal.  Where a stream ends before that, the settlement is the declared estimate: the larger of the number of
deltas and a third of the bytes of their texts, never less than was billed.

METER_STEP: the cuts are so many bytes apart (make meter-long: 1).
"""

import concurrent.futures
import json
import os
import time

import pytest

import recorded
from octroi import wait_until
from recorded import RECORDINGS, recording
from stage import address_of, body_of, cost

STEP = int(os.environ.get("METER_STEP", "211"))
CLIENTS = 8
POLICIES = ("close", "drain")
BYTES_PER_TOKEN = 3


def scene(name, **more):
    return {"id": f"{name}-{time.monotonic_ns()}", **more}


def estimate(stream, length):
    """The declared estimate of the output of a stream's first bytes."""
    deltas, bytes, reported = recorded.sent(stream, length)
    return max(deltas, -(-bytes // BYTES_PER_TOKEN), reported or 0)


def expected_stream(name, asked):
    """The bytes that the client is to get."""
    if asked or RECORDINGS[name][1] != recorded.CHAT:
        return recording(name)
    return b"".join(event.raw for event in recorded.events(recording(name)) if not event.json or event.json.get("choices") != [])


def check_whole(stage, payer, answer, name, bill=None):
    used = stage.wait_settled(payer)[answer.hold]
    input, output, cache_read, cache_write = bill or RECORDINGS[name][3]
    assert used["state"] == "settled" and used["settlement"] == "exact", used
    assert used["counts"] == [input, output, cache_read, cache_write], used
    assert used["cost"] == cost(RECORDINGS[name][2], (input, output, cache_read, cache_write)), used


def check_goes_on(stage, payer, answer, name):
    """The provider waits behind its second event, until the client has it."""
    got = answer.event() + answer.event()
    assert got == b"".join(event.raw for event in recorded.events(recording(name))[:2])
    stage.wait_waiting()
    stage.go()
    assert got + answer.whole() == expected_stream(name, False)
    check_whole(stage, payer, answer, name)


# ---- whole ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RECORDINGS)
@pytest.mark.parametrize("form", [{}, {"pieces": 1}, {"pieces": 7}, {"crlf": True}, {"comments": True}, {"bare": True},
                                  {"comments": True, "crlf": True, "pieces": 3}], ids=str)
def test_whole_stream_is_settled_as_billed(stage, payer, name, form):
    said = scene(name, **form)
    answer = stage.ask(name, payer.key, said)
    assert answer.status == 200 and answer.headers["content-type"].startswith("text/event-stream")
    got = answer.whole()
    if not {"crlf", "comments"} & set(form):
        assert got == expected_stream(name, False)
    else:
        assert [event.data for event in recorded.events(got) if event.data] == \
            [event.data for event in recorded.events(expected_stream(name, False))if event.data]
    [record] = stage.books(said["id"])
    assert record["bill"] == list(RECORDINGS[name][3]) and record["ended"]
    check_whole(stage, payer, answer, name)
    assert answer.headers["x-octroi-hold"] and int(answer.headers["x-octroi-reserved"]) > 0 and "x-octroi-balance" in answer.headers


@pytest.mark.parametrize("name", ["openai-chat", "openai-tools", "deepseek"])
def test_client_that_asks_for_the_usage_gets_it(stage, payer, name):
    answer = stage.ask(name, payer.key, scene(name), stream_options={"include_usage": True})
    assert answer.whole() == expected_stream(name, True)
    check_whole(stage, payer, answer, name)


@pytest.mark.parametrize("name", ["openai-chat", "anthropic", "gemini"])
def test_event_goes_on_before_the_next_one_comes(stage, payer, name):
    answer = stage.ask(name, payer.key, scene(name, wait_at=2))
    check_goes_on(stage, payer, answer, name)


@pytest.mark.parametrize("name", ["openai-chat", "openai-responses", "anthropic", "gemini", "mistral"])
def test_answer_that_is_no_stream(stage, payer, name):
    said = scene(name)
    answer = stage.ask(name, payer.key, said, stream=False)
    assert (answer.status, answer.reason) == (200, "OK") and answer.json
    [record] = stage.books(said["id"])
    check_whole(stage, payer, answer, name, record["bill"])


def test_embeddings(stage, payer):
    answer = stage.call("POST", "/openai/v1/embeddings", payer.key, {"model": "gpt-4o", "input": json.dumps({"id": "e"})})
    assert answer.status == 200 and answer.json["data"]
    check_whole(stage, payer, answer, "openai-chat", [11, 0, 0, 0])


@pytest.mark.parametrize("name", ["openai-chat", "anthropic"])
def test_line_of_ten_megabytes(stage, payer, name):
    answer = stage.ask(name, payer.key, scene(name, line_mb=10))
    assert len(answer.whole()) > 10 << 20
    check_whole(stage, payer, answer, name)
    assert stage.memory_peak_kb() < 64 << 10


@pytest.mark.parametrize("name", ["openai-chat", "anthropic", "gemini"])
@pytest.mark.parametrize("stream", [True, False])
def test_gzip_that_nobody_asked_for(stage, payer, name, stream):
    """Counted, or settled as reserved; never free."""
    said = scene(name, gzip=True)
    answer = stage.ask(name, payer.key, said, stream=stream)
    answer.whole()
    used = stage.wait_settled(payer)
    [record] = stage.books(said["id"])
    assert sum(use["cost"] for use in used.values()) >= cost(RECORDINGS[name][2], record["bill"])


# ---- broken off -----------------------------------------------------------------------------------------


def check_part(stage, name, used, record, stream, received):
    """A stream that ended early: input as known, output by the declared estimate of what came or was sent."""
    input, output, cache_read, cache_write = used["counts"]
    billed = record["bill"]
    deltas = recorded.sent(stream, received)[0]
    if used["settlement"] == "exact":
        assert used["counts"] == billed == list(RECORDINGS[name][3]), (used, record)
        return
    assert used["settlement"] in ("partial", "estimated"), used
    if input == 0:  # nothing was known of it: the reservation
        assert deltas == 0 and used["cost"] == used["reserved"], (used, record)
        return
    assert input >= billed[0] or (input, cache_read, cache_write) == (billed[0], billed[2], billed[3]), (used, record)
    if RECORDINGS[name][0] in ("anthropic", "gemini") and recorded.sent(stream, received)[0]:
        assert (input, cache_read, cache_write) == (billed[0], billed[2], billed[3]), (used, record)
    # The meter may have seen a part of the next event.
    high = estimate(stream, recorded.begun(stream, record["sent"]))
    assert deltas <= output <= max(high, 1), (name, received, used, record, high)
    assert used["cost"] == cost(RECORDINGS[name][2], used["counts"]), used


def cut(stage, payer, name, at, place):
    said = scene(name, cut=at)
    answer = stage.ask(name, payer.key, said, place=place)
    got = answer.whole()
    return said["id"], at, answer, got


@pytest.mark.parametrize("name", RECORDINGS)
@pytest.mark.parametrize("policy", POLICIES)
def test_provider_breaks_off_at_any_byte(stage, payer, name, policy):
    stage.forget()
    stream = expected_stream(name, True)
    places = range(0 if STEP == 1 else sum(map(ord, name + policy)) % STEP, len(stream), STEP)
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        done = list(pool.map(lambda at: cut(stage, payer, name, at, "/" + policy), places))
    used = stage.wait_settled(payer, len(done))
    books = {record["id"]: record for record in stage.books(*(id for id, _, _, _ in done))}
    assert len(used) == len(done) == len(books)  # none twice
    for id, at, answer, got in done:
        if answer.status != 200 or answer.hold is None:
            # Nothing came: an error of the meter's own, and the provider has said nothing.
            assert at < len(recorded.events(stream)[0].raw), (at, answer.status)
            continue
        assert stream.startswith(got) or policy, (at, got)
        check_part(stage, name, used[answer.hold], books[id], stream, at)
    assert stage.spent(payer) == sum(use["cost"] for use in used.values())


def leave(stage, payer, name, count, place):
    """Reads so many events, and goes away; the provider pauses, so that it sees the end of its connection."""
    said = scene(name, wait_at=count + 1)
    answer = stage.ask(name, payer.key, said, place=place)
    for _ in range(count):
        assert answer.event()
    answer.close()
    return said["id"], count, answer


@pytest.mark.parametrize("name", RECORDINGS)
def test_client_leaves_at_any_event_and_the_provider_is_cut(stage, payer, name):
    stream = recording(name)
    events = [event for event in recorded.events(stream) if not event.json or event.json.get("choices") != []]
    with concurrent.futures.ThreadPoolExecutor(len(events)) as pool:
        left = list(pool.map(lambda n: leave(stage, payer, name, n, "/close"), range(len(events) - 1)))
    used = stage.wait_settled(payer, len(left))
    books = {record["id"]: record for record in stage.books(*(id for id, _, _ in left))}
    assert len(used) == len(left)
    for id, count, answer in left:
        record = books[id]
        assert record["ended"] and record["closed"], record
        received = sum(len(event.raw) for event in events[:count])
        check_part(stage, name, used[answer.hold], record, stream, received)
    assert stage.spent(payer) == sum(use["cost"] for use in used.values())


@pytest.mark.parametrize("name", RECORDINGS)
def test_client_leaves_at_any_event_and_the_stream_is_drained(stage, payer, name):
    events = [event for event in recorded.events(recording(name)) if not event.json or event.json.get("choices") != []]
    with concurrent.futures.ThreadPoolExecutor(len(events)) as pool:
        left = list(pool.map(lambda n: leave(stage, payer, name, n, "/drain"), range(len(events) - 1)))
    stage.wait_waiting(len(left))
    stage.go()
    used = stage.wait_settled(payer, len(left))
    books = {record["id"]: record for record in stage.books(*(id for id, _, _ in left))}
    for id, _, answer in left:
        assert books[id]["bill"] == list(RECORDINGS[name][3]) and not books[id]["closed"], books[id]
        check_whole(stage, payer, answer, name)
    assert len(used) == len(left)


def test_client_leaves_before_the_provider_answers(stage, payer):
    """The provider has the request: its input is paid, or all that was reserved."""
    said = scene("openai-chat", wait_at=0)
    connection = stage.send("POST", "/close" + address_of("openai-chat"), payer.key, body_of("openai-chat", said))
    stage.wait_waiting()
    connection.close()
    used = stage.wait_settled(payer, 1)
    [use] = used.values()
    assert use["counts"][0] >= RECORDINGS["openai-chat"][3][0] and use["cost"] > 0, use


def test_client_that_leaves_at_once_pays_nothing_or_the_bill(stage, payer):
    for _ in range(20):
        stage.send("POST", "/close" + address_of("openai-chat"), payer.key, body_of("openai-chat", scene("openai-chat"))).close()
    wait_until(lambda: stage.open_holds(payer) == 0, 20, "the end of all holds")


# ---- errors ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["openai-chat", "openai-responses", "anthropic", "gemini"])
@pytest.mark.parametrize("status", [400, 401, 429, 500, 503, 529])
def test_refusal_of_the_provider_costs_nothing(stage, payer, name, status):
    answer = stage.ask(name, payer.key, scene(name, status=status))
    assert answer.status == status and answer.json["error"]["message"] == "refused by the test"
    assert answer.reason  # 529 is no status of HTTP's, and has a word too
    assert answer.headers.get("retry-after") == "7"
    [use] = stage.wait_settled(payer).values() or [{"cost": 0}]
    assert use["cost"] == 0 and stage.spent(payer) == 0


@pytest.mark.parametrize("name", ["openai-chat", "openai-responses", "anthropic", "gemini"])
def test_error_as_the_first_event_costs_nothing(stage, payer, name):
    answer = stage.ask(name, payer.key, scene(name, error_at=0))
    assert b"error" in answer.whole()
    stage.wait_settled(payer)
    assert stage.spent(payer) == 0


@pytest.mark.parametrize("name", ["openai-chat", "openai-responses", "anthropic", "gemini", "mistral"])
def test_error_in_mid_stream_is_paid_as_far_as_it_came(stage, payer, name):
    events = recorded.events(recording(name))
    behind = next(i for i, event in enumerate(events) if event.text) + 2
    said = scene(name, error_at=behind)
    answer = stage.ask(name, payer.key, said)
    got = answer.whole()
    assert got.startswith(events[0].raw) and b"error" in got
    use = stage.wait_settled(payer, 1)[answer.hold]
    [record] = stage.books(said["id"])
    received = sum(len(event.raw) for event in events[:behind])
    assert use["settlement"] in ("partial", "estimated") and use["counts"][0] >= record["bill"][0], (use, record)
    assert recorded.sent(recording(name), received)[0] <= use["counts"][1] <= estimate(recording(name), received)


@pytest.mark.parametrize("name", ["openai-chat", "openai-responses", "gemini", "mistral"])
def test_stream_without_a_usage_is_not_free(stage, payer, name):
    answer = stage.ask(name, payer.key, scene(name, no_usage=True))
    answer.whole()
    use = stage.wait_settled(payer, 1)[answer.hold]
    deltas = recorded.sent(recording(name), len(recording(name)))[0]
    assert use["settlement"] in ("partial", "estimated") and use["counts"][1] >= deltas and use["cost"] <= use["reserved"], use


@pytest.mark.parametrize("trouble", ["drop", "hang"])
def test_provider_that_does_not_answer(stage, trouble):
    """The provider may have served what it did not answer: the client pays what was reserved, or an input, never nothing
    for something; and no hold stays."""
    payer = stage.payer()
    connection = stage.send("POST", "/close" + address_of("openai-chat"), payer.key, body_of("openai-chat", scene("openai-chat", **{trouble: True})))
    if trouble == "hang":
        wait_until(lambda: stage.open_holds(payer) == 1, 10, "a hold")
        connection.close()
    stage.wait_settled(payer)


def test_provider_that_is_away(stage, payer):
    stage.end("meter")
    stage.start_meter(openai_url="http://127.0.0.1:9")
    try:
        answer = stage.ask("openai-chat", payer.key)
        assert answer.status == 502
        stage.wait_settled(payer)
        assert stage.spent(payer) == 0
    finally:
        stage.end("meter")
        stage.start_meter(openai_url=stage.defaults()["openai_url"])

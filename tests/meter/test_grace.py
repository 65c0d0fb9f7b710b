"""Requests that go out while octroi does not answer, within the grace that it gave before.

Each is settled as the provider billed it once octroi is back, by its own hold, once.  The uses of an account come to no
more than the operator's amount, whatever is killed, copied, repeated or made up.
"""

import concurrent.futures
import contextlib
import json
import os
import random
import re
import shutil
import signal
import socket
import threading
import time

import pytest

import guard
from octroi import wait_until
from recorded import RECORDINGS, recording
from stage import FUNDS, Stage, address_of, body_of, cost

GRACE = 50_000  # micros
NAMES = ["openai-chat", "openai-responses", "anthropic", "gemini"]
SETTINGS = {"outage_grace": "0.05", "outage_grace_seconds": "3600"}


class Between:
    """A proxy between the meter and octroi, on a port of its own: away ends each connection; deaf loses the answers, so that
    the requests take effect all the same."""

    def __init__(self):
        self.server = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self.server.getsockname()[1]
        self.target, self.away, self.deaf, self.open = None, False, False, set()
        self.lost = None  # a request with these bytes is cut
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.server.accept()
                if self.away:
                    near.close()
                    continue
                far = socket.create_connection(self.target)
                self.open |= {near, far}
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=self._pump, args=ends, daemon=True).start()

    def _pump(self, source, sink):
        with contextlib.suppress(OSError):
            while True:
                data = source.recv(65536)
                if not data or self.away or (self.lost and self.lost in data) or (self.deaf and source.getpeername() == self.target):
                    break
                sink.sendall(data)
        self._end(source, sink)

    def _end(self, *sockets):
        for one in sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            self.open.discard(one)

    @contextlib.contextmanager
    def outage(self, how="away"):
        setattr(self, how, True)
        if how == "away":
            self.end_all()
        try:
            yield
        finally:
            self.away = self.deaf = False

    def end_all(self):
        self._end(*list(self.open))

    def close(self):
        self.server.close()
        self.end_all()


@pytest.fixture(scope="module")
def between():
    with contextlib.closing(Between()) as made:
        yield made


@pytest.fixture(scope="module")
def stage(between):
    with Stage(SETTINGS, grace="on", hold_seconds="90", octroi_url=between.url) as made:
        host, port = made.o.internal_url.removeprefix("http://").split(":")
        between.target = (host, int(port))
        yield made
        made.end("meter")
        assert made.o.ctl("audit").returncode == 0


@pytest.fixture(autouse=True)
def sound(request):
    """At the end every use has an end."""
    yield
    stage = request.getfixturevalue("stage")
    if stage.meter.poll() is not None:
        stage.start_meter()
    wait_until(lambda: figure(stage, "spool_depth") == 0, 30, "an empty spool", every=0.05)
    assert figure(stage, "grace_unbooked_micros") == 0


def figure(stage, name):
    return int(re.search(rf"^octroi_meter_{name} (-?\d+)$", stage.get("/metrics").whole().decode(), re.M)[1])


def learn(stage, payer, name="openai-chat", stream=True, place="", **more):
    """A request while octroi answers: the meter then has a grace, and knows what such a request costs."""
    answer = stage.ask(name, payer.key, {"id": f"{payer.account}-learn", "longer": "x" * 100}, stream=stream, place=place, **more)
    assert answer.status == 200, answer.whole()
    answer.whole()
    wait_until(lambda: answer.hold in stage.usages(payer), 20, "the settlement")
    return int(answer.headers["x-octroi-reserved"])


def use(stage, payer, name="openai-chat", stream=True, scene=None, **more):
    """A request by a grace; its head has been read."""
    answer = stage.ask(name, payer.key, {"id": f"{payer.account}-use", **(scene or {})}, stream=stream, **more)
    assert answer.status == 200, answer.whole()
    assert re.fullmatch(r"grace-meter-[0-9a-f]{40}-1", answer.hold), answer.hold
    return answer


def leave_a_use(stage, payer):
    """A use that octroi, which is killed, knows nothing of: booking and settlement are in the spool of a killed meter."""
    learn(stage, payer)
    stage.o.kill("octroi")
    use(stage, payer).whole()
    wait_until(lambda: figure(stage, "spool_depth") == 2, 10, "the settlement")
    stage.end("meter", signal.SIGKILL)


def use_at_once(stage, payer, count):
    """Asks so many times at once; how many went out."""
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: stage.ask("openai-chat", payer.key, {"id": payer.account + "-use"}), range(count)))
    served = [answer for answer in answers if answer.status == 200]
    assert len({answer.hold for answer in served}) == len(served)
    assert all(answer.whole() for answer in served) and all(map(is_refused, set(answers) - set(served)))
    return len(served)


def is_refused(answer):
    return answer.status == 503 and b"octroi does not answer" in answer.whole()


def billed(stage, payer, name="openai-chat"):
    """The sum of the provider's bills for the payer."""
    return sum(cost(RECORDINGS[name][2], record["bill"]) for record in stage.books() if (record["id"] or "").startswith(payer.account + "-"))


def sent(stage, payer):
    """How many requests of the payer the provider has got."""
    return sum((record["id"] or "").startswith(payer.account + "-") for record in stage.books())


def row(stage, payer):
    """(limit, booked, serial) of the account's grace."""
    [found] = stage.o.sql(f"SELECT limit_micros, booked_micros, serial FROM graces WHERE account_id = {guard.key_of(payer.account)}")
    return tuple(map(int, found))


def not_given_back(stage, payer):
    return [one for one in stage.usages(payer).values() if (one["state"], one["cost"]) != ("released", 0)]


def check_booked(stage, payer, count, name="openai-chat"):
    """So many holds of the payer have ended, all of them exact, and their sum is what the provider billed.  A request that
    was refused may have a hold, which the meter gives back."""
    wait_until(lambda: len(not_given_back(stage, payer)) >= count, 30, f"{count} settlements", every=0.05)
    used = stage.wait_settled(payer, count)
    assert [one["settlement"] for one in not_given_back(stage, payer)] == ["exact"] * count, used
    assert stage.spent(payer) == billed(stage, payer, name) == sum(use["cost"] for use in used.values()) > 0
    return used


def wait_empty(stage):
    wait_until(lambda: figure(stage, "spool_depth") == 0, 30, "an empty spool", every=0.05)


# ---- what it does -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("name", NAMES)
def test_request_goes_out_and_is_settled_as_billed(stage, payer, name, stream):
    reserved, uses = learn(stage, payer, name, stream), figure(stage, "grace_uses_total")
    stage.o.kill("octroi")
    answer = use(stage, payer, name, stream)
    assert int(answer.headers["x-octroi-reserved"]) == reserved and answer.headers["x-octroi-balance"] == "0"
    got = answer.whole()
    assert not stream or got.endswith(recording(name)[-14:])
    assert figure(stage, "grace_unbooked_micros") == reserved and figure(stage, "grace_uses_total") == uses + 1
    stage.o.start()
    check_booked(stage, payer, 2, name)
    wait_empty(stage)
    assert row(stage, payer)[1] == reserved


def test_member_of_a_key(stage):
    payer = stage.payer("--member", "user:42")
    learn(stage, payer)
    stage.o.kill("octroi")
    use(stage, payer).whole()
    stage.o.start()
    check_booked(stage, payer, 2)
    assert set(stage.o.sql(f"SELECT member FROM usages WHERE account_id = {guard.key_of(payer.account)}")) == {("user:42",)}
    assert payer.key not in (stage.dir / "spool").read_text() + stage.said("meter")


def test_request_without_a_bound_gets_the_granted_one(stage, payer):
    body = {"model": "gpt-4o", "messages": [{"role": "user", "content": json.dumps({"id": payer.account + "-free"})}]}

    def ask():
        return stage.call("POST", address_of("openai-chat"), payer.key, body)
    first = ask()
    assert first.status == 200 and first.json
    stage.wait_settled(payer, 1)
    stage.o.kill("octroi")
    second = ask()
    assert second.status == 200 and second.hold.startswith("grace-") and second.json
    bounds = [record["body"]["max_completion_tokens"] for record in stage.books(payer.account + "-free")]
    assert bounds[0] == bounds[1] > 0
    stage.o.start()
    check_booked(stage, payer, 2)


def test_fitted_request_keeps_its_bound(stage, between):
    """Its account could pay for less output than it asks for.  By a grace it gets as much again, and no more."""
    payer = stage.payer(funds_micros=GRACE // 2)

    def ask():
        return stage.ask("openai-chat", payer.key, {"id": payer.account + "-fit"}, max_tokens=1_000_000)
    first = ask()
    assert first.status == 200 and first.whole()
    stage.wait_settled(payer, 1)
    stage.o.fund(payer.account, 10 * GRACE)
    learn(stage, payer)
    with between.outage():
        second = ask()
        assert second.status == 200 and second.hold.startswith("grace-") and second.whole()
        assert second.headers["x-octroi-reserved"] == first.headers["x-octroi-reserved"]
        third = stage.ask("openai-chat", payer.key, {"id": payer.account + "-fit"}, max_tokens=201)
        assert third.status == 200 and third.whole()
    bounds = [record["body"]["max_tokens"] for record in stage.books(payer.account + "-fit")]
    assert 200 < bounds[0] == bounds[1] < 1_000_000 and bounds[2] == 201
    used = stage.wait_settled(payer, 4)
    assert {one["settlement"] for one in used.values()} == {"exact"}
    assert sum(one["cost"] for one in used.values()) == billed(stage, payer)


def test_stream_that_goes_on_after_octroi_is_back_has_a_hold_of_its_own(stage, payer):
    """The booking gives the relay its hold, and the settlement goes to that."""
    learn(stage, payer)
    stage.o.kill("octroi")
    answer = use(stage, payer, scene={"wait_at": 3})
    assert answer.event()
    stage.wait_waiting()
    stage.o.start()
    wait_until(lambda: stage.open_holds(payer) == 1, 20, "the booking")
    wait_empty(stage)
    stage.go()
    answer.whole()
    check_booked(stage, payer, 2)


def test_streams_that_began_before_the_outage_are_settled_by_their_holds(stage, payer):
    learn(stage, payer)
    begun = stage.ask("openai-chat", payer.key, {"id": payer.account + "-begun", "wait_at": 3})
    stage.wait_waiting()
    stage.o.kill("octroi")
    stage.go()
    begun.whole()
    assert not begun.hold.startswith("grace-")
    use(stage, payer).whole()
    stage.o.start()
    check_booked(stage, payer, 3)


def test_octroi_that_hangs_is_away(stage, payer):
    """After two seconds without an answer a grace is used."""
    learn(stage, payer)
    stage.o.kill("octroi", signal.SIGSTOP)
    try:
        use(stage, payer).whole()
    finally:
        stage.o.kill("octroi", signal.SIGCONT)
    check_booked(stage, payer, 2)


def test_database_that_is_away(stage, payer):
    learn(stage, payer)
    stage.o.kill("db")
    use(stage, payer).whole()
    stage.o.start()
    check_booked(stage, payer, 2)


def test_first_try_that_took_effect_is_not_booked_twice(stage, between, payer):
    """Its answer was lost: the booking finds its hold."""
    learn(stage, payer)
    with between.outage("deaf"):
        use(stage, payer).whole()
        assert stage.open_holds(payer) == 1
    check_booked(stage, payer, 2)
    wait_empty(stage)
    assert row(stage, payer)[1] == 0, "nothing was booked from the grace"
    # octroi's sum is the truth again, so that the whole amount can be used.
    reserved = learn(stage, payer)
    with between.outage():
        assert use_at_once(stage, payer, GRACE // reserved) == GRACE // reserved
        assert is_refused(stage.ask("openai-chat", payer.key))
    check_booked(stage, payer, 3 + GRACE // reserved)


def test_answers_without_a_bound_of_their_own(stage, between, payer):
    body = {"model": "gpt-4o", "input": json.dumps({"id": payer.account + "-e"})}

    def ask():
        return stage.call("POST", "/openai/v1/embeddings", payer.key, body)
    assert ask().json["data"]
    with between.outage():
        answer = ask()
        assert answer.status == 200 and answer.hold.startswith("grace-") and answer.json["data"]
    check_booked(stage, payer, 2)


def test_payer_by_the_web_server(stage, between):
    """Without a key its parameters say who pays; another account's grace is of no use."""
    stage.end("meter")
    stage.start_meter(trust_server_params="on")
    try:
        stage.o.account("ws:trusted", funds_micros=FUNDS)
        payer = type(stage.payer())("ws:trusted", None)
        learn(stage, payer, place="/trusted")
        with between.outage():
            use(stage, payer, place="/trusted").whole()
        check_booked(stage, payer, 2)
    finally:
        stage.end("meter")
        stage.start_meter(trust_server_params="off")


def test_bookings_are_sent_after_the_switch_is_off(stage, between, payer):
    learn(stage, payer)
    with between.outage():
        use(stage, payer).whole()
        wait_until(lambda: figure(stage, "spool_depth") == 2, 10, "the settlement")
        stage.end("meter", signal.SIGKILL)
    stage.start_meter(grace="off")
    check_booked(stage, payer, 2)
    stage.end("meter")
    stage.start_meter(grace="on")


# ---- what it does not do ------------------------------------------------------------------------------------


def test_grace_is_off_by_default(stage, payer):
    stage.end("meter")
    stage.start_meter(grace="off")
    try:
        learn(stage, payer)
        stage.o.kill("octroi")
        assert is_refused(stage.ask("openai-chat", payer.key))
    finally:
        stage.o.start()
        stage.end("meter")
        stage.start_meter(grace="on")
    assert stage.o.sql(f"SELECT COUNT(*) FROM graces WHERE account_id = {guard.key_of(payer.account)}") == [("0",)]


def test_requests_that_are_not_covered(stage, between, payer):
    learn(stage, payer)
    text = body_of("openai-chat", {})["messages"][0]["content"]
    more = {"input": {"messages": [{"role": "user", "content": text + "x" * 300}]}, "output": {"max_tokens": 201},
            "a bound for each of two": {"n": 2}, "another model": {"model": "gpt-4o-mini"}, "another price": {"service_tier": "priority"},
            "reasoning": {"reasoning_effort": "high"},
            "a picture": {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://a.example/"}}]}]},
            "no bound": {"max_tokens": None}}
    with between.outage():
        for why, fields in more.items():
            assert is_refused(stage.ask("openai-chat", payer.key, **fields)), why
        assert is_refused(stage.ask("anthropic", payer.key))
        assert is_refused(stage.ask("openai-chat", payer.key, headers=[("X-Octroi-Models", "gpt-4o, gpt-4o-mini")]))
        assert is_refused(stage.ask("openai-chat", stage.payer().key)), "a payer that it does not know"
        assert is_refused(stage.ask("openai-chat", "oct_meter_" + "A" * 43))
        use(stage, payer, max_tokens=100).whole()
    check_booked(stage, payer, 2)


def test_request_under_an_idempotency_key_is_not_sent_twice(stage, between, payer):
    """Before the outage it was sent and settled: a booking would find that hold, and the second answer would be free."""
    again = [("Idempotency-Key", payer.account)]
    learn(stage, payer)
    answer = stage.ask("openai-chat", payer.key, {"id": payer.account + "-key"}, headers=again)
    assert answer.status == 200 and answer.whole()
    stage.wait_settled(payer, 2)
    with between.outage():
        assert is_refused(stage.ask("openai-chat", payer.key, {"id": payer.account + "-key"}, headers=again))
    check_booked(stage, payer, 2)


@pytest.mark.parametrize("status", [402, 403, "member"])
def test_refusal_forgets_the_grace(stage, between, status):
    payer = stage.payer(*(["--member", "ann"] if status == "member" else []))
    learn(stage, payer)
    if status == 402:
        stage.o.fund(payer.account, -stage.o.balance(payer.account)[2])
    elif status == 403:
        stage.o.call("PUT", f"/api/accounts/{payer.account}", json={"status": "suspended"})
    else:
        at = f"/api/accounts/{payer.account}/members/ann"
        assert stage.o.call("PUT", at, json={"role": "member"}).status == 200 and stage.o.call("DELETE", at).status == 200
    assert stage.ask("openai-chat", payer.key).status in (402, 403)
    with between.outage():
        assert is_refused(stage.ask("openai-chat", payer.key))
    assert len(stage.wait_settled(payer)) == 1


def test_key_that_octroi_refuses(stage, between, payer):
    """Its holder has no grace any more; the account has one with the next success."""
    made = json.loads(stage.o.ctl("key", "create", "--scope", "meter", "--account", payer.account, "--json").stdout)
    other = type(payer)(payer.account, made["key"])
    learn(stage, other)
    learn(stage, payer)
    stage.o.ctl("key", "revoke", made["id"])
    wait_until(lambda: stage.ask("openai-chat", other.key, {"id": other.account + "-last"}).whole() and
               stage.ask("openai-chat", other.key, {"id": other.account + "-last"}).status == 401, 20, "the revocation", every=0.5)
    learn(stage, payer)
    count = len(stage.wait_settled(payer))
    with between.outage():
        assert is_refused(stage.ask("openai-chat", other.key))
        use(stage, payer).whole()
    check_booked(stage, payer, count + 1)


def test_key_that_is_revoked_during_the_outage(stage, between, payer):
    """Its use took place, and is booked by the names of the account."""
    made = json.loads(stage.o.ctl("key", "create", "--scope", "meter", "--account", payer.account, "--json").stdout)
    other = type(payer)(payer.account, made["key"])
    learn(stage, other)
    with between.outage():
        use(stage, other).whole()
        stage.o.ctl("key", "revoke", made["id"])
        wait_until(lambda: stage.o.post("/api/guard/authorize", {"meterKey": other.key, "model": "gpt-4o"}).status == 403, 20,
                   "the revocation", every=0.2)
    wait_until(lambda: len(stage.usages(payer)) >= 2, 20, "the settlement")
    assert stage.spent(payer) == billed(stage, payer)


# ---- what is killed -----------------------------------------------------------------------------------------


def test_meter_is_killed_after_the_stream(stage, payer):
    """Booking and settlement are in the spool, which the next meter reads: octroi has each once."""
    learn(stage, payer)
    stage.o.kill("octroi")
    for _ in range(3):
        use(stage, payer).whole()
    wait_until(lambda: figure(stage, "spool_depth") == 6, 10, "the settlements")
    for _ in range(2):
        stage.end("meter", signal.SIGKILL)
        stage.start_meter()
        assert is_refused(stage.ask("openai-chat", payer.key)), "a new process has no grace"
        assert figure(stage, "spool_depth") == 6
    stage.o.start()
    check_booked(stage, payer, 4)


def test_meter_is_killed_in_mid_stream(stage, payer):
    """The use is booked, and its hold expires: the reservation is charged, which is no less than the bill."""
    reserved = learn(stage, payer)
    stage.o.kill("octroi")
    answers = [use(stage, payer, scene={"wait_at": 3}) for _ in range(3)]
    stage.wait_waiting(3)
    stage.end("meter", signal.SIGKILL)
    for answer in answers:
        answer.whole()
    stage.start_meter()
    stage.o.start()
    wait_until(lambda: stage.open_holds(payer) == 3, 20, "the bookings")
    wait_empty(stage)
    guard.pass_time(stage.o, payer.account, 3600)
    stage.o.ctl("tick")
    used = stage.wait_settled(payer, 4)
    late = [one for one in used.values() if one["state"] == "expired"]
    assert len(late) == 3 and all(0 < one["cost"] == one["reserved"] <= reserved for one in late)
    assert stage.spent(payer) >= billed(stage, payer)


def test_meter_is_killed_between_booking_and_settlement(stage, between, payer):
    """octroi has the booking, and then the settlement of the next meter finds its hold by it."""
    learn(stage, payer)
    with between.outage():
        answer = use(stage, payer, scene={"wait_at": 3})
        stage.wait_waiting()
    wait_until(lambda: stage.open_holds(payer) == 1, 20, "the booking")
    with between.outage():
        stage.go()
        answer.whole()
        stage.end("meter", signal.SIGKILL)
    stage.start_meter()
    check_booked(stage, payer, 2)
    # The file is empty after that, or read again without any effect.
    stage.end("meter", signal.SIGKILL)
    stage.start_meter()
    check_booked(stage, payer, 2)


def test_meter_is_killed_before_the_request_goes_out(stage, payer):
    """At any moment: each request that the provider got is charged, and none is charged twice."""
    learn(stage, payer)
    for moment in range(6):
        stage.o.kill("octroi")
        asked = [stage.send("POST", address_of("openai-chat"), payer.key, body_of("openai-chat", {"id": payer.account + "-use", "pause_ms": 1}))
                 for _ in range(4)]
        wait_until(lambda: (stage.dir / "spool").read_bytes().count(b'"booking"') >= min(moment, 4), 20, "bookings", every=0.0005)
        stage.end("meter", signal.SIGKILL)
        for one in asked:
            one.close()
        stage.start_meter()
        stage.o.start()
        wait_empty(stage)
        learn(stage, payer)
    guard.pass_time(stage.o, payer.account, 3600)
    stage.o.ctl("tick")
    used = stage.wait_settled(payer)
    whole = cost("gpt-4o", RECORDINGS["openai-chat"][3])
    assert len(used) >= sent(stage, payer) and all(one["cost"] in (one["reserved"], whole) or one["state"] == "released"
                                                   for one in used.values())
    assert stage.spent(payer) == sum(one["cost"] for one in used.values()) >= billed(stage, payer)


def test_meter_is_asked_to_end(stage, between, payer):
    learn(stage, payer)
    with between.outage():
        answer = use(stage, payer, scene={"wait_at": 3})
        stage.wait_waiting()
        stage.meter.send_signal(signal.SIGTERM)
        stage.go()
        answer.whole()
        assert stage.meter.wait(40) == 0
    stage.start_meter()
    check_booked(stage, payer, 2)


def test_spool_whose_last_line_was_cut(stage, payer):
    leave_a_use(stage, payer)
    with open(stage.dir / "spool", "ab") as spool:
        spool.write(b'{"at":1,"booking":{"account":"')
    stage.start_meter()
    stage.o.start()
    check_booked(stage, payer, 2)


# ---- for nothing --------------------------------------------------------------------------------------------


@pytest.fixture
def poor(stage):
    """An account that has nothing but a grace."""
    payer = stage.payer()
    payer.reserved = learn(stage, payer)
    stage.o.fund(payer.account, -stage.o.balance(payer.account)[2])
    return payer


def check_debt(stage, payer, uses):
    """The debt is at most the amount, and nothing that the provider billed is lost."""
    used = stage.wait_settled(payer, uses + 1)
    assert len(used) == uses + 1, used
    assert sum(one["cost"] for one in used.values()) == billed(stage, payer)
    assert -GRACE <= stage.o.balance(payer.account)[0] <= 0
    assert row(stage, payer)[1] <= row(stage, payer)[0]


def test_no_more_than_the_amount_goes_out_at_once(stage, between, poor):
    most = GRACE // poor.reserved
    with between.outage():
        assert use_at_once(stage, poor, most + 10) == most
        assert figure(stage, "grace_unbooked_micros") == most * poor.reserved
    check_debt(stage, poor, most)
    assert stage.ask("openai-chat", poor.key).status == 402
    with between.outage():
        assert is_refused(stage.ask("openai-chat", poor.key)), "no other grace before it has paid"


def test_restarts_make_no_new_amount(stage, between, payer):
    """Uses that octroi does not know yet count after a start, even when octroi gives the grace again."""
    most = GRACE // learn(stage, payer)
    with between.outage():
        assert use_at_once(stage, payer, most - 2) == most - 2
        wait_until(lambda: figure(stage, "spool_depth") == 2 * (most - 2), 10, "the settlements")
        stage.end("meter", signal.SIGKILL)
    between.lost = b'"used":{'  # octroi gets no booking
    try:
        stage.start_meter()
        learn(stage, payer)
        with between.outage():
            assert use_at_once(stage, payer, 10) == 2
    finally:
        between.lost = None
    refused = figure(stage, "grace_refused_total")
    check_booked(stage, payer, 2 + most)
    assert refused == figure(stage, "grace_refused_total")


@pytest.mark.parametrize("how", ["copied", "gone", "broken", "long", "empty"])
def test_place_that_is_not_the_one_that_octroi_knows(stage, between, payer, how):
    learn(stage, payer)
    assert row(stage, payer)[0] == GRACE
    stage.end("meter")
    file = stage.dir / "spool.grace"
    text = file.read_text()
    assert re.fullmatch("[0-9a-f]{32}\n", text) and file.stat().st_mode & 0o777 == 0o600
    if how == "copied":
        shutil.copy2(file, stage.dir / "copy")
        shutil.chown(stage.dir / "copy", file.stat().st_uid, file.stat().st_gid)
        os.rename(stage.dir / "copy", file)
    elif how == "gone":
        file.unlink()
    else:
        file.write_text({"broken": "g" + text[1:], "long": text + text, "empty": ""}[how])
    stage.start_meter()
    learn(stage, payer)
    with between.outage():
        assert is_refused(stage.ask("openai-chat", payer.key))
    assert re.fullmatch("[0-9a-f]{32}\n", file.read_text())
    # An account that had no grace gets one here.
    other = stage.payer()
    learn(stage, other)
    with between.outage():
        use(stage, other).whole()
    check_booked(stage, other, 2)


@pytest.mark.parametrize("how", ["directory", "link"])
def test_place_that_cannot_be_opened(stage, how):
    stage.end("meter")
    file, kept = stage.dir / "spool.grace", stage.dir / "kept"
    os.rename(file, kept)
    if how == "directory":
        file.mkdir()
    else:
        file.symlink_to(kept)
    try:
        process = stage.program([stage.meter.args[-3], "-c", str(stage.dir / "octroi-meter.conf")], "refused")
        assert process.wait(20) == 1
        assert "event=grace_place_failed" in stage.said("refused")
    finally:
        file.rmdir() if how == "directory" else file.unlink()
        os.rename(kept, file)
        stage.start_meter()


def test_booking_that_octroi_refuses(stage, between, payer):
    """The grace was given to this place, but octroi's row is gone: the use is lost, and is said so."""
    reserved = learn(stage, payer)
    before = figure(stage, "grace_refused_total"), figure(stage, "grace_refused_micros_total")
    with between.outage():
        use(stage, payer).whole()
        streaming = use(stage, payer, scene={"wait_at": 3})
        stage.wait_waiting()
        stage.o.sql(f"DELETE FROM graces WHERE account_id = {guard.key_of(payer.account)}")
    wait_until(lambda: figure(stage, "grace_refused_total") == before[0] + 2, 20, "the refusals")
    assert figure(stage, "grace_refused_micros_total") == before[1] + 2 * reserved
    stage.go()
    streaming.whole()
    wait_empty(stage)
    assert stage.said("meter").count(f'event=booking_refused hold="{streaming.hold}"') == 1
    assert len(stage.wait_settled(payer)) == 1
    # The next one is booked again.
    learn(stage, payer)
    with between.outage():
        use(stage, payer).whole()
    stage.wait_settled(payer, 3)


def test_spool_that_was_made_up(stage, payer):
    """Bookings of another place, without a signature, for more, or no bookings at all move nothing."""
    leave_a_use(stage, payer)
    lines = (stage.dir / "spool").read_text().splitlines()
    [booking] = [json.loads(line)["booking"] for line in lines if '"booking"' in line]
    used = booking["grace"]["used"]
    made_up = [{**booking, "requestId": f"meter-{n:040x}-1", "grace": {**booking["grace"], **change}} for n, change in enumerate((
        {"used": {**used, "micros": GRACE + 1}}, {"used": {**used, "limitMicros": 10 * GRACE, "micros": 2 * GRACE}},
        {"used": {**used, "signature": "A" * 43}}, {"used": {**used, "serial": used["serial"] + 1}}, {"place": "0" * 32}))]
    with open(stage.dir / "spool", "a") as spool:
        for one in made_up:
            name = "grace-" + one["requestId"]
            spool.write(json.dumps({"at": 1, "booking": one}) + "\n" + json.dumps({"at": 1, "settlement": {"hold": name}}) + "\n")
        for line in ({"booking": 1}, {"booking": {"requestId": "x"}}, {"settlement": {"hold": "grace-meter-" + "f" * 40 + "-1"}},
                     {"settlement": {"x": 1, "hold": "grace-meter-" + "f" * 40 + "-1"}}):
            spool.write(json.dumps({"at": 1, **line}) + "\n")
    stage.start_meter()
    stage.o.start()
    wait_empty(stage)
    check_booked(stage, payer, 2)


def test_client_that_goes_before_its_answer(stage, between, poor):
    """Nothing was sent, or all of it is charged; a grace is not used up for nothing."""
    with between.outage():
        for _ in range(5):
            stage.send("POST", address_of("openai-chat"), poor.key, body_of("openai-chat", {"id": poor.account + "-use"})).close()
    wait_until(lambda: figure(stage, "streams") == 0, 30, "the end of the requests", every=0.1)
    used = stage.wait_settled(poor)
    assert sum(one["cost"] for one in used.values()) >= billed(stage, poor)


def test_provider_that_fails_costs_nothing(stage, between, poor):
    with between.outage():
        assert stage.ask("openai-chat", poor.key, {"id": poor.account + "-use", "status": 500}).status == 500
    used = stage.wait_settled(poor, 2)
    assert sorted(one["state"] for one in used.values()) == ["released", "settled"]
    assert stage.o.balance(poor.account)[0] == 0
    # The amount is used up all the same until octroi gives another.
    assert row(stage, poor)[1] == poor.reserved


def test_no_word_of_a_key_or_a_prompt_is_kept(stage, between, payer):
    learn(stage, payer)
    with between.outage():
        use(stage, payer).whole()
        wait_until(lambda: figure(stage, "spool_depth") == 2, 10, "the settlement")
        kept = "".join(file.read_text() for file in stage.dir.glob("spool*"))
        assert payer.key not in kept and "pad" not in kept and payer.account in kept
    check_booked(stage, payer, 2)


class Chance:
    """Requests, outages, lost answers and killed meters in a random order, of accounts with little credit."""

    def __init__(self, stage, between, seed):
        self.stage, self.between, self.random = stage, between, random.Random(seed)
        self.payers = [stage.payer(funds_micros=self.random.choice((2, 5)) * GRACE) for _ in range(3)]
        self.served = 0

    def request(self):
        payer, n = self.random.choice(self.payers), self.random.randrange(4)
        headers = [("Idempotency-Key", payer.account + str(self.random.randrange(3)))] if self.random.random() < 0.2 else []
        scene = {"id": payer.account + "-any", **({"status": 500} if self.random.random() < 0.1 else {})}
        place, leaves = self.random.choice(("/close", "/drain")), self.random.random() < 0.3
        try:
            answer = self.stage.ask("openai-chat", payer.key, scene, stream=n > 0, place=place, headers=headers)
            if answer.status == 200 and leaves:
                answer.event()
                answer.close()
            else:
                answer.whole()
        except OSError:
            return
        self.served += answer.status == 200

    def requests(self):
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            for done in [pool.submit(self.request) for _ in range(self.random.randrange(1, 8))]:
                done.result()

    def switch(self):
        self.between.deaf = False
        self.between.away = not self.between.away
        if self.between.away:
            self.between.end_all()

    def lose(self):
        self.between.deaf = not self.between.deaf

    def kill(self):
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(self.request) for _ in range(3)]
            time.sleep(self.random.random())  # the moment is the point
            self.stage.end("meter", signal.SIGKILL)
            for one in asked:
                one.result()
        self.stage.start_meter()

    def fund(self):
        self.stage.o.fund(self.random.choice(self.payers).account, GRACE)

    def step(self):
        self.random.choices((self.requests, self.switch, self.lose, self.kill, self.fund), (10, 3, 1, 2, 1))[0]()


@pytest.mark.parametrize("seed", [int(os.environ["SEED"])] if "SEED" in os.environ else [1, 2])
def test_nothing_is_had_for_nothing(stage, between, seed):
    """At the end each account has paid for all that the provider billed, and no one is deeper in debt than the amount.
    SEED and STEPS for other and longer ones."""
    chance, refused = Chance(stage, between, seed), stage.said("meter").count("event=booking_refused")
    try:
        for _ in range(int(os.environ.get("STEPS", 25))):
            chance.step()
    finally:
        between.away = between.deaf = False
    wait_until(lambda: figure(stage, "streams") == 0, 120, "the end of the requests", every=0.2)
    wait_empty(stage)
    for payer in chance.payers:
        guard.pass_time(stage.o, payer.account, 3600)
    stage.o.ctl("tick")
    for payer in chance.payers:
        used = stage.wait_settled(payer)
        assert sum(one["cost"] for one in used.values()) >= billed(stage, payer), (seed, payer.account)
        assert stage.o.balance(payer.account)[0] >= -GRACE, (seed, payer.account)
        assert len(used) >= len({record["id"] for record in stage.books(payer.account + "-any") if record["bill"] != [0, 0, 0, 0]})
    assert stage.said("meter").count("event=booking_refused") == refused and chance.served > 0

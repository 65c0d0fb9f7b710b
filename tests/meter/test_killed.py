"""Parts that are killed in mid-stream: what was settled is what the provider billed, nothing twice, no hold left.

A meter that is killed knows no more what its streams have used.  Their holds expire, and are captured: the reservation is
charged, which is never less than the bill.
"""

import concurrent.futures
import signal

import pytest

import guard
from octroi import build_dir, wait_until
from recorded import RECORDINGS, recording
from stage import Answer, Stage, address_of, body_of, cost

NAMES = ["openai-chat", "openai-responses", "anthropic", "gemini"]
STREAMS = 8


@pytest.fixture(scope="module")
def stage():
    """One whose parts are killed and started again."""
    with Stage(hold_seconds="90") as made:
        yield made


def begin(stage, payer, count=STREAMS, place="/close"):
    """So many streams that wait at the provider behind three events; (recording, answer) of each."""
    def one(n):
        name = NAMES[n % len(NAMES)]
        answer = stage.ask(name, payer.key, {"id": f"{payer.account}-{n}", "wait_at": 3}, place=place)
        assert answer.status == 200 and answer.event()
        return name, answer
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        begun = list(pool.map(one, range(count)))
    stage.wait_waiting(count)
    return begun


def finish(stage, begun):
    stage.go()
    for _, answer in begun:
        answer.whole()


def check_exact(stage, payer, begun, seconds=40):
    """Each stream is settled as its provider billed it, once.  A request that was refused because octroi did not answer
    may have a hold, which the meter gives back."""
    holds = {answer.hold for _, answer in begun}
    assert len(holds) == len(begun)
    wait_until(lambda: holds <= stage.usages(payer).keys(), seconds, "the end of the streams' holds", every=0.05)
    used = stage.wait_settled(payer, len(begun), seconds)
    others = [use for hold, use in used.items() if hold not in holds]
    assert len(others) <= 1 and all((use["state"], use["cost"]) == ("released", 0) for use in others), others
    for name, answer in begun:
        use = used[answer.hold]
        assert use["settlement"] == "exact" and use["cost"] == cost(RECORDINGS[name][2], RECORDINGS[name][3]), (name, use)
    check_sum(stage, payer, used)


def check_sum(stage, payer, used):
    assert stage.spent(payer) == sum(use["cost"] for use in used.values())


def billed(stage, payer):
    return [(record, cost(RECORDINGS[name][2], record["bill"])) for record in stage.books()
            if (record["id"] or "").startswith(payer.account + "-") for name in [NAMES[int(record["id"].rsplit("-", 1)[1]) % len(NAMES)]]]


def test_octroi_is_killed(stage, payer):
    begun = begin(stage, payer)
    stage.o.kill("octroi")
    finish(stage, begun)  # while octroi is away
    for name, answer in begun:
        assert answer.rest.endswith(recording(name)[-14:])
    assert stage.ask("openai-chat", payer.key).status == 503
    stage.o.start()
    check_exact(stage, payer, begun)


def test_database_is_killed(stage, payer):
    begun = begin(stage, payer)
    stage.o.kill("db")
    finish(stage, begun)
    assert stage.ask("openai-chat", payer.key).status == 503
    stage.o.start()
    check_exact(stage, payer, begun)


def test_octroi_and_meter_are_killed_one_after_the_other(stage, payer):
    """The settlements are in the spool, which the next meter reads."""
    begun = begin(stage, payer)
    stage.o.kill("octroi")
    finish(stage, begun)
    wait_until(lambda: f'octroi_meter_spool_depth {len(begun)}' in stage.get("/metrics").whole().decode(), 10, "the spool")
    stage.end("meter", signal.SIGKILL)
    stage.o.start()
    assert stage.open_holds(payer) == len(begun)
    stage.start_meter()
    check_exact(stage, payer, begun)
    # A spool that is read again settles nothing twice.
    stage.end("meter", signal.SIGKILL)
    stage.start_meter()
    check_exact(stage, payer, begun)


def test_meter_is_killed(stage, payer):
    begun = begin(stage, payer)
    stage.end("meter", signal.SIGKILL)
    stage.start_meter()
    for _, answer in begun:
        answer.whole()
    wait_until(lambda: all(record["ended"] for record, _ in billed(stage, payer)), 20, "the end of the streams")
    assert stage.open_holds(payer) == len(begun)
    guard.pass_time(stage.o, payer.account, 3600)
    stage.o.ctl("tick")
    used = stage.wait_settled(payer, len(begun))
    assert len(used) == len(begun) and all(use["cost"] == use["reserved"] for use in used.values())
    assert stage.spent(payer) >= sum(bill for _, bill in billed(stage, payer))
    check_sum(stage, payer, used)


@pytest.mark.parametrize("place", ["/close", "/drain"])
def test_web_server_is_killed(stage, payer, place):
    """To the meter all clients have gone."""
    begun = begin(stage, payer, place=place)
    stage.end("front", signal.SIGKILL)
    if place == "/drain":
        stage.go()
        stage.start_front()
        check_exact(stage, payer, begun)
        return
    used = stage.wait_settled(payer, len(begun))
    stage.start_front()
    wait_until(lambda: all(record["ended"] for record, _ in billed(stage, payer)), 20, "the end of the streams")
    assert all(record["closed"] for record, _ in billed(stage, payer))
    assert len(used) == len(begun)
    bills = {record["id"]: bill for record, bill in billed(stage, payer)}
    for n, (_, answer) in enumerate(begun):
        use = used[answer.hold]
        assert bills[f"{payer.account}-{n}"] <= use["cost"] <= use["reserved"], (n, use)
    check_sum(stage, payer, used)


@pytest.mark.parametrize("place", ["/close", "/drain"])
def test_meter_is_asked_to_end(stage, payer, place):
    """No new request is taken, and the streams are settled before the meter ends."""
    begun, late, ends = begin(stage, payer, place=place), stage.payer(), stage.said("meter").count("event=stopping")
    stage.meter.send_signal(signal.SIGTERM)
    wait_until(lambda: stage.said("meter").count("event=stopping") > ends, 10, "a meter that ends")
    asked = stage.send("POST", address_of("openai-chat"), late.key, body_of("openai-chat", {}))
    finish(stage, begun)
    assert stage.meter.wait(40) == 0
    assert Answer(asked).status in (502, 503)
    stage.start_meter()
    check_exact(stage, payer, begun)
    assert stage.spent(late) == 0 == stage.open_holds(late)


@pytest.mark.parametrize("moment", [2, 8, 14, 20])
def test_requests_that_come_as_the_meter_ends_are_served_or_free(stage, moment):
    """Each has a whole answer that is settled as billed, or none and costs nothing."""
    payers = [stage.payer() for _ in range(24)]

    def one(n):
        if n == moment:
            stage.meter.send_signal(signal.SIGTERM)
        answer = stage.ask("openai-chat", payers[n].key, {"id": payers[n].account, "pause_ms": 5})
        return answer, answer.whole()
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(one, range(len(payers))))
    stage.meter.wait(40)
    stage.start_meter()
    for payer, (answer, got) in zip(payers, answers):
        stage.wait_settled(payer)
        served = answer.status == 200
        assert served == got.endswith(b"[DONE]\n\n"), got
        assert stage.spent(payer) == (cost("gpt-4o", RECORDINGS["openai-chat"][3]) if served else 0), (answer.status, payer.account)


def test_hold_of_a_long_stream_is_extended(stage, payer):
    """Its hold lives for 90 seconds here, and is extended each minute."""
    [(name, answer)] = begin(stage, payer, 1)
    first = stage.o.sql(f"SELECT expires_at_us FROM {guard.HOLDS} WHERE account_id = {guard.key_of(payer.account)}")
    wait_until(lambda: stage.o.sql(f"SELECT expires_at_us FROM {guard.HOLDS} WHERE account_id = {guard.key_of(payer.account)}") > first, 70,
               "an extension", every=0.5)
    finish(stage, [(name, answer)])
    check_exact(stage, payer, [(name, answer)])


def test_spool_that_was_cut_by_a_crash(stage, payer):
    """Its last line may be a part of one."""
    begun = begin(stage, payer, 2)
    stage.o.kill("octroi")
    finish(stage, begun)
    wait_until(lambda: 'octroi_meter_spool_depth 2' in stage.get("/metrics").whole().decode(), 10, "the spool")
    stage.end("meter", signal.SIGKILL)
    with open(stage.dir / "spool", "ab") as spool:
        spool.write(b'{"at":1763950000,"settlement":{"hold":"')
    stage.o.start()
    stage.start_meter()
    check_exact(stage, payer, begun)


def test_second_meter_on_one_spool_does_not_start(stage):
    process = stage.program([str(build_dir() / "octroi-meter"), "-c", str(stage.dir / "octroi-meter.conf")], "second")
    assert process.wait(20) == 1
    assert stage.get("/healthz").status == 200

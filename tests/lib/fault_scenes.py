"""Scenes of octroi's, the network's and in-between servers' faults: no AI request goes out without a new hold.

The tests of each language import them, and give fixtures: any_mode and mode, ways of calling the client, the second
without those that only need the table of faults; played, which returns what came of each fault in a mode; guarded,
which plays one world: guarded(mode, url, provider, options) is the client's report, with "log".
"""

import json

import pytest

import faults as f

SETTLED = (200, f.JSON, json.dumps({"hold": f.HOLD["hold"], "cost": 0.001, "costMicros": 10, "balanceMicros": 1,
                                    "availableMicros": 1, "settlement": "exact", "replayed": False}))


def patience(fault):
    """Seconds that a client waits for an answer."""
    return 0.7 if fault in f.SILENT else 5


def seen_of(world, fault):
    """The calls of a world: to the provider, to the server of the fault, and to where a redirection led."""
    return {"asked": list(world.asked), "seen": list(world.servers[fault].seen) if fault in world.servers else [],
            "followed": list(world.good.seen)}


def check(happened, fault):
    assert happened["asked"] == [] and happened["followed"] == [], happened
    assert happened["exception"] == f.EXCEPTIONS.get(fault, "Unavailable"), happened
    assert happened["status"] == (402 if fault == "402" else 503), happened
    assert all(path == "/api/guard/authorize" for path, _ in happened["seen"]), happened
    assert len({body["requestId"] for _, body in happened["seen"]}) <= 1, "a repetition has the same request id"
    assert happened["en"] and happened["fr"] and happened["en"] != happened["fr"]
    assert "canary" not in json.dumps(happened), happened


def test_there_are_faults():
    assert len(f.FAULTS) >= 30


@pytest.mark.parametrize("fault", list(f.FAULTS))
def test_no_request_goes_out_unauthorized(played, any_mode, fault):
    check(played(any_mode)[fault], fault)


def test_repeated_faults_are_repeated(played, mode):
    for fault in ("hanging", "closing", "half an answer", "502", "503", "504"):
        assert len(played(mode)[fault]["seen"]) == 4, fault
    for fault in ("400", "401", "402", "403", "409", "422", "429", "500", "redirect", "null"):
        assert len(played(mode)[fault]["seen"]) == 1, fault


# ---- one world ---------------------------------------------------------------------------------------------


class Story:
    """Answers one after the other, by path; the last one for ever."""

    def __init__(self, **answers):
        self.answers = answers

    def __call__(self, handler):
        left = self.answers[handler.path.rsplit("/", 1)[1]]
        handler.say(*(left.pop(0) if len(left) > 1 else left[0]))


@pytest.fixture
def tell(guarded, mode):
    """Plays a story to the client; what happened."""
    def told(pem=None, options=None, **answers):
        with f.Faults(None) as world:
            server = f.Server(Story(**answers))
            if pem:
                server.wrap(pem)
            try:
                happened = guarded(mode, server.url, world.provider.url, options or {})
                return {**happened, "asked": list(world.asked), "seen": list(server.seen)}
            finally:
                server.stop()
    return told


def test_one_hold_lets_one_request_out(tell):
    happened = tell(authorize=[f.hold()], settle=[SETTLED])
    assert happened["exception"] is None and happened["asked"] == [{"max": 77}], happened
    (_, asked), (path, settled) = happened["seen"]
    assert asked["account"] == "user:1" and len(asked["requestId"]) == 32 and path == "/api/guard/settle"
    assert settled == {"hold": "h" * 32, "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}}
    assert happened["log"] == "" and not happened.get("errors"), happened


def test_own_hold_after_an_unanswered_try(tell):
    own = f.hold(replayed=True, holdState="open")
    happened = tell(authorize=[(502, "text/html", ""), own], settle=[SETTLED])
    assert happened["exception"] is None and len(happened["asked"]) == 1, happened
    (_, first), (_, second), _ = happened["seen"]
    assert first == second


def test_ended_hold_after_an_unanswered_try(tell):
    happened = tell(authorize=[(502, "text/html", ""), f.hold(replayed=True, holdState="settled")])
    assert happened["exception"] == "AlreadyAsked" and happened["asked"] == [], happened


def test_settlement_is_repeated_and_then_logged(tell):
    happened = tell(authorize=[f.hold()], settle=[f.error(503, "UNAVAILABLE"), SETTLED])
    assert len(happened["seen"]) == 3 and happened["log"] == "", happened
    happened = tell(authorize=[f.hold()], settle=[f.error(503, "UNAVAILABLE")])
    assert happened["exception"] is None and len(happened["seen"]) == 5, happened
    assert "not settled" in happened["log"] and "h" * 32 in happened["log"] and "canary" not in happened["log"]


def test_refused_usage_is_charged_as_the_reservation(tell):
    refused = f.error(400, "INVALID_REQUEST", field="usage.total_tokens")
    happened = tell(authorize=[f.hold()], settle=[refused, SETTLED])
    assert happened["seen"][-1][1] == {"hold": "h" * 32, "outcome": "partial"}, happened
    assert "usage.total_tokens" in happened["log"]


def test_certificates(tell, tmp_path):
    """The right certificate is believed, another name's is not."""
    for name, exception in (("127.0.0.1", None), ("elsewhere.example", "Unavailable")):
        pem = f.certificate(tmp_path / name, name)
        happened = tell(pem, {"ca": f"{pem}.crt"}, authorize=[f.hold()], settle=[SETTLED])
        assert happened["exception"] == exception and len(happened["asked"]) == (exception is None), happened

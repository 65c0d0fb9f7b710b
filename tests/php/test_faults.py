"""Each fault of octroi, of the network and of servers in between: no AI request goes out without a new hold."""

import concurrent.futures
import json
import pathlib
import subprocess

import pytest

import faults as f

TOP = pathlib.Path(__file__).resolve().parents[2]
CLIENT = TOP / "clients" / "php" / "octroi.php"
GUARDED = pathlib.Path(__file__).with_name("guarded.php")
TRANSPORTS = ("curl", "socket")


def guarded(url, provider, transport, **options):
    done = subprocess.run(["php", "-d", "display_errors=stderr", str(GUARDED), str(CLIENT), url, provider, transport,
                           json.dumps(options or {"locale": "en"})], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return {**json.loads(done.stdout), "log": done.stderr}


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """All faults at once, because some take as long as the client waits."""
    home = tmp_path_factory.mktemp("faults")
    for transport in TRANSPORTS:
        (home / transport).mkdir()

    def play(pair):
        transport, fault = pair
        with f.Faults(home / transport) as world:
            happened = guarded(world.url(fault), world.provider.url, transport, answerSeconds=0.7 if fault in f.SILENT else 5)
            seen = world.servers[fault].seen if fault in world.servers else []
            return {**happened, "asked": world.asked, "seen": seen, "followed": world.good.seen}

    worlds = [(transport, fault) for transport in TRANSPORTS for fault in f.FAULTS]
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        return dict(zip(worlds, pool.map(play, worlds)))


def test_there_are_faults():
    assert len(f.FAULTS) >= 30


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("fault", list(f.FAULTS))
def test_no_request_goes_out_unauthorized(played, transport, fault):
    happened = played[transport, fault]
    assert happened["asked"] == [] and happened["followed"] == [], happened
    assert happened["exception"] == f.EXCEPTIONS.get(fault, "Unavailable"), happened
    assert happened["status"] == (402 if fault == "402" else 503), happened
    assert all(path == "/api/guard/authorize" for path, _ in happened["seen"]), happened
    assert len({body["requestId"] for _, body in happened["seen"]}) <= 1, "a repetition has the same request id"


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("fault", list(f.FAULTS))
def test_exception_has_sentences_and_no_secret(played, transport, fault):
    happened = played[transport, fault]
    assert happened["en"] and happened["fr"] and happened["en"] != happened["fr"]
    assert "canary" not in json.dumps(happened), happened


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_repeated_faults_are_repeated(played, transport):
    for fault in ("hanging", "closing", "half an answer", "502", "503", "504"):
        assert len(played[transport, fault]["seen"]) == 4, fault
    for fault in ("400", "401", "402", "403", "409", "422", "429", "500", "redirect", "null"):
        assert len(played[transport, fault]["seen"]) == 1, fault


class Story:
    """Answers one after the other, by path; the last one for ever."""

    def __init__(self, **answers):
        self.answers = answers

    def __call__(self, handler):
        left = self.answers[handler.path.rsplit("/", 1)[1]]
        handler.say(*(left.pop(0) if len(left) > 1 else left[0]))


SETTLED = (200, f.JSON, json.dumps({"hold": f.HOLD["hold"], "cost": 0.001, "costMicros": 10, "balanceMicros": 1,
                                    "availableMicros": 1, "settlement": "exact", "replayed": False}))


def tell(transport, **answers):
    with f.Faults(None) as world:
        server = f.Server(Story(**answers))
        try:
            happened = guarded(server.url, world.provider.url, transport)
            return {**happened, "asked": world.asked, "seen": server.seen}
        finally:
            server.stop()


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_one_hold_lets_one_request_out(transport):
    happened = tell(transport, authorize=[f.hold()], settle=[SETTLED])
    assert happened["exception"] is None and happened["asked"] == [{"max": 77}], happened
    (_, asked), (path, settled) = happened["seen"]
    assert asked["account"] == "user:1" and len(asked["requestId"]) == 32 and path == "/api/guard/settle"
    assert settled == {"hold": "h" * 32, "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}}
    assert happened["log"] == ""


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_own_hold_after_an_unanswered_try(transport):
    own = f.hold(replayed=True, holdState="open")
    happened = tell(transport, authorize=[(502, "text/html", ""), own], settle=[SETTLED])
    assert happened["exception"] is None and len(happened["asked"]) == 1, happened
    (_, first), (_, second), _ = happened["seen"]
    assert first == second


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_ended_hold_after_an_unanswered_try(transport):
    happened = tell(transport, authorize=[(502, "text/html", ""), f.hold(replayed=True, holdState="settled")])
    assert happened["exception"] == "AlreadyAsked" and happened["asked"] == [], happened


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_settlement_is_repeated_and_then_logged(transport):
    happened = tell(transport, authorize=[f.hold()], settle=[f.error(503, "UNAVAILABLE"), SETTLED])
    assert len(happened["seen"]) == 3 and happened["log"] == "", happened
    happened = tell(transport, authorize=[f.hold()], settle=[f.error(503, "UNAVAILABLE")])
    assert happened["exception"] is None and len(happened["seen"]) == 5, happened
    assert "not settled" in happened["log"] and "h" * 32 in happened["log"] and "canary" not in happened["log"]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_refused_usage_is_charged_as_the_reservation(transport):
    refused = f.error(400, "INVALID_REQUEST", field="usage.total_tokens")
    happened = tell(transport, authorize=[f.hold()], settle=[refused, SETTLED])
    assert happened["seen"][-1][1] == {"hold": "h" * 32, "outcome": "partial"}, happened
    assert "usage.total_tokens" in happened["log"]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_certificates(tmp_path, transport):
    """The right certificate is believed, another name's is not."""
    for name, exception in (("127.0.0.1", None), ("elsewhere.example", "Unavailable")):
        with f.Faults(None) as world:
            server = f.Server(Story(authorize=[f.hold()], settle=[SETTLED]))
            pem = f.certificate(tmp_path / name, name)
            server.wrap(pem)
            try:
                happened = guarded(server.url, world.provider.url, transport, ca=f"{pem}.crt")
            finally:
                server.stop()
            assert happened["exception"] == exception and len(world.asked) == (exception is None), happened

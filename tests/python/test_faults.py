"""Each fault of octroi, of the network and of servers in between: no AI request goes out without a new hold."""

import concurrent.futures
import contextlib
import json

import pytest

import faults as f
import pythons

MODES = ("sync", "stream", "decorator", "async", "threads", "async-stream")
INTERPRETERS = pythons.found()
ALL_MODES = (*MODES, "wrapped", "async-wrapped")


def guarded(mode, worlds, interpreter=None):
    if interpreter is None:
        interpreter = pythons.PLAIN if mode in ("sync", "stream", "decorator", "threads") else pythons.packages()
    done = pythons.run(interpreter, "guarded.py", mode, stdin=json.dumps(worlds))
    return {name: {**happened, "errors": done.stderr} for name, happened in json.loads(done.stdout).items()}


def play(home, mode, interpreter=None):
    """All faults at once, because some take as long as the client waits."""
    with contextlib.ExitStack() as stack:
        worlds = {}
        for fault in f.FAULTS:
            directory = home / fault.replace(" ", "-")
            directory.mkdir(parents=True)
            worlds[fault] = stack.enter_context(f.Faults(directory))
        asked = {fault: [world.url(fault), world.provider.url, {"answer_seconds": 0.7 if fault in f.SILENT else 5}]
                 for fault, world in worlds.items()}
        happened = guarded(mode, asked, interpreter)
        for fault, world in worlds.items():
            seen = world.servers[fault].seen if fault in world.servers else []
            happened[fault].update(asked=list(world.asked), seen=list(seen), followed=list(world.good.seen))
        return happened


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """Modes run at once, three at a time: most of the time is waiting."""
    home = tmp_path_factory.mktemp("faults")
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        made = {mode: pool.submit(play, home / mode, mode) for mode in ALL_MODES}
        for mode, interpreter in INTERPRETERS.items():
            made.update({(mode, way): pool.submit(play, home / mode / way, way, interpreter) for way in ("sync", "threads")})
        yield lambda mode: made[mode].result()


def test_there_are_faults():
    assert len(f.FAULTS) >= 30


def check(happened, fault):
    assert happened["asked"] == [] and happened["followed"] == [], happened
    assert happened["exception"] == f.EXCEPTIONS.get(fault, "Unavailable"), happened
    assert happened["status"] == (402 if fault == "402" else 503), happened
    assert all(path == "/api/guard/authorize" for path, _ in happened["seen"]), happened
    assert len({body["requestId"] for _, body in happened["seen"]}) <= 1, "a repetition has the same request id"
    assert happened["en"] and happened["fr"] and happened["en"] != happened["fr"]
    assert "canary" not in json.dumps(happened), happened


@pytest.mark.parametrize("mode", ALL_MODES)
@pytest.mark.parametrize("fault", list(f.FAULTS))
def test_no_request_goes_out_unauthorized(played, mode, fault):
    check(played(mode)[fault], fault)


@pytest.mark.parametrize("mode", MODES)
def test_repeated_faults_are_repeated(played, mode):
    for fault in ("hanging", "closing", "half an answer", "502", "503", "504"):
        assert len(played(mode)[fault]["seen"]) == 4, fault
    for fault in ("400", "401", "402", "403", "409", "422", "429", "500", "redirect", "null"):
        assert len(played(mode)[fault]["seen"]) == 1, fault


@pytest.mark.parametrize("version", pythons.VERSIONS)
def test_faults_in_each_python(played, version):
    pythons.python(version)
    for way in ("sync", "threads"):
        for fault in f.FAULTS:
            check(played((version, way))[fault], fault)


# ---- one world ---------------------------------------------------------------------------------------------


class Story:
    """Answers one after the other, by path; the last one for ever."""

    def __init__(self, **answers):
        self.answers = answers

    def __call__(self, handler):
        left = self.answers[handler.path.rsplit("/", 1)[1]]
        handler.say(*(left.pop(0) if len(left) > 1 else left[0]))


SETTLED = (200, f.JSON, json.dumps({"hold": f.HOLD["hold"], "cost": 0.001, "costMicros": 10, "balanceMicros": 1,
                                    "availableMicros": 1, "settlement": "exact", "replayed": False}))


def tell(mode, **answers):
    with f.Faults(None) as world:
        server = f.Server(Story(**answers))
        try:
            happened = guarded(mode, {"": [server.url, world.provider.url, {}]})[""]
            return {**happened, "asked": world.asked, "seen": server.seen}
        finally:
            server.stop()


@pytest.mark.parametrize("mode", MODES)
def test_one_hold_lets_one_request_out(mode):
    happened = tell(mode, authorize=[f.hold()], settle=[SETTLED])
    assert happened["exception"] is None and happened["asked"] == [{"max": 77}], happened
    (_, asked), (path, settled) = happened["seen"]
    assert asked["account"] == "user:1" and len(asked["requestId"]) == 32 and path == "/api/guard/settle"
    assert settled == {"hold": "h" * 32, "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}}
    assert happened["log"] == "" and happened["errors"] == "", happened


@pytest.mark.parametrize("mode", MODES)
def test_own_hold_after_an_unanswered_try(mode):
    own = f.hold(replayed=True, holdState="open")
    happened = tell(mode, authorize=[(502, "text/html", ""), own], settle=[SETTLED])
    assert happened["exception"] is None and len(happened["asked"]) == 1, happened
    (_, first), (_, second), _ = happened["seen"]
    assert first == second


@pytest.mark.parametrize("mode", MODES)
def test_ended_hold_after_an_unanswered_try(mode):
    happened = tell(mode, authorize=[(502, "text/html", ""), f.hold(replayed=True, holdState="settled")])
    assert happened["exception"] == "AlreadyAsked" and happened["asked"] == [], happened


@pytest.mark.parametrize("mode", MODES)
def test_settlement_is_repeated_and_then_logged(mode):
    happened = tell(mode, authorize=[f.hold()], settle=[f.error(503, "UNAVAILABLE"), SETTLED])
    assert len(happened["seen"]) == 3 and happened["log"] == "", happened
    happened = tell(mode, authorize=[f.hold()], settle=[f.error(503, "UNAVAILABLE")])
    assert happened["exception"] is None and len(happened["seen"]) == 5, happened
    assert "not settled" in happened["log"] and "h" * 32 in happened["log"] and "canary" not in happened["log"]


@pytest.mark.parametrize("mode", MODES)
def test_refused_usage_is_charged_as_the_reservation(mode):
    refused = f.error(400, "INVALID_REQUEST", field="usage.total_tokens")
    happened = tell(mode, authorize=[f.hold()], settle=[refused, SETTLED])
    assert happened["seen"][-1][1] == {"hold": "h" * 32, "outcome": "partial"}, happened
    assert "usage.total_tokens" in happened["log"]


@pytest.mark.parametrize("mode", ("sync", "async"))
def test_certificates(tmp_path, mode):
    """The right certificate is believed, another name's is not."""
    for name, exception in (("127.0.0.1", None), ("elsewhere.example", "Unavailable")):
        with f.Faults(None) as world:
            server = f.Server(Story(authorize=[f.hold()], settle=[SETTLED]))
            pem = f.certificate(tmp_path / name, name)
            server.wrap(pem)
            try:
                happened = guarded(mode, {"": [server.url, world.provider.url, {"ca": f"{pem}.crt"}]})[""]
            finally:
                server.stop()
            assert happened["exception"] == exception and len(world.asked) == (exception is None), happened

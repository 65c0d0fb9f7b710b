"""Each fault of octroi, of the network and of servers in between: the scenes of tests/lib/fault_scenes.py in Python."""

import concurrent.futures
import contextlib
import json

import pytest

import faults as f
import pythons
from fault_scenes import *  # noqa: F403  the tests
from fault_scenes import check, patience, seen_of

MODES = ("sync", "stream", "decorator", "async", "threads", "async-stream")
INTERPRETERS = pythons.found()
ALL_MODES = (*MODES, "wrapped", "async-wrapped")


def guard(mode, worlds, interpreter=None):
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
        asked = {fault: [world.url(fault), world.provider.url, {"answer_seconds": patience(fault)}]
                 for fault, world in worlds.items()}
        happened = guard(mode, asked, interpreter)
        for fault, world in worlds.items():
            happened[fault].update(seen_of(world, fault))
        return happened


@pytest.fixture
def guarded():
    return lambda mode, url, provider, options: guard(mode, {"": [url, provider, options]})[""]


@pytest.fixture(params=ALL_MODES)
def any_mode(request):
    return request.param


@pytest.fixture(params=MODES)
def mode(request):
    return request.param


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """Three modes at once: most of the time is waiting."""
    home = tmp_path_factory.mktemp("faults")
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        made = {mode: pool.submit(play, home / mode, mode) for mode in ALL_MODES}
        for mode, interpreter in INTERPRETERS.items():
            made.update({(mode, way): pool.submit(play, home / mode / way, way, interpreter) for way in ("sync", "threads")})
        yield lambda mode: made[mode].result()


@pytest.mark.parametrize("version", pythons.VERSIONS)
def test_faults_in_each_python(played, version):
    pythons.python(version)
    for way in ("sync", "threads"):
        for fault in f.FAULTS:
            check(played((version, way))[fault], fault)

"""Graces in PHP: the scenes of tests/lib/grace_scenes.py, by curl and by sockets, also in streams."""

import concurrent.futures

import pytest

from grace_scenes import *  # noqa: F403  the tests
from test_faults import guard as play
from test_killed import Php

MODES = ("curl", "socket", "stream")


class Graced(Php):
    def environment(self, **more):
        return super().environment(OCTROI_ON_OUTAGE="grace", **more)


@pytest.fixture(scope="module")
def graced():
    def graced(mode, worlds):
        def one(world):
            url, provider, spool, seconds = world
            return play(mode, url, provider, {"onOutage": "grace", "spool": spool, "answerSeconds": seconds})
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            return dict(zip(worlds, pool.map(one, worlds.values())))
    return graced


@pytest.fixture(params=MODES)
def any_graced(request):
    return request.param


@pytest.fixture
def client():
    return Graced()

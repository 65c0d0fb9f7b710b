"""Graces in Python: the scenes of tests/lib/grace_scenes.py, sync, async, and in streams."""

import json
import subprocess

import pytest

import pythons
from grace_scenes import *  # noqa: F403  the tests
from test_faults import guard as play
from test_killed import Python

MODES = ("sync", "stream", "async", "async-stream", "threads", "wrapped")


class Graced(Python):
    def environment(self, **more):
        return super().environment(OCTROI_ON_OUTAGE="grace", **more)


@pytest.fixture(scope="module")
def graced():
    return lambda mode, worlds: play(mode, {
        name: [url, provider, {"on_outage": "grace", "spool": spool, "answer_seconds": seconds}]
        for name, (url, provider, spool, seconds) in worlds.items()})


@pytest.fixture(params=MODES)
def any_graced(request):
    return request.param


@pytest.fixture(params=("sync", "async"))
def client(request):
    return Graced(request.param)

"""Attacks on octroi, and what is to hold whoever gets in."""

import pathlib
import sys
import tempfile

import pytest

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "lib")]

from daemon import Daemon  # noqa: E402


@pytest.fixture
def home():
    with tempfile.TemporaryDirectory(prefix="octroi-security-") as name:
        yield pathlib.Path(name)


@pytest.fixture
def daemon(home):
    """Starts daemons that do not outlive the test."""
    started = []

    def start(*lines, **more):
        started.append(Daemon(home, *lines, **more))
        return started[-1]

    yield start
    for d in started:
        d.kill()

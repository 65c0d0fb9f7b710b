"""Other people's implementations against octroi; see peer.py for what they need."""

import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lib"), str(HERE.parent)]

from peer import Peer  # noqa: E402


@pytest.fixture(scope="session")
def peer():
    with Peer() as made:
        yield made

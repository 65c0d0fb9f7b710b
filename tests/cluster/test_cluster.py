"""The short form of make cluster: one fault of each topology.  See scenes.py."""

import pytest

from nodes import Base, Network, why_no_galera, why_no_namespaces
from scenes import SCENES, play

pytestmark = pytest.mark.skipif(why_no_namespaces() is not None, reason=str(why_no_namespaces()))


@pytest.fixture(scope="module")
def base():
    Network.enter()
    with Base() as made:
        yield made


@pytest.mark.parametrize("name", ["pair-pause-writer", "galera-kill-writer"])
def test_nothing_is_lost(base, tmp_path, name):
    if name.startswith("galera") and why_no_galera():
        pytest.skip(why_no_galera())
    result = play(base, SCENES[name], tmp_path)
    assert not result.problems, "\n".join(map(str, result.problems[:20]))
    assert result.counts["acknowledged"] > 500, result.counts

"""One nginx in front of two octroi, as in docs/many-machines.md: one of them is killed, under a load whose history is
checked."""

import collections
import os
import signal

import pytest

from both import Both
from checker import check
from client import Load
from octroi import Octroi, alive, wait_until
from second import Second

ANSWERS = 1500


@pytest.fixture(scope="module")
def o():
    with Octroi("nginx") as octroi:
        yield octroi


def test_one_of_two_is_killed(o, tmp_path):
    counts = collections.Counter()
    with Second(o) as other, Both(o, other) as both:
        with Load(o, tmp_path, seed=3, urls=[both.internal_url]) as load:
            load.wait_for(ANSWERS)
            os.kill(other.pid, signal.SIGKILL)
            wait_until(lambda: not alive(other.pid), 10, "the end of one octroi")
            load.wait_for(ANSWERS)
        problems = check(o, load.files, counts)
    assert not problems, "\n".join(map(str, problems[:20]))
    assert counts["acknowledged"] > ANSWERS, counts
    answers = collections.Counter()
    for path in load.files[1:]:
        answers += collections.Counter(line.split("\t")[5] for line in path.read_text().splitlines() if line.startswith("A"))
    assert answers["502"] + answers["504"] < 100, answers  # those that were under way in the killed one

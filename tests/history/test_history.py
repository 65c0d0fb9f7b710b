"""A load through nginx, written down call by call, against the ledger's tables (checker.py)."""

import collections

import pytest

from checker import check
from client import Load
from octroi import Octroi
from second import Second

ANSWERS = 6000


@pytest.fixture(scope="module")
def o():
    with Octroi("nginx") as octroi:
        yield octroi


def look(o, load, at_least):
    counts = collections.Counter()
    problems = check(o, load.files, counts)
    assert not problems, "\n".join(map(str, problems[:20]))
    assert counts["acknowledged"] > at_least and counts["refused"] > at_least / 50 and counts["read"] > at_least / 50, counts
    for account in load.accounts:
        o.ctl("audit", "--account", account)


def test_two_clients(o, tmp_path):
    with Load(o, tmp_path, seed=1) as load:
        load.wait_for(ANSWERS)
    look(o, load, ANSWERS * 0.7)


def test_two_clients_of_two_octroi(o, tmp_path):
    """Each client has one connection after the other to both."""
    with Second(o) as second, Load(o, tmp_path, seed=2, urls=[o.internal_url, second.internal_url]) as load:
        load.wait_for(ANSWERS)
    look(o, load, ANSWERS * 0.7)

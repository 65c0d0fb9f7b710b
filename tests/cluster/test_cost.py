"""The short form of make bench-cluster: every call is answered, and every ledger is clean.  No time is measured."""

import re
import shutil
import subprocess
import sys

import pytest

from nodes import why_no_namespaces
from octroi import TOP

pytestmark = pytest.mark.skipif(why_no_namespaces() is not None or not shutil.which("wrk"), reason=str(why_no_namespaces() or "there is no wrk"))


def cost(*arguments):
    done = subprocess.run([sys.executable, str(TOP / "tests/cluster/cost.py"), *arguments], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
    return done.returncode, done.stdout


def test_parts_beside_a_single_server():
    status, said = cost("--seconds", "1", "--rounds", "1", "--connections", "8", "--sides", "single,parts-2")
    assert status == 0, said
    assert re.search(r"^\| single \| [\d,]+ \| 1\.00 \|", said, re.M), said
    assert re.search(r"^\| parts-2 \| [\d,]+ \|", said, re.M), said
    assert "0 calls were not answered 200; 3 of 3 ledgers are clean" in said


def test_unknown_side_is_refused():
    status, said = cost("--sides", "single,nothing")
    assert status == 2 and "unknown: nothing" in said, said

"""The short form of `make check-asan` and `make check-tsan`: the programs, and some stories of api and model."""

import os
import pathlib
import subprocess

TESTS = pathlib.Path(__file__).resolve().parents[1]


def assert_nothing_is_reported(name):
    done = subprocess.run([str(TESTS / "sanitized"), name, "--short"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=1600, env=dict(os.environ), check=False)
    assert done.returncode == 0, done.stdout[-8000:]

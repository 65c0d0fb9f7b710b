"""Every fuzz target over its committed corpus, and a few seconds further, with sanitizers."""

import os
import pathlib
import shutil

import pytest

import fuzz

SECONDS = int(os.environ.get("FUZZ_SECONDS", "2"))


@pytest.fixture(scope="session")
def programs():
    if shutil.which("clang") is None:
        pytest.skip("needs clang and libclang-rt")
    return fuzz.build(pathlib.Path(os.environ["OCTROI_BUILD"]).resolve() / "fuzz")


@pytest.mark.parametrize("name", fuzz.TARGETS)
def test_corpus(programs, name):
    found = fuzz.replay(programs, name)
    assert found is None, found


@pytest.mark.parametrize("name", fuzz.TARGETS)
def test_fuzz(programs, name):
    _, executions, edges, clean = fuzz.fuzz(programs, name, SECONDS)
    assert clean, (programs / f"{name}.log").read_text()[-4000:]
    assert executions > 100 and edges > 20

"""Every fuzz target over its committed corpus, and some thousand executions further, with sanitizers."""

import os
import pathlib
import re
import shutil

import pytest

import fuzz

RUNS = int(os.environ.get("FUZZ_RUNS", "2000"))


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
def test_fuzz(programs, tmp_path, name):
    executions, _, edges, _, clean = fuzz.fuzz(programs, tmp_path, name, runs=RUNS)
    assert clean, (tmp_path / f"{name}.log").read_text(errors="replace")[-4000:]
    assert executions >= RUNS and edges > 20


def test_each_target_says_what_it_is_for():
    assert sorted(fuzz.SOURCES) == fuzz.TARGETS
    for name, patterns in fuzz.SOURCES.items():
        for pattern in patterns:
            assert list((fuzz.TOP / "src").glob(pattern)), f"{name}: nothing is called src/{pattern}"
        kept = list((fuzz.HERE / "corpus" / name).iterdir())
        assert len(kept) <= fuzz.KEPT_FILES and sum(p.stat().st_size for p in kept) <= fuzz.KEPT_BYTES


def test_each_route_has_an_input():
    """Also those that nobody has thought of since: a new route needs a file in corpus/dispatcher."""
    routes = re.findall(r'^ROUTE\((\w+), "([^"]+)"', (fuzz.TOP / "src/routes/routes.def").read_text(), re.M)
    lines = [p.read_bytes()[1:].partition(b"\n")[0].decode(errors="replace") for p in (fuzz.HERE / "corpus/dispatcher").iterdir()]
    assert len(routes) > 30
    for method, pattern in routes:
        wanted = re.compile(method + " " + re.escape(pattern).replace(r"\{\}", r"[^/?]+") + r"(\?.*)?")
        assert any(wanted.fullmatch(line) for line in lines), f"{method} {pattern}"

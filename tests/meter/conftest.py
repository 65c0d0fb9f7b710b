"""Fixtures: stage, an octroi-meter for all tests of a file; payer, an account with a key."""

import pathlib
import sys

import pytest

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / "lib"), str(pathlib.Path(__file__).resolve().parent)]

from octroi import build_dir  # noqa: E402
from stage import Stage  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def built():
    if not (build_dir() / "octroi-meter").exists():
        pytest.skip("octroi-meter was not built")


@pytest.fixture(scope="module")
def stage():
    with Stage() as made:
        yield made


@pytest.fixture
def payer(stage):
    return stage.payer()

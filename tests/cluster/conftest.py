"""Where the modules are that the tests of this directory use."""

import pathlib
import sys

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "lib"), str(TESTS / "model"), str(TESTS / "history"), str(TESTS / "cluster")]

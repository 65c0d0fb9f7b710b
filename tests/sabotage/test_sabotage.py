"""That the planted bugs still fit the sources, and that the quick ones are found; `make sabotage` plants them all."""

import ast
import pathlib
import re
import shlex
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import sabotage  # noqa: E402

BUGS = sabotage.bugs()


@pytest.fixture(scope="module")
def copy():
    with sabotage.Sabotaged(build=False) as made:
        yield made


@pytest.mark.parametrize("bug", BUGS, ids=[bug.name for bug in BUGS])
def test_fits(copy, bug):
    """And can be taken out again; a test that must find it exists."""
    copy.patch(bug)
    copy.patch(bug, "-R")
    assert len(bug.reason) > 20 and "\n" not in bug.reason
    if bug.is_program:
        assert (sabotage.TOP / f"{bug.test}.c").exists()
        return
    path, *options = shlex.split(bug.test)
    tree = ast.parse((sabotage.TOP / path).read_text())
    tests = [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    for name in re.findall(r"test_\w+", " ".join(options)):
        assert any(name in test for test in tests), f"{path} has no {name}"


def test_there_are_enough():
    assert len(BUGS) >= 16 and sum(bug.quick for bug in BUGS) >= 5


def test_quick_ones_are_caught():
    said = []
    quick = [bug for bug in BUGS if bug.quick]
    assert sabotage.run(quick, said.append) == len(quick), "\n".join(said)


def test_a_bug_that_nobody_finds_is_reported(tmp_path):
    """The runner can fail: a comment is no bug, and no test notices it."""
    path = tmp_path / "harmless.patch"
    path.write_text("Reason: a blank line that changes nothing at all\nCaught-by: tests/unit/test_buf\nSays: not ok\n\n"
                    "--- a/src/base/completion.c\n+++ b/src/base/completion.c\n@@ -1,1 +1,2 @@\n+\n " +
                    (sabotage.TOP / "src/base/completion.c").read_text().split("\n")[0] + "\n")
    said = []
    assert sabotage.run([sabotage.Bug(path)], said.append) == 0
    assert "the test passes" in "\n".join(said) and said[-1] == "0 of 1 caught"

"""The table "Where a new thing goes" of src/README.md is true.  An example of each thing, added to a copy of the
sources, works.  It touches the files that its row names, and it needs each of them."""

import os
import pathlib
import re
import shutil
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

from additions import ADDITIONS, TOP  # noqa: E402
from copied import Copy  # noqa: E402

ROWS = sorted({row for row, _ in ADDITIONS})
# All rules of style that need no build.
STYLE = ("tests/style/test_language.py tests/style/test_agreement.py tests/style/test_structure.py"
         " -k 'not pure and not state and not exports'")
PROGRAMS = ["octroi", "octroictl", "tests/decide/test_decide", "tests/unit/test_config", "tests/unit/test_router"]
NEVER = {"src/ledger/queue.c", "src/ledger/batch.c", "src/ledger/persist.c"}


def named(row):
    """The files and folders that the row names."""
    rows = re.findall(rf"^\| {re.escape(row)} \| (.*) \|$", (TOP / "src/README.md").read_text(), re.M)
    assert len(rows) == 1, f"src/README.md has {len(rows)} rows '{row}'"
    return set(re.findall(r"`((?:apache|docs|man|nginx|sql|src|tests)/[\w./]*)`", rows[0]))


def place(file, names):
    """The name under which a row has the file: its own, or that of the nearest folder."""
    folders = [name for name in names if name.endswith("/") and file.startswith(name)]
    return file if file in names else max(folders, key=len, default=None)


@pytest.mark.parametrize("row", ROWS)
def test_row_names_the_files(row):
    names = named(row)
    touched = {edit.file for of, edits in ADDITIONS if of == row for edit in edits}
    assert not touched & NEVER
    lacks = {file for file in touched if place(file, names) is None}
    assert not lacks, f"src/README.md: '{row}' does not name {', '.join(sorted(lacks))}"
    more = names - {place(file, names) for file in touched}
    assert not more, f"src/README.md: '{row}' names {', '.join(sorted(more))}, which the additions did not need"


class Extended(Copy):
    """A copy with all additions."""

    def __init__(self):
        super().__init__(build=False)
        try:
            # Both name the outcomes: test_outcome_is_given_and_tested would take them for their tests.
            (self.tree / "tests/additions/additions.py").unlink()
            shutil.move(self.tree / "tests/additions/shown.py", self.home)
            self.original = {edit.file: self._read(edit.file) for _, edits in ADDITIONS for edit in edits}
            for file in self.original:
                self._write(file)
            self.configure()
        except BaseException:
            self.close()
            raise

    def _read(self, file):
        path = self.tree / file
        return path.read_text() if path.exists() else None

    def _write(self, file, without=None):
        """The file with its additions, but for those of the addition of that number."""
        content = self.original[file]
        for number, (_, edits) in enumerate(ADDITIONS):
            for edit in edits:
                if edit.file == file and number != without:
                    content = edit.apply(content)
        if content is None:
            (self.tree / file).unlink()
        else:
            (self.tree / file).write_text(content)

    def passes(self, test):
        """Whether a test, or a make, succeeds; what it said."""
        if test.startswith("make "):
            status, output = self.run(["make", "-s", test.removeprefix("make ")], self.build)
            return status == 0, output
        if test.startswith("shown.py"):
            self.make("octroi", "octroictl")
            test = f"{self.home}/{test}"
        status, output = self.pytest(test)
        assert status in (0, 1), output  # others are no results of tests
        return status == 0, output

    def passes_without(self, number, file, test):
        path = self.tree / file
        times = path.stat()
        self._write(file, without=number)
        try:
            return self.passes(test)
        finally:
            self._write(file)
            # make need not build all that includes the file anew, only what it has built meanwhile.
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
            for name in {file, test.removeprefix("make ")}:
                if name.endswith((".c", ".o")):
                    (self.build / name).with_suffix(".o").unlink(missing_ok=True)


@pytest.fixture(scope="module")
def copy():
    with Extended() as extended:
        yield extended


def test_additions_keep_the_rules(copy):
    good, output = copy.passes(STYLE)
    assert good, output
    for test in sorted({edit.missed for _, edits in ADDITIONS for edit in edits}):
        if test.startswith("tests/") and not test.startswith("tests/style/"):
            good, output = copy.passes(test)
            assert good, output


def test_additions_work(copy):
    copy.make(*PROGRAMS)
    for program in PROGRAMS[2:]:
        status, output = copy.program(program)
        assert status == 0, output
    good, output = copy.passes("shown.py")
    assert good, output
    good, output = copy.passes("tests/api/test_openapi.py -k test_every")
    assert good, output


@pytest.mark.parametrize("number, file, test", sorted({
    (number, edit.file, edit.missed) for number, (_, edits) in enumerate(ADDITIONS) for edit in edits}))
def test_each_file_is_needed(copy, number, file, test):
    good, output = copy.passes_without(number, file, test)
    assert not good, f"'{ADDITIONS[number][0]}' does not need {file}: {test} passes without it\n{output}"

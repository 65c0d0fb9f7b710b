#!/usr/bin/python3
"""Plants bugs in a copy of the sources, one at a time, and demands that the test which must find each one does.

    tests/sabotage/sabotage.py [NAME…] [--quick]      # make sabotage

A bug is a file NAME.patch: lines "Field: value", then the difference that `patch -p1` applies.

    Reason     what is wrong, in one line
    Caught-by  the test: a program such as tests/unit/test_price, or what pytest is told
    Says       what that test's output has to match, or it failed for another reason
    Quick      yes: a program that neither needs a database nor a web server; make check runs these

One copy is built once; then for each bug: patch in, make, run, patch out.  Each test is also run without any bug, and
has to pass.  A bug counts as caught when the test fails, and as it should; an assertion that stops the program is such
a failure.  That a program does not compile, or that octroi does not start, is not what is meant.  The last line says
how many were caught.
"""

import argparse
import pathlib
import re
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

from copied import TOP, Copy  # noqa: E402


class Bug:
    def __init__(self, path):
        head, _, self.difference = path.read_text().partition("\n\n")
        fields = dict(line.split(": ", 1) for line in head.split("\n"))
        self.name, self.path = path.stem, path
        self.reason, self.test, self.says = fields.pop("Reason"), fields.pop("Caught-by"), fields.pop("Says")
        self.quick = fields.pop("Quick", "no") == "yes"
        if fields:
            raise ValueError(f"{path.name}: {', '.join(fields)}?")

    @property
    def is_program(self):
        return ".py" not in self.test


def bugs():
    return [Bug(path) for path in sorted(pathlib.Path(__file__).parent.glob("*.patch"))]


class Sabotaged(Copy):
    def patch(self, bug, *options):
        self.must(["patch", "-p1", "--fuzz=1", "--no-backup-if-mismatch", "-s", "-i", bug.path, *options], self.tree)

    def test(self, bug):
        """(exit status, output) of the bug's test, in the state that the copy is in."""
        if bug.is_program:
            self.make(bug.test)
            return self.program(bug.test)
        self.make("all", "check-programs")
        return self.pytest(bug.test)


def is_failure(bug, status, output):
    """Whether tests have failed: a program says how many, or an assertion stops it; pytest 1; anything else is no result."""
    if bug.is_program:
        stopped = status == -signal.SIGABRT and "octroi: bug: " in output
        return stopped or (status not in (0, None) and re.search(r"^not ok \d", output, re.M) is not None)
    return status == 1 and "quickstart failed" not in output


def caught(copy, bug):
    """None when it is, or what happened instead."""
    copy.patch(bug)
    try:
        status, output = copy.test(bug)
    finally:
        copy.patch(bug, "-R")
    end = "\n" + "\n".join(output.split("\n")[-15:])
    if status == 0:
        return "the test passes"
    if not is_failure(bug, status, output):
        return f"the test did not fail properly ({status})" + end
    if not re.search(bug.says, output):
        return f"the test failed, but not with '{bug.says}'" + end
    return None


def passes_without(copy, bug):
    status, output = copy.test(bug)
    return None if status == 0 else "the test fails without the bug, too\n" + "\n".join(output.split("\n")[-15:])


def run(chosen, say=print):
    """How many of them were caught."""
    count, sound = 0, {}
    with Sabotaged() as copy:
        for bug in chosen:
            began = time.monotonic()
            if bug.test not in sound:
                sound[bug.test] = passes_without(copy, bug)
            wrong = sound[bug.test] or caught(copy, bug)
            count += wrong is None
            say(f"{bug.name:30} {'caught' if wrong is None else 'NOT CAUGHT':10} {time.monotonic() - began:5.0f} s  {bug.reason}")
            if wrong:
                say("  " + wrong)
    say(f"{count} of {len(chosen)} caught")
    return count


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these bugs")
    parser.add_argument("--quick", action="store_true", help="only those that a program finds")
    options = parser.parse_args()
    known = bugs()
    unknown = set(options.names) - {bug.name for bug in known}
    if unknown:
        parser.error("no such bug: " + ", ".join(sorted(unknown)))
    chosen = [bug for bug in known if (not options.names or bug.name in options.names) and (bug.quick or not options.quick)]
    return 0 if run(chosen, lambda text: print(text, flush=True)) == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())

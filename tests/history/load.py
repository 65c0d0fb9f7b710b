#!/usr/bin/python3
"""A load for a while, then the history against the ledger's tables, and the audit.

    OCTROI_BUILD=build tests/history/load.py [--seconds 60]

Half of the time an octroi is alone, half of it there is a second one on the same database.  Prints how much was asked.
"""

import argparse
import collections
import pathlib
import shutil
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

from checker import check  # noqa: E402
from client import Load  # noqa: E402
from octroi import Octroi, wait_until  # noqa: E402
from second import Second  # noqa: E402


def load(o, urls, seconds, counts):
    """Loads it for so many seconds; the findings."""
    directory = tempfile.mkdtemp(prefix="octroi-load-")
    try:
        with Load(o, directory, urls=urls, connections=24) as clients:
            end = time.monotonic() + seconds
            wait_until(lambda: clients.failed() or time.monotonic() > end, seconds + 60)
        counts["answered"] += clients.answers()
        return check(o, clients.files, counts)
    finally:
        shutil.rmtree(directory)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    counts = collections.Counter()
    with Octroi("nginx") as o:
        problems = load(o, [o.internal_url], options.seconds / 2, counts)
        with Second(o) as second:
            problems += load(o, [o.internal_url, second.internal_url], options.seconds / 2, counts)
    for problem in problems[:50]:
        print(problem)
    print(f"load of {options.seconds:.0f} s: " + ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
          + f"; {len(problems)} problems", flush=True)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

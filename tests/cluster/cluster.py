#!/usr/bin/python3
"""Plays scenes of several machines again and again, and counts.

    OCTROI_BUILD=build tests/cluster/cluster.py [--times 3] [SCENE…]      # make cluster

Without a name: all scenes that must not lose anything.  One line for each scene: how often, the operations that were acknowledged, the problems that the history's check and the
audit found (lost, doubled, invented …), the time without an acknowledged change.  Needs root, for network namespaces.
"""

import argparse
import collections
import pathlib
import sys
import tempfile

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / name) for name in ("lib", "model", "history")]

from nodes import Base, Network, why_no_namespaces  # noqa: E402
from scenes import SCENES, play  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=3, help="how often each scene")
    parser.add_argument("--first", type=int, default=1, help="the seed of the first time")
    parser.add_argument("scenes", nargs="*", metavar="SCENE", help=", ".join(SCENES))
    options = parser.parse_args()
    if why_no_namespaces():
        sys.exit(why_no_namespaces())
    Network.enter()
    bad = 0
    print("| scene | times | acknowledged | lost | doubled | invented | other | seconds without service | operator |")
    print("|---|---|---|---|---|---|---|---|---|")
    with Base() as base:
        for name in options.scenes or [name for name, scene in SCENES.items() if scene.keeps]:
            counts, found, gaps = collections.Counter(), collections.Counter(), []
            for seed in range(options.first, options.first + options.times):
                with tempfile.TemporaryDirectory() as directory:
                    result = play(base, SCENES[name], directory, seed=seed)
                counts += result.counts
                gaps.append(result.gap_seconds)
                for problem in result.problems:
                    found[getattr(problem, "what", "audit")] += 1
                    print(problem, file=sys.stderr)
            kinds = [found.pop(what, 0) for what in ("lost", "duplicated", "invented")]
            bad += sum(kinds) + sum(found.values()) if SCENES[name].keeps else 0
            print(f"| {name} | {options.times} | {counts['acknowledged']} | " + " | ".join(map(str, kinds)) +
                  f" | {sum(found.values())} | {min(gaps):.1f} to {max(gaps):.1f} | {SCENES[name].operator} |", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())

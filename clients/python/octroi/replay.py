"""Sends the settlements of a spool to octroi, for cron: octroi-replay SPOOL

    * * * * * www-data  OCTROI_GUARD_KEY=… octroi-replay /var/lib/shop/octroi.spool

OCTROI_INTERNAL_URL and OCTROI_GUARD_KEY come from the environment.  Exit status: 0 nothing is left, 1 some are left.
"""

import sys

from ._client import Octroi


def main() -> int:
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        print("usage: octroi-replay SPOOL", file=sys.stderr)
        return 2
    left = Octroi.from_environment(spool=sys.argv[1]).replay()
    if left > 0:
        print(f"octroi-replay: {left} settlements are left", file=sys.stderr)
    return 1 if left > 0 else 0


if __name__ == "__main__":
    sys.exit(main())

"""./quickstart and ./quickstart check in a bare chroot of each release of DEB_RELEASES: `make check-debian`.  It takes half an
hour for each, because everything is installed, built and tested there."""

import re
import shutil
import subprocess

import pytest

import test_package
from test_package import ENVIRONMENT, WORK, base, inside, run

PASSED = re.compile(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", re.M)
CHECK_SECONDS = 5400


@pytest.fixture(scope="module", params=test_package.RELEASES)
def bare(request):
    """The release's base system, with the sources of this tree and nothing else."""
    root = WORK / f"bare-{request.param}"
    shutil.rmtree(root, ignore_errors=True)
    run("cp", "-a", base(request.param), root)
    run("git", "clone", "-q", test_package.TOP, root / "srv/octroi")
    inside(root, "apt-get", "update")
    yield root
    shutil.rmtree(root, ignore_errors=True)


def play(root, command, seconds):
    """Runs a command of the README in the sources, with devices and a /tmp of its own."""
    script = ('mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" && mount -t tmpfs tmp "$0/tmp" && '
              'exec chroot "$0" sh -c "cd /srv/octroi && $1"')
    return subprocess.run(["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script, str(root), command],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=seconds, check=False, env={**ENVIRONMENT, "CI": "true"})


def test_quickstart_serves_a_guarded_request(bare):
    """README's first two commands, and the request that quickstart itself prints."""
    done = play(bare, "./quickstart && ./quickstart down", 1800)
    assert done.returncode == 0 and "octroi is at http://" in done.stdout, done.stdout[-3000:]


def test_everything_passes(bare):
    done = play(bare, "./quickstart check", CHECK_SECONDS)
    last = done.stdout.strip().splitlines()[-1]
    counted = PASSED.fullmatch(last)
    assert counted and counted[2] == "0" and int(counted[1]) > 2000, done.stdout[-6000:]
    assert done.returncode == 0
    print(last)

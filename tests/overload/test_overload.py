"""The short form of `make overload`: every scene with small numbers, and nothing about time."""

import subprocess
import sys

import pytest

import overload
from smalldisk import NAMESPACE, why_not

SIZES = overload.Sizes()


@pytest.fixture(scope="module")
def o():
    with overload.stage() as octroi:
        yield octroi


def played(o, scene):
    row = overload.play(o, scene, SIZES)
    assert not row.problems, "\n".join(map(str, row.problems[:20]))
    assert row.counts["acknowledged"] > SIZES.answers and row.connections > 0


@pytest.mark.parametrize("scene", [scene for scene in overload.SCENES if not scene.small_disk], ids=lambda scene: scene.name)
def test_scene(o, scene):
    played(o, scene)


def test_disk_full():
    reason = why_not()
    if reason and why_not(NAMESPACE) is None:
        done = subprocess.run([*NAMESPACE, sys.executable, overload.__file__, "--short", "disk full"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600)
        assert done.returncode == 0 and "disk full" in done.stdout, done.stdout
        return
    if reason:
        pytest.skip(reason)
    with overload.stage(SIZES.disk_mib) as o:
        played(o, next(scene for scene in overload.SCENES if scene.name == "disk full"))

"""Interpreters for the tests of the Python client, and the packages that ./quickstart check fetches for them."""

import functools
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from octroi import build_dir  # the harness of tests/lib

TOP = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
CLIENT = TOP / "clients" / "python"
VERSIONS = ("3.9", "3.10", "3.11", "3.12", "3.13")


def environment(**more):
    return {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "PYTHONPATH": str(CLIENT),
            "PYTHONDONTWRITEBYTECODE": "1", **more}


def python(version):
    """An interpreter of this version, in the PATH or of pyenv's; skips the test where there is none."""
    if version not in found():
        pytest.skip(f"no Python {version} here")
    return found()[version]


@functools.lru_cache(maxsize=None)
def found():
    """Interpreters by version."""
    return {version: path for version in VERSIONS for path in [_look_for(version)] if path}


def _look_for(version):
    pyenv = pathlib.Path(os.environ.get("PYENV_ROOT", pathlib.Path.home() / ".pyenv")) / "versions"
    paths = [shutil.which(f"python{version}"), *map(str, sorted(pyenv.glob(f"{version}.*/bin/python")))]
    for path in paths:
        told = path and subprocess.run([path, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
                                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
        if told and told.strip() == version:
            return path
    return None


def packages():
    """The interpreter with the packages of requirements.txt; skips the test where they are not there."""
    home = build_dir() / "python-packages"
    if not (home / "fetched").exists():
        pytest.skip("the packages of tests/python/requirements.txt are not there")
    return str(home / "bin" / "python")


def run(interpreter, program, *arguments, stdin="", timeout=120, **more):
    done = subprocess.run([interpreter, "-W", "error::ResourceWarning", str(HERE / program), *arguments], input=stdin,
                          env=environment(**more), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=timeout)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


PLAIN = sys.executable

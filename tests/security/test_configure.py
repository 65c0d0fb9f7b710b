"""configure refuses what is too old, names the packages, and says aloud what it leaves out."""

import os
import pathlib
import re
import subprocess

import pytest

CONFIGURE = pathlib.Path(__file__).resolve().parents[2] / "configure"
# pkg-config's name: (the oldest version that is taken, one that is not, Debian's package)
LIBRARIES = {
    "libmariadb": ("3.1", "3.0.10", "libmariadb-dev"),
    "libcurl": ("7.61", "7.60.0", "libcurl4-openssl-dev"),
    "libcrypto": ("3.0", "1.1.1w", "libssl-dev"),
    "jansson": ("2.12", "2.11", "libjansson-dev"),
    "inih": ("53", "52", "libinih-dev"),
    "cjose": ("0.6.2", "0.6.1", "libcjose-dev"),
}


class Machine:
    """configure on a machine whose pkg-config and dpkg-query know other versions."""

    def __init__(self, home):
        self.home = home
        (home / "pc").mkdir()
        (home / "bin").mkdir()
        (home / "build").mkdir()

    def library(self, name, version):
        """A library of another version."""
        real = subprocess.run(["pkg-config", "--variable=pcfiledir", name], stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.DEVNULL, check=False).stdout.strip()
        text = (pathlib.Path(real) / f"{name}.pc").read_text() if real else f"Name: {name}\nDescription: {name}\nVersion: 0\n"
        (self.home / "pc" / f"{name}.pc").write_text(re.sub(r"^Version:.*$", f"Version: {version}", text, flags=re.M))

    def fcgi_package(self, version):
        program = self.home / "bin" / "dpkg-query"
        program.write_text(f"#!/bin/sh\nprintf '%s' '{version}'\n")
        program.chmod(0o755)

    def configure(self, *arguments):
        environment = {**os.environ, "PKG_CONFIG_PATH": str(self.home / "pc"),
                       "PATH": f"{self.home}/bin:{os.environ['PATH']}"}
        for name in ("MAKEFLAGS", "MFLAGS", "CFLAGS", "CONFIG_SITE"):
            environment.pop(name, None)
        done = subprocess.run([CONFIGURE, "-C", *arguments], cwd=self.home / "build", env=environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False)
        return done.returncode, done.stdout


@pytest.fixture
def machine(home):
    return Machine(home)


def test_too_old_libraries_are_all_named(machine):
    for name, (_, old, _) in LIBRARIES.items():
        machine.library(name, old)
    status, said = machine.configure()
    assert status != 0
    packages = re.search(r"error: libraries are missing; on Debian: apt-get install (.*)$", said, re.M)[1].split()
    assert packages == [package for _, _, package in LIBRARIES.values()]


def test_the_oldest_that_do_and_no_filter(machine):
    for name, (oldest, _, _) in LIBRARIES.items():
        machine.library(name, oldest)
    machine.library("libseccomp", "2.4.4")
    status, said = machine.configure()
    assert status == 0, said[-3000:]
    assert "WARNING: without libseccomp (2.5 or later) octroi has no filter of system calls" in said
    assert "hardening yes, sandbox no" in said
    status, said = machine.configure("--with-seccomp")
    assert status != 0 and "apt-get install libseccomp-dev" in said
    status, said = machine.configure("--without-seccomp")
    assert status == 0 and "without libseccomp" not in said and "sandbox no" in said


@pytest.mark.parametrize("version, package", [("2.4.4", ""), ("2.4.2", "2.4.2-2"), ("2.4.2", "2.4.2-2+deb12u0~1"), ("2.4.0", "")])
def test_libfcgi_without_its_fix_is_refused(machine, version, package):
    machine.library("fcgi", version)
    machine.fcgi_package(package)
    status, said = machine.configure()
    assert status != 0 and "CVE-2025-23016" in said and "--with-patched-fcgi" in said, said[-2000:]

"""Hardening that the compiler and linker were asked for is in the programs: looked up there, not in the flags."""

import functools
import pathlib
import platform
import re
import subprocess

import pytest

from octroi import build_dir

PROGRAMS = ["octroi", "octroictl"]
# Functions that start programs, or that no bound can be given to.
UNWANTED = {"system", "popen", "execl", "execlp", "execle", "execv", "execvp", "execvpe", "execve", "fexecve", "fork", "vfork",
            "posix_spawn", "posix_spawnp", "dlopen", "gets", "strcpy", "stpcpy", "strcat", "sprintf", "vsprintf", "sscanf", "scanf",
            "strncpy", "strtok", "atoi", "atol", "atof", "mktemp", "tmpnam", "tempnam", "alloca", "rand", "srand", "gmtime",
            "localtime", "asctime", "ctime", "getwd", "putenv", "strtod", "pow"}
# octroictl alone starts programs: those of setup, backup and restore, by name and without a shell (src/ctl/program.h).
WANTED = {"octroi": set(), "octroictl": {"posix_spawnp"}}


@functools.cache
def readelf(*arguments):
    return subprocess.run(["readelf", *map(str, arguments)], stdout=subprocess.PIPE, text=True, check=True).stdout


def imports(program):
    """Names of the functions that the program takes from libraries."""
    return {re.split("@", line.split()[7])[0] for line in readelf("-W", "--dyn-syms", build_dir() / program).splitlines()
            if len(line.split()) > 7 and line.split()[6] == "UND"}


def header(program):
    return readelf("-hWld", build_dir() / program)


@pytest.mark.parametrize("program", PROGRAMS)
def test_position_independent(program):
    assert re.search(r"Type:\s+DYN", header(program)) and re.search(r"FLAGS_1.*\bPIE\b", header(program))
    assert "TEXTREL" not in header(program)


@pytest.mark.parametrize("program", PROGRAMS)
def test_relocations_are_read_only_before_main(program):
    assert "GNU_RELRO" in header(program)
    assert re.search(r"FLAGS_1.*\bNOW\b", header(program))


@pytest.mark.parametrize("program", PROGRAMS)
def test_no_memory_is_written_and_executed(program):
    segments = re.findall(r"^\s+(\w+)\s+(?:0x\w+\s+){5}([RWE ]{3})", header(program), re.M)
    assert ("GNU_STACK", "RW ") in segments and len(segments) > 8
    assert not [name for name, flags in segments if "W" in flags and "E" in flags]


@pytest.mark.parametrize("program", PROGRAMS)
def test_libraries_are_looked_for_where_the_system_has_them(program):
    assert "RPATH" not in header(program) and "RUNPATH" not in header(program)


@pytest.mark.parametrize("program", PROGRAMS)
def test_stack_protector_and_fortify(program):
    names = imports(program)
    assert "__stack_chk_fail" in names
    checked = {name for name in names if name.startswith("__") and name.endswith("_chk")}
    assert {"__snprintf_chk", "__memcpy_chk", "__fprintf_chk"} <= checked, checked
    # Functions that may overflow are called in their checked form only, unless the compiler knows the bound.
    assert not names & {"fprintf", "vfprintf", "vsnprintf", "printf", "strncat"}, names


@pytest.mark.parametrize("program", PROGRAMS)
def test_nothing_unwanted_is_called(program):
    assert imports(program) & UNWANTED == WANTED[program]


@pytest.mark.skipif(platform.machine() != "x86_64", reason="branch tracking and shadow stacks are x86's")
def test_control_flow_is_marked():
    """Each object of ours; the programs as a whole where the distribution's start files have the mark too."""
    objects = sorted((build_dir() / "src").rglob("*.o"))
    assert len(objects) > 100
    for path in objects:
        assert re.search(r"x86 feature:.*IBT, SHSTK", readelf("-n", path)), path
    start = pathlib.Path(subprocess.run(["cc", "-print-file-name=Scrt1.o"], stdout=subprocess.PIPE, text=True,
                                        check=True).stdout.strip())
    if "IBT, SHSTK" in readelf("-n", start):
        assert "IBT, SHSTK" in readelf("-n", build_dir() / "octroi")


def test_what_leaves_no_trace_was_asked_for():
    """Flags whose work cannot be read off: cleared variables, probed stacks, no reasoning from undefined behaviour."""
    flags = re.search(r"^HARDENING_CFLAGS = (.*)$", (build_dir() / "Makefile").read_text(), re.M)[1].split()
    for flag in ("-fstack-clash-protection", "-ftrivial-auto-var-init=zero", "-fno-delete-null-pointer-checks",
                 "-fno-strict-overflow", "-fno-strict-aliasing"):
        assert flag in flags
    assert {"-D_FORTIFY_SOURCE=3", "-D_FORTIFY_SOURCE=2"} & set(flags)

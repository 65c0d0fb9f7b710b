"""The source tree, for the style tests.  Only tracked files count, and untracked ones that are
not ignored, so that a new file is held to the rules before it is committed."""

import functools
import os
import pathlib
import re
import subprocess

TOP = pathlib.Path(__file__).resolve().parents[2]


# Of a release: what autoconf made, and where distcheck builds.
GENERATED = {"configure", "aclocal.m4", "Makefile.in", "build-aux", "autom4te.cache", "_build", "_inst", "__pycache__"}


def over(things):
    """Makes one test of a rule about many things: it fails with all that break it, not with the first."""
    def wrap(rule):
        @functools.wraps(rule)
        def test():
            broken = []
            for thing in things:
                try:
                    rule(*thing) if isinstance(thing, (tuple, list)) else rule(thing)
                except AssertionError as e:
                    broken.append(str(e).split("\n")[0] or str(thing))
            assert not broken, f"{len(broken)} of {len(things)}:\n" + "\n".join(broken)

        del test.__wrapped__  # its arguments are no fixtures
        return test

    return wrap


@functools.cache
def files():
    """Paths relative to the top; of a checkout what git would commit, of a tarball all there is."""
    if (TOP / ".git").exists():
        done = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=TOP, stdout=subprocess.PIPE,
                              text=True, check=True)
        names = done.stdout.splitlines()
    else:
        names = [str(path.relative_to(TOP)) for path in TOP.rglob("*")
                 if not GENERATED & set(path.relative_to(TOP).parts) and path.suffix != ".pyc"]
    return sorted(name for name in names if (TOP / name).is_file())


def sources(*suffixes, under="src/"):
    return [name for name in files() if name.startswith(under) and name.endswith(suffixes)]


@functools.cache
def text(name):
    return (TOP / name).read_text(encoding="utf-8")


@functools.cache
def code(name):
    """The file with comments and the inside of strings blanked, line by line as it was."""
    def blank(match):
        found = match[0]
        if found.startswith(('"', "'")):
            return found[0] + re.sub(r"[^\n]", " ", found[1:-1]) + found[0]
        return re.sub(r"[^\n]", " ", found)

    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', blank, text(name), flags=re.S)


def functions(name):
    """(name, first line, lines) of each function: from its signature to its closing brace."""
    lines = code(name).split("\n")
    first = None
    for number, line in enumerate(lines):
        if line == "{":
            first = number - 1
            while first > 0 and lines[first - 1] and not lines[first - 1].endswith((";", "}", "*/")) \
                    and not lines[first - 1].startswith(("#", "}")):
                first -= 1
        elif line == "}" and first is not None:
            signature = " ".join(lines[first:number])
            found = re.search(r"(\w+)\(", signature)
            yield (found[1] if found else "?"), first + 1, number - first + 1
            first = None


def definitions(name, macro):
    """The arguments of each MACRO(…) of a .def file, as they stand."""
    for match in re.finditer(rf"^{macro}\((.*)\)$", re.sub(r",\n\s+", ", ", text(name)), re.M):
        yield [part.strip() for part in re.findall(r'(?:"(?:\\.|[^"\\])*"|[^,"])+', match[1])]


def build():
    """The build directory, whose objects some tests look at."""
    named = os.environ.get("OCTROI_BUILD")
    path = pathlib.Path(named) if named else TOP / ".octroi" / "build"
    assert (path / "src").is_dir(), f"no build in {path}: set OCTROI_BUILD"
    return path


def nm(name, *flags):
    """The lines of nm about the object of a source."""
    path = build() / name.replace(".c", ".o")
    done = subprocess.run(["nm", *flags, str(path)], stdout=subprocess.PIPE, text=True, check=True)
    return [line for line in done.stdout.splitlines() if line.strip()]


def symbols(name, *flags):
    return [line.split()[-1] for line in nm(name, *flags)]

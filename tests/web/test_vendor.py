"""Vendored libraries are the released files."""

import hashlib
import importlib.util
import re

from octroi import TOP

ROW = re.compile(r"^\| (\S+)(?: \(tests only\))? \| ([\d.]+) \| \S+ \| (\S+) \| ([0-9a-f]{64}) \|$", re.M)


def test_digests_are_those_of_the_manual():
    rows = {file: (package, version, digest) for package, version, file, digest in ROW.findall((TOP / "web/vendor/README.md").read_text())}
    spec = importlib.util.spec_from_file_location("fetch", TOP / "web/vendor/fetch.py")
    fetch = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fetch)
    pinned = {file: (name, version) for name, (version, _, files) in fetch.PACKAGES.items() for file in files.values()}
    assert {file: row[:2] for file, row in rows.items()} == pinned
    for file, (_, _, digest) in rows.items():
        assert hashlib.sha256((TOP / file).read_bytes()).hexdigest() == digest, file


def test_no_other_file_is_vendored():
    listed = {file for _, _, file, _ in ROW.findall((TOP / "web/vendor/README.md").read_text())}
    found = {str(path.relative_to(TOP)) for where in ("web/vendor", "tests/web/vendor") for path in (TOP / where).rglob("*")
             if path.is_file() and path.name not in ("README.md", "fetch.py") and "__pycache__" not in path.parts}
    assert found == listed

"""Drives peer.mjs: other people's implementations, in node.  Where node or the packages of package.json
(npm ci in this directory) are not there, the tests that need them are skipped, and counted so."""

import json
import pathlib
import shutil
import subprocess

import pytest

HERE = pathlib.Path(__file__).resolve().parent
NODE_MAJOR = 20


def node():
    """The node program; skips the tests where it, or what it needs, is missing."""
    found = shutil.which("node")
    if not found:
        pytest.skip("node is missing")
    version = subprocess.run([found, "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout
    if int(version.lstrip("v").split(".")[0]) < NODE_MAJOR:
        pytest.skip(f"node {version.strip()} is older than {NODE_MAJOR}")
    if not (HERE / "node_modules").is_dir():
        pytest.skip("npm ci has not run in tests/peers")
    return found


class PeerError(Exception):
    """The other side's refusal, in its words."""


class Peer:
    def __init__(self):
        self._process = subprocess.Popen([node(), str(HERE / "peer.mjs")], cwd=HERE, stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.wait(30)

    def ask(self, op, **more):
        self._process.stdin.write(json.dumps({"op": op, **more}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise PeerError(answer["error"])
        return answer["value"]

    def accepts(self, op, **more):
        try:
            self.ask(op, **more)
            return True
        except PeerError:
            return False

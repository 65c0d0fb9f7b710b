"""The legacy script of docs/python.md, as it stands there, before a real octroi: a customer without credit never reaches the
provider."""

import re
import subprocess

import pytest

import fake_provider
import guard
import pythons
from octroi import Octroi

DOCUMENT = (pythons.TOP / "docs" / "python.md").read_text()
RICH = 1_000_000


def guarded_script():
    """The script, the guarded one, and the numbers of removed and added lines."""
    (script,) = re.findall(r"^```python\n(.*?)^```$", DOCUMENT, re.M | re.S)
    (diff,) = re.findall(r"^```diff\n(.*?)^```$", DOCUMENT, re.M | re.S)
    removed = "".join(line[1:] for line in diff.splitlines(True) if line[0] == "-")
    added = "".join(line[1:] for line in diff.splitlines(True) if line[0] == "+")
    assert script.count(removed) == 1
    return script, script.replace(removed, added), removed.count("\n"), added.count("\n")


def test_script_is_guarded_with_five_lines():
    script, _, removed, added = guarded_script()
    assert script.count("\n") <= 20 and removed <= added <= 5


@pytest.fixture(scope="module")
def o():
    with Octroi("nginx") as o:
        yield o


def ask(directory, url, key, customer, guarded=True):
    """(exit status, output, errors, requests at the provider)"""
    with fake_provider.ChattyProvider() as provider:
        path = directory / "ask.py"
        path.write_text(guarded_script()[1 if guarded else 0])
        done = subprocess.run([pythons.PLAIN, str(path), customer, "What is six times seven?"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=60, env=pythons.environment(
                                  OCTROI_INTERNAL_URL=url, OCTROI_GUARD_KEY=key, OPENAI_URL=provider.url, OPENAI_KEY="sk"))
        return done.returncode, done.stdout, done.stderr, [body for _, _, _, body in provider.requests]


def test_script_before_octroi(o, tmp_path):
    o.account("user:rich", funds_micros=RICH)
    o.account("user:poor")
    status, output, errors, asked = ask(tmp_path, o.internal_url, o.keys["guard"], "poor")
    assert status == 1 and output == "" and errors.startswith("Not enough credits.") and asked == []
    status, output, errors, asked = ask(tmp_path, o.internal_url, o.keys["guard"], "rich")
    assert (status, output, errors) == (0, "Answer for rich:\nHi\n", "") and [body["max_tokens"] for body in asked] == [500]
    left = RICH - guard.cost("gpt-4o", input=fake_provider.INPUT, output=fake_provider.OUTPUT)
    assert o.balance("user:rich") == (left, 0, left)


def test_script_as_it_was(o, tmp_path):
    status, output, _, asked = ask(tmp_path, o.internal_url, "", "anybody", guarded=False)
    assert status == 0 and output.endswith("Hi\n") and len(asked) == 1


def test_script_without_octroi(tmp_path):
    status, output, errors, asked = ask(tmp_path, "http://127.0.0.1:1", "oct_guard_canary", "rich")
    assert (status, output, errors, asked) == (1, "", "Please try again later.\n", [])


def test_script_without_a_key(o, tmp_path):
    status, _, errors, asked = ask(tmp_path, o.internal_url, "", "rich")
    assert status == 1 and "not set up correctly" in errors and asked == []

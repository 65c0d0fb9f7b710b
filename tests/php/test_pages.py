"""The legacy page of docs/php.md, as it stands there, before a real octroi: a user without credit never reaches the provider."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.parse
import urllib.request

import pytest

import faults as f
import guard
from octroi import Octroi, free_port, wait_until

TOP = pathlib.Path(__file__).resolve().parents[2]
DOCUMENT = (TOP / "docs" / "php.md").read_text()


def guarded_page():
    """The page with its difference applied, and the numbers of removed and added lines."""
    (page,) = re.findall(r"^```php\n(.*?)^```$", DOCUMENT, re.M | re.S)
    (diff,) = re.findall(r"^```diff\n(.*?)^```$", DOCUMENT, re.M | re.S)
    removed = "".join(line[1:] for line in diff.splitlines(True) if line[0] == "-")
    added = "".join(line[1:] for line in diff.splitlines(True) if line[0] == "+")
    assert page.count(removed) == 1
    return page, page.replace(removed, added), removed.count("\n"), added.count("\n")


def test_page_is_guarded_with_five_lines():
    page, _, removed, added = guarded_page()
    assert page.count("\n") <= 30 and removed <= added <= 5


class Site:
    """The guarded page in PHP's own web server, with a provider of the test's."""

    def __init__(self, url, key, directory):
        self.asked, self.failing = [], False
        self.provider = f.Server(self._provide)
        self.directory = directory
        (directory / "ask.php").write_text(guarded_page()[1])
        shutil.copy(TOP / "clients" / "php" / "octroi.php", directory)
        self.port = free_port()
        self.process = subprocess.Popen(
            ["php", "-S", f"127.0.0.1:{self.port}", "-t", str(directory), "-d", f"session.save_path={directory}"],
            env={"PATH": os.environ["PATH"], "OCTROI_INTERNAL_URL": url, "OCTROI_GUARD_KEY": key,
                 "OPENAI_URL": self.provider.url, "OPENAI_KEY": "sk", "OCTROI_SPOOL": str(directory / "spool")},
            stdout=subprocess.DEVNULL, stderr=open(directory / "log", "w"))
        wait_until(lambda: "started" in (directory / "log").read_text(), what="php -S")

    def _provide(self, handler):
        self.asked.append(self.provider.seen[-1][1])
        if self.failing:
            handler.say(429, f.JSON, json.dumps({"error": {"message": "Rate limit reached"}}))
        else:
            handler.say(200, f.JSON, json.dumps({"choices": [{"message": {"content": "<b>42"}}],
                                                 "usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}}))

    def ask(self, user):
        (self.directory / f"sess_of{user}").write_text(f'user|s:{len(user)}:"{user}";')
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/ask.php", headers={"Cookie": f"PHPSESSID=of{user}"},
                                         data=urllib.parse.urlencode({"question": "What is six times seven?"}).encode())
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.provider.stop()


@pytest.fixture(scope="module")
def o():
    with Octroi("nginx") as o:
        yield o


@pytest.fixture
def directory():
    with tempfile.TemporaryDirectory() as path:
        yield pathlib.Path(path)


def test_page_before_octroi(o, directory):
    o.account("user:rich", funds_micros=1_000_000)
    o.account("user:poor")
    with Site(o.internal_url, o.keys["guard"], directory) as site:
        assert site.ask("poor")[0] == 402 and site.asked == []
        status, page = site.ask("rich")
        assert (status, page) == (200, "<p>&lt;b&gt;42</p>") and len(site.asked) == 1 and site.asked[0]["max_tokens"] == 500
        left = 1_000_000 - guard.cost("gpt-4o", input=5, output=7)
        assert o.balance("user:rich") == (left, 0, left)
        site.failing = True
        assert site.ask("rich")[1] == "<p>Please try again later.</p>" and len(site.asked) == 2
        assert o.balance("user:rich") == (left, 0, left), "the provider refused: free"


def test_page_without_octroi(directory):
    with Site("http://127.0.0.1:1", "oct_guard_canary", directory) as site:
        assert site.ask("rich") == (503, "<p>Please try again later.</p>") and site.asked == []
        assert "canary" not in (directory / "log").read_text()


def test_page_without_a_key(o, directory):
    with Site(o.internal_url, "", directory) as site:
        status, page = site.ask("rich")
        assert status == 503 and "not set up correctly" in page and site.asked == []

"""The official packages of OpenAI, Anthropic and Google, wrapped, between a real octroi and a provider that counts."""

import json
import subprocess

import pytest

import fake_provider
import pythons
from octroi import Octroi, wait_until

RICH = 100_000_000
USED = (fake_provider.INPUT, fake_provider.OUTPUT)
TWICE = [("exact", *USED)] * 2
ONCE = [("exact", *USED)]
RESERVED = "reserved"
FREE = [("released",)]

# scene: (result or exception, requests at the provider, usages).  `None` of a result: not compared.
OPENAI = {
    "chat": ("Hi", 1, ONCE), "bound-is-set": ("Hi", 1, ONCE), "several-answers": ("Hi", 1, ONCE),
    "stream": (["Hi"] * 3 + [None], 1, ONCE), "stream-with-usage": (18, 1, ONCE), "early-break": ("Hi", 1, RESERVED),
    "stream-that-is-dropped": (None, 1, RESERVED), "stream-helper": ("HiHiHi", 1, ONCE), "tools": ("Hi", 2, TWICE),
    "responses": ("Hi", 1, ONCE), "responses-stream": (5, 1, ONCE), "raw-response": ("Hi", 1, ONCE),
    "streamed-response": (True, 1, ONCE), "embeddings": (0, 1, [("exact", fake_provider.INPUT, 0)]),
    "copy-of-the-client": ("Hi", 1, ONCE), "one-failure-and-a-retry": ("Hi", 2, ONCE),
    "refused-by-the-provider": ("BadRequestError", 1, []), "models-are-free": ("gpt-4o", 1, []),
    "no-credit": ("InsufficientCredits", 0, []), "no-credit-with-retries": ("InsufficientCredits", 0, []),
    "unknown-call": ("InvalidRequest", 0, []), "file-of-a-batch": ("InvalidRequest", 0, []), "realtime": ("InvalidURI", 0, []),
    "count-that-is-a-text": ("InvalidRequest", 0, []), "larger-bound-beside": ("Hi", 1, ONCE),
    "provider-is-away": ("APIConnectionError", 0, []), "provider-hangs": ("APITimeoutError", 1, RESERVED),
    "wrapped-twice": ("ValueError", 0, []), "async-chat": ("Hi", 1, ONCE), "async-stream": (["Hi"] * 3 + [None], 1, ONCE),
    "async-early-break": ("Hi", 1, RESERVED), "async-many": (None, 8, ONCE * 8), "async-no-credit": ("InsufficientCredits", 0, []),
    "async-cancelled": (None, 1, RESERVED), "async-refused-by-the-provider": ("BadRequestError", 1, []),
}
ANTHROPIC = {
    "message": ("Hi", 1, ONCE), "stream": ("message_stop", 1, ONCE), "stream-helper": ("HiHiHi", 1, ONCE),
    "early-break": ("Hi", 1, RESERVED), "tools": ("Hi", 2, TWICE), "counting-is-free": (fake_provider.INPUT, 1, []),
    "batches": ("InvalidRequest", 0, []), "no-credit": ("InsufficientCredits", 0, []),
    "one-failure-and-a-retry": ("Hi", 2, ONCE), "async-message": ("Hi", 1, ONCE), "async-stream": ("HiHiHi", 1, ONCE),
    "async-early-break": ("Hi", 1, RESERVED), "async-no-credit": ("InsufficientCredits", 0, []),
}
GOOGLE = {
    "content": ("Hi", 1, ONCE), "bound-is-set": ("Hi", 1, ONCE), "stream": (["Hi"] * 3, 1, ONCE),
    "early-break": ("Hi", 1, [("partial", *USED)]), "chat": ("Hi", 1, ONCE), "no-credit": ("InsufficientCredits", 0, []),
    "caches": ("InvalidRequest", 0, []), "second-bound": ("InvalidRequest", 0, []), "async-content": ("Hi", 1, ONCE), "async-stream": (["Hi"] * 3, 1, ONCE),
    "async-no-credit": ("InsufficientCredits", 0, []), "live": ("InvalidRequest", 0, []),
}
PACKAGES = {"openai": OPENAI, "anthropic": ANTHROPIC, "google": GOOGLE}


@pytest.fixture(scope="module")
def o():
    with Octroi("nginx") as o:
        yield o


class Stage:
    """wrapped.py, scene by scene."""

    def __init__(self, o, package, home):
        self.provider = fake_provider.ChattyProvider()
        self.provider.__enter__()
        self.log = open(home / f"{package}.log", "w+")
        self.process = subprocess.Popen(
            [pythons.packages(), str(pythons.HERE / "wrapped.py"), package], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self.log, env=pythons.environment(
                OCTROI_INTERNAL_URL=o.internal_url, OCTROI_GUARD_KEY=o.keys["guard"], PROVIDER=self.provider.url))
        self.scenes = json.loads(self.process.stdout.readline() or "null")
        assert self.scenes is not None, self.said()

    def said(self):
        self.log.seek(0)
        return self.log.read()

    def play(self, name):
        self.provider.requests.clear()
        self.provider.failures = {"one-failure-and-a-retry": [500]}.get(name, [400] if "refused" in name else [])
        self.provider.words = 3
        if name in ("provider-hangs", "async-cancelled"):
            self.provider.trouble("hang")
        self.process.stdin.write(name + "\n")
        self.process.stdin.flush()
        happened = json.loads(self.process.stdout.readline())
        self.provider.well()
        return {**happened, "requests": list(self.provider.requests)}

    def stop(self):
        self.process.stdin.close()
        self.process.wait(30)
        self.provider.__exit__()


@pytest.fixture(scope="module")
def stages(o, tmp_path_factory):
    made, home = {}, tmp_path_factory.mktemp("wrapped")

    def of(package):
        if package not in made:
            made[package] = Stage(o, package, home)
        return made[package]

    yield of
    for stage in made.values():
        stage.stop()


@pytest.mark.parametrize("package, name", [(package, name) for package, scenes in PACKAGES.items() for name in scenes])
def test_scene(o, stages, package, name):
    stage = stages(package)
    assert sorted(stage.scenes) == sorted(PACKAGES[package])
    expected, requests, usages = PACKAGES[package][name]
    o.account(name, funds_micros=None if "no-credit" in name else RICH)
    before = o.balance(name)
    known = {usage["id"] for usage in o.get(f"/api/credits/usages?account={name}").json["items"]}
    happened = stage.play(name)
    if happened["exception"] is None:
        assert expected is None or happened["result"] == expected, happened
    else:
        assert expected in happened["exception"] and not happened["canary"], happened
    sent = [request for request in happened["requests"] if request[0] == "POST" or "models" in request[1]]
    assert len(sent) == requests, happened
    wait_until(lambda: o.balance(name)[1] == 0, what=f"the end of all holds: {stage.said()}")
    items = [usage for usage in o.get(f"/api/credits/usages?account={name}").json["items"] if usage["id"] not in known]
    after = o.balance(name)
    assert before[0] - after[0] == sum(usage["costMicros"] for usage in items)
    if usages == RESERVED:
        assert [usage["settlement"] for usage in items] == ["estimated"] and items[0]["costMicros"] > 0, items
    else:
        assert [(usage["settlement"], usage["inputTokens"], usage["outputTokens"]) for usage in items] == usages, items
    for _, path, _, body in sent:
        check_bound(name, path, body)
    assert "canary" not in stage.said()


def check_bound(name, path, body):
    """No request goes out without a bound of output."""
    if path.endswith(("/chat/completions", "/messages")):
        bounds = [body[key] for key in ("max_completion_tokens", "max_tokens") if key in body]
    elif path.endswith("/responses"):
        bounds = [body["max_output_tokens"]]
    elif "enerateContent" in path:
        bounds = [body["generationConfig"]["maxOutputTokens"]]
    else:
        return
    assert bounds and all(0 < bound <= 2000 for bound in bounds), (name, body)

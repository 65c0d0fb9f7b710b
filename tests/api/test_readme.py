"""README's snippets, run as they stand: without a hold no request to a provider goes out, with one it goes out once,
with no more tokens than were granted, and is settled."""

import concurrent.futures
import json
import os
import subprocess
import sys

import pytest

import guard
import readme
from octroi import build_dir

LANGUAGES = ("php", "python")
FAULTS = list(readme.FAULTS)
OTHERS = ["answers", "settle fails twice", "settle fails", "provider fails", "usage refused"]


def play(language, world):
    """In a network of its own, so that README's port is free; as root in it where the caller is not root."""
    namespace = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--net", "--map-root-user"]
    done = subprocess.run([*namespace, "--", sys.executable, readme.__file__, language, world], stdout=subprocess.PIPE,
                          env={**os.environ, "OCTROI_BUILD": str(build_dir())}, stderr=subprocess.PIPE, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def played():
    """All worlds at once: some of them take as long as the snippets wait."""
    if subprocess.run(["unshare", "--net", "--map-root-user", "true"], stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("no network of one's own here")
    worlds = [(language, world) for language in LANGUAGES for world in FAULTS + OTHERS]
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        return dict(zip(worlds, pool.map(lambda pair: play(*pair), worlds)))


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("fault", FAULTS)
def test_without_a_hold_nothing_goes_out(played, language, fault):
    happened = played[language, fault]
    assert happened["asked"] == [], happened
    assert all(path == "/api/guard/authorize" for path, _, _ in happened["seen"]), happened
    if language == "php":
        assert f"Status: {402 if fault == 'no credits' else 503}" in happened["out"], happened
    else:
        assert happened["exit"] != 0, happened


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_refusal_is_told(played, language):
    assert "Not enough credits." in played[language, "no credits"]["out"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_with_a_hold_it_goes_out_once_and_is_settled(played, language):
    happened = played[language, "answers"]
    assert happened["asked"] == [readme.HOLD["maxOutputTokens"]], happened
    (first, key, asked), (second, _, settled) = happened["seen"]
    assert (first, key, second) == ("/api/guard/authorize", readme.KEY, "/api/guard/settle")
    assert asked["requestId"] == "readme-1" and asked["account"] == "user:42"
    assert settled == {"hold": "h1", "usage": readme.USAGE}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_settlement_is_repeated_and_then_written_down(played, language):
    happened = played[language, "settle fails twice"]
    assert [path for path, _, _ in happened["seen"]] == ["/api/guard/authorize"] + 3 * ["/api/guard/settle"], happened
    happened = played[language, "settle fails"]
    assert len(happened["asked"]) == 1 and len(happened["seen"]) == 5, happened
    assert "not settled" in happened["out"] and '"h1"' in happened["out"], happened


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_provider_that_breaks_off_is_paid_for(played, language):
    *_, (path, _, settled) = played[language, "provider fails"]["seen"]
    assert (path, settled) == ("/api/guard/settle", {"hold": "h1", "outcome": "partial"})


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_usage_object_that_is_refused_is_not_free(played, language):
    *_, (_, _, first), (_, _, second) = played[language, "usage refused"]["seen"]
    assert first["usage"] == readme.USAGE and second == {"hold": "h1", "outcome": "partial"}


@pytest.mark.skipif(os.geteuid() != 0, reason="octroi's own start needs root in a network of its own")
@pytest.mark.parametrize("language", LANGUAGES)
def test_against_octroi_itself(language):
    happened = play(language, "octroi")
    cost = guard.cost("gpt-4o", input=5, output=7)
    assert happened["asked"] == [2000] and happened["usages"] == ["1", "5", "7"], happened
    assert happened["balance"] == [1_000_000 - cost, 0, 1_000_000 - cost], happened
    assert happened["again"] == [], "a request id that was settled must not ask the provider once more"

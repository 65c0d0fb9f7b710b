"""The parts for Django, Flask, FastAPI, Celery and LiteLLM, in small applications with these packages, before a real octroi."""

import json

import pytest

import fake_provider
import guard
import pythons
from octroi import Octroi, wait_until

RICH = 1_000_000
COST = guard.cost("gpt-4o", input=fake_provider.INPUT, output=fake_provider.OUTPUT)


@pytest.fixture(scope="module")
def o():
    with Octroi("nginx") as o:
        yield o


def play(o, name, **more):
    with fake_provider.ChattyProvider() as provider:
        done = pythons.run(pythons.packages(), "frameworks.py", name, PROVIDER=provider.url, OCTROI_INTERNAL_URL=o.internal_url,
                           OCTROI_GUARD_KEY=o.keys["guard"], OCTROI_APP_KEY=o.keys["app"], **more)
        assert "canary" not in done.stdout + done.stderr, done.stderr
        return json.loads(done.stdout.splitlines()[-1]), [path for method, path, _, _ in provider.requests if method == "POST"], done.stderr


def spent(o, account):
    wait_until(lambda: o.balance(account)[1] == 0, what=f"the end of all holds of {account}")
    return RICH - o.balance(account)[0]


def check_pages(told, what, visitor):
    """The views of a rich user, a poor one and a visitor."""
    assert told[f"rich {what} text/html"][0] == told[f"rich {what} application/json"][0] == 200, told
    status, page = told[f"poor {what} text/html"]
    assert status == 402 and page.startswith("<p>") and "<a href" in page, page
    status, document = told[f"poor {what} application/json"]
    assert status == 402 and json.loads(document)["error"] == "INSUFFICIENT_CREDITS" and "topupUrl" in document
    for accept in ("text/html", "application/json"):
        assert told[f"visitor {what} {accept}"][0] == visitor, told


@pytest.mark.parametrize("name, what, visitor", [("django", "ask", 503), ("flask", "ask", 503), ("fastapi", "ask", 401)])
def test_pages(o, name, what, visitor):
    o.account(f"{name}:rich", funds_micros=RICH)
    o.account(f"{name}:poor")
    o.account(f"{name}:forgetful", funds_micros=RICH)
    told, asked, said = play(o, name)
    check_pages(told, what, visitor)
    answers = 4 if name == "fastapi" else 2
    assert len(asked) == answers and spent(o, f"{name}:rich") == answers * COST, (asked, said)
    if name == "django":
        assert told["rich balance text/html"][0] == 200 and "€" in told["rich balance text/html"][1], told
        assert told["visitor balance text/html"] == [200, ""] and told["broken"][0] == 500
    if name == "fastapi":
        check_pages(told, "hold", visitor)
        assert told["forgets"][0] == 200 and spent(o, "fastapi:forgetful") > COST and "not settled" in said, said


def test_celery_replays(o, tmp_path):
    account = o.account(funds_micros=RICH)
    hold = o.post("/api/guard/authorize", {"account": account, "model": "gpt-4o"}).json["hold"]
    usage = {"prompt_tokens": fake_provider.INPUT, "completion_tokens": fake_provider.OUTPUT}
    spool = tmp_path / "spool"
    spool.write_text(json.dumps({"at": 2_000_000_000, "settlement": {"hold": hold, "usage": usage}}) + "\n")
    told, _, said = play(o, "celery", OCTROI_SPOOL=str(spool))
    assert told == {"left": 0} and not spool.exists() and spent(o, account) == COST, said


def test_litellm(o):
    for name in ("rich", "stream", "several", "left"):
        o.account(f"litellm:{name}", funds_micros=RICH)
    o.account("litellm:poor")
    told, asked, said = play(o, "litellm")
    assert told["rich"] == [200, "Hi"] and told["several"] == [200, "Hi"] and told["stream"] == [200, "HiHiHi"], told
    assert told["poor"][0] == "InsufficientCredits" and told["nobody"][0] == "InvalidRequest" == told["images"][0], told
    assert told["sync"][0] == 200 and "no hold" in told["sync"][1], told
    assert len(asked) == 4, asked
    assert told["left"] == [200, "Hi"] and spent(o, "litellm:left") > COST, "a stream that is left early costs its reservation"
    assert [spent(o, f"litellm:{name}") for name in ("rich", "stream", "several")] == [COST] * 3, said

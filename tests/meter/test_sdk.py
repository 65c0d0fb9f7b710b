"""The official packages of OpenAI (Python and Node), Anthropic and Google as clients of octroi-meter: one address and one
key changed."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / folder) for folder in ("python", "peers")]

import peer
import pythons
from stage import cost

SENTENCE = "Bonjour — un octroi levait la taxe d'entrée."
OUTCOMES = {
    "openai": {
        "chat": "Hi", "stream": SENTENCE, "stream-with-usage": 36, "every-chunk-has-a-choice": True, "early-break": "Bonjour",
        "tools": ["get_weather", '{"city":"Lille","unit":"c"}'], "stream-helper": SENTENCE, "responses": "completed",
        "responses-stream": ["response.completed", SENTENCE], "embeddings": 0, "models": True, "one-failure-and-a-retry": "Hi",
        "refused-by-the-provider": "BadRequestError 400", "no-credit": "APIStatusError 402",
        "no-credit-with-retries-for-a-stream": "APIStatusError 402", "wrong-key": "AuthenticationError 401", "another-provider": SENTENCE,
        "async-streams": 1,
    },
    "openai for Node": {
        "chat": "Hi", "stream": SENTENCE, "stream-with-usage": 36, "early-break": "Bonjour",
        "tools": ["get_weather", '{"city":"Lille","unit":"c"}'], "stream-helper": SENTENCE, "responses": "completed",
        "responses-stream": "response.completed", "embeddings": 0, "models": True, "one-failure-and-a-retry": "Hi",
        "refused-by-the-provider": "BadRequestError 400 canary", "no-credit": "APIError 402 insufficient_quota",
        "no-credit-for-a-stream": "APIError 402 insufficient_quota", "wrong-key": "AuthenticationError 401 invalid_api_key",
        "another-provider": SENTENCE, "streams-at-once": 1,
    },
    "anthropic": {
        "message": "Hi", "stream": "message_stop", "stream-helper": SENTENCE, "tools": {"location": "Lille"}, "early-break": "Bonjour",
        "counting-is-free": 25, "auth-token": "Hi", "one-failure-and-a-retry": "Hi", "no-credit": "PaymentRequiredError 402",
        "wrong-key": "AuthenticationError 401",
    },
    "google": {"content": "Hi", "stream": SENTENCE, "early-break": "Bonjour —", "chat": "Hi", "no-credit": "ClientError 402",
               "wrong-key": "ClientError 401"},
}


def model_of(record):
    return record["body"].get("model") or "gemini-2.5-flash"


def command_of(package):
    """Plays the package's scenes; the test is skipped where the package is not there."""
    folder = pathlib.Path(__file__).resolve().parent
    if package == "openai for Node":
        return [peer.node(), str(folder / "sdk.mjs")]
    return [pythons.packages(), str(folder / "sdk.py"), package]


@pytest.mark.parametrize("package", OUTCOMES)
def test_package_is_served_and_its_use_is_booked(stage, payer, package):
    command, poor, before = command_of(package), stage.payer(funds_micros=0), len(stage.books())
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "METER": f"http://127.0.0.1:{stage.port}",
                   "KEY": payer.key, "POOR": poor.key}
    done = subprocess.run(command, env=environment, timeout=120,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found == OUTCOMES[package]
    used = stage.wait_settled(payer)
    records = stage.books()[before:]
    assert not [record for record in records if record["id"] in ("poor", "wrong")]
    assert all(record["keyed"] for record in records)
    assert stage.spent(payer) == sum(use["cost"] for use in used.values())
    check_bills(records, used)


def check_bills(records, used):
    """All but what was left early is settled as billed; that is settled by the declared estimate."""
    bills = sorted(cost(model_of(record), record["bill"]) for record in records if record["id"] != "break" and any(record["bill"]))
    exact = sorted(use["cost"] for use in used.values() if use["settlement"] == "exact" and use["cost"] > 0)
    assert exact == bills
    [left] = [record for record in records if record["id"] == "break"]
    [part] = [use for use in used.values() if use["settlement"] in ("partial", "estimated")]
    assert left["closed"] and part["counts"][1] >= 1 and part["cost"] <= part["reserved"], (left, part)

"""The cost of the same use on other models: each request priced anew, against fractions; and the table of what a
playlist costs on GPT-4o and on GPT-3.5 Turbo, made from requests that were really settled."""

import random

import pytest

import guard
from contract import Contract
from octroi import Octroi

ROUTE = "/api/credits/compare"
DOLLAR = 1_000_000
MODELS = ("gpt-4o", "gpt-3.5-turbo", "claude-sonnet-4-20250514")


@pytest.fixture(scope="module")
def contract():
    return Contract()


def compare(o, contract, account, models, status=200, **query):
    more = "".join(f"&{name.rstrip('_')}={value}" for name, value in query.items())
    answer = contract.hold(o.get(f"{ROUTE}?account={account}&models={models}{more}"), "GET", ROUTE)
    assert answer.status == status, answer
    return answer.json


def use(o, account, model, usage, **fields):
    held = guard.hold(o, account, model, inputTokens=sum(usage.values()), maxOutputTokens=usage.get("outputTokens", 0), **fields)
    done = guard.settle(o, held, **usage)
    assert done.status == 200, done
    return done.json["costMicros"]


# -- the seed's table ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def playlists():
    """An octroi that sells at the list prices of the time, in dollars."""
    with Octroi("nginx", settings={"currency": "USD", "margin": "1", "exchange_rate": "1"}) as o:
        o.ctl("price", "set", "gpt-4o", "--provider", "openai", "--input", "5", "--output", "15")
        o.ctl("price", "set", "gpt-3.5-turbo", "--provider", "openai", "--input", "0.5", "--output", "1.5")
        yield o


def test_a_playlist_of_fifty_songs(playlists, contract):
    """40,000 tokens in and 20,000 out: 0.50 $ on GPT-4o, 0.05 $ on GPT-3.5 Turbo, 90 % less."""
    o = playlists
    account = o.account(funds_micros=100 * DOLLAR)
    for _ in range(60):
        use(o, account, "gpt-4o", {"inputTokens": 40_000, "outputTokens": 20_000}, conversationId="playlist")
    assert o.balance(account)[0] == 70 * DOLLAR, "thirty dollars are about sixty generations"
    said = compare(o, contract, account, "gpt-4o,gpt-3.5-turbo")
    same, cheap = said["models"]
    assert (said["requests"], said["actualMicros"], said["complete"]) == (60, 30 * DOLLAR, True)
    assert (same["costMicros"], same["savingsMicros"], same["savingsPercentTenths"]) == (30 * DOLLAR, 0, 0)
    assert (cheap["costMicros"], cheap["savingsMicros"], cheap["savingsPercentTenths"]) == (3 * DOLLAR, 27 * DOLLAR, 900)
    table = {row["requests"]: tuple(row[name] / DOLLAR for name in ("actualMicros", "costMicros", "savingsMicros"))
             for row in cheap["averages"]}
    assert table == {1: (0.5, 0.05, 0.45), 10: (5, 0.5, 4.5), 30: (15, 1.5, 13.5), 50: (25, 2.5, 22.5), 100: (50, 5, 45)}


def test_averages_are_rounded_up(playlists, contract):
    o = playlists
    account = o.account(funds_micros=DOLLAR)
    for tokens in (1, 1, 2):
        use(o, account, "gpt-4o", {"inputTokens": tokens, "outputTokens": 0})
    [model] = compare(o, contract, account, "gpt-3.5-turbo")["models"]
    assert model["costMicros"] == 3, "0.5, 0.5 and 1 micros, each rounded up"
    assert [row["actualMicros"] for row in model["averages"]] == [7, 67, 200, 334, 667]
    assert [row["costMicros"] for row in model["averages"]] == [1, 10, 30, 50, 100]


# -- exact ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["money", "credit"])
def test_each_request_is_priced_as_the_guard_would(nginx, contract, unit):
    o, draw = nginx, random.Random(unit)
    account = o.account(funds_micros=10**12, unit=unit)
    used = []
    for i in range(40):
        usage = {"inputTokens": draw.randrange(10 ** draw.randrange(1, 6)), "outputTokens": draw.randrange(5000),
                 "cacheReadTokens": draw.randrange(1000), "cacheWriteTokens": draw.randrange(3)}
        model, member = draw.choice(MODELS), draw.choice(("user:1", "user:2"))
        used.append((model, member, usage, use(o, account, model, usage, member=member)))
    # Uses of no model, and of none of the platform's, are left out.
    guard.charge(o, account, "debrief")
    use(o, account, "gpt-4o", {"inputTokens": 1000, "outputTokens": 10}, byok=["openai"])
    guard.release(o, guard.hold(o, account))
    guard.hold(o, account)

    for query, chosen in (({}, used), ({"model": "gpt-4o"}, [u for u in used if u[0] == "gpt-4o"]),
                          ({"member": "user:2"}, [u for u in used if u[1] == "user:2"])):
        said = compare(o, contract, account, ",".join(MODELS), **query)
        actual = sum(cost for *_, cost in chosen)
        assert (said["requests"], said["actualMicros"], said["unit"]) == (len(chosen), actual, unit)
        for name in ("inputTokens", "cacheReadTokens", "cacheWriteTokens", "outputTokens"):
            assert said[name] == sum(usage[name] for _, _, usage, _ in chosen)
        assert [model["model"] for model in said["models"]] == list(MODELS)
        for model in said["models"]:
            cost = sum(guard.cost(model["model"], usage["inputTokens"], usage["outputTokens"], usage["cacheReadTokens"],
                                  usage["cacheWriteTokens"], unit=unit) for _, _, usage, _ in chosen)
            assert (model["costMicros"], model["savingsMicros"]) == (cost, actual - cost)
            assert abs(model["savingsPercentTenths"] - 1000 * (actual - cost) / actual) <= 0.5


def test_without_use(nginx, contract):
    said = compare(nginx, contract, nginx.account(), "gpt-4o")
    assert (said["requests"], said["actualMicros"]) == (0, 0)
    assert said["models"][0]["costMicros"] == 0 and said["models"][0]["savingsPercentTenths"] is None


def test_of_a_span(nginx, contract):
    account = nginx.account(funds_micros=DOLLAR)
    use(nginx, account, "gpt-4o", {"inputTokens": 100, "outputTokens": 0})
    assert compare(nginx, contract, account, "gpt-4o", from_="2020-01-01", to="2020-12-31")["requests"] == 0
    assert compare(nginx, contract, account, "gpt-4o", to="2020-01-15")["from"] == "2020-01-01T00:00:00.000Z"


# -- refusals ---------------------------------------------------------------------------------------------------


def test_what_is_refused(nginx, contract):
    account = nginx.account()
    unknown = compare(nginx, contract, account, "gpt-4o,unheard-of", 422)
    assert (unknown["error"], unknown["field"]) == ("UNKNOWN_MODEL", "models")
    assert unknown["message"] == "This model has no price: unheard-of"
    for models in ("", ",", "gpt-4o,", ",gpt-4o", "gpt-4o,,gpt-4o", ",".join(["gpt-4o"] * 9), "x" * 200):
        assert compare(nginx, contract, account, models, 400)["field"] == "models", models
    assert nginx.get(f"{ROUTE}?account={account}").json["field"] == "models"
    assert compare(nginx, contract, account, "gpt-4o", 400, from_="2020-01-01", to="2021-02-06")["field"] == "from"
    assert compare(nginx, contract, account, "gpt-4o", 400, from_="2020-01-01")["field"] == "from"
    assert compare(nginx, contract, account, "gpt-4o", from_="2020-01-01", to="2021-02-04")["requests"] == 0
    assert compare(nginx, contract, account, "gpt-4o", 400, from_="2020-01-02", to="2020-01-01")["field"] == "to"
    token = nginx.post("/api/tokens", {"account": account, "member": "user:1"}, key="app").json["token"]
    path = f"{ROUTE}?models=gpt-4o"
    assert contract.hold(nginx.get(path, key=token, public=True), "GET", ROUTE).status == 200
    assert nginx.get(path + "&member=user:2", key=token, public=True).status == 403

"""Charges by lines: everything that a provider counts, in its service tier and variant, with the lines that explain it."""

import csv
import fractions
import io
import json
import re
import urllib.parse

import pytest

import guard
from octroi import TOP, Octroi, wait_until

F = fractions.Fraction
PRICES = {
    "talker": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": "2.5e-6", "output_cost_per_token": "1e-5",
               "cache_read_input_token_cost": "1.25e-6", "input_cost_per_audio_token": "4e-5",
               "output_cost_per_audio_token": "8e-5", "input_cost_per_token_priority": "5e-6",
               "output_cost_per_token_priority": "2e-5", "input_cost_per_token_batches": "1.25e-6",
               "output_cost_per_token_batches": "5e-6",
               "search_context_cost_per_query": {"search_context_size_low": 0.025, "search_context_size_medium": 0.0275,
                                                 "search_context_size_high": 0.03}},
    "scribe": {"litellm_provider": "openai", "mode": "audio_transcription", "input_cost_per_second": 0.0001,
               "output_cost_per_second": 0.0001},
    "painter": {"litellm_provider": "openai", "mode": "image_generation", "input_cost_per_image": 0.04},
    "high/1024-x-1024/painter": {"litellm_provider": "openai", "mode": "image_generation", "input_cost_per_image": 0.167},
    "reader": {"litellm_provider": "mistral", "mode": "ocr", "ocr_cost_per_page": 0.004, "annotation_cost_per_page": 0.005},
    "ranker": {"litellm_provider": "cohere", "mode": "rerank", "input_cost_per_query": 0.002},
    "router/any": {"litellm_provider": "openrouter", "mode": "chat", "input_cost_per_token": "1e-6",
                   "output_cost_per_token": "2e-6"},
}


@pytest.fixture(scope="module")
def o():
    with Octroi("nginx", settings={"provider_cost": "openrouter:prefer"}) as mine:
        mine.ctl("price", "import", "-", input=json.dumps(PRICES))
        yield mine


@pytest.fixture
def account(o):
    return o.account(funds_micros=10**12)


def money(dollars):
    """Micros of the currency for so many dollars of the list."""
    return guard.ceiling(F(dollars) * guard.MARGIN / guard.RATE * 10**6)


def authorize(o, account, model, status=200, **fields):
    answer = o.post("/api/guard/authorize", {"account": account, "model": model, **fields})
    assert answer.status == status, answer
    return answer.json


def settle(o, hold, status=200, **fields):
    answer = o.post("/api/guard/settle", {"hold": hold, **fields})
    assert answer.status == status, answer
    return answer.json


def use(o, account, model, asked=None, **fields):
    return settle(o, authorize(o, account, model, **(asked or {}))["hold"], **fields)


def lines_of(o, account, usage):
    """The lines of a usage, which sum to its cost."""
    answer = o.get(f"/api/credits/usages/{usage}?account={account}")
    assert answer.status == 200, answer
    assert sum(line["costMicros"] for line in answer.json["lines"]) == answer.json["costMicros"]
    return answer.json


def test_each_kind_of_use_costs_its_own_price(o, account):
    audio = {"prompt_tokens": 300, "completion_tokens": 120, "total_tokens": 420,
             "prompt_tokens_details": {"audio_tokens": 200, "cached_tokens": 50},
             "completion_tokens_details": {"audio_tokens": 100, "reasoning_tokens": 5}}
    said = use(o, account, "talker", usage=audio)
    assert said["costMicros"] == money(F("2.5e-6") * 50 + F("1.25e-6") * 50 + F("4e-5") * 200 + F("8e-5") * 100 + F("1e-5") * 20)
    assert (said["settlement"], said.get("usageIncomplete")) == ("exact", None)
    shown = lines_of(o, account, said["hold"])
    assert {line["dimension"]: line.get("count") for line in shown["lines"]} == {
        "inputTokens": 50, "cacheReadTokens": 50, "outputTokens": 20, "audioInputTokens": 200, "audioOutputTokens": 100,
        "rounding": None}
    assert shown["counts"] == {"audioInputTokens": 200, "audioOutputTokens": 100}
    said = use(o, account, "scribe", usage={"type": "duration", "seconds": 37.5})
    assert said["costMicros"] == money(F("37.5") / 10000) and "usageIncomplete" not in said
    assert lines_of(o, account, said["hold"])["counts"] == {"seconds": "37.5"}
    assert use(o, account, "painter", counts={"images": 3})["costMicros"] == money("0.12")
    assert use(o, account, "painter", counts={"images": 3}, variant="1024x1024/high")["costMicros"] == money(F("0.167") * 3)
    assert use(o, account, "reader", usage={"pages_processed": 7, "doc_size_bytes": 9})["costMicros"] == money("0.028")
    assert use(o, account, "reader", counts={"pages": 2, "annotationPages": 1})["costMicros"] == money("0.013")
    assert use(o, account, "ranker", usage={"billed_units": {"search_units": 2}})["costMicros"] == money("0.004")


def test_the_tier_is_the_one_that_served(o, account):
    tokens = {"inputTokens": 1000, "outputTokens": 100}
    for tier, dollars in (("standard", "0.0035"), ("priority", "0.007"), ("batch", "0.00175")):
        said = use(o, account, "talker", serviceTier=tier, **tokens)
        assert (said["costMicros"], said.get("usageIncomplete")) == (money(dollars), None), tier
    asked = authorize(o, account, "talker", inputTokens=1000, maxOutputTokens=100, serviceTier="batch")
    assert asked["reservedMicros"] == money("0.00175")
    assert settle(o, asked["hold"], **tokens)["costMicros"] == money("0.00175"), "as asked, where nobody says otherwise"
    # A tier that the list does not price costs the dearest one that it does.
    said = use(o, account, "talker", serviceTier="flex", **tokens)
    assert (said["costMicros"], said["usageIncomplete"]) == (money("0.007"), True)
    # The provider's object says its own; another word is a contradiction.
    usage = {"input_tokens": 1000, "output_tokens": 100, "service_tier": "batch"}
    assert use(o, account, "talker", usage=usage)["costMicros"] == money("0.00175")
    held = authorize(o, account, "talker")["hold"]
    assert settle(o, held, 400, usage=usage, serviceTier="standard")["field"] == "serviceTier"
    assert settle(o, held, 400, serviceTier="turbo", **tokens)["field"] == "serviceTier"
    guard.release(o, held)


def test_searches_cost_by_their_context(o, account):
    usage = {"input_tokens": 10, "output_tokens": 10, "server_tool_use": {"web_search_requests": 3}}
    base = F("2.5e-6") * 10 + F("1e-5") * 10
    for variant, each in (("", "0.0275"), ("context=high", "0.03"), ("context=low", "0.025"), ("context=odd", "0.0275")):
        said = use(o, account, "talker", usage=usage, **({"variant": variant} if variant else {}))
        assert said["costMicros"] == money(base + 3 * F(each)), variant


def test_what_is_incomplete_is_counted_in_the_metrics(o, account):
    before = o.metric("octroi_incomplete_usages_total")
    use(o, account, "painter", counts={"images": 1})
    assert o.metric("octroi_incomplete_usages_total") == before
    held = authorize(o, account, "talker")["hold"]
    for _ in range(2):
        settle(o, held, counts={"sessions": 1})
    use(o, account, "talker", serviceTier="flex", inputTokens=1, outputTokens=1)
    assert o.metric("octroi_incomplete_usages_total") == before + 2, "a replay is none"


def test_what_has_no_price_is_not_free(o, account):
    held = authorize(o, account, "talker", inputTokens=1000, maxOutputTokens=1000)
    said = settle(o, held["hold"], counts={"sessions": 1})
    assert (said["costMicros"], said["settlement"], said["usageIncomplete"]) == (held["reservedMicros"], "estimated", True)
    lines = lines_of(o, account, said["hold"])
    assert lines["usageIncomplete"] is True
    # The dearest price of the side stands in where a token has none of its own.
    said = use(o, account, "router/any", usage={"prompt_tokens": 100, "completion_tokens": 10,
                                                "completion_tokens_details": {"audio_tokens": 10}})
    assert (said["costMicros"], said["usageIncomplete"]) == (money(F("1e-6") * 100 + F("2e-6") * 10), True)
    nothing = use(o, account, "painter", asked={"counts": {"images": 2}})
    assert (nothing["costMicros"], nothing["usageIncomplete"]) == (money("0.08"), True)


def test_bounds_that_are_not_said_are_configured(o, account):
    assert authorize(o, account, "painter")["reservedMicros"] == money("0.04")
    assert authorize(o, account, "scribe")["reservedMicros"] == money("0.006")
    assert authorize(o, account, "painter", counts={"images": 5})["reservedMicros"] == money("0.2")
    assert authorize(o, account, "painter", counts={"images": 5}, variant="1024x1024/high")["reservedMicros"] == money(F("0.167") * 5)
    assert authorize(o, account, "talker", inputTokens=0, maxOutputTokens=0, counts={"audioInputTokens": 1000, "seconds": "9.5"}
                     )["reservedMicros"] == money("0.04")
    poor = o.account(funds_micros=10_000)
    assert authorize(o, poor, "painter", 402)["error"] == "INSUFFICIENT_CREDITS"


def test_a_provider_s_own_cost(o, account):
    tokens = {"prompt_tokens": 1000, "completion_tokens": 1000}
    said = use(o, account, "router/any", usage={**tokens, "cost": 0.0123, "is_byok": False})
    assert (said["costMicros"], said["settlement"]) == (money("0.0123"), "provider_reported")
    assert [line["dimension"] for line in lines_of(o, account, said["hold"])["lines"]] == ["providerCost"]
    said = use(o, account, "router/any", usage=tokens, providerCost="0.0124")
    assert said["costMicros"] == money("0.0124")
    said = use(o, account, "router/any", usage={**tokens, "cost": 0})
    assert (said["costMicros"], said["settlement"]) == (money("0.003"), "exact"), "nothing that was used is free"
    assert use(o, account, "talker", usage={**tokens, "cost": 0.5})["costMicros"] == money("0.0125"), "no policy on openai"
    held = authorize(o, account, "router/any")["hold"]
    for wrong in ("-1", "x", "1e400"):
        assert settle(o, held, 400, usage=tokens, providerCost=wrong)["field"] == "providerCost"
    assert settle(o, held, 400, usage={**tokens, "cost": 1}, providerCost="2")["field"] == "providerCost"
    guard.release(o, held)


def test_a_router_s_fee_is_not_the_cost(o, account):
    """With the platform's own key at the provider, OpenRouter's cost is its fee alone."""
    usage = {"prompt_tokens": 1000, "completion_tokens": 1000, "cost": 0.00014, "is_byok": True}
    said = use(o, account, "router/any", usage={**usage, "cost_details": {"upstream_inference_cost": 0.0028}})
    assert (said["costMicros"], said["settlement"]) == (money("0.00294"), "provider_reported")
    said = use(o, account, "router/any", usage=usage)
    assert (said["costMicros"], said["settlement"]) == (money("0.003"), "exact")


def test_a_cost_that_is_reported_says_that_something_was_used(o, account):
    """A failure or a reported 0 does not make free what the provider charged for, or what nobody counted."""
    for model, cost in (("router/any", money("0.0123")), ("talker", None)):
        held = authorize(o, account, model)
        said = settle(o, held["hold"], outcome="failed", providerCost="0.0123")
        assert said["costMicros"] == (cost or held["reservedMicros"]) > 0, model
        assert settle(o, held["hold"], outcome="failed", providerCost="0.0123")["replayed"] is True
    for nothing in ({}, {"usage": {"cost": 0}}, {"usage": {"prompt_tokens": None, "cost": 0}}, {"counts": {}}):
        held = authorize(o, account, "router/any")
        said = settle(o, held["hold"], **{**nothing, **({} if "usage" in nothing else {"providerCost": "0"})})
        assert (said["costMicros"], said["settlement"]) == (held["reservedMicros"], "estimated"), nothing
    none = {"prompt_tokens": 0, "completion_tokens": 0, "cost": 0}
    assert use(o, account, "router/any", usage=none)["settlement"] == "provider_reported"
    held = authorize(o, account, "router/any")["hold"]
    assert settle(o, held, outcome="failed", providerCost="0")["costMicros"] == 0, "a failure, and nothing charged"
    released = authorize(o, account, "router/any")["hold"]
    assert settle(o, released, outcome="failed")["costMicros"] == 0
    assert settle(o, released, 409, outcome="failed", providerCost="0.5")["error"] == "SETTLEMENT_CONFLICT"
    o.audit()


def test_a_late_failure_that_the_provider_charges_for(o):
    account = o.account(funds_micros=10**9)
    free, paid = (authorize(o, account, "router/any", ttlSeconds=10) for _ in range(2))
    guard.pass_time(o, account, 20)
    assert settle(o, free["hold"], outcome="failed")["costMicros"] == 0
    assert settle(o, paid["hold"], outcome="failed", providerCost="0.0123")["costMicros"] == money("0.0123")
    estimated = authorize(o, account, "talker", ttlSeconds=10)
    guard.pass_time(o, account, 20)
    said = settle(o, estimated["hold"], outcome="failed", providerCost="0.0123")
    assert (said["costMicros"], said["settlement"]) == (estimated["reservedMicros"], "late")
    o.audit()


def test_a_tier_that_nobody_knows_is_the_dearest(o, account):
    """A provider's new tier neither keeps a settlement from being booked, nor makes it cheap."""
    tokens = {"input_tokens": 1000, "output_tokens": 100}
    said = use(o, account, "talker", usage={**tokens, "service_tier": "ultra"})
    assert (said["costMicros"], said["usageIncomplete"]) == (money("0.007"), True)
    assert {line.get("serviceTier") for line in lines_of(o, account, said["hold"])["lines"]} <= {"other", None}
    assert use(o, account, "talker", serviceTier="other", inputTokens=1000, outputTokens=100)["costMicros"] == money("0.007")
    assert authorize(o, account, "talker", inputTokens=1000, maxOutputTokens=100, serviceTier="other")["reservedMicros"] == money("0.007")
    held = authorize(o, account, "talker")["hold"]
    for wrong in ("standard", "batch"):
        assert settle(o, held, 400, usage={**tokens, "service_tier": "ultra"}, serviceTier=wrong)["field"] == "serviceTier"
    traffic = {"promptTokenCount": 1000, "candidatesTokenCount": 100, "trafficType": "ON_DEMAND_PRIORITY"}
    assert settle(o, held, usage=traffic)["costMicros"] == money("0.007")
    assert o.ctl("price", "set", "x", "--provider", "openai", "--line", "pages@other=1", check=False).returncode == 2
    o.audit()


def test_a_variant_of_the_object_is_not_overruled(o, account):
    usage = {"prompt_tokens": 10, "completion_tokens": 10, "search_context_size": "high"}
    held = authorize(o, account, "talker")["hold"]
    for other in ("context=low", "x"):
        assert settle(o, held, 400, usage=usage, variant=other)["field"] == "variant"
    base = F("2.5e-6") * 10 + F("1e-5") * 10
    assert settle(o, held, usage=usage, variant="context=high")["costMicros"] == money(base + F("0.03"))


def test_an_input_that_the_counts_say_is_not_estimated(o, account):
    held = authorize(o, account, "talker", inputTokens=1000)["hold"]
    said = settle(o, held, usage={"output_tokens": 10}, counts={"inputTokens": 400})
    assert (said["costMicros"], said["settlement"]) == (money(F("2.5e-6") * 400 + F("1e-5") * 10), "exact")
    held = authorize(o, account, "talker", inputTokens=1000)["hold"]
    said = settle(o, held, usage={"output_tokens": 10}, counts={"cacheReadTokens": 1})
    assert (said["costMicros"], said["settlement"]) == (
        money(F("2.5e-6") * 1000 + F("1.25e-6") + F("1e-5") * 10), "estimated")


def test_two_durations_that_differ_are_refused(o, account):
    held = authorize(o, account, "scribe")["hold"]
    assert settle(o, held, 400, usage={"seconds": 3600, "prompt_audio_seconds": 1})["field"] == "usage.prompt_audio_seconds"
    assert settle(o, held, usage={"seconds": 60, "prompt_audio_seconds": 60})["costMicros"] == money("0.006")


def test_pages_that_were_annotated(o, account):
    usage = {"pages_processed": 0, "pages_processed_annotation": 3, "doc_size_bytes": 4096}
    assert use(o, account, "reader", usage=usage)["costMicros"] == money("0.015")


def test_a_settlement_repeats_and_conflicts(o, account):
    held = authorize(o, account, "talker")["hold"]
    said = settle(o, held, counts={"audioInputTokens": 10}, serviceTier="priority", inputTokens=5)
    again = settle(o, held, counts={"audioInputTokens": 10}, serviceTier="priority", inputTokens=5)
    assert again["replayed"] is True and again["costMicros"] == said["costMicros"]
    for other in ({"counts": {"audioInputTokens": 11}, "serviceTier": "priority"},
                  {"counts": {"audioInputTokens": 10}, "serviceTier": "batch"}, {"counts": {"audioInputTokens": 10}, "serviceTier": "priority", "variant": "x"}):
        assert settle(o, held, 409, inputTokens=5, **other)["error"] == "SETTLEMENT_CONFLICT"


@pytest.mark.parametrize("counts", [{"beads": 1}, {"images": -1}, {"images": 1.5}, {"images": "x"}, {"seconds": "1.1234567"},
                                    {"images": True}, {"images": 10**10}, [], "images", {"images": None}, {"images": ""}])
def test_wrong_counts_are_refused(o, account, counts):
    held = authorize(o, account, "painter")["hold"]
    assert settle(o, held, 400, counts=counts)["field"] == "counts"
    assert authorize(o, account, "painter", 400, counts=counts)["field"] == "counts"
    assert o.post("/api/pricing/estimate", {"model": "painter", "counts": counts}).json["field"] == "counts"
    guard.release(o, held)


def test_counts_and_usage_agree(o, account):
    held = authorize(o, account, "talker")["hold"]
    usage = {"prompt_tokens": 100, "completion_tokens": 10}
    assert settle(o, held, 400, usage=usage, counts={"inputTokens": 99})["field"] == "counts"
    said = settle(o, held, usage=usage, counts={"inputTokens": 100, "searchCalls": 1})
    assert said["costMicros"] == money(F("2.5e-6") * 100 + F("1e-5") * 10 + F("0.0275"))
    assert authorize(o, account, "talker", 400, counts={"inputTokens": 5})["field"] == "counts", "they have fields of their own"


def test_batch_jobs_may_take_days(o, account):
    assert authorize(o, account, "talker", 400, ttlSeconds=86401)["field"] == "ttlSeconds"
    held = authorize(o, account, "talker", ttlSeconds=8 * 86400, serviceTier="batch", inputTokens=1000, maxOutputTokens=10)
    assert held["reservedMicros"] == money(F("1.25e-6") * 1000 + F("5e-6") * 10)
    assert authorize(o, account, "talker", 400, ttlSeconds=8 * 86400 + 1, serviceTier="batch")["field"] == "ttlSeconds"
    assert settle(o, held["hold"], inputTokens=900, outputTokens=9)["costMicros"] == money(F("1.25e-6") * 900 + F("5e-6") * 9)


def test_results_that_are_fetched_after_a_week(o):
    account = o.account(funds_micros=10**9)
    held = authorize(o, account, "talker", ttlSeconds=8 * 86400, serviceTier="batch", inputTokens=1000, maxOutputTokens=10)
    other = authorize(o, account, "talker", ttlSeconds=86400, inputTokens=1000, maxOutputTokens=10)
    assert guard.extend(o, other["hold"], ttlSeconds=86401).json["field"] == "ttlSeconds", "one day, but for a batch"
    assert guard.extend(o, held["hold"], ttlSeconds=8 * 86400).status == 200
    guard.pass_time(o, account, 7 * 86400)
    said = settle(o, held["hold"], usage={"prompt_tokens": 900, "completion_tokens": 9})
    assert (said["costMicros"], said["settlement"]) == (money(F("1.25e-6") * 900 + F("5e-6") * 9), "exact")
    assert settle(o, other["hold"], inputTokens=900, outputTokens=9)["settlement"] == "late"
    o.audit()


def test_an_expired_hold_remembers_tier_and_variant(o, account):
    held = authorize(o, account, "painter", counts={"images": 1}, variant="1024x1024/high", ttlSeconds=10)["hold"]
    o.sql(guard.change_holds("expires_at_us", "1"))
    o.sql("UPDATE accounts SET holds_due_at_us = 1 WHERE open_holds > 0")
    assert guard.settle(o, guard.hold(o, account), inputTokens=1, outputTokens=1).status == 200
    said = settle(o, held, counts={"images": 1})
    assert (said["costMicros"], said["settlement"]) == (money("0.167"), "late")


def test_a_usage_belongs_to_its_owner(o, account):
    said = use(o, account, "painter", counts={"images": 1})
    other = o.account()
    path = f"/api/credits/usages/{said['hold']}?account="
    assert o.get(path + account).status == 200 and o.get(path + other).status == 404
    assert o.get(f"/api/credits/usages/nonsense?account={account}").status == 404
    open_hold = authorize(o, account, "painter")["hold"]
    assert o.get(f"/api/credits/usages/{open_hold}?account={account}").status == 404


def test_estimates_and_the_public_list_know_every_dimension(o, account):
    said = o.post("/api/pricing/estimate", {"model": "painter", "counts": {"images": 2}, "variant": "1024x1024/high"}).json
    assert said["costMicros"] == money("0.334") and said["counts"] == {"images": 2}
    said = o.post("/api/pricing/estimate", {"model": "talker", "inputTokens": 0, "outputTokens": 0, "serviceTier": "batch",
                                            "counts": {"searchCalls": 1}}).json
    assert said["costMicros"] == money("0.0275") and said["usageIncomplete"] is True
    [model] = o.get("/api/pricing?model=painter", key=None).json["models"]
    assert {(line["dimension"], line.get("variant"), line["costMicros"]) for line in model["lines"]} == {
        ("images", None, money("0.04")), ("images", "1024x1024/high", money("0.167"))}


def test_bounds_that_have_no_price_are_not_free(o, account):
    """A count that the model has no price for neither opens the door without money nor closes it without a charge."""
    poor = o.account()
    for model, counts, usual in (("scribe", {"images": 1}, F("0.006")), ("painter", {"seconds": "0.000001"}, F("0.04")),
                                 ("reader", {"sessions": 5}, F("0.04") + F("0.005")), ("ranker", {"pages": 1}, F("0.002"))):
        refused = authorize(o, poor, model, 402, counts=counts)
        assert refused["neededMicros"] == money(usual), model
        said = use(o, account, model, {"counts": counts}, counts=counts)
        assert (said["costMicros"], said["settlement"], said["usageIncomplete"]) == (money(usual), "estimated", True), model
    # Nothing was reserved, and what was used has no price: the least that such a request uses.
    said = use(o, account, "talker", {"inputTokens": 0, "maxOutputTokens": 0}, usage={"seconds": 5})
    assert (said["costMicros"], said["usageIncomplete"]) == (money(F("2.5e-6") * 1000 + F("1.25e-6") * 1000 + F("1e-5") * 1000), True)
    o.audit()


def estimate(o, account, **query):
    return o.get(f"/api/credits/estimate?{urllib.parse.urlencode({'account': account, **query})}")


def test_an_account_s_estimate_is_in_its_unit_with_its_lines(o, account):
    said = estimate(o, account, model="painter", counts="images=2", variant="1024x1024/high").json
    body = {"model": "painter", "counts": {"images": 2}, "variant": "1024x1024/high"}
    assert said == o.post("/api/pricing/estimate", body).json and said["costMicros"] == money("0.334")
    assert sum(line["costMicros"] for line in said["lines"]) == said["costMicros"]
    said = estimate(o, account, model="talker", inputTokens=10, outputTokens=0, counts="searchCalls=1,audioInputTokens=5").json
    assert {line["dimension"] for line in said["lines"]} >= {"inputTokens", "searchCalls", "audioInputTokens"}
    held = authorize(o, account, "talker", inputTokens=10, maxOutputTokens=0, counts={"searchCalls": 1, "audioInputTokens": 5})
    assert held["reservedMicros"] == said["costMicros"], "the guard reserves what the estimate says"
    credit = o.account(unit="credit", funds_micros=10**9)
    said = estimate(o, credit, model="scribe", counts="seconds=37.5").json
    assert said["unit"] == "credit" and said["counts"] == {"seconds": "37.5"}
    body = {"model": "scribe", "counts": {"seconds": "37.5"}, "unit": "credit"}
    assert said == o.post("/api/pricing/estimate", body).json
    assert estimate(o, account, action="debrief", quantity=3).json["quantity"] == 3
    assert estimate(o, "t:nobody-yet", model="talker").json["unit"] == "money"


ROWS = re.findall(r"^\| `(\w+)` \| ([\d.]+) × ([\d.]+) \| ([\d.]+) \|$", (TOP / "docs/prices.md").read_text(), re.M)
TOKENS = {"inputTokens": "inputTokens", "outputTokens": "outputTokens"}
# Cached tokens may be counted by settle alone: authorize is told the tokens as a whole.
OF_TOKENS = ("inputTokens", "cacheReadTokens", "cacheWriteTokens", "cacheWrite1hTokens", "outputTokens")


def test_each_dimension_is_estimated_reserved_and_charged_alike(o, account):
    """The worked examples of docs/prices.md, through the estimate, the guard, the lines and the list."""
    assert len(ROWS) == 30
    for name, _, price, _ in ROWS:
        o.ctl("price", "set", f"only/{name}", "--provider", "p", "--line", f"{name}={price}")
    wait_until(lambda: estimate(o, account, model=f"only/{name}").status == 200, 10, "the last price")
    for name, count, price, dollars in ROWS:
        model = f"only/{name}"
        number = count if "." in count or name in ("seconds", "outputSeconds", "videoSeconds", "outputVideoSeconds") else int(count)
        none = {"inputTokens": 0, "outputTokens": 0}
        asked = {**none, name: count} if name in TOKENS else {**none, "counts": f"{name}={count}"}
        said = estimate(o, account, model=model, **asked).json
        assert (said["costMicros"], said.get("usageIncomplete")) == (money(dollars), None), name
        assert {line["dimension"] for line in said["lines"]} <= {name, "rounding"}, name
        bounds = {} if name in OF_TOKENS else {"inputTokens": 0, "maxOutputTokens": 0, "counts": {name: number}}
        held = authorize(o, account, model, **bounds)
        assert not bounds or held["reservedMicros"] == money(dollars), name
        said = settle(o, held["hold"], counts={name: number})
        assert (said["costMicros"], said["settlement"], said.get("usageIncomplete")) == (money(dollars), "exact", None), name
        shown = {line["dimension"]: line.get("count") for line in lines_of(o, account, said["hold"])["lines"]}
        assert str(shown.pop(name)) == count and set(shown) <= {"rounding"}, name
        [listed] = json.loads(o.ctl("price", "show", model, "--json").stdout)["items"]
        assert (listed["dimension"], F(listed["dollars"]) / int(listed["per"])) == (name, F(price))
    o.audit()


@pytest.mark.parametrize("query", (
    {"counts": "images"}, {"counts": "images="}, {"counts": "beads=1"}, {"counts": "images=1,"}, {"counts": ",images=1"},
    {"counts": "images=1,images=1"}, {"counts": "images=1.5"}, {"counts": "images=-1"}, {"counts": "seconds=x"},
    {"counts": "inputTokens=1"}, {"counts": "seconds=0.0000001"}, {"counts": "images=1000000001"}), ids=lambda q: q["counts"])
def test_wrong_counts_of_a_query_are_refused(o, account, query):
    answer = estimate(o, account, model="painter", **query)
    assert (answer.status, answer.json["field"]) == (400, "counts")


HOSTILE = [
    # Fractions, huge numbers and negative parts.
    {"usage": {"seconds": -1}}, {"usage": {"seconds": "1e3"}}, {"usage": {"seconds": 1e300}}, {"usage": {"seconds": [1]}},
    {"usage": {"prompt_tokens": 5, "completion_tokens": 5, "completion_tokens_details": {"audio_tokens": -5}}},
    {"usage": {"prompt_tokens": 5, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 6}}},
    {"usage": {"prompt_tokens": 2**63, "completion_tokens": 5}}, {"usage": {"prompt_tokens": 10**9 + 1, "completion_tokens": 5}},
    {"usage": {"prompt_tokens": 1.5, "completion_tokens": 5}}, {"usage": {"prompt_tokens": True, "completion_tokens": 5}},
    {"usage": {"pages_processed": -1}}, {"usage": {"pages_processed": 0.5}}, {"usage": {"billed_units": {"search_units": -2}}},
    {"usage": {"input_tokens": 5, "output_tokens": 5, "server_tool_use": {"web_search_requests": -1}}},
    {"usage": {"promptTokenCount": 5, "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 6}]}},
    {"usage": {"promptTokenCount": 5, "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": -6}]}},
    # Unknown members and mixed shapes.
    {"usage": {"completion_token": 5000}}, {"usage": {"seconds": 5, "minutes": 60}}, {"usage": {"units": 5}},
    {"usage": {"prompt_tokens": 1, "completion_tokens": 1, "input_tokens": 5000, "output_tokens": 1}},
    {"usage": {"prompt_tokens": 1, "completion_tokens": 1, "promptTokenCount": 5000}},
    {"usage": {"seconds": 3600, "prompt_audio_seconds": 1}},
    # Tiers, variants and counts that contradict.
    {"usage": {"input_tokens": 5, "output_tokens": 5, "service_tier": 1}},
    {"usage": {"input_tokens": 5, "output_tokens": 5, "service_tier": "batch", "serviceTier": "priority"}},
    {"usage": {"input_tokens": 5, "output_tokens": 5, "service_tier": "priority"}, "serviceTier": "batch"},
    {"usage": {"input_tokens": 5, "output_tokens": 5, "search_context_size": "high"}, "variant": "context=low"},
    {"usage": {"input_tokens": 5, "output_tokens": 5}, "counts": {"inputTokens": 1}},
    {"usage": {"input_tokens": 5, "output_tokens": 5}, "counts": {"inputTokens": -1}},
    {"counts": {"seconds": "-0.1"}}, {"counts": {"seconds": "0.0000001"}}, {"counts": {"seconds": 1.5}},
    {"counts": {"images": "1e3"}}, {"counts": {"images": " 1"}}, {"counts": {"images": "+1"}}, {"counts": {"images": "0x1"}},
    {"counts": {"images": [1]}}, {"counts": {"images": {"n": 1}}}, {"counts": {"Images": 1}}, {"counts": {"other": 1}},
    {"inputTokens": -1}, {"inputTokens": "5"}, {"inputTokens": 5.0}, {"inputTokens": 10**9 + 1},
    {"inputTokens": 5, "serviceTier": "Standard"}, {"inputTokens": 5, "serviceTier": ""}, {"inputTokens": 5, "serviceTier": "batch,flex"},
    {"inputTokens": 5, "variant": "a b"}, {"inputTokens": 5, "variant": "x" * 48}, {"inputTokens": 5, "variant": 'a"b'},
    {"inputTokens": 5, "providerCost": "-0.1"}, {"inputTokens": 5, "providerCost": 1}, {"inputTokens": 5, "providerCost": ""},
    {"inputTokens": 5, "providerCost": "NaN"}, {"inputTokens": 5, "providerCost": "1" * 40},
]


@pytest.mark.parametrize("model", ("talker", "scribe", "router/any"))
def test_no_hostile_settlement_is_cheaper_than_it_says(o, model):
    """Each is refused by name and leaves the hold as it was, or is booked at what was reserved or more."""
    account = o.account(funds_micros=10**12)
    for fields in HOSTILE:
        held = authorize(o, account, model)
        answer = o.post("/api/guard/settle", {"hold": held["hold"], **fields})
        if answer.status == 400:
            assert answer.json["error"] == "INVALID_REQUEST" and answer.json["field"], fields
            assert settle(o, held["hold"], outcome="partial")["costMicros"] == held["reservedMicros"], fields
        else:
            assert answer.status == 200 and answer.json["costMicros"] >= held["reservedMicros"] > 0, (fields, answer)
    o.audit()


def test_a_list_of_usages_shows_lines_and_so_does_its_csv(o):
    account = o.account(funds_micros=10**12)
    use(o, account, "talker", usage={"prompt_tokens": 300, "completion_tokens": 20, "prompt_tokens_details": {"audio_tokens": 200}})
    use(o, account, "scribe", usage={"type": "duration", "seconds": 37.5})
    use(o, account, "painter", counts={"images": 3}, variant="1024x1024/high")
    use(o, account, "talker", {"inputTokens": 1000})  # nothing counted: what was reserved
    guard.charge(o, account, "debrief", quantity=2)
    use(o, account, "talker", inputTokens=0, outputTokens=0)
    listed = o.get(f"/api/credits/usages?account={account}&lines=1").json["items"]
    assert len(listed) == 6 and [sum(line["costMicros"] for line in u["lines"]) for u in listed] == [u["costMicros"] for u in listed]
    for u in listed:
        assert o.get(f"/api/credits/usages/{u['id']}?account={account}").json == u
    assert "lines" not in o.get(f"/api/credits/usages?account={account}").json["items"][0]
    assert o.get(f"/api/credits/usages?account={account}&lines=2").json["field"] == "lines"
    rows = list(csv.DictReader(io.StringIO(o.ctl("account", "usages", account, "--lines", "--csv").stdout)))
    assert [(row["id"], row["dimension"], row["count"]) for row in rows] == [
        (u["id"], line.get("dimension", ""), str(line.get("count", ""))) for u in listed for line in u["lines"] or [{}]]
    assert {(row["dimension"], row["variant"], row["count"]) for row in rows} >= {
        ("audioInputTokens", "", "200"), ("seconds", "", "37.5"), ("images", "1024x1024/high", "3"), ("reserved", "", ""), ("actions", "", "2")}
    assert sum(int(row["costMicros"] or 0) for row in rows) == sum(u["costMicros"] for u in listed)
    pages = o.ctl("account", "usages", account, "--lines", "--all", "--limit", "2", "--csv").stdout
    assert list(csv.DictReader(io.StringIO(pages))) == rows
    assert json.loads(o.ctl("account", "usages", account, "--lines", "--json").stdout)["items"] == listed


def test_a_comparison_says_what_it_could_not_price(o):
    account = o.account(funds_micros=10**12)
    for fields in ({"counts": {"images": 3}}, {"counts": {"images": 1}, "variant": "1024x1024/high"}):
        use(o, account, "painter", **fields)
    use(o, account, "talker", inputTokens=1000, outputTokens=10)
    use(o, account, "talker")  # nothing counted
    asked = "/api/credits/compare?account=" + account + "&models="
    painter, talker, reader = o.get(asked + "painter,talker,reader").json["models"]
    assert (painter["costMicros"], painter["incompleteRequests"]) == (money("0.12") + money("0.167"), 2), "lines in their variants"
    assert (talker["costMicros"], talker["incompleteRequests"]) == (money("0.0026"), 3)
    assert (reader["costMicros"], reader["incompleteRequests"]) == (0, 4)


def test_any_line_can_be_set(o, account):
    o.ctl("price", "set", "film", "--provider", "openai", "--line", "outputVideoSeconds=0.1", "--line",
          "outputVideoSeconds:1080p=0.3", "--line", "inputTokens>1000=0.001", "--line", "inputTokens@batch=0.0001")
    shown = json.loads(o.ctl("price", "show", "film", "--json").stdout)["items"]
    assert {(row["dimension"], row["serviceTier"], row["variant"], row["aboveTokens"], row["dollars"], row["per"])
            for row in shown} == {("outputVideoSeconds", "standard", "", 0, "0.1", "1"),
                                  ("outputVideoSeconds", "standard", "1080p", 0, "0.3", "1"),
                                  ("inputTokens", "standard", "", 1000, "1000", "1000000"),
                                  ("inputTokens", "batch", "", 0, "100", "1000000")}
    guard.wait_for_price(o, "film") if hasattr(guard, "wait_for_price") else None
    said = use(o, account, "film", counts={"outputVideoSeconds": "2.5"}, variant="1080p")
    assert said["costMicros"] == money("0.75")


def test_the_audit_recomputes_from_the_lines(o, account):
    said = use(o, account, "painter", counts={"images": 4})
    o.audit()
    for column, value in (("counts", "'images=3'"), ("variant", "'1024x1024/high'"), ("counts", "'beads=1'"), ("service_tier", "9")):
        seq = "(SELECT MAX(seq) FROM (SELECT seq FROM usages WHERE item = 'painter') x)"
        before = o.sql(f"SELECT {column} FROM usages WHERE seq = {seq} AND counts = 'images=4' AND item = 'painter'")
        where = f"WHERE item = 'painter' AND counts = 'images=4' AND cost_micros = {said['costMicros']}"
        o.sql(f"UPDATE usages SET {column} = {value} {where} ORDER BY ended_at_us DESC LIMIT 1")
        done = o.ctl("audit", check=False)
        assert done.returncode == 1 and "cost" in done.stdout, (column, done.stdout, before)
        back = "''" if column == "variant" else "0" if column == "service_tier" else "'images=4'"
        o.sql(f"UPDATE usages SET {column} = {back} WHERE item = 'painter' AND {column} = {value} "
              f"AND cost_micros = {said['costMicros']} ORDER BY ended_at_us DESC LIMIT 1")
    o.audit()


def test_the_audit_finds_tampered_prices(o, account):
    use(o, account, "reader", counts={"pages": 7})
    o.audit()
    (lines,), = o.sql("SELECT price_lines FROM prices WHERE item = 'reader'")
    for tampered in (lines.replace('"pages","standard",0,"",4,3', '"pages","standard",0,"",3,3'),
                     lines.replace('"pages"', '"queries"'), lines.replace('"pages"', '"beads"')):
        assert tampered != lines
        o.sql(f"UPDATE prices SET price_lines = '{tampered}' WHERE item = 'reader'")
        done = o.ctl("audit", check=False)
        assert done.returncode != 0, (tampered, done.stdout)
    o.sql(f"UPDATE prices SET price_lines = '{lines}' WHERE item = 'reader'")
    o.audit()

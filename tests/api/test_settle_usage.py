"""Costs of providers' usage objects, through the whole of octroi: contradictions are charged in full or refused."""

import pytest

import guard
from guard import cost, hold, pass_time, release, settle

FUNDS = 10_000_000
# 1,000 tokens in and 5,000 out: what each of these objects is about.
REFERENCE = cost("gpt-4o", input=1000, output=5000)
ESTIMATE = cost("gpt-4o", input=500, output=2000)


def test_the_reference_is_what_it_is():
    assert REFERENCE == 51_042


@pytest.mark.parametrize("usage, settlement", [
    ({"prompt_tokens": 1000, "completion_tokens": 5000, "total_tokens": 6000}, "exact"),
    # xAI: reasoning beside the completion.
    ({"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 6000,
      "completion_tokens_details": {"reasoning_tokens": 4990}}, "exact"),
    # Gemini through a gateway that speaks like OpenAI: thoughts in the total only.
    ({"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 6000}, "estimated"),
    # Gemini Live.
    ({"promptTokenCount": 1000, "responseTokenCount": 5000, "totalTokenCount": 6000}, "exact"),
    # A misspelt member under a total.
    ({"prompt_tokens": 1000, "completion_token": 5000, "total_tokens": 6000}, "estimated"),
    # Anthropic: a compaction is not in the sums above it.
    ({"input_tokens": 10, "output_tokens": 10, "iterations": [
        {"type": "compaction", "input_tokens": 990, "output_tokens": 4990},
        {"type": "message", "input_tokens": 10, "output_tokens": 10}]}, "exact"),
    # new-api's zeros.
    ({"prompt_tokens": 1000, "completion_tokens": 5000, "total_tokens": 6000, "input_tokens": 0, "output_tokens": 0},
     "exact"),
])
def test_all_that_was_counted_is_charged(server, usage, settlement):
    account = server.account(funds_micros=FUNDS)
    answer = settle(server, hold(server, account), usage=usage)
    assert answer.status == 200, answer
    assert (answer.json["costMicros"], answer.json["settlement"]) == (REFERENCE, settlement)
    assert server.balance(account) == (FUNDS - REFERENCE, 0, FUNDS - REFERENCE)
    listed = server.get(f"/api/credits/usages?account={account}").json["items"][0]
    assert (listed["costMicros"], listed["settlement"], listed["totalTokens"]) == (REFERENCE, settlement, 6000)


@pytest.mark.parametrize("usage, field", [
    ({"prompt_tokens": 0, "completion_tokens": 0, "input_tokens": 1000, "output_tokens": 5000}, "usage.input_tokens"),
    ({"prompt_tokens": 1000, "completion_tokens": 10, "output_tokens": 5000}, "usage.output_tokens"),
    ({"prompt_tokens": 1000, "completion_token": 5000}, "usage.completion_token"),
    ({"prompt_tokens": 1000, "completion_tokens": 5000, "total_tokens": 1000}, "usage.total_tokens"),
    ({"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 1010,
      "completion_tokens_details": {"reasoning_tokens": 4990}}, "usage.completion_tokens_details"),
    ({"promptTokenCount": 1000, "candidatesTokenCount": 10, "responseTokenCount": 5000}, "usage.responseTokenCount"),
    ({"input_tokens": 10, "output_tokens": 10, "iterations": 5}, "usage.iterations"),
    ({"input_tokens": 10, "output_tokens": 10, "new_tokens": 5000}, "usage.new_tokens"),
    ({"prompt_tokens": -1000, "completion_tokens": 10}, "usage.prompt_tokens"),
    ({"prompt_tokens": 1000.0, "completion_tokens": 10}, "usage.prompt_tokens"),
    ({"prompt_tokens": "1000", "completion_tokens": 10}, "usage.prompt_tokens"),
])
def test_contradictions_are_refused_by_name(nginx, usage, field):
    account = nginx.account(funds_micros=FUNDS)
    held = hold(nginx, account)
    answer = settle(nginx, held, usage=usage)
    assert answer.status == 400, answer
    assert (answer.json["error"], answer.json["field"]) == ("INVALID_REQUEST", field)
    many = nginx.post("/api/guard/settle", {"settlements": [{"hold": held, "usage": usage}]}).json["results"][0]
    assert (many["status"], many["field"]) == (400, field)
    # The hold is as it was, and may still be settled.
    assert nginx.balance(account) == (FUNDS, ESTIMATE, FUNDS - ESTIMATE)
    assert settle(nginx, held, outcome="partial").json["costMicros"] == ESTIMATE


@pytest.mark.parametrize("usage", [
    {"prompt_tokens": None, "completion_tokens": None, "total_tokens": None}, {},
    {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, {"input_tokens": 0, "output_tokens": 0},
    {"type": "duration", "seconds": 0}, {"billed_units": {"search_units": 0}}, {"input_tokens": None, "iterations": []},
])
def test_nothing_counted_is_no_usage(nginx, usage):
    account = nginx.account(funds_micros=FUNDS)
    for outcome in ("complete", "partial"):
        held = hold(nginx, account)
        answer = settle(nginx, held, usage=usage, outcome=outcome)
        assert (answer.status, answer.json["costMicros"], answer.json["settlement"]) == (200, ESTIMATE, "estimated")
        # Said without the object it is the same settlement.
        assert settle(nginx, held, outcome=outcome).json["replayed"] is True
    failed = settle(nginx, hold(nginx, account), usage=usage, outcome="failed")
    assert (failed.status, failed.json["costMicros"]) == (200, 0)
    assert nginx.balance(account) == (FUNDS - 2 * ESTIMATE, 0, FUNDS - 2 * ESTIMATE)


def test_an_input_that_is_not_counted_is_what_was_asked_for(nginx):
    """The last event of Anthropic's stream may name the output only."""
    account = nginx.account(funds_micros=FUNDS)
    held = hold(nginx, account, inputTokens=1000, maxOutputTokens=9000)
    answer = settle(nginx, held, usage={"output_tokens": 5000})
    assert (answer.json["costMicros"], answer.json["settlement"]) == (REFERENCE, "estimated")
    assert settle(nginx, held, usage={"output_tokens": 5000}).json == {**answer.json, "replayed": True}
    # One that says that there was none is believed.
    none = settle(nginx, hold(nginx, account), usage={"input_tokens": 0, "output_tokens": 5000})
    assert (none.json["costMicros"], none.json["settlement"]) == (cost("gpt-4o", output=5000), "exact")


@pytest.mark.parametrize("touched", [True, False], ids=["expired before", "expires with it"])
def test_an_input_that_is_not_counted_is_not_free_after_the_hold_expired(nginx, touched):
    """A caller that waits until the hold has expired, and names the output only, pays for the input all the same."""
    account = nginx.account(funds_micros=FUNDS)
    held = hold(nginx, account, inputTokens=1000, maxOutputTokens=9000, ttlSeconds=60)
    pass_time(nginx, account, 61)
    if touched:
        nginx.get(f"/api/credits?account={account}")
    answer = settle(nginx, held, usage={"output_tokens": 5000})
    assert (answer.json["costMicros"], answer.json["settlement"]) == (REFERENCE, "late")
    assert settle(nginx, held, usage={"output_tokens": 5000}).json == {**answer.json, "replayed": True}


def test_a_failure_that_used_something_pays_for_it(nginx):
    account = nginx.account(funds_micros=FUNDS)
    answer = settle(nginx, hold(nginx, account), outcome="failed", usage={"prompt_tokens": 1000, "completion_tokens": 5000})
    assert answer.json["costMicros"] == REFERENCE


@pytest.mark.parametrize("member", ["inputTokens", "outputTokens", "cacheReadTokens", "cacheWriteTokens"])
def test_an_object_and_counts_at_once_are_refused(nginx, member):
    account = nginx.account(funds_micros=FUNDS)
    held = hold(nginx, account)
    answer = settle(nginx, held, usage={"prompt_tokens": 1000, "completion_tokens": 5000}, **{member: 0})
    assert (answer.status, answer.json["field"]) == (400, member)
    assert release(nginx, held).status == 200


def test_an_equal_object_in_another_order_is_the_same_settlement(nginx):
    account = nginx.account(funds_micros=FUNDS)
    held = hold(nginx, account)
    usage = {"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 6000,
             "completion_tokens_details": {"reasoning_tokens": 4990, "audio_tokens": None}}
    first = settle(nginx, held, usage=usage)
    again = settle(nginx, held, usage=dict(reversed(usage.items())))
    assert again.status == 200 and again.json == {**first.json, "replayed": True}
    # Other counts are another settlement, and change nothing.
    other = settle(nginx, held, usage={"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 1010})
    assert (other.status, other.json["error"]) == (409, "SETTLEMENT_CONFLICT")
    assert nginx.balance(account)[0] == FUNDS - REFERENCE


def test_a_late_settlement_reads_the_same(nginx):
    account = nginx.account(funds_micros=FUNDS)
    held = hold(nginx, account, ttlSeconds=10)
    guard.pass_time(nginx, account, 20)
    answer = settle(nginx, held, usage={"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 6000})
    assert (answer.status, answer.json["costMicros"], answer.json["settlement"]) == (200, REFERENCE, "late")

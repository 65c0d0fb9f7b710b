"""Wishes of a customer that an application forwards: the model, lengths, ids, keys.  None of them is AI without paying."""

import concurrent.futures

import pytest

from guard import authorize, cost, extend, hold, request_id, settle

FUNDS = 1_000_000


@pytest.mark.parametrize("model", ["GPT-4O", "Gpt-4o", "gpt\u20104o", "gpt-4o\u200b", "gpt-\u0664o", "gpt-4\u043e", "gpt-4o%00",
                                   "openai/gpt-4o", "gpt-4", "gpt-4oo", "ｇｐｔ-4o", "gpt-4ó"])
def test_a_name_that_looks_like_a_models_is_none(nginx, model):
    account = nginx.account(funds_micros=FUNDS)
    for fields in ({"model": model}, {"model": None, "models": [model]}):
        answer = authorize(nginx, account, **fields)
        assert (answer.status, answer.json["error"]) == (422, "UNKNOWN_MODEL"), answer
    assert nginx.balance(account) == (FUNDS, 0, FUNDS)


@pytest.mark.parametrize("model", ["gpt-4o ", " gpt-4o", "gpt-4o\t", "gpt-4o\n"])
def test_blanks_around_a_name_are_not_cut(nginx, model):
    answer = authorize(nginx, nginx.account(funds_micros=FUNDS), model=model)
    assert answer.status in (400, 422), answer


@pytest.mark.parametrize("byok, model", [(["anthropic"], "gpt-4o"), (["openai"], "claude-sonnet-4-20250514"), ([], "gpt-4o")])
def test_a_key_for_another_provider_pays_nothing(nginx, byok, model):
    account = nginx.account(funds_micros=FUNDS)
    answer = authorize(nginx, account, model, byok=byok, inputTokens=1000, maxOutputTokens=100)
    assert (answer.json["source"], answer.json["reservedMicros"]) == ("platform", cost(model, input=1000, output=100))
    empty = authorize(nginx, nginx.account(), model, byok=byok)
    assert (empty.status, empty.json["error"]) == (402, "INSUFFICIENT_CREDITS")


def test_lengths_beyond_all_means(nginx):
    account = nginx.account(funds_micros=FUNDS)
    for fields in ({"maxOutputTokens": 10**9}, {"inputTokens": 10**9}, {"inputBytes": 3 * 10**9},
                   {"inputTokens": 10**9, "maxOutputTokens": 10**9}):
        assert authorize(nginx, account, **fields).status == 402, fields
        for fit in (True, False):
            answer = authorize(nginx, account, fit=fit, fitMinimum=1, **{**fields, "inputTokens": 10**9, "inputBytes": None})
            assert answer.status == 402, answer
    assert authorize(nginx, account, maxOutputTokens=10**9, fit=True).json["reservedMicros"] <= FUNDS
    # All of it is reserved now, but for less than a token's price.
    assert authorize(nginx, account, inputTokens=0, maxOutputTokens=10**9, fit=True, fitMinimum=1).status == 402


def test_a_shorter_hold_does_not_make_the_answer_cheaper(nginx):
    """Credits that extend gives back may be held by others; used ones are charged all the same."""
    account = nginx.account(funds_micros=FUNDS)
    held = hold(nginx, account, inputTokens=1000, maxOutputTokens=90_000)
    assert extend(nginx, held, maxOutputTokens=1).json["reservedMicros"] == cost("gpt-4o", input=1000, output=1)
    other = hold(nginx, account, inputTokens=1000, maxOutputTokens=90_000)
    assert extend(nginx, held, maxOutputTokens=90_000).status == 402
    full = cost("gpt-4o", input=1000, output=90_000)
    for one in (held, other):
        assert settle(nginx, one, usage={"prompt_tokens": 1000, "completion_tokens": 90_000}).json["costMicros"] == full
    assert nginx.balance(account)[0] == FUNDS - 2 * full < 0
    assert authorize(nginx, account).status == 402


def test_one_hold_settled_by_many_is_charged_once_and_no_less(nginx):
    """Two AI requests under one hold: the second settlement says so."""
    account, rid = nginx.account(funds_micros=FUNDS), request_id()
    held = authorize(nginx, account, requestId=rid).json["hold"]
    assert authorize(nginx, account, requestId=rid).json["replayed"] is True
    usages = [{"prompt_tokens": 100, "completion_tokens": n} for n in range(1, 9)]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda u: settle(nginx, held, usage=u), usages))
    assert sorted(a.status for a in answers) == [200] + 7 * [409]
    assert {a.json["error"] for a in answers if a.status == 409} == {"SETTLEMENT_CONFLICT"}
    first = next(i for i, a in enumerate(answers) if a.status == 200)
    assert FUNDS - nginx.balance(account)[0] == cost("gpt-4o", input=100, output=usages[first]["completion_tokens"])


def test_two_settlements_of_one_hold_in_one_list(nginx):
    account = nginx.account(funds_micros=FUNDS)
    held = hold(nginx, account)
    dear, cheap = ({"prompt_tokens": 100, "completion_tokens": n} for n in (1000, 1))
    said = nginx.post("/api/guard/settle", {"settlements": [
        {"hold": held, "usage": dear}, {"hold": held, "usage": cheap}, {"hold": held, "outcome": "failed"},
        {"hold": held, "usage": {"prompt_tokens": None}, "outcome": "failed"}]}).json["results"]
    assert [r["status"] for r in said] == [200, 409, 409, 409]
    assert FUNDS - nginx.balance(account)[0] == cost("gpt-4o", input=100, output=1000)


def test_another_accounts_request_id_opens_nothing(nginx):
    """An id and content under another account are another request, paid by that account."""
    rid = request_id()
    rich, poor = nginx.account(funds_micros=FUNDS), nginx.account()
    assert authorize(nginx, rich, requestId=rid).status == 200
    assert authorize(nginx, poor, requestId=rid).status == 402
    # Another member of the same account does not have its answer either.
    assert authorize(nginx, rich, requestId=rid, member="user:1").status == 409

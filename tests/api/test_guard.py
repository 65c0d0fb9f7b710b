"""Authorize before, settle after: what is reserved, what is charged, what is refused and why."""

import concurrent.futures
import datetime

import pytest

import guard
from guard import authorize, charge, cost, extend, hold, release, settle
from rowlock import Lock, wait_for_waiting

FUNDS = 10_000_000
ESTIMATE = cost("gpt-4o", input=500, output=2000)


def seconds_until(time):
    at = datetime.datetime.fromisoformat(time.replace("Z", "+00:00"))
    return (at - datetime.datetime.now(datetime.timezone.utc)).total_seconds()


def test_authorize_reserves_what_the_request_may_cost(server):
    account = server.account(funds_micros=FUNDS)
    answer = authorize(server, account, inputTokens=1200, maxOutputTokens=300)
    reserved = cost("gpt-4o", input=1200, output=300)
    assert answer.status == 200, answer
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-request-id"]
    said = answer.json
    assert (said["decision"], said["source"], said["provider"], said["model"]) == (
        "allow", "platform", "openai", "gpt-4o")
    assert said["reservedMicros"] == reserved
    assert said["balanceMicros"] == FUNDS and said["availableMicros"] == FUNDS - reserved
    assert said["maxOutputTokens"] == 300
    assert said["hold"] == guard.public_id(account, 1)
    assert 590 < seconds_until(said["expiresAt"]) <= 601
    assert server.balance(account) == (FUNDS, reserved, FUNDS - reserved)


def test_settle_charges_what_the_request_did_cost(server):
    account = server.account(funds_micros=FUNDS)
    answer = settle(server, hold(server, account), inputTokens=321, outputTokens=123, messageId="m-1")
    took = cost("gpt-4o", input=321, output=123)
    assert answer.status == 200, answer
    assert answer.headers["cache-control"] == "no-store"
    said = answer.json
    assert said["costMicros"] == took and said["cost"] == took / 10_000
    assert said["balanceMicros"] == said["availableMicros"] == FUNDS - took
    assert (said["settlement"], said["replayed"]) == ("exact", False)
    assert said["credits"]["used"] == said["cost"]
    assert said["credits"]["balance"] == (FUNDS - took) // 10_000
    assert (said["credits"]["inputTokens"], said["credits"]["outputTokens"]) == (321, 123)
    assert server.balance(account) == (FUNDS - took, 0, FUNDS - took)


def test_estimate_of_a_request_that_says_nothing(nginx):
    account = nginx.account(funds_micros=FUNDS)
    assert authorize(nginx, account).json["reservedMicros"] == ESTIMATE


def test_input_bytes_are_rounded_up_to_tokens(nginx):
    account = nginx.account(funds_micros=FUNDS)
    for size, tokens in ((2100, 700), (2101, 701), (1, 1)):
        answer = authorize(nginx, account, inputBytes=size, maxOutputTokens=10)
        assert answer.json["reservedMicros"] == cost("gpt-4o", input=tokens, output=10), size


@pytest.mark.parametrize("usage, tokens", [
    ({"prompt_tokens": 1000, "completion_tokens": 50, "total_tokens": 1050,
      "prompt_tokens_details": {"cached_tokens": 400}}, dict(input=600, cache_read=400, output=50)),
    ({"input_tokens": 1000, "output_tokens": 50, "total_tokens": 1050,
      "input_tokens_details": {"cached_tokens": 400}}, dict(input=600, cache_read=400, output=50)),
    ({"input_tokens": 10, "output_tokens": 50, "cache_read_input_tokens": 400,
      "cache_creation_input_tokens": 90}, dict(input=10, cache_read=400, cache_write=90, output=50)),
    ({"promptTokenCount": 1000, "candidatesTokenCount": 50, "thoughtsTokenCount": 7,
      "cachedContentTokenCount": 400, "totalTokenCount": 1057}, dict(input=600, cache_read=400, output=57)),
])
def test_usage_objects_of_providers_verbatim(nginx, usage, tokens):
    for model in ("gpt-4o", "claude-sonnet-4-20250514"):
        account = nginx.account(funds_micros=FUNDS)
        answer = settle(nginx, hold(nginx, account, model), usage=usage)
        assert answer.status == 200, answer
        assert answer.json["costMicros"] == cost(model, **tokens)


@pytest.mark.parametrize("fields", [
    {"inputTokens": -1}, {"inputTokens": 1.5}, {"inputTokens": "1"}, {"outputTokens": 2**63},
    {"outputTokens": 10**9 + 1}, {"inputTokens": 1.0},
    {"usage": {"prompt_tokens": 5, "completion_tokens": -1}},
    {"usage": {"prompt_tokens": 5, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 6}}},
    {"usage": {"input_tokens": 10**30, "output_tokens": 1}},
    {"usage": {"something": "else"}}, {"usage": 5}, {"outcome": "maybe"}, {"messageId": 5},
])
def test_counts_that_are_none_are_refused_and_change_nothing(nginx, fields):
    account = nginx.account(funds_micros=FUNDS)
    held = hold(nginx, account)
    answer = settle(nginx, held, **fields)
    assert answer.status == 400 and answer.json["error"] == "INVALID_REQUEST" and answer.json["field"], answer
    assert nginx.balance(account) == (FUNDS, ESTIMATE, FUNDS - ESTIMATE)
    assert release(nginx, held).status == 200


@pytest.mark.parametrize("fields, field", [
    ({"account": "no spaces"}, "account"), ({"account": ""}, "account"), ({"account": "x" * 129}, "account"),
    ({"account": 5}, "account"), ({"inputTokens": -1}, "inputTokens"), ({"inputTokens": "5"}, "inputTokens"),
    ({"maxOutputTokens": 5.0}, "maxOutputTokens"), ({"ttlSeconds": 9}, "ttlSeconds"),
    ({"ttlSeconds": 86401}, "ttlSeconds"), ({"fit": 1}, "fit"), ({"byok": "openai"}, "byok"),
    ({"requestId": "x" * 129}, "requestId"), ({"requestId": ""}, "requestId"), ({"models": []}, "models"),
    ({"quantity": 0}, "quantity"), ({"metadata": {"k": "x" * 1024}}, "metadata"), ({"metadata": []}, "metadata"),
])
def test_an_invalid_field_is_named(nginx, fields, field):
    account = nginx.account(funds_micros=FUNDS)
    body = {"account": account, "model": "gpt-4o", **fields}
    if field == "models":
        del body["model"]
    if field == "quantity":
        body.update(action="debrief")
        del body["model"]
    answer = nginx.post("/api/guard/authorize", body)
    assert answer.status == 400, answer
    assert (answer.json["error"], answer.json["field"]) == ("INVALID_REQUEST", field)
    assert nginx.balance(account) == (FUNDS, 0, FUNDS)


def test_refusal_says_what_is_missing(server):
    account = server.account(funds_micros=20_000)
    answer = authorize(server, account)
    assert answer.status == 402, answer
    said = answer.json
    assert (said["error"], said["code"]) == ("INSUFFICIENT_CREDITS", "insufficient_quota")
    assert said["limit"]["kind"] == "balance"
    assert (said["neededMicros"], said["availableMicros"]) == (ESTIMATE, 20_000)
    assert said["shortfallMicros"] == ESTIMATE - 20_000
    assert (said["balance"], said["estimatedCost"]) == (2, ESTIMATE / 10_000)
    assert "topupUrl" in said and said["message"] and said["requestId"] == answer.headers["x-request-id"]
    assert server.balance(account) == (20_000, 0, 20_000)


def test_refusal_counts_what_is_held(nginx):
    account = nginx.account(funds_micros=2 * ESTIMATE - 1)
    hold(nginx, account)
    answer = authorize(nginx, account)
    assert answer.status == 402
    assert answer.json["availableMicros"] == ESTIMATE - 1 and answer.json["shortfallMicros"] == 1


def test_refusal_of_a_credit_account_in_french(nginx):
    account = nginx.account(funds_micros=3_000_000, unit="credit")
    answer = nginx.post("/api/guard/authorize", {"account": account, "action": "debrief", "quantity": 5},
                        headers={"Accept-Language": "fr-FR,fr;q=0.9,en;q=0.5"})
    assert answer.status == 402, answer
    assert answer.json["message"] == (
        "Crédits IA insuffisants pour votre équipe. Il reste 3 crédits, 5 nécessaires.")


def test_exactly_enough_is_enough(nginx):
    account = nginx.account(funds_micros=ESTIMATE)
    assert authorize(nginx, account).json["availableMicros"] == 0
    assert authorize(nginx, account, inputTokens=1, maxOutputTokens=0).status == 402


def test_an_account_nobody_made_has_nothing(nginx):
    answer = authorize(nginx, guard.request_id("stranger"))
    assert answer.status == 402 and answer.json["availableMicros"] == 0, answer


def test_unknown_model_is_refused_never_free(nginx):
    account = nginx.account(funds_micros=FUNDS)
    answer = authorize(nginx, account, "gpt-unheard-of")
    assert answer.status == 422 and answer.json["error"] == "UNKNOWN_MODEL", answer
    assert nginx.balance(account) == (FUNDS, 0, FUNDS)


# ---- fit and fallback ---------------------------------------------------------------------------------


def test_fit_answers_the_largest_output_that_is_affordable(nginx):
    for funds in (ESTIMATE - 1, 10_000, 2_000, cost("gpt-4o", input=500, output=64)):
        account = nginx.account(funds_micros=funds)
        answer = authorize(nginx, account, inputTokens=500, maxOutputTokens=2000, fit=True)
        assert answer.status == 200, answer
        fitted = answer.json["maxOutputTokens"]
        assert 64 <= fitted < 2000
        assert answer.json["reservedMicros"] == cost("gpt-4o", input=500, output=fitted) <= funds
        assert cost("gpt-4o", input=500, output=fitted + 1) > funds


def test_fit_changes_nothing_that_is_affordable(nginx):
    account = nginx.account(funds_micros=ESTIMATE)
    answer = authorize(nginx, account, fit=True)
    assert (answer.json["maxOutputTokens"], answer.json["reservedMicros"]) == (2000, ESTIMATE)


def test_fit_below_its_minimum_refuses(nginx):
    account = nginx.account(funds_micros=cost("gpt-4o", input=500, output=64) - 1)
    answer = authorize(nginx, account, fit=True)
    assert answer.status == 402, answer


def test_first_affordable_model_of_a_list(nginx):
    models = ["claude-sonnet-4-20250514", "gpt-4o", "gpt-3.5-turbo"]
    for chosen in models:
        account = nginx.account(funds_micros=cost(chosen, input=500, output=2000))
        answer = authorize(nginx, account, None, models=models)
        assert answer.status == 200, answer
        assert answer.json["model"] == chosen
        assert answer.json["reservedMicros"] == cost(chosen, input=500, output=2000)
        settled = settle(nginx, answer.json["hold"], inputTokens=10, outputTokens=10)
        assert settled.json["costMicros"] == cost(chosen, input=10, output=10)
    account = nginx.account(funds_micros=cost("gpt-3.5-turbo", input=500, output=2000) - 1)
    assert authorize(nginx, account, None, models=models).status == 402


# ---- bring your own key -------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["account", "request"])
def test_own_key_is_let_through_uncharged(nginx, where):
    account = nginx.account(**({"byok": ["openai"]} if where == "account" else {}))
    fields = {"byok": ["openai"]} if where == "request" else {}
    answer = authorize(nginx, account, **fields)
    assert answer.status == 200, answer
    assert (answer.json["source"], answer.json["provider"]) == ("byok", "openai")
    assert answer.json["reservedMicros"] == 0
    settled = settle(nginx, answer.json["hold"], inputTokens=100, outputTokens=200)
    assert settled.status == 200 and settled.json["costMicros"] == 0, settled
    usage = nginx.get(f"/api/credits/usages?account={account}").json["items"][0]
    assert (usage["inputTokens"], usage["outputTokens"], usage["costMicros"]) == (100, 200, 0)


def test_own_key_of_another_provider_does_not_help(nginx):
    account = nginx.account(byok=["anthropic"])
    assert authorize(nginx, account, "gpt-4o").status == 402
    assert authorize(nginx, account, "claude-sonnet-4-20250514").json["source"] == "byok"


# ---- actions ------------------------------------------------------------------------------------------


def test_charge_checks_and_consumes_in_one_call(server):
    account = server.account(funds_micros=5_000_000, unit="credit")
    answer = charge(server, account, "debrief", quantity=2)
    assert answer.status == 200, answer
    said = answer.json
    assert said["success"] is True and said["message"]
    assert (said["creditsConsumed"], said["creditsRemaining"]) == (2, 3)
    assert (said["costMicros"], said["balanceMicros"]) == (2_000_000, 3_000_000)
    assert charge(server, account, "debrief", quantity=4).status == 402
    assert charge(server, account, "debrief", quantity=3).json["creditsRemaining"] == 0
    assert charge(server, account, "debrief").status == 402
    assert server.balance(account) == (0, 0, 0)


def test_charge_on_a_money_account_costs_what_a_credit_is_worth(nginx):
    account = nginx.account(funds_micros=100_000)
    assert charge(nginx, account, "debrief", quantity=3).json["costMicros"] == 30_000


def test_action_can_be_held_and_settled(nginx):
    account = nginx.account(funds_micros=5_000_000, unit="credit")
    answer = authorize(nginx, account, None, action="debrief", quantity=2)
    assert answer.status == 200 and answer.json["reservedMicros"] == 2_000_000, answer
    settled = settle(nginx, answer.json["hold"])
    assert settled.status == 200 and settled.json["costMicros"] == 2_000_000, settled
    assert nginx.balance(account) == (3_000_000, 0, 3_000_000)


def test_model_on_a_credit_account(nginx):
    account = nginx.account(funds_micros=5_000_000, unit="credit")
    answer = authorize(nginx, account)
    assert answer.json["reservedMicros"] == cost("gpt-4o", input=500, output=2000, unit="credit")


# ---- check --------------------------------------------------------------------------------------------


def check(o, account, **query):
    return o.get(f"/api/guard/check?account={account}" + "".join(f"&{k}={v}" for k, v in query.items()))


def test_check_says_whether_and_reserves_nothing(nginx):
    account = nginx.account(funds_micros=ESTIMATE)
    for _ in range(3):
        answer = check(nginx, account, model="gpt-4o")
        assert (answer.status, answer.body) == (204, b""), answer
        assert answer.headers["x-octroi-available-micros"] == str(ESTIMATE)
    assert nginx.balance(account) == (ESTIMATE, 0, ESTIMATE)
    hold(nginx, account, inputTokens=1, maxOutputTokens=0)
    refused = check(nginx, account, model="gpt-4o")
    assert (refused.status, refused.headers["x-octroi-status"]) == (403, "402"), refused
    assert refused.headers["x-octroi-error"] == "INSUFFICIENT_CREDITS"
    assert check(nginx, account).status == 204
    unknown = check(nginx, account, model="none")
    assert (unknown.status, unknown.headers["x-octroi-status"]) == (403, "422"), unknown
    assert check(nginx, nginx.account()).status == 403
    assert check(nginx, nginx.account(byok=["openai"]), model="gpt-4o").status == 204


def test_check_without_a_caller(nginx):
    assert nginx.get("/api/guard/check?account=x", key=None).status == 401
    assert nginx.get("/api/guard/check", key=None, public=True).status in (401, 403, 404)


# ---- many at once -------------------------------------------------------------------------------------


def test_many_settlements_in_one_call_fail_on_their_own(nginx):
    account, other = nginx.account(funds_micros=FUNDS), nginx.account(funds_micros=FUNDS)
    holds = [hold(nginx, account), hold(nginx, other), hold(nginx, account)]
    answer = nginx.post("/api/guard/settle", {"settlements": [
        {"hold": holds[0], "inputTokens": 10, "outputTokens": 1},
        {"hold": guard.public_id(account, 999), "inputTokens": 10, "outputTokens": 1},
        {"hold": holds[1], "inputTokens": 20, "outputTokens": 2},
        {"hold": holds[0], "inputTokens": 10, "outputTokens": 1},
        {"hold": holds[0], "inputTokens": 11, "outputTokens": 1},
        {"hold": holds[2], "outcome": "failed"},
        {"hold": holds[2], "inputTokens": -1},
    ]})
    assert answer.status == 200, answer
    results = answer.json["results"]
    assert [r["status"] for r in results] == [200, 404, 200, 200, 409, 200, 400], results
    assert [r.get("replayed") for r in results[:4]] == [False, None, False, True]
    took = cost("gpt-4o", input=10, output=1)
    assert nginx.balance(account) == (FUNDS - took, 0, FUNDS - took)


def test_written_in_bulk_or_as_text_is_the_same(nginx, fcgid):
    """Rows go to the database as values or, few of them from mod_fcgid, as text; whichever it was cannot be seen in them."""
    texts = ["plain", "\u00e9\u4e16\U0001f600", "a'b\\\"c;--", "%_", "x" * 128, "0x41", "NULL", "-1", " ends with a space ", "?"]
    found = []
    for o, together, in_bulk in ((fcgid, False, False), (fcgid, True, True), (nginx, False, True), (nginx, True, True)):
        account = o.account(funds_micros=FUNDS)
        holds = [hold(o, account, conversationId=text) for text in texts]
        body = [{"hold": h, "inputTokens": i, "messageId": text} for i, (h, text) in enumerate(zip(holds, texts))]
        before = int(o.sql("SHOW GLOBAL STATUS LIKE 'Com_stmt_execute'")[0][1])
        answers = [o.post("/api/guard/settle", one) for one in ([{"settlements": body}] if together else body)]
        assert {a.status for a in answers} == {200}, answers
        assert (int(o.sql("SHOW GLOBAL STATUS LIKE 'Com_stmt_execute'")[0][1]) > before) == in_bulk
        key = guard.key_of(account)
        assert o.sql(f"SELECT COUNT(*) FROM {guard.HOLDS} WHERE account_id = {key}") == [("0",)]
        found.append((o.sql("SELECT seq, state, cost_micros, HEX(conversation_id), HEX(settled_message_id) FROM usages"
                            f" WHERE account_id = {key} ORDER BY seq"), o.balance(account)))
    assert found[0] == found[1] == found[2] == found[3]
    assert [(row[3], row[4]) for row in found[0][0]] == [(text.encode().hex().upper(),) * 2 for text in texts]


def test_an_account_that_is_made_while_another_is_waited_for(nginx):
    """Its hold is there when holds are read, but it was not when accounts were locked."""
    first, second = sorted((nginx.account(funds_micros=FUNDS) for _ in range(2)), key=guard.key_of)
    holds = [hold(nginx, account) for account in (first, second)]
    where = f"id = {guard.key_of(first)}"
    nginx.sql(f"CREATE TABLE kept SELECT * FROM accounts WHERE {where}; DELETE FROM accounts WHERE {where}")
    try:
        with Lock(nginx, f"accounts WHERE id = {guard.key_of(second)}") as lock, \
                concurrent.futures.ThreadPoolExecutor(1) as pool:
            body = {"settlements": [{"hold": h, "inputTokens": 1, "outputTokens": 1} for h in holds]}
            answer = pool.submit(nginx.post, "/api/guard/settle", body)
            wait_for_waiting(nginx)
            nginx.sql("INSERT INTO accounts SELECT * FROM kept")
            lock.release()
            assert [result["status"] for result in answer.result(60).json["results"]] == [404, 200]
        assert settle(nginx, holds[0], inputTokens=1, outputTokens=1).status == 200
    finally:
        nginx.sql("DROP TABLE kept")


def test_five_hundred_settlements_in_one_call_and_no_more(nginx):
    account = nginx.account(funds_micros=1_000_000_000)
    holds = [hold(nginx, account, inputTokens=1, maxOutputTokens=1) for _ in range(500)]
    settlements = [{"hold": h, "inputTokens": i, "outputTokens": 1} for i, h in enumerate(holds)]
    answer = nginx.post("/api/guard/settle", {"settlements": settlements + settlements[:1]})
    assert answer.status == 400 and answer.json["field"] == "settlements", answer
    answer = nginx.post("/api/guard/settle", {"settlements": settlements})
    assert answer.status == 200, answer
    costs = [cost("gpt-4o", input=i, output=1) for i in range(500)]
    assert [r["costMicros"] for r in answer.json["results"]] == costs
    left = 1_000_000_000 - sum(costs)
    assert nginx.balance(account) == (left, 0, left)


# ---- extend and release -------------------------------------------------------------------------------


def test_extend_prolongs_and_enlarges(nginx):
    account = nginx.account(funds_micros=FUNDS)
    held = hold(nginx, account, ttlSeconds=10)
    answer = extend(nginx, held, ttlSeconds=3600, maxOutputTokens=4000)
    larger = cost("gpt-4o", input=500, output=4000)
    assert answer.status == 200, answer
    assert (answer.json["hold"], answer.json["reservedMicros"]) == (held, larger)
    assert answer.json["maxOutputTokens"] == 4000
    assert 3590 < seconds_until(answer.json["expiresAt"]) <= 3601
    assert nginx.balance(account) == (FUNDS, larger, FUNDS - larger)


def test_extend_beyond_the_balance_is_refused_and_leaves_the_hold(nginx):
    account = nginx.account(funds_micros=ESTIMATE)
    held = hold(nginx, account)
    answer = extend(nginx, held, maxOutputTokens=2001)
    assert answer.status == 402, answer
    assert nginx.balance(account) == (ESTIMATE, ESTIMATE, 0)
    assert settle(nginx, held, inputTokens=1, outputTokens=1).status == 200


def test_release_gives_everything_back(server):
    account = server.account(funds_micros=FUNDS)
    held = hold(server, account)
    answer = release(server, held)
    assert answer.status == 200, answer
    assert (answer.json["hold"], answer.json["released"]) == (held, True)
    assert server.balance(account) == (FUNDS, 0, FUNDS)
    assert release(server, held).status == 200  # releasing twice is releasing once
    assert extend(server, held, ttlSeconds=60).status == 409


def test_a_hold_that_never_was(nginx):
    nobody = guard.public_id(guard.request_id("nobody"), 1)
    for answer in (settle(nginx, nobody, inputTokens=1), release(nginx, nobody), extend(nginx, nobody, ttlSeconds=60)):
        assert answer.status == 404 and answer.json["error"] == "NOT_FOUND", answer
    for bad in ("", "x", "!" * 32, nobody[:-1]):
        assert settle(nginx, bad, inputTokens=1).status in (400, 404), bad

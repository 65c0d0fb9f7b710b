"""Paths, keys and bodies that octroi-meter passes on or refuses, and tries to have an answer for nothing.

The provider's books have a record of each request that reached it."""

import concurrent.futures
import fractions
import json

import guard
import pytest

from octroi import wait_until
from recorded import RECORDINGS
from stage import FUNDS, PROVIDER_KEY, address_of, body_of, cost

SHAPES = ["openai-chat", "openai-responses", "anthropic", "gemini"]
CHAT = "/openai/v1/chat/completions"


def asked(stage):
    return len(stage.books())


def error_of(answer):
    """(status, X-Octroi-Error) of a refusal in a provider's shape."""
    said = answer.json
    assert said["error"]["message"], said
    return answer.status, answer.headers.get("x-octroi-error")


# ---- paths ----------------------------------------------------------------------------------------------

NOT_LISTED = [
    "/", "/openai", "/openai/", "/openai/v1", "/v1/chat/completions", "/nobody/v1/chat/completions", "/openai/v1/files",
    "/openai/v1/chat/completions/", "/openai/v1//chat/completions", "//openai/v1/chat/completions", "/openai/v1/chat",
    "/openai/v1/chat/completions/x", "/openai/v1/fine_tuning/jobs", "/openai/v1/batches", "/openai/v1/assistants", "/openai/v1/realtime",
    "/openai/v1/messages", "/anthropic/v1/chat/completions",
    "/anthropic/v1/messages/batches", "/anthropic/v1/complete", "/OPENAI/v1/chat/completions", "/openai/V1/chat/completions",
    "/openai/v1/files/../chat/completions/../files", "/openai/v1/chat%2Fcompletions/../files", "/openai/v1/%2e%2e/v1/files",
    "/openai/v1/chat/completions%00", "/openai/v1/chat/completions%0d%0aX:1", "/openai/v1/chat/completions;x", "/openai/_books", "/openai/_go",
    "/gemini/v1beta/models", "/gemini/v1beta/models/gemini-2.5-flash", "/gemini/v1beta/models/gemini-2.5-flash:countTokens",
    "/gemini/v1beta/models/gemini-2.5-flash:batchGenerateContent", "/gemini/v1beta/models/a/b:generateContent",
    "/gemini/v1beta/models/../cachedContents:generateContent", "/gemini/v1beta/models/..%2fx:generateContent",
    "/gemini/v1beta/models/:generateContent", "/gemini/v1/models/x:predict", "/gemini/v1beta/cachedContents", "/close/metrics",
    "/openai/healthz", "/api/guard/authorize", "/api/accounts/a",
]


@pytest.mark.parametrize("path", NOT_LISTED)
def test_path_that_is_not_listed_never_reaches_the_provider(stage, payer, path):
    before = asked(stage)
    for method in ("POST", "GET", "PUT", "DELETE"):
        answer = stage.call(method, path, payer.key, body_of("openai-chat", {}) if method != "GET" else None)
        answer.close()
        assert answer.status in (400, 403, 404, 405, 422), (method, answer.status)
    assert asked(stage) == before and stage.open_holds(payer) == 0


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "post"])
@pytest.mark.parametrize("name", SHAPES)
def test_other_methods_never_reach_the_provider(stage, payer, name, method):
    before = asked(stage)
    answer = stage.call(method, address_of(name), payer.key, body_of(name, {}))
    answer.close()
    assert answer.status in (400, 403, 405, 501), answer.status
    assert asked(stage) == before and stage.spent(payer) == 0


def test_health_needs_nothing(stage):
    assert stage.get("/healthz").json == {"status": "ok"}


def test_models_are_those_with_a_price(stage, payer):
    before = asked(stage)
    listed = stage.get("/openai/v1/models", payer.key)
    assert listed.status == 200
    names = {model["id"] for model in listed.json["data"]}
    assert "gpt-4o" in names and "debrief" not in names
    assert stage.get("/openai/v1/models").status == 401
    assert stage.get("/openai/v1/models", "oct_meter_" + "A" * 43).status == 401
    assert asked(stage) == before
    wait_until(lambda: stage.open_holds(payer) == 0, 10, "no hold for a list")
    assert stage.spent(payer) == 0


# ---- keys -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SHAPES)
def test_key_stands_where_the_providers_key_stood(stage, payer, name):
    path, body = address_of(name), body_of(name, {"id": "place"})
    sign = "&" if "?" in path else "?"
    for header, where in ((("Authorization", "Bearer " + payer.key), ""), (("authorization", "bearer " + payer.key), ""),
                          (("x-api-key", payer.key), ""), (("x-goog-api-key", payer.key), ""), (None, f"{sign}key={payer.key}")):
        answer = stage.call("POST", path + where, None, body, [header] if header else [])
        assert answer.status == 200, (header, where, answer.rest)
        answer.whole()
    stage.wait_settled(payer, 5)
    for record in stage.books("place"):
        assert record["keyed"]
        assert payer.key not in json.dumps(record), "the provider was told the meter's key"
    assert PROVIDER_KEY not in answer.rest.decode()


def test_two_keys_are_refused(stage, payer):
    other = stage.payer()
    before = asked(stage)
    for headers, query in (([("Authorization", "Bearer " + payer.key), ("x-api-key", other.key)], ""),
                           ([("x-goog-api-key", payer.key), ("x-api-key", other.key)], ""),
                           ([("x-api-key", payer.key)], "?key=" + other.key), ([], f"?key={payer.key}&key={other.key}"),
                           ([("x-api-key", payer.key), ("x-api-key", other.key)], ""),
                           ([("Authorization", "Bearer " + payer.key), ("Authorization", "Bearer " + other.key)], "")):
        answer = stage.call("POST", CHAT + query, None, body_of("openai-chat", {}), headers)
        assert answer.status in (400, 401), (headers, answer.status)
        answer.close()
    assert asked(stage) == before


def revoked_key(stage):
    payer = stage.payer()
    stage.o.ctl("key", "revoke", payer.key)
    return payer.key


def wrong_keys(stage):
    key = stage.payer().key
    return [None, "", "x", "sk-proj-of-openai", key[:-1], key + "A", key.swapcase(), "oct_meter_" + "A" * 43, PROVIDER_KEY, revoked_key(stage),
            "x" * 600, "x" * 6000, *stage.o.keys.values()]


@pytest.mark.parametrize("name", SHAPES)
def test_wrong_key_never_reaches_the_provider(stage, name):
    before = asked(stage)
    for key in wrong_keys(stage):
        answer = stage.ask(name, key)
        assert answer.status == 401, (key, answer.status)
        text = answer.whole().decode()
        assert not key or len(key) < 20 or key not in text
        assert json.loads(text)["error"]["message"]
    trusted = stage.call("POST", "/trusted" + address_of(name), None, body_of(name, {}))
    assert trusted.status == 401  # trust_server_params is off
    assert asked(stage) == before


def test_keys_are_in_no_log(stage, payer):
    unknown = "oct_meter_" + "C" * 43
    for key in (payer.key, unknown):
        for name in SHAPES:
            stage.ask(name, key).whole()
            stage.call("POST", CHAT, key, raw=b"{").close()
    stage.wait_settled(payer)
    for path in [*stage.dir.iterdir(), stage.o.dir / "log" / "octroi.log"]:
        if path.is_file() and path.name != "octroi-meter.conf":
            text = path.read_text(errors="replace")
            for secret in (payer.key, unknown, PROVIDER_KEY, stage.o.keys["guard"]):
                assert secret[-20:] not in text, path
    assert payer.key not in stage.o.log()


def test_nothing_else_of_the_client_is_passed_on(stage, payer):
    headers = [("Cookie", "session=canary"), ("X-Secret", "canary"), ("User-Agent", "canary/1"), ("X-Forwarded-For", "10.9.8.7"),
               ("OpenAI-Organization", "org-canary"), ("OpenAI-Project", "proj-canary"), ("Proxy", "canary"),
               ("anthropic-beta", "tools-2024")]
    stage.ask("openai-chat", payer.key, {"id": "headers"}, headers=headers).whole()
    stage.wait_settled(payer, 1)
    [record] = stage.books("headers")
    assert "canary" not in json.dumps(record["headers"]).replace(PROVIDER_KEY, "") and "10.9.8.7" not in json.dumps(record["headers"])
    assert set(record["headers"]) <= {"host", "authorization", "content-type", "content-length", "accept", "accept-encoding",
                                      "user-agent", "anthropic-beta", "openai-beta"}


# ---- money ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SHAPES)
def test_account_without_credit_is_refused_in_the_providers_words(stage, name):
    poor, before = stage.payer(funds_micros=0), asked(stage)
    answer = stage.ask(name, poor.key)
    said = answer.json
    assert answer.status == 402 and answer.headers["x-octroi-error"] == "INSUFFICIENT_CREDITS"
    if name == "anthropic":
        assert said["type"] == "error" and said["error"]["type"] == "billing_error"
    elif name == "gemini":
        assert (said["error"]["code"], said["error"]["status"]) == (402, "RESOURCE_EXHAUSTED")
    else:
        assert said["error"]["code"] == "insufficient_quota" and said["error"]["param"] is None
    assert asked(stage) == before and stage.open_holds(poor) == 0


@pytest.mark.parametrize("name, cap", [("openai-chat", lambda body: body["max_tokens"]), ("anthropic", lambda body: body["max_tokens"]),
                                       ("openai-responses", lambda body: body["max_output_tokens"]),
                                       ("gemini", lambda body: body["generationConfig"]["maxOutputTokens"])])
def test_answer_is_no_longer_than_what_is_paid_for(stage, name, cap):
    model = RECORDINGS[name][2]
    funds = cost(model, (560, 100, 0, 0))
    payer = stage.payer(funds_micros=funds)
    answer = stage.ask(name, payer.key, {"id": "fit-" + name})
    assert answer.status == 200
    answer.whole()
    [record] = stage.books("fit-" + name)
    assert 90 <= cap(record["body"]) <= 130, record["body"]
    assert int(answer.headers["x-octroi-reserved"]) <= funds
    stage.wait_settled(payer, 1)
    assert stage.o.balance(payer.account)[0] == funds - cost(model, RECORDINGS[name][3])


def test_request_without_a_cap_gets_one(stage, payer):
    body = body_of("openai-chat", {"id": "cap"})
    del body["max_tokens"]
    stage.call("POST", CHAT, payer.key, body).whole()
    [record] = stage.books("cap")
    caps = [record["body"].get("max_tokens"), record["body"].get("max_completion_tokens")]
    assert sorted(caps, key=str) == [2000, None]


TRICKS = {
    "model twice": lambda body: json.dumps(body)[:-1] + ', "model": "gpt-3.5-turbo"}',
    "model twice, the first cheap": lambda body: '{"model": "gpt-3.5-turbo", ' + json.dumps(body)[1:],
    "stream twice": lambda body: json.dumps(body)[:-1] + ', "stream": false}',
    "two caps": lambda body: json.dumps({**body, "max_completion_tokens": 5}),
    "no model": lambda body: json.dumps({k: v for k, v in body.items() if k != "model"}),
    "model is null": lambda body: json.dumps({**body, "model": None}),
    "model is a list": lambda body: json.dumps({**body, "model": ["gpt-4o"]}),
    "model is empty": lambda body: json.dumps({**body, "model": ""}),
    "model with a control character": lambda body: json.dumps({**body, "model": "gpt-4o\n"}),
    "cap is negative": lambda body: json.dumps({**body, "max_tokens": -1}),
    "cap is a text": lambda body: json.dumps({**body, "max_tokens": "5"}),
    "cap is huge": lambda body: json.dumps({**body, "max_tokens": 10**18}),
    "cap is a fraction": lambda body: json.dumps({**body, "max_tokens": 0.5}),
    "cap is a list": lambda body: json.dumps({**body, "max_tokens": [5]}),
    "n is negative": lambda body: json.dumps({**body, "n": -1}),
    "n is huge": lambda body: json.dumps({**body, "n": 10**12}),
    "n is a text": lambda body: json.dumps({**body, "n": "2"}),
    "stream is a text": lambda body: json.dumps({**body, "stream": "true"}),
    "stream is a number": lambda body: json.dumps({**body, "stream": 1}),
    "stream_options is a list": lambda body: json.dumps({**body, "stream_options": []}),
    "broken": lambda body: json.dumps(body)[:-1],
    "more behind it": lambda body: json.dumps(body) + "{}",
    "a list": lambda body: json.dumps([body]),
    "a text": lambda body: '"gpt-4o"',
    "empty": lambda body: "",
    "deep": lambda body: json.dumps(body)[:-1] + ', "x": ' + "[" * 200 + "]" * 200 + "}",
    "not UTF-8": lambda body: json.dumps(body).encode()[:-1] + b', "x": "\xff"}',
    "NUL": lambda body: json.dumps({**body, "x": "\x00"}).encode().replace(b"\\u0000", b"\x00"),
    "key with an escape": lambda body: json.dumps(body)[:-1] + ', "mod\\u0065l": "gpt-3.5-turbo"}',
    "byte order mark": lambda body: "\ufeff".encode() + json.dumps(body).encode(),
    "gpt in UTF-16": lambda body: json.dumps(body).encode("utf-16"),
}


@pytest.mark.parametrize("trick", TRICKS)
def test_body_that_could_be_read_in_two_ways_is_refused(stage, payer, trick):
    before = asked(stage)
    raw = TRICKS[trick](body_of("openai-chat", {}))
    answer = stage.call("POST", CHAT, payer.key, raw=raw if isinstance(raw, bytes) else raw.encode())
    assert answer.status in (400, 422), (answer.status, answer.whole())
    assert error_of(answer)[0] == answer.status
    assert asked(stage) == before
    wait_until(lambda: stage.open_holds(payer) == 0, 5, "no hold")
    assert stage.spent(payer) == 0


@pytest.mark.parametrize("headers", [[("Content-Encoding", "gzip")], [("Content-Encoding", "br")], [("Transfer-Encoding", "gzip")]], ids=str)
def test_body_in_a_coding_is_refused(stage, payer, headers):
    before = asked(stage)
    answer = stage.call("POST", CHAT, payer.key, raw=b"\x1f\x8b" + b"x" * 20, headers=headers)
    assert answer.status in (400, 411, 415, 501), answer.status
    assert asked(stage) == before


UPLOAD = (b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nwhisper-1\r\n--b\r\nContent-Disposition: form-data; name="file"; '
          b'filename="a.mp3"\r\nContent-Type: audio/mpeg\r\n\r\nID3\r\n--b--\r\n')
UPLOADS = ["/v1/audio/transcriptions", "/v1/audio/translations", "/v1/images/edits", "/v1/images/variations"]


@pytest.mark.parametrize("path", [*UPLOADS, "/v1/chat/completions", "/v1/images/generations"])
@pytest.mark.parametrize("type", ["multipart/form-data; boundary=b", "Multipart/Form-Data;boundary=b"])
def test_upload_is_refused_with_its_reason(stage, payer, path, type):
    before = asked(stage)
    answer = stage.call("POST", "/openai" + path, payer.key, raw=UPLOAD, type=type)
    said = answer.json["error"]
    assert answer.status == 415 and answer.headers["x-octroi-error"] == "UNSUPPORTED_MEDIA_TYPE"
    assert "multipart/form-data" in said["message"] and said["type"] == "invalid_request_error"
    assert asked(stage) == before and stage.open_holds(payer) == 0


@pytest.mark.parametrize("path", UPLOADS)
def test_path_of_uploads_takes_no_json_either(stage, payer, path):
    """Its answer says no usage where the client asks for text."""
    before = asked(stage)
    answer = stage.call("POST", "/openai" + path, payer.key, {"model": "gpt-4o", "file": "x"})
    assert error_of(answer) == (415, "UNSUPPORTED_MEDIA_TYPE") and asked(stage) == before


def test_unknown_model_is_refused(stage, payer):
    before = asked(stage)
    answer = stage.call("POST", CHAT, payer.key, {**body_of("openai-chat", {}), "model": "no-such-model"})
    assert error_of(answer) == (422, "UNKNOWN_MODEL")
    assert asked(stage) == before


def test_response_in_the_background_is_refused(stage, payer):
    """The answer comes at once, without a usage, and the costs later."""
    before = asked(stage)
    answer = stage.call("POST", "/openai/v1/responses", payer.key, {**body_of("openai-responses", {}, stream=False), "background": True})
    assert answer.status == 400 and asked(stage) == before


@pytest.mark.parametrize("name, asks", [
    ("openai-responses", {"tools": [{"type": "web_search"}]}), ("openai-responses", {"tools": [{"type": "web_search_preview_2025_03_11"}]}),
    ("openai-responses", {"tools": [{"type": "function", "name": "f"}, {"type": "code_interpreter", "container": {"type": "auto"}}]}),
    ("openai-responses", {"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]}),
    ("openai-responses", {"tools": [{"type": "image_generation"}]}), ("openai-chat", {"web_search_options": {}}),
    ("anthropic", {"tools": [{"type": "code_execution_20250825", "name": "code_execution"}]}), ("gemini", {"tools": [{"googleSearch": {}}]}),
    ("gemini", {"tools": [{"google_search": {}}]}), ("gemini", {"tools": [{"functionDeclarations": []}, {"googleMaps": {}}]}),
    ("gemini", {"tools": {"googleSearch": {}}}),
], ids=str)
def test_tool_that_no_usage_names_is_refused(stage, payer, name, asks):
    before = asked(stage)
    answer = stage.ask(name, payer.key, {}, **asks)
    assert error_of(answer)[0] == 400
    assert asked(stage) == before and stage.open_holds(payer) == 0


PICTURE = {"type": "image_url", "image_url": {"url": "https://example.com/large.png"}}


@pytest.mark.parametrize("name, more", [
    ("openai-chat", lambda text: {"messages": [{"role": "user", "content": [PICTURE, {"type": "text", "text": text}]}]}),
    ("openai-responses", lambda text: {"previous_response_id": "resp_1"}),
    ("openai-responses", lambda text: {"conversation": "conv_1"}),
])
def test_input_that_the_body_does_not_show_is_paid_for(stage, payer, name, more):
    """The provider is read to its end, whatever the policy: a client that goes early would pay for an address only."""
    body = body_of(name, {"id": f"{payer.account}", "wait_at": 3})
    body.update(more(body["input"] if "input" in body else body["messages"][0]["content"]))
    answer = stage.call("POST", "/close" + address_of(name), payer.key, body)
    assert answer.event()
    answer.close()
    stage.wait_waiting()
    stage.go()
    use = stage.wait_settled(payer, 1)[answer.hold]
    assert use["settlement"] == "exact" and use["cost"] == cost(RECORDINGS[name][2], RECORDINGS[name][3]), use


@pytest.mark.parametrize("lead", ["data:", "data:text/plain;base64,"])
def test_text_that_looks_like_a_file_is_reserved_in_full(stage, payer, lead):
    text = lead + "x" * 300_000
    body = body_of("openai-chat", {})
    body["messages"].insert(0, {"role": "user", "content": text})
    answer = stage.call("POST", CHAT, payer.key, body)
    answer.whole()
    assert int(answer.headers["x-octroi-reserved"]) >= cost("gpt-4o", (100_000, 0, 0, 0))
    stage.wait_settled(payer, 1)


def test_images_and_speech_are_paid_by_their_number(stage, payer):
    for model, line in (("dall-e-3", "images=0.04"), ("tts-1", "characters=0.000015")):
        stage.o.ctl("price", "set", model, "--provider", "openai", "--line", line)
    wait_until(lambda: stage.call("POST", "/openai/v1/images/generations", payer.key,
                                  {"model": "dall-e-3", "prompt": json.dumps({"status": 400})}).status == 400, 10, "the price")
    stage.wait_settled(payer)
    for path, body, dollars in (("images/generations", {"model": "dall-e-3", "prompt": "a gate", "n": 2}, fractions.Fraction("0.08")),
                                ("audio/speech", {"model": "tts-1", "input": "é" * 1000, "voice": "alloy"}, fractions.Fraction("0.015"))):
        before = stage.spent(payer)
        answer = stage.call("POST", "/openai/v1/" + path, payer.key, body)
        assert answer.status == 200 and answer.whole()
        stage.wait_settled(payer)
        assert stage.spent(payer) - before == guard.ceiling(dollars * 10**6 * guard.MARGIN / guard.RATE), path


def test_usage_cannot_be_switched_off(stage, payer):
    answer = stage.ask("openai-chat", payer.key, {"id": "off"}, stream_options={"include_usage": False})
    assert answer.status == 200 and b'"choices":[]' not in answer.whole()
    assert stage.wait_settled(payer, 1)[answer.hold]["settlement"] == "exact"
    [record] = stage.books("off")
    assert record["body"]["stream_options"]["include_usage"] is True


def test_several_answers_are_reserved_severally(stage, payer):
    one = stage.ask("openai-chat", payer.key, {}, n=1)
    five = stage.ask("openai-chat", payer.key, {}, n=5)
    one.whole(), five.whole()
    assert int(five.headers["x-octroi-reserved"]) - int(one.headers["x-octroi-reserved"]) >= cost("gpt-4o", (0, 790, 0, 0))
    stage.wait_settled(payer, 2)


def test_body_beyond_its_bound(stage, payer):
    before = asked(stage)
    answer = stage.call("POST", CHAT, payer.key, body_of("openai-chat", {"pad": "x" * (17 << 20)}))
    assert answer.status == 413 and asked(stage) == before


# ---- again and at once ----------------------------------------------------------------------------------


def test_same_idempotency_key_pays_and_asks_once(stage, payer):
    headers = [("Idempotency-Key", "again-1")]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: stage.ask("openai-chat", payer.key, {"id": "again"}, headers=headers), range(8)))
    for answer in answers:
        answer.whole()
    assert sorted(answer.status for answer in answers) == [200] + [409] * 7
    used = stage.wait_settled(payer, 1)
    assert len(stage.books("again")) == len(used) == 1
    assert stage.ask("openai-chat", payer.key, {"id": "again"}, headers=headers).status == 409
    other = stage.payer()
    assert stage.ask("openai-chat", other.key, {"id": "again"}, headers=headers).status == 200
    assert len(stage.books("again")) == 2


def test_idempotency_key_of_a_refused_request_is_free_again(stage, payer):
    headers = [("Idempotency-Key", "retry-1")]
    assert stage.ask("openai-chat", payer.key, {"status": 503}, headers=headers).status == 503
    stage.wait_settled(payer)
    again = stage.ask("openai-chat", payer.key, {"id": "retry"}, headers=headers)
    assert again.status in (200, 409)  # the same key, another body: octroi may call it another request
    again.whole()
    stage.wait_settled(payer)


def test_many_at_once_spend_no_more_than_there_is(stage):
    one = cost("gpt-4o", (560, 200, 0, 0))
    payer = stage.payer(funds_micros=3 * one)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda n: stage.ask("openai-chat", payer.key, {"id": "rush", "pause_ms": 20}), range(16)))
    for answer in answers:
        answer.whole()
    stage.wait_settled(payer)
    billed = sum(cost("gpt-4o", record["bill"]) for record in stage.books("rush"))
    assert {answer.status for answer in answers} == {200, 402}
    assert stage.o.balance(payer.account)[0] == 3 * one - billed >= 0


def test_key_revoked_in_mid_stream_pays_for_its_stream(stage, payer):
    answer = stage.ask("openai-chat", payer.key, {"id": "revoked", "wait_at": 3})
    answer.event()
    stage.wait_waiting()
    stage.o.ctl("key", "revoke", payer.key)
    assert stage.ask("openai-chat", payer.key).status == 401
    stage.go()
    answer.whole()
    use = stage.wait_settled(payer, 1)[answer.hold]
    assert use["settlement"] == "exact" and use["cost"] == cost("gpt-4o", RECORDINGS["openai-chat"][3])


def test_member_of_the_key_is_the_one_who_pays(stage):
    payer = stage.payer("--member", "ann")
    stage.ask("anthropic", payer.key).whole()
    stage.wait_settled(payer, 1)
    assert stage.o.sql("SELECT COUNT(*) FROM usages WHERE member = 'ann' AND account_id ="
                       f" {guard.key_of(payer.account)}") == [("1",)]


def test_first_affordable_model_of_a_list(stage):
    funds = cost("gpt-3.5-turbo", (600, 200, 0, 0))
    payer = stage.payer(funds_micros=funds)
    answer = stage.ask("openai-chat", payer.key, {"id": "models"}, headers=[("X-Octroi-Models", "gpt-4o, gpt-3.5-turbo")],
                       max_tokens=200)
    assert answer.status == 200
    answer.whole()
    [record] = stage.books("models")
    model = record["body"]["model"]
    assert model in ("gpt-4o", "gpt-3.5-turbo") and answer.headers.get("x-octroi-model", "gpt-4o") == model
    stage.wait_settled(payer, 1)
    assert stage.o.balance(payer.account)[0] == funds - cost(model, record["bill"])


def test_server_says_who_pays_where_it_is_trusted(stage):
    stage.end("meter")
    stage.start_meter(trust_server_params="on")
    try:
        account = stage.o.account("ws:trusted", funds_micros=FUNDS)
        answer = stage.call("POST", "/trusted" + address_of("openai-chat"), None, body_of("openai-chat", {}))
        assert answer.status == 200
        answer.whole()
        wait_until(lambda: stage.o.balance(account)[0] < FUNDS, 10, "the settlement")
        for headers in ([("OCTROI_ACCOUNT", "ws:trusted")], [("Octroi-Account", "ws:trusted")]):
            assert stage.call("POST", address_of("openai-chat"), None, body_of("openai-chat", {}), headers).status in (400, 401)
    finally:
        stage.end("meter")
        stage.start_meter(trust_server_params="off")


def test_metrics_count(stage, payer):
    stage.ask("openai-chat", payer.key).whole()
    stage.wait_settled(payer, 1)
    text = stage.get("/metrics").whole().decode()
    assert "octroi_meter_streams 0" in text and 'octroi_meter_settled_total{outcome="complete"}' in text
    assert payer.key not in text and payer.account not in text



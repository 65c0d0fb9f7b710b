"""A client that tries to have something for nothing through octroi-meter: each try is refused, or paid as the provider bills.

test_paths.py has the keys, paths and bodies.  The provider's books say what it billed."""

import concurrent.futures
import fractions
import json
import threading

import guard
import pytest

from octroi import wait_until
from recorded import RECORDINGS
from stage import PAD, Answer, address_of, body_of, cost

CHAT = "/openai/v1/chat/completions"
FILE_TOKENS = 16384 // 3  # a file or an address is reserved so


def asked(stage):
    return len(stage.books())


def refused(stage, payer, answer, before, *statuses):
    said = answer.json
    assert answer.status in (statuses or (400,)) and said["error"]["message"], (answer.status, said)
    assert asked(stage) == before and stage.open_holds(payer) == 0 and stage.spent(payer) == 0


def reserved(answer):
    return int(answer.headers["x-octroi-reserved"])


def paid_as_billed(stage, payer, answer, id, model="gpt-4o"):
    use = stage.wait_settled(payer, 1)[answer.hold]
    [record] = stage.books(id)
    assert use["settlement"] == "exact" and use["cost"] == cost(model, record["bill"]) > 0, (use, record)


def price(stage, payer, model, *lines):
    """Sets the price of a model, and waits until octroi knows it."""
    stage.o.ctl("price", "set", model, *lines)

    def is_known():
        answer = stage.call("POST", CHAT, payer.key, {**body_of("openai-chat", {"status": 400}), "model": model})
        return answer.whole() and answer.status == 400
    wait_until(is_known, 10, "the price", every=0.1)
    stage.wait_settled(payer)


# ---- headers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [
    [("X-Octroi-Account", "ws:victim"), ("X-Octroi-Member", "ann")], [("X-Octroi-Key", "oct_guard_x")], [("X-Octroi-Hold", "h")],
    [("X-Octroi-Abort", "close"), ("Octroi-Abort", "close")], [("X-Octroi-Model", "gpt-3.5-turbo")], [("X-Octroi-Reserved", "0")],
    [("X-Octroi-Prefix", "/x"), ("Octroi-Prefix", "/x")], [("OCTROI-ACCOUNT", "ws:victim")], [("Content-Type", "text/plain")],
    [("X-HTTP-Method-Override", "GET")], [("X-Original-URL", "/healthz"), ("X-Rewrite-URL", "/healthz")], [("Expect", "")],
    [("X-Forwarded-Prefix", "/drain")], [("Openai-Beta", "realtime=v1")], [("X-Stainless-Raw-Response", "true")],
], ids=str)
def test_header_that_means_nothing_changes_nothing(stage, payer, headers):
    id = f"header-{payer.account}"
    answer = stage.ask("openai-chat", payer.key, {"id": id}, headers=headers)
    if answer.status != 200:  # a header that octroi refuses
        refused(stage, payer, answer, asked(stage), 400)
        return
    answer.whole()
    paid_as_billed(stage, payer, answer, id)


@pytest.mark.parametrize("headers", [
    [("X-Octroi-Models", "gpt-3.5-turbo"), ("X-Octroi-Models", "gpt-4o")], [("X-Octroi-Models", "no-such-model")], [("X-Octroi-Models", ",")],
    [("X-Octroi-Models", "gpt-4\u00f4")], [("X-Octroi-Models", ",".join(["gpt-4o"] * 9))], [("X-Octroi-Models", "x" * 200)], [("Idempotency-Key", "a"), ("Idempotency-Key", "b")],
    [("Idempotency-Key", "x" * 300)], [("Content-Encoding", "identity, gzip")], [("Content-Encoding", "GZIP")], [("Content-Encoding", "identity"),
                                                                                                               ("Content-Encoding", "gzip")],
], ids=str)
def test_header_that_could_be_read_in_two_ways_is_refused(stage, payer, headers):
    before = asked(stage)
    refused(stage, payer, stage.ask("openai-chat", payer.key, headers=headers), before, 400, 415, 422)


def test_model_of_the_header_is_the_one_that_is_asked_and_paid(stage, payer):
    answer = stage.ask("openai-chat", payer.key, {"id": "header-model"}, headers=[("X-Octroi-Models", "gpt-3.5-turbo")])
    assert answer.status == 200
    answer.whole()
    [record] = stage.books("header-model")
    assert record["body"]["model"] == "gpt-3.5-turbo"
    paid_as_billed(stage, payer, answer, "header-model", "gpt-3.5-turbo")


def raw_call(stage, head, parts=()):
    connection = stage.connect()
    connection.sendall(head.encode())
    for part in parts:
        connection.sendall(part)
    return Answer(connection)


def test_body_in_chunks_is_paid_for(stage, payer):
    body = json.dumps(body_of("openai-chat", {"id": "chunked"})).encode()
    head = (f"POST {CHAT} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer {payer.key}\r\nContent-Type: application/json\r\n"
            "Transfer-Encoding: chunked\r\n\r\n")
    answer = raw_call(stage, head, [b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:100], body[100:], b"")])
    assert answer.status == 200
    answer.whole()
    paid_as_billed(stage, payer, answer, "chunked")


@pytest.mark.parametrize("lengths", ["Content-Length: 10\r\nTransfer-Encoding: chunked", "Content-Length: 10\r\nContent-Length: 20",
                                     "Content-Length: -1", "Content-Length: 10x", "Transfer-Encoding: chunked, gzip", "Transfer-Encoding: x"])
def test_body_of_two_lengths_is_refused(stage, payer, lengths):
    before = asked(stage)
    answer = raw_call(stage, f"POST {CHAT} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer {payer.key}\r\n{lengths}\r\n\r\n"
                      "0123456789012345678901234567890123456789\r\n0\r\n\r\n")
    assert answer.status in (400, 411, 413, 501), answer.status
    answer.close()
    assert asked(stage) == before and stage.open_holds(payer) == 0


# ---- models ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [
    "GPT-4O", "Gpt-4o", " gpt-4o", "gpt-4o ", "gpt-4o\t", "gpt-4o\u200b", "\uff47pt-4o", "gpt\u20114o", "gpt-4o:online", "gpt-4o:free", "gpt-4o@x",
    "gpt-4o,o1-pro", "gpt-4o/", "/gpt-4o", "models/gpt-4o", "openai/gpt-4o", "gpt-4o?x=1", "gpt-4o#x", "gpt-4o%20", "gpt-4*", "%", "gpt-4o'--", "*",
    "ft:gpt-4o:me::1", "gpt-4o-search-preview", "gpt-5-search-api", "x" * 127, "x" * 128, "gpt-4o\u0000", "..", "debrief",
])
def test_model_that_only_looks_like_a_priced_one_is_refused(stage, payer, model):
    before = asked(stage)
    refused(stage, payer, stage.call("POST", CHAT, payer.key, {**body_of("openai-chat", {}), "model": model}), before, 400, 422)


def test_search_of_a_priced_model_is_refused(stage, payer):
    """The usage of a model that always searches has tokens only."""
    stage.o.ctl("price", "set", "gpt-4o-search-preview", "--provider", "openai", "--input", "2.5", "--output", "10")
    before = asked(stage)
    answer = stage.call("POST", CHAT, payer.key, {**body_of("openai-chat", {}), "model": "gpt-4o-search-preview"})
    refused(stage, payer, answer, before)


@pytest.mark.parametrize("more", [{"models": ["o1-pro"], "route": "fallback"}, {"plugins": [{"id": "web"}]}, {"enable_search": True},
                                  {"web_search_options": {}}, {"search_options": {}}, {"compound_custom": {"tools": {}}}], ids=str)
def test_member_that_costs_more_than_tokens_is_refused(stage, payer, more):
    before = asked(stage)
    for name in ("mistral", "openai-chat"):
        refused(stage, payer, stage.ask(name, payer.key, **more), before)


def test_model_in_geminis_body_is_not_passed_on(stage, payer):
    answer = stage.ask("gemini", payer.key, {"id": "gemini-model"}, model="models/gemini-2.5-pro")
    assert answer.status == 200
    answer.whole()
    [record] = stage.books("gemini-model")
    assert "model" not in record["body"] and record["path"].endswith("gemini-2.5-flash:streamGenerateContent")
    paid_as_billed(stage, payer, answer, "gemini-model", "gemini-2.5-flash")


# ---- numbers and flags ----------------------------------------------------------------------------------

NUMBERS = [0, -1, 1.0, 2.5, "2", True, [2], {}, 10**18, 129]


@pytest.mark.parametrize("n", NUMBERS, ids=str)
def test_number_of_answers_that_is_none(stage, payer, n):
    before = asked(stage)
    refused(stage, payer, stage.ask("openai-chat", payer.key, n=n), before)
    gemini = {"generationConfig": {"candidateCount": n, "maxOutputTokens": 20}}
    refused(stage, payer, stage.call("POST", address_of("gemini"), payer.key, {**body_of("gemini", {}), **gemini}), before)


@pytest.mark.parametrize("cap", [0, -1, 1.0, 1e3, "20", True, [20], {}, 10**18], ids=str)
@pytest.mark.parametrize("name, member", [("openai-chat", "max_completion_tokens"), ("openai-responses", "max_output_tokens"),
                                          ("anthropic", "max_tokens")])
def test_bound_that_is_none(stage, payer, name, member, cap):
    before, body = asked(stage), {**body_of(name, {}), member: cap}
    if name == "openai-chat":
        del body["max_tokens"]
    refused(stage, payer, stage.call("POST", address_of(name), payer.key, body), before)


@pytest.mark.parametrize("text", ['"n": 1, "n": 100', '"max_tokens": 1, "max_tokens": 100000', '"stream_options": {"include_usage": true, "include_usage": false}',
                                  '"x": {"y": {"z": 1, "z": 2}}', '"n": 1, "\\u006e": 100', '"x": 1e999999', '"n": 9223372036854775808', '"x": NaN',
                                  '"x": "\\ud800"', '"x": ' + "[" * 40 + "]" * 40])
def test_json_that_could_be_read_in_two_ways(stage, payer, text):
    body = {key: value for key, value in body_of("openai-chat", {}).items() if key != "max_tokens"}
    before = asked(stage)
    answer = stage.call("POST", CHAT, payer.key, raw=(json.dumps(body)[:-1] + ", " + text + "}").encode())
    if answer.status == 200:  # a number that no member of ours has
        assert text == '"x": 1e999999'
        answer.whole()
        stage.wait_settled(payer, 1)
        return
    refused(stage, payer, answer, before)


@pytest.mark.parametrize("more", [{"stream": "false"}, {"stream": 0}, {"stream": []}, {"stream_options": "x"}, {"stream_options": {"include_usage": 0}},
                                  {"stream_options": {"include_usage": "false"}}, {"background": 1}], ids=str)
def test_flag_that_is_none(stage, payer, more):
    before, name = asked(stage), "openai-responses" if "background" in more else "openai-chat"
    refused(stage, payer, stage.call("POST", address_of(name), payer.key, {**body_of(name, {}), **more}), before)


@pytest.mark.parametrize("more", [
    {"logprobs": True, "top_logprobs": 5}, {"stream_options": {"include_obfuscation": True}}, {"modalities": ["text"]}, {"store": True, "metadata": {"a": "b"}},
    {"service_tier": "auto"}, {"service_tier": "no-such-tier"}, {"user": "x" * 2000}, {"response_format": {"type": "json_object"}}, {"seed": 1, "stop": ["a"]},
    {"include_obfuscation": True}, {"prediction": {"type": "content", "content": "x" * 100}}, {"modalities": ["text", "audio"], "audio": {"voice": "alloy"}},
    {"reasoning_effort": "high"}, {"prompt_cache_key": "x"}, {"safety_identifier": "x"},
], ids=str)
@pytest.mark.parametrize("stream", [True, False])
def test_member_that_changes_no_price_is_paid_as_billed(stage, payer, more, stream):
    id = f"plain-{payer.account}"
    answer = stage.ask("openai-chat", payer.key, {"id": id}, stream=stream, **more)
    assert answer.status == 200
    answer.whole()
    paid_as_billed(stage, payer, answer, id)


# ---- tools ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name, tool", [
    *(("openai-responses", {"type": type}) for type in (
        "web_search", "web_search_2025_08_26", "web_search_preview", "file_search", "code_interpreter", "image_generation", "shell", "x_search",
        "browser_search", "builtin_function", "code_execution", "Web_Search", "", " function", "fUnction", "new_tool")),
    ("openai-chat", {"type": "builtin_function", "function": {"name": "$web_search"}}), ("openai-chat", {"type": 1}), ("openai-chat", {"type": ["function"]}),
    ("mistral", {"type": "web_search"}), ("anthropic", {"type": "code_execution_20250825", "name": "code_execution"}),
    ("anthropic", {"type": "advisor_20260301", "name": "advisor"}), ("gemini", {"googleSearch": {}}), ("gemini", {"google_search": {}}),
    ("gemini", {"googleSearchRetrieval": {}}), ("gemini", {"googleMaps": {}}), ("gemini", {"enterpriseWebSearch": {}}), ("gemini", {"retrieval": {}}),
    ("gemini", {"functionDeclarations": [], "googleSearch": {}}), ("gemini", {"parallelAiSearch": {}}),
], ids=str)
@pytest.mark.parametrize("stream", [True, False])
def test_tool_without_a_count_is_refused(stage, payer, name, tool, stream):
    before = asked(stage)
    refused(stage, payer, stage.ask(name, payer.key, stream=stream, tools=[tool]), before)


def test_tool_that_an_item_brings_is_refused(stage, payer):
    body = body_of("openai-responses", {})
    for item in ({"type": "tool_search_output", "tools": [{"type": "web_search"}]}, {"type": "additional_tools", "tools": [{"type": "function"}, {"type": "x"}]},
                 {"type": "mcp_list_tools", "tools": {"type": "web_search"}}):
        before = asked(stage)
        refused(stage, payer, stage.call("POST", address_of("openai-responses"), payer.key, {**body, "input": [item]}), before)


@pytest.mark.parametrize("name, tool", [
    ("openai-chat", {"type": "function", "function": {"name": "f"}}), ("openai-responses", {"type": "function", "name": "f"}),
    ("openai-responses", {"type": "custom", "name": "f"}), ("openai-responses", {"type": "computer_use_preview"}), ("anthropic", {"name": "f", "input_schema": {}}),
    ("anthropic", {"type": "bash_20250124", "name": "bash"}), ("gemini", {"functionDeclarations": [{"name": "f"}]}),
], ids=str)
def test_tool_of_the_application_is_passed_on(stage, payer, name, tool):
    id = f"tool-{payer.account}"
    answer = stage.ask(name, payer.key, {"id": id}, tools=[tool])
    assert answer.status == 200
    answer.whole()
    [record] = stage.books(id)
    assert record["body"]["tools"] == [tool]
    paid_as_billed(stage, payer, answer, id, RECORDINGS[name][2])


# ---- tokens that nobody sees ----------------------------------------------------------------------------

PICTURE = {"type": "image_url", "image_url": {"url": "https://example.com/large.png"}}
ADDRESSES = [
    ("openai-responses", lambda text: {"previous_response_id": "resp_1"}), ("openai-responses", lambda text: {"conversation": "conv_1"}),
    ("openai-responses", lambda text: {"conversation": {"id": "conv_1"}}), ("openai-responses", lambda text: {"prompt": {"id": "pmpt_1"}}),
    ("openai-chat", lambda text: {"messages": [{"role": "user", "content": [PICTURE, {"type": "text", "text": text}]}]}),
    ("openai-chat", lambda text: {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}, {"type": "text", "text": text}]}]}),
    ("openai-chat", lambda text: {"messages": [{"role": "assistant", "audio": {"id": "audio_1"}}, {"role": "user", "content": text}]}),
    ("anthropic", lambda text: {"messages": [{"role": "user", "content": [{"type": "document", "source": {"type": "url", "url": "https://a/b.pdf"}},
                                                                          {"type": "text", "text": text}]}]}),
    ("anthropic", lambda text: {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "file", "file_id": "f"}},
                                                                          {"type": "text", "text": text}]}]}),
    ("gemini", lambda text: {"contents": [{"parts": [{"fileData": {"fileUri": "https://youtube.com/watch?v=1"}}, {"text": text}]}]}),
    ("gemini", lambda text: {"cachedContent": "cachedContents/1"}),
]


def text_of(name, body):
    if name == "gemini":
        return body["contents"][0]["parts"][0]["text"]
    return body["input"] if "input" in body else body["messages"][0]["content"]


@pytest.mark.parametrize("name, more", ADDRESSES)
def test_input_by_its_address_is_reserved_as_a_file(stage, payer, name, more):
    plain, body = body_of(name, {"id": "by-address"}), body_of(name, {"id": "by-address"})
    body.update(more(text_of(name, body)))
    without, answer = (stage.call("POST", address_of(name), payer.key, said) for said in (plain, body))
    assert (without.status, answer.status) == (200, 200)
    without.whole(), answer.whole()
    assert reserved(answer) - reserved(without) >= cost(RECORDINGS[name][2], (FILE_TOKENS, 0, 0, 0))
    stage.wait_settled(payer, 2)


def test_item_of_before_is_reserved_as_a_file(stage, payer):
    for item in ({"type": "item_reference", "id": "msg_1"}, {"id": "msg_1"}):
        body = {**body_of("openai-responses", {}), "input": [item, {"role": "user", "content": "go on " + PAD}]}
        answer = stage.call("POST", address_of("openai-responses"), payer.key, body)
        assert answer.status == 200 and reserved(answer) >= cost("gpt-4o", (FILE_TOKENS, 200, 0, 0))
        answer.whole()
    stage.wait_settled(payer, 2)


UNSEEN = [
    ("openai-chat", lambda text: {"messages": [{"role": "user", "content": [
        {"type": "input_audio", "input_audio": {"data": "QUFB", "format": "wav"}}, {"type": "text", "text": text}]}]}),
    ("gemini", lambda text: {"contents": [{"parts": [{"inlineData": {"mimeType": "audio/wav", "data": "QUFB"}}, {"text": text}]}]}),
    *ADDRESSES, ("openai-chat", lambda text: {"prediction": {"type": "content", "content": "x"}}), ("openai-chat", lambda text: {"reasoning_effort": "low"}),
    ("openai-chat", lambda text: {"audio": {"voice": "alloy"}, "modalities": ["audio"]}), ("openai-responses", lambda text: {"reasoning": {"effort": "high"}}),
    ("openai-responses", lambda text: {"tools": [{"type": "mcp", "server_url": "https://a"}]}), ("mistral", lambda text: {"reasoning_format": "hidden"}),
    ("mistral", lambda text: {"search_parameters": {"mode": "on"}}), ("anthropic", lambda text: {"thinking": {"type": "enabled", "budget_tokens": 1024}}),
    ("anthropic", lambda text: {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
    ("anthropic", lambda text: {"tools": [{"type": "web_fetch_20250910", "name": "web_fetch"}]}),
    ("anthropic", lambda text: {"mcp_servers": [{"type": "url", "url": "https://a"}]}), ("gemini", lambda text: {"tools": [{"urlContext": {}}]}),
    ("gemini", lambda text: {"tools": [{"codeExecution": {}}]}),
    ("gemini", lambda text: {"contents": [{"parts": [{"functionResponse": {"name": "f", "response": {"data": "QUFB" * 8000}}}, {"text": text}]}]}),
]


def leave(stage, payer, name, more, id):
    """Reads an event of a stream that is to be cut, and goes."""
    body = body_of(name, {"id": id, "wait_at": 3})
    body.update(more(text_of(name, body)))
    answer = stage.call("POST", "/close" + address_of(name), payer.key, body)
    assert answer.status == 200 and answer.event(), answer.rest
    answer.close()
    stage.wait_waiting()
    return answer


@pytest.mark.parametrize("name, more", UNSEEN)
def test_tokens_that_nobody_sees_are_paid_by_a_client_that_leaves(stage, payer, name, more):
    answer = leave(stage, payer, name, more, f"unseen-{payer.account}")
    stage.go()
    paid_as_billed(stage, payer, answer, f"unseen-{payer.account}", RECORDINGS[name][2])


def test_reasoning_of_openais_models_is_paid_by_a_client_that_leaves(stage, payer):
    """The stream does not show it, and the usage comes at the end."""
    price(stage, payer, "o9-mini", "--provider", "openai", "--input", "1", "--output", "4")
    answer = leave(stage, payer, "openai-chat", lambda text: {"model": "o9-mini"}, "reasons")
    stage.go()
    use = stage.wait_settled(payer)[answer.hold]
    assert use["settlement"] == "exact" and use["counts"] == stage.books("reasons")[0]["bill"], use


@pytest.mark.parametrize("name, more, output", [
    ("openai-responses", lambda text: {"previous_response_id": "resp_1"}, False), ("openai-chat", lambda text: {"prediction": {"type": "content", "content": "x"}}, True),
    ("anthropic", lambda text: {"thinking": {"type": "enabled"}}, True),
    ("anthropic", lambda text: {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "file", "file_id": "f"}},
                                                                          {"type": "text", "text": text}]}]}, False),
])
def test_no_more_streams_may_be_read_on(stage, payer, name, more, output):
    """A client that has used up the places of drained streams pays what was reserved; or what is known of both sides."""
    stage.end("meter")
    stage.start_meter(drain_max="0")
    try:
        body = body_of(name, {"id": "no-place", "wait_at": 3})
        body.update(more(text_of(name, body)))
        answer = stage.call("POST", "/close" + address_of(name), payer.key, body)
        assert answer.event()
        answer.close()
        use = stage.wait_settled(payer, 1)[answer.hold]
        billed = cost(RECORDINGS[name][2], RECORDINGS[name][3])
        assert use["cost"] == use["reserved"] or (name == "anthropic" and not output and use["counts"][0] == RECORDINGS[name][3][0]), (use, billed)
        whole = stage.send("POST", "/close" + address_of("openai-chat"), payer.key, body_of("openai-chat", {"id": f"hangs-{payer.account}", "hang": True}, stream=False))
        wait_until(lambda: stage.books(f"hangs-{payer.account}"), 10, "a request at the provider")
        whole.close()
        used = stage.wait_settled(payer, 2)
        [other] = [use for hold, use in used.items() if hold != answer.hold]
        assert other["cost"] == other["reserved"], other
    finally:
        stage.end("meter")
        stage.start_meter(drain_max="100")


# ---- tiers, images, speech ------------------------------------------------------------------------------


def test_tier_as_served_is_paid(stage, payer):
    """Asked for, it is reserved; served without being asked for, it is paid all the same."""
    price(stage, payer, "tiered", "--provider", "openai", "--input", "1", "--output", "4", "--line", "inputTokens@priority=0.00001",
          "--line", "outputTokens@priority=0.00004", "--line", "cacheReadTokens@priority=0.000005")
    took = {}
    for asks, served in ((None, "default"), ("priority", "priority"), (None, "priority"), ("flex", "priority"), ("priority", "default")):
        answer = stage.ask("openai-chat", payer.key, {"id": "tier", "tier": served}, model="tiered", **({"service_tier": asks} if asks else {}))
        assert answer.status == 200
        answer.whole()
        took[asks, served] = (stage.wait_settled(payer)[answer.hold]["cost"], reserved(answer))
    assert took["priority", "priority"][0] == took[None, "priority"][0] == took["flex", "priority"][0] > 5 * took[None, "default"][0]
    assert took["priority", "default"][0] == took[None, "default"][0] and took["priority", "priority"][1] > 5 * took[None, "default"][1]


def test_faster_answers_and_regions_are_reserved_at_their_price(stage, payer):
    stage.o.ctl("price", "set", "claude-fast", "--provider", "anthropic", "--input", "1", "--output", "4", "--line", "outputTokens:speed=fast=0.00004",
                "--line", "inputTokens:speed=fast=0.00001", "--line", "outputTokens:region=us=0.000008", "--line", "inputTokens:region=us=0.000002")

    def reserves(**more):
        answer = stage.ask("anthropic", payer.key, {}, model="claude-fast", **more)
        answer.whole()
        return reserved(answer) if answer.status == 200 else 0
    plain = wait_until(reserves, 10, "the price", every=0.1)
    assert abs(reserves(speed="standard") - plain) < plain // 20  # its name is a little longer
    assert reserves(speed="fast") > 9 * plain and reserves(inference_geo="us") > plain * 3 // 2
    assert reserves(inference_geo="us", speed="fast") > 9 * plain
    stage.wait_settled(payer)
    before = asked(stage)
    for more in ({"speed": "Fast"}, {"speed": 1}, {"inference_geo": ["us"]}, {"inference_geo": "us/speed=slow"}):
        assert stage.ask("anthropic", payer.key, {}, model="claude-fast", **more).status == 400, more
    assert asked(stage) == before


def images(stage, payer, **more):
    return stage.call("POST", "/openai/v1/images/generations", payer.key, {"model": "painter", "prompt": "a gate", **more})


def dollars(text, count=1):
    return guard.ceiling(fractions.Fraction(text) * count * 10**6 * guard.MARGIN / guard.RATE)


def test_larger_and_better_images_have_their_price(stage, payer):
    price(stage, payer, "painter", "--provider", "openai", "--line", "images=0.04", "--line", "images:1792x1024=0.08", "--line",
          "images:1024x1024/hd=0.08", "--line", "images:1792x1024/hd=0.12")
    spent = stage.spent(payer)
    for more, each in (({}, "0.04"), ({"size": "1792x1024"}, "0.08"), ({"quality": "hd"}, "0.08"), ({"size": "1792x1024", "quality": "hd", "n": 3}, "0.12"),
                       ({"size": "auto", "quality": "auto"}, "0.04"), ({"size": "1x1"}, "0.04")):
        answer = images(stage, payer, **more)
        assert answer.status == 200, answer.whole()
        answer.whole()
        stage.wait_settled(payer)
        paid, spent = stage.spent(payer) - spent, stage.spent(payer)
        assert paid == dollars(each, more.get("n", 1)), (more, paid)
        assert reserved(answer) >= paid
    before = asked(stage)
    for more in ({"size": ""}, {"size": 'x"'}, {"quality": "h d"}, {"size": 1024}, {"size": "x" * 40}):
        assert images(stage, payer, **more).status == 400, more
    assert asked(stage) == before and stage.spent(payer) == spent


def test_speech_of_a_model_that_is_priced_by_tokens_is_not_free(stage, payer):
    answer = stage.call("POST", "/openai/v1/audio/speech", payer.key, {"model": "gpt-4o", "input": "é" * 1000, "voice": "alloy"})
    if answer.status == 200:
        answer.whole()
        assert stage.wait_settled(payer, 1)[answer.hold]["cost"] > 0
    else:
        refused(stage, payer, answer, asked(stage), 400, 422)


# ---- again ----------------------------------------------------------------------------------------------


def test_idempotency_key_with_another_body_or_by_another_key(stage):
    payer = stage.payer()
    made = json.loads(stage.o.ctl("key", "create", "--scope", "meter", "--account", payer.account, "--member", "ann", "--json").stdout)
    headers = [("Idempotency-Key", "one-key")]
    first = stage.ask("openai-chat", payer.key, {"id": "key-1"}, headers=headers)
    assert first.status == 200
    first.whole()
    stage.wait_settled(payer, 1)
    for key, more in ((payer.key, {"max_tokens": 199}), (payer.key, {"model": "gpt-3.5-turbo"}), (made["key"], {}), (payer.key, {})):
        answer = stage.ask("openai-chat", key, {"id": "key-2"}, headers=headers, **more)
        assert answer.status in (409, 422), (answer.status, answer.whole())
    assert not stage.books("key-2")
    paid_as_billed(stage, payer, first, "key-1")


def test_idempotency_key_while_octroi_is_away_pays_once_and_asks_once(stage, payer):
    """The settlement of the first request is still on its way when octroi is back: the hold is no second request's."""
    headers = [("Idempotency-Key", "while-away")]
    first = stage.ask("openai-chat", payer.key, {"id": "away-1", "wait_at": 3}, headers=headers)
    assert first.event()
    stage.wait_waiting()
    stage.o.kill("octroi")
    stage.go()
    first.whole()
    back = threading.Event()

    def again():
        found = []
        while not back.is_set():
            # As long as the first one, so that octroi takes it for the same request.
            found.append(stage.ask("openai-chat", payer.key, {"id": "away-2", "wait_at": 9}, headers=headers).status)
        return found

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        tries = [pool.submit(again) for _ in range(8)]
        stage.o.start()
        stage.wait_settled(payer, 1)
        back.set()
        statuses = {status for one in tries for status in one.result()}
    assert statuses <= {409, 503} and not stage.books("away-2"), statuses
    paid_as_billed(stage, payer, first, "away-1")

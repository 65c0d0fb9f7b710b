#!/usr/bin/python3
"""An OpenAI and an Anthropic, for tests: keys, models, a tiny completion, and every way to refuse.

    with FakeProvider() as provider:
        with Octroi("nginx", settings=provider.settings()) as o:
            provider.trouble("openai_hard_limit")      # from now on; provider.well() ends it
            o.ctl("probe", "openai", check=False)

A trouble is a row of TROUBLES: (path or None for all, status, headers, body).  Three have a nature of their own:
"hang" (no answer), "drop" (the connection is closed), "trickle" (a byte a second).  Every request is kept in
provider.requests.  ChattyProvider answers whole conversations of OpenAI, Anthropic and Gemini.  As a program: fake_provider.py [--port N] [--trouble NAME] serves until it is stopped.
"""

import argparse
import http.server
import json
import socket
import threading
import time

OPENAI_KEY = "sk-proj-canary" + "A1b2C3d4" * 4
ANTHROPIC_KEY = "sk-ant-api03-canary" + "Z9y8X7w6" * 4
OPENAI_MODELS = {"gpt-4o", "gpt-4o-mini", "gpt-3.5-turbo"}
NEWER_MODELS = {"gpt-5-nano"}  # of OpenAI's: these take max_completion_tokens only
ANTHROPIC_MODELS = {"claude-haiku-4-5"}
COMPLETION, MODELS = "/v1/chat/completions", "/v1/models"
MESSAGES, COUNT = "/v1/messages", "/v1/messages/count_tokens"


def openai(message, type, code, param=None):
    return {"error": {"message": message, "type": type, "param": param, "code": code}}


def anthropic(type, message):
    return {"type": "error", "error": {"type": type, "message": message}, "request_id": "req_fake"}


QUOTA = "You exceeded your current quota, please check your plan and billing details."
LOW = ("Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or "
       "purchase credits.")
HTML = "<!DOCTYPE html><html><body>Sorry</body></html>"

# name: (path, status, headers, body)
TROUBLES = {
    "openai_quota": (COMPLETION, 429, {}, openai(QUOTA, "insufficient_quota", "insufficient_quota")),
    "openai_quota_of_the_seed": (COMPLETION, 429, {}, {"error": {"message": QUOTA, "type": "insufficient_quota"}}),
    "openai_credit_exhausted": (COMPLETION, 429, {}, openai(QUOTA, "insufficient_quota", "credit_balance_exhausted")),
    "openai_project_limit": (COMPLETION, 429, {}, openai(QUOTA, "insufficient_quota", "project_spend_limit_exceeded")),
    "openai_hard_limit": (COMPLETION, 400, {}, openai("Billing hard limit has been reached", "invalid_request_error",
                                                     "billing_hard_limit_reached")),
    "openai_hard_limit_of_the_seed": (COMPLETION, 429, {},
                                      {"error": {"message": QUOTA, "code": "billing_hard_limit_reached"}}),
    "openai_rate": (COMPLETION, 429, {"Retry-After": "1"}, openai("Rate limit reached", "requests", "rate_limit_exceeded")),
    "openai_overloaded": (None, 503, {}, openai("The server is overloaded", "server_error", "server_is_overloaded")),
    "openai_forbidden": (None, 403, {}, openai("Country not supported", "request_forbidden",
                                              "unsupported_country_region_territory")),
    "openai_may_not_list": (MODELS, 403, {}, openai("You have insufficient permissions for this operation.",
                                                   "invalid_request_error", None)),
    "anthropic_low": (COUNT, 400, {}, anthropic("invalid_request_error", LOW)),
    "anthropic_low_late": (MESSAGES, 400, {}, anthropic("invalid_request_error", LOW)),
    "anthropic_billing": (MESSAGES, 402, {}, anthropic("billing_error", "Payment is due.")),
    "anthropic_own_limit": (MESSAGES, 400, {}, anthropic(
        "invalid_request_error", "You have reached your specified API usage limits. You will regain access on 2026-12-01.")),
    "anthropic_monthly_cap": (MESSAGES, 429, {}, anthropic("rate_limit_error", "Monthly limit.")),
    "anthropic_rate": (MESSAGES, 429, {"Retry-After": "12"}, anthropic("rate_limit_error", "Too fast.")),
    "anthropic_overloaded": (MESSAGES, 529, {}, anthropic("overloaded_error", "Overloaded")),
    "anthropic_forbidden": (None, 403, {}, anthropic("permission_error", "No.")),
    "html": (None, 200, {"Content-Type": "text/html"}, HTML),
    "html_429": (None, 429, {"Content-Type": "text/html"}, HTML),
    "bad_gateway": (None, 502, {"Content-Type": "text/html"}, HTML),
    "empty": (None, 200, {}, ""),
    "malformed": (None, 200, {}, '{"choices": [{"index": 0'),
    "redirect": (None, 302, {"Location": "/elsewhere"}, ""),
    "huge": (None, 200, {}, '{"data": ["' + "x" * (3 << 20) + '"]}'),
    "hang": (None, None, {}, None),
    "drop": (None, None, {}, None),
    "trickle": (None, None, {}, None),
}


class FakeProvider:
    """url, requests (method, path, headers, body as JSON); keys are those above unless given."""

    def __init__(self, port=0):
        self.requests, self._trouble, self._stopping = [], None, threading.Event()
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.provider = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self):
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()

    def settings(self):
        return {"openai_api_key": OPENAI_KEY, "anthropic_api_key": ANTHROPIC_KEY, "openai_api_base": self.url,
                "anthropic_api_base": self.url}

    def trouble(self, name):
        self._trouble = name

    def well(self):
        self._trouble = None

    def paths(self):
        return [path for _, path, _, _ in self.requests]

    def answer(self, method, path, headers, body):
        """(status, headers, body) as a provider that is well answers."""
        openai_key = headers.get("Authorization", "").removeprefix("Bearer ")
        if path in (MODELS, COMPLETION):
            if openai_key != OPENAI_KEY:
                # As the real one does, it tells the key back.
                return 401, openai(f"Incorrect API key provided: {openai_key}.", "invalid_request_error", "invalid_api_key")
            if path == MODELS:
                return (200 if method == "GET" else 405), {"object": "list", "data": [
                    {"id": name, "object": "model"} for name in sorted(OPENAI_MODELS | NEWER_MODELS)]}
            return self._complete(body)
        if path in (COUNT, MESSAGES):
            if headers.get("x-api-key") != ANTHROPIC_KEY:
                return 401, anthropic("authentication_error", f"invalid x-api-key {headers.get('x-api-key')}")
            if headers.get("anthropic-version") != "2023-06-01":
                return 400, anthropic("invalid_request_error", "anthropic-version: header is required")
            return self._message(path, body)
        return 404, {"error": {"message": "Invalid URL", "type": "invalid_request_error", "param": None, "code": None}}

    def _complete(self, body):
        model = body.get("model")
        if model not in OPENAI_MODELS | NEWER_MODELS:
            return 404, openai(f"The model `{model}` does not exist", "invalid_request_error", "model_not_found")
        if model in NEWER_MODELS and "max_tokens" in body:
            return 400, openai("Unsupported parameter: 'max_tokens' is not supported with this model. Use "
                               "'max_completion_tokens' instead.", "invalid_request_error", "unsupported_parameter", "max_tokens")
        limit = body.get("max_completion_tokens" if model in NEWER_MODELS else "max_tokens")
        if not _is_chat(body) or limit != 5:
            return 400, openai("What is this?", "invalid_request_error", None)
        return 200, {"id": "chatcmpl-1", "object": "chat.completion", "model": model, "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "length", "logprobs": None}],
            "usage": {"prompt_tokens": 8, "completion_tokens": 5, "total_tokens": 13}}

    def _message(self, path, body):
        allowed = {"model", "messages"} | ({"max_tokens"} if path == MESSAGES else set())
        if body.get("model") not in ANTHROPIC_MODELS:
            return 404, anthropic("not_found_error", f"model: {body.get('model')}")
        if set(body) != allowed or not _is_chat(body):
            return 400, anthropic("invalid_request_error", "extra inputs are not permitted")
        if path == COUNT:
            return 200, {"input_tokens": 8}
        return 200, {"id": "msg_1", "type": "message", "role": "assistant", "content": [{"type": "text", "text": "Hi"}],
                     "model": body["model"], "stop_reason": "max_tokens", "usage": {"input_tokens": 8, "output_tokens": 5}}


INPUT, OUTPUT = 11, 7  # tokens of each answer of a ChattyProvider


class ChattyProvider(FakeProvider):
    """Answers, streams and calls of tools, as the official packages of OpenAI, Anthropic and Google expect them.  Keys are not
    looked at.  provider.failures: statuses of the next answers; provider.words: parts of a streamed answer."""

    def __init__(self, port=0):
        super().__init__(port)
        self.failures, self.words = [], 3

    def answer(self, method, path, headers, body):
        if self.failures and method == "POST":
            return self.failures.pop(0), openai("refused by the test", "server_error", None)
        path = path.partition("?")[0]
        handlers = {COMPLETION: self._chat, "/v1/responses": self._respond, MESSAGES: self._message_whole, "/v1/embeddings": self._embed}
        if path in handlers:
            return 200, handlers[path](body)
        if path == MODELS:
            return 200, {"object": "list", "data": [{"id": "gpt-4o", "object": "model"}]}
        if path == COUNT:
            return 200, {"input_tokens": INPUT}
        if path.endswith(":generateContent"):
            return 200, self._gemini(body, "Hi")
        if path.endswith(":streamGenerateContent"):
            return 200, _events([(None, self._gemini(body, "Hi")) for _ in range(self.words)])
        return super().answer(method, path, headers, body)

    def _embed(self, body):
        return {"object": "list", "model": body["model"], "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
                "usage": {"prompt_tokens": INPUT, "total_tokens": INPUT}}

    def _chat(self, body):
        usage = {"prompt_tokens": INPUT, "completion_tokens": OUTPUT, "total_tokens": INPUT + OUTPUT}
        message, reason = {"role": "assistant", "content": "Hi"}, "stop"
        if body.get("tools") and body["messages"][-1]["role"] != "tool":
            call = {"id": "call_1", "type": "function", "function": {"name": "six_times", "arguments": '{"n":7}'}}
            message, reason = {"role": "assistant", "content": None, "tool_calls": [call]}, "tool_calls"
        head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": body["model"]}
        if not body.get("stream"):
            choice = {"index": 0, "message": message, "finish_reason": reason, "logprobs": None}
            return {**head, "choices": [choice], "usage": usage}
        head["object"] = "chat.completion.chunk"
        chunks = [{**head, "choices": [{"index": 0, "delta": {"role": "assistant", "content": "Hi"}, "finish_reason": None}]}
                  for _ in range(self.words)]
        chunks.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
        if (body.get("stream_options") or {}).get("include_usage"):
            chunks = [{**chunk, "usage": None} for chunk in chunks] + [{**head, "choices": [], "usage": usage}]
        return _events([(None, chunk) for chunk in chunks]) + "data: [DONE]\n\n"

    def _respond(self, body):
        text = {"type": "output_text", "text": "Hi", "annotations": []}
        whole = {"id": "resp_1", "object": "response", "created_at": 1, "model": body["model"], "status": "completed", "output": [
            {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [text]}],
            "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "usage": {
                "input_tokens": INPUT, "output_tokens": OUTPUT, "total_tokens": INPUT + OUTPUT,
                "input_tokens_details": {"cached_tokens": 0}, "output_tokens_details": {"reasoning_tokens": 0}}}
        if not body.get("stream"):
            return whole
        begun = {**whole, "status": "in_progress", "output": [], "usage": None}
        delta = {"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "content_index": 0, "delta": "Hi",
                 "logprobs": []}
        said = [{"type": "response.created", "response": begun}, *[delta] * self.words,
                {"type": "response.completed", "response": whole}]
        return _events([(event["type"], {**event, "sequence_number": i}) for i, event in enumerate(said)])

    def _message_whole(self, body):
        content, reason = [{"type": "text", "text": "Hi"}], "end_turn"
        if body.get("tools") and not isinstance(body["messages"][-1]["content"], list):
            content, reason = [{"type": "tool_use", "id": "toolu_1", "name": "six_times", "input": {"n": 7}}], "tool_use"
        whole = {"id": "msg_1", "type": "message", "role": "assistant", "model": body["model"], "content": content,
                 "stop_reason": reason, "stop_sequence": None, "usage": {"input_tokens": INPUT, "output_tokens": OUTPUT}}
        if not body.get("stream"):
            return whole
        begun = {**whole, "content": [], "stop_reason": None, "usage": {"input_tokens": INPUT, "output_tokens": 1}}
        delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}}
        said = [{"type": "message_start", "message": begun},
                {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}, *[delta] * self.words,
                {"type": "content_block_stop", "index": 0},
                {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": {"output_tokens": OUTPUT}},
                {"type": "message_stop"}]
        return _events([(event["type"], event) for event in said])

    def _gemini(self, body, text):
        return {"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": "STOP", "index": 0}],
                "usageMetadata": {"promptTokenCount": INPUT, "candidatesTokenCount": OUTPUT, "totalTokenCount": INPUT + OUTPUT},
                "modelVersion": "gemini-2.5-flash"}


def _events(said):
    return "".join((f"event: {name}\n" if name else "") + f"data: {json.dumps(event)}\n\n" for name, event in said)


def _is_chat(body):
    messages = body.get("messages")
    return isinstance(messages, list) and len(messages) == 1 and set(messages[0]) == {"role", "content"}


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request, client_address):
        pass  # a probe that had no more patience


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def _serve(self):
        provider = self.server.provider
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = json.loads(raw) if raw else None
        provider.requests.append((self.command, self.path, dict(self.headers), body))
        trouble = provider._trouble
        if trouble in ("hang", "drop", "trickle"):
            return self._misbehave(trouble)
        path, status, headers, said = TROUBLES.get(trouble, ("", 0, {}, ""))
        if path not in (None, self.path):
            status, said = provider.answer(self.command, self.path, self.headers, body)
            headers = {"Content-Type": "text/event-stream"} if isinstance(said, str) else {}
        self._say(status, headers, said if isinstance(said, str) else json.dumps(said))

    def _say(self, status, headers, text):
        if headers.get("Content-Type") == "text/event-stream":
            return self._stream(text)
        body = text.encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, text):
        """Event by event, so that a client can go away before the last one."""
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for event in text.split("\n\n")[:-1]:
            self.wfile.write(event.encode() + b"\n\n")
            self.server.provider._stopping.wait(0.03)

    def _misbehave(self, how):
        stopping = self.server.provider._stopping
        if how == "hang":
            stopping.wait(60)
        if how == "trickle":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            while not stopping.wait(0.5):
                self.wfile.write(b" ")
                self.wfile.flush()
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    do_GET = do_POST = _serve


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--port", type=int, default=8089)
    parser.add_argument("--trouble", choices=sorted(TROUBLES))
    arguments = parser.parse_args()
    with FakeProvider(arguments.port) as provider:
        provider.trouble(arguments.trouble)
        print(provider.url, "keys:", OPENAI_KEY, ANTHROPIC_KEY, flush=True)
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    main()

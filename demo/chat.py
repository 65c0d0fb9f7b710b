#!/usr/bin/python3
"""A Python application that asks octroi before each request to a language model and settles after it.

    demo/chat.py PORT        serves on 127.0.0.1:PORT, behind the web server

    POST /demo/chat-py   {"prompt":"…","stream":false,"requestId":"…"}
    GET  /demo/app/      a page with the same chat, of DEMO_VISITOR and with DEMO_MODEL

Nothing but the standard library.  Where octroi is and with which key comes from the environment:
OCTROI_INTERNAL_URL, OCTROI_GUARD_KEY, PROVIDER_URL, PROVIDER_KEY, DEMO_ACCOUNT; for the page OCTROI_APP_KEY, DEMO_APP
(the directory of its files), DEMO_VISITOR, DEMO_MODEL.
"""

import http.client
import http.server
import json
import os
import pathlib
import sys
import time
import urllib.error
import urllib.request
import uuid

MODEL = "gpt-4o"
MAX_OUTPUT_TOKENS = 200
APP_OUTPUT_TOKENS = 60
SETTLE_TRIES = 4
PAGE = {"/demo/app/": ("index.html", "text/html"), "/demo/app/app.js": ("app.js", "text/javascript"),
        "/demo/app/app.css": ("app.css", "text/css")}
POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; "
          "form-action 'self'; frame-ancestors 'none'")


class Refused(Exception):
    """The provider has refused the request, or was not reached: it bills nothing."""


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """A key goes to nobody else."""

    def redirect_request(self, *arguments):
        return None


OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), NoRedirect)


def post(url, key, document):
    """Posts JSON; (status, response) where response can be read as a file."""
    request = urllib.request.Request(url, json.dumps(document).encode(), {
        "Content-Type": "application/json", "Authorization": "Bearer " + key})
    try:
        response = OPENER.open(request, timeout=30)
        return response.status, response
    except urllib.error.HTTPError as e:
        return e.code, e


def octroi(path, document, key="OCTROI_GUARD_KEY"):
    """Calls octroi; (status, answer).  Without an answer nothing may be spent: 503."""
    try:
        status, response = post(os.environ["OCTROI_INTERNAL_URL"] + path, os.environ[key], document)
        with response:
            answer = json.load(response)
        if isinstance(answer, dict):
            return status, answer
    except (OSError, ValueError, http.client.HTTPException):
        pass
    return 503, {"error": "UNAVAILABLE"}


def settle(settlement):
    """A settlement has one effect however often it is sent; it is repeated until octroi has taken or refused it."""
    for attempt in range(SETTLE_TRIES):
        time.sleep(attempt)
        status, answer = octroi("/api/guard/settle", settlement)
        if 200 <= status < 500:
            return status, answer
    print("not settled:", json.dumps(settlement), file=sys.stderr, flush=True)  # to be sent again by a person
    return status, answer


def completion(prompt, most, stream, say, model):
    """Asks the provider; say(text) gets the answer as it comes.  The usage object, None if none came."""
    document = {"model": model, "messages": [{"role": "user", "content": prompt}], "max_tokens": most}
    if stream:
        document.update(stream=True, stream_options={"include_usage": True})
    try:
        status, response = post(os.environ["PROVIDER_URL"] + "/v1/chat/completions", os.environ["PROVIDER_KEY"], document)
    except OSError as e:
        raise Refused(str(e)) from e
    with response:
        if status != 200:
            raise Refused(f"the provider answered {status}")
        if not stream:
            answer = json.load(response)
            say(answer["choices"][0]["message"]["content"])
            return answer["usage"]
        usage = None
        for line in response:
            if not line.startswith(b"data: {"):
                continue
            chunk = json.loads(line[6:])
            usage = chunk.get("usage") or usage
            for choice in chunk["choices"]:
                say(choice["delta"].get("content", ""))
        return usage


def guarded_chat(prompt, request_id, stream, say, account=None, model=MODEL, most=MAX_OUTPUT_TOKENS):
    """One request, paid for.  (status, what the guard said).  A page that repeats it sends the same request_id."""
    status, hold = octroi("/api/guard/authorize", {
        "account": account or os.environ["DEMO_ACCOUNT"], "requestId": request_id, "model": model,
        "inputBytes": len(prompt.encode()), "maxOutputTokens": most})
    # Only a new hold is a permission.
    if status != 200 or not {"hold", "maxOutputTokens"} <= hold.keys():
        return status if status != 200 else 503, hold
    if hold.get("replayed"):
        # Asked before.  The hold is for that one answer, also while it is open: another would be free.
        return 409, {"error": "CONFLICT", "hold": hold["hold"], "holdState": hold["holdState"]}
    settlement = {"hold": hold["hold"], "outcome": "partial"}
    try:
        usage = completion(prompt, hold["maxOutputTokens"], stream, say, model)
        settlement.update({"usage": usage, "outcome": "complete"} if usage else {})
    except Refused as e:
        print(f"provider: {e!r}", file=sys.stderr, flush=True)
        settlement["outcome"] = "failed"
    except Exception as e:  # half an answer was used, too
        print(f"provider: {e!r}", file=sys.stderr, flush=True)
    status, settled = settle(settlement)
    if status == 400 and "usage" in settlement:
        # An object that contradicts itself: what was reserved is charged.
        print(f"usage: {settled.get('field')}", file=sys.stderr, flush=True)
        status, settled = settle({"hold": hold["hold"], "outcome": "partial"})
    if status == 200 and settlement["outcome"] == "failed":
        status, settled = 502, {"error": "PROVIDER_FAILED"}
    return status, {"hold": hold["hold"], "reservedMicros": hold["reservedMicros"], **settled}


class Page(http.server.BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def do_GET(self):
        if self.path.split("?")[0] not in PAGE:
            self.reply(405, {"error": "METHOD_NOT_ALLOWED"})
            return
        name, kind = PAGE[self.path.split("?")[0]]
        body = (pathlib.Path(os.environ["DEMO_APP"]) / name).read_bytes()
        self.send_response(200)
        for header, value in (("Content-Type", kind + "; charset=utf-8"), ("Content-Length", str(len(body))),
                              ("Content-Security-Policy", POLICY), ("X-Content-Type-Options", "nosniff"),
                              ("Referrer-Policy", "no-referrer"), ("Cache-Control", "no-cache")):
            self.send_header(header, value)
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        if self.path == "/demo/app/token":
            # Everybody who opens the page is the same customer.  An application asks for the one who is signed in.
            self.reply(*octroi("/api/tokens", {"account": os.environ["DEMO_VISITOR"]}, "OCTROI_APP_KEY"))
            return
        try:
            asked = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            prompt, stream = asked["prompt"], asked.get("stream") is True
            request_id = asked.get("requestId", str(uuid.uuid4()))
            if not isinstance(prompt, str) or not isinstance(request_id, str):
                raise TypeError("prompt")
        except (ValueError, KeyError, TypeError, AttributeError):
            self.reply(400, {"error": "INVALID_REQUEST"})
            return
        words = []
        if self.path == "/demo/app/chat":
            status, guard = guarded_chat(prompt, request_id, False, words.append, os.environ["DEMO_VISITOR"],
                                         os.environ["DEMO_MODEL"], APP_OUTPUT_TOKENS)
            self.reply(status, {"reply": "".join(words), "guard": guard})
            return
        if not stream:
            status, guard = guarded_chat(prompt, request_id, False, words.append)
            self.reply(status, {"reply": "".join(words), "guard": guard})
            return
        # Streamed: the refusal comes before the first word, the figures after the last.
        status, guard = guarded_chat(prompt, request_id, True, lambda word: self.stream_word(words, word))
        if not words:
            self.reply(status, {"reply": "", "guard": guard})
            return
        self.wfile.write(b"event: guard\ndata: " + json.dumps({"status": status, **guard}).encode() + b"\n\n")

    def stream_word(self, words, word):
        if not words:
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
        words.append(word)
        try:
            self.wfile.write(b"data: " + json.dumps(word).encode() + b"\n\n")
            self.wfile.flush()
        except ConnectionError:
            pass  # the browser went away: the provider's answer is read to its end and paid for

    def reply(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Page).serve_forever()

#!/usr/bin/python3
"""A Python application that asks octroi before each request to a language model and settles after it.

    demo/chat.py PORT        serves on 127.0.0.1:PORT, behind the web server

    POST /demo/chat-py   {"prompt":"…","stream":false}

Nothing but the standard library.  Where octroi is and with which key comes from the environment:
OCTROI_INTERNAL_URL, OCTROI_GUARD_KEY, PROVIDER_URL, PROVIDER_KEY, DEMO_ACCOUNT.
"""

import http.server
import json
import os
import sys
import urllib.error
import urllib.request
import uuid

MODEL = "gpt-4o"
MAX_OUTPUT_TOKENS = 200


def post(url, key, document):
    """Posts JSON; (status, response) where response can be read as a file."""
    request = urllib.request.Request(url, json.dumps(document).encode(), {
        "Content-Type": "application/json", "Authorization": "Bearer " + key})
    try:
        response = urllib.request.urlopen(request, timeout=30)
        return response.status, response
    except urllib.error.HTTPError as e:
        return e.code, e


def octroi(path, document):
    """Calls octroi; (status, answer).  When it cannot be reached nothing may be spent: 503."""
    try:
        status, response = post(os.environ["OCTROI_INTERNAL_URL"] + path, os.environ["OCTROI_GUARD_KEY"], document)
        with response:
            return status, json.load(response)
    except (OSError, ValueError):
        return 503, {"error": "UNAVAILABLE"}


def completion(prompt, most, stream, say):
    """Asks the provider; say(text) gets the answer as it comes.  The usage object, None if none came."""
    document = {"model": MODEL, "messages": [{"role": "user", "content": prompt}], "max_tokens": most}
    if stream:
        document.update(stream=True, stream_options={"include_usage": True})
    status, response = post(os.environ["PROVIDER_URL"] + "/v1/chat/completions", os.environ["PROVIDER_KEY"], document)
    with response:
        if status != 200:
            raise OSError(f"the provider answered {status}")
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


def guarded_chat(prompt, stream, say):
    """One request, paid for.  (status, what the guard said)."""
    status, hold = octroi("/api/guard/authorize", {
        "account": os.environ["DEMO_ACCOUNT"], "requestId": str(uuid.uuid4()), "model": MODEL,
        "inputBytes": len(prompt.encode()), "maxOutputTokens": MAX_OUTPUT_TOKENS})
    if status != 200:
        return status, hold
    settle = {"hold": hold["hold"], "outcome": "complete"}
    try:
        usage = completion(prompt, hold["maxOutputTokens"], stream, say)
        settle.update({"usage": usage} if usage else {"outcome": "partial"})
    except (OSError, ValueError, KeyError) as e:
        print(f"provider: {e!r}", file=sys.stderr, flush=True)
        settle["outcome"] = "failed"
    status, settled = octroi("/api/guard/settle", settle)
    if status == 200 and settle["outcome"] == "failed":
        status, settled = 502, {"error": "PROVIDER_FAILED"}
    return status, {"hold": hold["hold"], "reservedMicros": hold["reservedMicros"], **settled}


class Page(http.server.BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def do_GET(self):
        self.reply(405, {"error": "METHOD_NOT_ALLOWED"})

    def do_POST(self):
        try:
            asked = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            prompt, stream = asked["prompt"], asked.get("stream") is True
            if not isinstance(prompt, str):
                raise TypeError("prompt")
        except (ValueError, KeyError, TypeError, AttributeError):
            self.reply(400, {"error": "INVALID_REQUEST"})
            return
        words = []
        if not stream:
            status, guard = guarded_chat(prompt, False, words.append)
            self.reply(status, {"reply": "".join(words), "guard": guard})
            return
        # Streamed: the refusal comes before the first word, the figures after the last.
        status, guard = guarded_chat(prompt, True, lambda word: self.stream_word(words, word))
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

#!/usr/bin/python3
"""A provider of language models that costs nothing: the shapes of OpenAI and Anthropic, no model.

    demo/mock_provider.py PORT        serves on 127.0.0.1:PORT (0: any, printed)

    POST /v1/chat/completions   OpenAI chat, streamed when the request says so
    POST /v1/responses          OpenAI responses, streamed when the request says so
    POST /v1/messages           Anthropic messages, streamed when the request says so
    GET  /healthz

Answers are made of the prompt, so the same request always uses the same number of tokens: a token
is four bytes or a part of them, in the prompt and in the answer, cut at the maximum asked for.
"""

import http.server
import json
import sys


def tokens_of(text):
    return (len(text.encode()) + 3) // 4


def text_of(content):
    """Text of a message's content, a string or a list of parts."""
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content or [] if isinstance(part, dict))


def answer_to(messages, most):
    """(answer in pieces, tokens in, tokens out, cut) for a list of messages and a token maximum."""
    prompt = "\n".join(text_of(message.get("content")) for message in messages)
    answer = "This is what a model would say to: " + prompt
    cut = most is not None and tokens_of(answer) > most
    if cut:
        answer = answer.encode()[: most * 4].decode(errors="ignore")
    words = [word + " " for word in answer.split(" ")]
    words[-1] = words[-1][:-1]
    return words, tokens_of(prompt), tokens_of(answer), cut


class Refusal(Exception):
    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


class Provider(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        if self.path == "/healthz":
            self.send(200, {"status": "ok"})
        else:
            self.send(404, {"error": {"message": "no such page", "type": "invalid_request_error",
                                      "param": None, "code": None}})

    def do_POST(self):
        serve = {"/v1/chat/completions": self.chat, "/v1/responses": self.respond,
                 "/v1/messages": self.messages}.get(self.path)
        anthropic = self.path == "/v1/messages"
        try:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if serve is None:
                raise Refusal(404, "no such page")
            if not (self.headers.get("x-api-key") if anthropic else self.headers.get("Authorization")):
                raise Refusal(401, "no key was given")
            try:
                request = json.loads(body)
                serve(request, request["model"])
            except (ValueError, KeyError, TypeError, AttributeError) as e:
                raise Refusal(400, f"the request cannot be read: {e!r}") from e
        except Refusal as refusal:
            kind = {401: "authentication_error"}.get(refusal.status, "invalid_request_error")
            if anthropic:
                self.send(refusal.status, {"type": "error", "error": {"type": kind, "message": str(refusal)}})
            else:
                code = "invalid_api_key" if refusal.status == 401 else None
                self.send(refusal.status, {"error": {"message": str(refusal), "type": "invalid_request_error",
                                                     "param": None, "code": code}})

    # -- OpenAI ---------------------------------------------------------------------------------

    def chat(self, request, model):
        most = request.get("max_completion_tokens", request.get("max_tokens"))
        words, tokens_in, tokens_out, cut = answer_to(request["messages"], most)
        usage = {"prompt_tokens": tokens_in, "completion_tokens": tokens_out,
                 "total_tokens": tokens_in + tokens_out,
                 "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
                 "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0}}
        finish = "length" if cut else "stop"
        head = {"id": "chatcmpl-mock", "created": 0, "model": model}
        if not request.get("stream"):
            message = {"role": "assistant", "content": "".join(words), "refusal": None}
            self.send(200, {**head, "object": "chat.completion", "usage": usage,
                            "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish}]})
            return
        asked = bool((request.get("stream_options") or {}).get("include_usage"))
        head = {**head, "object": "chat.completion.chunk", **({"usage": None} if asked else {})}
        self.begin_stream()
        for word in words:
            self.event(None, {**head, "choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]})
        self.event(None, {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
        if asked:
            self.event(None, {**head, "choices": [], "usage": usage})
        self.event(None, "[DONE]")
        self.end_stream()

    def respond(self, request, model):
        given = request["input"]
        messages = [{"content": given}] if isinstance(given, str) else list(given)
        if request.get("instructions"):
            messages.insert(0, {"content": request["instructions"]})
        words, tokens_in, tokens_out, cut = answer_to(messages, request.get("max_output_tokens"))
        text = "".join(words)
        item = {"id": "msg_mock", "type": "message", "role": "assistant", "status": "completed",
                "content": [{"type": "output_text", "text": text, "annotations": []}]}
        usage = {"input_tokens": tokens_in, "input_tokens_details": {"cached_tokens": 0},
                 "output_tokens": tokens_out, "output_tokens_details": {"reasoning_tokens": 0},
                 "total_tokens": tokens_in + tokens_out}
        done = {"id": "resp_mock", "object": "response", "created_at": 0, "model": model, "output": [item],
                "status": "incomplete" if cut else "completed", "usage": usage}
        if not request.get("stream"):
            self.send(200, done)
            return
        begun = {**done, "status": "in_progress", "output": [], "usage": None}
        self.begin_stream()
        self.event("response.created", {"type": "response.created", "response": begun})
        for word in words:
            self.event("response.output_text.delta",
                       {"type": "response.output_text.delta", "item_id": "msg_mock", "output_index": 0,
                        "content_index": 0, "delta": word})
        last = "response.incomplete" if cut else "response.completed"
        self.event(last, {"type": last, "response": done})
        self.end_stream()

    # -- Anthropic ------------------------------------------------------------------------------

    def messages(self, request, model):
        given = list(request["messages"])
        if request.get("system"):
            given.insert(0, {"content": request["system"]})
        words, tokens_in, tokens_out, cut = answer_to(given, request["max_tokens"])
        stop = "max_tokens" if cut else "end_turn"
        usage = {"input_tokens": tokens_in, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
                 "output_tokens": tokens_out}
        message = {"id": "msg_mock", "type": "message", "role": "assistant", "model": model, "stop_sequence": None}
        if not request.get("stream"):
            self.send(200, {**message, "content": [{"type": "text", "text": "".join(words)}],
                            "stop_reason": stop, "usage": usage})
            return
        self.begin_stream()
        self.event("message_start", {"type": "message_start", "message": {
            **message, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}})
        self.event("content_block_start", {"type": "content_block_start", "index": 0,
                                           "content_block": {"type": "text", "text": ""}})
        for word in words:
            self.event("content_block_delta", {"type": "content_block_delta", "index": 0,
                                               "delta": {"type": "text_delta", "text": word}})
        self.event("content_block_stop", {"type": "content_block_stop", "index": 0})
        # Cumulative: it takes the place of what message_start said.
        self.event("message_delta", {"type": "message_delta", "usage": {"output_tokens": tokens_out},
                                     "delta": {"stop_reason": stop, "stop_sequence": None}})
        self.event("message_stop", {"type": "message_stop"})
        self.end_stream()

    # -- bytes ----------------------------------------------------------------------------------

    def send(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def begin_stream(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def event(self, name, data):
        text = (f"event: {name}\n" if name else "") + "data: "
        text += (data if isinstance(data, str) else json.dumps(data)) + "\n\n"
        chunk = text.encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))

    def end_stream(self):
        self.wfile.write(b"0\r\n\r\n")


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):  # the client went away: its right
            super().handle_error(request, client_address)


def main():
    server = Server(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 0), Provider)
    print(f"listening on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()

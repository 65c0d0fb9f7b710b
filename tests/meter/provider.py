#!/usr/bin/python3
"""Providers of AI that bill: OpenAI, Anthropic, Gemini, Mistral and DeepSeek, as one program that keeps its own books.

    provider.py PORT     serves 127.0.0.1:PORT until it is ended

The last text of a request may be a scene, a JSON object:
    {"id": name in the books, "stream": a recording, "cut": close the connection behind so many bytes of the stream,
     "wait_at": wait behind so many events until POST /_go, "error_at": an error behind so many events,
     "pieces": bytes of each write, "pause_ms": after each event, "crlf", "comments", "gzip", "bare" (no chunked coding),
     "no_usage", "tier": as served, "line_mb": an event of so many megabytes, "status": of a refusal, "fail_first": so many refusals before, "hang", "drop" (no answer)}

GET /_books: a record for each request, with its bill; POST /_forget; POST /_go; GET /_waiting.  A request whose connection is closed
is billed what was made by then, as providers do.
"""

import asyncio
import gzip
import json
import sys

import recorded

BIG = 1 << 20
KEYS = {"authorization": "Bearer sk-canary-of-the-provider", "x-api-key": "sk-canary-of-the-provider",
        "x-goog-api-key": "sk-canary-of-the-provider"}
ERRORS = {
    "anthropic": b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n',
    "openai-responses": b'event: error\ndata: {"type":"error","sequence_number":9,"code":"server_error","message":"Sorry","param":null}\n\n',
    "gemini": b'data: {"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}\r\n\r\n',
}
ERROR = b'data: {"error":{"message":"The server had an error","type":"server_error","param":null,"code":null}}\n\n'


class Books:
    def __init__(self):
        self.records, self.go, self.waiting, self.failed = [], asyncio.Event(), 0, {}

    def fails(self, scene):
        """Whether this is one of the scene's first requests, which fail."""
        count = self.failed[scene.get("id")] = self.failed.get(scene.get("id"), 0) + 1
        return count <= scene.get("fail_first", 0)


def last_text(body):
    """The last text of a request of any of the shapes."""
    if "contents" in body:
        return body["contents"][-1]["parts"][-1].get("text", "")
    if "messages" in body:
        content = body["messages"][-1].get("content")
        return content if isinstance(content, str) else (content or [{}])[-1].get("text", "")
    return next((body[name] for name in ("input", "prompt") if isinstance(body.get(name), str)), "")


def scene_of(body):
    try:
        scene = json.loads(last_text(body))
        return scene if isinstance(scene, dict) else {}
    except ValueError:
        return {}


def stream_name(path, scene):
    if "stream" in scene:
        return scene["stream"]
    return {recorded.CHAT: "openai-chat", recorded.RESPONSES: "openai-responses", recorded.MESSAGES: "anthropic"}.get(path, "gemini")


def has_usage(event):
    inner = (event.json or {}).get("response") or event.json or {}
    return inner.get("usage") or inner.get("usageMetadata")


def without_usage(event):
    if "response" in event:
        return {**event, "response": {**event["response"], "usage": None}}
    return {name: value for name, value in event.items() if name not in ("usage", "usageMetadata")}


def made(name, scene, body):
    """The events of the scene's stream, as bytes."""
    found = []
    for event in recorded.events(recorded.recording(name)):
        asked = (body.get("stream_options") or {}).get("include_usage")
        if event.json is not None and event.json.get("choices") == [] and (scene.get("no_usage") or not asked):
            continue  # OpenAI and DeepSeek say it only where they are asked
        raw = event.raw
        if scene.get("tier"):
            raw = raw.replace(b'"service_tier":"default"', b'"service_tier":"%s"' % scene["tier"].encode())
        if scene.get("no_usage") and has_usage(event):
            raw = raw[:raw.index(b"data:")] + b"data: " + json.dumps(without_usage(event.json)).encode() + b"\n\n"
        found.append(raw)
        if scene.get("comments"):
            found.append(b": OPENROUTER PROCESSING\n\n")
    if scene.get("line_mb"):
        found.insert(len(found) - 2, long_event(name, scene["line_mb"] * BIG))
    if scene.get("crlf"):
        found = [raw.replace(b"\r", b"").replace(b"\n", b"\r\n") for raw in found]
    if "error_at" in scene:
        found = found[:scene["error_at"]] + [ERRORS.get(name, ERROR)]
    return found


def long_event(name, length):
    """An event with a text of that length, like the one with a text that is there."""
    event = next(event for event in recorded.events(recorded.recording(name)) if event.text)
    text = json.dumps(event.text, ensure_ascii=False).encode()
    return event.raw.replace(text, b'"' + b"x" * length + b'"', 1)


def in_a_list(parts):
    """Events as Gemini streams them without alt=sse: the elements of one JSON list."""
    bodies = [json.dumps(json.loads(part.strip()[5:]), indent=2, ensure_ascii=False).encode() for part in parts]
    return [(b"\n,\r\n" if i else b"[") + body for i, body in enumerate(bodies)] + [b"\n]\n"]


class Request:
    """One request and its answer."""

    def __init__(self, books, reader, writer, head, body):
        self.books, self.reader, self.writer = books, reader, writer
        lines = head.decode("latin-1").split("\r\n")
        self.method, target, _ = lines[0].split(" ", 2)
        self.path, _, self.query = target.partition("?")
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)}
        self.body = json.loads(body) if body else {}
        self.scene = scene_of(self.body)
        self.coded = not self.scene.get("bare")
        self.listed = self.path.endswith(":streamGenerateContent") and "alt=sse" not in self.query

    async def write(self, data):
        pieces = self.scene.get("pieces") or BIG
        for at in range(0, len(data), pieces):
            piece = data[at:at + pieces]
            self.writer.write(b"%x\r\n%s\r\n" % (len(piece), piece) if self.coded else piece)
            await self.writer.drain()

    def head(self, status, type, length=None, more=""):
        how = f"Content-Length: {length}" if length is not None else "Transfer-Encoding: chunked" if self.coded else "Connection: close"
        self.writer.write(f"HTTP/1.1 {status} Said\r\nContent-Type: {type}\r\nx-request-id: req_canary\r\n{more}{how}\r\n\r\n".encode())

    def note(self, **more):
        record = {"id": self.scene.get("id"), "path": self.path, "query": self.query, "method": self.method,
                  "headers": self.headers, "body": self.body, "bill": [0, 0, 0, 0], "sent": 0, "ended": False, **more}
        self.books.records.append(record)
        return record

    async def answer(self):
        """False when the connection is to be closed."""
        if self.path.startswith("/_"):
            return self.control()
        keyed = any(self.headers.get(name) == key for name, key in KEYS.items())
        record = self.note(keyed=keyed)
        if self.scene.get("hang"):
            await self.reader.read()
        if self.scene.get("hang") or self.scene.get("drop"):
            record["ended"] = True
            return False
        if self.books.fails(self.scene):
            return self.refuse(record, 503)
        if not keyed or "status" in self.scene:
            return self.refuse(record, self.scene.get("status", 401))
        if self.body.get("stream") or self.path.endswith(":streamGenerateContent"):
            return await self.stream(record)
        return self.whole(record)

    def control(self):
        said = {"/_books": self.books.records, "/_waiting": self.books.waiting, "/_go": True, "/_forget": True}[self.path]
        if self.path == "/_forget":
            self.books.records = []
        if self.path == "/_go":
            self.books.go.set()
            self.books.go = asyncio.Event()
        text = json.dumps(said).encode()
        self.head(200, "application/json", len(text))
        self.writer.write(text)
        return True

    def refuse(self, record, status):
        text = json.dumps({"type": "error", "error": {"message": "refused by the test", "type": "server_error", "code": "canary"}}).encode()
        self.head(status, "application/json", len(text), "retry-after: 7\r\n")
        self.writer.write(text)
        record["ended"] = True
        return True

    def whole(self, record):
        said, bill = answer_of(self.path, self.body)
        text = json.dumps(said).encode()
        more = ""
        if self.scene.get("gzip"):
            text, more = gzip.compress(text), "Content-Encoding: gzip\r\n"
        record["bill"] = bill
        self.head(200, "application/json", len(text), more)
        self.writer.write(text[:self.scene.get("cut", len(text))])
        record.update(sent=len(text), ended=True)
        return "cut" not in self.scene

    async def stream(self, record):
        name = stream_name(self.path, self.scene)
        parts = made(name, self.scene, self.body)
        if self.listed:
            self.events, parts = parts, in_a_list(parts)
            self.ends = [len(b"".join(parts[:i + 1])) for i in range(len(self.events))]
        whole = b"".join(parts)
        watch = asyncio.ensure_future(self.reader.read(1))
        send = asyncio.ensure_future(self.send(record, name, parts, whole))
        try:
            await asyncio.wait({watch, send}, return_when=asyncio.FIRST_COMPLETED)
            complete = send.done() and not send.cancelled() and send.exception() is None and send.result()
        finally:
            watch.cancel()
            send.cancel()
        record["ended"] = True
        record["closed"] = not complete and record["sent"] < len(whole)
        return complete and self.coded

    async def send(self, record, name, parts, whole):
        """True once the stream is whole."""
        scene, cut = self.scene, self.scene.get("cut", len(whole))
        recording = recorded.recording(name)
        self.head(200, "application/json" if self.listed else "text/event-stream", None, "Content-Encoding: gzip\r\n" if scene.get("gzip") else "")
        packer = gzip_packer() if scene.get("gzip") else None
        for i, part in enumerate(parts):
            if i == scene.get("wait_at"):
                await self.wait()
            left = part[:max(0, cut - record["sent"])]
            # Billed before it is out: nobody has it unbilled.
            record["sent"] += len(left)
            record["bill"] = self.bill(name, whole, record["sent"], recording)
            if left:
                await self.write(packer(left) if packer else left)
            if record["sent"] >= cut and cut < len(whole):
                return False
            if scene.get("pause_ms"):
                await asyncio.sleep(scene["pause_ms"] / 1000)
        if packer:
            await self.write(packer(None))
        if self.coded:
            self.writer.write(b"0\r\n\r\n")
        return True

    def bill(self, name, whole, length, recording):
        if self.listed:  # by the events whose elements are whole
            length, whole = sum(len(event) for event, end in zip(self.events, self.ends) if end <= length), b"".join(self.events)
        if "error_at" in self.scene and self.scene["error_at"] == 0:
            return [0, 0, 0, 0]
        if "error_at" in self.scene or length < len(whole):
            return recorded.bill_of_part(name, whole if whole != recording else recording, min(length, len(whole) - 1))
        return list(recorded.RECORDINGS[name][3])

    async def wait(self):
        self.books.waiting += 1
        try:
            await self.books.go.wait()
        finally:
            self.books.waiting -= 1


def gzip_packer():
    import zlib
    packer = zlib.compressobj(wbits=31)
    return lambda part: packer.flush() if part is None else packer.compress(part) + packer.flush(zlib.Z_SYNC_FLUSH)


def answer_of(path, body):
    """An answer that is no stream, and its bill."""
    if path == recorded.MESSAGES:
        return {"id": "msg_1", "type": "message", "role": "assistant", "model": body["model"], "content": [{"type": "text", "text": "Hi"}],
                "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 25, "cache_creation_input_tokens": 0,
                                                                           "cache_read_input_tokens": 4, "output_tokens": 7}}, [25, 7, 4, 0]
    if path == recorded.MESSAGES + "/count_tokens":
        return {"input_tokens": 25}, [0, 0, 0, 0]
    if path == "/v1/embeddings":
        return {"object": "list", "model": body["model"], "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
                "usage": {"prompt_tokens": 11, "total_tokens": 11}}, [11, 0, 0, 0]
    if path == recorded.RESPONSES:
        return {"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "model": body["model"], "output": [],
                "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
                "usage": {"input_tokens": 31, "output_tokens": 5, "total_tokens": 36, "input_tokens_details": {"cached_tokens": 0},
                          "output_tokens_details": {"reasoning_tokens": 0}}}, [31, 5, 0, 0]
    if path.endswith(":generateContent"):
        return {"candidates": [{"content": {"role": "model", "parts": [{"text": "Hi"}]}, "finishReason": "STOP", "index": 0}],
                "usageMetadata": {"promptTokenCount": 14, "candidatesTokenCount": 3, "totalTokenCount": 17},
                "modelVersion": "gemini-2.5-flash"}, [14, 3, 0, 0]
    if path in ("/v1/images/generations", "/v1/audio/speech"):
        return {"created": 1, "data": [{"url": "https://example.com/1.png"}] * body.get("n", 1)}, [0, 0, 0, 0]
    usage = {"prompt_tokens": 27, "completion_tokens": 6, "total_tokens": 33}
    return {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": body.get("model"), "usage": usage, "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop", "logprobs": None}]}, [27, 6, 0, 0]


async def serve(books, reader, writer):
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next((int(line[15:]) for line in head.decode("latin-1").split("\r\n") if line.lower().startswith("content-length:")), 0)
            if b"100-continue" in head.lower():
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = await reader.readexactly(length)
            if not await Request(books, reader, writer, head[:-4], body).answer():
                break
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError, asyncio.LimitOverrunError):
        pass
    finally:
        writer.close()


async def main(port):
    books = Books()
    server = await asyncio.start_server(lambda r, w: serve(books, r, w), "127.0.0.1", port, backlog=2048)
    print("ready", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))

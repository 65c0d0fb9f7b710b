"""One connection, one request after the other: what each takes, and what the disk takes."""

import json
import os
import pathlib
import socket
import statistics
import time
import urllib.parse

APPEND_BYTES = 4096


class Connection:
    """A kept-alive connection that times each request, in µs."""

    def __init__(self, url, key):
        parts = urllib.parse.urlsplit(url)
        self._socket = socket.create_connection((parts.hostname, parts.port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._head = f"Host: {parts.hostname}:{parts.port}\r\nAuthorization: Bearer {key}\r\n"

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._socket.close()

    def send(self, method, path, body=None):
        """(µs, bytes of the answer, of whatever status)."""
        text = json.dumps(body) if body is not None else ""
        more = f"Content-Type: application/json\r\nContent-Length: {len(text)}\r\n" if text else ""
        request = f"{method} {path} HTTP/1.1\r\n{self._head}{more}\r\n{text}".encode()
        began = time.perf_counter_ns()
        self._socket.sendall(request)
        answer = self._receive()
        return (time.perf_counter_ns() - began) / 1000, answer

    def ask(self, method, path, body=None):
        """(µs, JSON of the answer); AssertionError for an answer that is no success."""
        micros, answer = self.send(method, path, body)
        head, _, content = answer.partition(b"\r\n\r\n")
        assert head[9:12] in (b"200", b"201"), answer
        return micros, json.loads(content)

    def _receive(self):
        data = b""
        while True:
            more = self._socket.recv(1 << 20)
            assert more, "the connection was closed"
            data += more
            head, blank, body = data.partition(b"\r\n\r\n")
            lower = head.lower()
            if not blank:
                continue
            if b"\r\ncontent-length:" in lower:
                if len(body) >= int(lower.split(b"\r\ncontent-length:")[1].split(b"\r\n")[0]):
                    return data
            elif body.endswith(b"0\r\n\r\n"):
                return head + blank + _joined(body)


def _joined(chunks):
    """The body that was sent in chunks."""
    body = b""
    while True:
        size, _, chunks = chunks.partition(b"\r\n")
        length = int(size, 16)
        if length == 0:
            return body
        body, chunks = body + chunks[:length], chunks[length + 2:]


def guard(connection, account):
    """An authorize and the settle of its hold: µs of both.  A responder that names no hold is asked the same."""
    asked, granted = connection.ask("POST", "/api/guard/authorize", {
        "account": account, "model": "gpt-4o", "inputTokens": 500, "maxOutputTokens": 200})
    settled, _ = connection.ask("POST", "/api/guard/settle", {
        "hold": granted.get("hold", "A" * 32), "inputTokens": 480, "outputTokens": 150})
    return asked, settled


def append_us(directory, count):
    """The median µs of appending 4 KiB to a file of that directory and fdatasync."""
    path = pathlib.Path(directory) / "bench-fdatasync"
    file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    try:
        taken = []
        for _ in range(count):
            began = time.perf_counter_ns()
            os.write(file, b"x" * APPEND_BYTES)
            os.fdatasync(file)
            taken.append((time.perf_counter_ns() - began) / 1000)
        return statistics.median(taken)
    finally:
        os.close(file)
        path.unlink()


def percentiles(values):
    ordered = sorted(values)
    return {"p50_us": round(statistics.median(ordered), 1), "p99_us": round(ordered[int(len(ordered) * 0.99)], 1),
            "count": len(ordered)}

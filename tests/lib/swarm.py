"""Many requests at once: a raw HTTP/1.1 client over kept-alive connections, in one thread.

    with Swarm([o.internal_url], connections=1000) as swarm:
        answers = swarm.run([swarm.request("POST", "/api/guard/authorize", key, body) for body in bodies])

run() gives every connection the next request as soon as it is free, and returns the answers in the
order of the requests: an Answer, or a Lost where the connection ended before the answer was whole (what
became of the request is then unknown).  No request is sent twice, except by run_until_known().
"""

import collections
import json as json_module
import resource
import select
import socket
import time
import urllib.parse

from octroi import Answer

TURN_SECONDS = 0.004  # between two calls of on_turn


class Lost:
    """No answer: the connection broke, could not be made, or nothing came in time."""

    status = 0

    def __init__(self, reason):
        self.reason = reason

    def __repr__(self):
        return f"<lost: {self.reason}>"


class RawAnswer(Answer):
    """An Answer whose headers are taken apart only when somebody looks."""

    def __init__(self, head, body):
        self.status = int(head[9:12])
        self.body = body
        self._head = head

    @property
    def headers(self):
        lines = self._head.decode("latin-1").split("\r\n")[1:]
        return {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


def raise_descriptor_limit(wanted):
    """Lets this process open that many descriptors; its children inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= wanted:
        return
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(hard, wanted)))


class _Connection:
    __slots__ = ("address", "host", "socket", "pending", "index", "sent_at")

    def __init__(self, url):
        parts = urllib.parse.urlsplit(url)
        self.address = (parts.hostname, parts.port)
        self.host = f"{parts.hostname}:{parts.port}".encode()
        self.socket = None
        self.pending = b""
        self.index = -1
        self.sent_at = 0

    def open(self):
        self.socket = socket.create_connection(self.address, timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.pending = b""

    def close(self):
        if self.socket is not None:
            self.socket.close()
            self.socket = None


def _whole(data):
    """The answer at the start of data, or None while it is not all there."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = data[:end]
    lower = head.lower()
    body = data[end + 4:]
    at = lower.find(b"\r\ncontent-length:")
    if at >= 0:
        length = int(lower[at + 17:].split(b"\r\n", 1)[0])
        return RawAnswer(head, body[:length]) if len(body) >= length else None
    if b"\r\ntransfer-encoding: chunked" in lower:
        whole = _chunks(body)
        return None if whole is None else RawAnswer(head, whole)
    assert head[9:12] in (b"204", b"304"), head
    return RawAnswer(head, b"")


def _chunks(body):
    parts = []
    while True:
        line, newline, rest = body.partition(b"\r\n")
        if not newline:
            return None
        size = int(line.split(b";")[0], 16)
        if len(rest) < size + 2:
            return None
        if size == 0:
            return b"".join(parts)
        parts.append(rest[:size])
        body = rest[size + 2:]


class Swarm:
    """urls: one or several web servers, served in turn by the connections."""

    def __init__(self, urls, connections=64, timeout=60):
        raise_descriptor_limit(connections * 2 + 256)
        self.timeout = timeout
        self._connections = [_Connection(urls[i % len(urls)]) for i in range(connections)]
        self._host = self._connections[0].host

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        for connection in self._connections:
            connection.close()

    def request(self, method, path, key=None, json=None, headers=None, body=b""):
        """A request as the bytes that run() sends; body: raw JSON instead of json."""
        lines = [f"{method} {path} HTTP/1.1", "Host: " + self._host.decode()]
        if key is not None:
            lines.append("Authorization: Bearer " + key)
        for name, value in (headers or {}).items():
            lines.append(f"{name}: {value}")
        if json is not None:
            body = json_module.dumps(json, separators=(",", ":")).encode()
        if body or json is not None or method in ("POST", "PUT"):
            lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    def connect(self):
        """Opens every connection that is not open, so that run() starts with all of them."""
        for connection in self._connections:
            if connection.socket is None:
                connection.open()

    def run(self, requests, on_answer=None, on_turn=None, on_send=None):
        """Sends all requests, as many at once as there are connections.  on_answer(index, answer) is
        called as each comes; what it returns, if anything, is a list of further requests.  on_turn() is called
        every few milliseconds, whatever is answered, and returns further requests too, until it returns None.
        on_send(index) is called before a request goes out."""
        requests = list(requests)
        answers = [None] * len(requests)
        waiting = collections.deque(range(len(requests)))
        busy = {}
        with select.epoll() as poll:
            free = list(reversed(self._connections))

            def finish(connection, answer):
                poll.unregister(connection.socket)
                del busy[connection.socket.fileno()]
                if isinstance(answer, Lost) or b"\r\nconnection: close" in answer._head.lower():
                    connection.close()
                deliver(connection, answer)

            def deliver(connection, answer):
                answers[connection.index] = answer
                free.append(connection)
                add(on_answer(connection.index, answer) if on_answer else None)

            def add(more):
                for request in more or ():
                    waiting.append(len(requests))
                    requests.append(request)
                    answers.append(None)

            while waiting or busy or on_turn:
                if on_turn:
                    more = on_turn()
                    add(more)
                    on_turn = on_turn if more is not None else None
                while waiting and free:
                    connection = free.pop()
                    connection.index = waiting.popleft()
                    if on_send:
                        on_send(connection.index)
                    failure = self._send(connection, requests[connection.index])
                    if failure:
                        deliver(connection, failure)
                        continue
                    busy[connection.socket.fileno()] = connection
                    poll.register(connection.socket, select.EPOLLIN)
                for descriptor, _ in poll.poll(TURN_SECONDS if on_turn else 0.5):
                    self._receive(busy[descriptor], finish)
                overdue = time.monotonic() - self.timeout
                for connection in [c for c in busy.values() if c.sent_at < overdue]:
                    finish(connection, Lost(f"no answer in {self.timeout} s"))
        return answers

    @staticmethod
    def _send(connection, request):
        try:
            if connection.socket is None:
                connection.open()
            connection.pending = b""
            connection.sent_at = time.monotonic()
            connection.socket.sendall(request)
        except OSError as e:
            connection.close()
            return Lost(f"sending: {e}")
        return None

    @staticmethod
    def _receive(connection, finish):
        try:
            data = connection.socket.recv(65536)
        except OSError as e:
            finish(connection, Lost(f"receiving: {e}"))
            return
        if not data:
            finish(connection, Lost("closed"))
            return
        connection.pending += data
        answer = _whole(connection.pending)
        if answer is not None:
            finish(connection, answer)

    def run_until_known(self, requests, unknown=(0, 429, 502, 503, 504), seconds=60):
        """run(), and again those whose fate is unknown, until every one has an answer that stands.
        Returns the answers, and how many times any request had to be repeated."""
        answers = self.run(requests)
        deadline = time.monotonic() + seconds
        repeated = 0
        while True:
            again = [i for i, answer in enumerate(answers) if answer.status in unknown]
            if not again:
                return answers, repeated
            assert time.monotonic() < deadline, f"{len(again)} requests unanswered, such as {answers[again[0]]}"
            time.sleep(0.05)
            repeated += len(again)
            for i, answer in zip(again, self.run([requests[i] for i in again])):
                answers[i] = answer

#!/usr/bin/python3
"""The time that octroi-meter adds to the first byte of a stream: a provider asked directly, and through nginx and the meter.

    OCTROI_BUILD=build tests/bench/first_byte.py [--connections 16] [--seconds 10] [--rounds 5] [--pause-ms 20] [--together] [--limit-ms N]

A provider of its own answers at once, and then sends an event each PAUSE ms.  CONNECTIONS kept connections send one request
after the other, evenly spread over the length of a stream.  The time is that from the request's last byte to the first
event's first byte.  Rounds take turns, so that both sides have the same machine.  Prints a table in Markdown, and fails where
p99 is later by more than LIMIT ms.
"""

import argparse
import asyncio
import json
import os
import pathlib
import selectors
import socket
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lib"), str(HERE.parent / "meter")]

WORDS = ["Bon", "jour", " —", " un", " octroi", " levait", " la", " taxe", "."]
USAGE = {"prompt_tokens": 20, "completion_tokens": len(WORDS), "total_tokens": 20 + len(WORDS)}


# ---- the provider ----------------------------------------------------------------------------------


def chunk(data):
    text = b"data: " + (data if isinstance(data, bytes) else json.dumps(data).encode()) + b"\n\n"
    return b"%x\r\n%s\r\n" % (len(text), text)


def delta(word):
    return chunk({"id": "1", "object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": word}}], "usage": None})


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
EVENTS = [delta(word) for word in WORDS]
LAST = chunk({"id": "1", "object": "chat.completion.chunk", "choices": [], "usage": USAGE}) + chunk(b"[DONE]") + b"0\r\n\r\n"


async def serve(reader, writer, pause):
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(int(line[15:]) for line in head.decode("latin-1").split("\r\n") if line.lower().startswith("content-length:"))
            await reader.readexactly(length)
            writer.write(HEAD + EVENTS[0])
            for event in EVENTS[1:]:
                await asyncio.sleep(pause)
                writer.write(event)
            writer.write(LAST)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def provide(port, pause):
    server = await asyncio.start_server(lambda r, w: serve(r, w, pause), "127.0.0.1", port, backlog=256)
    async with server:
        await server.serve_forever()


# ---- the clients -----------------------------------------------------------------------------------


class Client:
    """A kept connection with one request after the other."""

    def __init__(self, port, request):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.request, self.data, self.first = request, b"", None
        self.ask()

    def ask(self):
        self.data, self.first = b"", None
        self.socket.sendall(self.request)
        self.sent = time.perf_counter_ns()

    def read(self, again):
        """The nanoseconds to the first event, once the answer is whole."""
        got = self.socket.recv(65536)
        now = time.perf_counter_ns()
        assert got, "a connection was closed"
        self.data += got
        if self.first is None and b"data:" in self.data:
            self.first = now - self.sent
        if not self.data.endswith(b"0\r\n\r\n"):
            return None
        assert self.data.startswith(b"HTTP/1.1 200"), self.data[:300]
        first = self.first
        if again:
            self.ask()
        return first


def drive(port, request, connections, seconds, apart):
    """Nanoseconds to the first event of each request; those of the first half second, of connections that begin, are left out.
    The connections begin so many seconds apart, and stay so."""
    clients = {}
    with selectors.DefaultSelector() as selector:
        for _ in range(connections):
            time.sleep(apart)
            client = Client(port, request)
            clients[client.socket.fileno()] = client
            selector.register(client.socket, selectors.EVENT_READ)
        found, begin = [], time.perf_counter() + 0.5
        while clients:
            for key, _ in selector.select(30):
                again = time.perf_counter() < begin + seconds
                client = clients[key.fd]
                late = time.perf_counter() > begin
                took = client.read(again)
                if took is not None and late:
                    found.append(took)
                if took is not None and not again:
                    selector.unregister(client.socket)
                    client.socket.close()
                    del clients[key.fd]
    return found


# ---- both sides ------------------------------------------------------------------------------------


def request_to(path, key):
    body = json.dumps({"model": "gpt-4o", "stream": True, "max_tokens": 100, "messages": [{"role": "user", "content": "Hi " * 100}]})
    return (f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}").encode()


def percentile(values, percent):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] / 1e6


def measure(options):
    """(direct, through the meter): milliseconds to the first byte."""
    from octroi import free_port, wait_until
    from stage import Stage

    port = free_port()
    apart = 0 if options.together else len(WORDS) * options.pause_ms / 1000 / options.connections
    provider = subprocess.Popen([sys.executable, __file__, "--provide", str(port), "--pause-ms", str(options.pause_ms)])
    try:
        with Stage() as stage:
            wait_until(lambda: stage._listens(port), 10, "the provider")
            stage.end("meter")
            stage.start_meter(openai_url=f"http://127.0.0.1:{port}")
            payer = stage.payer()
            sides = {"direct": (port, request_to("/v1/chat/completions", "sk-x")),
                     "through nginx and octroi-meter": (stage.port, request_to("/openai/v1/chat/completions", payer.key))}
            found = {name: [] for name in sides}
            for _ in range(options.rounds):
                for name, side in sides.items():
                    found[name] += drive(*side, options.connections, options.seconds, apart)
            count = len(found["through nginx and octroi-meter"])
            used = stage.wait_settled(payer, count)
            assert {use["settlement"] for use in used.values()} == {"exact"}
            return found
    finally:
        provider.terminate()
        provider.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--together", action="store_true", help="all connections ask at the same moment, and wait for each other")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pause-ms", type=float, default=20)
    parser.add_argument("--limit-ms", type=float, default=0)
    parser.add_argument("--provide", type=int, default=0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.provide:
        asyncio.run(provide(options.provide, options.pause_ms / 1000))
        return 0
    before = os.getloadavg()[0]
    found = measure(options)
    print(f"{options.connections} connections, an event each {options.pause_ms:g} ms, {os.cpu_count()} cores; load average {before:.1f} before, "
          f"{os.getloadavg()[0]:.1f} at the end.\n")
    print("| to the first byte, ms | requests | p50 | p95 | p99 |\n|---|---|---|---|---|")
    for name, values in found.items():
        print(f"| {name} | {len(values):,} | " + " | ".join(f"{percentile(values, percent):.2f}" for percent in (50, 95, 99)) + " |")
    direct, through = found.values()
    added = [percentile(through, percent) - percentile(direct, percent) for percent in (50, 95, 99)]
    print("| added | | " + " | ".join(f"{ms:.2f}" for ms in added) + " |")
    return 1 if options.limit_ms and added[-1] > options.limit_ms else 0


if __name__ == "__main__":
    sys.exit(main())

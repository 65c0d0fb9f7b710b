"""Crowds that take octroi's time and give it no work: silent connections, slow ones, storms of them."""

import contextlib
import errno
import socket
import threading
import urllib.parse

import fastcgi
from swarm import raise_descriptor_limit

WHOLE = fastcgi.request("GET", "/healthz")
SLOW = fastcgi.request("POST", "/api/guard/charge", b'{"account":"nobody","action":"a"}' + b" " * 3000)
SLOW_HTTP = b"POST /api/guard/charge HTTP/1.1\r\nHost: octroi\r\nContent-Length: 3000\r\n\r\n" + b" " * 3000
GONE = (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN)


def knock(address):
    """A connection: to a path, octroi's own socket, or to a URL, its web server."""
    if not address.startswith("http"):
        return fastcgi.connect(address)
    parts = urllib.parse.urlsplit(address)
    return socket.create_connection((parts.hostname, parts.port), timeout=30)


class Slow:
    """A connection that sends a request byte by byte, and begins anew once it is cut."""

    def __init__(self, address):
        self.address, self.connection, self.at, self.cut = address, None, 0, 0
        self.text = SLOW_HTTP if address.startswith("http") else SLOW

    def step(self):
        try:
            if self.connection is None:
                self.connection, self.at = knock(self.address), 0
            self.connection.send(self.text[self.at:self.at + 1])
            self.at = (self.at + 1) % len(self.text)
        except OSError as e:
            if e.errno not in GONE:
                raise
            self.cut += 1
            self.close()

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None


class Crowd:
    def __init__(self, size):
        raise_descriptor_limit(size + 4096)
        self.idle, self.slow = [], []
        self._stop, self._failed = threading.Event(), []
        self._thread = None

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._stop.set()
        if self._thread:
            self._thread.join()
        for one in self.idle + self.slow:
            one.close()
        assert not self._failed, self._failed[0]

    def __len__(self):
        return len(self.idle) + len(self.slow)

    def add_idle(self, address, count, served=0):
        """Silent connections; to the socket, that many of them have been served once."""
        for n in range(count):
            self.idle.append(knock(address))
            if n < served:
                self.idle[-1].sendall(WHOLE)
                assert fastcgi.read_response(self.idle[-1]).status == 200

    def add_slow(self, address, count, pause=1.0):
        """Each sends a byte every so many seconds from now on."""
        self.slow += [Slow(address) for _ in range(count)]
        for one in self.slow:
            one.step()
        if self._thread is None:
            self._thread = threading.Thread(target=self._creep, args=(pause,), daemon=True)
            self._thread.start()

    def _creep(self, pause):
        try:
            while not self._stop.wait(pause):
                for one in self.slow:
                    one.step()
        except Exception as e:  # noqa: BLE001 (told by __exit__)
            self._failed.append(e)


def storm(address, count):
    """So many connections at once: silent, half said, or said and not waited for.  They come to an end together."""
    whole = WHOLE if not address.startswith("http") else b"GET /healthz HTTP/1.1\r\nHost: octroi\r\n\r\n"
    with contextlib.ExitStack() as stack:
        made = [stack.enter_context(knock(address)) for _ in range(count)]
        for n, connection in enumerate(made):
            said = (b"", whole[:len(whole) // 2], whole)[n % 3]
            try:
                connection.sendall(said)
            except OSError as e:
                if e.errno not in GONE:
                    raise
    return count

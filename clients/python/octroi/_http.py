"""Ways to octroi.  They follow no redirect, ask no proxy, verify certificates, and a fault is an answer of status 0."""

from __future__ import annotations

import asyncio
import http.client
import io
import os
import re
import selectors
import socket
import ssl
import time
import urllib.parse
from typing import Any, Dict, List, NoReturn, Optional, Tuple

from ._answers import ANSWER_BYTES, Answer

API = "1"


class Door:
    """The address of octroi, and the key: one object, so that no traceback shows the key."""

    def __init__(
        self, url: str, key: str, locale: str, ca: Optional[str], connect_seconds: float, answer_seconds: float
    ) -> None:
        try:
            if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", url, re.I):
                raise ValueError("octroi: the address is http://… or https://…, without user and query")
            if not re.fullmatch(r"[!-~]*", key.strip()):
                raise ValueError("octroi: the key has characters that no key has")
            self._key = key.strip()
        finally:
            del key
        self.url = url.rstrip("/")
        self.locale = "fr" if locale[:2] == "fr" else "en"
        self.connect_seconds = connect_seconds
        self.answer_seconds = answer_seconds
        parts = urllib.parse.urlsplit(self.url)
        self.host, self.port, self.path = parts.hostname or "", parts.port, parts.path
        self.tls = ssl.create_default_context(cafile=ca) if parts.scheme == "https" else None

    def headers(self) -> Dict[str, str]:
        return {
            "X-Octroi-Key": self._key,  # some hosts strip Authorization
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "Accept-Language": self.locale,
            "User-Agent": f"octroi-python/{API}",
        }

    def __repr__(self) -> str:
        return f"Door({self.url!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("octroi: a key is not stored")


class _TimedSocket:
    """A socket as http.client uses it, all of whose waits together end at `deadline`."""

    deadline = 0.0

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def ready(self) -> socket.socket:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("too late")
        self._sock.settimeout(left)
        return self._sock

    def sendall(self, data: bytes) -> None:
        self.ready().sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Reader(self))

    def close(self) -> None:
        self._sock.close()

    def is_stale(self) -> bool:
        """True if octroi has closed the connection, or says something unasked."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._sock, selectors.EVENT_READ)
            return bool(selector.select(0))


class _Reader(io.RawIOBase):
    def __init__(self, sock: _TimedSocket) -> None:
        self._sock = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._sock.ready().recv_into(buffer)


class HttpTransport:
    """http.client, with connections that are kept.  Each is used by one thread at a time, and by no forked child."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._idle: List[http.client.HTTPConnection] = []
        self._process = os.getpid()

    def send(self, method: str, path: str, body: bytes, seconds: float) -> Answer:
        """One request, for at most so many seconds."""
        deadline = time.monotonic() + min(seconds, self._door.answer_seconds)
        connection: Any = None
        try:
            connection = self._take()
            connection.sock.deadline = deadline
            connection.request(method, self._door.path + path, body or None, self._door.headers())
            response = connection.getresponse()
            answer = _read(response)
            if answer.status != 0 and not response.will_close:
                self._idle.append(connection)
                connection = None
            return answer
        except (OSError, http.client.HTTPException, ValueError) as e:
            return Answer.none(type(e).__name__)
        except BaseException as e:  # of a signal: the frames below have the key
            raise e.with_traceback(None)
        finally:
            if connection is not None:
                connection.close()

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    __del__ = close

    def _take(self) -> Any:
        if self._process != os.getpid():
            self._idle, self._process = [], os.getpid()  # the parent's connections are the parent's
        while self._idle:
            connection: Any = self._idle.pop()
            if not connection.sock.is_stale():
                return connection
            connection.close()
        return self._connect()

    def _connect(self) -> Any:
        door = self._door
        connection: Any
        if door.tls is not None:
            connection = http.client.HTTPSConnection(
                door.host, door.port, timeout=door.connect_seconds, context=door.tls
            )
        else:
            connection = http.client.HTTPConnection(door.host, door.port, timeout=door.connect_seconds)
        connection.connect()
        connection.auto_open = 0
        connection.sock = _TimedSocket(connection.sock)
        return connection


def _read(response: http.client.HTTPResponse) -> Answer:
    body = b""
    while len(body) <= ANSWER_BYTES:
        part = response.read(65536)
        if not part:
            if response.length:
                return Answer.none("half an answer")
            return Answer(response.status, dict(response.getheaders()), body)
        body += part
    return Answer.none("too long an answer")


# ---- for asyncio -------------------------------------------------------------------------------------------


class AsyncHttpTransport:
    """httpx where it is installed, with connections that are kept for each event loop; threads otherwise."""

    def __init__(self, door: Door, threads: HttpTransport) -> None:
        try:
            import httpx
        except ImportError:
            httpx = None
        self._httpx: Any = httpx
        self._door = door
        self._threads = threads
        self._client: Tuple[Any, int, Any] = (None, 0, None)  # event loop, process, client

    async def send(self, method: str, path: str, body: bytes, seconds: float) -> Answer:
        if self._httpx is None:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(None, self._threads.send, method, path, body, seconds)
        try:
            exchange = self._exchange(self._open(), method, path, body)
            return await asyncio.wait_for(exchange, min(seconds, self._door.answer_seconds))
        except Exception as e:  # whatever it is, there is no answer
            return Answer.none(type(e).__name__)

    async def _exchange(self, client: Any, method: str, path: str, body: bytes) -> Answer:
        arguments = {"content": body or None, "headers": self._door.headers()}
        async with client.stream(method, self._door.url + path, **arguments) as response:
            text = b""
            async for part in response.aiter_raw():
                text += part
                if len(text) > ANSWER_BYTES:
                    return Answer.none("too long an answer")
            return Answer(response.status_code, dict(response.headers), text)

    def _open(self) -> Any:
        loop = asyncio.get_running_loop()
        if self._client[0] is not loop or self._client[1] != os.getpid():
            limits = self._httpx.Timeout(self._door.answer_seconds, connect=self._door.connect_seconds)
            tls = self._door.tls or ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # which trusts nobody
            client = self._httpx.AsyncClient(verify=tls, timeout=limits, trust_env=False, follow_redirects=False)
            self._client = (loop, os.getpid(), client)
        return self._client[2]

    async def aclose(self) -> None:
        loop, process, client = self._client
        self._client = (None, 0, None)
        if client is not None and loop is asyncio.get_running_loop() and process == os.getpid():
            await client.aclose()

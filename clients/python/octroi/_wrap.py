"""Guards the official packages of OpenAI, Anthropic and Google, at the one place that all their calls pass.

These packages send each request by `send` of an HTTP client (httpx, or its successor httpx2).  That function is replaced: it
authorizes, lowers the request's bound of output to that of the hold, and settles with the usage object of the answer, also of
a stream.  So raw and parsed responses, tools, retries and copies of the client are guarded alike.
"""

from __future__ import annotations

import contextlib
import contextvars
import json
import sys
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, NamedTuple, NoReturn, Optional, Tuple, TypeVar, Union

from ._answers import Answer, InvalidRequest, Refusal
from ._usage import StreamUsage, is_refused, usage_of

if TYPE_CHECKING:
    from ._client import Core, HoldBase, Steps

T = TypeVar("T")
Account = Union[str, Callable[[], Optional[str]], None]
ANSWER_BYTES = 16 << 20  # of an answer that is looked at
DATA_BYTES = 16 << 10  # of an image or a file in a request, however large: providers count it by its size in pixels or pages

_acting: contextvars.ContextVar[Dict[str, str]] = contextvars.ContextVar("octroi", default={})


@contextlib.contextmanager
def acting_for(account: str, member: Optional[str] = None) -> Iterator[None]:
    """Inside of it, wrapped clients spend the credits of this account."""
    token = _acting.set({"account": account, **({"member": member} if member else {})})
    try:
        yield
    finally:
        _acting.reset(token)


class Rule(NamedTuple):
    """How a call names its bound of output, and the number of answers that share it."""

    bounds: Tuple[str, ...]
    counts: Tuple[str, ...] = ()
    section: str = ""


RULES = {
    "/chat/completions": Rule(("max_completion_tokens", "max_tokens"), ("n",)),
    "/completions": Rule(("max_tokens",), ("n", "best_of")),
    "/responses": Rule(("max_output_tokens",)),
    "/messages": Rule(("max_tokens",)),
    "/embeddings": Rule(()),
    ":generateContent": Rule(("maxOutputTokens",), ("candidateCount",), "generationConfig"),
    ":streamGenerateContent": Rule(("maxOutputTokens",), ("candidateCount",), "generationConfig"),
    ":embedContent": Rule(()),
    ":batchEmbedContents": Rule(()),
}
FREE_METHODS = ("GET", "HEAD", "OPTIONS", "DELETE")
FREE = ("/messages/count_tokens", "/responses/input_tokens", "/moderations", ":countTokens")
LAST_EVENTS = ("message_stop", "response.completed", "response.incomplete", "response.failed")
NEVER_SENT = ("ConnectError", "ConnectTimeout", "PoolTimeout")


def refuse(reason: str) -> NoReturn:
    raise InvalidRequest(Answer.local(reason))


class Plan:
    """One request of the wrapped package: its rule, its body, and the request to octroi."""

    def __init__(self, path: str, content: bytes, payer: Dict[str, str]) -> None:
        ending = next((ending for ending in RULES if path.endswith(ending)), None)
        self.body = _json(content)
        if ending is None or not isinstance(self.body, dict):
            refuse(f"no rule guards {path}")
        self.rule = RULES[ending]
        model = path.rpartition("/")[2].partition(":")[0] if ending[0] == ":" else self.body.get("model")
        if not isinstance(model, str) or not model:
            refuse("the request names no model")
        self.section = self.body.setdefault(self.rule.section, {}) if self.rule.section else self.body
        if not isinstance(self.section, dict):
            refuse(f"{self.rule.section} is no object")
        if self.rule.section and any("_" in name for name in (*self.body, *self.section)):
            refuse("Google reads names_like_this too: a second bound of output")
        self.answers = max([1] + [_positive(self.section, name) for name in self.rule.counts])
        asked = [_positive(self.section, name) for name in self.rule.bounds if self.section.get(name) is not None]
        self.wanted: Dict[str, Any] = {**payer, "model": model, "inputBytes": max(1, _text_bytes(self.body))}
        if asked:
            self.wanted["maxOutputTokens"] = max(asked) * self.answers
        self.hides_usage = ending.endswith("/completions") and self.body.get("stream") is True and self._ask_for_usage()

    def _ask_for_usage(self) -> bool:
        """OpenAI counts a stream only if it is asked to; the application does not see that chunk."""
        options = self.body.get("stream_options")
        if isinstance(options, dict) and options.get("include_usage"):
            return False
        self.body["stream_options"] = {**(options if isinstance(options, dict) else {}), "include_usage": True}
        return True

    def bounded(self, most: Optional[int]) -> bytes:
        """The body, with a bound of output that the hold covers."""
        if self.rule.bounds and most is not None:
            share = max(1, most // self.answers)
            names = [name for name in self.rule.bounds if self.section.get(name) is not None]
            for name in names or self.rule.bounds[:1]:
                self.section[name] = min(share, self.section.get(name) or share)
        return json.dumps(self.body, ensure_ascii=False).encode()


def _json(content: bytes) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _positive(section: Dict[str, Any], name: str) -> int:
    value = section.get(name, 1)
    if type(value) is not int or value < 1:
        refuse(f"{name} is no positive integer")
    return value


def _text_bytes(value: Any, name: str = "") -> int:
    if isinstance(value, str):
        size = len(value.encode(errors="replace"))
        return min(size, DATA_BYTES) if name == "data" or value.startswith("data:") else size
    if isinstance(value, dict):
        return sum(len(key) + _text_bytes(inner, key) for key, inner in value.items())
    return sum(map(_text_bytes, value)) if isinstance(value, list) else 4


# ---- answers -----------------------------------------------------------------------------------------------


class Meter:
    """Reads an answer on its way to the application, and ends the hold by it."""

    def __init__(self, hold: HoldBase, response: Any, hides_usage: bool) -> None:
        self._hold, self._hides_usage = hold, hides_usage
        self._is_events = response.headers.get("content-type", "").startswith("text/event-stream")
        # Compressed bytes, which nobody asked for, are passed on unread: the reservation is charged.
        self._is_readable = response.headers.get("content-encoding", "identity") == "identity"
        self._usage, self._rest = StreamUsage(), b""
        self._is_whole = False

    def feed(self, part: bytes) -> bytes:
        """The bytes for the application."""
        if not self._is_readable:
            return part
        self._rest += part
        if not self._is_events:
            self._rest = self._rest if len(self._rest) <= ANSWER_BYTES else b""
            return part
        *events, self._rest = self._rest.replace(b"\r\n", b"\n").split(b"\n\n")
        return b"".join(event + b"\n\n" for event in events if self._passes(event))

    def _passes(self, event: bytes) -> bool:
        data = b"\n".join(line[5:].strip() for line in event.split(b"\n") if line.startswith(b"data:"))
        chunk = _json(data)
        if not isinstance(chunk, dict):
            self._is_whole = self._is_whole or data == b"[DONE]"
            return True
        self._is_whole = self._is_whole or chunk.get("type") in LAST_EVENTS
        self._usage.add(chunk)
        if self._hides_usage and "usage" in chunk:
            return chunk.get("choices") != []
        return True

    def rest(self) -> bytes:
        """The bytes after the last event."""
        if not self._is_events or not self._is_readable:
            return b""
        rest, self._rest = self._rest, b""
        return rest if self._passes(rest) else b""

    def read(self, content: bytes) -> None:
        """The whole answer at once."""
        self._is_readable = True
        self.feed(content)
        self.rest()

    def end(self, is_whole: bool) -> Optional[Steps[None]]:
        if self._hold.is_ended:
            return None
        answer = None if self._is_events else _json(self._rest)
        self._usage.add(answer)
        usage = self._usage.known
        is_whole = is_whole or self._is_whole
        if usage is None and is_refused(answer):
            return self._hold._octroi._quietly(self._hold._end("failed", None, {}))
        if usage is None and is_whole:
            return self._hold._abandon()
        return self._hold._octroi._quietly(self._hold._end("complete" if is_whole else "partial", usage, {}))


def _streams(module: Any) -> Tuple[Any, Any]:
    """The two kinds of streams of bytes, of httpx or httpx2, that end a hold at their own end."""

    class Stream(module.SyncByteStream):  # type: ignore[misc]
        def __init__(self, inner: Any, meter: Meter) -> None:
            self._inner, self._meter, self._is_whole = inner, meter, False

        def __iter__(self) -> Iterator[bytes]:
            for part in self._inner:
                yield self._meter.feed(part)
            self._is_whole = True
            yield self._meter.rest()
            self._end()

        def close(self) -> None:
            try:
                self._inner.close()
            finally:
                self._end()

        def _end(self) -> None:
            steps = self._meter.end(self._is_whole)
            if steps is not None:
                self._meter._hold._octroi._run(steps)

    class AsyncStream(module.AsyncByteStream):  # type: ignore[misc]
        def __init__(self, inner: Any, meter: Meter) -> None:
            self._inner, self._meter, self._is_whole = inner, meter, False

        async def __aiter__(self) -> Any:
            async for part in self._inner:
                yield self._meter.feed(part)
            self._is_whole = True
            yield self._meter.rest()
            await self._end()

        async def aclose(self) -> None:
            try:
                await self._inner.aclose()
            finally:
                await self._end()

        async def _end(self) -> None:
            steps = self._meter.end(self._is_whole)
            if steps is not None:
                await self._meter._hold._octroi._run_shielded(steps)

    return Stream, AsyncStream


# ---- requests ----------------------------------------------------------------------------------------------


class Guard:
    """The function that sends, guarded."""

    def __init__(
        self, octroi: Core, http: Any, account: Account, member: Optional[str], free: Tuple[str, ...], error: Any
    ) -> None:
        # The package takes its own exceptions as they are; others it would repeat and wrap.
        self._octroi, self._account, self._member, self._error = octroi, account, member, error
        self._free = FREE + free
        self._send = http.send
        base = next(kind for kind in type(http).__mro__ if kind.__module__.split(".")[0] in ("httpx", "httpx2"))
        self._module = sys.modules[base.__module__.split(".")[0]]
        self._stream, self._async_stream = _streams(self._module)
        http.send = self.send_async if issubclass(base, self._module.AsyncClient) else self.send

    def _is_free(self, request: Any) -> bool:
        return request.method in FREE_METHODS or request.url.path.endswith(self._free)

    def _payer(self) -> Dict[str, str]:
        acting = _acting.get()
        account = self._account() if callable(self._account) else self._account
        if account:
            return {"account": account, **({"member": self._member} if self._member else {})}
        if not acting:
            refuse("no account: give wrap() one, or use acting_for")
        return acting

    def _bounded(self, request: Any, plan: Plan, hold: HoldBase) -> Any:
        headers = [(name, value) for name, value in request.headers.multi_items() if name.lower() not in _REPLACED]
        headers.append(("Accept-Encoding", "identity"))
        content = plan.bounded(hold._most)
        made = self._module.Request(request.method, request.url, headers=headers, content=content)
        made.extensions = request.extensions
        return made

    def _raise(self, e: Refusal) -> NoReturn:
        if self._error is not None:
            e.__class__ = type(type(e).__name__, (type(e), self._error), {})
        raise e

    def send(self, request: Any, **options: Any) -> Any:
        if self._is_free(request):
            return self._send(request, **options)
        try:
            plan = Plan(request.url.path, request.read(), self._payer())
            hold = self._octroi._run(self._octroi._authorize(plan.wanted))
        except Refusal as e:
            self._raise(e)
        try:
            response = self._send(self._bounded(request, plan, hold), **options)
        except BaseException as e:
            self._octroi._run(_unanswered(hold, e))
            raise
        meter = Meter(hold, response, plan.hides_usage)
        if response.status_code >= 400:  # refused: the provider bills nothing
            self._octroi._run(self._octroi._quietly(hold._end("failed", None, {})))
        elif response.is_stream_consumed:
            meter.read(response.content)
            self._octroi._run(meter.end(True) or _nothing())
        else:
            response.stream = self._stream(response.stream, meter)
        return response

    async def send_async(self, request: Any, **options: Any) -> Any:
        if self._is_free(request):
            return await self._send(request, **options)
        try:
            plan = Plan(request.url.path, await request.aread(), self._payer())
            hold = await self._octroi._run_async(self._octroi._authorize(plan.wanted))
        except Refusal as e:
            self._raise(e)
        try:
            response = await self._send(self._bounded(request, plan, hold), **options)
        except BaseException as e:
            await self._octroi._run_shielded(_unanswered(hold, e))
            raise
        meter = Meter(hold, response, plan.hides_usage)
        if response.status_code >= 400:
            await self._octroi._run_shielded(self._octroi._quietly(hold._end("failed", None, {})))
        elif response.is_stream_consumed:
            meter.read(response.content)
            await self._octroi._run_shielded(meter.end(True) or _nothing())
        else:
            response.stream = self._async_stream(response.stream, meter)
        return response


_REPLACED = ("content-length", "transfer-encoding", "accept-encoding")


def _nothing() -> Steps[None]:
    yield from ()


def _unanswered(hold: HoldBase, e: BaseException) -> Steps[None]:
    """A request that never left is free; the others may have been served."""
    if type(e).__name__ in NEVER_SENT:
        return hold._octroi._quietly(hold._end("failed", None, {}))
    return hold._abandon() or _nothing()


# ---- the packages ------------------------------------------------------------------------------------------


def wrap(octroi: Core, client: T, account: Account, member: Optional[str], free: Tuple[str, ...]) -> T:
    package = next((kind.__module__.split(".")[0] for kind in type(client).__mro__ if kind.__module__ != "builtins"), "")
    inner: Any = client
    error = None
    if package == "google":
        https = _https_of_google(inner)
    else:
        error = getattr(sys.modules.get(package), "OpenAIError", None) or getattr(
            sys.modules.get(package), "AnthropicError", None
        )
        https = [getattr(inner, "_client", None)]
        _refuse_websockets(inner)
    if any(not hasattr(http, "send") for http in https):
        raise TypeError(f"octroi: {type(client).__name__} is no client of openai, anthropic or google-genai")
    if any("send" in vars(http) for http in https):
        raise ValueError("octroi: this client is wrapped already")
    for http in https:
        Guard(octroi, http, account, member, free, error)
    return client


def _https_of_google(client: Any) -> list[Any]:
    api = client._api_client
    # Only httpx is guarded; aiohttp and google-auth's sessions would pass beside it.
    for name in ("_use_aiohttp", "_use_google_auth_sync", "_use_google_auth_async"):
        if hasattr(api, name):
            setattr(api, name, lambda: False)
    if hasattr(client, "aio"):
        client.aio.live.connect = _no_websockets
    return [http for http in (api._httpx_client, api._async_httpx_client) if http is not None]


def _refuse_websockets(client: Any) -> None:
    """A connection on which an application could ask again and again has no hold."""
    kind = type(client)
    if hasattr(client, "websocket_base_url"):
        no_address = property(lambda self: "refused-by-octroi://websockets-are-not-guarded", lambda self, value: None)
        client.__class__ = type(kind.__name__, (kind,), {"websocket_base_url": no_address, "__module__": kind.__module__})


def _no_websockets(*arguments: Any, **named: Any) -> NoReturn:
    refuse("websockets are not guarded")

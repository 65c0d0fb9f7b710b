"""octroi, as an application calls it.

The rules are written once, as generators that yield what has to be done: `Octroi` does it at once, `AsyncOctroi` awaits it.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import functools
import inspect
import json
import logging
import os
import random
import secrets
import threading
import time
import urllib.parse
import weakref
from datetime import datetime, timedelta, timezone
from types import TracebackType
from typing import (
    Any, AsyncIterable, AsyncIterator, Awaitable, Callable, Dict, Generator, Iterable, Iterator, List, NamedTuple, NoReturn,
    Optional, Set, Tuple, Type, TypeVar, Union,
)

from . import _http
from ._answers import (
    FINAL_STATUSES, WORTH_REPEATING, AlreadyAsked, Answer, Charge, Credits, Refusal, Settlement, Unavailable, refusal,
)
from ._grace import Graces, Use, is_covered
from ._spool import Spool
from ._usage import StreamUsage, is_refused, plain, usage_of

TRIES = 4
DEADLINE_SECONDS = 15.0
HOLD_SECONDS = 600
REFUSING = (401, 402, 403)
FIRST_WAIT_SECONDS = 0.2

Json = Dict[str, Any]
T = TypeVar("T")
C = TypeVar("C", bound="Core")
Logger = Union[logging.Logger, "logging.LoggerAdapter[Any]"]


class Ask(NamedTuple):
    """One try to get an answer of octroi."""

    method: str
    path: str
    body: bytes
    seconds: float


class Wait(NamedTuple):
    seconds: float


class Work(NamedTuple):
    """Something that may wait for a disk or a lock."""

    run: Callable[[], Any]


Steps = Generator[Union[Ask, Wait, Work], Any, T]


# ---- holds -------------------------------------------------------------------------------------------------


class HoldBase:
    """Permission for one AI request.  It ends once: by settle, partial or failed."""

    def __init__(self, octroi: Core, answer: Json, booking: Optional[Json] = None) -> None:
        self._octroi = octroi
        self._booking = booking
        self._process = os.getpid()
        self._is_open = [True]  # pop() is atomic: of two threads, one ends the hold
        self.id: str = answer["hold"]
        self.source: str = answer["source"]
        """platform, or byok where the account's own provider key is to be used"""
        self.provider: Optional[str] = answer.get("provider")
        self.model: Optional[str] = answer.get("model")
        """The model to ask; None for an action."""
        self._read(answer)

    def _read(self, answer: Json) -> None:
        self._most: Optional[int] = answer.get("maxOutputTokens")
        self.reservedMicros: int = answer["reservedMicros"]
        self.availableMicros: int = answer["availableMicros"]
        self.balanceMicros: int = answer["balanceMicros"]
        self.expiresAt: str = answer["expiresAt"]
        """RFC 3339"""

    @property
    def maxOutputTokens(self) -> int:
        """The most tokens that the AI request may ask for."""
        if self._most is None:
            raise AttributeError("octroi: an action has no maxOutputTokens")
        return self._most

    @property
    def is_grace(self) -> bool:
        """Whether octroi did not answer and a grace covers the request.  It is booked later; balance and available are 0."""
        return self._booking is not None

    @property
    def is_ended(self) -> bool:
        return not self._is_open

    def _end(self, outcome: str, usage: Any, more: Json) -> Steps[Settlement]:
        self._is_open.clear()
        usage = plain(usage)
        # Without any count a complete request is one that broke off.
        outcome = "partial" if outcome == "complete" and usage is None and not more else outcome
        settlement = {**more, "hold": self.id, **({} if usage is None else {"usage": usage})}
        settlement = settlement if outcome == "complete" else {**settlement, "outcome": outcome}
        return self._octroi._settle(settlement, self._booking)

    def _abandon(self) -> Optional[Steps[None]]:
        """Ends a hold that nobody settled, as the application chose.  A forked child leaves it to its parent."""
        try:
            if self._process != os.getpid() or not self._is_open.pop():
                return None
        except IndexError:
            return None
        outcome = self._octroi._abandoned
        self._octroi._log(logging.WARNING, "a hold was not settled", {"hold": self.id, "outcome": outcome})
        return self._octroi._quietly(self._end(outcome, None, {}))

    def _ask_for_more(self, ttlSeconds: Optional[int], maxOutputTokens: Optional[int]) -> Steps[None]:
        if self._booking is not None:
            self.id, self._booking = (yield from self._octroi._book(self._booking)), None
        self._read((yield from self._octroi._extend(self.id, ttlSeconds, maxOutputTokens)))

    def __del__(self) -> None:
        if hasattr(self, "expiresAt"):
            self._abandon_now()

    def _abandon_now(self) -> None:
        """Outside of any event loop: for a hold that is collected, and for the end of the program."""
        steps = self._abandon()
        if steps is not None:
            self._octroi._run(steps)

    def __copy__(self) -> NoReturn:
        raise TypeError("octroi: a hold is for one AI request")

    def __reduce__(self) -> NoReturn:
        raise TypeError("octroi: a hold is for one AI request, of this process")


class Hold(HoldBase):
    """Permission for one AI request.  As a context, it ends a request that nobody settled as `abandoned` says."""

    def settle(self, usage: Any = None, **more: Any) -> Settlement:
        """Charges the tokens that were used: the provider's usage object as it came, or members such as inputTokens.

        Raises Conflict or InvalidRequest if octroi refuses the settlement for good.
        """
        return self._octroi._run(self._end("complete", usage, more))

    def partial(self, usage: Any = None, **more: Any) -> Settlement:
        """Ends a hold whose AI request broke off.  Without a usage, the reservation is charged."""
        return self._octroi._run(self._end("partial", usage, more))

    def failed(self) -> Settlement:
        """Ends a hold whose AI request the provider refused: nothing is charged."""
        return self._octroi._run(self._end("failed", None, {}))

    def extend(self, ttlSeconds: Optional[int] = None, maxOutputTokens: Optional[int] = None) -> Hold:
        """Asks for more time, or for more output.  The members of the hold are the new ones afterwards."""
        self._octroi._run(self._ask_for_more(ttlSeconds, maxOutputTokens))
        return self

    def stream(self, chunks: Iterable[T], count: Optional[Callable[[T], int]] = None) -> Iterator[T]:
        """Passes the provider's chunks on, and settles after the last one, or when the caller stops.

        The usage object is found in the chunks (OpenAI, Anthropic, Gemini).  A stream that ends without one is charged for
        the output tokens that `count` counted, or else for the reservation.
        """
        meter = _StreamMeter(self, count)
        try:
            for chunk in chunks:
                meter.add(chunk)
                yield chunk
            meter.is_whole = True
        finally:
            close = getattr(chunks, "close", None)  # after a break, the provider has to stop too
            if close is not None:
                close()
            steps = meter.end()
            if steps is not None:
                self._octroi._run(steps)

    def __enter__(self) -> Hold:
        return self

    def __exit__(self, kind: Optional[Type[BaseException]], e: Optional[BaseException], tb: Optional[TracebackType]) -> None:
        self._abandon_now()


class AsyncHold(HoldBase):
    """As Hold, for asyncio."""

    async def settle(self, usage: Any = None, **more: Any) -> Settlement:
        return await self._octroi._run_shielded(self._end("complete", usage, more))

    async def partial(self, usage: Any = None, **more: Any) -> Settlement:
        return await self._octroi._run_shielded(self._end("partial", usage, more))

    async def failed(self) -> Settlement:
        return await self._octroi._run_shielded(self._end("failed", None, {}))

    async def extend(self, ttlSeconds: Optional[int] = None, maxOutputTokens: Optional[int] = None) -> AsyncHold:
        await self._octroi._run_async(self._ask_for_more(ttlSeconds, maxOutputTokens))
        return self

    async def stream(self, chunks: AsyncIterable[T], count: Optional[Callable[[T], int]] = None) -> AsyncIterator[T]:
        meter = _StreamMeter(self, count)
        try:
            async for chunk in chunks:
                meter.add(chunk)
                yield chunk
            meter.is_whole = True
        finally:
            close = getattr(chunks, "aclose", None) or getattr(chunks, "close", None)
            if close is not None:
                await close()
            steps = meter.end()
            if steps is not None:
                await self._octroi._run_shielded(steps)

    async def __aenter__(self) -> AsyncHold:
        return self

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], e: Optional[BaseException], tb: Optional[TracebackType]
    ) -> None:
        steps = self._abandon()
        if steps is not None:
            await self._octroi._run_shielded(steps)

    def _abandon_now(self) -> None:
        steps = self._abandon()
        if steps is not None:
            self._octroi._run_aside(steps)


class _StreamMeter:
    def __init__(self, hold: HoldBase, count: Optional[Callable[[Any], int]]) -> None:
        self.is_whole = False
        self._hold, self._count, self._output, self._usage = hold, count, 0, StreamUsage()

    def add(self, chunk: Any) -> None:
        self._usage.add(chunk)
        self._output += self._count(chunk) if self._count is not None else 0

    def end(self) -> Optional[Steps[None]]:
        if self._hold.is_ended or self._hold._process != os.getpid():
            return None
        known = self._usage.known
        more = {"outputTokens": self._output} if known is None and self._count is not None else {}
        outcome = "complete" if self.is_whole and known is not None else "partial"
        return self._hold._octroi._quietly(self._hold._end(outcome, known, more))


# ---- the rules ---------------------------------------------------------------------------------------------


class Core:
    """The rules that Octroi and AsyncOctroi share.

    abandoned        outcome of a hold that nobody settled: partial (charged, the default) or failed (free)
    locale           language of octroi's own sentences: en or fr
    spool            file for settlements that cannot be delivered
    logger           of the standard library; `octroi` unless given
    ca               file with the certificates to trust instead of the system's
    connect_seconds, answer_seconds   limits of one try
    on_outage        while octroi does not answer: refuse (the default), or grace, within the amount that octroi gave
    """

    API = _http.API
    _hold_type: Type[HoldBase] = Hold

    def __init__(
        self, url: str, key: str, *, abandoned: str = "partial", locale: str = "en", spool: Optional[str] = None,
        logger: Optional[Logger] = None, ca: Optional[str] = None, connect_seconds: float = 1.0, answer_seconds: float = 10.0,
        on_outage: str = "refuse",
    ) -> None:
        try:
            if abandoned not in ("partial", "failed"):
                raise ValueError("octroi: abandoned is partial or failed")
            if on_outage not in ("refuse", "grace") or (on_outage == "grace" and not spool):
                raise ValueError("octroi: on_outage is refuse, or grace with a spool")
            door = _http.Door(url, key, locale, ca, connect_seconds, answer_seconds)
        finally:
            del key  # a traceback shows the variables of its frames
        self.locale = door.locale
        self._abandoned = abandoned
        self._logger = logger or logging.getLogger("octroi")
        self._spool = Spool(os.fspath(spool), self._warn) if spool else None
        self._transport = _http.HttpTransport(door)
        self._async_transport = _http.AsyncHttpTransport(door, self._transport)
        self._graces = Graces(self._spool, self._warn) if self._spool is not None and on_outage == "grace" else None
        self._open: Dict[str, weakref.ReferenceType[HoldBase]] = {}
        self._tasks: Set[asyncio.Task[Any]] = set()
        atexit.register(_abandon_open_holds, weakref.ref(self))
        self._beginning: Optional[threading.Thread] = None
        if self._spool is not None and not self._spool.is_empty():
            self._beginning = threading.Thread(target=_replay_once, args=(weakref.ref(self),), name="octroi", daemon=True)
            self._beginning.start()

    @classmethod
    def from_environment(cls: Type[C], **options: Any) -> C:
        """A client with OCTROI_INTERNAL_URL (http://127.0.0.1:8081), OCTROI_GUARD_KEY, OCTROI_SPOOL and OCTROI_ON_OUTAGE."""
        url = os.environ.get("OCTROI_INTERNAL_URL") or "http://127.0.0.1:8081"
        options.setdefault("spool", os.environ.get("OCTROI_SPOOL"))
        options.setdefault("on_outage", os.environ.get("OCTROI_ON_OUTAGE") or "refuse")
        return cls(url, os.environ.get("OCTROI_GUARD_KEY", ""), **options)

    def __reduce__(self) -> NoReturn:
        raise TypeError("octroi: a key is not stored")

    def wrap(
        self, client: T, account: Union[str, Callable[[], Optional[str]], None] = None, *, member: Optional[str] = None,
        free: Tuple[str, ...] = (),
    ) -> T:
        """Guards all requests of an OpenAI, Anthropic or Google client; returns that client.

        The account is `account`, or that of `acting_for`.  Calls that no rule knows are refused, but for the paths in `free`.
        """
        from . import _wrap

        return _wrap.wrap(self, client, account, member, free)

    # ---- calls ----

    def _authorize(self, request: Json) -> Steps[HoldBase]:
        request = _with_id(request)
        if self._graces is not None and is_covered(request):
            return (yield from self._authorize_or_use(self._graces, request))
        return self._new_hold(request, (yield from self._ask("POST", "/api/guard/authorize", request)))

    def _authorize_or_use(self, graces: Graces, request: Json) -> Steps[HoldBase]:
        """Asks for a grace too, and uses that of an earlier answer where there is no answer now."""
        asked = yield Work(functools.partial(graces.ask, request["account"]))
        place = {"grace": {"place": asked.place}} if asked is not None else {}
        answer = yield from self._ask("POST", "/api/guard/authorize", {**request, **place})
        if answer.status in WORTH_REPEATING:
            use = yield Work(functools.partial(graces.use, request))
            if use is not None:
                return self._grace_hold(use)
        elif answer.error and answer.status in REFUSING:
            yield Work(functools.partial(graces.forget, request["account"]))
        hold = self._new_hold(request, answer)
        if asked is not None:
            yield Work(functools.partial(graces.note, request, asked, answer.document))
        return hold

    def _grace_hold(self, use: Use) -> HoldBase:
        request, cost = use.booking, use.cost
        self._warn("no answer, a grace was used", {"requestId": request["requestId"], "micros": cost.micros})
        expires = datetime.now(timezone.utc) + timedelta(seconds=request.get("ttlSeconds") or HOLD_SECONDS)
        made = self._hold_type(self, {
            "hold": "grace-" + request["requestId"], "source": "platform", "provider": cost.provider, "model": cost.model,
            "maxOutputTokens": cost.most, "reservedMicros": cost.micros, "availableMicros": 0, "balanceMicros": 0,
            "expiresAt": expires.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }, request)
        self._open[made.id] = weakref.ref(made)
        return made

    def _new_hold(self, request: Json, answer: Answer) -> HoldBase:
        hold = answer.document
        if answer.status != 200 or not _is_hold(hold, "model" in request or "models" in request):
            raise refusal(answer)
        # An open hold is this call's own if an earlier try had no answer.
        if hold["replayed"] and not (answer.tries > 1 and hold.get("holdState") == "open"):
            raise AlreadyAsked(answer, "the hold of an earlier request")
        made = self._hold_type(self, hold)
        self._open[made.id] = weakref.ref(made)
        return made

    def _settle(self, settlement: Json, booking: Optional[Json] = None) -> Steps[Settlement]:
        hold: str = settlement["hold"]
        self._open.pop(hold, None)
        try:
            if booking is not None:
                settlement = {**settlement, "hold": (yield from self._book(booking))}
                hold, booking = settlement["hold"], None
            answer = yield from self._ask("POST", "/api/guard/settle", settlement)
            if answer.status in (400, 413) and answer.error and settlement != _reserved(settlement):
                # A usage object that contradicts itself is not free: the reservation is charged.
                self._warn("a usage object was refused", {"hold": hold, "field": answer.document.get("field")})
                settlement = _reserved(settlement)
                answer = yield from self._ask("POST", "/api/guard/settle", settlement)
        except Unavailable:  # the use of a grace, which octroi still knows nothing of
            yield Work(functools.partial(self._keep, settlement, booking))
            return Settlement(hold, False, {})
        except Refusal:
            raise
        except BaseException:  # a signal, or a task that is cancelled
            self._keep(settlement, booking)
            raise
        settled = answer.document
        names = ("settlement", "costMicros", "balanceMicros", "availableMicros")
        if answer.status == 200 and all(settled.get(name) is not None for name in names):
            if self._spool is not None and not self._spool.is_empty():
                yield Work(functools.partial(self._spool.replay, self._deliver, 1))
            return Settlement(hold, True, settled)
        if answer.is_final():
            raise refusal(answer)
        yield Work(functools.partial(self._keep, settlement))
        return Settlement(hold, False, settled)

    def _book(self, booking: Json) -> Steps[str]:
        """Books the use of a grace; its hold.  Unavailable where octroi has neither taken nor refused it."""
        answer = yield from self._ask("POST", "/api/guard/authorize", booking)
        hold = answer.document.get("hold")
        if answer.status == 200 and isinstance(hold, str) and hold:
            return hold
        raise refusal(answer) if answer.is_final() else Unavailable(answer, "the use of a grace is not booked")

    def _deliver(self, entries: List[Json]) -> List[Json]:
        """Delivers a batch of the spool; the entries that octroi has neither taken nor refused."""
        kept: List[Json] = []
        settlements: List[Json] = []
        by_hold: Dict[str, Json] = {}
        for entry in entries:
            try:
                hold = self._hold_of(entry) if not kept else None
            except Refusal as e:
                self._log(logging.ERROR, "a spooled use of a grace was refused", {"reason": str(e), **entry})
                continue
            if hold is None:
                kept.append(entry)
            elif "settlement" in entry:
                by_hold[hold] = entry
                settlements.append({**entry["settlement"], "hold": hold})
        left = self._settle_many(settlements) if settlements else []
        return kept + [_kept_entry(by_hold[settlement["hold"]], settlement) for settlement in left]

    def _hold_of(self, entry: Json) -> Optional[str]:
        """The hold of an entry; None while octroi is away."""
        if "authorization" not in entry:
            held: str = entry["settlement"]["hold"]
            return held
        try:
            return self._run(self._book(entry["authorization"]))
        except Unavailable:
            return None

    def _settle_many(self, settlements: List[Json]) -> List[Json]:
        """Settles a batch; those that octroi has neither taken nor refused."""
        answer = self._run(self._ask("POST", "/api/guard/settle", {"settlements": settlements}))
        results = answer.document.get("results") if answer.status == 200 else None
        if not isinstance(results, list) or len(results) != len(settlements):
            return settlements
        kept: List[Json] = []
        for settlement, result in zip(settlements, results):
            status = result.get("status") if isinstance(result, dict) else None
            reserved = _reserved(settlement)
            if status == 400 and settlement != reserved:
                kept += self._settle_many([reserved])
            elif status in FINAL_STATUSES:
                self._log(logging.ERROR, "a spooled settlement was refused", {"status": status, **settlement})
            elif status != 200:
                kept.append(settlement)
        return kept

    def _extend(self, hold: str, ttlSeconds: Optional[int], maxOutputTokens: Optional[int]) -> Steps[Json]:
        wanted = {"ttlSeconds": ttlSeconds, "maxOutputTokens": maxOutputTokens}
        asked = {"hold": hold, **{name: value for name, value in wanted.items() if value is not None}}
        answer = yield from self._ask("POST", "/api/guard/extend", asked)
        if answer.status != 200 or not _is_hold(answer.document, False) or answer.document["hold"] != hold:
            raise refusal(answer)
        return answer.document

    def _charge(self, request: Json) -> Steps[Charge]:
        answer = yield from self._ask("POST", "/api/guard/charge", _with_id(request))
        charge = answer.document
        names = ("creditsConsumed", "creditsRemaining", "costMicros", "balanceMicros", "message", "replayed")
        if answer.status != 200 or charge.get("success") is not True or any(charge.get(name) is None for name in names):
            raise refusal(answer)
        if charge["replayed"] and answer.tries == 1:
            raise AlreadyAsked(answer, "the action of an earlier request")
        return Charge(charge)

    def _credits(self, account: str) -> Steps[Credits]:
        answer = yield from self._ask("GET", "/api/credits?account=" + urllib.parse.quote(account, safe=""))
        names = ("balanceMicros", "availableMicros", "balanceFormatted", "low")
        if answer.status != 200 or any(answer.document.get(name) is None for name in names):
            raise refusal(answer)
        return Credits(answer.document)

    def _token(self, request: Json) -> Steps[str]:
        answer = yield from self._ask("POST", "/api/tokens", request)
        token = answer.document.get("token")
        if answer.status not in (200, 201) or not isinstance(token, str):
            raise refusal(answer)
        return token

    def _replay(self) -> Steps[int]:
        if self._beginning is not None and self._beginning is not threading.current_thread():
            yield Work(self._beginning.join)
        if self._spool is None or self._spool.is_empty():
            return 0
        left: int = yield Work(functools.partial(self._spool.replay, self._deliver))
        return left

    # ---- asking ----

    def _ask(self, method: str, path: str, request: Optional[Json] = None) -> Steps[Answer]:
        """Asks until there is an answer, for 15 s at most.  Repeating is safe: the request id and the hold stay the same."""
        try:
            body = b"" if request is None else json.dumps(request, allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError):
            return Answer.local("the request is no JSON")
        deadline = time.monotonic() + DEADLINE_SECONDS
        for attempt in range(1, TRIES + 1):
            answer: Answer = yield Ask(method, path, body, deadline - time.monotonic())
            answer.tries = attempt
            jitter = FIRST_WAIT_SECONDS * 2 ** (attempt - 1) * random.uniform(0.5, 1)
            wait = max(jitter, answer.retry_after or 0)
            if answer.status not in WORTH_REPEATING or attempt == TRIES or time.monotonic() + wait >= deadline:
                break
            yield Wait(wait)
        return answer

    def _quietly(self, steps: Steps[Any]) -> Steps[None]:
        """For what may not disturb an answer that was paid for: a refusal is logged."""
        try:
            yield from steps
        except Refusal as e:
            self._log(logging.ERROR, "a settlement was refused", {"reason": str(e)})

    def _keep(self, settlement: Json, booking: Optional[Json] = None) -> None:
        if booking is not None:
            settlement = {name: value for name, value in settlement.items() if name != "hold"}
        is_spooled = self._spool is not None and self._spool.add(settlement, booking)
        level = logging.WARNING if is_spooled else logging.ERROR
        self._log(level, "not settled, spooled" if is_spooled else "not settled", settlement)

    def _warn(self, message: str, context: Json) -> None:
        self._log(logging.WARNING, message, context)

    def _log(self, level: int, message: str, context: Json) -> None:
        self._logger.log(level, "octroi: %s: %s", message, json.dumps(context, default=str))

    # ---- doing ----

    def _run(self, steps: Steps[T]) -> T:
        """Does the steps at once."""
        told: Any = None
        try:
            while True:
                step = steps.send(told)
                if isinstance(step, Ask):
                    told = self._transport.send(*step)
                elif isinstance(step, Wait):
                    told = time.sleep(step.seconds)  # type: ignore[func-returns-value]
                else:
                    told = step.run()
        except StopIteration as e:
            done: T = e.value
            return done
        except BaseException as e:
            _interrupt(steps, e)
            raise

    async def _run_async(self, steps: Steps[T]) -> T:
        """Does the steps, and lets others work meanwhile."""
        loop = asyncio.get_running_loop()
        told: Any = None
        try:
            while True:
                step = steps.send(told)
                if isinstance(step, Ask):
                    told = await self._async_transport.send(*step)
                elif isinstance(step, Wait):
                    told = await asyncio.sleep(step.seconds)  # type: ignore[func-returns-value]
                else:
                    told = await loop.run_in_executor(None, step.run)
        except StopIteration as e:
            done: T = e.value
            return done
        except BaseException as e:
            _interrupt(steps, e)
            raise

    async def _run_shielded(self, steps: Steps[T]) -> T:
        """A settlement goes on when its caller is cancelled."""
        task = asyncio.ensure_future(self._run_async(steps))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return await asyncio.shield(task)

    def _run_aside(self, steps: Steps[Any]) -> None:
        """Does the steps in a thread, because an event loop may not wait; at once where no thread can start any more."""
        try:
            threading.Thread(target=self._run, args=(steps,), name="octroi").start()
        except RuntimeError:
            self._run(steps)


def _interrupt(steps: Steps[Any], e: BaseException) -> None:
    """Tells rules that wait for an answer of the interruption, so that a settlement is spooled."""
    if inspect.getgeneratorstate(steps) == inspect.GEN_SUSPENDED:
        with contextlib.suppress(BaseException):
            steps.throw(e)


def _abandon_open_holds(reference: weakref.ReferenceType[Core]) -> None:
    octroi = reference()
    for open_hold in list(octroi._open.values()) if octroi is not None else ():
        hold = open_hold()
        steps = hold._abandon() if hold is not None else None
        if steps is not None and octroi is not None:
            octroi._run(steps)


def _replay_once(reference: weakref.ReferenceType[Core]) -> None:
    """In a thread, so that no request waits for it.  Without an answer the spool stays as it is."""
    octroi = reference()
    if octroi is not None and octroi._spool is not None:
        octroi._spool.replay(octroi._deliver)


def _kept_entry(entry: Json, settlement: Json) -> Json:
    """The entry with the settlement that is still to be made."""
    without = {name: value for name, value in settlement.items() if name != "hold" or "authorization" not in entry}
    return {**entry, "settlement": without}


def _reserved(settlement: Json) -> Json:
    """The settlement that charges the reservation."""
    return {"hold": settlement["hold"], "outcome": "partial"}


def _with_id(request: Json) -> Json:
    """The request with an id, without which a repetition would be a second request."""
    given = request.get("requestId")
    return {**request, "requestId": secrets.token_hex(16) if given is None else given}


def _is_hold(hold: Json, of_model: bool) -> bool:
    numbers = ("reservedMicros", "availableMicros", "balanceMicros") + (("maxOutputTokens",) if of_model else ())
    return (
        hold.get("decision") == "allow"
        and all(isinstance(hold.get(name), str) and hold[name] for name in ("hold", "source", "expiresAt"))
        and all(type(hold.get(name)) is int for name in numbers)
        and isinstance(hold.get("replayed"), bool)
    )


# ---- the clients -------------------------------------------------------------------------------------------


class Octroi(Core):
    """octroi, as an application calls it.  One object serves a whole process, its threads and its forked children."""

    def authorize(self, **request: Any) -> Hold:
        """Asks for permission to send one AI request: account, and model, models or action; more as in octroi's API.

        Raises a Refusal if there is no permission.
        """
        hold = self._run(self._authorize(request))
        assert isinstance(hold, Hold)
        return hold

    hold = authorize

    def guard(self, work: Callable[[Hold], T], **request: Any) -> T:
        """Calls `work` with a hold, and settles it: with the `usage` of its result, unless `work` has settled itself.

        A result with the provider's `error` and no usage is free.  A `work` that raises, or whose result has neither, is
        charged as `abandoned` says.
        """
        with self.authorize(**request) as hold:
            result = work(hold)
            steps = _end_by(hold, result)
            if steps is not None:
                self._run(steps)
            return result

    def guarded(self, **request: Any) -> Callable[[Callable[..., T]], Callable[..., T]]:
        """A decorator: the function gets a hold before its own arguments.  See `guard`; a generator settles at its end.

        Members that are functions are called with the arguments: account=lambda user, question: f"user:{user}".
        """

        def decorate(function: Callable[..., T]) -> Callable[..., T]:
            @functools.wraps(function)
            def guarded(*arguments: Any, **named: Any) -> T:
                wanted = _resolved(request, arguments, named)
                if inspect.isgeneratorfunction(function):
                    hold = self.authorize(**wanted)
                    return hold.stream(function(hold, *arguments, **named))  # type: ignore[return-value]
                return self.guard(lambda hold: function(hold, *arguments, **named), **wanted)

            return guarded

        return decorate

    def charge(self, **request: Any) -> Charge:
        """Checks and pays for an action in one call: account, action, quantity, member, requestId, metadata."""
        return self._run(self._charge(request))

    def credits(self, account: str) -> Credits:
        """The balance and the last movements of an account.  The key needs the scope app."""
        return self._run(self._credits(account))

    def token(self, **request: Any) -> str:
        """A token for the user's browser, good for 15 minutes at most.  The key needs the scope app."""
        return self._run(self._token(request))

    def replay(self) -> int:
        """Sends what is in the spool; the number of settlements that are left there."""
        return self._run(self._replay())

    def close(self) -> None:
        self._transport.close()


class _Pending:
    """`await` it, or enter it with `async with`."""

    def __init__(self, octroi: AsyncOctroi, request: Json) -> None:
        self._octroi, self._request = octroi, request
        self._hold: Optional[AsyncHold] = None

    async def _authorize(self) -> AsyncHold:
        hold = await self._octroi._run_async(self._octroi._authorize(self._request))
        assert isinstance(hold, AsyncHold)
        return hold

    def __await__(self) -> Generator[Any, None, AsyncHold]:
        return self._authorize().__await__()

    async def __aenter__(self) -> AsyncHold:
        self._hold = await self._authorize()
        return self._hold

    async def __aexit__(
        self, kind: Optional[Type[BaseException]], e: Optional[BaseException], tb: Optional[TracebackType]
    ) -> None:
        if self._hold is not None:
            await self._hold.__aexit__(kind, e, tb)


class AsyncOctroi(Core):
    """As Octroi, for asyncio: with httpx where it is installed, and with threads otherwise."""

    _hold_type = AsyncHold

    def authorize(self, **request: Any) -> _Pending:
        return _Pending(self, request)

    hold = authorize

    async def guard(self, work: Callable[[AsyncHold], Awaitable[T]], **request: Any) -> T:
        async with self.authorize(**request) as hold:
            result = await work(hold)
            steps = _end_by(hold, result)
            if steps is not None:
                await self._run_shielded(steps)
            return result

    def guarded(self, **request: Any) -> Callable[[Callable[..., T]], Callable[..., T]]:
        """A decorator for a function or a generator with `async def`."""

        def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(function)
            async def guarded(*arguments: Any, **named: Any) -> Any:
                wanted = _resolved(request, arguments, named)
                return await self.guard(lambda hold: function(hold, *arguments, **named), **wanted)

            @functools.wraps(function)
            async def streamed(*arguments: Any, **named: Any) -> AsyncIterator[Any]:
                hold = await self.authorize(**_resolved(request, arguments, named))
                chunks = hold.stream(function(hold, *arguments, **named))
                try:
                    async for chunk in chunks:
                        yield chunk
                finally:
                    await chunks.aclose()  # type: ignore[attr-defined]

            return streamed if inspect.isasyncgenfunction(function) else guarded

        return decorate

    async def charge(self, **request: Any) -> Charge:
        return await self._run_async(self._charge(request))

    async def credits(self, account: str) -> Credits:
        return await self._run_async(self._credits(account))

    async def token(self, **request: Any) -> str:
        return await self._run_async(self._token(request))

    async def replay(self) -> int:
        return await self._run_async(self._replay())

    async def aclose(self) -> None:
        await self._async_transport.aclose()
        self._transport.close()


def _end_by(hold: HoldBase, result: Any) -> Optional[Steps[None]]:
    """Ends a hold by the provider's answer, where that says enough."""
    usage = usage_of(result)
    if hold.is_ended or (usage is None and not is_refused(result)):
        return None
    return hold._octroi._quietly(hold._end("failed" if usage is None else "complete", usage, {}))


def _resolved(request: Json, arguments: Tuple[Any, ...], named: Json) -> Json:
    return {name: value(*arguments, **named) if callable(value) else value for name, value in request.items()}

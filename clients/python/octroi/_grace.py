"""Graces: amounts that octroi lets a place use for an account while it does not answer.

The place is a spool: its processes share the directory FILE.grace, in which each use is counted under a lock before the AI
request goes out.  An entry that is lost, copied elsewhere or broken is no grace.  The PHP client has the same files.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import time
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional

from ._spool import Spool

SLOT_ENTRIES = 16
SLOT_BYTES = 1 << 16
COSTS = 8
GRACE = ("serial", "limitMicros", "endsAt", "signature")
NUMBERS = ("serial", "limitMicros", "bookedMicros", "endsAt", "seconds")
INPUTS = ("inputTokens", "inputBytes")
NOT_COVERED = ("models", "fit", "fitMinimum", "byok")

Json = Dict[str, Any]


class Asked(NamedTuple):
    """The state of an account when octroi was asked."""

    place: str
    at: float
    used: int
    is_all_booked: bool


class Cost(NamedTuple):
    """The hold of an earlier request: a like one with no more input and output costs no more."""

    kind: str
    input: int
    output: Optional[int]
    micros: int
    most: Optional[int]
    version: int
    provider: Optional[str]
    model: Optional[str]


class Use(NamedTuple):
    """A use that was counted: the authorize that books it, and what it may cost."""

    booking: Json
    cost: Cost


class _Slot:
    """The entries of a file, the latest first, locked."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._inode = os.fstat(fd).st_ino
        try:
            text = os.pread(fd, SLOT_BYTES + 1, 0)
            read = json.loads(text) if len(text) <= SLOT_BYTES else []
        except (ValueError, RecursionError):
            read = []
        self._entries: List[Json] = [entry for entry in read if _is_entry(entry)] if isinstance(read, list) else []

    def known(self, account: str) -> Optional[Json]:
        return next((entry for entry in self._entries if entry["account"] == account), None)

    def entry(self, account: str) -> Json:
        """The account's entry, made if it is not there."""
        new = {"account": account, "nonce": secrets.token_hex(16), "place": "", "used": 0, "seen": 0, "until": 0}
        return self.known(account) or {**new, "grace": None, "costs": []}

    def place(self, entry: Json) -> str:
        """The entry's name towards octroi.  A copy of the file has another inode, a copy of the disk another machine."""
        return hashlib.sha256(f"{entry['nonce']}\n{self._inode}\n{_machine()}".encode()).hexdigest()[:32]

    def write(self, entry: Json, is_lasting: bool = False) -> None:
        """Writes the changed entry; is_lasting: it has to outlive a power cut."""
        others = [other for other in self._entries if other["account"] != entry["account"]]
        text = json.dumps([entry, *others][:SLOT_ENTRIES], separators=(",", ":")).encode()
        os.ftruncate(self._fd, 0)  # half a text is no entry
        if os.pwrite(self._fd, text, 0) != len(text):
            raise OSError("the disk is full")
        if is_lasting:
            os.fsync(self._fd)


class Graces:
    def __init__(self, spool: Spool, warn: Callable[[str, Json], None]) -> None:
        self._spool = spool
        self._directory = spool.path + ".grace"
        self._warn = warn

    def ask(self, account: str) -> Optional[Asked]:
        """Makes the account's place known; None where this cannot be kept."""
        try:
            with self._locked(account) as slot:
                entry = slot.entry(account)
                if slot.known(account) is None:
                    slot.write(entry)
                return Asked(slot.place(entry), time.time(), entry["used"], self._spool.is_empty())
        except OSError:
            self._warn("the graces cannot be kept", {"directory": self._directory})
            return None

    def note(self, request: Json, asked: Asked, answer: Json) -> None:
        """Takes in the answer of octroi: the grace, what is booked, and what such a request costs."""
        with contextlib.suppress(OSError), self._locked(request["account"]) as slot:
            entry = slot.entry(request["account"])
            if slot.place(entry) != asked.place:
                return
            if "grace" in answer:
                self._take(entry, asked, answer["grace"])
            cost = _cost_of(request, answer)
            if cost is not None:
                others = (old for old in entry["costs"] if not _replaces(cost, Cost(**old)))
                entry["costs"] = [cost._asdict(), *others][:COSTS]
            slot.write(entry)

    def forget(self, account: str) -> None:
        """octroi refuses the account: it has no grace any more."""
        with contextlib.suppress(OSError), self._locked(account) as slot:
            slot.write({**slot.entry(account), "grace": None}, True)

    def use(self, request: Json) -> Optional[Use]:
        """Counts a use and spools its booking; None where no grace covers it."""
        try:
            with self._locked(request["account"]) as slot:
                return self._use(slot, request)
        except OSError:
            return None

    def _use(self, slot: _Slot, request: Json) -> Optional[Use]:
        entry, now = slot.entry(request["account"]), time.time()
        cost = _cheapest(entry, request)
        if cost is None or entry["place"] != slot.place(entry) or not _is_valid(entry, now):
            return None
        grace = entry["grace"]
        if entry["used"] + cost.micros > grace["limitMicros"]:
            return None
        entry["used"] += cost.micros
        entry["seen"] = now
        slot.write(entry, True)
        used = {**{name: grace[name] for name in GRACE}, "micros": cost.micros, "priceVersion": cost.version}
        booking = {**request, "grace": {"place": slot.place(entry), "used": used}}
        if not self._spool.add(None, booking):
            return None  # it stays counted
        return Use(booking, cost)

    def _take(self, entry: Json, asked: Asked, grace: Any) -> None:
        is_one = isinstance(grace, dict) and all(type(grace.get(name)) is int for name in NUMBERS)
        entry["grace"] = {name: grace[name] for name in GRACE} if is_one and isinstance(grace.get("signature"), str) else None
        entry["place"] = asked.place
        entry["seen"] = time.time()
        entry["until"] = asked.at + grace["seconds"] if entry["grace"] is not None else 0
        # All that was used is booked, so that octroi's sum is the truth.
        if entry["grace"] is not None and asked.is_all_booked and self._spool.is_empty() and entry["used"] == asked.used:
            entry["used"] = grace["bookedMicros"]

    @contextlib.contextmanager
    def _locked(self, account: str) -> Iterator[_Slot]:
        import fcntl  # a system without it has no spool

        os.makedirs(self._directory, 0o700, exist_ok=True)
        name = hashlib.sha256(account.encode(errors="replace")).hexdigest()[:3]
        fd = os.open(os.path.join(self._directory, name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield _Slot(fd)
        finally:
            os.close(fd)


def is_covered(request: Json) -> bool:
    """Whether a grace may cover requests of this form."""
    numbers = all(request.get(name) is None or type(request[name]) is int for name in (*INPUTS, "maxOutputTokens"))
    others = any(request.get(name) is not None for name in NOT_COVERED)
    return numbers and isinstance(request.get("account"), str) and not others


# ---- entries -----------------------------------------------------------------------------------------------


def _machine() -> str:
    try:
        with open("/etc/machine-id", encoding="ascii") as file:
            return file.read(64).strip()
    except (OSError, ValueError):
        return ""


def _is_entry(entry: Any) -> bool:
    if not isinstance(entry, dict) or type(entry.get("used")) is not int:
        return False
    texts = all(isinstance(entry.get(name), str) for name in ("account", "nonce", "place"))
    numbers = all(isinstance(entry.get(name), (int, float)) for name in ("seen", "until"))
    grace, costs = entry.get("grace"), entry.get("costs")
    is_whole = grace is None or (isinstance(grace, dict) and all(name in grace for name in GRACE))
    if not texts or not numbers or not is_whole or not isinstance(costs, list):
        return False
    return all(isinstance(cost, dict) and set(cost) == set(Cost._fields) for cost in costs)


def _is_valid(entry: Json, now: float) -> bool:
    """A clock that was set back is no clock: it would make the grace longer."""
    return entry["grace"] is not None and bool(entry["seen"] <= now < entry["until"])


# ---- costs -------------------------------------------------------------------------------------------------


def _kind(request: Json) -> str:
    """The digest of all that a request costs by, but its input and output."""
    said = [request.get(name) for name in ("model", "action", "quantity", "variant", "serviceTier", "counts")]
    said.append([name for name in INPUTS if request.get(name) is not None])
    return hashlib.sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).hexdigest()[:32]


def _input(request: Json) -> int:
    given = [request[name] for name in INPUTS if request.get(name) is not None]
    return int(given[0]) if given else 0


def _cost_of(request: Json, answer: Json) -> Optional[Cost]:
    version = answer.get("priceVersion")
    if not is_covered(request) or answer["source"] != "platform" or type(version) is not int:
        return None
    most = answer.get("maxOutputTokens")
    output = None if request.get("maxOutputTokens") is None else most
    return Cost(
        _kind(request), _input(request), output, answer["reservedMicros"], most, version, answer.get("provider"),
        answer.get("model"),
    )


def _replaces(new: Cost, old: Cost) -> bool:
    is_like = new.kind == old.kind and (new.output is None) == (old.output is None)
    return is_like and (new.version != old.version or (new.input >= old.input and (new.output or 0) >= (old.output or 0)))


def _covers(cost: Cost, request: Json) -> bool:
    output = request.get("maxOutputTokens")
    if cost.kind != _kind(request) or _input(request) > cost.input or (output is None) != (cost.output is None):
        return False
    return output is None or output <= (cost.output or 0)


def _cheapest(entry: Json, request: Json) -> Optional[Cost]:
    costs = [cost for cost in (Cost(**known) for known in entry["costs"]) if _covers(cost, request)]
    cost = min(costs, key=lambda cost: cost.micros) if costs else None
    output = request.get("maxOutputTokens")
    return cost._replace(most=output) if cost is not None and output is not None else cost

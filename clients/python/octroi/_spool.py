"""The spool: a file of settlements and of uses of graces that could not be delivered, one JSON object a line.

Writers append whole lines of at most 4 KiB, and lock the file for that moment.  A replay moves the file away and works on
FILE.work; a replay that was interrupted is begun again, because a settlement has one effect.  The PHP client has the same
file.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any, Callable, Dict, List, Optional

try:
    import fcntl
except ImportError:  # pragma: no cover
    fcntl = None  # type: ignore[assignment]  # Windows: no spool

LINE_BYTES = 4096
FILE_BYTES = 16 << 20
AGE_SECONDS = 30 * 86400
BATCH = 25  # 25 lines of 4 KiB fit the 128 KiB of a request

Json = Dict[str, Any]
Deliver = Callable[[List[Json]], List[Json]]
Warn = Callable[[str, Json], None]


class Spool:
    def __init__(self, path: str, warn: Warn) -> None:
        if fcntl is None:
            raise ValueError("octroi: this system has no file locks, and so no spool")
        self.path = path
        self._work = path + ".work"
        self._warn = warn

    def add(self, settlement: Optional[Json], authorization: Optional[Json] = None) -> bool:
        """Appends a settlement, the use of a grace, or the settlement of such a use; False where the file cannot take it."""
        use = {} if authorization is None else {"authorization": authorization}
        line = _entry_line(use, settlement)
        if len(line) > LINE_BYTES and settlement is not None:
            line = _entry_line(use, {**{n: settlement[n] for n in ("hold",) if n in settlement}, "outcome": "partial"})
        fd = self._open_locked() if len(line) <= LINE_BYTES else None
        if fd is None:
            return False
        try:
            size = os.fstat(fd).st_size
            return size + len(line) <= FILE_BYTES and _append(fd, line, size)
        except OSError:
            return False
        finally:
            os.close(fd)

    def is_empty(self) -> bool:
        return not os.path.exists(self.path) and not os.path.exists(self._work)

    def replay(self, deliver: Deliver, batches: Optional[int] = None) -> int:
        """Sends everything, or so many batches; the number of settlements that are left."""
        try:
            lock = os.open(self.path + ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            self._warn("the spool cannot be read", {"file": self.path})
            return 1
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left = self._send_work(deliver, batches)
            if left == 0 and self._take_over():
                left = self._send_work(deliver, batches)
            return left
        except BlockingIOError:
            return 0  # another process replays
        except OSError:
            self._warn("the spool cannot be read", {"file": self._work})
            return 1
        finally:
            os.close(lock)

    def _send_work(self, deliver: Deliver, batches: Optional[int]) -> int:
        """Sends lines of FILE.work, and keeps the others there; the number of these."""
        lines = self._read_work()
        while lines and (batches is None or batches > 0):
            batches = None if batches is None else batches - 1
            entries = [entry for entry in map(self._parse, lines[:BATCH]) if entry is not None]
            kept = deliver(entries) if entries else []
            lines = lines[BATCH:] + [_line(entry) for entry in kept]
            self._rewrite_work(lines)
            if kept:
                break
        return len(lines)

    def _read_work(self) -> List[bytes]:
        try:
            with open(self._work, "rb") as file:
                return file.readlines()
        except FileNotFoundError:
            return []

    def _parse(self, line: bytes) -> Optional[Json]:
        try:
            entry = json.loads(line)
            if entry["at"] >= time.time() - AGE_SECONDS and _is_entry(entry):
                return dict(entry)
        except (ValueError, TypeError, LookupError, RecursionError):
            pass
        self._warn("a line of the spool was dropped", {"line": line.decode(errors="replace").rstrip()})
        return None

    def _take_over(self) -> bool:
        """Makes FILE the next FILE.work; False where there is nothing to send."""
        if not os.path.exists(self.path):
            return False
        fd = self._open_locked()
        if fd is None:
            return False
        try:
            os.rename(self.path, self._work)
        finally:
            os.close(fd)
        return True

    def _rewrite_work(self, lines: List[bytes]) -> None:
        if not lines:
            os.unlink(self._work)
            return
        new = self.path + ".new"
        try:
            with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
                file.writelines(lines)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            return  # the lines are sent again, without effect
        os.rename(new, self._work)

    def _open_locked(self) -> Optional[int]:
        """The file, opened with O_APPEND and locked, and still at its place."""
        for _ in range(100):
            try:
                fd = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except OSError:
                return None
            try:
                fcntl.flock(fd, fcntl.LOCK_EX)
                if os.stat(self.path).st_ino == os.fstat(fd).st_ino:
                    return fd
            except OSError:
                pass
            os.close(fd)  # a replay has moved it away meanwhile
        return None


def _append(fd: int, line: bytes, size: int) -> bool:
    """Whole lines only: a part of a line, as of a full disk or a killed writer, would spoil the next one."""
    if size > 0 and os.pread(fd, 1, size - 1) != b"\n":
        line = b"\n" + line
    if os.write(fd, line) != len(line):
        os.ftruncate(fd, size)
        return False
    os.fsync(fd)
    return True


def _is_entry(entry: Json) -> bool:
    if "authorization" in entry:
        return isinstance(entry["authorization"]["requestId"], str) and isinstance(entry.get("settlement", {}), dict)
    return isinstance(entry["settlement"]["hold"], str)


def _entry_line(use: Json, settlement: Optional[Json]) -> bytes:
    return _line({"at": int(time.time()), **use, **({} if settlement is None else {"settlement": settlement})})


def _line(entry: Json) -> bytes:
    return json.dumps(entry, separators=(",", ":")).encode() + b"\n"

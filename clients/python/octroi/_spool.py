"""The spool: a file of settlements that could not be delivered, one JSON object a line.

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
SettleMany = Callable[[List[Json]], List[Json]]
Warn = Callable[[str, Json], None]


class Spool:
    def __init__(self, path: str, warn: Warn) -> None:
        if fcntl is None:
            raise ValueError("octroi: this system has no file locks, and so no spool")
        self._path = path
        self._work = path + ".work"
        self._warn = warn

    def add(self, settlement: Json) -> bool:
        """Appends a settlement; False where the file cannot take it."""
        line = _line(settlement, int(time.time()))
        if len(line) > LINE_BYTES:
            line = _line({"hold": settlement["hold"], "outcome": "partial"}, int(time.time()))
        fd = self._open_locked()
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
        return not os.path.exists(self._path) and not os.path.exists(self._work)

    def replay(self, settle_many: SettleMany, batches: Optional[int] = None) -> int:
        """Sends everything, or so many batches; the number of settlements that are left."""
        try:
            lock = os.open(self._path + ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            self._warn("the spool cannot be read", {"file": self._path})
            return 1
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            left = self._send_work(settle_many, batches)
            if left == 0 and self._take_over():
                left = self._send_work(settle_many, batches)
            return left
        except BlockingIOError:
            return 0  # another process replays
        except OSError:
            self._warn("the spool cannot be read", {"file": self._work})
            return 1
        finally:
            os.close(lock)

    def _send_work(self, settle_many: SettleMany, batches: Optional[int]) -> int:
        """Sends lines of FILE.work, and keeps the others there; the number of these."""
        lines = self._read_work()
        while lines and (batches is None or batches > 0):
            batches = None if batches is None else batches - 1
            entries = [entry for entry in map(self._parse, lines[:BATCH]) if entry is not None]
            times = {entry["settlement"]["hold"]: entry["at"] for entry in entries}
            kept = settle_many([entry["settlement"] for entry in entries]) if entries else []
            lines = lines[BATCH:] + [_line(settlement, times[settlement["hold"]]) for settlement in kept]
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
            if entry["at"] >= time.time() - AGE_SECONDS and isinstance(entry["settlement"]["hold"], str):
                return dict(entry)
        except (ValueError, TypeError, LookupError, RecursionError):
            pass
        self._warn("a line of the spool was dropped", {"line": line.decode(errors="replace").rstrip()})
        return None

    def _take_over(self) -> bool:
        """Makes FILE the next FILE.work; False where there is nothing to send."""
        if not os.path.exists(self._path):
            return False
        fd = self._open_locked()
        if fd is None:
            return False
        try:
            os.rename(self._path, self._work)
        finally:
            os.close(fd)
        return True

    def _rewrite_work(self, lines: List[bytes]) -> None:
        if not lines:
            os.unlink(self._work)
            return
        new = self._path + ".new"
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
                fd = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except OSError:
                return None
            try:
                fcntl.flock(fd, fcntl.LOCK_EX)
                if os.stat(self._path).st_ino == os.fstat(fd).st_ino:
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


def _line(settlement: Json, at: int) -> bytes:
    return json.dumps({"at": at, "settlement": settlement}, separators=(",", ":")).encode() + b"\n"

#!/usr/bin/python3
"""More than octroi can serve, and less than it needs, beside a load whose every call and answer is written down.

    OCTROI_BUILD=build tests/overload/overload.py [SCENE…] [--seconds N] [--seed N]     # make overload

Each scene begins with the load alone, then comes the trouble, then its end; nobody helps octroi.  After each the
history is held against the ledger (tests/history) and audited; the exit status is 0 when nothing is wrong.  The table
has, of each scene:

  connections     that the trouble makes, beside those of the load
  answered, refused, no answer      operations of the load that were done; that were refused; calls answered 503 or not at all
  lost            lost, doubled or invented by the history's checker
  MiB, files      resident memory and descriptors of octroi: before, most, and afterwards
  p99             of what the load was answered, in milliseconds: alone, and beside the trouble
  longest         call of the load during the trouble, in seconds, whatever became of it
  recovery        seconds from the trouble's end until something was answered that had been asked after it

p99 is of a load that asks again as soon as it is answered, from clients that share the machine with all the rest.
"""

import argparse
import collections
import concurrent.futures
import contextlib
import dataclasses
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / name) for name in ("lib", "model", "history")]

import fastcgi  # noqa: E402
from askers import Askers  # noqa: E402
from checker import check  # noqa: E402
from client import UNKNOWN, Load  # noqa: E402
from crowd import Crowd, knock, storm  # noqa: E402
from guard import key_of  # noqa: E402
from octroi import Octroi, alive, wait_until  # noqa: E402
from rowlock import Lock, Session  # noqa: E402
from smalldisk import SIZE_MIB, SmallDisk, why_not  # noqa: E402
from swarm import Swarm, raise_descriptor_limit  # noqa: E402
from watch import Calls, Watch  # noqa: E402

RESIDENT_KIB_MAX = 96 * 1024
ROOM_BYTES = 64 << 20  # that mariadbd needs to start and to work
DESCRIPTORS_OTHER = 200  # octroi's own: a file for each worker, database, log, sockets
KEPT_BY_NGINX = 64 * os.cpu_count()  # connections beside those that it uses, 64 of each of its processes
DEFAULTS = {"connections_max": 20000, "queue_max": 4096, "holds_max": 10000, "threads": 64}
# Of the database; counted only where there is a limit from its beginning.
USER_CONNECTIONS = 200
# A queue that the load alone does not fill, and so many askers that they do, whatever is taken out of it at once.
QUEUE_ACTIVE, QUEUE_MAX, QUEUE_ASKERS = 12, 16, 100
# With time enough that nobody is refused for being late.
QUEUE_SETTINGS = {"queue_max": QUEUE_MAX, "threads": 200, "request_timeout_ms": 120000, "db_timeout_ms": 60000}


@dataclasses.dataclass
class Sizes:
    """Of all scenes.  seconds: how long it is measured, 0: until the load has so many answers."""

    seconds: float = 0
    answers: int = 150
    active: int = 16     # connections of the load
    idle: int = 300
    slow: int = 100
    pause: float = 0.05  # between two bytes of a slow one
    storms: int = 4
    storm: int = 150
    limit: int = 96      # connections_max, when it is to be reached
    unproven: int = 300
    rounds: int = 2      # of a queue that is full, of connections that are refused
    holds: int = 60      # holds_max, when it is to be reached
    fills: int = 2       # of the disk, at most: until what the load has written leaves too little to fill
    disk_mib: int = SIZE_MIB
    asks: int = 16
    away: float = 0      # seconds without database
    request_ms: int = 3000  # request_timeout_ms
    db_ms: int = 1000       # db_timeout_ms; short, so that a silent database is given up soon


LONG = Sizes(seconds=30, answers=2000, active=200, idle=10_000, slow=2_000, pause=1, storms=100, storm=1_000, limit=1_000,
             unproven=5_000, rounds=20, holds=10_000, fills=5, disk_mib=2048, asks=200, away=150, request_ms=10_000, db_ms=10_000)


@dataclasses.dataclass
class Row:
    scene: str
    connections: int = 0
    counts: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    no_answer: int = 0
    problems: list = dataclasses.field(default_factory=list)
    resident: tuple = ()     # KiB before, most, afterwards
    descriptors: tuple = ()
    alone: float = 0.0       # seconds
    beside: float = 0.0
    longest: float = 0.0
    recovery: float = 0.0
    note: str = ""


def conf(o, key):
    return re.search(rf"^{key} = (.*)$", pathlib.Path(o.env["OCTROI_CONF"]).read_text(), re.M)[1]


def socket_of(o):
    return conf(o, "listen_internal").removeprefix("unix:")


class Trial:
    """One scene being played."""

    def __init__(self, o, sizes, load, watch):
        self.o, self.sizes, self.load, self.watch = o, sizes, load, watch
        self.socket = socket_of(o)
        self.window = self.elsewhere = None
        self.note = ""

    def go_on(self):
        """The load, for as long as it is measured."""
        if self.sizes.seconds == 0:
            self.load.wait_for(self.sizes.answers, 120)
            return
        end = time.monotonic() + self.sizes.seconds
        wait_until(lambda: time.monotonic() >= end, self.sizes.seconds + 10)
        self.load.wait_for(1, 120)

    @contextlib.contextmanager
    def beside(self):
        """Calls made meanwhile are beside the trouble."""
        begun = time.monotonic_ns()
        yield
        self.window = (begun, time.monotonic_ns())


# ---- the database is well ------------------------------------------------------------------------------------

def idle_and_slow(t):
    """Silent connections, half of them unproven, and others that send a byte a second; some through nginx."""
    s, web = t.sizes, t.o.internal_url
    with Crowd(s.idle + s.slow) as crowd:
        crowd.add_idle(t.socket, s.idle * 9 // 10, served=s.idle * 9 // 20)
        crowd.add_idle(web, s.idle // 10)
        crowd.add_slow(t.socket, s.slow * 9 // 10, s.pause)
        crowd.add_slow(web, s.slow // 10, s.pause)
        with t.beside():
            t.go_on()
        t.note = f"{sum(one.cut for one in crowd.slow)} slow ones cut"
        return len(crowd)


def listens(path):
    with contextlib.suppress(OSError), knock(path):
        return True
    return False


def storms(t):
    """One after the other without a pause, to the socket and to nginx in turn; before that as many upon a server that has
    nothing to do with octroi."""
    s = t.sizes
    with tempfile.TemporaryDirectory(prefix="octroi-bystander-") as directory:
        other = os.path.join(directory, "socket")
        bystander = subprocess.Popen([sys.executable, str(TESTS / "overload" / "bystander.py"), other])
        try:
            wait_until(lambda: listens(other), 30, "a bystander")
            begun = time.monotonic_ns()
            for _ in range(s.storms):
                storm(other, s.storm)
            t.elsewhere = (begun, time.monotonic_ns())
        finally:
            bystander.kill()
            bystander.wait()
    with t.beside():
        made = sum(storm(t.socket if n % 4 else t.o.internal_url, s.storm) for n in range(s.storms))
        t.load.wait_for(1)
    return made


def at_the_limit(t):
    """More unproven connections than octroi keeps; their clients connect again when they are cut."""
    s = t.sizes
    with Crowd(s.unproven) as crowd:
        crowd.add_idle(t.socket, s.unproven // 2)
        with t.beside():
            crowd.add_slow(t.socket, s.unproven // 2, s.pause)
            for _ in range(20):
                assert fastcgi.call(t.socket, "GET", "/healthz").status == 200
            t.go_on()
        assert t.watch.descriptors_max <= s.limit + DESCRIPTORS_OTHER, t.watch.descriptors_max
        return len(crowd)


def flood_of_holds(t):
    """Holds on one account and nothing else, from as many connections as the load has."""
    s, o = t.sizes, t.o
    account = o.account(funds_micros=10**12)
    with Swarm([o.internal_url], s.active) as swarm:
        body = {"account": account, "model": "gpt-4o", "inputTokens": 1, "maxOutputTokens": 1}
        request = swarm.request("POST", "/api/guard/authorize", o.keys["guard"], body)
        statuses = collections.Counter()
        with t.beside():
            end = time.monotonic() + s.seconds
            while statuses[429] < s.holds // 4 or time.monotonic() < end:
                statuses.update(answer.status for answer in swarm.run([request] * s.active))
        assert set(statuses) == {200, 429} and statuses[200] == s.holds, statuses
        assert o.sql(f"SELECT open_holds FROM accounts WHERE id = {key_of(account)}") == [(str(s.holds),)]
        t.note = f"{statuses[200]} holds, {statuses[429]} refused"
        return s.active


# ---- octroi cannot write ---------------------------------------------------------------------------------------

def queue_full(t):
    """Somebody holds the row that the first of a batch needs, until most of the rest has been refused."""
    enough = QUEUE_ASKERS - 2 * QUEUE_MAX
    with Askers(t.o, QUEUE_ASKERS) as askers, concurrent.futures.ThreadPoolExecutor(1) as pool:
        with t.beside():
            for _ in range(t.sizes.rounds):
                lock, seen = Lock(t.o, f"accounts WHERE id = {key_of(askers.account)}"), collections.Counter()
                asked = pool.submit(askers.ask, QUEUE_ASKERS, lambda _, answer, seen=seen: seen.update([answer.status]))
                try:
                    wait_until(lambda seen=seen: seen[503] >= enough, 40, f"{enough} refusals of a queue of {QUEUE_MAX}")
                finally:
                    lock.release()
                asked.result(120)
                askers.must_not_be_there()
        askers.repeat()
        t.note = f"full {t.sizes.rounds} times"
        return QUEUE_ASKERS


def shut_out(o, mine):
    """Ends octroi's connections but for mine; true once there was none, and one for reading was refused."""
    others = o.sql(f"SELECT id FROM information_schema.processlist WHERE user = 'octroi' AND id <> {mine}")
    for id, in others:
        with contextlib.suppress(RuntimeError):  # gone by itself
            o.sql(f"KILL {id}")
    return not others and o.get("/readyz", key=None).status == 503


def connections_refused(t):
    """Somebody else has the only connection to the database that octroi's user may have."""
    o = t.o
    with Askers(o) as askers:
        with t.beside():
            for _ in range(t.sizes.rounds):
                other = Session(o, as_octroi=True)
                mine = other.ask("SELECT CONNECTION_ID();")
                o.sql("SET GLOBAL max_user_connections = 1")
                try:
                    wait_until(lambda: shut_out(o, mine), 60, "a refusal")
                    assert askers.ask(t.sizes.asks) == t.sizes.asks
                finally:
                    o.sql(f"SET GLOBAL max_user_connections = {USER_CONNECTIONS}")
                    other.close()
                askers.must_not_be_there()
                t.load.wait_for(10, 120)
        askers.repeat()
        return t.sizes.asks


def pause(begun):
    """Until the next second of the scene begins: a refusal comes in microseconds, and each is asked for again in the end."""
    seconds = int(time.monotonic() - begun) + 1
    wait_until(lambda: time.monotonic() >= begun + seconds, 10)


def database_gone(t):
    """Killed, and not started again for minutes."""
    o = t.o
    with Askers(o) as askers:
        with t.beside():
            o.kill("db")
            begun = time.monotonic()
            while True:
                asked = t.sizes.asks
                assert askers.ask(asked) == asked
                if time.monotonic() >= begun + t.sizes.away:
                    break
                pause(begun)
        o.start()
        askers.must_not_be_there()
        askers.repeat()
        return t.sizes.asks


def database_silent(t):
    """The database takes connections and says nothing."""
    o = t.o
    with Askers(o) as askers:
        with t.beside():
            o.kill("db", signal.SIGSTOP)
            try:
                begun = time.monotonic()
                while askers.ask(t.sizes.asks) == 0 or time.monotonic() < begun + t.sizes.away:
                    pause(begun)
            finally:
                o.kill("db", signal.SIGCONT)
        askers.repeat()
        return t.sizes.asks


def disk_full(t, binary_log=False):
    """Filled until charges fail, and freed again; where mariadbd has ended itself of it, it is started again."""
    o, ended, filled, fills_max = t.o, 0, 0, 1 if binary_log else t.sizes.fills
    with Askers(o) as askers:
        with t.beside():
            while filled < fills_max and o.free_bytes() > ROOM_BYTES:
                def refused():
                    o.fill()
                    return askers.ask(t.sizes.asks) == t.sizes.asks
                wait_until(refused, 120, "a disk that is full")
                o.free()
                ended += make_serve(o)
                if ended == 0 and not binary_log:
                    askers.must_not_be_there()
                t.load.wait_for(10, 120)
                askers.repeat()
                filled += 1
        assert filled > 0
        t.note = f"filled {filled} times, mariadbd ended itself {ended} times"
        return t.sizes.asks


def disk_full_binary_log(t):
    """As disk_full, and mariadbd, which waits a minute for room for its binary log, may do then what was refused
    meanwhile."""
    return disk_full(t, binary_log=True)


def make_serve(o):
    """Starts mariadbd if it has ended; whether it had."""
    def answers():
        try:
            return o.sql("SELECT 1") == [("1",)]
        except RuntimeError:
            return False
    wait_until(lambda: answers() or not alive(o.db_pid), 60, "mariadbd to answer, or to end")
    if alive(o.db_pid):
        return False
    o.start()
    return True


# ---- playing them ------------------------------------------------------------------------------------------------

@dataclasses.dataclass
class Scene:
    name: str
    play: object
    well: bool               # the database is, and nobody of the load is answered 503
    settings: object = None  # of octroi, by the sizes
    active: int = 0          # connections of the load, where it is not that of all
    small_disk: bool = False
    binary_log: bool = False  # there, too


SCENES = [
    Scene("idle and slow", idle_and_slow, True),
    Scene("storms", storms, True),
    Scene("at the limit", at_the_limit, True, lambda s: {"connections_max": s.limit}),
    Scene("flood of holds", flood_of_holds, True, lambda s: {"holds_max": s.holds}),
    Scene("queue full", queue_full, False, lambda s: QUEUE_SETTINGS, active=QUEUE_ACTIVE),
    Scene("connections refused", connections_refused, False),
    Scene("database gone", database_gone, False),
    Scene("database silent", database_silent, False),
    Scene("disk full", disk_full, False, small_disk=True),
    Scene("binary log full", disk_full_binary_log, False, small_disk=True, binary_log=True),
]


def play(o, scene, sizes, seed=1):
    """The Row of a scene; what is wrong with it is in its problems, or raised."""
    sizes = dataclasses.replace(sizes, active=scene.active or sizes.active)
    o.start(**{**DEFAULTS, "request_timeout_ms": sizes.request_ms, "db_timeout_ms": sizes.db_ms,
               **(scene.settings(sizes) if scene.settings else {})})
    directory = tempfile.mkdtemp(prefix="octroi-overload-")
    row = Row(scene.name)
    try:
        with Load(o, directory, connections=sizes.active // 2, seed=seed, deadline=60) as load, Watch(o.pid) as watch:
            t = Trial(o, sizes, load, watch)
            load.wait_for(sizes.answers, 120)
            before = watch.now()
            begun = time.monotonic_ns()
            t.go_on()
            alone = (begun, time.monotonic_ns())
            row.connections = scene.play(t)
            wait_until(lambda: load.served_since(t.window[1]), 120, "an answer after the trouble")
            load.wait_for(sizes.answers, 120)
            wait_until(lambda: watch.now()[1] <= before[1] + KEPT_BY_NGINX, 30, "descriptors as they were")
            after = watch.now()
        calls = Calls(load.files)
        row.recovery = recovery_seconds(calls, t.window[1])
        row.resident = (before[0], watch.resident_max, after[0])
        row.descriptors = (before[1], watch.descriptors_max, after[1])
        row.alone, row.beside = calls.p99(alone), calls.p99(t.window)
        row.longest, row.no_answer, row.note = calls.longest(t.window), calls.without_answer(), t.note
        if t.elsewhere:
            row.note = f"p99 beside the same upon another server {milliseconds(calls.p99(t.elsewhere))}"
        row.problems = check(o, load.files, row.counts)
        o.audit()
    finally:
        shutil.rmtree(directory)
    judge(row, scene)
    return row


def recovery_seconds(calls, since_ns):
    """Until something was answered that had been asked after that."""
    return min((begun + taken * 1e9 - since_ns for begun, taken, status in calls.calls
                if begun > since_ns and status not in UNKNOWN)) / 1e9


def judge(row, scene):
    """Further conditions."""
    if scene.well and row.no_answer:
        row.problems.append(f"{row.no_answer} calls were not served, and nothing was in their way")
    if row.resident[1] > RESIDENT_KIB_MAX and "OCTROI_SANITIZER" not in os.environ:
        row.problems.append(f"{row.resident[1]} KiB resident")


# ---- the table ---------------------------------------------------------------------------------------------------

HEAD = ("scene", "connections", "answered", "refused", "no answer", "lost", "MiB", "files", "p99 alone", "beside", "longest", "recovery",
        "note")


def line(row):
    return (row.scene, row.connections, row.counts["acknowledged"] + row.counts["read"], row.counts["refused"], row.no_answer,
            len(row.problems), " / ".join(f"{kib / 1024:.0f}" for kib in row.resident), " / ".join(map(str, row.descriptors)),
            milliseconds(row.alone), milliseconds(row.beside), f"{row.longest:.1f} s", f"{row.recovery:.2f} s", row.note)


def milliseconds(seconds):
    return "" if seconds is None else f"{seconds * 1000:.0f} ms"


def table(rows):
    lines = [HEAD, ("---",) * len(HEAD), *(line(row) for row in rows)]
    return "\n".join("| " + " | ".join(map(str, columns)) + " |" for columns in lines)


@contextlib.contextmanager
def stage(disk_mib=0, binary_log=False):
    """An octroi for scenes, its database on a disk of that size, 0: where it always is."""
    log = {"log_bin": "binary", "sync_binlog": 1} if binary_log else {}
    more = {"db_settings": {"max_user_connections": USER_CONNECTIONS, **log}, "audit": False}
    with SmallDisk("nginx", size_mib=disk_mib, **more) if disk_mib else Octroi("nginx", **more) as o:
        yield o


def played(o, scene, sizes, seed):
    """play(), and what it raises as a problem: the next scene brings back what has died."""
    try:
        return play(o, scene, sizes, seed)
    except Exception:  # noqa: BLE001 (told in the end)
        return Row(scene.name, problems=[traceback.format_exc(limit=-3)], alone=None, beside=None)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenes", nargs="*", metavar="SCENE", help="only these: " + ", ".join(scene.name for scene in SCENES))
    parser.add_argument("--seconds", type=float, default=LONG.seconds, help="that each is measured (default %(default)s)")
    parser.add_argument("--short", action="store_true", help="as make check plays them")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    unknown = set(options.scenes) - {scene.name for scene in SCENES}
    if unknown:
        parser.error("no such scene: " + ", ".join(sorted(unknown)))
    sizes = Sizes() if options.short else dataclasses.replace(LONG, seconds=options.seconds)
    raise_descriptor_limit(sizes.idle + sizes.slow + 4096)
    rows = []
    for place in ((False, False), (True, False), (True, True)):
        chosen = [scene for scene in SCENES if place == (scene.small_disk, scene.binary_log)
                  and scene.name in (options.scenes or [scene.name])]
        if chosen and place[0] and why_not():
            print(f"not played: {', '.join(scene.name for scene in chosen)}: {why_not()}", file=sys.stderr)
            continue
        if not chosen:
            continue
        with stage(sizes.disk_mib if place[0] else 0, place[1]) as o:
            for scene in chosen:
                rows.append(played(o, scene, sizes, options.seed))
                print(" ".join(map(str, line(rows[-1]))), *rows[-1].problems[:20], sep="\n  ", file=sys.stderr, flush=True)
    print(table(rows))
    return 1 if any(row.problems for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())

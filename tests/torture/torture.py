"""One octroi that is tortured: any of its calls fails when it is told to (torture.c), and stories are played to it.

    with Tortured(o) as victim:                     # o: a running Octroi, whose octroi makes room
        story = Play(victim, stories.guard)
        story.rehearse()                            # played once, with nothing failing: the right answers
        story.play({3: Fault(MEMORY, FAILS, nth=17)})

A step of a story is one request, on a connection of its own.  Where its fault was met, what comes is held against what
is right: the answer as rehearsed, 503 with Retry-After, or a connection that is closed; and unless it was the answer,
the same request is sent again, which then has to be answered as rehearsed.  After each step octroi must have
come to rest with as many descriptors and blocks of memory as before, or it is tried again whether that grows.
"""

import collections
import ctypes
import dataclasses
import functools
import json
import mmap
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "lib"), str(HERE.parent)]

import fastcgi  # noqa: E402
from contract import Contract  # noqa: E402
from octroi import Answer, alive, as_daemon, build_dir, give_to_daemon, wait_until  # noqa: E402

MEMORY, DATABASE, SYSTEM = 1, 2, 3
FAILS, AFTERWARDS, EXHAUSTED, INTERRUPTED = range(4)
# Calls that can fail, and how; see torture.c.
WAYS = {"memory": (MEMORY, FAILS), "database-lost": (DATABASE, FAILS), "database-lost-after": (DATABASE, AFTERWARDS),
        "database-memory": (DATABASE, EXHAUSTED), "system-error": (SYSTEM, FAILS), "system-closed": (SYSTEM, AFTERWARDS),
        "system-half": (SYSTEM, EXHAUSTED), "system-interrupted": (SYSTEM, INTERRUPTED)}

ANSWER_SECONDS = 20
UNAVAILABLE = "#/components/responses/Unavailable"
PATIENCE_SECONDS = 10  # for the right answer, once nothing fails any more
LEAK_ROUNDS = 8
LEAK_CALLERS = 5
# Libraries that end the process, or fall over, where they have no memory.
LIBRARIES_THAT_END = ("libfcgi.so.0", "libcjose.so.0", "libjansson.so.4", "libmariadb.so.3", "libglib-2.0.so.0")
# OpenSSL says that it has begun also where it has not, and falls over at what is first asked of it.
LIBRARIES_THAT_END_AT_THE_START = (*LIBRARIES_THAT_END, "libcrypto.so.3")
# Blocks that libraries themselves forget where memory is short: libmariadb the packets of a result's columns when it
# cannot unpack them, libcjose the context of a signature that cannot be made.
LEAKS_OF_LIBRARIES = {"libmariadb.so.3": 2, "libcjose.so.0": 2}
SITES_MAX, FRAMES_MAX, MODULES_MAX, NAME_BYTES, SPARED_MAX = 65536, 24, 128, 24, 64


class _Site(ctypes.Structure):
    _fields_ = [("hash", ctypes.c_uint64), ("module", ctypes.c_uint64), ("name", ctypes.c_char * NAME_BYTES)]


class _Frame(ctypes.Structure):
    _fields_ = [("module", ctypes.c_uint64), ("offset", ctypes.c_uint64)]


class _Control(ctypes.Structure):
    """struct control of torture.c."""
    _fields_ = [(name, ctypes.c_uint64) for name in (
        "what", "kind", "others", "nth", "hash", "lasting", "count", "fired", "servers", "waiting", "accepted", "closed",
        "blocks", "sites", "fired_hash", "spared")] + [("spare", ctypes.c_uint64 * SPARED_MAX),
        ("fired_name", ctypes.c_char * NAME_BYTES), ("frames", ctypes.c_uint64), ("frame", _Frame * FRAMES_MAX),
        ("module", ctypes.c_char * 128 * MODULES_MAX), ("site", _Site * SITES_MAX)]


@dataclasses.dataclass(frozen=True)
class Fault:
    what: int          # MEMORY, DATABASE or SYSTEM
    kind: int
    nth: int = 1       # 0: nothing fails, the sites are written down
    hash: int = 0      # the nth call of this site; 0: the nth of any
    others: int = 0    # of the threads that serve nobody
    lasting: int = 0   # and all that come after


def compile_library(home):
    library = home / "torture.so"
    flags = subprocess.run(["pkg-config", "--cflags", "libmariadb"], stdout=subprocess.PIPE, text=True, check=True)
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-g", "-Wall", "-Wextra", "-Werror", *flags.stdout.split(),
                    "-o", library, HERE / "torture.c"], check=True)
    return library


class Tortured:
    """The octroi of o, started anew with torture.c in it, one thread that serves, and sockets of its own."""

    def __init__(self, o, more_settings=None):
        self.o = o
        self.more = more_settings or {}
        self.process = None
        self._told = {}
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="octroi-torture-"))
        os.chmod(self.home, 0o755)
        self.run = self.home / "run"
        self.run.mkdir()
        page = self.home / "control"
        with open(page, "wb") as file:
            file.truncate(ctypes.sizeof(_Control))
        os.chmod(page, 0o666)
        give_to_daemon(self.run)
        self.library = compile_library(self.home)
        with open(page, "r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        self.c = _Control.from_buffer(self._map)
        self.page = page
        self.log_path = self.home / "octroi.log"
        if o.pid and alive(o.pid):
            o.kill("octroi", signal.SIGTERM)
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Ends it in an orderly way."""
        try:
            if self.process is not None and self.is_alive():
                self.stop()
        finally:
            if self.process is not None and self.process.poll() is None:
                self.process.kill()
                self.process.wait()
            shutil.rmtree(self.home, ignore_errors=True)

    def command(self):
        conf = pathlib.Path(self.o.env["OCTROI_CONF"])
        preload = [f"LD_PRELOAD={self.library}", f"TORTURE_CONTROL={self.page}"]
        return [*as_daemon(), "env", *preload, str(conf.parent / "bin" / "octroi"), "-c", str(conf)]

    def environment(self):
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("OCTROI_", "LISTEN_", "NOTIFY_"))}
        settings = {"listen": f"unix:{self.run}/public.sock", "listen_internal": f"unix:{self.run}/internal.sock",
                    "log": "stderr", "sandbox": "off", "threads": 1, "db_connections": 2, **self.more}
        return {**kept, **{f"OCTROI_{key.upper()}": str(value) for key, value in settings.items()}}

    def start(self):
        """Until it serves, with nothing failing."""
        assert self.launch()[0], self.log()[-4000:]

    def launch(self, fault=None):
        """Starts it with a call failing, if any; (whether it serves, how many calls came into question)."""
        self.disarm()
        for name in ("servers", "waiting", "accepted", "closed", "blocks"):
            setattr(self.c, name, 0)
        for socket in self.run.iterdir():
            socket.unlink()
        if fault:
            self.arm(fault)
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command(), env=self.environment(), stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, start_new_session=True)
        wait_until(lambda: not self.is_alive() or ((self.run / "internal.sock").exists() and self.at_rest()), 30, "the start")
        self.disarm()
        count = self.c.count
        # A thread that serves nobody may still be at the call that failed for it.
        wait_until(lambda: not self.is_alive() or self.is_ready(), 30, "the database's connection")
        return self.is_alive(), count

    def stop(self):
        """Ends it in an orderly way."""
        self.disarm()
        self.process.terminate()
        assert self.process.wait(20) == 0, self.log()[-4000:]

    def is_alive(self):
        return self.process.poll() is None

    def is_ready(self):
        answer = self.call("GET", "/readyz")
        return answer is not None and answer.status == 200

    def log(self):
        return self.log_path.read_text(errors="replace")

    # -- what fails -------------------------------------------------------------------------------

    def arm(self, fault):
        """For the calls from now on; nothing may be under way."""
        c = self.c
        c.what = 0
        c.kind, c.others, c.nth, c.hash, c.lasting = fault.kind, fault.others, fault.nth, fault.hash, fault.lasting
        c.count = c.fired = c.sites = c.frames = 0
        c.what = fault.what
        self._armed_at = time.monotonic()

    def seconds_armed(self):
        return time.monotonic() - self._armed_at

    def disarm(self):
        self.c.what = 0

    def sites(self):
        """[(hash, library that called)] of what was written down, in the order of the calls."""
        assert self.c.sites <= SITES_MAX, "more calls than can be written down"
        return [(site.hash, self._library(site.module)) for site in self.c.site[:self.c.sites]]

    def _library(self, module):
        return pathlib.Path(self.c.module[module].value.decode()).name if module < MODULES_MAX else "?"

    def told(self):
        """The call that failed and its callers, for a person."""
        key = self.c.fired_hash
        if key not in self._told:
            self._told[key] = [self.c.fired_name.decode(), *(
                self._place(frame.module, frame.offset) for frame in self.c.frame[:self.c.frames])]
        return self._told[key]

    def place(self):
        """The call that failed, with fewer callers than make a site."""
        return tuple((frame.module, frame.offset) for frame in self.c.frame[:LEAK_CALLERS])

    def failed_for(self):
        """The library that octroi had called when it failed, whatever libc did between, "" when it was octroi's own call."""
        names = [self._library(frame.module) for frame in self.c.frame[:self.c.frames]]
        if names[:1] == ["octroi"] and names[1:2] != ["octroi"] and self.told()[1].startswith("memory_"):
            names = names[1:]  # octroi's allocator for that library
        called = names[:names.index("octroi")] if "octroi" in names else names
        while len(called) > 1 and called[-1] == "libc.so.6":
            called.pop()
        return called[-1] if called else ""

    @functools.lru_cache(maxsize=None)
    def _place(self, module, offset):
        name = self.c.module[module].value.decode() if module < MODULES_MAX else "?"
        path = pathlib.Path(str(build_dir() / "octroi") if name == "octroi" else name)
        if name != "octroi":
            return f"{path.name}+{offset:#x}"
        done = subprocess.run(["addr2line", "-f", "-s", "-e", path, hex(offset - 1)], stdout=subprocess.PIPE, text=True)
        function, _, line = done.stdout.strip().partition("\n")
        return f"{function} {line}"

    # -- rest -------------------------------------------------------------------------------------

    def at_rest(self):
        """Whether all threads that serve wait, and no connection is open."""
        return self.c.servers > 0 and self.c.waiting == self.c.servers and self.c.accepted == self.c.closed

    def rest(self):
        deadline = time.monotonic() + ANSWER_SECONDS
        while self.is_alive() and not self.at_rest():
            assert time.monotonic() < deadline, f"octroi does not come to rest: {self.c.waiting} of {self.c.servers} " \
                f"threads wait, {self.c.accepted} connections were taken and {self.c.closed} closed"
            time.sleep(0.0005)

    def belongings(self):
        """Belongings: descriptors and blocks of memory."""
        try:
            descriptors = len(os.listdir(f"/proc/{self.process.pid}/fd"))
        except FileNotFoundError:
            descriptors = 0
        return descriptors, ctypes.c_int64(self.c.blocks).value

    # -- requests ---------------------------------------------------------------------------------

    def call(self, method, uri, body=b"", headers=None, public=False):
        """One request on a connection of its own; None when it was closed without an answer."""
        path = self.run / ("public.sock" if public else "internal.sock")
        try:
            with fastcgi.connect(path, ANSWER_SECONDS) as connection:
                connection.sendall(fastcgi.request(method, uri, body, headers, keep=False))
                came = fastcgi.read_response(connection)
        except TimeoutError:
            raise AssertionError(f"{method} {uri}: no answer within {ANSWER_SECONDS} s") from None
        except OSError:
            return None
        head = [tuple(line.split(": ", 1)) for line in came.head.split("\r\n") if ": " in line]
        return Answer(came.status, head, came.body)


# Names, times and figures that differ from one playing to the next.
_VOLATILE = [(re.compile(pattern), name) for pattern, name in (
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"), (r"\d{4}-\d\d-\d\d", "DAY"),
    (r"(?<![\w-])[\w-]{32}(?![\w-])", "ID"),  # before THEIRS: it may begin like one of those
    (r"eyJ[\w-]+\.[\w-]+\.[\w-]+", "TOKEN"), (r"\bp\d+x\d+\b", "PLAYED"),
    (r"\b(cs|pi|cus|evt|in|ch|bps|price|sub|msg|user|http://127\.0\.0\.1:\d+/\S*)_[\w]+", "THEIRS"),
    (r"FAKE-\d+", "NUMBER"), (r"http://127\.0\.0\.1:\d+[^\"\s]*", "THERE"),)]
_LEFT_OUT = ("replayed", "holdState", "requestId", "expiresIn", "nextCursor", "referralCode", "key", "forecast")


def essence(answer):
    """Parts that have to be the same whenever the story is played."""
    def plain(value):
        if isinstance(value, dict):
            return {plain(k): plain(v) for k, v in value.items() if k not in _LEFT_OUT}
        if isinstance(value, list):
            return [plain(v) for v in value]
        if isinstance(value, str):
            for pattern, name in _VOLATILE:
                value = pattern.sub(name, value)
        return value
    return answer.status, answer.headers.get("content-type"), plain(answer.json) if answer.json is not None else ""


class Tally(collections.Counter):
    """injected; right, unavailable, closed: what came at first; ended: the process; repeated."""


class Wrong(AssertionError):
    pass


class Play:
    """A story: a function that is given this and calls step() for each of its requests."""

    def __init__(self, victim, story, contract=None):
        self.v, self.story = victim, story
        self.contract = contract or Contract()
        self.right = []    # of each step: the essence of its answer
        self.names = []
        self.faults = {}
        self.met = {}      # step: whether its fault was met, in the last playing
        self.counts = {}   # step: calls that came into question
        self.sites = {}    # step: [(hash, library)] of a playing that wrote them down
        self.tally = Tally()
        self.suspects = {}  # by site: a step and the fault after which more was left than before
        self.endings = collections.Counter()  # by the call that failed
        self.number = 0
        self.rehearsing = False

    # -- for stories --------------------------------------------------------------------------------

    def name(self, what):
        """A name that no other playing has used."""
        return f"{what}:p{os.getpid()}x{self.number}"

    def step(self, method, route, json=None, body=b"", key="guard", uri=None, headers=None, public=False, status=200,
             only_status=False, afterwards=None):
        """One request; the answer's JSON.  route as the contract has it; uri: where it has {} or a query; status:
        the right one; only_status: the rest may differ; afterwards: the status of a repetition, once it has taken
        effect."""
        sent = dict(headers or {})
        if key is not None:
            sent["Authorization"] = "Bearer " + self.v.o.keys.get(key, key)
        if json is not None:
            body = dump(json)
        request = (method, uri or route, body, sent, public)
        at = self.at
        self.at += 1
        if self.rehearsing:
            answer = self._rehearsed(request, method, route, status)
            self.right.append(answer.status if only_status else essence(answer))
            self.names.append(f"{at} {method} {uri or route}")
        else:
            answer = self._tortured(at, request, (method, route), only_status, afterwards)
        return answer.json

    def expect(self, account, balance, held=0):
        """The account's money in the end, by plain arithmetic."""
        shown = self.v.call("GET", f"/api/credits?account={account}", headers={
            "Authorization": "Bearer " + self.v.o.keys["report"]})
        found = (shown.json["balanceMicros"], shown.json["heldMicros"]) if shown is not None and shown.status == 200 else shown
        if found != (balance, held):
            raise Wrong(f"{account} has {found}, not {(balance, held)}: {self.faults}")

    # -- playing ----------------------------------------------------------------------------------

    def _once(self):
        self.number += 1
        self.at = 0
        self.story(self)

    def rehearse(self):
        """Twice: the first time fills what is kept for later."""
        self.rehearsing = True
        for _ in range(2):
            self.right, self.names = [], []
            self._once()
        self.rehearsing = False

    def play(self, faults):
        """With the fault of each step in faults; step(s) whose fault was met are in met."""
        self.faults, self.met, self.counts = faults, {}, {}
        self._once()
        return self.met

    def write_down(self, what, kind):
        """The sites of each step."""
        self.sites = {}
        self.play({at: Fault(what, kind, nth=0) for at in range(len(self.right))})
        return self.sites

    def _rehearsed(self, request, method, route, status):
        answer = self.v.call(*request[:4], public=request[4])
        self.v.rest()
        assert answer is not None and answer.status == status, f"{method} {route} in the rehearsal: {answer}"
        return self.contract.hold(answer, method, route)

    def _tortured(self, at, request, named, only_status, afterwards):
        v, fault = self.v, self.faults.get(at)
        self.v.rest()
        before, log_before = v.belongings(), v.log_path.stat().st_size
        if fault:
            v.arm(fault)
        answer = v.call(*request[:4], public=request[4])
        if fault:
            self._until_quiet(answer)
            v.disarm()
            self.counts[at] = v.c.count
            self.met[at] = v.c.fired > 0
            if fault.nth == 0:
                self.sites[at] = v.sites()
        met = self.met.get(at, False)
        ended = not self._survived(at, log_before, answer)
        if met:
            self._count(at, answer, ended, named, only_status)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._is_right(at, answer, only_status) and time.monotonic() < deadline:
            # The failure of a step before may still be felt: keys that could not be had are not asked for again at once.
            if not met and not (self.faults and answer is not None and answer.status == 503):
                self._wrong(at, f"{answer}, though nothing failed")
            self.tally["repeated"] += 1
            answer = v.call(*request[:4], public=request[4])
            self._until_quiet(answer)
            if answer is not None and answer.status == afterwards:
                return answer
            if answer is None or answer.status != 503:
                break
            time.sleep(0.02)  # as nobody asks the database again at once for keys that could not be had
        if not self._is_right(at, answer, only_status):
            self._wrong(at, f"repeated, and still {answer}")
        self.v.rest()
        if met and not ended:
            after = v.belongings()
            if after[0] > before[0] or after[1] > before[1]:
                self.suspects.setdefault(v.place(), (at, fault))
        return answer

    def _until_quiet(self, answer):
        """Until the step is over also for octroi, or octroi for us."""
        if answer is None and not self._still_alive():
            return
        self.v.rest()

    def _still_alive(self):
        """A closed connection may be the first sign of an end."""
        deadline = time.monotonic() + ANSWER_SECONDS
        while self.v.is_alive() and not self.v.at_rest() and time.monotonic() < deadline:
            time.sleep(0.0005)
        return self.v.is_alive()

    def _survived(self, at, log_before, answer):
        if answer is not None or self._still_alive():
            return True
        self.tally["ended"] += 1
        told, said, library = self.v.told(), self.v.log()[log_before:], self.v.failed_for()
        self.endings[(told[0], " < ".join(told[1:6]), said.strip().split("\n")[-1][-160:])] += 1
        if self.v.c.spared < SPARED_MAX:
            self.v.c.spare[self.v.c.spared] = self.v.c.fired_hash
            self.v.c.spared += 1
        self.v.start()
        if library not in LIBRARIES_THAT_END or "octroi: bug" in said or "Sanitizer" in said:
            self._wrong(at, f"octroi ended: {said[-1500:]}")
        return False

    def _count(self, at, answer, ended, named, only_status):
        self.tally["injected"] += 1
        if ended:
            return
        if answer is None:
            self.tally["closed"] += 1
        elif self._is_right(at, answer, only_status):
            self.tally["right"] += 1
        elif answer.status == 503 and answer.headers.get("retry-after"):
            # Also of routes that need nothing but memory, whose 503 the contract does not mention.
            self.contract.keep(answer, {"$ref": UNAVAILABLE}, UNAVAILABLE)
            self.tally["unavailable"] += 1
        else:
            self._wrong(at, f"answered {answer}")

    def _is_right(self, at, answer, only_status):
        return answer is not None and (answer.status if only_status else essence(answer)) == self.right[at]

    def _wrong(self, at, what):
        told = "\n    ".join(self.v.told())
        raise Wrong(f"{self.names[at]}: {what}\n  right is {self.right[at]}\n  {self.faults.get(at)} failed\n    {told}"
                    f"\n  octroi: exit status {self.v.process.poll()}\n{self.v.log()[-1500:]}")

    # -- all, or some -------------------------------------------------------------------------------

    def sweep(self, what, kind, lasting=0, stride=1):
        """Lets each call of each step fail in turn, or each stride-th: one of each step in each playing, until a step
        has been played with a number that it does not come to, twice."""
        nth = dict.fromkeys(range(len(self.right)), 1)
        missed = collections.Counter()
        while nth:
            self.play({at: Fault(what, kind, nth=n, lasting=lasting) for at, n in nth.items()})
            for at in list(nth):
                if self.met.get(at):
                    nth[at] += stride
                else:
                    missed[at] += 1
                if missed[at] == 2:
                    del nth[at]

    def sample(self, what, kind, count, random):
        """Lets that many sites fail, chosen at random, and one of those that are known to end the process."""
        steps, ends = {}, {}  # of each site
        for at, sites in self.write_down(what, kind).items():
            for hash, library in sites:
                (ends if what == MEMORY and library == LIBRARIES_THAT_END[0] else steps).setdefault(hash, []).append(at)
        chosen = random.sample(sorted(steps), min(count, len(steps)))
        for hash in random.sample(sorted(ends), min(1, len(ends))):
            steps[hash] = ends[hash]
            chosen.append(hash)
        waiting = collections.defaultdict(list)
        for hash in chosen:
            at = min(steps[hash], key=lambda step: (len(waiting[step]), step))
            waiting[at].append(hash)
        while any(waiting.values()):
            self.play({at: Fault(what, kind, hash=hashes.pop()) for at, hashes in waiting.items() if hashes})
        return len(chosen)

    # -- leaks ------------------------------------------------------------------------------------

    def _growth(self, faults):
        """Belongings after each of several playings; by how many descriptors and blocks it grew each time at least."""
        seen, descriptors, blocks = [], 1, 1
        while len(seen) < LEAK_ROUNDS and (descriptors > 0 or blocks > 0):
            self.play(faults)
            seen.append(self.v.belongings())
            if len(seen) > 2:
                descriptors, blocks = (min(other[i] - one[i] for one, other in zip(seen[1:], seen[2:])) for i in range(2))
        return seen, descriptors, blocks

    def leaks(self):
        """Plays the suspicious faults again and again: those that leave more behind each time."""
        found = []
        suspects = list(self.suspects.values())
        for at, fault in suspects:
            seen, descriptors, blocks = self._growth({at: fault})
            if descriptors > 0 or blocks > 0:
                # Memory that other threads give back, once a second, is not counted; nor is it the fault's.
                usual = self._growth({})
                descriptors, blocks = descriptors - max(usual[1], 0), blocks - max(usual[2], 0)
            if descriptors <= 0 < blocks <= LEAKS_OF_LIBRARIES.get(self.v.failed_for(), 0):
                self.tally["leaked by a library"] += 1
            elif descriptors > 0 or blocks > 0:
                found.append(f"{self.names[at]}: {fault} leaves descriptors, blocks {seen} behind\n    "
                             + "\n    ".join(self.v.told()))
        self.suspects = {}
        return found


def dump(value):
    return json.dumps(value, separators=(",", ":")).encode()

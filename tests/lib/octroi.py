"""An octroi of one's own for a test: private MariaDB, octroi and web server, started by ./quickstart.

    with Octroi("nginx", settings={"margin": "1"}) as o:
        account = o.account(funds_micros=10_000_000)
        answer = o.call("POST", "/api/guard/authorize", json={"account": account, "model": "gpt-4o"})
        assert answer.status == 200, answer
        assert o.sql("SELECT SUM(open_holds) FROM accounts") == [("1",)]

Leaving the block runs `octroictl audit` (a test that leaves an unclean ledger fails) and stops
everything.  The programs are taken from the build directory that OCTROI_BUILD names (make has to
have run there); without it, from .octroi/build of the source tree, where ./quickstart builds.

Only Python's standard library is used.
"""

import http.client
import itertools
import json as json_module
import os
import pathlib
import random
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.parse

TOP = pathlib.Path(__file__).resolve().parents[2]
QUICKSTART = TOP / "quickstart"
SERVERS = ("nginx", "apache", "apache-fcgid")
PORT_TAKEN = 3  # quickstart's exit status for it
ROOTS_USER = "octroi-quickstart"  # which the daemons run as where quickstart is root

# A connection that idled longer may be closed by the server at any moment: a new one is opened
# instead, so that no request is ever sent twice.
CONNECTION_IDLE_MAX_SECONDS = 4

_serial = itertools.count(1)


def closed_by_server(connection):
    """Whether the server has ended a kept-alive connection: Apache does so early when its workers run short."""
    if connection.sock is None:
        return False
    seen = select.poll()
    seen.register(connection.sock, select.POLLIN)
    return bool(seen.poll(0))

# Reports of a build with --enable-asan, --enable-ubsan or --enable-tsan that has found something.
_SANITIZER = re.compile(r"(AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error): .*")


def build_dir():
    """The directory with the built programs."""
    named = os.environ.get("OCTROI_BUILD")
    path = pathlib.Path(named) if named else TOP / ".octroi" / "build"
    if not (path / "octroi").exists():
        raise RuntimeError(f"no octroi in {path}: set OCTROI_BUILD to a build directory, or run ./quickstart")
    return path.resolve()


def database_template():
    """Variables by which quickstart unpacks an empty database, instead of making one: kept for all tests of a build."""
    server = shutil.which("mariadbd", path=os.environ["PATH"] + ":/usr/sbin")
    if server is None:  # quickstart is about to install it
        return {}
    results = build_dir() / "tests-results"
    results.mkdir(exist_ok=True)
    return {"OCTROI_DB_TEMPLATE": str(results / f"database-{os.stat(server).st_mtime_ns}.tar")}


def as_daemon():
    """Words before a command that has to run as quickstart's daemons do."""
    if os.geteuid() != 0:
        return []
    return ["setpriv", f"--reuid={ROOTS_USER}", f"--regid={ROOTS_USER}", "--init-groups"]


def give_to_daemon(path):
    if os.geteuid() == 0:
        shutil.chown(path, ROOTS_USER, ROOTS_USER)


def free_port():
    """A TCP port of 127.0.0.1 that nobody listens on, below the range of outgoing connections."""
    while True:
        port = random.randrange(10000, 32000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


INNODB_TRX_SECONDS = 0.2  # information_schema.innodb_trx is not renewed while it is asked for every 0.1 s


def wait_until(condition, seconds=10, what="condition", every=0.02):
    """Waits until condition() is true, and returns its value; AssertionError after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(every)


class Answer:
    """status (int), headers (lower-case names), body (bytes), text, json (None when it is no JSON)."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = {name.lower(): value for name, value in headers}
        self.body = body

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    @property
    def json(self):
        try:
            return json_module.loads(self.body)
        except ValueError:
            return None

    def __repr__(self):
        return f"<{self.status} {self.text[:600]}>"


class Octroi:
    """server: nginx, apache (mod_proxy_fcgi) or apache-fcgid (mod_fcgid).  settings: keys of
    octroi.conf.  db_settings: keys of my.cnf.  audit=False: do not audit when closing (for a test
    that tampers with the ledger).  demo: with the demo account, sample pages and mock provider."""

    def __init__(self, server="nginx", settings=None, db_settings=None, audit=True, demo=False):
        self.server = server
        self._demo = [] if demo else ["--no-demo"]
        self._audit_at_close = audit
        self._threads = threading.local()
        self._home = tempfile.mkdtemp(prefix="octroi-test-")
        os.chmod(self._home, 0o755)  # the daemons run as another user when the tests run as root
        self.dir = pathlib.Path(self._home) / "o"
        self.env = {}
        try:
            self._first_start(settings or {}, db_settings or {})
        except BaseException:
            self._discard()
            raise

    def _first_start(self, settings, db_settings):
        arguments = ["--server", self.server, *self._demo]
        for key, value in settings.items():
            arguments += ["--set", f"{key}={value}"]
        for key, value in db_settings.items():
            arguments += ["--db-set", f"{key}={value}"]
        for _ in range(5):
            self.port = free_port()
            done = self.quickstart("--port", str(self.port), *arguments, check=False)
            if done.returncode != PORT_TAKEN:
                break
        if done.returncode != 0:
            raise RuntimeError(f"quickstart failed ({done.returncode}):\n{done.stdout}")
        self.said = done.stdout  # what the first start printed
        self._read_env()

    # -- life -----------------------------------------------------------------------------------

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        self.close(audit=self._audit_at_close and kind is None)

    def close(self, audit=None):
        """Audits (unless told otherwise), stops everything, removes the directory.  Harmless twice."""
        if not self._home:
            return
        try:
            if self._audit_at_close if audit is None else audit:
                self.audit()
        finally:
            self._discard()

    def _discard(self):
        self.disconnect()
        try:
            if self.dir.exists():
                self.quickstart("down", check=False)
            if self.env:
                self._assert_no_sanitizer_report()
        finally:
            state = self.dir / "state"
            if state.exists():  # data that could not live in the directory itself
                shutil.rmtree(state.read_text().strip(), ignore_errors=True)
            shutil.rmtree(self._home, ignore_errors=True)
            self._home = None

    def _assert_no_sanitizer_report(self):
        for path in pathlib.Path(self.env["OCTROI_LOGS"]).glob("*.log"):
            found = _SANITIZER.search(path.read_text(errors="replace"))
            assert not found, f"{path.name}: {path.read_text(errors='replace')[found.start():][:4000]}"

    def quickstart(self, *arguments, check=True):
        """Runs ./quickstart [down] --dir <ours> with arguments; stdout has both streams."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("OCTROI_")}
        environment.update(database_template(), OCTROI_BUILD=str(build_dir()))
        command = [str(QUICKSTART)]
        if arguments and arguments[0] in ("down",):
            command.append(arguments[0])
            arguments = arguments[1:]
        command += ["--dir", str(self.dir), *arguments]
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=180)
        if check and done.returncode != 0:
            raise RuntimeError(f"{shlex.join(command)} failed ({done.returncode}):\n{done.stdout}")
        return done

    def _read_env(self):
        self.env = read_env(self.dir / "env")
        self.url = self.env["OCTROI_URL"]
        self.internal_url = self.env["OCTROI_INTERNAL_URL"]
        self.keys = {scope: self.env[f"OCTROI_{scope.upper()}_KEY"]
                     for scope in ("guard", "app", "admin", "report")}

    def start(self, **settings):
        """Starts what has died, with changed octroi.conf settings if given; data and keys stay."""
        arguments = []
        for key, value in settings.items():
            arguments += ["--set", f"{key}={value}"]
        self.disconnect()
        self.quickstart(*self._demo, *arguments)
        self._read_env()

    def stop(self):
        """Stops everything in an orderly way; start() brings it back."""
        self.disconnect()
        self.quickstart("down")

    # Process ids: 0 when there is none (octroi itself under apache-fcgid, until a request came).
    @property
    def pid(self):
        return int(self.env["OCTROI_PID"] or 0)

    @property
    def db_pid(self):
        return int(self.env["OCTROI_DB_PID"] or 0)

    @property
    def server_pid(self):
        return int(self.env["OCTROI_SERVER_PID"] or 0)

    def kill(self, part="octroi", sig=signal.SIGKILL):
        """Sends a signal to part ("octroi", "db" or "server") and, when it is to die or to stand
        still of it, waits until it has."""
        pid = {"octroi": self.pid, "db": self.db_pid, "server": self.server_pid}[part]
        assert pid > 0, f"no process for {part}"
        os.kill(pid, sig)
        if sig in (signal.SIGKILL, signal.SIGTERM, signal.SIGQUIT, signal.SIGABRT):
            wait_until(lambda: not alive(pid), 30, f"end of {part} ({pid})")
        if sig == signal.SIGSTOP:
            wait_until(lambda: stopped(pid), 30, f"stop of {part} ({pid})")

    # -- talking --------------------------------------------------------------------------------

    def call(self, method, path, json=None, key="", headers=None, body=None, public=False, timeout=30):
        """One request on this thread's kept-alive connection, to the internal server (public=True:
        the public one).  json: sent as such; body: sent raw, without a Content-Type of its own.  key: a scope ("guard", "app",
        "admin", "report") or a whole key or token; None: no Authorization; by default guard for
        /api/guard/… and app for the rest.  Failures of the connection are raised, never retried."""
        sent = {"Connection": "keep-alive"}
        if key == "":
            key = "guard" if path.startswith("/api/guard/") else "app"
        if key is not None:
            sent["Authorization"] = "Bearer " + self.keys.get(key, key)
        if json is not None:
            body = json_module.dumps(json, separators=(",", ":")).encode()
            sent["Content-Type"] = "application/json"
        elif isinstance(body, str):
            body = body.encode()
        elif body is None and method in ("POST", "PUT"):
            sent["Content-Type"] = "application/json"  # octroi wants to be told, also without a body
        sent.update(headers or {})
        connection = self._connection(self.url if public else self.internal_url, timeout)
        try:
            connection.request(method, path, body=body, headers=sent)
            response = connection.getresponse()
            answer = Answer(response.status, response.getheaders(), response.read())
        except BaseException:
            connection.close()
            raise
        connection.used_at = time.monotonic()
        return answer

    def get(self, path, **more):
        return self.call("GET", path, **more)

    def post(self, path, json=None, **more):
        return self.call("POST", path, json=json, **more)

    def _connection(self, url, timeout):
        pool = self._threads.__dict__.setdefault("pool", {})
        connection = pool.get(url)
        if connection is not None and (time.monotonic() - connection.used_at > CONNECTION_IDLE_MAX_SECONDS
                                       or closed_by_server(connection)):
            connection.close()
        if connection is None or connection.timeout != timeout:
            parts = urllib.parse.urlsplit(url)
            connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
            connection.used_at = time.monotonic()
            pool[url] = connection
        return connection

    def disconnect(self):
        """Closes this thread's connections."""
        for connection in self._threads.__dict__.pop("pool", {}).values():
            connection.close()

    def sql(self, text):
        """Runs SQL as the database's root in octroi's database; rows as tuples of str or None."""
        done = subprocess.run(
            ["mariadb", "--no-defaults", "--socket", self.env["OCTROI_DB_SOCKET"], "-u", "root", "-N", "-B",
             self.env["OCTROI_DB_NAME"]],
            input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
        if done.returncode != 0:
            raise RuntimeError(f"{text!r}: {done.stderr.strip()}")
        return [tuple(_sql_value(field) for field in line.split("\t")) for line in done.stdout.split("\n")[:-1]]

    def ctl(self, *arguments, check=True, input=None, timeout=120):
        """octroictl with this octroi's configuration; a CompletedProcess with text stdout and stderr."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith("OCTROI_")}
        done = subprocess.run([self.env["OCTROI_CTL"], *map(str, arguments)], env=environment, input=input,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=timeout)
        if check and done.returncode != 0:
            raise RuntimeError(f"octroictl {shlex.join(map(str, arguments))} failed ({done.returncode}): "
                               f"{done.stdout}{done.stderr}")
        return done

    # -- money ----------------------------------------------------------------------------------

    def account(self, name=None, funds_micros=0, mode="prepaid", unit="money", **fields):
        """Makes an account (a new name unless given) with funds of its unit; its id."""
        name = name or f"t:{os.getpid()}.{next(_serial)}"
        made = self.call("PUT", "/api/accounts/" + urllib.parse.quote(name, safe=""),
                         json={"mode": mode, "unit": unit, **fields}, key="app")
        assert made.status in (200, 201), made
        if funds_micros:
            self.fund(name, funds_micros)
        return name

    def fund(self, account, amount_micros, request_id=None, **fields):
        """Books an adjustment (scope admin); the transaction."""
        booked = self.call(
            "POST", f"/api/accounts/{urllib.parse.quote(account, safe='')}/transactions", key="admin",
            json={"type": "ADJUSTMENT", "amountMicros": amount_micros, "description": "test",
                  "requestId": request_id or f"fund-{os.getpid()}-{next(_serial)}", **fields})
        assert booked.status in (200, 201), booked
        return booked.json

    def balance(self, account):
        """balanceMicros, heldMicros, availableMicros as GET /api/credits says."""
        shown = self.get("/api/credits?account=" + urllib.parse.quote(account, safe=""))
        assert shown.status == 200, shown
        return tuple(shown.json[name] for name in ("balanceMicros", "heldMicros", "availableMicros"))

    def metric(self, name):
        return int(re.search(rf"^{name} (\d+)", self.get("/metrics", key="report").text, re.M)[1])

    def audit(self):
        """Asserts that `octroictl audit` finds nothing; its output."""
        done = self.ctl("audit", check=False)
        assert done.returncode == 0, f"octroictl audit: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def log(self, name="octroi.log"):
        """The text of a log file (octroi.log, mariadb.log, nginx.log, apache.log…)."""
        return (pathlib.Path(self.env["OCTROI_LOGS"]) / name).read_text(errors="replace")


def read_env(path):
    """Variables of a quickstart's env file (shell-quoted assignments)."""
    found = {}
    for line in pathlib.Path(path).read_text().splitlines():
        match = re.fullmatch(r"(?:export )?([A-Z_]+)=(.*)", line)
        if match:
            found[match[1]] = "".join(shlex.split(match[2]))
    return found


def alive(pid):
    """Whether a process runs (a zombie does not)."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rsplit(")", 1)[1].split()[0] not in ("Z", "X")


def stopped(pid):
    """Whether every thread of a process stands still: a signal has taken its effect only then."""
    stats = [path.read_text() for path in pathlib.Path(f"/proc/{pid}/task").glob("*/stat")]
    return all(stat.rsplit(")", 1)[1].split()[0] == "T" for stat in stats)


_ESCAPES = {"n": "\n", "t": "\t", "0": "\0", "\\": "\\"}


def _sql_value(field):
    if field == "NULL":
        return None
    return re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1], m[1]), field)

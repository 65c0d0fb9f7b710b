"""A meter of one's own for a test: octroi on its MariaDB, octroi-meter behind an nginx of its own with the shipped
meter-pass.conf, and a provider.

    with Stage() as stage:
        payer = stage.payer()
        answer = stage.ask("openai-chat", payer.key, {"id": "a"})
        assert answer.status == 200 and stage.wait_settled(payer, 1)

The provider keeps its own books (provider.py).  stage.usages says what octroi has booked.
"""

import contextlib
import itertools
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys

import guard
import recorded
from octroi import TOP, Octroi, as_daemon, build_dir, free_port, give_to_daemon, wait_until

HERE = pathlib.Path(__file__).resolve().parent
PROVIDER_KEY = "sk-canary-of-the-provider"
FUNDS = 10**12
PAD = "x" * 1500  # so that a request is as long as what the recordings say of their input
SETTLEMENTS = ("none", "exact", "partial", "estimated", "late", "provider_reported")
STATES = ("settled", "released", "expired")

# Pico-dollars per token, as in guard.PICO: input, cache read, cache write, cache write for an hour, output.
guard.PICO.update({
    "gemini-2.5-flash": (300_000, 30_000, 300_000, 300_000, 2_500_000),
    "mistral-small-latest": (100_000, 100_000, 100_000, 100_000, 300_000),
    "deepseek-reasoner": (550_000, 140_000, 550_000, 550_000, 2_190_000),
})

LOCATION = """
		location %s {
			include %s/fastcgi.conf;
			%s
			fastcgi_pass unix:%s/meter.sock;
		}
"""
NGINX = """
daemon off;
worker_processes 1;
worker_rlimit_nofile 16384;
pid {dir}/front.pid;
error_log {dir}/front.log;
events {{ worker_connections 8192; }}
http {{
	access_log off;
	client_body_temp_path {dir}/body;
	fastcgi_temp_path {dir}/fastcgi;
	proxy_temp_path {dir}/proxy;
	uwsgi_temp_path {dir}/uwsgi;
	scgi_temp_path {dir}/scgi;
	keepalive_requests 1000000;
	server {{
		listen 127.0.0.1:{port} backlog=2048;
		{locations}
	}}
}}
"""

_serial = itertools.count(1)


def cost(model, bill):
    """Micros of (input, output, cache read, cache write)."""
    input, output, cache_read, cache_write = bill
    return guard.cost(model, input=input, output=output, cache_read=cache_read, cache_write=cache_write)


def body_of(name, scene, stream=True, **more):
    """A request for the recording, whose provider plays the scene."""
    provider, path, model, _ = recorded.RECORDINGS[name]
    text = json.dumps({"stream": name, "pad": PAD, **scene})
    if provider == "gemini":
        return {"contents": [{"role": "user", "parts": [{"text": text}]}], "generationConfig": {"maxOutputTokens": 200}, **more}
    body = {"model": model, **({"stream": True} if stream else {})}
    if path == recorded.RESPONSES:
        return {**body, "input": text, "max_output_tokens": 200, **more}
    return {**body, "messages": [{"role": "user", "content": text}], "max_tokens": 200, **more}


def address_of(name, stream=True):
    provider, path, _, _ = recorded.RECORDINGS[name]
    if provider == "gemini":
        return f"/{provider}" + (path + "?alt=sse" if stream else path.replace("streamG", "g"))
    return f"/{provider}{path}"


class Answer:
    """The answer to one request, read from its socket: status, reason, headers; whole() and events() read on."""

    def __init__(self, connection):
        self.connection, self.rest = connection, b""
        head = self._until(b"\r\n\r\n")
        if not head:
            self.status, self.reason, self.headers = 0, "", {}
            return
        lines = head.decode("latin-1").split("\r\n")
        _, status, self.reason = lines[0].split(" ", 2)  # RFC 9112 wants both spaces
        self.status = int(status)
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)}

    def _more(self):
        try:
            got = self.connection.recv(65536)
        except ConnectionError:
            got = b""
        self.rest += got
        return got

    def _until(self, mark):
        while mark not in self.rest:
            if not self._more():
                return b""
        at = self.rest.index(mark) + len(mark)
        head, self.rest = self.rest[:at], self.rest[at:]
        return head

    def event(self):
        """The next event, as bytes; b"" at the end."""
        while not re.search(rb"\r?\n\r?\n", self.rest):
            if not self._more():
                return b""
        end = re.search(rb"\r?\n\r?\n", self.rest).end()
        event, self.rest = self.rest[:end], self.rest[end:]
        return event

    def whole(self):
        while self._more():
            continue
        self.close()
        return self.rest

    @property
    def json(self):
        return json.loads(self.whole())

    @property
    def hold(self):
        return self.headers.get("x-octroi-hold")

    def close(self):
        self.connection.close()


class Payer:
    def __init__(self, account, key):
        self.account, self.key = account, key


class Stage:
    def __init__(self, octroi_settings=None, **settings):
        self._left = contextlib.ExitStack()
        self.o = self._left.enter_context(Octroi("nginx", settings={"hold_expiry": "capture", **(octroi_settings or {})}))
        try:
            self._begin(settings)
        except BaseException:
            self._left.close()
            raise

    def _begin(self, settings):
        self.dir = self.o.dir / "meter"
        self.dir.mkdir()
        give_to_daemon(self.dir)
        for model, input, output, read in (("mistral-small-latest", "0.1", "0.3", "0.1"), ("deepseek-reasoner", "0.55", "2.19", "0.14")):
            self.o.ctl("price", "set", model, "--provider", model.split("-")[0], "--input", input, "--output", output, "--cache-read", read,
                       "--cache-write", input)
        self.provider_port, self.port = free_port(), free_port()
        self.settings = {**self.defaults(), **settings}
        self.provider = self.program([sys.executable, str(HERE / "provider.py"), str(self.provider_port)], "provider", daemon=False)
        wait_until(lambda: self._listens(self.provider_port), 10, "the provider")
        self._write_front()
        self.meter = self.front = None
        self.start_front()
        self.start_meter()

    def defaults(self):
        here = f"http://127.0.0.1:{self.provider_port}"
        return {"listen": f"unix:{self.dir}/meter.sock", "octroi_url": self.o.internal_url, "octroi_key": self.o.keys["guard"],
                "spool": f"{self.dir}/spool", "openai_url": here, "openai_key": PROVIDER_KEY, "anthropic_url": here,
                "anthropic_key": PROVIDER_KEY, "gemini_url": here, "gemini_key": PROVIDER_KEY, "provider1_name": "mistral",
                "provider1_url": here, "provider1_key": PROVIDER_KEY, "provider2_name": "deepseek", "provider2_url": here,
                "provider2_key": PROVIDER_KEY}

    def __enter__(self):
        return self

    def __exit__(self, *what):
        try:
            for part in ("meter", "front", "provider"):
                self.end(part)
        finally:
            self._left.__exit__(*what)

    # -- processes ------------------------------------------------------------------------------

    def program(self, command, log, daemon=True, **more):
        output = open(self.dir / f"{log}.out", "ab")
        return subprocess.Popen((as_daemon() if daemon else []) + command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                start_new_session=True, **more)

    @staticmethod
    def _listens(port):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", port)) == 0

    def _write_front(self):
        shipped = (TOP / "nginx" / "meter-pass.conf").read_text()
        (self.dir / "fastcgi.conf").write_text(shipped.replace("octroi/fastcgi_params", str(TOP / "nginx" / "fastcgi_params")))
        places = [("/", ""), ("/close/", "fastcgi_param OCTROI_PREFIX /close; fastcgi_param OCTROI_ABORT close;"),
                  ("/drain/", "fastcgi_param OCTROI_PREFIX /drain; fastcgi_param OCTROI_ABORT drain;"),
                  ("= /metrics", "fastcgi_param OCTROI_METRICS on;"),
                  ("/trusted/", 'fastcgi_param OCTROI_PREFIX /trusted; fastcgi_param OCTROI_ACCOUNT "ws:trusted";')]
        locations = "".join(LOCATION % (place, self.dir, more, self.dir) for place, more in places)
        (self.dir / "front.conf").write_text(NGINX.format(dir=self.dir, port=self.port, locations=locations))

    def start_front(self):
        self.front = self.program([str(self.o.dir / "bin" / "nginx"), "-p", str(self.dir), "-c", str(self.dir / "front.conf"),
                                    "-e", str(self.dir / "front.log")], "front")
        wait_until(lambda: self._listens(self.port), 10, "nginx")

    def start_meter(self, **settings):
        self.settings.update(settings)
        conf = self.dir / "octroi-meter.conf"
        conf.write_text("".join(f"{name} = {value}\n" for name, value in self.settings.items()))
        give_to_daemon(conf)
        conf.chmod(0o600)
        with contextlib.suppress(FileNotFoundError):
            (self.dir / "meter.sock").unlink()
        self.meter = self.program([str(build_dir() / "octroi-meter"), "-c", str(conf)], "meter")
        wait_until(lambda: self.meter.poll() is not None or self.get("/healthz").status == 200, 20, "octroi-meter")
        assert self.meter.poll() is None, self.said("meter")

    def end(self, part, sig=signal.SIGTERM):
        """Ends a process group of ours and waits for it; harmless twice."""
        process = getattr(self, part, None)
        if process is None or process.poll() is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, sig)
        process.wait(40)

    def said(self, part):
        return (self.dir / f"{part}.out").read_text(errors="replace")

    def meter_pid(self):
        """The process itself: setpriv and the like exec it."""
        return self.meter.pid

    # -- requests -------------------------------------------------------------------------------

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)

    def send(self, method, path, key=None, body=None, headers=(), raw=None, type="application/json"):
        """A socket with the request sent; HTTP/1.0, so that an answer ends with its connection."""
        connection = self.connect()
        data = raw if raw is not None else json.dumps(body).encode() if body is not None else b""
        lines = [f"{method} {path} HTTP/1.0", "Host: localhost", f"Content-Length: {len(data)}"]
        if key:
            lines.append(f"Authorization: Bearer {key}")
        if data:
            lines.append(f"Content-Type: {type}")
        lines += [f"{name}: {value}" for name, value in headers]
        connection.sendall("\r\n".join(lines).encode("utf-8") + b"\r\n\r\n" + data)
        return connection

    def call(self, method, path, key=None, body=None, headers=(), raw=None, **more):
        return Answer(self.send(method, path, key, body, headers, raw, **more))

    def get(self, path, key=None, headers=()):
        return self.call("GET", path, key, headers=headers)

    def ask(self, name, key, scene=None, stream=True, place="", headers=(), **more):
        """Asks for a recording; the answer's head has been read."""
        return self.call("POST", place + address_of(name, stream), key, body_of(name, scene or {}, stream, **more), headers)

    # -- books ----------------------------------------------------------------------------------

    def _control(self, what, method="GET"):
        with socket.create_connection(("127.0.0.1", self.provider_port), timeout=30) as s:
            s.sendall(f"{method} {what} HTTP/1.0\r\nConnection: close\r\n\r\n".encode())
            s.shutdown(socket.SHUT_WR)
            data = b""
            while True:
                got = s.recv(1 << 20)
                if not got:
                    break
                data += got
        return json.loads(data.partition(b"\r\n\r\n")[2])

    def books(self, *ids):
        """The provider's records, of these scenes if any are named."""
        return [record for record in self._control("/_books") if not ids or record["id"] in ids]

    def forget(self):
        """Begins new books."""
        self._control("/_forget", "POST")

    def go(self):
        self._control("/_go", "POST")

    def wait_waiting(self, count=1):
        wait_until(lambda: self._control("/_waiting") == count, 20, f"{count} streams that wait at the provider")

    def payer(self, *more, funds_micros=FUNDS, **fields):
        account = self.o.account(f"meter:{os.getpid()}.{next(_serial)}", funds_micros=funds_micros, **fields)
        made = self.o.ctl("key", "create", "--scope", "meter", "--account", account, *more, "--json")
        return Payer(account, json.loads(made.stdout)["key"])

    def usages(self, payer):
        """{hold: what octroi has booked for it}, of holds that have ended."""
        rows = self.o.sql("SELECT seq, state, settlement, input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, cost_micros,"
                          f" reserved_micros, item FROM usages WHERE account_id = {guard.key_of(payer.account)}")
        return {guard.public_id(payer.account, int(seq)): {
            "state": STATES[int(state)], "settlement": SETTLEMENTS[int(how)], "counts": list(map(int, counts)), "cost": int(spent),
            "reserved": int(reserved), "model": item} for seq, state, how, *counts, spent, reserved, item in rows}

    def open_holds(self, payer):
        return int(self.o.sql(f"SELECT COUNT(*) FROM {guard.HOLDS} WHERE account_id = {guard.key_of(payer.account)}")[0][0])

    def wait_settled(self, payer, count=None, seconds=30):
        """The usages once none of the payer's holds is open, and so many have ended."""
        wait_until(lambda: self.open_holds(payer) == 0 and (count is None or len(self.usages(payer)) >= count), seconds,
                   f"the end of {count} holds", every=0.05)
        return self.usages(payer)

    def wait_ended(self, payer, hold):
        """The usage of the hold once it has ended; others may be open."""
        wait_until(lambda: hold in self.usages(payer), 30, f"the end of the hold {hold}", every=0.05)
        return self.usages(payer)[hold]

    def spent(self, payer):
        return FUNDS - self.o.balance(payer.account)[0]

    def memory_peak_kb(self):
        text = pathlib.Path(f"/proc/{self.meter_pid()}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", text)[1])

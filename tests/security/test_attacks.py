"""Attacks that no other test makes.  tests/README.md lists all kinds, and which test makes each."""

import ctypes
import http.server
import json
import os
import pathlib
import random
import re
import socket
import ssl
import struct
import subprocess
import threading
import time
import urllib.parse

import pytest

import clerk
import fastcgi
from daemon import environment
from fake_stripe import FakeStripe, sign
from issuer import Issuer
from octroi import TOP, Octroi, build_dir, wait_until
from snapshot import changes, snapshot

CLERK_SECRET = "whsec_" + "Y2xlcmstYXR0YWNrcy1vbmx5LXNlY3JldC0wMTIzNDU="
TOKEN_SECRET = "a token secret that only these tests use, 7e15"


@pytest.fixture(scope="module")
def stripe():
    with FakeStripe() as fake:
        yield fake


@pytest.fixture(scope="module")
def o(stripe):
    """An octroi with everything on, whose database writes down each statement."""
    settings = stripe.settings(clerk_webhook_secret=CLERK_SECRET, token_secret=TOKEN_SECRET, referral_amount="5")
    with Octroi("nginx", settings=settings, db_settings={"general_log": "on", "general_log_file": "statements.log"}) as octroi:
        yield octroi


# ---- signed bodies -------------------------------------------------------------------------------------


def test_one_blank_more(o, stripe):
    """The bytes are signed, not what they mean: a blank anywhere, and it is not what was signed."""
    for path, body, headers in (
            ("/api/webhooks/stripe", stripe.body_of(stripe.emit("product.created", stripe.new("customer", "prod"), lost=True)),
             lambda body: {"Stripe-Signature": sign(stripe.webhook_secret, body), "Content-Type": "application/json"}),
            ("/api/webhooks/clerk", clerk.event(clerk.person()), lambda body: clerk.signed_headers(CLERK_SECRET, body))):
        before = snapshot(o)
        places = [0, len(body), *(m.end() for m in re.finditer(rb"[,:{[]", body))]
        for at in places[:40]:
            for blank in (b" ", b"\n"):
                answer = o.post(path, body=body[:at] + blank + body[at:], headers=headers(body), key=None, public=True)
                assert answer.status == 400, (path, at, answer)
        assert changes(before, snapshot(o)) == [] and len(places) > 10
        assert o.post(path, body=body, headers=headers(body), key=None, public=True).status == 200


# ---- statements ------------------------------------------------------------------------------------------

INJECTIONS = ["{0}' OR '1'='1", "{0}\\' OR 1=1 -- ", '{0}" OR ""="', "{0}'; DROP TABLE accounts; -- ", "{0}' UNION SELECT SLEEP(9) -- ",
              "{0}%' OR 1 LIKE '%", "{0}`", "{0}/**/", "0x{0}", "{0}') OR SLEEP(9)#"]


def everywhere(o, account, text):
    """Requests that have the text wherever a caller may put one."""
    quoted = urllib.parse.quote(text, safe="")
    as_json = {"Content-Type": "application/json"}
    for header in ("Authorization", "X-Octroi-Key", "Idempotency-Key", "X-Request-Id", "Accept-Language", "Cookie", "User-Agent"):
        for value in (text, "Bearer " + text):
            yield "POST", "/api/guard/authorize", {header: value, **as_json}, {"account": account, "model": "gpt-4o"}
    for path in ("/api/credits?account={0}", "/api/credits/usages?account={1}&model={0}", "/api/credits/usages?account={1}&cursor={0}",
                 "/api/credits/transactions?account={1}&limit={0}", "/api/credits/summary?account={1}&by={0}", "/api/accounts/{0}",
                 "/api/credits/usages?account={1}&member={0}", "/api/credits/usages?account={1}&action={0}",
                 "/api/credits/summary?account={1}&from={0}", "/api/guard/check?account={0}", "/{0}"):
        yield "GET", path.format(quoted, account), {}, None
    for path, body in (
            ("/api/guard/authorize", {"account": text, "model": "gpt-4o"}), ("/api/guard/authorize", {"account": account, "model": text}),
            ("/api/guard/authorize", {"account": account, "model": "gpt-4o", "member": text}),
            ("/api/guard/authorize", {"account": account, "model": "gpt-4o", "requestId": text}),
            ("/api/guard/authorize", {"account": account, "model": "gpt-4o", "conversationId": text}),
            ("/api/guard/authorize", {"account": account, "model": "gpt-4o", "metadata": {text: text}}),
            ("/api/guard/settle", {"hold": text}), ("/api/guard/charge", {"account": account, "action": text}),
            ("/api/tokens", {"account": text}), (f"/api/credits/redeem?account={account}", {"code": text}),
            (f"/api/credits/claim-bonus?account={quoted}", {}),
            (f"/api/accounts/{account}/transactions",
             {"type": "ADJUSTMENT", "amountMicros": 1, "description": text, "requestId": "r" + text[6]})):
        yield "POST", path, as_json, body
    yield "PUT", f"/api/accounts/{quoted}", as_json, {"mode": "prepaid", "unit": "money"}
    yield "PUT", f"/api/accounts/{account}", as_json, {"mode": "prepaid", "unit": "money", "name": text}
    yield "PUT", f"/api/accounts/{account}/members/{quoted}", as_json, {"role": "member", "name": text}


def statements(o):
    [path] = pathlib.Path(o.env["OCTROI_DB_SOCKET"]).parents[1].rglob("statements.log")
    return path.read_text(errors="replace")


def test_nothing_from_outside_is_text_in_a_statement(o):
    """A caller's words reach the database as a number or in hexadecimal: no statement has them as text."""
    account = o.account(funds_micros=10**9)
    tables = {row[0] for row in o.sql("SHOW TABLES")}
    sent = 0
    for number, injection in enumerate(INJECTIONS):
        text = injection.format(f"canary{number}")
        for method, path, headers, body in everywhere(o, account, text):
            sent += 1
            key = None if {"Authorization", "X-Octroi-Key"} & set(headers) else "admin"
            began = time.monotonic()
            answer = o.call(method, path, json=body, key=key, headers=headers)
            assert answer.status < 500 and time.monotonic() - began < 8, (method, path, headers, body, answer)
    said = statements(o)
    assert sent > 350 and said.count("\n") > 300
    lines = [line for line in said.splitlines() if "canary" in line.lower()]
    assert not lines, lines[0]
    assert b"canary0' OR '1'='1".hex() in said.lower()  # it was there, where a text may be one
    assert {row[0] for row in o.sql("SHOW TABLES")} == tables


def test_no_pattern_is_matched_by_the_database():
    """A caller's words are compared whole: no LIKE, for which % and _ mean more than they are (octroictl doctor
    asks with one which rights there are, and has nothing of a caller's)."""
    for path in sorted((TOP / "src").rglob("*")):
        if path.suffix not in (".c", ".h", ".def"):
            continue
        for literal in re.findall(r'"((?:\\.|[^"\\\n])*)"', path.read_text()):
            if re.search(r"\b(SELECT|WHERE|AND|FROM)\b", literal) and literal != " WHERE DATABASE() LIKE table_schema":
                assert not re.search(r"\b(R?LIKE|REGEXP|SOUNDS|MATCH)\b", literal), (path, literal)


# ---- requests that go out ---------------------------------------------------------------------------


class Listener:
    """A server that notes each request, and answers with what it is told."""

    def __init__(self, answer=(200, {}, b"{}")):
        listener = self
        self.requests = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                listener.requests.append(self.requestline)
                status, headers, body = answer
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_CONNECT = do_GET

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def test_no_proxy_of_the_environment_or_of_a_header(monkeypatch):
    """httpoxy: neither HTTP_PROXY of the environment nor a header of that name says where keys are fetched."""
    with Listener() as proxy, Issuer() as issuer:
        key = issuer.key("k1")
        for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        with Octroi("nginx", settings={"jwt_issuer": issuer.url}) as o:
            assert "http_proxy=" in pathlib.Path(f"/proc/{o.pid}/environ").read_text()
            answer = o.get("/api/credits", key=key.sign(issuer.claims("user_1")), headers={"Proxy": proxy.url})
            assert answer.status == 200, answer
        assert proxy.requests == []


def test_an_issuer_leads_nowhere_else():
    """A key set that redirects is none: what it points at is not asked."""
    with Issuer() as issuer, Listener() as inside:
        key = issuer.key("k1")
        with Listener((302, {"Location": inside.url + "/metadata"}, b"")) as redirecting:
            settings = {"jwt_issuer": issuer.url, "jwt_jwks_url": redirecting.url + "/jwks"}
            with Octroi("nginx", settings=settings) as o:
                assert o.get("/api/credits", key=key.sign(issuer.claims("user_1"))).status in (401, 503)
            assert redirecting.requests and inside.requests == []


def test_no_address_comes_from_a_caller(o, stripe):
    """Where octroi connects to, and where a browser is led, is in its configuration: nobody's request says it."""
    account = o.account(funds_micros=10**6)
    evil = "http://evil.example/"
    for name in ("successUrl", "success_url", "returnUrl", "cancelUrl", "url", "webhook", "callback"):
        answer = o.post(f"/api/credits/topup?account={account}", {"amount": 500, name: evil})
        assert answer.status == 400, (name, answer)
    for headers in ({"Host": "evil.example"}, {"X-Forwarded-Host": "evil.example"}, {"Referer": evil}, {"Origin": evil}):
        opened = o.post(f"/api/credits/topup?account={account}", {"amount": 500}, headers=headers)
        assert opened.status == 200 and "evil" not in opened.text
        session = stripe.session_of(opened.json["url"])
        assert "evil" not in json.dumps(session)
    described = json.loads((TOP / "src/routes/openapi.json").read_text())
    for name, schema in described["components"]["schemas"].items():
        for member, what in schema.get("properties", {}).items():
            assert not (name.endswith(("Of", "For", "Change")) and what.get("format") in ("uri", "url")), (name, member)


# ---- browsers ------------------------------------------------------------------------------------------


def test_a_browser_carries_nothing_by_itself(o):
    """No cookie is anybody's word, so another site's page that sends requests sends them as nobody; and no such
    page may read an answer, nor ask beforehand."""
    account = o.account(funds_micros=10**6)
    token = o.post("/api/tokens", {"account": account}).json["token"]
    foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    for cookie in (token, f"token={token}", f"__session={token}", f"Authorization=Bearer {token}", f"key={o.keys['admin']}"):
        for method, path in (("GET", "/api/credits"), ("POST", "/api/credits/topup"), ("POST", "/api/credits/claim-bonus")):
            answer = o.call(method, path, body=b'{"amount":500}' if method == "POST" else None, key=None, public=True,
                            headers={"Cookie": cookie, "Content-Type": "text/plain", **foreign})
            assert answer.status == 401, (method, path, answer)
    answers = [o.get("/api/credits", key=token, public=True, headers=foreign), o.get("/api/pricing", key=None, headers=foreign),
               o.call("OPTIONS", "/api/credits", key=None, public=True, headers={
                   **foreign, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"})]
    for answer in answers:
        assert not [name for name in answer.headers if name.startswith("access-control-")], answer.headers
    # A form can send what it likes, but not as JSON.
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        answer = o.post(f"/api/credits/topup?account={account}", body=b'{"amount":500}', headers={"Content-Type": kind})
        assert answer.status in (400, 415), (kind, answer)
    assert o.get("/api/credits", key=token, public=True).headers["cache-control"] == "no-store"


CONTROLS = ["\n", "\r", "\r\nX-Evil: 1", "\t", "\0", "\x01", "\x1f", "\x7f", "\x85", "\u2028", "\u2029"]


def test_no_line_ends_in_what_may_become_one(o):
    """Names and descriptions go to payment pages, invoices, logs and, one day, mails: none has a control character."""
    account = o.account(funds_micros=10**6)
    before = snapshot(o)
    for control in CONTROLS:
        bad = f"a{control}b"
        for path, body in ((f"/api/accounts/{account}", {"name": bad}), (f"/api/accounts/{account}", {"email": f"{bad}@example.com"}),
                           (f"/api/accounts/{account}", {"email": f"a@example.com{control}"}),
                           (f"/api/accounts/{account}/members/{urllib.parse.quote(bad)}", {"role": "member"})):
            answer = o.call("PUT", path, json=body)
            assert answer.status == 400, (path, body, answer)
        for body in ({"type": "ADJUSTMENT", "amountMicros": 1, "description": bad, "requestId": "r"},
                     {"type": "ADJUSTMENT", "amountMicros": 1, "description": "d", "requestId": bad}):
            assert o.post(f"/api/accounts/{account}/transactions", body, key="admin").status == 400, body
    for control in ("\n", "\r", "\r\nX-Evil: 1", "\0"):
        answer = o.get(f"/api/credits?account={urllib.parse.quote('a' + control + 'b')}")
        assert answer.status in (400, 404) and "x-evil" not in answer.headers
    assert changes(before, snapshot(o)) == []


# ---- the web servers' files --------------------------------------------------------------------------


def test_the_shipped_configurations_rewrite_nothing():
    """nginx: no rewrite and no part of a match ($1) in a parameter, where its buffers were overrun."""
    files = sorted((TOP / "nginx").iterdir())
    assert len(files) >= 6
    for path in files:
        text = re.sub(r"#.*", "", path.read_text())
        assert not re.search(r"\brewrite\b|\$\d", text), path
        assert "underscores_in_headers" not in text or "underscores_in_headers off" in text, path


def test_only_named_parameters_reach_octroi():
    """Every parameter that nginx passes on is one that octroi, or the meter, reads."""
    octroi = set(re.findall(r"^PARAMETER\((\w+)", (TOP / "src/edge/parameters.def").read_text(), re.M))
    meter = set(re.findall(r'head_value\(h, "(\w+)"', (TOP / "src/meter/ingress.c").read_text()))
    assert len(octroi) > 8 and len(meter) > 3

    def passed(meters):
        return set(re.findall(r"^\s*fastcgi_param\s+(\w+)", "\n".join(
            path.read_text() for path in (TOP / "nginx").iterdir() if path.name.startswith("meter") == meters), re.M))

    assert len(passed(False)) > 4 and passed(False) <= octroi, passed(False) - octroi
    assert passed(True) and passed(True) <= octroi | meter, passed(True) - octroi - meter


# ---- a database that is not ours ----------------------------------------------------------------------


def packet(number, payload):
    return struct.pack("<I", len(payload))[:3] + bytes([number]) + payload


OK = b"\0\0\0\2\0\0\0"
CAPABILITIES = 0x000FA20D | 1 << 19 | 1 << 15 | 1 << 7  # CLIENT_LOCAL_FILES among them
SSL_OFFERED = 1 << 11


class Impostor:
    """A server that speaks MariaDB's protocol as far as it takes to get at something.  Whatever a client says is
    kept in heard: the first packet of each connection, then everything."""

    def __init__(self, tls=None, ask_for=None):
        self.tls, self.ask_for = tls, ask_for
        self.heard, self.greeted, self.alerts = b"", 0, []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.meet, args=(connection,), daemon=True).start()

    def meet(self, connection):
        connection.settimeout(10)
        try:
            capabilities = CAPABILITIES | (SSL_OFFERED if self.tls else 0)
            scramble = bytes(random.randrange(1, 127) for _ in range(20))
            connection.sendall(packet(0, b"\x0a5.5.5-10.11.0-MariaDB\0" + struct.pack("<I", 1) + scramble[:8] + b"\0"
                                      + struct.pack("<H", capabilities & 0xFFFF) + b"\x21" + struct.pack("<H", 2)
                                      + struct.pack("<H", capabilities >> 16) + b"\x15" + b"\0" * 10 + scramble[8:]
                                      + b"\0mysql_native_password\0"))
            self.greeted += 1
            first = self.read(connection)
            if self.tls and len(first) == 32:  # a request for TLS
                connection = self.tls.wrap_socket(connection, server_side=True)
                first = self.read(connection)
            if not first:
                return
            connection.sendall(packet(3 if self.tls else 2, OK))
            while self.read(connection):
                connection.sendall(packet(1, b"\xfb" + self.ask_for.encode()))
                while self.read(connection):  # the file, until an empty packet
                    pass
                connection.sendall(packet(3, OK))
        except (OSError, ssl.SSLError) as e:
            self.alerts.append(str(e))
        finally:
            connection.close()

    def read(self, connection):
        """A packet's content; b"" at its end, or when it is empty."""
        head = b""
        while len(head) < 4:
            more = connection.recv(4 - len(head))
            if not more:
                return b""
            head += more
        left, content = struct.unpack("<I", head[:3] + b"\0")[0], b""
        while len(content) < left:
            more = connection.recv(left - len(content))
            if not more:
                break
            content += more
        self.heard += content
        return content

    def close(self):
        self.socket.close()


@pytest.fixture
def impostor():
    started = []

    def start(**how):
        started.append(Impostor(**how))
        return started[-1]

    yield start
    for i in started:
        i.close()


def meet(daemon, home, impostor, *lines):
    """octroi, told that the impostor is its database, until it has been there and said that it is of no use."""
    d = daemon(f"listen = unix:{home}/socket", "db_host = 127.0.0.1", f"db_port = {impostor.port}", "threads = 2",
               "db_user = canary-user", "db_password = canary-password", "db_timeout_ms = 3000", *lines)
    assert fastcgi.call(home / "socket", "GET", "/readyz").status == 503
    wait_until(lambda: impostor.greeted >= 1, what="a connection")
    assert fastcgi.call(home / "socket", "GET", "/healthz").status == 200
    return d


def test_a_false_database_gets_no_file(home, daemon, impostor):
    """LOAD DATA LOCAL: a server may ask its client for any file of its machine.  octroi sends none."""
    secret = home / "secret"
    secret.write_text("canary of a file\n" * 100)
    false = impostor(ask_for=str(secret))
    meet(daemon, home, false)
    wait_until(lambda: b"canary-user" in false.heard, what="the login")
    assert fastcgi.call(home / "socket", "GET", "/readyz").status == 503
    assert b"canary of a file" not in false.heard and b"canary-password" not in false.heard


def compares_names():
    """Whether this machine's library does, for 127.0.0.1; where it does not, octroi does not start with db_tls_ca there."""
    version = ctypes.CDLL("libmariadb.so.3").mysql_get_client_version
    version.restype = ctypes.c_ulong
    return version() < 30402


compared = pytest.mark.skipif(not compares_names(), reason="this client library compares no name for 127.0.0.1")


@compared
def test_without_tls_nothing_is_said(home, daemon, impostor):
    """With db_tls_ca a server without TLS hears neither user nor proof of the password."""
    self_signed(home)
    false = impostor(ask_for="x")
    d = meet(daemon, home, false, f"db_tls_ca = {home}/cert")
    wait_until(lambda: "event=database_unreachable" in d.log.read_text(), what="the refusal")
    assert b"canary-user" not in false.heard


def self_signed(home, name="localhost"):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                    f"/CN={name}", "-keyout", home / f"key-{name}", "-out", home / f"cert-{name}"], check=True, capture_output=True)
    (home / "cert").write_text((home / f"cert-{name}").read_text())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(home / f"cert-{name}", home / f"key-{name}")
    return context


@compared
@pytest.mark.parametrize("whose", ["another's", "another name's"])
def test_a_certificate_that_is_not_the_databases(home, daemon, impostor, whose):
    """Signed by nobody that octroi knows, or for another name: the user is not told."""
    context = self_signed(home, "elsewhere.example")
    if whose == "another's":
        self_signed(home, "localhost")  # what octroi believes
    false = impostor(tls=context, ask_for="x")
    d = meet(daemon, home, false, f"db_tls_ca = {home}/cert")
    wait_until(lambda: "event=database_unreachable" in d.log.read_text(), what="the refusal")
    assert b"canary-user" not in false.heard.replace(b"\0", b"")


def client_version(home, number):
    """A library that says it is of that version, before all others."""
    (home / "version.c").write_text(f"unsigned long mysql_get_client_version(void) {{ return {number}; }}\n")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", home / "version.so", home / "version.c"], check=True)
    return {"LD_PRELOAD": str(home / "version.so"),
            "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_library_that_compares_no_name_is_refused(home, impostor, host):
    """Libraries of MariaDB 11.4.4 and later take any certificate of the CA for these hosts: nobody is told anything."""
    context = self_signed(home, "elsewhere.example")
    false = impostor(tls=context, ask_for="x")
    conf = home / "octroi.conf"
    conf.write_text(f"listen = unix:{home}/socket\ndb_host = {host}\ndb_port = {false.port}\ndb_user = canary-user\n"
                    f"db_password = canary-password\ndb_tls_ca = {home}/cert\n")
    for command in (["octroi", "-c"], ["octroi", "-t", "-c"], ["octroictl", "-c"]):
        more = ["account", "list"] if command[0] == "octroictl" else []
        refused = subprocess.run([build_dir() / command[0], *command[1:], conf, *more], capture_output=True, text=True, timeout=20,
                                 check=False, env=environment(**client_version(home, 30405)), stdin=subprocess.DEVNULL)
        assert refused.returncode != 0 and "does not compare the name" in refused.stderr, (command, refused)
    assert false.greeted == 0 and b"canary" not in false.heard


@compared
def test_the_databases_own_certificate_is_believed(home, daemon, impostor):
    """So that the two above are about the certificate: with the right one the user is told."""
    context = self_signed(home, "127.0.0.1")
    right = impostor(tls=context, ask_for="x")
    meet(daemon, home, right, f"db_tls_ca = {home}/cert")
    wait_until(lambda: b"canary-user" in right.heard, what="the login")

"""A server in octroi's place with every fault, and a provider that counts who asks it.

    with Faults() as faults:
        faults.url("half an answer")     # an address whose every answer is that fault
        faults.asked                     # requests that reached the provider
"""

import http.server
import json
import socket
import ssl
import subprocess
import threading
import time

HOLD = {"decision": "allow", "source": "platform", "hold": "h" * 32, "provider": "openai", "model": "gpt-4o",
        "reservedMicros": 20_000, "balanceMicros": 1_000_000, "availableMicros": 980_000, "maxOutputTokens": 77,
        "priceVersion": 1, "expiresAt": "2030-01-01T00:00:00.000Z", "replayed": False}
JSON = "application/json"


def error(status, code, **more):
    return status, JSON, json.dumps({"error": code, "message": "m", "requestId": "r", **more})


def hold(status=200, kind=JSON, **change):
    changed = {name: value for name, value in {**HOLD, **change}.items() if value is not None}
    return status, kind, json.dumps(changed)


# An answer (status, content type, body), or the name of a method of Handler.
FAULTS = {
    "refusing": None, "hanging": "hang", "slow": "trickle", "closing": "close", "resetting": "reset",
    "half an answer": "half", "a half header": "half_header", "no HTTP": "no_http", "endless": "endless",
    "redirect": "redirect", "redirect of a GET": "see_other", "wrong certificate": "tls",
    "400": error(400, "INVALID_REQUEST", field="model"), "401": error(401, "UNAUTHORIZED"),
    "402": error(402, "INSUFFICIENT_CREDITS", topupUrl="https://example.org/billing", shortfallMicros=5,
                 limit={"kind": "balance", "limitMicros": 0, "usedMicros": 0, "resetsAt": None}),
    "402 of a proxy": (402, "text/html", "<html>"), "403": error(403, "FORBIDDEN"), "404": (404, "text/html", "<html>"),
    "409": error(409, "CONFLICT"), "413": error(413, "PAYLOAD_TOO_LARGE"), "422": error(422, "UNKNOWN_MODEL"),
    "429": error(429, "RATE_LIMITED"), "500": (500, "text/html", "<html>"), "a hold with a 500": hold(500),
    "a hold with a 201": hold(201), "502": (502, "text/html", "<html>"), "503": error(503, "UNAVAILABLE"),
    "504": (504, "text/html", "<html>"), "204": (204, JSON, ""), "wrong content type": hold(kind="text/html"),
    "another site": (200, "text/html", "<html>Welcome to nginx!</html>"), "nothing": (200, JSON, ""),
    "null": (200, JSON, "null"), "a list": (200, JSON, f"[{json.dumps(HOLD)}]"), "a text": (200, JSON, '"allow"'),
    "broken JSON": (200, JSON, json.dumps(HOLD)[:-1]), "no hold": hold(hold=None), "an empty hold": hold(hold=""),
    "a hold that is a number": hold(hold=7), "a hold that is a list": hold(hold=["h"]), "no decision": hold(decision=None),
    "decision deny": hold(decision="deny"), "no maxOutputTokens": hold(maxOutputTokens=None),
    "maxOutputTokens is a text": hold(maxOutputTokens="77"), "no expiry": hold(expiresAt=None),
    "replayed is missing": hold(replayed=None), "the hold of another call": hold(replayed=True, holdState="open"),
    "a hold that has ended": hold(replayed=True, holdState="settled"),
}
SILENT = ("hanging", "slow")  # for these a test's client waits a short time only; a busy machine may answer others late
# The exception of each; Unavailable otherwise.
EXCEPTIONS = {"400": "InvalidRequest", "401": "NotPermitted", "402": "InsufficientCredits", "403": "NotPermitted",
              "409": "Conflict", "413": "InvalidRequest", "422": "UnknownPrice", "429": "TooMany",
              "the hold of another call": "AlreadyAsked", "a hold that has ended": "AlreadyAsked"}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        self.say(*hold())  # for whoever followed the redirect

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append((self.path, json.loads(body)))
        fault = self.server.fault
        if isinstance(fault, str):
            getattr(self, fault)()
        elif callable(fault):
            fault(self)
        else:
            self.say(*fault)

    def say(self, status, kind, body, promised=None, **headers):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body) if promised is None else promised))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body.encode())

    def hang(self):
        self.server.stopped.wait(30)

    def trickle(self):
        self.send_response(200)
        self.end_headers()
        try:
            while not self.server.stopped.wait(0.2):
                self.wfile.write(b" ")
        except OSError:
            pass

    def close(self):
        self.close_connection = True

    def reset(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.close_connection = True

    def half(self):
        self.say(*hold(), promised=5000)
        self.close_connection = True

    def half_header(self):
        self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
        self.close_connection = True

    def no_http(self):
        self.wfile.write(json.dumps(HOLD).encode())
        self.close_connection = True

    def endless(self):
        self.send_response(200)
        self.send_header("Content-Type", JSON)
        self.end_headers()
        try:
            for _ in range(64):
                self.wfile.write(b" " * 65536)
            self.wfile.write(json.dumps(HOLD).encode())
        except OSError:
            pass
        self.close_connection = True

    def redirect(self):
        self.say(307, JSON, "", Location=f"{self.server.good}/api/guard/authorize")

    def see_other(self):
        self.say(303, JSON, "", Location=f"{self.server.good}/api/guard/authorize")

    def tls(self):
        self.say(*hold())


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # all faults of a mode are played at once

    def __init__(self, fault):
        super().__init__(("127.0.0.1", 0), Handler)
        self.fault, self.seen, self.stopped, self.good = fault, [], threading.Event(), ""
        self.scheme = "http"
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def url(self):
        return f"{self.scheme}://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address):
        pass  # clients that went away are the purpose

    def wrap(self, certificate):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.scheme = "https"

    def stop(self):
        self.stopped.set()
        self.shutdown()
        self.server_close()


def certificate(path, name="127.0.0.1"):
    """A certificate and its key in one file."""
    kind = "IP" if name[0].isdigit() else "DNS"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName={kind}:{name}",
                    "-keyout", f"{path}.key", "-out", f"{path}.crt"], check=True, stderr=subprocess.DEVNULL)
    path.write_text(path.with_name(f"{path.name}.key").read_text() + path.with_name(f"{path.name}.crt").read_text())
    return path


def refused_port():
    """A bound socket that does not listen: its port answers nobody, and no other server gets it meanwhile."""
    refusing = socket.socket()
    refusing.bind(("127.0.0.1", 0))
    return refusing


class Faults:
    """Servers by fault, and a provider."""

    def __init__(self, directory):
        self.directory, self.servers, self.asked, self.refusing = directory, {}, [], []
        self.provider = Server(self._provide)
        self.good = Server(hold())

    def _provide(self, handler):
        self.asked.append(self.provider.seen[-1][1])
        handler.say(200, JSON, json.dumps({"usage": {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}}))

    def url(self, fault):
        if FAULTS[fault] is None:
            self.refusing.append(refused_port())
            return f"http://127.0.0.1:{self.refusing[-1].getsockname()[1]}"
        server = self.servers[fault] = Server(FAULTS[fault])
        server.good = self.good.url
        if FAULTS[fault] == "tls":
            server.wrap(certificate(self.directory / "unknown"))
        return server.url

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for server in (self.provider, self.good, *self.servers.values()):
            server.stop()
        for refusing in self.refusing:
            refusing.close()


def wait(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)

"""An issuer of tokens for tests: keys made with openssl, a key set served over HTTP, tokens that are
right or wrong in any way one likes.

    with Issuer() as issuer:
        key = issuer.key("k1")                       # RS256; issuer.key("k2", "ES256")
        token = key.sign(issuer.claims("user_1"))
        issuer.published = [key]                     # what the key set holds
        issuer.requests                              # how often it was asked for
        issuer.mode = "slow" | "error" | "nonsense" | "ok"

Only Python's standard library and the openssl program are used.
"""

import base64
import http.server
import json
import subprocess
import tempfile
import threading
import time


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def openssl(*arguments, data=b""):
    return subprocess.run(["openssl", *arguments], input=data, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          check=True).stdout


def _raw_signature(der):
    """r and s of an ECDSA signature as 64 bytes (RFC 7518 section 3.4)."""
    at = 2
    parts = []
    for _ in range(2):
        length = der[at + 1]
        parts.append(der[at + 2:at + 2 + length].lstrip(b"\0").rjust(32, b"\0"))
        at += 2 + length
    return b"".join(parts)


class Key:
    def __init__(self, kid, algorithm="RS256", bits=2048):
        self.kid, self.algorithm = kid, algorithm
        if algorithm == "ES256":
            self.pem = openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
        else:
            self.pem = openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", f"rsa_keygen_bits:{bits}")
        self.file = tempfile.NamedTemporaryFile(suffix=".pem")
        self.file.write(self.pem)
        self.file.flush()

    def jwk(self, **changes):
        if self.algorithm == "ES256":
            point = openssl("pkey", "-in", self.file.name, "-pubout", "-outform", "DER")[-64:]
            key = {"kty": "EC", "crv": "P-256", "x": b64(point[:32]), "y": b64(point[32:])}
        else:
            text = openssl("rsa", "-in", self.file.name, "-noout", "-modulus").decode()
            key = {"kty": "RSA", "n": b64(bytes.fromhex(text.strip().partition("=")[2])), "e": "AQAB"}
        key.update({"kid": self.kid, "alg": self.algorithm, "use": "sig"})
        key.update(changes)
        return {name: value for name, value in key.items() if value is not None}

    def sign(self, claims, **header):
        """header: changes; a value of None takes the member out."""
        head = {"alg": self.algorithm, "typ": "JWT", "kid": self.kid, **header}
        head = {name: value for name, value in head.items() if value is not None}
        text = b64(json.dumps(head).encode()) + "." + b64(json.dumps(claims).encode())
        made = openssl("dgst", "-sha256", "-sign", self.file.name, data=text.encode())
        return text + "." + b64(_raw_signature(made) if self.algorithm == "ES256" else made)


class Issuer:
    def __init__(self):
        self.published, self.requests, self.mode, self.slow_seconds = [], 0, "ok", 30
        self.stopping = threading.Event()
        issuer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                issuer.requests += 1
                if issuer.mode == "slow":
                    issuer.stopping.wait(issuer.slow_seconds)
                status = 500 if issuer.mode == "error" else 200
                body = json.dumps({"keys": [k if isinstance(k, dict) else k.jwk() for k in issuer.published]}).encode()
                if issuer.mode == "nonsense":
                    body = b"<html>"
                try:
                    self.send_response(status if self.path == "/.well-known/jwks.json" else 404)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    pass  # who asked has gone

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def key(self, kid, algorithm="RS256", publish=True, **more):
        key = Key(kid, algorithm, **more)
        if publish:
            self.published = [*self.published, key]
        return key

    def claims(self, subject="user_1", **changes):
        """Claims of Clerk about a session; a value of None takes the claim out."""
        now = int(time.time())
        claims = {"iss": self.url, "sub": subject, "azp": "https://app.example.com", "sid": "sess_1",
                  "iat": now, "nbf": now - 10, "exp": now + 60, **changes}
        return {name: value for name, value in claims.items() if value is not None}

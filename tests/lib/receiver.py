"""An endpoint of webhooks for tests, over TLS with a certificate of its own: keeps all that is posted to it, and answers
as the test says.

    with Receiver() as r:
        r.answer = lambda request: (410, {})
        o.ctl("endpoint", "add", r.url, "--inside")
"""

import datetime
import http.server
import json
import os
import pathlib
import shutil
import ssl
import subprocess
import tempfile
import threading


def make_certificate(directory, name="localhost"):
    """(certificate, key): of localhost and 127.0.0.1, signed by itself; readable by the daemons."""
    certificate, key = pathlib.Path(directory) / f"{name}.pem", pathlib.Path(directory) / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name},IP:127.0.0.1", "-keyout", key, "-out",
                    certificate], check=True, capture_output=True)
    os.chmod(certificate, 0o644)
    return certificate, key


class Message:
    """A request that came: path, headers (lower-case names), body (bytes), json, at (time)."""

    def __init__(self, path, headers, body):
        self.path, self.body, self.at = path, body, datetime.datetime.now()
        self.headers = {name.lower(): value for name, value in headers.items()}

    @property
    def id(self):
        return self.headers["webhook-id"]

    @property
    def json(self):
        return json.loads(self.body)


class Receiver:
    """answer: a function of a Message to (status, headers), called on a thread of its own; it may wait.  tls False: plain
    HTTP.  like: another receiver, whose certificate this one has too."""

    def __init__(self, tls=True, like=None):
        self.messages, self.answer, self.stopping = [], lambda message: (204, {}), threading.Event()
        self._home = tempfile.mkdtemp(prefix="octroi-receiver-")
        os.chmod(self._home, 0o755)
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                message = Message(self.path, self.headers, body)
                receiver.messages.append(message)
                status, headers = receiver.answer(message)
                try:
                    self.send_response(status)
                    for name, value in headers.items():
                        self.send_header(name, value)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                except OSError:
                    pass  # octroi has gone

            do_GET = do_POST

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False

            def handle_error(self, request, client_address):
                pass  # a peer that does not trust the certificate

        self.server = Server(("127.0.0.1", 0), Handler)
        self.certificate, self.key = (like.certificate, like.key) if like else make_certificate(self._home)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificate, self.key)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        self.url = f"{'https' if tls else 'http'}://localhost:{self.port}/hook"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
        shutil.rmtree(self._home, ignore_errors=True)

    def of(self, account):
        return [message for message in self.messages if message.json["data"].get("account") == account]

"""README's snippets run as they stand, in a network of their own in which 127.0.0.1:8081 is what a test wants it to be.

    unshare --net -- python3 readme.py LANGUAGE WORLD      prints what happened, as JSON

WORLD is one of FAULTS, "answers" (a server that answers what octroi does), or "octroi" (octroi itself, behind nginx).
"""

import http.server
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading

TOP = pathlib.Path(__file__).resolve().parents[2]
PORT = 8081  # README's
KEY = "oct_guard_of-the-readme"
HOLD = {"decision": "allow", "source": "platform", "provider": "openai", "model": "gpt-4o", "hold": "h1",
        "reservedMicros": 20_000, "balanceMicros": 1_000_000, "availableMicros": 980_000, "maxOutputTokens": 77,
        "priceVersion": 1, "expiresAt": "2030-01-01T00:00:00.000Z", "replayed": False}
SETTLED = {"hold": "h1", "cost": 0.001, "costMicros": 10, "balanceMicros": 999_990, "availableMicros": 999_990,
           "settlement": "exact", "replayed": False}
USAGE = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}

# Answers in octroi's place: (status, body), or a word of serve() below.
FAULTS = {
    "away": None,
    "no answer": "hangs",
    "closes": "closes",
    "no key": (401, '{"error":"UNAUTHORIZED","message":"Authentication is required."}'),
    "no credits": (402, '{"error":"INSUFFICIENT_CREDITS","message":"Not enough credits."}'),
    "forbidden": (403, '{"error":"FORBIDDEN","message":"no"}'),
    "conflict": (409, '{"error":"CONFLICT","message":"no"}'),
    "unknown model": (422, '{"error":"UNKNOWN_MODEL","message":"This model has no price."}'),
    "too many": (429, '{"error":"TOO_MANY_HOLDS","message":"no"}'),
    "a hold with a 500": (500, json.dumps(HOLD)),
    "bad gateway": (502, "<html>502 Bad Gateway</html>"),
    "unavailable": (503, '{"error":"UNAVAILABLE","message":"later"}'),
    "another site": (200, "<html>Welcome to nginx!</html>"),
    "nothing": (200, ""),
    "null": (200, "null"),
    "a list": (200, "[]"),
    "a text": (200, '"allow"'),
    "no hold": (200, '{"decision":"allow"}'),
    "half an answer": (200, json.dumps(HOLD)[:30]),
    "less than promised": "short",
    "a redirect": "redirect",
    "a hold that has ended": (200, json.dumps({**HOLD, "replayed": True, "holdState": "settled"})),
    "the hold of another call": (200, json.dumps({**HOLD, "replayed": True, "holdState": "open"})),
    "a hold that has expired": (200, json.dumps({**HOLD, "replayed": True, "holdState": "expired"})),
}

# Files beside the page.
CLIENTS = {"php": ["clients/php/octroi.php"], "python": ["clients/python/octroi"]}

PRELUDES = {
    "php": """<?php
$id = 'readme-1';
function ask_openai($most) {
    file_put_contents(getenv('WORLD') . '/asked', json_encode($most) . "\\n", FILE_APPEND);
    if (getenv('PROVIDER_FAILS')) throw new RuntimeException('the provider broke off');
    return ['usage' => %s];
}
""" % "json_decode('%s', true)" % json.dumps(USAGE),
    "python": """
request_id = "readme-1"
def ask_openai(max_tokens):
    import os
    with open(os.environ["WORLD"] + "/asked", "a") as asked:
        print(max_tokens, file=asked)
    if os.environ.get("PROVIDER_FAILS"):
        raise RuntimeError("the provider broke off")
    return {"usage": %r}
""" % USAGE,
}


def snippet(language):
    """The one block of README that has both halves of the guard in this language."""
    blocks = re.findall(rf"```{language}\n(.*?)```", (TOP / "README.md").read_text(), re.S)
    (found,) = [block for block in blocks if "Octroi" in block and "settle" in block]
    return found


def loopback_up():
    import fcntl
    import struct
    with socket.socket() as s:
        fcntl.ioctl(s, 0x8914, struct.pack("16sh", b"lo", 1 | 64))  # SIOCSIFFLAGS: up, running


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, fault, settle_failures=0, contradiction=False):
        self.fault, self.settle_failures, self.contradiction = fault, settle_failures, contradiction
        self.seen = []
        super().__init__(("127.0.0.1", PORT), Handler)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_GET(self):  # whoever followed the redirect
        self.answer(200, json.dumps(HOLD))

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path.startswith("/elsewhere"):
            self.answer(200, json.dumps(HOLD))
            return
        self.server.seen.append([self.path, self.headers.get("X-Octroi-Key"), asked])
        fault = self.server.fault
        if fault == "hangs":
            threading.Event().wait(60)
        elif fault == "closes":
            self.close_connection = True
        elif fault == "short":
            self.answer(200, json.dumps(HOLD)[:-1], promised=1000)
        elif fault == "redirect":
            self.answer(307, "", headers=[("Location", f"http://127.0.0.1:{PORT}/elsewhere/authorize")])
        elif fault is not None:
            self.answer(*fault)
        elif self.headers.get("X-Octroi-Key") != KEY:
            self.answer(*FAULTS["no key"])
        elif self.path == "/api/guard/authorize":
            self.answer(200, json.dumps(HOLD))
        elif self.server.contradiction and "usage" in asked:
            self.answer(400, '{"error":"INVALID_REQUEST","field":"usage.total_tokens"}')
        elif self.server.settle_failures > 0:
            self.server.settle_failures -= 1
            self.answer(*FAULTS["unavailable"])
        else:
            self.answer(200, json.dumps(SETTLED))

    def answer(self, status, body, promised=None, headers=()):
        self.send_response(status)
        for header in headers:
            self.send_header(*header)
        self.send_header("Content-Type", "text/html" if body.startswith("<") else "application/json")
        self.send_header("Content-Length", str(promised or len(body)))
        self.end_headers()
        self.wfile.write(body.encode())
        self.close_connection = True


def run(language, key, provider_fails=False):
    """Runs the snippet; its exit status, output, and with how many tokens the provider was asked."""
    with tempfile.TemporaryDirectory() as world:
        page = pathlib.Path(world) / ("page." + language)
        page.write_text(PRELUDES[language] + snippet(language))
        for client in CLIENTS.get(language, ()):
            copy = shutil.copytree if (TOP / client).is_dir() else shutil.copy
            copy(TOP / client, pathlib.Path(world) / pathlib.Path(client).name)
        environment = {"PATH": os.environ["PATH"], "WORLD": world}
        environment.update({"OCTROI_GUARD_KEY": key} if key else {})
        environment.update({"PROVIDER_FAILS": "1"} if provider_fails else {})
        command = ["/usr/bin/python3", str(page)]
        if language == "php":  # as a web server calls it
            command = ["php-cgi"]
            environment.update(GATEWAY_INTERFACE="CGI/1.1", REDIRECT_STATUS="200", REQUEST_METHOD="GET", SCRIPT_FILENAME=str(page))
        try:
            done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, timeout=40)
        except subprocess.TimeoutExpired:
            return {"exit": 0, "out": "it waits for ever", "asked": ["for ever"]}
        asked = pathlib.Path(world) / "asked"
        return {"exit": done.returncode, "out": done.stdout,
                "asked": [json.loads(line) for line in asked.read_text().splitlines()] if asked.exists() else []}


def against_octroi(language):
    import octroi
    octroi.free_port = lambda: PORT - 1
    with octroi.Octroi("nginx") as o:
        o.account("user:42", funds_micros=1_000_000)
        happened = run(language, o.keys["guard"])
        again = run(language, o.keys["guard"])
        usages = o.sql("SELECT COUNT(*), SUM(input_tokens), SUM(output_tokens) FROM usages")
        return {**happened, "again": again["asked"], "usages": usages[0], "balance": o.balance("user:42")}


def main(language, world):
    loopback_up()
    if world == "octroi":
        print(json.dumps(against_octroi(language)))
        return
    if FAULTS.get(world, "") is None:
        print(json.dumps({**run(language, KEY), "seen": []}))
        return
    server = Server(FAULTS.get(world), settle_failures={"settle fails twice": 2, "settle fails": 99}.get(world, 0),
                    contradiction=world == "usage refused")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    key = "" if world == "no key" else KEY
    print(json.dumps({**run(language, key, provider_fails=world == "provider fails"), "seen": server.seen}))


if __name__ == "__main__":
    main(*sys.argv[1:])

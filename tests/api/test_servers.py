"""octroi behind each web server, by the configurations that nginx/ and apache/ ship."""

import http.server
import json
import pathlib
import threading

import fastcgi
import pytest

from octroi import Octroi

EUROS = 1_000_000
AUTHORIZE = "/api/guard/authorize"

INTERNAL_ROUTES = [
    ("POST", "/api/guard/authorize"), ("POST", "/api/guard/settle"), ("POST", "/api/guard/release"),
    ("POST", "/api/guard/extend"), ("POST", "/api/guard/charge"), ("GET", "/api/guard/check"),
    ("GET", "/api/accounts/ws:acme"), ("PUT", "/api/accounts/ws:acme"), ("POST", "/api/tokens"), ("GET", "/metrics"),
]


def guard_round_trip(o, account, **more):
    held = o.post(AUTHORIZE, {"account": account, "model": "gpt-4o", "inputTokens": 500, "maxOutputTokens": 2000}, **more)
    assert held.status == 200, held
    usage = {"prompt_tokens": 500, "completion_tokens": 300, "total_tokens": 800}
    settled = o.post("/api/guard/settle", {"hold": held.json["hold"], "usage": usage}, **more)
    assert settled.status == 200, settled
    # (500 x 2.50 + 300 x 10.00) / 10^6 dollars, margin 1.05, 1.08 dollars per euro, rounded up
    assert settled.json["costMicros"] == 4132
    return settled.json


def test_guard_round_trip(server):
    account = server.account(funds_micros=5 * EUROS)
    settled = guard_round_trip(server, account)
    assert settled["balanceMicros"] == 5 * EUROS - 4132
    assert server.balance(account) == (5 * EUROS - 4132, 0, 5 * EUROS - 4132)


def test_key_in_the_other_header(server):
    """For hosts that strip Authorization."""
    account = server.account(funds_micros=EUROS)
    guard_round_trip(server, account, key=None, headers={"X-Octroi-Key": server.keys["guard"]})


def test_no_key_and_a_wrong_key(server):
    assert server.post(AUTHORIZE, {"account": "t:x", "model": "gpt-4o"}, key=None).status == 401
    assert server.post(AUTHORIZE, {"account": "t:x", "model": "gpt-4o"}, key="oct_guard_" + "A" * 43).status == 401


def test_browser_token_reaches_octroi(server):
    account = server.account(funds_micros=2 * EUROS)
    made = server.post("/api/tokens", {"account": account}, key="app")
    assert made.status == 200, made
    shown = server.get("/api/credits", key=made.json["token"], public=True)
    assert shown.status == 200, shown
    assert shown.json["account"] == account and shown.json["balanceMicros"] == 2 * EUROS
    assert shown.headers["cache-control"] == "no-store"
    assert server.get("/api/credits", key=None, public=True).status == 401


@pytest.mark.parametrize("path", ["/healthz", "/api/pricing", "/api/openapi.json"])
def test_public_pages(server, path):
    answer = server.get(path, key=None, public=True)
    assert answer.status == 200 and answer.json is not None, answer


def test_path_and_query_arrive_as_sent(server):
    """Percent-encoding, an encoded slash, dots, a query."""
    account = server.account("t:with.all_of-it:and@" + str(id(server)))
    assert server.get("/api/accounts/" + account.replace(":", "%3A").replace("@", "%40")).status == 200
    assert server.get("/api/credits/usages?limit=1&account=" + account.replace("@", "%40")).status == 200
    assert server.get("/api/accounts/a%2Fb").status in (400, 404)
    assert server.get("/api/accounts/../../healthz").status in (200, 400, 403, 404)


def test_request_id(server):
    given = server.get("/healthz", key=None, headers={"X-Request-Id": "my-own.request_1"})
    assert given.headers["x-request-id"] == "my-own.request_1"
    made = {server.get("/healthz", key=None).headers["x-request-id"] for _ in range(3)}
    assert len(made) == 3 and all(len(one) >= 16 for one in made)


def test_body_over_128_kib_is_refused_by_octroi(server):
    refused = server.post(AUTHORIZE, body=b'{"account":"' + b"a" * (200 * 1024) + b'"}')
    assert refused.status == 413, refused
    assert refused.json["error"]


def test_body_of_just_under_128_kib_arrives_whole(server):
    blanks = b" " * (127 * 1024)
    account = server.account(funds_micros=EUROS)
    body = json.dumps({"account": account, "model": "gpt-4o"}).encode() + blanks
    assert server.post(AUTHORIZE, body=body, headers={"Content-Type": "application/json"}).status == 200


def test_headers_that_look_like_server_parameters_are_refused(server):
    for name in ("Octroi-Account", "Octroi-Member"):
        answer = server.get("/api/credits?account=t:x", headers={name: "t:someone-else"})
        assert answer.status == 400, (name, answer)


@pytest.mark.parametrize("which", ["nginx", "apache"])
@pytest.mark.parametrize("method,path", INTERNAL_ROUTES)
def test_public_server_does_not_serve_the_rest(request, which, method, path):
    o = request.getfixturevalue(which)
    refused = o.call(method, path, json={} if method != "GET" else None, key="admin", public=True)
    assert refused.status in (404, 405), refused
    assert "x-request-id" not in refused.headers  # it is not octroi that answered


@pytest.mark.parametrize("method,path", INTERNAL_ROUTES)
def test_public_socket_does_not_serve_the_rest(nginx, method, path):
    """Whatever a web server is configured to pass on."""
    public = pathlib.Path(nginx.env["OCTROI_DB_SOCKET"]).parent / "octroi.sock"
    answer = fastcgi.call(public, method, path, headers={"Authorization": "Bearer " + nginx.keys["admin"]})
    if path == "/api/guard/check":  # which auth_request asks: 2xx or 403
        assert answer.status == 403, answer
    else:
        assert answer.status == 404, answer


def test_errors_of_octroi_are_json_behind_every_server(server):
    for status, answer in ((404, server.get("/api/nothing")), (405, server.call("DELETE", "/api/pricing")),
                           (400, server.post(AUTHORIZE, body=b"{", headers={"Content-Type": "application/json"}))):
        assert answer.status == status and answer.json["error"] and answer.json["requestId"], answer


def sockets_of_octroi(o):
    """How many connections octroi has accepted since it started."""
    for line in o.get("/metrics", key="report").text.splitlines():
        if line.startswith("octroi_edge_accepted_total"):
            return int(line.split()[-1])
    raise AssertionError("no octroi_edge_accepted_total in /metrics")


@pytest.mark.parametrize("which", ["nginx", "apache"])
def test_connections_to_octroi_are_kept(request, which):
    o = request.getfixturevalue(which)
    account = o.account(funds_micros=EUROS)
    before = sockets_of_octroi(o)
    for _ in range(60):
        assert o.balance(account)[0] == EUROS
    assert sockets_of_octroi(o) - before <= 10


# ---- a location guarded by nginx alone ---------------------------------------------------------------

GUARDED = """
include octroi/guarded.conf;
location /ai/ {
	set $octroi_account $http_x_site_account; # a test's way to say who is logged in
	set $octroi_member "";
	set $octroi_model "gpt-4o";
	include octroi/require-credit.conf;
	proxy_pass http://127.0.0.1:%d;
}
"""


class Application(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen = []

    def log_message(self, *arguments):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.seen.append((self.path, body))
        status = 403 if self.path == "/ai/forbidden" else 500 if self.path == "/ai/broken" else 200
        self.send_response(status)
        answer = b"application says %d to " % status + body
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST


@pytest.fixture(scope="module")
def guarded():
    """nginx with a guarded location before an application that knows nothing of octroi."""
    application = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Application)
    threading.Thread(target=application.serve_forever, daemon=True).start()
    with Octroi("nginx", settings={"trust_server_params": "on"}) as o:
        (o.dir / "nginx.d").mkdir()
        (o.dir / "nginx.d" / "guarded.conf").write_text(GUARDED % application.server_port)
        o.start()
        yield o
    application.shutdown()
    application.server_close()


def ask(o, path, account, **more):
    return o.post(path, body=b"hello", key="a key of the application's own", public=True,
                  headers={"X-Site-Account": account}, **more)


def test_guarded_location_lets_credit_through(guarded):
    account = guarded.account(funds_micros=EUROS)
    answer = ask(guarded, "/ai/chat", account)
    assert (answer.status, answer.text) == (200, "application says 200 to hello")
    assert Application.seen[-1] == ("/ai/chat", b"hello")
    assert guarded.balance(account) == (EUROS, 0, EUROS)  # the check reserves nothing


def test_guarded_location_turns_no_credit_into_402(guarded):
    account = guarded.account()
    calls = len(Application.seen)
    answer = ask(guarded, "/ai/chat", account)
    assert answer.status == 402, answer
    assert answer.json["error"] == "INSUFFICIENT_CREDITS"
    assert answer.headers["cache-control"] == "no-store"
    assert len(Application.seen) == calls  # the application was not asked


def test_applications_own_refusals_are_its_own(guarded):
    account = guarded.account(funds_micros=EUROS)
    assert ask(guarded, "/ai/forbidden", account).text == "application says 403 to hello"
    assert ask(guarded, "/ai/broken", account).text == "application says 500 to hello"


def test_guard_check_cannot_be_called_from_outside(guarded):
    assert guarded.get("/_octroi/check", key=None, public=True).status == 404


def test_guarded_location_is_closed_while_octroi_is_down(guarded):
    account = guarded.account(funds_micros=EUROS)
    calls = len(Application.seen)
    guarded.kill("octroi")
    answer = ask(guarded, "/ai/chat", account)
    assert answer.status == 503 and answer.json["error"] == "UNAVAILABLE", answer
    assert len(Application.seen) == calls
    guarded.start()
    assert ask(guarded, "/ai/chat", account).status == 200

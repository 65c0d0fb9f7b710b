"""octroi behind each web server, by the configurations that nginx/ and apache/ ship."""

import base64
import http.client
import http.server
import json
import os
import pathlib
import re
import signal
import threading

import fastcgi
import pytest

from octroi import TOP, Octroi, alive, free_port, wait_until

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
    """No internal route answers there, whatever a web server passes on."""
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


# ---- a location guarded by the web server alone ------------------------------------------------------

GUARDED = {"nginx": """
include octroi/guarded.conf;
location /ai/ {
	set $octroi_account $http_x_site_account; # a test's way to say who is logged in
	set $octroi_member "";
	set $octroi_model "gpt-4o";
	include octroi/require-credit.conf;
	proxy_pass http://127.0.0.1:{port};
}
""", "apache": """
LoadModule authn_core_module /usr/lib/apache2/modules/mod_authn_core.so
LoadModule authn_file_module /usr/lib/apache2/modules/mod_authn_file.so
LoadModule authz_user_module /usr/lib/apache2/modules/mod_authz_user.so
LoadModule auth_basic_module /usr/lib/apache2/modules/mod_auth_basic.so
Include {apache}/guarded.conf
<Location "/ai">
	RewriteEngine On
	RewriteRule ^ - [E=OCTROI_ACCOUNT:%{HTTP:X-Site-Account},E=OCTROI_MEMBER:,E=OCTROI_MODEL:gpt-4o]
	Include {apache}/require-credit.conf
	ProxyPass http://127.0.0.1:{port}/ai
</Location>
<Location "/members">
	AuthType Basic
	AuthName members
	AuthUserFile {users}
	Require valid-user
	RewriteEngine On
	RewriteRule ^ - [E=OCTROI_ACCOUNT:ws:%{REMOTE_USER},E=OCTROI_MODEL:%{HTTP:X-Model}]
	Include {apache}/require-credit.conf
	ProxyPass http://127.0.0.1:{port}/ai
</Location>
<Location "/unverified">
	RewriteEngine On
	RewriteRule ^ - [E=OCTROI_ACCOUNT:ws:%{REMOTE_USER},E=OCTROI_MODEL:gpt-4o]
	Include {apache}/require-credit.conf
	ProxyPass http://127.0.0.1:{port}/ai
</Location>
<Location "/either">
	AuthType Basic
	AuthName members
	AuthUserFile {users}
	<RequireAny>
		Require all granted
		Require valid-user
	</RequireAny>
	RewriteEngine On
	RewriteRule ^ - [E=OCTROI_ACCOUNT:ws:%{REMOTE_USER},E=OCTROI_MODEL:gpt-4o]
	Include {apache}/require-credit.conf
	ProxyPass http://127.0.0.1:{port}/ai
</Location>
<Location "/forgotten">
	RewriteEngine On
	Include {apache}/require-credit.conf
	ProxyPass http://127.0.0.1:{port}/ai
</Location>
# A virtual host without a map of its own, and one that shares the server's.
Listen 127.0.0.1:{other_port}
<VirtualHost 127.0.0.1:{other_port}>
	ServerName alone
	<Location "/ai">
		RewriteEngine On
		RewriteRule ^ - [E=OCTROI_ACCOUNT:%{HTTP:X-Site-Account}]
		Include {apache}/require-credit.conf
		ProxyPass http://127.0.0.1:{port}/ai
	</Location>
</VirtualHost>
<VirtualHost 127.0.0.1:{other_port}>
	ServerName sharing
	RewriteOptions Inherit
	<Location "/ai">
		RewriteEngine On
		RewriteRule ^ - [E=OCTROI_ACCOUNT:%{HTTP:X-Site-Account}]
		Include {apache}/require-credit.conf
		ProxyPass http://127.0.0.1:{port}/ai
	</Location>
</VirtualHost>
"""}

# user: what htpasswd makes of the password "secret"
USERS = "".join(f"{user}:{{SHA}}5en6G6MezRroT3XKqkdPOmY/BfQ=\n" for user in ("alice", "bob", "alice,bob", "alice,,"))


class Application(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen = []

    def log_message(self, *arguments):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.seen.append((self.path, body))
        status = {"/ai/forbidden": 403, "/ai/unpaid": 402, "/ai/broken": 500, "/ai/busy": 503}.get(self.path, 200)
        self.send_response(status)
        answer = b"application says %d to " % status + body
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_POST


@pytest.fixture(scope="module")
def application():
    """A server that knows nothing of octroi; its port."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Application)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def guarding(server, port):
    o = Octroi(server, settings={"trust_server_params": "on"} if server == "nginx" else {})
    o.other_port = free_port()
    (o.dir / "users").write_text(USERS)
    conf = GUARDED[server]
    for name, value in (("port", port), ("apache", o.dir / "web" / "apache"), ("users", o.dir / "users"),
                        ("other_port", o.other_port)):
        conf = conf.replace("{%s}" % name, str(value))
    (o.dir / f"{server}.d").mkdir()
    (o.dir / f"{server}.d" / "guarded.conf").write_text(conf)
    o.start()
    return o


@pytest.fixture(scope="module")
def example(application):
    """The example that stands in nginx/guarded.conf, but for its addresses."""
    found = re.search(r"^#\t(location .*?\n)#\t\}\n", (TOP / "nginx/guarded.conf").read_text(), re.M | re.S)
    conf = re.sub(r"^#\t?", "", found[1], flags=re.M) + "}\n"
    with Octroi("nginx", settings={"trust_server_params": "on"}) as o:
        (o.dir / "users").write_text(USERS)
        (o.dir / "users").chmod(0o644)
        for there, here in (("/etc/nginx/users", str(o.dir / "users")), ("http://ai", f"http://127.0.0.1:{application}")):
            assert there in conf
            conf = conf.replace(there, here)
        (o.dir / "nginx.d").mkdir()
        (o.dir / "nginx.d" / "guarded.conf").write_text("include octroi/guarded.conf;\n" + conf)
        o.start()
        o.account("ws:alice", funds_micros=EUROS)
        o.account("ws:bob")
        yield o


def basic(user, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


@pytest.mark.parametrize("headers, status", [
    ({}, 401), (basic("alice", "wrong"), 401), (basic("alice", ""), 401), (basic("mallory", "secret"), 401),
    (basic("alice", "secret"), 200), (basic("bob", "secret"), 402),
    ({"X-Forwarded-User": "alice", "Remote-User": "alice", "X-Octroi-Account": "ws:alice"}, 401)])
def test_the_example_believes_no_made_up_name(example, headers, status):
    seen = len(Application.seen)
    answer = example.get("/ai/chat", key=None, headers=headers, public=True)
    assert answer.status == status, answer
    assert len(Application.seen) - seen == (1 if status == 200 else 0)


def test_no_other_permission_stands_in_for_the_password(example):
    """A location that is content with any of its conditions does not start."""
    conf = example.dir / "nginx.d" / "guarded.conf"
    good = conf.read_text()
    conf.write_text(good.replace("auth_basic ai;", "auth_basic ai; satisfy any;"))
    try:
        with pytest.raises(RuntimeError):
            example.start()
        assert '"satisfy" directive is duplicate' in example.log("server.log")
    finally:
        conf.write_text(good)
        example.start()
    assert example.get("/ai/chat", key=None, headers=basic("alice", "secret"), public=True).status == 200


@pytest.fixture(scope="module")
def guarded_by_nginx(application):
    with guarding("nginx", application) as o:
        yield o


@pytest.fixture(scope="module")
def guarded_by_apache(application):
    with guarding("apache", application) as o:
        yield o


@pytest.fixture(scope="module", params=["nginx", "apache"])
def guarded(request):
    """Each of the two with a guarded location before that application."""
    return request.getfixturevalue("guarded_by_" + request.param)


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
    assert answer.json["error"] == "INSUFFICIENT_CREDITS" and answer.json["requestId"]
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert len(Application.seen) == calls  # the application was not asked
    guarded.fund(account, EUROS)
    assert ask(guarded, "/ai/chat", account).status == 200  # at once
    guarded.fund(account, -EUROS)
    assert ask(guarded, "/ai/chat", account).status == 402


def test_suspended_account_is_named(guarded):
    account = guarded.account(funds_micros=EUROS)
    guarded.ctl("account", "set", account, "--status", "suspended")
    answer = ask(guarded, "/ai/chat", account)
    assert answer.status == 402 and answer.json["error"] == "ACCOUNT_SUSPENDED", answer


def test_applications_own_refusals_are_its_own(guarded):
    account = guarded.account(funds_micros=EUROS)
    for path, status in (("unpaid", 402), ("forbidden", 403), ("broken", 500), ("busy", 503)):
        answer = ask(guarded, "/ai/" + path, account)
        assert (answer.status, answer.text) == (status, f"application says {status} to hello")
        assert "content-type" not in answer.headers and "retry-after" not in answer.headers


def test_guard_check_cannot_be_called_from_outside(guarded):
    assert guarded.get("/_octroi/check", key=None, public=True).status == 404


@pytest.mark.parametrize("account", ["no blanks", "a" * 129, "t:x,", "t:x,,", "t:x,t:y,gpt-4o", "\xe9", "a|204"])
def test_guarded_location_is_closed_to_what_is_no_account(guarded, account):
    calls = len(Application.seen)
    answer = ask(guarded, "/ai/chat", account)
    assert answer.status == 403 and answer.json["error"] == "FORBIDDEN", answer
    assert len(Application.seen) == calls


@pytest.mark.parametrize("path", ["//ai/chat", "/%61i/chat", "/x/../ai/chat", "/ai/./chat", "/ai/%2e/chat", "/ai//chat",
                                  "/ai/chat?a=b", "/ai/chat;x"])
def test_no_way_of_writing_the_path_goes_around(guarded, path):
    account = guarded.account()
    calls = len(Application.seen)
    assert ask(guarded, path, account).status == 402
    assert len(Application.seen) == calls


def closed(o, account):
    calls = len(Application.seen)
    answer = ask(o, "/ai/chat", account)
    assert answer.status == 503 and answer.json["error"] == "UNAVAILABLE", answer
    assert answer.headers["retry-after"] == "1" and answer.headers["content-type"] == "application/json"
    assert len(Application.seen) == calls


def test_guarded_location_is_closed_while_octroi_is_down(guarded_by_nginx):
    """Apache does not ask octroi but the database, by octroictl."""
    account = guarded_by_nginx.account(funds_micros=EUROS)
    guarded_by_nginx.kill("octroi")
    closed(guarded_by_nginx, account)
    guarded_by_nginx.start()
    assert ask(guarded_by_nginx, "/ai/chat", account).status == 200


def test_guarded_location_is_closed_while_the_database_is_down(guarded):
    account = guarded.account(funds_micros=EUROS)
    server = guarded.server_pid
    guarded.kill("db")
    closed(guarded, account)
    guarded.start()
    wait_until(lambda: ask(guarded, "/ai/chat", account).status == 200, 10, "the location is open again")
    assert guarded.server_pid == server  # which was not started again


# ---- of Apache's only ------------------------------------------------------------------------------

def as_member(o, user, model="", **headers):
    login = base64.b64encode(f"{user}:secret".encode()).decode()
    return o.get("/members/page", key=None, public=True,
                 headers={"Authorization": "Basic " + login, "X-Model": model, **headers})


def test_apache_guards_by_who_is_logged_in(guarded_by_apache):
    o = guarded_by_apache
    o.account("ws:alice", funds_micros=EUROS)
    assert as_member(o, "alice").status == 200
    assert as_member(o, "bob").status == 402
    assert as_member(o, "bob", **{"X-Site-Account": "ws:alice", "OCTROI_ACCOUNT": "ws:alice",
                                  "Octroi-Account": "ws:alice", "OCTROI_STATUS": "204"}).status == 402
    for user in ("alice,bob", "alice,,"):  # the separator of the program's lines, in a user's name
        assert as_member(o, user).status == 403
    refused = o.get("/members/page", key=None, public=True)
    assert refused.status == 401 and "json" not in refused.headers["content-type"]


def made_up(o, path, credentials):
    """The location's answer to a Basic header, and how often it let the application be asked."""
    calls = len(Application.seen)
    shown = base64.b64encode(credentials.encode()).decode() if isinstance(credentials, str) else credentials.decode()
    answer = o.get(path, key=None, public=True, headers={"Authorization": "Basic " + shown})
    return answer.status, len(Application.seen) - calls


@pytest.mark.parametrize("credentials", ["alice:wrong", "alice:", "alice", ":secret", "ALICE:secret", "mallory:secret", "alice:secret\n",
                                         b"YWxpY2U6c2VjcmV0Og==", b"", b"YWxpY2U"])
def test_apache_believes_no_made_up_name(guarded_by_apache, credentials):
    o = guarded_by_apache
    o.account("ws:alice", funds_micros=EUROS)
    assert made_up(o, "/members/page", credentials) == (401, 0)


def test_apache_has_no_name_where_nothing_is_verified(guarded_by_apache):
    """The guarded location of guarded.conf, without its four lines of authentication: REMOTE_USER is nobody's then."""
    o = guarded_by_apache
    o.account("ws:alice", funds_micros=EUROS)
    for credentials in ("alice:secret", "alice:wrong", "alice:"):
        status, asked = made_up(o, "/unverified", credentials)
        assert status in (402, 403) and asked == 0
    assert o.get("/unverified", key=None, public=True, headers={"REMOTE_USER": "alice", "Remote-User": "alice"}).status in (402, 403)
    assert o.balance("ws:alice")[0] >= EUROS


def test_apache_any_of_two_conditions_names_nobody(guarded_by_apache):
    """RequireAny with another condition beside valid-user: a caller let in by the other has no name, whatever it says."""
    o = guarded_by_apache
    o.account("ws:alice", funds_micros=EUROS)
    for credentials in ("alice:wrong", "mallory:secret"):
        status, asked = made_up(o, "/either", credentials)
        assert status in (401, 402, 403) and asked == 0
    assert o.get("/either", key=None, public=True).status in (402, 403)


@pytest.mark.parametrize("model,status", [("gpt-4o", 200), ("no-such-model", 403), ("gpt-4o,", 403), ("gpt-4o|204", 403),
                                          ("x}|204", 403), ("m" * 160, 403), ("${octroi:ws:alice,,}", 403)])
def test_apache_guards_by_model(guarded_by_apache, model, status):
    guarded_by_apache.account("ws:alice", funds_micros=EUROS)
    assert as_member(guarded_by_apache, "alice", model).status == status


def test_apache_closes_what_names_no_account(guarded_by_apache):
    assert guarded_by_apache.get("/forgotten", key=None, public=True).status == 403


def on_other_host(o, name, account):
    connection = http.client.HTTPConnection("127.0.0.1", o.other_port, timeout=30)
    connection.request("GET", "/ai/chat", headers={"Host": name, "X-Site-Account": account})
    status = connection.getresponse().status
    connection.close()
    return status


def test_apache_virtual_hosts(guarded_by_apache):
    o = guarded_by_apache
    rich, poor = o.account(funds_micros=EUROS), o.account()
    assert (on_other_host(o, "alone", rich), on_other_host(o, "alone", poor)) == (503, 503)
    assert (on_other_host(o, "sharing", rich), on_other_host(o, "sharing", poor)) == (200, 402)


def gates(o):
    """The processes that Apache asks."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = path.read_text().rsplit(")", 1)[1].split()[1]
            arguments = (path.parent / "cmdline").read_bytes().split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(parent) == o.server_pid and b"gate" in arguments:
            found.append(int(path.parent.name))
    return found


def test_apache_is_closed_without_the_program_until_it_is_reloaded(guarded_by_apache):
    o = guarded_by_apache
    account = o.account(funds_micros=EUROS)
    assert ask(o, "/ai/chat", account).status == 200
    gate, = gates(o)
    assert os.stat(f"/proc/{gate}").st_uid == os.stat(o.env["OCTROI_DB_SOCKET"]).st_uid  # not root
    os.kill(gate, signal.SIGKILL)
    wait_until(lambda: not alive(gate), what="the program's end")
    closed(o, account)
    closed(o, account)
    o.kill("server", signal.SIGUSR1)
    wait_until(lambda: ask(o, "/ai/chat", account).status == 200, 10, "the location is open again")


def test_no_program_stays_behind(application):
    with guarding("apache", application) as o:
        gate, = gates(o)
        o.stop()
        wait_until(lambda: not alive(gate), what="the program's end")
        o.start()

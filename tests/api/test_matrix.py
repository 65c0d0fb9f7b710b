"""Rights of callers: every route of routes.def, by every kind of caller, on its own and on a foreign account.

What is expected comes from routes.def and from the few rules below, so a new route is tested as soon as
it is listed.  Bodies are such that whoever is let in changes nothing; at the end nothing has changed.
"""

import base64
import hashlib
import hmac
import json
import pathlib
import re
import time

import pytest

import fastcgi
import guard
from conftest import SETTINGS, TOKEN_SECRET
from contract import routes
from octroi import Octroi
from snapshot import changes, let_expire, snapshot

FUNDS = 5_000_000
KEYS = {
    "GUARD": {"guard", "app", "admin"}, "APP": {"app", "admin"}, "ADMIN": {"admin"}, "REPORT": {"report", "admin"}, "OPERATOR": {"report", "admin", "operator"},
    "OWNER": {"app", "admin"}, "GATE": {"guard", "app", "admin"},
}
# Routes that a key of scope report may read besides.
REPORT_READS = {"APP", "OWNER"}
# Routes that members may call only when they manage the account, and those that need a Stripe that is not there.
FOR_MANAGERS = {"topups_invoices", "settings_put", "alerts_get", "alerts_put", "recharge_get", "recharge_put", "story_grants"}
NEEDS_STRIPE = {"topups_invoices"}
SERVER_LOCATION = """
location ~ ^/as-server(/.*)$ {
	include octroi/pass.conf;
	fastcgi_param REQUEST_METHOD    $request_method;
	fastcgi_param REQUEST_URI       $1$is_args$args;
	fastcgi_param CONTENT_TYPE      $content_type;
	fastcgi_param CONTENT_LENGTH    $content_length;
	fastcgi_param OCTROI_ACCOUNT    "%s";
	fastcgi_param OCTROI_MEMBER     "%s";
	fastcgi_pass octroi_internal;
}
"""


def jwt(secret, **claims):
    """A token as octroi would issue it, but for what is given."""
    now = int(time.time())
    whole = {"iss": "octroi", "aud": "octroi", "iat": now, "exp": now + 600, **claims}
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
             for part in ({"alg": "HS256", "typ": "JWT"}, whole)]
    mac = hmac.new(secret.encode(), b".".join(parts), hashlib.sha256).digest()
    return b".".join(parts + [base64.urlsafe_b64encode(mac).rstrip(b"=")]).decode()


class Caller:
    """kind: a scope, "browser", "server" or None for somebody that octroi does not know."""

    def __init__(self, name, kind, headers=None, account=None, member=None, prefix=""):
        self.name, self.kind, self.headers = name, kind, headers or {}
        self.account, self.member, self.prefix = account, member, prefix

    def __repr__(self):
        return self.name


def bearer(key):
    return {"Authorization": "Bearer " + key}


def strangers(o, own, revoked):
    """Callers that are nobody."""
    now = int(time.time())
    return [
        Caller("nobody", None),
        Caller("unknown key", None, bearer("oct_admin_" + "A" * 43)),
        Caller("cut key", None, bearer(o.keys["admin"][:-1])),
        Caller("key in another case", None, bearer(o.keys["admin"].swapcase())),
        Caller("revoked key", None, bearer(revoked)),
        Caller("key as Basic", None, {"Authorization": "Basic " + base64.b64encode(o.keys["admin"].encode()).decode()}),
        Caller("token of another secret", None, bearer(jwt("x" * 40, sub=own))),
        Caller("token of no secret", None, bearer(jwt("", sub=own))),
        Caller("expired token", None, bearer(jwt(TOKEN_SECRET, sub=own, iat=now - 700, exp=now - 100))),
        Caller("token of tomorrow", None, bearer(jwt(TOKEN_SECRET, sub=own, iat=now + 86400, exp=now + 86700))),
        Caller("token for years", None, bearer(jwt(TOKEN_SECRET, sub=own, exp=now + 10**8))),
        Caller("token of another issuer", None, bearer(jwt(TOKEN_SECRET, sub=own, iss="https://example.com"))),
        Caller("token for others", None, bearer(jwt(TOKEN_SECRET, sub=own, aud="others"))),
        Caller("token without account", None, bearer(jwt(TOKEN_SECRET))),
        Caller("expired operator", None, bearer(jwt(TOKEN_SECRET, aud="octroi-admin", iat=now - 3700, exp=now - 100))),
        Caller("operator for a day", None, bearer(jwt(TOKEN_SECRET, aud="octroi-admin", exp=now + 86400))),
        Caller("operator with an account", None, bearer(jwt(TOKEN_SECRET, aud="octroi-admin", sub=own))),
        Caller("operator of another secret", None, bearer(jwt("x" * 40, aud="octroi-admin"))),
    ]


def known(o, own):
    """Callers that octroi knows."""
    def token(**body):
        made = o.post("/api/tokens", body, key="app")
        assert made.status == 200, made
        return made.json["token"]

    meter = json.loads(o.ctl("key", "create", "--scope", "meter", "--account", own, "--json").stdout)["key"]
    return [
        *(Caller(scope, scope, bearer(o.keys[scope])) for scope in ("guard", "app", "admin", "report")),
        Caller("guard by the other header", "guard", {"X-Octroi-Key": o.keys["guard"]}),
        Caller("operator", "operator", bearer(jwt(TOKEN_SECRET, aud="octroi-admin"))),
        Caller("browser", "browser", bearer(token(account=own)), account=own),
        Caller("browser of a member", "browser", bearer(token(account=own, member="user:1")), account=own, member="user:1"),
        Caller("meter", "meter", bearer(meter)),
        Caller("meter by the other header", "meter", {"X-Octroi-Key": meter}),
    ]


def expected(caller, method, path, wanted, about):
    """"served", or the status of the refusal."""
    if wanted in ("NOBODY", "SIGNED"):
        return "served"
    if caller.kind is None:
        return 401
    if caller.kind == "operator" and wanted != "OPERATOR":
        return 401
    if caller.kind in ("browser", "server"):
        if wanted != "OWNER" and not (wanted == "GATE" and caller.kind == "server"):
            return 403
        return "served" if about in (None, caller.account) else 403
    allowed = caller.kind in KEYS[wanted] or (caller.kind == "report" and wanted in REPORT_READS and method == "GET")
    return "served" if allowed else 403


def told(answer, wanted, caller):
    """The answer in the words of expected()."""
    if answer.status == 401:
        return 401
    if answer.status == 403 and wanted == "GATE":
        return 403 if answer.headers["x-octroi-status"] == "403" else "served"
    return 403 if answer.status == 403 else "served"


def ask(o, caller, method, path, query=""):
    filled = path.replace("{account}", caller.about).replace("{member}", "user:none")
    body = '{"no such member":1}' if method in ("POST", "PUT") else None
    headers = dict(caller.headers)
    if body:
        headers["Content-Type"] = "application/json"
    return o.call(method, caller.prefix + filled + query, key=None, body=body, headers=headers, public=bool(caller.prefix))


def is_defect(answer, handler):
    return answer.status >= 500 and not (handler in NEEDS_STRIPE and answer.status == 503)


def check(o, callers, own, foreign):
    wrong = []
    for method, path, wanted, _, handler in routes():
        for caller in callers:
            for about in (own, foreign, None):
                if about is None and wanted not in ("OWNER", "GATE"):
                    continue
                caller.about = about or own
                query = f"?account={about}" if about and wanted in ("OWNER", "GATE") else ""
                answer = ask(o, caller, method, path, query)
                said, should = told(answer, wanted, caller), expected(caller, method, path, wanted, about)
                if handler in FOR_MANAGERS and caller.member and should == "served":
                    should = 403
                if said != should or is_defect(answer, handler):
                    wrong.append((method, path, caller, about, should, answer))
                if said != "served" and wanted not in ("NOBODY", "SIGNED"):
                    assert answer.json["error"] in ("UNAUTHORIZED", "FORBIDDEN"), answer
                if handler == "credits_show" and answer.status == 200 and caller.account:
                    assert answer.json["account"] == caller.account
    assert not wrong, wrong


def test_every_route_for_every_caller(server):
    own, foreign = server.account(funds_micros=FUNDS), server.account(funds_micros=FUNDS)
    made = server.ctl("key", "create", "--scope", "admin", "--label", "to be revoked").stdout
    revoked = next(word for word in made.split() if word.startswith("oct_admin_"))
    assert server.get("/api/accounts/" + own, key=revoked).status == 200
    listed = server.ctl("key", "list").stdout
    [line] = [line for line in listed.splitlines() if "to be revoked" in line and "revoked" in line]
    server.ctl("key", "revoke", line.split()[0])
    callers = strangers(server, own, revoked) + known(server, own)
    let_expire(server)
    before = snapshot(server)
    check(server, callers, own, foreign)
    assert changes(before, snapshot(server)) == []


@pytest.mark.parametrize("front", ["nginx", "apache"])
def test_internal_routes_are_not_there_for_the_public(front, request):
    """No internal route answers by way of the public server, or on the public socket itself."""
    o = request.getfixturevalue(front)
    own = o.account(funds_micros=FUNDS)
    [listen] = re.findall(r"^listen\s*=\s*unix:(\S+)", pathlib.Path(o.env["OCTROI_CONF"]).read_text(), re.M)
    for method, path, _, listener, _ in routes():
        if listener != "INTERNAL":
            continue
        filled = path.replace("{account}", own).replace("{member}", "user:1")
        for caller in known(o, own)[:6]:
            answer = o.call(method, filled, key=None, headers=caller.headers, public=True)
            assert answer.status in (404, 405), (method, path, caller, answer)
            answer = fastcgi.call(listen, method, filled, headers=caller.headers)
            assert answer.status == 404, (method, path, caller, answer)


@pytest.fixture(scope="module")
def trusting():
    """An octroi that believes nginx about who asks: locations /as-server/ and /as-member/."""
    with Octroi("nginx", settings={**SETTINGS, "trust_server_params": "on"}) as o:
        (o.dir / "nginx.d").mkdir(exist_ok=True)
        (o.dir / "nginx.d" / "server.conf").write_text(
            SERVER_LOCATION % ("ws:own", "")
            + (SERVER_LOCATION % ("ws:own", "user:1")).replace("as-server", "as-member")
            + (SERVER_LOCATION % ("", "")).replace("as-server", "as-nobody"))
        o.start()
        yield o


def test_every_route_for_the_web_server(trusting):
    own, foreign = trusting.account("ws:own", funds_micros=FUNDS), trusting.account(funds_micros=FUNDS)
    of_an_application = bearer("a token of the application's own")
    callers = [
        Caller("server", "server", account=own, prefix="/as-server"),
        Caller("server of a member", "server", account=own, member="user:1", prefix="/as-member"),
        Caller("server, application's token", "server", of_an_application, account=own, prefix="/as-server"),
        Caller("server of nobody", None, prefix="/as-nobody"),
        Caller("server of nobody, with a key", "guard", bearer(trusting.keys["guard"]), prefix="/as-nobody"),
    ]
    before = snapshot(trusting)
    for caller in callers:
        # Where the server says who asks, only routes about an account listen to it.
        check_server(trusting, caller, own, foreign)
    assert changes(before, snapshot(trusting)) == []


def check_server(o, caller, own, foreign):
    for method, path, wanted, _, handler in routes():
        for about in (own, foreign, None):
            caller.about = about or own
            query = f"?account={about}" if about and wanted in ("OWNER", "GATE") else ""
            answer = ask(o, caller, method, path, query)
            should = expected(caller, method, path, wanted, about)
            if caller.kind == "server" and wanted not in ("OWNER", "GATE", "NOBODY", "SIGNED"):
                should = 401  # there it counts for nothing
            if handler in FOR_MANAGERS and caller.member and should == "served":
                should = 403
            assert told(answer, wanted, caller) == should and not is_defect(answer, handler), \
                (method, path, caller, about, answer)


def test_a_clients_header_is_not_the_web_servers_word(trusting):
    trusting.account("ws:own", funds_micros=FUNDS)
    for name in ("OCTROI_ACCOUNT", "Octroi-Account", "OCTROI-ACCOUNT", "X-Octroi-Account"):
        for prefix in ("", "/as-nobody"):
            answer = trusting.get(prefix + "/api/credits", key=None, headers={name: "ws:own"}, public=True)
            assert answer.status in (400, 401), (name, prefix, answer)


def test_a_member_sees_its_own_usage_only(server):
    account = server.account(funds_micros=FUNDS)
    for member in ("user:1", "user:2", None):
        more = {"member": member} if member else {}
        guard.settle(server, guard.hold(server, account, **more), inputTokens=10, outputTokens=10)
        guard.charge(server, account, "debrief", **more)
    token = server.post("/api/tokens", {"account": account, "member": "user:1"}, key="app").json["token"]
    whole = server.post("/api/tokens", {"account": account}, key="app").json["token"]

    def members(path, key):
        answer = server.get(path, key=key, public=True)
        assert answer.status == 200, answer
        return [usage.get("member") for usage in answer.json["usages" if path == "/api/credits" else "items"]]

    for path in ("/api/credits", "/api/credits/usages", "/api/credits/usages?limit=100"):
        assert members(path, token) == ["user:1"] * 2
        assert len(members(path, whole)) == 6
    summary = server.get("/api/credits/summary?by=member", key=token, public=True).json
    assert [(item["key"], item["requests"]) for item in summary["items"]] == [("user:1", 2)]
    around = [time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds)) for seconds in (-3600, 3600)]
    hours = server.get("/api/credits/summary?by=hour&from={}&to={}".format(*around), key=token, public=True).json
    assert sum(item["requests"] for item in hours["items"]) == 2
    for path in ("/api/credits/usages?member=user:2", "/api/credits/summary?member=user:2", "/api/credits/summary?by=hour&member=user:2"):
        assert server.get(path, key=token, public=True).status == 403


def test_two_keys_at_once_are_refused(server):
    account = server.account()
    for headers in ({**bearer(server.keys["report"]), "X-Octroi-Key": server.keys["admin"]},
                    {**bearer(server.keys["admin"]), "X-Octroi-Key": server.keys["report"]}):
        answer = server.get("/api/accounts/" + account, key=None, headers=headers)
        assert answer.status in (400, 401), answer
    same = {**bearer(server.keys["admin"]), "X-Octroi-Key": server.keys["admin"]}
    assert server.get("/api/accounts/" + account, key=None, headers=same).status == 200

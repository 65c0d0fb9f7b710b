"""Pages of other sites: what a browser sends by itself (a cookie, a password, an address) and the web server turns into
an account (trust_server_params) moves nothing when another site's page had it sent."""

import json
import re

import pytest

from conftest import SETTINGS
from contract import routes
from octroi import Octroi
from snapshot import changes, snapshot

EUROS = 1_000_000
LOCATION = """
location ~ ^/site(/.*)$ {
	include octroi/pass.conf;
	fastcgi_param REQUEST_METHOD    $request_method;
	fastcgi_param REQUEST_URI       $1$is_args$args;
	fastcgi_param CONTENT_TYPE      $content_type;
	fastcgi_param CONTENT_LENGTH    $content_length;
	fastcgi_param OCTROI_ACCOUNT    "%s";
	fastcgi_pass octroi_public;
}
"""
JSON = {"Content-Type": "application/json"}
FORMS = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain; application/json",
         "text/plain;charset=application/json", "application/jsonp", " ", None)
# Routes that change something for whoever the web server says asks.
CHANGING = [(method, path, handler) for method, path, wanted, _, handler in routes() if wanted == "OWNER" and method != "GET"]


def start(**settings):
    o = Octroi("nginx", settings={**SETTINGS, "trust_server_params": "on", **settings})
    (o.dir / "nginx.d").mkdir(exist_ok=True)
    (o.dir / "nginx.d" / "site.conf").write_text(LOCATION % "ws:victim")
    o.start()
    o.account("ws:victim", email="victim@example.com")
    return o


@pytest.fixture(scope="module")
def site():
    """public_url is what quickstart sets: the address of the public server."""
    with start() as o:
        yield o


@pytest.fixture(scope="module")
def nameless():
    """Without a public_url; what counts is the host that was asked."""
    with start(public_url="") as o:
        yield o


def ask(o, method, path, body=None, **headers):
    return o.call(method, "/site" + path, body=body, key=None, public=True,
                  headers={name.replace("_", "-"): value for name, value in headers.items()})


def test_there_are_such_routes():
    assert {"bonuses_claim", "pay_now", "topups_portal", "settings_put"} <= {handler for _, _, handler in CHANGING}


def foreign_origins(o):
    host = o.url.split("//")[1]
    return ["https://evil.example", "http://evil.example", "null", "http://127.0.0.1", f"https://{host}", f"http://{host}.evil.example",
            f"http://evil.example/{host}", f"http://evil@{host}", f"ftp://{host}", host, "http://", "http://localhost:1", "x",
            f"http://{host}, http://evil.example", f"http://{host} http://evil.example"]


@pytest.mark.parametrize("method,path,handler", CHANGING)
def test_another_sites_page_changes_nothing(site, method, path, handler):
    body = b'{"amount":500}' if handler == "topups_open" else b""
    before = snapshot(site)
    for origin in foreign_origins(site):
        answer = ask(site, method, path, body, Content_Type="application/json", Origin=origin)
        assert answer.status == 403 and answer.json["error"] == "FORBIDDEN", (origin, answer)
    for fetched in ("cross-site", "same-site", "CROSS-SITE", "same-origin, cross-site", "x"):
        for origin in ({}, {"Origin": site.url}):
            answer = ask(site, method, path, body, Content_Type="application/json", Sec_Fetch_Site=fetched, **origin)
            assert answer.status == 403 and answer.json["error"] == "FORBIDDEN", (fetched, answer)
    assert changes(before, snapshot(site)) == []


@pytest.mark.parametrize("method,path,handler", CHANGING)
@pytest.mark.parametrize("body", [b"", b"{}"])
def test_a_form_is_no_json(site, method, path, handler, body):
    """Of a browser that says neither: a form cannot say application/json, and what can asks beforehand."""
    before = snapshot(site)
    for kind in FORMS:
        answer = ask(site, method, path, body, **({"Content_Type": kind} if kind else {}))
        assert answer.status == 415, (kind, answer)
    assert changes(before, snapshot(site)) == []
    asked = ask(site, "OPTIONS", path, Origin="https://evil.example", Access_Control_Request_Method=method,
                Access_Control_Request_Headers="content-type")
    assert asked.status in (404, 405) and not [name for name in asked.headers if name.startswith("access-control-")]


def test_the_sites_own_page_is_served(site):
    host = site.url.split("//")[1]
    for headers in ({}, {"Origin": site.url}, {"Origin": site.url.upper().replace("HTTP", "http"), "Sec_Fetch_Site": "same-origin"},
                    {"Sec_Fetch_Site": "same-origin"}, {"Sec_Fetch_Site": "none"}):
        answer = ask(site, "POST", "/api/credits/redeem", b'{"code":"NONE-SUCH"}', Content_Type="application/json", **headers)
        assert answer.status == 404 and answer.json["error"] == "CODE_UNKNOWN", (headers, answer)
    claimed = ask(site, "POST", "/api/credits/claim-bonus", b"", Content_Type="application/json; charset=utf-8",
                  Origin=f"http://{host}", Sec_Fetch_Site="same-origin")
    assert claimed.status == 200, claimed


def test_reading_is_for_the_page_that_asked(site):
    """No answer lets another site's page read it, so a question of one is answered, and kept by nobody."""
    answer = ask(site, "GET", "/api/credits", Origin="https://evil.example", Sec_Fetch_Site="cross-site")
    assert answer.status == 200 and answer.headers["cache-control"] == "no-store"
    assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_public_url_is_the_origin_whatever_host_was_asked(site):
    """A name of the attacker's that leads to this address (DNS rebinding): Origin and Host agree, and are not ours."""
    answer = ask(site, "POST", "/api/credits/claim-bonus", b"", Content_Type="application/json", Origin="http://evil.example",
                 Host="evil.example", Sec_Fetch_Site="same-origin")
    assert answer.status == 403, answer


def test_without_public_url_the_host_counts(nameless):
    def redeem(origin, host):
        return ask(nameless, "POST", "/api/credits/redeem", b'{"code":"NONE-SUCH"}', Content_Type="application/json",
                   Origin=origin, Host=host).status

    for origin, host in (("http://a.example", "a.example"), ("https://a.example", "a.example"), ("http://a.example:8080", "a.example:8080"),
                         ("https://A.example", "a.EXAMPLE"), ("http://a.example", "a.example:80"), ("https://a.example:443", "a.example")):
        assert redeem(origin, host) == 404, (origin, host)
    for origin, host in (("http://b.example", "a.example"), ("http://a.example:8080", "a.example"), ("http://a.example", "a.example:8080"),
                         ("https://a.example", "a.example:80"), ("null", "null"), ("http://a.example.b.example", "a.example"),
                         ("a.example", "a.example"), ("http://sub.a.example", "a.example")):
        assert redeem(origin, host) == 403, (origin, host)


def test_keys_and_tokens_are_shown_by_whoever_has_them(site):
    """No browser sends them by itself, so it does not matter which page had them sent."""
    token = site.post("/api/tokens", json={"account": "ws:victim"}).json["token"]
    foreign = {"Origin": "https://app.example", "Sec-Fetch-Site": "cross-site", **JSON}
    for key in (token, "app"):
        query = "" if key == token else "?account=ws:victim"
        answer = site.post("/api/credits/redeem" + query, body=b'{"code":"NONE-SUCH"}', key=key, headers=foreign)
        assert answer.status == 404 and answer.json["error"] == "CODE_UNKNOWN", answer


def posts_and_puts(o, account):
    """(method, path and query) of each, for everybody."""
    for method, path, wanted, _, _ in routes():
        if method in ("POST", "PUT") and wanted != "SIGNED":
            filled = re.sub(r"\{account\}", account, path).replace("{member}", "user:1")
            yield method, filled + ("?account=" + account if wanted == "OWNER" else "")


@pytest.mark.parametrize("server", ["nginx", "apache", "fcgid"])
def test_every_post_and_put_says_that_it_is_json(request, server):
    """For every caller, through every server; a webhook is signed, which no page can do."""
    o = request.getfixturevalue(server)
    account = o.account()
    for tries_left in (1, 0):  # holds of tests before expire once; what a route changes, it changes again
        before = snapshot(o)
        for method, path in posts_and_puts(o, account):
            for body in (b"", b"{}"):
                for kind in ("text/plain", None):
                    answer = o.call(method, path, body=body, key="admin", headers={"Content-Type": kind} if kind else {"X-None": ""})
                    assert answer.status == 415 and json.loads(answer.text)["error"] == "UNSUPPORTED_MEDIA_TYPE", (method, path, kind, answer)
        changed = changes(before, snapshot(o))
        assert changed == [] or tries_left > 0, changed
        if changed == []:
            return

"""An operator's pages: what they read, and who may read it."""

import base64
import datetime
import json
import pathlib
import re
import time

import pytest

import guard
from chain import forget_records
from conftest import SETTINGS, TOKEN_SECRET
from contract import routes
from octroi import TOP, Octroi
from test_matrix import bearer, jwt

LINK = re.compile(r"(http://admin\.example:81)/admin#token=(\S+)")
ADMIN_READS = [(method, path) for method, path, caller, _, _ in routes() if caller == "OPERATOR"]
LISTS = ["accounts", "charges", "outbox", "events", "alerts", "prices", "reports/accounts", "reports/holds", "reports/settlements"]


@pytest.fixture(scope="module")
def o():
    with Octroi("nginx", settings={**SETTINGS, "admin_url": "http://admin.example:81/", "trust_server_params": "on"}) as o:
        (o.dir / "nginx.d").mkdir(exist_ok=True)
        (o.dir / "nginx.d" / "operator.conf").write_text("".join("""
location ~ ^/%s(/.*)$ {
	include octroi/pass.conf;
	fastcgi_param REQUEST_METHOD    $request_method;
	fastcgi_param REQUEST_URI       $1$is_args$args;
	fastcgi_param CONTENT_TYPE      $content_type;
	fastcgi_param CONTENT_LENGTH    $content_length;
	fastcgi_param OCTROI_OPERATOR   "%s";
	fastcgi_pass octroi_internal;
}
""" % words for words in (("signed-in", "eve"), ("signed-out", ""))))
        o.start()
        yield o


def link(o, *more):
    said = json.loads(o.ctl("--json", "admin", "link", *more).stdout)
    base, token = LINK.fullmatch(said["url"]).groups()
    return token, said["expiresAt"]


def filled(path, account):
    return path.replace("{account}", account).replace("{id}", "A" * 32).replace("{member}", "user:1")


def test_link_opens_the_reading_admin_routes_and_nothing_else(o):
    account = o.account(funds_micros=5_000_000)
    token, _ = link(o)
    seen = set()
    for method, path, caller, _, _ in routes():
        query = f"?account={account}" if caller in ("OWNER", "GATE") or path.endswith("/members") else ""
        body = '{"no such member":1}' if method in ("POST", "PUT") else None
        answer = o.call(method, filled(path, account) + query, key=token, body=body,
                        headers={"Content-Type": "application/json"} if body else None)
        if caller in ("NOBODY", "SIGNED"):
            continue
        seen.add((method, path, answer.status))
        wanted = (200, 404) if caller == "OPERATOR" else (401,)
        assert answer.status in wanted, (method, path, answer)
    assert len(ADMIN_READS) == 19 and {method for method, _ in ADMIN_READS} == {"GET"}
    assert len([1 for _, path, status in seen if path.startswith("/api/admin/") and status == 200]) >= 16, seen


def test_link_ends(o):
    _, until = link(o, "--minutes", "1")
    left = datetime.datetime.fromisoformat(until) - datetime.datetime.now(datetime.timezone.utc)
    assert 50 < left.total_seconds() <= 60
    _, until = link(o)
    left = datetime.datetime.fromisoformat(until) - datetime.datetime.now(datetime.timezone.utc)
    assert 14 * 60 < left.total_seconds() <= 15 * 60
    now = int(time.time())
    for claims in ({"iat": now - 1000, "exp": now - 10}, {"iat": now - 3700, "exp": now - 100}, {"exp": now + 3601},
                   {"iat": now + 60}, {"sub": "a"}, {"aud": "octroi"}, {"aud": ["octroi-admin"]}, {"iss": "other"}):
        token = jwt(TOKEN_SECRET, **{"aud": "octroi-admin", "iat": now, **claims})
        for _, path in ADMIN_READS:
            assert o.get(filled(path, "a"), key=token).status == 401, (claims, path)
    assert o.get("/api/admin/accounts", key=jwt(TOKEN_SECRET, aud="octroi-admin", iat=now, exp=now + 5)).status == 200


@pytest.mark.parametrize("wrong", [["--minutes", "0"], ["--minutes", "61"], ["--url", "admin.example"], ["--url", "http://a/#b"],
                                   ["--url", "javascript:alert(1)"], ["--url", ""], ["extra"]])
def test_link_is_refused(o, wrong):
    done = o.ctl("admin", "link", *wrong, check=False)
    assert done.returncode == 2 and "token=" not in done.stdout


def test_browsers_and_smaller_keys_see_none_of_it(o):
    account = o.account(funds_micros=5_000_000)
    o.call("PUT", f"/api/accounts/{account}/members/ann", json={"role": "manager"})
    tokens = [o.post("/api/tokens", {"account": account, **more}, key="app").json["token"] for more in ({}, {"member": "ann"})]
    for _, path in ADMIN_READS:
        for key in (*tokens, "guard", "app"):
            answer = o.get(filled(path, account), key=key)
            assert answer.status == 403 and account not in answer.text, (path, answer)
        assert o.get(filled(path, account), key=None).status == 401
        assert o.get(filled(path, account), key=link(o)[0] if path == ADMIN_READS[0][1] else "report", public=True).status == 404


def test_altered_link_opens_nothing(o):
    token, _ = link(o)
    head, claims, mac = token.split(".")
    for other in (f"{head}.{claims}.{mac[:-4]}AAAA", f"{head}.{claims}.", f"{head}.{claims}", token + "=", token[1:],
                  f"eyJhbGciOiJub25lIn0.{claims}.", token.swapcase()):
        assert o.get("/api/admin/accounts", key=other).status == 401, other


def test_web_servers_sign_in(o):
    account = o.account(funds_micros=5_000_000)
    for path in ("/api/admin/accounts", f"/api/admin/accounts/{account}", "/api/admin/reports/margin"):
        assert o.get("/signed-in" + path, key=None, public=True).status == 200
        assert o.get("/signed-out" + path, key=None, public=True).status == 401
        for name in ("OCTROI_OPERATOR", "Octroi-Operator"):
            assert o.get("/signed-out" + path, key=None, public=True, headers={name: "eve"}).status in (400, 401)
            assert o.get(path, key=None, headers={name: "eve"}).status in (400, 401)
    for method, path, caller, _, _ in routes():
        if caller in ("OPERATOR", "NOBODY", "SIGNED"):
            continue
        body = "{}" if method in ("POST", "PUT") else None
        answer = o.call(method, "/signed-in" + filled(path, account) + f"?account={account}", key=None, public=True, body=body,
                        headers={"Content-Type": "application/json"} if body else None)
        assert answer.status in (401, 403), (method, path, answer)


def test_the_page_s_sign_in_fails_closed():
    """The location of docs/web.md as it stands, in a server that lets in whoever satisfies any rule."""
    [location] = [block for block in re.findall(r"```nginx\n(.*?)```", (TOP / "docs/web.md").read_text(), re.S) if "OPERATOR" in block]
    with Octroi("nginx", settings={**SETTINGS, "trust_server_params": "on"}) as o:
        users = o.dir / "operators"
        users.write_text("eve:{PLAIN}secret\n")
        users.chmod(0o644)
        (o.dir / "nginx.d").mkdir(exist_ok=True)
        (o.dir / "nginx.d" / "operator.conf").write_text(
            "satisfy any; allow all;\n" + location.replace("/etc/nginx/operators", str(users)))
        o.start()

        def asked(name=None, password=None, **headers):
            if name is not None:
                headers["Authorization"] = "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()
            return o.get("/api/admin/accounts", key=None, public=True, headers=headers).status

        assert asked("eve", "secret") == 200
        assert {asked(), asked("eve", "wrong"), asked("eve", ""), asked("mallory", "secret"), asked("", "")} == {401}
        assert asked(**{"Octroi-Operator": "eve"}) == 401


def test_margins_of_all_groupings_agree_with_octroictl_to_the_micro(o):
    for i in range(6):
        account = o.account(funds_micros=9_000_000 + i)
        guard.settle(o, guard.hold(o, account), inputTokens=1013 * i + 7, outputTokens=331 * i + 3)
    o.sql("UPDATE usages SET ended_at_us = ended_at_us - 86400000000 WHERE seq = 1 ORDER BY account_id LIMIT 3")
    forget_records(o, "TRUE")
    start = "2026-01-01T00:00:00.000Z"
    totals = []
    for by in ("day", "plan", "workspace", "model"):
        shown = o.get(f"/api/admin/reports/margin?by={by}&from={start}&limit=200", key=link(o)[0]).json
        said = json.loads(o.ctl("--json", "report", "margin", "--by", by, "--from", start, "--limit", "200").stdout)
        assert shown["items"] == said["items"] and shown["total"] == said["total"]
        totals.append({name: shown["total"][name] for name in ("requests", "usedMicros", "givenMicros", "revenueMicros", "providerMicros", "marginMicros")})
        if by == "day":
            assert len(shown["items"]) == 2 and all(re.fullmatch(r"\d{4}-\d\d-\d\d", item["key"]) for item in shown["items"])
    assert all(total == totals[0] for total in totals) and totals[0]["usedMicros"] > 0, totals


def test_shares_and_ages_are_those_of_the_tables(o):
    account = o.account(funds_micros=90_000_000)
    for _ in range(3):
        guard.settle(o, guard.hold(o, account), inputTokens=5, outputTokens=5)
    guard.settle(o, guard.hold(o, account), outcome="partial")
    kept = [guard.hold(o, account) for _ in range(3)]
    me = guard.key_of(account)
    oldest = o.sql(f"SELECT MIN(seq) FROM {guard.HOLDS} WHERE account_id = {me}")[0][0]
    o.sql(guard.change_holds("created_at_us", "{0} - 7200000000", me, oldest))
    shares = o.get("/api/admin/reports/settlements", key="report").json["items"]
    rows = o.sql("SELECT COUNT(*), SUM(cost_micros) FROM usages")[0]
    month = datetime.datetime.now(datetime.timezone.utc).day > 1
    if month:
        assert (sum(s["requests"] for s in shares), sum(s["costMicros"] for s in shares)) == tuple(map(int, rows))
    assert any(s["settlement"] == "estimated" and s["state"] == "settled" for s in shares)
    ages = {age["age"]: age for age in o.get("/api/admin/reports/holds", key="report").json["items"] if age["unit"] == "money"}
    assert ages["day"]["holds"] == 1 and ages["minute"]["holds"] + ages.get("ten_minutes", {"holds": 0})["holds"] == 2
    held = int(o.sql(f"SELECT SUM(reserved_micros) FROM {guard.HOLDS}")[0][0])
    assert sum(age["reservedMicros"] for age in ages.values()) == held
    story = o.get(f"/api/admin/accounts/{account}", key="report").json
    assert {hold["hold"] for hold in story["holds"]} == set(kept) and story["complete"] is True
    assert story["account"]["heldMicros"] == sum(hold["reservedMicros"] for hold in story["holds"])
    assert sum(grant["remainingMicros"] for grant in story["grants"]) == story["account"]["balanceMicros"]
    states = o.get("/api/admin/reports/accounts", key="report").json["items"]
    assert sum(s["accounts"] for s in states) == int(o.sql("SELECT COUNT(*) FROM accounts")[0][0])
    for hold in kept:
        o.post("/api/guard/release", {"hold": hold})


def test_a_search_goes_on_to_the_end(o):
    names = {o.account(f"find:{i}") for i in range(7)}
    found, cursor = [], ""
    while cursor is not None:
        page = o.get(f"/api/admin/accounts?match=find:&limit=3{cursor}", key="report").json
        found += [item["account"] for item in page["items"]]
        cursor = page["nextCursor"] and "&cursor=" + page["nextCursor"]
    assert len(found) == 7 and set(found) == names
    for hostile in ("%25", "_", "'", "\\", "\\'%20OR%201=1", "%F0%9F%98%80"):
        assert o.get("/api/admin/accounts?match=" + hostile + "zz", key="report").json["items"] == []


def test_a_story_of_nobody_makes_no_account(o):
    nobody = guard.request_id("nobody")
    token, _ = link(o)
    before = o.sql("SELECT COUNT(*) FROM accounts")
    for part in ("", "/transactions", "/usages", "/diagnosis", "/usages/" + "A" * 32):
        assert o.get(f"/api/admin/accounts/{nobody}{part}", key=token).status in (200, 404)
    assert o.sql("SELECT COUNT(*) FROM accounts") == before


def test_no_credential_is_shown_or_logged(o):
    token, _ = link(o)
    shown = "".join(o.get("/api/admin/" + path, key=token).text for path in LISTS)
    logged = "".join(path.read_text(errors="replace") for path in pathlib.Path(o.env["OCTROI_LOGS"]).glob("*.log"))
    for secret in (token, token.split(".")[2], TOKEN_SECRET, *o.keys.values()):
        assert secret not in shown and secret not in logged

"""2,000 malformed requests through each web server: no 5xx, no crash, and not a bit of the ledger changed.

They are made from a seed (OCTROI_SEED, else a fixed one), which a failure names.  Each is wrong in at
least one way that octroi has to see, so none may have an effect; what a web server itself refuses before
octroi sees it is as good.
"""

import gzip
import json
import os
import random
import socket
import string
import time
import urllib.parse

import pytest

import guard
from contract import Contract, routes
from octroi import alive, wait_until
from snapshot import changes, let_expire, snapshot

REQUESTS = 2000
SEED = int(os.environ.get("OCTROI_SEED", "20261121"))
FUNDS = 1_000_000_000
ANSWER_SECONDS = 20

WRONG_VALUES = [
    None, True, False, 0, -1, 1, 5.0, 1.5, 10**9 + 1, 2**31, 2**53, 2**63 - 1, 2**63, 10**30, -2**63, "", " ", "0", "5", "-1",
    "x" * 129, "x" * 1000, "a b", "a\nb", "\u2028", "é", "😀", "'; DROP TABLE accounts; --", "%00", "../..", "<script>",
    [], [[]], [None], [1, 2], ["x"] * 33, {}, {"a": 1}, {"$gt": ""}, {"k": "x" * 2000}, [{"a": []}],
]
NUMBERS = ["01", "+1", ".5", "5.", "0x10", "NaN", "Infinity", "-Infinity", "1e999", "5.0", "5e0", "1E2", "--1", "1_000",
           "9" * 400, "-", "1e", "1e+", "0.0000000000000000000000001e5", "9223372036854775808", "-9223372036854775809"]
BAD_UTF8 = [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x80", b"\xf8\x88\x80\x80\x80"]
BAD_IDS = ["a b", "a%20b", "%00", "a%00b", "%0a", "%ff", "%c3%28", "a%2fb", "a%2Fb", "..", ".", "%2e%2e", "a" * 129, "a" * 5000,
           "é", "%zz", "%", "a;b", "a'b", "a%27%20OR%201=1", "a\\b", "{}", "*", "a?b", "%F0%9F%98%80", "a,b", "$(id)", "a+b", "-- "]
DOTS = [".", "..", "%2e%2e"]  # bad in a path; good names of accounts, which are made on first sight, in a query
METHODS = ["get", "post", "Get", "PATCH", "TRACK", "FOO", "A" * 200, "PROPFIND", "OPTIONS", "LINK", "G3T", "PURGE", "SEARCH"]


class Malformer:
    """Makes requests that are wrong; each as (what it is, bytes)."""

    def __init__(self, o, seed):
        self.o, self.random = o, random.Random(seed)
        self.contract = Contract()
        self.account = o.account(funds_micros=FUNDS)
        self.hold = guard.hold(o, self.account, ttlSeconds=86400)
        self.host = urllib.parse.urlsplit(o.internal_url)
        at = "/api/accounts/" + self.account
        hold = {"hold": self.hold}
        who = {"account": self.account, "member": "user:1"}
        self.bodies = [
            ("POST", "/api/guard/authorize", "guard", "Authorize", {**who, "model": "gpt-4o", "inputTokens": 5}),
            ("POST", "/api/guard/settle", "guard", "Settlement", {**hold, "inputTokens": 5, "outputTokens": 7}),
            ("POST", "/api/guard/settle", "guard", "Settlement", {**hold, "usage": {"prompt_tokens": 5, "completion_tokens": 7}}),
            ("POST", "/api/guard/settle", "guard", "Settlements", {"settlements": [{**hold, "inputTokens": 5}]}),
            ("POST", "/api/guard/release", "guard", "Release", hold),
            ("POST", "/api/guard/extend", "guard", "Extend", {**hold, "ttlSeconds": 600}),
            ("POST", "/api/guard/charge", "guard", "Charge", {**who, "action": "debrief", "quantity": 2}),
            ("POST", "/api/pricing/estimate", "guard", "EstimateOf", {"model": "gpt-4o", "inputTokens": 5}),
            ("PUT", at, "app", "AccountChange", {"mode": "postpaid", "hardLimitMicros": 5, "name": "x"}),
            ("PUT", at, "app", "AccountChange", {"plan": "none such", "dailyLimitMicros": 5, "monthlyLimitMicros": None}),
            ("PUT", at + "/members/user:1", "app", "MemberChange", {"role": "manager"}),
            ("PUT", at + "/members/user:1", "app", "MemberChange", {"limitMicros": 5, "period": "day"}),
            ("PUT", f"/api/credits/settings?account={self.account}", "app", "SettingsChange",
             {"dailyLimitMicros": 5, "members": {"user:1": {"limitMicros": 5, "monthlyLimitMicros": None}}}),
            ("PUT", f"/api/credits/alerts?account={self.account}", "app", "AlertsChange", {"thresholdsMicros": [5, 7]}),
            ("PUT", f"/api/credits/recharge?account={self.account}", "app", "RechargeChange",
             {"enabled": True, "belowMicros": 5, "amount": 2000, "monthlyCap": 9000,
              "consent": {"version": "2026-11-24", "locale": "fr"}}),
            ("POST", at + "/transactions", "admin", "TransactionByHand",
             {"type": "ADJUSTMENT", "amountMicros": 5, "description": "d", "requestId": "never"}),
            ("POST", "/api/tokens", "app", "TokenFor", {"account": self.account, "ttlSeconds": 60, "page": "billing"}),
            ("POST", f"/api/credits/redeem?account={self.account}", "app", "RedeemOf", {"code": "ABCD-EFGH"}),
            ("POST", f"/api/credits/topup?account={self.account}", "app", "TopUpOf", {"amount": 500}),
            ("POST", f"/api/credits/claim-bonus?account={self.account}", "app", "ClaimOf", {"requestId": "never"}),
        ]
        # Where nothing said is right, nothing is left to give.
        assert o.post(f"/api/credits/claim-bonus?account={self.account}").status == 200
        self.reads = ["/api/credits", "/api/credits/transactions", "/api/credits/usages", "/api/credits/summary",
                      "/api/credits/settings", "/api/credits/alerts", "/api/credits/recharge", "/api/accounts/" + self.account, "/api/accounts/" + self.account + "/members",
                      "/api/guard/check", "/api/pricing", "/metrics", "/healthz",
                      "/api/admin/providers", "/api/credits/grants", "/api/admin/accounts", "/api/admin/accounts/" + self.account,
                      *(f"/api/admin/accounts/{self.account}/{part}" for part in ("transactions", "usages", "diagnosis")),
                      *("/api/admin/" + name for name in ("charges", "outbox", "events", "alerts", "prices", "reports/settlements",
                                                          "reports/accounts", "reports/holds", "reports/margin"))]
        self.kinds = [self.broken_json, self.broken_json, self.wrong_field, self.wrong_field, self.wrong_header,
                      self.wrong_parameter, self.wrong_method, self.wrong_size, self.wrong_encoding, self.wrong_id, self.wrong_signature]

    def make(self):
        kind = self.random.choice(self.kinds)
        return f"{kind.__name__}", kind()

    def request(self, method, target, key, body=b"", headers=(), length=None):
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self.host.hostname}", "Connection: close"]
        names = {name.lower() for name, _ in headers}
        if key and "authorization" not in names:
            lines.append(f"Authorization: Bearer {self.o.keys[key]}")
        if body and "content-type" not in names:
            lines.append("Content-Type: application/json")
        if (body or method in ("POST", "PUT")) and "transfer-encoding" not in names:
            lines.append(f"Content-Length: {len(body) if length is None else length}")
        head = "\r\n".join(lines).encode()
        for name, value in headers:
            head += b"\r\n" + name.encode() + b": " + (value if isinstance(value, bytes) else value.encode())
        return head + b"\r\n\r\n" + body

    def text(self, low, high, alphabet=string.printable):
        return "".join(self.random.choice(alphabet) for _ in range(self.random.randint(low, high)))

    # -- kinds ----------------------------------------------------------------------------------

    def broken_json(self):
        method, path, key, _, body = self.random.choice(self.bodies)
        whole = json.dumps(body).encode()
        name = self.random.choice(list(body))
        broken = self.random.choice([
            lambda: whole[:self.random.randrange(len(whole))],
            lambda: whole + self.random.choice([b"x", b"{}", b",", b"]", b"\0", b"//", whole]),
            lambda: whole.replace(b": ", b":\0", 1),
            lambda: whole[:-1] + b', "metadata": {"a": "\\u0000"}}',
            lambda: whole[:-1] + b', "member": "' + self.random.choice(BAD_UTF8) + b'"}',
            lambda: whole[:-1] + b', "member": "\\ud800"}',
            lambda: b"{" + json.dumps(name).encode() + b": 1, " + whole[1:],
            lambda: whole[:-1] + b', "metadata": ' + b"[" * 40 + b"]" * 40 + b"}",
            lambda: b"[" * self.random.choice([1, 33, 1000, 60000]),
            lambda: self.random.choice([b"[]", b"null", b"true", b"5", b'"x"', b"[" + whole + b"]", b"", b" ", b"{]", b"{,}"]),
            lambda: whole[:-1] + b', "n": ' + self.random.choice(NUMBERS).encode() + b"}",
            lambda: whole[:-1] + b",}",
            lambda: whole.replace(b'"', b"'"),
            lambda: b"/* */" + whole,
            lambda: whole.replace(b'"' + name.encode() + b'"', name.encode()),
            lambda: bytes(self.random.randrange(256) for _ in range(self.random.randint(1, 300))),
        ])()
        return self.request(method, path, key, broken)

    def wrong_field(self):
        """Well-formed, but a member is unknown, missing or not what the contract says."""
        method, path, key, schema, body = self.random.choice(self.bodies)
        schema = self.contract.document["components"]["schemas"][schema]
        name = self.random.choice(list(schema["properties"]))
        how = self.random.randrange(6)
        wrong = dict(body)
        if how == 0:
            wrong[self.text(1, 200)] = 1
        elif how == 1 and schema["required"]:
            del wrong[self.random.choice(schema["required"])]
        else:
            member = schema["properties"][name]
            values = [v for v in WRONG_VALUES if v is not None and self.contract.errors(v, member, "#")]
            if name == "byok":
                values.append(["nobody"])
            if name == "email":
                values += ["nobody", "a@", "@b", "a@b@c", "a b@c"]
            wrong[name] = self.random.choice(values)
        sent = json.dumps(wrong, ensure_ascii=self.random.random() < 0.5)
        if "amountMicros" in wrong and how == 1 and set(wrong) >= set(schema["required"]):
            return self.request(method, path, key, b"{")
        return self.request(method, path, key, sent.encode("utf-8", "surrogatepass"))

    def wrong_header(self):
        """A header that is refused, or nonsense beside a body that is."""
        method, path, key, _, body = self.random.choice(self.bodies)
        whole = json.dumps(body).encode()
        admin = self.o.keys["admin"]
        return self.random.choice([
            lambda: self.request(method, path, key, whole, [("Content-Type", self.random.choice(
                ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "application/json; charset=utf-16",
                 "multipart/form-data; boundary=x", "a" * 3000, "application/json;charset=latin1", "*/*", ";"]))]),
            lambda: self.request(method, path, None, whole, [("Authorization", self.random.choice(
                ["", "Bearer", "Bearer ", "Bearer  x", "bearer x.y.z", "Basic " + admin, admin, "Bearer " + admin[:-1] + "!",
                 "Bearer " + admin + ", Bearer " + admin, "Digest x", "Bearer " + "A" * 3000, "Bearer e30.e30.e30",
                 "Bearer oct_admin_", "Bearer \u00e9"]))] if path != "/api/pricing/estimate" else [("Content-Type", "x/y")]),
            lambda: self.request(method, path, key, b"{", [(self.text(1, 30, string.ascii_letters + "-"), self.text(0, 2000, string.ascii_letters + " ;=,"))
                                                            for _ in range(self.random.randint(1, 30))]),
            lambda: self.request("POST", "/api/guard/authorize", "guard",
                                 json.dumps({"account": self.account, "model": "gpt-4o"}).encode(),
                                 [("Idempotency-Key", self.random.choice(["a b", "x" * 129, "x" * 4000, "\u00e9", "a\tb"]))]),
            lambda: self.request("GET", "/api/credits?account=" + self.account, "app", headers=[
                (self.random.choice(["OCTROI_ACCOUNT", "Octroi-Account", "OCTROI-MEMBER", "Octroi_Model"]), "ws:acme")]),
            lambda: self.request(method, path, key, b"{", [("X-Octroi-Key", "oct_admin_x")]),
            lambda: self.request(method, path, key, b"{", [("X-Bad", bytes([self.random.choice([1, 7, 11, 27, 127])]))]),
            lambda: self.request(method, path, key, b"{", [("X-Long", "x" * self.random.choice([4000, 9000, 40000, 70000]))]),
            lambda: self.request(method, path, key, b"{", [("Accept-Language", self.text(1, 500, ";q=,.-*frenFREN 01 "))]),
            lambda: self.request(method, path, key, b"{", [("X-Request-Id", self.text(1, 300, string.printable[:95]))]),
            lambda: self.request(method, path, key, b"{", [("Expect", "100-continue")]),
            lambda: self.request(method, path, key, whole, length=self.random.randrange(len(whole))),
        ])()

    def wrong_parameter(self):
        path = self.random.choice(self.reads)
        bad = self.random.choice([
            "%zz", "account=%ff", "account=%00", "account=a%20b", "account=", "account=" + "a" * 129, "account[]=a", "account=%",
            "account=" + self.account + "&" + self.random.choice([
                "limit=0", "limit=-1", "limit=101", "limit=99999999999999999999", "limit=1.0", "limit=x", "limit=%31%00",
                "cursor=x", "cursor=" + "A" * 22, "cursor=%ff", "cursor=" + "A" * 3000, "member=a%20b", "model=" + "x" * 200, "model=%0a",
                "from=yesterday", "from=2026-13-01", "to=2026-02-30", "from=2026-02-02&to=2026-02-01", "by=hour&from=2026-02-02&to=2026-02-04", "by=hour&to=1970-01-01", "by=year", "by=%00",
                "action=%c3%28", "x=" + "y" * 5000, "=", "&&&&", "=&=", "limit=1&limit=x"]),
            "account=" + self.random.choice([id for id in BAD_IDS if id not in DOTS]), self.text(1, 200, "abc=&%;+0123456789"),
        ])
        return self.request("GET", path + "?" + bad.replace(" ", "+"), self.random.choice(["app", "admin", "report", None]))

    def wrong_method(self):
        served = {(method, path) for method, path, *_ in routes()}
        while True:
            method = self.random.choice(METHODS + ["GET", "POST", "PUT", "DELETE", "HEAD"])
            _, path, _, _, _ = self.random.choice(routes())
            if (method, path) not in served and not (method == "HEAD" and ("GET", path) in served):
                break
        path = path.replace("{account}", self.account).replace("{member}", "user:1")
        body = json.dumps({"account": self.account, "model": "gpt-4o"}).encode() if self.random.random() < 0.5 else b""
        return self.request(method, path, "admin", body)

    def wrong_size(self):
        method, path, key, _, body = self.random.choice(self.bodies)
        whole = json.dumps(body).encode()
        # mod_fcgid answers 500 by itself beyond FcgidMaxRequestLen.
        size = self.random.choice([128 * 1024 + 1, 128 * 1024 + 17, 200_000, 400_000,
                                   1_000_000 if self.o.server == "apache-fcgid" else 1_100_000])
        return self.random.choice([
            lambda: self.request(method, path, key, whole[:-1] + b" " * (size - len(whole)) + b"}"),
            lambda: self.request(method, path, key, b'{"x": "' + b"y" * size + b'"}'),
            lambda: self.request("GET", "/api/credits?account=" + "a" * self.random.choice([200, 5000, 9000, 70000]), "app"),
            lambda: self.request("GET", "/" + "a/" * self.random.choice([500, 4000, 30000]), "app"),
            lambda: self.request(method, path, key, b"[" + b"{}," * 40000 + b"{}]"),
            lambda: self.request("POST", "/api/guard/settle", "guard", json.dumps({"settlements": [{}] * 501}).encode()),
            lambda: self.request("POST", "/api/guard/settle", "guard", b'{"settlements":[' + b"1," * 499 + b"1]}"),
            lambda: self.request("POST", "/api/guard/authorize", "guard", json.dumps(
                {"account": self.account, "models": ["gpt-4o"] * 17}).encode()),
        ])()

    def wrong_encoding(self):
        method, path, key, _, body = self.random.choice(self.bodies)
        whole = json.dumps(body).encode()
        text = whole.decode()
        encoded = self.random.choice([
            text.encode("utf-16"), text.encode("utf-16-le"), text.encode("utf-32"), b"\xef\xbb\xbf" + whole, gzip.compress(whole),
            urllib.parse.urlencode(body).encode(), whole.replace(b"{", b"%7B"), text.encode("utf-7") + b"+", b"--x\r\n\r\n" + whole])
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (whole[:5], whole[5:-1])) + b"0\r\n\r\n"
        return self.random.choice([
            lambda: self.request(method, path, key, encoded),
            lambda: self.request(method, path, key, gzip.compress(whole), [("Content-Encoding", "gzip")]),
            lambda: self.request(method, path, key, chunks, [("Transfer-Encoding", "chunked")]),
        ])()

    def wrong_signature(self):
        """Events that nobody signed, or somebody else, or long ago."""
        now = int(time.time())
        event = json.dumps({"id": "evt_x", "object": "event", "type": "user.created", "created": now, "livemode": False,
                            "data": {"id": "user_x", "object": {"id": "cs_x"}}}).encode()
        body = self.random.choice([event, event[:-1], b"", b"[]", b"\0", event * 3, b"{}", BAD_UTF8[0] + event])
        when = self.random.choice([str(now), str(now - 301), str(now + 999), "0", "-1", "x", "", "9" * 30, f"{now}.0", f" {now}"])
        mac = self.random.choice(["0" * 64, "", "g" * 64, "A" * 43 + "=", "AAAA", self.text(1, 80, string.ascii_letters + "+/=,. ")])
        version = self.random.choice(["v1", "v0", "v1a", "v2", "", "V1", "v1,v1"])
        if self.random.random() < 0.5:
            sent = [("Stripe-Signature", self.random.choice([f"t={when},{version}={mac}", f"{version}={mac},t={when}", f"t={when}", mac, ""]))]
            return self.request("POST", "/api/webhooks/stripe", None, body, sent)
        brand = self.random.choice(["svix", "webhook"])
        sent = [(f"{brand}-id", self.random.choice(["msg_x", "", "x" * 300])), (f"{brand}-timestamp", when),
                (f"{brand}-signature", self.random.choice([f"{version},{mac}", mac, "", " ".join([f"v1,{mac}"] * 50)]))]
        return self.request("POST", "/api/webhooks/clerk", None, body, self.random.sample(sent, self.random.randint(0, 3)))

    def wrong_id(self):
        bad = self.random.choice(BAD_IDS)
        raw = bad if bad.isascii() else urllib.parse.quote(bad)
        hold = self.random.choice(["", "x", self.hold[:-1], self.hold + "A", self.hold[:-1] + "!", "A" * 32, "_" * 32, "-" * 32,
                                   guard.public_id(self.account, 10**6), guard.public_id("nobody", 1),
                                   guard.public_id(self.account, 2**62), "é" * 16, self.hold.swapcase()])
        route = self.random.choice(["settle", "release", "extend"])
        return self.random.choice([
            lambda: self.request("GET", f"/api/accounts/{raw}".replace(" ", "+"), "app"),
            lambda: self.request("PUT", f"/api/accounts/{raw}".replace(" ", "+"), "app", b'{"mode":"nonsense"}'),
            lambda: self.request("PUT", f"/api/accounts/{self.account}/members/{raw}".replace(" ", "+"), "app", b'{"role":"king"}'),
            lambda: self.request("DELETE", f"/api/accounts/{self.account}/members/{raw}".replace(" ", "+"), "app"),
            lambda: self.request("POST", f"/api/accounts/{raw}/transactions".replace(" ", "+"), "admin", b'{"type":"GIFT"}'),
            lambda: self.request("POST", f"/api/guard/{route}", "guard", json.dumps({"hold": hold}).encode()),
            lambda: self.request("GET", f"/api/credits?account={raw}".replace(" ", "+"), "report"),
        ])()


def status_of(url, request):
    """Sends the bytes as they are; the answer's status, 0 when the connection ended without one."""
    parts = urllib.parse.urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=ANSWER_SECONDS) as connection:
        try:
            connection.sendall(request)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before all of it was sent; the answer may be there all the same
        answer = b""
        try:
            while b"\r\n\r\n" not in answer:
                more = connection.recv(4096)
                if not more:
                    break
                answer += more
                if answer.startswith(b"HTTP/1.1 100 ") and b"\r\n\r\n" in answer:
                    answer = answer.split(b"\r\n\r\n", 1)[1]
        except ConnectionResetError:
            pass
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/") else 0


# Answers that a web server may give by itself to an unknown method or header, before octroi is asked.
SERVERS_OWN = {501}
UNANSWERED = {"wrong_size", "wrong_header"}  # cut in the middle of what is too large


@pytest.mark.parametrize("front", ["nginx", "apache", "fcgid"])
def test_malformed_requests_change_nothing(front, request):
    o = request.getfixturevalue(front)
    let_expire(o)
    malformer = Malformer(o, f"{SEED} {front}")
    wait_until(lambda: o.get("/readyz", key=None).status == 200, what="ready")
    before, pid, log = snapshot(o), o.pid, len(o.log())
    if front == "fcgid" and not alive(pid):
        pid = 0  # mod_fcgid has ended that one before
    wrong, seen = [], {}
    for i in range(REQUESTS):
        kind, sent = malformer.make()
        status = status_of(o.internal_url, sent)
        seen.setdefault(kind, {}).setdefault(status, 0)
        seen[kind][status] += 1
        if status >= 500 and not (status in SERVERS_OWN and kind == "wrong_method") or (status == 0 and kind not in UNANSWERED):
            wrong.append((i, kind, status, sent[:400]))
    changed = changes(before, snapshot(o))
    assert not wrong, f"seed {SEED}: {len(wrong)} of {REQUESTS}: {wrong[:5]}"
    assert not changed, f"seed {SEED}: changed: {changed}; {seen}"
    # mod_fcgid ends a process that has grown old: then that is in the log.
    assert pid == 0 or alive(pid) or (front == "fcgid" and "event=stopped" in o.log()[log:]), "octroi died"
    assert "check_failed" not in o.log()[log:] and "CHECK" not in o.log()[log:]
    assert o.get("/readyz", key=None).status == 200
    refused = sum(count for statuses in seen.values() for status, count in statuses.items() if 400 <= status < 500)
    assert refused > REQUESTS * 0.9, seen
    assert guard.release(o, malformer.hold).status == 200

"""Keys, tokens and passwords go through everything, and are in no log, no answer and no process list."""

import base64
import pathlib
import re
import signal
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import fastcgi  # noqa: E402
from conftest import SETTINGS  # noqa: E402
from fake_provider import FakeProvider  # noqa: E402
from guard import authorize, charge, extend, hold, release, request_id, settle  # noqa: E402
from octroi import Octroi, wait_until  # noqa: E402

CANARIES = {
    "token_secret": "canary-token-secret-6f1c2b9a-0123456789abcdef",
    "stripe_secret_key": "sk_test_canary4eC39HqLyjWDarjtT1zdp7dc",
    "stripe_webhook_secret": "whsec_Y2FuYXJ5LXN0cmlwZS13ZWJob29rLTAxMjM0NTY3",
    "openai_api_key": "sk-proj-canary0penA1b2C3d4E5f6G7h8I9j0",
    "anthropic_api_key": "sk-ant-api03-canaryAnthr0picK1l2M3n4O5p6",
    "clerk_webhook_secret": "whsec_Y2FuYXJ5LWNsZXJrLXdlYmhvb2stMDEyMzQ1Njc4",
}


@pytest.fixture(scope="module")
def o():
    # A provider that does not know the keys tells them back.
    with FakeProvider() as provider, Octroi("nginx", settings={
            **SETTINGS, **provider.settings(), **CANARIES, "log_level": "debug", "request_timeout_ms": 2000}) as octroi:
        yield octroi


def db_password(o):
    return re.search(r"^db_password\s*=\s*(\S+)", pathlib.Path(o.env["OCTROI_CONF"]).read_text(), re.M)[1]


def money_flows(o):
    account = o.account(funds_micros=10**9, email="someone@example.org")
    o.fund(account, 5)
    settle(o, hold(o, account), inputTokens=1, outputTokens=1)
    release(o, hold(o, account))
    extend(o, hold(o, account), ttlSeconds=60)
    charge(o, account, "debrief", requestId=request_id())
    authorize(o, account, "unheard-of")
    authorize(o, request_id("poor"))
    settle(o, "x" * 32)
    o.call("PUT", f"/api/accounts/{account}/members/user:1", json={"role": "member"})
    o.call("DELETE", f"/api/accounts/{account}/members/user:1")
    for path in ("", "/transactions", "/usages", "/summary"):
        o.get(f"/api/credits{path}?account={account}")
    for path in ("/metrics", "/api/admin/providers", "/healthz", "/readyz", "/api/pricing", "/api/openapi.json"):
        o.get(path, key="report")
    return account


def wrong_ways_to_show(o, secret):
    """Everywhere that a secret can be put by somebody who is mistaken."""
    account = request_id("w")
    body = {"account": account, "model": "gpt-4o"}
    for headers in ({"Authorization": f"Basic {secret}"}, {"Authorization": secret}, {"X-Octroi-Key": secret},
                    {"X-Octroi-Key": secret + "x"}, {"Authorization": f"Bearer {secret} {secret}"},
                    {"Idempotency-Key": secret * 9}, {"Cookie": f"key={secret}"}, {"X-Request-Id": f"{secret} {secret}"},
                    {"Authorization": f"Bearer {secret}", "X-Octroi-Key": "another"}):
        o.post("/api/guard/authorize", body, key=None, headers=headers)
    for path in (f"/api/credits?key={secret}", f"/api/credits?account={secret}%20", f"/{secret}", f"/api/accounts/{secret}x/{secret}",
                 f"/api/credits/usages?account=a&cursor={secret}"):
        o.get(path, key=secret)
        o.get(path, key=None, public=True)
    for raw in (f'{{"key":"{secret}"', f'{{"{secret}":1}}', secret, f'{{"account":"{secret} {secret}"}}',
                f'{{"account":"a","model":"gpt-4o","requestId":"{secret} {secret}"}}'):
        o.post("/api/guard/authorize", body=raw, headers={"Content-Type": "application/json"})
    listen = re.search(r"^listen_internal\s*=\s*unix:(\S+)", pathlib.Path(o.env["OCTROI_CONF"]).read_text(), re.M)[1]
    for more in ([("HTTP_AUTHORIZATION", f"Bearer {secret}")] * 2, [("HTTP_OCTROI_ACCOUNT", secret)]):
        fastcgi.call(listen, "GET", "/api/credits?account=a", more=more)


def operations(o):
    """octroictl's commands; what they print."""
    said = ""
    for arguments in (["status"], ["status", "--json"], ["doctor"], ["doctor", "--json"], ["key", "list"],
                      ["key", "list", "--json"], ["audit"], ["tick"], ["account", "list"], ["--help"],
                      *([("probe", name, *more) for name in ("openai", "anthropic") for more in ([], ["--store"])])):
        done = o.ctl(*arguments, check=False)
        said += done.stdout + done.stderr
    return said


def faults(o, account):
    o.kill("db", signal.SIGKILL)
    authorize(o, account)
    o.get("/readyz", key=None)
    said = operations(o)
    o.start()
    wait_until(lambda: o.get("/readyz", key=None).status == 200, 15, "octroi to be ready")
    o.kill("octroi", signal.SIGTERM)
    o.start()
    return said


def forms(secret):
    """A secret as it is, and as it may be hidden from a plain search."""
    raw = secret.encode()
    return {secret, secret[-20:], base64.b64encode(raw).decode().rstrip("="), raw.hex(), raw.hex().upper()}


def test_secrets_are_in_no_log(o):
    made = o.ctl("key", "create", "--scope", "app", "--label", "canary").stdout
    revoked = re.search(r"oct_app_[\w-]+", made)[0]
    o.ctl("key", "revoke", o.sql("SELECT MAX(id) FROM api_keys")[0][0])
    account = money_flows(o)
    token = o.post("/api/tokens", {"account": account, "member": "user:1"}).json["token"]
    o.get("/api/credits", key=token, public=True)
    secrets = {**CANARIES, "db_password": db_password(o), "token": token, "revoked": revoked,
               "someone else's": "oct_admin_canaryCANARYcanaryCANARYcanaryCANARYcanary0", **o.keys}
    said = ""
    for secret in secrets.values():
        wrong_ways_to_show(o, secret)
    said += operations(o) + faults(o, account)
    written = {path.name: path.read_bytes().decode(errors="replace")
               for path in pathlib.Path(o.env["OCTROI_LOGS"]).iterdir() if path.is_file()}
    assert len(written["octroi.log"]) > 10_000
    # nginx notes the request line of what it could not serve itself: the path, which no client of ours puts
    # a secret in.
    written.pop("server.log", None)
    for name, secret in secrets.items():
        for form in forms(secret):
            for where, text in {**written, "octroictl": said}.items():
                lines = [line for line in text.splitlines() if form in line]
                assert not lines, f"{name} in {where}: {lines[0]}"


def test_secrets_are_in_no_process_list(o):
    listed = subprocess.run(["ps", "-eo", "args"], stdout=subprocess.PIPE, text=True, check=True).stdout
    for secret in (*CANARIES.values(), db_password(o), *o.keys.values()):
        assert secret not in listed


def test_keys_are_not_in_the_database(o):
    dump = o.sql("SELECT scope, label, prefix, HEX(digest), CAST(digest AS CHAR CHARACTER SET latin1) FROM api_keys")
    for secret in o.keys.values():
        assert not any(field and secret[-20:] in field for row in dump for field in row)


def test_answers_do_not_tell_a_wrong_key_from_a_revoked_one(o):
    made = o.ctl("key", "create", "--scope", "guard", "--label", "revoked").stdout
    key = re.search(r"oct_guard_[\w-]+", made)[0]
    o.ctl("key", "revoke", o.sql("SELECT MAX(id) FROM api_keys")[0][0])
    answers = [o.post("/api/guard/authorize", {"account": "a", "model": "gpt-4o"}, key=k) for k in (key, key[:-1] + "_", "x")]
    said = [{k: v for k, v in a.json.items() if k != "requestId"} for a in answers]
    assert [a.status for a in answers] == [401] * 3 and said[0] == said[1] == said[2]
    assert answers[0].headers["www-authenticate"].startswith("Bearer")


def test_a_log_line_names_the_account_and_nothing_of_the_body(o):
    account = o.account(funds_micros=10**7)
    answer = authorize(o, account, metadata={"note": "private-note"}, conversationId="private-conversation")
    id = answer.headers["x-request-id"]
    lines = wait_until(lambda: [line for line in o.log().splitlines() if id in line], 5, "the line of the request")
    assert len(lines) == 1 and f'account="{account}"' in lines[0] and "status=200" in lines[0], lines
    assert "private" not in o.log()

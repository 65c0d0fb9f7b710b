"""Keys, tokens and passwords go through everything, and are in no log, no answer and no process list."""

import base64
import json
import os
import pathlib
import re
import signal
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import clerk  # noqa: E402
import fastcgi  # noqa: E402
from conftest import SETTINGS  # noqa: E402
from fake_provider import FakeProvider  # noqa: E402
from fake_stripe import FakeStripe, sign  # noqa: E402
from guard import authorize, charge, extend, hold, release, request_id, settle  # noqa: E402
from issuer import Issuer  # noqa: E402
from octroi import TOP, Octroi, wait_until  # noqa: E402

CANARIES = {
    "token_secret": "canary-token-secret-6f1c2b9a-0123456789abcdef",
    "stripe_secret_key": "sk_test_canary4eC39HqLyjWDarjtT1zdp7dc",
    "stripe_webhook_secret": "whsec_Y2FuYXJ5LXN0cmlwZS13ZWJob29rLTAxMjM0NTY3",
    "openai_api_key": "sk-proj-canary0penA1b2C3d4E5f6G7h8I9j0",
    "anthropic_api_key": "sk-ant-api03-canaryAnthr0picK1l2M3n4O5p6",
    "smtp_password": "canary-smtp-Passw0rd-Zx81",
    "clerk_webhook_secret": "whsec_Y2FuYXJ5LWNsZXJrLXdlYmhvb2stMDEyMzQ1Njc4",
}


@pytest.fixture(scope="module")
def stripe():
    with FakeStripe() as fake:
        fake.key, fake.webhook_secret = CANARIES["stripe_secret_key"], CANARIES["stripe_webhook_secret"]
        yield fake


@pytest.fixture(scope="module")
def issuer():
    with Issuer() as made:
        yield made


@pytest.fixture(scope="module")
def o(stripe, issuer):
    # A provider that does not know the keys tells them back.
    with FakeProvider() as provider, Octroi("nginx", settings={
            **SETTINGS, **provider.settings(), **CANARIES, **stripe.settings(), "jwt_issuer": issuer.url,
            "referral_amount": "5", "log_level": "debug", "request_timeout_ms": 2000}) as octroi:
        recorded(octroi)
        stripe.webhook_url = octroi.url + "/api/webhooks/stripe"
        yield octroi


def recorded(o):
    """Keeps what every answer said in o.answers, beside the secret that its request showed (o.shown)."""
    call, o.answers, o.shown = o.call, [], None

    def record(*arguments, **more):
        answer = call(*arguments, **more)
        o.answers.append((o.shown, f"{answer.status} {answer.headers} {answer.text}"))
        return answer

    o.call = record


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
    o.shown = secret
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
    for headers in ({"Stripe-Signature": secret}, {"Stripe-Signature": f"t=1,v1={secret}"}, {"svix-signature": f"v1,{secret}"}):
        for path in ("/api/webhooks/stripe", "/api/webhooks/clerk"):
            o.post(path, body=json.dumps({"id": secret, "secret": secret}), headers=headers, key=None, public=True)
    o.shown = None


CARD = {"client_secret": "pi_canary_secret_VHJ1c3RObzE", "fingerprint": "canaryFPx83hd0", "email": "canary-card@example.org",
        "receipt": "canary-receipt-CAcQARoXChV"}


def payments(o, stripe):
    """Orders, paid and not, events of Stripe's good and bad, and a Stripe that is in trouble; the customers' ids."""
    account = o.account(email="someone@example.org")
    opened = o.post(f"/api/credits/topup?account={account}", {"amount": 2000})
    assert opened.status == 200, opened
    stripe.pay(stripe.session_of(opened.json["url"]))
    stripe.deliver()
    assert o.balance(account)[0] == 20_000_000
    paid = stripe.new("checkout.session", "cs_test", mode="payment", payment_status="paid", amount_total=500, currency="eur",
                      payment_intent="pi_canary", client_secret=CARD["client_secret"], metadata={},
                      customer_details={"email": CARD["email"]}, receipt_url=CARD["receipt"],
                      payment_method_details={"card": {"fingerprint": CARD["fingerprint"]}})
    for secret in (stripe.webhook_secret, stripe.webhook_secret[:-1] + "x"):
        for body in (stripe.body_of(stripe.emit("checkout.session.completed", paid, lost=True)), b"{" + json.dumps(paid).encode()):
            o.post("/api/webhooks/stripe", body=body, key=None, public=True, headers={
                "Stripe-Signature": sign(secret, body), "Content-Type": "application/json"})
    for trouble in ({"status": 401, "error": {"type": "invalid_request_error", "message": f"Invalid API Key provided: {stripe.key}"}},
                    {"status": 500, "error": {"type": "api_error", "message": stripe.key}}, {"drop": True},
                    {"status": 302, "headers": {"Location": f"http://127.0.0.1:1/{stripe.key}"}}):
        stripe.trouble(**trouble)
        assert o.post(f"/api/credits/topup?account={account}", {"amount": 2000}).status == 503
        stripe.calm()
    stripe.lose()
    return stripe.get("checkout.session", stripe.session_of(opened.json["url"]))["customer"]


def people(o, issuer):
    """Tokens of an issuer, good and bad, and its webhook; the tokens."""
    key, unknown = issuer.key("k1"), issuer.key("k2", publish=False)
    tokens = [key.sign(issuer.claims("user_1")), key.sign(issuer.claims("user_2", exp=1)), unknown.sign(issuer.claims("user_1")),
              key.sign(issuer.claims("user_1"))[:-3] + "AAA"]
    assert [o.get("/api/credits", key=t, public=True).status for t in tokens] == [200, 401, 401, 401]
    body = clerk.event(clerk.person())
    for secret, status in ((CANARIES["clerk_webhook_secret"], 200), ("whsec_" + "QUFB" * 10, 400)):
        assert o.post("/api/webhooks/clerk", body=body, headers=clerk.signed_headers(secret, body), key=None,
                      public=True).status == status
    return tokens


def codes(o):
    """Codes that are redeemed, and guessed; the codes."""
    made = json.loads(o.ctl("code", "create", "--amount", "5", "--reason", "canary", "--actor", "test", "--json").stdout)
    code, account = made["items"][0]["code"], o.account()
    for guess in (code, code, "AAAA-BBBB-CCCC", code[:-1] + ("A" if code[-1] != "A" else "B")):
        o.post(f"/api/credits/redeem?account={account}", {"code": guess})
    return [code]


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
    # A table that is not there: the database's complaint is logged, and no value.
    o.sql("RENAME TABLE topups TO topups_away")
    o.post(f"/api/credits/topup?account={account}", {"amount": 2000})
    o.sql("RENAME TABLE topups_away TO topups")
    # Signals as of a bug, and of an operator; a sanitizer would report the second as its own finding.
    numbers = (signal.SIGABRT, signal.SIGSEGV, signal.SIGTERM)
    for number in numbers[::2] if "OCTROI_SANITIZER" in os.environ else numbers:
        o.kill("octroi", number)
        o.start()
    return said


def forms(secret):
    """A secret as it is, and as it may be hidden from a plain search."""
    raw = secret.encode()
    return {secret, secret[-20:], base64.b64encode(raw).decode().rstrip("="), raw.hex(), raw.hex().upper()}


def test_every_secret_setting_is_a_canary():
    """A developer who adds a secret setting adds its canary."""
    secret = set(re.findall(r"^KEY\(SECRET, (\w+)", (TOP / "src/config.def").read_text(), re.M))
    assert len(secret) >= 5 and secret == {*CANARIES, "db_password"}


def places(o):
    """Every file of this octroi, its database's among them, but those that exist to hold secrets."""
    state = pathlib.Path(o.env["OCTROI_DB_SOCKET"]).parents[1]
    for directory in {o.dir, state}:
        for path in directory.rglob("*"):
            if path.is_file() and path.name not in ("octroi.conf", "keys", "env", "server.log"):
                yield path


def test_secrets_are_in_no_log(o, stripe, issuer):
    made = o.ctl("key", "create", "--scope", "app", "--label", "canary").stdout
    revoked = re.search(r"oct_app_[\w-]+", made)[0]
    o.ctl("key", "revoke", o.sql("SELECT MAX(id) FROM api_keys")[0][0])
    account = money_flows(o)
    customer = payments(o, stripe)
    token = o.post("/api/tokens", {"account": account, "member": "user:2"}).json["token"]
    o.answers.pop()  # which was that token
    o.get("/api/credits", key=token, public=True)
    quiet = {f"token {i}": t for i, t in enumerate(people(o, issuer))} | {f"code {i}": c for i, c in enumerate(codes(o))} | CARD
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
    for name, secret in {**secrets, **quiet, "customer": customer}.items():
        for form in forms(secret):
            for where, text in {**written, "octroictl": said}.items():
                lines = [line for line in text.splitlines() if form in line]
                assert not lines, f"{name} in {where}: {lines[0]}"
            for shown, text in o.answers:
                assert form not in text or shown == secret, f"{name} is answered: {text}"
    assert len(o.answers) > 300
    # Keys of applications and secrets of the configuration are nowhere else, nor in the database's own files.
    looked_at = 0
    for path in places(o):
        data = path.read_bytes()
        looked_at += 1
        for name, secret in secrets.items():
            assert secret.encode() not in data, f"{name} in {path}"
    assert looked_at > 50


def test_secrets_are_in_no_process_list(o):
    listed = subprocess.run(["ps", "-eo", "args"], stdout=subprocess.PIPE, text=True, check=True).stdout
    secrets = (*CANARIES.values(), db_password(o), *o.keys.values())
    for secret in secrets:
        assert secret not in listed
    # The environment keeps what it was given, for root and octroi's own user to see; nothing is added to it.
    for pid in (o.pid, o.db_pid, o.server_pid):
        environ = pathlib.Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")
        assert not [secret for secret in secrets if secret in environ]


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

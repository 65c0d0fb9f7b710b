"""Browser tokens of a configured issuer, such as Clerk: RS256 and ES256 by its published keys."""

import hashlib
import hmac
import json
import threading
import time

import pytest

from issuer import Issuer, b64
from octroi import Octroi, wait_until

PARTY = "https://app.example.com"


@pytest.fixture(scope="module")
def issuer():
    with Issuer() as made:
        yield made


@pytest.fixture(scope="module")
def o(issuer):
    settings = {"jwt_issuer": issuer.url, "jwt_authorized_parties": f"https://other.example.com {PARTY}",
                "token_secret": "a token secret that only the tests use, 2b7e1516", "bonus_needs_email": "off"}
    with Octroi("nginx", settings=settings) as made:
        yield made


@pytest.fixture(scope="module")
def key(issuer, o):
    return issuer.key("k1")


def credits(o, token, path="/api/credits", **more):
    return o.call("GET", path, key=token, public=True, **more)


def test_token_opens_its_own_account_only(o, issuer, key):
    token = key.sign(issuer.claims("user_own"))
    answer = credits(o, token)
    assert answer.status == 200 and answer.json["account"] == "user_own", answer
    assert credits(o, token, "/api/credits?account=user_own").status == 200
    assert credits(o, token, "/api/credits?account=user_other").status == 403
    assert credits(o, token, "/api/credits/usages").status == 200
    for method, path in (("PUT", "/api/accounts/user_own"), ("POST", "/api/guard/authorize"), ("POST", "/api/tokens"),
                         ("POST", "/api/accounts/user_own/transactions"), ("GET", "/metrics")):
        assert o.call(method, path, json={} if method != "GET" else None, key=token).status in (401, 403)


def test_bonus_and_code_with_a_token(o, issuer, key):
    token = key.sign(issuer.claims("user_bonus"))
    assert o.post("/api/credits/claim-bonus", key=token, public=True).status == 200
    assert o.post("/api/credits/claim-bonus", key=token, public=True).status == 409
    assert credits(o, token).json["balance"] == 1000


def broken(issuer, key):
    """(why, token) of tokens that must not be accepted."""
    now = int(time.time())
    good = issuer.claims("user_bad")
    jwk = json.dumps(key.jwk()).encode()

    def hs256(secret, **header):
        head = {"alg": "HS256", "typ": "JWT", "kid": key.kid, **header}
        text = b64(json.dumps(head).encode()) + "." + b64(json.dumps(good).encode())
        return text + "." + b64(hmac.new(secret, text.encode(), hashlib.sha256).digest())

    signed = key.sign(good)
    head, body, signature = signed.split(".")
    yield "alg none", b64(json.dumps({"alg": "none", "kid": key.kid}).encode()) + "." + body + "."
    yield "alg none with a signature", b64(json.dumps({"alg": "none", "kid": key.kid}).encode()) + "." + body + "." + signature
    yield "HS256 keyed with the public key", hs256(jwk)
    yield "HS256 keyed with nothing", hs256(b"")
    yield "HS256 keyed with the modulus", hs256(key.jwk()["n"].encode())
    yield "RS256 in the header, HS256 behind", hs256(jwk, alg="RS256")
    yield "another algorithm in the header", key.sign(good, alg="RS512")
    yield "ES256 in the header", key.sign(good, alg="ES256")
    yield "no kid", key.sign(good, kid=None)
    yield "empty kid", key.sign(good, kid="")
    yield "kid in other letters", key.sign(good, kid=key.kid.upper())
    yield "kid with a blank", key.sign(good, kid=key.kid + " ")
    yield "number as kid", key.sign(good, kid=1)
    yield "critical extension", key.sign(good, crit=["exp"])
    yield "its own key set", key.sign(good, kid="own", jku=issuer.url, jwk=key.jwk())
    yield "other type", key.sign(good, typ="at+jwt")
    yield "signed by another key of that id", issuer.key(key.kid, publish=False).sign(good)
    yield "body changed", head + "." + b64(json.dumps({**good, "sub": "user_victim"}).encode()) + "." + signature
    yield "signature cut", signed[:-4]
    yield "signature twice", signed + "." + signature
    yield "padded", signed + "="
    yield "blank inside", head + ". " + body + "." + signature
    yield "other issuer", key.sign({**good, "iss": "https://evil.example.com"})
    yield "issuer with a slash", key.sign({**good, "iss": issuer.url + "/"})
    yield "no issuer", key.sign(issuer.claims("user_bad", iss=None))
    yield "no subject", key.sign(issuer.claims(None))
    yield "subject that is no id", key.sign(issuer.claims("user bad"))
    yield "subject too long", key.sign(issuer.claims("u" * 129))
    yield "subject is a list", key.sign(issuer.claims(["user_bad"]))
    yield "no exp", key.sign(issuer.claims("user_bad", exp=None))
    yield "expired", key.sign(issuer.claims("user_bad", exp=now - 6))
    yield "exp as text", key.sign(issuer.claims("user_bad", exp=str(now + 60)))
    yield "exp as fraction", key.sign(issuer.claims("user_bad", exp=now + 60.5))
    yield "nbf ahead", key.sign(issuer.claims("user_bad", nbf=now + 60))
    yield "iat ahead", key.sign(issuer.claims("user_bad", iat=now + 60))
    yield "no azp", key.sign(issuer.claims("user_bad", azp=None))
    yield "another azp", key.sign(issuer.claims("user_bad", azp="https://evil.example.com"))
    yield "azp as a list", key.sign(issuer.claims("user_bad", azp=[PARTY]))
    yield "azp that begins like ours", key.sign(issuer.claims("user_bad", azp=PARTY + ".evil.com"))
    yield "for somebody else", key.sign(issuer.claims("user_bad", aud="another service"))
    yield "not fully signed in", key.sign(issuer.claims("user_bad", sts="pending"))


def test_nothing_wrong_is_accepted(o, issuer, key):
    assert credits(o, key.sign(issuer.claims("user_bad"))).status == 200
    wrong = list(broken(issuer, key))
    for why, token in wrong:
        assert credits(o, token).status == 401, why
    assert len(wrong) > 40
    # The very token is good for a while after it has expired, by five seconds of skew.
    assert credits(o, key.sign(issuer.claims("user_bad", exp=int(time.time()) - 2))).status == 200


def test_short_rsa_keys_are_refused(o, issuer, key):
    short = issuer.key("short", bits=1024)
    wait_until(lambda: credits(o, short.sign(issuer.claims("user_short"))).status == 401)
    assert credits(o, short.sign(issuer.claims("user_short"))).status == 401


def test_unknown_key_is_fetched_and_a_flood_is_not(issuer):
    with Issuer() as own:
        first = own.key("first")
        with Octroi("nginx", settings={"jwt_issuer": own.url + "", "jwt_authorized_parties": PARTY}) as o:
            token = first.sign(own.claims("user_r"))
            assert credits(o, token).status == 200
            assert own.requests == 1
            for _ in range(20):
                assert credits(o, token).status == 200
            assert own.requests == 1  # kept
            second = own.key("second")
            assert credits(o, second.sign(own.claims("user_r"))).status == 200  # rotated: found at once
            assert own.requests == 2
            bogus = Issuer.key(own, "bogus", publish=False)
            for n in range(100):
                bogus.kid = f"bogus{n}"
                assert credits(o, bogus.sign(own.claims("user_r"))).status == 401
            assert own.requests <= 5
            assert credits(o, token).status == 200


def test_issuer_that_hangs_does_not_hold_the_guard_up():
    with Issuer() as own:
        own.mode = "slow"
        key = own.key("k")
        with Octroi("nginx", settings={"jwt_issuer": own.url, "slow_max": "4"}) as o:
            account = o.account(funds_micros=10_000_000)
            token = key.sign(own.claims("user_h"))
            answers = []
            threads = [threading.Thread(target=lambda: answers.append(credits(o, token))) for _ in range(40)]
            for t in threads:
                t.start()
            wait_until(lambda: own.requests > 0)
            slowest = 0
            for _ in range(50):
                began = time.monotonic()
                assert o.post("/api/guard/authorize", {"account": account, "model": "gpt-4o"}).status in (200, 422)
                slowest = max(slowest, time.monotonic() - began)
            for t in threads:
                t.join()
            assert slowest < 1.5
            assert {a.status for a in answers} == {503}
            assert all("retry-after" in a.headers for a in answers)
            # A token of that kind waits for nothing at a route where it counts for nothing.
            began = time.monotonic()
            assert o.post("/api/guard/authorize", {"account": account, "model": "gpt-4o"}, key=token).status == 401
            assert time.monotonic() - began < 1
            own.mode = "ok"
            wait_until(lambda: credits(o, token).status == 200, seconds=30)


@pytest.mark.parametrize("mode", ["error", "nonsense"])
def test_issuer_that_fails(mode):
    with Issuer() as own:
        key = own.key("k")
        own.mode = mode
        with Octroi("nginx", settings={"jwt_issuer": own.url}) as o:
            token = key.sign(own.claims("user_f"))
            assert credits(o, token).status == 503
            own.mode = "ok"
            assert credits(o, token).status == 200
            own.mode = mode  # what is known goes on
            assert credits(o, token).status == 200


def test_es256_audience_and_mapping():
    with Issuer() as own:
        key = own.key("e1", "ES256")
        rsa = own.key("r1")
        settings = {"jwt_issuer": own.url, "jwt_algorithm": "ES256", "jwt_audience": "octroi",
                    "jwt_account_claim": "o.id", "jwt_account_prefix": "org:", "jwt_member_claim": "sub"}
        with Octroi("nginx", settings=settings) as o:
            def claims(**changes):
                return own.claims("user_m", aud=["web", "octroi"], o={"id": "acme", "rol": "admin"}, **changes)

            answer = credits(o, key.sign(claims()))
            assert answer.status == 200 and answer.json["account"] == "org:acme", answer
            assert credits(o, key.sign(claims()), "/api/credits/usages?member=user_m").status == 200
            assert credits(o, key.sign(claims()), "/api/credits/usages?member=user_x").status == 403
            assert credits(o, rsa.sign(claims())).status == 401
            assert credits(o, key.sign(own.claims("user_m", aud="octroi"))).status == 401  # no organisation
            assert credits(o, key.sign(own.claims("user_m", o={"id": "acme"}))).status == 401  # no audience


def test_keys_that_are_not_for_signing():
    with Issuer() as own:
        key = own.key("k", publish=False)
        own.published = [key.jwk(use="enc"), {"kid": "k"}, {"kty": "oct", "k": "AAAA", "kid": "k"}, key.jwk(kid=None),
                         key.jwk(alg="RS512")]
        with Octroi("nginx", settings={"jwt_issuer": own.url}) as o:
            assert credits(o, key.sign(own.claims("user_k"))).status == 401
            own.published.append(key.jwk(alg=None, use=None))
            wait_until(lambda: credits(o, key.sign(own.claims("user_k"))).status == 200, seconds=30)


@pytest.mark.parametrize("settings", [
    {"jwt_issuer": "http://clerk.example.com"},
    {"jwt_issuer": "https://clerk.example.com", "jwt_jwks_url": "http://clerk.example.com/jwks"},
    {"jwt_issuer": "https://clerk.example.com", "jwt_algorithm": "HS256"},
    {"jwt_issuer": "https://clerk.example.com", "jwt_algorithm": "none"},
])
def test_settings_that_would_be_unsafe(settings):
    with pytest.raises(RuntimeError):
        Octroi("nginx", settings=settings)

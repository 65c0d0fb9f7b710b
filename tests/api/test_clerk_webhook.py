"""Clerk's webhook: who signs up gets an account, and the bonus once; nothing unsigned gets in."""

import base64
import concurrent.futures
import hashlib
import hmac
import itertools
import json
import random
import time

import pytest

from clerk import event, person, signature
from conftest import CLERK_WEBHOOK_SECRET
from octroi import Octroi

SECRET = CLERK_WEBHOOK_SECRET
OTHER_SECRET = "whsec_" + base64.b64encode(b"another secret of the tests, 0123456").decode()

_serial = itertools.count(1)


def deliver(o, body, identity=None, at=0, secret=SECRET, brand="svix", headers=None, signed=None):
    identity = identity or f"msg_{next(_serial)}{random.randrange(10**9)}"
    timestamp = str(int(time.time()) + at)
    sent = {f"{brand}-id": identity, f"{brand}-timestamp": timestamp,
            f"{brand}-signature": signature(secret, identity, timestamp, body if signed is None else signed),
            "Content-Type": "application/json"}
    sent.update(headers or {})
    return o.call("POST", "/api/webhooks/clerk", body=body, key=None, public=True,
                  headers={name: value for name, value in sent.items() if value is not None})


def balance(o, user):
    shown = o.get(f"/api/credits?account={user['id']}", key="report")
    return None if shown.status == 404 else shown.json["balance"]


def test_sign_up_gives_the_bonus(server):
    user = person()
    answer = deliver(server, event(user))
    assert (answer.status, answer.json) == (200, {"received": True})
    assert balance(server, user) == 1000
    account = server.get(f"/api/accounts/{user['id']}").json
    assert (account["email"], account["name"]) == (user["email_addresses"][1]["email_address"], "Ada")
    assert server.post(f"/api/credits/claim-bonus?account={user['id']}").status == 409


@pytest.mark.parametrize("brand", ["svix", "webhook"])
def test_both_families_of_headers(nginx, brand):
    user = person()
    assert deliver(nginx, event(user), brand=brand).status == 200
    assert balance(nginx, user) == 1000


def test_delivered_again(nginx):
    user = person()
    body = event(user)
    for _ in range(3):
        assert deliver(nginx, body, identity="msg_again" + user["id"]).status == 200
    assert deliver(nginx, body).status == 200  # another message about the same person
    assert balance(nginx, user) == 1000
    rows = nginx.sql(f"SELECT event_id, state, note FROM webhook_events WHERE event_id = 'msg_again{user['id']}'")
    assert len(rows) == 1


def test_many_deliveries_at_once(nginx):
    users = [person() for _ in range(10)]
    work = [(event(u), f"msg_{u['id']}_{n % 4}") for n in range(12) for u in users]
    random.Random(5).shuffle(work)
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda w: deliver(nginx, *w).status, work))
    assert answers == [200] * 120
    assert [balance(nginx, u) for u in users] == [1000] * 10


def test_one_address_many_people(nginx):
    users = [person(email=f"fa.rm+{n}@gmail.com") for n in range(20)]
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert set(pool.map(lambda u: deliver(nginx, event(u)).status, users)) == {200}
    assert sorted(balance(nginx, u) for u in users) == [0] * 19 + [1000]


def test_address_absent_or_not_verified(nginx):
    absent, unverified, unknown = person(email=None), person(status="unverified"), person(status=None)
    for user in (absent, unverified, unknown):
        assert deliver(nginx, event(user)).status == 200
        assert "email" not in nginx.get(f"/api/accounts/{user['id']}").json
        assert balance(nginx, user) == 1000  # bonus_needs_email is off
    with Octroi("nginx", settings={"clerk_webhook_secret": SECRET, "bonus_needs_email": "on"}) as o:
        for user in (absent, unverified, unknown):
            assert deliver(o, event(user)).status == 200
            assert balance(o, user) == 0
        for address in unverified["email_addresses"]:
            address["verification"] = {"status": "verified"}
        assert deliver(o, event(unverified, "user.updated")).status == 200
        assert balance(o, unverified) == 0
        assert o.post(f"/api/credits/claim-bonus?account={unverified['id']}").status == 200
        assert o.sql("SELECT note FROM webhook_events WHERE note <> ''") == [("EMAIL_NEEDED",)] * 3


def test_other_events_change_nothing(nginx):
    user = person()
    for kind in ("user.deleted", "session.created", "organization.created", "user.created.v2", ""):
        assert deliver(nginx, event(user, kind)).status == 200, kind
    assert balance(nginx, user) is None


def test_bodies_that_are_none(nginx):
    for body in (b"", b"[]", b"nonsense", b'{"type":"user.created"}', b'{"type":"user.created","data":[]}',
                 event({}), event(person(id="")), event(person(id="user 1")), event(person(id=5)), event(person(id="u" * 200)),
                 event(person())[:-1], event(person()) + b"}", b'{"type":"user.created","type":"user.created","data":{}}'):
        answer = deliver(nginx, body)
        assert answer.status == 400, body
    # Odd, but of a person all the same.
    for user in (person(email_addresses=None), person(email_addresses=[5, None, "x", {}]), person(first_name=5),
                 person(first_name="x" * 300), person(email="no address"), person(email="a\r\nb@example.com"),
                 person(first_name="a\r\nBcc: x")):
        assert deliver(nginx, event(user)).status == 200
        account = nginx.get(f"/api/accounts/{user['id']}").json
        assert account.get("email", "x@y").count("@") == 1 and "\n" not in json.dumps(account)


def test_nothing_unsigned_gets_in(nginx):
    user = person()
    body = event(user)
    now = int(time.time())
    right = signature(SECRET, "msg_f", now, body)
    wrong = [
        {"svix-signature": None}, {"svix-id": None}, {"svix-timestamp": None}, {"svix-signature": ""},
        {"svix-signature": "v1,"}, {"svix-signature": "v1"}, {"svix-signature": right[:-4]},
        {"svix-signature": right.removeprefix("v1,")}, {"svix-signature": "v2," + right[3:]},
        {"svix-signature": "v1a," + right[3:]}, {"svix-signature": right.replace("v1,", "v1=")},
        {"svix-timestamp": str(now + 1)}, {"svix-timestamp": "-" + str(now)}, {"svix-timestamp": "soon"},
        {"svix-timestamp": str(now) + ".0"}, {"svix-timestamp": ""}, {"svix-id": "msg_g"}, {"svix-id": ""},
        {"svix-signature": signature(OTHER_SECRET, "msg_f", now, body)},
        {"svix-signature": signature(SECRET, "msg_f", now - 301, body), "svix-timestamp": str(now - 301)},
        {"svix-signature": signature(SECRET, "msg_f", now + 310, body), "svix-timestamp": str(now + 310)},
        {"svix-signature": "v1," + base64.b64encode(hmac.new(b"", f"msg_f.{now}.".encode() + body, hashlib.sha256).digest()).decode()},
        {"svix-signature": "v1," + base64.b64encode(
            hmac.new(SECRET.encode(), f"msg_f.{now}.".encode() + body, hashlib.sha256).digest()).decode()},
    ]
    for headers in wrong:
        sent = {"svix-id": "msg_f", "svix-timestamp": str(now), "svix-signature": right, **headers}
        answer = deliver(nginx, body, headers=sent)
        assert answer.status == 400, (headers, answer)
    for changed in (body + b" ", body.replace(b": ", b":"), body.replace(b"Ada", b"Eve"), body[:-1]):
        assert deliver(nginx, changed, signed=body).status == 400
    assert balance(nginx, user) is None
    # One of several signatures is right, and within the five minutes.
    assert deliver(nginx, body, headers={"svix-id": "msg_f", "svix-timestamp": str(now),
                                         "svix-signature": "v1,AAAA v2,x " + right}).status == 200
    assert balance(nginx, user) == 1000


def test_forged_signatures(nginx):
    """2,000 of them, none accepted."""
    user = person()
    body = event(user)
    maker = random.Random(20260101)
    now = int(time.time())
    right = base64.b64decode(signature(SECRET, "msg_q", now, body)[3:])
    for n in range(2000):
        forged = bytearray(right)
        how = n % 4
        if how == 0:
            forged[maker.randrange(32)] ^= 1 << maker.randrange(8)
        elif how == 1:
            forged = maker.randbytes(32)
        elif how == 2:
            forged = right[:maker.randrange(32)]
        else:
            forged = right + maker.randbytes(maker.randrange(1, 8))
        answer = deliver(nginx, body, headers={"svix-id": "msg_q", "svix-timestamp": str(now),
                                               "svix-signature": "v1," + base64.b64encode(bytes(forged)).decode()})
        assert answer.status == 400, forged
    assert balance(nginx, user) is None


def test_rolled_secrets_and_prefix():
    with Octroi("nginx", settings={"clerk_webhook_secret": f"{OTHER_SECRET}, {SECRET}", "jwt_account_prefix": "clerk:"}) as o:
        for secret in (SECRET, OTHER_SECRET):
            user = person()
            assert deliver(o, event(user), secret=secret).status == 200
            user["id"] = "clerk:" + user["id"]
            assert balance(o, user) == 1000
        assert deliver(o, event(person()), secret="whsec_" + base64.b64encode(b"x" * 32).decode()).status == 400


def test_where_accounts_are_organisations():
    with Octroi("nginx", settings={"clerk_webhook_secret": SECRET, "jwt_account_claim": "org_id"}) as o:
        assert deliver(o, event(person())).status == 200
        assert o.sql("SELECT COUNT(*) FROM accounts") == [("0",)]


def test_without_secret():
    with Octroi("nginx", settings={"clerk_webhook_secret": ""}) as o:
        assert deliver(o, event(person())).status == 503
        assert o.sql("SELECT COUNT(*) FROM accounts") == [("0",)]


@pytest.mark.parametrize("secret", ["whsec_", "short", "whsec_c2hvcnQ=", f"{SECRET} whsec_c2hvcnQ=", "whsec_!!!!" * 10])
def test_short_secrets_do_not_start(secret):
    with pytest.raises(RuntimeError):
        Octroi("nginx", settings={"clerk_webhook_secret": secret})

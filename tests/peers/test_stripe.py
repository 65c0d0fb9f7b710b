"""Stripe's side: what the official SDK signs is accepted; what it refuses is refused."""

import itertools
import json
import random
import time

import pytest

from octroi import Octroi

SECRET = "whsec_a_secret_that_the_sdk_and_octroi_share_0"
ROLLED = "whsec_a_secret_that_the_sdk_and_octroi_share_1"
_serial = itertools.count(1)


@pytest.fixture(scope="module")
def o(peer):
    with Octroi("nginx", settings={"stripe_webhook_secret": f"{SECRET} {ROLLED}"}) as made:
        yield made


def body_of(**more):
    event = {"id": f"evt_sdk_{next(_serial)}", "object": "event", "api_version": "2026-07-29.dahlia", "created": 1800000000,
             "livemode": False, "pending_webhooks": 1, "request": None, "type": "product.created",
             "data": {"object": {"id": "prod_1", "object": "product", "name": "Crédits 😀 €"}}, **more}
    return json.dumps(event, indent=2, ensure_ascii=bool(next(_serial) % 2))


def post(o, body, header):
    return o.call("POST", "/api/webhooks/stripe", body=body.encode(), key=None, public=True,
                  headers={"Content-Type": "application/json", "Stripe-Signature": header}).status


def test_what_the_sdk_signs_is_accepted(o, peer):
    for n in range(30):
        body, now = body_of(), int(time.time())
        header = peer.ask("stripe.sign", secret=ROLLED if n % 3 == 0 else SECRET, timestamp=now - n * 5, body=body)
        assert post(o, body, header) == 200


def headers(choose, header, now):
    """Headers that come from a good one."""
    t, v1 = header.split(",")[0], header.split("v1=")[1].split(",")[0]
    yield from (header, f"{t},v1={v1},v0={v1}", f"v1={v1},{t}", f"{t},v1=potato,v1={v1}", f"{t},v0={v1}", f"{t}", f"v1={v1}",
                f"{t},v1={v1[:-1]}", f"{t},v1={v1.upper()}", f"t={now + 1},v1={v1}", f"t=,v1={v1}", "t,v1", ",,", "bad_header",
                f"{t},v1=", f"{t},v1={v1[::-1]}", f"{t};v1={v1}", f"{t},,v1={v1}", f"x=1,{t},v1={v1}", f"{t},v1={v1},")
    for _ in range(60):
        text = list(header)
        for _ in range(choose.randrange(1, 4)):
            at = choose.randrange(len(text))
            text[at] = choose.choice("0123456789abcdef,=tv1 ;x")
        yield "".join(text)


def test_what_the_sdk_refuses_is_refused(o, peer):
    """Headers that octroi accepts, the SDK accepts; well-formed ones are accepted by both."""
    choose, both, refused = random.Random(11), 0, 0
    for skew in (0, -299, -310, -4000):
        now = int(time.time())
        body = body_of()
        header = peer.ask("stripe.sign", secret=SECRET, timestamp=now + skew, body=body)
        for candidate in headers(choose, header, now):
            theirs = peer.accepts("stripe.verify", secret=SECRET, header=candidate, body=body, now=now)
            ours = post(o, body, candidate) == 200
            assert theirs or not ours, (candidate, body)
            both, refused = both + ours, refused + (not theirs)
        assert peer.accepts("stripe.verify", secret=SECRET, header=header, body=body, now=now) == (skew > -300)
    assert both >= 6 and refused >= 100


def test_the_body_has_to_be_as_it_was(o, peer):
    for change in (lambda b: b + " ", lambda b: b.replace("\n", ""), lambda b: json.dumps(json.loads(b)), lambda b: b[:-1]):
        body, now = body_of(), int(time.time())
        header = peer.ask("stripe.sign", secret=SECRET, timestamp=now, body=body)
        assert not peer.accepts("stripe.verify", secret=SECRET, header=header, body=change(body), now=now)
        assert post(o, change(body), header) == 400
        assert post(o, body, header) == 200


def test_thin_events_are_refused_on_this_path(o, peer):
    body, now = body_of(object="v2.core.event"), int(time.time())
    header = peer.ask("stripe.sign", secret=SECRET, timestamp=now, body=body)
    assert not peer.accepts("stripe.verify", secret=SECRET, header=header, body=body, now=now)
    assert post(o, body, header) == 400


def test_the_sdk_takes_the_future_octroi_does_not(o, peer):
    """The SDK for node looks at the past only; those for PHP and .NET, and octroi, at both sides."""
    body, now = body_of(), int(time.time())
    header = peer.ask("stripe.sign", secret=SECRET, timestamp=now + 310, body=body)
    assert peer.accepts("stripe.verify", secret=SECRET, header=header, body=body, now=now)
    assert post(o, body, header) == 400

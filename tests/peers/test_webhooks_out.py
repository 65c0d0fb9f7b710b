"""Webhooks out: octroi's messages are accepted by svix and standardwebhooks, as they came, and by no other secret."""

import pytest

from octroi import Octroi, wait_until
from receiver import Receiver

EURO = 1_000_000
LIBRARIES = ("svix", "standard")


@pytest.fixture(scope="module")
def receiver():
    with Receiver() as made:
        yield made


@pytest.fixture(scope="module")
def o(peer, receiver):
    with Octroi("nginx", settings={"outgoing_ca_file": str(receiver.certificate)}) as made:
        yield made


def add(o, url):
    made = dict(line.split(None, 1) for line in o.ctl("endpoint", "add", url, "--inside").stdout.splitlines())
    return made["endpoint"], made["secret"].removeprefix("(shown once)").strip()


def cross(o, name=None):
    account = o.account(name, funds_micros=3 * EURO)
    o.fund(account, -2 * EURO)
    return account


def messages_of(receiver, account):
    wait_until(lambda: receiver.of(account), what="the message")
    return receiver.of(account)


def verdicts(peer, secret, headers, body):
    return {library: peer.accepts("webhook.verify", library=library, secret=secret, headers=headers, body=body)
            for library in LIBRARIES}


def headers_of(message):
    return {name: message.headers[name] for name in ("webhook-id", "webhook-timestamp", "webhook-signature")}


def test_what_octroi_signs_is_accepted(o, peer, receiver):
    endpoint, secret = add(o, receiver.url)
    accounts = [cross(o) for _ in range(20)]
    for account in accounts:
        [message] = messages_of(receiver, account)
        body, headers = message.body.decode(), headers_of(message)
        assert set(verdicts(peer, secret, headers, body).values()) == {True}
        assert set(verdicts(peer, secret, headers, body + " ").values()) == {False}
        assert set(verdicts(peer, secret, {**headers, "webhook-id": "other"}, body).values()) == {False}
        assert set(verdicts(peer, secret[:-6] + "AAAAA=", headers, body).values()) == {False}
    o.ctl("endpoint", "remove", endpoint)


def test_while_a_secret_is_rolled_both_are_accepted(o, peer, receiver):
    endpoint, old = add(o, receiver.url)
    rolled = o.ctl("endpoint", "rotate", endpoint).stdout.split()[-1]
    [message] = messages_of(receiver, cross(o))
    for secret in (old, rolled):
        assert set(verdicts(peer, secret, headers_of(message), message.body.decode()).values()) == {True}
    o.ctl("endpoint", "remove", endpoint)


def test_a_test_message_is_accepted(o, peer, receiver):
    endpoint, secret = add(o, receiver.url)
    o.ctl("endpoint", "test", endpoint)
    message = receiver.messages[-1]
    assert message.json["type"] == "credits.test"
    assert set(verdicts(peer, secret, headers_of(message), message.body.decode()).values()) == {True}
    o.ctl("endpoint", "remove", endpoint)

"""Webhooks out: alerts are posted to the operator's endpoints, signed, repeated, and logged; an endpoint in trouble holds
up no other, and none leads inside."""

import base64
import hashlib
import hmac
import json
import pathlib
import signal
import time

import pytest

from guard import key_of
from octroi import Octroi, wait_until
from receiver import Receiver

EURO = 1_000_000
DAY_US = 24 * 3600 * 10**6
PAUSES_S = [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]


@pytest.fixture(scope="module")
def receiver():
    with Receiver() as made:
        yield made


@pytest.fixture(scope="module")
def o(receiver):
    with Octroi("nginx", settings={"outgoing_ca_file": str(receiver.certificate)}) as made:
        yield made


@pytest.fixture
def fresh(receiver):
    """The receiver, with its manners restored."""
    receiver.answer = lambda message: (204, {})
    return receiver


def ctl(o, *arguments, check=True):
    done = o.ctl("endpoint", *arguments, "--json", check=check)
    return json.loads(done.stdout) if done.stdout else done


class Endpoint:
    """An endpoint that is removed at the end."""

    def __init__(self, o, url, *options):
        self.o = o
        made = ctl(o, "add", url, *options)
        self.id, self.secret = str(made["id"]), made["secret"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        ctl(self.o, "remove", self.id)

    def deliveries(self):
        return ctl(self.o, "deliveries", self.id)["items"]

    def shown(self):
        return next(item for item in ctl(self.o, "list")["items"] if str(item["id"]) == self.id)

    def due_now(self):
        """As if the pause were over."""
        self.o.sql(f"UPDATE deliveries SET next_at_us = 0 WHERE endpoint_id = {self.id};"
                   f"UPDATE endpoints SET rest_until_us = 0 WHERE id = {self.id}")


def cross(o, times=1):
    """An account that has run low, so often."""
    account = o.account(funds_micros=3 * EURO)
    for _ in range(times):
        o.fund(account, -2 * EURO)
        o.fund(account, 2 * EURO)
    return account


def signature(secret, message):
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{message.id}.{message.headers['webhook-timestamp']}.".encode() + message.body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def attempts(o, endpoint, count):
    """Waits for the end of the only delivery's attempt: a claim counts it before it is made."""
    ended = f"SELECT attempts FROM deliveries WHERE endpoint_id = {endpoint.id} AND claimed_until_us = 0 AND error <> ''"
    wait_until(lambda: o.sql(ended) == [(str(count),)], 30, f"attempt {count}")


# ---- what is posted -----------------------------------------------------------------------------------


def test_an_alert_is_posted_once(o, fresh):
    with Endpoint(o, fresh.url, "--inside") as endpoint:
        assert base64.b64decode(endpoint.secret.removeprefix("whsec_")).__len__() == 32
        account = cross(o)
        wait_until(lambda: fresh.of(account), what="the message")
        wait_until(lambda: [d["state"] for d in endpoint.deliveries()] == ["delivered"], what="its end")
        [message] = fresh.of(account)
        [alert] = o.get(f"/api/credits/alerts?account={account}").json["items"]
        assert message.id == alert["id"]
        assert message.json == {"type": "credits.balance_low", "timestamp": alert["createdAt"],
                                "data": {"account": account, **alert}}
        assert message.headers["content-type"] == "application/json" and len(message.body) < 20_000
        assert abs(int(message.headers["webhook-timestamp"]) - time.time()) < 60
        assert message.headers["webhook-signature"] == signature(endpoint.secret, message)


def test_kinds_and_several_endpoints(o, fresh):
    with Endpoint(o, fresh.url + "/all", "--inside"), \
            Endpoint(o, fresh.url + "/some", "--inside", "--kinds", "suspended,restored") as some:
        account = cross(o)
        o.ctl("account", "set", account, "--status", "suspended")
        wait_until(lambda: len(fresh.of(account)) == 3, what="the messages")
        kinds = {(m.path, m.json["data"]["kind"]) for m in fresh.of(account)}
        assert kinds == {("/hook/all", "balance_low"), ("/hook/all", "suspended"), ("/hook/some", "suspended")}
        assert some.shown()["kinds"] == "suspended,restored"


def test_both_secrets_sign_while_one_is_rolled(o, fresh):
    with Endpoint(o, fresh.url, "--inside") as endpoint:
        rolled = ctl(o, "rotate", endpoint.id)["secret"]
        assert endpoint.shown()["rollsUntil"] is not None and rolled != endpoint.secret
        account = cross(o)
        wait_until(lambda: fresh.of(account), what="the message")
        [message] = fresh.of(account)
        assert message.headers["webhook-signature"].split(" ") == [signature(rolled, message),
                                                                   signature(endpoint.secret, message)]
        third = ctl(o, "rotate", endpoint.id, "--hours", "0")["secret"]
        account = cross(o)
        wait_until(lambda: fresh.of(account), what="the message")
        [message] = fresh.of(account)
        assert message.headers["webhook-signature"] == signature(third, message)


def test_secrets_are_shown_once_and_forgotten(o, fresh):
    with Endpoint(o, fresh.url, "--inside") as endpoint:
        said = [o.ctl("endpoint", *arguments).stdout for arguments in (["list"], ["deliveries", endpoint.id],
                                                                       ["test", endpoint.id])]
        key = base64.b64decode(endpoint.secret.removeprefix("whsec_"))
        logs = [path.read_text(errors="replace") for path in pathlib.Path(o.env["OCTROI_LOGS"]).glob("octroi*.log")]
        for text in said + logs:
            assert endpoint.secret not in text and key.hex() not in text.lower()
    assert o.sql(f"SELECT HEX(secret), HEX(old_secret) FROM endpoints WHERE id = {endpoint.id}") == [("00" * 32, "00" * 32)]
    assert not [item for item in ctl(o, "list")["items"] if str(item["id"]) == endpoint.id]


def test_a_test_message(o, fresh):
    with Endpoint(o, fresh.url, "--inside") as endpoint:
        assert ctl(o, "test", endpoint.id) == {"taken": True, "status": 204, "tookMs": pytest.approx(500, abs=500), "error": ""}
        message = fresh.messages[-1]
        assert (message.json["type"], message.json["data"]) == ("credits.test", {})
        assert message.headers["webhook-signature"] == signature(endpoint.secret, message)
        fresh.answer = lambda message: (500, {})
        refused = o.ctl("endpoint", "test", endpoint.id, "--json", check=False)
        assert refused.returncode == 1 and json.loads(refused.stdout)["status"] == 500


# ---- endpoints in trouble -----------------------------------------------------------------------------


def test_repeats_until_it_is_switched_off(o, fresh):
    """Away for a day and more: each pause is the standard's, with at most a fifth more; after the last one octroi stops."""
    fresh.answer = lambda message: (500, {})
    with Endpoint(o, fresh.url, "--inside") as endpoint:
        account = cross(o)
        for count, pause in enumerate(PAUSES_S, 1):
            attempts(o, endpoint, count)
            [(wait_us, rest_us)] = o.sql("SELECT d.next_at_us - d.attempted_at_us, e.rest_until_us - d.attempted_at_us"
                                         f" FROM deliveries d JOIN endpoints e ON e.id = d.endpoint_id WHERE e.id = {endpoint.id}")
            assert pause <= round(int(wait_us) / 10**6) <= pause * 1.2 + 1, (count, wait_us)
            assert 4 <= int(rest_us) / 10**6 <= 301
            endpoint.due_now()
        wait_until(lambda: endpoint.shown()["state"] == "off", 30, "the end")
        [delivery] = endpoint.deliveries()
        assert (delivery["state"], delivery["attempts"], delivery["status"]) == ("failed", 10, 500)
        assert len(fresh.of(account)) == 10 and len({m.id for m in fresh.of(account)}) == 1
        assert len({m.headers["webhook-signature"] for m in fresh.of(account)}) >= 1
        assert next(c for c in json.loads(o.ctl("doctor", "--json", check=False).stdout)["checks"]
                    if c["check"] == "endpoints")["state"] == "warning"
        wait_until(lambda: f"event=endpoint_disabled endpoint={endpoint.id}" in o.log(), what="the operator's line")
        # Deliveries of the meantime are not posted; once the endpoint is mended, all of them are.
        fresh.answer = lambda message: (204, {})
        missed = cross(o)
        wait_until(lambda: o.sql(f"SELECT told FROM alerts WHERE account_id = {key_of(missed)}") == [("1",)], what="handing on")
        ctl(o, "enable", endpoint.id)
        replayed = ctl(o, "replay", endpoint.id, "--since", "2020-01-01")
        assert replayed["repeated"] == 1 and replayed["missed"] >= 1
        wait_until(lambda: fresh.of(missed) and len(fresh.of(account)) == 11, what="the replay")
        wait_until(lambda: {d["state"] for d in endpoint.deliveries()} == {"delivered"}, 30, "all ends")
        assert endpoint.shown()["failures"] == 0


def test_gone_switches_off_at_once(o, fresh):
    fresh.answer = lambda message: (410, {})
    with Endpoint(o, fresh.url, "--inside") as endpoint:
        account = cross(o)
        wait_until(lambda: endpoint.shown()["state"] == "off", what="the end")
        assert len(fresh.of(account)) == 1 and "410" in endpoint.shown()["reason"]


def test_a_redirect_is_a_failure(o, fresh):
    with Receiver(tls=False) as inside, Endpoint(o, fresh.url, "--inside", "--kinds", "balance_low") as endpoint:
        fresh.answer = lambda message: (302, {"Location": inside.url})
        account = cross(o)
        attempts(o, endpoint, 1)
        [delivery] = endpoint.deliveries()
        assert delivery["status"] == 302 and "redirect" in delivery["error"]
        assert len(fresh.of(account)) == 1 and not inside.messages


@pytest.mark.parametrize("header, least, most", [("7200", 7200, 7202), ("90000000000", 86400, 86401), ("nonsense", 5, 7),
                                                 ("-5", 5, 7), ("date", 7000, 7202)])
def test_retry_after_is_kept(o, fresh, header, least, most):
    if header == "date":
        header = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 7200))
    fresh.answer = lambda message: (429, {"Retry-After": header})
    with Endpoint(o, fresh.url, "--inside") as endpoint:
        cross(o)
        attempts(o, endpoint, 1)
        [(wait_us,)] = o.sql(f"SELECT next_at_us - attempted_at_us FROM deliveries WHERE endpoint_id = {endpoint.id}")
        assert least <= int(wait_us) / 10**6 <= most
        [(rest_us,)] = o.sql(f"SELECT e.rest_until_us - d.attempted_at_us FROM endpoints e JOIN deliveries d ON d.endpoint_id = e.id"
                             f" WHERE e.id = {endpoint.id}")
        assert min(least, 5) - 1 <= int(rest_us) / 10**6 <= most


def test_dead_endpoints_hold_up_no_other(o, fresh):
    """Three endpoints never answer, and there is more to say to each than there are threads.  A fourth one hears all at
    once, and the guard waits for none."""
    with Receiver(like=fresh) as dead:
        dead.answer = lambda message: (dead.stopping.wait(60), (204, {}))[1]
        made = [Endpoint(o, f"{dead.url}/{i}", "--inside") for i in range(3)]
        for _ in range(6):
            cross(o, 2)
        wait_until(lambda: len({m.path for m in dead.messages}) == 3, 20, "a message to each")
        with Endpoint(o, fresh.url, "--inside"):
            for _ in range(3):
                account, begun = cross(o), time.monotonic()
                wait_until(lambda: fresh.of(account), 10, "the message of the living one")
                answered = o.post("/api/guard/authorize", {"account": account, "model": "gpt-4o", "maxOutputTokens": 10}, key="guard")
                assert answered.status == 200 and time.monotonic() - begun < 10
        assert max(sum(m.path == f"/hook/{i}" for m in dead.messages) for i in range(3)) <= 2  # its share of the threads
        dead.stopping.set()
        for endpoint in made:
            ctl(o, "remove", endpoint.id)


# ---- addresses ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["http://example.com/", "ftp://example.com/", "https://", "https:///x", "example.com",
                                 "https://user:password@example.com/", "https://exa mple.com", "https://example.com/\n",
                                 "https://example.com/#x", "file:///etc/passwd", "https://" + "x" * 1100])
def test_addresses_that_are_none(o, url):
    refused = o.ctl("endpoint", "add", url, check=False)
    assert refused.returncode == 2 and not refused.stdout, refused


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1",
                                  "10.0.0.1", "169.254.169.254", "192.168.1.1", "[fd00::1]", "[fe80::1]", "[64:ff9b::7f00:1]",
                                  "[2002:7f00:1::]"])
def test_an_address_inside_is_not_connected_to(o, fresh, host):
    """The address that would be connected to is looked at, whatever name led there."""
    with Endpoint(o, f"https://{host}:{fresh.port}/") as endpoint:
        seen = len(fresh.messages)
        shown = json.loads(o.ctl("endpoint", "test", endpoint.id, "--json", check=False).stdout)
        assert not shown["taken"] and shown["status"] == 0
        assert shown["error"] == "its address is of this machine or of a private net" or "resolve" in shown["error"], shown
        assert len(fresh.messages) == seen


def test_a_certificate_that_is_not_trusted(o, fresh):
    with Receiver() as other, Endpoint(o, other.url, "--inside") as endpoint:
        cross(o)
        attempts(o, endpoint, 1)
        assert not other.messages and endpoint.deliveries()[0]["status"] == 0


# ---- the log, replay -----------------------------------------------------------------------------------


def test_replay_of_one_delivery(o, fresh):
    with Endpoint(o, fresh.url, "--inside") as endpoint:
        account = cross(o)
        wait_until(lambda: [d["state"] for d in endpoint.deliveries()] == ["delivered"], what="the delivery")
        [delivery] = endpoint.deliveries()
        assert (delivery["account"], delivery["kind"], delivery["status"], delivery["attempts"]) == (account, "balance_low", 204, 1)
        assert ctl(o, "replay", endpoint.id, str(delivery["id"])) == {"repeated": 1, "missed": 0}
        wait_until(lambda: len(fresh.of(account)) == 2, what="the replay")
        assert len({m.id for m in fresh.of(account)}) == 1
        assert ctl(o, "deliveries", endpoint.id, "--failed")["items"] == []


@pytest.mark.parametrize("arguments", [("replay", "1"), ("replay", "1", "2", "--since", "2026-01-01"), ("replay", "1", "--since", "x"),
                                       ("rotate", "x"), ("add", "https://example.com", "--kinds", "balance_low,nothing")])
def test_arguments_that_do_not_fit(o, arguments):
    assert o.ctl("endpoint", *arguments, check=False).returncode == 2


@pytest.mark.parametrize("command", ["rotate", "remove", "enable", "test"])
def test_an_endpoint_that_is_not_there(o, command):
    refused = o.ctl("endpoint", command, "999999", check=False)
    assert refused.returncode == 1 and "no such endpoint" in refused.stderr


# ---- crashes -------------------------------------------------------------------------------------------


def test_killed_between_crossing_and_delivery():
    """kill -9 again and again: each alert arrives, under its own id, and its delivery ends once."""
    with Receiver() as r, Octroi("nginx", settings={"outgoing_ca_file": str(r.certificate)}) as o:
        with Endpoint(o, r.url, "--inside") as endpoint:
            accounts = []
            for _ in range(4):
                accounts += [cross(o, 2) for _ in range(5)]
                o.kill("octroi")
                o.sql("UPDATE deliveries SET claimed_until_us = 0")  # as if the claims had run out
                o.start()
            wait_until(lambda: all(d["state"] == "delivered" for d in endpoint.deliveries()) and len(endpoint.deliveries()) == 40,
                       60, "all deliveries")
            wanted = {a["id"] for account in accounts for a in o.get(f"/api/credits/alerts?account={account}").json["items"]}
            assert {m.id for m in r.messages} == wanted and len(wanted) == 40


def test_told_by_tick_and_on_shared_hosting():
    """Without a worker of its own, octroi tells alerts beside its requests, and octroictl tick does it alone."""
    with Receiver() as r, Octroi("apache-fcgid", settings={"outgoing_ca_file": str(r.certificate)}) as o:
        with Endpoint(o, r.url, "--inside"):
            account = cross(o)

            def told():
                o.get(f"/api/credits?account={account}")
                return r.of(account)

            wait_until(told, 20, "the message", every=0.2)
            o.kill("server", signal.SIGTERM)
            o.sql("DELETE FROM deliveries; UPDATE alerts SET told = 0")
            wait_until(lambda: json.loads(o.ctl("tick", "--json").stdout)["told"] > 0, what="tick")
            assert [m.id for m in r.of(account)] == [r.of(account)[0].id] * 2

"""Owners of a request id: the application's ids are its own, and so are those of each customer's browser.

Otherwise a customer could take the id that the application will use for its next charge, which then is refused (409),
or be told the answer that somebody else was given.
"""

import json
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import fake_stripe  # noqa: E402
import guard
import test_matrix
from conftest import SETTINGS
from guard import authorize, charge, request_id
from octroi import Octroi

CREDIT = 1_000_000


@pytest.fixture(scope="module")
def o():
    with fake_stripe.FakeStripe() as stripe:
        with Octroi("nginx", settings={**SETTINGS, **stripe.settings(), "trust_server_params": "on"}) as o:
            (o.dir / "nginx.d").mkdir(exist_ok=True)
            yield o


def token(o, account, member=None):
    body = {"account": account, **({"member": member} if member else {})}
    return o.post("/api/tokens", body, key="app").json["token"]


def code(o):
    made = o.ctl("--json", "code", "create", "--reason", "tests", "--actor", "pytest", "--amount", "1", "--uses", "9",
                 "--uses-per-account", "9")
    return json.loads(made.stdout)["items"][0]["code"]


def topup(o, key, rid, amount=500, query=""):
    return o.post("/api/credits/topup" + query, {"amount": amount, "requestId": rid}, key=key, public=key not in o.keys)


def test_a_browser_does_not_take_the_application_s_ids(o):
    account = o.account(funds_micros=10 * CREDIT)
    for n in range(3):
        assert topup(o, token(o, account), f"job-{n}").status == 200
    answers = [charge(o, account, "debrief", requestId="job-0"), authorize(o, account, requestId="job-1"),
               o.call("POST", f"/api/accounts/{account}/transactions", key="admin",
                      json={"type": "ADJUSTMENT", "amountMicros": 1, "description": "x", "requestId": "job-2"})]
    for answer in answers:
        assert answer.status in (200, 201) and answer.json["replayed"] is False, answer


def test_the_application_does_not_take_a_browser_s_ids(o):
    account, rid = o.account(funds_micros=10 * CREDIT), request_id()
    assert charge(o, account, "debrief", requestId=rid).status == 200
    assert topup(o, token(o, account), rid).status == 200


def test_an_application_s_id_is_the_same_on_all_its_routes(o):
    """As it has always been: what was stored keeps its meaning."""
    account, rid = o.account(funds_micros=10 * CREDIT), request_id()
    assert charge(o, account, "debrief", requestId=rid).status == 200
    assert topup(o, "app", rid, query=f"?account={account}").status == 409
    assert charge(o, account, "debrief", requestId=rid).json["replayed"] is True


def test_members_neither_collide_nor_hear_each_other_s_answers(o):
    account, rid = o.account(), request_id()
    orders = {}
    for member in (None, "ann", "bob"):
        answer = topup(o, token(o, account, member), rid)
        assert answer.status == 200, (member, answer)
        orders[member] = answer.json["topup"]
    assert len(set(orders.values())) == 3
    for member, order in orders.items():
        assert topup(o, token(o, account, member), rid).json["topup"] == order
        other = topup(o, token(o, account, member), rid, amount=600)
        assert (other.status, other.json["error"]) == (409, "CONFLICT"), other


@pytest.mark.parametrize("made_of", [lambda member, rid: member + rid, lambda member, rid: f"{member}\\0{rid}",
                                     lambda member, rid: f"customer{member}{rid}"])
def test_no_id_runs_together_with_a_member(o, made_of):
    """No spelling of an id leads from one space into another."""
    account, rid = o.account(funds_micros=10 * CREDIT), request_id()
    assert topup(o, token(o, account, "ann"), rid).status == 200
    for member, spelt in ((None, made_of("ann", rid)), ("an", "n" + rid)):
        answer = topup(o, token(o, account, member), spelt)
        assert answer.status == 200, answer
    assert charge(o, account, "debrief", requestId=made_of("ann", rid)).status == 200


def test_the_web_server_s_customers_are_the_browser_s(o):
    """A caller with a token and one by the web server's word are the same customer; the application is another."""
    account, rid = o.account(funds_micros=10 * CREDIT), request_id()
    (o.dir / "nginx.d" / "server.conf").write_text(test_matrix.SERVER_LOCATION % (account, "ann"))
    o.start()
    by_server = o.post("/as-server/api/credits/topup", {"amount": 500, "requestId": rid}, key=None, public=True)
    assert by_server.status == 200, by_server
    assert topup(o, token(o, account, "ann"), rid).json["topup"] == by_server.json["topup"]
    assert charge(o, account, "debrief", requestId=rid).status == 200


@pytest.mark.parametrize("path, body", [("/api/credits/claim-bonus", {}), ("/api/credits/redeem", None)])
def test_bonuses_are_still_had_once(o, path, body):
    """Another space of ids is no second bonus."""
    account, rid = o.account(email=f"{request_id('m')}@example.com"), request_id()
    body = {"code": code(o), "requestId": rid} if body is None else {"requestId": rid}
    key = token(o, account, "ann")
    first = o.post(path, body, key=key, public=True)
    assert first.status == 200, first
    again = o.post(path, body, key=key, public=True)
    assert again.status == 200 and again.json == {**first.json, "replayed": True}, again
    assert charge(o, account, "debrief", requestId=rid).status == 200
    if "claim" in path:
        second = o.post(f"{path}?account={account}", body, key="app")
        assert (second.status, second.json["error"]) == (409, "CONFLICT"), second
        third = o.post(f"{path}?account={account}", {}, key="app")
        assert (third.status, third.json["error"]) == (409, "BONUS_CLAIMED"), third

"""A member that was removed from an account spends nothing, reads nothing and gets nothing, until it joins again.

Holds that were placed before it was removed are settled as they would have been: they were promised then.
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
from guard import authorize, charge, extend, hold, release, request_id, settle
from octroi import Octroi

CREDIT = 1_000_000
REMOVED = (403, "MEMBER_REMOVED")
READS = ["/api/credits", "/api/credits/transactions", "/api/credits/usages", "/api/credits/summary",
         "/api/credits/compare?models=gpt-4o", "/api/credits/diagnosis", "/api/credits/settings"]
WRITES = [("/api/credits/claim-bonus", {}), ("/api/credits/redeem", {"code": "NOTHING-WORTH"}),
          ("/api/credits/portal", {}), ("/api/credits/pay", {})]


def token(o, account, member):
    return o.post("/api/tokens", {"account": account, "member": member}, key="app")


def put(o, account, member, **fields):
    answer = o.call("PUT", f"/api/accounts/{account}/members/{member}", json=fields)
    assert answer.status == 200, answer


def remove(o, account, member):
    answer = o.call("DELETE", f"/api/accounts/{account}/members/{member}")
    assert answer.status == 200, answer


def team(o, **fields):
    account = o.account(request_id("ws"), funds_micros=10 * CREDIT, **fields)
    put(o, account, "boss", role="manager")
    put(o, account, "ann", role="member")
    return account


def said(answer):
    return answer.status, answer.json["error"]


def gate(o, account, member):
    answer = o.get(f"/api/guard/check?account={account}&member={member}", key="guard")
    return answer.status, answer.headers.get("x-octroi-error")


def test_a_removed_member_spends_nothing(server):
    account = team(server)
    held = hold(server, account, member="ann")
    remove(server, account, "ann")
    before = server.balance(account)
    assert said(authorize(server, account, member="ann")) == REMOVED
    assert said(authorize(server, account, member="ann", byok=["openai"])) == REMOVED
    assert said(charge(server, account, "debrief", member="ann")) == REMOVED
    assert said(extend(server, held, ttlSeconds=3600)) == REMOVED
    assert gate(server, account, "ann") == (403, "MEMBER_REMOVED")
    assert server.ctl("gate", input=f"{account},ann,\n").stdout.strip() == "403 MEMBER_REMOVED"
    assert server.balance(account) == before
    # The others, and whoever never was a member, are served as before.
    for member in ("boss", "stranger"):
        assert charge(server, account, "debrief", member=member).status == 200
    assert gate(server, account, "boss")[0] == 204


def test_what_was_held_before_is_booked(nginx):
    account = team(nginx)
    settled, given_back = hold(nginx, account, member="ann"), hold(nginx, account, member="ann")
    remove(nginx, account, "ann")
    answer = settle(nginx, settled, inputTokens=100, outputTokens=10)
    assert answer.status == 200 and answer.json["costMicros"] == guard.cost("gpt-4o", 100, 10), answer
    assert release(nginx, given_back).status == 200
    assert nginx.balance(account)[:2] == (10 * CREDIT - answer.json["costMicros"], 0)


def test_repeating_what_was_answered_before_answers_it(nginx):
    """A charge that was booked is told as booked: whoever repeats it did not hear the first answer."""
    account, rid = team(nginx), request_id()
    first = charge(nginx, account, "debrief", member="ann", requestId=rid)
    remove(nginx, account, "ann")
    again = charge(nginx, account, "debrief", member="ann", requestId=rid)
    assert again.status == 200 and again.json == {**first.json, "replayed": True}, again
    assert said(charge(nginx, account, "debrief", member="ann", requestId=request_id())) == REMOVED


def test_a_token_of_a_removed_member_opens_nothing(server):
    """However long it would still be valid."""
    account = team(server)
    made = token(server, account, "ann").json["token"]
    for path in READS:
        assert server.get(path, key=made, public=True).status == 200, path
    remove(server, account, "ann")
    for path in READS + ["/api/credits/invoices"]:
        answer = server.get(path, key=made, public=True)
        assert said(answer) == (403, "FORBIDDEN"), (path, answer)
    for path, body in WRITES:
        answer = server.post(path, body, key=made, public=True)
        assert said(answer) == (403, "FORBIDDEN"), (path, answer)
    answer = server.call("PUT", "/api/credits/settings", json={"dailyLimitMicros": 5}, key=made, public=True)
    assert said(answer) == (403, "FORBIDDEN"), answer


def test_no_token_for_a_removed_member(nginx):
    account = team(nginx)
    remove(nginx, account, "ann")
    assert said(token(nginx, account, "ann")) == REMOVED
    assert token(nginx, account, "boss").status == token(nginx, account, "stranger").status == 200
    assert token(nginx, nginx.account(), "ann").status == 200, "it was removed from another account"
    assert token(nginx, request_id("unheard-of"), "ann").status == 200


def test_who_joins_again_works_again(nginx):
    account = team(nginx)
    made = token(nginx, account, "ann").json["token"]
    remove(nginx, account, "ann")
    put(nginx, account, "ann", role="member")
    assert charge(nginx, account, "debrief", member="ann").status == 200
    assert gate(nginx, account, "ann")[0] == 204
    for path in READS:
        assert nginx.get(path, key=made, public=True).status == 200, path
    assert token(nginx, account, "ann").status == 200


def test_the_diagnosis_says_so(nginx):
    account = team(nginx)
    remove(nginx, account, "ann")
    said = json.loads(nginx.ctl("account", "diagnose", account, "--member", "ann", "--json").stdout)
    assert (said["case"], said["nextAction"]["id"]) == ("member_removed", "ask_manager_to_join"), said
    shown = nginx.ctl("account", "diagnose", account, "--member", "ann", "--lang", "fr").stdout
    assert "retiré" in shown, shown


@pytest.fixture(scope="module")
def trusting():
    """An octroi that believes nginx about who asks, and a Stripe."""
    with fake_stripe.FakeStripe() as stripe:
        with Octroi("nginx", settings={**SETTINGS, **stripe.settings(), "trust_server_params": "on"}) as o:
            (o.dir / "nginx.d").mkdir(exist_ok=True)
            o.stripe = stripe
            yield o


def test_the_web_server_s_word_for_a_removed_member(trusting):
    o = trusting
    account = team(o)
    (o.dir / "nginx.d" / "server.conf").write_text(test_matrix.SERVER_LOCATION % (account, "ann"))
    o.start()
    for path in READS:
        assert o.get("/as-server" + path, key=None, public=True).status == 200, path
    remove(o, account, "ann")
    for path in READS:
        answer = o.get("/as-server" + path, key=None, public=True)
        assert said(answer) == (403, "FORBIDDEN"), (path, answer)
    answer = o.get("/as-server/api/guard/check", key=None, public=True)
    assert (answer.status, answer.headers["x-octroi-error"]) == (403, "MEMBER_REMOVED"), answer


def test_no_top_up_by_a_removed_member(trusting):
    """A removed member gets no payment page, not even the address of one that it opened before."""
    account, rid = team(trusting), request_id()
    made = token(trusting, account, "ann").json["token"]
    order = {"amount": 500, "requestId": rid}
    assert trusting.post("/api/credits/topup", order, key=made, public=True).status == 200
    remove(trusting, account, "ann")
    for body in (order, {"amount": 500}):
        assert said(trusting.post("/api/credits/topup", body, key=made, public=True)) == (403, "FORBIDDEN"), body

"""Keys of scope meter: an application shows one to a meter, which passes it on as meterKey of authorize.

The rest of this file are tries to have something for nothing with such a key.  The routes, for a caller that shows one
as its own, are in test_matrix.py.
"""

import json
import threading

import pytest

import guard
from octroi import Octroi, wait_until
from snapshot import changes, let_expire, snapshot

FUNDS = 10_000_000
REFUSED = (403, "METER_KEY_REFUSED")


@pytest.fixture(scope="module")
def o():
    with Octroi("nginx", settings={"hold_expiry": "release"}) as octroi:
        yield octroi
        log = octroi.log()
        for key in made_keys:
            assert key[-20:] not in log


made_keys = []


def make_key(o, account, *more):
    made = json.loads(o.ctl("key", "create", "--scope", "meter", "--account", account, *more, "--json").stdout)
    made_keys.append(made["key"])
    return made


def key_for(o, account, *more):
    return make_key(o, account, *more)["key"]


def ask(o, key, model="gpt-4o", bearer="guard", **fields):
    answer = o.post("/api/guard/authorize", {"meterKey": key, "model": model, **fields}, key=bearer)
    assert not isinstance(key, str) or len(key) < 20 or key[-20:] not in answer.text
    return answer


def said(answer):
    return answer.status, answer.json["error"]


def revoke(o, made):
    o.ctl("key", "revoke", made["id"])


# ---- what it does ---------------------------------------------------------------------------------------


def test_key_stands_for_its_account(o):
    account = o.account(funds_micros=FUNDS)
    answer = ask(o, key_for(o, account), inputTokens=100, maxOutputTokens=10)
    assert answer.status == 200, answer
    assert o.balance(account)[1] == guard.cost("gpt-4o", 100, 10)
    settled = guard.settle(o, answer.json["hold"], inputTokens=100, outputTokens=5)
    assert settled.json["costMicros"] == guard.cost("gpt-4o", 100, 5)
    assert o.balance(account) == (FUNDS - guard.cost("gpt-4o", 100, 5), 0, FUNDS - guard.cost("gpt-4o", 100, 5))


def test_key_stands_for_its_member(o):
    account = o.account(funds_micros=FUNDS)
    hold = ask(o, key_for(o, account, "--member", "user:42")).json["hold"]
    assert guard.settle(o, hold, inputTokens=1, outputTokens=1).status == 200
    assert o.sql(f"SELECT member FROM usages WHERE account_id = {guard.key_of(account)}") == [("user:42",)]


def test_answer_names_the_payer_of_the_key(o):
    """A meter books the use of a grace by these names, without the key."""
    account, rid = o.account(funds_micros=FUNDS), guard.request_id()
    bound, whole = key_for(o, account, "--member", "ann"), key_for(o, account)
    for _ in range(2):
        answer = ask(o, bound, requestId=rid).json
        assert (answer["account"], answer["member"]) == (account, "ann")
    assert ask(o, whole).json["account"] == account and "member" not in ask(o, whole).json
    named = o.post("/api/guard/authorize", {"account": account, "member": "ann", "model": "gpt-4o"}).json
    assert not {"account", "member"} & named.keys()
    # A request by these names is found under its id.
    again = o.post("/api/guard/authorize", {"account": account, "member": "ann", "model": "gpt-4o", "requestId": rid}).json
    assert again["replayed"] and again["hold"] == answer["hold"]
    other = o.post("/api/guard/authorize", {"account": account, "model": "gpt-4o", "requestId": rid})
    assert said(other) == (409, "CONFLICT")


def test_account_and_member_beside_it_may_only_agree(o):
    account, other = o.account(funds_micros=FUNDS), o.account(funds_micros=FUNDS)
    bound, whole = key_for(o, account, "--member", "ann"), key_for(o, account)
    for key, more in ((bound, {"account": account}), (bound, {"member": "ann"}), (whole, {"account": account}),
                      (bound, {"account": account, "member": "ann"}), (bound, {"account": None, "member": None})):
        assert ask(o, key, **more).status == 200, more
    let_expire(o)
    before = snapshot(o)
    for key, more, field in ((bound, {"account": other}, "account"), (whole, {"account": other}, "account"),
                             (bound, {"member": "bob"}, "member"), (whole, {"member": "bob"}, "member"),
                             (bound, {"account": account, "member": "bob"}, "member"),
                             (bound, {"account": account.upper()}, "account")):
        answer = ask(o, key, **more)
        assert (*said(answer), answer.json["field"]) == (400, "INVALID_REQUEST", field), (more, answer)
    assert changes(before, snapshot(o)) == []


def test_without_key_and_account_there_is_no_payer(o):
    for more in ({}, {"account": None}, {"meterKey": None}, {"member": "ann"}):
        answer = o.post("/api/guard/authorize", {"model": "gpt-4o", **more})
        assert (answer.status, answer.json["field"]) == (400, "account"), answer


def test_account_is_asked_as_without_a_key(o):
    account = o.account(funds_micros=FUNDS)
    key = key_for(o, account, "--member", "ann")
    at = f"/api/accounts/{account}/members/ann"
    assert o.call("PUT", at, json={"role": "member"}).status == 200 and ask(o, key).status == 200
    assert o.call("DELETE", at).status == 200
    assert said(ask(o, key)) == (403, "MEMBER_REMOVED")
    poor = key_for(o, o.account())
    assert said(ask(o, poor)) == (402, "INSUFFICIENT_CREDITS")
    closed = o.account(funds_micros=FUNDS, status="suspended")
    assert said(ask(o, key_for(o, closed))) == (402, "ACCOUNT_SUSPENDED")
    assert said(ask(o, key_for(o, o.account()), model="no such model")) == (422, "UNKNOWN_MODEL")


# ---- what it does not do --------------------------------------------------------------------------------


def test_no_other_text_is_a_meter_key(o):
    account = o.account(funds_micros=FUNDS)
    key = key_for(o, account)
    revoked = make_key(o, account)
    assert ask(o, revoked["key"]).status == 200
    revoke(o, revoked)
    let_expire(o)
    before = snapshot(o)
    for wrong in (revoked["key"], key[:-1], key + "A", key[:-1] + "-", key.swapcase(), key.replace("meter", "guard"), " " + key,
                  key + " ", "Bearer " + key, "oct_meter_" + "A" * 43, "oct_meter_", "oct_", "x", "sk-proj-1", account,
                  *o.keys.values()):
        assert said(ask(o, wrong)) == REFUSED, wrong
        # An account that the body names does not stand in for the key.
        assert said(ask(o, wrong, account=account)) == REFUSED, wrong
    assert changes(before, snapshot(o)) == []


@pytest.mark.parametrize("wrong", ["", "x" * 513, "oct_meter_\x7f", "oct_meter_\n", 5, True, [], ["oct_meter_"], {}, 1.5])
def test_what_is_no_text_is_a_mistake(o, wrong):
    answer = ask(o, wrong, account=o.account(funds_micros=FUNDS))
    assert (*said(answer), answer.json["field"]) == (400, "INVALID_REQUEST", "meterKey"), answer


def test_refusals_do_not_tell_why(o):
    revoked = make_key(o, o.account())
    revoke(o, revoked)
    answers = [ask(o, key) for key in (revoked["key"], "oct_meter_" + "B" * 43, o.keys["admin"])]
    told = [{name: value for name, value in answer.json.items() if name != "requestId"} for answer in answers]
    assert told[0] == told[1] == told[2] and answers[0].status == 403


def test_meter_needs_a_key_of_its_own(o):
    """The application's key, as bearer too: its holder could settle its own holds with nothing."""
    account = o.account(funds_micros=FUNDS)
    key = key_for(o, account)
    hold = ask(o, key).json["hold"]
    before = snapshot(o)
    for headers in ({"Authorization": "Bearer " + key}, {"X-Octroi-Key": key},
                    {"Authorization": "Bearer " + key, "X-Octroi-Key": key}):
        for path, body in (("authorize", {"meterKey": key, "model": "gpt-4o"}), ("authorize", {"account": account, "model": "gpt-4o"}),
                           ("settle", {"hold": hold, "inputTokens": 0, "outputTokens": 0}), ("release", {"hold": hold}),
                           ("settle", {"settlements": [{"hold": hold, "outcome": "failed"}]}), ("extend", {"hold": hold}),
                           ("charge", {"account": account, "action": "debrief"})):
            answer = o.post("/api/guard/" + path, body, key=None, headers=headers)
            assert said(answer) == (403, "FORBIDDEN"), (headers, path, answer)
    for bearer, status in (("report", 403), (None, 401), ("oct_guard_" + "A" * 43, 401)):
        assert ask(o, key, bearer=bearer).status == status
    answer = o.post("/api/guard/authorize", {"meterKey": key, "model": "gpt-4o"}, headers={"X-Octroi-Key": key})
    assert answer.status == 400  # two different keys
    assert changes(before, snapshot(o)) == []


def test_key_in_another_place_counts_for_nothing(o):
    account = o.account(funds_micros=FUNDS)
    key = key_for(o, account)
    hold = guard.hold(o, account)
    before = snapshot(o)
    for path, body in (("settle", {"hold": hold}), ("release", {"hold": hold}), ("extend", {"hold": hold}),
                       ("charge", {"account": account, "action": "debrief"})):
        answer = o.post("/api/guard/" + path, {**body, "meterKey": key})
        assert (*said(answer), answer.json["field"]) == (400, "INVALID_REQUEST", "meterKey")
        assert key not in answer.text
    for path in ("/api/guard/authorize?meterKey=" + key, "/api/guard/authorize?account=" + account):
        answer = o.post(path, {"model": "gpt-4o"})
        assert (answer.status, answer.json["field"]) == (400, "account")
    for name in ("meterkey", "METERKEY", "meter_key", "key"):
        assert o.post("/api/guard/authorize", {"model": "gpt-4o", name: key}).json["field"] == name
    twice = f'{{"model":"gpt-4o","meterKey":"{key}","meterKey":"{key}"}}'
    assert o.post("/api/guard/authorize", body=twice, headers={"Content-Type": "application/json"}).status == 400
    assert changes(before, snapshot(o)) == []


def test_revoked_between_authorize_and_settle(o):
    account = o.account(funds_micros=FUNDS)
    made = make_key(o, account)
    hold = ask(o, made["key"], inputTokens=100, maxOutputTokens=10).json["hold"]
    revoke(o, made)
    assert guard.extend(o, hold, ttlSeconds=600).status == 200
    settled = guard.settle(o, hold, inputTokens=100, outputTokens=10)
    assert settled.json["costMicros"] == guard.cost("gpt-4o", 100, 10)
    assert o.balance(account)[1] == 0
    assert said(ask(o, made["key"])) == REFUSED


def test_revoked_key_is_refused_once_the_command_has_ended(o):
    account = o.account(funds_micros=FUNDS)
    made = make_key(o, account)
    stop = threading.Event()

    def use():  # keeps the key in octroi's copy of the keys
        while not stop.is_set():
            ask(o, made["key"], inputTokens=1, maxOutputTokens=1, requestId="one")

    user = threading.Thread(target=use)
    user.start()
    try:
        revoke(o, made)
        for _ in range(20):
            assert said(ask(o, made["key"])) == REFUSED
    finally:
        stop.set()
        user.join()


def test_key_ends_at_its_time(o):
    account = o.account(funds_micros=FUNDS)
    made = make_key(o, account, "--expires", "2100-01-01")
    assert made["expiresAt"] == "2100-01-01T00:00:00.000Z"
    assert ask(o, made["key"]).status == 200
    o.sql(f"UPDATE api_keys SET expires_at_us = {1_000_000} WHERE id = {made['id']}")
    wait_until(lambda: ask(o, made["key"]).status != 200, 5, "the end of the key")
    assert said(ask(o, made["key"])) == REFUSED


def test_request_ids_are_the_accounts(o):
    one, other = o.account(funds_micros=FUNDS), o.account(funds_micros=FUNDS)
    ann, bob, again = (key_for(o, one, "--member", member) for member in ("ann", "bob", "ann"))
    first = ask(o, ann, requestId="r-1")
    assert first.status == 200 and not first.json["replayed"]
    for key in (ann, again):
        answer = ask(o, key, requestId="r-1")
        assert answer.json["replayed"] and answer.json["hold"] == first.json["hold"]
    assert said(ask(o, bob, requestId="r-1")) == (409, "CONFLICT")
    apart = ask(o, key_for(o, other), requestId="r-1")
    assert apart.status == 200 and not apart.json["replayed"] and apart.json["hold"] != first.json["hold"]


# ---- octroictl ------------------------------------------------------------------------------------------


def test_list_shows_what_a_key_is_bound_to(o):
    account = o.account()
    made = make_key(o, account, "--member", "ann", "--label", "shop")
    listed = {key["id"]: key for key in json.loads(o.ctl("key", "list", "--json").stdout)["items"]}[made["id"]]
    assert (listed["scope"], listed["account"], listed["member"], listed["expiresAt"]) == ("meter", account, "ann", None)
    assert made["key"].startswith("oct_meter_") and made["key"] not in o.ctl("key", "list").stdout


@pytest.mark.parametrize("arguments, why", [
    (["--scope", "meter"], "--account"), (["--scope", "meter", "--account", ""], "--account"),
    (["--scope", "meter", "--member", "ann"], "--account"), (["--scope", "meter", "--account", "a b"], "account's id"),
    (["--scope", "meter", "--account", "x" * 129], "account's id"), (["--scope", "meter", "--account", "é"], "account's id"),
    (["--scope", "meter", "--account", "a", "--member", "a b"], "member's id"),
    (["--scope", "guard", "--account", "a"], "--scope meter"), (["--scope", "admin", "--member", "a"], "--scope meter"),
    (["--scope", "guard", "--expires", "tomorrow"], "RFC 3339"), (["--scope", "guard", "--expires", "2020-01-01"], "past"),
    (["--account", "a"], "--scope"), (["--scope", "meters", "--account", "a"], "meter"),
])
def test_no_key_is_made_of_mistakes(o, arguments, why):
    before = snapshot(o)
    done = o.ctl("key", "create", *arguments, check=False)
    assert done.returncode == 2 and why in done.stderr and "oct_" not in done.stdout, done
    assert changes(before, snapshot(o)) == []


def test_row_without_an_account_opens_none(o):
    """A row that octroictl did not make."""
    made = make_key(o, o.account(funds_micros=FUNDS))
    o.sql(f"UPDATE api_keys SET account = '' WHERE id = {made['id']}")
    wait_until(lambda: ask(o, made["key"]).status != 200, 5, "the new copy of the keys")
    assert said(ask(o, made["key"])) == REFUSED

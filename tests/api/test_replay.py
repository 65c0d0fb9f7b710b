"""A request id repeated: one effect and the same answer, for ever; with another content, a conflict."""

import concurrent.futures
import itertools

import pytest

import guard
from guard import authorize, charge, cost, hold, request_id, settle
from rowlock import Lock, wait_for_waiting

FUNDS = 10_000_000
ESTIMATE = cost("gpt-4o", input=500, output=2000)


def same(first, again, hold_state=None):
    """again is first's answer, but for replayed and, of an authorize, what has become of the hold."""
    assert again.status == first.status, again
    said = dict(again.json)
    assert said.pop("replayed") is True
    if "decision" in first.json:
        assert "holdState" not in first.json
        assert said.pop("holdState") == (hold_state or "open")
    assert said == {k: v for k, v in first.json.items() if k != "replayed"}


def test_authorize_repeated(server):
    account, rid = server.account(funds_micros=FUNDS), request_id()
    body = dict(requestId=rid, inputTokens=100, maxOutputTokens=50, metadata={"b": 1, "a": [1, {"c": None}]})
    first = authorize(server, account, **body)
    for _ in range(3):
        same(first, authorize(server, account, **body))
    assert server.sql(f"SELECT COUNT(*) FROM {guard.HOLDS} WHERE account_id = {guard.key_of(account)}") == [("1",)]
    settle(server, first.json["hold"], inputTokens=1, outputTokens=1)
    same(first, authorize(server, account, **body), "settled")  # for ever: also when the hold has ended
    assert server.sql(f"SELECT COUNT(*) FROM {guard.HOLDS} WHERE account_id = {guard.key_of(account)}") == [("0",)]


@pytest.mark.parametrize("end, state", [
    (lambda o, h: settle(o, h, inputTokens=1, outputTokens=1), "settled"),
    (lambda o, h: settle(o, h, outcome="partial"), "settled"),
    (lambda o, h: settle(o, h, outcome="failed"), "released"),
    (guard.release, "released"),
], ids=["settled", "partial", "failed", "released"])
def test_what_became_of_the_hold(nginx, end, state):
    account, rid = nginx.account(funds_micros=FUNDS), request_id()
    first = authorize(nginx, account, requestId=rid)
    same(first, authorize(nginx, account, requestId=rid), "open")
    guard.extend(nginx, first.json["hold"], ttlSeconds=900)
    same(first, authorize(nginx, account, requestId=rid), "open")
    assert end(nginx, first.json["hold"]).status == 200
    for _ in range(2):
        same(first, authorize(nginx, account, requestId=rid), state)
    assert nginx.balance(account)[1] == 0


def test_a_hold_that_expired_and_was_not_swept(nginx):
    account, rid = nginx.account(funds_micros=FUNDS), request_id()
    body = dict(requestId=rid, ttlSeconds=60)
    first = authorize(nginx, account, **body)
    guard.pass_time(nginx, account, 61)
    same(first, authorize(nginx, account, **body), "expired")
    assert nginx.balance(account) == (FUNDS, 0, FUNDS)
    assert settle(nginx, first.json["hold"], inputTokens=1, outputTokens=1).json["settlement"] == "late"
    same(first, authorize(nginx, account, **body), "settled")


def test_states_of_many_kinds_of_hold(nginx):
    """Of an action, of the account's own key, and of a member of a workspace, whose row is read with the usage."""
    account = nginx.account(funds_micros=FUNDS, unit="credit")
    assert nginx.call("PUT", f"/api/accounts/{account}/members/user:7", key="app", json={"role": "member"}).status == 200
    for fields in (dict(model=None, action="debrief"), dict(byok=["openai"]), dict(member="user:7")):
        body = dict(requestId=request_id(), **fields)
        first = authorize(nginx, account, **body)
        same(first, authorize(nginx, account, **body), "open")
        assert settle(nginx, first.json["hold"], inputTokens=1, outputTokens=1).status == 200
        same(first, authorize(nginx, account, **body), "settled")


def test_repeated_together_with_the_settlement(nginx):
    """In one batch or in several: the state is one that the hold had, and never goes back."""
    for _ in range(10):
        account, rid = nginx.account(funds_micros=FUNDS), request_id()
        first = authorize(nginx, account, requestId=rid)
        with concurrent.futures.ThreadPoolExecutor(9) as pool:
            with Lock(nginx, f"accounts WHERE id = {guard.key_of(account)}"):
                again = [pool.submit(authorize, nginx, account, requestId=rid) for _ in range(4)]
                settled = pool.submit(settle, nginx, first.json["hold"], inputTokens=1, outputTokens=1)
                again += [pool.submit(authorize, nginx, account, requestId=rid) for _ in range(4)]
                wait_for_waiting(nginx)
            assert settled.result().status == 200
            for answer in (a.result() for a in again):
                same(first, answer, answer.json["holdState"])
                assert answer.json["holdState"] in ("open", "settled")
        same(first, authorize(nginx, account, requestId=rid), "settled")


def test_first_and_repeated_in_one_batch(nginx):
    account, rid = nginx.account(funds_micros=FUNDS), request_id()
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: authorize(nginx, account, requestId=rid), range(16)))
    first = next(a for a in answers if not a.json["replayed"])
    for answer in answers:
        if answer is not first:
            same(first, answer, "open")
    assert nginx.balance(account) == (FUNDS, ESTIMATE, FUNDS - ESTIMATE)


def test_only_a_repetition_looks_for_the_end_of_the_hold(nginx):
    """The first request reads no usage: the guard's path is as long as it was."""
    account, rid = nginx.account(funds_micros=FUNDS), request_id()
    readings = ("SELECT COUNT(*) FROM mysql.general_log WHERE CONVERT(argument USING utf8mb4) LIKE '%FROM usages%'"
                f" AND LOWER(CONVERT(argument USING utf8mb4)) LIKE '%{guard.key_of(account)}%'"
                " AND argument NOT LIKE '%general_log%'")
    nginx.sql("SET GLOBAL log_output = 'TABLE'; SET GLOBAL general_log = ON")
    try:
        counts = []
        for _ in range(2):
            assert authorize(nginx, account, requestId=rid).status == 200
            counts.append(int(nginx.sql(readings)[0][0]))
    finally:
        nginx.sql("SET GLOBAL general_log = OFF")
    assert counts == [0, 1]


DIFFERENT = [
    {"model": "gpt-3.5-turbo"}, {"models": ["gpt-4o", "gpt-3.5-turbo"], "model": None}, {"inputTokens": 101},
    {"maxOutputTokens": 51}, {"fit": True}, {"ttlSeconds": 601}, {"byok": ["anthropic"]}, {"member": "user:2"},
    {"conversationId": "c2"}, {"messageId": "m2"}, {"metadata": {"k": 2}}, {"metadata": None},
    {"action": "debrief", "model": None},
]


@pytest.mark.parametrize("change", DIFFERENT, ids=[",".join(change) for change in DIFFERENT])
def test_authorize_repeated_with_another_content(nginx, change):
    account, rid = nginx.account(funds_micros=FUNDS), request_id()
    body = dict(account=account, requestId=rid, model="gpt-4o", inputTokens=100, maxOutputTokens=50, member="user:1",
                conversationId="c1", messageId="m1", metadata={"k": 1})
    assert nginx.post("/api/guard/authorize", body).status == 200
    other = {k: v for k, v in {**body, **change}.items() if v is not None}
    if "action" in change:
        other = {k: v for k, v in other.items() if k not in ("inputTokens", "maxOutputTokens")}
    answer = nginx.post("/api/guard/authorize", other)
    assert answer.status == 409 and answer.json["error"] == "CONFLICT", answer
    held = cost("gpt-4o", input=100, output=50)
    assert nginx.balance(account) == (FUNDS, held, FUNDS - held)


def test_order_of_fields_and_spelled_out_defaults_do_not_matter(nginx):
    account, rid = nginx.account(funds_micros=FUNDS), request_id()
    first = nginx.post("/api/guard/authorize", {"account": account, "model": "gpt-4o", "requestId": rid})
    again = nginx.post("/api/guard/authorize", {
        "requestId": rid, "ttlSeconds": 600, "maxOutputTokens": 2000, "fit": False, "model": "gpt-4o",
        "inputTokens": 500, "account": account})
    same(first, again)


def test_header_and_field_are_the_same_request_id(nginx):
    account, rid = nginx.account(funds_micros=FUNDS), request_id()
    first = nginx.post("/api/guard/authorize", {"account": account, "model": "gpt-4o", "requestId": rid})
    same(first, nginx.post("/api/guard/authorize", {"account": account, "model": "gpt-4o"},
                           headers={"Idempotency-Key": rid}))


def test_accounts_do_not_share_request_ids(nginx):
    rid = request_id()
    first, second = (authorize(nginx, nginx.account(funds_micros=FUNDS), requestId=rid) for _ in range(2))
    assert first.status == second.status == 200
    assert first.json["hold"] != second.json["hold"]


def test_one_request_id_for_two_kinds_of_request_is_a_conflict(nginx):
    account, rid = nginx.account(funds_micros=FUNDS), request_id()
    assert authorize(nginx, account, None, action="debrief", requestId=rid).status == 200
    assert charge(nginx, account, "debrief", requestId=rid).status == 409


def test_a_refusal_is_not_remembered(nginx):
    account, rid = nginx.account(), request_id()
    for _ in range(2):
        assert authorize(nginx, account, requestId=rid).status == 402
    nginx.fund(account, FUNDS)
    assert authorize(nginx, account, requestId=rid).status == 200


def test_charge_repeated(server):
    account, rid = server.account(funds_micros=5_000_000, unit="credit"), request_id()
    first = charge(server, account, "debrief", quantity=2, requestId=rid)
    charge(server, account, "debrief")
    same(first, charge(server, account, "debrief", quantity=2, requestId=rid))
    assert charge(server, account, "debrief", quantity=3, requestId=rid).status == 409
    assert charge(server, account, "other", quantity=2, requestId=rid).status == 409
    assert server.balance(account)[0] == 2_000_000


def test_charge_without_a_request_id_is_another_charge(nginx):
    account = nginx.account(funds_micros=5_000_000, unit="credit")
    for left in (4, 3, 2):
        assert charge(nginx, account, "debrief").json["creditsRemaining"] == left


def test_transaction_repeated(server):
    account, rid = server.account(), request_id()
    first = server.fund(account, 1_000_000, request_id=rid)
    again = server.fund(account, 1_000_000, request_id=rid)
    assert {k: v for k, v in again.items() if k != "replayed"} == {k: v for k, v in first.items() if k != "replayed"}
    other = server.post(f"/api/accounts/{account}/transactions", key="admin", json={
        "type": "ADJUSTMENT", "amountMicros": 1_000_001, "description": "test", "requestId": rid})
    assert other.status == 409, other
    assert server.balance(account)[0] == 1_000_000


@pytest.mark.parametrize("how", ["orderly", "killed"])
def test_repeated_after_a_restart(restartable, how):
    o = restartable
    account, rid, charge_rid = o.account(funds_micros=FUNDS), request_id(), request_id()
    granted = authorize(o, account, requestId=rid)
    settled = settle(o, granted.json["hold"], inputTokens=7, outputTokens=8, messageId="m")
    charged = charge(o, account, "debrief", requestId=charge_rid)
    o.kill("octroi", 15 if how == "orderly" else 9)
    if how == "killed":
        o.kill("db")
    o.start()
    same(granted, authorize(o, account, requestId=rid), "settled")
    same(settled, settle(o, granted.json["hold"], inputTokens=7, outputTokens=8, messageId="m"))
    same(charged, charge(o, account, "debrief", requestId=charge_rid))
    assert authorize(o, account, requestId=rid, inputTokens=5).status == 409
    assert settle(o, granted.json["hold"], inputTokens=8, outputTokens=8).status == 409


def test_every_pair_of_requests_under_one_id(nginx):
    """The fingerprint tells apart what a careless concatenation would not."""
    account = nginx.account(funds_micros=1_000_000_000)
    bodies = [
        dict(model="gpt-4o", conversationId="ab", messageId="c"), dict(model="gpt-4o", conversationId="a", messageId="bc"),
        dict(model="gpt-4o", conversationId="abc"), dict(model="gpt-4o", messageId="abc"),
        dict(model="gpt-4o", member="abc"), dict(models=["gpt-4o"]), dict(models=["gpt-4o", "gpt-3.5-turbo"]),
        dict(models=["gpt-3.5-turbo", "gpt-4o"]), dict(action="gpt-4o"),
        dict(model="gpt-4o", metadata={"a": "b"}), dict(model="gpt-4o", metadata={"a": ["b"]}),
    ]
    for one, other in itertools.permutations(bodies, 2):
        rid = request_id()
        assert nginx.post("/api/guard/authorize", {"account": account, "requestId": rid, **one}).status == 200
        answer = nginx.post("/api/guard/authorize", {"account": account, "requestId": rid, **other})
        if {str(one), str(other)} == {str(dict(models=["gpt-4o"])), str(dict(model="gpt-4o"))}:
            continue  # a list of one may count as the one
        assert answer.status == 409, (one, other, answer)


def test_the_hold_of_a_replay_still_works(nginx):
    account, rid = nginx.account(funds_micros=FUNDS), request_id()
    authorize(nginx, account, requestId=rid)
    again = authorize(nginx, account, requestId=rid)
    answer = settle(nginx, again.json["hold"], inputTokens=1, outputTokens=1)
    assert answer.status == 200 and answer.json["replayed"] is False, answer
    assert hold(nginx, account) != again.json["hold"]

"""The life of a hold: it ends once, and what it did cost is booked whenever it comes.

Time is not waited for: pass_time() sets back the times at which something of one account is due.
"""

import pytest

import guard
from conftest import SETTINGS
from guard import authorize, charge, cost, extend, hold, pass_time, release, settle
from octroi import Octroi, wait_until

FUNDS = 10_000_000
ESTIMATE = cost("gpt-4o", input=500, output=2000)


@pytest.fixture(scope="module")
def capturing():
    """An octroi that charges the estimate of holds that nobody settled."""
    with Octroi("nginx", settings={**SETTINGS, "hold_expiry": "capture"}) as o:
        yield o


def ends(o, account):
    """state and settlement of every hold that has ended, and how many are open."""
    key = guard.key_of(account)
    ended = o.sql(f"SELECT seq, state, cost_micros FROM usages WHERE account_id = {key} ORDER BY seq")
    open_ones = o.sql(f"SELECT COUNT(*) FROM {guard.HOLDS} WHERE account_id = {key}")
    return ended, int(open_ones[0][0])


def test_each_way_to_end_ends_once(nginx):
    account = nginx.account(funds_micros=FUNDS)
    settled, released, expired, kept = (hold(nginx, account) for _ in range(4))
    settle(nginx, settled, inputTokens=10, outputTokens=10)
    release(nginx, released)
    extend(nginx, kept, ttlSeconds=3600)
    pass_time(nginx, account, 601)
    took = cost("gpt-4o", input=10, output=10)
    assert nginx.balance(account) == (FUNDS - took, ESTIMATE, FUNDS - took - ESTIMATE)
    for _ in range(2):
        assert release(nginx, settled).status == 409
        assert settle(nginx, settled, inputTokens=10, outputTokens=10).json["replayed"] is True
        assert extend(nginx, expired, ttlSeconds=60).status == 409
        assert extend(nginx, settled, ttlSeconds=60).status == 409
        assert extend(nginx, released, ttlSeconds=60).status == 409
    ended, still_open = ends(nginx, account)
    assert len(ended) == 3 and still_open == 1
    assert nginx.balance(account) == (FUNDS - took, ESTIMATE, FUNDS - took - ESTIMATE)


def test_settled_twice_differently_is_a_conflict(server):
    account = server.account(funds_micros=FUNDS)
    held = hold(server, account)
    first = settle(server, held, inputTokens=100, outputTokens=10)
    after = server.balance(account)
    again = settle(server, held, inputTokens=100, outputTokens=10)
    assert again.status == 200 and again.json == {**first.json, "replayed": True}, again
    for different in ({"inputTokens": 101, "outputTokens": 10}, {"inputTokens": 100, "outputTokens": 9},
                      {"inputTokens": 100, "outputTokens": 10, "outcome": "partial"},
                      {"inputTokens": 90, "cacheReadTokens": 10, "outputTokens": 10}, {"outcome": "failed"}, {}):
        answer = settle(server, held, **different)
        assert answer.status == 409 and answer.json["error"] == "SETTLEMENT_CONFLICT", (different, answer)
    assert server.balance(account) == after


def test_settled_above_its_amount_is_taken_in_full(server):
    account = server.account(funds_micros=ESTIMATE)
    held = hold(server, account)
    answer = settle(server, held, inputTokens=5000, outputTokens=20000)
    took = cost("gpt-4o", input=5000, output=20000)
    assert answer.status == 200 and answer.json["costMicros"] == took, answer
    assert answer.json["balanceMicros"] == ESTIMATE - took < 0
    assert answer.json["credits"]["balance"] == (ESTIMATE - took) // 10_000
    refused = authorize(server, account, inputTokens=0, maxOutputTokens=1)
    assert refused.status == 402, refused
    assert refused.json["availableMicros"] == ESTIMATE - took
    assert refused.json["balance"] == (ESTIMATE - took) // 10_000
    assert charge(server, account, "debrief").status == 402
    assert guard.journal_sum(server, account) == ESTIMATE - took


def test_a_debt_is_paid_by_the_next_credit(nginx):
    account = nginx.account(funds_micros=10_000)
    held = hold(nginx, account, inputTokens=1, maxOutputTokens=1)
    took = settle(nginx, held, inputTokens=10_000, outputTokens=0).json["costMicros"]
    debt = took - 10_000
    assert nginx.balance(account)[0] == -debt
    nginx.fund(account, debt - 1)
    assert nginx.balance(account)[0] == -1
    assert authorize(nginx, account, inputTokens=0, maxOutputTokens=1).status == 402
    nginx.fund(account, 1_000_001)
    assert nginx.balance(account) == (1_000_000, 0, 1_000_000)
    remaining = nginx.sql(f"SELECT remaining_micros FROM {guard.GRANTS} WHERE account_id = {guard.key_of(account)} ORDER BY seq")
    assert remaining == [("0",), ("0",), ("1000000",)]
    assert guard.journal_sum(nginx, account) == 1_000_000


def test_a_stream_that_broke_off_pays_for_what_it_used(nginx):
    account = nginx.account(funds_micros=FUNDS)
    answer = settle(nginx, hold(nginx, account), inputTokens=100, outputTokens=5, outcome="partial")
    took = cost("gpt-4o", input=100, output=5)
    assert (answer.json["settlement"], answer.json["costMicros"]) == ("partial", took), answer
    assert nginx.balance(account) == (FUNDS - took, 0, FUNDS - took)


def test_a_complete_request_without_usage_pays_the_estimate(nginx):
    account = nginx.account(funds_micros=FUNDS)
    answer = settle(nginx, hold(nginx, account))
    assert (answer.json["settlement"], answer.json["costMicros"]) == ("estimated", ESTIMATE), answer
    assert nginx.balance(account) == (FUNDS - ESTIMATE, 0, FUNDS - ESTIMATE)


def test_a_failed_request_without_usage_pays_nothing(nginx):
    account = nginx.account(funds_micros=FUNDS)
    held = hold(nginx, account)
    answer = settle(nginx, held, outcome="failed")
    assert answer.status == 200 and answer.json["costMicros"] == 0, answer
    assert nginx.balance(account) == (FUNDS, 0, FUNDS)
    assert settle(nginx, held, outcome="failed").json["replayed"] is True


def test_a_failed_request_with_usage_pays_for_it(nginx):
    account = nginx.account(funds_micros=FUNDS)
    answer = settle(nginx, hold(nginx, account), outcome="failed", inputTokens=100, outputTokens=0)
    assert answer.json["costMicros"] == cost("gpt-4o", input=100), answer


# ---- expiry -------------------------------------------------------------------------------------------


def test_an_expired_hold_reserves_nothing(server):
    account = server.account(funds_micros=ESTIMATE)
    hold(server, account, ttlSeconds=10)
    assert authorize(server, account).status == 402
    pass_time(server, account, 11)
    assert authorize(server, account).status == 200  # seen by the very next request, with no sweeper
    assert server.balance(account) == (ESTIMATE, ESTIMATE, 0)


def test_reading_an_account_does_not_show_expired_holds(nginx):
    account = nginx.account(funds_micros=FUNDS)
    hold(nginx, account, ttlSeconds=10)
    pass_time(nginx, account, 11)
    assert nginx.balance(account) == (FUNDS, 0, FUNDS)


def test_a_hold_is_kept_until_its_time(nginx):
    account = nginx.account(funds_micros=ESTIMATE)
    hold(nginx, account, ttlSeconds=1000)
    pass_time(nginx, account, 900)
    assert authorize(nginx, account).status == 402


def test_settled_late_is_booked_all_the_same(server):
    account = server.account(funds_micros=FUNDS)
    held = hold(server, account, ttlSeconds=10)
    pass_time(server, account, 3600)
    first = settle(server, held, inputTokens=100, outputTokens=10)
    took = cost("gpt-4o", input=100, output=10)
    assert first.status == 200, first
    assert (first.json["settlement"], first.json["costMicros"], first.json["replayed"]) == ("late", took, False)
    assert server.balance(account) == (FUNDS - took, 0, FUNDS - took)
    again = settle(server, held, inputTokens=100, outputTokens=10)
    assert again.json == {**first.json, "replayed": True}
    assert settle(server, held, inputTokens=100, outputTokens=11).status == 409
    assert server.balance(account) == (FUNDS - took, 0, FUNDS - took)


def test_settled_late_after_others_spent_the_balance(nginx):
    account = nginx.account(funds_micros=ESTIMATE)
    held = hold(nginx, account, ttlSeconds=10)
    pass_time(nginx, account, 11)
    other = hold(nginx, account)
    assert settle(nginx, other).json["balanceMicros"] == 0
    late = settle(nginx, held, inputTokens=500, outputTokens=2000)
    assert (late.json["settlement"], late.json["balanceMicros"]) == ("late", -ESTIMATE)


def test_the_sweeper_ends_holds_that_nobody_asks_for(nginx):
    account = nginx.account(funds_micros=FUNDS)
    hold(nginx, account, ttlSeconds=10)
    pass_time(nginx, account, 11)
    nginx.ctl("tick")
    assert nginx.sql(f"SELECT held_micros, open_holds FROM accounts WHERE id = {guard.key_of(account)}") == [("0", "0")]
    assert ends(nginx, account)[1] == 0


def test_captured_expiry_charges_the_estimate(capturing):
    account = capturing.account(funds_micros=FUNDS)
    hold(capturing, account, ttlSeconds=10)
    pass_time(capturing, account, 11)
    assert capturing.balance(account) == (FUNDS - ESTIMATE, 0, FUNDS - ESTIMATE)
    usage = capturing.get(f"/api/credits/usages?account={account}").json["items"][0]
    assert (usage["settlement"], usage["costMicros"]) == ("estimated", ESTIMATE)


@pytest.mark.parametrize("tokens", [(100, 10), (5000, 20000), (500, 2000), (0, 0)])
def test_settled_late_after_capture_ends_at_the_real_cost(capturing, tokens):
    account = capturing.account(funds_micros=FUNDS)
    held = hold(capturing, account, ttlSeconds=10)
    pass_time(capturing, account, 11)
    assert capturing.balance(account)[0] == FUNDS - ESTIMATE
    took = cost("gpt-4o", input=tokens[0], output=tokens[1])
    first = settle(capturing, held, inputTokens=tokens[0], outputTokens=tokens[1])
    assert (first.status, first.json["costMicros"], first.json["settlement"]) == (200, took, "late"), first
    assert capturing.balance(account) == (FUNDS - took, 0, FUNDS - took)
    assert guard.journal_sum(capturing, account) == FUNDS - took
    assert settle(capturing, held, inputTokens=tokens[0], outputTokens=tokens[1]).json == {
        **first.json, "replayed": True}


def test_failed_after_capture_gives_the_estimate_back(capturing):
    account = capturing.account(funds_micros=FUNDS)
    held = hold(capturing, account, ttlSeconds=10)
    pass_time(capturing, account, 11)
    answer = settle(capturing, held, outcome="failed")
    assert answer.status == 200 and answer.json["costMicros"] == 0, answer
    assert capturing.balance(account) == (FUNDS, 0, FUNDS)


# ---- grants -------------------------------------------------------------------------------------------


def grants(o, account):
    rows = o.sql(f"SELECT seq, remaining_micros FROM {guard.GRANTS} WHERE account_id = {guard.key_of(account)} ORDER BY seq")
    return [int(remaining) for _, remaining in rows]


def spend(o, account, micros):
    """Charges exactly that much: actions of a credit account cost a credit each."""
    assert charge(o, account, "debrief", quantity=micros // 1_000_000).status == 200


def test_grants_are_spent_by_priority_then_expiry_then_age(nginx):
    account = nginx.account(unit="credit")
    never = dict(priority=50)
    nginx.fund(account, 2_000_000, **never)
    nginx.fund(account, 2_000_000, priority=50, expiresAt="2098-01-01T00:00:00Z")
    nginx.fund(account, 2_000_000, priority=50, expiresAt="2097-01-01T00:00:00Z")
    nginx.fund(account, 2_000_000, **never)
    nginx.fund(account, 2_000_000, priority=10)
    for expected in ([2, 2, 2, 2, 1], [2, 2, 1, 2, 0], [2, 1, 0, 2, 0], [1, 0, 0, 2, 0], [0, 0, 0, 1, 0]):
        spend(nginx, account, (sum(grants(nginx, account)) // 1_000_000 - sum(expected)) * 1_000_000)
        assert [g // 1_000_000 for g in grants(nginx, account)] == expected
    paid = nginx.sql(f"SELECT grant_seq, -SUM(amount_micros) FROM entries WHERE account_id = {guard.key_of(account)}"
                     " AND amount_micros < 0 GROUP BY grant_seq ORDER BY grant_seq")
    assert [(int(g), int(m)) for g, m in paid] == [(1, 2_000_000), (2, 2_000_000), (3, 2_000_000), (4, 1_000_000),
                                                   (5, 2_000_000)]


def test_an_expired_grant_is_gone_and_the_journal_says_so(server):
    account = server.account(unit="credit")
    server.fund(account, 5_000_000, expiresAt="2098-01-01T00:00:00Z")
    server.fund(account, 3_000_000)
    spend(server, account, 1_000_000)
    assert server.balance(account)[0] == 7_000_000
    pass_time(server, account, 80 * 366 * 86400)
    assert server.balance(account)[0] == 3_000_000
    assert charge(server, account, "debrief", quantity=4).status == 402
    newest = server.get(f"/api/credits/transactions?account={account}&limit=1").json["items"][0]
    assert (newest["type"], newest["amountMicros"]) == ("ALLOWANCE_EXPIRY", -4_000_000)
    assert (newest["balanceBefore"], newest["balanceAfter"]) == (7, 3)
    assert guard.journal_sum(server, account) == 3_000_000


def test_a_grant_that_expires_under_a_hold_leaves_the_settlement_a_debt(nginx):
    account = nginx.account(unit="credit")
    nginx.fund(account, 5_000_000, expiresAt="2098-01-01T00:00:00Z")
    answer = authorize(nginx, account, None, action="debrief", quantity=5, ttlSeconds=86400)
    key = guard.key_of(account)
    nginx.sql(f"UPDATE grants SET expires_at_us = 1 WHERE account_id = {key};"
              f"UPDATE accounts SET due_at_us = 1, current_expires_at_us = 1 WHERE id = {key}")
    settled = settle(nginx, answer.json["hold"])
    assert settled.status == 200 and settled.json["balanceMicros"] == -5_000_000, settled
    nginx.fund(account, 6_000_000)
    assert nginx.balance(account) == (1_000_000, 0, 1_000_000)


def test_holds_of_an_account_change_no_index(nginx):
    """The first hold and its settlement change none; once all are settled, nothing of the account is due."""
    account = nginx.account(funds_micros=1_000_000)
    where = f"FROM accounts WHERE id = {guard.key_of(account)}"
    before = nginx.sql(f"SELECT due_at_us {where}")
    first, second = (authorize(nginx, account, ttlSeconds=ttl).json["hold"] for ttl in (60, 30))
    ends = nginx.sql(f"SELECT MIN(expires_at_us) FROM {guard.HOLDS} WHERE account_id = {guard.key_of(account)}")
    assert nginx.sql(f"SELECT due_at_us, holds_due_at_us {where}") == [before[0] + ends[0]]
    for hold in (first, second):
        assert settle(nginx, hold).status == 200
    guard.pass_time(nginx, account, 3600)
    nginx.ctl("tick")
    assert nginx.sql(f"SELECT due_at_us, holds_due_at_us, open_holds {where}") == [before[0] + ends[0] + ("0",)]


def test_the_sweeper_finds_holds_in_parts(nginx):
    """The sweeper looks at 4,096 accounts at once; of the accounts behind these, holds expire in the next parts."""
    accounts = [nginx.account(funds_micros=1_000_000) for _ in range(3)]
    for account in accounts:
        assert authorize(nginx, account, ttlSeconds=86400).status == 200
    last = max(accounts, key=guard.key_of)
    nginx.sql("INSERT INTO accounts (id, external_id, current_grant_seq)"
              " SELECT UNHEX(LPAD(HEX(seq), 32, '0')), CONCAT('crowd', seq), -1 FROM seq_1_to_9000")
    try:
        guard.pass_time(nginx, last, 86401)
        row = f"FROM accounts WHERE id = {guard.key_of(last)}"
        wait_until(lambda: nginx.sql(f"SELECT open_holds, held_micros {row}") == [("0", "0")], 60, "the end of the hold")
    finally:
        nginx.sql("DELETE FROM accounts WHERE external_id LIKE 'crowd%'")


def test_a_movement_down_takes_from_grants_and_may_leave_a_debt(nginx):
    account = nginx.account(funds_micros=3_000_000)
    nginx.fund(account, -5_000_000)
    assert nginx.balance(account)[0] == -2_000_000
    assert grants(nginx, account) == [0]
    nginx.fund(account, 2_500_000)
    assert nginx.balance(account)[0] == 500_000
    assert grants(nginx, account) == [0, 500_000]

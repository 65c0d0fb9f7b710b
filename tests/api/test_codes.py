"""Codes that octroictl makes, referral codes, and money moved by hand with its reason and actor."""

import concurrent.futures
import json
import re

import pytest

from octroi import Octroi


@pytest.fixture(scope="module")
def o():
    with Octroi("nginx", settings={"referral_amount": "5", "code_guesses_max": "5"}) as made:
        yield made


def make(o, *arguments):
    done = o.ctl("--json", "code", "create", "--reason", "tests", "--actor", "pytest", *arguments)
    return json.loads(done.stdout)["items"]


def redeem(o, account, code, **more):
    return o.post(f"/api/credits/redeem?account={account}", {"code": code}, **more)


def error(answer):
    return answer.status, answer.json["error"]


# ---- octroictl -------------------------------------------------------------------------------------


def test_code_is_redeemed_once(o):
    (code,) = make(o, "--amount", "7.50")
    assert re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){2}", code["code"])
    account, other = o.account(), o.account()
    answer = redeem(o, account, code["code"])
    assert answer.status == 200, answer
    assert (answer.json["type"], answer.json["amount"], answer.json["balance"]) == ("PROMO_BONUS", 750, 750)
    assert error(redeem(o, account, code["code"])) == (409, "CODE_USED")
    assert error(redeem(o, other, code["code"])) == (409, "CODE_EXHAUSTED")
    shown = o.get(f"/api/credits?account={account}").json["transactions"]
    assert [(t["type"], t["amount"]) for t in shown] == [("PROMO_BONUS", 750)]


def test_how_it_is_typed_does_not_matter(o):
    make(o, "--amount", "1", "--code", "Welcome-10", "--uses", "100", "--uses-per-account", "100")
    account = o.account()
    for n, typed in enumerate(("WELCOME10", "welcome10", " wel come-10 ", "WE1COMEIO", "weicome1O", "W-E-L-C-0-M-E-1-0")):
        answer = redeem(o, account, typed)
        assert answer.status == 200, typed
        assert answer.json["balance"] == 100 * (n + 1)
    done = o.ctl("code", "create", "--amount", "1", "--reason", "r", "--actor", "a", "--code", "WE1COME 1O", check=False)
    assert done.returncode == 1 and "already" in done.stderr


def test_uses_in_all_and_per_account(o):
    (code,) = make(o, "--amount", "2", "--uses", "3", "--uses-per-account", "2")
    first, second = o.account(), o.account()
    assert redeem(o, first, code["code"]).status == 200
    assert redeem(o, first, code["code"]).status == 200
    assert error(redeem(o, first, code["code"])) == (409, "CODE_USED")
    assert redeem(o, second, code["code"]).status == 200
    assert error(redeem(o, second, code["code"])) == (409, "CODE_EXHAUSTED")


def test_batch_list_and_revoke(o):
    codes = make(o, "--amount", "3", "--count", "1200", "--batch", "flyer")
    assert len({c["code"] for c in codes}) == 1200
    listed = json.loads(o.ctl("--json", "code", "list", "--batch", "flyer", "--limit", "2000").stdout)["items"]
    assert {c["code"] for c in listed} == {c["code"] for c in codes}
    assert {(c["reason"], c["actor"], c["batch"], c["uses"], c["usesMax"]) for c in listed} == \
        {("tests", "pytest", "flyer", 0, 1)}
    account = o.account()
    assert redeem(o, account, codes[0]["code"]).status == 200
    o.ctl("code", "revoke", codes[1]["code"].lower())
    assert error(redeem(o, account, codes[1]["code"])) == (404, "CODE_UNKNOWN")
    assert redeem(o, account, codes[2]["code"]).status == 200
    assert o.ctl("code", "revoke", "--batch", "flyer").stdout == "revoked: 1199\n"
    assert error(redeem(o, account, codes[3]["code"])) == (404, "CODE_UNKNOWN")
    assert o.ctl("code", "revoke", "--batch", "flyer", check=False).returncode == 1
    text = o.ctl("code", "list").stdout
    assert "flyer" in text and "revoked" in text


def test_expiry(o):
    for wrong in ("2020-01-01", "tomorrow"):
        done = o.ctl("code", "create", "--amount", "1", "--reason", "r", "--actor", "a", "--expires", wrong, check=False)
        assert done.returncode == 2, done
    (code,) = make(o, "--amount", "1", "--uses", "9", "--expires", "2100-01-01T00:00:00Z")
    assert redeem(o, o.account(), code["code"]).status == 200
    o.sql("UPDATE codes SET expires_at_us = 1 WHERE code = '" + code["code"].replace("-", "") + "'")
    assert error(redeem(o, o.account(), code["code"])) == (404, "CODE_UNKNOWN")


def test_units_do_not_mix(o):
    (money,), (credit,) = make(o, "--amount", "10", "--uses", "9"), make(o, "--amount", "10", "--uses", "9", "--unit", "credit")
    euros, team = o.account(), o.account(unit="credit")
    assert error(redeem(o, team, money["code"])) == (409, "CODE_OTHER_UNIT")
    assert error(redeem(o, euros, credit["code"])) == (409, "CODE_OTHER_UNIT")
    assert redeem(o, team, credit["code"]).json["balance"] == 10
    assert redeem(o, euros, money["code"]).json["balance"] == 1000


@pytest.mark.parametrize("arguments", [
    [], ["--amount", "0"], ["--amount", "-1"], ["--amount", "x"], ["--amount", "1", "--count", "0"],
    ["--amount", "1", "--count", "10001"], ["--amount", "1", "--uses", "0"], ["--amount", "1", "--unit", "euro"],
    ["--amount", "1", "--code", "abc"], ["--amount", "1", "--code", "R1234-5678-9ABC"], ["--amount", "1", "--code", "é" * 8],
    ["--amount", "1", "--code", "GOOD1234", "--count", "2"], ["--amount", "1", "more"],
    ["--amount", "1", "--batch", "b" * 65],
])
def test_what_octroictl_refuses(o, arguments):
    before = o.sql("SELECT COUNT(*) FROM codes")
    done = o.ctl("code", "create", "--reason", "r", "--actor", "a", *arguments, check=False)
    assert done.returncode == 2 and done.stderr
    assert o.sql("SELECT COUNT(*) FROM codes") == before


def test_reason_and_actor_are_asked_for(o):
    for arguments in (["--reason", "r"], ["--actor", "a"], []):
        assert o.ctl("code", "create", "--amount", "1", *arguments, check=False).returncode == 2


# ---- the route -------------------------------------------------------------------------------------


def test_bodies(o):
    account = o.account()
    for body in ({}, {"code": ""}, {"code": 5}, {"code": None}, {"code": "abc"}, {"code": "ABCD_EFGH"},
                 {"code": "x" * 65}, {"code": "ABCDEFGH", "amount": 5}, {"code": ["ABCDEFGH"]}, {"code": "ABCD\u0000"}):
        answer = o.post(f"/api/credits/redeem?account={account}", body)
        assert error(answer) == (400, "INVALID_REQUEST"), body
    # A text that can be no code is no guess either.
    assert o.sql("SELECT COUNT(*) FROM signups WHERE guesses > 0 AND account_id = "
                 f"(SELECT id FROM accounts WHERE external_id = '{account}')") == [("0",)]


def test_request_id(o):
    (code,) = make(o, "--amount", "4", "--uses", "9", "--uses-per-account", "9")
    account = o.account()
    answers = [redeem(o, account, code["code"], headers={"Idempotency-Key": "r1"}) for _ in range(3)]
    assert [a.status for a in answers] == [200] * 3
    assert [a.json["replayed"] for a in answers] == [False, True, True]
    assert o.balance(account)[0] == 4_000_000
    (other,) = make(o, "--amount", "4")
    assert error(redeem(o, account, other["code"], headers={"Idempotency-Key": "r1"})) == (409, "CONFLICT")


def test_guesses_are_bounded(o):
    (code,) = make(o, "--amount", "1", "--uses", "99")
    account, other = o.account(), o.account()
    for n in range(5):
        assert error(redeem(o, account, f"WRNG-{n}")) == (404, "CODE_UNKNOWN")
    for guess in ("WRNG-6", code["code"], "RAAAA-AAAA-AAAA"):
        answer = redeem(o, account, guess)
        assert error(answer) == (429, "TOO_MANY_GUESSES")
        assert 3500 < int(answer.headers["retry-after"]) <= 3601
    assert redeem(o, other, code["code"]).status == 200  # nobody else
    o.sql("UPDATE signups SET guesses_since_us = guesses_since_us - 3600000000")
    assert redeem(o, account, code["code"]).status == 200


def test_guesses_at_once_are_bounded_too(o):
    account = o.account()
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda n: redeem(o, account, f"GUESS{n:04}").status, range(60)))
    assert answers.count(404) == 5 and answers.count(429) == 55


def test_one_code_many_at_once(o):
    (code,) = make(o, "--amount", "1", "--uses", "10")
    accounts = [o.account() for _ in range(40)]
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda a: redeem(o, a, code["code"]).status, accounts))
    assert answers.count(200) == 10 and answers.count(409) == 30
    assert o.sql("SELECT uses FROM codes WHERE code = '" + code["code"].replace("-", "") + "'") == [("10",)]
    assert sum(o.balance(a)[0] for a in accounts) == 10_000_000


# ---- referrals -------------------------------------------------------------------------------------


def referral_code(o, account):
    return o.get(f"/api/credits?account={account}").json["referralCode"]


def test_referral_code(o):
    account, other = o.account(), o.account()
    code = referral_code(o, account)
    assert re.fullmatch(r"R(-[0-9A-HJKMNP-TV-Z]{4}){3}", code)
    assert code == referral_code(o, account) != referral_code(o, other)


def test_referral_is_noted_once_and_never_for_oneself(o):
    referrer, referred = o.account(), o.account()
    assert error(redeem(o, referrer, referral_code(o, referrer))) == (409, "OWN_CODE")
    answer = redeem(o, referred, referral_code(o, referrer).lower())
    assert answer.status == 200, answer
    assert (answer.json["type"], answer.json["reward"], answer.json["amount"]) == ("REFERRAL_BONUS", 500, 0)
    assert o.balance(referred)[0] == o.balance(referrer)[0] == 0  # nothing before the first payment
    assert error(redeem(o, referred, referral_code(o, o.account()))) == (409, "REFERRED_ALREADY")


def test_same_address_is_oneself(o):
    one, other = o.account(email="a.b@gmail.com"), o.account(email="AB+2@gmail.com")
    assert error(redeem(o, other, referral_code(o, one))) == (409, "OWN_CODE")


def test_wrong_referral_code_is_a_guess(o):
    account = o.account()
    for n in range(5):
        assert error(redeem(o, account, f"R-0000-0000-000{n}")) == (404, "CODE_UNKNOWN")
    assert error(redeem(o, account, "R-0000-0000-0009")) == (429, "TOO_MANY_GUESSES")
    assert error(redeem(o, account, referral_code(o, o.account()))) == (429, "TOO_MANY_GUESSES")


def test_who_has_paid_comes_too_late(o):
    account = o.account()
    o.sql("INSERT INTO billing (account_id, paid_count, first_paid_at_us) SELECT id, 1, 1 FROM accounts"
          f" WHERE external_id = '{account}'")
    assert error(redeem(o, account, referral_code(o, o.account()))) == (409, "REFERRED_LATE")


def test_without_referrals(nginx):
    account = nginx.account()
    assert "referralCode" not in nginx.get(f"/api/credits?account={account}").json
    assert error(redeem(nginx, account, "R-0000-0000-0000")) == (404, "CODE_UNKNOWN")


# ---- by hand ---------------------------------------------------------------------------------------


def test_refunds_and_adjustments_have_reason_and_actor(o):
    account = o.account(funds_micros=50_000_000)
    booked = o.post(f"/api/accounts/{account}/transactions", key="admin", json={
        "type": "REFUND", "amountMicros": -20_000_000, "description": "paid twice, ticket 12", "requestId": "refund-12"})
    assert booked.status == 200, booked
    without = o.post(f"/api/accounts/{account}/transactions", key="admin", json={
        "type": "REFUND", "amountMicros": -1, "requestId": "refund-13"})
    assert without.status == 400 and without.json["field"] == "description"
    o.ctl("account", "credit", account, "5", "--type", "ADJUSTMENT", "--reason", "goodwill", "--actor", "ada")
    rows = o.sql("SELECT t.description, t.actor, t.amount_micros FROM transactions t JOIN accounts a ON a.id = t.account_id"
                 f" WHERE a.external_id = '{account}' ORDER BY t.seq")
    assert rows[1][0] == "paid twice, ticket 12" and re.fullmatch(r"key:\d+", rows[1][1]) and rows[1][2] == "-20000000"
    assert rows[2] == ("goodwill", "ada", "5000000")
    for arguments in (["--type", "REFUND", "--reason", "r"], ["--type", "REFUND", "--actor", "a"]):
        assert o.ctl("account", "credit", account, "-1", *arguments, check=False).returncode == 2
    assert o.balance(account)[0] == 35_000_000

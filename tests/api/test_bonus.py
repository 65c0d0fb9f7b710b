"""The sign-up bonus: once per account, per e-mail address and per person, up to the campaign's cap, also when
many ask at once, of several octroi at once."""

import concurrent.futures
import json
import pathlib
import time
import urllib.error
import urllib.request

import pytest

from issuer import Issuer
from octroi import Octroi
from second import Second


def claim(o, account, **more):
    return o.post(f"/api/credits/claim-bonus?account={account}", **more)


def through(second, o, account):
    """A claim through another octroi; the answer's record."""
    request = urllib.request.Request(f"{second.internal_url}/api/credits/claim-bonus?account={account}", data=b"{}",
                                     headers={"Authorization": f"Bearer {o.keys['app']}",
                                              "Content-Type": "application/json"})
    try:
        return json.load(urllib.request.urlopen(request, timeout=30))
    except urllib.error.HTTPError as e:
        return json.load(e)


def test_once_per_account(server):
    account = server.account()
    answer = claim(server, account)
    assert answer.status == 200, answer
    assert answer.json["amount"] == 1000 and answer.json["amountMicros"] == 10_000_000
    assert answer.json["balance"] == 1000 and answer.json["type"] == "SIGNUP_BONUS"
    again = claim(server, account)
    assert (again.status, again.json["error"]) == (409, "BONUS_CLAIMED")
    shown = server.get(f"/api/credits?account={account}").json
    assert shown["balance"] == 1000
    assert [(t["type"], t["amount"], t["id"]) for t in shown["transactions"]] == \
        [("SIGNUP_BONUS", 1000, answer.json["transaction"])]


def test_request_id_repeats_the_answer(nginx):
    account = nginx.account()
    first = claim(nginx, account, headers={"Idempotency-Key": "b1"})
    second = claim(nginx, account, json={"requestId": "b1"})
    assert first.status == second.status == 200
    assert (first.json["replayed"], second.json["replayed"]) == (False, True)
    assert {**first.json, "replayed": True} == second.json
    assert nginx.balance(account)[0] == 10_000_000


def test_language_of_the_transaction(nginx):
    account = nginx.account()
    claim(nginx, account, headers={"Accept-Language": "fr"})
    shown = nginx.get(f"/api/credits?account={account}").json["transactions"][0]
    assert shown["description"] == "Bonus de bienvenue - 10 € de crédits gratuits"
    refused = claim(nginx, account, headers={"Accept-Language": "fr"})
    assert refused.json["message"] == "Le bonus de bienvenue a déjà été accordé."


def test_once_per_address(nginx):
    first = nginx.account(email="Ada.Love.lace+octroi@gmail.com")
    assert claim(nginx, first).status == 200
    for email in ("adalovelace@gmail.com", "ADALOVELACE@googlemail.com", "a.dalovelace+2@gmail.com"):
        other = nginx.account(email=email)
        answer = claim(nginx, other)
        assert (answer.status, answer.json["error"]) == (409, "BONUS_CLAIMED"), email
        assert nginx.balance(other)[0] == 0
    assert claim(nginx, nginx.account(email="ada.lovelace@example.com")).status == 200
    assert claim(nginx, nginx.account(email="adalovelace@example.com")).status == 200  # dots count there


def test_bodies(nginx):
    account = nginx.account()
    for body in ({"amount": 1}, {"account": "x"}, {"requestId": 5}, {"requestId": ""}):
        assert claim(nginx, account, json=body).status == 400, body
    assert claim(nginx, account, body="[]", headers={"Content-Type": "application/json"}).status == 400
    assert nginx.balance(account)[0] == 0
    assert claim(nginx, account, json={}).status == 200


def test_who_may(nginx):
    account = nginx.account()
    for key in ("guard", "report", None):
        assert claim(nginx, account, key=key).status in (401, 403)
    assert nginx.post("/api/credits/claim-bonus").status == 400  # which account?
    token = nginx.post("/api/tokens", {"account": account}).json["token"]
    assert claim(nginx, "somebody.else", key=token, public=True).status == 403
    assert nginx.post("/api/credits/claim-bonus", key=token, public=True).status == 200


def test_many_at_once_get_one(nginx):
    account = nginx.account(email="crowd@example.com")
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda _: claim(nginx, account).status, range(64)))
    assert sorted(set(answers)) == [200, 409] and answers.count(200) == 1
    assert nginx.balance(account)[0] == 10_000_000


def test_cap_is_exact_among_several_octroi():
    """Two octroi on one database, 120 claims of which 40 share addresses in pairs; the cap is worth 25."""
    settings = {"bonus_amount": "2.5", "bonus_campaign_cap": "62.5", "bonus_campaign": "launch", "bonus_needs_email": "off"}
    with Octroi("nginx", settings=settings) as o:
        accounts = [o.account(email=f"p{n // 2 if n < 40 else n}@example.com") for n in range(120)]
        with Second(o) as other, concurrent.futures.ThreadPoolExecutor(32) as pool:
            def one(pair):
                n, account = pair
                if n % 2 == 0:
                    return claim(o, account).json
                return through(other, o, account)

            answers = list(pool.map(one, enumerate(accounts)))
        given = [n for n, a in enumerate(answers) if a.get("type") == "SIGNUP_BONUS"]
        assert len(given) == 25, answers
        assert {a["error"] for a in answers if "error" in a} <= {"BONUS_EXHAUSTED", "BONUS_CLAIMED"}
        people = [n // 2 if n < 40 else n for n in given]
        assert len(people) == len(set(people))
        assert o.sql("SELECT granted_micros, grants FROM campaigns") == [("62500000", "25")]
        assert o.sql("SELECT SUM(amount_micros), COUNT(*) FROM transactions WHERE type = 1") == [("62500000", "25")]
        assert o.sql("SELECT SUM(balance_micros) FROM accounts") == [("62500000",)]
        assert claim(o, o.account()).json["error"] == "BONUS_EXHAUSTED"


def test_settings():
    with Octroi("nginx", settings={"bonus_needs_email": "on", "bonus_after_first_payment": "on"}) as o:
        account = o.account()
        assert claim(o, account).json["error"] == "EMAIL_NEEDED"
        o.call("PUT", f"/api/accounts/{account}", json={"email": "x@example.com"})
        assert claim(o, account).json["error"] == "PAYMENT_FIRST"
        assert o.balance(account)[0] == 0
        o.sql("INSERT INTO billing (account_id, paid_count, first_paid_at_us) SELECT id, 1, 1 FROM accounts"
              f" WHERE external_id = '{account}'")
        assert claim(o, account).status == 200
    with Octroi("nginx", settings={"bonus_amount": "0"}) as o:
        assert claim(o, o.account()).json["error"] == "BONUS_NOT_OFFERED"
    with Octroi("nginx", settings={"bonus_unit": "credit", "bonus_amount": "25", "bonus_needs_email": "off"}) as o:
        assert claim(o, o.account()).json["error"] == "BONUS_NOT_OFFERED"
        answer = claim(o, o.account(unit="credit"))
        assert (answer.status, answer.json["amount"], answer.json["balance"]) == (200, 25, 25)


def test_another_campaign_is_another_bonus():
    with Octroi("nginx", settings={"bonus_needs_email": "off"}) as o:
        account = o.account()
        assert claim(o, account).status == 200
        o.stop()
        o.start(bonus_campaign="spring", bonus_amount="3")
        assert claim(o, account).json["amount"] == 300
        assert claim(o, account).status == 409
        assert o.sql("SELECT name, granted_micros FROM campaigns ORDER BY name") == \
            [("signup", "10000000"), ("spring", "3000000")]


def test_once_per_person_with_tokens_of_an_issuer():
    """One person who is in two organisations is one person."""
    with Issuer() as issuer:
        key = issuer.key("k")
        settings = {"jwt_issuer": issuer.url, "jwt_account_claim": "org_id", "jwt_member_claim": "sub", "bonus_needs_email": "off"}
        with Octroi("nginx", settings=settings) as o:
            def token(person, organisation):
                return key.sign(issuer.claims(person, org_id=organisation, exp=int(time.time()) + 600))

            def status(person, organisation):
                return o.post("/api/credits/claim-bonus", key=token(person, organisation), public=True).status

            assert status("user_1", "org_a") == 200
            assert status("user_1", "org_b") == 409
            assert status("user_2", "org_a") == 409
            assert status("user_2", "org_b") == 200


@pytest.mark.parametrize("settings", [{"bonus_unit": "euros"}, {"bonus_amount": "-1"}, {"bonus_campaign": ""}])
def test_settings_that_are_none(settings):
    with pytest.raises(RuntimeError):
        Octroi("nginx", settings=settings)


# ---- once per person, whatever is known of whom and when --------------------------------------------------


def put_email(o, account, email):
    done = o.call("PUT", f"/api/accounts/{account}", json={"email": email})
    assert done.status == 200, done


def test_address_that_becomes_known_afterwards(nginx):
    """The bonus was claimed without an address; the person comes again with one."""
    first, again = nginx.account(), nginx.account(email="Later.On@gmail.com")
    assert claim(nginx, first).status == 200
    put_email(nginx, first, "lateron+x@googlemail.com")
    assert claim(nginx, again).json["error"] == "BONUS_CLAIMED"
    nginx.audit()


def test_addresses_that_change_and_are_swapped(nginx):
    """An address that an account with the bonus has ever had has had the bonus."""
    one, two, three = nginx.account(email="swap1@example.com"), nginx.account(email="swap2@example.com"), nginx.account()
    assert claim(nginx, one).status == 200
    put_email(nginx, one, "swap3@example.com")
    put_email(nginx, two, "swap1@example.com")
    assert claim(nginx, two).json["error"] == "BONUS_CLAIMED"
    put_email(nginx, one, "swap1@example.com")
    put_email(nginx, two, "swap3@example.com")
    assert claim(nginx, two).json["error"] == "BONUS_CLAIMED"
    put_email(nginx, two, "swap2@example.com")
    assert claim(nginx, two).status == 200  # its own, which nobody had
    put_email(nginx, three, "swap2@example.com")
    assert claim(nginx, three).json["error"] == "BONUS_CLAIMED"
    for _ in range(3):  # what is known is not written again
        put_email(nginx, one, "swap1@example.com")
    nginx.audit()


def test_an_address_that_comes_at_the_same_moment(nginx):
    """Claims and addresses at once, in every order: once per address."""
    pairs = [(nginx.account(), nginx.account(), f"race{n}@example.com") for n in range(20)]

    def race(pair):
        one, two, email = pair
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            done = [pool.submit(claim, nginx, one), pool.submit(put_email, nginx, one, email)]
            for future in done:
                future.result()
        put_email(nginx, two, email)
        first = nginx.balance(one)[0]
        return first + (10_000_000 if claim(nginx, two).status == 200 else 0)

    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        assert set(pool.map(race, pairs)) == {10_000_000}
    nginx.audit()


def test_addresses_as_octroi_comes():
    """Without any setting: 10 to each verified address, up to 1000 in all."""
    with Octroi("nginx") as o:
        assert claim(o, o.account()).json["error"] == "EMAIL_NEEDED"
        for email in ("ada@gmail\u3002com", "a\u200bda@gmail.com", "\u00e9lan@example.com", "ada@b\u00fccher.example",
                      "\u0430da@gmail.com", "ada@gmail..com"):
            assert claim(o, o.account(email=email)).json["error"] == "EMAIL_NEEDED", email
        assert claim(o, o.account(email="ada@gmail.com")).status == 200
        for email in ("ada@gmail.com.", "A.D.A@GMAIL.COM", "ada+1@googlemail.com."):
            assert claim(o, o.account(email=email)).json["error"] == "BONUS_CLAIMED", email
        given = [claim(o, o.account(email=f"p{n}@example.com")).status for n in range(100)]
        assert given == [200] * 99 + [409]
        assert o.sql("SELECT granted_micros FROM campaigns") == [("1000000000",)]
        done = o.ctl("doctor", "--json", check=False)
        bonus, = (c for c in json.loads(done.stdout)["checks"] if c["check"] == "sign-up bonus")
        assert bonus["state"] == "warning" and "raise bonus_campaign_cap" in bonus["advice"]
        assert "10 for each, up to 1000 in all" in bonus["found"] and "has given 1000 to 100" in bonus["found"], bonus


@pytest.mark.parametrize("settings, state, said", [
    ({}, "ok", "10 for each, up to 1000 in all, to verified addresses; campaign signup has given 0 to 0"),
    ({"bonus_campaign_cap": "0"}, "warning", "without a cap in all"),
    ({"bonus_needs_email": "off"}, "warning", "also without an address"),
    ({"bonus_needs_email": "off", "bonus_after_first_payment": "on"}, "ok", "also without an address"),
    ({"bonus_amount": "0"}, "skipped", "none is given")])
def test_doctor_says_what_is_given(nginx, settings, state, said, tmp_path):
    conf = tmp_path / "octroi.conf"
    text = pathlib.Path(nginx.env["OCTROI_CONF"]).read_text()
    kept = [line for line in text.splitlines() if not line.startswith(("bonus_", "#"))]
    conf.write_text("\n".join([*kept, "bonus_campaign = doctor", *(f"{k} = {v}" for k, v in settings.items())]) + "\n")
    conf.chmod(0o600)
    done = nginx.ctl("-c", conf, "doctor", "--json", check=False)
    bonus, = (c for c in json.loads(done.stdout)["checks"] if c["check"] == "sign-up bonus")
    assert bonus["state"] == state, bonus
    assert said.replace("signup", "doctor") in bonus["found"], bonus

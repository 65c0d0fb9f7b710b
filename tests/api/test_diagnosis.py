"""Which of the cases of a negative balance an account is, of real accounts that came into it the real way: charged and
declined at the Stripe of the tests, over a limit, used up.  The route, octroictl and the contract say the same."""

import json
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import guard  # noqa: E402
import plans  # noqa: E402
from contract import Contract  # noqa: E402
from fake_stripe import FakeStripe  # noqa: E402
from octroi import Octroi  # noqa: E402
from test_postpaid import FAILED, PAID, Customer, next_month  # noqa: E402
from timetravel import Clock  # noqa: E402

EURO = 1_000_000
CREDIT = 1_000_000
TYPICAL = guard.cost("gpt-4o", input=500, output=2000)
ROUTE = "/api/credits/diagnosis"


@pytest.fixture(scope="module")
def stripe():
    with FakeStripe() as fake:
        yield fake


@pytest.fixture(scope="module")
def o(stripe):
    with Octroi("nginx", settings=stripe.settings(topup_url="https://app.example/billing")) as o:
        stripe.webhook_url = o.url + "/api/webhooks/stripe"
        yield o


@pytest.fixture(scope="module")
def clock(o):
    clock = Clock(o)
    clock.set("2027-01-10 12:00:00")
    return clock


@pytest.fixture(scope="module")
def contract():
    return Contract()


@pytest.fixture
def diagnose(o, clock, contract):
    """The route's answer, held against the contract, and against octroictl, which is to say the same."""
    def ask(account, member=None, french=False, key="app"):
        if member:
            key = o.post("/api/tokens", {"account": account, "member": member}, key="app").json["token"]
        answer = o.get(f"{ROUTE}?account={account}" if not member else ROUTE, key=key, public=bool(member),
                       headers={"Accept-Language": "fr"} if french else {})
        assert answer.status == 200, answer
        contract.hold(answer, "GET", ROUTE)
        of = ("--member", member) if member else ()
        said = o.ctl("account", "diagnose", account, *of, "--lang", "fr" if french else "en", "--json")
        said = json.loads(said.stdout)
        if member:
            said["nextAction"].pop("url", None), answer.json["nextAction"].pop("url", None)
        assert said == answer.json
        return said
    return ask


def done(said):
    return {step["id"]: step["done"] for step in said["checklist"]}


def use(o, account, **fields):
    """A typical request of gpt-4o, settled."""
    held = guard.hold(o, account, inputTokens=500, maxOutputTokens=2000, **fields)
    assert guard.settle(o, held, inputTokens=500, outputTokens=2000).status == 200


# -- the seed's cases -------------------------------------------------------------------------------------


def test_a_negative_balance_is_normal_until_the_month_s_end(o, stripe, clock, diagnose):
    c = Customer(o, stripe, cents=1500)
    use(o, c.id)
    said = diagnose(c.id)
    figures = said["figures"]
    assert (said["case"], said["nextAction"]) == ("postpaid_normal", {"id": "none", "text": "Nothing has to be done."})
    assert figures["balanceMicros"] == c.balance() == -15 * EURO - TYPICAL
    assert figures["usedThisMonthMicros"] == TYPICAL
    assert figures["typicalRequest"] == {"model": "gpt-4o", "costMicros": TYPICAL}
    assert figures["lastPayment"]["type"] == "TOP_UP" and figures["lastPayment"]["amountMicros"] == 5 * EURO
    assert figures["card"] == {"state": "unknown", "code": None} and figures["limit"] is None
    assert figures["nextStatementAt"] == "2027-02-01T00:00:00.000Z"
    assert done(said) == {"balance": True, "used_this_month": True, "hard_limit": True, "card_valid": None,
                          "pay_as_you_go": True, "negative_is_normal": True, "may_go_on": True,
                          "charged_at_month_end": True, "nothing_to_do": True, "guard_lets_through": True,
                          "application_works": None}
    french = diagnose(c.id, french=True)
    assert french["title"] == "Un solde négatif est normal ici"
    assert french["nextAction"]["text"] == "Pas d'action nécessaire."
    assert "Solde : -15,03 €" in [step["text"] for step in french["checklist"]]
    # Charged: the card is known to be valid, and the balance is zero again.
    next_month(clock)
    c.wait(PAID)
    paid = diagnose(c.id)
    assert paid["figures"]["card"]["state"] == "valid" and done(paid)["card_valid"] is True
    assert paid["figures"]["lastPayment"] == {**paid["figures"]["lastPayment"], "type": "PAYMENT", "amountMicros": 15_020_000}
    assert paid["case"] == "postpaid_normal", "what is less than a cent stays owed"
    o.fund(c.id, -c.balance())
    assert diagnose(c.id)["case"] == "nothing_wrong"


@pytest.mark.parametrize("code,state", [("card_declined", "declined"), ("expired_card", "expired")])
def test_a_card_is_refused(o, stripe, clock, diagnose, code, state):
    c = Customer(o, stripe, cents=4500, declines=code)
    next_month(clock)
    c.wait(FAILED)
    said = diagnose(c.id)
    [invoice] = c.invoices()
    assert (said["case"], said["figures"]["status"]) == ("card_problem", "past_due")
    assert said["figures"]["card"] == {"state": state, "code": code}
    assert code in said["explanation"] and "45.00€" in said["explanation"]
    assert said["figures"]["unpaidMicros"] == said["figures"]["statedMicros"] == 45 * EURO
    assert said["nextAction"] == {"id": "update_card", "text": "Update the payment method and pay 45.00€.",
                                  "url": invoice["hosted_invoice_url"]}
    assert done(said) == {"balance": True, "used_this_month": True, "hard_limit": True, "card_valid": False,
                          "card_updated": None, "debt_paid": False, "account_restored": False,
                          "guard_lets_through": True, "application_works": None}
    clock.forward(days=4)
    said = diagnose(c.id)
    assert (said["case"], said["figures"]["status"]) == ("card_problem", "suspended")
    assert done(said)["guard_lets_through"] is False and said["figures"]["limit"]["kind"] == "suspended"
    c.replace_card()
    assert c.pay().status == 200
    said = diagnose(c.id)
    assert said["case"] == "nothing_wrong" and said["figures"]["card"] == {"state": "valid", "code": None}
    assert done(said)["guard_lets_through"] is True


def test_there_is_no_card(o, stripe, clock, diagnose):
    c = Customer(o, stripe, cents=700, card=False)
    assert diagnose(c.id)["figures"]["card"]["state"] == "none"
    next_month(clock)
    c.wait(FAILED)
    said = diagnose(c.id)
    assert said["case"] == "card_problem" and said["figures"]["card"]["state"] == "none"
    assert done(said)["card_valid"] is False


def test_who_may_not_manage_is_not_led_to_the_invoice(o, stripe, clock):
    c = Customer(o, stripe, cents=700, declines="card_declined")
    next_month(clock)
    c.wait(FAILED)
    o.call("PUT", f"/api/accounts/{c.id}/members/user:1", json={"role": "member"})
    o.call("PUT", f"/api/accounts/{c.id}/members/user:2", json={"role": "manager"})
    for member, url in (("user:1", False), ("user:2", True)):
        token = o.post("/api/tokens", {"account": c.id, "member": member}, key="app").json["token"]
        said = o.get(ROUTE, key=token, public=True).json
        assert said["case"] == "card_problem" and ("url" in said["nextAction"]) == url


def test_prepaid_credits_are_used_up(o, diagnose):
    """The seed's third case: ten were bought, twenty-five were used."""
    account = o.account(funds_micros=10 * EURO)
    assert diagnose(account)["case"] == "nothing_wrong"
    held = guard.hold(o, account)
    assert guard.settle(o, held, inputTokens=10_000_000, outputTokens=0).status == 200
    said = diagnose(account)
    debt = -said["figures"]["balanceMicros"]
    assert said["case"] == "prepaid_used_up" and debt > 14 * EURO
    assert said["figures"]["hardLimitMicros"] is None and said["figures"]["limit"]["kind"] == "balance"
    assert said["nextAction"] == {"id": "top_up", "text": "Top up the account.", "url": "https://app.example/billing"}
    assert done(said) == {"balance": True, "used_this_month": True, "card_valid": None, "debt_settled": False,
                          "credits_bought": False, "or_pay_as_you_go": False, "guard_lets_through": False,
                          "application_works": None}
    # The debt is paid, and not enough is left for a request.
    o.fund(account, debt + TYPICAL - 1)
    said = diagnose(account)
    assert (said["case"], done(said)["debt_settled"]) == ("prepaid_used_up", True)
    o.fund(account, 1)
    assert diagnose(account)["case"] == "nothing_wrong"


def test_the_hard_limit(o, stripe, diagnose):
    """The seed's 45 of 40; also where what is left does not pay for a request; raising it works at once."""
    c = Customer(o, stripe, card=False)
    use(o, c.id)
    o.fund(c.id, -45 * EURO + TYPICAL)
    o.call("PUT", f"/api/accounts/{c.id}", json={"hardLimitMicros": 40 * EURO})
    said = diagnose(c.id, french=True)
    assert said["case"] == "hard_limit_reached" and said["nextAction"]["id"] == "raise_hard_limit"
    assert "45,00 €" in said["explanation"] and "40,00 €" in said["explanation"]
    assert said["figures"]["limit"] == {"kind": "hard_limit", "ofMember": False, "limitMicros": 40 * EURO,
                                        "usedMicros": 45 * EURO, "resetsAt": None}
    assert done(said)["hard_limit_raised"] is False and done(said)["guard_lets_through"] is False
    for limit, case in ((45 * EURO + TYPICAL - 1, "hard_limit_reached"), (45 * EURO + TYPICAL, "postpaid_normal")):
        o.call("PUT", f"/api/accounts/{c.id}", json={"hardLimitMicros": limit})
        assert diagnose(c.id)["case"] == case
        assert (guard.authorize(o, c.id, inputTokens=500, maxOutputTokens=2000).status == 200) == (case == "postpaid_normal")


def test_a_person_suspended_it(o, stripe, diagnose):
    c = Customer(o, stripe, cents=100, card=False, status="suspended")
    said = diagnose(c.id)
    assert (said["case"], said["nextAction"]["id"], "url" in said["nextAction"]) == ("suspended", "contact_support", False)
    assert done(said)["suspension_lifted"] is False


# -- limits of workspaces -----------------------------------------------------------------------------------


def test_limits(o, diagnose):
    account = o.account(unit="credit", funds_micros=100 * CREDIT)
    for member in ("user:1", "user:2"):
        o.call("PUT", f"/api/accounts/{account}/members/{member}", json={"role": "member"})
    limit = o.call("PUT", f"/api/accounts/{account}/members/user:1", json={"role": "member", "limitMicros": 2 * CREDIT})
    assert limit.status == 200, limit
    guard.charge(o, account, "debrief", quantity=2, member="user:1")
    mine, other, owner = diagnose(account, "user:1"), diagnose(account, "user:2"), diagnose(account)
    assert (mine["case"], other["case"], owner["case"]) == ("member_limit_reached", "nothing_wrong", "nothing_wrong")
    assert mine["figures"]["limit"]["ofMember"] and mine["figures"]["limit"]["usedMicros"] == 2 * CREDIT
    assert mine["nextAction"]["id"] == "ask_manager"
    assert mine["figures"]["typicalRequest"] == {"action": "debrief", "costMicros": CREDIT}
    for period, case in (("daily", "daily_limit_reached"), ("monthly", "monthly_limit_reached")):
        settings = o.call("PUT", f"/api/credits/settings?account={account}", json={f"{period}LimitMicros": 2 * CREDIT})
        assert settings.status == 200, settings
        said = diagnose(account)
        assert (said["case"], said["nextAction"]["id"]) == (case, f"raise_{period}_limit")
        assert said["figures"][f"{period}LimitMicros"] == 2 * CREDIT and done(said)["limit_raised"] is False
        o.call("PUT", f"/api/credits/settings?account={account}", json={f"{period}LimitMicros": None})


def test_a_member_s_own_daily_and_monthly_limit(o, diagnose):
    """The member is told that the limit is its own: raising the account's would not help it."""
    account = o.account(unit="credit", funds_micros=100 * CREDIT)
    o.call("PUT", f"/api/accounts/{account}/members/user:1", json={"role": "member"})
    guard.charge(o, account, "debrief", quantity=2, member="user:1")
    for period, french in (("day", "La limite journalière de ce membre est atteinte"),
                           ("month", "La limite mensuelle de ce membre est atteinte")):
        name = {"day": "daily", "month": "monthly"}[period]
        path = f"/api/accounts/{account}/members/user:1"
        assert o.call("PUT", path, json={"limitMicros": 2 * CREDIT, "period": period}).status == 200
        said = diagnose(account, "user:1")
        assert (said["case"], said["nextAction"]["id"]) == (f"member_{name}_limit_reached", "ask_manager")
        assert said["figures"]["limit"]["ofMember"] and said["figures"]["limit"]["kind"] == name
        assert said["title"] == f"This member's {name} limit is reached" and "2 credits" in said["explanation"]
        assert "it is not the account's limit" in said["explanation"]
        assert done(said)["limit_raised"] is False and done(said)["or_limit_renewed"] is False
        assert diagnose(account, "user:1", french=True)["title"] == french
        shown = o.ctl("account", "diagnose", account, "--member", "user:1", "--lang", "en").stdout
        assert f"This member's {name} limit is reached" in shown and "Ask a manager" in shown, shown
        assert diagnose(account)["case"] == "nothing_wrong"
        # The account's own limit, when it is the tighter one, is told as such.
        o.call("PUT", f"/api/credits/settings?account={account}", json={f"{name}LimitMicros": CREDIT})
        assert diagnose(account, "user:1")["case"] == f"{name}_limit_reached"
        o.call("PUT", f"/api/credits/settings?account={account}", json={f"{name}LimitMicros": None})
        assert o.call("PUT", path, json={"limitMicros": None, "period": period}).status == 200


def test_the_plan_s_credits_are_used_up(o, clock, diagnose):
    clock.set("2027-09-10 12:00:00")
    plans.add(o, "tiny", pool_micros=3 * CREDIT)
    account = o.account(unit="credit", plan="tiny")
    assert diagnose(account)["case"] == "nothing_wrong"
    guard.charge(o, account, "debrief", quantity=3)
    said = diagnose(account)
    assert (said["case"], said["nextAction"]["id"]) == ("allowance_used_up", "buy_credits")
    assert said["figures"]["allowance"] == {"limitMicros": 3 * CREDIT, "usedMicros": 3 * CREDIT,
                                            "resetsAt": "2027-10-01T00:00:00.000Z"}
    assert "2027-10-01" in said["nextAction"]["text"]
    clock.set("2027-10-01 00:00:00")
    assert diagnose(account)["case"] == "nothing_wrong", "what was due is done before"


# -- what is judged as a typical request ------------------------------------------------------------------


def test_the_customer_s_own_key_needs_no_credit(o, diagnose):
    account = o.account(funds_micros=TYPICAL)
    use(o, account)
    assert diagnose(account)["case"] == "prepaid_used_up"
    o.call("PUT", f"/api/accounts/{account}", json={"byok": ["openai"]})
    said = diagnose(account)
    assert said["case"] == "nothing_wrong" and said["figures"]["typicalRequest"] == {"model": "gpt-4o", "costMicros": 0}


def test_a_model_that_the_plan_leaves_out_is_not_typical(o, diagnose):
    account = o.account(unit="credit", funds_micros=100 * CREDIT)
    use(o, account)
    plans.add(o, "cheap", pool_micros=CREDIT, models='["gpt-3.5-turbo"]')
    o.call("PUT", f"/api/accounts/{account}", json={"plan": "cheap"})
    said = diagnose(account)
    assert said["case"] == "nothing_wrong" and said["figures"]["typicalRequest"] == {"costMicros": 1}


# -- callers -------------------------------------------------------------------------------------------------


def test_it_is_read_by_report_and_made_on_first_sight_by_others(o, contract):
    nobody = guard.request_id("nobody")
    contract.hold(o.get(f"{ROUTE}?account={nobody}", key="report"), "GET", ROUTE)
    assert o.get(f"{ROUTE}?account={nobody}", key="report").status == 404
    assert o.get(f"{ROUTE}?account={nobody}", key="guard").status == 403
    assert o.get(f"{ROUTE}?account={nobody}").json["case"] == "prepaid_used_up"
    assert o.get(f"{ROUTE}?account={nobody}", key="report").status == 200


def test_ctl_in_words(o):
    account = o.account(funds_micros=-2_500_000)
    said = o.ctl("account", "diagnose", account, "--lang", "fr").stdout
    assert said.startswith("prepaid_used_up: Les crédits prépayés sont épuisés\n")
    assert "[x] Solde : -2,50 €\n" in said and "[ ] Il ne reste pas de dette\n" in said
    assert "[?] Test dans l'application : elle fonctionne\n" in said
    assert said.endswith("\nÀ faire : Rechargez le compte.\nhttps://app.example/billing\n")
    assert o.ctl("account", "diagnose", guard.request_id("nobody"), check=False).returncode == 1
    assert o.ctl("account", "diagnose", account, "--lang", "de", check=False).returncode == 2

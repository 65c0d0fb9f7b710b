"""Workspaces as the application sees them: plans, members, spending limits, and what a refusal says of them.

What a plan gives and when is tests/model's to prove; here it is whether routes, guard and octroictl show and keep it.
"""

import datetime
import json
import urllib.parse

import pytest

import guard
import plans
from conftest import SETTINGS
from guard import authorize, charge, request_id
from octroi import Octroi
from timetravel import Clock, instant_us

CREDIT = 1_000_000


def put(o, account, **fields):
    return o.call("PUT", f"/api/accounts/{account}", json=fields)


def show(o, account):
    answer = o.get(f"/api/accounts/{account}")
    assert answer.status == 200, answer
    return answer.json


def put_member(o, account, member, **fields):
    answer = o.call("PUT", f"/api/accounts/{account}/members/{member}", json=fields)
    assert answer.status == 200, answer
    return answer.json


def get_member(o, account, member):
    answer = o.get(f"/api/accounts/{account}/members/{member}")
    assert answer.status == 200, answer
    return answer.json


def remove_member(o, account, member):
    answer = o.call("DELETE", f"/api/accounts/{account}/members/{member}")
    assert answer.status == 200, answer


def credits(o, account, member=None):
    """GET /api/credits as the account's browser, or a member's."""
    body = {"account": account, **({"member": member} if member else {})}
    token = o.post("/api/tokens", body, key="app").json["token"]
    answer = o.get("/api/credits", key=token, public=True)
    assert answer.status == 200, answer
    return answer.json


def team(o, funds=100, members=("user:1", "user:2"), **fields):
    """A workspace of credits: user:1 manages it, the others are its members."""
    account = o.account(request_id("ws"), unit="credit", funds_micros=funds * CREDIT, **fields)
    for number, member in enumerate(members):
        put_member(o, account, member, role="manager" if number == 0 else "member")
    return account


def check(o, account, member="", model=None):
    """The gate's answers: of GET /api/guard/check and of octroictl gate, which must agree."""
    query = {"account": account, **({"member": member} if member else {}), **({"model": model} if model else {})}
    answer = o.get("/api/guard/check?" + urllib.parse.urlencode(query), key="guard")
    line = o.ctl("gate", input=f"{account},{member},{model or ''}\n").stdout.strip()
    if answer.status == 204:
        assert line == "204"
    else:
        assert line == f"{answer.headers['x-octroi-status']} {answer.headers['x-octroi-error']}", (line, answer)
    return answer


# ---- members ------------------------------------------------------------------------------------------


def test_members_are_shown(server):
    account = team(server)
    said = put_member(server, account, "user:2", limitMicros=5 * CREDIT)
    assert (said["account"], said["member"], said["role"], said["limitMicros"], said["usedMicros"]) == (
        account, "user:2", "member", 5 * CREDIT, 0)
    assert get_member(server, account, "user:2") == said
    assert show(server, account)["members"] == {"managers": 1, "members": 1, "seats": None}
    listed = server.get(f"/api/accounts/{account}/members").json
    assert [m["member"] for m in listed["items"]] == ["user:1", "user:2"] and listed["nextCursor"] is None
    assert listed["items"][1] == {k: v for k, v in said.items() if k != "account"}


def test_a_limit_alone_makes_a_member_and_leaves_the_role(nginx):
    account = nginx.account(unit="credit")
    assert put_member(nginx, account, "user:1", limitMicros=5)["role"] == "member"  # nobody manages by accident
    assert put_member(nginx, account, "user:1", role="manager")["limitMicros"] == 5
    said = put_member(nginx, account, "user:1", limitMicros=7, period="day")
    assert (said["role"], said["limitMicros"], said["dailyLimitMicros"], said["monthlyLimitMicros"]) == ("manager", 5, 7, None)
    said = put_member(nginx, account, "user:1", limitMicros=None, period="period")
    assert (said["limitMicros"], said["dailyLimitMicros"]) == (None, 7)
    said = put_member(nginx, account, "user:1", limitMicros=9, period="month")
    assert (said["dailyLimitMicros"], said["monthlyLimitMicros"]) == (7, 9)
    assert put_member(nginx, account, "user:1") == said


@pytest.mark.parametrize("fields, field", [
    ({"limitMicros": -1}, "limitMicros"), ({"limitMicros": "5"}, "limitMicros"), ({"limitMicros": 10**18 + 1}, "limitMicros"),
    ({"limitMicros": 5, "period": "year"}, "period"), ({"period": "day"}, "period"), ({"role": 1}, "role"),
    ({"quotaMicros": 5}, "quotaMicros"),
])
def test_members_that_are_none(nginx, fields, field):
    account = nginx.account()
    answer = nginx.call("PUT", f"/api/accounts/{account}/members/user:1", json=fields)
    assert answer.status == 400 and answer.json["field"] == field, answer
    assert nginx.get(f"/api/accounts/{account}/members").json["items"] == []


def test_members_in_pages(nginx):
    account = nginx.account()
    names = sorted(f"user:{n}" for n in range(25))
    for name in names:
        put_member(nginx, account, name)
    seen, cursor, pages = [], "", 0
    while cursor is not None:
        page = nginx.get(f"/api/accounts/{account}/members?limit=7" + (cursor and f"&cursor={cursor}")).json
        seen += [m["member"] for m in page["items"]]
        cursor, pages = page["nextCursor"], pages + 1
    assert (seen, pages) == (names, 4)
    answer = nginx.get(f"/api/accounts/{account}/members?cursor=a%20b")
    assert answer.status == 400 and answer.json["field"] == "cursor"


def test_what_is_not_there(nginx):
    nobody = request_id("nobody")
    for path in (f"/api/accounts/{nobody}", f"/api/accounts/{nobody}/members", f"/api/accounts/{nobody}/members/user:1"):
        answer = nginx.get(path, headers={"Accept-Language": "fr"})
        assert (answer.status, answer.json["message"]) == (404, "Workspace non trouvé"), answer
        assert nginx.get(path).json["message"] == "Workspace not found"
    account = nginx.account()
    assert nginx.get(f"/api/accounts/{account}/members/user:1").status == 404
    assert nginx.sql(f"SELECT COUNT(*) FROM accounts WHERE id = {guard.key_of(nobody)}") == [("0",)]


def test_a_removed_member_leaves_its_history(server):
    account = team(server)
    for member, action in (("user:1", "debrief"), ("user:2", "debrief"), ("user:2", "evaluation"), ("user:2", "debrief")):
        assert charge(server, account, action, member=member).status == 200
    remove_member(server, account, "user:2")
    gone = get_member(server, account, "user:2")
    assert gone["removedAt"] and gone["usedMicros"] == 3 * CREDIT
    assert [m["member"] for m in server.get(f"/api/accounts/{account}/members").json["items"]] == ["user:1", "user:2"]
    assert show(server, account)["members"]["members"] == 0

    def items(query):
        return server.get(f"/api/credits/usages?account={account}&{query}").json["items"]

    assert [(u["member"], u["action"], u["costMicros"]) for u in items("member=user:2")] == [
        ("user:2", "debrief", CREDIT), ("user:2", "evaluation", CREDIT), ("user:2", "debrief", CREDIT)]
    assert len(items("member=user:2&action=debrief")) == 2 and len(items("action=debrief")) == 3
    for by, wanted in (("member", [("user:2", 3), ("user:1", 1)]), ("action", [("debrief", 3), ("evaluation", 1)])):
        summary = server.get(f"/api/credits/summary?account={account}&by={by}").json
        assert [(i["key"], i["requests"]) for i in summary["items"]] == wanted
        assert summary["totalMicros"] == 4 * CREDIT


# ---- limits -------------------------------------------------------------------------------------------


def refused(answer, error, kind):
    assert answer.status == 402 and answer.json["error"] == error, answer
    limit = answer.json["limit"]
    assert limit["kind"] == kind, answer
    return limit


def test_a_members_limit(server):
    account = team(server, members=("user:1", "user:2", "user:3"))
    put_member(server, account, "user:2", limitMicros=3 * CREDIT)
    for _ in range(3):
        assert charge(server, account, "debrief", member="user:2").status == 200
    answer = charge(server, account, "debrief", member="user:2")
    limit = refused(answer, "MEMBER_LIMIT_REACHED", "member")
    assert (limit["limitMicros"], limit["usedMicros"], limit["member"]) == (3 * CREDIT, 3 * CREDIT, "user:2")
    assert limit["resetsAt"] == get_member(server, account, "user:2")["resetsAt"]
    assert (answer.json["neededMicros"], answer.json["availableMicros"], answer.json["shortfallMicros"]) == (CREDIT, 0, CREDIT)
    assert answer.json["message"].startswith("This member's limit of 3 credits is reached. 0 credits left, 1 credit needed.")
    french = server.post("/api/guard/charge", {"account": account, "member": "user:2", "action": "debrief"},
                         headers={"Accept-Language": "fr"})
    assert french.json["message"].startswith(
        "La limite de 3 crédits de ce membre est atteinte. Il reste 0 crédit, 1 crédit nécessaires. Elle se renouvelle le ")
    assert charge(server, account, "debrief", member="user:3").status == 200
    assert charge(server, account, "debrief").status == 200
    put_member(server, account, "user:2", limitMicros=None)
    assert charge(server, account, "debrief", member="user:2").status == 200


def test_every_guard_says_the_same(server):
    account = team(server)
    put_member(server, account, "user:2", limitMicros=2 * CREDIT)
    assert check(server, account, "user:2").headers["x-octroi-available-micros"] == str(2 * CREDIT)
    held = authorize(server, account, None, action="debrief", quantity=2, member="user:2")
    assert held.status == 200, held
    answers = [authorize(server, account, None, action="debrief", member="user:2"),
               charge(server, account, "debrief", member="user:2"),
               authorize(server, account, "gpt-4o", member="user:2"),
               authorize(server, account, None, models=["gpt-4o", "gpt-3.5-turbo"], member="user:2", fit=True)]
    for answer in answers:
        limit = refused(answer, "MEMBER_LIMIT_REACHED", "member")
        assert (limit["limitMicros"], limit["usedMicros"], answer.json["availableMicros"]) == (2 * CREDIT, 2 * CREDIT, 0)
    gate = check(server, account, "user:2")
    assert (gate.status, gate.headers["x-octroi-error"]) == (403, "MEMBER_LIMIT_REACHED"), gate
    assert check(server, account, "user:1").status == 204
    assert get_member(server, account, "user:2")["heldMicros"] == 2 * CREDIT
    assert guard.release(server, held.json["hold"]).status == 200
    assert check(server, account, "user:2").status == 204


@pytest.mark.parametrize("name, kind, word", [("dailyLimitMicros", "daily", "daily"), ("monthlyLimitMicros", "monthly", "monthly")])
def test_a_spending_limit_of_the_account(server, name, kind, word):
    account = server.account(unit="credit", funds_micros=100 * CREDIT)
    assert charge(server, account, "debrief").status == 200  # before there is any limit
    assert put(server, account, **{name: 3 * CREDIT}).status == 200
    limits = show(server, account)["limits"]
    assert (limits[name], limits[f"{kind}UsedMicros"]) == (3 * CREDIT, CREDIT)
    for _ in range(2):
        assert charge(server, account, "debrief").status == 200
    answer = charge(server, account, "debrief")
    limit = refused(answer, "SPENDING_LIMIT_REACHED", kind)
    assert (limit["limitMicros"], limit["usedMicros"]) == (3 * CREDIT, 3 * CREDIT) and "member" not in limit
    assert limit["resetsAt"] == show(server, account)["limits"][f"{kind}ResetsAt"]
    assert answer.json["message"].startswith(f"The {word} spending limit of 3 credits is reached. 0 credits left, 1 credit needed.")
    assert check(server, account).headers["x-octroi-error"] == "SPENDING_LIMIT_REACHED"
    assert put(server, account, **{name: None}).status == 200
    assert show(server, account)["limits"][name] is None
    assert charge(server, account, "debrief").status == 200


@pytest.mark.parametrize("period, kind", [("day", "daily"), ("month", "monthly")])
def test_a_spending_limit_of_a_member(nginx, period, kind):
    account = team(nginx)
    put_member(nginx, account, "user:2", limitMicros=CREDIT, period=period)
    assert charge(nginx, account, "debrief", member="user:2").status == 200
    answer = charge(nginx, account, "debrief", member="user:2")
    limit = refused(answer, "SPENDING_LIMIT_REACHED", kind)
    assert (limit["limitMicros"], limit["usedMicros"], limit["member"]) == (CREDIT, CREDIT, "user:2")
    assert answer.json["message"].startswith(f"This member's {kind} spending limit of 1 credit is reached.")
    assert charge(nginx, account, "debrief", member="user:1").status == 200


def test_what_is_left_is_what_the_member_can_spend(server):
    account = team(server)
    put_member(server, account, "user:2", limitMicros=5 * CREDIT)
    answer = charge(server, account, "debrief", member="user:2", quantity=2)
    assert answer.status == 200, answer
    said = answer.json
    assert (said["creditsConsumed"], said["creditsRemaining"], said["balanceMicros"]) == (2, 3, 98 * CREDIT)
    assert said["message"] == "2 credits used"
    french = server.post("/api/guard/charge", {"account": account, "action": "debrief", "quantity": 2},
                         headers={"Accept-Language": "fr"}).json
    assert (french["creditsRemaining"], french["message"]) == (96, "2 crédits consommés")
    seen = credits(server, account, "user:2")
    assert (seen["spendableMicros"], seen["balanceMicros"]) == (3 * CREDIT, 96 * CREDIT)
    assert (seen["member"]["member"], seen["member"]["limitMicros"], seen["member"]["usedMicros"]) == ("user:2", 5 * CREDIT, 2 * CREDIT)
    whole = credits(server, account)
    assert whole["spendableMicros"] == 96 * CREDIT and "member" not in whole
    assert "member" not in credits(server, account, "user:stranger")


def test_the_seeds_sentence_for_a_team(server):
    account = team(server, funds=3)
    answer = server.post("/api/guard/charge", {"account": account, "action": "debrief", "quantity": 5, "member": "user:2"},
                         headers={"Accept-Language": "fr"})
    assert answer.status == 402 and answer.json["code"] == "insufficient_quota", answer
    assert answer.json["message"] == "Crédits IA insuffisants pour votre équipe. Il reste 3 crédits, 5 nécessaires."


def test_an_account_without_any_of_this_shows_none_of_it(nginx):
    account = nginx.account(funds_micros=CREDIT)
    assert charge(nginx, account, "debrief").status == 200
    for said in (show(nginx, account), credits(nginx, account)):
        assert not {"plan", "nextPlan", "allowance", "members", "limits", "statement", "spendableMicros", "member", "reason"} & set(said)
    assert nginx.sql(f"SELECT workspace FROM accounts WHERE id = {guard.key_of(account)}") == [("0",)]


# ---- plans --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def timed():
    """An octroi whose database's clock the tests set, with some plans."""
    with Octroi("nginx", settings=SETTINGS) as o:
        plans.add(o, "starter", title="Starter", pool_micros=500 * CREDIT, seats_from=1, seats_to=2)
        plans.add(o, "professional", pool_micros=1500 * CREDIT, seats_from=6, seats_to=15)
        plans.add(o, "seats", scope=1, manager_micros=20 * CREDIT, member_micros=10 * CREDIT, seats_to=5)
        plans.add(o, "euros", unit=0, pool_micros=500 * CREDIT)
        plans.add(o, "small", pool_micros=500 * CREDIT, models='["gpt-3.5-turbo"]')
        o.clock = Clock(o)
        yield o


def when(local, zone="UTC"):
    """As answers write it."""
    seconds = instant_us(local, zone) // 10**6
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def test_a_plan_is_shown(timed):
    timed.clock.set("2027-01-10 12:00:00", "Europe/Paris")
    account = team(timed, funds=0, timeZone="Europe/Paris")
    assert put(timed, account, plan="starter").status == 200
    said = show(timed, account)
    assert said["plan"] == "starter" and "nextPlan" not in said
    assert said["allowance"] == {
        "limitMicros": 500 * CREDIT, "usedMicros": 0, "carriedMicros": 0, "reservedMicros": 0,
        "startsAt": when("2027-01-01", "Europe/Paris"), "resetsAt": when("2027-02-01", "Europe/Paris")}
    assert said["members"] == {"managers": 1, "members": 1, "seats": 2}
    assert charge(timed, account, "debrief", quantity=7, member="user:2").status == 200
    assert credits(timed, account)["allowance"]["usedMicros"] == 7 * CREDIT
    assert get_member(timed, account, "user:2")["resetsAt"] == when("2027-02-01", "Europe/Paris")
    timed.clock.set("2027-02-01 00:00:01", "Europe/Paris")
    said = show(timed, account)
    assert (said["allowance"]["usedMicros"], said["balanceMicros"]) == (0, 500 * CREDIT)
    assert said["allowance"]["resetsAt"] == when("2027-03-01", "Europe/Paris")
    assert get_member(timed, account, "user:2")["usedMicros"] == 0


def test_a_plan_that_waits(timed):
    timed.clock.set("2027-01-10 12:00:00")
    account = team(timed, funds=0, plan="professional")
    assert put(timed, account, plan="starter").status == 200
    said = show(timed, account)
    assert (said["plan"], said["nextPlan"], said["balanceMicros"]) == ("professional", "starter", 1500 * CREDIT)
    assert put(timed, account, plan=None).status == 200
    said = credits(timed, account)
    assert (said["plan"], said["nextPlan"]) == ("professional", None)
    assert put(timed, account, plan="professional").status == 200
    assert "nextPlan" not in show(timed, account)


def test_plans_that_cannot_be(timed):
    account = team(timed, funds=0)
    for plan, status, error in (("unheard-of", 422, "UNKNOWN_PLAN"), ("euros", 409, "PLAN_OTHER_UNIT")):
        answer = put(timed, account, plan=plan)
        assert (answer.status, answer.json["error"]) == (status, error), answer
    assert put(timed, account, plan="starter").status == 200
    put_member(timed, account, "user:3")
    answer = timed.call("PUT", f"/api/accounts/{account}/members/user:4", json={"role": "member"})
    assert (answer.status, answer.json["error"]) == (409, "SEATS_TAKEN"), answer


def test_a_model_that_the_plan_has_not(timed):
    account = team(timed, funds=0, plan="small")
    answer = authorize(timed, account, "gpt-4o")
    assert (answer.status, answer.json["error"]) == (403, "MODEL_NOT_IN_PLAN"), answer
    assert authorize(timed, account, None, models=["gpt-4o", "gpt-3.5-turbo"]).json["model"] == "gpt-3.5-turbo"
    assert check(timed, account, model="gpt-4o").headers["x-octroi-error"] == "MODEL_NOT_IN_PLAN"


def test_shares_of_others_are_shown_and_kept(timed):
    timed.clock.set("2027-01-10 12:00:00")
    account = team(timed, funds=0, plan="seats")
    said = credits(timed, account, "user:2")
    assert (said["allowance"]["limitMicros"], said["allowance"]["reservedMicros"]) == (30 * CREDIT, 30 * CREDIT)
    assert (said["member"]["quotaMicros"], said["spendableMicros"]) == (10 * CREDIT, 10 * CREDIT)
    assert credits(timed, account)["spendableMicros"] == 0  # nothing of it is for nobody in particular
    assert charge(timed, account, "debrief", quantity=10, member="user:2").status == 200
    answer = charge(timed, account, "debrief", member="user:2")
    limit = refused(answer, "MEMBER_LIMIT_REACHED", "member")
    assert (limit["limitMicros"], limit["usedMicros"], limit["member"]) == (10 * CREDIT, 10 * CREDIT, "user:2")
    assert charge(timed, account, "debrief", quantity=20, member="user:1").status == 200


def test_days_are_those_of_the_time_zone(timed):
    timed.clock.set("2027-06-30 23:30:00", "America/New_York")
    account = timed.account(unit="credit", funds_micros=100 * CREDIT, timeZone="America/New_York")
    assert charge(timed, account, "debrief", quantity=2).status == 200
    assert put(timed, account, dailyLimitMicros=2 * CREDIT, monthlyLimitMicros=3 * CREDIT).status == 200
    limits = show(timed, account)["limits"]
    assert (limits["dailyUsedMicros"], limits["monthlyUsedMicros"]) == (2 * CREDIT, 2 * CREDIT)
    answer = charge(timed, account, "debrief")
    assert refused(answer, "SPENDING_LIMIT_REACHED", "daily")["resetsAt"] == when("2027-07-01", "America/New_York")
    assert answer.json["message"].endswith("It resets at 2027-07-01 04:00 UTC.")
    timed.clock.set("2027-07-01 00:00:00", "America/New_York")
    limits = show(timed, account)["limits"]
    assert (limits["dailyUsedMicros"], limits["monthlyUsedMicros"]) == (0, 0)
    assert limits["dailyResetsAt"] == when("2027-07-02", "America/New_York")
    assert limits["monthlyResetsAt"] == when("2027-08-01", "America/New_York")
    assert charge(timed, account, "debrief", quantity=2).status == 200


# ---- octroictl ----------------------------------------------------------------------------------------


def test_octroictl_sets_and_shows_it(timed):
    timed.clock.set("2027-01-10 12:00:00")
    account = timed.account(unit="credit", funds_micros=100 * CREDIT)
    said = json.loads(timed.ctl("--json", "account", "set", account, "--plan", "starter", "--time-zone", "Europe/Paris",
                                "--daily-limit", "50", "--monthly-limit", "200.5").stdout)["account"]
    assert said == timed.get(f"/api/accounts/{account}", key="app").json, "octroictl shows the API's own answer"
    assert (said["plan"], said["timeZone"], said["limits"]["dailyLimitMicros"], said["limits"]["monthlyLimitMicros"]) == (
        "starter", "Europe/Paris", 50 * CREDIT, 200_500_000)
    assert (said["allowance"]["limitMicros"], said["allowance"]["usedMicros"], said["allowance"]["resetsAt"]) == (
        500 * CREDIT, 0, when("2027-02-01", "Europe/Paris"))
    said = json.loads(timed.ctl("--json", "account", "set", account, "--plan", "none", "--daily-limit", "none").stdout)["account"]
    assert (said["plan"], said["nextPlan"], said["limits"]["dailyLimitMicros"]) == ("starter", None, None)
    assert "next plan" in timed.ctl("account", "show", account).stdout
    for arguments, status in ((("--plan", "unheard-of"), 1), (("--time-zone", "Mars/Base"), 2), (("--daily-limit", "x"), 2)):
        assert timed.ctl("account", "set", account, *arguments, check=False).returncode == status, arguments


def test_octroictl_and_members(timed):
    account = timed.account(unit="credit", funds_micros=100 * CREDIT)
    timed.ctl("member", "set", account, "user:1", "--role", "manager")
    timed.ctl("member", "set", account, "user:2", "--limit", "5", "--daily-limit", "2.5", "--monthly-limit", "none")
    assert charge(timed, account, "debrief", quantity=2, member="user:2").status == 200
    first, second = json.loads(timed.ctl("--json", "member", "list", account).stdout)["items"]
    assert (first["member"], first["role"], first["limitMicros"]) == ("user:1", "manager", None)
    assert (second["role"], second["limitMicros"], second["dailyLimitMicros"], second["monthlyLimitMicros"]) == (
        "member", 5 * CREDIT, 2_500_000, None)
    assert (second["usedMicros"], second["dailyUsedMicros"], second["monthlyUsedMicros"]) == (2 * CREDIT,) * 3
    assert charge(timed, account, "debrief", member="user:2").status == 402
    timed.ctl("member", "remove", account, "user:2")
    listed = timed.ctl("member", "list", account).stdout
    assert "user:2" in listed and listed.count("2.50") == 1
    for arguments, status in ((("list", "nobody"), 1), (("set", "nobody", "user:1"), 1), (("remove", account, "user:9"), 1),
                              (("set", account, "a b"), 2), (("set", account, "user:1", "--role", "king"), 2)):
        assert timed.ctl("member", *arguments, check=False).returncode == status, arguments


# ---- postpaid -----------------------------------------------------------------------------------------


def test_what_a_postpaid_account_owes(timed):
    timed.clock.set("2027-01-10 12:00:00", "Europe/Paris")
    account = timed.account(mode="postpaid", hardLimitMicros=5 * CREDIT, softLimitMicros=4 * CREDIT, timeZone="Europe/Paris")
    held = guard.hold(timed, account)
    cost = guard.settle(timed, held, inputTokens=1000, outputTokens=1000).json["costMicros"]
    for said in (show(timed, account), credits(timed, account)):
        assert said["statement"] == {"owedMicros": cost, "nextAt": when("2027-02-01", "Europe/Paris")}
        assert (said["limits"]["hardLimitMicros"], said["limits"]["softLimitMicros"]) == (5 * CREDIT, 4 * CREDIT)
        assert (said["status"], said["spendableMicros"] if "spendableMicros" in said else None) in (
            ("active", None), ("active", 5 * CREDIT - cost))


def test_why_an_account_is_suspended(nginx):
    account = nginx.account(funds_micros=CREDIT)
    assert put(nginx, account, status="suspended").status == 200
    for said in (show(nginx, account), credits(nginx, account)):
        assert (said["status"], said["reason"]) == ("suspended", "manual")
    nginx.sql(f"UPDATE accounts SET status = 3 WHERE id = {guard.key_of(account)}")
    assert (show(nginx, account)["status"], show(nginx, account)["reason"]) == ("suspended", "unpaid")
    nginx.sql(f"UPDATE accounts SET status = 2 WHERE id = {guard.key_of(account)}")
    assert show(nginx, account)["status"] == "past_due" and "reason" not in show(nginx, account)
    assert put(nginx, account, status="active").status == 200
    assert show(nginx, account)["status"] == "active"

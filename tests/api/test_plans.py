"""Plans through octroictl and the web server: what they give each month, whom, and what stays when it ends."""

import json

import pytest

from guard import charge, key_of, request_id
from octroi import TOP, Octroi
from timetravel import Clock, instant_us

CREDIT = 1_000_000


@pytest.fixture(scope="module")
def office():
    """An octroi whose database's clock the tests set; the plans that init brings are there."""
    with Octroi("nginx", settings={"action_price": "1"}) as o:
        yield o


@pytest.fixture
def clock(office):
    c = Clock(office)
    c.set("2027-03-10 12:00:00")
    yield c
    c.release()


def listed(o, *options):
    return json.loads(o.ctl("plan", "list", "--json", *options).stdout)["items"]


def plan(o, name):
    return next(p for p in listed(o) if p["name"] == name)


def put(o, account, **fields):
    return o.call("PUT", f"/api/accounts/{account}", json=fields, key="app")


def member(o, account, name, role="member"):
    answer = o.call("PUT", f"/api/accounts/{account}/members/{name}", json={"role": role}, key="app")
    assert answer.status in (200, 201), answer
    return answer


def on_plan(o, name, **fields):
    return o.account(unit="credit", plan=name, **fields)


def spend(o, account, credits, who=""):
    """That many credits, an action of one each."""
    fields = {"member": who} if who else {}
    return charge(o, account, "step", quantity=credits, requestId=request_id(), **fields)


def show(o, account):
    answer = o.get(f"/api/credits?account={account}")
    assert answer.status == 200, answer
    return answer.json


def allowance(o, account):
    said = show(o, account)["allowance"]
    return said["limitMicros"], said["usedMicros"], said["limitMicros"] - said["usedMicros"]


def booked(o, account):
    """Allowances as they were booked: plan, reason, amount."""
    return [(p, int(reason), int(amount)) for p, reason, amount in o.sql(
        f"SELECT plan, reason, amount_micros FROM allowances WHERE account_id = {key_of(account)} ORDER BY seq")]


# ---- octroictl -----------------------------------------------------------------------------------------


def test_the_plans_to_begin_with(office):
    by_name = {p["name"]: p for p in listed(office)}
    starter, professional = by_name["Starter"], by_name["Professional"]
    assert (starter["scope"], starter["poolMicros"], starter["seatsFrom"], starter["seatsTo"]) == ("pool", 500 * CREDIT, 1, 5)
    assert (professional["poolMicros"], professional["seatsFrom"], professional["seatsTo"]) == (1500 * CREDIT, 6, 15)
    assert (starter["expectedManagerMicros"], starter["expectedMemberMicros"]) == (65 * CREDIT, 30 * CREDIT)
    assert (professional["expectedManagerMicros"], professional["expectedMemberMicros"]) == (80 * CREDIT, 35 * CREDIT)


def test_a_second_init_changes_nothing(office):
    before = listed(office, "--all")
    office.ctl("plan", "set", "Solo", "--scope", "pool", "--pool", "10")
    office.ctl("plan", "set", "Starter", "--scope", "pool", "--pool", "501", "--seats", "1-5", "--expected-manager", "65",
               "--expected-member", "30")
    changed = listed(office, "--all")
    assert len(changed) == len(before) + 2
    done = json.loads(office.ctl("init", "--sql", TOP / "sql", "--json").stdout)
    assert done["plans"] == 0
    assert listed(office, "--all") == changed
    office.ctl("plan", "set", "Starter", "--scope", "pool", "--pool", "500", "--seats", "1-5", "--expected-manager", "65",
               "--expected-member", "30")
    assert plan(office, "Starter")["poolMicros"] == 500 * CREDIT


def test_set_says_all_of_a_plan(office):
    said = json.loads(office.ctl(
        "plan", "set", "Studio", "--title", "Studio à trois", "--unit", "credit", "--scope", "mixed", "--pool", "100.5",
        "--manager", "20", "--member", "10", "--managers", "2", "--seats", "2-9", "--rollover", "50", "--action",
        "debrief=2.5", "--action", "summary=1", "--model", "gpt-4o", "--model", "gpt-3.5-turbo", "--expected-manager", "12",
        "--expected-member", "7", "--fee", "49.90", "--json").stdout)
    assert (said["stored"], said["unchanged"]) == (1, 0)
    studio = plan(office, "Studio")
    expected = {"title": "Studio à trois", "unit": "credit", "scope": "mixed", "poolMicros": 100_500_000,
                "managerMicros": 20 * CREDIT, "memberMicros": 10 * CREDIT, "managers": 2, "seatsFrom": 2, "seatsTo": 9,
                "rolloverMicros": 50 * CREDIT, "expectedManagerMicros": 12 * CREDIT, "expectedMemberMicros": 7 * CREDIT,
                "fee": "49.90", "actions": "debrief=2.5 summary=1", "models": "gpt-4o gpt-3.5-turbo", "version": said["version"]}
    assert {key: studio[key] for key in expected} == expected
    again = json.loads(office.ctl(
        "plan", "set", "Studio", "--title", "Studio à trois", "--scope", "mixed", "--pool", "100.5", "--manager", "20",
        "--member", "10", "--managers", "2", "--seats", "2-9", "--rollover", "50", "--action", "summary=1", "--action",
        "debrief=2.5", "--model", "gpt-4o", "--model", "gpt-3.5-turbo", "--expected-manager", "12", "--expected-member", "7",
        "--fee", "49.9", "--json").stdout)
    assert (again["stored"], again["unchanged"]) == (0, 1)


@pytest.mark.parametrize("arguments, says", [
    (["X"], "--scope"), (["X", "--scope", "team"], "scope"), (["X", "--scope", "pool", "--pool", "-1"], "pool"),
    (["X", "--scope", "pool", "--pool", "1.1234567"], "pool"), (["X", "--scope", "pool", "--member", "1"], "fit"),
    (["X", "--scope", "seat", "--pool", "1"], "fit"), (["X", "--scope", "pool", "--seats", "5"], "--seats"),
    (["X", "--scope", "pool", "--seats", "5-1"], "fit"), (["X", "--scope", "pool", "--action", "debrief"], "--action"),
    (["X", "--scope", "pool", "--action", "debrief=-1"], "actions"), (["é", "--scope", "pool"], "fit"),
    (["x" * 64, "--scope", "pool"], "name"), (["X", "--scope", "pool", "--fee", "1.234"], "fee"),
    (["X", "--scope", "seat", "--member", "1000000000000"], "fit"), (["X", "--scope", "pool", "--unit", "euro"], "unit"),
])
def test_what_is_no_plan(office, arguments, says):
    before = listed(office, "--all")
    done = office.ctl("plan", "set", *arguments, check=False)
    assert done.returncode == 2 and says in done.stderr, done.stderr
    assert listed(office, "--all") == before


def test_import(office, tmp_path):
    path = tmp_path / "plans.json"
    path.write_text(json.dumps([{"name": "A1", "scope": "pool", "pool": 1.5}, {"name": "A2", "scope": "seat", "member": "2"}]))
    said = json.loads(office.ctl("plan", "import", path, "--json").stdout)
    assert said["stored"] == 2
    assert (plan(office, "A1")["poolMicros"], plan(office, "A2")["memberMicros"]) == (1_500_000, 2 * CREDIT)
    assert plan(office, "A1")["version"] == plan(office, "A2")["version"]
    for wrong in ("{}", "[1]", '[{"name": "A3"}]', '[{"name": "A3", "scope": "pool", "seats": 5}]', "[",
                  '[{"name": "A3", "scope": "pool"}, {"name": "A3", "scope": "pool"}]',
                  '[{"name": "A3", "scope": "pool"}, {"name": "A4", "scope": "pool", "pool": -5}]'):
        done = office.ctl("plan", "import", "-", input=wrong, check=False)
        assert done.returncode == 2, wrong
    assert not [p for p in listed(office) if p["name"] in ("A3", "A4")]


# ---- the figures that people were promised -----------------------------------------------------------


@pytest.mark.parametrize("name, people, manager, each, used, left", [
    ("Starter", 5, 65, 30, 215, 285),
    ("Professional", 15, 80, 35, 605, 895),
])
def test_the_usual_month(office, clock, name, people, manager, each, used, left):
    account = on_plan(office, name)
    member(office, account, "boss", "manager")
    assert spend(office, account, manager, "boss").status == 200
    for i in range(people):
        member(office, account, f"m{i}")
        assert spend(office, account, each, f"m{i}").status == 200
    assert allowance(office, account) == ((used + left) * CREDIT, used * CREDIT, left * CREDIT)
    assert show(office, account)["allowance"]["resetsAt"] == "2027-04-01T00:00:00.000Z"
    full = office.call("PUT", f"/api/accounts/{account}/members/late", json={"role": "member"}, key="app")
    assert (full.status, full.json["error"]) == (409, "SEATS_TAKEN")
    refused = spend(office, account, left + 1, "m0")
    assert (refused.status, refused.json["error"]) == (402, "INSUFFICIENT_CREDITS")
    assert refused.json["limit"]["resetsAt"] == "2027-04-01T00:00:00.000Z"
    clock.set("2027-04-01 00:00:00")
    assert spend(office, account, 1).status == 200
    assert allowance(office, account) == ((used + left) * CREDIT, CREDIT, (used + left - 1) * CREDIT)
    assert booked(office, account) == [(name, 0, (used + left) * CREDIT), (name, 1, 0), (name, 0, (used + left) * CREDIT)]


def test_paid_credits_stay(office, clock):
    account = on_plan(office, "Starter", funds_micros=100 * CREDIT)
    assert spend(office, account, 550).status == 200  # all of the allowance first
    assert show(office, account)["balanceMicros"] == 50 * CREDIT
    clock.set("2027-04-02 00:00:00")
    office.ctl("tick")
    assert show(office, account)["balanceMicros"] == 550 * CREDIT
    assert put(office, account, plan=None).status == 200
    clock.set("2027-05-02 00:00:00")
    office.ctl("tick")
    said = show(office, account)
    assert said["balanceMicros"] == 50 * CREDIT and "allowance" not in said


def test_up_at_once_and_down_at_the_end(office, clock):
    account = on_plan(office, "Starter")
    assert spend(office, account, 200).status == 200
    assert put(office, account, plan="Professional").status == 200
    assert allowance(office, account) == (1500 * CREDIT, 200 * CREDIT, 1300 * CREDIT)
    assert put(office, account, plan="Starter").status == 200
    said = show(office, account)
    assert (said["plan"], said["nextPlan"], said["allowance"]["limitMicros"]) == ("Professional", "Starter", 1500 * CREDIT)
    assert put(office, account, plan="Professional").status == 200
    assert "nextPlan" not in show(office, account)
    assert put(office, account, plan="Starter").status == 200
    clock.set("2027-04-01 00:00:01")
    office.ctl("tick")
    said = show(office, account)
    assert (said["plan"], said["allowance"]["limitMicros"], said["balanceMicros"]) == ("Starter", 500 * CREDIT, 500 * CREDIT)
    assert booked(office, account) == [("Starter", 0, 500 * CREDIT), ("Professional", 2, 1000 * CREDIT), ("Starter", 1, 0),
                                       ("Starter", 0, 500 * CREDIT)]


def test_what_is_left_may_stay(office, clock):
    office.ctl("plan", "set", "Keeper", "--scope", "pool", "--pool", "100", "--rollover", "30")
    account = on_plan(office, "Keeper")
    spend(office, account, 50)
    clock.set("2027-04-01 00:00:00")
    office.ctl("tick")
    assert allowance(office, account) == (130 * CREDIT, 0, 130 * CREDIT)
    spend(office, account, 120)
    clock.set("2027-05-01 00:00:00")
    office.ctl("tick")
    assert allowance(office, account) == (110 * CREDIT, 0, 110 * CREDIT)


def test_an_edited_plan_counts_from_the_next_month(office, clock):
    clock.release()  # a version starts at the machine's time
    clock.forward(seconds=0)
    office.ctl("plan", "set", "Edited", "--scope", "pool", "--pool", "100")
    account = on_plan(office, "Edited")
    office.ctl("plan", "set", "Edited", "--scope", "pool", "--pool", "70")
    office.ctl("tick")
    assert allowance(office, account)[0] == 100 * CREDIT
    clock.forward(days=32)
    office.ctl("tick")
    assert allowance(office, account)[0] == 70 * CREDIT


def test_the_month_is_the_customers(office, clock):
    account = on_plan(office, "Starter", timeZone="Pacific/Auckland")
    assert show(office, account)["allowance"]["resetsAt"] == "2027-03-31T11:00:00.000Z"
    clock.set("2027-03-31 23:59:59", "Pacific/Auckland")
    office.ctl("tick")
    assert len(booked(office, account)) == 1
    clock.forward(seconds=1)
    office.ctl("tick")
    assert len(booked(office, account)) == 3
    assert show(office, account)["allowance"]["resetsAt"] == "2027-04-30T12:00:00.000Z"


def test_seats(office, clock):
    """Everybody's own share, which the others cannot use up; who comes back gets no second one."""
    office.ctl("plan", "set", "Desks", "--scope", "seat", "--manager", "20", "--member", "10", "--seats", "1-3")
    account = on_plan(office, "Desks")
    for name in ("ann", "bob"):
        member(office, account, name)
    assert allowance(office, account)[0] == 20 * CREDIT
    assert spend(office, account, 11, "ann").json["error"] == "MEMBER_LIMIT_REACHED"
    assert spend(office, account, 10, "ann").status == 200
    assert spend(office, account, 1, "ann").status == 402
    assert spend(office, account, 10, "bob").status == 200
    gone = office.call("DELETE", f"/api/accounts/{account}/members/bob", key="app")
    assert gone.status in (200, 204), gone
    member(office, account, "bob")
    assert allowance(office, account)[0] == 20 * CREDIT
    member(office, account, "boss", "manager")
    assert allowance(office, account)[0] == 40 * CREDIT
    clock.set("2027-04-01 00:00:00")
    office.ctl("tick")
    assert allowance(office, account) == (40 * CREDIT, 0, 40 * CREDIT)
    assert spend(office, account, 10, "bob").status == 200


def test_a_year_of_silence(office, clock):
    """Fourteen months that nobody looked at are booked one by one, as those of an account that was looked at."""
    office.ctl("plan", "set", "Sleeper", "--scope", "pool", "--pool", "100", "--rollover", "150")
    quiet, watched = (on_plan(office, "Sleeper", timeZone="Europe/Paris") for _ in range(2))
    for _ in range(14):
        clock.forward(days=30)
        assert office.get(f"/api/guard/check?account={watched}").status == 204
    assert office.get(f"/api/guard/check?account={quiet}").status == 204
    rows = {account: office.sql(
        f"SELECT type, amount_micros, balance_after_micros, created_at_us FROM transactions WHERE account_id = {key_of(account)}"
        " AND created_at_us > 0 ORDER BY seq") for account in (quiet, watched)}
    # The first is of the moment at which each was made; all others are of the moment at which they were due.
    assert rows[quiet][1:] == rows[watched][1:] and len(rows[quiet]) > 30
    assert int(rows[quiet][-1][3]) == instant_us("2028-05-01", "Europe/Paris")
    assert allowance(office, quiet) == allowance(office, watched) == (250 * CREDIT, 0, 250 * CREDIT)


@pytest.mark.parametrize("fields, status, error", [
    ({"unit": "credit", "plan": "Nobody's"}, 422, "UNKNOWN_PLAN"), ({"unit": "money", "plan": "Starter"}, 409, "PLAN_OTHER_UNIT"),
])
def test_refused_plans(office, fields, status, error):
    account = request_id("plan")
    answer = put(office, account, **fields)
    assert (answer.status, answer.json["error"]) == (status, error)
    assert office.get(f"/api/accounts/{account}").status == 404


def test_too_many_for_the_plan(office, clock):
    account = on_plan(office, "Professional")
    for i in range(6):
        member(office, account, f"m{i}")
    answer = put(office, account, plan="Starter")
    assert (answer.status, answer.json["error"]) == (409, "SEATS_TAKEN")
    assert show(office, account)["plan"] == "Professional"


def test_the_ledger_is_sound(office):
    office.audit()

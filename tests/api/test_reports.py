"""An operator's reports: what plans allow against what is expected and used, who used what, and what it earns.  The plans'
figures are those of the document that they come from; the rest is computed again from requests that were settled."""

import collections
import fractions
import json

import pytest

import guard
import plans
from contract import Contract
from octroi import Octroi
from timetravel import Clock

CREDIT = 1_000_000
CENT = 10_000
REPORTS = "/api/admin/reports/"


@pytest.fixture(scope="module")
def contract():
    return Contract()


@pytest.fixture(scope="module")
def o():
    with Octroi("nginx", settings={"time_zone": "Europe/Paris"}) as o:
        yield o


@pytest.fixture
def read(o, contract):
    """A report, held against the contract."""
    def ask(name, status=200, key="report", headers=None, **query):
        more = "&".join(f"{key.rstrip('_')}={value}" for key, value in query.items())
        answer = contract.hold(o.get(f"{REPORTS}{name}?{more}", key=key, headers=headers), "GET", REPORTS + name)
        assert answer.status == status, answer
        return answer.json
    return ask


def ctl(o, *arguments):
    return json.loads(o.ctl("report", *arguments, "--json").stdout)


def use(o, account, model="gpt-4o", input=1000, output=100, **fields):
    held = guard.hold(o, account, model, inputTokens=input, maxOutputTokens=output, **fields)
    done = guard.settle(o, held, inputTokens=input, outputTokens=output)
    assert done.status == 200, done
    return done.json["costMicros"]


# -- capacity ---------------------------------------------------------------------------------------------


EXPECTED = {"starter": ("65", "30", "1-5"), "professional": ("80", "35", "6-15")}
# plan, scope: expected, allowed, left, used in tenths of a percent, margin in percent, verdict
TABLE = {
    ("starter", "pool"): (215, 500, 285, 430, 57, "SUFFISANT"),
    ("starter", "seat"): (215, 2500, 2285, 86, 91, "SURDIMENSIONNÉ"),
    ("starter-mixed", "mixed"): (215, 2000, 1785, 108, 89, "GÉNÉREUX"),
    ("professional", "pool"): (605, 1500, 895, 403, 60, "TRÈS SUFFISANT"),
    ("professional", "seat"): (605, 22500, 21895, 27, 97, "SURDIMENSIONNÉ"),
    ("professional-mixed", "mixed"): (605, 6750, 6145, 90, 91, "GÉNÉREUX"),
}


def figures(row):
    return tuple(row[name] // CREDIT for name in ("expectedMicros", "allowedMicros", "leftMicros")) + (
        row["usedPercentTenths"], row["marginPercent"], row["verdictText"])


def test_the_seed_s_plans(o, read):
    """57 % and 60 % are left; per member, or for the manager and each member, it would be more than enough."""
    for name, pool, member in (("starter", "500", None), ("professional", "1500", None),
                               ("starter-mixed", "500", "300"), ("professional-mixed", "750", "400")):
        manager, of_member, seats = EXPECTED[name.removesuffix("-mixed")]
        o.ctl("plan", "set", name, "--scope", "mixed" if member else "pool", "--pool", pool,
              *(("--member", member) if member else ()), "--managers", "1", "--seats", seats,
              "--expected-manager", manager, "--expected-member", of_member)
    said = read("capacity", headers={"Accept-Language": "fr"})
    found = {(row["plan"], row["scope"]): figures(row) for row in said["plans"] if row["plan"].startswith(("starter", "prof"))}
    assert found == TABLE
    assert {(row["plan"], row["scope"]) for row in said["plans"] if row["assumed"]} >= {
        ("starter", "seat"), ("professional", "seat")}
    listed = ctl(o, "capacity")["plans"]
    assert {(row["plan"], row["scope"]): (*figures(row)[:-1], row["verdict"]) for row in listed} == {
        (row["plan"], row["scope"]): (*figures(row)[:-1], row["verdict"]) for row in said["plans"]}
    assert {row["verdictText"] for row in listed} <= {"SUFFICIENT", "AMPLE", "GENEROUS", "OVERSIZED", "INSUFFICIENT", "TIGHT"}
    lines = [line.split() for line in o.ctl("report", "capacity").stdout.splitlines()]
    assert "starter pool no 1 5 215.00 500.00 285.00 43.0 % 57 sufficient".split() in lines


def test_workspaces_by_what_they_use(o, read):
    clock = Clock(o)
    clock.set("2027-04-01 00:00:00", "Europe/Paris")
    plans.add(o, "hundred", pool_micros=100 * CREDIT)
    accounts = [o.account(guard.request_id("ws"), unit="credit", plan="hundred") for _ in range(3)]
    clock.set("2027-04-11 00:00:00", "Europe/Paris")
    for account, quantity in zip(accounts, (10, 40, 0)):
        if quantity:
            guard.charge(o, account, "debrief", quantity=quantity)
    rows, cursor = {}, None
    while True:
        page = read("capacity", limit=2, **({"cursor": cursor} if cursor else {}))
        assert len(page["workspaces"]) <= 2
        rows.update((row["account"], row) for row in page["workspaces"])
        cursor = page["nextCursor"]
        if cursor is None:
            break
    # A third of the month has gone.
    for account, used, projected, verdict in zip(accounts, (10, 40, 0), (30, 120, 0), ("ample", "insufficient", "oversized")):
        row = rows[account]
        assert (row["usedMicros"], row["projectedMicros"], row["allowedMicros"]) == (
            used * CREDIT, projected * CREDIT, 100 * CREDIT)
        assert (row["verdict"], row["plan"], row["leftMicros"]) == (verdict, "hundred", (100 - projected) * CREDIT)
        assert (row["from"], row["to"]) == ("2027-03-31T22:00:00.000Z", "2027-04-30T22:00:00.000Z")
    assert {row["account"]: row["projectedMicros"] for row in ctl(o, "capacity")["workspaces"]} == {
        account: row["projectedMicros"] for account, row in rows.items()}
    # The next period begins at nothing, and what is carried over is allowed too.
    clock.set("2027-05-01 00:00:00", "Europe/Paris")
    o.get(f"/api/credits?account={accounts[0]}")
    assert [row["usedMicros"] for row in read("capacity", limit=200)["workspaces"] if row["account"] == accounts[0]] == [0]


# -- members ----------------------------------------------------------------------------------------------


def test_who_used_what_for_which_action(o, read):
    clock = Clock(o)
    clock.set("2027-06-10 12:00:00")
    account = o.account(unit="credit", funds_micros=10_000 * CREDIT)
    for member, role in (("user:1", "manager"), ("user:2", "member")):
        o.call("PUT", f"/api/accounts/{account}/members/{member}", json={"role": role})
    wanted = collections.Counter()
    for member, action, quantity in (("user:1", "debrief", 3), ("user:1", "debrief", 2), ("user:2", "debrief", 1),
                                     ("user:2", "report", 9), (None, "debrief", 4)):
        took = guard.charge(o, account, action, quantity=quantity, **({"member": member} if member else {}))
        wanted[member or "", action] += took.json["costMicros"]
    wanted["user:2", "gpt-4o"] = use(o, account, member="user:2")
    said = read("members", account=account)
    assert [row["costMicros"] for row in said["items"]] == sorted(wanted.values(), reverse=True)
    assert {(row["member"], row.get("action") or row["model"]): row["costMicros"] for row in said["items"]} == wanted
    debriefs = {row["member"]: (row["role"], row["requests"], row["quantity"])
                for row in said["items"] if row.get("action") == "debrief"}
    assert debriefs == {"user:1": ("manager", 2, 5), "user:2": ("member", 1, 1), "": (None, 1, 4)}
    [model] = [row for row in said["items"] if "model" in row]
    assert (model["inputTokens"], model["outputTokens"], "quantity" in model) == (1000, 100, False)
    assert (said["complete"], said["from"]) == (True, "2027-05-31T22:00:00.000Z")
    assert [row["costMicros"] for row in ctl(o, "members", account)["items"]] == [row["costMicros"] for row in said["items"]]
    assert read("members", account=account, from_="2027-05-01", to="2027-06-01")["items"] == []
    assert ctl(o, "members", account, "--from", "2027-05-01", "--to", "2027-06-01")["items"] == []


# -- margin -----------------------------------------------------------------------------------------------


def list_price(model, input, output):
    """The provider's part, in micros of the currency."""
    pico = input * guard.PICO[model][guard.INPUT] + output * guard.PICO[model][guard.OUTPUT]
    return fractions.Fraction(pico, 10**6) / guard.RATE


def rows_of(said):
    return {row["key"]: row for row in said["items"]}


def check(row, requests, used, given, fees, provider):
    """Exact but for the provider's part, which is known to a micro for each request."""
    assert (row["requests"], row["feesMicros"]) == (requests, fees)
    for name, exact in (("usedMicros", used), ("givenMicros", given), ("revenueMicros", used - given + fees)):
        assert row[name] == exact // 1, (name, row, exact)
    assert 0 <= row["providerMicros"] - provider <= requests + 1, (row, provider)
    assert abs(row["marginMicros"] - (row["revenueMicros"] - row["providerMicros"])) <= 1
    if row["revenueMicros"] > 0:
        assert abs(row["marginPercentTenths"] - 1000 * row["marginMicros"] / row["revenueMicros"]) <= 0.6
    else:
        assert row["marginPercentTenths"] is None


def test_margin(o, read):
    clock = Clock(o)
    clock.set("2027-08-10 12:00:00")
    plans.add(o, "paying", pool_micros=500 * CREDIT, fee_minor=1900)
    money, byok = o.account(funds_micros=50 * CREDIT), o.account(funds_micros=CREDIT)
    team = o.account(unit="credit", plan="paying")
    o.fund(team, 1000 * CREDIT)
    uses = []
    for i in range(6):
        input, output = 10_000 * i + 7, 1000 * i + 1
        uses.append(("gpt-4o", use(o, money, "gpt-4o", input, output), list_price("gpt-4o", input, output)))
    value = fractions.Fraction(1, 100)  # of a credit
    cheap = use(o, team, "gpt-3.5-turbo", 1_000_000, 5)
    provider_cheap = list_price("gpt-3.5-turbo", 1_000_000, 5)
    debriefs = guard.charge(o, team, "debrief", quantity=600).json["costMicros"]
    use(o, byok, byok=["openai"])  # is neither revenue nor cost
    clock.forward(days=1)

    models = rows_of(read("margin", by="model"))
    spent, paid = sum(cost for _, cost, _ in uses), sum(cost for *_, cost in uses)
    check(models["gpt-4o"], 6, spent, 0, 0, paid)
    assert models["gpt-4o"]["marginPercentTenths"] == 48, "a twenty-first: 5 % on top"
    # The first 500 credits were the plan's: what the model used, and part of the action.
    check(models["gpt-3.5-turbo"], 1, cheap * value, cheap * value, 0, provider_cheap)
    check(models["debrief"], 1, debriefs * value, (500 * CREDIT - cheap) * value, 0, 0)

    by_plan = rows_of(read("margin", by="plan"))
    check(by_plan[""], 6, spent, 0, 0, paid)
    check(by_plan["paying"], 2, (cheap + debriefs) * value, 5 * CREDIT, 1900 * CENT, provider_cheap)
    by_workspace = rows_of(read("margin", by="workspace"))
    check(by_workspace[money], 6, spent, 0, 0, paid)
    check(by_workspace[team], 2, (cheap + debriefs) * value, 5 * CREDIT, 1900 * CENT, provider_cheap)
    assert byok not in by_workspace
    for by in ("plan", "workspace", "model"):
        said = read("margin", by=by)
        listed = ctl(o, "margin", "--by", by)
        assert listed["items"] == said["items"]
        for name in ("requests", "usedMicros", "revenueMicros", "marginMicros"):
            assert abs(said["total"][name] - sum(row[name] for row in said["items"])) <= len(said["items"])
    assert "4.8 %" in o.ctl("report", "margin").stdout

    # Page by page it is the same; before that month there was nothing.
    for by in ("plan", "workspace", "model"):
        whole, pages, cursor = read("margin", by=by)["items"], [], None
        while True:
            page = read("margin", by=by, limit=1, **({"cursor": cursor} if cursor else {}))
            pages += page["items"]
            cursor = page["nextCursor"]
            if cursor is None:
                break
        assert pages == whole and len(whole) >= 2
    assert read("margin", from_="2027-07-01", to="2027-08-01")["total"]["requests"] == 0


# -- callers and refusals -----------------------------------------------------------------------------------


def test_callers_and_spans(o, read):
    account = o.account()
    for name, query in (("capacity", {}), ("members", {"account": account}), ("margin", {})):
        read(name, key="admin", **query)
        for key in ("app", "guard"):
            read(name, 403, key=key, **query)
        read(name, 401, key="oct_report_" + "0" * 43, **query)
    for name, query in (("members", {"account": account}), ("margin", {})):
        assert read(name, 400, from_="2020-01-01", to="2021-03-01", **query)["field"] == "from"
        assert read(name, 400, from_="2020-01-02", to="2020-01-01", **query)["field"] == "to"
    assert read("members", 404, account=guard.request_id("nobody"))["error"] == "NOT_FOUND"
    assert read("members", 400)["field"] == "account"
    assert read("margin", 400, by="colour")["field"] == "by"
    assert read("margin", 400, cursor="gpt-4o")["field"] == "cursor"
    assert read("capacity", 400, limit=201)["field"] == "limit"
    assert o.ctl("report", "margin", "--from", "2020-01-01", "--to", "2021-03-01", check=False).returncode == 2
    assert o.ctl("report", "margin", "--by", "colour", check=False).returncode == 2
    assert o.ctl("report", "members", guard.request_id("nobody"), check=False).returncode == 1

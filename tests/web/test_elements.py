"""Each element alone in a bare page, and what it shows of accounts in trouble."""

import guard
import plans
import pytest
from octroi import wait_until
from test_billing import clean, link, use

ELEMENTS = {
    "octroi-balance": "€11.99", "octroi-topup": "Continue to payment", "octroi-plan": None, "octroi-usage": "in the last 30 days",
    "octroi-history": "Movements", "octroi-limits": "€0.00 of €20.00", "octroi-members": "€3.00",
    "octroi-diagnosis": "What was checked", "octroi-invoices": None, "octroi-billing": "Balance", "octroi-alerts": "below €2.00",
}


@pytest.fixture(scope="module")
def account(nginx):
    account = nginx.account(funds_micros=12_000_000)
    put = nginx.call("PUT", f"/api/accounts/{account}/members/ann", {"role": "member", "limitMicros": 3_000_000}, key="app")
    assert put.status == 200, put
    put = nginx.call("PUT", f"/api/credits/settings?account={account}", {"dailyLimitMicros": 20_000_000}, key="app")
    assert put.status == 200, put
    use(nginx, account, 3)
    return account


def bare(browser, o, markup, token, lang="en"):
    """A page with nothing but octroi's script and the markup."""
    browser.open(o.url + "/octroi/ui/none")
    browser.run("""document.documentElement.lang = arguments[2]; document.title = "bare";
        document.body.innerHTML = "<main><h1>A page</h1>" + arguments[0] + "</main>";
        for (const node of document.querySelectorAll("main > :last-child")) node.setAttribute("token", arguments[1]);
        document.head.append(Object.assign(document.createElement("script"), {type: "module", src: "/octroi/ui/octroi.js"}));""",
                markup, token, lang)
    browser.errors()  # there is no such page


@pytest.mark.parametrize("element", ELEMENTS)
def test_element_alone(nginx, browser, account, element):
    token = nginx.post("/api/tokens", {"account": account}, key="app").json["token"]
    bare(browser, nginx, f"<{element}></{element}>", token)
    if ELEMENTS[element] is None:  # no plan, nothing paid: no room is taken
        wait_until(lambda: browser.run(f"return document.querySelector('{element}').matches('[data-empty]')"), 15, "nothing")
        assert browser.run(f"return document.querySelector('{element}').offsetHeight") == 0
    else:
        browser.reads(ELEMENTS[element])
    clean(browser)


def test_language_of_the_closest_lang(nginx, browser, account):
    token = nginx.post("/api/tokens", {"account": account}, key="app").json["token"]
    bare(browser, nginx, '<div lang="fr-CA"><octroi-balance></octroi-balance></div>', "", "en")
    browser.run("document.querySelector('octroi-balance').setAttribute('token', arguments[0])", token)
    browser.reads("11,99 €")
    browser.reads("Solde")


def test_hundreds_of_members(nginx, browser):
    account = nginx.account(funds_micros=1_000_000)
    for i in range(120):
        assert nginx.call("PUT", f"/api/accounts/{account}/members/m{i:03}", {"role": "member", "limitMicros": 1_000_000 + i}, key="app").status == 200
    browser.open(link(nginx, account))
    browser.reads("m000")
    assert "m119" not in browser.text
    browser.click("button", "Show more")
    browser.reads("m119")
    clean(browser)


def test_allowance_of_a_plan(nginx, browser):
    plans.add(nginx, "tiny", pool_micros=500_000_000)
    account = nginx.account(unit="credit", plan="tiny")
    guard.charge(nginx, account, "debrief", quantity=380)
    browser.open(link(nginx, account))
    browser.reads("120 credits left of 500 credits")
    browser.reads("Starts anew on")
    clean(browser)


def suspend(o, account):
    assert o.call("PUT", f"/api/accounts/{account}", {"status": "suspended"}, key="app").status == 200


def daily(o, account):
    assert o.call("PUT", f"/api/credits/settings?account={account}", {"dailyLimitMicros": 1}, key="app").status == 200


def nothing(o, account):
    pass


@pytest.mark.parametrize("funds, trouble, case", [
    (0, nothing, "prepaid_used_up"), (5_000_000, daily, "daily_limit_reached"), (5_000_000, suspend, "suspended"),
])
def test_case_and_its_next_step(nginx, browser, funds, trouble, case):
    account = nginx.account(funds_micros=funds)
    if funds:
        use(nginx, account)
    trouble(nginx, account)
    said = nginx.get(f"/api/credits/diagnosis?account={account}").json
    assert said["case"] == case, said
    browser.open(link(nginx, account))
    browser.reads(said["title"])
    browser.reads(said["nextAction"]["text"])
    clean(browser)

"""Each element alone in a bare page, and what it shows of accounts in trouble."""

import pathlib
import sys

import guard
import plans
import pytest
from octroi import wait_until
from browser import keep_picture
from test_billing import clean, link, use

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "bench"))

import pages  # noqa: E402

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


# ---- the cases of a balance, each with its one next action -------------------------------------------------


def changed(o, account, **fields):
    put = o.call("PUT", f"/api/accounts/{account}", fields, key="app")
    assert put.status == 200, put


def limited(o, account, **limits):
    put = o.call("PUT", f"/api/credits/settings?account={account}", limits, key="app")
    assert put.status == 200, put


def used(o, funds=5_000_000, member=None):
    account = o.account(funds_micros=funds)
    if member:
        assert o.call("PUT", f"/api/accounts/{account}/members/{member}", {"role": "member"}, key="app").status == 200
    use(o, account, **({"member": member} if member else {}))
    return account


def prepaid_used_up(o):
    return o.account(), None


def nothing_wrong(o):
    return used(o), None


def suspended(o):
    account = used(o)
    changed(o, account, status="suspended")
    return account, None


def daily_limit_reached(o):
    account = used(o)
    limited(o, account, dailyLimitMicros=1)
    return account, None


def monthly_limit_reached(o):
    account = used(o)
    limited(o, account, monthlyLimitMicros=1)
    return account, None


def postpaid_normal(o):
    account = o.account(mode="postpaid", hardLimitMicros=50_000_000)
    o.fund(account, -15_000_000)
    return account, None


def hard_limit_reached(o):
    account = o.account(mode="postpaid", hardLimitMicros=15_000_000)
    o.fund(account, -15_000_000)
    return account, None


def card_problem(o):
    account = o.account(mode="postpaid", hardLimitMicros=50_000_000)
    o.fund(account, -5_000_000)
    assert o.post(f"/api/credits/pay?account={account}", {}, key="app").status == 402
    return account, None


def payment_taken_back(o):
    """A statement was paid by the saved card, and the payment refunded."""
    account = o.account(mode="postpaid", hardLimitMicros=50_000_000)
    opened = o.post(f"/api/credits/topup?account={account}", {"amount": 500}, key="app")
    o.stripe.pay(o.stripe.session_of(opened.json["url"]))
    o.stripe.deliver()
    o.fund(account, -25_000_000)
    assert o.post(f"/api/credits/pay?account={account}", {}, key="app").status == 200
    [invoice] = [i for i in o.stripe.objects["invoice"].values() if i["metadata"].get("account") == account]
    o.stripe.refund(invoice["_payment_intent"])
    o.stripe.deliver()
    return account, None


def allowance_used_up(o):
    plans.add(o, "cases", pool_micros=3_000_000)
    account = o.account(unit="credit", plan="cases")
    guard.charge(o, account, "debrief", quantity=3)
    return account, None


def member_limit_reached(o, **limit):
    account = used(o, member="ann")
    limited(o, account, members={"ann": limit or {"limitMicros": 1}})
    return account, "ann"


def member_daily_limit_reached(o):
    return member_limit_reached(o, dailyLimitMicros=1)


def member_monthly_limit_reached(o):
    return member_limit_reached(o, monthlyLimitMicros=1)


CASES = [prepaid_used_up, nothing_wrong, suspended, daily_limit_reached, monthly_limit_reached, postpaid_normal, hard_limit_reached,
         card_problem, payment_taken_back, allowance_used_up, member_limit_reached, member_daily_limit_reached, member_monthly_limit_reached]


@pytest.mark.parametrize("lang", ["en", "fr"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_case_and_its_next_step(nginx, browser, case, lang):
    account, member = case(nginx)
    token = link(nginx, account, member).split("#token=")[1]
    said = nginx.get("/api/credits/diagnosis", key=token, public=True, headers={"Accept-Language": lang}).json
    assert said["case"] == case.__name__, said
    browser.open(link(nginx, account, member) + "&lang=" + lang)
    browser.reads({"en": "History", "fr": "Historique"}[lang])
    if case is nothing_wrong:
        browser.reads({"en": "Balance", "fr": "Solde"}[lang])
        assert said["nextAction"]["id"] == "none" and browser.find_all("[part=action]") == [], "a page without trouble asks for nothing"
    else:
        browser.reads(said["title"])
        browser.reads(said["nextAction"]["text"])
        assert browser.text.count(said["nextAction"]["text"]) == 1
    keep_picture(browser, f"{case.__name__}-{lang}")
    clean(browser)


@pytest.mark.parametrize("lang, sentence", [("en", "This account is not open to you."), ("fr", "Ce compte ne vous est pas ouvert.")])
def test_removed_member_is_told_once(nginx, browser, lang, sentence):
    """octroi answers none of the member's questions any more, so the page reads no diagnosis."""
    account = used(nginx, member="ann")
    url = link(nginx, account, "ann")
    browser.open(url + "&lang=" + lang)
    browser.reads({"en": "History", "fr": "Historique"}[lang])
    assert nginx.call("DELETE", f"/api/accounts/{account}/members/ann", key="app").status == 200
    browser.run("document.dispatchEvent(new Event('visibilitychange'))")
    browser.reads(sentence)
    assert "gpt-4o" not in browser.text and "€" not in browser.text
    browser.open(url + "&lang=" + lang)
    browser.reads(sentence)
    assert len(browser.text.splitlines()) <= 3, browser.text
    keep_picture(browser, f"member_removed-{lang}")
    assert browser.violations() == []
    assert nginx.call("PUT", f"/api/accounts/{account}/members/ann", {"role": "member"}, key="app").status == 200
    browser.run("document.dispatchEvent(new Event('visibilitychange'))")
    browser.reads({"en": "History", "fr": "Historique"}[lang])


def test_page_that_waits_asks_for_little(nginx, browser):
    """One request every 30 s, less often at rest; all others when that tells of a change, after use every three minutes."""
    account = nginx.account(funds_micros=1_000_000)
    browser.open(link(nginx, account))
    browser.reads("Nothing yet.")
    browser.run("""window.asked = []; window.timers = [];
        const fetch = window.fetch; window.fetch = (path, ...more) => { window.asked.push(String(path).split("?")[0]); return fetch(path, ...more); };
        const set = window.setTimeout; window.setTimeout = (call, ms) => { window.timers.push([call, ms]); return set(() => undefined, 0); };
        document.dispatchEvent(new Event("visibilitychange"));""")
    wait_until(lambda: len([t for t in browser.run("return window.timers.map((t) => t[1])") if t >= 30_000]) >= 1 + len(pages.FOLLOWED), 20, "the next polls")
    waits = browser.run("return window.timers.map((t) => t[1]).filter((ms) => ms >= 1000)")
    seconds = {1000 * pages.POLL_SECONDS: 1, 1000 * pages.FOLLOW_SECONDS: len(pages.FOLLOWED)}
    assert {ms: waits.count(ms) for ms in waits} == seconds
    waits = [1000 * pages.POLL_SECONDS * 2 ** n for n in range(3)]
    assert waits[-1] == 1000 * pages.REST_SECONDS
    timers = "const waits = arguments[0]; const polls = window.timers.filter((t) => waits.includes(t[1]));"

    def polled():
        """A poll's own question, and those that follow its answer; after it, how long the page waits."""
        before = browser.run(timers + "return polls.length", waits)
        browser.run(timers + "window.asked = []; polls.at(-1)[0]()", waits)
        wait_until(lambda: browser.run(timers + "return polls.length", waits) == before + 1, 10, "its answer")
        return browser.run("return window.asked"), browser.run(timers + "return polls.at(-1)[1]", waits)

    followed, used = [{path.split("?")[0] for path in paths} for paths in (pages.FOLLOWED, pages.USED)]
    assert [polled() for _ in range(3)] == [([pages.LEADING], wait) for wait in (waits[1], waits[2], waits[2])]
    use(nginx, account)
    assert polled() == ([pages.LEADING], waits[0]), "use a moment after everything was asked"
    browser.run(f"const now = Date.now() + {pages.USED_SECONDS * 1000}; Date.now = () => now;")
    polled()
    wait_until(lambda: set(browser.run("return window.asked")) == {pages.LEADING} | followed | used, 15, "all that follows use")
    wait_until(lambda: len(browser.run("return window.asked")) == 1 + len(pages.FOLLOWED) + len(pages.USED), 15, "each once")
    use(nginx, account)
    assert polled() == ([pages.LEADING], waits[0]), "again"
    nginx.fund(account, 1_000_000)
    polled()
    wait_until(lambda: followed < set(browser.run("return window.asked")), 15, "a movement is followed at once")
    browser.reads("€1.99")


def test_credit_that_expires_is_told(nginx, browser):
    account = nginx.account(funds_micros=1_000_000)
    nginx.ctl("account", "credit", account, "5", "--type", "PROMO_BONUS", "--reason", "r", "--actor", "a", "--expires", "2031-12-24T12:00:00Z")
    browser.open(link(nginx, account))
    browser.reads("Promotional credit: €5.00 expires on Dec 24, 2031")
    clean(browser)


def test_movement_is_described_by_more_than_its_type(nginx, browser):
    account = nginx.account(funds_micros=1_000_000)
    opened = nginx.post(f"/api/credits/topup?account={account}", {"amount": 500}, key="app")
    nginx.stripe.pay(nginx.stripe.session_of(opened.json["url"]))
    nginx.stripe.deliver()
    browser.open(link(nginx, account) + "&lang=fr")
    browser.reads("Recharge\n+5,00 €")
    browser.reads("Ajustementtest\n+1,00 €")


def test_thresholds_are_changed_and_crossed(nginx, browser):
    account = nginx.account(funds_micros=9_000_000)
    assert nginx.call("PUT", f"/api/credits/alerts?account={account}", json={"thresholdsPercent": [80]}).status == 200
    browser.open(link(nginx, account))
    browser.reads("below €2.00")
    browser.click("section button", "Change")  # the last one: alerts stand at the end
    field = browser.find("input[name=thresholds]")
    field.clear()
    field.send_keys("7,50; nonsense")
    browser.click("button", "Save")
    browser.reads("Up to 4 amounts")
    field.clear()
    field.send_keys("7,50; 2")
    browser.click("button", "Save")
    browser.reads("below €7.50 or €2.00")
    nginx.fund(account, -2_000_000)
    browser.run("document.dispatchEvent(new Event('visibilitychange'))")
    browser.reads("Balance low")
    kept = nginx.get(f"/api/credits/alerts?account={account}").json
    assert (kept["thresholdsMicros"], kept["thresholdsPercent"]) == ([7_500_000, 2_000_000], [80])
    clean(browser)


def test_mails_of_alerts_are_changed(nginx, browser):
    account = nginx.account(funds_micros=9_000_000)

    def kept():
        alerts = nginx.get(f"/api/credits/alerts?account={account}").json
        return alerts["standard"], alerts["addresses"], alerts["language"]

    def change(addresses=None, **choices):
        browser.click("section button", "Change")
        for name, value in choices.items():
            browser.run("arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('change'))", browser.find(f"select[name={name}]"), value)
        if addresses is not None:
            field = browser.find("input[name=addresses]")
            field.clear()
            field.send_keys(addresses)
        browser.click("button", "Save")

    bare(browser, nginx, "<octroi-alerts></octroi-alerts>", link(nginx, account).split("#token=")[1])
    browser.reads("Alerts by mail to the account's e-mail address")
    change("billing@example.com, ann@example.com", mail="own", language="fr")
    browser.reads("Saved.")
    browser.reads("Alerts by mail to billing@example.com and ann@example.com · French")
    assert kept() == (True, ["billing@example.com", "ann@example.com"], "fr")
    # Another setting leaves them as they are.
    browser.click("section button", "Change")
    field = browser.find("input[name=thresholds]")
    field.clear()
    field.send_keys("7.50")
    browser.click("button", "Save")
    browser.reads("below €7.50")
    assert kept() == (False, ["billing@example.com", "ann@example.com"], "fr")
    keep_picture(browser, "alerts")
    change(mail="none")
    browser.reads("Alerts by mail to nobody · French")
    change(mail="account", language="")
    browser.reads("Alerts by mail to the account's e-mail address")
    assert kept() == (False, None, None)
    clean(browser)


@pytest.mark.parametrize("addresses", ["", "nonsense", "a@b@c", "; ".join(f"a{i}@example.com" for i in range(6)), "<b>@example.com"])
def test_addresses_that_are_refused(nginx, browser, addresses):
    account = nginx.account(funds_micros=9_000_000)
    bare(browser, nginx, "<octroi-alerts></octroi-alerts>", link(nginx, account).split("#token=")[1])
    browser.click("section button", "Change")
    keep_picture(browser, "alerts-form")
    browser.run("arguments[0].value = 'own'; arguments[0].dispatchEvent(new Event('change'))", browser.find("select[name=mail]"))
    browser.find("input[name=addresses]").send_keys(addresses)
    assert browser.violations() == []
    browser.click("button", "Save")
    wait_until(lambda: browser.find_all("form .notice.bad"), 10, "the refusal")
    assert nginx.get(f"/api/credits/alerts?account={account}").json["addresses"] is None


def test_csv_of_members_is_all_of_them(nginx, browser, tmp_path):
    account = nginx.account(funds_micros=1_000_000)
    for i in range(200):
        assert nginx.call("PUT", f"/api/accounts/{account}/members/m{i:03}", {"role": "member"}, key="app").status == 200
    browser.cdp("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    browser.open(link(nginx, account))
    browser.reads("m000")
    browser.click("octroi-members [part=csv], section[aria-labelledby=title] button", "Save as CSV Members")
    wait_until(lambda: (tmp_path / "octroi-members.csv").exists(), 15, "the file")
    lines = (tmp_path / "octroi-members.csv").read_text().splitlines()
    assert lines[0].startswith("member,role") and [line.split(",")[0] for line in lines[1:]] == [f"m{i:03}" for i in range(200)]

"""An operator's pages in Chromium, by the address that octroictl prints."""

import json

import pytest
from octroi import wait_until
from test_billing import HOSTILE, clean, link, use


def admin_link(o, *more):
    return json.loads(o.ctl("--json", "admin", "link", *more).stdout)["url"]


def amounts(browser, row):
    """The cells of a row of the margin table, in micros."""
    cells = browser.run("return [...arguments[0].querySelectorAll('td')].map((cell) => cell.innerText)", row)
    return [round(float(cell.replace("€", "").replace(",", "")) * 1_000_000) for cell in cells[1:7]]


def open_admin(o, browser, *more):
    browser.open(admin_link(o, *more))
    browser.reads("Revenue and margin")
    browser.reads("As of")


def test_figures_are_those_of_octroictl_to_the_micro(site, browser):
    use(site, site.account(funds_micros=5_000_001), 3, model="gpt-4o")
    use(site, site.account(funds_micros=9_000_007), 2, model="gpt-3.5-turbo")
    open_admin(site, browser)
    assert "token" not in browser.driver.current_url
    start = browser.run("const d = new Date(); d.setUTCHours(0, 0, 0, 0); return new Date(d - 29 * 86400000).toISOString()")
    for by, label in (("day", "Day"), ("plan", "Plan"), ("model", "Model"), ("workspace", "Account")):
        browser.click("button[aria-pressed]", label)
        browser.reads("As of")
        said = json.loads(site.ctl("--json", "report", "margin", "--by", by, "--from", start, "--limit", "200").stdout)
        total = [said["total"][name] for name in ("usedMicros", "givenMicros", "feesMicros", "revenueMicros", "providerMicros", "marginMicros")]
        wait_until(lambda: browser.find_all("button[aria-pressed=true]", label) and
                   len(browser.find_all("section[aria-labelledby=money] tbody tr")) == len(said["items"]) + 1, 15, f"the rows by {by}")
        assert amounts(browser, browser.find_all("section[aria-labelledby=money] tbody tr")[-1]) == total
    clean(browser)


def test_one_accounts_whole_story(nginx, browser):
    account = nginx.account("story:anna", funds_micros=7_000_000)
    nginx.call("PUT", "/api/accounts/" + account, json={"name": "Anna", "email": "anna@example.com"})
    use(nginx, account, 2)
    nginx.post("/api/guard/authorize", {"account": account, "model": "gpt-4o"})
    open_admin(nginx, browser)
    browser.run("const i = arguments[0]; i.value = 'anna@'; i.form.requestSubmit()", browser.find("input[name=match]"))
    wait_until(lambda: len(browser.find_all("section[aria-labelledby=accounts] tbody tr")) == 1, 15, "one account")
    browser.click("section[aria-labelledby=accounts] tbody button", account)
    for words in ("Grants with something left", "Adjustment", "Movements", "Usages", "gpt-4o", "anna@example.com"):
        browser.reads(words)
    assert len(browser.find_all("section[aria-labelledby=usages] tbody tr")) == 2
    assert len(browser.find_all("section[aria-labelledby=holds] tbody tr")) == 1
    clean(browser)
    browser.click("button", "Back to all accounts")
    browser.reads("Revenue and margin")


def test_nobody_else_sees_anything(nginx, browser):
    account = nginx.account("secret:account", funds_micros=7_000_000)
    use(nginx, account)
    token = link(nginx, account).split("#token=")[1]
    admin = nginx.internal_url + "/admin"
    for opened, words in ((f"{admin}#token={token}", "does not open"), (admin, "has ended"), (admin + "#token=e30.e30.e30", "has ended")):
        browser.open(opened)
        browser.run("sessionStorage.clear(); location.reload()") if opened == admin else None
        browser.reads(words)
        assert account not in browser.text and "€" not in browser.text
    browser.errors()


def test_link_that_ends_hides_all(nginx, browser):
    account = nginx.account("ended:account", funds_micros=7_000_000)
    open_admin(nginx, browser)
    browser.reads(account)
    browser.run("document.querySelector('meta[name=octroi-token]').content = 'e30.e30.e30'")
    browser.reads("This link has ended")
    assert account not in browser.text


def test_public_server_has_no_figures(nginx, browser):
    token = admin_link(nginx).split("#token=")[1]
    browser.open(f"{nginx.url}/admin#token={token}")
    browser.reads("does not open")
    assert "€" not in browser.text


def test_hostile_names_are_text(nginx, browser):
    for i, name in enumerate(HOSTILE):
        account = nginx.account(f"hostile:{i}", funds_micros=1_000_000)
        nginx.call("PUT", "/api/accounts/" + account, json={"name": name[:190]})
        nginx.fund(account, 5, description=name[:250])
    nginx.post("/api/guard/charge", {"account": "hostile:0", "action": "<img src=x onerror=window.pwned=1>", "member": "m"})
    open_admin(nginx, browser)
    browser.run("const i = arguments[0]; i.value = 'hostile:'; i.form.requestSubmit()", browser.find("input[name=match]"))
    wait_until(lambda: len(browser.find_all("section[aria-labelledby=accounts] tbody tr")) == len(HOSTILE), 15, "the accounts")
    for i in range(len(HOSTILE)):
        browser.click("section[aria-labelledby=accounts] tbody button", f"hostile:{i}")
        browser.reads("Movements")
        wait_until(lambda: browser.find_all("section[aria-labelledby=transactions] tbody tr"), 15, "its movements")
        browser.click("button", "Back to all accounts")
        browser.reads("Revenue and margin")
    assert browser.run("return window.pwned") is None
    clean(browser)


@pytest.mark.parametrize("look", ["fr", "dark", "narrow"])
def test_looks(nginx, browser, look):
    use(nginx, nginx.account(funds_micros=7_000_000), 3)
    if look == "dark":
        browser.media(prefers_color_scheme="dark")
    if look == "narrow":
        browser.size(320)
    browser.open(admin_link(nginx) + ("&lang=fr" if look == "fr" else ""))
    browser.reads("Revenus et marge" if look == "fr" else "Revenue and margin")
    browser.reads("État de" if look == "fr" else "As of")
    if look == "narrow":
        assert browser.run("return document.documentElement.scrollWidth") <= 320
    clean(browser)


def test_keyboard_alone(nginx, browser):
    from selenium.webdriver.common.keys import Keys
    account = nginx.account("keys:account", funds_micros=7_000_000)
    open_admin(nginx, browser)

    def focused():
        return browser.run("let a = document.activeElement; while (a?.shadowRoot?.activeElement) a = a.shadowRoot.activeElement; return a?.innerText || a?.name || ''")

    def tab_to(text):
        for _ in range(80):
            browser.driver.switch_to.active_element.send_keys(Keys.TAB)
            if text == focused().strip():
                return
        raise AssertionError(f"{text} was not reached")
    tab_to("match")
    browser.driver.switch_to.active_element.send_keys("keys:" + Keys.ENTER)
    wait_until(lambda: len(browser.find_all("section[aria-labelledby=accounts] tbody tr")) == 1, 15, "one account")
    tab_to(account)
    browser.driver.switch_to.active_element.send_keys(Keys.ENTER)
    browser.reads("Grants with something left")
    wait_until(lambda: focused() == "Back to all accounts", 10, "the focus")


def test_csv_is_saved(nginx, browser):
    account = nginx.account("saved:account", funds_micros=7_000_000)
    open_admin(nginx, browser)
    browser.run("window.saved = []; const create = URL.createObjectURL; URL.createObjectURL = (blob) => { blob.text().then((t) => window.saved.push(t)); return create(blob); };")
    browser.click("section[aria-labelledby=accounts] [part=csv]")
    text = wait_until(lambda: browser.run("return window.saved[0] ?? null"), 15, "the file")
    lines = text.split("\r\n")
    assert lines[0].startswith("account,unit") and sum(line.startswith(f"{account},") for line in lines) == 1
    assert len(lines) - 2 == int(nginx.sql("SELECT COUNT(*) FROM accounts")[0][0])

"""Attacks of hostile callers on octroi's pages: script in names, tokens that leak, other customers' figures, and too much."""

import pathlib
import urllib.parse

import grown
import pytest
from octroi import wait_until
from test_admin import admin_link
from test_billing import clean, link, use

INJECTIONS = (pathlib.Path(__file__).parent / "injections.txt").read_text().splitlines()


def test_list_of_injections():
    assert len(INJECTIONS) == len(set(INJECTIONS)) >= 65


def test_injections_are_text_on_every_page(nginx, browser):
    """As a description, the name of a customer, an action, and a conversation; on the billing page and the operator's."""
    account = nginx.account("hostile:everything", funds_micros=90_000_000)
    for i, text in enumerate(INJECTIONS):
        body = {"type": "ADJUSTMENT", "amountMicros": 1, "description": text[:255], "requestId": f"h-{i}"}
        assert nginx.post(f"/api/accounts/{account}/transactions", body, key="admin").status == 200, text
        nginx.post("/api/guard/charge", {"account": account, "action": text[:100], "conversationId": text[:100]})
        nginx.call("PUT", f"/api/accounts/hostile:{i}", json={"name": text[:190]}, key="app")
    shown = {usage["action"] for page in (1,) for usage in nginx.get(f"/api/credits/usages?account={account}&limit=100").json["items"]}
    assert len(shown) > 40
    browser.open(link(nginx, account))
    for rows in (20, 40, 60, len(INJECTIONS) + 1):
        wait_until(lambda: len(browser.find_all("table.list > tbody > tr")) >= min(rows, len(INJECTIONS)), 15, f"{rows} movements")
        browser.click("octroi-history button, [role=tabpanel] button", "Show more") if rows <= 60 else None
    browser.click("button[role=tab]", "Usages")
    wait_until(lambda: len(browser.find_all("table.list > tbody > tr")) >= 20, 15, "the usages")
    browser.click("button", "Action")
    clean(browser)
    assert browser.run("return [window.pwned, document.querySelectorAll('iframe, object, embed, base').length]") == [None, 0]
    browser.open(admin_link(nginx))
    browser.reads("As of")
    browser.click("button", "Model")
    browser.run("const i = arguments[0]; i.value = 'hostile:'; i.form.requestSubmit()", browser.find("input[name=match]"))
    wait_until(lambda: len(browser.find_all("section[aria-labelledby=accounts] tbody tr")) == 50, 15, "the accounts")
    browser.click("section[aria-labelledby=accounts] button", "Show more")
    wait_until(lambda: browser.find_all("section[aria-labelledby=accounts] tbody button", account), 15, "the account")
    browser.click("section[aria-labelledby=accounts] tbody button", account)
    wait_until(lambda: len(browser.find_all("section[aria-labelledby=transactions] tbody tr")) == 50, 20, "its movements")
    clean(browser)
    assert browser.run("return [window.pwned, document.querySelectorAll('iframe, object, embed, base').length]") == [None, 0]
    assert urllib.parse.urlsplit(browser.driver.current_url).path == "/admin"


@pytest.mark.parametrize("page", ["billing", "admin"])
def test_token_leaves_the_browser_in_one_header_only(nginx, browser, page):
    account = nginx.account(funds_micros=5_000_000)
    use(nginx, account, 2)
    url = link(nginx, account) if page == "billing" else admin_link(nginx)
    token = url.split("#token=")[1]
    browser.open(url)
    browser.reads("History" if page == "billing" else "As of")
    browser.transferred()
    asked = browser.run("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert len(asked) > 10 and not [name for name in asked if token in name]
    assert token not in browser.driver.current_url and token not in browser.run("return document.referrer + document.cookie")
    entries = browser.driver.execute_cdp_cmd("Page.getNavigationHistory", {})["entries"]
    assert not [entry["url"] for entry in entries if token in entry["url"]]
    assert browser.run("return document.querySelector('meta[name=referrer]')?.content ?? ''") in ("", "no-referrer")
    assert {urllib.parse.urlsplit(name).netloc for name in asked} == {urllib.parse.urlsplit(url).netloc}
    logs = "".join(path.read_text(errors="replace") for path in pathlib.Path(nginx.env["OCTROI_LOGS"]).glob("*.log"))
    assert token not in logs and token.split(".")[2] not in logs


def test_tokens_of_the_two_pages_are_apart(nginx, browser):
    """The tab's storage keeps one token of each page, so that an operator's is never sent for a customer."""
    account = nginx.account(funds_micros=5_000_000)
    billing = link(nginx, account).split("#token=")[1]
    browser.open(f"{nginx.internal_url}/billing#token={billing}")
    browser.reads("€5.00")
    browser.driver.get(nginx.internal_url + "/admin")
    browser.reads("has ended")
    browser.driver.get(admin_link(nginx))
    browser.reads("As of")
    browser.driver.get(nginx.internal_url + "/billing")
    browser.reads("€5.00")


def test_a_browser_reads_its_own_account_only(site):
    own, other = site.account(funds_micros=5_000_000), site.account(funds_micros=7_770_000)
    use(site, other, 1, member="other-member")
    token = link(site, own).split("#token=")[1]
    usage = site.get(f"/api/credits/usages?account={other}").json["items"][0]["id"]
    for path in ("", "/transactions", "/usages", "/usages/" + usage, "/grants", "/alerts", "/settings", "/summary", "/diagnosis"):
        for more in (f"?account={other}", f"?account={other}&format=csv", f"?account={own}&account={other}",
                     f"?account={other}&account={own}"):
            answer = site.get(f"/api/credits{path}{more}", key=token, public=True)
            assert answer.status in (400, 403, 404) or (answer.status == 200 and more.startswith(f"?account={own}")), (path, more, answer)
            assert other not in answer.text
            assert "other-member" not in answer.text and "777" not in answer.text.split("requestId")[0], answer
    for path in ("accounts", f"accounts/{other}", f"accounts/{own}", "reports/margin", "alerts"):
        assert site.get(f"/api/admin/{path}", key=token).status == 403


def test_a_hundred_thousand_usages_and_two_hundred_members(nginx, browser):
    account = nginx.account("huge:account", funds_micros=10**9)
    grown.usages(nginx, account, 100_000, 100)
    me = grown.key(account)
    nginx.sql(f"INSERT INTO members (account_id, member_id) SELECT {me}, CONCAT('m', LPAD(seq, 3, '0')) FROM seq_1_to_200")
    try:
        browser.open(link(nginx, account))
        browser.reads("in the last 30 days", 30)
        browser.click("button[role=tab]", "Usages")
        wait_until(lambda: len(browser.find_all("table.list > tbody > tr")) >= 20, 20, "the newest usages")
        browser.click("button", "90 days")
        browser.reads("in the last 90 days", 30)
        browser.click("button", "Member")
        browser.reads("Tokens", 30)
        clean(browser)
        assert browser.run("return document.querySelectorAll('*').length") < 5000
    finally:
        for table in ("usages", "members"):
            nginx.sql(f"DELETE FROM {table} WHERE account_id = {me}")
        nginx.sql(f"UPDATE accounts SET hold_seq = 0 WHERE id = {me}")


def test_weight_of_the_operators_page(nginx, browser):
    browser.transferred()
    browser.open(admin_link(nginx))
    browser.reads("As of")
    weight = {url: size for url, size in browser.transferred().items() if url.startswith(nginx.internal_url)}
    assert len(weight) > 10 and sum(weight.values()) <= 250_000, weight

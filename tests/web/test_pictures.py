"""The pictures of README and docs, made of an account that was used for a month.  They are in
BUILD/tests-results/web/docs-*.png; copy one to docs/*.png when its page has changed."""

import random
import re

import pytest
from browser import keep_picture
from conftest import _site
from octroi import TOP, wait_until
from test_admin import admin_link
from test_billing import link
from timetravel import Clock

# Of a picture in docs/, in bytes: a page is read over a slow line too.
LARGEST = 130_000
DAYS = 26
DAY_US = 86_400 * 10**6
MODELS = ["gpt-4o", "gpt-4o", "gpt-4o-mini", "claude-sonnet-4-20250514"]


def use(o, account, chance, member):
    model = chance.choice(MODELS)
    hold = o.post("/api/guard/authorize", {"account": account, "model": model, "member": member, "maxOutputTokens": 16_000})
    assert hold.status == 200, hold
    usage = {"prompt_tokens": chance.randrange(20_000), "completion_tokens": chance.randrange(12_000)}
    if model.startswith("claude"):
        usage = {"input_tokens": usage["prompt_tokens"], "output_tokens": usage["completion_tokens"]}
    settled = o.post("/api/guard/settle", {"hold": hold.json["hold"], "usage": usage})
    assert settled.status == 200, settled


def top_up(o, account, cents):
    opened = o.post(f"/api/credits/topup?account={account}", {"amount": cents, "saveCard": True}, key="app")
    assert opened.status == 200, opened
    o.stripe.pay(o.stripe.session_of(opened.json["url"]))
    o.stripe.deliver()


@pytest.fixture(scope="module")
def month():
    """octroi after a month of two customers; the customer whose page is shown."""
    chance = random.Random(24)
    with _site("nginx") as o:
        o.sql(f"UPDATE price_versions SET starts_at_us = starts_at_us - {(DAYS + 1) * DAY_US}")
        o.stop()
        o.start()
        clock = Clock(o)
        today = clock.now_us
        for day in range(DAYS, -1, -1):
            clock.set_us(today - day * DAY_US)
            if day % 13 == 0:
                top_up(o, "atelier:lumiere", 2500)
                top_up(o, "studio:nord", 5000)
            for account, most in (("atelier:lumiere", 7), ("studio:nord", 4)):
                for _ in range(chance.randrange(most) if day else most):
                    use(o, account, chance, chance.choice(["ann", "bob"]))
        clock.release()
        recharge = "/api/credits/recharge?account=atelier:lumiere"
        terms = o.get(recharge, key="app").json["terms"]
        done = o.call("PUT", recharge, {"enabled": True, "belowMicros": 10_000_000, "amount": 2000, "monthlyCap": 10_000,
                                        "consent": {"version": terms["version"], "locale": terms["locale"]}}, key="app")
        assert done.status == 200, done
        yield o


def kept(browser, name, *nodes):
    path = keep_picture(browser, f"docs-{name}", *nodes)
    assert 5_000 < path.stat().st_size <= LARGEST, (name, path.stat().st_size)


def test_picture_of_the_billing_page(month, browser):
    browser.size(1025)
    browser.open(link(month, "atelier:lumiere"))
    browser.reads("in the last 30 days")
    browser.reads("Invoices and receipts")
    browser.reads("charged this month")
    kept(browser, "billing", browser.find("main"), browser.find("octroi-history"))


def test_picture_of_a_charge_explained(month, browser):
    browser.size(900)
    browser.open(link(month, "atelier:lumiere"))
    browser.click("button[role=tab]", "Usages")
    browser.reads("Why?")
    rows = browser.find_all("table.list > tbody > tr")
    browser.run("arguments[0].click()", browser.find_all("button", "Why?")[0])
    browser.reads("Rounding up to a millionth")
    kept(browser, "why", browser.find("octroi-history"), rows[3])


def test_picture_of_automatic_top_ups(month, browser):
    browser.size(900)
    browser.open(link(month, "studio:nord"))
    browser.click("button", "Set up")
    for name, text in (("below", "10"), ("amount", "20"), ("cap", "100")):
        browser.find(f"input[name={name}]").send_keys(text)
    browser.run("document.activeElement.blur()")
    kept(browser, "recharge", browser.find("octroi-recharge"))


def test_picture_of_the_operators_page(month, browser):
    browser.size(1200)
    browser.open(admin_link(month))
    browser.click("button", "7 days")
    wait_until(lambda: len(browser.find_all("section[aria-labelledby=money] tbody tr")) == 8, 15, "the days of a week and their sum")
    kept(browser, "admin", browser.find("section[aria-labelledby=money]"))


def test_pages_name_the_pictures_that_are_made_here():
    named = {name for path in [TOP / "README.md", *(TOP / "docs").glob("*.md")]
             for name in re.findall(r"!\[[^\]]+\]\((?:docs/)?([\w-]+)\.png\)", path.read_text())}
    there = {path.stem for path in (TOP / "docs").glob("*.png")}
    made = set(re.findall(r'^    kept\(browser, "([\w-]+)"', open(__file__).read(), re.M))
    assert named == there == made
    assert all((TOP / "docs" / f"{name}.png").stat().st_size <= LARGEST for name in there)

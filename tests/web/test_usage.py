"""<octroi-usage>: a day's bar opens its hours, in the account's time zone, and a button leads back."""

import datetime
import zoneinfo

import pytest
from browser import keep_picture
from conftest import _site
from octroi import wait_until
from selenium.webdriver.common.keys import Keys
from test_billing import clean, use
from test_elements import bare
from timetravel import Clock

ZONE = "Europe/Paris"
DAY = datetime.timedelta(days=1)
# The clock is put back at three.
LONG_DAY = "2025-10-26"
WORDS = {"en": ("Back to the days", "The hours as a table", f"Hours in the time zone {ZONE}", "10:00 AM"),
         "fr": ("Retour aux jours", "Les heures en tableau", f"Heures dans le fuseau horaire {ZONE}", "10:00")}


@pytest.fixture(scope="module")
def days():
    """(octroi, account, yesterday): use on three days, and on the long one."""
    with _site("nginx") as o:
        o.sql("UPDATE price_versions SET starts_at_us = starts_at_us - 900 * 86400000000")
        o.stop()
        o.start()
        clock = Clock(o)
        now = datetime.datetime.now(zoneinfo.ZoneInfo(ZONE))
        clock.set(f"{LONG_DAY} 00:00:00", ZONE)
        account = o.account("studio:hours", funds_micros=90_000_000, timeZone=ZONE)
        for minutes in (150, 210, 270):  # half past two, again, and half past three
            clock.set(f"{LONG_DAY} 00:00:00", ZONE)
            clock.forward(minutes=minutes)
            use(o, account)
        for date, times in ((now.date() - 3 * DAY, ("09:00",)), (now.date() - DAY, ("00:00", "10:15", "10:45", "23:59:59"))):
            for time in times:
                clock.set(f"{date} {time}", ZONE)
                use(o, account)
        clock.release()
        yield o, account, str(now.date() - DAY)


def show(browser, days, attributes="", lang="en"):
    o, account, _ = days
    token = o.post("/api/tokens", {"account": account}, key="app").json["token"]
    bare(browser, o, f"<octroi-usage {attributes}></octroi-usage>", token, lang)


def bar(browser, day):
    return browser.find(f"g[role=button][data-key='{day}']")


def asked(browser):
    """The queries of sums since the page began, but for the account."""
    return browser.run("return performance.getEntriesByType('resource').map((e) => e.name).filter((n) => n.includes('/summary')).map((n) => n.split('?')[1])")


def focused(browser):
    return browser.run("const f = document.querySelector('octroi-usage').shadowRoot.activeElement; return f && (f.dataset.key ?? f.getAttribute('part'))")


def rows(browser):
    return browser.run("return [...document.querySelector('octroi-usage').shadowRoot.querySelectorAll('tbody tr')].map((r) => [...r.cells].map((c) => c.innerText.replace(/\\s+/g, ' ').trim()))")


@pytest.mark.parametrize("lang", ["en", "fr"])
def test_a_bar_opens_the_hours_of_its_day(browser, days, lang):
    _, _, yesterday = days
    back, table, zone, ten = WORDS[lang]
    show(browser, days, 'days="7"', lang)
    bar(browser, yesterday).click()
    browser.reads(back)
    wait_until(lambda: focused(browser) == "back", 10, "the focus on the way back")
    browser.click("summary", table)
    browser.reads(zone)
    found = rows(browser)
    assert [row[1] for row in found] == ["1", "2", "1"] and found[1][0] == ten and all("€" in row[-1] for row in found)
    assert browser.run("return document.querySelector('octroi-usage').shadowRoot.querySelectorAll('.bar').length") in (23, 24, 25)
    assert asked(browser)[-1] == f"by=hour&from={yesterday}"
    keep_picture(browser, f"hours-{lang}")
    clean(browser)
    browser.click("button", back)
    bar(browser, yesterday)
    wait_until(lambda: focused(browser) == yesterday, 10, "the focus on the day's bar")
    first, _, last = asked(browser)
    assert first == last and "by=day" in last, "the days that were shown before"
    assert browser.run("return document.querySelector('octroi-usage').getAttribute('days')") == "7"
    clean(browser)


def test_hours_by_keyboard_alone(browser, days):
    _, _, yesterday = days
    show(browser, days)
    bar(browser, yesterday)
    for _ in range(20):
        if focused(browser) == yesterday:
            break
        browser.driver.switch_to.active_element.send_keys(Keys.TAB)
    assert focused(browser) == yesterday, "the newest bar is a stop of the tab key"
    before = str(datetime.date.fromisoformat(yesterday) - 2 * DAY)

    def press(key):
        browser.driver.switch_to.active_element.send_keys(key)

    for key, at in ((Keys.ARROW_LEFT, before), (Keys.ARROW_LEFT, before), (Keys.END, yesterday), (Keys.HOME, before), (Keys.ARROW_RIGHT, yesterday)):
        press(key)
        assert focused(browser) == at, key
    stops = "return [...document.querySelector('octroi-usage').shadowRoot.querySelectorAll('g[tabindex=\"0\"]')].length"
    assert browser.run(stops) == 1
    for key in (Keys.ENTER, " "):
        press(key)
        wait_until(lambda: focused(browser) == "back", 10, "the way back")
        press(Keys.ENTER)
        wait_until(lambda: focused(browser) == yesterday, 10, "the day's bar")
    clean(browser)


def test_the_table_opens_the_hours_too(browser, days):
    _, _, yesterday = days
    show(browser, days)
    browser.click("summary", "The days as a table")
    browser.reads(f"Days in the time zone {ZONE}")
    browser.find("button.day").click()  # the last one
    browser.reads("Back to the days")
    assert asked(browser)[-1] == f"by=hour&from={yesterday}"
    browser.click("button", "Model")  # leaves the hours as well
    browser.reads("gpt-4o")
    assert not browser.find_all("[part=back]") and "by=model" in asked(browser)[-1]
    clean(browser)


@pytest.mark.parametrize("lang, named", [("en-GB", ["02:00 CEST", "02:00 CET", "03:00 CET"]), ("fr", ["02:00 UTC+2", "02:00 UTC+1", "03:00 UTC+1"])])
def test_a_day_of_25_hours(browser, days, lang, named):
    """An hour that comes twice is told apart by the name of its time."""
    show(browser, days, f'day="{LONG_DAY}"', lang)
    browser.find("[part=back]")
    browser.run("document.querySelector('octroi-usage').shadowRoot.querySelector('details').open = true")
    assert [row[0] for row in rows(browser)] == named
    assert browser.run("return document.querySelector('octroi-usage').shadowRoot.querySelectorAll('.bar').length") == 25
    browser.size(320)
    browser.media(prefers_color_scheme="dark")
    assert browser.run("return document.documentElement.scrollWidth") <= 320
    keep_picture(browser, f"hours-narrow-{lang}")
    clean(browser)
    browser.size(1100)
    browser.media()


def test_hours_without_use(browser, days):
    show(browser, days, 'day="2025-10-27"')
    browser.reads("Monday, October 27, 2025")
    browser.reads("Nothing yet.")
    browser.click("button", "Back to the days")
    browser.find("g[role=button]")
    clean(browser)


def test_a_day_that_is_none_is_told(browser, days):
    show(browser, days, 'day="yesterday"')
    browser.reads("from must be")
    browser.errors()  # the 400


def test_a_server_that_is_away_keeps_the_days(browser, days):
    o, _, yesterday = days
    show(browser, days)
    bar(browser, yesterday)
    o.stop()
    try:
        bar(browser, yesterday).click()
        browser.reads("The server does not answer.")
        assert browser.find_all("g[role=button]"), "the days stay"
    finally:
        o.start()
    browser.run("document.dispatchEvent(new Event('visibilitychange'))")
    browser.reads("Back to the days", 30)
    assert not browser.find_all("[part=trouble]")
    browser.errors()

"""<octroi-recharge> on the billing page, from the click to the charge at the Stripe of the tests, and back out of a pause."""

from browser import keep_picture
from octroi import wait_until
from saver import EURO, Saver
from test_billing import clean, link


def look(browser):
    browser.run("document.dispatchEvent(new Event('visibilitychange'))")


def switch_on(browser, terms, below="10", amount="20", cap="100"):
    browser.click("button", "Set up")
    for name, text in (("below", below), ("amount", amount), ("cap", cap)):
        browser.find(f"input[name={name}]").send_keys(text)
    browser.reads(terms)
    browser.find("input[name=consent]").click()
    browser.click("button", "Switch on")
    browser.reads("Saved.")


def reads_later(browser, words):
    """The page looks at the account every 30 s; a person who comes back to it sees it at once."""
    wait_until(lambda: look(browser) or words in browser.text, 30, f"{words!r}: {browser.text}", every=0.5)


def test_from_click_to_charge(site, browser):
    c = Saver(site, site.stripe)
    browser.open(link(site, c.id))
    browser.reads("Automatic top-up\nOff")
    switch_on(browser, c.show()["terms"]["text"])
    browser.reads("charged €20 when the balance falls below €10.00, at most €100 in a calendar month.")
    c.spend(15 * EURO)
    c.wait_charged([2000])
    reads_later(browser, "Balance\n€25.00")
    reads_later(browser, "€20 of €100 charged this month")
    browser.reads("Automatic top-up\nOn")
    clean(browser)
    keep_picture(browser, "recharge-charged")
    browser.click("button", "Switch off")
    browser.reads("Automatic top-up is off.")
    c.spend(20 * EURO)
    reads_later(browser, "Balance\n€5.00")
    assert c.show()["state"] == "off" and c.charged() == [2000]
    clean(browser)


def test_balance_below_already_is_charged_at_once(nginx, browser):
    c = Saver(nginx, nginx.stripe, balance=4 * EURO)
    browser.open(link(nginx, c.id))
    switch_on(browser, c.show()["terms"]["text"])
    c.wait_charged([2000])
    browser.reads("€20 of €100 charged this month", 30)
    browser.reads("Automatic top-up\nOn", 30)
    browser.reads("Balance\n€24.00", 40)


def test_bank_that_asks_for_its_customer(nginx, browser):
    """The pause leads to a payment that saves the card, and that payment ends the pause."""
    c = Saver(nginx, nginx.stripe, declines="authentication_required")
    browser.open(link(nginx, c.id))
    switch_on(browser, c.show()["terms"]["text"])
    c.spend(15 * EURO)
    reads_later(browser, "Automatic top-up\nPaused")
    reason = c.show()
    assert (reason["state"], reason["reason"]) == ("paused", "action_needed")
    browser.reads(reason["reasonText"])
    assert "Saved." not in browser.text
    clean(browser)
    keep_picture(browser, "recharge-action_needed-page")
    browser.click("button", "Pay €20 and save the card")
    wait_until(lambda: "/c/pay/" in browser.driver.current_url, 15, "the payment page")
    browser.find("button", "Pay 20.00 EUR").click()
    browser.reads("€20.00 arrived.", 30)
    browser.reads("Automatic top-up\nOn", 30)
    browser.reads("Balance\n€25.00")
    assert c.show()["state"] == "ready" and c.charged() == []
    c.spend(20 * EURO)
    c.wait_charged([2000])


def test_without_a_card_then_one_top_up(nginx, browser):
    c = Saver(nginx, nginx.stripe, card=False, balance=4 * EURO)
    browser.open(link(nginx, c.id) + "&lang=fr")
    browser.click("button", "Configurer")
    for name, text in (("below", "10"), ("amount", "20"), ("cap", "100")):
        browser.find(f"input[name={name}]").send_keys(text)
    browser.find("input[name=consent]").click()
    browser.click("button", "Activer")
    wait_until(lambda: c.show()["reason"] == "no_card", 30, "the pause")
    reads_later(browser, "Recharge automatique\nEn pause")
    assert c.show()["consent"]["locale"] == "fr"
    clean(browser)
    assert browser.find("[part=action]").text.replace("\u00a0", " ") == "Payer 20 € et enregistrer la carte"
    browser.click("[part=action]")
    wait_until(lambda: "/c/pay/" in browser.driver.current_url, 15, "the payment page")
    browser.find("button", "Pay 20.00 EUR").click()
    browser.reads("20,00 € ajoutés à votre solde.", 30)
    browser.reads("Recharge automatique\nActivée", 30)


def test_refusals_of_octroi_are_shown(nginx, browser):
    c = Saver(nginx, nginx.stripe)
    browser.open(link(nginx, c.id))
    browser.click("button", "Set up")
    for name, text in (("below", "10"), ("amount", "20"), ("cap", "19.99")):
        browser.find(f"input[name={name}]").send_keys(text)
    browser.find("input[name=consent]").click()
    browser.click("button", "Switch on")
    wait_until(lambda: browser.find_all("[part=refusal]"), 15, "the refusal")
    refused = c.put({**c.settings(), "monthlyCap": 1999})
    assert refused.status == 400
    browser.reads(refused.json["message"])
    fields = [field.get_attribute("name") for field in browser.find_all("[aria-invalid=true]")]
    assert fields == [{"monthlyCap": "cap", "amount": "amount"}[refused.json["field"]]]
    keep_picture(browser, "recharge-refused")
    nginx.call("PUT", f"/api/accounts/{c.id}", {"mode": "postpaid", "hardLimitMicros": EURO}, key="app")
    field = browser.find("input[name=cap]")
    field.clear()
    field.send_keys("100")
    browser.click("button", "Switch on")
    browser.reads(c.put(c.settings()).json["message"])
    assert c.show()["enabled"] is False and c.charged() == []

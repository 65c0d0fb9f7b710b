"""Automatic top-ups: <octroi-recharge> in each state, by a stand-in of the route in the page."""

import copy
import json
import re

import pytest
from browser import keep_picture
from contract import Contract
from octroi import TOP, wait_until
from test_billing import clean, link
from test_elements import bare

# In the page: answers the route from window.recharge, and keeps each body that is put.  The rest goes to octroi.
STAND_IN = """
window.recharge = {answer: ANSWER, refusal: null, puts: [], topups: [], asked: 0};
const octroi = window.fetch;
window.fetch = async (path, options = {}) => {
	const kept = window.recharge;
	if (String(path) === "/api/credits/topup" && kept.page) {
		kept.topups.push(JSON.parse(options.body));
		return new Response(JSON.stringify({url: kept.page}), {headers: {"Content-Type": "application/json"}});
	}
	if (String(path) !== "/api/credits/recharge")
		return octroi(path, options);
	kept.asked++;
	kept.language = options.headers["Accept-Language"];
	if (kept.away)
		throw new TypeError("Failed to fetch");
	const change = options.method === "PUT" ? JSON.parse(options.body) : null;
	if (change !== null)
		kept.puts.push(change);
	if (kept.refusal !== null && (change !== null || kept.refusal.reads))
		return new Response(JSON.stringify(kept.refusal.answer), {status: kept.refusal.status});
	if (change !== null) {
		const {consent, ...settings} = change;
		Object.assign(kept.answer, settings, {state: change.enabled ? "ready" : "off", reason: null, reasonText: null, nextAttemptAt: null});
		if (consent)
			kept.answer.consent = {...consent, text: kept.answer.terms.text, at: "2026-11-24T08:00:00.000Z", actor: "owner"};
	}
	return new Response(JSON.stringify(kept.answer), {headers: {"Content-Type": "application/json"}});
};
"""
TERMS = {"version": "2026-11-24", "locale": "en", "text": "I agree that my saved card is charged without my being there."}
OFF = {"account": "user:1", "enabled": False, "state": "off", "reason": None, "reasonText": None, "belowMicros": None,
       "amount": None, "monthlyCap": None, "currency": "EUR", "spentThisMonth": 0, "chargesToday": 0, "nextAttemptAt": None,
       "pending": None, "consent": None, "terms": TERMS}
READY = {**OFF, "enabled": True, "state": "ready", "belowMicros": 5_000_000, "amount": 2000, "monthlyCap": 10_000,
         "spentThisMonth": 2000, "chargesToday": 1,
         "consent": {**TERMS, "text": "What was agreed to.", "at": "2026-11-24T08:00:00.000Z", "actor": "owner"}}
WAITING = ["monthly_cap", "daily_cap", "backing_off", "account_suspended", "not_prepaid", "not_configured"]
PAY = ["no_card", "card_declined", "action_needed", "charge_refused"]
AGREE = ["currency_changed", "unit_changed"]
RESUME = ["charge_returned"]
RULE = "Your saved card is charged €20 when the balance falls below €5.00, at most €100 in a calendar month."


def state(answer, state, reason=None, **more):
    return {**copy.deepcopy(answer), "state": state, "reason": reason, "reasonText": reason and f"The reason is {reason}.", **more}


def show(browser, o, answer, account=None, member=None, lang="en", **kept):
    """The element alone, with an answer of the route; the account."""
    account = account or o.account(funds_micros=9_000_000)
    script = STAND_IN.replace("ANSWER", json.dumps(answer)) + f"Object.assign(window.recharge, {json.dumps(kept)});"
    browser.cdp("Page.addScriptToEvaluateOnNewDocument", source=script)
    bare(browser, o, "<octroi-recharge></octroi-recharge>", link(o, account, member).split("#token=")[1], lang)
    return account


def puts(browser):
    return browser.run("return window.recharge.puts")


def fill(browser, **texts):
    for name, text in texts.items():
        field = browser.find(f"input[name={name}]")
        field.clear()
        field.send_keys(text)


def ticked(browser):
    return [box.is_selected() for box in browser.find_all("input[name=consent]")]


def events(browser):
    browser.run("window.heard = []; addEventListener('octroi-recharge', (e) => heard.push(e.detail))")


def test_off_to_on_by_consent(nginx, browser):
    show(browser, nginx, OFF)
    browser.reads("Automatic top-up\nOff")
    events(browser)
    keep_picture(browser, "recharge-off")
    browser.click("button", "Set up")
    browser.reads(TERMS["text"])
    assert ticked(browser) == [False], "a consent that is given in advance is none"
    assert [field.get_attribute("value") for field in browser.find_all("input[inputmode=decimal]")] == ["", "", ""]
    browser.click("button", "Switch on")
    browser.reads("Enter an amount such as 20 or 20.50.")
    fill(browser, below="5", amount="20,00", cap="1oo")
    browser.find("input[name=consent]").click()
    browser.click("button", "Switch on")
    wait_until(lambda: browser.run("return document.querySelector('octroi-recharge').shadowRoot.activeElement.name") == "cap", 10, "the wrong field")
    fill(browser, cap="100")
    browser.find("input[name=consent]").click()
    assert ticked(browser) == [False]
    browser.click("button", "Switch on")
    browser.reads("Nothing changes without your consent")
    assert puts(browser) == []
    keep_picture(browser, "recharge-consent")
    clean(browser)
    browser.find("input[name=consent]").click()
    browser.click("button", "Switch on")
    browser.reads(RULE)
    browser.reads("Automatic top-up\nOn\nSaved.")
    assert puts(browser) == [{"enabled": True, "belowMicros": 5_000_000, "amount": 2000, "monthlyCap": 10_000,
                              "consent": {"version": "2026-11-24", "locale": "en"}}]
    assert browser.run("return heard") == [{"enabled": True, "state": "ready"}]
    clean(browser)


def test_ready_shows_what_it_does_and_what_it_did(nginx, browser):
    show(browser, nginx, READY)
    browser.reads(RULE)
    browser.reads("€20 of €100 charged this month")
    assert browser.find_all("[part=reason]") == [] and browser.find_all("[part=action]") == []
    browser.click("summary", "Your consent of Nov 24, 2026")
    browser.reads("What was agreed to.")
    keep_picture(browser, "recharge-ready")
    clean(browser)


def test_one_click_switches_off(nginx, browser):
    show(browser, nginx, READY)
    events(browser)
    browser.click("button", "Switch off")
    browser.reads("Automatic top-up is off.")
    assert puts(browser) == [{"enabled": False}] and browser.run("return heard") == [{"enabled": False, "state": "off"}]
    browser.reads("€20 of €100 charged this month")
    browser.click("button", "Set up")
    assert browser.find("input[name=amount]").get_attribute("value") == "20" and ticked(browser) == [False]
    clean(browser)


@pytest.mark.parametrize("change, consents", [
    ({"below": "3"}, False), ({"cap": "50"}, False), ({"amount": "20.00"}, False),
    ({"amount": "15"}, True), ({"amount": "30"}, True), ({"cap": "100.01"}, True)],
    ids=lambda value: "-".join(map("=".join, value.items())) if isinstance(value, dict) else None)
def test_change_that_takes_more_needs_consent(nginx, browser, change, consents):
    show(browser, nginx, READY)
    browser.click("button", "Change")
    browser.find("input[name=below]")
    assert ticked(browser) == []
    fill(browser, **change)
    wait_until(lambda: ticked(browser) == [False] * consents, 10, "the consent")
    if consents:
        browser.click("button", "Save")
        browser.reads("Nothing changes without your consent")
        browser.find("input[name=consent]").click()
    browser.click("button", "Save")
    browser.reads("Saved.")
    assert len(puts(browser)) == 1 and ("consent" in puts(browser)[0]) == consents


def test_consent_that_is_no_longer_needed_is_forgotten(nginx, browser):
    show(browser, nginx, READY)
    browser.click("button", "Change")
    fill(browser, amount="30")
    browser.find("input[name=consent]").click()
    fill(browser, amount="20")
    wait_until(lambda: ticked(browser) == [], 10, "no question")
    fill(browser, amount="40")
    wait_until(lambda: ticked(browser) == [False], 10, "a question without an answer")


def test_terms_that_change_take_the_tick_away(nginx, browser):
    show(browser, nginx, OFF)
    browser.click("button", "Set up")
    browser.find("input[name=consent]").click()
    assert ticked(browser) == [True]
    browser.run("""Object.assign(window.recharge.answer.terms, {version: "2027-01-01", text: "Other terms."});
        document.dispatchEvent(new Event("visibilitychange"))""")
    browser.reads("Other terms.")
    assert ticked(browser) == [False]


@pytest.mark.parametrize("reason", WAITING)
def test_waiting_with_its_reason(nginx, browser, reason):
    show(browser, nginx, state(READY, "waiting", reason, nextAttemptAt="2026-12-24T12:00:00.000Z"))
    browser.reads("Automatic top-up\nWaiting")
    browser.reads(f"The reason is {reason}.\nNext attempt: Dec 24, 2026")
    assert browser.find_all("[part=action]") == [] and browser.find_all("[part=off]") != []
    clean(browser)


def test_pending_is_looked_at_until_it_ends(nginx, browser):
    show(browser, nginx, state(READY, "pending", pending={"topup": "t", "amount": 2000}, spentThisMonth=4000))
    browser.reads("A charge of €20 is under way.")
    keep_picture(browser, "recharge-pending")
    clean(browser)
    browser.run("Object.assign(window.recharge.answer, {state: 'ready', pending: null})")
    browser.reads("Automatic top-up\nOn")
    assert "under way" not in browser.text


def test_pending_after_it_was_switched_off(nginx, browser):
    show(browser, nginx, state(READY, "pending", enabled=False, pending={"topup": "t", "amount": 2000}))
    browser.reads("A charge of €20 is under way.")
    assert browser.find_all("[part=off]") == []


@pytest.mark.parametrize("reason", PAY)
def test_pause_that_a_payment_ends(nginx, browser, reason):
    show(browser, nginx, state(READY, "paused", reason), page=nginx.url + "/octroi/ui/icon.svg")
    browser.reads(f"Automatic top-up\nPaused\n{RULE}\nThe reason is {reason}.")
    keep_picture(browser, f"recharge-{reason}")
    clean(browser)
    assert len(browser.find_all("[part=action]")) == 1
    browser.run("window.left = 0; addEventListener('pagehide', () => sessionStorage.setItem('topups', JSON.stringify(window.recharge.topups)))")
    browser.click("button", "Pay €20 and save the card")
    wait_until(lambda: browser.driver.current_url.endswith("icon.svg"), 10, "the payment page")
    browser.open(nginx.url + "/octroi/ui/none")
    assert browser.run("return JSON.parse(sessionStorage.getItem('topups'))") == [{"amount": 2000, "saveCard": True}]
    browser.errors()  # there is no such page


@pytest.mark.parametrize("reason", AGREE)
def test_pause_that_a_consent_ends(nginx, browser, reason):
    show(browser, nginx, state(READY, "paused", reason))
    browser.reads(f"The reason is {reason}.")
    assert len(browser.find_all("[part=action]")) == 1
    browser.click("button", "Check the settings and agree")
    browser.find("input[name=consent]")
    assert ticked(browser) == [False]
    browser.find("input[name=consent]").click()
    browser.click("button", "Save")
    browser.reads("Automatic top-up\nOn")
    assert puts(browser)[0]["consent"] == {"version": "2026-11-24", "locale": "en"}


@pytest.mark.parametrize("reason", RESUME)
def test_pause_that_a_click_ends(nginx, browser, reason):
    show(browser, nginx, state(READY, "paused", reason))
    browser.reads(f"The reason is {reason}.")
    assert len(browser.find_all("[part=action]")) == 1
    browser.click("button", "Resume")
    browser.reads("Automatic top-up\nOn")
    assert puts(browser) == [{"enabled": True, "belowMicros": 5_000_000, "amount": 2000, "monthlyCap": 10_000}]


@pytest.mark.parametrize("status, code, field, name", [
    (400, "BAD_REQUEST", "monthlyCap", "cap"), (400, "BAD_REQUEST", "belowMicros", "below"),
    (409, "RECHARGE_NOT_PREPAID", None, None), (422, "CONSENT_NEEDED", None, "consent"), (429, "TOO_MANY", None, None)])
def test_refusal_of_a_change(nginx, browser, status, code, field, name):
    show(browser, nginx, READY)
    browser.click("button", "Change")
    fill(browser, below="3")
    browser.run("""window.recharge.refusal = {status: arguments[0], answer: arguments[1]}""", status,
                {"error": code, "message": "The sentence of octroi.", **({"field": field} if field else {})})
    browser.click("button", "Save")
    browser.reads("The sentence of octroi.")
    assert len(puts(browser)) == 1
    if name:
        wait_until(lambda: [f.get_attribute("name") for f in browser.find_all("[aria-invalid=true]")] == [name], 10, "the field")
        assert browser.run("return document.querySelector('octroi-recharge').shadowRoot.activeElement.name") == name
    if code == "CONSENT_NEEDED":
        assert ticked(browser) == [False]
    assert browser.violations() == []
    browser.run("window.recharge.refusal = null")
    if code == "CONSENT_NEEDED":
        browser.find("input[name=consent]").click()
    browser.click("button", "Save")
    browser.reads("Saved.")
    browser.reads("below €3.00")
    assert ("consent" in puts(browser)[-1]) == (code == "CONSENT_NEEDED")


def test_switching_off_that_fails_is_told(nginx, browser):
    show(browser, nginx, READY)
    browser.reads(RULE)
    browser.run("window.recharge.refusal = {status: 503, answer: {error: 'UNAVAILABLE', message: 'x'}}")
    browser.click("button", "Switch off")
    browser.reads("The server does not answer.")
    browser.reads("Automatic top-up\nOn")
    browser.run("window.recharge.refusal = null")
    browser.click("button", "Switch off")
    browser.reads("Automatic top-up is off.")


def test_server_away_and_back_keeps_the_form(nginx, browser):
    show(browser, nginx, READY)
    browser.click("button", "Change")
    fill(browser, below="3.33")
    browser.run("window.recharge.away = true; document.dispatchEvent(new Event('visibilitychange'))")
    browser.reads("The server does not answer.")
    browser.click("button", "Save")
    wait_until(lambda: browser.find_all("[part=refusal]"), 10, "the change fails")
    assert browser.find("input[name=below]").get_attribute("value") == "3.33"
    browser.run("window.recharge.away = false")
    wait_until(lambda: browser.find_all("[part=trouble]") == [], 40, "the notice gone")
    browser.click("button", "Save")
    browser.reads("below €3.33")


def test_token_that_ends(nginx, browser):
    account = show(browser, nginx, READY)
    browser.reads(RULE)
    browser.run("""window.asked = 0; addEventListener("octroi-token-needed", () => window.asked++);
        window.recharge.refusal = {status: 401, reads: true, answer: {error: "UNAUTHORIZED", message: "x"}};""")
    browser.click("button", "Switch off")
    browser.reads("Your session has ended.")
    assert browser.run("return window.asked") > 0
    browser.run("window.recharge.refusal = null; document.querySelector('octroi-recharge').token = arguments[0]",
                link(nginx, account, ttl=800).split("#token=")[1])
    wait_until(lambda: "Your session has ended." not in browser.text, 15, "the element takes the new token")
    browser.click("button", "Switch off")
    browser.reads("Automatic top-up is off.")


def test_member_sees_nothing_and_asks_nothing(nginx, browser):
    account = nginx.account(funds_micros=9_000_000)
    for member, role in (("ann", "member"), ("max", "manager")):
        assert nginx.call("PUT", f"/api/accounts/{account}/members/{member}", {"role": role}, key="app").status == 200
    show(browser, nginx, READY, account, "ann")
    wait_until(lambda: browser.run("return document.querySelector('octroi-recharge').matches('[data-empty]')"), 15, "nothing")
    assert browser.run("return window.recharge.asked") == 0
    clean(browser)
    show(browser, nginx, READY, account, "max")
    browser.reads(RULE)
    browser.click("button", "Switch off")
    browser.reads("Automatic top-up is off.")


def test_postpaid_account_is_not_offered_it(nginx, browser):
    account = nginx.account(mode="postpaid", hardLimitMicros=50_000_000)
    show(browser, nginx, OFF, account)
    wait_until(lambda: browser.run("return document.querySelector('octroi-recharge').matches('[data-empty]')"), 15, "nothing")


def test_account_of_credits(nginx, browser):
    show(browser, nginx, READY | {"belowMicros": 500_000_000}, nginx.account(unit="credit"))
    browser.reads("charged €20 when the balance falls below 500 credits,")
    browser.click("button", "Change")
    browser.reads("When the balance falls below (in credits)")
    fill(browser, below="250")
    browser.click("button", "Save")
    browser.reads("falls below 250 credits")
    assert puts(browser)[0]["belowMicros"] == 250_000_000


def test_recharge_in_french(nginx, browser):
    terms = {"version": "2026-11-24", "locale": "fr", "text": "J'accepte que ma carte soit débitée."}
    show(browser, nginx, OFF | {"terms": terms}, lang="fr")
    browser.click("button", "Configurer")
    browser.reads("J'accepte que ma carte soit débitée.")
    fill(browser, below="5,50", amount="20", cap="100")
    browser.find("input[name=consent]").click()
    keep_picture(browser, "recharge-fr")
    browser.click("button", "Activer")
    browser.reads("Votre carte enregistrée est débitée de 20 € quand le solde passe sous 5,50 €, au plus 100 € par mois civil.")
    assert puts(browser)[0]["consent"] == {"version": "2026-11-24", "locale": "fr"}
    assert browser.run("return window.recharge.language").startswith("fr")
    clean(browser)


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("features", [{"prefers_color_scheme": "dark"}, {"forced_colors": "active"}])
def test_recharge_in_every_dress(nginx, browser, width, features):
    browser.size(width)
    browser.media(**features)
    show(browser, nginx, state(READY, "paused", "action_needed", reasonText="<img src=x onerror=window.pwned=1>" + "W" * 200))
    browser.reads("<img src=x")
    keep_picture(browser, f"recharge-{width}-{next(iter(features.values()))}")
    assert browser.run("return document.documentElement.scrollWidth") <= width
    browser.click("button", "Change")
    fill(browser, amount="21")
    browser.reads(TERMS["text"])
    assert browser.run("return document.documentElement.scrollWidth") <= width
    assert browser.run("return window.pwned") is None
    clean(browser)


def test_recharge_by_keyboard_alone(nginx, browser):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys
    show(browser, nginx, OFF)
    browser.reads("Off")

    def press(*keys):
        ActionChains(browser.driver).send_keys(*keys).perform()
    press(Keys.TAB, Keys.ENTER)
    browser.reads(TERMS["text"])
    wait_until(lambda: browser.run("return document.querySelector('octroi-recharge').shadowRoot.activeElement?.name") == "below", 10, "the form")
    press("5", Keys.TAB, "20", Keys.TAB, "100", Keys.TAB, Keys.SPACE, Keys.ENTER)
    browser.reads(RULE)
    wait_until(lambda: browser.run("return document.querySelector('octroi-recharge').shadowRoot.activeElement?.name") == "edit", 10, "the button that opened it")
    press(Keys.TAB, Keys.ENTER)
    browser.reads("Automatic top-up is off.")


def test_answers_of_the_stand_in_keep_the_contract():
    contract = Contract()
    schema = contract.at("#/components/schemas/Recharge")
    for answer in (OFF, READY, state(READY, "waiting", WAITING[0], nextAttemptAt="2026-12-24T12:00:00.000Z"),
                   state(READY, "pending", pending={"topup": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "amount": 2000})):
        assert contract.errors(answer, schema, "#/components/schemas/Recharge") == []
    reasons = schema["properties"]["reason"]["pattern"].strip("^$()").split("|")
    assert sorted(reasons) == sorted([*WAITING, *PAY, *AGREE, *RESUME])
    for name in schema["properties"]["state"]["enum"]:
        assert re.search(rf'"recharge.state.{name}"', (TOP / "web/lang/en.js").read_text())

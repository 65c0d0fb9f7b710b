"""The billing page in Chromium, by the link that an application asks for."""

import decimal

import pytest
from octroi import wait_until

# Names that would run as script, or turn the text around, if they were markup.
HOSTILE = ['<img src=x onerror="window.pwned=1">', "<script>window.pwned=1</script>", "</bdi><svg onload=window.pwned=1>",
           "javascript:window.pwned=1", "{{constructor.constructor('window.pwned=1')()}}", "${window.pwned=1}",
           "\u202egnp.exe\u202c", "👨‍👩‍👧‍👦" * 18, "=HYPERLINK(\"http://evil.example\",\"x\")"]


def link(o, account, member=None, ttl=900):
    body = {"account": account, "page": "billing", "ttlSeconds": ttl, **({"member": member} if member else {})}
    made = o.post("/api/tokens", body, key="app")
    assert made.status == 200, made
    return made.json["url"]


def use(o, account, times=1, model="gpt-4o", **more):
    """Requests that were authorized and settled; the ids of the holds."""
    holds = []
    for i in range(times):
        hold = o.post("/api/guard/authorize", {"account": account, "model": model, **more})
        assert hold.status == 200, hold
        holds.append(hold.json["hold"])
        usage = {"prompt_tokens": 100 + i, "completion_tokens": 50}
        settled = o.post("/api/guard/settle", {"hold": holds[-1], "usage": usage})
        assert settled.status == 200, settled
    return holds


def clean(browser):
    """No word on the console, no breach of the policy, nothing that axe-core finds."""
    assert browser.violations() == []
    assert browser.errors() == []


def test_page_opens_by_its_link(site, browser):
    account = site.account(funds_micros=12_340_000)
    use(site, account, 3)
    browser.open(link(site, account))
    browser.reads("€12.33")
    browser.reads("in the last 30 days")
    assert "token" not in browser.driver.current_url, "the token stays in the address"
    assert browser.run("return window.trustedTypes === undefined || document.querySelectorAll('style').length") == 0
    clean(browser)
    weight = {url: size for url, size in browser.transferred().items() if url.startswith(site.url)}
    assert len(weight) > 15 and sum(weight.values()) <= 250_000, weight


def test_policy_is_in_force(nginx, browser):
    browser.open(link(nginx, nginx.account(funds_micros=1_000_000)))
    browser.reads("€1.00")
    browser.run("const s = document.createElement('script'); s.textContent = 'window.pwned = 1'; document.head.append(s);"
                "document.body.setAttribute('onclick', 'window.pwned = 1'); document.body.click();"
                "const i = new Image(); i.src = 'http://127.0.0.1:1/x.png'; document.body.append(i);")
    wait_until(lambda: sum("Content Security Policy" in e for e in browser.console.extend(browser.errors()) or browser.console) >= 3,
               10, "three breaches")
    assert browser.run("return window.pwned") is None


def test_topup_from_click_to_credit(site, browser):
    account = site.account()
    browser.open(link(site, account))
    browser.reads("€0.00")
    browser.reads("Your balance is low")
    browser.click("input[type=radio]")  # the last one: an amount of one's own
    field = browser.find("input[name=own]")
    field.send_keys("4.99")
    browser.click("button", "Continue to payment")
    browser.reads("From €5 to €1,000")
    field.clear()
    field.send_keys("12,50")
    browser.click("button", "Continue to payment")
    wait_until(lambda: "/c/pay/" in browser.driver.current_url, 15, "the payment page")
    browser.find("button", "Pay 12.50 EUR").click()
    browser.reads("€12.50 arrived.")
    browser.reads("Balance\n€12.50")
    assert site.balance(account)[0] == 12_500_000
    browser.errors()  # of Stripe's page in the tests, which has no icon


def test_refusal_leads_to_the_topup_and_back(nginx, browser):
    account = nginx.account()
    body = {"account": account, "model": "gpt-4o", "maxOutputTokens": 2000}
    refused = nginx.post("/api/guard/authorize", body)
    assert refused.status == 402 and refused.json["topupUrl"] == f"{nginx.url}/billing", refused
    browser.open(refused.json["topupUrl"] + "#" + link(nginx, account).split("#")[1])
    browser.click("a[part=action]")  # of the diagnosis
    browser.click("button", "Continue to payment")
    wait_until(lambda: "/c/pay/" in browser.driver.current_url, 15, "the payment page")
    browser.find("button", "Pay 10.00 EUR").click()
    browser.reads("€10.00 arrived.")
    assert nginx.post("/api/guard/authorize", body).status == 200


def test_language_stays_over_the_payment_page(nginx, browser):
    account = nginx.account()
    browser.open(link(nginx, account) + "&lang=fr")
    browser.click("button", "Continuer vers le paiement")
    wait_until(lambda: "/c/pay/" in browser.driver.current_url, 15, "the payment page")
    browser.find("button", "Pay 10.00 EUR").click()
    browser.reads("10,00 € ajoutés à votre solde.", 30)
    assert browser.run("return document.documentElement.lang") == "fr"
    browser.open(link(nginx, account))  # another link says nothing of a language
    browser.reads("Balance", 30)


def test_canceled_payment(nginx, browser):
    account = nginx.account(funds_micros=3_000_000)
    url = link(nginx, account)
    browser.open(url.replace("/billing#", "/billing?topup=canceled#"))
    browser.reads("Nothing was paid.")
    clean(browser)


def test_history_explains_every_charge(nginx, browser):
    account = nginx.account(funds_micros=50_000_000)
    use(nginx, account, 25, member="user:1")
    browser.open(link(nginx, account))
    browser.click("button[role=tab]", "Usages")
    browser.reads("user:1")
    assert len(browser.find_all("table.list > tbody > tr")) == 20
    browser.click("button", "Show more")
    wait_until(lambda: len(browser.find_all("table.list > tbody > tr")) == 25, 10, "the second page")
    assert browser.find_all("button", "Show more") == []
    browser.click("button", "Why?")  # the last row: the oldest
    browser.reads("Rounding up to a millionth")
    item = nginx.get(f"/api/credits/usages?account={account}&limit=100").json["items"][-1]
    lines = nginx.get(f"/api/credits/usages/{item['id']}?account={account}").json["lines"]
    shown = browser.find("tr.why").text
    for line in lines:
        assert f"€{line['costMicros'] / 1e6:.6f}".rstrip("0") in shown, (line, shown)
        if "unitPrice" in line:
            million = f"{decimal.Decimal(line['unitPrice']) * 1_000_000:,.6f}".rstrip("0")
            assert f"€{million} per million" in shown, (line, shown)
    clean(browser)


def test_filter_narrows_the_usages(nginx, browser):
    account = nginx.account(funds_micros=50_000_000)
    use(nginx, account, 2, member="ann")
    use(nginx, account, 3, model="gpt-4o-mini", member="bob")
    browser.open(link(nginx, account))
    browser.click("button[role=tab]", "Usages")
    browser.reads("ann")
    browser.find("input[name=member]").send_keys("ann")
    browser.click("button", "Filter")
    wait_until(lambda: len(browser.find_all("table.list > tbody > tr")) == 2, 10, "the rows of one member")


def test_csv_is_what_is_shown(nginx, browser, tmp_path):
    account = nginx.account()
    for i, name in enumerate(HOSTILE):
        nginx.fund(account, 1_000_000 + i, description=name.replace("\u202e", "").replace("\u202c", "") or "x")
    browser.cdp("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    browser.open(link(nginx, account))
    browser.click("button", "Save as CSV")
    wait_until(lambda: (tmp_path / "octroi-transactions.csv").exists(), 10, "the file")
    import csv
    rows = list(csv.DictReader((tmp_path / "octroi-transactions.csv").open(newline="", encoding="utf-8")))
    items = nginx.get(f"/api/credits/transactions?account={account}&limit=20").json["items"]
    assert [row["id"] for row in rows] == [item["id"] for item in items] and len(rows) == len(HOSTILE)
    assert [int(row["amountMicros"]) for row in rows] == [item["amountMicros"] for item in items]
    assert rows[0]["description"].startswith("'="), rows[0]


def test_hostile_names_are_text(site, browser):
    account = site.account()
    taken = 0
    for i, name in enumerate(HOSTILE):
        body = {"type": "ADJUSTMENT", "amountMicros": 1_000_000, "description": name, "requestId": f"{account}-{i}",
                "metadata": {name[:30]: name}}
        taken += site.post(f"/api/accounts/{account}/transactions", body, key="admin").status == 200
    assert taken >= len(HOSTILE) - 1
    browser.open(link(site, account))
    browser.reads(HOSTILE[0])
    browser.reads(HOSTILE[1])
    assert browser.run("return window.pwned") is None
    assert browser.find_all("img") == [] and browser.find_all("bdi script") == []
    clean(browser)


def test_token_that_expires_in_mid_page(nginx, browser):
    account = nginx.account(funds_micros=5_000_000)
    browser.open(link(nginx, account))
    browser.reads("€5.00")
    browser.run("window.asked = 0; addEventListener('octroi-token-needed', () => window.asked++);"
                "document.querySelector('meta[name=octroi-token]').content = 'no.such.token'")
    browser.reads("Your session has ended.")
    assert browser.run("return window.asked") > 0
    fresh = nginx.post("/api/tokens", {"account": account}, key="app").json["token"]
    browser.run("document.querySelector('meta[name=octroi-token]').content = arguments[0]", fresh)
    wait_until(lambda: "Your session has ended." not in browser.text, 15, "the page takes the new token")
    browser.reads("€5.00")


def test_link_without_a_token(nginx, browser):
    browser.open(nginx.url + "/billing")
    browser.reads("Your session has ended.")
    assert browser.violations() == []


def test_server_away_and_back(nginx, browser):
    account = nginx.account(funds_micros=7_000_000)
    browser.open(link(nginx, account))
    browser.reads("€7.00")
    browser.cdp("Network.enable")
    browser.cdp("Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=-1, uploadThroughput=-1)
    nginx.fund(account, 2_000_000)
    browser.run("dispatchEvent(new Event('x')); document.dispatchEvent(new Event('visibilitychange'))")
    browser.reads("The server does not answer.")
    assert "€7.00" in browser.text, "the last figures stay"
    browser.cdp("Network.emulateNetworkConditions", offline=False, latency=0, downloadThroughput=-1, uploadThroughput=-1)
    browser.reads("€9.00", 30)
    wait_until(lambda: "The server does not answer." not in browser.text, 30, "the notice gone")


def test_page_in_french(nginx, browser):
    account = nginx.account(funds_micros=12_340_000)
    use(nginx, account, 2)
    browser.open(link(nginx, account) + "&lang=fr")
    browser.reads("12,33 €")
    browser.reads("Recharger")
    assert browser.run("return document.documentElement.lang") == "fr" and browser.driver.title == "Facturation"
    assert not [word for word in ("Balance", "Top up", "Usage\n", "History", "Spending") if word in browser.text]
    clean(browser)


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("features", [{"prefers_color_scheme": "light"}, {"prefers_color_scheme": "dark"},
                                      {"forced_colors": "active"}, {"prefers_reduced_motion": "reduce"}])
def test_page_in_every_dress(nginx, browser, width, features):
    account = nginx.account(funds_micros=1_500_000)
    use(nginx, account, 3, member="a-member-with-a-very-long-name-" + "x" * 60)
    browser.size(width)
    browser.media(**features)
    browser.open(link(nginx, account))
    browser.click("button[role=tab]", "Usages")
    browser.reads("a-member-with")
    browser.click("button", "Why?")
    browser.reads("Rounding up")
    assert browser.run("return document.documentElement.scrollWidth") <= width
    clean(browser)


def test_page_by_keyboard_alone(nginx, browser):
    """Tab reaches every control, in the order of the page; arrows change tabs; Enter opens the payment page."""
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys
    account = nginx.account(funds_micros=9_000_000)
    use(nginx, account, 2)
    browser.open(link(nginx, account))
    browser.reads("Movements")
    focused = """let at = document.activeElement; while (at?.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
        return [at.localName, at.textContent.trim().slice(0, 40), getComputedStyle(at).outlineStyle];"""
    seen = []
    for _ in range(40):
        ActionChains(browser.driver).send_keys(Keys.TAB).perform()
        seen.append(browser.run(focused))
        if seen[-1][1] == "Movements":
            break
    names = [name for _, name, _ in seen]
    for name in ("Continue to payment", "7 days", "Member", "The days as a table", "Save as CSV", "Movements"):
        assert name in names, (name, names)
    assert all(style != "none" for tag, _, style in seen if tag == "button"), seen
    ActionChains(browser.driver).send_keys(Keys.ARROW_RIGHT).perform()
    wait_until(lambda: browser.run(focused)[1] == "Usages", 10, "the second tab")
    browser.reads("gpt-4o")


def test_member_sees_its_own(nginx, browser):
    account = nginx.account(funds_micros=9_000_000)
    assert nginx.call("PUT", f"/api/accounts/{account}/members/ann", {"role": "member", "limitMicros": 4_000_000}, key="app").status == 200
    use(nginx, account, 1, member="ann")
    use(nginx, account, 1, member="bob")
    browser.open(link(nginx, account, member="ann"))
    browser.click("button[role=tab]", "Usages")
    browser.reads("ann")
    assert "bob" not in browser.text and "Continue to payment" not in browser.text
    clean(browser)


def test_owner_changes_limits(nginx, browser):
    account = nginx.account(funds_micros=9_000_000)
    browser.open(link(nginx, account))
    browser.reads("Spending limits")
    browser.run("arguments[0].click()", wait_until(lambda: browser.find_all("button", "Change"), 15, "the form's button")[0])
    browser.find("input[name=daily]").send_keys("2,50")
    browser.click("button", "Save")
    browser.reads("Saved.")
    browser.reads("€0.00 of €2.50")
    settings = nginx.get(f"/api/credits/settings?account={account}").json
    assert settings["limits"]["dailyLimitMicros"] == 2_500_000, settings
    clean(browser)


def test_element_alone_in_a_bare_page(nginx, browser):
    """One script, one element, the events of it, and no more than 40 kB before the first balance is seen."""
    account = nginx.account(funds_micros=3_210_000)
    token = nginx.post("/api/tokens", {"account": account}, key="app").json["token"]
    browser.open(nginx.url + "/octroi/ui/icon.svg")
    browser.open(nginx.url + "/octroi/ui/none")  # a page of the same origin with nothing in it
    browser.transferred()
    browser.run("""document.documentElement.innerHTML = '<head><meta name="octroi-token"></head><body><octroi-balance compact></octroi-balance></body>';
        document.querySelector("meta").content = arguments[0];
        window.heard = []; addEventListener("octroi-balance-changed", (e) => heard.push(e.detail));
        document.head.append(Object.assign(document.createElement("script"), {type: "module", src: "/octroi/ui/octroi.js"}));""", token)
    browser.reads("€3.21")
    weight = {url: size for url, size in browser.transferred().items() if url.startswith(nginx.url)}
    assert len(weight) > 5 and sum(weight.values()) <= 40_000, weight
    nginx.fund(account, 1_000_000)
    browser.run("document.dispatchEvent(new Event('visibilitychange'))")
    browser.reads("€4.21")
    assert browser.run("return heard") == [{"balanceMicros": 4_210_000, "beforeMicros": 3_210_000}]

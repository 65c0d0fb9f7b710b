"""The page that quickstart's demo opens with, on each web server: a balance that falls, a refusal, a top-up."""

import pathlib
import re
import subprocess

import pytest
from browser import Browser  # noqa: F401
from octroi import SERVERS, TOP, Octroi, wait_until

PAGE = re.compile(r"A chat that is paid for, in your browser: (http://127\.0\.0\.1:\d+/demo/app/)")
MICROS = 1_000_000


def send(browser, text):
    said = len(browser.find_all("#talk li"))
    browser.run("const i = document.getElementById('prompt'); i.value = arguments[0]; i.form.requestSubmit()", text)
    wait_until(lambda: len(browser.find_all("#talk li")) >= said + 2 or browser.find_all("#refused:not([hidden])"), 20, "an answer")
    return not browser.find_all("#refused:not([hidden])")


@pytest.mark.parametrize("server", SERVERS)
def test_balance_falls_is_refused_and_rises(server, browser):
    with Octroi(server, demo=True) as o:
        last = o.said.strip().splitlines()[-1]
        page = PAGE.fullmatch(last)[1]
        browser.open(page)
        browser.reads("Left to spend:")
        browser.reads("€2.00")
        assert browser.violations() == [] and browser.errors() == []
        assert send(browser, "Hello <img src=x onerror='window.pwned=1'>")
        browser.reads("This is what a model would say to: Hello <img")
        left = o.balance("demo:visitor")[0]
        assert 0 < left < 2 * MICROS
        browser.reads(f"€{left // 10_000 / 100:.2f}")
        sent = 1
        while send(browser, "What is an octroi?"):
            sent += 1
            assert sent < 20
        assert sent >= 3
        browser.reads("Top up to go on.")
        assert browser.violations() == []
        assert all("402" in error for error in browser.errors())
        poor = o.balance("demo:visitor")[0]
        browser.click("button", "Continue to payment")
        browser.find("h1", "A payment page for tests and the demo")
        browser.find("button", "Pay 10.00 EUR").click()
        browser.reads("€10.00 arrived", 30)
        assert browser.driver.current_url.startswith(page)
        assert o.balance("demo:visitor")[0] == poor + 10 * MICROS
        assert send(browser, "And now?")
        browser.reads("say to: And now?")
        assert browser.run("return window.pwned") is None
        logs = "".join(path.read_text(errors="replace") for path in pathlib.Path(o.env["OCTROI_LOGS"]).glob("*.log"))
        for secret in re.findall(r"^(?:stripe_secret_key|stripe_webhook_secret|token_secret) = (\S+)$",
                                 pathlib.Path(o.env["OCTROI_CONF"]).read_text(), re.M):
            assert secret not in logs


def test_payment_page_survives_a_new_start(browser):
    """The fake forgets its customers; octroi does not."""
    with Octroi("nginx", demo=True) as o:
        page = PAGE.search(o.said)[1]
        for _ in range(2):
            before = o.balance("demo:visitor")[0]
            browser.open(page)
            browser.click("button", "Continue to payment")
            browser.find("button", "Pay 10.00 EUR").click()
            browser.reads("€10.00 arrived", 30)
            assert o.balance("demo:visitor")[0] == before + 10 * MICROS
            o.quickstart("down")
            o.start()


def test_key_of_the_callers_keeps_its_stripe():
    """The demo's payment page is for the demo's own test key only."""
    mine = {"stripe_secret_key": "sk_test_mine", "stripe_api_base": "https://stripe.example"}
    with Octroi("nginx", demo=True, settings=mine) as o:
        conf = pathlib.Path(o.env["OCTROI_CONF"]).read_text()
        assert "stripe_secret_key = sk_test_mine" in conf and "stripe_api_base = https://stripe.example" in conf
        assert not (pathlib.Path(o.env["OCTROI_LOGS"]).parent / "pids" / "stripe").exists()


@pytest.mark.parametrize("key", ["sk_live_1", "rk_live_1"])
@pytest.mark.parametrize("base", ["http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1"])
def test_live_key_goes_to_no_fake(key, base, nginx, tmp_path):
    conf = tmp_path / "octroi.conf"
    conf.write_text(f"stripe_secret_key = {key}\nstripe_api_base = {base}\nstripe_webhook_secret = whsec_x{'y' * 40}\n")
    program = pathlib.Path(nginx.env["OCTROI_LOGS"]).parent / "bin" / "octroi"
    done = subprocess.run([program, "-t", "-c", conf], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode != 0 and "live" in done.stdout
    refused = subprocess.run(["/usr/bin/python3", TOP / "tests/fake_stripe.py"], env={"FAKE_STRIPE_KEY": key, "PATH": "/usr/bin"},
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=20)
    assert refused.returncode != 0 and "no live key" in refused.stdout


def test_package_has_neither_demo_nor_fake():
    installed = (TOP / "Makefile.am").read_text()
    for word in ("demo/", "fake_stripe"):
        assert not re.search(rf"_(DATA|SCRIPTS|PROGRAMS) =(?:.*\\\n)*.*{word}", installed), word
    assert not any(re.search("demo|fake_stripe", path.read_text()) for path in (TOP / "debian").glob("*.install"))

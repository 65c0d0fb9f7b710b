"""The WordPress plugin in Debian's WordPress, with php -S and octroi's private MariaDB: another plugin asks the provider."""

import http.cookiejar
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import urllib.error
import urllib.parse
import urllib.request

import pytest

import faults as f
import guard
from octroi import Octroi, build_dir, free_port, wait_until

TOP = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).parent / "wordpress"
CONFIG = """<?php
define('DB_NAME', 'wordpress');
define('DB_USER', 'wordpress');
define('DB_PASSWORD', 'wordpress');
define('DB_HOST', 'localhost:%(socket)s');
define('DB_CHARSET', 'utf8mb4');
define('WP_HOME', 'http://127.0.0.1:%(port)d');
define('WP_SITEURL', 'http://127.0.0.1:%(port)d');
define('DISABLE_WP_CRON', true);
define('AUTOMATIC_UPDATER_DISABLED', true);
define('AUTH_KEY', 'a'); define('SECURE_AUTH_KEY', 'b'); define('LOGGED_IN_KEY', 'c'); define('NONCE_KEY', 'd');
define('AUTH_SALT', 'e'); define('SECURE_AUTH_SALT', 'f'); define('LOGGED_IN_SALT', 'g'); define('NONCE_SALT', 'h');
define('ASKED_URL', '%(provider)s');
$table_prefix = 'wp_';
defined('ABSPATH') || define('ABSPATH', __DIR__ . '/');
require_once ABSPATH . 'wp-settings.php';
"""


def wordpress():
    """Debian's, installed or unpacked."""
    for path in (pathlib.Path("/usr/share/wordpress"), build_dir() / "programs" / "usr" / "share" / "wordpress"):
        if path.is_dir():
            return path
    pytest.skip("no WordPress here")


class Site:
    def __init__(self, o, directory):
        self.asked, self.stream = [], False
        self.provider = f.Server(self._provide)
        self.directory = directory
        shutil.copytree(wordpress(), directory, symlinks=True)
        (directory / "wp-config.php").unlink()
        self.port = free_port()
        (directory / "wp-config.php").write_text(CONFIG % {"socket": o.env["OCTROI_DB_SOCKET"], "port": self.port,
                                                          "provider": self.provider.url})
        content = directory / "wp-content"
        if content.is_symlink():
            content.unlink()
        shutil.rmtree(content, ignore_errors=True)
        shutil.copytree(TOP / "clients" / "wordpress" / "octroi", content / "plugins" / "octroi")
        shutil.copy(TOP / "clients" / "php" / "octroi.php", content / "plugins" / "octroi" / "octroi-client.php")
        for name, text in (("style.css", "/* Theme Name: plain */"),
                           ("index.php", "<?php while (have_posts()) { the_post(); the_content(); }")):
            (content / "themes" / "plain").mkdir(parents=True, exist_ok=True)
            (content / "themes" / "plain" / name).write_text(text)
        (content / "mu-plugins").mkdir()
        shutil.copy(HERE / "asker.php", content / "mu-plugins")
        o.sql("CREATE DATABASE wordpress; CREATE USER wordpress@localhost IDENTIFIED BY 'wordpress';"
              "GRANT ALL ON wordpress.* TO wordpress@localhost;")
        settings = {"url": o.internal_url, "key": o.keys["app"], "account": "user", "hosts": "127.0.0.1"}
        done = subprocess.run(["php", "-d", "display_errors=stderr", str(HERE / "setup.php"), str(directory),
                               json.dumps({"host": f"127.0.0.1:{self.port}", "settings": settings})],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        self.made = json.loads(done.stdout[done.stdout.index("{"):])
        self.log = open(f"{directory}.log", "w")
        self.process = subprocess.Popen(["php", "-S", f"127.0.0.1:{self.port}", "-t", str(directory)], stdout=subprocess.DEVNULL,
                                        stderr=self.log, env={"PATH": os.environ["PATH"], "PHP_CLI_SERVER_WORKERS": "2"})
        wait_until(lambda: "started" in pathlib.Path(f"{directory}.log").read_text(), what="php -S")

    def _provide(self, handler):
        self.asked.append(self.provider.seen[-1][1])
        usage = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}
        if self.asked[-1].get("stream"):
            chunks = [{"choices": [{"delta": {"content": "42"}}], "usage": None}, {"choices": [], "usage": usage}]
            handler.say(200, "text/event-stream", "".join(f"data: {json.dumps(c)}\n\n" for c in chunks) + "data: [DONE]\n\n")
        else:
            handler.say(200, f.JSON, json.dumps({"choices": [{"message": {"content": "42"}}], "usage": usage}))

    def browser(self, user=None):
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
        if user:
            self.get(opener, "/wp-login.php")  # for the test cookie
            self.get(opener, "/wp-login.php", {"log": user, "pwd": "password", "wp-submit": "x", "testcookie": "1"})
        return lambda path, data=None: self.get(opener, path, data)

    def get(self, opener, path, data=None):
        try:
            with opener.open(f"http://127.0.0.1:{self.port}{path}",
                             urllib.parse.urlencode(data).encode() if data else None, timeout=60) as answer:
                return answer.read().decode()
        except urllib.error.HTTPError as e:
            return e.read().decode()

    def close(self):
        workers = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self.process.pid)], stdout=subprocess.PIPE, text=True)
        for worker in workers.stdout.split():
            os.kill(int(worker), signal.SIGKILL)
        self.process.kill()
        self.process.wait()
        self.log.close()
        self.provider.stop()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    wordpress()
    with Octroi("nginx", settings={"topup_url": "https://shop.example/credits"}) as o:
        site = Site(o, tmp_path_factory.mktemp("site") / "wordpress")
        site.o = o
        try:
            yield site
        finally:
            site.close()


def test_visitor_who_is_not_signed_in_is_refused(site):
    before = len(site.asked)
    assert "refused: Please sign in" in site.browser()("/?ask=x") and len(site.asked) == before


def test_user_without_credit_is_refused_and_led_to_the_topup(site):
    before = len(site.asked)
    said = site.browser("poor")("/?ask=x")
    assert "refused: " in said and 'href="https://shop.example/credits"' in said and len(site.asked) == before, said


def test_user_with_credit_is_served_and_charged_and_sees_it(site):
    account = f"user:{site.made['rich']}"
    site.o.account(account, funds_micros=1_000_000)
    browser, before = site.browser("rich"), len(site.asked)
    assert '"42"' in browser("/?ask=x") and '"42"' in browser("/?ask=x&stream=1") and len(site.asked) == before + 2
    left = 1_000_000 - 2 * guard.cost("gpt-4o", input=5, output=7)
    assert site.o.balance(account) == (left, 0, left)
    page = browser(f"/?page_id={site.made['page']}")
    assert page.count('<span class="octroi-balance') == 2 and "0.99" in page, page
    assert page.count("<td>gpt-4o</td><td>12</td>") == 2, page


@pytest.fixture
def chromium():
    if not shutil.which("chromedriver"):
        pytest.skip("no Chromium here")
    from browser import Browser
    with Browser() as browser:
        yield browser


def sign_in(chromium, site, user):
    chromium.open(f"http://127.0.0.1:{site.port}/wp-login.php")
    chromium.run("document.querySelector('#user_login').value = arguments[0]; document.querySelector('#user_pass').value = 'password';"
                 "document.querySelector('#loginform').submit()", user)
    wait_until(lambda: any(cookie["name"].startswith("wordpress_logged_in") for cookie in chromium.driver.get_cookies()), 30, "the login")


def test_in_chromium(site, chromium):
    """A user without credits is led to the top-up, and one with credits is served and sees the balance and the usage."""
    home = f"http://127.0.0.1:{site.port}"
    before = len(site.asked)
    sign_in(chromium, site, "poor")
    chromium.open(f"{home}/?ask=x")
    link = chromium.find("a", None)
    assert chromium.run("return arguments[0].href", link) == "https://shop.example/credits" and len(site.asked) == before
    account = f"user:{site.made['rich']}"
    site.o.account(account, funds_micros=1_000_000)
    sign_in(chromium, site, "rich")
    chromium.open(f"{home}/?ask=x")
    chromium.reads("42")
    assert len(site.asked) == before + 1
    chromium.open(f"{home}/?page_id={site.made['page']}")
    chromium.find(".octroi-balance")
    chromium.reads("gpt-4o")
    assert not [error for error in chromium.errors() if "octroi" in error]  # Debian has scripts of its own elsewhere
    sign_in(chromium, site, "admin")
    chromium.open(f"{home}/wp-admin/options-general.php?page=octroi")
    assert chromium.run("return document.querySelector('#octroi-key').value") == ""
    assert site.o.keys["app"] not in chromium.driver.page_source


def test_provider_that_refuses_is_free(site):
    account = f"user:{site.made['rich']}"
    before, provide = site.o.balance(account), site.provider.fault
    site.provider.fault = f.error(429, "RATE")
    try:
        assert "RATE" in site.browser("rich")("/?ask=x")
    finally:
        site.provider.fault = provide
    assert site.o.balance(account) == before


def test_settings_page_keeps_the_key_to_itself(site):
    browser = site.browser("admin")
    page = browser("/wp-admin/options-general.php?page=octroi")
    assert 'placeholder="saved"' in page and site.o.keys["app"] not in page and site.o.internal_url in page, page[:2000]
    form = dict(re.findall(r"""name=["'](option_page|action|_wpnonce|_wp_http_referer)["'] value=["']([^"']*)""", page))
    form.update({"octroi[url]": site.o.internal_url, "octroi[key]": "", "octroi[account]": "role",
                 "octroi[hosts]": "127.0.0.1\n<script>"})
    page = browser("/wp-admin/options.php", form)
    saved = site.o.sql("SELECT option_value FROM wordpress.wp_options WHERE option_name = 'octroi'")[0][0]
    assert site.o.keys["app"] in saved and '"role"' in saved and "<script>" not in saved, saved
    assert "<script>" not in page.split("octroi-hosts")[1][:400]


def test_settings_are_the_operators_only(site):
    assert "octroi-key" not in site.browser("rich")("/wp-admin/options-general.php?page=octroi")


def test_credits_of_a_role(site):
    """The settings say so since the test of the settings page."""
    site.o.account("role:subscriber", funds_micros=1_000_000)
    assert '"42"' in site.browser("poor")("/?ask=x")
    assert site.o.balance("role:subscriber")[0] == 1_000_000 - guard.cost("gpt-4o", input=5, output=7)
    usages = site.o.get("/api/credits/usages?account=role:subscriber").json["items"]
    assert [usage["member"] for usage in usages] == [f"user:{site.made['poor']}"]


def test_without_octroi_nothing_goes_out(site):
    """Last: octroi dies."""
    browser, before = site.browser("rich"), len(site.asked)
    site.o.kill()
    said = browser("/?ask=x")
    assert "refused: " in said and "try again later" in said and len(site.asked) == before, said
    site.o.start()

"""Each element alone in a page that PHP makes, of an application on the same host; and a token that expires there."""

import contextlib
import os
import pathlib
import shutil
import subprocess
import urllib.request

import pytest
from octroi import free_port, wait_until
from test_billing import clean
from test_elements import ELEMENTS, account  # noqa: F401  the fixture

HERE = pathlib.Path(__file__).resolve().parent
# The shortest life that a token may have.
TTL_SECONDS = 10
NGINX = """\
daemon off; pid {home}/pid; error_log {home}/error.log;
events {{}}
http {{
    access_log off; client_body_temp_path {home}/body; proxy_temp_path {home}/proxy; fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi; scgi_temp_path {home}/scgi; proxy_max_temp_file_size 0;
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass http://127.0.0.1:{php}; }}
        location /api/credits {{ proxy_pass {octroi}; }}
        location /octroi/ui/ {{ proxy_pass {octroi}; }}
    }}
}}
"""


def answers(url):
    try:
        return urllib.request.urlopen(url, timeout=5).status == 200
    except OSError:
        return False


@contextlib.contextmanager
def application(o, account, home, ttl=900):
    """The address of an application in PHP, with octroi below the same one."""
    php, port = free_port(), free_port()
    (home / "nginx.conf").write_text(NGINX.format(home=home, port=port, php=php, octroi=o.url))
    environment = {**os.environ, "OCTROI_URL": o.internal_url, "OCTROI_KEY": o.keys["app"], "ACCOUNT": account, "TTL_SECONDS": str(ttl)}
    commands = ([shutil.which("php"), "-S", f"127.0.0.1:{php}", str(HERE / "page.php")],
                [os.readlink(f"/proc/{o.server_pid}/exe"), "-p", str(home), "-c", str(home / "nginx.conf")])
    with open(home / "log", "wb") as log, contextlib.ExitStack() as stack:
        for command in commands:
            process = stack.enter_context(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
            stack.callback(process.terminate)
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/token.php"), 15, "the application")
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def page(nginx, account, tmp_path_factory):
    if not shutil.which("php"):
        pytest.skip("php-cli is not here")
    with application(nginx, account, tmp_path_factory.mktemp("php")) as url:
        yield url


@pytest.mark.parametrize("element", [*ELEMENTS, "octroi-recharge"])
def test_element_alone_in_a_page_of_php(browser, page, element):
    browser.open(f"{page}/?element={element}")
    text = {**ELEMENTS, "octroi-recharge": "Automatic top-up"}[element]
    if text is None:
        wait_until(lambda: browser.run(f"return document.querySelector('{element}').matches('[data-empty]')"), 15, "nothing")
    else:
        browser.reads(text)
    assert browser.run("return document.compatMode") == "BackCompat", "a page of the old kind"
    clean(browser)


def test_token_that_expires_is_renewed_by_the_page(nginx, browser, tmp_path):
    if not shutil.which("php"):
        pytest.skip("php-cli is not here")
    account = nginx.account(funds_micros=5_000_000)
    with application(nginx, account, tmp_path, TTL_SECONDS) as url:
        browser.open(url)
        browser.reads("€5.00")
        first = browser.run("return document.querySelector('meta[name=octroi-token]').content")
        nginx.fund(account, 1_000_000)

        def expired():
            browser.run("document.dispatchEvent(new Event('visibilitychange'))")
            return browser.run("return window.needed") > 0

        wait_until(expired, 3 * TTL_SECONDS, "the end of the token", every=1)
        wait_until(lambda: browser.run("return document.querySelector('meta[name=octroi-token]').content") != first, 15, "another token")
        nginx.fund(account, 1_000_000)
        browser.run("document.dispatchEvent(new Event('visibilitychange'))")
        browser.reads("€7.00")
        assert not browser.find_all("[part=trouble]")
    assert [e for e in browser.errors() if " 401 " not in e] == []

"""The files of web/ as the three web servers serve them."""

import pathlib
import re

import pytest
from octroi import TOP

VERSION = re.search(r"AC_INIT\(\[octroi\], \[([\d.]+)\]", (TOP / "configure.ac").read_text())[1]
VERSIONED = f"/octroi/ui/{VERSION}/octroi.js"
FILES = {"/billing": "text/html", "/admin": "text/html", "/octroi/ui/octroi.js": "text/javascript", VERSIONED: "text/javascript",
         "/octroi/ui/billing.css": "text/css", "/octroi/ui/icon.svg": "image/svg+xml"}


@pytest.mark.parametrize("path", FILES)
def test_file_is_served_with_strict_headers(site, path):
    answer = site.get(path, key=None, public=True)
    assert answer.status == 200, answer
    assert answer.headers["content-type"].replace(" ", "").lower().split(";")[0] == FILES[path]
    policy = answer.headers["content-security-policy"]
    for directive in ("default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'",
                      "img-src 'self'", "base-uri 'none'", "form-action 'self'", "frame-ancestors 'none'"):
        assert directive in policy.split("; "), policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    caching = answer.headers["cache-control"]
    assert ("immutable" in caching) == (path == VERSIONED), caching
    assert caching == "no-cache" or path == VERSIONED, caching


@pytest.mark.parametrize("path", ["/billing", "/admin", "/octroi/ui/octroi.js"])
def test_unchanged_file_is_not_sent_again(site, path):
    first = site.get(path, key=None, public=True)
    again = site.get(path, key=None, public=True, headers={"If-None-Match": first.headers["etag"]})
    assert again.status == 304 and again.body == b"", again


@pytest.mark.parametrize("path", ["/octroi/ui/", "/octroi/ui/none.js", f"/octroi/ui/{VERSION}/none.js",
                                  "/octroi/ui/../octroi.conf", "/octroi/ui/%2e%2e/octroi.conf", "/octroi/ui/vendor/README.md",
                                  "/octroi/ui/vendor/fetch.py", "/octroi/ui/.htaccess"])
def test_nothing_else_is_served(site, path):
    assert site.get(path, key=None, public=True).status in (400, 403, 404)


def test_version_is_that_of_configure():
    """The addresses of a version are what a browser keeps for a year."""
    for name in ("nginx/web.conf", "apache/web.conf", "web/billing.html", "web/admin.html"):
        assert set(re.findall(r"/octroi/ui/(\d[\d.]*)/", (TOP / name).read_text())) == {VERSION}, name
    assert VERSION.replace(".", r"\.") in (TOP / "apache/htaccess-web").read_text()


def test_every_file_is_installed():
    """Makefile.am's list is what is in web/."""
    listed = re.search(r"^nobase_dist_web_DATA = \\\n((?:\t.*\n)+)", (TOP / "Makefile.am").read_text(), re.M)[1]
    found = {str(path.relative_to(TOP)) for path in (TOP / "web").rglob("*")
             if path.is_file() and path.name not in ("README.md", "fetch.py")}
    assert set(re.findall(r"\S+(?<!\\)", listed)) == found


def test_no_markup_needs_more_than_the_policy_allows():
    """No inline script, style or handler, and no address of another host, in what is served."""
    for path in (TOP / "web").rglob("*"):
        if path.suffix not in (".html", ".js") or "vendor" in path.parts:
            continue
        text = path.read_text()
        assert not re.search(r"<script(?![^>]*\bsrc=)|\sstyle=|\son[a-z]+=[\"']|javascript:|innerHTML|unsafeHTML|\beval\(", text), path
        assert not re.search(r"https?://(?!127)[a-z]", text), path

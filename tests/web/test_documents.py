"""docs/web.md names the elements, attributes, parts, events and properties that there are."""

import re

from octroi import TOP

MANUAL = (TOP / "docs/web.md").read_text()
SOURCES = {path.stem: path.read_text() for path in (TOP / "web/elements").glob("*.js")}
SHARED = "".join((TOP / f"web/{name}.js").read_text() for name in ("element", "bar", "chart", "session"))
ALL = "".join(SOURCES.values()) + SHARED


def test_elements():
    defined = set(re.findall(r'define\("(octroi-\w+)"', ALL))
    loaded = set(re.findall(r'"(octroi-\w+)": "\./elements/', (TOP / "web/octroi.js").read_text()))
    told = set(re.findall(r"^\| `<(octroi-\w+)>`", MANUAL, re.M))
    assert defined == loaded == told and len(told) == 13


def test_attributes():
    for name, text in SOURCES.items():
        row = re.search(rf"^\| `<octroi-{name}>` \|.*$", MANUAL, re.M)[0]
        for attribute in re.findall(r"^\t*(?:static properties = \{)?(\w+): \{type:", text, re.M):
            assert f"`{attribute}`" in row, (name, attribute)


def test_parts():
    given = set(re.findall(r'\bpart="(\w+)"', ALL))
    section = MANUAL[MANUAL.index("| part |"):MANUAL.index("## Security")]
    told = set(re.findall(r"`(\w+)`", section))
    assert given == told


def test_events():
    fired = set(re.findall(r'fire\("(octroi-[\w-]+)"', ALL))
    assert fired == set(re.findall(r"^\| `(octroi-[a-z-]+)`", MANUAL, re.M))


def test_custom_properties():
    used = set(re.findall(r"var\((--octroi-[\w-]+)", ALL))
    assert used == set(re.findall(r"`(--octroi-[\w-]+)`", MANUAL))


def test_policy():
    policy = re.search(r"```\n(default-src[^`]*)\n```", MANUAL)[1].replace("\n", " ")
    for name in ("nginx/web-headers.conf", "apache/web.conf", "apache/htaccess-web"):
        assert f'Content-Security-Policy "{policy}"' in (TOP / name).read_text(), name

"""Both languages have the same sentences with the same values, and no sentence is missing or unused."""

import re

import pytest
from octroi import TOP

PAIR = re.compile(r'^\t"([\w.]+)": "((?:[^"\\]|\\.)*)",$', re.M)
PLURALS = {"one", "two", "few", "many", "other", "zero"}


def words(language, page=""):
    text = (TOP / f"web/lang/{page}{language}.js").read_text()
    found = PAIR.findall(text)
    assert len(found) == len(re.findall(r"^\t\"", text, re.M)) and len(dict(found)) == len(found) > 70
    return dict(found)


def stem(key):
    return key.rsplit(".", 1)[0] if key.rsplit(".", 1)[-1] in PLURALS else key


@pytest.mark.parametrize("page", ["", "admin-"])
def test_languages_have_the_same_keys(page):
    en, fr = words("en", page), words("fr", page)
    assert {stem(key) for key in en} == {stem(key) for key in fr}
    for key in en:
        if stem(key) != key:  # the plural of each language (CLDR)
            assert {k.rsplit(".", 1)[1] for k in en if stem(k) == stem(key)} == {"one", "other"}
            assert {k.rsplit(".", 1)[1] for k in fr if stem(k) == stem(key)} == {"one", "many", "other"} - ({"many"} if key.startswith("none") else set())
        else:
            assert set(re.findall(r"\{(\w+)\}", en[key])) == set(re.findall(r"\{(\w+)\}", fr[key])), key


def test_sentences_that_are_asked_for_exist():
    listed = [*words("en"), *words("en", "admin-")]
    keys = {stem(key) for key in listed} | set(listed)
    asked = set()
    for path in (TOP / "web").rglob("*.js"):
        if "vendor" not in path.parts and "lang" not in path.parts:
            asked |= set(re.findall(r'\bsay\("([\w.]+)"', path.read_text()))
    assert len(asked) > 60 and asked <= keys, asked - keys


def test_types_of_the_api_have_a_sentence():
    import json
    schemas = json.loads((TOP / "src/routes/openapi.json").read_text())["components"]["schemas"]
    en = words("en")
    for kind in schemas["Transaction"]["properties"]["type"]["enum"]:
        assert f"type.{kind}" in en
    for kind in schemas["Usage"]["properties"]["settlement"]["enum"]:
        assert kind == "exact" or f"settlement.{kind}" in en


def test_kinds_of_alerts_have_a_sentence():
    import json
    schemas = json.loads((TOP / "src/routes/openapi.json").read_text())["components"]["schemas"]
    for kind in schemas["Alert"]["properties"]["kind"]["enum"]:
        assert f"alert.{kind}" in words("en")
    for kind in schemas["OperatorAlert"]["properties"]["kind"]["enum"]:
        assert f"operator.{kind}" in words("admin-en")

"""The accounts of an application in two parts, each an octroi with a database of its own, behind one nginx that divides
by a header, as in docs/many-machines.md."""

import json
import pathlib
import re
import urllib.error
import urllib.request

import pytest

from octroi import TOP, Octroi
from second import Second

PAGE = (TOP / "docs/many-machines.md").read_text()
DIVIDE = re.search(r"^split_clients .*?^}", PAGE, re.M | re.S)[0]


class Divided(Second):
    """An nginx that passes each request on to one of two octroi."""

    def __init__(self, first, other):
        self._sockets = [pathlib.Path(part.env["OCTROI_CONF"]).parent / "run" / "internal.sock" for part in (first, other)]
        super().__init__(first)

    def _configure_web(self, web):
        upstreams = "\n".join(f"upstream octroi_part_{n} {{ server unix:{path}; keepalive 16; }}" for n, path in enumerate(self._sockets))
        passed = 0
        for file in web.rglob("*.conf"):
            text = file.read_text()
            new = text.replace("fastcgi_pass octroi_internal;", "fastcgi_pass $octroi_part;")
            passed += new != text
            if "upstream octroi_internal" in new:
                new = new.replace("upstream octroi_internal", f"{upstreams}\n{DIVIDE}\nupstream octroi_internal")
            file.write_text(new)
        assert passed


@pytest.fixture(scope="module")
def parts():
    with Octroi("nginx") as first, Octroi("nginx") as second:
        keys = first.sql("SELECT GROUP_CONCAT(column_name) FROM information_schema.columns WHERE table_schema = DATABASE()"
                         " AND table_name = 'api_keys' AND column_name <> 'id'")[0][0]
        rows = first.sql("SELECT " + ",".join(f"""CONCAT("x'", HEX(CAST({name} AS BINARY)), "'")""" for name in keys.split(",")) +
                         " FROM api_keys")
        for row in rows:
            second.sql(f"INSERT INTO api_keys ({keys}) VALUES ({','.join(row)})")
        with Divided(first, second) as nginx:
            yield first, second, nginx


def ask(parts, method, path, key, account, body):
    first, _, nginx = parts
    request = urllib.request.Request(nginx.internal_url + path, method=method, data=json.dumps(body).encode(), headers={
        "Authorization": f"Bearer {first.keys[key]}", "Content-Type": "application/json", "X-Account": account})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as refused:
        return refused.code, json.loads(refused.read())


def test_each_account_is_in_one_part(parts):
    names = [f"part{n}" for n in range(30)]
    for name in names:
        assert ask(parts, "PUT", f"/api/accounts/{name}", "app", name, {"unit": "money", "mode": "postpaid", "hardLimitMicros": 10**7})[0] in (200, 201)
        status, said = ask(parts, "POST", "/api/guard/authorize", "guard", name, {"account": name, "model": "gpt-4o"})
        assert status == 200, said
        status, said = ask(parts, "POST", "/api/guard/settle", "guard", name, {"hold": said["hold"], "inputTokens": 5, "outputTokens": 5})
        assert status == 200, said
    there = [{row[0] for row in part.sql("SELECT external_id FROM accounts")} for part in parts[:2]]
    assert there[0] | there[1] == set(names) and not there[0] & there[1]
    assert min(map(len, there)) > 3, there


def test_wrong_part_refuses(parts):
    """The header names an account of the other part than the body."""
    here, there = (part.sql("SELECT external_id FROM accounts LIMIT 1")[0][0] for part in parts[:2])
    status, said = ask(parts, "POST", "/api/guard/authorize", "guard", there, {"account": here, "model": "gpt-4o"})
    assert status == 402, said
    assert parts[1].sql(f"SELECT COUNT(*) FROM accounts WHERE external_id = '{here}'") == [("0",)]

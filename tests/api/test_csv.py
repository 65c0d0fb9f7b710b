"""Lists as CSV: the same rows as in JSON, page by page, and no formula for a spreadsheet."""

import csv
import io
import json
import re
import urllib.parse

import pytest

import guard
from octroi import TOP

LISTS = re.findall(r'^CSV\((\w+), "(\w+)", "([\w,]+)"\)$', (TOP / "src/routes/csv.def").read_text(), re.M)
DOCUMENT = json.loads((TOP / "src/routes/openapi.json").read_text())
# Texts that a spreadsheet computes, and texts that tear a file apart.
FORMULAS = ["=1+1", "+1+1", "-1+1", "@SUM(1)", "=HYPERLINK(\"http://evil.example\",\"x\")", "=cmd|' /C calc'!A0", "＝1+1", "＋1", "－1", "＠A1"]
HARMLESS = ["a=b", "1-1", "comma, \"quoted\"", "'=1", " =1", "é \u202e 👍", "<script>"]


def read(answer):
    assert answer.status == 200, answer
    assert answer.headers["content-type"].startswith("text/csv; charset=utf-8") and answer.headers["content-disposition"] == "attachment"
    assert answer.headers["cache-control"] == "no-store"
    text = answer.body.decode()
    assert text.endswith("\r\n") and "\r\n" in text
    return list(csv.DictReader(io.StringIO(text, newline="")))


def same(cell, value):
    return cell == ("" if value is None else str(value).lower() if isinstance(value, bool) else str(value))


def test_every_list_of_the_api_has_columns():
    """Every GET whose answer has a list "items", "members", "models" or "workspaces"."""
    def resolve(schema):
        while "$ref" in schema:
            schema = DOCUMENT["components"]["schemas"][schema["$ref"].split("/")[-1]]
        return schema

    def rows(schema):
        return resolve(schema).get("properties", {})

    listed = {handler: (name, columns.split(",")) for handler, name, columns in LISTS}
    for path, item in DOCUMENT["paths"].items():
        answer = item.get("get", {}).get("responses", {}).get("200", {}).get("content", {})
        members = rows(answer.get("application/json", {"schema": {}})["schema"])
        handler = item.get("get", {}).get("operationId")
        if not {"items", "models"} & set(members) and handler not in listed:
            continue
        name, columns = listed.pop(handler)
        shown = rows(resolve(members[name])["items"])
        assert set(columns) <= set(shown) and len(set(columns)) == len(columns), (path, set(columns) - set(shown))
        assert any(kind.startswith("text/csv") for kind in answer), path
        assert {"$ref": "#/components/parameters/format"} in item["get"]["parameters"], path
    assert not listed, listed


def test_rows_are_those_of_the_json(server):
    account = server.account(funds_micros=50_000_000)
    for i in range(7):
        guard.settle(server, guard.hold(server, account, member=f"m{i}"), inputTokens=i, outputTokens=1)
    server.call("PUT", f"/api/accounts/{account}/members/ann", json={"role": "manager"})
    paths = {handler: path for path, item in DOCUMENT["paths"].items() for handler in [item.get("get", {}).get("operationId")]}
    usage = server.get(f"/api/credits/usages?account={account}").json["items"][0]["id"]
    for handler, name, columns in LISTS:
        if handler == "topups_invoices":
            continue  # needs Stripe
        path = paths[handler].replace("{account}", account).replace("{id}", usage)
        query = f"?account={account}" if "/api/credits" in path or path.endswith("reports/members") else "?"
        query += "&models=gpt-4o" if handler == "compare_show" else ""
        shown = server.get(path + query, key="admin")
        rows = read(server.get(f"{path}{query}&format=csv", key="admin")) if handler != "pricing_list" else None
        if rows is None:
            continue
        assert len(rows) == len(shown.json[name]), path
        for row, item in zip(rows, shown.json[name]):
            assert list(row) == columns.split(",")
            wrong = {column for column in row if not same(row[column].removeprefix("'"), item.get(column)) and column != "latencyMs"}
            assert not wrong, (path, row, item)
        assert server.get(f"{path}{query}&format=json", key="admin").json[name] == shown.json[name]


def test_pages_follow_each_other(server):
    account = server.account(funds_micros=50_000_000)
    for _ in range(5):
        guard.charge(server, account, "debrief")
    whole = [item["id"] for item in server.get(f"/api/credits/usages?account={account}", key="app").json["items"]]
    found, cursor = [], None
    while True:
        page = server.get(f"/api/credits/usages?account={account}&limit=2&format=csv" + (f"&cursor={cursor}" if cursor else ""), key="app")
        found += [row["id"] for row in read(page)]
        cursor = page.headers.get("x-octroi-next-cursor")
        if cursor is None:
            break
    assert found == whole and len(whole) == 5


def test_cursor_of_a_name_is_encoded(nginx):
    account = nginx.account(funds_micros=50_000_000)
    for name in ("a", "zeta"):
        guard.charge(nginx, account, name)
    page = nginx.get("/api/admin/reports/margin?by=model&limit=1&format=csv", key="report")
    cursor = page.headers["x-octroi-next-cursor"]
    assert re.fullmatch(r"[A-Za-z0-9._%-]+", cursor)
    assert nginx.get(f"/api/admin/reports/margin?by=model&limit=1&cursor={cursor}", key="report").json["items"]


@pytest.mark.parametrize("text", FORMULAS + HARMLESS)
def test_a_formula_is_a_text(nginx, text):
    account = nginx.account(funds_micros=5_000_000)
    nginx.fund(account, 5, description=text)
    nginx.call("PUT", "/api/accounts/" + account, json={"name": text})
    wanted = "'" + text if text in FORMULAS else text
    rows = read(nginx.get(f"/api/credits/transactions?account={account}&format=csv", key="app"))
    assert wanted in {row["description"] for row in rows}
    [found] = [row for row in read(nginx.get(f"/api/admin/accounts?match={urllib.parse.quote(account)}&format=csv", key="report"))
               if row["account"] == account]
    assert found["name"] == wanted
    for row in rows:
        assert row["amountMicros"].lstrip("-").isdigit(), "a number is no text"


def test_accept_asks_for_csv(server):
    account = server.account(funds_micros=5_000_000)
    path = f"/api/credits/transactions?account={account}"
    wanted = read(server.get(path + "&format=csv", key="app"))
    assert len(wanted) == 1
    for accept in ("text/csv", "Text/CSV", "text/csv; header=present", "text/csv, application/json;q=0.5"):
        assert read(server.get(path, key="app", headers={"Accept": accept})) == wanted
    shown = server.get(path, key="app").json
    for accept, query in (("*/*", ""), ("application/json, text/csv", ""), ("text/csvx", ""), ("", ""), ("text/csv", "&format=json")):
        assert server.get(path + query, key="app", headers={"Accept": accept}).json == shown
    # Where there is no list, the answer is JSON as ever.
    assert server.get(f"/api/credits?account={account}", key="app", headers={"Accept": "text/csv"}).json["account"] == account


def test_other_formats_and_other_routes_are_refused(server):
    account = server.account(funds_micros=5_000_000)
    for path in (f"/api/credits?account={account}&format=csv", f"/api/credits/usages?account={account}&format=xml",
                 f"/api/accounts/{account}?format=csv", "/healthz?format=csv", f"/api/credits/transactions?account={account}&format=CSV"):
        answer = server.get(path, key="app")
        assert (answer.status, answer.json["field"]) == (400, "format"), (path, answer)


def test_refusals_stay_json(server):
    account, other = server.account(funds_micros=5_000_000), server.account(funds_micros=5_000_000)
    token = server.post("/api/tokens", {"account": account}, key="app").json["token"]
    for path, key, status in ((f"/api/credits/usages?account={other}&format=csv", token, 403), ("/api/credits/usages?format=csv", None, 401),
                              ("/api/admin/accounts?format=csv", token, 403), (f"/api/credits/usages?account={other}&format=csv&limit=0", "app", 400)):
        answer = server.get(path, key=key)
        assert answer.status == status and answer.headers["content-type"] == "application/json" and answer.json["error"], answer
        assert other not in answer.text
    assert {row["id"] for row in read(server.get("/api/credits/transactions?format=csv", key=token, public=True))} == \
        {item["id"] for item in server.get("/api/credits/transactions", key=token, public=True).json["items"]}

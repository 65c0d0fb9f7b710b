"""A customer's view: balance, transactions, usages, summary, prices."""

import base64
import concurrent.futures
import datetime
import hashlib
import json
import re

import pytest

import guard
from octroi import wait_until
from rowlock import Session
from guard import authorize, charge, cost, hold, release, request_id, settle

FUNDS = 9_876_543


def credits(o, account, **more):
    answer = o.get(f"/api/credits?account={account}", **more)
    assert answer.status == 200, answer
    return answer.json


def token(o, account, member=None, **fields):
    body = {"account": account, **({"member": member} if member else {}), **fields}
    answer = o.post("/api/tokens", body, key="app")
    assert answer.status == 200, answer
    return answer.json["token"]


def recent(time, seconds=60):
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", time), time
    at = datetime.datetime.fromisoformat(time.replace("Z", "+00:00"))
    return abs((datetime.datetime.now(datetime.timezone.utc) - at).total_seconds()) < seconds


def test_an_account_is_made_on_first_sight(server):
    account = request_id("new")
    said = credits(server, account)
    assert (said["account"], said["mode"], said["unit"], said["currency"]) == (account, "prepaid", "money", "EUR")
    assert (said["balance"], said["balanceMicros"], said["heldMicros"], said["availableMicros"]) == (0, 0, 0, 0)
    assert said["balanceFormatted"] == "0.00€"
    assert (said["transactions"], said["usages"], said["hasByok"], said["low"]) == ([], [], False, True)
    assert server.sql(f"SELECT COUNT(*) FROM accounts WHERE external_id = '{account}'") == [("1",)]


def test_overview(server):
    account = server.account(funds_micros=FUNDS, byok=["anthropic"])
    answer = authorize(server, account, member="user:7", conversationId="c-1", messageId="m-1")
    held = hold(server, account)
    settled = settle(server, answer.json["hold"], usage={
        "prompt_tokens": 100, "completion_tokens": 20, "prompt_tokens_details": {"cached_tokens": 40}}, messageId="m-2")
    took = cost("gpt-4o", input=60, cache_read=40, output=20)
    reserved = cost("gpt-4o", input=500, output=2000)
    said = credits(server, account)
    assert settled.json["costMicros"] == took
    assert (said["balanceMicros"], said["heldMicros"], said["availableMicros"]) == (
        FUNDS - took, reserved, FUNDS - took - reserved)
    assert said["balance"] == (FUNDS - took) // 10_000
    assert said["hasByok"] is True and said["low"] is False and said["status"] == "active"
    transaction = said["transactions"][0]
    assert (transaction["type"], transaction["amount"], transaction["amountMicros"]) == ("ADJUSTMENT", 987, FUNDS)
    assert (transaction["balanceBefore"], transaction["balanceAfter"]) == (0, 987)
    assert transaction["description"] == "test" and recent(transaction["createdAt"])
    [usage] = said["usages"]
    assert usage["id"] == answer.json["hold"] != held
    assert (usage["model"], usage["member"], usage["conversationId"], usage["messageId"]) == (
        "gpt-4o", "user:7", "c-1", "m-2")
    assert (usage["inputTokens"], usage["cacheReadTokens"], usage["cacheWriteTokens"], usage["outputTokens"]) == (
        60, 40, 0, 20)
    assert usage["totalTokens"] == 120
    assert (usage["costMicros"], usage["cost"], usage["settlement"]) == (took, took / 10_000, "exact")
    assert recent(usage["createdAt"])


def ask_all(o, asked):
    """Everybody at once, each over a connection of its own."""
    with concurrent.futures.ThreadPoolExecutor(len(asked)) as pool:
        answers = list(pool.map(lambda more: o.get(**more), asked))
    assert {a.status for a in answers} == {200}, answers
    return [a.json for a in answers]


def test_many_who_ask_at_once_see_their_own(server):
    """Simultaneous reads go to the database together; no caller sees another's, whoever asks."""
    asked = []
    for n in range(12):
        account = server.account(funds_micros=FUNDS + n)
        for i in range(n):
            member = ("ann", "bob")[i % 2]
            settle(server, hold(server, account, member=member, conversationId=f"{account}-{i}"), inputTokens=i, outputTokens=n)
        asked.append({"path": f"/api/credits?account={account}"})
        for member in (None, "bob"):
            asked.append({"path": "/api/credits", "key": None, "public": True,
                          "headers": {"Authorization": f"Bearer {token(server, account, member)}"}})
    alone = [server.get(**more).json for more in asked]
    assert [len(said["usages"]) for said in alone[:9]] == [0, 0, 0, 1, 1, 0, 2, 2, 1]
    assert [len(said["usages"]) for said in alone[-3:]] == [10, 10, 5]
    for _ in range(3):
        assert ask_all(server, asked) == alone


def ask_together(o, asked):
    """As ask_all, all but the first asked of the database together; how many statements those took as well."""
    other = Session(o)
    assert other.ask("LOCK TABLES transactions WRITE; SELECT 'held';") == "held"
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        answers = pool.submit(ask_all, o, asked)
        wait_until(lambda: o.metric("octroi_credits_waiting") == len(asked), 30, "all of them to wait")
        before = o.metric("octroi_database_queries_total")
        other.close()
        said = answers.result(60)
    return said, o.metric("octroi_database_queries_total") - before


def test_many_who_ask_at_once_cost_one_question(nginx):
    accounts = [nginx.account(funds_micros=FUNDS) for _ in range(40)]
    asked = [{"path": f"/api/credits?account={account}"} for account in accounts]
    ask_all(nginx, asked)  # what is made at first sight is made
    said, statements = ask_together(nginx, asked)
    assert [answer["account"] for answer in said] == accounts
    assert statements < len(asked) / 2


def test_many_of_whom_some_have_much_see_all_of_theirs(nginx):
    """Accounts with very many transactions, with last holds that were released or are open, and asked for twice."""
    rich, patient, fickle = (nginx.account(funds_micros=FUNDS) for _ in range(3))
    others = [nginx.account(funds_micros=FUNDS + n) for n in range(10)]
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda n: nginx.fund(rich, n), range(1, 401)))
    for n in range(14):
        settle(nginx, hold(nginx, patient, member=("ann", "bob")[n % 2]), inputTokens=n, outputTokens=1)
        settle(nginx, hold(nginx, fickle), inputTokens=n, outputTokens=1)
    for _ in range(20):
        hold(nginx, patient, model="gpt-4o-mini", maxOutputTokens=1)
        assert release(nginx, hold(nginx, fickle)).status == 200
    asked = [{"path": f"/api/credits?account={account}"} for account in (rich, *others, patient, rich, fickle)]
    asked.append({"path": "/api/credits", "key": None, "public": True,
                  "headers": {"Authorization": f"Bearer {token(nginx, patient, 'bob')}"}})
    alone = [nginx.get(**more).json for more in asked]
    assert [len(said["transactions"]) for said in alone[:2]] == [10, 1]
    assert [len(said["usages"]) for said in alone[-5:]] == [0, 10, 0, 10, 7]
    for _ in range(3):
        assert ask_together(nginx, asked)[0] == alone


@pytest.mark.parametrize("language, funds, unit, text", [
    (None, 9_876_543, "money", "9.87€"), ("fr", 9_876_543, "money", "9,87 €"), ("en", 0, "money", "0.00€"),
    ("fr-FR,fr;q=0.9,en;q=0.8", 5_000_000, "money", "5,00 €"), ("en;q=0.9,fr;q=0.1", 5_000_000, "money", "5.00€"),
    ("de", 1_234_567_890_000, "money", "1234567.89€"), (None, -1, "money", "-0.01€"),
])
def test_formatted_balance(nginx, language, funds, unit, text):
    account = nginx.account(unit=unit)
    if funds:
        nginx.fund(account, funds)
    headers = {"Accept-Language": language} if language else {}
    formatted = credits(nginx, account, headers=headers)["balanceFormatted"]
    assert formatted.replace("\u202f", " ").replace("\u00a0", " ") == text


def test_low_is_said_below_the_threshold(nginx):
    assert credits(nginx, nginx.account(funds_micros=1_999_999))["low"] is True
    assert credits(nginx, nginx.account(funds_micros=2_000_000))["low"] is False


def pages(o, path, limit, **more):
    """Every item of a list, page by page, and how many pages."""
    items, cursor, count = [], None, 0
    while True:
        answer = o.get(f"{path}&limit={limit}" + (f"&cursor={cursor}" if cursor else ""), **more)
        assert answer.status == 200, answer
        items += answer.json["items"]
        count += 1
        cursor = answer.json["nextCursor"]
        if cursor is None:
            return items, count
        assert len(answer.json["items"]) == limit


def test_transactions_in_pages(server):
    account = server.account()
    for i in range(1, 24):
        server.fund(account, i * 1_000_000)
    newest_first = [i * 1_000_000 for i in range(23, 0, -1)]
    for limit, wanted in ((5, 5), (23, 1), (1, 23), (100, 1)):
        items, count = pages(server, f"/api/credits/transactions?account={account}", limit)
        assert [t["amountMicros"] for t in items] == newest_first and count == wanted
        assert len({t["id"] for t in items}) == 23
    assert [t["amountMicros"] for t in credits(server, account)["transactions"]] == newest_first[:10]


def test_a_page_is_not_moved_by_what_comes_later(nginx):
    account = nginx.account()
    for i in range(6):
        nginx.fund(account, 1_000_000 + i)
    first = nginx.get(f"/api/credits/transactions?account={account}&limit=3").json
    nginx.fund(account, 9_000_000)
    second = nginx.get(f"/api/credits/transactions?account={account}&limit=3&cursor={first['nextCursor']}").json
    assert [t["amountMicros"] for t in first["items"] + second["items"]] == [1_000_000 + i for i in range(5, -1, -1)]
    assert second["nextCursor"] is None


def test_usages_in_pages_and_filtered(server):
    account = server.account(funds_micros=1_000_000_000)
    for i in range(12):
        model = ("gpt-4o", "gpt-3.5-turbo")[i % 2]
        held = hold(server, account, model, member=f"user:{i % 3}", inputTokens=1)
        settle(server, held, inputTokens=i, outputTokens=1)
    for i in range(4):
        charge(server, account, ("debrief", "coaching")[i % 2], member="user:0")
    path = f"/api/credits/usages?account={account}"
    everything, _ = pages(server, path, 5)
    assert len(everything) == 16 and [u.get("action") for u in everything[:4]] == ["coaching", "debrief"] * 2
    assert [u["inputTokens"] for u in everything[4:]] == list(range(11, -1, -1))
    assert [u["inputTokens"] for u in pages(server, path + "&model=gpt-4o", 4)[0]] == [10, 8, 6, 4, 2, 0]
    assert [u["inputTokens"] for u in pages(server, path + "&member=user:2", 3)[0]] == [11, 8, 5, 2]
    assert len(pages(server, path + "&action=debrief", 1)[0]) == 2
    assert len(pages(server, path + "&member=user:0&model=gpt-3.5-turbo", 10)[0]) == 2
    assert pages(server, path + "&model=none", 10) == ([], 1)


@pytest.mark.parametrize("query", ["limit=0", "limit=-1", "limit=x", "limit=101", "cursor=x", "cursor=%00", "limit=1e1"])
def test_pages_that_are_none(nginx, query):
    account = nginx.account()
    answer = nginx.get(f"/api/credits/transactions?account={account}&{query}")
    assert answer.status == 400 and answer.json["field"] in ("limit", "cursor"), answer


def test_cursor_of_another_account_shows_nothing_of_it(nginx):
    one, other = nginx.account(), nginx.account()
    for account in (one, other):
        for i in range(3):
            nginx.fund(account, 1_000_000 + i)
    cursor = nginx.get(f"/api/credits/transactions?account={one}&limit=1").json["nextCursor"]
    answer = nginx.get(f"/api/credits/transactions?account={other}&limit=10&cursor={cursor}")
    ids = {t["id"] for t in nginx.get(f"/api/credits/transactions?account={one}").json["items"]}
    assert answer.status == 400 or not ids & {t["id"] for t in answer.json["items"]}, answer


def test_credit_accounts_count_whole_credits(nginx):
    account = nginx.account(funds_micros=3_500_000, unit="credit")
    said = credits(nginx, account)
    assert (said["unit"], said["balance"], said["balanceMicros"]) == ("credit", 3, 3_500_000)
    charge(nginx, account, "debrief")
    usage = credits(nginx, account)["usages"][0]
    assert (usage["action"], usage["cost"], usage["costMicros"]) == ("debrief", 1, 1_000_000)


# ---- summary ------------------------------------------------------------------------------------------


def test_summary_by_each_grouping(server):
    account = server.account(funds_micros=1_000_000_000)
    took = {}
    for i in range(6):
        model, member = ("gpt-4o", "gpt-3.5-turbo")[i % 2], f"user:{i % 3}"
        settle(server, hold(server, account, model, member=member, inputTokens=1), inputTokens=10 + i, outputTokens=i)
        micros = cost(model, input=10 + i, output=i)
        for key in (model, member):
            one = took.setdefault(key, [0, 0, 0, 0])
            for at, more in enumerate((1, 10 + i, i, micros)):
                one[at] += more
    total = sum(v[3] for k, v in took.items() if k.startswith("gpt"))
    for by, keys in (("model", ("gpt-4o", "gpt-3.5-turbo")), ("member", ("user:0", "user:1", "user:2"))):
        said = server.get(f"/api/credits/summary?account={account}&by={by}").json
        found = {i["key"]: [i["requests"], i["inputTokens"], i["outputTokens"], i["costMicros"]] for i in said["items"]}
        assert found == {k: took[k] for k in keys}, by
        assert said["totalMicros"] == total
        assert said["forecast"]["monthEndMicros"] >= total and said["forecast"]["method"]
    today = datetime.datetime.now(datetime.timezone.utc).date()
    said = server.get(f"/api/credits/summary?account={account}&by=day").json
    assert sum(i["costMicros"] for i in said["items"]) == total
    assert {i["key"] for i in said["items"]} <= {str(today), str(today - datetime.timedelta(days=1))}
    charge(server, account, "debrief", quantity=2)
    said = server.get(f"/api/credits/summary?account={account}&by=action").json
    assert [i["costMicros"] for i in said["items"] if i["key"] == "debrief"] == [20_000]


def test_summary_of_a_span(nginx):
    account = nginx.account(funds_micros=1_000_000_000)
    settle(nginx, hold(nginx, account), inputTokens=10, outputTokens=1)
    now = datetime.datetime.now(datetime.timezone.utc)
    before = (now - datetime.timedelta(days=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    between = (now - datetime.timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    after = (now + datetime.timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    path = f"/api/credits/summary?account={account}&by=model"
    assert nginx.get(f"{path}&from={before}&to={between}").json["totalMicros"] == 0
    assert nginx.get(f"{path}&from={between}&to={after}").json["totalMicros"] == cost("gpt-4o", input=10, output=1)
    for query in ("from=x", "to=2026-13-01", f"from={after}&to={before}", "by=colour"):
        answer = nginx.get(f"/api/credits/summary?account={account}&{query}")
        assert answer.status == 400 and answer.json["field"], (query, answer)


# ---- prices -------------------------------------------------------------------------------------------


def test_estimate_is_the_figure_that_the_guard_uses(server):
    for model in guard.PICO:
        for tokens in ((500, 2000), (1, 0), (0, 1), (123_456, 7)):
            estimate = server.post("/api/pricing/estimate", {
                "model": model, "inputTokens": tokens[0], "outputTokens": tokens[1]}, key=None, public=True)
            assert estimate.status == 200, estimate
            micros = cost(model, input=tokens[0], output=tokens[1])
            assert micros in estimate.json.values(), estimate
            held = authorize(server, server.account(funds_micros=10_000_000), model, inputTokens=tokens[0],
                             maxOutputTokens=tokens[1])
            assert held.json["reservedMicros"] == micros
    unknown = server.post("/api/pricing/estimate", {"model": "none", "inputTokens": 1, "outputTokens": 1}, key=None)
    assert unknown.status == 422 and unknown.json["error"] == "UNKNOWN_MODEL", unknown


def test_the_public_price_list(nginx):
    answer = nginx.get("/api/pricing", public=True, key=None)
    assert answer.status == 200, answer
    assert all(f'"{model}"' in answer.text for model in guard.PICO)


# ---- who may see it -----------------------------------------------------------------------------------


def test_a_browser_sees_its_own_account_only(server):
    own, other = server.account(funds_micros=FUNDS), server.account(funds_micros=FUNDS)
    browser = dict(key=token(server, own, "user:1"), public=True)
    for path in ("", "/transactions", "/usages", "/summary"):
        answer = server.get(f"/api/credits{path}", **browser)
        assert answer.status == 200, (path, answer)
        foreign = server.get(f"/api/credits{path}?account={other}", **browser)
        assert foreign.status == 403 or (foreign.status == 200 and other not in foreign.text), foreign
        assert server.get(f"/api/credits{path}", key=None, public=True).status == 401
    assert server.get("/api/credits", **browser).json["account"] == own


def test_altered_and_borrowed_tokens_are_refused(nginx):
    account = nginx.account(funds_micros=FUNDS)
    good = token(nginx, account)
    head, payload, signature = good.split(".")

    def encode(data):
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    none = encode(json.dumps({"alg": "none", "typ": "JWT"}).encode())
    changed = json.loads(base64.urlsafe_b64decode(payload + "=="))
    flipped = signature[:-2] + ("AA" if signature[-2:] != "AA" else "BB")
    bad = [f"{none}.{payload}.", f"{none}.{payload}.{signature}", f"{head}.{payload}.{flipped}", f"{head}.{payload}.",
           f"{head}.{payload}", "..", good + "x", "x" + good]
    for field in changed:
        if isinstance(changed[field], int):
            longer = encode(json.dumps({**changed, field: changed[field] + 1}).encode())
            bad.append(f"{head}.{longer}.{signature}")
    empty_key = hashlib.sha256(b"").digest()
    bad.append(f"{head}.{payload}.{encode(empty_key)}")
    assert nginx.get("/api/credits", key=good, public=True).status == 200
    for wrong in bad:
        assert nginx.get("/api/credits", key=wrong, public=True).status == 401, wrong


def test_a_token_moves_no_money(nginx):
    account = nginx.account(funds_micros=FUNDS)
    browser = token(nginx, account)
    for method, path, body in (("POST", "/api/guard/authorize", {"account": account, "model": "gpt-4o"}),
                               ("POST", "/api/guard/charge", {"account": account, "action": "x"}),
                               ("PUT", f"/api/accounts/{account}", {"unit": "money"}),
                               ("POST", "/api/tokens", {"account": account}),
                               ("POST", f"/api/accounts/{account}/transactions", {})):
        assert nginx.call(method, path, json=body, key=browser).status in (401, 403), path
    assert nginx.balance(account) == (FUNDS, 0, FUNDS)

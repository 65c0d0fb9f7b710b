"""Alerts of the operator: one for each cause, in the transaction of the cause; listed, mailed and posted."""

import concurrent.futures
import json
import pathlib
import subprocess
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from conftest import SETTINGS  # noqa: E402
from fake_provider import FakeProvider  # noqa: E402
from guard import charge, key_of, pass_time  # noqa: E402
from mailserver import FROM, Mailbox, part  # noqa: E402
from octroi import Octroi, build_dir, wait_until  # noqa: E402
from receiver import Receiver  # noqa: E402
from second import Second  # noqa: E402

EURO = 1_000_000
HOUR_US = 3600 * 10**6
OPERATORS = ["ops@example.org", "night@example.org"]
NOW = "CAST(UNIX_TIMESTAMP(SYSDATE(6)) * 1000000 AS SIGNED)"


@pytest.fixture(scope="module")
def receiver():
    with Receiver() as made:
        yield made


@pytest.fixture(scope="module")
def box():
    with Mailbox(starttls=True) as made:
        yield made


@pytest.fixture(scope="module")
def provider():
    with FakeProvider() as fake:
        yield fake


@pytest.fixture(scope="module")
def o(receiver, box, provider):
    with tempfile.NamedTemporaryFile("w", suffix=".pem") as both:
        both.write(receiver.certificate.read_text() + box.certificate.read_text())
        both.flush()
        pathlib.Path(both.name).chmod(0o644)
        settings = {**SETTINGS, **provider.settings(), **box.settings(), "operator_mail": " ".join(OPERATORS), "outgoing_ca_file": both.name}
        with Octroi("nginx", settings=settings) as made:
            yield made


def told(o, kind):
    """Of that kind, the oldest first."""
    listed = json.loads(o.ctl("alert", "list", "--operator", "--json").stdout)["items"]
    return [item for item in reversed(listed) if item["kind"] == kind]


def endpoint(o, url, *options):
    return str(json.loads(o.ctl("endpoint", "add", url, "--inside", *options, "--json").stdout)["id"])


def of_operator(receiver, path):
    return [m for m in receiver.messages if m.path.endswith(path) and m.json["type"].startswith("operator.")]


# ---- prices, and the way to the operator ---------------------------------------------------------------


def set_price(o, dollars):
    o.ctl("price", "set", "model-x", "--provider", "openai", "--input", str(dollars), "--output", "2")


def test_prices_are_told_everywhere(o, receiver, box):
    ids = [endpoint(o, receiver.url + "/all"), endpoint(o, receiver.url + "/prices", "--kinds", "price_changed,balance_low"),
           endpoint(o, receiver.url + "/other", "--kinds", "balance_low")]
    before = len(told(o, "price_changed"))
    set_price(o, 1)
    [alert] = told(o, "price_changed")[before:]
    version = o.sql("SELECT MAX(id) FROM price_versions")[0][0]
    assert (alert["subject"], alert["value"], alert["endedAt"] is not None) == (f"version {version}", 1, True)
    wait_until(lambda: of_operator(receiver, "/all") and of_operator(receiver, "/prices"), what="the messages")
    wait_until(lambda: all(box.of(address) for address in OPERATORS), what="the mails")
    [message] = of_operator(receiver, "/prices")
    assert message.id == alert["id"]
    assert message.json == {"type": "operator.price_changed", "timestamp": alert["createdAt"],
                            "data": {name: alert.get(name, "") for name in ("id", "kind", "subject", "detail", "value", "bound", "createdAt")}}
    assert not of_operator(receiver, "/other")
    mail = box.of(OPERATORS[1])[-1]
    assert mail["Subject"] == "Prices have changed" and f"version {version}" in part(mail, "plain")
    assert "operator_mail" in part(mail, "html") and "Account" not in part(mail, "plain")
    listed = json.loads(o.ctl("endpoint", "list", "--json").stdout)["items"]
    assert [item["kinds"] for item in listed if str(item["id"]) in ids] == ["all", "balance_low,price_changed", "balance_low"]
    delivered = json.loads(o.ctl("endpoint", "deliveries", ids[0], "--json").stdout)["items"]
    assert [(item["kind"], item["account"]) for item in delivered if item["alert"] == alert["id"]] == [("price_changed", "")]
    for one in ids:
        o.ctl("endpoint", "remove", one)


def test_the_same_price_is_no_news(o):
    set_price(o, 7)
    count = len(told(o, "price_changed"))
    set_price(o, 7)
    assert len(told(o, "price_changed")) == count


def test_the_pages_list(o):
    set_price(o, 8)
    page = o.get("/api/admin/operator-alerts?limit=1", key="report").json
    [item] = page["items"]
    assert (item["kind"], page["complete"]) == ("price_changed", False)
    assert "price_changed" in o.get("/api/admin/operator-alerts?format=csv", key="report").text
    assert o.get("/api/admin/operator-alerts", key="guard").status == 403


def test_the_first_prices_are_no_news(o):
    """The octroi here was set up with a list of prices."""
    first = o.sql("SELECT MIN(version) FROM prices")[0][0]
    assert f"version {first}" not in [alert["subject"] for alert in told(o, "price_changed")]


# ---- endpoints, providers, audits ------------------------------------------------------------------------


def test_an_endpoint_is_switched_off(o, receiver):
    """Told once each time, and at another endpoint."""
    receiver.answer = lambda message: (410 if message.path.endswith("/gone") else 204, {})
    gone, well = endpoint(o, receiver.url + "/gone", "--kinds", "price_changed"), endpoint(o, receiver.url + "/well", "--kinds", "endpoint_disabled")
    for times in (1, 2):
        o.ctl("endpoint", "enable", gone)
        set_price(o, 20 + times)
        wait_until(lambda: len(of_operator(receiver, "/well")) == times, what="the message")  # noqa: B023
        alerts = [alert for alert in told(o, "endpoint_disabled") if alert["subject"] == gone]
        assert len(alerts) == times and "410" in alerts[-1]["detail"]
    assert {m.json["data"]["subject"] for m in of_operator(receiver, "/well")} == {gone}
    receiver.answer = lambda message: (204, {})
    for one in (gone, well):
        o.ctl("endpoint", "remove", one)


def test_a_provider_changes_its_state(o, provider):
    def states():
        return [alert["detail"].partition(":")[0] for alert in told(o, "provider_state") if alert["subject"] == "openai"]

    for trouble, seen in ((None, []), ("openai_hard_limit", ["healthy -> billing_hard_limit_reached"]),
                          ("openai_hard_limit", ["healthy -> billing_hard_limit_reached"]),
                          (None, ["healthy -> billing_hard_limit_reached", "billing_hard_limit_reached -> healthy"])):
        provider.well() if trouble is None else provider.trouble(trouble)
        o.ctl("probe", "openai", "--store", check=False)
        assert states() == seen
    provider.well()


def test_an_audit_that_fails_is_told_until_one_is_clean(o):
    account = o.account(funds_micros=EURO)

    def audit():
        o.ctl("audit", "--account", account, check=False)
        return [alert["endedAt"] is not None for alert in told(o, "audit_failed") if alert["subject"] == account]

    def shift(micros):
        o.sql(f"UPDATE accounts SET held_micros = held_micros + {micros} WHERE id = {key_of(account)}")

    assert audit() == []
    shift(1)
    assert audit() == [False] and audit() == [False]
    shift(-1)
    assert audit() == [True] and audit() == [True]
    shift(1)
    assert audit() == [True, False]
    shift(-1)
    assert audit() == [True, True]


# ---- hours ---------------------------------------------------------------------------------------------


def last_hour(o):
    """The beginning of the last hour that is looked at."""
    return (int(o.sql(f"SELECT {NOW}")[0][0]) - 300 * 10**6) // HOUR_US * HOUR_US - HOUR_US


def look(o):
    """Looks at the last hour again."""
    o.sql("DELETE FROM hours WHERE from_us >= " + str(last_hour(o)))
    o.ctl("tick")


@pytest.fixture
def hour(o):
    """An account, and a function that moves all its usages into the last hour and looks at it.  The rows of usages are
    theirs again at the end, for the audit."""
    account = o.account(unit="credit", funds_micros=1000 * EURO)
    keep = "INSERT IGNORE INTO kept SELECT account_id, seq, ended_at_us, cost_micros FROM usages;"
    o.sql("CREATE TABLE kept (account_id BINARY(16), seq BIGINT, ended_at_us BIGINT, cost_micros BIGINT, PRIMARY KEY (account_id, seq));"
          f"{keep} DELETE FROM hours; UPDATE usages SET ended_at_us = 1")

    def seen(cost="cost_micros"):
        o.sql(f"{keep} UPDATE usages SET cost_micros = {cost}, ended_at_us = {last_hour(o) + 60_000_000} WHERE account_id = {key_of(account)}")
        look(o)

    yield account, seen
    o.sql("UPDATE usages u JOIN kept k ON k.account_id = u.account_id AND k.seq = u.seq"
          " SET u.ended_at_us = k.ended_at_us, u.cost_micros = k.cost_micros;"
          "DROP TABLE kept; DELETE FROM hours; DELETE FROM operator_alerts WHERE kind IN (0, 1, 6)")


def test_many_holds_expire(o, hour):
    account, seen = hour
    for _ in range(18):
        charge(o, account, "debrief")
    for _ in range(2):
        assert o.post("/api/guard/authorize", {"account": account, "action": "debrief"}, key="guard").status == 200
    pass_time(o, account, 3600)
    o.get(f"/api/credits?account={account}")
    seen()
    assert told(o, "holds_expired_share") == []  # 2 of 20 are not more than a tenth
    assert o.post("/api/guard/authorize", {"account": account, "action": "debrief"}, key="guard").status == 200
    pass_time(o, account, 3600)
    o.get(f"/api/credits?account={account}")
    for _ in range(3):  # once while it lasts
        seen()
    [alert] = told(o, "holds_expired_share")
    assert (alert["value"], alert["bound"], alert["endedAt"]) == (14, 10, None) and "3 of 21" in alert["detail"]
    for _ in range(10):
        charge(o, account, "debrief")
    seen()
    assert told(o, "holds_expired_share")[0]["endedAt"] is not None


def test_many_settlements_are_estimates(o, hour):
    account, seen = hour
    for _ in range(20):
        charge(o, account, "debrief")
    for _ in range(3):
        held = o.post("/api/guard/authorize", {"account": account, "model": "gpt-4o"}, key="guard").json["hold"]
        assert o.post("/api/guard/settle", {"hold": held}, key="guard").json["settlement"] == "estimated"
    seen()
    [alert] = told(o, "settlements_estimated_share")
    assert (alert["value"], alert["bound"]) == (13, 10) and "3 of 23" in alert["detail"]
    assert told(o, "holds_expired_share") == []


def test_few_requests_say_nothing(o, hour):
    account, seen = hour
    for _ in range(5):
        o.post("/api/guard/authorize", {"account": account, "action": "debrief"}, key="guard")
    pass_time(o, account, 3600)
    o.get(f"/api/credits?account={account}")
    seen()
    assert told(o, "holds_expired_share") == []


@pytest.mark.parametrize("weeks, spent, wanted", [(4, 51, 1), (4, 50, 0), (1, 1000, 0)])
def test_an_hour_that_is_unusual(o, hour, weeks, spent, wanted):
    """The mean hour of this weekday is 10 credits; those of the other days are not."""
    account, seen = hour
    from_us = last_hour(o)
    weekday = from_us // (24 * HOUR_US) % 7
    hours = [from_us - i * HOUR_US for i in range(1, weeks * 7 * 24 + 1)]
    o.sql("INSERT INTO hours (from_us, unit, ended, expired, settled, estimated, cost_micros) VALUES " + ", ".join(
        f"({at}, 1, 0, 0, 0, 0, {10 * EURO if at // (24 * HOUR_US) % 7 == weekday else 1})" for at in hours))
    charge(o, account, "debrief")
    seen(spent * EURO)
    seen(spent * EURO)
    alerts = told(o, "spend_unusual")
    assert [(a["subject"], a["value"], a["bound"]) for a in alerts] == [("credit", spent * EURO, 50 * EURO)] * wanted


def test_two_octroi_look_at_an_hour_once(o, hour):
    account, seen = hour
    for _ in range(25):
        o.post("/api/guard/authorize", {"account": account, "action": "debrief"}, key="guard")
    pass_time(o, account, 3600)
    o.get(f"/api/credits?account={account}")
    seen()
    with Second(o):
        for _ in range(3):
            o.sql("DELETE FROM hours; DELETE FROM operator_alerts WHERE kind = 0")
            with concurrent.futures.ThreadPoolExecutor(4) as pool:
                assert all(done.returncode == 0 for done in pool.map(lambda _: o.ctl("tick", check=False), range(4)))
            assert len(told(o, "holds_expired_share")) == 1
            assert o.sql("SELECT COUNT(*), COUNT(DISTINCT from_us) FROM hours") == [("2", "1")]


# ---- pruning -------------------------------------------------------------------------------------------


def test_old_ones_are_deleted_unless_they_last_or_are_on_their_way(o):
    o.sql("INSERT INTO endpoints (id, url, state, secret, created_at_us) VALUES (99, 'https://x.example', 1, '', 1);"
          "INSERT INTO operator_alerts (id, kind, subject, arming, ended_at_us, told, created_at_us) VALUES"
          " (1001, 2, 'old', 1, 5, 1, 5), (1002, 2, 'lasts', 1, 0, 1, 5), (1003, 2, 'way', 1, 5, 1, 5);"
          "INSERT INTO deliveries (endpoint_id, account_id, alert_seq) VALUES (99, REPEAT('\\0', 16), 1003);"
          "INSERT INTO hours VALUES (3600000000, 0, 0, 0, 0, 0, 0)")

    def left_after_tick():
        o.ctl("tick")
        return o.sql("SELECT id FROM operator_alerts WHERE id > 1000 AND id < 1004 ORDER BY id")
    # A mail of this kind that is on its way, of an alert before, keeps all from its first one on.
    wait_until(lambda: left_after_tick() == [("1002",), ("1003",)], 300, "the end of the old one")
    assert o.sql("SELECT COUNT(*) FROM hours WHERE from_us = 3600000000") == [("0",)]
    o.ctl("endpoint", "remove", "99")  # what waits for it has nowhere to go
    wait_until(lambda: left_after_tick() == [("1002",)], 60, "the end of what was on its way")
    o.sql("DELETE FROM operator_alerts WHERE id = 1002; DELETE FROM endpoints WHERE id = 99")


# ---- settings ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value, good", [("a@example.org", True), ("a@example.org b@example.org", True), ("a", False), ("a@example.org  b@example.org", False),
                                         (" ".join(["a@example.org"] * 6), False), ("a@example.org,b@example.org", False)])
def test_addresses_of_the_operator(value, good):
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as conf:
        conf.write(f"mail_from = {FROM}\noperator_mail = {value}\n")
        conf.flush()
        done = subprocess.run([build_dir() / "octroi", "-t", "-c", conf.name], capture_output=True, text=True)
        assert (done.returncode == 0) == good, done.stderr


def test_arguments(o):
    assert o.ctl("alert", "list", "user:1", "--operator", check=False).returncode == 2
    assert o.ctl("endpoint", "add", "https://example.com", "--kinds", "price", check=False).returncode == 2

"""`octroictl audit` finds what is wrong with orders, payments, refunds, disputes, bonuses and codes: each row is
tampered with behind octroi's back, found, and put back."""

import json
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from fake_stripe import FakeStripe  # noqa: E402
from octroi import Octroi  # noqa: E402


@pytest.fixture(scope="module")
def ledger():
    """A ledger with an order of each kind, a bonus and a code."""
    with FakeStripe() as stripe, Octroi("nginx", settings=stripe.settings(
            bonus_amount="10", bonus_needs_email="off", topup_bonus="2000:10%")) as o:
        stripe.webhook_url = o.url + "/api/webhooks/stripe"
        for name in ("refunded", "disputed", "paid", "large"):
            o.account(name)
            opened = o.post(f"/api/credits/topup?account={name}", {"amount": 2000 if name == "large" else 1000})
            intent = stripe.pay(stripe.session_of(opened.json["url"]))["id"]
            if name in ("refunded", "large"):
                stripe.refund(intent, 250)
            elif name == "disputed":
                stripe.dispute(intent)
            stripe.deliver()
        o.post("/api/credits/topup?account=paid", {"amount": 500})
        o.account("owing")
        o.fund("owing", -10_000_000)
        assert o.post("/api/credits/pay?account=owing", {}).status == 402
        [customer] = [c for c in stripe.objects["customer"].values() if c["metadata"].get("user_id") == "owing"]
        stripe.save_card(customer["id"], default=True)
        assert o.post("/api/credits/pay?account=owing", {}).status == 200
        [charge] = stripe.charges(customer["id"])
        stripe.refund(charge["payment_intent"], 250)
        stripe.dispute(charge["payment_intent"], amount=500)
        stripe.deliver()
        claimed = o.post("/api/credits/claim-bonus?account=paid", {})
        assert claimed.status == 200, claimed
        made = o.ctl("code", "create", "--amount", "5", "--reason", "test", "--actor", "tester", "--json")
        code = json.loads(made.stdout)["items"][0]["code"]
        redeemed = o.post("/api/credits/redeem?account=paid", {"code": code})
        assert redeemed.status == 200, redeemed
        yield o


def of(name):
    return f"account_id = (SELECT id FROM accounts WHERE external_id = '{name}')"


# check, table, what is changed, how it is put back
TAMPERED = [
    ("order", "topups", f"UPDATE topups SET amount_micros = amount_micros + 1 WHERE {of('paid')} AND seq = 1",
     f"UPDATE topups SET amount_micros = amount_micros - 1 WHERE {of('paid')} AND seq = 1"),
    ("order", "topups", f"UPDATE topups SET grant_seq = 7 WHERE {of('paid')} AND seq = 1",
     f"UPDATE topups SET grant_seq = 1 WHERE {of('paid')} AND seq = 1"),
    ("order", "topups", f"UPDATE topups SET state = 4 WHERE {of('paid')} AND seq = 2",
     f"UPDATE topups SET state = 0 WHERE {of('paid')} AND seq = 2"),
    ("order", "topups", f"UPDATE topups SET transaction_seq = 1 WHERE {of('paid')} AND seq = 2",
     f"UPDATE topups SET transaction_seq = 0 WHERE {of('paid')} AND seq = 2"),
    ("order", "transactions", f"UPDATE topups SET state = 0, transaction_seq = 0 WHERE {of('paid')} AND seq = 1",
     f"UPDATE topups SET state = 4, transaction_seq = 1 WHERE {of('paid')} AND seq = 1"),
    ("open_orders", "billing", f"UPDATE billing SET open_orders = CONCAT(open_orders, ',9999999999') WHERE {of('paid')}",
     f"UPDATE billing SET open_orders = REPLACE(open_orders, ',9999999999', '') WHERE {of('paid')}"),
    ("open_orders", "billing", f"UPDATE billing SET orders_live = 1 WHERE {of('paid')}",
     f"UPDATE billing SET orders_live = 2 WHERE {of('paid')}"),
    ("payment", "topups", f"UPDATE topups SET payment_id = 'pi_other' WHERE {of('paid')} AND seq = 2",
     f"UPDATE topups SET payment_id = '' WHERE {of('paid')} AND seq = 2"),
    ("payment", "topups", f"UPDATE topups t, (SELECT payment_id p FROM topups WHERE {of('paid')} AND seq = 1) o "
     f"SET payment_id = o.p WHERE {of('paid')} AND seq = 2",
     f"UPDATE topups SET payment_id = '' WHERE {of('paid')} AND seq = 2"),
    ("payment", "payments", f"UPDATE payments SET topup_seq = 9 WHERE {of('paid')}",
     f"UPDATE payments SET topup_seq = 1 WHERE {of('paid')}"),
    ("refund", "topups", f"UPDATE refunds SET amount_minor = 251 WHERE {of('refunded')}",
     f"UPDATE refunds SET amount_minor = 250 WHERE {of('refunded')}"),
    ("refund", "topups", f"UPDATE refunds SET status = 3 WHERE {of('refunded')}",
     f"UPDATE refunds SET status = 2 WHERE {of('refunded')}"),
    ("dispute", "topups", f"UPDATE disputes SET withdrawn = 0 WHERE {of('disputed')}",
     f"UPDATE disputes SET withdrawn = 1 WHERE {of('disputed')}"),
    ("clawback", "topups", f"UPDATE topups SET refunded_micros = refunded_micros - 1 WHERE {of('refunded')}",
     f"UPDATE topups SET refunded_micros = refunded_micros + 1 WHERE {of('refunded')}"),
    ("clawback", "topups", f"UPDATE topups SET charge_refunded_minor = 300 WHERE {of('refunded')}",
     f"UPDATE topups SET charge_refunded_minor = 250 WHERE {of('refunded')}"),
    ("clawback", "transactions", f"UPDATE topups SET disputed_micros = disputed_micros - 1 WHERE {of('disputed')}",
     f"UPDATE topups SET disputed_micros = disputed_micros + 1 WHERE {of('disputed')}"),
    ("payment", "statements", f"UPDATE statements SET payment_id = 'pi_other' WHERE {of('owing')}",
     f"UPDATE statements SET payment_id = (SELECT payment_id FROM payments WHERE {of('owing')}) WHERE {of('owing')}"),
    ("payment", "statements", f"UPDATE payments SET kind = 0 WHERE {of('owing')}",
     f"UPDATE payments SET kind = 1 WHERE {of('owing')}"),
    ("payment", "payments", f"UPDATE payments SET topup_seq = 9 WHERE {of('owing')}",
     f"UPDATE payments SET topup_seq = 1 WHERE {of('owing')}"),
    ("refund", "statements", f"UPDATE refunds SET amount_minor = 251 WHERE {of('owing')}",
     f"UPDATE refunds SET amount_minor = 250 WHERE {of('owing')}"),
    ("refund", "statements", f"UPDATE refunds SET kind = 0 WHERE {of('owing')}",
     f"UPDATE refunds SET kind = 1 WHERE {of('owing')}"),
    ("dispute", "statements", f"UPDATE disputes SET withdrawn = 0 WHERE {of('owing')}",
     f"UPDATE disputes SET withdrawn = 1 WHERE {of('owing')}"),
    ("clawback", "statements", f"UPDATE statements SET refunded_micros = refunded_micros - 1 WHERE {of('owing')}",
     f"UPDATE statements SET refunded_micros = refunded_micros + 1 WHERE {of('owing')}"),
    ("clawback", "transactions", f"UPDATE statements SET disputed_micros = disputed_micros - 1 WHERE {of('owing')}",
     f"UPDATE statements SET disputed_micros = disputed_micros + 1 WHERE {of('owing')}"),
    ("statement", "statements", f"UPDATE statements SET grant_seq = grant_seq + 1 WHERE {of('owing')}",
     f"UPDATE statements SET grant_seq = grant_seq - 1 WHERE {of('owing')}"),
    ("overdue", "workspaces", f"UPDATE workspaces SET overdue_micros = 7500001 WHERE {of('owing')}",
     f"UPDATE workspaces SET overdue_micros = 7500000 WHERE {of('owing')}"),
    ("statement", "accounts", f"UPDATE workspaces SET overdue_micros = 0 WHERE {of('owing')}",
     f"UPDATE workspaces SET overdue_micros = 7500000 WHERE {of('owing')}"),
    ("arrears", "workspaces", f"UPDATE workspaces SET arrears_micros = 7500001 WHERE {of('owing')}",
     f"UPDATE workspaces SET arrears_micros = 0 WHERE {of('owing')}"),
    ("bonus", "topups", f"UPDATE topups SET bonus_micros = bonus_micros + 1 WHERE {of('large')}",
     f"UPDATE topups SET bonus_micros = bonus_micros - 1 WHERE {of('large')}"),
    ("bonus", "topups", f"UPDATE topups SET bonus_grant_seq = 7 WHERE {of('large')}",
     f"UPDATE topups SET bonus_grant_seq = 2 WHERE {of('large')}"),
    ("bonus", "topups", f"UPDATE topups SET bonus_returned_micros = bonus_returned_micros + 1 WHERE {of('large')}",
     f"UPDATE topups SET bonus_returned_micros = bonus_returned_micros - 1 WHERE {of('large')}"),
    ("bonus", "topups", f"UPDATE topups SET bonus_transaction_seq = 1 WHERE {of('paid')} AND seq = 1",
     f"UPDATE topups SET bonus_transaction_seq = 0 WHERE {of('paid')} AND seq = 1"),
    ("bonus", "transactions", f"UPDATE topups SET bonus_returned_micros = 0 WHERE {of('large')}",
     f"UPDATE topups SET bonus_returned_micros = 250000 WHERE {of('large')}"),
    ("alert", "alerts", f"UPDATE alerts SET seq = seq + 100 WHERE {of('refunded')}",
     f"UPDATE alerts SET seq = seq - 100 WHERE {of('refunded')}"),
    ("alert", "alerts", "UPDATE accounts SET alerts = CONCAT('9', alerts) WHERE external_id = 'refunded'",
     "UPDATE accounts SET alerts = SUBSTR(alerts, 2) WHERE external_id = 'refunded'"),
    ("bonus", "campaigns", "UPDATE campaigns SET grants = 2", "UPDATE campaigns SET grants = 1"),
    ("bonus", "campaigns", "UPDATE campaigns SET granted_micros = granted_micros + 1",
     "UPDATE campaigns SET granted_micros = granted_micros - 1"),
    ("bonus", "claims", "UPDATE claims SET transaction_seq = transaction_seq + 100",
     "UPDATE claims SET transaction_seq = transaction_seq - 100"),
    ("code", "codes", "UPDATE codes SET uses = uses + 1", "UPDATE codes SET uses = uses - 1"),
    ("code", "codes", "UPDATE codes SET uses_max = 0", "UPDATE codes SET uses_max = 1"),
    ("code", "redemptions", "UPDATE codes SET uses_per_account = 0", "UPDATE codes SET uses_per_account = 1"),
    ("code", "transactions", "UPDATE codes SET amount_micros = amount_micros + 1",
     "UPDATE codes SET amount_micros = amount_micros - 1"),
]


def findings(o):
    done = o.ctl("audit", "--json", check=False)
    found = json.loads(done.stdout)
    assert done.returncode == (1 if found["findings"] else 0)
    return {(f["check"], f["table"]) for f in found["findings"]}


def test_sound(ledger):
    assert findings(ledger) == set()


@pytest.mark.parametrize("check, table, change, undo", TAMPERED)
def test_tampered(ledger, check, table, change, undo):
    ledger.sql(change)
    found = findings(ledger)
    ledger.sql(undo)
    assert (check, table) in found, found
    assert findings(ledger) == set(), "not put back"


def test_one_account(ledger):
    ledger.sql(f"UPDATE topups SET refunded_micros = 1 WHERE {of('refunded')}")
    clean = ledger.ctl("audit", "--account", "paid", check=False)
    wrong = ledger.ctl("audit", "--account", "refunded", check=False)
    ledger.sql(f"UPDATE topups SET refunded_micros = 2500000 WHERE {of('refunded')}")
    assert clean.returncode == 0 and wrong.returncode == 1
    assert "account refunded" in wrong.stdout

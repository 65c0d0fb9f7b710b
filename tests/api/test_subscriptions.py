"""Subscriptions through the webhook: a period of a plan is given once it is paid, never otherwise, whatever comes in which
order; plans that go back and forth, refunds, trials, lost events.

Stripe is played by tests/fake_stripe.py, in both shapes of its objects.  Where months pass, the database's clock and
Stripe's are set together."""

import json
import pathlib
import random
import sys
import threading

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from fake_stripe import VERSION_OLD, FakeStripe, add_months  # noqa: E402
from guard import charge, key_of, request_id  # noqa: E402
from octroi import Octroi  # noqa: E402
from timetravel import Clock, instant_us  # noqa: E402

CREDIT = 1_000_000
DAY = 86400
SMALL, GREAT = 672 * CREDIT, 13440 * CREDIT
ROUTE = "/api/webhooks/stripe"
FEBRUARY = "2027-02-01 00:00:00"  # of 672 hours
PRICES = {"price_small": (672, "month"), "price_great": (13440, "month"), "price_year": (8000, "year"),
          "price_week": (200, "week"), "price_other": (900, "month")}
PLAN_PRICES = "price_small=small price_great=great price_year=small price_week=small"


def made_shop(stripe, **settings):
    o = Octroi("nginx", settings=stripe.settings(plan_prices=PLAN_PRICES, action_price="1", **settings))
    stripe.webhook_url = o.url + ROUTE
    stripe.prices = PRICES
    for name, pool in (("small", "672"), ("great", "13440")):
        o.ctl("plan", "set", name, "--unit", "credit", "--scope", "pool", "--pool", pool)
    return o


@pytest.fixture(scope="module", params=[None, VERSION_OLD], ids=["new", "old"])
def stripe(request):
    with FakeStripe() as fake:
        fake.api_version = request.param or fake.api_version
        yield fake


@pytest.fixture(scope="module")
def shop(stripe):
    with made_shop(stripe) as o:
        yield o


class Times:
    """The clocks of octroi's database and of Stripe."""

    def __init__(self, shop, stripe):
        self.stripe, self.clock = stripe, Clock(shop)
        self.set(FEBRUARY)

    def set(self, local):
        self.clock.set(local)
        self.stripe.time = instant_us(local) // 10**6

    def release(self):
        self.clock.release()
        self.stripe.time = None


@pytest.fixture
def times(shop, stripe):
    both = Times(shop, stripe)
    yield both
    both.release()
    stripe.lose()


def customer_of(shop, stripe, account):
    """An account becomes a customer with its first order, which nobody pays."""
    assert shop.post(f"/api/credits/topup?account={account}", {"amount": 500}).status == 200
    (found,), = shop.sql(f"SELECT customer_id FROM billing WHERE account_id = {key_of(account)}")
    stripe.lose()
    return found


def subscribed(shop, stripe, price="price_small", account=None, **how):
    account = account or shop.account(unit="credit")
    return account, stripe.subscribe(customer_of(shop, stripe, account), price, **how)


def balance(shop, account):
    return shop.balance(account)[0]


def spend(shop, account, credits):
    done = charge(shop, account, "step", quantity=credits, requestId=request_id())
    assert done.status == 200, done


def plan(shop, account):
    return shop.get(f"/api/credits?account={account}").json.get("allowance", {}).get("limitMicros")


def notes(shop, account, state=2):
    return [note for (note,) in shop.sql(f"SELECT note FROM webhook_events WHERE account_id = {key_of(account)}"
                                         f" AND state = {state}")]


# ---- nothing without payment ---------------------------------------------------------------------------


def test_nothing_is_given_before_it_is_paid(shop, stripe, times):
    account, sub = subscribed(shop, stripe, pays=False)
    stripe.deliver()
    assert balance(shop, account) == 0
    stripe.pay_subscription(sub, stripe.objects["invoice"][sub["latest_invoice"]])
    stripe.deliver()
    assert (balance(shop, account), plan(shop, account)) == (SMALL, SMALL)


def test_past_due_gets_no_period(shop, stripe, times):
    """A declined renewal gives nothing until it is paid, and then until the end of its own period."""
    account, sub = subscribed(shop, stripe)
    stripe.deliver()
    times.set("2027-03-01 00:00:00")
    invoice = stripe.renew(sub, pays=False)
    stripe.deliver()
    assert sub["status"] == "past_due" and balance(shop, account) == 0
    times.set("2027-03-20 00:00:00")
    stripe.emit("customer.subscription.updated", sub)
    stripe.deliver()
    assert balance(shop, account) == 0
    stripe.pay_subscription(sub, invoice)
    stripe.deliver()
    assert balance(shop, account) == SMALL
    resets = shop.get(f"/api/credits?account={account}").json["allowance"]["resetsAt"]
    assert resets.startswith("2027-04-01T00:00:00")
    times.set("2027-04-01 00:00:00")
    assert balance(shop, account) == 0


def test_past_due_and_upgraded(shop, stripe, times):
    """The difference to a greater plan is cheap; it gives nothing as long as the plan below it is not paid."""
    account, sub = subscribed(shop, stripe)
    stripe.deliver()
    times.set("2027-03-01 00:00:00")
    invoice = stripe.renew(sub, pays=False)
    stripe.change(sub, "price_great")
    stripe.deliver()
    assert balance(shop, account) == 0
    assert "the period that it adds to is not paid" in notes(shop, account)
    stripe.pay_subscription(sub, invoice)
    stripe.deliver()
    assert balance(shop, account) == GREAT


def test_a_period_paid_after_its_end(shop, stripe, times):
    account, sub = subscribed(shop, stripe)
    stripe.deliver()
    times.set("2027-03-01 00:00:00")
    late = stripe.renew(sub, pays=False)
    times.set("2027-04-01 00:00:00")
    stripe.renew(sub, pays=False)
    stripe.pay_subscription(sub, late)
    stripe.deliver()
    assert balance(shop, account) == 0


def test_once_for_each_period(shop, stripe, times):
    """One event twice, another event of the same invoice, and another invoice of the same period."""
    account, sub = subscribed(shop, stripe)
    paid = [e for e in stripe.undelivered if e["type"].startswith("invoice.")]
    stripe.deliver()
    for event in paid * 2:
        assert stripe.send(event) == 200
    twin = json.loads(json.dumps(paid[0]))
    twin["id"], twin["data"]["object"]["id"] = "evt_twin" + sub["id"], "in_twin" + sub["id"]
    if "payment_intent" in twin["data"]["object"]:
        twin["data"]["object"]["payment_intent"] = "pi_twin" + sub["id"]
    assert stripe.send(twin) == 200
    assert balance(shop, account) == SMALL
    assert notes(shop, account) == ["this period has been paid by another invoice"]


# ---- other people's invoices ---------------------------------------------------------------------------


def test_other_products_give_nothing(shop, stripe, times):
    account, _ = subscribed(shop, stripe, "price_other")
    stripe.deliver()
    assert balance(shop, account) == 0


def test_a_line_of_another_subscription_gives_nothing(shop, stripe, times):
    """A plan's price on another invoice does not pay a subscription's period."""
    account, sub = subscribed(shop, stripe)
    for event in stripe.undelivered:
        made = event["data"]["object"]
        for line in made.get("lines", {}).get("data", []):
            if "subscription" in line:
                line["subscription"] = None
            else:
                line["parent"]["subscription_item_details"]["subscription"] = None
    stripe.deliver()
    assert balance(shop, account) == 0 and sub["status"] == "active"


def test_an_invoice_of_another_customer_is_parked(shop, stripe, times):
    account, sub = subscribed(shop, stripe)
    other = shop.account(unit="credit")
    stranger = customer_of_quietly(shop, stripe, other)
    for event in stripe.undelivered:
        if event["type"].startswith("invoice."):
            event["data"]["object"]["customer"] = stranger
    stripe.deliver()
    assert (balance(shop, account), balance(shop, other)) == (0, 0)
    assert set(notes(shop, other)) == {"its subscription is not known yet"} and sub["customer"] != stranger


def customer_of_quietly(shop, stripe, account):
    kept = list(stripe.undelivered)
    found = customer_of(shop, stripe, account)
    stripe.undelivered[:] = kept
    return found


def test_quantity_changes_nothing(shop, stripe, times):
    account, sub = subscribed(shop, stripe)
    stripe.deliver()
    times.set("2027-02-15 00:00:00")
    stripe.change(sub, quantity=5)
    stripe.deliver()
    assert balance(shop, account) == SMALL


def test_two_subscriptions(shop, stripe, times):
    """While one runs the other's invoice is kept: else the one could be made smaller, for money back, and its credits stay.
    It is given once the first is cancelled."""
    account, first = subscribed(shop, stripe, "price_great")
    stripe.deliver()
    times.set("2027-02-15 00:00:00")
    second = stripe.subscribe(first["customer"], "price_small")
    stripe.deliver()
    assert balance(shop, account) == GREAT
    assert set(notes(shop, account)) == {"the account's plan is another subscription's"}
    stripe.change(first, "price_small")
    stripe.deliver()
    assert balance(shop, account) == SMALL + (GREAT - SMALL) // 2
    stripe.cancel(first)
    stripe.deliver()
    assert balance(shop, account) == SMALL + (GREAT - SMALL) // 2 + SMALL
    assert notes(shop, account) == [] and second["status"] == "active"


# ---- plans back and forth ------------------------------------------------------------------------------


def test_an_upgrade_is_given_when_paid_and_for_the_time_left(shop, stripe, times):
    account, sub = subscribed(shop, stripe)
    stripe.deliver()
    times.set("2027-02-15 00:00:00")
    invoice = stripe.change(sub, "price_great", pays=False)
    stripe.deliver()
    assert balance(shop, account) == SMALL
    stripe.pay_subscription(sub, invoice)
    stripe.deliver()
    assert balance(shop, account) == SMALL + (GREAT - SMALL) // 2


def test_up_for_an_hour_and_back(shop, stripe, times):
    """500 to 10,000 with an hour of the period left, 9,000 used, and back."""
    account, sub = subscribed(shop, stripe)
    shop.account(account, funds_micros=20_000 * CREDIT, unit="credit")
    stripe.deliver()
    times.set("2027-02-28 23:00:00")
    stripe.change(sub, "price_great")
    stripe.deliver()
    assert balance(shop, account) == 20_000 * CREDIT + SMALL + 19 * CREDIT
    spend(shop, account, 9000)
    stripe.change(sub, "price_small")
    stripe.deliver()
    assert balance(shop, account) == 11_000 * CREDIT + SMALL
    times.set("2027-03-01 00:00:00")
    assert balance(shop, account) == 11_000 * CREDIT + SMALL  # the period's credits were spent first


@pytest.mark.parametrize("prorate", ["always_invoice", "create_prorations"])
def test_a_great_plan_used_up_and_left(shop, stripe, times, prorate):
    """Its price comes back from Stripe; so do its credits, or they are owed."""
    account, sub = subscribed(shop, stripe, "price_great")
    stripe.deliver()
    spend(shop, account, 13440)
    times.set("2027-02-15 00:00:00")
    stripe.change(sub, "price_small", prorate=prorate)
    stripe.deliver()
    assert balance(shop, account) == -(GREAT - SMALL) // 2
    times.set("2027-03-01 00:00:00")
    stripe.renew(sub)
    stripe.deliver()
    assert balance(shop, account) == -(GREAT - SMALL) // 2 + SMALL


def test_back_and_forth_many_times(shop, stripe, times):
    account, sub = subscribed(shop, stripe)
    stripe.deliver()
    for hour in range(1, 13):
        times.set(f"2027-02-10 {hour:02d}:00:00")
        stripe.change(sub, "price_great" if hour % 2 else "price_small")
        stripe.deliver()
    # Six hours of the great plan.
    assert balance(shop, account) == pytest.approx(SMALL + (GREAT - SMALL) * 6 // 672, abs=20)
    assert balance(shop, account) <= SMALL + (GREAT - SMALL) * 6 // 672


def test_a_first_period_that_is_no_whole_month(shop, stripe, times):
    """Subscribing a day before the anchor costs a day, and gives a day."""
    times.set("2027-02-28 00:00:00")
    account, sub = subscribed(shop, stripe, anchor=instant_us("2027-03-01 00:00:00") // 10**6)
    stripe.deliver()
    assert balance(shop, account) == SMALL // 28
    times.set("2027-03-01 00:00:00")
    stripe.renew(sub)
    stripe.deliver()
    assert balance(shop, account) == SMALL


def test_weeks(shop, stripe, times):
    """A week is paid, and a week of the month's credits given."""
    account, sub = subscribed(shop, stripe, "price_week")
    stripe.deliver()
    assert balance(shop, account) == SMALL // 4
    times.set("2027-02-08 00:00:00")
    assert balance(shop, account) == 0
    stripe.renew(sub)
    stripe.deliver()
    assert balance(shop, account) == SMALL // 4


def test_a_year_is_given_month_by_month(shop, stripe, times):
    times.set("2027-01-31 08:00:00")
    account, sub = subscribed(shop, stripe, "price_year")
    stripe.deliver()
    ends = []
    for month in range(1, 13):
        assert balance(shop, account) == SMALL
        ends.append(shop.get(f"/api/credits?account={account}").json["allowance"]["resetsAt"][:10])
        at = add_months(instant_us("2027-01-31 08:00:00") // 10**6, month)
        times.clock.set_us(at * 10**6)
    assert ends[:4] == ["2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31"]
    assert balance(shop, account) == 0 and sub["status"] == "active"


def test_the_31st_first_heard_of_in_february(shop, stripe, times):
    """Stripe's anchor, not the period that happened to be heard of first."""
    times.set("2027-01-31 08:00:00")
    account, sub = subscribed(shop, stripe)
    stripe.lose()
    times.set("2027-02-28 08:00:00")
    stripe.renew(sub)
    stripe.deliver()
    assert shop.get(f"/api/credits?account={account}").json["allowance"]["resetsAt"].startswith("2027-03-31T08:00:00")


def test_from_months_to_years(shop, stripe, times):
    """Another interval begins a period of its own; the rest of the month's price comes back, and its credits too."""
    account, sub = subscribed(shop, stripe, "price_great")
    stripe.deliver()
    times.set("2027-02-15 00:00:00")
    sub["billing_cycle_anchor"] = stripe.time
    line = stripe._line
    start, end = stripe.time, add_months(stripe.time, 12)
    lines = [line(sub, "price_great", -6720, start, instant_us("2027-03-01 00:00:00") // 10**6, True),
             line(sub, "price_year", 8000, start, end)]
    stripe._set_price(sub, "price_year")
    stripe._set_period(sub, start, end)
    stripe._tell(sub, "updated", {"items": {}})
    stripe._settle(stripe._invoice(sub, "subscription_update", lines))
    stripe.deliver()
    assert balance(shop, account) == GREAT // 2 + SMALL


# ---- free periods --------------------------------------------------------------------------------------


def test_trials_and_coupons_give_nothing(shop, stripe, times):
    trial, _ = subscribed(shop, stripe, trial_days=14)
    stripe.deliver()
    coupon, _ = subscribed(shop, stripe, discount=100)
    stripe.deliver()
    half, _ = subscribed(shop, stripe, discount=50)
    stripe.deliver()
    assert [balance(shop, account) for account in (trial, coupon, half)] == [0, 0, SMALL]


def test_trials_where_they_are_given():
    with FakeStripe() as stripe, made_shop(stripe, plan_free_periods="trials", plan_upgrade="full") as shop:
        both = Times(shop, stripe)
        trial, sub = subscribed(shop, stripe, trial_days=14)
        stripe.deliver()
        coupon, _ = subscribed(shop, stripe, discount=100)
        stripe.deliver()
        # Fourteen days of the month that ends with the trial, which has 31.
        assert (balance(shop, trial), balance(shop, coupon)) == (SMALL * 14 // 31, 0)
        both.set("2027-02-15 00:00:00")
        stripe.renew(sub)
        stripe.deliver()
        assert balance(shop, trial) == SMALL
        stripe.change(sub, "price_great")
        stripe.deliver()
        assert balance(shop, trial) == GREAT
        both.release()


# ---- refunds and disputes ------------------------------------------------------------------------------


def paid_with(stripe, sub):
    return stripe.objects["invoice"][sub["latest_invoice"]]["_payment_intent"]


def test_a_refund_takes_its_part_back(shop, stripe, times):
    account, sub = subscribed(shop, stripe)
    stripe.deliver()
    spend(shop, account, 400)
    stripe.refund(paid_with(stripe, sub), 336)
    stripe.deliver()
    assert balance(shop, account) == SMALL // 2 - 400 * CREDIT
    refund = stripe.refund(paid_with(stripe, sub))
    stripe.deliver()
    assert balance(shop, account) == -400 * CREDIT
    stripe.fail_refund(refund["id"])
    stripe.deliver()
    assert balance(shop, account) == SMALL // 2 - 400 * CREDIT
    assert notes(shop, account) == []


def test_a_refund_after_the_period(shop, stripe, times):
    """Unused credits that expired are gone; used ones are owed."""
    account, sub = subscribed(shop, stripe)
    stripe.deliver()
    spend(shop, account, 100)
    times.set("2027-03-05 00:00:00")
    assert balance(shop, account) == 0
    stripe.refund(paid_with(stripe, sub))
    stripe.deliver()
    assert balance(shop, account) == -100 * CREDIT


def test_a_dispute_and_its_end(shop, stripe, times):
    account, sub = subscribed(shop, stripe)
    stripe.deliver()
    spend(shop, account, 600)
    dispute = stripe.dispute(paid_with(stripe, sub))
    stripe.deliver()
    assert balance(shop, account) == -600 * CREDIT
    stripe.close_dispute(dispute["id"], "won")
    stripe.deliver()
    assert balance(shop, account) == 72 * CREDIT


def test_a_refund_before_its_invoice(shop, stripe, times):
    """Everything the wrong way round."""
    account, sub = subscribed(shop, stripe)
    stripe.refund(paid_with(stripe, sub), 168)
    stripe.deliver(order=lambda events: events[::-1])
    assert balance(shop, account) == SMALL * 3 // 4
    assert notes(shop, account) == []


def test_refunded_and_cancelled(shop, stripe, times):
    account, sub = subscribed(shop, stripe, "price_year")
    stripe.deliver()
    stripe.refund(paid_with(stripe, sub))
    stripe.cancel(sub)
    stripe.deliver()
    assert balance(shop, account) == 0
    times.set("2027-03-01 00:00:00")
    assert balance(shop, account) == 0


# ---- in any order --------------------------------------------------------------------------------------


def history(stripe, times, sub):
    """Paid, up, back, refunded in part; what that leaves."""
    times.set("2027-02-08 00:00:00")
    first = paid_with(stripe, sub)
    stripe.change(sub, "price_great")
    times.set("2027-02-15 00:00:00")
    stripe.change(sub, "price_small")
    times.set("2027-02-22 00:00:00")
    stripe.refund(first, 336)
    return SMALL // 2 + (GREAT - SMALL) // 4


@pytest.mark.parametrize("seed", range(12))
def test_any_order(shop, stripe, times, seed):
    account, sub = subscribed(shop, stripe)
    expected = history(stripe, times, sub)
    shuffle = random.Random(seed)

    def order(events):
        events = events + shuffle.sample(events, len(events) // 2)
        shuffle.shuffle(events)
        return events
    stripe.deliver(order=order)
    assert balance(shop, account) == pytest.approx(expected, abs=3)
    assert notes(shop, account) == []


def test_killed_while_they_come(shop, stripe, times):
    """octroi is killed again and again between events and their effects; Stripe delivers what was not answered."""
    wanted = []
    for _ in range(6):
        times.set(FEBRUARY)
        account, sub = subscribed_quietly(shop, stripe)
        wanted.append((account, history(stripe, times, sub)))
    done = threading.Event()

    def kill():
        while not done.wait(0.15):
            shop.kill("octroi")
            shop.start()
    killer = threading.Thread(target=kill)
    killer.start()
    try:
        stripe.deliver(seconds=40, order=lambda events: random.Random(1).sample(events, len(events)))
    finally:
        done.set()
        killer.join()
    stripe_again = shop.ctl("webhook", "replay", "--all", check=False)
    assert stripe_again.returncode in (0, 1)
    for account, expected in wanted:
        assert balance(shop, account) == pytest.approx(expected, abs=3)


def subscribed_quietly(shop, stripe):
    kept = list(stripe.undelivered)
    account = shop.account(unit="credit")
    customer = customer_of(shop, stripe, account)
    stripe.undelivered[:] = kept
    return account, stripe.subscribe(customer, "price_small")


# ---- lost events ---------------------------------------------------------------------------------------


def test_reconcile_brings_what_was_lost():
    with FakeStripe() as stripe, made_shop(stripe) as shop:
        both = Times(shop, stripe)
        account, sub = subscribed(shop, stripe)
        both.set("2027-02-02 00:00:00")
        stripe.refund(paid_with(stripe, sub), 168)
        stripe.lose()
        assert balance(shop, account) == 0
        done = shop.ctl("stripe", "reconcile", "--json", check=False)
        assert done.returncode in (0, 1), done.stderr
        assert balance(shop, account) == SMALL * 3 // 4
        again = shop.ctl("stripe", "reconcile", "--json", check=False)
        assert balance(shop, account) == SMALL * 3 // 4 and json.loads(again.stdout)["sums"]["subscriptions"] == 0
        both.release()


# ---- who else sets plans -------------------------------------------------------------------------------


def test_a_person_sets_a_plan(shop, stripe, times):
    """Time drives the period, as ever; Stripe's word on a subscription changes nothing before it is paid."""
    account = shop.account(unit="credit", plan="small")
    sub = stripe.subscribe(customer_of(shop, stripe, account), "price_great", pays=False)
    stripe.deliver()
    assert balance(shop, account) == SMALL
    times.set("2027-03-01 00:00:00")
    assert balance(shop, account) == SMALL
    stripe.cancel(sub)
    stripe.deliver()
    times.set("2027-04-01 00:00:00")
    assert balance(shop, account) == SMALL


# ---- the endpoint --------------------------------------------------------------------------------------


def test_the_doctor_names_missing_events(shop, stripe):
    """Without these events nothing is given; the doctor asks Stripe which ones the endpoint is told of."""
    def found():
        checks = json.loads(shop.ctl("doctor", "--json", check=False).stdout)["checks"]
        return next((c["state"], c["found"]) for c in checks if c["check"] == "stripe webhook")
    assert found()[0] == "ok"
    enabled = ["checkout.session.completed", "checkout.session.async_payment_succeeded", "charge.refunded",
               "charge.dispute.funds_withdrawn", "charge.dispute.funds_reinstated", "customer.subscription.created",
               "customer.subscription.updated", "customer.subscription.deleted"]
    stripe.webhook_events = enabled
    assert found() == ("problem", "it is not told of invoice.paid, invoice_payment.paid")
    stripe.webhook_events = [*enabled, "invoice.paid", "invoice_payment.paid"]
    assert found()[0] == "ok"
    url, stripe.webhook_url = stripe.webhook_url, "https://elsewhere.example/hook"
    assert found()[0] == "warning"
    stripe.webhook_url, stripe.webhook_events = url, ["*"]
    rule = stripe.trouble("/v1/webhook_endpoints", status=403, error={"message": "no right"})
    assert found()[0] == "warning" and rule.seen == 1
    stripe.calm()


# ---- the audit -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("table, change, back, check", [
    ("paid_periods", "granted_micros = granted_micros + 1", "granted_micros = granted_micros - 1", "paid"),
    ("paid_periods", "returned_micros = granted_micros + 1", "returned_micros = 0", "paid"),
    ("paid_periods", "running = 0", "running = 1", "paid"),
    ("paid_periods", "refunds_known_minor = 1", "refunds_known_minor = 0", "refund"),
    ("paid_periods", "charge_refunded_minor = 300", "charge_refunded_minor = 0", "clawback"),
    ("allowances", "paid_seq = paid_seq + 1", "paid_seq = paid_seq - 1", "paid"),
    ("workspaces", "rate_micros = rate_micros + 1000", "rate_micros = rate_micros - 1000", "paid"),
])
def test_the_audit_sees(shop, stripe, times, table, change, back, check):
    """Each row that says something else than the others is found; put right, none is."""
    account, _ = subscribed(shop, stripe)
    stripe.deliver()
    shop.sql(f"UPDATE {table} SET {change} WHERE account_id = {key_of(account)}")
    told = json.loads(shop.ctl("audit", "--json", "--account", account, check=False).stdout)["findings"]
    shop.sql(f"UPDATE {table} SET {back} WHERE account_id = {key_of(account)}")
    assert check in {finding["check"] for finding in told}, told
    clean = json.loads(shop.ctl("audit", "--json", "--account", account, check=False).stdout)["findings"]
    assert clean == []

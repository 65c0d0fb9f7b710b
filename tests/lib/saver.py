"""A customer with a saved card and auto-recharge, for tests; Stripe is tests/fake_stripe.py, which counts what it took.

    c = Saver(shop, stripe, balance=20 * EURO)
    c.on(below=10 * EURO, amount=2000, cap=10000)
    c.spend(15 * EURO)
    c.wait_charged([2000])
"""

import guard
from octroi import wait_until

EURO = 1_000_000
CENT = 10_000
WAIT_SECONDS = 150  # a task whose claim was lost, by a step of the clock, is taken up again after two minutes
FIRST = 500  # cents of the top-up with which a card is saved


class Saver:
    def __init__(self, shop, stripe, balance=20 * EURO, declines="", card=True, **fields):
        self.shop, self.stripe = shop, stripe
        self.id = shop.account(**fields)
        self.path = f"/api/credits/recharge?account={self.id}"
        self.customer = None
        if card:
            self.top_up(FIRST, saveCard=True)
            stripe.cards(self.customer)[0]["_declines"] = declines
        self.set_balance(balance)

    def top_up(self, cents, **more):
        opened = self.shop.post(f"/api/credits/topup?account={self.id}", {"amount": cents, **more})
        assert opened.status == 200, opened
        intent = self.stripe.pay(self.stripe.session_of(opened.json["url"]))
        self.customer = intent["customer"]
        self.stripe.deliver()
        return intent

    def set_balance(self, micros):
        if difference := micros - self.balance():
            self.shop.fund(self.id, difference)

    def settings(self, below=10 * EURO, amount=2000, cap=10000, consent=True):
        terms = self.show()["terms"]
        return {"enabled": True, "belowMicros": below, "amount": amount, "monthlyCap": cap,
                **({"consent": {"version": terms["version"], "locale": terms["locale"]}} if consent else {})}

    def put(self, body):
        return self.shop.call("PUT", self.path, json=body, key="app")

    def on(self, **settings):
        done = self.put(self.settings(**settings))
        assert done.status == 200, done
        return done.json

    def off(self):
        done = self.put({"enabled": False})
        assert done.status == 200, done
        return done.json

    def show(self, **more):
        shown = self.shop.get(self.path, key="app", **more)
        assert shown.status == 200, shown
        return shown.json

    def spend(self, micros):
        self.shop.fund(self.id, -micros)

    def balance(self):
        return self.shop.balance(self.id)[0]

    def charged(self):
        """Cents of the payments that Stripe took without the customer, oldest first."""
        return [charge["amount"] for charge in self.intents_charged()]

    def intents_charged(self):
        return [c for c in self.stripe.charges(self.customer)
                if self.stripe.objects["payment_intent"][c["payment_intent"]].get("payment_method")] if self.customer else []

    def intents(self):
        """The payments asked for without the customer, whatever became of them."""
        return [i for i in self.stripe.objects["payment_intent"].values()
                if i["customer"] == self.customer and i.get("payment_method")]

    def orders(self):
        """(state, cents) of the orders of auto-recharge: 0 open, 1 pending, 3 failed, 4 paid."""
        return [(state, int(amount)) for state, amount in self.shop.sql(
            f"SELECT state, amount_minor FROM topups WHERE consent_seq > 0 AND account_id = {guard.key_of(self.id)}"
            " ORDER BY seq")]

    def paid(self):
        return [cents for state, cents in self.orders() if state == "4"]

    def tasks(self):
        return self.shop.sql(f"SELECT state, attempts, error FROM outbox WHERE kind = 2 AND account_id = {guard.key_of(self.id)}"
                             " ORDER BY seq")

    def alerts(self):
        """Kinds of this account's alerts about auto-recharge, oldest first."""
        items = self.shop.get(f"/api/credits/alerts?account={self.id}&limit=100", key="app").json["items"]
        return [item["kind"] for item in reversed(items) if item["kind"].startswith("recharge_")]

    def wait(self, reached, what=""):
        try:
            return wait_until(reached, WAIT_SECONDS)
        except AssertionError:
            raise AssertionError(f"{what or reached}: {self.show()}, orders {self.orders()}, tasks {self.tasks()}, "
                                 f"charged {self.charged()}") from None

    def wait_state(self, state, reason=None):
        self.wait(lambda: (lambda s: s["state"] == state and s["reason"] == reason)(self.show()), f"{state}, {reason}")
        return self.show()

    def wait_charged(self, cents):
        """Until so many cents were charged and booked, and nothing is under way."""
        self.wait(lambda: self.paid() == cents and self.show()["pending"] is None, f"charges of {cents}")
        assert self.charged() == cents

    def card(self):
        return self.stripe.cards(self.customer)[0]

    def replace_card(self, declines=""):
        for card in self.stripe.cards(self.customer):
            self.stripe.remove_card(card["id"])
        return self.stripe.save_card(self.customer, declines)

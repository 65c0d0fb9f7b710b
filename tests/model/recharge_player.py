"""Accounts with auto-recharge, played against octroi and the naive account (recharge_oracle) side by side.

Each step of a Game is done to both; then GET /api/credits/recharge, the balance and all that Stripe was asked for have
to be as the naive account says.  Several accounts are played in turn, because the time is theirs in common.
"""

import json
import random
import time

import guard
import recharge_oracle as oracle
from recharge_oracle import PAID, UNANSWERED
from timetravel import instant_us

EURO = 1_000_000
CENT = 10_000
MINUTE = 60 * 10**6
PATH = "/api/credits/recharge"
POST_INTENT = "/v1/payment_intents"
TIERS = ((5000, 5), (10000, 10))
SETTINGS = {"topup_bonus": "5000:5%, 10000:10%", "low_balance": "0"}
# Cairo's clocks go forward at midnight, New York's later than Paris's.
ZONES = ("UTC", "Europe/Paris", "America/New_York", "Pacific/Auckland", "Africa/Cairo", "Asia/Kolkata")
STARTS = ("2027-01-30 20:00:00", "2027-02-26 12:00:00", "2027-03-27 23:00:00", "2027-04-29 18:00:00", "2028-02-28 09:00:00",
          "2027-10-30 21:30:00", "2027-12-30 16:00:00")
DECLINES = ("insufficient_funds", "card_declined", "do_not_honor", "processing_error", "stolen_card", "lost_card",
            "pickup_card", "expired_card", "restricted_card", "authentication_required")
SECONDS = 90  # the worker looks once a minute for tasks that were lost with a connection
CLAIM_SECONDS = 70  # no work takes as long; a claim, which a closed connection leaves behind, lasts two minutes


class Disagreement(AssertionError):
    pass


class Customer:
    """An account in octroi, its customer at Stripe, and its naive account."""

    def __init__(self, game, number):
        self.game, self.o, self.stripe, self.rng = game, game.o, game.stripe, game.rng
        self.zone, unit = self.rng.choice(ZONES), self.rng.choice(("money", "money", "credit"))
        self.id = self.o.account(f"recharge:{game.serial}.{number}", unit=unit, timeZone=self.zone)
        self.model = oracle.Recharge(self.zone, unit, TIERS, game.version)
        self.away = None   # Stripe's answers are "lost", "dropped" or "late"
        self.asked = []    # (amount, card) of each attempt
        self.disputed = set()

    @property
    def customer(self):
        return next((c["id"] for c in self.stripe.objects["customer"].values()
                     if c["metadata"].get("user_id") == self.id), None)

    def card(self):
        """The card that has to be charged, or None."""
        cards = self.stripe.cards(self.customer) if self.customer else []
        if not cards:
            return None
        default = self.stripe.get("customer", self.customer)["invoice_settings"]["default_payment_method"]
        return next((card for card in cards if card["id"] == default), cards[0])

    def bank(self, amount):
        card = self.card()
        if card is None:
            return oracle.NO_CARD
        self.asked.append((amount, card["id"]))
        return UNANSWERED if self.away else card["_declines"] or PAID

    def work(self):
        self.model.work(self.game.now, self.bank)

    # -- what has to agree ----------------------------------------------------------------------------

    def shown(self):
        answer = self.o.get(f"{PATH}?account={self.id}")
        assert answer.status == 200, answer
        return answer.json

    def wrong(self):
        """The first disagreement, or None."""
        shown = self.shown()
        said = {**shown, "pending": shown["pending"] and shown["pending"]["amount"]}
        views = self.model.views(self.game.now)
        if not any(all(said[name] == value for name, value in view.items()) for view in views):
            return f"GET says {said}\ninstead of {views}"
        if (shown["reason"] is None) != (shown["reasonText"] is None):
            return f"reasonText of {shown}"
        if wrong := self.wrong_consent(shown["consent"]):
            return wrong
        if (balance := self.o.balance(self.id)[0]) != self.model.balance:
            return f"balance {balance} instead of {self.model.balance}"
        if (asked := self.attempts()) != self.asked:
            return f"Stripe was asked for {asked} instead of {self.asked}"
        if (taken := self.taken()) != self.expected_taken():
            return f"Stripe took {taken} instead of {self.expected_taken()}"
        return None

    def wrong_consent(self, consent):
        expected = self.model.consent
        if expected is None or consent is None:
            return None if consent is expected else f"consent {consent} instead of {expected}"
        expected = {"version": expected["version"], "locale": expected["locale"],
                    "text": self.game.terms[expected["locale"]]["text"], "at": oracle.shown_time(expected["at"])}
        same = {**consent, **expected} == consent and consent["actor"]
        return None if same else f"consent {consent} instead of {expected}"

    def posts(self):
        """Parameters of each key that Stripe was asked under to charge a card, in the order of the first time."""
        first = {}
        for request in list(self.stripe.requests):
            pairs = dict(request["pairs"])
            if (request["method"], request["path"], pairs.get("customer")) == ("POST", POST_INTENT, self.customer):
                key = request["headers"]["idempotency-key"]
                assert first.setdefault(key, pairs) == pairs, f"{key}: {first[key]}, then {pairs}"
                assert pairs["metadata[user_id]"] == self.id, pairs
        orders = [pairs["metadata[topup_id]"] for pairs in first.values()]
        assert len(set(orders)) == len(orders), f"an order under two keys: {orders}"
        return list(first.values())

    def attempts(self):
        return [(int(pairs["amount"]), pairs["payment_method"]) for pairs in self.posts()]

    def made(self):
        """Whether Stripe took the last charge that the naive account knows of."""
        order = self.posts()[len(self.asked) - 1]["metadata[topup_id]"]
        return any(intent["metadata"]["topup_id"] == order for intent in self.intents())

    def intents(self):
        """Payments without their customer that Stripe took, oldest first."""
        return [i for i in list(self.stripe.objects["payment_intent"].values())
                if i["customer"] == self.customer and i["status"] == "succeeded" and "payment_method" in i]

    def taken(self):
        return [i["amount"] for i in self.intents()]

    def expected_taken(self):
        made = self.away in ("lost", "late")
        return [c.amount for c in self.model.charges if c.state == oracle.BOOKED or (c.state == oracle.PENDING and made)]

    def compare(self):
        deadline = time.monotonic() + SECONDS
        while wrong := self.wrong():
            if time.monotonic() > deadline:
                log = [line for line in self.o.log().splitlines() if "event=recharge" in line and self.id in line]
                raise Disagreement(f"{self.id} ({self.zone}) at {oracle.shown_time(self.game.now)}:\n{wrong}\n"
                                   + "\n".join(log[-5:]))
            time.sleep(0.02)

    def compare_alerts(self):
        found = self.o.get(f"/api/credits/alerts?account={self.id}&limit=100").json["items"]
        kinds = [item["kind"] for item in reversed(found) if item["kind"].startswith("recharge_")]
        initials = "".join(kind.removeprefix("recharge_")[0] for kind in kinds)
        if initials != self.model.alerts:
            raise Disagreement(f"{self.id}: alerts {initials} instead of {self.model.alerts}")

    # -- steps -------------------------------------------------------------------------------------------

    def fund(self, micros):
        if micros:
            self.o.fund(self.id, micros)
            self.model.move(micros)

    def spend(self):
        """A request to a model, an action, or a correction by the operator."""
        micros = self.rng.randint(1, 10 * EURO)
        if self.model.settings and self.model.balance >= self.model.settings.below and self.rng.random() < 0.7:
            micros = self.model.balance - self.model.settings.below + self.rng.choice((0, 1, micros))
        kind = self.rng.choice(("settle", "charge", "adjust"))
        if kind == "adjust" or self.model.suspended or self.model.balance < 2 * micros:
            self.fund(-micros)
        elif kind == "charge":
            charged = guard.charge(self.o, self.id, "scan", quantity=max(1, micros // self.model.micros(1)))
            assert charged.status == 200, charged
            self.model.move(-max(1, micros // self.model.micros(1)) * self.model.micros(1))
        else:
            self.settle(micros)

    def settle(self, micros):
        tokens = max(1, min(micros // (3 if self.model.unit == "money" else 300), 10**8))
        hold = guard.hold(self.o, self.id, inputTokens=tokens, maxOutputTokens=1)
        assert guard.settle(self.o, hold, inputTokens=tokens, outputTokens=0).status == 200
        self.model.move(-guard.cost("gpt-4o", input=tokens, unit=self.model.unit))

    def top_up(self, save=None):
        """By the payment page.  A card is kept where the customer says so, and where auto-recharge is on."""
        cents = self.rng.choice((500, 700, 2000, 5000))
        save = self.rng.random() < 0.5 if save is None else save
        opened = self.o.post(f"/api/credits/topup?account={self.id}", {"amount": cents, "saveCard": save})
        assert opened.status == 200, opened
        before = len(self.stripe.cards(self.customer))
        self.stripe.pay(self.stripe.session_of(opened.json["url"]))
        saved = save or self.model.enabled
        assert len(self.stripe.cards(self.customer)) == before + saved, "whether the card is saved"
        self.model.topup(cents, saved)
        self.game.deliver()

    def body(self):
        """Settings that are allowed."""
        amount = self.rng.choice((500, 1000, 2500, 6000, 10000))
        settings = self.model.settings
        if settings and self.rng.random() < 0.5:
            amount = settings.amount
        cap = amount * self.rng.choice((1, 2, 3, 10)) + self.rng.choice((0, 0, 1, 499))
        if settings and settings.cap >= amount and self.rng.random() < 0.4:
            cap = settings.cap
        below = self.model.micros(1) * self.rng.choice((1, 100, 500, 1000, 3000)) + self.rng.choice((0, 1))
        return {"enabled": True, "belowMicros": below, "amount": amount, "monthlyCap": cap}

    def consent(self, version=None):
        return {"version": version or self.game.version, "locale": self.rng.choice(("fr", "en"))}

    def put(self, body):
        self.game.note(f"  PUT {json.dumps(body)} after {self.model.settings}")
        expected = self.model.put(body, self.game.now)
        answer = self.o.call("PUT", f"{PATH}?account={self.id}", json=body)
        if expected == 200:
            assert answer.status == 200, f"{body}: {answer}"
        elif expected[0] == 422:
            assert (answer.status, answer.json["error"]) == expected, f"{body}: {answer} instead of {expected}"
        else:
            assert (answer.status, answer.json["field"]) == expected, f"{body}: {answer} instead of {expected}"

    def put_on(self):
        body = self.body()
        if self.rng.random() < 0.8:
            body["consent"] = self.consent()
        self.put(body)

    def put_again(self):
        """PUTs the same settings; below and a lower cap may change without consent."""
        settings = self.model.settings
        if settings is None:
            return self.put_on()
        body = {"enabled": True, "belowMicros": settings.below, "amount": settings.amount, "monthlyCap": settings.cap}
        if self.rng.random() < 0.3:
            body["belowMicros"] = self.body()["belowMicros"]
        if self.rng.random() < 0.3:
            body["monthlyCap"] = self.rng.randint(settings.amount, settings.cap)
        return self.put(body)

    def put_off(self):
        self.put({"enabled": False})

    def put_wrong(self):
        body = self.body()
        body["consent"] = self.consent()
        wrong = self.rng.randrange(8)
        if wrong < 3:
            del body[("belowMicros", "amount", "monthlyCap")[wrong]]
        elif wrong == 3:
            body["consent"]["version"] = "2020-01-01"
        elif wrong == 4:
            body["monthlyCap"] = body["amount"] - 1
        elif wrong == 5:
            body["amount"] = self.rng.choice((499, 100_001))
            body["monthlyCap"] = 200_000
        elif wrong == 6:
            body["monthlyCap"] = 100_000_001
        else:
            body = {"enabled": False, "amount": 2000}
        self.put(body)

    def new_card(self):
        """In Stripe's portal; the old ones stay, or are removed first."""
        if self.customer is None:
            return
        if self.rng.random() < 0.5:
            self.remove_cards()
        declines = self.rng.choice(DECLINES[:4] * 3 + DECLINES) if self.rng.random() < 0.5 else ""
        self.stripe.attach_card(self.customer, declines, default=self.rng.random() < 0.3)
        self.model.card_changed()
        self.game.deliver()

    def remove_cards(self):
        for card in self.stripe.cards(self.customer) if self.customer else ():
            self.stripe.remove_card(card["id"])

    def give_back(self):
        """A refund or a dispute of a payment that was booked."""
        intents = [i for i in list(self.stripe.objects["payment_intent"].values()) if i["customer"] == self.customer
                   and i["latest_charge"] and i["id"] not in self.disputed]
        if not intents:
            return
        intent = self.rng.choice(intents)
        charge = self.stripe.get("charge", intent["latest_charge"])
        if charge["amount_refunded"] == 0 and self.rng.random() < 0.2:
            self.stripe.dispute(intent["id"])
            self.disputed.add(intent["id"])
            part = charge["amount"]
        elif charge["amount_refunded"] == 0:
            part = charge["amount"] // self.rng.choice((1, 2))
            self.stripe.refund(intent["id"], part)
        else:
            return
        self.model.move(-self.model.micros(part) - self.model.bonus(charge["amount"]) * part // charge["amount"])
        if "payment_method" in intent:
            self.model.returned()
        self.game.deliver()

    def suspend(self):
        """Or restore: what was due meanwhile goes on within an hour."""
        self.o.ctl("account", "set", self.id, "--status", "active" if self.model.suspended else "suspended")
        if self.model.suspended:
            self.game.forward(self.game.now + oracle.HOUR)
        self.model.suspended = not self.model.suspended

    # -- Stripe's answer does not come ---------------------------------------------------------------------

    def ordeal(self):
        """A charge whose POST is not answered for a while: what happens meanwhile, and what becomes of it."""
        model, card = self.model, self.card()
        if not model.enabled or model.pause or model.due or model.waits(self.game.now) or not card or card["_declines"]:
            return self.spend()
        self.away = self.rng.choice(("lost", "dropped", "late", "500", "429", "409"))
        says = f"(?=.*{self.customer})(?=.*off_session)"
        stop = self.stripe.stop_at(POST_INTENT, "after", says=says) if self.away == "late" else None
        if not stop:
            kind = {"lost": {"lose": True}, "dropped": {"drop": True}}.get(self.away) or {"status": int(self.away)}
            self.stripe.trouble(POST_INTENT, says=says, **kind)
        self.game.note(f"  {self.away}")
        self.fund(model.settings.below - model.balance - self.rng.randint(1, EURO))
        self.work()
        self.compare_pending(stop)
        for what in self.rng.sample((self.put_off, self.put_changed, self.spend, self.hear), self.rng.randrange(3)):
            self.game.note(f"  {what.__name__}")
            what()
            self.work()
            self.compare_pending(stop)
        if stop:
            stop.release()
        self.stripe.calm()
        self.game.resolve(self)
        return None

    def compare_pending(self, stop):
        """As compare; but an order whose consent is gone may have been looked for, and found or given up, already."""
        if stop and self.model.pending:
            stop.wait_reached()
        charge = self.model.pending
        if not (charge and (charge.consent_gone or charge.consent_replaced)):
            self.compare()

    def put_changed(self):
        if self.model.enabled:
            self.put({**self.body(), "consent": self.consent()})

    def hear(self):
        """Stripe's events come before its answer."""
        self.game.deliver()

    def heard(self):
        """All events were delivered."""
        if self.model.pending and self.away in ("lost", "late"):
            self.model.book()
            self.away = None if self.away == "late" else self.away

    def answered(self):
        """Stripe answers again."""
        made, self.away = self.away in ("lost", "late"), None
        charge = self.model.pending
        if charge and charge.consent_replaced:
            made = self.made()
        if charge and (charge.consent_gone or charge.consent_replaced) and not made:
            self.model.give_up()
        elif charge:
            self.model.book()


class Game:
    STEPS = {"spend": 14, "top_up": 2, "put_on": 4, "put_again": 3, "put_off": 1, "put_wrong": 1, "new_card": 4,
             "remove_cards": 1, "give_back": 1, "suspend": 1, "ordeal": 5}

    def __init__(self, o, stripe, clock, seed, serial, trace, accounts=4):
        self.o, self.stripe, self.clock, self.serial = o, stripe, clock, serial
        self.rng, self.trace = random.Random(seed), trace
        self.terms = {locale: o.get(f"{PATH}?account=terms", headers={"Accept-Language": locale}).json["terms"]
                      for locale in ("fr", "en")}
        self.version = self.terms["en"]["version"]
        self.begin(instant_us(STARTS[seed % len(STARTS)]))
        self.customers = [Customer(self, number) for number in range(accounts)]
        for c in self.customers:
            if self.rng.random() < 0.9:
                c.top_up(save=True)
            if self.rng.random() < 0.9:
                c.put({**c.body(), "consent": c.consent()})
        self.settle()

    @property
    def now(self):
        return self.clock.now_us

    def note(self, text):
        self.trace.append(f"{oracle.shown_time(self.now)} {text}")

    def begin(self, us):
        """In whole seconds.  A game's accounts are new, so that it may begin before the end of another."""
        self.stripe.time = us // 10**6
        self.clock.set_us(us // 10**6 * 10**6)

    def forward(self, us):
        """Not while a task is worked on: it is put off by a wait that began at the old time."""
        deadline = time.monotonic() + CLAIM_SECONDS
        while self.clock.claims() > 0 and time.monotonic() < deadline:
            time.sleep(0.02)
        self.clock.end_lost_claims()
        self.begin(max(us, self.now))

    def deliver(self):
        """All events come: in another order, and some of them twice."""
        def mixed(events):
            events = events + [e for e in events if self.rng.random() < 0.3]
            self.rng.shuffle(events)
            return events
        self.stripe.deliver(order=mixed)
        for c in getattr(self, "customers", ()):
            c.heard()

    def settle(self):
        for c in self.customers:
            c.work()
        for c in self.customers:
            c.compare()

    def step(self):
        if self.rng.random() < 0.25:
            self.pass_time()
        else:
            c = self.rng.choice(self.customers)
            [name] = self.rng.choices(list(self.STEPS), list(self.STEPS.values()))
            self.note(f"{c.id} {name}")
            getattr(c, name)()
        self.settle()

    def pass_time(self):
        """A while, or to where something may change, or to a second before it."""
        zone, now = self.rng.choice(ZONES), self.now
        later = [until for c in self.customers if c.model.due for _, until in c.model.waits(now) if until is not oracle.ANY]
        if not later or self.rng.random() < 0.4:
            later = [now + self.rng.randint(1, 50) * MINUTE, now + 12 * oracle.HOUR, oracle.end_of_day(now, zone),
                     oracle.end_of_month(now, zone)]
        to = self.rng.choice(later) - self.rng.choice((0, 0, 10**6))
        self.note(f"time goes on to {oracle.shown_time(to)}")
        self.forward(to)

    def resolve(self, c):
        """Stripe is there again for c: its charge ends, now or when it is tried the next time."""
        for _ in range(12):
            deadline = time.monotonic() + 1
            while time.monotonic() < deadline:
                if c.shown()["pending"] is None or c.model.pending is None:
                    c.answered()
                    return
                time.sleep(0.02)
            self.note("  ten minutes go on")
            self.forward(self.now + 10 * MINUTE)
            for other in self.customers:
                if other is not c:
                    other.work()
        raise Disagreement(f"{c.id}: pending for two hours: {json.dumps(c.shown())}")

    def finish(self):
        self.stripe.calm()
        self.deliver()
        self.settle()
        self.o.ctl("tick")
        self.settle()
        for c in self.customers:
            c.compare_alerts()
            c.put_off()

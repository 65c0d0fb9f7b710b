"""Auto-recharge of one account, naively: lists and plain integers, from the contract in words, and no code of octroi's.

    r = Recharge("Europe/Paris", "money", tiers=((5000, 5),))
    r.put({"enabled": True, …}, now)       # 200, or (status, error code or field)
    r.move(-3_000_000)                     # the balance changes
    r.work(now, bank)                      # everything that is due; bank(amount): PAID, UNANSWERED, NO_CARD or a code
    r.views(now)                           # all that GET may show; one of them has to be shown

Nothing is kept that can be computed from the lists: whether a charge is due is looked up in the balance.  Times are
microseconds since 1970, amounts are cents, money is micros.
"""

import dataclasses
import datetime
import zoneinfo

CHARGES_A_DAY = 2
HOUR = 3600 * 10**6
BACK_OFF = (1 * HOUR, 6 * HOUR, 24 * HOUR)  # after the first, second and third decline in a row
HARD = ("stolen_card", "lost_card", "pickup_card", "expired_card", "restricted_card")
TOPUP_MIN, TOPUP_MAX, CAP_MAX = 500, 100_000, 100_000_000

PAID, UNANSWERED, NO_CARD = "paid", "unanswered", "no card"
ANY = object()
PENDING, BOOKED, GIVEN_BACK = "pending", "booked", "given back"
ENDED_BY_A_CARD = ("no_card", "card_declined", "action_needed", "charge_refused")

_UTC = datetime.timezone.utc
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=_UTC)


def local(us, zone):
    return (_EPOCH + datetime.timedelta(microseconds=us)).astimezone(zoneinfo.ZoneInfo(zone))


def start_of(year, month, day, zone):
    """The first instant of a day."""
    wall = datetime.datetime(year, month, day, tzinfo=zoneinfo.ZoneInfo(zone))
    return (wall.astimezone(_UTC) - _EPOCH) // datetime.timedelta(microseconds=1)


def end_of_day(us, zone):
    day = local(us, zone).date() + datetime.timedelta(days=1)
    return start_of(day.year, day.month, day.day, zone)


def end_of_month(us, zone):
    day = local(us, zone).date()
    year, month = (day.year + 1, 1) if day.month == 12 else (day.year, day.month + 1)
    return start_of(year, month, 1, zone)


def shown_time(us):
    """As the API writes it."""
    at = _EPOCH + datetime.timedelta(microseconds=us)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


@dataclasses.dataclass
class Charge:
    amount: int  # cents
    begun: int
    state: str = PENDING
    consent_gone: bool = False      # switched off since: its POST is not repeated
    consent_replaced: bool = False  # by that to other settings: its POST is repeated, or given up for one of the new ones


@dataclasses.dataclass(frozen=True)
class Settings:
    below: int
    amount: int
    cap: int


class Recharge:
    def __init__(self, zone="UTC", unit="money", tiers=(), version="1"):
        self.zone, self.unit, self.tiers, self.version = zone, unit, tiers, version
        self.entries = []   # micros of each change of the balance
        self.charges = []   # every attempt
        self.declines = []  # codes since the last booked charge, or the end of the last pause
        self.alerts = ""    # done, failed, paused, action needed, by their initials
        self.enabled, self.settings, self.consent = False, None, None
        self.pause, self.retry_at, self.suspended = None, 0, False

    # -- sums -----------------------------------------------------------------------------------------

    @property
    def balance(self):
        return sum(self.entries)

    @property
    def pending(self):
        return next((c for c in self.charges if c.state == PENDING), None)

    @property
    def due(self):
        return self.enabled and self.pause is None and self.balance < self.settings.below

    def micros(self, cents):
        return cents * (10_000 if self.unit == "money" else 1_000_000)

    def bonus(self, cents):
        """Micros that a paid top-up of that size gets on top."""
        percents = [percent for amount, percent in self.tiers if cents >= amount]
        return self.micros(cents) * percents[-1] // 100 if percents else 0

    def counted(self):
        return [c for c in self.charges if c.state != GIVEN_BACK]

    def spent_this_month(self, now):
        month = local(now, self.zone).strftime("%Y-%m")
        return sum(c.amount for c in self.counted() if local(c.begun, self.zone).strftime("%Y-%m") == month)

    def charges_today(self, now):
        day = local(now, self.zone).date()
        return sum(1 for c in self.counted() if local(c.begun, self.zone).date() == day)

    # -- what customers and applications do --------------------------------------------------------------

    def move(self, micros):
        self.entries.append(micros)

    def topup(self, cents, saved_card):
        self.move(self.micros(cents) + self.bonus(cents))
        if saved_card:
            self.card_changed()

    def card_changed(self):
        if self.pause in ENDED_BY_A_CARD:
            self.resume()

    def returned(self):
        """A charge of auto-recharge was refunded or disputed: a card ends no pause any more.  It is told unless a pause was."""
        if self.enabled and self.pause is None:
            self.alerts += "p"
        if self.enabled and (self.pause is None or self.pause in ENDED_BY_A_CARD):
            self.pause = "charge_returned"

    def resume(self):
        self.pause, self.declines, self.retry_at = None, [], 0

    def put(self, body, now):
        """200, or what refuses it: (400, field) or (422, "CONSENT_NEEDED")."""
        refusal = self.refusal(body)
        if refusal:
            return refusal
        if not body["enabled"]:
            self.enabled = False
            if self.pending:
                self.pending.consent_gone = True
            return 200
        before, self.settings = self.settings, Settings(body["belowMicros"], body["amount"], body["monthlyCap"])
        # A PUT that changes nothing is none.
        if body.get("consent") and not (self.enabled and self.settings == before):
            self.consent = {**body["consent"], "at": now}
            if self.pending:
                self.pending.consent_replaced = True
        if self.pause:
            self.resume()
        self.enabled = True
        return 200

    def refusal(self, body):
        names = [name for name in ("belowMicros", "amount", "monthlyCap", "consent") if name in body]
        if not body["enabled"]:
            return (400, names[0]) if names else None
        for name in ("belowMicros", "amount", "monthlyCap"):
            if name not in body:
                return 400, name
        if not 1 <= body["belowMicros"] <= 10**18:
            return 400, "belowMicros"
        if not TOPUP_MIN <= body["amount"] <= TOPUP_MAX:
            return 400, "amount"
        if not body["amount"] <= body["monthlyCap"] <= CAP_MAX:
            return 400, "monthlyCap"
        consent = body.get("consent")
        if consent["version"] != self.version if consent else self.needs_consent(body):
            return 422, "CONSENT_NEEDED"
        return None

    def needs_consent(self, body):
        if not self.enabled or self.consent is None:
            return True
        return body["amount"] != self.settings.amount or body["monthlyCap"] > self.settings.cap

    # -- the charge ----------------------------------------------------------------------------------------

    def waits(self, now):
        """(reason, until when) of all that holds up a charge that is due; ANY: octroi looks again when it likes."""
        found = []
        if self.suspended:
            found.append(("account_suspended", ANY))
        if self.spent_this_month(now) + self.settings.amount > self.settings.cap:
            found.append(("monthly_cap", end_of_month(now, self.zone)))
        if self.charges_today(now) >= CHARGES_A_DAY:
            found.append(("daily_cap", end_of_day(now, self.zone)))
        if now < self.retry_at:
            found.append(("backing_off", self.retry_at))
        return found

    def work(self, now, bank):
        """Everything that is due.  bank(amount): the outcome of a POST, asked once for each."""
        while self.due and not self.pending and not self.waits(now):
            outcome = bank(self.settings.amount)
            if outcome == NO_CARD:
                self.pause, self.alerts = "no_card", self.alerts + "p"
                return
            self.charges.append(Charge(self.settings.amount, now))
            if outcome == PAID:
                self.book()
            elif outcome != UNANSWERED:
                self.decline(outcome, now)

    def book(self):
        """Stripe says of the pending charge that it was made."""
        charge = self.pending
        charge.state = BOOKED
        self.declines, self.retry_at = [], 0
        self.move(self.micros(charge.amount) + self.bonus(charge.amount))
        self.alerts += "d"

    def give_up(self):
        """Stripe knows of no such charge, and nobody consents to it any more."""
        self.pending.state = GIVEN_BACK

    def decline(self, code, now):
        self.pending.state = GIVEN_BACK
        self.declines.append(code)
        twice = self.declines[-2:] == ["do_not_honor"] * 2
        if code == "authentication_required":
            self.pause, self.alerts = "action_needed", self.alerts + "a"
        elif code in HARD or twice or len(self.declines) > len(BACK_OFF):
            self.pause, self.alerts = "card_declined", self.alerts + "p"
        else:
            self.retry_at = now + BACK_OFF[len(self.declines) - 1]
            self.alerts += "f"

    # -- what is shown -----------------------------------------------------------------------------------------

    def states(self, now):
        """(state, reason, next attempt or None) that may be shown now."""
        if self.pending:
            return [("pending", None, None)]
        if not self.enabled:
            return [("off", None, None)]
        if self.pause:
            return [("paused", self.pause, None)]
        waits = self.waits(now)
        if not self.due:
            # A charge that was due and waits is found to be needless when its time comes, not before.
            return [("ready", None, None)] + [("waiting", *w) for w in waits]
        assert waits, "a charge that is due and does not wait was not made"
        return [("waiting", *w) for w in waits]

    def views(self, now):
        settings = self.settings or Settings(None, None, None)
        view = {"enabled": self.enabled, "belowMicros": settings.below, "amount": settings.amount,
                "monthlyCap": settings.cap, "spentThisMonth": self.spent_this_month(now),
                "chargesToday": self.charges_today(now), "pending": self.pending and self.pending.amount}
        found = []
        for state, reason, until in self.states(now):
            attempt = {} if until is ANY else {"nextAttemptAt": until and shown_time(until)}
            found.append({**view, "state": state, "reason": reason, **attempt})
        return found

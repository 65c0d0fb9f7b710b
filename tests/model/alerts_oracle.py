"""Which alerts an account is told, by docs/alerts.md: written from its words, not from octroi's code.

An account is a balance, grants that expire, and a clock of its own in days.  Each method is a movement that has taken
place; told has an alert for each crossing, as (kind, threshold) or ("grant_expiring", days, rest).
"""

EURO = 1_000_000
TERMS = (7, 1)  # days before the expiry of a grant
STANDARD = (2 * EURO,)


class Grant:
    def __init__(self, rest, ends, now):
        self.rest, self.ends = rest, ends
        self.terms = [days for days in TERMS if ends is not None and ends - days > now]  # those that are still ahead

    def events(self):
        """(time, days of the term or 0 for the expiry), the next first."""
        return [] if self.ends is None else [*((self.ends - days, days) for days in self.terms), (self.ends, 0)]


class Account:
    def __init__(self, thresholds=STANDARD):
        self.now, self.debt, self.grants, self.told = 0.0, 0, [], []
        self.thresholds = list(thresholds)
        self.fired = set()
        self.used, self.limit = 0, None

    @property
    def balance(self):
        return sum(grant.rest for grant in self.grants) - self.debt

    # ---- the balance ----

    def _moved(self, before, given=False):
        """A threshold fires once.  It is armed again above 1.2 times itself, or when credits are given; 0, above 0."""
        after = self.balance
        for threshold in (0, *self.thresholds):
            if threshold in self.fired and (5 * max(before, after) > 6 * threshold or (given and threshold > 0)):
                self.fired.remove(threshold)
                if threshold == 0:
                    self.told.append(("balance_recovered", 0))
            crossed = before > 0 >= after if threshold == 0 else before >= threshold > after
            if crossed and threshold not in self.fired:
                self.fired.add(threshold)
                self.told.append(("balance_low" if threshold else "balance_depleted", threshold))

    def give(self, amount, days=None):
        """A grant, which pays the debt first."""
        before, paid = self.balance, min(self.debt, amount)
        self.debt -= paid
        self.grants.append(Grant(amount - paid, None if days is None else self.now + days, self.now))
        self._moved(before, given=True)

    def take(self, amount):
        """From the grant that expires first; one without an end comes last."""
        before = self.balance
        for grant in sorted(self.grants, key=lambda grant: float("inf") if grant.ends is None else grant.ends):
            part = min(grant.rest, amount)
            grant.rest -= part
            amount -= part
        self.debt += amount
        self._moved(before)

    def set_thresholds(self, thresholds):
        """One that stays keeps whether it has fired."""
        self.thresholds = list(STANDARD if thresholds is None else thresholds)
        self.fired &= {0, *self.thresholds}

    # ---- time ----

    def wait(self, days):
        """So many days pass, and octroi looks at the account at their end.  Of the terms of a grant that have come
        meanwhile only the nearest is told, and none of a grant that has expired."""
        before, self.now = self.balance, self.now + days
        for grant in self.grants:
            if grant.rest == 0 or grant.ends is None:
                grant.terms = [term for term in grant.terms if grant.ends - term > self.now]
                continue
            come = [term for at, term in grant.events() if at <= self.now]
            if 0 in come:
                grant.rest, grant.terms = 0, []
            elif come:
                self.told.append(("grant_expiring", min(come), grant.rest))
                grant.terms = [term for term in grant.terms if term not in come]
        self._moved(before)

    # ---- limits ----

    def may_charge(self, cost):
        return self.limit is None or self.used + cost <= self.limit

    def charge(self, cost):
        """The use of a month reaches its limit."""
        before, self.used = self.used, self.used + cost
        if self.limit is not None and before < self.limit <= self.used:
            self.told.append(("limit_reached", self.limit))
        self.take(cost)

"""A naive account with a plan, members, limits and statements: lists that only grow, and sums made anew from them.

Nothing here is kept that could be recomputed from what has happened.  Balance, held amounts, use within a day, a
month or a period, what is reserved for the others: each is a walk over the journal, the holds or the costs.  What
is due is done one event at a time, the earliest first.  Amounts are micros, times microseconds since 1970.
"""

import dataclasses

import periods_zone as zones

NEVER = 1 << 62
OK = "OK"
POOL, SEAT, MIXED = range(3)
MEMBER, MANAGER = range(2)
PERIOD, CARRIED, UPGRADE, JOINED = range(4)  # reasons of an allowance
PRIORITY = {"TOP_UP": 50, "PROMO_BONUS": 20, "PLAN_ALLOWANCE": 10, "ADJUSTMENT": 50, "PAYMENT": 50, "REFUND": 0}
OPEN, SENT, FAILED, PAID, VOID, SMALL = range(6)  # of a statement
UNSETTLED = (OPEN, SENT, FAILED)
MINOR = 10  # micros that the currency's smallest unit is worth


@dataclasses.dataclass(frozen=True)
class Plan:
    name: str
    version: int
    starts_at: int = 0
    scope: int = POOL
    pool: int = 0
    manager: int = 0
    member: int = 0
    managers_to: int = 1
    seats_to: int = 0
    rollover: int = 0
    action: int = 0     # price of action "act"; 0: the plan does not set it
    models: tuple = ()  # (): all

    def quota(self, role):
        return 0 if self.scope == POOL else self.manager if role == MANAGER else self.member

    def seats(self, role):
        """How many people of that role get an allowance of their own."""
        return self.managers_to if role == MANAGER else self.seats_to or NEVER

    def allowance(self, managers, members):
        people = sum(self.quota(role) * min(count, self.seats(role))
                     for role, count in ((MANAGER, managers), (MEMBER, members)))
        return (0 if self.scope == SEAT else self.pool) + people


@dataclasses.dataclass
class Grant:
    seq: int
    type: str
    priority: int
    expires: int
    amount: int
    at: int


@dataclasses.dataclass
class Hold:
    seq: int
    member: str
    reserved: int
    expires: int
    model: str
    input: int
    state: str = "open"
    cost: int = 0
    said: tuple = ()
    ended: int = 0
    paid: tuple = ()      # the lines of the journal that a capture made, from first to last
    counted: int = -1     # its line of the costs


@dataclasses.dataclass
class Person:
    name: str
    role: int = MEMBER
    present: bool = False
    quota: int = 0
    seat_period: int = 0  # start of the last period for which it has had its turn
    since: int = 0        # the last hold before it first joined; what that one and those before hold is nobody's
    limit: int = -1
    daily: int = -1
    monthly: int = -1


@dataclasses.dataclass
class Running:
    """The period that a plan is in."""
    plan: Plan
    anchor: int  # wall clock
    index: int
    start: int
    end: int
    granted: int = 0
    carried: int = 0
    paid_until: int = 0  # by a subscription; 0: a person set the plan
    seats: dict = dataclasses.field(default_factory=lambda: {MANAGER: 0, MEMBER: 0})


@dataclasses.dataclass
class Statement:
    seq: int
    state: int
    start: int
    end: int
    amount: int
    minor: int
    invoice: bool = False
    failures: int = 0


class Account:
    def __init__(self, zone, capture, statement_min=1, grace=3 * zones.DAY):
        self.default_zone, self.capture = zone, capture
        self.statement_min, self.grace = statement_min, grace
        self.plans = []       # every version of every plan that was ever made
        self.exists = self.workspace = False
        self.created = 0
        self.zone = ""
        self.journal = []     # (amount, grant, at)
        self.parts = {}       # grant: its amounts in the journal
        self.payers = []      # (line of the journal, grant, amount) of debt that a credit has paid
        self.grants, self.holds, self.people = [], {}, {}
        self.allowances = []  # (plan, version, start, end, reason, member, amount, at)
        self.transactions = []
        self.costs = []       # (at, member, change, zone) since there is a workspace; what a window of the account
        #                       was found to miss of the time before has the window's function as its member
        self.run = None       # Running
        self.last_end = 0     # of the last period that has ended
        self.changing, self.next_plan = False, ""
        self.period_from = 0       # the costs since then are of this period
        self.month_from = (0, 0)   # the month in which a plan has ended
        self.daily = self.monthly = -1
        self.status, self.postpaid, self.hard = "active", False, 0
        self.statements, self.statement_from, self.statement_at = [], 0, 0
        self.suspend_at = 0
        self.behind_from = None  # entries until a period began or a debt was stated: what was owed then

    # ---- sums ------------------------------------------------------------------------------------------

    def balance(self):
        return sum(amount for amount, _, _ in self.journal)

    def debt(self):
        """The debt that no grant has paid."""
        return -sum(amount for amount, grant, _ in self.journal if grant == 0)

    def arrears(self):
        """Of what was owed when the period began or a debt was stated, what has been owed all the time since."""
        if self.behind_from is None:
            return 0
        least = owed = -sum(amount for amount, grant, _ in self.journal[:self.behind_from] if grant == 0)
        for amount, grant, _ in self.journal[self.behind_from:]:
            owed -= amount if grant == 0 else 0
            least = min(least, owed)
        return least

    def open_holds(self, member=None):
        return [h for h in self.holds.values() if h.state == "open" and member in (None, h.member)]

    def held(self, member=None):
        since = self.people[member].since if member in self.people else 0
        return sum(h.reserved for h in self.open_holds(member) if h.seq > since)

    def remaining(self, grant):
        return sum(self.parts[grant.seq])

    def wall_zone(self):
        return self.zone or self.default_zone

    def window(self, turn, now, member=None, since=0, starting=(0, 0)):
        """The use in the window of now, and its end; turn: next_day or next_month.  A window opens with
        the first cost after the one before has ended, in the zone of that time."""
        until, used = starting
        for at, name, change, zone in self.costs[since:]:
            if (member is not None or name is not turn) if callable(name) else member not in (None, name):
                continue
            if at >= until:
                until, used = turn(zone, at), 0
            used = max(0, used + change)
        return (used, until) if now < until else (0, turn(self.wall_zone(), now))

    def day(self, now, member=None):
        return self.window(zones.next_day, now, member)

    def month(self, now, member=None):
        return self.window(zones.next_month, now, member)

    def period(self, now, member):
        """Use within the plan's period; without a plan, within the calendar's month."""
        if self.run is None:
            return self.window(zones.next_month, now, member, since=self.period_from, starting=self.month_from)
        used = 0
        for _, name, change, _ in self.costs[self.period_from:]:
            if name == member:
                used = max(0, used + change)
        return used, self.run.end

    def unused(self, person, now):
        if not person.present:
            return 0
        return max(0, person.quota - self.period(now, person.name)[0] - self.held(person.name))

    def reserved(self, now):
        return sum(self.unused(p, now) for p in self.people.values())

    def count(self, role):
        return sum(p.present and p.role == role for p in self.people.values())

    def person(self, member):
        p = self.people.get(member)
        return p if p is not None and p.present else None

    def newest(self, name, at):
        return max((p for p in self.plans if p.name == name and p.starts_at <= at), key=lambda p: p.version, default=None)

    def stated(self):
        return sum(s.amount for s in self.statements if s.state in UNSETTLED)

    # ---- the journal -----------------------------------------------------------------------------------

    def enter(self, amount, grant, at):
        if amount:
            self.journal.append((amount, grant, at))
            self.parts.setdefault(grant, []).append(amount)

    def debit(self, amount, at):
        for g in sorted(self.grants, key=lambda g: (g.priority, g.expires or NEVER, g.seq)):
            part = min(amount, self.remaining(g))
            self.enter(-part, g.seq, at)
            amount -= part
        self.enter(-amount, 0, at)

    def credit(self, type, amount, at, priority=None, expires=0):
        debt = self.payable(type)
        g = Grant(len(self.grants) + 1, type, PRIORITY[type] if priority is None else priority, expires, amount, at)
        self.grants.append(g)
        self.enter(amount, g.seq, at)
        self.pay_debt(g, min(debt, amount), at)
        return g

    def payable(self, type):
        """The debt that credits of this type pay: allowances do not pay what a statement asks for."""
        return self.debt() - (self.arrears() if type == "PLAN_ALLOWANCE" and self.postpaid else 0)

    def pay_debt(self, g, paid, at):
        self.enter(-paid, g.seq, at)
        self.enter(paid, 0, at)

    def transact(self, type, amount, at, priority=None, expires=0):
        self.transactions.append((type, amount, at))
        if amount > 0:
            paid = min(amount, self.payable(type))
            g = self.credit(type, amount, at, priority, expires)
            if paid:
                self.payers.append((len(self.journal), g, paid))
        else:
            self.debit(-amount, at)

    def expire(self, g, at):
        rest = self.remaining(g)
        self.transactions.append(("ALLOWANCE_EXPIRY", -rest, at))
        self.enter(-rest, g.seq, at)

    def cost(self, hold, cost, at, capture=False):
        change = cost - hold.cost
        first = len(self.journal)
        if change > 0:
            self.debit(change, at)
        elif change < 0:
            self.give_back(hold, -change, at)
        hold.cost = cost
        if change > 0 and self.workspace:
            # A person who does not belong to the account yet uses on nobody's account.
            self.costs.append((at, hold.member if hold.member in self.people else "", change, self.wall_zone()))
        if capture and change:
            hold.paid = (first, len(self.journal))
            hold.counted = len(self.costs) - 1 if self.workspace else -1
        # The excess is as if it had never been used.
        if change < 0 and hold.counted >= 0:
            when, member, used, zone = self.costs[hold.counted]
            self.costs[hold.counted] = (when, member, used + change, zone)

    def give_back(self, hold, amount, at):
        """The cost that was taken last comes first: to the grant that paid, or to the debt."""
        untraced = 0
        for line in range(hold.paid[1] - 1, hold.paid[0] - 1, -1):
            taken, grant, _ = self.journal[line]
            part = min(amount, -taken)
            amount -= part
            if grant and part:
                g = self.grants[grant - 1]
                lacks = min(part, g.amount - self.remaining(g))
                untraced += part - lacks
                if lacks:
                    self.put_back(g, lacks, at)
            elif part:
                untraced += self.give_back_debt(line, part, at)
        if amount + untraced:
            self.credit("REFUND", amount + untraced, at)

    def give_back_debt(self, line, part, at):
        """The rest of the debt is repaid; the remainder goes to those who have paid since, the first debt first."""
        owed = min(part, self.debt())
        whole = -sum(amount for amount, _, _ in self.journal[:line + 1])
        payers = [(g, paid) for when, g, paid in self.payers if when > line]
        end = sum(paid for _, paid in payers)
        top, left = min(end, whole - owed), part - owed
        self.enter(owed, 0, at)
        for g, paid in reversed(payers):
            share = min(max(0, min(end, top) - (end - paid)), left, g.amount - self.remaining(g))
            if share:
                self.put_back(g, share, at)
            left -= share
            end -= paid
        return left

    def put_back(self, g, part, at):
        debt = self.payable(g.type)
        self.enter(part, g.seq, at)
        if g.expires and g.expires <= at:
            self.expire(g, at)
        else:
            self.pay_debt(g, min(debt, self.remaining(g)), at)

    # ---- what time brings ------------------------------------------------------------------------------

    def refresh(self, now):
        while True:
            due = [(h.expires, 0, h.seq, lambda h=h: self.end_hold(h)) for h in self.open_holds()]
            if self.statement_at:
                due.append((self.statement_at, 1, 0, self.month_ends))
            if self.run is not None:
                due.append((self.run.end, 2, 0, self.turn))
            due += [(g.expires, 3, self.order(g), lambda g=g: self.expire(g, g.expires))
                    for g in self.grants if g.expires and self.remaining(g) > 0]
            if self.suspend_at:
                due.append((self.suspend_at, 4, 0, self.suspend))
            due = [d for d in due if d[0] <= now]
            if not due:
                return
            min(due, key=lambda d: d[:2] + ((d[2],) if d[1] != 3 else d[2]))[3]()

    @staticmethod
    def order(g):
        return (g.priority, g.seq)

    def end_hold(self, h):
        h.state, h.ended = "expired", h.expires
        if self.capture:
            self.cost(h, h.reserved, h.expires, capture=True)

    def boundary(self, index):
        if self.run.paid_until:  # Stripe's months are those of UTC
            return min(zones.add_months(self.run.anchor, index), self.run.paid_until)
        return zones.instant(self.wall_zone(), zones.add_months(self.run.anchor, index))

    def give(self, reason, amount, at, member=""):
        r = self.run
        self.allowances.append((r.plan.name, r.plan.version, r.start, r.end, reason, member, amount, at))
        if amount:
            self.transact("PLAN_ALLOWANCE", amount, at, expires=r.end)

    def seat(self, person):
        """A quota, while there are seats in this period; each person has one in a period at most."""
        r = self.run
        free = r.seats[person.role] < r.plan.seats(person.role) and person.seat_period != r.start
        person.quota = r.plan.quota(person.role) if free else 0
        if free:
            r.seats[person.role] += 1
            person.seat_period = r.start
        return free

    def begin_period(self, at, carried):
        """The running plan's figures are those of a new period."""
        r = self.run
        r.carried, r.granted = carried, r.plan.allowance(self.count(MANAGER), self.count(MEMBER))
        r.seats = {MANAGER: 0, MEMBER: 0}
        self.period_from = len(self.costs)
        self.behind_from = len(self.journal)
        for p in sorted(self.people.values(), key=lambda p: p.name):
            p.quota = 0
            if p.present:
                self.seat(p)
                p.seat_period = r.start  # also who got none: it does not get one by leaving and coming again
        if carried is not None:
            self.give(CARRIED, carried, at)
        r.carried = carried or 0
        self.give(PERIOD, r.granted, at)

    def turn(self):
        r, at = self.run, self.run.end
        ours = [g for g in self.grants if g.type == "PLAN_ALLOWANCE" and g.expires == at and self.remaining(g) > 0]
        left = sum(self.remaining(g) for g in ours)
        for g in sorted(ours, key=self.order):
            self.expire(g, at)
        carried, self.last_end = min(left, r.plan.rollover), at
        plan = self.newest(self.next_plan if self.changing else r.plan.name, at)
        self.changing, self.next_plan = False, ""
        if plan is None or (r.paid_until and r.paid_until <= at):
            self.run, self.period_from = None, len(self.costs)
            self.month_from = (zones.next_month(self.wall_zone(), at), 0)
            for p in self.people.values():
                p.quota = 0
            return
        r.plan = plan
        r.index, r.start, r.end = r.index + 1, at, self.boundary(r.index + 2)
        self.begin_period(at, carried)

    # ---- plans -----------------------------------------------------------------------------------------

    def check_plan(self, name, now):
        if not name or (self.run is not None and name == self.run.plan.name):
            return OK
        plan = self.newest(name, now)
        if plan is None:
            return "UNKNOWN_PLAN"
        return "SEATS_TAKEN" if self.count(MEMBER) > plan.seats(MEMBER) else OK

    def pay_plan(self, name, now, start, months):
        """A subscription is paid from start on, that many months of UTC."""
        until = zones.add_months(start, months)
        if self.run is not None or until <= now or self.check_plan(name, now) != OK:
            return
        self.make_workspace()
        self.run = Running(self.newest(name, now), start, 0, 0, 0, paid_until=until)
        while self.boundary(self.run.index + 1) <= now:
            self.run.index += 1
        self.run.start = max(self.boundary(self.run.index), self.last_end)
        self.run.end = self.boundary(self.run.index + 1)
        self.begin_period(now, None)

    def unsubscribe(self):
        if self.run is not None and self.run.paid_until:
            self.changing, self.next_plan = True, ""

    def set_plan(self, name, now, anchor=0):
        r = self.run
        if r is None and not name:
            return
        if r is not None and name == r.plan.name:
            self.changing, self.next_plan = False, ""
            return
        if not name:
            self.changing, self.next_plan = True, ""
            return
        self.make_workspace()
        plan = self.newest(name, now)
        managers, members = self.count(MANAGER), self.count(MEMBER)
        if r is None:
            wall = zones.local(self.wall_zone(), anchor) if anchor else zones.month_start(zones.local(self.wall_zone(), now))
            self.run = Running(plan, wall, 0, 0, 0)
            while self.boundary(self.run.index + 1) <= now:
                self.run.index += 1
            # No moment is in two periods: another plan's last one may have ended within this.
            self.run.start = max(self.boundary(self.run.index), self.last_end)
            self.run.end = self.boundary(self.run.index + 1)
            self.begin_period(now, None)
        elif plan.allowance(managers, members) > r.granted:
            more = plan.allowance(managers, members) - r.granted
            self.changing, self.next_plan = False, ""
            r.plan = plan
            r.granted += more
            for role, count in ((MANAGER, managers), (MEMBER, members)):
                r.seats[role] = max(r.seats[role], min(count, plan.seats(role)))
            self.give(UPGRADE, more, now)
        else:
            self.changing, self.next_plan = True, name

    # ---- people ----------------------------------------------------------------------------------------

    def put_member(self, name, now, role=None, **limits):
        p = self.people.get(name)
        present = p is not None and p.present
        wanted = role if role is not None else p.role if p is not None else MEMBER
        joins = wanted == MEMBER and not (present and p.role == MEMBER)
        if joins and self.run is not None and self.count(MEMBER) >= self.run.plan.seats(MEMBER):
            return "SEATS_TAKEN"
        self.exists = True
        self.make_workspace()
        if p is None:
            p = self.people[name] = Person(name, since=len(self.holds))
        p.role = wanted
        for limit, value in limits.items():
            setattr(p, limit, value)
        if not present:
            p.present = True
            p.quota = 0
            if self.run is not None and self.seat(p) and p.quota:
                self.run.granted += p.quota
                self.give(JOINED, p.quota, now, name)
        return OK

    def remove_member(self, name):
        p = self.person(name)
        if p is None:
            return "NOT_FOUND"
        p.present, p.quota = False, 0
        return OK

    # ---- limits ----------------------------------------------------------------------------------------

    def verdict(self, member, now):
        """(left, kind, whether it is the member's, limit, used, when it resets) of what leaves least."""
        # A member that has left is still bound by its limits, and has no share.
        balance, held, p = self.balance(), self.held(), self.people.get(member)
        left = balance - held + (self.hard if self.postpaid else 0)
        if self.postpaid:
            found = [(left, "hard_limit", 0, self.hard, held - balance, 0)]
        else:
            found = [(left, "balance", 0, balance, held, self.run.end if self.run else 0)]
        if not self.workspace:
            return found[0]
        mine = self.held(member) if p else 0
        used, until = self.period(now, member) if p else (0, self.run.end if self.run else 0)
        others = self.reserved(now) - (self.unused(p, now) if p else 0)
        if others > 0:
            found.append((left - others, "member", 1, p.quota if p else 0, used + mine, until))
        if p and p.limit >= 0:
            found.append((p.limit - used - mine, "member", 1, p.limit, used + mine, until))
        for kind, turn, ours, theirs in (("daily", self.day, self.daily, p.daily if p else -1),
                                         ("monthly", self.month, self.monthly, p.monthly if p else -1)):
            if ours >= 0:
                used, until = turn(now)
                found.append((ours - used - held, kind, 0, ours, used + held, until))
            if theirs >= 0:
                used, until = turn(now, member)
                found.append((theirs - used - mine, kind, 1, theirs, used + mine, until))
        return min(found, key=lambda f: f[0])

    OUTCOMES = {"balance": "INSUFFICIENT_CREDITS", "hard_limit": "HARD_LIMIT_REACHED", "member": "MEMBER_LIMIT_REACHED",
                "daily": "SPENDING_LIMIT_REACHED", "monthly": "SPENDING_LIMIT_REACHED"}

    def refusal(self, member, needed, now):
        """None when it may be spent."""
        left, kind, own, limit, used, resets = self.verdict(member, now)
        if needed <= left:
            return None
        return f"{self.OUTCOMES[kind]} {kind} {own} {needed} {left} {limit} {used} {resets}"

    def suspended(self):
        return "ACCOUNT_SUSPENDED" if self.status in ("suspended", "unpaid") else None

    def removed(self, member):
        p = self.people.get(member)
        return "MEMBER_REMOVED" if p is not None and not p.present else None

    # ---- the guard -------------------------------------------------------------------------------------

    def authorize(self, now, models, input, output, ttl, member="", fit=0):
        """A token of either kind costs a micro of every model; fit: the least output that will do, 0 for none."""
        if self.suspended() or self.removed(member):
            return self.suspended() or self.removed(member)
        if self.run is not None and self.run.plan.models:
            models = [m for m in models if m in self.run.plan.models]
            if not models:
                return "MODEL_NOT_IN_PLAN"
        left = self.verdict(member, now)[0]
        if fit and input + output > left and left - input >= fit:
            output = left - input
        refused = self.refusal(member, input + output, now)
        if refused:
            return refused
        self.exists = True
        h = Hold(len(self.holds) + 1, member, input + output, now + ttl, models[0], input)
        self.holds[h.seq] = h
        return f"OK {h.seq} {h.reserved}"

    def settle(self, now, seq, tokens):
        """tokens None: failed, nothing was used."""
        h = self.holds.get(seq)
        if h is None:
            return "NOT_FOUND"
        if h.state in ("settled", "released"):
            return "OK again" if h.said == (tokens,) or (h.state == "released" and tokens is None) else "SETTLEMENT_CONFLICT"
        late = h.state == "expired"
        h.state, h.ended = "settled" if late or tokens is not None else "released", now
        h.said = (tokens,)
        cost = tokens or 0
        if h.model == "act":
            cost = h.reserved if tokens is not None else 0
        self.cost(h, cost, now)
        return f"OK {h.seq} {h.cost}"

    def release(self, now, seq):
        h = self.holds.get(seq)
        if h is None:
            return "NOT_FOUND"
        if h.state != "open":
            return "OK again" if h.state == "released" else "HOLD_ENDED"
        h.state, h.ended = "released", now
        return "OK"

    def extend(self, now, seq, ttl, output):
        h = self.holds.get(seq)
        if h is None:
            return "NOT_FOUND"
        if h.state != "open":
            return "HOLD_ENDED"
        if ttl > zones.DAY:  # days are for holds of tier batch, of which there are none here
            return "INVALID_REQUEST"
        if self.suspended() or self.removed(h.member):
            return self.suspended() or self.removed(h.member)
        if self.run is not None and self.run.plan.models and h.model not in (*self.run.plan.models, "act"):
            return "MODEL_NOT_IN_PLAN"
        more = (h.input + output if output and h.model != "act" else h.reserved) - h.reserved
        # As if it were placed now; only what makes it smaller, and no longer, is free.
        refused = self.refusal(h.member, max(more, 0), now)
        if more > self.verdict(h.member, now)[0] and (more >= 0 or ttl):
            return refused
        reserved = h.reserved + more
        h.reserved = reserved
        if ttl:
            h.expires = now + ttl
        return f"OK {h.seq} {reserved}"

    def charge(self, now, quantity, member=""):
        if self.suspended() or self.removed(member):
            return self.suspended() or self.removed(member)
        cost = quantity * (self.run.plan.action if self.run is not None and self.run.plan.action else 1)
        refused = self.refusal(member, cost, now)
        if refused:
            return refused
        self.exists = True
        h = Hold(len(self.holds) + 1, member, cost, 0, "act", 0, "settled", said=("charge",), ended=now)
        self.holds[h.seq] = h
        self.cost(h, cost, now)
        return f"OK {h.seq} {cost}"

    # ---- the account -----------------------------------------------------------------------------------

    def make_workspace(self):
        self.workspace = self.exists = True

    def counted(self, now):
        """Sums of the usages of today and this month."""
        wall = zones.local(self.wall_zone(), now)
        since = [zones.instant(self.wall_zone(), start(wall)) for start in (zones.day_start, zones.month_start)]
        return [sum(h.cost for h in self.holds.values() if h.state != "open" and h.ended >= at) for at in since]

    def limits(self, now, counted, daily=None, monthly=None):
        if not self.workspace:
            if daily in (None, -1) and monthly in (None, -1):
                return  # there is none to be lifted
        self.make_workspace()
        # Use from before there was a workspace counts too.
        for turn, used in ((zones.next_day, counted[0]), (zones.next_month, counted[1])):
            more = max(0, used - self.window(turn, now)[0])
            self.costs.append((now, turn, more, self.wall_zone()))
        self.daily = self.daily if daily is None else daily
        self.monthly = self.monthly if monthly is None else monthly

    def set_zone(self, zone, now):
        """Days, months and periods that have begun end as they would have; the month that is stated does not."""
        self.zone = zone
        if self.statement_at:
            self.statement_at = zones.next_month(self.wall_zone(), now)

    # ---- statements ------------------------------------------------------------------------------------

    def set_mode(self, now, postpaid):
        self.exists = True
        if postpaid == self.postpaid:
            return
        self.postpaid = postpaid
        if postpaid:
            self.make_workspace()
            self.statement_from, self.statement_at = now, zones.next_month(self.wall_zone(), now)
        else:
            self.statement_at = 0

    def owed(self):
        return max(0, self.debt() - self.stated())

    def state_debt(self, owed, end):
        minor = owed // MINOR
        start, self.statement_from = self.statement_from or self.created, end
        self.behind_from = len(self.journal)
        self.statements.append(Statement(len(self.statements) + 1, SMALL if minor < self.statement_min else OPEN, start,
                                         end, minor * MINOR, minor))
        return self.statements[-1]

    def month_ends(self):
        at = self.statement_at
        if self.owed() >= MINOR:
            self.state_debt(self.owed(), at)
        self.statement_from, self.statement_at = at, zones.next_month(self.wall_zone(), at)

    def state_now(self, now):
        if self.owed() // MINOR < self.statement_min:
            return "OK 0 0"
        self.make_workspace()
        t = self.state_debt(self.owed(), now)
        return f"OK {t.seq} {t.amount}"

    def begin_charge(self, seq):
        t = self.statements[seq - 1]
        if t.state in UNSETTLED and not t.invoice:
            others = self.stated() - t.amount
            minor = min(t.amount, max(0, self.debt() - others)) // MINOR
            if minor < t.minor:
                if minor > 0:
                    t.amount, t.minor = minor * MINOR, minor
                if minor < self.statement_min:
                    t.state = VOID if minor == 0 else SMALL
                    self.restore()
        return f"OK {t.seq} {t.amount}"

    def sent(self, seq):
        t = self.statements[seq - 1]
        if t.state in UNSETTLED:
            t.invoice = True
            t.state = SENT if t.state == OPEN else t.state
        return f"OK {t.seq} {t.amount}"

    def declined(self, seq, now):
        t = self.statements[seq - 1]
        if t.state in UNSETTLED:
            t.state = FAILED
            t.failures += 1
            if self.status == "active":
                self.status = "past_due" if self.grace else "unpaid"
                self.suspend_at = now + self.grace if self.grace else 0
        return f"OK {t.seq} {t.amount}"

    def pay(self, seq, now):
        t = self.statements[seq - 1]
        if t.state in UNSETTLED:
            self.transact("PAYMENT", t.amount, now)
            t.state = PAID
            self.restore()
        return "OK"

    def restore(self):
        if not any(t.state == FAILED for t in self.statements):
            self.suspend_at = 0
            if self.status in ("past_due", "unpaid"):
                self.status = "active"

    def suspend(self):
        if self.status == "past_due":
            self.status = "unpaid"
        self.suspend_at = 0

    # ---- what is compared ------------------------------------------------------------------------------

    def state(self, now):
        """One line, as the driver prints it after each command."""
        out = [f"{self.balance()} {self.held()} {len(self.open_holds())} {self.status}"]
        if self.workspace:
            r = self.run
            running = (f"{r.plan.name} {r.plan.version} {r.start} {r.end} {r.granted} {r.carried}" if r else "-")
            change = f"to:{self.next_plan}" if self.changing else "stays"
            out.append(f"{running} {change} {self.reserved(now)} {self.day(now)[0]} {self.month(now)[0]}"
                       f" {self.count(MANAGER)} {self.count(MEMBER)} {self.statement_at}")
        for p in sorted(self.people.values(), key=lambda p: p.name):
            if p.present:
                out.append(f"{p.name} {p.role} {p.quota} {self.held(p.name)} {self.period(now, p.name)[0]}"
                           f" {self.day(now, p.name)[0]} {self.month(now, p.name)[0]}")
        return " | ".join(out)

    def dump(self):
        """Everything that was booked, line by line."""
        lines = [f"entry {a} {g} {at}" for a, g, at in self.journal]
        lines += [f"transaction {t} {a} {at}" for t, a, at in self.transactions]
        lines += [f"grant {g.type} {g.priority} {g.expires} {g.amount} {self.remaining(g)} {g.at}" for g in self.grants]
        lines += ["allowance " + " ".join(str(x) if x != "" else "-" for x in row) for row in self.allowances]
        lines += [f"statement {s.state} {s.start} {s.end} {s.amount} {s.minor}" for s in self.statements]
        return lines

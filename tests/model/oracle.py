"""The ledger, naively: lists, plain integers and fractions, no cleverness and no code of octroi's.

Every sum is made anew from the rows; nothing is kept that could be computed.  One Account is one
customer; apply(account, command, now) answers what octroi has to answer, and changes the account as
octroi has to change it.  Times are microseconds; who calls keeps them.

Answers are dicts of what the HTTP answer must say; LEARN stands for a value that only octroi can know
(the time of the database): the first answer teaches it, repeated answers are held to it.
"""

import copy
import dataclasses
import fractions
import hashlib
import base64

NEVER = 2**63 - 1
BALANCE_MAX = 2 * 10**18
AMOUNT_MAX = 10**18
TOKENS_MAX = 10**9

CLASSES = ("input", "cache_read", "cache_write", "cache_write_1h", "output")

# In the order in which a customer's own keys are preferred.
PROVIDERS = ("anthropic", "openai", "gemini", "mistral")

# type: (its number, allowed sign, priority of its grants)
TRANSACTIONS = {
    "TOP_UP": (0, 1, 50), "SIGNUP_BONUS": (1, 1, 20), "PROMO_BONUS": (2, 1, 20), "REFERRAL_BONUS": (3, 1, 20),
    "PLAN_ALLOWANCE": (4, 1, 10), "ALLOWANCE_EXPIRY": (5, -1, 0), "REFUND": (6, 0, 50), "DISPUTE": (7, 0, 50),
    "ADJUSTMENT": (8, 0, 50), "PAYMENT": (9, 1, 50), "TOP_UP_BONUS": (10, 0, 20),
}

ENTRY_USAGE, ENTRY_TRANSACTION, ENTRY_DEBT, ENTRY_REVERSAL, ENTRY_RECORD = range(5)
SETTLED, RELEASED, EXPIRED = range(3)
OUTCOMES = ("complete", "partial", "failed")
NO_OUTCOME = 3
SETTLEMENTS = ("none", "exact", "partial", "estimated", "late")


class _Learn:
    def __repr__(self):
        return "LEARN"

LEARN = _Learn()


def ceiling(value):
    return -((-value.numerator) // value.denominator)


def public_id(account, seq):
    raw = hashlib.sha256(account.encode()).digest()[:16] + seq.to_bytes(8, "big")
    return base64.urlsafe_b64encode(raw).decode()


# ---- prices -------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Terms:
    margin: fractions.Fraction
    rate: fractions.Fraction
    credit_value: fractions.Fraction


@dataclasses.dataclass(frozen=True)
class ModelPrice:
    version: int
    provider: str
    terms: Terms
    tiers: tuple  # of (above, (pico-dollars per class)), the lowest first

    def cost(self, tokens, unit):
        """Micros, or None when it is beyond counting.  tokens: five counts in the order of CLASSES."""
        if any(t < 0 or t > TOKENS_MAX for t in tokens):
            return None
        whole_input = sum(tokens[:4])
        pico = [prices for above, prices in self.tiers if above == 0 or whole_input > above][-1]
        return self._micros(sum(t * p for t, p in zip(tokens, pico)), unit)

    def cost_of_least(self, unit):
        """The least that a request uses; by the dearest price of any tier where its own costs nothing."""
        return self.cost((1000,) * 5, unit) or self._micros(1000 * max(p for _, prices in self.tiers for p in prices), unit)

    def _micros(self, pico_dollars, unit):
        dollars = fractions.Fraction(pico_dollars, 10**12)
        currency = dollars * self.terms.margin / self.terms.rate
        amount = currency / self.terms.credit_value if unit == "credit" else currency
        micros = ceiling(amount * 10**6)
        return micros if micros <= AMOUNT_MAX else None


@dataclasses.dataclass(frozen=True)
class ActionPrice:
    version: int
    terms: Terms
    credits_micros: int

    def cost(self, quantity, unit):
        credits = fractions.Fraction(self.credits_micros * quantity)
        micros = ceiling(credits if unit == "credit" else credits * self.terms.credit_value)
        return micros if micros <= AMOUNT_MAX else None


class Book:
    """Prices in force, and those that holds were placed at."""

    def __init__(self, standard_action):
        self.now = {}     # (kind, item): price
        self.pinned = {}  # (kind, item, version): price
        self.standard_action = standard_action

    def set(self, kind, item, price):
        self.now[kind, item] = self.pinned[kind, item, price.version] = price

    def model(self, item):
        return self.now.get(("model", item))

    def action(self, item):
        return self.now.get(("action", item), self.standard_action)


# ---- rows ---------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Grant:
    seq: int
    type: str
    priority: int
    expires: int  # 0: never
    amount: int
    remaining: int


@dataclasses.dataclass
class Hold:
    seq: int
    member: str
    kind: str
    item: str
    provider: str
    source: str
    version: int
    quantity: int
    input_tokens: int
    max_output: int
    reserved: int
    labels: tuple
    expires: int


@dataclasses.dataclass
class Usage:
    hold: Hold
    state: int
    settlement: str = "none"
    outcome: int = NO_OUTCOME
    has_usage: bool = False
    tokens: tuple = (0, 0, 0, 0, 0)
    cost: int = 0
    balance: int = 0
    available: int = 0
    message: str = ""


@dataclasses.dataclass
class Entry:
    kind: int
    amount: int
    before: int
    grant: int
    usage: int
    transaction: int


@dataclasses.dataclass
class Transaction:
    seq: int
    type: str
    amount: int
    before: int
    after: int
    grant: int
    description: str


class Account:
    def __init__(self, name, holds_max, capture):
        self.name = name
        self.holds_max = holds_max
        self.capture = capture
        self.exists = False
        self.unit, self.mode, self.status, self.byok = "money", "prepaid", "active", frozenset()
        self.hard_limit = self.soft_limit = 0
        self.profile = {}
        self.members = {}  # member: (role, removed)
        self.grants, self.holds, self.usages, self.entries, self.transactions = [], [], [], [], []
        self.requests = {}  # request id: (content, answer)
        self.seq = 0  # of holds and usages
        self.now = 0

    def copy(self):
        other = copy.copy(self)
        for name in ("grants", "holds", "usages"):
            setattr(other, name, [copy.copy(row) for row in getattr(self, name)])
        for name in ("entries", "transactions"):
            setattr(other, name, list(getattr(self, name)))
        other.requests, other.members, other.profile = dict(self.requests), dict(self.members), dict(self.profile)
        return other

    def same(self, other):
        return vars(self) == vars(other)

    # -- sums --------------------------------------------------------------------------------------

    @property
    def balance(self):
        return sum(e.amount for e in self.entries)

    @property
    def held(self):
        return sum(h.reserved for h in self.holds)

    @property
    def available(self):
        return self.balance - self.held + (self.hard_limit if self.mode == "postpaid" else 0)

    @property
    def minor(self):
        """Micros of what balance, amount and cost are counted in."""
        return 10_000 if self.unit == "money" else 1_000_000

    def in_minor(self, micros):
        """As an amount with up to four decimals, rounded down."""
        return fractions.Fraction(micros * 10_000 // self.minor, 10_000)

    def hold(self, seq):
        return next((h for h in self.holds if h.seq == seq), None)

    def usage(self, seq):
        return next((u for u in self.usages if u.hold.seq == seq), None)

    # -- the journal -------------------------------------------------------------------------------

    def enter(self, kind, amount, grant=0, usage=0, transaction=0):
        self.entries.append(Entry(kind, amount, self.balance, grant, usage, transaction))

    def debit(self, amount, kind, usage=0, transaction=0):
        order = sorted(self.grants, key=lambda g: (g.priority, g.expires or NEVER, g.seq))
        for g in order:
            part = min(g.remaining, amount)
            if part:
                g.remaining -= part
                amount -= part
                self.enter(kind, -part, g.seq, usage, transaction)
        if amount:
            self.enter(kind, -amount, 0, usage, transaction)

    def credit(self, amount, kind, type, priority, expires, usage=0, transaction=0):
        debt = max(0, -self.balance)
        seq = len(self.grants) + 1
        paid = min(debt, amount)
        self.grants.append(Grant(seq, type, priority, expires, amount, amount - paid))
        self.enter(kind, amount, seq, usage, transaction)
        if paid:
            self.enter(ENTRY_DEBT, -paid, seq, usage, transaction)
            self.enter(ENTRY_DEBT, paid, 0, usage, transaction)
        return seq

    def charge_usage(self, u, cost):
        more = cost - u.cost
        if more > 0:
            self.debit(more, ENTRY_USAGE, usage=u.hold.seq)
        elif more < 0:
            self.give_back(u, -more)
        else:
            self.enter(ENTRY_RECORD, 0, 0, u.hold.seq)
        u.cost = cost

    def give_back(self, u, amount):
        """The cost that was taken last comes first: to the grant that paid, or to the debt."""
        untraced = 0
        for at, e in reversed(list(enumerate(self.entries))):
            if e.kind != ENTRY_USAGE or e.usage != u.hold.seq:
                continue
            part = min(amount, -e.amount)
            amount -= part
            if e.grant and part:
                g = self.grants[e.grant - 1]
                lacks = min(part, g.amount - g.remaining)
                untraced += part - lacks
                if lacks:
                    self.restore(g, lacks, u)
            elif part:
                untraced += self.give_back_debt(at, e, part, u)
        if amount + untraced:
            self.credit(amount + untraced, ENTRY_REVERSAL, "REFUND", 0, 0, usage=u.hold.seq)

    def give_back_debt(self, at, debt, part, u):
        """The rest of the debt is repaid; the remainder goes to the grants that have paid debt since, the first debt first."""
        owed = min(part, max(0, -self.balance))
        payers = [(e.grant, -e.amount) for e in self.entries[at:] if e.kind == ENTRY_DEBT and e.grant and e.transaction]
        end = sum(amount for _, amount in payers)
        top = min(end, -debt.before - debt.amount - owed)  # what was owed up to there is given back, from there down
        if owed:
            self.enter(ENTRY_REVERSAL, owed, 0, u.hold.seq)
        left = part - owed
        for grant, amount in reversed(payers):
            begin, g = end - amount, self.grants[grant - 1]
            share = min(max(0, min(end, top) - begin), left, g.amount - g.remaining)
            if share:
                self.restore(g, share, u)
            left -= share
            end = begin
        return left

    def restore(self, g, part, u):
        debt = max(0, -self.balance)
        g.remaining += part
        self.enter(ENTRY_REVERSAL, part, g.seq, u.hold.seq)
        if g.expires and g.expires <= self.now:
            self.transact("ALLOWANCE_EXPIRY", -g.remaining, 0, 0, "expired", grant=g)
        elif debt:
            paid = min(debt, g.remaining)
            g.remaining -= paid
            self.enter(ENTRY_DEBT, -paid, g.seq, u.hold.seq)
            self.enter(ENTRY_DEBT, paid, 0, u.hold.seq)

    def fits(self, change):
        return abs(self.balance + change) <= BALANCE_MAX

    def transact(self, type, amount, priority, expires, description, grant=None):
        before, seq = self.balance, len(self.entries) + 1
        if grant is not None:
            grant.remaining = 0
            self.enter(ENTRY_TRANSACTION, amount, grant.seq, transaction=seq)
            grant_seq = grant.seq
        elif amount > 0:
            grant_seq = self.credit(amount, ENTRY_TRANSACTION, type, priority, expires, transaction=seq)
        else:
            grant_seq = 0
            self.debit(-amount, ENTRY_TRANSACTION, transaction=seq)
        self.transactions.append(Transaction(seq, type, amount, before, self.balance, grant_seq, description))
        return self.transactions[-1]

    def end(self, hold, state):
        self.holds.remove(hold)
        u = Usage(hold, state)
        self.usages.append(u)
        return u

    def figures(self, u):
        u.balance, u.available = self.balance, self.available

    # -- time --------------------------------------------------------------------------------------

    def pass_time(self, now):
        """Events that fell due until now, in the order in which it did; at one moment holds come first, and grants
        in the order in which they would be spent."""
        self.now = now
        while True:
            due = [(h.expires, 0, 0, h.seq, h) for h in self.holds if h.expires <= now]
            due += [(g.expires, 1, g.priority, g.seq, g) for g in self.grants
                    if g.remaining and g.expires and g.expires <= now]
            if not due:
                return
            _, is_grant, _, _, it = min(due, key=lambda d: d[:4])
            if is_grant:
                self.transact("ALLOWANCE_EXPIRY", -it.remaining, 0, 0, "expired", grant=it)
                continue
            u = self.end(it, EXPIRED)
            u.tokens = (it.input_tokens, 0, 0, 0, 0)
            if self.capture and self.fits(-it.reserved):
                u.settlement = "estimated"
                self.charge_usage(u, it.reserved)
            else:
                self.charge_usage(u, 0)
            self.figures(u)


# ---- commands -----------------------------------------------------------------------------------------


def refusal(a, needed):
    if a.mode == "postpaid":
        limit = {"kind": "hard_limit", "limitMicros": a.hard_limit, "usedMicros": a.held - a.balance}
        error, code = "HARD_LIMIT_REACHED", "billing_hard_limit_reached"
    else:
        limit = {"kind": "balance", "limitMicros": a.balance, "usedMicros": a.held}
        error, code = "INSUFFICIENT_CREDITS", "insufficient_quota"
    return {"status": 402, "error": error, "code": code, "limit": limit, "neededMicros": needed,
            "availableMicros": a.available, "shortfallMicros": needed - a.available,
            "balance": a.balance // a.minor, "estimatedCost": a.in_minor(needed)}


def suspended(a):
    return {"status": 402, "error": "ACCOUNT_SUSPENDED", "limit": {"kind": "suspended"}}


def was_removed(a, member):
    return a.members.get(member, (None, False))[1]


def invalid(field):
    return {"status": 400, "error": "INVALID_REQUEST", "field": field}


def not_ok(status, error):
    return {"status": status, "error": error}


def own_provider(book, model, keys):
    price = book.model(model)
    provider = price.provider if price else {"gpt": "openai", "cla": "anthropic"}.get(model[:3], "")
    return provider if provider in keys else None


def choose(a, c, book):
    """(item, provider, source, price, reserved, output, quantity) or a refusal."""
    unit = a.unit
    if c.get("action") is not None:
        price = book.action(c["action"])
        if price is None:
            return not_ok(422, "UNKNOWN_ACTION")
        reserved = price.cost(c["quantity"], unit)
        if reserved > a.available:
            return refusal(a, reserved)
        return c["action"], "", "platform", price, reserved, 0, c["quantity"]
    keys = a.byok | set(c["byok"])
    for provider in PROVIDERS:
        for model in c["models"]:
            if provider in keys and own_provider(book, model, keys) == provider:
                return model, provider, "byok", None, 0, c["output"], 0
    least = None
    for model in c["models"]:
        price = book.model(model)
        if price is None:
            continue
        output = c["output"]
        needed = price.cost((c["input"], 0, 0, 0, output), unit)
        if needed is None:
            return invalid("maxOutputTokens")
        reserved = needed
        if needed > a.available and c["fit"]:
            output = fitting(price, unit, c["input"], output, a.available)
            reserved = price.cost((c["input"], 0, 0, 0, output), unit) if output >= 64 else None
        elif needed > a.available:
            reserved = None
        if reserved is not None:
            return model, price.provider, "platform", price, reserved, output, 0
        if least is None or needed < least:
            least = needed
    return not_ok(422, "UNKNOWN_MODEL") if least is None else refusal(a, least)


def fitting(price, unit, input, wanted, available):
    """The largest affordable output, by bisection; -1 when none is."""
    low, high = -1, wanted
    while low < high:
        middle = (low + high + 1) // 2
        cost = price.cost((input, 0, 0, 0, middle), unit)
        if cost is not None and cost <= available:
            low = middle
        else:
            high = middle - 1
    return low


def authorize(a, c, book, now):
    if a.status == "suspended":
        return suspended(a)
    if was_removed(a, c["member"]):
        return not_ok(403, "MEMBER_REMOVED")
    chosen = choose(a, c, book)
    if isinstance(chosen, dict):
        return chosen
    item, provider, source, price, reserved, output, quantity = chosen
    if len(a.holds) >= a.holds_max:
        return not_ok(429, "TOO_MANY_HOLDS")
    a.exists = True
    a.seq += 1
    a.holds.append(Hold(a.seq, c["member"], "action" if c.get("action") is not None else "model", item, provider,
                        source, price.version if price else 0, quantity, c["input"], output, reserved, c["labels"],
                        now + c["ttl"]))
    return hold_answer(a, a.holds[-1])


def hold_answer(a, h):
    said = {"status": 200, "decision": "allow", "source": h.source, "hold": public_id(a.name, h.seq),
            "reservedMicros": h.reserved, "availableMicros": a.available, "balanceMicros": a.balance,
            "priceVersion": h.version, "expiresAt": LEARN, "replayed": False}
    if h.kind == "model":
        said.update(provider=h.provider, model=h.item, maxOutputTokens=h.max_output)
    return said


def settle_cost(a, h, c, book):
    """(cost, settlement), or a refusal."""
    settlement = "partial" if c["outcome"] == "partial" else "exact"
    if h.source == "byok" or (c["outcome"] == "failed" and c["tokens"] is None):
        return 0, settlement
    if h.kind == "action":
        return h.reserved, settlement
    if c["tokens"] is None:
        return h.reserved, "estimated"
    price = book.pinned["model", h.item, h.version]
    cost = price.cost(c["tokens"], a.unit)
    # Nothing that was used costs 0, unless the model is free.
    if cost == 0 and any(c["tokens"]) and any(pico for _, prices in price.tiers for pico in prices):
        return h.reserved or price.cost_of_least(a.unit), "estimated"
    return invalid("usage") if cost is None else (cost, settlement)


def settle(a, c, book, now):
    h, u = a.hold(c["hold"]), a.usage(c["hold"])
    nothing_used = c["outcome"] == "failed" and c["tokens"] is None
    if h is None and u is None:
        return not_ok(404, "NOT_FOUND")
    if h is None and u.state != EXPIRED:
        same = (u.outcome == OUTCOMES.index(c["outcome"]) and u.has_usage == (c["tokens"] is not None)
                and u.tokens == (c["tokens"] or (0,) * 5) and u.message == c["message"])
        if same or (u.state == RELEASED and nothing_used):
            return settle_answer(a, u, True)
        return not_ok(409, "SETTLEMENT_CONFLICT")
    what = settle_cost(a, h or u.hold, c, book)
    if isinstance(what, dict):
        return what
    cost, settlement = what
    if not a.fits((u.cost if u else 0) - cost):
        return invalid("usage")
    if h is not None:
        u = a.end(h, RELEASED if nothing_used else SETTLED)
        u.settlement = settlement
    else:
        u.state, u.settlement = SETTLED, "late"
    u.outcome, u.has_usage = OUTCOMES.index(c["outcome"]), c["tokens"] is not None
    u.tokens, u.message = c["tokens"] or (0,) * 5, c["message"]
    a.charge_usage(u, cost)
    a.figures(u)
    return settle_answer(a, u, False)


def settle_answer(a, u, replayed):
    return {"status": 200, "hold": public_id(a.name, u.hold.seq), "costMicros": u.cost,
            "cost": a.in_minor(u.cost), "balanceMicros": u.balance, "availableMicros": u.available,
            # Of a hold that was released: nothing was to be paid, and exactly that was.
            "settlement": "exact" if u.settlement == "none" else u.settlement, "replayed": replayed,
            "credits": {"used": a.in_minor(u.cost), "balance": u.balance // a.minor,
                        "inputTokens": u.tokens[0], "outputTokens": u.tokens[4]}}


def release(a, c, book, now):
    h, u = a.hold(c["hold"]), a.usage(c["hold"])
    if h is None and u is None:
        return not_ok(404, "NOT_FOUND")
    if h is None and u.state != RELEASED:
        return not_ok(409, "HOLD_ENDED")
    if h is not None:
        u = a.end(h, RELEASED)
        a.charge_usage(u, 0)
        a.figures(u)
    return {"status": 200, "hold": public_id(a.name, c["hold"]), "released": True, "balanceMicros": a.balance,
            "availableMicros": a.available}


def extend(a, c, book, now):
    h = a.hold(c["hold"])
    if h is None:
        return not_ok(404, "NOT_FOUND") if a.usage(c["hold"]) is None else not_ok(409, "HOLD_ENDED")
    reserved, output = h.reserved, c["output"] or h.max_output
    if h.source == "platform" and h.kind == "model" and output != h.max_output:
        reserved = book.pinned["model", h.item, h.version].cost((h.input_tokens, 0, 0, 0, output), a.unit)
        if reserved is None:
            return invalid("maxOutputTokens")
    if a.status == "suspended":
        return suspended(a)
    if was_removed(a, h.member):
        return not_ok(403, "MEMBER_REMOVED")
    more = reserved - h.reserved
    # As if it were placed now; only what makes it smaller, and no longer, is free.
    if h.source == "platform" and more > a.available and (more >= 0 or c["ttl"]):
        return refusal(a, max(more, 0))
    h.reserved, h.max_output = reserved, output
    if c["ttl"]:
        h.expires = now + c["ttl"]
    return hold_answer(a, h)


def charge(a, c, book, now):
    if a.status == "suspended":
        return suspended(a)
    if was_removed(a, c["member"]):
        return not_ok(403, "MEMBER_REMOVED")
    price = book.action(c["action"])
    if price is None:
        return not_ok(422, "UNKNOWN_ACTION")
    cost = price.cost(c["quantity"], a.unit)
    if cost > a.available:
        return refusal(a, cost)
    a.exists = True
    a.seq += 1
    h = Hold(a.seq, c["member"], "action", c["action"], "", "platform", price.version, c["quantity"], 0, 0, cost,
             c["labels"], now)
    u = Usage(h, SETTLED, "exact", OUTCOMES.index("complete"))
    a.usages.append(u)
    a.charge_usage(u, cost)
    a.figures(u)
    return {"status": 200, "success": True, "costMicros": cost, "balanceMicros": a.balance,
            "availableMicros": a.available, "creditsConsumed": a.in_minor(cost),
            "creditsRemaining": a.in_minor(a.available), "replayed": False}


def transaction(a, c, book, now):
    priority, amount = TRANSACTIONS[c["type"]][2], c["amount"]
    if not a.fits(amount):
        return invalid("amountMicros")
    expires = c["_expires"]
    if expires and (amount < 0 or expires <= now):
        return invalid("expiresAt")
    a.exists = True
    t = a.transact(c["type"], amount, priority if c["priority"] is None else c["priority"], expires,
                   c["description"])
    return {"status": 200, "balanceMicros": a.balance, "availableMicros": a.available, "replayed": False,
            "transaction": {"id": public_id(a.name, t.seq), "type": t.type, "amountMicros": t.amount,
                            "amount": t.amount // a.minor, "balanceBefore": t.before // a.minor,
                            "balanceAfter": t.after // a.minor, "balanceAfterMicros": t.after, "description": t.description}}


def check(a, c, book, now):
    if a.status == "suspended":
        return gate(suspended(a))
    if was_removed(a, c["member"]):
        return gate(not_ok(403, "MEMBER_REMOVED"))
    needed = 1
    if c["model"]:
        if own_provider(book, c["model"], a.byok):
            return {"status": 204, "availableMicros": a.available}
        price = book.model(c["model"])
        if price is None:
            return gate(not_ok(422, "UNKNOWN_MODEL"))
        needed = price.cost((c["input"], 0, 0, 0, c["output"]), a.unit)
    if needed > a.available:
        return gate(refusal(a, needed))
    return {"status": 204, "availableMicros": a.available}


def gate(refused):
    """The answer to a web server's auth_request: 403, and its reason in headers."""
    return {"status": 403, "octroiStatus": refused["status"], "error": refused["error"]}


def change_account(a, c, book, now):
    fields = c["fields"]
    if a.exists and fields.get("unit", a.unit) != a.unit and (a.entries or a.seq):
        return not_ok(409, "ACCOUNT_CONFLICT")
    a.exists = True
    a.unit, a.mode = fields.get("unit", a.unit), fields.get("mode", a.mode)
    a.hard_limit, a.soft_limit = fields.get("hardLimitMicros", a.hard_limit), fields.get("softLimitMicros", a.soft_limit)
    a.status, a.byok = fields.get("status", a.status), frozenset(fields.get("byok", a.byok))
    a.profile.update({k: v for k, v in fields.items() if k in ("email", "name", "locale", "timeZone")})
    return {"status": 200}


def member(a, c, book, now):
    role, removed = a.members.get(c["member"], (None, True))
    if c["remove"] and removed:
        return not_ok(404, "NOT_FOUND")
    a.exists = True
    a.members[c["member"]] = (role, True) if c["remove"] else (c["role"], False)
    return {"status": 200}


def look(a, c, book, now):
    a.exists = True
    return {"status": 200, "account": a.name, "unit": a.unit, "mode": a.mode, "balanceMicros": a.balance,
            "balance": a.balance // a.minor, "heldMicros": a.held, "availableMicros": a.available,
            "hasByok": bool(a.byok), "accountStatus": a.status}


COMMANDS = {"authorize": authorize, "settle": settle, "release": release, "extend": extend, "charge": charge,
            "check": check,
            "transaction": transaction, "account": change_account, "member": member, "look": look}


def malformed(c):
    """Faults that no account's state can make right, refused before the ledger is asked."""
    if c["command"] == "transaction":
        sign, amount = TRANSACTIONS[c["type"]][1], c["amount"]
        if amount == 0 or abs(amount) > AMOUNT_MAX or amount * sign < 0:
            return invalid("amountMicros")
    return None


def hold_state(a, name):
    """The state of a hold by now."""
    states = {SETTLED: "settled", RELEASED: "released", EXPIRED: "expired"}
    return next((states[u.state] for u in a.usages if public_id(a.name, u.hold.seq) == name), "open")


def apply(a, c, book, now):
    """Decides a command on the account; the answer.  Members that begin with "_" are not what makes two
    requests the same."""
    wrong = malformed(c)
    if wrong:
        return wrong
    a.pass_time(now)
    rid = c.get("request_id")
    content = {k: v for k, v in c.items() if k != "request_id" and k[0] != "_"}
    if rid is not None and rid in a.requests:
        known, answer = a.requests[rid]
        if known != content:
            return not_ok(409, "CONFLICT")
        became = {"holdState": hold_state(a, answer["hold"])} if c["command"] == "authorize" else {}
        return {**answer, "replayed": True, **became}
    answer = COMMANDS[c["command"]](a, c, book, now)
    if rid is not None and answer["status"] == 200:
        a.requests[rid] = (content, answer)
    return answer

"""Random histories of an account with a plan, by seed: commands as the driver reads them, each with what the naive
account says of it."""

import datetime
import random

import periods_oracle as oracle
import periods_zone as zones

DAY = zones.DAY
HOUR = DAY // 24
SECOND = zones.US
ZONES = ("UTC", "Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "America/Sao_Paulo",
         "Africa/Cairo", "Asia/Kathmandu")
PEOPLE = ("ann", "bob", "eve", "joe")
STEPS = 40


class History:
    def __init__(self, seed, steps=STEPS):
        self.seed = seed
        self.rng = r = random.Random(seed)
        self.zone = r.choice(ZONES)
        self.capture = r.random() < 0.3
        self.postpaid = r.random() < 0.25
        self.subscribed = r.random() < 0.4  # the plan comes and goes with subscriptions
        self.subscriptions = 0
        self.now = self.beginning()
        least, grace = r.choice((1, 1, 30)), r.choice((0, 3 * DAY))
        self.account = oracle.Account(self.zone, self.capture, least, grace)
        self.lines = [f"history {self.zone} capture={self.capture:d} min={least} grace={grace}"]
        self.times = []     # of commands
        self.expected = []  # (line, what is to be answered)
        self.versions = 0
        for name in ("small", "great", "other"):
            self.edit_plan(name)
        self.do("account unit=credit", lambda: self.make())
        if r.random() < 0.7:
            self.change_zone()
        if r.random() < 0.7:
            self.give()
        if self.postpaid:
            self.mode()
        for _ in range(steps):
            self.step()
        self.touch()

    def beginning(self):
        """Also just before something that clocks do."""
        r = self.rng
        if r.random() < 0.3:
            year, month, day = r.choice(((2011, 12, 20), (2024, 1, 29), (2024, 2, 27), (2023, 4, 25), (2018, 10, 30),
                                         (2024, 3, 29), (2024, 10, 25), (2025, 3, 7), (2010, 10, 30), (2027, 12, 30)))
        else:
            year, month, day = r.randrange(2006, 2032), r.randrange(1, 13), r.randrange(1, 29)
        return zones.wall_of(datetime.datetime(year, month, day)) + r.randrange(DAY)

    # ---- one command -----------------------------------------------------------------------------------

    def do(self, line, play, refresh=True):
        a = self.account
        if refresh:
            a.refresh(self.now)
        answer = play()
        text = f"{self.now} {line}"
        self.lines.append(text)
        self.times.append(self.now)
        self.expected.append((text, f"{answer or 'OK'} || {a.state(self.now)}"))

    def make(self):
        self.account.exists, self.account.created = True, self.now

    def pass_time(self):
        r, a = self.rng, self.account
        moments = [a.run.end if a.run else 0, a.day(self.now)[1], a.month(self.now)[1], a.statement_at, a.suspend_at]
        moments += [h.expires for h in a.open_holds()]
        moments = [m for m in moments if self.now < m < self.now + 400 * DAY]
        kind = r.random()
        if kind < 0.3 and moments:
            self.now = max(self.now, r.choice(moments) + r.choice((-SECOND, -1, 0, 0, 1, SECOND)))
        elif kind < 0.5:
            self.now += r.choice((0, 1, r.randrange(60 * SECOND), r.randrange(HOUR)))
        elif kind < 0.75:
            self.now += r.randrange(3 * DAY)
        elif kind < 0.93:
            self.now += r.randrange(40 * DAY)
        else:
            self.now += r.randrange(500 * DAY)

    def step(self):
        self.pass_time()
        kinds = {"authorize": 22, "settle": 16, "release": 3, "extend": 6, "charge": 14, "give": 9, "take": 2,
                 "plan": 9, "edit": 3, "zone_change": 2, "member": 12, "remove": 3, "person_limits": 5, "limits": 4,
                 "suspend": 1, "touch": 4}
        if self.postpaid:
            kinds |= {"mode": 2, "statement": 2, "charge_statement": 14, "give": 2, "plan": 3}
        self.account.refresh(self.now)
        getattr(self, self.rng.choices(list(kinds), list(kinds.values()))[0])()

    # ---- plans -----------------------------------------------------------------------------------------

    def edit_plan(self, name):
        r = self.rng
        self.versions += 1
        some = lambda *values: r.choice(values)
        scope = r.randrange(3)
        p = oracle.Plan(name, self.versions, self.now, scope,
                        pool=0 if scope == oracle.SEAT else some(0, 10, 100, 100, 500, 1000),
                        manager=0 if scope == oracle.POOL else some(0, 20, 50),
                        member=0 if scope == oracle.POOL else some(0, 10, 30, 100),
                        managers_to=some(0, 1, 1, 2), seats_to=some(0, 0, 1, 2, 3),
                        rollover=some(0, 0, 0, 15, 100, 10_000), action=some(0, 0, 1, 3),
                        models=some((), (), (), ("m",), ("x",)))
        self.account.plans.append(p)
        line = (f"plan {name} version={p.version} starts={p.starts_at} scope={scope} pool={p.pool} manager={p.manager}"
                f" member={p.member} managers_to={p.managers_to} seats_to={p.seats_to} rollover={p.rollover}"
                f" action={p.action}") + (f" model={p.models[0]}" if p.models else "")
        self.lines.append(line)

    def edit(self):
        self.now += 1  # what began this very moment began without it
        self.edit_plan(self.rng.choice(("small", "great", "other")))

    def plan(self):
        r, a, name = self.rng, self.account, self.rng.choice(("small", "great", "other", "small", "great", "other", ""))
        if self.subscribed:
            self.subscribe(name)
        elif r.random() < 0.05:
            self.do("account plan=nobody", lambda: a.check_plan("nobody", self.now))
        else:
            self.do(f"account plan={name}", lambda: self.set_plan(name, 0))

    def subscribe(self, name):
        """The last one ends, with its period; where none runs another is paid, a month's or a year's."""
        r, a = self.rng, self.account
        if self.subscriptions:
            self.do(f"subscription sub=s{self.subscriptions}", a.unsubscribe)
        if not name or a.run is not None:
            return
        self.subscriptions += 1
        months = r.choice((1, 1, 3, 12))
        start = self.now - r.choice((0, SECOND, r.randrange(3 * DAY), r.randrange(27 * DAY)))
        until = zones.add_months(start, months)
        sub = f"sub=s{self.subscriptions} plan={name} start={start}"
        self.do(f"subscription {sub}", lambda: None)
        self.do(f"pays {sub} end={until}", lambda: a.pay_plan(name, self.now, start, months))

    def set_plan(self, name, anchor):
        refused = self.account.check_plan(name, self.now)
        if refused != "OK":
            return refused
        self.account.set_plan(name, self.now, anchor)

    def zone_change(self):
        if self.rng.random() < 0.5:
            self.change_zone()

    def change_zone(self):
        name = self.rng.choice(ZONES)
        self.do(f"account zone={name}", lambda: self.account.set_zone(name, self.now))

    # ---- people ----------------------------------------------------------------------------------------

    def member(self):
        r, a, name = self.rng, self.account, self.rng.choice(PEOPLE)
        role = r.choice((0, 0, 0, 1))
        self.do(f"member {name} role={role}", lambda: a.put_member(name, self.now, role))

    def remove(self):
        name = self.rng.choice(PEOPLE)
        self.do(f"member {name} remove=1", lambda: self.account.remove_member(name))

    def person_limits(self):
        r, a, name = self.rng, self.account, self.rng.choice(PEOPLE)
        limits = {limit: r.choice((-1, 0, 5, 30, 200)) for limit in ("limit", "daily", "monthly") if r.random() < 0.5}
        self.do(f"member {name} " + " ".join(f"{k}={v}" for k, v in limits.items()),
                lambda: a.put_member(name, self.now, None, **limits))

    def limits(self):
        r, a = self.rng, self.account
        limits = {limit: r.choice((-1, 0, 20, 100, 400)) for limit in ("daily", "monthly") if r.random() < 0.7}
        if not limits:
            return self.touch()
        counted = a.counted(self.now) if max(limits.values()) >= 0 else [0, 0]
        self.do(f"account today={counted[0]} this_month={counted[1]} " + " ".join(f"{k}={v}" for k, v in limits.items()),
                lambda: a.limits(self.now, counted, **limits))

    def suspend(self):
        a, on = self.account, self.rng.random() < 0.5

        def play():
            a.status = "suspended" if on else "active"
        self.do(f"account suspended={on:d}", play)
        if on:
            self.now += SECOND
            on = False
            self.do("account suspended=0", play)

    def touch(self):
        self.do("touch", lambda: None)

    # ---- spending --------------------------------------------------------------------------------------

    def somebody(self):
        return self.rng.choice(("", *PEOPLE))

    def amount(self, member):
        """Often exactly what is left, or one off."""
        r = self.rng
        left = self.account.verdict(member, self.now)[0]
        return max(0, r.choice((left, left, left - 1, left + 1, left // 2, left // 3, r.randrange(50), r.randrange(500))))

    def authorize(self):
        r, a, member = self.rng, self.account, self.somebody()
        models = r.choice(("m", "m", "m", "x", "x,m", "m,x"))
        amount = self.amount(member)
        output = r.choice((0, amount // 2, amount))
        ttl = r.choice((10 * SECOND, HOUR, DAY, DAY, 40 * DAY))
        fit = r.choice((0, 0, 0, 1, 10))
        self.do(f"authorize {models} in={amount - output} out={output} ttl={ttl}" + (f" member={member}" if member else "")
                + (f" fit={fit}" if fit else ""),
                lambda: a.authorize(self.now, models.split(","), amount - output, output, ttl, member, fit))

    def some_hold(self):
        a, r = self.account, self.rng
        open_ones = [h.seq for h in a.open_holds()]
        return r.choice(open_ones) if open_ones and r.random() < 0.8 else r.randrange(1, len(a.holds) + 2)

    def settle(self):
        r, a, seq = self.rng, self.account, self.some_hold()
        if not a.open_holds() and r.random() < 0.6:
            return self.authorize()
        h = a.holds.get(seq)
        most = h.reserved if h else 5
        tokens = r.choice((None, 0, 1, most // 2, most, most, most, most * 2 + r.randrange(3), most + r.randrange(200)))
        self.do(f"settle {seq}" + ("" if tokens is None else f" tokens={tokens}"), lambda: a.settle(self.now, seq, tokens))

    def release(self):
        seq = self.some_hold()
        self.do(f"release {seq}", lambda: self.account.release(self.now, seq))

    def extend(self):
        r, a, seq = self.rng, self.account, self.some_hold()
        h = a.holds.get(seq)
        left = a.verdict(h.member, self.now)[0] if h else 0
        ttl = r.choice((0, HOUR, 40 * DAY))
        output = r.choice((0, 1, max(0, (h.reserved - h.input if h else 0) + left + r.choice((-1, 0, 1)))))
        if ttl or output:
            self.do(f"extend {seq} ttl={ttl} out={output}", lambda: a.extend(self.now, seq, ttl, output))

    def charge(self):
        a, member = self.account, self.somebody()
        each = a.run.plan.action if a.run is not None and a.run.plan.action else 1
        quantity = max(1, self.amount(member) // each)
        self.do(f"charge {quantity}" + (f" member={member}" if member else ""), lambda: a.charge(self.now, quantity, member))

    # ---- money -----------------------------------------------------------------------------------------

    def give(self):
        r, a = self.rng, self.account
        type = r.choice(("TOP_UP", "PROMO_BONUS", "ADJUSTMENT"))
        amount = r.choice((1, 50, 300, 2000))
        expires = r.choice((0, 0, self.now + r.randrange(1, 100 * DAY), a.run.end if a.run else 0))
        if expires <= self.now:
            expires = 0
        self.do(f"give {type} {amount} expires={expires}", lambda: self.book(type, amount, expires))

    def take(self):
        amount = -self.rng.choice((1, 50, max(1, self.account.balance())))
        self.do(f"give ADJUSTMENT {amount}", lambda: self.book("ADJUSTMENT", amount, 0))

    def book(self, type, amount, expires):
        self.account.exists = True
        self.account.transact(type, amount, self.now, expires=expires)

    def mode(self):
        a, on = self.account, self.rng.random() < 0.8
        hard = self.rng.choice((0, 100, 1000, 5000))

        def play():
            a.set_mode(self.now, on)
            a.hard = hard
        self.do(f"account postpaid={on:d} hard={hard}", play)

    def statement(self):
        self.do("statement", lambda: self.account.state_now(self.now))

    def charge_statement(self):
        """One step of those that charge a statement; any may be repeated."""
        r, a = self.rng, self.account
        if not a.statements:
            return self.charge()
        t = r.choice(a.statements[-3:])
        kind = r.random()
        if kind < 0.25:
            self.do(f"begin {t.seq}", lambda: a.begin_charge(t.seq))
        elif kind < 0.5 or not t.invoice:
            self.do(f"sent {t.seq}", lambda: a.sent(t.seq))
        elif kind < 0.7:
            self.do(f"declined {t.seq} attempt={t.failures}", lambda: a.declined(t.seq, self.now))
        else:
            self.do(f"paid {t.seq} minor={t.minor}", lambda: a.pay(t.seq, self.now))

    # ---- the same, looked at more often ----------------------------------------------------------------

    def idle_lines(self):
        """The lines with touches in between."""
        r = random.Random(self.seed)
        out, last = [], None
        for line in self.lines:
            first = line.split(" ", 1)[0]
            if first.isdigit():
                at = int(first)
                if last is not None and at > last:
                    out += [f"{t} touch" for t in sorted(r.randrange(last, at) for _ in range(r.randrange(3)))]
                last = at
            out.append(line)
        return out

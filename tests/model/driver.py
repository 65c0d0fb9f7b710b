"""Random commands against octroi and the naive ledger, answers compared one by one, tables at the end.

A step sends commands to several accounts at once, up to three of them to one account; what the commands
of one account were answered must be what the naive ledger answers in some order of theirs; where several
orders explain the answers, each of them is followed up, until later answers or the tables tell.  Time is
made to pass by setting back what is due in the database.  Due times are laid out so that no answer
depends on how long the run itself takes: time passes in thousands of seconds, holds end half way between
(500), grants expire at three quarters (750), and a run takes less than 200 s.
"""

import collections
import datetime
import fractions
import hashlib
import itertools
import json
import os
import random
import subprocess
import time
import urllib.parse

import guard
import oracle
from oracle import LEARN

US = 1_000_000
SLACK_US = 5_000  # answers tell times in milliseconds
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
HOLDS_MAX = 6
ESTIMATE = (500, 2000)  # input and output tokens of a request that does not say
STANDARD_TERMS = oracle.Terms(fractions.Fraction("1.05"), fractions.Fraction("1.08"), fractions.Fraction("0.01"))
SETTINGS = {"holds_max": HOLDS_MAX}

MODELS = {"sim-openai": "openai", "sim-anthropic": "anthropic", "sim-mistral": "mistral", "sim-other": "somebody"}
UNPRICED = ("gpt-sim-unpriced", "claude-sim-unpriced", "sim-unpriced")
ACTIONS = ("sim-action", "sim-other-action", "sim-unlisted")

TIERS = (100, 1000, 2000)  # tokens above which a price may change

_serial = itertools.count(1)


class Mismatch(AssertionError):
    pass


def parse_time(text):
    at = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return (at - EPOCH) // datetime.timedelta(microseconds=1)


def format_time(us):
    return (EPOCH + datetime.timedelta(microseconds=us // 1000 * 1000)).strftime("%Y-%m-%dT%H:%M:%S.") + (
        f"{us // 1000 % 1000:03d}Z")


class Sql:
    """One session of the database's root, kept open."""

    def __init__(self, o):
        self._process = subprocess.Popen(
            ["mariadb", "--no-defaults", "--unbuffered", "--socket", o.env["OCTROI_DB_SOCKET"], "-u", "root", "-N",
             "-B", "--binary-mode", o.env["OCTROI_DB_NAME"]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, errors="replace")

    def run(self, text):
        """The rows of all statements, as tuples of text."""
        self._process.stdin.write(text + ";\nSELECT 'end of rows';\n")
        self._process.stdin.flush()
        rows = []
        while True:
            line = self._process.stdout.readline()
            assert line, f"the database refused: {text}"
            if line == "end of rows\n":
                return rows
            rows.append(tuple(line.rstrip("\n").split("\t")))

    def close(self):
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


# ---- commands as HTTP -----------------------------------------------------------------------------------


def usage_object(rng, tokens):
    """Equal counts as one of the providers would put them; None where none can."""
    new, read, write, hour, out = tokens
    shapes = [None]
    if not hour:
        shapes.append({"prompt_tokens": new + read + write, "completion_tokens": out,
                       "prompt_tokens_details": {"cached_tokens": read, "cache_write_tokens": write}})
        shapes.append({"input_tokens": new, "cache_read_input_tokens": read, "cache_creation_input_tokens": write,
                       "output_tokens": out})
    else:
        shapes = []
    if not hour and not write:
        shapes.append({"input_tokens": new + read, "input_tokens_details": {"cached_tokens": read},
                       "output_tokens": out})
        shapes.append({"promptTokenCount": new + read, "cachedContentTokenCount": read, "candidatesTokenCount": out})
    shapes.append({"input_tokens": new, "cache_read_input_tokens": read, "output_tokens": out,
                   "cache_creation_input_tokens": write + hour,
                   "cache_creation": {"ephemeral_5m_input_tokens": write, "ephemeral_1h_input_tokens": hour}})
    return rng.choice(shapes)


def settlement_body(name, c):
    body = {"hold": oracle.public_id(name, c["hold"])}
    if c["shape"] is not None:
        body["usage"] = c["shape"]
    if c["tokens"] is not None:
        if c["shape"] is None:
            body.update(zip(("inputTokens", "cacheReadTokens", "cacheWriteTokens"), c["tokens"]),
                        outputTokens=c["tokens"][4])
    if c["outcome"] != "complete" or c["spelled"]:
        body["outcome"] = c["outcome"]
    if c["message"]:
        body["messageId"] = c["message"]
    return body


def _authorize_body(name, c):
    body = {"account": name, "ttlSeconds": c["ttl"] // US}
    if c["action"] is not None:
        body.update(action=c["action"], quantity=c["quantity"])
    else:
        body.update({"model": c["models"][0]} if len(c["models"]) == 1 else {"models": list(c["models"])})
        if (c["input"], c["output"]) != ESTIMATE:
            body.update(inputTokens=c["input"], maxOutputTokens=c["output"])
        if c["fit"]:
            body["fit"] = True
        if c["byok"]:
            body["byok"] = sorted(c["byok"])
    return body


def _with_labels(body, c):
    for field, value in zip(("conversationId", "messageId", "metadata"), c["labels"]):
        if value:
            body[field] = json.loads(value) if field == "metadata" else value
    if c["member"]:
        body["member"] = c["member"]
    if c.get("request_id"):
        body["requestId"] = c["request_id"]
    return body


def to_http(name, c):
    """(method, path, scope, body) of a command."""
    kind, quoted = c["command"], urllib.parse.quote(name, safe="")
    if kind == "authorize":
        return "POST", "/api/guard/authorize", "guard", _with_labels(_authorize_body(name, c), c)
    if kind == "charge":
        body = {"account": name, "action": c["action"], "quantity": c["quantity"]}
        return "POST", "/api/guard/charge", "guard", _with_labels(body, c)
    if kind == "settle":
        return "POST", "/api/guard/settle", "guard", settlement_body(name, c)
    if kind == "release":
        return "POST", "/api/guard/release", "guard", {"hold": oracle.public_id(name, c["hold"])}
    if kind == "extend":
        body = {"hold": oracle.public_id(name, c["hold"])}
        body.update({"ttlSeconds": c["ttl"] // US} if c["ttl"] else {})
        body.update({"maxOutputTokens": c["output"]} if c["output"] else {})
        return "POST", "/api/guard/extend", "guard", body
    if kind == "check":
        query = f"account={quoted}" + "".join(f"&{name}={c[name]}" for name in ("member", "model") if c[name])
        return "GET", "/api/guard/check?" + query, "guard", None
    if kind == "transaction":
        body = {"type": c["type"], "amountMicros": c["amount"], "description": c["description"],
                "requestId": c["request_id"]}
        body.update({"expiresAt": c["expires"]} if c["expires"] else {})
        body.update({"priority": c["priority"]} if c["priority"] is not None else {})
        return "POST", f"/api/accounts/{quoted}/transactions", "admin", body
    if kind == "account":
        fields = {k: sorted(v) if k == "byok" else v for k, v in c["fields"].items()}
        return "PUT", f"/api/accounts/{quoted}", "app", fields
    if kind == "member":
        method, body = ("DELETE", None) if c["remove"] else ("PUT", {"role": c["role"]})
        return method, f"/api/accounts/{quoted}/members/{c['member']}", "app", body
    assert kind == "look", kind
    return "GET", f"/api/credits?account={quoted}", "app", None


def observed(c, answer):
    """An HTTP answer in the words of the naive ledger."""
    said = json.loads(answer.body, parse_float=fractions.Fraction) if answer.body else {}
    if c["command"] == "check":
        headers = answer.headers
        if answer.status == 204:
            return {"status": 204, "availableMicros": int(headers["x-octroi-available-micros"])}
        return {"status": answer.status, "octroiStatus": int(headers["x-octroi-status"]), "error": said["error"]}
    if c["command"] == "look":
        said["accountStatus"] = said.pop("status")
    return {**said, "status": answer.status}


def differs(expected, found, path=""):
    """The first field of expected that found says otherwise, or None."""
    if isinstance(expected, dict):
        if not isinstance(found, dict):
            return f"{path or 'answer'}: {found!r}"
        for name, value in expected.items():
            if name not in found:
                return f"{path}{name}: not said"
            wrong = differs(value, found[name], f"{path}{name}.")
            if wrong:
                return wrong
        return None
    if expected is LEARN:
        return None
    return None if expected == found else f"{path.rstrip('.')}: expected {expected}, found {found!r}"


# ---- random commands ------------------------------------------------------------------------------------


class Generator:
    """Commands that are likely to matter in the state that an account is in."""

    def __init__(self, rng):
        self.rng = rng
        self.sent = {}  # account: commands with a request id, and settlements

    def count(self, top):
        """Small numbers mostly, sometimes large ones, often those at which a tier of prices ends."""
        r = self.rng
        return r.choice((0, 1, r.randrange(20), r.randrange(1000), r.randrange(top), top, r.choice(TIERS)))

    def labels(self):
        r = self.rng
        return (r.choice(("", "", "c1", "c2")), r.choice(("", "", "m1")), r.choice(("", "", '{"k":1}', '{"k":[2,"é"]}')))

    def tokens(self):
        r = self.rng
        if r.random() < 0.4:
            return (self.count(3000), 0, 0, 0, self.count(3000))
        return tuple(self.count(3000) if r.random() < p else 0 for p in (0.9, 0.4, 0.3, 0.2, 0.9))

    def command(self, a):
        r = self.rng
        known = self.sent.setdefault(a.name, [])
        if known and r.random() < 0.2:
            c = dict(r.choice(known))
            return self.mutated(c) if r.random() < 0.3 else c
        kind = r.choices(("authorize", "settle", "release", "extend", "charge", "check", "transaction", "account",
                          "member", "look"), (30, 25, 5, 6, 8, 4, 12, 2, 2, 6))[0]
        c = getattr(self, kind)(a)
        if c.get("request_id") or kind == "settle":
            known.append(c)
            del known[:-12]
        return c

    def mutated(self, c):
        """An equal request but for one thing."""
        r = self.rng
        kind = c["command"]
        what = r.choice({"settle": ("outcome", "message", "tokens"), "transaction": ("amount", "priority"),
                         "charge": ("quantity", "labels", "member"),
                         "authorize": ("quantity", "labels", "member", "input", "output", "fit", "ttl", "byok")}[kind])
        if c.get("action") is not None and what in ("input", "output", "fit", "byok") or c.get("action") is None and (
                what == "quantity") or c.get("amount", 0) < 0 and what == "priority":
            return c
        other = {"outcome": oracle.OUTCOMES, "message": ("", "m9"), "tokens": (self.tokens(), None), "amount": (c.get("amount", 0) * 2,),
                 "priority": (7, None), "quantity": (1, 2), "labels": (self.labels(),), "member": ("", "user:9"), "input": (7,),
                 "output": (7,), "fit": (True,), "ttl": (2500 * US,), "byok": (frozenset({"gemini"}),)}
        c[what] = r.choice(other[what])
        if what == "tokens":
            c["shape"] = None
            c["tokens"] = c["tokens"] and (*c["tokens"][:3], 0, c["tokens"][4])  # an hour's writes need a shape
        return c

    def request_id(self):
        return self.rng.choice((None, None, f"r{self.rng.randrange(10**6)}"))

    def authorize(self, a):
        r = self.rng
        action = r.choice(ACTIONS) if r.random() < 0.2 else None
        names = r.sample((*MODELS, *MODELS, *UNPRICED), r.choice((1, 1, 1, 2, 4)))
        said = r.random() < 0.8
        return {"command": "authorize", "request_id": self.request_id(), "member": r.choice(("", "", "user:1")),
                "action": action, "quantity": r.choice((1, 2, 7)) if action else 1,
                "models": () if action else tuple(dict.fromkeys(names)), "fit": not action and r.random() < 0.2,
                "input": 0 if action else self.count(5000) if said else ESTIMATE[0],
                "output": 0 if action else self.count(5000) if said else ESTIMATE[1],
                "byok": frozenset() if action or r.random() < 0.9 else frozenset(r.sample(oracle.PROVIDERS, 2)),
                "ttl": r.choice((500, 500, 1500, 4500, 85500)) * US, "labels": self.labels()}

    def hold_of(self, a):
        r = self.rng
        if a.holds and r.random() < 0.7:
            return r.choice(a.holds).seq
        return r.randrange(1, a.seq + 2)

    def settle(self, a):
        r = self.rng
        tokens = self.tokens() if r.random() < 0.8 else None
        shape = usage_object(r, tokens) if tokens else None
        # A provider's object in which nothing is counted is no usage; the caller's own zeros are.
        return {"command": "settle", "hold": self.hold_of(a), "tokens": tokens if shape is None or any(tokens) else None,
                "shape": shape, "spelled": r.random() < 0.2,
                "outcome": r.choices(oracle.OUTCOMES, (6, 2, 2))[0], "message": r.choice(("", "", "m1"))}

    def release(self, a):
        return {"command": "release", "hold": self.hold_of(a)}

    def extend(self, a):
        r = self.rng
        ttl, output = r.choice(((1500, 0), (4500, 0), (500, self.count(5000)), (0, 1 + self.count(5000))))
        return {"command": "extend", "hold": self.hold_of(a), "ttl": ttl * US, "output": output}

    def charge(self, a):
        r = self.rng
        return {"command": "charge", "request_id": self.request_id(), "member": r.choice(("", "user:2")),
                "action": r.choice(ACTIONS), "quantity": r.choice((1, 1, 2, 30)), "labels": self.labels()}

    def check(self, a):
        return {"command": "check", "member": self.rng.choice(("", "", "user:1")), "model": self.rng.choice(("", *MODELS, *UNPRICED)), "input": ESTIMATE[0],
                "output": ESTIMATE[1]}

    def transaction(self, a):
        r = self.rng
        type = r.choice([t for t in oracle.TRANSACTIONS if t != "ALLOWANCE_EXPIRY"])
        sign = oracle.TRANSACTIONS[type][1] or r.choice((1, 1, 1, 1, 1, -1))
        amount = sign * max(1, r.choice((self.count(10_000), self.count(1_000_000), self.count(10_000_000),
                                         r.randrange(10_000_000), abs(a.balance))))
        if r.random() < 0.02:
            amount = sign * oracle.AMOUNT_MAX
        c = {"command": "transaction", "request_id": f"t{r.randrange(10**6)}", "type": type, "amount": amount,
             "priority": None, "expires": None, "description": "d"}
        if amount > 0:
            c["priority"] = r.choice((None, None, 10, 50, 60))
            c["_life"] = r.choice((0, 0, 750, 1750, 4750, 20750))
        return c

    def account(self, a):
        r = self.rng
        fields = {"mode": r.choice(("prepaid", "prepaid", "postpaid")), "unit": r.choice(("money", "credit")),
                  "byok": frozenset(r.sample(oracle.PROVIDERS, r.choice((0, 0, 0, 1, 2)))),
                  "hardLimitMicros": self.count(1_000_000), "softLimitMicros": self.count(1_000_000), "name": f"n{r.randrange(9)}",
                  "status": r.choice(("active", "active", "active", "suspended"))}
        return {"command": "account", "fields": {k: v for k, v in fields.items() if r.random() < 0.4}}

    def member(self, a):
        r = self.rng
        return {"command": "member", "member": r.choice(("user:1", "user:2")), "remove": r.random() < 0.4,
                "role": r.choice(("manager", "member"))}

    def look(self, a):
        return {"command": "look"}


# ---- a run ----------------------------------------------------------------------------------------------


class Run:
    def __init__(self, o, swarm, sql, seed, capture, accounts=4, serial=False):
        self.o, self.swarm, self.sql, self.seed, self.serial = o, swarm, sql, seed, serial
        self.rng = random.Random(seed)
        self.generator = Generator(self.rng)
        self.started = time.time_ns() // 1000
        self.passed = 0  # microseconds that were made to pass
        self.ends = collections.Counter()  # (command, status): how often
        self.trace = []
        # name: the states in which the account may be, one mostly
        self.states = {}
        for _ in range(accounts):
            name = f"sim:{seed}.{os.getpid()}.{next(_serial)}"
            self.states[name] = [oracle.Account(name, HOLDS_MAX, capture)]
        standard = oracle.ActionPrice(0, STANDARD_TERMS, 1_000_000)
        self.book = oracle.Book(standard)
        self.change_prices(list(MODELS) + list(ACTIONS[:2]))

    def now(self):
        """The time that what is due is measured by."""
        return time.time_ns() // 1000 + self.passed

    # -- prices ------------------------------------------------------------------------------------

    def change_prices(self, items):
        r = self.rng
        version = int(self.sql.run("SELECT COALESCE(MAX(id), 0) + 1 FROM price_versions")[0][0])
        ppm = [r.choice((1_000_000, 1_050_000, r.randrange(1, 3_000_000))), r.choice((1_000_000, 1_080_000)),
               r.choice((10_000, 1_000_000, 7_777))]
        terms = oracle.Terms(*(fractions.Fraction(n, 10**6) for n in ppm))
        rows = []
        for item in items:
            if item in MODELS:
                tiers = [(above, tuple(r.choice((0, r.randrange(100), r.randrange(1_000_000), r.randrange(20_000_000))) for _ in range(5)))
                         for above in sorted({0, *r.choice(((), TIERS[:1], TIERS[1:2], TIERS))})]
                self.book.set("model", item, oracle.ModelPrice(version, MODELS[item], terms, tuple(tiers)))
                text = json.dumps([[above, *prices] for above, prices in tiers], separators=(",", ":"))
                rows.append(f"(0, '{item}', {version}, '{MODELS[item]}', 0, '{text}')")
            else:
                credits = r.choice((0, 1, 500_000, 1_000_000, 3_000_000))
                self.book.set("action", item, oracle.ActionPrice(version, terms, credits))
                rows.append(f"(1, '{item}', {version}, '', {credits}, '')")
        self.sql.run("BEGIN; INSERT INTO price_versions (id, starts_at_us, margin_ppm, rate_ppm, credit_value_ppm, created_at_us)"
                     f" VALUES ({version}, 1, {ppm[0]}, {ppm[1]}, {ppm[2]}, 1); INSERT INTO prices (kind, item, version,"
                     f" provider, credits_micros, tiers) VALUES {', '.join(rows)}; COMMIT")

    # -- time --------------------------------------------------------------------------------------

    def pass_time(self, seconds):
        us = seconds * US
        keys = ", ".join("0x" + hashlib.sha256(name.encode()).hexdigest()[:32] for name in self.states)
        # Accounts are locked first, as octroi does, or its sweeper would see half of it.
        self.sql.run(
            f"BEGIN; SELECT id FROM accounts WHERE id IN ({keys}) ORDER BY id FOR UPDATE;"
            f"{guard.change_holds('expires_at_us', f'{{0}} - {us}', keys)};"
            f"UPDATE grants SET expires_at_us = expires_at_us - {us} WHERE expires_at_us > 0 AND account_id IN ({keys});"
            f"UPDATE accounts SET current_expires_at_us = current_expires_at_us - {us} WHERE current_expires_at_us > 0 AND id IN ({keys});"
            f"UPDATE accounts SET holds_due_at_us = holds_due_at_us - {us} WHERE open_holds > 0 AND id IN ({keys});"
            f"UPDATE accounts SET due_at_us = due_at_us - {us} WHERE due_at_us < {oracle.NEVER} AND id IN ({keys});"
            f"UPDATE workspaces SET day_until_us = day_until_us - {us}, month_until_us = month_until_us - {us}"
            f" WHERE account_id IN ({keys});"
            f"UPDATE members SET day_until_us = day_until_us - {us}, month_until_us = month_until_us - {us},"
            f" period_until_us = period_until_us - {us} WHERE account_id IN ({keys});"
            "COMMIT")
        self.passed += us
        self.trace.append(f"{seconds} s pass")

    # -- steps -------------------------------------------------------------------------------------

    def step(self):
        what = self.rng.choices(("group", "settle_many", "pass", "prices"), (88, 4, 6, 2))[0]
        if what == "pass":
            self.pass_time(self.rng.choice((1000, 1000, 2000, 5000, 90000)))
        elif what == "prices":
            self.change_prices(self.rng.sample([*MODELS, *ACTIONS[:2]], 2))
        elif what == "settle_many":
            self.settle_many()
        else:
            self.group()

    def send(self, commands):
        """commands: (account's name, command).  Their answers, and the times before and after."""
        requests = []
        for name, c in commands:
            if c["command"] == "transaction":
                if c.get("_life"):
                    c["expires"] = format_time(time.time_ns() // 1000 + c["_life"] * US)
                    c["_life"] = 0
                c["_expires"] = parse_time(c["expires"]) + self.passed if c["expires"] else 0
            method, path, scope, body = to_http(name, c)
            requests.append(self.swarm.request(method, path, self.o.keys[scope], body))
        before = time.time_ns() // 1000
        if self.serial:
            answers = [self.swarm.run([request])[0] for request in requests]
        else:
            answers = self.swarm.run(requests)
        after = time.time_ns() // 1000
        assert after - self.started < 200 * US, "a run must take less than 200 s"
        for (name, c), answer in zip(commands, answers):
            self.trace.append(f"{name} {c}\n      {answer}")
            self.ends[c["command"], answer.status, "replayed" if b'"replayed":true' in answer.body else ""] += 1
            if answer.status == 0 or answer.status >= 500:
                raise Mismatch(f"{c}: {answer}")
        return answers, before, after

    def group(self):
        r = self.rng
        flat = []
        for name in r.sample(list(self.states), r.choice((1, 2, 3))):
            commands = [self.generator.command(self.states[name][0]) for _ in range(r.choice((1, 1, 2, 3)))]
            # The order in which holds end is known to a millisecond only.
            prolonged = [c for c in commands if c["command"] == "extend" and c["ttl"]]
            flat += [(name, c) for c in (prolonged[:1] or commands)]
        r.shuffle(flat)
        answers, before, after = self.send(flat)
        for name in sorted({name for name, _ in flat}):
            pairs = [(c, observed(c, answer)) for (n, c), answer in zip(flat, answers) if n == name]
            self.explain(name, itertools.permutations(pairs), before, after)

    def settle_many(self):
        r = self.rng
        names = [r.choice(list(self.states)) for _ in range(r.randrange(2, 9))]
        flat = [(name, self.generator.settle(self.states[name][0])) for name in names]
        body = {"settlements": [settlement_body(name, c) for name, c in flat]}
        before = time.time_ns() // 1000
        answer = self.swarm.run([self.swarm.request("POST", "/api/guard/settle", self.o.keys["guard"], body)])[0]
        self.trace.append(f"settle many {flat}\n      {answer}")
        if answer.status != 200:
            raise Mismatch(f"{flat}: {answer}")
        results = json.loads(answer.body, parse_float=fractions.Fraction)["results"]
        for name in sorted(set(names)):
            pairs = [(c, found) for (n, c), found in zip(flat, results, strict=True) if n == name]
            self.explain(name, [pairs], before, time.time_ns() // 1000)

    def explain(self, name, orders, before, after):
        """Follows every order of the commands in which the naive ledger answers the same."""
        reasons, found = [], []
        for order in orders:
            for state in self.states[name]:
                result = self.in_order(state.copy(), order, before, after)
                if isinstance(result, str):
                    reasons.append(result)
                elif not any(result.same(other) for other in found):
                    found.append(result)
        if not found:
            raise Mismatch("in no order right:\n  " + "\n  ".join(dict.fromkeys(reasons)))
        self.states[name] = found

    def in_order(self, a, pairs, before, after):
        """The account after these commands, or why their answers cannot be."""
        for c, found in pairs:
            expected = oracle.apply(a, c_plain(c), self.book, before + self.passed)
            wrong = differs(expected, found) or self.learn(a, c, expected, found, before, after)
            if wrong:
                return f"{c['command']}: {wrong}\n      expected {expected}\n      found    {found}\n      of {c}"
        return a

    def learn(self, a, c, expected, found, before, after):
        """Takes the hold's end from the answer, which must be where it can be."""
        if expected.get("expiresAt") is not LEARN:
            return None
        at = parse_time(found["expiresAt"])
        expected["expiresAt"] = found["expiresAt"]
        hold = next(h for h in a.holds if oracle.public_id(a.name, h.seq) == expected["hold"])
        if c["command"] == "extend" and not c["ttl"]:
            known = hold.expires - self.passed
            return None if abs(at - known) <= SLACK_US else f"expiresAt: {at}, known as {known}"
        hold.expires = at + self.passed
        if not before - SLACK_US <= at - c["ttl"] <= after + SLACK_US:
            return f"expiresAt: {at} is not {c['ttl']} from between {before} and {after}"
        return None

    # -- the end -----------------------------------------------------------------------------------

    def finish(self):
        """Everybody looks, and all tables are compared."""
        looks = [(name, {"command": "look"}) for name in self.states]
        answers, before, after = self.send(looks)
        for (name, c), answer in zip(looks, answers):
            self.explain(name, [[(c, observed(c, answer))]], before, after)
        for name, states in self.states.items():
            key = "0x" + hashlib.sha256(name.encode()).hexdigest()[:32]
            found = {table: self.sql.run(query.format(key=key)) for table, query in TABLES.items()}
            wrong = [differing_row(expected_tables(state), found) for state in states]
            if all(wrong):
                raise Mismatch(f"tables of {name}:\n" + "\n".join(wrong))


def differing_row(expected, found):
    """The first row that is not as expected, or None."""
    for table, rows in expected.items():
        for one, other in itertools.zip_longest(rows, found[table]):
            if one != other:
                return f"  {table}: expected {one}\n    found {other}"
    return None


def c_plain(c):
    """A command as the naive ledger takes it: what is the same in meaning is the same."""
    return {k: v for k, v in c.items() if k not in ("shape", "spelled")}


TABLES = {
    "accounts": "SELECT unit, mode, status, byok, balance_micros, held_micros, hard_limit_micros, soft_limit_micros,"
                " open_holds, hold_seq, grant_seq, entry_seq FROM accounts WHERE id = {key}",
    "members": "SELECT member_id, role, removed_at_us > 0 FROM members WHERE account_id = {key} ORDER BY member_id",
    "grants": "SELECT seq, type, priority, expires_at_us > 0, amount_micros, remaining_micros FROM " + guard.GRANTS +
              " WHERE account_id = {key} ORDER BY seq",
    "holds": "SELECT seq, member, kind, item, provider, source, price_version, quantity, input_tokens,"
             " max_output_tokens, reserved_micros, conversation_id, message_id, metadata FROM " + guard.HOLDS +
             " WHERE account_id = {key} ORDER BY seq",
    "usages": "SELECT seq, state, settlement, outcome, has_usage, member, kind, item, provider, source, price_version,"
              " quantity, reserved_micros, input_tokens, cache_read_tokens, cache_write_tokens, cache_write_1h_tokens,"
              " output_tokens, cost_micros, balance_micros, available_micros, conversation_id, message_id,"
              " settled_message_id, metadata FROM usages WHERE account_id = {key} ORDER BY seq",
    "entries": "SELECT seq, kind, amount_micros, balance_before_micros, balance_after_micros, grant_seq, usage_seq,"
               " transaction_seq FROM entries WHERE account_id = {key} ORDER BY seq",
    "transactions": "SELECT seq, type, amount_micros, balance_before_micros, balance_after_micros, grant_seq, description"
                    " FROM transactions WHERE account_id = {key} ORDER BY seq",
    "requests": "SELECT COUNT(*) FROM requests WHERE account_id = {key}",
}


def expected_tables(a):
    """Rows as the database's client prints them."""
    def text(*values):
        return tuple(str(int(v) if isinstance(v, bool) else v) for v in values)

    def number(type):
        return oracle.TRANSACTIONS[type][0]

    byok = sum(1 << oracle.PROVIDERS.index(p) for p in a.byok)
    kinds, sources = ("model", "action"), ("platform", "byok")
    return {
        "accounts": [text(("money", "credit").index(a.unit), ("prepaid", "postpaid").index(a.mode),
                          ("active", "suspended").index(a.status), byok, a.balance, a.held, a.hard_limit, a.soft_limit,
                          len(a.holds), a.seq, len(a.grants), len(a.entries))] if a.exists else [],
        "members": [text(m, ("member", "manager").index(role), removed) for m, (role, removed) in sorted(a.members.items())],
        "grants": [text(g.seq, number(g.type), g.priority, g.expires > 0, g.amount, g.remaining) for g in a.grants],
        "holds": [text(h.seq, h.member, kinds.index(h.kind), h.item, h.provider, sources.index(h.source), h.version,
                       h.quantity, h.input_tokens, h.max_output, h.reserved, *h.labels) for h in a.holds],
        "usages": [text(u.hold.seq, u.state, oracle.SETTLEMENTS.index(u.settlement), u.outcome, u.has_usage, u.hold.member,
                        kinds.index(u.hold.kind), u.hold.item, u.hold.provider, sources.index(u.hold.source),
                        u.hold.version, u.hold.quantity, u.hold.reserved, *u.tokens, u.cost, u.balance, u.available,
                        u.hold.labels[0], u.hold.labels[1], u.message, u.hold.labels[2])
                   for u in sorted(a.usages, key=lambda u: u.hold.seq)],
        "entries": [text(i, e.kind, e.amount, e.before, e.before + e.amount, e.grant, e.usage, e.transaction)
                    for i, e in enumerate(a.entries, 1)],
        "transactions": [text(t.seq, number(t.type), t.amount, t.before, t.after, t.grant, t.description)
                         for t in a.transactions],
        "requests": [text(len(a.requests))],
    }

#!/usr/bin/python3
"""A client that uses an octroi in every way money moves, and writes down each call and each answer.

    with Load(o, directory) as load:     # several client processes, on accounts of their own
        load.wait_for(1000)              # that many further answers
        o.kill("octroi"); o.start()
    assert not check(o, load.files)      # checker.py

A call has a deadline.  One whose fate is unknown (no answer, 502, 503, 504) is repeated with
its request id until it is known, except for a few that are left unknown on purpose.  Some are sent twice at
once, some again much later, some again with another content.

The history is text, one line per call (C) and per answer (A), columns separated by tabs:

    C  nanoseconds  operation  attempt  account  kind    {what was asked; micros: what it has to cost}
    A  nanoseconds  operation  attempt  account  status  {what was answered}

Times are of CLOCK_MONOTONIC, which is one clock for all processes of a machine.  An operation has one name
however often it is tried: its request id where the API takes one.
"""

import collections
import itertools
import json
import mmap
import os
import pathlib
import random
import struct
import subprocess
import sys
import threading
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))

import guard  # noqa: E402
from octroi import wait_until  # noqa: E402
from swarm import Swarm  # noqa: E402

UNKNOWN = (0, 502, 503, 504)
ACTION_MICROS = 10_000  # what a standard action costs
TTL_SHORT = 10  # seconds: holds that are left to expire
ROUND = 1500  # calls, after which the swarm begins anew, or it would remember every one
PROGRESS = struct.Struct("=qq")  # answers; when the newest call was sent that has one

KEPT = ("hold", "usage", "transaction", "reservedMicros", "costMicros", "balanceMicros", "availableMicros", "settlement",
        "replayed", "error")

_serial = itertools.count(1)


class History:
    """A file that calls and answers are appended to."""

    def __init__(self, path):
        self._file = open(path, "w", encoding="ascii", buffering=1 << 16)
        self._attempts = itertools.count(1)

    def call(self, operation, account, kind, asked):
        attempt = next(self._attempts)
        self._file.write(f"C\t{time.monotonic_ns()}\t{operation}\t{attempt}\t{account}\t{kind}\t{json.dumps(asked)}\n")
        return attempt

    def answer(self, operation, attempt, account, status, said):
        kept = {name: said[name] for name in KEPT if name in said}
        if "transaction" in kept:
            kept.update(transaction=kept["transaction"]["id"], amountMicros=kept["transaction"]["amountMicros"])
        self._file.write(f"A\t{time.monotonic_ns()}\t{operation}\t{attempt}\t{account}\t{status}\t{json.dumps(kept)}\n")

    def close(self):
        self._file.close()


class Operation:
    """Something that is asked of octroi, however often."""

    __slots__ = ("name", "kind", "account", "body", "micros", "then", "attempt", "sent_ns")

    def __init__(self, name, kind, account, body, micros=0, then=None):
        self.name, self.kind, self.account, self.body, self.micros, self.then = name, kind, account, body, micros, then
        self.attempt = self.sent_ns = 0

    def again(self, then=None):
        return Operation(self.name, self.kind, self.account, dict(self.body), self.micros, then)


class Client:
    """One process.  plan: urls, keys, accounts (rich and poor ones), history, progress, seed, connections,
    deadline (seconds), left_unknown (share of the unknown that is not repeated), rate (calls per second, whether
    the ones before are answered or not; 0: the next as soon as a connection is free)."""

    def __init__(self, plan):
        self.plan = plan
        self.random = random.Random(plan["seed"])
        self.history = History(plan["history"])
        self.swarm = Swarm(plan["urls"], plan["connections"], timeout=plan["deadline"])
        self.names = (f"h{plan['seed']}.{os.getpid()}.{n}" for n in itertools.count(1))
        self.done = collections.deque(maxlen=400)  # operations that may be sent again
        self.lapsing = collections.deque()  # (when, account, hold, model) of holds that are left to expire
        self.stopping = threading.Event()
        with open(plan["progress"], "r+b") as file:
            self.progress = mmap.mmap(file.fileno(), PROGRESS.size)
        self.answers = 0
        self.sent, self.began = 0, time.monotonic()

    def run(self):
        while not self.stopping.is_set():
            self.under_way = []
            if self.plan["rate"]:
                self.swarm.run([], self.came, self.due, self.goes)
                continue
            first = [request for _ in range(self.plan["connections"]) for request in self.begin()]
            self.swarm.run(first, self.came, on_send=self.goes)
        self.history.close()

    # -- sending -----------------------------------------------------------------------------------

    def send(self, operation):
        """The operation as a request of the swarm's, which sends it once a connection is free."""
        kind, account, body = operation.kind, urllib.parse.quote(operation.account, safe=""), operation.body
        self.sent += 1
        self.under_way.append(operation)
        if kind == "read":
            return self.swarm.request("GET", f"/api/credits?account={account}", self.plan["keys"]["app"])
        if kind == "transaction":
            return self.swarm.request("POST", f"/api/accounts/{account}/transactions", self.plan["keys"]["admin"], body)
        return self.swarm.request("POST", f"/api/guard/{kind}", self.plan["keys"]["guard"], body)

    def goes(self, index):
        """Before it is sent: a call begins when it does, not when it is thought of."""
        o = self.under_way[index]
        o.attempt = self.history.call(o.name, o.account, o.kind, {**o.body, "micros": o.micros})
        o.sent_ns = time.monotonic_ns()

    def came(self, index, answer):
        """Requests that follow an answer."""
        operation = self.under_way[index]
        self.under_way[index] = None
        said = answer.json if answer.status and isinstance(answer.json, dict) else {}
        self.history.answer(operation.name, operation.attempt, operation.account, answer.status, said)
        if answer.status in UNKNOWN:
            time.sleep(0.003)
            if self.random.random() < self.plan["left_unknown"]:
                return self.next()
            return [self.send(operation.again(operation.then))]
        self.answers += 1
        PROGRESS.pack_into(self.progress, 0, self.answers, max(operation.sent_ns, PROGRESS.unpack_from(self.progress)[1]))
        if answer.status in (200, 201) and operation.kind != "read" and not said.get("replayed"):
            self.done.append(operation)
        return operation.then(answer.status, said) if operation.then else self.next()

    def next(self):
        """The beginning of something else, unless it is time to end."""
        if self.plan["rate"] or self.over():
            return []
        return self.begin()

    def over(self):
        return self.stopping.is_set() or len(self.under_way) > ROUND

    def due(self):
        """As many beginnings as the rate has room for; what follows an answer is counted, and sent without asking.
        What could not be asked in time is not made up for, but for a second of it."""
        if self.over():
            return None
        requests, rate, now = [], self.plan["rate"], time.monotonic()
        self.began = max(self.began, now - self.sent / rate - 1)
        while self.sent < rate * (now - self.began) and len(self.under_way) <= ROUND:
            requests += self.begin()
        return requests

    # -- what is asked ------------------------------------------------------------------------------

    def begin(self):
        r = self.random
        if self.lapsing and self.lapsing[0][0] < time.monotonic():
            _, account, hold, model = self.lapsing.popleft()
            if r.random() < 0.7:
                return [self.send(self.settle(account, hold, model))]
        account = r.choice(self.plan["accounts"])
        what = r.choices((self.hold, self.charge, self.move, self.replay, self.read, self.unpriced), (58, 17, 8, 9, 6, 2))[0]
        operations = what(account)
        if r.random() < 0.04 and operations[0].kind in ("charge", "authorize", "transaction"):
            operations.append(operations[0].again(self.nothing))
        return [self.send(operation) for operation in operations]

    def nothing(self, status, said):
        return []

    def hold(self, account):
        r = self.random
        tokens = {"inputTokens": r.randrange(400), "maxOutputTokens": r.randrange(1, 800)}
        if r.random() < 0.03:
            tokens["maxOutputTokens"] = 900_000_000  # no account here can pay that
        ttl = TTL_SHORT if r.random() < 0.05 else 600
        body = {"account": account, "model": r.choice(list(guard.PICO)), "requestId": next(self.names), "ttlSeconds": ttl, **tokens}
        micros = guard.cost(body["model"], input=tokens["inputTokens"], output=tokens["maxOutputTokens"])
        return [Operation(body["requestId"], "authorize", account, body, micros,
                          lambda status, said: self.held(status, said, body))]

    def held(self, status, said, body):
        """Ends a hold in one of its ways."""
        r, account = self.random, body["account"]
        if status != 200:
            return self.next()
        hold = said["hold"]
        if body["ttlSeconds"] == TTL_SHORT:
            self.lapsing.append((time.monotonic() + TTL_SHORT + 0.1, account, hold, body["model"]))
            return self.next()
        what = r.choices(("settle", "release", "extend", "twice", "never"), (72, 9, 9, 8, 2))[0]
        if what == "release":
            return [self.send(Operation(next(self.names), "release", account, {"hold": hold}))]
        if what == "extend":
            output = r.randrange(1, 1500)
            micros = guard.cost(body["model"], input=body["inputTokens"], output=output)
            return [self.send(Operation(next(self.names), "extend", account, {"hold": hold, "maxOutputTokens": output}, micros,
                                        lambda *_: [self.send(self.settle(account, hold, body["model"]))]))]
        if what == "twice":  # settled in two ways, or settled and released: one of them must win
            second = self.settle(account, hold, body["model"])
            if r.random() < 0.3:
                second = Operation(next(self.names), "release", account, {"hold": hold})
            second.then = self.nothing
            return [self.send(self.settle(account, hold, body["model"])), self.send(second)]
        return [self.send(self.settle(account, hold, body["model"]))] if what == "settle" else self.next()

    def settle(self, account, hold, model):
        r = self.random
        tokens = {"inputTokens": r.randrange(400), "outputTokens": r.randrange(1200)}
        micros = guard.cost(model, input=tokens["inputTokens"], output=tokens["outputTokens"])
        return Operation(next(self.names), "settle", account, {"hold": hold, **tokens}, micros)

    def charge(self, account):
        body = {"account": account, "action": "a", "quantity": self.random.randrange(1, 6), "requestId": next(self.names)}
        return [Operation(body["requestId"], "charge", account, body, ACTION_MICROS * body["quantity"])]

    def move(self, account):
        r = self.random
        amount = r.randrange(1, 300_000) * r.choice((1, 1, 1, -1))
        kind = "ADJUSTMENT" if amount < 0 else r.choice(("ADJUSTMENT", "PROMO_BONUS"))
        body = {"type": kind, "amountMicros": amount, "description": "history", "requestId": next(self.names)}
        return [Operation(body["requestId"], "transaction", account, body, amount)]

    def replay(self, account):
        """Something that was done before, as it was or with another content."""
        r = self.random
        if not self.done:
            return self.charge(account)
        before = r.choice(self.done)
        other = before.again()
        if r.random() < 0.3 and before.kind in ("charge", "transaction"):
            other.name = next(self.names)
            if before.kind == "charge":
                other.body["quantity"] += 1
                other.micros += ACTION_MICROS
            else:
                other.body["amountMicros"] = other.micros = 2 * before.micros
        return [other]

    def read(self, account):
        return [Operation(next(self.names), "read", account, {})]

    def unpriced(self, account):
        body = {"account": account, "model": "nobody-sells-this", "requestId": next(self.names)}
        return [Operation(body["requestId"], "authorize", account, body)]


class Load:
    """Client processes on accounts of their own, between entering and leaving or start() and stop().
    rate: calls per second of all of them together; 0: as many as are answered."""

    def __init__(self, o, directory, processes=2, connections=12, accounts=6, seed=1, urls=None, deadline=15, left_unknown=0.05,
                 rate=0):
        self.directory = pathlib.Path(directory)
        self.files = [self.directory / f"{n}.history" for n in range(processes + 1)]
        self._progress, self._processes = [], []
        self.accounts = [f"h:{os.getpid()}.{next(_serial)}" for _ in range(accounts)]
        self._fund(o)
        self._plans = []
        for n in range(processes):
            progress = self.directory / f"{n}.progress"
            progress.write_bytes(bytes(PROGRESS.size))
            with open(progress, "r+b") as file:
                self._progress.append(mmap.mmap(file.fileno(), PROGRESS.size))
            self._plans.append({
                "urls": urls or [o.internal_url], "keys": o.keys, "accounts": self.accounts, "seed": seed * 1000 + n,
                "history": str(self.files[n + 1]), "progress": str(progress), "connections": connections,
                "deadline": deadline, "left_unknown": left_unknown, "rate": rate / processes})

    def _fund(self, o):
        """Rich accounts and poor ones, which are refused now and then; written down like everything else."""
        history = History(self.files[0])
        for n, account in enumerate(self.accounts):
            o.account(account)
            name, amount = f"fund-{account}", 300_000 if n % 3 == 2 else 10**12
            body = {"type": "ADJUSTMENT", "amountMicros": amount, "description": "history", "requestId": name}
            attempt = history.call(name, account, "transaction", {**body, "micros": amount})
            answer = o.post(f"/api/accounts/{urllib.parse.quote(account, safe='')}/transactions", body, key="admin")
            history.answer(name, attempt, account, answer.status, answer.json)
            assert answer.status in (200, 201), answer
        history.close()

    def __enter__(self):
        return self.start()

    def __exit__(self, *exception):
        self.stop()

    def start(self):
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        for plan in self._plans:
            process = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, text=True, env=environment)
            process.stdin.write(json.dumps(plan) + "\n")
            process.stdin.flush()
            self._processes.append(process)
        return self

    def answers(self):
        return sum(PROGRESS.unpack_from(progress)[0] for progress in self._progress)

    def failed(self):
        """How many clients have ended by themselves."""
        return sum(process.poll() is not None for process in self._processes)

    def served_since(self, monotonic_ns):
        """Whether something was answered that was asked after that."""
        return any(PROGRESS.unpack_from(progress)[1] > monotonic_ns for progress in self._progress)

    def wait_for(self, more, seconds=60):
        wanted = self.answers() + more
        wait_until(lambda: self.answers() >= wanted or self.failed(), seconds, f"{more} more answers")

    def stop(self, seconds=120):
        """Ends the clients; what is under way is finished first."""
        processes, self._processes = self._processes, []
        for process in processes:
            process.stdin.close()
        for process in processes:
            try:
                process.wait(seconds)
            finally:
                process.kill()
        assert [process.wait() for process in processes] == [0] * len(processes), "a client has failed"


def main():
    client = Client(json.loads(sys.stdin.readline()))

    def wait_for_end():
        sys.stdin.read()
        client.stopping.set()
    threading.Thread(target=wait_for_end, daemon=True).start()
    client.run()


if __name__ == "__main__":
    main()

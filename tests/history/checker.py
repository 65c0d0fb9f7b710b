#!/usr/bin/python3
"""Holds a history of calls and answers (client.py) against the ledger's tables.

    problems = check(o, load.files)   # a list of Problem, empty when all is well; also counts what it saw

What it demands, of each account of the history:

- every acknowledged operation is in the tables once, with the figures that were acknowledged and the cost
  that the client expected; every refused one is nowhere; one whose fate is unknown is there once or not at all
- nothing is in the tables that nobody asked for
- the journal's balances follow each other, and what is in the tables by the history's account sums up to the
  account's balance and to what is held
- an operation that was asked after another was answered comes after it in the journal; a balance that was
  read is not older than what was answered before

The history is divided by account into files, and then one account after the other is read with its rows, all
from one snapshot of the database: time is linear, and memory is that of a single account's operations.
"""

import argparse
import base64
import collections
import hashlib
import json
import pathlib
import shutil
import sys
import tempfile
import types

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / name) for name in ("lib", "model")]

from client import UNKNOWN  # noqa: E402
from driver import Sql  # noqa: E402
from guard import HOLDS, key_of  # noqa: E402

LOST = "lost"              # acknowledged, and not there
DUPLICATED = "duplicated"  # there twice
INVENTED = "invented"      # there, and nobody asked for it
REFUSED = "refused"        # there, although it was refused
FIGURES = "figures"        # there, with other figures
SUM = "sum"                # it does not add up
ORDER = "order"            # not in the order in which it was answered
DEFECT = "defect"          # an answer that must not be

COMMANDS = {"authorize": 0, "charge": 4, "transaction": 6}  # requests.command
SETTLED, RELEASED, EXPIRED = 0, 1, 2  # usages.state
BUCKET_BYTES = 64 << 20
BUCKETS_MAX = 256

Problem = collections.namedtuple("Problem", "what account detail")

Request = collections.namedtuple("Request", "command seq amount balance available")
Usage = collections.namedtuple("Usage", "state input output cost reserved balance available")
Hold = collections.namedtuple("Hold", "reserved")
Transaction = collections.namedtuple("Transaction", "amount before after")
Entry = collections.namedtuple("Entry", "seq amount before after usage transaction")
Account = collections.namedtuple("Account", "balance held open_holds hold_seq entry_seq")

QUERIES = {
    "account": (Account, "SELECT balance_micros, held_micros, open_holds, hold_seq, entry_seq FROM accounts WHERE id = {key}"),
    "requests": (Request, "SELECT HEX(request_key), command, seq, amount_micros, balance_micros, available_micros FROM requests"
                          " WHERE account_id = {key}"),
    "usages": (Usage, "SELECT seq, state, input_tokens, output_tokens, cost_micros, reserved_micros, balance_micros,"
                      " available_micros FROM usages WHERE account_id = {key}"),
    "holds": (Hold, "SELECT seq, reserved_micros FROM " + HOLDS + " WHERE account_id = {key}"),
    "transactions": (Transaction, "SELECT seq, amount_micros, balance_before_micros, balance_after_micros FROM transactions"
                                  " WHERE account_id = {key}"),
    "entries": (Entry, "SELECT seq, amount_micros, balance_before_micros, balance_after_micros, usage_seq, transaction_seq"
                       " FROM entries WHERE account_id = {key} ORDER BY seq"),
}


def request_key(id):
    return hashlib.sha256(id.encode()).hexdigest()[:32].upper()


def seq_of(public_id):
    """The number of a hold, usage or transaction."""
    return int.from_bytes(base64.urlsafe_b64decode(public_id)[16:], "big")


class Tables:
    """Rows of one account: account, or None; requests by key, usages, holds, transactions by seq; entries in order."""

    def __init__(self, account=None, requests=None, usages=None, holds=None, transactions=None, entries=None):
        self.account, self.requests, self.usages = account, requests or {}, usages or {}
        self.holds, self.transactions, self.entries = holds or {}, transactions or {}, entries or []

    @staticmethod
    def read(sql, name):
        found = {}
        for table, (kind, query) in QUERIES.items():
            rows = sql.run(query.format(key=key_of(name)))
            if table in ("account", "entries"):
                found[table] = [kind(*map(int, row)) for row in rows]
            else:
                found[table] = {row[0] if table == "requests" else int(row[0]): kind(*map(int, row[1:])) for row in rows}
        found["account"] = found["account"][0] if found["account"] else None
        return Tables(**found)


class Operation:
    """All that the history says of one operation."""

    __slots__ = ("name", "kind", "asked", "called", "acked", "said", "open", "refused", "did")

    def __init__(self, name, kind, asked, called):
        self.name, self.kind, self.asked, self.called = name, kind, asked, called
        self.acked = None    # when it was first acknowledged
        self.said = []       # what the acknowledgements said
        self.open = set()    # attempts of unknown fate
        self.refused = False
        self.did = 0         # acknowledgements that do not say "replayed"

    @property
    def micros(self):
        return self.asked["micros"]

    @property
    def possible(self):
        return self.acked is not None or bool(self.open)

    def __repr__(self):
        return f"{self.kind} {self.name}"


class AccountCheck:
    """lines: the history of one account, in any order."""

    def __init__(self, name, lines, tables):
        self.name, self.tables = name, tables
        self.problems = []
        self.operations = {}
        self.reads = []  # (called, balance)
        self.counts = collections.Counter()
        self._read(lines)

    def problem(self, what, detail):
        self.problems.append(Problem(what, self.name, detail))

    def run(self):
        self.owners = {}   # (kind of number, number) -> operations that ask for what it names
        self.effects = []  # (operations that may have made it, "hold" or "entry", first number, last number)
        self._requests()
        self._numbers()
        self._ends()
        self._journal()
        self._sums()
        self._order()
        return self.problems

    # -- the history --------------------------------------------------------------------------------

    def _read(self, lines):
        split = [line.rstrip("\n").split("\t") for line in lines]
        split.sort(key=lambda columns: int(columns[1]))
        called = {}
        for what, ns, name, attempt, _, kind, text in split:
            ns, attempt, body = int(ns), (name, attempt), json.loads(text)
            if what == "C":
                called[attempt] = ns
                if name not in self.operations:
                    self.operations[name] = Operation(name, kind, body, ns)
                elif self.operations[name].asked != body:
                    raise ValueError(f"{name} asks for two things")
                self.operations[name].open.add(attempt)
            else:
                self._answer(self.operations[name], attempt, int(kind), body, called[attempt], ns)
        for operation in self.operations.values():
            fate = "acknowledged" if operation.acked else "unknown" if operation.open else "refused"
            self.counts[fate if operation.kind != "read" else "read"] += 1

    def _answer(self, operation, attempt, status, body, called, ns):
        if status in UNKNOWN:
            return
        operation.open.discard(attempt)
        if operation.kind == "read" and status == 200:
            self.reads.append((called, body["balanceMicros"]))
        elif status in (200, 201):
            operation.acked = operation.acked or ns
            operation.said.append(body)
            operation.did += not body["replayed"] if operation.kind != "extend" else 0
        elif 400 <= status < 500:
            operation.refused = True
        else:
            self.problem(DEFECT, f"{operation} was answered with {status}")

    # -- operations with a request id -----------------------------------------------------------------

    def _requests(self):
        groups, rows = collections.defaultdict(list), dict(self.tables.requests)
        for operation in self.operations.values():
            if operation.kind in COMMANDS:
                groups[request_key(operation.asked["requestId"])].append(operation)
        for key, group in groups.items():
            row = rows.pop(key, None)
            if row is None:
                for operation in group:
                    if operation.acked:
                        self.problem(LOST, f"{operation}: there is no such request")
            else:
                self._request(group, row)
        for row in rows.values():
            self.problem(INVENTED, f"a request that nobody made: {row}")

    def _request(self, group, row):
        possible = [operation for operation in group if operation.possible]
        if not possible:
            self.problem(REFUSED, f"{group[0]} was refused and is there: {row}")
            return
        acked = [operation for operation in possible if operation.acked]
        for operation in acked or possible:
            if (row.command, row.amount) != (COMMANDS[operation.kind], operation.micros):
                if operation.acked or len(possible) == 1:
                    self.problem(FIGURES, f"{operation} for {operation.micros} is there as {row}")
            else:
                self._own(operation, row)
        if sum(operation.did for operation in group) > 1:
            self.problem(DUPLICATED, f"{group[0]} was done more than once, by its answers")
        if row.command == COMMANDS["authorize"] and row.available < 0:
            self.problem(FIGURES, f"{group[0]} was granted beyond what was available: {row}")

    def _own(self, operation, row):
        number = ("transaction" if operation.kind == "transaction" else "hold", row.seq)
        owners = self.owners.setdefault(number, [])
        if owners and owners[0].asked["requestId"] != operation.asked["requestId"]:
            self.problem(DUPLICATED, f"{owners[0]} and {operation} made the same {number}")
        owners.append(operation)
        for said in operation.said:
            shown = {"authorize": ("hold", "reservedMicros"), "charge": ("usage", "costMicros"),
                     "transaction": ("transaction", "amountMicros")}[operation.kind]
            if (seq_of(said[shown[0]]), said[shown[1]], said["balanceMicros"], said["availableMicros"]) != (
                    row.seq, row.amount, row.balance, row.available):
                self.problem(FIGURES, f"{operation} was answered {said} and is there as {row}")

    # -- numbers that were given out ------------------------------------------------------------------

    def _numbers(self):
        tables = self.tables
        numbers = {"hold": tables.holds.keys() | tables.usages.keys(), "transaction": tables.transactions.keys()}
        for seq in tables.holds.keys() & tables.usages.keys():
            self.problem(DUPLICATED, f"hold {seq} is open and has ended")
        for kind, there in numbers.items():
            for seq in there:
                if (kind, seq) not in self.owners:
                    self.problem(INVENTED, f"{kind} {seq} is there and no request made it")
        for (kind, seq), owners in self.owners.items():
            if seq not in numbers[kind]:
                self.problem(LOST, f"{owners[0]}: {kind} {seq} is not there")
            elif kind == "hold":
                self.effects.append((owners, "hold", seq, seq))
            elif tables.transactions[seq].amount != owners[0].micros:
                self.problem(FIGURES, f"{owners[0]} is there as {tables.transactions[seq]}")

    # -- how holds ended ------------------------------------------------------------------------------

    def _ends(self):
        self.settlements = {}  # hold -> operations that settled it
        wanted = collections.defaultdict(list)
        for operation in self.operations.values():
            if operation.kind in ("settle", "release", "extend"):
                wanted[seq_of(operation.asked["hold"])].append(operation)
        for (kind, seq), owners in self.owners.items():
            if kind == "hold" and owners[0].kind == "charge":
                self._charge(seq, owners[0])
            elif kind == "hold":
                self._hold(seq, owners[0], wanted.pop(seq, []))
        for operations in wanted.values():
            for operation in operations:
                if operation.acked:
                    self.problem(LOST, f"{operation}: its hold is not there")

    def _charge(self, seq, operation):
        usage = self.tables.usages.get(seq)
        if usage is not None and (usage.state, usage.cost) != (SETTLED, operation.micros):
            self.problem(FIGURES, f"{operation} for {operation.micros} is there as {usage}")

    def _hold(self, seq, owner, ends):
        usage = self.tables.usages.get(seq)
        self._reserved(seq, owner, [operation for operation in ends if operation.kind == "extend"])
        settles = [operation for operation in ends if operation.kind == "settle"]
        releases = [operation for operation in ends if operation.kind == "release"]
        state = None if usage is None else usage.state
        if state == SETTLED:
            self._settled(seq, usage, settles)
        elif state == RELEASED:
            if not any(operation.possible for operation in releases):
                self.problem(REFUSED if releases else INVENTED, f"hold {seq} was released and nobody did")
        if state != SETTLED:
            for operation in settles:
                if operation.acked:
                    self.problem(LOST, f"{operation}: hold {seq} is not settled: {usage}")
            if usage is not None and usage.cost != 0:
                self.problem(INVENTED, f"hold {seq} was not settled and cost something: {usage}")
        if state != RELEASED:
            for operation in releases:
                if operation.acked:
                    self.problem(LOST, f"{operation}: hold {seq} is not released: {usage}")

    def _reserved(self, seq, owner, extends):
        row = self.tables.usages.get(seq) or self.tables.holds.get(seq)
        if row is None:
            return
        acked = {operation.micros for operation in extends if operation.acked}
        may = acked or {owner.micros} | {operation.micros for operation in extends if operation.open}
        if row.reserved not in may:
            self.problem(LOST if acked else FIGURES, f"hold {seq} reserves {row.reserved}, not {may}")
        for operation in extends:
            for said in operation.said:
                if said["reservedMicros"] != operation.micros:
                    self.problem(FIGURES, f"{operation} for {operation.micros} was answered {said}")

    def _settled(self, seq, usage, settles):
        def same(operation):
            return (operation.asked["inputTokens"], operation.asked["outputTokens"]) == (usage.input, usage.output)

        made = [operation for operation in settles if operation.possible and same(operation)]
        if not made:
            refused = any(same(operation) for operation in settles)
            self.problem(REFUSED if refused else INVENTED, f"hold {seq} was settled and nobody did so: {usage}")
            return
        self.settlements[seq] = made
        if usage.cost != made[0].micros:
            self.problem(FIGURES, f"{made[0]} for {made[0].micros} is there as {usage}")
        if sum(operation.did for operation in made) > 1:
            self.problem(DUPLICATED, f"hold {seq} was settled more than once, by its answers")
        for operation in settles:
            if operation.acked and operation not in made:
                self.problem(LOST, f"{operation}: hold {seq} is settled otherwise: {usage}")
            for said in operation.said if operation in made else ():
                if (said["costMicros"], said["balanceMicros"], said["availableMicros"]) != (
                        usage.cost, usage.balance, usage.available):
                    self.problem(FIGURES, f"{operation} was answered {said} and is there as {usage}")

    # -- the journal ----------------------------------------------------------------------------------

    def _journal(self):
        """Sums of what is in it, by usage and by transaction, and between which lines."""
        self.sums, self.lines = collections.Counter(), {}
        balance = 0
        for number, entry in enumerate(self.tables.entries, 1):
            if entry.seq != number or entry.before != balance or entry.after != balance + entry.amount:
                self.problem(SUM, f"the journal does not follow: {entry} after a balance of {balance}")
            balance = entry.after
            about = ("usage", entry.usage) if entry.usage else ("transaction", entry.transaction)
            self.sums[about] += entry.amount
            if entry.amount == 0:
                continue  # it records that a hold ended: who asked for that is not in the history
            first, _ = self.lines.get(about, (number, number))
            self.lines[about] = (first, number)
        for about in self.sums:
            there = self.tables.usages if about[0] == "usage" else self.tables.transactions
            if about[1] not in there:
                self.problem(INVENTED, f"the journal has {self.sums[about]} for {about}, which is not there")

    def _sums(self):
        tables = self.tables
        for seq, usage in tables.usages.items():
            if self.sums["usage", seq] != -usage.cost:
                self.problem(SUM, f"usage {seq} costs {usage.cost}, the journal has {self.sums['usage', seq]}")
            self._effect("usage", seq, self.settlements.get(seq) or self.owners.get(("hold", seq), []))
        for seq, transaction in tables.transactions.items():
            if not self.sums["transaction", seq] == transaction.amount == transaction.after - transaction.before:
                self.problem(SUM, f"transaction {seq}: {transaction}, the journal has {self.sums['transaction', seq]}")
            self._effect("transaction", seq, self.owners.get(("transaction", seq), []))
        # The history's word, not the rows': only what is unknown is taken from the tables.
        balance = sum(self.owners[kind, seq][0].micros for kind, seq in self.owners
                      if kind == "transaction" and seq in tables.transactions)
        for (kind, seq), owners in self.owners.items():
            if kind == "hold" and owners[0].kind == "charge":
                balance -= owners[0].micros if seq in tables.usages else 0
        balance -= sum(made[0].micros for made in self.settlements.values())
        held = sum(hold.reserved for hold in tables.holds.values())
        expected = Account(balance, held, len(tables.holds), len(tables.holds) + len(tables.usages), len(tables.entries))
        if tables.account != expected:
            self.problem(SUM if tables.account else LOST, f"by the history {expected}, in the tables {tables.account}")
        last = tables.entries[-1].after if tables.entries else 0
        if last != balance:
            self.problem(SUM, f"by the history a balance of {balance}, by the journal {last}")

    def _effect(self, kind, seq, operations):
        if (kind, seq) in self.lines and operations:
            self.effects.append((operations, "entry", *self.lines[kind, seq]))

    # -- real time ------------------------------------------------------------------------------------

    def _order(self):
        """Of two operations, the one that was answered before the other was asked has the lower numbers."""
        for sequence in ("hold", "entry"):
            events = []
            for operations, kind, first, last in self.effects:
                if kind == sequence:
                    acks = [operation.acked for operation in operations if operation.acked]
                    events.append((min(operation.called for operation in operations), 1, first, operations[0]))
                    if acks:
                        events.append((min(acks), 0, last, None))
            if sequence == "entry":
                known = {0: 0, **{entry.after: entry.seq for entry in self.tables.entries}}
                events += [(called, 2, balance, known) for called, balance in self.reads]
            events.sort(key=lambda event: event[:2])
            self._sweep(events)

    def _sweep(self, events):
        floor = 0
        for _, what, number, more in events:
            if what == 0:
                floor = max(floor, number)
            elif what == 1 and number <= floor:
                self.problem(ORDER, f"{more} has number {number}, but {floor} was answered before it was asked")
            elif what == 2 and more.get(number, -1) < floor:
                self.problem(ORDER if number in more else INVENTED,
                             f"a balance of {number} was read, which is of line {more.get(number)}; {floor} was answered before")


def by_account(files, directory):
    """Yields (account, lines), having divided the files among some in the directory."""
    size = sum(pathlib.Path(path).stat().st_size for path in files)
    count = min(BUCKETS_MAX, 1 + size // BUCKET_BYTES)
    paths = [pathlib.Path(directory) / str(n) for n in range(count)]
    buckets = [open(path, "w", encoding="ascii") for path in paths]
    for path in files:
        with open(path, encoding="ascii") as file:
            for line in file:
                account = line.split("\t", 5)[4]
                buckets[hash(account) % count].write(line)
    for bucket in buckets:
        bucket.close()
    for path in paths:
        accounts = collections.defaultdict(list)
        with open(path, encoding="ascii") as file:
            for line in file:
                accounts[line.split("\t", 5)[4]].append(line)
        path.unlink()
        for account in sorted(accounts):
            yield account, accounts.pop(account)


def check(o, files, counts=None):
    """o: whatever has an env that names the database.  counts: a Counter that is added to."""
    directory = tempfile.mkdtemp(prefix="octroi-history-")
    sql = Sql(o)
    problems = []
    try:
        sql.run("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        for account, lines in by_account(files, directory):
            one = AccountCheck(account, lines, Tables.read(sql, account))
            problems += one.run()
            if counts is not None:
                counts.update(one.counts)
    finally:
        sql.close()
        shutil.rmtree(directory)
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--socket", required=True, help="of the database")
    parser.add_argument("--name", default="octroi", help="of the database")
    parser.add_argument("history", nargs="+")
    options = parser.parse_args()
    counts = collections.Counter()
    problems = check(types.SimpleNamespace(env={"OCTROI_DB_SOCKET": options.socket, "OCTROI_DB_NAME": options.name}),
                     options.history, counts)
    for problem in problems:
        print(f"{problem.what}: {problem.account}: {problem.detail}")
    print(", ".join(f"{count} {what}" for what, count in sorted(counts.items())) + f"; {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

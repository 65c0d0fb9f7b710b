"""How many instructions octroi itself executes for a request, as valgrind's callgrind counts them.

No time is measured, so the figures are the same on a busy machine.  Requests come one after the other (each is a batch of
its own) and many at once.
"""

import pathlib
import re
import subprocess

import single
from second import Second
from swarm import Swarm

ROOTS = ("clone", "start_thread")  # callgrind books to them what their threads did before
WARM_UP = 50
AT_ONCE = 64
MARK, MARK_FUNCTION = "/healthz", "ops_healthz"  # a request that makes callgrind write down what it has counted


class Counted(Second):
    """octroi under callgrind, on another's database."""

    name, mode = "counted", "octroi"

    def __init__(self, first):
        super().__init__(first, {"sandbox": "off", "threads": AT_ONCE})
        self.keys = first.keys

    def _under(self):
        return ["valgrind", "--tool=callgrind", "-q", f"--callgrind-out-file={self.run}/callgrind.out",
                f"--dump-before={MARK_FUNCTION}"]

    def _mark(self):
        """Ends a part of what is counted: the number of parts so far."""
        with single.Connection(self.internal_url, self.keys["guard"]) as connection:
            connection.ask("GET", MARK)
        return len(list(self.run.glob("callgrind.out.*")))

    def count(self, work):
        """Instructions of what work() asks: in all, and by library or folder of the sources."""
        before = self._mark()
        work()
        assert self._mark() == before + 1
        listed = subprocess.run(["callgrind_annotate", "--threshold=100", "--show=Ir", "--auto=no",
                                 str(self.run / f"callgrind.out.{before + 1}")], stdout=subprocess.PIPE, text=True, check=True)
        return _parts(listed.stdout)


def _parts(listed):
    """callgrind_annotate's total, and its lines summed by library, octroi's own by folder."""
    total = int(re.search(r"^\s*([\d,]+).*PROGRAM TOTALS", listed, re.M)[1].replace(",", ""))
    parts = {}
    for count, place, function, library in re.findall(
            r"^\s*([\d,]+)\s+\([\d. ]+%\)\s+([^\n:]*):([^\n]*?)(?: \[([^\]\n]+)\])?$", listed, re.M):
        if function in ROOTS:
            continue
        name = re.sub(r"(-[\d.]+)?\.so.*$", "", pathlib.Path(library or "other").name)
        folder = re.search(r"\bsrc/(\w+)/", place)
        if name == "octroi" and folder:
            name = f"src/{folder[1]}"
        parts[name] = parts.get(name, 0) + int(count.replace(",", ""))
    assert abs(sum(parts.values()) - total) < total / 100, (parts, total)
    return total, parts


class Client:
    """The requests, and the holds that came back."""

    def __init__(self, side, accounts):
        self.side, self.accounts, self.holds = side, accounts, []

    def ask(self, connections, requests, key="guard"):
        """Sends each (method, path, body)."""
        with Swarm([self.side.internal_url], connections, timeout=300) as swarm:
            swarm.connect()
            answers = swarm.run([swarm.request(method, path, self.side.keys[key], body) for method, path, body in requests])
        assert {answer.status for answer in answers} == {200}, [answer for answer in answers if answer.status != 200][:1]
        return answers

    def authorize(self, connections, count):
        self.holds += [answer.json["hold"] for answer in self.ask(connections, [
            ("POST", "/api/guard/authorize", {"account": f"bench:{i % self.accounts + 1}", "model": "gpt-4o",
                                              "inputTokens": 500, "maxOutputTokens": 200})
            for i in range(count)])]

    def settle(self, connections, count):
        ended, self.holds = self.holds[:count], self.holds[count:]
        self.ask(connections, [("POST", "/api/guard/settle", {"hold": hold, "inputTokens": 480, "outputTokens": 150})
                               for hold in ended])

    def credits(self, connections, count):
        # An account reads a few lists at a time, so many accounts ask.
        self.ask(connections, [("GET", f"/api/credits?account=bench:{i % self.accounts + 1}", None) for i in range(count)],
                 "app")


def measure(bench):
    count = bench.options.instruction_requests
    rows = []
    print("\ninstructions a request, of octroi itself", flush=True)
    with Counted(bench.o) as side:
        client = Client(side, bench.options.accounts)
        for connections in (1, AT_ONCE):
            client.authorize(connections, WARM_UP)
            client.settle(connections, WARM_UP)
            client.credits(connections, WARM_UP)
            for name in ("authorize", "settle", "credits"):
                total, parts = side.count(lambda n=name: getattr(client, n)(connections, count))
                rows.append({"request": name, "connections": connections, "requests": count,
                             "instructions": round(total / count),
                             "parts": {part: round(n / count) for part, n in sorted(parts.items(), key=lambda p: -p[1])}})
                print(f"{name:>10}  {connections:>3} at once  {rows[-1]['instructions']:>9}", flush=True)
    bench.keep("instructions", {"rows": rows})

"""Charges that are asked for while octroi cannot serve: what was refused is not there, and repeated it is there once."""

import collections
import itertools

from checker import request_key
from guard import key_of
from swarm import Swarm

PRICE_MICROS = 10_000  # of a standard action
FUNDS_MICROS = 10**12

_serial = itertools.count(1)


class Askers:
    def __init__(self, o, connections=60):
        self.o = o
        self.account = o.account(funds_micros=FUNDS_MICROS)
        self.swarm = Swarm([o.internal_url], connections)
        self.ids = []
        self.unanswered = []  # ids that were answered 503 and not asked for again yet
        self.made = {}        # ids that were answered 200, and what was said

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.swarm.close()

    def _requests(self, ids):
        return [self.swarm.request("POST", "/api/guard/charge", self.o.keys["guard"],
                                   {"account": self.account, "action": "a", "requestId": id}) for id in ids]

    def ask(self, count, on_answer=None):
        """How many of so many new charges were answered 503; others have to have been made, or to have had no answer."""
        ids = [f"asked-{self.account}-{next(_serial)}" for _ in range(count)]
        self.ids += ids
        answers = self.swarm.run(self._requests(ids), on_answer)
        statuses = collections.Counter(answer.status for answer in answers)
        assert set(statuses) <= {0, 200, 502, 503, 504}, statuses
        refused = [id for id, answer in zip(ids, answers) if answer.status == 503]
        self.unanswered += refused
        self.made.update((id, answer.json["usage"]) for id, answer in zip(ids, answers) if answer.status == 200)
        return len(refused)

    def must_not_be_there(self):
        """Nothing that was answered 503 so far has happened."""
        rows = self.o.sql(f"SELECT HEX(request_key) FROM requests WHERE account_id = {key_of(self.account)}")
        there = {key for key, in rows}
        done = [id for id in self.unanswered if request_key(id) in there]
        assert not done, f"{len(done)} of {len(self.unanswered)} were answered 503 and have happened, such as {done[0]}"

    def repeat(self):
        """All of it until it is answered, and once more: each charge is there once."""
        requests = self._requests(self.ids)
        answers, _ = self.swarm.run_until_known(requests)
        again, _ = self.swarm.run_until_known(requests)
        self.unanswered = []
        statuses = collections.Counter(answer.status for answer in answers + again)
        assert set(statuses) == {200}, statuses
        assert all(answer.json["replayed"] for answer in again)
        usages = {id: answer.json["usage"] for id, answer in zip(self.ids, answers)}
        assert list(usages.values()) == [answer.json["usage"] for answer in again]
        otherwise = [id for id, usage in self.made.items() if usages[id] != usage]
        assert not otherwise, f"{len(otherwise)} of {len(self.made)} were made otherwise than was said at first"
        self.made = usages
        balance = self.o.balance(self.account)[0]
        assert balance == FUNDS_MICROS - PRICE_MICROS * len(self.ids), (balance, len(self.ids))

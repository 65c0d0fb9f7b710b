"""Every allocation, every call of the database's library and of the system fails once, in turn, while stories are
played: right answer or clean 503, nothing lost, nothing left behind.  Here some of the calls, chosen at random from a
fixed seed; with TORTURE=all (`make torture`) each of them.
"""

import os
import random

import pytest

import guard
import stories
import torture
from conftest import Play
from octroi import INNODB_TRX_SECONDS, wait_until

ALL = os.environ.get("TORTURE") == "all"
SEED = 20261122
SITES = 60         # of a story, that fail in one way; all, where it is memory
SITES_COLD = 16    # of the one that waits for others
SITES_OTHERS = 4   # of the threads that serve nobody
SITES_START = 8
# Ways in which the stories are played that are not played in every way.
SHORT_WAYS = ("memory", "database-lost-after", "database-memory", "system-error")
# Each call of each step of it, here too: one site has the COMMIT of all of them.
WHOLE = stories.guard, "database-lost"
# Each site of it, here too: one of them reads the API keys.
EACH_SITE = stories.reading, "database-memory"


def chosen():
    """(story, way)"""
    return [(story, way) for story in stories.ALL for way in torture.WAYS
            if ALL or story is stories.guard or way in SHORT_WAYS]


@pytest.fixture(scope="module")
def plays(stage):
    """Each story, rehearsed once."""
    known = {}

    def rehearsed(story):
        if story not in known:
            known[story] = Play(stage, story)
            known[story].rehearse()
        return known[story]

    return rehearsed


def no_transaction_is_left(o):
    wait_until(lambda: o.sql("SELECT COUNT(*) FROM information_schema.innodb_trx") == [("0",)], 10,
               "the end of all transactions", INNODB_TRX_SECONDS)


@pytest.mark.parametrize("story, way", chosen(), ids=lambda it: getattr(it, "__name__", it))
def test_a_call_fails(stage, plays, tallies, story, way):
    play = plays(story)
    play.tally.clear()
    what = torture.WAYS[way]
    if ALL or (story, way) == WHOLE:
        play.sweep(*what)
    else:
        each = way == "memory" or (story, way) == EACH_SITE
        count = SITES_COLD if story is stories.cold else torture.SITES_MAX if each else SITES
        sites = play.sample(*what, count, random.Random(SEED))
        # A site may lie on a way that is not gone each time, as when a copy of the keys is old.
        assert play.tally["injected"] * 2 >= sites, f"of {sites} faults too few were met: {play.tally}"
    left = play.leaks()
    tallies[way].update(play.tally)
    assert not left, "\n".join(left)
    no_transaction_is_left(stage.o)


def test_memory_stays_short(stage, plays, tallies):
    """From some allocation on none succeeds any more, until the request has ended."""
    play = plays(stories.guard)
    play.tally.clear()
    play.sweep(*torture.WAYS["memory"], lasting=1, stride=1 if ALL else 12)
    tallies["memory, lasting"].update(play.tally)


# -- threads that serve nobody ------------------------------------------------------------------------


def make_work(stage):
    """A hold that has expired, for the housekeeper; its account."""
    account = guard.request_id("due")
    for method, uri, key, body in (
            ("PUT", f"/api/accounts/{account}", "app", {"mode": "prepaid", "unit": "money"}),
            ("POST", f"/api/accounts/{account}/transactions", "admin", {
                "type": "ADJUSTMENT", "amountMicros": stories.FUNDS, "description": "torture", "requestId": account}),
            ("POST", "/api/guard/authorize", "guard", {"account": account, "model": "gpt-4o", "ttlSeconds": 60})):
        answer = stage.call(method, uri, torture.dump(body), {"Authorization": "Bearer " + stage.o.keys[key]})
        assert answer is not None and answer.status == 200, answer
    guard.pass_time(stage.o, account, 120)
    return account


def work_is_done(stage, account):
    return stage.o.sql(f"SELECT COUNT(*) FROM {guard.HOLDS} WHERE account_id = {guard.key_of(account)}") == [("0",)]


def meet_elsewhere(stage, fault):
    """Lets a call of the other threads fail, and octroi be well again; (whether it was met, whether octroi ended)."""
    account = make_work(stage)
    stage.rest()
    stage.arm(fault)
    wait_until(lambda: stage.c.fired or not stage.is_alive() or work_is_done(stage, account) or stage.seconds_armed() > 8, 20,
               "the call, or the work")
    stage.disarm()
    met, ended = stage.c.fired > 0, not stage.is_alive()
    if ended:
        assert "octroi: bug" not in stage.log()[-4000:], stage.log()[-4000:]
        stage.start()
    wait_until(lambda: work_is_done(stage, account), 20, "the end of what is due")
    return met, ended


@pytest.mark.parametrize("way", SHORT_WAYS)
def test_a_call_of_the_housekeeper_fails(stage, tallies, way):
    """Due work is done all the same, a second later."""
    what, kind = torture.WAYS[way]
    tally = tallies[way + ", housekeeper"]
    account = make_work(stage)
    stage.rest()
    stage.arm(torture.Fault(what, kind, nth=0, others=1))
    wait_until(lambda: work_is_done(stage, account), 20, "the end of what is due")
    stage.disarm()
    sites = sorted({hash for hash, _ in stage.sites()})
    if not ALL:
        sites = random.Random(SEED).sample(sites, min(SITES_OTHERS, len(sites)))
    for site in sites:
        met, ended = meet_elsewhere(stage, torture.Fault(what, kind, hash=site, others=1))
        tally["injected"] += met
        tally["ended"] += ended
    no_transaction_is_left(stage.o)


@pytest.mark.parametrize("way", ("memory", "system-error"))
def test_a_call_of_the_start_fails(stage, tallies, way):
    """octroi starts, and serves, or says why not and ends with a status that says so."""
    what, kind = torture.WAYS[way]
    tally = tallies[way + ", start"]
    stage.stop()
    count = stage.launch(torture.Fault(what, kind, nth=0, others=1))[1]
    stage.stop()
    numbers = range(1, count + 1)
    if not ALL:
        numbers = random.Random(SEED).sample(numbers, min(SITES_START, count))
    for nth in numbers:
        said = len(stage.log())
        started, _ = stage.launch(torture.Fault(what, kind, nth=nth, others=1))
        tally["injected"] += 1
        tally["right" if started else "ended"] += 1
        if started:
            assert stage.call("GET", "/readyz").status == 200
            stage.stop()
        else:
            assert stage.process.returncode != 0, stage.told()
            if stage.failed_for() not in torture.LIBRARIES_THAT_END_AT_THE_START:
                assert len(stage.log()) > said and stage.process.returncode > 0, (stage.told(), stage.log()[said:])
    stage.start()


def test_nothing_was_lost(stage):
    stage.o.audit()

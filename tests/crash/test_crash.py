"""The short form of `make crash`: some cycles of each kind, and that a database that does not flush is found out."""

import os

import crash


def run(**cycles):
    db_settings = cycles.pop("db_settings", None)
    with crash.trial(int(os.environ.get("SEED", "1")), 1.5, db_settings) as t:
        t.run(cycles)
    print(t.table())
    return t


def test_octroi_is_killed():
    t = run(octroi=10)
    assert not t.problems, "\n".join(map(str, t.problems[:20]))
    assert all(len(t.seconds[f"octroi killed: {point}"]) >= 1 for point in crash.POINTS)
    assert len(t.seconds["octroi killed at any time"]) == 5
    assert t.counts["acknowledged"] > 500, t.counts


def test_octroi_is_killed_between_an_order_and_stripe():
    t = run(orders=len(crash.STRIPE_POINTS))
    assert not t.problems, "\n".join(map(str, t.problems[:20]))


def test_mariadbd_is_killed():
    t = run(mariadbd=5)
    assert not t.problems, "\n".join(map(str, t.problems[:20]))
    assert t.counts["acknowledged"] > 300, t.counts


def test_the_rest_is_stopped_restarted_and_cut():
    t = run(pauses=2, nginx=3, cuts=len(crash.CUTS))
    assert not t.problems, "\n".join(map(str, t.problems[:20]))
    assert all(t.counts[f"cut {moment} {name}"] == 1 for name, moment in crash.CUTS), t.counts


def test_a_database_that_does_not_flush_loses_and_is_found_out():
    """The limit of kill -9: with 0 the log waits in mariadbd itself for up to a second."""
    t = run(mariadbd=4, db_settings={"innodb_flush_log_at_trx_commit": "0"})
    assert "lost" in {problem.what for problem in t.problems if hasattr(problem, "what")}, t.table()

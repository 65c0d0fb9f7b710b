"""Gemini's streams without alt=sse: one JSON list, whose elements are what the events would be."""

import concurrent.futures
import json

import pytest

import recorded
from provider import in_a_list
from recorded import RECORDINGS, recording
from stage import body_of, cost
from test_streams import POLICIES, STEP, check_whole

PATH = "/gemini/v1beta/models/gemini-2.5-flash:streamGenerateContent"
MODEL = "gemini-2.5-flash"
EVENTS = recorded.events(recording("gemini"))
PARTS = in_a_list([event.raw for event in EVENTS])
ENDS = [len(b"".join(PARTS[:i + 1])) for i in range(len(EVENTS))]


def ask(stage, payer, scene, place="", query=""):
    return stage.call("POST", place + PATH + query, payer.key, body_of("gemini", scene))


def elements(count):
    """The bytes up to the end of that element."""
    return b"".join(PARTS[:count])


def read(answer, length):
    while len(answer.rest) < length and answer._more():
        continue
    return answer.rest


@pytest.mark.parametrize("form", [{}, {"pieces": 1}, {"pieces": 7}, {"bare": True}], ids=str)
@pytest.mark.parametrize("query", ["", "?alt=json"])
def test_whole_list_is_settled_as_billed(stage, payer, form, query):
    answer = ask(stage, payer, {"id": f"list-{form}-{query}", **form}, query=query)
    assert answer.status == 200 and answer.headers["content-type"] == "application/json"
    got = answer.whole()
    assert got == b"".join(PARTS) and json.loads(got) == [event.json for event in EVENTS]
    check_whole(stage, payer, answer, "gemini")


def test_other_forms_are_refused(stage, payer):
    before = len(stage.books())
    for query in ("?alt=proto", "?alt=SSE", "?alt=media"):
        assert ask(stage, payer, {}, query=query).status == 400, query
    assert len(stage.books()) == before and stage.open_holds(payer) == 0


def test_element_goes_on_before_the_next_one_comes(stage, payer):
    answer = ask(stage, payer, {"id": "list-waits", "wait_at": 2})
    assert read(answer, ENDS[1]) == elements(2)
    stage.wait_waiting()
    stage.go()
    assert answer.whole() == b"".join(PARTS)
    check_whole(stage, payer, answer, "gemini")


def check_part(used, record, length):
    """A list that ended early: the counts of the last whole element, or of the next one where they had come; before that
    the announced input or the reservation."""
    whole = sum(end <= length for end in ENDS)
    known = [[14, event.output, 0, 0] for event in EVENTS[max(0, whole - 1):whole + 1]]
    assert whole == 0 or record["bill"] == known[0], record
    if whole == 0 and used["counts"] not in known:
        assert used["counts"][0] >= record["bill"][0] or used["cost"] == used["reserved"] > 0, (used, record)
        return
    assert used["counts"] in known and used["counts"][1] >= record["bill"][1], (length, used, record)
    assert used["cost"] == cost(MODEL, used["counts"]) and used["settlement"] == "partial", used


@pytest.mark.parametrize("policy", POLICIES)
def test_provider_breaks_off_at_any_byte(stage, payer, policy):
    def cut(at):
        answer = ask(stage, payer, {"id": f"list-cut-{policy}-{at}", "cut": at}, place="/" + policy)
        answer.whole()
        return at, answer

    places = sorted({*range(1, ENDS[-1], STEP), *(end - 1 for end in ENDS), *ENDS})
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        done = list(pool.map(cut, places))
    used = stage.wait_settled(payer, len(done))
    assert len(used) == len(done)
    for at, answer in done:
        [record] = stage.books(f"list-cut-{policy}-{at}")
        assert answer.hold is not None, at
        check_part(used[answer.hold], record, at)
    assert stage.spent(payer) == sum(use["cost"] for use in used.values())


@pytest.mark.parametrize("count", range(1, len(EVENTS)))
def test_client_leaves_at_any_element(stage, payer, count):
    left = ask(stage, payer, {"id": f"list-left-{count}", "wait_at": count}, place="/close")
    read(left, ENDS[count - 1])
    stage.wait_waiting()
    left.close()
    used = stage.wait_settled(payer, 1)[left.hold]
    [record] = stage.books(f"list-left-{count}")
    assert record["closed"]
    check_part(used, record, ENDS[count - 1])


def test_client_leaves_and_the_list_is_drained(stage, payer):
    answer = ask(stage, payer, {"id": "list-drained", "wait_at": 1}, place="/drain")
    read(answer, ENDS[0])
    answer.close()
    stage.wait_waiting()
    stage.go()
    check_whole(stage, payer, answer, "gemini")
    assert stage.books("list-drained")[0]["bill"] == list(RECORDINGS["gemini"][3])


def test_error_as_the_only_element_costs_nothing(stage, payer):
    answer = ask(stage, payer, {"id": "list-error", "error_at": 0})
    assert b"overloaded" in answer.whole()
    stage.wait_settled(payer)
    assert stage.spent(payer) == 0


def test_error_behind_an_element_is_paid_as_far_as_it_came(stage, payer):
    answer = ask(stage, payer, {"id": "list-later-error", "error_at": 2})
    assert b"overloaded" in answer.whole()
    used = stage.wait_settled(payer, 1)[answer.hold]
    assert used["counts"] == [14, EVENTS[1].output, 0, 0] and used["settlement"] == "partial", used

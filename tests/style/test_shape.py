"""Figures that `make shape` prints stay within their bounds."""

import pytest

import shape


def test_no_units_use_each_other():
    assert not shape.circles()


def test_no_room_is_the_whole_house():
    by_room = shape.lines_by_room()
    assert max(by_room.values()) <= 0.2 * sum(by_room.values()), by_room.most_common(1)


def test_functions_fit_on_a_screen():
    assert not shape.long_functions()


def test_functions_that_move_money_assert():
    """In each room of the ledger one assertion for each function, in the mean."""
    asserted = shape.asserts_per_function()
    for room in ("ledger", "ledger/decide", "ledger/rows"):
        assert asserted[room] >= 1.0, f"{room}: {asserted[room]:.2f}"


def test_a_call_that_counts_as_an_assertion_makes_two():
    """A checker: row_check_ and the name of a row, or queue_check."""
    found = shape.checks_of("src/ledger/decide/row_check.c") + shape.checks_of("src/ledger/queue.c")
    checkers = {name: checks for name, checks in found if name.startswith("row_check_") or name == "queue_check"}
    assert len(checkers) >= 20
    assert not {name: checks for name, checks in checkers.items() if checks < 2}


def test_files_are_laid_out_by_clang_format():
    """As `clang-format -i` of Debian 12 lays them out (.clang-format)."""
    changed = shape.unformatted()
    if changed is None:
        pytest.skip("clang-format 14 is not installed; other versions break lines elsewhere")
    assert not changed


def test_static_functions_have_names_of_their_own():
    assert len(shape.shared_static_names()) <= 20, shape.shared_static_names()


def test_comments_begin_with_their_subject():
    assert not shape.forbidden_openings()


def test_terms_are_those_of_the_field():
    assert not list(shape.own_words())
    assert shape.OWN_WORDS.search("the lobby's door") and shape.OWN_WORDS.search("lane_count") and not shape.OWN_WORDS.search("planes")


def test_comments_of_other_languages_are_read():
    found = list(shape.other_comments())
    assert {name.split("/")[0] for name, _ in found} >= {"web", "clients", "nginx", "apache", "quickstart", "sql", "Makefile.am", "tests"}
    assert len(found) > 2000


def test_comments_name_things():
    """Not "what is left of it", but the remainder."""
    assert shape.whats() <= 2

"""What `make shape` prints stays within its bounds."""

import shape


def test_no_units_use_each_other():
    assert not shape.circles()


def test_no_room_is_the_whole_house():
    by_room = shape.lines_by_room()
    assert max(by_room.values()) <= 0.2 * sum(by_room.values()), by_room.most_common(1)


def test_functions_fit_on_a_screen():
    assert not shape.long_functions()


def test_comments_begin_with_their_subject():
    assert not shape.forbidden_openings()


def test_comments_name_things():
    """Not "what is left of it", but the remainder."""
    assert shape.whats() <= 2

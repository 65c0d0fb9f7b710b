import short


def test_nothing_is_reported():
    short.assert_nothing_is_reported("asan")

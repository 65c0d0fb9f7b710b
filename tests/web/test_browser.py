"""The Chromium that all tests share keeps nothing from one to the next."""

LEAVE = """
localStorage.setItem("left", 1);
sessionStorage.setItem("left", 1);
document.cookie = "left=1; path=/";
"""
LEFT = """
return [localStorage.length, sessionStorage.length, document.cookie, history.length, innerWidth,
    matchMedia("(prefers-color-scheme: dark)").matches];
"""


def test_nothing_is_left_behind(nginx, browser):
    browser.open(nginx.url + "/billing")
    first = browser.run(LEFT)
    browser.media(prefers_color_scheme="dark")
    browser.size(400)
    browser.run(LEAVE)
    browser.open(nginx.url + "/billing")
    second = browser.run(LEFT)
    assert all(a != b for a, b in zip(first, second)), second
    browser.fresh()
    browser.open(nginx.url + "/billing")
    assert browser.run(LEFT) == first
    assert len(browser.driver.window_handles) == 1 and browser.transferred()

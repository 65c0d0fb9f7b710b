#!/usr/bin/python3
"""Open billing pages: each asks octroi what the page asks while it is visible, over a connection of its own.

    pages.py < JSON        {"url": "http://…", "tokens": ["a page's", …], "used": whether their accounts are in use}, one line

Prints a line when all pages are open, asks until its standard input ends, and then prints what it asked as JSON.  The pages'
polls are spread evenly over the time between two, as if they were open for long.  A poll that tells of use is followed by the other questions of the page,
one after the other, unless they were asked a short while ago.  tests/web/test_elements.py holds that all of this is what
the page does in Chromium.
"""

import collections
import heapq
import json
import select
import socket
import sys
import time
import urllib.parse

POLL_SECONDS = 30
REST_SECONDS = 120  # a poll that tells of nothing doubles the time to the next, up to this
FOLLOW_SECONDS = 600
LEADING = "/api/credits"
USED_SECONDS = 180
REFUSED, RETRY_SECONDS = 429, 1
# Asked every ten minutes, and after use.
FOLLOWED = ("/api/credits/settings?limit=100", "/api/credits/recharge", "/api/credits/diagnosis")
# Asked after use.
USED = ("/api/credits/alerts?limit=10", "/api/credits/summary?by=day&from=DAY")
DAYS = 30  # of the summary


def whole(answer):
    head, blank, body = answer.partition(b"\r\n\r\n")
    length = head.lower().partition(b"\r\ncontent-length:")[2]
    return blank and (len(body) >= int(length.split(b"\r\n")[0]) if length else body.endswith(b"\r\n0\r\n\r\n"))


def newest(answer):
    """The part of GET /api/credits by which the page sees use."""
    said = json.loads(answer[answer.index(b"{"):answer.rindex(b"}") + 1])
    return said["balanceMicros"], [row["id"] for row in said["usages"][:1]]


class Page:
    """A connection, and the questions that wait for it; the first one is under way."""

    def __init__(self, url, token):
        parts = urllib.parse.urlsplit(url)
        self.socket = socket.create_connection((parts.hostname, parts.port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.head = (f"Host: {parts.netloc}\r\nAuthorization: Bearer {token}\r\nAccept: application/json\r\n"
                     "Accept-Language: en\r\n\r\n")
        self.questions, self.answer, self.began = collections.deque(), b"", 0.0
        # The time to its next poll, the last state that it saw, and the one that it followed, when.
        self.wait, self.seen, self.told, self.turned = 0.0, None, None, 0.0

    def ask(self, *paths):
        self.questions.extend(paths)
        if len(self.questions) == len(paths):
            self._send()

    def _send(self):
        self.began, self.answer = time.monotonic(), b""
        self.socket.sendall(f"GET {self.questions[0]} HTTP/1.1\r\n{self.head}".encode())

    def take(self):
        """Reads what is there; (path, status, seconds, answer) when that was the end of an answer.  The next question goes out."""
        more = self.socket.recv(1 << 16)
        if not more:
            raise ConnectionError("a page's connection was closed")
        self.answer += more
        if not whole(self.answer):
            return None
        done = self.questions.popleft(), int(self.answer[9:12]), time.monotonic() - self.began, self.answer
        if self.questions:
            self._send()
        return done


class Pages:
    def __init__(self, url, tokens, used):
        self.pages = {page.socket.fileno(): page for page in (Page(url, token) for token in tokens)}
        self.asked, self.statuses, self.seconds, self.changes = collections.Counter(), collections.Counter(), [], 0
        for page in self.pages.values():
            page.ask(LEADING)
            answer = None
            while answer is None:
                answer = page.take()
            page.told = page.seen = newest(answer[3])
        now, wait = time.monotonic(), POLL_SECONDS if used else REST_SECONDS
        for i, page in enumerate(self.pages.values()):
            # A few of the polls that come are followed, each page's in its turn.
            page.wait = wait
            page.turned = now + POLL_SECONDS * (i / len(self.pages) + i % (USED_SECONDS // POLL_SECONDS)) - USED_SECONDS
        # (time, page, its questions)
        self.due = [(now + every * i / len(self.pages), number, paths) for every, paths in ((wait, (LEADING,)), (FOLLOW_SECONDS, FOLLOWED))
                    for i, number in enumerate(self.pages)]
        heapq.heapify(self.due)

    def _ask_what_is_due(self):
        while self.due[0][0] <= time.monotonic():
            at, number, paths = heapq.heappop(self.due)
            self.pages[number].ask(*paths)
            if paths is FOLLOWED:
                heapq.heappush(self.due, (at + FOLLOW_SECONDS, number, paths))

    def _take(self, number):
        page = self.pages[number]
        done = page.take()
        if done is None:
            return
        path, status, seconds, answer = done
        self.asked[path.split("?")[0]] += 1
        self.statuses[status] += 1
        self.seconds.append(seconds)
        if status == REFUSED and path != LEADING:  # another account's sum is being added up
            heapq.heappush(self.due, (time.monotonic() + RETRY_SECONDS, number, (path,)))
        if path != LEADING:
            return
        told = newest(answer) if status == 200 else page.told
        page.wait = min(2 * page.wait, REST_SECONDS) if told == page.seen else POLL_SECONDS
        page.seen = told
        heapq.heappush(self.due, (time.monotonic() + page.wait, number, (LEADING,)))
        if told != page.told and time.monotonic() - page.turned >= USED_SECONDS:
            self.changes += 1
            day = time.strftime("%Y-%m-%d", time.gmtime(time.time() - (DAYS - 1) * 86400))
            page.ask(*(question.replace("DAY", day) for question in USED + FOLLOWED))
            page.told, page.turned = told, time.monotonic()

    def run(self, end):
        """Until the file `end` ends; what was asked meanwhile."""
        poll, began = select.epoll(), time.monotonic()
        for number in (*self.pages, end.fileno()):
            poll.register(number, select.EPOLLIN | select.EPOLLHUP)
        while True:
            self._ask_what_is_due()
            for number, _ in poll.poll(max(0.0, self.due[0][0] - time.monotonic())):
                if number == end.fileno():
                    return self._found(time.monotonic() - began)
                self._take(number)

    def _found(self, seconds):
        ms = sorted(1000 * each for each in self.seconds) or [0.0]
        return {"seconds": round(seconds, 3), "pages": len(self.pages), "changes": self.changes, "asked": dict(self.asked),
                "statuses": {str(status): count for status, count in self.statuses.items()},
                "p50_ms": round(ms[len(ms) // 2], 3), "p99_ms": round(ms[len(ms) * 99 // 100], 3)}


def main():
    asked = json.loads(sys.stdin.readline())
    pages = Pages(asked["url"], asked["tokens"], asked["used"])
    print("open", flush=True)
    print(json.dumps(pages.run(sys.stdin)), flush=True)


if __name__ == "__main__":
    main()

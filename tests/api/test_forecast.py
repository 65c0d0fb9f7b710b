"""The cost of a month at its end: by days of the account's own time zone, against fractions and zoneinfo."""

import collections
import datetime
import fractions
import random
import zoneinfo

import pytest

from guard import charge
from octroi import Octroi
from timetravel import Clock

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_US = datetime.timedelta(microseconds=1)
DAY_US = 86_400_000_000


@pytest.fixture(scope="module")
def o():
    with Octroi("nginx", settings={"time_zone": "America/New_York"}) as o:
        yield o


def instant(day, zone):
    """The first instant of a local day."""
    return (datetime.datetime.combine(day, datetime.time(), zoneinfo.ZoneInfo(zone)) - _EPOCH) // _US


def local_day(time_us, zone):
    return (_EPOCH + datetime.timedelta(microseconds=time_us)).astimezone(zoneinfo.ZoneInfo(zone)).date()


def next_month(day):
    return (day.replace(day=1) + datetime.timedelta(days=32)).replace(day=1)


def expected(uses, now_us, zone):
    """(method, so far, at the month's end) of [(time_us, micros)]."""
    today = local_day(now_us, zone)
    month = today.replace(day=1)
    cost = collections.Counter()
    for time_us, micros in uses:
        cost[local_day(time_us, zone)] += micros
    window = [today - datetime.timedelta(days=i) for i in range(28, -1, -1)]
    while window[0] > month:
        window.insert(0, window[0] - datetime.timedelta(days=1))
    so_far = sum(c for day, c in cost.items() if month <= day <= today)
    used = [day for day in window if cost[day]]
    first = used[0] if used else None
    end_us = instant(next_month(month), zone)
    if first and (today - first).days >= 14:
        def average(weekday):
            days = [day for day in window if first <= day < today and day.weekday() == weekday]
            return fractions.Fraction(sum(cost[day] for day in days), len(days))
        tomorrow = today + datetime.timedelta(days=1)
        rest = average(today.weekday()) * fractions.Fraction(
            instant(tomorrow, zone) - now_us, instant(tomorrow, zone) - instant(today, zone))
        while tomorrow.month == today.month:
            rest += average(tomorrow.weekday())
            tomorrow += datetime.timedelta(days=1)
        return "weekday", so_far, int(so_far + rest)
    if not so_far:
        return "linear", 0, 0
    elapsed = max(now_us - instant(max(first, month), zone), DAY_US)
    return "linear", so_far, int(so_far + fractions.Fraction(so_far * (end_us - now_us), elapsed))


def forecast(o, account, query=""):
    said = o.get(f"/api/credits/summary?account={account}{query}")
    assert said.status == 200, said
    assert set(said.json["forecast"]) == {"monthEndMicros", "soFarMicros", "method"}
    return tuple(said.json["forecast"][name] for name in ("method", "soFarMicros", "monthEndMicros"))


ZONES = ("Europe/Paris", "Pacific/Auckland", "America/New_York")


def test_seven_weeks_by_the_calendar_of_each_account(o):
    """Clocks change in these weeks, in all three zones, on different days."""
    draw = random.Random(7)
    clock = Clock(o)
    clock.set("2026-10-03 22:30:00")
    accounts = {zone: o.account(funds_micros=10**12, **({"timeZone": zone} if zone != "America/New_York" else {}))
                for zone in ZONES}
    uses = {zone: [] for zone in ZONES}
    methods = collections.Counter()
    for _ in range(26):
        clock.set_us(clock.now_us + draw.randrange(20, 70) * 3_600_000_000 + draw.randrange(10**9))
        for zone, account in accounts.items():
            if draw.random() < 0.8:
                took = charge(o, account, "debrief", quantity=draw.randrange(1, 5000), member=f"user:{draw.randrange(2)}")
                uses[zone].append((clock.now_us, took.json["costMicros"]))
            said = forecast(o, account)
            assert said == expected(uses[zone], clock.now_us, zone), (zone, clock.now_us)
            methods[said[0]] += 1
    assert methods["weekday"] > 30 and methods["linear"] > 15, methods


def test_a_day_ends_at_its_midnight(o):
    clock = Clock(o)
    account = o.account(funds_micros=10**12, timeZone="Asia/Kathmandu")
    midnight = instant(datetime.date(2027, 5, 1), "Asia/Kathmandu")
    uses = []
    for at_us in (midnight - 1, midnight):
        clock.set_us(at_us)
        uses.append((at_us, charge(o, account, "debrief").json["costMicros"]))
        assert forecast(o, account) == expected(uses, at_us, "Asia/Kathmandu")
    assert forecast(o, account) == ("linear", 10_000, 10_000 + 10_000 * 31)
    clock.set_us(midnight + DAY_US // 2)
    assert forecast(o, account)[2] == 10_000 + 10_000 * 61 // 2


def test_of_a_member_and_of_nobody(o):
    clock = Clock(o)
    clock.set("2027-04-10 12:00:00")
    account = o.account(funds_micros=10**9, timeZone="UTC")
    assert forecast(o, account) == ("linear", 0, 0)
    charge(o, account, "debrief", quantity=3, member="user:1")
    charge(o, account, "debrief", quantity=5, member="user:2")
    clock.forward(days=1)
    assert forecast(o, account) == ("linear", 80_000, 80_000 + 80_000 * 39 // 3)
    assert forecast(o, account, "&member=user:1") == ("linear", 30_000, 30_000 + 30_000 * 39 // 3)
    # Questions about the past make no difference to it.
    assert forecast(o, account, "&from=2027-01-01&to=2027-02-01") == ("linear", 80_000, 80_000 + 80_000 * 39 // 3)

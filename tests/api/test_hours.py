"""Use by the hours of a day and by days, in the account's time zone, against zoneinfo."""

import collections
import datetime
import random
import zoneinfo

import pytest

from conftest import TOKEN_SECRET
from guard import charge, key_of
from octroi import Octroi

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_US = datetime.timedelta(microseconds=1)
HOUR_US, DAY = 3_600_000_000, datetime.timedelta(days=1)

# Zone, day, its hours: of 23, 24 and 25, of 24.5 and 23.5, of 22 and 26.
DAYS = (
    ("UTC", "2026-03-29", 24), ("Europe/Paris", "2026-03-29", 23), ("Europe/Paris", "2026-10-25", 25), ("Europe/Paris", "2026-10-26", 24),
    ("America/New_York", "2026-03-08", 23), ("America/New_York", "2026-11-01", 25), ("Asia/Kathmandu", "2026-10-25", 24),
    ("Africa/Cairo", "2026-04-24", 23), ("Africa/Cairo", "2026-10-29", 25), ("Australia/Lord_Howe", "2026-04-05", 25),
    ("Australia/Lord_Howe", "2026-10-04", 24), ("Antarctica/Troll", "2026-03-29", 22), ("Antarctica/Troll", "2026-10-25", 26),
)


@pytest.fixture(scope="module")
def o():
    # The rows of some usages are moved in time, so the ledger is not audited.
    with Octroi("nginx", settings={"time_zone": "America/New_York", "token_secret": TOKEN_SECRET}, audit=False) as o:
        yield o


def local(time_us, zone):
    return (_EPOCH + time_us * _US).astimezone(zoneinfo.ZoneInfo(zone))


def midnight(day, zone):
    """The first instant of a local day."""
    wall = datetime.datetime.combine(day, datetime.time(), zoneinfo.ZoneInfo(zone))
    at = (wall - _EPOCH) // _US
    return at if local(at, zone).date() == day else at + HOUR_US  # Cairo's clock goes forward at midnight


def hours(start_us, end_us, zone):
    """The beginnings of hours: by minutes, where the clock shows a full hour or was changed."""
    starts, before = [], None
    for at in range(start_us, end_us, 60_000_000):
        wall = local(at, zone)
        if before is None or wall.minute == 0 or wall.utcoffset() != before:
            starts.append(at)
        before = wall.utcoffset()
    return starts


def rfc3339(time_us):
    return (_EPOCH + time_us * _US).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def summary(o, account, query, **more):
    said = o.get(f"/api/credits/summary?account={account}&{query}", **{"key": "app", **more})
    assert said.status == 200, said
    return said.json


def used_at(o, account, times):
    """A charge at each of these times; the cost of each."""
    cost = [charge(o, account, "debrief", quantity=n + 1, member=f"user:{n % 2}").json["costMicros"] for n in range(len(times))]
    for n, time_us in enumerate(times):
        o.sql(f"UPDATE usages SET ended_at_us = {time_us} WHERE account_id = {key_of(account)} AND quantity = {n + 1}")
    return cost


@pytest.mark.parametrize("zone, day, count", DAYS)
def test_hours_of_a_day_are_those_of_its_clock(o, zone, day, count):
    account = o.account(funds_micros=10**12, timeZone=zone)
    day = datetime.date.fromisoformat(day)
    start, end = midnight(day, zone), midnight(day + DAY, zone)
    starts = hours(start, end, zone)
    assert len(starts) == count
    # The edges of each hour, and what is beyond the day.
    times = sorted({*starts[::5], *(at - 1 for at in starts[::4]), *random.Random(7).sample(range(start, end), 10), start - 1, end - 1, end})
    cost = used_at(o, account, times)
    expected = collections.Counter()
    for time_us, micros in zip(times, cost):
        if start <= time_us < end:
            expected[max(at for at in starts if at <= time_us)] += micros
    said = summary(o, account, f"by=hour&from={day}&to={day + DAY}")
    assert [(i["key"], i["costMicros"]) for i in said["items"]] == [(rfc3339(at), expected[at]) for at in starts]
    assert sum(i["requests"] for i in said["items"]) == sum(start <= at < end for at in times)
    assert said["totalMicros"] == sum(expected.values())
    assert summary(o, account, f"by=hour&from={day}")["items"] == said["items"], "to is the end of the day"
    assert summary(o, account, f"by=hour&to={day + DAY}")["items"] == said["items"], "from is its beginning"
    # The days of the same zone.
    by_day = collections.Counter()
    for time_us, micros in zip(times, cost):
        by_day[str(local(time_us, zone).date())] += micros
    said = summary(o, account, f"by=day&from={day - 40 * DAY}&to={day + 20 * DAY}")
    assert [(i["key"], i["costMicros"]) for i in said["items"]] == sorted(by_day.items())
    assert summary(o, account, f"by=day&from={day}&to={day + DAY}")["items"] == [i for i in said["items"] if i["key"] == str(day)]


def test_years_of_days(o):
    account = o.account(funds_micros=10**12, timeZone="Europe/Paris")
    times = [midnight(datetime.date(2019, 12, 31) + n * 97 * DAY, "Europe/Paris") - (n % 2) for n in range(25)]
    used_at(o, account, times)
    said = summary(o, account, "by=day&from=1970-01-02")
    assert [i["key"] for i in said["items"]] == sorted(str(local(at, "Europe/Paris").date()) for at in times)


def test_an_account_without_a_zone_has_that_of_the_settings(o):
    account = o.account(funds_micros=10**9)
    assert o.get(f"/api/credits?account={account}").json["timeZone"] == "America/New_York"
    named = o.account(timeZone="Asia/Kathmandu")
    assert o.get(f"/api/credits?account={named}").json["timeZone"] == "Asia/Kathmandu"
    charge(o, account, "debrief")
    said = summary(o, account, "by=hour")
    used = [i["key"] for i in said["items"] if i["requests"]]
    today = local(int(o.sql("SELECT UNIX_TIMESTAMP(NOW(6)) * 1000000 DIV 1")[0][0]), "America/New_York").date()
    assert said["items"][0]["key"] in {rfc3339(midnight(today - n * DAY, "America/New_York")) for n in (0, 1)}
    assert len(used) == 1 and len(said["items"]) in (23, 24, 25)


def test_a_member_sees_its_own_hours(o):
    account = o.account(funds_micros=10**9, timeZone="Europe/Paris")
    noon = midnight(datetime.date(2026, 10, 25), "Europe/Paris") + 13 * HOUR_US
    cost = used_at(o, account, [noon, noon + 1, noon + HOUR_US])
    token = o.post("/api/tokens", {"account": account, "member": "user:1"}, key="app").json["token"]
    said = o.get("/api/credits/summary?by=hour&from=2026-10-25", key=token, public=True).json
    assert [(i["key"], i["requests"], i["costMicros"]) for i in said["items"] if i["requests"]] == [(rfc3339(noon), 1, cost[1])]
    assert summary(o, account, "by=hour&from=2026-10-25&member=user:1")["items"] == said["items"]
    assert o.get("/api/credits/summary?by=hour&member=user:0", key=token, public=True).status == 403


def test_part_of_a_day_by_hours(o):
    account = o.account(timeZone="Europe/Paris")
    said = summary(o, account, "by=hour&from=2026-10-25T00:30:00Z&to=2026-10-25T02:15:00Z")
    assert [i["key"] for i in said["items"]] == [f"2026-10-25T0{at}:00.000Z" for at in ("0:30", "1:00", "2:00")]
    # The longest span that begins within an hour.
    assert len(summary(o, account, "by=hour&from=2026-10-24T22:30:00Z&to=2026-10-26T00:30:00Z")["items"]) == 27


@pytest.mark.parametrize("query, field", [
    ("from=2026-10-25&to=2026-10-27", "from"), ("from=2026-10-25T00:00:00Z&to=2026-10-26T02:00:01Z", "from"),
    ("from=2026-10-25&to=2026-10-25", "to"), ("from=2026-10-25&to=2026-10-24T21:00:00Z", "to"),
    ("from=2026-10-25T00:00:00&to=2026-10-26", "from"), ("from=2026-1-25", "from"), ("to=2026-02-30", "to"),
    ("from=2026-10-25%20", "from"), ("to=1970-01-01", "to"),
])
def test_spans_that_are_no_day(o, query, field):
    account = o.account(timeZone="Europe/Paris")
    said = o.get(f"/api/credits/summary?account={account}&by=hour&{query}", key="app")
    assert (said.status, said.json["error"], said.json["field"]) == (400, "INVALID_REQUEST", field), said


def test_a_date_is_the_days_beginning_in_the_zone(o):
    """The order of from and to is that of the zone, not that of the same dates in UTC."""
    account = o.account(timeZone="Europe/Paris")
    assert len(summary(o, account, "by=hour&from=2026-10-24T21:00:00Z&to=2026-10-25")["items"]) == 1
    assert len(summary(o, account, "by=hour&from=2026-10-25&to=2026-10-24T23:00:00Z")["items"]) == 1


def test_hours_as_csv(o):
    account = o.account(timeZone="Europe/Paris")
    said = o.get(f"/api/credits/summary?account={account}&by=hour&from=2026-10-25&format=csv", key="app")
    lines = said.text.splitlines()
    assert said.status == 200 and lines[0] == "key,requests,inputTokens,outputTokens,costMicros"
    assert len(lines) == 26 and lines[1] == "2026-10-24T22:00:00.000Z,0,0,0,0"

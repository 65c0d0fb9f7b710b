"""Time zones as the naive workspaces need them, from Python's zoneinfo: wall clocks in microseconds since
1970-01-01 00:00 on that wall, and the instants at which they show something."""

import calendar
import datetime
import functools
import zoneinfo

US = 1_000_000
DAY = 86400 * US
_EPOCH = datetime.datetime(1970, 1, 1)
_MICROSECOND = datetime.timedelta(microseconds=1)


@functools.lru_cache(maxsize=1 << 16)
def _offset(zone, second):
    """Of the wall clock at that second of UTC, in microseconds."""
    at = datetime.datetime.fromtimestamp(second, zoneinfo.ZoneInfo(zone or "UTC"))
    return at.utcoffset() // _MICROSECOND


def local(zone, at):
    return at + _offset(zone, at // US)


@functools.lru_cache(maxsize=1 << 16)
def instant(zone, wall):
    """The first instant at which the wall clock shows that; where it never does, the end of the gap."""
    showing = []
    for guess in range(wall - 2 * DAY, wall + 2 * DAY, 3 * 3600 * US):
        at = wall - _offset(zone, guess // US)
        if local(zone, at) == wall:
            showing.append(at)
    if showing:
        return min(showing)
    before, after = wall - 2 * DAY, wall + 2 * DAY  # to the second, at which zones change
    before, after = before // US, after // US
    while after - before > 1:
        middle = (before + after) // 2
        if local(zone, middle * US) < wall:
            before = middle
        else:
            after = middle
    return after * US


def date_of(wall):
    return _EPOCH + datetime.timedelta(microseconds=wall)


def wall_of(date):
    return (date - _EPOCH) // _MICROSECOND


def add_months(wall, months):
    """The day and time so many months on, or that month's last day."""
    date = date_of(wall)
    months += date.month - 1
    year, month = date.year + months // 12, months % 12 + 1
    return wall_of(date.replace(year=year, month=month, day=min(date.day, calendar.monthrange(year, month)[1])))


def month_start(wall):
    return wall_of(date_of(wall).replace(day=1, hour=0, minute=0, second=0, microsecond=0))


def day_start(wall):
    return wall // DAY * DAY


@functools.lru_cache(maxsize=1 << 16)
def _next_change(zone, second):
    """Of the offset, within three days; None when there is none."""
    first = _offset(zone, second)
    for hour in range(1, 73):
        if _offset(zone, second + 3600 * hour) != first:
            low, high = second + 3600 * (hour - 1), second + 3600 * hour
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if _offset(zone, middle) == first else (low, middle)
            return high * US
    return None


def next_day(zone, at):
    """The first instant after at of another local day."""
    while True:
        midnight = at + DAY - local(zone, at) % DAY
        change = _next_change(zone, at // US)
        if change is None or midnight < change:
            return midnight
        if local(zone, change) // DAY != local(zone, at) // DAY:
            return change
        at = change


def next_month(zone, at):
    month = month_start(local(zone, at))
    later = next_day(zone, at)
    target = instant(zone, add_months(month, 1))
    if target <= later:
        return later if month_start(local(zone, later)) != month else target
    return target

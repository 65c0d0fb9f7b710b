"""Time zones: octroi's arithmetic (through tests/unit/zone_driver) against Python's zoneinfo, on instants drawn anew
each time, most of them near a change of the clocks.  OCTROI_SEED=N repeats a run."""

import datetime
import os
import pathlib
import random
import subprocess
import sys
import zoneinfo

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / "lib"), str(pathlib.Path(__file__).resolve().parent)]

from octroi import build_dir  # noqa: E402

SEED = int(os.environ.get("OCTROI_SEED") or random.SystemRandom().randrange(2**32))
US = 1_000_000
DAY = 86400
CASES = 20_000
YEARS = range(1995, 2090)
# The database spells changes of the clocks out until 2037 and gives a rule for later ones; GLib 2.74 reads that of
# Ireland, whose winter time is the exception to its standard time, the wrong way round.
LAST_YEAR = {"Europe/Dublin": 2037, "Eire": 2037}
EPOCH = datetime.datetime(1970, 1, 1)
UTC = datetime.timezone.utc
# Names of the database; zoneinfo also takes some that lie beside it.
ZONES = sorted(name for name in zoneinfo.available_timezones() if name[0].isupper())


def drive(lines):
    done = subprocess.run([str(build_dir() / "tests/unit/zone_driver")], input="\n".join(lines) + "\n",
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120)
    assert done.returncode == 0, f"seed {SEED}: {done.stderr[-2000:]}"
    return done.stdout.splitlines()


def compare(questions, expected):
    answers = drive(questions)
    assert len(answers) == len(questions)
    wrong = [(q, a, e) for q, a, e in zip(questions, answers, expected) if a != str(e)]
    assert not wrong, f"seed {SEED}: {len(wrong)} of {len(questions)}, such as {wrong[:5]}"


def offset(zone, second):
    """The wall clock's lead over UTC, in seconds."""
    at = datetime.datetime.fromtimestamp(second, UTC).astimezone(zoneinfo.ZoneInfo(zone))
    return int(at.utcoffset().total_seconds())


def start(year):
    return int(datetime.datetime(year, 1, 1, tzinfo=UTC).timestamp())


def changes(zone, year):
    """The seconds of that year at which the clocks change."""
    found, step = [], 6 * 3600
    before = offset(zone, start(year))
    for second in range(start(year) + step, start(year + 1) + 1, step):
        after = offset(zone, second)
        if after != before:
            low, high = second - step, second
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if offset(zone, middle) == before else (low, middle)
            found.append(high)
        before = after
    return found


def draw(r):
    """Zones and seconds, near a change of the clocks if the year drawn has one."""
    drawn = []
    while len(drawn) < CASES:
        zone, year = r.choice(ZONES), r.choice(YEARS)
        if year > LAST_YEAR.get(zone, year):
            continue
        at = changes(zone, year) or [r.randrange(start(year), start(year + 1))]
        for _ in range(20):
            drawn.append((zone, r.choice(at) + r.choice((-1, 0, 1, r.randrange(-2 * DAY, 2 * DAY), r.randrange(-DAY * 40, 0)))))
    return drawn


def test_wall_clocks():
    r = random.Random(SEED)
    cases = [(zone, second, r.choice((0, 1, 999_999))) for zone, second in draw(r)]
    compare([f"local {zone} {second * US + rest}" for zone, second, rest in cases],
            [(second + offset(zone, second)) * US + rest for zone, second, rest in cases])


def candidates(zone, local):
    """The seconds at which the wall shows that, with the offsets of two days around."""
    offsets = {offset(zone, local + around * 3600) for around in range(-48, 49, 1)}
    return [local - o for o in offsets if offset(zone, local - o) == o]


def instant(zone, local):
    shown = candidates(zone, local)
    if shown:
        return min(shown)
    low, high = local - 2 * DAY, local + 2 * DAY  # never: the first second after which the wall shows more
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if middle + offset(zone, middle) > local else (middle, high)
    return high


def test_instants():
    r = random.Random(SEED + 1)
    cases = [(zone, second + offset(zone, second)) for zone, second in draw(r)[:CASES // 4]]
    compare([f"instant {zone} {local * US}" for zone, local in cases], [instant(zone, local) * US for zone, local in cases])


def date(local):
    return EPOCH + datetime.timedelta(seconds=local)


def next_unit(zone, second, unit):
    """The first second of another unit: a minute at a time, for where the clocks go back at one past midnight a day has
    begun for that long; and a day at a time while the end is far."""
    def of(s):
        return unit(date(s + offset(zone, s)))

    now, later, step = of(second), second + 1, 60
    while of(later) == now:
        step = DAY if of(later + 2 * DAY) == now else 60
        later += step
    low, high = max(second, later - step), later
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if of(middle) == now else (low, middle)
    return high


def test_hours():
    """An hour ends when the clock shows a full hour, or is changed."""
    def end(zone, second):
        later = second + 1
        while (later + offset(zone, later)) % 3600 and offset(zone, later) == offset(zone, second):
            later += 1
        return later

    cases = draw(random.Random(SEED + 5))[:CASES // 16]
    compare([f"next_hour {zone} {second * US + 5}" for zone, second in cases], [end(zone, second) * US for zone, second in cases])


def test_days():
    cases = draw(random.Random(SEED + 2))[:CASES // 16]
    compare([f"next_day {zone} {second * US + 5}" for zone, second in cases],
            [next_unit(zone, second, lambda d: d.date()) * US for zone, second in cases])


def test_months():
    cases = draw(random.Random(SEED + 3))[:100]
    compare([f"next_month {zone} {second * US}" for zone, second in cases],
            [next_unit(zone, second, lambda d: (d.year, d.month)) * US for zone, second in cases])


def test_calendar():
    r = random.Random(SEED + 4)
    questions, expected = [], []
    for _ in range(CASES):
        local = r.randrange(int((datetime.datetime(1900, 1, 1) - EPOCH).total_seconds()) * US,
                            int((datetime.datetime(2200, 1, 1) - EPOCH).total_seconds()) * US)
        at = EPOCH + datetime.timedelta(microseconds=local)
        months = r.randrange(0, 400)
        year, month = divmod(at.year * 12 + at.month - 1 + months, 12)
        for day in (at.day, 30, 29, 28):
            try:
                later = at.replace(year=year, month=month + 1, day=min(at.day, day))
                break
            except ValueError:
                continue
        for question, answer in ((f"add_months {local} {months}", later),
                                 (f"local_day {local}", at.replace(hour=0, minute=0, second=0, microsecond=0)),
                                 (f"local_month {local}", at.replace(day=1, hour=0, minute=0, second=0, microsecond=0))):
            questions.append(question)
            expected.append((answer - EPOCH) // datetime.timedelta(microseconds=1))
    compare(questions, expected)


def test_names():
    """Every name of the database, and nothing else."""
    compare([f"find {name}" for name in ZONES], ZONES)
    others = ["", "UTC0", "CET-1CEST", "CET-1CEST,M3.5.0,M10.5.0/3", "+02:00", "Z", "europe/paris", "Europe", "Europe/", "/Europe/Paris",
              "Europe//Paris", "Europe/../Europe/Paris", "../zoneinfo/Europe/Paris", "posix/Europe/Paris", "right/Europe/Paris",
              "posixrules", "localtime", "leapseconds", "tzdata.zi", "zone.tab", "Europe/Paris ", "Europe/Paris\t", "Mars/Base",
              "A" * 63, "A" * 64, "A" * 400, ":Europe/Paris", "Europe/Pari", "Europe/París"]
    compare([f"find {name}" for name in others], ["none"] * len(others))

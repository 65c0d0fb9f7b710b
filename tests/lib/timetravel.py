"""The database's clock, which is the only one that octroi's ledger knows, in the hands of a test.

    clock = Clock(o)                        # of an Octroi; its time stands still from here on
    clock.set("2027-01-31 23:59:00", "Europe/Paris")
    clock.forward(days=1, minutes=2)
    clock.now_us                            # what octroi reads
    clock.release()                         # it is today again

MariaDB gives each new session of octroi's user that time (init_connect; octroi's user has not the privilege that would
skip it), and octroi's connections are closed, so that the next use opens new ones; a request that is under way then may
be answered 503.  octroictl and a second octroi on the same database see the same time.  Root's sessions, so `o.sql`, do
not: compare with clock.now_us, not with NOW().  A database that restarts has forgotten it: call set again.
Money moves at these times only; signatures of webhooks and tokens are checked against the machine's clock.
"""

import datetime
import zoneinfo

from octroi import wait_until

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
_US = datetime.timedelta(microseconds=1)
_OTHERS = "USER NOT IN ('root', 'system user', 'event_scheduler')"


def instant_us(local, zone="UTC"):
    """Microseconds since 1970 at which clocks in the zone show that (ISO 8601; the first time, if twice)."""
    wall = datetime.datetime.fromisoformat(local).replace(tzinfo=zoneinfo.ZoneInfo(zone))
    return (wall.astimezone(datetime.timezone.utc) - _EPOCH) // _US


class Clock:
    def __init__(self, o):
        self._o = o
        (now,), = o.sql("SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)")
        self.set_us(int(now))

    def set(self, local, zone="UTC"):
        """To the instant at which clocks in the zone show that; may be in the past."""
        return self.set_us(instant_us(local, zone))

    def forward(self, **of_timedelta):
        """forward(days=3, seconds=1)."""
        return self.set_us(self.now_us + datetime.timedelta(**of_timedelta) // _US)

    def set_us(self, now_us):
        self.now_us = now_us
        self._begin(f"SET timestamp={now_us // 10**6}.{now_us % 10**6:06d}")
        return now_us

    def release(self):
        self._begin("")

    def claims(self):
        """The number of tasks that a worker has claimed."""
        return int(self._o.sql("SELECT COUNT(*) FROM outbox WHERE claimed_until_us > 0")[0][0])

    def end_lost_claims(self):
        """Frees tasks whose worker's connection was closed just after the claim, which two minutes do elsewhere."""
        self._o.sql("UPDATE outbox SET claimed_until_us = 0 WHERE claimed_until_us > 0")

    def _begin(self, statement):
        """Every session of octroi that opens from now on runs the statement first; the others end, all at once: a task
        that is worked on by two sessions must not see two times."""
        old = dict(self._o.sql(f"SELECT ID, USER FROM information_schema.PROCESSLIST WHERE {_OTHERS}"))
        kills = "".join(f"; KILL CONNECTION USER '{user}'" for user in sorted({"octroi", *old.values()}))
        self._o.sql(f"SET GLOBAL init_connect='{statement}'{kills}")
        wait_until(lambda: not old.keys() & {id for (id,) in self._o.sql("SELECT ID FROM information_schema.PROCESSLIST")}, 30,
                   "the end of octroi's connections")

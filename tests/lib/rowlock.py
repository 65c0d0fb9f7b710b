"""Rows of octroi's database that a test holds locked, as somebody who is slow would; and other sessions of its own."""

import os
import pathlib
import re
import subprocess

from octroi import wait_until


class Session:
    """A connection to the database: root's, or octroi's own user's."""

    def __init__(self, o, as_octroi=False):
        environment = dict(os.environ)
        user = "root"
        if as_octroi:
            conf = pathlib.Path(o.env["OCTROI_CONF"]).read_text()
            user = re.search(r"^db_user = (.*)$", conf, re.M)[1]
            environment["MYSQL_PWD"] = re.search(r"^db_password = (.*)$", conf, re.M)[1]
        self.process = subprocess.Popen(
            ["mariadb", "--no-defaults", "--unbuffered", "--socket", o.env["OCTROI_DB_SOCKET"], "-u", user, "-N",
             o.env["OCTROI_DB_NAME"]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env=environment)

    def ask(self, sql):
        """The first line of what it answers, "" when the session has ended instead."""
        try:
            self.process.stdin.write(sql + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return ""
        return self.process.stdout.readline().strip()

    def close(self):
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        self.process.wait(30)
        self.process.stdout.close()


class Lock(Session):
    """rows: as behind FROM.  Released once, or at the end of its with, or with its session."""

    def __init__(self, o, rows):
        super().__init__(o)
        held = self.ask(f"BEGIN; SELECT COUNT(*) FROM {rows} FOR UPDATE;")
        assert held.isdigit() and int(held) > 0, f"{rows}: {held or 'no answer'}"

    def release(self):
        self.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.release()


def wait_for_waiting(o, sessions=1):
    """Until that many of them wait for a lock.

    Not by information_schema.innodb_trx, which is not renewed while somebody keeps asking.
    """
    wait_until(lambda: int(o.sql("SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'")[0][1]) >= sessions, 30,
               f"{sessions} waiting for a lock")

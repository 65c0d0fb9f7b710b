"""octroictl backup and restore: the whole ledger, in another database, proved; nothing is overwritten, nothing half."""

import os
import pathlib
import shutil
import subprocess
import threading

import pytest

from guard import authorize, hold, settle
from octroi import Octroi

BUILD = pathlib.Path(os.environ["OCTROI_BUILD"])


@pytest.fixture(scope="module")
def o():
    with Octroi("nginx") as made:
        yield made


@pytest.fixture(scope="module")
def saved(o):
    """A dump taken while requests run."""
    accounts = [o.account(funds_micros=5_000_000) for _ in range(8)]
    stop = threading.Event()

    def use(account):
        while not stop.is_set():
            settle(o, hold(o, account), inputTokens=10, outputTokens=10)
        o.disconnect()
    threads = [threading.Thread(target=use, args=(account,)) for account in accounts[:4]]
    for thread in threads:
        thread.start()
    path = o.dir / "dump.sql"
    done = o.ctl("backup", path)
    stop.set()
    for thread in threads:
        thread.join()
    assert "clean: nothing was found" in done.stdout
    return path


class Other:
    """An empty database and a configuration that names it."""

    count = 0

    def __init__(self, o):
        Other.count += 1
        self.o, self.name = o, f"restored_{os.getpid()}_{Other.count}"
        self.conf = o.dir / f"{self.name}.conf"
        self.conf.write_text(f"db_socket = {o.env['OCTROI_DB_SOCKET']}\ndb_name = {self.name}\ndb_user = root\n")
        self.conf.chmod(0o600)
        o.sql(f"CREATE DATABASE {self.name}")

    def ctl(self, *arguments, **environment):
        kept = {k: v for k, v in os.environ.items() if not k.startswith("OCTROI_")}
        return subprocess.run([BUILD / "octroictl", "-c", self.conf, *map(str, arguments)], env={**kept, **environment},
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=120, check=False)

    def tables(self):
        return self.o.sql(f"SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = '{self.name}'")[0][0]


@pytest.fixture
def other(o):
    made = Other(o)
    yield made
    o.sql(f"DROP DATABASE {made.name}")


def test_what_was_saved_is_restored_and_audited(o, saved, other):
    done = other.ctl("restore", saved)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "clean: nothing was found" in done.stdout and "heads of" in done.stdout
    accounts = o.sql(f"SELECT COUNT(*) FROM {other.name}.accounts")
    assert int(accounts[0][0]) >= 8
    for table in ("prices", "plans", "api_keys", "secrets"):
        assert o.sql(f"CHECKSUM TABLE {other.name}.{table}")[0][1] == o.sql(f"CHECKSUM TABLE octroi.{table}")[0][1], table


def test_a_backup_is_for_its_owner_alone(saved):
    for path in (saved, pathlib.Path(f"{saved}.heads")):
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_backup_overwrites_nothing(o, saved):
    before = saved.read_bytes()
    done = o.ctl("backup", saved, check=False)
    assert done.returncode == 2 and "overwrites nothing" in done.stderr
    assert saved.read_bytes() == before


@pytest.mark.parametrize("where", ["/nowhere/dump.sql", "/proc/dump.sql"])
def test_a_place_that_cannot_be_written_is_named(o, where):
    done = o.ctl("backup", where, check=False)
    assert done.returncode == 2 and where in done.stderr


def test_no_password_is_an_argument(o, tmp_path):
    """Of the program that octroictl starts, as anybody on the machine could see it."""
    seen = tmp_path / "seen"
    spy = tmp_path / "mariadb-dump"
    spy.write_text(f'#!/bin/sh\ntr "\\0" "\\n" < /proc/$$/cmdline > {seen}\ntr "\\0" "\\n" < /proc/$$/environ >> {seen}\n'
                   'echo "-- Dump completed"\n')
    spy.chmod(0o755)
    o.sql("CREATE USER spy@localhost IDENTIFIED BY 'seldom seen'; GRANT SELECT ON octroi.* TO spy@localhost")
    conf = tmp_path / "octroi.conf"
    conf.write_text(f"db_socket = {o.env['OCTROI_DB_SOCKET']}\ndb_name = octroi\ndb_user = spy\ndb_password = seldom seen\n")
    conf.chmod(0o600)
    done = subprocess.run([BUILD / "octroictl", "-c", conf, "backup", tmp_path / "d"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False,
                          env={"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    o.sql("DROP USER spy@localhost")
    assert done.returncode == 0, done.stdout
    assert "--defaults-file=" in seen.read_text() and "seldom" not in seen.read_text()


def test_a_dump_that_fails_leaves_no_file(o, tmp_path):
    broken = tmp_path / "mariadb-dump"
    broken.write_text("#!/bin/sh\necho half\nexit 3\n")
    broken.chmod(0o755)
    done = subprocess.run([o.env["OCTROI_CTL"], "backup", tmp_path / "d"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=60, check=False,
                          env={"PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert done.returncode == 2 and "mariadb-dump failed" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["mariadb-dump"]


def test_an_unclean_ledger_is_saved_and_said(o, tmp_path):
    account = o.account(funds_micros=1_000_000)
    o.sql(f"UPDATE accounts SET balance_micros = balance_micros + 7 WHERE external_id = '{account}'")
    done = o.ctl("backup", tmp_path / "d", check=False)
    o.sql(f"UPDATE accounts SET balance_micros = balance_micros - 7 WHERE external_id = '{account}'")
    assert done.returncode == 1 and "NOT CLEAN" in done.stdout, done.stdout
    assert (tmp_path / "d").exists() and not (tmp_path / "d.heads").exists()
    o.audit()


def test_restore_fills_only_an_empty_database(o, saved, other):
    o.sql(f"CREATE TABLE {other.name}.mine (a INT)")
    done = other.ctl("restore", saved)
    assert done.returncode == 2 and "restore fills an empty one" in done.stderr
    assert other.tables() == "1"


def test_a_dump_that_was_cut_is_refused(saved, other, tmp_path):
    content = saved.read_bytes()
    for size in (0, 10, len(content) // 2, len(content) - 60):
        cut = tmp_path / "cut.sql"
        cut.write_bytes(content[:size])
        done = other.ctl("restore", cut)
        assert done.returncode == 2 and "no whole dump" in done.stderr, size
    assert other.tables() == "0"


def test_a_dump_that_was_changed_is_found(o, saved, other, tmp_path):
    """A head that is not in its chain any more: the dump is older than its heads, or somebody's own."""
    later = tmp_path / "dump.sql"
    shutil.copy(saved, later)
    account = o.account(funds_micros=2_000_000)
    o.ctl("audit", "--heads", f"{later}.heads")
    done = other.ctl("restore", later)
    assert done.returncode == 1 and "NOT CLEAN" in done.stdout, (account, done.stdout)


def test_life_goes_on_after_a_restore(o, saved, other):
    """octroi on the restored database: an open hold is settled, the old keys are known."""
    account = o.account(funds_micros=3_000_000)
    open_hold = hold(o, account)
    path = o.dir / "again.sql"
    o.ctl("backup", path)
    o.sql("SET FOREIGN_KEY_CHECKS = 0; " + "; ".join(
        f"DROP TABLE octroi.`{name}`" for (name,) in o.sql("SELECT table_name FROM information_schema.TABLES WHERE"
                                                         " table_schema = 'octroi'")))
    o.ctl("restore", path)
    answer = settle(o, open_hold, inputTokens=1, outputTokens=1)
    assert answer.status == 200, answer
    assert authorize(o, account).status == 200
    o.audit()

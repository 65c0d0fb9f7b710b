"""The database connection (src/db/db.c) against a real MariaDB: what a session is, how errors are told apart,
and that a transaction is never continued on another connection.  tests/unit/db_driver does as it is told."""

import subprocess
import tempfile

import pytest

from octroi import Octroi, build_dir, wait_until
from rowlock import wait_for_waiting


class Driver:
    def __init__(self, o, timeout_ms=4000, user="root", password="", socket=None):
        self.o = o
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen(
            [str(build_dir() / "tests/unit/db_driver"), socket or o.env["OCTROI_DB_SOCKET"], user, password,
             o.env["OCTROI_DB_NAME"], str(timeout_ms)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        assert self.process.wait(timeout=30) == 0
        self.process.stdout.close()
        self.errors.close()

    def log(self):
        self.errors.seek(0)
        return self.errors.read()

    def start(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def answer(self):
        """(result, errno, rows, in transaction, connected)"""
        text = self.process.stdout.readline()
        assert text, self.log()
        head, rest = text.rstrip("\n").split(" [", 1)
        result, number = head.split()
        rows, flags = rest.rsplit("] ", 1)
        in_transaction, connected = flags.split()
        return result, int(number), rows, in_transaction == "transaction", connected == "connected"

    def __call__(self, line):
        self.start(line)
        return self.answer()

    def query(self, n, sql):
        return self(f"query {n} {sql}")

    def rows(self, n, sql):
        result, number, rows, _, _ = self.query(n, sql)
        assert (result, number) == ("OK", 0)
        return rows

    def counts(self):
        self.start("counts")
        return [int(n) for n in self.process.stdout.readline().split()]


@pytest.fixture(scope="module")
def o():
    with Octroi("nginx", audit=False) as mine:
        mine.sql("CREATE TABLE scratch (id INT PRIMARY KEY, text VARCHAR(8) CHARACTER SET utf8mb4) ENGINE=InnoDB")
        yield mine


@pytest.fixture
def d(o):
    o.sql("DELETE FROM scratch; INSERT INTO scratch VALUES (1, 'one'), (2, 'two')")
    with Driver(o) as driver:
        yield driver


def test_a_session(d):
    assert d.rows(0, "SELECT @@tx_isolation, @@time_zone, @@autocommit, @@innodb_lock_wait_timeout,"
                     " @@character_set_client, @@character_set_connection, @@character_set_results") == \
        "READ-COMMITTED,+00:00,1,3,utf8mb4,utf8mb4,utf8mb4"
    assert "STRICT_ALL_TABLES" in d.rows(0, "SELECT @@sql_mode")
    assert d.query(0, "INSERT INTO scratch VALUES (3, 'far too long a text')")[:2] == ("FAULT", 1406)
    assert d.query(0, "LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE scratch")[0] == "FAULT"
    assert d.rows(0, "SELECT COUNT(*) FROM scratch") == "2"


def test_several_statements_and_their_results(d):
    assert d.rows(0, "SELECT 1; UPDATE scratch SET text = 'x' WHERE id = 1; SELECT id, text FROM scratch ORDER BY id;"
                     " SELECT NULL") == "1;1,x;2,two;NULL"
    # An error in the middle: what came before took place, what comes after did not, and one can go on.
    assert d.query(0, "INSERT INTO scratch VALUES (7, ''); INSERT INTO scratch VALUES (1, ''); SELECT 5")[:3] == \
        ("DUPLICATE", 1062, "")
    assert d.rows(0, "SELECT id FROM scratch ORDER BY id") == "1;2;7"


def test_errors_are_told_apart(d):
    assert d.query(0, "SELECT nothing FROM nowhere")[:2] == ("FAULT", 1146)
    assert d.query(0, "SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213")[0] == "RETRY"
    assert d.query(0, "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1020")[0] == "RETRY"
    assert d.query(0, "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1226")[0] == "BUSY"
    assert d.query(0, "SIGNAL SQLSTATE '23000' SET MYSQL_ERRNO = 1062")[0] == "DUPLICATE"
    for number in (1021, 1030, 1037, 1041, 1114, 1878):
        assert d.query(0, f"SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = {number}")[0] == "FULL"
    assert d.rows(0, "SELECT 1") == "1"


def test_a_full_disk_does_not_fill_the_log(d):
    for _ in range(500):
        assert d.query(0, "SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = 1114")[0] == "FULL"
    assert 1 <= d.log().count("database_full") < 250


def test_a_commit_that_failed_may_have_taken_place(d):
    """So it is as if its answer had been lost: somebody has to ask."""
    for number in (1180, 1026, 3):
        assert d.query(0, f"SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = {number}")[:2] == ("LOST", number)
    assert d.rows(0, "SELECT 1") == "1"


def test_a_statement_never_reaches_the_log(d):
    assert d.query(0, "SELEC 'a secret of a customer'")[:2] == ("FAULT", 1064)
    assert "syntax error" in d.log() and "secret" not in d.log()


def test_a_lock_that_is_not_had_in_time(d):
    assert d.query(0, "BEGIN; SELECT id FROM scratch WHERE id = 1 FOR UPDATE")[3]
    # The connection is still there: told before the read would have been given up.
    assert d.query(1, "BEGIN; UPDATE scratch SET text = 'y' WHERE id = 2; UPDATE scratch SET text = 'y' WHERE id = 1") == \
        ("RETRY", 1205, "", True, True)
    assert d("rollback 1")[3:] == (False, True)
    assert d.rows(1, "SELECT text FROM scratch WHERE id = 2") == "two"
    assert d("rollback 0")[3:] == (False, True)


def test_a_lock_that_is_not_had_leaves_no_other_held(o, d):
    """The first statement fails, so no answer ever told of the transaction that it began; it locked a row before."""
    assert d.query(0, "BEGIN; SELECT id FROM scratch WHERE id = 2 FOR UPDATE")[3]
    assert d.query(MANUAL, "UPDATE scratch SET text = 'y' WHERE id IN (1, 2)") == ("RETRY", 1205, "", True, True)
    assert d(f"rollback {MANUAL}")[3:] == (False, True)
    assert d.rows(1, "SELECT id FROM scratch WHERE id = 1 FOR UPDATE NOWAIT") == "1"
    assert d("rollback 0")[3:] == (False, True)


def test_a_deadlock(d):
    d.query(0, "BEGIN; UPDATE scratch SET text = 'a' WHERE id = 1")
    d.query(1, "BEGIN; UPDATE scratch SET text = 'b' WHERE id = 2")
    with Driver(d.o) as other:  # another process, because one of the two waits
        assert other.query(0, "BEGIN; INSERT INTO scratch VALUES (10, ''), (11, ''), (12, '')")[0] == "OK"
        other.start("query 0 UPDATE scratch SET text = 'c' WHERE id = 1")
        wait_for_waiting(d.o)
        victim = d.query(0, "UPDATE scratch SET text = 'a' WHERE id = 10")
        waited = other.answer()
        assert sorted((victim[0], waited[0])) == ["OK", "RETRY"]
        assert 1213 in (victim[1], waited[1])
        other("rollback 0")


def kill(o, id):
    o.sql(f"KILL {id}")
    wait_until(lambda: o.sql(f"SELECT COUNT(*) FROM information_schema.processlist WHERE id = {id}") == [("0",)])


def test_an_idle_connection_that_was_closed_is_replaced(d, o):
    id = d.rows(0, "SELECT CONNECTION_ID()")
    kill(o, id)
    assert d.rows(0, "SELECT CONNECTION_ID()") != id


def test_a_transaction_is_never_continued_elsewhere(d, o):
    id = d.rows(0, "BEGIN; UPDATE scratch SET text = 'z' WHERE id = 1; SELECT CONNECTION_ID()")
    kill(o, id)
    assert d.query(0, "UPDATE scratch SET text = 'z' WHERE id = 2") == ("LOST", 2006, "", False, False)
    connects = d.counts()[1]
    assert d.query(0, "COMMIT")[0] == "LOST"
    assert d.query(0, "ROLLBACK")[0] == "LOST"
    assert d.counts()[1] == connects
    assert d.rows(0, "SELECT id, text FROM scratch ORDER BY id") == "1,one;2,two"


def test_an_answer_that_does_not_come(o):
    with Driver(o, timeout_ms=1000) as d:
        assert d.query(0, "SELECT SLEEP(30)") == ("LOST", 2013, "", False, False)
        assert d.rows(0, "SELECT 1") == "1"


def test_streamed_rows_are_drained(d):
    assert d("stream 0 SELECT seq FROM seq_1_to_200000; SELECT 2")[:3] == ("OK", 0, "1")
    assert d.rows(0, "SELECT 3") == "3"
    assert d("stream 0 SELECT seq FROM seq_1_to_200000; INSERT INTO scratch VALUES (1, '')")[:3] == ("OK", 0, "1")
    # The failure that was left over is told, and the statement is not run.
    assert d.query(0, "DELETE FROM scratch")[:2] == ("DUPLICATE", 1062)
    assert d.rows(0, "SELECT COUNT(*) FROM scratch") == "2"


def test_no_database(o):
    with Driver(o, socket="/nonexistent/socket") as d:
        for _ in range(20):
            assert d.query(0, "SELECT 1")[:2] == ("LOST", 2002)
        assert d.log().count("database_unreachable") <= 2, "a line per request floods the log"
    with Driver(o, user="nobody", password="hunter2-not-for-logs") as d:
        assert d.query(0, "SELECT 1")[:2] == ("FAULT", 1045)
        assert "hunter2" not in d.log()


def test_too_many_connections(o):
    o.sql("CREATE OR REPLACE USER few@localhost IDENTIFIED BY '' WITH MAX_USER_CONNECTIONS 1;"
          f"GRANT SELECT ON {o.env['OCTROI_DB_NAME']}.* TO few@localhost")
    with Driver(o, user="few") as d:
        assert d.rows(0, "SELECT 1") == "1"
        assert d.query(1, "SELECT 1")[:2] == ("BUSY", 1226)
        d("disconnect 0")
        wait_until(lambda: d.query(1, "SELECT 1")[0] == "OK", what="room for a connection")


# ---- in bulk --------------------------------------------------------------------------------------------

MANUAL = 3


def test_in_bulk_without_waiting_for_the_answer(o, d):
    """A failure is told by the next call, whatever that is, and what it wanted is not done."""
    assert d.rows(0, "SELECT @@autocommit") == "1"
    assert d.rows(MANUAL, "SELECT @@autocommit; SELECT COUNT(*) FROM scratch") == "0;2"
    assert d(f"bulk {MANUAL} 0 11,12 INSERT INTO scratch(id) VALUES (?)")[0] == "OK"
    assert d(f"bulk {MANUAL} 0 13,14 INSERT INTO scratch(id) VALUES (?)")[0] == "OK"
    assert d.query(MANUAL, "COMMIT")[0] == "OK"
    assert o.sql("SELECT COUNT(*) FROM scratch WHERE id > 10") == [("4",)]
    assert d.rows(MANUAL, "SELECT COUNT(*) FROM scratch WHERE id = 1 FOR UPDATE") == "1"
    assert d(f"bulk {MANUAL} 0 15,11 INSERT INTO scratch(id) VALUES (?)")[0] == "OK"
    assert d(f"bulk {MANUAL} 0 16 INSERT INTO scratch(id) VALUES (?)")[0] == "OK"
    assert d.query(MANUAL, "COMMIT")[:2] == ("DUPLICATE", 1062)
    assert d(f"rollback {MANUAL}")[3:] == (False, True)
    assert o.sql("SELECT COUNT(*) FROM scratch WHERE id > 10") == [("4",)]
    # With a connection that commits by itself it is told at once.
    assert d.query(0, "BEGIN; SELECT 1")[0] == "OK"
    assert d("bulk 0 1 17,11 INSERT INTO scratch(id) VALUES (?)")[:2] == ("DUPLICATE", 1062)
    assert d("rollback 0")[3:] == (False, True)


def test_what_was_sent_behind_a_deadlock_does_not_last(o, d):
    """The server ends the transaction of a deadlock's victim, and executes what came behind in a new one."""
    with Driver(o) as other:
        assert d.rows(MANUAL, "BEGIN; SELECT id FROM scratch WHERE id = 1 FOR UPDATE") == "1"
        assert d(f"bulk {MANUAL} 0 20 INSERT INTO scratch(id) VALUES (?)")[0] == "OK"
        # The other has more to lose, so it is not the victim.
        assert other.query(0, "BEGIN; UPDATE scratch SET text = 'b' WHERE id = 2;"
                              " INSERT INTO scratch SELECT 1000 + seq, 'b' FROM seq_1_to_100")[0] == "OK"
        other.start("query 0 UPDATE scratch SET text = 'b' WHERE id = 1")
        wait_for_waiting(o)
        assert d(f"bulk {MANUAL} 1 2 UPDATE scratch SET text = 'a' WHERE id = ?")[0] == "OK"
        assert d(f"bulk {MANUAL} 0 21 INSERT INTO scratch(id) VALUES (?)")[0] == "OK"
        assert d.query(MANUAL, "COMMIT")[:2] == ("RETRY", 1213)
        assert d(f"rollback {MANUAL}")[3:] == (False, True)
        assert other.answer()[0] == "OK"
        assert other.query(0, "COMMIT")[0] == "OK"
    assert o.sql("SELECT id, text FROM scratch WHERE id < 1000") == [("1", "b"), ("2", "b")]


def test_a_connection_lost_in_the_middle_of_much(o, d):
    assert d.rows(MANUAL, "SELECT id FROM scratch WHERE id = 1 FOR UPDATE") == "1"
    assert d(f"bulk {MANUAL} 0 20 INSERT INTO scratch(id) VALUES (?)")[0] == "OK"
    connection = d.rows(0, "SELECT trx_mysql_thread_id FROM information_schema.innodb_trx")
    o.sql(f"KILL {connection}")
    result = d(f"bulk {MANUAL} 0 21 INSERT INTO scratch(id) VALUES (?)")
    if result[0] == "OK":  # it was sent before the server hung up
        result = d.query(MANUAL, "COMMIT")
    assert (result[0], result[4]) == ("LOST", False)
    assert d(f"bulk {MANUAL} 0 22 INSERT INTO scratch(id) VALUES (?)")[0] == "LOST"
    assert o.sql("SELECT COUNT(*) FROM scratch WHERE id >= 20") == [("0",)]

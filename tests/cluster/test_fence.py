"""An old primary that takes writes is not written to; needs no network namespaces, because nothing is cut.

The servers acknowledge without each other here (no semi-synchronous replication), so octroi alone keeps them apart."""

import contextlib
import json
import subprocess
import urllib.request

import pytest

from nodes import FOR_EVER_MS, GALERA, PROVIDER, REPLICATION, Base, Nodes
from octroi import TOP, build_dir, wait_until


@pytest.fixture(scope="module")
def base():
    with Base() as made:
        yield made


@pytest.fixture
def pair(base):
    with Nodes(base, 2, "replication", acknowledged=False) as nodes:
        nodes.start()
        yield nodes


def ask(octroi, base, method, path, key, body=None):
    request = urllib.request.Request(octroi.internal_url + path, method=method, data=json.dumps(body).encode() if body else None,
                                     headers={"Authorization": f"Bearer {base.first.keys[key]}", "Content-Type": "application/json"})
    with contextlib.suppress(urllib.error.HTTPError):
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status
    return 503


def make(octroi, base, account):
    return ask(octroi, base, "PUT", f"/api/accounts/{account}", "app", {"unit": "money"})


def accounts(node):
    return {row[0] for row in node.sql("SELECT external_id FROM accounts")}


def test_writes_wait_for_the_first_epoch(base, pair):
    with pair.octroi() as octroi:
        assert make(octroi, base, "early") == 503
        assert "epoch 1" in pair.take_over().stdout
        wait_until(lambda: make(octroi, base, "then") in (200, 201), 10, "the primary")
    assert accounts(pair[0]) == {"then"}


def test_old_primary_is_fenced(base, pair):
    """The old primary comes back and could be written to."""
    first, second = pair
    pair.take_over()
    with pair.octroi() as octroi:
        wait_until(lambda: make(octroi, base, "a") in (200, 201), 10, "the primary")
        wait_until(lambda: accounts(second) == {"a"}, 10, "the replica")
        first.pause()
        refused = pair.ctl("database", "takeover", "--actor", "test", check=False)
        assert refused.returncode != 0 and "does not answer" in refused.stdout, refused.stdout
        pair.promote_only(second)
        assert make(octroi, base, "b") == 503  # promoted, and not taken over
        assert "epoch 2" in pair.take_over(first).stdout
        wait_until(lambda: make(octroi, base, "c") in (200, 201), 20, "the new primary")
        first.go_on()
        assert first.sql("SELECT @@read_only") == [("0",)]
        wait_until(lambda: "old epoch" in pair.ctl("database", "list").stdout, 10, "the old primary")
        for n in range(30):
            assert make(octroi, base, f"d{n}") in (200, 201)
    assert accounts(first) == {"a"}
    assert {"a", "c", "d0", "d29"} <= accounts(second) and "b" not in accounts(second)


def test_restarted_octroi_that_reaches_the_old_primary_alone(base, pair):
    first, second = pair
    pair.take_over()
    second.pause()
    with pair.octroi() as octroi:  # one of two servers may not know of a later epoch
        assert make(octroi, base, "x") == 503
    with pair.octroi([first]) as octroi:  # nor does a shorter list help
        assert make(octroi, base, "x") == 503
    second.go_on()
    with pair.octroi() as octroi:
        wait_until(lambda: make(octroi, base, "y") in (200, 201), 10, "both servers")
    assert accounts(first) == {"y"}


TASK = "SELECT state, attempts, claimed_until_us FROM outbox"


def refusals(octroi):
    return (octroi.home / "octroi.log").read_text().count("event=database_unreachable")


def test_old_primary_that_is_the_only_host(base, pair):
    """The claim of a task, which no batch checks, is not written there either."""
    first, second = pair
    pair.take_over()
    with pair.octroi() as octroi:
        wait_until(lambda: make(octroi, base, "a") in (200, 201), 10, "the primary")
    wait_until(lambda: accounts(second) == {"a"}, 10, "the replica")
    first.kill()
    pair.promote(second, first)
    first.start()
    first.sql("STOP SLAVE; SET GLOBAL read_only = 0")
    for node in pair:  # a task of a kind that nobody knows, which a worker parks
        node.sql("INSERT INTO outbox (account_id, seq, kind) SELECT id, 1, 99 FROM accounts")
    with pair.octroi([first]) as octroi:
        wait_until(lambda: refusals(octroi) >= 3 or first.sql(TASK)[0][0] != "0", 30, "three seconds of refusals, or a parked task")
        assert first.sql(TASK) == [("0", "0", "0")]
        assert make(octroi, base, "b") == 503
        assert ask(octroi, base, "GET", "/api/credits?account=a", "app") == 503
    with pair.octroi([second]) as octroi:
        wait_until(lambda: second.sql(TASK)[0][0] != "0", 30, "the end of the task")
        assert ask(octroi, base, "GET", "/api/credits?account=a", "app") == 200
        assert refusals(octroi) == 0
    assert accounts(first) == {"a"}


def test_single_server_without_an_epoch(base, pair):
    """Nobody has to take over a server that is alone."""
    with pair.octroi([pair[0]]) as octroi:
        wait_until(lambda: make(octroi, base, "a") in (200, 201), 10, "the server")


def test_epoch_that_octroi_did_not_write(base, pair):
    """The server is refused with the reason; octroi does not end."""
    first = pair[0]
    first.sql("INSERT INTO epochs (number, server_id, servers) VALUES (1, 0, 0)")
    with pair.octroi([first]) as octroi:
        reason = "its newest epoch is no row of octroi's"
        wait_until(lambda: reason in (octroi.home / "octroi.log").read_text(), 10, "the reason in the log")
        assert make(octroi, base, "a") == 503
        first.sql("DELETE FROM epochs WHERE number = 1")
        wait_until(lambda: make(octroi, base, "a") in (200, 201), 10, "the server")


def test_two_writers_are_refused(base, pair):
    first, second = pair
    second.sql("SET GLOBAL read_only = 0")
    refused = pair.ctl("database", "takeover", "--actor", "test", check=False)
    assert refused.returncode != 0 and "may both be written to" in refused.stdout
    assert "two writers" in pair.ctl("database", "list").stdout
    with pair.octroi() as octroi:
        assert make(octroi, base, "x") == 503
    assert accounts(first) == accounts(second) == set()


@pytest.mark.parametrize("arguments, said", [
    (["--actor", ""], "--actor has to name"), ([], "--actor has to name"), (["--actor", "x" * 65], "at most 64"),
    (["--actor", "me", "--off", "nowhere"], "no such host"), (["--actor", "me", "more"], "one argument too many")])
def test_wrong_arguments_change_nothing(base, pair_once, arguments, said):
    refused = pair_once.ctl("database", "takeover", *arguments, check=False)
    assert refused.returncode != 0 and said in refused.stdout, refused.stdout
    assert pair_once[0].sql("SELECT COUNT(*) FROM epochs") == [("1",)]


@pytest.fixture(scope="module")
def pair_once(base):
    with Nodes(base, 2, "replication", acknowledged=False) as nodes:
        nodes.start()
        yield nodes


def test_replica_that_still_follows_is_not_taken_over(base, pair):
    first, second = pair
    first.sql("SET GLOBAL read_only = 1")
    second.sql("SET GLOBAL read_only = 0")
    refused = pair.ctl("database", "takeover", "--actor", "test", check=False)
    assert refused.returncode != 0 and "still follows" in refused.stdout, refused.stdout


def findings(nodes):
    done = nodes.ctl("doctor", "--json", check=False)
    return {check["check"]: check for check in json.loads(done.stdout[done.stdout.index("{"):])["checks"]}


def test_doctor_and_status_know_the_servers(base, pair):
    first, second = pair
    replica = f"server {second.name}"
    before = findings(pair)
    assert before["primary"]["state"] == "problem" and "takeover" in before["primary"]["advice"], before["primary"]
    assert before[replica]["state"] == "ok"
    pair.take_over()
    taken = findings(pair)
    assert taken["primary"]["state"] == "ok" and "epoch 1" in taken["primary"]["found"], taken["primary"]
    unsafe = taken["semi-synchronous replication"]
    assert unsafe["state"] == "problem" and "rpl_semi_sync_master_enabled = 1" in unsafe["advice"]

    first.sql("SET GLOBAL rpl_semi_sync_master_enabled = 1")
    assert findings(pair)["semi-synchronous replication"]["state"] == "ok"
    first.sql("SET GLOBAL rpl_semi_sync_master_timeout = 10000")
    assert findings(pair)["semi-synchronous replication"]["state"] == "warning"
    first.sql("SET GLOBAL rpl_semi_sync_master_wait_point = AFTER_COMMIT")
    assert findings(pair)["semi-synchronous replication"]["state"] == "problem"
    first.sql("SET GLOBAL rpl_semi_sync_master_wait_point = AFTER_SYNC; SET GLOBAL sync_binlog = 0")
    assert findings(pair)["sync_binlog"]["state"] == "problem"

    second.sql("SET GLOBAL read_only = 0")
    assert findings(pair)[replica]["state"] == "problem"
    second.sql("SET GLOBAL read_only = 1; STOP SLAVE")
    assert findings(pair)[replica]["state"] == "warning"
    shown = json.loads(pair.ctl("status", "--json").stdout)
    assert (shown["databaseHost"], shown["epoch"], shown["epochServerId"]) == (first.address, 1, 1), shown
    second.kill()
    assert findings(pair)[replica]["state"] == "warning"
    first.sql("SET GLOBAL read_only = 1")
    assert "read_only is on" in findings(pair)["primary"]["found"]


@pytest.mark.parametrize("lines", [REPLICATION.format(for_ever=FOR_EVER_MS), GALERA.split("wsrep_cluster_address")[0].format(provider=PROVIDER)])
def test_page_has_the_settings_that_are_tested(lines):
    page = (TOP / "docs/many-machines.md").read_text()
    assert lines.strip() in page


@pytest.mark.parametrize("hosts", ["db1:0", "db1,db2:x", "[::1", "a,b,c,d,e,f,g,h,i", ":3306"])
def test_wrong_list_is_refused(tmp_path, hosts):
    conf = tmp_path / "octroi.conf"
    conf.write_text(f"db_host = {hosts}\n")
    done = subprocess.run([build_dir() / "octroi", "-t", "-c", conf], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode != 0 and "db_host: it has to be a list of at most 8 hosts" in done.stdout, done.stdout

"""Faults of the servers of a topology under load, and the work of an operator after each.

    result = play(base, SCENES["pair-kill-writer"], directory)

A scene starts servers in network namespaces, an octroi and clients that write down each call and each answer.  Then it
breaks something, mends it as docs/many-machines.md says, and holds the history against the tables of the server that
octroi writes to at the end.  The audit has to be clean, and every server that came back has the same rows."""

import collections
import contextlib
import os
import pathlib
import re
import signal
import threading
import time

from both import Both
from checker import ORDER, check
from client import Load
from nodes import CLIENTS, PEERS, Nodes
from octroi import Octroi, wait_until
from spider import Spider

BEFORE, AFTER = 400, 400  # answers
SERVICE_SECONDS = 90
SAME = ("accounts", "entries", "usages", "holds", "requests", "grants")

BAD = {"delay_ms": 20, "jitter_ms": 10, "loss_to": 0.02, "loss_from": 0.02}
SLOW_US = 200_000  # of each fsync
MINUTE_US = 60_000_000

# clocks: microseconds that each server's is ahead; servers without them cannot get a slow disk.  octrois: behind nginx.
# keeps: nothing may be lost.  The others are of docs/many-machines.md too, which says what they lose.
Scene = collections.namedtuple("Scene", "topology fault operator clocks octrois keeps", defaults=(None, 1, True))
Result = collections.namedtuple("Result", "counts problems gap_seconds operator")


class Talker(Octroi):
    """The calls of Octroi, to another octroi with the keys of the base."""

    def __init__(self, base, octroi):
        self.internal_url = self.url = octroi.internal_url
        self.keys, self._threads = base.first.keys, threading.local()


# An answer for which something was written: neither a balance that was read, nor an answer that was stored before.
CHANGED = re.compile(r"A\t(\d+)\t[^\t]+\t\d+\t[^\t]+\t20[01]\t(?!.*\"replayed\": true).*(reserved|cost|amount)Micros")


def longest_gap(files):
    """Seconds between one acknowledged change and the next, at most."""
    times = []
    for path in files[1:]:
        with open(path, encoding="ascii") as history:
            times += [int(found[1]) for found in map(CHANGED.match, history) if found]
    times.sort()
    return max((b - a for a, b in zip(times, times[1:])), default=0) / 1e9


# ---- replication ------------------------------------------------------------------------------------------


def rejoin(nodes, old, new):
    """The server that was the primary begins anew as a replica: what no replica has acknowledged is cut off its log."""
    old.start("--init-rpl-role=SLAVE")
    nodes.follow(old, new)
    new.sql("SET GLOBAL rpl_semi_sync_master_enabled = 1")
    nodes.take_over()


def fail_over(nodes, load, old, new):
    """The old primary is gone or cut off."""
    nodes.promote(new, old)
    load.wait_for(AFTER, SERVICE_SECONDS)


def fail_over_and_back(nodes, load, back):
    """back ends the fault; the old primary takes itself for the primary then."""
    first, second = nodes
    fail_over(nodes, load, first, second)
    back()
    load.wait_for(AFTER, SERVICE_SECONDS)
    first.kill()
    rejoin(nodes, first, second)


def pair_kill_writer(nodes, load):
    first, second = nodes
    first.kill()
    fail_over(nodes, load, first, second)
    rejoin(nodes, first, second)


def pair_pause_writer(nodes, load):
    nodes[0].pause()
    fail_over_and_back(nodes, load, nodes[0].go_on)


def pair_cut_writer(nodes, load):
    nodes[0].cut(CLIENTS, PEERS)
    fail_over_and_back(nodes, load, nodes[0].heal)


def pair_cut_writer_from_replica(nodes, load):
    """Clients reach the old primary, so it is ended by hand before another one is promoted."""
    first, second = nodes
    first.cut(PEERS)
    wait_until(lambda: second.status("Slave_running") == "OFF" or second.sql("SHOW SLAVE STATUS")[0][10] != "Yes", 30, "the cut")
    first.kill()
    first.heal()
    fail_over(nodes, load, first, second)
    rejoin(nodes, first, second)


def pair_kill_replica(nodes, load):
    """Nothing is acknowledged until it is back."""
    first, second = nodes
    second.kill()
    second.start()
    wait_until(lambda: first.status("Rpl_semi_sync_master_clients") == "1", 60, "the replica")


def pair_planned(nodes, load):
    """The primary changes without any fault."""
    first, second = nodes
    first.sql("SET GLOBAL read_only = 1")
    nodes.promote_only(second)
    nodes.follow(first, second)
    second.sql("SET GLOBAL rpl_semi_sync_master_enabled = 1")
    nodes.take_over()


def pair_deaf_writer(nodes, load):
    """Nothing reaches the primary; its own frames arrive."""
    nodes[0].disturb(CLIENTS, PEERS, loss_to=1)
    fail_over_and_back(nodes, load, nodes[0].heal)


def pair_mute_writer(nodes, load):
    """Nothing that the primary sends arrives."""
    nodes[0].disturb(CLIENTS, PEERS, loss_from=1)
    fail_over_and_back(nodes, load, nodes[0].heal)


def pair_mute_replica(nodes, load):
    """The replica gets all, but its acknowledgements are lost."""
    first, second = nodes
    second.disturb(PEERS, loss_from=1)
    wait_until(lambda: first.status("Rpl_semi_sync_master_wait_sessions") != "0", 30, "a COMMIT that waits")
    first.kill()
    second.heal()
    fail_over(nodes, load, first, second)
    rejoin(nodes, first, second)


def pair_bad_links(nodes, load):
    first, second = nodes
    first.disturb(CLIENTS, **BAD)
    second.disturb(PEERS, **BAD)
    load.wait_for(AFTER, SERVICE_SECONDS)
    first.heal()
    second.heal()


def slow_disk(node, load):
    node.change_machine(disk_us=SLOW_US)
    load.wait_for(AFTER, SERVICE_SECONDS)
    node.change_machine()


def pair_slow_disk_writer(nodes, load):
    slow_disk(nodes[0], load)


def pair_slow_disk_replica(nodes, load):
    slow_disk(nodes[1], load)


def clock_steps(nodes, load):
    """The clock of the server that is written to goes a minute ahead, and back."""
    nodes[0].change_machine(clock_us=MINUTE_US)
    load.wait_for(AFTER, SERVICE_SECONDS)
    nodes[0].change_machine()


def pair_kill_both(nodes, load):
    """Two faults at once, and the primary does not come back."""
    first, second = nodes
    for node in nodes:
        node.kill()
    second.start()
    fail_over(nodes, load, first, second)
    rejoin(nodes, first, second)


def pair_kill_all(nodes, load):
    """The old primary goes on: it has all that was acknowledged."""
    for node in nodes:
        node.kill()
    for node in nodes:
        node.start()
    first, second = nodes
    wait_until(lambda: second.status("Slave_running") == "ON", 60, "the replica")
    first.sql("SET GLOBAL rpl_semi_sync_master_enabled = 1; SET GLOBAL read_only = 0")


def restart(node):
    node.stop()
    node.start()


def restart_web(nodes, load):
    """Each octroi, and nginx reads its configuration."""
    for octroi in nodes.octrois:
        octroi.kill_and_start(signal.SIGTERM)
        load.wait_for(AFTER, SERVICE_SECONDS)
    os.kill(nodes.octrois[0].server_pid, signal.SIGHUP)


def pair_rolling(nodes, load):
    first, second = nodes
    for replica in (second, first):
        restart(replica)
        primary = first if replica is second else second
        wait_until(lambda: primary.status("Rpl_semi_sync_master_clients") == "1", 60, "the replica")
        load.wait_for(AFTER, SERVICE_SECONDS)
        if replica is second:
            pair_planned(nodes, load)
    restart_web(nodes, load)


def pair_copied_anew(nodes, load):
    """The replica comes back when the primary has no longer the binary log that it needs."""
    first, second = nodes
    second.kill()
    first.sql("SET GLOBAL rpl_semi_sync_master_enabled = 0")
    nodes.take_over(second)
    load.wait_for(AFTER, SERVICE_SECONDS)
    first.sql("FLUSH BINARY LOGS; FLUSH BINARY LOGS")
    first.sql(f"PURGE BINARY LOGS TO '{first.sql('SHOW BINARY LOGS')[-1][0]}'")
    second.start()
    wait_until(lambda: "1236" in second.sql("SHOW SLAVE STATUS")[0], 60, "the replica's complaint")
    nodes.copy(second, first)
    first.sql("SET GLOBAL rpl_semi_sync_master_enabled = 1")
    nodes.take_over()


# ---- Galera -----------------------------------------------------------------------------------------------


def rejoin_cluster(nodes, node):
    """A node that was killed gets all rows anew."""
    node.start()
    wait_until(lambda: nodes.synced(len(nodes.nodes)), 60, "the cluster")


def galera_kill_writer(nodes, load):
    nodes[0].kill()
    load.wait_for(AFTER, SERVICE_SECONDS)
    rejoin_cluster(nodes, nodes[0])


def galera_pause_writer(nodes, load):
    nodes[0].pause()
    load.wait_for(AFTER, SERVICE_SECONDS)
    nodes[0].go_on()
    wait_until(lambda: nodes.synced(3), 60, "the cluster")


def galera_cut_writer(nodes, load):
    nodes[0].cut(CLIENTS, PEERS)
    load.wait_for(AFTER, SERVICE_SECONDS)
    nodes[0].heal()
    wait_until(lambda: nodes.synced(3), 60, "the cluster")


def galera_cut_writer_from_nodes(nodes, load):
    nodes[0].cut(PEERS)
    load.wait_for(AFTER, SERVICE_SECONDS)
    nodes[0].heal()
    wait_until(lambda: nodes.synced(3), 60, "the cluster")


def galera_kill_reader(nodes, load):
    nodes[2].kill()
    load.wait_for(AFTER, SERVICE_SECONDS)
    rejoin_cluster(nodes, nodes[2])


def galera_one_way(nodes, load, **how):
    """octroi reaches the writer all the time."""
    nodes[0].disturb(PEERS, **how)
    load.wait_for(AFTER, SERVICE_SECONDS)
    nodes[0].heal()
    wait_until(lambda: nodes.synced(3), 60, "the cluster")


def galera_deaf_writer(nodes, load):
    galera_one_way(nodes, load, loss_to=1)


def galera_mute_writer(nodes, load):
    galera_one_way(nodes, load, loss_from=1)


def galera_bad_links(nodes, load):
    nodes[0].disturb(CLIENTS, **BAD)
    nodes[1].disturb(PEERS, **BAD)
    load.wait_for(AFTER, SERVICE_SECONDS)
    for node in nodes:
        node.heal()
    wait_until(lambda: nodes.synced(3), 60, "the cluster")


def galera_slow_disk_writer(nodes, load):
    slow_disk(nodes[0], load)


def galera_slow_disk_reader(nodes, load):
    slow_disk(nodes[2], load)


def galera_rolling(nodes, load):
    for node in reversed(nodes.nodes):
        node.stop()
        load.wait_for(AFTER, SERVICE_SECONDS)
        rejoin_cluster(nodes, node)
    restart_web(nodes, load)


def galera_new_node(nodes, load):
    """A node comes back without data."""
    nodes[2].kill()
    nodes[2].empty()
    load.wait_for(AFTER, SERVICE_SECONDS)
    rejoin_cluster(nodes, nodes[2])


def galera_kill_all(nodes, load):
    """The node that has most begins the cluster anew."""
    for node in nodes:
        node.kill()
    best = max(nodes, key=lambda node: node.recovered())
    best.bootstrap()
    for node in nodes:
        if node is not best:
            node.start()
    wait_until(lambda: nodes.synced(3), 60, "the cluster")
    nodes.take_over()


# ---- one server -------------------------------------------------------------------------------------------


def single_kill(nodes, load):
    nodes[0].kill()
    nodes[0].start()


def single_pause(nodes, load):
    nodes[0].pause()
    answers = load.answers()
    wait_until(lambda: load.answers() >= answers, 5, "a moment")
    nodes[0].go_on()


# ---- Spider -----------------------------------------------------------------------------------------------


def spider_kill_holder(nodes, load):
    """A server that holds half of the accounts, while another one takes its time for a COMMIT."""
    for slow, killed in ((1, 2), (2, 1)) * 2:
        nodes[slow].change_machine(disk_us=SLOW_US)
        load.wait_for(50, SERVICE_SECONDS)
        nodes[killed].kill()
        nodes[slow].change_machine()
        nodes[killed].start()
        load.wait_for(50, SERVICE_SECONDS)


def spider_kill_head(nodes, load):
    for _ in range(3):
        nodes[0].kill()
        nodes[0].start()
        load.wait_for(50, SERVICE_SECONDS)


TOPOLOGIES = {
    "single": lambda base: Nodes(base, 1, "single", namespaces=True),
    "replication": lambda base: Nodes(base, 2, "replication", namespaces=True),
    "galera": lambda base: Nodes(base, 3, "galera", namespaces=True),
    "spider": lambda base: Spider(base, namespaces=True),
    "spider-xa": lambda base: Spider(base, xa=1, namespaces=True),
}
SCENES = {
    "single-kill": Scene("single", single_kill, "start it"),
    "pair-kill-writer": Scene("replication", pair_kill_writer, "promote, takeover --off"),
    "pair-pause-writer": Scene("replication", pair_pause_writer, "promote, takeover --off"),
    "pair-cut-writer": Scene("replication", pair_cut_writer, "promote, takeover --off"),
    "pair-cut-writer-from-replica": Scene("replication", pair_cut_writer_from_replica, "end it, promote, takeover --off"),
    "pair-kill-replica": Scene("replication", pair_kill_replica, "start it"),
    "pair-planned": Scene("replication", pair_planned, "read_only, promote, takeover"),
    "pair-deaf-writer": Scene("replication", pair_deaf_writer, "promote, takeover --off"),
    "pair-mute-writer": Scene("replication", pair_mute_writer, "promote, takeover --off"),
    "pair-mute-replica": Scene("replication", pair_mute_replica, "end it, promote, takeover --off"),
    "pair-bad-links": Scene("replication", pair_bad_links, "nothing"),
    "pair-slow-disk-writer": Scene("replication", pair_slow_disk_writer, "nothing", (0, 0)),
    "pair-slow-disk-replica": Scene("replication", pair_slow_disk_replica, "nothing", (0, 0)),
    "pair-clock-steps": Scene("replication", clock_steps, "nothing", (0, 0)),
    "pair-clock-behind": Scene("replication", pair_kill_writer, "promote, takeover --off", (0, -MINUTE_US)),
    "pair-kill-both": Scene("replication", pair_kill_both, "start the replica, promote, takeover --off", keeps=False),
    "pair-kill-all": Scene("replication", pair_kill_all, "start both, semi_sync on, read_only off"),
    "pair-rolling": Scene("replication", pair_rolling, "restart, and as on purpose", octrois=2),
    "pair-copied-anew": Scene("replication", pair_copied_anew, "takeover --off, copy, takeover"),
    "galera-kill-writer": Scene("galera", galera_kill_writer, "start it"),
    "galera-pause-writer": Scene("galera", galera_pause_writer, "nothing"),
    "galera-cut-writer": Scene("galera", galera_cut_writer, "nothing"),
    "galera-cut-writer-from-nodes": Scene("galera", galera_cut_writer_from_nodes, "nothing"),
    "galera-kill-reader": Scene("galera", galera_kill_reader, "start it"),
    "galera-deaf-writer": Scene("galera", galera_deaf_writer, "nothing"),
    "galera-mute-writer": Scene("galera", galera_mute_writer, "nothing"),
    "galera-bad-links": Scene("galera", galera_bad_links, "nothing"),
    "galera-slow-disk-writer": Scene("galera", galera_slow_disk_writer, "nothing", (0, 0, 0)),
    "galera-slow-disk-reader": Scene("galera", galera_slow_disk_reader, "nothing", (0, 0, 0)),
    "galera-clock-behind": Scene("galera", galera_kill_writer, "start it", (0, -MINUTE_US, MINUTE_US)),
    "galera-kill-all": Scene("galera", galera_kill_all, "bootstrap the newest, start the others, takeover"),
    "galera-rolling": Scene("galera", galera_rolling, "restart each", octrois=2),
    "galera-new-node": Scene("galera", galera_new_node, "start it"),
    "spider-kill-holder": Scene("spider", spider_kill_holder, "start it", (0, 0, 0), keeps=False),
    "spider-kill-head": Scene("spider", spider_kill_head, "start it", keeps=False),
    "spider-xa-kill-holder": Scene("spider-xa", spider_kill_holder, "start it", (0, 0, 0), keeps=False),
}


# ---- a play -----------------------------------------------------------------------------------------------


def look_alike(nodes):
    """Each server has the rows of the first."""
    def sums():
        return {tuple(node.sql("CHECKSUM TABLE " + ",".join(SAME))) for node in nodes.nodes}
    wait_until(lambda: len(sums()) == 1, 30, "equal rows", every=0.3)


def final(nodes):
    """The server that octroi writes to."""
    if len(nodes.nodes) == 1:
        return nodes[0]
    name = nodes.primary()
    return next(node for node in nodes.nodes if node.name == name)


@contextlib.contextmanager
def serving(nodes, octrois):
    """An nginx before one octroi, or before two."""
    settings = {"db_timeout_ms": 2000, "request_timeout_ms": 5000}
    with nodes.octroi(**settings) as octroi:
        if octrois == 1:
            nodes.octrois = [octroi]
            yield octroi
            return
        with Both(nodes.base.first, octroi, {**nodes.database(), **settings}) as front:
            nodes.octrois = [front, octroi]
            yield front


def stale_read(problem):
    """For a second after a promotion, one octroi may show a balance of the old primary, and another one writes."""
    return problem.what == ORDER and "was read" in problem.detail


def begin(nodes, scene):
    for node, clock_us in zip(nodes, scene.clocks or ()):
        node.bad_machine(nodes.base.machine, clock_us=clock_us)
    nodes.start()
    for node, clock_us in zip(nodes, scene.clocks or ()):
        now = float(node.sql("SELECT UNIX_TIMESTAMP(SYSDATE(6))")[0][0])
        assert abs(now - time.time() - clock_us / 1e6) < 20, "the server's clock is not what the scene says"
    if scene.topology == "replication":
        nodes.take_over()


def play(base, scene, directory, seed=1):
    directory = pathlib.Path(directory)
    counts = collections.Counter()
    with TOPOLOGIES[scene.topology](base) as nodes:
        begin(nodes, scene)
        with serving(nodes, scene.octrois) as octroi:
            talker = Talker(base, octroi)
            wait_until(lambda: talker.get("/readyz", key=None).status == 200, 20, "octroi is ready")
            with Load(talker, directory, processes=1, connections=16, seed=seed, rate=400) as load:
                load.wait_for(BEFORE, SERVICE_SECONDS)
                scene.fault(nodes, load)
                load.wait_for(AFTER, SERVICE_SECONDS)
            server = final(nodes)
            problems = check(server, load.files, counts)
            if scene.octrois > 1 and scene.topology == "replication":
                problems = [problem for problem in problems if not stale_read(problem)]
            talker.disconnect()
        audit = nodes.ctl("audit", nodes=[server] if scene.topology != "replication" else None, check=False)
        if audit.returncode != 0:
            problems.append(audit.stdout[-2000:])
        if not scene.topology.startswith("spider"):
            look_alike(nodes)
    return Result(counts, problems, longest_gap(load.files), scene.operator)

"""Faults of the servers of a topology under load, and the work of an operator after each.

    result = play(base, SCENES["pair-kill-writer"], directory)

A scene starts servers in network namespaces, an octroi and clients that write down each call and each answer.  Then it
breaks something, mends it as docs/many-machines.md says, and holds the history against the tables of the server that
octroi writes to at the end.  The audit has to be clean, and every server that came back has the same rows."""

import collections
import pathlib
import re
import threading

from checker import check
from client import Load
from nodes import CLIENTS, PEERS, Nodes
from octroi import Octroi, wait_until

BEFORE, AFTER = 400, 400  # answers
SERVICE_SECONDS = 90
SAME = ("accounts", "entries", "usages", "holds", "requests", "grants")

Scene = collections.namedtuple("Scene", "topology fault operator")
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


def pair_kill_writer(nodes, load):
    first, second = nodes
    first.kill()
    fail_over(nodes, load, first, second)
    rejoin(nodes, first, second)


def pair_pause_writer(nodes, load):
    first, second = nodes
    first.pause()
    fail_over(nodes, load, first, second)
    first.go_on()  # it takes itself for the primary
    load.wait_for(AFTER, SERVICE_SECONDS)
    first.kill()
    rejoin(nodes, first, second)


def pair_cut_writer(nodes, load):
    first, second = nodes
    first.cut(CLIENTS, PEERS)
    fail_over(nodes, load, first, second)
    first.heal()
    load.wait_for(AFTER, SERVICE_SECONDS)
    first.kill()
    rejoin(nodes, first, second)


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


# ---- one server -------------------------------------------------------------------------------------------


def single_kill(nodes, load):
    nodes[0].kill()
    nodes[0].start()


def single_pause(nodes, load):
    nodes[0].pause()
    answers = load.answers()
    wait_until(lambda: load.answers() >= answers, 5, "a moment")
    nodes[0].go_on()


TOPOLOGIES = {"single": 1, "replication": 2, "galera": 3}
SCENES = {
    "single-kill": Scene("single", single_kill, "start it"),
    "pair-kill-writer": Scene("replication", pair_kill_writer, "promote, takeover --off"),
    "pair-pause-writer": Scene("replication", pair_pause_writer, "promote, takeover --off"),
    "pair-cut-writer": Scene("replication", pair_cut_writer, "promote, takeover --off"),
    "pair-cut-writer-from-replica": Scene("replication", pair_cut_writer_from_replica, "end it, promote, takeover --off"),
    "pair-kill-replica": Scene("replication", pair_kill_replica, "start it"),
    "pair-planned": Scene("replication", pair_planned, "read_only, promote, takeover"),
    "galera-kill-writer": Scene("galera", galera_kill_writer, "start it"),
    "galera-pause-writer": Scene("galera", galera_pause_writer, "nothing"),
    "galera-cut-writer": Scene("galera", galera_cut_writer, "nothing"),
    "galera-cut-writer-from-nodes": Scene("galera", galera_cut_writer_from_nodes, "nothing"),
    "galera-kill-reader": Scene("galera", galera_kill_reader, "start it"),
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


def play(base, scene, directory, seed=1):
    directory = pathlib.Path(directory)
    counts = collections.Counter()
    with Nodes(base, TOPOLOGIES[scene.topology], scene.topology, namespaces=True) as nodes:
        nodes.start()
        if scene.topology == "replication":
            nodes.take_over()
        with nodes.octroi(db_timeout_ms=2000, request_timeout_ms=5000) as octroi:
            talker = Talker(base, octroi)
            wait_until(lambda: talker.get("/readyz", key=None).status == 200, 20, "octroi is ready")
            with Load(talker, directory, processes=1, connections=16, seed=seed, rate=400) as load:
                load.wait_for(BEFORE, SERVICE_SECONDS)
                scene.fault(nodes, load)
                load.wait_for(AFTER, SERVICE_SECONDS)
            server = final(nodes)
            problems = check(server, load.files, counts)
            talker.disconnect()
        audit = nodes.ctl("audit", nodes=[server] if scene.topology != "replication" else None, check=False)
        if audit.returncode != 0:
            problems.append(audit.stdout[-2000:])
        look_alike(nodes)
    return Result(counts, problems, longest_gap(load.files), scene.operator)

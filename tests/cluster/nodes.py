"""Real MariaDB servers for a test of several machines: replication or Galera, on ports or in network namespaces.

    with Base() as base, Nodes(base, 2, "replication") as nodes:
        nodes.start()
        with nodes.octroi() as octroi:
            ...  # octroi.internal_url

In namespaces (Network) each server has one address for clients and one for its peers, so that either link can be cut.
On ports everything is on 127.0.0.1, and nothing can be cut.
"""

import ctypes
import os
import pathlib
import re
import shlex
import shutil
import signal
import struct
import subprocess
import tempfile
import types

from link import BadLink
from octroi import Octroi, as_daemon, build_dir, free_port, give_to_daemon, stopped, wait_until
from second import Second

CLONE_NEWNET = 0x40000000
CLIENTS, PEERS = "clients", "peers"  # the two links of a server
NETS = {CLIENTS: "10.77.1", PEERS: "10.77.2"}
FOR_EVER_MS = 1_000_000_000  # rpl_semi_sync_master_timeout
MACHINE = pathlib.Path(__file__).with_name("machine.c")
PROMOTE = pathlib.Path(__file__).with_name("promote")
PROVIDER = pathlib.Path("/usr/lib/galera/libgalera_smm.so")
TRANSFER = "wsrep_sst_rsync"
SETTINGS = """
[mariadbd]
datadir = {home}/db
socket = {home}/run/mariadb.sock
pid-file = {home}/run/mariadb.pid
tmpdir = {home}/tmp
log-error = {home}/run/mariadb.log
bind-address = {bind}
port = {port}
server-id = {number}
skip-name-resolve = 1
character-set-server = utf8mb4
performance_schema = OFF
max_connections = 200
innodb_buffer_pool_size = 64M
innodb_flush_log_at_trx_commit = 1
"""
# docs/many-machines.md shows these lines.
REPLICATION = """
log_bin = binlog
log_slave_updates = 1
gtid_strict_mode = 1
sync_binlog = 1
relay_log = relay
read_only = 1
rpl_semi_sync_slave_enabled = 1
rpl_semi_sync_master_wait_point = AFTER_SYNC
rpl_semi_sync_master_timeout = {for_ever}
slave_net_timeout = 5
"""
GALERA = """
binlog_format = ROW
innodb_autoinc_lock_mode = 2
wsrep_on = ON
wsrep_provider = {provider}
wsrep_cluster_name = octroi
wsrep_cluster_address = gcomm://{members}
wsrep_node_address = {peer}:{group}
wsrep_node_name = db{number}
wsrep_sst_method = rsync
wsrep_sst_donor = {donors}
wsrep_sst_receive_address = {peer}:{sst}
wsrep_provider_options = "gmcast.listen_addr=tcp://{peer}:{group};ist.recv_addr={peer}:{state};gcache.size=64M;evs.suspect_timeout=PT1S;evs.inactive_timeout=PT3S;evs.inactive_check_period=PT0.3S;evs.keepalive_period=PT0.3S"
"""


def run(*command, check=True, **more):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=120, **more)
    if check and done.returncode != 0:
        raise RuntimeError(f"{shlex.join(map(str, command))} failed ({done.returncode}): {done.stdout}")
    return done.stdout


def why_no_namespaces():
    """None where network namespaces can be had, else the reason."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "there is no ip (iproute2)"
    if subprocess.run(["unshare", "-n", "true"], stderr=subprocess.DEVNULL).returncode != 0:
        return "this machine gives no network namespace"
    return None


def why_no_galera():
    """None where Galera can be had, else the reason."""
    scripts = [pathlib.Path(directory) / TRANSFER for directory in ("/usr/bin", build_dir() / "programs/usr/bin")]
    if not PROVIDER.exists():
        return "there is no Galera (galera-4)"
    if not any(script.exists() for script in scripts) or shutil.which("rsync") is None:
        return f"there is no {TRANSFER} (mariadb-server), or no rsync"
    return None


class Network:
    """A network of this process's own: what it starts from here on is in it.  There is no way back."""

    entered = False

    @staticmethod
    def enter():
        if Network.entered:
            return
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        run("ip", "link", "set", "lo", "up")
        for name, net in NETS.items():
            mac = "02:00:00:00:00:" + net.rsplit(".", 1)[1].zfill(2)  # else it changes with the bridge's ports
            run("ip", "link", "add", name, "address", mac, "type", "bridge")
            run("ip", "address", "add", f"{net}.254/24", "dev", name)
            run("ip", "link", "set", name, "up")
        Network.entered = True


class Base:
    """A data directory with octroi's tables, keys and prices, which every server begins with; and the octroi that made
    it, whose configuration the others use.  fill: a function of that octroi, which puts more into the tables."""

    def __init__(self, settings=None, fill=None):
        self.first = Octroi("nginx", settings={"db_timeout_ms": "2000", **(settings or {})}, audit=False,
                            db_settings={"innodb_log_file_size": "32M", "innodb_buffer_pool_size": "64M"})
        self.first.sql("CREATE USER repl@'%' IDENTIFIED BY 'repl'; GRANT REPLICATION SLAVE ON *.* TO repl@'%';"
                       "CREATE USER admin@'%' IDENTIFIED BY 'admin'; GRANT ALL ON *.* TO admin@'%' WITH GRANT OPTION")
        for (grant,) in self.first.sql("SHOW GRANTS FOR octroi@localhost"):
            self.first.sql(grant.replace("@`localhost`", "@`%`"))
        if fill is not None:
            fill(self.first)
        os.kill(self.first.pid, signal.SIGTERM)
        self.first.kill("db", signal.SIGTERM)
        self.data = pathlib.Path(self.first.env["OCTROI_CONF"]).parent / "db"
        self.machine = self.data.parent / "machine.so"
        run("cc", "-O1", "-shared", "-fPIC", "-Wall", "-o", str(self.machine), str(MACHINE))
        assert (self.data / "ibdata1").exists(), self.data

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.first.close(audit=False)


class Node:
    """One server.  namespaces: whether it has a network of its own."""

    def __init__(self, home, number, namespaces):
        self.home, self.number = pathlib.Path(home), number
        self.process = self._holder = self.machine = None
        self._bad_links = []
        self.env = {"OCTROI_DB_SOCKET": str(self.home / "run" / "mariadb.sock"), "OCTROI_DB_NAME": "octroi"}
        if namespaces:
            self.address, self.peer = f"{NETS[CLIENTS]}.{number}", f"{NETS[PEERS]}.{number}"
            self.port, self.group, self.state, self.sst = 3306, 4567, 4568, 4444
            self._join()
        else:
            self.address = self.peer = "127.0.0.1"
            self.port, self.group, self.state, self.sst = (free_port() for _ in range(4))
        for name in ("db", "run", "tmp"):
            (self.home / name).mkdir()

    @property
    def name(self):
        return f"{self.address}:{self.port}"

    # -- its network --------------------------------------------------------------------------------------

    def _join(self):
        self._holder = subprocess.Popen(["unshare", "-n", "sleep", "infinity"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, start_new_session=True)
        here = os.readlink("/proc/self/ns/net")
        wait_until(lambda: os.readlink(f"/proc/{self._holder.pid}/ns/net") != here, 10, "a network namespace")
        for link, address in ((CLIENTS, self.address), (PEERS, self.peer)):
            run("ip", "link", "add", self._port_of(link), "type", "veth", "peer", "name", link, "netns", str(self._holder.pid))
            run("ip", "link", "set", self._port_of(link), "master", link, "up")
            run(*self._inside(), "ip", "address", "add", f"{address}/24", "dev", link)
            run(*self._inside(), "ip", "link", "set", link, "up")
        run(*self._inside(), "ip", "link", "set", "lo", "up")

    def _port_of(self, link):
        return f"{link}{self.number}"

    def _inside(self):
        return ["nsenter", "-t", str(self._holder.pid), "-n"] if self._holder else []

    def cut(self, *links):
        """Nothing comes or goes over these links."""
        for link in links:
            run("ip", "link", "set", self._port_of(link), "down")

    def disturb(self, *links, **how):
        """The links are slow, or lose something: see link.py."""
        for link in links:
            self._bad_links.append(BadLink(self._port_of(link), link, **how))

    def heal(self):
        while self._bad_links:
            self._bad_links.pop().close()
        for link in NETS:
            run("ip", "link", "set", self._port_of(link), "up")

    # -- its machine --------------------------------------------------------------------------------------

    def bad_machine(self, library, disk_us=0, clock_us=0):
        """From its next start on, what the library (machine.c) does to it can be changed at any time."""
        self.machine = library
        self.change_machine(disk_us, clock_us)

    def change_machine(self, disk_us=0, clock_us=0):
        """disk_us: the time that each fsync takes longer.  clock_us: how far its clock is ahead."""
        with open(self.home / "machine", "r+b" if (self.home / "machine").exists() else "w+b") as page:
            page.write(struct.pack("=qq", disk_us, clock_us))

    def _on_machine(self):
        return ["env", f"LD_PRELOAD={self.machine}", f"CLUSTER_MACHINE={self.home}/machine"] if self.machine else []

    # -- its server ---------------------------------------------------------------------------------------

    def start(self, *options):
        """Starts it with its data; waits until it listens."""
        log = open(self.home / "run" / "out.log", "ab")
        self.process = subprocess.Popen([*self._inside(), *as_daemon(), *self._on_machine(), "mariadbd", f"--defaults-file={self.home}/my.cnf", *options],
                                        stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, env=self._environment())
        log.close()
        self.ready()

    @staticmethod
    def _environment():
        """With the scripts of a whole state transfer, which quickstart check has unpacked, and no more."""
        return {**os.environ, "PATH": f"{os.environ['PATH']}:/usr/sbin:{build_dir()}/programs/usr/bin"}

    def ready(self):
        wait_until(lambda: self.process.poll() is not None or self.answers(), 90, f"server {self.number}", every=0.1)
        assert self.process.poll() is None, self.log()[-4000:]

    def answers(self):
        done = subprocess.run(["mariadb", "--no-defaults", "--socket", self.env["OCTROI_DB_SOCKET"], "-u", "root", "-e",
                               "SELECT 1 FROM mysql.user LIMIT 1"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return done.returncode == 0

    def log(self):
        path = self.home / "run" / "mariadb.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def kill(self):
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)

    def empty(self):
        """Its data are gone."""
        shutil.rmtree(self.home / "db")
        (self.home / "db").mkdir()
        give_to_daemon(self.home / "db")

    def recovered(self):
        """The last transaction of a node of Galera that was killed."""
        run(*as_daemon(), "mariadbd", f"--defaults-file={self.home}/my.cnf", "--wsrep-recover")
        return int(re.findall(r"WSREP: Recovered position: \S+:(\d+)", self.log())[-1])

    def bootstrap(self):
        """A node of Galera begins the cluster anew, with its rows."""
        state = self.home / "db" / "grastate.dat"
        state.write_text(re.sub(r"safe_to_bootstrap: \d", "safe_to_bootstrap: 1", state.read_text()))
        self.start("--wsrep-new-cluster")

    def pause(self):
        os.kill(self.process.pid, signal.SIGSTOP)
        wait_until(lambda: stopped(self.process.pid), 10, "the pause")

    def go_on(self):
        os.kill(self.process.pid, signal.SIGCONT)

    def sql(self, text, database="octroi"):
        """Rows, as tuples of text, of the server's root."""
        done = subprocess.run(["mariadb", "--no-defaults", "--socket", self.env["OCTROI_DB_SOCKET"], "-u", "root", "-N", "-B", database],
                              input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
        if done.returncode != 0:
            raise RuntimeError(f"{text!r}: {done.stderr.strip()}")
        return [tuple(line.split("\t")) for line in done.stdout.splitlines()]

    def status(self, name):
        rows = self.sql(f"SHOW GLOBAL STATUS LIKE '{name}'")
        return rows[0][1] if rows else None

    def close(self):
        if self.process is not None and self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGCONT)
            self.process.kill()
            self.process.wait()
        while self._bad_links:
            self._bad_links.pop().close()
        if self._holder is not None:
            self._holder.kill()
            self._holder.wait()
            for link in NETS:  # the end of the namespace takes the link away, some time later
                run("ip", "link", "delete", self._port_of(link), check=False)


class Nodes:
    """kind: single, replication or galera.  acknowledged: a COMMIT waits for a replica (semi-synchronous).  first: the
    number of the first server.  more: lines for each my.cnf."""

    def __init__(self, base, count, kind, namespaces=False, acknowledged=True, first=1, more=""):
        self.base, self.kind, self.acknowledged, self.more = base, kind, acknowledged, more
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="octroi-cluster-"))
        os.chmod(self.home, 0o755)
        self.nodes = []
        try:
            for number in range(first, first + count):
                home = self.home / str(number)
                home.mkdir()
                self.nodes.append(Node(home, number, namespaces))
            for node in self.nodes:
                self._configure(node)
            self._fill(base.data, self.nodes[0])
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def __getitem__(self, place):
        return self.nodes[place]

    def _configure(self, node):
        more = {"single": "", "replication": REPLICATION, "galera": GALERA}[self.kind]
        members = ",".join(f"{other.peer}:{other.group}" for other in self.nodes)
        donors = ",".join(f"db{other.number}" for other in reversed(self.nodes) if other is not node)
        bind = "0.0.0.0" if node.address != "127.0.0.1" else "127.0.0.1"
        values = {"home": node.home, "bind": bind, "port": node.port, "number": node.number, "provider": PROVIDER,
                  "for_ever": FOR_EVER_MS, "members": members, "donors": donors, "peer": node.peer, "group": node.group, "state": node.state, "sst": node.sst}
        (node.home / "my.cnf").write_text((SETTINGS + more).format(**values) + self.more)

    @staticmethod
    def _fill(data, node):
        shutil.rmtree(node.home / "db", ignore_errors=True)
        shutil.copytree(data, node.home / "db")
        run("chown", "-R", "--reference", str(data), str(node.home / "db"))
        for name in ("run", "tmp"):
            give_to_daemon(node.home / name)

    def start(self):
        """Every server runs and follows the first one."""
        first, others = self.nodes[0], self.nodes[1:]
        for node in others:
            self._fill(first.home / "db", node)
        first.start(*(["--wsrep-new-cluster"] if self.kind == "galera" else []))
        for node in others:
            node.start()
        if self.kind == "galera":
            wait_until(lambda: self.synced(len(self.nodes)), 60, "the cluster")
        if self.kind == "replication":
            first.sql(f"SET GLOBAL rpl_semi_sync_master_enabled = {int(self.acknowledged)}")
            for node in others:
                self.follow(node, first)
            first.sql("SET GLOBAL read_only = 0")

    def synced(self, count, nodes=None):
        return all(node.status("wsrep_cluster_size") == str(count) and node.status("wsrep_local_state_comment") == "Synced"
                   for node in nodes or self.nodes)

    @staticmethod
    def follow(node, primary):
        """The server becomes a replica.  It keeps the transactions that the new primary has, too."""
        port = f", MASTER_PORT = {primary.port}"
        node.sql(f"STOP SLAVE; SET GLOBAL read_only = 1; SET GLOBAL rpl_semi_sync_master_enabled = 0; CHANGE MASTER TO MASTER_HOST = '{primary.peer}'{port}, MASTER_USER = 'repl', MASTER_PASSWORD = 'repl',"
                 " MASTER_CONNECT_RETRY = 1, MASTER_HEARTBEAT_PERIOD = 1, MASTER_USE_GTID = slave_pos,"
                 " MASTER_DEMOTE_TO_SLAVE = 1; START SLAVE")
        wait_until(lambda: node.status("Slave_running") == "ON", 30, "the replica")
        if primary.sql("SELECT @@rpl_semi_sync_master_enabled") == [("1",)]:
            wait_until(lambda: primary.status("Rpl_semi_sync_master_clients") != "0", 30, "the acknowledging replica")

    def copy(self, node, primary):
        """The replica gets all rows of the primary anew, and follows it."""
        dump = run("mariadb-dump", "--no-defaults", "--socket", primary.env["OCTROI_DB_SOCKET"], "-u", "root", "--single-transaction", "--hex-blob",
                   "--master-data=1", "--gtid", "octroi")
        node.sql("STOP SLAVE; RESET SLAVE ALL; RESET MASTER; SET sql_log_bin = 0; DROP DATABASE octroi; CREATE DATABASE octroi")
        node.sql(f"SET sql_log_bin = 0; {dump}")
        self.follow(node, primary)

    # -- octroi on them -----------------------------------------------------------------------------------

    def database(self, nodes=None):
        """Settings of an octroi on these servers."""
        return {"db_socket": "", "db_host": ",".join(node.name for node in nodes or self.nodes)}

    def octroi(self, nodes=None, **settings):
        """Another octroi, behind an nginx of its own."""
        return Second(self.base.first, {**self.database(nodes), **settings})

    def ctl(self, *arguments, nodes=None, check=True):
        """octroictl on the servers."""
        conf = pathlib.Path(self.base.first.env["OCTROI_CONF"])
        environment = {k: v for k, v in os.environ.items() if not k.startswith("OCTROI_")}
        environment.update({f"OCTROI_{key.upper()}": value for key, value in self.database(nodes).items()})
        done = subprocess.run([str(conf.parent / "bin" / "octroictl"), "-c", str(conf), *arguments], env=environment,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
        if check and done.returncode != 0:
            raise RuntimeError(f"octroictl {shlex.join(arguments)} failed ({done.returncode}): {done.stdout}")
        return done

    def take_over(self, *off):
        options = [word for node in off for word in ("--off", node.name)]
        return self.ctl("database", "takeover", "--actor", "test", *options)

    @staticmethod
    def promote_only(node):
        run(str(PROMOTE), node.address, str(node.port), env={**os.environ, "MYSQL_PWD": "admin"})

    def promote(self, node, *off):
        """The script of docs/many-machines.md, then the epoch."""
        self.promote_only(node)
        return self.take_over(*off)

    def listening_as(self, octroi):
        """For client.Load: the keys are those of the base."""
        return types.SimpleNamespace(keys=self.base.first.keys, internal_url=octroi.internal_url)

    def primary(self):
        """The host that octroictl calls the primary."""
        shown = self.ctl("database", "list").stdout
        found = re.search(r"^(\S+)\s+(\d+)\s+primary\b", shown, re.M)
        return f"{found[1]}:{found[2]}" if found else None

    def close(self):
        for node in self.nodes:
            node.close()
        shutil.rmtree(self.home, ignore_errors=True)

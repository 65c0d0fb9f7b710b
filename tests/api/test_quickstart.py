"""./quickstart: what it promises about data, processes, settings and the system around it."""

import concurrent.futures
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import urllib.error
import urllib.request

import pytest

from octroi import (PORT_TAKEN, QUICKSTART, ROOTS_USER, TOP, Octroi, alive, build_dir, free_port, read_env, wait_until)

ENV = """OCTROI_URL OCTROI_INTERNAL_URL OCTROI_GUARD_KEY OCTROI_APP_KEY OCTROI_ADMIN_KEY OCTROI_REPORT_KEY
OCTROI_STRIPE_WEBHOOK_SECRET OCTROI_CLERK_WEBHOOK_SECRET OCTROI_CONF OCTROI_CTL OCTROI_DB_SOCKET OCTROI_DB_NAME
OCTROI_DB_USER OCTROI_PID OCTROI_DB_PID OCTROI_SERVER_PID""".split()

EUROS = 1_000_000


@pytest.fixture(scope="module")
def own():
    """An octroi that these tests may kill and change, always up again after each."""
    with Octroi("nginx") as o:
        yield o


def processes_of(directory):
    """Ids of processes that name the directory in their command line."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes()
        except OSError:
            continue
        pid = int(path.parent.name)
        if str(directory).encode() + b"/" in line and pid != os.getpid() and alive(pid):
            found.append(pid)
    return found


def requests_of(url, body=None, key=None):
    """The answer to a request, whatever its status."""
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
    asked = urllib.request.Request(url, json.dumps(body).encode() if body else None, headers)
    try:
        return urllib.request.urlopen(asked, timeout=20)
    except urllib.error.HTTPError as e:
        return e


def listening(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def test_env_names_everything_and_is_for_its_owner_only(own):
    path = own.dir / "env"
    assert path.stat().st_mode & 0o777 == 0o600
    conf = pathlib.Path(own.env["OCTROI_CONF"]).stat()
    assert conf.st_mode & 0o777 == (0o640 if os.getuid() == 0 else 0o600) and conf.st_uid == os.getuid()
    for name in ENV:
        assert own.env.get(name), name
    shell = subprocess.run(["sh", "-c", f'set -eu; . "{path}"; echo "$OCTROI_URL"; "$OCTROI_CTL" audit'],
                           stdout=subprocess.PIPE, text=True, check=True, env={"PATH": os.environ["PATH"]})
    assert shell.stdout.startswith(own.url + "\n")


def test_run_again_keeps_data_keys_and_processes(own):
    account = own.account(funds_micros=7 * EUROS)
    before = dict(own.env)
    own.start()
    assert own.env == before
    assert own.balance(account) == (7 * EUROS, 0, 7 * EUROS)


@pytest.mark.parametrize("part", ["octroi", "db", "server"])
def test_a_part_that_died_is_started_again(own, part):
    account = own.account(funds_micros=3 * EUROS)
    own.call("POST", "/api/guard/authorize", json={"account": account, "model": "gpt-4o"})
    pids = {"octroi": own.pid, "db": own.db_pid, "server": own.server_pid}
    before = own.balance(account)
    own.kill(part, signal.SIGKILL)
    if part == "db":
        # octroi finds its way back to the database by itself; it is not restarted for that.
        own.start()
        assert own.pid == pids["octroi"]
    else:
        own.start()
    now = {"octroi": own.pid, "db": own.db_pid, "server": own.server_pid}
    assert [name for name in pids if now[name] != pids[name]] == [part]
    assert own.balance(account) == before


def test_down_stops_everything_and_start_brings_it_back(own):
    account = own.account(funds_micros=2 * EUROS)
    own.stop()
    assert processes_of(own.dir) == []
    assert not listening(own.port)
    own.stop()  # harmless twice
    own.start()
    assert own.balance(account)[0] == 2 * EUROS


def test_down_spares_another_process_with_a_reused_id(own):
    own.stop()
    other = subprocess.Popen(["sleep", "600"])
    try:
        (own.dir / "pids").mkdir(exist_ok=True)
        (own.dir / "pids" / "server").write_text(f"{other.pid} 1\n")
        own.stop()
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()
    own.start()


def test_a_part_that_died_at_once_is_started_again(own):
    """Its start time could not be read any more: the process of that number does not run."""
    own.stop()
    ended = subprocess.Popen(["true"])
    ended.wait()
    (own.dir / "pids" / "server").write_text(f"{ended.pid} \n")
    own.start()
    assert listening(own.port)


def test_set_writes_the_configuration_and_restarts_octroi_alone(own):
    estimate = {"model": "gpt-4o", "inputTokens": 1_000_000, "outputTokens": 0}
    pids = (own.pid, own.db_pid, own.server_pid)
    own.start(fit_minimum=77)
    assert "fit_minimum = 77\n" in pathlib.Path(own.env["OCTROI_CONF"]).read_text()
    assert own.pid != pids[0] and (own.db_pid, own.server_pid) == pids[1:]
    pid = own.pid
    own.start(fit_minimum=77)  # no change, no restart
    assert own.pid == pid
    dear = own.post("/api/pricing/estimate", json=estimate)
    own.start(fit_minimum=64)
    assert own.post("/api/pricing/estimate", json=estimate).json == dear.json


def test_set_of_what_quickstart_sets_itself_stays(own):
    own.start(public_url="https://pay.example")
    own.start()
    assert "public_url = https://pay.example\n" in pathlib.Path(own.env["OCTROI_CONF"]).read_text()


def test_db_set_changes_the_private_database(own):
    own.quickstart("--no-demo", "--db-set", "max_connections=123")
    own._read_env()
    assert own.sql("SELECT @@max_connections") == [("123",)]
    # MariaDB 11 calls the second one ON.
    assert own.sql("SELECT @@innodb_flush_log_at_trx_commit, @@innodb_doublewrite IN ('1', 'ON'), @@skip_networking") == \
        [("1", "1", "1")]


def test_octroi_may_not_rewrite_its_journal(own):
    conf = dict(line.split(" = ", 1) for line in pathlib.Path(own.env["OCTROI_CONF"]).read_text().splitlines()
                if " = " in line)
    for statement in ("DELETE FROM entries", "UPDATE entries SET seq = seq", "DROP TABLE entries"):
        done = subprocess.run(
            ["mariadb", "--no-defaults", "--socket", own.env["OCTROI_DB_SOCKET"], "-u", conf["db_user"],
             f"-p{conf['db_password']}", own.env["OCTROI_DB_NAME"], "-e", statement],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        assert done.returncode != 0 and "denied" in done.stderr, (statement, done.stderr)


def test_a_taken_port_is_refused(own):
    with tempfile.TemporaryDirectory(prefix="octroi-test-") as directory:
        os.chmod(directory, 0o755)
        done = subprocess.run([str(QUICKSTART), "--dir", directory + "/o", "--port", str(own.port), "--no-demo"],
                              env={"PATH": os.environ["PATH"], "OCTROI_BUILD": str(build_dir())},
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        assert done.returncode == PORT_TAKEN
        assert f"port {own.port} is taken" in done.stderr


def test_another_server_serves_the_same_data(own):
    account = own.account(funds_micros=4 * EUROS)
    for server in ("apache", "apache-fcgid", "nginx"):
        own.disconnect()
        own.quickstart("--no-demo", "--server", server)
        own._read_env()
        assert own.balance(account)[0] == 4 * EUROS, server
        assert (own.internal_url == own.url) == (server == "apache-fcgid")


def test_a_directory_whose_name_is_too_long_for_sockets():
    home = tempfile.mkdtemp(prefix="octroi-test-")
    os.chmod(home, 0o755)
    directory = pathlib.Path(home) / ("d" * 110)
    environment = {"PATH": os.environ["PATH"], "OCTROI_BUILD": str(build_dir())}
    state = None
    try:
        command = [str(QUICKSTART), "--dir", str(directory)]
        done = subprocess.run([*command, "--port", str(free_port()), "--no-demo"], env=environment,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        assert done.returncode == 0, done.stdout
        state = (directory / "state").read_text().strip()
        assert state in done.stdout
        env = read_env(directory / "env")
        assert pathlib.Path(env["OCTROI_DB_SOCKET"]).is_socket()
        subprocess.run([*command, "down"], env=environment, check=True, stdout=subprocess.DEVNULL)
        wait_until(lambda: not processes_of(state), 5, "end of all processes")
    finally:
        subprocess.run([*command, "down"], env=environment, check=False, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
        if state:
            shutil.rmtree(state)
        shutil.rmtree(home)


@pytest.mark.parametrize("server", ["nginx", "apache", "apache-fcgid"])
def test_demo_pages_pay_for_what_they_use(server):
    """Two languages, streamed and not: each asks, settles, and tells what it cost."""
    with Octroi(server, demo=True) as o:
        assert o.said.count("  cost 0.0") == 4, o.said
        spent = 10 * EUROS - o.balance("demo:alice")[0]
        for page in ("/demo/chat.php", "/demo/chat-py"):
            plain = o.call("POST", page, json={"prompt": "Hello"}, key=None, public=True)
            assert plain.status == 200 and plain.json["reply"].endswith("Hello"), plain
            streamed = o.call("POST", page, json={"prompt": "Hello", "stream": True}, key=None, public=True)
            assert streamed.headers["content-type"].startswith("text/event-stream"), streamed
            guard = json.loads(streamed.text.split("event: guard\ndata: ")[1])
            assert guard["status"] == 200 and guard["settlement"] == "exact"
            assert guard["costMicros"] == plain.json["guard"]["costMicros"] > 0
            spent += guard["costMicros"] + plain.json["guard"]["costMicros"]
            assert o.balance("demo:alice") == (10 * EUROS - spent, 0, 10 * EUROS - spent)

        provider = int((pathlib.Path(o.env["OCTROI_LOGS"]).parent / "pids" / "provider").read_text().split()[0])
        os.kill(provider, signal.SIGKILL)
        wait_until(lambda: not alive(provider), 5, "end of the provider")
        for page in ("/demo/chat.php", "/demo/chat-py"):
            failed = o.call("POST", page, json={"prompt": "Hello"}, key=None, public=True)
            assert failed.status == 502, failed
        assert o.balance("demo:alice") == (10 * EUROS - spent, 0, 10 * EUROS - spent)

        o.fund("demo:alice", spent - 10 * EUROS)
        for page in ("/demo/chat.php", "/demo/chat-py"):
            refused = o.call("POST", page, json={"prompt": "Hello", "stream": True}, key=None, public=True)
            assert refused.status == 402, refused
            assert refused.json["guard"]["error"] == "INSUFFICIENT_CREDITS"


@pytest.mark.parametrize("server", ["nginx", "apache"])
def test_the_meter_stands_between_an_application_and_the_mock_provider(server):
    """By the files of nginx/ and apache/: streamed and not, refused without its key, and counted."""
    with Octroi(server, demo=True) as o:
        url, key = o.env["OCTROI_METER_URL"], o.env["OCTROI_METER_KEY"]
        before = o.balance("demo:alice")[0]
        for stream in (False, True):
            request = {"model": "gpt-4o", "stream": stream, "messages": [{"role": "user", "content": "hello"}]}
            answer = requests_of(url + "/openai/v1/chat/completions", request, key)
            assert answer.status == 200 and answer.getheader("X-Octroi-Hold")
            assert (b"[DONE]" in answer.read()) == stream
        wait_until(lambda: 'settled_total{outcome="complete"} 2' in requests_of(url + "/metrics").read().decode(), 10, "two settlements")
        wait_until(lambda: o.balance("demo:alice")[0] < before and o.balance("demo:alice")[1] == 0, 10, "no hold is left")
        assert requests_of(url + "/openai/v1/chat/completions", request, "oct_meter_x").status == 401
        assert requests_of(url + "/openai/v1/files", request, key).status == 403


def test_a_page_that_is_sent_twice_is_answered_once():
    """The provider is not asked again for a request whose hold has ended."""
    with Octroi("nginx", demo=True) as o:
        for page in ("/demo/chat.php", "/demo/chat-py"):
            for stream in (False, True):
                asked = {"prompt": "Hello", "stream": stream, "requestId": f"{page}-{stream}"}
                assert o.call("POST", page, json=asked, key=None, public=True).status == 200
                left = o.balance("demo:alice")
                again = o.call("POST", page, json=asked, key=None, public=True)
                assert again.status == 409, again
                assert (again.json["reply"], again.json["guard"]["holdState"]) == ("", "settled")
                assert o.balance("demo:alice") == left


def test_a_page_that_is_sent_twice_at_once_is_answered_once():
    """One hold pays for one answer, also while it is open."""
    with Octroi("nginx", demo=True) as o, concurrent.futures.ThreadPoolExecutor(8) as pool:
        for page in ("/demo/chat.php", "/demo/chat-py"):
            asked = {"prompt": "Hello", "requestId": f"{page}-at-once"}
            answers = list(pool.map(lambda _, page=page, asked=asked: o.call("POST", page, json=asked, key=None,
                                                                             public=True), range(8)))
            assert sorted(a.status for a in answers) == [200] + 7 * [409], answers
            assert all(a.json["guard"]["holdState"] in ("open", "settled") for a in answers if a.status == 409)


# ---- run by root ---------------------------------------------------------------------------------------

DAEMONS = ("db", "log", "run", "tmp")  # the directories in which a daemon that was taken over can put anything
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="is about what root does")


def shell(command, user=ROOTS_USER):
    subprocess.run(["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "sh", "-ceu", command], check=True)


class Canary:
    """A file and a directory that only root can change."""

    def __init__(self, home):
        self.directory = pathlib.Path(home) / "roots"
        self.directory.mkdir()
        self.file = self.directory / "file"
        self.file.write_text("root's\n")
        self.file.chmod(0o600)
        self.directory.chmod(0o700)
        self.was = self.now()

    def now(self):
        return [(path.name, path.read_text(), os.lstat(path).st_uid, os.lstat(path).st_mode)
                for path in sorted(self.directory.iterdir())], os.lstat(self.directory)[:6]

    def assert_untouched(self):
        assert self.now() == self.was


@pytest.fixture
def canary(tmp_path):
    return Canary(tmp_path)


@as_root
def test_no_part_is_roots(own):
    for pid in processes_of(own.dir):
        assert pathlib.Path(f"/proc/{pid}").stat().st_uid != 0, pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    outside = [path for path in own.dir.rglob("*") if path.relative_to(own.dir).parts[0] not in DAEMONS]
    assert len(outside) > 20
    for path in outside:
        assert path.is_symlink() or (path.lstat().st_uid, path.lstat().st_mode & 0o022) == (0, 0), path
    for name in DAEMONS:
        assert (own.dir / name).owner() == ROOTS_USER
    refused = subprocess.run(["setpriv", "--reuid=www-data", "--regid=www-data", "--clear-groups", "cat",
                              own.env["OCTROI_CONF"]], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
    assert refused.returncode != 0 and "ermission denied" in refused.stderr


@as_root
@pytest.mark.parametrize("to", ["file", "directory", "new"])
def test_root_follows_no_link_of_a_daemons(own, canary, to):
    """Under every name that root has ever written to, or a part's log has."""
    target = {"file": canary.file, "directory": canary.directory, "new": canary.directory / "new"}[to]
    own.stop()
    names = [*(f"log/{part}.log" for part in ("mariadb", "octroi", "server", "provider", "python", "php")), "log/init.log",
             "log/mariadb-install.log", "tmp/wrapper", "run/php.sh", "run/python.sh", "run/php.sock", "run/mariadb.sock",
             "run/internal.sock", "run/octroi.sock", "run/nginx"]
    try:
        shell(f"cd '{own.dir}'; for name in {' '.join(names)}; do rm -rf $name; ln -s '{target}' $name; done")
        own.quickstart(check=False)
        canary.assert_untouched()
    finally:
        shell(f"cd '{own.dir}'; for name in {' '.join(names)}; do if [ -L $name ]; then rm $name; fi; done")
    own.start()
    canary.assert_untouched()
    own.stop()
    own.start()


@as_root
def test_a_name_of_the_database_is_no_command(own, canary):
    evil = f"octroi; \\! touch {canary.directory}/new"
    for key in ("db_name", "db_user", "db_password"):
        good = dict(line.split(" = ", 1) for line in pathlib.Path(own.env["OCTROI_CONF"]).read_text().splitlines()
                    if " = " in line)[key]
        try:
            refused = own.quickstart("--no-demo", "--set", f"{key}={evil}", check=False)
            assert refused.returncode == 1 and f"{key} in {own.env['OCTROI_CONF']} may have letters" in refused.stdout
            canary.assert_untouched()
        finally:
            own.start(**{key: good})
    assert own.get("/readyz", key=None).status == 200


@as_root
def test_root_asks_no_database_that_a_daemon_shows_it(own):
    """A link to the system's own, which believes root, in the place of the socket."""
    run = pathlib.Path(own.env["OCTROI_DB_SOCKET"]).parent
    peers = []
    with socket.socket(socket.AF_UNIX) as false:
        false.bind(str(run / "false.sock"))
        os.chmod(run / "false.sock", 0o777)
        false.listen()
        false.settimeout(30)
        shell(f"cd '{run}'; mv mariadb.sock true.sock; ln -s false.sock mariadb.sock")
        try:
            asking = subprocess.Popen([str(QUICKSTART), "--dir", str(own.dir), "--no-demo"], stdout=subprocess.DEVNULL,
                                      stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
                                      env={"PATH": os.environ["PATH"], "OCTROI_BUILD": str(build_dir())})
            try:
                while len(peers) < 3:
                    connection, _ = false.accept()
                    with connection:
                        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
                        peers.append(int.from_bytes(credentials[4:8], "little"))
            finally:
                asking.terminate()
                asking.wait()
        finally:
            shell(f"cd '{run}'; mv true.sock mariadb.sock")
            (run / "false.sock").unlink()
    own.start()
    assert 0 not in peers


@as_root
@pytest.mark.parametrize("planted", [False, True])
def test_a_directory_of_an_earlier_quickstart(canary, planted):
    """Its daemons ran as www-data, which owned the configuration too."""
    with Octroi("nginx") as o:
        account = o.account(funds_micros=5 * EUROS)
        (o.dir / "log" / "kept.log").write_text("kept\n")
        o.stop()
        subprocess.run(["chown", "-Rh", "www-data:www-data", o.env["OCTROI_CONF"], *(str(o.dir / name) for name in DAEMONS)],
                       check=True)
        os.chmod(o.env["OCTROI_CONF"], 0o600)
        # Its web servers began as root.
        (o.dir / "run" / "nginx" / "roots").mkdir(parents=True)
        shutil.chown(o.dir / "run" / "nginx", "root", "root")
        (o.dir / "log" / "roots.log").write_text("")
        (o.dir / "log" / "roots.log").chmod(0o600)
        if planted:
            shell(f"cd '{o.dir}'; ln -s '{canary.file}' log/server2.log; ln -s '{canary.directory}' db/more; rm -f log/server.log;"
                  f" ln -s '{canary.file}' log/server.log; ln -s '{canary.directory}' run/more; ln -s '{canary.file}' tmp/more", "www-data")
        o.stop()  # an older directory can be stopped as it is
        said = o.quickstart("--no-demo", check=False)
        canary.assert_untouched()
        if planted:
            shell(f"cd '{o.dir}'; rm -f log/server.log")
            said.stdout += o.quickstart("--no-demo").stdout
            canary.assert_untouched()
        assert "Taking" in said.stdout and "which www-data could write to until now" in said.stdout
        o._read_env()
        assert o.balance(account)[0] == 5 * EUROS
        assert o.log("kept.log") == "kept\n"
        for name in DAEMONS:
            assert (o.dir / name).owner() == ROOTS_USER
            assert not (o.dir / f"{name}.old").exists() and not (o.dir / f"{name}.new").exists()
        conf = pathlib.Path(o.env["OCTROI_CONF"]).stat()
        assert (conf.st_uid, conf.st_mode & 0o777) == (0, 0o640)
        o.stop()
        o.start()
        assert o.balance(account)[0] == 5 * EUROS


@as_root
def test_the_configuration_of_an_earlier_quickstart_is_no_command(canary):
    with Octroi("nginx") as o:
        o.stop()
        conf = pathlib.Path(o.env["OCTROI_CONF"])
        good = conf.read_text()
        conf.write_text(good.replace("db_name = octroi", f"db_name = octroi; \\! touch {canary.directory}/new"))
        shutil.chown(conf, "www-data", "www-data")
        refused = o.quickstart("--no-demo", check=False)
        assert refused.returncode == 1 and "db_name in" in refused.stdout, refused.stdout
        canary.assert_untouched()
        conf.write_text(good)
        o.start()


@as_root
@pytest.mark.parametrize("owner,mode,why", [("www-data", 0o755, "belongs to www-data"), ("root", 0o777, "written to by others"),
                                            ("root", 0o775, "written to by others")])
def test_a_directory_of_somebody_elses_is_refused(owner, mode, why):
    with tempfile.TemporaryDirectory(prefix="octroi-test-") as home:
        os.chmod(home, 0o755)
        directory = pathlib.Path(home) / "o"
        directory.mkdir()
        shutil.chown(directory, owner, owner)
        directory.chmod(mode)
        for command in ([], ["down"]):
            done = subprocess.run([str(QUICKSTART), "--dir", str(directory), "--port", str(free_port()), *command],
                                  env={"PATH": os.environ["PATH"], "OCTROI_BUILD": str(build_dir())},
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
            assert done.returncode == 1 and why in done.stdout, done.stdout
            assert list(directory.iterdir()) == []


@as_root
def test_somebody_who_is_not_root():
    with tempfile.TemporaryDirectory(prefix="octroi-test-") as home:
        shutil.chown(home, "nobody", "nogroup")
        command = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", str(QUICKSTART), "--dir", home + "/o"]
        environment = {"PATH": os.environ["PATH"], "OCTROI_BUILD": str(build_dir())}
        try:
            done = subprocess.run([*command, "--port", str(free_port())], env=environment, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, check=False)
            assert done.returncode == 0 and done.stdout.count("  cost 0.0") == 4, done.stdout
            pids = processes_of(home + "/o")
            assert len(pids) >= 6 and all(pathlib.Path(f"/proc/{pid}").owner() == "nobody" for pid in pids)
            assert pathlib.Path(home, "o", "octroi.conf").stat().st_mode & 0o777 == 0o600
        finally:
            subprocess.run([*command, "down"], env=environment, check=False, stdout=subprocess.DEVNULL)
        assert processes_of(home + "/o") == []


@as_root
def test_a_port_that_is_roots_to_give():
    with Octroi("nginx") as o:
        port = next(port for port in range(1023, 600, -1) if not listening(port))
        o.disconnect()
        o.quickstart("--no-demo", "--port", str(port))
        o._read_env()
        assert o.url.endswith(f":{port}") and o.get("/healthz", key=None, public=True).status == 200
        assert pathlib.Path(f"/proc/{o.server_pid}").owner() == ROOTS_USER


def test_the_source_tree_stays_clean():
    """Files that quickstart and the build leave in the source tree are ignored by git."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    git = ["git", "-c", "safe.directory=*", "-C", str(TOP)]
    if subprocess.run([*git, "rev-parse"], stderr=subprocess.DEVNULL, check=False).returncode != 0:
        pytest.skip("not a git checkout")
    # A change that somebody is working on is theirs; what is untracked and not ignored was left here.
    status = subprocess.run([*git, "status", "--porcelain", "--untracked-files=all"], stdout=subprocess.PIPE,
                            text=True, check=True).stdout
    left = [line[3:] for line in status.splitlines() if line.startswith("?? ")]
    made = [name for name in left if name.startswith((".octroi", "build", "autom4te", "configure~", "aclocal"))
            or name.endswith((".o", ".pyc", "Makefile.in", "Makefile", "env", "config.log", "config.status"))]
    assert made == []

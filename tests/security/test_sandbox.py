"""The sandbox holds: an attacker that has taken octroi over starts no program, opens no listening socket and spoils no file."""

import base64
import errno
import json
import os
import pathlib
import pwd
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading

import pytest

import fastcgi
from daemon import OCTROI, environment
from octroi import Octroi, build_dir, wait_until

HERE = pathlib.Path(__file__).resolve().parent

# A build without libseccomp (configure says so) has no filter to be tested.
pytestmark = pytest.mark.skipif(b"seccomp_load" not in OCTROI.read_bytes(), reason="built without libseccomp")

# Calls that end the process, and calls that fail as if the kernel did not have them.
DEADLY = ["execve", "execveat", "fork", "kill", "ptrace", "process_vm_readv", "io_uring_setup", "bpf", "unshare", "setuid",
          "mmap-write-execute", "mprotect-execute", "unlink", "rename", "chmod", "truncate", "listen"]
REFUSED = ["clone3", "tgkill-other", "open-write", "open-both", "open-truncate", "open-create", "mkdir", "socket-packet",
           "socket-alg", "socket-vsock", "dumpable", "core-limit", "terminal", "another-filter"]
NEEDED = ["open-read", "open-append", "socket-inet"]


@pytest.fixture(scope="module")
def probe(tmp_path_factory):
    library = tmp_path_factory.mktemp("probe") / "probe.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-Wall", "-o", library, HERE / "probe.c"], check=True)
    return library


@pytest.fixture
def infected(home, daemon, probe):
    """Starts an octroi with the probe in it; ask(name) has it make that call: its errno, or None when it died."""

    def start(*lines, **more):
        said = home / "said"
        d = daemon(f"listen = unix:{home}/socket", "threads = 2", *lines, cwd=home, env=environment(
            LD_PRELOAD=str(probe), PROBE=str(home / "probe"), PROBE_SAID=str(said), **more))

        def ask(name):
            (home / "probe").write_text(name + "\n")
            before = said.read_text()
            d.process.send_signal(signal.SIGUSR2)
            wait_until(lambda: said.read_text() != before or d.process.poll() is not None, what=name)
            if d.process.poll() is not None:
                assert said.read_text() == before
                return None
            answered, number = said.read_text()[len(before):].split()
            assert answered == name and number != "-1", f"the probe does not know {name}"
            return int(number)

        d.ask = ask
        return d

    return start


@pytest.mark.parametrize("name", DEADLY)
def test_intruders_calls_end_the_process(infected, name):
    d = infected("sandbox = on")
    assert d.ask(name) is None
    assert d.process.wait() == -signal.SIGSYS


def test_other_calls_do_not_exist(infected, home):
    d = infected("sandbox = on")
    for name in NEEDED:
        assert d.ask(name) == 0, name
    for name in REFUSED:
        assert d.ask(name) == errno.ENOSYS, name
    assert (home / "probe").read_text() == REFUSED[-1] + "\n" and not (home / "probe-made-this").exists()
    assert fastcgi.call(home / "socket", "GET", "/healthz").status == 200
    assert d.end() == 0


def test_the_probe_would_get_through(infected, home):
    """Without the sandbox none of these calls ends the process, and what may be done at all is done."""
    d = infected("sandbox = off")
    assert d.status("Seccomp") == "0" and d.status("NoNewPrivs") == "0"
    answers = {name: d.ask(name) for name in DEADLY + REFUSED + NEEDED if name != "another-filter"}
    assert None not in answers.values(), answers
    for name in ("fork", "unshare", "setuid", "mmap-write-execute", "mprotect-execute", "open-write", "open-both",
                 "open-truncate", "open-create", "dumpable", *NEEDED):
        assert answers[name] == 0, name
    assert answers["execve"] == errno.ENOENT and answers["listen"] == errno.EBADF
    assert fastcgi.call(home / "socket", "GET", "/healthz").status == 200


# ---- in force ----------------------------------------------------------------------------------------


def test_every_thread_is_confined(infected, home):
    d = infected()
    tasks = list(pathlib.Path(f"/proc/{d.process.pid}/task").iterdir())
    assert len(tasks) >= 4  # main, two workers, housekeeper
    for task in tasks:
        text = (task / "status").read_text()
        assert "Seccomp:\t2\n" in text and "NoNewPrivs:\t1\n" in text, text
    assert 'sandbox="seccomp"' in d.log.read_text()


def test_no_core_and_no_debugger_of_the_same_user(home, daemon):
    def somebody():
        if os.getuid() == 0:
            os.setgroups([])
            os.setgid(pwd.getpwnam("www-data").pw_gid)
            os.setuid(pwd.getpwnam("www-data").pw_uid)

    def readable(pid):
        """By another process of the same user."""
        read = f"open('/proc/{pid}/environ', 'rb').read(1); open('/proc/{pid}/mem', 'rb')"
        done = subprocess.run([sys.executable, "-c", read], preexec_fn=somebody, stderr=subprocess.PIPE, text=True, check=False)
        assert done.returncode == 0 or "PermissionError" in done.stderr, done.stderr
        return done.returncode == 0

    home.chmod(0o777)
    for wish, held in (("off", False), ("auto", True)):
        for name in ("log", "socket"):
            (home / name).unlink(missing_ok=True)
        d = daemon(f"listen = unix:{home}/socket", f"sandbox = {wish}", preexec_fn=somebody,
                   command=(copy_of(OCTROI, home),))
        assert readable(d.process.pid) != held, wish
        if held:
            assert core_limits(d.process.pid) == ("0", "0")
        d.kill()


def core_limits(pid):
    return re.search(r"^Max core file size +(\S+) +(\S+)", pathlib.Path(f"/proc/{pid}/limits").read_text(), re.M).groups()


def copy_of(program, home):
    """Where every user reaches it."""
    copy = home / program.name
    copy.write_bytes(program.read_bytes())
    copy.chmod(0o755)
    return copy


def test_without_a_filter(home, infected, daemon, probe):
    """Where the kernel, or a container, has none: auto says so and serves, on does not start."""
    d = infected("sandbox = auto", PROBE_NO_SECCOMP="1")
    assert d.status("Seccomp") == "0" and d.status("NoNewPrivs") == "1"
    assert 'level=warning event=sandbox_failed error="Invalid argument"' in d.log.read_text()
    assert 'sandbox="none"' in d.log.read_text()
    d.end()
    d = daemon(f"listen = unix:{home}/other", "sandbox = on", wait=False,
               env=environment(LD_PRELOAD=str(probe), PROBE_NO_SECCOMP="1"))
    assert d.process.wait(10) == 1
    assert "sandbox = on demands: Invalid argument" in d.process.stdout.read().decode()
    assert "event=started" not in d.log.read_text()


# ---- and octroi works under it ---------------------------------------------------------------------


@pytest.mark.parametrize("server", ["nginx", "apache-fcgid"])
def test_a_whole_octroi(server):
    """Every suite runs so; here it is made sure of, and the log is opened anew as logrotate asks."""
    with Octroi(server, settings={"sandbox": "on"}) as o:
        account = o.account(funds_micros=10**7)
        assert o.post("/api/guard/authorize", {"account": account, "model": "gpt-4o"}).status == 200
        if server == "apache-fcgid":
            o.start()
        assert "Seccomp:\t2\n" in pathlib.Path(f"/proc/{o.pid}/status").read_text()
        log = pathlib.Path(o.env["OCTROI_LOGS"]) / "octroi.log"
        if server == "nginx":
            log.rename(log.with_suffix(".1"))
            os.kill(o.pid, signal.SIGHUP)
            wait_until(log.exists, what="the new log")
        assert o.balance(account)[0] == 10**7


def test_names_and_tls(home):
    """The keys of an issuer: a name is resolved, certificates are read, TLS is begun, and refused for want of trust."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                    "/CN=localhost", "-keyout", home / "key", "-out", home / "cert"], check=True, capture_output=True)
    context.load_cert_chain(home / "cert", home / "key")
    alerts = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        def accept():
            while True:
                try:
                    plain, _ = server.accept()
                except OSError:
                    return
                try:
                    context.wrap_socket(plain, server_side=True).close()
                except (ssl.SSLError, OSError) as e:
                    alerts.append(str(e))

        threading.Thread(target=accept, daemon=True).start()
        url = f"https://localhost:{server.getsockname()[1]}"
        with Octroi("nginx", settings={"sandbox": "on", "jwt_issuer": url}) as o:
            answer = o.get("/api/credits", key=unsigned(url))
            assert answer.status in (401, 503), answer
            wait_until(lambda: alerts, what="the certificate to be refused")
            assert "unknown ca" in alerts[0].lower(), alerts
            pid = o.pid
            assert o.get("/readyz", key=None).status == 200 and pid == o.pid
        server.shutdown(socket.SHUT_RDWR)


def unsigned(issuer):
    """A token whose key has to be fetched before its signature can be found bad."""
    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return ".".join((part({"alg": "RS256", "kid": "k", "typ": "JWT"}),
                     part({"iss": issuer, "sub": "a", "iat": 1, "nbf": 1, "exp": 4102444800}), "A" * 342))


def test_octroictl_keeps_what_it_reads(home):
    """octroictl reads the database's password: no core file either."""
    fifo = home / "octroi.conf"
    os.mkfifo(fifo)
    process = subprocess.Popen([build_dir() / "octroictl", "-c", fifo, "status"], env=environment(), stderr=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL)
    with open(fifo, "w") as f:  # octroictl waits for its configuration, confined by then
        limits = core_limits(process.pid)
        status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
        f.write("db_socket = /nonexistent/socket\n")
    assert process.wait(30) != 0
    assert limits == ("0", "0") and "NoNewPrivs:\t1\n" in status

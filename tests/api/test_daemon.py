"""The daemon by itself, without web server or database: its options, the ways to start it, its signals."""

import os
import pathlib
import re
import signal
import socket
import stat
import subprocess
import tempfile

import pytest

import fastcgi
from daemon import OCTROI, Daemon, environment
from octroi import free_port, wait_until


@pytest.fixture
def home():
    with tempfile.TemporaryDirectory(prefix="octroi-daemon-") as name:
        yield pathlib.Path(name)


@pytest.fixture
def daemon(home):
    """Starts daemons that do not outlive the test."""
    started = []

    def start(*lines, **more):
        started.append(Daemon(home, *lines, **more))
        return started[-1]

    yield start
    for d in started:
        d.kill()


def listener(path):
    s = socket.socket(socket.AF_UNIX)
    s.bind(str(path))
    s.listen(16)
    return s


def run(*arguments, **more):
    done = subprocess.run([OCTROI, *arguments], env=environment(**more), stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=10, check=False)
    return done.returncode, done.stdout, done.stderr


# -- options ---------------------------------------------------------------------------------------


def test_options(home):
    assert re.fullmatch(r"octroi \d+\.\d+\.\d+\S*\n", run("-V")[1])
    status, out, err = run("-h")
    assert (status, err) == (0, "") and out.startswith("usage: octroi")
    for wrong in (["-x"], ["extra"], ["-c"]):
        status, out, err = run(*wrong)
        assert status == 2 and out == "" and "usage: octroi" in err
    good, bad = home / "good.conf", home / "bad.conf"
    good.write_text("threads = 3\n")
    bad.write_text("threads = 3\nthreds = 4\n")
    assert run("-t", "-c", good)[0] == 0
    assert run("-t", OCTROI_CONF=str(good))[0] == 0
    for arguments in (["-t"], []):
        status, out, err = run(*arguments, "-c", bad)
        assert status == 1 and err == f'octroi: {bad}:2: unknown key "threds"; the nearest is "threads"\n'
    bad.write_text("threds = 4\n[main]\nlisten = 0.0.0.0:80\n")
    status, _, err = run("-t", "-c", bad, OCTROI_MARGN="2")
    assert status == 1 and len(err.splitlines()) == 4, err
    assert all(word in err for word in (f"{bad}:1:", f"{bad}:2:", f"{bad}:3:", "OCTROI_MARGN")), err
    status, _, err = run("-t", "-c", good, OCTROI_THREADS="many")
    assert status == 1 and "OCTROI_THREADS" in err
    for arguments in (["-t"], []):
        status, _, err = run(*arguments, "-c", good, OCTROI_TIME_ZONE="Mars/Olympus")
        assert status == 1 and err == "octroi: this machine does not know the time_zone: Mars/Olympus\n"


def test_nowhere_to_listen(home):
    conf = home / "octroi.conf"
    conf.write_text("")
    status, _, err = run("-c", conf)
    assert status == 1 and "nowhere to listen" in err


# -- the ways to start -----------------------------------------------------------------------------


def test_own_sockets(home, daemon):
    public, internal = home / "public", home / "internal"
    lines = [f"listen = unix:{public}", f"listen_internal = unix:{internal}", "threads = 3"]
    first = daemon(*lines)
    assert stat.S_IMODE(public.stat().st_mode) == 0o660
    assert fastcgi.call(public, "GET", "/healthz").status == 200
    assert fastcgi.call(public, "GET", "/readyz").status == 503
    assert fastcgi.call(public, "GET", "/metrics").status == 404
    assert fastcgi.call(internal, "GET", "/metrics").status == 401
    second = daemon(*lines, wait=False)
    assert second.process.wait(5) == 1  # and has not taken the sockets away
    assert fastcgi.call(public, "GET", "/healthz").status == 200
    first.process.kill()
    first.process.wait()
    third = daemon(*lines)  # what a killed one leaves behind is no hindrance
    assert fastcgi.call(public, "GET", "/healthz").status == 200
    assert third.end() == 0


def test_loopback(daemon):
    port = free_port()
    d = daemon(f"listen = 127.0.0.1:{port}")
    with socket.create_connection(("127.0.0.1", port), 10) as s:
        s.sendall(fastcgi.request("GET", "/healthz"))
        assert fastcgi.read_response(s).status == 200
    assert d.end() == 0


def passed(home, daemon, names=None, swap=False):
    """Starts octroi as systemd does, with two sockets."""
    sockets = [listener(home / "public"), listener(home / "internal")]
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(str(home / "notify"))
    notify.settimeout(10)
    env = environment(NOTIFY_SOCKET=str(home / "notify"), LISTEN_FDS="2", **({"LISTEN_FDNAMES": names} if names else {}))
    fds = [s.fileno() for s in (sockets[::-1] if swap else sockets)]
    shell = f'exec 113<&{fds[0]} 114<&{fds[1]} 3<&113 4<&114 113<&- 114<&-; export LISTEN_PID=$$; exec "$0" "$@"'
    d = daemon("threads = 2", command=("bash", "-c", shell, OCTROI), env=env, pass_fds=fds, wait=False)
    return d, sockets, notify


@pytest.mark.parametrize("names, swap", [(None, False), ("octroi-internal:octroi", True), ("octroi.socket:octroi.socket", False)])
def test_sockets_from_systemd(home, daemon, names, swap):
    d, sockets, notify = passed(home, daemon, names, swap)
    with notify:
        assert notify.recv(100) == b"READY=1"
        assert fastcgi.call(home / "public", "GET", "/healthz").status == 200
        assert fastcgi.call(home / "public", "GET", "/metrics").status == 404
        assert fastcgi.call(home / "internal", "GET", "/metrics").status == 401
        d.process.terminate()
        assert notify.recv(100) == b"STOPPING=1"
        assert d.process.wait(5) == 0
    with fastcgi.connect(home / "public"):  # systemd goes on listening
        for s in sockets:
            s.close()


def test_another_process_is_meant(home, daemon):
    """LISTEN_PID of somebody else: the sockets are not ours."""
    d = daemon(f"listen = unix:{home}/own", env=environment(LISTEN_FDS="1", LISTEN_PID="1"))
    assert fastcgi.call(home / "own", "GET", "/healthz").status == 200
    assert d.end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_socket_as_standard_input(home, daemon, number):
    """As mod_fcgid starts it: few threads, and gone within the 3 s that it is given."""
    with listener(home / "fcgid") as s:
        d = daemon(f"listen = unix:{home}/not-used", stdin=s)
        for _ in range(3):
            assert fastcgi.call(home / "fcgid", "GET", "/healthz").status == 200
        assert fastcgi.call(home / "fcgid", "GET", "/readyz").status == 503
        assert d.threads() <= 3 + ("OCTROI_SANITIZER" in os.environ)  # ThreadSanitizer has one of its own
        assert not (home / "not-used").exists()
        with fastcgi.connect(home / "fcgid") as half:
            half.sendall(fastcgi.request("GET", "/healthz")[:-1])
            fastcgi.call(home / "fcgid", "GET", "/healthz")  # so the half request has been taken in
            assert d.end(number, seconds=3) == 0


# -- signals ---------------------------------------------------------------------------------------


def test_log_is_reopened(home, daemon):
    d = daemon(f"listen = unix:{home}/s")
    d.log.rename(home / "log.1")
    d.process.send_signal(signal.SIGHUP)
    wait_until(d.log.exists, what="a new log")
    assert fastcgi.call(home / "s", "GET", "/healthz").status == 200
    wait_until(lambda: "event=request" in d.log.read_text(), what="the request in the new log")
    assert d.end(signal.SIGINT) == 0
    assert "event=stopped" in d.log.read_text()


def test_kept_connections_end_with_the_daemon(home, daemon):
    d = daemon(f"listen = unix:{home}/s", "threads = 2")
    kept = [fastcgi.connect(home / "s") for _ in range(50)]
    for connection in kept:
        connection.sendall(fastcgi.request("GET", "/healthz"))
        assert fastcgi.read_response(connection).status == 200
    assert d.end() == 0
    for connection in kept:
        with connection:
            assert connection.recv(1) == b""
    assert 'event=stopped drained="all"' in d.log.read_text()

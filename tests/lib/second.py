"""A second octroi process on the database of a first one, behind an nginx of its own.

    with Second(o) as second:
        ...  # second.internal_url, second.pid
"""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile

from octroi import alive, as_daemon, free_port, give_to_daemon, wait_until


class Second:
    def __init__(self, first, settings=None):
        """first: a running Octroi behind nginx, whose configuration this one shares but for its sockets and
        settings (keys of octroi.conf)."""
        self._processes = []
        self._settings = {f"OCTROI_{key.upper()}": str(value) for key, value in (settings or {}).items()}
        self.conf = pathlib.Path(first.env["OCTROI_CONF"])
        state = self.conf.parent
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="octroi-second-"))
        os.chmod(self.home, 0o755)
        self.run = self.home / "run"
        self.run.mkdir()
        give_to_daemon(self.run)
        try:
            self.pid = self._start_octroi(state)
            self.server_pid = self._start_nginx(state, first)
        except BaseException:
            self.close()
            raise

    def _launch(self, name, command, more=None):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("OCTROI_")}
        with open(self.home / f"{name}.log", "wb") as log:
            process = subprocess.Popen(command, env={**environment, **(more or {})}, stdin=subprocess.DEVNULL,
                                       stdout=log, stderr=log, start_new_session=True)
        self._processes.append(process)
        return process

    def _start_octroi(self, state):
        process = self._launch("octroi", [*as_daemon(), *self._under(), str(state / "bin" / "octroi"), "-c", str(self.conf)], {
            **self._settings, "OCTROI_LISTEN": f"unix:{self.run}/octroi.sock", "OCTROI_LISTEN_INTERNAL": f"unix:{self.run}/internal.sock",
            "OCTROI_LOG": "stderr"})
        wait_until(lambda: (self.run / "internal.sock").exists() or process.poll() is not None, 30, "the second octroi")
        assert process.poll() is None, (self.home / "octroi.log").read_text()
        return process.pid

    def kill_and_start(self, how=signal.SIGKILL):
        """kill -9 of this octroi, or SIGTERM, and another one in its place."""
        os.kill(self.pid, how)
        wait_until(lambda: not alive(self.pid), 30, "the end of the second octroi")
        for name in ("octroi.sock", "internal.sock"):
            (self.run / name).unlink(missing_ok=True)
        self.pid = self._start_octroi(self.conf.parent)

    def _start_nginx(self, state, first):
        """The first one's files, with other sockets, ports and directories."""
        public, internal = free_port(), free_port()
        web = self.home / "web"
        shutil.copytree(state / "web", web)
        for file in (web / "nginx.conf", web / "octroi/octroi.conf", web / "octroi/site.conf"):
            text = file.read_text()
            text = text.replace(f"{state}/run/nginx", f"{self.run}/nginx").replace(f"{state}/run/", f"{self.run}/")
            text = text.replace(f"{state}/log/", f"{self.run}/")
            for old, new in ((first.url, public), (first.internal_url, internal)):
                text = re.sub(rf"127\.0\.0\.1:{old.rsplit(':', 1)[1]}\b", f"127.0.0.1:{new}", text)
            file.write_text(text)
        self._configure_web(web)
        (self.run / "nginx").mkdir()
        give_to_daemon(self.run / "nginx")
        program = pathlib.Path(f"/proc/{first.server_pid}/exe").readlink()
        process = self._launch("nginx", [*as_daemon(), str(program), "-e", str(self.run / "server.log"), "-c", str(web / "nginx.conf")])
        self.internal_url = f"http://127.0.0.1:{internal}"
        wait_until(lambda: self._listens(internal), 30, "the second nginx")
        return process.pid

    # For classes derived from this one:

    def _under(self):
        """The command that octroi runs under, such as valgrind."""
        return []

    def _configure_web(self, web):
        """Changes nginx's files, in the directory web, before it starts."""

    @staticmethod
    def _listens(port):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", port)) == 0

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        for process in reversed(self._processes):
            if alive(process.pid):
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes = []
        shutil.rmtree(self.home, ignore_errors=True)

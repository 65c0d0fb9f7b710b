"""octroi started by a test itself, without web server, database or quickstart."""

import os
import pathlib
import re
import signal
import subprocess

from octroi import build_dir, wait_until

OCTROI = build_dir() / "octroi"


def environment(**more):
    """Without what the configuration would take for its own."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OCTROI_", "LISTEN_", "NOTIFY_"))}
    return {**kept, **more}


class Daemon:
    """An octroi whose database is not there, unless lines say where one is."""

    def __init__(self, home, *lines, wait=True, env=None, command=(OCTROI,), **popen):
        self.log = home / "log"
        self.log.unlink(missing_ok=True)
        conf = home / "octroi.conf"
        nowhere = [] if any(line.startswith("db_host") for line in lines) else [f"db_socket = {home}/no-database"]
        conf.write_text("\n".join([f"log = {self.log}", *nowhere, *lines, ""]))
        self.process = subprocess.Popen([*command, "-c", conf], env=env or environment(), stdin=popen.pop(
            "stdin", subprocess.DEVNULL), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **popen)
        if wait:
            wait_until(self.started, what="octroi starts")

    def started(self):
        assert self.process.poll() is None, self.process.stdout.read()
        return self.log.exists() and "event=started" in self.log.read_text()

    def end(self, number=signal.SIGTERM, seconds=5):
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(seconds)
        self.process.stdout.close()
        return status

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def status(self, field):
        """A line of /proc/PID/status."""
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return re.search(rf"^{field}:\s+(.*)$", text, re.M)[1]

    def threads(self):
        return int(self.status("Threads"))

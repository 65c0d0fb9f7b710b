"""Stands between octroi and its database, and cuts the line at a COMMIT when told to."""

import os
import pathlib
import select
import shutil
import socket
import tempfile
import threading
import time

# What becomes of a statement with a COMMIT that is to be cut.
BEFORE = "before"  # it never reaches the database
AFTER = "after"    # the database has executed it, its answer never reaches octroi
DURING = "during"  # both ends lose the line while it is executed


class Interposer:
    def __init__(self, database_socket):
        self._database = database_socket
        self._home = pathlib.Path(tempfile.mkdtemp(prefix="octroi-interposer-"))
        os.chmod(self._home, 0o755)
        self.path = self._home / "db.sock"
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        os.chmod(self.path, 0o777)
        self._listener.listen(64)
        self._lock = threading.Lock()
        self._cuts = []  # what to do with the next COMMITs: None or one of the above
        self.cut = {BEFORE: 0, AFTER: 0, DURING: 0}
        self._closing = False
        threading.Thread(target=self._accept, daemon=True).start()

    def plan(self, cuts):
        """What to do with each of the next COMMITs; None lets one pass."""
        with self._lock:
            self._cuts = list(cuts)

    def left(self):
        with self._lock:
            return len(self._cuts)

    def close(self):
        self._closing = True
        self._listener.close()
        shutil.rmtree(self._home, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def _accept(self):
        while not self._closing:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _next_cut(self, data):
        if b"COMMIT" not in data:
            return None
        with self._lock:
            return self._cuts.pop(0) if self._cuts else None

    def _serve(self, client):
        server = socket.socket(socket.AF_UNIX)
        try:
            server.connect(self._database)
            while True:
                readable, _, _ = select.select([client, server], [], [])
                if server in readable:
                    data = server.recv(1 << 20)
                    if not data:
                        return
                    client.sendall(data)
                if client in readable:
                    data = client.recv(1 << 20)
                    if not data:
                        return
                    cut = self._next_cut(data)
                    if cut is not None:
                        with self._lock:
                            self.cut[cut] += 1
                    if cut == BEFORE:
                        return
                    server.sendall(data)
                    if cut == AFTER:
                        self._wait_for_answer(server)
                    if cut is not None:
                        return
        except OSError:
            pass
        finally:
            client.close()
            server.close()

    @staticmethod
    def _wait_for_answer(server):
        """Until the database has said all that it has to say."""
        server.settimeout(0.1)
        try:
            while server.recv(1 << 20):
                pass
        except TimeoutError:
            time.sleep(0)

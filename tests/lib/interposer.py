"""Stands between octroi and its database, and cuts the line at a COMMIT, or another statement, when told to."""

import os
import pathlib
import select
import shutil
import socket
import tempfile
import threading
import time

# Fates of a statement that is to be cut.
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
        self._cuts = []  # what to do with the next of the statements: None or one of the above
        self._statement, self._then = b"COMMIT", None
        self.cut = {BEFORE: 0, AFTER: 0, DURING: 0}
        self._closing = False
        threading.Thread(target=self._accept, daemon=True).start()

    def plan(self, cuts, statement=b"COMMIT", then=None):
        """The fate of each of the next messages to the database that contain the statement; None lets one
        pass.  then() is called while the line is held, before it is cut."""
        with self._lock:
            self._cuts, self._statement, self._then = list(cuts), statement, then

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
        """The fate of the message, and what is to be called then."""
        with self._lock:
            if not self._cuts or self._statement not in data:
                return None, None
            cut = self._cuts.pop(0)
            if cut is not None:
                self.cut[cut] += 1
            return cut, self._then

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
                    cut, then = self._next_cut(data)
                    if cut != BEFORE:
                        server.sendall(data)
                    if cut == AFTER:
                        self._wait_for_answer(server)
                    if cut is not None:
                        if then:
                            then()
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

"""FastCGI as a web server speaks it: just enough to talk to octroi's socket directly."""

import socket
import struct

BEGIN_REQUEST, END_REQUEST, PARAMS, STDIN, STDOUT, STDERR = 1, 3, 4, 5, 6, 7
KEEP_CONN = 1
RESPONDER = 1


def record(kind, content, request_id=1):
    padding = -len(content) % 8
    return struct.pack(">BBHHBx", 1, kind, request_id, len(content), padding) + content + b"\0" * padding


def stream(kind, content, request_id=1):
    """The content as records, and the empty one that ends a stream."""
    parts = [record(kind, content[i:i + 32768], request_id) for i in range(0, len(content), 32768)]
    return b"".join(parts) + record(kind, b"", request_id)


def _length(n):
    return struct.pack(">B", n) if n < 128 else struct.pack(">I", n | 0x80000000)


def parameters(pairs):
    out = b""
    for name, value in pairs:
        name, value = name.encode(), value.encode()
        out += _length(len(name)) + _length(len(value)) + name + value
    return out


def request(method, uri, body=b"", headers=None, keep=True, more=()):
    """A whole request.  headers: as the client sent them; more: further parameters."""
    pairs = [("REQUEST_METHOD", method), ("REQUEST_URI", uri), ("SCRIPT_NAME", uri.split("?")[0]),
             ("QUERY_STRING", uri.partition("?")[2]), ("REMOTE_ADDR", "127.0.0.1"), ("SERVER_PROTOCOL", "HTTP/1.1"),
             ("CONTENT_LENGTH", str(len(body)) if body else ""), ("CONTENT_TYPE", "application/json" if body else "")]
    pairs += [("HTTP_" + name.upper().replace("-", "_"), value) for name, value in (headers or {}).items()]
    begin = record(BEGIN_REQUEST, struct.pack(">HB5x", RESPONDER, KEEP_CONN if keep else 0))
    return begin + stream(PARAMS, parameters(pairs + list(more))) + stream(STDIN, body)


class Response:
    """status, head, body and stderr of one answer."""

    def __init__(self, stdout, stderr):
        head, _, self.body = stdout.partition(b"\r\n\r\n")
        self.head = head.decode("latin-1")
        self.stderr = stderr
        lines = dict(line.split(": ", 1) for line in self.head.split("\r\n") if ": " in line)
        self.status = int(lines.get("Status", "200 OK").split()[0])

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r}>"


def _exactly(connection, count):
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            raise ConnectionError(f"closed after {len(data)} of {count} bytes")
        data += more
    return data


def read_response(connection):
    """The next answer on the connection; ConnectionError when it ends before."""
    stdout = stderr = b""
    while True:
        _, kind, _, length, padding = struct.unpack(">BBHHBx", _exactly(connection, 8))
        content = _exactly(connection, length + padding)[:length]
        if kind == STDOUT:
            stdout += content
        elif kind == STDERR:
            stderr += content
        elif kind == END_REQUEST:
            return Response(stdout, stderr)


def connect(path, timeout=30):
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(path))  # blocking: waits where a full backlog would else be an error
    connection.settimeout(timeout)
    return connection


def call(path, *arguments, **more):
    """One request on a connection of its own."""
    with connect(path) as connection:
        connection.sendall(request(*arguments, keep=False, **more))
        return read_response(connection)

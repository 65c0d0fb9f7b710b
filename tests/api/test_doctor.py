"""octroictl doctor says what is wrong with an installation, and nothing when all is well.

Each test breaks one thing, looks at that check, and mends it.  A web server's faults are played by a
small proxy in front of the real one, except where the real one can be told to have them.
"""

import contextlib
import http.client
import http.server
import json
import os
import pathlib
import pwd
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.parse

import pytest

from octroi import Octroi, wait_until


@pytest.fixture(scope="module", params=["nginx", "apache", "apache-fcgid"])
def each(request):
    with Octroi(request.param) as octroi:
        yield octroi


@pytest.fixture(scope="module")
def o():
    with Octroi("nginx") as octroi:
        yield octroi


def doctor(o, *arguments, conf=None):
    """(exit status, {check: its record})"""
    where = ["-c", conf] if conf else []
    done = o.ctl(*where, "doctor", "--json", *arguments, check=False)
    answer = json.loads(done.stdout)
    checks = {check["check"]: check for check in answer["checks"]}
    for state in ("ok", "skipped", "warning", "problem"):
        assert answer[state] == sum(check["state"] == state for check in checks.values())
    for check in checks.values():
        assert check["found"]
        assert check["advice"] or check["state"] in ("ok", "skipped"), check
    return done.returncode, checks


def urls(o, scope="app"):
    return ["--url", o.url, "--internal-url", o.internal_url, "--key", o.keys[scope]]


def state(o, check, *arguments, conf=None):
    status, checks = doctor(o, *arguments, conf=conf)
    worst = {check["state"] for check in checks.values()}
    assert status == (2 if "problem" in worst else 1 if "warning" in worst else 0)
    return checks[check]["state"]


# ---- all is well -------------------------------------------------------------------------------------

@pytest.mark.parametrize("scope", ["guard", "app", "admin", "report"])
def test_nothing_is_wrong_with_a_fresh_installation(each, scope):
    each.get("/healthz", key=None)  # mod_fcgid starts octroi when the first request comes
    status, checks = doctor(each, *urls(each, scope))
    assert {name: check for name, check in checks.items() if check["state"] not in ("ok", "skipped")} == {}
    assert status == 0
    for check in ("time zone", "outbox", "worker", "statements", "database", "journal rights", "web server", "authorization header", "underscores in headers",
                  "readiness", "prices", "price terms", "token_secret", "configuration mode"):
        assert checks[check]["state"] == "ok", checks[check]
    assert checks["guard not public"]["state"] == ("skipped" if each.server == "apache-fcgid" else "ok")


def test_for_people(o):
    done = o.ctl("doctor", *urls(o))
    assert re.search(r"^ok +database: ", done.stdout, re.M)
    assert re.search(r"^\d+ ok, \d+ skipped, 0 warnings, 0 problems$", done.stdout, re.M)


def test_key_from_the_environment(o, monkeypatch):
    assert state(o, "authorization header", "--url", o.url) == "skipped"
    done = subprocess.run(
        [o.env["OCTROI_CTL"], "doctor", "--json", "--url", o.url], stdout=-1, text=True, timeout=60,
        env={**os.environ, "OCTROI_DOCTOR_KEY": o.keys["guard"]})
    checks = {check["check"]: check["state"] for check in json.loads(done.stdout)["checks"]}
    assert checks["authorization header"] == "ok"


def test_shows_no_secret(o):
    text = o.ctl("doctor", *urls(o)).stdout + o.ctl("doctor", "--json", *urls(o)).stdout
    settings = dict(re.findall(r"^(\w+) = (.*)$", pathlib.Path(o.env["OCTROI_CONF"]).read_text(), re.M))
    for secret in (o.keys["app"], settings["db_password"], settings["token_secret"]):
        assert secret and secret not in text


def test_changes_nothing(o):
    before = o.sql("SELECT COUNT(*), MAX(created_at_us) FROM accounts")
    doctor(o, *urls(o))
    assert o.sql("SELECT COUNT(*), MAX(created_at_us) FROM accounts") == before


# ---- configuration and sockets -----------------------------------------------------------------------

@contextlib.contextmanager
def changed_conf(o, **settings):
    """A copy of octroi.conf with other settings; None: without."""
    text = pathlib.Path(o.env["OCTROI_CONF"]).read_text()
    for key, value in settings.items():
        text = re.sub(rf"(?m)^{key}\b.*\n", "", text)
        if value is not None:
            text += f"{key} = {value}\n"
    conf = pathlib.Path(o.dir) / "doctor.conf"
    conf.write_text(text)
    conf.chmod(0o600)
    try:
        yield conf
    finally:
        conf.unlink()


@pytest.mark.parametrize("trust,url,expected", [("off", "", "skipped"), ("on", "https://a.example", "ok"), ("on", "", "warning")])
def test_own_pages(o, trust, url, expected):
    with changed_conf(o, trust_server_params=trust, public_url=url) as conf:
        assert state(o, "own pages", conf=conf) == expected


@pytest.mark.parametrize("mode,expected", [(0o600, "ok"), (0o640, "ok"), (0o644, "problem"), (0o660, "problem"),
                                           (0o602, "problem")])
def test_mode_of_the_configuration(o, mode, expected):
    with changed_conf(o) as conf:
        conf.chmod(mode)
        assert state(o, "configuration mode", conf=conf) == expected


@pytest.mark.parametrize("mode,expected", [(0o600, "ok"), (0o640, "ok"), (0o644, "problem"), (0o620, "problem"),
                                           (0o601, "problem")])
@pytest.mark.parametrize("key", ["token_secret", "db_password", "clerk_webhook_secret"])
def test_mode_of_a_secret_file(o, tmp_path, key, mode, expected):
    secret = tmp_path / "secret"
    settings = dict(re.findall(r"^(\w+) = (.*)$", pathlib.Path(o.env["OCTROI_CONF"]).read_text(), re.M))
    secret.write_text(settings.get(key, "whsec_" + "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI="))
    secret.chmod(mode)
    with changed_conf(o, **{key: None, f"{key}_file": secret}) as conf:
        _, checks = doctor(o, conf=conf)
    found = checks[f"{key}_file"]
    assert found["state"] == expected and str(secret) in found["found"]
    assert expected == "ok" or f"chmod 640 {secret}" in found["advice"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("owner, owner_of_directory, mode, expected", [
    (0, 0, 0o755, "ok"), (54321, 0, 0o755, "problem"), (0, 54321, 0o755, "problem"), (0, 0, 0o775, "problem"),
    (0, 0, 0o757, "problem"), (0, 0, 0o1777, "ok")])
def test_another_user_could_put_another_file_there(o, tmp_path, owner, owner_of_directory, mode, expected):
    folder = tmp_path / "folder"
    folder.mkdir()
    for name in ("octroi.conf", "token_secret"):
        text = "5" * 64
        if name == "octroi.conf":
            text = re.sub(r"(?m)^token_secret\b.*\n", "", pathlib.Path(o.env["OCTROI_CONF"]).read_text())
            text += f"token_secret_file = {folder}/token_secret\n"
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)
        os.chown(folder / name, owner, 0)
    os.chown(folder, owner_of_directory, 0)
    folder.chmod(mode)
    _, checks = doctor(o, conf=folder / "octroi.conf")
    assert [checks[name]["state"] for name in ("configuration owner", "token_secret_file")] == [expected] * 2, checks


def test_no_configuration_is_said(o):
    """Every setting of the environment's, and no file at all."""
    settings = dict(re.findall(r"^(\w+) = (.*)$", pathlib.Path(o.env["OCTROI_CONF"]).read_text(), re.M))
    environment = {f"OCTROI_{key.upper()}": value for key, value in settings.items()}
    done = subprocess.run([pathlib.Path(os.environ["OCTROI_BUILD"]) / "octroictl", "doctor", "--json"], text=True, timeout=60,
                          stdout=-1, env={"PATH": os.environ["PATH"], **environment})
    if pathlib.Path("/etc/octroi/octroi.conf").exists():
        pytest.fail("this machine has an octroi of its own")
    checks = {check["check"]: check for check in json.loads(done.stdout)["checks"]}
    assert checks["configuration"]["state"] == "warning" and "octroictl setup" in checks["configuration"]["advice"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a socket to another group")
def test_a_web_server_that_may_not_reach_the_socket(o, tmp_path):
    """The nginx that runs here is not in the group of daemons."""
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(path))
        os.chown(path, 1, 1)
        path.chmod(0o660)
        with changed_conf(o, listen=f"unix:{path}") as conf:
            _, checks = doctor(o, conf=conf)
    assert checks["listen"]["state"] == "warning" and "adduser " in checks["listen"]["advice"], checks["listen"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a socket to another group")
def test_no_person_poses_as_the_web_server(o, tmp_path):
    """A person's process by the name of nginx is not let in on doctor's advice, and hides no web server that is shut out."""
    with socket.socket(socket.AF_UNIX) as s:
        path = tmp_path / "s"
        s.bind(str(path))
        os.chown(path, 1, 1)
        path.chmod(0o660)
        posing = subprocess.Popen(["setpriv", "--reuid=54321", "--regid=1", "--clear-groups", "bash", "-c",
                                   "printf nginx > /proc/$$/comm; read"], stdin=subprocess.PIPE)
        try:
            wait_until(lambda: pathlib.Path(f"/proc/{posing.pid}/comm").read_text() == "nginx\n", 10, "its name")
            with changed_conf(o, listen=f"unix:{path}") as conf:
                _, checks = doctor(o, conf=conf)
        finally:
            posing.communicate(b"\n", timeout=30)
    server = pwd.getpwuid(pathlib.Path(f"/proc/{o.server_pid}").stat().st_uid).pw_name
    assert checks["listen"]["state"] == "warning" and f"adduser {server} " in checks["listen"]["advice"], checks["listen"]


def test_no_token_secret(o):
    with changed_conf(o, token_secret=None) as conf:
        assert state(o, "token_secret", conf=conf) == "skipped"


def group_of_workers(o):
    """The group of the web server's processes that speak to octroi."""
    socket_of_octroi = re.search(r"^listen = unix:(.*)$", pathlib.Path(o.env["OCTROI_CONF"]).read_text(), re.M)[1]
    return os.stat(socket_of_octroi).st_gid


@pytest.mark.parametrize("mode,expected", [(0o660, "ok"), (0o666, "problem"), (0o600, "warning")])
def test_mode_of_a_socket(o, tmp_path, mode, expected):
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(str(path))
        os.chown(path, -1, group_of_workers(o))
        path.chmod(mode)
        with changed_conf(o, listen=f"unix:{path}") as conf:
            assert state(o, "listen", conf=conf) == expected


@pytest.mark.parametrize("listen,expected", [("unix:/nonexistent/s", "problem"), ("unix:/etc/passwd", "problem"),
                                             ("127.0.0.1:9000", "ok")])
def test_listen(o, listen, expected):
    with changed_conf(o, listen=listen) as conf:
        assert state(o, "listen", conf=conf) == expected


def test_an_address_of_the_world_is_no_configuration(o):
    with changed_conf(o, listen="0.0.0.0:9000") as conf:
        done = o.ctl("-c", conf, "doctor", check=False)
        assert done.returncode == 2 and "listen must be unix:/path, 127.0.0.1:port or [::1]:port" in done.stderr


# ---- database ----------------------------------------------------------------------------------------

@pytest.mark.parametrize("variable,bad,check,expected", [
    ("innodb_flush_log_at_trx_commit", "2", "innodb_flush_log_at_trx_commit", "problem"),
    ("max_allowed_packet", "1048576", "max_allowed_packet", "warning"),
])
def test_setting(o, variable, bad, check, expected):
    was = o.sql(f"SELECT @@GLOBAL.{variable}")[0][0]
    assert state(o, check) == "ok"
    o.sql(f"SET GLOBAL {variable} = {bad}")
    try:
        assert state(o, check) == expected
    finally:
        o.sql(f"SET GLOBAL {variable} = {was}")
    assert state(o, check) == "ok"


def test_too_few_connections(o):
    user = f"'{o.env['OCTROI_DB_USER']}'@'localhost'"
    o.sql(f"ALTER USER {user} WITH MAX_USER_CONNECTIONS 10")
    try:
        assert state(o, "connections") == "problem"
        with changed_conf(o, db_connections="3") as conf:
            assert state(o, "connections", conf=conf) == "ok"
    finally:
        o.sql(f"ALTER USER {user} WITH MAX_USER_CONNECTIONS 0")
    assert state(o, "connections") == "ok"


def test_binary_log_and_doublewrite():
    """Settings that are fixed when the database starts."""
    with Octroi("nginx", db_settings={"log_bin": "on", "sync_binlog": "0", "innodb_doublewrite": "0"}) as other:
        _, checks = doctor(other)
        assert checks["sync_binlog"]["state"] == "problem"
        assert checks["innodb_doublewrite"]["state"] == "warning"
        other.sql("SET GLOBAL sync_binlog = 1")
        assert state(other, "sync_binlog") == "ok"


def test_a_database_user_without_a_password(o):
    assert state(o, "database login") == "ok"
    o.sql("CREATE USER open@localhost; GRANT SELECT ON octroi.* TO open@localhost")
    try:
        with changed_conf(o, db_user="open", db_password=None, db_password_file=None) as conf:
            assert state(o, "database login", conf=conf) == "problem"
            o.sql(f"ALTER USER open@localhost IDENTIFIED BY '{'5' * 32}'")
        with changed_conf(o, db_user="open", db_password="5" * 32, db_password_file=None) as conf:
            assert state(o, "database login", conf=conf) == "ok"
    finally:
        o.sql("DROP USER open@localhost")


@pytest.mark.parametrize("grant", ["DELETE ON {db}.entries", "UPDATE ON {db}.entries", "UPDATE ON {db}.*",
                                   "DELETE ON `%`.*", "DROP ON {db}.*", "SUPER ON *.*", "ALL ON *.*"])
def test_rights_over_the_journal(o, grant):
    grant = grant.format(db=o.env["OCTROI_DB_NAME"])
    user = f"'{o.env['OCTROI_DB_USER']}'@'localhost'"
    o.sql(f"GRANT {grant} TO {user}")
    try:
        assert state(o, "journal rights") == "problem"
    finally:
        o.sql(f"REVOKE {grant} FROM {user}")
        o.ctl("init", "--sql", pathlib.Path(__file__).resolve().parents[2] / "sql", "--admin-user", "root", "--grants")
    assert state(o, "journal rights") == "ok"


def test_database_away(o):
    with changed_conf(o, db_socket="/nonexistent/mariadb.sock") as conf:
        assert state(o, "database", conf=conf) == "problem"


def test_wrong_password(o):
    with changed_conf(o, db_password="not it") as conf:
        assert state(o, "database", conf=conf) == "problem"


@pytest.mark.parametrize("change,back", [("INSERT INTO schema_versions (version) VALUES (9000)",
                                          "DELETE FROM schema_versions WHERE version = 9000"),
                                         ("UPDATE schema_versions SET version = 100 * version",
                                          "UPDATE schema_versions SET version = version / 100"),
                                         ("RENAME TABLE schema_versions TO away", "RENAME TABLE away TO schema_versions")])
def test_schema_version(o, change, back):
    o.sql(change)
    try:
        assert state(o, "schema version") == "problem"
    finally:
        o.sql(back)
    assert state(o, "schema version") == "ok"


@pytest.mark.parametrize("seconds,expected", [(0, "ok"), (3, "warning"), (-3, "warning"), (60, "problem"), (-60, "problem")])
def test_clock_of_the_database(seconds, expected, o):
    """SET GLOBAL cannot move a clock, but a session's can be: init_connect is run for users without SUPER."""
    o.sql(f"SET GLOBAL init_connect = 'SET timestamp = UNIX_TIMESTAMP(SYSDATE(6)) + {seconds}'" if seconds else
          "SET GLOBAL init_connect = ''")
    try:
        assert state(o, "database clock") == expected
    finally:
        o.sql("SET GLOBAL init_connect = ''")


def test_no_prices(o):
    o.sql("RENAME TABLE prices TO prices_away; CREATE TABLE prices LIKE prices_away")
    try:
        assert state(o, "prices") == "problem"
    finally:
        o.sql("DROP TABLE prices; RENAME TABLE prices_away TO prices")


def test_terms_not_stored(o):
    assert state(o, "price terms") == "ok"
    with changed_conf(o, margin="1.5") as conf:
        assert state(o, "price terms", conf=conf) == "warning"


# ---- charges, statements, the platform's own keys ----------------------------------------------------

@pytest.mark.parametrize("zone,expected", [("UTC", "ok"), ("Europe/Paris", "ok"), ("Mars/Olympus", "problem"),
                                           ("../../etc/passwd", "problem"), ("paris", "problem")])
def test_time_zone(o, zone, expected):
    with changed_conf(o, time_zone=zone) as conf:
        assert state(o, "time zone", conf=conf) == expected
        # Nothing is booked by another zone's days.
        tick = o.ctl("-c", conf, "tick", check=False)
        assert (tick.returncode, zone in tick.stderr) == ((0, False) if expected == "ok" else (2, True)), tick


HOUR = 3_600_000_000
NOW = "CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)"


@pytest.mark.parametrize("row_state,due_us_ago,expected", [
    (0, HOUR + 10**7, {"outbox": "ok", "worker": "problem"}), (0, HOUR - 10**8, {"outbox": "ok", "worker": "ok"}),
    (0, -72 * HOUR, {"outbox": "ok", "worker": "ok"}),  # another try in three days
    (1, 9 * HOUR, {"outbox": "ok", "worker": "ok"}), (2, 9 * HOUR, {"outbox": "warning", "worker": "ok"})])
def test_outbox(o, row_state, due_us_ago, expected):
    o.kill("octroi")  # its worker would take the row
    o.sql("INSERT INTO outbox (account_id, seq, state, created_at_us, next_at_us)"
          f" VALUES ('no such account.', 1, {row_state}, {NOW} - {9 * HOUR}, {NOW} - {due_us_ago})")
    try:
        _, checks = doctor(o)
        assert {check: checks[check]["state"] for check in expected} == expected
    finally:
        o.sql("DELETE FROM outbox")
        o.start()
    assert state(o, "outbox") == state(o, "worker") == "ok"


@pytest.mark.parametrize("row_state,expected", [(0, "ok"), (1, "ok"), (2, "warning"), (3, "ok"), (4, "ok"), (5, "ok")])
def test_statements(o, row_state, expected):
    o.sql(f"INSERT INTO statements (account_id, seq, state) VALUES ('no such account.', 1, {row_state})")
    try:
        assert state(o, "statements") == expected
    finally:
        o.sql("DELETE FROM statements")
    assert state(o, "statements") == "ok"


@pytest.mark.parametrize("found,expected", [
    ("healthy", "ok"), ("rate_limited", "ok"), ("insufficient_quota", "problem"), ("billing_hard_limit_reached", "problem"),
    ("invalid_key", "problem"), ("permission", "problem"), ("model_unknown", "problem"), ("overloaded", "warning"),
    ("unreachable", "warning"), ("unexpected", "warning"), (None, "skipped")])
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_key_of_a_provider(o, provider, found, expected):
    if found:
        o.sql(f"INSERT INTO probes (provider, state, detail, checked_at_us) VALUES ('{provider}', '{found}', 'a_code', 5)")
    try:
        _, checks = doctor(o)
        check = checks[f"{provider} key"]
        assert check["state"] == expected
        assert not found or (found in check["found"] and "a_code" in check["found"])
    finally:
        o.sql("DELETE FROM probes")


# ---- web server --------------------------------------------------------------------------------------

class Proxy(http.server.ThreadingHTTPServer):
    """Passes requests on to `target`, through `change(headers)` which may drop or rename some."""

    daemon_threads = True

    def __init__(self, target, change=lambda headers: headers, clock_seconds=0, status=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.target = urllib.parse.urlsplit(target)
        self.change, self.clock_seconds, self.status = change, clock_seconds, status
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def date_time_string(self, timestamp=None):
        return super().date_time_string(time.time() + self.server.clock_seconds)

    def pass_on(self):
        status, body, name = self.server.status, b"", None
        if status is None:
            connection = http.client.HTTPConnection(self.server.target.hostname, self.server.target.port, timeout=10)
            headers = self.server.change({name: value for name, value in self.headers.items() if name != "Host"})
            connection.request(self.command, self.path, headers=headers)
            answer = connection.getresponse()
            status, body, name = answer.status, answer.read(), answer.getheader("X-Request-Id")
            connection.close()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        if name is not None:
            self.send_header("X-Request-Id", name)
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = pass_on


class Hostile(http.server.BaseHTTPRequestHandler):
    """Stripe's part, with an error that writes to the title of a terminal, and clears it."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        body = json.dumps({"error": {"type": "invalid_request_error", "message": "\x1b]0;all is well\x07\x1b[2Jno\x7f"}}).encode()
        self.send_response(400)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def test_another_servers_words_do_not_control_the_terminal(o):
    with http.server.HTTPServer(("127.0.0.1", 0), Hostile) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            with changed_conf(o, stripe_secret_key="sk_test_" + "5" * 24, stripe_webhook_secret="whsec_" + "5" * 32,
                              stripe_api_base=f"http://127.0.0.1:{server.server_address[1]}") as conf:
                done = o.ctl("-c", conf, "doctor", check=False)
                shown = done.stdout
        finally:
            server.shutdown()
    assert "it answers 400: ?]0;all is well??[2Jno?\n" in shown, shown + done.stderr
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", shown)


def without(name):
    return lambda headers: {n: v for n, v in headers.items() if n.lower() != name}


def hyphens(headers):
    return {n.replace("_", "-"): v for n, v in headers.items()}


@pytest.mark.parametrize("which", ["url", "internal-url"])
def test_authorization_stripped(o, which):
    check = "authorization header" if which == "url" else "internal authorization header"
    with Proxy(o.url if which == "url" else o.internal_url, without("authorization")) as proxy:
        assert state(o, check, f"--{which}", proxy.url, "--key", o.keys["app"]) == "problem"
    with Proxy(o.url if which == "url" else o.internal_url) as proxy:
        assert state(o, check, f"--{which}", proxy.url, "--key", o.keys["app"]) == "ok"


def test_own_header_stripped(o):
    with Proxy(o.url, without("x-octroi-key")) as proxy:
        assert state(o, "authorization header", "--url", proxy.url, "--key", o.keys["app"]) == "warning"


def test_key_not_in_force(o):
    assert state(o, "authorization header", "--url", o.url, "--key", "oct_app_" + "A" * 43) == "warning"


@pytest.mark.parametrize("key", [True, False])
def test_underscores_arrive(o, key):
    more = ["--key", o.keys["guard"]] if key else []
    with Proxy(o.url, hyphens) as proxy:
        assert state(o, "underscores in headers", "--url", proxy.url, *more) == "problem"


def test_underscores_in_headers_on(o):
    """nginx itself, told so."""
    local = pathlib.Path(o.dir) / "web/octroi/local/doctor.conf"
    local.write_text("underscores_in_headers on;\n")
    try:
        o.kill("server", signal.SIGHUP)
        wait_until(lambda: state(o, "underscores in headers", "--url", o.url, "--key", o.keys["app"]) == "problem",
                   10, "nginx with underscores_in_headers on")
    finally:
        local.unlink()
        o.kill("server", signal.SIGHUP)
    wait_until(lambda: state(o, "underscores in headers", "--url", o.url) == "ok", 10, "nginx as it was")


def test_guard_is_public(o):
    assert state(o, "guard not public", "--url", o.url) == "ok"
    assert state(o, "guard not public", "--url", o.internal_url) == "warning"


@pytest.mark.parametrize("seconds,expected", [(0, "ok"), (6, "warning"), (-6, "warning"), (600, "problem"), (-600, "problem")])
def test_clock_of_the_web_server(o, seconds, expected):
    with Proxy(o.url, clock_seconds=seconds) as proxy:
        assert state(o, "web server clock", "--url", proxy.url) == expected


@pytest.mark.parametrize("status", [404, 502, 503, 500])
def test_octroi_not_behind_it(o, status):
    with Proxy(o.url, status=status) as proxy:
        _, checks = doctor(o, "--url", proxy.url, "--internal-url", proxy.url)
    for check in ("web server", "internal web server"):
        assert checks[check]["state"] == "problem"
        assert ("another site's" in checks[check]["found"]) == (status < 500), checks[check]
    assert ("readiness" in checks) == (status >= 500)


@pytest.mark.parametrize("status", [200, 404, 502])
def test_another_site_is_not_told_the_key(o, status):
    """A mistyped URL: the site there answers, and the key is not its own."""
    told = []

    class Other(Handler):
        def pass_on(self):
            told.append(str(self.headers))
            super().pass_on()

        do_GET = do_POST = pass_on

    with Proxy(o.url, status=status) as proxy:
        proxy.RequestHandlerClass = Other
        doctor(o, "--url", proxy.url, "--internal-url", proxy.url, "--key", o.keys["guard"])
    assert told and o.keys["guard"] not in "".join(told)


def test_no_web_server(o):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))  # taken, and nobody listens
        nobody = f"http://127.0.0.1:{s.getsockname()[1]}"
        assert state(o, "web server", "--url", nobody) == "problem"
        assert state(o, "internal web server", "--internal-url", nobody) == "problem"


def test_file_url_is_refused(o):
    assert state(o, "web server", "--url", "file:///etc/passwd#") == "problem"

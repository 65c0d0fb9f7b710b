"""octroictl setup: from an installed octroi to its first request, once and again, and what it must leave alone."""

import contextlib
import http.client
import json
import os
import pathlib
import pwd
import re
import shutil
import subprocess
import tempfile
import threading

import pytest

import fastcgi
from octroi import TOP, Octroi, free_port, wait_until

BUILD = pathlib.Path(os.environ["OCTROI_BUILD"])
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin") or BUILD / "programs/usr/sbin/nginx"  # as quickstart finds it
OUR_TABLES = "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = '{}'"


@pytest.fixture(scope="module")
def machine():
    """A MariaDB to set octroi up in."""
    with Octroi("nginx") as made:
        yield made


class Site:
    """A machine's directories and a database name of their own."""

    count = 0

    def __init__(self, machine):
        Site.count += 1
        self.machine = machine
        self.name = f"setup_{os.getpid()}_{Site.count}"
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="octroi-setup-"))
        self.conf = self.dir / "etc/octroi.conf"
        self.nginx = self.dir / "nginx"
        self.conf.parent.mkdir()
        (self.nginx / "conf.d").mkdir(parents=True)
        self.socket = machine.env["OCTROI_DB_SOCKET"]
        self.environment = {**{k: v for k, v in os.environ.items() if not k.startswith("OCTROI_")},
                            "OCTROI_SHARE_DIR": str(TOP), "OCTROI_SQL_DIR": str(TOP / "sql")}

    def ctl(self, *arguments, **more):
        return subprocess.run([BUILD / "octroictl", "-c", self.conf, *map(str, arguments)], env=self.environment,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120, check=False,
                              **{"stdin": subprocess.DEVNULL, **more})

    def setup(self, *arguments, **more):
        return self.ctl("setup", "--db-socket", self.socket, "--db-name", self.name, "--db-user", self.name, "--web",
                        "nginx", "--web-dir", self.nginx, "--no-start", *arguments, **more)

    def state(self):
        """All that setup can change."""
        files = {str(path): (path.stat().st_mode, path.read_bytes()) for path in self.dir.rglob("*") if path.is_file()}
        tables = self.machine.sql("SELECT table_name FROM information_schema.TABLES WHERE table_schema ="
                                  f" '{self.name}' AND table_name <> 'batches' ORDER BY 1")
        rows = {name: self.machine.sql(f"CHECKSUM TABLE `{self.name}`.`{name}`") for (name,) in tables}
        return files, rows, self.machine.sql(f"SELECT * FROM mysql.global_priv WHERE User = '{self.name}'")

    def close(self):
        self.machine.sql(f"DROP DATABASE IF EXISTS `{self.name}`; DROP USER IF EXISTS '{self.name}'@'localhost'")
        shutil.rmtree(self.dir)


@pytest.fixture
def site(machine):
    made = Site(machine)
    yield made
    made.close()


def good(done):
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextlib.contextmanager
def running(site):
    """octroi, as setup says it is to be started, with a socket for these tests."""
    socket = site.dir / "internal.sock"
    with site.conf.open("a", encoding="utf-8") as file:
        file.write(f"listen_internal = unix:{socket}\n")
    with open(site.dir / "log", "wb") as log:
        octroi = subprocess.Popen([BUILD / "octroi", "-c", site.conf], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        wait_until(lambda: socket.exists() or octroi.poll() is not None, 120, "octroi")
        yield socket
    finally:
        octroi.terminate()
        assert octroi.wait(30) == 0, (site.dir / "log").read_text()


def first_request(shown):
    """(the key, the body) of the curl line at the end."""
    line = shown.rstrip().splitlines()[-1]
    assert line.startswith("  curl -sS http://127.0.0.1:8081/api/guard/authorize "), line
    return re.search(r"'Authorization: Bearer (\S+)'", line)[1], re.search(r"-d '(.*)'$", line)[1].encode()


def test_the_line_that_it_ends_with_authorizes_the_first_request(site):
    shown = good(site.setup("--yes", "--prices", TOP / "demo/prices.json"))
    assert "0 problems" in shown
    key, body = first_request(shown)
    with running(site) as socket:
        answer = fastcgi.call(socket, "POST", "/api/guard/authorize", body, {"Authorization": f"Bearer {key}"})
        assert answer.status == 200 and json.loads(answer.body)["hold"], answer
        other = fastcgi.call(socket, "POST", "/api/guard/authorize", body, {"Authorization": "Bearer oct_guard_x"})
        assert other.status == 401, other
    good(site.ctl("audit"))


def test_a_dry_run_changes_nothing_and_says_all(site):
    before = site.state()
    shown = good(site.setup("--dry-run", "--bonus", "2", "--prices", TOP / "demo/prices.json"))
    assert site.state() == before
    for word in (f"database {site.name}", "bonus_amount = 2", "init --admin-user root --grants", "price import",
                 "token_secret: a random secret", "API key of scope guard", "conf.d/octroi.conf", "octroictl doctor"):
        assert any(word in line and line.startswith("would") for line in shown.splitlines()), word


def test_a_second_run_changes_nothing(site):
    good(site.setup("--yes", "--prices", TOP / "demo/prices.json"))
    before = site.state()
    shown = good(site.setup("--yes"))
    assert site.state() == before
    assert not [line for line in shown.splitlines() if line.startswith("made")], shown
    assert "Bearer YOUR-KEY" in shown


def test_it_goes_on_wherever_it_was_cut_off(site):
    """Killed after more and more lines, and run again: no half file, one account with one credit, and a request that works."""
    lines = 1
    while True:
        command = [BUILD / "octroictl", "-c", site.conf, "setup", "--db-socket", site.socket, "--db-name", site.name, "--db-user",
                   site.name, "--web", "nginx", "--web-dir", site.nginx, "--no-start", "--yes", "--prices", TOP / "demo/prices.json"]
        with subprocess.Popen(command, env=site.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True) as setup:
            said = [setup.stdout.readline() for _ in range(lines)]
            setup.kill()
        if said[-1] == "":
            break
        lines += 2
    assert lines > 20
    shown = good(site.setup("--yes"))
    assert "0 problems" in shown and not [line for line in shown.splitlines() if line.startswith("made")], shown
    assert not list(site.dir.rglob("*.new"))
    assert site.machine.sql(f"SELECT balance_micros FROM {site.name}.accounts WHERE external_id = 'setup-trial'") == [("1000000",)]
    assert "octroictl key create --scope guard" in shown
    key = re.search(r"oct_guard_[\w-]+", good(site.ctl("key", "create", "--scope", "guard")))[0]
    _, body = first_request(shown)
    with running(site) as socket:
        answer = fastcgi.call(socket, "POST", "/api/guard/authorize", body, {"Authorization": f"Bearer {key}"})
        assert answer.status == 200, answer


def test_two_at_once(site):
    """One goes on, and the other says so: two passwords, or two keys, would be one too many."""
    command = [BUILD / "octroictl", "-c", site.conf, "setup", "--db-socket", site.socket, "--db-name", site.name, "--db-user",
               site.name, "--web", "none", "--no-start", "--yes", "--prices", TOP / "demo/prices.json"]
    runs = [subprocess.Popen(command, env=site.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True) for _ in range(4)]
    ended = [(setup.communicate(timeout=120), setup.returncode) for setup in runs]
    assert 0 in [status for _, status in ended]
    for (out, err), status in ended:
        assert status == 0 and "0 problems" in out or status == 2 and "another octroictl setup runs" in err, out + err
    assert site.machine.sql(f"SELECT COUNT(*) FROM {site.name}.api_keys") == [("1",)]


def test_a_configuration_without_a_directory(site):
    """As `make install` leaves it."""
    site.conf.parent.rmdir()
    shown = good(site.setup("--yes", "--prices", TOP / "demo/prices.json"))
    assert f"made      {site.conf.parent}/\n" in shown and site.conf.parent.stat().st_mode & 0o777 == 0o755


def test_a_trial_account_without_credit_gets_it(site):
    """As a run leaves it that ended between the two."""
    assert site.setup("--yes", "--prices", site.dir / "missing").returncode == 2
    good(site.ctl("account", "create", "setup-trial"))
    good(site.setup("--yes", "--prices", TOP / "demo/prices.json"))
    assert site.machine.sql(f"SELECT balance_micros FROM {site.name}.accounts") == [("1000000",)]


def test_secrets_are_for_octroi_alone(site):
    shown = good(site.setup("--yes", "--prices", TOP / "demo/prices.json"))
    secrets = sorted((site.dir / "etc/secrets").iterdir())
    assert [path.name for path in secrets] == ["db_password", "token_secret"]
    for path in [*secrets, site.conf, site.dir / "etc/secrets"]:
        assert path.stat().st_mode & 0o027 == 0, path
    for path in secrets:
        assert len(path.read_text()) == 65 and path.read_text().strip() not in shown
    assert site.machine.sql(f"SELECT COUNT(*) FROM mysql.global_priv WHERE User = '{site.name}' AND Priv LIKE"
                            " '%\"authentication_string\":\"*%'") == [("1",)]


def test_what_a_person_wrote_stays(site):
    site.conf.write_text("# mine\ncurrency = USD\n\n#public_url =\n  # more\nthreads = 3\n#bonus_amount = 10")
    site.conf.chmod(0o440)
    mine = site.nginx / "octroi/public.conf"
    mine.parent.mkdir()
    mine.write_text("# mine, too\n")
    shown = good(site.setup("--yes", "--public-url", "https://example.org", "--prices", TOP / "demo/prices.json"))
    lines = site.conf.read_text().splitlines()
    assert lines[:7] == ["# mine", "currency = USD", "", "public_url = https://example.org", "  # more", "threads = 3",
                         "bonus_amount = 0"]
    assert site.conf.stat().st_mode & 0o777 == 0o440
    assert mine.read_text() == "# mine, too\n"
    assert f"kept      {mine}, which differs from the one of this version" in shown


def test_the_web_server_takes_what_it_wrote(site):
    good(site.setup("--yes", "--internal-address", "127.0.0.1:18181", "--server-name", "credits.test", "--prices",
                    TOP / "demo/prices.json"))
    conf, page = site.nginx / "octroi/octroi.conf", site.nginx / "octroi/site.conf"
    assert "listen 127.0.0.1:18181;" in conf.read_text() and "8081" not in conf.read_text()
    assert "server_name credits.test;" in page.read_text() and "include octroi/site.conf;" in (
        site.nginx / "conf.d/zz-octroi.conf").read_text()
    page.write_text(page.read_text().replace("listen 80;", f"listen unix:{site.dir}/80;"))
    places = "".join(f"{kind}_temp_path {site.dir}/temp; " for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (site.nginx / "nginx.conf").write_text(f"pid {site.dir}/pid; error_log {site.dir}/error; events {{ }}"
                                           f" http {{ access_log off; {places} include conf.d/*.conf; }}")
    done = subprocess.run([NGINX, "-t", "-p", site.nginx, "-c", site.nginx / "nginx.conf"], stderr=subprocess.PIPE,
                          text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("named", [False, True])
def test_requests_of_other_sites_stay_theirs(site, named):
    """A server on port 80 that is read before the sites would take all requests that name none of them."""
    (site.nginx / "sites-enabled").mkdir()
    shown = good(site.setup("--yes", *(["--server-name", "credits.test"] if named else []), "--prices", TOP / "demo/prices.json"))
    includes = {str(path.relative_to(site.nginx)): path.read_text().splitlines()[-1]
                for folder in ("conf.d", "sites-enabled") for path in (site.nginx / folder).iterdir()}
    assert includes == {"conf.d/octroi.conf": "include octroi/octroi.conf;"} | (
        {"sites-enabled/zz-octroi.conf": "include octroi/site.conf;"} if named else {})
    assert re.findall(r"^\s*listen .*", (site.nginx / "octroi/octroi.conf").read_text(), re.M) == ["\tlisten 127.0.0.1:8081;"]
    assert ("by hand   browsers reach octroi" in shown) != named


def set_up_apache(site, *more):
    for folder in ("conf-available", "sites-available"):
        (site.dir / "apache" / folder).mkdir(parents=True, exist_ok=True)
    return site.ctl("setup", "--db-socket", site.socket, "--db-name", site.name, "--db-user", site.name, "--web", "apache",
                    "--web-dir", site.dir / "apache", "--no-start", "--yes", "--prices", TOP / "demo/prices.json", *more)


def test_apache_gets_its_files(site):
    good(set_up_apache(site, "--internal-address", "127.0.0.1:18182"))
    apache = site.dir / "apache"
    assert "Define OCTROI_INTERNAL_ADDRESS 127.0.0.1:18182" in (apache / "octroi/octroi.conf").read_text()
    assert (apache / "conf-available/octroi.conf").read_text().endswith("\nInclude octroi/octroi.conf\n")
    assert (apache / "octroi/require-credit.conf").exists() and not (apache / "octroi/octroi.fcgi").exists()
    assert not list((apache / "sites-available").iterdir()) and not (site.nginx / "octroi").exists()


MODULES = "/usr/lib/apache2/modules"


def test_a_page_that_apache_serves_of_its_own_name_only(site):
    """The billing page is there under octroi's name; what the other site has at octroi's paths stays its own."""
    good(set_up_apache(site, "--internal-address", f"127.0.0.1:{free_port()}", "--server-name", "credits.test"))
    web, port, own = site.dir / "apache", free_port(), site.dir / "own"
    (own / "api/webhooks").mkdir(parents=True)
    shutil.copytree(TOP / "web", site.dir / "web")
    for path in ("healthz", "api/webhooks/stripe", "billing"):
        (own / path).write_text("the site's own\n")
    page = web / "octroi/site.conf"
    page.write_text(page.read_text().replace("*:80", f"127.0.0.1:{port}"))
    user = "" if os.geteuid() else "User daemon\nGroup daemon\n"
    modules = "".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so\n"
                      for name in ("mpm_event", "authz_core", "alias", "headers", "mime", "proxy", "proxy_fcgi"))
    (web / "httpd.conf").write_text(
        f"{modules}{user}ServerRoot {web}\nServerName other.test\nListen 127.0.0.1:{port}\nPidFile {web}/pid\n"
        f"ErrorLog {web}/error.log\nMutex file:{web} default\nTypesConfig /dev/null\nDefine OCTROI_WEB {site.dir}/web\n"
        f"Include conf-available/octroi.conf\n<VirtualHost 127.0.0.1:{port}>\nDocumentRoot {own}\n<Directory {own}>\n"
        f"Require all granted\n</Directory>\n</VirtualHost>\nInclude sites-available/*.conf\n")
    site.dir.chmod(0o755)
    with open(site.dir / "apache.log", "wb") as log:
        apache = subprocess.Popen(["/usr/sbin/apache2", "-DFOREGROUND", "-f", web / "httpd.conf"], stdin=subprocess.DEVNULL,
                                  stdout=log, stderr=log)
    try:
        def ask(path, name):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            try:
                connection.request("GET", path, headers={"Host": name})
                answer = connection.getresponse()
                return answer.status, answer.read()
            except OSError:
                return 0, b""
            finally:
                connection.close()
        wait_until(lambda: ask("/billing", "other.test")[0] or apache.poll() is not None, 30, "Apache")
        for name in ("other.test", "127.0.0.1"):
            for path in ("/healthz", "/api/webhooks/stripe", "/billing"):
                assert ask(path, name) == (200, b"the site's own\n"), (path, name)
            assert ask("/api/credits", name)[0] == 404
        assert b"<octroi-" in ask("/billing", "credits.test")[1], (web / "error.log").read_text()
        assert ask("/octroi/ui/octroi.js", "credits.test")[0] == 200
        for path in ("/healthz", "/api/webhooks/stripe", "/api/credits"):  # octroi itself does not run
            assert ask(path, "credits.test")[0] == 503
        assert ask("/api/guard/authorize", "credits.test")[0] == 404
    finally:
        apache.terminate()
        apache.wait(30)


@pytest.mark.parametrize("arguments, said", [
    (("--bonus", "much"), "bonus_amount"),
    (("--bonus", "1\nthreads = 9"), "cannot stand in octroi.conf"),
    (("--currency", "euro"), "currency"),
    (("--public-url", "example.org;"), "cannot stand in octroi.conf"),
    (("--db-host", "127.0.0.1"), "--db-host or --db-socket, not both"),
    (("--web-dir", "/nowhere"), "--web-dir names the directory"),
    (("--web", "lighttpd"), "nginx, apache or none"),
    (("--server-name", "a; } server { listen 80"), "is a host name"),
    (("--server-name", ""), "is a host name"),
    (("--internal-address", "8081"), "is ADDRESS:PORT"),
    (("--internal-address", "127.0.0.1:8081; include /etc/passwd"), "is ADDRESS:PORT"),
    (("--admin-user", "nobody-of-that-name"), "is it installed and running"),
    (("--json",), "talks to a person"),
    (("surplus",), "one argument too many"),
])
def test_a_wrong_answer_is_named_and_gives_nobody_a_key(site, arguments, said):
    done = site.setup("--yes", *arguments)
    assert done.returncode == 2 and said in done.stderr, done.stdout + done.stderr
    assert "curl" not in done.stdout
    tables = site.machine.sql(OUR_TABLES.format(site.name))
    if "--web" not in arguments and "--web-dir" not in arguments:
        assert tables == [("0",)]


def test_a_key_is_shown_also_by_a_run_that_stops_later(site):
    """The key is stored as a digest only: nobody could show it again."""
    done = site.setup("--yes", "--prices", TOP / "demo/prices.json", "--web-dir", "/nowhere")
    assert done.returncode == 2 and "setup stopped" in done.stderr
    key = re.search(r"oct_guard_[\w-]+", done.stdout)[0]
    good(site.setup("--yes"))
    assert site.machine.sql(f"SELECT COUNT(*) FROM {site.name}.api_keys") == [("1",)]
    with running(site) as socket:
        body = b'{"account":"setup-trial","model":"gpt-4o-mini"}'
        answer = fastcgi.call(socket, "POST", "/api/guard/authorize", body, {"Authorization": f"Bearer {key}"})
        assert answer.status == 200, answer


@pytest.mark.parametrize("name", ["a`; DROP DATABASE octroi; --", "a'b", "é", "", "x" * 81])
def test_a_strange_name_reaches_no_statement(site, name):
    for option in ("--db-name", "--db-user", "--grant-host"):
        done = site.setup("--yes", option, name)
        assert done.returncode == 2, (option, done.stdout)
    assert site.machine.sql("SELECT 1") == [("1",)]


def test_nobody_to_ask_is_said(site):
    before = site.state()
    done = site.setup()
    assert done.returncode == 2 and "--yes takes the usual answers" in done.stderr
    assert site.state() == before


def test_it_asks_on_a_terminal(site):
    leader, follower = os.openpty()
    answers = b"CHF\nhttps://ask.example\n\n\n" + str(TOP / "demo/prices.json").encode() + b"\n"
    writer = threading.Thread(target=lambda: os.write(leader, answers))
    writer.start()
    try:
        shown = good(site.setup(stdin=follower))
    finally:
        writer.join()
        os.close(follower)
        os.close(leader)
    assert "Currency of accounts that hold money [EUR]: " in shown
    said = site.conf.read_text()
    assert "currency = CHF\n" in said and "public_url = https://ask.example\n" in said and "bonus_amount = 0\n" in said


def test_a_link_in_the_place_of_the_configuration_is_left_alone(site):
    other = site.dir / "other"
    other.write_text("threads = 3\n")
    site.conf.symlink_to(other)
    done = site.setup("--yes")
    assert done.returncode == 2 and "is no file" in done.stderr
    assert other.read_text() == "threads = 3\n"


def test_an_unknown_password_is_said(site):
    site.machine.sql(f"CREATE USER '{site.name}'@'localhost' IDENTIFIED BY 'somebody knows'")
    done = site.setup("--yes")
    assert done.returncode == 2 and "it was there before, so set db_password_file" in done.stderr, done.stderr


def test_a_user_who_was_there_and_whom_anybody_can_be(site):
    site.machine.sql(f"CREATE USER '{site.name}'@'localhost' IDENTIFIED BY ''")
    done = site.setup("--yes", "--prices", TOP / "demo/prices.json")
    assert done.returncode == 2 and re.search(r"^problem +database login: ", done.stdout, re.M), done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can take another user's name")
def test_root_logs_in_by_the_name_of_the_systems_user(machine):
    """Where the system has a user of the database user's name, there is no password."""
    user = next(entry.pw_name for entry in pwd.getpwall()
                if entry.pw_uid and entry.pw_uid < 60000 and re.fullmatch(r"[a-z]+", entry.pw_name)
                and not machine.sql(f"SELECT 1 FROM mysql.global_priv WHERE User = '{entry.pw_name}'"))
    made = Site(machine)
    run = pathlib.Path(made.socket).parent
    try:
        for folder in (run, run.parent, run.parent.parent):  # as Debian's /run/mysqld: the way to the socket is open
            folder.chmod(folder.stat().st_mode | 0o011)
        shown = good(made.setup("--yes", "--db-user", user, "--prices", TOP / "demo/prices.json"))
        assert f"database user '{user}'@'localhost', who logs in as the system's user of that name" in shown
        assert not (made.dir / "etc/secrets/db_password").exists()
        assert re.search(r"^ok +database login: without a password, by the system's user$", shown, re.M), shown
        assert made.ctl("status").returncode == 0
    finally:
        machine.sql(f"DROP USER IF EXISTS '{user}'@'localhost'")
        made.close()

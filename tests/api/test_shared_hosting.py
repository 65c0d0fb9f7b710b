"""Shared hosting, as docs/shared-hosting.md says: the tarball in a home without a shell, Apache with mod_fcgid, 20 processes and
1 GiB of addresses.  The lines for cron are read out of the document."""

import json
import os
import pathlib
import pwd
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request

import pytest

import fastcgi
from octroi import TOP, Octroi, free_port, wait_until

BUILD = pathlib.Path(os.environ["OCTROI_BUILD"])
DOCUMENT = (TOP / "docs/shared-hosting.md").read_text(encoding="utf-8")
[CRON] = re.findall(r"^   (cd octroi .*)$", DOCUMENT, re.M)
MODULES = "/usr/lib/apache2/modules"
LIMITS = ["prlimit", "--nproc=20", f"--as={1 << 30}"]


@pytest.fixture(scope="module")
def machine():
    with Octroi("apache-fcgid") as made:  # its MariaDB, and the packages that it needs
        yield made


@pytest.fixture(scope="module")
def tarball(tmp_path_factory):
    made = tmp_path_factory.mktemp("shared") / "octroi-shared.tar.gz"
    subprocess.run([TOP / "apache/shared/make-tarball", TOP, BUILD, made], check=True, stdin=subprocess.DEVNULL)
    return made


class Home:
    """A customer's home on a host, set up by the document's steps."""

    def __init__(self, machine, tarball):
        self.machine, self.name = machine, f"shared_{os.getpid()}"
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="octroi-home-"))
        self.site = self.dir / "public_html"
        self.port = free_port()
        self.owner = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        subprocess.run(["tar", "xzf", tarball, "-C", self.dir], check=True)
        unpacked = self.dir / "octroi-shared"
        (unpacked / "octroi").rename(self.dir / "octroi")
        (unpacked / "site").rename(self.site)
        self.conf = self.dir / "octroi/octroi.conf"
        machine.sql(f"CREATE DATABASE {self.name}; CREATE USER {self.name}@localhost IDENTIFIED BY 'of the panel';"
                    f"GRANT ALL ON {self.name}.* TO {self.name}@localhost")
        text = self.conf.read_text().replace("db_host = localhost", f"db_socket = {machine.env['OCTROI_DB_SOCKET']}")
        for key, value in (("name", self.name), ("user", self.name), ("password", "of the panel")):
            text = text.replace(f"db_{key} =\n", f"db_{key} = {value}\n")
        self.conf.write_text(text)
        shutil.copy(TOP / "demo/prices.json", self.dir / "octroi/prices.json")
        run = pathlib.Path(machine.env["OCTROI_DB_SOCKET"]).parent
        for folder in (run, run.parent, run.parent.parent):  # a host's socket is for everybody
            folder.chmod(folder.stat().st_mode | 0o011)
        self.own()
        self.apache = None

    def own(self):
        for path in [self.dir, *self.dir.rglob("*")]:
            os.chown(path, self.owner.pw_uid, self.owner.pw_gid, follow_symlinks=False)
        self.dir.chmod(0o711)

    def as_owner(self, *command, limits=True, **more):
        """With nothing of the environment, as a host's cron and mod_fcgid run things."""
        become = ["setpriv", f"--reuid={self.owner.pw_uid}", f"--regid={self.owner.pw_gid}", "--clear-groups"] \
            if os.geteuid() == 0 else []
        words = [*become, *(LIMITS if limits else []), *map(str, command)]
        return {"args": words, "cwd": self.dir, "env": {"PATH": "/usr/bin:/bin"}, **more}

    def cron(self, line):
        return subprocess.run(**self.as_owner("sh", "-c", line), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=120, check=False)

    def start(self):
        """The host's Apache; all customers' processes are the customer's own."""
        web = self.dir / "host"
        web.mkdir()
        wrapper = web / "php"
        wrapper.write_text(f"#!/bin/sh\nPHPRC={web} exec /usr/bin/php-cgi\n")
        wrapper.chmod(0o755)
        conf = web / "apache.conf"
        loaded = "".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so\n"
                         for name in ("mpm_prefork", "authz_core", "mime", "rewrite", "fcgid"))
        conf.write_text(f"{loaded}ServerRoot {web}\nServerName 127.0.0.1\nListen 127.0.0.1:{self.port}\nPidFile {web}/pid\n"
                        f"ErrorLog {web}/error.log\nMutex file:{web} default\nTypesConfig /dev/null\nStartServers 2\n"
                        f"MaxRequestWorkers 6\nDocumentRoot {self.site}\nFcgidIPCDir {web}\nFcgidProcessTableFile {web}/fcgid\n"
                        f"Include {TOP}/apache/octroi-fcgid.conf\nFcgidMaxProcessesPerClass 4\n<Files \".ht*\">\n"
                        f"Require all denied\n</Files>\n<Directory {self.site}>\nAllowOverride AuthConfig FileInfo Options\n"
                        f"Options FollowSymLinks ExecCGI\nAddHandler fcgid-script .php\nFcgidWrapper {wrapper} .php\n</Directory>\n")
        self.own()
        self.apache = subprocess.Popen(**self.as_owner("/usr/sbin/apache2", "-DFOREGROUND", "-f", conf),
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: self.ask("/healthz")[0] == 200 or self.apache.poll() is not None, 30, "Apache and octroi")

    def ask(self, path, body=None, **headers):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data=body, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def log(self):
        return (self.dir / "host/error.log").read_text(errors="replace")[-3000:]

    def close(self):
        if self.apache is not None:
            self.apache.terminate()
            self.apache.wait(30)
        self.machine.sql(f"DROP DATABASE {self.name}; DROP USER {self.name}@localhost")
        shutil.rmtree(self.dir)


@pytest.fixture(scope="module")
def home(machine, tarball):
    made = Home(machine, tarball)
    yield made
    made.close()


@pytest.fixture(scope="module")
def key(home):
    """After the document's step 6, and with the host's Apache."""
    done = home.cron(CRON)
    said = (home.dir / "octroi/first.txt").read_text()
    assert done.returncode == 0, said
    home.start()
    return re.search(r"oct_guard_[\w-]+", said)[0]


def test_the_first_request(home, key):
    made = home.cron("octroi/octroictl account create user:1 && octroi/octroictl account credit user:1 2 --type ADJUSTMENT"
                     " --reason trial --actor me")
    assert made.returncode == 0, made.stdout
    more = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    status, text = home.ask("/api/guard/authorize", b'{"account":"user:1","model":"gpt-4o","requestId":"first"}', **more)
    assert status == 200, (status, text, home.log())
    body = json.dumps({"hold": json.loads(text)["hold"], "inputTokens": 10, "outputTokens": 10}).encode()
    status, text = home.ask("/api/guard/settle", body, **more)
    assert status == 200 and json.loads(text)["costMicros"] > 0
    assert home.ask("/api/guard/authorize", b"{}", **{"Content-Type": "application/json"})[0] == 401
    audited = home.cron("octroi/octroictl audit && octroi/octroictl tick")
    assert audited.returncode == 0, audited.stdout


def test_nothing_of_the_installation_is_served(home, key):
    for path in ("/octroi.conf", "/octroi/octroi.conf", "/../octroi/octroi.conf", "/.htaccess", "/octroi/first.txt"):
        status, text = home.ask(path)
        assert status in (400, 403, 404) and key not in text and "of the panel" not in text, path
    assert "#!/bin/sh" not in home.ask("/octroi.fcgi")[1]


def test_the_check_page_is_content(home, key):
    status, text = home.ask("/octroi-check.php")
    assert status == 200 and text.endswith("\nAll is well. Delete this page.\n"), text + home.log()
    assert "InnoDB" in text and "limit soft maxproc: 20" in text and "of the panel" not in text


@pytest.mark.parametrize("break_it, said", [
    (lambda home: home.conf.chmod(0o644), "mode of octroi.conf"),
    (lambda home: home.conf.write_text(home.conf.read_text().replace("of the panel", "forgotten")), "error 1045"),
    (lambda home: (home.site / "octroi.fcgi").chmod(0o644), "octroi.fcgi"),
    (lambda home: (home.dir / "octroi").rename(home.dir / "elsewhere"), "put it beside the directory of the site"),
])
def test_the_check_page_names_what_is_wrong(home, key, break_it, said):
    kept, mode = home.conf.read_text(), home.conf.stat().st_mode
    break_it(home)
    try:
        status, text = home.ask("/octroi-check.php")
        problems = [line for line in text.replace("\n         ->", " ->").splitlines() if line.startswith("problem")]
        assert status == 200 and any(said in line for line in problems), text
        assert "forgotten" not in text
    finally:
        if (home.dir / "elsewhere").exists():
            (home.dir / "elsewhere").rename(home.dir / "octroi")
        home.conf.write_text(kept)
        home.conf.chmod(mode)
        (home.site / "octroi.fcgi").chmod(0o755)


def test_the_check_page_ends_after_an_hour(home, key):
    page = home.site / "octroi-check.php"
    kept = page.read_text()
    page.write_text(kept.replace("SECONDS = 3600", "SECONDS = -60"))  # the hour has passed: no test can turn this clock back
    try:
        status, text = home.ask("/octroi-check.php")
        assert status == 403 and "octroi.conf" not in text
    finally:
        page.write_text(kept)


@pytest.mark.parametrize("name", ["octroi.fcgi", "./octroi.fcgi", "{site}/octroi.fcgi"])
def test_as_suexec_starts_it(home, key, name):
    """In the directory of the site, by whatever name, without HOME, PATH or anything else."""
    path = home.dir / f"s{abs(hash(name))}"
    program = f"import os; os.execve({name.format(site=home.site)!r}, [{name.format(site=home.site)!r}], {{}})"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        octroi = subprocess.Popen(**{**home.as_owner(sys.executable, "-c", program), "cwd": home.site}, stdin=listening,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        answer = fastcgi.call(path, "GET", "/readyz")
        assert answer.status == 200, answer
    finally:
        octroi.terminate()
        assert octroi.wait(30) == 0, octroi.stderr.read()
        octroi.stderr.close()


def test_a_place_without_octroi_is_said(home, tmp_path):
    shutil.copy(home.site / "octroi.fcgi", tmp_path)
    done = subprocess.run([tmp_path / "octroi.fcgi"], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False,
                          env={}, timeout=30)
    assert done.returncode == 1 and "none of the directories above" in done.stderr


def test_it_needs_nothing_of_the_machine(home, key):
    """But the kernel: every library, and the loader, is the tarball's."""
    loaded = subprocess.run(**home.as_owner(home.dir / "octroi/lib/loader", "--library-path", home.dir / "octroi/lib", "--list",
                                            home.dir / "octroi/bin/octroi"), stdout=subprocess.PIPE, text=True, check=True)
    files = re.findall(r"=> (\S+)", loaded.stdout)
    assert len(files) > 10 and all(file.startswith(f"{home.dir}/octroi/lib/") for file in files), loaded.stdout
    assert len(list((home.dir / "octroi/lib/licences").iterdir())) > 10

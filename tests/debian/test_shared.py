"""Shared hosting: docs/shared-hosting.md's steps on a bare host of each release of DEB_RELEASES, for a customer without a shell.
Apache runs the site's programs by suexec, with at most 20 processes and 1 GiB.  `make check-debian` runs it.

The tarball is this build's own: one for all releases.
"""

import json
import re
import shutil
import subprocess
import time

import pytest

import test_package
from test_package import BUILD, TOP, WORK, Booted, base, inside, run

STEPS = (TOP / "docs/shared-hosting.md").read_text(encoding="utf-8")
[CRON_ONCE] = re.findall(r"^   (cd octroi .*)$", STEPS, re.M)
[CRON_TICK] = re.findall(r"`(octroi/octroictl tick)`", STEPS)
HOME = "/var/www/customer"  # below suexec's own directory
SITE = f"""\
<VirtualHost *:80>
	ServerName shop.example
	DocumentRoot {HOME}/public_html
	SuexecUserGroup customer customer
	<Directory {HOME}/public_html>
		Require all granted
		AllowOverride AuthConfig FileInfo Options
		Options ExecCGI FollowSymLinks
		AddHandler fcgid-script .php
		FcgidWrapper {HOME}/host/php .php
	</Directory>
</VirtualHost>
"""
PHP = "#!/bin/sh\nexec /usr/bin/php-cgi\n"
LIMITS = "[Service]\nLimitNPROC=20\nLimitAS=1G\n"


class Host(Booted):
    def customer(self, line, expected=0):
        """As the host's cron: a shell for one line, in the customer's home, with the host's limits."""
        done = self.call("sh", "-c", f"cd {HOME} && exec prlimit --nproc=20 --as={1 << 30} setpriv --reuid=customer --regid=customer "
                         '--init-groups env -i PATH=/usr/bin:/bin sh -c "$0"', line)
        assert done.returncode == expected, f"{line}\n{done.stdout}"
        return done.stdout

    def ask(self, path, body=None, key=None):
        """(status, body) of the site."""
        words = ["curl", "-sS", "-m", "60", "-w", "\n%{http_code}", "-H", "Host: shop.example"]
        words += ["-H", f"Authorization: Bearer {key}"] if key else []
        words += ["-H", "Content-Type: application/json", "-d", json.dumps(body)] if body is not None else []
        said, _, status = self.call(*words, f"http://127.0.0.1{path}").stdout.rpartition("\n")
        return int(status), said

    def wait_for(self, path, status=200):
        deadline = time.monotonic() + 60
        while self.ask(path)[0] != status:
            assert time.monotonic() < deadline, (path, self.ask(path), self.log_of_apache())
            time.sleep(0.2)

    def log_of_apache(self):
        return self.call("sh", "-c", "tail -n 30 /var/log/apache2/*error.log /var/log/apache2/suexec.log").stdout


def write(root, path, text, mode=0o644):
    target = root / path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
    target.chmod(mode)


@pytest.fixture(scope="module", params=test_package.RELEASES)
def host(request):
    """The provider's work: Apache with mod_fcgid and suexec, PHP, MariaDB, and a customer."""
    guest = WORK / "host"
    shutil.rmtree(guest, ignore_errors=True)
    run("cp", "-a", base(request.param), guest)
    inside(guest, "apt-get", "update")
    inside(guest, "apt-get", "install", "-y", "--no-install-recommends", "apache2", "apache2-suexec-pristine",
           "libapache2-mod-fcgid", "mariadb-server", "php-cgi", "php-mysql", "systemd-sysv", "dbus", "curl", "python3")
    inside(guest, "useradd", "--home-dir", HOME, "--create-home", "--shell", "/usr/sbin/nologin", "customer")
    write(guest, f"{HOME}/host/php", PHP, 0o755)
    write(guest, "/etc/systemd/system/apache2.service.d/limits.conf", LIMITS)
    write(guest, "/etc/apache2/sites-available/shop.conf", SITE)
    shutil.copy(TOP / "apache/octroi-fcgid.conf", guest / "etc/apache2/conf-available")
    with (guest / "etc/apache2/conf-available/octroi-fcgid.conf").open("a", encoding="utf-8") as file:
        file.write("FcgidMaxProcessesPerClass 4\n<IfModule mpm_prefork_module>\nStartServers 2\nMaxRequestWorkers 10\n</IfModule>\n")
    inside(guest, "sh", "-c", "a2dismod -q mpm_event && a2enmod -q mpm_prefork fcgid suexec rewrite headers && a2enconf -q octroi-fcgid && "
           f"a2ensite -q shop && mkdir {HOME}/public_html && chmod 711 {HOME}")
    run("make", "-C", BUILD, "shared")
    shutil.copy(BUILD / "octroi-shared.tar.gz", guest / "var/www/customer")
    shutil.copy(TOP / "demo/prices.json", guest / "srv")
    shutil.copy(TOP / "tests/fake_stripe.py", guest / "srv")
    inside(guest, "chown", "-R", "customer:customer", HOME)
    machine = Host(guest)
    yield machine
    machine.stop()


@pytest.fixture(scope="module")
def key(host):
    """After steps 1 to 6."""
    started = time.monotonic()
    host.do("mariadb -e \"CREATE DATABASE shop; CREATE USER shop@localhost IDENTIFIED BY 'of the panel'; "
            "GRANT ALL ON shop.* TO shop@localhost\"")
    host.customer("tar xzf octroi-shared.tar.gz && mv octroi-shared/octroi octroi && mv octroi-shared/site/* "
                  "octroi-shared/site/.htaccess public_html/")
    host.customer("sed -i 's/^db_name =.*/db_name = shop/; s/^db_user =.*/db_user = shop/; "
                  "s/^db_password =.*/db_password = of the panel/' octroi/octroi.conf")
    host.customer("cp /srv/prices.json octroi/prices.json")
    host.customer(CRON_ONCE)
    print(f"to the key: {time.monotonic() - started:.0f} s")
    return re.search(r"oct_guard_[\w-]+", host.customer("cat octroi/first.txt"))[0]


def test_the_check_page_is_content(host, key):
    status, said = host.ask("/octroi-check.php")
    assert status == 200 and said.endswith("\nAll is well. Delete this page.\n"), said + host.log_of_apache()
    assert "limit soft maxproc: 20" in said and f"limit soft totalmem: {1 << 30}" in said and "of the panel" not in said
    host.customer("rm public_html/octroi-check.php octroi/first.txt")


def test_the_first_request(host, key):
    host.customer("octroi/octroictl account create user:1 && octroi/octroictl account credit user:1 2 --type ADJUSTMENT "
                  "--reason trial --actor me")
    status, said = host.ask("/api/guard/authorize", {"account": "user:1", "model": "gpt-4o", "requestId": "first"}, key)
    assert status == 200, said + host.log_of_apache()
    status, said = host.ask("/api/guard/settle", {"hold": json.loads(said)["hold"], "inputTokens": 10, "outputTokens": 10}, key)
    assert status == 200 and json.loads(said)["costMicros"] > 0
    assert host.ask("/api/guard/authorize", {}, None)[0] == 401
    owners = host.do("ps -eo user:20,args | grep '[o]ctroi/bin/octroi'")
    assert re.search(r"^customer ", owners, re.M) and not re.search(r"^(?!customer )\S", owners, re.M), owners
    host.customer(CRON_TICK)
    host.customer("octroi/octroictl audit")


def test_the_billing_page_is_served(host, key):
    status, said = host.ask("/octroi/ui/billing.html")
    assert status == 200 and "<octroi-" in said
    assert host.ask("/octroi/octroi.conf")[0] in (403, 404) and host.ask("/octroi/ui/.htaccess")[0] == 403


def test_more_at_once_than_there_may_be_processes(host, key):
    """Forty requests: each is answered, or told to come again; the limit of processes makes none wrong."""
    line = (f"for i in $(seq 40); do curl -s -m 60 -o /dev/null -w '%{{http_code}}\\n' -H 'Host: shop.example' "
            f"-H 'X-Octroi-Key: {key}' -H 'Content-Type: application/json' "
            "-d '{\"account\":\"user:1\",\"model\":\"gpt-4o\",\"maxOutputTokens\":1}' http://127.0.0.1/api/guard/authorize & done; wait")
    statuses = host.do(line).split()
    assert len(statuses) == 40 and statuses.count("200") > 4 and set(statuses) <= {"200", "402", "503"}, statuses
    host.customer("octroi/octroictl audit")


def test_the_first_top_up(host, key):
    """With other settings: the words of docs/shared-hosting.md let them be read."""
    host.do("echo '127.0.0.1 shop.example' >> /etc/hosts && systemd-run --unit=stripe --quiet sh -c 'exec /usr/bin/python3 -u "
            "/srv/fake_stripe.py --port 8099 --webhook-url http://shop.example/api/webhooks/stripe > /srv/stripe.conf'")
    host.wait("grep -q stripe_webhook_secret /srv/stripe.conf")
    host.customer("cat /srv/stripe.conf >> octroi/octroi.conf")
    [anew] = re.findall(r"`(cp -p [^`]*octroi\.fcgi)`", STEPS)
    host.customer(f"cd public_html && {anew}")
    app = re.search(r"oct_app_[\w-]+", host.customer("octroi/octroictl key create --scope app"))[0]
    status, said = host.ask("/api/credits/topup?account=user:1", {"amount": 2000}, app)
    assert status == 200, said + host.log_of_apache()
    host.do(f"curl -sS -X POST {json.loads(said)['url']}")
    host.wait(f"curl -s -H 'Host: shop.example' -H 'X-Octroi-Key: {app}' 'http://127.0.0.1/api/credits?account=user:1' "
              "| grep -q '\"balanceMicros\":21'")
    host.do("systemctl restart apache2 mariadb")
    host.wait_for("/readyz")
    host.customer("octroi/octroictl audit")


def test_without_a_shell_and_without_octroi(host, key):
    """Nobody can log in; and when the files are gone, so is octroi."""
    assert host.call("su", "-", "customer", "-c", "true").returncode != 0
    host.customer("rm -r octroi public_html/octroi public_html/octroi.fcgi public_html/.htaccess")
    host.wait_for("/healthz", 404)

"""Sides that are compared, each behind an nginx of its own with octroi's configuration, on the same MariaDB.

A side has a name, the URL of its guard (url), the keys to it, the processes whose time it costs (parts: name to process
id, with their children), and whether its answers name a hold (mode, for guard.lua).
"""

import os
import pathlib
import shutil

import growth
from octroi import ROOTS_USER, build_dir, wait_until
from second import Second

HERE = pathlib.Path(__file__).resolve().parent
NULL_THREADS = 400  # nginx may keep 64 connections for each of its processes, and opens as many as it needs
PHP_CHILDREN = 32
PHP_INI = """\
zend_extension = opcache.so
extension = mysqlnd.so
extension = pdo.so
extension = pdo_mysql.so
opcache.enable = 1
opcache.validate_timestamps = 0
opcache.memory_consumption = 32
variables_order = "GPCS"
display_errors = 0
log_errors = 1
"""
PHP_POOL = """\
[global]
error_log = {home}/fpm.log
daemonize = no
[guard]
{user}
listen = {socket}
listen.backlog = 4096
listen.mode = 0666
pm = static
pm.max_children = {children}
pm.max_requests = 0
clear_env = yes
"""


def php_fpm():
    """Debian's php-fpm with PDO for MariaDB, or None; quickstart may have unpacked it beside the build."""
    places = (pathlib.Path("/usr/sbin"), build_dir() / "programs" / "usr" / "sbin")
    programs = sorted(program for place in places for program in place.glob("php-fpm[0-9]*"))
    modules = list(pathlib.Path("/usr/lib/php").glob("*/pdo_mysql.so"))
    return programs[-1] if programs and modules else None


class Reference:
    """octroi as quickstart starts it."""

    name, mode = "octroi", "octroi"

    def __init__(self, first):
        self.url, self.keys = first.internal_url, first.keys
        self.parts = {"octroi": first.pid, "mariadbd": first.db_pid, "nginx": first.server_pid}


class OneByOne(Second):
    """octroi with batches of one command: a transaction for each request, as everybody else has it."""

    name, mode = "one by one", "octroi"

    def __init__(self, first):
        super().__init__(first, {"batch_max": 1})
        self.url, self.keys = self.internal_url, first.keys
        self.parts = {"octroi": self.pid, "mariadbd": first.db_pid, "nginx": self.server_pid}


class Null(Second):
    """The responder that does nothing."""

    name, mode = "null", "null"

    def __init__(self, first):
        super().__init__(first)
        self.url, self.keys = self.internal_url, first.keys
        self.parts = {"null": self.pid, "nginx": self.server_pid}

    def _start_octroi(self, state):
        program = shutil.copy(build_dir() / "tests" / "bench" / "null_responder", self.home)
        process = self._launch("null", [program, str(self.run / "internal.sock"), str(NULL_THREADS)])
        wait_until(lambda: (self.run / "internal.sock").exists(), 10, "the null responder")
        return process.pid


class Php(Second):
    """guard.php under PHP-FPM, with a database of its own in octroi's MariaDB."""

    name, mode = "php", "octroi"
    database = "guard_php"

    def __init__(self, first, accounts, balance_micros, children=PHP_CHILDREN):
        """Makes accounts bench:1 to bench:N with a balance each."""
        self.first, self.children = first, children
        self._prepare(accounts, balance_micros)
        super().__init__(first)
        self.url, self.keys = self.internal_url, first.keys
        self.parts = {"php": self.pid, "mariadbd": first.db_pid, "nginx": self.server_pid}

    def sql(self, text):
        return self.first.sql(f"USE {self.database};\n{text}")

    def _prepare(self, accounts, balance_micros):
        user = "CREATE USER IF NOT EXISTS guard_php@localhost IDENTIFIED BY 'guard_php'"
        self.first.sql(f"DROP DATABASE IF EXISTS {self.database}; CREATE DATABASE {self.database}; {user};"
                       f"GRANT SELECT, INSERT, UPDATE, DELETE ON {self.database}.* TO guard_php@localhost")
        self.sql((HERE / "guard.sql").read_text())
        self.sql(f"""
            INSERT INTO api_keys VALUES (UNHEX(SHA2('{self.first.keys["guard"]}', 256)), 'guard'),
                (UNHEX(SHA2('{self.first.keys["report"]}', 256)), 'report');
            INSERT INTO accounts (name, balance_micros)
                SELECT CONCAT('bench:', seq), {balance_micros} FROM seq_1_to_{accounts}""")

    def _guard_settings(self):
        """guard.php's settings file, with octroi's own price of gpt-4o."""
        _, pico_input, pico_output, margin, rate = growth.price(self.first)
        return (f"<?php return ['dsn' => 'mysql:unix_socket={self.first.env['OCTROI_DB_SOCKET']};dbname={self.database}"
                f";charset=ascii', 'user' => 'guard_php', 'password' => 'guard_php', 'margin_ppm' => {margin},"
                f" 'rate_ppm' => {rate}, 'prices' => ['gpt-4o' => [{pico_input}, {pico_output}]]];\n")

    def _start_octroi(self, state):
        socket = self.run / "internal.sock"
        shutil.copy(HERE / "guard.php", self.home)
        (self.home / "settings.php").write_text(self._guard_settings())
        (self.home / "php.ini").write_text(PHP_INI)
        (self.home / "pool.conf").write_text(PHP_POOL.format(
            home=self.home, socket=socket, children=self.children,
            user=f"user = {ROOTS_USER}\ngroup = {ROOTS_USER}" if os.geteuid() == 0 else ""))
        process = self._launch("php", [str(php_fpm()), "-F", "-c", str(self.home / "php.ini"), "-y", str(self.home / "pool.conf")])
        wait_until(lambda: socket.exists() or process.poll() is not None, 30, "php-fpm")
        assert process.poll() is None, (self.home / "php.log").read_text()
        return process.pid

    def _configure_web(self, web):
        parameters = web / "octroi" / "fastcgi_params"
        parameters.write_text(parameters.read_text() + f"fastcgi_param SCRIPT_FILENAME {self.home}/guard.php;\n"
                              f"fastcgi_param GUARD_SETTINGS {self.home}/settings.php;\n")
        # A child serves the connection that it has until nginx closes it: kept connections would leave all clients but
        # as many as there are children waiting for ever.
        passed = web / "octroi" / "pass.conf"
        passed.write_text(passed.read_text().replace("fastcgi_keep_conn on;", "fastcgi_keep_conn off;"))

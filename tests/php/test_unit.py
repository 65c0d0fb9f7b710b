"""PHPUnit's tests of the PHP client, in the syntax of PHP 7.4."""

import json
import os
import pathlib
import re
import shutil
import subprocess
from xml.etree import ElementTree

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).parent


# Components that not every release has.
NEEDS = {"LaravelTest.php": ["Illuminate/Routing", "Illuminate/Events", "Illuminate/Log", "Dotenv"],
         "SymfonyTest.php": ["Symfony/Component/HttpKernel", "Symfony/Component/DependencyInjection", "Symfony/Component/Config"]}


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The Composer package, as an application has it: the file that loads it."""
    package = tmp_path_factory.mktemp("composer") / "php"
    shutil.copytree(TOP / "clients" / "php", package)
    for command in (["validate", "--strict"], ["dump-autoload"]):
        done = subprocess.run(["composer", "--no-interaction", *command], cwd=package, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, env={**os.environ, "COMPOSER_HOME": str(package.parent), "COMPOSER_ALLOW_SUPERUSER": "1"})
        assert done.returncode == 0, done.stdout
    return package / "vendor" / "autoload.php"


@pytest.mark.parametrize("name", sorted(path.name for path in HERE.glob("*Test.php")))
def test_phpunit(name, installed, tmp_path):
    for path in NEEDS.get(name, ()):
        if not (pathlib.Path("/usr/share/php") / path / "autoload.php").exists():
            pytest.skip(f"no {path} of Debian's here")
    done = subprocess.run(["phpunit", "--no-configuration", "--do-not-cache-result", "--fail-on-warning", "--fail-on-risky",
                           "--log-junit", str(tmp_path / "junit.xml"), str(HERE / name)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300,
                          env={**os.environ, "OCTROI_AUTOLOAD": str(installed)})
    assert done.returncode == 0, done.stdout
    # The words of the summary differ between PHPUnit 9 and 11.
    assert int(ElementTree.parse(tmp_path / "junit.xml").find("testsuite").get("tests")) >= 5


OPENAPI = json.loads((TOP / "src" / "routes" / "openapi.json").read_text())


@pytest.mark.parametrize("schema, function", [("Hold", "isHold"), ("Charged", "charge"), ("Credits", "credits"), ("Settled", "settleHold")])
def test_members_are_those_of_the_contract(schema, function):
    """Members without which the client takes an answer for a fault are in every answer of octroi."""
    client = (TOP / "clients" / "php" / "octroi.php").read_text()
    body = re.search(rf"function {function}\(.*?\n    }}\n", client, re.S)[0]
    names = {name for found in re.findall(r"\['(\w+'(?:, '\w+')+)\]", body) for name in found.replace("'", "").split(", ")}
    assert len(names) >= 4 and names <= set(OPENAPI["components"]["schemas"][schema]["required"]), names


def test_version_is_that_of_the_contract():
    client = (TOP / "clients" / "php" / "octroi.php").read_text()
    assert re.search(r"const API = '(\w+)';", client)[1] == OPENAPI["info"]["version"]


def test_syntax_of_php_7_4():
    """By a rule over the syntax tree, because Debian 12 has PHP 8.2 only; and `php -l`."""
    for path in sorted((TOP / "clients").rglob("*.php")) + [TOP / "clients" / "php" / "octroi-replay"]:
        for command in (["php", "-l"], ["php", str(HERE / "syntax.php")]):
            done = subprocess.run([*command, str(path)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            assert done.returncode == 0, done.stdout


NEWER = ["enum A { case B; }", "match (1) { default => 2 };", "$a?->b;", "f(a: 1);", "function f(int|string $a) {}",
         "function f(mixed $a) {}", "function f($a,) {}", "class A { function __construct(public $a) {} }",
         "class A { public readonly int $a; }", "class A { function f(): static {} }", "str_contains('a', 'b');",
         "f() ?? throw new E();", "f(...);", "try { f(); } catch (E) {}", "new class { final const A = 1; };",
         "function f(): never {}", "$a::class;", "readonly class A {}", "function f(): null|A {}", "array_is_list([]);",
         "f(['a' => 1, ...$b]);", "#[A]\nfunction f() {}", "function f() { static fn (A&B $c) => 1; }"]


@pytest.mark.parametrize("newer", NEWER)
def test_newer_syntax_is_found(tmp_path, newer):
    path = tmp_path / "newer.php"
    path.write_text(f"<?php\n{newer}\n")
    done = subprocess.run(["php", str(HERE / "syntax.php"), str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1, done.stdout + done.stderr

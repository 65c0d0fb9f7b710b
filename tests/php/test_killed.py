"""octroi is killed between authorize and settle: the scenes of tests/lib/spool_scenes.py in PHP.

KILLS=1000 for the long form (make php-long).
"""

import json
import os
import pathlib

import pytest

from octroi import Octroi
from spool_scenes import *  # noqa: F403  the tests
from spool_scenes import Driver

TOP = pathlib.Path(__file__).resolve().parents[2]
CLIENT = TOP / "clients" / "php" / "octroi.php"
REPLAY = TOP / "clients" / "php" / "octroi-replay"
SPEND = pathlib.Path(__file__).with_name("spend.php")
SPOOL = "require $argv[1]; $spool = new Octroi\\Spool($argv[2]); "
ADD = SPOOL + "echo $spool->add(json_decode($argv[3], true)) ? 'True' : 'False';"
WRITE = SPOOL + """for ($i = 0; $i < 200; $i++) {
    $spool->add(['hold' => "$argv[3]-$i", 'usage' => ['n' => str_repeat('x', 700)]]) || exit(1);
}"""
BEGIN = """require $argv[1]; $octroi = Octroi\\Client::fromEnvironment(['spool' => $argv[2]]);
echo "made\\n"; stream_get_contents(STDIN);"""
TAKE_OVER = SPOOL + "(function () { $this->takeOver(); })->call($spool);"


class Php(Driver):
    kills = int(os.environ.get("KILLS", 50))
    replays_at_once = False

    def spend(self, spool, account, count):
        return ["php", str(SPEND), str(CLIENT), str(spool), account, str(count)]

    def replay(self, spool):
        return ["php", str(REPLAY), str(spool)]

    def add(self, spool, settlement):
        return ["php", "-r", ADD, str(CLIENT), str(spool), json.dumps(settlement)]

    def write(self, spool, name):
        return ["php", "-r", WRITE, str(CLIENT), str(spool), name]

    def take_over(self, spool):
        return ["php", "-r", TAKE_OVER, str(CLIENT), str(spool)]

    def begin(self, spool):
        return ["php", "-r", BEGIN, str(CLIENT), str(spool)]


@pytest.fixture(scope="module")
def o():
    with Octroi("nginx") as o:
        yield o


@pytest.fixture
def client():
    return Php()

"""Apache in front of octroi-meter: the virtual host of docs/meter.md with the shipped apache/meter.conf, as both stand."""

import concurrent.futures
import json
import re
import shutil
import subprocess

import pytest

from octroi import TOP, free_port, give_to_daemon, wait_until
from recorded import RECORDINGS
from stage import Answer, Stage, address_of, body_of, cost
from test_streams import check_goes_on, check_whole, expected_stream

MODULES = ("mpm_event", "authz_core", "proxy", "proxy_fcgi")
HTTPD = """
ServerRoot {dir}/apache
ServerName 127.0.0.1
PidFile {dir}/apache/apache.pid
ErrorLog {dir}/apache/error.log
Mutex file:{dir}/apache default
DocumentRoot {dir}/apache/www
KeepAlive On
{modules}
{host}
"""
NAMES = ["openai-chat", "openai-tools", "openai-responses", "anthropic", "gemini", "mistral"]


def documented_host():
    return re.search(r"^```apache\n(.*?)^```$", (TOP / "docs/meter.md").read_text(), re.M | re.S)[1]


def put_in(text, what, instead):
    assert what in text, what
    return text.replace(what, instead)


@pytest.fixture(scope="module")
def stage():
    program = shutil.which("apache2", path="/usr/sbin:/usr/bin")
    if program is None:
        pytest.skip("apache2 is not here")
    with Stage() as made:
        root, port = made.dir / "apache", free_port()
        (root / "www").mkdir(parents=True)
        shutil.copytree(TOP / "apache", root / "octroi")
        host = put_in(documented_host(), "127.0.0.1:8082", f"127.0.0.1:{port}")
        host = put_in(host, "/run/octroi-meter/octroi-meter.sock", f"{made.dir}/meter.sock")
        modules = "\n".join(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so" for name in MODULES)
        (root / "httpd.conf").write_text(HTTPD.format(dir=made.dir, port=port, host=host, modules=modules))
        give_to_daemon(root)
        made.apache = made.program([program, "-DFOREGROUND", "-f", str(root / "httpd.conf")], "apache")
        try:
            wait_until(lambda: made._listens(port), 10, "Apache")
            made.port = port
            yield made
        finally:
            made.end("apache")


def ask(stage, name, key, scene, stream=True, **more):
    return stage.ask(name, key, scene, stream, place="/meter", **more)


@pytest.mark.parametrize("name", NAMES)
def test_stream_is_settled_as_billed(stage, payer, name):
    answer = ask(stage, name, payer.key, {"id": "apache-" + name})
    assert answer.status == 200 and answer.headers["content-type"].startswith("text/event-stream")
    assert answer.whole() == expected_stream(name, False)
    check_whole(stage, payer, answer, name)


@pytest.mark.parametrize("name", NAMES)
def test_answer_that_is_no_stream(stage, payer, name):
    answer = ask(stage, name, payer.key, {"id": "whole-" + name}, stream=False)
    assert answer.status == 200 and answer.json
    [record] = stage.books("whole-" + name)
    check_whole(stage, payer, answer, name, record["bill"])


@pytest.mark.parametrize("name", NAMES)
def test_event_goes_on_before_the_next_one_comes(stage, payer, name):
    answer = ask(stage, name, payer.key, {"id": "waits-" + name, "wait_at": 2})
    check_goes_on(stage, payer, answer, name)


@pytest.mark.parametrize("key_in", ["Authorization", "x-api-key", "x-goog-api-key"])
def test_key_goes_through(stage, payer, key_in):
    headers = [(key_in, "Bearer " + payer.key if key_in == "Authorization" else payer.key)]
    answer = stage.call("POST", "/meter" + address_of("openai-chat"), None, body_of("openai-chat", {}), headers)
    assert answer.status == 200
    answer.whole()
    check_whole(stage, payer, answer, "openai-chat")


def test_refusals_go_through(stage, payer):
    before, poor = len(stage.books()), stage.payer(funds_micros=0)
    answer = ask(stage, "openai-chat", poor.key, {})
    assert answer.status == 402 and answer.headers["x-octroi-error"] and answer.json["error"]["code"] == "insufficient_quota"
    assert ask(stage, "openai-chat", "sk-proj-wrong", {}).status == 401
    for path in ("/meter/openai/v1/files", "/meter/openai/v1/chat%2Fcompletions", "/meter//openai/v1/chat/completions/..%2f"):
        assert stage.call("POST", path, payer.key, body_of("openai-chat", {})).status in (400, 403, 404), path
    assert stage.call("POST", "/openai/v1/chat/completions", payer.key, body_of("openai-chat", {})).status in (403, 404)
    assert len(stage.books()) == before


def test_body_without_a_length(stage, payer):
    """In chunks, which only HTTP/1.1 has."""
    body = json.dumps(body_of("openai-chat", {"id": "chunked"})).encode()
    connection = stage.connect()
    parts = [body[at:at + 700] for at in range(0, len(body), 700)]
    connection.sendall(f"POST /meter{address_of('openai-chat')} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer {payer.key}\r\n"
                       "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
    for part in [*parts, b""]:
        connection.sendall(b"%x\r\n%s\r\n" % (len(part), part))
    answer = Answer(connection)
    assert answer.status == 200, answer.whole()
    answer.whole()
    check_whole(stage, payer, answer, "openai-chat")


@pytest.mark.parametrize("name", ["openai-chat", "anthropic", "gemini"])
def test_client_that_leaves_is_seen_by_the_next_event(stage, payer, name):
    """Apache ends the meter's request when it cannot write: the provider is cut then, and the part that came is paid."""
    id = "leaves-" + name
    answer = ask(stage, name, payer.key, {"id": id, "wait_at": 2, "pause_ms": 50, "line_mb": 1})
    assert answer.event()
    answer.close()
    stage.wait_waiting()
    stage.go()
    use = stage.wait_settled(payer, 1)[answer.hold]
    wait_until(lambda: stage.books(id)[0]["ended"], 10, "the end at the provider")
    [record] = stage.books(id)
    assert record["closed"], record
    assert 0 < use["cost"] <= use["reserved"] and use["settlement"] in ("partial", "estimated"), use


def test_many_streams_at_once(stage, payer):
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda n: ask(stage, NAMES[n % 4], payer.key, {"id": "many", "wait_at": 3}), range(64)))
        stage.wait_waiting(64)
        stage.go()
        got = list(pool.map(lambda answer: answer.whole(), answers))
    assert all(text == expected_stream(NAMES[n % 4], False) for n, text in enumerate(got))
    stage.wait_settled(payer, 64)
    assert stage.spent(payer) == sum(cost(RECORDINGS[NAMES[n % 4]][2], RECORDINGS[NAMES[n % 4]][3]) for n in range(64))


def test_health_and_metrics(stage):
    assert stage.get("/meter/healthz").json == {"status": "ok"}
    assert "octroi_meter_streams" in stage.get("/meter/metrics").whole().decode()

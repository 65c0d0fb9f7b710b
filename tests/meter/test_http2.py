"""A provider that speaks HTTP/2: nginx over TLS in front of the provider's books, with a certificate of its own."""

import concurrent.futures
import subprocess

import pytest

import recorded
from octroi import build_dir, free_port, give_to_daemon, wait_until
from receiver import make_certificate
from recorded import RECORDINGS, recording
from stage import Stage, body_of, cost
from test_streams import check_goes_on, check_part, check_whole, expected_stream, leave

NGINX = """
daemon off;
worker_processes 1;
worker_rlimit_nofile 8192;
pid {dir}/edge.pid;
error_log {dir}/edge.log;
events {{ worker_connections 4096; }}
http {{
	log_format versions '$server_protocol $connection';
	access_log {dir}/versions.log versions;
	client_body_temp_path {dir}/edge-body;
	fastcgi_temp_path {dir}/edge-fastcgi;
	proxy_temp_path {dir}/edge-proxy;
	uwsgi_temp_path {dir}/edge-uwsgi;
	scgi_temp_path {dir}/edge-scgi;
	server {{
		listen 127.0.0.1:{port} ssl http2;
		ssl_certificate {certificate};
		ssl_certificate_key {key};
		client_max_body_size 20m;
		location / {{
			proxy_pass http://127.0.0.1:{provider};
			proxy_http_version 1.1;
			proxy_buffering off;
		}}
	}}
}}
"""
NAMES = ["openai-chat", "openai-responses", "anthropic", "gemini", "mistral"]


def versions(stage):
    """(HTTP version, connection) of each request that the provider's server has ended."""
    return [tuple(line.split()) for line in (stage.dir / "versions.log").read_text().splitlines()]


@pytest.fixture(scope="module")
def stage():
    with Stage() as made:
        certificate, key = make_certificate(made.dir)
        give_to_daemon(key)
        port = free_port()
        conf = made.dir / "edge.conf"
        conf.write_text(NGINX.format(dir=made.dir, port=port, provider=made.provider_port, certificate=certificate, key=key))
        made.edge = made.program([str(made.o.dir / "bin" / "nginx"), "-p", str(made.dir), "-c", str(conf), "-e", str(made.dir / "edge.log")],
                                 "edge")
        try:
            wait_until(lambda: made._listens(port), 10, "the provider's nginx")
            made.url, made.certificate = f"https://localhost:{port}", certificate
            restart(made, ca_file=str(certificate))
            yield made
        finally:
            made.end("edge")


def restart(stage, **settings):
    stage.end("meter")
    stage.start_meter(**{f"{name}_url": stage.url for name in ("openai", "anthropic", "gemini", "provider1", "provider2")}, **settings)


@pytest.fixture(autouse=True)
def only_http2(stage):
    """Each request of each test goes by HTTP/2."""
    yield
    assert {version for version, _ in versions(stage)} <= {"HTTP/2.0"}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", [{}, {"pieces": 7}, {"comments": True}], ids=str)
def test_whole_stream_is_settled_as_billed(stage, payer, name, form):
    before = len(versions(stage))
    answer = stage.ask(name, payer.key, {"id": f"{name}-{form}", **form})
    assert answer.status == 200
    got = answer.whole()
    if "comments" not in form:
        assert got == expected_stream(name, False)
    check_whole(stage, payer, answer, name)
    wait_until(lambda: len(versions(stage)) > before, 10, "the line of the request")


@pytest.mark.parametrize("name", NAMES)
def test_answer_that_is_no_stream(stage, payer, name):
    answer = stage.ask(name, payer.key, {"id": "whole-" + name}, stream=False)
    assert answer.status == 200 and answer.json
    [record] = stage.books("whole-" + name)
    check_whole(stage, payer, answer, name, record["bill"])


@pytest.mark.parametrize("name", ["openai-chat", "anthropic", "gemini"])
def test_event_goes_on_before_the_next_one_comes(stage, payer, name):
    answer = stage.ask(name, payer.key, {"id": "waits-" + name, "wait_at": 2})
    check_goes_on(stage, payer, answer, name)


@pytest.mark.parametrize("name", NAMES)
def test_client_that_leaves_cuts_its_own_stream_only(stage, payer, name):
    """One of two streams is left, and the other one goes on."""
    stays = stage.ask(name, payer.key, {"id": "stays-" + name, "wait_at": 3}, place="/close")
    got = stays.event()
    id, count, left = leave(stage, payer, name, 2, "/close")
    used = stage.wait_ended(payer, left.hold)
    wait_until(lambda: stage.books(id)[0]["ended"], 10, "the end at the provider")
    [record] = stage.books(id)
    assert record["closed"], record
    received = sum(len(event.raw) for event in recorded.events(recording(name))[:count])
    check_part(stage, name, used, record, recording(name), received)
    stage.go()
    assert got + stays.whole() == expected_stream(name, False)
    check_whole(stage, payer, stays, name)


def test_client_that_leaves_is_drained(stage, payer):
    _, _, answer = leave(stage, payer, "openai-chat", 2, "/drain")
    stage.wait_waiting()
    stage.go()
    check_whole(stage, payer, answer, "openai-chat")


def test_many_streams_at_once(stage, payer):
    with concurrent.futures.ThreadPoolExecutor(200) as pool:
        answers = list(pool.map(lambda n: stage.ask(NAMES[n % 3], payer.key, {"id": "many", "wait_at": 3}), range(200)))
        stage.wait_waiting(200)
        stage.go()
        got = list(pool.map(lambda answer: answer.whole(), answers))
    assert all(text == expected_stream(NAMES[n % 3], False) for n, text in enumerate(got))
    used = stage.wait_settled(payer, 200)
    assert {use["settlement"] for use in used.values()} == {"exact"}
    assert stage.spent(payer) == sum(cost(RECORDINGS[NAMES[n % 3]][2], RECORDINGS[NAMES[n % 3]][3]) for n in range(200))


def test_connection_is_kept_for_the_next_request(stage, payer):
    before = len(versions(stage))
    for n in range(4):
        stage.ask("openai-chat", payer.key, {"id": f"next-{n}"}).whole()
        stage.wait_settled(payer, n + 1)
    wait_until(lambda: len(versions(stage)) == before + 4, 10, "the lines of the requests")
    assert len({connection for _, connection in versions(stage)[before:]}) == 1


def test_slow_client_holds_back_its_own_stream_only(stage, payer):
    """Back-pressure by the windows of HTTP/2: the meter keeps little, and other streams go on."""
    before = stage.memory_peak_kb()
    slow = [stage.send("POST", "/openai/v1/chat/completions", payer.key, body_of("openai-chat", {"id": "slow", "line_mb": 10})) for _ in range(4)]
    wait_until(lambda: len(stage.books("slow")) == 4 and all(record["sent"] > 1 << 20 for record in stage.books("slow")), 60, "the long lines")
    quick = stage.ask("anthropic", payer.key, {"id": "quick"})
    assert quick.whole() == expected_stream("anthropic", False)
    for connection in slow:
        while connection.recv(1 << 20):
            continue
        connection.close()
    used = stage.wait_settled(payer, 5)
    assert {use["settlement"] for use in used.values()} == {"exact"}
    assert stage.memory_peak_kb() - before < 32 << 10, (before, stage.memory_peak_kb())


def test_file_of_certificates_that_is_not_there_is_told_at_once(stage):
    conf = stage.dir / "other.conf"
    conf.write_text(f"octroi_key = x\nca_file = {stage.dir}/no-such.pem\n")
    done = subprocess.run([build_dir() / "octroi-meter", "-t", "-c", conf], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 1 and "ca_file cannot be read: No such file" in done.stdout, done.stdout


def test_provider_whose_certificate_is_not_trusted_gets_nothing(stage, payer):
    before = len(stage.books())
    restart(stage, ca_file="")
    try:
        answer = stage.ask("openai-chat", payer.key)
        assert answer.status == 502 and answer.json["error"]["message"]
        stage.wait_settled(payer)
        assert stage.spent(payer) == 0 and len(stage.books()) == before
    finally:
        restart(stage, ca_file=str(stage.certificate))

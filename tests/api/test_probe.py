"""The platform's own keys at its providers: what a probe finds, what is kept of it, who sees it, and no secret."""

import concurrent.futures
import json
import pathlib
import re
import socket
import ssl
import subprocess
import sys
import threading
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from conftest import SETTINGS  # noqa: E402
from fake_provider import (ANTHROPIC_KEY, COMPLETION, COUNT, MESSAGES, MODELS, OPENAI_KEY, TROUBLES,  # noqa: E402
                           FakeProvider)
from octroi import Octroi, wait_until  # noqa: E402

PATIENCE = 10  # seconds that a probe may take


@pytest.fixture(scope="module")
def provider():
    with FakeProvider() as fake:
        yield fake


@pytest.fixture(scope="module")
def o(provider):
    """Nothing is probed but by hand."""
    with Octroi("nginx", settings={**SETTINGS, **provider.settings(), "log_level": "debug"}) as octroi:
        yield octroi


@pytest.fixture(autouse=True)
def well(provider):
    provider.well()
    provider.requests.clear()


def probe(o, name, *more):
    """(exit status, what it says)"""
    done = o.ctl("--json", "probe", name, *more, check=False)
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr


def shown(o, name, **more):
    answer = o.get("/api/admin/providers", key="report", **more)
    assert answer.status == 200, answer
    [item] = [item for item in answer.json["items"] if item["provider"] == name]
    return item



# ---- what it finds -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name,paths", [("openai", [MODELS, COMPLETION]), ("anthropic", [COUNT, MESSAGES])])
def test_healthy(o, provider, name, paths):
    status, said = probe(o, name)
    assert (status, said["state"], said["httpStatus"], said["nextAction"]) == (0, "healthy", 200, "")
    assert provider.paths() == paths


def test_a_newer_model_of_openai(o, provider):
    status, said = probe(o, "openai", "--model", "gpt-5-nano")
    assert (status, said["state"], said["model"]) == (0, "healthy", "gpt-5-nano")
    assert [body for _, _, _, body in provider.requests[1:]] == [
        {"model": "gpt-5-nano", "messages": [{"role": "user", "content": "test"}], limit: 5}
        for limit in ("max_tokens", "max_completion_tokens")]


FOUND = {
    "openai_quota": ("insufficient_quota", "insufficient_quota", 1),
    "openai_quota_of_the_seed": ("insufficient_quota", "insufficient_quota", 1),
    "openai_credit_exhausted": ("insufficient_quota", "credit_balance_exhausted", 1),
    "openai_project_limit": ("insufficient_quota", "project_spend_limit_exceeded", 1),
    "openai_hard_limit": ("billing_hard_limit_reached", "billing_hard_limit_reached", 1),
    "openai_hard_limit_of_the_seed": ("billing_hard_limit_reached", "billing_hard_limit_reached", 1),
    "openai_rate": ("rate_limited", "rate_limit_exceeded", 0),
    "openai_overloaded": ("overloaded", "server_is_overloaded", 1),
    "openai_forbidden": ("permission", "unsupported_country_region_territory", 1),
    "openai_may_not_list": ("healthy", "", 0),
    "anthropic_low": ("insufficient_quota", "invalid_request_error", 1),
    "anthropic_low_late": ("insufficient_quota", "invalid_request_error", 1),
    "anthropic_billing": ("insufficient_quota", "billing_error", 1),
    "anthropic_own_limit": ("billing_hard_limit_reached", "invalid_request_error", 1),
    "anthropic_monthly_cap": ("billing_hard_limit_reached", "rate_limit_error", 1),
    "anthropic_rate": ("rate_limited", "rate_limit_error", 0),
    "anthropic_overloaded": ("overloaded", "overloaded_error", 1),
    "anthropic_forbidden": ("permission", "permission_error", 1),
}


@pytest.mark.parametrize("trouble", sorted(FOUND))
def test_refusals(o, provider, trouble):
    provider.trouble(trouble)
    status, said = probe(o, trouble.split("_")[0])
    assert (said["state"], said["code"], status) == FOUND[trouble]
    assert (said["nextAction"] == "") == (said["state"] == "healthy")


FOREIGN = {"html": ("unexpected", ""), "html_429": ("unexpected", ""), "bad_gateway": ("overloaded", ""),
           "empty": ("unexpected", ""), "malformed": ("unexpected", ""), "redirect": ("unexpected", ""),
           "huge": ("unexpected", "the answer is too large"), "drop": ("unreachable", None)}


def test_every_trouble_is_tested():
    assert set(TROUBLES) == {*FOUND, *FOREIGN, "hang", "trickle"}


@pytest.mark.parametrize("name", ["openai", "anthropic"])
@pytest.mark.parametrize("trouble", sorted(FOREIGN))
def test_what_is_no_answer_of_a_provider(o, provider, name, trouble):
    provider.trouble(trouble)
    status, said = probe(o, name)
    state, code = FOREIGN[trouble]
    assert (status, said["state"]) == (1, state)
    assert said["code"] == code if code is not None else said["code"]
    assert "/elsewhere" not in provider.paths()


@pytest.mark.parametrize("trouble", ["hang", "trickle"])
def test_one_that_is_slow_is_given_up_in_time(o, provider, trouble):
    provider.trouble(trouble)
    began = time.monotonic()
    status, said = probe(o, "openai")
    assert (status, said["state"], said["httpStatus"]) == (1, "unreachable", 0)
    assert PATIENCE - 1 < time.monotonic() - began < PATIENCE + 5
    assert len(provider.requests) == 1


def with_base(o, url, name="openai", **settings):
    """A probe with another base, from a copy of the configuration."""
    text = pathlib.Path(o.env["OCTROI_CONF"]).read_text()
    for key, value in {f"{name}_api_base": url, **settings}.items():
        text = re.sub(rf"(?m)^{key}\b.*\n", "", text) + f"{key} = {value}\n"
    conf = pathlib.Path(o.dir) / "probe.conf"
    conf.write_text(text)
    conf.chmod(0o600)
    done = o.ctl("-c", conf, "--json", "probe", name, check=False)
    conf.unlink()
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr


def test_nobody_listens(o):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))  # taken, and nobody listens
        status, said = with_base(o, f"http://127.0.0.1:{s.getsockname()[1]}")
    assert (status, said["state"], said["httpStatus"]) == (1, "unreachable", 0) and said["code"]


def test_a_certificate_that_is_nobodys(o, tmp_path):
    """The key is not shown to whom TLS does not vouch for."""
    pem = tmp_path / "pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-days", "2",
                    "-keyout", pem, "-out", tmp_path / "crt"], check=True, stderr=subprocess.DEVNULL)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "crt", pem)
    seen = []

    def serve(listener):
        connection, _ = listener.accept()
        try:
            with context.wrap_socket(connection, server_side=True) as tls:
                seen.append(tls.recv(4096))
        except OSError:
            pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        status, said = with_base(o, f"https://127.0.0.1:{listener.getsockname()[1]}")
        thread.join(10)
    assert (status, said["state"]) == (1, "unreachable") and not any(seen)


@pytest.mark.parametrize("name", ["openai", "anthropic"])
def test_a_wrong_key(o, provider, name):
    status, said = with_base(o, provider.url, name, **{f"{name}_api_key": "sk-wrong-canary-0123456789"})
    assert (status, said["state"], said["httpStatus"]) == (1, "invalid_key", 401)
    assert "sk-wrong" not in json.dumps(said)
    assert len(provider.requests) == 1


@pytest.mark.parametrize("name", ["openai", "anthropic"])
def test_a_model_that_is_not_there(o, name):
    status, said = probe(o, name, "--model", 'gone"},{"')
    assert (status, said["state"], said["httpStatus"]) == (1, "model_unknown", 404)


def test_what_cannot_be_probed(o):
    for arguments in (["gemini"], [], ["openai", "anthropic"], ["openai", "--model", "x" * 101]):
        assert o.ctl("probe", *arguments, check=False).returncode == 2, arguments
    status, said = with_base(o, "https://api.openai.com", openai_api_key="")
    assert status == 2 and "openai_api_key" in said
    for base in ("http://api.openai.com", "ftp://127.0.0.1", "file:///etc/passwd"):
        status, said = with_base(o, base)
        assert status == 2 and "openai_api_base" in said


def test_needs_no_database(o, provider):
    status, said = with_base(o, provider.url, db_socket="/nonexistent/mariadb.sock")
    assert (status, said["state"]) == (0, "healthy")


def test_for_people(o, provider):
    provider.trouble("openai_hard_limit")
    text = o.ctl("probe", "openai", check=False).stdout
    assert "billing_hard_limit_reached" in text and "raise the hard limit" in text


# ---- what is kept ------------------------------------------------------------------------------------


def test_without_store_nothing_is_kept(o):
    before = o.sql("SELECT * FROM probes")
    probe(o, "openai")
    assert o.sql("SELECT * FROM probes") == before


def metrics(o, name):
    text = o.get("/metrics", key="report").text
    return {line.split(" ")[0].removeprefix("octroi_provider_"): line.split(" ")[1] for line in text.splitlines()
            if line.startswith("octroi_provider_") and f'provider="{name}"' in line}


def test_what_is_kept_and_shown(o, provider):
    o.sql("DELETE FROM probes")
    assert shown(o, "openai")["state"] == "unchecked" and shown(o, "openai")["checkedAt"] is None
    assert metrics(o, "openai") == {}
    probe(o, "openai", "--store")
    first = shown(o, "openai")
    assert (first["state"], first["configured"], first["code"], first["httpStatus"]) == ("healthy", True, None, 200)
    assert first["checkedAt"] == first["changedAt"] is not None and first["nextAction"] == ""
    provider.trouble("openai_project_limit")
    status, _ = probe(o, "openai", "--store")
    second = shown(o, "openai", headers={"Accept-Language": "fr"})
    assert status == 1
    assert (second["state"], second["code"], second["httpStatus"]) == ("insufficient_quota", "project_spend_limit_exceeded", 429)
    assert second["message"].startswith("Le compte de la plateforme") and "Billing" in second["nextAction"]
    assert second["changedAt"] > first["changedAt"]
    assert shown(o, "anthropic")["state"] == "unchecked"
    said = metrics(o, "openai")
    assert said.pop('checked_timestamp_seconds{provider="openai"}').startswith("1") and said == {
        'up{provider="openai"}': "0", 'state{provider="openai",state="insufficient_quota"}': "1"}


def test_the_time_of_a_change_moves_with_the_state_only_and_it_is_told_once(o, provider):
    o.sql("DELETE FROM probes")

    def stored(trouble):
        provider.trouble(trouble)
        done = o.ctl("probe", "anthropic", "--store", check=False)
        item = shown(o, "anthropic")
        return item["checkedAt"], item["changedAt"], done.stderr.count("event=provider_state_changed")

    checked, changed, told = stored("anthropic_low")
    assert checked == changed and told == 1
    for trouble in ("anthropic_billing", "anthropic_low"):
        again, same, told = stored(trouble)
        assert again > checked and same == changed and told == 0
    # octroictl tells warnings only; that all is well again is information.
    assert stored(None)[1] > changed
    _, later, told = stored("anthropic_overloaded")
    assert later > changed and told == 1


def test_one_probe_at_a_time(o, provider):
    """Twelve processes at once: one asks, the others say who is at it."""
    o.sql("DELETE FROM probes")
    provider.trouble("trickle")
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        ended = [f.result() for f in [pool.submit(probe, o, "openai", "--store") for _ in range(12)]]
    assert sorted(status for status, _ in ended) == [1] + [2] * 11
    assert len(provider.requests) == 1
    assert o.sql("SELECT state, claimed_until_us FROM probes") == [("unreachable", "0")]


def test_who_dies_in_a_probe_leaves_it_to_others_later(o, provider):
    o.sql("DELETE FROM probes")
    provider.trouble("hang")
    done = subprocess.Popen([o.env["OCTROI_CTL"], "probe", "openai", "--store"], stdout=subprocess.DEVNULL)
    wait_until(lambda: provider.requests, what="a request")
    done.kill()
    done.wait()
    provider.well()
    status, said = probe(o, "openai", "--store")
    assert status == 2 and "another process" in said
    assert shown(o, "openai")["state"] == "unchecked"
    # Its lease, not its life, says when others may: as if that were over.
    o.sql("UPDATE probes SET claimed_until_us = claimed_until_us - 30000000")
    assert probe(o, "openai", "--store")[0] == 0 and shown(o, "openai")["state"] == "healthy"


def test_what_comes_too_late_is_not_written(o, provider):
    o.sql("DELETE FROM probes")
    provider.trouble("trickle")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        late = pool.submit(probe, o, "openai", "--store")
        wait_until(lambda: provider.requests, what="a request")
        o.sql("UPDATE probes SET claimed_until_us = 0")  # its claim has run out
        provider.well()
        assert probe(o, "openai", "--store")[0] == 0
        assert late.result()[0] == 2
    assert shown(o, "openai")["state"] == "healthy"


def test_the_database_is_away(o, provider):
    status, said = with_base(o, provider.url)
    assert status == 0
    text = pathlib.Path(o.env["OCTROI_CONF"]).read_text()
    conf = pathlib.Path(o.dir) / "away.conf"
    conf.write_text(re.sub(r"(?m)^db_socket.*\n", "db_socket = /nonexistent/s\n", text))
    conf.chmod(0o600)
    provider.requests.clear()
    done = o.ctl("-c", conf, "probe", "openai", "--store", check=False)
    assert done.returncode == 2 and provider.requests == []


# ---- by itself ---------------------------------------------------------------------------------------


def test_tick_probes_what_is_due(o, provider):
    o.sql("DELETE FROM probes")

    def tick(minutes):
        done = subprocess.run([o.env["OCTROI_CTL"], "--json", "tick"], stdout=-1, text=True, check=True, timeout=60,
                              env={"PATH": "/usr/bin:/bin", "OCTROI_PROBE_MINUTES": str(minutes)})
        return json.loads(done.stdout)["probes"]

    assert tick(0) == 0 and provider.requests == []
    assert tick(5) == 2 and tick(5) == 0
    o.sql("UPDATE probes SET checked_at_us = checked_at_us - 301000000 WHERE provider = 'anthropic'")
    provider.requests.clear()
    assert tick(5) == 1 and provider.paths() == [COUNT, MESSAGES]


def test_a_running_octroi_probes_by_itself(provider):
    """And tells a change once, however often it looks."""
    with Octroi("nginx", settings={**SETTINGS, **provider.settings(), "probe_minutes": "1", "log_level": "debug"}) as own:
        wait_until(lambda: shown(own, "anthropic")["state"] == "healthy", 30, "the first probes")
        provider.trouble("openai_hard_limit")
        own.sql("UPDATE probes SET checked_at_us = checked_at_us - 61000000")
        wait_until(lambda: shown(own, "openai")["state"] == "billing_hard_limit_reached", 30, "the second probes")
        own.sql("UPDATE probes SET checked_at_us = 1")
        wait_until(lambda: own.sql("SELECT MIN(checked_at_us) > 1 FROM probes") == [("1",)], 30, "the third probes")
        told = wait_until(lambda: [line for line in own.log().splitlines() if "provider_state_changed" in line
                                   and 'provider="openai"' in line][1:], 10, "two changes")
        assert len(told) == 1 and 'to="billing_hard_limit_reached"' in told[0], told
        for secret in (OPENAI_KEY, ANTHROPIC_KEY):
            assert secret[-20:] not in own.log()


# ---- secrets -----------------------------------------------------------------------------------------


def test_no_key_in_any_answer(o, provider):
    said = ""
    for trouble in (None, *sorted(set(TROUBLES) - {"hang", "trickle", "huge"})):
        provider.trouble(trouble)
        for name in ("openai", "anthropic"):
            done = o.ctl("probe", name, "--store", check=False)
            said += done.stdout + done.stderr
    said += o.get("/api/admin/providers", key="report").text + o.get("/metrics", key="report").text + o.log()
    said += json.dumps(o.sql("SELECT * FROM probes")) + o.ctl("doctor", check=False).stdout
    for secret in (OPENAI_KEY, ANTHROPIC_KEY):
        assert secret[-20:] not in said
    assert any(headers.get("Authorization") == f"Bearer {OPENAI_KEY}" for _, _, headers, _ in provider.requests)
    assert any(headers.get("x-api-key") == ANTHROPIC_KEY for _, _, headers, _ in provider.requests)

#!/usr/bin/python3
"""octroi-meter beside LiteLLM's proxy, before the same provider, and the provider alone.

    make bench-meter        or: OCTROI_BUILD=build tests/bench/meter.py [--rounds 5] [--seconds 5] [--connections 16 64] [--alone]

The provider is an nginx that answers a chat of gpt-4o at once, whole or as a stream of 23 events.  octroi-meter runs as it is
installed, with octroi and MariaDB: each chat is authorized, spooled and settled durably.  LiteLLM's proxy runs with a worker for
each processor, and without a database.  Measured in turn, by wrk: chats a second, p50 and p99, and the resident memory of
each side's processes.  The results are in BUILD/bench/meter.json.
"""

import argparse
import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "lib"), str(HERE.parent / "meter")]

import machine  # noqa: E402
from octroi import build_dir, free_port, wait_until  # noqa: E402
from stage import Stage  # noqa: E402

WORDS = 20
# A request of 1,000 bytes or more is for a stream (chat.lua).
PROVIDER = """
daemon off;
worker_processes 1;
pid {dir}/mock.pid;
error_log {dir}/mock.log crit;
events {{ worker_connections 4096; }}
http {{
	access_log off;
	client_body_temp_path {dir}/mock-body;
	proxy_temp_path {dir}/mock-proxy;
	fastcgi_temp_path {dir}/mock-fastcgi;
	uwsgi_temp_path {dir}/mock-uwsgi;
	scgi_temp_path {dir}/mock-scgi;
	keepalive_requests 1000000000;
	map $content_length $kind {{ default whole; "~^[0-9]{{4}}" stream; }}
	server {{
		listen 127.0.0.1:{port} backlog=2048;
		location / {{ rewrite ^ /$kind last; }}
		location = /whole {{ default_type application/json; return 200 '{whole}'; }}
		location = /stream {{
			default_type text/event-stream;
			set $word '{word}';
			set $end '{end}';
			return 200 '{words}$end';
		}}
	}}
}}
"""
SAID = {"id": "chatcmpl-1", "created": 1700000000, "model": "gpt-4o"}
USAGE = {"prompt_tokens": 320, "completion_tokens": WORDS, "total_tokens": 320 + WORDS}
LITELLM_KEY = "sk-anybody"  # it does not start without one, and holds each request against it
LITELLM = """
model_list:
  - model_name: gpt-4o
    litellm_params:
      model: openai/gpt-4o
      api_base: http://127.0.0.1:{port}/v1
      api_key: sk-provider
"""


def whole_answer():
    choice = {"index": 0, "message": {"role": "assistant", "content": "word " * WORDS}, "finish_reason": "stop"}
    return json.dumps({**SAID, "object": "chat.completion", "choices": [choice], "usage": USAGE})


def events(*choices_and_usages):
    """As nginx writes them: its strings know \\n."""
    chunk = {**SAID, "object": "chat.completion.chunk"}
    told = [{**chunk, "choices": choices, "usage": usage} for choices, usage in choices_and_usages]
    return "".join(f"data: {json.dumps(event)}\\n\\n" for event in told)


def stream_answer():
    """{name: part} of a stream's configuration, as nginx takes no longer string."""
    word = events(([{"index": 0, "delta": {"content": "word "}, "finish_reason": None}], None))
    end = events(([{"index": 0, "delta": {}, "finish_reason": "stop"}], None), ([], USAGE)) + "data: [DONE]\\n\\n"
    return {"word": word, "end": end, "words": "$word" * WORDS}


@contextlib.contextmanager
def program(command, log, **more):
    with open(log, "wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, **more)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def answers(url):
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
        return answer.status == 200
    return False


@contextlib.contextmanager
def provider(home, nginx):
    port = free_port()
    conf = home / "mock.conf"
    conf.write_text(PROVIDER.format(dir=home, port=port, whole=whole_answer(), **stream_answer()))
    with program([nginx, "-p", str(home), "-c", str(conf), "-e", str(home / "mock.log")], home / "mock.out"):
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/"), 20, "the provider")
        yield port


def litellm_program():
    """The proxy's program; installed into the build directory where it is not there yet."""
    packages, wanted = build_dir() / "bench" / "litellm", HERE / "litellm.txt"
    if not (packages / "fetched").exists():
        print("Fetching LiteLLM's proxy (pip)", file=sys.stderr)
        subprocess.run(["/usr/bin/python3", "-m", "venv", "--clear", str(packages)], check=True)
        subprocess.run([str(packages / "bin" / "pip"), "install", "-q", "--disable-pip-version-check", "--require-hashes",
                        "--only-binary", ":all:", "-r", str(wanted)], check=True, timeout=900)
        (packages / "fetched").touch()
    return str(packages / "bin" / "litellm")


@contextlib.contextmanager
def litellm(home, provider_port):
    port = free_port()
    conf = home / "litellm.yaml"
    conf.write_text(LITELLM.format(port=provider_port))
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "LITELLM_LOG": "ERROR", "LITELLM_LOCAL_MODEL_COST_MAP": "True",
                   "LITELLM_MASTER_KEY": LITELLM_KEY}
    command = [litellm_program(), "--config", str(conf), "--host", "127.0.0.1", "--port", str(port), "--num_workers",
               str(os.cpu_count()), "--telemetry", "False"]
    with program(command, home / "litellm.out", env=environment, cwd=home) as process:
        wait_until(lambda: answers(f"http://127.0.0.1:{port}/health/liveliness"), 180, "LiteLLM's proxy", every=0.5)
        yield port, process.pid


def family(pid):
    """The process and those that it began."""
    pids = [pid]
    for known in pids:
        for task in pathlib.Path(f"/proc/{known}/task").glob("*/children"):
            pids += map(int, task.read_text().split())
    return pids


def memory_mib(pid):
    pages = sum(int(pathlib.Path(f"/proc/{one}/statm").read_text().split()[1]) for one in family(pid))
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def wrk(url, key, stream, connections, seconds):
    done = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s", "-s", "chat.lua", url, "--", key,
                           "1" if stream else "0"], cwd=HERE, stdout=subprocess.PIPE, text=True, check=True, timeout=seconds + 60)
    requests, micros, p50, p99, refused, broken = map(
        int, next(line for line in done.stdout.splitlines() if line.startswith("RESULT")).split()[1:])
    return {"rate": requests * 1e6 / micros, "p50_ms": p50 / 1000, "p99_ms": p99 / 1000, "failed": refused + broken}


def check_stream(url, key):
    """The side answers with a whole stream."""
    body = json.dumps({"model": "gpt-4o", "stream": True, "max_tokens": 200, "messages": [{"role": "user", "content": "word " * 300}]})
    asked = urllib.request.Request(url, body.encode(), {"Authorization": f"Bearer {key}", "Content-Type": "application/json"})
    with urllib.request.urlopen(asked, timeout=30) as answer:
        got = answer.read()
    assert got.endswith(b"data: [DONE]\n\n"), got[:500]


def medians(runs):
    return {name: round(statistics.median(run[name] for run in runs), 2) for name in runs[0]}


def compare(sides, options):
    """A row by side, kind and connections: medians, and the ratio of octroi-meter's rate to LiteLLM's of the same round."""
    found = []
    for connections in options.connections:
        for stream in (False, True):
            rounds = [{name: wrk(side["url"], side["key"], stream, connections, options.seconds) for name, side in sides.items()}
                      for _ in range(options.rounds)]
            for name, side in sides.items():
                row = medians([one[name] for one in rounds])
                row["memory_mib"] = round(memory_mib(side["pid"]), 1)
                if name == "octroi-meter" and "LiteLLM" in sides:
                    row["to_litellm"] = round(statistics.median(one[name]["rate"] / one["LiteLLM"]["rate"] for one in rounds), 1)
                found.append({"side": name, "stream": stream, "connections": connections, **row})
                print(f"{name:14} {'streams' if stream else 'whole':8} {connections:4} {row}", flush=True)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--connections", type=int, nargs="*", default=[16, 64])
    parser.add_argument("--alone", action="store_true", help="without LiteLLM")
    options = parser.parse_args()
    with contextlib.ExitStack() as left:
        home = pathlib.Path(left.enter_context(tempfile.TemporaryDirectory()))
        stage = left.enter_context(Stage({"log_level": "warning"}))
        nginx = str(stage.o.dir / "bin" / "nginx")
        port = left.enter_context(provider(home, nginx))
        stage.end("meter")
        stage.start_meter(openai_url=f"http://127.0.0.1:{port}")
        path, payer = "/v1/chat/completions", stage.payer()
        sides = {
            "provider": {"url": f"http://127.0.0.1:{port}{path}", "key": "sk-provider", "pid": stage.front.pid},
            "octroi-meter": {"url": f"http://127.0.0.1:{stage.port}/openai{path}", "key": payer.key, "pid": stage.meter_pid()},
        }
        if not options.alone:
            proxy, proxy_pid = left.enter_context(litellm(home, port))
            sides["LiteLLM"] = {"url": f"http://127.0.0.1:{proxy}{path}", "key": LITELLM_KEY, "pid": proxy_pid}
        for side in sides.values():
            check_stream(side["url"], side["key"])
        shape = machine.shape(stage.o)
        rows = compare(sides, options)
        stage.wait_settled(payer, seconds=120)
        used = list(stage.usages(payer).values())
    cut = sum(use["settlement"] != "exact" for use in used)
    ends = 2 * options.rounds * sum(options.connections)
    assert cut <= ends, f"{cut} chats of {len(used)} are not exact: more than wrk cuts off at its end"
    result = {"machine": shape, "options": {"rounds": options.rounds, "seconds": options.seconds}, "rows": rows,
              "booked": len(used), "cut": cut}
    where = build_dir() / "bench" / "meter.json"
    where.parent.mkdir(exist_ok=True)
    where.write_text(json.dumps(result, indent=1))
    print(f"{len(used)} chats are booked, {cut} of them cut off by wrk's end; {where}")


if __name__ == "__main__":
    main()

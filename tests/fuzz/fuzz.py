#!/usr/bin/python3
"""Fuzzes what reads bytes from outside, with libFuzzer, AddressSanitizer and UndefinedBehaviorSanitizer.

    OCTROI_BUILD=build tests/fuzz/fuzz.py [--cpu-seconds N] [--jobs N] [--keep] [--lines] [TARGET…]

Needs clang and libclang-rt (Debian: clang, libclang-rt-dev), with --lines also llvm; `make fuzz` calls it.  A target
is a file fuzz_<name>.c beside this one; its corpus lies in corpus/<name>, words that its inputs are made of in
<name>.dict.  Each is run, in turn and in slices, until it has had N seconds of processor time in all: the sums are
kept in BUILD/fuzz/<name>.total, so ten minutes may be gathered in several runs, on a machine that does other things.

Inputs with new coverage go to BUILD/fuzz/corpus/<name>, what crashes to BUILD/fuzz/crashes; make a small one a file
of the committed corpus with the mend, so that test_fuzz.py replays it for ever.  --keep takes a minimal set of what
reaches new edges into the committed corpora.  Prints per target: executions, seconds, covered edges and features,
with --lines how many lines of the sources in SOURCES it reaches, and whether something was found.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parents[1]
TARGETS = sorted(p.stem.removeprefix("fuzz_") for p in HERE.glob("fuzz_*.c"))
# Sources that each target is for.
SOURCES = {
    "channel": ["meter/channel.c"],
    "config": ["conf.c", "config.c"],
    "cursor": ["routes/api/cursor.c"],
    "decimal": ["base/clock.c", "base/money.c"],
    "dispatcher": ["routes/*.c", "routes/*/*.c", "inbox/inbox.c", "inbox/stripe_*.c"],
    "frames": ["edge/fcgi.c", "edge/frame.c", "edge/request.c"],
    "gauge": ["meter/gauge.c", "meter/skim.c", "meter/sse.c", "meter/tally.c"],
    "headers": ["edge/response.c", "routes/auth/auth.c", "routes/api/language.c", "routes/auth/origin.c"],
    "ingress": ["meter/endpoint.c", "meter/ingress.c", "meter/want.c"],
    "json": ["base/json.c", "prices/usage.c"],
    "names": ["base/id.c", "ledger/code.c", "routes/api/cursor.c", "routes/api/language.c"],
    "outgoing": ["clients/probe.c", "clients/stripe.c", "routes/auth/jwks.c"],
    "parameters": ["edge/request.c"],
    "pricelist": ["prices/price.c", "prices/pricelist.c"],
    "query": ["edge/request.c", "routes/api/parse.c"],
    "signatures": ["base/signature.c"],
    "stripe_event": ["inbox/stripe_event.c", "inbox/stripe_invoice.c"],
    "token": ["routes/auth/token.c"],
}
SANITIZED = "-g1 -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined"
COUNTED = "-g -O1 -fprofile-instr-generate -fcoverage-mapping"
LIMITS = ("-max_len=65536", "-timeout=60", "-rss_limit_mb=2048", "-print_final_stats=1")
ENVIRONMENT = {**os.environ, "ASAN_OPTIONS": "detect_leaks=1", "UBSAN_OPTIONS": "print_stacktrace=1"}
SLICE_SECONDS = 30
KEPT_FILES, KEPT_BYTES = 400, 300 * 1024
TICKS = os.sysconf("SC_CLK_TCK")


# ---- building ------------------------------------------------------------------------------------

def call(*command, cwd, **more):
    done = subprocess.run([str(c) for c in command], cwd=cwd, capture_output=True, text=True, check=False, **more)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed:\n" + "\n".join((done.stdout + done.stderr).splitlines()[-30:]))
    return done.stdout


def variable(where, name):
    return re.search(rf"^{name} = (.*)$", (where / "Makefile").read_text(), re.M).group(1).split()


def build(where, flags=SANITIZED):
    """liboctroi.a instrumented, and a program for each target; returns their folder."""
    where.mkdir(parents=True, exist_ok=True)
    if not (where / "Makefile").exists():
        call(TOP / "configure", "-q", "CC=clang", f"CFLAGS={flags} -fsanitize=fuzzer-no-link", cwd=where)
    call("make", f"-j{os.cpu_count()}", "liboctroi.a", cwd=where)
    libraries = sorted({word for name in variable(where, "LIBS") + [w for v in re.findall(
        r"^(\w+_LIBS) = .*$", (where / "Makefile").read_text(), re.M) for w in variable(where, v)]
        for word in [name] if word.startswith(("-l", "-L", "/"))})

    def one(name):
        program = where / f"fuzz_{name}"
        call("clang", *flags.split(), "-fsanitize=fuzzer", "-std=gnu17", "-D_GNU_SOURCE", f"-I{TOP}/src", f"-I{TOP}/tests", f"-I{where}",
             HERE / f"fuzz_{name}.c", where / "liboctroi.a", *libraries, "-lcmocka", "-lpthread",
             "-o", program, cwd=where)

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(one, TARGETS))
    return where


# ---- running -------------------------------------------------------------------------------------

def corpora(into, name):
    """The folders of what was found and of what is committed."""
    found = into / "corpus" / name
    found.mkdir(parents=True, exist_ok=True)
    return [found, HERE / "corpus" / name]


def replay(where, name):
    """Runs the committed corpus once; the output when something was found, else None."""
    files = sorted(str(p) for p in (HERE / "corpus" / name).iterdir())
    done = subprocess.run([str(where / f"fuzz_{name}"), "-timeout=60", *files], cwd=where, env=ENVIRONMENT,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    text = done.stdout.decode(errors="replace")
    ran = len(re.findall(r"^Executed ", text, re.M))
    return None if done.returncode == 0 and ran == len(files) > 0 else text[-4000:]


def used_seconds(pid):
    """Processor time of a process that has not been waited for, in all its threads."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def wait_used(process, seconds):
    """Tells the process to end once it has used so much processor time, if it has not ended before; what it used."""
    told = False
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid != 0:
            process.returncode = os.waitstatus_to_exitcode(status)
            return usage.ru_utime + usage.ru_stime
        if not told and seconds is not None and used_seconds(process.pid) >= seconds:
            process.send_signal(signal.SIGUSR1)  # libFuzzer ends after the input that it is at
            told = True
        time.sleep(0.1)


def fuzz(where, into, name, seconds=None, runs=None):
    """So many seconds of processor time or executions; executions, seconds used, edges, features, nothing found."""
    crashes, log = into / "crashes", into / f"{name}.log"
    crashes.mkdir(parents=True, exist_ok=True)
    dictionary = HERE / f"{name}.dict"
    with log.open("wb") as out, subprocess.Popen(
            [where / f"fuzz_{name}", *LIMITS, f"-artifact_prefix={crashes}/{name}-", *([f"-runs={runs}"] if runs else []),
             *([f"-dict={dictionary}"] if dictionary.exists() else []), *corpora(into, name)],
            cwd=where, env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT) as process:
        used = wait_used(process, seconds)
    text = log.read_text(errors="replace")
    executions = re.search(r"stat::number_of_executed_units: (\d+)", text)
    covered = re.findall(r"cov: (\d+) ft: (\d+)", text)
    edges, features = map(int, covered[-1]) if covered else (0, 0)
    return int(executions.group(1)) if executions else 0, used, edges, features, process.returncode == 0


def total(where, name):
    path = where / f"{name}.total"
    return json.loads(path.read_text()) if path.exists() else {
        "cpu_seconds": 0.0, "executions": 0, "edges": 0, "features": 0, "found": 0}


def fuzz_slice(where, name, seconds):
    executions, used, edges, features, clean = fuzz(where, where, name, seconds)
    sums = total(where, name)
    sums["cpu_seconds"] = round(sums["cpu_seconds"] + used, 2)
    sums["executions"] += executions
    sums["found"] = sums.get("found", 0) + (0 if clean else 1)
    if edges:
        sums.update(edges=edges, features=features)
    (where / f"{name}.total").write_text(json.dumps(sums) + "\n")
    return clean


def fuzz_all(where, names, goal, jobs):
    """Slices of whichever has had least, until each has its goal or has found something; whether none has."""
    waiting, running, clean = set(names), {}, True
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        while waiting or running:
            while waiting and len(running) < jobs:
                name = min(waiting, key=lambda n: total(where, n)["cpu_seconds"])
                waiting.remove(name)
                left = goal - total(where, name)["cpu_seconds"]
                if left > 0:
                    running[pool.submit(fuzz_slice, where, name, min(SLICE_SECONDS, left))] = name
            done, _ = concurrent.futures.wait(running, return_when=concurrent.futures.FIRST_COMPLETED)
            for slice_ in done:
                name = running.pop(slice_)
                if slice_.result():
                    waiting.add(name)
                else:
                    clean = False
    return clean


# ---- what it reached -----------------------------------------------------------------------------

def keep(where, name):
    """Takes the smallest of what reaches edges that the committed corpus does not into it, within its bounds."""
    committed = HERE / "corpus" / name
    before = {p.name for p in committed.iterdir()}
    size, count = sum(p.stat().st_size for p in committed.iterdir()), len(before)
    with tempfile.TemporaryDirectory() as folder:
        scratch = pathlib.Path(folder)
        for p in committed.iterdir():
            shutil.copy(p, scratch)
        call(where / f"fuzz_{name}", "-set_cover_merge=1", "-timeout=60", scratch, where / "corpus" / name, cwd=where, env=ENVIRONMENT)
        fresh = sorted((p for p in scratch.iterdir() if p.name not in before), key=lambda p: (p.stat().st_size, p.name))
        for p in fresh:
            size, count = size + p.stat().st_size, count + 1
            if size > KEPT_BYTES or count > KEPT_FILES:
                break
            shutil.copy(p, committed)


def lines(where, name):
    """Lines of its sources that the corpora reach, and all that can be: (reached, lines)."""
    counted, profile = where / "counted", where / "counted" / f"{name}.profile"
    program = counted / f"fuzz_{name}"
    call(program, "-runs=0", "-timeout=60", *corpora(where, name), cwd=counted, env={**ENVIRONMENT, "LLVM_PROFILE_FILE": f"{profile}.raw"})
    call("llvm-profdata", "merge", "-sparse", f"{profile}.raw", "-o", profile, cwd=counted)
    sources = [p for pattern in SOURCES[name] for p in sorted((TOP / "src").glob(pattern))]
    data = json.loads(call("llvm-cov", "export", "-summary-only", f"-instr-profile={profile}", program, *sources, cwd=counted))
    summary = data["data"][0]["totals"]["lines"]
    return summary["covered"], summary["count"]


def report(where, names, with_lines):
    if with_lines:
        build(where / "counted", COUNTED)
    print(f"{'target':14} {'CPU s':>8} {'executions':>12} {'edges':>6} {'features':>9} {'lines':>14}  found")
    for name in names:
        sums = total(where, name)
        reached = "{} of {}".format(*lines(where, name)) if with_lines else ""
        print(f"{name:14} {sums['cpu_seconds']:8.0f} {sums['executions']:12} {sums['edges']:6} {sums['features']:9} {reached:>14}  "
              f"{sums.get('found', 0) or 'nothing'}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cpu-seconds", type=float, default=600, help="of each target, with what it had before; 0: only report")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--keep", action="store_true", help="then add to the committed corpora")
    parser.add_argument("--lines", action="store_true", help="count lines too (a second build)")
    parser.add_argument("target", nargs="*", choices=[[], *TARGETS])
    options = parser.parse_args()
    names = options.target or TARGETS
    where = build(pathlib.Path(os.environ["OCTROI_BUILD"]).resolve() / "fuzz")
    clean = fuzz_all(where, names, options.cpu_seconds, options.jobs)
    for name in names if options.keep else ():
        keep(where, name)
    report(where, names, options.lines)
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())

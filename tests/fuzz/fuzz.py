#!/usr/bin/python3
"""Fuzzes what reads bytes from outside, with libFuzzer, AddressSanitizer and UndefinedBehaviorSanitizer.

    OCTROI_BUILD=build tests/fuzz/fuzz.py [--seconds N] [TARGET…]

Needs clang and libclang-rt (Debian: clang, libclang-rt-dev); `make fuzz` calls it.  A target is a file
fuzz_<name>.c beside this one; its corpus lies in corpus/<name>.  Inputs with new coverage go to
BUILD/fuzz/corpus/<name>, what crashes to BUILD/fuzz/crashes; make a small one a file of the committed corpus with
the mend, so that test_fuzz.py replays it for ever.  Prints per target: executions, covered edges, seconds, crashes.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parents[1]
TARGETS = sorted(p.stem.removeprefix("fuzz_") for p in HERE.glob("fuzz_*.c"))
FLAGS = "-g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined"
LIMITS = ("-max_len=65536", "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1")
ENVIRONMENT = {**os.environ, "ASAN_OPTIONS": "detect_leaks=1", "UBSAN_OPTIONS": "print_stacktrace=1"}


def call(*command, cwd):
    done = subprocess.run([str(c) for c in command], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed:\n" + "\n".join((done.stdout + done.stderr).splitlines()[-30:]))
    return done.stdout


def variable(where, name):
    return re.search(rf"^{name} = (.*)$", (where / "Makefile").read_text(), re.M).group(1).split()


def build(where):
    """liboctroi.a instrumented, and a program for each target; returns their folder."""
    where.mkdir(parents=True, exist_ok=True)
    if not (where / "Makefile").exists():
        call(TOP / "configure", "-q", "CC=clang", f"CFLAGS={FLAGS} -fsanitize=fuzzer-no-link", cwd=where)
    call("make", f"-j{os.cpu_count()}", "liboctroi.a", cwd=where)
    libraries = sorted({word for name in variable(where, "LIBS") + [w for v in re.findall(
        r"^(\w+_LIBS) = .*$", (where / "Makefile").read_text(), re.M) for w in variable(where, v)]
        for word in [name] if word.startswith(("-l", "-L", "/"))})

    def one(name):
        program = where / f"fuzz_{name}"
        call("clang", *FLAGS.split(), "-fsanitize=fuzzer", "-std=gnu17", "-D_GNU_SOURCE", f"-I{TOP}/src", f"-I{TOP}/tests", f"-I{where}",
             HERE / f"fuzz_{name}.c", where / "liboctroi.a", *libraries, "-lcmocka", "-lpthread",
             "-o", program, cwd=where)

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(one, TARGETS))
    return where


def replay(where, name):
    """Runs the committed corpus once; the output when something was found, else None."""
    files = sorted(str(p) for p in (HERE / "corpus" / name).iterdir())
    done = subprocess.run([str(where / f"fuzz_{name}"), "-timeout=10", *files], cwd=where, env=ENVIRONMENT,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    text = done.stdout.decode(errors="replace")
    ran = len(re.findall(r"^Executed ", text, re.M))
    return None if done.returncode == 0 and ran == len(files) > 0 else text[-4000:]


def fuzz(where, name, seconds):
    found, crashes = where / "corpus" / name, where / "crashes"
    for folder in (found, crashes):
        folder.mkdir(parents=True, exist_ok=True)
    dictionary = HERE / f"{name}.dict"
    done = subprocess.run([str(where / f"fuzz_{name}"), *LIMITS, f"-max_total_time={seconds}", f"-artifact_prefix={crashes}/{name}-",
                           *([f"-dict={dictionary}"] if dictionary.exists() else []), str(found), str(HERE / "corpus" / name)],
                          cwd=where, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    text = done.stdout.decode(errors="replace")
    (where / f"{name}.log").write_text(text)
    executions = re.search(r"stat::number_of_executed_units: (\d+)", text)
    edges = re.findall(r"cov: (\d+)", text)
    return (name, int(executions.group(1)) if executions else 0, int(edges[-1]) if edges else 0, done.returncode == 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=600, help="of each target")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("target", nargs="*", choices=[[], *TARGETS])
    options = parser.parse_args()
    where = build(pathlib.Path(os.environ["OCTROI_BUILD"]).resolve() / "fuzz")
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        results = list(pool.map(lambda name: fuzz(where, name, options.seconds), options.target or TARGETS))
    print(f"{'target':16} {'executions':>12} {'edges':>8} {'seconds':>8}  found")
    for name, executions, edges, clean in results:
        print(f"{name:16} {executions:12} {edges:8} {options.seconds:8}  {'nothing' if clean else 'see ' + name + '.log'}")
    return 0 if all(clean for *_, clean in results) else 1


if __name__ == "__main__":
    sys.exit(main())

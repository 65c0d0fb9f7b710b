"""The Python client by itself: its types, its contract, its use in threads and forked children, and what nobody settled."""

import ast
import json
import re
import shutil
import subprocess
import zipfile

import pytest

import faults as f
import pythons

PACKAGE = pythons.CLIENT / "octroi"
SOURCES = sorted(PACKAGE.rglob("*.py"))
OPENAPI = json.loads((pythons.TOP / "src" / "routes" / "openapi.json").read_text())
SETTLED = {"hold": f.HOLD["hold"], "cost": 0.001, "costMicros": 10, "balanceMicros": 1, "availableMicros": 1, "settlement": "exact",
           "replayed": False}


def test_types():
    done = subprocess.run([pythons.packages(), "-m", "mypy", "--strict", "--cache-dir=/dev/null", "octroi"], cwd=pythons.CLIENT,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=pythons.environment())
    assert done.returncode == 0 and "no issues" in done.stdout, done.stdout


def test_syntax_of_python_3_9():
    for path in SOURCES:
        ast.parse(path.read_text(), str(path), feature_version=(3, 9))


@pytest.mark.parametrize("version", pythons.VERSIONS)
def test_imports_in_each_python(version):
    done = subprocess.run([pythons.python(version), "-W", "error", "-c", "import octroi, octroi.replay; print(octroi.Octroi.API)"],
                          env=pythons.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.stdout == "1\n", done.stdout


def test_wheel(tmp_path):
    """The package as pip installs it, with its command and its marker of types."""
    shutil.copytree(pythons.CLIENT, tmp_path / "source")
    done = subprocess.run([pythons.packages(), "-m", "pip", "wheel", "-q", "--no-build-isolation", "--no-deps", "--no-index", "-w", str(tmp_path),
                           str(tmp_path / "source")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as files:
        names = {name for name in files.namelist() if name.startswith("octroi/")}
        (command,) = [files.read(name).decode() for name in files.namelist() if name.endswith("entry_points.txt")]
        (about,) = [files.read(name).decode() for name in files.namelist() if name.endswith("/METADATA")]
    assert names == {f"octroi/{path.relative_to(PACKAGE)}" for path in [*SOURCES, PACKAGE / "py.typed"]}
    assert "octroi-replay = octroi.replay:main" in command and "Requires-Python: >=3.9" in about
    assert re.findall(r"^Requires-Dist: (.*)$", about, re.M) == ['httpx>=0.23; extra == "async"']
    version = re.search(r"AC_INIT\(\[octroi\], \[([\d.]+)\]", (pythons.TOP / "configure.ac").read_text())[1]
    assert f"Version: {version}.0\n" in about or f"Version: {version}\n" in about


def test_each_file_is_installed():
    """Makefile.am names the files of Debian's package."""
    makefile = (pythons.TOP / "Makefile.am").read_text()
    named = {name for name in re.findall(r"\bclients/python/(octroi/\S+)", makefile)}
    assert named == {f"octroi/{path.relative_to(PACKAGE)}" for path in [*SOURCES, PACKAGE / "py.typed"]}


def test_standard_library_only():
    """But for the modules that are named after a framework, and httpx, which is asked for."""
    import sys
    for path in SOURCES:
        if path.stem in ("celery", "django", "fastapi", "flask", "litellm") or path.parent.name == "templatetags":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.level == 0 else []
            assert {name.split(".")[0] for name in names} <= sys.stdlib_module_names | {"httpx"}, (path, names)


@pytest.mark.parametrize("schema, function", [("Hold", "_is_hold"), ("Charged", "_charge"), ("Credits", "_credits"), ("Settled", "_settle")])
def test_members_are_those_of_the_contract(schema, function):
    """Members without which the client takes an answer for a fault are in every answer of octroi."""
    contract = OPENAPI["components"]["schemas"][schema]
    (body,) = [node for node in ast.walk(ast.parse((PACKAGE / "_client.py").read_text()))
               if isinstance(node, ast.FunctionDef) and node.name == function]
    lists = [node for node in ast.walk(body) if isinstance(node, ast.Tuple) and len(node.elts) >= 3]
    names = {element.value for one in lists for element in one.elts if isinstance(element, ast.Constant)}
    assert len(names) >= 3 and names <= set(contract["required"]), names


def test_version_is_that_of_the_contract():
    assert re.search(r'^API = "(\w+)"$', (PACKAGE / "_http.py").read_text(), re.M)[1] == OPENAPI["info"]["version"]


def test_functions_fit_on_a_screen():
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                assert node.end_lineno - node.lineno < 70, f"{path}: {node.name}"


# ---- behaviour ---------------------------------------------------------------------------------------------


class Counter:
    """octroi, in so far as it counts: each authorize a hold of its own."""

    def __init__(self):
        self.holds, self.settled, self.connections = 0, [], set()

    def __call__(self, handler):
        self.connections.add(handler.client_address)
        body = handler.server.seen[-1][1]
        if handler.path.endswith("authorize"):
            self.holds += 1
            handler.say(*f.hold(hold=f"hold-{self.holds}"))
        else:
            self.settled.append(body)
            handler.say(200, f.JSON, json.dumps({**SETTLED, "hold": body["hold"]}))


@pytest.fixture
def counter():
    counter = Counter()
    counter.server = f.Server(counter)
    yield counter
    counter.server.stop()


def run(counter, code, interpreter=pythons.PLAIN, status=0):
    prelude = ("import asyncio, gc, os, sys, threading, time, octroi\nfrom octroi import *\nurl = sys.argv[1]\n"
               "o = Octroi(url, 'oct_guard_canary')\nA = {'account': 'user:1', 'model': 'gpt-4o'}\nU = {'prompt_tokens': 1}\n")
    done = subprocess.run([interpreter, "-c", prelude + code, counter.server.url], env=pythons.environment(), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == status, done.stdout + done.stderr
    assert "canary" not in done.stdout + done.stderr
    return done


PARTIAL = {"hold": "hold-1", "outcome": "partial"}
FORGOTTEN = {
    "the end of the block": "with o.hold(**A) as hold: pass",
    "an exception": "try:\n  with o.hold(**A) as hold: raise ValueError\nexcept ValueError: pass",
    "out of scope": "hold = o.authorize(**A); del hold; print('on')",
    "the end of the program": "hold = o.authorize(**A)",
    "sys.exit": "hold = o.authorize(**A); sys.exit(0)",
    "a circle": "hold = o.authorize(**A); hold.self = hold; del hold; gc.collect()",
    "guard without a usage": "o.guard(lambda hold: 'words', **A)",
    "a decorator whose function raises": "@o.guarded(**A)\ndef ask(hold): raise ValueError\ntry: ask()\nexcept ValueError: pass",
    "asyncio, the end of the block": "async def f():\n  async with AsyncOctroi(url, 'k').hold(**A): pass\nasyncio.run(f())",
    "asyncio, out of scope": "async def f():\n  hold = await AsyncOctroi(url, 'k').authorize(**A); del hold; await asyncio.sleep(0.3)\nasyncio.run(f())",
    "asyncio, a cancelled task": (
        "async def ask():\n  async with AsyncOctroi(url, 'k').hold(**A): await asyncio.sleep(9)\n"
        "async def f():\n  task = asyncio.ensure_future(ask()); await asyncio.sleep(0.5); task.cancel()\n  try: await task\n"
        "  except asyncio.CancelledError: pass\nasyncio.run(f())"),
}


@pytest.mark.parametrize("case", FORGOTTEN)
def test_forgotten_hold_is_charged(counter, case):
    done = run(counter, FORGOTTEN[case])
    assert counter.holds == 1 and counter.settled == [PARTIAL], (counter.settled, done.stderr)
    assert "a hold was not settled" in done.stderr


def test_forgotten_hold_is_free_where_the_application_says_so(counter):
    run(counter, "with Octroi(url, 'k', abandoned='failed').hold(**A): pass")
    assert counter.settled == [{"hold": "hold-1", "outcome": "failed"}]


ENDED = {
    "settle": "with o.hold(**A) as hold: hold.settle(U)",
    "guard": "o.guard(lambda hold: {'usage': U}, **A)",
    "guard of an object": "class R: usage = U\no.guard(lambda hold: R(), **A)",
    "decorator": "@o.guarded(account=lambda name: name, model='gpt-4o')\ndef ask(hold, name): return {'usage': U}\nask('user:1')",
    "generator": "@o.guarded(**A)\ndef ask(hold):\n  yield {'usage': U}\nfor chunk in ask(): pass",
    "stream": "for chunk in o.authorize(**A).stream([{}, {'usage': U}]): pass",
    "async guard": "async def f(): await AsyncOctroi(url, 'k').guard(ask, **A)\nasync def ask(hold): return {'usage': U}\nasyncio.run(f())",
    "async decorator": "c = AsyncOctroi(url, 'k')\n@c.guarded(**A)\nasync def ask(hold): return {'usage': U}\nasyncio.run(ask())",
}


@pytest.mark.parametrize("case", ENDED)
def test_usage_is_settled_once(counter, case):
    done = run(counter, ENDED[case])
    assert counter.settled == [{"hold": "hold-1", "usage": {"prompt_tokens": 1}}] and done.stderr == "", done.stderr


BROKEN_OFF = {
    "break": ("for chunk in o.authorize(**A).stream([{}, {'usage': U}]): break", PARTIAL),
    "break with a count": ("for chunk in o.authorize(**A).stream([{}, {}], count=lambda chunk: 5): break", {**PARTIAL, "outputTokens": 5}),
    "break in a generator": ("@o.guarded(**A)\ndef ask(hold):\n  yield {}\n  yield {'usage': U}\nfor chunk in ask(): break", PARTIAL),
    "a provider that raises": (
        "def chunks():\n  yield {}\n  raise OSError\ntry:\n  for chunk in o.authorize(**A).stream(chunks()): pass\nexcept OSError: pass", PARTIAL),
    "anthropic's first guess": (
        "for chunk in o.authorize(**A).stream([{'message': {'usage': {'input_tokens': 9, 'output_tokens': 1}}}]): pass", PARTIAL),
    "asyncio": ("async def chunks():\n  yield {}\n  yield {'usage': U}\nasync def f():\n"
                "  async for chunk in (await AsyncOctroi(url, 'k').authorize(**A)).stream(chunks()): break\nasyncio.run(f())", PARTIAL),
}


@pytest.mark.parametrize("case", BROKEN_OFF)
def test_stream_that_breaks_off(counter, case):
    code, settlement = BROKEN_OFF[case]
    run(counter, code)
    assert counter.settled == [settlement]


def test_refused_by_the_provider_is_free(counter):
    run(counter, "o.guard(lambda hold: {'error': {'message': 'no'}}, **A)")
    assert counter.settled == [{"hold": "hold-1", "outcome": "failed"}]


def test_connection_is_kept(counter):
    run(counter, "for _ in range(20):\n  with o.hold(**A) as hold: hold.settle(U)")
    assert len(counter.settled) == 20 and len(counter.connections) == 1
    code = ("async def f():\n  c = AsyncOctroi(url, 'k')\n  for _ in range(20):\n    async with c.hold(**A) as hold: await hold.settle(U)\n"
            "asyncio.run(f())")
    run(counter, code, pythons.packages())
    assert len(counter.settled) == 40 and len(counter.connections) == 2


def test_threads(counter):
    run(counter, "def f():\n  for _ in range(25):\n    with o.hold(**A) as hold: hold.settle(U)\n"
                 "ts = [threading.Thread(target=f) for _ in range(8)]; [t.start() for t in ts]; [t.join() for t in ts]")
    assert sorted(s["hold"] for s in counter.settled) == sorted(f"hold-{n}" for n in range(1, 201))
    assert len(counter.connections) <= 16


def test_one_end_from_two_threads(counter):
    """However many threads abandon a hold, it ends once."""
    run(counter, "hold = o.authorize(**A)\nb = threading.Barrier(8)\ndef f(): b.wait(); hold._abandon_now()\n"
                 "ts = [threading.Thread(target=f) for _ in range(8)]; [t.start() for t in ts]; [t.join() for t in ts]")
    assert counter.settled == [PARTIAL]


def test_forked_child_leaves_the_parents_hold_and_connection_alone(counter):
    run(counter, "hold = o.authorize(**A)\npid = os.fork()\nif pid == 0:\n  with o.hold(**A) as own: own.settle({'prompt_tokens': 2})\n"
                 "  del hold; sys.exit(0)\nassert os.waitpid(pid, 0)[1] == 0\nhold.settle(U)")
    assert counter.settled == [{"hold": "hold-2", "usage": {"prompt_tokens": 2}}, {"hold": "hold-1", "usage": {"prompt_tokens": 1}}]
    assert len(counter.connections) == 2


def test_interrupted_settlement_is_spooled(tmp_path):
    """A signal, or a task that is cancelled with its loop, while octroi is silent."""
    hanging = f.Server(lambda handler: handler.say(*f.hold()) if handler.path.endswith("authorize") else handler.hang())
    try:
        for name, code in (
            ("signal", "import signal\nhold = o.authorize(**A)\nsignal.alarm(1); signal.signal(signal.SIGALRM, lambda *_: sys.exit(3))\nhold.settle(U)"),
            ("an exception of a signal", "import signal\nclass TimeIsOver(Exception): pass\ndef stop(*_): raise TimeIsOver\n"
             "hold = o.authorize(**A)\nsignal.signal(signal.SIGALRM, stop); signal.alarm(1)\n"
             "try: hold.settle(U)\nexcept TimeIsOver as e:\n  import traceback\n"
             "  said = ''.join(traceback.TracebackException.from_exception(e, capture_locals=True).format())\n"
             "  sys.exit(3 if 'canary' not in said else 1)"),
            ("cancel", "async def f():\n  hold = await AsyncOctroi(url, 'k', spool=sys.argv[2]).authorize(**A)\n"
                       "  await asyncio.wait_for(hold.settle(U), 1)\ntry: asyncio.run(f())\nexcept asyncio.TimeoutError: sys.exit(3)"),
        ):
            spool = tmp_path / name
            prelude = ("import asyncio, os, sys\nfrom octroi import *\nurl = sys.argv[1]\no = Octroi(url, 'oct_guard_canary', spool=sys.argv[2])\n"
                       "A = {'account': 'a', 'model': 'm'}\nU = {'prompt_tokens': 1}\n")
            done = subprocess.run([pythons.PLAIN, "-c", prelude + code, hanging.url, str(spool)], env=pythons.environment(),
                                  stderr=subprocess.PIPE, text=True, timeout=60)
            assert done.returncode == 3, done.stderr
            (line,) = spool.read_text().splitlines()
            assert json.loads(line)["settlement"] == {"hold": "h" * 32, "usage": {"prompt_tokens": 1}}
    finally:
        hanging.stop()


WRONG = {
    "a key with a line break": "Octroi(url, 'oct\\n_canary')", "a user in the address": "Octroi('http://a:canary@b', 'k')",
    "no address": "Octroi('octroi.example', 'k')", "an outcome that is none": "Octroi(url, 'k', abandoned='free')",
    "a file instead of an address": "Octroi('file:///etc/passwd', 'k')",
    "a hold that is copied": "import copy; copy.copy(o.authorize(**A))",
    "a hold that is stored": "import pickle; pickle.dumps(o.authorize(**A))",
    "a client that is stored": "import pickle; pickle.dumps(o)",
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_use_is_refused(counter, case):
    done = run(counter, f"try: {WRONG[case].replace('; ', chr(10) + '  ') if ';' not in WRONG[case] else WRONG[case]}\n"
                        "except (ValueError, TypeError) as e: print(e)\nelse: sys.exit(1)")
    assert done.stdout.startswith("octroi: ")


def test_request_that_is_no_json_is_not_sent(counter):
    done = run(counter, "try: o.authorize(**A, metadata={'a': float('nan')})\nexcept InvalidRequest as e: print(e)")
    assert "no JSON" in done.stdout and counter.server.seen == []


def test_refusal_passes_between_processes(counter):
    """Also one that a wrapped package has raised."""
    code = ("import pickle\nclass Sdk(Exception): pass\naway = Octroi('http://127.0.0.1:1', 'oct_guard_canary')\n"
            "try: away.authorize(**A)\nexcept Refusal as e:\n"
            "  for kind in (Unavailable, type('Unavailable', (Unavailable, Sdk), {'__module__': 'octroi._wrap'})):\n"
            "    e.__class__ = kind; told = pickle.loads(pickle.dumps(e))\n"
            "    print(type(told) is Unavailable, str(told) == str(e), told.sentence('fr'), vars(told) == vars(e), b'canary' in pickle.dumps(e))")
    assert run(counter, code).stdout == 2 * "True True Veuillez réessayer plus tard. True False\n"


def test_settlement_names_its_own_hold(counter):
    """A member of the settlement cannot name another hold."""
    run(counter, "o.authorize(**A).settle(U, **{'hold': 'another'})")
    assert counter.settled == [{"hold": "hold-1", "usage": {"prompt_tokens": 1}}]

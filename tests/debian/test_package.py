"""Debian's package: `make check-deb`.  It is built twice and is the same, passes lintian, and is installed, upgraded,
removed and purged in a chroot.  Further chroots are booted: the commands of docs/install.md lead to the first request and
the first top-up there, behind nginx and Apache.  DEB_RELEASES names the releases, bookworm unless given; `make
check-debian` takes both.

Needs root, dpkg-dev, lintian, debootstrap and systemd-container, and takes minutes.  A base system is kept in
BUILD/deb-check/base; the packages come from the machine's own apt sources.
"""

import hashlib
import os
import pathlib
import re
import resource
import shutil
import signal
import stat
import subprocess
import time

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("OCTROI_BUILD", TOP / "build")).resolve()
WORK = BUILD / "deb-check"
RELEASES = os.environ.get("DEB_RELEASES", "bookworm").split()
OWN_RELEASE = re.search(r"^VERSION_CODENAME=(\w+)$", pathlib.Path("/etc/os-release").read_text(encoding="utf-8"), re.M)[1]
SERVERS = {"nginx": "nginx", "apache": "apache2"}  # the names of their packages
EXPOSURE_MAX = 1.5
UNITS = ("octroi.service", "octroi.socket", "octroi-internal.socket")
METER_UNITS = ("octroi-meter.service", "octroi-meter.socket")
# Files that any installation changes, in the package manager's own books and in logs.
VOLATILE = ("var/lib/dpkg", "var/lib/apt", "var/cache", "var/log", "run", "proc", "sys", "dev", "tmp", "srv")
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8",
               "DEBIAN_FRONTEND": "noninteractive", "HOME": "/root"}


def need(command, package):
    if shutil.which(command, path=ENVIRONMENT["PATH"]) is None:
        pytest.fail(f"make check-deb needs a package: apt-get install {package}", pytrace=False)


def run(*command, seconds=900, expected=0, **more):
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=seconds, check=False, **more)
    assert done.returncode == expected, f"{command}: status {done.returncode}\n{done.stdout[-6000:]}"
    return done.stdout


@pytest.fixture(scope="module", autouse=True)
def tools():
    if os.geteuid() != 0:
        pytest.fail("make check-deb needs root, for a chroot", pytrace=False)
    need("dpkg-buildpackage", "dpkg-dev")
    need("debootstrap", "debootstrap")
    need("systemd-nspawn", "systemd-container")
    WORK.mkdir(parents=True, exist_ok=True)


# ---- the package -----------------------------------------------------------------------------------------

def made(build):
    """The package and the .changes of a build directory, made anew."""
    run("make", "-C", build, "deb", env={**os.environ, "DEB_BUILD_OPTIONS": "nocheck parallel=1"})
    [package] = build.glob("octroi_*.deb")
    [changes] = build.glob("octroi_*.changes")
    return package, changes


@pytest.fixture(scope="module")
def package():
    return made(BUILD)


@pytest.fixture(scope="module", params=RELEASES)
def release(request):
    return request.param


def words():
    """(to install, later): the commands of the package's section of docs/install.md, without their comments."""
    page = (TOP / "docs/install.md").read_text(encoding="utf-8")
    section = page.split("\n## Debian's package\n")[1].split("\n## ")[0]
    blocks = re.findall(r"^```\n(.*?)^```$", section, re.M | re.S)
    first, later = ([re.sub(r"\s+#\s.*", "", line) for line in block.splitlines()] for block in blocks)
    assert len(first) + len(later) <= 10
    return first, later


def unattended(line):
    """As somebody who says yes to each question of apt-get."""
    return f"{line} -y" if line.startswith("apt-get ") else line


@pytest.fixture(scope="module")
def built(release):
    """The release's own packages of octroi and octroi-meter, made by the words of docs/install.md on a bare system."""
    builder = WORK / f"builder-{release}"
    shutil.rmtree(builder, ignore_errors=True)
    run("cp", "-a", base(release), builder)
    run("make", "-C", BUILD, "distdir", f"distdir={builder}/srv/octroi")
    inside(builder, "apt-get", "update")
    for line in words()[0]:
        if line.startswith("apt-get install "):
            break
        started, used = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        inside(builder, "sh", "-c", f"cd /srv/octroi && {unattended(line)}")
        used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - used
        print(f"{release}: {line}: {time.monotonic() - started:.0f} s, of the processor {used:.0f} s")
    kept = []
    for name in ("octroi", "octroi-meter"):
        [made_there] = (builder / "srv/octroi/build").glob(f"{name}_*.deb")
        kept.append(WORK / f"{release}-{made_there.name}")
        shutil.copy(made_there, kept[-1])
    shutil.rmtree(builder)
    return kept


def test_a_copy_without_git_makes_the_same_package(package):
    """From the files of a release, in another directory, at another time."""
    copy = WORK / "somewhere else" / "octroi"
    shutil.rmtree(copy.parent, ignore_errors=True)
    copy.parent.mkdir()
    run("make", "-C", BUILD, "distdir", f"distdir={WORK}/octroi")
    (WORK / "octroi").rename(copy)
    build = WORK / "second"
    shutil.rmtree(build, ignore_errors=True)
    build.mkdir()
    # automake refuses a source directory with a blank, so the copy is reached by another name.
    link = WORK / "sources"
    link.unlink(missing_ok=True)
    link.symlink_to(copy)
    run(link / "configure", "-q", cwd=build)
    again, _ = made(build)
    assert not (link / ".git").exists()
    assert hashlib.sha256(again.read_bytes()).hexdigest() == hashlib.sha256(package[0].read_bytes()).hexdigest()


def test_missing_packages_are_named(package):
    """Without debhelper and libseccomp-dev in dpkg's books, make deb stops before it builds."""
    books = WORK / "books"
    shutil.rmtree(books, ignore_errors=True)
    books.mkdir()
    status = pathlib.Path("/var/lib/dpkg/status").read_text(encoding="utf-8")
    kept = [part for part in status.split("\n\n") if not re.match(r"Package: (debhelper|libseccomp-dev)\n", part)]
    (books / "status").write_text("\n\n".join(kept), encoding="utf-8")
    shim = books / "dpkg-checkbuilddeps"
    real = shutil.which("dpkg-checkbuilddeps")
    shim.write_text(f"#!/bin/sh\nexec {real} --admindir='{books}' \"$@\"\n", encoding="utf-8")
    shim.chmod(0o755)
    path = f"{books}:{os.environ['PATH']}"
    output = run("make", "-s", "-C", BUILD, "deb", expected=2, env={**os.environ, "PATH": path})
    assert "make deb needs packages: apt-get install debhelper libseccomp-dev\n" in output, output


def test_lintian_has_no_errors_and_no_warnings(package):
    need("lintian", "lintian")
    output = run("lintian", "--allow-root", "--fail-on", "error,warning", "--show-overrides", package[1])
    assert not re.search(r"^[EW]: ", output, re.M), output
    overrides = TOP / "debian/octroi.lintian-overrides"
    if overrides.exists():  # each with its reason in a comment above
        for before, line in zip(["", *overrides.read_text().splitlines()], overrides.read_text().splitlines()):
            assert not line or line.startswith("#") or before.startswith("#"), line


def test_programs_are_hardened(package):
    """As configure's own flags and hardening=+all ask: a position-independent program, bound at its start."""
    tree = WORK / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    run("dpkg-deb", "-x", package[0], tree)
    for program in ("usr/sbin/octroi", "usr/bin/octroictl"):
        headers = run("readelf", "-W", "-l", "-d", "-s", "--dyn-syms", tree / program)
        assert "(PIE)" in headers or "Position-Independent" in headers, program
        assert "GNU_RELRO" in headers and "BIND_NOW" in headers and "__stack_chk_fail" in headers, program
        assert re.search(r"__\w+_chk@", headers), f"{program}: nothing is fortified"
    assert "complete -F _octroictl octroictl" in (tree / "usr/share/bash-completion/completions/octroictl").read_text()


# ---- the chroot ------------------------------------------------------------------------------------------

def sources(release):
    """(mirror, lines of sources.list) of the release, from the machine's own sources."""
    targets = run("apt-get", "indextargets", "--format", "$(SITE) $(RELEASE) $(COMPONENT)", "Created-By: Packages",
                  env=ENVIRONMENT)
    ours = sorted(set(re.findall(rf"^(\S+) ({OWN_RELEASE}(?:-\w+)?) (main)$", targets, re.M)))
    mirrors = [site for site, suite, _ in ours if suite == OWN_RELEASE]
    if not mirrors:
        pytest.fail(f"the machine's apt sources have no {OWN_RELEASE} main", pytrace=False)
    wanted = [(site, suite.replace(OWN_RELEASE, release), part) for site, suite, part in ours]
    return mirrors[0], "".join(f"deb {site} {suite} {part}\n" for site, suite, part in wanted)


def base(release):
    """A chroot of the release as debootstrap makes it, which is kept and copied."""
    root = WORK / f"base-{release}"
    if not (root / "made").exists():
        mirror, lines = sources(release)
        shutil.rmtree(root, ignore_errors=True)
        script = [] if pathlib.Path(f"/usr/share/debootstrap/scripts/{release}").exists() else [
            "/usr/share/debootstrap/scripts/sid"]
        run("debootstrap", "--variant=minbase", "--include=ca-certificates", release, root, mirror, *script)
        (root / "etc/apt/sources.list").write_text(lines)
        (root / "made").touch()
    return root


def inside(root, *command, **more):
    """Runs a command in the chroot, with a /proc of its own, which goes with it."""
    script = 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"'
    return run("unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script, root, *command,
               env=ENVIRONMENT, **more)


@pytest.fixture(scope="module")
def root(release, built):
    """A chroot with what octroi depends on, and with the package's file, not installed."""
    root = WORK / "root"
    shutil.rmtree(root, ignore_errors=True)
    run("cp", "-a", base(release), root)
    for file, name in zip(built, ("octroi", "octroi-meter")):
        shutil.copy(file, root / f"srv/{name}.deb")
    depends = inside(root, "dpkg-deb", "--field", "/srv/octroi.deb", "Depends").strip()
    inside(root, "apt-get", "update")
    inside(root, "apt-get", "satisfy", "-y", "--no-install-recommends", depends)
    return root


def snapshot(root):
    """{path: what it is} of all that a purge has to leave as it was."""
    found = {}
    for folder, folders, names in os.walk(root):
        here = pathlib.Path(folder)
        folders[:] = [name for name in folders if not str((here / name).relative_to(root)).startswith(VOLATILE)]
        for name in [*folders, *names]:
            path = here / name
            status, where = path.lstat(), str(path.relative_to(root))
            if where.startswith(VOLATILE) or re.fullmatch(r"etc/(\w+-|\.pwd\.lock|ld\.so\.cache)", where):
                continue
            content = hashlib.sha256(path.read_bytes()).hexdigest() if stat.S_ISREG(status.st_mode) else ""
            found[where] = (stat.filemode(status.st_mode), status.st_uid, status.st_gid, content)
    return found


def differences(before, after):
    paths = before.keys() | after.keys()
    return {path: (before.get(path), after.get(path)) for path in paths if before.get(path) != after.get(path)}


@pytest.fixture(scope="module")
def life(root):
    """The package's life in the chroot: what each step said, and the files after it."""
    said, files = {}, {"before": snapshot(root)}
    said["install"] = inside(root, "apt-get", "install", "-y", "--no-install-recommends", "/srv/octroi.deb")
    files["install"] = snapshot(root)
    said["version"] = inside(root, "octroi", "-V")
    said["test"] = inside(root, "octroi", "-t")
    said["verify"] = inside(root, "systemd-analyze", "verify", "--man=no", *UNITS)
    said["security"] = inside(root, "systemd-analyze", "security", "--no-pager", "--offline=true", "octroi.service")
    with open(root / "etc/octroi/octroi.conf", "a", encoding="utf-8") as file:
        file.write("threads = 7\n")
    secret = root / "etc/octroi/secrets/token_secret"
    secret.write_text("0" * 64)
    files["changed"] = snapshot(root)
    said["upgrade"] = inside(root, "dpkg", "-i", "/srv/octroi.deb")
    files["upgrade"] = snapshot(root)
    said["remove"] = inside(root, "dpkg", "-r", "octroi")
    files["remove"] = snapshot(root)
    said["again"] = inside(root, "dpkg", "-i", "/srv/octroi.deb")
    files["again"] = snapshot(root)
    said["purge"] = inside(root, "dpkg", "-P", "octroi")
    files["purge"] = snapshot(root)
    said["books"] = inside(root, "sh", "-c", "ls /var/lib/dpkg/info | grep '^octroi' || true")
    return said, files


def test_it_is_installed_and_not_started(life):
    said, files = life
    assert "neither enabled nor started" in said["install"]
    assert not [path for path in files["install"] if re.match(r"etc/systemd/system/.*octroi", path)]
    mode, uid, gid, _ = files["install"]["etc/octroi/octroi.conf"]
    assert mode == "-rw-r-----" and uid == 0 and gid != 0
    assert files["install"]["etc/octroi/secrets"][:3] == ("drwxr-x---", 0, gid)


def test_the_programs_run(life):
    said, _ = life
    assert re.search(r"^octroi \d+\.\d+\.\d+", said["version"])
    assert said["test"] == "octroi: the configuration is good\n"


def test_the_units_are_right(life):
    said, _ = life
    assert said["verify"] == ""
    exposure = float(re.search(r"Overall exposure level for octroi\.service: ([\d.]+)", said["security"])[1])
    print(f"exposure {exposure}")
    assert exposure <= EXPOSURE_MAX


def test_an_upgrade_changes_nothing_of_the_administrators(life):
    _, files = life
    assert differences(files["changed"], files["upgrade"]) == {}


def test_remove_keeps_the_configuration(life):
    _, files = life
    for path in ("etc/octroi/octroi.conf", "etc/octroi/secrets", "etc/octroi/secrets/token_secret"):
        assert files["remove"][path] == files["changed"][path], path
    left = {path for path in differences(files["before"], files["remove"])}
    assert all(path.startswith(("etc/", "var/lib/systemd/")) for path in left), left
    assert differences(files["changed"], files["again"]) == {}


def test_purge_leaves_nothing_but_the_database_and_says_so(life):
    said, files = life
    assert differences(files["before"], files["purge"]) == {} and said["books"] == ""
    assert "DROP DATABASE octroi" in said["purge"]


# ---- octroi-meter ----------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def meter_life(root, life):
    """octroi-meter's life beside octroi, which is purged first, then again with the meter's spool not empty."""
    assert life
    packages = ["/srv/octroi.deb", "/srv/octroi-meter.deb"]
    depends = inside(root, "dpkg-deb", "--field", packages[1], "Depends").strip()
    inside(root, "apt-get", "satisfy", "-y", "--no-install-recommends", depends)
    said, files = {}, {"before": snapshot(root)}
    said["install"] = inside(root, "apt-get", "install", "-y", "--no-install-recommends", *packages)
    files["install"] = snapshot(root)
    said["verify"] = inside(root, "systemd-analyze", "verify", "--man=no", *METER_UNITS)
    said["security"] = inside(root, "systemd-analyze", "security", "--no-pager", "--offline=true", METER_UNITS[0])
    said["test"] = inside(root, "octroi-meter", "-t", expected=1)
    inside(root, "sh", "-c", "echo a-key >/etc/octroi/meter/octroi_key && chgrp octroi-meter /etc/octroi/meter/octroi_key && "
                             "chmod 0640 /etc/octroi/meter/octroi_key")
    said["with key"] = inside(root, "octroi-meter", "-t")
    inside(root, "dpkg", "-P", "octroi")
    files["alone"] = snapshot(root)
    inside(root, "dpkg", "-P", "octroi-meter")
    files["purge"] = snapshot(root)
    inside(root, "apt-get", "install", "-y", "--no-install-recommends", packages[1])
    inside(root, "sh", "-c", "mkdir -p /var/lib/octroi-meter && echo 1 >/var/lib/octroi-meter/spool")
    inside(root, "dpkg", "-P", "octroi-meter")
    files["owed"] = snapshot(root)
    return said, files


def test_meter_is_installed_and_not_started(meter_life):
    said, files = meter_life
    assert not [path for path in files["install"] if re.match(r"etc/systemd/system/.*octroi", path)]
    mode, uid, gid, _ = files["install"]["etc/octroi/octroi-meter.conf"]
    assert mode == "-rw-r-----" and uid == 0 and gid != 0
    assert files["install"]["etc/octroi/meter"][:3] == ("drwxr-x---", 0, gid)
    assert "octroi_key" in said["test"] and "the configuration is good" in said["with key"]


def test_units_of_the_meter_are_right(meter_life):
    said, _ = meter_life
    assert said["verify"] == ""
    exposure = float(re.search(r"Overall exposure level for octroi-meter\.service: ([\d.]+)", said["security"])[1])
    print(f"exposure {exposure}")
    assert exposure <= EXPOSURE_MAX


def test_purge_of_octroi_leaves_the_meter(meter_life):
    _, files = meter_life
    own = [path for path in files["install"] if "octroi-meter" in path or path.startswith("etc/octroi/meter")]
    assert own and {path: files["install"][path] for path in own} == {path: files["alone"].get(path) for path in own}
    assert not [path for path in files["alone"] if path.startswith("etc/octroi/") and "meter" not in path]


def test_purge_of_the_meter_leaves_what_is_owed_alone(meter_life):
    _, files = meter_life
    assert differences(files["before"], files["purge"]) == {}
    left = [path for path in differences(files["before"], files["owed"]) if files["owed"].get(path)]
    assert sorted(left) == ["var/lib/octroi-meter", "var/lib/octroi-meter/spool"]


# ---- the words of docs/install.md ------------------------------------------------------------------------

class Booted:
    """The chroot, started by systemd-nspawn in namespaces of its own, its network too."""

    def __init__(self, root):
        self.log = open(WORK / "boot.log", "w+", encoding="utf-8")
        self.nspawn = subprocess.Popen(
            ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--private-network", "--directory", str(root),
             "--boot"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT, env=ENVIRONMENT)
        self.init = None
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and self.nspawn.poll() is None:
            if self.init is None:
                self.init = self.child()
            elif self.call("systemctl", "is-active", "multi-user.target").returncode == 0:
                return
            time.sleep(0.5)
        self.stop()
        self.log.seek(0)
        pytest.skip("systemd does not boot in a container here: " + self.log.read()[-300:])

    def child(self):
        found = pathlib.Path(f"/proc/{self.nspawn.pid}/task/{self.nspawn.pid}/children").read_text().split()
        return found[0] if found and os.readlink(f"/proc/{found[0]}/exe").endswith("/systemd") else None

    def call(self, *command):
        namespaces = ("--mount", "--pid", "--net", "--uts", "--ipc", "--root", "--wd")
        return subprocess.run(["nsenter", "--target", self.init, *namespaces, *command], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, check=False,
                              env=ENVIRONMENT)

    def do(self, line):
        done = self.call("bash", "-c", "cd /srv\n" + line)
        assert done.returncode == 0, f"{line}\n{done.stdout}"
        return done.stdout

    def wait(self, line, seconds=60):
        deadline = time.monotonic() + seconds
        while self.call("bash", "-c", line).returncode != 0:
            assert time.monotonic() < deadline, line
            time.sleep(0.2)

    def stop(self):
        """As a machine is switched off; this process is the only one of ours that is signalled."""
        if self.nspawn.poll() is None:
            if self.init is not None:
                os.kill(int(self.init), signal.SIGRTMIN + 4)
            try:
                self.nspawn.wait(60)
            except subprocess.TimeoutExpired:
                self.nspawn.kill()
                self.nspawn.wait()


@pytest.fixture(scope="module", params=SERVERS)
def booted(release, built, request):
    """A bare machine of the release, with what docs/install.md's own line installs, but for octroi's build."""
    guest = WORK / "guest"
    shutil.rmtree(guest, ignore_errors=True)
    run("cp", "-a", base(release), guest)
    inside(guest, "apt-get", "update")
    (guest / "srv/build").mkdir()
    shutil.copy(built[0], guest / "srv/build" / built[0].name.removeprefix(f"{release}-"))
    shutil.copy(TOP / "demo/prices.json", guest / "srv")
    shutil.copy(TOP / "tests/fake_stripe.py", guest / "srv")
    [install] = [line for line in words()[0] if line.startswith("apt-get install ")]
    assert install.endswith(" nginx")
    line = re.sub(r"\./build/octroi_\S+", "./build/octroi_*.deb", install.removesuffix("nginx") + SERVERS[request.param])
    started = time.monotonic()
    inside(guest, "sh", "-c", f"cd /srv && {unattended(line)} --no-install-recommends")
    inside(guest, "apt-get", "install", "-y", "--no-install-recommends", "systemd-sysv", "dbus", "curl", "python3")
    machine = Booted(guest)
    machine.installing_s = time.monotonic() - started
    yield machine
    machine.stop()


def test_the_words_of_install_md(booted):
    commands, _ = words()
    [at] = [i for i, line in enumerate(commands) if line.startswith("apt-get install ")]
    site = booted.do("curl -s http://127.0.0.1/")  # the one that the machine has already
    started = time.monotonic()
    said = "".join(booted.do(line) for line in commands[at + 1:])
    assert "0 warnings, 0 problems" in said, said
    first = said.rstrip().splitlines()[-1]
    assert first.startswith("  curl ") and '"decision":"allow"' in booted.do(first), said
    print(f"from apt-get install to the first request: {booted.installing_s + time.monotonic() - started:.0f} s")
    assert booted.installing_s + time.monotonic() - started < 300
    key = re.search(r"oct_guard_[\w-]+", first)[0]
    named = "curl -s --resolve credits.example:80:127.0.0.1 http://credits.example"
    for path, word in (("billing", "<octroi-"), ("octroi/ui/octroi.js", "import"), ("healthz", '"status"')):
        booted.wait(f"{named}/{path} | grep -q '{word}'")  # a worker of before the reload may still answer
    assert site == booted.do("curl -s http://127.0.0.1/") != "" and "octroi" not in booted.do("curl -s http://127.0.0.1/healthz")
    again = booted.do(commands[-1])
    assert not re.search(r"^made|^run +systemctl", again, re.M) and "0 problems" in again, again
    booted.do("octroictl account create user:42")
    booted.do("octroictl account credit user:42 10 --type PROMO_BONUS --reason trial --actor test")
    ask = (f"curl -s -H 'X-Octroi-Key: {key}' -H 'Content-Type: application/json' "
           "-d '{\"account\":\"user:42\",\"model\":\"gpt-4o\"}' http://127.0.0.1:8081/api/guard/authorize")
    assert '"decision":"allow"' in booted.do(ask)

    # Under systemd's filter octroi's own is in force, it has no rights, and it can write nowhere.
    log = booted.do("journalctl -u octroi --no-pager")
    assert 'event=started' in log and 'sandbox="seccomp"' in log and "sandbox_failed" not in log, log
    pid = booted.do("systemctl show -P MainPID octroi").strip()
    status = booted.do(f"cat /proc/{pid}/status")
    assert re.search(r"^CapEff:\s+0+$", status, re.M) and re.search(r"^NoNewPrivs:\s+1$", status, re.M)
    assert booted.do("stat -c '%a %U %G' /run/octroi/*.sock") == "660 root www-data\n" * 2

    booted.do("systemctl reload octroi")
    booted.do(f"kill -9 {pid}")
    assert '"decision":"allow"' in booted.do(ask)  # the sockets are open, and a connection starts it
    upgraded = booted.do("systemctl show -P MainPID octroi")
    booted.do("dpkg -i build/octroi_*.deb && systemctl is-active octroi.service octroi.socket octroi-internal.socket")
    assert booted.do("systemctl show -P MainPID octroi") != upgraded  # the new program runs
    assert '"decision":"allow"' in booted.do(ask)


def test_a_mistake_of_the_web_servers_own(booted):
    """setup stops there, and goes on when that is mended: also the web server reads its files then."""
    nginx = booted.call("which", "nginx").returncode == 0
    broken, reload = ("/etc/nginx/conf.d/aaa.conf", "systemctl restart nginx") if nginx else (
        "/etc/apache2/conf-enabled/aaa.conf", "systemctl restart apache2")
    booted.do(("rm /etc/nginx/conf.d/octroi.conf /etc/nginx/sites-enabled/zz-octroi.conf" if nginx else
               "a2disconf -q octroi && a2dissite -q zz-octroi") + f" && {reload} && echo nonsense > {broken}")
    line = words()[0][-1]
    done = booted.call("bash", "-c", f"cd /srv && {line}")
    assert done.returncode == 2 and "setup stopped" in done.stdout and "aaa.conf" in done.stdout, done.stdout
    assert booted.call("curl", "-s", "http://127.0.0.1:8081/healthz").returncode != 0
    said = booted.do(f"rm {broken} && {line}")
    assert "0 warnings, 0 problems" in said, said
    booted.wait("curl -s --resolve credits.example:80:127.0.0.1 http://credits.example/billing | grep -q '<octroi-'")


def test_doctor_sees_the_sockets_of_systemd(booted):
    """Stopped, or of a group that the web server is not in: by octroictl doctor alone, without a URL."""
    stop = "octroi.socket octroi-internal.socket octroi.service"
    booted.do(f"systemctl stop {stop}")
    done = booted.call("octroictl", "doctor")
    assert done.returncode == 2 and done.stdout.count("systemctl enable --now octroi.service") == 2, done.stdout
    for group, advice in (("daemon", "adduser www-data daemon, and"), ("root", "give it the group of www-data (SocketGroup)")):
        booted.do("mkdir -p /etc/systemd/system/octroi.socket.d && printf '[Socket]\nSocketGroup=%s\n' "
                  f"{group} > /etc/systemd/system/octroi.socket.d/group.conf && systemctl daemon-reload && systemctl stop {stop} && "
                  "systemctl start octroi.service")
        done = booted.call("octroictl", "doctor")
        assert done.returncode == 1 and advice in done.stdout and done.stdout.count("it answers 502") == 1, done.stdout
    booted.do(f"rm -r /etc/systemd/system/octroi.socket.d && systemctl daemon-reload && systemctl stop {stop} && "
              "systemctl start octroi.service && octroictl doctor")


def test_the_first_top_up(booted):
    """As docs/stripe.md says, with a Stripe for tests; then the machine is restarted."""
    booted.do("echo '127.0.0.1 credits.example' >> /etc/hosts")
    booted.do("systemd-run --unit=stripe --quiet sh -c 'exec /usr/bin/python3 -u /srv/fake_stripe.py --port 8099 "
              "--webhook-url http://credits.example/api/webhooks/stripe > /srv/stripe.conf'")
    booted.wait("grep -q stripe_webhook_secret /srv/stripe.conf")
    [restart] = [line for line in words()[1] if "restart" in line]
    booted.do(f"cat /srv/stripe.conf >> /etc/octroi/octroi.conf && octroi -t && {restart}")
    key = re.search(r"oct_app_[\w-]+", booted.do("octroictl key create --scope app"))[0]
    made = booted.do(f"curl -sS -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' -d "
                     "'{\"amount\":2000}' 'http://127.0.0.1:8081/api/credits/topup?account=first-customer'")
    page = re.search(r'"url":"([^"]+)"', made)[1]
    booted.do(f"curl -sS -X POST {page}")
    balance = (f"curl -sS -H 'Authorization: Bearer {key}' "
               "'http://127.0.0.1:8081/api/credits?account=first-customer'")
    booted.wait(f"{balance} | grep -q '\"balanceMicros\":20000000'")
    booted.do("octroictl audit")
    booted.do("systemctl restart mariadb octroi")
    booted.wait(f"{balance} | grep -q '\"balanceMicros\":20000000'")


def test_credentials_of_the_example(booted):
    """With root's files only: the daemon has the secrets, and its user cannot read the files."""
    example = (TOP / "debian/credentials.conf").read_text(encoding="utf-8")
    booted.do("cp -a /etc/octroi/secrets /srv/kept")
    booted.do("mkdir -p /etc/systemd/system/octroi.service.d && "
              "cp /usr/share/doc/octroi/examples/credentials.conf /etc/systemd/system/octroi.service.d")
    for key in re.findall(r"^LoadCredential=(\w+):", example, re.M):
        secret = "" if key == "db_password" else "whsec_" * key.endswith("_webhook_secret") + "5" * 64
        booted.do(f"umask 077 && rm -f /etc/octroi/secrets/{key} && echo '{secret}' > /etc/octroi/secrets/{key}")
    booted.do("systemctl daemon-reload && systemctl restart octroi && systemctl is-active octroi")
    environment = booted.do("cat /proc/$(systemctl show -P MainPID octroi)/environ")
    assert "5" * 64 not in environment and "OCTROI_TOKEN_SECRET_FILE=/run/credentials/octroi.service/" in environment
    assert booted.call("runuser", "-u", "octroi", "--", "cat", "/etc/octroi/secrets/token_secret").returncode != 0
    booted.do("rm -r /etc/systemd/system/octroi.service.d && systemctl daemon-reload && rm -r /etc/octroi/secrets && "
              "mv /srv/kept /etc/octroi/secrets && systemctl restart octroi && systemctl is-active octroi")


@pytest.fixture(scope="module")
def from_sources(release):
    """A bare machine with these sources, and what docs/install.md installs to build them."""
    guest = WORK / "built-there"
    shutil.rmtree(guest, ignore_errors=True)
    run("cp", "-a", base(release), guest)
    run("make", "-C", BUILD, "distdir", f"distdir={guest}/srv/octroi")
    shutil.copy(TOP / "demo/prices.json", guest / "srv/octroi")
    inside(guest, "apt-get", "update")
    page = (TOP / "docs/install.md").read_text(encoding="utf-8").split("\n## From the sources\n")[1]
    lines = re.search(r"^```\n(.*?)^```$", page, re.M | re.S)[1].replace("\\\n", " ").splitlines()
    assert len(lines) <= 10
    at = [i for i, line in enumerate(lines) if line.startswith("systemctl ")][0]
    inside(guest, "apt-get", "install", "-y", "--no-install-recommends", "systemd-sysv", "dbus", "curl")
    for line in lines[:at]:
        inside(guest, "sh", "-c", f"cd /srv/octroi && {unattended(line)}")
    machine = Booted(guest)
    machine.lines = lines[at:]
    yield machine
    machine.stop()


def test_the_words_for_the_sources(from_sources):
    """make install, and the units of the package: the same first request and the same page."""
    said = "".join(from_sources.do(f"cd octroi && {line}") for line in from_sources.lines)
    assert "0 warnings, 0 problems" in said, said
    assert '"decision":"allow"' in from_sources.do(said.rstrip().splitlines()[-1])
    from_sources.wait("curl -s --resolve credits.example:80:127.0.0.1 http://credits.example/billing | grep -q '<octroi-'")
    pid = from_sources.do("systemctl show -P MainPID octroi").strip()
    assert from_sources.do(f"stat -c %U /proc/{pid}").strip() == "octroi"
    assert 'sandbox="seccomp"' in from_sources.do("journalctl -u octroi --no-pager")


def test_removal_stops_it(booted):
    remove, purge = words()[1][1:]
    booted.do(unattended(remove))
    for unit in UNITS:
        assert booted.call("systemctl", "is-active", unit).stdout.strip() != "active", unit
    assert booted.call("ls", "/run/octroi").returncode != 0
    said = booted.do(unattended(purge))
    assert "DROP DATABASE octroi" in said and booted.call("ls", "/etc/octroi").returncode != 0
    assert "accounts" in booted.do("mariadb -e 'SHOW TABLES FROM octroi'")
    # The rest is what octroictl setup wrote, and the commands that are printed remove it.
    for command in re.findall(r"^  (mariadb -e .*|rm -r .*)$", said, re.M):
        booted.do(command)
    assert booted.call("sh", "-c", "find /etc /var/lib/mysql -name '*octroi*' | grep .").stdout == ""
    booted.do("systemctl restart nginx 2>/dev/null || systemctl restart apache2")

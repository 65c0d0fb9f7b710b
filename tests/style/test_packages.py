"""debian/ says what configure.ac, Makefile.am, config.def and the web servers' files say.  `make check-deb` builds and
installs the packages."""

import re

from source import definitions, files, over, text

DEBIAN = [name for name in files() if name.startswith("debian/")]
SECRETS = [name for type, name, *_ in definitions("src/config.def", "KEY") if type == "SECRET"]
DEFAULTS = {name: {"0": "off", "1": "on"}[fallback] if type == "SWITCH" else fallback.strip('"')
            for type, name, fallback, *_ in definitions("src/config.def", "KEY")}
SOCKETS = {"octroi.socket": "debian/octroi.socket", "octroi-internal.socket": "debian/octroi.octroi-internal.socket"}


def makefile_list(variable):
    """The words of a variable of Makefile.am."""
    found = re.search(rf"^{variable} = ((?:.*\\\n)*.*)$", text("Makefile.am"), re.M)
    assert found, f"Makefile.am has no {variable}"
    return found[1].replace("\\\n", " ").split()


def unit(path):
    """[(key, value)] of a unit, without its sections."""
    return re.findall(r"^(\w+)=(.*)$", text(path), re.M)


def values(path, key):
    return [value for name, value in unit(path) if name == key]


# ---- control and changelog -------------------------------------------------------------------------------

def paragraphs():
    content = re.sub(r"^#.*\n", "", text("debian/control"), flags=re.M)
    parts = re.split(r"\n\n+", content.strip())
    return [dict(re.findall(r"^([\w-]+):((?:.*\n(?: .*\n)*))", part + "\n", re.M)) for part in parts]


def test_the_version_is_that_of_configure():
    version = re.search(r"AC_INIT\(\[octroi\], \[([\d.]+)\]", text("configure.ac"))[1]
    assert re.match(r"octroi \((.*?)\) ", text("debian/changelog"))[1] == version


def test_what_configure_asks_for_is_installed_to_build():
    asked = set(re.findall(r"OCTROI_LIBRARY\(.*\[([\w.-]+)\]\)", text("configure.ac")))
    asked |= {"libfcgi-dev", "libseccomp-dev"}
    needed = set(re.findall(r"^ ([\w.-]+)", paragraphs()[0]["Build-Depends"], re.M))
    assert len(asked) >= 8 and asked <= needed, asked - needed
    for package in asked:
        assert package in text("docs/install.md"), f"docs/install.md: {package}"


def test_each_package_has_files():
    packages = [part["Package"].strip() for part in paragraphs()[1:]]
    lists = [name for name in DEBIAN if name.endswith(".install")]
    assert packages and sorted(f"debian/{name}.install" for name in packages) == lists
    for name in packages:
        assert text(f"debian/{name}.install").strip(), name


def test_the_tarball_has_all_of_debian():
    distributed = [word for word in makefile_list("EXTRA_DIST") if word.startswith("debian/")]
    assert DEBIAN == sorted(distributed) and len(DEBIAN) > 10


# ---- installed files -------------------------------------------------------------------------------------

def installed():
    """Files that make install puts into /usr."""
    found = {f"usr/sbin/{name}" for name in makefile_list("sbin_PROGRAMS")}
    found |= {f"usr/bin/{name}" for name in makefile_list("bin_PROGRAMS")}
    found |= {f"usr/share/man/man{name[-1]}/{name.split('/')[-1]}" for name in makefile_list("dist_man_MANS")}
    for variable in re.findall(r"^dist_(\w+_(?:DATA|SCRIPTS)) =", text("Makefile.am"), re.M):
        directory = re.search(rf"^{variable.split('_')[0]}dir = (.*)$", text("Makefile.am"), re.M)[1]
        where = directory.replace("$(pkgdatadir)", "usr/share/octroi").replace("$(prefix)", "usr")
        found |= {f"{where}/{name.split('/')[-1]}" for name in makefile_list(f"dist_{variable}")}
    found |= {f"usr/share/octroi/{name}" for name in makefile_list("nobase_dist_web_DATA")}
    return found


# debian/rules makes it.
COMPLETION = "usr/share/bash-completion/completions/octroictl"


def test_the_packages_take_what_the_makefile_installs():
    lists = [text(name).splitlines() for name in DEBIAN if name.endswith(".install")]
    lines = [line.split()[0] for one in lists for line in one]
    taken = [line for line in lines if line.startswith("usr/")]
    assert all(one == sorted(one) for one in lists) and len(installed()) > 20
    for path in installed() | {COMPLETION}:
        takers = [line for line in taken if path == line or path.startswith(line + "/")]
        assert len(takers) == 1, f"{path} is in {len(takers)} packages"
    for line in taken:
        given = [path for path in installed() | {COMPLETION} if path == line or path.startswith(line + "/")]
        assert given, f"{line}: no such file"
    assert "octroictl completion bash > $(COMPLETIONS)/octroictl" in text("debian/rules")


def test_listed_files_exist():
    for name in DEBIAN:
        if not name.endswith((".install", ".docs", ".examples")):
            continue
        for line in text(name).splitlines():
            path = line.split()[0]
            pattern = re.escape(path).replace(r"\*", "[^/]*")
            assert path.startswith("usr/") or any(re.fullmatch(pattern, file) for file in files()), f"{name}: {path}"


# ---- units -----------------------------------------------------------------------------------------------

def test_the_service_takes_its_sockets():
    service = "debian/octroi.service"
    assert values(service, "Sockets") == values(service, "Requires") == [" ".join(SOCKETS)]
    for name, path in SOCKETS.items():
        assert path in DEBIAN and name in values(service, "After")[0].split(), name
        # A socket serves the unit of its own name unless it says otherwise.
        assert values(path, "Service") == ([] if name == "octroi.socket" else ["octroi.service"]), name
        assert values(path, "SocketMode") == ["0660"] and values(path, "SocketGroup") == ["www-data"], name
        # src/sockets.c knows the internal socket by its name.
        assert ("internal" in values(path, "FileDescriptorName")[0]) == ("internal" in name), name
    for name in ("octroi.service", "octroi.socket", "--name=octroi-internal"):
        assert re.search(rf"dh_installsystemd --no-enable --no-start .*{name}$", text("debian/rules"), re.M), name


def test_the_web_servers_ask_at_the_sockets():
    for path in SOCKETS.values():
        [address] = values(path, "ListenStream")
        for file in ("nginx/octroi.conf", "apache/octroi.conf", "man/octroi.8"):
            assert re.search(rf"{re.escape(address)}\b", text(file)), f"{file}: {address}"
        assert address.startswith(text("debian/octroi.tmpfiles").split("\nd ")[1].split()[0] + "/"), address


def test_the_service_is_confined():
    service = "debian/octroi.service"
    wanted = {"Type": "notify", "Restart": "on-failure", "ExecReload": "/bin/kill -HUP $MAINPID",
              "ProtectSystem": "strict", "CapabilityBoundingSet": "", "SystemCallArchitectures": "native"}
    wanted |= dict.fromkeys(("NoNewPrivileges", "MemoryDenyWriteExecute", "RestrictNamespaces", "PrivateDevices",
                             "PrivateUsers"), "yes")
    for key, value in wanted.items():
        assert values(service, key) == [value], key
    assert values(service, "MemoryMax") and values(service, "SystemCallFilter")[0].startswith("@system-service")
    user = re.search(r"^u (\w+) ", text("debian/octroi.sysusers"), re.M)[1]
    assert values(service, "User") == values(service, "Group") == [user]
    for script in ("debian/octroi.postinst", "debian/octroi.postrm"):
        assert re.search(rf"(root:|userdel ){user}\b", text(script)), script
    # threads is at most this; some threads are not workers.
    [threads] = [int(high) for _, name, _, _, high, _ in definitions("src/config.def", "KEY") if name == "threads"]
    assert int(values(service, "TasksMax")[0]) > threads


# ---- configuration ---------------------------------------------------------------------------------------

SAMPLE = re.findall(r"^(#?)(\w+) =(.*)$", text("debian/octroi.conf"), re.M)


def test_there_is_a_sample():
    assert len(SAMPLE) > 25 and len({name for _, name, _ in SAMPLE}) == len(SAMPLE)
    active = {name: value.strip() for mark, name, value in SAMPLE if not mark}
    assert active == {"db_socket": "/run/mysqld/mysqld.sock"}


@over(SAMPLE)
def test_the_sample_has_keys_and_defaults(mark, name, value):
    key = name.removesuffix("_file")
    assert key in DEFAULTS, f"debian/octroi.conf: {name}"
    if key in SECRETS:
        assert name == f"{key}_file" and value.strip() == f"/etc/octroi/secrets/{key}", f"debian/octroi.conf: {name}"
    elif mark:
        assert value.strip() == DEFAULTS[name], f"debian/octroi.conf: {name}"


def test_each_secret_can_be_a_credential():
    lines = text("debian/credentials.conf")
    given = re.findall(r"^LoadCredential=(\w+):/etc/octroi/secrets/(\w+)$", lines, re.M)
    told = re.findall(r"^Environment=OCTROI_(\w+)_FILE=%d/(\w+)$", lines, re.M)
    assert given == [(name, name) for name in SECRETS] and told == [(name.upper(), name) for name in SECRETS]
    assert set(SECRETS) == {name.removesuffix("_file") for _, name, _ in SAMPLE if name.endswith("_file")}

"""The container image: read by somebody else's rules, made twice the same, and run from its root file system: read-only, as its
own user, without a shell's help, up to a guarded request.  `make check-deb` runs it."""

import gzip
import hashlib
import io
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tarfile

import pytest

from test_package import BUILD, TOP, WORK, base, made, run

sys.path.insert(0, str(TOP / "tests/lib"))

import fastcgi  # noqa: E402
from octroi import Octroi, wait_until  # noqa: E402


@pytest.fixture(scope="module")
def image():
    package, _ = made(BUILD)
    path = WORK / "image.tar"
    run(TOP / "debian/container/make-image", package, base("bookworm"), path)
    return path


@pytest.fixture(scope="module")
def blobs(image):
    with tarfile.open(image) as tar:
        return {entry.name: tar.extractfile(entry).read() for entry in tar.getmembers()}


def blob(blobs, descriptor):
    content = blobs["blobs/" + descriptor["digest"].replace(":", "/")]
    assert len(content) == descriptor["size"]
    assert "sha256:" + hashlib.sha256(content).hexdigest() == descriptor["digest"]
    return content


@pytest.fixture(scope="module")
def parts(blobs):
    """(config, layer) as image-spec 1.0 says that they are found."""
    assert json.loads(blobs["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    [entry] = json.loads(blobs["index.json"])["manifests"]
    manifest = json.loads(blob(blobs, entry))
    assert manifest["schemaVersion"] == 2
    config = json.loads(blob(blobs, manifest["config"]))
    [layer] = manifest["layers"]
    content = gzip.decompress(blob(blobs, layer))
    assert config["rootfs"] == {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(content).hexdigest()]}
    assert len(blobs) == 5
    return config, content


def test_nobody_is_root_and_nothing_raises_rights(parts):
    config, layer = parts
    assert config["config"]["User"] == "octroi:octroi" and config["os"] == "linux"
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        entries = {entry.name: entry for entry in tar.getmembers()}
    assert not [name for name, entry in entries.items() if entry.mode & 0o6000]
    assert entries["etc/octroi"].uid == entries["run/octroi"].uid == 970
    assert not [name for name in entries if name.startswith(("var/lib/apt/lists/", "var/cache/apt/", "srv/"))]
    assert "usr/sbin/octroi" in entries and "usr/share/doc/octroi/copyright" in entries


def test_the_same_inputs_make_the_same_image(image):
    package, _ = made(BUILD)
    again = WORK / "again.tar"
    run(TOP / "debian/container/make-image", package, base("bookworm"), again)
    assert hashlib.sha256(again.read_bytes()).digest() == hashlib.sha256(image.read_bytes()).digest()


def test_it_serves_a_guarded_request(parts):
    """Its root file system is mounted read-only; only the volumes of the image can be written."""
    config, layer = parts
    root, volumes = WORK / "image-root", WORK / "volumes"
    for folder in (root, volumes):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        tar.extractall(root, numeric_owner=True)
    for name in ("proc", "dev", "run/mysqld"):
        (root / name).mkdir(exist_ok=True)
    with Octroi("nginx") as o:
        o.sql("CREATE USER boxed@localhost IDENTIFIED BY 'a password'; GRANT ALL ON octroi.* TO boxed@localhost")
        account = o.account(funds_micros=1_000_000)
        for name in ("conf", "sockets"):
            folder = volumes / name
            folder.mkdir()
            os.chown(folder, 970, 970)
        conf = volumes / "conf/octroi.conf"
        conf.write_text("db_socket = /run/mysqld/mariadb.sock\ndb_user = boxed\ndb_password = a password\nsandbox = on\n")
        os.chown(conf, 970, 970)
        conf.chmod(0o600)
        script = ('mount --bind "$0" "$0" && mount --bind "$1/conf" "$0/etc/octroi" && '
                  'mount --bind "$1/sockets" "$0/run/octroi" && mount --bind "$2" "$0/run/mysqld" && '
                  'mount -o remount,bind,ro "$0" && mount -t proc proc "$0/proc" && shift 2 && '
                  'exec chroot --userspec=970:970 --groups= "$0" "$@"')
        run_folder = pathlib.Path(o.env["OCTROI_DB_SOCKET"]).parent
        run_folder.chmod(run_folder.stat().st_mode | 0o011)
        assert os.path.basename(o.env["OCTROI_DB_SOCKET"]) == "mariadb.sock"
        octroi = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script, str(root), str(volumes), str(run_folder),
             *config["config"]["Entrypoint"], *config["config"]["Cmd"]],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=open(WORK / "image.log", "wb"),
            env=dict(entry.split("=", 1) for entry in config["config"]["Env"]))
        try:
            socket = volumes / "sockets/octroi-internal.sock"
            wait_until(lambda: socket.exists() or octroi.poll() is not None, 30, "octroi in its image")
            body = json.dumps({"account": account, "model": "gpt-4o"}).encode()
            answer = fastcgi.call(socket, "POST", "/api/guard/authorize", body, {"Authorization": f"Bearer {o.keys['guard']}"})
            assert answer.status == 200 and json.loads(answer.body)["hold"], answer
        finally:
            # As `podman stop`: to the first process of the container, whose parent (unshare) takes no SIGTERM.
            for child in pathlib.Path(f"/proc/{octroi.pid}/task/{octroi.pid}/children").read_text().split():
                os.kill(int(child), signal.SIGTERM)
            ended = octroi.wait(30)
        assert ended == 0
    log = (WORK / "image.log").read_text()
    assert 'sandbox="seccomp"' in log, log
    assert sorted(path.name for path in (volumes / "sockets").iterdir()) in ([], ["octroi-internal.sock", "octroi.sock"])

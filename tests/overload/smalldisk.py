"""An octroi whose database lives on a small file system of its own, which a test fills and frees again."""

import os
import pathlib
import shutil
import subprocess
import tempfile

from octroi import ROOTS_USER, Octroi

SIZE_MIB = 192
# Small enough for that disk, and as few files kept open in advance as possible.
DB_SETTINGS = {"innodb_log_file_size": "16M", "innodb_buffer_pool_size": "64M"}


# A user that may not mount may do so in a namespace of its own, if the system lets it have one.
NAMESPACE = ["unshare", "--user", "--map-current-user", "--keep-caps", "--mount", "--"]


def _mount(directory, under=(), size_mib=SIZE_MIB):
    return subprocess.run([*under, "mount", "-t", "tmpfs", "-o", f"size={size_mib}m,mode=755", "octroi-test", str(directory)],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _unmount(directory):
    # A process that still looks in does not keep it: the rest of it goes with the last of them.
    subprocess.run(["umount", "-l", str(directory)], check=True)


def why_not(under=()):
    """None, or what keeps this process, or one that is started under that command, from mounting."""
    with tempfile.TemporaryDirectory(prefix="octroi-mount-") as directory:
        done = _mount(directory, under)
        if done.returncode != 0:
            return f"no file system of one's own can be mounted here: {done.stdout.strip()}"
        if not under:  # a namespace takes it away with itself
            _unmount(directory)
    return None


class SmallDisk(Octroi):
    """As Octroi, and fill() and free()."""

    def __init__(self, *arguments, size_mib=SIZE_MIB, **more):
        self.size_mib = size_mib
        super().__init__(*arguments, **more)

    def _first_start(self, settings, db_settings):
        self.disk = self.dir / "db"
        self.disk.mkdir(parents=True)
        done = _mount(self.disk, size_mib=self.size_mib)
        if done.returncode != 0:
            raise RuntimeError(f"mount: {done.stdout}")
        if os.geteuid() == 0:  # quickstart takes no directory of root's for a daemon's
            subprocess.run(["useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", ROOTS_USER],
                           stderr=subprocess.DEVNULL)  # it may be there already
            shutil.chown(self.disk, ROOTS_USER, ROOTS_USER)
        super()._first_start(settings, {**DB_SETTINGS, **db_settings})

    @property
    def _ballast(self):
        return self.disk / "ballast"

    def fill(self):
        """Takes every block that is free, also those that are given back meanwhile, until there is none."""
        with open(self._ballast, "ab") as file:
            step = 1 << 20
            while step >= 4096:
                try:
                    os.posix_fallocate(file.fileno(), os.fstat(file.fileno()).st_size, step)
                except OSError:
                    step //= 2

    def free(self):
        self._ballast.unlink(missing_ok=True)

    def free_bytes(self):
        found = os.statvfs(self.disk)
        return found.f_bavail * found.f_frsize

    def _discard(self):
        disk = self.disk if self._home else None
        if disk and pathlib.Path(disk).is_mount():
            try:
                self.free()
                self.quickstart("down", check=False)
            finally:
                _unmount(disk)
        super()._discard()

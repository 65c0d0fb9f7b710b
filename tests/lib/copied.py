"""A copy of the sources, which a test may change and build.

    with Copy() as copy:
        (copy.tree / "src/base/completion.c").write_text(…)
        copy.make("octroi")
"""

import os
import pathlib
import shlex
import shutil
import subprocess
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[2]
PYTHON = "/usr/bin/python3"
SECONDS = 1800
LEFT_OUT = (".git", ".octroi", ".ci", "autom4te.cache", "configure~", "node_modules", "__pycache__", ".pytest_cache")


class Copy:
    """A copy of the source tree with a build of its own beside it, in a directory that is removed in the end."""

    def __init__(self, cflags="-O0", build=True):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="octroi-copy-"))
        os.chmod(self.home, 0o755)  # the daemons run as another user when the tests run as root
        self.tree, self.build = self.home / "tree", self.home / "build"
        self.cflags = cflags
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(("OCTROI_", "MAKE", "MFLAGS"))}
        self.environment.update(OCTROI_BUILD=str(self.build), PYTHONDONTWRITEBYTECODE="1")
        try:
            shutil.copytree(TOP, self.tree, symlinks=True, ignore=self._left_out)
            if build:
                self.configure()
        except BaseException:
            self.close()
            raise

    @staticmethod
    def _left_out(directory, names):
        """Names that are not part of the sources, such as a build within them."""
        return [name for name in names
                if name in LEFT_OUT or (pathlib.Path(directory) / name / "config.status").exists()]

    def configure(self):
        self.build.mkdir()
        if not (self.tree / "configure").exists():
            self.must(["autoreconf", "-fi"], self.tree)
        self.must([self.tree / "configure", "-q", f"CFLAGS={self.cflags}"], self.build)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        shutil.rmtree(self.home, ignore_errors=True)

    def run(self, command, directory):
        """(exit status, output); the status is None when it took too long."""
        try:
            done = subprocess.run([str(word) for word in command], cwd=directory, env=self.environment, timeout=SECONDS,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            return done.returncode, done.stdout.decode(errors="replace")
        except subprocess.TimeoutExpired as e:
            return None, (e.output or b"").decode(errors="replace")

    def must(self, command, directory):
        status, output = self.run(command, directory)
        if status != 0:
            raise RuntimeError(f"{' '.join(map(str, command))} failed:\n" + "\n".join(output.split("\n")[-25:]))
        return output

    def make(self, *targets):
        self.must(["make", "-s", f"-j{os.cpu_count()}", *targets], self.build)

    def program(self, path):
        """(exit status, output) of a program of the build that speaks TAP."""
        self.environment["CMOCKA_MESSAGE_OUTPUT"] = "TAP"
        return self.run([self.build / path], self.build)

    def pytest(self, words):
        """(exit status, output) of tests of the copy; words as on a command line."""
        return self.run([PYTHON, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *shlex.split(words)], self.tree)

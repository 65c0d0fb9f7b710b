"""The machine that the figures are of."""

import functools
import os
import pathlib
import platform
import re
import subprocess
import time

import sides

TOP = pathlib.Path(__file__).resolve().parents[2]


def _line(command, pattern=r"(.*)"):
    """The pattern's match in the command's output, '' when there is no such command."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, cwd=TOP)
    except OSError:
        return ""
    found = re.search(pattern, done.stdout)
    return found[1] if found else ""


@functools.cache
def shape(o):
    """Processor, kernel and versions, and how busy it is when first asked, as a dictionary; o: a running Octroi behind nginx."""
    processor = re.search(r"^model name\s*:\s*(.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    memory = int(re.search(r"^MemTotal:\s*(\d+)", pathlib.Path("/proc/meminfo").read_text(), re.M)[1])
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "commit": _line(["git", "describe", "--always", "--dirty", "--abbrev=10"], r"^([\w.-]+)$") or "a release",
        "processor": processor[1] if processor else platform.machine(),
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 1),
        "memory_gib": round(memory / 2**20),
        "kernel": platform.release(),
        "mariadb": _line(["mariadbd", "--version"], r"Ver (\S+)"),
        "nginx": _line([os.readlink(f"/proc/{o.server_pid}/exe"), "-v"], r"nginx/(\S+)"),
        "php": _line([str(sides.php_fpm()), "-v"], r"PHP (\S+)"),
        "wrk": _line(["wrk", "-v"], r"wrk (?:debian/)?(\S+)"),
    }

"""Costs of processes: processor time and resident memory, as /proc says."""

import os
import pathlib

TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")


def _stat(pid):
    """(parent, processor seconds) of a process, or None when it has gone."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        seconds = (int(fields[11]) + int(fields[12])) * TICK_SECONDS
        if int(fields[17]) == 1:  # of one thread the nanoseconds are known: many children would lose many a tick's rest
            seconds = int(pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(fields[1]), seconds


def cpu_seconds(parts):
    """parts: name to process id.  Name to the seconds of user and system time of it and its descendants so far."""
    stats = {int(path.name): _stat(path.name) for path in pathlib.Path("/proc").glob("[0-9]*")}
    seconds = dict.fromkeys(parts, 0.0)
    for name, root in parts.items():
        family = {root}
        grown = True
        while grown:
            more = {pid for pid, stat in stats.items() if stat and stat[0] in family} - family
            family |= more
            grown = bool(more)
        seconds[name] = sum(stats[pid][1] for pid in family if stats.get(pid))
    return seconds


def resident_kib(pid, field="VmRSS"):
    """Resident memory of a process, KiB; field VmHWM: the most it ever was."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise ValueError(field)

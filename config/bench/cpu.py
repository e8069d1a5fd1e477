"""CPU seconds, read from /proc: of a program's processes, and of a PostgreSQL server on this machine."""

from __future__ import annotations

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def of_tree(pid: int) -> float:
    """CPU seconds of a process, its living descendants and those it has already waited for."""
    children: dict[int, list[int]] = {}
    ticks: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (stat := _stat(int(entry.name))):
            children.setdefault(int(stat[1]), []).append(int(entry.name))
            # utime, stime, cutime, cstime: fields 14 to 17 of proc(5), counted from 1.
            ticks[int(entry.name)] = sum(int(value) for value in stat[11:15])
    total, family = 0, [pid]
    while family:
        member = family.pop()
        total += ticks.get(member, 0)
        family += children.get(member, [])
    return total / _TICKS


def postmaster(backend_pid: int) -> int | None:
    """The server process that this backend belongs to; None when it does not run on this machine."""
    stat = _stat(backend_pid)
    name = Path(f"/proc/{backend_pid}/comm")
    if stat is None or not name.read_text().startswith("postgres"):
        return None
    return int(stat[1])


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat after the name, which is in brackets and may hold anything."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text.rpartition(")")[2].split()

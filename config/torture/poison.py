"""Incidents that poison the bridge they name. Only the torture's settings know what they do.

A step that was fed poison must die of it after five tries with its cause told, and nobody beside it may suffer.
"""

from __future__ import annotations

import os
import resource
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from governance.loop.bridges import Bridge, Outcome, Work
from incidents.models import Incident

SOURCE = "poison"
SPARE_BYTES = 64 * 2**20
MOUTHFUL_BYTES = 8 * 2**20


class Poisoned(Exception):
    """A bridge that cannot take this incident."""


def fail() -> None:
    raise Poisoned("this one can never be taken")


def eat_memory() -> None:
    """Take memory until there is none: what the process may have is limited to a little more than it has."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    has = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (has + SPARE_BYTES, before[1]))
    eaten = []
    try:
        while True:
            eaten.append(bytearray(MOUTHFUL_BYTES))
    finally:
        eaten.clear()
        resource.setrlimit(resource.RLIMIT_AS, before)


def be_killed() -> None:
    """What the kernel does to a process when the machine has no memory left."""
    os.kill(os.getpid(), signal.SIGKILL)


def never_end() -> None:
    """An endless loop; a sleepy one, so that it takes nobody's processor besides."""
    while True:
        threading.Event().wait(0.01)


POISONS: Mapping[str, Callable[[], None]] = {
    "error": fail,
    "memory": eat_memory,
    "killed": be_killed,
    "endless": never_end,
}


def source_key(poison: str, stage: str, name: str) -> str:
    """The source key of an incident that poisons this stage."""
    return f"{poison}/{stage}/{name}"


def around(bridge: Bridge) -> Bridge:
    """The bridge, which falls ill of what names it."""

    def land(works: Sequence[Work]) -> Mapping[str, Outcome]:
        for poison, stage in _fed(works):
            if stage == bridge.stage:
                POISONS[poison]()
        return bridge.land(works)

    return Bridge(bridge.stage, bridge.name, land, undo=bridge.undo, ask=bridge.ask)


def _fed(works: Sequence[Work]) -> list[tuple[str, str]]:
    keys = Incident.objects.filter(
        id__in=[work.incident_id for work in works], source=SOURCE
    ).values_list("source_key", flat=True)
    return [(poison, stage) for poison, stage, _ in (str(key).split("/") for key in keys)]

"""A backup, and the proof that it holds what had been acknowledged: the product goes on from it in a fresh cluster."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from .invariants import NEVER, Acknowledged, Violation, connected, violations
from .place import AS_THEY_ARE, Place, folder, manage, served

SETTLES_WITHIN = 60.0


def back_up(place: Place, file: Path) -> None:
    """Write a backup while everything works, as an operator would."""
    place.run(*manage("backup", "--out", str(file)))


def prove(
    place: Place, file: Path, acknowledged: Acknowledged
) -> tuple[list[Violation], dict[str, Any]]:
    """Restore into a fresh cluster, let the sweeper finish what was on its way; what is not so then, and figures.

    With the product's own settings: nothing is poison there.
    """
    with folder() as directory:
        fresh = replace(place, directory=directory, broker=None, settings_module=AS_THEY_ARE)
        with served(fresh):
            fresh.run(*manage("restore", str(file)))
            before = _running(fresh)
            after = _running_after_sweeping(fresh)
            found = violations(fresh.dsn, acknowledged)
            wrong = [
                replace(each, rule=f"after a restore: {each.rule}")
                for each in found
                if each.promise in NEVER
            ]
    figures = {"acknowledged": len(acknowledged), "on_their_way": before, "unfinished": after}
    return wrong, figures


def _running_after_sweeping(place: Place) -> int:
    """Sweep until nothing is on its way, or the time is over: what was held when the backup was taken is free."""
    deadline = time.monotonic() + SETTLES_WITHIN
    while (running := _running(place)) and time.monotonic() < deadline:
        place.run(*manage("sweep", "--once"))
    return running


def _running(place: Place) -> int:
    with connected(place.dsn) as connection:
        row = connection.execute(
            "SELECT count(*) FROM governance_looptrace WHERE state = 'running'"
        ).fetchone()
    return int(row[0]) if row else 0

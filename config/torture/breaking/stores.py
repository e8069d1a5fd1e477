"""The broker, the live channel and the database: taken away, emptied, silenced, misled, and brought back from a file."""

from __future__ import annotations

import random
import signal
import time
from typing import Any

from celery import Celery

from governance.ids import new_id

from ..client.journal import read_journal
from ..faults import Fault, Kind
from ..invariants import connected
from ..points import BRIDGES
from ..restoring import back_up
from ..site import Site

SIGNALS = {Kind.KILL_POSTGRES: signal.SIGKILL, Kind.STOP_POSTGRES: signal.SIGQUIT}
# Longer than the broker's own time-out of 5 s now and then.
SILENT_SECONDS = (2.0, 7.0)
MISLED_ABOUT = 60


def break_postgres(site: Site, fault: Fault) -> None:
    """The server ends without a checkpoint, and is away for a moment."""
    site.place.break_postgres(SIGNALS[fault.kind], fault.outage)


def flush_broker(site: Site, fault: Fault) -> None:
    """All that it holds is thrown away."""
    site.place.the_broker.flush()


def stop_broker(site: Site, fault: Fault) -> None:
    """It is gone for a while, and comes back empty."""
    site.place.the_broker.kill()
    time.sleep(1.0 + fault.outage)
    site.place.the_broker.start()


def silence_broker(site: Site, fault: Fault) -> None:
    """It takes connections and answers nothing: worse than one that is gone."""
    low, high = SILENT_SECONDS
    with site.place.the_broker.silent():
        time.sleep(low + fault.outage * (high - low))


def mislead(site: Site, fault: Fault) -> None:
    """Hints that nobody should have sent: each twice, in the wrong order, for what is done and for what never was."""
    rng = random.Random(fault.seed)  # noqa: S311 - repeatable, guards nothing
    with connected(site.place.dsn) as connection:
        steps: list[tuple[Any, ...]] = connection.execute(
            "SELECT stage, id FROM governance_loopstep ORDER BY id DESC LIMIT %s", [MISLED_ABOUT]
        ).fetchall()
    steps += [(stage, new_id("stp")) for stage in BRIDGES]
    hints = [(f"loop.{stage}", step) for stage, step in (*steps, *reversed(steps))]
    hints += [(f"loop.{rng.choice(BRIDGES)}", step) for _, step in steps]
    with Celery(broker=site.place.the_broker.url) as app:
        for name, step in hints:
            app.send_task(name, args=[step], ignore_result=True)


def lose_channel(site: Site, fault: Fault) -> None:
    """Somebody follows a story while the live channel goes away; nothing of it may be missed."""
    streams = site.place.streaming()
    if streams.name not in site.supervisor.running:
        site.supervisor.start(streams)
    site.supervisor.wait_until_up(streams.name)
    attack = site.client.attack("follow")
    if site.client.wait_until_ready(attack):
        site.place.the_broker.kill()
        try:
            site.client.let_go_on(attack)
            site.figures.attacks[f"{fault.kind} {fault.number}"] = site.client.wait_until_done(
                attack
            )
        finally:
            site.place.the_broker.start()


def take_backup(site: Site, fault: Fault) -> None:
    """A backup is taken in the midst of the work; it is restored in the end."""
    acknowledged = read_journal(site.place.journal)
    file = site.place.directory / f"backup-{fault.number}"
    back_up(site.place, file)
    site.backups.append((file, acknowledged))

"""Processes that are killed, frozen, doubled, or that believe it is another day."""

from __future__ import annotations

import random
import signal
import time

from governance.loop.queue import LEASE_SECONDS

from ..clocks import Clock
from ..faults import Fault, Kind
from ..invariants import connected
from ..kills import wave
from ..outsider import Stuck
from ..site import Site

TARGETS = {
    Kind.KILL_WORKER: "worker",
    Kind.KILL_SWEEPER: "sweeper",
    Kind.KILL_WEB: "web",
    Kind.KILL_SIGNER: "signer",
    Kind.KILL_WHOLE: "whole",
    Kind.FREEZE_SWEEPER: "sweeper",
}
EXPIRES_WITHIN = 30.0
LOOK_EVERY = 0.1
JUMPS_SECONDS = (86_400, -86_400)
STAYS_SECONDS = 1.5


def kill(site: Site, fault: Fault) -> None:
    """kill -9 for the whole process group."""
    site.supervisor.kill(TARGETS[fault.kind])


def die_at_points(site: Site, fault: Fault) -> None:
    """A sweeper dies at each point of each bridge, while there is no worker to take its loops from it."""
    rng = random.Random(fault.seed)  # noqa: S311 - repeatable, guards nothing
    with site.supervisor.without("worker"):
        site.victims.die(wave(fault.number, rng), site.client, fault.loops)


def freeze_sweeper(site: Site, fault: Fault) -> None:
    """A process that stands still for longer than its leases last, and then goes on as if nothing had been."""
    site.supervisor.signal("sweeper", signal.SIGSTOP)
    time.sleep(LEASE_SECONDS + fault.outage + 1.0)
    site.supervisor.signal("sweeper", signal.SIGCONT)


def two_sweepers(site: Site, fault: Fault) -> None:
    """A second one, for good."""
    site.supervisor.start(site.place.another_sweeper(fault.number))
    site.supervisor.wait_until_up(site.place.another_sweeper(fault.number).name)


def two_beats(site: Site, fault: Fault) -> None:
    """Two clocks, and questions that become due for both of them at once."""
    beats = site.place.beats()
    site.supervisor.start(*(beat for beat in beats if beat.name not in site.supervisor.running))
    site.supervisor.wait_until_up(*(beat.name for beat in beats))
    held = site.client.attack("hold_questions")
    if site.client.wait_until_ready(held):
        deadline = time.monotonic() + EXPIRES_WITHIN
        with connected(site.place.dsn) as connection:
            connection.execute(
                "UPDATE governance_checkpoint SET expires_at = now() WHERE state = 'pending'"
            )
            connection.commit()
            while connection.execute(_OVERDUE).fetchone() != (0,):
                connection.commit()
                if time.monotonic() > deadline:
                    raise Stuck("the beats do not end what is overdue")
                time.sleep(LOOK_EVERY)
        site.client.let_go_on(held)
    site.client.wait_until_done(held)


def jump_clock(site: Site, fault: Fault) -> None:
    """The sweeper's clock jumps by a day, forth and back; leases are the database's affair."""
    clock = Clock(site.place.directory / "clock")
    clock.show(0)
    sweeper = site.place.sweeper(clock.env())
    site.supervisor.replace(sweeper)
    site.supervisor.wait_until_up(sweeper.name)
    for jump in JUMPS_SECONDS:
        clock.show(jump)
        clock.check(jump)
        time.sleep(STAYS_SECONDS)


_OVERDUE = (
    "SELECT count(*) FROM governance_checkpoint WHERE state = 'pending' AND expires_at <= now()"
)

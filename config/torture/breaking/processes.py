"""Processes that are killed, frozen, doubled, or that believe it is another day."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

from governance.loop.queue import LEASE_SECONDS

from ..clocks import Clock
from ..faults import Fault, Kind
from ..invariants import connected, on_their_way
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
ENDS_WITHIN = 90.0
FINISHED_EACH = 3
FEW = 10
RUN_LOOPS = ("worker", "another sweeper")  # besides the sweeper
LOOK_EVERY = 0.1
JUMPS_SECONDS = (86_400, -86_400)


def kill(site: Site, fault: Fault) -> None:
    """kill -9 for the whole process group."""
    site.supervisor.kill(TARGETS[fault.kind])


def die_at_points(site: Site, fault: Fault) -> None:
    """A sweeper dies at each point of each bridge, while there is nobody else to take its loops from it."""
    rng = random.Random(fault.seed)  # noqa: S311 - repeatable, guards nothing
    # What an earlier wave left is run first: a step that is lost five times by itself is rightly called dead.
    _wait_for(lambda: len(on_their_way(site.place.dsn)) <= FEW, "the loops of before do not end")
    with _without(site, "sweeper", *RUN_LOOPS):
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
        with connected(site.place.dsn) as connection:
            connection.execute(_MAKE_OVERDUE)
        _wait_for(lambda: _overdue(site) == 0, "the beats do not end what is overdue")
        site.client.let_go_on(held)
    site.client.wait_until_done(held)


def jump_clock(site: Site, fault: Fault) -> None:
    """The sweeper's clock jumps by a day, forth and back, and it works on: leases are the database's affair."""
    clock = Clock(site.place.directory / "clock")
    clock.show(0)
    sweeper = site.place.sweeper(clock.env())
    site.supervisor.replace(sweeper)
    site.supervisor.wait_until_up(sweeper.name)
    with _without(site, *RUN_LOOPS):
        for jump in JUMPS_SECONDS:
            clock.show(jump)
            clock.check(jump)
            wanted = _landed(site) + FINISHED_EACH
            site.client.grant(FINISHED_EACH, "scene")
            _wait_for(partial(_has_landed, site, wanted), "a sweeper off by a day stands still")
    site.supervisor.replace(site.place.sweeper())


@contextmanager
def _without(site: Site, *beginnings: str) -> Iterator[None]:
    """Kill the programs whose names begin so, and start them again afterwards."""
    with ExitStack() as gone:
        for name in [each for each in site.supervisor.running if each.startswith(beginnings)]:
            gone.enter_context(site.supervisor.without(name))
        yield


def _overdue(site: Site) -> int:
    return _count(site, _OVERDUE)


def _landed(site: Site) -> int:
    """How many loops have been completed."""
    return _count(site, _COMPLETE)


def _has_landed(site: Site, loops: int) -> bool:
    return _landed(site) >= loops


def _count(site: Site, question: str) -> int:
    with connected(site.place.dsn) as connection:
        row = connection.execute(question).fetchone()
    return int(row[0]) if row else 0


def _wait_for(is_so: Callable[[], bool], why: str) -> None:
    deadline = time.monotonic() + ENDS_WITHIN
    while not is_so():
        if time.monotonic() > deadline:
            raise Stuck(why)
        time.sleep(LOOK_EVERY)


_COMPLETE = """
SELECT count(*) FROM governance_looptrace t JOIN governance_tenant n ON n.id = t.tenant_id
 WHERE t.state = 'complete' AND n.slug = 'scene'
"""
_MAKE_OVERDUE = "UPDATE governance_checkpoint SET expires_at = now() WHERE state = 'pending'"
_OVERDUE = (
    "SELECT count(*) FROM governance_checkpoint WHERE state = 'pending' AND expires_at <= now()"
)

"""What comes from outside by HTTP, and what outside servers answer."""

from __future__ import annotations

import random
import time

from ..faults import Fault, Kind
from ..outside import Mood
from ..outsider import Stuck
from ..points import BRIDGES
from ..site import Site

MOODS = {
    Kind.OUTSIDE_HANGS: Mood.HANGS,
    Kind.OUTSIDE_DRIPS: Mood.DRIPS,
    Kind.OUTSIDE_FAILS: Mood.FAILS,
    Kind.OUTSIDE_JUNK: Mood.JUNK,
}
POISONS = {
    Kind.POISON_ERROR: "error",
    Kind.POISON_MEMORY: "memory",
    Kind.POISON_KILLED: "killed",
    Kind.POISON_ENDLESS: "endless",
}
# Each first poison is for another bridge, whatever the seed.
FIRST_STAGE = {
    Kind.POISON_ERROR: "loop_complete",
    Kind.POISON_MEMORY: "policy_generated",
    Kind.POISON_KILLED: "routing_adjusted",
    Kind.POISON_ENDLESS: "recovery_suggested",
}
CALLS = 4
MET_WITHIN = 60.0
LOOK_EVERY = 0.05


def feed_poison(site: Site, fault: Fault) -> None:
    """An incident that one bridge cannot survive, among others that it can."""
    rng = random.Random(fault.seed)  # noqa: S311 - repeatable, guards nothing
    stage = rng.choice(BRIDGES) if fault.number else FIRST_STAGE[fault.kind]
    site.client.grant(2, "scene")
    attack = site.client.attack("poison", poison=POISONS[fault.kind], stage=stage)
    site.client.grant(2, "scene")
    site.client.wait_until_done(attack)
    site.poisoned_at = time.monotonic()


def attack(site: Site, fault: Fault) -> None:
    """Whatever the client does under this name, to its end."""
    number = site.client.attack(fault.kind.value)
    site.figures.attacks[f"{fault.kind} {fault.number}"] = site.client.wait_until_done(number)


def spoil_the_outside(site: Site, fault: Fault) -> None:
    """Servers that we call are in a bad mood, until some of our calls have met it."""
    mood, outside = MOODS[fault.kind], site.outside
    wanted, deadline = outside.met[mood] + CALLS // 2, time.monotonic() + MET_WITHIN
    outside.mood = mood
    try:
        site.client.grant(CALLS, "calls")
        while outside.met[mood] < wanted:
            if time.monotonic() > deadline:
                raise Stuck(f"nobody has called the servers that are in the mood {mood}")
            time.sleep(LOOK_EVERY)
        time.sleep(fault.outage)
    finally:
        outside.mood = Mood.GOOD

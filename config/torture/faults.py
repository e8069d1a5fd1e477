"""What is broken, how often, and when: drawn from a seed, so that a bad run can be had again."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """One way to break the product."""

    # Fed first, because it takes a poisoned step a minute to die of it.
    POISON_ERROR = "poison_error"
    POISON_MEMORY = "poison_memory"
    POISON_KILLED = "poison_killed"
    POISON_ENDLESS = "poison_endless"
    # Processes
    DIE_AT_POINTS = "die_at_points"  # a wave of sweepers, one for each point of each bridge
    KILL_WORKER = "kill_worker"
    KILL_SWEEPER = "kill_sweeper"
    KILL_WEB = "kill_web"
    KILL_SIGNER = "kill_signer"
    KILL_WHOLE = "kill_whole"  # the one-process product
    FREEZE_SWEEPER = "freeze_sweeper"  # longer than its leases last
    TWO_SWEEPERS = "two_sweepers"
    TWO_BEATS = "two_beats"
    JUMP_CLOCK = "jump_clock"
    # What they stand on
    STOP_BROKER = "stop_broker"
    SILENCE_BROKER = "silence_broker"
    FLUSH_BROKER = "flush_broker"
    MISLEAD = "mislead"  # hints twice, out of order, and for what is done or never was
    LOSE_CHANNEL = "lose_channel"
    KILL_POSTGRES = "kill_postgres"  # kill -9 of the postmaster
    STOP_POSTGRES = (
        "stop_postgres"  # pg_ctl stop -m immediate: no checkpoint, recovery at the start
    )
    RESTORE = "restore"
    # Who calls, and whom we call
    HOSTILE_BODIES = "hostile_bodies"
    RACE_DECISIONS = "race_decisions"
    RACE_PATTERNS = "race_patterns"
    OUTSIDE_HANGS = "outside_hangs"
    OUTSIDE_DRIPS = "outside_drips"
    OUTSIDE_FAILS = "outside_fails"
    OUTSIDE_JUNK = "outside_junk"


POISONS = (Kind.POISON_ENDLESS, Kind.POISON_KILLED, Kind.POISON_ERROR, Kind.POISON_MEMORY)
NEEDS_BROKER = frozenset(
    {Kind.STOP_BROKER, Kind.SILENCE_BROKER, Kind.FLUSH_BROKER, Kind.MISLEAD, Kind.LOSE_CHANNEL}
)
# A fault comes a little after the work that it was waiting for, so that it finds steps half done.
LATEST_AFTER_SECONDS = 0.15
LONGEST_OUTAGE_SECONDS = 1.0
# A wave of deaths takes a sweeper for each point, and each of them something to work on. What they held is run one
# by one afterwards: it must not be more than a machine can do within the 15 seconds.
SHARES = {Kind.DIE_AT_POINTS: 2}


EVERY_PART_APART: tuple[Kind, ...] = tuple(kind for kind in Kind if kind != Kind.KILL_WHOLE)


@dataclass(frozen=True, slots=True)
class Form:
    """How much of everything: loops, faults while the processes are apart, faults while they are one."""

    name: str
    loops: int
    apart: Mapping[Kind, int]
    whole: Mapping[Kind, int] = field(default_factory=dict)


SHORT = Form(
    "short",
    loops=300,
    apart=dict.fromkeys(EVERY_PART_APART, 1) | {Kind.KILL_WORKER: 2},
    whole={Kind.KILL_WHOLE: 1},
)
# 1,000 deaths, 40 at each of the five points of each of the five bridges; and everything else.
FULL = Form(
    "full",
    loops=10_000,
    apart=dict.fromkeys(EVERY_PART_APART, 3)
    | {
        Kind.DIE_AT_POINTS: 40,
        Kind.KILL_WORKER: 14,
        Kind.KILL_SWEEPER: 12,
        Kind.KILL_WEB: 10,
        Kind.FLUSH_BROKER: 5,
        Kind.MISLEAD: 5,
        Kind.RACE_DECISIONS: 10,
        Kind.RACE_PATTERNS: 10,
        Kind.KILL_POSTGRES: 2,
        Kind.STOP_POSTGRES: 2,
        Kind.RESTORE: 1,
    },
    whole={Kind.KILL_WHOLE: 14, Kind.KILL_POSTGRES: 1, Kind.STOP_POSTGRES: 1},
)


def kills(waves: int) -> Form:
    """Nothing but deaths at points: a wave is one at each of the twenty-five, with four loops for each."""
    return Form("kills", waves * 100, apart={Kind.DIE_AT_POINTS: waves})


def only(form: Form, wanted: Collection[Kind]) -> Form:
    """The form with the faults of these kinds alone."""

    def chosen(counts: Mapping[Kind, int]) -> dict[Kind, int]:
        return {kind: count for kind, count in counts.items() if kind in wanted}

    return Form(form.name, form.loops, chosen(form.apart), chosen(form.whole))


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault to come, the ``number``-th of its kind from 0.

    ``loops``: how many the client opens for it; ``after``: how many of these must be acknowledged first; ``delay``:
    seconds to wait from there; ``outage``: seconds that what is taken away stays away; ``seed``: for whatever else is
    drawn.
    """

    kind: Kind
    number: int
    is_whole: bool
    loops: int
    after: int
    delay: float
    outage: float
    seed: int


def plan(form: Form, loops: int, seed: int) -> list[Fault]:
    """The faults in order, each in a stretch of work of its own; first the processes apart, then as one.

    Raises ValueError when there are fewer loops than faults.
    """
    rng = random.Random(seed)  # noqa: S311 - repeatable, guards nothing
    kinds = [(kind, False) for kind in _shuffled(form.apart, rng)]
    kinds += [(kind, True) for kind in _shuffled(form.whole, rng)]
    if loops < len(kinds):
        raise ValueError(f"{len(kinds)} faults need at least as many loops.")
    edges = _edges([SHARES.get(kind, 1) for kind, _ in kinds], loops)
    seen: dict[Kind, int] = {}
    faults = []
    for (kind, is_whole), begin, end in zip(kinds, edges, edges[1:], strict=False):
        seen[kind] = seen.get(kind, -1) + 1
        faults.append(
            Fault(
                kind,
                seen[kind],
                is_whole,
                loops=end - begin,
                after=rng.randrange(end - begin),
                delay=rng.uniform(0.0, LATEST_AFTER_SECONDS),
                outage=rng.uniform(0.0, LONGEST_OUTAGE_SECONDS),
                seed=rng.randrange(2**32),
            )
        )
    return faults


def _edges(shares: list[int], loops: int) -> list[int]:
    """Where each stretch of work ends; every one has a loop at least."""
    spare, whole, passed, edges = loops - len(shares), sum(shares), 0, [0]
    for number, share in enumerate(shares, 1):
        passed += share
        edges.append(number + spare * passed // whole)
    return edges


def _shuffled(counts: Mapping[Kind, int], rng: random.Random) -> list[Kind]:
    """In any order, but the first poison of each kind first."""
    kinds = [kind for kind, count in counts.items() for _ in range(count)]
    first = [kind for kind in POISONS if kind in kinds]
    for kind in first:
        kinds.remove(kind)
    rng.shuffle(kinds)
    return first + kinds

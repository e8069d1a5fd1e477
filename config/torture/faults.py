"""What is broken, how often, and when: drawn from a seed, so that a bad run can be had again."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """One way to break the product."""

    KILL_WORKER = "kill_worker"
    KILL_SWEEPER = "kill_sweeper"
    KILL_WEB = "kill_web"
    KILL_WHOLE = "kill_whole"  # the one-process product
    FLUSH_BROKER = "flush_broker"
    KILL_POSTGRES = "kill_postgres"  # kill -9 of the postmaster
    STOP_POSTGRES = (
        "stop_postgres"  # pg_ctl stop -m immediate: no checkpoint, recovery at the start
    )


KILLS = frozenset({Kind.KILL_WORKER, Kind.KILL_SWEEPER, Kind.KILL_WEB, Kind.KILL_WHOLE})
# A fault comes a little after the work that it was waiting for, so that it finds steps half done.
LATEST_AFTER_SECONDS = 0.15
LONGEST_OUTAGE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Form:
    """How much of everything: loops, faults while the processes are apart, faults while they are one."""

    name: str
    loops: int
    apart: Mapping[Kind, int]
    whole: Mapping[Kind, int]


SHORT = Form(
    "short",
    loops=300,
    apart={
        Kind.KILL_WORKER: 3,
        Kind.KILL_SWEEPER: 3,
        Kind.KILL_WEB: 2,
        Kind.FLUSH_BROKER: 2,
        Kind.KILL_POSTGRES: 1,
        Kind.STOP_POSTGRES: 1,
    },
    whole={Kind.KILL_WHOLE: 2},
)
# 50 kills, 5 flushes, 3 restarts of the database.
FULL = Form(
    "full",
    loops=2_000,
    apart={
        Kind.KILL_WORKER: 16,
        Kind.KILL_SWEEPER: 12,
        Kind.KILL_WEB: 10,
        Kind.FLUSH_BROKER: 5,
        Kind.KILL_POSTGRES: 1,
        Kind.STOP_POSTGRES: 1,
    },
    whole={Kind.KILL_WHOLE: 12, Kind.KILL_POSTGRES: 1},
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault to come.

    ``granted``: how many loops the client may have opened by then; ``after``: how many must be acknowledged first;
    ``delay``: seconds to wait from there; ``outage``: seconds that the database stays away.
    """

    kind: Kind
    is_whole: bool
    granted: int
    after: int
    delay: float
    outage: float


def plan(form: Form, loops: int, seed: int) -> list[Fault]:
    """The faults in order, each in a stretch of work of its own; first the processes apart, then as one.

    Raises ValueError when there are fewer loops than faults.
    """
    rng = random.Random(seed)  # noqa: S311 - repeatable, guards nothing
    kinds = [(kind, False) for kind in _shuffled(form.apart, rng)]
    kinds += [(kind, True) for kind in _shuffled(form.whole, rng)]
    if loops < len(kinds):
        raise ValueError(f"{len(kinds)} faults need at least as many loops.")
    edges = [loops * place // len(kinds) for place in range(len(kinds) + 1)]
    return [
        Fault(
            kind,
            is_whole,
            granted=end,
            after=rng.randint(begin, end - 1),
            delay=rng.uniform(0.0, LATEST_AFTER_SECONDS),
            outage=rng.uniform(0.0, LONGEST_OUTAGE_SECONDS),
        )
        for (kind, is_whole), begin, end in zip(kinds, edges, edges[1:], strict=False)
    ]


def _shuffled(counts: Mapping[Kind, int], rng: random.Random) -> list[Kind]:
    kinds = [kind for kind, count in counts.items() for _ in range(count)]
    rng.shuffle(kinds)
    return kinds

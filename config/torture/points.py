"""Named points in the life of a step where a process can be told to kill itself.

    claimed    the step is ours, in a transaction that is over; nothing is done yet
    fenced     its row is locked; the bridge has not begun
    landed     the bridge's effects are written; nothing says so yet
    recorded   step, event and ledger entry are written too; not committed
    committed  all of it is committed; nobody was told and nothing that follows has begun
    called     (recovery only) a server that is not ours has answered; that is not written down yet

A loop goes through all its bridges in one transaction, or, once that has failed, in a transaction for each stage.
A crash is wanted in one of the two; ``apart`` makes those of many stages fail, which is the product's own
way into the second.

The points are put around the product's functions from outside, by the torture's settings and by nothing else.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from governance.loop import run
from governance.loop.bridges import Bridge, Outcome, Work
from governance.loop.record import Record
from governance.models import Stage
from recovery import outside

EVERY_BRIDGE = ("claimed", "fenced", "landed", "recorded", "committed")
CALLED = "called"
BRIDGES = tuple(stage.value for stage in Stage if stage != Stage.INCIDENT_CREATED)
# Where the first transaction of a loop that nobody has run yet comes by.
TOGETHER = {(BRIDGES[0], "claimed")} | {
    (stage, point) for stage in BRIDGES for point in EVERY_BRIDGE if point != "claimed"
}
VARIABLE = "ANTIBODY_CRASH_AT"


class Spoiled(Exception):
    """Raised so that the loops of a batch are taken one by one and stage by stage."""


@dataclass(frozen=True, slots=True)
class Crash:
    """Where a process dies: of ``stage``, at ``point``, with its stages in one transaction or ``apart``."""

    stage: str
    point: str
    apart: bool = False

    @classmethod
    def of(cls, words: str) -> Crash:
        """``stage:point`` or ``stage:point:apart``; raises ValueError for what is none."""
        match words.split(":"):
            case [stage, point, *rest] if (
                stage in BRIDGES and point in (*EVERY_BRIDGE, CALLED) and rest in ([], ["apart"])
            ):
                return cls(stage, point, apart=bool(rest))
        raise ValueError(f"{words!r} is no point of a bridge.")

    def __str__(self) -> str:
        return f"{self.stage}:{self.point}{':apart' if self.apart else ''}"


@dataclass(slots=True)
class Doom:
    """What this process is to die of, and how far it has come."""

    crash: Crash | None = None
    last_word: Callable[[], object] = str  # says nothing
    is_through: bool = False  # one transaction for all stages, at this moment
    recorded: set[str] = field(
        default_factory=set
    )  # stages that the transaction at hand has written down

    def has_come(self, point: str, stages: Collection[str]) -> bool:
        if self.crash is None or self.crash.point != point or self.crash.stage not in stages:
            return False
        return point == CALLED or self.crash.apart is not self.is_through

    def spoils(self) -> bool:
        """Whether the transaction that begins must fail, so that the next ones are of one stage."""
        return self.crash is not None and self.crash.apart and self.is_through


_doom = Doom()


def arm(crash: Crash, last_word: Callable[[], object] = str) -> None:
    """Let this process die there, after one last word."""
    _doom.crash, _doom.last_word = crash, last_word


def reached(point: str, *stages: str) -> None:
    """Die, if this is where; kill -9 leaves no time for anything that a process does on its way out."""
    if _doom.has_come(point, stages):
        _doom.last_word()
        os.kill(os.getpid(), signal.SIGKILL)


def around(bridge: Bridge) -> Bridge:
    """The bridge with its two points."""

    def land(works: Sequence[Work]) -> Mapping[str, Outcome]:
        reached("fenced", bridge.stage)
        outcomes = bridge.land(works)
        reached("landed", bridge.stage)
        return outcomes

    return Bridge(bridge.stage, bridge.name, land, undo=bridge.undo, ask=bridge.ask)


def install() -> None:
    """Put the other points around what claims, records and calls; and arm this process, if it was told to be."""
    run._land = _around_landing(run._land)  # noqa: SLF001 - from outside, or it would be in the product
    Record.write = _around_record(Record.write)  # type: ignore[assignment,method-assign]
    outside.post = _around_call(outside.post)
    if words := os.environ.get(VARIABLE):
        arm(Crash.of(words))


def _around_landing(land: Callable[..., Any]) -> Callable[..., Any]:
    def landing(token: str, works: list[Work], *, through: bool) -> Any:
        _doom.is_through = through
        reached("claimed", works[0].stage)
        if _doom.spoils():
            raise Spoiled
        _doom.recorded.clear()
        landed = land(token, works, through=through)
        reached("committed", *_doom.recorded)
        return landed

    return landing


def _around_record(write: Callable[[Record], list[Work]]) -> Callable[[Record], list[Work]]:
    def recording(self: Record) -> list[Work]:
        _doom.recorded.update(each["stage"] for each in self._steps)
        left = write(self)
        reached("recorded", *_doom.recorded)
        return left

    return recording


def _around_call(post: Callable[..., outside.Answer]) -> Callable[..., outside.Answer]:
    def calling(*args: Any, **kwargs: Any) -> outside.Answer:
        answer = post(*args, **kwargs)
        reached(CALLED, Stage.RECOVERY_SUGGESTED)
        return answer

    return calling

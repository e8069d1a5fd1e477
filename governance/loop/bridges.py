"""What a bridge is: one pillar's step of the loop, and what may come of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any, TypeVar

from django.conf import settings

from ..actors import Actor

Facts = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Work:
    """One claimed step: what a bridge is given.

    ``facts`` is what the earlier bridges of this loop found, ids mostly (``match_id``, ``pattern_id``, ``band`` …).
    ``answer`` is what ``ask`` returned, None where nothing was asked. ``kept`` are records that earlier bridges of the
    same transaction handed on, by their model. ``gesture`` is what made the step ready: whatever a bridge writes for
    this one step, it writes inside ``caused_by(work.gesture)``.
    """

    step_id: str
    tenant_id: str
    trace_id: str
    incident_id: str
    stage: str
    facts: Facts
    attempts: int = 1
    answer: Any = None
    kept: Mapping[type, Any] = field(default_factory=dict)
    gesture: str = ""

    def at_hand(self, kind: type[T]) -> T | None:
        """The record of this model that an earlier bridge handed on; it saves a query, and may not be there."""
        return self.kept.get(kind)

    @property
    def is_suspect(self) -> bool:
        """Whether it was lost by somebody who ran it alone: the first loss may have been a neighbour's doing."""
        return self.attempts > 2

    @property
    def is_asking(self) -> bool:
        """Whether it has announced what it asks outside, and not landed since."""
        return "ask" in self.facts


@dataclass(frozen=True, slots=True)
class Told:
    """One event that a bridge adds to the story, on its own trace or on another (``trace_id``)."""

    type: str
    headline: str
    subject: str = ""
    details: Facts = field(default_factory=dict)
    trace_id: str = ""


@dataclass(frozen=True, slots=True)
class GoOn:
    """The stage is done. ``facts`` are added to what the next bridge is given; ``headline`` says what happened.

    ``failure_state`` marks a weakness that the story carries on with, such as match_low_confidence. ``hands_on``
    are records for the bridges that land in the same transaction, one of a model.
    """

    headline: str
    subject: str = ""
    facts: Facts = field(default_factory=dict)
    failure_state: str = ""
    events: Sequence[Told] = ()
    hands_on: Sequence[Any] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Wait:
    """The stage waits, in a named state, until ``loop.resume(waits_for)`` is called."""

    failure_state: str
    waits_for: str
    headline: str
    subject: str = ""
    facts: Facts = field(default_factory=dict)
    events: Sequence[Told] = ()


@dataclass(frozen=True, slots=True)
class Stop:
    """The loop ends here, in a named state; a person may still retry the stage."""

    failure_state: str
    headline: str
    subject: str = ""
    facts: Facts = field(default_factory=dict)
    events: Sequence[Told] = ()


@dataclass(frozen=True, slots=True)
class Ask:
    """The bridge must ask outside first: ``request`` is handed to its ``ask``, then it lands again.

    The request is kept with the step before anything is sent, so that a crash asks again with the same key.
    ``seconds`` is how long the asking may take.
    """

    request: Facts
    seconds: float
    headline: str = ""
    facts: Facts = field(default_factory=dict)
    events: Sequence[Told] = ()


Outcome = GoOn | Wait | Stop | Ask


class TryLater(Exception):
    """What ``ask`` raises when the other side is away: the step is given back, and it is no failure of the step's.

    ``attempts`` is how often it was asked so far: who raises it keeps count, and gives up by an answer that says so.
    """

    def __init__(self, cause: str, attempts: int) -> None:
        super().__init__(cause)
        self.attempts = attempts


Land = Callable[[Sequence[Work]], Mapping[str, Outcome]]
AskOutside = Callable[[Work, Facts], Any]
Undo = Callable[[str, str, Actor, str], None]


@dataclass(frozen=True, slots=True)
class Bridge:
    """One step of the loop.

    land(works) -> {step id: outcome} runs inside the fenced transaction, for several loops of one tenant at
    once. ask(work, request) runs outside any transaction and returns a JSON value or raises.
    undo(incident_id, trace_id, actor, reason) takes back what only this loop caused.
    """

    stage: str
    name: str
    land: Land
    undo: Undo | None = None
    ask: AskOutside | None = None

    @property
    def task_name(self) -> str:
        return f"loop.{self.stage}"


Decided = Callable[[Any, Actor], None]


@cache
def bridges() -> Mapping[str, Bridge]:
    """The bridges in order, by the stage they lead to; from the module that settings.ANTIBODY_LOOP names."""
    return {bridge.stage: bridge for bridge in import_module(settings.ANTIBODY_LOOP).BRIDGES}


@cache
def decisions() -> Mapping[str, Decided]:
    """What a decided checkpoint does, by its type: a verb called in the deciding transaction."""
    table: Mapping[str, Decided] = import_module(settings.ANTIBODY_LOOP).DECISIONS
    return table


def stage_after(stage: str) -> str | None:
    """The stage that follows, None after the last."""
    order = list(bridges())
    place = order.index(stage) + 1 if stage in order else 0
    return order[place] if place < len(order) else None

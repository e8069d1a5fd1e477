"""What lists show of a loop and of an event, the same on pages and in live streams."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..models import LoopEvent, LoopTrace, Stage
from ..story.progress import STAGES
from ..story.timeline import entry
from .people import names_of

# What the stage after the last one that came true is doing, by the state of the loop.
NEXT = {
    LoopTrace.State.RUNNING: "running",
    LoopTrace.State.WAITING: "waiting",
    LoopTrace.State.STOPPED: "failed",
    LoopTrace.State.DEAD: "dead",
    LoopTrace.State.REVERTED: "reverted",
    LoopTrace.State.COMPLETE: "done",
}


@dataclass(frozen=True, slots=True)
class Stop:
    """One stop of the rail: a stage and how it stands there."""

    stage: str
    state: str


@dataclass(frozen=True, slots=True)
class Row:
    """One loop in a list."""

    trace: LoopTrace
    rail: tuple[Stop, ...]


def row(trace: LoopTrace) -> Row:
    """A loop with the rail that its state and its last stage draw; needs no look at its steps."""
    return Row(trace, rail(trace))


def rail(trace: LoopTrace) -> tuple[Stop, ...]:
    """The five stages: done up to where the loop is, the next one by the loop's state, the rest to come."""
    done = (
        len(STAGES) if trace.stage == Stage.LOOP_COMPLETE else STAGES.index(Stage(trace.stage)) + 1
    )
    states = ["done"] * done + [NEXT[LoopTrace.State(trace.state)]] + ["pending"] * len(STAGES)
    return tuple(Stop(stage, state) for stage, state in zip(STAGES, states, strict=False))


def told(events: Iterable[LoopEvent]) -> list[dict[str, Any]]:
    """Events as the timeline shows them, with who did it by name and the story they belong to."""
    return named(
        [
            {**entry(event), "incident_id": event.trace.incident_id, "of": event.trace.headline}
            for event in events
        ]
    )


def named(entries: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same entries with ``by``: what to call the actor."""
    names = names_of(each["actor"] for each in entries)
    return [{**each, "by": names[each["actor"]]} for each in entries]

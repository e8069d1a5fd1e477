"""What synthesis reads and what it answers."""

import json
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

from governance.rules import wilson_interval
from policies.rules.history import FIRST, History

THIN_SAMPLE = 20
"""Good calls below which a backtest says little: with none of 20 harmed, up to 16 % could be."""


@dataclass(frozen=True)
class Call:
    """One call of a tool by an agent, as the guard saw it."""

    tool: str
    arguments: Mapping[str, Any]
    run_id: str = ""
    kind: str = "tool_call"
    history: History = FIRST
    """What its run had done before it."""
    error: str = field(default="", compare=False)
    """What was said when it failed."""
    run: str = field(default="", compare=False)
    """Its run as the agent calls it, and conditions do; empty where that is not known."""
    agent: str = field(default="", compare=False)
    decision: str = field(default="", compare=False)
    """The guard's record of it, by which more can be asked."""

    @cached_property
    def text(self) -> str:
        """Its arguments as one text: whatever a condition looks for in them stands in it."""
        return json.dumps(self.arguments, ensure_ascii=False, sort_keys=True)


class Form(StrEnum):
    """How far a condition reaches beyond the call that caused it."""

    GENERAL = "general"
    IN_RUN = "in_run"
    """Exact, and general within the run that failed."""
    AGAIN = "again"
    """Exact, once it has failed in the same run."""
    EXACT = "exact"
    ABRIDGED = "abridged"
    """Exact, but some arguments were too long and are compared in part or not at all."""


@dataclass(frozen=True)
class Backtest:
    """A condition tried on the stored good calls of its tool."""

    sample: int
    false_rejections: int

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the share of good calls it would block, 0..1."""
        return wilson_interval(self.false_rejections, self.sample)

    @property
    def is_thin(self) -> bool:
        """Whether there is too little to tell."""
        return self.sample < THIN_SAMPLE


@dataclass(frozen=True)
class Draft:
    """A condition that blocks its own cause and no stored good call."""

    condition: str
    explanation: str
    form: Form
    covers: int
    """Known failing calls it would have blocked, its cause among them."""
    backtest: Backtest
    evidence: tuple[Call, ...]
    """Stored good calls most like the cause, all of which it lets through."""


@dataclass(frozen=True)
class TooThin:
    """No condition can be stood behind; `reason` says why, for a person."""

    reason: str


def identity(value: Any) -> Hashable:
    """A hashable stand-in that is equal exactly when CEL calls two JSON values equal.

    1 and 1.0 are, true and 1 are not (Python disagrees on the second).
    """
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, Mapping):
        return ("map", frozenset((name, identity(inner)) for name, inner in value.items()))
    if isinstance(value, list):
        return ("list", tuple(identity(inner) for inner in value))
    return value  # type: ignore[no-any-return]  # a number, a string or None

"""Decided actions as conditions see them, and what a condition says of thousands of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

from policies.conditions import Answer, Condition
from policies.models import Decision
from policies.syntax import Where

from . import history
from .ruling import Action


@dataclass(frozen=True)
class Acted(Action):
    """A decided action: as much of it as conditions can ask about. Thousands are read at once, and no more of each."""

    id: str

    @classmethod
    def of(cls, decision: Decision) -> Self:
        """The same of a decision whose agent and run are read."""
        return cls(
            decision.agent.name,
            decision.run.name,
            decision.step,
            decision.kind,
            decision.tool,
            decision.arguments,
            decision.context,
            decision.id,
        )

    @cached_property
    def texts(self) -> Mapping[Where, str]:
        """Where which texts are, of those that a condition can be found by; none where the engine cannot hold its facts."""
        facts = self.alone
        where = [("run.id",), *(("arguments", name) for name in self.arguments)]
        found = ((each, facts.text_at(each)) for each in where) if facts.are_held else ()
        return {each: text for each, text in found if text is not None}


ACTED = tuple(
    f"decision__{name}"
    for name in (
        *("agent__name", "run__name"),
        *("step", "kind", "tool", "arguments", "context", "id"),
    )
)
"""The columns of Acted, as outcomes lead to them."""


def answers(condition: Condition, acted: Sequence[Acted]) -> list[Answer]:
    """What a condition says of decided actions, each as the guard saw it."""
    if condition.asks_of_history:
        before = history.before(each.id for each in acted)
        return [condition.matches(each.facts(before.get(each.id))).answer for each in acted]
    found_by = condition.found_by
    return [
        condition.matches(each.alone).answer if _could_be(each, found_by) else Answer.NO
        for each in acted
    ]


def _could_be(acted: Acted, found_by: Sequence[tuple[Where, str]]) -> bool:
    """False where its texts show that it is none of what a condition that is found by these is true of."""
    texts = acted.texts
    for where, text in found_by:
        if texts.get(where, text) == text:
            return True
    return not found_by

"""Decided actions as conditions see them, and what a condition says of thousands of them.

What a condition asks about is kept in memory: to read an action and to hand it to the engine takes ten times what
asking it takes, a decision never changes, and each policy that is put to a person is tried on nearly the same ones.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from django.db import transaction
from django.db.models import QuerySet

from governance.database.compiled import compiled
from governance.database.tenancy import required_tenant
from policies.conditions import Answer, Condition
from policies.models import Decision, Outcome

from . import history
from .ruling import Action

KEPT = 12_000
"""Actions kept in one process, of all tenants, at some 4 kB each; those read longest ago go first."""


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
    if not condition.asks_of_history:
        return [condition.matches(each.alone).answer for each in acted]
    before = history.before(each.id for each in acted)
    return [condition.matches(each.facts(before.get(each.id))).answer for each in acted]


def carried_out(outcomes: Sequence[str]) -> list[Acted]:
    """The actions of these outcomes, in their order; those that are kept are not read again.

    Raises KeyError for an outcome that is none of the tenant in scope.
    """
    tenant = required_tenant()
    with _lock:
        found = {each: acted for each in outcomes if (acted := _kept.get((tenant, each)))}
    if away := [each for each in outcomes if each not in found]:
        fresh = {each: Acted(*row) for each, *row in _read(away)}
        found |= fresh
        # Only when what was read is committed: a transaction that is rolled back must leave nothing behind.
        transaction.on_commit(lambda: _keep(tenant, fresh), robust=True)
    return [found[each] for each in outcomes]


def forget() -> None:
    """Keep nothing, as in a process that has just started."""
    with _lock:
        _kept.clear()


_kept: dict[tuple[str, str], Acted] = {}
_lock = threading.Lock()


@compiled
def _read(outcomes: Sequence[str]) -> QuerySet[Outcome, tuple[Any, ...]]:
    return Outcome.objects.filter(id__any=outcomes).order_by().values_list("id", *ACTED)


def _keep(tenant: str, fresh: Mapping[str, Acted]) -> None:
    with _lock:
        _kept.update({(tenant, each): acted for each, acted in fresh.items()})
        for oldest in list(_kept)[: max(0, len(_kept) - KEPT)]:
            del _kept[oldest]

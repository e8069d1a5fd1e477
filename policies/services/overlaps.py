"""How the policies of a tenant stand to each other: duplicates, contradictions, and those that another one makes needless.

What is said here is certain; where nothing is said, nothing was shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any

from django.db.models import QuerySet

from governance.database.compiled import ask, compiled
from policies.as_code.linting import Clash, Said, clash, clashes
from policies.conditions import ConditionError
from policies.meaning import same
from policies.models import Policy

COMPARED = 200
"""Live policies about a tool that one is compared with, oldest first: a few milliseconds for all."""


def among(policies: Iterable[Policy]) -> list[Clash]:
    """Pairs of which one is not needed or never wins."""
    return list(clashes(_said(map(_compared, policies))))


def of(policy: Policy) -> list[str]:
    """What is to be known of a policy beside the live ones that are about the same calls, a sentence each."""
    others = _said(_others(policy))
    return [
        str(found)
        for mine in _said([_compared(policy)])
        for other in others
        if (found := clash(mine, other))
    ]


def saying(condition: str, tool: str) -> Policy | None:
    """The oldest live policy about all calls of a tool that says this, in whatever words; None where none does."""
    found: list[Policy]
    found, others = ask(_saying.ready(condition, tool), _compared_with.ready(tool))
    if found:
        return found[0]
    [wanted] = _said([_compared(Policy(condition=condition, tool=tool))])
    for said in _said(others):
        if same(wanted.meaning, said.meaning):
            return _about_all_calls_of(tool).get(pk=said.where)
    return None


def _about_all_calls_of(tool: str) -> QuerySet[Policy]:
    return Policy.objects.live().filter(tool=tool, scope_type=Policy.Scope.TENANT).order_by("id")


@compiled
def _saying(condition: str, tool: str) -> QuerySet[Policy]:
    return _about_all_calls_of(tool).filter(condition=condition)[:1]


@compiled
def _compared_with(tool: str) -> QuerySet[Policy, tuple[Any, ...]]:
    return _about_all_calls_of(tool).values_list(*_COMPARED_BY)[:COMPARED]


def _others(policy: Policy) -> list[tuple[Any, ...]]:
    if policy.tool and not policy.simulated:  # as nearly every policy is
        return _others_about(["", policy.tool], policy.id)
    others = _live_but(policy.id, simulated=policy.simulated)
    about = others.filter(tool__in=["", policy.tool]) if policy.tool else others
    return list(about[:COMPARED])


@compiled
def _others_about(tools: Sequence[str], but: str) -> QuerySet[Policy, tuple[Any, ...]]:
    return _live_but(but, simulated=False).filter(tool__any=tools)[:COMPARED]


def _live_but(policy: str, *, simulated: bool) -> QuerySet[Policy, tuple[Any, ...]]:
    others = Policy.objects.live().filter(simulated=simulated).exclude(id=policy)
    return others.order_by("id").values_list(*_COMPARED_BY)


_COMPARED_BY = ("name", "id", "condition", "action", "tool", "scope_type", "scope_id")
_compared = attrgetter(*_COMPARED_BY)


def _said(compared: Iterable[tuple[Any, ...]]) -> list[Said]:
    """Those that can be compared: a condition that was stored may be one that this version does not compile."""
    said = [
        Said(name, id, condition, action, tool, scope_id if scope == Policy.Scope.AGENT else "")
        for name, id, condition, action, tool, scope, scope_id in compared
    ]
    return [each for each in said if _compiles(each)]


def _compiles(said: Said) -> bool:
    try:
        said.meaning  # noqa: B018 - reading it compiles
    except ConditionError:
        return False
    return True

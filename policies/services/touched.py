"""The blast radius: which of the calls that were made lately a policy would have touched."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from governance.database.compiled import compiled
from governance.ids import first_id
from policies.conditions import Answer, ConditionError, compile_condition
from policies.models import Outcome, Policy

from .acted import ACTED, Acted, answers
from .latest import Latest

WINDOW = timedelta(days=30)
MOST_CALLS = 5_000
"""Newest calls that are looked at, of those that went well and of those that failed each: less than a second."""
CALLS_KEPT = 12_000
"""Calls kept in one process, of all tenants and tools, at some 4 kB each: to read one and to hand it to the engine takes
ten times what asking it takes, and each policy that is put to a person is tried on nearly the same ones."""

KEPT = Latest[Acted](most=MOST_CALLS, kept=CALLS_KEPT)


def blast_radius(policy: Policy) -> dict[str, Any]:
    """What the policy would have touched of the calls that were carried out in 30 days, as it is shown to a person.

    ``said`` is the sentence. Rehearsals do not count. ``is_complete`` is False where there were more calls than are
    looked at. A condition that cannot tell counts as it does in the guard, by the policy's failure mode.
    """
    try:
        condition = compile_condition(policy.condition)
    except ConditionError as error:
        return {"said": f"Nobody knows: its condition cannot be read ({error.message})."}
    counting = {Answer.YES}
    if policy.failure_mode == Policy.FailureMode.FAIL_CLOSED:
        counting.add(Answer.ERROR)
    looked_at, agents, hits = 0, set[str](), {True: 0, False: 0}
    is_complete = True
    for ok in (True, False):
        carried_out = _carried_out(policy, ok=ok)
        said = answers(condition, carried_out)
        touched = [
            each for each, answer in zip(carried_out, said, strict=True) if answer in counting
        ]
        hits[ok] = len(touched)
        agents.update(each.agent for each in touched)
        looked_at += len(carried_out)
        is_complete = is_complete and len(carried_out) < MOST_CALLS
    return {
        "said": _sentence(sum(hits.values()), len(agents), looked_at, is_complete=is_complete),
        "days": WINDOW.days,
        "looked_at": looked_at,
        "is_complete": is_complete,
        "calls": sum(hits.values()),
        "agents": len(agents),
        "went_well": hits[True],
        "failed": hits[False],
    }


def _carried_out(policy: Policy, *, ok: bool) -> list[Acted]:
    """Found by the index over tool and result, so that the cost follows the tool's own calls."""
    agent = policy.scope_id if policy.scope_type == Policy.Scope.AGENT else ""
    found = KEPT.read(
        policy.tool,
        agent,
        str(ok),
        ids_since=lambda since: _since(policy.tool, agent, since, ok=ok),
        items=lambda ids: {each: Acted(*row) for each, *row in _read(ids)},
        since=first_id("otc", timezone.now() - WINDOW),
    )
    return list(found.values())


def _since(tool: str, agent: str, since: str, *, ok: bool) -> list[str]:
    if tool and not agent:  # as nearly every policy is
        return _well_since(tool, since) if ok else _ill_since(tool, since)
    found = _newest(since, ok=ok)
    if tool:
        found = found.filter(tool=tool)
    if agent:
        found = found.filter(agent__name=agent)
    return list(found[:MOST_CALLS])


def _newest(since: str, *, ok: bool) -> QuerySet[Outcome, str]:
    found = Outcome.objects.filter(ok=ok, simulated=False, id__gt=since)
    return found.order_by("-id").values_list("id", flat=True)


@compiled
def _well_since(tool: str, since: str) -> QuerySet[Outcome, str]:
    return _newest(since, ok=True).filter(tool=tool)[:MOST_CALLS]


@compiled
def _ill_since(tool: str, since: str) -> QuerySet[Outcome, str]:
    return _newest(since, ok=False).filter(tool=tool)[:MOST_CALLS]


@compiled
def _read(outcomes: Sequence[str]) -> QuerySet[Outcome, tuple[Any, ...]]:
    return Outcome.objects.filter(id__any=outcomes).order_by().values_list("id", *ACTED)


def _sentence(calls: int, agents: int, looked_at: int, *, is_complete: bool) -> str:
    of = f"of {looked_at}" if is_complete else f"of the newest {looked_at}"
    if not looked_at:
        return f"No such call was carried out in {WINDOW.days} days."
    return (
        f"Would have touched {calls} call{'s' * (calls != 1)} of {agents} agent{'s' * (agents != 1)}"
        f" in {WINDOW.days} days, {of} that were carried out."
    )

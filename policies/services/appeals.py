"""Appeals: an agent asks a person to look at a refusal that it believes to be wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction

from governance import checkpoints
from governance.actors import Actor
from governance.models import Checkpoint
from governance.refusals import Conflict
from policies.models import Decision, Policy, PolicyVersion

from .ruling import DENIED

SAFE_INTEGER = 2**53 - 1
"""Beyond it JSON numbers have no one canonical form (RFC 8785), and what is shown must have a digest."""


class CannotAppeal(Conflict):
    """The decision denied nothing, or the tenant takes no appeals."""


@dataclass(frozen=True, slots=True)
class Appeal:
    """The question that a person decides, and whether it was asked just now."""

    checkpoint: Checkpoint
    is_new: bool


def appeal(decision: Decision, *, reason: str, actor: Actor) -> Appeal:
    """Open the question whether a denied action should have been allowed. The refusal stands meanwhile.

    Once per decision: whoever asks again is given the first question, pending or decided; one that expired may be
    asked anew. Raises CannotAppeal.
    """
    if decision.verdict not in DENIED:
        raise CannotAppeal("The action was allowed: there is nothing to appeal against.")
    if decision.mode and decision.would_be not in DENIED:
        raise CannotAppeal(
            f"No policy denied it but {decision.mode}: that is for who turned it on to take back."
        )
    if not checkpoints.is_asked(Checkpoint.Type.APPEAL):
        raise CannotAppeal("This tenant takes no appeals.")
    if earlier := _earlier(decision):
        return Appeal(earlier, is_new=False)
    try:
        with transaction.atomic():
            checkpoint = checkpoints.ask(
                Checkpoint.Type.APPEAL,
                subject=decision.id,
                title=f"Appeal: {decision.agent.name} was denied {decision.tool or decision.kind}",
                shown=_shown(decision, reason),
                requested_by=actor,
                trace_id=_trace_id(decision),
            )
    except IntegrityError:
        # Two at once: the unique key of pending questions let one through.
        if earlier := _earlier(decision):
            return Appeal(earlier, is_new=False)
        raise
    return Appeal(checkpoint, is_new=True)


def _earlier(decision: Decision) -> Checkpoint | None:
    reopenable = [Checkpoint.State.EXPIRED, Checkpoint.State.VOID]
    asked = Checkpoint.objects.filter(type=Checkpoint.Type.APPEAL, subject=decision.id)
    return asked.exclude(state__in=reopenable).first()


def _shown(decision: Decision, reason: str) -> dict[str, Any]:
    return {
        "decision": decision.id,
        "agent": decision.agent.name,
        "run": decision.run.name,
        "action": decision.kind,
        "tool": decision.tool,
        "arguments": _showable(decision.arguments),
        "verdict": decision.verdict,
        "said": decision.reason,
        "policies": _policies(decision),
        "reason": reason,
    }


def _policies(decision: Decision) -> list[dict[str, Any]]:
    """The policies in the words that they had when they decided."""
    ids = [policy["id"] for policy in decision.policies]
    conditions = {
        (policy_id, number): condition
        for policy_id, number, condition in PolicyVersion.objects.filter(
            policy_id__in=ids
        ).values_list("policy_id", "number", "condition")
    }
    return [
        {**policy, "condition": conditions.get((policy["id"], policy["version"]), "")}
        for policy in decision.policies
    ]


def _showable(value: Any) -> Any:
    """The same value with integers that are too large for a canonical form written as text."""
    if isinstance(value, dict):
        return {name: _showable(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_showable(inner) for inner in value]
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > SAFE_INTEGER:
        return str(value)
    return value


def _trace_id(decision: Decision) -> str | None:
    """The story of the deciding policy, so that the appeal is told there."""
    if not decision.policies:
        return None
    return (
        Policy.objects.filter(id=decision.policies[0]["id"])
        .values_list("trace_id", flat=True)
        .first()
    )

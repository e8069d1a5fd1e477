"""The question whether a policy may be put in force: everything that a person should know, computed once and stored."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, F, QuerySet

from governance import checkpoints, tenants
from governance.actors import Actor
from governance.database.compiled import compiled
from governance.models import Checkpoint, Settings
from policies.models import Policy, WouldBlock

from . import overlaps, touched, versions

ASKED = Checkpoint.Type.APPROVE_POLICY


def ask(
    policy: Policy, *, confirmations: int, requested_by: Actor, settings: Settings | None = None
) -> Checkpoint:
    """Ask a person. What is shown is bound by its digest, so it does not change while the question waits.

    The tenant's settings are read where nobody has them at hand.
    """
    settings = settings or tenants.settings()
    touches = touched.blast_radius(policy)
    changes = versions.since_approval(policy)
    overlapping = overlaps.of(policy)
    return checkpoints.ask(
        ASKED,
        subject=policy.id,
        title=f"Put in force: {policy.name}",
        shown={
            "policy": policy.id,
            "name": policy.name,
            "version": policy.version,
            "condition": policy.condition,
            "explanation": policy.explanation,
            "action": policy.action,
            "category": policy.category,
            "scope": {"type": policy.scope_type, "id": policy.scope_id, "tool": policy.tool},
            "if_it_cannot_tell": policy.failure_mode,
            "backtest": policy.backtest,
            "in_shadow": in_shadow(policy),
            "blast_radius": touches.pop("said"),
            "touched": touches,
            **({"changes": changes} if changes else {}),
            **({"overlaps": overlapping} if overlapping else {}),
            "confirmations": confirmations,
            "confirmations_needed": settings.confirmations,
            "confidence": round(policy.confidence, 4),
        },
        requested_by=requested_by,
        trace_id=policy.trace_id,
        confidence=policy.confidence,
        settings=settings,
    )


def in_shadow(policy: Policy) -> dict[str, Any]:
    """What the present version would have blocked so far, and what became of those calls."""
    counts = dict(_results(policy.id))
    return {
        "would_have_blocked": sum(counts.values()),
        "confirmed": counts.get(WouldBlock.Result.CONFIRMED, 0),
        "false_rejections": counts.get(WouldBlock.Result.FALSE_REJECTION, 0),
        "failed_in_another_way": counts.get(WouldBlock.Result.OTHER_FAILURE, 0),
        "not_known_yet": counts.get(WouldBlock.Result.OPEN, 0),
    }


@compiled
def _results(policy: str) -> QuerySet[WouldBlock, tuple[str, int]]:
    """How many of each there are, of the present version."""
    rows = WouldBlock.objects.filter(
        policy_id=policy, version=F("policy__version"), simulated=F("policy__simulated")
    )
    return rows.order_by().values_list("result").annotate(number=Count("id"))

"""How adjustments end: by time, by a person, by what they did to the success rate, with their loop."""

from __future__ import annotations

from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Now

from governance import checkpoints
from governance.actors import CLOCK, Actor
from governance.database.compiled import compiled
from governance.models import LoopTrace
from governance.refusals import Invalid
from governance.states import Stale, move
from governance.story.events import tell

from ..models import Adjustment, AdjustmentEvidence
from .guardrails import OVERRIDE


def end_adjustments() -> int:
    """Close the adjustments that have decayed to nothing; how many."""
    ended = 0
    for adjustment in _due():
        try:
            move(adjustment, Adjustment.State.ENDED, actor=CLOCK, reason="Decayed to nothing.")
        except Stale:
            continue
        _tell(adjustment, "adjustment_ended", f"{_name(adjustment)} has ended", CLOCK)
        ended += 1
    return ended


@compiled
def _due() -> QuerySet[Adjustment]:
    due = Adjustment.objects.open().filter(ends_at__lte=Now())
    return due.select_related("agent", "policy").order_by("id")


def roll_back(
    adjustment: Adjustment, *, actor: Actor, reason: str, failure_state: str = ""
) -> None:
    """Take an open adjustment out of the weight at once. Raises Invalid without a reason, IllegalMove, Stale."""
    if not reason.strip():
        raise Invalid("Say why: a roll-back needs a reason.", field="reason")
    move(
        adjustment,
        Adjustment.State.ROLLED_BACK,
        actor=actor,
        reason=reason,
        keeps_reason=True,
        ends_at=Now(),
        failure_state=failure_state,
    )
    _tell(
        adjustment,
        "adjustment_rolled_back",
        f"{_name(adjustment)} was rolled back: {reason}",
        actor,
        reason=reason,
        failure_state=failure_state,
    )


def revert_adjustments(incident_id: str, *, actor: Actor, reason: str) -> int:
    """Withdraw the open adjustments that only this incident supports, and what is asked for it; how many.

    Incidents whose loops were all reverted support nothing.
    """
    checkpoints.withdraw(incident_id, actor=actor, reason=reason, type=OVERRIDE)
    # Locked: of two loops reverted at once, the second must see that the first no longer supports it.
    supported = (
        Adjustment.objects.open()
        .filter(
            Exists(
                AdjustmentEvidence.objects.filter(
                    adjustment=OuterRef("pk"), incident_id=incident_id
                )
            )
        )
        .select_for_update(of=("self",), no_key=True)
        .order_by("id")
    )
    reverted = 0
    for adjustment in supported:
        if _has_other_support(adjustment, incident_id):
            continue
        move(
            adjustment,
            Adjustment.State.REVERTED,
            actor=actor,
            reason=reason,
            keeps_reason=True,
            ends_at=Now(),
        )
        reverted += 1
    return reverted


def _has_other_support(adjustment: Adjustment, incident_id: str) -> bool:
    standing = LoopTrace.objects.filter(incident_id=OuterRef("incident_id")).exclude(
        state=LoopTrace.State.REVERTED
    )
    others = adjustment.evidence.exclude(incident_id=incident_id)
    return others.filter(Exists(standing)).exists()


def _name(adjustment: Adjustment) -> str:
    return f"The adjustment of {adjustment.agent.name} for {adjustment.capability}"


def _tell(adjustment: Adjustment, type: str, headline: str, actor: Actor, **details: str) -> None:
    """Tell it on the trace that bore the policy; a policy written by hand has none."""
    policy = adjustment.policy
    if policy.trace_id:
        tell(
            policy.trace_id,
            type,
            headline,
            actor=actor,
            subject=adjustment.id,
            details={
                "adjustment_id": adjustment.id,
                "policy_id": policy.id,
                **{name: value for name, value in details.items() if value},
            },
            simulated=policy.simulated,
        )

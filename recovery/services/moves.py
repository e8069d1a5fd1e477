"""The moves of a recovery's life: what each means besides the state. Who may make them is said in `life`."""

from __future__ import annotations

from typing import Any

from django.db.models.functions import Now

from governance.actors import CLOCK, LOOP, Actor
from governance.models import Stage
from governance.states import move
from governance.story.events import tell
from incidents.services import newest_trace

from ..models import Recovery
from ..rules import APPROVED_AT_LEAST
from . import calls
from .directives import enforce, withdraw_unheld

State = Recovery.State


def approve(recovery: Recovery, *, actor: Actor, reason: str = "") -> None:
    """Let it be applied. A person's yes makes it worth at least 0.70; the loop's own makes it automatic."""
    confidence = (
        max(recovery.confidence, APPROVED_AT_LEAST) if actor.is_person else recovery.confidence
    )
    is_again = recovery.state == State.FAILED
    move(
        recovery,
        State.APPROVED,
        actor=actor,
        reason=reason,
        confidence=confidence,
        automatic=not actor.is_person,
        result={"approved_by": str(actor), "reason": reason},
    )
    if is_again:
        calls.intend_again(recovery.id)


def try_again(recovery: Recovery) -> None:
    """Let the webhook of a failed recovery be called again, on the approval that it had."""
    kept = {
        name: recovery.result[name] for name in ("approved_by", "reason") if name in recovery.result
    }
    move(recovery, State.APPROVED, actor=LOOP, reason="The stage is tried again.", result=kept)
    calls.intend_again(recovery.id)


def carry_out(recovery: Recovery, *, actor: Actor = LOOP) -> None:
    """Apply an approved recovery whose action is a directive."""
    approved_by = recovery.result.get("approved_by", str(actor))
    directive, is_new = enforce(
        recovery, tool=recovery.match.incident.tool, approved_by=approved_by
    )
    move(
        recovery,
        State.APPLIED,
        actor=actor,
        directive_id=directive.id,
        applied_at=Now(),
        result={**recovery.result, "directive": directive.id, "joined": not is_new},
    )


def called(recovery: Recovery, answer: dict[str, Any]) -> None:
    """Record what came of an approved recovery's webhook: applied with its answer, or failed with its reason."""
    result = {**recovery.result, **answer}
    if "failed" in answer:
        move(recovery, State.FAILED, actor=LOOP, reason=answer["failed"], result=result)
    else:
        move(recovery, State.APPLIED, actor=LOOP, applied_at=Now(), result=result)


def turn_down(recovery: Recovery, *, actor: Actor, reason: str) -> None:
    """Reject it, and say so in the story."""
    result = {**recovery.result, "rejected_by": str(actor), "reason": reason}
    move(recovery, State.REJECTED, actor=actor, reason=reason, result=result)
    headline = "Nobody decided in time" if actor == CLOCK else f"Rejected by {actor.name or actor}"
    tell_story(recovery, "recovery_rejected", f"{headline}: {recovery.title}", actor, reason)


def is_expired(recovery: Recovery) -> bool:
    """Whether a rejected recovery was rejected by the clock."""
    return bool(recovery.result.get("rejected_by") == str(CLOCK))


def close(recovery: Recovery) -> None:
    """Remember that the loop has stopped for this rejection: whoever tries again is asked again."""
    recovery.result = {**recovery.result, "closed": True}
    Recovery.objects.filter(pk=recovery.pk).update(result=recovery.result)


def is_closed(recovery: Recovery) -> bool:
    """Whether a loop comes back to it after it was rejected or taken back."""
    return recovery.state == State.ROLLED_BACK or bool(recovery.result.get("closed"))


def suggest_again(recovery: Recovery) -> None:
    """Put a recovery that was turned down before a person again, because somebody tries the stage again."""
    move(
        recovery,
        State.SUGGESTED,
        actor=LOOP,
        reason="The stage is tried again.",
        result={},
        automatic=False,
        directive=None,
        applied_at=None,
    )


def take_back(recovery: Recovery, *, actor: Actor, reason: str) -> None:
    """Roll it back, and withdraw its directive when nobody else holds it."""
    move(recovery, State.ROLLED_BACK, actor=actor, reason=reason)
    withdrawn = recovery.directive_id is not None and withdraw_unheld(
        recovery.directive_id, actor=actor, reason=reason
    )
    tell_story(
        recovery,
        "recovery_rolled_back",
        f"Rolled back by {actor.name or actor}: {recovery.title}",
        actor,
        reason,
        directive_withdrawn=withdrawn,
    )


def tell_story(
    recovery: Recovery, type: str, headline: str, actor: Actor, reason: str, **more: Any
) -> None:
    """Write on the recovery's own story what a person did to it."""
    trace = newest_trace(recovery.match.incident_id)
    tell(
        trace.id,
        type,
        headline,
        actor=actor,
        subject=recovery.id,
        stage=Stage.RECOVERY_SUGGESTED,
        details={"reason": reason, "automatic": recovery.automatic, **more},
        simulated=trace.simulated,
    )

"""The life of a recovery: approved, applied, rejected, failed, rolled back; each once."""

from __future__ import annotations

from typing import Any

from django.db.models.functions import Now

from governance import checkpoints
from governance.actors import CLOCK, LOOP, Actor
from governance.loop.verbs import CannotRetry, retry
from governance.models import Checkpoint, LoopTrace, Stage
from governance.refusals import Forbidden, Invalid
from governance.states import move
from governance.story.events import tell
from incidents.services import newest_trace

from ..actions import DIRECTIVES
from ..models import Recovery
from ..rules import APPROVED_AT_LEAST
from . import calls
from .directives import enforce, withdraw_unheld

State = Recovery.State
TYPE = Checkpoint.Type.APPROVE_RECOVERY


class ReasonMissing(Invalid):
    """Saying no, or taking something back, without a reason."""


class NotAPerson(Forbidden):
    """Agents do not decide about recoveries."""


def apply(recovery: Recovery, *, actor: Actor, reason: str = "") -> Recovery:
    """A person's yes: closes the open question and applies it; a webhook is left approved, and the loop calls it.

    What failed may be applied again. Raises NotAPerson, AlreadyDecided or IllegalMove for who comes second.
    """
    _needs_a_person(actor)
    if (question := _open_question(recovery)) and recovery.state == State.SUGGESTED:
        checkpoints.decide(
            question, approve=True, actor=actor, digest=question.digest, reason=reason
        )
        recovery = _locked(recovery.pk)
    else:
        recovery = _locked(recovery.pk)
        approve(recovery, actor=actor, reason=reason)
    if recovery.kind in DIRECTIVES:
        carry_out(recovery, actor=actor)
        _tell(recovery, "recovery_applied", f"Applied: {recovery.title}", actor, reason)
    _let_go_on(recovery, actor)
    return recovery


def reject(recovery: Recovery, *, actor: Actor, reason: str) -> Recovery:
    """A person's no: closes the open question, and the loop stops there.

    Raises ReasonMissing, NotAPerson, AlreadyDecided or IllegalMove for who comes second.
    """
    _needs_a_person(actor)
    _needs(reason)
    if (question := _open_question(recovery)) and recovery.state == State.SUGGESTED:
        checkpoints.decide(
            question, approve=False, actor=actor, digest=question.digest, reason=reason
        )
        return _locked(recovery.pk)
    checkpoints.withdraw(recovery.id, actor=actor, reason=reason, type=TYPE)
    recovery = _locked(recovery.pk)
    turn_down(recovery, actor=actor, reason=reason)
    return recovery


def roll_back(recovery: Recovery, *, actor: Actor, reason: str) -> Recovery:
    """Take an applied recovery back; its directive goes when no other applied recovery holds it.

    A webhook cannot be unsaid: only the record says that it should not have been. Raises ReasonMissing,
    NotAPerson, and IllegalMove for what is not applied.
    """
    _needs_a_person(actor)
    _needs(reason)
    checkpoints.withdraw(recovery.id, actor=actor, reason=reason, type=TYPE)
    recovery = _locked(recovery.pk)
    _take_back(recovery, actor=actor, reason=reason)
    return recovery


def decided(checkpoint: Checkpoint, actor: Actor) -> None:
    """What the decision of an approve_recovery checkpoint means, in the deciding transaction.

    A yes approves, and the waiting loop applies. A no rejects; where the loop did not wait (advisory) a person's
    no takes it back, while silence changes nothing.
    """
    recovery = _locked(checkpoint.subject)
    said = {"actor": actor, "reason": checkpoint.reason}
    match recovery.state, checkpoint.state:
        case State.SUGGESTED, Checkpoint.State.APPROVED:
            approve(recovery, **said)  # type: ignore[arg-type]
        case State.SUGGESTED, _:
            turn_down(recovery, **said)  # type: ignore[arg-type]
        case State.APPROVED, Checkpoint.State.REJECTED:
            turn_down(recovery, **said)  # type: ignore[arg-type]
        case State.APPLIED, Checkpoint.State.REJECTED:
            _take_back(recovery, **said)  # type: ignore[arg-type]


def undo(incident_id: str, trace_id: str, actor: Actor, reason: str) -> None:
    """Take back what only this incident's loop caused, as part of reverting it."""
    recovery = Recovery.objects.filter(match__incident_id=incident_id).first()
    if recovery is None:
        return
    checkpoints.withdraw(recovery.id, actor=actor, reason=reason, type=TYPE)
    recovery = _locked(recovery.pk)
    match recovery.state:
        case State.APPLIED:
            _take_back(recovery, actor=actor, reason=reason)
        case State.SUGGESTED | State.APPROVED | State.FAILED:
            turn_down(recovery, actor=actor, reason=reason)
            close(recovery)


def story(recovery_id: str) -> dict[str, Any] | None:
    """A recovery in the words of an incident's story: `{id, state}`."""
    found = Recovery.objects.filter(pk=recovery_id).values("id", "state").first()
    return dict(found) if found else None


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
    _tell(recovery, "recovery_rejected", f"{headline}: {recovery.title}", actor, reason)


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


def _take_back(recovery: Recovery, *, actor: Actor, reason: str) -> None:
    move(recovery, State.ROLLED_BACK, actor=actor, reason=reason)
    withdrawn = recovery.directive_id is not None and withdraw_unheld(
        recovery.directive_id, actor=actor, reason=reason
    )
    _tell(
        recovery,
        "recovery_rolled_back",
        f"Rolled back by {actor.name or actor}: {recovery.title}",
        actor,
        reason,
        directive_withdrawn=withdrawn,
    )


def _let_go_on(recovery: Recovery, actor: Actor) -> None:
    """Wake a loop that stopped when the webhook failed; one that waits for its checkpoint is awake by now."""
    trace = newest_trace(recovery.match.incident_id)
    if recovery.state == State.APPROVED and trace.state == LoopTrace.State.STOPPED:
        try:
            retry(
                trace,
                Stage.RECOVERY_SUGGESTED,
                actor=actor,
                reason="The recovery is applied again.",
            )
        except CannotRetry:
            return


def _needs_a_person(actor: Actor) -> None:
    if not actor.is_person:
        raise NotAPerson("Only a person can decide about a recovery.")


def _locked(recovery_id: str) -> Recovery:
    """The record as it is now, held until the transaction ends. Questions about it are locked before it, always."""
    return (
        Recovery.objects.select_for_update(of=("self",), no_key=True)
        .select_related("match__incident")
        .get(pk=recovery_id)
    )


def _open_question(recovery: Recovery) -> Checkpoint | None:
    return Checkpoint.objects.filter(
        subject=recovery.id, type=TYPE, state=Checkpoint.State.PENDING
    ).first()


def _needs(reason: str) -> None:
    if not reason.strip():
        raise ReasonMissing("Say why.", field="reason")


def _tell(
    recovery: Recovery, type: str, headline: str, actor: Actor, reason: str, **more: Any
) -> None:
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

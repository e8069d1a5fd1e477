"""What people do with a recovery: apply, reject, roll back; each once, and never an agent."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from governance import checkpoints
from governance.actors import Actor
from governance.loop.verbs import CannotRetry, retry
from governance.models import Checkpoint, LoopTrace, Stage
from governance.refusals import Forbidden, Invalid
from incidents.services import newest_trace

from ..actions import DIRECTIVES
from ..models import Recovery
from .moves import approve, carry_out, close, take_back, tell_story, turn_down
from .questions import TYPE

State = Recovery.State


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
        tell_story(recovery, "recovery_applied", f"Applied: {recovery.title}", actor, reason)
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
    take_back(recovery, actor=actor, reason=reason)
    return recovery


def decided(checkpoint: Checkpoint, actor: Actor) -> None:
    """What the decision of an approve_recovery checkpoint means, in the deciding transaction.

    A yes approves, and the waiting loop applies. A no rejects; where the loop did not wait (advisory) a person's
    no takes it back, while silence changes nothing.
    """
    recovery = _locked(checkpoint.subject)
    reason = checkpoint.reason
    match recovery.state, checkpoint.state:
        case State.SUGGESTED, Checkpoint.State.APPROVED:
            approve(recovery, actor=actor, reason=reason)
        case State.SUGGESTED, _:
            turn_down(recovery, actor=actor, reason=reason)
        case State.APPROVED, Checkpoint.State.REJECTED:
            turn_down(recovery, actor=actor, reason=reason)
        case State.APPLIED, Checkpoint.State.REJECTED:
            take_back(recovery, actor=actor, reason=reason)


def undo(incident_id: str, trace_id: str, actor: Actor, reason: str) -> None:
    """Take back what only this incident's loop caused, as part of reverting it."""
    recovery = Recovery.objects.filter(match__incident_id=incident_id).first()
    if recovery is None:
        return
    checkpoints.withdraw(recovery.id, actor=actor, reason=reason, type=TYPE)
    recovery = _locked(recovery.pk)
    match recovery.state:
        case State.APPLIED:
            take_back(recovery, actor=actor, reason=reason)
        case State.SUGGESTED | State.APPROVED | State.FAILED:
            turn_down(recovery, actor=actor, reason=reason)
            close(recovery)


def story(recovery_id: str) -> dict[str, Any] | None:
    """A recovery in the words of an incident's story: `{id, state}`."""
    found = Recovery.objects.filter(pk=recovery_id).values("id", "state").first()
    return dict(found) if found else None


def _let_go_on(recovery: Recovery, actor: Actor) -> None:
    """Wake a loop that stopped when the webhook failed; one that waits for its checkpoint is awake by now."""
    trace = newest_trace(recovery.match.incident_id)
    if recovery.state == State.APPROVED and trace.state == LoopTrace.State.STOPPED:
        with suppress(CannotRetry):
            retry(trace, Stage.RECOVERY_SUGGESTED, actor=actor, reason="It is applied again.")


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

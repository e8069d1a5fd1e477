"""Taking a whole loop back is a decision of its own: asked for by one person, approved by another."""

from __future__ import annotations

from django.db import IntegrityError, transaction

from . import checkpoints
from .actors import Actor
from .loop import verbs as loop
from .models import Checkpoint, LoopTrace
from .refusals import Conflict


class AlreadyAsked(Conflict):
    """Somebody asked for the same before, and nobody has answered yet."""


def ask_revert(trace: LoopTrace, *, actor: Actor, reason: str) -> Checkpoint | None:
    """Ask that a loop be reverted; where nobody needs to be asked, it is done at once and None returned.

    Raises AlreadyAsked while an earlier request waits for its answer.
    """
    if not checkpoints.is_asked(Checkpoint.Type.REVERT_LOOP):
        loop.revert(trace, actor=actor, reason=reason)
        return None
    try:
        with transaction.atomic():
            return checkpoints.ask(
                Checkpoint.Type.REVERT_LOOP,
                subject=trace.id,
                title=f"Take back what this loop did: {trace.headline}",
                shown={
                    "trace": trace.id,
                    "incident": trace.incident_id,
                    "headline": trace.headline,
                    "reason": reason,
                },
                requested_by=actor,
                trace_id=trace.id,
            )
    except IntegrityError as error:
        raise AlreadyAsked(
            "Taking this loop back was asked for already, and waits for an answer."
        ) from error


def decided(checkpoint: Checkpoint, actor: Actor) -> None:
    """Revert the loop when that was approved."""
    if checkpoint.state == Checkpoint.State.APPROVED:
        trace = LoopTrace.objects.get(pk=checkpoint.subject)
        loop.revert(trace, actor=actor, reason=checkpoint.shown["reason"])

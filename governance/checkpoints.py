"""Where a person enters: what was shown, who decided, once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from . import ledger, tenants
from .actors import CLOCK, Actor
from .loop.bridges import decisions
from .loop.verbs import resume
from .models import Checkpoint, Settings
from .refusals import Conflict, Forbidden, Invalid
from .rules import expires_after, priority_of
from .story.events import tell

REASON_REQUIRED = "Say why: a rejection needs a reason."


class AlreadyDecided(Conflict):
    """Somebody was first; ``checkpoint`` says who, when and what."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        by = f" by {checkpoint.decided_by}" if checkpoint.decided_by else ""
        super().__init__(
            f"This checkpoint was {checkpoint.state}{by} already.",
            decided_by=checkpoint.decided_by,
            decided_at=checkpoint.decided_at and checkpoint.decided_at.isoformat(),
            state=checkpoint.state,
        )


class StaleDigest(Conflict):
    """What was shown when the person decided is not what would be decided."""


class NotAllowed(Forbidden):
    """This actor may not decide this checkpoint."""


class ReasonMissing(Invalid):
    """A rejection without a reason."""


def is_asked(type: str) -> bool:
    """Whether the tenant wants people to be asked for this type of checkpoint."""
    return tenants.settings().asks(type)


def open_all(
    wanted: Sequence[Checkpoint], gestures: Mapping[str, str] | None = None
) -> list[Checkpoint]:
    """Ask several questions at once; build each with ``question``.

    ``gestures`` says by the id of a question's trace what caused it, where they are not all of the one gesture at hand.
    """
    made = Checkpoint.objects.bulk_create(wanted)
    ledger.append_all(
        ledger.Entry(
            "checkpoint.pending",
            one.id,
            _requester(one),
            facts={"type": one.type, "subject": one.subject, "digest": one.digest},
            gesture=(gestures or {}).get(one.trace_id or "", ""),
        )
        for one in made
    )
    return made


def ask(
    type: str,
    *,
    subject: str,
    title: str,
    shown: dict[str, Any],
    requested_by: Actor,
    **details: Any,
) -> Checkpoint:
    """Ask one question: ``question`` says what the details are."""
    return open_all(
        [
            question(
                type,
                subject=subject,
                title=title,
                shown=shown,
                requested_by=requested_by,
                **details,
            )
        ]
    )[0]


def question(
    type: str,
    *,
    subject: str,
    title: str,
    shown: dict[str, Any],
    requested_by: Actor,
    trace_id: str | None = None,
    confidence: float | None = None,
    settings: Settings | None = None,
) -> Checkpoint:
    """A checkpoint not yet written. ``shown`` is exactly what the person will see; its digest binds the decision.

    Numbers in ``shown`` must be JSON numbers within 53 bits, texts without lone surrogates. The tenant's ``settings``
    say whether the loop waits for it; they are read where nobody has them at hand.
    """
    priority = priority_of(type, confidence)
    return Checkpoint(
        trace_id=trace_id,
        type=type,
        priority=priority,
        blocking=(settings or tenants.settings()).waits_for(type),
        subject=subject,
        title=title[:300],
        shown=shown,
        digest=ledger.digest(shown),
        requested_by=str(requested_by),
        expires_at=Now() + expires_after(priority),
    )


def decide(
    checkpoint: Checkpoint, *, approve: bool, actor: Actor, digest: str, reason: str = ""
) -> Checkpoint:
    """Approve or reject, once. What the decision means is done in the same transaction.

    Raises NotAllowed for who is not a person or asked for it himself, ReasonMissing, StaleDigest, and
    AlreadyDecided for everybody but the first.
    """
    if not actor.is_person:
        raise NotAllowed("Only a person can decide a checkpoint.")
    if str(actor) == checkpoint.requested_by:
        raise NotAllowed("Nobody decides what they asked for themselves.")
    if not approve and not reason.strip():
        raise ReasonMissing(REASON_REQUIRED, field="reason")
    with transaction.atomic():
        if digest != checkpoint.digest:
            checkpoint.refresh_from_db()
            if checkpoint.state != Checkpoint.State.PENDING:
                raise AlreadyDecided(checkpoint)
            raise StaleDigest("What you saw is not what would be decided: read it again.")
        state = Checkpoint.State.APPROVED if approve else Checkpoint.State.REJECTED
        _close(checkpoint, state, actor, reason)
    return checkpoint


def expire_due(limit: int = 500) -> int:
    """Reject, in the scope's tenant, what nobody decided in time; how many."""
    due = Checkpoint.objects.filter(state=Checkpoint.State.PENDING, expires_at__lte=Now())[:limit]
    count = 0
    for checkpoint in due:
        try:
            with transaction.atomic():
                _close(checkpoint, Checkpoint.State.EXPIRED, CLOCK, "Nobody decided in time.")
            count += 1
        except AlreadyDecided:
            continue
    return count


def withdraw(subject: str, *, actor: Actor, reason: str, type: str | None = None) -> int:
    """Make pending questions about a record void, because it changed; how many."""
    pending = Checkpoint.objects.filter(subject=subject, state=Checkpoint.State.PENDING)
    if type:
        pending = pending.filter(type=type)
    ids = list(pending.values_list("id", flat=True))
    changed = Checkpoint.objects.filter(id__in=ids, state=Checkpoint.State.PENDING).update(
        state=Checkpoint.State.VOID, decided_at=Now(), reason=reason
    )
    ledger.append_all(ledger.Entry("checkpoint.void", each, actor, reason) for each in ids)
    for each in ids:
        resume(each)
    return changed


def _close(checkpoint: Checkpoint, state: str, actor: Actor, reason: str) -> None:
    changed = Checkpoint.objects.filter(pk=checkpoint.pk, state=Checkpoint.State.PENDING).update(
        state=state, decided_by=str(actor), decided_at=Now(), reason=reason
    )
    checkpoint.refresh_from_db()
    if not changed:
        raise AlreadyDecided(checkpoint)
    ledger.append(
        f"checkpoint.{state}",
        checkpoint.id,
        actor=actor,
        reason=reason,
        type=checkpoint.type,
        about=checkpoint.subject,
        digest=checkpoint.digest,
    )
    if checkpoint.trace_id:
        tell(
            checkpoint.trace_id,
            f"checkpoint_{state}",
            f"{checkpoint.title}: {state} by {actor.name or actor}",
            actor=actor,
            subject=checkpoint.id,
            details={"reason": reason, "type": checkpoint.type, "about": checkpoint.subject},
        )
    if (act := decisions().get(checkpoint.type)) is not None:
        act(checkpoint, actor)
    resume(checkpoint.id)


def _requester(checkpoint: Checkpoint) -> Actor:
    kind, _, identity = checkpoint.requested_by.partition(":")
    return Actor(kind, identity)  # type: ignore[arg-type]

"""The governor's memory in the database, and the questions that are asked when it says no."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from django.db import connection
from django.db.models import Q
from django.utils import timezone

from governance import checkpoints, ledger
from governance.actors import LOOP
from governance.database.tenancy import required_tenant
from governance.loop.verbs import resume
from governance.models import Checkpoint

from ..models import Adjustment, Freeze
from ..rules import (
    DECAY,
    WINDOW,
    AdjustmentType,
    Change,
    History,
    Verdict,
    governor,
)
from .proposals import Proposal

OVERRIDE = Checkpoint.Type.OVERRIDE_GUARDRAIL
WITHDRAWN = (Adjustment.State.ROLLED_BACK, Adjustment.State.REVERTED)


def one_at_a_time() -> None:
    """Wait for whoever is opening adjustments of this tenant, until their transaction is over.

    The limits are counts of rows: two transactions that count at the same time would both find room. Take it
    before any lock on a checkpoint, never after.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))",
            [f"routing:{required_tenant()}"],
        )


@dataclass(frozen=True, slots=True)
class _Weight:
    """What is moved: an agent's weight for a capability, or its escalation."""

    agent_id: str
    capability: str
    is_escalation: bool


# All that counts of an adjustment: a busy hour has hundreds, and more of each would be read for nothing.
_COUNTED = ("agent_id", "capability", "type", "magnitude", "started_at", "ends_at", "state")


@dataclass(slots=True)
class Limits:
    """What the governor judges by, read once and kept up with what this transaction adds."""

    now: datetime
    made: list[tuple[_Weight, datetime]] = field(default_factory=list)
    changes: list[tuple[_Weight, Change]] = field(default_factory=list)
    freezes: list[Freeze] = field(default_factory=list)

    @classmethod
    def load(cls) -> Self:
        """The last hour of the tenant in scope, and the freezes that still hold."""
        now = timezone.now()
        limits = cls(now, freezes=list(Freeze.objects.filter(until__gt=now)))
        lately = Q(started_at__gt=now - WINDOW) | Q(ends_at__gt=now - WINDOW, state__in=WITHDRAWN)
        made = Adjustment.objects.filter(lately, started_at__gt=now - DECAY)
        rows = made.order_by().values_list(*_COUNTED)
        for agent_id, capability, type, magnitude, started_at, ends_at, state in rows:
            weight = _Weight(agent_id, capability, _escalates(type))
            limits._add(weight, magnitude, started_at)
            if state in WITHDRAWN:
                limits.changes.append((weight, Change(ends_at, -magnitude)))
        return limits

    def verdict(self, proposal: Proposal) -> Verdict:
        """Whether the governor lets this adjustment be made now."""
        return self._verdict(_weight_of(proposal), proposal.magnitude)

    def note(self, proposal: Proposal) -> None:
        """Count an adjustment that is made now."""
        self._add(_weight_of(proposal), proposal.magnitude, self.now)

    def freeze(self, verdict: Verdict, proposal: Proposal) -> None:
        """Write the freeze that a verdict asks for."""
        if verdict.retry_at is None or not (verdict.freeze_tenant or verdict.freeze_weight):
            return
        freeze = Freeze.objects.create(
            agent=None if verdict.freeze_tenant else proposal.agent,
            capability="" if verdict.freeze_tenant else proposal.capability,
            until=verdict.retry_at,
            reason=verdict.explanation,
        )
        self.freezes.append(freeze)
        ledger.append(
            "routing.frozen",
            freeze.id,
            actor=LOOP,
            reason=verdict.explanation,
            until=verdict.retry_at.isoformat(),
            agent=freeze.agent_id,
            capability=freeze.capability,
        )

    def room_for(self, shown: dict[str, Any]) -> bool:
        """Whether what a person was shown could be made now without them; it then counts as made."""
        weight = _Weight(shown["agent_id"], shown["capability"], _escalates(shown["type"]))
        if not self._verdict(weight, shown["magnitude"]).is_allowed:
            return False
        self._add(weight, shown["magnitude"], self.now)
        return True

    def _verdict(self, weight: _Weight, delta: float) -> Verdict:
        history = History(
            agent=[at for one, at in self.made if one.agent_id == weight.agent_id],
            tenant=[at for _, at in self.made],
            weight=[change for one, change in self.changes if one == weight],
            tenant_frozen_until=self._frozen_until(None, ""),
            weight_frozen_until=self._frozen_until(weight.agent_id, weight.capability),
        )
        return governor(delta, history, self.now)

    def _add(self, weight: _Weight, magnitude: float, at: datetime) -> None:
        self.made.append((weight, at))
        self.changes.append((weight, Change(at, magnitude)))

    def _frozen_until(self, agent_id: str | None, capability: str) -> datetime | None:
        found = (f for f in self.freezes if (f.agent_id, f.capability) == (agent_id, capability))
        return max((freeze.until for freeze in found), default=None)


@dataclass(slots=True)
class Questions:
    """The questions about the governor's noes that matter to this transaction, locked where it may wait.

    Locked, so that whoever decides one waits for us and then finds the step that waits for the decision.
    """

    known: dict[str, Checkpoint]

    @classmethod
    def load(cls, ids: Iterable[str]) -> Self:
        """Those of these ids, and all that are pending."""
        of_type = Checkpoint.objects.filter(type=OVERRIDE)
        pending = Q(state=Checkpoint.State.PENDING)
        locked = of_type.filter(Q(id__in=list(ids)) | pending & Q(blocking=True))
        # Whoever decides one that holds no loop opens the adjustment, holding the question: see one_at_a_time.
        loose = of_type.filter(pending, blocking=False)
        return cls(
            {one.id: one for one in [*locked.select_for_update(of=("self",)), *loose]},
        )

    def answer(self, question_id: str, proposal: Proposal) -> Checkpoint | None:
        """The question that was asked about this proposal; None when it was about another, or is void."""
        question = self.known.get(question_id)
        if question is None or question.state == Checkpoint.State.VOID:
            return None
        return question if _is_about(question, proposal) else None

    def ask(
        self, proposal: Proposal, verdict: Verdict, *, incident_id: str, trace_id: str
    ) -> Checkpoint | None:
        """The pending question about a proposal, asked now if nobody has; None where nobody is to be asked."""
        if asked := next(self._pending(proposal), None):
            return asked
        if not checkpoints.is_asked(OVERRIDE):
            return None
        # An earlier question on this incident's behalf showed something else.
        self._withdraw(incident_id, "What was shown has changed.")
        question = checkpoints.ask(
            OVERRIDE,
            subject=incident_id,
            title=f"Routing is held back ({verdict.explanation}): let the {proposal} all the same?",
            shown={
                **proposal.shown(),
                "why": verdict.explanation,
                "retry_at": verdict.retry_at.isoformat() if verdict.retry_at else None,
            },
            requested_by=LOOP,
            trace_id=trace_id,
            confidence=proposal.policy.confidence,
        )
        self.known[question.id] = question
        return question

    def settle(self, proposal: Proposal) -> None:
        """Withdraw what is still asked about a proposal that was made meanwhile."""
        for question in list(self._pending(proposal)):
            if question.blocking:
                self._withdraw(question.subject, "The adjustment could be made meanwhile.")

    def _pending(self, proposal: Proposal) -> Iterator[Checkpoint]:
        for question in self.known.values():
            if question.state == Checkpoint.State.PENDING and _is_about(question, proposal):
                yield question

    def _withdraw(self, subject: str, reason: str) -> None:
        for question in self.known.values():
            if question.subject == subject and question.state == Checkpoint.State.PENDING:
                checkpoints.withdraw(subject, actor=LOOP, reason=reason, type=OVERRIDE)
                question.state = Checkpoint.State.VOID


def ask_again() -> int:
    """Let loops go on that the governor held back and would let pass now; how many questions that settles."""
    pending = Checkpoint.objects.filter(
        type=OVERRIDE, state=Checkpoint.State.PENDING, blocking=True
    ).order_by("id")
    questions = list(pending)
    if not questions:
        return 0
    limits = Limits.load()
    passing = [question for question in questions if limits.room_for(question.shown)]
    for question in passing:
        resume(question.id)
    return len(passing)


def _weight_of(proposal: Proposal) -> _Weight:
    return _Weight(proposal.agent.id, proposal.capability, proposal.is_escalation)


def _escalates(adjustment_type: str) -> bool:
    return adjustment_type == AdjustmentType.ESCALATION_ADD


def _is_about(question: Checkpoint, proposal: Proposal) -> bool:
    shown = proposal.shown()
    return {name: question.shown.get(name) for name in shown} == shown

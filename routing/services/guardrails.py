"""The governor's memory in the database, and the questions that are asked when it says no."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Self

from django.db import connection
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from governance import checkpoints, ledger, tenants
from governance.actors import LOOP
from governance.database.compiled import Question, compiled
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
class _Hour:
    """The last hour of the tenant in scope: when which weight was adjusted, and every move of one."""

    made: list[tuple[_Weight, datetime]] = field(default_factory=list)
    changes: list[tuple[_Weight, Change]] = field(default_factory=list)

    @classmethod
    def read(cls, now: datetime) -> Self:
        hour = cls()
        lately = Q(started_at__gt=now - WINDOW) | Q(ends_at__gt=now - WINDOW, state__in=WITHDRAWN)
        made = Adjustment.objects.filter(lately, started_at__gt=now - DECAY)
        rows = made.order_by().values_list(*_COUNTED)
        for agent_id, capability, type, magnitude, started_at, ends_at, state in rows:
            weight = _Weight(agent_id, capability, _escalates(type))
            hour.add(weight, magnitude, started_at)
            if state in WITHDRAWN:
                hour.changes.append((weight, Change(ends_at, -magnitude)))
        return hour

    def add(self, weight: _Weight, magnitude: float, at: datetime) -> None:
        self.made.append((weight, at))
        self.changes.append((weight, Change(at, magnitude)))


@dataclass(slots=True)
class Limits:
    """What the governor judges by, read once and kept up with what this transaction adds.

    The hour is read when no freeze says no before: a tenant is frozen when it had a busy one.
    """

    now: datetime
    freezes: list[Freeze]
    _hour: _Hour | None = None

    @classmethod
    def load(cls) -> Self:
        """The freezes of the tenant in scope that still hold; the hour comes later."""
        return cls.asking().answer()

    @classmethod
    def asking(cls) -> Question[Self]:
        """The same, for who asks more than this on one trip."""
        return _freezes.ready().then(lambda freezes: cls(timezone.now(), freezes))

    def verdict(self, proposal: Proposal) -> Verdict:
        """Whether the governor lets this adjustment be made now."""
        return self._verdict(_weight_of(proposal), proposal.magnitude)

    def note(self, proposal: Proposal) -> None:
        """Count an adjustment that was written now."""
        if self._hour is not None:  # else it is read with the others
            self._hour.add(_weight_of(proposal), proposal.magnitude, self.now)

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
        self._read().add(weight, shown["magnitude"], self.now)
        return True

    def _verdict(self, weight: _Weight, delta: float) -> Verdict:
        frozen = History(
            tenant_frozen_until=self._frozen_until(None, ""),
            weight_frozen_until=self._frozen_until(weight.agent_id, weight.capability),
        )
        verdict = governor(delta, frozen, self.now)
        if not verdict.is_allowed:
            return verdict
        hour = self._read()
        history = replace(
            frozen,
            agent=[at for one, at in hour.made if one.agent_id == weight.agent_id],
            tenant=[at for _, at in hour.made],
            weight=[change for one, change in hour.changes if one == weight],
        )
        return governor(delta, history, self.now)

    def _read(self) -> _Hour:
        self._hour = self._hour or _Hour.read(self.now)
        return self._hour

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
    def of(cls, found: Iterable[Checkpoint]) -> Self:
        return cls({one.id: one for one in found})

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
        settings = tenants.settings()
        if not settings.asks(OVERRIDE):
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
            settings=settings,
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


@compiled
def that_may_wait(ids: Sequence[str]) -> QuerySet[Checkpoint]:
    """The questions of these ids, and the pending ones that hold a loop, locked."""
    of_these = _overrides().filter(Q(id__any=ids) | _PENDING & Q(blocking=True))
    return of_these.select_for_update(of=("self",))


@compiled
def that_hold_nothing() -> QuerySet[Checkpoint]:
    """The other pending ones. Whoever decides one opens the adjustment, holding the question: see one_at_a_time."""
    return _overrides().filter(_PENDING, blocking=False)


_PENDING = Q(state=Checkpoint.State.PENDING)


def _overrides() -> QuerySet[Checkpoint]:
    return Checkpoint.objects.filter(type=OVERRIDE).order_by("id")


@compiled
def _freezes() -> QuerySet[Freeze]:
    return Freeze.objects.filter(until__gt=Now()).order_by()


def ask_again() -> int:
    """Let loops go on that the governor held back and would let pass now; how many questions that settles."""
    questions = list(_overrides().filter(_PENDING, blocking=True))
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

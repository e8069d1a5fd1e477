"""The story of one incident: its trace, the steps still to do, and every thing that happened."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from ..database.fields import AppendOnly, TenantForeignKey, TenantModel
from ..ids import ID_LENGTH, IdField


class Stage(models.TextChoices):
    """Where a loop is: the thing that has come true. The last one closes the story."""

    INCIDENT_CREATED = "incident_created"
    PATTERN_MATCHED = "pattern_matched"
    RECOVERY_SUGGESTED = "recovery_suggested"
    POLICY_GENERATED = "policy_generated"
    ROUTING_ADJUSTED = "routing_adjusted"
    LOOP_COMPLETE = "loop_complete"


class FailureState(models.TextChoices):
    """The named ways in which a loop waits or stops that are outcomes, not errors."""

    MATCH_FAILED = "match_failed"
    MATCH_LOW_CONFIDENCE = "match_low_confidence"
    MATCH_SILENCED = "match_silenced"
    RECOVERY_REJECTED = "recovery_rejected"
    RECOVERY_NEEDS_CONFIRMATION = "recovery_needs_confirmation"
    POLICY_LOW_CONFIDENCE = "policy_low_confidence"
    POLICY_SHADOW_MODE = "policy_shadow_mode"
    POLICY_REJECTED = "policy_rejected"
    ROUTING_GUARDRAIL_BLOCKED = "routing_guardrail_blocked"
    ROUTING_KPI_REGRESSION = "routing_kpi_regression"
    HUMAN_CHECKPOINT_PENDING = "human_checkpoint_pending"
    HUMAN_CHECKPOINT_REJECTED = "human_checkpoint_rejected"
    SWITCHED_OFF = "switched_off"


class LoopTrace(TenantModel):
    """One journey of one incident round the loop."""

    class State(models.TextChoices):
        RUNNING = "running"
        WAITING = "waiting"
        COMPLETE = "complete"
        STOPPED = "stopped"
        DEAD = "dead"
        REVERTED = "reverted"

    id = IdField("trc")
    # A lower step does not know the incident's table: the id is all the story needs.
    incident_id = models.CharField(max_length=40, editable=False)
    generation = models.PositiveSmallIntegerField(default=1, editable=False)
    headline = models.CharField(max_length=300, editable=False)
    state = models.CharField(
        max_length=10, choices=State.choices, default=State.RUNNING, editable=False
    )
    stage = models.CharField(
        max_length=20, choices=Stage.choices, default=Stage.INCIDENT_CREATED, editable=False
    )
    failure_state = models.CharField(
        max_length=30, choices=FailureState.choices, blank=True, editable=False
    )
    waited = models.BooleanField(
        default=False, editable=False, help_text="Whether it ever waited for somebody."
    )
    simulated = models.BooleanField(default=False, editable=False)
    started_at = models.DateTimeField(db_default=Now(), editable=False)
    ended_at = models.DateTimeField(null=True, editable=False)

    ENDED: ClassVar[frozenset[str]] = frozenset(
        {State.COMPLETE, State.STOPPED, State.DEAD, State.REVERTED}
    )

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "incident_id", "generation"], name="trace_once"
            )
        ]
        indexes = [models.Index(fields=["tenant", "started_at"], name="trace_started")]

    def __str__(self) -> str:
        return self.headline or self.id


class LoopStep(TenantModel):
    """One piece of the loop's work: a bridge that must still be crossed, or has been."""

    class State(models.TextChoices):
        READY = "ready"
        RUNNING = "running"
        WAITING = "waiting"
        DONE = "done"
        FAILED = "failed"  # stopped by a person or for a named reason; may be retried
        DEAD = "dead"  # poison: failed or lost its lease too often, the cause recorded

    id = IdField("stp")
    trace = TenantForeignKey(LoopTrace, related_name="steps")
    stage = models.CharField(max_length=20, choices=Stage.choices, editable=False)
    state = models.CharField(
        max_length=8, choices=State.choices, default=State.READY, editable=False
    )
    attempts = models.PositiveSmallIntegerField(default=0, editable=False)
    failures = models.PositiveSmallIntegerField(default=0, editable=False)
    max_attempts = models.PositiveSmallIntegerField(default=5, editable=False)
    available_at = models.DateTimeField(db_default=Now(), editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)
    claim_token = models.CharField(max_length=32, blank=True, editable=False)
    waits_for = models.CharField(
        max_length=60,
        blank=True,
        editable=False,
        help_text="The id of what lets it go on, or switch:<name>.",
    )
    failure_state = models.CharField(
        max_length=30, choices=FailureState.choices, blank=True, editable=False
    )
    error = models.TextField(blank=True, editable=False)
    output: models.JSONField[Any, Any] = models.JSONField(default=dict, editable=False)
    gesture = models.CharField(
        max_length=ID_LENGTH, blank=True, editable=False, help_text="What made it ready."
    )
    finished_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        # As `step_once` has them, the newest story first.
        ordering = ["-trace_id", "id"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "trace", "stage"], name="step_once")
        ]
        indexes = [
            # Partial and small: a queue's index bloats with every change of its rows.
            models.Index(
                fields=["available_at"], name="step_fresh", condition=Q(state="ready", attempts=0)
            ),
            models.Index(
                fields=["available_at"],
                name="step_suspect",
                condition=Q(state="ready", attempts__gt=0),
            ),
            models.Index(fields=["lease_until"], name="step_leased", condition=Q(state="running")),
            models.Index(
                fields=["tenant", "waits_for"], name="step_waits", condition=Q(state="waiting")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.stage} of {self.trace_id}: {self.state}"


class NextValue(models.Func):
    """The next number of a sequence, taken by the database when the row is written."""

    function = "nextval"
    arity = 1

    def __init__(self, sequence: str) -> None:
        super().__init__(models.Value(sequence))
        self.sequence = sequence

    def as_sql(self, compiler: Any, connection: Any, **extra: Any) -> tuple[str, tuple[Any, ...]]:  # type: ignore[override]
        # A name and not a parameter: the default is also part of the table's definition.
        return f"nextval('{self.sequence}')", ()

    def deconstruct(self) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
        return f"{type(self).__module__}.{type(self).__name__}", (self.sequence,), {}


EVENT_SEQUENCE = "governance_loopevent_seq"


class LoopEvent(AppendOnly):
    """One thing that happened in a story: the source of timeline, statistics, graduation and live streams."""

    id = IdField("evt")
    seq = models.BigIntegerField(db_default=NextValue(EVENT_SEQUENCE), editable=False)
    trace = TenantForeignKey(LoopTrace, related_name="events")
    type = models.CharField(max_length=40)
    stage = models.CharField(max_length=20, blank=True)
    headline = models.CharField(max_length=300)
    subject = models.CharField(
        max_length=60, blank=True, help_text="The id of the record it tells of."
    )
    actor = models.CharField(max_length=80)
    gesture = models.CharField(max_length=ID_LENGTH, blank=True)
    simulated = models.BooleanField(default=False)
    details: models.JSONField[Any, Any] = models.JSONField(default=dict)

    class Meta:
        ordering = ["seq"]
        indexes = [
            models.Index(fields=["tenant", "trace", "seq"], name="event_of_trace"),
            models.Index(fields=["tenant", "type", "created_at"], name="event_of_type"),
            models.Index(fields=["tenant", "seq"], name="event_order"),
            models.Index(fields=["tenant", "gesture"], name="event_gesture"),
        ]

    def __str__(self) -> str:
        return self.headline

    @property
    def is_milestone(self) -> bool:
        return self.type in MILESTONES


MILESTONES = frozenset(
    {"incident_created", "policy_born", "policy_active", "prevention", "demotion", "loop_complete"}
)

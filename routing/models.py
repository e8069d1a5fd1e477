"""Which agent may still be trusted with which capability, as policies adjust it."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from django.db import models
from django.db.models import Q

from governance.database.fields import AppendOnly, TenantForeignKey, TenantModel
from governance.database.scoped import TenantManager
from governance.ids import IdField
from governance.models import Agent, FailureState
from incidents.models import Incident
from policies.models import Policy


class Adjustments(models.QuerySet["Adjustment"]):
    """Adjustments by whether they still move a weight."""

    def open(self) -> Self:
        return self.filter(state=Adjustment.State.OPEN)

    def counting(self) -> Self:
        """Open, and born of a policy that is in force: demotion and retirement withdraw them at once."""
        return self.open().filter(policy__state=Policy.State.ACTIVE)


class Adjustment(TenantModel):
    """One change of an agent's weight for a capability (a tool), born of a policy and decaying to nothing.

    It counts only while its policy is active: whoever reads a weight joins down to the policy.
    """

    class Type(models.TextChoices):
        CONFIDENCE_PENALTY = "confidence_penalty"
        ROUTE_BLOCK = "route_block"
        ESCALATION_ADD = "escalation_add"

    class State(models.TextChoices):
        OPEN = "open"
        ENDED = "ended"
        ROLLED_BACK = "rolled_back"
        REVERTED = "reverted"

    MOVES: ClassVar[dict[str, frozenset[str]]] = {
        State.OPEN: frozenset({State.ENDED, State.ROLLED_BACK, State.REVERTED})
    }

    id = IdField("adj")
    policy = TenantForeignKey(Policy, related_name="adjustments", editable=False)
    agent = TenantForeignKey(Agent, related_name="adjustments", editable=False)
    capability = models.CharField(max_length=200, editable=False)
    type = models.CharField(max_length=20, choices=Type.choices, editable=False)
    state = models.CharField(
        max_length=12, choices=State.choices, default=State.OPEN, editable=False
    )
    magnitude = models.FloatField(
        editable=False, help_text="-1 to 1; at most 0.2 away from 0 for one adjustment."
    )
    kpi_baseline = models.FloatField(
        null=True, editable=False, help_text="Success rate when it was made."
    )
    started_at = models.DateTimeField(editable=False)
    ends_at = models.DateTimeField(
        editable=False, help_text="When it is, or was, over: seven days after its start or earlier."
    )
    failure_state = models.CharField(
        max_length=30, choices=FailureState.choices, blank=True, editable=False
    )
    reason = models.TextField(blank=True, editable=False)

    objects = TenantManager.from_queryset(Adjustments)()  # type: ignore[misc]

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(magnitude__gte=-1, magnitude__lte=1), name="adjustment_magnitude"
            ),
            models.UniqueConstraint(
                fields=["tenant", "policy", "agent", "capability"],
                condition=Q(state="open"),
                name="adjustment_open_once",
            ),
        ]
        indexes = [
            models.Index(
                fields=["tenant", "agent", "capability"],
                name="adjustment_weight",
                condition=Q(state="open"),
            ),
            models.Index(fields=["tenant", "started_at"], name="adjustment_started"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.magnitude:+.2f} for {self.capability}"


class AdjustmentEvidence(AppendOnly):
    """One incident whose loop made or needed an adjustment."""

    id = IdField("ade")
    adjustment = TenantForeignKey(Adjustment, related_name="evidence")
    incident = TenantForeignKey(Incident, related_name="+")
    details: models.JSONField[Any, Any] = models.JSONField(default=dict)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "adjustment evidence"
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "adjustment", "incident"], name="adjustment_evidence_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.incident_id} for {self.adjustment_id}"


class Freeze(TenantModel):
    """A time in which no weight (or one weight) may be adjusted, because it was adjusted too often."""

    id = IdField("frz")
    agent = TenantForeignKey(Agent, null=True, related_name="+", editable=False)
    capability = models.CharField(
        max_length=200, blank=True, editable=False, help_text="Empty: the whole tenant."
    )
    until = models.DateTimeField(editable=False)
    reason = models.TextField(editable=False)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["tenant", "until"], name="freeze_until")]

    def __str__(self) -> str:
        return self.reason

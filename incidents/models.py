"""What went wrong."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from governance.database.fields import TenantForeignKey, TenantModel
from governance.database.scoped import TenantManager
from governance.ids import IdField
from governance.models import Agent, Run


class Incidents(models.QuerySet["Incident"]):
    """Incidents by what is left to do about them."""

    def open(self) -> Self:
        return self.exclude(state=Incident.State.RESOLVED)


class Incident(TenantModel):
    """One failure of an agent, as it was reported."""

    class Category(models.TextChoices):
        EXECUTION_FAILURE = "execution_failure"
        BUDGET_EXCEEDED = "budget_exceeded"
        RATE_LIMIT = "rate_limit"
        TOKEN_LIMIT = "token_limit"  # noqa: S105 - a category, not a secret
        CONTENT_POLICY = "content_policy"
        PII_DETECTED = "pii_detected"
        SAFETY_VIOLATION = "safety_violation"
        HALLUCINATION = "hallucination"
        OPERATIONAL = "operational"

    class Severity(models.TextChoices):
        LOW = "low"
        MEDIUM = "medium"
        HIGH = "high"
        CRITICAL = "critical"

    class State(models.TextChoices):
        OPEN = "open"
        ACKNOWLEDGED = "acknowledged"
        RESOLVED = "resolved"

    MOVES: ClassVar[dict[str, frozenset[str]]] = {
        State.OPEN: frozenset({State.ACKNOWLEDGED, State.RESOLVED}),
        State.ACKNOWLEDGED: frozenset({State.RESOLVED, State.OPEN}),
        State.RESOLVED: frozenset({State.OPEN}),
    }

    id = IdField("inc")
    agent = TenantForeignKey(Agent, related_name="incidents", editable=False)
    run = TenantForeignKey(Run, null=True, related_name="incidents", editable=False)
    state = models.CharField(
        max_length=12, choices=State.choices, default=State.OPEN, editable=False
    )
    error_type = models.CharField(max_length=200, editable=False)
    message = models.TextField(editable=False)
    tool = models.CharField(max_length=200, blank=True, editable=False)
    arguments: models.JSONField[Any, Any] = models.JSONField(null=True, editable=False)
    category = models.CharField(max_length=20, choices=Category.choices, editable=False)
    severity = models.CharField(max_length=8, choices=Severity.choices, editable=False)
    context: models.JSONField[Any, Any] = models.JSONField(default=dict, editable=False)
    source = models.CharField(max_length=100, editable=False)
    source_key = models.CharField(max_length=200, null=True, editable=False)  # noqa: DJ001 - NULL is "never the same"
    simulated = models.BooleanField(default=False, editable=False)
    occurred_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = TenantManager.from_queryset(Incidents)()  # type: ignore[misc]

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "source", "source_key"],
                condition=Q(source_key__isnull=False),
                name="incident_source_once",
            )
        ]
        indexes = [models.Index(fields=["tenant", "occurred_at"], name="incident_occurred")]

    def __str__(self) -> str:
        where = f" in {self.tool}" if self.tool else ""
        return f"{self.error_type}{where}: {self.message[:120]}"

"""What went wrong."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from django.db import models
from django.db.models import F, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce, Now

from governance import redaction
from governance.database.fields import TenantForeignKey, TenantModel
from governance.database.scoped import TenantManager
from governance.ids import IdField
from governance.models import Agent, Run

LOOKED_AT = 1_000  # characters of a message, so that what its name shows is not cut within a secret


class Incidents(models.QuerySet["Incident"]):
    """Incidents by what is left to do about them."""

    def open(self) -> Self:
        return self.exclude(state=Incident.State.RESOLVED)

    def counted(self) -> Self:
        """With ``reported``, how often, and ``last_reported_at``."""
        repeats = Repeats.objects.filter(incident=OuterRef("pk"))
        return self.annotate(
            reported=Coalesce(Subquery(repeats.values("count")), 0) + 1,
            last_reported_at=Coalesce(Subquery(repeats.values("last_at")), F("created_at")),
        )


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
        begins = redaction.text(self.message[:LOOKED_AT])[:120]
        return f"{redaction.text(f'{self.error_type}{where}')}: {begins}"


class Repeats(TenantModel):
    """How often one incident was reported again since it was opened, and when last; no row: never."""

    id = IdField("rpt")
    incident = TenantForeignKey(Incident, related_name="repeats", editable=False)
    count = models.BigIntegerField(editable=False)
    last_at = models.DateTimeField(editable=False)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "incident"], name="repeats_of_incident_once")
        ]

    def __str__(self) -> str:
        return f"{self.count} repeats"


class Alias(TenantModel):
    """Another name that a source has for an incident: the key of an alert, or a call around the one that failed."""

    id = IdField("als")
    source = models.CharField(max_length=100, editable=False)
    key = models.CharField(max_length=200, editable=False)
    incident = TenantForeignKey(Incident, null=True, related_name="aliases", editable=False)
    episode = models.IntegerField(
        default=0, editable=False, help_text="How many incidents it has stood for."
    )

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "aliases"
        constraints = [
            models.UniqueConstraint(fields=["tenant", "source", "key"], name="alias_once")
        ]

    def __str__(self) -> str:
        return redaction.text(f"{self.source} {self.key}")

"""The kinds of failure that are known, and which incident was of which kind."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Self

from django.contrib.postgres.expressions import ArraySubquery
from django.db import models
from django.db.models import Count, Func, IntegerField, OuterRef, Subquery
from django.db.models.functions import Coalesce

from governance.database.fields import AppendOnly, TenantForeignKey, TenantModel
from governance.database.scoped import TenantManager
from governance.ids import IdField
from incidents.models import Incident


class Patterns(models.QuerySet["Pattern"]):
    """Patterns with the evidence that their matches are."""

    def with_occurrences(self) -> Self:
        """Adds ``occurrences`` (matches, 0 or more) and ``first_seen``, ``last_seen`` (None without one).

        Subqueries and no join: a page of a list then counts for the rows it shows and for no others.
        """
        matches = PatternMatch.objects.filter(pattern=OuterRef("pk")).order_by("id")
        counted = matches.order_by().values("pattern").annotate(count=Count("id"))
        return self.annotate(
            occurrences=Coalesce(Subquery(counted.values("count")), 0),
            first_seen=Subquery(matches.values("created_at")[:1]),
            last_seen=Subquery(matches.reverse().values("created_at")[:1]),
        )

    def seen_up_to(self, most: int) -> Self:
        """Adds ``seen``: occurrences, counted no further than ``most``, so that its cost never grows."""
        matches = PatternMatch.objects.filter(pattern=OuterRef("pk")).order_by()
        return self.annotate(
            seen=Func(
                ArraySubquery(matches.values("pk")[:most]),
                function="cardinality",
                output_field=IntegerField(),
            )
        )


class Pattern(TenantModel):
    """One kind of failure, known by its signature.

    How often it occurred, and when first and last, is counted from its matches: a counter on this row would
    make every worker that meets a frequent failure wait for every other.
    """

    id = IdField("pat")
    name = models.CharField(max_length=300)
    error_type = models.CharField(max_length=200, editable=False)
    tool = models.CharField(max_length=200, blank=True, editable=False)
    template = models.TextField(editable=False)
    signature = models.CharField(
        max_length=64, editable=False, help_text="SHA-256 of the normalised failure."
    )
    signature_version = models.PositiveSmallIntegerField(editable=False)
    strong_above = models.FloatField(default=0.85)
    weak_from = models.FloatField(default=0.60)
    auto_apply_recovery = models.BooleanField(
        default=False,
        help_text="A person trusts its recovery to be applied without asking, where it is sure enough.",
    )

    # There only where the queryset was asked to add them.
    occurrences: int
    first_seen: datetime | None
    last_seen: datetime | None
    seen: int

    objects = TenantManager.from_queryset(Patterns)()  # type: ignore[misc]

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["tenant", "signature"], name="pattern_once")]
        indexes = [
            models.Index(fields=["tenant", "tool"], name="pattern_tool"),
            # With the id, because a new failure is compared with the newest patterns of its error type.
            models.Index(fields=["tenant", "error_type", "id"], name="pattern_error_type"),
        ]

    def __str__(self) -> str:
        return self.name


class PatternMatch(AppendOnly):
    """One incident recognised as one kind of failure, with the reason."""

    class Band(models.TextChoices):
        STRONG = "strong"
        WEAK = "weak"
        NOVEL = "novel"

    id = IdField("mat")
    incident = TenantForeignKey(Incident, related_name="matches")
    pattern = TenantForeignKey(Pattern, related_name="matches")
    confidence = models.FloatField()
    band = models.CharField(max_length=6, choices=Band.choices)
    is_new = models.BooleanField(
        default=False, help_text="Whether this incident opened the pattern."
    )
    why: models.JSONField[Any, Any] = models.JSONField(default=dict)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "pattern matches"
        constraints = [models.UniqueConstraint(fields=["tenant", "incident"], name="match_once")]
        indexes = [models.Index(fields=["tenant", "pattern", "id"], name="match_of_pattern")]

    def __str__(self) -> str:
        return f"{self.band} match of {self.incident_id} with {self.pattern_id}"

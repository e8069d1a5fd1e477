"""The kinds of failure that are known, and which incident was of which kind."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Self

from django.contrib.postgres.expressions import ArraySubquery
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import (
    Count,
    Exists,
    Func,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
)
from django.db.models.functions import Coalesce, Now

from governance.database.fields import AppendOnly, TenantForeignKey, TenantModel
from governance.database.scoped import TenantManager
from governance.ids import IdField
from incidents.models import Incident


class Patterns(models.QuerySet["Pattern"]):
    """Patterns with the evidence that their matches are."""

    def roots(self) -> Self:
        """Those that stand for themselves: what was merged into another is told with that one."""
        return self.filter(root=None)

    def silenced(self) -> Self:
        """Those whose failures a person has said are nothing to act on, as the database's clock has it."""
        return self.exclude(silenced_as="").filter(
            Q(silenced_until=None) | Q(silenced_until__gt=Now())
        )

    def with_occurrences(self) -> Self:
        """Adds ``occurrences`` (incidents, 0 or more) and ``first_seen``, ``last_seen`` (None without one).

        Those of patterns that were merged into it count; incidents that a person moved away do not. Subqueries and
        no join: a page of a list then counts for the rows it shows and for no others.
        """
        counted = _occurrences().order_by().values("tenant").annotate(count=Count("id"))
        return self.with_times().annotate(
            occurrences=Coalesce(Subquery(counted.values("count")), 0)
        )

    def with_times(self) -> Self:
        """Adds ``first_seen`` and ``last_seen`` (None where it never occurred)."""
        matches = _occurrences().order_by("id")
        return self.annotate(
            first_seen=Subquery(matches.values("created_at")[:1]),
            last_seen=Subquery(matches.reverse().values("created_at")[:1]),
        )

    def with_last_match(self) -> Self:
        """Adds ``last_match``: the id of its newest match, which sorts by time; empty where it never occurred."""
        newest = _occurrences().order_by("-id")
        return self.annotate(last_match=Coalesce(Subquery(newest.values("id")[:1]), Value("")))

    def seen_up_to(self, most: int) -> Self:
        """Adds ``seen``: occurrences, counted no further than ``most``, so that its cost never grows."""
        return self.annotate(seen=_seen(_family(OuterRef("pk"), OuterRef("members")), most))


def _occurrences() -> QuerySet[PatternMatch]:
    """In a subquery of patterns: what ``Matches.of`` is for one."""
    family = _family(OuterRef("pk"), OuterRef("members"))
    return PatternMatch.objects.standing().filter(pattern__any=family)


def _family(pattern: OuterRef, members: OuterRef) -> Func:
    return Func(pattern, members, function="array_prepend", output_field=ArrayField(IdField("pat")))


def _seen(family: Func, most: int) -> Func:
    matches = PatternMatch.objects.filter(pattern__any=family).order_by()
    return Func(
        ArraySubquery(matches.values("pk")[:most]),
        function="cardinality",
        output_field=IntegerField(),
    )


class Pattern(TenantModel):
    """One kind of failure, known by its signature.

    How often it occurred, and when first and last, is counted from its matches: a counter on this row would
    make every worker that meets a frequent failure wait for every other.
    """

    class Silence(models.TextChoices):
        EXPECTED = "expected"  # it is as it should be
        IGNORED = "ignored"  # for a while

    id = IdField("pat")
    name = models.CharField(max_length=300)
    error_type = models.CharField(max_length=200, editable=False)
    tool = models.CharField(max_length=200, blank=True, editable=False)
    template = models.TextField(editable=False)
    frames: models.JSONField[Any, Any] = models.JSONField(
        default=list,
        db_default=[],
        editable=False,
        help_text="Of a stack trace: the functions, the failing one first.",
    )
    signature = models.CharField(
        max_length=64, editable=False, help_text="SHA-256 of the normalised failure."
    )
    signature_version = models.PositiveSmallIntegerField(editable=False)
    strong_above = models.FloatField(default=0.85)
    weak_from = models.FloatField(default=0.60)
    root = TenantForeignKey(
        "self",
        null=True,
        blank=True,
        related_name="merged",
        editable=False,
        help_text="The pattern that a person merged it into: failures like it are of that one.",
    )
    members: ArrayField[list[str], list[str]] = ArrayField(
        models.CharField(max_length=40),
        default=list,
        db_default=[],
        editable=False,
        help_text="The patterns that were merged into it.",
    )
    silenced_as = models.CharField(
        max_length=8, choices=Silence.choices, blank=True, default="", db_default="", editable=False
    )
    silenced_at = models.DateTimeField(null=True, editable=False)
    silenced_until = models.DateTimeField(null=True, editable=False)
    auto_apply_recovery = models.BooleanField(
        default=False,
        help_text="A person trusts its recovery to be applied without asking, where it is sure enough.",
    )

    # There only where the queryset was asked to add them.
    occurrences: int
    first_seen: datetime | None
    last_seen: datetime | None
    last_match: str
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

    @property
    def family(self) -> list[str]:
        """The ids of the patterns that are this kind of failure: its own, of what was merged into it, or of its root."""
        return [self.id, *self.members, *([self.root_id] if self.root_id else [])]


class Signatures(models.QuerySet["PatternSignature"]):
    """Signatures with the evidence that matches are."""

    def seen_up_to(self, most: int) -> Self:
        """Adds ``seen``: occurrences of the pattern, counted no further than ``most``."""
        return self.annotate(
            seen=_seen(_family(OuterRef("pattern"), OuterRef("pattern__members")), most)
        )


class PatternSignature(TenantModel):
    """One way in which failures of a pattern are signed: whoever signs so again need not be compared with anything.

    What was decided once is thereby decided for good, whoever decided it. When the signature changes its version,
    the same text is signed again and the new row says what the old one said; the old one stays.
    """

    id = IdField("sig")
    pattern = TenantForeignKey(Pattern, related_name="signatures")
    incident = TenantForeignKey(
        Incident, null=True, related_name="+", help_text="The first one signed so."
    )
    hash = models.CharField(max_length=64, editable=False)
    version = models.PositiveSmallIntegerField(editable=False)
    confidence = models.FloatField(help_text="How surely it is of the pattern.")
    is_taught = models.BooleanField(
        default=False, db_default=False, help_text="A person decided it, and no rule may change it."
    )
    successor = models.CharField(
        max_length=64,
        blank=True,
        default="",
        db_default="",
        help_text="The hash that the same text has in a later version.",
    )
    is_forked = models.BooleanField(
        default=False,
        db_default=False,
        help_text="Whether a person told failures signed so apart, by a word that the signature masks.",
    )
    base = models.CharField(
        max_length=64,
        blank=True,
        default="",
        db_default="",
        help_text="Of a branch: the hash that it was told apart from.",
    )
    word = models.CharField(
        max_length=100,
        blank=True,
        default="",
        db_default="",
        help_text="Of a branch: the word that its failures have and no other signed so.",
    )

    # There only where the queryset was asked to add it.
    seen: int

    objects = TenantManager.from_queryset(Signatures)()  # type: ignore[misc]

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["tenant", "hash"], name="signature_once")]
        indexes = [
            # What is left to sign again.
            models.Index(
                fields=["tenant", "version", "id"],
                name="signature_to_renew",
                condition=Q(successor=""),
            ),
            models.Index(
                fields=["tenant", "base"], name="signature_branches", condition=~Q(base="")
            ),
        ]

    def __str__(self) -> str:
        return f"signature {self.hash[:12]} of {self.pattern_id}"


class PatternKey(TenantModel):
    """One key of the index under which a pattern is found by failures that may be of its kind."""

    id = IdField("key")
    key = models.BigIntegerField()
    pattern = TenantForeignKey(Pattern, related_name="keys")

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "key", "pattern"], name="pattern_key_once")
        ]

    def __str__(self) -> str:
        return f"key {self.key} of {self.pattern_id}"


class Matches(models.QuerySet["PatternMatch"]):
    """Matches that count today, as evidence of their patterns."""

    def standing(self) -> Self:
        """Without those that a person has corrected since."""
        return self.filter(~Exists(PatternMatch.objects.filter(corrects=OuterRef("pk"))))

    def of(self, pattern: Pattern) -> Self:
        """The occurrences of a pattern and of what was merged into it: what every count and list of them is made from."""
        return self.standing().filter(pattern__any=[pattern.id, *pattern.members])


class PatternMatch(AppendOnly):
    """One incident recognised as one kind of failure, with the reason; or a person's correction of that."""

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
    corrects = TenantForeignKey(
        "self",
        null=True,
        related_name="corrections",
        help_text="The match in whose place it stands, because a person said so.",
    )
    why: models.JSONField[Any, Any] = models.JSONField(default=dict)

    objects = TenantManager.from_queryset(Matches)()  # type: ignore[misc]

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "pattern matches"
        constraints = [
            # One that corrects none, and each is corrected once.
            models.UniqueConstraint(
                fields=["tenant", "incident", "corrects"], nulls_distinct=False, name="match_once"
            ),
        ]
        indexes = [models.Index(fields=["tenant", "pattern", "id"], name="match_of_pattern")]

    def __str__(self) -> str:
        return f"{self.band} match of {self.incident_id} with {self.pattern_id}"


class Teaching(AppendOnly):
    """What one person said once about how failures are grouped; later failures obey it until it is undone."""

    class Kind(models.TextChoices):
        MERGED = "merged"
        SPLIT = "split"
        MOVED = "moved"
        RENAMED = "renamed"
        SILENCED = "silenced"
        HEEDED = "heeded"
        UNDONE = "undone"

    id = IdField("tch")
    kind = models.CharField(max_length=8, choices=Kind.choices)
    pattern = TenantForeignKey(
        Pattern,
        related_name="teachings",
        help_text="The pattern that failures are of from then on.",
    )
    other = TenantForeignKey(
        Pattern, null=True, related_name="+", help_text="The pattern that they were of before."
    )
    undoes = TenantForeignKey("self", null=True, related_name="undone_by")
    facts: models.JSONField[Any, Any] = models.JSONField(
        default=dict, help_text="What it changed, so that it can be undone."
    )
    actor = models.CharField(max_length=80)
    reason = models.CharField(max_length=2_000, blank=True)

    # There only where a page has added it.
    said_by: str

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["tenant", "undoes"], name="teaching_undone_once")
        ]
        indexes = [
            models.Index(fields=["tenant", "pattern", "id"], name="teaching_of_pattern"),
            models.Index(fields=["tenant", "other", "id"], name="teaching_of_other"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pattern_id}"

"""What to do about a kind of failure."""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from catalog.models import Pattern, PatternMatch
from governance.database.fields import TenantForeignKey, TenantModel
from governance.ids import IdField
from governance.models import Agent


class ActionKind(models.TextChoices):
    """What applying a recovery does; the parameters of each are checked by ``recovery.rules``."""

    RETRY_POLICY = "retry_policy"
    FALLBACK = "fallback"
    PARAMETER_CAP = "parameter_cap"
    PRE_CHECK = "pre_check"
    TOOL_DISABLED = "tool_disabled"
    WEBHOOK = "webhook"


class RecoveryTemplate(TenantModel):
    """One recovery that a person wrote for a pattern, with the confidence they declare for it."""

    id = IdField("tpl")
    pattern = TenantForeignKey(Pattern, related_name="recovery_templates")
    name = models.CharField(max_length=200)
    kind = models.CharField(max_length=20, choices=ActionKind.choices)
    params: models.JSONField[Any, Any] = models.JSONField(default=dict)
    declared_confidence = models.FloatField(
        default=0.70,
        validators=[MinValueValidator(0.0), MaxValueValidator(0.95)],
        help_text="0 to 0.95.",
    )
    enabled = models.BooleanField(default=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=Q(declared_confidence__gte=0.0, declared_confidence__lte=0.95),
                name="template_confidence",
            ),
            models.UniqueConstraint(
                fields=["tenant", "pattern"],
                condition=Q(enabled=True),
                name="template_enabled_once",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Directive(TenantModel):
    """One instruction that the guard hands to agents before they use a tool, for as long as it is active."""

    id = IdField("drv")
    pattern = TenantForeignKey(Pattern, related_name="directives", editable=False)
    tool = models.CharField(
        max_length=200, blank=True, editable=False, help_text="Empty: every tool."
    )
    kind = models.CharField(max_length=20, choices=ActionKind.choices, editable=False)
    params: models.JSONField[Any, Any] = models.JSONField(default=dict, editable=False)
    params_digest = models.CharField(
        max_length=64, editable=False, help_text="Of tool, kind and parameters."
    )
    title = models.CharField(max_length=300, editable=False)
    active = models.BooleanField(default=True, editable=False)
    expires_at = models.DateTimeField(null=True, editable=False)
    approved_by = models.CharField(
        max_length=80,
        blank=True,
        editable=False,
        help_text="A person, or the loop where nobody was asked.",
    )

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "pattern", "kind", "params_digest"],
                condition=Q(active=True),
                name="directive_active_once",
            )
        ]
        indexes = [
            models.Index(
                fields=["tenant", "tool"], name="directive_of_tool", condition=Q(active=True)
            )
        ]

    def __str__(self) -> str:
        return self.title


class Recovery(TenantModel):
    """One suggestion of what to do about one incident's failure, and what came of it."""

    class State(models.TextChoices):
        SUGGESTED = "suggested"
        APPROVED = "approved"  # a person said yes; an outside call may still be under way
        APPLIED = "applied"
        REJECTED = "rejected"
        FAILED = "failed"
        ROLLED_BACK = "rolled_back"

    class Source(models.TextChoices):
        TEMPLATE = "template"
        HEURISTIC = "heuristic"
        LLM = "llm"

    MOVES: ClassVar[dict[str, frozenset[str]]] = {
        State.SUGGESTED: frozenset({State.APPROVED, State.APPLIED, State.REJECTED}),
        State.APPROVED: frozenset({State.APPLIED, State.FAILED, State.REJECTED}),
        State.FAILED: frozenset({State.APPROVED, State.REJECTED}),
        State.APPLIED: frozenset({State.ROLLED_BACK}),
        # Somebody tries the stage again: then somebody is asked again.
        State.REJECTED: frozenset({State.SUGGESTED}),
        State.ROLLED_BACK: frozenset({State.SUGGESTED}),
    }

    id = IdField("rec")
    match = TenantForeignKey(PatternMatch, related_name="recoveries", editable=False)
    pattern = TenantForeignKey(Pattern, related_name="recoveries", editable=False)
    agent = TenantForeignKey(Agent, related_name="recoveries", editable=False)
    template = TenantForeignKey(
        RecoveryTemplate, null=True, related_name="recoveries", editable=False
    )
    directive = TenantForeignKey(Directive, null=True, related_name="recoveries", editable=False)
    state = models.CharField(
        max_length=12, choices=State.choices, default=State.SUGGESTED, editable=False
    )
    source = models.CharField(max_length=10, choices=Source.choices, editable=False)
    kind = models.CharField(max_length=20, choices=ActionKind.choices, editable=False)
    params: models.JSONField[Any, Any] = models.JSONField(default=dict, editable=False)
    title = models.CharField(max_length=300, editable=False)
    rationale = models.TextField(blank=True, editable=False)
    confidence = models.FloatField(editable=False)
    automatic = models.BooleanField(
        default=False, editable=False, help_text="Applied without asking a person."
    )
    result: models.JSONField[Any, Any] = models.JSONField(default=dict, editable=False)
    applied_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "recoveries"
        constraints = [models.UniqueConstraint(fields=["tenant", "match"], name="recovery_once")]
        indexes = [
            # When did this failure come back in this agent? And what came of a template lately?
            models.Index(
                fields=["tenant", "pattern", "agent", "created_at"], name="recovery_recurrence"
            ),
            models.Index(fields=["tenant", "template", "id"], name="recovery_of_template"),
        ]

    def __str__(self) -> str:
        return self.title


class OutsideCall(TenantModel):
    """One call to a server that is not ours: the intent, written before, and the answer, written after.

    The key is stable over repetitions, so that a server that keeps its promise acts once.
    """

    id = IdField("out")
    key = models.CharField(max_length=100)
    purpose = models.CharField(max_length=40)
    attempts = models.PositiveSmallIntegerField(default=0)
    said: models.JSONField[Any, Any] = models.JSONField(
        null=True, help_text="What was sent first, and is sent again each time."
    )
    answered_at = models.DateTimeField(null=True)
    answer: models.JSONField[Any, Any] = models.JSONField(null=True)
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["tenant", "key"], name="outside_call_once")]

    def __str__(self) -> str:
        return f"{self.purpose} {self.key}"

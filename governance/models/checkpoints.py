"""Checkpoints: the places where a person must decide."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from django.db.models import F, Q

from ..database.fields import TenantForeignKey, TenantModel
from ..ids import IdField
from .story import LoopTrace


class Checkpoint(TenantModel):
    """One question to a person, exactly as it was shown, and what they decided."""

    class Type(models.TextChoices):
        APPROVE_POLICY = "approve_policy"
        APPROVE_RECOVERY = "approve_recovery"
        SIMULATE_ROUTING = "simulate_routing"
        REVERT_LOOP = "revert_loop"
        OVERRIDE_GUARDRAIL = "override_guardrail"
        APPEAL = "appeal"

    class State(models.TextChoices):
        PENDING = "pending"
        APPROVED = "approved"
        REJECTED = "rejected"
        EXPIRED = "expired"
        VOID = "void"  # what was shown has changed since

    class Priority(models.IntegerChoices):
        CRITICAL = 1
        HIGH = 2
        NORMAL = 3
        LOW = 4

    MOVES: ClassVar[dict[str, frozenset[str]]] = {
        State.PENDING: frozenset({State.APPROVED, State.REJECTED, State.EXPIRED, State.VOID})
    }

    id = IdField("chk")
    trace = TenantForeignKey(LoopTrace, null=True, blank=True, related_name="checkpoints")
    type = models.CharField(max_length=20, choices=Type.choices, editable=False)
    state = models.CharField(
        max_length=10, choices=State.choices, default=State.PENDING, editable=False
    )
    priority = models.PositiveSmallIntegerField(
        choices=Priority.choices, default=Priority.NORMAL, editable=False
    )
    blocking = models.BooleanField(default=True, editable=False)
    subject = models.CharField(
        max_length=60, editable=False, help_text="The id of the record to decide about."
    )
    title = models.CharField(max_length=300, editable=False)
    shown: models.JSONField[Any, Any] = models.JSONField(
        editable=False, help_text="Exactly what the person sees."
    )
    digest = models.CharField(max_length=64, editable=False)
    requested_by = models.CharField(max_length=80, editable=False)
    decided_by = models.CharField(max_length=80, blank=True, editable=False)
    decided_at = models.DateTimeField(null=True, editable=False)
    reason = models.TextField(blank=True, editable=False)
    expires_at = models.DateTimeField(editable=False)

    class Meta:
        ordering = ["priority", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "type", "subject"],
                condition=Q(state="pending"),
                name="checkpoint_pending_once",
            ),
            models.CheckConstraint(
                condition=Q(decided_by="") | ~Q(decided_by=F("requested_by")),
                name="checkpoint_not_ones_own",
            ),
        ]
        indexes = [
            models.Index(
                fields=["tenant", "priority", "id"],
                name="checkpoint_queue",
                condition=Q(state="pending"),
            ),
        ]

    def __str__(self) -> str:
        return self.title

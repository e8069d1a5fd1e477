"""Tenants, the people who belong to them, and the service accounts that agents use."""

from __future__ import annotations

from django.contrib.auth.models import AbstractUser
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from ..database.fields import TenantModel
from ..ids import IdField
from .modes import Stoppable

MOST_PER_MINUTE = 10_000_000


class User(AbstractUser):
    """One person who can sign in. What they may do is said by their memberships."""


class Tenant(models.Model):
    """One customer: everything else in the database belongs to exactly one of these."""

    id = IdField("ten")
    slug = models.SlugField(max_length=50, unique=True)
    name = models.CharField(max_length=100)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    requests_per_minute = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_PER_MINUTE)],
        help_text="Of all its callers together; empty for the usual.",
    )
    token_requests_per_minute = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_PER_MINUTE)],
        help_text="Of each of its tokens; empty for the usual.",
    )

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(requests_per_minute=None) | Q(requests_per_minute__gte=1),
                name="tenant_may_ask",
            ),
            models.CheckConstraint(
                condition=Q(token_requests_per_minute=None) | Q(token_requests_per_minute__gte=1),
                name="tenant_tokens_may_ask",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Role(models.TextChoices):
    """What a member may do; each role may do what those before it may."""

    VIEWER = "viewer"
    REVIEWER = "reviewer"
    OPERATOR = "operator"
    ADMIN = "admin"


class Membership(models.Model):
    """One person's role in one tenant. Not under row-level security: it decides which tenant is entered."""

    user = models.ForeignKey(User, models.CASCADE, related_name="memberships")
    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.VIEWER)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "tenant"], name="membership_once")]

    def __str__(self) -> str:
        return f"{self.user} is {self.role} of {self.tenant}"


class Settings(TenantModel, Stoppable):
    """What one tenant decided about its own governance, and the modes that hold for all of its agents."""

    class Verdict(models.TextChoices):
        ALLOW = "allow"
        BLOCK = "block"

    id = IdField("set")
    confirmations = models.PositiveSmallIntegerField(
        default=3,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text="Distinct incidents that confirm a shadow policy, its origin being the first.",
    )
    default_verdict = models.CharField(
        max_length=5,
        choices=Verdict.choices,
        default=Verdict.ALLOW,
        help_text="The guard's answer where no policy has anything to say.",
    )
    strict_agents = models.BooleanField(
        default=False,
        help_text="Refuse agents that nobody registered, instead of knowing them from first sight.",
    )
    automatic_activation = models.BooleanField(
        default=False,
        help_text="Activate confirmed policies without a person, once graduation has unlocked it.",
    )
    hallucination_may_block = models.BooleanField(
        default=False, help_text="Let a probabilistic detector reach block by itself."
    )
    exploration_percent = models.PositiveSmallIntegerField(
        default=0,
        db_default=0,
        validators=[MaxValueValidator(5)],
        help_text="Of what a policy in force would block, so many per cent (0 to 5) are let through and measured;"
        " never of safety, privacy or kill.",
    )
    checkpoints_off = models.JSONField(
        default=list,
        blank=True,
        help_text="Types of checkpoint that nobody is asked for: what they guard goes on.",
    )
    checkpoints_advisory = models.JSONField(
        default=list,
        blank=True,
        help_text="Types of checkpoint that are asked but do not hold the loop.",
    )
    llm_recoveries = models.BooleanField(
        default=False, help_text="Let a language model suggest recoveries."
    )
    degraded = models.BooleanField(
        default=False, editable=False, help_text="No new runs; running ones are warned."
    )
    degraded_reason = models.TextField(blank=True, editable=False)
    degraded_by = models.CharField(max_length=80, blank=True, editable=False)
    degraded_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        verbose_name_plural = "settings"
        constraints = [
            models.UniqueConstraint(fields=["tenant"], name="settings_once"),
            models.CheckConstraint(
                condition=Q(exploration_percent__lte=5), name="settings_exploration_capped"
            ),
        ]

    def __str__(self) -> str:
        return f"settings of {self.tenant_id}"

    def asks(self, checkpoint_type: str) -> bool:
        """Whether people are asked this type of checkpoint."""
        return checkpoint_type not in self.checkpoints_off

    def waits_for(self, checkpoint_type: str) -> bool:
        """Whether the loop waits for this type of checkpoint."""
        return self.asks(checkpoint_type) and checkpoint_type not in self.checkpoints_advisory


class Account(TenantModel):
    """A service account: what agents authenticate as. It can never decide a checkpoint."""

    id = IdField("acc")
    name = models.CharField(max_length=100)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["tenant", "name"], name="account_name")]

    def __str__(self) -> str:
        return self.name

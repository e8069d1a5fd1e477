"""API tokens: only their hash is kept."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from ..database.fields import TenantForeignKey, TenantModel
from ..ids import IdField
from .people import Account, User


class ApiToken(TenantModel):
    """One bearer token of a service account or of a person; the secret itself is shown once and never kept."""

    id = IdField("tok")
    account = TenantForeignKey(Account, null=True, blank=True, related_name="tokens")
    user = models.ForeignKey(User, models.CASCADE, null=True, blank=True, related_name="api_tokens")
    name = models.CharField(max_length=100)
    prefix = models.CharField(
        max_length=12, editable=False, help_text="How to recognise it: its first characters."
    )
    hash = models.CharField(max_length=64, unique=True, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(account__isnull=True, user__isnull=False)
                | Q(account__isnull=False, user__isnull=True),
                name="token_has_one_owner",
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

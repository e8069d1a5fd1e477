"""What is counted to keep callers within limits, and who tried to sign in. Both are known before any tenant is."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from .people import User

LONGEST_ADDRESS = 64


class Allowance(models.Model):
    """How far ahead of the clock one caller's requests have been granted (a leaky bucket, by its theoretical arrival time)."""

    key = models.CharField(primary_key=True, max_length=100)
    due = models.DateTimeField()

    def __str__(self) -> str:
        return self.key


class SignIn(models.Model):
    """One attempt to sign in. A name that nobody has is kept only as a digest: people type passwords there."""

    at = models.DateTimeField(db_default=Now(), editable=False)
    user = models.ForeignKey(User, models.SET_NULL, null=True, editable=False, related_name="+")
    account = models.CharField(max_length=64, editable=False, help_text="Keyed digest of the name.")
    address = models.CharField(max_length=LONGEST_ADDRESS, editable=False)
    succeeded = models.BooleanField(default=False, editable=False)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "sign-ins"
        indexes = [
            models.Index(fields=["account", "at"], name="sign_in_account"),
            models.Index(fields=["address", "at"], name="sign_in_address"),
        ]

    def __str__(self) -> str:
        return f"{self.user or 'somebody'} from {self.address}"

"""What a caller may safely send twice."""

from __future__ import annotations

from typing import Any

from django.db import models

from ..database.fields import TenantModel
from ..ids import IdField


class IdempotentRequest(TenantModel):
    """One POST that carried an Idempotency-Key, and the answer it got."""

    id = IdField("req")
    principal = models.CharField(max_length=80)
    key = models.CharField(max_length=200)
    fingerprint = models.CharField(max_length=64, help_text="SHA-256 of method, path and body.")
    status = models.PositiveSmallIntegerField(null=True)
    answer: models.JSONField[Any, Any] = models.JSONField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "principal", "key"], name="request_once")
        ]

    def __str__(self) -> str:
        return self.key

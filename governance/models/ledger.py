"""The ledger's entries."""

from __future__ import annotations

from django.db import models

from ..database.fields import AppendOnly
from ..ids import IdField


class LedgerEntry(AppendOnly):
    """One change that mattered, as canonical bytes (RFC 8785) and their SHA-256."""

    id = IdField("led")
    kind = models.CharField(max_length=60)
    subject = models.CharField(max_length=60)
    actor = models.CharField(max_length=80)
    body = models.BinaryField()
    hash = models.BinaryField(max_length=32)

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "ledger entries"
        indexes = [models.Index(fields=["tenant", "subject"], name="ledger_subject")]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"

"""Signs of life of the processes beside the web."""

from __future__ import annotations

from django.db import models


class Heartbeat(models.Model):
    """The last sign of life of one process of a kind, and until when its next one may take."""

    kind = models.CharField(max_length=20)
    instance = models.CharField(max_length=200, help_text="The machine and the process there.")
    seen_at = models.DateTimeField()
    promised_until = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["kind", "instance"], name="heartbeat_of_instance")
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.instance}"

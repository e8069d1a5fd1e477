"""Switches of the loop: off means that what happened is kept and its step waits."""

from __future__ import annotations

from django.db import models

from ..database.fields import TenantModel
from ..ids import IdField

WHOLE_LOOP = "loop"


class Switch(TenantModel):
    """One tenant's switch of the whole loop or of one bridge. A missing row is on."""

    id = IdField("swi")
    name = models.CharField(max_length=40, help_text="'loop' or the name of a stage.")
    on = models.BooleanField(default=True)
    reason = models.TextField(blank=True)

    class Meta:
        verbose_name_plural = "switches"
        constraints = [models.UniqueConstraint(fields=["tenant", "name"], name="switch_name")]

    def __str__(self) -> str:
        return f"{self.name} {'on' if self.on else 'off'}"


class GlobalSwitch(models.Model):
    """The same for every tenant at once: set by who runs the server, and stronger than a tenant's own."""

    name = models.CharField(max_length=40, primary_key=True)
    on = models.BooleanField(default=True)
    reason = models.TextField(blank=True)

    class Meta:
        verbose_name_plural = "global switches"

    def __str__(self) -> str:
        return f"{self.name} {'on' if self.on else 'off'} everywhere"

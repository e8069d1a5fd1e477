"""Agents and their runs, named by the caller and known from first sight."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from ..database.fields import TenantForeignKey, TenantModel
from ..ids import IdField
from .modes import Stoppable

NAME_LENGTH = 200


class Agent(TenantModel, Stoppable):
    """One agent, by the name its owner gives it."""

    id = IdField("agt")
    name = models.CharField(max_length=NAME_LENGTH)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["tenant", "name"], name="agent_name")]
        indexes = [
            models.Index(fields=["tenant", "name"], name="agent_stopped", condition=Q(stopped=True))
        ]

    def __str__(self) -> str:
        return self.name


class Run(TenantModel):
    """One run of an agent, and the policy set that was in force when it began."""

    id = IdField("run")
    agent = TenantForeignKey(Agent, related_name="runs")
    name = models.CharField(max_length=NAME_LENGTH)
    policy_set = models.CharField(max_length=64, blank=True, editable=False)
    simulated = models.BooleanField(default=False)
    refused = models.BooleanField(
        default=False,
        db_default=False,
        help_text="It asked to begin while no run might, and has not begun since.",
    )
    started_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["-started_at"]
        constraints = [models.UniqueConstraint(fields=["tenant", "agent", "name"], name="run_name")]

    def __str__(self) -> str:
        return self.name

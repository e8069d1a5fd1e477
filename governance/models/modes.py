"""Modes: who stopped an agent or all of them, who said that the product is degraded, and who may go ungoverned."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar, Self

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from ..database.fields import TenantModel
from ..database.scoped import TenantManager
from ..ids import IdField

LONGEST_BYPASS_MINUTES = 60
CONFIRM_WITHIN = timedelta(minutes=15)
"""How long a second person has to confirm a bypass."""


class Stoppable(models.Model):
    """What agent_stop can hold: one agent, or by the tenant's settings all of them."""

    stopped = models.BooleanField(default=False, help_text="Every action gets kill.")
    stopped_reason = models.TextField(blank=True, editable=False)
    stopped_by = models.CharField(max_length=80, blank=True, editable=False)
    stopped_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        abstract = True


class ServerMode(models.Model):
    """One mode that holds for every tenant at once, set by who runs the server. A missing row is off."""

    class Name(models.TextChoices):
        DEGRADED = "degraded"

    name = models.CharField(max_length=20, primary_key=True, choices=Name.choices)
    on = models.BooleanField(default=True)
    reason = models.TextField()
    by = models.CharField(max_length=80, editable=False)
    since = models.DateTimeField(db_default=Now(), editable=False)

    def __str__(self) -> str:
        return f"{self.name} {'on' if self.on else 'off'} everywhere"


class Bypasses(models.QuerySet["Bypass"]):
    """Bypasses by whether they still matter. The database's clock decides."""

    def live(self) -> Self:
        """Asked for, agreed or in force: a tenant has one at most."""
        return self.filter(state__in=Bypass.LIVE)

    def in_force(self) -> Self:
        """Governing is off. Whatever the state says, not for a moment longer than was agreed."""
        return self.filter(state=Bypass.State.ACTIVE, ends_at__gt=Now())

    def due(self) -> Self:
        """Live by their state, but their time is over."""
        lapsed = Q(state=Bypass.State.REQUESTED, expires_at__lte=Now())
        return self.live().filter(lapsed | Q(ends_at__lte=Now()))


class Bypass(TenantModel):
    """One time in which, by the word of two people, the guard stops nothing."""

    class State(models.TextChoices):
        REQUESTED = "requested"
        CONFIRMED = "confirmed"  # agreed, and its entry of the ledger not yet sealed
        ACTIVE = "active"
        ENDED = "ended"  # it was in force
        WITHDRAWN = "withdrawn"  # by a person, before it came into force
        EXPIRED = "expired"  # nobody confirmed it, or the ledger gave no receipt in time

    LIVE: ClassVar[tuple[str, ...]] = (State.REQUESTED, State.CONFIRMED, State.ACTIVE)
    MOVES: ClassVar[dict[str, frozenset[str]]] = {
        State.REQUESTED: frozenset({State.CONFIRMED, State.WITHDRAWN, State.EXPIRED}),
        State.CONFIRMED: frozenset({State.ACTIVE, State.WITHDRAWN, State.EXPIRED}),
        State.ACTIVE: frozenset({State.ENDED}),
    }

    id = IdField("byp")
    state = models.CharField(
        max_length=10, choices=State.choices, default=State.REQUESTED, editable=False
    )
    minutes = models.PositiveSmallIntegerField(
        validators=[MinValueValidator(1), MaxValueValidator(LONGEST_BYPASS_MINUTES)]
    )
    reason = models.TextField()
    requested_by = models.CharField(max_length=80, editable=False)
    expires_at = models.DateTimeField(
        editable=False, help_text="A second person confirms it by then, or not at all."
    )
    confirmed_by = models.CharField(max_length=80, blank=True, editable=False)
    confirmed_at = models.DateTimeField(null=True, editable=False)
    ends_at = models.DateTimeField(
        null=True, editable=False, help_text="Counted from when it was confirmed."
    )
    closed_by = models.CharField(max_length=80, blank=True, editable=False)
    closed_at = models.DateTimeField(null=True, editable=False)
    close_reason = models.TextField(blank=True, editable=False)

    objects = TenantManager.from_queryset(Bypasses)()  # type: ignore[misc]

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "bypasses"
        constraints = [
            models.UniqueConstraint(
                fields=["tenant"],
                condition=Q(state__in=["requested", "confirmed", "active"]),
                name="bypass_one_live",
            ),
            models.CheckConstraint(
                condition=Q(minutes__gte=1, minutes__lte=LONGEST_BYPASS_MINUTES),
                name="bypass_minutes",
            ),
            models.CheckConstraint(
                condition=Q(requested_by__startswith="user:")
                & (Q(confirmed_by="") | Q(confirmed_by__startswith="user:"))
                & ~Q(confirmed_by=F("requested_by")),
                name="bypass_two_people",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["requested", "withdrawn", "expired"])
                | Q(confirmed_at__isnull=False, ends_at__isnull=False) & ~Q(confirmed_by=""),
                name="bypass_confirmed_first",
            ),
            models.CheckConstraint(
                condition=Q(expires_at__lte=F("created_at") + CONFIRM_WITHIN)
                & (Q(confirmed_at__isnull=True) | Q(confirmed_at__lte=F("expires_at"))),
                name="bypass_confirmed_in_time",
            ),
            models.CheckConstraint(
                condition=Q(ends_at__isnull=True)
                | Q(ends_at__lte=F("confirmed_at") + timedelta(minutes=LONGEST_BYPASS_MINUTES)),
                name="bypass_ends",
            ),
        ]

    def __str__(self) -> str:
        return f"bypass of {self.minutes} minutes: {self.state}"

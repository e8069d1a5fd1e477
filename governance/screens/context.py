"""What every page knows."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from ..models import Checkpoint, Membership
from .people import person_of, rights_of
from .standing import standing

MOST_COUNTED = 100
"""A badge says "99+" above that: nobody needs the exact length of a long queue."""


def governance(request: HttpRequest) -> dict[str, Any]:
    """The membership that the page works for, None for who belongs to no tenant; the rest is read when it is used."""
    membership: Membership | None = getattr(request, "membership", None)
    return {
        "membership": membership,
        "csp_nonce": getattr(request, "csp_nonce", ""),
        "may": rights_of(membership),
        "waiting_count": SimpleLazyObject(waiting_count),
        "standing": SimpleLazyObject(lambda: standing(membership)),
        "memberships": SimpleLazyObject(lambda: memberships_of(request)),
    }


def waiting_count() -> int:
    """How many checkpoints of the tenant in scope wait for a person; counts no further than the badge shows."""
    waiting = Checkpoint.objects.filter(state=Checkpoint.State.PENDING).order_by()
    return waiting[:MOST_COUNTED].count()


def memberships_of(request: HttpRequest) -> list[Membership]:
    """The tenants that the signed-in person may work for."""
    own = Membership.objects.select_related("tenant").filter(user=person_of(request))
    return list(own.order_by("tenant__name"))

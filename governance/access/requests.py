"""How long an answered request is remembered."""

from __future__ import annotations

from datetime import timedelta

from django.db.models.functions import Now

from ..models import IdempotentRequest

REMEMBERED = timedelta(hours=24)


def forget_old() -> int:
    """Forget requests of the tenant in scope that are older than a day; how many."""
    return IdempotentRequest.objects.filter(created_at__lt=Now() - REMEMBERED).delete()[0]

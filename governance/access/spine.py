"""The routes that decide whether something may happen: closed while a check fails.

What tells that something happened (an outcome, an incident) is taken as long as the database takes it: an event must
not be lost because of a doubt about who may act.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.db import transaction
from django.http import HttpRequest, HttpResponseBase

from .. import readiness
from . import problems

View = Callable[..., HttpResponseBase]
DECIDING = "POST"
# A request that is about to be refused may be the first of its process: its checks are on their way.
FIRST_LOOK_SECONDS = 0.25


def spine(view: View) -> View:
    """Refuse what this view would decide while the product is not ready, before the database is touched."""

    @wraps(view)
    @transaction.non_atomic_requests
    def gated(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method == DECIDING:
            standing = readiness.standing(wait=FIRST_LOOK_SECONDS)
            if not standing.is_ready:
                return problems.not_ready(standing)
        with transaction.atomic():
            return view(request, *args, **kwargs)

    gated.is_spine = True  # type: ignore[attr-defined]
    return gated


def is_spine(view: Any) -> bool:
    """Whether a route's view stands behind the gate."""
    return bool(getattr(view, "is_spine", False))

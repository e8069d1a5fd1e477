"""How long a request may wait for the database, whatever it is about: waiting ones must not take every thread.

Routes that decide, and routes that only tell, have less time (``spine.py``). Where the database is known to be away
nobody waits at all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.urls import Resolver404, resolve

from .. import readiness
from ..database import deadline
from . import problems
from .spine import is_spine

SECONDS = 10.0
HEALTH = frozenset({"/livez", "/readyz", "/metrics"})

View = Callable[..., Any]


def needs_nobody(view: View) -> View:
    """A view that answers also where the database is away."""
    view.needs_nobody = True  # type: ignore[attr-defined]
    return view


class PatienceMiddleware:
    """Gives every request its deadline, and says at once what would only be found out by waiting."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        standing = readiness.standing()
        is_away = standing.failing == readiness.DATABASE
        # Before anything further in asks who has signed in. Views are looked for only where it matters.
        if is_away or request.path_info in HEALTH:
            view = _view(request)
            if getattr(view, "needs_nobody", False):
                answer: HttpResponseBase = view(request)
                return answer
            if is_away:
                return problems.not_ready(request, standing, is_spine=is_spine(view))
        with deadline.within(SECONDS):
            return self.get_response(request)


def _view(request: HttpRequest) -> Any:
    try:
        return resolve(request.path_info).func
    except Resolver404:
        return None

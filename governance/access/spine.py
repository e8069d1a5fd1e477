"""Routes whose answer somebody waits for: those that decide (spine), and those that only tell (event).

The spine is closed while a check fails, and answers no where the database does not answer in time. An event is taken
as long as the database takes it, whatever the checks say: what happened must not be lost because of a doubt about who
may act. It has a deadline too, or waiting events would hold every thread that could answer the spine.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError, transaction
from django.http import HttpRequest, HttpResponseBase

from .. import readiness
from ..database import deadline
from . import problems

View = Callable[..., HttpResponseBase]
ASKED_BY = "POST"
# A request may be the first of its process: the checks are on their way.
FIRST_LOOK_SECONDS = 0.25
EVENT_SECONDS = 1.0
BATCH_SECONDS = 5.0  # for one request that tells of many


def spine(view: View) -> View:
    """Let this view decide only while every check passes, and within settings.SPINE_MILLISECONDS."""

    @wraps(view)
    @transaction.non_atomic_requests
    def gated(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method != ASKED_BY:
            return _read(view, request, *args, **kwargs)
        standing = readiness.standing(wait=FIRST_LOOK_SECONDS)
        if not standing.is_ready:
            return problems.not_ready(request, standing, is_spine=True)
        request.is_spine = True  # type: ignore[attr-defined]
        seconds = settings.SPINE_MILLISECONDS / 1000
        return _in_time(view, request, seconds, *args, **kwargs)

    gated.is_spine = True  # type: ignore[attr-defined]
    return gated


def event(view: View, seconds: float = EVENT_SECONDS) -> View:
    """Let this view take what it is told, whatever the checks say, within a second or so many."""

    @wraps(view)
    @transaction.non_atomic_requests
    def timed(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method != ASKED_BY:
            return _read(view, request, *args, **kwargs)
        return _in_time(view, request, seconds, *args, **kwargs)

    return timed


def is_spine(view: Any) -> bool:
    """Whether a route's view stands behind the gate."""
    return bool(getattr(view, "is_spine", False))


def _read(view: View, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
    with transaction.atomic():
        return view(request, *args, **kwargs)


def _in_time(
    view: View, request: HttpRequest, seconds: float, *args: Any, **kwargs: Any
) -> HttpResponseBase:
    """The view in a transaction of its own, with a deadline for all that it asks the database."""
    response: HttpResponseBase
    try:
        with deadline.within(seconds), transaction.atomic():
            response = view(request, *args, **kwargs)
    except (DatabaseError, InterfaceError) as error:
        # The transaction could not be opened or closed.
        response = problems.database_away(request, error)
    if response.status_code == problems.AWAY:
        readiness.doubt()
    return response

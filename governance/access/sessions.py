"""How long somebody stays signed in: not for ever, and not at a screen that nobody uses."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings
from django.contrib.auth import logout
from django.db import InterfaceError, InternalError, OperationalError
from django.http import HttpRequest, HttpResponseBase

from .problems import database_away, is_api

IDLE_SECONDS = 7_200
NOTED_EVERY_SECONDS = 300  # a use is not worth a write each time
BEGAN, SEEN = "began", "seen"

GetResponse = Callable[[HttpRequest], HttpResponseBase]


def session_middleware(get_response: GetResponse) -> GetResponse:
    """Sign out whoever signed in too long ago or did nothing for long; an open live page is no use of it."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        try:
            _end_or_note(request)
        except (OperationalError, InterfaceError, InternalError) as error:
            # Django would call it an error of ours, and show the page for that.
            return database_away(request, error)
        return get_response(request)

    return middleware


def _end_or_note(request: HttpRequest) -> None:
    if not is_api(request) and request.user.is_authenticated:
        if is_over(request.session):
            logout(request)
        elif not _is_stream(request):
            _note(request)


def is_over(session: Mapping[str, Any] | Any) -> bool:
    """Whether a session has lasted, or been left alone, for too long."""
    now = time.time()
    began, seen = session.get(BEGAN, now), session.get(SEEN, now)
    return bool(now - began > settings.SESSION_COOKIE_AGE or now - seen > IDLE_SECONDS)


def _note(request: HttpRequest) -> None:
    now = time.time()
    if BEGAN not in request.session:
        request.session[BEGAN] = now
    if now - request.session.get(SEEN, 0) > NOTED_EVERY_SECONDS:
        request.session[SEEN] = now


def _is_stream(request: HttpRequest) -> bool:
    """A browser opens a stream again by itself, for as long as the page is open."""
    return "/stream" in request.path

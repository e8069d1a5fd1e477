"""Sentry's clients, pointed here by their DSN."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from uuid import uuid4

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from governance.access import parsers
from governance.access.authentication import SentryKeyAuthentication
from governance.access.principals import actor_of
from governance.access.wire import MOST_BYTES

from .. import services
from ..intake import sentry
from .intake import BatchParser, IntakeView, arguments, body_of, unfit


class SentryView(IntakeView):
    """What both doors have in common. The project of the DSN says nothing: the key says whose it is."""

    authentication_classes = [SentryKeyAuthentication]
    parser_classes = [BatchParser]

    # Left out of the description: the bodies are Sentry's, and its clients make them.
    @extend_schema(exclude=True)
    def post(self, request: Request, project: str) -> Response:
        """Take what failed; whatever else an envelope carries is let go."""
        try:
            event_id = self._take(request, self.events(body_of(request)))
        except sentry.NoEvent as error:
            raise unfit(error.field, str(error)) from error
        return Response({"id": event_id} if event_id else {})

    def events(self, body: bytes) -> Iterable[tuple[str, bytes]]:
        """(id or empty, JSON) of each event in a body; the first may be an id alone."""
        raise NotImplementedError

    def refusal(self, problem: dict[str, Any]) -> Any:
        causes = [each["message"] for each in problem.get("errors", [])]
        return {"detail": problem["detail"], "causes": causes}

    def _take(self, request: Request, events: Iterable[tuple[str, bytes]]) -> str:
        answered = ""
        for given, payload in events:
            answered = given or answered
            if not payload:
                continue
            if len(payload) > MOST_BYTES:
                raise parsers.TooLarge(MOST_BYTES)
            event = parsers.parse(payload)
            if not isinstance(event, dict):
                raise sentry.NoEvent("event", "An event must be an object.")
            answered = sentry.id_of(event.get("event_id")) or answered or uuid4().hex
            if sentry.is_failure(event):
                actor = actor_of(request)
                said = arguments(sentry.told(event, answered), actor)
                services.report(source=sentry.SOURCE, actor=actor, **said)
        return answered


class EnvelopeView(SentryView):
    """Envelopes, as all of today's clients send them."""

    def events(self, body: bytes) -> Iterable[tuple[str, bytes]]:
        for header, payload in sentry.items(body, parsers.parse):
            if "type" not in header:
                yield sentry.id_of(header.get("event_id")), b""
            elif header["type"] == "event":
                yield "", payload


class StoreView(SentryView):
    """Single events, as older clients send them."""

    def events(self, body: bytes) -> Iterable[tuple[str, bytes]]:
        yield "", body or b"{"  # nothing is no event either

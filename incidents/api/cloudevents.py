"""CloudEvents whose data is a report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.exceptions import UnsupportedMediaType, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from governance.access.packing import PackedJSONParser
from governance.access.principals import actor_of

from .. import services
from ..intake import cloudevents
from .incidents import ReportSerializer
from .intake import MOST_AT_ONCE, IntakeView, under, unfit


class EventParser(PackedJSONParser):
    """JSON under any name that ends in +json; nothing else is taken."""

    media_type = "*/*"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        kind = kind_of(media_type or "")
        if kind != "application/json" and not kind.endswith("+json"):
            raise UnsupportedMediaType(media_type or "")
        return super().parse(stream, media_type, parser_context)


class CloudEventsView(IntakeView):
    """Events of CloudEvents 1.0 over HTTP: structured, binary or in batches."""

    parser_classes = [EventParser]

    # Left out of the description: the content mode is part of the body, which OpenAPI cannot say.
    @extend_schema(exclude=True)
    def post(self, request: Request) -> Response:
        """Take one event or a batch; the same source and id are the same incident. A batch is taken whole or not."""
        try:
            events = _events(request)
        except cloudevents.NoEvent as error:
            raise unfit(error.field, str(error)) from error
        reports = [_report(event) for event in events]
        actor = actor_of(request)
        opened = [
            services.report(agent=said.pop("agent_id"), actor=actor, **said) for said in reports
        ]
        ids = [each.incident.id for each in opened]
        return Response({"ids": ids}, status.HTTP_202_ACCEPTED)


def kind_of(content_type: str) -> str:
    """A Content-Type without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def _events(request: Request) -> list[cloudevents.Event]:
    body, kind = request.data, kind_of(request.content_type or "")
    if kind == cloudevents.STRUCTURED:
        return [cloudevents.structured(body)]
    if kind != cloudevents.BATCH:
        return [cloudevents.binary(dict(request.headers), body)]
    if isinstance(body, list) and len(body) > MOST_AT_ONCE:
        raise cloudevents.NoEvent("", f"At most {MOST_AT_ONCE} events in a batch.")
    return list(cloudevents.batch(body))


def _report(event: cloudevents.Event) -> dict[str, Any]:
    """The event's report, which has the limits of any other. Raises ValidationError, by the place in the body."""
    asked = ReportSerializer(data=event.report())
    try:
        asked.is_valid(raise_exception=True)
    except ValidationError as error:
        raise under(f"{event.path}data", error) from error
    return dict(asked.validated_data)

"""OpenTelemetry's exporters: OTLP over HTTP, in protobuf and in JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from governance import redaction
from governance.access import parsers
from governance.access.principals import actor_of
from governance.actors import Actor
from governance.refusals import Refusal

from .. import services
from ..intake import otlp, spans
from .intake import MOST_AT_ONCE, BatchParser, IntakeView, arguments, body_of, unfit

# google.rpc.Code, by our status.
CODES = {400: 3, 401: 16, 403: 7, 404: 5, 413: 11, 429: 8, 503: 14}
UNKNOWN = 2
LONGEST_MESSAGE = 500


class ProtobufParser(BatchParser):
    media_type = otlp.PROTOBUF


class JSONParser(BatchParser):
    media_type = otlp.JSON


class ProtobufRenderer(BaseRenderer):
    """The same answers as in JSON, in protobuf."""

    media_type = otlp.PROTOBUF
    format = "protobuf"
    charset = None
    render_style = "binary"

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        status = renderer_context["response"].status_code if renderer_context else 200
        return otlp.answer(data or {}) if status < 400 else otlp.refusal(data)


class TracesView(IntakeView):
    """Traces: what an agent, a model or a tool failed at."""

    parser_classes: list[type[BaseParser]] = [ProtobufParser, JSONParser]
    renderer_classes = [ProtobufRenderer, JSONRenderer]

    # Left out of the description: the bodies are OpenTelemetry's, and its exporters make them.
    @extend_schema(exclude=True)
    def post(self, request: Request) -> Response:
        """Take the spans that failed; the others are let go. What cannot be kept is told as partial success."""
        kept: list[spans.Span] = []
        refused: list[str] = []
        for each in otlp.spans(_said(request)):
            if isinstance(each, otlp.BadSpan):
                refused.append(str(each))
            elif each.failed:
                kept.append(each)
        refused += ["Too many spans failed at once."] * (len(kept) - MOST_AT_ONCE)
        refused += _report(spans.inner_first(kept)[:MOST_AT_ONCE], actor_of(request))
        if not refused:
            return Response({})
        says = redaction.text("; ".join(dict.fromkeys(refused)))[:LONGEST_MESSAGE]
        return Response(
            {"partialSuccess": {"rejectedSpans": str(len(refused)), "errorMessage": says}}
        )

    def refusal(self, problem: dict[str, Any]) -> Any:
        return {"code": CODES.get(problem["status"], UNKNOWN), "message": problem["detail"]}


def _said(request: Request) -> Any:
    body, kind = body_of(request), request.content_type or ""
    try:
        if kind.partition(";")[0].strip().lower() == otlp.JSON:
            return otlp.from_json(parsers.parse(body))
        return otlp.from_bytes(body)
    except otlp.NoTraces as error:
        raise unfit(error.field, str(error)) from error


def _report(failed: list[spans.Span], actor: Actor) -> list[str]:
    """Why some could not be taken."""
    links = [
        services.Link(
            names=span.names,
            above=span.above,
            told=arguments(spans.told(span), actor) if span.is_ours else None,
        )
        for span in failed
    ]
    answers = services.report_cascade(links, source=spans.SOURCE, actor=actor)
    return [str(answer) for answer in answers if isinstance(answer, Refusal)]

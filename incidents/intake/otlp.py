"""OTLP over HTTP: a request of traces, as protobuf or as JSON, and its answers.

https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterable, Iterator
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2

from .spans import EXCEPTION, Span

PROTOBUF, JSON = "application/x-protobuf", "application/json"
DEEPEST = 32
MOST_BYTES_OF_A_SPAN = 1_048_576  # as much as one report may have
MOST_BYTES_OF_A_RESOURCE = 65_536  # kept with every span that failed in it
IDS = {"traceId": 32, "spanId": 16, "parentSpanId": 16}  # hexadecimal digits


class NoTraces(ValueError):
    """The body is no request of traces; ``field`` says which part, empty for all of it."""

    def __init__(self, field: str, says: str) -> None:
        self.field = field
        super().__init__(says)


class BadSpan(ValueError):
    """One span that cannot be kept; the others can."""


def from_bytes(body: bytes) -> ExportTraceServiceRequest:
    """A request as protobuf. Raises NoTraces."""
    try:
        return ExportTraceServiceRequest.FromString(body)
    except DecodeError as error:
        raise NoTraces("", "The body is no ExportTraceServiceRequest in protobuf.") from error


def from_json(value: Any) -> ExportTraceServiceRequest:
    """A request as JSON, whose ids are hexadecimal where protobuf's own JSON has base64. Raises NoTraces."""
    if not isinstance(value, dict):
        raise NoTraces("", "The body must be an object.")
    try:
        return json_format.ParseDict(
            _with_ids(value, ""), ExportTraceServiceRequest(), ignore_unknown_fields=True
        )
    except (json_format.ParseError, RecursionError) as error:
        raise NoTraces(
            "", f"The body is no ExportTraceServiceRequest: {str(error)[:300]}"
        ) from error


def _with_ids(value: Any, path: str) -> Any:
    match value:
        case dict():
            return {
                name: _id(each, f"{path}{name}", IDS[name])
                if name in IDS
                else _with_ids(each, f"{path}{name}.")
                for name, each in value.items()
            }
        case list():
            return [_with_ids(each, f"{path}{place}.") for place, each in enumerate(value)]
    return value


def _id(value: Any, path: str, digits: int) -> str:
    if value in (None, ""):
        return ""
    try:
        plain = bytes.fromhex(value) if isinstance(value, str) else b""
    except ValueError:
        plain = b""
    if len(plain) * 2 != digits:
        raise NoTraces(path, f"This must be {digits} hexadecimal digits.")
    return base64.b64encode(plain).decode()


def spans(request: ExportTraceServiceRequest) -> Iterator[Span | BadSpan]:
    """Every span, or why it cannot be kept."""
    for group in request.resource_spans:
        for scope in group.scope_spans:
            for span in scope.spans:
                try:
                    yield _span(span, group.resource)
                except BadSpan as bad:
                    yield bad


def _span(span: trace_pb2.Span, resource: Resource) -> Span:
    if len(span.trace_id) != 16 or len(span.span_id) != 8:
        raise BadSpan("A span needs a traceId of 16 bytes and a spanId of 8.")
    if span.ByteSize() > MOST_BYTES_OF_A_SPAN:
        raise BadSpan(f"A span is larger than {MOST_BYTES_OF_A_SPAN} bytes.")
    if resource.ByteSize() > MOST_BYTES_OF_A_RESOURCE:
        raise BadSpan(f"A resource is larger than {MOST_BYTES_OF_A_RESOURCE} bytes.")
    return Span(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex() if any(span.parent_span_id) else "",
        name=_text(span.name, "name"),
        status=int(span.status.code),
        status_message=_text(span.status.message, "status.message"),
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        attributes=_attributes(span.attributes, "attributes"),
        exceptions=tuple(
            _attributes(event.attributes, "events")
            for event in span.events
            if event.name == EXCEPTION
        ),
        resource=_attributes(resource.attributes, "resource"),
    )


def _attributes(pairs: Iterable[KeyValue], path: str, depth: int = 0) -> dict[str, Any]:
    return {
        _text(pair.key, f"A key of {path}"): _value(pair.value, f"{path}.{pair.key[:100]}", depth)
        for pair in pairs
    }


def _value(value: AnyValue, path: str, depth: int) -> Any:
    """An attribute as JSON has it: bytes as base64, what is no number as its name."""
    if depth > DEEPEST:
        raise BadSpan(f"{path} is nested deeper than {DEEPEST} levels.")
    kind = value.WhichOneof("value")
    found: Any = getattr(value, kind) if kind else None
    match kind:
        case "string_value":
            return _text(found, path)
        case "double_value":
            return found if math.isfinite(found) else str(found)
        case "bytes_value":
            return base64.b64encode(found).decode()
        case "array_value":
            return [_value(each, path, depth + 1) for each in found.values]
        case "kvlist_value":
            return _attributes(found.values, path, depth + 1)
        case "bool_value" | "int_value":
            return found
    return None


def _text(text: str, path: str) -> str:
    if "\x00" in text:
        raise BadSpan(f"{path} holds NUL, which cannot be stored.")
    return text


def answer(members: dict[str, Any]) -> bytes:
    """An ExportTraceServiceResponse in protobuf, from its JSON form."""
    return json_format.ParseDict(members, ExportTraceServiceResponse()).SerializeToString()


def refusal(members: dict[str, Any]) -> bytes:
    """A google.rpc.Status in protobuf, from its JSON form: what every refusal is."""
    written: bytes = json_format.ParseDict(members, Status()).SerializeToString()
    return written

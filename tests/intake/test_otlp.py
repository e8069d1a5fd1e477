"""OpenTelemetry's own exporter, with spans in the three conventions."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import httpx
import pytest
from openinference.instrumentation import TracerProvider as OpenInferenceProvider
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

from governance.database.tenancy import tenant_scope
from incidents.intake.spans import Span, inner_first
from incidents.models import Incident
from tests import factories

from .conftest import Served

TRACES = "/api/v1/intake/otlp/v1/traces"
NEW: dict[str, Any] = {"gen_ai.operation.name": "execute_tool", "gen_ai.provider.name": "openai", "gen_ai.tool.name": "sql_query", "gen_ai.agent.name": "scout", "gen_ai.tool.call.arguments": '{"q": "SELECT 1"}', "gen_ai.request.model": "gpt-x", "gen_ai.usage.input_tokens": 7}  # fmt: skip
OLD: dict[str, Any] = {"gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.agent.name": "scout", "gen_ai.prompt": "hello", "gen_ai.completion": "bye", "gen_ai.request.model": "gpt-x", "gen_ai.usage.prompt_tokens": 7}  # fmt: skip


@pytest.fixture
def exporter(served: Served, monkeypatch: pytest.MonkeyPatch) -> Callable[..., OTLPSpanExporter]:
    """Configured as users do: by the environment alone."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"{served.base}/otlp")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", f"Authorization=Bearer%20{served.token}")
    return OTLPSpanExporter


def provider(exporter: OTLPSpanExporter, *, at_once: bool = False) -> TracerProvider:
    made = TracerProvider(resource=Resource.create({"service.name": "desk"}))
    processor = SimpleSpanProcessor if at_once else BatchSpanProcessor
    made.add_span_processor(processor(exporter))
    return made


@pytest.mark.parametrize("said", [NEW, OLD], ids=["new names", "old names"])
@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
def test_a_failing_span_becomes_an_incident(
    exporter: Any, only: Callable[[], Incident], said: dict[str, Any], compression: Compression
) -> None:
    tracing = provider(exporter(compression=compression))
    with pytest.raises(RuntimeError), tracing.get_tracer("t").start_as_current_span("call", attributes=said):  # fmt: skip
        raise RuntimeError("no such column")
    tracing.shutdown()

    incident = only()
    assert (incident.error_type, incident.message) == ("RuntimeError", "no such column")
    assert (incident.agent.name, incident.tool) == ("scout", said.get("gen_ai.tool.name", ""))
    assert incident.arguments == ({"q": "SELECT 1"} if said is NEW else None)
    context = incident.context
    assert (context["provider"], context["model"], context["input_tokens"]) == (
        "openai",
        "gpt-x",
        7,
    )
    assert context["run_id"] == context["span"]["trace_id"]
    assert "RuntimeError" in context["exception"]["exception.stacktrace"]


def test_openinferences_own_tracer_is_understood(
    exporter: Any, only: Callable[[], Incident]
) -> None:
    made = OpenInferenceProvider(resource=Resource.create({"service.name": "desk"}))
    made.add_span_processor(SimpleSpanProcessor(exporter()))
    tracer = made.get_tracer("t")

    @tracer.tool(name="book")
    def book(flight: str) -> None:
        raise ValueError(f"{flight} is full")

    with pytest.raises(ValueError, match="full"):
        book(flight="HAT139")
    incident = only()
    assert (incident.tool, incident.agent.name, incident.error_type) == (
        "book",
        "desk",
        "ValueError",
    )
    assert incident.arguments == {"flight": "HAT139"}


@pytest.mark.parametrize("at_once", [True, False], ids=["one by one", "in a batch"])
def test_what_a_parent_only_repeats_is_no_second_incident(
    exporter: Any, served: Served, at_once: bool
) -> None:
    tracing = provider(exporter(), at_once=at_once)
    tracer = tracing.get_tracer("t")

    def fail() -> None:
        with tracer.start_as_current_span("execute_tool", attributes=NEW):
            raise RuntimeError("no such column")

    def try_twice() -> None:
        agent = {"gen_ai.operation.name": "invoke_agent"}
        with (
            tracer.start_as_current_span("invoke_agent", attributes=agent),
            tracer.start_as_current_span("http"),  # not ours, and in between
        ):
            with suppress(RuntimeError):
                fail()
            fail()

    with pytest.raises(RuntimeError):
        try_twice()
    tracing.shutdown()
    kept = [(each.tool, each.reported) for each in served.incidents()]  # type: ignore[attr-defined]
    assert kept == [("sql_query", 1)] * 2


def test_what_did_not_fail_or_is_nobodys_is_let_go(exporter: Any, served: Served) -> None:
    tracing = provider(exporter())
    tracer = tracing.get_tracer("t")
    tracer.start_span("fine", attributes=NEW).end()
    with pytest.raises(RuntimeError), tracer.start_as_current_span("GET /"):
        raise RuntimeError("not an agent's")
    tracing.shutdown()
    assert served.incidents() == []


def span(**more: Any) -> dict[str, Any]:
    attributes = [{"key": "gen_ai.tool.name", "value": {"stringValue": "sql_query"}}]
    return {"traceId": "a" * 32, "spanId": "b" * 16, "name": "call", "status": {"code": 2, "message": "boom"}, "endTimeUnixNano": "1700000000000000000", "attributes": attributes, **more}  # fmt: skip


def traces(*spans: dict[str, Any]) -> dict[str, Any]:
    return {"resourceSpans": [{"scopeSpans": [{"spans": list(spans)}]}]}


def test_json_is_answered_in_json_and_says_what_was_refused(served: Served) -> None:
    body = traces(span(), span(spanId="c" * 16, name="x\x00"), span(spanId="d" * 16))
    bad = json.dumps(body).replace("x\\u0000", "x")
    address, head = f"http://{served.host}{TRACES}", {"Authorization": f"Bearer {served.token}"}
    assert httpx.post(address, json=body, headers=head).status_code == 400
    answer = httpx.post(address, content=bad, headers={**head, "Content-Type": "application/json"})
    assert (answer.status_code, answer.json()) == (200, {})
    assert len(served.incidents()) == 3
    ahead = httpx.post(address, json=traces(span(spanId="e" * 16, endTimeUnixNano="9000000000000000000")), headers=head)  # fmt: skip
    assert ahead.json()["partialSuccess"]["rejectedSpans"] == "1"


def test_a_span_that_cannot_be_kept_is_partial_success_in_protobuf(acme: Any, api: Any) -> None:
    from incidents.intake.otlp import from_json

    request = from_json(traces(span(), span(spanId="c" * 16)))
    request.resource_spans[0].scope_spans[0].spans[0].name = "\x00"
    answer = api(factories.agent_token(acme)).generic("POST", TRACES, request.SerializeToString(), "application/x-protobuf")  # fmt: skip
    assert answer.status_code == 200
    told = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert (told.rejected_spans, "NUL" in told.error_message) == (1, True)
    with tenant_scope(acme.id):
        assert Incident.objects.count() == 1


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/json", b"[", 400),
        ("application/json", b"[]", 400),
        ("application/json", json.dumps(traces(span(traceId="xyz"))).encode(), 400),
        ("application/json", b'{"a":' * 40 + b"1" + b"}" * 40, 400),
        ("application/json", b'{"resourceSpans": 7}', 400),
        ("application/x-protobuf", b"\xff\xff\xff", 400),
        ("application/x-protobuf", b"x" * 10_485_761, 413),
        ("text/plain", b"x", 415),
    ],
)
def test_bad_requests_are_refused_as_a_status(
    acme: Any, api: Any, kind: str, body: bytes, status: int
) -> None:
    from google.rpc.status_pb2 import Status

    answer = api(factories.agent_token(acme)).generic("POST", TRACES, body, kind)
    assert answer.status_code == status
    if kind == "application/json":
        assert (answer.json()["code"], bool(answer.json()["message"])) == (3, True)
    else:
        assert Status.FromString(answer.content).message


def test_a_span_is_of_the_tenant_whose_token_it_came_with(acme: Any, umbra: Any, api: Any) -> None:
    """The very same span at two tenants, where its parent speaks of it once more: each has its own."""
    child, parent = span(parentSpanId="c" * 16), span(spanId="c" * 16)
    for tenant in (acme, umbra):
        for told in (child, parent):
            answer = api(factories.agent_token(tenant)).post(TRACES, traces(told), format="json")
            assert (answer.status_code, answer.json()) == (200, {})
    for tenant in (acme, umbra):
        with tenant_scope(tenant.id):
            assert Incident.objects.get().context["span"]["span_id"] == "b" * 16


def test_spans_that_call_each_other_a_hundred_thousand_deep_or_in_a_ring_are_sorted() -> None:
    chain = [Span("t", str(n), str(n - 1), "call", 2, "boom", 0, 0, {}) for n in range(100_000)]
    assert inner_first(chain[::-1]) == inner_first(chain) == chain[::-1]
    ring = [replace(chain[0], parent_id="2"), *chain[1:3]]
    assert len(inner_first(ring)) == 3


def test_a_wrong_token_opens_nothing(db: None, api: Any) -> None:
    assert (
        api("abt_wrong").generic("POST", TRACES, b"", "application/x-protobuf").status_code == 401
    )

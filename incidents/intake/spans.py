"""What a span of a trace says of a failure, in the words of three conventions.

OpenTelemetry's GenAI attributes as they are now (``gen_ai.provider.name``) and as they were (``gen_ai.system``):
https://opentelemetry.io/docs/specs/semconv/gen-ai/; and OpenInference's: https://github.com/Arize-ai/openinference
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .told import Told, cut, key_of, moment, text_of, without_nothing

SOURCE = "otlp"
OK, ERROR = 1, 2
EXCEPTION = "exception"
# Attributes that make a span one of an agent, a model or a tool.
MARKS = ("gen_ai.", "openinference.span.kind", "llm.", "tool.name", "tool_call.", "mcp.tool.")
UNKNOWN_SERVICE = "unknown_service"
NANOSECONDS = 1_000_000_000

# One thing, by its names: now, before, and OpenInference's.
NAMES = {
    "operation": ("gen_ai.operation.name", "openinference.span.kind"),
    "provider": ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system"),
    "model": ("gen_ai.response.model", "gen_ai.request.model", "llm.model_name"),
    "input_tokens": (
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.prompt_tokens",
        "llm.token_count.prompt",
    ),
    "output_tokens": (
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.completion_tokens",
        "llm.token_count.completion",
    ),
    "input": ("gen_ai.input.messages", "gen_ai.prompt", "input.value"),
    "output": ("gen_ai.output.messages", "gen_ai.completion", "output.value"),
    "tool_call_id": ("gen_ai.tool.call.id", "tool_call.id", "tool.id"),
}
TOOL = ("gen_ai.tool.name", "tool.name", "tool_call.function.name", "mcp.tool.name")
ARGUMENTS = ("gen_ai.tool.call.arguments", "tool_call.function.arguments")
AGENT = ("gen_ai.agent.name", "agent.name", "gen_ai.agent.id")
RUN = ("gen_ai.conversation.id", "session.id")
TOOL_OPERATIONS = frozenset({"execute_tool", "tool"})


@dataclass(frozen=True, slots=True)
class Span:
    """One span: ids in hexadecimal (``parent_id`` empty for the first), times in nanoseconds since 1970."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    status: int
    status_message: str
    start: int
    end: int
    attributes: Mapping[str, Any]
    exceptions: tuple[Mapping[str, Any], ...] = ()
    """The attributes of its exception events."""

    resource: Mapping[str, Any] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """An error, or an exception of which nobody said that all is well after all."""
        return self.status == ERROR or (bool(self.exceptions) and self.status != OK)

    @property
    def is_ours(self) -> bool:
        """Whether an agent, a model or a tool is at work in it."""
        return any(name.startswith(MARKS) for name in self.attributes)

    @property
    def exception(self) -> Mapping[str, Any]:
        return self.exceptions[-1] if self.exceptions else {}

    @property
    def error_type(self) -> str:
        return text_of(self.exception.get("exception.type"), self.attributes.get("error.type"))

    @property
    def says(self) -> str:
        """What it says of its failure, empty where it only says that there was one."""
        return text_of(self.exception.get("exception.message"), self.status_message)

    @property
    def names(self) -> tuple[str, ...]:
        """What a span that it called may have named it by: with the same failure, or with any if it tells of none."""
        whole = self._words
        return tuple(self._name(self.span_id, each) for each in whole or ("",))

    @property
    def above(self) -> tuple[str, ...]:
        """The same for the span that called it."""
        if not self.parent_id:
            return ()
        return tuple(self._name(self.parent_id, each) for each in ("", *self._words))

    @property
    def _words(self) -> tuple[str, ...]:
        # The status of a span that an exception went through says "Type: message", its event both apart.
        said = dict.fromkeys([self.says, self.status_message, f"{self.error_type}: {self.says}"])
        return tuple(each for each in said if each.strip(": "))

    def _name(self, span_id: str, words: str) -> str:
        return key_of("span", self.trace_id, span_id, words)


def inner_first(spans: list[Span]) -> list[Span]:
    """Spans so that each comes before the one that called it."""
    parents = {(span.trace_id, span.span_id): span.parent_id for span in spans}
    depths: dict[tuple[str, str], int] = {}
    for start in parents:
        # A dict for its keys: spans that call each other in a ring would be walked for ever.
        path: dict[tuple[str, str], None] = {}
        here = start
        while here in parents and here not in depths and here not in path:
            path[here] = None
            here = (here[0], parents[here])
        depth = depths.get(here, 0)
        for place in reversed(path):
            depth += 1
            depths[place] = depth
    return sorted(spans, key=lambda span: -depths[span.trace_id, span.span_id])


def told(span: Span) -> Told:
    """A span that failed."""
    said, resource = span.attributes, span.resource
    service = text_of(resource.get("service.name"))
    operation = text_of(*(said.get(name) for name in NAMES["operation"])).lower()
    tool = text_of(*(said.get(name) for name in TOOL))
    if not tool and operation in TOOL_OPERATIONS:
        tool = span.name
    is_known = not service.startswith(UNKNOWN_SERVICE)
    return Told(
        error_type=cut(span.error_type),
        message=span.says or f"{span.name} failed",
        agent=cut(text_of(*(said.get(name) for name in AGENT), service if is_known else "")),
        run=cut(text_of(*(said.get(name) for name in RUN), span.trace_id)),
        tool=cut(tool),
        context=without_nothing(
            {
                "arguments": _arguments(span, is_tool=bool(tool)),
                **{name: _first(said, names) for name, names in NAMES.items()},
                "span": {
                    "name": span.name,
                    "trace_id": span.trace_id,
                    "span_id": span.span_id,
                    "parent_id": span.parent_id,
                    "milliseconds": max(0, span.end - span.start) / 1e6,
                },
                "exception": dict(span.exception),
                "attributes": dict(said),
                "resource": dict(resource),
            }
        ),
        occurred_at=moment(span.end / NANOSECONDS),
        source_key=key_of(span.trace_id, span.span_id),
    )


def _arguments(span: Span, *, is_tool: bool) -> Any:
    """What the tool was called with, an object or its JSON text: OpenInference has it as the span's input."""
    found = _first(span.attributes, ARGUMENTS)
    if found is None and is_tool:
        found = span.attributes.get("input.value")
    return found


def _first(said: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    return next((said[name] for name in names if said.get(name) not in (None, "")), None)

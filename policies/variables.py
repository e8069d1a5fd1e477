"""What conditions may ask about: every variable, its type and unit, who tells it and when it is missing.

The one list that the CEL environment, the check of what agents send and `docs/conditions.md` are made from. Facts that an agent tells about itself are read from the `context`
of its question, under the names of OpenTelemetry's GenAI conventions where those have one
(https://opentelemetry.io/docs/specs/semconv/gen-ai/, attributes registry of semantic conventions 1.37).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

TEXT_LIMIT = 200
"""Characters of a name that an agent tells."""
SOURCES_LIMIT = 100
COUNT_LIMIT = 2**63 - 1
COST_LIMIT_USD = 1_000_000


class Type(StrEnum):
    """The types of variables, as CEL calls them."""

    STRING = "string"
    INT = "int"
    DOUBLE = "double"
    MAP = "map(string, dyn)"
    STRINGS = "list(string)"


NEVER = "never"
NOT_TOLD = "the agent did not tell it"


@dataclass(frozen=True, slots=True)
class Variable:
    """One name. ``key`` is where an agent tells it in the context of its question; empty: the guard knows it."""

    name: str
    type: Type
    meaning: str
    missing: str = NEVER
    unit: str = ""
    key: str = ""


ALL = (
    Variable("action.kind", Type.STRING, "What is about to be done: one of the kinds below."),
    Variable("action.tool", Type.STRING, "The tool's name; empty for an action without a tool."),
    Variable("action.arguments", Type.MAP, "What the tool is called with. Written shorter: `arguments`."),
    Variable("arguments", Type.MAP, "The same as `action.arguments`."),
    Variable("context", Type.MAP, "Whatever else the agent sent in `context`, as it is."),
    Variable("agent.id", Type.STRING, "The agent, as it calls itself."),
    Variable("run.id", Type.STRING, "The agent's run, as it calls it."),
    Variable("run.step", Type.INT, "Where in the run the agent is.", NOT_TOLD, "steps, from 0"),
    Variable("model.name", Type.STRING, "The model that is asked, or that chose the action.", NOT_TOLD, "",
             "gen_ai.request.model"),
    Variable("model.provider", Type.STRING, "Who serves it.", NOT_TOLD, "", "gen_ai.provider.name"),
    Variable("tokens.input", Type.INT, "Tokens that the action sends to the model.", NOT_TOLD,
             "tokens", "gen_ai.usage.input_tokens"),
    Variable("tokens.output", Type.INT, "Tokens that the model has answered with, where that is known.", NOT_TOLD, "tokens",
             "gen_ai.usage.output_tokens"),
    Variable("tokens.max_output", Type.INT, "Tokens that may come back at most.", NOT_TOLD, "tokens",
             "gen_ai.request.max_tokens"),
    Variable("cost.usd", Type.DOUBLE, "What the action is expected to cost.", NOT_TOLD, "US dollars", "cost_usd"),
    Variable("data_sources", Type.STRINGS, "The data that the action reads or grounds on; one name or a list of them.",
             NOT_TOLD, "", "gen_ai.data_source.id"),
    Variable("environment", Type.STRING, "Where the agent runs: production, staging.", NOT_TOLD, "",
             "deployment.environment.name"),
    Variable("history.calls", Type.INT, "Calls that this run was allowed so far.", unit="calls"),
    Variable("history.tool_calls", Type.INT, "Those of the same tool.", unit="calls"),
    Variable("history.tool_failures", Type.INT, "Those of the same tool that the agent reported as failed.",
             unit="calls"),
    Variable("history.same_call_failures", Type.INT, "Those with equal arguments too.", unit="calls"),
    Variable("history.same_call_successes", Type.INT, "Calls with the same tool and equal arguments that went well.",
             unit="calls"),
)  # fmt: skip

HISTORY = frozenset(one.name for one in ALL if one.name.startswith("history."))
"""The counters: only conditions that read one make the guard count."""

TOLD = tuple(one for one in ALL if one.key)
"""What an agent tells in the context of its question."""


def told(context: Mapping[str, Any]) -> dict[str, Any]:
    """What the context says of the variables of TOLD. A value of the wrong type says nothing."""
    return {
        one.name: _value(one.type, context[one.key])
        for one in TOLD
        if one.key in context and not _fault(one.type, context[one.key])
    }


def faults(context: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is wrong with a context: the key and what it must be."""
    for one in TOLD:
        if one.key in context and (fault := _fault(one.type, context[one.key])):
            yield one.key, fault


def _value(type: Type, said: Any) -> Any:
    match type:
        case Type.STRINGS if isinstance(said, str):
            return [said]
        case Type.DOUBLE:
            return float(said)
    return said


def _fault(type: Type, said: Any) -> str:
    match type:
        case Type.STRING:
            return "" if _is_name(said) else f"Must be a text of at most {TEXT_LIMIT} characters."
        case Type.INT:
            fits = isinstance(said, int) and not isinstance(said, bool) and 0 <= said <= COUNT_LIMIT
            return "" if fits else "Must be a whole number from 0 on."
        case Type.DOUBLE:
            is_number = isinstance(said, int | float) and not isinstance(said, bool)
            fits = is_number and 0 <= said <= COST_LIMIT_USD
            return "" if fits else f"Must be a number from 0 to {COST_LIMIT_USD}."
        case Type.STRINGS:
            names = [said] if isinstance(said, str) else said
            fits = (
                isinstance(names, list)
                and len(names) <= SOURCES_LIMIT
                and all(map(_is_name, names))
            )
            return "" if fits else (
                f"Must be a text of at most {TEXT_LIMIT} characters, or a list of at most {SOURCES_LIMIT} of them."
            )  # fmt: skip
    raise ValueError(f"An agent tells nothing of type {type}.")


def _is_name(said: Any) -> bool:
    return isinstance(said, str) and len(said) <= TEXT_LIMIT

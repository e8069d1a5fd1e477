"""What a recovery may be told to do."""

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from recovery.actions import SCHEMAS, ActionKind, InvalidAction, validate_action

RETRY = {"max_attempts": 3, "backoff_ms": 1000, "retry_on": ["TimeoutError"]}


@pytest.mark.parametrize("kind", ActionKind)
def test_every_kind_has_a_closed_and_valid_schema(kind: ActionKind):
    Draft202012Validator.check_schema(SCHEMAS[kind])
    assert SCHEMAS[kind]["additionalProperties"] is False


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("retry_policy", RETRY),
        ("retry_policy", RETRY | {"max_attempts": 10, "backoff_ms": 600_000}),
        ("retry_policy", RETRY | {"max_attempts": 1, "backoff_ms": 0}),
        ("fallback", {"tool": "search", "to": "search_slow"}),
        ("fallback", {"model": "large", "to": "small"}),
        ("parameter_cap", {"parameter": "max_tokens", "max": 4096}),
        ("pre_check", {"check": "Look the column up first."}),
        ("pre_check", {"check": "Look it up.", "tool": "describe", "arguments": ["table"]}),
        ("tool_disabled", {"tool": "search", "minutes": 1440}),
        ("webhook", {"url": "https://ops.example.org/hook?x=1", "event": "failed"}),
    ],
)
def test_a_sensible_action_is_accepted(kind: str, params: dict[str, Any]):
    validate_action(kind, params)


@pytest.mark.parametrize(
    ("kind", "params", "field", "limit"),
    [
        ("reboot", {}, "kind", "must be one of"),
        ("retry_policy", [], "params", "must be an object"),
        ("retry_policy", RETRY | {"max_attempts": 11}, "max_attempts", "must be at most 10"),
        ("retry_policy", RETRY | {"max_attempts": 0}, "max_attempts", "must be at least 1"),
        ("retry_policy", RETRY | {"backoff_ms": 600_001}, "backoff_ms", "must be at most 600000"),
        ("retry_policy", RETRY | {"max_attempts": True}, "max_attempts", "must be of type integer"),
        ("retry_policy", RETRY | {"max_attempts": "3"}, "max_attempts", "must be of type integer"),
        ("retry_policy", RETRY | {"retry_on": []}, "retry_on", "must be at least 1 entries"),
        ("retry_policy", RETRY | {"retry_on": [""]}, "retry_on.0", "must be at least 1 characters"),
        ("retry_policy", RETRY | {"retry_on": ["a", "a"]}, "retry_on", "must not repeat an entry"),
        ("retry_policy", RETRY | {"forever": True}, "forever", "is not known"),
        ("retry_policy", {"max_attempts": 3, "backoff_ms": 1}, "retry_on", "is required"),
        ("fallback", {"to": "b"}, "tool", "exactly one of tool and model"),
        (
            "fallback",
            {"tool": "a", "model": "m", "to": "b"},
            "tool",
            "exactly one of tool and model",
        ),
        ("parameter_cap", {"parameter": "n", "max": -1}, "max", "must be at least 0"),
        (
            "parameter_cap",
            {"parameter": "n", "max": float("nan")},
            "max",
            "must be a finite number",
        ),
        ("parameter_cap", {"parameter": "n", "max": float("inf")}, "max", "must be at most"),
        ("pre_check", {"check": "x" * 501}, "check", "must be at most 500 characters"),
        ("tool_disabled", {"tool": "t", "minutes": 1441}, "minutes", "must be at most 1440"),
        ("webhook", {"url": "file:///etc/passwd"}, "url", "must be an http or https address"),
        ("webhook", {"url": "https://"}, "url", "must be an http or https address"),
        ("webhook", {}, "url", "is required"),
    ],
)
def test_a_wrong_action_is_refused_by_its_field_and_limit(
    kind: str, params: Any, field: str, limit: str
):
    with pytest.raises(InvalidAction) as refused:
        validate_action(kind, params)
    assert refused.value.field == field
    assert limit in refused.value.limit

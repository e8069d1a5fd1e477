"""The kinds of thing a recovery can do, and what each may be told to do.

Five directives travel to the agent with the guard's answer; a webhook calls a server of the tenant.
The schemas are closed (no field beyond those named), so that they can also bind a model's output.
"""

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

# Limits of ours, wide enough for any remedy that is not a policy in disguise.
MAX_ATTEMPTS = 10
MAX_BACKOFF_MS = 600_000  # ten minutes: longer, and the run should end instead of wait
MAX_DISABLED_MINUTES = 24 * 60  # a tool that must stay away for longer is a policy's affair
MAX_CAP = 1_000_000_000_000
MAX_TEXT = 500
MAX_NAME = 200
MAX_URL = 2_000


class ActionKind(StrEnum):
    """What a recovery does when it is applied."""

    RETRY_POLICY = "retry_policy"
    FALLBACK = "fallback"
    PARAMETER_CAP = "parameter_cap"
    PRE_CHECK = "pre_check"
    TOOL_DISABLED = "tool_disabled"
    WEBHOOK = "webhook"


DIRECTIVES = frozenset(ActionKind) - {ActionKind.WEBHOOK}


class InvalidAction(ValueError):
    """An action's parameters break its schema; `field` says which one, `limit` what would be right."""

    def __init__(self, field: str, limit: str) -> None:
        super().__init__(f"{field}: {limit}")
        self.field = field
        self.limit = limit


def _object(required: list[str], **properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _integer(low: int, high: int) -> dict[str, Any]:
    return {"type": "integer", "minimum": low, "maximum": high}


def _names(most: int) -> dict[str, Any]:
    return {"type": "array", "items": _NAME, "minItems": 1, "maxItems": most, "uniqueItems": True}


_NAME = {"type": "string", "minLength": 1, "maxLength": MAX_NAME}
_TEXT = {"type": "string", "minLength": 1, "maxLength": MAX_TEXT}

SCHEMAS: dict[ActionKind, dict[str, Any]] = {
    ActionKind.RETRY_POLICY: _object(
        ["max_attempts", "backoff_ms", "retry_on"],
        max_attempts=_integer(1, MAX_ATTEMPTS),
        backoff_ms=_integer(0, MAX_BACKOFF_MS),
        retry_on=_names(20),
    ),
    # Instead of this tool, or of this model, use that one.
    ActionKind.FALLBACK: _object(["to"], tool=_NAME, model=_NAME, to=_NAME)
    | {"oneOf": [{"required": ["tool"]}, {"required": ["model"]}]},
    ActionKind.PARAMETER_CAP: _object(
        ["parameter", "max"],
        parameter=_NAME,
        max={"type": "number", "minimum": 0, "maximum": MAX_CAP},
    ),
    # What to make sure of before the call: in words, by calling a tool first, or both.
    ActionKind.PRE_CHECK: _object(["check"], check=_TEXT, tool=_NAME, arguments=_names(20)),
    ActionKind.TOOL_DISABLED: _object(
        ["tool", "minutes"], tool=_NAME, minutes=_integer(1, MAX_DISABLED_MINUTES)
    ),
    ActionKind.WEBHOOK: _object(
        ["url"],
        url={"type": "string", "pattern": r"^https?://[^\s/?#]+[^\s]*$", "maxLength": MAX_URL},
        event=_NAME,
        timeout_ms=_integer(100, 10_000),
        max_attempts=_integer(1, MAX_ATTEMPTS),
    ),
}

_VALIDATORS = {kind: Draft202012Validator(schema) for kind, schema in SCHEMAS.items()}


def validate_action(kind: str, params: Mapping[str, Any]) -> None:
    """Refuse an action that its schema does not allow.

    Raises InvalidAction naming the field and the limit it breaks; `kind` itself is the field when
    there is no such kind. Whether a webhook's address may be called is for the caller to ask.
    """
    if kind not in set(ActionKind):
        raise InvalidAction("kind", f"must be one of {', '.join(ActionKind)}")
    if not isinstance(params, Mapping):
        raise InvalidAction("params", "must be an object")
    error = best_match(_VALIDATORS[ActionKind(kind)].iter_errors(dict(params)))
    if error is not None:
        raise InvalidAction(_field(error), _limit(error))
    for field, value in params.items():
        # Every comparison with NaN is false, so no schema stops it.
        if isinstance(value, float) and not math.isfinite(value):
            raise InvalidAction(field, "must be a finite number")


def _field(error: ValidationError) -> str:
    match error.validator:
        case "required":
            return next(str(name) for name in error.validator_value if name not in error.instance)
        case "additionalProperties":
            known = error.schema["properties"]
            return next(str(name) for name in error.instance if name not in known)
        case "oneOf":
            return "tool"
    return ".".join(str(part) for part in error.absolute_path) or "params"


def _limit(error: ValidationError) -> str:
    wanted = error.validator_value
    match error.validator:
        case "required":
            return "is required"
        case "additionalProperties":
            return f"is not known; known are {', '.join(sorted(error.schema['properties']))}"
        case "oneOf":
            return "exactly one of tool and model is required"
        case "type":
            return f"must be of type {wanted}"
        case "minimum" | "minLength" | "minItems":
            return f"must be at least {_unit(error.validator, wanted)}"
        case "maximum" | "maxLength" | "maxItems":
            return f"must be at most {_unit(error.validator, wanted)}"
        case "pattern":
            return "must be an http or https address"
        case "uniqueItems":
            return "must not repeat an entry"
    return str(error.message)[:MAX_TEXT]


def _unit(validator: str, wanted: float) -> str:
    if validator.endswith("Length"):
        return f"{wanted} characters"
    return f"{wanted} entries" if validator.endswith("Items") else str(wanted)

"""Remedies to suggest: each takes a failure and gives an action with valid parameters.

Of an error only its type enters a remedy, of the arguments only plain names: both come from an agent's
surroundings, and what is suggested here is later read by other agents.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import re2

from recovery.actions import MAX_CAP, MAX_NAME, ActionKind

# Starting points of ours; whoever approves a recovery sees them.
DISABLED_MINUTES = 30
DEFAULT_TOKEN_CAP = 4_096
CAP_SHARE = 0.5  # of the value that was too much
MAX_ARGUMENTS_NAMED = 5


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One thing to do about a failure: valid parameters, and words for the person who decides."""

    kind: ActionKind
    params: dict[str, Any]
    title: str
    rationale: str


@dataclass(frozen=True, slots=True)
class Failure:
    """What a line of the table may look at; `text` is the error type and the masked message."""

    error_type: str
    tool: str
    text: str
    arguments: Mapping[str, Any]

    @classmethod
    def of(
        cls, error_type: str, tool: str, template: str, arguments: Mapping[str, Any] | None
    ) -> "Failure":
        """Names are cut to what an action may hold; arguments that are not an object count as none."""
        # RE2 refuses half a character, and a template from elsewhere may hold one.
        text = f"{error_type} {template}".encode("utf-8", "replace").decode()
        usable = arguments if isinstance(arguments, Mapping) else {}
        return cls(error_type[:MAX_NAME], tool[:MAX_NAME], text, usable)

    @property
    def place(self) -> str:
        return self.tool or "the call"


Remedy = Callable[[Failure], Suggestion]


def pattern_of(pattern: str) -> Any:
    """A pattern that ignores case, through RE2 (linear in the text; it ships no types)."""
    return re2.compile(f"(?i:{pattern})")


_PLAIN_NAME = pattern_of(r"^[a-z_][a-z0-9_.-]{0,63}$")
_SIZE_NAME = pattern_of(
    r"(?:^|_)(?:max|limit|budget|tokens?|size|count|top_k|n|depth|length)(?:_|$)"
)


def retry(attempts: int, backoff_ms: int, because: str) -> Remedy:
    """Call again, at most so often, after waiting so long (ms) before the first repetition."""

    def suggest(failure: Failure) -> Suggestion:
        return Suggestion(
            ActionKind.RETRY_POLICY,
            {
                "max_attempts": attempts,
                "backoff_ms": backoff_ms,
                "retry_on": [failure.error_type or "error"],
            },
            f"Wait and retry {failure.place}, at most {attempts} times",
            because,
        )

    return suggest


def check(title: str, question: str, because: str, looks_at: str = "") -> Remedy:
    """A pre-check; `looks_at` is a pattern for the names of the arguments it is about."""
    names = pattern_of(looks_at) if looks_at else None

    def suggest(failure: Failure) -> Suggestion:
        params: dict[str, Any] = {"check": question}
        about = _named(failure.arguments, names) if names else []
        if about:
            params["arguments"] = about
        return Suggestion(ActionKind.PRE_CHECK, params, f"{title} before {failure.place}", because)

    return suggest


def _named(arguments: Mapping[str, Any], names: Any) -> list[str]:
    usual = (name for name in arguments if name.isascii() and _PLAIN_NAME.search(name))
    wanted = [name for name in usual if names.search(name)]
    return wanted[:MAX_ARGUMENTS_NAMED]


def disable_tool(failure: Failure) -> Suggestion:
    """Keep agents off the tool for a while; a pre-check when the failure names no tool."""
    because = "The credentials were refused: every further call fails until a person renews them."
    if not failure.tool:
        return check("Check the credentials", "Make sure that the credentials are valid.", because)(
            failure
        )
    return Suggestion(
        ActionKind.TOOL_DISABLED,
        {"tool": failure.tool, "minutes": DISABLED_MINUTES},
        f"Leave {failure.tool} alone for {DISABLED_MINUTES} minutes",
        because,
    )


def cap_largest(failure: Failure) -> Suggestion:
    """Halve the largest argument that says how much was asked for; otherwise cap max_tokens."""
    parameter, value = _largest_limit(failure.arguments)
    limit = max(1, int(value * CAP_SHARE)) if value else DEFAULT_TOKEN_CAP
    return Suggestion(
        ActionKind.PARAMETER_CAP,
        {"parameter": parameter, "max": limit},
        f"Cap {parameter} of {failure.place} at {limit}",
        "The call asked for more than its budget or its model's window allows.",
    )


def _largest_limit(arguments: Mapping[str, Any]) -> tuple[str, float]:
    """The argument that says how much was asked for, with its value; max_tokens and 0 when none does."""
    sizes = [
        (name, float(arguments[name]))
        for name in _named(arguments, _SIZE_NAME)
        if isinstance(arguments[name], int | float)
        and not isinstance(arguments[name], bool)
        and 0 < arguments[name] <= MAX_CAP
    ]
    return max(sizes, key=lambda size: size[1], default=("max_tokens", 0.0))

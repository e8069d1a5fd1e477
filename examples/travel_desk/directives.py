"""What the desk does with Antibody's directives: instructions that people approved for a tool.

A directive is ``{kind, params}``. One that this agent does not understand changes nothing: it
comes on top of the verdict, and the verdict alone says whether a call may happen. A ``pre_check``
in words only is such a one: this agent goes back to its plan when it is stopped, it cannot follow
prose before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .tasks import Call

Directives = Iterable[Mapping[str, Any]]


@dataclass(frozen=True)
class RetryPolicy:
    """How often a call is made in all, and the wait before the second time, doubling from there."""

    attempts: int
    backoff_s: float

    def pauses(self) -> Iterator[float]:
        """The waits between attempts, in seconds: one fewer than there are attempts."""
        return (self.backoff_s * 2**n for n in range(self.attempts - 1))


def retry_policy(directives: Directives, error: Exception) -> RetryPolicy | None:
    """How to repeat a call that failed like this; None when no directive says."""
    for params in _of_kind("retry_policy", directives):
        if type(error).__name__ in params.get("retry_on", ()):
            return RetryPolicy(int(params["max_attempts"]), params["backoff_ms"] / 1000)
    return None


def revised(call: Call, directives: Directives) -> Call:
    """The call with caps and fallbacks applied.

    A changed call is another call: the guard must be asked about it.
    """
    arguments = dict(call.arguments)
    for cap in _of_kind("parameter_cap", directives):
        value = arguments.get(cap["parameter"])
        if isinstance(value, int | float) and value > cap["max"]:
            arguments[cap["parameter"]] = cap["max"]
    instead = {params.get("tool"): params["to"] for params in _of_kind("fallback", directives)}
    return Call(instead.get(call.tool, call.tool), arguments)


def pre_checks(call: Call, directives: Directives) -> list[Call]:
    """The calls that must go well before this one, each with the arguments named of this one."""
    return [
        Call(
            check["tool"],
            {
                name: call.arguments[name]
                for name in check.get("arguments", ())
                if name in call.arguments
            },
        )
        for check in _of_kind("pre_check", directives)
        if check.get("tool") not in {None, call.tool}
    ]


def is_disabled(call: Call, directives: Directives) -> bool:
    """Whether people want the tool left alone for now."""
    return any(params.get("tool") == call.tool for params in _of_kind("tool_disabled", directives))


def _of_kind(kind: str, directives: Directives) -> list[Mapping[str, Any]]:
    return [directive["params"] for directive in directives if directive.get("kind") == kind]

"""What a run has done so far, as conditions count it."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class History:
    """Of one run, before the call that is asked about.

    A call is one that the guard let through, whether or not the agent has reported it; it failed or succeeded
    when the agent said so. The same call has the same tool and equal arguments.
    """

    same_call_failures: int = 0
    same_call_successes: int = 0
    tool_failures: int = 0
    tool_calls: int = 0
    calls: int = 0


FIRST = History()
"""Of the first call of a run."""


@dataclass(slots=True)
class Tally:
    """One run played call by call: what the guard counts from its records, for calls that are not in them."""

    _calls: Counter[str] = field(default_factory=Counter)
    _failures: Counter[str] = field(default_factory=Counter)
    _results: Counter[tuple[str, str, bool]] = field(default_factory=Counter)

    def before(self, tool: str, call: str) -> History:
        """The history of the call that comes next; ``call`` is its ``digest_of``."""
        return History(
            same_call_failures=self._results[tool, call, False],
            same_call_successes=self._results[tool, call, True],
            tool_failures=self._failures[tool],
            tool_calls=self._calls[tool],
            calls=self._calls.total(),
        )

    def allow(self, tool: str) -> None:
        """The guard let a call through."""
        self._calls[tool] += 1

    def report(self, tool: str, call: str, *, ok: bool) -> None:
        """The agent said how a call went."""
        self._results[tool, call, ok] += 1
        self._failures[tool] += not ok


def digest_of(arguments: Mapping[str, Any]) -> str:
    """32 hexadecimal digits that are the same exactly for arguments that CEL calls equal: 1 and 1.0 are.

    128 bits: who makes two calls collide has only mistaken one's own calls for each other.
    """
    text = json.dumps(_plain(arguments), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return value

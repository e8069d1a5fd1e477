"""What a stream came to: recurrences, preventions, good calls that were blocked. Pure: the same for whoever blocks.

A recurrence is a failure with the tool and the error message of an earlier one, let through or not. A recorded stream
cannot tell what the agent would have done after a refusal, so preventions are an upper estimate; good calls that were
blocked are exact.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any

from .stream import Recorded

Kind = tuple[str, str]
"""A tool, and the message of its failure."""


@dataclass(slots=True)
class Pass:
    """What one pass through the stream came to."""

    failures: int = 0
    recurrences: int = 0
    recurrences_prevented: int = 0
    prevented: int = 0
    """Blocked, and would have failed: recurrences or not."""
    prevented_in_run: int = 0
    """Of these, where the run had failed in this way, or with this very call, before: an agent that tries again."""
    false_rejections: int = 0
    """Blocked, and would have gone well."""

    @property
    def prevented_across_runs(self) -> int:
        return self.prevented - self.prevented_in_run

    @property
    def prevented_share(self) -> float | None:
        return round(self.recurrences_prevented / self.recurrences, 4) if self.recurrences else None

    def report(self) -> dict[str, Any]:
        return {
            "failures": self.failures,
            "recurrences": self.recurrences,
            "prevented": self.prevented,
            "prevented_in_run": self.prevented_in_run,
            "prevented_across_runs": self.prevented_across_runs,
            "recurrences_prevented": self.recurrences_prevented,
            "prevented_share": self.prevented_share,
            "false_rejections": self.false_rejections,
        }


@dataclass(slots=True)
class Score:
    """What becomes of a stream when somebody blocks some of its calls: told call by call, in order."""

    passes: list[Pass] = field(default_factory=list)
    _carried_out: dict[Kind, int] = field(default_factory=dict)
    """Failures of each kind that were let through until its first prevention."""
    _protected: dict[Kind, int] = field(default_factory=dict)
    _recurring: set[Kind] = field(default_factory=set)
    _known: set[Kind] = field(default_factory=set)
    _in_run: set[tuple[str, Hashable]] = field(default_factory=set)

    def begin_pass(self) -> None:
        self.passes.append(Pass())

    def tell(self, call: Recorded, *, is_blocked: bool) -> None:
        """One more call, and whether it was blocked."""
        now = self.passes[-1]
        if call.ok:
            now.false_rejections += is_blocked
            return
        kind = (call.tool, call.error)
        is_recurrence = kind in self._known
        now.failures += 1
        now.recurrences += is_recurrence
        if is_recurrence:
            self._recurring.add(kind)
        if is_blocked:
            now.prevented += 1
            now.recurrences_prevented += is_recurrence
            now.prevented_in_run += bool(self._traces(call) & self._in_run)
            self._protected.setdefault(kind, self._carried_out.get(kind, 0))
        else:
            self._carried_out[kind] = self._carried_out.get(kind, 0) + 1
        self._known.add(kind)
        self._in_run |= self._traces(call)

    def report(self) -> dict[str, Any]:
        """The figures of all passes together, and of each."""
        together = Pass(
            **{
                name: sum(getattr(each, name) for each in self.passes)
                for name in Pass.__dataclass_fields__
            }
        )
        waited = [count for kind, count in self._protected.items() if kind in self._recurring]
        return {
            **together.report(),
            "calls_until_protected": {
                "median": statistics.median(waited) if waited else None,
                "most": max(waited, default=None),
                "never": len(self._recurring - self._protected.keys()),
            },
            "by_pass": [each.report() for each in self.passes],
        }

    @staticmethod
    def _traces(call: Recorded) -> set[tuple[str, Hashable]]:
        """What a failing call leaves behind in its run."""
        run = f"{call.agent}\0{call.run}"
        return {(run, exactly(call)), (run, (call.tool, call.error))}


class Memoriser:
    """The baseline: remembers the exact calls that failed, and blocks them when it sees them again."""

    def __init__(self) -> None:
        self._failed: set[Hashable] = set()

    def blocks(self, call: Recorded) -> bool:
        """Whether it would; it learns how an allowed call went at once."""
        same = exactly(call)
        if same in self._failed:
            return True
        if not call.ok:
            self._failed.add(same)
        return False


def exactly(call: Recorded) -> Hashable:
    """Equal for calls of one tool with equal arguments."""
    return call.tool, json.dumps(call.arguments, sort_keys=True)


_TABLE = (
    ("failures", "failures"),
    ("recurrences", "recurrences"),
    ("prevented", "failures prevented"),
    ("prevented_in_run", "  in a run that had failed so"),
    ("prevented_across_runs", "  in a run that had not"),
    ("recurrences_prevented", "recurrences prevented"),
    ("prevented_share", "  share"),
    ("false_rejections", "good calls blocked"),
)


def told(found: dict[str, Any]) -> str:
    """The figures for people, ours beside the memoriser's."""
    lines = [f"{'':32}{'ours':>10}{'memoriser':>12}"]
    lines += [
        f"{label:32}{_shown(found[name]):>10}{_shown(found['memoriser'][name]):>12}"
        for name, label in _TABLE
    ]
    rest = ("calls", "calls_until_protected", "policies", "seconds")
    return "\n".join([*lines, *(f"{name}: {json.dumps(found[name])}" for name in rest)])


def _shown(figure: float | None) -> str:
    return "-" if figure is None else f"{figure}"

"""What the desk did, in figures and in one line per call."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

from antibody_guard import Decision

from .tasks import Call

State = Literal["done", "failed", "blocked", "changed"]
WIDTH = 72  # characters of arguments, and of reasons, in one line


@dataclass(frozen=True)
class Happened:
    """What came of one call that the guard was asked about.

    ``habit`` names the habit behind it; empty: a good plan.
    """

    call: Call
    verdict: Decision
    state: State
    habit: str = ""
    result: Any = None
    error: Exception | None = None
    incident: str | None = None

    def line(self) -> str:
        """As a person reads it: which call, what the guard said, how it went."""
        said = {
            "done": "ok",
            "failed": f"FAILED {type(self.error).__name__}: {_short(self.error)}",
            "blocked": f"{self.verdict.verdict.upper()} {_short(self.verdict.reason)}",
            "changed": "directed otherwise",
        }[self.state]
        arguments = ", ".join(f"{name}={value}" for name, value in self.call.arguments.items())
        incident = f" -> {self.incident}" if self.incident else ""
        return f"{self.call.tool:<14} {_short(arguments):<{WIDTH}}  {said}{incident}"


class Tally:
    """Counts over any stretch of work.

    A blocked call is not carried out, so what it would have done is not known. What is known is
    where it came from: ``blocked_mistakes`` came from a habit, ``blocked_good`` from a good plan.
    """

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._habits: dict[str, Counter[str]] = {}

    def add(self, happened: Happened) -> None:
        kind = "mistakes" if happened.habit else "good"
        self._counts.update(("calls", happened.state, f"{happened.state}_{kind}"))
        self._counts.update(
            ["incidents"] * bool(happened.incident) + ["mistakes"] * bool(happened.habit)
        )
        if happened.habit:
            self._habits.setdefault(happened.habit, Counter()).update(("mistakes", happened.state))

    def count(self, what: str) -> None:
        """Count one of ``tasks``, ``unfinished`` (left to a person) or ``unanswered`` (asked in vain)."""
        self._counts[what] += 1

    def figures(self) -> dict[str, Any]:
        """Everything counted.

        ``blocked_share`` is blocked mistakes per mistake, None without any.
        """
        count = self._counts
        return {
            "tasks": count["tasks"],
            "unfinished": count["unfinished"],
            "calls": count["calls"],
            "failures": count["failed"],
            "incidents": count["incidents"],
            "mistakes": count["mistakes"],
            "blocked": count["blocked"],
            "blocked_mistakes": count["blocked_mistakes"],
            "blocked_good": count["blocked_good"],
            "directed": count["changed"],
            "unanswered": count["unanswered"],
            "blocked_share": _share(count["blocked_mistakes"], count["mistakes"]),
            "habits": {
                name: {state: habit[state] for state in ("mistakes", "failed", "blocked")}
                for name, habit in sorted(self._habits.items())
            },
        }


def summary(figures: dict[str, Any]) -> str:
    """The figures in one sentence."""
    return (
        "{tasks} tasks, {calls} calls, {failures} failures; {mistakes} mistakes tried,"
        " {blocked_mistakes} of them blocked; good calls blocked: {blocked_good}; left to a person: {unfinished} tasks"
    ).format(**figures)


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 3) if whole else None


def _short(text: object) -> str:
    line = " ".join(str(text).split())
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…"

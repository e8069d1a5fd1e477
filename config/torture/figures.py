"""What a torture came to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from .invariants import LATE, SURVIVED, UNCLAIMED, Violation

SHOWN_VIOLATIONS = 20


@dataclass(slots=True)
class Figures:
    """The counts of one torture. What must be zero is in ``MUST_BE_ZERO``.

    ``refused``: correct requests that were answered with an error of the client's; ``crashed``: answers of 500 (a
    database that is away is answered with 503); ``unmet``: crash points that no sweeper came by; ``failures``: steps
    that had to be tried again, by cause; ``load``: the machine's load average in the end, for a process that shares
    its cores starts late.
    """

    form: str
    seed: int
    broker: str
    loops: int = 0
    faults: int = 0
    by_kind: Counter[str] = field(default_factory=Counter)
    skipped: list[str] = field(default_factory=list)
    lost: int = 0
    duplicated: int = 0
    broken: int = 0
    dead: int = 0
    unfinished: int = 0
    refused: int = 0
    crashed: int = 0
    unmet: int = 0
    deaths: int = 0
    deaths_at: dict[str, int] = field(default_factory=dict)
    poisoned: dict[str, int] = field(default_factory=dict)
    outside: dict[str, int] = field(default_factory=dict)
    attacks: dict[str, Any] = field(default_factory=dict)
    restored: list[dict[str, Any]] = field(default_factory=list)
    ledger: dict[str, int] = field(default_factory=dict)
    settled_after_s: float | None = None
    acknowledged: dict[str, int] = field(default_factory=dict)
    states: dict[str, int] = field(default_factory=dict)
    waiting_in: dict[str, int] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    answers: dict[str, int] = field(default_factory=dict)
    repeated: int = 0
    starts: int = 0
    fell: dict[str, int] = field(default_factory=dict)
    checks: int = 0
    load: float = 0.0
    seconds: float = 0.0
    violations: list[dict[str, str]] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)

    MUST_BE_ZERO = (
        "lost",
        "duplicated",
        "broken",
        "dead",
        "unfinished",
        "refused",
        "crashed",
        "unmet",
    )

    @property
    def ok(self) -> bool:
        """Whether everything that was promised is so."""
        return not any(getattr(self, name) for name in self.MUST_BE_ZERO)

    def count(self, found: Sequence[Violation]) -> None:
        """Take the violations of the whole run, each once."""
        promises = Counter(violation.promise for violation in found)
        self.lost, self.dead = promises["lost"], promises["dead"]
        self.broken = promises["broken"] + promises[LATE] + promises[SURVIVED]
        # A row that no answer told of is what a request left that was repeated and done again.
        self.duplicated = promises["duplicated"] + promises[UNCLAIMED]
        self.violations = [asdict(violation) for violation in found[:SHOWN_VIOLATIONS]]

    def report(self) -> dict[str, Any]:
        return {**asdict(self), "by_kind": dict(self.by_kind), "ok": self.ok}

    def table(self) -> str:
        """The figures for people, one in a line."""
        return "\n".join(f"{name:<16} {_words(value)}" for name, value in self.report().items())


def _words(value: Any) -> str:
    match value:
        case dict():
            return ", ".join(f"{name} {count}" for name, count in value.items()) or "-"
        case list():
            return "".join(f"\n    {_words(each)}" for each in value) or "-"
        case None:
            return "-"
    return str(value)
